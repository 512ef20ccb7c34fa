"""The rules that VCF 4.4 brought for structural variants, tandem repeats and phase sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kgp.io.vcf.conformance.oddities import Oddity

_CLAIMS = {"D", "J", "DJ"}
_SAME_BASES = 1.0
"""RB is a whole number and RUC may be a fraction: RB and RUL x RUC are the same if less than a base apart."""


def check_structural(alts: Sequence[str], info: Mapping[str, str | None]) -> Iterator[Oddity]:
    """What is odd about the INFO fields of a record's symbolic alleles.

    Args:
        alts: ALT alleles.
        info: key → value, None of a key without one.
    """
    types = [alt[1:-1] if alt.startswith("<") else "" for alt in alts]
    if any(one.split(":")[0] == "BND" for one in types):
        yield Oddity.BREAKEND_SYMBOL
    claims = _entries(info, "SVCLAIM")
    for place, one in enumerate(types):
        claim = claims[place] if place < len(claims) else "."
        if one.split(":")[0] in ("DEL", "DUP") and claim not in _CLAIMS:
            yield Oddity.NO_SVCLAIM
    if "CNV:TR" in types:
        yield from _check_repeats(types, info)
    if "CICN" in info:
        yield from _check_pairs(_entries(info, "CICN"), _entries(info, "CN"), len(alts))


def check_intervals(values: Mapping[str, str]) -> Iterator[Oddity]:
    """What is odd about the copy number and the phase set of a sample.

    Args:
        values: FORMAT key → value.
    """
    if values.get("CICN", ".") != ".":
        yield from _check_pairs(_entries(values, "CICN"), _entries(values, "CN"), 1)
    sets, qualities = _entries(values, "PSL"), _entries(values, "PSQ")
    if any(quality != "." and place == "." for quality, place in zip(qualities, sets, strict=False)):
        yield Oddity.PHASE_QUALITY


def _check_repeats(types: Sequence[str], info: Mapping[str, str | None]) -> Iterator[Oddity]:
    """RUS, RUL, RUC and RB have an entry for each repeat sequence of each tandem repeat allele."""
    counts = _entries(info, "RN") or ["1" if one == "CNV:TR" else "." for one in types]
    n = sum(int(count) for count in counts if count.isdecimal())
    fields = {key: _entries(info, key) for key in ("RUS", "RUL", "RUC", "RB")}
    has_unit = bool(fields["RUS"] or fields["RUL"])
    has_entries = all(len(entries) in (0, n) for entries in fields.values())
    if not (has_unit and has_entries and all(_agrees(*one) for one in _rows(fields, n))):
        yield Oddity.BAD_REPEAT
    for key, base in (("CIRUC", "RUC"), ("CIRB", "RB")):
        if key in info:
            yield from _check_pairs(_entries(info, key), fields[base], n, is_inside=False)


def _rows(fields: Mapping[str, Sequence[str]], n: int) -> Iterator[tuple[str, ...]]:
    """The entries of each repeat sequence, '.' where there is none."""
    return zip(*(entries or ["."] * n for entries in fields.values()), strict=True)


def _agrees(rus: str, rul: str, ruc: str, rb: str) -> bool:
    """Whether the unit has its length, and as many units of it the number of bases."""
    length = _number(rul)
    if length is None and rus != ".":
        length = float(len(rus))
    elif rus != "." and length != len(rus):
        return False
    units, bases = _number(ruc), _number(rb)
    return None in (length, units, bases) or abs(bases - length * units) < _SAME_BASES  # type: ignore[operator]


def _check_pairs(
    bounds: Sequence[str], centres: Sequence[str], n: int, *, is_inside: bool = True
) -> Iterator[Oddity]:
    """Confidence intervals: for each of n values a bound below 0 and one above it, relative to the value.

    Args:
        bounds: two for each value, both missing where there is no interval.
        centres: the values.
        n: how many there have to be.
        is_inside: whether the values, less their lower bounds, can't be negative; else they can't be missing.
    """
    centres = centres or ["."] * n
    if len(bounds) != 2 * n or len(centres) < n:
        yield Oddity.BAD_INTERVAL
        return
    for place in range(n):
        low, high = bounds[2 * place : 2 * place + 2]
        if low == high == ".":
            continue
        below, above, centre = _number(low), _number(high), _number(centres[place])
        is_interval = below is not None and above is not None and below <= 0 <= above
        is_below_zero = is_inside and None not in (below, centre) and centre + below < 0  # type: ignore[operator]
        if not is_interval or is_below_zero or (centre is None and not is_inside):
            yield Oddity.BAD_INTERVAL


def _entries(values: Mapping[str, str | None], key: str) -> list[str]:
    """The entries of a value; none where it is missing."""
    value = values.get(key)
    return [] if value in (None, ".") else str(value).split(",")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
