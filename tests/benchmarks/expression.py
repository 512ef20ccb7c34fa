"""How fast expression matrices are loaded, and how much memory that takes: from the job's start to the ledger's row.

    python tests/benchmarks/expression.py [--out docs] [--genes 23722] [--exons 200000] [--people 462] [--runs 3]

The matrices are made up in exactly the layout of Geuvadis (``TargetID Gene_Symbol Chr Coord`` and a column a person);
the values are log-normal with the decimals that the published files have. Every load is a process of its own, whose
Spark starts cold, and what it loaded is compared with what was written: the count, and the sum of all values.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pysam

DATASET = "E-SYNTHETIC-1"
MOST_SECONDS = 60
MOST_MEMORY_MB = 1024
_BLOCK = 500


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write where it is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--genes", type=int, default=23_722)
    parser.add_argument("--exons", type=int, default=200_000)
    parser.add_argument("--people", type=int, default=462)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--load", nargs=2, metavar=("MATRIX", "LAKE"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.load is not None:
        print(json.dumps(_load(options.load[0], options.load[1], options.people)))
        return
    result: dict[str, Any] = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "people": options.people,
        "matrices": [],
    }
    wanted = [
        ("genes", options.genes, "gz"),
        ("genes", options.genes, "bgz"),
        ("exons", options.exons, "bgz"),
    ]
    for kind, n_phenotypes, form in wanted:
        with TemporaryDirectory() as directory:
            result["matrices"].append(
                measure(Path(directory), kind, n_phenotypes, options.people, form, options.runs)
            )
    page = markdown(result)
    print(page)
    if options.out is not None:
        (options.out / "benchmarks" / "expression.json").write_text(json.dumps(result, indent=1) + "\n")
        (options.out / "benchmarks" / "expression.md").write_text(page)


def measure(
    directory: Path, kind: str, n_phenotypes: int, n_people: int, form: str, n_runs: int
) -> dict[str, Any]:
    """Load a matrix several times, each time into a new lake by a new process."""
    matrix = directory / f"synthetic.{kind}.txt.{form}"
    total, n_text = write_matrix(matrix, kind, n_phenotypes, n_people)
    runs = []
    for number in range(n_runs):
        lake = directory / f"lake{number}"
        command = [sys.executable, __file__, "--load", str(matrix), str(lake), "--people", str(n_people)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        peaks: dict[str, int] = {}
        watcher = threading.Thread(target=_watch, args=(process.pid, peaks), daemon=True)
        watcher.start()
        out, _ = process.communicate()
        assert process.returncode == 0
        run = json.loads(out.splitlines()[-1])
        assert run["n_values"] == n_phenotypes * n_people
        assert abs(run["sum"] - total) < 1e-9 * total
        runs.append({**run, "mb": peaks})
    return {
        "kind": kind, "form": form, "phenotypes": n_phenotypes, "bytes": matrix.stat().st_size, "text": n_text,
        "runs": runs,
    }  # fmt: skip


def write_matrix(path: Path, kind: str, n_phenotypes: int, n_people: int) -> tuple[float, int]:
    """A matrix in the layout of Geuvadis; gives the sum of its values and the bytes of its text."""
    total, n_text = 0.0, 0
    with _open(path) as file:
        for block in _blocks(kind, n_phenotypes, n_people):
            file.write(block[0])
            total += block[1]
            n_text += len(block[0])
    return total, n_text


def _open(path: Path) -> Any:
    if path.suffix == ".bgz":
        return pysam.BGZFile(str(path), "wb", None)
    return gzip.open(path, "wb", compresslevel=4)


def _blocks(kind: str, n_phenotypes: int, n_people: int) -> Iterator[tuple[bytes, float]]:
    random = np.random.default_rng(20130606)
    people = "\t".join(f"HG{index:05d}" for index in range(n_people))
    yield f"TargetID\tGene_Symbol\tChr\tCoord\t{people}\n".encode(), 0.0
    for first in range(0, n_phenotypes, _BLOCK):
        n = min(_BLOCK, n_phenotypes - first)
        values = np.exp(random.normal(0, 2, (n, n_people)))
        values[random.random((n, n_people)) < 0.1] = 0
        texts = np.char.mod("%.10g", values)
        lines, total = [], 0.0
        for at in range(n):
            index = first + at
            start = 10_000 + index * 100
            gene = f"ENSG{index // 10 if kind == 'exons' else index:011d}.1"
            id = f"{gene}_{start}_{start + 90}" if kind == "exons" else gene
            lines.append(f"{id}\t{gene}\t1\t{start}\t" + "\t".join(texts[at]) + "\n")
        total += float(texts.astype(np.float64).sum())
        yield "".join(lines).encode(), total


def _load(matrix: str, lake_uri: str, n_people: int) -> dict[str, float]:
    """One load in this process."""
    from kgp.config import load_config
    from kgp.io.delta import Lake
    from kgp.job import Progress, run_job
    from kgp.jobs.load_expression import LOAD_EXPRESSION
    from kgp.params import LoadExpression
    from kgp.tables import EXPRESSION, SAMPLES

    config = load_config(lake=lake_uri, environ=dict(os.environ))
    lake = Lake(lambda: None, config.lake)  # type: ignore[arg-type, return-value]
    people = [
        {"sample_id": f"HG{index:05d}", "load_ids": ["made up"], "callsets": []} for index in range(n_people)
    ]
    lake.put(SAMPLES, people, None)
    given = {"dataset": DATASET, "matrix": (matrix,), "build": "GRCh37", "unit": "rpkm", "processing": "none"}
    began = time.perf_counter()
    run_job(LOAD_EXPRESSION, config.params(LoadExpression, given), config, progress=Progress(quiet=True))
    seconds = time.perf_counter() - began
    found = lake.measure(EXPRESSION, "true", n="count(*)", total="sum(value)")
    return {"seconds": seconds, "n_values": found["n"], "sum": found["total"]}


def _watch(pid: int, peaks: dict[str, int]) -> None:
    """Note the most memory of the process, of its JVM, and of any of the JVM's Python workers, in MB."""
    while Path(f"/proc/{pid}").exists():
        for child in _descendants(pid):
            name = "driver" if child == pid else _role(child)
            peaks[name] = max(_peak_mb(child), peaks.get(name, 0))
        time.sleep(0.2)


