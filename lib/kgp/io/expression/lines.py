"""Lines of an expression matrix as numbers: a stretch of text at once, by Arrow's parser.

Only where a stretch holds a cell that is no number is it looked at cell by cell, to say which one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kgp.io.expression.blocks import Block, ChunkLines, Floats, Ints
from kgp.io.expression.cells import split_cells
from kgp.io.expression.layout import MatrixLayout
from kgp.io.expression.numbers import MISSING, read_columns, to_number
from kgp.io.splits import Chunk

NO_VALUES, NO_NUMBER, NOT_FINITE, MISSING_VALUE, NO_TEXT, NO_ID = (
    "another number of values", "no number", "not finite", "missing value", "no text", "no phenotype"
)  # fmt: skip

_MANY_BLANKS = re.compile(rb" {2,}")
_OUTER_BLANKS = re.compile(rb"(?m)^ +| +(?=\r?$)")
_SHOWN = 40


class LineParser:
    """Turns chunks of text into blocks of numbers.

    Args:
        layout: of the matrix.
        allows_missing: whether a value may be missing.
    """

    def __init__(self, layout: MatrixLayout, *, allows_missing: bool) -> None:
        self._layout = layout
        self._allows_missing = allows_missing

    def parse(self, chunk: Chunk, first_index: int) -> Block:
        """The lines of a chunk, whose first is the split's line `first_index`."""
        lines = ChunkLines(chunk, *chunk.lines(), first_index)
        return _ChunkParser(self._layout, lines, self._allows_missing).parse()


