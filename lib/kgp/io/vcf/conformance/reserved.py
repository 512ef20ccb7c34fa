"""The keys that the VCF specifications reserve: their Number and Type, which also hold where nothing declares them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

Shape = tuple[str, str]
"""Number, and the Types that are right, joined by '|'."""

NEWEST = 5

_ONE_COUNT, _R_COUNT, _FLAG = ("1", "Count"), ("R", "Count"), ("0", "Flag")

_INFO: Mapping[str, Shape] = {
    "AA": ("1", "String"),
    "AC": ("A", "Count"),
    "AF": ("A", "Float"),
    "AN": _ONE_COUNT,
    "BQ": ("1", "Float"),
    "CIGAR": ("A", "Cigar"),
    "DB": _FLAG,
    "DP": _ONE_COUNT,
    "END": _ONE_COUNT,
    "H2": _FLAG,
    "H3": _FLAG,
    "IMPRECISE": _FLAG,
    "MQ": ("1", "Float|Integer"),
    "MQ0": _ONE_COUNT,
    "NS": _ONE_COUNT,
    "SOMATIC": _FLAG,
    "SVTYPE": ("1", "String"),
    "VALIDATED": _FLAG,
    "1000G": _FLAG,
}
_FORMAT: Mapping[str, Shape] = {
    "DP": _ONE_COUNT,
    "EC": ("A", "Count"),
    "FT": ("1", "String"),
    "GL": ("G", "Float"),
    "GLE": (".", "String"),
    "GP": ("G", "Float"),
    "GQ": ("1", "Integer"),
    "GT": ("1", "String"),
    "HQ": ("2", "Integer"),
    "MQ": ("1", "Integer"),
    "PL": ("G", "Integer"),
    "PQ": ("1", "Integer"),
    "PS": ("1", "Integer"),
}
_DEPTHS: Mapping[str, Shape] = {"AD": _R_COUNT, "ADF": _R_COUNT, "ADR": _R_COUNT}
_FORMAT_4_4: Mapping[str, Shape] = {
    "CN": ("1", "Float"),
    "CICN": ("2", "Float"),
    "PSL": ("P", "String"),
    "PSO": ("P", "Integer"),
    "PSQ": ("P", "Integer"),
}

DECLARED_TYPE = {"Count": "Integer", "Cigar": "String"}
"""What a declaration writes for the Types that are narrower than those of the specification."""


def parse_minor(version: str) -> int | None:
    """The part of a VCF version after its point; None where there is no such version.

    >>> parse_minor("4.2"), parse_minor("4"), parse_minor("4.17")
    (2, 0, None)
    """
    _, _, minor = version.partition(".")
    known = minor.isdecimal() and int(minor) <= NEWEST
    return int(minor) if known else None if minor else 0


@cache
def reserved_infos(minor: int) -> Mapping[str, Shape]:
    """Reserved INFO keys of VCF 4.`minor`."""
    return _of_version({**_INFO, **(_DEPTHS if minor >= 3 else {})}, minor)


@cache
def reserved_formats(minor: int) -> Mapping[str, Shape]:
    """Reserved FORMAT keys of VCF 4.`minor`."""
    newer = {**(_DEPTHS if minor >= 3 else {}), **(_FORMAT_4_4 if minor >= 4 else {})}
    if minor >= 3:
        newer["PP"] = ("G", "Integer")
    return _of_version({**_FORMAT, **newer}, minor)


def _of_version(shapes: Mapping[str, Shape], minor: int) -> Mapping[str, Shape]:
    """VCF 4.0 had no Number that depends on the alleles."""
    if minor > 0:
        return shapes
    return {key: ("." if number in "ARG" else number, kind) for key, (number, kind) in shapes.items()}
