"""A lake keeps what the declarations promise, whoever writes and whoever reads."""

from __future__ import annotations

import datetime
import importlib.util
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from kgp.errors import CheckError, ContractError, LakeError
from kgp.io import delta
from kgp.io.catalog import Catalog
from kgp.io.delta import Lake
from kgp.io.query import run_query
from kgp.table import Table, conform
from kgp.tables import (
    ALL_TABLES,
    CALLSET_SAMPLES,
    EQTL_GENOTYPES,
    LOADS,
    PHENOTYPES,
    QUARANTINE,
    SAMPLES,
    VARIANTS,
)
from kgp.terms import TERMS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

A, B, C = "a" * 32, "b" * 32, "c" * 32
HLA = "HLA-A*01:01"

tables = pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.name)


def make_rows(spark: SparkSession, table: Table, rows: Iterable[Mapping[str, Any]]) -> DataFrame:
    """Rows as a DataFrame in the table's schema; absent nullable columns are null."""
    return spark.createDataFrame([tuple(r.get(c) for c in table.columns) for r in rows], table.spark_schema)


def value(name: str) -> Any:
    """A value that satisfies every check."""
    kind = TERMS[name].type
    known = {"start": 99, "end": 100, "tss": 100, "alt_index": 1, "n_alts": 1, "strand": "+", "sex": "male"}
    known |= {
        "superpopulation": "EUR",
        "ac": 1,
        "an": 2,
        "af": 0.5,
        "rows_out": 1,
        "rows_quarantined": 0,
        "state": "gone",
        "kind": "gene",
        "problem": None,  # as there is a sample_id
    }
    if name in known:
        return known[name]
    if pa.types.is_list(kind):
        return [value_of(kind.value_type)]
    if pa.types.is_map(kind):
        return {"a": value_of(kind.item_type)}
    return value_of(kind)


