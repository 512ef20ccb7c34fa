"""`kgp quality`: how the runs of each quantification compare, from `expression` into `expression_quality`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kgp.eqtl.quality import RunQuality, RunSums, compare_runs
from kgp.eqtl.quality_scale import Scaling, choose_scaling
from kgp.eqtl.quality_sex import SexPhenotypes, find_sex_phenotypes, infer_sexes, measure_xist, measure_y
from kgp.errors import CheckError
from kgp.genome import get_build
from kgp.io.parts import TablePart
from kgp.io.predicates import in_list
from kgp.io.tasks import count_cores, run_tasks
from kgp.job import Context, Job, Report
from kgp.jobs.quality_plan import Plan, choose_quantifications, plan_quality
from kgp.jobs.quality_report import COMPUTED, FRESH, SKIPPED, Judged, find_flags, make_report
from kgp.jobs.quality_rows import Found, Wanted, join_found, measure_range, sum_parts
from kgp.params import Quality
from kgp.tables import EXPRESSION, EXPRESSION_QUALITY, PHENOTYPES, QUANTIFICATIONS, RUNS, SAMPLES

Floats = NDArray[np.float64]
Result = TypeVar("Result")

# With fewer runs there are no other runs to have a median of.
_LEAST_RUNS = 3
# Values that the driver reads sooner than a session starts; what tasks give back is a few runs × runs each.
_DRIVER_VALUES = 16_000_000
_PART_ROWS = 500_000
_MOST_TASKS = 16


def run(context: Context, params: Quality) -> Report:
    """Compute what is not there or stale, a quantification after the other, each in one commit."""
    there = [row for row in context.fetch(QUANTIFICATIONS) if row["dataset"] == params.dataset]
    chosen = choose_quantifications(context, params, there)
    plans = plan_quality(context, params, chosen)
    judged = [_judge(context, params, plan) for plan in plans]
    gone = _remove_gone(context, params.dataset, [row["quantification"] for row in there])
    left_out = sorted(
        row["quantification"] for row in there if not params.quantification and row not in chosen
    )
    return make_report(params.dataset, judged, left_out=left_out, gone=gone)


def _judge(context: Context, params: Quality, plan: Plan) -> Judged:
    """Compute one quantification's rows, unless they are there."""
    if len(plan.run_ids) < _LEAST_RUNS:
        if context.fetch(EXPRESSION_QUALITY, ["quality_id"], plan.slice):
            context.put(EXPRESSION_QUALITY, [], plan.slice)
        why = f"{len(plan.run_ids)} runs are too few to compare: {_LEAST_RUNS} are needed"
        return Judged(plan.row, SKIPPED, [], params.max_mads, (why,))
    rows = context.fetch(EXPRESSION_QUALITY, where=plan.slice)
    if rows and {row["quality_id"] for row in rows} == {plan.quality_id}:
        return Judged(plan.row, FRESH, rows, params.max_mads)
    with context.progress.step(f"comparing {len(plan.run_ids):,} runs of {plan.name}"):
        rows, notes = _compute(context, params, plan)
        context.put(EXPRESSION_QUALITY, rows, plan.slice)
    return Judged(plan.row, COMPUTED, rows, params.max_mads, notes)


