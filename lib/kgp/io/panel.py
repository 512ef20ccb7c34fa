"""Reads who the people are: population panels and pedigrees of the 1000 Genomes Project."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field

from kgp.errors import FormatError
from kgp.io.storage import open_binary

_PANEL_COLUMNS = {
    "sample": "sample_id",
    "pop": "population",
    "population": "population",
    "super_pop": "superpopulation",
    "superpop": "superpopulation",
    "superpopulation": "superpopulation",
    "gender": "sex",
    "sex": "sex",
}
_PEDIGREE_COLUMNS = {
    "family id": "family_id",
    "individual id": "sample_id",
    "paternal id": "father_id",
    "maternal id": "mother_id",
    "gender": "sex",
    "population": "population",
    "relationship": "relationship",
}
_SEXES = {"male": "male", "m": "male", "1": "male", "female": "female", "f": "female", "2": "female"}
_NOT_KNOWN = {"", "0", "NA", "unknown", "other"}


@dataclass(frozen=True)
class People:
    """People of a file.

    Args:
        rows: column of `samples` → text, a person a row, in file order.
        n_lines: data lines of the file, counted apart from the parser.
        warnings: what was odd but read, and how often.
    """

    rows: tuple[dict[str, str | None], ...]
    n_lines: int
    warnings: dict[str, int] = field(default_factory=dict)


def read_panel(path: str) -> People:
    """Read ``sample pop super_pop gender``; the archive's stray tabs at line ends are tolerated and counted.

    Raises:
        FormatError: no such header, a line with too few or too many values, a person twice, an unknown sex.
    """
    return _read(
        path,
        _PANEL_COLUMNS,
        required=("sample_id", "population"),
        what="panel (sample, pop, super_pop, gender)",
    )


def read_pedigree(path: str) -> People:
    """Read the archive's 12-column pedigree; parents written 0 are null, the relationship stays as worded.

    Raises:
        FormatError: as `read_panel`.
    """
    required = ("sample_id", "father_id", "mother_id")
    return _read(path, _PEDIGREE_COLUMNS, required=required, what="pedigree (Family ID, Individual ID, …)")


def _read(path: str, names: dict[str, str], *, required: tuple[str, ...], what: str) -> People:
    lines = list(_lines(path))
    if not lines:
        raise FormatError(f"The file is empty; a {what} is expected.", where=path)
    header = [cell.strip().lower() for cell in next(csv.reader([lines[0].lstrip("#")], delimiter="\t"))]
    columns = {names[cell]: index for index, cell in enumerate(header) if cell in names}
    if lacking := [name for name in required if name not in columns]:
        raise FormatError(
            f"Its header {lines[0][:80]!r} has no column for {', '.join(lacking)}.",
            where=path,
            mend=f"Give a {what}.",
        )
    width = max(index for index, cell in enumerate(header) if cell) + 1
    warnings: dict[str, int] = {}
    if len(header) > width:
        warnings["stray tab in the header"] = len(header) - width
    rows: dict[str, dict[str, str | None]] = {}
    for number, cells in enumerate(csv.reader(lines[1:], delimiter="\t"), start=2):
        while len(cells) > width and not cells[-1]:
            cells.pop()
            warnings["stray tab in a row"] = warnings.get("stray tab in a row", 0) + 1
        if len(cells) != width:
            raise FormatError(
                f"It has {len(cells)} values where the header has {width}.",
                where=f"{path}, line {number}",
                mend="Mend the line or fetch the file again.",
            )
        row = {name: _value(name, cells[index], f"{path}, line {number}") for name, index in columns.items()}
        sample_id = row["sample_id"]
        if sample_id is None or sample_id in rows:
            problem = "There is no sample id" if sample_id is None else f"{sample_id} is there a second time"
            raise FormatError(f"{problem}.", where=f"{path}, line {number}", mend="A person has one row.")
        rows[sample_id] = row
    return People(tuple(rows.values()), len(lines) - 1, warnings)


def _lines(path: str) -> Iterator[str]:
    with open_binary(path) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline=None)
        try:
            for line in text:
                if line.strip() and not line.startswith("##"):
                    yield line.rstrip("\n")
        except UnicodeDecodeError as problem:
            raise FormatError(
                "It is no UTF-8 text.", where=path, mend="Give the uncompressed text file."
            ) from problem


def _value(name: str, cell: str, where: str) -> str | None:
    text = cell.strip()
    if name == "sex":
        if text.lower() in _NOT_KNOWN:
            return None
        if text.lower() not in _SEXES:
            raise FormatError(f"'{text}' is no sex.", where=where, mend="Use male or female, or 1 or 2.")
        return _SEXES[text.lower()]
    return None if text in _NOT_KNOWN else text
