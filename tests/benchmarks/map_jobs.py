"""kgp's jobs on a set that lies in a lake, on so many cores; mapping.py starts it, pinned to them.

    echo permute | python map_jobs.py LAKE --cores 2 --permutations 1000

Runs each job that it reads the name of, and prints what it took as a line of JSON. The session is warm: a short mapping
goes first and is not counted, with a line of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from kgp.config import Config, load_config
from kgp.job import Progress, run_job
from kgp.jobs import map_run
from kgp.jobs.map_eqtl import MAP_EQTL
from kgp.params import EqtlMap

# The command does so little work without Spark, unless it is told otherwise.
SPARK_NOMINAL = "nominal, Spark tasks"
# Windows five times as wide: so much work that the command does it by Spark tasks.
WIDE_NOMINAL = "nominal, wide"
WIDE_SET, WIDE_WINDOW = "wide", 5_000_000


def list_jobs(n_permutations: int) -> dict[str, dict[str, Any]]:
    """Name → options of each job that is measured."""
    permute = {"mode": "permute", "permutations": n_permutations}
    return {
        "nominal": {"mode": "nominal", "model": "qtltools"},
        SPARK_NOMINAL: {"mode": "nominal", "model": "qtltools"},
        WIDE_NOMINAL: {"mode": "nominal", "model": "qtltools", "name": WIDE_SET},
        "permute": {**permute, "model": "qtltools"},
        "permute, fastqtl": {**permute, "model": "fastqtl"},
    }


def run_map(lake: str, cores: int, **options: Any) -> dict[str, Any]:
    """Map the set as the command does it; its wall and processor seconds, and what it reports."""
    made = load_config(environ={"KGP_SESSION_MASTER": f"local[{cores}]", "KGP_SESSION_DRIVER_MEMORY": "2g"})
    config = Config({**made.values, "": {**made.values[""], "lake": lake}})
    params = config.params(EqtlMap, {"name": "made", "replace": True, **options})
    processor, began = read_processor_seconds(), time.perf_counter()
    report = run_job(MAP_EQTL, params, config, progress=Progress(quiet=True))
    wall = time.perf_counter() - began
    return {
        "wall": wall,
        "processor": read_processor_seconds() - processor,
        "map_id": report.details["map_id"],
        "pairs": report.details["n_pairs"],
    }


def read_processor_seconds() -> float:
    """Of this process and all below it, the JVM and Spark's workers, and of those that have ended."""
    parent, ticks = {}, {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            # After the name, which may hold anything: state, parent, …; user, system and those of ended children.
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        parent[int(place.name)], ticks[int(place.name)] = int(fields[1]), sum(map(int, fields[11:15]))

    def is_ours(pid: int) -> bool:
        while pid not in (0, os.getpid()):
            pid = parent.get(pid, 0)
        return pid != 0

    return sum(n for pid, n in ticks.items() if is_ours(pid)) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lake")
    parser.add_argument("--cores", type=int, required=True)
    parser.add_argument("--permutations", type=int, required=True)
    given = parser.parse_args()
    small = map_run.SMALL_SECONDS
    map_run.SMALL_SECONDS = 0.0  # always Spark tasks
    print(json.dumps(run_map(given.lake, given.cores, mode="permute", permutations=10)), flush=True)
    jobs = list_jobs(given.permutations)
    for line in sys.stdin:
        name = line.strip()
        map_run.SMALL_SECONDS = small if name in ("nominal", WIDE_NOMINAL) else 0.0
        print(json.dumps(run_map(given.lake, given.cores, **jobs[name])), flush=True)


if __name__ == "__main__":
    main()
