"""Parquet files as a dataset that is read batch by batch, in the thread that asks for the next one.

Arrow's own scanner decodes whole row groups, several of them ahead of time: a row group of 2,504 people's genotypes is
more than a gigabyte once it is decoded. Its threads are still at work when a query ends before the scan does, and if
they read by a file system of Python's they then run into an interpreter that is going down. Arrow's file system for
Azure is none of Python's, but ends the process where the network fails. So what a row group needs is fetched here by
fsspec, all of it before its first batch is given, and a batch is decoded when it is asked for. What DuckDB pushes down
holds: only the columns of a query are read, and only the row groups whose statistics do not rule its filter out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from kgp.errors import InputError, KgpError
from kgp.io.storage import open_parquet

# Leaf values that are decoded at a time, over all columns; a diploid genotype has four.
_BATCH_VALUES = 1 << 20


class StreamedDataset(ds.FileSystemDataset):  # type: ignore[misc]
    """Parquet files as one dataset, for DuckDB to register or to be read by `to_batches`, `to_table` and the like.

    Columns that a file lacks have its partition's value, or are null; those of a narrower type are widened.

    Args:
        files: URL → the file, for its statistics; at least one.
        schema: of all of them.
        kept: which rows there are; None: all.
    """

    def __init__(
        self,
        files: Mapping[str, ds.ParquetFileFragment],
        schema: pa.Schema,
        kept: ds.Expression | None = None,
    ) -> None:
        first = next(iter(files.values()))
        super().__init__(list(files.values()), schema, first.format, first.filesystem)
        self._files = dict(files)
        self._kept = kept

    def filter(self, expression: ds.Expression) -> StreamedDataset:
        """The rows that fit."""
        return StreamedDataset(self._files, self.schema, _both(self._kept, expression))

    def scanner(
        self, columns: Sequence[str] | None = None, filter: ds.Expression | None = None, **_options: object
    ) -> Scan:
        """The rows that fit the filter, with these columns; all columns for None. There are no other options."""
        wanted = self.schema.names if columns is None else columns
        return Scan(self._files, self.schema, wanted, _both(self._kept, filter))


class Scan:
    """A pass over a dataset: what DuckDB and Arrow ask of a scanner.

    Args:
        files: of the dataset.
        schema: of the dataset.
        columns: that are given, in this order.
        kept: which rows are given; None: all.
    """

    def __init__(
        self,
        files: Mapping[str, ds.ParquetFileFragment],
        schema: pa.Schema,
        columns: Sequence[str],
        kept: ds.Expression | None,
    ) -> None:
        self._files = files
        self._schema = schema
        self._kept = kept
        self.projected_schema = pa.schema([schema.field(name) for name in columns])

    def to_reader(self) -> pa.RecordBatchReader:
        """The rows as a stream that Arrow's other users can read."""
        return pa.RecordBatchReader.from_batches(self.projected_schema, self.to_batches())

    def to_table(self) -> pa.Table:
        """All rows at once."""
        return pa.Table.from_batches(self.to_batches(), self.projected_schema)

    def count_rows(self) -> int:
        """How many rows there are."""
        return sum(map(len, Scan(self._files, self._schema, self._schema.names[:1], self._kept).to_batches()))

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, read as they are asked for.

        Raises:
            InputError: a file can't be read.
        """
        # Arrow does not tell which columns an expression has; one that is read without need does no harm.
        text = "" if self._kept is None else str(self._kept)
        given = set(self.projected_schema.names)
        fields = [field for field in self._schema if field.name in given or field.name in text]
        for url, fragment in self._files.items():
            try:
                yield from self._batches_of(url, fragment, fields)
            except KgpError:
                raise
            except Exception as problem:  # Arrow's, fsspec's, Azure's; some quote what is secret
                raise InputError(
                    f"It can't be read ({type(problem).__name__}).",
                    where=url,
                    mend="Check network and credentials, and whether the file is whole.",
                ) from None

    def _batches_of(
        self, url: str, fragment: ds.ParquetFileFragment, fields: list[pa.Field]
    ) -> Iterator[pa.RecordBatch]:
        kept = fragment if self._kept is None else fragment.subset(self._kept, schema=self._schema)
        there = set(fragment.physical_schema.names)
        names = [field.name for field in fields if field.name in there]
        values = ds.get_partition_keys(fragment.partition_expression)
        for group in (group.id for group in kept.row_groups):
            with (
                open_parquet(url, names, [group]) as source,
                pq.ParquetFile(source, metadata=fragment.metadata) as file,
            ):
                n_rows = _rows_a_batch(file.metadata.row_group(group), set(names))
                for batch in file.iter_batches(n_rows, row_groups=[group], columns=names):
                    whole = _in_shape(batch, fields, values)
                    if self._kept is not None:
                        whole = whole.filter(self._kept)
                    yield whole.select(self.projected_schema.names)


def _both(one: ds.Expression | None, other: ds.Expression | None) -> ds.Expression | None:
    return one & other if one is not None and other is not None else one if other is None else other


def _rows_a_batch(group: Any, names: set[str]) -> int:
    """Rows of a row group that have about `_BATCH_VALUES` leaf values in these columns."""
    leaves = map(group.column, range(group.num_columns))
    n_values = sum(leaf.num_values for leaf in leaves if leaf.path_in_schema.partition(".")[0] in names)
    values_a_row = max(1.0, n_values / max(group.num_rows, 1))
    return max(1, int(_BATCH_VALUES / values_a_row))


def _in_shape(batch: pa.RecordBatch, fields: Sequence[pa.Field], values: Mapping[str, Any]) -> pa.RecordBatch:
    """The batch with these columns: where it lacks one, the partition's value, else null."""
    there = set(batch.schema.names)
    columns = [
        batch[field.name].cast(field.type)
        if field.name in there
        else pa.repeat(pa.scalar(values.get(field.name), field.type), len(batch))
        for field in fields
    ]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))
