"""What pages show of mappings, and nothing of how it looks or where it was read."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgp.report.facts import Floats


@dataclass(frozen=True)
class MapFact:
    """A finished mapping: a row of `eqtl_maps`.

    Args:
        name: of the matrix set.
        map_id, matrix_id, mode, model, df, n_samples, n_phenotypes, n_pairs, seconds, mapped_at: as the table has them.
        parameters: options that it was made with.
        dropped: why phenotypes and pairs were not tested → how many.
        figures: what it found as a whole.
    """

    name: str
    map_id: str
    matrix_id: str
    mode: str
    model: str
    df: int
    n_samples: int
    n_phenotypes: int
    n_pairs: int
    parameters: Mapping[str, str]
    dropped: Mapping[str, int]
    figures: Mapping[str, float]
    seconds: float
    mapped_at: datetime.datetime

    @property
    def label(self) -> str:
        """The mode, and the covariate that genotypes interact with, where they do."""
        covariate = self.parameters.get("interaction")
        return f"{self.mode} with {covariate}" if covariate else self.mode

    @property
    def is_grouped(self) -> bool:
        """Whether phenotypes of a group were searched as one."""
        return self.parameters.get("grouped") == "true"


@dataclass(frozen=True, eq=False)
class QuantileFact:
    """Observed against expected p-values, as few points that show the whole.

    Args:
        n: p-values in all.
        expected: -log10 of the p-value that a uniform distribution has at the rank.
        observed: -log10 of the p-value there.
        inflation: median chi-square of one degree of freedom, by that of a uniform distribution.
    """

    n: int
    expected: Floats
    observed: Floats
    inflation: float


@dataclass(frozen=True, eq=False)
class TopFact:
    """The best pairs of a permutation pass, one a phenotype or group.

    Args:
        phenotype_ids, variant_ids: of the pairs, the smallest p_beta first.
        group_ids, n_phenotypes: of each group its name and how many phenotypes were searched; None where the mapping
            was not grouped.
        gene_names: of the first phenotypes, as many as are shown, where the set has them.
        p_beta, neg_log10_p_beta, q_values, slopes: of the pairs.
        distances: POS - TSS, bp.
        is_egene: significant at the false discovery rate asked for.
        p_quantiles: p_beta against the uniform distribution.
    """

    phenotype_ids: tuple[str, ...]
    variant_ids: tuple[str, ...]
    group_ids: tuple[str, ...] | None
    n_phenotypes: tuple[int, ...] | None
    gene_names: tuple[str | None, ...]
    p_beta: Floats
    neg_log10_p_beta: Floats
    q_values: Floats
    slopes: Floats
    distances: NDArray[np.int64]
    is_egene: NDArray[np.bool_]
    p_quantiles: QuantileFact

    @property
    def n_egenes(self) -> int:
        """Phenotypes or groups that are significant."""
        return int(self.is_egene.sum())


@dataclass(frozen=True)
class SignalsFact:
    """Independent signals.

    Args:
        n_with: number of signals → eGenes that have so many; those without one are counted at 0.
        several: (phenotype or group, variants by rank) of eGenes with more than one, those with the most first.
    """

    n_with: Mapping[int, int]
    several: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def n_signals(self) -> int:
        """All of them."""
        return sum(n * n_egenes for n, n_egenes in self.n_with.items())


@dataclass(frozen=True)
class CredibleFact:
    """Credible sets of fine-mapping.

    Args:
        strongest: the variant with the greatest pip of each set, as a row of the table; the sets with the greatest
            Bayes factor first, as many as are shown.
        n_sets, n_phenotypes, n_single: sets, phenotypes with one, sets of one variant.
        median_size: variants of half the sets at most; None where there is no set.
    """

    strongest: tuple[Mapping[str, Any], ...]
    n_sets: int
    n_phenotypes: int
    n_single: int
    median_size: float | None


@dataclass(frozen=True, eq=False)
class InteractionFact:
    """Interactions of genotypes with a covariate, the best pair a phenotype.

    Args:
        covariate: its name.
        best: rows of the table of the phenotypes' best pairs, by p of the interaction, as many as are shown, with
            n_variants, p_bonferroni (p times the phenotype's tested variants) and q (Benjamini and Hochberg's of that).
        n_phenotypes: that were tested.
        n_significant: those with q at most 0.05.
        quantiles: p of the interaction in all pairs against the uniform distribution.
    """

    covariate: str
    best: tuple[Mapping[str, Any], ...]
    n_phenotypes: int
    n_significant: int
    quantiles: QuantileFact


@dataclass(frozen=True)
class TransFact:
    """Pairs far from each other.

    Args:
        strongest: rows of the table with the smallest p, as many as are shown.
        n_kept: pairs that were kept.
        n_expected: pairs that would be kept where nothing is associated.
        n_phenotypes, n_variants: that have a kept pair.
        max_p: greatest p of a kept pair.
    """

    strongest: tuple[Mapping[str, Any], ...]
    n_kept: int
    n_expected: float
    n_phenotypes: int
    n_variants: int
    max_p: float


@dataclass(frozen=True)
class MappingFact:
    """What was found for a matrix set by one model.

    Args:
        maps: its mappings, the newest of each mode, and of each covariate in mode interaction.
        nominal: all pairs' p-values; None where they were not mapped.
        top: the permutation pass; None where there was none.
        signals, credible, trans: what modes independent, finemap and trans found; None where they were not mapped.
        interactions: what was found, a covariate each.
        others: mode → ids of mappings of the set with other options or of some contigs, which are not shown.
    """

    name: str
    model: str
    maps: tuple[MapFact, ...]
    nominal: QuantileFact | None = None
    top: TopFact | None = None
    signals: SignalsFact | None = None
    credible: CredibleFact | None = None
    interactions: tuple[InteractionFact, ...] = ()
    trans: TransFact | None = None
    others: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def of_mode(self, mode: str) -> MapFact | None:
        """The mapping of a mode, or None."""
        return next((one for one in self.maps if one.mode == mode), None)


@dataclass(frozen=True)
class JudgedFact:
    """What the permutation pass says of a phenotype, or of the group that it is searched in.

    Args:
        phenotype_id, variant_id: the best pair.
        group_id, n_phenotypes: the group, and how many phenotypes of it were searched; None where not grouped.
        neg_log10_p_beta, q_value, is_egene, p_threshold: of it; p_threshold is None where no beta distribution was
            fitted, or nothing is significant.
        fdr: that it is judged at.
    """

    phenotype_id: str
    variant_id: str
    group_id: str | None
    n_phenotypes: int | None
    neg_log10_p_beta: float
    q_value: float
    is_egene: bool
    p_threshold: float | None
    fdr: float


@dataclass(frozen=True, eq=False)
class LocusFact:
    """One phenotype, the variants near it and its values by genotype.

    Args:
        phenotype_id, gene_name, contig, strand: of the phenotype.
        build: of the positions.
        tss: 1-based.
        variant_ids, pos: of the tested variants, by position, 1-based.
        neg_log10_p: of the pairs.
        r2: squared correlation of each variant's dosages with the best one's.
        best: place of the pair with the smallest p.
        slope, slope_se: of that pair.
        alleles: REF and ALT of the best variant.
        dosages: of the best variant a person, NaN where missing; copies of ALT, or expected ones.
        values: of the phenotype a person, as mapped but not corrected for covariates; NaN where missing.
        sexes: of the people, where men have one copy of the variant; None where all have two.
        judged: what the permutation pass says; None where there was none, or the phenotype was not in it.
    """

    phenotype_id: str
    gene_name: str | None
    contig: str
    strand: str | None
    build: str
    tss: int
    variant_ids: tuple[str, ...]
    pos: NDArray[np.int64]
    neg_log10_p: Floats
    r2: Floats
    best: int
    slope: float
    slope_se: float
    alleles: tuple[str, str]
    dosages: Floats
    values: Floats
    sexes: tuple[str | None, ...] | None
    judged: JudgedFact | None

    @property
    def n_variants(self) -> int:
        """Variants tested."""
        return len(self.variant_ids)

    @property
    def p_threshold(self) -> float | None:
        """Significance of a pair of this phenotype or of its group; None where there is none."""
        return None if self.judged is None else self.judged.p_threshold

    @property
    def is_expected(self) -> bool:
        """Whether the dosages are expected copies, between the whole ones, too."""
        known = self.dosages[~np.isnan(self.dosages)]
        return bool((known != np.rint(known)).any())

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Whether a person has both a genotype of the best variant and a value."""
        return ~np.isnan(self.dosages) & ~np.isnan(self.values)

    @property
    def label(self) -> str:
        """The phenotype as people call it."""
        return f"{self.gene_name} ({self.phenotype_id})" if self.gene_name else self.phenotype_id
