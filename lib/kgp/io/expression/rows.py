"""Rows of `phenotypes`, `expression` and `quarantine`, made from blocks of lines as Arrow batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kgp.io.expression.blocks import BadLine
from kgp.io.expression.place import Phenotype
from kgp.tables.expression import EXPRESSION, PHENOTYPES
from kgp.tables.ledger import QUARANTINE


@dataclass(frozen=True)
class Subject:
    """What all rows of a load share, under the names of their columns."""

    dataset: str
    quantification: str
    kind: str
    unit: str
    build: str
    load_id: str


def phenotype_rows(
    subject: Subject, phenotypes: Sequence[Phenotype], contigs: Mapping[str, str]
) -> pa.RecordBatch:
    """Rows of `phenotypes`, in the table's order: those without a place last.

    Args:
        subject: of the load.
        phenotypes: of some lines.
        contigs: contig as spelled → canonical, where the build knows it.
    """
    places = [phenotype.place for phenotype in phenotypes]
    values: dict[str, object] = {
        "phenotype_id": [phenotype.id for phenotype in phenotypes],
        "contig": [p and contigs.get(p.source_contig, p.source_contig) for p in places],
    }
    for name in ("source_contig", "start", "end", "tss", "strand"):
        values[name] = [None if place is None else getattr(place, name) for place in places]
    for name in ("gene_id", "gene_version", "gene_name", "group_id"):
        values[name] = [getattr(phenotype, name) for phenotype in phenotypes]
    for name in ("dataset", "quantification", "kind", "unit", "build", "load_id"):
        values[name] = [getattr(subject, name)] * len(phenotypes)
    batch = pa.RecordBatch.from_pydict(values, schema=_by_name(PHENOTYPES.arrow_schema, values))
    return batch.sort_by([(name, "ascending") for name in PHENOTYPES.sort_by])


def value_rows(
    subject: Subject, ids: Sequence[str], run_ids: Sequence[str], values: npt.NDArray[np.float64]
) -> pa.RecordBatch:
    """Rows of `expression`, in the table's order: by phenotype, then by run. Texts are dictionary-encoded.

    Args:
        subject: of the load.
        ids: phenotypes.
        run_ids: runs, in the order of the columns of `values`.
        values: phenotypes × runs; NaN becomes null.
    """
    rows = np.array(sorted(range(len(ids)), key=ids.__getitem__), np.int32)
    columns = np.array(sorted(range(len(run_ids)), key=run_ids.__getitem__), np.int32)
    n = values.size
    flat = values[np.ix_(rows, columns)].ravel()
    constants = {
        name: _encode(np.zeros(n, np.int32), [getattr(subject, name)])
        for name in ("dataset", "quantification", "load_id")
    }
    columns_of_table = {
        **constants,
        "phenotype_id": _encode(np.repeat(rows, len(run_ids)), ids),
        "run_id": _encode(np.tile(columns, len(ids)), run_ids),
        "value": pa.array(flat, mask=np.isnan(flat)),
    }
    return pa.RecordBatch.from_arrays(
        [columns_of_table[name] for name in EXPRESSION.columns], names=list(EXPRESSION.columns)
    )


def quarantine_rows(load_id: str, path: str, bad: Sequence[BadLine]) -> pa.RecordBatch:
    """Rows of `quarantine`."""
    rows = [
        {"load_id": load_id, "path": path, "offset": one.offset, "reason": one.reason, "line": one.line}
        for one in bad
    ]
    return pa.RecordBatch.from_pylist(rows, schema=QUARANTINE.arrow_schema)


def _encode(indices: npt.NDArray[np.int32], texts: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(indices), pa.array(texts, pa.string()))


def _by_name(schema: pa.Schema, values: Mapping[str, object]) -> pa.Schema:
    return pa.schema([schema.field(name) for name in values])
