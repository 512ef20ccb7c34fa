"""What was measured on the people: `runs` and what they are made from, `phenotypes`, `expression`."""

from __future__ import annotations

from kgp.table import Table

RUN_RECORDS = Table(
    name="run_records",
    grain="what one file says of one run or array",
    required=("load_id", "dataset", "run_id", "evidence", "aliases"),
    optional=("person_text", "lab", "batch", "replicate", "combines"),
    key=("load_id", "run_id"),
    partition_by=("dataset",),
    sort_by=("run_id",),
)

RUNS = Table(
    name="runs",
    grain="run or array of an expression dataset and the person it belongs to",
    required=("dataset", "run_id", "evidence", "load_ids"),
    optional=("sample_id", "person_text", "problem", "lab", "batch", "replicate", "combines"),
    key=("dataset", "run_id"),
    partition_by=("dataset",),
    # Made anew from run_records and samples, as a whole and in one commit: valid at any time.
    ledger=None,
    checks={"person_or_problem": "(sample_id IS NULL) = (problem IS NOT NULL)"},
    sort_by=("run_id",),
)

RUN_ALIASES = Table(
    name="run_aliases",
    grain="another name of a run",
    required=("dataset", "alias", "alias_kind", "run_id"),
    optional=("sample_id",),
    key=("dataset", "alias", "alias_kind", "run_id"),
    partition_by=("dataset",),
    ledger=None,  # as `runs`
    sort_by=("alias", "alias_kind", "run_id"),
)

QUANTIFICATIONS = Table(
    name="quantifications",
    grain="released table of values of a dataset",
    required=(
        "dataset", "quantification", "kind", "unit", "processing", "build", "annotation", "n_phenotypes", "run_ids",
        "columns", "load_id",
    ),
    key=("dataset", "quantification"),
    partition_by=("dataset",),
    checks={"kind_known": "kind IN ('gene', 'transcript', 'exon', 'mirna', 'probe')"},
    sort_by=("quantification",),
)  # fmt: skip

PHENOTYPES = Table(
    name="phenotypes",
    grain="gene, transcript, exon, miRNA or probe that a quantification of a dataset measures",
    required=(
        "dataset", "quantification", "phenotype_id", "kind", "unit", "build", "load_id",
    ),
    # A phenotype that the annotation does not have has values, but no place.
    optional=(
        "contig", "start", "end", "tss", "source_contig", "strand", "gene_id", "gene_version", "gene_name", "group_id",
    ),
    key=("dataset", "quantification", "phenotype_id"),
    partition_by=("dataset", "quantification"),
    checks={
        "whole_place": "(contig IS NULL) = (start IS NULL) AND (contig IS NULL) = (`end` IS NULL) AND "
        "(contig IS NULL) = (tss IS NULL) AND (contig IS NULL) = (source_contig IS NULL)",
        "place": "start IS NULL OR start >= 0 AND `end` > start",
        "tss_in_place": "tss IS NULL OR tss >= 1",
        "strand_known": "strand IS NULL OR strand IN ('+', '-')",
        "kind_known": "kind IN ('gene', 'transcript', 'exon', 'mirna', 'probe')",
    },
    sort_by=("contig", "start", "phenotype_id"),
)  # fmt: skip

EXPRESSION = Table(
    name="expression",
    grain="value of a phenotype in a run",
    required=("dataset", "quantification", "phenotype_id", "run_id", "load_id"),
    optional=("value",),
    key=("dataset", "quantification", "phenotype_id", "run_id"),
    partition_by=("dataset", "quantification"),
    sort_by=("phenotype_id", "run_id"),
)

EXPRESSION_QUALITY = Table(
    name="expression_quality",
    grain="run of a quantification and how it compares with the others",
    required=(
        "dataset", "quantification", "run_id", "quality_id", "load_ids", "n_phenotypes", "n_expressed", "d_statistic",
        "d_score", "components", "variance_explained", "flags",
    ),
    optional=("sample_id", "lab", "population", "sex_stated", "sex_inferred", "xist", "y_expression"),
    key=("dataset", "quantification", "run_id"),
    partition_by=("dataset", "quantification"),
    ledger=None,  # a quantification's rows are replaced as a whole, in one commit
    checks={"correlation": "d_statistic BETWEEN -1.000001 AND 1.000001"},
    sort_by=("run_id",),
)  # fmt: skip
