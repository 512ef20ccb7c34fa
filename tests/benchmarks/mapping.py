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
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from deltalake import DeltaTable
from eqtl_part import begin_part, tell_part
from map_jobs import SPARK_NOMINAL, WIDE_NOMINAL, WIDE_SET, WIDE_WINDOW, list_jobs

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kgp import tables as t
from kgp.table import Table
from map_sets import read_real_set, read_rows

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Doubles that are products of the same numbers, added up in another order.
CLOSE = 1e-12


@dataclass(frozen=True)
class Example:
    """The set's files, as the Debian package has them."""

    place: Path

    @property
    def vcf(self) -> Path:
        """Genotypes."""
        return self.place / "genotypes.chr22.vcf.gz"

    @property
    def bed(self) -> Path:
        """Expression."""
        return self.place / "genes.50percent.chr22.bed.gz"

    @property
    def covariates(self) -> Path:
        """50 components and the like."""
        return self.place / "genes.covariates.pc50.txt.gz"


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


def say(text: str) -> None:
    """Tell what is going on."""
    print(text, file=sys.stderr, flush=True)


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
    say("kgp on one core and on two")
    part["kgp"], n_pairs = run_jobs(work / "lake", options, rows)
    part |= {"pairs": n_pairs["nominal"], "wide pairs": n_pairs[WIDE_NOMINAL]}
    say("kgp in one process, and the machine's products")
    part["rate"] = rate = measure_rate(work / "lake", options)
    demand_same_rows(rows, "permute", read_map(work / "lake", "permute", rate["map_id"]))
    found = {name: table.to_pandas() for name, table in rows.items()}
    peers = options.bench.absolute() / "peers"
    python = peers / "tensorqtl" / "bin" / "python"
    if shutil.which("QTLtools"):
        work_of_it = partial(measure_qtltools, example, options, work, found["nominal"], found["permute"])
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
    lake: Path, options: argparse.Namespace, rows: dict[str, pa.Table]
) -> tuple[dict[str, dict[str, Any]], dict[str, int]]:
    """Cores → job → seconds of its runs, which take turns; and the pairs of each. Its rows are put into `rows`."""
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


def pin(cores: int) -> Callable[[], None]:
    """What pins a process to so many of this one's cores."""
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    return lambda: os.sched_setaffinity(0, chosen)


def read_map(lake: Path, mode: str, map_id: str) -> pa.Table:
    """The rows of a mapping, by key."""
    return read_rows(lake, table_of(mode), f"map_id = '{map_id}'")


def table_of(mode: str) -> Table:
    """Where a mode has its rows."""
    return t.EQTL_NOMINAL if mode == "nominal" else t.EQTL_TOP


def demand_same_rows(known: dict[str, pa.Table], name: str, rows: pa.Table) -> None:
    """A mapping finds the same rows, to the last bit, as the one before, or the program stops."""
    _demand(rows.equals(known.setdefault(name, rows)), f"{name} finds other rows than on one core")


def demand_close_rows(rows: pa.Table, others: pa.Table) -> None:
    """Two mappings in other blocks find the same pairs and numbers: products of doubles round by their place in one."""
    for column in rows.schema:
        one, other = rows[column.name], others[column.name]
        if pa.types.is_floating(column.type):
            pairs = one.to_numpy(), other.to_numpy()
            is_same = bool(np.allclose(*pairs, rtol=CLOSE, atol=CLOSE, equal_nan=True))
        else:
            is_same = bool(one.equals(other))
        _demand(is_same, f"without Spark nominal finds another {column.name}")


# --------------------------------------------------------------------------------------------------------- peers


def measure_peer(part: dict[str, Any], name: str, work: Callable[[], dict[str, Any]]) -> None:
    """Measure a peer into the part; one that fails is named with its reason and stops nothing."""
    say(name)
    try:
        part[name] = work()
    except subprocess.CalledProcessError as problem:
        lines = str(problem.stderr or problem.stdout or "").strip().splitlines() or ["no message"]
        part["failed"][name] = f"it failed: {lines[-1][:300]}"
        say(f"{name}: {part['failed'][name]}")


