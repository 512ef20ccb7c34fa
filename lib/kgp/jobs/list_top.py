"""`kgp eqtl top`: the best pairs of a mapped set, or all pairs of one gene. Reads only."""

from __future__ import annotations

from typing import Any

from kgp.amounts import count
from kgp.io.output import align
from kgp.job import Context, Job, Report
from kgp.jobs.mapping_facts import (
    fetch_maps,
    fetch_pairs,
    fetch_top,
    find_phenotype,
    need_mode,
    tell_contigs,
)
from kgp.jobs.matrix_lookup import find_set
from kgp.params import EqtlTop
from kgp.tables import EQTL_MAPS, EQTL_MATRICES, EQTL_NOMINAL, EQTL_PHENOTYPES, EQTL_TOP

_TOP: tuple[str, ...] = (
    "phenotype_id", "variant_id", "vcf_id", "tss_distance", "af", "slope", "slope_se", "p_value", "p_beta", "q_value",
    "is_egene",
)  # fmt: skip
_PAIRS: tuple[str, ...] = (
    "variant_id",
    "vcf_id",
    "tss_distance",
    "af",
    "slope",
    "slope_se",
    "p_value",
    "neg_log10_p",
)


def run(context: Context, params: EqtlTop) -> Report:
    """List the phenotypes with the smallest p_beta, or one phenotype's pairs with the smallest p."""
    matrix = find_set(context, params.name, where="NAME")
    maps = fetch_maps(context, matrix, params.model)
    if params.gene is None:
        one = need_mode(maps, "permute", params.name, params.model)
        rows, columns = fetch_top(context, one), _TOP
        said = f"{count(len(rows), 'phenotype')} of set {params.name}, {sum(r['is_egene'] for r in rows):,} significant"
    else:
        one = need_mode(maps, "nominal", params.name, params.model)
        phenotype = find_phenotype(context, matrix, params.gene).rows.to_pylist()[0]
        rows, columns = fetch_pairs(context, one, phenotype), _PAIRS
        rows.sort(key=lambda row: (-row["neg_log10_p"], abs(row["tss_distance"]), row["variant_id"]))
        said = f"{count(len(rows), 'pair')} of {phenotype['phenotype_id']} in set {params.name}"
    shown = rows[: params.rows]
    said += f", the first {len(shown):,}" if len(shown) < len(rows) else ""
    source = f"mapping {one.map_id}{tell_contigs(one)}, model {one.model}, {one.mapped_at:%Y-%m-%d %H:%M} UTC"
    return Report(
        "list_top",
        False,
        said,
        details={"map_id": one.map_id, "n_rows": len(rows), "rows": [_plain(row, columns) for row in shown]},
        notes=[source],
        text="\n".join([align(columns, [[row[name] for name in columns] for row in shown]), said, source]),
    )


def _plain(row: dict[str, Any], columns: tuple[str, ...]) -> dict[str, Any]:
    return {name: row[name] for name in columns}


LIST_TOP = Job(
    name="list_top",
    summary="List the best pairs of a mapped set, or the pairs of one gene.",
    params=EqtlTop,
    reads=(EQTL_MATRICES, EQTL_MAPS, EQTL_TOP, EQTL_NOMINAL, EQTL_PHENOTYPES),
    writes=(),
    run=run,
)
