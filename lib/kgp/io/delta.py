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
import fcntl
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, QueryBuilder, write_deltalake
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction

from kgp.errors import CheckError, ContractError, LakeError
from kgp.io.deltalog import ids_by_file, remove_files
from kgp.io.direct import WRITTEN, check_rows, from_json, write_action_batches, write_split
from kgp.io.history import PAST_PROBLEMS, explain_past
from kgp.io.parts import TARGET_ROWS, TablePart, plan_parts
from kgp.io.place import LakePlace
from kgp.io.row_counts import count_rows
from kgp.io.tasks import SplitRows, carry_credentials, map_splits
from kgp.io.vacuum import Vacuumed, vacuum_staging, vacuum_table
from kgp.table import Table, conform
from kgp.tables import TABLES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Everyone can read: reader protocol 1, classic checkpoints. Writer 3 is what CHECK constraints need.
_PROPERTIES = {
    "delta.minReaderVersion": "1",
    "delta.minWriterVersion": "3",
    "delta.enableDeletionVectors": "false",
    "delta.checkpointPolicy": "classic",
}

# A matrix set names the versions that it was built from. Writers drop the log of versions older than 30 days, and any
# vacuum but kgp's the files of those older than 7, unless a table says otherwise.
_RETENTION = {
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}


