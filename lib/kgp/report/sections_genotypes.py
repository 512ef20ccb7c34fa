"""Sections on genotypes: components of each callset, and allele frequency spectra."""

from __future__ import annotations

from kgp.amounts import count
from kgp.report.facts import Facts, GenotypeFact, SpectrumFact
from kgp.report.figures_genotypes import draw_components, draw_spectrum
from kgp.report.markup import Section, figure, heading, missing, note, side_by_side, source, table
from kgp.report.sections_lake import command, versions_of
from kgp.report.spectrum import BINS
from kgp.report.style import CATEGORIES, SUPERPOPULATION_COLOURS, to_svg

_CLASS_COLOURS = (CATEGORIES[0], CATEGORIES[4], CATEGORIES[5])


def describe_genotypes(facts: Facts) -> Section:
    """Principal components of the genotypes of each callset."""
    title = "Genotype components"
    if not facts.genotypes:
        return Section("genotypes", title, "No callset is loaded.", (_no_callset(facts),))
    done = [one for one in facts.genotypes if one.points is not None]
    summary = (
        "Principal components of the genotypes: whom they set apart, coloured by superpopulation."
        if done
        else "No callset has what principal components can be computed from."
    )
    blocks: list[str] = []
    for number, fact in enumerate(facts.genotypes, start=1):
        blocks.append(heading(f"Callset {fact.callset}"))
        blocks += _components(facts, fact, f"genotypes-{number}")
    return Section("genotypes", title, summary, tuple(blocks))


def describe_frequencies(facts: Facts) -> Section:
    """Allele frequency spectra."""
    title = "Allele frequencies"
    if not facts.spectra:
        return Section("frequencies", title, "No callset is loaded.", (_no_callset(facts),))
    n_alleles = sum(one.n_alleles for one in facts.spectra)
    summary = f"{count(n_alleles, 'ALT allele')} of {count(len(facts.spectra), 'callset')} by minor allele frequency."
    blocks: list[str] = []
    for number, fact in enumerate(facts.spectra, start=1):
        blocks.append(heading(f"Callset {fact.callset}"))
        blocks += _spectrum(facts, fact, f"frequencies-{number}")
    return Section("frequencies", title, summary, tuple(blocks))


def _components(facts: Facts, fact: GenotypeFact, name: str) -> list[str]:
    if fact.points is None:
        return [note(f"There are no components of callset {fact.callset}: {fact.why_not}.")]
    points = fact.points
    spacing = "" if fact.spacing is None else f", with a median distance of {fact.spacing:,} bp"
    contigs = f"contig{'s' * (len(fact.contigs) > 1)} {', '.join(fact.contigs)}"
    method = (
        f"{count(len(points.names), 'person', 'people')}, relatives among them included; {fact.n_variants:,} of "
        f"{fact.n_eligible:,} biallelic SNVs of autosomes with a minor allele frequency of 5 % or more, spread "
        f"evenly{spacing}, on {contigs}; read from "
        f"{fact.n_stretches:,} of the {fact.n_stretches_all:,} stretches of the table that have such variants. "
        "Genotypes are standardised by allele frequency (Patterson et al. 2006), missing ones taken as the mean. "
        "Variants in linkage disequilibrium are not pruned: within one region, components may follow its haplotypes."
    )
    if fact.n_other_length:
        method += f" {count(fact.n_other_length, 'variant')} left out: genotypes of another number of people."
    svgs = []
    n_components = points.scores.shape[1]
    for first, second in ((0, 1), (2, 3)):
        if second < n_components:
            title = f"Genotype components {first + 1} and {second + 1} of callset {fact.callset}"
            drawn = draw_components(points, first, second)
            svg = to_svg(drawn, f"{name}-{first + 1}", title, method)
            svgs.append(figure(svg, f"Components {first + 1} and {second + 1}."))
    rows = [
        (person, superpopulation, population, *map(float, scores))
        for person, superpopulation, population, scores in zip(
            points.names, points.superpopulations, points.populations, points.scores, strict=True
        )
    ]
    headers = (
        "person",
        "superpopulation",
        "population",
        *(f"component {n + 1}" for n in range(n_components)),
    )
    explained = [(n + 1, 100 * part) for n, part in enumerate(points.variance_explained)]
    query = (
        f"SELECT count(*) AS variants FROM variants WHERE callset = '{_quoted(fact.callset)}' AND n_alts = 1"
    )
    return [
        note(method),
        side_by_side(svgs),
        table("Variance explained", ("component", "%"), explained),
        table("Scores", headers, rows),
        source(versions_of(facts, "variants", "callset_samples", "samples"), fact.load_ids, [query]),
    ]


