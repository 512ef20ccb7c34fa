"""Reads a MAGE-TAB array design file (ADF): what an array is, and its reporters, a row at a time.

Above the line ``[main]`` stand tags with values, as in an IDF; below it a table, a row a spot, reporter or composite
element; a section ``[mapping]`` may follow. Columns that ArrayExpress writes: Block Column, Block Row, Column, Row,
Reporter Name, Reporter Sequence, Reporter Database Entry [embl], Reporter Group[role], Control Type, Composite Element
Name, Composite Element Database Entry[hugo], Comment[…].

Source: MAGE-TAB specification 1.1, section 2.4.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kgp.errors import FormatError
from kgp.io.magetab.text import Text, last_filled

_SECTION = re.compile(r"\[\s*(\w+)\s*\]")


@dataclass(frozen=True)
class Adf:
    """An array design, whose table is read anew by each call of `rows`.

    Args:
        url: the file.
        where: as messages name it.
        header: tag → values, of a tag that repeats all of them.
        columns: of the table, one blank before a bracket left out (``Reporter Database Entry[embl]``).
        warnings: what was odd in the rows that were read, and how often.
    """

    url: str
    where: str
    header: Mapping[str, tuple[str, ...]]
    columns: tuple[str, ...]
    warnings: Counter[str] = field(default_factory=Counter, compare=False)

    @property
    def name(self) -> str | None:
        """Name of the array."""
        return next(iter(self.header.get("Array Design Name", ())), None)

    @property
    def accession(self) -> str | None:
        """Accession in ArrayExpress (A-MEXP-930)."""
        return next(iter(self.header.get("Comment[ArrayExpressAccession]", ())), None)

    def find(self, column: str) -> int | None:
        """Place of a column, however it is spaced and capitalised; None where there is none."""
        places = {_digest(name): index for index, name in reversed(list(enumerate(self.columns)))}
        return places.get(_digest(column))

    def rows(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """(line number, cells) of the table, as long as `columns`; a row is in memory at a time.

        Raises:
            FormatError: a row is shorter than the table's header; says the line.
        """
        text = Text(self.url)
        lines = _table_lines(text)
        next(lines, None)
        for number, cells in lines:
            yield number, tuple(text.fit(number, cells, len(self.columns)))
        self.warnings.clear()
        self.warnings.update(text.warnings)


def read_adf(url: str) -> Adf:
    """Read the head of an ADF; its table is read by `Adf.rows`.

    Raises:
        FormatError: it has no [main] table, or the table names neither reporters nor composite elements.
        InputError: there is no such file, or it may not be read.
    """
    text = Text(url)
    header: dict[str, tuple[str, ...]] = {}
    for _, cells in text.rows():
        section = _SECTION.fullmatch(cells[0])
        if section and section[1].lower() != "header":
            break
        if not section and cells[0]:
            tag = _normalise(cells[0])
            header[tag] = (*header.get(tag, ()), *(cells[1 : max(last_filled(cells), 1)]))
    number, cells = next(_table_lines(Text(url)), (0, []))
    columns = tuple(_normalise(cell) for cell in cells[: last_filled(cells)])
    if not columns:
        raise FormatError(
            "It has no table below a line [main].", where=text.where, mend="Give a MAGE-TAB ADF."
        )
    if not {"reportername", "compositeelementname"} & {_digest(name) for name in columns}:
        raise FormatError(
            "Its table has no column 'Reporter Name' or 'Composite Element Name'.",
            where=f"{text.where}, line {number}",
            mend="Give a MAGE-TAB ADF.",
        )
    return Adf(url, text.where, header, columns)


def _table_lines(text: Text) -> Iterator[tuple[int, list[str]]]:
    """The lines of the [main] section; its header first."""
    is_inside = False
    for number, cells in text.rows():
        section = _SECTION.fullmatch(cells[0])
        if section and not any(cells[1:]):
            if is_inside:
                return
            is_inside = section[1].lower() == "main"
        elif is_inside:
            yield number, cells


def _normalise(name: str) -> str:
    return re.sub(r"\s+\[", "[", name.strip())


def _digest(name: str) -> str:
    return re.sub(r"[\s_]+", "", name).lower()
