"""Vacuum and time travel: what a matrix set names stays, whatever else is removed; no JVM is needed for any of it."""

from __future__ import annotations

import datetime
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from kgp.config import Config, load_config
from kgp.errors import ContractError, LakeError, NoLakeError, UsageError
from kgp.io.delta import Lake
from kgp.io.direct import from_json, write_action_batches
from kgp.io.history import find_version, parse_time, read_commits, read_past_rows
from kgp.io.storage import create_file
from kgp.io.vacuum import STAGING
from kgp.job import Progress, Report, run_job
from kgp.jobs.vacuum_lake import VACUUM_LAKE
from kgp.params import Vacuum
from kgp.tables import EQTL_MATRICES, LOADS, SAMPLES, VARIANTS
from servers.azurite import key, serve_azurite

A, B, C = "a" * 32, "b" * 32, "c" * 32
CONTIGS = ("22", "X", "HLA-A*01:01", "a b", "100%", "Ünïcode")
DAY = 86_400


def no_spark() -> NoReturn:
    raise AssertionError("this needs no Spark")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake that refuses to start a JVM."""
    return Lake(no_spark, str(tmp_path / "lake"))


@pytest.fixture
def vacuum(lake: Lake) -> Callable[..., Report]:
    """``vacuum(hours=200, dry_run=True)``: run the job; gives its report."""

    def run(**options: Any) -> Report:
        made = load_config(lake=lake.uri, environ={})
        return run_job(VACUUM_LAKE, made.params(Vacuum, options), made, progress=Progress(quiet=True))

    return run


def load_row(load_id: str) -> dict[str, Any]:
    moment = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    return {
        "load_id": load_id, "target": "variants", "subject": "c", "path": "a.vcf", "content_id": load_id,
        "build": "GRCh37", "selection": {}, "reader": "test", "reader_reason": "test", "versions": {}, "rows_in": 1,
        "rows_out": 1, "rows_quarantined": 0, "alleles_out": 1, "warnings": {}, "warned_at": {}, "seconds": 0.0,
        "loaded_at": moment,
    }  # fmt: skip


def set_row(name: str, **versions: int) -> dict[str, Any]:
    """A row of `eqtl_matrices`."""
    return {
        "matrix_id": (name * 32)[:32], "name": name, "callset": "c", "build": "GRCh37", "parameters": {},
        "load_ids": [A], "table_versions": versions, "sample_ids": ["s"], "run_ids": ["s"], "n_samples": 1,
        "n_variants": 1, "n_phenotypes": 1, "n_covariates": 0, "dropped": {}, "dropped_samples": {}, "notes": [],
        "seconds": 0.0, "built_at": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
    }  # fmt: skip


def variants(*starts: int, load_id: str = A, contigs: tuple[str, ...] = CONTIGS) -> list[dict[str, Any]]:
    return [
        {
            "callset": "c", "contig": contig, "load_id": load_id, "start": start, "end": start + 1,
            "record_id": 1000 * i + start, "alt_index": 1, "n_alts": 1, "ref": "A", "alt": "C",
            "variant_id": f"{contig}_{start + 1}_A_C", "source_contig": contig, "dosages": [0, None, 2],
        }
        for i, contig in enumerate(contigs) for start in starts
    ]  # fmt: skip


def write_directly(lake: Lake, rows: list[dict[str, Any]], load_id: str, *, commit: bool = True) -> None:
    """As tasks write files and the driver commits them."""
    batch = pa.RecordBatch.from_pylist(rows, VARIANTS.arrow_schema)
    lake.create(VARIANTS)
    written = write_action_batches([batch], table=VARIANTS, root=lake.path(VARIANTS))
    actions = [from_json(row["action"]) for one in written for row in one.to_pylist()]
    if commit:
        lake.commit(VARIANTS, actions, [load_id])


def rows_at(lake: Lake, version: int) -> list[tuple[str, int]]:
    """By delta-rs alone."""
    table = DeltaTable(lake.path(VARIANTS), version=version).to_pyarrow_table(columns=["contig", "start"])
    return sorted((row["contig"], row["start"]) for row in table.to_pylist())


def files_of(lake: Lake, name: str = "variants") -> set[str]:
    root = Path(lake.uri) / name
    return {str(path.relative_to(root)) for path in root.rglob("*.parquet") if "_delta_log" not in path.parts}


def age(lake: Lake, days: float, name: str = "variants") -> None:
    """Make all files and commits of a table so old."""
    moment = time.time() - days * DAY
    root = Path(lake.uri) / name
    for path in root.rglob("*"):
        os.utime(path, (moment, moment))
    for path in (root / "_delta_log").glob("*.json"):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for line in lines:
            if "commitInfo" in line:
                line["commitInfo"]["timestamp"] = int(moment * 1000)
            if "remove" in line:
                line["remove"]["deletionTimestamp"] = int(moment * 1000)
        path.write_text("\n".join(json.dumps(line) for line in lines) + "\n", encoding="utf-8")
        os.utime(path, (moment, moment))


# ---------------------------------------------------------------------------------------------- what is removed


@pytest.mark.parametrize("by", ["tasks", "delta-rs"])
def test_what_a_set_names_stays_and_the_rest_goes(lake: Lake, vacuum: Callable[..., Report], by: str) -> None:
    """Five versions, of which a set names the second; contigs with names that paths must escape."""
    for start in (1, 2, 3, 4):
        if by == "tasks":
            write_directly(lake, variants(start), A)
        else:
            lake.put(VARIANTS, variants(start), f"load_id = '{A}'")
    lake.put(LOADS, [load_row(A)], None)
    lake.put(EQTL_MATRICES, [set_row("eur", variants=2)], None)
    age(lake, 30)
    before = files_of(lake)
    assert len(before) == 4 * len(CONTIGS)

    dry = vacuum(dry_run=True)
    assert not dry.changed
    assert files_of(lake) == before
    report = vacuum()
    assert report.changed
    assert set(dry.details["files"]["variants"]) == set(report.details["files"]["variants"])
    assert before - files_of(lake) == set(report.details["files"]["variants"])
    assert len(files_of(lake)) == 2 * len(CONTIGS)
    for version, start in ((2, 2), (4, 4)):
        assert rows_at(lake, version) == sorted((contig, start) for contig in CONTIGS)
    with pytest.raises(Exception, match=r"No such file|not found"):
        rows_at(lake, 3)
    assert report.details["kept_for_sets"] == {"variants": len(CONTIGS)}
    assert not vacuum().changed

    # When the set is gone, so are its files.
    lake.put(EQTL_MATRICES, [set_row("eur", variants=4)], None)
    vacuum()
    assert len(files_of(lake)) == len(CONTIGS)
    assert rows_at(lake, 4) == sorted((contig, 4) for contig in CONTIGS)


def test_bytes_are_those_of_the_files(lake: Lake, vacuum: Callable[..., Report]) -> None:
    lake.put(SAMPLES, [{"sample_id": "a", "load_ids": [A], "callsets": []}], None)
    (first,) = files_of(lake, "samples")
    size = (Path(lake.uri) / "samples" / first).stat().st_size
    lake.put(SAMPLES, [{"sample_id": "b", "load_ids": [A], "callsets": []}], None)
    age(lake, 30, "samples")
    report = vacuum(dry_run=True)
    assert report.details["bytes"] == {"samples": size}
    assert f"would be removed: 1 files, {size:,} bytes" in report.text
    assert report.summary == f"1 files of {size:,} bytes would be removed"


def test_versions_of_the_last_hours_stay_whatever_is_needed_now(
    lake: Lake, vacuum: Callable[..., Report]
) -> None:
    for start in (1, 2, 3):
        write_directly(lake, variants(start, contigs=("22",)), A)
    assert not vacuum().changed
    age(lake, 9)
    write_directly(lake, variants(4, contigs=("22",)), A)
    # The version of nine days ago was the newest until just now.
    assert len(files_of(lake)) == 4
    vacuum(hours=10 * 24)
    assert len(files_of(lake)) == 4
    vacuum(hours=8 * 24)
    assert len(files_of(lake)) == 2
    assert rows_at(lake, 3) == [("22", 3)]


def test_files_of_killed_runs_go_and_those_of_running_ones_stay(
    lake: Lake, vacuum: Callable[..., Report]
) -> None:
    write_directly(lake, variants(1, contigs=("22", "a b")), A)
    write_directly(lake, variants(2, contigs=("22", "a b")), B, commit=False)
    age(lake, 30)
    valid = {path for path in files_of(lake) if rows_at(lake, 1)}
    write_directly(lake, variants(3, contigs=("22", "a b")), C, commit=False)
    running = files_of(lake) - valid
    assert len(running) == 2
    report = vacuum()
    assert len(report.details["files"]["variants"]) == 2
    assert running <= files_of(lake)
    assert rows_at(lake, 1) == [("22", 1), ("a b", 1)]


def test_rows_laid_aside_for_a_mapping_go_when_nothing_was_added_for_long(
    lake: Lake, vacuum: Callable[..., Report]
) -> None:
    lake.put(LOADS, [load_row(A)], None)
    aside = Path(lake.uri) / STAGING
    for name in ("given-up", "running"):
        (aside / name).mkdir(parents=True)
        for i in (1, 2):
            (aside / name / f"{i}.parquet").write_bytes(b"12345")
    age(lake, 30, STAGING)
    os.utime(aside / "running" / "2.parquet")
    report = vacuum()
    assert report.details["files"] == {STAGING: ["given-up/1.parquet", "given-up/2.parquet"]}
    assert report.details["bytes"] == {STAGING: 10}
    assert files_of(lake, STAGING) == {"running/1.parquet", "running/2.parquet"}


def test_no_lake_and_too_few_hours(lake: Lake, vacuum: Callable[..., Report]) -> None:
    with pytest.raises(NoLakeError, match=r"There is no lake here: .*Make one with kgp demo"):
        vacuum()
    assert not Path(lake.uri).exists()
    lake.put(LOADS, [load_row(A)], None)
    assert vacuum().summary == "there is nothing to remove"
    with pytest.raises(UsageError, match=r"167 hours are too few.*Give 168 or more"):
        vacuum(hours=167)


def test_a_version_that_is_lost_is_said(lake: Lake, vacuum: Callable[..., Report]) -> None:
    for start in (1, 2):
        write_directly(lake, variants(start, contigs=("22",)), A)
    lake.put(EQTL_MATRICES, [set_row("eur", variants=9)], None)
    age(lake, 30)
    report = vacuum()
    assert report.notes == [
        "version 9 of variants can't be read any more: eur can't be built again from it"
    ]  # fmt: skip
    assert len(files_of(lake)) == 1


def test_a_lake_on_azure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same on blob storage, with contigs whose paths are escaped; what lies beside the tables, too."""
    with serve_azurite(accounts={"own": key()}) as azurite:
        azurite.make_container("own", "lakes")
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string("own"))
        lake = Lake(no_spark, "az://lakes@own/made")
        for start in (1, 2, 3):
            lake.put(VARIANTS, variants(start), f"load_id = '{A}'")
        lake.put(LOADS, [load_row(A)], None)
        with create_file(f"{lake.uri}/{STAGING}/given-up/1.arrow") as file:
            file.write(b"12345")
        assert find_version(lake, VARIANTS, datetime.datetime.now(datetime.UTC)) == 3
        soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
        past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
        assert not lake.vacuum(VARIANTS, [2], past, dry_run=False).files
        found = lake.vacuum(VARIANTS, [2], soon, dry_run=False)
        assert (len(found.files), len(found.kept)) == (len(CONTIGS), len(CONTIGS))
        then = lake.at({"variants": 2})
        assert sorted(then.fetch(VARIANTS)["contig"].to_pylist()) == sorted(CONTIGS)
        assert set(then.fetch(VARIANTS)["start"].to_pylist()) == {2}
        with pytest.raises(
            LakeError, match="Version 1 of it is gone: 6 of its 6 files were removed by a vacuum"
        ):
            lake.at({"variants": 1}).fetch(VARIANTS)
        assert lake.vacuum_staging(soon, dry_run=False).files == {"given-up/1.arrow": 5}
        assert not lake.vacuum_staging(soon, dry_run=False).files


