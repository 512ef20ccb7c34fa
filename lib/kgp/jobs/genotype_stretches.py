"""Stretches of contigs: what one task does of a callset's variants, so that all that begin there are in its hands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from kgp.io.parts import TARGET_ROWS, TablePart
from kgp.transforms.genotypes import GenotypeFilter

# Genotypes of a set's people that a task holds at most.
_MOST_KEPT = 100_000_000
# A large callset gives large stretches, so that a set does not fall into thousands of small files.
_STRETCHES = 64
_EVERYWHERE = (-1, int(np.iinfo(np.int64).max))


@dataclass(frozen=True)
class Stretch:
    """What one task does: all variants of a contig that begin in a stretch.

    Args:
        contig: the contig.
        begin: first start, 0-based.
        end: one past the last start.
        parts: of `variants`; they hold all rows of the stretch, and may hold others.
    """

    contig: str
    begin: int
    end: int
    parts: tuple[TablePart, ...]

    def cut(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows that begin in the stretch."""
        starts = batch["start"].to_numpy()
        is_inside = (starts >= self.begin) & (starts < self.end)
        return batch if is_inside.all() else batch.filter(pa.array(is_inside))


def plan_stretches(parts: Iterable[TablePart], which: GenotypeFilter) -> list[Stretch]:
    """Disjoint stretches that together hold all variants near a phenotype.

    Args:
        parts: of the callset, each of one row group.
        which: variants and people.
    """
    near = [part for part in parts if _may_be_near(part, which)]
    n_rows = sum(part.n_rows for part in near)
    most = _MOST_KEPT // len(which.sample_indices)
    target = max(1, min(max(n_rows // _STRETCHES, TARGET_ROWS), most))
    by_contig: dict[str, list[TablePart]] = {}
    for part in near:
        by_contig.setdefault(str(part.values["contig"]), []).append(part)
    return [stretch for contig, of_contig in by_contig.items() for stretch in _cut(contig, of_contig, target)]


def _may_be_near(part: TablePart, which: GenotypeFilter) -> bool:
    """Whether a row may lie in a window, by the statistics."""
    if part.starts is None:
        return True
    tss = which.sorted_tss[str(part.values["contig"])]
    first = np.searchsorted(tss, part.starts[0] + 1 - which.cis_window)
    return bool(first < np.searchsorted(tss, part.starts[1] + 1 + which.cis_window, side="right"))


def _cut(contig: str, parts: Sequence[TablePart], target_rows: int) -> list[Stretch]:
    """A contig in stretches of about so many rows, cut where row groups begin."""
    spans = [part.starts or _EVERYWHERE for part in parts]
    cuts, n_rows = [_EVERYWHERE[0]], 0
    for (least, _), part in sorted(zip(spans, parts, strict=True), key=lambda one: one[0]):
        if n_rows and n_rows + part.n_rows > target_rows and least > cuts[-1]:
            cuts.append(least)
            n_rows = 0
        n_rows += part.n_rows
    stretches = []
    for begin, end in zip(cuts, [*cuts[1:], _EVERYWHERE[1]], strict=True):
        inside = [part for (a, b), part in zip(spans, parts, strict=True) if a < end and b >= begin]
        stretches.append(Stretch(contig, begin, end, tuple(_join(inside))))
    return stretches


def _join(parts: Iterable[TablePart]) -> list[TablePart]:
    """Row groups of one file as one part."""
    by_file: dict[str, list[TablePart]] = {}
    for part in parts:
        by_file.setdefault(part.path, []).append(part)
    return [
        replace(
            of_file[0],
            row_groups=tuple(sorted(group for part in of_file for group in part.row_groups)),
            n_rows=sum(part.n_rows for part in of_file),
        )
        for of_file in by_file.values()
    ]
