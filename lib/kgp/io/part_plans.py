"""Which parts of a table's files hold the wanted rows: the Delta log chooses the files, their footers cut them.

Only statistics are looked at: the driver plans without reading a row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from kgp.errors import ContractError
from kgp.io.deltalog import ids_by_file
from kgp.io.parts import TARGET_ROWS, TablePart, overlaps
from kgp.io.snapshots import take_snapshot
from kgp.io.storage import open_binary
from kgp.table import Table

if TYPE_CHECKING:
    from kgp.io.delta import Lake

_FOOTERS_AT_ONCE = 16
_FOOTER_BYTES = 64 << 10


class PartsWanted(TypedDict, total=False):
    """Keywords of `plan_parts`, for those that hand them on."""

    partitions: Mapping[str, Collection[str]] | None
    span: tuple[int, int] | None
    ids: Collection[str] | None
    target_rows: int


def plan_parts(
    lake: Lake,
    table: Table,
    *,
    partitions: Mapping[str, Collection[str]] | None = None,
    span: tuple[int, int] | None = None,
    ids: Collection[str] | None = None,
    target_rows: int = TARGET_ROWS,
) -> list[TablePart]:
    """Parts that together hold the wanted valid rows of a table, each once; none where the table does not exist.

    They are ordered by partition values, least `start` and path. Statistics leave out files and row groups without a
    wanted row; the rows of those that remain are not looked at: a part may hold rows outside the span.

    Args:
        lake: where the table is.
        table: its declaration.
        partitions: partition column → wanted values; a column that is absent is not restricted.
        span: wanted stretch of `start` and `end`, 0-based half-open.
        ids: wanted ledger ids among the valid ones; None for all valid ones.
        target_rows: rows of a part; one has more only where a row group has.

    Raises:
        ContractError: a partition column is none of the table's, or it has no `start` and `end` to span.
        LakeError: loads are committed faster than the log can be read.
    """
    wanted = partitions or {}
    _check_wanted(table, wanted, span, ids)
    if not lake.exists(table):
        return []
    delta, known = take_snapshot(lake, table)
    valid = known if ids is None else None if known is None else known & set(ids)
    files = _choose_files(delta, table, lake.path(table), wanted, span, valid)
    with ThreadPoolExecutor(_FOOTERS_AT_ONCE) as pool:
        cut = pool.map(partial(_cut, span=span, target_rows=target_rows), files)
        return [part for parts in cut for part in parts]


def _check_wanted(
    table: Table,
    partitions: Mapping[str, Collection[str]],
    span: tuple[int, int] | None,
    ids: Collection[str] | None,
) -> None:
    if strangers := sorted(set(partitions) - set(table.partition_by)):
        raise ContractError(f"{strangers} are no partition columns of it.", where=f"table {table.name}")
    if span is not None and not {"start", "end"} <= set(table.columns):
        raise ContractError("It has no start and end.", where=f"table {table.name}")
    if ids is not None and table.ledger_column is None:
        raise ContractError("It has no ledger.", where=f"table {table.name}")


def _choose_files(
    delta: DeltaTable,
    table: Table,
    root: str,
    partitions: Mapping[str, Collection[str]],
    span: tuple[int, int] | None,
    valid: frozenset[str] | None,
) -> list[TablePart]:
    """Files in which the log says that a wanted row may lie, in order, as parts without row groups yet.

    Args:
        delta: the table's log.
        table: its declaration.
        root: where its files lie.
        partitions, span: as in `plan_parts`.
        valid: ledger ids whose rows are wanted; None for all rows.
    """
    ids_of = {} if table.ledger_column is None else ids_by_file(delta, table.ledger_column)
    found: list[tuple[tuple[Any, ...], TablePart]] = []
    for file in pa.table(delta.get_add_actions(flatten=True)).to_pylist():
        values = {name: file[f"partition.{name}"] for name in table.partition_by}
        if any(values[name] not in chosen for name, chosen in partitions.items()):
            continue
        least = file.get("min.start")
        if not overlaps(span, least, file.get("max.end")):
            continue
        only = None
        if valid is not None:
            here = ids_of[file["path"]]
            if not here & valid:
                continue
            only = None if here <= valid else here & valid
        order = (*(v or "" for v in values.values()), -1 if least is None else least, file["path"])
        # The log holds paths as URLs: the escapes of a partition's directory are themselves escaped.
        found.append((order, TablePart(f"{root}/{unquote(file['path'])}", values, (), only)))
    return [file for _, file in sorted(found, key=lambda one: one[0])]


def _cut(file: TablePart, *, span: tuple[int, int] | None, target_rows: int) -> list[TablePart]:
    """A file as parts of about `target_rows` rows, without the row groups that have no row in the span."""
    with open_binary(file.path, read_ahead=_FOOTER_BYTES) as opened:
        footer = pq.read_metadata(opened)
    parts: list[TablePart] = []
    for number in range(footer.num_row_groups):
        part = _describe(file, number, footer.row_group(number))
        if not part.n_rows or (span is not None and not part.may_overlap(*span)):
            continue
        if parts and parts[-1].n_rows + part.n_rows <= target_rows:
            parts[-1] = _join(parts[-1], part)
        else:
            parts.append(part)
    return parts


def _describe(file: TablePart, number: int, group: pq.RowGroupMetaData) -> TablePart:
    """One row group as a part."""
    ranges: dict[str, tuple[int, int]] = {}
    for index in range(group.num_columns):
        column = group.column(index)
        if column.path_in_schema in ("start", "end"):
            statistics = column.statistics
            if statistics is not None and statistics.has_min_max:
                ranges[column.path_in_schema] = (statistics.min, statistics.max)
    last_end = ranges["end"][1] if "end" in ranges else None
    return TablePart(
        file.path,
        file.values,
        (number,),
        file.ids,
        group.num_rows,
        group.total_byte_size,
        ranges.get("start"),
        last_end,
    )


def _join(a: TablePart, b: TablePart) -> TablePart:
    """Two parts of one file as one."""
    starts = None
    if a.starts is not None and b.starts is not None:
        starts = (min(a.starts[0], b.starts[0]), max(a.starts[1], b.starts[1]))
    return replace(
        a,
        row_groups=a.row_groups + b.row_groups,
        n_rows=a.n_rows + b.n_rows,
        size=a.size + b.size,
        starts=starts,
        last_end=None if a.last_end is None or b.last_end is None else max(a.last_end, b.last_end),
    )