# ----------------------------------------------------------------------------------------------- how it was


def test_writers_keep_the_log_of_old_versions(lake: Lake) -> None:
    """delta-rs drops the log older than 30 days before a checkpoint as soon as it commits, unless a table forbids."""
    plain = str(Path(lake.uri) / "plain")
    rows = pa.table({"a": [1]})
    write_deltalake(plain, rows)
    lake.put(SAMPLES, [{"sample_id": "a", "load_ids": [A], "callsets": []}], None)
    person = DeltaTable(lake.path(SAMPLES)).to_pyarrow_table()
    for path, there in ((plain, rows), (lake.path(SAMPLES), person)):
        write_deltalake(path, there, mode="overwrite")
        DeltaTable(path).create_checkpoint()
        age(lake, 40, Path(path).name)
        write_deltalake(path, there, mode="overwrite")
    with pytest.raises(Exception, match=r"delta log|log segment"):
        DeltaTable(plain, version=0)
    assert DeltaTable(lake.path(SAMPLES), version=1).to_pyarrow_table()["sample_id"].to_pylist() == ["a"]


def test_a_table_of_an_earlier_kgp_gets_the_properties_when_it_is_next_written(lake: Lake) -> None:
    DeltaTable.create(lake.path(SAMPLES), SAMPLES.arrow_schema)
    lake.put(SAMPLES, [{"sample_id": "a", "load_ids": [A], "callsets": []}], None)
    configuration = DeltaTable(lake.path(SAMPLES)).metadata().configuration
    for name in ("log", "deletedFile"):
        assert configuration[f"delta.{name}RetentionDuration"] == "interval 36500 days"
    version = lake.version(SAMPLES)
    lake.create(SAMPLES)
    assert lake.version(SAMPLES) == version


