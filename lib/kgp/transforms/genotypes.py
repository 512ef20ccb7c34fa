"""Genotype rows of a matrix set: which variants, whose genotypes, in which order. Pure functions.

Every variant comes out: with the genotypes of the set's people in their order and the cohort's own counts, or counted
under the first reason of `REASONS` that is against it. The rules on places and alleles are here, those on what the
cohort's genotypes say in `kgp.transforms.genotype_filters`, those on X in `kgp.transforms.ploidy`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kgp.errors import CheckError
from kgp.genome import ReferenceBuild, get_build
from kgp.tables import EQTL_GENOTYPES
from kgp.transforms import genotype_filters as rules
from kgp.transforms.cohort_genotypes import Cohort, take_genotypes
from kgp.transforms.genotype_filters import CohortCounts, Copies, Flags
from kgp.transforms.ploidy import is_hemizygous, is_on_x

Starts = npt.NDArray[np.int64]

OUTSIDE_WINDOWS = "outside the cis windows"
ON_X = "on chromosome X"
NO_ALT = "no alternate allele"
MULTIALLELIC = "multiallelic"
NO_DOSAGES = "no genotypes"
NO_EXPECTED = "no dosages"
OTHER_LENGTH = "genotypes of another number of samples"
UNKNOWN_PLOIDY = "on X without genotypes that tell one allele from two"
MISSING = "too many missing genotypes"
INCOMPLETE = "a missing genotype"
MONOMORPHIC = "monomorphic in the cohort"
CONSTANT = "the same genotype in everybody"
RARE = "minor allele too rare in the cohort"
FEW_MINOR = "too few minor alleles in the cohort"
OUT_OF_EQUILIBRIUM = "out of Hardy-Weinberg equilibrium in the cohort"

# Of several reasons against a variant the first of these is given. The place comes first: what lies beyond the windows
# need not be read, however the files are cut.
REASONS = (
    OUTSIDE_WINDOWS, ON_X, NO_ALT, MULTIALLELIC, NO_DOSAGES, NO_EXPECTED, OTHER_LENGTH, UNKNOWN_PLOIDY,
    MISSING, INCOMPLETE, MONOMORPHIC, CONSTANT, RARE, FEW_MINOR, OUT_OF_EQUILIBRIUM,
)  # fmt: skip

SCHEMA = pa.schema([field for field in EQTL_GENOTYPES.arrow_schema if field.name != "matrix_id"])

_COPIED = ("contig", "variant_id", "start", "end", "ref", "alt", "vcf_id", "rsid")


@dataclass(frozen=True)
class GenotypeFilter:
    """Which variants of a callset go into a set, and whose genotypes.

    Args:
        sample_indices: places of the set's people in the callset's arrays.
        n_callset: length of the callset's arrays.
        sexes: male, female or None of each of the set's people; on X nobody may be None.
        build: name of the reference build.
        tss_by_contig: contig → TSS (1-based) of the kept phenotypes.
        cis_window: bases to each side of a TSS, inclusive.
        source: copies by GT (calls), or expected copies by DS or GP (dosages).
        min_maf: least minor allele frequency among the set's people, inclusive.
        min_mac: least number of copies of the minor allele among them, inclusive.
        max_missing: greatest fraction of them without a genotype, inclusive; on X outside the pseudoautosomal regions
            of men and of women.
        min_hwe_p: least Hardy-Weinberg exact p, inclusive, on X of women; 0 for no limit. An expected dosage counts as
            the genotype that it is within 0.1 of.
        multiallelic: drop records with several ALTs, or keep each row of theirs as a variant of its own, whose other
            alleles are not its ALT.
        missing_genotypes: leave missing genotypes for mapping to fill in (mean), or drop variants that have any.
        x_model: drop what lies on X, or say what the one copy of men counts outside the pseudoautosomal regions.

    Raises:
        CheckError: there is nobody, no phenotype on one of the contigs, or not a sex for each person.
    """

    sample_indices: tuple[int, ...]
    n_callset: int
    sexes: tuple[str | None, ...]
    build: str
    tss_by_contig: Mapping[str, Sequence[int]]
    cis_window: int
    source: Literal["calls", "dosages"]
    min_maf: float
    min_mac: int
    max_missing: float
    min_hwe_p: float
    multiallelic: Literal["drop", "keep"]
    missing_genotypes: Literal["mean", "drop"]
    x_model: Literal["drop", "0_2", "0_1"]

    def __post_init__(self) -> None:
        if not self.sample_indices or len(self.sexes) != len(self.sample_indices):
            raise CheckError(
                f"There are {len(self.sexes)} sexes of {len(self.sample_indices)} people.",
                where="genotypes of a matrix set",
            )
        if not self.tss_by_contig or not all(self.tss_by_contig.values()):
            raise CheckError("There is a contig without a TSS.", where="genotypes of a matrix set")

    @property
    def genotype_column(self) -> str:
        """Column of `variants`, and of the set, that has the genotypes."""
        return "dosages" if self.source == "calls" else "expected_dosages"

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of `variants` that are needed."""
        return (*_COPIED, "n_alts", self.genotype_column, "calls")

    @property
    def reference(self) -> ReferenceBuild:
        """The reference build."""
        return get_build(self.build)

    @cached_property
    def cohort(self) -> Cohort:
        """The set's people."""
        return Cohort(
            indices=np.asarray(self.sample_indices, dtype=np.intp),
            n_callset=self.n_callset,
            is_male=np.array([sex == "male" for sex in self.sexes], dtype=bool),
            is_female=np.array([sex == "female" for sex in self.sexes], dtype=bool),
            x_model=self.x_model,
            with_hwe=self.min_hwe_p > 0,
        )

    @cached_property
    def sorted_tss(self) -> Mapping[str, Starts]:
        """Contig → TSS (1-based), ascending, each once."""
        return {c: np.unique(np.asarray(tss, dtype=np.int64)) for c, tss in self.tss_by_contig.items()}


