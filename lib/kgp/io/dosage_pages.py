"""Parquet pages of an array<tinyint> column of dosages, made by numpy.

Writing such a column value by value was the wall of every loader that was measured: 125 million dosages took
pyarrow 2.8 s of a core and Spark's writer more. But a dosage is 0, 1 or 2, and every row has the same number of
samples. So the values go into a dictionary page of three numbers and two bits each, and the levels that say where
lists begin and which values are null are the same few bytes in every row. The pages are plain Parquet (data page
v1, RLE_DICTIONARY); any reader reads them.

Sources: the Parquet format's pages on nested encoding (rep and def levels), on data page v1 and on the RLE /
bit-packing hybrid. The column's levels: definition 0 the list is null, 1 empty, 2 the value is null, 3 the value is
there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kgp.io.thrift import I32, STRUCT, Struct, varint, write_struct

MOST = 3  # what two bits hold
_PAGE_VALUES = 1 << 20
_PLAIN, _RLE, _RLE_DICTIONARY = ENCODINGS = 0, 3, 8
_DATA_PAGE, _DICTIONARY_PAGE = 0, 2

Dosages = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Pages:
    """The pages of one column chunk.

    Args:
        data: dictionary page and data pages, headers included.
        dictionary_size: bytes of the dictionary page with its header.
        uncompressed_size: what `data` would take without compression.
        n_values: values of all rows, nulls included.
    """

    data: bytes
    dictionary_size: int
    uncompressed_size: int
    n_values: int


def encode_dosages(values: Dosages, is_null: npt.NDArray[np.bool_] | None, level: int) -> Pages:
    """Encode dosages.

    Args:
        values: variants × samples, with at least one of each, none greater than `MOST`.
        is_null: which of them are missing; None where none is.
        level: of zstd.
    """
    dictionary = np.arange(MOST + 1, dtype="<i4").tobytes()
    header = {1: (I32, MOST + 1), 2: (I32, _PLAIN)}
    parts = [_page(_DICTIONARY_PAGE, dictionary, header, level)]
    n_rows, n_samples = values.shape
    step = max(1, _PAGE_VALUES // n_samples)
    for begin in range(0, n_rows, step):
        rows = slice(begin, begin + step)
        body = b"".join(_page_body(values[rows], None if is_null is None else is_null[rows]))
        header = {
            1: (I32, values[rows].size),
            2: (I32, _RLE_DICTIONARY),
            3: (I32, _RLE),
            4: (I32, _RLE),
        }
        parts.append(_page(_DATA_PAGE, body, header, level))
    return Pages(
        b"".join(data for data, _ in parts), len(parts[0][0]), sum(size for _, size in parts), values.size
    )


def _page(kind: int, body: bytes, header: Struct, level: int) -> tuple[bytes, int]:
    """A page with its header, and its size without compression."""
    packed = pa.Codec("zstd", compression_level=level).compress(body, asbytes=True)
    head = write_struct(
        {
            1: (I32, kind),
            2: (I32, len(body)),
            3: (I32, len(packed)),
            (5 if kind == _DATA_PAGE else 7): (STRUCT, header),
        }
    )
    return head + packed, len(head) + len(body)


def _page_body(values: Dosages, is_null: npt.NDArray[np.bool_] | None) -> Iterator[bytes]:
    n_rows, n_samples = values.shape
    # Repetition: 0 where a row begins, then 1; a run each.
    one_row = _run(1, 0) + (_run(n_samples - 1, 1) if n_samples > 1 else b"")
    yield _with_length(one_row * n_rows)
    if is_null is None or not is_null.any():
        yield _with_length(_run(values.size, 3))
        present = values.ravel()
    else:
        yield _with_length(_packed_run(np.where(is_null, np.uint8(2), np.uint8(3)).ravel()))
        present = values[~is_null]
    yield b"\x02"  # bits a value
    if present.size:
        yield _packed_run(present)


def _with_length(levels: bytes) -> bytes:
    return len(levels).to_bytes(4, "little") + levels


def _run(length: int, value: int) -> bytes:
    """A run of one value of at most eight bits."""
    return varint(length << 1) + bytes([value])


def _packed_run(values: Dosages) -> bytes:
    """Values of two bits each, eight to a group, least significant first."""
    n_groups = -(-values.size // 8)
    if values.size % 8:
        values = np.concatenate([values, np.zeros(8 * n_groups - values.size, dtype=np.uint8)])
    words = np.ascontiguousarray(values).view("<u4")
    packed = words | words >> 6
    packed |= words >> 12
    packed |= words >> 18
    packed_bytes: bytes = packed.astype(np.uint8).tobytes()
    return varint(n_groups << 1 | 1) + packed_bytes
