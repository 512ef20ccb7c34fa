"""Reads a matrix by tasks, or on the driver where it is one split, and puts together what they say of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltalake.transaction import AddAction

from kgp.errors import FormatError, KgpError
from kgp.genome import get_build
from kgp.io.direct import discard_files
from kgp.io.expression.blocks import BadLine
from kgp.io.expression.checks import add_up, check_parts, first_lines, list_bad, list_unplaced
from kgp.io.expression.place import NO_PLACE
from kgp.io.expression.task import (
    BELOW_0,
    BLANK_LINE,
    UNKNOWN_CONTIG,
    VALUE_MISSING,
    MatrixTask,
    Roots,
    SplitPart,
)
from kgp.io.splits import Split, has_end_marker, plan_splits
from kgp.io.tasks import plan_tasks, run_tasks

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["MatrixRecords", "Roots", "read_matrix"]

# Files up to this size are read on the driver: to start Spark takes as long.
DRIVER_BYTES = 128 << 20


@dataclass(frozen=True)
class MatrixRecords:
    """A matrix that was read whole and that nothing refuses.

    Args:
        phenotypes, expression, quarantined: add-actions of files that nobody sees before they are committed.
        n_records: lines below the header, counted from the text without parsing it.
        n_bad: lines that went into quarantine, by kind.
        first_bad: the first of them, with the line's number in the file (1-based) in the place of its index.
        n_unplaced: phenotypes that were loaded without a place, by why the annotation has none.
        first_unplaced: ids of the first of them.
        warnings: what was odd → how often.
        reader: where it was read: driver or tasks.
        roots: where the files lie.
    """

    phenotypes: list[AddAction]
    expression: list[AddAction]
    quarantined: list[AddAction]
    n_records: int
    n_bad: Mapping[str, int]
    first_bad: list[BadLine]
    n_unplaced: Mapping[str, int]
    first_unplaced: list[str]
    warnings: Mapping[str, int]
    reader: str
    roots: Roots

    def discard(self) -> None:
        """Remove the files, because they will not be committed."""
        _discard([self.phenotypes, self.expression, self.quarantined], self.roots)


def read_matrix(start_spark: Callable[[], SparkSession], task: MatrixTask) -> MatrixRecords:
    """Read a matrix once, and write its rows to files that nobody sees yet.

    Args:
        start_spark: gives the session; not called where the file is plain gzip, which can't be cut, or small.
        task: what is done with each split.

    Raises:
        FormatError: the file is damaged or cut off, a line can't be loaded or a phenotype has no place and that is not
            to be borne, or a phenotype has two lines. Nothing that was written stays behind.
        OverlapError: the annotation has a place for no phenotype at all.
        BuildError: a phenotype lies beyond the end of its contig.
        InputError: no line can be loaded.
        UsageError: a value is below 0, which its unit does not allow.
    """
    url = task.layout.url
    splits = plan_splits(url, target_bytes=DRIVER_BYTES)
    if splits[0].form == "bgzf" and not has_end_marker(url):
        raise FormatError(
            "The end marker of BGZF is missing: it is cut off.",
            where=task.layout.path,
            mend="Fetch the file again, or write it anew with bgzip.",
        )
    parts, reader = _run(start_spark, splits, task)
    try:
        check_parts(parts, task)
        return _put_together(parts, task, reader)
    except KgpError:
        for part in parts:
            _discard(part.written, task.roots)
        raise


def _run(
    start_spark: Callable[[], SparkSession], splits: Sequence[Split], task: MatrixTask
) -> tuple[list[SplitPart], str]:
    if len(splits) == 1:
        return [task(splits[0])], "driver"
    spark = start_spark()
    return run_tasks(spark, plan_tasks(spark, task.layout.url), task), "tasks"


def _discard(written: Sequence[Sequence[AddAction]], roots: Roots) -> None:
    for actions, root in zip(written, (roots.phenotypes, roots.expression, roots.quarantine), strict=True):
        discard_files([action.path for action in actions], root)


def _put_together(parts: Sequence[SplitPart], task: MatrixTask, reader: str) -> MatrixRecords:
    build = get_build(task.subject.build)
    n_blank = sum(part.n_blank for part in parts)
    n_on = add_up(part.n_on for part in parts)
    warnings = Counter(task.layout.warnings)
    warnings[BLANK_LINE] = n_blank
    warnings[VALUE_MISSING] = sum(part.n_missing for part in parts)
    warnings[BELOW_0] = sum(part.n_negative for part in parts)
    n_unplaced = add_up(part.n_unplaced for part in parts)
    warnings[NO_PLACE] = n_unplaced.total()
    warnings[UNKNOWN_CONTIG] = sum(n for contig, n in n_on.items() if build.canonical(contig) is None)
    # The last split may have no text: BGZF's end marker alone.
    is_open = next((part.lines.is_open for part in reversed(parts) if not part.lines.is_empty), False)
    firsts = first_lines(parts)
    n_others = task.layout.n_header_lines + n_blank + sum(part.n_footer for part in parts)
    return MatrixRecords(
        phenotypes=[action for part in parts for action in part.written[0]],
        expression=[action for part in parts for action in part.written[1]],
        quarantined=[action for part in parts for action in part.written[2]],
        n_records=sum(part.lines.n for part in parts) + is_open - n_others,
        n_bad=add_up(part.n_bad for part in parts),
        first_bad=list_bad(parts, firsts),
        n_unplaced=n_unplaced,
        first_unplaced=[one.id for one in list_unplaced(parts, firsts)],
        warnings={kind: n for kind, n in sorted(warnings.items()) if n},
        reader=reader,
        roots=task.roots,
    )