def value_of(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return [value_of(kind.value_type)]
    if pa.types.is_timestamp(kind):
        return datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    return {pa.bool_(): True, pa.string(): "x", pa.binary(): b"x", pa.float64(): 0.5, pa.float32(): 0.5}.get(
        kind, 1
    )


def row(table: Table, **changes: Any) -> dict[str, Any]:
    only_one = {"expected_dosages": None} if table is EQTL_GENOTYPES else {}
    return {name: value(name) for name in table.columns} | only_one | changes


def variant(contig: str, start: int, load_id: str = A) -> dict[str, Any]:
    place = {"callset": "phase3", "contig": contig, "start": start, "end": start + 1, "record_id": start}
    return row(
        VARIANTS, load_id=load_id, variant_id=f"{contig}_{start + 1}_A_C", dosages=[0, None, 2], **place
    )


def load(load_id: str) -> dict[str, Any]:
    return row(LOADS, load_id=load_id)


def places(rows: DataFrame) -> list[tuple[str, int]]:
    return sorted((r["load_id"], r["start"]) for r in rows.select("load_id", "start").collect())


# -- what is created


@tables
def test_a_table_is_created_as_it_is_declared(lake: Lake, table: Table) -> None:
    lake.create(table)
    delta = DeltaTable(lake.path(table))
    fields = {f.name: f for f in delta.schema().fields}
    assert list(fields) == list(table.columns)
    for name, field in fields.items():
        assert field.nullable == (name in table.optional)
        assert field.metadata["comment"] == TERMS[name].comment
    assert tuple(delta.metadata().partition_columns) == table.partition_by
    assert delta.metadata().description == f"One row per {table.grain}."
    configuration = delta.metadata().configuration
    assert {k.rpartition(".")[2]: v for k, v in configuration.items() if "constraints" in k} == dict(
        table.checks
    )
    assert delta.version() == 0
    lake.create(table)
    assert lake.version(table) == 0


@tables
def test_every_reader_is_let_in(lake: Lake, table: Table) -> None:
    lake.create(table)
    log = [
        json.loads(x)
        for x in next(Path(lake.path(table), "_delta_log").glob("*.json")).read_text().splitlines()
    ]
    (protocol,) = [entry["protocol"] for entry in log if "protocol" in entry]
    assert protocol["minReaderVersion"] == 1
    assert "readerFeatures" not in protocol
    configuration = DeltaTable(lake.path(table)).metadata().configuration
    assert configuration.get("delta.enableDeletionVectors") == "false"
    assert configuration.get("delta.checkpointPolicy") == "classic"
    # Versions that a matrix set names are kept by writers and by other vacuums.
    assert configuration.get("delta.logRetentionDuration") == "interval 36500 days"
    assert configuration.get("delta.deletedFileRetentionDuration") == "interval 36500 days"
    assert "delta.columnMapping.mode" not in configuration


@tables
def test_spark_sees_the_declared_schema(lake: Lake, table: Table) -> None:
    lake.create(table)
    found = lake.read_all(table).schema
    assert [(f.name, f.dataType.simpleString()) for f in found] == [
        (f.name, f.dataType.simpleString()) for f in table.spark_schema
    ]
    assert {f.name: f.metadata["comment"] for f in found} == {t.name: t.comment for t in table.terms}


def test_a_table_of_that_name_with_other_columns_stands_in_the_way(lake: Lake) -> None:
    write_deltalake(lake.path(SAMPLES), pa.table({"sample_id": ["HG1"], "sax": ["male"]}))
    with pytest.raises(LakeError, match=r"other columns.*sax") as caught:
        lake.create(SAMPLES)
    assert caught.value.mend is not None


# -- what may be written

BROKEN = [
    (table, {name: None}, "NOT NULL")
    for table in (LOADS, SAMPLES, CALLSET_SAMPLES, VARIANTS, PHENOTYPES, QUARANTINE)
    for name in table.required
] + [
    (LOADS, {"rows_out": 2}, "nothing_lost"),
    (LOADS, {"rows_in": -1, "rows_out": -1}, "counts_not_negative"),
    (SAMPLES, {"sex": "mail"}, "sex_known"),
    (SAMPLES, {"superpopulation": "MARS"}, "superpopulation_known"),
    (CALLSET_SAMPLES, {"sample_index": -1}, "sample_index_not_negative"),
    (QUARANTINE, {"offset": -1}, "offset_not_negative"),
    (PHENOTYPES, {"end": 99}, "place"),
    (PHENOTYPES, {"start": -1}, "place"),
    (PHENOTYPES, {"tss": 0}, "tss_in_place"),
    (PHENOTYPES, {"strand": "."}, "strand_known"),
    (VARIANTS, {"start": -2}, "place"),
    (VARIANTS, {"end": 98}, "place"),
    (VARIANTS, {"alt_index": 2}, "alt_index_in_record"),
    (VARIANTS, {"alt": None}, "alt_where_numbered"),
    (VARIANTS, {"alt_index": 0}, "alt_where_numbered"),
    (VARIANTS, {"ac": 3}, "ac_within_an"),
    (VARIANTS, {"ac": -1}, "ac_within_an"),
    (VARIANTS, {"an": None}, "ac_within_an"),
    (VARIANTS, {"af": 1.5}, "af_is_fraction"),
]
broken = pytest.mark.parametrize(
    ("table", "changes", "what"), BROKEN, ids=[f"{t.name}-{next(iter(c))}-{w}" for t, c, w in BROKEN]
)


@broken
def test_small_writes_hold_every_constraint(
    lake: Lake, table: Table, changes: dict[str, Any], what: str
) -> None:
    lake.create(table)
    with pytest.raises(ContractError) as caught:
        lake.put(table, [row(table, **changes)], None)
    assert what in str(caught.value) or f"no {next(iter(changes))}" in str(caught.value)
    assert lake.version(table) == 0


@pytest.mark.parametrize(
    ("table", "changes", "what"),
    [
        (SAMPLES, {"sample_id": None}, "sample_id"),
        (VARIANTS, {"end": 98}, "place"),
        (VARIANTS, {"alt": None}, "alt_where_numbered"),
    ],
)
def test_writes_by_tasks_hold_every_constraint(
    lake: Lake, spark: SparkSession, table: Table, changes: dict[str, Any], what: str
) -> None:
    columns = table.columns
    nullable = pa.schema([pa.field(n, TERMS[n].type) for n in columns])
    arrow = pa.Table.from_pylist([row(table, **changes)], nullable)
    rows = spark.createDataFrame(
        [tuple(r[n] for n in columns) for r in arrow.to_pylist(maps_as_pydicts="lossy")], _nullable(table)
    )
    lake.create(table)
    with pytest.raises(Exception, match=r"(?s).+") as caught:
        lake.replace(table, rows, None)
    assert what in str(caught.value) or f"no {next(iter(changes))}" in str(caught.value)
    assert lake.version(table) == 0


def _nullable(table: Table) -> Any:
    from pyspark.sql.types import StructField, StructType

    return StructType([StructField(f.name, f.dataType, True) for f in table.spark_schema])


def test_spark_itself_is_held_to_the_constraints(lake: Lake, spark: SparkSession) -> None:
    """Whoever writes past kgp, with Spark's own writer, meets the table's constraints."""
    for table, changes, what in (
        (SAMPLES, {"sex": "mail"}, "sex_known"),
        (SAMPLES, {"sample_id": None}, "sample_id"),
    ):
        lake.create(table)
        values = row(table, **changes)
        rows = spark.createDataFrame([tuple(values[n] for n in table.columns)], _nullable(table))
        with pytest.raises(Exception, match=what):
            rows.write.format("delta").mode("append").save(lake.path(table))
        assert lake.version(table) == 0


def test_delta_rs_itself_is_held_to_the_constraints(lake: Lake) -> None:
    lake.create(SAMPLES)
    for changes in ({"sex": "mail"}, {"sample_id": None}):
        rows = pa.Table.from_pylist(
            [row(SAMPLES, **changes)], pa.schema([(f.name, f.type) for f in SAMPLES.arrow_schema])
        )
        with pytest.raises(Exception, match=r"validation|null|NULL"):
            write_deltalake(lake.path(SAMPLES), rows, mode="append")
    assert lake.version(SAMPLES) == 0


def test_valid_rows_of_every_table_are_written_and_read_back(lake: Lake) -> None:
    for table in ALL_TABLES:
        lake.put(table, [row(table)], None)
        (found,) = lake.fetch_all(table).to_pylist(maps_as_pydicts="strict")
        assert found == row(table), table.name
    for table in (LOADS, VARIANTS):
        (by_spark,) = lake.read_all(table).collect()
        assert {n: v for n, v in by_spark.asDict().items() if n != "loaded_at"} == {
            n: v for n, v in row(table).items() if n != "loaded_at"
        }


def test_a_repeated_key_is_refused(lake: Lake, spark: SparkSession) -> None:
    with pytest.raises(CheckError, match="sample_id=x occurs 2 times"):
        lake.put(SAMPLES, [row(SAMPLES), row(SAMPLES)], None)
    twice = make_rows(spark, VARIANTS, [variant("22", 5), variant("22", 5)])
    lake.replace(VARIANTS, twice, [A])
    with pytest.raises(CheckError, match="record_id=5, alt_index=1 occurs 2 times"):
        lake.check_key(VARIANTS)
    with pytest.raises(CheckError):
        lake.check_key(VARIANTS, f"load_id = '{A}'")
    lake.check_key(VARIANTS, f"load_id = '{B}'")


# -- conform


def test_conform_refuses_other_shapes_by_the_sources_own_schema(spark: SparkSession) -> None:
    rows = make_rows(spark, SAMPLES, [row(SAMPLES)])
    backwards = rows.select(*reversed(rows.columns))
    assert conform(backwards, SAMPLES).columns == list(SAMPLES.columns)
    for changed, message in (
        (rows.drop("sex"), "missing: sex"),
        (rows.withColumnRenamed("sex", "gender"), "missing: sex; extra: gender"),
        (rows.withColumn("sex", rows["sex"].cast("binary")), "sex is binary instead of string"),
        (rows.select("*", rows["sex"]), "repeated columns"),
    ):
        with pytest.raises(ContractError, match=message):
            conform(changed, SAMPLES)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("start", "int"),
        ("dosages", "array<int>"),
        ("info", "map<string,int>"),
        ("af", "float"),
        ("ac", "bigint"),
    ],
)
def test_conform_casts_nothing(spark: SparkSession, column: str, kind: str) -> None:
    rows = make_rows(spark, VARIANTS, [variant("22", 5)]).selectExpr(
        *[f"cast(null as {kind}) as {n}" if n == column else f"`{n}`" for n in VARIANTS.columns]
    )
    with pytest.raises(ContractError, match=rf"{column} is {kind} instead of"):
        conform(rows, VARIANTS)


