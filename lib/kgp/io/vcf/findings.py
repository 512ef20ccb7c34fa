"""What is noticed of a file while its lines are parsed: how many there are, where they lie, what is odd about them.

Each task looks at its split and gives back `Findings`; the driver puts them together and decides whether the rows that
the tasks have written may be committed. The count of lines is taken from the inflated text, before anyone asks what a
line means or which split it belongs to, so that a record that gets lost on the way can't stay unnoticed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgp.genome import ReferenceBuild
from kgp.io.splits import LineCount
from kgp.io.vcf.conformance import (
    LineChecker,
    Oddity,
    OrderChecker,
    check_header,
    count_at_seams,
    needs_line_end,
)
from kgp.io.vcf.header import VcfHeader
from kgp.io.vcf.order import follow_order
from kgp.io.vcf.parser import Lines
from kgp.io.vcf.rows import Layout

UNKNOWN_CONTIG = "contig unknown to the build"
NO_END_MARKER = "BGZF end marker missing"
STALE_INDEX = "index does not belong to the file"
NO_SEX = "Hardy-Weinberg on X left out: sexes unknown"

# Places of a warning that are kept.
MOST_PLACES = 20


@dataclass
class Findings:
    """What one split says; small, whatever the split's size.

    Args:
        lines: of the stretch of text that the split covers.
        n_selected: records in the selection, malformed ones and damaged stretches included.
        n_rejected: those of them that can't be loaded.
        n_blank, n_blank_last: empty lines, which are no records; those after the last line that is not empty.
        contigs: contig as spelled → records that were loaded.
        contig_at: contig as spelled → record offset of its first record.
        last_ends: contig as spelled → greatest POS - 1 + length of REF (0-based, exclusive).
        warnings: kind → records.
        warned_at: kind → record offsets of the first of them.
        last_offset: record offset of the last line that is not empty.
        order: how the records follow each other.
        edge_ids: ids of the rows at the first and at the last place, which may go on in the neighbouring splits.
        repeated_ids: ids that occur more than once in the split.
    """

    lines: LineCount = field(default_factory=LineCount)
    n_selected: int = 0
    n_rejected: int = 0
    n_blank: int = 0
    n_blank_last: int = 0
    contigs: Counter[str] = field(default_factory=Counter)
    contig_at: dict[str, int] = field(default_factory=dict)
    last_ends: dict[str, int] = field(default_factory=dict)
    warnings: Counter[str] = field(default_factory=Counter)
    warned_at: dict[str, list[int]] = field(default_factory=dict)
    last_offset: int | None = None
    order: OrderChecker = field(default_factory=OrderChecker)
    edge_ids: list[str] = field(default_factory=list)
    repeated_ids: set[str] = field(default_factory=set)

    def warn(self, kind: str, offset: int, n: int = 1) -> None:
        """Count a warning."""
        self.warnings[kind] += n
        places = self.warned_at.setdefault(kind, [])
        if len(places) < MOST_PLACES:
            places.append(offset)

    def add_lines(self, lines: Lines, n_rejected: int) -> None:
        """The lines of a chunk."""
        self.n_selected += len(lines.offsets)
        self.n_rejected += n_rejected
        for offset in lines.blanks[: len(lines.blanks) - lines.n_last].tolist():
            self.warn(Oddity.BLANK_LINE.value, offset)
        self.n_blank += len(lines.blanks)
        if len(lines.offsets):
            if self.n_blank_last:
                self.warn(Oddity.BLANK_LINE.value, int(lines.offsets[0]), self.n_blank_last)
            self.n_blank_last = 0
            self.last_offset = int(lines.offsets[-1])
        self.n_blank_last += lines.n_last

    def add_damage(self) -> None:
        """A stretch that can't be inflated is one record that can't be loaded."""
        self.n_selected += 1
        self.n_rejected += 1

    def add_warnings(self, later: Findings) -> None:
        """The warnings of a later part of the file."""
        self.warnings += later.warnings
        for kind, offsets in later.warned_at.items():
            places = self.warned_at.setdefault(kind, [])
            places += offsets[: MOST_PLACES - len(places)]

    def add_rows(self, batch: pa.RecordBatch, layout: Layout) -> None:
        """Rows that were loaded, in file order: where they lie, and in which order."""
        first_of_record = batch.select(["record_id", "source_contig", "start", "ref", "alt_index"])
        if pc.max(batch["alt_index"]).as_py() > 1:
            first_of_record = first_of_record.filter(pc.less_equal(batch["alt_index"], 1))
        contig = first_of_record["source_contig"].dictionary_encode()
        codes = np.array(contig.indices)
        record_ids = np.array(first_of_record["record_id"])
        ends = np.array(first_of_record["start"]) + np.array(pc.binary_length(first_of_record["ref"]))
        for code, name in enumerate(contig.dictionary.to_pylist()):
            mine = codes == code
            self.contigs[name] += int(mine.sum())
            self.contig_at.setdefault(name, int(record_ids[mine][0]))
            self.last_ends[name] = max(int(ends[mine].max()), self.last_ends.get(name, -1))
        for kind, offset in follow_order(self.order, batch):
            self.warn(kind, offset)
        if layout.females is None:
            self._miss_sexes(batch, layout.reference)

    def _miss_sexes(self, batch: pa.RecordBatch, build: ReferenceBuild) -> None:
        """Warn about rows that would have a Hardy-Weinberg p if the women were known."""
        names = [
            n for n in pc.unique(batch["contig"]).to_pylist() if build.canonical(n) == build.canonical("X")
        ]
        if not names:
            return
        rows = batch.select(["record_id", "contig", "start", "n_het"])
        rows = rows.filter(pc.and_(pc.is_in(batch["contig"], pa.array(names)), pc.is_valid(batch["n_het"])))
        places = zip(rows["contig"].to_pylist(), rows["start"].to_pylist(), strict=True)
        is_unique = np.array([build.inheritance(*place) == "x" for place in places], dtype=bool)
        if n := int(is_unique.sum()):
            self.warn(NO_SEX, int(np.array(rows["record_id"])[is_unique][0]), n)


@dataclass(frozen=True)
class Survey:
    """What all splits of a file say together.

    Args:
        n_records: lines after the header that are in the selection, blank, malformed and damaged ones included.
        n_rejected: those of them that can't be loaded.
        contigs: contig as spelled → records that can.
        last_ends: contig as spelled → greatest POS - 1 + length of REF (0-based, exclusive).
        warnings: what is odd but can be loaded → records with it.
        warned_at: the same → record offsets of the first of them; in the header, of its line.
        is_sorted: whether rows come in order, so that rows of one place stand together.
        has_open_ids: whether ids may repeat where two splits meet, which no task can see.
        n_stored: bytes fetched from storage.
    """

    n_records: int
    n_rejected: int
    contigs: Mapping[str, int]
    last_ends: Mapping[str, int]
    warnings: Mapping[str, int]
    warned_at: Mapping[str, Sequence[int]]
    is_sorted: bool
    has_open_ids: bool
    n_stored: int

    @property
    def needs_another_look(self) -> bool:
        """Whether rows must be sorted, or ids be compared over the whole file, before the rows can be written."""
        return not self.is_sorted or self.has_open_ids


def put_together(
    parts: Sequence[Findings],
    header: VcfHeader,
    build: ReferenceBuild,
    *,
    is_everything: bool,
    has_end_marker: bool,
    has_stale_index: bool = False,
) -> Survey:
    """Put the findings of a file's splits together.

    Args:
        parts: in file order.
        header: of the file.
        build: of its coordinates.
        is_everything: whether the whole file was asked for: then the lines of the text are counted, else those that
            were found to be in the selection.
        has_end_marker: whether BGZF's end marker is there, where the file is BGZF.
        has_stale_index: whether an index lies beside the file that does not belong to it.
    """
    contigs: Counter[str] = Counter()
    last_ends: dict[str, int] = {}
    contig_at: dict[str, int] = {}
    total = Findings()
    for finding in check_header(header.lines, header.version):
        total.warn(finding.what, header.line_offsets[finding.line])
    for part in parts:
        contigs += part.contigs
        contig_at = part.contig_at | contig_at
        total.add_warnings(part)
        for name, end in part.last_ends.items():
            last_ends[name] = max(end, last_ends.get(name, end))
    for kind, n in count_at_seams([part.order for part in parts]).items():
        total.warnings[kind.value] += n
    is_sorted = not total.warnings[Oddity.OUT_OF_ORDER.value]
    checker = LineChecker.of(header)
    for name, n in contigs.items():
        for kind in checker.find_contig(name):
            total.warn(kind.value, contig_at[name], n)
        if build.canonical(name) is None:
            total.warn(UNKNOWN_CONTIG, contig_at[name], n)
    if not has_end_marker:
        total.warnings[NO_END_MARKER] = 1
    if has_stale_index:
        total.warnings[STALE_INDEX] = 1
    # Empty lines at the end of a file are nothing; before a record, in whichever split it is, they are odd.
    n_blank = 0
    for part in parts:
        if n_blank and part.last_offset is not None:
            total.warn(Oddity.BLANK_LINE.value, part.last_offset, n_blank)
            n_blank = 0
        n_blank += part.n_blank_last
    # The last split may have no text: BGZF's end marker alone.
    is_open = next((part.lines.is_open for part in reversed(parts) if not part.lines.is_empty), False)
    n_lines = sum(part.lines.n - part.n_blank for part in parts) + is_open
    if is_everything and is_open and needs_line_end(header.version):
        last = [part.last_offset for part in parts if part.last_offset is not None]
        total.warn(Oddity.NO_LINE_END.value, last[-1] if last else header.offset)
    at_seams = Counter(name for part in parts for name in set(part.edge_ids))
    is_one_name_a_contig = len({build.canonical(name) or name for name in contigs}) == len(contigs)
    return Survey(
        n_records=n_lines - len(header.lines) if is_everything else sum(part.n_selected for part in parts),
        n_rejected=sum(part.n_rejected for part in parts),
        contigs=dict(contigs),
        last_ends=last_ends,
        warnings={name: n for name, n in sorted(total.warnings.items()) if n},
        warned_at=total.warned_at,
        is_sorted=is_sorted and is_one_name_a_contig,
        has_open_ids=any(n > 1 for n in at_seams.values()),
        n_stored=sum(part.lines.n_stored for part in parts),
    )
