"""PLINK 2 genotypes: .pgen, by hard calls or by dosages."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pgenlib

from kgp.errors import CheckError
from kgp.io.matrix_sets import Dosages

_MISSING = -9


def write_pgen(
    path: Path, n_variants: int, n_samples: int, blocks: Iterable[Dosages], *, has_dosages: bool = False
) -> None:
    """Write biallelic variants, block by block.

    A dosage is kept to 1/16384 of a copy, which is the format's own precision; the hard call beside it is the nearest
    number of copies where that is at most 0.1 away, and else missing.

    Args:
        path: the .pgen file.
        n_variants: variants of all blocks together.
        n_samples: samples.
        blocks: variants × samples; int8 copies of ALT with -1 where missing, or float32 with NaN.
        has_dosages: whether they are dosages.

    Raises:
        CheckError: the blocks do not have that many variants.
    """
    written = 0
    writer = pgenlib.PgenWriter(
        bytes(path), n_samples, variant_ct=n_variants, nonref_flags=False, dosage_present=has_dosages
    )
    for block in blocks:
        written += len(block)
        if written > n_variants:
            break
        if has_dosages:
            writer.append_dosages_batch(np.where(np.isnan(block), _MISSING, block).astype(np.float32))
        else:
            writer.append_biallelic_batch(np.where(block < 0, _MISSING, block).astype(np.int8))
    if written != n_variants:
        raise CheckError(f"{written:,} variants came instead of {n_variants:,}.", where=str(path))
    writer.close()
