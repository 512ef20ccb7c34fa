"""What all files of people share: lines, cells, warnings, and one message for each kind of bad input.

A file of people is small, so it is read on the driver, but from a stream: what is something else is refused at its
first line. It may be compressed, lie in any storage, be UTF-8 or Latin-1, end its lines as Windows does, and lack its
last line end. Lines are counted in the bytes, apart from the parser.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kgp.errors import FormatError
from kgp.io.splits import plan_splits, read_chunks
from kgp.io.urls import place_of
from kgp.transforms.people import SUPERPOPULATIONS

_SEXES = {"male": "male", "m": "male", "1": "male", "female": "female", "f": "female", "2": "female"}
_NOT_KNOWN = {"", "0", "NA", "unknown", "other"}
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CONTENT_LINE = re.compile(rb"(?:^|(?<=[\r\n]))(?!##)[^\r\n]*[^\s][^\r\n]*")


@dataclass(frozen=True)
class People:
    """What a file says of people.

    Args:
        rows: column of `sample_records` → value, a person a row, in file order; those of a population list are rows of
            `populations`.
        n_lines: data lines of the file, counted apart from the parser.
        source_kind: what kind of file it is.
        warnings: what was odd but read, and how often.
    """

    rows: tuple[dict[str, Any], ...]
    n_lines: int
    source_kind: str
    warnings: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class TextTable:
    """Lines of a text table with a header, as cells.

    Args:
        place: the file, as messages name it.
        header: names of the columns, as the file spells them.
        lines: (line number, 1-based; cells), one for each column.
        n_lines: data lines, counted apart from the parser.
        warnings: what was odd but read; readers add to it.
    """

    place: str
    header: tuple[str, ...]
    lines: tuple[tuple[int, tuple[str, ...]], ...]
    n_lines: int
    warnings: Counter[str]

    def locate(self, number: int, column: int | None = None) -> str:
        """Place of a line or of a cell, for messages."""
        where = f"{self.place}, line {number}"
        return where if column is None else f"{where}, column {self.header[column]}"


def read_text_table(url: str, names: Mapping[str, str], *, required: Sequence[str], what: str) -> TextTable:
    """Read a table with a header: tabs between the cells, which may be quoted, or else white space.

    Lines that begin with ``##`` and blank ones are passed over, and so is a ``#`` before the header.

    Args:
        url: the file.
        names: column of the file in lower case → what it is to us.
        required: of these, the ones that must be there.
        what: what is expected, for messages.

    Raises:
        FormatError: it is no text, has no such header, or a line has too few or too many values.
        InputError: there is no such file, or it may not be read.
    """
    source = TextLines(url)
    lines = iter(source)
    first = next(lines, None)
    if first is None:
        raise FormatError(f"The file is empty; a {what} is expected.", where=source.place)
    number, text = first
    where = f"{source.place}, line {number}"
    cells = _split(text.removeprefix("#"), where, by_tabs="\t" in text)
    width = max((index for index, cell in enumerate(cells) if cell), default=0) + 1
    header = cells[:width]
    _check_header(header, names, required, where=where, text=text, what=what)
    if len(cells) > width:
        source.warnings["stray tab in the header"] = len(cells) - width
    rows = []
    for n, line in lines:
        where = f"{source.place}, line {n}"
        values = _split(line, where, by_tabs="\t" in text)
        rows.append((n, _fit(values, width, where, source.warnings)))
    if not rows:
        raise FormatError(
            "It has a header and no line below it.",
            where=source.place,
            mend=f"Fetch the file again, or give a {what}.",
        )
    for name in header:
        if name and name.lower() not in names:
            source.warnings[f"column {name} is not read"] = 1
    return TextTable(source.place, header, tuple(rows), source.n_lines - 1, source.warnings)


def find_columns(table: TextTable, names: Mapping[str, str]) -> dict[str, int]:
    """What the columns are to us → their places."""
    return {names[cell.lower()]: i for i, cell in enumerate(table.header) if cell.lower() in names}


def read_people(
    table: TextTable,
    columns: Mapping[str, int],
    parsers: Mapping[str, Callable[[str, str], Any]],
) -> tuple[dict[str, Any], ...]:
    """A row a person.

    Args:
        table: of the file.
        columns: name → place of its column; sex and superpopulation are checked, of others what says that it is not
            known becomes None.
        parsers: name → what makes the value of (text of the cell, its place for messages), instead of that.

    Raises:
        FormatError: a person without an id or with two rows; a value that can't be one.
    """
    known = {"sex": _parse_sex, "superpopulation": _parse_superpopulation} | dict(parsers)
    rows: dict[str, dict[str, Any]] = {}
    numbers: dict[str, int] = {}
    for number, cells in table.lines:
        row = {
            name: known.get(name, _parse_text)(cells[i], table.locate(number, i))
            for name, i in columns.items()
        }
        sample_id = row["sample_id"]
        if sample_id is None:
            raise FormatError(
                "There is no sample id.",
                where=table.locate(number, columns["sample_id"]),
                mend="A person has one row.",
            )
        if sample_id in rows:
            raise FormatError(
                f"{sample_id} is there a second time, after line {numbers[sample_id]}.",
                where=table.locate(number),
                mend="A person has one row: remove one of them.",
            )
        rows[sample_id], numbers[sample_id] = row, number
    return tuple(rows.values())


class TextLines:
    """The lines of a text file that are neither blank nor begin with ``##``, and how many there are.

    Args:
        url: the file.

    Raises:
        FormatError: it is no text.
        InputError: there is no such file, or it may not be read.
    """

    def __init__(self, url: str) -> None:
        self.place = place_of(url)
        self.warnings: Counter[str] = Counter()
        self.n_lines = 0
        self._url = url

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """(line number, 1-based; text); `n_lines` counts in the bytes of what was read so far."""
        number, is_first = 0, True
        for chunk in read_chunks(plan_splits(self._url, n=1)[0]):
            data = chunk.data.removeprefix(_BYTE_ORDER_MARK) if is_first else chunk.data
            is_first = False
            if chunk.is_torn_end:  # a part of a line is none; what cut it off is told next
                data = data[: data.rfind(b"\n") + 1]
            self.n_lines += len(_CONTENT_LINE.findall(data))
            for raw in data.splitlines():
                number += 1
                if _BINARY.search(raw):
                    where = f"{self.place}, line {number}"
                    raise FormatError("It is no text.", where=where, mend="Give the text file itself.")
                if raw.strip() and not raw.startswith(b"##"):
                    yield number, self._decode(raw)

    def _decode(self, raw: bytes) -> str:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            self.warnings["line is no UTF-8, read as Latin-1"] += 1
            return raw.decode("latin-1")


def _split(text: str, where: str, *, by_tabs: bool) -> tuple[str, ...]:
    if not by_tabs:
        return tuple(text.split())
    try:
        (cells,) = csv.reader([text], delimiter="\t", strict=True)
    except csv.Error:
        raise FormatError(
            "A quote is opened and not closed, or text stands behind a closed one.",
            where=where,
            mend="Mend the line.",
        ) from None
    return tuple(cell.strip() for cell in cells)


def _check_header(
    header: Sequence[str],
    names: Mapping[str, str],
    required: Sequence[str],
    *,
    where: str,
    text: str,
    what: str,
) -> None:
    found = [names[cell.lower()] for cell in header if cell.lower() in names]
    if lacking := [name for name in required if name not in found]:
        raise FormatError(
            f"Its header {text[:80]!r} has no column for {', '.join(lacking)}.",
            where=where,
            mend=f"Give a {what}.",
        )
    if twice := [name for name, n in Counter(found).items() if n > 1]:
        raise FormatError(
            f"Its header {text[:80]!r} has more than one column for {twice[0]}.",
            where=where,
            mend="Leave one of them away.",
        )


def _fit(cells: tuple[str, ...], width: int, where: str, warnings: Counter[str]) -> tuple[str, ...]:
    """As many cells as the header has."""
    if len(cells) > width and not any(cells[width:]):
        warnings["stray tab in a row"] += len(cells) - width
        cells = cells[:width]
    if len(cells) != width:
        raise FormatError(
            f"It has {len(cells)} values where the header has {width}.",
            where=where,
            mend="Mend the line or fetch the file again.",
        )
    return cells


def _parse_text(text: str, _: str) -> str | None:
    return None if text in _NOT_KNOWN else text


def _parse_sex(text: str, where: str) -> str | None:
    if text.lower() in {word.lower() for word in _NOT_KNOWN}:
        return None
    if text.lower() not in _SEXES:
        raise FormatError(f"'{text}' is no sex.", where=where, mend="Use male or female, or 1 or 2.")
    return _SEXES[text.lower()]


def _parse_superpopulation(text: str, where: str) -> str | None:
    if (known := _parse_text(text, where)) is None or known in SUPERPOPULATIONS:
        return known
    raise FormatError(
        f"'{text}' is no superpopulation.",
        where=where,
        mend=f"Use one of {', '.join(SUPERPOPULATIONS)}, or leave it empty.",
    )