def _compute(context: Context, params: Quality, plan: Plan) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Rows of `expression_quality`, and what should be known of how they came about."""
    of_sex = _find_sex_phenotypes(context, plan)
    wanted = Wanted(f"{params.dataset} {plan.name}", plan.run_ids, of_sex.xist | of_sex.y)
    found, scaling = _read(context, plan, wanted)
    quality = compare_runs(found.sums, params.n_components)
    xist, y, n_y = _measure_sex(found, of_sex, scaling)
    sexes: Sequence[str | None] = [None] * len(plan.run_ids)
    if xist is not None and y is not None:
        sexes, _ = infer_sexes(xist, y, is_log2=scaling.is_log2)
    rows = [
        {
            "dataset": params.dataset,
            "quantification": plan.name,
            "run_id": run_id,
            "quality_id": plan.quality_id,
            "load_ids": list(plan.load_ids),
            "n_phenotypes": quality.n_compared,
            "n_expressed": int(quality.n_expressed[i]),
            "d_statistic": float(quality.d_statistic[i]),
            "d_score": float(quality.d_score[i]),
            "components": quality.components[i].tolist(),
            "variance_explained": quality.variance_explained.tolist(),
            **plan.people[run_id],
            "sex_inferred": sexes[i],
            "xist": _number(xist, i),
            "y_expression": _number(y, i),
        }
        for i, run_id in enumerate(plan.run_ids)
    ]
    for row, flags in zip(rows, find_flags(rows, params.max_mads, not scaling.is_log), strict=True):
        row["flags"] = flags
    return rows, _notes(scaling, quality, found.sums, n_y)


def _read(context: Context, plan: Plan, wanted: Wanted) -> tuple[Found, Scaling]:
    """The sums over the whole table, and how its values were scaled.

    Raises:
        CheckError: the table does not hold the phenotypes that the load counted.
    """
    row = plan.row
    parts = context.parts(
        EXPRESSION,
        partitions={"dataset": [row["dataset"]], "quantification": [plan.name]},
        ids=[row["load_id"]],
        target_rows=_PART_ROWS,
    )
    ranges = _map(context, parts, partial(measure_range, wanted=wanted))
    least = min((one.least for one in ranges), default=np.inf)
    totals = np.sum([one.totals for one in ranges], axis=0) if ranges else np.zeros(len(wanted.run_ids))
    scaling = choose_scaling(row["unit"], row["processing"], least, totals)
    found = join_found(
        _map(context, parts, partial(sum_parts, wanted=wanted, scaling=scaling)), wanted, scaling
    )
    if found.sums.n_phenotypes != row["n_phenotypes"]:
        raise CheckError(
            f"{found.sums.n_phenotypes:,} phenotypes have values instead of {row['n_phenotypes']:,}.",
            where=wanted.name,
            mend="Load it again: kgp load expression.",
        )
    return found, scaling


def _map(
    context: Context, parts: Sequence[TablePart], function: Callable[[Sequence[TablePart]], Result]
) -> list[Result]:
    """What the function makes of neighbouring parts: on the driver where they are few, else in a few Spark tasks."""
    n_values = sum(part.n_rows for part in parts)
    if n_values <= _DRIVER_VALUES:
        return [function(parts)] if parts else []
    n_tasks = min(count_cores(context.spark), _MOST_TASKS, len(parts))
    groups: list[list[TablePart]] = [[] for _ in range(n_tasks)]
    before = 0
    for part in parts:
        groups[min(before * n_tasks // n_values, n_tasks - 1)].append(part)
        before += part.n_rows
    return run_tasks(context.spark, [group for group in groups if group], function)


def _find_sex_phenotypes(context: Context, plan: Plan) -> SexPhenotypes:
    columns = ["phenotype_id", "gene_id", "gene_name", "contig", "start", "end"]
    build = get_build(plan.row["build"]) if plan.row["build"] else None
    return find_sex_phenotypes(context.fetch(PHENOTYPES, columns, plan.slice), build)


def _measure_sex(
    found: Found, of_sex: SexPhenotypes, scaling: Scaling
) -> tuple[Floats | None, Floats | None, int]:
    """XIST, genes of Y, and how many of these count."""
    of_xist = [found.rows[name] for name in sorted(of_sex.xist & found.rows.keys())]
    of_y = [found.rows[name] for name in sorted(of_sex.y & found.rows.keys())]
    xist = measure_xist(np.array(of_xist), scaling) if of_xist else None
    y, n_y = measure_y(np.array(of_y), scaling) if of_y else (None, 0)
    return xist, y, n_y


def _number(values: Floats | None, place: int) -> float | None:
    return None if values is None or np.isnan(values[place]) else float(values[place])


def _notes(scaling: Scaling, quality: RunQuality, sums: RunSums, n_y: int) -> tuple[str, ...]:
    """How the rows came about."""
    notes = [
        f"compared as {scaling.text}, {quality.n_compared:,} of {sums.n_phenotypes:,} phenotypes being expressed"
    ]
    if sums.n_incomplete:
        notes.append(
            f"{sums.n_incomplete:,} of these have missing values: correlations are of those that both runs have"
        )
    if n_y:
        notes.append(f"y_expression is the mean of {n_y:,} phenotypes of Y")
    return tuple(notes)


def _remove_gone(context: Context, dataset: str, there: Sequence[str]) -> list[str]:
    """Remove the rows of quantifications that the dataset has no more; gives their names."""
    of_dataset = in_list("dataset", [dataset])
    named = {row["quantification"] for row in context.fetch(EXPRESSION_QUALITY, where=of_dataset)}
    gone = sorted(named - set(there))
    if gone:
        context.put(EXPRESSION_QUALITY, [], f"{of_dataset} AND {in_list('quantification', gone)}")
    return gone


COMPUTE_QUALITY = Job(
    name="compute_quality",
    summary="Compare the runs of expression tables: correlation, principal components, sex; flag outliers.",
    params=Quality,
    reads=(QUANTIFICATIONS, PHENOTYPES, EXPRESSION, RUNS, SAMPLES),
    writes=(EXPRESSION_QUALITY,),
    run=run,
)
