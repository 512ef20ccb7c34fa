"""`kgp eqtl show`: what mapping found for a set, or for one gene; in words, and as a page of pictures. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kgp
from kgp.amounts import count, upper_first
from kgp.io.output import align
from kgp.io.report_page import PageFile
from kgp.io.urls import place_of
from kgp.job import Context, Job, Report
from kgp.jobs.locus_facts import gather_locus
from kgp.jobs.mapping_facts import (
    choose_maps,
    count_outdated,
    gather_mapping,
    list_maps,
    name_others,
    tell_contigs,
)
from kgp.jobs.matrix_lookup import find_set
from kgp.params import EqtlShow
from kgp.report.facts_mapping import LocusFact, MapFact, MappingFact
from kgp.report.mapping_words import (
    Table,
    list_credible,
    list_interactions,
    list_signals,
    list_top,
    list_trans,
    tell_credible,
    tell_interaction,
    tell_others,
    tell_p,
    tell_pass,
    tell_trans,
)
from kgp.report.markup import Section, source
from kgp.report.page import MARK, make_html
from kgp.report.sections_locus import describe_locus, tell_judged
from kgp.report.sections_mapping import MAPPED, MOST_TOP, draw_mapping, summarise
from kgp.tables import EQTL_GENOTYPES, EQTL_MATRICES, EQTL_PHENOTYPES, PHENOTYPES, SAMPLES


def run(context: Context, params: EqtlShow) -> Report:
    """Gather the figures, say them, and draw them where a page is asked for."""
    out = None if params.out is None else PageFile(params.out, MARK)
    matrix = find_set(context, params.name, where="NAME")
    if params.gene is None:
        fact, locus = gather_mapping(context, matrix, params.model), None
    else:
        listed = list_maps(context, matrix, params.model)
        maps = choose_maps(listed)
        fact = MappingFact(matrix["name"], params.model, maps, others=name_others(listed, maps))
        locus = gather_locus(context, matrix, maps, params.model, params.gene)
    said = _describe(fact) if locus is None else _describe_locus(locus)
    notes = _list_notes(context, matrix, fact, locus)
    is_new = False
    if out is not None:
        with context.progress.step("drawing the figures"):
            page = _make_page(context, fact, locus)
        is_new = out.put(page)
        notes.append(f"open it in a browser: file://{out.path}")
    if not fact.maps:
        notes.append(f"map it: kgp eqtl map --name {params.name} --mode permute --model {params.model}")
    tables = _list_tables(fact) if locus is None else [_list_pairs(locus)]
    return Report(
        "show_eqtl",
        is_new,
        said,
        details=_details(matrix, fact, locus),
        notes=notes,
        text="\n".join([*map(_align, tables), said, *notes]),
    )


def _describe(fact: MappingFact) -> str:
    return summarise(fact) if fact.maps else f"set {fact.name} is not mapped by model {fact.model}"


def _describe_locus(locus: LocusFact) -> str:
    return (
        f"{locus.label}: {count(locus.n_variants, 'variant')} tested, best {locus.variant_ids[locus.best]} at "
        f"{int(locus.pos[locus.best]) - locus.tss:+,} bp, slope {locus.slope:.4g} ± {locus.slope_se:.3g}, "
        f"p {tell_p(locus.neg_log10_p[locus.best])}"
    )


def _list_notes(
    context: Context, matrix: Mapping[str, Any], fact: MappingFact, locus: LocusFact | None
) -> list[str]:
    permuted = fact.of_mode("permute")
    notes = [
        f"mode {one.label}{told}" for one in fact.maps if one is not permuted and (told := tell_contigs(one))
    ]
    if permuted is not None:
        notes.append(f"permutation pass {permuted.map_id}: {tell_pass(permuted)}")
    if locus is not None and permuted is not None:
        notes.append(f"by permutation: {_tell_verdict(locus)}")
    if fact.credible is not None:
        notes.append(tell_credible(fact.credible))
    notes += map(tell_interaction, fact.interactions)
    if fact.trans is not None:
        notes.append(tell_trans(fact.trans))
    notes += tell_others(fact.others)
    if n := count_outdated(context, matrix):
        notes.append(f"{count(n, 'mapping')} of earlier builds of the set, not shown: eqtl_maps has them")
    return notes


def _tell_verdict(locus: LocusFact) -> str:
    if locus.judged is None:
        return f"{locus.label} has no row in eqtl_top: it was not judged"
    return f"{tell_judged(locus.judged)}: {'an eGene' if locus.judged.is_egene else 'no eGene'}"


def _list_tables(fact: MappingFact) -> list[Table]:
    columns = ("mode", "n_phenotypes", "n_pairs", "df", "seconds", "found")
    mapped = [(m.label, m.n_phenotypes, m.n_pairs, m.df, round(m.seconds, 1), _found(m)) for m in fact.maps]
    tables: list[Table] = [("", columns, mapped)] if mapped else []
    tables += [list_top(fact.top, MOST_TOP)] if fact.top is not None else []
    tables += list_signals(fact.signals) if fact.signals is not None else []
    tables += [list_credible(fact.credible)] if fact.credible is not None else []
    tables += map(list_interactions, fact.interactions)
    tables += [list_trans(fact.trans)] if fact.trans is not None else []
    return tables


def _list_pairs(locus: LocusFact) -> Table:
    """The strongest pairs of a phenotype."""
    order = sorted(range(locus.n_variants), key=lambda i: (-locus.neg_log10_p[i], locus.pos[i]))
    rows = [
        (locus.variant_ids[i], int(locus.pos[i]) - locus.tss, float(locus.neg_log10_p[i]), float(locus.r2[i]))
        for i in order[:MOST_TOP]
    ]
    return "", ("variant_id", "tss_distance", "neg_log10_p", "r2_with_best"), rows


def _align(one: Table) -> str:
    """A table with its caption above, where it has one."""
    caption, columns, rows = one
    text = align(columns, rows, max_width=120)
    return f"{caption}:\n{text}" if caption else text


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
                "parameters": dict(one.parameters),
                "figures": dict(one.figures),
                "dropped": dict(one.dropped),
            }
            for one in fact.maps
        ],
        "other_maps": {mode: list(ids) for mode, ids in fact.others.items()},
    }
    details |= _further_details(fact)
    if locus is not None:
        details["locus"] = {
            "phenotype_id": locus.phenotype_id,
            "variant_id": locus.variant_ids[locus.best],
            "n_variants": locus.n_variants,
            "slope": locus.slope,
            "slope_se": locus.slope_se,
            "neg_log10_p": float(locus.neg_log10_p[locus.best]),
            "p_threshold": locus.p_threshold,
            "group_id": None if locus.judged is None else locus.judged.group_id,
            "n_phenotypes": None if locus.judged is None else locus.judged.n_phenotypes,
            "neg_log10_p_beta": None if locus.judged is None else locus.judged.neg_log10_p_beta,
            "q_value": None if locus.judged is None else locus.judged.q_value,
            "is_egene": None if locus.judged is None else locus.judged.is_egene,
        }
    return details


def _further_details(fact: MappingFact) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if fact.nominal is not None:
        details["inflation"] = fact.nominal.inflation
    if fact.signals is not None:
        details["n_signals"] = {str(n): n_egenes for n, n_egenes in fact.signals.n_with.items()}
    if (credible := fact.credible) is not None:
        details["credible_sets"] = {
            "n_sets": credible.n_sets,
            "n_phenotypes": credible.n_phenotypes,
            "n_single": credible.n_single,
            "median_size": credible.median_size,
            "strongest": [dict(row) for row in credible.strongest],
        }
    details["interactions"] = [
        {
            "covariate": found.covariate,
            "n_phenotypes": found.n_phenotypes,
            "n_significant": found.n_significant,
            "inflation": found.quantiles.inflation,
            "best": [dict(row) for row in found.best],
        }
        for found in fact.interactions
    ]
    if (trans := fact.trans) is not None:
        details["trans"] = {
            "n_kept": trans.n_kept,
            "n_expected": trans.n_expected,
            "strongest": [dict(row) for row in trans.strongest],
        }
    return details


def _make_page(context: Context, fact: MappingFact, locus: LocusFact | None) -> str:
    if locus is not None:
        name, title, said = "locus", locus.label, _describe_locus(locus)
        blocks = describe_locus(locus, "gene")
    else:
        name, title, said = "mapping", f"Model {fact.model}", upper_first(_describe(fact))
        blocks = draw_mapping(fact, "set")
    versions = [(table.name, context.version(table)) for table in SHOW_EQTL.reads]
    queries = [f"SELECT * FROM eqtl_maps WHERE map_id = '{one.map_id}'" for one in fact.maps]
    told = source([(table, version) for table, version in versions if version is not None], (), queries)
    section = Section(name, title, f"{said}.", tuple(blocks), told)
    return make_html(
        f"eQTLs of set {fact.name}", place_of(context.uri), kgp.__version__, "kgp eqtl show", [section]
    )


SHOW_EQTL = Job(
    name="show_eqtl",
    summary="Show what mapping found for a set, or for one gene.",
    params=EqtlShow,
    reads=(EQTL_MATRICES, EQTL_PHENOTYPES, EQTL_GENOTYPES, *MAPPED, PHENOTYPES, SAMPLES),
    writes=(),
    run=run,
)
