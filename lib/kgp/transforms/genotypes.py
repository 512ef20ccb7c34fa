"""Genotype rows of a matrix set: which variants, whose dosages, in which order. Pure functions.

Every variant that a window can reach comes out: with its values in the set's sample order and the
cohort's own counts, or with the reason why it is left out; `keep_and_count` counts the reasons in the
very pass that writes the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgp.transforms.matrices import as_lists

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Observation

Flags = NDArray[np.bool_]

NO_ALT = "no alternate allele"
MULTIALLELIC = "multiallelic"
NO_DOSAGES = "no genotypes"
OUTSIDE_WINDOWS = "outside the cis windows"
OTHER_LENGTH = "genotypes of another number of samples"
MISSING = "too many missing genotypes"
MONOMORPHIC = "monomorphic in the cohort"
RARE = "minor allele too rare in the cohort"

# Of several reasons against a variant the first of these is given.
REASONS = (
    NO_ALT, MULTIALLELIC, NO_DOSAGES, OTHER_LENGTH, OUTSIDE_WINDOWS, MISSING, MONOMORPHIC, RARE,
)  # fmt: skip

# Genotypes that a task holds as numbers at a time.
BLOCK_VALUES = 4_000_000

_COPIED = ("contig", "variant_id", "start", "end", "ref", "alt", "vcf_id", "rsid")
_ROWS = (
    "contig string, variant_id string, start long, end long, ref string, alt string, vcf_id string, "
    "rsid string, ac int, an int, af double, n_missing int, values array<double>, reason string"
)


@dataclass(frozen=True)
class GenotypeFilter:
    """Which variants of a callset go into a set, and whose genotypes.

    Args:
        sample_indices: places of the set's people in the callset's arrays.
        n_callset: length of the callset's arrays.
        tss_by_contig: contig → TSS (1-based) of the kept phenotypes.
        cis_window: bases to each side of a TSS, inclusive.
        min_maf: least minor allele frequency among the set's people, inclusive.
        max_missing: greatest fraction of the set's people without a genotype, inclusive.
    """

    sample_indices: tuple[int, ...]
    n_callset: int
    tss_by_contig: Mapping[str, Sequence[int]]
    cis_window: int
    min_maf: float
    max_missing: float


@dataclass(frozen=True, eq=False)
class AlleleCounts:
    """Counts among the set's people, one a variant: ALT copies, called alleles, people without a genotype."""

    ac: NDArray[np.int32]
    an: NDArray[np.int32]
    n_missing: NDArray[np.int32]
    n_samples: int


def gather_genotypes(variants: DataFrame, which: GenotypeFilter) -> DataFrame:
    """One row a variant: values in the set's order and the cohort's counts, or the reason against it.

    The contigs must be diploid: every called genotype counts two alleles. What lies beyond all windows of
    a contig is not read and does not come out.

    Args:
        variants: rows of one callset.
        which: people, windows and thresholds.

    Returns:
        columns of `eqtl_genotypes` but matrix_id, and `reason`, null where the row is kept.
    """
    from pyspark.sql import functions as F

    within_reach = F.lit(False)
    for contig, tss in sorted(which.tss_by_contig.items()):
        # POS 0, the telomere, has no place in a matrix.
        first, last = max(min(tss) - which.cis_window - 1, 0), max(tss) + which.cis_window - 1
        within_reach = within_reach | ((F.col("contig") == contig) & F.col("start").between(first, last))
    rows = variants.where(within_reach).select(*_COPIED, "n_alts", "dosages")
    return rows.mapInArrow(_gather_blocks(which), _ROWS)


def keep_and_count(rows: DataFrame) -> tuple[DataFrame, Observation]:
    """The kept rows, and counts that are there once they have been written.

    Args:
        rows: from `gather_genotypes`.

    Returns:
        rows without `reason`; an observation with a count for each of `REASONS`, ``kept``, and
        ``shortest`` and ``longest``, the lengths of `values`.
    """
    from pyspark.sql import Observation
    from pyspark.sql import functions as F

    counts = Observation()
    length = F.when(F.col("reason").isNull(), F.size("values"))
    observed = rows.observe(
        counts,
        *(F.count_if(F.col("reason") == reason).alias(reason) for reason in REASONS),
        F.count_if(F.col("reason").isNull()).alias("kept"),
        F.min(length).alias("shortest"),
        F.max(length).alias("longest"),
    )
    return observed.where("reason IS NULL").drop("reason"), counts


def count_alleles(dosages: NDArray[np.int8]) -> AlleleCounts:
    """Counts of each variant.

    Args:
        dosages: variants × samples, copies of ALT in diploid genotypes, -1 where missing.

    >>> counts = count_alleles(np.array([[0, 1, 2, -1]], dtype=np.int8))
    >>> counts.ac.tolist(), counts.an.tolist(), counts.n_missing.tolist()
    ([3], [6], [1])
    """
    is_missing = dosages < 0
    n_missing = is_missing.sum(axis=1, dtype=np.int32)
    ac = np.where(is_missing, 0, dosages).sum(axis=1, dtype=np.int32)
    return AlleleCounts(ac, 2 * (np.int32(dosages.shape[1]) - n_missing), n_missing, dosages.shape[1])


