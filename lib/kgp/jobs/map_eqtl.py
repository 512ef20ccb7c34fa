"""`kgp eqtl map`: phenotypes of a matrix set with the variants near them, or far from them, by regression."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from deltalake.transaction import AddAction

from kgp.errors import InputError, LakeError, UsageError
from kgp.genome import ReferenceBuild, get_build
from kgp.io.block_results import BlockResults
from kgp.io.parts import TablePart, read_part
from kgp.io.predicates import in_list
from kgp.job import Context, Job, Report
from kgp.jobs import map_run
from kgp.jobs.map_block import NO_VARIANT, Finished, MapMode
from kgp.jobs.map_cuts import PlannedBlock, plan_cis, plan_trans
from kgp.jobs.map_finemap import prepare_finemap
from kgp.jobs.map_independent import prepare_independent
from kgp.jobs.map_interaction import prepare_interaction
from kgp.jobs.map_nominal import prepare_nominal
from kgp.jobs.map_permute import prepare_permute
from kgp.jobs.map_places import ContigRows, Place, order_places
from kgp.jobs.map_plan import describe_map, name_map, resolve_contigs, resolve_window
from kgp.jobs.map_read import BlockSource, make_designs
from kgp.jobs.map_report import (
    NAME,
    name_dropped,
    name_mends,
    name_useless,
    report_known,
    report_mapping,
    tell_useless,
)
from kgp.jobs.map_run import BlockTask, MappedBlocks, remove_left, run_blocks, write_rows
from kgp.jobs.map_trans import prepare_trans
from kgp.jobs.matrix_lookup import find_set
from kgp.jobs.one_core import on_one_core
from kgp.params import EqtlMap
from kgp.tables import (
    COVARIATES,
    EQTL_COVARIATES,
    EQTL_CREDIBLE_SETS,
    EQTL_GENOTYPES,
    EQTL_INDEPENDENT,
    EQTL_INTERACTION,
    EQTL_MAPS,
    EQTL_MATRICES,
    EQTL_NOMINAL,
    EQTL_PHENOTYPES,
    EQTL_TOP,
    EQTL_TRANS,
)

_RESULTS = (EQTL_NOMINAL, EQTL_TOP, EQTL_INDEPENDENT, EQTL_CREDIBLE_SETS, EQTL_INTERACTION, EQTL_TRANS)

# Row groups that are read at the same time: of ten million variants there are a thousand, each a request or two.
_READS_AT_ONCE = 16

_PREPARE: dict[str, Callable[[Context, Mapping[str, Any], EqtlMap], MapMode]] = {
    "nominal": prepare_nominal,
    "permute": prepare_permute,
    "independent": prepare_independent,
    "finemap": prepare_finemap,
    "interaction": prepare_interaction,
    "trans": prepare_trans,
}


def run(context: Context, params: EqtlMap) -> Report:
    """Map what is not mapped yet; all rows appear at once, when the ledger names them."""
    with on_one_core():
        return _run(context, params)


def _run(context: Context, params: EqtlMap) -> Report:
    matrix_set = find_set(context, params.name)
    matrix_id, build = matrix_set["matrix_id"], get_build(matrix_set["build"])
    mode = _PREPARE[params.mode](context, matrix_set, params)
    window = _find_window(mode, params, matrix_set)
    phenotypes = _by_contig(_parts(context, EQTL_PHENOTYPES, matrix_id))
    contigs = resolve_contigs(params.contig, build, list(phenotypes))
    parameters = describe_map(params, contigs if params.contig else None, window, mode.options)
    map_id = name_map(matrix_id, parameters)
    known = {row["map_id"]: row for row in context.fetch(EQTL_MAPS)}
    root = context.path(EQTL_MAPS).removesuffix(EQTL_MAPS.name) + "_maps"
    results = BlockResults(root, map_id)
    replaces = str(known[map_id]["mapped_at"]) if map_id in known else ""
    if results.replaces not in (None, replaces):
        results.remove()  # a run that was killed when its mapping had been named left them
    if map_id in known and not params.replace:
        return report_known(known[map_id])

    def list_sets() -> set[str]:
        return {row["matrix_id"] for row in context.fetch(EQTL_MATRICES, ["matrix_id"])}

    if n := remove_left(root, list_sets, set(known), [context.path(table) for table in _RESULTS]):
        context.progress.say(f"removed what unfinished mappings of sets that are gone have left ({n:,})")
    covariates = context.fetch(EQTL_COVARIATES, where=in_list("matrix_id", [matrix_id]))
    n_samples = matrix_set["n_samples"]
    designs = make_designs(covariates, contigs, n_samples, params.model, params.phenotype_df)
    source = BlockSource(map_id, matrix_id, n_samples, window, params.grouped, designs)
    with context.progress.step(f"planning set {params.name}"):
        there = contigs if mode.scope == "cis" else None
        rows = _read_contigs(context, matrix_id, phenotypes, build, there)
        places = _read_places(rows, contigs, mode.wanted, build, is_grouped=params.grouped)
        blocks, n_without = _plan(mode, places, rows, source)
    task = BlockTask(source, mode, results, context.path(mode.table))
    mapped = run_blocks(context, task, blocks, f"set {params.name}, {params.mode}", replaces)
    mapped.tally.drop(NO_VARIANT, n_without)
    if not mapped.tally.n_pairs:
        task.results.remove()
        raise InputError(
            f"Nothing can be tested: {name_dropped(mapped.tally.dropped) or 'no phenotype is wanted'}.",
            where=f"set {params.name}",
            mend=name_mends(mapped.tally.dropped, mode.scope),
        )
    finished = mode.finish(mapped.rows, mapped.tally)
    files = _files_of(context, mode, mapped, finished)
    n_rows = context.commit(mode.table, files, [map_id])
    row = {
        "map_id": map_id,
        "matrix_id": matrix_id,
        "name": params.name,
        "mode": params.mode,
        "model": params.model,
        "parameters": {**parameters, **name_useless(designs)},
        "df": finished.df or max(designs[contig].design.df for contig in contigs),
        "n_samples": n_samples,
        "n_phenotypes": mapped.tally.n_phenotypes,
        "n_pairs": mapped.tally.n_pairs,
        "dropped": dict(mapped.tally.dropped),
        "figures": dict(finished.figures),
        "seconds": context.seconds,
        "mapped_at": datetime.datetime.now(datetime.UTC),
    }
    context.put(EQTL_MAPS, [row], in_list("map_id", [map_id]))
    _check_not_replaced(context, task, matrix_id, params.name)
    if _count_committed(context, mode, map_id) != n_rows:
        # A job that began between the two commits took the rows for what an unfinished run had left.
        context.commit(mode.table, files, [map_id])
    task.results.remove()
    return report_mapping(
        row, mode, n_rows, [*finished.notes, *tell_useless(designs)], len(blocks), mapped.n_kept
    )


def _find_window(mode: MapMode, params: EqtlMap, matrix_set: Mapping[str, Any]) -> int | None:
    if mode.scope == "cis":
        return resolve_window(params.cis_window, matrix_set["parameters"])
    if params.cis_window is not None:
        raise UsageError(
            f"A {params.mode} mapping has no cis window.",
            where="--cis-window",
            mend="Leave it away; --trans-distance says what is cis.",
        )
    return None


def _parts(
    context: Context, table: Any, matrix_id: str, contigs: Sequence[str] | None = None
) -> list[TablePart]:
    """Parts of the set's rows in a table, a row group each: blocks read those that they need."""
    partitions = {"matrix_id": [matrix_id]} | ({} if contigs is None else {"contig": list(contigs)})
    return context.parts(table, partitions=partitions, ids=[matrix_id], target_rows=1)


