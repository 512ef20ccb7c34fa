"""Writes the genotype rows of a matrix set: stretches of contigs, each read, filtered, sorted and written by one task.

What is small is done in this process: Spark would take longer to start than the work to be done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from deltalake.transaction import AddAction

from kgp.errors import CheckError, InputError
from kgp.genome import check_build
from kgp.io.delta import in_list
from kgp.io.direct import discard_files, write_files
from kgp.io.parts import TablePart, read_part
from kgp.io.tasks import run_tasks
from kgp.job import Context
from kgp.jobs.genotype_stretches import Stretch, plan_stretches
from kgp.tables import EQTL_GENOTYPES, LOADS, VARIANTS
from kgp.transforms.genotypes import (
    NO_EXPECTED,
    OTHER_LENGTH,
    OUTSIDE_WINDOWS,
    REASONS,
    SCHEMA,
    GenotypeFilter,
    filter_genotypes,
)
from kgp.transforms.ploidy import is_x

Ints = npt.NDArray[np.int64]

# Genotypes of a callset that are read in a second or so: no more are read without Spark.
_WITHOUT_SPARK = 200_000_000
# Genotypes of a callset that a task holds at a time.
_BLOCK_VALUES = 4_000_000


@dataclass(frozen=True, eq=False)
class GenotypesWritten:
    """What became of the callset's variants on the contigs with phenotypes.

    Args:
        n_variants: rows of the set.
        dropped: reason → rows of the callset that are not in the set, in the order of the reasons. With `n_variants`
            they are all rows that the callset has on those contigs.
        starts: contig → 0-based starts of the set's variants, ascending.
        n_missing: missing genotypes in the set's rows, which mapping fills in with the mean.
    """

    n_variants: int
    dropped: Mapping[str, int]
    starts: Mapping[str, Ints]
    n_missing: int


@dataclass
class StretchResult:
    """What became of a stretch.

    Args:
        contig: the contig.
        starts: of the kept variants, ascending.
        last_end: greatest end of the kept variants.
        dropped: reason → variants.
        n_missing: missing genotypes of the kept variants.
        repeated: id of a variant that is there more than once.
        written: add-actions of the files.
    """

    contig: str
    starts: Ints
    last_end: int
    dropped: Counter[str]
    n_missing: int
    repeated: str | None = None
    written: list[AddAction] = field(default_factory=list)


@dataclass(frozen=True)
class StretchTask:
    """What is done with a stretch; a task calls it.

    Args:
        which: variants and people.
        matrix_id: of the set.
        root: where `eqtl_genotypes` lies; None to write nothing.
    """

    which: GenotypeFilter
    matrix_id: str
    root: str | None

    def __call__(self, stretch: Stretch) -> StretchResult:
        """Read, filter, sort, write."""
        dropped: Counter[str] = Counter()
        batches, n_missing = [], 0
        batch_rows = max(1, _BLOCK_VALUES // self.which.n_callset)
        for part in stretch.parts:
            for batch in read_part(part, VARIANTS, self.which.columns, batch_rows=batch_rows):
                kept, reasons, n = filter_genotypes(stretch.cut(batch), self.which)
                dropped += reasons
                n_missing += n
                batches.append(kept)
        rows = sort_rows(pa.Table.from_batches(batches, SCHEMA))
        starts = rows["start"].to_numpy()
        last_end = pc.max(rows["end"]).as_py() or 0
        result = StretchResult(stretch.contig, starts, last_end, dropped, n_missing, find_repeated(rows))
        if self.root is not None and rows.num_rows and result.repeated is None:
            ids = pa.repeat(pa.scalar(self.matrix_id), rows.num_rows)
            named = rows.append_column("matrix_id", ids)
            result.written = write_files(named.to_batches(), EQTL_GENOTYPES, self.root)
        return result


def write_genotypes(
    context: Context,
    matrix_id: str,
    callset: str,
    which: GenotypeFilter,
    rows_on: Mapping[str, int],
    *,
    dry_run: bool = False,
) -> GenotypesWritten:
    """Write the genotypes of a set.

    Args:
        context: of a job that reads `variants` and `loads` and writes `eqtl_genotypes`.
        matrix_id: of the set.
        callset: where the genotypes come from.
        which: variants and people.
        rows_on: contig → rows of the callset on it, at least of the contigs with phenotypes.
        dry_run: write nothing, say what would be.

    Raises:
        InputError: no variant is left, or X is wanted of people whose sex is not known.
        CheckError: genotypes are not of the callset's people, or two loads hold the same variant.
        BuildError: a variant lies beyond the end of its contig.
    """
    _check_sexes(which)
    n_candidates = sum(rows_on.get(contig, 0) for contig in which.tss_by_contig)
    n_phenotypes = sum(map(len, which.tss_by_contig.values()))
    root = context.path(EQTL_GENOTYPES)
    task = StretchTask(which, matrix_id, None if dry_run else root)
    with context.progress.step(f"genotypes near {n_phenotypes:,} phenotypes, of {n_candidates:,} rows"):
        stretches = plan_stretches(_find_parts(context, callset, which), which)
        results = _run(context, stretches, task)
        written = [action for result in results for action in result.written]
        try:
            _check_results(context, callset, which, results)
            made = _sum_up(callset, n_candidates, results)
        except BaseException:
            discard_files([action.path for action in written], root)
            raise
        if not dry_run:
            context.commit(EQTL_GENOTYPES, written, [matrix_id])
    return made


def sort_rows(rows: pa.Table) -> pa.Table:
    """Rows by start and id, whatever files they come from: as they are where they are in that order."""
    order = pc.sort_indices(rows, sort_keys=[("start", "ascending"), ("variant_id", "ascending")])
    is_sorted = np.array_equal(order.to_numpy(), np.arange(rows.num_rows))
    return rows if is_sorted else rows.take(order)


def find_repeated(rows: pa.Table) -> str | None:
    """The id of a variant that two of the rows, which are sorted, have."""
    ids = rows["variant_id"].combine_chunks()
    repeated = ids[1:].filter(pc.equal(ids[1:], ids[:-1]))
    return str(repeated[0]) if len(repeated) else None


def _find_parts(context: Context, callset: str, which: GenotypeFilter) -> list[TablePart]:
    """Row groups of the callset on the contigs with phenotypes, as far as one stretch of all windows reaches."""
    tss = [place for of_contig in which.sorted_tss.values() for place in (of_contig[0], of_contig[-1])]
    # A row may be no base long and end where it begins.
    span = (int(min(tss)) - which.cis_window - 2, int(max(tss)) + which.cis_window + 1)
    wanted = {"callset": [callset], "contig": sorted(which.tss_by_contig)}
    return context.parts(VARIANTS, partitions=wanted, span=span, target_rows=1)


def _run(context: Context, stretches: Sequence[Stretch], task: StretchTask) -> list[StretchResult]:
    n_rows = sum(part.n_rows for stretch in stretches for part in stretch.parts)
    if n_rows * task.which.n_callset <= _WITHOUT_SPARK:
        return [task(stretch) for stretch in stretches]
    return run_tasks(context.spark, stretches, task)


def _check_sexes(which: GenotypeFilter) -> None:
    n_unknown = sum(sex is None for sex in which.sexes)
    has_x = any(is_x(contig, which.reference) for contig in which.tss_by_contig)
    if has_x and n_unknown and which.x_model != "drop":
        raise InputError(
            f"The sex of {n_unknown:,} of {len(which.sexes):,} people is not known: their X can't be counted.",
            where="eqtl build",
            mend="Load a panel that says it (kgp load samples), or give --x-model drop.",
        )


def _check_results(
    context: Context, callset: str, which: GenotypeFilter, results: Sequence[StretchResult]
) -> None:
    if n := sum(result.dropped[OTHER_LENGTH] for result in results):
        raise CheckError(
            f"{n:,} variants have genotypes of another number of samples than the callset.",
            where="table variants",
            mend=f"Load callset {callset} again.",
        )
    if repeated := [result.repeated for result in results if result.repeated is not None]:
        loads = context.fetch(LOADS, ["load_id", "target"], in_list("subject", [callset]))
        ids = sorted(row["load_id"] for row in loads if row["target"] == VARIANTS.name)
        raise CheckError(
            f"Variant {repeated[0]} is there more than once.",
            where=f"callset {callset}",
            mend=f"Loads of it overlap: keep one of {', '.join(ids)}, in another lake or callset.",
        )
    last_ends: dict[str, int] = {}
    for result in results:
        last_ends[result.contig] = max(result.last_end, last_ends.get(result.contig, 0))
    check_build(which.reference, where=f"callset {callset}", last_ends=last_ends)


def _sum_up(callset: str, n_candidates: int, results: Sequence[StretchResult]) -> GenotypesWritten:
    n_variants = sum(len(result.starts) for result in results)
    counts = sum((result.dropped for result in results), Counter())
    # Most of what lies beyond the windows was not even read.
    del counts[OUTSIDE_WINDOWS]
    counts[OUTSIDE_WINDOWS] = n_candidates - n_variants - counts.total()
    if counts[OUTSIDE_WINDOWS] < 0:
        raise CheckError(
            f"It has more variants than the {n_candidates:,} that were counted before.",
            where=f"callset {callset}",
            mend="Run it again when no load is running.",
        )
    dropped = {reason: counts[reason] for reason in REASONS if counts[reason]}
    if not n_variants:
        said = ", ".join(f"{n:,} {reason}" for reason, n in dropped.items()) or "none is loaded"
        raise InputError(
            f"No variant of {callset} is left: {said}.",
            where="eqtl build",
            mend="Give --genotypes calls: the callset has no expected dosages there."
            if max(dropped, key=dropped.__getitem__, default=None) == NO_EXPECTED
            else "Lower --min-maf or widen --cis-window.",
        )
    by_contig: dict[str, list[Ints]] = {}
    for result in results:
        by_contig.setdefault(result.contig, []).append(result.starts)
    return GenotypesWritten(
        n_variants,
        dropped,
        {contig: np.concatenate(starts) for contig, starts in by_contig.items()},
        sum(result.n_missing for result in results),
    )
