"""What a choice of contigs, patterns and parts of a source comes down to: parts, and contigs of theirs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kgp.errors import UsageError
from kgp.genome import get_build
from kgp.sources.model import Part, Source


@dataclass(frozen=True)
class WantedPart:
    """A part, and those of its contigs, in its own spelling, that are wanted."""

    part: Part
    contigs: tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """What a choice comes down to.

    Args:
        parts: in the order of the source.
        is_narrowed: whether files that belong to none of the parts are out, whatever the patterns say.
    """

    parts: tuple[WantedPart, ...]
    is_narrowed: bool = False


def find_wanted(
    source: Source, contigs: Sequence[str], patterns: Sequence[str], parts: Sequence[str]
) -> Wanted:
    """The parts, and their contigs, that a choice comes down to; see `kgp.sources.choose`.

    Raises:
        UsageError: there is no such part, or no part that is meant has a file for a contig.
    """
    if unknown := [name for name in parts if name not in {part.name for part in source.parts}]:
        raise _no_part(source, unknown[0])
    of_choice = [p for p in source.parts if p.name in parts or (not parts and (patterns or p.is_staged))]
    if not contigs:
        return Wanted(tuple(WantedPart(part, part.contigs) for part in of_choice), bool(parts))
    asked = {contig: _spellings(source, of_choice, contig) for contig in contigs}
    for contig, spellings in asked.items():
        if not any(spellings.values()):
            raise _no_contig(source, of_choice, contig)
    divided = {
        p.name: tuple(c for c in p.contigs if any(c in s[p.name] for s in asked.values())) for p in of_choice
    }
    kept = [p for p in of_choice if divided[p.name] or not (p.contigs or patterns)]
    return Wanted(tuple(WantedPart(part, divided[part.name]) for part in kept), is_narrowed=True)


def _spellings(source: Source, parts: Iterable[Part], contig: str) -> dict[str, set[str]]:
    """For each part by name: how it spells the contig; nothing where it has no file for it."""
    found: dict[str, set[str]] = {}
    for part in parts:
        build = source.build_of(part)
        canonical = get_build(build).canonical if build else str
        name = canonical(contig)
        found[part.name] = {own for own in part.contigs if name is not None and canonical(own) == name}
    return found


def _no_part(source: Source, name: str) -> UsageError:
    names = [part.name for part in source.parts]
    near = difflib.get_close_matches(name.lower(), names, n=2, cutoff=0.5)
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    return UsageError(
        f"{source.name} has no part '{name}'.", where="--part", mend=f"{meant}It has: {', '.join(names)}."
    )


def _no_contig(source: Source, parts: Sequence[Part], contig: str) -> UsageError:
    has = list(dict.fromkeys(own for part in parts for own in part.contigs))
    if not has:
        return UsageError(
            f"The files of {source.name} that are meant are not divided by contig.",
            where="--contig",
            mend="Leave --contig out, or choose with --pattern.",
        )
    return UsageError(
        f"{source.name} has no file for contig '{contig}'.",
        where="--contig",
        mend=f"It has: {', '.join(has)}.",
    )
