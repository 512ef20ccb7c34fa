"""Parquet files with pages made by hand: every reader reads what was written, and the footer tells the truth."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgp.io import dosage_pages, parquet, thrift
from kgp.io.parquet import ParquetFile
from kgp.tables import VARIANTS

Dosages = list[list[int | None] | None]
DUCKDB = duckdb.connect(config={"threads": 1})

SCHEMA = pa.schema([("start", pa.int64()), ("dosages", pa.list_(pa.int8())), ("name", pa.string())])
# What a file of `variants` holds: the columns that are not in its path.
VARIANTS_SCHEMA = pa.schema(
    [pa.field(f.name, f.type) for f in VARIANTS.arrow_schema if f.name not in VARIANTS.partition_by]
)


def write(*groups: pa.Table, schema: pa.Schema = SCHEMA) -> bytes:
    """A file with a row group for each of the tables."""
    sink = io.BytesIO()
    file = ParquetFile(sink, schema)
    for group in groups:
        file.write(group)
    file.close()
    return sink.getvalue()


def table(dosages: Dosages | pa.Array | pa.ChunkedArray) -> pa.Table:
    """Rows with these dosages."""
    if isinstance(dosages, list):
        dosages = pa.array(dosages, SCHEMA.field("dosages").type)
    n = len(dosages)
    return pa.Table.from_arrays(
        [pa.array(range(n), pa.int64()), dosages, pa.array([f"row {i % 3}" for i in range(n)], pa.string())],
        schema=SCHEMA,
    )


def read_by_all(stored: bytes, path: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows as three readers that share no code see them."""
    path.write_bytes(stored)
    cursor = DUCKDB.execute("SELECT * FROM read_parquet(?)", [str(path)])
    names = [column[0] for column in cursor.description or ()]
    return {
        "pyarrow": pq.read_table(path).to_pylist(),
        "DuckDB": [dict(zip(names, row, strict=True)) for row in cursor.fetchall()],
        "Polars": polars.read_parquet(path, use_statistics=False).to_dicts(),
    }


def is_by_hand(stored: bytes, group: int = 0) -> bool:
    """Whether the dosages of a row group were written by numpy: only then there are no statistics of them."""
    column = pq.read_metadata(io.BytesIO(stored)).row_group(group).column(1)
    assert column.path_in_schema.startswith("dosages")
    return column.statistics is None


def many(n_rows: int, n_samples: int, null_share: float, most: int = 2) -> list[list[int | None]]:
    """Random dosages."""
    random = np.random.default_rng([n_rows, n_samples])
    values = random.integers(0, most + 1, (n_rows, n_samples))
    is_null = random.random(values.shape) < null_share
    return [
        [None if gone else int(v) for v, gone in zip(*row, strict=True)]
        for row in zip(values, is_null, strict=True)
    ]


BY_HAND: dict[str, Dosages] = {
    "no nulls": many(50, 11, 0),
    "some nulls": many(50, 11, 0.2),
    "nulls in one row": [*many(5, 11, 0), [None] * 11, *many(5, 11, 0)],
    "all null": [[None] * 5] * 7,
    "one null": [[None]],
    "one sample": many(30, 1, 0.3),
    "one row": many(1, 30, 0.3),
    "7 samples": many(9, 7, 0.1),
    "8 samples": many(9, 8, 0.1),
    "9 samples": many(9, 9, 0.1),
    "127 samples": many(3, 127, 0),
    "128 samples": many(3, 128, 0.01),
    "2,504 samples": many(3, 2504, 0.001),
    "the greatest for two bits": many(20, 6, 0.1, most=3),
    "all the same": [[0] * 9] * 9,
}
BY_PYARROW: dict[str, Dosages] = {
    "a row without dosages": [[0, 1], None, [2, None]],
    "no row with dosages": [None, None],
    "ragged": [[0, 1], [2], [None, 1, 1]],
    "empty": [[], []],
    "some empty": [[], [1]],
    "three bits": [[0, 4], [1, 1]],
    "negative": [[0, -1], [1, 1]],
    "the greatest of all": [[127, 0], [-128, None]],
}


@pytest.mark.parametrize("dosages", [*BY_HAND.values(), *BY_PYARROW.values()], ids=[*BY_HAND, *BY_PYARROW])
def test_every_reader_reads_what_was_written(dosages: Dosages, tmp_path: Path) -> None:
    rows = table(dosages)
    stored = write(rows)
    assert is_by_hand(stored) == any(dosages is one for one in BY_HAND.values())
    for reader, found in read_by_all(stored, tmp_path / "a.parquet").items():
        assert found == rows.to_pylist(), reader


