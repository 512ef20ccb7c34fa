"""What `kgp eqtl show`, `kgp eqtl top` and the report say of mappings, read on the driver, without Spark."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgp.amounts import name_first
from kgp.errors import InputError
from kgp.io.delta import in_list
from kgp.io.matrix_sets import PhenotypeRows, read_genotypes, read_phenotypes
from kgp.io.parts import read_part
from kgp.job import Context
from kgp.params import MapModel
from kgp.report.facts_mapping import LocusFact, MapFact, MappingFact, QuantileFact, TopFact
from kgp.report.quantiles import PCounts
from kgp.tables import EQTL_GENOTYPES, EQTL_MAPS, EQTL_NOMINAL, EQTL_PHENOTYPES, EQTL_TOP

Row = Mapping[str, Any]

MODELS: tuple[MapModel, ...] = get_args(MapModel)

_MAP_COLUMNS = (
    "name", "map_id", "matrix_id", "mode", "model", "df", "n_samples", "n_phenotypes", "n_pairs", "parameters",
    "dropped", "figures", "seconds", "mapped_at",
)  # fmt: skip


def fetch_maps(context: Context, matrix: Row, model: str) -> tuple[MapFact, ...]:
    """The newest mapping of each mode of a set by one model, by mode; one of all contigs before one of some."""
    where = f"{in_list('matrix_id', [matrix['matrix_id']])} AND {in_list('model', [model])}"
    rows = sorted(
        context.fetch(EQTL_MAPS, list(_MAP_COLUMNS), where),
        key=lambda row: ("contig" not in row["parameters"], row["mapped_at"]),
    )
    newest = {row["mode"]: row for row in rows}
    return tuple(MapFact(**newest[mode]) for mode in sorted(newest))


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
    maps = fetch_maps(context, matrix, model)
    by_mode = {one.mode: one for one in maps}
    nominal = _count_nominal(context, by_mode["nominal"]) if "nominal" in by_mode else None
    top = _read_top(context, by_mode["permute"]) if "permute" in by_mode else None
    return MappingFact(matrix["name"], model, maps, nominal, top)


def find_phenotype(context: Context, matrix: Row, wanted: str) -> PhenotypeRows:
    """The one phenotype of a set that is called so: by its id, its gene's id (with or without version) or name.

    Raises:
        InputError: there is none, or several.
    """
    parts = context.parts(EQTL_PHENOTYPES, partitions={"matrix_id": [matrix["matrix_id"]]})
    rows = read_phenotypes(parts, len(matrix["sample_ids"]))
    columns = {name: rows.rows.column(name).to_pylist() for name in ("phenotype_id", "gene_id", "gene_name")}
    for names in (
        columns["phenotype_id"],
        columns["gene_id"],
        [str(name).partition(".")[0] for name in columns["phenotype_id"]],
        columns["gene_name"],
    ):
        places = [place for place, name in enumerate(names) if name == wanted]
        if len(places) == 1:
            return rows.take(places)
        if places:
            several = name_first([columns["phenotype_id"][place] for place in places])
            raise InputError(
                f"{len(places):,} phenotypes of set {matrix['name']} are called {wanted}: {several}.",
                where="--gene",
                mend="Give the id of one.",
            )
    known = [str(name) for name in (*columns["phenotype_id"], *columns["gene_name"]) if name is not None]
    near = difflib.get_close_matches(wanted, known, n=1)
    raise InputError(
        f"Set {matrix['name']} has no phenotype or gene {wanted}.",
        where="--gene",
        mend=f"Did you mean {near[0]}?"
        if near
        else "See eqtl_phenotypes; eqtl_matrices says what was dropped.",
    )


def need_mode(maps: Sequence[MapFact], mode: str, name: str, model: str) -> MapFact:
    """The mapping of a mode.

    Raises:
        InputError: there is none; the command that makes it is named.
    """
    for one in maps:
        if one.mode == mode:
            return one
    raise InputError(
        f"Set {name} has no mapping of mode {mode} by model {model}.",
        where="table eqtl_maps",
        mend=f"Make it: kgp eqtl map --name {name} --mode {mode} --model {model}.",
    )


def fetch_pairs(context: Context, nominal: MapFact, phenotype: Row) -> list[dict[str, Any]]:
    """All tested pairs of a phenotype, by position."""
    partitions = {"map_id": [nominal.map_id], "contig": [phenotype["contig"]]}
    columns = [name for name in EQTL_NOMINAL.columns if name not in ("map_id", "matrix_id")]
    wanted = phenotype["phenotype_id"]
    rows: list[dict[str, Any]] = []
    for part in context.parts(EQTL_NOMINAL, partitions=partitions):
        # A phenotype's pairs stand together: most parts have none, and only their ids are read.
        if not any(_is(batch, wanted).any() for batch in read_part(part, EQTL_NOMINAL, ["phenotype_id"])):
            continue
        for batch in read_part(part, EQTL_NOMINAL, columns):
            rows += batch.filter(pa.array(_is(batch, wanted))).to_pylist()
    return sorted(rows, key=lambda row: (row["start"], row["variant_id"]))


def gather_locus(context: Context, matrix: Row, maps: Sequence[MapFact], model: str, gene: str) -> LocusFact:
    """One phenotype with its pairs, and the genotypes of those variants.

    Raises:
        InputError: it is not in the set, or was not mapped in mode nominal, or no variant of it was tested.
    """
    nominal = need_mode(maps, "nominal", matrix["name"], model)
    phenotype = find_phenotype(context, matrix, gene)
    row = phenotype.rows.to_pylist()[0]
    pairs = fetch_pairs(context, nominal, row)
    if not pairs:
        raise InputError(
            f"No variant was tested with {row['phenotype_id']}.",
            where="--gene",
            mend="eqtl_maps says in dropped why phenotypes were not tested.",
        )
    ids = [pair["variant_id"] for pair in pairs]
    dosages = _read_dosages(context, matrix, row["contig"], ids, pairs[0]["start"], pairs[-1]["start"])
    strengths = np.array([pair["neg_log10_p"] for pair in pairs])
    distances = np.array([abs(pair["tss_distance"]) for pair in pairs])
    best = int(np.lexsort((distances, -strengths))[0])
    of_best = pairs[best]
    permuted = next((one for one in maps if one.mode == "permute"), None)
    return LocusFact(
        phenotype_id=row["phenotype_id"],
        gene_name=row["gene_name"],
        contig=row["contig"],
        strand=row["strand"],
        tss=row["tss"],
        cis_window=max(1, int(distances.max())),
        variant_ids=tuple(ids),
        pos=np.array([pair["start"] + 1 for pair in pairs]),
        neg_log10_p=strengths,
        r2=_correlate(dosages, best),
        best=best,
        slope=of_best["slope"],
        slope_se=of_best["slope_se"],
        p_value=of_best["p_value"],
        alleles=(of_best["ref"], of_best["alt"]),
        dosages=dosages[best],
        values=phenotype.values[0],
        p_threshold=None if permuted is None else _threshold(context, permuted, row["phenotype_id"]),
    )


def fetch_top(context: Context, permuted: MapFact) -> list[dict[str, Any]]:
    """Rows of a permutation pass, the smallest p_beta first."""
    rows = context.fetch(EQTL_TOP, where=in_list("map_id", [permuted.map_id]))
    return sorted(rows, key=lambda row: (-row["neg_log10_p_beta"], -row["neg_log10_p"], row["phenotype_id"]))


def _is(batch: pa.RecordBatch, phenotype_id: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.asarray(pc.equal(batch.column("phenotype_id"), phenotype_id).to_numpy(zero_copy_only=False))


def _threshold(context: Context, permuted: MapFact, phenotype_id: str) -> float | None:
    for row in fetch_top(context, permuted):
        if row["phenotype_id"] == phenotype_id:
            return None if row["p_threshold"] is None else float(row["p_threshold"])
    return None


def _read_dosages(
    context: Context, matrix: Row, contig: str, ids: Sequence[str], first: int, last: int
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Variants × samples in the order of the ids, NaN where missing."""
    place = {variant_id: number for number, variant_id in enumerate(ids)}
    found = np.full((len(ids), len(matrix["sample_ids"])), np.nan)
    partitions = {"matrix_id": [matrix["matrix_id"]], "contig": [contig]}
    for part in context.parts(EQTL_GENOTYPES, partitions=partitions, span=(first, last + 1)):
        for block in read_genotypes(part, len(matrix["sample_ids"])):
            numbers = [place.get(name, -1) for name in block.rows.column("variant_id").to_pylist()]
            rows = np.flatnonzero(np.array(numbers) >= 0)
            dosages = block.dosages[rows].astype(np.float64)
            found[np.array(numbers)[rows]] = np.where(dosages < 0, np.nan, dosages)
    return found


