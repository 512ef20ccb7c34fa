"""The rows of a matrix set as arrays, read from parts of its tables: no Spark row, no JVM.

Genotypes are `variants × samples`, phenotypes `phenotypes × samples`, covariates `samples × covariates`, all in the
set's sample order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgp.errors import CheckError
from kgp.io.parts import TablePart, read_part
from kgp.tables import EQTL_GENOTYPES, EQTL_PHENOTYPES

Floats = NDArray[np.float64]
Dosages = NDArray[np.int8] | NDArray[np.float32]

PLACES = (
    "contig",
    "variant_id",
    "start",
    "end",
    "ref",
    "alt",
    "ac",
    "an",
    "af",
    "n_missing",
    "vcf_id",
    "rsid",
)
PHENOTYPE_PLACES = (
    "contig", "phenotype_id", "start", "end", "tss", "strand", "gene_id", "gene_name", "group_id",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class GenotypeRows:
    """Some variants of a set, in file order: by start within a contig.

    Args:
        rows: columns `PLACES`.
        dosages: variants × samples; int8 copies of ALT with -1 where missing, or float32 expected copies with NaN.
    """

    rows: pa.RecordBatch
    dosages: Dosages

    @property
    def pos(self) -> NDArray[np.int64]:
        """1-based."""
        return np.asarray(self.rows.column("start").to_numpy() + 1)

    def complete(self) -> Dosages:
        """Dosages with each missing one filled in with the mean of its variant, for mapping; see `fill_missing`."""
        return fill_missing(self.dosages)


@dataclass(frozen=True, eq=False)
class PhenotypeRows:
    """Phenotypes of a set by contig, in the order of its tables.

    Args:
        rows: columns `PHENOTYPE_PLACES`.
        values: phenotypes × samples, NaN where missing.
    """

    rows: pa.RecordBatch
    values: Floats

    def __len__(self) -> int:
        """Phenotypes."""
        return int(self.rows.num_rows)

    def take(self, chosen: Sequence[int] | NDArray[np.int64]) -> PhenotypeRows:
        """Some of them, by number, in that order."""
        picked = np.asarray(chosen, dtype=np.int64)
        return PhenotypeRows(self.rows.take(pa.array(picked)), self.values[picked])


def read_genotypes(
    part: TablePart, n_samples: int, *, batch_rows: int | None = None
) -> Iterator[GenotypeRows]:
    """Read a part of `eqtl_genotypes`.

    Raises:
        CheckError: a row has another number of samples than the set.
    """
    columns = [*PLACES, "dosages", "expected_dosages"]
    for batch in read_part(part, EQTL_GENOTYPES, columns, batch_rows=batch_rows):
        calls, expected = batch.column("dosages"), batch.column("expected_dosages")
        if calls.null_count == 0:
            dosages = to_dosages(calls, n_samples, part.path)
        else:
            dosages = to_dosages(expected, n_samples, part.path)
        yield GenotypeRows(batch.select(list(PLACES)), dosages)


def to_dosages(lists: pa.ListArray, n_samples: int, where: str) -> Dosages:
    """Dosages of a column as variants × samples: int8, -1 where missing, or float32, NaN where missing.

    Args:
        lists: of `eqtl_genotypes` or `variants`, a list a variant.
        n_samples: values of each.
        where: they are from, for a message.

    Raises:
        CheckError: a row has another number of samples.
    """
    missing = -1 if pa.types.is_integer(lists.type.value_type) else np.nan
    return _to_array(lists, n_samples, missing, where)


def read_phenotypes(parts: Iterable[TablePart], n_samples: int) -> PhenotypeRows:
    """Read parts of `eqtl_phenotypes` whole, in the order of the parts.

    Raises:
        CheckError: a row has another number of samples than the set.
    """
    batches = [
        batch for part in parts for batch in read_part(part, EQTL_PHENOTYPES, [*PHENOTYPE_PLACES, "values"])
    ]
    schema = pa.schema([EQTL_PHENOTYPES.arrow_schema.field(name) for name in (*PHENOTYPE_PLACES, "values")])
    table = pa.Table.from_batches(batches, schema).combine_chunks()
    (rows,) = table.to_batches() or [pa.RecordBatch.from_pylist([], schema)]
    values = _to_array(rows.column("values"), n_samples, np.nan, "eqtl_phenotypes").astype(np.float64)
    return PhenotypeRows(rows.select(list(PHENOTYPE_PLACES)), values)


def group_of(row: Mapping[str, Any]) -> str:
    """Group of a row of `eqtl_phenotypes` in a grouped mapping: its group_id, else its gene, else itself."""
    return str(row["group_id"] or row["gene_id"] or row["phenotype_id"])


def arrange_covariates(
    rows: Iterable[Mapping[str, Any]], n_samples: int, contig: str | None = None
) -> tuple[list[str], Floats]:
    """Names and samples × covariates of those rows of `eqtl_covariates` that are for a contig.

    Args:
        rows: of one set.
        n_samples: people.
        contig: contig of the phenotypes; rows of another are left out. None takes those without a contig alone.

    Raises:
        CheckError: a row has another number of samples than the set.
    """
    chosen = [row for row in rows if row.get("contig") in (None, contig)]
    chosen.sort(key=lambda row: int(row["row_index"]))
    if any(len(row["values"]) != n_samples for row in chosen):
        raise CheckError(f"A row has not {n_samples} values.", where="table eqtl_covariates", mend=_DEFECT)
    columns = [np.array(row["values"], dtype=np.float64) for row in chosen]
    values = np.column_stack(columns) if columns else np.empty((n_samples, 0))
    return [str(row["covariate_id"]) for row in chosen], values


def fill_missing(dosages: Dosages) -> Dosages:
    """Each missing dosage filled in with the mean of the variant's others; int8 stays int8 where nothing is missing.

    >>> fill_missing(np.array([[0, 1, 2, -1]], dtype=np.int8)).tolist()
    [[0.0, 1.0, 2.0, 1.0]]
    """
    is_missing = dosages < 0 if dosages.dtype == np.int8 else np.isnan(dosages)
    if not is_missing.any():
        return dosages
    known = np.where(is_missing, 0, dosages).astype(np.float64)
    n_known = np.maximum((~is_missing).sum(axis=1), 1)
    means = known.sum(axis=1) / n_known
    return np.where(is_missing, means[:, None], known).astype(np.float32)


_DEFECT = "This is a defect of kgp: please report it."


def _to_array(lists: pa.ListArray, n_samples: int, missing: float, where: str) -> NDArray[Any]:
    """Lists of one length as rows of an array."""
    lengths = pc.list_value_length(lists)
    if len(lists) and pc.any(pc.fill_null(pc.not_equal(lengths, n_samples), True)).as_py():
        raise CheckError(f"A row has not {n_samples} values.", where=where, mend=_DEFECT)
    flat = pc.fill_null(lists.flatten(), pa.scalar(missing, lists.type.value_type))
    return np.asarray(flat.to_numpy(zero_copy_only=False)).reshape(len(lists), n_samples)