def test_a_lake_as_it_was_is_read_and_not_written(lake: Lake) -> None:
    write_directly(lake, variants(1, contigs=("22",)), A)
    lake.put(LOADS, [load_row(A)], None)
    then = lake.at({"variants": 1, "loads": 1, "samples": None})
    write_directly(lake, variants(2, load_id=B, contigs=("22",)), B)
    lake.put(LOADS, [load_row(B)], f"load_id IN ('{A}', '{B}')")
    lake.remove_debris((VARIANTS,), [A])
    lake.put(SAMPLES, [{"sample_id": "a", "load_ids": [A], "callsets": []}], None)
    assert [r["start"] for r in lake.fetch(VARIANTS).to_pylist()] == [2]
    assert [r["start"] for r in then.fetch(VARIANTS).to_pylist()] == [1]
    assert then.fetch(LOADS)["load_id"].to_pylist() == [A]
    assert then.fetch(SAMPLES).num_rows == 0
    assert (then.version(VARIANTS), then.version(SAMPLES)) == (1, None)
    (part,) = then.parts(VARIANTS)
    (newest,) = lake.parts(VARIANTS)
    assert part.starts == (1, 1)
    assert newest.starts == (2, 2)
    assert then.count_rows(VARIANTS, {}) == {("c", "22"): {A: 1}}
    assert lake.count_rows(VARIANTS, {}) == {("c", "22"): {B: 1}}
    with pytest.raises(ContractError, match="table samples: It is read as it was and can't be written"):
        then.put(SAMPLES, [], None)


