"""What `kgp report` shows, read from the lake on the driver, without Spark."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import kgp
from kgp.errors import scrub
from kgp.io.catalog import Catalog
from kgp.io.parts import read_part
from kgp.io.urls import place_of
from kgp.job import Context
from kgp.jobs.mapping_facts import MODELS, gather_mapping
from kgp.jobs.report_expression import count_runs, gather_quality, list_nobody, list_quantifications
from kgp.jobs.report_genotypes import Callset, compute_components, count_alleles, scan_callset
from kgp.report.facts import (
    ConflictFact,
    Facts,
    GenotypeFact,
    LoadFact,
    MatrixFact,
    PopulationFact,
    QuarantineFact,
    SpectrumFact,
    TableFact,
    pick,
)
from kgp.report.overlap import Overlap, find_overlap
from kgp.tables import (
    CALLSET_SAMPLES,
    EQTL_MATRICES,
    EXPRESSION_QUALITY,
    LOADS,
    POPULATIONS,
    QUANTIFICATIONS,
    QUARANTINE,
    RUNS,
    SAMPLE_CONFLICTS,
    SAMPLES,
    STATISTICS,
    VARIANTS,
)
from kgp.transforms.groups import find_stale

Row = Mapping[str, Any]


def gather_facts(context: Context, uri: str, n_variants: int) -> Facts:
    """Everything that the report shows.

    Args:
        context: of a job that declares the tables.
        uri: the lake.
        n_variants: most variants that genotype components are computed from.

    Raises:
        NoLakeError: there is none.
    """
    tables = tuple(TableFact(*row.values()) for row in Catalog(uri).overview())
    people = {row["sample_id"]: row for row in context.fetch(SAMPLES)}
    places, loads, runs = (context.fetch(table) for table in (CALLSET_SAMPLES, LOADS, RUNS))
    quantifications = context.fetch(QUANTIFICATIONS)
    computed = sorted(context.fetch(STATISTICS), key=lambda row: str(row["group"]))
    stale = set(find_stale(computed, loads, places, people.values()))
    callsets = _find_callsets(loads, places)
    matrices = sorted(context.fetch(EQTL_MATRICES), key=lambda row: str(row["name"]))
    genotypes, spectra = _read_callsets(context, callsets, people, computed, stale, n_variants)
    return Facts(
        lake=place_of(uri),
        version=kgp.__version__,
        tables=tables,
        loads=tuple(_as_load(row) for row in sorted(loads, key=lambda r: (r["loaded_at"], r["load_id"]))),
        populations=_count_populations(people.values(), context.fetch(POPULATIONS)),
        conflicts=_list_conflicts(context.fetch(SAMPLE_CONFLICTS)),
        overlap=_find_overlap(people, places, runs),
        genotypes=genotypes,
        spectra=spectra,
        quantifications=list_quantifications(quantifications),
        runs=count_runs(runs),
        nobody=list_nobody(runs),
        quality=gather_quality(context.fetch(EXPRESSION_QUALITY), quantifications, people),
        matrices=tuple(_as_matrix(row) for row in matrices),
        mappings=tuple(gather_mapping(context, row, model) for row in matrices for model in MODELS),
        quarantine=_count_quarantine(context),
    )


def _as_load(row: Row) -> LoadFact:
    return pick(LoadFact, {**row, "path": place_of(row["path"])})


def _count_populations(people: Iterable[Row], populations: Iterable[Row]) -> tuple[PopulationFact, ...]:
    """One a population, by superpopulation and code; people without one come last."""
    named = {row["population"]: row for row in populations}
    counts: dict[tuple[str | None, str | None], Counter[str | None]] = defaultdict(Counter)
    for person in people:
        counts[person["superpopulation"], person["population"]][person["sex"]] += 1
    ordered = sorted(counts, key=lambda one: (one[0] is None, one[0] or "", one[1] is None, one[1] or ""))
    return tuple(
        PopulationFact(
            population,
            named.get(population, {}).get("population_name"),
            superpopulation,
            n["female"],
            n["male"],
            n[None],
        )
        for superpopulation, population in ordered
        for n in (counts[superpopulation, population],)
    )


def _find_overlap(people: Mapping[str, Row], places: Iterable[Row], runs: Iterable[Row]) -> Overlap:
    """Callsets as sample lists and loaded files have them, and datasets by whose runs they hold."""
    members: dict[tuple[str, str], set[str]] = defaultdict(set)
    for name, person in people.items():
        for callset in person["callsets"]:
            members[callset, "callset"].add(name)
    for row in places:
        members[row["callset"], "callset"].add(row["sample_id"])
    for row in runs:
        if row["sample_id"] is not None:
            members[row["dataset"], "dataset"].add(row["sample_id"])
    return find_overlap(members, people)


def _find_callsets(loads: Iterable[Row], places: Iterable[Row]) -> list[Callset]:
    """Callsets that variants were loaded of."""
    loaded: dict[str, list[Row]] = defaultdict(list)
    for row in loads:
        if row["target"] == VARIANTS.name:
            loaded[row["subject"]].append(row)
    samples: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for row in places:
        samples[row["callset"]].append((row["sample_index"], row["sample_id"]))
    return [
        Callset(
            name,
            rows[0]["build"],
            tuple(sample_id for _, sample_id in sorted(samples[name])),
            tuple(sorted(row["load_id"] for row in rows)),
        )
        for name, rows in sorted(loaded.items())
    ]


def _read_callsets(
    context: Context,
    callsets: Sequence[Callset],
    people: Mapping[str, Row],
    computed: Sequence[Row],
    stale: set[str],
    n_variants: int,
) -> tuple[tuple[GenotypeFact, ...], tuple[SpectrumFact, ...]]:
    genotypes, spectra = [], []
    for callset in callsets:
        with context.progress.step(f"reading allele counts of callset {callset.name}"):
            stretches = scan_callset(context, callset)
            groups = [row for row in computed if row["callset"] == callset.name]
            spectra.append(count_alleles(context, callset, stretches, groups, stale))
        genotypes.append(compute_components(context, callset, stretches, people, n_variants))
    return tuple(genotypes), tuple(spectra)


def _as_matrix(row: Row) -> MatrixFact:
    dropped: dict[str, dict[str, int]] = {"people": {}, "phenotypes": {}, "variants": {}, "covariates": {}}
    for what, n in row["dropped"].items():
        kind, _, reason = what.partition(": ")
        dropped[kind][reason] = n
    return MatrixFact(
        row["name"],
        row["matrix_id"],
        row["callset"],
        row["dataset"],
        row["build"],
        {"people": row["n_samples"], "phenotypes": row["n_phenotypes"], "variants": row["n_variants"]},
        {kind: dropped[kind] for kind in ("people", "phenotypes", "variants")},
        dict(sorted(row["dropped_samples"].items())),
        row["n_covariates"],
        dropped["covariates"],
        tuple(sorted(row["load_ids"])),
        row["built_at"],
    )


def _count_quarantine(context: Context) -> tuple[QuarantineFact, ...]:
    """Records by file and reason; the lines themselves, which may be long, are not read."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for part in context.parts(QUARANTINE):
        for batch in read_part(part, QUARANTINE, ("path", "load_id", "reason")):
            counts.update(zip(*(column.to_pylist() for column in batch.columns), strict=True))
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return tuple(QuarantineFact(place_of(path), load_id, reason, n) for (path, load_id, reason), n in ordered)


def _list_conflicts(rows: Iterable[Row]) -> tuple[ConflictFact, ...]:
    ordered = sorted(rows, key=lambda row: (row["sample_id"], row["field"], row["other_from"]))
    return tuple(
        pick(ConflictFact, {**row, **{name: scrub(row[name] or "") for name in ("kept_from", "other_from")}})
        for row in ordered
    )
