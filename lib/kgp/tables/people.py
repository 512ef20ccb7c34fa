"""Who the people are, and which of them a callset holds: `samples` and what it is made from."""

from __future__ import annotations

from kgp.table import Table

_SEX_KNOWN = {"sex_known": "sex IS NULL OR sex IN ('male', 'female')"}
_SUPERPOPULATION_KNOWN = {
    "superpopulation_known": "superpopulation IS NULL OR superpopulation IN ('AFR', 'AMR', 'EAS', 'EUR', 'SAS')"
}

SAMPLE_RECORDS = Table(
    name="sample_records",
    grain="what one file says of one person",
    required=("load_id", "sample_id", "source_kind"),
    optional=(
        "sex", "population", "superpopulation", "family_id", "father_id", "mother_id", "relationship_text", "siblings",
        "second_order", "third_order", "remarks", "callsets",
    ),
    key=("load_id", "sample_id"),
    checks=_SEX_KNOWN,
    sort_by=("sample_id",),
)  # fmt: skip

POPULATION_RECORDS = Table(
    name="population_records",
    grain="what one file says of one population",
    required=("load_id", "population"),
    optional=("population_name", "superpopulation", "superpopulation_name"),
    key=("load_id", "population"),
    checks=_SUPERPOPULATION_KNOWN,
    sort_by=("population",),
)

SAMPLES = Table(
    name="samples",
    grain="person",
    required=("sample_id", "load_ids", "callsets"),
    optional=(
        "sex", "population", "superpopulation", "family_id", "father_id", "mother_id", "relationship",
        "relationship_text", "siblings", "second_order", "third_order", "remarks",
    ),
    key=("sample_id",),
    # Made anew from sample_records and callset_samples, as a whole and in one commit: valid at any time.
    ledger=None,
    checks=_SEX_KNOWN | _SUPERPOPULATION_KNOWN,
    sort_by=("sample_id",),
)  # fmt: skip

SAMPLE_CONFLICTS = Table(
    name="sample_conflicts",
    grain="field of a person that two sources differ in",
    required=("sample_id", "field", "other_from"),
    optional=("kept", "kept_from", "other"),
    key=("sample_id", "field", "other_from"),
    ledger=None,  # as `samples`
    sort_by=("sample_id", "field", "other_from"),
)

POPULATIONS = Table(
    name="populations",
    grain="population",
    required=("population", "n_people", "load_ids"),
    optional=("population_name", "superpopulation", "superpopulation_name"),
    key=("population",),
    ledger=None,  # as `samples`
    checks=_SUPERPOPULATION_KNOWN,
    sort_by=("population",),
)

COVARIATES = Table(
    name="covariates",
    grain="value of a covariate of a person, as a file states it",
    required=("covariate_set", "covariate_id", "sample_id", "row_index", "covariate_text", "load_id"),
    optional=("covariate_value",),
    key=("covariate_set", "covariate_id", "sample_id"),
    partition_by=("covariate_set",),
    checks={"row_index_not_negative": "row_index >= 0"},
    sort_by=("row_index", "sample_id"),
)

CALLSET_SAMPLES = Table(
    name="callset_samples",
    grain="sample of a callset and its index in that callset's arrays",
    required=("callset", "sample_index", "sample_id", "load_id"),
    key=("callset", "sample_index"),
    partition_by=("callset",),
    checks={"sample_index_not_negative": "sample_index >= 0"},
    sort_by=("sample_index",),
)

SAMPLE_QUALITY = Table(
    name="sample_quality",
    grain="sample of a callset and what its genotypes tell of it",
    required=(
        "callset", "sample_id", "load_ids", "parameters", "n_called", "n_missing", "call_rate", "flags", "computed_at",
    ),
    optional=(
        "n_hom", "expected_hom", "inbreeding", "inbreeding_x", "n_variants_x", "sex_stated", "sex_inferred",
    ),
    key=("callset", "sample_id"),
    partition_by=("callset",),
    ledger=None,  # a callset's rows are replaced as a whole, in one commit
    checks={"call_rate_is_fraction": "call_rate >= 0 AND call_rate <= 1"},
    sort_by=("sample_id",),
)  # fmt: skip

KINSHIP = Table(
    name="kinship",
    grain="pair of people of a callset whose genotypes say that they are related",
    required=(
        "callset", "sample_id_1", "sample_id_2", "load_ids", "parameters", "n_variants", "het_het", "ibs0", "kinship",
        "degree", "computed_at",
    ),
    key=("callset", "sample_id_1", "sample_id_2"),
    partition_by=("callset",),
    ledger=None,  # a callset's rows are replaced as a whole, in one commit
    sort_by=("sample_id_1", "sample_id_2"),
)  # fmt: skip

KINSHIP_RUNS = Table(
    name="kinship_runs",
    grain="callset whose people have been compared with each other",
    # Written after `kinship`: a callset without related people has a row here, one that was never looked at has none.
    required=("callset", "load_ids", "parameters", "n_samples", "n_variants", "n_pairs", "computed_at"),
    key=("callset",),
    ledger=None,  # it is one itself
    sort_by=("callset",),
)
