"""What a matrix set is to be built from, and whether it is there already."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kgp.errors import BuildError, InputError, LakeError, UsageError
from kgp.genome import ReferenceBuild
from kgp.io.delta import in_list
from kgp.job import Context
from kgp.jobs.eqtl_covariates import check_covariate_names
from kgp.params import EqtlBuild
from kgp.tables import (
    COVARIATES,
    EQTL_MATRICES,
    EXPRESSION,
    LOADS,
    PHENOTYPES,
    QUANTIFICATIONS,
    RUN_RECORDS,
    SAMPLES,
    VARIANTS,
)
from kgp.transforms.cohorts import Cohort
from kgp.transforms.join import one_build
from kgp.transforms.matrices import name_matrix
from kgp.transforms.quantifications import choose_quantifications

# Raised where the same loads and parameters give other rows: sets are then other sets.
RECIPE = "2"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class MatrixPlan:
    """A set before it is built.

    Args:
        build: reference build of genotypes and phenotypes.
        asked: contigs that were asked for, canonical; none means all.
        parameters: what the set depends on besides the data, as text.
        quantifications: names of those that the phenotypes come from, ascending.
        run_ids: their runs.
        load_ids: loads that its rows come from, ascending.
        rows_on: contig → rows of the callset on it, for contigs that phenotypes lie on.
        matrix_id: hash of recipe, parameters and load ids.
        is_built: whether the lake has exactly this set.
    """

    build: ReferenceBuild
    asked: tuple[str, ...]
    parameters: Mapping[str, str]
    quantifications: tuple[str, ...]
    run_ids: frozenset[str]
    load_ids: tuple[str, ...]
    rows_on: Mapping[str, int]
    matrix_id: str
    is_built: bool = False

    @property
    def slice(self) -> str:
        """Predicate of the rows of this set."""
        return in_list("matrix_id", [self.matrix_id])

    def of_quantifications(self, dataset: str) -> str:
        """Predicate of the rows of `phenotypes` and `expression` that the set is made from."""
        return f"{in_list('dataset', [dataset])} AND {in_list('quantification', self.quantifications)}"


def autosomes(build: ReferenceBuild) -> list[str]:
    """Canonical names of chromosomes 1 to 22."""
    return [name for name in (build.canonical(str(n)) for n in range(1, 23)) if name is not None]


def plan_matrices(context: Context, params: EqtlBuild, cohort: Cohort) -> MatrixPlan:
    """Find the loads, agree on the build, and compare with the set of that name where there is one.

    The loads of a callset that hold nothing on the phenotypes' contigs do not count, nor do other quantifications of
    the dataset: an unrelated load leaves a set what it is. Where every load counts, the answer needs no Spark.

    Raises:
        InputError: callset, dataset or covariates are not loaded, or it is not clear which quantifications are meant.
        BuildError: they lie in different builds.
        LakeError: the name is in use for another set, and `replace` is not given.
    """
    of_dataset = in_list("dataset", [params.dataset])
    chosen = choose_quantifications(
        params.dataset, context.fetch(QUANTIFICATIONS, where=of_dataset), params.quantification
    )
    names = tuple(row["quantification"] for row in chosen)
    of_chosen = {row["load_id"] for row in chosen}
    every = context.fetch(LOADS)
    check_covariate_names(params.covariates, every)
    loads = [r for r in every if _is_source(r, params, of_chosen)]
    for name, target, flag in (
        (params.callset, VARIANTS, "--callset"),
        (params.dataset, EXPRESSION, "--dataset"),
    ):
        if not _of(loads, target.name):
            raise _not_loaded(context, name, target.name, flag)
    build = one_build(
        params.callset, _builds(loads, VARIANTS.name), params.dataset, _builds(loads, EXPRESSION.name)
    )
    asked = _canonical_contigs(params.contig, build)
    parameters = _as_texts(
        {**dataclasses.asdict(params), "contig": asked, "quantification": names, "cohort": cohort.name}
    )
    sets = context.fetch(EQTL_MATRICES, ["matrix_id", "name", "parameters", "load_ids"])
    named = next((row for row in sets if row["name"] == params.name), None)

    def plan(load_ids: Iterable[str], rows_on: Mapping[str, int]) -> MatrixPlan:
        matrix_id = name_matrix(RECIPE, parameters, load_ids)
        return MatrixPlan(
            build=build,
            asked=asked,
            parameters=parameters,
            quantifications=names,
            run_ids=frozenset(run for row in chosen for run in row["run_ids"]),
            load_ids=tuple(sorted(load_ids)),
            rows_on=rows_on,
            matrix_id=matrix_id,
            is_built=named is not None and named["matrix_id"] == matrix_id,
        )

    of_all_loads = plan([r["load_id"] for r in loads], {})
    if of_all_loads.is_built:
        return of_all_loads
    with context.progress.step(f"looking up callset {params.callset} and dataset {params.dataset}"):
        contigs = _phenotype_contigs(context, params, of_all_loads)
        rows_on, used = _count_variants(context, params, contigs)
    of_used = [r["load_id"] for r in loads if r["target"] != VARIANTS.name or r["load_id"] in used]
    planned = plan(of_used, rows_on)
    if named is not None and not planned.is_built and not params.replace:
        raise _name_in_use(named, planned)
    return planned


def _is_source(load: Row, params: EqtlBuild, of_quantifications: set[str]) -> bool:
    target = load["target"]
    if target == EXPRESSION.name:
        return load["load_id"] in of_quantifications
    if target == COVARIATES.name:
        return load["subject"] in params.covariates
    subjects = {VARIANTS.name: params.callset, RUN_RECORDS.name: params.dataset}
    return target == SAMPLES.name or (target in subjects and subjects[target] == load["subject"])


def _of(loads: Iterable[Row], target: str) -> list[Row]:
    return [load for load in loads if load["target"] == target]


def _builds(loads: Iterable[Row], target: str) -> list[str | None]:
    return [load["build"] for load in _of(loads, target)]


def _canonical_contigs(contigs: Iterable[str], build: ReferenceBuild) -> tuple[str, ...]:
    names = {contig: build.canonical(contig) for contig in contigs}
    if unknown := sorted(contig for contig, name in names.items() if name is None):
        raise UsageError(
            f"{build.name} has no contig '{unknown[0]}'.", where="--contig", mend="Write it as 22 or chr22."
        )
    return tuple(sorted({str(name) for name in names.values()}))


def _as_texts(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Parameters that a set depends on: texts as they are, others as JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in parameters.items()
        # Without covariates of its own a set is what it was before there were any to ask for.
        if name != "replace" and (name != "covariates" or value)
    }


def _phenotype_contigs(context: Context, params: EqtlBuild, plan: MatrixPlan) -> list[str]:
    """Autosomes that phenotypes of the quantifications lie on, and that were asked for."""
    where = plan.of_quantifications(params.dataset)
    places = context.fetch(PHENOTYPES, ["contig", "build"], where=where)
    if strangers := sorted({row["build"] for row in places} - {plan.build.name}):
        raise BuildError(
            f"Phenotypes of {params.dataset} lie in {strangers[0]}, the genotypes in {plan.build.name}.",
            where="table phenotypes",
            mend="Load the expression again with places in the callset's build.",
        )
    return sorted({row["contig"] for row in places} & set(plan.asked or autosomes(plan.build)))


def _count_variants(
    context: Context, params: EqtlBuild, contigs: Iterable[str]
) -> tuple[dict[str, int], set[str]]:
    """contig → rows of the callset on it; the loads that they come from."""
    if not (listed := list(contigs)):
        return {}, set()
    variants = context.read(VARIANTS).where(in_list("callset", [params.callset]))
    counts = variants.where(in_list("contig", listed)).groupBy("contig", "load_id").count().collect()
    rows_on: dict[str, int] = {}
    for row in counts:
        rows_on[row["contig"]] = rows_on.get(row["contig"], 0) + row["count"]
    return rows_on, {row["load_id"] for row in counts}


def _not_loaded(context: Context, name: str, target: str, flag: str) -> InputError:
    kind = flag.removeprefix("--")
    there = sorted({row["subject"] for row in _of(context.fetch(LOADS), target)})
    return InputError(
        f"There is no {kind} {name} in this lake.",
        where=flag,
        mend=f"There are: {', '.join(there)}." if there else f"Load it first: kgp load {target}.",
    )


def _name_in_use(named: Row, planned: MatrixPlan) -> LakeError:
    before = named["parameters"]
    changed = [
        f"{name} {before.get(name)} (now {planned.parameters.get(name)})"
        for name in sorted({*before, *planned.parameters})
        if before.get(name) != planned.parameters.get(name)
    ]
    if not changed and set(named["load_ids"]) != set(planned.load_ids):
        changed = ["other loads of the same callset, dataset, panel or covariates"]
    return LakeError(
        f"The name {named['name']} is in use for a set that was built with "
        f"{', '.join(changed) or 'an earlier version of the recipe'}.",
        where="--name",
        mend="Give --replace to build it anew under this name, or another --name to keep both.",
    )
