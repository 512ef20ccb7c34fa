"""The nightly example on a real Spark cluster: a master and two workers, each a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pyspark
import pytest
from deltalake import DeltaTable

from kgp.jars import find_jars


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a standalone cluster on loopback with two workers of one core."""
    home = tmp_path_factory.mktemp("cluster")
    spark_class = Path(pyspark.__file__).parent / "bin" / "spark-class"
    port, web = _free_port(), _free_port()
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    log = (home / "log").open("wb")

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        command = [str(spark_class), *arguments]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=home)

    master = "org.apache.spark.deploy.master.Master"
    worker = "org.apache.spark.deploy.worker.Worker"
    processes = [start(master, "--host", "127.0.0.1", "--port", str(port), "--webui-port", str(web))]
    try:
        for number in range(2):
            processes.append(
                start(
                    worker, "--host", "127.0.0.1", "--cores", "1", "--memory", "2g",
                    "--webui-port", str(_free_port()), "--work-dir", str(home / f"worker{number}"),
                    f"spark://127.0.0.1:{port}",
                )
            )  # fmt: skip
        for _ in range(120):
            time.sleep(0.5)
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{web}/json/", timeout=5) as answer:
                    if answer.read().count(b'"ALIVE"') >= 3:  # the master and both workers
                        break
            except OSError:
                continue
        else:
            pytest.fail(f"The cluster did not come up: {(home / 'log').read_text(errors='replace')[-2000:]}")
        yield f"spark://127.0.0.1:{port}"
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(timeout=30)
        log.close()


@pytest.mark.slow
@pytest.mark.spark
def test_nightly_run_on_a_cluster(cluster: str, root: Path, bundled: Path, tmp_path: Path) -> None:
    """The whole bundled slice, twice: the second run changes no table."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "MASTER": cluster,
        "LAKE": str(tmp_path / "lake"),
        "OUT": str(tmp_path / "out"),
        "PANEL": str(bundled / "samples.panel"),
        "VCFS": str(bundled / "genotypes.chr22.vcf.gz"),
        "MATRIX": str(bundled / "genes.50percent.chr22.bed.gz"),
        "DELTA_ARGS": f"--jars {','.join(map(str, find_jars()))}",
        "SUBMIT_ARGS": "--conf spark.executor.memory=1g --conf spark.executor.cores=1 --conf spark.cores.max=2 "
        "--conf spark.driver.host=127.0.0.1 --conf spark.driver.bindAddress=127.0.0.1 "
        "--conf spark.ui.enabled=false",
    }
    command = [str(root / "deploy/spark-submit/nightly.sh")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert DeltaTable(str(tmp_path / "lake/variants")).count() == 50062
    assert DeltaTable(str(tmp_path / "lake/eqtl_matrices")).count() == 1
    assert (tmp_path / "out/fastqtl/genotypes.vcf.gz.tbi").is_file()

    lake = tmp_path / "lake"
    versions = {path.name: DeltaTable(str(path)).version() for path in lake.iterdir() if path.is_dir()}
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr[-3000:]
    assert versions == {name: DeltaTable(str(lake / name)).version() for name in versions}
