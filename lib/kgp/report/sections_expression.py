"""Sections on expression: runs and whose they are, components, and what stands apart."""

from __future__ import annotations

from kgp.amounts import count, some
from kgp.report.facts import Facts, QualityFact
from kgp.report.figures_expression import draw_by_lab, draw_by_origin, draw_d_statistics, draw_sex
from kgp.report.markup import Section, figure, heading, missing, note, side_by_side, source, table
from kgp.report.sections_lake import command, versions_of
from kgp.report.style import to_svg


def describe_runs(facts: Facts) -> Section:
    """Datasets: their runs, whose they are, and the tables of values."""
    title = "Expression datasets"
    if not facts.runs:
        told = missing("There are no runs.", command(facts, "load expression --dataset ACC --matrix FILE"))
        return Section("expression", title, "No expression dataset is loaded.", (told,))
    n_runs, n_nobody = sum(one.n_runs for one in facts.runs), len(facts.nobody)
    whose = f"{n_nobody:,} of them belong to nobody" if n_nobody else "each of them belongs to somebody"
    summary = (
        f"{count(n_runs, 'run or array', 'runs and arrays')} of {count(len(facts.runs), 'dataset')}; {whose}."
    )
    rows = [(o.dataset, o.n_runs, o.n_people, sum(o.problems.values()), len(o.labs)) for o in facts.runs]
    blocks = [table("Runs by dataset", ("dataset", "runs", "people", "runs of nobody", "laboratories"), rows)]
    if facts.quantifications:
        blocks.append(
            table(
                "Released tables of values",
                ("dataset", "table", "of", "unit", "processing", "build", "annotation", "phenotypes", "runs"),
                [
                    (
                        q.dataset, q.quantification, q.kind, q.unit, q.processing, q.build, q.annotation,
                        q.n_phenotypes, q.n_runs,
                    )
                    for q in facts.quantifications
                ],
            )
        )  # fmt: skip
    else:
        load = command(facts, "load expression --dataset ACC --matrix FILE")
        blocks.append(missing("There are no values: only runs are loaded.", load))
    if facts.nobody:
        problems = [(one.dataset, why, n) for one in facts.runs for why, n in one.problems.items()]
        listed = [(one.dataset, one.run_id, one.person_text, one.problem) for one in facts.nobody]
        blocks += [
            heading("Runs of nobody"),
            table("Why nobody is named", ("dataset", "why", "runs"), problems),
            table("Runs of nobody", ("dataset", "run", "person, as the source writes it", "why"), listed),
        ]
    queries = [
        "SELECT dataset, count(*) AS runs, count(DISTINCT sample_id) AS people, "
        "count(*) FILTER (sample_id IS NULL) AS of_nobody FROM runs GROUP BY dataset ORDER BY dataset"
    ]
    told = source(
        versions_of(facts, "runs", "quantifications"), [one.load_id for one in facts.quantifications], queries
    )
    return Section("expression", title, summary, tuple(blocks), told)


def describe_components(facts: Facts) -> Section:
    """Principal components of expression."""
    title = "Expression components"
    if not facts.quality:
        return Section("components", title, "No components are computed.", (_no_quality(facts),))
    summary = (
        f"Principal components of {count(len(facts.quality), 'table')} of values. What separates here is as likely to "
        "be a laboratory as an origin: both are shown."
    )
    blocks: list[str] = []
    for number, fact in enumerate(facts.quality, start=1):
        blocks += [heading(_name(fact)), *_components(fact, f"components-{number}")]
    query = "SELECT dataset, quantification, run_id, components, variance_explained FROM expression_quality"
    loads = sorted({load_id for fact in facts.quality for load_id in fact.load_ids})
    return Section(
        "components",
        title,
        summary,
        tuple(blocks),
        source(versions_of(facts, "expression_quality"), loads, [query]),
    )


