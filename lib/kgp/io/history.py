"""Tables as they were: the commits of a Delta log, and what becomes of a version whose files are gone.

kgp reads the past for two things: to build a matrix set again from the versions that it was built from, and to know
which files a vacuum has to leave where they are.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from kgp.errors import InputError, LakeError, UsageError
from kgp.io.storage import exists, open_binary
from kgp.table import Table

if TYPE_CHECKING:
    from kgp.io.delta import Lake

_AS_OF = "--as-of"


@dataclass(frozen=True)
class Commit:
    """One commit of a table.

    Args:
        version: that it made.
        time: when it was made, UTC.
        added: files that it added, by their paths within the table's directory.
    """

    version: int
    time: datetime.datetime
    added: tuple[str, ...]


def read_commits(lake: Lake, table: Table) -> Iterator[Commit]:
    """The commits of a table from the newest to the oldest that its log still has; none where it does not exist."""
    newest = lake.version(table)
    if newest is None:
        return
    for version in range(newest, -1, -1):
        url = f"{lake.path(table)}/_delta_log/{version:020}.json"
        if not exists(url):
            return
        with open_binary(url) as file:
            yield _parse_commit(version, file.read().decode("utf-8"))


def find_version(lake: Lake, table: Table, moment: datetime.datetime) -> int | None:
    """The version that a table had at a moment, None where it did not exist yet.

    Raises:
        LakeError: its log does not go back so far.
    """
    oldest = None
    for oldest in read_commits(lake, table):
        if oldest.time <= moment:
            return oldest.version
    if oldest is None or oldest.version == 0:
        return None
    raise LakeError(
        f"The log of table {table.name} goes back to {oldest.time:%Y-%m-%dT%H:%MZ} only.",
        where=_AS_OF,
        mend="Name a later time.",
    )


def read_past_rows(lake: Lake, table: Table, where: str) -> Iterator[list[dict[str, Any]]]:
    """Rows of a small table that satisfy a predicate: as it is, and then at each earlier version that can be read."""
    newest = lake.version(table)
    if newest is None:
        return
    for version in range(newest, -1, -1):
        try:
            rows = lake.at({table.name: version}).fetch_all(table, where)
        except LakeError:
            return
        yield rows.to_pylist(maps_as_pydicts="strict")


def parse_time(text: str) -> datetime.datetime:
    """A time as ISO 8601 writes it, in UTC where it names no zone.

    Raises:
        UsageError: it is none, or lies ahead.

    >>> parse_time("2026-11-01T12:00Z").isoformat(), parse_time("2026-11-01").isoformat()
    ('2026-11-01T12:00:00+00:00', '2026-11-01T00:00:00+00:00')
    """
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"'{text}' is neither the matrix_id of a set nor a time.",
            where=_AS_OF,
            mend="Write a time as 2026-11-01T12:00Z, or take the id from kgp query: SELECT name, matrix_id FROM "
            "eqtl_matrices.",
        ) from None
    moment = moment.replace(tzinfo=datetime.UTC) if moment.tzinfo is None else moment
    if moment > datetime.datetime.now(datetime.UTC):
        raise UsageError(f"{text} lies ahead.", where=_AS_OF, mend="Name a time that has passed, in UTC.")
    return moment


def list_files(delta: DeltaTable) -> set[str]:
    """The files of a table by their paths within its directory."""
    # The log holds paths as URLs: the escapes of a partition's directory are themselves escaped.
    return {unquote(path) for path in pa.table(delta.get_add_actions())["path"].to_pylist()}


def explain_past(lake: Lake, table: Table, version: int) -> LakeError | None:
    """What a failure to read an old version means for a person; None where nothing of that version is missing."""
    where = f"table {table.name}"
    mend = f"Build from the tables as they are, without {_AS_OF}, or take back its files from a backup."
    try:
        files = list_files(lake.at({table.name: version}).open(table))
    except DeltaError:
        return LakeError(f"Version {version} of it is gone: its log was cleaned up.", where=where, mend=mend)
    newest = list_files(lake.at({}).open(table))
    missing = [path for path in sorted(files - newest) if not exists(f"{lake.path(table)}/{path}")]
    if not missing:
        return None
    return LakeError(
        f"Version {version} of it is gone: {len(missing):,} of its {len(files):,} files were removed by a vacuum.",
        where=where,
        mend=mend,
    )


# What a missing file or log raises in delta-rs, in Arrow and in kgp's own storage.
PAST_PROBLEMS = (DeltaError, pa.ArrowException, OSError, InputError)


def _parse_commit(version: int, text: str) -> Commit:
    actions = [json.loads(line) for line in text.splitlines() if line]
    milliseconds = max((a["commitInfo"]["timestamp"] for a in actions if "commitInfo" in a), default=0)
    added = tuple(unquote(action["add"]["path"]) for action in actions if "add" in action)
    return Commit(version, datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC), added)
