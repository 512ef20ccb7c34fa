"""Allele statistics of groups of people: `statistics`, and its rows `allele_statistics`.

`statistics` is the ledger: rows of `allele_statistics` count only where it names their `statistics_id`. It says what
each group was computed from (people, loads), so that it can be told at any time whether the panel or a load has changed
since. `kgp query` shows the answer as a further column `is_stale` of both tables, which is computed as it is read and
never written: see `kgp.transforms.groups`.

`allele_statistics` is partitioned by group as well, so a group that is computed anew replaces whole files, and a query
for one group reads only its files.
"""

from __future__ import annotations

from kgp.table import Table

STATISTICS = Table(
    name="statistics",
    grain="group of people whose allele statistics were computed in a callset",
    required=(
        "statistics_id", "callset", "group", "load_ids", "people_digest", "sample_ids", "n_samples", "n_variants",
        "seconds", "computed_at",
    ),
    key=("statistics_id",),
    ledger=None,
    checks={"not_empty": "n_samples > 0"},
    sort_by=("callset", "group"),
)  # fmt: skip

ALLELE_STATISTICS = Table(
    name="allele_statistics",
    grain="ALT allele of a callset and group of people",
    required=("callset", "contig", "group", "statistics_id", "start", "variant_id", "n_samples"),
    optional=("ac", "an", "af", "n_missing", "n_het", "n_hom_alt", "hwe_p"),
    key=("callset", "variant_id", "group"),
    partition_by=("callset", "group", "contig"),
    ledger="statistics",
    checks={
        "ac_within_an": "ac IS NULL OR (ac >= 0 AND ac <= an)",
        "af_is_fraction": "af IS NULL OR (af >= 0 AND af <= 1)",
        "n_missing_within_samples": "n_missing IS NULL OR (n_missing >= 0 AND n_missing <= n_samples)",
        "hwe_p_is_probability": "hwe_p IS NULL OR (hwe_p >= 0 AND hwe_p <= 1)",
    },
    sort_by=("start",),
)
