"""What mapping tools read: `eqtl_matrices` and its three kinds of rows."""

from __future__ import annotations

from kgp.table import Table

EQTL_MATRICES = Table(
    name="eqtl_matrices",
    grain="built matrix set",
    required=(
        "matrix_id", "name", "callset", "dataset", "build", "parameters", "load_ids", "table_versions", "sample_ids",
        "run_ids", "n_samples", "n_variants", "n_phenotypes", "n_covariates", "dropped", "dropped_samples", "seconds",
        "built_at",
    ),
    key=("matrix_id",),
    ledger=None,
    checks={"not_empty": "n_samples > 0 AND n_variants > 0 AND n_phenotypes > 0"},
)  # fmt: skip

EQTL_PHENOTYPES = Table(
    name="eqtl_phenotypes",
    grain="phenotype row of a matrix set",
    required=("matrix_id", "contig", "phenotype_id", "start", "end", "tss", "values"),
    optional=("strand", "gene_id", "gene_name", "group_id"),
    key=("matrix_id", "phenotype_id"),
    ledger="eqtl_matrices",
    partition_by=("matrix_id", "contig"),
    checks={"place": "start >= 0 AND `end` > start"},
    sort_by=("start", "phenotype_id"),
)

EQTL_GENOTYPES = Table(
    name="eqtl_genotypes",
    grain="genotype row of a matrix set: copies of ALT",
    required=(
        "matrix_id", "contig", "variant_id", "start", "end", "ref", "alt", "ac", "an", "af", "n_missing", "values",
    ),
    optional=("vcf_id", "rsid"),
    key=("matrix_id", "variant_id"),
    ledger="eqtl_matrices",
    partition_by=("matrix_id", "contig"),
    checks={"place": "start >= 0 AND `end` >= start", "af_is_fraction": "af >= 0 AND af <= 1"},
    sort_by=("start", "variant_id"),
)  # fmt: skip

EQTL_COVARIATES = Table(
    name="eqtl_covariates",
    grain="covariate row of a matrix set",
    required=("matrix_id", "covariate_id", "row_index", "values"),
    key=("matrix_id", "covariate_id"),
    ledger="eqtl_matrices",
    partition_by=("matrix_id",),
    sort_by=("row_index",),
)
