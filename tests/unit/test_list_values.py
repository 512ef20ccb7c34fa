"""How a report's details are shown to people."""

from __future__ import annotations

import math
from typing import Any

import pytest

from kgp.io.output import list_values


def test_a_mapping_is_listed_line_by_line_and_nothing_empty_is() -> None:
    figures = {"n_egenes": 86.0, "n_tested": 1800.0, "pi0": 0.8123456789}
    details = {
        "map_id": "4b1f",
        "df": 1355,
        "dropped": {},
        "figures": figures,
        "outer": {"inner": {}, "list": [], "text": ""},
    }
    assert list_values(details) == [
        "  map_id   4b1f",
        "  df       1,355",
        "  figures",
        "    n_egenes  86",
        "    n_tested  1,800",
        "    pi0       0.812346",
    ]


def test_names_are_as_wide_as_is_asked() -> None:
    assert list_values({"a": 1}, width=4) == ["  a     1"]
    assert list_values({}, width=4) == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ([{"name": "x", "sha256": "0" * 64}] * 1200, "1,200 (--json has them)"),
        (["ALL", "EUR"], "ALL, EUR"),
        (["ab"] * 25, ", ".join(["ab"] * 25)),
        (["ab"] * 26, "26 (--json has them)"),
        ((1.0, 2500), "1, 2,500"),
        (None, "none"),
        (True, "yes"),
        (False, "no"),
        (1e-12, "1e-12"),
        (-0.0, "0"),
        (1e300, "1e+300"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (2**60, "1,152,921,504,606,846,976"),
        ("2", "2"),
    ],
)
def test_a_value_is_shown_as_people_write_it(value: Any, shown: str) -> None:
    assert list_values({"x": value}) == [f"  x  {shown}"]
