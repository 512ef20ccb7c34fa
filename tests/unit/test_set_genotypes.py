"""Genotypes of a set that no log names yet are given to the search in the same blocks however they lie."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from kgp.io.matrix_sets import PLACES, GenotypeRows
from kgp.jobs.set_genotypes import cut_genotypes
from kgp.tables import EQTL_GENOTYPES

N_PEOPLE = 3


def rows_of(starts: list[int], dosages: np.ndarray) -> GenotypeRows:
    fields = [EQTL_GENOTYPES.arrow_schema.field(name) for name in PLACES]
    columns = {"start": starts, "variant_id": [f"v{start}" for start in starts]}
    arrays = [
        pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(len(starts), f.type)
        for f in fields
    ]
    return GenotypeRows(pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields)), dosages)


@given(
    st.lists(st.integers(0, 7), max_size=8), st.integers(0, 40), st.integers(0, 40), st.integers(1, 9),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_blocks_do_not_depend_on_how_variants_come(
    sizes: list[int], first: int, last: int, n_rows: int, seed: int
) -> None:
    n = sum(sizes)
    dosages = np.random.default_rng(seed).integers(-1, 3, (n, N_PEOPLE)).astype(np.int8)
    cuts = np.cumsum([0, *sizes])
    parts = [
        rows_of([*range(a, b)], dosages[a:b]) for a, b in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)
    ]  # fmt: skip
    found = list(cut_genotypes(parts, (first, last), n_rows))
    wanted = [i for i in range(n) if first <= i < last]
    assert [len(ids) for ids, _, _ in found[:-1]] == [n_rows] * (len(found) - 1)
    assert [one for ids, _, _ in found for one in ids] == [f"v{i}" for i in wanted]
    assert [place for _, pos, _ in found for place in pos.tolist()] == [i + 1 for i in wanted]
    for row, i in zip((row for _, _, values in found for row in values), wanted, strict=True):
        known = dosages[i][dosages[i] >= 0]
        mean = known.mean() if len(known) else 0.0
        np.testing.assert_allclose(row, np.where(dosages[i] < 0, mean, dosages[i]), rtol=1e-6)
