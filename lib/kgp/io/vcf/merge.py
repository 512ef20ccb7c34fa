"""Files of several samples each, loaded as one: lines of the same place meet in a Spark task and become one record.

Two passes over the files. The first judges every line as a load of the file alone would, and tells where lines lie;
the second sends each line to the task of its range, which merges what it gets and writes the records as if they had
been read from one file. Files need not be sorted, nor have an index.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from kgp.errors import CheckError
from kgp.io.direct import discard_files
from kgp.io.splits import Chunk, Split, has_end_marker
from kgp.io.storage import file_size
from kgp.io.tasks import count_cores, map_splits, plan_tasks, run_tasks, task_bytes
from kgp.io.urls import place_of
from kgp.io.vcf.builtin import SplitResult, SplitTask
from kgp.io.vcf.conformance import LineChecker
from kgp.io.vcf.findings import NO_SEX, UNKNOWN_CONTIG, Survey, put_together
from kgp.io.vcf.merge_header import OTHER_DECLARATION, MergedHeader
from kgp.io.vcf.merge_input import (
    KEYED_LINES,
    AbsentRule,
    InputResult,
    InputTask,
    LineKeyer,
    Ranges,
    find_haploid,
    find_spellings,
)
from kgp.io.vcf.order import IdNumbering
from kgp.io.vcf.parser import parse_chunk
from kgp.io.vcf.reader import Records, Roots
from kgp.io.vcf.rows import Layout
from kgp.params import Absent
from kgp.tables.variants import VARIANTS
from kgp.transforms.merge import LineMerger, SiteLine
from kgp.transforms.merge_sweep import sweep

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

LINES = "line of a merged file"
JOINED = "record made of lines of several files"
BLOCKS = "record that is a stretch of reference blocks"

_CHUNK_BYTES = 4 << 20
# A record's number: its range above, its place in the range below.
_PLACE_BITS = 40
_TASKS_PER_CORE = 4


@dataclass
class MergeResult(SplitResult):
    """What became of a range.

    Args:
        number: of the range.
        n_lines: lines of the files that start in it.
        n_records: records that they made.
        warnings: kind → records.
    """

    number: int = 0
    n_lines: int = 0
    n_records: int = 0
    warnings: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class RangeMerger:
    """Merges the lines of ranges; tasks call it.

    Args:
        merger: of the files.
        absent: what a missing line means.
        ranges: all of them.
        spellings: canonical contig → CHROM.
    """

    merger: LineMerger
    absent: AbsentRule
    ranges: Ranges
    spellings: dict[str, str]

    def pieces(self, lines: Iterable[SiteLine], result: MergeResult) -> Iterator[Chunk]:
        """The merged records of a range as chunks of text; what happened is put into `result`.

        Args:
            lines: sorted by (start, file, offset).
            result: of the range, whose number it has.
        """
        contig, begin, end = self.ranges.place(result.number)
        texts: list[bytes] = []
        numbers: list[int] = []
        size = 0
        for site in sweep(self._count(lines, begin, result), begin, end):
            absent = self.absent.texts(contig, site.start)
            text, warnings = self.merger.merge(self.spellings[contig], site, absent)
            result.n_records += 1
            result.warnings.update(warnings)
            result.warnings[JOINED] += len(site.lines) + len(site.covers) > 1
            result.warnings[BLOCKS] += site.end is not None
            numbers.append((result.number << _PLACE_BITS) + result.n_records)
            texts.append(text.encode() + b"\n")
            size += len(texts[-1])
            if size > _CHUNK_BYTES:
                yield _to_chunk(texts, numbers)
                texts, numbers, size = [], [], 0
        if texts:
            yield _to_chunk(texts, numbers)

    @staticmethod
    def _count(lines: Iterable[SiteLine], begin: int, result: MergeResult) -> Iterator[SiteLine]:
        for line in lines:
            result.n_lines += line.start >= begin
            yield line


def read_merged(
    spark: SparkSession,
    merged: MergedHeader,
    layout: Layout,
    roots: Roots,
    absent: Absent,
    *,
    path: str,
    strict: bool = False,
    writes: bool = True,
) -> Records:
    """The records of several files, merged, as rows of `variants`.

    Args:
        spark: the session.
        merged: the files.
        layout: of the load, made with the header of all files; its selection holds whole contigs only.
        roots: where tasks write.
        absent: what it means that a file has no line at a place.
        path: what all files together are called.
        strict: refuse the first line that can't be loaded.
        writes: whether the tasks write the rows; otherwise they are left to Spark.

    Raises:
        InputError: a file can't be read, or `strict` and a line can't be loaded.
        CheckError: a line got lost between the files and the records; nothing is left written then.
    """
    items = [(file, split) for file, url in enumerate(merged.urls) for split in plan_tasks(spark, url)]
    files = [file for file, _ in items]
    tasks = [
        SplitTask(
            layout=_of_file(layout, merged, file),
            checker=LineChecker.of(merged.headers[file]),
            path=place_of(url),
            roots=(None, roots.quarantine),
            is_strict=strict,
        )
        for file, url in enumerate(merged.urls)
    ]
    inputs = run_tasks(spark, items, InputTask(tasks))
    quarantined = [action for one in inputs for action in one.written[1]]
    try:
        _refuse_strictly(inputs, files, merged, strict=strict)
        surveys = [
            _survey(
                merged,
                file,
                items,
                [one for one, owner in zip(inputs, files, strict=True) if owner == file],
                layout,
            )
            for file in range(len(merged.urls))
        ]
        keyed = _send_to_ranges(spark, items, inputs, merged, tasks, layout)
        range_merger = RangeMerger(
            LineMerger(merged.shapes),
            AbsentRule(
                absent,
                layout.reference,
                layout.n_samples,
                find_haploid(inputs, files, [len(one.samples) for one in merged.headers]),
            ),
            keyed.ranges,
            find_spellings(inputs),
        )
        task = SplitTask(
            layout=layout,
            checker=LineChecker.of(merged.header),
            path=path,
            roots=(roots.variants if writes else None, roots.quarantine),
        )
        results = keyed.run(partial(_merge_range, range_merger, task))
    except BaseException:
        discard_files([action.path for action in quarantined], roots.quarantine)
        raise
    records = Records(
        survey=_put_together(surveys, results, merged, layout),
        variants=None if writes else keyed.rows(partial(_range_rows, range_merger, layout)),
        written=[action for one in results for action in one.written[0]],
        quarantined=quarantined + [action for one in results for action in one.written[1]],
        first_reject=None,
        reader="builtin",
        reason=f"{len(merged.urls)} files merged, an absent row means {absent}",
        roots=roots,
    )
    n_loadable = sum(survey.n_records - survey.n_rejected for survey in surveys)
    if (n_merged := sum(one.n_lines for one in results)) != n_loadable:
        records.discard()
        raise CheckError(
            f"{n_loadable} lines of the files can be loaded, {n_merged} were merged.",
            where=path,
            mend="This is a defect of kgp: please report it with the files.",
        )
    return records


@dataclass(frozen=True)
class _Keyed:
    """Lines by range, and what is done with them: a Spark task gets whole ranges, each in order."""

    lines: DataFrame | None
    ranges: Ranges

    def run(self, function: Callable[[int, Iterator[SiteLine]], MergeResult]) -> list[MergeResult]:
        """What a function makes of each range, in their order."""
        if self.lines is None:
            return [function(0, iter(()))]

        def pickled(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for number, lines in _by_range(batches):
                result = pickle.dumps(function(number, lines))
                yield pa.RecordBatch.from_pydict({"result": pa.array([result], pa.binary())})

        rows = self.lines.mapInArrow(pickled, "result binary").collect()
        results: list[MergeResult] = [pickle.loads(row.result) for row in rows]
        return sorted(results, key=lambda one: one.number)

    def rows(
        self, function: Callable[[int, Iterator[SiteLine]], Iterator[pa.RecordBatch]]
    ) -> DataFrame | None:
        """The batches, in the shape of `variants`, that a function makes of each range."""
        if self.lines is None:
            return None

        def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for number, lines in _by_range(batches):
                yield from function(number, lines)

        return self.lines.mapInArrow(run, VARIANTS.spark_schema)


def _by_range(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, Iterator[SiteLine]]]:
    rows = (
        row
        for batch in batches
        for row in zip(*(batch[name].to_pylist() for name in ("range", "file", "line")), strict=True)
    )
    for number, found in groupby(rows, key=lambda row: row[0]):
        yield number, (SiteLine.parse(file, line) for _, file, line in found)


def _send_to_ranges(
    spark: SparkSession,
    items: Sequence[tuple[int, Split]],
    inputs: Sequence[InputResult],
    merged: MergedHeader,
    tasks: Sequence[SplitTask],
    layout: Layout,
) -> _Keyed:
    size, n_cores = sum(map(file_size, merged.urls)), count_cores(spark)
    ranges = Ranges.cut(inputs, layout.reference, max(1, size // task_bytes(size, n_cores)))
    if not len(ranges):
        return _Keyed(None, ranges)
    again = [
        (file, split, np.array(one.rejected, dtype=np.int64))
        for (file, split), one in zip(items, inputs, strict=True)
    ]
    keyer = LineKeyer([task.layout for task in tasks], ranges)
    n_tasks = min(len(ranges), _TASKS_PER_CORE * n_cores)
    lines = map_splits(spark, again, keyer, KEYED_LINES).repartition(n_tasks, "range")
    return _Keyed(lines.sortWithinPartitions("range", "start", "file", "offset"), ranges)


def _merge_range(merger: RangeMerger, task: SplitTask, number: int, lines: Iterator[SiteLine]) -> MergeResult:
    result = MergeResult(number=number)
    if len(merger.ranges):
        task.take(merger.pieces(lines, result), result)
    return result


def _range_rows(
    merger: RangeMerger, layout: Layout, number: int, lines: Iterator[SiteLine]
) -> Iterator[pa.RecordBatch]:
    numbering = IdNumbering()
    for chunk in merger.pieces(lines, MergeResult(number=number)):
        for batch in parse_chunk(chunk, layout).batches:
            yield numbering.number(batch)


def _to_chunk(texts: Sequence[bytes], numbers: Sequence[int]) -> Chunk:
    places = np.zeros(len(texts), dtype=np.int64)
    np.cumsum([len(text) for text in texts[:-1]], out=places[1:])
    return Chunk(b"".join(texts), places, np.array(numbers, dtype=np.int64))


def _of_file(layout: Layout, merged: MergedHeader, file: int) -> Layout:
    """The layout of one of the files: what can't be loaded alone can't be merged."""
    header = merged.headers[file]
    one = Layout.make(header, layout.reference, layout.selection, layout.callset, layout.load_id)
    return replace(one, females=())


def _refuse_strictly(
    inputs: Sequence[InputResult], files: Sequence[int], merged: MergedHeader, *, strict: bool
) -> None:
    for one, file in zip(inputs, files, strict=True):
        if strict and one.first_reject is not None:
            raise one.first_reject.as_error(place_of(merged.urls[file]))


def _survey(
    merged: MergedHeader,
    file: int,
    items: Sequence[tuple[int, Split]],
    inputs: Sequence[InputResult],
    layout: Layout,
) -> Survey:
    form = next(split.form for owner, split in items if owner == file)
    return put_together(
        [one.findings for one in inputs],
        merged.headers[file],
        layout.reference,
        is_everything=layout.selection.is_everything,
        has_end_marker=form != "bgzf" or has_end_marker(merged.urls[file]),
    )


def _put_together(
    surveys: Sequence[Survey], results: Sequence[MergeResult], merged: MergedHeader, layout: Layout
) -> Survey:
    """Of all files: their lines are counted in the files, their records where they were merged."""
    records = put_together(
        [one.findings for one in results],
        merged.header,
        layout.reference,
        is_everything=False,
        has_end_marker=True,
    )
    of_records = (UNKNOWN_CONTIG, NO_SEX)
    warnings: Counter[str] = Counter()
    for survey in surveys:
        warnings.update({kind: n for kind, n in survey.warnings.items() if kind not in of_records})
    warnings.update({kind: n for kind, n in records.warnings.items() if kind in of_records})
    for one in results:
        warnings.update(one.warnings)
    warnings[LINES] = sum(survey.n_records for survey in surveys)
    warnings[OTHER_DECLARATION] = merged.n_declared_otherwise
    n_rejected = sum(survey.n_rejected for survey in surveys)
    return Survey(
        n_records=sum(one.n_records for one in results) + n_rejected,
        n_rejected=n_rejected + records.n_rejected,
        contigs=records.contigs,
        last_ends=records.last_ends,
        warnings={kind: n for kind, n in sorted(warnings.items()) if n},
        warned_at={},
        is_sorted=True,
        has_open_ids=False,
        n_stored=sum(survey.n_stored for survey in surveys),
    )