def _correlate(
    dosages: np.ndarray[Any, np.dtype[np.float64]], best: int
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Squared correlation of each variant with the best one; missing dosages count as the mean."""
    means = np.nanmean(dosages, axis=1, keepdims=True)
    centred = np.where(np.isnan(dosages), 0.0, dosages - means)
    lengths = np.sqrt((centred**2).sum(axis=1))
    product = centred @ centred[best]
    scale = lengths * lengths[best]
    r = np.divide(product, scale, out=np.zeros_like(product), where=scale > 0)
    return np.asarray(np.minimum(r**2, 1.0))


def _count_nominal(context: Context, nominal: MapFact) -> QuantileFact:
    counts = PCounts()
    for part in context.parts(EQTL_NOMINAL, partitions={"map_id": [nominal.map_id]}):
        for batch in read_part(part, EQTL_NOMINAL, ["neg_log10_p"]):
            counts.add(batch.column(0).to_numpy())
    return counts.quantiles()


def _read_top(context: Context, permuted: MapFact) -> TopFact:
    rows = fetch_top(context, permuted)
    counts = PCounts()
    counts.add(np.array([row["neg_log10_p_beta"] for row in rows]))
    return TopFact(
        phenotype_ids=tuple(row["phenotype_id"] for row in rows),
        variant_ids=tuple(row["variant_id"] for row in rows),
        p_beta=np.array([row["p_beta"] for row in rows]),
        q_values=np.array([row["q_value"] for row in rows]),
        slopes=np.array([row["slope"] for row in rows]),
        distances=np.array([row["tss_distance"] for row in rows], dtype=np.int64),
        is_egene=np.array([row["is_egene"] for row in rows], dtype=bool),
        p_quantiles=counts.quantiles(),
    )
