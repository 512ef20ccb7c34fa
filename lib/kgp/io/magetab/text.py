"""Tab-separated text as people really write it: any line end, UTF-8 or Latin-1, quotes, comments, stray tabs."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kgp.errors import FormatError
from kgp.io.splits import plan_splits, read_chunks
from kgp.io.urls import place_of

# Of an array design, few megabytes are in memory at a time.
_CHUNK_BYTES = 1 << 20

_UTF8_BOM, _UTF16_BOMS = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Line:
    """A line of a text file.

    Args:
        number: of the line in the file, 1-based.
        text: without its line end.
    """

    number: int
    text: str


@dataclass
class Text:
    """The lines of a text file, read once and in order; plain, gzip and BGZF are told apart by content.

    Args:
        url: the file.
        warnings: what was odd but read, and how often; complete when the lines are read.
    """

    url: str
    warnings: Counter[str] = field(default_factory=Counter)

    @property
    def where(self) -> str:
        """The file as messages name it."""
        return place_of(self.url)

    def lines(self) -> Iterator[Line]:
        """All lines, also blank ones.

        Raises:
            FormatError: a broken gzip stream, or bytes that are no text.
        """
        number = 0
        for raw in self._raw_lines():
            if number == 0 and raw.startswith(_UTF16_BOMS):
                raise FormatError("It is UTF-16.", where=self.where, mend="Save it as UTF-8.")
            if b"\0" in raw:
                raise FormatError(
                    "It is no text: it has zero bytes.",
                    where=f"{self.where}, line {number + 1}",
                    mend="Give the text file.",
                )
            # Classic Mac line ends leave the whole file as one line.
            for part in raw.rstrip(b"\r\n").split(b"\r"):
                number += 1
                yield Line(number, self._decode(part.removeprefix(_UTF8_BOM) if number == 1 else part))

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """(line number, cells) of the lines that are neither blank nor comments (#)."""
        for line in self.lines():
            if line.text.strip() and not line.text.lstrip().startswith("#"):
                yield line.number, self.cells(line.text)

    def cells(self, text: str) -> list[str]:
        """The cells of a line, without the blanks and quotes around them."""
        if '"' not in text:
            return [cell.strip() for cell in text.split("\t")]
        if text.count('"') % 2:
            # A quote that is not closed would swallow the lines that follow; it is kept as it stands.
            self.warnings["quote that is not closed"] += 1
            return [cell.strip() for cell in text.split("\t")]
        return [cell.strip() for cell in next(csv.reader([text], delimiter="\t"))]

    def fit(self, number: int, cells: list[str], width: int) -> list[str]:
        """Cells of a row in the width of its header; tabs too many at its end are counted.

        Raises:
            FormatError: the row is shorter, or has values beyond the header.
        """
        if len(cells) == width:
            return cells
        if len(cells) > width and not any(cells[width:]):
            self.warnings["stray tabs at the end of a row"] += 1
            return cells[:width]
        raise FormatError(
            f"It has {len(cells)} values where the header has {width}.",
            where=f"{self.where}, line {number}",
            mend="Mend the line, or fetch the file again.",
        )

    def _raw_lines(self) -> Iterator[bytes]:
        for split in plan_splits(self.url, n=1):
            for chunk in read_chunks(split, chunk_bytes=_CHUNK_BYTES):
                lines = chunk.data.removesuffix(b"\n").split(b"\n")
                # A part of a line is none; what cut it off is told next.
                yield from lines[:-1] if chunk.is_torn_end else lines

    def _decode(self, raw: bytes) -> str:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            self.warnings["line that is Latin-1, not UTF-8"] += 1
            return raw.decode("latin-1")


def last_filled(cells: Sequence[str]) -> int:
    """How many cells there are up to the last that is not empty.

    >>> last_filled(["a", "", "b", "", ""])
    3
    """
    return max((index for index, cell in enumerate(cells, start=1) if cell), default=0)
