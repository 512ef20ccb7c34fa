"""Allele statistics of groups of people, counted from the genotypes of many variants at once. Pure functions.

Counting is a matrix product: what is counted of each sample (variants × samples, 0 or 1, or a few alleles) times who
belongs to which group (samples × groups). In `calls` of layout 1 and 2 every genotype is diploid and, where it is
missing, missing as a whole, so the dosages tell everything; the GT texts of layout 0 are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kgp.genome import ReferenceBuild
from kgp.tables import ALLELE_STATISTICS
from kgp.transforms.calls import TEXT
from kgp.transforms.groups import Group
from kgp.transforms.gt_texts import SampleCalls, other_length, read_gt_texts
from kgp.transforms.hardy_weinberg import exact_p

Bools = npt.NDArray[np.bool_]
Int8s = npt.NDArray[np.int8]
Int64s = npt.NDArray[np.int64]
Weights = npt.NDArray[np.float32] | npt.NDArray[np.float64]

# Columns of `variants` that statistics are computed from.
SOURCE_COLUMNS = ("callset", "contig", "start", "alt_index", "variant_id", "dosages", "calls")

# Genotypes that are held as 32-bit numbers at a time.
_BLOCK_VALUES = 2_000_000


@dataclass(frozen=True, eq=False)
class Membership:
    """Who belongs to which group.

    Args:
        groups: the groups.
        ids: `statistics_id` of each.
        n_callset: samples of the callset's arrays.
    """

    groups: tuple[Group, ...]
    ids: tuple[str, ...]
    n_callset: int

    def weights(self, *, sex: str | None = None) -> Weights:
        """samples × groups: 1 where the sample belongs to the group and, where a sex is given, has it."""
        # Whole numbers are exact up to 2^24 in 32 bits; a sample counts at most 127 alleles.
        shape = (self.n_callset, len(self.groups))
        is_small = self.n_callset < 1 << 17
        weights: Weights = np.zeros(shape, np.float32) if is_small else np.zeros(shape, np.float64)
        for column, group in enumerate(self.groups):
            members = zip(group.sample_indices, group.sexes, strict=True)
            weights[[index for index, its in members if sex is None or its == sex], column] = 1
        return weights


@dataclass(frozen=True, eq=False)
class GroupCounts:
    """Counts, variants × groups.

    Args:
        ac, an: copies of the ALT, and called alleles.
        n_missing: samples with a missing allele.
        n_het, n_hom_alt, n_hom_rest: diploid genotypes, both alleles called, with one, two and no copies of the ALT.
    """

    ac: Int64s
    an: Int64s
    n_missing: Int64s
    n_het: Int64s
    n_hom_alt: Int64s
    n_hom_rest: Int64s

    @classmethod
    def empty(cls, n_variants: int, n_groups: int) -> GroupCounts:
        """No sample counted."""
        return cls(*(np.zeros((n_variants, n_groups), dtype=np.int64) for _ in range(6)))

    def put(self, rows: npt.NDArray[np.intp], counts: GroupCounts) -> None:
        """Fill in some of the variants."""
        for mine, other in zip(vars(self).values(), vars(counts).values(), strict=True):
            mine[rows] = other


def compute_statistics(
    rows: pa.RecordBatch, membership: Membership, build: ReferenceBuild
) -> Iterator[pa.RecordBatch]:
    """Rows of `allele_statistics` of a batch of variants, group after group; none of records without ALT.

    Args:
        rows: `SOURCE_COLUMNS` of `variants`, of one callset.
        membership: the groups.
        build: reference build of the coordinates.

    Raises:
        CheckError: a row has genotypes of another number of samples than the callset.
    """
    rows = rows.filter(pc.greater(rows["alt_index"], 0))
    step = max(1, _BLOCK_VALUES // max(1, membership.n_callset))
    everybody, females = membership.weights(), membership.weights(sex="female")
    for begin in range(0, rows.num_rows, step):
        block = rows.slice(begin, step)
        has_calls = pc.and_(block["calls"].is_valid(), block["dosages"].is_valid()).to_numpy(
            zero_copy_only=False
        )
        counts = _count(block, np.flatnonzero(has_calls), everybody)
        p = _test(block, has_calls, counts, females, build)
        yield _to_batch(block, membership, has_calls, counts, p)


def count_dosages(dosages: Int8s, weights: Weights) -> GroupCounts:
    """Count in diploid genotypes without half calls.

    >>> counts = count_dosages(np.array([[0, 1, 2, -1]], dtype=np.int8), np.ones((4, 1), dtype=np.float32))
    >>> counts.ac.tolist(), counts.an.tolist(), counts.n_het.tolist(), counts.n_hom_rest.tolist()
    ([[3]], [[6]], [[1]], [[1]])

    Args:
        dosages: copies of the ALT, variants × samples, -1 where missing.
        weights: samples × groups.
    """
    of_weights = _counter(weights)
    n_het, n_hom_alt = of_weights(dosages == 1), of_weights(dosages == 2)
    is_missing = dosages < 0
    n_missing = of_weights(is_missing) if is_missing.any() else np.zeros_like(n_het)
    n_called = weights.sum(axis=0).astype(np.int64) - n_missing
    return GroupCounts(
        n_het + 2 * n_hom_alt, 2 * n_called, n_missing, n_het, n_hom_alt, n_called - n_het - n_hom_alt
    )


def count_calls(calls: SampleCalls, weights: Weights) -> GroupCounts:
    """Count in genotypes of any form; `weights` is samples × groups."""
    of_weights = _counter(weights)
    n_het = of_weights(calls.is_diploid & (calls.copies == 1))
    n_hom_alt = of_weights(calls.is_diploid & (calls.copies == 2))
    return GroupCounts(
        of_weights(calls.copies),
        of_weights(calls.called),
        of_weights(calls.is_missing),
        n_het,
        n_hom_alt,
        of_weights(calls.is_diploid) - n_het - n_hom_alt,
    )


def _count(block: pa.RecordBatch, rows: npt.NDArray[np.intp], weights: Weights) -> GroupCounts:
    """Counts of some rows of a block; zeros in the others."""
    n_samples = weights.shape[0]
    counts = GroupCounts.empty(block.num_rows, weights.shape[1])
    calls = block["calls"].take(pa.array(rows)).to_pylist()
    is_text = np.array([one[0] == TEXT for one in calls], dtype=bool)
    if len(plain := rows[~is_text]):
        counts.put(plain, count_dosages(_matrix(block["dosages"].take(pa.array(plain)), n_samples), weights))
    if len(texts := rows[is_text]):
        alt_indices = block["alt_index"].take(pa.array(texts)).to_pylist()
        bodies = [one[1:] for one in calls if one[0] == TEXT]
        counts.put(texts, count_calls(read_gt_texts(bodies, alt_indices, n_samples), weights))
    return counts


def _test(
    block: pa.RecordBatch, has_calls: Bools, counts: GroupCounts, females: Weights, build: ReferenceBuild
) -> npt.NDArray[np.float64]:
    """Hardy-Weinberg p, variants × groups, NaN where there is none."""
    places = zip(block["contig"].to_pylist(), block["start"].to_pylist(), strict=True)
    kinds = np.array([build.inheritance(contig, start) for contig, start in places], dtype=object)
    tested = GroupCounts.empty(*counts.ac.shape)
    autosomal = np.flatnonzero(has_calls & (kinds == "autosomal"))
    tested.put(autosomal, GroupCounts(*(one[autosomal] for one in vars(counts).values())))
    on_x = np.flatnonzero(has_calls & (kinds == "x"))
    if len(on_x) and females.any():
        of_females = _count(block, on_x, females)
        tested.put(on_x, GroupCounts(*(one[on_x] for one in vars(of_females).values())))
    return exact_p(tested.n_hom_rest, tested.n_het, tested.n_hom_alt)


def _to_batch(
    block: pa.RecordBatch,
    membership: Membership,
    has_calls: Bools,
    counts: GroupCounts,
    p: npt.NDArray[np.float64],
) -> pa.RecordBatch:
    """Rows of the table, group after group."""
    n_groups, n_rows = len(membership.groups), block.num_rows
    every = pa.array(np.tile(np.arange(n_rows), n_groups))
    has_none = np.tile(~has_calls, n_groups)

    def by_group(values: list[str] | list[int], kind: pa.DataType) -> pa.Array:
        return pa.array(values, kind).take(pa.array(np.repeat(np.arange(n_groups), n_rows)))

    def flat(matrix: npt.NDArray[np.generic], kind: pa.DataType, mask: Bools) -> pa.Array:
        return pa.array(matrix.T.ravel(), kind, mask=mask)

    schema = ALLELE_STATISTICS.arrow_schema
    af = np.divide(counts.ac, counts.an, out=np.zeros(counts.ac.shape), where=counts.an > 0)
    columns = {
        name: block[name].take(every) for name in ("callset", "contig", "start", "variant_id")
    } | {
        "group": by_group([group.name for group in membership.groups], pa.string()),
        "statistics_id": by_group(list(membership.ids), pa.string()),
        "n_samples": by_group([len(group.sample_ids) for group in membership.groups], pa.int32()),
        "af": flat(af, pa.float64(), has_none | (counts.an == 0).T.ravel()),
        "hwe_p": flat(p, pa.float64(), np.isnan(p).T.ravel()),
    }  # fmt: skip
    for name in ("ac", "an", "n_missing", "n_het", "n_hom_alt"):
        columns[name] = flat(getattr(counts, name).astype(np.int32), pa.int32(), has_none)
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def _counter(weights: Weights) -> Callable[[Bools | Int8s], Int64s]:
    """A function from variants × samples to variants × groups."""

    def count(values: Bools | Int8s) -> Int64s:
        sums: Weights = np.matmul(values.astype(weights.dtype), weights)
        return sums.astype(np.int64)

    return count


def _matrix(dosages: pa.ListArray, n_samples: int) -> Int8s:
    """variants × samples, -1 where missing."""
    lengths = dosages.value_lengths()
    if not pc.all(pc.equal(lengths, n_samples)).as_py():
        raise other_length(pc.max(pc.if_else(pc.equal(lengths, n_samples), 0, lengths)).as_py(), n_samples)
    flat: Int8s = pc.fill_null(dosages.flatten(), -1).to_numpy(zero_copy_only=False)
    return flat.reshape(-1, n_samples)
