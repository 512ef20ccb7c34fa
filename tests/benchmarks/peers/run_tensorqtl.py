"""tensorQTL's permutation pass over every n-th gene of a VCF and a BED, on one core; see mapping.py.

Prints the seconds of the pass, reading not counted, and writes its rows; a variant is named by its place in the VCF.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tensorqtl import cis


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


def read_genotypes(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Variants × samples, and where they are."""
    positions, rows = [], []
    samples: list[str] = []
    with gzip.open(path, "rt") as lines:
        for line in lines:
            if line.startswith("#"):
                samples = line.split()[9:]
                continue
            fields = line.split("\t")
            text = np.frombuffer("".join(call[:3] for call in fields[9:]).encode(), np.uint8)
            positions.append(int(fields[1]))
            rows.append((text[0::3] + text[2::3] - 2 * ord("0")).astype(np.int8))
    index = pd.Index([str(i) for i in range(len(rows))])
    return pd.DataFrame(np.array(rows), index=index, columns=samples), pd.DataFrame(
        {"chrom": "chr22", "pos": positions}, index=index
    )


if __name__ == "__main__":
    main()
