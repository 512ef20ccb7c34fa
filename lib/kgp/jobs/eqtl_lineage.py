"""Which versions of the source tables a matrix set is built from: those of now, of an earlier set, or of a moment."""

from __future__ import annotations

import re

from kgp.errors import InputError
from kgp.io.history import parse_time
from kgp.io.predicates import in_list
from kgp.job import Context
from kgp.tables import EQTL_MATRICES

_MATRIX_ID = re.compile(r"[0-9a-f]{32}")


def choose_versions(context: Context, as_of: str | None) -> dict[str, int | None]:
    """Table name → version, None where there was no such table, for each table that the job reads.

    Args:
        context: of a job that reads the source tables and writes `eqtl_matrices`.
        as_of: the matrix_id of a set that there is or was, or a time; None for now.

    Raises:
        InputError: there is no trace of such a set.
        UsageError: it is neither an id nor a time that has passed.
        LakeError: the logs do not go back so far.
    """
    now = context.take_versions()
    if as_of is None:
        return now
    if not _MATRIX_ID.fullmatch(as_of):
        return context.find_versions(parse_time(as_of))
    for rows in context.fetch_past(EQTL_MATRICES, in_list("matrix_id", [as_of])):
        if rows:
            return {name: rows[0]["table_versions"].get(name) for name in now}
    raise InputError(
        f"No set of this lake has, or is known to have had, the id {as_of}.",
        where="--as-of",
        mend='There are: kgp query "SELECT name, matrix_id FROM eqtl_matrices".',
    )
