"""What a task makes of a split of an expression matrix: files of three tables, and what the driver must know of them.

Nothing is visible before the driver has heard of every split. A task that finds something which refuses the matrix
writes no more, but reads on: a message says how many lines are bad in all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from deltalake.transaction import AddAction

from kgp.errors import KgpError
from kgp.genome import get_build
from kgp.io.direct import TableWriter
from kgp.io.expression.blocks import BadLine, Block
from kgp.io.expression.layout import MatrixLayout
from kgp.io.expression.lines import LineParser
from kgp.io.expression.place import BAD_PLACE, Phenotype, PlaceFinder, PlaceProblem
from kgp.io.expression.rows import Subject, phenotype_rows, quarantine_rows, value_rows
from kgp.io.places import Annotation, Place
from kgp.io.places.landmarks import is_landmark
from kgp.io.splits import LineCount, Split, read_chunks
from kgp.tables.expression import EXPRESSION, PHENOTYPES
from kgp.tables.ledger import QUARANTINE

BLANK_LINE, UNKNOWN_CONTIG = "blank line", "contig unknown to the build"
VALUE_MISSING, BELOW_0 = "missing value", "value below 0"

# Text that is parsed at once: a stretch, its numbers and its rows take about ten times as much.
CHUNK_BYTES = 4 << 20
MOST_KEPT = 20
_SHOWN_BYTES = 200


@dataclass(frozen=True)
class Roots:
    """Where the tables lie that tasks write to."""

    phenotypes: str
    expression: str
    quarantine: str


@dataclass(frozen=True)
class Negative:
    """A value below 0: the line's index in the split, the run, the value."""

    index: int
    run: str
    value: float


@dataclass(frozen=True)
class Unplaced:
    """A phenotype without a place: the line's index in the split, its id, the gene that the line names, and why."""

    index: int
    id: str
    gene: str | None
    why: str


@dataclass
class SplitPart:
    """What became of a split; small, but for the ids of its phenotypes.

    Args:
        written: add-actions of `phenotypes`, `expression` and `quarantine`.
        lines: of the stretch of text that the split covers, counted without parsing it.
        n_lines: lines that the split owns.
        n_blank, n_footer: empty lines below the header; lines that end the table.
        ids, indexes: phenotypes that can be loaded, and the index of their lines in the split.
        n_bad: lines that can't be loaded, by kind.
        first_bad: the first of them; of the lines themselves, the beginning.
        first_negative: the first value below 0, where there may be none.
        n_unplaced: phenotypes that can be loaded but have no place in the annotation, by why not.
        first_unplaced: the first of them.
        last_ends: contig as spelled → greatest end (0-based, exclusive).
        landmarks: places, by the matrix itself, of genes that tell builds apart.
        n_on: contig as spelled → phenotypes.
        n_missing, n_negative: values that are missing, or below 0, in lines that can be loaded.
        problem: what, where and mend of an error that ended the reading.
    """

    written: list[list[AddAction]] = field(default_factory=lambda: [[], [], []])
    lines: LineCount = field(default_factory=LineCount)
    n_lines: int = 0
    n_blank: int = 0
    n_footer: int = 0
    ids: pa.ChunkedArray = field(default_factory=lambda: pa.chunked_array([], pa.string()))
    indexes: list[npt.NDArray[np.int64]] = field(default_factory=list)
    n_bad: Counter[str] = field(default_factory=Counter)
    first_bad: list[BadLine] = field(default_factory=list)
    first_negative: Negative | None = None
    n_unplaced: Counter[str] = field(default_factory=Counter)
    first_unplaced: list[Unplaced] = field(default_factory=list)
    last_ends: dict[str, int] = field(default_factory=dict)
    landmarks: dict[str, Place] = field(default_factory=dict)
    n_on: Counter[str] = field(default_factory=Counter)
    n_missing: int = 0
    n_negative: int = 0
    problem: tuple[type[KgpError], str, str | None, str | None] | None = None


