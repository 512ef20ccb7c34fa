"""Writes rows as Parquet files in the tasks that have them, for one Delta commit by the driver.

A task gets Arrow batches, checks them against the table's NOT NULL columns and CHECK constraints, writes one file for
each partition that it meets and gives back what the Delta log must know of it. Nothing is visible before the driver
commits exactly the files that were given back, so a task that runs twice, or dies, leaves at most a file that nobody
names.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from kgp.errors import ContractError
from kgp.io.splits import Split
from kgp.table import Table

# Rows of a row group: small enough that a search by place reads little, large enough to compress.
ROW_GROUP_ROWS = 10_000
WRITTEN = "action string"
# Hive's escapes in directory names, as Spark writes them.
_ESCAPED = set("\"#%'*/:=?\\{[]^") | {chr(n) for n in range(0x20)} | {"\x7f"}


@dataclass
class _OpenFile:
    """A file that is being written."""

    path: str
    values: dict[str, str | None]
    writer: pq.ParquetWriter
    sink: Any
    pending: list[pa.Table] = field(default_factory=list)
    n_pending: int = 0

    def add(self, rows: pa.Table) -> None:
        self.pending.append(rows)
        self.n_pending += rows.num_rows
        if self.n_pending >= ROW_GROUP_ROWS:
            self.flush()

    def flush(self) -> None:
        if self.pending:
            self.writer.write_table(pa.concat_tables(self.pending), row_group_size=ROW_GROUP_ROWS)
            self.pending, self.n_pending = [], 0


def write_files(batches: Iterable[pa.RecordBatch], table: Table, root: str) -> Iterator[AddAction]:
    """Write rows to Parquet files below a table's root; gives an add-action for each file.

    Args:
        batches: rows with the table's columns, in any order of columns, in the order wanted within a partition.
        table: the declaration, for partitioning, NOT NULL and CHECK.
        root: the table's directory or URL.

    Raises:
        ContractError: a row breaks NOT NULL or a CHECK; says which and shows it.
    """
    columns = [name for name in table.columns if name not in table.partition_by]
    schema = pa.schema([pa.field(n, table.arrow_schema.field(n).type) for n in columns])
    files: dict[tuple[str | None, ...], _OpenFile] = {}
    try:
        for batch in batches:
            if not batch.num_rows:
                continue
            if set(batch.schema.names) != set(table.columns):
                strange = sorted(set(batch.schema.names) ^ set(table.columns))
                raise ContractError(
                    f"The rows do not have its shape: {strange}.", where=f"table {table.name}"
                )
            rows = pa.Table.from_batches([batch]).select(list(table.columns))
            check_rows(rows, table)
            for values, part in _split(rows, table.partition_by):
                if values not in files:
                    files[values] = _open(
                        table, root, dict(zip(table.partition_by, values, strict=True)), schema
                    )
                files[values].add(part.select(columns).cast(schema))
        for file in files.values():
            file.flush()
            file.writer.close()
            file.sink.close()
            yield _describe(file, table, root)
    except BaseException:
        for file in files.values():
            file.writer.close()
            file.sink.close()
        raise


def check_rows(rows: pa.Table, table: Table) -> None:
    """Hold rows to the table's NOT NULL columns and CHECK constraints.

    Raises:
        ContractError: names the column or the constraint, and shows the first row that breaks it.
    """
    for name in table.required:
        if rows[name].null_count:
            raise ContractError(f"{rows[name].null_count} rows have no {name}.", where=f"table {table.name}")
    if not table.checks:
        return
    # Delta's dialect quotes names with backticks, DuckDB's with double quotes; the predicates are the same else.
    checks = {name: predicate.replace("`", '"') for name, predicate in table.checks.items()}
    flat = rows.select(
        [f.name for f in rows.schema if not pa.types.is_nested(f.type) and not pa.types.is_binary(f.type)]
    )
    with duckdb.connect() as connection:
        connection.register("rows", flat)
        sums = ", ".join(f"count(*) FILTER (WHERE NOT coalesce(({p}), false))" for p in checks.values())
        counts = connection.execute(f"SELECT {sums} FROM rows").fetchone() or ()
        for (name, predicate), n in zip(checks.items(), counts, strict=True):
            if n:
                query = f"SELECT * FROM rows WHERE NOT coalesce(({predicate}), false) LIMIT 1"
                found = connection.execute(query)
                names = [column[0] for column in found.description]
                first = dict(zip(names, found.fetchone() or (), strict=True))
                raise ContractError(
                    f"{n} rows break the check {name} ({table.checks[name]}), for example {first}.",
                    where=f"table {table.name}",
                )


def _split(
    rows: pa.Table, partition_by: tuple[str, ...]
) -> Iterator[tuple[tuple[str | None, ...], pa.Table]]:
    """Rows by partition values; runs of equal values stay slices, nothing is copied."""
    if not partition_by:
        yield (), rows
        return
    keys = list(zip(*(rows[name].to_pylist() for name in partition_by), strict=True))
    begin = 0
    for index in range(1, len(keys) + 1):
        if index == len(keys) or keys[index] != keys[begin]:
            yield keys[begin], rows.slice(begin, index - begin)
            begin = index


def _open(table: Table, root: str, values: dict[str, str | None], schema: pa.Schema) -> _OpenFile:
    directory = "".join(f"{name}={_escape(value)}/" for name, value in values.items())
    path = f"{directory}part-{uuid.uuid4()}.zstd.parquet"
    sink = fsspec.open(f"{root}/{path}", "wb", auto_mkdir=True).open()
    writer = pq.ParquetWriter(sink, schema, compression="zstd")
    return _OpenFile(path, values, writer, sink)


def _escape(value: str | None) -> str:
    if value is None:
        return "__HIVE_DEFAULT_PARTITION__"
    return "".join(f"%{ord(c):02X}" if c in _ESCAPED else c for c in value)


def _describe(file: _OpenFile, table: Table, root: str) -> AddAction:
    with fsspec.open(f"{root}/{file.path}", "rb") as written:
        footer = pq.read_metadata(written)
        size = written.seek(0, 2)
    return AddAction(
        path=file.path,  # delta-rs encodes it on its way into the log
        size=size,
        partition_values=file.values,
        modification_time=int(time.time() * 1000),
        data_change=True,
        stats=json.dumps(_statistics(footer, table)),
    )


def _statistics(footer: pq.FileMetaData, table: Table) -> dict[str, Any]:
    """Delta statistics from the Parquet footer: of whole numbers, and of the ids that slices are found by."""
    wanted = {t.name for t in table.terms if pa.types.is_integer(t.type)} | {table.ledger_column}
    lows: dict[str, Any] = {}
    highs: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for group in range(footer.num_row_groups):
        for index in range(footer.num_columns):
            column = footer.row_group(group).column(index)
            name = column.path_in_schema
            if name not in wanted or column.statistics is None:
                continue
            nulls[name] = nulls.get(name, 0) + column.statistics.null_count
            if column.statistics.has_min_max:
                low, high = column.statistics.min, column.statistics.max
                lows[name] = low if name not in lows else min(lows[name], low)
                highs[name] = high if name not in highs else max(highs[name], high)
    return {"numRecords": footer.num_rows, "minValues": lows, "maxValues": highs, "nullCount": nulls}


def to_json(action: AddAction) -> str:
    """An add-action as text, on its way from a task to the driver."""
    return json.dumps(action.__dict__)


def from_json(text: str) -> AddAction:
    """The add-action of `to_json`."""
    values: Mapping[str, Any] = json.loads(text)
    return AddAction(**values)


def write_action_batches(
    batches: Iterable[pa.RecordBatch], table: Table, root: str
) -> Iterator[pa.RecordBatch]:
    """`write_files` in the shape that a Spark task gives back: one text column `action`."""
    for action in write_files(batches, table, root):
        yield pa.RecordBatch.from_pydict({"action": [to_json(action)]})


def write_split(
    split: Split, function: Callable[[Split], Iterable[pa.RecordBatch]], table: Table, root: str
) -> Iterator[pa.RecordBatch]:
    """Write what a function makes of a split, in the task that reads the split: no row passes through the JVM."""
    yield from write_action_batches(function(split), table, root)
