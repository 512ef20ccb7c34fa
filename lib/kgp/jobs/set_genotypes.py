"""The genotypes of a matrix set before it is named: from the files that its tasks wrote, or filtered again.

No log names the files yet, so nobody else takes them for debris, or reads them; a dry run has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction
from numpy.typing import NDArray

from kgp.io.matrix_sets import PLACES, Dosages, GenotypeRows, read_genotypes, to_dosages
from kgp.io.parts import TablePart
from kgp.io.storage import open_binary
from kgp.job import Context
from kgp.jobs.genotype_stretches import filter_stretch, plan_stretches
from kgp.tables import VARIANTS
from kgp.transforms.genotypes import GenotypeFilter

Ints = NDArray[np.int64]


class SetGenotypes(Protocol):
    """What the search for mix-ups asks of the genotypes of a set."""

    def read(self, contig: str, span: tuple[int, int]) -> Iterator[GenotypeRows]:
        """Variants of a contig, by start: all that begin in a stretch (0-based half-open), and maybe others."""


@dataclass(frozen=True)
class WrittenGenotypes:
    """Genotypes in files.

    Args:
        parts: of the files, a contig's by start.
        n_samples: people of the set.
    """

    parts: tuple[TablePart, ...]
    n_samples: int

    @classmethod
    def of(cls, root: str, files: Iterable[AddAction], n_samples: int) -> WrittenGenotypes:
        """Those of files below a directory or URL, in the order in which they were written."""
        return cls(tuple(_describe(root, file) for file in files), n_samples)

    def read(self, contig: str, span: tuple[int, int]) -> Iterator[GenotypeRows]:
        """See `SetGenotypes`."""
        for part in self.parts:
            if part.values["contig"] == contig and part.may_overlap(*span):
                yield from read_genotypes(part, self.n_samples)


@dataclass(frozen=True)
class FilteredGenotypes:
    """Genotypes as `variants` has them, filtered when they are asked for: nothing is written.

    Args:
        context: of a job that reads `variants`.
        callset: where they come from.
        which: variants and people of the set.
    """

    context: Context
    callset: str
    which: GenotypeFilter

    def read(self, contig: str, span: tuple[int, int]) -> Iterator[GenotypeRows]:
        """See `SetGenotypes`."""
        which = replace(self.which, tss_by_contig={contig: self.which.tss_by_contig[contig]})
        parts = self.context.parts(
            VARIANTS,
            partitions={"callset": [self.callset], "contig": [contig]},
            # A row may be no base long and end where it begins.
            span=(span[0] - 1, span[1]),
            target_rows=1,
        )
        for stretch in plan_stretches(parts, which):
            rows, _, _ = filter_stretch(stretch, which)
            for batch in rows.combine_chunks().to_batches():
                dosages = to_dosages(
                    batch.column(which.genotype_column), len(which.sample_indices), f"callset {self.callset}"
                )
                yield GenotypeRows(batch.select(list(PLACES)), dosages)


def cut_genotypes(
    found: Iterable[GenotypeRows], span: tuple[int, int], n_rows: int
) -> Iterator[tuple[Sequence[str], Ints, Dosages]]:
    """The variants that begin in a stretch, so many at a time: sums in floating point don't depend on files.

    Args:
        found: variants of a contig, by start.
        span: the stretch, 0-based half-open.
        n_rows: variants of each block but the last.

    Returns:
        ids, places (1-based) and dosages (variants × people, missing ones filled in) of each block.
    """
    held: list[tuple[list[str], Ints, Dosages]] = []
    n_held = 0
    for rows in found:
        starts = rows.pos - 1
        inside = np.flatnonzero((starts >= span[0]) & (starts < span[1]))
        ids = rows.rows.column("variant_id").take(pa.array(inside)).to_pylist()
        held.append((ids, rows.pos[inside], GenotypeRows(rows.rows, rows.dosages[inside]).complete()))
        n_held += inside.size
        if n_held >= n_rows:
            ids, pos, dosages = _join(held)
            n_whole = n_held - n_held % n_rows
            for at in range(0, n_whole, n_rows):
                yield ids[at : at + n_rows], pos[at : at + n_rows], dosages[at : at + n_rows]
            held, n_held = [(ids[n_whole:], pos[n_whole:], dosages[n_whole:])], n_held - n_whole
    if n_held:
        yield _join(held)


def _join(
    held: Sequence[tuple[list[str], Ints, Dosages]],
) -> tuple[list[str], Ints, Dosages]:
    ids = [one for some, _, _ in held for one in some]
    return ids, np.concatenate([pos for _, pos, _ in held]), np.concatenate([found for _, _, found in held])


def _describe(root: str, file: AddAction) -> TablePart:
    """All row groups of a file as one part."""
    path = f"{root}/{file.path}"
    with open_binary(path) as opened:
        footer = pq.read_metadata(opened)
    return TablePart(path, file.partition_values, tuple(range(footer.num_row_groups)), n_rows=footer.num_rows)
