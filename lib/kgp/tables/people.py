"""Who the data are of: `samples`, `callset_samples`."""

from __future__ import annotations

from kgp.table import Table

SAMPLES = Table(
    name="samples",
    grain="person",
    required=("sample_id", "load_id"),
    optional=(
        "sex", "population", "superpopulation", "family_id", "father_id", "mother_id", "relationship",
    ),
    key=("sample_id",),
    # Merged as a whole in one commit, so it is valid at any time; load_id is lineage only.
    ledger=None,
    checks={
        "sex_known": "sex IS NULL OR sex IN ('male', 'female')",
        "superpopulation_known": "superpopulation IS NULL OR superpopulation IN ('AFR', 'AMR', 'EAS', 'EUR', 'SAS')",
    },
    sort_by=("sample_id",),
)  # fmt: skip

CALLSET_SAMPLES = Table(
    name="callset_samples",
    grain="sample of a callset and its index in that callset's arrays",
    required=("callset", "sample_index", "sample_id", "load_id"),
    key=("callset", "sample_index"),
    partition_by=("callset",),
    checks={"sample_index_not_negative": "sample_index >= 0"},
    sort_by=("sample_index",),
)
