"""Globus, planned: which collection brings which files of an archive to which other one.

Globus moves files between two collections by itself; kgp only says what, waits, and reports. So the target is a
collection too, ``globus://ID/path``: Globus Connect Personal makes one of a laptop's directory.

None of this has been tried against the real service: the tests run a stand-in for its Transfer API.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kgp.errors import InputError
from kgp.io.transfers.common import check_entries, count_files
from kgp.io.transfers.globus_client import CLIENT_ID, CLIENT_SECRET, TOKEN, TRANSFER_SCOPE
from kgp.io.urls import display_url
from kgp.sources import Door, Entry
from kgp.sources.paths import has_hidden, show_path

# A transfer may have 100 million files (Globus' FAQ, limits of the service), but how long a request may be is written
# nowhere. Ten thousand items are 3 MB of it.
BATCH = 10_000

_ROOT = re.compile(r"globus://(?P<collection>[^/]+)(?P<path>/.*)?")
_TARGET = re.compile(r"globus://(?P<collection>[^/@?#]+)(?P<path>/[^?]*)?")
_N_SHOWN = 5


@dataclass(frozen=True)
class GlobusPlan:
    """What shall be transferred.

    Args:
        door: the door.
        source: id or name of the collection that has the files.
        source_root: path there, below which the archive's paths lie, with a slash at its end.
        target: id of the collection that shall have them.
        target_root: path there, with a slash at its end.
        entries: the files.
        label: what Globus shows the task as.
    """

    door: Door
    source: str
    source_root: str
    target: str
    target_root: str
    entries: tuple[Entry, ...]
    label: str

    def ends(self, entry: Entry) -> tuple[str, str]:
        """Path of a file in the source, and in the target."""
        return self.source_root + self.door.at_door(entry.path), self.target_root + entry.path

    def archive_path(self, source_path: str) -> str:
        """The archive's path of a file in the source; undoes `ends`."""
        return self.door.in_archive(source_path.removeprefix(self.source_root))

    def batches(self, most: int = BATCH) -> Iterator[tuple[Entry, ...]]:
        """The files, as many at a time as one task is given."""
        for start in range(0, len(self.entries), most):
            yield self.entries[start : start + most]

    def text(self) -> str:
        """What would be transferred, for a person, and how to let it be transferred."""
        is_known = is_collection_id(self.source)
        n_tasks = -(-len(self.entries) // BATCH)
        n_more = len(self.entries) - _N_SHOWN
        return "\n".join(
            [
                "Globus would transfer:",
                f"  from   {self.source}{'' if is_known else ' (to be looked up)'}, {self.source_root}",
                f"  to     {self.target}, {self.target_root}",
                f"  files  {count_files(self.entries)}, in {n_tasks:,} task{'s' * (n_tasks != 1)}",
                *(f"         {entry.path}" for entry in self.entries[:_N_SHOWN]),
                *([f"         and {n_more:,} more"] if n_more > 0 else []),
                f"To let it, set {TOKEN} to an access token with the scope {TRANSFER_SCOPE},",
                f"or {CLIENT_ID} and {CLIENT_SECRET} to those of an application that you have registered at",
                "https://app.globus.org/settings/developers and that may write to the target.",
                "",
            ]
        )


def plan_globus(
    door: Door, entries: Iterable[Entry], target_url: str, *, source: str | None = None
) -> GlobusPlan:
    """Plan to let Globus transfer files. No network, and no credential is looked at.

    Args:
        door: a door whose root is ``globus://COLLECTION/path``; the collection is an id, or a name that is looked up
            when the plan is run (``ebi#1000genomes``).
        entries: what to transfer, as another door of the archive lists it.
        target_url: ``globus://ID/path``.
        source: what the files are, for the task's label; the archive's name where None.

    Raises:
        InputError: one of the two is no such URL, or a path can't be asked for.
    """
    root = _ROOT.fullmatch(door.root)
    if root is None or has_hidden(door.root):
        raise InputError("It is no Globus door: its root is not globus://COLLECTION/path.", where=door.name)
    target = _TARGET.fullmatch(target_url)
    if target is None or not is_collection_id(target["collection"]) or has_hidden(target_url):
        raise InputError(
            "It is no place that Globus can bring files to.",
            where=show_path(display_url(target_url)),
            mend="Say globus://ID/path/, with the id that https://app.globus.org/collections shows of your collection.",
        )
    return GlobusPlan(
        door=door,
        source=root["collection"],
        source_root=_directory(root["path"]),
        target=target["collection"].lower(),
        target_root=_directory(target["path"]),
        entries=check_entries(entries, where=door.root),
        label=f"kgp sync {source or door.archive}",
    )


def is_collection_id(text: str) -> bool:
    """Whether a text is the id of a collection: a UUID in its usual form.

    >>> is_collection_id("ddb59aef-6d04-11e5-ba46-22000b92c6ec"), is_collection_id("ebi#1000genomes")
    (True, False)
    """
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _directory(path: str | None) -> str:
    return (path or "").rstrip("/") + "/"
