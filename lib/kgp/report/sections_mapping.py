"""Sections on mappings: what was found for a set as a whole, and one gene's locus."""

from __future__ import annotations

from collections.abc import Iterator

from kgp.amounts import count
from kgp.report.facts import Facts
from kgp.report.facts_mapping import LocusFact, MapFact, MappingFact, TopFact
from kgp.report.figures_mapping import (
    draw_boxes,
    draw_distances,
    draw_locus,
    draw_p_values,
    draw_quantiles,
    group_by_copies,
)
from kgp.report.markup import Section, figure, heading, missing, note, side_by_side, source, table
from kgp.report.sections_lake import command, versions_of
from kgp.report.style import to_svg

MOST_TOP = 20


def describe_mappings(facts: Facts) -> Section:
    """What was mapped, of all sets."""
    title = "eQTLs"
    found = [one for one in facts.mappings if one.maps]
    if not found:
        map_it = command(facts, "eqtl map --name NAME --mode permute")
        return Section("mapping", title, "No set is mapped.", (missing("There is no mapping.", map_it),))
    said = "; ".join(summarise(one) for one in found)
    blocks: list[str] = []
    for number, fact in enumerate(found, start=1):
        blocks += [heading(f"Set {fact.name}, model {fact.model}"), *draw_mapping(fact, f"mapping-{number}")]
        queries = [f"SELECT * FROM eqtl_maps WHERE map_id = '{one.map_id}'" for one in fact.maps]
        blocks.append(source(versions_of(facts, "eqtl_maps", "eqtl_top", "eqtl_nominal"), (), queries))
    return Section("mapping", title, said[0].upper() + said[1:] + ".", tuple(blocks))


def summarise(fact: MappingFact) -> str:
    """A mapping in one sentence without its full stop."""
    permuted, nominal = fact.of_mode("permute"), fact.of_mode("nominal")
    parts = []
    if fact.top is not None and permuted is not None:
        noun = "group" if permuted.parameters.get("grouped") == "true" else "phenotype"
        parts.append(
            f"{fact.top.n_egenes:,} of {count(fact.top.p_beta.size, noun)} with a significant variant at FDR "
            f"{float(permuted.parameters.get('fdr', 'nan')):g}"
        )
    if nominal is not None:
        parts.append(f"{count(nominal.n_pairs, 'pair')} tested")
    parts += [f"mode {one.mode} mapped" for one in fact.maps if one.mode not in ("permute", "nominal")]
    return f"set {fact.name} ({fact.model}): {', '.join(parts)}"


def draw_mapping(fact: MappingFact, name: str) -> list[str]:
    """Tables and figures of a set's mappings by one model."""
    figures = [*_draw_quantiles(fact, name), *_draw_top(fact, name)]
    blocks = [*(note(_sentence(one)) for one in fact.maps), side_by_side(figures)]
    if fact.top is not None:
        blocks.append(_table_of_top(fact.top))
    return [*blocks, _table_of_dropped(fact)]


def _draw_quantiles(fact: MappingFact, name: str) -> Iterator[str]:
    passes = {
        "all pairs": fact.nominal,
        "best of each phenotype, by permutation": None if fact.top is None else fact.top.p_quantiles,
    }
    series = {label: one for label, one in passes.items() if one is not None and one.n}
    if series:
        told = " ".join(
            f"{label}: {one.n:,} p-values, the smallest 10^-{one.observed.max():.1f}."
            for label, one in series.items()
        )
        title = f"p-values of set {fact.name} against a uniform distribution"
        svg = to_svg(draw_quantiles(series), f"{name}-qq", title, told)
        yield figure(
            svg, "Observed against expected p-values. Where nothing is associated, points lie on the line."
        )


def _draw_top(fact: MappingFact, name: str) -> Iterator[str]:
    top, permuted = fact.top, fact.of_mode("permute")
    if top is None or permuted is None or not top.p_beta.size:
        return
    told = f"{top.p_beta.size:,} phenotypes, {int((top.p_beta < 0.05).sum()):,} with p below 0.05."
    drawn = draw_p_values(top.p_beta, permuted.figures.get("pi0"))
    svg = to_svg(drawn, f"{name}-p", f"p-values of the permutation pass of set {fact.name}", told)
    yield figure(svg, "p of each phenotype's best variant, by permutation.")
    if top.n_egenes:
        near = int((abs(top.distances[top.is_egene]) <= 100_000).sum())
        told = f"{top.n_egenes:,} significant phenotypes, {near:,} with the best variant within 100 kb of the TSS."
        svg = to_svg(
            draw_distances(top), f"{name}-tss", f"Where the best variants of set {fact.name} lie", told
        )
        yield figure(svg, "Best variants of significant phenotypes, by their distance from the TSS.")


def describe_locus(locus: LocusFact, name: str) -> list[str]:
    """One phenotype: its locus and its boxes."""
    groups = group_by_copies(locus)
    p = f"{locus.p_value:.3g}" if locus.p_value > 0 else f"10^-{locus.neg_log10_p[locus.best]:.1f}"
    svg = to_svg(
        draw_locus(locus),
        f"{name}-locus",
        f"Association of {locus.label} with the variants near it",
        f"{locus.n_variants:,} variants; the best is {locus.variant_ids[locus.best]}, p {p}, "
        f"{locus.pos[locus.best] - locus.tss:,} bp from the TSS.",
    )
    boxes = to_svg(
        draw_boxes(locus),
        f"{name}-boxes",
        f"{locus.label} by genotype of {locus.variant_ids[locus.best]}",
        " ".join(f"{copies} copies of ALT: {values.size:,} people." for copies, values in groups),
    )
    best = locus.variant_ids[locus.best]
    said = f"{locus.label}: −log10 p of {count(locus.n_variants, 'variant')}; colours are r² with the best."
    shown = "The phenotype as it is mapped, not corrected for covariates, by genotype of the best variant."
    return [
        side_by_side([figure(svg, said), figure(boxes, shown)]),
        note(f"Best variant {best}: slope {locus.slope:.4g} ± {locus.slope_se:.3g} a copy of ALT, p {p}."),
    ]


def _sentence(one: MapFact) -> str:
    figures = ", ".join(f"{name.replace('_', ' ')} {value:.6g}" for name, value in one.figures.items())
    said = (
        f"Mode {one.mode}: {count(one.n_phenotypes, 'phenotype')}, {count(one.n_pairs, 'pair')}, "
        f"{one.n_samples:,} people, {one.df:,} degrees of freedom, {one.seconds:,.0f} s, {one.mapped_at:%Y-%m-%d}"
    )
    return f"{said}; {figures}." if figures else f"{said}."


def _table_of_top(top: TopFact) -> str:
    rows = list(
        zip(
            top.phenotype_ids[:MOST_TOP],
            top.variant_ids,
            top.distances.tolist(),
            top.slopes.tolist(),
            top.p_beta.tolist(),
            top.q_values.tolist(),
            strict=False,
        )
    )
    headers = ("phenotype", "best variant", "bp from TSS", "slope", "p (beta)", "q")
    return table(f"The {len(rows)} strongest phenotypes", headers, rows)


def _table_of_dropped(fact: MappingFact) -> str:
    rows = [(one.mode, reason, n) for one in fact.maps for reason, n in sorted(one.dropped.items())]
    return table("What was not tested", ("mode", "reason", "number"), rows) if rows else ""
