"""Runs of a table whose columns the descriptor of the dataset names."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping

from kgp.errors import FormatError
from kgp.io.magetab.text import Text
from kgp.io.run_lists.collector import Collector, RunList
from kgp.sources.datasets import Dataset, RunTable


def read_table_runs(url: str, dataset: Dataset) -> RunList:
    """Runs of a table of one of the descriptor's shapes."""
    text = Text(url)
    rows = _read_table(text)
    _, header = next(rows)
    shape = find_table(header, dataset)
    assert shape is not None
    collector = Collector("table", "table", url, dataset)
    n_rows = 0
    for number, cells in rows:
        row = dict(zip(header, text.fit(number, cells, len(header)), strict=True))
        if any(row[column] != value for column, value in shape.where.items()):
            collector.warnings["row of something else: " + _describe(shape.where)] += 1
            continue
        if not row[shape.run]:
            raise FormatError(
                f"It names no run: {shape.run} is empty.",
                where=f"{text.where}, line {number}",
                mend="Mend the line, or fetch the file again.",
            )
        n_rows += 1
        told = {"lab": shape.lab, "batch": shape.batch, "replicate": shape.replicate}
        collector.add(
            row[shape.run],
            [(shape.person, row[shape.person])],
            [(column, row[column]) for column in (shape.run, *shape.aliases) if column in row],
            {name: row.get(column, "") for name, column in told.items() if column is not None},
        )
    return collector.finish(n_rows, text.warnings)


def _describe(where: Mapping[str, str]) -> str:
    return ", ".join(f"{column} is not {value}" for column, value in where.items())


def find_table(header: list[str], dataset: Dataset) -> RunTable | None:
    """The first of the dataset's tables whose columns are all there."""
    there = set(_split_header(header))
    return next(
        (table for table in dataset.run_tables if {table.run, table.person, *table.where} <= there), None
    )


def _split_header(cells: list[str]) -> list[str]:
    """The header of a table, which tabs or commas divide."""
    return next(csv.reader(cells)) if len(cells) == 1 and "," in cells[0] else cells


def _read_table(text: Text) -> Iterator[tuple[int, list[str]]]:
    """Rows of a table, the header first; divided by tabs, or by commas where the header has them and no tab."""
    is_csv = None
    for number, cells in text.rows():
        if is_csv is None:
            is_csv = len(cells) == 1 and "," in cells[0]
        yield number, next(csv.reader(cells)) if is_csv else cells
