"""What `kgp samples qc` says: the people who stand apart, and what could not be told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgp.amounts import count, name_first
from kgp.eqtl.sample_flags import FLAGS
from kgp.io.output import align
from kgp.job import Report
from kgp.tables import SAMPLE_QUALITY

Ints = NDArray[np.int64]
Row = Mapping[str, Any]

_SHOWN = ("sample_id", "flags", "call_rate", "inbreeding", "inbreeding_x", "sex_stated", "sex_inferred")
N_NAMES = 10


def report_samples(
    rows: Sequence[Row],
    callset: str,
    dropped: Counter[str],
    *,
    is_new: bool,
    n_haploid_x: Ints | None = None,
) -> Report:
    """The report on a callset.

    Args:
        rows: of `sample_quality`, one a person.
        callset: its name.
        dropped: variants that heterozygosity and sex were not told from, by reason; empty where nothing was counted.
        is_new: whether the rows were computed now.
        n_haploid_x: haploid genotypes of X a person, where they were counted now.
    """
    flagged = sorted((row for row in rows if row["flags"]), key=lambda row: str(row["sample_id"]))
    counts = Counter(flag for row in flagged for flag in row["flags"])
    said = ", ".join(f"{counts[flag]:,} {flag}" for flag in FLAGS if counts[flag])
    summary = (
        f"{count(len(flagged), 'flagged person', 'flagged people')} of {len(rows):,} in callset {callset}"
    )
    if said:
        summary += f": {said}"
    if not is_new:
        summary += "; up to date, nothing to do"
    notes = [*_notes(rows), *_explain_haploid(rows, n_haploid_x)]
    shown = [{name: row[name] for name in _SHOWN} for row in flagged]
    text = [align(_SHOWN, [_cells(row) for row in shown])] if flagged else []
    return Report(
        "check_samples",
        is_new,
        summary,
        rows={SAMPLE_QUALITY.name: len(rows)} if is_new else {},
        details={
            "flags": {flag: counts[flag] for flag in FLAGS},
            "flagged": shown,
            "variants_left_out": {reason: n for reason, n in sorted(dropped.items()) if n},
        },
        notes=notes,
        text="\n".join([*text, summary, *notes]),
    )


def _notes(rows: Sequence[Row]) -> list[str]:
    """What could not be told, and of whom."""
    notes = []
    if all(row["inbreeding"] is None for row in rows):
        notes.append("heterozygosity can't be told: no common biallelic SNV of autosomes is loaded")
    n_x = max((row["n_variants_x"] or 0 for row in rows), default=0)
    if not n_x:
        notes.append(
            "sex can't be told: no common biallelic SNV of X outside the pseudoautosomal regions is loaded"
        )
    elif all(row["sex_inferred"] is None for row in rows):
        notes.append(
            f"sex can't be told: {count(n_x, 'variant')} of X are too few, or all F lie between 0.2 and 0.8"
        )
    else:
        between = [str(row["sample_id"]) for row in rows if row["sex_inferred"] is None]
        if between:
            notes.append(
                f"{count(len(between), 'person', 'people')} with an F of X between 0.2 and 0.8 or none, "
                f"sex can't be told: {name_first(sorted(between), N_NAMES)}"
            )
    unstated = [str(row["sample_id"]) for row in rows if row["sex_stated"] is None]
    if unstated:
        notes.append(
            f"{count(len(unstated), 'person', 'people')} of no stated sex: {name_first(sorted(unstated), N_NAMES)}; "
            "kgp load samples tells"
        )
    return notes


def _explain_haploid(rows: Sequence[Row], n_haploid_x: Ints | None) -> list[str]:
    """A sex that the caller of the genotypes was told is no evidence of its own."""
    if n_haploid_x is None or not (n_people := int((n_haploid_x > 0).sum())):
        return []
    return [
        f"{count(n_people, 'person', 'people')} of {len(rows):,} have haploid genotypes of X in the files: that they "
        "are male repeats what the caller of the genotypes was told"
    ]


def _cells(row: Row) -> list[Any]:
    cells = []
    for value in row.values():
        if isinstance(value, float):
            cells.append(f"{value:.4f}")
        elif isinstance(value, list):
            cells.append(" ".join(value))
        else:
            cells.append("-" if value is None else value)
    return cells
