"""Writes Parquet files: pyarrow for every column but the dosages, whose pages numpy makes (`kgp.io.dosage_pages`).

Each row group is written by pyarrow as a file of its own in memory, with nulls for the dosages; its bytes are
copied into the real file, the dosages' pages behind them, and its part of the footer is moved there with the
offsets that it has now. A row group whose dosages are not all there, or too great for two bits, is left to pyarrow
altogether.
"""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kgp.io.dosage_pages import ENCODINGS, MOST, Pages, encode_dosages
from kgp.io.thrift import I32, I64, LIST, Struct, read_struct, write_struct

_COLUMN = "dosages"
_MAGIC = b"PAR1"
# Columns whose values rarely repeat: a dictionary of them costs time and is given up in the end.
_WITHOUT_DICTIONARY = (
    "start", "end", "record_id", "variant_id", "vcf_id", "rsid", "calls", "af", "hwe_p", "offset", "line", "value",
    "tss_distance", "slope", "slope_se", "t_statistic", "p_value", "neg_log10_p", "slope_i", "slope_i_se", "p_value_i",
    "slope_gi", "slope_gi_se", "p_value_gi", "neg_log10_p_gi",
)  # fmt: skip
# Lines that were rejected may be very long, and pyarrow would keep several copies of the least and of the greatest.
_WITHOUT_STATISTICS = "line"
_LEVEL = 1


class ParquetFile:
    """A Parquet file that is being written, row group by row group.

    Args:
        sink: where the bytes go; it is not closed here.
        schema: of the rows.
    """

    def __init__(self, sink: BinaryIO, schema: pa.Schema) -> None:
        self._sink = sink
        self._schema = schema
        self._footer: Struct = {}
        self._row_groups: list[Struct] = []
        self._n_rows = 0
        self._at = 0
        leaves = _leaves(schema)
        self._with_dictionary = [name for name in leaves if name not in _WITHOUT_DICTIONARY]
        self._with_statistics = [name for name in leaves if name != _WITHOUT_STATISTICS]

    def write(self, rows: pa.Table) -> None:
        """Write rows, at least one, as one row group."""
        if not self._footer:
            self._put(_MAGIC)
        pages = _dosage_pages(rows)
        if pages is not None:
            index = self._schema.get_field_index(_COLUMN)
            nulls = pa.nulls(rows.num_rows, self._schema.field(_COLUMN).type)
            rows = rows.set_column(index, self._schema.field(_COLUMN), nulls)
        body, footer = self._by_pyarrow(rows)
        (group,) = footer[4][1][1]
        shift = self._at - len(_MAGIC)
        for column in group[1][1][1]:
            _shift(column, shift)
        if 5 in group:
            group[5] = (I64, group[5][1] + shift)
        self._put(body)
        if pages is not None:
            _describe_pages(group, pages, self._at)
            self._put(pages.data)
        group.pop(7, None)  # the ordinal, which is optional
        self._row_groups.append(group)
        self._n_rows += rows.num_rows
        self._footer = self._footer or footer

    def close(self) -> None:
        """Write the footer; a file without rows is one, too."""
        if not self._footer:
            self._put(_MAGIC)
            _, self._footer = self._by_pyarrow(self._schema.empty_table())
        kind = self._footer[4][0]
        self._footer[3] = (I64, self._n_rows)
        self._footer[4] = (kind, (12, self._row_groups))
        footer = write_struct(self._footer)
        self._put(footer + len(footer).to_bytes(4, "little") + _MAGIC)

    def _put(self, data: bytes | memoryview) -> None:
        self._sink.write(data)
        self._at += len(data)

    def _by_pyarrow(self, rows: pa.Table) -> tuple[memoryview, Struct]:
        """The rows' pages and the footer of a file with nothing but them."""
        buffer = pa.BufferOutputStream()
        with pq.ParquetWriter(
            buffer,
            self._schema,
            compression="zstd",
            compression_level=_LEVEL,
            use_dictionary=self._with_dictionary,
            write_statistics=self._with_statistics,
        ) as writer:
            if rows.num_rows:
                writer.write_table(rows, row_group_size=rows.num_rows)
        data = memoryview(buffer.getvalue())
        size = int.from_bytes(data[-8:-4], "little")
        footer, _ = read_struct(bytes(data[-8 - size : -8]))
        return data[len(_MAGIC) : -8 - size], footer


def _leaves(schema: pa.Schema) -> list[str]:
    """Names of the columns as the writer's options want them: with the path to what is nested."""
    empty = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), empty)
    parquet = pq.ParquetFile(pa.BufferReader(empty.getvalue())).schema
    return [parquet.column(i).path for i in range(len(parquet.names))]


def _dosage_pages(rows: pa.Table) -> Pages | None:
    """The pages of the dosages, or None where they do not have the form that numpy writes."""
    if _COLUMN not in rows.column_names or not _is_array_of_bytes(rows.schema.field(_COLUMN)):
        return None
    column = rows[_COLUMN]
    if column.null_count:
        return None
    lengths = pc.unique(pc.list_value_length(column)).to_pylist()
    if len(lengths) != 1 or lengths[0] == 0:
        return None
    chunks = [chunk.flatten() for chunk in column.chunks]
    values = np.concatenate([_values(chunk) for chunk in chunks])
    is_null = None
    if any(chunk.null_count for chunk in chunks):
        is_null = np.concatenate([np.array(chunk.is_null()) for chunk in chunks])
        values[is_null] = 0
    if values.max(initial=0) > MOST:
        return None
    shape = (rows.num_rows, lengths[0])
    return encode_dosages(values.reshape(shape), None if is_null is None else is_null.reshape(shape), _LEVEL)


def _is_array_of_bytes(field: pa.Field) -> bool:
    """Whether the column has the type and the levels that `kgp.io.dosage_pages` knows."""
    kind = field.type
    if not (pa.types.is_list(kind) and pa.types.is_int8(kind.value_type)):
        return False
    return bool(field.nullable and kind.value_field.nullable)


def _values(array: pa.Array) -> Any:
    """The array's values as bytes; what stands in a null's place means nothing."""
    whole = np.frombuffer(array.buffers()[1], dtype=np.uint8)
    return whole[array.offset : array.offset + len(array)]


def _shift(column: Struct, shift: int) -> None:
    """Move the offsets of a column chunk."""
    column[2] = (I64, column[2][1] + shift if column[2][1] else 0)
    meta = column[3][1]
    for field in (9, 10, 11):
        if field in meta:
            meta[field] = (I64, meta[field][1] + shift)


def _describe_pages(group: Struct, pages: Pages, at: int) -> None:
    """Put the dosages' pages in the place of the nulls that pyarrow wrote for them."""
    for column in group[1][1][1]:
        meta = column[3][1]
        if meta[3][1][1][0] != _COLUMN.encode():
            continue
        group[2] = (I64, group[2][1] - meta[6][1] + pages.uncompressed_size)
        if 6 in group:
            # The nulls' few bytes stay where they are, but no column names them.
            group[6] = (I64, group[6][1] - meta[7][1] + len(pages.data))
        for field in (12, 13, 16):  # statistics of the nulls
            meta.pop(field, None)
        meta[2] = (LIST, (I32, list(ENCODINGS)))
        meta[5] = (I64, pages.n_values)
        meta[6] = (I64, pages.uncompressed_size)
        meta[7] = (I64, len(pages.data))
        meta[9] = (I64, at + pages.dictionary_size)
        meta[11] = (I64, at)
