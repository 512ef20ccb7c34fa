"""A lake: the Delta tables of kgp under one URI.

Two ways to one log. What grows with variants × samples is read and written by Spark tasks; a ledger row, a panel, the
sample list of a callset go through delta-rs on the driver, in milliseconds and without a JVM. Both see the same
tables, made from the same declarations.

Every write replaces a stated slice of a table (the rows of a load, of a matrix set) in one Delta commit, so the
same write twice gives the same rows, and a reader sees the slice before or after, never in between. Rows become
valid when their ledger (`loads`, `eqtl_matrices`), which is written last, names them.

`Lake.at` gives the same lake with some tables as they were at a version: for reading only.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Unpack

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.transaction import AddAction

from kgp.errors import ContractError
from kgp.io.commits import commit_again
from kgp.io.creation import create_table
from kgp.io.deltalog import written_by_id
from kgp.io.history import PAST_PROBLEMS, explain_past
from kgp.io.part_plans import PartsWanted, plan_parts
from kgp.io.parts import TablePart
from kgp.io.place import LakePlace
from kgp.io.predicates import in_list
from kgp.io.row_counts import count_rows
from kgp.io.small_rows import check_unique_key, fetch_all_rows, fetch_valid_rows, measure_rows, put_rows
from kgp.io.snapshots import take_versions
from kgp.io.task_rows import commit_files, replace_rows
from kgp.io.tasks import SplitRows
from kgp.io.vacuum import Vacuumed, vacuum_staging, vacuum_table
from kgp.table import Table
from kgp.tables import TABLES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Rows that no ledger names yet may be those of a job that still runs; after this time they are what a killed one left.
UNFINISHED = datetime.timedelta(days=1)


class Lake:
    """The Delta tables under one URI.

    Args:
        spark: session with Delta, or what starts one when it is first needed.
        uri: directory of the tables, local or in a storage that Hadoop and delta-rs know (``abfss://…``).
        pinned: table name → version at which it is read, None where it is to be read as if it were not there.
    """

    def __init__(
        self,
        spark: SparkSession | Callable[[], SparkSession],
        uri: str,
        pinned: Mapping[str, int | None] | None = None,
    ) -> None:
        self._spark = spark
        self._is_prepared = False
        self._pinned = dict(pinned or {})
        self.uri = uri.rstrip("/")
        self.place = LakePlace(self.uri)

    @property
    def spark(self) -> SparkSession:
        """The session; started now if it was not needed before."""
        if callable(self._spark):
            self._spark = self._spark()
        if not self._is_prepared:
            self.place.prepare(self._spark)
            self._is_prepared = True
        return self._spark

    def path(self, table: Table) -> str:
        """Where a table lies, as tasks write its files and messages name it."""
        return self.place.table(table.name)

    def at(self, versions: Mapping[str, int | None]) -> Lake:
        """The lake with these tables as they were, which can be read and not written; the others are as they are.

        Args:
            versions: table name → version; None where the table did not exist.
        """
        return Lake(lambda: self.spark, self.uri, versions)

    # --------------------------------------------------------------------------------------- what is there

    def open(self, table: Table) -> DeltaTable:
        """The log of an existing table."""
        if (version := self._pinned.get(table.name)) is None:
            return self.place.open(table.name)
        uri, options = self.place.delta(table.name)
        return DeltaTable(uri, version=version, storage_options=options)

    def exists(self, table: Table) -> bool:
        """Whether the table has been created."""
        if self.is_pinned(table):
            return self._pinned[table.name] is not None
        return self.place.exists(table.name)

    def version(self, table: Table) -> int | None:
        """The table's newest Delta version, or the one that it is read at; None where it does not exist."""
        if self.is_pinned(table):
            return self._pinned[table.name]
        return self.open(table).version() if self.exists(table) else None

    def is_pinned(self, table: Table) -> bool:
        """Whether the table is read as it was at a version, whatever is written to it."""
        return table.name in self._pinned

    def take_versions(self, tables: Iterable[Table]) -> dict[str, int | None]:
        """Versions of some tables that belong together; see `kgp.io.snapshots`."""
        return take_versions(self, tables)

    def create(self, table: Table) -> None:
        """Create the table where it is missing; see `kgp.io.creation`.

        Raises:
            LakeError: a table of that name is there, with other columns.
            ContractError: it is read as it was.
        """
        if self.is_pinned(table):
            raise ContractError("It is read as it was and can't be written.", where=f"table {table.name}")
        create_table(self.place, table)

    # -------------------------------------------------------- by the driver itself; see `kgp.io.small_rows`

    def fetch(self, table: Table, columns: Sequence[str] | None = None, where: str = "true") -> pa.Table:
        """The valid rows of a small table on the driver; no rows where it does not exist.

        Args:
            table: the table.
            columns: that are wanted; None for all.
            where: SQL predicate of the rows that are wanted.
        """
        return fetch_valid_rows(self, table, columns, where)

    def fetch_all(self, table: Table, where: str = "true") -> pa.Table:
        """All rows of a small table on the driver that satisfy a predicate, debris included."""
        with self._explained(table):
            return fetch_all_rows(self, table, where)

    def list_named(self, ledger: str, column: str) -> frozenset[str]:
        """Ids that a ledger, named by its table, has in its key column now."""
        return frozenset(self.fetch_all(TABLES[ledger])[column].to_pylist())

    def put(
        self, table: Table, rows: Iterable[Mapping[str, Any]], where: str | None, *, note: str = ""
    ) -> int:
        """Put a few driver-side rows in the place of those that satisfy `where`, in one commit; gives how many."""
        return put_rows(self, table, rows, where, note=note)

    def measure(self, table: Table, where: str, **expressions: str) -> dict[str, Any]:
        """Aggregates over the written rows of a slice of an existing table: name → value."""
        return measure_rows(self, table, where, expressions)

    def check_key(self, table: Table, where: str = "true") -> None:
        """Refuse a repeated key among the written rows."""
        check_unique_key(self, table, where)

    # ------------------------------------------------------------------------------------- by Spark's tasks

    def read_all(self, table: Table, *, version: int | None = None) -> DataFrame:
        """All rows, debris included; no rows where the table does not exist yet."""
        if not self.exists(table):
            return self.spark.createDataFrame([], table.spark_schema)
        reader = self.spark.read.format("delta")
        version = self._pinned.get(table.name) if version is None else version
        if version is not None:
            reader = reader.option("versionAsOf", version)
        return reader.load(self.place.hadoop(table.name))

    def read(self, table: Table, *, version: int | None = None) -> DataFrame:
        """The valid rows: those that their ledger names."""
        rows = self.read_all(table, version=version)
        column = table.ledger_column
        if column is None or table.ledger is None:
            return rows
        return rows.where(rows[column].isin(sorted(self.list_named(table.ledger, column))))

    def parts(self, table: Table, **wanted: Unpack[PartsWanted]) -> list[TablePart]:
        """Parts of files that hold the wanted valid rows, for tasks that read them; see `kgp.io.part_plans`."""
        with self._explained(table):
            return plan_parts(self, table, **wanted)

    def count_rows(
        self, table: Table, partitions: Mapping[str, Collection[str]]
    ) -> dict[tuple[str | None, ...], dict[str, int]]:
        """Valid rows by partition and ledger id, without reading them; see `kgp.io.row_counts`."""
        with self._explained(table):
            return count_rows(self, table, partitions)

    def replace(
        self,
        table: Table,
        rows: DataFrame | SplitRows[Any],
        ids: Iterable[str] | None,
        *,
        note: str = "",
        by_spark: bool = False,
    ) -> int:
        """Put `rows` in the place of the rows of some ledger ids, in one commit; see `kgp.io.task_rows`."""
        return replace_rows(self, table, rows, ids, note=note, by_spark=by_spark)

    def commit(
        self, table: Table, written: Sequence[AddAction], ids: Iterable[str] | None, *, note: str = ""
    ) -> int:
        """Put files that tasks have written in the place of the rows of some ids; see `kgp.io.task_rows`."""
        return commit_files(self, table, written, ids, note=note)

    # ------------------------------------------------------------------------------------ debris, old files

    def remove_debris(self, tables: Iterable[Table], given_up: Collection[str] = ()) -> dict[str, list[str]]:
        """Remove rows that their ledger does not name: what an unfinished run left, some time ago.

        Args:
            tables: to look into.
            given_up: ledger ids of which nobody will name a row any more: removed at once.

        Returns:
            table name → ledger ids that were removed; only tables that had debris.
        """
        removed: dict[str, list[str]] = {}
        named = cache(self.list_named)  # by several tables' ledger; what is removed is looked up again
        for table in tables:
            if self._find_debris(table, given_up, named):
                commit_again(self.place, partial(self._delete_debris, table, given_up, removed))
        return removed

    def _find_debris(
        self,
        table: Table,
        given_up: Collection[str],
        list_named: Callable[[str, str], frozenset[str]],
    ) -> list[str]:
        """Ledger ids of a table's rows that its ledger does not name, nor will."""
        column = table.ledger_column
        if column is None or table.ledger is None or not self.exists(table):
            return []
        written = written_by_id(self.open(table), column)
        before = datetime.datetime.now(datetime.UTC) - UNFINISHED
        old = [one for one, at in written.items() if one in given_up or at < before]
        named = list_named(table.ledger, column) if old else frozenset()
        return sorted(set(old) - named)

    def _delete_debris(self, table: Table, given_up: Collection[str], removed: dict[str, list[str]]) -> None:
        # Looked for again while nobody else commits: what has been named meanwhile is none.
        orphans = self._find_debris(table, given_up, self.list_named)
        if orphans and table.ledger_column is not None:
            self.open(table).delete(in_list(table.ledger_column, orphans))
            removed[table.name] = orphans

    def vacuum(
        self, table: Table, keep: Collection[int], before: datetime.datetime, *, dry_run: bool
    ) -> Vacuumed:
        """Remove files that no version of a table needs; see `kgp.io.vacuum`."""
        return vacuum_table(self, table, keep, before, dry_run=dry_run)

    def vacuum_staging(self, before: datetime.datetime, *, dry_run: bool) -> Vacuumed:
        """Remove what mappings that were given up left beside the tables; see `kgp.io.vacuum`."""
        return vacuum_staging(self, before, dry_run=dry_run)

    @contextmanager
    def _explained(self, table: Table) -> Iterator[None]:
        """Say of a table that is read as it was that its files are gone, where that is why it can't be read."""
        version = self._pinned.get(table.name)
        try:
            yield
        except PAST_PROBLEMS as problem:
            gone = None if version is None else explain_past(self, table, version)
            if gone is None:
                raise
            raise gone from problem
