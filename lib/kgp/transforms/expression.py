"""From the records of an expression matrix to `runs`, `phenotypes` and `expression`. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kgp.genome import ReferenceBuild

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def name_runs(
    runs: Sequence[str], *, owners: Mapping[str, tuple[str, str]] | None, people: frozenset[str]
) -> list[dict[str, str | None]]:
    """Whose run each column of a matrix is.

    Args:
        runs: the columns, in order.
        owners: run → (person, evidence) from an SDRF; None where there is none, and a run named like a person is
            that person's.
        people: the people that are known.

    Returns:
        run_id, sample_id (null where nobody is known to own it) and evidence of each run.

    >>> name_runs(["HG1", "X"], owners=None, people=frozenset({"HG1"}))[1]
    {'run_id': 'X', 'sample_id': None, 'evidence': 'no person of that name is known'}
    """
    rows: list[dict[str, str | None]] = []
    for run in runs:
        sample_id: str | None
        if owners is not None:
            sample_id, evidence = owners.get(run, (None, "the SDRF does not name it"))
        elif run in people:
            sample_id, evidence = run, "named like the person"
        else:
            sample_id, evidence = None, "no person of that name is known"
        rows.append({"run_id": run, "sample_id": sample_id, "evidence": evidence})
    return rows


def select_phenotypes(
    records: DataFrame, *, dataset: str, build: ReferenceBuild, unit: str, load_id: str
) -> DataFrame:
    """`phenotypes` rows of the good records; contigs canonical by the build's alias table."""
    from pyspark.sql import functions as F

    return records.where("reason IS NULL").select(
        F.lit(dataset).alias("dataset"),
        "phenotype_id",
        canonical_contig(F.col("source_contig"), build).alias("contig"),
        "start",
        "end",
        "tss",
        F.lit(build.name).alias("build"),
        F.lit(unit).alias("unit"),
        "source_contig",
        F.lit(load_id).alias("load_id"),
        "strand",
        # Ensembl ids carry their version behind a dot; other ids keep their dots.
        F.when(
            F.col("phenotype_id").rlike(r"^ENS[A-Z]*G\d+(\.\d+)?$"), F.substring_index("phenotype_id", ".", 1)
        ).alias("gene_id"),
        "gene_name",
        "group_id",
    )


def select_values(records: DataFrame, *, dataset: str, runs: Sequence[str], load_id: str) -> DataFrame:
    """`expression` rows of the good records: a row for each phenotype and run, in run order."""
    from pyspark.sql import functions as F

    names = F.array(*[F.lit(run) for run in runs])
    return (
        records.where("reason IS NULL")
        .select("phenotype_id", F.posexplode("values").alias("column", "value"))
        .select(
            F.lit(dataset).alias("dataset"),
            "phenotype_id",
            F.element_at(names, F.col("column") + 1).alias("run_id"),
            F.lit(load_id).alias("load_id"),
            "value",
        )
    )


def canonical_contig(source_contig: Column, build: ReferenceBuild) -> Column:
    """The build's name of a contig; a contig that the build does not know stays as it is."""
    from itertools import chain

    from pyspark.sql import functions as F

    names = F.create_map(*[F.lit(text) for text in chain.from_iterable(build.aliases.items())])
    return F.coalesce(names[source_contig], source_contig)
