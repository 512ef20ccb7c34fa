"""Lines of a GTF or a GFF3: every line is checked, the wanted features are given back; a chunk of text at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kgp.errors import FormatError
from kgp.io.places.text import bad_line, decode
from kgp.io.splits import plan_splits, read_chunks

_COLUMNS = ("seqname", "source", "feature", "start", "end", "score", "strand", "frame", "attribute")
_TAB, _HASH = 9, 35
_MOST_DIGITS = 10
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Feature:
    """One line.

    Args:
        line: its number, 1-based.
        kind: gene, transcript, exon, …
        contig: as the file spells it.
        start: first base, 0-based.
        end: one past the last base, 0-based.
        strand: ``+``, ``-`` or None for ``.``.
        attributes: the last column.
    """

    line: int
    kind: str
    contig: str
    start: int
    end: int
    strand: str | None
    attributes: bytes

    @property
    def tss(self) -> int:
        """Transcription start, 1-based: the last base on the minus strand, else the first."""
        return self.end if self.strand == "-" else self.start + 1

    def find(self, key: str) -> str | None:
        """An attribute, ``key "value"`` or ``key=value``; None where it is missing or empty."""
        # `key "value"` is what nearly all lines have; to look for it takes a tenth of what the expression takes.
        text, begin = self.attributes, b'%s "' % key.encode()
        at = text.find(begin)
        if at >= 0 and (at == 0 or text[at - 1] in b"; ") and text.count(b'"', 0, at) % 2 == 0:
            return decode(text[at + len(begin) : text.find(b'"', at + len(begin))]).strip() or None
        match = _pattern(key).search(text)
        return decode(match[1] or match[2] or b"").strip() or None if match else None


_PATTERNS: dict[str, re.Pattern[bytes]] = {}


def _pattern(key: str) -> re.Pattern[bytes]:
    if key not in _PATTERNS:
        _PATTERNS[key] = re.compile(rb'(?:^|;) *%s(?: +|=)(?:"([^"]*)"|([^;"]*))' % key.encode())
    return _PATTERNS[key]


def read_features(url: str, kinds: frozenset[str]) -> Iterator[Feature]:
    """The lines of some kinds of feature, in file order.

    Raises:
        FormatError: a line has not nine columns, a coordinate is no number, an end lies before its start, or the
            strand of a wanted line is none; the gzip stream is broken or cut off.
        InputError: there is no such file, or it may not be read.
    """
    wanted = [kind.encode() for kind in sorted(kinds)]
    n_lines = 0
    for split in plan_splits(url, n=1):
        for chunk in read_chunks(split):
            starts, ends = chunk.lines()
            if n_lines == 0 and chunk.data.startswith(_BYTE_ORDER_MARK):
                starts[0] += len(_BYTE_ORDER_MARK)
            if chunk.is_torn_end:
                starts, ends = starts[:-1], ends[:-1]
            lines = _Lines(url, chunk.data, starts, ends, n_lines)
            yield from lines.select(wanted)
            n_lines += len(starts)


class _Lines:
    """The lines of a chunk, their columns found for all of them at once."""

    def __init__(self, url: str, data: bytes, starts: Positions, ends: Positions, n_before: int) -> None:
        self.url, self.data = url, data
        self.text = np.frombuffer(data, dtype=np.uint8)
        self.starts, self.ends, self.numbers = _take_data_lines(self.text, starts, ends, n_before)
        self.tabs = self._find_tabs()

    def _find_tabs(self) -> Positions:
        """Positions of the eight tabs: lines × 8."""
        tabs = np.flatnonzero(self.text == _TAB)
        first = np.searchsorted(tabs, self.starts)
        n_tabs = np.searchsorted(tabs, self.ends) - first
        if (bad := np.flatnonzero(n_tabs != 8)).size:
            raise self._bad(
                bad[0],
                None,
                f"The line has {n_tabs[bad[0]] + 1} columns separated by tabs; a GTF has nine.",
                "Mend the line, or fetch the file again.",
            )
        found: Positions = tabs[first[:, None] + np.arange(8)]
        return found

    def select(self, kinds: list[bytes]) -> Iterator[Feature]:
        """The features of some kinds; the coordinates of all lines are checked."""
        firsts, lasts = self._numbers(3), self._numbers(4)
        if (bad := np.flatnonzero((firsts < 1) | (lasts < firsts))).size:
            first, last = firsts[bad[0]], lasts[bad[0]]
            raise self._bad(
                bad[0],
                3,
                f"The feature goes from {first:,} to {last:,}; it begins at 1 or behind, and not behind its end.",
                "Mend the line, or fetch the file again.",
            )
        for index in self._find_kinds(kinds).tolist():
            yield self._feature(index, int(firsts[index]) - 1, int(lasts[index]))

    def _find_kinds(self, kinds: list[bytes]) -> Positions:
        begins = self.tabs[:, 1] + 1
        lengths = self.tabs[:, 2] - begins
        found = []
        for kind in kinds:
            rows = np.flatnonzero(lengths == len(kind))
            for at, letter in enumerate(kind):
                rows = rows[self.text[begins[rows] + at] == letter]
            found.append(rows)
        return np.sort(np.concatenate(found))

    def _feature(self, index: int, start: int, end: int) -> Feature:
        cells = self.data[int(self.starts[index]) : int(self.ends[index])].split(b"\t")
        strand = cells[6].strip()
        if strand not in (b"+", b"-", b"."):
            raise self._bad(
                index,
                6,
                f"'{decode(strand)}' is no strand.",
                "Write + or -, or . where the strand is not known.",
            )
        contig = decode(cells[0].strip())
        is_known = strand != b"."
        return Feature(
            int(self.numbers[index]), cells[2].decode(), contig, start, end,
            strand.decode() if is_known else None, cells[8],
        )  # fmt: skip

    def _numbers(self, column: int) -> Positions:
        """A column of whole numbers."""
        begins, ends = self.tabs[:, column - 1] + 1, self.tabs[:, column]
        widths = ends - begins
        is_bad = (widths < 1) | (widths > _MOST_DIGITS)
        numbers = np.zeros(len(widths), dtype=np.int64)
        for at in range(min(int(widths.max(initial=0)), _MOST_DIGITS)):
            is_here = at < widths
            digits = self.text[np.where(is_here, begins + at, begins)].astype(np.int64) - ord("0")
            is_bad |= is_here & ((digits < 0) | (digits > 9))
            numbers = np.where(is_here, numbers * 10 + digits, numbers)
        if is_bad.any():
            row = int(np.flatnonzero(is_bad)[0])
            cell = decode(self.data[int(begins[row]) : int(ends[row])][:40])
            raise self._bad(row, column, f"'{cell}' is no position.", "Write a whole number, 1 or greater.")
        return numbers

    def _bad(self, row: int | np.int64, column: int | None, what: str, mend: str) -> FormatError:
        name = None if column is None else _COLUMNS[column]
        return bad_line(self.url, int(self.numbers[row]), name, what, mend)


def _take_data_lines(
    text: npt.NDArray[np.uint8], starts: Positions, ends: Positions, n_before: int
) -> tuple[Positions, Positions, Positions]:
    """First position, end and number, 1-based, of the lines that are neither blank nor comments."""
    is_data = ends > starts
    is_data[is_data] = text[starts[is_data]] != _HASH
    return starts[is_data], ends[is_data], np.flatnonzero(is_data) + n_before + 1
