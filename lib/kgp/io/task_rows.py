"""Rows that Spark's tasks write: the tasks write the files, the driver commits them; see `kgp.io.direct`.

Every write replaces the rows of some ledger ids, or the whole table, in one Delta commit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from deltalake import CommitProperties
from deltalake.transaction import AddAction, RemoveAction

from kgp.io.commits import commit_again
from kgp.io.deltalog import remove_files
from kgp.io.direct import WRITTEN, from_json, write_action_batches, write_split
from kgp.io.predicates import in_list
from kgp.io.tasks import SplitRows, carry_credentials, map_splits
from kgp.table import Table, conform

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from kgp.io.delta import Lake


def replace_rows(
    lake: Lake,
    table: Table,
    rows: DataFrame | SplitRows[Any],
    ids: Iterable[str] | None,
    *,
    note: str,
    by_spark: bool,
) -> int:
    """Put `rows` in the place of the rows of some ledger ids, in one commit.

    Args:
        lake: where the table is.
        table: the table; it is created where missing.
        rows: exactly the table's columns; every row has one of the ids. `SplitRows` come in order.
        ids: values of the table's ledger column whose rows are replaced; None replaces the whole table.
        note: kept in the commit.
        by_spark: let Spark's own Delta writer write them, for catalogs that own their tables' files: slower by far.

    Returns:
        rows written.

    Raises:
        ContractError: the rows do not have the table's shape, or break NOT NULL or a CHECK.
    """
    shaped = rows if isinstance(rows, SplitRows) else conform(rows, table)
    lake.create(table)
    if by_spark:
        return _replace_by_spark(lake, table, _as_frame(lake, table, shaped), ids, note)
    return lake.commit(table, _write_files(lake, table, shaped), ids, note=note)


def commit_files(
    lake: Lake, table: Table, written: Sequence[AddAction], ids: Iterable[str] | None, *, note: str
) -> int:
    """Put files that tasks have written in the place of the rows of some ledger ids, in one commit.

    Args:
        lake: where the table is.
        table: the table; it is created where missing.
        written: add-actions of the files, which lie at the table's path.
        ids: as in `replace_rows`.
        note: kept in the commit.

    Returns:
        rows in the files.
    """
    lake.create(table)
    superseded = None if ids is None else set(ids)

    def write() -> None:
        delta = lake.open(table)
        old = remove_files(delta, table.ledger_column, superseded)
        # Files that are there already stay: a commit may not add and remove the same one.
        kept = {file.path for file in old} & {file.path for file in written}
        actions: list[AddAction | RemoveAction] = [*written, *old]
        actions = [file for file in actions if file.path not in kept]
        if actions:
            delta.create_write_transaction(
                actions,
                mode="append",
                schema=table.arrow_schema,
                partition_by=list(table.partition_by),
                commit_properties=CommitProperties(custom_metadata={"note": note}),
            )

    commit_again(lake.place, write)
    return sum(json.loads(action.stats)["numRecords"] for action in written)


def _write_files(lake: Lake, table: Table, rows: DataFrame | SplitRows[Any]) -> list[AddAction]:
    """Have tasks write the rows to files at the table's path, which nobody sees yet."""
    root = lake.path(table)
    if isinstance(rows, SplitRows):
        write_one = partial(write_split, function=rows.function, table=table, root=root)
        actions = map_splits(lake.spark, rows.splits, write_one, WRITTEN)
    else:
        if table.sort_by:
            rows = rows.sortWithinPartitions(*table.partition_by, *table.sort_by)
        write = carry_credentials(partial(write_action_batches, table=table, root=root))
        actions = rows.mapInArrow(write, WRITTEN)
    return [from_json(row.action) for row in actions.collect()]


def _as_frame(lake: Lake, table: Table, rows: DataFrame | SplitRows[Any]) -> DataFrame:
    if isinstance(rows, SplitRows):
        return map_splits(lake.spark, rows.splits, rows.function, table.spark_schema)
    return rows


def _replace_by_spark(lake: Lake, table: Table, rows: DataFrame, ids: Iterable[str] | None, note: str) -> int:
    before = lake.version(table)
    writer = rows.sortWithinPartitions(*table.partition_by, *table.sort_by).write.format("delta")
    writer = writer.mode("overwrite").option("userMetadata", note)
    if ids is not None and table.ledger_column is not None:
        writer = writer.option("replaceWhere", in_list(table.ledger_column, ids))
    writer.save(lake.place.hadoop(table.name))
    history = lake.open(table).history(1)[0]
    if history["version"] == before:
        return 0
    return int(history["operationMetrics"]["numOutputRows"])
