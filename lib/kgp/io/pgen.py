"""PLINK 2 files: genotypes as .pgen, people as .psam, variants as .pvar."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pgenlib

from kgp.errors import CheckError
from kgp.io.matrix_text import Cells


def write_pgen(path: Path, n_variants: int, n_samples: int, blocks: Iterable[Cells]) -> None:
    """Write biallelic hard calls, block by block.

    Args:
        path: the .pgen file.
        n_variants: variants of all blocks together.
        n_samples: samples.
        blocks: variants × samples, copies of ALT, -9 where missing.

    Raises:
        CheckError: the blocks do not have that many variants.
    """
    written = 0
    writer = pgenlib.PgenWriter(bytes(path), n_samples, variant_ct=n_variants, nonref_flags=False)
    for cells in blocks:
        written += len(cells)
        if written > n_variants:
            break
        writer.append_biallelic_batch(np.ascontiguousarray(cells))
    if written != n_variants:
        raise CheckError(f"{written:,} variants came instead of {n_variants:,}.", where=str(path))
    writer.close()
