"""How pages and terminals name the figures of a mapping, and tell p-values below any double."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kgp.amounts import count, name_first
from kgp.report.facts_mapping import CredibleFact, InteractionFact, MapFact, SignalsFact, TopFact, TransFact

# Doubles below have fewer digits, or none.
_LEAST_LOG10 = 300.0

_FIGURES = {
    "n_tested": "tested",
    "n_egenes": "significant",
    "n_without_beta": "without a beta distribution",
    "pi0": "share without a signal (pi0)",
    "lambda": "lambda of pi0",
    "p_beta_threshold": "threshold of p beta",
    "n_signals": "independent signals",
    "n_several": "eGenes with several signals",
    "n_lost": "eGenes without a signal beside others",
    "n_without_threshold": "eGenes without a threshold",
    "n_credible_sets": "credible sets",
    "n_single_variant": "credible sets of one variant",
    "n_without_set": "phenotypes without a credible set",
    "n_not_converged": "phenotypes whose fit did not converge",
    "df_interaction": "degrees of freedom of the interaction",
    "n_expected": "pairs expected by chance",
}

SIGNAL_COLUMNS = ("independent signals", "eGenes")
SEVERAL_COLUMNS = ("phenotype", "signals", "variants, the strongest first")
INTERACTION_COLUMNS = (
    "phenotype", "best variant", "bp from TSS", "slope of interaction", "SE", "p", "variants", "p × variants", "q",
)  # fmt: skip
CREDIBLE_COLUMNS = (
    "phenotype", "credible set", "variants", "least |r|", "log10 Bayes factor", "likeliest variant", "bp from TSS",
    "PIP",
)  # fmt: skip
TRANS_COLUMNS = ("phenotype", "its TSS", "variant", "at", "AF", "slope", "SE", "p")

Table = tuple[str, tuple[str, ...], list[tuple[Any, ...]]]


def tell_p(neg_log10_p: float) -> str:
    """A p-value as text, whatever its size.

    >>> tell_p(2.0), tell_p(87.11765), tell_p(812.53)
    ('0.01', '7.63e-88', '10^-812.5')
    """
    return f"{10.0**-neg_log10_p:.3g}" if neg_log10_p < _LEAST_LOG10 else f"10^-{neg_log10_p:.1f}"


def p_cell(p_value: float, neg_log10_p: float) -> float | str:
    """A p-value as a cell of a table: a number, where a double can tell it."""
    return p_value if neg_log10_p < _LEAST_LOG10 else tell_p(neg_log10_p)


def q_cell(q_value: float) -> float | str:
    """A q-value as a cell of a table; one that no double can tell is 0 where it is stored."""
    return q_value if q_value > 0 else f"< 1e-{_LEAST_LOG10:.0f}"


def tell_figures(figures: Mapping[str, float]) -> str:
    """What a mapping found, in words.

    >>> tell_figures({"n_egenes": 86.0, "pi0": 0.40637})
    'significant 86, share without a signal (pi0) 0.406'
    """
    return ", ".join(
        f"{_FIGURES.get(name, name.replace('_', ' '))} {_number(value)}" for name, value in figures.items()
    )


def noun_of(permuted: MapFact) -> str:
    """What a permutation pass judges."""
    return "group" if permuted.is_grouped else "phenotype"


def list_top(top: TopFact, most: int) -> Table:
    """The strongest phenotypes or groups of a permutation pass, as caption, columns and rows."""
    shown = range(min(most, len(top.phenotype_ids)))
    columns = ["phenotype", "best variant", "bp from TSS", "slope", "p (beta)", "q"]
    rows: list[list[Any]] = [
        [
            top.phenotype_ids[i],
            top.variant_ids[i],
            int(top.distances[i]),
            float(top.slopes[i]),
            p_cell(float(top.p_beta[i]), float(top.neg_log10_p_beta[i])),
            q_cell(float(top.q_values[i])),
        ]
        for i in shown
    ]
    if top.group_ids is not None and top.n_phenotypes is not None:
        columns = ["group", "phenotypes in it", "best phenotype", *columns[1:]]
        rows = [[top.group_ids[i], top.n_phenotypes[i], *row] for i, row in zip(shown, rows, strict=True)]
    if any(top.gene_names[i] is not None for i in shown):
        columns.append("gene")
        rows = [[*row, top.gene_names[i]] for i, row in zip(shown, rows, strict=True)]
    noun = "phenotypes" if top.group_ids is None else "groups"
    return f"The {len(rows)} strongest {noun}", tuple(columns), [tuple(row) for row in rows]


def list_signals(signals: SignalsFact) -> list[Table]:
    """How many independent signals eGenes have, and which have several."""
    counts = (
        "eGenes by their independent signals",
        SIGNAL_COLUMNS,
        list(signals.n_with.items()),
    )
    rows = [(name, len(variants), ", ".join(variants)) for name, variants in signals.several]
    several = ("eGenes with several independent signals", SEVERAL_COLUMNS, rows)
    return [counts, several] if rows else [counts]


def list_credible(credible: CredibleFact) -> Table:
    """The strongest credible sets, each by its likeliest variant."""
    columns = (
        "phenotype_id", "cs_id", "cs_size", "cs_purity", "cs_log10_bf", "variant_id", "tss_distance", "pip",
    )  # fmt: skip
    rows = [tuple(row[name] for name in columns) for row in credible.strongest]
    return f"The {len(rows)} strongest credible sets", CREDIBLE_COLUMNS, rows


def tell_credible(credible: CredibleFact) -> str:
    """Credible sets in one sentence without its full stop."""
    said = (
        f"Fine-mapping: {count(credible.n_sets, 'credible set')} of {count(credible.n_phenotypes, 'phenotype')}, "
        f"{credible.n_single:,} of one variant"
    )
    return said if credible.median_size is None else f"{said}; the median has {credible.median_size:g}"


def list_interactions(interaction: InteractionFact) -> Table:
    """The strongest interactions, one a phenotype."""
    rows = [
        (
            row["phenotype_id"],
            row["variant_id"],
            row["tss_distance"],
            row["slope_gi"],
            row["slope_gi_se"],
            p_cell(row["p_value_gi"], row["neg_log10_p_gi"]),
            row["n_variants"],
            row["p_bonferroni"],
            q_cell(row["q"]),
        )
        for row in interaction.best
    ]
    return f"The {len(rows)} strongest interactions with {interaction.covariate}", INTERACTION_COLUMNS, rows


def list_trans(trans: TransFact) -> Table:
    """The strongest of the kept pairs."""
    rows = [
        (
            row["phenotype_id"],
            f"{row['phenotype_contig']}:{row['tss']}",
            row["variant_id"],
            f"{row['contig']}:{row['start'] + 1}",
            row["af"],
            row["slope"],
            row["slope_se"],
            p_cell(row["p_value"], row["neg_log10_p"]),
        )
        for row in trans.strongest
    ]
    return f"The {len(rows)} strongest trans pairs", TRANS_COLUMNS, rows


def tell_interaction(interaction: InteractionFact) -> str:
    """Interactions in one sentence without its full stop."""
    return (
        f"Interaction with {interaction.covariate}: {interaction.n_significant:,} of "
        f"{count(interaction.n_phenotypes, 'phenotype')} with q ≤ 0.05, where p of the best variant is taken times "
        "the phenotype's tested variants (Bonferroni) and adjusted over phenotypes (Benjamini and Hochberg)"
    )


def tell_trans(trans: TransFact) -> str:
    """Trans pairs in one sentence without its full stop."""
    return (
        f"Trans: {count(trans.n_kept, 'pair')} with p ≤ {trans.max_p:g}, of {count(trans.n_phenotypes, 'phenotype')} "
        f"and {count(trans.n_variants, 'variant')}; where nothing is associated, about {_number(trans.n_expected)} "
        "would be"
    )


def tell_others(others: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """What is not shown: mode → ids of its other mappings.

    >>> tell_others({"permute": ["3f2a", "b711"]})
    ['2 others of mode permute, with other options or of some contigs, not shown: map_id 3f2a, b711']
    """
    return [
        f"{count(len(ids), 'other')} of mode {mode}, with other options or of some contigs, not shown: "
        f"map_id {name_first(ids)}"
        for mode, ids in others.items()
    ]


def tell_pass(one: MapFact) -> str:
    """The options that decide what a permutation pass finds, and its contigs; empty for another mode."""
    if one.mode != "permute":
        return ""
    given = one.parameters
    told = [f"{name} {_option(given[name])}" for name in ("permutations", "seed") if name in given]
    told += [f"window {_option(given['cis_window'])} bp"] if "cis_window" in given else []
    told += [f"FDR {given['fdr']}"] if "fdr" in given else []
    told += [f"q-values at lambda {given['q_lambda']}"] if given.get("q_lambda") else []
    told.append("phenotypes of a group as one" if one.is_grouped else "not grouped")
    contigs = given.get("contig")
    return ", ".join([*told, f"contig {contigs.replace(',', ', ')} alone" if contigs else "all contigs"])


def _option(value: str) -> str:
    return f"{int(value):,}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.3g}"
