"""How the doors of an archive are: how fast they answer, and where what they serve differs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from kgp.errors import InputError, KgpError
from kgp.io.doors import DoorFault, OpenDoor
from kgp.io.listing import Selection, list_everything
from kgp.sources import Entry

Clock = Callable[[], float]


@dataclass(frozen=True)
class DoorState:
    """What a door answered.

    Args:
        door: its name.
        seconds: until it had told of one file; None where it did not answer.
        n_files: files of the source that it lists.
        n_bytes: their size, as far as it tells.
        listed_in: seconds that the listing took.
        problem: why it did not answer, or did not list; None where it did both.
    """

    door: str
    seconds: float | None = None
    n_files: int | None = None
    n_bytes: int | None = None
    listed_in: float | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Drift:
    """A file in which doors differ.

    Args:
        path: below the archive's root.
        kind: ``missing`` at a door that answered, or of ``size``, or of ``md5``; the first of these that differs.
        values: door → what it says: a size, an MD5, ``missing``, or nothing where it states none.
    """

    path: str
    kind: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class Check:
    """The doors of a source, side by side.

    Args:
        source: its name.
        states: a door each, in order of preference.
        drift: files that differ, by path.
        n_same: files that all doors which answered have with the same size, and the same MD5 where they state it.
        checked_at: when.
    """

    source: str
    states: tuple[DoorState, ...]
    drift: tuple[Drift, ...]
    n_same: int
    checked_at: datetime


def check_doors(selection: Selection, doors: Sequence[OpenDoor], *, clock: Clock = time.monotonic) -> Check:
    """Ask all doors at the same time, once, for one file and for their listing.

    Args:
        selection: what of a source is compared.
        doors: that serve it.
        clock: seconds that only grow.

    Raises:
        InputError: no door answered.
    """
    with ThreadPoolExecutor(len(doors)) as pool:
        answers = list(pool.map(lambda door: _ask(selection, door, clock), doors))
    listings = {state.door: listing for state, listing in answers if listing is not None}
    states = tuple(state for state, _ in answers)
    if not listings:
        problems = "; ".join(f"{state.door}: {state.problem}" for state in states)
        raise InputError(
            f"No door answered ({problems}).", where=selection.source.name, mend="Check the network."
        )
    drift, n_same = find_drift(listings)
    return Check(selection.source.name, states, tuple(drift), n_same, datetime.now(UTC))


def find_drift(listings: Mapping[str, Iterable[Entry]]) -> tuple[list[Drift], int]:
    """Where listings differ, and the number of files in which they do not.

    Args:
        listings: door → the files that it lists.
    """
    by_door = {door: {entry.path: entry for entry in entries} for door, entries in listings.items()}
    drift: list[Drift] = []
    n_same = 0
    for path in sorted(set().union(*by_door.values())):
        found = {door: entries.get(path) for door, entries in by_door.items()}
        sizes = {entry.size for entry in found.values() if entry is not None and entry.size is not None}
        sums = {entry.md5 for entry in found.values() if entry is not None and entry.md5 is not None}
        kind = "missing" if None in found.values() else "size" if len(sizes) > 1 else "md5"
        if kind == "md5" and len(sums) < 2:
            n_same += 1
            continue
        drift.append(Drift(path, kind, {door: _say(kind, entry) for door, entry in found.items()}))
    return drift, n_same


def _say(kind: str, entry: Entry | None) -> str:
    if entry is None:
        return "missing"
    value = entry.md5 if kind == "md5" else entry.size
    return "" if value is None else str(value)


def _ask(selection: Selection, door: OpenDoor, clock: Clock) -> tuple[DoorState, list[Entry] | None]:
    name = door.door.name
    began = clock()
    try:
        found = list_everything(selection, door)
        listed_in = clock() - began
        meant = selection.choose(found)
        if not meant:
            return DoorState(name, problem="lists nothing that is meant"), None
        began = clock()
        if door.stat(meant[0].path) is None:
            return DoorState(name, problem=f"lists {meant[0].path} and does not have it"), None
        seconds = clock() - began
    except (DoorFault, KgpError) as problem:
        return DoorState(name, problem=str(problem)), None
    n_bytes = sum(entry.size or 0 for entry in meant)
    return DoorState(name, seconds, len(meant), n_bytes, listed_in), meant
