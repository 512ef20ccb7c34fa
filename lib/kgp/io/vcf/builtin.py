"""The builtin engine: splits of the file parsed in Spark tasks, wherever Spark runs, without a JAR.

A task parses its split, writes the rows and the lines that can't be loaded to files, and gives back what it wrote
and what it noticed. No row passes through the JVM, and nothing is visible before the driver has heard of every
split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
from deltalake.transaction import AddAction

from kgp.io.direct import TableWriter
from kgp.io.inflate import Damage
from kgp.io.splits import Chunk, Split, read_pieces
from kgp.io.vcf.conformance import LineChecker
from kgp.io.vcf.findings import Findings
from kgp.io.vcf.order import IdNumbering
from kgp.io.vcf.parser import Parsed, Reject, parse_chunk
from kgp.io.vcf.rows import Layout
from kgp.io.vcf.watch import LineWatch
from kgp.table import Table
from kgp.tables.ledger import QUARANTINE
from kgp.tables.variants import VARIANTS

_SHOWN_BYTES = 1000


@dataclass(frozen=True)
class SplitTask:
    """What is done with a split; a task calls it.

    Args:
        layout: of the load.
        checker: for the file's records.
        path: of the file, for `quarantine`.
        roots: where `variants` and `quarantine` lie; None for what is not to be written.
        is_strict: stop at the first line that can't be loaded.
        table: what is written in the place of `variants`.
        convert: what makes that table's rows of those of `variants`, and counts what is odd.
    """

    layout: Layout
    checker: LineChecker
    path: str
    roots: tuple[str | None, str | None]
    is_strict: bool = False
    table: Table = VARIANTS
    convert: Callable[[pa.RecordBatch, Findings], pa.RecordBatch] | None = None

    def __call__(self, split: Split) -> SplitResult:
        """Parse, write, notice."""
        result = SplitResult()
        self.take(read_pieces(split, count=result.findings.lines), result)
        return result

    def take(self, pieces: Iterable[Chunk | Damage], result: SplitResult) -> None:
        """The same with lines that come from anywhere; what became of them is put into `result`."""
        writers = [
            None if root is None else TableWriter(table, root)
            for table, root in zip((self.table, QUARANTINE), self.roots, strict=True)
        ]
        try:
            self._read(pieces, result, *writers)
            is_refused = self.is_strict and result.first_reject is not None
            if not is_refused:
                result.written = [[] if writer is None else writer.close() for writer in writers]
        except BaseException:
            is_refused = True
            raise
        finally:
            for writer in writers:
                if is_refused and writer is not None:
                    writer.abort()

    def _read(
        self,
        pieces: Iterable[Chunk | Damage],
        result: SplitResult,
        variants: TableWriter | None,
        quarantine: TableWriter | None,
    ) -> None:
        numbering, watch, found = IdNumbering(), LineWatch(self.checker), result.findings
        for piece in pieces:
            if isinstance(piece, Damage):
                found.add_damage()
                rejects = [Reject(piece.offset, f"{piece.reason} (byte {piece.byte:,})", piece.raw)]
                batches = []
            else:
                parsed = parse_chunk(piece, self.layout)
                rejects = parsed.rejects
                batches = [numbering.number(batch) for batch in parsed.batches]
                self._notice(piece.data, parsed, watch, found)
                result.see(piece, parsed)
            for batch in batches:
                found.add_rows(batch, self.layout)
                if variants is not None:
                    variants.add(batch if self.convert is None else self.convert(batch, found))
            if rejects:
                result.first_reject = result.first_reject or _shortened(rejects[0])
                if self.is_strict:
                    return
                if quarantine is not None:
                    quarantine.add(self._quarantined(rejects))
        found.edge_ids = numbering.close()
        found.repeated_ids = numbering.repeated

    def _notice(self, data: bytes, parsed: Parsed, watch: LineWatch, found: Findings) -> None:
        found.add_lines(parsed.lines, len(parsed.rejects))
        for kind, offset in watch.find_in_plain(parsed.plain_sites, parsed.lines.offsets[parsed.plain]):
            found.warn(kind, offset)
        for kind, offset in watch.find_in_others(data, parsed.lines, parsed.others):
            found.warn(kind, offset)

    def _quarantined(self, rejects: Sequence[Reject]) -> pa.RecordBatch:
        rows = [
            {
                "load_id": self.layout.load_id,
                "path": self.path,
                "offset": one.offset,
                "reason": one.reason,
                "line": one.line,
            }
            for one in rejects
        ]
        return pa.RecordBatch.from_pylist(rows, schema=QUARANTINE.arrow_schema)


def _shortened(reject: Reject) -> Reject:
    """The same with the line's beginning: a line may be long, and the driver gets one of each task."""
    return replace(reject, line=reject.line[:_SHOWN_BYTES])


@dataclass
class SplitResult:
    """What became of a split.

    Args:
        written: add-actions of the files of `variants`, and of those of `quarantine`.
        findings: what was noticed.
        first_reject: first line that can't be loaded; of the line itself, the beginning.
    """

    written: list[list[AddAction]] = field(default_factory=lambda: [[], []])
    findings: Findings = field(default_factory=Findings)
    first_reject: Reject | None = None

    def see(self, chunk: Chunk, parsed: Parsed) -> None:
        """Look at a chunk that was parsed; for those who want to know more than this."""


def read_rows(layout: Layout, split: Split) -> Iterator[pa.RecordBatch]:
    """Rows of a split, ids not numbered."""
    for piece in read_pieces(split):
        if not isinstance(piece, Damage):
            yield from parse_chunk(piece, layout).batches
