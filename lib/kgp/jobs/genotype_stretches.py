"""Stretches of contigs, and what one task does with a stretch: all variants that begin there are in its hands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from deltalake.transaction import AddAction

from kgp.io.direct import write_files
from kgp.io.parts import TARGET_ROWS, TablePart, read_part
from kgp.tables import EQTL_GENOTYPES, VARIANTS
from kgp.transforms.genotypes import SCHEMA, GenotypeFilter, filter_genotypes

Ints = npt.NDArray[np.int64]

# Genotypes of a set's people that a task holds at most.
_MOST_KEPT = 100_000_000
# A large callset gives large stretches, so that a set does not fall into thousands of small files.
_STRETCHES = 64
# Genotypes of a callset that a task holds at a time.
_BLOCK_VALUES = 4_000_000
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


@dataclass
class StretchResult:
    """What became of a stretch.

    Args:
        contig: the contig.
        starts: of the kept variants, ascending.
        last_end: greatest end of the kept variants.
        dropped: reason → variants.
        n_missing: missing genotypes of the kept variants.
        repeated: id of a variant that is there more than once.
        written: add-actions of the files.
    """

    contig: str
    starts: Ints
    last_end: int
    dropped: Counter[str]
    n_missing: int
    repeated: str | None = None
    written: list[AddAction] = field(default_factory=list)


@dataclass(frozen=True)
class StretchTask:
    """What is done with a stretch; a task calls it.

    Args:
        which: variants and people.
        matrix_id: of the set.
        root: where `eqtl_genotypes` lies; None to write nothing.
    """

    which: GenotypeFilter
    matrix_id: str
    root: str | None

    def __call__(self, stretch: Stretch) -> StretchResult:
        """Read, filter, sort, write."""
        rows, dropped, n_missing = filter_stretch(stretch, self.which)
        starts = rows["start"].to_numpy()
        last_end = pc.max(rows["end"]).as_py() or 0
        result = StretchResult(stretch.contig, starts, last_end, dropped, n_missing, find_repeated(rows))
        if self.root is not None and rows.num_rows and result.repeated is None:
            ids = pa.repeat(pa.scalar(self.matrix_id), rows.num_rows)
            named = rows.append_column("matrix_id", ids)
            result.written = write_files(named.to_batches(), EQTL_GENOTYPES, self.root)
        return result


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


def filter_stretch(stretch: Stretch, which: GenotypeFilter) -> tuple[pa.Table, Counter[str], int]:
    """The set's rows of a stretch, by start and id; reason → variants dropped; missing genotypes of those kept."""
    dropped: Counter[str] = Counter()
    batches, n_missing = [], 0
    batch_rows = max(1, _BLOCK_VALUES // which.n_callset)
    for part in stretch.parts:
        for batch in read_part(part, VARIANTS, which.columns, batch_rows=batch_rows):
            kept, reasons, n = filter_genotypes(stretch.cut(batch), which)
            dropped += reasons
            n_missing += n
            batches.append(kept)
    return sort_rows(pa.Table.from_batches(batches, SCHEMA)), dropped, n_missing


def sort_rows(rows: pa.Table) -> pa.Table:
    """Rows by start and id, whatever files they come from: as they are where they are in that order."""
    order = pc.sort_indices(rows, sort_keys=[("start", "ascending"), ("variant_id", "ascending")])
    is_sorted = np.array_equal(order.to_numpy(), np.arange(rows.num_rows))
    return rows if is_sorted else rows.take(order)


def find_repeated(rows: pa.Table) -> str | None:
    """The id of a variant that two of the rows, which are sorted, have."""
    ids = rows["variant_id"].combine_chunks()
    repeated = ids[1:].filter(pc.equal(ids[1:], ids[:-1]))
    return str(repeated[0]) if len(repeated) else None


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
