"""Which quantifications of a dataset a matrix set takes its phenotypes from. Pure functions."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kgp.errors import InputError

Row = Mapping[str, Any]

_MUST_AGREE = ("kind", "unit", "processing", "build")


def choose_quantifications(dataset: str, there: Iterable[Row], asked: Sequence[str]) -> list[Row]:
    """Rows of `quantifications` to build from, by name.

    Several are taken together as one only where they measure the same in different runs, as the populations of
    HapMap 3 do, each in a file of its own. Where none is named, all that the dataset has are taken if they fit.

    Args:
        dataset: its accession, for messages.
        there: rows of `quantifications` of the dataset.
        asked: names that were asked for; none means all.

    Returns:
        the chosen rows, none where the dataset has none.

    Raises:
        InputError: a name is not known, or the quantifications do not fit together.

    >>> a = {"quantification": "a", "kind": "gene", "unit": "rpkm", "processing": "none", "build": "GRCh37"}
    >>> [row["quantification"] for row in choose_quantifications("E", [{**a, "run_ids": ["r"]}], [])]
    ['a']
    """
    rows = {row["quantification"]: row for row in there}
    for name in asked if rows else ():
        if name not in rows:
            near = difflib.get_close_matches(name, rows, n=1, cutoff=0.3)
            advice = f"Did you mean {near[0]}? " if near else ""
            raise InputError(
                f"Dataset {dataset} has no quantification '{name}'.",
                where="--quantification",
                mend=f"{advice}There are: {', '.join(sorted(rows))}.",
            )
    chosen = [rows[name] for name in sorted(rows) if not asked or name in asked]
    if reason := _why_apart(chosen):
        how = "Those that were named" if asked else f"The quantifications of {dataset}"
        raise InputError(
            f"{how} do not fit together: {reason}.",
            where="--quantification",
            mend=f"Name the one to take: {', '.join(_describe(row) for row in chosen)}.",
        )
    return chosen


def _why_apart(rows: Sequence[Row]) -> str | None:
    """Why rows can't be taken together, or None where they can."""
    for field in _MUST_AGREE:
        if len(values := sorted({row[field] for row in rows})) > 1:
            return f"their {field} is {' and '.join(values)}"
    repeated = [run for run, n in Counter(run for row in rows for run in row["run_ids"]).items() if n > 1]
    if repeated:
        return f"{len(repeated):,} runs are in more than one of them, as {repeated[0]}"
    return None


def _describe(row: Row) -> str:
    return f"{row['quantification']} ({row['kind']}, {row['unit']})"
