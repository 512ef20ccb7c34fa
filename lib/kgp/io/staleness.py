"""The column `is_stale`, which `kgp query` shows in `statistics` and `allele_statistics` and no file has.

Whether a group's statistics are stale follows from other tables (`kgp.transforms.groups`), so it is found as the tables
are opened. All rows of a file of `allele_statistics` belong to one group: the file is given with the answer as a
partition value, so no row is joined, and a query for rows that are not stale leaves other files unread.
"""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import pyarrow.dataset as ds

# (callset, group)
GroupKey = tuple[str, str]

IS_STALE = pa.field("is_stale", pa.bool_(), nullable=False)


def mark_groups(statistics: ds.Dataset, stale: Collection[GroupKey]) -> ds.Dataset:
    """Rows of the ledger `statistics` with the column."""
    rows = statistics.to_table()
    keys = zip(rows["callset"].to_pylist(), rows["group"].to_pylist(), strict=True)
    return ds.dataset(rows.append_column(IS_STALE, pa.array([key in stale for key in keys], pa.bool_())))


def mark_files(allele_statistics: ds.FileSystemDataset, stale: Collection[GroupKey]) -> ds.Dataset:
    """Rows of `allele_statistics`, which is partitioned by callset and group, with the column."""
    fragments = []
    for file in allele_statistics.get_fragments():
        values = ds.get_partition_keys(file.partition_expression)
        is_stale = (values["callset"], values["group"]) in stale
        known = file.partition_expression & (ds.field(IS_STALE.name) == ds.scalar(is_stale))
        fragments.append(file.format.make_fragment(file.path, file.filesystem, partition_expression=known))
    schema = allele_statistics.schema.append(IS_STALE)
    return ds.FileSystemDataset(fragments, schema, allele_statistics.format, allele_statistics.filesystem)
