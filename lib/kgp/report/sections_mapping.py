"""The section on mappings: what was found for sets as a whole."""

from __future__ import annotations

from collections.abc import Iterator

from kgp.amounts import count, upper_first
from kgp.report.facts import Facts
from kgp.report.facts_mapping import MapFact, MappingFact, QuantileFact
from kgp.report.figures_mapping import draw_distances, draw_p_values, draw_quantiles
from kgp.report.mapping_words import (
    list_credible,
    list_interactions,
    list_signals,
    list_top,
    list_trans,
    noun_of,
    tell_credible,
    tell_figures,
    tell_interaction,
    tell_others,
    tell_pass,
    tell_trans,
)
from kgp.report.markup import Section, figure, heading, missing, note, side_by_side, source, table
from kgp.report.sections_lake import command, versions_of
from kgp.report.style import to_svg
from kgp.tables import (
    EQTL_CREDIBLE_SETS,
    EQTL_INDEPENDENT,
    EQTL_INTERACTION,
    EQTL_MAPS,
    EQTL_NOMINAL,
    EQTL_TOP,
    EQTL_TRANS,
)

MOST_TOP = 20
MAPPED = (
    EQTL_MAPS,
    EQTL_TOP,
    EQTL_NOMINAL,
    EQTL_INDEPENDENT,
    EQTL_CREDIBLE_SETS,
    EQTL_INTERACTION,
    EQTL_TRANS,
)


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
        blocks.append(source(versions_of(facts, *(table.name for table in MAPPED)), (), queries))
    return Section("mapping", title, f"{upper_first(said)}.", tuple(blocks))


def summarise(fact: MappingFact) -> str:
    """A mapping in one sentence without its full stop."""
    permuted, nominal = fact.of_mode("permute"), fact.of_mode("nominal")
    parts = []
    if fact.top is not None and permuted is not None:
        parts.append(
            f"{fact.top.n_egenes:,} of {count(fact.top.p_beta.size, noun_of(permuted))} with a significant variant "
            f"at FDR {float(permuted.parameters.get('fdr', 'nan')):g}"
        )
    if nominal is not None:
        parts.append(f"{count(nominal.n_pairs, 'pair')} tested")
    further = [one for one in fact.maps if one.mode not in ("permute", "nominal", "interaction")]
    parts += [_found_further(fact, one) for one in further]
    for found in fact.interactions:
        n = count(found.n_significant, "phenotype")
        parts.append(f"{n} with an interaction with {found.covariate} at q ≤ 0.05")
    return f"set {fact.name} ({fact.model}): {', '.join(parts)}"


def _found_further(fact: MappingFact, one: MapFact) -> str:
    if fact.signals is not None and one.mode == "independent":
        return count(fact.signals.n_signals, "independent signal")
    if fact.credible is not None and one.mode == "finemap":
        return count(fact.credible.n_sets, "credible set")
    if fact.trans is not None and one.mode == "trans":
        return count(fact.trans.n_kept, "trans pair")
    return f"mode {one.mode} mapped"


def draw_mapping(fact: MappingFact, name: str) -> list[str]:
    """Tables and figures of a set's mappings by one model.

    Args:
        fact: what was found.
        name: what the ids of its figures begin with.
    """
    figures = [*_draw_quantiles(fact, name), *_draw_top(fact, name)]
    blocks = [*(note(_sentence(one)) for one in fact.maps), side_by_side(figures)]
    if fact.top is not None:
        blocks.append(table(*list_top(fact.top, MOST_TOP)))
    dropped = _table_of_dropped(fact)
    further = [*_describe_further(fact), *(note(f"{one}.") for one in tell_others(fact.others))]
    return [*blocks, dropped, *further]