def test_a_write_of_another_shape_makes_no_table(lake: Lake, spark: SparkSession) -> None:
    with pytest.raises(ContractError):
        lake.replace(SAMPLES, make_rows(spark, SAMPLES, [row(SAMPLES)]).drop("sex"), None)
    assert not lake.exists(SAMPLES)


# -- replacing


def test_replace_is_idempotent_and_replaces_exactly_its_slice(lake: Lake, spark: SparkSession) -> None:
    def write(load_id: str, *starts: int) -> None:
        rows = make_rows(spark, VARIANTS, [variant("22", start, load_id) for start in starts])
        assert lake.replace(VARIANTS, rows, [load_id]) == len(starts)

    write(A, 1, 2, 3)
    write(B, 2, 9)
    both = [(A, 1), (A, 2), (A, 3), (B, 2), (B, 9)]
    assert places(lake.read_all(VARIANTS)) == both
    version = lake.version(VARIANTS)
    write(A, 1, 2, 3)
    assert places(lake.read_all(VARIANTS)) == both
    assert lake.version(VARIANTS) == (version or 0) + 1, "one commit, not a delete and an insert"
    write(A, 7)
    assert places(lake.read_all(VARIANTS)) == [(A, 7), (B, 2), (B, 9)]
    # as it was before, for who reads that version
    assert places(lake.read_all(VARIANTS, version=version)) == both
    write(A)
    assert places(lake.read_all(VARIANTS)) == [(B, 2), (B, 9)]


