"""What the Delta log of a table says of its files: whose rows they hold, and how they are taken away."""

from __future__ import annotations

import datetime
import time
from collections.abc import Set
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from deltalake.transaction import RemoveAction


def ids_by_file(delta: DeltaTable, column: str) -> dict[str, frozenset[str]]:
    """Path of each file → the ledger ids of its rows.

    Partition values and statistics tell them without reading: a file's least and greatest id are equal only where all
    its rows have that id (ids are not longer than what statistics keep of a text, and never null). Only where they
    differ, in files that foreign tools wrote or compacted, is the column read.
    """
    found: dict[str, frozenset[str]] = {}
    unknown: list[str] = []
    for file in pa.table(delta.get_add_actions(flatten=True)).to_pylist():
        low, high = file.get(f"min.{column}"), file.get(f"max.{column}")
        if f"partition.{column}" in file:
            found[file["path"]] = frozenset({file[f"partition.{column}"]})
        elif low is not None and low == high:
            found[file["path"]] = frozenset({low})
        else:
            unknown.append(file["path"])
    if unknown:
        query = QueryBuilder().register("rows", delta)
        every = pa.table(query.execute(f'SELECT DISTINCT "{column}" FROM rows'))[column].to_pylist()
        found |= dict.fromkeys(unknown, frozenset(every))
    return found


def written_by_id(delta: DeltaTable, column: str) -> dict[str, datetime.datetime]:
    """Ledger id → when the newest file with rows of it was written."""
    ids_of = ids_by_file(delta, column)
    newest: dict[str, datetime.datetime] = {}
    for file in pa.table(delta.get_add_actions(flatten=True)).to_pylist():
        at = datetime.datetime.fromtimestamp(file["modification_time"] / 1000, datetime.UTC)
        for one in ids_of[file["path"]]:
            newest[one] = max(at, newest.get(one, at))
    return newest


def remove_files(delta: DeltaTable, column: str | None, ids: Set[str] | None) -> list[RemoveAction]:
    """Remove-actions of the files that hold rows of these ledger ids and of no other; of all files for None."""
    wanted: set[str] | None = None
    if ids is not None and column is not None:
        wanted = {path for path, found in ids_by_file(delta, column).items() if found and found <= ids}
    now = int(time.time() * 1000)
    files: list[dict[str, Any]] = pa.table(delta.get_add_actions()).to_pylist()
    return [
        RemoveAction(
            # A RemoveAction encodes its path itself.
            path=unquote(file["path"]),
            deletion_timestamp=now,
            data_change=True,
            partition_values=file.get("partition") or {},
            size=file["size_bytes"],
        )
        for file in files
        if wanted is None or file["path"] in wanted
    ]