def filter_genotypes(
    batch: pa.RecordBatch, which: GenotypeFilter
) -> tuple[pa.RecordBatch, Counter[str], int]:
    """The rows of a set that come from some rows of a callset.

    Args:
        batch: columns `which.columns` of `variants`.
        which: people, windows and thresholds.

    Returns:
        the kept variants in the batch's order, with the columns `SCHEMA` of `eqtl_genotypes`; reason → how many were
        dropped for it; missing genotypes of the kept ones.
    """
    dropped, is_open = _count_first(_judge_places(batch, which), batch.num_rows)
    rows = np.flatnonzero(is_open)
    values, counts = take_genotypes(batch, rows, which.genotype_column, which.cohort, which.reference)
    also_dropped, is_kept = _count_first(_judge_counts(values, counts, which), len(rows))
    places = batch.select(_COPIED).take(pa.array(rows[is_kept]))
    kept = _to_batch(places, values[is_kept], counts.take(is_kept), which)
    return kept, dropped + also_dropped, int(counts.n_missing[is_kept].sum())


def is_in_window(pos: Starts, tss: Starts, cis_window: int) -> Flags:
    """Whether any TSS lies within the window of a position: |pos − tss| <= cis_window.

    Args:
        pos: 1-based, one a variant.
        tss: 1-based, ascending.
        cis_window: bases to each side.

    >>> is_in_window(np.array([5, 10, 21]), np.array([15]), 5).tolist()
    [False, True, False]
    """
    first = np.searchsorted(tss, pos - cis_window)
    return np.asarray(first < np.searchsorted(tss, pos + cis_window, side="right"))


def drop_outside_windows(contigs: pa.Array, starts: Starts, which: GenotypeFilter) -> Flags:
    """No TSS is near enough; POS 0, the telomere, has no place in a matrix at all.

    Args:
        contigs: of each variant.
        starts: 0-based.
        which: TSS and window.
    """
    is_inside = np.zeros(len(starts), dtype=bool)
    for contig in set(pc.unique(contigs).to_pylist()) & set(which.sorted_tss):
        here = _flags(pc.equal(contigs, contig))
        is_inside[here] = is_in_window(starts[here] + 1, which.sorted_tss[contig], which.cis_window)
    return ~is_inside | (starts < 0)


