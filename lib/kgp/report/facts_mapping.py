"""What pages show of mappings, and nothing of how it looks or where it was read."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

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
        p_beta, q_values, slopes: of them.
        distances: POS - TSS, bp.
        is_egene: significant at the false discovery rate asked for.
        p_quantiles: p_beta against the uniform distribution.
    """

    phenotype_ids: tuple[str, ...]
    variant_ids: tuple[str, ...]
    p_beta: Floats
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
class MappingFact:
    """What was found for a matrix set by one model.

    Args:
        maps: its mappings, the newest of each mode.
        nominal: all pairs' p-values; None where they were not mapped.
        top: the permutation pass; None where there was none.
    """

    name: str
    model: str
    maps: tuple[MapFact, ...]
    nominal: QuantileFact | None
    top: TopFact | None

    def of_mode(self, mode: str) -> MapFact | None:
        """The mapping of a mode, or None."""
        return next((one for one in self.maps if one.mode == mode), None)


@dataclass(frozen=True, eq=False)
class LocusFact:
    """One phenotype, the variants near it and its values by genotype.

    Args:
        phenotype_id, gene_name, contig, strand: of the phenotype.
        tss: 1-based.
        cis_window: bases to each side.
        variant_ids, pos: of the tested variants, by position, 1-based.
        neg_log10_p: of the pairs.
        r2: squared correlation of each variant's dosages with the best one's.
        best: place of the pair with the smallest p.
        slope, slope_se, p_value: of that pair; p_value is 0 where below the least double.
        alleles: REF and ALT of the best variant.
        dosages: of the best variant a person, NaN where missing.
        values: of the phenotype a person, as mapped but not corrected for covariates; NaN where missing.
        p_threshold: significance of a pair of this phenotype; None where no pair is, or not permuted.
        n_variants: variants tested.
    """

    phenotype_id: str
    gene_name: str | None
    contig: str
    strand: str | None
    tss: int
    cis_window: int
    variant_ids: tuple[str, ...]
    pos: NDArray[np.int64]
    neg_log10_p: Floats
    r2: Floats
    best: int
    slope: float
    slope_se: float
    p_value: float
    alleles: tuple[str, str]
    dosages: Floats
    values: Floats
    p_threshold: float | None

    @property
    def n_variants(self) -> int:
        """Variants tested."""
        return len(self.variant_ids)

    @property
    def label(self) -> str:
        """The phenotype as people call it."""
        return f"{self.gene_name} ({self.phenotype_id})" if self.gene_name else self.phenotype_id
