"""What mapping tools read: `eqtl_matrices` and its three kinds of rows."""

from __future__ import annotations

from kgp.table import Table

EQTL_MATRICES = Table(
    name="eqtl_matrices",
    grain="built matrix set",
    required=(
        "matrix_id", "name", "callset", "build", "parameters", "load_ids", "table_versions", "sample_ids", "run_ids",
        "n_samples", "n_variants", "n_phenotypes", "n_covariates", "dropped", "dropped_samples", "notes", "seconds",
        "built_at",
    ),
    optional=("dataset",),  # none where the phenotypes are somebody's own file
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
        "matrix_id", "contig", "variant_id", "start", "end", "ref", "alt", "ac", "an", "af", "n_missing",
    ),
    # Copies by GT or expected copies by DS, of the set's people in the set's order: one of the two.
    optional=("dosages", "expected_dosages", "vcf_id", "rsid"),
    key=("matrix_id", "variant_id"),
    ledger="eqtl_matrices",
    partition_by=("matrix_id", "contig"),
    checks={
        "place": "start >= 0 AND `end` >= start",
        "af_is_fraction": "af >= 0 AND af <= 1",
        "one_kind_of_dosage": "(dosages IS NULL) <> (expected_dosages IS NULL)",
    },
    sort_by=("start", "variant_id"),
)  # fmt: skip

EQTL_COVARIATES = Table(
    name="eqtl_covariates",
    grain="covariate row of a matrix set",
    required=("matrix_id", "covariate_id", "row_index", "values"),
    # A covariate with a contig is one for the phenotypes of that contig only (components without it).
    optional=("contig",),
    key=("matrix_id", "covariate_id"),
    ledger="eqtl_matrices",
    partition_by=("matrix_id",),
    sort_by=("row_index",),
)

EQTL_MATCHES = Table(
    name="eqtl_matches",
    grain="run of a matrix set and the person whose genotypes its expression fits best",
    required=(
        "matrix_id", "run_id", "sample_id", "match_score", "best_sample_id", "best_score", "n_loci", "verdict",
    ),
    key=("matrix_id", "run_id"),
    ledger="eqtl_matrices",
    partition_by=("matrix_id",),
    sort_by=("run_id",),
)  # fmt: skip
