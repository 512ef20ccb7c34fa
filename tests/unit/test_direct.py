"""Files written by tasks: constraints hold, statistics are right, every reader sees the same rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from kgp.errors import ContractError
from kgp.io.delta import Lake
from kgp.io.direct import check_rows, from_json, to_json, write_files
from kgp.tables import LOADS, VARIANTS


def _row(**changes: Any) -> dict[str, Any]:
    row = dict.fromkeys(VARIANTS.columns)
    row |= {
        "callset": "c", "contig": "22", "load_id": "L1", "start": 99, "end": 100, "record_id": 1, "alt_index": 1,
        "n_alts": 1, "variant_id": "22_100_A_C", "source_contig": "22", "ref": "A", "alt": "C", "dosages": [0, None, 2],
    }  # fmt: skip
    return row | changes


def _batch(*rows: dict[str, Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), schema=VARIANTS.arrow_schema)


def _no_spark() -> Any:
    raise AssertionError("no Spark is needed here")


def _commit(lake: Lake, *batches: pa.RecordBatch) -> DeltaTable:
    lake.create(VARIANTS)
    actions = list(write_files(iter(batches), VARIANTS, lake.path(VARIANTS)))
    table = DeltaTable(lake.path(VARIANTS))
    table.create_write_transaction(
        actions, mode="append", schema=VARIANTS.arrow_schema, partition_by=list(VARIANTS.partition_by)
    )
    return DeltaTable(lake.path(VARIANTS))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"variant_id": None}, "1 rows have no variant_id"),
        ({"start": -2}, "break the check place"),
        ({"end": 98}, "break the check place"),
        ({"alt": None}, "break the check alt_where_numbered"),
        ({"alt_index": 2}, "break the check alt_index_in_record"),
        ({"ac": 3, "an": 2}, "break the check ac_within_an"),
        ({"af": 1.5}, "break the check af_is_fraction"),
    ],
)
def test_constraints_hold_without_spark(changes: dict[str, Any], what: str, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=what):
        list(write_files(iter([_batch(_row(), _row(**changes))]), VARIANTS, str(tmp_path)))


def test_a_check_that_is_null_is_broken_too() -> None:
    """As in Delta: a bare CHECK fails on null, so declarations allow nulls explicitly."""
    rows = pa.Table.from_pylist([dict.fromkeys(LOADS.columns)], schema=LOADS.arrow_schema)
    with pytest.raises(ContractError):
        check_rows(rows, LOADS)


def test_strange_columns_are_refused(tmp_path: Path) -> None:
    batch = _batch(_row()).drop_columns(["ref"])
    with pytest.raises(ContractError, match="ref"):
        list(write_files(iter([batch]), VARIANTS, str(tmp_path)))


def test_statistics_come_from_what_was_written(tmp_path: Path) -> None:
    rows = [_row(start=n, end=n + 1, ac=None if n else 1, an=2) for n in range(25_000)]
    (action,) = write_files(iter([_batch(*rows[:9_000]), _batch(*rows[9_000:])]), VARIANTS, str(tmp_path))
    stats = json.loads(action.stats)
    assert stats["numRecords"] == 25_000
    assert (stats["minValues"]["start"], stats["maxValues"]["start"]) == (0, 24_999)
    assert stats["minValues"]["load_id"] == stats["maxValues"]["load_id"] == "L1"
    assert stats["nullCount"]["ac"] == 24_999
    assert from_json(to_json(action)) == action
    import pyarrow.parquet as pq

    footer = pq.read_metadata(tmp_path / action.path)
    groups = [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]
    assert sum(groups) == 25_000
    assert max(groups) <= 10_000


@pytest.mark.parametrize("contig", ["HLA-A*01:01", "a b", "50%", "x=y/z", "Ünı"])
def test_any_contig_can_be_a_partition(contig: str, tmp_path: Path) -> None:
    lake = Lake(_no_spark, str(tmp_path / "lake"))
    table = _commit(lake, _batch(_row(), _row(contig=contig, start=5, end=6)))
    rows = {row["contig"]: row["start"] for row in lake.fetch_all(VARIANTS).to_pylist()}
    assert rows == {"22": 99, contig: 5}
    found = table.to_pyarrow_dataset().to_table(columns=["contig", "dosages"], use_threads=False).to_pylist()
    assert {row["contig"] for row in found} == {"22", contig}
    assert all(row["dosages"] == [0, None, 2] for row in found)


def test_a_task_that_fails_leaves_nothing_visible(tmp_path: Path) -> None:
    lake = Lake(_no_spark, str(tmp_path / "lake"))
    lake.create(VARIANTS)

    def batches() -> Iterator[pa.RecordBatch]:
        yield _batch(_row())
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        list(write_files(batches(), VARIANTS, lake.path(VARIANTS)))
    assert lake.fetch_all(VARIANTS).num_rows == 0
