"""What of a source lies in its archive, listed by one door, whole, or not believed.

A listing that breaks off, or lacks files that its own door has, is taken anew and then from the next door: a file that
is only missing from a page must never look as if it were gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kgp.errors import InputError
from kgp.io.doors.base import DoorFault, OpenDoor
from kgp.io.doors.patience import ORDER, DoorOrder, Patience, ask
from kgp.sources import Entry, Source, choose, expected, may_hold, missing, prefixes_for
from kgp.sources.compare import entry_of

Row = Mapping[str, Any]

# Of the files that a listing lacks, so many are asked for one by one.
_ASKED = 20


@dataclass(frozen=True)
class Selection:
    """What is meant of a source.

    Args:
        source: the source.
        contigs: only files of these; empty for all.
        patterns: only files that fit one of these shell patterns; empty for all.
        parts: only files of these parts; empty for those that are staged when nothing narrower is asked for.
    """

    source: Source
    contigs: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The directories below which all of it lies, none within another.

        Raises:
            UsageError: it names what the source does not have.
        """
        return prefixes_for(self.source, self.contigs, self.patterns, self.parts)

    def choose(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries that are meant."""
        return choose(self.source, entries, contigs=self.contigs, patterns=self.patterns, parts=self.parts)

    def lacking(self, meant: Sequence[Entry]) -> list[str]:
        """What the release should have and is not among the entries; a person's own patterns promise nothing."""
        if self.patterns:
            return []
        return missing(expected(self.source, self.contigs, self.parts), meant)


@dataclass(frozen=True)
class Listing:
    """A listing that was believed.

    Args:
        entries: the files that are meant, each path once.
        others: other files that were listed on the way; sums of the former may stand in them.
        door: that gave it.
        known: rows of `files` of what is meant, from last time; files that have gone are among them.
        lacking: what the release should have and the door does not list: paths, or patterns of paths.
        faults: door → why it was left, for doors that did not give the listing.
    """

    entries: tuple[Entry, ...]
    others: tuple[Entry, ...]
    door: OpenDoor
    known: tuple[Row, ...]
    lacking: tuple[str, ...]
    faults: Mapping[str, str]


def take_listing(
    selection: Selection,
    doors: Sequence[OpenDoor],
    rows: Mapping[str, Row],
    *,
    patience: Patience,
    order: DoorOrder = ORDER,
) -> Listing:
    """List what is meant of a source; no directory above its own is ever listed.

    What the release should have and a door does not list is looked for at the other doors, unless it was lacking last
    time, too: then every door has been asked before.

    Args:
        selection: what is meant.
        doors: of its archive, in order of preference.
        rows: path → row of `files`, of the whole source, from last time.
        patience: with each door.
        order: knows the doors that have failed of late.

    Raises:
        InputError: no door listed it, or nothing that is meant is there; a path in it would lead out of any target.
        UsageError: the selection names what the source does not have.
    """
    taking = _Taking(selection, rows)
    what = f"a whole listing of {selection.source.name}"
    try:
        found, _ = ask(doors, what, taking.take, patience=patience, on_fault=taking.note, order=order)
    except InputError:
        if not taking.partial:
            raise
        # What all lack is not there: what is there is taken, and what is not is said.
        found = min(taking.partial.values(), key=lambda listing: len(listing.lacking))
    if not found.entries:
        raise InputError(
            "No file there is meant.",
            where=f"{selection.source.name} at {found.door.door.name}",
            mend=f"See kgp sources {selection.source.name}, and check --contig, --part and --pattern.",
        )
    name = found.door.door.name
    return replace(found, faults={other: text for other, text in taking.faults.items() if other != name})


class _Taking:
    """Listings as they come from one door after another; arguments as of `take_listing`."""

    def __init__(self, selection: Selection, rows: Mapping[str, Row]) -> None:
        self._selection, self._rows = selection, rows
        self._meant_last_time: set[str] | None = None
        self.faults: dict[str, str] = {}
        self.partial: dict[str, Listing] = {}

    def take(self, door: OpenDoor) -> Listing:
        everything = list_everything(self._selection, door)
        meant = self._selection.choose(everything)
        lacking = tuple(self._selection.lacking(meant))
        known = self._known({entry.path for entry in meant})
        there = {row["archive_path"]: row for row in known if row["state"] != "gone"}
        _check_gone(door, there, {entry.path for entry in everything})
        # An index is meant where what it indexes is listed; that this has gone does not make it gone, too.
        paths = {entry.path for entry in meant}
        meant += [entry for entry in everything if entry.path in there and entry.path not in paths]
        paths |= there.keys()
        others = tuple(entry for entry in everything if entry.path not in paths)
        listing = Listing(tuple(meant), others, door, tuple(known), lacking, {})
        if lacking and not self._was_lacking(lacking, there):
            self._refuse(listing)
        return listing

    def _known(self, paths: set[str]) -> list[Row]:
        """Rows of what is meant, where these paths are meant."""
        if all(path in paths or row["state"] == "gone" for path, row in self._rows.items()):
            chosen: set[str] = set()  # nothing else can be of interest: that saves a second for 100,000 files
        else:
            if self._meant_last_time is None:
                entries = [entry_of(row) for row in self._rows.values()]
                self._meant_last_time = {entry.path for entry in self._selection.choose(entries)}
            chosen = self._meant_last_time
        return [row for path, row in self._rows.items() if path in paths or path in chosen]

    def note(self, door: OpenDoor, fault: DoorFault) -> None:
        self.faults[door.door.name] = fault.text

    def _refuse(self, listing: Listing) -> None:
        """Say that a listing lacks something: for want of a page, perhaps, so it is worth to be taken once more."""
        name = listing.door.door.name
        before = self.partial.get(name)
        self.partial[name] = listing
        text = f"lists no file for {listing.lacking[0]}"
        if more := len(listing.lacking) - 1:
            text += f" and {more:,} more"
        is_settled = before is not None and before.lacking == listing.lacking
        raise DoorFault("absent" if is_settled else "short", text)

    def _was_lacking(self, lacking: Sequence[str], there: Mapping[str, Row]) -> bool:
        """Whether this, and nothing else, was lacking last time."""
        return bool(there) and set(lacking) == set(
            self._selection.lacking(list(map(entry_of, there.values())))
        )


def _check_gone(door: OpenDoor, there: Mapping[str, Row], paths: set[str]) -> None:
    """Ask for some of the files that this door listed last time and does not list now.

    Raises:
        DoorFault: it has one of them.
    """
    name = door.door.name
    lost = [path for path, row in there.items() if row["endpoint"] == name and path not in paths]
    step = max(1, len(lost) // _ASKED)
    for path in lost[::step][:_ASKED]:
        if door.stat(path) is not None:
            raise DoorFault("short", f"its listing lacks {path}, which it has")


def list_everything(selection: Selection, door: OpenDoor) -> list[Entry]:
    """Everything below the directories of what is meant, at one door, asked once; each path once.

    Raises:
        DoorFault: it did not list them all; ``absent`` where it has none of the directories.
    """
    enter = may_hold(selection.source, selection.contigs, selection.patterns, selection.parts)
    found: dict[str, Entry] = {}
    absent: list[DoorFault] = []
    prefixes = selection.prefixes
    for prefix in prefixes:
        try:
            for entry in door.list(prefix, enter=enter):
                if not entry.path.startswith(prefix):
                    raise DoorFault("confused", "lists files of another directory")
                if found.setdefault(entry.path, entry) != entry:
                    raise DoorFault("changed", "lists a file twice, as two different ones")
        except DoorFault as fault:
            if fault.kind != "absent":
                raise
            absent.append(fault)
    if len(absent) == len(prefixes):
        raise absent[0]
    return list(found.values())