def judge_counts(counts: AlleleCounts, min_maf: float, max_missing: float) -> dict[str, Flags]:
    """What the counts say against each variant: reason → flags.

    Both bounds are inclusive. A frequency is one division of whole numbers, so it equals the decimal at a
    bound.
    """
    minor = np.minimum(counts.ac, counts.an - counts.ac)
    frequency = np.divide(minor, counts.an, out=np.zeros(minor.size), where=counts.an > 0)
    return {
        MISSING: (counts.n_missing / counts.n_samples > max_missing) | (counts.an == 0),
        MONOMORPHIC: minor == 0,
        RARE: frequency < min_maf,
    }


def is_in_window(pos: NDArray[np.int64], tss: NDArray[np.int64], cis_window: int) -> Flags:
    """Whether any TSS lies within the window of a position: |pos − tss| <= cis_window.

    Args:
        pos: 1-based, one a variant.
        tss: 1-based, ascending.

    >>> is_in_window(np.array([5, 10, 21]), np.array([15]), 5).tolist()
    [False, True, False]
    """
    first = np.searchsorted(tss, pos - cis_window)
    return np.asarray(first < np.searchsorted(tss, pos + cis_window, side="right"))


def _gather_blocks(
    which: GenotypeFilter,
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    indices = np.asarray(which.sample_indices, dtype=np.int64)
    tss_by_contig = {c: np.unique(np.asarray(tss, dtype=np.int64)) for c, tss in which.tss_by_contig.items()}

    def gather(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        block_rows = max(1, BLOCK_VALUES // which.n_callset)
        for batch in batches:
            for begin in range(0, batch.num_rows, block_rows):
                yield from gather_block(batch.slice(begin, block_rows))

    def gather_block(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        reasons = np.full(batch.num_rows, None, dtype=object)
        flags = _judge_rows(batch, which.n_callset, tss_by_contig, which.cis_window)
        is_open = ~np.any(list(flags.values()), axis=0)
        dosages = batch.column("dosages").filter(pa.array(is_open))
        flat = pc.fill_null(dosages.flatten(), -1).to_numpy(zero_copy_only=False)
        picked = flat.reshape(len(dosages), which.n_callset)[:, indices]
        counts = count_alleles(picked)
        for reason, against in judge_counts(counts, which.min_maf, which.max_missing).items():
            flags[reason] = np.zeros(batch.num_rows, dtype=bool)
            flags[reason][is_open] = against
        for reason in reversed(REASONS):
            reasons[flags[reason]] = reason
        is_kept = ~np.any(list(flags.values()), axis=0)
        yield _kept_rows(batch.filter(pa.array(is_kept)), picked, counts, is_kept[is_open])
        yield _dropped_rows(batch.filter(pa.array(~is_kept)), reasons[~is_kept].tolist())

    return gather


def _judge_rows(
    batch: pa.RecordBatch, n_callset: int, tss_by_contig: Mapping[str, NDArray[np.int64]], cis_window: int
) -> dict[str, Flags]:
    """What can be said against each row before its genotypes are looked at: reason → flags."""
    contigs, pos = batch.column("contig"), batch.column("start").to_numpy() + 1
    inside = np.zeros(batch.num_rows, dtype=bool)
    for contig, tss in tss_by_contig.items():
        here = _flags(pc.equal(contigs, contig))
        inside[here] = is_in_window(pos[here], tss, cis_window)
    dosages = batch.column("dosages")
    return {
        NO_ALT: _flags(pc.is_null(batch.column("alt"))),
        MULTIALLELIC: _flags(pc.greater(batch.column("n_alts"), 1)),
        NO_DOSAGES: _flags(pc.is_null(dosages)),
        OTHER_LENGTH: _flags(pc.not_equal(pc.list_value_length(dosages), n_callset)),
        OUTSIDE_WINDOWS: ~inside,
    }


def _flags(values: pa.Array) -> Flags:
    return np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False))


def _kept_rows(
    rows: pa.RecordBatch, picked: NDArray[np.int8], counts: AlleleCounts, is_kept: Flags
) -> pa.RecordBatch:
    dosages, ac, an = picked[is_kept], counts.ac[is_kept], counts.an[is_kept]
    made = {
        "ac": pa.array(ac),
        "an": pa.array(an),
        "af": pa.array(ac / an),
        "n_missing": pa.array(counts.n_missing[is_kept]),
        "values": as_lists(dosages.astype(np.float64), dosages < 0),
        "reason": pa.nulls(len(ac), pa.string()),
    }
    return pa.RecordBatch.from_pydict({**{name: rows.column(name) for name in _COPIED}, **made})


def _dropped_rows(rows: pa.RecordBatch, reasons: list[str]) -> pa.RecordBatch:
    n = len(reasons)
    made = {
        **{name: pa.nulls(n, pa.int32()) for name in ("ac", "an")},
        "af": pa.nulls(n, pa.float64()),
        "n_missing": pa.nulls(n, pa.int32()),
        "values": pa.nulls(n, pa.list_(pa.float64())),
        "reason": pa.array(reasons, pa.string()),
    }
    return pa.RecordBatch.from_pydict({**{name: rows.column(name) for name in _COPIED}, **made})
