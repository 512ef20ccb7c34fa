"""Work on parts of `variants`: in this process where they are few, else in Spark tasks; the functions are the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeVar

from kgp.errors import BuildError, InputError
from kgp.genome import ReferenceBuild, get_build
from kgp.io.parts import TARGET_ROWS, TablePart
from kgp.io.tasks import carry_credentials, count_cores, run_tasks
from kgp.job import Context
from kgp.tables import CALLSET_SAMPLES, LOADS, VARIANTS
from kgp.transforms.groups import loads_of

Result = TypeVar("Result")

# Genotypes that the driver reads sooner than a session starts.
DRIVER_GENOTYPES = 20_000_000

# Groups of parts for each core, so that all cores end at about the same time.
_GROUPS_A_CORE = 4


@dataclass(frozen=True)
class Callset:
    """A callset as it is loaded.

    Args:
        name: its name.
        build: reference build of its places.
        load_ids: loads that its variants come from, ascending.
        sample_ids: its people in the order of its arrays.
    """

    name: str
    build: ReferenceBuild
    load_ids: tuple[str, ...]
    sample_ids: tuple[str, ...]


def fetch_callset(context: Context, name: str) -> Callset:
    """What the lake knows of a callset.

    Args:
        context: of a job that reads `loads` and `callset_samples`.
        name: of the callset.

    Raises:
        InputError: there is no such callset, or it has no samples.
        BuildError: its loads lie in several builds.
    """
    loads = context.fetch(LOADS)
    load_ids = loads_of(name, loads)
    if not load_ids:
        there = sorted({row["subject"] for row in loads if row["target"] == VARIANTS.name})
        raise InputError(
            f"There is no callset {name} in this lake.",
            where="--callset",
            mend=f"There are: {', '.join(there)}." if there else "Load it first: kgp load variants.",
        )
    builds = sorted({row["build"] for row in loads if row["load_id"] in load_ids})
    if len(builds) > 1:
        raise BuildError(f"Its loads lie in {' and '.join(builds)}.", where=f"callset {name}")
    rows = context.fetch(CALLSET_SAMPLES, ["callset", "sample_index", "sample_id"])
    places = sorted({(row["sample_index"], row["sample_id"]) for row in rows if row["callset"] == name})
    if not places:
        raise InputError("It has no samples.", where=f"callset {name}", mend="Load files with genotypes.")
    return Callset(name, get_build(builds[0]), tuple(load_ids), tuple(sample for _, sample in places))


def plan_contigs(
    context: Context,
    callset: str,
    build: ReferenceBuild,
    *,
    asked: Sequence[str] = (),
    ids: Collection[str] | None = None,
    target_rows: int = TARGET_ROWS,
) -> dict[str, list[TablePart]]:
    """Contig → parts of a callset's rows on it, in karyotype order.

    Args:
        context: of a job that reads `variants`.
        callset: its name.
        build: of its places.
        asked: only these contigs, in any spelling; all where none is given.
        ids: only rows of these loads.
        target_rows: rows of a part; 1 gives a part a row group.

    Raises:
        InputError: it has no row, or none on a contig that was asked for.
    """
    wanted = {build.canonical(contig) or contig for contig in asked}
    found: dict[str, list[TablePart]] = {}
    for part in context.parts(VARIANTS, partitions={"callset": [callset]}, ids=ids, target_rows=target_rows):
        found.setdefault(str(part.values["contig"]), []).append(part)
    order = sorted(found, key=lambda contig: (build.sort_index(contig), contig))
    if absent := sorted(wanted - found.keys()):
        raise InputError(
            f"Callset {callset} has no variants on {absent[0]}.",
            where="--contig",
            mend=f"It has some on {', '.join(order) or 'no contig'}.",
        )
    if not found:
        raise InputError("It has no variants.", where=f"callset {callset}", mend="Load files with variants.")
    return {contig: found[contig] for contig in order if not wanted or contig in wanted}


def is_small(parts: Sequence[TablePart], n_callset: int) -> bool:
    """Whether the genotypes are so few that Spark needn't be started for them."""
    return sum(part.n_rows for part in parts) * n_callset <= DRIVER_GENOTYPES


def map_parts(
    context: Context,
    parts: Sequence[TablePart],
    n_callset: int,
    function: Callable[[list[TablePart]], Result],
) -> list[Result]:
    """What a function makes of groups of neighbouring parts, in their order; what it gives back is small."""
    if is_small(parts, n_callset):
        return [function(list(parts))]
    return run_tasks(context.spark, group_parts(context, parts), function)


def sum_parts(
    context: Context,
    parts: Sequence[TablePart],
    n_callset: int,
    function: Callable[[list[TablePart]], Result],
    merge: Callable[[Result, Result], Result],
) -> Result:
    """The sum of what a function makes of groups of parts, which may be large: it is summed up by tasks.

    Each result is as large as samples × samples: one of them reaches the driver. (A Spark Connect session has no RDDs:
    there all of them do.)

    Args:
        context: of the job.
        parts: at least one.
        n_callset: samples of the callset.
        function: called with a group of parts; picklable, as its results are.
        merge: adds the second to the first; the sum must not depend on the order.
    """
    if is_small(parts, n_callset):
        return function(list(parts))
    groups = group_parts(context, parts)
    try:
        spark = context.spark.sparkContext
    except Exception:  # a Spark Connect session has none
        return reduce(merge, run_tasks(context.spark, groups, function))
    function = carry_credentials(function)
    n_sums = math.ceil(math.sqrt(len(groups)))

    def keyed(i: int) -> tuple[int, Any]:
        return i % n_sums, function(groups[i])

    sums = spark.parallelize(range(len(groups)), len(groups)).map(keyed).reduceByKey(merge, n_sums)
    (total,) = sums.map(lambda one: (0, one[1])).reduceByKey(merge, 1).values().collect()
    return total  # type: ignore[no-any-return]


def group_parts(context: Context, parts: Sequence[TablePart]) -> list[list[TablePart]]:
    """Parts in as many groups of neighbours of about as many rows as there should be tasks."""
    n_groups = min(len(parts), count_cores(context.spark) * _GROUPS_A_CORE)
    n_rows = max(sum(part.n_rows for part in parts), 1)
    groups: list[list[TablePart]] = [[] for _ in range(n_groups)]
    before = 0
    for part in parts:
        groups[min(before * n_groups // n_rows, n_groups - 1)].append(part)
        before += part.n_rows
    return [group for group in groups if group]
