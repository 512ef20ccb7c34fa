"""The covariates of a matrix set: of the people, genotype components, hidden factors, and those that were given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kgp.eqtl.covariates import (
    Covariates,
    check_degrees_of_freedom,
    drop_useless,
    join_covariates,
    make_indicators,
)
from kgp.eqtl.ld_pruning import PruningRule, check_components_basis
from kgp.eqtl.sample_quality import list_autosomes
from kgp.job import Context
from kgp.jobs.eqtl_covariates import name_apart
from kgp.jobs.eqtl_people import SetPeople
from kgp.jobs.eqtl_plan import MatrixPlan
from kgp.jobs.genotype_components import (
    ComponentsFound,
    ComponentsRequest,
    check_n_components,
    compute_components,
)
from kgp.params import EqtlBuild
from kgp.params.eqtl import INDICATORS
from kgp.tables import EQTL_COVARIATES

_SEX_FOR_X = "sex is among the covariates because phenotypes of chromosome X are in the set"


@dataclass(frozen=True, eq=False)
class SetCovariates:
    """Covariates of a set, in order.

    Args:
        shared: those of all phenotypes.
        of_contigs: contig → further ones for its phenotypes.
        dropped: name → why it is none of them.
        notes: what a person should know.
        steps: (what they are, how many were made).
    """

    shared: Covariates
    of_contigs: Mapping[str, Covariates]
    dropped: Mapping[str, str]
    notes: tuple[str, ...]
    steps: tuple[tuple[str, int], ...]

    def __len__(self) -> int:
        """Rows of the table."""
        return len(self.shared.names) + sum(len(one.names) for one in self.of_contigs.values())

    @property
    def n_tested_with(self) -> int:
        """Most covariates that a phenotype is tested with."""
        return len(self.shared.names) + max((len(one.names) for one in self.of_contigs.values()), default=0)


def make_covariates(
    context: Context,
    params: EqtlBuild,
    plan: MatrixPlan,
    people: SetPeople,
    factors: Covariates | None,
    contigs: Sequence[str],
) -> SetCovariates:
    """Make all covariates, without those that say nothing beside the ones before them.

    Args:
        context: of a job that reads `variants`.
        params: options.
        plan: of the set.
        people: of the set.
        factors: hidden factors of its phenotypes.
        contigs: of its phenotypes.

    Raises:
        InputError: no degree of freedom is left, or there are too few contigs for components.
    """
    notes: tuple[str, ...] = ()
    names = set(params.indicator)
    if plan.build.canonical("X") in contigs and "sex" not in names:
        names.add("sex")
        notes = (_SEX_FOR_X,)
    indicators = [_make_indicators(name, people) for name in INDICATORS if name in names]
    found = _find_components(context, params, plan, people, contigs)
    everywhere = [one for contig, one in found.covariates if contig is None]
    hidden = [] if factors is None else [factors]
    before = [*indicators, *everywhere, *hidden]
    taken = [name for part in (*before, *(one for _, one in found.covariates)) for name in _all_names(part)]
    given = name_apart(plan.given, people.joined, taken)
    shared = join_covariates(_nothing(len(people.rows)), *before, *given)
    of_contigs = {contig: _add_to(shared, one) for contig, one in found.covariates if contig is not None}
    dropped = dict(shared.dropped)
    for one in of_contigs.values():
        dropped |= one.dropped
    made = SetCovariates(
        shared,
        of_contigs,
        dropped,
        (*notes, *found.notes, *shared.notes),
        (
            *(
                (f"{name} of the people", len(one.names))
                for name, one in zip([name for name in INDICATORS if name in names], indicators, strict=True)
            ),
            ("genotype components", sum(len(one.names) for _, one in found.covariates)),
            ("hidden factors", sum(len(one.names) for one in hidden)),
            ("given", sum(len(one.names) for one in given)),
        ),
    )
    check_degrees_of_freedom(len(people.rows), made.n_tested_with)
    return made


def check_enough_people(
    params: EqtlBuild, plan: MatrixPlan, people: SetPeople, factors: Covariates | None
) -> None:
    """Refuse, before anything large is read, a set in which no degree of freedom can be left.

    Raises:
        InputError: there are too few people.
    """
    indicators = [_make_indicators(name, people) for name in INDICATORS if name in params.indicator]
    hidden = [] if factors is None else [factors]
    taken = [name for part in (*indicators, *hidden) for name in _all_names(part)]
    given = name_apart(plan.given, people.joined, taken)
    n = len(join_covariates(_nothing(len(people.rows)), *indicators, *hidden, *given).names)
    check_degrees_of_freedom(len(people.rows), n)


def check_components(params: EqtlBuild, plan: MatrixPlan, people: SetPeople, contigs: Sequence[str]) -> None:
    """Refuse, before anything large is read, genotype components that there can't be.

    What LD pruning leaves is known later: here contigs are counted, and people.

    Args:
        params, plan, people: of the set.
        contigs: of its phenotypes.

    Raises:
        InputError: there are as many components as people, or too few contigs for them.
    """
    if not params.n_components:
        return
    check_n_components(params.n_components, len(people.rows))
    there = set(list_autosomes(plan.rows_on, plan.build))
    left_out = contigs if params.components_from == "other-contigs" else ()
    used = min((there - {contig} for contig in left_out), key=len, default=there)
    check_components_basis(len(used), None, is_allowed=params.few_contigs == "allow")


def write_covariates(context: Context, plan: MatrixPlan, covariates: SetCovariates) -> None:
    """Write the rows of a set in one commit."""
    rows: list[dict[str, Any]] = []
    for contig, part in [(None, covariates.shared), *sorted(covariates.of_contigs.items())]:
        for name, column in zip(part.names, part.values.T, strict=True):
            rows.append(
                {
                    "matrix_id": plan.matrix_id,
                    "covariate_id": name,
                    "row_index": len(rows),
                    "values": column.tolist(),
                    "contig": contig,
                }
            )
    if rows:
        context.put(EQTL_COVARIATES, rows, plan.slice)


def _make_indicators(name: str, people: SetPeople) -> Covariates:
    """Indicators of a column of `samples`: of women, or of each level but the first."""
    levels = [row.get(name) for row in people.rows]
    if name == "sex":
        is_female = np.array([level == "female" for level in levels], dtype=np.float64)
        return Covariates(("sex_female",), is_female[:, None], {})
    return make_indicators(name, levels, people.joined.sample_ids)


def _find_components(
    context: Context, params: EqtlBuild, plan: MatrixPlan, people: SetPeople, contigs: Sequence[str]
) -> ComponentsFound:
    if not params.n_components:
        return ComponentsFound((), {}, (), {})
    return compute_components(
        context,
        ComponentsRequest(
            callset=params.callset,
            sample_indices=people.joined.sample_indices,
            n_callset=people.joined.n_callset,
            build=plan.build,
            n_components=params.n_components,
            min_maf=params.components_min_maf,
            max_missing=params.components_max_missing,
            rule=PruningRule(params.prune_window, params.prune_step, params.prune_max_r2),
            source=params.components_from,
            contigs_mapped=tuple(contigs),
            few_contigs=params.few_contigs,
        ),
    )


def _add_to(shared: Covariates, further: Covariates) -> Covariates:
    """Further covariates without those that say nothing beside the shared ones."""
    names = (*shared.names, *further.names)
    kept = drop_useless(names, np.hstack([shared.values, further.values]))
    chosen = [i for i, name in enumerate(kept.names) if name in further.names]
    return Covariates(
        tuple(kept.names[i] for i in chosen), kept.values[:, chosen], {**further.dropped, **kept.dropped}
    )


def _nothing(n_samples: int) -> Covariates:
    return Covariates((), np.empty((n_samples, 0)), {})


def _all_names(part: Covariates) -> tuple[str, ...]:
    return (*part.names, *part.dropped)
