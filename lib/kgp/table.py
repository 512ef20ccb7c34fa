"""`Table`: what a Delta table promises, and `conform()`, which holds rows to it.

A declaration says the grain in words, the columns in order, which may be null, the key, the partitioning and the
checks. Spark's, Delta's and Arrow's schemas are all derived from it, so that there is one place to change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from kgp.errors import ContractError
from kgp.terms import Term, term

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType


@dataclass(frozen=True)
class Table:
    """One Delta table.

    Args:
        name: plural noun; the table lies at ``<lake>/<name>``.
        grain: what one row is.
        required: NOT NULL columns, in order.
        optional: nullable columns, in order after the required ones.
        key: columns that are unique together.
        partition_by: partition columns.
        checks: name → SQL predicate that every row satisfies; nulls must be allowed explicitly.
        sort_by: order of the rows within a file.
        ledger: the table whose rows make this one's rows valid: `loads` (by load_id), `eqtl_matrices` (by matrix_id),
            `eqtl_maps` (by map_id) or `statistics` (by statistics_id). Rows that their ledger does not know are the
            debris of a run that was cut off. None where the table is a ledger itself or is always written as a whole.
    """

    name: str
    grain: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ()
    checks: Mapping[str, str] = field(default_factory=dict)
    sort_by: tuple[str, ...] = ()
    ledger: str | None = "loads"

    def __post_init__(self) -> None:
        strangers = {*self.key, *self.partition_by, *self.sort_by} - set(self.columns)
        if strangers:
            raise ContractError(f"{sorted(strangers)} are no columns of it.", where=f"table {self.name}")
        if len(set(self.columns)) != len(self.columns):
            raise ContractError("A column is declared twice.", where=f"table {self.name}")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns in order."""
        return self.required + self.optional

    @property
    def ledger_column(self) -> str | None:
        """The column that the ledger is keyed by, or None where the table is its own ledger.

        >>> from kgp.tables import EQTL_GENOTYPES, LOADS
        >>> EQTL_GENOTYPES.ledger_column, LOADS.ledger_column
        ('matrix_id', None)
        """
        columns = {
            "loads": "load_id",
            "eqtl_matrices": "matrix_id",
            "eqtl_maps": "map_id",
            "statistics": "statistics_id",
        }
        return None if self.ledger is None else columns[self.ledger]

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """The terms of all columns in order."""
        return tuple(term(name) for name in self.columns)

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """Arrow schema with nullability and comments."""
        return pa.schema(
            [
                pa.field(t.name, t.type, t.name not in self.required, {"comment": t.comment})
                for t in self.terms
            ]
        )

    @cached_property
    def spark_schema(self) -> StructType:
        """Spark schema with nullability and comments."""
        from pyspark.sql.pandas.types import from_arrow_type
        from pyspark.sql.types import StructField, StructType

        return StructType(
            [
                StructField(
                    t.name, from_arrow_type(t.type), t.name not in self.required, {"comment": t.comment}
                )
                for t in self.terms
            ]
        )


def conform(rows: DataFrame, table: Table) -> DataFrame:
    """Rows in exactly the table's shape, or an error that says how they differ.

    The source's own schema is looked at, so a column that a read schema would silently fill with null is found.
    Columns are put into the table's order; nothing is cast, added or dropped.

    Raises:
        ContractError: columns are missing, extra, or of another type.
    """
    declared: StructType = table.spark_schema
    found = {f.name: f.dataType for f in rows.schema.fields}
    problems = []
    if len(found) != len(rows.columns):
        problems.append(f"repeated columns in {rows.columns}")
    if missing := [name for name in table.columns if name not in found]:
        problems.append(f"missing: {', '.join(missing)}")
    if extra := [name for name in found if name not in table.columns]:
        problems.append(f"extra: {', '.join(extra)}")
    for expected in declared.fields:
        actual = found.get(expected.name)
        if actual is not None and actual.simpleString() != expected.dataType.simpleString():
            problems.append(
                f"{expected.name} is {actual.simpleString()} instead of {expected.dataType.simpleString()}"
            )
    if problems:
        raise ContractError(
            f"The rows do not have its shape: {'; '.join(problems)}.", where=f"table {table.name}"
        )
    return rows.select(*[f"`{name}`" for name in table.columns])
