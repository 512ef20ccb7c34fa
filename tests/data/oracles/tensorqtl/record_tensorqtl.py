"""Writes the .tsv.gz beside it: what tensorQTL finds on the bundled slice. Needs tensorqtl 1.0.10; see README.md."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tensorqtl import cis, trans

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from tensorqtl_tables import read_genotypes

HERE = Path(__file__).parent
SLICE = HERE.parents[1] / "geuvadis-chr22"
REGION = (44_300_000, 46_700_000)
WINDOW = 1_000_000


def make_unique(names):
    """Some ids are there twice: a number makes them unique."""
    seen: dict[str, int] = {}
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        yield name if seen[name] == 1 else f"{name}:{seen[name]}"


def read_phenotypes(samples):
    table = pd.read_csv(SLICE / "genes.50percent.chr22.bed.gz", sep="\t", index_col=3)
    table.index.name = None
    return table[samples], pd.DataFrame({"chr": "chr22", "pos": table.iloc[:, 2]}, index=table.index)


def make_covariates(samples):
    """Five covariates and an interacting one, made by arithmetic alone: the test makes them likewise."""
    i = np.arange(len(samples))
    covariates = np.column_stack([np.cos((k + 1) * i * i / 97.0) for k in range(5)])
    return pd.DataFrame(covariates, index=samples), pd.DataFrame(
        {"i": 3.0 + np.sin(i * i / 31.0)}, index=samples
    )


def adjust_benjamini_hochberg(p):
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum.accumulate((p[order] * p.size / np.arange(1, p.size + 1))[::-1])[::-1]
    return adjusted


def write(name, table):
    with gzip.GzipFile(HERE / name, "wb", mtime=0) as raw:
        raw.write(table.to_csv(sep="\t", index=False, float_format="%.9g").encode())
    print(name, table.shape, file=sys.stderr)


def record_independent(genotypes, variants, phenotypes, places, covariates, groups, name):
    top = cis.map_cis(genotypes, variants, phenotypes, places, covariates, group_s=groups, nperm=1000, seed=1)
    top["qval"] = adjust_benjamini_hochberg(top["pval_beta"].to_numpy())
    significant = top["qval"] <= 0.05
    found = cis.map_independent(
        genotypes, variants, top, phenotypes, places, covariates, group_s=groups, nperm=1000, seed=1
    )
    found["threshold"] = top["pval_beta"][significant].max()
    wanted = [
        "phenotype_id",
        "variant_id",
        "rank",
        "slope",
        "slope_se",
        "pval_nominal",
        "pval_beta",
        "threshold",
    ]
    write(name, found[[*wanted, "group_id"] if groups is not None else wanted])
    return top, found


def main():
    torch.manual_seed(1)
    genotypes, variants = read_genotypes(SLICE / "genotypes.chr22.vcf.gz", make_unique)
    phenotypes, places = read_phenotypes(list(genotypes.columns))
    covariates, interaction = make_covariates(list(genotypes.columns))
    is_here = places["pos"].between(*REGION)
    some, some_places = phenotypes[is_here], places[is_here]
    record_independent(genotypes, variants, some, some_places, covariates, None, "independent.tsv.gz")
    # Neighbours by two: the later one is put where the first is, for a group has one window.
    groups = pd.Series([f"group{k // 2}" for k in range(len(some))], index=some.index)
    together = some_places.copy()
    together["pos"] = together.groupby(groups.to_numpy())["pos"].transform("first")
    record_independent(genotypes, variants, some, together, covariates, groups, "independent_groups.tsv.gz")

    directory = Path(sys.argv[1])
    cis.map_nominal(
        genotypes, variants, some[:8], some_places[:8], "i", covariates,
        interaction_df=interaction, maf_threshold_interaction=0.05, window=WINDOW, output_dir=directory,
        write_top=False, run_eigenmt=False,
    )  # fmt: skip
    pairs = pd.read_parquet(directory / "i.cis_qtl_pairs.chr22.parquet")
    counts = pairs.groupby("phenotype_id", sort=False).size()
    (HERE / "interaction_counts.tsv").write_text("".join(f"{gene}\t{n}\n" for gene, n in counts.items()))
    write("interaction.tsv.gz", pairs.iloc[::53].drop(columns=["start_distance"]))

    hits = trans.map_trans(genotypes, phenotypes, covariates, pval_threshold=1e-5, maf_threshold=0.0)
    hits = trans.filter_cis(hits, places, variants, window=WINDOW)
    write("trans.tsv.gz", hits)


if __name__ == "__main__":
    main()