def _by_contig(parts: Sequence[TablePart]) -> dict[str, tuple[TablePart, ...]]:
    found: dict[str, tuple[TablePart, ...]] = {}
    for part in parts:
        contig = str(part.values["contig"])
        found[contig] = (*found.get(contig, ()), part)
    return found


def _read_contigs(
    context: Context,
    matrix_id: str,
    phenotypes: Mapping[str, tuple[TablePart, ...]],
    build: ReferenceBuild,
    contigs: Sequence[str] | None,
) -> dict[str, ContigRows]:
    """What the set has of each contig (None: of all), in karyotype order."""
    genotypes = _by_contig(_parts(context, EQTL_GENOTYPES, matrix_id, contigs))
    wanted = {*genotypes, *(phenotypes if contigs is None else contigs)}
    return {
        contig: ContigRows(
            _read_starts(genotypes.get(contig, ())), genotypes.get(contig, ()), phenotypes.get(contig, ())
        )
        for contig in sorted(wanted, key=lambda contig: (build.sort_index(contig), contig))
    }


def _read_starts(parts: Sequence[TablePart]) -> np.ndarray[Any, np.dtype[np.int64]]:
    def read(part: TablePart) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
        return [batch.column("start").to_numpy() for batch in read_part(part, EQTL_GENOTYPES, ["start"])]

    with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
        columns = [starts for found in pool.map(read, parts) for starts in found]
    return np.sort(np.concatenate([np.empty(0, np.int64), *columns]))


