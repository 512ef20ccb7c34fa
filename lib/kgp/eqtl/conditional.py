"""Independent signals of a phenotype: forward and backward stepwise regression on the variants of its window.

Forward, the best variant is taken out of the phenotype, and the best of what is left is sought, until none is
significant. Backward, each signal is sought again with all others taken out: that is its row, and it stays where it
is significant still and not the variant of an earlier one. The two models do it as their tools do:

``fastqtl`` (tensorQTL cis_independent, GTEx): the signals found are covariates of phenotype and genotypes, and each
scan is judged by permutations of its own: p_beta is at most the greatest p_beta of a significant phenotype.

``qtltools`` (QTLtools cis --mapping): one signal after the other is regressed out of the phenotype, which is made
normal by its ranks after each; a scan is judged by the nominal p that the permutation pass found for the phenotype.

Arrays are as in `kgp.eqtl.permutation`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

import numpy as np
from scipy.special import ndtri

from kgp.eqtl.association import check_windows
from kgp.eqtl.covariates import residualise
from kgp.eqtl.design import Design, Floats, Ints, make_design, standardise_genotypes
from kgp.eqtl.distinct import DistinctGenotypes
from kgp.eqtl.normalise import average_ranks
from kgp.eqtl.permutation import BestPair, map_permutations, prepare_permuted
from kgp.errors import InputError


@dataclass(frozen=True, eq=False)
class Signal:
    """An independent signal of a phenotype, or of a group of phenotypes.

    Args:
        rank: number of the signal in the order in which the forward pass found them, from 1; a signal that is not
            significant beside the later ones leaves a gap.
        best: its best pair and statistics, with the other signals taken out.
        n_conditions: signals that were taken out.
    """

    rank: int
    best: BestPair
    n_conditions: int


@dataclass(frozen=True, eq=False)
class _Region:
    """A group's phenotypes and the variants of their windows, from which signals are taken out.

    Args:
        phenotypes: phenotypes × samples.
        genotypes: of the region alone, made with the design.
        windows: phenotypes × 2, of the region's variants.
        distances: of each phenotype, of the variants of its window.
        permutations: permutations × samples.
        covariates: samples × covariates.
        design: of the covariates.
    """

    phenotypes: Floats
    genotypes: DistinctGenotypes
    windows: Ints
    distances: Sequence[Ints]
    permutations: Ints
    covariates: Floats
    design: Design

    def scan(self, leads: Sequence[int]) -> BestPair | None:
        """The best pair with some variants taken out; None where nothing can be tested beside them."""
        if len(leads) >= self.design.df:
            return None
        is_of_both = self.design.model == "fastqtl"
        take_out = self._take_out_of_both if is_of_both else self._take_out_of_phenotypes
        phenotypes, genotypes, design = take_out(leads)
        found = map_permutations(
            prepare_permuted(phenotypes, design),
            genotypes,
            self.windows,
            self.distances,
            self.permutations,
            design,
            [range(len(phenotypes))],
        )
        return next(found, None)

    def _take_out_of_both(self, leads: Sequence[int]) -> tuple[Floats, DistinctGenotypes, Design]:
        """Variants as covariates: what is a combination of them and the covariates becomes constant."""
        if not leads:
            return self.phenotypes, self.genotypes, self.design
        covariates = np.column_stack([self.covariates, self._dosages(leads).T])
        design = make_design(covariates, self.design.model, self.design.lost_df)
        return self.phenotypes, _standardise_again(self.genotypes, design), design

    def _take_out_of_phenotypes(self, leads: Sequence[int]) -> tuple[Floats, DistinctGenotypes, Design]:
        """Residuals of the covariates, then of one variant after the other, made normal after each."""
        values = residualise(self.phenotypes, self.covariates)
        for lead in leads:
            values = _to_normal(residualise(values, self._dosages([lead]).T))
        n_samples = self.covariates.shape[0]
        return values, self.genotypes, make_design(np.empty((n_samples, 0)), "qtltools", self.design.lost_df)

    def _dosages(self, variants: Sequence[int]) -> Floats:
        return np.asarray(self.genotypes.genotypes[np.asarray(variants)], dtype=np.float64)


def map_independent(
    phenotypes: Floats,
    genotypes: DistinctGenotypes,
    windows: Ints,
    distances: Sequence[Ints],
    permutations: Ints,
    covariates: Floats,
    design: Design,
    thresholds: Floats,
    groups: Sequence[Sequence[int]] | None = None,
) -> Iterator[Signal]:
    """Find the independent signals of phenotypes that the permutation pass found significant.

    Args:
        phenotypes: phenotypes × samples, as they are in the set: not residuals.
        genotypes: variants × samples, made with the design.
        windows: phenotypes × 2: first variant, one past the last.
        distances: of each phenotype, the distance of each variant of its window in base pairs.
        permutations: permutations × samples, those of the permutation pass.
        covariates: samples × covariates that the design is made of.
        design: of the covariates.
        thresholds: for each group the greatest p of a signal: p_beta in the model ``fastqtl``, the same for all; the
            nominal p of `kgp.eqtl.qvalues.nominal_thresholds` in ``qtltools``.
        groups: rows of phenotypes that are searched as one; without them each phenotype is a group of its own.

    Yields:
        the signals of each group by rank. In the model ``fastqtl`` the first is taken without a question, for the
        permutation pass found it; in ``qtltools`` its nominal p, too, must be below the threshold.

    Raises:
        InputError: a window lies outside the genotypes, a threshold is missing or no p, or there are fewer than 10
        permutations.

    Source: tensorQTL 1.0.10, cis.map_independent; QTLtools 1.3.1, cis_data::runConditionalPass.
    """
    check_windows(windows, len(phenotypes), genotypes.vector_of.size)
    members = groups or [[i] for i in range(len(phenotypes))]
    _check_thresholds(thresholds, len(members))
    for place, rows in enumerate(members):
        chosen = np.asarray(rows)
        start, stop = int(windows[chosen, 0].min()), int(windows[chosen, 1].max())
        region = _Region(
            phenotypes[chosen],
            _cut(genotypes, start, stop),
            windows[chosen] - start,
            [distances[i] for i in rows],
            permutations,
            covariates,
            design,
        )
        for signal in _find_signals(region, float(thresholds[place])):
            yield replace(signal, best=_rename(signal.best, place, chosen, start))


def _find_signals(region: _Region, threshold: float) -> list[Signal]:
    first = region.scan([])
    is_judged = region.design.model == "qtltools"
    if first is None or (is_judged and not _is_significant(first, threshold, region.design)):
        return []
    leads = [int(first.pair.variant[0])]
    while _is_significant(found := region.scan(leads), threshold, region.design):
        leads.append(int(found.pair.variant[0]))
    if len(leads) == 1:
        return [Signal(1, first, 0)]
    signals: dict[int, Signal] = {}
    for i in range(len(leads)):
        others = leads[:i] + leads[i + 1 :]
        found = region.scan(others)
        if _is_significant(found, threshold, region.design):
            signals.setdefault(int(found.pair.variant[0]), Signal(i + 1, found, len(others)))
    return list(signals.values())


def _is_significant(found: BestPair | None, threshold: float, design: Design) -> TypeGuard[BestPair]:
    if found is None:
        return False
    return (found.p_beta if design.model == "fastqtl" else float(found.pair.p[0])) <= threshold


def _to_normal(values: Floats) -> Floats:
    """Each phenotype's ranks as normal quantiles: Φ⁻¹((rank − ½) / n), ties with their average rank.

    Equal residuals differ in their last bits: single precision, in which QTLtools holds them, makes them equal.
    """
    ranks = average_ranks(values.astype(np.float32).astype(np.float64))
    return np.asarray(ndtri((ranks - 0.5) / values.shape[1]))


def _cut(genotypes: DistinctGenotypes, start: int, stop: int) -> DistinctGenotypes:
    """Some consecutive variants of a block."""
    vector_of = genotypes.vector_of[start:stop]
    is_tested = vector_of >= 0
    vectors, places = np.unique(vector_of[is_tested], return_inverse=True)
    renamed = np.full(vector_of.size, -1, dtype=np.int64)
    renamed[is_tested] = places
    return DistinctGenotypes(genotypes.genotypes[start:stop], genotypes.values[vectors], renamed)


def _standardise_again(genotypes: DistinctGenotypes, design: Design) -> DistinctGenotypes:
    """The same distinct vectors for another design: what is the same to all tests stays so beside more covariates."""
    tested = np.flatnonzero(genotypes.vector_of >= 0)
    vectors, first = np.unique(genotypes.vector_of[tested], return_index=True)
    standardised = standardise_genotypes(genotypes.genotypes[tested[first]], design)
    is_left = ~standardised.is_constant
    renamed = np.full(vectors.size, -1, dtype=np.int64)
    renamed[is_left] = np.arange(int(is_left.sum()))
    vector_of = np.full(genotypes.vector_of.size, -1, dtype=np.int64)
    vector_of[tested] = renamed[genotypes.vector_of[tested]]
    return DistinctGenotypes(genotypes.genotypes, standardised.values[is_left].astype(np.float32), vector_of)


def _rename(best: BestPair, place: int, phenotypes: Ints, start: int) -> BestPair:
    """A pair of a region as one of the block."""
    pair = replace(best.pair, phenotype=phenotypes[best.pair.phenotype], variant=best.pair.variant + start)
    return replace(best, group=place, pair=pair)


def _check_thresholds(thresholds: Floats, n_groups: int) -> None:
    if thresholds.shape != (n_groups,):
        raise InputError(
            f"{thresholds.size} thresholds were given for {n_groups} groups.", mend="Give one each."
        )
    is_good = (thresholds >= 0.0) & (thresholds <= 1.0)
    if not is_good.all():
        bad = int(is_good.argmin())
        raise InputError(
            f"The threshold {thresholds[bad]} of group {bad} (counted from 0) is no p-value.",
            mend="Give only phenotypes for which the permutation pass found one.",
        )
