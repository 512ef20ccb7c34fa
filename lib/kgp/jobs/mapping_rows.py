"""Rows of mappings, read a batch at a time: a genome's pairs never come together on the driver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from kgp.io.parts import TablePart, read_part
from kgp.job import Context
from kgp.report.facts_mapping import MapFact
from kgp.table import Table


def scan_rows(
    context: Context, table: Table, one: MapFact, columns: Sequence[str], contig: str | None = None
) -> Iterator[pa.RecordBatch]:
    """All rows of a mapping, in the table's order.

    Args:
        context: of a job that reads the table.
        table: one of the mapping's kinds of rows, partitioned by map_id.
        one: the mapping.
        columns: of the batches.
        contig: only that partition, of a table that is partitioned by contig.
    """
    for part in _parts(context, table, one, contig):
        yield from read_part(part, table, columns)


def read_of(
    context: Context,
    table: Table,
    one: MapFact,
    ids: Sequence[str],
    *,
    by: str = "phenotype_id",
    contig: str | None = None,
) -> pa.Table:
    """All columns of the rows of a mapping that are of some phenotypes or groups.

    Args:
        context: of a job that reads the table.
        table: as in `scan_rows`.
        one: the mapping.
        ids: of the phenotypes or groups.
        by: column that holds them.
        contig: as in `scan_rows`.
    """
    wanted = pa.array(ids, pa.string())
    found: list[pa.RecordBatch] = []
    for part in _parts(context, table, one, contig):
        # A phenotype's pairs stand together: most parts have none, and only their ids are read.
        if not any(
            pc.any(pc.is_in(batch.column(0), value_set=wanted)).as_py()
            for batch in read_part(part, table, [by])
        ):
            continue
        for batch in read_part(part, table, table.columns):
            rows = batch.filter(pc.is_in(batch.column(by), value_set=wanted))
            if rows.num_rows:
                found.append(rows)
    return pa.Table.from_batches(found, table.arrow_schema)


def _parts(context: Context, table: Table, one: MapFact, contig: str | None) -> list[TablePart]:
    partitions = {"map_id": [one.map_id]}
    if contig is not None and "contig" in table.partition_by:
        partitions["contig"] = [contig]
    return context.parts(table, partitions=partitions)
