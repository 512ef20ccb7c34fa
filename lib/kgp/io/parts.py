"""Parts of a table's files, read by Arrow in the tasks that want their rows.

A part is a run of row groups of one data file. The driver plans parts (`kgp.io.part_plans`), and a task reads one
column by column, so no row passes through the JVM. Only valid rows are given: those that their ledger names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kgp.errors import ContractError
from kgp.io.dosage_reader import read_row_group
from kgp.io.storage import open_parquet
from kgp.table import Table

# Rows of a part, where nobody says otherwise.
TARGET_ROWS = 20_000


@dataclass(frozen=True)
class TablePart:
    """A run of row groups of one data file of a table.

    Args:
        path: the file, as fsspec opens it.
        values: partition column → value.
        row_groups: numbers of the row groups, ascending.
        ids: ledger ids whose rows are wanted; None where all rows of the file are.
        n_rows: rows of the row groups, unwanted ones included.
        size: bytes of the row groups, encoded but not compressed.
        starts: least and greatest `start` of the row groups; None where their statistics don't say.
        last_end: greatest `end` of them; None where their statistics don't say.
    """

    path: str
    values: Mapping[str, str | None]
    row_groups: tuple[int, ...]
    ids: frozenset[str] | None = None
    n_rows: int = 0
    size: int = 0
    starts: tuple[int, int] | None = None
    last_end: int | None = None

    def may_overlap(self, begin: int, end: int) -> bool:
        """Whether a row may lie in a stretch, 0-based half-open, by the statistics."""
        return overlaps((begin, end), None if self.starts is None else self.starts[0], self.last_end)


def read_part(
    part: TablePart, table: Table, columns: Sequence[str], *, batch_rows: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Read some columns of a part, in file order.

    Args:
        part: what to read.
        table: the declaration, for types and nullability.
        columns: the columns of the batches, in their order; no other is read, but the ledger's where rows are filtered.
        batch_rows: greatest number of rows of a batch; None gives a batch a row group.

    Raises:
        ContractError: the table has no such column.
    """
    if strangers := sorted(set(columns) - set(table.columns)):
        raise ContractError(f"{strangers} are no columns of it.", where=f"table {table.name}")
    schema = pa.schema([table.arrow_schema.field(name) for name in columns])
    needed = list(columns)
    if part.ids is not None and table.ledger_column is not None:
        needed = list(dict.fromkeys([*columns, table.ledger_column]))
    with open_parquet(part.path, needed, part.row_groups) as file:
        # Arrow's own threads are left out: each core has a task, and `file` is Python's.
        parquet = pq.ParquetFile(file, pre_buffer=False)
        there = set(parquet.schema_arrow.names)
        stored = [name for name in needed if name in there]
        for group in part.row_groups:
            n_rows = batch_rows or max(1, parquet.metadata.row_group(group).num_rows)
            for rows in read_row_group(file, parquet, group, stored, n_rows):
                if part.ids is not None:
                    rows = rows.filter(
                        pc.is_in(rows[table.ledger_column], value_set=pa.array(sorted(part.ids)))
                    )
                if rows.num_rows:
                    yield _shape(rows, part, schema)


def overlaps(span: tuple[int, int] | None, least: int | None, most: int | None) -> bool:
    """Whether a row between `least` start and `most` end may lie in the span."""
    return span is None or ((least is None or least < span[1]) and (most is None or most > span[0]))


def _shape(rows: pa.RecordBatch, part: TablePart, schema: pa.Schema) -> pa.RecordBatch:
    """Rows as they are stored, in the declared types, with partition columns and what an old file lacks put back."""
    arrays = []
    for field in schema:
        if field.name in part.values:
            value = pa.scalar(part.values[field.name], pa.string()).cast(field.type)
            arrays.append(pa.repeat(value, rows.num_rows))
        elif field.name in rows.schema.names:
            array = rows.column(field.name)
            arrays.append(array if array.type == field.type else array.cast(field.type))
        else:
            arrays.append(pa.nulls(rows.num_rows, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
