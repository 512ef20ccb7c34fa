"""What `kgp eqtl show`, `kgp eqtl top` and the report say of mappings, read on the driver, without Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgp.errors import InputError
from kgp.io.parts import read_part
from kgp.io.predicates import in_list
from kgp.job import Context
from kgp.jobs.mapping_rows import scan_rows
from kgp.jobs.mode_facts import (
    N_SHOWN,
    gather_credible,
    gather_interaction,
    gather_signals,
    gather_trans,
)
from kgp.params import MapModel
from kgp.report.facts_mapping import MapFact, MappingFact, QuantileFact, TopFact
from kgp.report.quantiles import PCounts
from kgp.tables import EQTL_MAPS, EQTL_NOMINAL, EQTL_PHENOTYPES, EQTL_TOP

Row = Mapping[str, Any]

MODELS: tuple[MapModel, ...] = get_args(MapModel)

_MAP_COLUMNS = (
    "name", "map_id", "matrix_id", "mode", "model", "df", "n_samples", "n_phenotypes", "n_pairs", "parameters",
    "dropped", "figures", "seconds", "mapped_at",
)  # fmt: skip
_TOP_COLUMNS = (
    "phenotype_id", "variant_id", "group_id", "n_phenotypes", "p_beta", "neg_log10_p_beta", "neg_log10_p", "q_value",
    "slope", "tss_distance", "is_egene",
)  # fmt: skip


def list_maps(context: Context, matrix: Row, model: str) -> list[MapFact]:
    """All mappings of a set by one model; those of all contigs before those of some, then the newest first."""
    where = f"{in_list('matrix_id', [matrix['matrix_id']])} AND {in_list('model', [model])}"
    rows = sorted(
        context.fetch(EQTL_MAPS, list(_MAP_COLUMNS), where),
        key=lambda row: ("contig" in row["parameters"], -row["mapped_at"].timestamp(), row["map_id"]),
    )
    return [MapFact(**row) for row in rows]


def choose_maps(listed: Sequence[MapFact]) -> tuple[MapFact, ...]:
    """The first mapping of each mode, and of each covariate in mode interaction, by these."""
    first = {(one.mode, one.parameters.get("interaction", "")): one for one in reversed(listed)}
    return tuple(first[key] for key in sorted(first))


def name_others(listed: Sequence[MapFact], chosen: Sequence[MapFact]) -> dict[str, list[str]]:
    """Mode → ids of its mappings that are not chosen; modes without are left out."""
    ids = {one.map_id for one in chosen}
    others = [one for one in listed if one.map_id not in ids]
    return {
        mode: [one.map_id for one in others if one.mode == mode]
        for mode in sorted({one.mode for one in others})
    }


def count_outdated(context: Context, matrix: Row) -> int:
    """Mappings of earlier builds of a set: of its name, but of another matrix_id."""
    named = context.fetch(EQTL_MAPS, ["matrix_id"], in_list("name", [matrix["name"]]))
    return sum(row["matrix_id"] != matrix["matrix_id"] for row in named)


def tell_contigs(one: MapFact) -> str:
    """Which contigs a mapping is of, where it is not of all: `` (contig 2, 10 alone)``."""
    contigs = one.parameters.get("contig")
    return f" (contig {contigs.replace(',', ', ')} alone)" if contigs else ""


def gather_mapping(context: Context, matrix: Row, model: str) -> MappingFact:
    """All that is shown of a set's mappings by one model."""
    listed = list_maps(context, matrix, model)
    maps = choose_maps(listed)
    by_mode = {one.mode: one for one in maps}
    nominal, permuted = by_mode.get("nominal"), by_mode.get("permute")
    independent, finemap, trans = (by_mode.get(mode) for mode in ("independent", "finemap", "trans"))
    return MappingFact(
        name=matrix["name"],
        model=model,
        maps=maps,
        nominal=None if nominal is None else _count_nominal(context, nominal),
        top=None if permuted is None else _read_top(context, matrix, permuted),
        signals=None if independent is None else gather_signals(context, independent),
        credible=None if finemap is None else gather_credible(context, finemap),
        interactions=tuple(gather_interaction(context, one) for one in maps if one.mode == "interaction"),
        trans=None if trans is None else gather_trans(context, trans),
        others=name_others(listed, maps),
    )


def need_mode(maps: Sequence[MapFact], mode: str, name: str, model: str) -> MapFact:
    """The mapping of a mode.

    Raises:
        InputError: there is none; those that there are, and the command that makes it, are named.
    """
    for one in maps:
        if one.mode == mode:
            return one
    modes = dict.fromkeys(one.mode for one in maps)
    there = f"; there is {' and '.join(modes)}" if maps else ""
    raise InputError(
        f"Set {name} has no mapping of mode {mode} by model {model}{there}.",
        where="table eqtl_maps",
        mend=f"Make it: kgp eqtl map --name {name} --mode {mode} --model {model}.",
    )


def sort_top(rows: pa.Table) -> pa.Table:
    """Rows of a permutation pass, the smallest p_beta first."""
    order = [("neg_log10_p_beta", "descending"), ("neg_log10_p", "descending"), ("phenotype_id", "ascending")]
    return rows.sort_by(order)


def read_gene_names(context: Context, matrix: Row, ids: Sequence[str]) -> dict[str, str]:
    """Phenotype → name of its gene, of some phenotypes, where the set has one."""
    wanted = pa.array(ids, pa.string())
    found: dict[str, str] = {}
    for part in context.parts(EQTL_PHENOTYPES, partitions={"matrix_id": [matrix["matrix_id"]]}):
        for batch in read_part(part, EQTL_PHENOTYPES, ["phenotype_id", "gene_name"]):
            rows = batch.filter(pc.is_in(batch.column(0), value_set=wanted)).to_pylist()
            found |= {row["phenotype_id"]: row["gene_name"] for row in rows if row["gene_name"] is not None}
    return found


def _count_nominal(context: Context, nominal: MapFact) -> QuantileFact:
    counts = PCounts()
    for batch in scan_rows(context, EQTL_NOMINAL, nominal, ["neg_log10_p"]):
        counts.add(batch.column(0).to_numpy())
    return counts.quantiles()


def _read_top(context: Context, matrix: Row, permuted: MapFact) -> TopFact:
    schema = pa.schema([EQTL_TOP.arrow_schema.field(name) for name in _TOP_COLUMNS])
    batches = scan_rows(context, EQTL_TOP, permuted, _TOP_COLUMNS)
    rows = sort_top(pa.Table.from_batches(list(batches), schema))
    ids = rows["phenotype_id"].to_pylist()
    names = read_gene_names(context, matrix, ids[:N_SHOWN])
    counts = PCounts()
    counts.add(rows["neg_log10_p_beta"].to_numpy())
    return TopFact(
        phenotype_ids=tuple(ids),
        variant_ids=tuple(rows["variant_id"].to_pylist()),
        group_ids=tuple(rows["group_id"].to_pylist()) if permuted.is_grouped else None,
        n_phenotypes=tuple(rows["n_phenotypes"].to_pylist()) if permuted.is_grouped else None,
        gene_names=tuple(names.get(name) for name in ids[:N_SHOWN]),
        p_beta=rows["p_beta"].to_numpy(),
        neg_log10_p_beta=rows["neg_log10_p_beta"].to_numpy(),
        q_values=rows["q_value"].to_numpy(),
        slopes=rows["slope"].to_numpy(),
        distances=rows["tss_distance"].to_numpy().astype(np.int64),
        is_egene=np.array(rows["is_egene"].to_pylist(), dtype=bool),
        p_quantiles=counts.quantiles(),
    )
