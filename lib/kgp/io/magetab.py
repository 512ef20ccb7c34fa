"""Reads which run belongs to which person from a MAGE-TAB sample and data relationship file (SDRF).

An SDRF repeats column names, spells ``Comment[…]`` with and without a blank, has several rows a run and may be
Latin-1. What counts here: the person is the Source Name; any other node or comment that names a run, an assay, a
scan, an extract or a file is an alias of that run.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass

from kgp.errors import FormatError
from kgp.io.storage import open_binary

# Columns whose values can stand above an expression matrix, in the order in which they are trusted.
_ALIAS_COLUMNS = (
    "Source Name",
    "Comment[ENA_RUN]",
    "Comment[ENA_SAMPLE]",
    "Comment[ENA_EXPERIMENT]",
    "Assay Name",
    "Hybridization Name",
    "Extract Name",
    "Labeled Extract Name",
    "Scan Name",
    "Sample Name",
    "Array Data File",
    "Derived Array Data File",
)


@dataclass(frozen=True)
class RunOwner:
    """Whose run it is, and which column of the SDRF says so."""

    sample_id: str
    column: str


@dataclass(frozen=True)
class Sdrf:
    """What an SDRF says about runs.

    Args:
        owners: alias → the person and the column.
        ambiguous: aliases that the file gives to more than one person; they are not in `owners`.
    """

    owners: Mapping[str, RunOwner]
    ambiguous: frozenset[str]


def read_sdrf(path: str) -> Sdrf:
    """Read an SDRF.

    Raises:
        FormatError: no Source Name column, or a row of another width.
    """
    with open_binary(path) as file:
        raw = file.read()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    rows = list(csv.reader(lines, delimiter="\t"))
    header = [re.sub(r"\s+\[", "[", cell.strip()) for cell in rows[0]] if rows else []
    if "Source Name" not in header:
        raise FormatError("It has no column 'Source Name'.", where=path, mend="Give a MAGE-TAB SDRF.")
    source = header.index("Source Name")
    owners: dict[str, RunOwner] = {}
    ambiguous: set[str] = set()
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise FormatError(
                f"Row {number} has {len(row)} values where the header has {len(header)}.",
                where=path,
                mend="Fetch the file again.",
            )
    for name in _ALIAS_COLUMNS:
        for index in (i for i, cell in enumerate(header) if cell == name):
            for row in rows[1:]:
                alias, sample_id = row[index].strip(), row[source].strip()
                known = owners.setdefault(alias, RunOwner(sample_id, name)) if alias and sample_id else None
                if known is not None and known.sample_id != sample_id:
                    ambiguous.add(alias)
    return Sdrf({a: o for a, o in owners.items() if a not in ambiguous}, frozenset(ambiguous))
