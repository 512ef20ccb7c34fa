"""Which lines of several files make one record, going along a contig; gVCF reference blocks included.

A record is made of all lines of one place with the same REF; symbolic alleles must also reach equally far. Where a
file has no line there but a reference block over the first base of the place, the block gives its samples' genotypes,
as in `bcftools merge --gvcf`. Between such records the blocks are cut where any of them begins or ends, and each
stretch is a record of its own. Unlike bcftools, lines of one place with another REF are not brought to a common one,
and a block of one base counts as a longer one does.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from kgp.transforms.alleles import is_symbolic, parse_info
from kgp.transforms.merge import OPEN_ALTS, Site, SiteLine

# A base of a stretch that no block begins at: the files do not say what it is.
UNKNOWN_BASE = "N"


def sweep(lines: Iterable[SiteLine], begin: int, end: int | None) -> Iterator[Site]:
    """The records of a stretch of a contig, in order of place.

    Args:
        lines: sorted by (start, file, place in the file): those that start in the stretch, and before them the blocks
            that reach into it.
        begin, end: of the stretch, 0-based half-open, at places where lines start; `end` None for all there is.
    """
    blocks = _Blocks()
    at = begin
    for start, found in groupby(lines, key=lambda line: max(line.start, begin)):
        yield from blocks.cut(at, start)
        here = list(found)
        rows = []
        for line in here:
            if line.is_block:
                blocks.add(line)
            else:
                rows.append(line)
        at = start
        if rows:
            covers = {line.file: line for line in rows if not line.alts} | blocks.find(start)
            for group in group_lines(rows):
                files = {line.file for line in group}
                others = {file: line for file, line in covers.items() if file not in files}
                yield Site(start, None, group[0].ref, group, others)
            at = start + 1
    yield from blocks.cut(at, end)


def group_lines(lines: Sequence[SiteLine]) -> list[list[SiteLine]]:
    """Lines of one place that make one record each, in order of first appearance, at most one line of a file in each.

    Where a file has several lines of one REF, as after ``bcftools norm -m-``, lines belong together that have the same
    ALTs.
    """
    by_ref: dict[tuple[object, ...], list[SiteLine]] = {}
    for line in lines:
        by_ref.setdefault((line.ref, *_extent(line)), []).append(line)
    groups: list[list[SiteLine]] = []
    for group in by_ref.values():
        if len({line.file for line in group}) == len(group):
            groups.append(group)
            continue
        by_alts: dict[tuple[object, ...], list[SiteLine]] = {}
        seen: dict[tuple[object, ...], int] = {}
        for line in group:
            seen[line.file, line.alts] = n = seen.get((line.file, line.alts), 0) + 1
            by_alts.setdefault((line.alts, n), []).append(line)
        groups += by_alts.values()
    return groups


def _extent(line: SiteLine) -> tuple[object, ...]:
    """What else must be the same: two deletions of different lengths are both called <DEL>."""
    symbols = [alt for alt in line.alts if is_symbolic(alt) and alt not in OPEN_ALTS]
    if not symbols:
        return ()
    is_insertion = any(alt.startswith("<INS") for alt in symbols)
    return (line.end, parse_info(line.info).get("SVLEN") if is_insertion else None)


class _Blocks:
    """The reference blocks over the place that the sweep has come to."""

    def __init__(self) -> None:
        self._by_file: dict[int, list[SiteLine]] = {}
        self._ends: list[int] = []

    def add(self, block: SiteLine) -> None:
        self._by_file.setdefault(block.file, []).append(block)
        heapq.heappush(self._ends, block.end)

    def find(self, at: int) -> dict[int, SiteLine]:
        """file → its block over a place, the one that began last; blocks that end before it are forgotten."""
        found = {}
        for file, blocks in list(self._by_file.items()):
            blocks[:] = [block for block in blocks if block.end > at]
            if blocks:
                found[file] = blocks[-1]
            else:
                del self._by_file[file]
        while self._ends and self._ends[0] <= at:
            heapq.heappop(self._ends)
        return found

    def cut(self, at: int, until: int | None) -> Iterator[Site]:
        """Stretches from one place to another with the same blocks all along."""
        while (until is None or at < until) and (covers := self.find(at)):
            end = self._ends[0] if until is None else min(self._ends[0], until)
            lines = [covers[file] for file in sorted(covers)]
            yield Site(at, end, _base_at(at, lines), lines)
            at = end


def _base_at(at: int, lines: Sequence[SiteLine]) -> str:
    for line in lines:
        if at - line.start < len(line.ref):
            return line.ref[at - line.start]
    return UNKNOWN_BASE
