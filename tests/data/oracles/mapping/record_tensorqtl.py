"""Writes tensorqtl_*.tsv.gz beside it: what tensorQTL finds on the bundled slice. See README.md."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tensorqtl import cis

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from tensorqtl_tables import read_genotypes

HERE = Path(__file__).parent
SLICE = HERE.parents[1] / "geuvadis-chr22"
# Every hundredth gene has all its pairs written.
EVERY = 100


def main():
    torch.set_num_threads(1)
    genotypes, variants = read_genotypes(SLICE / "genotypes.chr22.vcf.gz")
    samples = list(genotypes.columns)
    table = pd.read_csv(SLICE / "genes.50percent.chr22.bed.gz", sep="\t", index_col=3)
    table.index.name = None
    places = pd.DataFrame({"chr": "chr22", "pos": table.iloc[:, 2]}, index=table.index)
    # Covariates by arithmetic alone: the test makes them likewise.
    i = np.arange(len(samples))
    covariates = pd.DataFrame(
        np.column_stack([np.cos((k + 1) * i * i / 97.0) for k in range(5)]), index=samples
    )
    best = cis.map_cis(genotypes, variants, table[samples], places, covariates, nperm=1000, seed=1)
    columns = ["variant_id", "num_var", "ma_samples", "ma_count", "af", "pval_nominal", "slope", "slope_se"]
    columns += ["pval_perm", "pval_beta", "beta_shape1", "beta_shape2", "true_df"]
    best[columns].to_csv(
        HERE / "tensorqtl_best.tsv.gz", sep="\t", index_label="phenotype_id", compression=FIXED
    )
    with tempfile.TemporaryDirectory() as work:
        chosen = table.index[::EVERY]
        cis.map_nominal(
            genotypes,
            variants,
            table.loc[chosen, samples],
            places.loc[chosen],
            "n",
            covariates,
            output_dir=work,
        )
        pairs = pd.read_parquet(Path(work) / "n.cis_qtl_pairs.chr22.parquet")
    columns = [
        "phenotype_id",
        "variant_id",
        "af",
        "ma_samples",
        "ma_count",
        "pval_nominal",
        "slope",
        "slope_se",
    ]
    pairs[columns].to_csv(
        HERE / "tensorqtl_pairs.tsv.gz", sep="\t", index=False, float_format="%.9g", compression=FIXED
    )


# The same bytes whenever it is written.
FIXED = {"method": "gzip", "mtime": 1}

if __name__ == "__main__":
    main()
