"""Row groups are read as pyarrow reads them, whoever reads the dosages; and numpy does where it has made the pages."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgp.io import dosage_pages
from kgp.io.dosage_pages import decode_dosages, encode_dosages
from kgp.io.dosage_reader import read_row_group
from kgp.io.parquet import ParquetFile

SCHEMA = pa.schema([("start", pa.int64()), ("dosages", pa.list_(pa.int8())), ("name", pa.string())])


def store(dosages: list[Any], kind: pa.DataType | None = None) -> bytes:
    """A file of one row group, as the project writes it."""
    schema = SCHEMA if kind is None else SCHEMA.set(1, pa.field("dosages", kind))
    n = len(dosages)
    arrays = [range(n), dosages, [f"row {i}" for i in range(n)]]
    sink = io.BytesIO()
    file = ParquetFile(sink, schema)
    if n:
        file.write(
            pa.table([pa.array(a, f.type) for a, f in zip(arrays, schema, strict=True)], schema=schema)
        )
    file.close()
    return sink.getvalue()


def read(stored: bytes, columns: list[str], batch_rows: int) -> pa.Table:
    file = io.BytesIO(stored)
    parquet = pq.ParquetFile(file)
    found = []
    for group in range(parquet.metadata.num_row_groups):
        found += read_row_group(file, parquet, group, columns, batch_rows)
    for batch in found:
        batch.validate(full=True)
        assert 0 < batch.num_rows <= batch_rows
    return pa.Table.from_batches(found, pa.schema([parquet.schema_arrow.field(name) for name in columns]))


def chunk_of(stored: bytes) -> bytes:
    """The column chunk of the dosages."""
    column = pq.read_metadata(io.BytesIO(stored)).row_group(0).column(1)
    return stored[column.dictionary_page_offset :][: column.total_compressed_size]


rows_of = st.integers(1, 12).flatmap(
    lambda n: st.lists(
        st.one_of(st.none(), st.lists(st.sampled_from([0, 1, 2, 2, 3, None]), min_size=n, max_size=n))
        | st.lists(st.sampled_from([0, 1, 2]), min_size=n, max_size=n),
        max_size=40,
    )
)


@given(rows_of, st.integers(1, 50), st.integers(1, 60), st.permutations(SCHEMA.names), st.integers(1, 3))
def test_the_rows_are_those_that_pyarrow_reads(dosages, batch_rows, page_values, names, n_columns):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dosage_pages, "_PAGE_VALUES", page_values)
        stored = store(dosages)
    expected = pq.read_table(io.BytesIO(stored)).select(names[:n_columns])
    assert read(stored, names[:n_columns], batch_rows).to_pylist() == expected.to_pylist()


@given(st.integers(1, 30), st.integers(1, 30), st.booleans(), st.integers(1, 100), st.integers(0, 2**32 - 1))
def test_pages_that_numpy_made_are_decoded(n_rows, n_samples, has_missing, page_values, seed):
    random = np.random.default_rng(seed)
    values = random.integers(0, 4, (n_rows, n_samples)).astype(np.uint8)
    is_null = random.random(values.shape) < 0.3 if has_missing else None
    if is_null is not None:
        values[is_null] = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dosage_pages, "_PAGE_VALUES", page_values)
        made = encode_dosages(values, is_null, 1)
    found = decode_dosages(made.data, made.uncompressed_size)
    assert found is not None
    np.testing.assert_array_equal(found[0], values)
    expected = np.zeros(values.shape, bool) if is_null is None else is_null
    np.testing.assert_array_equal(np.zeros(values.shape, bool) if found[1] is None else found[1], expected)


@pytest.mark.parametrize(
    "write",
    [
        {"compression": "zstd"},
        {"compression": "zstd", "use_dictionary": False},
        {"compression": "zstd", "data_page_version": "2.0"},
        {"compression": "snappy"},
        {"compression": "none"},
    ],
    ids=lambda options: " ".join(str(value) for value in options.values()),
)
def test_pages_of_others_are_read_too(write):
    """What a compaction or Spark has written again."""
    rows = pq.read_table(io.BytesIO(store([[0, 1, 2], [None, 0, 0], [2, 2, 1]] * 50)))
    sink = io.BytesIO()
    pq.write_table(rows, sink, **write)
    assert (
        read(sink.getvalue(), ["dosages", "start"], 40).to_pylist()
        == rows.select(["dosages", "start"]).to_pylist()
    )


@pytest.mark.parametrize(
    "rows",
    [[[0, 1], [1]], [None, [0, 1]], [[0, 9], [1, 1]], [[]]],
    ids=["ragged", "null", "above 3", "empty"],
)
def test_rows_of_another_form_are_left_to_pyarrow(rows):
    stored = store(rows)
    assert read(stored, ["dosages"], 10)["dosages"].to_pylist() == rows


def test_columns_of_another_type_are_left_to_pyarrow():
    stored = store([[0, 1], [2, 1]], pa.list_(pa.int16()))
    assert read(stored, ["dosages"], 10)["dosages"].to_pylist() == [[0, 1], [2, 1]]


@given(st.data())
def test_damaged_pages_are_decoded_to_nothing_or_to_as_many_values(data):
    """A flipped byte never leads out of the arrays; that values changed is for the file's checksums to say."""
    good = chunk_of(store([[0, 1, 2, None]] * 30))
    at = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[at] ^= data.draw(st.integers(1, 255))
    try:
        found = decode_dosages(bytes(bad), 4096)
    except (ValueError, LookupError, OSError):
        return
    assert found is None or (found[0].max(initial=0) <= 3 and found[0].ndim == 2)


def test_what_pyarrow_says_of_a_damaged_page_is_what_is_said():
    stored = bytearray(store([[0, 1, 2, 1]] * 200))
    column = pq.read_metadata(io.BytesIO(bytes(stored))).row_group(0).column(1)
    stored[column.data_page_offset + 40] ^= 255
    with pytest.raises(OSError, match=r"."):
        read(bytes(stored), ["dosages"], 100)
