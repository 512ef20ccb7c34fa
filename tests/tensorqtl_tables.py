"""A VCF as the tables that tensorQTL takes, for scripts that run it: they have neither kgp nor pytest."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd


def read_genotypes(
    path: Path, name_variants: Callable[[list[str]], Iterable[str]] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Variants × samples of chromosome 22, copies of ALT, and where they are.

    Args:
        path: diploid, complete calls of one digit an allele, FORMAT with GT first.
        name_variants: names of the variants by their ids in the VCF; else each is named by its place in it, from 0.
    """
    ids, positions, rows = [], [], []
    samples: list[str] = []
    with gzip.open(path, "rt") as lines:
        for line in lines:
            if line.startswith("#"):
                samples = line.split()[9:]
                continue
            fields = line.split("\t")
            text = np.frombuffer("".join(call[:3] for call in fields[9:]).encode(), np.uint8)
            ids.append(fields[2])
            positions.append(int(fields[1]))
            rows.append((text[0::3] + text[2::3] - 2 * ord("0")).astype(np.int8))
    index = pd.Index(list(map(str, range(len(rows)))) if name_variants is None else list(name_variants(ids)))
    genotypes = pd.DataFrame(np.array(rows), index=index, columns=samples)
    return genotypes, pd.DataFrame({"chrom": "chr22", "pos": positions}, index=index)
