"""Sex by what runs express: XIST in people with two X, genes of Y in people with a Y.

Each of the two measures has to split the runs into two groups on its own, without a look at what anybody states, and
the two splits have to oppose each other; else nothing is said of anybody. Cell lines lose Y, and lines of females lose
XIST: who expresses both or neither, or lies between the groups, is left undecided.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgp.eqtl.quality_scale import Scaling
from kgp.genome import ReferenceBuild

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

XIST_GENE = "ENSG00000229807"
XIST_NAME = "XIST"

# Fewer runs than this split into two groups by chance.
MIN_RUNS_TO_SPLIT = 20
# Each group has at least this part of the runs, so that a few odd runs make no group.
MIN_GROUP_FRACTION = 0.05
# Medians of the groups in standard deviations within them: 2.2 for one normal group cut in two, 3.5 for a uniform one.
MIN_SEPARATION = 4.0
# Runs in the middle third between the medians: 17 % of a normal or uniform group cut in two.
MAX_BETWEEN = 0.1
# Groups of logarithms to base 2 are at least a factor of two apart.
MIN_LOG2_DIFFERENCE = 1.0
# Runs on a clear side of both splits that have one of XIST and Y, not both or neither.
MIN_OPPOSED = 0.8
# A gene of Y counts where it reaches a value of 1 in some run, and differs among the runs at least half as much as
# the one that differs most: genes that are silent everywhere would only dilute the mean.
MIN_Y_LOG2 = 1.0
MIN_Y_SPREAD = 0.5

# Pseudoautosomal regions of Y, 0-based half-open: UCSC's par tables; NCBI36 by their distance from the ends of X.
_Y_PAR = {
    "NCBI36": ((0, 2_709_520), (57_443_437, 57_772_954)),
    "GRCh37": ((10_000, 2_649_520), (59_034_049, 59_363_566)),
    "GRCh38": ((10_000, 2_781_479), (56_887_902, 57_217_415)),
}


@dataclass(frozen=True)
class SexPhenotypes:
    """Phenotypes of a quantification that tell of sex.

    Args:
        xist: ids of what measures XIST.
        y: ids of what measures genes of Y outside the pseudoautosomal regions.
    """

    xist: frozenset[str]
    y: frozenset[str]


def find_sex_phenotypes(
    phenotypes: Sequence[Mapping[str, object]], build: ReferenceBuild | None
) -> SexPhenotypes:
    """Which phenotypes measure XIST and genes of Y.

    Args:
        phenotypes: rows of `phenotypes`: phenotype_id, gene_id, gene_name, contig, start, end (0-based half-open;
            None where a phenotype has no place: then it is no gene of Y).
        build: reference build of their places; without one nothing is known to lie on Y.
    """
    xist = frozenset(str(row["phenotype_id"]) for row in phenotypes if _is_xist(row))
    y = frozenset(
        str(row["phenotype_id"]) for row in phenotypes if build is not None and _is_on_y(row, build)
    )
    return SexPhenotypes(xist, y)


def _is_xist(row: Mapping[str, object]) -> bool:
    ids = (str(row.get(name) or "").partition(".")[0] for name in ("gene_id", "phenotype_id"))
    return XIST_GENE in ids or str(row.get("gene_name") or "").upper() == XIST_NAME


def _is_on_y(row: Mapping[str, object], build: ReferenceBuild) -> bool:
    if row["contig"] is None:
        return False
    contig, start, end = str(row["contig"]), int(str(row["start"])), int(str(row["end"]))
    if build.canonical(contig) != build.canonical("Y"):
        return False
    return not any(start < last and end > first for first, last in _Y_PAR[build.name])


def measure_xist(rows: Floats, scaling: Scaling) -> Floats:
    """log2(value + 1) of XIST a run; values of its transcripts or exons are summed, probes and logarithms averaged.

    Args:
        rows: what measures XIST, phenotypes × runs, by `Scaling.to_linear`; at least one.
        scaling: of the table.

    Returns:
        a number a run, NaN where a value is missing.
    """
    return np.asarray(rows.mean(axis=0) if scaling.is_log else scaling.to_log(rows.sum(axis=0)))


def measure_y(rows: Floats, scaling: Scaling) -> tuple[Floats | None, int]:
    """Mean log2(value + 1) of the genes of Y that are expressed in some run, and how many those are.

    Args:
        rows: phenotypes of Y × runs, by `Scaling.to_linear`.
        scaling: of the table.

    Returns:
        a number a run (None where no phenotype counts; NaN where a run lacks all), and the number of phenotypes.
    """
    logs = scaling.to_log(rows)
    logs = logs[(~np.isnan(logs)).any(axis=1)]
    if not scaling.is_log:
        logs = logs[np.nanmax(logs, axis=1, initial=-np.inf) >= MIN_Y_LOG2]
    if not len(logs):
        return None, 0
    spread = np.nanmax(logs, axis=1) - np.nanmin(logs, axis=1)
    logs = logs[spread >= MIN_Y_SPREAD * spread.max()]
    n_values = (~np.isnan(logs)).sum(axis=0)
    mean = np.divide(
        np.nansum(logs, axis=0), n_values, out=np.full(logs.shape[1], np.nan), where=n_values > 0
    )
    return mean, len(logs)


@dataclass(frozen=True)
class Split:
    """Two groups of runs by one measure.

    What is not expressed is near 0 in every run, what is expressed varies: so a run is on from half way up, but off
    only in the lowest third.

    Args:
        low, high: medians of the groups.
    """

    low: float
    high: float

    def is_off(self, values: Floats) -> Flags:
        """Which runs lie in the lowest third between the medians, or below it."""
        return np.asarray(values <= self.low + (self.high - self.low) / 3)

    def is_on(self, values: Floats) -> Flags:
        """Which runs lie in the upper half between the medians, or above it."""
        return np.asarray(values >= self.low + (self.high - self.low) / 2)


def split_in_two(values: Floats, *, min_difference: float) -> Split | None:
    """The two groups with the least squares within them, or None where the runs are one group.

    Args:
        values: a number a run, NaN where it has none.
        min_difference: least difference of the groups' medians.
    """
    ordered = np.sort(values[~np.isnan(values)])
    n = len(ordered)
    if n < MIN_RUNS_TO_SPLIT:
        return None
    least = max(2, math.ceil(MIN_GROUP_FRACTION * n))
    sizes = np.arange(least, n - least + 1)
    away = ordered - ordered.mean()
    sums, squares = np.cumsum(away), np.cumsum(away**2)
    below = squares[sizes - 1] - sums[sizes - 1] ** 2 / sizes
    above = squares[-1] - squares[sizes - 1] - (sums[-1] - sums[sizes - 1]) ** 2 / (n - sizes)
    best = int(np.argmin(below + above))
    size, within = int(sizes[best]), math.sqrt(max(float(below[best] + above[best]), 0.0) / (n - 2))
    split = Split(float(np.median(ordered[:size])), float(np.median(ordered[size:])))
    difference = split.high - split.low
    third = difference / 3
    n_between = int(((ordered > split.low + third) & (ordered < split.high - third)).sum())
    if (
        difference <= 0
        or difference < min_difference
        or difference < MIN_SEPARATION * within
        or n_between > MAX_BETWEEN * n
    ):
        return None
    return split


def infer_sexes(xist: Floats, y: Floats, *, is_log2: bool) -> tuple[list[str | None], str | None]:
    """Sex of each run's person by XIST and Y, and why nobody's can be told where that is so.

    Args:
        xist, y: the two measures a run, NaN where missing.
        is_log2: whether they are logarithms to base 2, whose groups must be a factor of two apart.

    Returns:
        male (Y without XIST), female (XIST without Y) or None a run; a sentence, or None where the groups are clear.
    """
    nobody: list[str | None] = [None] * len(xist)
    if len(xist) < MIN_RUNS_TO_SPLIT:
        return nobody, f"fewer than {MIN_RUNS_TO_SPLIT} runs are too few to see two groups"
    difference = MIN_LOG2_DIFFERENCE if is_log2 else 0.0
    of_xist, of_y = (split_in_two(one, min_difference=difference) for one in (xist, y))
    if of_xist is None or of_y is None:
        which = [name for name, one in (("XIST", of_xist), ("genes of Y", of_y)) if one is None]
        return nobody, f"the runs do not fall into two clear groups by {' nor by '.join(which)}"
    xist_on, xist_off, y_on, y_off = of_xist.is_on(xist), of_xist.is_off(xist), of_y.is_on(y), of_y.is_off(y)
    is_male, is_female = y_on & xist_off, y_off & xist_on
    n_clear = int(((xist_on | xist_off) & (y_on | y_off)).sum())
    if int((is_male | is_female).sum()) < MIN_OPPOSED * n_clear:
        return nobody, "the groups by XIST and those by genes of Y do not oppose each other"
    pairs = zip(is_male.tolist(), is_female.tolist(), strict=True)
    return ["male" if male else "female" if female else None for male, female in pairs], None
