"""The section on one phenotype: its locus, its values by genotype, and what is said of both."""

from __future__ import annotations

from kgp.amounts import count
from kgp.report.facts_mapping import JudgedFact, LocusFact
from kgp.report.figures_locus import draw_boxes, draw_locus, group_people
from kgp.report.mapping_words import q_cell, tell_p
from kgp.report.markup import figure, note, side_by_side
from kgp.report.style import to_svg


def describe_locus(locus: LocusFact, name: str) -> list[str]:
    """One phenotype: its locus and its boxes.

    Args:
        locus: the phenotype.
        name: what the ids of its figures begin with.
    """
    best = locus.variant_ids[locus.best]
    p = tell_p(locus.neg_log10_p[locus.best])
    svg = to_svg(
        draw_locus(locus),
        f"{name}-locus",
        f"Association of {locus.label} with the variants near it",
        f"{count(locus.n_variants, 'variant')}; the best is {best}, p {p}, "
        f"{locus.pos[locus.best] - locus.tss:,} bp from the TSS.",
    )
    people = " ".join(
        f"{one.copies} copies of ALT: {one.values.size:,}{_whose(one.sex)} people."
        for one in group_people(locus)
    )
    title = f"{locus.label} by genotype of {best}"
    boxes = to_svg(draw_boxes(locus), f"{name}-boxes", title, people)
    said = f"{locus.label}: −log10 p of {count(locus.n_variants, 'variant')}; colours are r² with the best."
    blocks = [
        side_by_side([figure(svg, said), figure(boxes, tell_boxes(locus))]),
        note(f"Best variant {best}: slope {locus.slope:.4g} ± {locus.slope_se:.3g} a copy of ALT, p {p}."),
    ]
    return (
        blocks if locus.judged is None else [*blocks, note(f"By permutation: {tell_judged(locus.judged)}.")]
    )


def tell_boxes(locus: LocusFact) -> str:
    """What the figure of the values by genotype shows, and who is not in it."""
    said = "The phenotype as it is mapped, not corrected for covariates, by genotype of the best variant"
    if locus.is_expected:
        said = "The phenotype as it is mapped, not corrected for covariates, by expected copies of the best variant"
    said += "." if locus.sexes is None else "; men have one copy of this contig."
    n_missing = int((~locus.is_known).sum())
    if n_missing:
        without = count(n_missing, "person has", "people have")
        said += f" {without} no genotype or no value, and no point (mapping takes the variant's mean)."
    return said


def tell_judged(judged: JudgedFact) -> str:
    """What the permutation pass says of a phenotype or group, without a full stop.

    >>> judged = JudgedFact("t2", "1_5_A_C", "g1", 3, 4.0, 0.001, True, 1e-4, 0.05)
    >>> tell_judged(judged)
    'group g1 of 3 phenotypes (best: t2) is significant at FDR 0.05, p beta 0.0001, q 0.001, threshold p 0.0001'
    """
    whose = judged.phenotype_id
    if judged.group_id is not None and judged.n_phenotypes is not None:
        n = count(judged.n_phenotypes, "phenotype")
        whose = f"group {judged.group_id} of {n} (best: {judged.phenotype_id})"
    verdict = "is significant" if judged.is_egene else "is not significant"
    said = f"{whose} {verdict} at FDR {judged.fdr:g}, p beta {tell_p(judged.neg_log10_p_beta)}"
    q = q_cell(judged.q_value)
    said += f", q {q:.3g}" if isinstance(q, float) else f", q {q}"
    return said if judged.p_threshold is None else f"{said}, threshold p {judged.p_threshold:.3g}"


def _whose(sex: str | None) -> str:
    return "" if sex is None else f" {sex}"
