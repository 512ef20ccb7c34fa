"""Writes a matrix set that has been made, and names it: until then nobody sees anything of it.

Other builds may run in the same lake. What a build computes lies in files that no log names. Only when all of it is
there are its rows committed, table by table, and then the ledger's row, which makes them valid. Meanwhile another job
may take the rows for what an unfinished run has left: they are looked for, and committed again where they are gone.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kgp.errors import KgpError, LakeError
from kgp.io.predicates import in_list
from kgp.job import Context
from kgp.jobs.eqtl_design import write_covariates
from kgp.jobs.eqtl_genotypes import commit_genotypes, discard_genotypes
from kgp.jobs.eqtl_phenotypes import write_phenotypes
from kgp.jobs.eqtl_plan import MatrixPlan, find_named, name_in_use
from kgp.jobs.eqtl_report import BuiltSet
from kgp.params import EqtlBuild
from kgp.table import Table
from kgp.tables import (
    EQTL_COVARIATES,
    EQTL_GENOTYPES,
    EQTL_MAPS,
    EQTL_MATCHES,
    EQTL_MATRICES,
    EQTL_PHENOTYPES,
)

# How often rows that others removed are committed again.
_ATTEMPTS = 5


@dataclass(frozen=True)
class _Part:
    """Rows of one table of a set."""

    table: Table
    n_rows: int
    write: Callable[[], object]


def write_set(
    context: Context,
    params: EqtlBuild,
    plan: MatrixPlan,
    built: BuiltSet,
    versions: Mapping[str, int | None],
) -> bool:
    """Write the rows of a set and name it in the ledger; False where another run has built the same set meanwhile.

    Args:
        context: of a job that writes the tables of matrix sets.
        params, plan: of the set.
        built: all its parts.
        versions: of the tables that it was built from.

    Raises:
        LakeError: the name was given to another set meanwhile, or others remove the rows again and again.
    """
    try:
        if _is_named(context, params, plan):
            discard_genotypes(context, built.genotypes)
            return False
    except KgpError:
        discard_genotypes(context, built.genotypes)
        raise
    parts = _list_parts(context, plan, built)
    replaced = [] if (named := find_named(context, params.name)) is None else [str(named["matrix_id"])]
    is_first = False
    try:
        for part in parts:
            part.write()
        _write_missing(context, plan, parts)
        is_first = not _is_named(context, params, plan)
        if is_first:
            # The ledger's row makes the set visible; where it replaces one of that name, the old rows become debris.
            row = _make_row(context, params, plan, built, versions)
            context.put(EQTL_MATRICES, [row], in_list("name", [params.name]))
        _write_missing(context, plan, parts)
    except KgpError:
        if is_first:  # a set that is not whole must not be named
            context.put(EQTL_MATRICES, [], plan.slice)
        context.remove_debris([plan.matrix_id])
        raise
    context.remove_debris([*replaced, *_forget_mappings(context)])
    return is_first


def _is_named(context: Context, params: EqtlBuild, plan: MatrixPlan) -> bool:
    """Whether the ledger has exactly this set under its name.

    Raises:
        LakeError: it has another one, which is not to be replaced.
    """
    named = find_named(context, params.name)
    if named is None or named["matrix_id"] == plan.matrix_id:
        return named is not None
    if not params.replace:
        raise name_in_use(named, plan.parameters, plan.load_ids)
    return False


def _list_parts(context: Context, plan: MatrixPlan, built: BuiltSet) -> tuple[_Part, ...]:
    counts, matrix_id = built.counts, plan.matrix_id
    matches = [] if built.matches is None else built.matches.rows
    parts = (
        _Part(
            EQTL_PHENOTYPES,
            counts["n_phenotypes"],
            lambda: write_phenotypes(context, matrix_id, built.phenotypes.rows),
        ),
        _Part(
            EQTL_COVARIATES, counts["n_covariates"], lambda: write_covariates(context, plan, built.covariates)
        ),
        _Part(EQTL_MATCHES, len(matches), lambda: context.put(EQTL_MATCHES, matches, plan.slice)),
        _Part(
            EQTL_GENOTYPES,
            counts["n_variants"],
            lambda: commit_genotypes(context, matrix_id, built.genotypes),
        ),
    )
    return tuple(part for part in parts if part.n_rows)


def _write_missing(context: Context, plan: MatrixPlan, parts: Sequence[_Part]) -> None:
    """Commit the rows that are not there until all are.

    Raises:
        LakeError: others remove them again and again.
    """
    for _ in range(_ATTEMPTS):
        missing = [part for part in parts if _count_rows(context, plan, part.table) != part.n_rows]
        if not missing:
            return
        for part in missing:
            part.write()
    raise LakeError(
        f"The rows that were written for this set were removed {_ATTEMPTS:,} times: other jobs on matrix sets run at "
        "the same time.",
        where=f"table {missing[0].table.name}",
        mend="Build it again when fewer of them run in this lake.",
    )


def _count_rows(context: Context, plan: MatrixPlan, table: Table) -> int:
    """Rows of the set that a table has, named or not."""
    if context.version(table) is None:
        return 0
    return int(context.measure(table, plan.slice, n="count(*)")["n"])


def _make_row(
    context: Context,
    params: EqtlBuild,
    plan: MatrixPlan,
    built: BuiltSet,
    versions: Mapping[str, int | None],
) -> dict[str, Any]:
    """The set's row in the ledger."""
    joined = built.people.joined
    return {
        "matrix_id": plan.matrix_id,
        "name": params.name,
        "callset": params.callset,
        "dataset": plan.source.dataset,
        "build": plan.build.name,
        "parameters": dict(plan.parameters),
        "load_ids": list(plan.load_ids),
        "table_versions": {name: version for name, version in versions.items() if version is not None},
        "sample_ids": list(joined.sample_ids),
        "run_ids": list(joined.run_ids),
        **built.counts,
        "dropped": built.dropped,
        "dropped_samples": dict(joined.dropped),
        "notes": list(built.notes),
        "seconds": context.seconds,
        "built_at": datetime.datetime.now(datetime.UTC),
    }


def _forget_mappings(context: Context) -> list[str]:
    """Remove mappings of sets that are no more from the ledger; gives their ids, whose rows are debris now."""
    # Mappings first: one that is named after them is of a set that the other ledger has.
    mapped = context.fetch(EQTL_MAPS, ["map_id", "matrix_id"])
    known = {row["matrix_id"] for row in context.fetch(EQTL_MATRICES, ["matrix_id"])}
    gone = sorted(row["map_id"] for row in mapped if row["matrix_id"] not in known)
    if gone:
        context.put(EQTL_MAPS, [], in_list("map_id", gone))
    return gone
