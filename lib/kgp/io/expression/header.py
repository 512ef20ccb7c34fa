"""The lines above the values of an expression matrix: comments, a GEO series' remarks, one header line or two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from kgp.errors import FormatError
from kgp.io.expression.cells import find_delimiter, split_cells
from kgp.io.expression.words import ELEMENT_REFS, LEADING, RUN_REFS, fold
from kgp.io.splits import plan_splits, read_chunks

Form = Literal["bed", "geuvadis", "table", "mage-tab", "series matrix"]

SERIES_END = b"!series_matrix_table_end"
_SERIES_BEGIN = "!series_matrix_table_begin"
_FIRST_BYTES = 1 << 20
# What a server sends in the place of a file that it does not have or give.
_WEB_PAGE = ("<!doctype", "<html", "<?xml")


@dataclass(frozen=True)
class Line:
    """A line and its record offset."""

    text: str
    offset: int


@dataclass(frozen=True)
class Top:
    """What stands above the values.

    Args:
        lines: all lines above them.
        header: the one that names the columns.
        form: layout, as far as these lines tell it: a table may be a BED, too.
        first: the first line of values.
    """

    lines: list[str]
    header: str
    form: Form
    first: Line


def read_top(url: str, path: str) -> Top:
    """Read the lines above the values, and the first line of values.

    Args:
        url: the file.
        path: its place, for messages.

    Raises:
        FormatError: it is no text, it has no header, or no line of values.
        InputError: the file can't be read.
    """
    lines = _lines(url, path)
    above, header, form = _find_header(lines, path)
    kept = [*above, header.text]
    delimiter = find_delimiter(header.text)
    if fold(split_cells(header.text, delimiter)[0]) in RUN_REFS:
        form = "mage-tab"
        second = next(lines, None)
        _check_second(second, delimiter, f"{path}, line {len(kept) + 1}")
        kept.append("" if second is None else second.text)
    first, n_blank = _first_line(lines, path)
    return Top([*kept, *[""] * n_blank], header.text, form, first)


def _lines(url: str, path: str) -> Iterator[Line]:
    """Lines from the first on, as text."""
    is_first = True
    for chunk in read_chunks(plan_splits(url, n=1)[0], chunk_bytes=_FIRST_BYTES):
        if is_first and chunk.data.startswith(b"PK\x03\x04"):
            raise FormatError(
                "It is a ZIP archive.", where=path, mend="Unpack it and give the matrix that is in it."
            )
        starts, ends = chunk.lines()
        if chunk.is_torn_end:  # a part of a line is none; what cut it off is told next
            starts, ends = starts[:-1], ends[:-1]
        offsets = chunk.offsets(starts)
        for start, end, offset in zip(starts.tolist(), ends.tolist(), offsets.tolist(), strict=True):
            raw = chunk.data[start:end]
            try:
                text = raw.decode("utf-8-sig" if is_first else "utf-8")
            except UnicodeDecodeError:
                text = "\0"
            if "\0" in text:
                raise FormatError("It is no text.", where=path, mend="Give an expression matrix as text.")
            if "\r" in text:
                raise FormatError(
                    "Its lines end in a carriage return alone.",
                    where=path,
                    mend="Convert its line ends to LF.",
                )
            is_first = False
            yield Line(text, offset)


def _find_header(lines: Iterator[Line], path: str) -> tuple[list[str], Line, Form]:
    """Lines above the header, the header, and the layout as far as it is known."""
    above: list[str] = []
    is_series = False
    for line in lines:
        if line.text.lstrip().lower().startswith(_WEB_PAGE):
            raise FormatError(
                "It is a web page or an answer of a server in XML, no matrix.",
                where=f"{path}, line {len(above) + 1}",
                mend="Look at what it says, and fetch the file again.",
            )
        if line.text.startswith("!"):
            above.append(line.text)
            is_series = True
            if line.text.strip() == _SERIES_BEGIN:
                header = next(lines, None)
                if header is not None:
                    return above, header, "series matrix"
        elif is_series or not line.text.strip() or _is_comment(line.text):
            above.append(line.text)
        else:
            return above, line, "table"
    if is_series:
        raise FormatError(
            f"It is a series matrix without a table: no line {_SERIES_BEGIN}.",
            where=path,
            mend="Give a series matrix that holds values, or the matrix beside it.",
        )
    raise FormatError("It has no header.", where=path, mend="Give an expression matrix.")


def _is_comment(text: str) -> bool:
    """Whether a line that begins with # is no header."""
    if not text.startswith("#"):
        return False
    return fold(split_cells(text, find_delimiter(text))[0]) not in LEADING


def _check_second(second: Line | None, delimiter: str, where: str) -> None:
    """Refuse a data matrix with other than one value a run."""
    cells = [""] if second is None else split_cells(second.text, delimiter)
    if fold(cells[0]) not in ELEMENT_REFS:
        raise FormatError(
            f"The second header line of a MAGE-TAB data matrix begins with '{cells[0]}'.",
            where=where,
            mend="It names the elements: Reporter REF or Composite Element REF.",
        )
    kinds = sorted({cell for cell in cells[1:] if cell})
    if len(kinds) > 1:
        raise FormatError(
            f"It has several values a run: {', '.join(kinds[:5])}.",
            where=where,
            mend="Leave one of them, in one column a run.",
        )


def _first_line(lines: Iterator[Line], path: str) -> tuple[Line, int]:
    """The first line that is not empty, and how many empty ones there are before it."""
    for n_blank, line in enumerate(lines):
        if line.text:
            return line, n_blank
    raise FormatError("It has a header and no line below it.", where=path, mend="Give a matrix with values.")