def describe_quality(facts: Facts) -> Section:
    """Runs that stand apart, by name."""
    title = "Expression quality"
    if not facts.quality:
        return Section("quality", title, "No quality is computed.", (_no_quality(facts),))
    n_runs = sum(len(fact.run_ids) for fact in facts.quality)
    n_flagged = sum(any(flags) for fact in facts.quality for flags in fact.flags)
    summary = (
        f"{n_flagged:,} of {count(n_runs, 'run')} of {count(len(facts.quality), 'table')} of values are flagged. "
        "A flag asks for a look, and is no verdict: good runs, too, lie farther below the median correlation than "
        "above it."
    )
    blocks: list[str] = []
    for number, fact in enumerate(facts.quality, start=1):
        blocks += [heading(_name(fact)), *_quality(fact, f"quality-{number}")]
    query = (
        "SELECT dataset, quantification, run_id, sample_id, flags, d_statistic, sex_stated, sex_inferred "
        "FROM expression_quality WHERE len(flags) > 0"
    )
    loads = sorted({load_id for fact in facts.quality for load_id in fact.load_ids})
    told = source(versions_of(facts, "expression_quality"), loads, [query])
    return Section("quality", title, summary, tuple(blocks), told)


def _components(fact: QualityFact, name: str) -> list[str]:
    points = fact.points
    said = f"{count(len(fact.run_ids), 'run')}, {count(fact.n_phenotypes, 'phenotype')}."
    if points.scores.shape[1] < 2:
        return [note(f"{said} There are fewer than two components.")]
    title = f"Expression components 1 and 2 of {_name(fact)}"
    svg = to_svg(draw_by_origin(fact), f"{name}-origin", f"{title}, by population", said)
    figures = [figure(svg, "By population, coloured by superpopulation; runs that stand apart are ringed.")]
    if len({lab for lab in fact.labs if lab is not None}) > 1:
        svg = to_svg(draw_by_lab(points, fact.labs), f"{name}-lab", f"{title}, by laboratory", said)
        figures.append(figure(svg, "The same runs by laboratory."))
    explained = [(n + 1, 100 * part) for n, part in enumerate(points.variance_explained)]
    return [note(said), side_by_side(figures), table("Variance explained", ("component", "%"), explained)]


def _quality(fact: QualityFact, name: str) -> list[str]:
    flagged = [i for i, flags in enumerate(fact.flags) if flags]
    by_flag: dict[str, list[str]] = {}
    for i in flagged:
        for flag in fact.flags[i]:
            by_flag.setdefault(flag, []).append(fact.points.names[i])
    said = f"{len(flagged):,} of {count(len(fact.run_ids), 'run')} are flagged"
    said += "".join(
        f"; {flag.replace('_', ' ')}: {some(names, 8)}" for flag, names in sorted(by_flag.items())
    )
    title = f"D-statistic of {_name(fact)}"
    figures = [
        figure(
            to_svg(draw_d_statistics(fact), f"{name}-d", title, f"{said}."),
            "D-statistic by population; runs of low correlation are ringed.",
        )
    ]
    blocks = [note(f"{said}.")]
    if any(x == x and y == y for x, y in zip(fact.xist, fact.y_expression, strict=True)):
        svg = to_svg(draw_sex(fact), f"{name}-sex", f"Sex by expression in {_name(fact)}", f"{said}.")
        n_told = sum(sex is not None for sex in fact.sex_inferred)
        caption = (
            f"XIST and genes of Y, by stated sex: sex inferred of {count(n_told, 'run')}, undecided of "
            f"{len(fact.run_ids) - n_told:,}; runs of another sex than stated are ringed."
        )
        figures.append(figure(svg, caption))
    else:
        blocks.append(note("Sex could not be checked: XIST or genes of Y are not among the phenotypes."))
    blocks.append(side_by_side(figures))
    if flagged:
        rows = [
            (
                fact.points.names[i], fact.run_ids[i], fact.points.populations[i], fact.labs[i],
                ", ".join(fact.flags[i]), float(fact.d_statistics[i]), float(fact.d_scores[i]), fact.sex_stated[i],
                fact.sex_inferred[i], float(fact.xist[i]), float(fact.y_expression[i]), fact.n_expressed[i],
            )
            for i in flagged
        ]  # fmt: skip
        headers = (
            "person", "run", "population", "laboratory", "flags", "D-statistic", "scaled MADs from median",
            "sex stated", "sex inferred", "XIST", "Y", "phenotypes above 0",
        )  # fmt: skip
        blocks.append(table("Flagged runs", headers, rows))
    return blocks


def _no_quality(facts: Facts) -> str:
    if not facts.runs:
        return missing(
            "No expression dataset is loaded.", command(facts, "load expression --dataset ACC --matrix FILE")
        )
    return missing(
        "The runs have not been compared.", command(facts, f"quality --dataset {facts.runs[0].dataset}")
    )


def _name(fact: QualityFact) -> str:
    return f"{fact.dataset}: {fact.quantification}"
