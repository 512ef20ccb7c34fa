"""False discovery rates over phenotypes: Storey's q-values, Benjamini and Hochberg's, and thresholds of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betainc, betaincinv

from kgp.errors import InputError

Floats = NDArray[np.float64]

Pi0Method = Literal["smoother", "fixed", "one"]

# λ of Storey and Tibshirani 2003 and of R's qvalue: 0.05, 0.10 … 0.95.
LAMBDAS: tuple[float, ...] = tuple(i / 20 for i in range(1, 20))

_SMOOTH_DF = 3.0


@dataclass(frozen=True, eq=False)
class QValues:
    """q-values and how they came about.

    Args:
        q: a q-value for each p.
        pi0: the share of true null hypotheses that they are made with.
        method: how pi0 was estimated: ``smoother`` over all λ, ``fixed`` λ, or ``one``: pi0 is 1, for it could not be
            estimated; q is then Benjamini and Hochberg's.
        lambdas: λ that were used.
        note: why pi0 could not be estimated, a sentence; empty where it was.
    """

    q: Floats
    pi0: float
    method: Pi0Method
    lambdas: tuple[float, ...]
    note: str = ""


def estimate_q_values(p: Floats, fixed_lambda: float | None = None) -> QValues:
    """q-values of Storey and Tibshirani.

    Where pi0 cannot be estimated it is 1, and the result says why: no p is as great as the greatest λ (R's qvalue
    makes 0 of that or stops), or the estimate is 0 or less.

    Args:
        p: one for each phenotype (p_beta).
        fixed_lambda: estimate pi0 at this λ alone, 0 to below 1; None: a cubic smoothing spline with 3 degrees of
            freedom through the estimates at 0.05, 0.10 … 0.95, at its last point.

    Raises:
        InputError: there are no p's, one is missing or outside 0 to 1, or λ is out of range.

    Source: Storey and Tibshirani 2003; R qvalue 2.30, qvalue and pi0est.

    >>> estimate_q_values(np.array([0.001, 0.02, 0.4, 0.7]), fixed_lambda=0.5).q.tolist()
    [0.002, 0.02, 0.26666666666666666, 0.35]
    """
    if fixed_lambda is not None and not 0.0 <= fixed_lambda < 1.0:
        raise InputError(f"λ cannot be {fixed_lambda}.", mend="Give 0 or more, and less than 1.")
    adjusted = adjust_benjamini_hochberg(p)
    lambdas = LAMBDAS if fixed_lambda is None else (fixed_lambda,)
    estimates = np.array([(p >= at).mean() / (1.0 - at) for at in lambdas])
    method: Pi0Method = "smoother" if fixed_lambda is None else "fixed"
    pi0 = float(estimates[0] if fixed_lambda is not None else _smooth(np.array(lambdas), estimates)[-1])
    note = ""
    if p.max() < lambdas[-1]:
        note = f"No p reaches λ = {lambdas[-1]:g}: pi0 is taken as 1."
    elif pi0 <= 0.0:
        note = "The estimate of pi0 is not positive: it is taken as 1."
    if note:
        method, pi0 = "one", 1.0
    pi0 = min(pi0, 1.0)
    return QValues(adjusted * pi0, pi0, method, lambdas, note)


def adjust_benjamini_hochberg(p: Floats) -> Floats:
    """p-values adjusted as Benjamini and Hochberg do.

    Args:
        p: one for each phenotype.

    Raises:
        InputError: there are no p's, or one is missing or outside 0 to 1.

    >>> adjust_benjamini_hochberg(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.04, 0.04]
    """
    if not p.size:
        raise InputError(
            "There are no p-values to adjust.", mend="No phenotype was tested: see the drop reasons."
        )
    is_good = (p >= 0.0) & (p <= 1.0)
    if not is_good.all():
        bad = int(is_good.argmin())
        raise InputError(
            f"{p[bad]} is no p-value.", where=f"p-value {bad} (counted from 0)", mend="Give 0 to 1."
        )
    order = np.argsort(p, kind="stable")
    scaled = p[order] * p.size / np.arange(1, p.size + 1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted


def find_p_threshold(p_beta: Floats, q: Floats, max_fdr: float) -> float | None:
    """The p_beta that parts significant phenotypes from the others.

    Args:
        p_beta: one for each phenotype.
        q: their q-values.
        max_fdr: phenotypes with at most this q are significant.

    Returns:
        the middle between the last significant and the first other p_beta; the last one's where all are significant;
        None where none is.

    Source: FastQTL, calculateSignificanceFastQTL.R; tensorQTL 1.0.10, post.calculate_qvalues.

    >>> find_p_threshold(np.array([0.01, 0.2, 0.03]), np.array([0.03, 0.2, 0.045]), 0.05)
    0.115
    """
    is_significant = q <= max_fdr
    if not is_significant.any():
        return None
    last = float(p_beta[is_significant].max())
    if is_significant.all():
        return last
    return (last + float(p_beta[~is_significant].min())) / 2.0


def nominal_thresholds(
    p_threshold: float,
    shape1: Floats,
    shape2: Floats,
    effective_df: Floats | None = None,
    df: Floats | None = None,
) -> Floats:
    """The nominal p below which a pair of each phenotype is significant: a quantile of its beta distribution.

    The beta distribution is of p's with the effective degrees of freedom. FastQTL and tensorQTL leave the quantile so,
    and compare it with p's of the nominal ones; QTLtools takes the p that the same r² has with these.

    Args:
        p_threshold: of `find_p_threshold`.
        shape1: of each phenotype's `BetaFit`; NaN where there is none.
        shape2: likewise.
        effective_df: likewise.
        df: nominal degrees of freedom of each phenotype's tests; None (and then effective_df is not used): leave the
            quantiles as they are.

    Returns:
        a p for each phenotype; NaN where it has no beta distribution: to be stored as null.

    Source: FastQTL, calculateSignificanceFastQTL.R; tensorQTL 1.0.10, post.calculate_qvalues; with df QTLtools 1.3.1,
    runFDR_cis.R.

    >>> one = np.array([1.0])
    >>> nominal_thresholds(0.05, one, 100 * one).round(6).tolist()
    [0.000513]
    >>> nominal_thresholds(0.05, one, 100 * one, effective_df=80 * one, df=96 * one).round(6).tolist()
    [0.00014]
    """
    p: Floats = np.asarray(betaincinv(shape1, shape2, p_threshold), dtype=np.float64)
    return p if effective_df is None or df is None else _at_other_df(p, effective_df, df)


def _at_other_df(p: Floats, df: Floats, other: Floats) -> Floats:
    """The p of the same r² with other degrees of freedom f, for p = I_{1-r²}(f/2, 1/2).

    That is R's pf(f r² / (1 - r²), 1, f, lower = FALSE), without the digits that 1 - r² loses near a perfect fit.
    """
    return np.asarray(betainc(other / 2, 0.5, betaincinv(df / 2, 0.5, p)))


def _smooth(x: Floats, y: Floats) -> Floats:
    """Natural cubic smoothing spline with 3 degrees of freedom at x, as R's smooth.spline(x, y, df = 3) to 1e-5.

    The smoother is (I + αK)⁻¹ with K of the second differences; α is such that its trace is 3, exactly. (R's search
    for α stops near it.)

    Source: Green and Silverman 1994, section 2.3.
    """
    n = x.size
    step = np.diff(x)
    differences = np.zeros((n, n - 2))
    penalty = np.zeros((n - 2, n - 2))
    for j in range(n - 2):
        differences[j : j + 3, j] = (1 / step[j], -1 / step[j] - 1 / step[j + 1], 1 / step[j + 1])
        penalty[j, j] = (step[j] + step[j + 1]) / 3
        if j:
            penalty[j - 1, j] = penalty[j, j - 1] = step[j] / 6
    roughness = differences @ np.linalg.solve(penalty, differences.T)
    weights, vectors = np.linalg.eigh((roughness + roughness.T) / 2)
    weights = np.maximum(weights, 0.0)
    weights[:2] = 0.0  # straight lines are not rough

    def miss(log_alpha: float) -> float:
        return float((1 / (1 + np.exp(log_alpha) * weights)).sum() - _SMOOTH_DF)

    alpha = np.exp(brentq(miss, -50.0, 50.0, xtol=1e-13))
    return np.asarray(vectors @ ((vectors.T @ y) / (1 + alpha * weights)))
