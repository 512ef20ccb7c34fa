"""Which runs lie too far from the others, by scores that the outliers themselves do not move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LOW_CORRELATION = "low_correlation"
PCA_OUTLIER = "pca_outlier"
LOW_EXPRESSION = "low_expression"
SEX_MISMATCH = "sex_mismatch"

# A median and its MAD of fewer runs than this say too little to call one of them an outlier.
MIN_RUNS = 10

# A run that lies r standard deviations off on average over all phenotypes, on its own and in its own direction, makes
# a component with r² / runs of the variance. Components with less than that of r = 3 are not about outlying runs,
# nor, in a small table, are those with less than a tenth.
N_OUTLIER_COMPONENTS = 4
OUTLIER_DEVIATION = 3.0
MAX_NEEDED_SHARE = 0.1

# So many runs on one far side of a component are a group of runs (a laboratory, a population), not outliers.
GROUP_FRACTION = 0.05

# MAD and mean absolute deviation of a normal distribution, in standard deviations; Iglewicz and Hoaglin 1993.
_MAD_SCALE = 1.4826
_MEAN_DEVIATION_SCALE = 1.2533


def robust_scores(values: Floats) -> Floats:
    """Distance from the median in scaled MADs: (value - median) / (1.4826 · MAD), down each column.

    Where more than half of the values are equal the MAD is 0, and 1.2533 times the mean absolute deviation takes its
    place; where all are, every score is 0.

    Args:
        values: runs, or runs × measures.

    Source: Iglewicz and Hoaglin 1993.

    >>> robust_scores(np.array([1.0, 2.0, 3.0, 4.0, 100.0])).round(2).tolist()
    [-1.35, -0.67, 0.0, 0.67, 65.43]
    >>> robust_scores(np.array([5.0, 5.0, 5.0, 1.0])).round(2).tolist()
    [0.0, 0.0, 0.0, -3.19]
    """
    away = values - np.median(values, axis=0)
    mad = _MAD_SCALE * np.median(np.abs(away), axis=0)
    mean = _MEAN_DEVIATION_SCALE * np.abs(away).mean(axis=0)
    scale = np.broadcast_to(np.where(mad > 0, mad, mean), away.shape)
    return np.divide(away, scale, out=np.zeros_like(away), where=scale > 0)


@dataclass(frozen=True, eq=False)
class FarRuns:
    """Runs that lie far off on a principal component.

    Args:
        component: its number, from 0.
        scores: robust score a run.
        outliers: runs that are outliers.
        group: runs that lie off on one side, but are too many to be outliers.
    """

    component: int
    scores: Floats
    outliers: Ints
    group: Ints


def find_far_runs(components: Floats, variance_explained: Floats, max_mads: float) -> list[FarRuns]:
    """Runs more than `max_mads` scaled MADs from the median of one of the components that a run can make alone.

    Looked at are those of the first four that explain at least 9 / runs of the variance (or a tenth, in a table of
    fewer than 90 runs). More than 5 % of the runs far off on the same side are a group of their own, no outliers.

    Args:
        components: scores, runs × components.
        variance_explained: of each component.
        max_mads: greatest distance of a run that is no outlier.
    """
    n_runs = len(components)
    needed = min(MAX_NEEDED_SHARE, OUTLIER_DEVIATION**2 / n_runs)
    most = max(1, int(GROUP_FRACTION * n_runs))
    found = []
    for j in np.flatnonzero(variance_explained[:N_OUTLIER_COMPONENTS] >= needed).tolist():
        scores = robust_scores(components[:, j])
        sides = [np.flatnonzero(side) for side in (scores > max_mads, scores < -max_mads)]
        few, many = ([s for s in sides if (len(s) > most) == is_group] for is_group in (False, True))
        found.append(FarRuns(j, scores, _join(few), _join(many)))
    return found


def _join(parts: Sequence[Ints]) -> Ints:
    return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *parts]))
