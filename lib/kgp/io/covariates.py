"""Reads tables of covariates that somebody else computed or measured, whichever way round they are.

- FastQTL, QTLtools, tensorQTL, Matrix eQTL: a row a covariate, a column a person; the first cell of the header is
  ``id``, ``SampleID``, any other word, or empty; tabs, blanks or commas between the cells.
- The transposed form: a row a person, a column a covariate.
- PLINK 2's ``.covar`` and ``.eigenvec``: a row a person, ``#FID IID PC1 …`` or ``#IID PC1 …``; its columns SID, PAT and
  MAT name no covariates and are passed over.
- What R's ``write.table`` makes of either: quotes, and a header that has no cell for the row names.

Which way round it is tells the side on which people are: those whom the lake knows, or ids of Coriell's form.

Sources: https://qtltools.github.io/qtltools, https://github.com/broadinstitute/tensorqtl,
https://www.cog-genomics.org/plink/2.0/formats.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from kgp.errors import FormatError
from kgp.io.expression.cells import find_delimiter, split_cells
from kgp.io.expression.numbers import MISSING, to_number
from kgp.io.expression.words import fold
from kgp.io.people_text import TextLines
from kgp.transforms.runs.people import identify_person

Orientation = Literal["people in columns", "people in rows"]

# What is larger is no table of covariates: it would be held in memory as text.
MAX_CELLS = 5_000_000

_HEADINGS = {"", "id", "iid", "fid", "sampleid", "sample_id", "sample", "covariate", "covariates", "name"}
_NO_COVARIATES = {"sid", "pat", "mat"}
_MENDED = "id of a person in another spelling (GM for NA, GEUV: before it, blanks, case)"


@dataclass(frozen=True)
class CovariateFile:
    """A table of covariates.

    Args:
        covariate_ids: in file order.
        sample_ids: people, in file order; an id of Coriell's form in its usual spelling.
        texts: covariates × samples, as the file has them.
        orientation: where the file has the people.
        line_numbers: line, 1-based, of each covariate, or of each person where they are in rows.
        n_lines: lines below the header, counted apart from the parser: covariates, or people where they are in rows.
        warnings: what was odd but read, and how often.
    """

    covariate_ids: tuple[str, ...]
    sample_ids: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    orientation: Orientation
    line_numbers: tuple[int, ...]
    n_lines: int
    warnings: Mapping[str, int]

    @cached_property
    def values(self) -> tuple[tuple[float | None, ...], ...]:
        """covariates × samples: the numbers; None where a value is missing or a word."""
        return tuple(tuple(to_value(text) for text in row) for row in self.texts)

    def locate(self, covariate_id: str, sample_id: str) -> str:
        """Line and column of a value, for messages."""
        if self.orientation == "people in columns":
            row, column = self.covariate_ids.index(covariate_id), sample_id
        else:
            row, column = self.sample_ids.index(sample_id), covariate_id
        return f"line {self.line_numbers[row]}, column {column}"


@dataclass(frozen=True)
class _Grid:
    """Cells of a file.

    Args:
        place: the file, for messages.
        number: line of the header, 1-based.
        header: names of all columns; the first is '' where the file has none.
        rows: (line number, 1-based; cells), as many as the header has.
    """

    place: str
    number: int
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]

    def locate(self, number: int, column: int | None = None) -> str:
        """Place of a line or of a cell, for messages."""
        where = f"{self.place}, line {number}"
        return where if column is None else f"{where}, column {self.header[column] or column + 1}"


def is_missing(text: str) -> bool:
    """Whether a cell says that there is no value.

    >>> [is_missing(text) for text in ("", ".", "NA", "nan", "0", "male")]
    [True, True, True, True, False, False]
    """
    return text in MISSING or text.lower().lstrip("+-") == "nan"


def to_value(text: str) -> float | None:
    """The number that a cell holds; None where it is missing or a word.

    >>> to_value("-1e-3"), to_value("NA"), to_value("male"), to_value("1_000")
    (-0.001, None, None, None)
    """
    try:
        return None if is_missing(text) else to_number(text)
    except ValueError:
        return None


def read_covariates(url: str, people: Collection[str] = ()) -> CovariateFile:
    """Read a table of covariates.

    Args:
        url: the file, in any storage, plain or compressed.
        people: ids that the lake knows; ids of Coriell's form are people besides.

    Raises:
        FormatError: it is no such table: it is empty or no text, has no header or no person, has people on both sides,
            a line with too few or too many values, a covariate or a person twice or without a name, or an infinite
            value.
        InputError: there is no such file, or it may not be read.
    """
    source = TextLines(url)
    grid = _read_grid(source)
    known = frozenset(people)
    first = 1 if [fold(cell) for cell in grid.header[:2]] == ["fid", "iid"] else 0
    orientation = _find_orientation(grid, first, known)
    _check_values(grid, first, orientation)
    if orientation == "people in columns":
        found = _with_people_in_columns(grid, known, source.warnings)
    else:
        found = _with_people_in_rows(grid, first, known, source.warnings)
    covariate_ids, sample_ids, texts = found
    return CovariateFile(
        covariate_ids,
        sample_ids,
        texts,
        orientation,
        tuple(number for number, _ in grid.rows),
        source.n_lines - 1,
        dict(source.warnings),
    )


# ------------------------------------------------------------------------------------------------------ cells


def _read_grid(source: TextLines) -> _Grid:
    lines = iter(source)
    start = next(lines, None)
    if start is None:
        raise FormatError(
            "The file is empty; a table of covariates is expected.", where=source.place, mend="Give another."
        )
    second = next(lines, None)
    # A header of one word, as R writes for one person, tells no separator.
    delimiter = find_delimiter(start[1] if second is None or len(start[1].split()) > 1 else second[1])
    header = _split(source.place, *start, delimiter)
    while len(header) > 1 and not header[-1]:
        source.warnings["stray separator in the header"] += 1
        header.pop()
    rows: list[tuple[int, tuple[str, ...]]] = []
    for number, text in itertools.chain([] if second is None else [second], lines):
        cells = _split(source.place, number, text, delimiter)
        if not rows and _lacks_row_names(header, cells):
            header.insert(0, "")
        rows.append((number, _fit(source, number, cells, header)))
        if len(rows) * len(header) > MAX_CELLS:
            raise FormatError(
                f"It has more than {MAX_CELLS:,} values: no table of covariates is so large.",
                where=f"{source.place}, line {number}",
                mend="Load a matrix of expression with kgp load expression.",
            )
    if not rows or len(header) < 2:
        what = "no line below its header" if not rows else "one column only"
        raise FormatError(
            f"It has {what}.",
            where=f"{source.place}, line {start[0]}",
            mend="Give a table with a row a covariate and a column a person, or the other way round.",
        )
    return _Grid(source.place, start[0], tuple(header), tuple(rows))


def _lacks_row_names(header: Sequence[str], cells: Sequence[str]) -> bool:
    """Whether a header has no cell for the names of the rows, as R writes it, by the first line below it."""
    is_shorter = len(cells) == len(header) + 1 and cells[-1] != ""
    return is_shorter and fold(header[0]) not in _HEADINGS


def _split(place: str, number: int, text: str, delimiter: str) -> list[str]:
    if text.count('"') % 2:
        raise FormatError(
            "A quote is opened and not closed.", where=f"{place}, line {number}", mend="Mend the line."
        )
    return split_cells(text, delimiter)


def _fit(source: TextLines, number: int, cells: Sequence[str], header: Sequence[str]) -> tuple[str, ...]:
    """As many cells as the header has."""
    width = len(header)
    if len(cells) > width and not any(cells[width:]):
        source.warnings["stray separator at the end of a line"] += 1
        cells = cells[:width]
    if len(cells) != width:
        if len(cells) < width:
            why = f"none is left for column {header[len(cells)] or len(cells) + 1}"
        else:
            why = f"'{cells[width]}' is one too many"
        name = cells[1] if fold(header[0]) == "fid" and len(cells) > 1 else cells[0]
        raise FormatError(
            f"It has {len(cells):,} values where the header has {width:,}: {why}.",
            where=f"{source.place}, line {number}" + (f" ({name})" if name else ""),
            mend="Mend the line, or fetch the file again.",
        )
    return tuple(cells)


def _check_values(grid: _Grid, first: int, orientation: Orientation) -> None:
    for number, cells in grid.rows:
        for column in range(first + 1, len(cells)):
            value = to_value(cells[column])
            if value is not None and math.isinf(value):
                names = (cells[first], grid.header[column])
                covariate, person = names if orientation == "people in columns" else names[::-1]
                raise FormatError(
                    f"'{cells[column]}' is no finite number: {covariate} of {person}.",
                    where=grid.locate(number, column),
                    mend="Write NA where a value is missing, or leave the covariate out.",
                )


# -------------------------------------------------------------------------------------------------- orientation


def _find_orientation(grid: _Grid, first: int, people: frozenset[str]) -> Orientation:
    def find(cells: Sequence[str]) -> list[int]:
        return [i for i, cell in enumerate(cells) if identify_person(cell, people).sample_id is not None]

    if find(grid.header[:1]):
        raise _header_missing(grid, f"It begins with {grid.header[0]}, who is a person")
    columns, names = grid.header[first + 1 :], [cells[first] for _, cells in grid.rows]
    in_header, in_rows = find(columns), find(names)
    if in_header and in_rows:
        column, (number, _) = first + 1 + in_header[0], grid.rows[in_rows[0]]
        raise FormatError(
            f"There are people on both sides: {grid.header[column]} in the header (column {column + 1}) and "
            f"{names[in_rows[0]]} in the first column (line {number}).",
            where=grid.locate(grid.number),
            mend="Leave people on one side, and the names of the covariates on the other.",
        )
    if not in_header and not in_rows:
        if _are_values(columns):
            raise _header_missing(grid, f"It begins with values of {grid.header[first]} ({_some(columns)})")
        raise FormatError(
            f"Nobody is known, neither in its header ({_some(columns)}) nor in its first column ({_some(names)}).",
            where=grid.locate(grid.number),
            mend="Load these people first (kgp load samples), or name them as the lake does.",
        )
    return "people in columns" if in_header else "people in rows"


def _are_values(cells: Sequence[str]) -> bool:
    """Whether cells are values of one covariate rather than names: numbers and missing ones."""
    numbers = [to_value(cell) is not None for cell in cells]
    return any(numbers) and all(n or is_missing(cell) for n, cell in zip(numbers, cells, strict=True))


def _header_missing(grid: _Grid, what: str) -> FormatError:
    return FormatError(
        f"{what}: the header is missing.",
        where=grid.locate(grid.number),
        mend="Put a line with names above it: FID IID PC1 PC2, or id and the people.",
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(name or "''" for name in names[:3]) + (", …" if len(names) > 3 else "")


_Oriented = tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[str, ...], ...]]


def _with_people_in_columns(grid: _Grid, people: frozenset[str], warnings: Counter[str]) -> _Oriented:
    named = list(enumerate(grid.header))[1:]
    sample_ids = _check_names(
        [_name_person(cell, people, warnings) for _, cell in named],
        "Person",
        lambda i: f"{grid.locate(grid.number)}, column {named[i][0] + 1} of the header",
    )
    covariate_ids = _check_names(
        [cells[0] for _, cells in grid.rows], "Covariate", lambda i: grid.locate(grid.rows[i][0])
    )
    return covariate_ids, sample_ids, tuple(cells[1:] for _, cells in grid.rows)


def _with_people_in_rows(
    grid: _Grid, first: int, people: frozenset[str], warnings: Counter[str]
) -> _Oriented:
    start = first + 1
    if fold(grid.header[first]) == "iid":
        while start < len(grid.header) and fold(grid.header[start]) in _NO_COVARIATES:
            warnings[f"column {grid.header[start]} is not read"] += 1
            start += 1
    covariate_ids = _check_names(
        grid.header[start:],
        "Covariate",
        lambda i: f"{grid.locate(grid.number)}, column {start + i + 1} of the header",
    )
    sample_ids = _check_names(
        [_name_person(cells[first], people, warnings) for _, cells in grid.rows],
        "Person",
        lambda i: grid.locate(grid.rows[i][0]),
    )
    return covariate_ids, sample_ids, tuple(zip(*(cells[start:] for _, cells in grid.rows), strict=True))


def _name_person(text: str, people: frozenset[str], warnings: Counter[str]) -> str:
    identity = identify_person(text, people)
    if identity.rule:
        warnings[_MENDED] += 1
    return identity.sample_id or text


def _check_names(names: Sequence[str], what: str, locate: Callable[[int], str]) -> tuple[str, ...]:
    """Refuse an empty name and one that is there twice."""
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if not name:
            raise FormatError(f"{what} {index + 1} has no name.", where=locate(index), mend="Give it one.")
        if name in seen:
            raise FormatError(
                f"{what} {name} is there a second time, after {locate(seen[name]).rpartition(', ')[2]}.",
                where=locate(index),
                mend="Leave one of them away.",
            )
        seen[name] = index
    if not seen:
        raise FormatError("It has no covariates.", where=locate(0), mend="Give a table that has some.")
    return tuple(seen)
