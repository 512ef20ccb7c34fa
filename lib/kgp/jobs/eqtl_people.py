"""Who is in a matrix set: the join of genotypes, phenotypes and cohort, without relatives; everybody else is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from kgp.eqtl.sample_quality import list_autosomes
from kgp.io.predicates import in_list
from kgp.job import Context
from kgp.jobs.compute_kinship import fetch_relatives
from kgp.jobs.eqtl_covariates import find_unknown, note_strangers
from kgp.jobs.eqtl_plan import MatrixPlan, needs_kinship
from kgp.jobs.kinship_report import describe_basis
from kgp.params import EqtlBuild
from kgp.tables import CALLSET_SAMPLES, KINSHIP_RUNS, SAMPLES
from kgp.transforms.cohorts import Cohort
from kgp.transforms.families import drop_related, find_relations
from kgp.transforms.join import SampleJoin, Sources, join_people
from kgp.transforms.people import Person
from kgp.transforms.unrelated import find_largest_unrelated

_BY_GENOTYPES = "relative of {} by genotypes"


@dataclass(frozen=True)
class SetPeople:
    """The people of a set.

    Args:
        joined: who they are, in order, and who is left out.
        rows: what is known of each of them.
        callset_samples: everyone of the callset, in the order of its arrays.
        notes: what a person should know of how they were chosen.
        relatives: who of those left out is, as a relative of somebody who stays.
    """

    joined: SampleJoin
    rows: tuple[Person, ...]
    callset_samples: tuple[str, ...]
    notes: tuple[str, ...] = ()
    relatives: frozenset[str] = frozenset()

    @property
    def sexes(self) -> tuple[str | None, ...]:
        """Sex of each, None where it is not known."""
        return tuple(row.get("sex") for row in self.rows)


def join_set(context: Context, params: EqtlBuild, plan: MatrixPlan, cohort: Cohort) -> SetPeople:
    """Join the people.

    Raises:
        InputError: kinship is asked for and was not computed.
        OverlapError: nobody is left.
    """
    known: dict[str, Person] = {row["sample_id"]: row for row in context.fetch(SAMPLES)}
    people = plan.source.add_people(known)
    where = in_list("callset", [params.callset])
    rows = context.fetch(CALLSET_SAMPLES, ["sample_index", "sample_id"], where)
    places = sorted((row["sample_index"], row["sample_id"]) for row in rows)
    join = partial(
        join_people,
        Sources(params.callset, plan.source.dataset, cohort.name, plan.source.name),
        places,
        plan.source.fetch_runs(context),
        cohort.select(people.values()),
        people,
        needs=_needs(params, plan),
    )
    candidates = join()
    unknown = find_unknown(plan.given, candidates)

    def drop(sample_ids: Sequence[str]) -> dict[str, str]:
        # Whoever is left out anyway must not be the reason why a relative is.
        left = [sample_id for sample_id in sample_ids if sample_id not in unknown]
        return unknown | (
            _drop_relatives(context, params, plan, left, people) if params.related == "drop" else {}
        )

    joined = join(drop=drop)
    return SetPeople(
        joined,
        tuple(people[sample_id] for sample_id in joined.sample_ids),
        tuple(sample_id for _, sample_id in places),
        (*note_strangers(plan.given, joined), *_say_kinship(context, params, plan)),
        frozenset(set(candidates.sample_ids) & joined.dropped.keys() - unknown.keys()),
    )


def drop_relatives(
    sample_ids: Sequence[str], people: Mapping[str, Person], by_genotypes: Mapping[str, frozenset[str]]
) -> dict[str, str]:
    """Who has to be left out so that nobody of the others is related, by pedigree or by genotypes, and why.

    Where there is a choice, people without named parents are preferred, then those of lower id.

    Args:
        sample_ids: the people in question.
        people: sample_id → person, of everybody.
        by_genotypes: person → relatives of second degree or closer, both ways.

    Returns:
        id of each who is left out, ascending → the relation to a person who is kept.
    """
    asked = set(sample_ids)
    relations = find_relations(asked, people)
    order = sorted(asked, key=lambda one: (_has_parents(people.get(one, {})), one))
    graph = {one: frozenset(relations.get(one, {})) | by_genotypes.get(one, frozenset()) for one in order}
    kept = find_largest_unrelated(graph)
    reasons = {}
    for one in sorted(asked - kept):
        known = relations.get(one, {})
        by_pedigree = sorted((known[other].degree, other) for other in kept & known.keys())
        if by_pedigree:
            nearest = by_pedigree[0][1]
            reasons[one] = f"{known[nearest].name} of {nearest}"
        else:
            reasons[one] = _BY_GENOTYPES.format(min(kept & graph[one]))
    return reasons


def _drop_relatives(
    context: Context,
    params: EqtlBuild,
    plan: MatrixPlan,
    sample_ids: Sequence[str],
    people: Mapping[str, Person],
) -> dict[str, str]:
    if params.kinship == "none":
        return drop_related(sample_ids, people)
    near = fetch_relatives(context, params.callset, sample_ids, plan.callset_loads)
    return drop_relatives(sample_ids, people, near)


def _say_kinship(context: Context, params: EqtlBuild, plan: MatrixPlan) -> tuple[str, ...]:
    """A note where relatives were told by few contigs: their kinship scatters widely around its expectation."""
    if not needs_kinship(params):
        return ()
    (run,) = context.fetch(KINSHIP_RUNS, ["parameters", "n_variants"], in_list("callset", [params.callset]))
    asked = run["parameters"]["contigs"]
    there = list_autosomes(plan.rows_on, plan.build)
    contigs = sorted(
        there if asked == "all" else set(asked.split(",")) & set(there), key=plan.build.sort_index
    )
    return tuple(f"relatives by genotypes were {said}" for said in describe_basis(run["n_variants"], contigs))


def _needs(params: EqtlBuild, plan: MatrixPlan) -> tuple[str, ...]:
    """What must be known of a person: what becomes a covariate, and the sex where X is counted."""
    needed = {*params.indicator, *(["sex"] if plan.may_have_x else [])}
    return tuple(name for name in ("sex", "population", "superpopulation") if name in needed)


def _has_parents(person: Person) -> bool:
    return person.get("father_id") is not None or person.get("mother_id") is not None
