"""The section on matrix sets: what each holds, and what was left out at each step."""

from __future__ import annotations

from collections import Counter

from kgp.amounts import count
from kgp.report.facts import Facts, MatrixFact
from kgp.report.figures_steps import draw_steps
from kgp.report.markup import Section, figure, heading, missing, note, side_by_side, source, table
from kgp.report.sections_lake import command, versions_of
from kgp.report.style import to_svg


def describe_matrices(facts: Facts) -> Section:
    """Matrix sets for eQTL mapping."""
    title = "eQTL matrix sets"
    if not facts.matrices:
        build = command(facts, "eqtl build --name NAME --callset NAME --dataset ACC")
        return Section("eqtl", title, "No matrix set is built.", (missing("There is no matrix set.", build),))
    names = ", ".join(one.name for one in facts.matrices)
    summary = (
        f"{count(len(facts.matrices), 'matrix set')} ({names}). What each step left out is counted: all of it, "
        "with its reason."
    )
    blocks: list[str] = []
    for number, fact in enumerate(facts.matrices, start=1):
        blocks += _set(facts, fact, f"eqtl-{number}")
    return Section("eqtl", title, summary, tuple(blocks))


def _set(facts: Facts, fact: MatrixFact, name: str) -> list[str]:
    said = (
        f"{count(fact.kept['people'], 'person', 'people')}, {count(fact.kept['phenotypes'], 'phenotype')}, "
        f"{count(fact.kept['variants'], 'variant')} and {count(fact.n_covariates, 'covariate')}, from callset "
        f"{fact.callset} and {_phenotypes_of(fact)} in {fact.build}, built {fact.built_at:%Y-%m-%d}."
    )
    figures, rows = [], []
    for kind, dropped in fact.dropped.items():
        kept = fact.kept[kind]
        svg = to_svg(
            draw_steps(kind, kept, dropped),
            f"{name}-{kind}",
            f"What was left out of the {kind} of matrix set {fact.name}",
            f"{kept + sum(dropped.values()):,} {kind}, of which {kept:,} are in the set. "
            + " ".join(f"{reason}: {n:,}." for reason, n in dropped.items()),
        )
        figures.append(figure(svg, f"{kind.capitalize()}: what each reason took away."))
        rows += [(kind, reason, n) for reason, n in dropped.items()]
        rows.append((kind, "in the set", kept))
    rows += [("covariates", reason, n) for reason, n in fact.dropped_covariates.items()]
    rows.append(("covariates", "in the set", fact.n_covariates))
    blocks = [
        heading(f"Set {fact.name}"),
        note(said),
        side_by_side(figures),
        table("What was left out, and what is in the set", ("of", "reason", "number"), rows, is_folded=False),
    ]
    if fact.dropped_people:
        reasons = Counter(fact.dropped_people.values())
        ordered = sorted(fact.dropped_people.items(), key=lambda one: (reasons[one[1]], one[1], one[0]))
        blocks.append(table("People and runs left out", ("person or run", "reason"), ordered))
    quoted = fact.name.replace("'", "''")
    query = f"SELECT unnest(map_entries(dropped)) AS dropped FROM eqtl_matrices WHERE name = '{quoted}'"
    return [*blocks, source(versions_of(facts, "eqtl_matrices"), fact.load_ids, [query])]


def _phenotypes_of(fact: MatrixFact) -> str:
    return "a file of phenotypes" if fact.dataset is None else f"dataset {fact.dataset}"
