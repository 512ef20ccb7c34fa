"""tensorQTL's permutation pass over every n-th gene of a VCF and a BED, on one core; see mapping.py.

Prints the seconds of the pass, reading not counted, and writes its rows; a variant is named by its place in the VCF.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from pathlib import Path

import pandas as pd
import torch
from tensorqtl import cis

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tensorqtl_tables import read_genotypes


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--permutations", type=int, default=1000)
    parser.add_argument("--every", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    genotypes, variants = read_genotypes(options.data / "genotypes.chr22.vcf.gz")
    samples = list(genotypes.columns)
    table = pd.read_csv(options.data / "genes.50percent.chr22.bed.gz", sep=r"\s+", index_col=3)
    table = table.iloc[:: options.every]
    table.index.name = None
    places = pd.DataFrame({"chr": "chr22", "pos": table.iloc[:, 2]}, index=table.index)
    covariates = pd.read_csv(options.data / "genes.covariates.pc50.txt.gz", sep=r"\s+", index_col=0)
    with contextlib.redirect_stdout(sys.stderr):
        began = time.perf_counter()
        best = cis.map_cis(
            genotypes,
            variants,
            table[samples].astype(float),
            places,
            covariates[samples].T,
            nperm=options.permutations,
            seed=1,
        )
        seconds = time.perf_counter() - began
    best.to_csv(options.out, sep="\t")
    print(json.dumps({"seconds": seconds, "genes": len(best)}))


if __name__ == "__main__":
    main()
