"""A lake with one mapped matrix set, written row by row without Spark and without the jobs that make such rows."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from kgp import tables as t
from kgp.io.delta import Lake
from report_lake import open_lake

NAME, MATRIX, NOMINAL, PERMUTE = "eur", "m" * 32, "n" * 32, "p" * 32
CONTIG, WINDOW = "22", 100_000
N_SAMPLES, N_VARIANTS, N_GENES = 60, 120, 8
_DAY = datetime.datetime(2026, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)


class Simulated:
    """Genotypes with one missing, genes of which the first two have an eQTL, and all pairs by scipy."""

    def __init__(self, seed: int = 3) -> None:
        rng = np.random.default_rng(seed)
        self.sample_ids = [f"HG{i:05d}" for i in range(N_SAMPLES)]
        base = rng.binomial(2, 0.3, (N_VARIANTS // 4, N_SAMPLES))
        # Neighbours are like each other: each of four copies changes a tenth.
        copies = np.repeat(base, 4, axis=0)
        changed = rng.random(copies.shape) < 0.1
        self.dosages = np.where(changed, rng.binomial(2, 0.3, copies.shape), copies).astype(np.int8)
        self.dosages[5, 7] = -1
        self.starts = np.sort(rng.choice(400_000, N_VARIANTS, replace=False)) + 1_000_000
        self.variant_ids = [f"22_{start + 1}_A_G" for start in self.starts]
        self.tss = np.linspace(1_050_000, 1_350_000, N_GENES).astype(int)
        self.gene_ids = [f"ENSG{i:011d}.{i + 1}" for i in range(N_GENES)]
        self.gene_names = ["AAA", "BBB", "CCC", "CCC", None, None, "DDD", "EEE"]
        self.values = rng.standard_normal((N_GENES, N_SAMPLES))
        for gene, strength in ((0, 1.5), (1, 1.1)):
            near = self.near(gene)
            self.values[gene] += strength * np.maximum(self.dosages[near[len(near) // 2]], 0)
        self.pairs = [self.test(gene, variant) for gene in range(N_GENES) for variant in self.near(gene)]

    def near(self, gene: int) -> np.ndarray:
        """Variants of a gene's window."""
        return np.flatnonzero(np.abs(self.starts + 1 - self.tss[gene]) <= WINDOW)

    def filled(self, variant: int) -> np.ndarray:
        """Dosages with the mean where missing."""
        row = self.dosages[variant].astype(float)
        return np.where(row < 0, row[row >= 0].mean(), row)

    def test(self, gene: int, variant: int) -> dict[str, Any]:
        """A row of `eqtl_nominal`."""
        found = stats.linregress(self.filled(variant), self.values[gene])
        t_statistic = found.slope / found.stderr
        ac = float(self.filled(variant).sum())
        return {
            "matrix_id": MATRIX, "model": "fastqtl", "contig": CONTIG, "phenotype_id": self.gene_ids[gene],
            "variant_id": self.variant_ids[variant], "start": int(self.starts[variant]), "ref": "A", "alt": "G",
            "af": ac / (2 * N_SAMPLES), "ma_samples": 1, "ma_count": min(ac, 2 * N_SAMPLES - ac),
            "tss_distance": int(self.starts[variant] + 1 - self.tss[gene]), "slope": found.slope,
            "slope_se": found.stderr, "t_statistic": t_statistic, "p_value": found.pvalue,
            "neg_log10_p": -np.log10(found.pvalue), "vcf_id": f"rs{variant}",
        }  # fmt: skip

    def best(self, gene: int) -> dict[str, Any]:
        """The pair of a gene with the smallest p."""
        return min(
            (pair for pair in self.pairs if pair["phenotype_id"] == self.gene_ids[gene]),
            key=lambda pair: pair["p_value"],
        )


