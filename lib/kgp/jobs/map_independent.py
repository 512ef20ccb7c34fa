"""`kgp eqtl map --mode independent`: the stepwise signals of each eGene, into `eqtl_independent`.

Which phenotypes are eGenes, and how strong a signal must be, is what the finished permutation pass of the same set and
options says (`eqtl_maps`, `eqtl_top`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from kgp.amounts import count, name_first
from kgp.eqtl.conditional import Signal, map_independent
from kgp.eqtl.design import Floats, Ints
from kgp.eqtl.distinct import find_distinct
from kgp.errors import InputError
from kgp.genome import get_build
from kgp.io.matrix_sets import group_of
from kgp.io.parts import read_part
from kgp.io.predicates import in_list
from kgp.job import Context
from kgp.jobs.map_block import Finished, MapBlock, Scope, Tally, count_tested, describe_pairs
from kgp.jobs.map_permute import PermuteMode, describe_best, draw_once, join_pairs, prepare_permute
from kgp.jobs.map_plan import describe_map, resolve_window
from kgp.params import EqtlMap
from kgp.table import Table
from kgp.tables import EQTL_INDEPENDENT, EQTL_MAPS, EQTL_PHENOTYPES, EQTL_TOP

Row = Mapping[str, Any]
# Contig and name: a group of the same name on another contig is another one.
Key = tuple[str, str]

# Why phenotypes are not looked at: keys of `eqtl_maps.dropped`.
NO_EGENE = "phenotype that is no eGene of the permutation pass"
NO_THRESHOLD = "phenotype of an eGene without a nominal threshold"

# Scans of an eGene, about: one signal takes two, each further one two more.
_N_SCANS = 4
# Seconds of making a dosage a residual of the signals again.
_DOSAGE_SECONDS = 1e-8


@dataclass(frozen=True, eq=False)
class IndependentMode:
    """The independent signals of eGenes; see `kgp.jobs.map_block.MapMode`.

    Args:
        permuted: how the permutation pass was made.
        permuted_by: its map_id.
        thresholds: contig and name of an eGene (phenotype, or group with --grouped) → greatest p of a signal.
        wanted: phenotypes of the eGenes.
        n_without: eGenes of which the permutation pass has no nominal threshold, and which are left out.
        left_out: reason → phenotypes of the set, on the contigs that are mapped, that are not wanted.
    """

    permuted: PermuteMode
    permuted_by: str
    thresholds: Mapping[Key, float]
    wanted: frozenset[str]
    n_without: int
    left_out: Mapping[str, int]
    table: Table = EQTL_INDEPENDENT
    scope: Scope = "cis"
    writes_files: bool = False

    @property
    def options(self) -> Mapping[str, str]:
        """Those of the permutation pass, and which it is."""
        return {**self.permuted.options, "permuted_by": self.permuted_by}

    def estimate_seconds(self, n_variants: Ints, n_samples: int) -> Floats:
        """As the permutation pass, for some scans."""
        scan = self.permuted.estimate_seconds(n_variants, n_samples)
        return np.asarray(_N_SCANS * (scan + n_variants * n_samples * _DOSAGE_SECONDS))

    def map_block(self, block: MapBlock, tally: Tally) -> Iterator[pa.RecordBatch]:
        """Rows of `eqtl_independent`."""
        genotypes = find_distinct(block.dosages, block.design)
        count_tested(block, genotypes.vector_of < 0, tally)
        found = list(
            map_independent(
                block.phenotypes.values,
                genotypes,
                block.windows,
                block.distances,
                draw_once(block.design.n_samples, self.permuted.n_permutations, self.permuted.seed),
                block.covariates,
                block.design,
                np.array([self.thresholds[key] for key in _name_groups(block)]),
                block.groups,
            )
        )
        if found:
            yield _describe(block, found)

    def finish(self, rows: pa.Table, tally: Tally) -> Finished:
        """Count eGenes by their signals; tells the tally of the phenotypes that are none."""
        for reason, n in self.left_out.items():
            tally.drop(reason, n)
        table = self.table.arrow_schema.empty_table()
        if rows.num_rows:
            keys = [(name, "ascending") for name in self.table.sort_by]
            table = rows.select(list(self.table.columns)).sort_by(keys)
        n_signals = Counter(map(_key, table.select(["contig", "group_id", "phenotype_id"]).to_pylist()))
        figures = {
            "n_egenes": float(len(self.thresholds)),
            "n_signals": float(table.num_rows),
            "n_several": float(sum(n > 1 for n in n_signals.values())),
            "n_lost": float(len(self.thresholds) - len(n_signals)),
            "n_without_threshold": float(self.n_without),
        }
        return Finished(table, figures, self._tell(figures))

    def _tell(self, figures: Mapping[str, float]) -> list[str]:
        several, lost = int(figures["n_several"]), int(figures["n_lost"])
        notes = [
            f"{count(int(figures['n_signals']), 'independent signal')}; "
            f"{count(several, 'eGene has', 'eGenes have')} more than one"
        ]
        if lost:
            notes.append(
                f"{count(lost, 'eGene has', 'eGenes have')} no signal that stays significant beside its others"
            )
        if self.n_without:
            notes.append(tell_without(self.n_without))
        return notes


def prepare_independent(context: Context, matrix_set: Row, params: EqtlMap) -> IndependentMode:
    """The mode, with what the permutation pass found.

    Raises:
        InputError: there is no permutation pass of the same set and options, or it found no eGene.
    """
    permuted = prepare_permute(context, matrix_set, params)
    mapping = _find_permuted(context.fetch(EQTL_MAPS), matrix_set, params, permuted)
    columns = ["contig", "phenotype_id", "group_id", "p_beta", "p_threshold", "is_egene"]
    top = context.fetch(EQTL_TOP, columns, in_list("map_id", [mapping["map_id"]]))
    # The threshold is that of all contigs of the pass, whichever are mapped now.
    of_all = find_thresholds(top, params.model)
    asked = _canonical(params.contig, matrix_set)
    thresholds = {key: value for key, value in of_all.items() if not asked or key[0] in asked}
    egenes = {_key(row) for row in top if row["is_egene"] and (not asked or row["contig"] in asked)}
    if not egenes:
        of_contigs = f" on contig {', '.join(sorted(asked))}" if asked else ""
        raise InputError(
            f"The permutation pass of set {params.name} found no eGene{of_contigs} at FDR {params.fdr:g}.",
            where=f"mapping {mapping['map_id']}",
            mend=f"There is nothing to {'fine-map' if params.mode == 'finemap' else 'part'}: map with another --fdr, "
            "or build a larger set.",
        )
    members = _list_members(context, matrix_set["matrix_id"], asked, is_grouped=params.grouped)
    return IndependentMode(
        permuted,
        mapping["map_id"],
        thresholds,
        frozenset(name for name, key in members if key in thresholds),
        len(egenes) - len(thresholds),
        {
            NO_EGENE: sum(key not in egenes for _, key in members),
            NO_THRESHOLD: sum(key in egenes and key not in thresholds for _, key in members),
        },
    )


def tell_without(n: int) -> str:
    """That so many eGenes of the permutation pass are left out."""
    have = count(n, "eGene has", "eGenes have")
    return f"{have} no nominal threshold (no beta distribution could be fitted): left out"


def find_thresholds(top: Sequence[Row], model: str) -> dict[Key, float]:
    """Contig and name of an eGene (or of its group) → greatest p of an independent signal.

    Args:
        top: rows of `eqtl_top` of a mapping.
        model: ``fastqtl``: the greatest p_beta of an eGene, for all; ``qtltools``: the nominal p_threshold of each, on
            the scale of p_value, as runFDR_cis.R writes it for QTLtools; eGenes without one are left out.

    Source: tensorQTL 1.0.10, cis.map_independent; QTLtools 1.3.1, cis_data::readThresholds.

    >>> row = {"contig": "1", "phenotype_id": "g1", "group_id": None, "is_egene": True}
    >>> row |= {"p_beta": 0.01, "p_threshold": 1e-5}
    >>> other = {**row, "phenotype_id": "g2", "p_beta": 0.02, "p_threshold": None}
    >>> find_thresholds([row, other], "fastqtl"), find_thresholds([row, other], "qtltools")
    ({('1', 'g1'): 0.02, ('1', 'g2'): 0.02}, {('1', 'g1'): 1e-05})
    """
    egenes = [row for row in top if row["is_egene"]]
    if model == "fastqtl":
        greatest = max((row["p_beta"] for row in egenes), default=0.0)
        return {_key(row): greatest for row in egenes}
    return {_key(row): row["p_threshold"] for row in egenes if row["p_threshold"] is not None}


def _find_permuted(maps: Sequence[Row], matrix_set: Row, params: EqtlMap, permuted: PermuteMode) -> Row:
    """The permutation pass with the same options; one of the same contigs before one of all."""
    window = resolve_window(params.cis_window, matrix_set["parameters"])
    wanted = describe_map(replace(params, mode="permute"), None, window, permuted.options)
    contigs = _canonical(params.contig, matrix_set)
    of_set = [row for row in maps if row["matrix_id"] == matrix_set["matrix_id"] and row["mode"] == "permute"]
    alike = [row for row in of_set if not _differing(row, wanted)]
    exact = [row for row in alike if _contigs(row) == contigs]
    whole = [row for row in alike if not _contigs(row)]
    if found := exact or whole:
        return found[0]
    others = sorted({name_first(_differing(row, wanted) or ["other contigs"]) for row in of_set})
    raise InputError(
        f"Set {params.name} has no permutation pass with these options"
        + (f"; there is one with {'; and one with '.join(others)}." if others else "."),
        where="eqtl_maps",
        mend="Map it before with the same options and --mode permute.",
    )


def _differing(mapping: Row, wanted: Mapping[str, str]) -> list[str]:
    """Options of a mapping that are not the wanted ones."""
    recorded = mapping["parameters"]
    return [f"{name} {recorded.get(name)}" for name, value in wanted.items() if recorded.get(name) != value]


def _canonical(contigs: Sequence[str], matrix_set: Row) -> set[str]:
    """Contigs as the set names them, however they are spelled."""
    build = get_build(matrix_set["build"])
    return {build.canonical(contig) or contig for contig in contigs}


def _contigs(mapping: Row) -> set[str]:
    """Contigs that a mapping was restricted to; none where it was not."""
    return set(filter(None, mapping["parameters"].get("contig", "").split(",")))


def _list_members(
    context: Context, matrix_id: str, asked: Collection[str], *, is_grouped: bool
) -> list[tuple[str, Key]]:
    """Phenotypes of a set on the contigs that were asked for (none: on all), and what each is searched as."""
    parts = context.parts(EQTL_PHENOTYPES, partitions={"matrix_id": [matrix_id]}, ids=[matrix_id])
    columns = ["contig", "phenotype_id", "gene_id", "group_id"]
    rows = [
        row
        for part in parts
        for batch in read_part(part, EQTL_PHENOTYPES, columns)
        for row in batch.to_pylist()
        if not asked or row["contig"] in asked
    ]
    return [
        (row["phenotype_id"], (row["contig"], group_of(row) if is_grouped else row["phenotype_id"]))
        for row in rows
    ]


def _key(row: Row) -> Key:
    return row["contig"], row["group_id"] or row["phenotype_id"]


def _name_groups(block: MapBlock) -> list[Key]:
    """Contig and name of each group of a block."""
    contigs, ids = (block.phenotypes.rows.column(name).to_pylist() for name in ("contig", "phenotype_id"))
    names = block.group_ids or [ids[members[0]] for members in block.groups]
    return [(contigs[members[0]], name) for members, name in zip(block.groups, names, strict=True)]


def _describe(block: MapBlock, signals: Sequence[Signal]) -> pa.RecordBatch:
    best = [signal.best for signal in signals]
    columns = {**describe_pairs(block, join_pairs([one.pair for one in best])), **describe_best(block, best)}
    columns["rank"] = pa.array([signal.rank for signal in signals], pa.int32())
    return pa.RecordBatch.from_pydict(columns)
