"""Rows of `variants` with their genotypes as one array, as tasks read them: no Spark row, no JVM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgp.io.parts import TablePart, read_part
from kgp.tables import VARIANTS
from kgp.transforms.calls import TEXT
from kgp.transforms.gt_texts import other_length, read_gt_texts

Dosages = NDArray[np.int8]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

_COLUMNS = ("start", "ref", "alt", "alt_index", "n_alts", "n_het", "n_hom_alt", "dosages")
_BASES = pa.array(list("ACGTacgt"))


@dataclass(frozen=True, eq=False)
class GenotypeRows:
    """Rows of `variants` that have genotypes.

    Args:
        contig: of all of them, canonical.
        rows: their other columns.
        dosages: variants × samples of the callset, copies of the row's ALT, -1 where missing.
        n_without: rows that have no genotypes and are left out here.
    """

    contig: str
    rows: pa.RecordBatch
    dosages: Dosages
    n_without: int

    @cached_property
    def starts(self) -> Ints:
        """0-based."""
        return np.asarray(self.rows["start"].to_numpy())

    @cached_property
    def is_record(self) -> Flags:
        """One row of each record: those of its further ALTs are not."""
        return _flags(pc.less_equal(self.rows["alt_index"], 1))

    @cached_property
    def is_snv(self) -> Flags:
        """Biallelic, with one base for another."""
        bases = (pc.is_in(self.rows[name], value_set=_BASES) for name in ("ref", "alt"))
        return _flags(pc.and_(pc.and_(*bases), pc.equal(self.rows["n_alts"], 1)))

    def is_diploid(self, chosen: Ints) -> Flags:
        """Whether the genotypes of some rows are diploid, by the counts of the load: a haploid 1 is no het.

        Rows that came without counts are taken as diploid where no dosage is above 2.
        """
        dosages = self.dosages[chosen]
        is_so = np.asarray(dosages.max(axis=1, initial=0) <= 2)
        for name, copies in (("n_het", 1), ("n_hom_alt", 2)):
            known = pc.fill_null(self.rows[name].take(pa.array(chosen)), -1).to_numpy()
            is_so &= (known < 0) | (known == (dosages == copies).sum(axis=1))
        return is_so

    def find_haploid(self, chosen: Ints) -> Flags:
        """Genotypes with one allele: rows × samples. It needs the column `calls`."""
        found = np.zeros((len(chosen), self.dosages.shape[1]), dtype=bool)
        calls = self.rows["calls"].take(pa.array(chosen)).to_pylist()
        texts = [i for i, one in enumerate(calls) if one and one[0] == TEXT]
        if texts:
            alt_indices = self.rows["alt_index"].take(pa.array(chosen[texts])).to_pylist()
            read = read_gt_texts([calls[i][1:] for i in texts], alt_indices, self.dosages.shape[1])
            found[texts] = (read.called == 1) & ~read.is_missing
        return found


def read_genotypes(part: TablePart, n_callset: int, *, with_calls: bool = False) -> Iterator[GenotypeRows]:
    """Rows of a part of `variants`, a row group at a time.

    Args:
        part: of the table.
        n_callset: samples of the callset.
        with_calls: read the column `calls`, too, which tells haploid genotypes from diploid ones.

    Raises:
        CheckError: a row has genotypes of another number of samples.
    """
    columns = (*_COLUMNS, "calls") if with_calls else _COLUMNS
    for batch in read_part(part, VARIANTS, columns):
        rows = batch if not batch["dosages"].null_count else batch.filter(batch["dosages"].is_valid())
        lists = rows["dosages"]
        lengths = pc.list_value_length(lists)
        if len(lists) and not pc.all(pc.equal(lengths, n_callset)).as_py():
            wrong = lengths.filter(pc.not_equal(lengths, n_callset))[0].as_py()
            raise other_length(wrong, n_callset)
        flat = lists.flatten()
        values = (pc.fill_null(flat, -1) if flat.null_count else flat).to_numpy(zero_copy_only=False)
        others = rows.select([name for name in columns if name != "dosages"])
        yield GenotypeRows(
            str(part.values["contig"]), others, values.reshape(-1, n_callset), len(batch) - len(rows)
        )


def _flags(values: pa.Array) -> Flags:
    return np.asarray(pc.fill_null(values, False).to_numpy(zero_copy_only=False))