def _describe_further(fact: MappingFact) -> Iterator[str]:
    """The modes independent, finemap, interaction and trans."""
    if fact.signals is not None:
        yield from (table(*one) for one in list_signals(fact.signals))
    if fact.credible is not None:
        yield note(f"{tell_credible(fact.credible)}.")
        yield table(*list_credible(fact.credible))
    for one in fact.interactions:
        yield note(f"{tell_interaction(one)}.")
        yield table(*list_interactions(one))
    if fact.trans is not None:
        yield note(f"{tell_trans(fact.trans)}.")
        yield table(*list_trans(fact.trans))


def _draw_quantiles(fact: MappingFact, name: str) -> Iterator[str]:
    permuted = fact.of_mode("permute")
    passes: dict[str, QuantileFact] = {}
    if fact.nominal is not None:
        passes[f"all pairs, λ {fact.nominal.inflation:.2f}"] = fact.nominal
    if fact.top is not None and permuted is not None:
        passes[f"best of each {noun_of(permuted)}, by permutation"] = fact.top.p_quantiles
    for found in fact.interactions:
        label = f"interactions with {found.covariate}, λ {found.quantiles.inflation:.2f}"
        passes[label] = found.quantiles
    series = {label: one for label, one in passes.items() if one.n}
    if series:
        told = " ".join(
            f"{label}: {one.n:,} p-values, the smallest 10^-{one.observed.max():.1f}."
            for label, one in series.items()
        )
        title = f"p-values of set {fact.name} against a uniform distribution"
        n_band = None if fact.top is None or not fact.top.p_quantiles.n else fact.top.p_quantiles.n
        svg = to_svg(draw_quantiles(series, n_band), f"{name}-qq", title, told)
        said = (
            "Observed against expected p-values. Where nothing is associated, points lie on the line; λ is the "
            "median χ² by that of a uniform distribution, which signals raise, too."
        )
        if n_band is not None:
            said += f" The band holds 95 % of {n_band:,} independent p-values at each rank."
        yield figure(svg, said)


def _draw_top(fact: MappingFact, name: str) -> Iterator[str]:
    top, permuted = fact.top, fact.of_mode("permute")
    if top is None or permuted is None or not top.p_beta.size:
        return
    noun = noun_of(permuted)
    told = f"{count(top.p_beta.size, noun)}, {int((top.p_beta < 0.05).sum()):,} with p below 0.05."
    drawn = draw_p_values(top.p_beta, permuted.figures.get("pi0"), noun)
    svg = to_svg(drawn, f"{name}-p", f"p-values of the permutation pass of set {fact.name}", told)
    yield figure(svg, f"p of each {noun}'s best variant, by permutation.")
    if top.n_egenes:
        near = int((abs(top.distances[top.is_egene]) <= 100_000).sum())
        told = f"{count(top.n_egenes, f'significant {noun}')}, {near:,} with the best variant within 100 kb of the TSS."
        title = f"Where the best variants of set {fact.name} lie"
        window = int(permuted.parameters.get("cis_window", "0"))
        svg = to_svg(draw_distances(top, window or None, noun), f"{name}-tss", title, told)
        said = f"Best variants of the {count(top.n_egenes, f'significant {noun}')}, by their distance from the TSS."
        yield figure(svg, said)


def _sentence(one: MapFact) -> str:
    said = (
        f"Mode {one.label}: {count(one.n_phenotypes, 'phenotype')}, {count(one.n_pairs, 'pair')}, "
        f"{count(one.n_samples, 'person', 'people')}, {one.df:,} degrees of freedom, {one.seconds:,.0f}\u00a0s, "
        f"{one.mapped_at:%Y-%m-%d}"
    )
    if told := tell_pass(one):
        said += f"; {told}"
    return f"{said}; {tell_figures(one.figures)}." if one.figures else f"{said}."


def _table_of_dropped(fact: MappingFact) -> str:
    rows = [(one.label, reason, n) for one in fact.maps for reason, n in sorted(one.dropped.items())]
    return table("What was not tested", ("mode", "reason", "number"), rows) if rows else ""
