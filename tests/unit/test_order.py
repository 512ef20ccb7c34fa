"""Rows in order: repeated ids are numbered, and the checker hears of all that it must, however rows come in batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgp.io.vcf.conformance import Oddity, OrderChecker, count_at_seams
from kgp.io.vcf.order import IdNumbering, follow_order
from kgp.tables import VARIANTS


@dataclass(frozen=True)
class Record:
    """A record; `offset` ascends in the file."""

    offset: int
    contig: str
    start: int
    ref: str
    alts: tuple[str, ...]

    def rows(self) -> list[dict[str, object]]:
        """One an ALT, or one without."""
        return [
            {
                "callset": "c", "load_id": "l", "contig": self.contig, "source_contig": self.contig, "ref": self.ref,
                "start": self.start, "end": self.start + len(self.ref), "record_id": self.offset, "alt": alt,
                "alt_index": i if alt else 0, "n_alts": len(self.alts),
                "variant_id": f"{self.contig}_{self.start + 1}_{self.ref}_{alt or '.'}",
            }
            for i, alt in enumerate(self.alts or (None,), 1)
        ]  # fmt: skip


def batches_of(records: Sequence[Record], cuts: Sequence[int]) -> list[pa.RecordBatch]:
    """Rows of records, with a batch's end before each record of `cuts`."""
    ends = sorted({0, len(records), *(cut for cut in cuts if cut < len(records))})
    return [
        pa.RecordBatch.from_pylist(
            [row for record in records[begin:end] for row in record.rows()], schema=VARIANTS.arrow_schema
        )
        for begin, end in pairwise(ends)
    ]


ALLELES = ["A", "T", "AT", "TA", "AA", "ATA", "CAT", "CT", "CATT", "TAC"]


@st.composite
def files(draw: st.DrawFn, *, is_sorted: bool) -> list[Record]:
    """Records close to each other, so that places and variants repeat; some contigs come back where not sorted."""
    steps = [0, 0, 1, 1, 2, 3, 9] if is_sorted else [0, 0, 1, 1, 2, 3, 9, -1, -2, -9]
    contigs = ["1", "2", "X"]
    records = []
    contig, start = 0, 100
    for number in range(draw(st.integers(0, 25))):
        if draw(st.integers(0, 9)) == 0 and (contig < 2 or not is_sorted):
            contig = contig + 1 if is_sorted else draw(st.integers(0, 2))
            start = draw(st.sampled_from([100, 90, 103]))
        start += draw(st.sampled_from(steps))
        alts = draw(
            st.lists(
                st.sampled_from([*ALLELES, "<DEL>", "*"]), max_size=3, unique=draw(st.integers(0, 3)) > 0
            )
        )
        ref = draw(st.sampled_from(ALLELES))
        records.append(Record(10 * number + 5, contigs[contig], start, ref, tuple(alts)))
    return records


CUTS = st.lists(st.integers(0, 24), max_size=8)


@settings(max_examples=200, deadline=None)
@given(records=files(is_sorted=True), cuts=CUTS)
def test_ids_are_numbered_as_if_all_rows_were_seen_at_once(records: list[Record], cuts: list[int]) -> None:
    numbering = IdNumbering()
    batches = [numbering.number(batch) for batch in batches_of(records, cuts)]
    edge_ids = numbering.close()
    rows = [row for record in records for row in record.rows()]

    seen: Counter[str] = Counter()
    expected = []
    for row in rows:
        name = str(row["variant_id"])
        seen[name] += 1
        expected.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    assert [name for batch in batches for name in batch["variant_id"].to_pylist()] == expected
    assert numbering.repeated == {name for name, n in seen.items() if n > 1}
    # What else is in the rows stays.
    for batch, before in zip(batches, batches_of(records, cuts), strict=True):
        assert batch.schema == before.schema
        assert batch.drop_columns(["variant_id"]).equals(before.drop_columns(["variant_id"]))

    places = [(row["contig"], row["start"]) for row in rows]
    edges = {places[0], places[-1]} if places else set()
    at_edges = [row["variant_id"] for row, place in zip(rows, places, strict=True) if place in edges]
    assert sorted(edge_ids) == sorted(map(str, at_edges))


def tell(records: Sequence[Record]) -> tuple[OrderChecker, list[tuple[str, int]]]:
    """A checker that heard of every record, and what it found."""
    checker = OrderChecker()
    found = [
        (kind.value, one.offset)
        for one in records
        for kind in checker.find(one.contig, one.start, one.ref, one.alts)
    ]
    return checker, found


def follow(records: Sequence[Record], cuts: Sequence[int]) -> tuple[OrderChecker, list[tuple[str, int]]]:
    """The same by the rows."""
    checker = OrderChecker()
    found = [one for batch in batches_of(records, cuts) for one in follow_order(checker, batch)]
    return checker, found


@settings(max_examples=300, deadline=None)
@given(records=files(is_sorted=True) | files(is_sorted=False), cuts=CUTS)
def test_rows_tell_all_that_records_tell(records: list[Record], cuts: list[int]) -> None:
    by_records, expected = tell(records)
    by_rows, found = follow(records, cuts)
    assert found == expected
    assert (by_rows.first, by_rows.last, by_rows.runs) == (by_records.first, by_records.last, by_records.runs)


@settings(max_examples=200, deadline=None)
@given(records=files(is_sorted=False), cuts=CUTS, seams=CUTS)
def test_parts_of_a_file_and_their_seams_count_like_the_file(
    records: list[Record], cuts: list[int], seams: list[int]
) -> None:
    """What is out of order; whether a variant occurs twice is not seen over seams."""
    _, whole = tell(records)
    ends = [0, *sorted(seam for seam in seams if seam < len(records)), len(records)]
    parts = [follow(records[a:b], [cut - a for cut in cuts if cut > a]) for a, b in pairwise(ends)]
    at_seams = count_at_seams([checker for checker, _ in parts])
    expected = Counter(kind for kind, _ in whole)
    counted = Counter(kind for _, found in parts for kind, _ in found)
    counted += Counter({kind.value: n for kind, n in at_seams.items()})
    for counts in (counted, expected):
        counts.pop(Oddity.VARIANT_TWICE.value, None)
    assert counted == expected


@pytest.mark.parametrize("n_between", [0, 1, 30])
@pytest.mark.parametrize("cuts", [[], [1], [2], list(range(40))])
def test_a_variant_that_two_spellings_name(n_between: int, cuts: list[int]) -> None:
    """ATTT…G → AATTT…C is T → C at its end once the shared bases are off: found however many rows lie between."""
    length = n_between + 2
    records = [Record(5, "1", 100, "A" + "T" * length, ("A" + "T" * (length - 1) + "C",))]
    records += [Record(10 * i + 5, "1", 100 + i, "T", ("G",)) for i in range(1, n_between + 1)]
    records.append(Record(10 * length + 5, "1", 100 + length, "T", ("C",)))
    records.append(Record(10 * length + 15, "1", 500, "T", ("C",)))
    _, found = follow(records, cuts)
    assert found == tell(records)[1]
    assert [offset for _, offset in found] == [10 * length + 5]
