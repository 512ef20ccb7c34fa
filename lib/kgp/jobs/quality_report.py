"""Which runs are flagged and why, and what `kgp quality` shows of them; from rows of `expression_quality` alone.

A report of rows that were computed by an earlier run is therefore that of new ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kgp.eqtl.quality_outliers import (
    LOW_CORRELATION,
    LOW_EXPRESSION,
    MIN_RUNS,
    PCA_OUTLIER,
    SEX_MISMATCH,
    FarRuns,
    find_far_runs,
    robust_scores,
)
from kgp.eqtl.quality_sex import infer_sexes
from kgp.io.output import align
from kgp.job import Report
from kgp.tables import EXPRESSION_QUALITY

Row = Mapping[str, Any]

COMPUTED, FRESH, SKIPPED = "computed", "up to date", "skipped"


def find_flags(rows: Sequence[Row], max_mads: float, is_linear: bool) -> list[list[str]]:
    """Flags of each run.

    Args:
        rows: of `expression_quality`, all runs of a quantification; flags may lack.
        max_mads: greatest robust score of a run that is no outlier.
        is_linear: whether the values are no logarithms: only then is one above 0 an expressed one.
    """
    flags: list[list[str]] = [[] for _ in rows]
    for row, its_flags in zip(rows, flags, strict=True):
        if row["sex_inferred"] and row["sex_stated"] and row["sex_inferred"] != row["sex_stated"]:
            its_flags.append(SEX_MISMATCH)
    if len(rows) < MIN_RUNS:
        return flags
    outliers = {int(i) for far in _far_runs(rows, max_mads) for i in far.outliers}
    few = _expressed_scores(rows) < -max_mads
    for i, row in enumerate(rows):
        found = {
            LOW_CORRELATION: row["d_score"] < -max_mads,
            PCA_OUTLIER: i in outliers,
            LOW_EXPRESSION: is_linear and few[i],
        }
        flags[i][:0] = [name for name, is_so in found.items() if is_so]
    return flags


@dataclass(frozen=True)
class Judged:
    """A quantification and what became of it.

    Args:
        row: of `quantifications`.
        state: computed, up to date, or skipped.
        rows: of `expression_quality`.
        max_mads: that they were judged with.
        notes: how they came about, or why they did not.
    """

    row: Row
    state: str
    rows: Sequence[Row]
    max_mads: float
    notes: tuple[str, ...] = ()

    @property
    def flagged(self) -> list[dict[str, Any]]:
        """Flagged runs, with a reason a flag."""
        far = _far_runs(self.rows, self.max_mads) if self.rows else []
        expressed = _expressed_scores(self.rows) if self.rows else np.empty(0)
        return [
            {
                "run_id": row["run_id"],
                "sample_id": row["sample_id"],
                "flags": list(row["flags"]),
                "reasons": [_explain(flag, row, i, far, float(expressed[i])) for flag in row["flags"]],
            }
            for i, row in enumerate(self.rows)
            if row["flags"]
        ]

    @property
    def not_checked(self) -> list[str]:
        """What could not be checked of all or some of its runs."""
        found = []
        if self.rows and len(self.rows) < MIN_RUNS:
            found.append(f"outliers: fewer than {MIN_RUNS} runs are too few to tell one")
        if self.rows and (why := _why_no_sex(self.rows)) is not None:
            found.append(f"sex: {why}")
        n_nobody = sum(row["sample_id"] is None for row in self.rows)
        if n_nobody:
            found.append(f"{n_nobody:,} runs of nobody who is known: nothing to compare their sex with")
        return found

    @property
    def groups(self) -> list[str]:
        """Groups of runs that lie apart, but are too many to be outliers."""
        if len(self.rows) < MIN_RUNS:
            return []
        return [
            f"{len(far.group):,} runs lie apart on component {far.component + 1}: a group, not flagged as outliers"
            for far in _far_runs(self.rows, self.max_mads)
            if len(far.group)
        ]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "quantification": self.row["quantification"],
            "kind": self.row["kind"],
            "unit": self.row["unit"],
            "state": self.state,
            "n_runs": len(self.row["run_ids"]),
            "n_compared": self.rows[0]["n_phenotypes"] if self.rows else None,
            "n_flagged": len(self.flagged),
            "flagged": self.flagged,
            "not_checked": self.not_checked,
            "notes": [*self.notes, *self.groups],
        }


def make_report(
    dataset: str, judged: Sequence[Judged], *, left_out: Sequence[str], gone: Sequence[str]
) -> Report:
    """The report of the job.

    Args:
        dataset: its accession.
        judged: the quantifications that were asked for.
        left_out: those of exons, which were not.
        gone: those whose rows were removed, for the dataset has them no more.
    """
    computed = [one for one in judged if one.state == COMPUTED]
    n_flagged = sum(len(one.flagged) for one in judged)
    n_rows = sum(len(one.rows) for one in computed)
    states = Counter(one.state for one in judged)
    done = ", ".join(f"{states[state]:,} {state}" for state in (COMPUTED, FRESH, SKIPPED) if states[state])
    summary = f"quantifications of {dataset}: {done}; runs flagged: {n_flagged:,}"
    if not computed and not gone:
        summary += ", nothing to do"
    notes = [f"exons are compared when they are named: {name}" for name in left_out]
    notes += [f"removed, for {dataset} has it no more: {name}" for name in gone]
    return Report(
        "compute_quality",
        bool(computed or gone),
        summary,
        rows={EXPRESSION_QUALITY.name: n_rows} if computed else {},
        details={"dataset": dataset, "quantifications": [one.as_dict() for one in judged]},
        notes=notes,
        text="\n".join([f"compute_quality: {summary}", *(_describe(one) for one in judged), *notes]),
    )


def _describe(one: Judged) -> str:
    """What a terminal shows of a quantification."""
    facts = one.as_dict()
    lines = [
        f"\n{facts['quantification']} ({facts['kind']}, {facts['unit']}; {facts['state']}): {facts['n_runs']:,} runs, "
        f"{facts['n_flagged']:,} flagged"
    ]
    if one.flagged:
        table = [
            (each["run_id"], each["sample_id"] or "", flag, reason)
            for each in one.flagged
            for flag, reason in zip(each["flags"], each["reasons"], strict=True)
        ]
        shown = align(("run", "person", "flag", "why"), table, max_width=200)
        lines += [f"  {line}" for line in shown.rstrip("\n").split("\n")]
    lines += [f"  not checked: {text}" for text in facts["not_checked"]]
    lines += [f"  note: {text}" for text in facts["notes"]]
    return "\n".join(lines)


def _explain(flag: str, row: Row, place: int, far: Sequence[FarRuns], expressed: float) -> str:
    if flag == LOW_CORRELATION:
        return f"median correlation {row['d_statistic']:.4f}, {row['d_score']:.1f} scaled MADs"
    if flag == LOW_EXPRESSION:
        return f"{row['n_expressed']:,} phenotypes above 0, {expressed:.1f} scaled MADs"
    if flag == SEX_MISMATCH:
        measured = f"XIST {row['xist']:.2f}, Y {row['y_expression']:.2f}"
        return f"stated {row['sex_stated']}, expresses as {row['sex_inferred']} ({measured})"
    places = [
        f"component {one.component + 1}: {one.scores[place]:.1f}" for one in far if place in one.outliers
    ]
    return f"{', '.join(places)} scaled MADs"


def _why_no_sex(rows: Sequence[Row]) -> str | None:
    """Why no run's sex could be told, or None where some could."""
    if any(row["sex_inferred"] for row in rows):
        n = sum(row["sex_inferred"] is None for row in rows)
        return (
            f"undecided for {n:,} runs that express XIST and genes of Y both, neither, or little"
            if n
            else None
        )
    lacking = [
        what
        for what, column in (("XIST", "xist"), ("an expressed gene of Y", "y_expression"))
        if all(row[column] is None for row in rows)
    ]
    if lacking:
        return f"the quantification does not have {' nor '.join(lacking)}"
    measures = [
        np.array([np.nan if row[name] is None else row[name] for row in rows])
        for name in ("xist", "y_expression")
    ]
    # Only what no scale can mend is left: the reason is the same for logarithms and others.
    return infer_sexes(measures[0], measures[1], is_log2=True)[1]


def _far_runs(rows: Sequence[Row], max_mads: float) -> list[FarRuns]:
    components = np.array([row["components"] for row in rows], dtype=np.float64).reshape(len(rows), -1)
    return find_far_runs(components, np.array(rows[0]["variance_explained"], dtype=np.float64), max_mads)


def _expressed_scores(rows: Sequence[Row]) -> Any:
    return robust_scores(np.array([row["n_expressed"] for row in rows], dtype=np.float64))
