"""Writes tensorqtl_susie_*.tsv.gz beside it: tensorQTL's fine-mapping of the bundled slice. See README.md."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tensorqtl import susie
from tensorqtl.core import Residualizer

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from tensorqtl_tables import read_genotypes

HERE = Path(__file__).parent
SLICE = HERE.parents[1] / "geuvadis-chr22"
# The same bytes whenever it is written.
FIXED = {"method": "gzip", "mtime": 1}
# The strongest genes, those with two credible sets among them, and some of all others.
N_STRONGEST = 50
EVERY = 30
# Variants with less have no row.
MIN_PIP = 1e-3


def main():
    torch.set_num_threads(1)
    # Single precision, tensorQTL's own, would differ from any other program in the fifth digit.
    torch.set_default_dtype(torch.float64)
    genotypes, variants = read_genotypes(SLICE / "genotypes.chr22.vcf.gz")
    samples = list(genotypes.columns)
    table = pd.read_csv(SLICE / "genes.50percent.chr22.bed.gz", sep="\t", index_col=3)
    best = pd.read_csv(HERE / "tensorqtl_best.tsv.gz", sep="\t", index_col=0)
    strongest = best["pval_nominal"].sort_values().index[:N_STRONGEST]
    chosen = [gene for i, gene in enumerate(table.index) if gene in strongest or i % EVERY == 0]
    i = np.arange(len(samples))
    covariates = np.column_stack([np.cos((k + 1) * i * i / 97.0) for k in range(5)])
    residualizer = Residualizer(torch.tensor(covariates))
    fits, sets, rows = [], [], []
    for gene in chosen:
        is_near = (variants["pos"] - table.loc[gene].iloc[2]).abs() <= 1_000_000
        near = genotypes[is_near]
        varying = near[near.ne(near.iloc[:, 0], axis=0).any(axis=1)]
        x = residualizer.transform(torch.tensor(varying.to_numpy(np.float64)))
        y = residualizer.transform(torch.tensor(table.loc[[gene], samples].to_numpy(np.float64)))
        found = susie.susie(x.T, y.T, L=10, max_iter=200)
        effects = found["V"] > 1e-9
        alpha, mu, mu2 = (found[name][effects] for name in ("alpha", "mu", "mu2"))
        scale = x.std(dim=1, unbiased=True)
        mean = (alpha * mu).sum(0) / scale
        sd = (alpha * mu2 - (alpha * mu) ** 2).sum(0).sqrt() / scale
        fits.append(
            {
                "phenotype_id": gene,
                "n_variants": len(varying),
                "n_iterations": found["niter"],
                "converged": found["converged"],
                "elbo": found["elbo"][-1],
                "sigma2": float(found["sigma2"]),
                "V": ",".join(f"{one:.9g}" for one in found["V"].tolist()),
                "lbf": ",".join(f"{one:.9g}" for one in found["lbf"].tolist()),
            }
        )
        place_of = {}
        for name, members in (found["sets"]["cs"] or {}).items():
            purity = found["sets"]["purity"].loc[name, "min_abs_corr"]
            covered = float(found["alpha"][int(name[1:]) - 1][members].sum())
            sets.append([gene, int(name[1:]) - 1, len(members), purity, covered])
            place_of |= dict.fromkeys(members.tolist(), int(name[1:]) - 1)
        for j in np.flatnonzero(found["pip"] >= MIN_PIP).tolist():
            row = [found["pip"][j], float(mean[j]), float(sd[j]), place_of.get(j, "")]
            rows.append([gene, varying.index[j], *row])
    columns = ["phenotype_id", "effect", "size", "purity", "coverage"]
    write("tensorqtl_susie_fits", pd.DataFrame(fits))
    write("tensorqtl_susie_sets", pd.DataFrame(sets, columns=columns))
    columns = ["phenotype_id", "variant_id", "pip", "posterior_mean", "posterior_sd", "effect"]
    write("tensorqtl_susie_pips", pd.DataFrame(rows, columns=columns))


def write(name, table):
    table.to_csv(HERE / f"{name}.tsv.gz", sep="\t", index=False, float_format="%.9g", compression=FIXED)


if __name__ == "__main__":
    main()
