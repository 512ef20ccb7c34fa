"""What belongs together of several tables that others may write meanwhile.

New rows are written before a ledger names them and old ones removed after it has forgotten them. What is read of
tables while no ledger of theirs changes therefore holds all rows that are valid by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from deltalake import DeltaTable

from kgp.errors import LakeError
from kgp.table import Table
from kgp.tables import TABLES

if TYPE_CHECKING:
    from kgp.io.delta import Lake

Found = TypeVar("Found")

# A ledger that changes meanwhile makes everything be read again, at most this often.
_ATTEMPTS = 6


def take_versions(lake: Lake, tables: Iterable[Table]) -> dict[str, int | None]:
    """Versions of some tables that belong together: table name → version, None where there is none.

    Raises:
        LakeError: ledgers change faster than versions can be asked for.
    """
    asked = list(tables)
    ledgers = [TABLES[name] for name in sorted({table.ledger for table in asked if table.ledger})]
    return _read_unchanged(lake, ledgers, lambda: {table.name: lake.version(table) for table in asked})


def take_snapshot(lake: Lake, table: Table) -> tuple[DeltaTable, frozenset[str] | None]:
    """A table's log and the ids that its ledger names, as of one moment; None where it has no ledger.

    Raises:
        LakeError: the ledger changes faster than the log can be read.
    """
    column = table.ledger_column
    if table.ledger is None or column is None:
        return lake.open(table), None
    ledger = TABLES[table.ledger]

    def read() -> tuple[DeltaTable, frozenset[str]]:
        known = lake.list_named(ledger.name, column)
        return lake.open(table), known

    return _read_unchanged(lake, [ledger], read)


class _Watched:
    """A ledger whose version is asked for again and again: its log is opened once, and then only what is new is read.

    Args:
        lake: where it is.
        ledger: the table.
    """

    def __init__(self, lake: Lake, ledger: Table) -> None:
        self._lake, self._ledger = lake, ledger
        self._log: DeltaTable | None = None

    def read_version(self) -> int | None:
        """Its version now; see `Lake.version`."""
        if self._lake.is_pinned(self._ledger):
            return self._lake.version(self._ledger)
        if self._log is not None:
            self._log.update_incremental()
        elif self._lake.exists(self._ledger):
            self._log = self._lake.open(self._ledger)
        return None if self._log is None else self._log.version()


def _read_unchanged(lake: Lake, ledgers: Iterable[Table], read: Callable[[], Found]) -> Found:
    """What `read` gives, read again where a ledger got another version meanwhile."""
    watched = [_Watched(lake, ledger) for ledger in ledgers]
    before = [one.read_version() for one in watched]
    for _ in range(_ATTEMPTS):
        found = read()
        after = [one.read_version() for one in watched]
        if before == after:
            return found
        before = after
    raise LakeError(
        "Its ledgers changed again and again while it was read.",
        where=lake.uri,
        mend="Wait until the running load ends, then try again.",
    )