def test_partitions_with_names_that_paths_escape_are_replaced_as_well(
    lake: Lake, spark: SparkSession
) -> None:
    contigs = ("22", HLA, "a b", "100%", "Ünïcode")
    for start in (1, 2):
        rows = make_rows(spark, VARIANTS, [variant(contig, start) for contig in contigs])
        lake.replace(VARIANTS, rows, [A])
    assert {(r["contig"], r["start"]) for r in lake.fetch_all(VARIANTS).to_pylist()} == {
        (c, 2) for c in contigs
    }


def test_spark_reads_a_table_as_it_was(lake: Lake, spark: SparkSession) -> None:
    for start in (1, 2):
        lake.replace(VARIANTS, make_rows(spark, VARIANTS, [variant("22", start)]), [A])
    lake.put(LOADS, [load(A)], None)
    then = lake.at({"variants": 1, "loads": lake.version(LOADS), "samples": None})
    assert places(then.read(VARIANTS)) == [(A, 1)]
    assert places(lake.read(VARIANTS)) == [(A, 2)]
    assert then.read(SAMPLES).count() == 0


def test_a_superseded_slice_goes_in_the_same_commit(lake: Lake, spark: SparkSession) -> None:
    for load_id in (A, B):
        lake.replace(VARIANTS, make_rows(spark, VARIANTS, [variant("22", 1, load_id)]), [load_id])
    lake.replace(VARIANTS, make_rows(spark, VARIANTS, [variant("22", 2, C)]), [A, B, C])
    assert places(lake.read_all(VARIANTS)) == [(C, 2)]


def test_small_writes_replace_exactly_their_slice(lake: Lake) -> None:
    lake.put(LOADS, [load(A)], f"load_id IN ('{A}')")
    lake.put(LOADS, [load(B)], f"load_id IN ('{B}')")
    lake.put(LOADS, [load(B)], f"load_id IN ('{B}')")
    assert sorted(lake.fetch(LOADS)["load_id"].to_pylist()) == [A, B]
    lake.put(LOADS, [load(C)], f"load_id IN ('{A}', '{B}', '{C}')")
    assert lake.fetch(LOADS)["load_id"].to_pylist() == [C]


# -- debris


