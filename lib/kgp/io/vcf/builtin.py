"""The builtin engine: splits of the file parsed in Spark tasks, wherever Spark runs, without a JAR."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from kgp.io.splits import Split, SplitRows, map_splits, plan_tasks, read_chunks
from kgp.io.vcf.parser import Reject, parse_chunk, rejects_to_batch
from kgp.io.vcf.rows import Layout

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

REJECTS = "offset bigint, reason string, line binary"


def read_builtin(spark: SparkSession, url: str, layout: Layout) -> tuple[SplitRows, DataFrame]:
    """Rows of `variants`, and the rejected lines (offset, reason, line). Nothing is read before it is used.

    Raises:
        InputError: there is no such file, or it may not be read.
    """
    splits = plan_tasks(spark, url)
    rejects = map_splits(spark, splits, partial(_rejects, layout), REJECTS)
    return SplitRows(splits, partial(_variants, layout)), rejects


def _variants(layout: Layout, split: Split) -> Iterator[pa.RecordBatch]:
    for batch, _ in _parse(layout, split):
        yield batch


def _rejects(layout: Layout, split: Split) -> Iterator[pa.RecordBatch]:
    for _, rejects in _parse(layout, split):
        yield rejects_to_batch(rejects)


def _parse(layout: Layout, split: Split) -> Iterator[tuple[pa.RecordBatch, list[Reject]]]:
    for chunk in read_chunks(split):
        yield parse_chunk(chunk, layout)
