"""What `kgp eqtl show --gene` and `kgp eqtl top --gene` say of one phenotype, read on the driver, without Spark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from kgp.errors import InputError
from kgp.genome import get_build
from kgp.io.matrix_sets import Dosages, GenotypeRows, fill_missing, read_genotypes
from kgp.job import Context
from kgp.jobs.mapping_facts import need_mode
from kgp.jobs.mapping_rows import read_of
from kgp.jobs.phenotype_lookup import (
    Named,
    changed_meanwhile,
    find_named,
    need_single,
    read_phenotype,
)
from kgp.report.facts import Floats
from kgp.report.facts_mapping import JudgedFact, LocusFact, MapFact
from kgp.tables import EQTL_GENOTYPES, EQTL_NOMINAL, EQTL_TOP, SAMPLES

Row = Mapping[str, Any]


def gather_locus(context: Context, matrix: Row, maps: Sequence[MapFact], model: str, gene: str) -> LocusFact:
    """One phenotype with its pairs, and the genotypes of those variants.

    Of a gene or group that was mapped as one, it is the phenotype of its best pair.

    Raises:
        InputError: it is not in the set, or was not mapped in mode nominal, or no variant of it was tested.
    """
    nominal = need_mode(maps, "nominal", matrix["name"], model)
    named = find_named(context, matrix, gene)
    judged = judge_named(context, maps, named)
    row = _choose(matrix, named, judged)
    pairs = read_of(context, EQTL_NOMINAL, nominal, [row["phenotype_id"]], contig=row["contig"])
    if not pairs.num_rows:
        raise InputError(
            f"No variant was tested with {row['phenotype_id']}.",
            where="--gene",
            mend="eqtl_maps says in dropped why phenotypes were not tested.",
        )
    pairs = pairs.sort_by([("start", "ascending"), ("variant_id", "ascending")])
    strengths = pairs["neg_log10_p"].to_numpy()
    best = int(np.lexsort((np.abs(pairs["tss_distance"].to_numpy()), -strengths))[0])
    of_best = pairs.slice(best, 1).to_pylist()[0]
    ids, starts = pairs["variant_id"].to_pylist(), pairs["start"].to_numpy()
    dosages = _read_best(context, matrix, of_best)
    return LocusFact(
        phenotype_id=row["phenotype_id"],
        gene_name=row["gene_name"],
        contig=row["contig"],
        strand=row["strand"],
        build=matrix["build"],
        tss=row["tss"],
        variant_ids=tuple(ids),
        pos=starts + 1,
        neg_log10_p=strengths,
        r2=_correlate(context, matrix, row["contig"], ids, starts, dosages),
        best=best,
        slope=of_best["slope"],
        slope_se=of_best["slope_se"],
        alleles=(of_best["ref"], of_best["alt"]),
        dosages=dosages,
        values=read_phenotype(context, matrix, row).values[0],
        sexes=_fetch_sexes(context, matrix, of_best),
        judged=judged,
    )


def judge_named(context: Context, maps: Sequence[MapFact], named: Named) -> JudgedFact | None:
    """What the permutation pass says of a phenotype, or of the group that it was searched in; None where nothing.

    Of several phenotypes that were not searched as one there is none.
    """
    permuted = next((one for one in maps if one.mode == "permute"), None)
    if permuted is None or (len(named.rows) > 1 and not permuted.is_grouped):
        return None
    found = read_judged(context, EQTL_TOP, permuted, named).to_pylist()
    if not found:
        return None
    return JudgedFact(
        phenotype_id=found[0]["phenotype_id"],
        variant_id=found[0]["variant_id"],
        group_id=found[0]["group_id"],
        n_phenotypes=found[0]["n_phenotypes"],
        neg_log10_p_beta=found[0]["neg_log10_p_beta"],
        q_value=found[0]["q_value"],
        is_egene=found[0]["is_egene"],
        p_threshold=found[0]["p_threshold"],
        fdr=float(permuted.parameters["fdr"]),
    )


def read_judged(context: Context, table: Any, one: MapFact, named: Named) -> Any:
    """Rows of a mapping that searches groups as one, where it was asked to: those of the phenotypes or their group.

    Args:
        context: of a job that reads the table.
        table: `eqtl_top` or `eqtl_independent`.
        one: the mapping.
        named: the phenotypes.
    """
    if one.is_grouped:
        found = read_of(context, table, one, [named.group], by="group_id")
    else:
        found = read_of(context, table, one, named.ids)
    # A group of the same name on another contig is another one.
    return found.filter(pc.equal(found["contig"], named.contig))


def _choose(matrix: Row, named: Named, judged: JudgedFact | None) -> Row:
    """The phenotype that is drawn."""
    if len(named.rows) > 1 and judged is not None:
        return next(row for row in named.rows if row["phenotype_id"] == judged.phenotype_id)
    return need_single(matrix, named)


def _read_blocks(context: Context, matrix: Row, contig: str, first: int, last: int) -> Iterator[GenotypeRows]:
    """Genotypes of a set with a start from `first` to `last`, 0-based, and some more."""
    partitions = {"matrix_id": [matrix["matrix_id"]], "contig": [contig]}
    for part in context.parts(EQTL_GENOTYPES, partitions=partitions, span=(first, last + 1)):
        yield from read_genotypes(part, len(matrix["sample_ids"]))


def _read_best(context: Context, matrix: Row, pair: Row) -> Floats:
    """Dosages of a pair's variant a person, NaN where missing."""
    for block in _read_blocks(context, matrix, pair["contig"], pair["start"], pair["start"]):
        ids = block.rows.column("variant_id").to_pylist()
        if pair["variant_id"] in ids:
            dosages = block.dosages[ids.index(pair["variant_id"])].astype(np.float64)
            return np.where(dosages < 0, np.nan, dosages)
    raise changed_meanwhile(matrix)


def _correlate(
    context: Context,
    matrix: Row,
    contig: str,
    ids: Sequence[str],
    starts: np.ndarray[Any, np.dtype[np.int64]],
    best: Floats,
) -> Floats:
    """Squared correlation of each variant with the best one, a block at a time; missing dosages count as the mean."""
    place = {variant_id: number for number, variant_id in enumerate(ids)}
    r2 = np.zeros(len(ids))
    target = _centre(best[np.newaxis].astype(np.float32))[0]
    for block in _read_blocks(context, matrix, contig, int(starts[0]), int(starts[-1])):
        numbers = np.array([place.get(name, -1) for name in block.rows.column("variant_id").to_pylist()])
        rows = np.flatnonzero(numbers >= 0)
        centred = _centre(block.dosages[rows])
        scale = (centred**2).sum(axis=1) * (target @ target)
        squared = (centred @ target) ** 2
        r2[numbers[rows]] = np.divide(squared, scale, out=np.zeros(rows.size), where=scale > 0)
    return np.minimum(r2, 1.0)


def _centre(dosages: Dosages) -> Floats:
    filled = np.asarray(fill_missing(dosages), dtype=np.float64)
    return np.asarray(filled - filled.mean(axis=1, keepdims=True))


def _fetch_sexes(context: Context, matrix: Row, pair: Row) -> tuple[str | None, ...] | None:
    """Sexes of the people, where men have one copy of the variant."""
    if get_build(matrix["build"]).inheritance(pair["contig"], pair["start"]) != "x":
        return None
    sexes = {row["sample_id"]: row["sex"] for row in context.fetch(SAMPLES, ["sample_id", "sex"])}
    return tuple(sexes.get(name) for name in matrix["sample_ids"])
