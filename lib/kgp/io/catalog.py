"""Which tables a lake has and what is valid in them, read from the Delta logs without Spark.

Rows that their ledger does not name are the debris of a run that was cut off: nothing in here counts or shows them.
Statistics come with a column `is_stale` that is found as they are opened; see `kgp.io.staleness`.
Where the statistics of a table's files prove that every file belongs to a load that the ledger names, nothing is
filtered; else the rows are filtered as they are read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from kgp.errors import LakeError, NoLakeError
from kgp.io.deltalog import ids_by_file
from kgp.io.place import LakePlace
from kgp.io.staleness import mark_files, mark_groups
from kgp.table import Table
from kgp.tables import (
    ALL_TABLES,
    ALLELE_STATISTICS,
    CALLSET_SAMPLES,
    LOADS,
    SAMPLES,
    STATISTICS,
    TABLES,
)
from kgp.transforms.groups import find_stale

# A ledger that changes while the tables are opened makes them be opened again, at most this often.
_ATTEMPTS = 5


class Catalog:
    """The tables of a lake.

    Args:
        uri: the lake, as `Lake` takes it.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self._place = LakePlace(self.uri)

    def names(self) -> tuple[str, ...]:
        """The tables that exist, in the order of the contract.

        Raises:
            LakeError: there is none.
        """
        found = tuple(t.name for t in ALL_TABLES if self._place.exists(t.name))
        if not found:
            raise NoLakeError(
                "There is no lake here: none of kgp's tables was found.",
                where=self.uri,
                mend="Make one with kgp demo or kgp load …, or name another with --lake.",
            )
        return found

    def open(self, names: Iterable[str]) -> dict[str, ds.Dataset]:
        """Arrow datasets of the valid rows of these tables, all as of one moment; table name → dataset."""
        tables = [TABLES[name] for name in names]
        for _ in range(_ATTEMPTS):
            ledgers = self._ledgers(tables)
            stale = self._stale_groups(tables)
            opened = {table.name: self._valid(table, self._delta(table), ledgers, stale) for table in tables}
            if self._ledgers(tables) == ledgers:
                return opened
        raise LakeError(
            "Its ledger changed again and again while it was read.",
            where=self.uri,
            mend="Wait until the running load ends, then try again.",
        )

    def overview(self, *, include_missing: bool = False) -> list[dict[str, Any]]:
        """A row a table: name, valid rows, version, bytes of its files, grain."""
        there = self.names()
        rows = []
        for table in ALL_TABLES:
            if table.name in there:
                delta = self._delta(table)
                n_rows = self._count(table, delta)
                size = sum(pa.table(delta.get_add_actions())["size_bytes"].to_pylist())
                figures: tuple[int | None, ...] = (n_rows, delta.version(), size)
            elif include_missing:
                figures = (None, None, None)
            else:
                continue
            names = ("table", "rows", "version", "bytes", "one row per")
            rows.append(dict(zip(names, (table.name, *figures, table.grain), strict=True)))
        return rows

    def _delta(self, table: Table) -> DeltaTable:
        try:
            return self._place.open(table.name)
        except TableNotFoundError as problem:
            raise LakeError(
                f"Table {table.name} is not in the lake.", where=self.uri, mend="See kgp tables --all."
            ) from problem
        except DeltaError as problem:
            where = self._place.table(table.name)
            raise LakeError(f"Its Delta log can't be read: {problem}.", where=where) from problem

    def _dataset(self, table: Table, delta: DeltaTable) -> ds.Dataset:
        # Not the file system that deltalake lends Arrow: it is Python's, and Arrow's threads, when a query ends before
        # its scan, can run into an interpreter that is going down.
        return delta.to_pyarrow_dataset(filesystem=self._place.arrow(table.name))

    def _streamed(self, table: Table, dataset: ds.Dataset) -> ds.Dataset:
        """The dataset as it may be scanned in part: on a disk by Arrow, elsewhere without its threads."""
        if self._place.local_root is not None or not isinstance(dataset, ds.FileSystemDataset):
            return dataset
        from kgp.io.streamed import StreamedDataset  # fsspec, which a lake on a disk does not need

        root = self._place.table(table.name)
        files = {f"{root}/{file.path}": file for file in dataset.get_fragments()}
        return StreamedDataset(files, dataset.schema) if files else dataset

    def _ledgers(self, tables: Iterable[Table]) -> dict[str, frozenset[str]]:
        """Ledger → the ids that it names, for the ledgers of these tables."""
        known: dict[str, frozenset[str]] = {}
        for table in tables:
            if table.ledger is None or table.ledger in known:
                continue
            ledger = TABLES[table.ledger]
            ids: list[str] = []
            if self._place.exists(ledger.name):
                rows = self._dataset(ledger, self._delta(ledger))
                ids = rows.to_table(columns=[table.ledger_column])[0].to_pylist()
            known[table.ledger] = frozenset(ids)
        return known

    def _stale_groups(self, tables: Iterable[Table]) -> frozenset[tuple[str, str]]:
        """Callset and group of the statistics that are stale, where one of the tables holds statistics."""
        if not {table.name for table in tables} & {STATISTICS.name, ALLELE_STATISTICS.name}:
            return frozenset()
        computed, *sources = (self._rows(t) for t in (STATISTICS, LOADS, CALLSET_SAMPLES, SAMPLES))
        stale = find_stale(computed, *sources)
        return frozenset((row["callset"], row["group"]) for row in computed if row["statistics_id"] in stale)

    def _rows(self, table: Table) -> list[dict[str, Any]]:
        """The valid rows of a small table; none where it is missing."""
        if not self._place.exists(table.name):
            return []
        rows: list[dict[str, Any]] = (
            self._valid(table, self._delta(table), self._ledgers([table])).to_table().to_pylist()
        )
        return rows

    def _valid(
        self,
        table: Table,
        delta: DeltaTable,
        ledgers: Mapping[str, frozenset[str]],
        stale: Collection[tuple[str, str]] | None = None,
    ) -> ds.Dataset:
        """The valid rows; with the column `is_stale` in tables of statistics where `stale` is given."""
        dataset = self._dataset(table, delta)
        if stale is not None and table is STATISTICS:
            dataset = mark_groups(dataset, stale)
        if stale is not None and table is ALLELE_STATISTICS:
            dataset = mark_files(dataset, stale)
        dataset = self._streamed(table, dataset)
        if _all_valid(table, delta, ledgers):
            return dataset
        ids = pa.array(sorted(ledgers[table.ledger or ""]), pa.string())
        return dataset.filter(pc.field(table.ledger_column).isin(ids))

    def _count(self, table: Table, delta: DeltaTable) -> int:
        files = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
        counts = [file.get("num_records") for file in files]
        ledgers = self._ledgers([table])
        if _all_valid(table, delta, ledgers) and None not in counts:
            return sum(counts)
        return int(self._valid(table, delta, ledgers).count_rows())


def _all_valid(table: Table, delta: DeltaTable, ledgers: Mapping[str, frozenset[str]]) -> bool:
    """Whether every row of the table is known to its ledger."""
    ledger, column = table.ledger, table.ledger_column
    if ledger is None or column is None:
        return True
    return all(ids <= ledgers[ledger] for ids in ids_by_file(delta, column).values())
