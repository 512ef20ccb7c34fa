"""The scale that values come on: what is left to do before a linear model, and what must not be done twice.

Arrays are `phenotypes × samples`, NaN where a value is missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kgp.errors import InputError
from kgp.params import UNITS

Floats = NDArray[np.float64]

Form = Literal["linear", "log2", "unknown"]

_PROCESSINGS = ("none", "quantile", "cqn", "unknown")

# 2 to this is more than any read count or intensity: such a value was never logged.
MAX_LOG2 = 64.0

_FORMS: dict[str, Form] = {
    "count": "linear",
    "rpkm": "linear",
    "tpm": "linear",
    "cpm": "linear",
    "log2_intensity": "log2",
    "log2_cqn": "log2",
    "unknown": "unknown",
}
_RESIDUALS = re.compile(r"peer(\d+)_residuals")


@dataclass(frozen=True)
class Scale:
    """What values are and what was done to them.

    Args:
        unit: one of `kgp.params.UNITS`.
        form: linear, log2, or unknown (then only ranks mean something).
        needs_library_size: counts of reads as they were: TMM and CPM are still to do.
        can_take_log2: linear, not negative and not residuals: a logarithm has a meaning. Where it is False the values
            are logged already, or can't be.
        is_quantile_normalised: every sample has the same distribution by construction (quantile, CQN).
        n_factors_removed: hidden factors that the values are residuals of; as many degrees of freedom are gone.
    """

    unit: str
    form: Form
    needs_library_size: bool
    can_take_log2: bool
    is_quantile_normalised: bool
    n_factors_removed: int


def recognise_scale(values: Floats, unit: str, processing: str) -> Scale:
    """Decide from what is stated, checked against the values, what is still to be done with them.

    Nothing is guessed: the stated unit and processing decide, and values that contradict them are refused.
    Counts may be fractional (estimates, as Geuvadis' transcripts are). Residuals may be negative in any unit.

    Args:
        values: phenotypes × samples.
        unit: one of `kgp.params.UNITS`.
        processing: ``none``, ``peer<N>_residuals`` (N factors), ``quantile``, ``cqn`` or ``unknown``.

    Raises:
        InputError: unit or processing is not known, the two contradict each other, or values contradict
            them: an infinity, a negative value on a linear scale, one beyond 64 on a log2 scale.

    >>> recognise_scale(np.array([[5.1, -0.2]]), "log2_cqn", "cqn").is_quantile_normalised
    True
    >>> recognise_scale(np.array([[5.1, -0.2]]), "rpkm", "peer10_residuals").n_factors_removed
    10
    """
    if unit not in _FORMS:
        raise InputError(f"'{unit}' is no unit.", where="unit", mend=f"Use {', '.join(UNITS)}.")
    residuals = _RESIDUALS.fullmatch(processing)
    if residuals is None and processing not in _PROCESSINGS:
        raise InputError(
            f"'{processing}' is no processing that kgp knows.",
            where="processing",
            mend=f"Use {', '.join(_PROCESSINGS)}, or peer<N>_residuals for those of N factors.",
        )
    form: Form = "log2" if processing == "cqn" else _FORMS[unit]
    _check_agreement(unit, processing)
    _check_values(values, form, unit, is_residual=residuals is not None)
    is_raw = processing == "none"
    return Scale(
        unit=unit,
        form=form,
        needs_library_size=unit == "count" and is_raw,
        can_take_log2=form == "linear" and residuals is None,
        is_quantile_normalised=processing in ("quantile", "cqn") or unit == "log2_cqn",
        n_factors_removed=int(residuals[1]) if residuals else 0,
    )


def take_log2(values: Floats, offset: float) -> Floats:
    """log2(value + offset); missing stays missing.

    Args:
        values: phenotypes × samples, on a linear scale.
        offset: what is added before, in the values' unit, so that 0 has a logarithm.

    Raises:
        InputError: a value is infinite, or not above -offset.

    >>> take_log2(np.array([[0.0, 3.0, np.nan]]), 1.0).tolist()
    [[0.0, 2.0, nan]]
    """
    bad = (values <= -offset) | np.isinf(values)
    if bad.any():
        place, at = find_first(bad)
        raise InputError(
            f"{values[at]:g} + {offset:g} has no logarithm.",
            where=place,
            mend="Give values that were not logged before, or a greater offset.",
        )
    return np.asarray(np.log2(values + offset))


def _check_agreement(unit: str, processing: str) -> None:
    is_cqn = unit == "log2_cqn"
    if processing == "cqn" and unit not in ("log2_cqn", "unknown"):
        raise InputError(
            f"The unit is {unit}, but the processing cqn, whose values are log2.",
            where="unit, processing",
            mend="State the unit log2_cqn, or the processing that was done.",
        )
    if is_cqn and processing == "none":
        raise InputError(
            "The unit is log2_cqn, but the processing none.",
            where="unit, processing",
            mend="State the processing cqn, or the unit that the values have.",
        )


def _check_values(values: Floats, form: Form, unit: str, *, is_residual: bool) -> None:
    if (infinite := np.isinf(values)).any():
        place, at = find_first(infinite)
        raise InputError(
            f"{values[at]:g} is no measurement.", where=place, mend="Write NA where a value is missing."
        )
    if form == "linear" and not is_residual and (negative := values < 0).any():
        place, at = find_first(negative)
        raise InputError(
            f"The unit is {unit}, but {values[at]:g} is negative ({negative.sum()} in all).",
            where=place,
            mend="State the unit and the processing that the values have: log2_…, or peer<N>_residuals.",
        )
    if form == "log2" and (great := np.abs(values) > MAX_LOG2).any():
        place, at = find_first(great)
        raise InputError(
            f"The unit is {unit}, but {values[at]:g} is beyond any log2 ({great.sum()} in all).",
            where=place,
            mend="State the unit that the values have, for example tpm or count.",
        )


def find_first(flags: NDArray[np.bool_]) -> tuple[str, tuple[int, int]]:
    """Place of the first value that is flagged: in words, and as (phenotype, sample) from 0."""
    row, column = (int(i) for i in np.argwhere(flags)[0])
    return f"phenotype {row + 1}, sample {column + 1} of the matrix", (row, column)
