"""Spark reads the files that tasks write: by each of its Parquet readers, the same values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from kgp.io import dosage_pages
from kgp.io.parquet import ParquetFile

if TYPE_CHECKING:
    import pytest
    from pyspark.sql import SparkSession

SCHEMA = pa.schema(
    [
        ("start", pa.int64()),
        ("dosages", pa.list_(pa.int8())),
        ("info", pa.map_(pa.string(), pa.string())),
        ("calls", pa.binary()),
    ]
)
VECTORISED = "spark.sql.parquet.enableVectorizedReader"
NESTED = "spark.sql.parquet.enableNestedColumnVectorizedReader"


def rows(first: int, dosages: list[list[int | None] | None]) -> list[dict[str, Any]]:
    """A row for each list of dosages."""
    return [
        {
            "start": i,
            "dosages": one,
            "info": [("AC", str(i)), ("DB", "")][: i % 3],
            "calls": bytes([1, i % 256]),
        }
        for i, one in enumerate(dosages, first)
    ]


def test_each_reader_of_spark(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dosage_pages, "_PAGE_VALUES", 1000)  # some pages a row group
    chance = np.random.default_rng(3)
    values = chance.integers(0, 4, (300, 37)).tolist()
    with_nulls = [[None if chance.random() < 0.1 else v for v in row] for row in values[:200]]
    groups = [
        rows(0, values),
        rows(300, with_nulls),
        rows(500, [[0, 4], None, []]),  # left to pyarrow
        rows(503, [[None] * 9] * 20),
        rows(523, [[i % 3] for i in range(77)]),
    ]
    with (tmp_path / "a.parquet").open("wb") as sink:
        file = ParquetFile(sink, SCHEMA)
        for group in groups:
            file.write(pa.Table.from_pylist(group, schema=SCHEMA))
        file.close()
    expected = [{**row, "info": dict(row["info"])} for group in groups for row in group]
    before = {name: spark.conf.get(name) for name in (VECTORISED, NESTED)}
    try:
        for vectorised, nested in (("true", "true"), ("true", "false"), ("false", "false")):
            spark.conf.set(VECTORISED, vectorised)
            spark.conf.set(NESTED, nested)
            read = spark.read.parquet(str(tmp_path / "a.parquet"))
            found = [row.asDict() for row in read.orderBy("start").collect()]
            assert [{**row, "calls": bytes(row["calls"])} for row in found] == expected
            some = read.where("start >= 450 AND start < 510").orderBy("start").select("dosages").collect()
            assert [row.dosages for row in some] == [row["dosages"] for row in expected[450:510]]
            sums = read.selectExpr("sum(size(dosages)) AS n").where("n IS NOT NULL").collect()
            assert sums[0].n == sum(-1 if row["dosages"] is None else len(row["dosages"]) for row in expected)
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)
