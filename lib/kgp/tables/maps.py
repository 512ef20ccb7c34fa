"""What mapping finds: the ledger `eqtl_maps`, and a table for each kind of row.

A mapping is one run of `kgp eqtl map`: a set, a mode and its options. Its rows appear all at once, when it has ended.
"""

from __future__ import annotations

from kgp.table import Table

EQTL_MAPS = Table(
    name="eqtl_maps",
    grain="finished mapping of a matrix set",
    required=(
        "map_id", "matrix_id", "name", "mode", "model", "parameters", "df", "n_samples", "n_phenotypes", "n_pairs",
        "dropped", "figures", "seconds", "mapped_at",
    ),
    key=("map_id",),
    ledger=None,
    sort_by=("matrix_id", "mode", "model"),
)  # fmt: skip

_PAIR = (
    "map_id", "matrix_id", "model", "contig", "phenotype_id", "variant_id", "start", "ref", "alt", "af", "ma_samples",
    "ma_count", "tss_distance", "slope", "slope_se", "t_statistic", "p_value", "neg_log10_p",
)  # fmt: skip

EQTL_NOMINAL = Table(
    name="eqtl_nominal",
    grain="tested pair of a phenotype and a variant in its cis window",
    required=_PAIR,
    optional=("vcf_id",),
    key=("map_id", "phenotype_id", "variant_id"),
    partition_by=("map_id", "contig"),
    ledger="eqtl_maps",
    checks={"p_is_probability": "p_value >= 0 AND p_value <= 1 AND neg_log10_p >= 0"},
)

EQTL_TOP = Table(
    name="eqtl_top",
    grain="phenotype (or group) and its best variant, judged by permutations",
    required=(
        *_PAIR, "n_variants", "n_permutations", "p_perm", "p_beta", "neg_log10_p_beta", "q_value", "q_value_bh",
        "is_egene",
    ),
    optional=(
        "vcf_id", "group_id", "n_phenotypes", "beta_shape1", "beta_shape2", "effective_df", "p_threshold",
    ),
    key=("map_id", "phenotype_id"),
    partition_by=("map_id",),
    ledger="eqtl_maps",
    checks={
        "p_is_probability": "p_value >= 0 AND p_value <= 1 AND p_perm > 0 AND p_perm <= 1",
        "q_is_fraction": "q_value >= 0 AND q_value <= 1",
    },
    sort_by=("contig", "start", "phenotype_id"),
)  # fmt: skip

EQTL_INDEPENDENT = Table(
    name="eqtl_independent",
    grain="independent signal of a phenotype (or group), by stepwise conditioning",
    required=(*_PAIR, "rank", "n_variants", "n_permutations", "p_perm", "p_beta", "neg_log10_p_beta"),
    optional=("vcf_id", "group_id", "beta_shape1", "beta_shape2", "effective_df"),
    key=("map_id", "phenotype_id", "rank"),
    partition_by=("map_id",),
    ledger="eqtl_maps",
    checks={"rank_from_one": "rank >= 1"},
    sort_by=("contig", "phenotype_id", "rank"),
)

EQTL_CREDIBLE_SETS = Table(
    name="eqtl_credible_sets",
    grain="variant of a credible set of a phenotype, by fine-mapping",
    required=(
        "map_id", "matrix_id", "model", "contig", "phenotype_id", "variant_id", "start", "ref", "alt", "af",
        "tss_distance", "cs_id", "cs_size", "cs_purity", "cs_log10_bf", "cs_coverage", "pip", "posterior_mean",
        "posterior_sd",
    ),
    optional=("vcf_id", "group_id"),
    key=("map_id", "phenotype_id", "cs_id", "variant_id"),
    partition_by=("map_id",),
    ledger="eqtl_maps",
    checks={
        "pip_is_probability": "pip >= 0 AND pip <= 1 AND cs_coverage > 0 AND cs_coverage <= 1",
        "cs_from_one": "cs_id >= 1 AND cs_size >= 1",
    },
    sort_by=("contig", "phenotype_id", "cs_id", "start", "variant_id"),
)  # fmt: skip

EQTL_INTERACTION = Table(
    name="eqtl_interaction",
    grain="tested pair with its interaction: phenotype ~ genotype + covariate + genotype x covariate",
    required=(
        "map_id", "matrix_id", "model", "contig", "phenotype_id", "variant_id", "start", "ref", "alt", "af",
        "ma_samples", "ma_count", "tss_distance", "slope", "slope_se", "p_value", "slope_i", "slope_i_se", "p_value_i",
        "slope_gi", "slope_gi_se", "p_value_gi", "neg_log10_p_gi",
    ),
    optional=("vcf_id",),
    key=("map_id", "phenotype_id", "variant_id"),
    partition_by=("map_id", "contig"),
    ledger="eqtl_maps",
)  # fmt: skip

EQTL_TRANS = Table(
    name="eqtl_trans",
    grain="pair of a phenotype and a variant far from it, or on another contig, below the p-value asked for",
    required=(
        "map_id", "matrix_id", "model", "contig", "phenotype_id", "variant_id", "start", "ref", "alt", "af",
        "ma_samples", "ma_count", "phenotype_contig", "tss", "slope", "slope_se", "t_statistic", "p_value",
        "neg_log10_p",
    ),
    optional=("vcf_id",),
    key=("map_id", "phenotype_id", "variant_id"),
    partition_by=("map_id", "contig"),
    ledger="eqtl_maps",
)  # fmt: skip
