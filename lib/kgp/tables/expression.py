"""What was measured on the people: `runs`, `phenotypes`, `expression`."""

from __future__ import annotations

from kgp.table import Table

RUNS = Table(
    name="runs",
    grain="run or array of an expression dataset and the person it belongs to",
    required=("dataset", "run_id", "evidence", "load_id"),
    optional=("sample_id",),
    key=("dataset", "run_id"),
    partition_by=("dataset",),
    sort_by=("run_id",),
)

PHENOTYPES = Table(
    name="phenotypes",
    grain="measured gene, transcript, miRNA or probe of a dataset",
    required=(
        "dataset",
        "phenotype_id",
        "contig",
        "start",
        "end",
        "tss",
        "build",
        "unit",
        "source_contig",
        "load_id",
    ),
    optional=("strand", "gene_id", "gene_name", "group_id"),
    key=("dataset", "phenotype_id"),
    partition_by=("dataset",),
    checks={
        "place": "start >= 0 AND `end` > start",
        "tss_in_place": "tss >= 1",
        "strand_known": "strand IS NULL OR strand IN ('+', '-')",
    },
    sort_by=("contig", "start", "phenotype_id"),
)

EXPRESSION = Table(
    name="expression",
    grain="value of a phenotype in a run",
    required=("dataset", "phenotype_id", "run_id", "load_id"),
    optional=("value",),
    key=("dataset", "phenotype_id", "run_id"),
    partition_by=("dataset",),
    sort_by=("phenotype_id", "run_id"),
)
