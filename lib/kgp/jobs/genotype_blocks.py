"""Genotypes of a callset as blocks of numbers, read from parts of `variants`: no Spark row, no JVM.

`Selection` chooses the common biallelic SNVs that tell of people, and counts what it leaves out; `stream_contig` gives
those of a contig in order of their places, however its files lie.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kgp.eqtl.common_variants import CommonRule, find_incomplete, find_rare
from kgp.eqtl.sample_quality import code_hemizygous
from kgp.io.parts import TablePart
from kgp.jobs.genotype_rows import GenotypeRows, read_genotypes

Dosages = NDArray[np.int8]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

NO_GENOTYPES = "no genotypes"
NOT_SNV = "no biallelic SNV"
NOT_DIPLOID = "genotypes that are not diploid"
INCOMPLETE = "too many missing genotypes"
RARE = "minor allele too rare"


@dataclass(frozen=True, eq=False)
class GenotypeBlock:
    """Variants of a contig that were chosen.

    Args:
        starts: 0-based, one a variant.
        refs, alts: bases as bytes, one a variant.
        dosages: variants × samples, copies of ALT, -1 where missing.
    """

    starts: Ints
    refs: NDArray[np.bytes_]
    alts: NDArray[np.bytes_]
    dosages: Dosages

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, chosen: Flags | Ints) -> GenotypeBlock:
        """Those variants only."""
        return GenotypeBlock(self.starts[chosen], self.refs[chosen], self.alts[chosen], self.dosages[chosen])

    def in_order(self) -> GenotypeBlock:
        """By start, REF and ALT: the same order from whatever files they come."""
        keys = (self.alts, self.refs, self.starts)
        order = np.lexsort(keys)
        return self if np.array_equal(order, np.arange(len(self))) else self.take(order)


@dataclass(frozen=True)
class Selection:
    """Common biallelic SNVs, and the people whose genotypes are wanted.

    Args:
        n_callset: samples of the callset's arrays.
        common: bounds, among these people.
        sample_indices: places of the people in the callset's arrays; None for everybody.
    """

    n_callset: int
    common: CommonRule
    sample_indices: tuple[int, ...] | None = None

    @property
    def n_samples(self) -> int:
        """People."""
        return self.n_callset if self.sample_indices is None else len(self.sample_indices)

    def choose(self, found: GenotypeRows, dropped: Counter[str]) -> GenotypeBlock:
        """Those of an autosome; what is left out is counted by the first reason that holds."""
        dropped[NO_GENOTYPES] += found.n_without
        rows = np.flatnonzero(found.is_snv)
        dropped[NOT_SNV] += len(found.is_snv) - len(rows)
        rows = _keep(rows, found.is_diploid(rows), NOT_DIPLOID, dropped)
        dosages = self._pick(found.dosages, rows)
        return self._choose_common(found, rows, dosages, dropped)

    def choose_x(
        self, found: GenotypeRows, is_wanted: Flags, has_one_copy: Flags, dropped: Counter[str]
    ) -> tuple[GenotypeBlock, Ints]:
        """Those of X, haploid genotypes coded 0 and 2; and the haploid genotypes of each person.

        Args:
            found: rows with `calls`.
            is_wanted: rows outside the pseudoautosomal regions.
            has_one_copy: people who are known to have one X.
            dropped: counts of what is left out, added to.
        """
        dropped[NO_GENOTYPES] += found.n_without
        rows = np.flatnonzero(found.is_snv & is_wanted)
        dropped[NOT_SNV] += int(is_wanted.sum()) - len(rows)
        rows = _keep(rows, found.dosages[rows].max(axis=1, initial=0) <= 2, NOT_DIPLOID, dropped)
        is_haploid = found.find_haploid(rows)
        dosages = code_hemizygous(self._pick(found.dosages, rows), is_haploid)
        block = self._choose_common(found, rows, dosages, dropped, has_one_copy)
        return block, is_haploid.sum(axis=0, dtype=np.int64)

    def _pick(self, dosages: Dosages, rows: Ints) -> Dosages:
        picked = dosages if len(rows) == len(dosages) else dosages[rows]
        return picked if self.sample_indices is None else np.take(picked, self.sample_indices, axis=1)

    def _choose_common(
        self,
        found: GenotypeRows,
        rows: Ints,
        dosages: Dosages,
        dropped: Counter[str],
        has_one_copy: Flags | None = None,
    ) -> GenotypeBlock:
        is_complete = ~find_incomplete(dosages, self.common)
        is_common = ~find_rare(dosages, self.common, has_one_copy)
        dropped[INCOMPLETE] += int((~is_complete).sum())
        dropped[RARE] += int((is_complete & ~is_common).sum())
        is_kept = is_complete & is_common
        kept = rows[is_kept]
        refs, alts = (_letters(found.rows[name].take(pa.array(kept))) for name in ("ref", "alt"))
        return GenotypeBlock(found.starts[kept], refs, alts, dosages[is_kept])


def stream_contig(
    parts: Iterable[TablePart], selection: Selection, dropped: Counter[str]
) -> Iterator[GenotypeBlock]:
    """The chosen variants of an autosome in order of start, REF and ALT.

    A part is read when its turn comes, and held are the chosen variants that a later part may have one before: where
    files lie one after the other, those of one part. So parts should be single row groups.

    Args:
        parts: of one contig.
        selection: what is wanted.
        dropped: counts of what is left out, added to.
    """
    ordered = sorted(parts, key=_least)
    held: list[GenotypeBlock] = []
    for part, limit in zip_longest(ordered, map(_least, ordered[1:])):
        for found in read_genotypes(part, selection.n_callset):
            held.append(selection.choose(found, dropped))
        if not held:
            continue
        joined = _join(held)
        # Variants at the limit wait for those of the next part at the same place.
        is_ready = np.ones(len(joined), bool) if limit is None else joined.starts < limit
        held = [joined.take(~is_ready)]
        if is_ready.any():
            yield joined.take(is_ready).in_order()


def in_batches(blocks: Iterable[Dosages], n_rows: int) -> Iterator[Dosages]:
    """The same variants in batches of exactly so many, the last of fewer: sums in floating point don't depend on files.

    >>> [len(batch) for batch in in_batches([np.zeros((n, 2), np.int8) for n in (1, 5, 1)], 3)]
    [3, 3, 1]
    """
    held: list[Dosages] = []
    n_held = 0
    for block in blocks:
        held.append(block)
        n_held += len(block)
        if n_held >= n_rows:
            joined = np.concatenate(held)
            n_whole = n_held - n_held % n_rows
            yield from (joined[at : at + n_rows] for at in range(0, n_whole, n_rows))
            held, n_held = [joined[n_whole:]], n_held - n_whole
    if n_held:
        yield np.concatenate(held)


def _keep(rows: Ints, is_kept: Flags, reason: str, dropped: Counter[str]) -> Ints:
    dropped[reason] += int((~is_kept).sum())
    return rows[is_kept]


def _join(blocks: Sequence[GenotypeBlock]) -> GenotypeBlock:
    if len(blocks) == 1:
        return blocks[0]
    columns = zip(*((one.starts, one.refs, one.alts, one.dosages) for one in blocks), strict=True)
    return GenotypeBlock(*(np.concatenate(column) for column in columns))


def _least(part: TablePart) -> int:
    """Least start that a part may hold."""
    return -1 if part.starts is None else part.starts[0]


def _letters(values: pa.Array) -> NDArray[np.bytes_]:
    return np.array([text.encode().upper() for text in values.to_pylist()], dtype="S1")
