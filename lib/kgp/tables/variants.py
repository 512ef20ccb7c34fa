"""The genotypes: `variants`."""

from __future__ import annotations

from kgp.table import Table

VARIANTS = Table(
    name="variants",
    grain="ALT allele of a record of a callset",
    required=(
        "callset", "contig", "load_id", "start", "end", "record_id", "alt_index", "n_alts", "variant_id",
        "source_contig", "ref",
    ),
    optional=(
        "alt", "vcf_id", "rsid", "qual", "ac", "an", "af", "n_missing", "n_het", "n_hom_alt", "hwe_p",
        "filters", "info",
        "dosages", "expected_dosages", "calls", "formats",
    ),
    key=("load_id", "record_id", "alt_index"),
    partition_by=("callset", "contig"),
    checks={
        "place": "start >= -1 AND `end` >= start",
        "alt_index_in_record": "alt_index >= 0 AND alt_index <= n_alts",
        "alt_where_numbered": "(alt IS NULL) = (alt_index = 0)",
        "ac_within_an": "ac IS NULL OR (ac >= 0 AND ac <= an)",
        "af_is_fraction": "af IS NULL OR (af >= 0 AND af <= 1)",
        "hwe_p_is_probability": "hwe_p IS NULL OR (hwe_p >= 0 AND hwe_p <= 1)",
    },
    sort_by=("start", "record_id", "alt_index"),
)  # fmt: skip
