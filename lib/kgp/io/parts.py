"""Table files read in the tasks that want their rows: the Delta log chooses the files, Arrow reads them.

A part is a run of row groups of one data file. The driver plans parts from the log's statistics and the files'
footers, and a task reads a part column by column, so no row passes through the JVM. Only valid rows are given: those
that their ledger names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable

from kgp.errors import ContractError, LakeError
from kgp.io.deltalog import ids_by_file
from kgp.io.storage import open_binary, open_parquet
from kgp.table import Table
from kgp.tables import TABLES

if TYPE_CHECKING:
    from kgp.io.delta import Lake

TARGET_ROWS = 20_000

# A ledger that changes while the log is read makes it be read again, at most this often.
_ATTEMPTS = 5
_FOOTERS_AT_ONCE = 16
_FOOTER_BYTES = 64 << 10


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
        return _overlaps((begin, end), None if self.starts is None else self.starts[0], self.last_end)


def plan_parts(
    lake: Lake,
    table: Table,
    *,
    partitions: Mapping[str, Collection[str]] | None = None,
    span: tuple[int, int] | None = None,
    ids: Collection[str] | None = None,
    target_rows: int = TARGET_ROWS,
    with_unfinished: bool = False,
) -> list[TablePart]:
    """Parts that together hold the wanted valid rows of a table, each once; none where the table does not exist.

    They are ordered by partition values, least `start` and path. Statistics leave out files and row groups without a
    wanted row; the rows of those that remain are not looked at: a part may hold rows outside the span.

    Args:
        lake: where the table is.
        table: its declaration.
        partitions: partition column → wanted values; a column that is absent is not restricted.
        span: wanted stretch of `start` and `end`, 0-based half-open.
        ids: wanted ledger ids among the valid ones; None for all valid ones.
        target_rows: rows of a part; one has more only where a row group has.
        with_unfinished: take the rows of `ids` whether or not their ledger names them yet: what this very run wrote.

    Raises:
        ContractError: a partition column is none of the table's, or it has no `start` and `end` to span.
        LakeError: loads are committed faster than the log can be read.
    """
    wanted = dict(partitions or {})
    if strangers := sorted(set(wanted) - set(table.partition_by)):
        raise ContractError(f"{strangers} are no partition columns of it.", where=f"table {table.name}")
    if span is not None and not {"start", "end"} <= set(table.columns):
        raise ContractError("It has no start and end.", where=f"table {table.name}")
    if ids is not None and table.ledger_column is None:
        raise ContractError("It has no ledger.", where=f"table {table.name}")
    if not lake.exists(table):
        return []
    delta, known = take_snapshot(lake, table)
    valid = known if ids is None else None if known is None else known & set(ids)
    if with_unfinished:
        valid = frozenset(ids or ())
    ids_of = {} if table.ledger_column is None else ids_by_file(delta, table.ledger_column)
    found: list[tuple[tuple[Any, ...], TablePart]] = []
    for file in pa.table(delta.get_add_actions(flatten=True)).to_pylist():
        values = {name: file[f"partition.{name}"] for name in table.partition_by}
        if any(values[name] not in chosen for name, chosen in wanted.items()):
            continue
        if not _overlaps(span, file.get("min.start"), file.get("max.end")):
            continue
        only = None
        if valid is not None:
            here = ids_of[file["path"]]
            if not here & valid:
                continue
            only = None if here <= valid else here & valid
        least = file.get("min.start")
        order = (*(v or "" for v in values.values()), -1 if least is None else least, file["path"])
        # The log holds paths as URLs: the escapes of a partition's directory are themselves escaped.
        found.append((order, TablePart(f"{lake.path(table)}/{unquote(file['path'])}", values, (), only)))
    files = [file for _, file in sorted(found, key=lambda one: one[0])]
    with ThreadPoolExecutor(_FOOTERS_AT_ONCE) as pool:
        cut = pool.map(partial(_cut, span=span, target_rows=target_rows), files)
        return [part for parts in cut for part in parts]


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
            for rows in parquet.iter_batches(n_rows, row_groups=[group], columns=stored, use_threads=False):
                if part.ids is not None:
                    rows = rows.filter(
                        pc.is_in(rows[table.ledger_column], value_set=pa.array(sorted(part.ids)))
                    )
                if rows.num_rows:
                    yield _shape(rows, part, schema)


def take_snapshot(lake: Lake, table: Table) -> tuple[DeltaTable, frozenset[str] | None]:
    """The table's log and the ids that its ledger names, as of one moment; None where it has no ledger.

    New rows are written before the ledger names them and old ones removed after it has forgotten them: a log that is
    read while the ledger stays the same holds all rows that are valid by it.
    """
    column = table.ledger_column
    if table.ledger is None or column is None:
        return lake.open(table), None
    ledger = TABLES[table.ledger]
    for _ in range(_ATTEMPTS):
        version = lake.version(ledger)
        known = frozenset(lake.fetch_all(ledger)[column].to_pylist())
        delta = lake.open(table)
        if lake.version(ledger) == version:
            return delta, known
    raise LakeError(
        "Its ledger changed again and again while it was read.",
        where=lake.uri,
        mend="Wait until the running load ends, then try again.",
    )


def _cut(file: TablePart, *, span: tuple[int, int] | None, target_rows: int) -> list[TablePart]:
    """A file as parts of about `target_rows` rows, without the row groups that have no row in the span."""
    with open_binary(file.path, read_ahead=_FOOTER_BYTES) as opened:
        footer = pq.read_metadata(opened)
    parts: list[TablePart] = []
    for number in range(footer.num_row_groups):
        part = _describe(file, number, footer.row_group(number))
        if not part.n_rows or (span is not None and not part.may_overlap(*span)):
            continue
        if parts and parts[-1].n_rows + part.n_rows <= target_rows:
            parts[-1] = _join(parts[-1], part)
        else:
            parts.append(part)
    return parts


def _describe(file: TablePart, number: int, group: pq.RowGroupMetaData) -> TablePart:
    """One row group as a part."""
    ranges: dict[str, tuple[int, int]] = {}
    for index in range(group.num_columns):
        column = group.column(index)
        if column.path_in_schema in ("start", "end"):
            statistics = column.statistics
            if statistics is not None and statistics.has_min_max:
                ranges[column.path_in_schema] = (statistics.min, statistics.max)
    last_end = ranges["end"][1] if "end" in ranges else None
    return TablePart(
        file.path,
        file.values,
        (number,),
        file.ids,
        group.num_rows,
        group.total_byte_size,
        ranges.get("start"),
        last_end,
    )


def _join(a: TablePart, b: TablePart) -> TablePart:
    """Two parts of one file as one."""
    starts = None
    if a.starts is not None and b.starts is not None:
        starts = (min(a.starts[0], b.starts[0]), max(a.starts[1], b.starts[1]))
    return replace(
        a,
        row_groups=a.row_groups + b.row_groups,
        n_rows=a.n_rows + b.n_rows,
        size=a.size + b.size,
        starts=starts,
        last_end=None if a.last_end is None or b.last_end is None else max(a.last_end, b.last_end),
    )


def _overlaps(span: tuple[int, int] | None, least: int | None, most: int | None) -> bool:
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
