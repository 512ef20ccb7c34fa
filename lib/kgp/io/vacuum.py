"""Which files of a table nobody needs any more, and their removal.

delta-rs has a vacuum with `keep_versions`, which in 1.6.6 takes files of partitions such as ``contig=HLA-A*01:01`` for
others than the log names, and so does not keep them. The lists are therefore made here: from what lies on the storage
what a version needs is taken away. A file is needed by the newest version, by each version that somebody names, and by
all versions that there were since the time given. Whatever was written since then stays, too: it may belong to a job
that has not committed yet.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deltalake.exceptions import DeltaError
from fsspec.core import url_to_fs

from kgp.io.azure import locate
from kgp.io.history import list_files, read_commits
from kgp.io.storage import explained, remove_file
from kgp.table import Table

if TYPE_CHECKING:
    from kgp.io.delta import Lake

# Where mappings lay their rows down until they are complete.
STAGING = "_maps"

_AT_ONCE = 16


@dataclass(frozen=True)
class Vacuumed:
    """What a vacuum removed, or would remove.

    Args:
        files: path within the directory → bytes.
        kept: as `files`: old ones that only versions with a name need.
        lost: named versions that can't be read any more, whose files can't be kept.
    """

    files: Mapping[str, int]
    kept: Mapping[str, int] = field(default_factory=dict)
    lost: tuple[int, ...] = ()


@dataclass(frozen=True)
class _StoredFile:
    size: int
    modified: datetime.datetime


def vacuum_table(
    lake: Lake, table: Table, keep: Collection[int], before: datetime.datetime, *, dry_run: bool
) -> Vacuumed:
    """Remove files that no version of a table needs.

    Args:
        lake: where the table is.
        table: an existing table.
        keep: versions whose files stay, however old they are.
        before: versions that there were since then keep their files; what was written since then stays as well.
        dry_run: remove nothing.
    """
    # The storage is listed before the log is read: what is committed in between is then needed.
    old = {path: file for path, file in _list(lake, table.name).items() if file.modified < before}
    unneeded = set(old) - _list_recent(lake, table, before)
    named, lost = _list_named(lake, table, keep)
    doomed = {path: old[path].size for path in sorted(unneeded - named)}
    kept = {path: old[path].size for path in sorted(unneeded & named)}
    if not dry_run:
        _remove(lake.path(table), doomed)
    return Vacuumed(doomed, kept, lost)


def vacuum_staging(lake: Lake, before: datetime.datetime, *, dry_run: bool) -> Vacuumed:
    """Remove what lies aside for mappings of which nothing was written since `before`."""
    files = _list(lake, STAGING)
    newest: dict[str, datetime.datetime] = {}
    for path, file in files.items():
        mapping = path.partition("/")[0]
        newest[mapping] = max(file.modified, newest.get(mapping, file.modified))
    doomed = {path: files[path].size for path in sorted(files) if newest[path.partition("/")[0]] < before}
    if not dry_run:
        _remove(lake.place.table(STAGING), doomed)
    return Vacuumed(doomed)


def _list_recent(lake: Lake, table: Table, since: datetime.datetime) -> set[str]:
    """Files that a version needed at or after a moment."""
    needed = list_files(lake.open(table))
    oldest = None
    for commit in read_commits(lake, table):
        oldest = commit.version
        if commit.time <= since:
            break
        needed.update(commit.added)
    return needed if oldest is None else needed | list_files(lake.at({table.name: oldest}).open(table))


def _list_named(lake: Lake, table: Table, versions: Collection[int]) -> tuple[set[str], tuple[int, ...]]:
    """Files that these versions need, and those of them that can't be read."""
    needed: set[str] = set()
    lost = []
    for version in sorted(versions):
        try:
            needed |= list_files(lake.at({table.name: version}).open(table))
        except DeltaError:
            lost.append(version)
    return needed, tuple(lost)


def _list(lake: Lake, name: str) -> dict[str, _StoredFile]:
    """Files below a directory of the lake by their paths within it, without logs and what else is hidden."""
    url = lake.place.table(name)
    with explained(url):
        if (place := locate(lake.uri)) is None:
            fs, root = url_to_fs(url)
        else:
            account, blob = place
            fs, root = account.file_system(), blob.child(name).for_fsspec
        listed: dict[str, dict[str, Any]] = fs.find(root, detail=True)
    found = {}
    for path, info in listed.items():
        inside = path[len(root.rstrip("/")) + 1 :]
        if not any(step.startswith(("_", ".")) for step in inside.split("/")):
            found[inside] = _StoredFile(int(info["size"]), _modified(info))
    return found


def _modified(info: Mapping[str, Any]) -> datetime.datetime:
    """When a file was last written: seconds on a disk, a time on blob storage."""
    if (seconds := info.get("mtime")) is not None:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    moment: datetime.datetime = info["last_modified"]
    return moment


def _remove(root: str, paths: Collection[str]) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(remove_file, (f"{root}/{path}" for path in paths)))
