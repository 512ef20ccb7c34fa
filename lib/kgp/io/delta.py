"""A lake: the Delta tables of kgp under one URI, created, read and written through Spark.

Every write replaces a stated slice of a table (the rows of a load, of a matrix set) in one Delta commit, so the
same write twice gives the same rows, and a reader sees the slice before or after, never in between. Rows become
valid when their ledger (`loads`, `eqtl_matrices`), which is written last, names them.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgp.errors import CheckError, LakeError
from kgp.table import Table, conform
from kgp.tables import TABLES

if TYPE_CHECKING:
    from delta.tables import DeltaTable
    from pyspark.sql import DataFrame, SparkSession


class Lake:
    """The Delta tables under one URI.

    Args:
        spark: session with Delta.
        uri: directory of the tables, local or in any storage that Hadoop knows (``abfss://…``).
    """

    def __init__(self, spark: SparkSession, uri: str) -> None:
        self.spark = spark
        self.uri = uri.rstrip("/")
        self._ensured: set[str] = set()

    def path(self, table: Table) -> str:
        """Where a table lies, as Spark wants it."""
        return f"{self._root}/{table.name}"

    @property
    def _root(self) -> str:
        return self.uri if "://" in self.uri else str(Path(self.uri).absolute())

    @property
    def local_root(self) -> Path | None:
        """The lake's directory where it lies on a local disk, else None."""
        if self.uri.startswith("file://"):
            return Path(self.uri.removeprefix("file://"))
        return None if "://" in self.uri else Path(self.uri)

    def exists(self, table: Table) -> bool:
        """Whether the table has been created."""
        from delta.tables import DeltaTable

        return DeltaTable.isDeltaTable(self.spark, self.path(table))

    def version(self, table: Table) -> int | None:
        """The table's newest Delta version, or None where it does not exist."""
        if not self.exists(table):
            return None
        return int(self._delta(table).history(1).select("version").first()[0])  # type: ignore[index]

    def read_all(self, table: Table, *, version: int | None = None) -> DataFrame:
        """All rows, debris included; no rows where the table does not exist yet."""
        if not self.exists(table):
            return self.spark.createDataFrame([], table.spark_schema)
        reader = self.spark.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        return reader.load(self.path(table))

    def read(self, table: Table, *, version: int | None = None) -> DataFrame:
        """The valid rows: those that their ledger names."""
        rows = self.read_all(table, version=version)
        column = table.ledger_column
        if column is None or table.ledger is None:
            return rows
        known = [row[0] for row in self.read_all(TABLES[table.ledger]).select(column).distinct().collect()]
        return rows.where(rows[column].isin(known))

    def create(self, table: Table) -> None:
        """Create the table with its comments, NOT NULL columns and CHECK constraints, where it is missing.

        Raises:
            LakeError: a table of that name is there, with other columns.
        """
        from delta.tables import DeltaTable

        if table.name in self._ensured:
            return
        if self.exists(table):
            self._check_same_shape(table)
        else:
            builder = DeltaTable.createIfNotExists(self.spark).location(self.path(table)).comment(table.grain)
            builder = builder.addColumns(table.spark_schema)
            if table.partition_by:
                builder = builder.partitionedBy(*table.partition_by)
            for name, predicate in table.checks.items():
                builder = builder.property(f"delta.constraints.{name}", predicate)
            # Everyone can read: reader protocol 1, with statistics on the columns that are searched.
            builder = builder.property("delta.enableDeletionVectors", "false")
            builder = builder.property("delta.checkpointPolicy", "classic")
            builder.execute()
        self._ensured.add(table.name)

    def replace(self, table: Table, rows: DataFrame, where: str | None, *, note: str = "") -> None:
        """Put `rows` in the place of the rows that satisfy `where`, in one commit.

        Args:
            table: the table; it is created where missing.
            rows: exactly the table's columns; every row satisfies `where`.
            where: SQL predicate of the slice; None replaces the whole table.
            note: kept in the commit's ``userMetadata``.

        Raises:
            ContractError: the rows do not have the table's shape.
        """
        self.create(table)
        ordered = conform(rows, table)
        if table.sort_by:
            ordered = ordered.sortWithinPartitions(*table.partition_by, *table.sort_by)
        writer = ordered.write.format("delta").mode("overwrite").option("userMetadata", note)
        if where is not None:
            writer = writer.option("replaceWhere", where)
        with self._commit_lock():
            writer.save(self.path(table))

    def delete(self, table: Table, where: str) -> None:
        """Remove the rows that satisfy `where`; no commit where there are none."""
        if self.exists(table) and not self.read_all(table).where(where).isEmpty():
            with self._commit_lock():
                self._delta(table).delete(where)

    def remove_debris(self, tables: Iterable[Table]) -> dict[str, list[str]]:
        """Remove what an unfinished run left: rows that their ledger does not name.

        Returns:
            table name → ledger ids that were removed; only tables that had debris.
        """
        removed: dict[str, list[str]] = {}
        for table in tables:
            column = table.ledger_column
            if column is None or table.ledger is None or not self.exists(table):
                continue
            known = self.read_all(TABLES[table.ledger]).select(column).distinct()
            found = self.read_all(table).select(column).distinct()
            orphans = sorted(row[0] for row in found.join(known, column, "left_anti").collect())
            if orphans:
                self.delete(table, in_list(column, orphans))
                removed[table.name] = orphans
        return removed

    def check_key(self, table: Table, where: str | None = None) -> None:
        """Refuse a repeated key among the written rows.

        Raises:
            CheckError: names the key and one repeated value.
        """
        if not table.key:
            return
        rows = self.read_all(table)
        if where is not None:
            rows = rows.where(where)
        repeated = rows.groupBy(*table.key).count().where("count > 1").first()
        if repeated is not None:
            values = ", ".join(f"{name}={repeated[name]}" for name in table.key)
            raise CheckError(
                f"{values} occurs {repeated['count']} times.",
                where=f"table {table.name}",
                mend="Its key must be unique.",
            )

    def _delta(self, table: Table) -> DeltaTable:
        from delta.tables import DeltaTable

        return DeltaTable.forPath(self.spark, self.path(table))

    def _check_same_shape(self, table: Table) -> None:
        found = [(f.name, f.dataType.simpleString()) for f in self.read_all(table).schema.fields]
        declared = [(f.name, f.dataType.simpleString()) for f in table.spark_schema.fields]
        if sorted(found) != sorted(declared):
            differences = sorted(set(found) ^ set(declared))
            raise LakeError(
                f"Table {table.name} has other columns than this version of kgp writes: {differences[:4]}.",
                where=self.path(table),
                mend="Use another --lake, or load its files again into a new one.",
            )

    @contextmanager
    def _commit_lock(self) -> Iterator[None]:
        """On a local disk one commit at a time: Spark's local log store is safe only inside one JVM."""
        root = self.local_root
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
    """SQL predicate that a text column holds one of the values.

    >>> in_list("load_id", ["a", "b'c"])
    "load_id IN ('a', 'b\\\\'c')"
    """
    return f"{column} IN ({', '.join(quote(v) for v in values)})"


def quote(value: str) -> str:
    """A text as a Spark SQL literal."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def make_rows(spark: SparkSession, table: Table, rows: Iterable[Mapping[str, Any]]) -> DataFrame:
    """A few driver-side rows as a DataFrame in the table's schema; absent nullable columns are null."""
    columns = table.columns
    data = [tuple(row.get(name) for name in columns) for row in rows]
    return spark.createDataFrame(data, table.spark_schema)
