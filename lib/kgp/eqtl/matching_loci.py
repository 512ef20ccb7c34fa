"""Loci at which expression tells people apart: strong cis eQTLs, found in the very runs that are to be checked.

A few runs of other people among hundreds weaken the effects a little and hide none. Each phenotype is tried with the
common variants near its TSS; the best one is its lead. Leads that chance gives few of become loci, strongest first,
unless they are nearly the same variant as a stronger one's.

Hidden factors are components of the expression itself, and the covariates of a set are left alone: a set's covariates
are partly the run's (batch, factors) and partly the person's that the run is said to be of (sex, genotype components),
which are wrong where the run is another's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgp.eqtl.beta_approximation import neg_log10_p_of_r2
from kgp.eqtl.normalise import inverse_normal_transform
from kgp.eqtl.thresholds import is_constant

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]

# Strong cis eQTLs lie near the TSS; further away there are more variants to err with than effects to find.
MAX_DISTANCE = 100_000
MIN_MAF = 0.05
MAX_MISSING = 0.1
# So many leads at most are expected by chance; a false one tells little, for its effect is not seen in other runs.
MAX_BY_CHANCE = 10.0
# Leads more correlated than this are one locus. Phenotypes that share a variant are each evidence of it, as far as
# their noise is not the same, which the scores allow for.
MAX_R2 = 0.95
# More loci than these cost more reading than they add.
MAX_LOCI = 250

# Components that are taken out: one for so many runs, and for so many phenotypes.
_RUNS_A_COMPONENT = 15
_PHENOTYPES_A_COMPONENT = 20
_USUAL = 0.5
_LEAST_SCALE = 1e-3
# Variants multiplied at a time.
_N_AT_ONCE = 1024
# Of variants whose correlations differ by less than single precision the first is the lead.
_SAME = 1e-6


@dataclass(frozen=True, eq=False)
class Expression:
    """Phenotypes of a set on one scale, and what they have in common.

    Args:
        chosen: row of each phenotype in the set; ascending.
        values: phenotypes × runs, normal scores with mean 0.
        components: runs × components, orthonormal, of mean 0.
    """

    chosen: Ints
    values: Floats
    components: Floats

    @property
    def residuals(self) -> Floats:
        """Values without the components."""
        return np.asarray(self.values - (self.values @ self.components) @ self.components.T)

    @property
    def scales(self) -> Floats:
        """What is left in each run of effects and of the noise's variance: 1, or less for a run with little variance.

        Where phenotypes are residuals of factors, a run that had a factor nearly to itself has little left: what a
        regression leaves of a run with leverage h is 1 − h of both. Runs differ in their variance anyhow; less than
        half of the usual one's, the components apart, is taken for such a loss.
        """
        leverages = np.square(self.components).sum(axis=1)
        variances = np.square(self.residuals).mean(axis=0) / (1.0 - leverages)
        return np.asarray(np.clip(variances / (_USUAL * np.median(variances)), _LEAST_SCALE, 1.0))

    @property
    def df(self) -> int:
        """Degrees of freedom of a phenotype's test with a variant, the components taken out."""
        return self.values.shape[1] - 2 - self.components.shape[1]


@dataclass(frozen=True, eq=False)
class Loci:
    """Phenotypes and their lead variants, strongest first.

    Args:
        phenotypes: row of each in `Expression.values`.
        variants: id of each lead.
        contigs: contig of each lead.
        starts: place of each lead, 0-based.
        dosages: loci × runs: copies of ALT of the people that the runs are said to be of, mean where missing.
        n_pairs: pairs of a phenotype and a variant that were tried.
    """

    phenotypes: Ints
    variants: tuple[str, ...]
    contigs: tuple[str, ...]
    starts: Ints
    dosages: Singles
    n_pairs: int

    def __len__(self) -> int:
        """Loci."""
        return len(self.variants)


