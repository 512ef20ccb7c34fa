"""The archives for people: what `kgp sources` and `kgp sources NAME` print, and the same as plain values."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kgp.amounts import count, format_bytes
from kgp.errors import UsageError
from kgp.io.output import align
from kgp.sources import DOORS, SOURCES, Door, Part, Source, doors_of, find_source

if TYPE_CHECKING:
    from kgp.io.drift import Check

_SOURCE_COLUMNS = ("name", "build", "people", "title", "archive")
_DOOR_COLUMNS = ("name", "archive", "kind", "root", "title")
_PART_COLUMNS = ("part", "staged", "build", "contigs", "what it is")
_STATE_COLUMNS = ("door", "answers in", "lists in", "files", "bytes", "state")
_WIDTH = 100
_MOST_ROWS = 40


def overview() -> str:
    """All sources and all doors, for a terminal."""
    sources = [(s.name, s.build or "", s.n_samples, s.title, s.archive) for s in SOURCES]
    doors = [(d.name, d.archive, d.kind, d.root, d.title) for d in DOORS]
    return (
        "Sources: `kgp sources NAME` tells more of one, `kgp sync NAME` stages it.\n\n"
        + align(_SOURCE_COLUMNS, sources, max_width=_WIDTH)
        + "\nDoors, the preferred one of an archive first.\n\n"
        + align(_DOOR_COLUMNS, doors, max_width=_WIDTH)
    )


def overview_as_dict() -> dict[str, Any]:
    """All sources and all doors, as plain values."""
    return {
        "sources": [
            {"name": s.name, "build": s.build, "people": s.n_samples, "title": s.title, "archive": s.archive}
            for s in SOURCES
        ],
        "doors": [_door_as_dict(door) for door in DOORS],
    }


def describe(name: str) -> str:
    """A source for a terminal.

    Raises:
        UsageError: there is none of that name; names the nearest.
    """
    source = find_source(name)
    facts = [
        ("archive", source.archive),
        ("build", source.build),
        ("people", f"{source.n_samples:,} ({source.sample_set})" if source.n_samples else source.sample_set),
        ("also called", ", ".join(source.aliases)),
        ("see also", ", ".join(source.elsewhere)),
        ("lies below", ", ".join(source.prefixes)),
        ("cite", source.citation),
        ("terms", source.terms),
    ]
    parts = [
        (p.name, "yes" if p.is_staged else "", _other_build(source, p), _contigs(p), p.title)
        for p in source.parts
    ]
    patterns = [(p.name, pattern) for p in source.parts for pattern in p.patterns]
    doors = [(d.name, d.kind, d.root, d.title) for d in doors_of(source.archive)]
    return "\n".join(
        [
            f"{source.name}: {source.title}\n",
            *(f"{label + ':':<13}{text}" for label, text in facts if text),
            "",
            align(_PART_COLUMNS, parts, max_width=_WIDTH),
            align(("part", "files"), patterns, max_width=2 * _WIDTH),
            "Doors, in the order in which they are tried.\n",
            align(("name", "kind", "root", "title"), doors, max_width=_WIDTH),
        ]
    )


def describe_as_dict(name: str) -> dict[str, Any]:
    """Everything that is known of a source, as plain values.

    Raises:
        UsageError: there is none of that name; names the nearest.
    """
    source = find_source(name)
    return {
        "name": source.name,
        "aliases": list(source.aliases),
        "title": source.title,
        "archive": source.archive,
        "build": source.build,
        "people": source.n_samples,
        "sample_set": source.sample_set,
        "prefixes": list(source.prefixes),
        "parts": [
            {
                "name": part.name,
                "title": part.title,
                "is_staged": part.is_staged,
                "build": source.build_of(part),
                "contigs": list(part.contigs),
                "patterns": list(part.patterns),
            }
            for part in source.parts
        ],
        "doors": [_door_as_dict(door) for door in doors_of(source.archive)],
        "elsewhere": list(source.elsewhere),
        "citation": source.citation,
        "terms": source.terms,
    }


def _door_as_dict(door: Door) -> dict[str, Any]:
    return {
        "name": door.name,
        "archive": door.archive,
        "kind": door.kind,
        "root": door.root,
        "title": door.title,
    }


def _other_build(source: Source, part: Part) -> str:
    return part.build if part.build and part.build != source.build else ""


def _contigs(part: Part) -> str:
    """The contigs of a part, shortened.

    >>> _contigs(Part("genotypes", (), "", contigs=("1", "2", "3", "X")))
    '1-3, X'
    """
    numbers = [int(contig) for contig in part.contigs if contig.isdecimal()]
    others = [contig for contig in part.contigs if not contig.isdecimal()]
    is_run = len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1))
    shown = [f"{numbers[0]}-{numbers[-1]}"] if is_run else list(map(str, numbers))
    return ", ".join([*shown, *others])


def check(
    name: str,
    *,
    doors: Sequence[str] = (),
    contigs: Sequence[str] = (),
    parts: Sequence[str] = (),
    timeout: float = 60.0,
) -> Check:
    """Ask the doors of a source how they are; see `kgp.io.drift`.

    Args:
        name: of the source.
        doors: ``NAME`` or ``NAME=URL`` as ``--door`` takes them; all that can be listed where none is named.
        contigs: only files of these.
        parts: only these parts.
        timeout: seconds without an answer after which a door has failed.

    Raises:
        UsageError: there is no such source, door, contig or part; or the timeout is none.
        InputError: no door answered.
    """
    from kgp.io.doors.opening import choose_doors, open_door
    from kgp.io.drift import check_doors
    from kgp.io.listing import Selection

    if not 0 < timeout < float("inf"):
        raise UsageError(f"{timeout} is out of range.", where="--timeout", mend="Give a number of seconds.")
    source = find_source(name)
    chosen, carrier = choose_doors(source, doors)
    if carrier is not None:
        raise UsageError(
            f"It can't be asked: {carrier.kind} only brings files.",
            where=f"--door {carrier.name}",
            mend="Name other doors, or none for all of them.",
        )
    opened = [open_door(door, timeout=timeout) for door in chosen]
    try:
        return check_doors(Selection(source, tuple(contigs), (), tuple(parts)), opened)
    finally:
        for door in opened:
            door.close()


def render_check(found: Check) -> str:
    """A check for a terminal: the doors, then a row for each file in which they differ."""
    states = [
        (
            s.door, _seconds(s.seconds), _seconds(s.listed_in), "" if s.n_files is None else f"{s.n_files:,}",
            "" if s.n_bytes is None else format_bytes(s.n_bytes), s.problem or "answers",
        )
        for s in found.states
    ]  # fmt: skip
    text = f"Doors of {found.source}.\n\n" + align(_STATE_COLUMNS, states, max_width=_WIDTH)
    return f"{text}\n{_render_drift(found)}{_render_notes(found)}"


def check_as_dict(found: Check) -> dict[str, Any]:
    """A check as plain values."""
    return dataclasses.asdict(found) | {"checked_at": found.checked_at.isoformat()}


def _render_drift(found: Check) -> str:
    doors = [state.door for state in found.states if state.problem is None]
    if len(doors) < 2:
        return f"Only {doors[0]} answered: there is nothing to compare its {found.n_same:,} files with.\n"
    among = f"{', '.join(doors[:-1])} and {doors[-1]}"
    if not found.drift:
        return f"All {found.n_same:,} files are the same at {among}.\n"
    rows = [(d.path, d.kind, *(d.values[door] for door in doors)) for d in found.drift[:_MOST_ROWS]]
    n_more = len(found.drift) - len(rows)
    return (
        f"{count(len(found.drift), 'file differs', 'files differ')} among {among}, {found.n_same:,} are the same.\n\n"
        + align(("file", "what differs", *doors), rows, max_width=_WIDTH)
        + (f"… and {n_more:,} more: --json tells of all.\n" if n_more else "")
    )


def _render_notes(found: Check) -> str:
    notes = []
    if found.n_unproven and len([s for s in found.states if s.problem is None]) > 1:
        notes.append(
            f"of {found.n_unproven:,} of the files that are the same only the size was compared: "
            "fewer than two doors state their MD5"
        )
    notes += [f"{state.door}: {note}" for state in found.states for note in state.notes]
    return "".join(f"\nnote: {note}" for note in notes) + "\n" * bool(notes)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s"