@dataclass(frozen=True)
class MatrixTask:
    """What is done with a split; a task calls it.

    Args:
        layout: of the matrix.
        subject: what all rows share.
        run_ids: run of each column, in order.
        roots: where the tables lie.
        annotation: places that count in the place of the matrix's own.
        refuses_bad: whether a line that can't be loaded refuses the matrix; else it goes into quarantine.
        refuses_unplaced: whether a phenotype that the annotation does not have refuses the matrix.
        allows_missing: whether a value may be missing.
        allows_negative: whether a value may lie below 0.
    """

    layout: MatrixLayout
    subject: Subject
    run_ids: tuple[str, ...]
    roots: Roots
    annotation: Annotation | None = None
    refuses_bad: bool = True
    refuses_unplaced: bool = False
    allows_missing: bool = False
    allows_negative: bool = True

    def __call__(self, split: Split) -> SplitPart:
        """Parse, write, notice."""
        part = SplitPart()
        roots = (self.roots.phenotypes, self.roots.expression, self.roots.quarantine)
        writers = [
            TableWriter(table, root)
            for table, root in zip((PHENOTYPES, EXPRESSION, QUARANTINE), roots, strict=True)
        ]
        try:
            self._read(split, part, writers)
            if not self._refuses(part):
                part.written = [writer.close() for writer in writers]
                return part
        except (
            KgpError
        ) as problem:  # given back, not raised: the driver must hear what other tasks have written
            part.problem = (type(problem), problem.what, problem.where, problem.mend)
        except BaseException:
            for writer in writers:
                writer.abort()
            raise
        for writer in writers:
            writer.abort()
        return part

    def _refuses(self, part: SplitPart) -> bool:
        return (
            (self.refuses_bad and part.n_bad.total() > 0)
            or (self.refuses_unplaced and part.n_unplaced.total() > 0)
            or part.first_negative is not None
        )

    def _read(self, split: Split, part: SplitPart, writers: Sequence[TableWriter]) -> None:
        parser = LineParser(self.layout, allows_missing=self.allows_missing)
        finder = PlaceFinder(self.layout, self.subject.kind, self.annotation)
        canonical = get_build(self.subject.build).canonical
        for chunk in read_chunks(split, chunk_bytes=CHUNK_BYTES, count=part.lines):
            block = parser.parse(chunk, part.n_lines)
            records = _place(block, finder)
            self._notice(part, block, records)
            if self._refuses(part):
                continue
            if records.ids:
                contigs = _canonical(records.phenotypes, canonical)
                writers[0].add(phenotype_rows(self.subject, records.phenotypes, contigs))
                writers[1].add(value_rows(self.subject, records.ids, self.run_ids, records.values))
            if records.bad:
                writers[2].add(quarantine_rows(self.subject.load_id, self.layout.path, records.bad))

    def _notice(self, part: SplitPart, block: Block, records: _Records) -> None:
        values = records.values
        part.n_blank += block.n_blank
        part.n_footer += block.n_footer
        part.ids = pa.chunked_array([*part.ids.chunks, pa.array(records.ids, pa.string())])
        part.indexes.append(records.rows + part.n_lines)
        part.n_missing += int(np.isnan(values).sum())
        _notice_places(part, records)
        if self.annotation is None and self.subject.kind == "gene":
            part.landmarks |= {
                one.gene_id: one.place
                for one in records.phenotypes
                if one.gene_id is not None and one.place is not None and is_landmark(one.gene_id)
            }
        for one in records.bad:
            part.n_bad[one.kind] += 1
        n_free = MOST_KEPT - len(part.first_bad)
        part.first_bad += [replace(one, line=one.line[:_SHOWN_BYTES]) for one in records.bad[:n_free]]
        n_negative = int((values < 0).sum())
        part.n_negative += n_negative
        if n_negative and not self.allows_negative and part.first_negative is None:
            row, column = (int(found[0]) for found in np.nonzero(values < 0))
            name = f"column {self.layout.n_leading + column + 1} ({self.layout.runs[column]})"
            index = int(records.rows[row]) + part.n_lines
            part.first_negative = Negative(index, name, float(values[row, column]))
        part.n_lines += len(block.lines.starts)


@dataclass(frozen=True)
class _Records:
    """Phenotypes of a block with their places, and all lines of it that can't be loaded."""

    phenotypes: list[Phenotype]
    rows: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    bad: list[BadLine]

    @property
    def ids(self) -> list[str]:
        return [phenotype.id for phenotype in self.phenotypes]


def _place(block: Block, finder: PlaceFinder) -> _Records:
    phenotypes: list[Phenotype] = []
    damaged: dict[int, BadLine] = {}
    for at, cells in enumerate(zip(*block.texts, strict=True)):
        try:
            phenotypes.append(finder.find(cells))
        except PlaceProblem as problem:
            damaged[at] = block.lines.reject(int(block.rows[at]), BAD_PLACE, str(problem))
    if not damaged:
        return _Records(phenotypes, block.rows, block.values, block.bad)
    kept = [at for at in range(len(block.rows)) if at not in damaged]
    bad = sorted([*block.bad, *damaged.values()], key=lambda one: one.index)
    return _Records(phenotypes, block.rows[kept], block.values[kept], bad)


def _notice_places(part: SplitPart, records: _Records) -> None:
    for row, phenotype in zip(records.rows.tolist(), records.phenotypes, strict=True):
        place, why = phenotype.place, phenotype.why_unplaced
        if place is not None:
            contig = place.source_contig
            part.n_on[contig] += 1
            part.last_ends[contig] = max(place.end, place.tss, part.last_ends.get(contig, 0))
        elif why is not None:
            part.n_unplaced[why] += 1
            if len(part.first_unplaced) < MOST_KEPT:
                part.first_unplaced.append(Unplaced(row + part.n_lines, phenotype.id, phenotype.gene, why))


def _canonical(phenotypes: Sequence[Phenotype], canonical: Callable[[str], str | None]) -> dict[str, str]:
    """Contig as spelled → its name in the build; contigs that the build does not know are left out."""
    spellings = {phenotype.place.source_contig for phenotype in phenotypes if phenotype.place is not None}
    names = {spelled: canonical(spelled) for spelled in spellings}
    return {spelled: name for spelled, name in names.items() if name is not None}
