"""`kgp eqtl show`: what mapping found for a set, or for one gene; in words, and as a page of pictures. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kgp
from kgp.amounts import count
from kgp.io.output import align
from kgp.io.report_page import PageFile
from kgp.io.urls import place_of
from kgp.job import Context, Job, Report
from kgp.jobs.mapping_facts import count_outdated, gather_locus, gather_mapping, tell_contigs
from kgp.jobs.matrix_lookup import find_set
from kgp.params import EqtlShow
from kgp.report.facts_mapping import LocusFact, MapFact, MappingFact
from kgp.report.markup import Section, source
from kgp.report.page import MARK, make_html
from kgp.report.sections_mapping import MOST_TOP, describe_locus, draw_mapping, summarise
from kgp.tables import EQTL_GENOTYPES, EQTL_MAPS, EQTL_MATRICES, EQTL_NOMINAL, EQTL_PHENOTYPES, EQTL_TOP


def run(context: Context, params: EqtlShow) -> Report:
    """Gather the figures, say them, and draw them where a page is asked for."""
    out = None if params.out is None else PageFile(params.out, MARK)
    matrix = find_set(context, params.name, where="NAME")
    fact = gather_mapping(context, matrix, params.model)
    locus = None
    if params.gene is not None:
        locus = gather_locus(context, matrix, fact.maps, params.model, params.gene)
    said = _describe_locus(locus) if locus is not None else _describe(fact)
    notes = [f"mode {one.mode}{told}" for one in fact.maps if (told := tell_contigs(one))]
    if n := count_outdated(context, matrix):
        notes.append(f"{count(n, 'mapping')} of earlier builds of the set, not shown: eqtl_maps has them")
    is_new = False
    if out is not None:
        with context.progress.step("drawing the figures"):
            page = _make_page(context, fact, locus)
        is_new = out.put(page)
        notes.append(f"open it in a browser: file://{out.path}")
    if not fact.maps:
        notes.append(f"map it: kgp eqtl map --name {params.name} --mode permute --model {params.model}")
    return Report(
        "show_eqtl",
        is_new,
        said,
        details=_details(matrix, fact, locus),
        notes=notes,
        text="\n".join([*_tables(fact, locus), said, *notes]),
    )


def _describe(fact: MappingFact) -> str:
    return summarise(fact) if fact.maps else f"set {fact.name} is not mapped by model {fact.model}"


def _describe_locus(locus: LocusFact) -> str:
    p = f"{locus.p_value:.4g}" if locus.p_value > 0 else f"10^-{locus.neg_log10_p[locus.best]:.1f}"
    return (
        f"{locus.label}: {count(locus.n_variants, 'variant')} tested, best {locus.variant_ids[locus.best]} at "
        f"{int(locus.pos[locus.best]) - locus.tss:+,} bp, slope {locus.slope:.4g} ± {locus.slope_se:.3g}, p {p}"
    )


def _tables(fact: MappingFact, locus: LocusFact | None) -> list[str]:
    if locus is not None:
        order = sorted(range(locus.n_variants), key=lambda i: (-locus.neg_log10_p[i], locus.pos[i]))[
            :MOST_TOP
        ]
        rows = [
            (
                locus.variant_ids[i],
                int(locus.pos[i]) - locus.tss,
                float(locus.neg_log10_p[i]),
                float(locus.r2[i]),
            )
            for i in order
        ]
        return [align(("variant_id", "tss_distance", "neg_log10_p", "r2_with_best"), rows)]
    columns = ("mode", "n_phenotypes", "n_pairs", "df", "seconds", "found")
    mapped = [(m.mode, m.n_phenotypes, m.n_pairs, m.df, round(m.seconds, 1), _found(m)) for m in fact.maps]
    tables = [align(columns, mapped, max_width=120)] if mapped else []
    if (top := fact.top) is not None:
        best = [
            (name, top.variant_ids[i], int(top.distances[i]), float(top.p_beta[i]), float(top.q_values[i]))
            for i, name in enumerate(top.phenotype_ids[:MOST_TOP])
        ]
        tables.append(align(("phenotype_id", "variant_id", "tss_distance", "p_beta", "q_value"), best))
    return tables


def _found(one: MapFact) -> str:
    return ", ".join(f"{name} {value:.6g}" for name, value in one.figures.items())


def _details(matrix: Mapping[str, Any], fact: MappingFact, locus: LocusFact | None) -> dict[str, Any]:
    details: dict[str, Any] = {
        "matrix_id": matrix["matrix_id"],
        "maps": [
            {
                "map_id": one.map_id,
                "mode": one.mode,
                "model": one.model,
                "n_phenotypes": one.n_phenotypes,
                "n_pairs": one.n_pairs,
                "figures": dict(one.figures),
                "dropped": dict(one.dropped),
            }
            for one in fact.maps
        ],
    }
    if fact.nominal is not None:
        details["inflation"] = fact.nominal.inflation
    if locus is not None:
        details["locus"] = {
            "phenotype_id": locus.phenotype_id,
            "variant_id": locus.variant_ids[locus.best],
            "n_variants": locus.n_variants,
            "slope": locus.slope,
            "slope_se": locus.slope_se,
            "neg_log10_p": float(locus.neg_log10_p[locus.best]),
            "p_threshold": locus.p_threshold,
        }
    return details


def _make_page(context: Context, fact: MappingFact, locus: LocusFact | None) -> str:
    if locus is not None:
        name, title, said = "locus", locus.label, _describe_locus(locus)
        blocks = describe_locus(locus, "gene")
    else:
        name, title, said = "mapping", f"Model {fact.model}", _describe(fact)
        blocks = draw_mapping(fact, "set")
    versions = [(table.name, context.version(table)) for table in SHOW_EQTL.reads]
    queries = [f"SELECT * FROM eqtl_maps WHERE map_id = '{one.map_id}'" for one in fact.maps]
    told = source([(table, version) for table, version in versions if version is not None], (), queries)
    section = Section(name, title, f"{said[0].upper()}{said[1:]}.", tuple(blocks), told)
    return make_html(
        f"eQTLs of set {fact.name}", place_of(context.uri), kgp.__version__, "kgp eqtl show", [section]
    )


SHOW_EQTL = Job(
    name="show_eqtl",
    summary="Show what mapping found for a set, or for one gene.",
    params=EqtlShow,
    reads=(EQTL_MATRICES, EQTL_MAPS, EQTL_TOP, EQTL_NOMINAL, EQTL_PHENOTYPES, EQTL_GENOTYPES),
    writes=(),
    run=run,
)
