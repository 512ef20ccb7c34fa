"""A matrix set by its name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from kgp.errors import InputError
from kgp.job import Context
from kgp.tables import EQTL_MATRICES


def find_set(context: Context, name: str, where: str = "--name") -> Mapping[str, Any]:
    """The row of `eqtl_matrices` of that name.

    Args:
        context: of a job that reads `eqtl_matrices`.
        name: of the set.
        where: how the name was given, for messages.

    Raises:
        InputError: there is none of that name; the nearest is named.
    """
    sets = {row["name"]: row for row in context.fetch(EQTL_MATRICES)}
    if name in sets:
        return sets[name]
    if near := difflib.get_close_matches(name, sets, n=1):
        mend = f"Did you mean {near[0]}?"
    elif sets:
        mend = f"There are: {', '.join(sorted(sets))}."
    else:
        mend = "Build it first: kgp eqtl build."
    raise InputError(f"There is no matrix set {name} in this lake.", where=where, mend=mend)
