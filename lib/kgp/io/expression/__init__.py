"""Reads expression matrices, phenotypes × runs, and writes `phenotypes` and `expression`, in bounded memory.

A matrix is read once, a split of the text at a time. Numbers are parsed by Arrow, a column of a stretch at once; only
what can't be loaded is looked at cell by cell, to say what is wrong with it and where.
"""

from __future__ import annotations

from kgp.io.expression.design import read_array
from kgp.io.expression.layout import MatrixLayout, read_layout
from kgp.io.expression.place import NO_PLACE
from kgp.io.expression.reader import MatrixRecords, Roots, read_matrix
from kgp.io.expression.rows import Subject
from kgp.io.expression.task import MatrixTask

__all__ = [
    "NO_PLACE",
    "MatrixLayout",
    "MatrixRecords",
    "MatrixTask",
    "Roots",
    "Subject",
    "read_array",
    "read_layout",
    "read_matrix",
]
