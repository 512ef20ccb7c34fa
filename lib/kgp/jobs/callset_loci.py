"""Genotypes of a whole callset at a few variants: of `variants`, the row groups that hold one are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgp.eqtl.matching_loci import Loci
from kgp.errors import CheckError
from kgp.io.parts import TablePart, read_part
from kgp.job import Context
from kgp.tables import VARIANTS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Rows of `variants` held at a time, of which one or none is wanted.
_BATCH_ROWS = 2_000
_DEFECT = "This is a defect of kgp: please report it."


def read_loci(context: Context, callset: str, column: str, n_people: int, loci: Loci, stated: Ints) -> Floats:
    """Copies of ALT of everyone of a callset at the lead variants of a set.

    Args:
        context: of a job that reads `variants`.
        callset: its name.
        column: of `variants`: dosages or expected_dosages.
        n_people: everyone of the callset.
        loci: of the set.
        stated: place in the callset of the person that each run of the set is said to be of.

    Returns:
        loci × people, the set's mean where missing.

    Raises:
        CheckError: they are not the set's.
    """
    numbers = {variant: i for i, variant in enumerate(loci.variants)}
    dosages = np.zeros((len(loci), n_people))
    is_there = np.zeros(len(loci), dtype=bool)
    where = f"table variants, callset {callset}"
    for contig in sorted(set(loci.contigs)):
        starts = np.sort(loci.starts[[one == contig for one in loci.contigs]])
        parts = context.parts(
            VARIANTS,
            partitions={"callset": [callset], "contig": [contig]},
            span=(int(starts[0]), int(starts[-1]) + 1),
            target_rows=1,
        )
        for part in (part for part in parts if _may_hold(part, starts)):
            for variant, row in _read_variants(part, loci.variants, column):
                i = numbers[variant]
                is_known = ~np.isnan(row[stated])
                if not np.array_equal(row[stated][is_known], loci.dosages[i][is_known]):
                    raise CheckError(
                        f"Genotypes of {variant} are others than the set's.", where=where, mend=_DEFECT
                    )
                dosages[i] = np.where(np.isnan(row), loci.dosages[i].mean(), row)
                is_there[i] = True
    if not is_there.all():
        gone = loci.variants[int(is_there.argmin())]
        raise CheckError(f"Variant {gone} of the set is not there.", where=where, mend=_DEFECT)
    return dosages


def _may_hold(part: TablePart, starts: Ints) -> bool:
    """Whether one of the starts may lie in a part, by its statistics."""
    if part.starts is None:
        return True
    least, greatest = part.starts
    return bool(np.searchsorted(starts, least, "left") < np.searchsorted(starts, greatest, "right"))


def _read_variants(part: TablePart, variants: Sequence[str], column: str) -> Iterator[tuple[str, Floats]]:
    """Wanted variants of a part with everyone's copies of ALT, NaN where missing."""
    wanted = pa.array(variants)
    for batch in read_part(part, VARIANTS, ["variant_id", column], batch_rows=_BATCH_ROWS):
        for row in batch.filter(pc.is_in(batch.column("variant_id"), value_set=wanted)).to_pylist():
            yield row["variant_id"], np.array(row[column], dtype=np.float64)
