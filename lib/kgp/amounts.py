"""Amounts and names as people say them: bytes, time, lists that are too long to be shown whole, sentences."""

from __future__ import annotations

from collections.abc import Sequence

_UNITS = {12: "TB", 9: "GB", 6: "MB", 3: "kB", 0: "B"}


def format_bytes(n: float, like: float | None = None) -> str:
    """Bytes in the unit that suits them; or the bare number in the unit that suits another amount.

    >>> format_bytes(1_234_567), format_bytes(1_234_567, 9_000_000_000), format_bytes(12), format_bytes(999_999)
    ('1.2 MB', '0.0', '12 B', '1.0 MB')
    """
    measure = n if like is None else like
    power = next((p for p in (12, 9, 6, 3) if measure >= 0.99995 * 10**p), 0)
    number = f"{n / 10**power:,.1f}" if power else f"{n:.0f}"
    return f"{number} {_UNITS[power]}" if like is None else number


def format_seconds(seconds: float) -> str:
    """A stretch of time, roughly.

    >>> format_seconds(0.4), format_seconds(42), format_seconds(150), format_seconds(9000), format_seconds(200_000)
    ('0 s', '42 s', '2 min 30 s', '2 h 30 min', '2 d 7 h')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 172_800:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def count(n: int, one: str, many: str | None = None) -> str:
    """A number of things.

    >>> count(1, "file"), count(1200, "file"), count(2, "copy", "copies")
    ('1 file', '1,200 files', '2 copies')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def some(texts: Sequence[str], most: int = 3) -> str:
    """The first few of many, and how many more there are.

    >>> some(["a", "b", "c", "d"]), some(["a", "b"])
    ('a, b, c and 1 more', 'a, b')
    """
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def name_first(names: Sequence[str], most: int = 5) -> str:
    """The first few of many names, and a sign that there are more.

    >>> name_first(["a", "b", "c"], 2), name_first(["a", "b"], 2)
    ('a, b, …', 'a, b')
    """
    return ", ".join(names[:most]) + ", …" * (len(names) > most)


def upper_first(text: str) -> str:
    """Text as a sentence begins.

    >>> upper_first("set eur")
    'Set eur'
    """
    return text[:1].upper() + text[1:]
