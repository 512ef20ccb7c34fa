"""Names of matrix sets, and the phenotypes of one as arrays: which there are, where, and what was measured.

Pure functions on Arrow and numpy. Every phenotype comes out: with its values, or with the reason why it is left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgp.errors import CheckError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
# For each phenotype why it is dropped, or None where it is kept.
Reasons = list[str | None]

NO_PLACE = "no place"
CONTIG_NOT_ASKED = "on a contig that was not asked for"
NOT_AUTOSOMAL = "not on an autosome"
NOT_AUTOSOMAL_OR_X = "not on an autosome or X"
NO_GENOTYPES_THERE = "no genotypes on its contig"
NOT_IN_ALL = "not in every quantification"
OTHER_PLACE = "in different places of the quantifications"

# Which parts of a place quantifications must agree in.
_PLACE = ("contig", "start", "end", "strand")

_DEFECT = "This is a defect of kgp: please report it."


def name_matrix(recipe: str, parameters: Mapping[str, object], load_ids: Iterable[str]) -> str:
    """The id of a set: the first 32 hexadecimal digits of the SHA-256 of what its rows depend on.

    Args:
        recipe: version of the code that makes the rows.
        parameters: what was asked for, the set's name included.
        load_ids: loads that the rows come from.

    >>> name_matrix("1", {"name": "a"}, ["y", "x"]) == name_matrix("1", {"name": "a"}, ["x", "y"])
    True
    """
    parts = [recipe, sorted(parameters.items()), sorted(load_ids)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def place_phenotypes(found: pa.Table, *, n_quantifications: int) -> tuple[pa.RecordBatch, Reasons]:
    """Each phenotype once, and why its quantifications disagree about it.

    Args:
        found: phenotypes of all quantifications: ``quantification``, ``phenotype_id`` and the columns of a place.
        n_quantifications: how many quantifications each phenotype must be in.

    Returns:
        the rows without ``quantification``, by phenotype_id, as the first quantification by name has them; for each
        `NOT_IN_ALL`, `OTHER_PLACE` or None.

    Raises:
        CheckError: a quantification has a phenotype twice.
    """
    order = pc.sort_indices(found, sort_keys=[("phenotype_id", "ascending"), ("quantification", "ascending")])
    rows = found.take(order).combine_chunks()
    if not rows.num_rows:
        empty = pa.RecordBatch.from_pylist([], schema=rows.drop_columns(["quantification"]).schema)
        return empty, []
    is_first = ~_equals_previous(rows, ["phenotype_id"])
    twice = ~is_first & _equals_previous(rows, ["quantification"])
    if twice.any():
        name = rows["phenotype_id"][int(twice.argmax())].as_py()
        raise CheckError(
            f"{name} is there twice ({int(twice.sum())} such rows).", where="table phenotypes", mend=_DEFECT
        )
    is_elsewhere = ~is_first & ~_equals_previous(rows, _PLACE)
    first = np.flatnonzero(is_first)
    n_in = np.diff(first, append=rows.num_rows)
    n_elsewhere = np.add.reduceat(is_elsewhere.astype(np.int64), first)
    apart: Reasons = [
        NOT_IN_ALL if n < n_quantifications else OTHER_PLACE if moved else None
        for n, moved in zip(n_in.tolist(), n_elsewhere.tolist(), strict=True)
    ]
    (batch,) = rows.drop_columns(["quantification"]).take(pa.array(first)).combine_chunks().to_batches()
    return batch, apart


def judge_contigs(
    contigs: pa.Array, *, asked: Collection[str], allowed: Collection[str], with_genotypes: Collection[str]
) -> Reasons:
    """Why a phenotype's contig rules it out: `NO_PLACE`, `CONTIG_NOT_ASKED`, `NOT_AUTOSOMAL`, `NO_GENOTYPES_THERE`.

    Args:
        contigs: contig of each phenotype, canonical; null where it has no place.
        asked: contigs that were asked for; none means all.
        allowed: contigs of the build that matrices may have: the autosomes, and X where there is a model of it.
        with_genotypes: contigs on which the callset has rows.

    >>> judge_contigs(pa.array(["22", "X", None]), asked=[], allowed=["22"], with_genotypes=["22"])
    [None, 'not on an autosome', 'no place']
    """
    has_x = bool({"X", "chrX"} & set(allowed))
    rules = [(allowed, NOT_AUTOSOMAL_OR_X if has_x else NOT_AUTOSOMAL), (with_genotypes, NO_GENOTYPES_THERE)]
    if asked:
        rules.insert(0, (asked, CONTIG_NOT_ASKED))
    reasons = np.full(len(contigs), None, dtype=object)
    for names, reason in reversed(rules):
        is_there = pc.is_in(contigs, value_set=pa.array(sorted(names), pa.string()))
        reasons[~is_there.to_numpy(zero_copy_only=False)] = reason
    reasons[contigs.is_null().to_numpy(zero_copy_only=False)] = NO_PLACE
    found: Reasons = reasons.tolist()
    return found


@dataclass(eq=False)
class ValueArray:
    """Values of phenotypes in runs, filled batch by batch.

    Args:
        phenotype_ids: each once.
        run_ids: in the order of the columns, each once.
        values: phenotypes × runs, NaN where no value has been met.
        seen: which places have had a row, with a value or without.
        n_rows: rows that were put in their places.
    """

    phenotype_ids: pa.Array
    run_ids: pa.Array
    values: Floats
    seen: Flags
    n_rows: int = 0

    @classmethod
    def of(cls, phenotype_ids: pa.Array, run_ids: Sequence[str]) -> ValueArray:
        """One without values."""
        shape = (len(phenotype_ids), len(run_ids))
        return cls(
            phenotype_ids, pa.array(run_ids, pa.string()), np.full(shape, np.nan), np.zeros(shape, np.bool_)
        )

    def add(self, batch: pa.RecordBatch) -> None:
        """Put the values of some rows in their places; rows of other runs are passed over.

        Args:
            batch: columns phenotype_id, run_id and value; neighbouring rows of one phenotype are looked up once.

        Raises:
            CheckError: a phenotype is none of them.
        """
        column = pc.index_in(batch["run_id"], value_set=self.run_ids)
        is_wanted = column.is_valid().to_numpy(zero_copy_only=False)
        row = self._find_rows(batch["phenotype_id"])[is_wanted]
        place = row * self.values.shape[1] + column.drop_null().to_numpy()
        self.seen.reshape(-1)[place] = True
        self.values.reshape(-1)[place] = batch["value"].to_numpy(zero_copy_only=False)[is_wanted]
        self.n_rows += len(place)

    def check_each_once(self, where: str) -> None:
        """Refuse several rows of one phenotype and run.

        Raises:
            CheckError: there are.
        """
        if (n := self.n_rows - int(np.count_nonzero(self.seen))) > 0:
            raise CheckError(
                f"{n:,} values are second ones of a run and a phenotype.", where=where, mend=_DEFECT
            )

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.phenotype_ids.to_pylist())}

    def _find_rows(self, phenotype_ids: pa.Array) -> NDArray[np.int64]:
        encoded = pc.run_end_encode(phenotype_ids)
        names = encoded.values.dictionary_encode()
        found = np.array([self._row_of.get(name, -1) for name in names.dictionary.to_pylist()], np.int64)
        if (found < 0).any():
            name = names.dictionary[int(found.argmin())].as_py()
            raise CheckError(
                f"{name} has values, but no row in table phenotypes.", where="table expression", mend=_DEFECT
            )
        lengths = np.diff(encoded.run_ends.to_numpy(), prepend=0)
        return np.repeat(found[names.indices.to_numpy()], lengths)


def as_lists(values: Floats, is_missing: Flags) -> pa.ListArray:
    """Rows of an array as Arrow lists, null where missing.

    >>> as_lists(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[False, True], [False, False]])).to_pylist()
    [[1.0, None], [3.0, 4.0]]
    """
    n_rows, n_columns = values.shape
    offsets = np.arange(n_rows + 1, dtype=np.int32) * n_columns
    flat = pa.array(values.reshape(-1), mask=is_missing.reshape(-1))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat)


def _equals_previous(rows: pa.Table, columns: Sequence[str]) -> Flags:
    """Whether a row has the same in some columns as the row before it, null being the same as null."""
    same = np.ones(rows.num_rows, dtype=np.bool_)
    same[0] = False
    for name in columns:
        column = rows[name].combine_chunks()
        now, before = column[1:], column[:-1]
        both_null = pc.and_(now.is_null(), before.is_null())
        is_same = pc.or_(pc.fill_null(pc.equal(now, before), False), both_null)
        same[1:] &= is_same.to_numpy(zero_copy_only=False)
    return same
