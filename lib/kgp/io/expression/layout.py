"""What the columns of an expression matrix are, by its header; see `kgp.io.expression.words` for the spellings.

Five layouts are told apart: BED with leading columns (FastQTL, QTLtools), Geuvadis (``TargetID Gene_Symbol Chr
Coord``), a bare table, a MAGE-TAB data matrix with two header lines (HapMap 3 arrays), and a GEO series matrix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from kgp.errors import FormatError
from kgp.io.expression.cells import find_delimiter, split_cells
from kgp.io.expression.header import SERIES_END, Form, read_top
from kgp.io.expression.words import BARE_NAMES, GENE, ID, LEADING, ROW_NAME, RUN_REFS, fold
from kgp.io.urls import place_of

SHORT_HEADER = "header one cell shorter than the lines"
LONG_HEADER = "empty cells at the end of the header"


@dataclass(frozen=True)
class MatrixLayout:
    """What the columns of an expression matrix are.

    Args:
        url: the file; it may hold a credential and is never shown.
        header: all lines above the values.
        n_header_lines: how many lines that is.
        data_offset: record offset of the line below them.
        delimiter: one byte between two cells; of a blank, any number of them is one.
        columns: meaning → index of the leading columns.
        n_leading: leading columns; the values follow.
        runs: headings of the values' columns, in order.
        form: name of the layout.
        footer: the line below the values, where the layout has one.
        first_id: phenotype of the first line.
        warnings: what is odd about the header → 1.
    """

    url: str
    header: str
    n_header_lines: int
    data_offset: int
    delimiter: bytes
    columns: Mapping[str, int]
    n_leading: int
    runs: tuple[str, ...]
    form: Form
    footer: bytes | None = None
    first_id: str = ""
    warnings: Mapping[str, int] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The file's place, as messages and tables name it."""
        return place_of(self.url)

    @property
    def has_places(self) -> bool:
        """Whether the matrix itself says where its phenotypes lie."""
        return self.is_bed or {"contig", "tss"} <= self.columns.keys()

    @property
    def is_bed(self) -> bool:
        """Whether contig, start and end are the first three columns: then the start is 0-based."""
        return [self.columns.get(name) for name in ("contig", "start", "end")] == [0, 1, 2]

    @property
    def n_cells(self) -> int:
        """Cells of a line."""
        return self.n_leading + len(self.runs)


def read_layout(url: str) -> MatrixLayout:
    """Read the header of an expression matrix, and the line below it.

    Raises:
        FormatError: it is no text, it has no column of phenotypes, no run, a run twice, or no line.
        InputError: the file can't be read.
    """
    path = place_of(url)
    top = read_top(url, path)
    delimiter = find_delimiter(top.header)
    heading = split_cells(top.header, delimiter)
    cells = split_cells(top.first.text, delimiter)
    heading, warnings = _fit(heading, len(cells))
    columns, n_leading = _read_leading(heading)
    _check_phenotype(columns, heading, path)
    layout = MatrixLayout(
        url=url,
        header="\n".join(top.lines),
        n_header_lines=len(top.lines),
        data_offset=top.first.offset,
        delimiter=delimiter.encode(),
        columns=columns,
        n_leading=n_leading,
        runs=_read_runs(heading, n_leading, path),
        form=top.form,
        footer=SERIES_END if top.form == "series matrix" else None,
        first_id=cells[columns[ID]] if columns[ID] < len(cells) else "",
        warnings=warnings,
    )
    return layout if top.form != "table" else _name_form(layout)


def _name_form(layout: MatrixLayout) -> MatrixLayout:
    form: Form = "bed" if layout.is_bed else "geuvadis" if layout.has_places else "table"
    return replace(layout, form=form)


def _fit(heading: list[str], n_cells: int) -> tuple[list[str], dict[str, int]]:
    """The header as long as the lines are, where it is known what makes the difference."""
    n_empty = len(heading) - len(_strip_empty(heading))
    # What R's write.table makes of row names. A header that names the phenotype itself has no room for them.
    if len(heading) == n_cells - 1 and fold(heading[0]) not in LEADING:
        return ["", *heading], {SHORT_HEADER: 1}
    if 0 < len(heading) - n_cells <= n_empty:
        return heading[:n_cells], {LONG_HEADER: 1}
    return heading, {}


def _strip_empty(cells: Sequence[str]) -> list[str]:
    kept = list(cells)
    while kept and not kept[-1]:
        kept.pop()
    return kept


def _read_leading(heading: Sequence[str]) -> tuple[dict[str, int], int]:
    """Meaning → index of the leading columns, and how many columns are leading."""
    columns: dict[str, int] = {}
    n_leading = 0
    for index, cell in enumerate(heading):
        word = fold(cell)
        if index == 0 and (word == "" or word in RUN_REFS):
            meaning: str | None = ROW_NAME
        else:
            meaning = LEADING.get(word)
        if meaning is None:
            break
        n_leading = index + 1
        if meaning:
            columns.setdefault(meaning, index)
    for substitute in (GENE, ROW_NAME):
        if ID not in columns and substitute in columns:
            columns[ID] = columns.pop(substitute)
    columns.pop(ROW_NAME, None)
    return columns, n_leading


def _check_phenotype(columns: Mapping[str, int], heading: Sequence[str], path: str) -> None:
    if ID not in columns:
        raise FormatError(
            f"Its header begins with {', '.join(map(repr, heading[:4]))}; no column names the phenotype.",
            where=path,
            mend=f"Give a BED (#chr start end id …), a Geuvadis matrix (TargetID …), or a table whose first column is "
            f"headed {' or '.join(BARE_NAMES)}.",
        )


def _read_runs(heading: Sequence[str], n_leading: int, path: str) -> tuple[str, ...]:
    runs = tuple(heading[n_leading:])
    if not runs:
        raise FormatError("No column of it is a run.", where=path, mend="Every run has one column.")
    first: dict[str, int] = {}
    for number, run in enumerate(runs, start=n_leading + 1):
        if not run:
            raise FormatError(
                "The column has no heading.",
                where=f"{path}, column {number}",
                mend="Name its run in the header.",
            )
        if run in first:
            raise FormatError(
                f"Run {run} stands in two columns, {first[run]} and {number}.",
                where=path,
                mend="A run has one column: leave one, or give each its own name.",
            )
        first[run] = number
    return runs