def drop_x(contigs: pa.Array, which: GenotypeFilter) -> Flags:
    """X is not wanted."""
    return is_on_x(contigs, which.reference) & (which.x_model == "drop")


def _judge_places(batch: pa.RecordBatch, which: GenotypeFilter) -> dict[str, Flags]:
    """What is against each row before its genotypes are looked at: reason → flags, in the order of `REASONS`."""
    contigs, starts = batch["contig"], batch["start"].to_numpy()
    genotypes = batch[which.genotype_column]
    return {
        OUTSIDE_WINDOWS: drop_outside_windows(contigs, starts, which),
        ON_X: drop_x(contigs, which),
        NO_ALT: _flags(pc.is_null(batch["alt"])),
        MULTIALLELIC: _flags(pc.greater(batch["n_alts"], 1)) & (which.multiallelic == "drop"),
        NO_DOSAGES if which.source == "calls" else NO_EXPECTED: _flags(pc.is_null(genotypes)),
        OTHER_LENGTH: _flags(pc.not_equal(pc.list_value_length(genotypes), which.n_callset)),
        UNKNOWN_PLOIDY: is_hemizygous(contigs, starts, which.reference) & _flags(pc.is_null(batch["calls"])),
    }


def _judge_counts(values: Copies, counts: CohortCounts, which: GenotypeFilter) -> dict[str, Flags]:
    """What the cohort's genotypes say against each variant: reason → flags, in the order of `REASONS`."""
    judged = {MISSING: rules.drop_missing(counts, which.max_missing)}
    if which.missing_genotypes == "drop":
        judged[INCOMPLETE] = rules.drop_incomplete(counts)
    return judged | {
        MONOMORPHIC: rules.drop_monomorphic(counts),
        CONSTANT: rules.drop_constant(values),
        RARE: rules.drop_rare(counts, which.min_maf),
        FEW_MINOR: rules.drop_few_minor_alleles(counts, which.min_mac),
        OUT_OF_EQUILIBRIUM: rules.drop_out_of_equilibrium(counts, which.min_hwe_p),
    }


def _count_first(judged: Mapping[str, Flags], n_rows: int) -> tuple[Counter[str], Flags]:
    """How many rows each reason is the first against, and which rows nothing is against."""
    dropped: Counter[str] = Counter()
    is_open = np.ones(n_rows, dtype=bool)
    for reason, is_against in judged.items():
        if n := int(np.count_nonzero(is_open & is_against)):
            dropped[reason] = n
            is_open &= ~is_against
    return dropped, is_open


def _to_batch(
    rows: pa.RecordBatch, values: Copies, counts: CohortCounts, which: GenotypeFilter
) -> pa.RecordBatch:
    other = "expected_dosages" if which.source == "calls" else "dosages"
    ac = np.rint(counts.ac).astype(np.int32)
    columns = {name: rows[name] for name in _COPIED} | {
        "ac": pa.array(ac),
        "an": pa.array(counts.an.astype(np.int32)),
        "af": pa.array(counts.ac / counts.an),
        "n_missing": pa.array(counts.n_missing.astype(np.int32)),
        which.genotype_column: _as_lists(values),
        other: pa.nulls(len(ac), SCHEMA.field(other).type),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _as_lists(values: Copies) -> pa.ListArray:
    """Rows of an array as Arrow lists of the same numbers, null where missing."""
    is_missing = ~(values >= 0)
    offsets = np.arange(len(values) + 1, dtype=np.int32) * np.int32(values.shape[1])
    flat = pa.array(values.reshape(-1), mask=is_missing.reshape(-1) if is_missing.any() else None)
    return pa.ListArray.from_arrays(pa.array(offsets), flat)


def _flags(values: pa.Array) -> Flags:
    return np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False))
