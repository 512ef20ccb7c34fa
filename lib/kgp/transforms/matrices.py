"""Phenotype rows of a matrix set, and what its phenotypes and genotypes have in common. Pure functions.

Every phenotype comes out: with its values in the set's sample order, or with the reason why it is left
out. Values are gathered block by block in numpy from Arrow arrays; what is done to them is the profile's
function on arrays.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Floats = NDArray[np.float64]

# phenotypes × samples → transformed, and why a phenotype is dropped (None where it is kept).
Normalise = Callable[[Floats], tuple[Floats, list[str | None]]]

NO_PLACE = "no place"
NO_VALUES = "no values"
CONTIG_NOT_ASKED = "on a contig that was not asked for"
NOT_AUTOSOMAL = "not on an autosome"
NO_GENOTYPES_THERE = "no genotypes on its contig"
REPEATED_VALUE = "several values of one run"
NOT_IN_ALL = "not in every quantification"
OTHER_PLACE = "in different places of the quantifications"

PLACE_COLUMNS = (
    "contig", "phenotype_id", "start", "end", "tss", "strand", "gene_id", "gene_name", "group_id",
)  # fmt: skip


def name_matrix(recipe: str, parameters: Mapping[str, object], load_ids: Iterable[str]) -> str:
    """The id of a set: the first 32 hexadecimal digits of the SHA-256 of what its rows depend on.

    Args:
        recipe: version of the code that makes the rows.
        parameters: what was asked for, the set's name included.
        load_ids: loads that the rows come from.

    >>> name_matrix("1", {"name": "a"}, ["y", "x"]) == name_matrix("1", {"name": "a"}, ["x", "y"])
    True
    """
    parts = [recipe, sorted(parameters.items()), sorted(load_ids)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def place_phenotypes(
    phenotypes: DataFrame,
    *,
    n_quantifications: int = 1,
    asked: Sequence[str],
    autosomes: Sequence[str],
    with_genotypes: Sequence[str],
) -> DataFrame:
    """Say of each phenotype why its place rules it out: a row each with `reason`, null where nothing does.

    Args:
        phenotypes: rows of `phenotypes`.
        n_quantifications: of so many quantifications; each must have the phenotype, at the same place.
        asked: contigs that were asked for; none means all.
        autosomes: diploid contigs of the build; sex chromosomes need rules of their own.
        with_genotypes: contigs on which the callset has rows.
    """
    from pyspark.sql import functions as F

    rules = ((asked, CONTIG_NOT_ASKED), (autosomes, NOT_AUTOSOMAL), (with_genotypes, NO_GENOTYPES_THERE))
    reasons = [F.when(F.col("contig").isNull(), NO_PLACE)]
    reasons += [
        F.when(~F.col("contig").isin(list(contigs)), reason)
        for contigs, reason in rules
        if contigs or reason != CONTIG_NOT_ASKED
    ]
    if n_quantifications > 1:
        places = F.struct("contig", "start", "end", "strand")
        phenotypes = (
            phenotypes.groupBy("phenotype_id")
            .agg(
                *[
                    F.min_by(name, "quantification").alias(name)
                    for name in PLACE_COLUMNS
                    if name != "phenotype_id"
                ],
                F.count("*").alias("n"),
                F.count_distinct(F.to_json(places)).alias("n_places"),
            )
            .select(
                *PLACE_COLUMNS,
                F.when(F.col("n") < n_quantifications, NOT_IN_ALL)
                .when(F.col("n_places") > 1, OTHER_PLACE)
                .alias("apart"),
            )
        )
        reasons.insert(0, F.col("apart"))
    return phenotypes.withColumn("reason", F.coalesce(*reasons))


def gather_phenotypes(
    expression: DataFrame, places: DataFrame, run_ids: Sequence[str], normalise: Normalise
) -> DataFrame:
    """One row a phenotype: normalised values in the order of `run_ids`, or the reason against it.

    Args:
        expression: rows of `expression` of one dataset.
        places: rows from `place_phenotypes`.
        run_ids: the run of each person of the set.
        normalise: the profile's function.

    Returns:
        columns of `eqtl_phenotypes` but matrix_id, and `reason`, null where the row is kept.
    """
    from pyspark.sql import functions as F

    order = expression.sparkSession.createDataFrame(
        list(zip(run_ids, range(len(run_ids)), strict=True)), "run_id string, sample int"
    )
    cells = (
        expression.join(F.broadcast(order), "run_id", "inner")
        .join(F.broadcast(places.where("reason IS NOT NULL")), "phenotype_id", "left_anti")
        .groupBy("phenotype_id")
        .agg(F.collect_list(F.struct("sample", "value")).alias("cells"))
    )
    values = cells.mapInArrow(
        _gather_blocks(len(run_ids), normalise), "phenotype_id string, values array<double>, refusal string"
    )
    rows = places.select(*PLACE_COLUMNS, "reason").join(values, "phenotype_id", "full")
    reason = F.when(F.col("contig").isNull(), NO_PLACE)
    reason = reason.otherwise(F.coalesce("reason", "refusal", F.when(F.col("values").isNull(), NO_VALUES)))
    return rows.select(*PLACE_COLUMNS, "values", reason.alias("reason"))


def as_lists(values: Floats, is_missing: NDArray[np.bool_]) -> pa.ListArray:
    """Rows of an array as Arrow lists, null where missing.

    >>> as_lists(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[False, True], [False, False]])).to_pylist()
    [[1.0, None], [3.0, 4.0]]
    """
    n_rows, n_columns = values.shape
    offsets = np.arange(n_rows + 1, dtype=np.int32) * n_columns
    flat = pa.array(values.reshape(-1), mask=is_missing.reshape(-1))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat)


def _gather_blocks(
    n_samples: int, normalise: Normalise
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def gather(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            cells = batch.column("cells")
            flat = cells.flatten()
            rows = np.repeat(np.arange(batch.num_rows), pc.list_value_length(cells).to_numpy())
            place = rows * n_samples + flat.field("sample").to_numpy(zero_copy_only=False)
            measured = np.full(batch.num_rows * n_samples, np.nan)
            measured[place] = flat.field("value").to_numpy(zero_copy_only=False)
            values, reasons = normalise(measured.reshape(batch.num_rows, n_samples))
            n_values = np.bincount(place, minlength=measured.size).reshape(values.shape)
            for row in np.flatnonzero(n_values.max(axis=1, initial=0) > 1):
                reasons[row] = REPEATED_VALUE
            yield pa.RecordBatch.from_arrays(
                [
                    batch.column("phenotype_id"),
                    as_lists(values, np.isnan(values)),
                    pa.array(reasons, pa.string()),
                ],
                names=["phenotype_id", "values", "refusal"],
            )

    return gather
