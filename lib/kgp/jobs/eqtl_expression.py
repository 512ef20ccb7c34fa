"""What a matrix set's expression is made of: places and values of quantifications, read from the tables as arrays.

No Spark: parts of `phenotypes` and `expression` are read on the driver. Of 23,722 genes of 462 people the values take
88 MB and the flags of what was read 11 MB, of 200,000 transcripts 740 and 93 MB; as much again with counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgp.amounts import count, some
from kgp.errors import ContractError, InputError
from kgp.io.matrix_sets import PHENOTYPE_PLACES
from kgp.io.parts import read_part
from kgp.job import Context
from kgp.tables import EXPRESSION, PHENOTYPES
from kgp.transforms.matrices import Reasons, ValueArray, judge_contigs, place_phenotypes

Floats = NDArray[np.float64]
Row = Mapping[str, Any]

ONLY_COUNTS = "only in the quantification of counts"

# Rows of `expression` that are held at a time.
_BATCH_ROWS = 1 << 18


@dataclass(frozen=True, eq=False)
class Measured:
    """Expression of the runs of a set as it was measured.

    Args:
        rows: columns `PHENOTYPE_PLACES`, one row a phenotype, by phenotype_id; those that have counts only, too.
        values: phenotypes × runs, NaN where missing.
        counts: read counts, likewise; None where no quantification of counts was named.
        unit: of the values.
        processing: what was done to them before.
        notes: what a reader of the result should know, one sentence each.
        apart: why the quantifications disagree about a phenotype; None where they do not.
    """

    rows: pa.RecordBatch
    values: Floats
    counts: Floats | None
    unit: str
    processing: str
    notes: tuple[str, ...]
    apart: Reasons


def fetch_expression(
    context: Context, dataset: str, quantifications: Sequence[Row], counts: Row | None, run_ids: Sequence[str]
) -> Measured:
    """Read places and values of the runs of a set.

    Args:
        context: of a job that reads `phenotypes` and `expression`.
        dataset: accession.
        quantifications: rows of `quantifications` that are taken together as one, each run in one of them.
        counts: that with the read counts of the same runs.
        run_ids: the run of each person of the set; values of others are passed over.

    Raises:
        InputError: the quantification of counts has no counts, or not of these runs or phenotypes.
        CheckError: the tables contradict each other.
    """
    if len(set(run_ids)) != len(run_ids):
        raise ContractError("A run is there twice.", where="fetch_expression")
    names = [str(row["quantification"]) for row in quantifications]
    rows, apart = place_phenotypes(_read_places(context, dataset, names), n_quantifications=len(names))
    unit, processing = str(quantifications[0]["unit"]), str(quantifications[0]["processing"])
    notes: tuple[str, ...] = ()
    if counts is not None:
        _check_counts(counts, run_ids)
        others = _read_places(context, dataset, [str(counts["quantification"])])
        rows, apart, notes = _add_counted(rows, apart, others, str(counts["quantification"]))
    ids = rows["phenotype_id"]
    values = _read_values(context, dataset, names, ids, run_ids)
    read_counts = None
    if counts is not None:
        of_counts = [str(counts["quantification"])]
        are_same = of_counts == names
        read_counts = values if are_same else _read_values(context, dataset, of_counts, ids, run_ids)
    return Measured(rows, values, read_counts, unit, processing, notes, apart)


def judge_places(
    measured: Measured, *, asked: Collection[str], allowed: Collection[str], with_genotypes: Collection[str]
) -> Reasons:
    """Why each phenotype is ruled out before its values are looked at: what `apart` says, then its contig.

    Args:
        measured: phenotypes.
        asked, allowed, with_genotypes: see `judge_contigs`.
    """
    contigs = judge_contigs(
        measured.rows["contig"], asked=asked, allowed=allowed, with_genotypes=with_genotypes
    )
    return [apart or contig for apart, contig in zip(measured.apart, contigs, strict=True)]


def judge_ever(measured: Measured, allowed: Collection[str]) -> Reasons:
    """Why each phenotype can be in no set, whatever contigs are asked for: `places` of `prepare_expression`.

    Hidden factors come from all the others, so that a set of one contig has those of a set of all.
    """
    return judge_places(measured, asked=(), allowed=allowed, with_genotypes=allowed)


def _read_places(context: Context, dataset: str, names: Sequence[str]) -> pa.Table:
    columns = ["quantification", *PHENOTYPE_PLACES]
    parts = context.parts(PHENOTYPES, partitions={"dataset": [dataset], "quantification": list(names)})
    batches = [batch for part in parts for batch in read_part(part, PHENOTYPES, columns)]
    return pa.Table.from_batches(
        batches, pa.schema([PHENOTYPES.arrow_schema.field(name) for name in columns])
    )


def _read_values(
    context: Context, dataset: str, names: Sequence[str], phenotype_ids: pa.Array, run_ids: Sequence[str]
) -> Floats:
    array = ValueArray.of(phenotype_ids, run_ids)
    parts = context.parts(EXPRESSION, partitions={"dataset": [dataset], "quantification": list(names)})
    for part in parts:
        columns = ["phenotype_id", "run_id", "value"]
        for batch in read_part(part, EXPRESSION, columns, batch_rows=_BATCH_ROWS):
            array.add(batch)
    array.check_each_once(f"dataset {dataset}, quantification {' and '.join(names)}")
    return array.values


def _check_counts(counts: Row, run_ids: Sequence[str]) -> None:
    """Refuse what are no counts, or not of these runs."""
    name = counts["quantification"]
    if counts["unit"] != "count" or counts["processing"] != "none":
        raise InputError(
            f"{name} has no read counts: its unit is {counts['unit']}, its processing {counts['processing']}.",
            where="--counts",
            mend="Name a quantification of unit count and processing none, or leave --counts away.",
        )
    if missing := sorted(set(run_ids) - set(counts["run_ids"])):
        raise InputError(
            f"{name} has no counts of {count(len(missing), 'run')} of {len(run_ids):,}: {some(missing)}.",
            where="--counts",
            mend="Name a quantification of the same runs, or leave --counts away.",
        )


def _add_counted(
    rows: pa.RecordBatch, apart: Reasons, counted: pa.Table, name: str
) -> tuple[pa.RecordBatch, Reasons, tuple[str, ...]]:
    """The phenotypes, and those that have counts only: they are part of the libraries, but in no set.

    Raises:
        InputError: no phenotype has both.
    """
    others, _ = place_phenotypes(counted, n_quantifications=1)
    is_known = pc.is_in(others["phenotype_id"], value_set=rows["phenotype_id"])
    extra = others.filter(pc.invert(is_known))
    if extra.num_rows == others.num_rows:
        raise InputError(
            f"No phenotype of {name} is one of those with values"
            f" ({some(others['phenotype_id'][:1].to_pylist() + rows['phenotype_id'][:1].to_pylist())}).",
            where="--counts",
            mend="Name the quantification that counts the same phenotypes.",
        )
    if not extra.num_rows:
        return rows, apart, ()
    both = pa.Table.from_batches([rows, extra])
    order = pc.sort_indices(both, sort_keys=[("phenotype_id", "ascending")])
    reasons = [*apart, *([ONLY_COUNTS] * extra.num_rows)]
    (batch,) = both.take(order).combine_chunks().to_batches()
    told = f"{count(extra.num_rows, 'phenotype')} of {name} have counts only: they are part of the libraries."
    return batch, [reasons[i] for i in order.to_pylist()], (told,)
