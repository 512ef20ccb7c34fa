"""Sections on people: populations, what callsets and datasets have in common, and where sources differ."""

from __future__ import annotations

from collections import Counter

from kgp.amounts import count
from kgp.report.facts import Facts
from kgp.report.figures_people import MOST_INTERSECTIONS, draw_overlap, draw_populations
from kgp.report.markup import Section, figure, missing, side_by_side, source, table
from kgp.report.sections_lake import command, versions_of
from kgp.report.style import to_svg


def describe_people(facts: Facts) -> Section:
    """Samples by population."""
    n_people = sum(one.n_people for one in facts.populations)
    if not n_people:
        told = missing("Nobody is in the table samples.", command(facts, "load samples --panel FILE"))
        return Section("people", "People", "Nothing is known of any person.", (told,))
    known = [one for one in facts.populations if one.population is not None]
    superpopulations = {one.superpopulation for one in known} - {None}
    n_female, n_male, n_unknown = (
        sum(getattr(one, name) for one in facts.populations) for name in ("n_female", "n_male", "n_unknown")
    )
    summary = (
        f"{count(n_people, 'person', 'people')} of {count(len({one.population for one in known}), 'population')} and "
        f"{count(len(superpopulations), 'superpopulation')}: {n_female:,} female, {n_male:,} male, "
        f"{n_unknown:,} of unknown sex."
    )
    svg = to_svg(draw_populations(facts.populations), "people-figure", "People by population", summary)
    rows = [
        (one.superpopulation, one.population, one.name, one.n_people, one.n_female, one.n_male, one.n_unknown)
        for one in facts.populations
    ]
    headers = ("superpopulation", "population", "name", "people", "female", "male", "sex not known")
    told = source(
        versions_of(facts, "samples", "populations"),
        (),
        [
            "SELECT superpopulation, population, sex, count(*) AS people FROM samples GROUP BY ALL ORDER BY ALL"
        ],
    )
    caption = "People by population, coloured by superpopulation; all figures of people use these colours."
    listed = table("People by population", headers, rows, is_folded=False)
    blocks = (side_by_side([figure(svg, caption)]), listed)
    return Section("people", "People", summary, blocks, told)


def describe_overlap(facts: Facts) -> Section:
    """Which people callsets and expression datasets have in common."""
    overlap = facts.overlap
    title = "Overlap of callsets and datasets"
    if not overlap.sets:
        lacks = "No callset and no expression dataset is loaded."
        told = missing(lacks, command(facts, "load variants --callset NAME --build BUILD FILE.vcf.gz"))
        return Section("overlap", title, "There is nothing to compare yet.", (told,))
    in_all = next((n for flags, n in overlap.intersections if all(flags)), 0)
    n_any = sum(n for _, n in overlap.intersections)
    summary = (
        f"{count(n_any, 'person is', 'people are')} in at least one of {count(len(overlap.sets), 'set')}"
        + (f", {in_all:,} in all of them" if len(overlap.sets) > 1 else "")
        + f"; {overlap.n_outside:,} of the known people are in none."
    )
    svg = to_svg(draw_overlap(overlap), "overlap-figure", "People by the sets that they are in", summary)
    caption = (
        "UpSet plot: a row is a combination of sets, its bar the people who are in exactly these sets and no other. "
        "Above the columns: all people of a set."
    )
    if (n_all := len(overlap.intersections)) > MOST_INTERSECTIONS:
        caption += f" The {MOST_INTERSECTIONS} largest of {n_all:,} combinations; the table has all."
    sizes = [(name, kind, n) for (name, kind), n in zip(overlap.sets, overlap.sizes, strict=True)]
    rows = [
        (", ".join(name for (name, _), flag in zip(overlap.sets, flags, strict=True) if flag), sum(flags), n)
        for flags, n in overlap.intersections
    ]
    rows.append(("none", 0, overlap.n_outside))
    queries = []
    if versions_of(facts, "samples"):
        listed = "SELECT unnest(callsets) AS name, sample_id FROM samples"
        queries = [f"SELECT name, count(*) AS people FROM ({listed}) GROUP BY name ORDER BY people DESC"]
    if versions_of(facts, "runs"):
        queries.append("SELECT dataset, count(DISTINCT sample_id) AS people FROM runs GROUP BY dataset")
    told = source(versions_of(facts, "samples", "callset_samples", "runs"), (), queries)
    blocks = (
        side_by_side(
            [figure(svg, caption), table("Sets", ("set", "kind", "people"), sizes, is_folded=False)]
        ),
        table("People in exactly these sets", ("sets", "how many sets", "people"), rows),
    )
    return Section("overlap", title, summary, blocks, told)


def describe_conflicts(facts: Facts) -> Section:
    """Where sources differ in a person."""
    title = "Sample conflicts"
    told = source(
        versions_of(facts, "sample_conflicts"),
        (),
        ["SELECT * FROM sample_conflicts"] if versions_of(facts, "sample_conflicts") else (),
    )
    if not facts.conflicts:
        return Section("conflicts", title, "No two sources differ in what they say of a person.", (), told)
    n_people = len({one.sample_id for one in facts.conflicts})
    by_field = Counter(one.field for one in facts.conflicts)
    fields = ", ".join(
        f"{field} {n:,}" for field, n in sorted(by_field.items(), key=lambda one: (-one[1], one[0]))
    )
    summary = (
        f"Sources differ {count(len(facts.conflicts), 'time')} in what they say of "
        f"{count(n_people, 'person', 'people')} ({fields}). The word of the source of higher authority is kept."
    )
    rows = [
        (one.sample_id, one.field, one.kept, one.kept_from, one.other, one.other_from)
        for one in facts.conflicts
    ]
    headers = ("person", "field", "kept", "from", "other", "from")
    return Section("conflicts", title, summary, (table("Where sources differ", headers, rows),), told)
