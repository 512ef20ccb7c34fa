"""How a mapping is cut into blocks: consecutive phenotypes and the variants of all their windows, a task each.

Blocks are cut by what the set holds and by estimated work, never by the cluster: a run that goes on after another was
killed has the same blocks, and any number of partitions gives the same rows.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kgp.io.parts import TablePart
from kgp.jobs.map_places import ContigRows, Place, find_windows

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Dosages of a block at most (128 MB in single precision), which bounds a task's memory; one phenotype may have more.
MAX_VALUES = 1 << 25
# Work of a block, as estimated: a tenth of all, so that cores end at the same time, within these bounds: short enough
# that little is lost by a kill, long enough that what its neighbours read, too, is a small part.
_BLOCKS = 10
LEAST_BLOCK_SECONDS, BLOCK_SECONDS = 0.4, 4.0
# Parts of a block that are only the rounding of sums.
_ROUNDING = 1e-9
# That of a trans block, which reads and standardises all phenotypes before.
TRANS_BLOCK_SECONDS = 15.0

# Seconds a phenotype on one core, of the variants in the window of each and the people; see MapMode.
Estimate = Callable[[Ints, int], Floats]


@dataclass(frozen=True)
class PlannedBlock:
    """Phenotypes and a stretch of variants that a task maps; small enough to be sent.

    Args:
        number: place in the order of the mapping's rows, from 0.
        phenotype_ids: in the order of their groups.
        group_ids: group of each; equal ones stand together.
        phenotype_parts: parts of `eqtl_phenotypes` that hold them.
        genotype_parts: parts of `eqtl_genotypes` that hold the variants.
        span: stretch of the variants' starts, 0-based half-open.
        covariates_of: contig whose covariates are taken.
        is_first: whether no block before has the same phenotypes: they are counted there.
        seconds: estimated work on one core.
    """

    number: int
    phenotype_ids: tuple[str, ...]
    group_ids: tuple[str, ...]
    phenotype_parts: tuple[TablePart, ...]
    genotype_parts: tuple[TablePart, ...]
    span: tuple[int, int]
    covariates_of: str
    is_first: bool
    seconds: float

    @property
    def key(self) -> str:
        """Name of the block's result: another for other phenotypes or variants."""
        content = json.dumps([self.phenotype_ids, self.group_ids, self.span, self.covariates_of])
        return f"{self.number:06d}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def plan_cis(
    places: Sequence[Place],
    contigs: Mapping[str, ContigRows],
    window: int,
    n_samples: int,
    estimate: Estimate,
    *,
    block_seconds: float | None = None,
    small_seconds: float = 0.0,
    max_values: int = MAX_VALUES,
) -> tuple[list[PlannedBlock], int]:
    """Cut phenotypes into blocks of consecutive groups with the variants of all their windows.

    Args:
        places: in the order of `order_places`.
        contigs: contig → its rows.
        window: base pairs to each side of the TSS.
        n_samples: people.
        estimate: see `Estimate`.
        block_seconds: estimated work of a block, to about a group; None: by the work of all.
        small_seconds: work up to which one process does all, and blocks need not be short.
        max_values: most dosages of a block, but for a single group.

    Returns:
        the blocks, and the number of phenotypes without a variant in their window, which are in none.
    """
    works = []
    for contig, here in _by_contig(places):
        tss = np.array([place.tss for place in here], dtype=np.int64)
        windows = find_windows(contigs[contig].starts, tss, window)
        works.append((contig, here, windows, estimate(windows[:, 1] - windows[:, 0], n_samples)))
    if block_seconds is None:
        work = sum(float(seconds.sum()) for *_, seconds in works)
        part = min(max(work / _BLOCKS, LEAST_BLOCK_SECONDS), BLOCK_SECONDS)
        block_seconds = BLOCK_SECONDS if work <= small_seconds else part
    blocks: list[PlannedBlock] = []
    n_without = 0
    for contig, here, windows, seconds in works:
        rows = contigs[contig]
        mapped = [i for i in range(len(here)) if windows[i, 0] < windows[i, 1]]
        n_without += len(here) - len(mapped)
        for members in _cut(here, mapped, windows, seconds, block_seconds, max_values // n_samples):
            first, last = int(windows[members, 0].min()), int(windows[members, 1].max())
            span = (int(rows.starts[first]), int(rows.starts[last - 1]) + 1)
            blocks.append(
                PlannedBlock(
                    number=len(blocks),
                    phenotype_ids=tuple(here[i].phenotype_id for i in members),
                    group_ids=tuple(here[i].group_id for i in members),
                    phenotype_parts=rows.phenotypes,
                    genotype_parts=_parts_in(rows.genotypes, span),
                    span=span,
                    covariates_of=contig,
                    is_first=True,
                    seconds=float(seconds[members].sum()),
                )
            )
    return blocks, n_without


def plan_trans(
    places: Sequence[Place],
    contigs: Mapping[str, ContigRows],
    covariates_differ: bool,
    n_samples: int,
    estimate: Estimate,
    *,
    block_seconds: float = TRANS_BLOCK_SECONDS,
    max_values: int = MAX_VALUES,
) -> list[PlannedBlock]:
    """Cut the variants of all contigs into stretches, each with all phenotypes.

    Args:
        places: in the order of `order_places`.
        contigs: contig → its rows, in karyotype order.
        covariates_differ: phenotypes of each contig have covariates of their own, and so blocks of their own.
        n_samples: people.
        estimate: see `Estimate`.
        block_seconds: estimated work at which a block ends.
        max_values: most dosages of a block.
    """
    blocks: list[PlannedBlock] = []
    together = _by_contig(places) if covariates_differ else iter([(places[0].contig, list(places))])
    for contig, here in together:
        parts = [part for name in dict.fromkeys(p.contig for p in here) for part in contigs[name].phenotypes]
        all_of_them = PlannedBlock(
            number=0,
            phenotype_ids=tuple(place.phenotype_id for place in here),
            group_ids=tuple(place.group_id for place in here),
            phenotype_parts=tuple(parts),
            genotype_parts=(),
            span=(0, 0),
            covariates_of=contig,
            is_first=True,
            seconds=0.0,
        )
        each = float(estimate(np.ones(len(here), dtype=np.int64), n_samples).sum())
        n_at_once = max(1, min(max_values // n_samples, int(block_seconds / each)))
        for rows in contigs.values():
            for span, n_variants in _cut_variants(rows.starts, n_at_once):
                blocks.append(
                    replace(
                        all_of_them,
                        number=len(blocks),
                        genotype_parts=_parts_in(rows.genotypes, span),
                        span=span,
                        is_first=not blocks or blocks[-1].covariates_of != contig,
                        seconds=each * n_variants,
                    )
                )
    return blocks


def _by_contig(places: Sequence[Place]) -> Iterator[tuple[str, list[Place]]]:
    of_contig: dict[str, list[Place]] = {}
    for place in places:
        of_contig.setdefault(place.contig, []).append(place)
    yield from of_contig.items()


def _cut(
    places: Sequence[Place],
    mapped: Sequence[int],
    windows: Ints,
    seconds: Floats,
    block_seconds: float,
    max_variants: int,
) -> Iterator[list[int]]:
    """Rows of consecutive whole groups: blocks of about equal work, fewer rows where they have too many variants."""
    work = float(seconds[mapped].sum())
    # Equal blocks end at the same time; a last one of what is left would be waited for.
    of_each = work / max(1, math.ceil(work / block_seconds - _ROUNDING))
    block: list[int] = []
    done, edge, start, stop = 0.0, of_each, 0, 0
    for group in _groups(places, mapped):
        more = float(seconds[group].sum())
        first, last = int(windows[group, 0].min()), int(windows[group, 1].max())
        n_variants = max(stop, last) - min(start, first)
        middle = done + more / 2
        if block and (middle > edge or n_variants > max_variants):
            yield block
            block = []
        while edge < middle:
            edge += of_each
        if not block:
            start, stop = first, last
        block += group
        done, start, stop = done + more, min(start, first), max(stop, last)
    if block:
        yield block


def _groups(places: Sequence[Place], mapped: Sequence[int]) -> Iterator[list[int]]:
    group: list[int] = []
    for i in mapped:
        if group and places[i].group_id != places[group[0]].group_id:
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def _cut_variants(starts: Ints, n_at_once: int) -> Iterator[tuple[tuple[int, int], int]]:
    """Spans of about so many variants, and their number; those with the same start stay together."""
    begin = 0
    while begin < starts.size:
        last = int(starts[min(begin + n_at_once, starts.size) - 1])
        end = int(np.searchsorted(starts, last, "right"))
        yield (int(starts[begin]), last + 1), end - begin
        begin = end


def _parts_in(parts: Sequence[TablePart], span: tuple[int, int]) -> tuple[TablePart, ...]:
    """Parts that may hold a variant that starts in a span."""
    return tuple(
        part
        for part in parts
        if part.starts is None or (part.starts[0] < span[1] and part.starts[1] >= span[0])
    )
