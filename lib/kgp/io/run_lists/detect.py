"""Tells by its first lines what a run list is, and reads it."""

from __future__ import annotations

from itertools import islice

from kgp.errors import FormatError
from kgp.io.geo import read_series_matrix, read_soft
from kgp.io.magetab.idf import is_idf_tag, read_idf
from kgp.io.magetab.sdrf import parse_header
from kgp.io.magetab.text import Text
from kgp.io.run_lists.collector import RunList
from kgp.io.run_lists.geo import read_geo_runs
from kgp.io.run_lists.index import INDEX_COLUMNS, read_index_runs
from kgp.io.run_lists.sdrf import read_sdrf_runs
from kgp.io.run_lists.table import find_table, read_table_runs
from kgp.sources.datasets import Dataset

# Where a dataset has no descriptor.
_RUN_COLUMNS = ("Comment[ENA_RUN]", "Hybridization Name", "Assay Name", "Extract Name", "Source Name")
_UNKNOWN = Dataset("", 0, (), _RUN_COLUMNS)


def read_run_list(url: str, dataset: Dataset | None) -> RunList:
    """Read a run list, whatever it is.

    Args:
        url: the file.
        dataset: descriptor of the dataset; None for one that has none.

    Raises:
        FormatError: it is no run list, or a damaged one; says what it looks like and what was expected.
        InputError: there is no such file, or it may not be read.
    """
    described = dataset or _UNKNOWN
    kind = _detect(url, described)
    if kind == "sdrf":
        return read_sdrf_runs(url, described)
    if kind == "sequence_index":
        return read_index_runs(url, described)
    if kind == "geo_soft":
        return read_geo_runs(url, read_soft(url), described)
    if kind == "geo_series_matrix":
        return read_geo_runs(url, read_series_matrix(url), described)
    return read_table_runs(url, described)


def _detect(url: str, dataset: Dataset) -> str:
    """What a file is, by its first lines."""
    text = Text(url)
    first = [line for line in islice(text.lines(), 200) if line.text.strip()]
    if not first:
        raise FormatError("The file is empty.", where=text.where, mend="Fetch it again.")
    if first[0].text.startswith("^"):
        return "geo_soft"
    if first[0].text.lower().startswith(("!series_", "!sample_")):
        return "geo_series_matrix"
    if any(set(line.text.lstrip("#").split("\t")) >= INDEX_COLUMNS for line in first):
        return "sequence_index"
    rows = [text.cells(line.text) for line in first if not line.text.startswith("#")]
    if any(column.name == "Source Name" for column in parse_header(rows[0] if rows else [])):
        return "sdrf"
    if any(cells[0].upper() == "[SDRF]" for cells in rows):
        return "sdrf"
    if any(is_idf_tag(cells[0]) for cells in rows):
        names = ", ".join(read_idf(url).sdrf_files) or "….sdrf.txt"
        raise FormatError(
            "It is an IDF, which tells of the experiment and not of its runs.",
            where=text.where,
            mend=f"Give its SDRF: {names}.",
        )
    if any(cells[0].lower().startswith("array design name") for cells in rows):
        raise FormatError(
            "It is an array design (ADF), which names no runs.", where=text.where, mend="Give the SDRF."
        )
    if rows and find_table(rows[0], dataset) is not None:
        return "table"
    shapes = "; ".join(f"{table.run} and {table.person}" for table in dataset.run_tables)
    tables = f", or a table with the columns {shapes}" if shapes else ""
    raise FormatError(
        f"It is no run list that is known; it begins with {first[0].text[:60]!r}.",
        where=f"{text.where}, line {first[0].number}",
        mend=f"Give a MAGE-TAB SDRF, a sequence.index, a GEO series matrix or SOFT file{tables}.",
    )