def prepare_expression(values: Floats) -> Expression:
    """Normal scores of phenotypes and their leading principal components.

    Ranks make any unit fit a linear model and keep a run of odd values from deciding a locus. A phenotype that is
    constant or has more than a tenth of its values missing is left out; other missing values become the mean. There
    are runs / 15 components, or phenotypes / 20 where that is less: too few phenotypes have no common factors to
    find, and would lose their own variance.

    Args:
        values: phenotypes × runs, on any scale, NaN where missing.
    """
    missing = np.isnan(values).mean(axis=1)
    chosen = np.flatnonzero((missing <= MAX_MISSING) & ~is_constant(values))
    scores = np.nan_to_num(inverse_normal_transform(values[chosen]))
    scores -= scores.mean(axis=1, keepdims=True)
    n_phenotypes, n_runs = scores.shape
    n_components = min(n_runs // _RUNS_A_COMPONENT, n_phenotypes // _PHENOTYPES_A_COMPONENT)
    _, vectors = np.linalg.eigh(scores.T @ scores)
    return Expression(chosen, scores, vectors[:, ::-1][:, :n_components])


class LeadSearch:
    """The lead variant of each phenotype, from blocks of variants in any order of contigs.

    Args:
        expression: the phenotypes.
        contigs: contig of each phenotype.
        tss: of each phenotype, 1-based.
        max_distance: bases between a lead and the TSS, at most.
    """

    def __init__(
        self, expression: Expression, contigs: Sequence[str], tss: Ints, max_distance: int = MAX_DISTANCE
    ) -> None:
        n_phenotypes, n_runs = expression.values.shape
        self.n_pairs = 0
        self._df = expression.df
        self._max_distance = max_distance
        self._basis = expression.components.astype(np.float32)
        self._values = _to_unit(expression.values.astype(np.float32), self._basis)
        self._tss = tss
        self._by_contig: dict[str, Ints] = {}
        for contig in sorted(set(contigs)):
            here = np.flatnonzero(np.array([one == contig for one in contigs]))
            self._by_contig[contig] = here[np.argsort(tss[here], kind="stable")]
        self._r = np.zeros(n_phenotypes, dtype=np.float32)
        self._places: list[tuple[str, str, int] | None] = [None] * n_phenotypes
        self._dosages = np.zeros((n_phenotypes, n_runs), dtype=np.float32)

    def spans(self) -> dict[str, tuple[int, int]]:
        """Contig → stretch that holds all variants to try, 0-based half-open."""
        return {
            contig: (
                max(0, int(self._tss[here[0]]) - 1 - self._max_distance),
                int(self._tss[here[-1]]) + self._max_distance,
            )
            for contig, here in self._by_contig.items()
        }

    def add(self, contig: str, variants: Sequence[str], pos: Ints, dosages: NDArray[np.generic]) -> None:
        """Try variants of one contig.

        Args:
            contig: theirs.
            variants: ids.
            pos: their places, 1-based, ascending.
            dosages: variants × runs: copies of ALT, none missing.
        """
        here = self._by_contig.get(contig)
        if here is None:
            return
        tss = self._tss[here]
        # A variant is of use where a TSS lies within reach.
        first = np.searchsorted(tss, pos - self._max_distance, side="left")
        last = np.searchsorted(tss, pos + self._max_distance, side="right")
        near = np.flatnonzero(first < last)
        for start in range(0, near.size, _N_AT_ONCE):
            some = near[start : start + _N_AT_ONCE]
            rows = dosages[some].astype(np.float32)
            af = rows.mean(axis=1) / 2.0
            is_common = np.minimum(af, 1.0 - af) >= MIN_MAF
            some, rows = some[is_common], rows[is_common]
            if some.size:
                reached = here[first[some].min() : last[some].max()]
                self._try(contig, reached, some, variants, pos, rows)

    def choose_loci(self, max_loci: int = MAX_LOCI, max_r2: float = MAX_R2) -> Loci:
        """Leads with p ≤ 10 / pairs, strongest first, without those that repeat a stronger one.

        Args:
            max_loci: no more than these, strongest first.
            max_r2: greatest squared correlation of two leads' dosages.
        """
        least = np.log10(max(self.n_pairs, 1) / MAX_BY_CHANCE)
        is_strong = neg_log10_p_of_r2(self._r.astype(np.float64) ** 2, self._df) >= least
        order = np.argsort(-np.abs(self._r), kind="stable")
        kept: list[int] = []
        kept_units = np.empty((max_loci, self._dosages.shape[1]), dtype=np.float32)
        for phenotype in order[is_strong[order]]:
            unit = _to_unit(self._dosages[phenotype : phenotype + 1])[0]
            if len(kept) < max_loci and ((kept_units[: len(kept)] @ unit) ** 2 <= max_r2).all():
                kept_units[len(kept)] = unit
                kept.append(int(phenotype))
        places = [place for phenotype in kept if (place := self._places[phenotype]) is not None]
        return Loci(
            np.array(kept, dtype=np.int64),
            tuple(variant for variant, _, _ in places),
            tuple(contig for _, contig, _ in places),
            np.array([pos - 1 for _, _, pos in places], dtype=np.int64),
            self._dosages[kept],
            self.n_pairs,
        )

    def _try(
        self, contig: str, reached: Ints, some: Ints, variants: Sequence[str], pos: Ints, rows: Singles
    ) -> None:
        """Correlate some variants with the phenotypes that any of them reaches, and keep what is better."""
        units = _to_unit(rows, self._basis)
        r = self._values[reached] @ units.T
        is_pair = np.abs(self._tss[reached][:, np.newaxis] - pos[some]) <= self._max_distance
        is_pair &= units.any(axis=1)
        self.n_pairs += int(is_pair.sum())
        sizes = np.where(is_pair, np.abs(r), 0.0)
        best = (sizes >= sizes.max(axis=1, keepdims=True) - _SAME).argmax(axis=1)
        is_better = sizes[np.arange(reached.size), best] > np.abs(self._r[reached]) + _SAME
        for row in np.flatnonzero(is_better):
            phenotype, j = int(reached[row]), int(best[row])
            self._r[phenotype] = r[row, j]
            self._places[phenotype] = (variants[int(some[j])], contig, int(pos[some[j]]))
            self._dosages[phenotype] = rows[j]


def _to_unit(rows: Singles, basis: Singles | None = None) -> Singles:
    """Rows with mean 0 and length 1, without what a basis explains; 0 throughout where nothing is left."""
    values = rows - rows.mean(axis=1, keepdims=True)
    before = np.sqrt(np.einsum("ij,ij->i", values, values))
    if basis is not None:
        values -= (values @ basis) @ basis.T
    lengths = np.sqrt(np.einsum("ij,ij->i", values, values))
    is_left = lengths > 1e-3 * before
    values *= np.divide(1.0, lengths, out=np.zeros_like(lengths), where=is_left)[:, np.newaxis]
    return np.asarray(values, dtype=np.float32)
