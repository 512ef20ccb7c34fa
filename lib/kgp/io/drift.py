"""How the doors of an archive are: how fast they answer, and where what they serve differs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from kgp.errors import InputError
from kgp.io.doors.base import DoorFault, OpenDoor
from kgp.io.doors.patience import Patience
from kgp.io.listing import Selection, list_everything
from kgp.io.sums import find_sums
from kgp.sources import Entry

Clock = Callable[[], float]

# A door is as it answers at once: what has to be asked twice has failed.
_AT_ONCE = Patience(attempts=1)


@dataclass(frozen=True)
class DoorState:
    """What a door answered.

    Args:
        door: its name.
        seconds: until it had told of one file; None where it did not.
        listed_in: seconds that its listing took; None where it did not list.
        n_files: files of the source that it lists.
        n_bytes: their size, as far as it tells.
        n_unstated: those of which neither its listing nor a list beside them states an MD5.
        problem: why it did not answer or list, a clause; None where it did both.
        notes: what of its lists of MD5s was not believed or could not be read.
    """

    door: str
    seconds: float | None = None
    listed_in: float | None = None
    n_files: int | None = None
    n_bytes: int | None = None
    n_unstated: int | None = None
    problem: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drift:
    """A file in which doors differ.

    Args:
        path: below the archive's root.
        kind: what differs: ``missing`` where a door that answered lacks it, else ``size``, else ``md5``.
        values: door → what it says: a size or an MD5, ``missing``, or nothing where it states none.
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
        n_unproven: those of the same of which fewer than two doors state an MD5: only their size was compared.
        checked_at: when.
    """

    source: str
    states: tuple[DoorState, ...]
    drift: tuple[Drift, ...]
    n_same: int
    n_unproven: int
    checked_at: datetime


def check_doors(selection: Selection, doors: Sequence[OpenDoor], *, clock: Clock = time.monotonic) -> Check:
    """Ask all doors at the same time, once, for one file and for their listing.

    MD5s are those of the listings; of a door whose listing states none, those of its own lists (`kgp.io.sums`).

    Args:
        selection: what of a source is compared.
        doors: that serve it.
        clock: seconds that only grow.

    Raises:
        UsageError: the selection names what the source does not have.
        InputError: no door answered.
    """
    selection.choose([])  # what the source does not have is no fault of the doors
    with ThreadPoolExecutor(len(doors)) as pool:
        answers = list(pool.map(lambda door: _ask(selection, door, clock), doors))
    listings = {state.door: listing for state, listing in answers if listing is not None}
    states = tuple(state for state, _ in answers)
    if not listings:
        problems = "; ".join(f"{state.door}: {state.problem}" for state in states)
        raise InputError(
            f"No door answered ({problems}).", where=selection.source.name, mend="Check the network."
        )
    drift, n_same, n_unproven = find_drift(listings)
    return Check(selection.source.name, states, tuple(drift), n_same, n_unproven, datetime.now(UTC))


def find_drift(listings: Mapping[str, Iterable[Entry]]) -> tuple[list[Drift], int, int]:
    """Where listings differ; the number of files in which they do not; and of how many of these only the size is known.

    Args:
        listings: door → the files that it lists, each path once.
    """
    by_door = {door: {entry.path: entry for entry in entries} for door, entries in listings.items()}
    drift: list[Drift] = []
    n_same = n_unproven = 0
    for path in sorted(set().union(*by_door.values())):
        found = {door: entries.get(path) for door, entries in by_door.items()}
        there = [entry for entry in found.values() if entry is not None]
        md5s = [entry.md5 for entry in there if entry.md5 is not None]
        if len(there) < len(found):
            kind = "missing"
        elif len({entry.size for entry in there if entry.size is not None}) > 1:
            kind = "size"
        elif len(set(md5s)) > 1:
            kind = "md5"
        else:
            n_same += 1
            n_unproven += len(md5s) < 2
            continue
        drift.append(Drift(path, kind, {door: _say(kind, entry) for door, entry in found.items()}))
    return drift, n_same, n_unproven


def _say(kind: str, entry: Entry | None) -> str:
    if entry is None:
        return "missing"
    value = entry.md5 if kind == "md5" else entry.size
    return "" if value is None else str(value)


def _ask(selection: Selection, door: OpenDoor, clock: Clock) -> tuple[DoorState, list[Entry] | None]:
    """How a door is, and its listing with MD5s; None where it did not answer."""
    state = DoorState(door.door.name)
    try:
        began = clock()
        everything = list_everything(selection, door)
        state = replace(state, listed_in=clock() - began)
        meant = selection.choose(everything)
        if not meant:
            return replace(state, problem="lists nothing that is meant"), None
        began = clock()
        if door.stat(meant[0].path) is None:
            return replace(state, problem=f"lists {meant[0].path} and does not have it"), None
        state = replace(state, seconds=clock() - began)
    except DoorFault as fault:
        return replace(state, problem=fault.text), None
    except InputError as problem:
        return replace(state, problem=str(problem)), None
    sums = find_sums([e for e in meant if e.md5 is None], everything, [door], patience=_AT_ONCE)
    stated = [replace(e, md5=sums.md5s[e.path][0]) if e.path in sums.md5s else e for e in meant]
    state = replace(
        state,
        n_files=len(stated),
        n_bytes=sum(entry.size or 0 for entry in stated),
        n_unstated=sum(entry.md5 is None for entry in stated),
        notes=tuple(sums.notes),
    )
    return state, stated
