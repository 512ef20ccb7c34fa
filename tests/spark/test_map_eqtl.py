"""`kgp eqtl map` as Spark tasks: the same rows as in one process, also when it is killed in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kgp import tables as t
from kgp.jobs import map_cuts, map_run
from map_sets import make_set, map_set, read_rows

# What the process that is killed runs: blocks of about a second, on two cores.
KILLED = """
import sys
from kgp.jobs import map_cuts, map_run
from map_sets import map_set
map_run.SMALL_SECONDS = 0.0
map_cuts.plan_cis.__kwdefaults__["block_seconds"] = 1e-3
print(map_set(sys.argv[1], mode="permute", permutations=int(sys.argv[2])).details["blocks_kept"])
"""


@pytest.fixture
def by_spark(monkeypatch):
    """Many blocks, and none of them in this process."""
    monkeypatch.setattr(map_run, "SMALL_SECONDS", 0.0)
    monkeypatch.setitem(map_cuts.plan_cis.__kwdefaults__, "block_seconds", 3e-5)


@pytest.mark.parametrize(("mode", "table"), [("nominal", t.EQTL_NOMINAL), ("permute", t.EQTL_TOP)])
def test_tasks_make_the_same_rows_as_one_process(spark, by_spark, tmp_path, monkeypatch, mode, table):
    """To the last bit, in two tasks at a time and in one process after another."""
    made = make_set(n_phenotypes=12)
    for name in ("tasks", "here"):
        made.write(tmp_path / name)
    report = map_set(tmp_path / "tasks", mode=mode)
    assert report.details["blocks"] >= 6
    monkeypatch.setattr(map_run, "SMALL_SECONDS", 1e9)
    map_set(tmp_path / "here", mode=mode)
    tasks, here = (read_rows(tmp_path / name, table) for name in ("tasks", "here"))
    assert tasks.num_rows > 0
    assert tasks.equals(here)


def count_finished(lake: Path) -> int:
    return len(list(lake.glob("_maps/*/*.arrow")))


@pytest.mark.slow
def test_a_process_that_was_killed_goes_on_where_it_was(spark, tmp_path, root, monkeypatch):
    """kill -9 of the driver and its workers: what was finished stays, the rest is mapped, and the rows are the same."""
    made = make_set(n_samples=400, n_variants=2000, n_phenotypes=60)
    for name in ("whole", "killed"):
        made.write(tmp_path / name)
    monkeypatch.setitem(map_cuts.plan_cis.__kwdefaults__, "block_seconds", 1e-3)
    whole = map_set(tmp_path / "whole", mode="permute", permutations=10_000)
    environ = {**os.environ, "PYTHONPATH": f"{root / 'tests'}:{root / 'lib'}"}
    command = [sys.executable, "-c", KILLED, str(tmp_path / "killed"), "10000"]
    process = subprocess.Popen(command, env=environ, start_new_session=True, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while count_finished(tmp_path / "killed") < 3:
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = count_finished(tmp_path / "killed")
    assert kept < whole.details["blocks"]
    assert read_rows(tmp_path / "killed", t.EQTL_MAPS).num_rows == 0
    report = map_set(tmp_path / "killed", mode="permute", permutations=10_000)
    assert report.details["blocks_kept"] >= kept >= 3
    assert report.details["blocks"] == whole.details["blocks"]
    assert read_rows(tmp_path / "killed", t.EQTL_TOP).equals(read_rows(tmp_path / "whole", t.EQTL_TOP))
