"""`variants` cut into stretches of the genome, each of which one task reads in order and writes as BGZF.

A record never lies in two stretches, for its rows have one `start`; so it is never torn, whatever files and row groups
its rows lie in. A stretch reads the row groups that may have a row in it: in a table that is sorted these are its own
and at most one more, in a table that is not they may be many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kgp.io.bgzf import BLOCK_TEXT, compress_blocks
from kgp.io.parts import TablePart, read_part
from kgp.io.vcf.selection import Selection
from kgp.io.vcf.writer import LINE_COLUMNS, LineFormat, find_records, write_lines
from kgp.tables import VARIANTS

# Text of a stretch, of a batch of lines, and compressed bytes that a task gives back at a time.
STRETCH_TEXT = 64 << 20
BATCH_TEXT = 8 << 20
_PIECE_BYTES = 8 << 20

PIECES = "contig string, data binary, n_records bigint, last_end bigint, has_genotypes boolean"
_PIECES = pa.schema(
    {
        "contig": pa.string(),
        "data": pa.binary(),
        "n_records": pa.int64(),
        "last_end": pa.int64(),
        "has_genotypes": pa.bool_(),
    }
)
_KEYS = ("load_id", "contig", "start", "end", "record_id", "alt_index")
_EVERYWHERE = (-2, 1 << 62)


@dataclass(frozen=True)
class Stretch:
    """Rows whose `start` lies in a stretch of a contig.

    Args:
        contig: canonical name.
        begin, end: of `start`, 0-based half-open.
        parts: what has to be read for them.
        text: about how many bytes their lines have.
    """

    contig: str
    begin: int
    end: int
    parts: tuple[TablePart, ...]
    text: int


def plan_stretches(parts: Sequence[TablePart], n_samples: int) -> list[Stretch]:
    """Cut contigs into stretches of about `STRETCH_TEXT`, by contig name and place.

    Args:
        parts: single row groups of `variants`, each once.
        n_samples: samples of the callset.
    """
    found: list[Stretch] = []
    by_contig = sorted(parts, key=lambda part: part.values["contig"] or "")
    for contig, group in groupby(by_contig, key=lambda part: part.values["contig"] or ""):
        here = sorted(group, key=lambda part: (part.starts or _EVERYWHERE, part.path, part.row_groups))
        cuts = [_EVERYWHERE[0]]
        sizes = [0]
        for part in here:
            least = (part.starts or _EVERYWHERE)[0]
            text = _text_size(part, n_samples)
            if sizes[-1] and sizes[-1] + text > STRETCH_TEXT and least > cuts[-1]:
                cuts.append(least)
                sizes.append(0)
            sizes[-1] += text
        for begin, end, text in zip(cuts, [*cuts[1:], _EVERYWHERE[1]], sizes, strict=True):
            inside = [p for p in here if (s := p.starts or _EVERYWHERE)[0] < end and s[1] >= begin]
            found.append(Stretch(contig, begin, end, tuple(inside), text))
    return found


def _text_size(part: TablePart, n_samples: int) -> int:
    """Bytes of a part's lines: four a genotype, and about twice what columns of text are encoded in."""
    return 4 * part.n_rows * n_samples + 2 * part.size


