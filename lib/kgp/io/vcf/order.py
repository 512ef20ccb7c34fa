"""How rows follow each other: which are out of order, and `variant_id` made unique where it would repeat.

Where rows are in order, those of one place stand together, and ids repeat only there. Nearly every place has one
row, and those need no look: only the rows that share a place, or might after the bases that REF and ALT share are
cut off, are taken one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kgp.io.vcf.conformance import OrderChecker

Bools = npt.NDArray[np.bool_]


def follow_order(checker: OrderChecker, batch: pa.RecordBatch) -> Iterator[tuple[str, int]]:
    """Tell a checker of the records whose rows these are; gives (kind, record offset) of what it finds."""
    record_ids = np.array(batch["record_id"])
    rows = np.flatnonzero(_needs_a_look(batch) | _is_within_reach(checker, batch))
    contigs, refs, alts = (batch[name].take(pa.array(rows)).to_pylist() for name in ("contig", "ref", "alt"))
    starts = np.array(batch["start"])[rows].tolist()
    at = 0
    while at < len(rows):
        end = at + 1
        while end < len(rows) and record_ids[rows[end]] == record_ids[rows[at]]:
            end += 1
        of_record = [alt for alt in alts[at:end] if alt is not None]
        for kind in checker.find(contigs[at], starts[at], refs[at], of_record):
            yield kind.value, int(record_ids[rows[at]])
        at = end


def _is_within_reach(checker: OrderChecker, batch: pa.RecordBatch) -> Bools:
    """Rows that may repeat a variant of rows before this batch."""
    if checker.last is None or checker.furthest < 0:
        return np.zeros(len(batch), dtype=bool)
    starts = np.array(batch["start"])
    is_near = (starts >= checker.last[1]) & (starts <= checker.furthest)
    is_near &= np.array(pc.equal(batch["contig"], checker.last[0]))
    return np.array(pc.is_in(batch["record_id"], batch["record_id"].filter(pa.array(is_near))))


def _needs_a_look(batch: pa.RecordBatch) -> Bools:
    """Rows that may share a place with another one, and both ends of each contig; with all rows of their records."""
    starts = np.array(batch["start"])
    contig = np.array(batch["contig"].dictionary_encode().indices)
    needed = np.zeros(len(starts), dtype=bool)
    needed[[0, -1]] = True
    is_same = (starts[1:] <= starts[:-1]) | (contig[1:] != contig[:-1])
    needed[1:] |= is_same
    needed[:-1] |= is_same
    # An ALT of several bases beside a REF of several may, when cut, lie further on.
    n_ref, n_alt = (np.array(pc.binary_length(batch[name]).fill_null(0)) for name in ("ref", "alt"))
    for row in np.flatnonzero((n_ref > 1) & (n_alt > 1)).tolist():
        reach = starts[row] + min(n_ref[row], n_alt[row])
        last = row + 1
        while last < len(starts) and contig[last] == contig[row] and starts[row] <= starts[last] <= reach:
            last += 1
        needed[row:last] = True
    if (several := np.array(batch["n_alts"]) > 1).any():
        needed |= several
    return needed


@dataclass
class IdNumbering:
    """Numbers repeated ids of rows in order: the second row of a name gets #2, the third #3.

    Args:
        edge_ids: ids of the rows at the first and at the last place, before they are numbered.
        repeated: ids that occur more than once.
    """

    edge_ids: list[str] = field(default_factory=list)
    repeated: set[str] = field(default_factory=set)
    _place: tuple[str, int] | None = None
    _seen: Counter[str] = field(default_factory=Counter)
    _is_first_place: bool = True

    def number(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows with unique ids, as far as rows before them in the split tell."""
        starts = np.array(batch["start"])
        contig = np.array(batch["contig"].dictionary_encode().indices)
        is_new = np.ones(len(starts), dtype=bool)
        is_new[1:] = (starts[1:] != starts[:-1]) | (contig[1:] != contig[:-1])
        begins = np.flatnonzero(is_new)
        ends = np.append(begins[1:], len(starts))
        several = np.flatnonzero(ends - begins > 1).tolist()
        renamed: dict[int, str] = {}
        for group in sorted({0, *several, len(begins) - 1}):
            begin, end = int(begins[group]), int(ends[group])
            self._enter((batch["contig"][begin].as_py(), int(starts[begin])), is_later=group > 0)
            for row, name in enumerate(batch["variant_id"].slice(begin, end - begin).to_pylist(), begin):
                self._seen[name] += 1
                if self._is_first_place:
                    self.edge_ids.append(name)
                if (n := self._seen[name]) > 1:
                    renamed[row] = f"{name}#{n}"
                    self.repeated.add(name)
        if not renamed:
            return batch
        ids = batch["variant_id"].to_pylist()
        for row, name in renamed.items():
            ids[row] = name
        index = batch.schema.get_field_index("variant_id")
        return batch.set_column(index, batch.schema.field(index), pa.array(ids, pa.string()))

    def close(self) -> list[str]:
        """All rows are known: the ids at the edges."""
        if not self._is_first_place:
            self.edge_ids += self._seen.elements()
        return self.edge_ids

    def _enter(self, place: tuple[str, int], *, is_later: bool) -> None:
        if place != self._place or is_later:
            self._is_first_place = self._place is None
            self._place, self._seen = place, Counter()
