"""Reads a MAGE-TAB sample and data relationship file (SDRF): a row a path from a source to its data.

Columns are nodes (a sample, an assay, a file), protocols between them, and attributes of the node or protocol that they
stand behind. Names of columns repeat; each column is kept apart and keeps its node. Headers are read as MAGE-TAB 1.1
allows: any case, any blanks (``Comment [ENA_RUN]``, ``FactorValue [CELL LINE]``).

Source: MAGE-TAB specification 1.1, section 2.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from kgp.errors import FormatError
from kgp.io.magetab.text import Text, last_filled

ColumnKind = Literal["node", "protocol", "attribute", "factor", "unknown"]

NODES = (
    "Source Name", "Sample Name", "Extract Name", "Labeled Extract Name", "Assay Name", "Hybridization Name",
    "Scan Name", "Normalization Name", "Array Data File", "Derived Array Data File", "Array Data Matrix File",
    "Derived Array Data Matrix File", "Image File",
)  # fmt: skip
FILES = tuple(name for name in NODES if name.endswith("File"))
_ATTRIBUTES = (
    "Characteristics", "Material Type", "Label", "Comment", "Unit", "Term Source REF", "Term Accession Number",
    "Technology Type", "Array Design REF", "Array Design File", "Description", "Provider",
    "Parameter Value", "Performer", "Date",
)  # fmt: skip
# These qualify the attribute before them.
_QUALIFIERS = {"Unit", "Term Source REF", "Term Accession Number"}


def _digest(text: str) -> str:
    return re.sub(r"[\s_]+", "", text).lower()


_NAMES = {_digest(name): name for name in (*NODES, *_ATTRIBUTES, "Protocol REF", "Factor Value")}
_NAMES |= {"characteristic": "Characteristics", "labelledextractname": "Labeled Extract Name",
           "hybridisationname": "Hybridization Name", "normalisationname": "Normalization Name"}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column of an SDRF.

    Args:
        index: its place, 0-based.
        name: in the specification's spelling, without its brackets (``Comment``).
        detail: what stands in the brackets, as the file spells it; '' without.
        kind: what it holds.
        of: index of the node, protocol or attribute that it describes; None for nodes, protocols, factors.
    """

    index: int
    name: str
    detail: str
    kind: ColumnKind
    of: int | None = None

    @property
    def label(self) -> str:
        """Name and detail in one spelling: ``Comment[ENA_RUN]``."""
        return f"{self.name}[{self.detail}]" if self.detail else self.name


@dataclass(frozen=True)
class Step:
    """A node of a row's path, or a protocol.

    Args:
        column: where it stands.
        name: its name there.
        attributes: (column, value) of what describes it, in order; qualifiers of an attribute follow it.
    """

    column: Column
    name: str
    attributes: tuple[tuple[Column, str], ...]


@dataclass(frozen=True)
class Sdrf:
    """A whole SDRF.

    Args:
        columns: in order; repeated names stay apart.
        rows: cells, a row as long as `columns`.
        line_numbers: line of each row in the file, 1-based.
        where: the file as messages name it.
        warnings: what was odd but read, and how often.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    line_numbers: tuple[int, ...]
    where: str
    warnings: Mapping[str, int] = field(default_factory=dict)

    def find(self, label: str) -> tuple[Column, ...]:
        """Columns of that name, however the file and the caller space and capitalise it.

        Args:
            label: for example ``Comment[ENA_RUN]``.
        """
        wanted = _split_label(label)
        return tuple(
            column
            for column in self.columns
            if (column.name, column.detail.lower()) == (wanted[0], wanted[1].lower())
        )

    def path(self, row: Sequence[str]) -> Iterator[Step]:
        """Nodes and protocols of a row in order, each with its attributes; empty ones are passed over."""
        described: dict[int, list[tuple[Column, str]]] = {}
        owner: dict[int, int] = {}
        for column in self.columns:
            if column.of is not None:
                # A qualifier belongs to the step of the attribute that it qualifies.
                owner[column.index] = owner.get(column.of, column.of)
                described.setdefault(owner[column.index], []).append((column, row[column.index]))
        for column in self.columns:
            if column.kind in ("node", "protocol") and row[column.index]:
                attributes = tuple((c, value) for c, value in described.get(column.index, ()) if value)
                yield Step(column, row[column.index], attributes)


def read_sdrf(url: str) -> Sdrf:
    """Read an SDRF, or the [SDRF] section of a file with several.

    Raises:
        FormatError: there is no Source Name column, or a row is shorter than the header; says the line.
        InputError: there is no such file, or it may not be read.
    """
    text = Text(url)
    lines = _sdrf_section(text.rows())
    number, header = next(lines, (1, []))
    width = last_filled(header)
    if width < len(header):
        text.warnings["stray tabs at the end of the header"] += 1
    columns = parse_header(header[:width])
    if not any(column.name == "Source Name" for column in columns):
        raise FormatError(
            "It has no column 'Source Name'.",
            where=f"{text.where}, line {number}",
            mend="Give a MAGE-TAB SDRF.",
        )
    for column in columns:
        if column.kind == "unknown":
            text.warnings[f"column {column.name or 'without a name'!r} that MAGE-TAB does not have"] += 1
    rows, numbers = [], []
    for number, cells in lines:
        rows.append(tuple(text.fit(number, cells, width)))
        numbers.append(number)
    return Sdrf(columns, tuple(rows), tuple(numbers), text.where, dict(text.warnings))


def parse_header(cells: Sequence[str]) -> tuple[Column, ...]:
    """The columns of a header line, each with the node, protocol or attribute that it describes.

    >>> [(c.label, c.kind, c.of) for c in parse_header(["Source Name", "Comment [ENA_SAMPLE]", "Protocol REF", "date"])]
    [('Source Name', 'node', None), ('Comment[ENA_SAMPLE]', 'attribute', 0), ('Protocol REF', 'protocol', None), ('Date', 'attribute', 2)]
    """  # noqa: E501
    columns: list[Column] = []
    step: int | None = None
    attribute: int | None = None
    for index, cell in enumerate(cells):
        name, detail = _split_label(cell)
        kind = _kind(name)
        of = None
        if kind == "attribute":
            of = attribute if name in _QUALIFIERS and attribute is not None else step
        columns.append(Column(index, name, detail, kind, of))
        if kind in ("node", "protocol"):
            step, attribute = index, None
        elif kind in ("attribute", "factor") and name not in _QUALIFIERS:
            attribute = index
    return tuple(columns)


def _split_label(text: str) -> tuple[str, str]:
    """(name in the specification's spelling, what stands in brackets); an unknown name stays as it is."""
    found = re.fullmatch(r"([^\[]*)\[(.*)\]", text.strip())
    name, detail = (found[1], found[2].strip()) if found else (text.strip(), "")
    return _NAMES.get(_digest(name), name.strip()), detail


def _kind(name: str) -> ColumnKind:
    if name in NODES:
        return "node"
    if name == "Protocol REF":
        return "protocol"
    if name == "Factor Value":
        return "factor"
    return "attribute" if name in _ATTRIBUTES else "unknown"


def _sdrf_section(rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """The rows of the [SDRF] section; all rows where there are no sections."""
    first = next(rows, None)
    if first is None:
        return
    number, cells = first
    if re.fullmatch(r"\[\w+\]", cells[0]) is None:
        yield number, cells
        yield from rows
        return
    is_inside = cells[0].upper() == "[SDRF]"
    for number, cells in rows:
        if re.fullmatch(r"\[\w+\]", cells[0]):
            is_inside = cells[0].upper() == "[SDRF]"
        elif is_inside:
            yield number, cells