def make_mapped_lake(
    place: Path, found: Simulated, *, modes: tuple[str, ...] = ("nominal", "permute")
) -> Lake:
    """A set of `found`, mapped in some modes."""
    lake = open_lake(place)
    _put_set(lake, found)
    ledger = []
    if "nominal" in modes:
        rows = [{**pair, "map_id": NOMINAL} for pair in found.pairs]
        lake.put(t.EQTL_NOMINAL, rows, None)
        ledger.append(_map_row(NOMINAL, "nominal", len(rows), {}))
    if "permute" in modes:
        tops = [_top_row(found, gene) for gene in range(N_GENES)]
        lake.put(t.EQTL_TOP, tops, None)
        n_egenes = sum(row["is_egene"] for row in tops)
        figures = {"n_egenes": float(n_egenes), "pi0": 0.8}
        ledger.append(_map_row(PERMUTE, "permute", len(found.pairs), figures))
    if ledger:
        lake.put(t.EQTL_MAPS, ledger, None)
    return lake


def _top_row(found: Simulated, gene: int) -> dict[str, Any]:
    best = found.best(gene)
    p_beta = min(1.0, 20 * best["p_value"])
    return {
        **best, "map_id": PERMUTE, "n_variants": len(found.near(gene)), "n_permutations": 1_000,
        "p_perm": max(p_beta, 1 / 1001), "p_beta": p_beta, "neg_log10_p_beta": -np.log10(p_beta),
        "q_value": min(1.0, 4 * p_beta), "q_value_bh": min(1.0, 5 * p_beta), "is_egene": 4 * p_beta <= 0.05,
        "beta_shape1": 1.0, "beta_shape2": 20.0, "effective_df": 50.0, "p_threshold": 1e-3,
    }  # fmt: skip


def _map_row(map_id: str, mode: str, n_pairs: int, figures: dict[str, float]) -> dict[str, Any]:
    return {
        "map_id": map_id, "matrix_id": MATRIX, "name": NAME, "mode": mode, "model": "fastqtl",
        "parameters": {"fdr": "0.05"}, "df": N_SAMPLES - 2, "n_samples": N_SAMPLES, "n_phenotypes": N_GENES,
        "n_pairs": n_pairs, "dropped": {"constant phenotype": 2}, "figures": figures, "seconds": 1.5,
        "mapped_at": _DAY,
    }  # fmt: skip


def _put_set(lake: Lake, found: Simulated) -> None:
    genotypes = []
    for i, row in enumerate(found.dosages):
        known = row[row >= 0]
        ac, an = int(known.sum()), 2 * int(known.size)
        genotypes.append(
            {
                "matrix_id": MATRIX, "contig": CONTIG, "variant_id": found.variant_ids[i],
                "start": int(found.starts[i]), "end": int(found.starts[i]) + 1, "ref": "A", "alt": "G", "ac": ac,
                "an": an, "af": ac / an, "n_missing": int((row < 0).sum()),
                "dosages": [None if value < 0 else int(value) for value in row], "vcf_id": f"rs{i}",
            }
        )  # fmt: skip
    phenotypes = [
        {
            "matrix_id": MATRIX, "contig": CONTIG, "phenotype_id": found.gene_ids[i], "start": int(tss) - 1,
            "end": int(tss) + 500, "tss": int(tss), "values": found.values[i].tolist(), "strand": "+",
            "gene_id": found.gene_ids[i], "gene_name": found.gene_names[i],
        }
        for i, tss in enumerate(found.tss)
    ]  # fmt: skip
    lake.put(t.EQTL_GENOTYPES, genotypes, None)
    lake.put(t.EQTL_PHENOTYPES, phenotypes, None)
    lake.put(
        t.EQTL_MATRICES,
        [
            {
                "matrix_id": MATRIX, "name": NAME, "callset": "phase3", "build": "GRCh37", "parameters": {},
                "load_ids": ["l1"], "table_versions": {}, "sample_ids": found.sample_ids,
                "run_ids": found.sample_ids, "n_samples": N_SAMPLES, "n_variants": N_VARIANTS,
                "n_phenotypes": N_GENES, "n_covariates": 0, "dropped": {}, "dropped_samples": {}, "notes": [],
                "seconds": 1.0, "built_at": _DAY,
            }
        ],
        None,
    )  # fmt: skip
