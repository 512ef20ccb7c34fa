"""Writes rows as Parquet files in the tasks that have them, for one Delta commit by the driver.

A task gets Arrow batches, checks them against the table's NOT NULL columns and CHECK constraints, writes one file for
each partition that it meets and gives back what the Delta log must know of it. Nothing is visible before the driver
commits exactly the files that were given back, so a task that runs twice, or dies, leaves at most a file that nobody
names.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from kgp.errors import ContractError, InputError
from kgp.io.parquet import ParquetFile
from kgp.io.storage import create_file, explained, open_binary, remove_file
from kgp.io.tasks import Item
from kgp.table import Table

# Rows of a row group: small enough that a search by place reads little, large enough to compress. Rows with a list,
# which has an item for each person, are the long ones.
ROW_GROUP_ROWS = 10_000
SHORT_ROW_GROUP_ROWS = 100_000
# What waits to be written, of all files together; beyond it, row groups get shorter.
PENDING_BYTES = 128 << 20
# Files that are open at the same time. Rows in order need one; a file of a contig that comes back later is another one.
MOST_OPEN = 64
WRITTEN = "action string"
_FOOTER_BYTES = 64 << 10
# Hive's escapes in directory names, as Spark writes them.
_ESCAPED = set("\"#%'*/:=?\\{[]^") | {chr(n) for n in range(0x20)} | {"\x7f"}


class TableWriter:
    """Writes rows to Parquet files below a table's root, a file for each partition that it meets.

    Args:
        table: the declaration, for partitioning, NOT NULL and CHECK.
        root: the table's directory or URL.
    """

    def __init__(self, table: Table, root: str) -> None:
        self._table = table
        self._root = root
        self._files: dict[tuple[str | None, ...], _OpenFile] = {}
        self._finished: list[_OpenFile] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows with the table's columns, in any order of columns, in the order wanted within a partition.

        Raises:
            ContractError: a row breaks NOT NULL or a CHECK; says which and shows it.
        """
        if not batch.num_rows:
            return
        table = self._table
        if set(batch.schema.names) != set(table.columns):
            strange = sorted(set(batch.schema.names) ^ set(table.columns))
            raise ContractError(f"The rows do not have its shape: {strange}.", where=f"table {table.name}")
        rows = pa.Table.from_batches([batch]).select(list(table.columns))
        for values, part in _split(rows, table.partition_by):
            # The one that was written to last stands last.
            file = self._files.pop(values, None) or self._open(values)
            self._files[values] = file
            file.add(part)
        if sum(file.n_bytes for file in self._files.values()) > PENDING_BYTES:
            max(self._files.values(), key=lambda file: file.n_bytes).flush()

    def close(self) -> list[AddAction]:
        """Finish the files; gives an add-action for each.

        Raises:
            ContractError: as `add` does; everything that was written is removed then.
        """
        try:
            while self._files:
                self._finish_oldest()
            return [_describe(file, self._table) for file in self._finished]
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Give up: what was written is removed."""
        for file in self._files.values():
            file.sink.close()
        discard_files([file.path for file in [*self._finished, *self._files.values()]], self._root)

    def _finish_oldest(self) -> None:
        values, file = next(iter(self._files.items()))
        file.finish()
        self._finished.append(self._files.pop(values))

    def _open(self, key: tuple[str | None, ...]) -> _OpenFile:
        if len(self._files) >= MOST_OPEN:
            self._finish_oldest()
        table = self._table
        values = dict(zip(table.partition_by, key, strict=True))
        directory = "".join(f"{name}={_escape(value)}/" for name, value in values.items())
        path = f"{directory}part-{uuid.uuid4()}.zstd.parquet"
        url = f"{self._root}/{path}"
        sink = create_file(url)
        columns = [name for name in table.columns if name not in table.partition_by]
        schema = pa.schema([_field(table, name) for name in columns])
        return _OpenFile(path, url, values, table, schema, sink, ParquetFile(sink, schema))


def _field(table: Table, name: str) -> pa.Field:
    """A column as the files have it: one that is never null needs no levels that say so; lists keep theirs."""
    kind = table.arrow_schema.field(name).type
    return pa.field(name, kind, nullable=pa.types.is_nested(kind) or name not in table.required)


@dataclass
class _OpenFile:
    """A file that is being written."""

    path: str
    url: str
    values: dict[str, str | None]
    table: Table
    schema: pa.Schema
    sink: Any
    parquet: ParquetFile
    pending: list[pa.Table] = field(default_factory=list)
    n_pending: int = 0
    n_bytes: int = 0

    @cached_property
    def row_group_rows(self) -> int:
        has_list = any(pa.types.is_list(kind) for kind in self.schema.types)
        return ROW_GROUP_ROWS if has_list else SHORT_ROW_GROUP_ROWS

    def add(self, rows: pa.Table) -> None:
        self.pending.append(rows)
        self.n_pending += rows.num_rows
        self.n_bytes += rows.nbytes
        while self.n_pending >= self.row_group_rows:
            self.flush()

    def finish(self) -> None:
        if self.n_pending:
            self.flush()
        with explained(self.url):
            self.parquet.close()
            self.sink.close()

    def flush(self) -> None:
        """Check and write one row group."""
        rows = pa.concat_tables(self.pending)
        group, rest = rows.slice(0, self.row_group_rows), rows.slice(self.row_group_rows)
        check_rows(group, self.table)
        with explained(self.url):
            self.parquet.write(group.select(self.schema.names).cast(self.schema))
        self.pending, self.n_pending, self.n_bytes = (
            ([rest], rest.num_rows, rest.nbytes) if rest.num_rows else ([], 0, 0)
        )


def write_files(batches: Iterable[pa.RecordBatch], table: Table, root: str) -> list[AddAction]:
    """Write rows to Parquet files below a table's root; gives an add-action for each file; see `TableWriter`.

    Raises:
        ContractError: a row breaks NOT NULL or a CHECK; nothing stays behind then.
    """
    writer = TableWriter(table, root)
    try:
        for batch in batches:
            writer.add(batch)
    except BaseException:
        writer.abort()
        raise
    return writer.close()


def discard_files(paths: Iterable[str], root: str) -> None:
    """Remove files that no commit will name. What can't be removed stays: nobody reads it."""
    for path in paths:
        with contextlib.suppress(InputError):
            remove_file(f"{root}/{path}")


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
    words = set(re.findall(r"\w+", " ".join(checks.values())))
    named = rows.select([name for name in rows.column_names if name in words])
    connection = _connection().cursor()
    connection.register("rows", named)
    try:
        sums = ", ".join(f"count(*) FILTER (WHERE NOT coalesce(({p}), false))" for p in checks.values())
        (counts,) = connection.execute(f"SELECT {sums} FROM rows").fetchall()
        for (name, predicate), n in zip(checks.items(), counts, strict=True):
            if n:
                found = connection.execute(
                    f"SELECT * FROM rows WHERE NOT coalesce(({predicate}), false) LIMIT 1"
                )
                names = [column[0] for column in found.description]
                first = dict(zip(names, found.fetchall()[0], strict=True))
                raise ContractError(
                    f"{n} rows break the check {name} ({table.checks[name]}), for example {first}.",
                    where=f"table {table.name}",
                )
    finally:
        connection.close()