def write_stretch(
    stretch: Stretch, form: LineFormat, selection: Selection, loads: Mapping[str, int]
) -> Iterator[pa.RecordBatch]:
    """The lines of a stretch as BGZF blocks, in the shape of `PIECES`.

    Args:
        stretch: what to write.
        form: how lines are written.
        selection: which records, with canonical contig names.
        loads: load → its place among those whose records have the same start.
    """
    n_rows = sum(part.n_rows for part in stretch.parts)
    text = sum(_text_size(part, form.columns.n_samples) for part in stretch.parts)
    batch_rows = max(1, BATCH_TEXT * n_rows // max(1, text))
    writers: dict[str, _Piece] = {}
    has_genotypes = False
    for rows in _whole_records(read_stretch(stretch, selection, loads, batch_rows)):
        has_genotypes |= rows["calls"].null_count < rows.num_rows
        firsts, _ = find_records(rows)
        contigs = rows["source_contig"].take(pa.array(firsts)).to_pylist()
        ends = rows["end"].take(pa.array(firsts)).to_pylist()
        for contig, line, end in zip(contigs, write_lines(rows, form), ends, strict=True):
            piece = writers.setdefault(contig, _Piece(contig))
            piece.add(line, end)
            if len(piece.data) >= _PIECE_BYTES:
                yield piece.take(has_genotypes=has_genotypes)
    for piece in writers.values():
        piece.flush()
        yield piece.take(has_genotypes=has_genotypes)


def read_stretch(
    stretch: Stretch, selection: Selection, loads: Mapping[str, int], batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """Rows of a stretch, ordered by start, load, record and ALT, in batches of about `batch_rows`.

    The keys are read first. Where they are in order, as in tables that kgp wrote from a sorted file, the rows are
    streamed; else they are collected and sorted.
    """
    columns = list(dict.fromkeys([*LINE_COLUMNS, "end"]))
    keys = [rows.select(list(_KEYS)) for rows in _read(stretch, selection, _KEYS, None)]
    order = _order(keys, loads)
    batches = _read(stretch, selection, columns, batch_rows)
    if (np.diff(order) == 1).all():
        yield from batches
    else:
        yield from _gather(list(batches), order, batch_rows)


def _read(
    stretch: Stretch, selection: Selection, columns: Sequence[str], batch_rows: int | None
) -> Iterator[pa.RecordBatch]:
    """Rows of the stretch that are in the selection, as they lie in the files."""
    whole = selection.is_everything or stretch.contig in selection.contigs
    spans = [(one.start, one.end) for one in selection.regions if one.contig == stretch.contig]
    for part in stretch.parts:
        for rows in read_part(part, VARIANTS, columns, batch_rows=batch_rows):
            starts = rows["start"].to_numpy()
            is_in = (starts >= stretch.begin) & (starts < stretch.end)
            if not whole:
                ends = rows["end"].to_numpy()
                is_in &= np.any([(starts < end) & (ends > start) for start, end in spans], axis=0)
            if is_in.all():
                yield rows
            elif is_in.any():
                yield rows.filter(pa.array(is_in))


def _order(keys: Sequence[pa.RecordBatch], loads: Mapping[str, int]) -> npt.NDArray[np.int64]:
    """Row numbers in the order in which the rows are written."""
    if not keys:
        return np.zeros(0, dtype=np.int64)
    ranks = [loads[load_id] for rows in keys for load_id in rows["load_id"].to_pylist()]
    start, record, alt = (
        np.concatenate([rows[name].to_numpy() for rows in keys])
        for name in ("start", "record_id", "alt_index")
    )
    order: npt.NDArray[np.int64] = np.lexsort((alt, record, np.array(ranks), start)).astype(np.int64)
    return order


def _gather(
    batches: Sequence[pa.RecordBatch], order: npt.NDArray[np.int64], batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """Rows of several batches in another order."""
    ends = np.cumsum([rows.num_rows for rows in batches])
    for begin in range(0, len(order), batch_rows):
        wanted = order[begin : begin + batch_rows]
        ascending = np.argsort(wanted)
        numbers = wanted[ascending]
        owners = np.searchsorted(ends, numbers, side="right")
        taken = [
            batches[owner].take(pa.array(numbers[owners == owner] - (ends[owner] - batches[owner].num_rows)))
            for owner in np.unique(owners)
        ]
        yield pa.concat_batches(taken).take(pa.array(np.argsort(ascending)))


def _whole_records(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches that no record is cut by: an unfinished one waits for the next batch."""
    rest: pa.RecordBatch | None = None
    for rows in batches:
        together = rows if rest is None else pa.concat_batches([rest, rows])
        alt_index, n_alts = together["alt_index"].to_numpy(), together["n_alts"].to_numpy()
        n = together.num_rows
        if alt_index[-1] < n_alts[-1]:
            n = max(0, n - int(alt_index[-1]))
        rest = together.slice(n) if n < together.num_rows else None
        if n > 0:
            yield together.slice(0, n)
    if rest is not None:
        yield rest


class _Piece:
    """BGZF blocks of the lines of one contig as its file spells it."""

    def __init__(self, contig: str) -> None:
        self.contig = contig
        self.data = bytearray()
        self.n_records = 0
        self.last_end = 0
        self._lines: list[bytes] = []
        self._size = 0

    def add(self, line: bytes, end: int) -> None:
        """A line; whole blocks are compressed at once."""
        self._lines.append(line)
        self._size += len(line)
        self.n_records += 1
        self.last_end = max(self.last_end, end)
        if self._size >= 16 * BLOCK_TEXT:
            text = b"".join(self._lines)
            whole = len(text) // BLOCK_TEXT * BLOCK_TEXT
            self.data += compress_blocks(memoryview(text)[:whole])
            self._lines, self._size = [text[whole:]], len(text) - whole

    def flush(self) -> None:
        """Compress what is left."""
        self.data += compress_blocks(b"".join(self._lines))
        self._lines, self._size = [], 0

    def take(self, *, has_genotypes: bool) -> pa.RecordBatch:
        """What there is, and begin anew."""
        values = (self.contig, bytes(self.data), self.n_records, self.last_end, has_genotypes)
        self.data, self.n_records = bytearray(), 0
        return pa.RecordBatch.from_pylist([dict(zip(_PIECES.names, values, strict=True))], schema=_PIECES)


def stretch_writer(
    form: LineFormat, selection: Selection, loads: Mapping[str, int]
) -> Callable[[Stretch], Iterator[pa.RecordBatch]]:
    """`write_stretch` for `kgp.io.tasks.map_splits`."""
    return partial(write_stretch, form=form, selection=selection, loads=loads)