def _read_places(
    rows: Mapping[str, ContigRows],
    contigs: Sequence[str],
    wanted: frozenset[str] | None,
    build: ReferenceBuild,
    *,
    is_grouped: bool,
) -> list[Place]:
    columns = ["contig", "tss", "phenotype_id", "gene_id", "group_id"]
    found = [
        row
        for contig in contigs
        for part in rows[contig].phenotypes
        for batch in read_part(part, EQTL_PHENOTYPES, columns)
        for row in batch.to_pylist()
        if wanted is None or row["phenotype_id"] in wanted
    ]
    return order_places(found, build, is_grouped=is_grouped)


def _plan(
    mode: MapMode, places: Sequence[Place], rows: Mapping[str, ContigRows], source: BlockSource
) -> tuple[list[PlannedBlock], int]:
    if not places:
        return [], 0
    if source.window is not None:
        small = map_run.SMALL_SECONDS
        return plan_cis(
            places, rows, source.window, source.n_samples, mode.estimate_seconds, small_seconds=small
        )
    covariates_differ = len({id(one) for one in source.designs.values()}) > 1
    return plan_trans(places, rows, covariates_differ, source.n_samples, mode.estimate_seconds), 0


def _files_of(
    context: Context, mode: MapMode, mapped: MappedBlocks, finished: Finished
) -> Sequence[AddAction]:
    """The files with the mapping's rows, for a commit."""
    if mode.writes_files:
        return mapped.files
    return write_rows(finished.rows, mode.table, context.path(mode.table))


def _check_not_replaced(context: Context, task: BlockTask, matrix_id: str, name: str) -> None:
    """Take back a mapping of a set that is no more. A build that replaces it from now on sees the mapping and does so.

    Raises:
        LakeError: the set was replaced meanwhile.
    """
    if context.fetch(EQTL_MATRICES, ["matrix_id"], in_list("matrix_id", [matrix_id])):
        return
    map_id = task.source.map_id
    context.put(EQTL_MAPS, [], in_list("map_id", [map_id]))
    context.remove_debris([map_id])
    task.results.remove()
    raise LakeError(
        "It was replaced while it was mapped.",
        where=f"set {name}",
        mend="Map it again: the rows of the earlier one are removed.",
    )


def _count_committed(context: Context, mode: MapMode, map_id: str) -> int:
    found = context.count_rows(mode.table, {"map_id": [map_id]})
    return sum(n for by_id in found.values() for n in by_id.values())


MAP_EQTL = Job(
    name=NAME,
    summary="map eQTLs of a matrix set: nominal, permute, independent, finemap, interaction or trans",
    params=EqtlMap,
    reads=(EQTL_MATRICES, EQTL_PHENOTYPES, EQTL_GENOTYPES, EQTL_COVARIATES, COVARIATES),
    writes=(EQTL_MAPS, *_RESULTS),
    run=run,
)
