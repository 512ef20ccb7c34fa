"""Reads row groups of a Parquet file: the dosages by numpy where their pages have the form that numpy makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kgp.io.dosage_pages import MOST_VALUES, decode_dosages

_COLUMN = "dosages"


def read_row_group(
    file: BinaryIO, parquet: pq.ParquetFile, group: int, columns: Sequence[str], batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """Rows of a row group in file order; threads are not used.

    Args:
        file: the file, by which `parquet` reads.
        parquet: the same.
        group: number of the row group.
        columns: those wanted; the file has them.
        batch_rows: most rows of a batch.
    """
    dosages = _read_dosages(file, parquet, group) if _COLUMN in columns else None
    if dosages is None:
        yield from parquet.iter_batches(
            batch_rows, row_groups=[group], columns=list(columns), use_threads=False
        )
        return
    fields = [parquet.schema_arrow.field(name) for name in columns]
    others = [name for name in columns if name != _COLUMN]
    if not others:
        for begin in range(0, len(dosages), batch_rows):
            yield pa.RecordBatch.from_arrays([dosages.slice(begin, batch_rows)], schema=pa.schema(fields))
        return
    begin = 0
    for rows in parquet.iter_batches(batch_rows, row_groups=[group], columns=others, use_threads=False):
        arrays = {name: rows.column(name) for name in others}
        arrays[_COLUMN] = dosages.slice(begin, rows.num_rows)
        begin += rows.num_rows
        yield pa.RecordBatch.from_arrays([arrays[f.name] for f in fields], schema=pa.schema(fields))


def _read_dosages(file: BinaryIO, parquet: pq.ParquetFile, group: int) -> pa.Array | None:
    """The dosages of a row group; None where pyarrow has to read them, which also tells what is wrong with bad ones."""
    kind = parquet.schema_arrow.field(_COLUMN).type
    described = parquet.metadata.row_group(group)
    chunk = next((c for c in _columns(described) if c.path_in_schema.split(".")[0] == _COLUMN), None)
    if chunk is None or not (pa.types.is_list(kind) and pa.types.is_int8(kind.value_type)):
        return None
    if (
        chunk.compression != "ZSTD"
        or not chunk.has_dictionary_page
        or not 0 < chunk.num_values <= MOST_VALUES
    ):
        return None
    file.seek(chunk.dictionary_page_offset)
    try:
        found = decode_dosages(file.read(chunk.total_compressed_size), chunk.total_uncompressed_size)
    except (ValueError, LookupError, OSError):
        return None
    if found is None or found[0].shape[0] != described.num_rows or found[0].size != chunk.num_values:
        return None
    values, is_null = found
    validity = None if is_null is None else np.packbits(~is_null.ravel(), bitorder="little")
    items = pa.Array.from_buffers(
        pa.int8(), values.size, [None if validity is None else pa.py_buffer(validity), pa.py_buffer(values)]
    )
    n_rows, n_samples = values.shape
    offsets = pa.py_buffer(np.arange(n_rows + 1, dtype=np.int32) * np.int32(n_samples))
    return pa.Array.from_buffers(kind, n_rows, [None, offsets], children=[items])


def _columns(group: pq.RowGroupMetaData) -> Iterator[Any]:
    return (group.column(index) for index in range(group.num_columns))
