"""One interface, two engines: `read_records` chooses, says why, and gives the same rows either way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake.transaction import AddAction

from kgp.errors import FormatError
from kgp.io.direct import discard_files
from kgp.io.splits import Split, has_end_marker
from kgp.io.tasks import count_cores, map_splits, plan_tasks, run_tasks
from kgp.io.urls import display_url, place_of
from kgp.io.vcf import glow
from kgp.io.vcf.builtin import SplitResult, SplitTask, read_rows
from kgp.io.vcf.conformance import LineChecker
from kgp.io.vcf.findings import Survey, put_together
from kgp.io.vcf.header import VcfHeader
from kgp.io.vcf.parser import Reject
from kgp.io.vcf.region_reads import plan_selected
from kgp.io.vcf.rows import Layout
from kgp.params import Reader
from kgp.table import conform
from kgp.tables.variants import VARIANTS
from kgp.transforms.alleles import number_repeated_ids

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Roots:
    """Where the tables lie that tasks write to: `variants` and `quarantine`."""

    variants: str
    quarantine: str


@dataclass(frozen=True)
class Records:
    """The records of one file.

    Args:
        survey: what was noticed of its lines.
        variants: rows of `variants`, one an ALT, that Spark is to write; None where the tasks have written them.
        written, quarantined: add-actions of the files that the tasks have written, of `variants` and of `quarantine`;
            nothing of them is visible before they are committed.
        first_reject: the first line that can't be loaded.
        reader: builtin or glow.
        reason: why that engine.
        roots: where the files lie.
        n_read: bytes fetched from storage, index included, where an index told which; None where the whole file was
            read.
    """

    survey: Survey
    variants: DataFrame | None
    written: list[AddAction]
    quarantined: list[AddAction]
    first_reject: Reject | None
    reader: str
    reason: str
    roots: Roots
    n_read: int | None = None

    def discard(self) -> None:
        """Remove the files that the tasks have written, because they will not be committed."""
        discard_files([action.path for action in self.written], self.roots.variants)
        discard_files([action.path for action in self.quarantined], self.roots.quarantine)


def read_records(
    spark: SparkSession,
    url: str,
    header: VcfHeader,
    layout: Layout,
    roots: Roots,
    *,
    reader: Reader = "auto",
    strict: bool = False,
    writes: bool = True,
) -> Records:
    """The records of a VCF file that are in the selection, as rows of `variants`.

    Args:
        spark: the session.
        url: the file.
        header: its header.
        layout: of the load.
        roots: where tasks write.
        reader: the engine; auto takes glow where it is there and can't misread the file.
        strict: stop at the first line that can't be loaded; then nothing but it and the survey means anything.
        writes: whether the tasks write the rows; otherwise they are left to Spark.

    Raises:
        EnvironmentProblem: glow is asked for, and its JAR does not answer in this session.
        FormatError: glow is asked for, and it would misread the file.
        InputError: the file can't be read.
    """
    engine, reason = _choose(spark, url, header, reader)
    task = SplitTask(
        layout=layout,
        checker=LineChecker.of(header),
        path=place_of(url),
        roots=(roots.variants if writes else None, roots.quarantine) if engine == "builtin" else (None, None),
        is_strict=strict,
    )
    splits, results, records = read_splits(spark, url, header, task, roots, reader=engine, reason=reason)
    if engine == "builtin" and writes and not records.survey.needs_another_look:
        return records
    if strict and records.first_reject is not None:
        return records
    return _read_by_spark(spark, url, splits, results, layout, records)


def read_splits(
    spark: SparkSession,
    url: str,
    header: VcfHeader,
    task: SplitTask,
    roots: Roots,
    *,
    reader: str,
    reason: str,
) -> tuple[list[Split], list[SplitResult], Records]:
    """Send a task over the splits of a file, or of the parts of it that are asked for.

    Returns:
        The splits, what became of each, and all of it put together.
    """
    layout = task.layout
    indexed = plan_selected(url, layout.selection, layout.names, n_cores=count_cores(spark))
    splits = indexed.splits or plan_tasks(spark, url)
    results = run_tasks(spark, splits, task)
    survey = put_together(
        [result.findings for result in results],
        header,
        layout.reference,
        is_everything=layout.selection.is_everything,
        has_end_marker=splits[0].form != "bgzf" or has_end_marker(url),
        has_stale_index=indexed.is_stale,
    )
    records = Records(
        survey=survey,
        variants=None,
        written=[action for result in results for action in result.written[0]],
        quarantined=[action for result in results for action in result.written[1]],
        first_reject=next((one.first_reject for one in results if one.first_reject is not None), None),
        reader=reader,
        reason=reason,
        roots=roots,
        n_read=None if indexed.splits is None else indexed.n_read + survey.n_stored,
    )
    return splits, results, records


def _read_by_spark(
    spark: SparkSession,
    url: str,
    splits: Sequence[Split],
    results: Sequence[SplitResult],
    layout: Layout,
    records: Records,
) -> Records:
    """Rows that Spark has to sort, or to give unique ids to, before they are written."""
    if records.reader == "glow":
        rows = glow.read_glow(spark, url, layout)
    else:
        rows = map_splits(spark, splits, partial(read_rows, layout), VARIANTS.spark_schema)
    repeated: set[str] = set().union(*(result.findings.repeated_ids for result in results))
    if records.survey.needs_another_look:
        ids = map_splits(spark, splits, partial(_ids, layout), "variant_id string")
        repeated = {row.variant_id for row in ids.groupBy("variant_id").count().where("count > 1").collect()}
    discard_files([action.path for action in records.written], records.roots.variants)
    numbered = conform(number_repeated_ids(rows, sorted(repeated)), VARIANTS)
    return replace(records, variants=numbered, written=[], n_read=None)


def _ids(layout: Layout, split: Split) -> Iterator[pa.RecordBatch]:
    for batch in read_rows(layout, split):
        yield batch.select(["variant_id"])


def _choose(spark: SparkSession, url: str, header: VcfHeader, reader: Reader) -> tuple[str, str]:
    """The engine and why."""
    if reader == "builtin":
        return "builtin", "asked for"
    if reader == "glow":
        glow.require(spark)
    elif not glow.is_available(spark):
        return "builtin", "Glow's JAR is not on the class path"
    shapes = glow.find_misread_shapes(spark, url, header)
    listed = ", ".join(f"{shape} ({n:,})" for shape, n in sorted(shapes.items()))
    if reader == "glow":
        if shapes:
            raise FormatError(
                f"Glow would misread this file: {listed}.",
                where=display_url(url),
                mend="Use --reader builtin.",
            )
        return "glow", "asked for"
    if shapes:
        return "builtin", f"Glow would misread the file: {listed}"
    return "glow", "Glow's JAR is on the class path and nothing in the file is known to be misread by it"