@pytest.mark.parametrize("null_share", [0, 0.1])
@pytest.mark.parametrize("n_page_values", [1, 10, 33, 1000])
def test_any_number_of_pages(
    n_page_values: int, null_share: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dosage_pages, "_PAGE_VALUES", n_page_values)
    rows = table(many(25, 11, null_share))
    for reader, found in read_by_all(write(rows), tmp_path / "a.parquet").items():
        assert found == rows.to_pylist(), reader


def test_row_groups_of_both_kinds_follow_each_other(tmp_path: Path) -> None:
    groups = [table(d) for d in (many(9, 3, 0), [[1], None], many(5, 4, 0.5), [[9, 9]], many(2, 1, 0))]
    stored = write(*groups)
    assert [is_by_hand(stored, i) for i in range(5)] == [True, False, True, False, True]
    for reader, found in read_by_all(stored, tmp_path / "a.parquet").items():
        assert found == [row for group in groups for row in group.to_pylist()], reader
    file = pq.ParquetFile(io.BytesIO(stored))
    assert [file.read_row_group(i).to_pylist() for i in range(5)] == [group.to_pylist() for group in groups]


def test_a_file_without_rows(tmp_path: Path) -> None:
    stored = write()
    assert pq.read_table(io.BytesIO(stored)).schema.equals(SCHEMA)
    assert list(read_by_all(stored, tmp_path / "a.parquet").values()) == [[], [], []]


def sliced(array: pa.Array) -> pa.Array:
    around = pa.array([[3, None, 3, 3]], array.type)
    return pa.concat_arrays([around, array, around]).slice(1, len(array))


def twice_sliced(array: pa.Array) -> pa.Array:
    return sliced(sliced(array))


def of_sliced_values(array: pa.Array) -> pa.Array:
    values = pa.concat_arrays([pa.array([None, 3, 3], pa.int8()), array.values]).slice(3)
    return pa.ListArray.from_arrays(array.offsets, values)


def with_garbage_before(array: pa.Array) -> pa.Array:
    """The first list begins behind values that belong to none."""
    values = pa.concat_arrays([pa.array([100, None], pa.int8()), array.values])
    return pa.ListArray.from_arrays(pa.array(np.array(array.offsets) + 2, pa.int32()), values)


def with_garbage_in_nulls(array: pa.Array) -> pa.Array:
    values = np.array([77 if v is None else v for v in array.values.to_pylist()], dtype=np.int8)
    is_null = np.array(array.values.is_null())
    return pa.ListArray.from_arrays(array.offsets, pa.array(values, mask=is_null).slice(0))


def raw_garbage_in_nulls(array: pa.Array) -> pa.Array:
    """The bytes below the nulls are what nobody should look at; pyarrow's own makers would clear them."""
    values = np.array([-77 if v is None else v for v in array.values.to_pylist()], dtype=np.int8)
    bits = np.packbits(~np.array(array.values.is_null()), bitorder="little").tobytes()
    made = pa.Array.from_buffers(pa.int8(), len(values), [pa.py_buffer(bits), pa.py_buffer(values.tobytes())])
    return pa.ListArray.from_arrays(array.offsets, made)


def in_chunks(array: pa.Array) -> pa.ChunkedArray:
    return pa.chunked_array([array[:1], array[1:1], sliced(array[1:4]), array[4:]])


def with_empty_chunks(array: pa.Array) -> pa.ChunkedArray:
    nothing = [pa.array([], array.type), array.slice(len(array)), pa.nulls(0, array.type)]
    return pa.chunked_array([*nothing, array, *nothing])


@pytest.mark.parametrize(
    "change",
    [
        sliced,
        twice_sliced,
        of_sliced_values,
        with_garbage_before,
        with_garbage_in_nulls,
        raw_garbage_in_nulls,
        in_chunks,
        with_empty_chunks,
    ],
)
@pytest.mark.parametrize("null_share", [0, 0.3])
def test_arrays_as_arrow_makes_them(
    change: Callable[[pa.Array], pa.Array | pa.ChunkedArray], null_share: float, tmp_path: Path
) -> None:
    dosages = many(10, 5, null_share)
    stored = write(table(change(pa.array(dosages, pa.list_(pa.int8())))))
    assert is_by_hand(stored)
    for reader, found in read_by_all(stored, tmp_path / "a.parquet").items():
        assert [row["dosages"] for row in found] == dosages, reader


