"""From the recorded runs of eQTL matrices and mapping to words, a table and a picture. Pure: a dict in, text out."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

from eqtl_goals import N_PERMUTATIONS, PARTS, Goal, Record, list_goals


def markdown(record: Record, picture: str) -> str:
    """docs/benchmarks/eqtl.md.

    Args:
        record: part → what was measured.
        picture: the picture's place, as the page names it.
    """
    goals = list_goals(record)
    n_met = sum(goal.met == "yes" for goal in goals)
    n_measured = sum(goal.value is not None for goal in goals)
    rows = [[goal.target.what, goal.target.wanted, goal.measured, goal.met, goal.figures] for goal in goals]
    parts = [
        [f"`tests/benchmarks/{PARTS[name]}`", part["measured_at"], f"{part['load']:.2f}", str(part["runs"])]
        for name, part in record.items()
    ]
    lines = [
        "# How fast eQTL matrices and mappings are made",
        "",
        "Written by `make bench-eqtl`, which is the last step of `make bench`; do not edit. The runs themselves are in",
        "[eqtl.json](eqtl.json).",
        "",
        f"{n_met} of {len(goals)} targets are met, {n_measured} were measured.",
        "",
        f"![How far each target is reached, as bars]({picture})",
        "",
        *_table(["", "target", "measured", "met", "medians of the runs"], rows),
        "",
        "The starts of Spark's JVM and of Python are in no figure. kgp's seconds go from a job's start to its end:",
        "reading the set's tables, planning, all columns, the commit and the ledger's row.",
        "",
        "## The data",
        "",
        *_list_data(record),
        "",
        "## How each was measured",
        "",
        *(f"- *{goal.target.what}*: {goal.target.how}" for goal in goals),
        "",
        "## Equal answers",
        "",
        "Asserted in the same runs; where one differs, the program stops and writes nothing.",
        "",
        *_list_equal(record),
        "",
        "## When and where",
        "",
        "The load average is of the minute before a script's first run; that of the second and third has the script",
        "before in it.",
        "",
        *_table(["measured by", "at", "load average", "runs"], parts),
        "",
        *_table(["", ""], _list_facts(record)),
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def _list_data(record: Record) -> list[str]:
    found = []
    if "kgp" in (part := record.get("mapping", {})):
        found.append(
            f"- mapped: the example of QTLtools (Debian package qtltools-example), {part['samples']:,} people of "
            f"Geuvadis, {part['genes']:,} genes of chr22, {part['variants']:,} variants, {part['pairs']:,} pairs "
            f"({part['wide pairs']:,} in windows of 5 Mb), {part['covariates']:,} covariates; "
            f"{part['permutations']:,} permutations"
            + (
                "."
                if part["permutations"] == N_PERMUTATIONS
                else f": the targets are for {N_PERMUTATIONS:,}."
            )
        )
        found += [
            f"- {peer} permuted {part[peer]['answers']['genes compared']:,} of the genes, "
            f"{part[peer]['share of pairs']:.1%} of the pairs."
            for peer in ("QTLtools", "tensorQTL")
            if peer in part
        ]
    if "people" in (part := record.get("matrices", {})):
        people = " and ".join(f"{int(n):,}" for n in part["people"])
        found.append(
            f"- matrices: a made-up contig of {part['rows']:,} variants and {part['samples']:,} people "
            f"(tests/benchmarks/make_vcf.py); {people} of them are taken, on {part['cores']} cores."
        )
    if "seconds" in (part := record.get("subset", {})):
        found.append(
            f"- subset: {part['samples']:,} of {part['of']:,} people of a made-up contig too, {part['rows']:,} lines, "
            f"on {part['cores']} cores."
        )
    return found


def _list_equal(record: Record) -> list[str]:
    """What was found to be equal, with the figures."""
    found = []
    if "kgp" in (part := record.get("mapping", {})):
        found.append(
            "- The rows of each mapping are the same on one core and on two, to the last bit; without Spark, too, but "
            "the nominal ones, which are then mapped in other blocks: they are within 1e-12."
        )
    for peer in ("QTLtools", "tensorQTL"):
        if peer in part:
            found += _tell_answers(peer, part[peer]["answers"])
    for n, one in record.get("matrices", {}).get("people", {}).items():
        found.append(
            f"- Genotypes of {int(n):,} people: the same {one['variants']:,} variants, dosages and frequencies as "
            "bcftools, plink2 and the script make."
        )
    if "seconds" in (part := record.get("subset", {})):
        found.append(f"- The subset: the same {part['rows']:,} lines as bcftools writes.")
    return found  # fmt: skip


def _tell_answers(peer: str, answers: dict[str, Any]) -> list[str]:
    found = []
    if "pairs" in answers:
        found.append(
            f"- {peer}, nominal: the same {answers['pairs']:,} pairs and signs; log10 p differs by "
            f"{answers['greatest difference of log10 p']:.1e} at most."
        )
    ties = answers["other best variants (ties)"]
    found.append(
        f"- {peer}, permutations of {answers['genes compared']:,} genes: the same best variant ({ties:,} times another "
        f"one, as good); beta p's correlate with {answers['correlation of p_beta']:.5f}."
    )
    return found


def _list_facts(record: Record) -> list[list[str]]:
    """Machine and versions; where parts differ, all that were found."""
    found: dict[str, dict[str, None]] = {}
    for part in record.values():
        for name, text in {**part["machine"], **part["versions"]}.items():
            found.setdefault(name, {})[text] = None
    return [[name, "; ".join(texts)] for name, texts in found.items()]


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    rule = ["---"] * len(head)
    return ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in (head, rule, *rows)]


def svg(record: Record) -> str:
    """Horizontal bars of what was measured, in parts of the target, whose line those reach that meet it."""
    width, left, right, top, step, bar = 760, 260, 170, 52, 34, 20
    goals = list_goals(record)
    scale = (width - left - right) / max([1.25, *(reached for goal in goals if (reached := _reached(goal)))])
    height, line = top + step * len(goals) + 16, left + scale
    title = "eQTL matrices and mappings: how far each target is reached"
    note = "measured ÷ target; the line is the target; longer is better"
    grey, red, green = "#52606d", "#c92a2a", "#0b7285"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'font-family="system-ui, sans-serif" font-size="14" fill="#1f2933">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="22" font-size="16" font-weight="600">{escape(title)}</text>',
        f'<text x="12" y="40" font-size="12" fill="{grey}">{escape(note)}</text>',
    ]
    for i, goal in enumerate(goals):
        middle = top + step * i + step // 2
        parts.append(
            f'<text x="{left - 10}" y="{middle + 5}" text-anchor="end">{escape(goal.target.label)}</text>'
        )
        reached = _reached(goal)
        if reached is None:
            parts.append(f'<text x="{line + 8:.1f}" y="{middle + 5}" fill="{grey}">not measured</text>')
            continue
        colour, length = green if goal.met == "yes" else red, max(1.0, reached * scale)
        parts.append(
            f'<rect x="{left}" y="{middle - bar // 2}" width="{length:.1f}" height="{bar}" fill="{colour}"/>'
        )
        text = f'{goal.measured} <tspan font-size="12" fill="{grey}">({escape(goal.target.wanted)})</tspan>'
        parts.append(f'<text x="{max(left + length, line) + 8:.1f}" y="{middle + 5}">{text}</text>')
    parts.append(f'<line x1="{line:.1f}" x2="{line:.1f}" y1="{top}" y2="{height - 16}" stroke="#1f2933"/>')
    return "\n".join([*parts, "</svg>", ""])


def _reached(goal: Goal) -> float | None:
    return None if goal.value is None else goal.value / goal.target.at_least
