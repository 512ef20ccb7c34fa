"""What of a source lies in its archive, listed by one door, whole, or not believed.

A listing that breaks off, or lacks files that its own door has, is taken anew and then from the next door: a file that
is only missing from a page must never look as if it were gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kgp.errors import InputError
from kgp.io.doors.base import DoorFault, OpenDoor
from kgp.io.doors.patience import Patience, ask
from kgp.sources import Entry, Source, check_path, choose, expected, may_hold, missing, prefixes_for
from kgp.sources.compare import entry_of

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

    def choose(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries that are meant."""
        return choose(self.source, entries, contigs=self.contigs, patterns=self.patterns, parts=self.parts)


@dataclass(frozen=True)
class Listing:
    """A listing that was believed.

    Args:
        entries: the files that are meant, each path once.
        others: other files that were listed on the way; sums of the former may stand in them.
        door: that gave it.
        notes: what it lacks though the release should have it, and what doors did wrong; a sentence each.
    """

    entries: tuple[Entry, ...]
    others: tuple[Entry, ...]
    door: OpenDoor
    notes: tuple[str, ...]


def take_listing(
    selection: Selection, doors: Sequence[OpenDoor], known: Sequence[Mapping[str, Any]], *, patience: Patience
) -> Listing:
    """List what is meant of a source; no directory above its own is ever listed.

    Args:
        selection: what is meant.
        doors: of its archive, in order of preference.
        known: rows of `files` of what is meant, from last time.
        patience: with each door.

    Raises:
        InputError: no door listed it, or nothing that is meant is there; a path in it would lead out of any target.
        UsageError: the selection names what the source does not have.
    """
    partial: list[tuple[list[str], list[Entry], list[Entry], OpenDoor]] = []
    faults: dict[str, str] = {}

    def take(door: OpenDoor) -> tuple[list[Entry], list[Entry]]:
        everything = list_everything(selection, door)
        meant = selection.choose(everything)
        lacking = _lacking(selection, meant)
        _check_gone(door, meant, known)
        for path in lacking:
            if not _is_pattern(path) and door.stat(path) is not None:
                raise DoorFault("short", f"its listing lacks {path}, which it has")
        names = {entry.path for entry in meant}
        others = [entry for entry in everything if entry.path not in names]
        if lacking:
            partial.append((lacking, meant, others, door))
            raise DoorFault("absent", f"lists no file for {lacking[0]}")
        return meant, others

    def note(door: OpenDoor, fault: DoorFault) -> None:
        faults[door.door.name] = fault.text

    what = f"a whole listing of {selection.source.name}"
    try:
        (meant, others), door = ask(doors, what, take, patience=patience, on_fault=note)
        lacking: list[str] = []
    except InputError:
        if not partial:
            raise
        # All that answer agree that it is not there: what is there is taken, and what is not is said.
        lacking, meant, others, door = min(partial, key=lambda found: len(found[0]))
    if not meant:
        raise InputError(
            "No file there is meant.",
            where=f"{selection.source.name} at {door.door.name}",
            mend=f"See kgp sources {selection.source.name}, and check --contig, --part and --pattern.",
        )
    for entry in meant:
        check_path(entry.path)
    notes = [f"no door lists a file for {path}" for path in lacking]
    notes += [f"{name}: {text}" for name, text in faults.items() if not lacking and name != door.door.name]
    return Listing(tuple(meant), tuple(others), door, tuple(notes))


def list_everything(selection: Selection, door: OpenDoor) -> list[Entry]:
    """Everything below the directories of what is meant, at one door, asked once; each path once.

    Raises:
        DoorFault: it did not list them all; ``absent`` where it has none of the directories.
    """
    chosen = (selection.contigs, selection.patterns, selection.parts)
    enter = may_hold(selection.source, *chosen)
    found: dict[str, Entry] = {}
    absent: list[DoorFault] = []
    prefixes = prefixes_for(selection.source, *chosen)
    for prefix in prefixes:
        try:
            for entry in door.list(prefix, enter=enter):
                if not entry.path.startswith(prefix):
                    raise DoorFault("confused", "lists files of another directory")
                found[entry.path] = entry
        except DoorFault as fault:
            if fault.kind != "absent":
                raise
            absent.append(fault)
    if len(absent) == len(prefixes):
        raise absent[0]
    return list(found.values())


def _lacking(selection: Selection, meant: Sequence[Entry]) -> list[str]:
    """What the release should have and the listing does not; a person's own patterns promise nothing."""
    if selection.patterns:
        return []
    return missing(expected(selection.source, selection.contigs, selection.parts), meant)


def _check_gone(door: OpenDoor, meant: Sequence[Entry], known: Sequence[Mapping[str, Any]]) -> None:
    """Ask for some of the files that were there last time and are not in the listing."""
    here = {entry.path for entry in meant}
    name = door.door.name
    gone = [
        entry_of(row).path
        for row in known
        if row["state"] != "gone" and row["endpoint"] == name and row["archive_path"] not in here
    ]
    step = max(1, len(gone) // _ASKED)
    for path in gone[::step][:_ASKED]:
        if door.stat(path) is not None:
            raise DoorFault("short", f"its listing lacks {path}, which it has")


def _is_pattern(path: str) -> bool:
    return any(character in path for character in "*?[")
