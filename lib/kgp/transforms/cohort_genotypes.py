"""Genotypes of a set's people out of rows of `variants`, as the set has them, with what is counted of them.

A genotype of another number of alleles than people have there counts as missing: on autosomes and in the
pseudoautosomal regions all but two, on the rest of X see `kgp.transforms.ploidy`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kgp.genome import ReferenceBuild
from kgp.transforms.genotype_filters import CohortCounts, Copies, Flags, count_diploid, count_on_x
from kgp.transforms.ploidy import count_copies_on_x, is_hemizygous, read_ploidies

Rows = npt.NDArray[np.intp]
Alleles = Mapping[int, npt.NDArray[np.int8]]

# Expected dosages may be that much greater than the number of alleles: `kgp.transforms.alleles` makes them of
# probabilities that sum to at most 1.02. They count as that number, greater ones as missing.
_ROUNDED_UP = np.float32(1.025)


@dataclass(frozen=True, eq=False)
class Cohort:
    """A set's people in a callset.

    Args:
        indices: their places in the callset's arrays, in the set's order.
        n_callset: length of the callset's arrays.
        is_male: a person each.
        is_female: a person each.
        x_model: whether the one copy of men on X counts 0 and 2, or 0 and 1.
        with_hwe: compute Hardy-Weinberg p's.
    """

    indices: Rows
    n_callset: int
    is_male: Flags
    is_female: Flags
    x_model: Literal["drop", "0_2", "0_1"]
    with_hwe: bool


def take_genotypes(
    batch: pa.RecordBatch, rows: Rows, column: str, cohort: Cohort, build: ReferenceBuild
) -> tuple[Copies, CohortCounts]:
    """Genotypes of the people in some rows, variants × people, and the counts of the rows.

    Args:
        batch: rows of `variants`.
        rows: numbers of those that are wanted, ascending; they have genotypes of the callset's length.
        column: dosages, or expected_dosages.
        cohort: the people.
        build: reference build of the places.

    Returns:
        int8 copies with -1 where missing, or float32 expected copies with NaN.
    """
    wanted = pa.array(rows)
    found = read_ploidies(batch["calls"].take(wanted), cohort.n_callset)
    alleles = {row: ploidies[cohort.indices] for row, ploidies in found.items()}
    picked = pick_people(batch[column], rows, cohort)
    on_x = is_hemizygous(batch["contig"].take(wanted), batch["start"].to_numpy()[rows], build)
    if not on_x.any():
        return _of_two(picked, alleles, cohort)
    counts = CohortCounts.empty(len(rows), is_expected=picked.dtype != np.int8)
    values: Copies = np.empty_like(picked)
    kinds: tuple[tuple[_Take, Rows], ...] = ((_of_two, np.flatnonzero(~on_x)), (_of_x, np.flatnonzero(on_x)))
    for take, chosen in kinds:
        theirs = {i: alleles[row] for i, row in enumerate(chosen.tolist()) if row in alleles}
        values[chosen], counted = take(picked[chosen], theirs, cohort)
        counts.put(chosen, counted)
    return values, counts


def pick_people(lists: pa.ListArray, rows: Rows, cohort: Cohort) -> Copies:
    """The people's values in some rows of a list column, variants × people; -1 or NaN where null."""
    lengths = pc.list_value_length(lists)
    if lists.null_count or pc.any(pc.not_equal(lengths, cohort.n_callset)).as_py():
        lists, rows = lists.take(pa.array(rows)), np.arange(len(rows))
    missing = -1 if pa.types.is_integer(lists.type.value_type) else np.nan
    flat = pc.fill_null(lists.flatten(), pa.scalar(missing, lists.type.value_type))
    everybody = flat.to_numpy(zero_copy_only=False).reshape(-1, cohort.n_callset)
    is_everybody = np.array_equal(cohort.indices, np.arange(cohort.n_callset))
    matrix: Copies = everybody if is_everybody else np.take(everybody, cohort.indices, axis=1)
    return matrix if len(rows) == len(matrix) else matrix[rows]


_Take = Callable[[Copies, Alleles, Cohort], tuple[Copies, CohortCounts]]


def _of_two(picked: Copies, alleles: Alleles, cohort: Cohort) -> tuple[Copies, CohortCounts]:
    """Values and counts where everybody has two alleles."""
    if alleles:
        is_odd = np.zeros(picked.shape, dtype=bool)
        for row, of_people in alleles.items():
            is_odd[row] = of_people != 2
        picked = np.where(is_odd, _missing(picked), picked)
    values = _within(picked, np.float32(2))
    return values, count_diploid(values, with_hwe=cohort.with_hwe)


def _of_x(picked: Copies, alleles: Alleles, cohort: Cohort) -> tuple[Copies, CohortCounts]:
    """Values and counts where men have one allele and women two."""
    ploidies = np.full(picked.shape, 2, dtype=np.int8)
    for row, of_people in alleles.items():
        ploidies[row] = of_people
    copies = count_copies_on_x(picked, ploidies, cohort.is_male, cohort.is_female)
    copies = _within(copies, np.where(cohort.is_male, np.float32(1), np.float32(2)))
    counts = count_on_x(copies, cohort.is_male, cohort.is_female, with_hwe=cohort.with_hwe)
    if cohort.x_model == "0_2":
        counted_twice = cohort.is_male & (copies > 0)
        copies = np.where(counted_twice, copies + copies, copies)
    return copies, counts


def _within(copies: Copies, most: np.float32 | npt.NDArray[np.float32]) -> Copies:
    """Copies with those missing that can't be, and with what is a rounding error above the greatest set to that."""
    if copies.dtype == np.int8:
        is_strange = copies > most
        return np.where(is_strange, _missing(copies), copies) if is_strange.any() else copies
    can_be = (copies >= 0) & (copies <= most * _ROUNDED_UP)
    return np.where(can_be, np.minimum(copies, most), _missing(copies))


def _missing(copies: Copies) -> np.int8 | np.float32:
    return np.int8(-1) if copies.dtype == np.int8 else np.float32(np.nan)
