"""How fast `kgp eqtl map` maps a real set, beside QTLtools and tensorQTL, on one core and on two.

    python mapping.py                                        prints the page of eQTL benchmarks
    python mapping.py --out docs                             what `make bench-eqtl` does
    python mapping.py --permutations 100 --chunks 40 --runs 1        a short run

The set is the example of QTLtools (Debian package qtltools-example), in a lake; timed are whole jobs in Spark sessions
that are warm (map_jobs.py), in processes that are pinned to so many cores. Runs on one core and on two take turns, so
that a machine that gets slower or faster meanwhile does so for both. QTLtools is timed with what it reads and
writes; it permutes all genes 10 times, and as often as kgp those of one of `--chunks` parts (1: all of them), from
which the rest is reckoned by the pairs. tensorQTL does every n-th gene (`--every`), reading not counted. All answers
are compared; where they differ the program stops. What is not installed is named with its reason and stops nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable
from eqtl_part import begin_part, tell_part
from map_jobs import SPARK_NOMINAL, WIDE_NOMINAL, WIDE_SET, WIDE_WINDOW, list_jobs
from map_peers import Example, QtlTools, demand, measure_peer, measure_qtltools, measure_tensorqtl, pin, say

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kgp import tables as t
from kgp.table import Table
from map_sets import read_real_set, read_rows

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Doubles that are products of the same numbers, added up in another order.
CLOSE = 1e-12


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="directory of benchmarks/eqtl.md; default: it is printed")
    parser.add_argument("--permutations", type=int, default=1000)
    parser.add_argument("--chunks", type=int, default=10, help="QTLtools permutes one of so many parts")
    parser.add_argument("--every", type=int, default=10, help="tensorQTL permutes every n-th gene")
    parser.add_argument("--runs", type=int, default=5, help="runs of each job; the median counts")
    parser.add_argument("--bench", type=Path, default=ROOT / "build" / "bench", help="files and environments")
    options = parser.parse_args()
    bench = options.bench.absolute()
    environment = {**os.environ, "KGP_BENCH": str(bench)}
    subprocess.run([str(HERE / "setup_peers.sh"), "QTLtools", "geuvadis"], check=True, env=environment)
    part = begin_part(options.runs, "QTLtools") | {"permutations": options.permutations}
    reason = bench / "peers" / "geuvadis.failed"
    if reason.is_file():
        part["failed"]["mapping"] = reason.read_text().strip()
        say(f"the mapping is left out: {part['failed']['mapping']}")
    else:
        with tempfile.TemporaryDirectory() as work:
            measure(part, Example(bench / "geuvadis"), options, Path(work))
    tell_part(options.out, "mapping", part)


def measure(part: dict[str, Any], example: Example, options: argparse.Namespace, work: Path) -> None:
    """All figures, into the part."""
    made = read_real_set(example.vcf, example.bed, example.covariates)
    made.write(work / "lake")
    replace(made, name=WIDE_SET, matrix_id=WIDE_SET, window=WIDE_WINDOW).write(work / "lake")
    part |= {
        "samples": made.n_samples, "genes": len(made.tss), "variants": len(made.positions),
        "covariates": made.covariates.shape[1],
    }  # fmt: skip
    rows: dict[str, pa.Table] = {}
    qtltools = QtlTools(example, work) if shutil.which("QTLtools") else None
    say("kgp on one core and on two")
    beside = {"nominal": qtltools.run_nominal} if qtltools else {}
    part["kgp"], n_pairs = run_jobs(work / "lake", options, rows, beside)
    part |= {"pairs": n_pairs["nominal"], "wide pairs": n_pairs[WIDE_NOMINAL]}
    say("kgp in one process, and the machine's products")
    part["rate"] = rate = measure_rate(work / "lake", options)
    demand_same_rows(rows, "permute", read_map(work / "lake", "permute", rate["map_id"]))
    found = {name: table.to_pandas() for name, table in rows.items()}
    peers = options.bench.absolute() / "peers"
    python = peers / "tensorqtl" / "bin" / "python"
    if qtltools:
        work_of_it = partial(measure_qtltools, qtltools, options, found["nominal"], found["permute"])
        measure_peer(part, "QTLtools", work_of_it)
    else:
        part["failed"]["QTLtools"] = (peers / "QTLtools.failed").read_text().strip()
    if python.exists():
        work_of_it = partial(measure_tensorqtl, python, example, options, found["permute, fastqtl"], work)
        measure_peer(part, "tensorQTL", work_of_it)
        command = (
            "from importlib.metadata import version as v; print(f\"{v('tensorqtl')} (torch {v('torch')})\")"
        )
        done = subprocess.run([python, "-c", command], check=True, capture_output=True, text=True)
        part["versions"]["tensorQTL"] = done.stdout.strip()
    else:
        part["failed"]["tensorQTL"] = "it is not installed: tests/benchmarks/setup_peers.sh tensorqtl (6 GB)"


# ----------------------------------------------------------------------------------------------------------- kgp


class Session:
    """A process with a warm Spark session that runs jobs on some cores.

    Args:
        lake: with the set.
        cores: that it is pinned to, so many.
        permutations: of each phenotype.
    """

    def __init__(self, lake: Path, cores: int, permutations: int) -> None:
        command = [sys.executable, str(HERE / "map_jobs.py"), str(lake), "--cores", str(cores)]
        command += ["--permutations", str(permutations)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=pin(cores)
        )
        self._read()  # it is warm then

    def run(self, name: str) -> dict[str, Any]:
        """Run a job; what it took and reports."""
        assert self._process.stdin is not None
        print(name, file=self._process.stdin, flush=True)
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            raise SystemExit(f"A session of kgp's has ended with code {self._process.wait()}.")
        told: dict[str, Any] = json.loads(line)
        return told

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def run_jobs(
    lake: Path,
    options: argparse.Namespace,
    rows: dict[str, pa.Table],
    beside: dict[str, Callable[[], None]],
) -> tuple[dict[str, dict[str, Any]], dict[str, int]]:
    """Cores → job → seconds of its runs, which take turns; and the pairs of each.

    Args:
        lake: with the sets.
        options: of the command line.
        rows: job → its rows, which are put here.
        beside: job → what takes turns with it, too.
    """
    seconds: dict[str, dict[str, Any]] = {}
    n_pairs: dict[str, int] = {}
    with Session(lake, 1, options.permutations) as one, Session(lake, 2, options.permutations) as two:
        for name in list_jobs(options.permutations):
            mode = name.partition(",")[0]
            for number in range(options.runs):
                for cores, session in (("1", one), ("2", two)):
                    job = session.run(name)
                    spent = seconds.setdefault(cores, {}).setdefault(name, {"wall": [], "processor": []})
                    for clock, times in spent.items():
                        times.append(job[clock])
                    if number == 0:
                        demand_same_rows(rows, name, read_map(lake, mode, job["map_id"]))
                    n_pairs[name] = job["pairs"]
                    remove_replaced(lake, mode)
                if name in beside:
                    beside[name]()
            if name == WIDE_NOMINAL:
                del rows[name]  # three gigabytes
    demand_close_rows(rows["nominal"], rows.pop(SPARK_NOMINAL))
    return seconds, n_pairs


def remove_replaced(lake: Path, mode: str) -> None:
    """Remove the files of mappings that were made again: a wide one has half a gigabyte."""
    table = DeltaTable(str(lake / table_of(mode).name))
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)


def measure_rate(lake: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What permutation.py tells, pinned to a core."""
    command = [sys.executable, str(HERE / "permutation.py"), str(lake), "--runs", str(options.runs)]
    command += ["--permutations", str(options.permutations)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, preexec_fn=pin(1))
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def read_map(lake: Path, mode: str, map_id: str) -> pa.Table:
    """The rows of a mapping, by key."""
    return read_rows(lake, table_of(mode), f"map_id = '{map_id}'")


def table_of(mode: str) -> Table:
    """Where a mode has its rows."""
    return t.EQTL_NOMINAL if mode == "nominal" else t.EQTL_TOP


def demand_same_rows(known: dict[str, pa.Table], name: str, rows: pa.Table) -> None:
    """A mapping finds the same rows, to the last bit, as the one before, or the program stops."""
    demand(rows.equals(known.setdefault(name, rows)), f"{name} finds other rows than on one core")


def demand_close_rows(rows: pa.Table, others: pa.Table) -> None:
    """Two mappings in other blocks find the same pairs and numbers: products of doubles round by their place in one."""
    for column in rows.schema:
        one, other = rows[column.name], others[column.name]
        if pa.types.is_floating(column.type):
            pairs = one.to_numpy(), other.to_numpy()
            is_same = bool(np.allclose(*pairs, rtol=CLOSE, atol=CLOSE, equal_nan=True))
        else:
            is_same = bool(one.equals(other))
        demand(is_same, f"without Spark nominal finds another {column.name}")


if __name__ == "__main__":
    main()