# Commits that are tried before others' are given the way.
_COMMITS = 6


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

    def open(self, table: Table) -> DeltaTable:
        """The log of an existing table."""
        if (version := self._pinned.get(table.name)) is None:
            return self.place.open(table.name)
        uri, options = self.place.delta(table.name)
        return DeltaTable(uri, version=version, storage_options=options)

    # --------------------------------------------------------------------------------------- what is there

    def exists(self, table: Table) -> bool:
        """Whether the table has been created."""
        if table.name in self._pinned:
            return self._pinned[table.name] is not None
        return self.place.exists(table.name)

    def version(self, table: Table) -> int | None:
        """The table's newest Delta version, or the one that it is read at; None where it does not exist."""
        if table.name in self._pinned:
            return self._pinned[table.name]
        return self.open(table).version() if self.exists(table) else None

    def take_versions(self, tables: Iterable[Table]) -> dict[str, int | None]:
        """Versions of some tables that belong together: table name → version, None where there is none.

        New rows are written before a ledger names them and old ones removed after it has forgotten them: while no
        ledger changes, any versions of the tables hold all rows that are valid by it.

        Raises:
            LakeError: ledgers change faster than versions can be asked for.
        """
        asked = list(tables)
        ledgers = [TABLES[name] for name in sorted({table.ledger for table in asked if table.ledger})]
        for _ in range(_COMMITS):
            before = [self.version(ledger) for ledger in ledgers]
            found = {table.name: self.version(table) for table in asked}
            if before == [self.version(ledger) for ledger in ledgers]:
                return found
        raise LakeError(
            "Its ledgers changed again and again while it was read.",
            where=self.uri,
            mend="Wait until the running load ends, then try again.",
        )

    def create(self, table: Table) -> None:
        """Create the table with its comments, NOT NULL columns and CHECK constraints, where it is missing.

        Raises:
            LakeError: a table of that name is there, with other columns.
            ContractError: it is read as it was.
        """
        if table.name in self._pinned:
            raise ContractError("It is read as it was and can't be written.", where=f"table {table.name}")
        if self.exists(table):
            there = self.open(table)
            self._check_same_shape(table, there)
            self._keep_versions(table, there)
            return
        if (root := self.place.local_root) is not None:
            root.mkdir(parents=True, exist_ok=True)
        uri, options = self.place.delta(table.name)
        checks = {f"delta.constraints.{name}": predicate for name, predicate in table.checks.items()}
        with self._commit_lock():
            DeltaTable.create(
                uri,
                table.arrow_schema,
                mode="ignore",
                partition_by=list(table.partition_by),
                description=f"One row per {table.grain}.",
                configuration={**_PROPERTIES, **_RETENTION, **checks},
                raise_if_key_not_exists=False,  # CHECK constraints carry names of their own
                storage_options=options,
            )

    # -------------------------------------------------------------------------------- small, on the driver

    def fetch(self, table: Table, columns: Sequence[str] | None = None, where: str = "true") -> pa.Table:
        """The valid rows of a small table on the driver; no rows where it does not exist.

        Args:
            table: the table.
            columns: that are wanted; None for all.
            where: SQL predicate of the rows that are wanted.
        """
        rows = self.fetch_all(table, where)
        if table.ledger is not None and table.ledger_column is not None:
            known = self.fetch_all(TABLES[table.ledger])[table.ledger_column]
            rows = rows.filter(pc.is_in(rows[table.ledger_column], value_set=known.combine_chunks()))
        return rows if columns is None else rows.select(list(columns))

    def fetch_all(self, table: Table, where: str = "true") -> pa.Table:
        """All rows of a small table on the driver that satisfy a predicate, debris included."""
        if not self.exists(table):
            return table.arrow_schema.empty_table()
        columns = ", ".join(f'"{name}"' for name in table.columns)
        with self._explained(table):
            return self._select(table, columns, where).cast(table.arrow_schema)

    def put(
        self, table: Table, rows: Iterable[Mapping[str, Any]], where: str | None, *, note: str = ""
    ) -> int:
        """Put a few driver-side rows in the place of the rows that satisfy `where`, in one commit.

        Args:
            table: the table; it is created where missing.
            rows: column → value; absent nullable columns are null.
            where: SQL predicate of the slice; None replaces the whole table.
            note: kept in the commit.

        Returns:
            rows written.

        Raises:
            ContractError: a row has a strange column, or breaks NOT NULL or a CHECK.
            CheckError: a key repeats.
        """
        arrow = _as_arrow(table, rows)
        self.create(table)
        uri, options = self.place.delta(table.name)

        def write() -> None:
            write_deltalake(
                uri,
                arrow,
                mode="overwrite",
                predicate=where,
                commit_properties=CommitProperties(custom_metadata={"note": note}),
                storage_options=options,
            )

        self._commit(write)
        return int(arrow.num_rows)

    # ------------------------------------------------------------------------------------- large, by Spark

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
        known = sorted(self.fetch_all(TABLES[table.ledger])[column].to_pylist())
        return rows.where(rows[column].isin(known))

    def parts(
        self,
        table: Table,
        *,
        partitions: Mapping[str, Collection[str]] | None = None,
        span: tuple[int, int] | None = None,
        ids: Collection[str] | None = None,
        target_rows: int = TARGET_ROWS,
        with_unfinished: bool = False,
    ) -> list[TablePart]:
        """Parts of files that hold the wanted valid rows, for tasks that read them; see `kgp.io.parts`."""
        with self._explained(table):
            return plan_parts(
                self,
                table,
                partitions=partitions,
                span=span,
                ids=ids,
                target_rows=target_rows,
                with_unfinished=with_unfinished,
            )

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
        """Put `rows` in the place of the rows of some ledger ids, in one commit.

        The tasks write the files, the driver commits them; see `kgp.io.direct`.

        Args:
            table: the table; it is created where missing.
            rows: exactly the table's columns; every row has one of the ids. `SplitRows` come in order.
            ids: values of the table's ledger column whose rows are replaced; None replaces the whole table.
            note: kept in the commit.
            by_spark: let Spark's own Delta writer write them, for catalogs that own their tables' files: slower by far.

        Returns:
            rows written.

        Raises:
            ContractError: the rows do not have the table's shape, or break NOT NULL or a CHECK.
        """
        root = self.path(table)
        shaped = rows if isinstance(rows, SplitRows) else conform(rows, table)
        self.create(table)
        if by_spark:
            return self._replace_by_spark(table, self._as_frame(table, shaped), ids, note)
        if isinstance(shaped, SplitRows):
            write_one = partial(write_split, function=shaped.function, table=table, root=root)
            actions = map_splits(self.spark, shaped.splits, write_one, WRITTEN)
        else:
            if table.sort_by:
                shaped = shaped.sortWithinPartitions(*table.partition_by, *table.sort_by)
            write = carry_credentials(partial(write_action_batches, table=table, root=root))
            actions = shaped.mapInArrow(write, WRITTEN)
        return self.commit(table, [from_json(row.action) for row in actions.collect()], ids, note=note)

    def _as_frame(self, table: Table, rows: DataFrame | SplitRows[Any]) -> DataFrame:
        if isinstance(rows, SplitRows):
            return map_splits(self.spark, rows.splits, rows.function, table.spark_schema)
        return rows

    def _replace_by_spark(self, table: Table, rows: DataFrame, ids: Iterable[str] | None, note: str) -> int:
        before = self.version(table)
        writer = rows.sortWithinPartitions(*table.partition_by, *table.sort_by).write.format("delta")
        writer = writer.mode("overwrite").option("userMetadata", note)
        if ids is not None and table.ledger_column is not None:
            writer = writer.option("replaceWhere", in_list(table.ledger_column, ids))
        writer.save(self.place.hadoop(table.name))
        history = self.open(table).history(1)[0]
        if history["version"] == before:
            return 0
        return int(history["operationMetrics"]["numOutputRows"])

    def commit(
        self, table: Table, written: Sequence[AddAction], ids: Iterable[str] | None, *, note: str = ""
    ) -> int:
        """Put files that tasks have written in the place of the rows of some ledger ids, in one commit.

        Args:
            table: the table; it is created where missing.
            written: add-actions of the files, which lie at the table's path.
            ids: as in `replace`.
            note: kept in the commit.

        Returns:
            rows in the files.
        """
        self.create(table)

        def write() -> None:
            delta = self.open(table)
            old = remove_files(delta, table.ledger_column, None if ids is None else set(ids))
            if old or written:
                delta.create_write_transaction(
                    [*written, *old],
                    mode="append",
                    schema=table.arrow_schema,
                    partition_by=list(table.partition_by),
                    commit_properties=CommitProperties(custom_metadata={"note": note}),
                )

        self._commit(write)
        return sum(json.loads(action.stats)["numRecords"] for action in written)

    def check_key(self, table: Table, where: str = "true") -> None:
        """Refuse a repeated key among the written rows.

        Raises:
            CheckError: names the key and one repeated value.
        """
        key = ", ".join(f'"{name}"' for name in table.key)
        found = self._select(
            table, f"{key}, count(*) AS n_times", f"{where} GROUP BY {key} HAVING count(*) > 1 LIMIT 1"
        )
        for row in found.to_pylist():
            raise _repeated_key(table, [row[name] for name in table.key], row["n_times"])

    def measure(self, table: Table, where: str, **expressions: str) -> dict[str, Any]:
        """Aggregates over the written rows of a slice, computed by delta-rs: name → value.

        Args:
            table: an existing table.
            where: SQL predicate.
            expressions: name → SQL aggregate.
        """
        wanted = ", ".join(f"{text} AS {name}" for name, text in expressions.items())
        row: dict[str, Any] = self._select(table, wanted, where).to_pylist()[0]
        return row

    def _select(self, table: Table, wanted: str, where: str) -> pa.Table:
        # Not to_pyarrow_table(): Arrow's I/O threads inside a Python file system can abort the interpreter's exit.
        query = QueryBuilder().register("rows", self.open(table))
        return pa.table(query.execute(f"SELECT {wanted} FROM rows WHERE {where}"))

    # ------------------------------------------------------------------------------------ debris, old files

    def remove_debris(self, tables: Iterable[Table]) -> dict[str, list[str]]:
        """Remove what an unfinished run left: rows that their ledger does not name.

        Returns:
            table name → ledger ids that were removed; only tables that had debris.
        """
        removed: dict[str, list[str]] = {}
        for table in tables:
            if self._find_debris(table):
                self._commit(partial(self._delete_debris, table, removed))
        return removed

    def vacuum(
        self, table: Table, keep: Collection[int], before: datetime.datetime, *, dry_run: bool
    ) -> Vacuumed:
        """Remove files that no version of a table needs; see `kgp.io.vacuum`."""
        return vacuum_table(self, table, keep, before, dry_run=dry_run)

    def vacuum_staging(self, before: datetime.datetime, *, dry_run: bool) -> Vacuumed:
        """Remove what mappings that were given up left beside the tables; see `kgp.io.vacuum`."""
        return vacuum_staging(self, before, dry_run=dry_run)

    def _find_debris(self, table: Table) -> list[str]:
        """Ledger ids of a table's rows that its ledger does not name."""
        column = table.ledger_column
        if column is None or table.ledger is None or not self.exists(table):
            return []
        there = set().union(*ids_by_file(self.open(table), column).values())
        return sorted(there - set(self.fetch_all(TABLES[table.ledger])[column].to_pylist()))

    def _delete_debris(self, table: Table, removed: dict[str, list[str]]) -> None:
        # Looked for again while nobody else commits: what has been named meanwhile is none.
        if (orphans := self._find_debris(table)) and table.ledger_column is not None:
            self.open(table).delete(in_list(table.ledger_column, orphans))
            removed[table.name] = orphans

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

    def _keep_versions(self, table: Table, there: DeltaTable) -> None:
        """Have the versions of a table that an earlier version of kgp made kept as those of a new one are."""
        if not set(_RETENTION) <= set(there.metadata().configuration):
            with self._commit_lock():
                self.open(table).alter.set_table_properties(_RETENTION)

    def _check_same_shape(self, table: Table, there: DeltaTable) -> None:
        found = {(f.name, str(f.type)) for f in there.schema().fields}
        declared = {(f.name, str(f.type)) for f in _delta_fields(table)}
        if differences := sorted(name for name, _ in found ^ declared):
            raise LakeError(
                f"Table {table.name} has other columns than this version of kgp writes: "
                f"{', '.join(dict.fromkeys(differences))}.",
                where=self.path(table),
                mend="Use another --lake, or load its files again into a new one.",
            )

    def _commit(self, write: Callable[[], object]) -> None:
        """Let `write` commit; where another writer came first it reads again, decides again and commits again.

        Raises:
            LakeError: others came first again and again.
        """
        for attempt in range(_COMMITS):
            try:
                with self._commit_lock():
                    write()
                return
            except CommitFailedError:
                time.sleep(random.uniform(0.1, 0.5) * 2**attempt)
        raise LakeError(
            f"Others wrote to it at the same time, {_COMMITS} times in a row.",
            where=self.uri,
            mend="Run it again when the other jobs have ended.",
        )

    @contextmanager
    def _commit_lock(self) -> Iterator[None]:
        """On a local disk one commit at a time: Spark's local log store is safe only inside one JVM."""
        root = self.place.local_root
        if root is None:
            yield
            return
        root.mkdir(parents=True, exist_ok=True)
        handle = os.open(root / ".kgp.lock", os.O_CREAT | os.O_RDWR, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def in_list(column: str, values: Iterable[str]) -> str:
    """SQL predicate that a text column holds one of the values, as Spark and delta-rs both read it.

    >>> in_list("load_id", ["a", "b"])
    "load_id IN ('a', 'b')"

    Raises:
        ContractError: a value holds a quote or a backslash, which the two dialects escape differently.
    """
    texts = list(values)
    if strange := [text for text in texts if "'" in text or "\\" in text]:
        raise ContractError(f"{strange[0]!r} can't stand in a predicate.", where=column)
    return f"{column} IN ({', '.join(repr(text) for text in texts)})"


def _as_arrow(table: Table, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows as an Arrow table in the declared schema, checked for strangers, nulls and repeated keys."""
    listed = list(rows)
    if strangers := sorted({name for row in listed for name in row} - set(table.columns)):
        raise ContractError(
            f"The rows do not have its shape: extra: {strangers}.", where=f"table {table.name}"
        )
    arrow = pa.Table.from_pylist(listed, schema=table.arrow_schema)
    check_rows(arrow, table)
    if table.key and listed:
        key, n = Counter(zip(*(arrow[name].to_pylist() for name in table.key), strict=True)).most_common(1)[0]
        if n > 1:
            raise _repeated_key(table, key, n)
    return arrow.sort_by([(name, "ascending") for name in table.sort_by]) if table.sort_by else arrow


def _repeated_key(table: Table, values: Iterable[Any], n: int) -> CheckError:
    key = ", ".join(f"{name}={value}" for name, value in zip(table.key, values, strict=True))
    return CheckError(f"{key} occurs {n} times.", where=f"table {table.name}", mend="Its key must be unique.")


def _delta_fields(table: Table) -> list[Any]:
    from deltalake import Schema

    return list(Schema.from_arrow(table.arrow_schema).fields)
