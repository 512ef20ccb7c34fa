"""What the runners share: a stopwatch and one line of JSON. Standard library alone, for any environment.

A runner is called as ``python run_NAME.py VCF --work DIR --runs N`` and prints, last, one line:
``{"seconds": [first, second, …], "cold_seconds": …, "versions": {…}, …}``. `seconds` of a run begin with a ready
session (where there is one) and end with the last byte written; the first is the first thing the session does, the
second finds it warm. `cold_seconds` go from the start of the process to the end of the first run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_IMPORTED = time.perf_counter()


def arguments(description: str) -> argparse.ArgumentParser:
    """The arguments that every runner takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("vcf", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="scratch directory; emptied before each run")
    parser.add_argument("--runs", type=int, default=2, help="runs in one process")
    return parser


def process_age() -> float:
    """Seconds since this process started; where the system does not tell, since this module was imported."""
    try:
        with open("/proc/self/stat") as stat, open("/proc/uptime") as uptime:
            ticks = int(stat.read().rpartition(")")[2].split()[19])
            return float(uptime.read().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
    except OSError:
        return time.perf_counter() - _IMPORTED


def measure(run: Callable[[Path], Any], work: Path, runs: int) -> dict[str, Any]:
    """Run that often, each into a fresh directory; gives `seconds` and `cold_seconds`.

    What a run has left is removed before the next one, outside its time; the last one's is left for a look.
    """
    seconds, cold = [], 0.0
    for n in range(runs):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        os.sync()
        began = time.perf_counter()
        run(work)
        seconds.append(round(time.perf_counter() - began, 3))
        if n == 0:
            cold = round(process_age(), 3)
    return {"seconds": seconds, "cold_seconds": cold}


def call(*command: object) -> None:
    """Run a program and keep its output out of ours.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {(done.stderr or done.stdout)[-500:]}")


def first_line(*command: object) -> str:
    """The first line that a program prints, as its --version."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    return ((done.stdout or done.stderr).splitlines() or ["?"])[0].strip()


def size(path: Path) -> int:
    """Bytes of all files below a path."""
    if path.is_file():
        return path.stat().st_size
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())


def tell(**values: Any) -> None:
    """Print the result: the last line of standard output."""
    print(json.dumps(values), flush=True)
