"""Writes the genotype rows of a matrix set: stretches of contigs, each read, filtered, sorted and written by one task.

What is small is done in this process: Spark would take longer to start than the work to be done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from deltalake.transaction import AddAction

from kgp.errors import CheckError, InputError
from kgp.genome import check_build
from kgp.io.direct import discard_files
from kgp.io.parts import TablePart
from kgp.io.predicates import in_list
from kgp.io.tasks import run_tasks
from kgp.job import Context
from kgp.jobs.genotype_stretches import Stretch, StretchResult, StretchTask, plan_stretches
from kgp.tables import EQTL_GENOTYPES, LOADS, VARIANTS
from kgp.transforms.genotypes import (
    NO_EXPECTED,
    OTHER_LENGTH,
    OUTSIDE_WINDOWS,
    REASONS,
    GenotypeFilter,
)
from kgp.transforms.ploidy import is_x

Ints = npt.NDArray[np.int64]

# Genotypes of a callset that are read in a second or so: no more are read without Spark.
_WITHOUT_SPARK = 200_000_000


@dataclass(frozen=True, eq=False)
class GenotypesWritten:
    """What became of the callset's variants on the contigs with phenotypes.

    Args:
        n_variants: rows of the set.
        dropped: reason → rows of the callset that are not in the set, in the order of the reasons. With `n_variants`
            they are all rows that the callset has on those contigs.
        starts: contig → 0-based starts of the set's variants, ascending.
        n_missing: missing genotypes in the set's rows, which mapping fills in with the mean.
        files: add-actions of the files that have the rows, and that no commit names yet; none of a dry run.
    """

    n_variants: int
    dropped: Mapping[str, int]
    starts: Mapping[str, Ints]
    n_missing: int
    files: tuple[AddAction, ...] = ()


def write_genotypes(
    context: Context,
    matrix_id: str,
    callset: str,
    which: GenotypeFilter,
    rows_on: Mapping[str, int],
    *,
    dry_run: bool = False,
) -> GenotypesWritten:
    """Write the files of a set's genotypes, which `commit_genotypes` makes rows of the table.

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
        try:
            _check_results(context, callset, which, results)
            return _sum_up(callset, n_candidates, results)
        except BaseException:
            discard_files([action.path for result in results for action in result.written], root)
            raise


def commit_genotypes(context: Context, matrix_id: str, written: GenotypesWritten) -> None:
    """Put the files of a set's genotypes in the place of its rows; again, where somebody removed these."""
    context.commit(EQTL_GENOTYPES, written.files, [matrix_id])


def discard_genotypes(context: Context, written: GenotypesWritten) -> None:
    """Remove the files of genotypes that were never committed."""
    discard_files([action.path for action in written.files], context.path(EQTL_GENOTYPES))


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
        tuple(action for result in results for action in result.written),
    )
