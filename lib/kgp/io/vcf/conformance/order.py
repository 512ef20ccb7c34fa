"""What is odd about the order of records, and which variants occur twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kgp.io.vcf.conformance.oddities import Oddity
from kgp.io.vcf.conformance.reserved import parse_minor

_Place = tuple[str, int]


def needs_line_end(version: str) -> bool:
    """Whether the last line of a file of this version has to end with a line end, as in VCF 4.3 and newer."""
    minor = parse_minor(version)
    return minor is None or minor >= 3


@dataclass
class OrderChecker:
    """Is told of the records of a file, or of a part of it, in file order.

    Variants are compared after the bases that REF and ALT share are cut off at both ends, so that AT → AA at
    123 and T → A at 124 are one. Symbolic alleles are left out: END and SVLEN, which tell them apart, are not
    looked at. Variants that occur twice are found where the rows are in order.

    Args:
        first, last: places of the first and the last record; None before there are any.
        runs: contigs in the order in which they come, each run once.
        furthest: greatest start of the variants that are remembered; those of records to come can't be the same where
            they begin behind it.
    """

    first: _Place | None = None
    last: _Place | None = None
    runs: list[str] = field(default_factory=list)
    furthest: int = -1
    _recent: set[tuple[int, str, str]] = field(default_factory=set)
    """Variants of this contig that begin where the last record does, or later."""
    _seen: set[str] = field(default_factory=set)

    def find(self, contig: str, start: int, ref: str, alts: Sequence[str]) -> tuple[Oddity, ...]:
        """What is odd about where the next record lies.

        Args:
            contig: one name for one contig.
            start: POS - 1.
            ref: REF.
            alts: ALT alleles; none where the record has none.
        """
        found: tuple[Oddity, ...] = ()
        if self.last is None or contig != self.last[0]:
            if contig in self._seen:
                found = (Oddity.OUT_OF_ORDER,)
            if self.last is None:
                self.first = (contig, start)
            self.runs.append(contig)
            self._seen.add(contig)
            self._forget()
        elif start != self.last[1]:
            if start < self.last[1]:
                found = (Oddity.OUT_OF_ORDER,)
                self._forget()
            elif self.furthest < start:
                self._forget()
            else:
                self._recent = {one for one in self._recent if one[0] >= start}
        self.last = (contig, start)
        return (*found, Oddity.VARIANT_TWICE) if self._is_repeated(start, ref, alts) else found

    def _is_repeated(self, start: int, ref: str, alts: Sequence[str]) -> bool:
        is_repeated = False
        for alt in alts:
            if not alt.isalpha():
                continue
            variant = _trim(start, ref, alt) if len(ref) > 1 < len(alt) else (start, ref, alt)
            is_repeated |= variant in self._recent
            self._recent.add(variant)
            self.furthest = max(self.furthest, variant[0])
        return is_repeated

    def _forget(self) -> None:
        self._recent = set()
        self.furthest = -1


def count_at_seams(parts: Iterable[OrderChecker]) -> Counter[Oddity]:
    """What the checkers of a file's parts, in file order, could not see alone: rows that are out of order where
    two parts meet, and contigs that come back in another part. (A variant that occurs twice is not seen where
    its records lie in two parts.)
    """
    last: _Place | None = None
    seen: set[str] = set()
    found: Counter[Oddity] = Counter()
    for part in parts:
        if part.first is None:
            continue
        contigs = list(dict.fromkeys(part.runs))  # those that come back within the part are counted there
        if last is not None and part.first[0] == last[0]:
            found[Oddity.OUT_OF_ORDER] += part.first[1] < last[1]
            contigs = contigs[1:]
        found[Oddity.OUT_OF_ORDER] += sum(contig in seen for contig in contigs)
        seen.update(part.runs)
        last = part.last
    return +found


def _trim(start: int, ref: str, alt: str) -> tuple[int, str, str]:
    """The variant without the bases that both alleles share, one base left of each.

    >>> _trim(122, "AT", "AA"), _trim(122, "CAT", "CT"), _trim(122, "AC", "AC")
    ((123, 'T', 'A'), (122, 'CA', 'C'), (123, 'C', 'C'))
    """
    end, shortest = 0, min(len(ref), len(alt)) - 1
    while end < shortest and ref[-1 - end] == alt[-1 - end]:
        end += 1
    if end and ref != alt:
        ref, alt = ref[:-end], alt[:-end]
    begin, shortest = 0, min(len(ref), len(alt)) - 1
    while begin < shortest and ref[begin] == alt[begin]:
        begin += 1
    return start + begin, ref[begin:], alt[begin:]
