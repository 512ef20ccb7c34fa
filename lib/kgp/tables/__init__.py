"""The Delta tables of a lake, one declaration each, grouped by what they speak of."""

from __future__ import annotations

from kgp.table import Table
from kgp.tables.annotations import ANNOTATIONS
from kgp.tables.expression import EXPRESSION, PHENOTYPES, RUNS
from kgp.tables.files import FILES
from kgp.tables.ledger import HEADERS, LOADS, QUARANTINE
from kgp.tables.matrices import EQTL_COVARIATES, EQTL_GENOTYPES, EQTL_MATRICES, EQTL_PHENOTYPES
from kgp.tables.people import CALLSET_SAMPLES, SAMPLES
from kgp.tables.statistics import ALLELE_STATISTICS, STATISTICS
from kgp.tables.variants import VARIANTS

__all__ = [
    "ALLELE_STATISTICS",
    "ALL_TABLES",
    "ANNOTATIONS",
    "CALLSET_SAMPLES",
    "EQTL_COVARIATES",
    "EQTL_GENOTYPES",
    "EQTL_MATRICES",
    "EQTL_PHENOTYPES",
    "EXPRESSION",
    "FILES",
    "HEADERS",
    "LOADS",
    "PHENOTYPES",
    "QUARANTINE",
    "RUNS",
    "SAMPLES",
    "STATISTICS",
    "TABLES",
    "VARIANTS",
]

ALL_TABLES: tuple[Table, ...] = (
    FILES,
    LOADS,
    HEADERS,
    QUARANTINE,
    SAMPLES,
    CALLSET_SAMPLES,
    VARIANTS,
    STATISTICS,
    ALLELE_STATISTICS,
    ANNOTATIONS,
    RUNS,
    PHENOTYPES,
    EXPRESSION,
    EQTL_MATRICES,
    EQTL_PHENOTYPES,
    EQTL_GENOTYPES,
    EQTL_COVARIATES,
)

TABLES: dict[str, Table] = {t.name: t for t in ALL_TABLES}