def _spectrum(facts: Facts, fact: SpectrumFact, name: str) -> list[str]:
    if not fact.n_alleles and not fact.by_group:
        told = f"No allele of callset {fact.callset} has a called genotype"
        return [note(f"{told}: {count(fact.n_uncounted, 'allele')} without a frequency.")]
    uncounted = f" {fact.n_uncounted:,} have no called genotype." if fact.n_uncounted else ""
    n_monomorphic = sum(counts[0] for counts in fact.by_class.values())
    said = (
        f"{count(fact.n_alleles, 'ALT allele')} in {count(fact.n_samples, 'person', 'people')}: "
        + ", ".join(f"{sum(counts):,} {kind}" for kind, counts in fact.by_class.items())
        + f"; {n_monomorphic:,} of them do not vary among these people.{uncounted}"
    )
    blocks = [note(said)]
    figures = []
    if any(sum(counts[1:]) for counts in fact.by_class.values()):
        svg = to_svg(
            draw_spectrum(fact.by_class, _CLASS_COLOURS),
            f"{name}-class",
            f"Allele frequency spectrum of callset {fact.callset} by class of variant",
            said,
        )
        figures.append(figure(svg, "By class of variant, in all people; polymorphic alleles in brackets."))
    groups = {one.group.partition(":")[2]: one for one in fact.by_group}
    if any(sum(one.counts[1:]) for one in groups.values()):
        colours = [SUPERPOPULATION_COLOURS.get(group, "#888888") for group in groups]
        svg = to_svg(
            draw_spectrum({group: one.counts for group, one in groups.items()}, colours),
            f"{name}-group",
            f"Allele frequency spectrum of callset {fact.callset} by superpopulation",
            "Minor allele frequencies among the people of each superpopulation.",
        )
        caption = (
            "By superpopulation, among its own people; polymorphic alleles in brackets. A copy is worth "
            "1 / (2 × people): groups of unlike size are unlike in their rarest alleles for that alone."
        )
        figures.append(figure(svg, caption))
    blocks.append(side_by_side(figures))
    rows: list[tuple[str, int | None, str, *tuple[int, ...]]] = []
    rows += [(f"all: {kind}", fact.n_samples, "", *counts) for kind, counts in fact.by_class.items()]
    rows += [(group, g.n_samples, "stale" if g.is_stale else "", *g.counts) for group, g in groups.items()]
    blocks.append(table("Alleles by minor allele frequency", ("alleles of", "people", "state", *BINS), rows))
    if not groups:
        command_line = command(facts, f"stats --callset {fact.callset} --by superpopulation")
        blocks.append(missing("Frequencies by superpopulation are not computed.", command_line))
    elif stale := [group for group, one in groups.items() if one.is_stale]:
        told = f"Stale, for the people or the loads have changed since: {', '.join(stale)}."
        blocks.append(missing(told, command(facts, f"stats --callset {fact.callset}")))
    queries = [
        "SELECT count(*) FILTER (least(ac, an - ac) = 1) AS singletons, count(*) AS alleles FROM variants "
        f"WHERE callset = '{_quoted(fact.callset)}' AND an > 0 AND alt_index > 0"
    ]
    tables = versions_of(facts, "variants", "statistics", "allele_statistics")
    return [*blocks, source(tables, fact.load_ids, queries)]


def _no_callset(facts: Facts) -> str:
    return missing(
        "There are no genotypes.", command(facts, "load variants --callset NAME --build BUILD FILE.vcf.gz")
    )


def _quoted(text: str) -> str:
    return text.replace("'", "''")