def test_what_was_vacuumed_is_said_in_one_message(lake: Lake, vacuum: Callable[..., Report]) -> None:
    for start in (1, 2):
        write_directly(lake, variants(start, contigs=("22", "HLA-A*01:01")), A)
        lake.put(SAMPLES, [{"sample_id": f"s{start}", "load_ids": [A], "callsets": []}], None)
    lake.put(LOADS, [load_row(A)], None)
    then = lake.at({"variants": 1, "samples": 1})
    for name in ("variants", "samples"):
        age(lake, 30, name)
    vacuum()
    gone = r"table variants: Version 1 of it is gone: 2 of its 2 files were removed by a vacuum\. Build from"
    with pytest.raises(LakeError, match=gone):
        then.parts(VARIANTS)
    with pytest.raises(LakeError, match=gone):
        then.fetch_all(VARIANTS)
    with pytest.raises(LakeError, match="table samples: Version 1 of it is gone: 1 of its 1 files"):
        then.fetch(SAMPLES)
    DeltaTable(lake.path(SAMPLES)).create_checkpoint()
    (Path(lake.path(SAMPLES)) / "_delta_log" / f"{0:020}.json").unlink()
    with pytest.raises(LakeError, match="Version 1 of it is gone: its log was cleaned up"):
        then.fetch(SAMPLES)