def test_debris_is_invisible_and_removed(
    lake: Lake, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    for load_id in (A, B):
        rows = make_rows(spark, VARIANTS, [variant("22", start, load_id) for start in (1, 2)])
        lake.replace(VARIANTS, rows, [load_id])
        lake.put(
            CALLSET_SAMPLES,
            [row(CALLSET_SAMPLES, load_id=load_id, callset=load_id)],
            f"load_id = '{load_id}'",
        )
    assert places(lake.read(VARIANTS)) == [], "nothing is valid before the ledger names it"
    lake.put(LOADS, [load(A)], None)
    assert places(lake.read(VARIANTS)) == [(A, 1), (A, 2)]
    assert lake.fetch(CALLSET_SAMPLES)["load_id"].to_pylist() == [A]
    answer = run_query(Catalog(lake.uri), "SELECT load_id, start FROM variants ORDER BY ALL")
    assert list(answer.rows()) == [[A, 1], [A, 2]]

    assert lake.remove_debris(ALL_TABLES) == {}, "another run may be writing it"
    assert lake.remove_debris((CALLSET_SAMPLES,), [A, B]) == {"callset_samples": [B]}, "nobody will name B"
    monkeypatch.setattr(delta, "UNFINISHED", datetime.timedelta(0))
    assert lake.remove_debris((VARIANTS, CALLSET_SAMPLES, LOADS, SAMPLES)) == {"variants": [B]}
    assert places(lake.read_all(VARIANTS)) == [(A, 1), (A, 2)]
    versions = [lake.version(t) for t in ALL_TABLES]
    assert lake.remove_debris(ALL_TABLES) == {}
    assert [lake.version(t) for t in ALL_TABLES] == versions, "nothing to remove is no commit"


def test_a_table_that_does_not_exist_has_no_rows(lake: Lake) -> None:
    assert lake.read(VARIANTS).count() == 0
    assert lake.fetch(SAMPLES).num_rows == 0
    assert lake.version(VARIANTS) is None
    assert lake.remove_debris(ALL_TABLES) == {}


# -- everyone reads the same


def test_deltalake_duckdb_polars_pyarrow_and_spark_read_the_same_rows(
    lake: Lake, spark: SparkSession
) -> None:
    contigs = ["22", "X", HLA, "a b", "100%", "Ünïcode"]
    rows = make_rows(spark, VARIANTS, [variant(c, s) for c in contigs for s in (7, 3, 5)])
    lake.replace(VARIANTS, rows.repartition(2), [A])
    lake.put(LOADS, [load(A)], None)
    expected = sorted((c, s, [0, None, 2], {"a": "x"}) for c in contigs for s in (3, 5, 7))
    path = lake.path(VARIANTS)

    def pick(found: pa.Table) -> list[tuple[Any, ...]]:
        listed = found.select(["contig", "start", "dosages", "info"]).to_pylist(maps_as_pydicts="strict")
        return sorted(tuple(r.values()) for r in listed)

    assert pick(DeltaTable(path).to_pyarrow_table()) == expected
    assert pick(DeltaTable(path).to_pyarrow_dataset().to_table()) == expected
    assert sorted(tuple(r) for r in run_query(
        Catalog(lake.uri), "SELECT contig, start, dosages, info FROM variants"
    ).rows()) == expected  # fmt: skip
    by_spark = lake.read(VARIANTS).select("contig", "start", "dosages", "info").collect()
    assert sorted(tuple(r) for r in by_spark) == expected
    if importlib.util.find_spec("polars"):
        import polars

        frame = polars.read_delta(path).select("contig", "start", "dosages")
        assert sorted(frame.rows()) == [r[:3] for r in expected]
    for contig in contigs:
        by_contig = lake.read(VARIANTS).where(f"contig = '{contig}'")
        assert sorted(r["start"] for r in by_contig.collect()) == [3, 5, 7]
        sql = f"SELECT start FROM variants WHERE contig = '{contig}' ORDER BY 1"
        assert list(run_query(Catalog(lake.uri), sql).rows()) == [[3], [5], [7]]


def test_rows_are_sorted_within_a_file_and_places_are_among_the_statistics(
    lake: Lake, spark: SparkSession
) -> None:
    rows = make_rows(spark, VARIANTS, [variant("22", s) for s in (9, 1, 5, 3)])
    lake.replace(VARIANTS, rows.coalesce(1), [A])
    (file,) = DeltaTable(lake.path(VARIANTS)).file_uris()
    assert duckdb.sql(f"SELECT start FROM read_parquet('{file}')").fetchall() == [(1,), (3,), (5,), (9,)]
    (action,) = pa.table(DeltaTable(lake.path(VARIANTS)).get_add_actions(flatten=True)).to_pylist()
    assert (action["num_records"], action["min.start"], action["max.start"], action["max.end"]) == (
        4,
        1,
        9,
        10,
    )
    assert action["min.load_id"] == action["max.load_id"] == A
