"""Parquet pages of an array<tinyint> column of dosages, made and read by numpy.

Writing such a column value by value was the wall of every loader that was measured: 125 million dosages took
pyarrow 2.8 s of a core and Spark's writer more. But a dosage is 0, 1 or 2, and every row has the same number of
samples. So the values go into a dictionary page of three numbers and two bits each, and the levels that say where
lists begin and which values are null are the same few bytes in every row. The pages are plain Parquet (data page
v1, RLE_DICTIONARY); any reader reads them. Pages of just this form are read here, too, ten times as fast as by
readers who have to take each level one by one; other pages are theirs.

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

from kgp.io.thrift import I32, STRUCT, Struct, read_struct, read_varint, varint, write_struct

MOST = 3  # what two bits hold
MOST_VALUES = 2**31 - 1  # of a column chunk: what the offsets of a list can say
_PAGE_VALUES = 1 << 20
_PLAIN, _RLE, _RLE_DICTIONARY = ENCODINGS = 0, 3, 8
_DATA_PAGE, _DICTIONARY_PAGE = 0, 2
_DICTIONARY = np.arange(MOST + 1, dtype="<i4").tobytes()
# The four values of a byte.
_UNPACKED = np.array([[byte >> shift & 3 for shift in (0, 2, 4, 6)] for byte in range(256)], np.uint8).view(
    "<u4"
)[:, 0]

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
    header = {1: (I32, MOST + 1), 2: (I32, _PLAIN)}
    parts = [_page(_DICTIONARY_PAGE, _DICTIONARY, header, level)]
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


def decode_dosages(
    chunk: bytes, uncompressed_size: int
) -> tuple[Dosages, npt.NDArray[np.bool_] | None] | None:
    """Values of a column chunk that `encode_dosages` has made, and which are missing (None where none is).

    Args:
        chunk: dictionary page and data pages, headers included, compressed with zstd.
        uncompressed_size: bytes of all pages without compression: none is longer.

    Returns:
        variants × samples, 0 where missing; None where the pages have another form.

    Raises:
        ValueError, LookupError or OSError: they are damaged.
    """
    at, pages = 0, []
    while at < len(chunk):
        head, begin = read_struct(chunk, at)
        at = begin + _read_size(head, 3, len(chunk))
        size = _read_size(head, 2, uncompressed_size)
        body = pa.decompress(chunk[begin:at], decompressed_size=size, codec="zstd", asbytes=True)
        if head[1][1] == _DICTIONARY_PAGE:
            if body != _DICTIONARY:
                return None
        elif head[1][1] != _DATA_PAGE or 5 not in head or head[5][1][2][1] != _RLE_DICTIONARY:
            return None
        else:
            pages.append(_read_page(body, _read_size(head[5][1], 1, MOST_VALUES)))
    whole = [page for page in pages if page is not None]
    if not whole or len(whole) < len(pages) or len({values.shape[1] for values, _ in whole}) > 1:
        return None
    values = np.concatenate([values for values, _ in whole])
    if all(is_null is None for _, is_null in whole):
        return values, None
    flags = [np.zeros(page.shape, bool) if is_null is None else is_null for page, is_null in whole]
    return values, np.concatenate(flags)


def _read_size(head: Struct, field: int, most: int) -> int:
    """A number of a page's header that is a size."""
    kind, value = head[field]
    if kind != I32 or not 0 <= value <= most:
        raise ValueError(f"{value} is no size of a page")
    return int(value)


def _read_page(body: bytes, n_values: int) -> tuple[Dosages, npt.NDArray[np.bool_] | None] | None:
    """Variants × samples of a page and which are missing; None where it has another form than `_page_body` makes."""
    repetition, at = _take_levels(body, 0)
    definition, at = _take_levels(body, at)
    n_samples = _find_row_length(repetition)
    if n_samples is None or n_values % n_samples or body[at : at + 1] != b"\x02":
        return None
    n_rows = n_values // n_samples
    if repetition != _row_levels(n_samples) * n_rows:
        return None
    if definition == _run(n_values, 3):
        present = _unpack_run(body, at + 1, n_values)
        return None if present is None else (present.reshape(n_rows, n_samples), None)
    levels = _unpack_run(definition, 0, n_values)
    if levels is None or levels.min() < 2:
        return None
    is_present = levels == 3
    present = _unpack_run(body, at + 1, int(is_present.sum()))
    if present is None:
        return None
    values = np.zeros(n_values, dtype=np.uint8)
    values[is_present] = present
    return values.reshape(n_rows, n_samples), ~is_present.reshape(n_rows, n_samples)


def _take_levels(body: bytes, at: int) -> tuple[bytes, int]:
    """Levels behind their length, and the position behind them."""
    end = at + 4 + int.from_bytes(body[at : at + 4], "little")
    return body[at + 4 : end], end


def _find_row_length(levels: bytes) -> int | None:
    """Values of the first row, by the runs that its repetition levels begin with."""
    one = _run(1, 0)
    if not levels.startswith(one):
        return None
    if levels[len(one) :].startswith(one) or len(levels) == len(one):
        return 1
    head, at = read_varint(levels, len(one))
    return None if head & 1 or levels[at] != 1 else (head >> 1) + 1


def _unpack_run(data: bytes, at: int, n_values: int) -> Dosages | None:
    """Values of the packed run that begins at `at` and is the last; None where there are not that many."""
    if not n_values:
        return np.zeros(0, np.uint8) if at == len(data) else None
    head, at = read_varint(data, at)
    if not head & 1 or head >> 1 != -(-n_values // 8) or len(data) - at != 2 * (head >> 1):
        return None
    return _UNPACKED[np.frombuffer(data, np.uint8, offset=at)].view(np.uint8)[:n_values]


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
    yield _with_length(_row_levels(n_samples) * n_rows)
    if is_null is None or not is_null.any():
        yield _with_length(_run(values.size, 3))
        present = values.ravel()
    else:
        yield _with_length(_packed_run(np.where(is_null, np.uint8(2), np.uint8(3)).ravel()))
        present = values[~is_null]
    yield b"\x02"  # bits a value
    if present.size:
        yield _packed_run(present)


def _row_levels(n_samples: int) -> bytes:
    """Repetition levels of a row: 0 where it begins, then 1; a run each."""
    return _run(1, 0) + (_run(n_samples - 1, 1) if n_samples > 1 else b"")


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
