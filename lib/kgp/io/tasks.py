"""Spark tasks over splits of files and parts of tables: how many there are, and what they give back."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from kgp.io.azure import accept_from_driver, known_accounts
from kgp.io.splits import TARGET_BYTES, Split, plan_splits
from kgp.io.storage import file_size

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

Item = TypeVar("Item")
Result = TypeVar("Result")

_LEAST_BYTES = 256 << 10
_CORES_UNKNOWN = 8


def plan_tasks(spark: SparkSession, url: str) -> list[Split]:
    """Cut a file for this session."""
    return plan_splits(url, target_bytes=task_bytes(file_size(url), count_cores(spark)))


def count_cores(spark: SparkSession) -> int:
    """Tasks that run at the same time."""
    try:
        return int(spark.sparkContext.defaultParallelism)
    except Exception:  # a Spark Connect session has no context to ask
        return _CORES_UNKNOWN


def task_bytes(size: int, n_cores: int) -> int:
    """Bytes of a split, of `size` in all: 32 MiB as stored or somewhat less, so that all cores end at the same time.

    More splits would be paid for, not evened out: between two tasks a core is idle for a tenth of a second.
    """
    n_waves = max(1, math.ceil(size / (n_cores * TARGET_BYTES)))
    return max(_LEAST_BYTES, math.ceil(size / (n_cores * n_waves)))


@dataclass(frozen=True)
class SplitRows(Generic[Item]):
    """Rows that a function makes of each split of a file or part of a table, as Arrow batches; a task each.

    Args:
        splits: at least one, in order.
        function: called in a task; picklable, and no Spark object in it.
    """

    splits: Sequence[Item]
    function: Callable[[Item], Iterator[pa.RecordBatch]]


def carry_credentials(function: Callable[[Item], Result]) -> Callable[[Item], Result]:
    """The function for tasks, which know there what the driver has found of Azure's accounts."""
    accounts = known_accounts()
    if not accounts:
        return function

    def run(item: Item) -> Result:
        accept_from_driver(accounts)
        return function(item)

    return run


def run_tasks(spark: SparkSession, items: Sequence[Item], function: Callable[[Item], Result]) -> list[Result]:
    """Call a function with each item in a Spark task of its own; what it returns, in the order of the items.

    Args:
        spark: the session.
        items: splits, or parts of a table; at least one.
        function: picklable, and no Spark object in it; what it returns is small and picklable, too.
    """
    function = carry_credentials(function)
    try:
        context = spark.sparkContext
    except Exception:  # a Spark Connect session has none, and no RDDs

        def pickled(item: Item) -> Iterator[pa.RecordBatch]:
            import pyarrow as pa

            yield pa.RecordBatch.from_pydict(
                {"result": pa.array([pickle.dumps(function(item))], pa.binary())}
            )

        rows = map_splits(spark, items, pickled, "result binary").collect()
        return [pickle.loads(row.result) for row in rows]
    # Ten times less to set up than a DataFrame of Arrow batches.
    # Each task gets its own item: a function that held them all would be unpickled whole in each.
    return list(context.parallelize(list(items), len(items)).map(function).collect())


def map_splits(
    spark: SparkSession,
    splits: Sequence[Item],
    function: Callable[[Item], Iterator[pa.RecordBatch]],
    schema: StructType | str,
) -> DataFrame:
    """A DataFrame of what a function makes of each split: one Spark partition a split, in file order.

    Args:
        spark: the session.
        splits: at least one.
        function: called in a task; picklable, and no Spark object in it.
        schema: of the batches that it yields.
    """

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for index in batch.column(0).to_pylist():
                yield from function(splits[index])

    return spark.range(0, len(splits), 1, len(splits)).mapInArrow(carry_credentials(run), schema)
