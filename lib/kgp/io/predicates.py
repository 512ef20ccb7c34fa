"""SQL predicates that Spark and delta-rs read alike."""

from __future__ import annotations

from collections.abc import Iterable

from kgp.errors import ContractError


def in_list(column: str, values: Iterable[str]) -> str:
    """SQL predicate that a text column holds one of the values, as Spark and delta-rs both read it.

    >>> in_list("load_id", ["a", "b"])
    "load_id IN ('a', 'b')"

    Raises:
        ContractError: a value holds a quote or a backslash, which the two dialects escape differently.
    """
    texts = list(values)
    if strange := [text for text in texts if "'" in text or "\\" in text]:
        raise ContractError(f"{strange[0]!r} can't stand in a predicate.", where=column)
    return f"{column} IN ({', '.join(repr(text) for text in texts)})"
