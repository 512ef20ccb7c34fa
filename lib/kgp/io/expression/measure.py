"""Values of a phenotype that are beyond all measure: so large, or so alike, that sums of their powers lose them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kgp.io.expression.layout import MatrixLayout

# No unit has such values; the fourth powers of what is less, summed over people and phenotypes, stay finite.
MAX_VALUE = 1e60
# Nor are there phenotypes that differ by less: the fourth powers of their differences would be rounded to 0.
MIN_RANGE = 1e-60

_TOO_LARGE, _TOO_SMALL = IMMEASURABLE = ("too large", "too small")


def find_immeasurable(values: NDArray[np.float64]) -> dict[int, str]:
    """Row of phenotypes × samples → which of `IMMEASURABLE` it is; NaN where a value is missing."""
    is_too_large = (np.abs(values) > MAX_VALUE).any(axis=1)
    with np.errstate(over="ignore"):
        ranges = np.fmax.reduce(values, axis=1) - np.fmin.reduce(values, axis=1)
    is_too_small = (ranges > 0) & (ranges < MIN_RANGE)
    return {
        **dict.fromkeys(np.flatnonzero(is_too_small).tolist(), _TOO_SMALL),
        **dict.fromkeys(np.flatnonzero(is_too_large).tolist(), _TOO_LARGE),
    }


def explain_immeasurable(
    kind: str, layout: MatrixLayout, phenotype_id: str, values: NDArray[np.float64]
) -> str:
    """What is wrong with the values of a line, in words that begin with the phenotype's id.

    Args:
        kind: one of `IMMEASURABLE`.
        layout: of the file.
        phenotype_id: of the line.
        values: of the line, a value a person.
    """
    explain = _explain_too_large if kind == _TOO_LARGE else _explain_too_small
    return explain(layout, phenotype_id, values)


def _explain_too_small(layout: MatrixLayout, phenotype_id: str, values: NDArray[np.float64]) -> str:
    """By how much the values of a line differ."""
    lowest, highest = np.fmin.reduce(values), np.fmax.reduce(values)
    return (
        f"{phenotype_id}: its {layout.n_cells - layout.n_leading:,} values lie between {lowest:g} and {highest:g}: no "
        "expression differs by so little"
    )


def _explain_too_large(layout: MatrixLayout, phenotype_id: str, values: NDArray[np.float64]) -> str:
    """The first value of a line that is beyond `MAX_VALUE`, and how many there are."""
    columns = np.flatnonzero(np.abs(values) > MAX_VALUE)
    column = int(columns[0])
    more = f", and {len(columns) - 1:,} more in the line" if len(columns) > 1 else ""
    return (
        f"{phenotype_id}: column {layout.n_leading + column + 1} ({layout.runs[column]}): {values[column]:g} is larger "
        f"than any expression{more}"
    )
