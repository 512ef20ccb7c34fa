"""Cells of one line of a table: what separates them, and quotes around them."""

from __future__ import annotations

import re

_BLANKS = re.compile(r" {2,}")


def find_delimiter(line: str) -> str:
    """What separates the cells of a header: a tab, else a comma, else a blank.

    >>> find_delimiter("a b\\tc"), find_delimiter('"a","b c"'), find_delimiter("a b")
    ('\\t', ',', ' ')
    """
    return next((mark for mark in ("\t", ",") if mark in line), " ")


def split_cells(line: str, delimiter: str) -> list[str]:
    """The cells of a line, without quotes and blanks around them.

    >>> split_cells('"a b"  c', " "), split_cells("a,,c", ","), split_cells("a\\tb ", "\\t")
    (['a b', 'c'], ['a', '', 'c'], ['a', 'b'])
    """
    if delimiter == " ":
        line = _BLANKS.sub(" ", line.strip(" "))
    cells = line.split(delimiter) if line.count('"') % 2 or '"' not in line else _unquote(line, delimiter)
    return [cell.strip() for cell in cells]


def _unquote(line: str, delimiter: str) -> list[str]:
    """Cells of a line whose quotes are all closed."""
    cells: list[str] = []
    is_open = False
    for part in line.split(delimiter):
        if is_open:
            cells[-1] += delimiter + part
        else:
            cells.append(part)
        is_open ^= part.count('"') % 2 == 1
    return [
        cell[1:-1].replace('""', '"') if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell
        for cell in cells
    ]
