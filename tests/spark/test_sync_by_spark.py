"""Files that Spark tasks move: the bytes, the connections, the credentials, what fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder

from kgp.config import load_config
from kgp.errors import InputError
from kgp.job import Progress, run_job
from kgp.jobs.meter import Meter
from kgp.jobs.sync_files import SYNC_FILES
from kgp.jobs.transfer import Outcome, Transfer, move_by_spark
from kgp.params import Sync
from kgp.sources import Door, Entry
from servers.archive import PHASE3, Archive, genotypes, md5_of
from servers.azurite import key, serve_azurite
from servers.http import MostAtOnce, WebServer, serve_http

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FEW = ("20", "21", "22")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    archive = Archive(tmp_path / "archive")
    archive.add_phase3(FEW)
    archive.put(genotypes("22"), 40 << 20)  # of several ranges
    return archive


@pytest.fixture
def web(archive: Archive) -> Iterator[WebServer]:
    with serve_http(archive.root) as server:
        yield server


def move(
    spark: SparkSession, archive: Archive, doors: tuple[Door, ...], target: str, connections: int = 4
) -> tuple[dict[str, Outcome], list[str]]:
    """What became of each file, and what the progress said as they came."""
    files = [Entry(path, len(data), md5_of(data)) for path, data in archive.files.items()]
    transfer = Transfer(doors, target, "nobody", connections, 1, 20.0)
    meter = Meter({entry.path: entry.size for entry in files})
    said = [meter.text()]
    outcomes = {}
    for outcome in move_by_spark(spark, files, transfer, meter):
        outcomes[outcome.entry.path] = outcome
        said.append(meter.text())
    return outcomes, said


def test_tasks_stage_to_a_directory_with_no_more_connections_than_they_may(
    spark: SparkSession, archive: Archive, web: WebServer, tmp_path: Path
) -> None:
    web.answer = counted = MostAtOnce(0.02)
    n_bytes = sum(map(len, archive.files.values()))
    for connections, fewest in ((1, 1), (4, 2)):
        counted.most = 0
        mirror = tmp_path / f"mirror-{connections}"
        door = Door("own", "https", web.url, "1000genomes", "")
        outcomes, said = move(spark, archive, (door,), str(mirror), connections)
        assert outcomes.keys() == archive.files.keys()
        for path, outcome in outcomes.items():
            staged = outcome.staged
            assert staged is not None, outcome.problem
            assert (staged.size, staged.md5, staged.is_verified) == (
                len(archive.files[path]),
                md5_of(archive.files[path]),
                True,
            )
            assert (mirror / path).read_bytes() == archive.files[path]
        assert {p for p in mirror.rglob("*") if p.is_file()} == {mirror / path for path in archive.files}
        assert fewest <= counted.most <= connections
        # What has come is known file by file.
        assert [text.partition("/")[0] for text in said] == [str(n) for n in range(len(archive.files) + 1)]
        assert f"{n_bytes / 1e6:.1f}/{n_bytes / 1e6:.1f} MB" in said[-1]


def test_one_file_that_fails_in_a_task(
    spark: SparkSession, archive: Archive, web: WebServer, tmp_path: Path
) -> None:
    (archive.root / genotypes("20")).write_bytes(b"another version")
    door = Door("own", "https", web.url, "1000genomes", "")
    outcomes, said = move(spark, archive, (door,), str(tmp_path / "mirror"))
    failed = {path: outcome.problem for path, outcome in outcomes.items() if outcome.staged is None}
    assert failed.keys() == {genotypes("20")}
    assert "has 15 bytes where" in (failed[genotypes("20")] or "")
    assert "(1 failed)" in said[-1]
    assert not (tmp_path / "mirror" / genotypes("20")).exists()


def test_tasks_know_the_accounts_that_the_driver_knows(
    spark: SparkSession, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole job, from one account to another; the session's workers have never seen this environment."""
    archive.write_tree()
    with serve_azurite(accounts={"dataset1000genomes": key(), "own": key()}) as azurite:
        azurite.make_container("dataset1000genomes", "dataset", public=True)
        azurite.upload("dataset1000genomes", "dataset", archive.root)
        azurite.make_container("own", "stage")
        monkeypatch.setenv("KGP_AZURE_ENDPOINTS", azurite.endpoints())
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "own")
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", azurite.accounts["own"])
        config = load_config(lake=str(tmp_path / "lake"), environ={})
        options = {
            "source": "phase3",
            "contig": FEW,
            "door": ("azure",),
            "to": "az://stage@own/x",
            "attempts": 1,
        }
        params = config.params(Sync, options | {"transfer": "spark"})
        progress = Progress(quiet=True)
        progress.spark = spark
        report = run_job(SYNC_FILES, params, config, progress=progress)
        meant = {p: d for p, d in archive.files.items() if p.startswith(PHASE3) and "/supporting/" not in p}
        assert report.details["staged"] == len(meant)
        with azurite.client("own").get_container_client("stage") as client:
            blobs = {blob.name: client.download_blob(blob.name).readall() for blob in client.list_blobs()}
        assert blobs == {f"x/{path}": data for path, data in meant.items()}
        files = QueryBuilder().register("files", DeltaTable(str(tmp_path / "lake" / "files")))
        states = pa.table(files.execute("SELECT DISTINCT state, staged_from FROM files")).to_pydict()
        assert states == {"state": ["staged"], "staged_from": ["azure"]}
        assert not run_job(SYNC_FILES, params, config, progress=progress).changed
        # A target that refuses: every file is told of, and the run ends with a clear error.
        with azurite.client("own") as client:
            client.delete_container("stage")
            client.create_container("other")
        wrong = config.params(Sync, options | {"transfer": "spark", "to": "az://stage@own/x"})
        with pytest.raises(InputError, match="no such container"):
            run_job(SYNC_FILES, wrong, config, progress=progress)