def test_the_rows_that_are_written_stay_as_they_were() -> None:
    array = raw_garbage_in_nulls(pa.array(many(10, 5, 0.3), pa.list_(pa.int8())))
    before = array.values.buffers()[1].to_pybytes()
    write(table(array))
    assert array.values.buffers()[1].to_pybytes() == before


def test_a_column_of_that_name_and_another_type_is_left_to_pyarrow() -> None:
    of_values = pa.list_(pa.field("element", pa.int8(), nullable=False))
    kinds = (pa.list_(pa.int32()), pa.large_list(pa.int8()), pa.int8(), pa.list_(pa.uint8()), of_values)
    fields = [*(pa.field("dosages", kind) for kind in kinds), pa.field("dosages", kinds[0], nullable=False)]
    for field in fields:
        schema, kind = pa.schema([pa.field("start", pa.int64()), field]), field.type
        values = [1, 2] if kind == pa.int8() else [[1, 2], [0, 1]]
        rows = pa.table([pa.array([5, 6]), pa.array(values, kind)], schema=schema)
        assert pq.read_table(io.BytesIO(write(rows, schema=schema))).to_pylist() == rows.to_pylist()


CELL = st.none() | st.integers(0, 3)


@st.composite
def row_groups(draw: st.DrawFn) -> Dosages:
    """Dosages, mostly of one length a row and there, as most row groups have them."""
    n_samples = draw(st.integers(0, 20))
    row = st.lists(CELL, min_size=n_samples, max_size=n_samples)
    odd = st.none() | st.lists(CELL | st.integers(-128, 127), max_size=20)
    rows: Dosages = draw(st.lists(row, min_size=1, max_size=30))
    if draw(st.integers(0, 4)) == 0:
        rows[draw(st.integers(0, len(rows) - 1))] = draw(odd)
    return rows


@settings(max_examples=60, deadline=None)
@given(groups=st.lists(row_groups(), max_size=3), n_page_values=st.integers(1, 200), is_sliced=st.booleans())
def test_whatever_is_written_is_read(
    groups: list[Dosages], n_page_values: int, is_sliced: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "whatever.parquet"
    arrays = [pa.array(group, pa.list_(pa.int8())) for group in groups]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dosage_pages, "_PAGE_VALUES", n_page_values)
        stored = write(*(table(sliced(array) if is_sliced else array) for array in arrays))
    expected = [row for group in groups for row in group]
    for reader, found in read_by_all(stored, path).items():
        assert [row["dosages"] for row in found] == expected, reader
    assert_footer_is_right(stored)


# -------------------------------------------------------------------------------------------- rows of `variants`


def variants(n: int, *, first: int = 0, n_samples: int = 5) -> pa.Table:
    """Rows with something in every column, and a null in each that may have one."""
    dosages = many(n, n_samples, 0.1)
    rows: list[dict[str, Any]] = []
    for i, of_row in enumerate(dosages, first):
        row: dict[str, Any] = {
            "load_id": f"load {i // 100}", "start": i * 7 - 1, "end": i * 7 + 2, "record_id": i << 16, "alt_index": 1,
            "n_alts": 1, "variant_id": f"22_{i}_A_Ünı", "source_contig": "chr22",
            "ref": "ACGT" * (i % 3 + 1),
            "alt": "C", "vcf_id": f"rs{i}", "rsid": f"rs{i}", "qual": i / 3, "ac": 3, "an": 2 * n_samples,
            "af": i / 997, "n_missing": i % 2, "n_het": 2, "n_hom_alt": 1, "hwe_p": 1 / (i + 1),
            "filters": ["q10", "s50"][: i % 3],
            "info": [("AC", str(i)), ("DB", "")][: i % 3], "dosages": of_row, "calls": bytes([1, i % 256]),
            "expected_dosages": [None if d is None else d / 7 for d in of_row],
            "formats": [("DP", ["7", None, "a b"]), ("GQ", [])][: i % 3],
        }  # fmt: skip
        nullable = [name for name in VARIANTS.optional if name != "dosages"]
        rows.append({**row, nullable[i % len(nullable)]: None})
    return pa.Table.from_pylist(rows, schema=VARIANTS_SCHEMA)


def test_all_columns_of_variants(tmp_path: Path) -> None:
    groups = [variants(200), variants(150, first=200, n_samples=6)]
    stored = write(*groups, schema=VARIANTS_SCHEMA)
    assert pq.read_schema(io.BytesIO(stored)).equals(VARIANTS_SCHEMA)
    whole = pa.concat_tables(groups)
    found = read_by_all(stored, tmp_path / "a.parquet")
    assert found["pyarrow"] == whole.to_pylist()
    # These two have dicts and structs for maps.
    for reader in ("DuckDB", "Polars"):
        assert [plainly(row) for row in found[reader]] == [plainly(row) for row in whole.to_pylist()], reader


