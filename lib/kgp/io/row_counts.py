"""How many rows of whom a table holds, by its log: nothing is read but what the log does not tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kgp.errors import ContractError
from kgp.io.deltalog import ids_by_file
from kgp.io.snapshots import take_snapshot
from kgp.io.storage import open_binary, open_parquet
from kgp.table import Table

if TYPE_CHECKING:
    from kgp.io.delta import Lake

_FOOTER_BYTES = 64 << 10


def count_rows(
    lake: Lake, table: Table, partitions: Mapping[str, Collection[str]]
) -> dict[tuple[str | None, ...], dict[str, int]]:
    """Valid rows of a table: values of its partition columns → ledger id → rows.

    A file of one id has as many rows as the log says; of a file that somebody compacted the ids are read.

    Args:
        lake: where the table is.
        table: one with a ledger.
        partitions: partition column → wanted values; a column that is absent is not restricted.

    Raises:
        ContractError: the table has no ledger.
    """
    column = table.ledger_column
    if column is None:
        raise ContractError("It has no ledger.", where=f"table {table.name}")
    if not lake.exists(table):
        return {}
    delta, known = take_snapshot(lake, table)
    ids_of = ids_by_file(delta, column)
    counts: dict[tuple[str | None, ...], Counter[str]] = {}
    for file in pa.table(delta.get_add_actions(flatten=True)).to_pylist():
        values = {name: file[f"partition.{name}"] for name in table.partition_by}
        if any(values[name] not in chosen for name, chosen in partitions.items()):
            continue
        found = _count(f"{lake.path(table)}/{unquote(file['path'])}", column, ids_of[file["path"]], file)
        if valid := {one: n for one, n in found.items() if n and one in (known or ())}:
            counts.setdefault(tuple(values.values()), Counter()).update(valid)
    return {values: dict(found) for values, found in counts.items()}


def _count(path: str, column: str, ids: frozenset[str], file: Mapping[str, Any]) -> dict[str, int]:
    """Ledger id → rows of a file."""
    if len(ids) == 1 and file["num_records"] is not None:
        return {next(iter(ids)): int(file["num_records"])}
    with open_binary(path, read_ahead=_FOOTER_BYTES) as opened:
        footer = pq.read_metadata(opened)
    if len(ids) == 1:
        return {next(iter(ids)): int(footer.num_rows)}
    with open_parquet(path, [column], range(footer.num_row_groups)) as opened:
        values = pq.ParquetFile(opened, pre_buffer=False).read([column], use_threads=False)[column]
    return {row["values"]: row["counts"] for row in pc.value_counts(values).to_pylist()}
