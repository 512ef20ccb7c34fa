"""Whose run is it: `runs` as the identity graph of runs, people and every other name of a run. Pure functions.

Nothing is guessed. A person is named by a source, and the text that names the person is read by few rules, each of
which is written into the evidence (`identify_person`). Sources that name different people for a run leave it without
one, and the problem says who names whom.
"""

from kgp.transforms.runs.columns import ColumnRun, resolve_columns
from kgp.transforms.runs.graph import Difference, Run, reconcile_runs
from kgp.transforms.runs.people import Identity, identify_person
from kgp.transforms.runs.records import AUTHORITY, MATRIX, SEVERAL, RunRecord

__all__ = [
    "AUTHORITY",
    "MATRIX",
    "SEVERAL",
    "ColumnRun",
    "Difference",
    "Identity",
    "Run",
    "RunRecord",
    "identify_person",
    "reconcile_runs",
    "resolve_columns",
]
