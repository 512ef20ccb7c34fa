"""What a matrix set is to be built from, and whether it is there already."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kgp.errors import BuildError, InputError, LakeError, UsageError
from kgp.genome import ReferenceBuild
from kgp.io.predicates import in_list
from kgp.job import Context
from kgp.jobs.eqtl_covariates import Given, check_covariate_names, fetch_covariates
from kgp.jobs.eqtl_own import read_own_phenotypes
from kgp.jobs.eqtl_source import PhenotypeSource, find_dataset
from kgp.params import EqtlBuild
from kgp.tables import (
    COVARIATES,
    EQTL_MATRICES,
    EXPRESSION,
    KINSHIP_RUNS,
    LOADS,
    RUN_RECORDS,
    SAMPLES,
    VARIANTS,
)
from kgp.transforms.cohorts import Cohort
from kgp.transforms.groups import loads_of
from kgp.transforms.join import one_build
from kgp.transforms.matrices import name_matrix

# Raised where the same loads and parameters give other rows: sets are then other sets.
RECIPE = "3"

Row = Mapping[str, Any]

# What a set does not depend on, and what stands among its parameters in another form.
_NOT_RECORDED = ("as_of", "dry_run", "replace")

# Options that are younger than `RECIPE` → what was done before there were any. Recorded only where they say something
# else: a set keeps the id that it has always had.
_ADDED = {"n_factors_by": "elbow"}

_DIGEST = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]+")


@dataclass(frozen=True)
class MatrixPlan:
    """A set before it is built.

    Args:
        build: reference build of genotypes and phenotypes.
        source: where the phenotypes come from.
        given: covariates that were asked for by name.
        asked: contigs that were asked for, canonical; none means all.
        allowed: contigs that a set may have: autosomes, and X unless it is dropped.
        parameters: what the set depends on besides the data, as text.
        load_ids: loads that its rows come from, ascending.
        callset_loads: all loads of the callset, ascending.
        rows_on: contig → rows of the callset on it.
        matrix_id: hash of recipe, parameters and load ids.
        is_built: whether the lake has exactly this set.
        in_use: why the set's name can't be used without being told to; None where it can.
    """

    build: ReferenceBuild
    source: PhenotypeSource
    given: tuple[Given, ...]
    asked: tuple[str, ...]
    allowed: tuple[str, ...]
    parameters: Mapping[str, str]
    load_ids: tuple[str, ...]
    callset_loads: tuple[str, ...]
    rows_on: Mapping[str, int]
    matrix_id: str
    is_built: bool
    in_use: LakeError | None

    @property
    def slice(self) -> str:
        """Predicate of the rows of this set."""
        return in_list("matrix_id", [self.matrix_id])

    @property
    def may_have_x(self) -> bool:
        """Whether phenotypes and genotypes of X can come together in the set."""
        x = self.build.canonical("X")
        is_asked = not self.asked or x in self.asked
        return is_asked and x in self.allowed and x in self.source.contigs and x in self.rows_on


def plan_matrices(context: Context, params: EqtlBuild, cohort: Cohort) -> MatrixPlan:
    """Find the loads, agree on the build, and compare with the set of that name where there is one.

    Loads of a callset that hold nothing on the phenotypes' contigs do not count, unless genotype components or kinship
    are taken from all contigs; nor do other quantifications of the dataset: an unrelated load leaves a set what it is.
    All of it is read from logs and small tables.

    Raises:
        InputError: callset, dataset or covariates are not loaded, or it is not clear which quantifications are meant.
        BuildError: genotypes and phenotypes lie in different builds.
    """
    loads = context.fetch(LOADS)
    check_covariate_names(params, loads)
    callset_loads = tuple(loads_of(params.callset, loads))
    if not callset_loads:
        raise _not_loaded(loads, params.callset, VARIANTS.name, "--callset")
    source, build = _find_source(context, params, loads, callset_loads)
    asked = _canonical_contigs(params.contig, build)
    allowed = _allowed_contigs(build, params)
    given = tuple(fetch_covariates(context, params, loads))
    counted = context.count_rows(VARIANTS, {"callset": [params.callset]})
    mapped = source.contigs & set(asked or allowed) & set(allowed)
    used = {load_id for (_, contig), of in counted.items() if contig in mapped for load_id in of}
    if params.n_components or needs_kinship(params):
        used = {load_id for of in counted.values() for load_id in of}
    load_ids = tuple(sorted({*used, *source.load_ids, *_other_loads(params, loads)}))
    parameters = _as_texts(params, cohort, source, given, asked) | _kinship_parameters(context, params)
    matrix_id = name_matrix(RECIPE, parameters, load_ids)
    named = find_named(context, params.name)
    is_built = named is not None and named["matrix_id"] == matrix_id
    return MatrixPlan(
        build=build,
        source=source,
        given=given,
        asked=asked,
        allowed=allowed,
        parameters=parameters,
        load_ids=load_ids,
        callset_loads=callset_loads,
        rows_on={str(contig): sum(of.values()) for (_, contig), of in counted.items()},
        matrix_id=matrix_id,
        is_built=is_built,
        in_use=None if named is None or is_built else name_in_use(named, parameters, load_ids),
    )


def _find_source(
    context: Context, params: EqtlBuild, loads: Sequence[Row], callset_loads: Collection[str]
) -> tuple[PhenotypeSource, ReferenceBuild]:
    """The phenotypes, and the build that they share with the genotypes."""
    builds = [row["build"] for row in loads if row["load_id"] in callset_loads]
    if params.phenotypes is not None:
        build = one_build(params.callset, builds)
        return read_own_phenotypes(context, params.phenotypes, build), build
    dataset = str(params.dataset)
    is_loaded = any((row["target"], row["subject"]) == (EXPRESSION.name, dataset) for row in loads)
    source = find_dataset(context, params, dataset) if is_loaded else None
    if source is None:
        raise _not_loaded(loads, dataset, EXPRESSION.name, "--dataset")
    of_source = [row["build"] for row in loads if row["load_id"] in source.load_ids]
    build = one_build(params.callset, builds, dataset, of_source)
    if strangers := sorted(source.builds - {build.name}):
        raise BuildError(
            f"Phenotypes of {dataset} lie in {strangers[0]}, the genotypes in {build.name}.",
            where="table phenotypes",
            mend="Load the expression again with places in the callset's build.",
        )
    return source, build


def _other_loads(params: EqtlBuild, loads: Iterable[Row]) -> list[str]:
    """Loads of people, of run lists and of covariate sets."""
    wanted = {(RUN_RECORDS.name, params.dataset), *((COVARIATES.name, name) for name in params.covariates)}
    return [
        row["load_id"]
        for row in loads
        if row["target"] == SAMPLES.name or (row["target"], row["subject"]) in wanted
    ]


def needs_kinship(params: EqtlBuild) -> bool:
    """Whether relatives are told by genotypes, too."""
    return params.kinship == "king" and params.related == "drop"


def _kinship_parameters(context: Context, params: EqtlBuild) -> dict[str, str]:
    """How the relatives were found, where the set depends on them: the same loads may give others."""
    if not needs_kinship(params):
        return {}
    rows = context.fetch(KINSHIP_RUNS, ["parameters"], in_list("callset", [params.callset]))
    return {"kinship_parameters": json.dumps([dict(sorted(row["parameters"].items())) for row in rows])}


def _allowed_contigs(build: ReferenceBuild, params: EqtlBuild) -> tuple[str, ...]:
    names = [*(str(n) for n in range(1, 23)), *(["X"] if params.x_model != "drop" else [])]
    return tuple(name for name in map(build.canonical, names) if name is not None)


def _canonical_contigs(contigs: Iterable[str], build: ReferenceBuild) -> tuple[str, ...]:
    names = {contig: build.canonical(contig) for contig in contigs}
    if unknown := sorted(contig for contig, name in names.items() if name is None):
        raise UsageError(
            f"{build.name} has no contig '{unknown[0]}'.", where="--contig", mend="Write it as 22 or chr22."
        )
    return tuple(sorted({str(name) for name in names.values()}))


def _as_texts(
    params: EqtlBuild,
    cohort: Cohort,
    source: PhenotypeSource,
    given: Iterable[Given],
    asked: Sequence[str],
) -> dict[str, str]:
    """Parameters that a set depends on: texts as they are, others as JSON."""
    values = {
        **dataclasses.asdict(params),
        **source.parameters,
        "cohort": cohort.name,
        "covariates": [one.parameter for one in given],
        "contig": asked,
        "indicator": sorted(set(params.indicator)),
    }
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
        if name not in _NOT_RECORDED and (name, value) not in _ADDED.items()
    }


def find_named(context: Context, name: str) -> Row | None:
    """The set of that name as the ledger has it now; None where there is none."""
    sets = context.fetch(EQTL_MATRICES, ["matrix_id", "name", "parameters", "load_ids"])
    return next((row for row in sets if row["name"] == name), None)


def _not_loaded(loads: Iterable[Row], name: str, target: str, flag: str) -> InputError:
    kind = flag.removeprefix("--")
    there = sorted({row["subject"] for row in loads if row["target"] == target})
    return InputError(
        f"There is no {kind} {name} in this lake.",
        where=flag,
        mend=f"There are: {', '.join(there)}." if there else f"Load it first: kgp load {target}.",
    )


def _show(value: str | None) -> str:
    """A parameter, with the first 12 digits of a digest."""
    return _DIGEST.sub(r"\1…", str(value))


def name_in_use(named: Row, parameters: Mapping[str, str], load_ids: Collection[str]) -> LakeError:
    """The error of a name that another set has, with what it was built with.

    Args:
        named: the set that has it.
        parameters, load_ids: of the set that is to have it.
    """
    before = named["parameters"]
    changed = [
        f"{name} {_show(before.get(name, _ADDED.get(name)))} (now {_show(parameters.get(name, _ADDED.get(name)))})"
        for name in sorted({*before, *parameters})
        if before.get(name) != parameters.get(name)
    ]
    if not changed and set(named["load_ids"]) != set(load_ids):
        changed = ["other loads of the same callset, dataset, panel or covariates"]
    return LakeError(
        f"The name {named['name']} is in use for a set that was built with "
        f"{', '.join(changed) or 'an earlier version of the recipe'}.",
        where="--name",
        mend="Give --replace to build it anew under this name, or another --name to keep both.",
    )
