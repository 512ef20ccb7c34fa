"""The Delta tables of a lake, one declaration each, grouped by what they speak of."""

from __future__ import annotations

from kgp.table import Table
from kgp.tables.annotations import ANNOTATIONS
from kgp.tables.expression import (
    EXPRESSION,
    EXPRESSION_QUALITY,
    PHENOTYPES,
    QUANTIFICATIONS,
    RUN_ALIASES,
    RUN_RECORDS,
    RUNS,
)
from kgp.tables.files import FILES
from kgp.tables.ledger import HEADERS, LOADS, QUARANTINE
from kgp.tables.maps import (
    EQTL_CREDIBLE_SETS,
    EQTL_INDEPENDENT,
    EQTL_INTERACTION,
    EQTL_MAPS,
    EQTL_NOMINAL,
    EQTL_TOP,
    EQTL_TRANS,
)
from kgp.tables.matrices import EQTL_COVARIATES, EQTL_GENOTYPES, EQTL_MATCHES, EQTL_MATRICES, EQTL_PHENOTYPES
from kgp.tables.people import (
    CALLSET_SAMPLES,
    COVARIATES,
    KINSHIP,
    KINSHIP_RUNS,
    POPULATION_RECORDS,
    POPULATIONS,
    SAMPLE_CONFLICTS,
    SAMPLE_QUALITY,
    SAMPLE_RECORDS,
    SAMPLES,
)
from kgp.tables.statistics import ALLELE_STATISTICS, STATISTICS
from kgp.tables.variants import VARIANTS

__all__ = [
    "ALLELE_STATISTICS",
    "ALL_TABLES",
    "ANNOTATIONS",
    "CALLSET_SAMPLES",
    "COVARIATES",
    "EQTL_COVARIATES",
    "EQTL_CREDIBLE_SETS",
    "EQTL_GENOTYPES",
    "EQTL_INDEPENDENT",
    "EQTL_INTERACTION",
    "EQTL_MAPS",
    "EQTL_MATCHES",
    "EQTL_MATRICES",
    "EQTL_NOMINAL",
    "EQTL_PHENOTYPES",
    "EQTL_TOP",
    "EQTL_TRANS",
    "EXPRESSION",
    "EXPRESSION_QUALITY",
    "FILES",
    "HEADERS",
    "KINSHIP",
    "KINSHIP_RUNS",
    "LOADS",
    "PHENOTYPES",
    "POPULATIONS",
    "POPULATION_RECORDS",
    "QUANTIFICATIONS",
    "QUARANTINE",
    "RUNS",
    "RUN_ALIASES",
    "RUN_RECORDS",
    "SAMPLES",
    "SAMPLE_CONFLICTS",
    "SAMPLE_QUALITY",
    "SAMPLE_RECORDS",
    "STATISTICS",
    "TABLES",
    "VARIANTS",
]

ALL_TABLES: tuple[Table, ...] = (
    FILES,
    LOADS,
    HEADERS,
    QUARANTINE,
    SAMPLE_RECORDS,
    POPULATION_RECORDS,
    SAMPLES,
    SAMPLE_CONFLICTS,
    POPULATIONS,
    COVARIATES,
    CALLSET_SAMPLES,
    VARIANTS,
    SAMPLE_QUALITY,
    KINSHIP,
    KINSHIP_RUNS,
    STATISTICS,
    ALLELE_STATISTICS,
    ANNOTATIONS,
    RUN_RECORDS,
    RUNS,
    RUN_ALIASES,
    QUANTIFICATIONS,
    PHENOTYPES,
    EXPRESSION,
    EXPRESSION_QUALITY,
    EQTL_MATRICES,
    EQTL_PHENOTYPES,
    EQTL_GENOTYPES,
    EQTL_COVARIATES,
    EQTL_MATCHES,
    EQTL_MAPS,
    EQTL_NOMINAL,
    EQTL_TOP,
    EQTL_INDEPENDENT,
    EQTL_CREDIBLE_SETS,
    EQTL_INTERACTION,
    EQTL_TRANS,
)

TABLES: dict[str, Table] = {t.name: t for t in ALL_TABLES}
