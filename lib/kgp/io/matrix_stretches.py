"""The genotypes of a matrix set in order: contigs in karyotype order, cut into stretches that fit into memory.

The parts of a set lie in files that may overlap in `start`; a stretch reads the row groups that may have a row in it
and sorts what lies in it. Stretches begin at multiples of `WINDOW`, and whatever is compressed apart is compressed a
window at a time: so the bytes of an export depend on the rows of the set alone, and not on files, row groups or cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from kgp.errors import InputError
from kgp.genome import ReferenceBuild
from kgp.io.matrix_sets import GenotypeRows, read_genotypes
from kgp.io.parts import TablePart
from kgp.io.tasks import count_cores, map_splits

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Bases of a window. 1000 Genomes have a variant about every 32 bases: 4,000 of them.
WINDOW = 1 << 17
# Genotypes of a stretch, and of a set up to which the driver makes the files alone: to start Spark takes as long.
STRETCH_VALUES = 32_000_000
DRIVER_VALUES = 200_000_000
# Stretches that are under way at the same time, a core.
_WAVE_STRETCHES = 2

_BEFORE_ALL, _BEHIND_ALL = -(1 << 40), 1 << 40
_PIECES = "pieces array<binary>"

# Makes what is written of the rows of a window.
Make = Callable[[GenotypeRows], tuple[bytes, ...]]


@dataclass(frozen=True)
class Stretch:
    """Variants whose `start` lies in a stretch of a contig.

    Args:
        contig: canonical name.
        begin, end: of `start`, 0-based half-open; multiples of `WINDOW` but for the ends of the contig.
        parts: row groups that may have such a row.
        n_samples: people of the set.
    """

    contig: str
    begin: int
    end: int
    parts: tuple[TablePart, ...]
    n_samples: int


def plan_stretches(parts: Sequence[TablePart], build: ReferenceBuild, n_samples: int) -> list[Stretch]:
    """Cut the contigs of a set, in karyotype order, into stretches of about `STRETCH_VALUES` genotypes.

    Args:
        parts: single row groups of `eqtl_genotypes`, each once.
        build: of the set.
        n_samples: people of the set.
    """
    found: list[Stretch] = []
    by_contig = sorted(parts, key=lambda part: (build.sort_index(_contig(part)), _contig(part)))
    for contig, group in groupby(by_contig, key=_contig):
        here = sorted(group, key=lambda part: (_starts(part), part.path, part.row_groups))
        cuts, n_values = [_BEFORE_ALL], 0
        first = _window(here[0])
        for part in here:
            if n_values + part.n_rows * n_samples > STRETCH_VALUES and _window(part) > first:
                first, n_values = _window(part), 0
                cuts.append(first * WINDOW)
            n_values += part.n_rows * n_samples
        for begin, end in zip(cuts, [*cuts[1:], _BEHIND_ALL], strict=True):
            inside = tuple(p for p in here if _starts(p)[0] < end and _starts(p)[1] >= begin)
            found.append(Stretch(contig, begin, end, inside, n_samples))
    return found


def read_stretch(stretch: Stretch) -> GenotypeRows | None:
    """The rows of a stretch, by start and variant_id; None where all that lie there are of other sets.

    Raises:
        CheckError: a row has another number of samples than the set.
        InputError: a dosage is none of a diploid genotype.
    """
    batches = []
    for part in stretch.parts:
        for batch in read_genotypes(part, stretch.n_samples):
            starts = batch.rows.column("start").to_numpy()
            is_in = (starts >= stretch.begin) & (starts < stretch.end)
            if is_in.all():
                batches.append(batch)
            elif is_in.any():
                batches.append(GenotypeRows(batch.rows.filter(pa.array(is_in)), batch.dosages[is_in]))
    if not batches:
        return None
    for batch in batches:
        _check_dosages(batch)
    rows = pa.concat_batches([batch.rows for batch in batches])
    dosages = batches[0].dosages if len(batches) == 1 else np.concatenate([b.dosages for b in batches])
    ids = rows.column("variant_id").to_numpy(zero_copy_only=False)
    order = np.lexsort((ids, rows.column("start").to_numpy()))
    if (np.diff(order) == 1).all():
        return GenotypeRows(rows, dosages)
    return GenotypeRows(rows.take(pa.array(order)), dosages[order])


def has_expected_dosages(stretches: Sequence[Stretch]) -> bool:
    """Whether the set holds expected dosages rather than copies by GT; one of the two in all rows."""
    first = next(read_genotypes(stretches[0].parts[0], stretches[0].n_samples, batch_rows=1))
    return bool(first.dosages.dtype == np.float32)


def make_pieces(
    stretches: Sequence[Stretch], make: Make, n_variants: int, start_spark: Callable[[], SparkSession]
) -> Iterator[tuple[bytes, ...]]:
    """What a function makes of each window of the stretches, in order.

    Spark's tasks do it where the set is large, a few stretches a core at a time; else the driver.

    Args:
        stretches: of `plan_stretches`.
        make: called with the rows of a window; picklable.
        n_variants: of the set.
        start_spark: gives the session.
    """
    if not stretches:
        return
    if n_variants * stretches[0].n_samples <= DRIVER_VALUES:
        for stretch in stretches:
            yield from _make(stretch, make)
        return

    def run(stretch: Stretch) -> Iterator[pa.RecordBatch]:
        for pieces in _make(stretch, make):
            yield pa.RecordBatch.from_pydict({"pieces": pa.array([list(pieces)], pa.list_(pa.binary()))})

    spark = start_spark()
    n_wave = _WAVE_STRETCHES * count_cores(spark)
    for begin in range(0, len(stretches), n_wave):
        for row in map_splits(spark, stretches[begin : begin + n_wave], run, _PIECES).collect():
            yield tuple(bytes(piece) for piece in row.pieces)


def _make(stretch: Stretch, make: Make) -> Iterator[tuple[bytes, ...]]:
    found = read_stretch(stretch)
    if found is None:
        return
    windows = found.rows.column("start").to_numpy() // WINDOW
    cuts = [0, *(np.flatnonzero(np.diff(windows)) + 1).tolist(), len(windows)]
    for begin, end in pairwise(cuts):
        yield make(GenotypeRows(found.rows.slice(begin, end - begin), found.dosages[begin:end]))


def _check_dosages(batch: GenotypeRows) -> None:
    dosages = batch.dosages
    least = -1 if dosages.dtype == np.int8 else 0
    is_strange = (dosages < least) | (dosages > 2)
    if is_strange.any():
        row = int(np.argmax(is_strange.any(axis=1)))
        raise InputError(
            f"Variant {batch.rows.column('variant_id')[row]} has a dosage of {dosages[is_strange][0]:g}, which is no "
            "number of copies in a diploid genotype.",
            where="table eqtl_genotypes",
            mend="Only sets of diploid genotypes can be exported.",
        )


def _contig(part: TablePart) -> str:
    return part.values["contig"] or ""


def _window(part: TablePart) -> int:
    return _starts(part)[0] // WINDOW


def _starts(part: TablePart) -> tuple[int, int]:
    return part.starts or (_BEFORE_ALL, _BEHIND_ALL)