def measure_qtltools(
    example: Example, options: argparse.Namespace, work: Path, pairs: pd.DataFrame, best: pd.DataFrame
) -> dict[str, Any]:
    """Seconds of QTLtools; its answers are those of kgp, or the program stops."""
    command = ["QTLtools", "cis", "--vcf", str(example.vcf), "--bed", str(example.bed)]
    command += ["--cov", str(example.covariates)]

    def run(out: str, *more: object) -> dict[str, float]:
        words = [*command, "--out", str(work / out), *map(str, more)]
        before, began = os.times(), time.perf_counter()
        subprocess.run(words, check=True, capture_output=True, text=True, preexec_fn=pin(1))
        after, wall = os.times(), time.perf_counter() - began
        used = (after.children_user - before.children_user) + (after.children_system - before.children_system)
        return {"wall": wall, "processor": used}

    nominal = [run("nominal.txt", "--nominal", 1) for _ in range(options.runs)]
    told = pd.read_csv(work / "nominal.txt", sep=" ", header=None, usecols=[0, 7, 11, 13])
    told.columns = ["phenotype_id", "vcf_id", "p", "slope"]
    key = ["phenotype_id", "vcf_id"]
    both = pairs.set_index(key).join(told.set_index(key), rsuffix="_told")
    worst = float((both["neg_log10_p"] + np.log10(both["p"])).abs().max())
    _demand(len(told) == len(pairs) and worst < 1e-4, f"nominal p's differ by {worst} or {len(told):,} pairs")
    _demand(bool((np.sign(both["slope"]) == np.sign(both["slope_told"])).all()), "signs of slopes differ")

    chunk = ("--seed", 1, "--chunk", max(1, options.chunks // 2), options.chunks)
    start = run("start.txt", "--seed", 1, "--permute", 10)
    few = run("few.txt", *chunk, "--permute", 10)
    many = run("permute.txt", *chunk, "--permute", options.permutations)
    rows = pd.read_csv(work / "permute.txt", sep=" ", header=None).set_index(0)
    answers = rows.rename(columns={7: "variant", 15: "p", 19: "p_beta"})[["variant", "p", "p_beta"]]
    best = best.set_index("phenotype_id")
    share = float(best.loc[rows.index, "n_variants"].sum() / best["n_variants"].sum())
    return {
        "nominal": {clock: [one[clock] for one in nominal] for clock in nominal[0]},
        "permute": {clock: [start[clock] + (many[clock] - few[clock]) / share] for clock in many},
        "share of pairs": share,
        "answers": {
            "pairs": len(told),
            "greatest difference of log10 p": worst,
            **compare(best, answers, "vcf_id", options.permutations),
        },
    }


def measure_tensorqtl(
    python: Path, example: Example, options: argparse.Namespace, best: pd.DataFrame, work: Path
) -> dict[str, Any]:
    """Seconds of tensorQTL on one core; its answers are those of kgp, or the program stops."""
    out = work / "tensorqtl.tsv"
    command = [str(python), str(HERE / "peers" / "run_tensorqtl.py"), str(example.place), str(out)]
    command += ["--permutations", str(options.permutations), "--every", str(options.every)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, preexec_fn=pin(1))
    told = json.loads(done.stdout.splitlines()[-1])
    rows = pd.read_csv(out, sep="\t", index_col=0)
    names = "22_" + rows["variant_id"].astype(str) + "_A_C"
    answers = pd.DataFrame({"variant": names, "p": rows["pval_nominal"], "p_beta": rows["pval_beta"]})
    share = float(rows["num_var"].sum() / best["n_variants"].sum())
    return {
        "permute": {"wall": [told["seconds"] / share]},
        "share of pairs": share,
        "answers": compare(best.set_index("phenotype_id"), answers, "variant_id", options.permutations),
    }


def compare(best: pd.DataFrame, told: pd.DataFrame, variant: str, n_permutations: int) -> dict[str, float]:
    """The same best variants (or as good ones) and p's, or the program stops; and how like the beta p's are."""
    own = best.loc[told.index]
    is_same = (own[variant] == told["variant"]).to_numpy()
    differs = (own["neg_log10_p"] + np.log10(told["p"])).abs().to_numpy()
    _demand(bool((differs[~is_same] < 1e-3).all()), "another best variant that is not as good")
    _demand(bool((differs < 1e-2).all()), "p of the best variant differs")
    alike = float(np.corrcoef(own["p_beta"], told["p_beta"])[0, 1])
    # Two runs of the same tool with 1,000 permutations are alike to 0.999 over all genes, with fewer to less.
    least = 0.95 if n_permutations < 1000 else 0.999 if len(told) > 100 else 0.995
    _demand(alike > least, f"beta p's correlate with {alike} only")
    return {
        "genes compared": len(told),
        "correlation of p_beta": alike,
        "other best variants (ties)": int((~is_same).sum()),
    }


def _demand(is_so: bool, why: str) -> None:
    if not is_so:
        raise SystemExit(f"The answers are not equal: {why}")


if __name__ == "__main__":
    main()
