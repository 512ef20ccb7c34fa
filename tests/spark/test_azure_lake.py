"""A lake on Azure Blob Storage, which Azurite plays: written by kgp, read by everybody.

Hadoop's driver knows the emulator on port 10000 only, so these are the only tests that use that port beside the slow
ones of tests/jobs.
"""

from __future__ import annotations

import io
import json
import logging
import os
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

from kgp.cli import main
from kgp.config import Config, load_config
from kgp.io import azure, delta
from kgp.io.catalog import Catalog
from kgp.io.delta import Lake
from kgp.io.query import run_query
from kgp.job import Progress, run_job
from kgp.jobs.compute_statistics import COMPUTE_STATISTICS
from kgp.jobs.export_vcf import EXPORT_VCF
from kgp.jobs.load_samples import LOAD_SAMPLES
from kgp.jobs.load_variants import LOAD_VARIANTS
from kgp.tables import ALL_TABLES, ALLELE_STATISTICS, FILES, LOADS, SAMPLES, VARIANTS
from servers.azurite import EMULATOR, EMULATOR_KEY, Azurite, serve_azurite

CONTAINER = "lake"
N_LINES = 3000


@pytest.fixture(scope="module")
def azurite() -> Iterator[Azurite]:
    with serve_azurite(port=10000) as server:
        server.make_container(EMULATOR, CONTAINER)
        yield server


@pytest.fixture(autouse=True)
def account(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The account as a person's environment has it."""
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string(EMULATOR))