def test_versions_of_a_moment(lake: Lake) -> None:
    lake.put(LOADS, [load_row(A)], None)
    age(lake, 10, "loads")
    lake.put(LOADS, [load_row(B)], None)
    now = datetime.datetime.now(datetime.UTC)
    days = datetime.timedelta(days=1)
    assert [commit.version for commit in read_commits(lake, LOADS)] == [2, 1, 0]
    assert find_version(lake, LOADS, now + days) == 2
    assert find_version(lake, LOADS, now - 5 * days) == 1
    assert find_version(lake, LOADS, now - 15 * days) is None
    assert find_version(lake, SAMPLES, now) is None
    DeltaTable(lake.path(LOADS)).create_checkpoint()
    (Path(lake.path(LOADS)) / "_delta_log" / f"{0:020}.json").unlink()
    with pytest.raises(LakeError, match=r"--as-of: The log of table loads goes back to \S+Z only"):
        find_version(lake, LOADS, now - 15 * days)


def test_rows_of_a_set_that_was_replaced_are_found_in_the_past(lake: Lake) -> None:
    lake.put(EQTL_MATRICES, [set_row("a", variants=3)], "name = 'a'")
    lake.put(EQTL_MATRICES, [set_row("b", variants=4)], "name IN ('a', 'b')")
    found = [rows for rows in read_past_rows(lake, EQTL_MATRICES, "name = 'a'") if rows]
    assert [row["table_versions"] for row in found[0]] == [{"variants": 3}]


def test_times_are_utc_where_they_name_no_zone() -> None:
    assert parse_time("2026-01-02T03:04+02:00") == datetime.datetime(2026, 1, 2, 1, 4, tzinfo=datetime.UTC)
    assert parse_time("2026-01-02T03:04") == parse_time("2026-01-02T03:04Z")
    with pytest.raises(UsageError, match="--as-of: 'yesterday' is neither the matrix_id of a set nor a time"):
        parse_time("yesterday")
    with pytest.raises(UsageError, match="2999-01-01 lies ahead"):
        parse_time("2999-01-01")


# ---------------------------------------------------------------------------------------------- counts by the log


def test_rows_are_counted_by_the_log_and_after_a_compaction_by_the_column(lake: Lake) -> None:
    lake.put(LOADS, [load_row(A), load_row(B)], None)
    write_directly(lake, variants(1, 2, 3, contigs=("22", "HLA-A*01:01")), A)
    write_directly(lake, variants(4, load_id=B, contigs=("22",)), B)
    write_directly(lake, variants(5, 6, load_id=C, contigs=("22", "X")), C)  # no ledger names C
    expected = {("c", "22"): {A: 3, B: 1}, ("c", "HLA-A*01:01"): {A: 3}}
    assert lake.count_rows(VARIANTS, {}) == expected
    assert lake.count_rows(VARIANTS, {"contig": ["22", "X"]}) == {("c", "22"): {A: 3, B: 1}}
    assert lake.count_rows(VARIANTS, {"callset": ["d"]}) == {}
    DeltaTable(lake.path(VARIANTS)).optimize.compact()
    assert lake.count_rows(VARIANTS, {}) == expected
    with pytest.raises(ContractError, match="table eqtl_matrices: It has no ledger"):
        lake.count_rows(EQTL_MATRICES, {})


def test_versions_that_belong_together(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that changes while versions are asked for makes them be asked for again."""
    lake.put(LOADS, [load_row(A)], None)
    write_directly(lake, variants(1, contigs=("22",)), A)
    assert lake.take_versions((LOADS, VARIANTS, SAMPLES)) == {"loads": 1, "variants": 1, "samples": None}
    ask = lake.version
    changes = iter([True, False])

    def version(table: Any) -> int | None:
        found = ask(table)
        if table is VARIANTS and next(changes, False):
            write_directly(lake, variants(2, load_id=B, contigs=("22",)), B)
            lake.put(LOADS, [load_row(B)], None)
        return found

    monkeypatch.setattr(lake, "version", version)
    assert lake.take_versions((LOADS, VARIANTS)) == {"loads": 2, "variants": 2}


def test_the_configuration_reaches_the_job(lake: Lake) -> None:
    made: Config = load_config(environ={"KGP_VACUUM_HOURS": "200"})
    assert made.params(Vacuum) == Vacuum(hours=200, dry_run=False)