@lru_cache(maxsize=1)
def _connection() -> duckdb.DuckDBPyConnection:
    """One for the process: to make one takes longer than to check 10,000 rows."""
    return duckdb.connect(config={"threads": 1})


def _split(
    rows: pa.Table, partition_by: tuple[str, ...]
) -> Iterator[tuple[tuple[str | None, ...], pa.Table]]:
    """Rows by partition values; runs of equal values stay slices, nothing is copied."""
    if not partition_by:
        yield (), rows
        return
    distinct = [pc.unique(rows[name]).to_pylist() for name in partition_by]
    if all(len(values) == 1 for values in distinct):
        yield tuple(values[0] for values in distinct), rows
        return
    keys = list(zip(*(rows[name].to_pylist() for name in partition_by), strict=True))
    begin = 0
    for index in range(1, len(keys) + 1):
        if index == len(keys) or keys[index] != keys[begin]:
            yield keys[begin], rows.slice(begin, index - begin)
            begin = index


def _escape(value: str | None) -> str:
    if value is None:
        return "__HIVE_DEFAULT_PARTITION__"
    return "".join(f"%{ord(c):02X}" if c in _ESCAPED else c for c in value)


def _describe(file: _OpenFile, table: Table) -> AddAction:
    with open_binary(file.url, read_ahead=_FOOTER_BYTES) as written:
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
    """Write rows that come from the JVM; gives the add-actions in the shape of a Spark task: one text column."""
    yield from _to_batches(write_files(map(_own_buffers, batches), table, root))


def write_split(
    split: Item, function: Callable[[Item], Iterable[pa.RecordBatch]], table: Table, root: str
) -> Iterator[pa.RecordBatch]:
    """Write what a function makes of a split, in the task that reads the split: no row passes through the JVM."""
    yield from _to_batches(write_files(function(split), table, root))


def _to_batches(actions: Iterable[AddAction]) -> Iterator[pa.RecordBatch]:
    for action in actions:
        yield pa.RecordBatch.from_pydict({"action": [to_json(action)]})


def _own_buffers(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows in buffers that Arrow C++ has made.

    The JVM leaves the offsets of a list without items away, and pyarrow's `nbytes` of such an array ends the process.
    """
    return batch.take(pa.array(range(batch.num_rows), pa.int64()))
