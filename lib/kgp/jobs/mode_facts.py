"""What is shown of the modes independent, finemap, interaction and trans, read a batch at a time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgp.eqtl.qvalues import adjust_benjamini_hochberg
from kgp.job import Context
from kgp.jobs.mapping_rows import scan_rows
from kgp.report.facts import Floats
from kgp.report.facts_mapping import CredibleFact, InteractionFact, MapFact, SignalsFact, TransFact
from kgp.report.quantiles import PCounts
from kgp.tables import EQTL_CREDIBLE_SETS, EQTL_INDEPENDENT, EQTL_INTERACTION, EQTL_TRANS

# Rows of a table that pages and terminals show.
N_SHOWN = 20
# Significance of the best interaction of a phenotype.
MAX_Q = 0.05

_CREDIBLE = (
    "contig", "phenotype_id", "variant_id", "tss_distance", "cs_id", "cs_size", "cs_purity", "cs_log10_bf", "pip",
)  # fmt: skip
_BEST_INTERACTION = (
    "phenotype_id", "variant_id", "vcf_id", "tss_distance", "af", "slope_gi", "slope_gi_se", "p_value_gi",
    "neg_log10_p_gi",
)  # fmt: skip
_STRONGEST_TRANS = (
    "phenotype_id", "phenotype_contig", "tss", "variant_id", "vcf_id", "contig", "start", "af", "slope", "slope_se",
    "p_value", "neg_log10_p",
)  # fmt: skip


def gather_signals(context: Context, independent: MapFact) -> SignalsFact:
    """How many signals eGenes have, and those that have several."""
    variants: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    columns = ["contig", "phenotype_id", "group_id", "rank", "variant_id"]
    for batch in scan_rows(context, EQTL_INDEPENDENT, independent, columns):
        for row in batch.to_pylist():
            name = row["group_id"] or row["phenotype_id"]
            variants[row["contig"], name].append((row["rank"], row["variant_id"]))
    n_with = Counter(map(len, variants.values()))
    if n_none := int(independent.figures["n_egenes"]) - len(variants):
        n_with[0] = n_none
    several = [
        (name, tuple(variant for _, variant in sorted(found)))
        for (_, name), found in variants.items()
        if len(found) > 1
    ]
    several.sort(key=lambda one: (-len(one[1]), one[0]))
    return SignalsFact(dict(sorted(n_with.items())), tuple(several[:N_SHOWN]))


def gather_credible(context: Context, mapped: MapFact) -> CredibleFact:
    """How many credible sets there are, and the most likely variant of the strongest."""
    best: dict[tuple[str, str, int], Mapping[str, Any]] = {}
    for batch in scan_rows(context, EQTL_CREDIBLE_SETS, mapped, _CREDIBLE):
        for row in batch.to_pylist():
            key = (row["contig"], row["phenotype_id"], row["cs_id"])
            if key not in best or row["pip"] > best[key]["pip"]:
                best[key] = row
    sizes = [row["cs_size"] for row in best.values()]
    order = sorted(best.values(), key=lambda row: (-row["cs_log10_bf"], row["phenotype_id"], row["cs_id"]))
    return CredibleFact(
        strongest=tuple(order[:N_SHOWN]),
        n_sets=len(best),
        n_phenotypes=len({key[:2] for key in best}),
        n_single=sizes.count(1),
        median_size=float(np.median(sizes)) if sizes else None,
    )


def gather_interaction(context: Context, mapped: MapFact) -> InteractionFact:
    """The best interaction of each phenotype, p taken times its tested variants, then adjusted over phenotypes."""
    counts, best = PCounts(), _BestOfEach()
    for batch in scan_rows(context, EQTL_INTERACTION, mapped, _BEST_INTERACTION):
        counts.add(batch.column("neg_log10_p_gi").to_numpy())
        best.add(batch)
    rows = sorted(best.rows.values(), key=lambda row: (-row["neg_log10_p_gi"], row["phenotype_id"]))
    n_variants = np.array([best.n_variants[row["phenotype_id"]] for row in rows], dtype=np.float64)
    strengths = np.array([row["neg_log10_p_gi"] for row in rows], dtype=np.float64)
    p = np.minimum(1.0, 10.0 ** (np.log10(n_variants) - strengths)) if rows else np.empty(0)
    q: Floats = adjust_benjamini_hochberg(p) if rows else p
    shown = [
        {**row, "n_variants": int(n_variants[i]), "p_bonferroni": float(p[i]), "q": float(q[i])}
        for i, row in enumerate(rows)
    ]
    shown.sort(key=lambda row: (row["p_bonferroni"], -row["neg_log10_p_gi"], row["phenotype_id"]))
    return InteractionFact(
        covariate=mapped.parameters["interaction"],
        best=tuple(shown[:N_SHOWN]),
        n_phenotypes=len(rows),
        n_significant=int((q <= MAX_Q).sum()),
        quantiles=counts.quantiles(),
    )


def gather_trans(context: Context, mapped: MapFact) -> TransFact:
    """The strongest of the kept pairs, and how many there are."""
    strongest = EQTL_TRANS.arrow_schema.empty_table().select(list(_STRONGEST_TRANS))
    n_kept, phenotypes, variants = 0, set[str](), set[str]()
    for batch in scan_rows(context, EQTL_TRANS, mapped, _STRONGEST_TRANS):
        n_kept += batch.num_rows
        phenotypes.update(pc.unique(batch.column("phenotype_id")).to_pylist())
        variants.update(pc.unique(batch.column("variant_id")).to_pylist())
        both = pa.concat_tables([strongest, pa.Table.from_batches([batch])])
        order = [("neg_log10_p", "descending"), ("phenotype_id", "ascending"), ("variant_id", "ascending")]
        strongest = both.sort_by(order).slice(0, N_SHOWN)
    return TransFact(
        strongest=tuple(strongest.to_pylist()),
        n_kept=n_kept,
        n_expected=mapped.figures["n_expected"],
        n_phenotypes=len(phenotypes),
        n_variants=len(variants),
        max_p=float(mapped.parameters["max_p"]),
    )


class _BestOfEach:
    """The row with the smallest p of the interaction of each phenotype, and how many rows it has, batch by batch."""

    def __init__(self) -> None:
        self.rows: dict[str, Mapping[str, Any]] = {}
        self.n_variants: Counter[str] = Counter()

    def add(self, batch: pa.RecordBatch) -> None:
        """Look at some more rows; equally strong ones stay in the table's order."""
        names = batch.column("phenotype_id").dictionary_encode()
        codes = names.indices.to_numpy()
        strengths = batch.column("neg_log10_p_gi").to_numpy()
        order = np.lexsort((np.arange(codes.size), -strengths, codes))
        firsts = order[np.flatnonzero(np.diff(codes[order], prepend=-1))]
        self.n_variants.update(
            dict(zip(names.dictionary.to_pylist(), np.bincount(codes).tolist(), strict=True))
        )
        for row in batch.take(pa.array(firsts)).to_pylist():
            before = self.rows.get(row["phenotype_id"])
            if before is None or row["neg_log10_p_gi"] > before["neg_log10_p_gi"]:
                self.rows[row["phenotype_id"]] = row
