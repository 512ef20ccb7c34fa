"""Rows that the driver reads and writes itself: through delta-rs, in milliseconds and without a JVM.

A ledger row, a panel, the sample list of a callset; and the few figures that are asked of a large table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, QueryBuilder, write_deltalake

from kgp.errors import CheckError, ContractError
from kgp.io.commits import commit_again
from kgp.io.direct import check_rows
from kgp.table import Table
from kgp.tables import TABLES

if TYPE_CHECKING:
    from kgp.io.delta import Lake


def fetch_valid_rows(lake: Lake, table: Table, columns: Sequence[str] | None, where: str) -> pa.Table:
    """The rows of a small table that its ledger names and that satisfy a predicate; all columns for None."""
    rows = lake.fetch_all(table, where)
    if table.ledger is not None and table.ledger_column is not None:
        known = lake.fetch_all(TABLES[table.ledger])[table.ledger_column]
        rows = rows.filter(pc.is_in(rows[table.ledger_column], value_set=known.combine_chunks()))
    return rows if columns is None else rows.select(list(columns))


def fetch_all_rows(lake: Lake, table: Table, where: str) -> pa.Table:
    """The rows of a small table that satisfy a predicate, valid or not; none where it does not exist."""
    if not lake.exists(table):
        return table.arrow_schema.empty_table()
    columns = ", ".join(f'"{name}"' for name in table.columns)
    return _select(lake, table, columns, where).cast(table.arrow_schema)


def put_rows(
    lake: Lake, table: Table, rows: Iterable[Mapping[str, Any]], where: str | None, *, note: str
) -> int:
    """Put a few rows in the place of the rows that satisfy `where`, in one commit.

    Args:
        lake: where the table is.
        table: the table; it is created where missing.
        rows: column → value; absent nullable columns are null.
        where: SQL predicate of the slice; None replaces the whole table.
        note: kept in the commit.

    Returns:
        rows written.

    Raises:
        ContractError: a row has a strange column, or breaks NOT NULL or a CHECK.
        CheckError: a key repeats.
    """
    arrow = _as_arrow(table, rows)
    lake.create(table)
    uri, options = lake.place.delta(table.name)

    def write() -> None:
        write_deltalake(
            uri,
            arrow,
            mode="overwrite",
            predicate=where,
            commit_properties=CommitProperties(custom_metadata={"note": note}),
            storage_options=options,
        )

    commit_again(lake.place, write)
    return int(arrow.num_rows)


def measure_rows(lake: Lake, table: Table, where: str, expressions: Mapping[str, str]) -> dict[str, Any]:
    """Aggregates over the rows of an existing table that satisfy a predicate, valid or not.

    Args:
        lake: where the table is.
        table: the table.
        where: SQL predicate.
        expressions: name → SQL aggregate.

    Returns:
        name → value.
    """
    wanted = ", ".join(f"{text} AS {name}" for name, text in expressions.items())
    row: dict[str, Any] = _select(lake, table, wanted, where).to_pylist()[0]
    return row


def check_unique_key(lake: Lake, table: Table, where: str) -> None:
    """Refuse a repeated key among the rows of an existing table that satisfy a predicate.

    Raises:
        CheckError: names the key and one repeated value.
    """
    key = ", ".join(f'"{name}"' for name in table.key)
    repeated = f"{where} GROUP BY {key} HAVING count(*) > 1 LIMIT 1"
    for row in _select(lake, table, f"{key}, count(*) AS n_times", repeated).to_pylist():
        raise _repeated_key(table, [row[name] for name in table.key], row["n_times"])


def _select(lake: Lake, table: Table, wanted: str, where: str) -> pa.Table:
    # Not to_pyarrow_table(): Arrow's I/O threads inside a Python file system can abort the interpreter's exit.
    query = QueryBuilder().register("rows", lake.open(table))
    return pa.table(query.execute(f"SELECT {wanted} FROM rows WHERE {where}"))


def _as_arrow(table: Table, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows as an Arrow table in the declared schema, checked for strangers, nulls and repeated keys."""
    listed = list(rows)
    if strangers := sorted({name for row in listed for name in row} - set(table.columns)):
        raise ContractError(
            f"The rows do not have its shape: extra: {strangers}.", where=f"table {table.name}"
        )
    arrow = pa.Table.from_pylist(listed, schema=table.arrow_schema)
    check_rows(arrow, table)
    if table.key and listed:
        key, n = Counter(zip(*(arrow[name].to_pylist() for name in table.key), strict=True)).most_common(1)[0]
        if n > 1:
            raise _repeated_key(table, key, n)
    return arrow.sort_by([(name, "ascending") for name in table.sort_by]) if table.sort_by else arrow


def _repeated_key(table: Table, values: Iterable[Any], n: int) -> CheckError:
    key = ", ".join(f"{name}={value}" for name, value in zip(table.key, values, strict=True))
    return CheckError(f"{key} occurs {n} times.", where=f"table {table.name}", mend="Its key must be unique.")
