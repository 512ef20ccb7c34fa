"""The whole main job with its lake on Azure Blob Storage, as a person runs it: Azurite holds the lake."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.azurite import EMULATOR, EMULATOR_KEY, Azurite, serve_azurite

_KGP = Path(sys.executable).parent / "kgp"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """On disk, and on the port that Hadoop's driver knows."""
    with serve_azurite(tmp_path_factory.mktemp("azurite"), port=10000) as server:
        server.make_container(EMULATOR, "lake")
        yield server


def run(azurite: Azurite, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string(EMULATOR)}
    command = [str(_KGP), *words]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=280, cwd=cwd
    )
    assert EMULATOR_KEY not in done.stdout + done.stderr
    return done


def logs(azurite: Azurite) -> dict[str, int]:
    """Entries of every table's Delta log."""
    with azurite.client(EMULATOR).get_container_client("lake") as client:
        return {blob.name: blob.size for blob in client.list_blobs() if "/_delta_log/" in blob.name}


def test_the_exports_are_those_of_a_lake_on_disk_and_a_second_run_changes_nothing(
    azurite: Azurite, tmp_path: Path
) -> None:
    lake = f"abfss://lake@{EMULATOR}.dfs.core.windows.net/demo"
    for uri, place in ((lake, "azure"), (str(tmp_path / "lake"), "disk")):
        (tmp_path / place).mkdir()  # the manifests name the files as they were asked for
        done = run(azurite, "demo", "--lake", uri, "--out", "out", cwd=tmp_path / place)
        assert done.returncode == 0, done.stderr[-3000:]
    exports = {
        path.relative_to(tmp_path / "disk") for path in (tmp_path / "disk").rglob("*") if path.is_file()
    }
    assert len(exports) >= 16
    pages = {path for path in exports if path.suffix == ".html"}  # they name their lake
    assert {path.name for path in pages} == {"report.html", "eqtl.html", "gene.html"}
    for path in exports - pages:
        assert (tmp_path / "azure" / path).read_bytes() == (tmp_path / "disk" / path).read_bytes(), path

    before = logs(azurite)
    assert len(before) > 20
    again = run(azurite, "demo", "--lake", lake, "--out", "out", cwd=tmp_path / "azure")
    assert again.returncode == 0, again.stderr[-3000:]
    assert "starting Spark" not in again.stderr
    assert logs(azurite) == before


def test_queries_that_end_early_end_well(azurite: Azurite) -> None:
    """Arrow's threads must not be at work when the interpreter goes down."""
    lake = f"az://lake@{EMULATOR}/demo"
    for _ in range(10):
        done = run(azurite, "query", "--lake", lake, "SELECT variant_id, dosages FROM variants LIMIT 1")
        assert done.returncode == 0, done.stderr
        assert "terminate" not in done.stderr
        assert len(done.stdout.splitlines()) == 2