def _descendants(pid: int) -> list[int]:
    found, parents = [pid], {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
    for parent in found:
        found += [child for child, its in parents.items() if its == parent]
    return found


def _role(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return "other"
    return "jvm" if b"java" in command.split(b"\0")[0] else "worker" if b"pyspark" in command else "other"


def _peak_mb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 // 10**6 for line in lines if line.startswith("VmHWM")), 0)


def markdown(result: dict[str, Any]) -> str:
    """The page."""
    lines = [
        "# How fast expression is loaded",
        "",
        "Written by `make bench` (tests/benchmarks/expression.py); do not edit. The runs themselves are in "
        "[expression.json](expression.json).",
        "",
        f"Made-up matrices in the layout of Geuvadis, {result['people']} people, on {result['cores']} cores; measured "
        f"on {result['measured_at'][:10]}, load average {result['load']:.2f} before the first. A figure is the "
        f"median of {len(result['matrices'][0]['runs'])} loads, each in a new process, from the job's start to the "
        "ledger's row. Plain gzip, which can't be cut, and files of at most 128 MiB are read by the driver; else the "
        "start of Spark is in the figure.",
        "",
        "| matrix | file | seconds | values a second | most memory: driver | of a worker | target | met |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for matrix in result["matrices"]:
        seconds = median(run["seconds"] for run in matrix["runs"])
        spread = (
            f"{min(r['seconds'] for r in matrix['runs']):.1f}–{max(r['seconds'] for r in matrix['runs']):.1f}"
        )
        n_values = matrix["phenotypes"] * result["people"]
        driver = max(run["mb"].get("driver", 0) for run in matrix["runs"])
        worker = max(run["mb"].get("worker", 0) for run in matrix["runs"])
        is_genes = matrix["kind"] == "genes"
        target = f"< {MOST_SECONDS} s" if is_genes else f"< {MOST_MEMORY_MB:,} MB each"
        met = seconds < MOST_SECONDS if is_genes else max(driver, worker) < MOST_MEMORY_MB
        cells = (
            f"{matrix['phenotypes']:,} {matrix['kind']}",
            f"{matrix['form']}, {matrix['bytes'] / 1e6:,.0f} MB ({matrix['text'] / 1e6:,.0f} MB of text)",
            f"{seconds:.1f} ({spread})",
            f"{n_values / seconds / 1e6:.2f} million",
            f"{driver:,} MB",
            f"{worker:,} MB" if worker else "–",
            target,
            "yes" if met else "**no**",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