def plainly(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its maps as lists of pairs."""
    made = dict(row)
    for name in ("info", "formats"):
        value = made[name]
        if isinstance(value, dict):
            made[name] = list(value.items())
        elif value is not None:
            made[name] = [tuple(pair.values()) if isinstance(pair, dict) else tuple(pair) for pair in value]
    if made["expected_dosages"] is not None:
        made["expected_dosages"] = [
            None if v is None else float(np.float32(v)) for v in made["expected_dosages"]
        ]
    return made


def assert_footer_is_right(stored: bytes) -> None:
    """Sizes add up, and the pages lie where the footer says, without overlap, between the magic bytes."""
    footer = pq.read_metadata(io.BytesIO(stored))
    end = len(stored) - 8 - footer.serialized_size
    places: list[tuple[int, int]] = []
    assert footer.num_rows == sum(footer.row_group(i).num_rows for i in range(footer.num_row_groups))
    for i in range(footer.num_row_groups):
        group = footer.row_group(i)
        columns = [group.column(j) for j in range(group.num_columns)]
        assert group.total_byte_size == sum(column.total_uncompressed_size for column in columns)
        for column in columns:
            first = column.dictionary_page_offset or column.data_page_offset
            places.append((first, first + column.total_compressed_size))
            assert first <= column.data_page_offset < places[-1][1]
            walk_pages(stored, column)
    places.sort()
    assert all(a[1] <= b[0] for a, b in pairwise(places))
    assert not places or (places[0][0] >= 4 and places[-1][1] <= end)
    raw, _ = thrift.read_struct(stored[end:-8])
    for group_struct in raw[4][1][1]:
        sizes = [column[3][1][7][1] for column in group_struct[1][1][1]]
        assert group_struct[6][1] == sum(sizes)
        assert (
            min(column[3][1].get(11, column[3][1][9])[1] for column in group_struct[1][1][1])
            == group_struct[5][1]
        )


def walk_pages(stored: bytes, column: Any) -> None:
    """The pages of a column chunk fill it, and hold as many values as it has."""
    at = column.dictionary_page_offset or column.data_page_offset
    end = at + column.total_compressed_size
    n_values = size = 0
    while at < end:
        header, body = thrift.read_struct(stored, at)
        if header[1][1] == 0:
            assert n_values or at == column.data_page_offset
            n_values += header[5][1][1][1]
        size += body - at + header[2][1]
        at = body + header[3][1]
    assert (at, n_values, size) == (end, column.num_values, column.total_uncompressed_size)


def test_the_footer_tells_the_truth() -> None:
    groups = [variants(200), variants(150, first=200), variants(40, first=400).slice(20)]
    stored = write(*groups, schema=VARIANTS_SCHEMA)
    assert_footer_is_right(stored)
    footer = pq.read_metadata(io.BytesIO(stored))
    assert [footer.row_group(i).num_rows for i in range(3)] == [200, 150, 20]
    for i, rows in enumerate(groups):
        columns = {
            footer.row_group(i).column(j).path_in_schema: footer.row_group(i).column(j)
            for j in range(footer.num_columns)
        }
        for name in ("start", "end", "record_id", "load_id"):
            values = rows[name].to_pylist()
            found = columns[name].statistics
            assert (found.min, found.max, found.null_count) == (min(values), max(values), 0)
        dosages = columns["dosages.list.element"]
        assert dosages.compression == "ZSTD"
        assert dosages.num_values == 5 * len(rows)


def test_one_file_is_as_small_as_pyarrow_makes_it() -> None:
    """Two bits a dosage are what pyarrow's dictionary needs, too; its levels take the place that ours save."""
    rows = table(many(500, 600, 0))
    by_pyarrow = io.BytesIO()
    pq.write_table(rows, by_pyarrow, compression="zstd", compression_level=1)
    assert len(write(rows)) <= 1.01 * len(by_pyarrow.getvalue())


# ------------------------------------------------------------------------------------------------ Thrift


def footers() -> list[tuple[str, bytes]]:
    """Footers of pyarrow's making."""
    options: dict[str, dict[str, Any]] = {
        "plain": {},
        "brotli": {"compression": "brotli", "use_dictionary": False},
        "pages v2": {"data_page_version": "2.0", "write_statistics": False},
        "indices": {"write_page_index": True, "write_page_checksum": True},
        "sorted": {"sorting_columns": [pq.SortingColumn(1, descending=True)]},
    }
    found = []
    for name, kind in options.items():
        sink = io.BytesIO()
        pq.write_table(variants(60), sink, row_group_size=20, **kind)
        stored = sink.getvalue()
        size = int.from_bytes(stored[-8:-4], "little")
        found.append((name, stored[-8 - size : -8]))
    return found


@pytest.mark.parametrize("footer", [pytest.param(one, id=name) for name, one in footers()])
def test_footers_of_pyarrow_survive(footer: bytes) -> None:
    struct, end = thrift.read_struct(footer)
    assert end == len(footer)
    assert thrift.write_struct(struct) == footer
    schema, groups = struct[2][1][1], struct[4][1][1]
    assert [element[4][1] for element in schema[1:3]] == [b"load_id", b"start"]
    assert struct[3] == (thrift.I64, 60)
    assert [group[3] for group in groups] == [(thrift.I64, 20)] * 3


def values(kind: int, children: st.SearchStrategy[thrift.Struct]) -> st.SearchStrategy[Any]:
    """Values of a wire type."""
    if kind in (thrift.TRUE, thrift.FALSE):
        return st.just(kind == thrift.TRUE)
    if kind == thrift.BYTE:
        return st.integers(0, 255)
    if kind in (thrift.I16, thrift.I32, thrift.I64):
        bits = {thrift.I16: 15, thrift.I32: 31, thrift.I64: 63}[kind]
        return st.integers(-(1 << bits), (1 << bits) - 1)
    if kind == thrift.DOUBLE:
        return st.floats(allow_nan=False)
    if kind == thrift.BINARY:
        return st.binary(max_size=300)
    if kind == thrift.STRUCT:
        return children
    inner = st.sampled_from(
        [thrift.BYTE, thrift.I32, thrift.I64, thrift.DOUBLE, thrift.BINARY, thrift.STRUCT]
    )
    return inner.flatmap(lambda one: st.tuples(st.just(one), st.lists(values(one, children), max_size=20)))


def structs(children: st.SearchStrategy[thrift.Struct]) -> st.SearchStrategy[thrift.Struct]:
    kinds = st.sampled_from([kind for kind in range(1, 13) if kind != thrift.MAP])
    fields = kinds.flatmap(lambda kind: st.tuples(st.just(kind), values(kind, children)))
    numbers = st.integers(1, 20) | st.integers(1, 32_767)
    return st.dictionaries(numbers, fields, max_size=6).map(lambda made: dict(sorted(made.items())))


@settings(max_examples=150, deadline=None)
@given(st.recursive(st.just({}), structs, max_leaves=5), st.binary(max_size=3))
def test_structs_survive(struct: thrift.Struct, behind: bytes) -> None:
    written = thrift.write_struct(struct)
    assert thrift.read_struct(behind + written + behind, len(behind)) == (struct, len(behind) + len(written))


@pytest.mark.parametrize(
    ("struct", "expected"),
    [
        # From the examples of the specification's encoding rules.
        ({}, "00"),
        ({1: (thrift.I32, 1)}, "150200"),
        ({1: (thrift.I32, -1)}, "150100"),
        ({1: (thrift.I64, math.floor(2**62))}, "16" + "80" * 8 + "800100"),
        ({16: (thrift.TRUE, True)}, "012000"),
        ({15: (thrift.FALSE, False)}, "f200"),
        ({1: (thrift.BINARY, b"ab")}, "1802616200"),
        ({1: (thrift.LIST, (thrift.I32, [1] * 15))}, "19f50f" + "02" * 15 + "00"),
        ({1: (thrift.LIST, (thrift.I32, [1] * 14))}, "19e5" + "02" * 14 + "00"),
        ({2: (thrift.STRUCT, {3: (thrift.BYTE, 7)})}, "2c33070000"),
    ],
)
def test_bytes_of_the_specification(struct: thrift.Struct, expected: str) -> None:
    assert thrift.write_struct(struct).hex() == expected
    assert thrift.read_struct(bytes.fromhex(expected)) == (struct, len(expected) // 2)


@pytest.mark.parametrize("data", ["1b00", "1d00", "1502", "18056162", "19f5ff", "", "15ff"])
def test_what_is_no_struct_is_refused(data: str) -> None:
    with pytest.raises(ValueError, match=r"byte|end"):
        thrift.read_struct(bytes.fromhex(data))


def test_leaves_are_named_with_their_path() -> None:
    names: Sequence[str] = parquet._leaves(VARIANTS_SCHEMA)
    assert {
        "start",
        "dosages.list.element",
        "info.key_value.key",
        "formats.key_value.value.list.element",
    } <= set(names)