class _ChunkParser:
    def __init__(self, layout: MatrixLayout, lines: ChunkLines, allows_missing: bool) -> None:
        self.layout = layout
        self.lines = lines
        self.chunk = lines.chunk
        self.allows_missing = allows_missing
        self.bad: dict[int, tuple[str, str]] = {}  # line of the chunk → kind, reason

    @cached_property
    def data(self) -> bytes:
        """The text with one delimiter between two cells."""
        data = self.chunk.data
        if self.layout.delimiter != b" ":
            return data
        return _OUTER_BLANKS.sub(b"", _MANY_BLANKS.sub(b" ", data))

    def parse(self) -> Block:
        starts, ends = self.lines.starts, self.lines.ends
        is_record = self.chunk.offsets(starts) >= self.layout.data_offset
        is_blank = starts == ends
        is_footer = self._find_footer()
        is_wanted = is_record & ~is_blank & ~is_footer
        if self.data is not self.chunk.data:
            starts, ends = Chunk(self.data, self.chunk.places[:1], self.chunk.place_offsets[:1]).lines()
            if len(starts) < len(is_blank):  # the last line was nothing but blanks, without a line end
                starts, ends = np.append(starts, len(self.data)), np.append(ends, len(self.data))
        self._check_cells(starts, ends, np.flatnonzero(is_wanted))
        rows = np.array([row for row in np.flatnonzero(is_wanted).tolist() if row not in self.bad], np.int64)
        texts, values = self._read(starts, ends, rows)
        self._check_values(rows, values)
        self._check_ids(rows, texts)
        if self.bad:
            is_good = np.array([row not in self.bad for row in rows.tolist()], bool)
            rows, values = rows[is_good], values[is_good]
            texts = [[t for t, good in zip(column, is_good, strict=True) if good] for column in texts]
        return Block(
            lines=self.lines,
            texts=texts,
            values=values,
            rows=rows,
            bad=[self.lines.reject(row, *self.bad[row]) for row in sorted(self.bad)],
            n_blank=int((is_record & is_blank).sum()),
            n_footer=int((is_record & is_footer).sum()),
        )

    def _find_footer(self) -> npt.NDArray[np.bool_]:
        footer, data = self.layout.footer, self.chunk.data
        is_footer = np.zeros(len(self.lines.starts), bool)
        at = -1 if footer is None else data.find(footer)
        if footer is not None and at >= 0:
            row = int(np.searchsorted(self.lines.starts, at, side="right")) - 1
            is_footer[row] = self.lines.text(row).strip() == footer
        return is_footer

    # ---------------------------------------------------------------------------------------------- cells

    def _check_cells(self, starts: Ints, ends: Ints, rows: Ints) -> None:
        """Find the lines that do not have the header's number of cells."""
        text = np.frombuffer(self.data, dtype=np.uint8)
        marks = np.flatnonzero(text == self.layout.delimiter[0])
        if b'"' in self.data:
            quotes = np.flatnonzero(text == ord('"'))
            before = np.searchsorted(quotes, starts)
            is_open = (np.searchsorted(quotes, ends) - before) % 2 == 1
            line_of_mark = np.searchsorted(starts, marks, side="right") - 1
            marks = marks[(np.searchsorted(quotes, marks) - before[line_of_mark]) % 2 == 0]
            for row in rows[is_open[rows]].tolist():
                self.bad[row] = (NO_TEXT, "a quote is not closed")
        n_cells = np.searchsorted(marks, ends) - np.searchsorted(marks, starts) + 1
        layout = self.layout
        for row in rows[n_cells[rows] != layout.n_cells].tolist():
            n = int(n_cells[row]) - layout.n_leading
            what = f"{n:,} values" if n > 0 else f"{n_cells[row]} cells and no value"
            self.bad.setdefault(row, (NO_VALUES, f"{what} where the header has {len(layout.runs):,} runs"))
        if b"\r" in self.data:
            returns = np.flatnonzero(text == 13)
            n_within = np.searchsorted(returns, ends) - np.searchsorted(returns, starts)
            for row in rows[n_within[rows] > 0].tolist():
                self.bad.setdefault(row, (NO_TEXT, "a carriage return within the line"))

    def _read(self, starts: Ints, ends: Ints, rows: Ints) -> tuple[list[list[str]], Floats]:
        """Leading columns and values of the lines that have the right number of cells."""
        layout = self.layout
        if not len(rows):
            return [[] for _ in range(layout.n_leading)], np.empty((0, len(layout.runs)))
        is_one_stretch = rows[-1] - rows[0] + 1 == len(rows)
        if is_one_stretch:
            text = pa.py_buffer(self.data).slice(starts[rows[0]], ends[rows[-1]] - starts[rows[0]])
        else:
            text = pa.py_buffer(b"\n".join(self.data[starts[row] : ends[row]] for row in rows.tolist()))
        is_quoted = b'"' in self.data
        try:
            table = read_columns(text, layout, pa.float64(), is_quoted=is_quoted)
            columns = [table.column(index).to_numpy() for index in range(layout.n_leading, layout.n_cells)]
        except pa.ArrowInvalid:
            table = read_columns(text, layout, pa.binary(), is_quoted=is_quoted)
            columns = [
                self._read_column(index, table.column(index), rows)
                for index in range(layout.n_leading, layout.n_cells)
            ]
        texts = [self._read_texts(table.column(index), rows) for index in range(layout.n_leading)]
        return texts, np.ascontiguousarray(np.stack(columns).T)

    def _read_texts(self, column: pa.ChunkedArray, rows: Ints) -> list[str]:
        try:
            texts: list[str] = column.cast(pa.string()).to_pylist()
        except pa.ArrowInvalid:
            texts = []
            for row, raw in zip(rows.tolist(), column.to_pylist(), strict=True):
                texts.append(raw.decode(errors="replace"))
                if "\ufffd" in texts[-1]:
                    self.bad.setdefault(row, (NO_TEXT, f"{_show(texts[-1])} is not UTF-8"))
        return [text.strip() for text in texts]

    def _read_column(self, index: int, column: pa.ChunkedArray, rows: Ints) -> Floats:
        """Numbers of a column cell by cell; what is none is NaN, and its line bad."""
        values = np.full(len(rows), np.nan)
        for at, (row, raw) in enumerate(zip(rows.tolist(), column.to_pylist(), strict=True)):
            text = raw.decode(errors="replace").strip()
            if text in MISSING:
                continue
            try:
                values[at] = to_number(text)
            except ValueError:
                self.bad.setdefault(row, (NO_NUMBER, f"{self._name(index)}: {_show(text)} is no number"))
        return values

    # --------------------------------------------------------------------------------------------- checks

    def _check_values(self, rows: Ints, values: Floats) -> None:
        """Find the lines with a value that is infinite, or missing where none may be."""
        if np.isfinite(values).all():
            return
        kinds = [(NOT_FINITE, np.isinf(values))]
        if not self.allows_missing:
            kinds.append((MISSING_VALUE, np.isnan(values)))
        for kind, found in kinds:
            for at in np.flatnonzero(found.any(axis=1)).tolist():
                row = int(rows[at])
                if row in self.bad:
                    continue
                index = self.layout.n_leading + int(np.argmax(found[at]))
                cell = _show(self._cells(row)[index])
                what = "is not finite" if kind == NOT_FINITE else "is no value"
                more = int(found[at].sum()) - 1
                also = f", and {more:,} more in the line" if more else ""
                self.bad[row] = (kind, f"{self._name(index)}: {cell} {what}{also}")

    def _check_ids(self, rows: Ints, texts: Sequence[Sequence[str]]) -> None:
        for row, phenotype_id in zip(rows.tolist(), texts[self.layout.columns["phenotype_id"]], strict=True):
            if not phenotype_id:
                self.bad.setdefault(row, (NO_ID, "it names no phenotype"))

    def _cells(self, row: int) -> list[str]:
        return split_cells(self.lines.text(row).decode(errors="replace"), self.layout.delimiter.decode())

    def _name(self, index: int) -> str:
        """A column of values for people, with its number in the file."""
        return f"column {index + 1} ({self.layout.runs[index - self.layout.n_leading]})"


def _show(text: str) -> str:
    """A cell for a message, with what is not seen in it."""
    text = "".join(one if one.isprintable() else repr(one)[1:-1] for one in text[: _SHOWN + 1])
    return f"'{text[:_SHOWN]}…'" if len(text) > _SHOWN else f"'{text}'"