@pytest.fixture(scope="module")
def vcf(bundled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first lines of the bundled slice, as plain text."""
    import gzip

    path = tmp_path_factory.mktemp("vcf") / "slice.vcf"
    with gzip.open(bundled / "genotypes.chr22.vcf.gz", "rt") as lines, path.open("w") as out:
        n = 0
        for line in lines:
            n += not line.startswith("#")
            if n > N_LINES:
                break
            out.write(line)
    return path


@pytest.fixture(scope="module")
def lakes(
    spark: SparkSession, config: Config, azurite: Azurite, vcf: Path, bundled: Path, tmp_path_factory
) -> tuple[str, str]:
    """The same jobs with the lake on Azure and on a disk: their URIs."""
    place = tmp_path_factory.mktemp("lakes")
    uris = f"az://{CONTAINER}@{EMULATOR}/made", str(place / "lake")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string(EMULATOR))
        for number, uri in enumerate(uris):
            here = load_config(lake=uri, environ={})
            for job, options in (
                (LOAD_SAMPLES, {"panel": str(bundled / "samples.panel")}),
                (LOAD_VARIANTS, {"callset": "c", "build": "GRCh37", "vcf": (str(vcf),)}),
                (COMPUTE_STATISTICS, {"callset": "c", "by": ("superpopulation",)}),
                (EXPORT_VCF, {"callset": "c", "out": str(place / f"{number}.vcf.gz")}),
            ):
                report = run_job(job, config.params(job.params, options), here, progress=Progress(quiet=True))
                assert report.changed, report
        assert (place / "0.vcf.gz").read_bytes() == (place / "1.vcf.gz").read_bytes()
    return uris


def without_times(rows: list[dict]) -> list[str]:
    changing = ("seconds", "loaded_at", "computed_at")
    return sorted(repr({k: v for k, v in row.items() if k not in changing}) for row in rows)


def no_spark() -> SparkSession:
    raise AssertionError("no Spark is needed to look at the lake")


def test_it_holds_what_a_lake_on_disk_holds(lakes: tuple[str, str]) -> None:
    remote, local = (Lake(no_spark, uri) for uri in lakes)
    found = 0
    for table in ALL_TABLES:
        rows = remote.fetch(table).to_pylist()
        assert without_times(rows) == without_times(local.fetch(table).to_pylist()), table.name
        found += bool(rows)
    assert found >= 6
    assert remote.fetch(VARIANTS).num_rows == N_LINES


def test_everybody_reads_it(lakes: tuple[str, str], spark: SparkSession, azurite: Azurite) -> None:
    raw = pq.read_table(lakes[1] + "/variants", columns=["variant_id"])["variant_id"].to_pylist()
    expected = sorted(raw)
    assert len(expected) == N_LINES
    options = {
        "account_name": EMULATOR,
        "account_key": EMULATOR_KEY,
        "endpoint": azurite.endpoint(EMULATOR),
        "allow_http": "true",
    }
    uri = f"az://{CONTAINER}/made/variants"
    delta = DeltaTable(uri, storage_options=options)
    assert sorted(delta.to_pyarrow_table(columns=["variant_id"])[0].to_pylist()) == expected
    by_polars = pl.scan_delta(uri, storage_options=options).select("variant_id").collect()
    assert sorted(by_polars["variant_id"]) == expected
    by_duckdb = duckdb.from_arrow(delta.to_pyarrow_dataset()).project("variant_id").fetchall()
    assert sorted(row[0] for row in by_duckdb) == expected
    Lake(spark, lakes[0]).place.prepare(spark)  # what a session of one's own would be configured with
    by_spark = spark.read.format("delta").load(f"wasb://{CONTAINER}@storageemulator/made/variants")
    assert sorted(row.variant_id for row in by_spark.select("variant_id").collect()) == expected


def test_spark_jobs_read_it(lakes: tuple[str, str], spark: SparkSession) -> None:
    remote, local = (Lake(spark, uri) for uri in lakes)
    for table in (VARIANTS, ALLELE_STATISTICS):
        rows = remote.read(table).drop("loaded_at").collect()
        assert sorted(map(repr, rows)) == sorted(map(repr, local.read(table).drop("loaded_at").collect()))
    assert remote.spark is spark


def test_queries_and_commands(lakes: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    answer = run_query(Catalog(lakes[0]), "SELECT contig, count(*), min(start) FROM variants GROUP BY 1")
    local = run_query(Catalog(lakes[1]), "SELECT contig, count(*), min(start) FROM variants GROUP BY 1")
    assert list(answer.rows()) == list(local.rows())
    assert main(["tables", "--lake", lakes[0], "--json"]) == 0
    tables = {row["table"]: row["rows"] for row in json.loads(capsys.readouterr().out)}
    assert tables["variants"] == N_LINES
    assert tables["samples"] == 2504
    assert main(["doctor", "--lake", lakes[0], "--json"]) == 0
    said = capsys.readouterr().out
    assert f"{len(tables)} tables" in said
    assert EMULATOR_KEY not in said


def test_running_again_changes_nothing(
    lakes: tuple[str, str], config: Config, vcf: Path, spark: SparkSession
) -> None:
    lake = Lake(no_spark, lakes[0])
    before = {table.name: lake.version(table) for table in ALL_TABLES}
    here = load_config(lake=lakes[0], environ={})
    params = config.params(LOAD_VARIANTS.params, {"callset": "c", "build": "GRCh37", "vcf": (str(vcf),)})
    assert not run_job(LOAD_VARIANTS, params, here, progress=Progress(quiet=True)).changed
    assert {table.name: lake.version(table) for table in ALL_TABLES} == before


def test_debris_is_removed(lakes: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a load that was killed before its ledger named it."""
    lake = Lake(no_spark, lakes[0])
    some = lake.open(VARIANTS).to_pyarrow_table().slice(0, 5)
    orphan = some.set_column(
        some.schema.get_field_index("load_id"), some.schema.field("load_id"), [["killed"] * 5]
    )
    uri, options = lake.place.delta("variants")
    write_deltalake(uri, orphan.cast(VARIANTS.arrow_schema), mode="append", storage_options=options)
    assert lake.fetch(VARIANTS).num_rows == N_LINES
    monkeypatch.setattr(delta, "UNFINISHED", timedelta(0))
    assert lake.remove_debris([VARIANTS]) == {"variants": ["killed"]}
    assert lake.fetch_all(VARIANTS).num_rows == N_LINES


def test_a_load_reads_in_place_and_writes_in_place(
    azurite: Azurite, vcf: Path, config: Config, spark: SparkSession
) -> None:
    """From one account to another, of which only one has a key: nothing passes a local disk."""
    azurite.make_container(EMULATOR, "release", public=True)
    azurite.upload(EMULATOR, "release", {"20130502/ALL.chr22.vcf": vcf.read_bytes()})
    uri = f"abfss://{CONTAINER}@{EMULATOR}.dfs.core.windows.net/second"
    source = f"wasbs://release@{EMULATOR}.blob.core.windows.net/20130502/ALL.chr22.vcf"
    here = load_config(lake=uri, environ={})
    params = config.params(LOAD_VARIANTS.params, {"callset": "c", "build": "GRCh37", "vcf": (source,)})
    report = run_job(LOAD_VARIANTS, params, here, progress=Progress(quiet=True))
    assert report.rows[VARIANTS.name] == N_LINES
    (load,) = Lake(no_spark, uri).fetch(LOADS).to_pylist()
    assert load["path"] == f"az://release@{EMULATOR}/20130502/ALL.chr22.vcf"
    assert load["content_id"].startswith("md5:")
    # All forms of the URI are one lake.
    for form in (f"az://{CONTAINER}@{EMULATOR}/second", f"az://{CONTAINER}/second/"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AZURE_STORAGE_ACCOUNT_NAME", EMULATOR)
            assert Lake(no_spark, form).fetch(LOADS).num_rows == 1


def test_writers_at_the_same_time_lose_nothing(azurite: Azurite) -> None:
    """Each replaces its own slice of a ledger, again and again."""
    uri = f"az://{CONTAINER}@{EMULATOR}/contended"
    Lake(no_spark, uri).create(FILES)

    def write(writer: int) -> None:
        lake = Lake(no_spark, uri)
        for turn in range(6):
            lake.put(FILES, [file_row(f"source{writer}", turn)], f"source = 'source{writer}'")

    with ThreadPoolExecutor(3) as pool:
        for _ in pool.map(write, range(3)):
            pass
    lake = Lake(no_spark, uri)
    rows = lake.fetch(FILES).to_pylist()
    assert sorted((row["source"], row["size"]) for row in rows) == [(f"source{n}", 5) for n in range(3)]
    assert lake.version(FILES) == 18


def file_row(source: str, size: int) -> dict[str, object]:
    return {
        "source": source,
        "archive_path": "a",
        "state": "listed",
        "endpoint": "azure",
        "url": "az://a",
        "listed_at": datetime(2026, 1, 1, tzinfo=UTC),
        "size": size,
    }


def test_no_credential_is_ever_shown(
    azurite: Azurite,
    lakes: tuple[str, str],
    bundled: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A wrong key, a signature for another container, with and without --debug: it is said nowhere."""
    canary = "Q0FOQVJZLXRoaXMtaXMtYS1zZWNyZXQtb2YtdGhlLXRlc3Rz"
    caplog.set_level(logging.DEBUG)
    wrong_key = azurite.connection_string(EMULATOR).replace(EMULATOR_KEY, canary)
    sas = f"BlobEndpoint={azurite.endpoint(EMULATOR)};SharedAccessSignature=sv=2024-08-04&sr=c&sp=rl&sig={canary}"
    for secret in (wrong_key, sas):
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", secret)
        for command in (
            ["load", "samples", "--panel", str(bundled / "samples.panel"), "--lake", lakes[0]],
            [
                "load",
                "samples",
                "--panel",
                f"az://{CONTAINER}@{EMULATOR}/nothing.panel",
                "--lake",
                "/nowhere/x",
            ],
            ["query", "--lake", lakes[0], "SELECT 1 FROM samples"],
            ["tables", "--lake", lakes[0]],
            ["doctor", "--lake", lakes[0]],
        ):
            for debug in ([], ["--debug"]):
                assert main([*command, *debug]) == 1, command
                said = "".join(capfd.readouterr())
                assert "defect" not in said, said
                assert "kgp: " in said or "problem" in said, said
                assert canary not in said
                assert "sig=" not in said
    assert canary not in caplog.text
    stored = io.BytesIO()
    client = azurite.client(EMULATOR).get_container_client(CONTAINER)
    for blob in client.list_blobs():
        if "_delta_log" in blob.name:
            client.download_blob(blob.name).readinto(stored)
    assert EMULATOR_KEY.encode() not in stored.getvalue()
    assert len(stored.getvalue()) > 10_000


def test_the_samples_of_a_lake_on_azure_are_merged(lakes: tuple[str, str]) -> None:
    assert Lake(no_spark, lakes[0]).fetch(SAMPLES).num_rows == 2504


def test_a_signature_is_enough(
    azurite: Azurite, bundled: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A lake is written and queried with a shared access signature of its container alone."""
    sas = azurite.sas(EMULATOR, CONTAINER, permission="racwdl")
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING",
        f"BlobEndpoint={azurite.endpoint(EMULATOR)};SharedAccessSignature={sas}",
    )
    lake = f"az://{CONTAINER}@{EMULATOR}/signed"
    panel = str(bundled / "samples.panel")
    assert main(["load", "samples", "--panel", panel, "--lake", lake, "--debug"]) == 0
    assert main(["query", "--lake", lake, "SELECT count(*) AS n FROM samples", "--format", "tsv"]) == 0
    said = capfd.readouterr()
    assert said.out.splitlines()[-1] == "2504"
    signature = sas.rpartition("sig=")[2].partition("&")[0]
    assert signature not in said.out + said.err


def test_sparks_own_configuration_is_a_credential(
    azurite: Azurite,
    bundled: Path,
    vcf: Path,
    spark: SparkSession,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a cluster whose administrator has put the key there: nothing is in the environment."""
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    for memory in ("_found", "_from_spark", "_from_driver"):
        monkeypatch.setattr(azure, memory, {})
    setting = f"fs.azure.account.key.{EMULATOR}.dfs.core.windows.net"
    monkeypatch.setenv("KGP_AZURE_ENDPOINTS", azurite.endpoints())
    uri = f"az://{CONTAINER}@{EMULATOR}/by-spark"
    here = load_config(lake=uri, environ={})
    params = config.params(LOAD_VARIANTS.params, {"callset": "c", "build": "GRCh37", "vcf": (str(vcf),)})
    spark.conf.set(setting, EMULATOR_KEY)
    try:
        report = run_job(LOAD_VARIANTS, params, here, progress=Progress(quiet=True))
    finally:
        spark.conf.unset(setting)
    assert report.rows[VARIANTS.name] == N_LINES
    assert EMULATOR_KEY not in repr(report)


@pytest.mark.network
def test_a_real_lake_by_abfss(
    vcf: Path, bundled: Path, spark: SparkSession, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a storage account of one's own: ``KGP_NETWORK_LAKE=abfss://…``, its credential in the environment."""
    uri = os.environ.get("KGP_NETWORK_LAKE")
    if uri is None:
        pytest.skip("KGP_NETWORK_LAKE names no lake to try")
    monkeypatch.undo()
    lake = Lake(spark, f"{uri}/{uuid.uuid4()}")
    here = load_config(lake=lake.uri, environ={})
    for job, options in (
        (LOAD_SAMPLES, {"panel": str(bundled / "samples.panel")}),
        (LOAD_VARIANTS, {"callset": "c", "build": "GRCh37", "vcf": (str(vcf),)}),
    ):
        assert run_job(job, config.params(job.params, options), here, progress=Progress(quiet=True)).changed
    assert lake.read(VARIANTS).count() == lake.fetch(VARIANTS).num_rows == N_LINES
    answer = run_query(Catalog(lake.uri), "SELECT count(*) FROM samples")
    assert list(answer.rows()) == [[2504]]
