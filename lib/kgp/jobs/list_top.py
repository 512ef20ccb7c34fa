"""`kgp eqtl top`: the best pairs of a mapped set, or all that mapping found for one gene. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kgp.amounts import count
from kgp.io.output import align
from kgp.job import Context, Job, Report
from kgp.jobs.locus_facts import read_judged
from kgp.jobs.mapping_facts import (
    choose_maps,
    list_maps,
    name_others,
    need_mode,
    read_gene_names,
    sort_top,
    tell_contigs,
)
from kgp.jobs.mapping_rows import read_of, scan_rows
from kgp.jobs.matrix_lookup import find_set
from kgp.jobs.phenotype_lookup import Named, find_named, need_single
from kgp.params import EqtlTop
from kgp.report.facts_mapping import MapFact
from kgp.report.mapping_words import p_cell, q_cell, tell_others, tell_pass
from kgp.tables import (
    EQTL_CREDIBLE_SETS,
    EQTL_INDEPENDENT,
    EQTL_INTERACTION,
    EQTL_MAPS,
    EQTL_MATRICES,
    EQTL_NOMINAL,
    EQTL_PHENOTYPES,
    EQTL_TOP,
    EQTL_TRANS,
    PHENOTYPES,
)

Row = Mapping[str, Any]

_GROUP: tuple[str, ...] = ("group_id", "n_phenotypes")
_TOP: tuple[str, ...] = (
    "phenotype_id", "variant_id", "vcf_id", "tss_distance", "af", "slope", "slope_se", "p_value", "p_beta", "q_value",
    "is_egene",
)  # fmt: skip
_JUDGED: tuple[str, ...] = (*_TOP, "p_threshold")
_PAIRS: tuple[str, ...] = (
    "variant_id", "vcf_id", "tss_distance", "af", "slope", "slope_se", "p_value", "neg_log10_p",
)  # fmt: skip
_SIGNALS: tuple[str, ...] = ("rank", "phenotype_id", *_PAIRS[:-1], "p_beta")
_CREDIBLE: tuple[str, ...] = (
    "cs_id", "variant_id", "vcf_id", "tss_distance", "af", "pip", "posterior_mean", "posterior_sd", "cs_size",
    "cs_purity",
)  # fmt: skip
_INTERACTIONS: tuple[str, ...] = (
    "variant_id", "vcf_id", "tss_distance", "af", "slope_gi", "slope_gi_se", "p_value_gi", "neg_log10_p_gi",
)  # fmt: skip
_TRANS: tuple[str, ...] = (
    "variant_id", "vcf_id", "contig", "start", "af", "slope", "slope_se", "p_value", "neg_log10_p",
)  # fmt: skip
# Columns of p-values that a double may be too coarse for → the column of their -log10.
_STRENGTHS = {"p_value": "neg_log10_p", "p_beta": "neg_log10_p_beta", "p_value_gi": "neg_log10_p_gi"}


@dataclass(frozen=True, eq=False)
class Listed:
    """Rows of one mapping.

    Args:
        one: the mapping.
        said: what the rows are.
        columns: that are shown.
        rows: the first of them.
        n_rows: of all.
    """

    one: MapFact
    said: str
    columns: tuple[str, ...]
    rows: Sequence[Row]
    n_rows: int

    @classmethod
    def of(cls, one: MapFact, said: str, columns: tuple[str, ...], rows: pa.Table, n_shown: int) -> Listed:
        """The first of some rows."""
        return cls(one, said, columns, rows.slice(0, n_shown).to_pylist(), rows.num_rows)

    @property
    def source(self) -> str:
        """Which mapping it is."""
        one = self.one
        told = tell_pass(one)
        contigs = "" if told else tell_contigs(one)  # a pass's options say them
        return (
            f"mode {one.label}: mapping {one.map_id}{contigs}, model {one.model}, "
            f"{one.mapped_at:%Y-%m-%d %H:%M} UTC" + (f"; {told}" if told else "")
        )

    @property
    def details(self) -> dict[str, Any]:
        """For a program."""
        rows = [{name: row[name] for name in self.columns} for row in self.rows]
        return {
            "mode": self.one.mode,
            "map_id": self.one.map_id,
            "parameters": dict(self.one.parameters),
            "n_rows": self.n_rows,
            "rows": rows,
        }

    @property
    def summary(self) -> str:
        """What the rows are, and how many of them are shown."""
        return self.said + (f", the first {len(self.rows):,}" if len(self.rows) < self.n_rows else "")

    @property
    def text(self) -> str:
        """For a terminal."""
        cells = [[_cell(row, name) for name in self.columns] for row in self.rows]
        return align(self.columns, cells)


def run(context: Context, params: EqtlTop) -> Report:
    """List the phenotypes with the smallest p_beta, or what each mapping found for one phenotype or group."""
    matrix = find_set(context, params.name, where="NAME")
    found = list_maps(context, matrix, params.model)
    maps = choose_maps(found)
    if params.gene is None:
        one = need_mode(maps, "permute", params.name, params.model)
        listed = [_list_best(context, matrix, one, params.rows)]
    else:
        listed = _list_gene(context, matrix, maps, params)
        if not listed:
            need_mode(maps, "nominal", params.name, params.model)
    first, *others = listed
    modes = {one.one.mode for one in listed}
    not_shown = {mode: ids for mode, ids in name_others(found, maps).items() if mode in modes}
    details = {**first.details, "other_maps": not_shown}
    if others:
        details["others"] = [one.details for one in others]
    told = tell_others(not_shown)
    text = [part for one in listed for part in (one.text, one.summary, one.source, "")]
    text = [*text, *told] if told else text[:-1]
    return Report(
        "list_top",
        False,
        first.summary,
        details=details,
        notes=[*(one.source for one in listed), *told],
        text="\n".join(text),
    )


def _list_best(context: Context, matrix: Row, one: MapFact, n_shown: int) -> Listed:
    """The phenotypes or groups with the smallest p_beta."""
    columns = (*_GROUP, *_TOP) if one.is_grouped else _TOP
    needed = tuple(dict.fromkeys((*columns, "neg_log10_p", "neg_log10_p_beta")))
    schema = pa.schema([EQTL_TOP.arrow_schema.field(name) for name in needed])
    rows = sort_top(pa.Table.from_batches(list(scan_rows(context, EQTL_TOP, one, needed)), schema))
    shown = rows.slice(0, n_shown).to_pylist()
    names = read_gene_names(context, matrix, [row["phenotype_id"] for row in shown])
    if names:
        columns = (*columns, "gene_name")
        shown = [{**row, "gene_name": names.get(row["phenotype_id"])} for row in shown]
    noun = "group" if one.is_grouped else "phenotype"
    n_significant = pc.sum(rows["is_egene"]).as_py() or 0
    said = f"{count(rows.num_rows, noun)} of set {matrix['name']}, {n_significant:,} significant"
    return Listed(one, said, columns, shown, rows.num_rows)


def _list_gene(context: Context, matrix: Row, maps: Sequence[MapFact], params: EqtlTop) -> list[Listed]:
    """What each mapping found for a phenotype, or for all phenotypes of a group that was mapped as one."""
    named = find_named(context, matrix, str(params.gene))
    if not any(one.is_grouped for one in maps):
        need_single(matrix, named)
    lists = {
        "nominal": _list_pairs,
        "permute": _list_judged,
        "independent": _list_signals,
        "finemap": _list_credible,
        "interaction": _list_interactions,
        "trans": _list_trans,
    }
    return [
        list_one(context, matrix, one, named, params.rows)
        for mode, list_one in lists.items()
        for one in maps
        if one.mode == mode
    ]


def _list_pairs(context: Context, matrix: Row, one: MapFact, named: Named, n_shown: int) -> Listed:
    found = read_of(context, EQTL_NOMINAL, one, named.ids, contig=named.contig)
    rows = _sort_pairs(found, "neg_log10_p")
    said = f"{count(rows.num_rows, 'pair')} of {_whose(named)} in set {matrix['name']}"
    return Listed.of(one, said, _of(named, _PAIRS), rows, n_shown)


def _list_judged(context: Context, matrix: Row, one: MapFact, named: Named, n_shown: int) -> Listed:
    rows = sort_top(read_judged(context, EQTL_TOP, one, named))
    columns = (*_GROUP, *_JUDGED) if one.is_grouped else _JUDGED
    whose = f"group {named.group}" if one.is_grouped else _whose(named)
    said = (
        f"best pair of {whose}, by permutation" if rows.num_rows else f"{whose} was not judged by permutation"
    )
    return Listed.of(one, said, columns, rows, n_shown)


def _list_signals(context: Context, matrix: Row, one: MapFact, named: Named, n_shown: int) -> Listed:
    rows = read_judged(context, EQTL_INDEPENDENT, one, named).sort_by("rank")
    whose = f"group {named.group}" if one.is_grouped else _whose(named)
    said = f"{count(rows.num_rows, 'independent signal')} of {whose}"
    return Listed.of(one, said, _SIGNALS, rows, n_shown)


def _list_credible(context: Context, matrix: Row, one: MapFact, named: Named, n_shown: int) -> Listed:
    found = read_of(context, EQTL_CREDIBLE_SETS, one, named.ids)
    rows = found.sort_by([("phenotype_id", "ascending"), ("cs_id", "ascending"), ("pip", "descending")])
    n_sets = len(set(zip(rows["phenotype_id"].to_pylist(), rows["cs_id"].to_pylist(), strict=True)))
    said = f"{count(rows.num_rows, 'variant')} of {count(n_sets, 'credible set')} of {_whose(named)}"
    return Listed.of(one, said, _of(named, _CREDIBLE), rows, n_shown)


def _list_interactions(context: Context, matrix: Row, one: MapFact, named: Named, n_shown: int) -> Listed:
    found = read_of(context, EQTL_INTERACTION, one, named.ids, contig=named.contig)
    rows = _sort_pairs(found, "neg_log10_p_gi")
    said = f"{count(rows.num_rows, 'pair')} of {_whose(named)} with {one.parameters['interaction']}"
    return Listed.of(one, said, _of(named, _INTERACTIONS), rows, n_shown)


def _list_trans(context: Context, matrix: Row, one: MapFact, named: Named, n_shown: int) -> Listed:
    found = read_of(context, EQTL_TRANS, one, named.ids)
    rows = found.sort_by([("neg_log10_p", "descending"), ("variant_id", "ascending")])
    said = (
        f"{count(rows.num_rows, 'trans pair')} of {_whose(named)} with p ≤ {float(one.parameters['max_p']):g}"
    )
    return Listed.of(one, said, _of(named, _TRANS), rows, n_shown)


def _sort_pairs(rows: pa.Table, strength: str) -> pa.Table:
    """The smallest p first; of equally small ones the nearest to the TSS."""
    far = rows.append_column("far", pc.abs(rows["tss_distance"]))
    return far.sort_by([(strength, "descending"), ("far", "ascending"), ("variant_id", "ascending")])


def _of(named: Named, columns: tuple[str, ...]) -> tuple[str, ...]:
    """Columns with the phenotype, where there are several."""
    return ("phenotype_id", *columns) if len(named.rows) > 1 else columns


def _whose(named: Named) -> str:
    if len(named.rows) > 1:
        return f"the {len(named.rows):,} phenotypes of {named.group}"
    return named.ids[0]


def _cell(row: Row, name: str) -> Any:
    """A value as it is shown: a p-value below any double as a power of ten."""
    if name == "q_value":
        return q_cell(row[name])
    strength = _STRENGTHS.get(name)
    return row[name] if strength is None or row.get(strength) is None else p_cell(row[name], row[strength])


LIST_TOP = Job(
    name="list_top",
    summary="List the best pairs of a mapped set, or what was found for one gene.",
    params=EqtlTop,
    reads=(
        EQTL_MATRICES, EQTL_MAPS, EQTL_TOP, EQTL_NOMINAL, EQTL_INDEPENDENT, EQTL_CREDIBLE_SETS, EQTL_INTERACTION,
        EQTL_TRANS, EQTL_PHENOTYPES, PHENOTYPES,
    ),
    writes=(),
    run=run,
)  # fmt: skip
