"""How released values of any unit become values that runs are compared by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_PER_MILLION = 1e6


@dataclass(frozen=True, eq=False)
class Scaling:
    """How released values become values whose differences mean the same at any height.

    Args:
        text: in words, for a report.
        is_log: the values are logarithms or residuals already and are taken as they are; else log2(value + 1).
        is_log2: a difference of 1 is a factor of two.
        totals: of counts, each run's sum, which makes them counts per million; None for other units.
    """

    text: str
    is_log: bool
    is_log2: bool
    totals: Floats | None = None

    def to_linear(self, values: Floats) -> Floats:
        """Phenotypes × runs without the runs' depth, not yet logarithms; values of a run without counts stay 0."""
        if self.totals is None:
            return values
        per_million = np.divide(
            _PER_MILLION, self.totals, out=np.zeros_like(self.totals), where=self.totals > 0
        )
        return np.asarray(values * per_million)

    def to_log(self, linear: Floats) -> Floats:
        """What `to_linear` gave, as logarithms."""
        return linear if self.is_log else np.log2(linear + 1.0)


def choose_scaling(unit: str, processing: str, least: float, totals: Floats | None) -> Scaling:
    """How values of a unit are scaled.

    Args:
        unit: as `kgp.params.UNITS` has it.
        processing: what was done to the values before.
        least: the least value of the table; what is below 0 can be no linear expression.
        totals: each run's sum, needed for counts.

    >>> choose_scaling("rpkm", "none", 0.0, None).text
    'log2(rpkm + 1)'
    >>> choose_scaling("rpkm", "peer10_residuals", 0.0, None).text
    'residuals as they are'
    """
    if "residual" in processing:
        return Scaling("residuals as they are", is_log=True, is_log2=False)
    if unit.startswith("log2"):
        return Scaling(f"{unit} as it is", is_log=True, is_log2=True)
    if least < 0:
        return Scaling(f"{unit} as it is, for some values are negative", is_log=True, is_log2=False)
    if unit == "count":
        return Scaling("log2(counts per million + 1)", is_log=False, is_log2=True, totals=totals)
    text = "log2(value + 1), the unit being unknown" if unit == "unknown" else f"log2({unit} + 1)"
    return Scaling(text, is_log=False, is_log2=True)
