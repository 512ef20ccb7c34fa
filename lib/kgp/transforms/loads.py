"""Whether a file must be loaded at all: what a load is identified by, and what it replaces. Pure functions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from kgp.errors import LakeError
from kgp.params import Region

# Parts of a selection that do not say which records are asked for.
_NOT_PLACES = {"strict", "samples"}


@dataclass(frozen=True)
class LoadIdentity:
    """What a load is: the same identity twice is the same load.

    Args:
        target: table that it fills.
        subject: callset or dataset that the rows belong to; '' for people.
        content_id: identity of the file's content, not of its place.
        build: reference build of the coordinates; '' where there are none.
        selection: what was asked of the file, normalised, option → text.
        parser: version of the parser: rows made by another one are another load.
    """

    target: str
    subject: str
    content_id: str
    build: str
    selection: Mapping[str, str]
    parser: str

    @cached_property
    def load_id(self) -> str:
        """The first 32 hexadecimal digits of the SHA-256 of all parts.

        >>> LoadIdentity("samples", "", "md5:00", "", {}, "1").load_id
        '9dbde85e8a13a30debc1c2717493d36d'
        """
        parts = [
            self.target,
            self.subject,
            self.content_id,
            self.build,
            sorted(self.selection.items()),
            self.parser,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class EarlierLoad:
    """A row of `loads`, as far as it matters here."""

    load_id: str
    path: str
    content_id: str
    build: str
    selection: Mapping[str, str]


@dataclass(frozen=True)
class Decision:
    """What to do about a load.

    Args:
        covered_by: load that already holds everything asked for; None where there is work to do.
        supersedes: loads whose rows the new one replaces, ascending.
    """

    covered_by: str | None
    supersedes: tuple[str, ...] = ()


def describe_selection(
    contigs: Iterable[str], regions: Iterable[Region], *, strict: bool, samples: Sequence[str] | None = None
) -> dict[str, str]:
    """The part of a file that is asked for, as it is written into `loads`; empty for all of it.

    >>> describe_selection(["22"], [], strict=False, samples=["HG2", "HG1"])
    {'contig': '22', 'samples': '2: 9cc392c2090a2e6a'}
    """
    selection = {}
    if contigs := sorted(set(contigs)):
        selection["contig"] = " ".join(contigs)
    if texts := sorted({str(r) for r in regions}):
        selection["region"] = " ".join(texts)
    if strict:
        selection["strict"] = "true"
    if samples is not None:  # thousands of ids: their number and a digest
        digest = hashlib.sha256("\n".join(samples).encode()).hexdigest()[:16]
        selection["samples"] = f"{len(samples)}: {digest}"
    return selection


def covers(wide: Mapping[str, str], narrow: Mapping[str, str]) -> bool:
    """Whether everything that `narrow` selects is also in `wide`.

    >>> covers({}, {"contig": "22"}), covers({"contig": "21 22"}, {"region": "22:5-9"})
    (True, True)
    >>> covers({"region": "22:5-9"}, {})
    False
    """
    if narrow.get("strict") and not wide.get("strict"):
        return False
    if narrow.get("samples") != wide.get("samples"):
        return False
    if not (wide.keys() - _NOT_PLACES):
        return True
    if not (narrow.keys() - _NOT_PLACES):
        return False
    wide_contigs = set(wide.get("contig", "").split())
    wide_regions = [Region.parse(text) for text in wide.get("region", "").split()]
    if not set(narrow.get("contig", "").split()) <= wide_contigs:
        return False
    for text in narrow.get("region", "").split():
        region = Region.parse(text)
        inside = any(
            w.contig == region.contig and w.start <= region.start and region.end <= w.end
            for w in wide_regions
        )
        if region.contig not in wide_contigs and not inside:
            return False
    return True


def decide_load(new: LoadIdentity, path: str, earlier: Iterable[EarlierLoad]) -> Decision:
    """Compare a load with the earlier ones of the same target and subject.

    The same content is loaded once: a narrower load of it is superseded by a wider one, and is a no-op after it; a
    load with another build or made by another parser is superseded. A file that changed in its place supersedes what
    was loaded from that place.

    Raises:
        LakeError: the same content was loaded with a selection that partly overlaps; its rows would be there twice.
    """
    supersedes = []
    for old in earlier:
        if old.load_id == new.load_id:
            return Decision(covered_by=old.load_id)
        if old.content_id == new.content_id:
            if old.build != new.build or covers(new.selection, old.selection):
                supersedes.append(old.load_id)
            elif covers(old.selection, new.selection):
                return Decision(covered_by=old.load_id)
            elif _may_overlap(old.selection, new.selection):
                raise LakeError(
                    f"Another part of this file, which overlaps, was loaded before (load {old.load_id}).",
                    where=path,
                    mend="Ask for a selection that holds both, or for one that does not overlap.",
                )
        elif old.path == path:
            supersedes.append(old.load_id)
    return Decision(covered_by=None, supersedes=tuple(sorted(supersedes)))


def _may_overlap(a: Mapping[str, str], b: Mapping[str, str]) -> bool:
    if not (a.keys() - _NOT_PLACES and b.keys() - _NOT_PLACES):
        return True  # one of them is the whole file

    def contigs(selection: Mapping[str, str]) -> set[str]:
        return set(selection.get("contig", "").split())

    def regions(selection: Mapping[str, str]) -> list[Region]:
        return [Region.parse(text) for text in selection.get("region", "").split()]

    if contigs(a) & (contigs(b) | {r.contig for r in regions(b)}) or contigs(b) & {
        r.contig for r in regions(a)
    }:
        return True
    # A record that spans the gap between two regions belongs to both: regions of one contig may share records.
    return bool({r.contig for r in regions(a)} & {r.contig for r in regions(b)})
