"""How fast `kgp eqtl map` maps a real set, beside QTLtools and tensorQTL, on one core and on two.

    python mapping.py ../../../shared/data/geuvadis-eqtl-qtltools [--out docs/MAPPING.json]
    python mapping.py PLACE --permutations 100 --chunks 40        a short run

The set lies in a lake; timed is the job from its start to the ledger's row, in a Spark session that is warm, in a
process that is pinned to so many cores. QTLtools is timed with what it reads and writes in the nominal pass; of the
permutation pass it does one of `--chunks` parts, less the time of 10 permutations, and all genes are reckoned from the
pairs. tensorQTL does every n-th gene (`--every`), reading not counted. All answers are compared; where they differ the
program stops.
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
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

COVARIATES = "genes.covariates.pc50.txt.gz"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "data", type=Path, help="directory with genotypes.chr22.vcf.gz and what belongs to it"
    )
    parser.add_argument("--out", type=Path, help="file for the figures")
    parser.add_argument("--permutations", type=int, default=1000)
    parser.add_argument("--chunks", type=int, default=20, help="QTLtools permutes one part of so many")
    parser.add_argument("--every", type=int, default=10, help="tensorQTL permutes every n-th gene")
    parser.add_argument("--runs", type=int, default=3, help="runs of each job; the median counts")
    parser.add_argument("--job", nargs=2, metavar=("LAKE", "CORES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job is not None:
        print(json.dumps(run_jobs(options.job[0], int(options.job[1]), options.permutations, options.runs)))
        return
    with tempfile.TemporaryDirectory() as work:
        result = measure(options, Path(work))
    text = json.dumps(result, indent=1)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")


def measure(options: argparse.Namespace, work: Path) -> dict[str, Any]:
    """All figures."""
    from map_sets import read_real_set

    place = options.data
    vcf, bed = place / "genotypes.chr22.vcf.gz", place / "genes.50percent.chr22.bed.gz"
    made = read_real_set(vcf, bed, place / COVARIATES)
    made.write(work / "lake")
    result: dict[str, Any] = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": os.getloadavg()[0],
        "genes": len(made.tss),
        "permutations": options.permutations,
    }
    own = {cores: run_apart(work / "lake", cores, options) for cores in (1, 2)}
    for mode in ("permute", "permute, fastqtl"):
        is_same = own[1][mode]["figures"] == own[2][mode]["figures"]
        _demand(is_same, f"{mode} finds other figures on two cores than on one")
    result["kgp"] = {f"{cores} cores": one for cores, one in own.items()}
    result["1 to 2 cores"] = {
        mode: own[1][mode]["seconds"] / own[2][mode]["seconds"] for mode in ("nominal", "permute")
    }
    gflop = count_gflop(made, options.permutations)
    result["permute, GFLOP"] = gflop
    result["permute, GFLOP/s of one core, tables and fits included"] = gflop / own[1]["permute"]["seconds"]
    result["sgemm peak, GFLOP/s of one core"] = own[1]["peak"]
    pairs, best = read_own(work / "lake", own[1])
    n_pairs = len(pairs)
    if shutil.which("QTLtools"):
        qtltools = measure_qtltools(place, vcf, bed, options, work, pairs, best)
        seconds = qtltools["permute, seconds of all genes"]
        result["QTLtools"] = qtltools
        result["times as fast as QTLtools"] = {
            "nominal, one core": qtltools["nominal, seconds"] / own[1]["nominal"]["seconds"],
            "nominal, two cores": qtltools["nominal, seconds in two parts"] / own[2]["nominal"]["seconds"],
            "permute, one core": seconds / own[1]["permute"]["seconds"],
        }
    python = (
        Path(os.environ.get("KGP_BENCH", ROOT / "build/bench")) / "peers" / "tensorqtl" / "bin" / "python"
    )
    if python.exists():
        tensorqtl = measure_tensorqtl(python, place, options, best_of_fastqtl(work / "lake"), n_pairs, work)
        result["tensorQTL"] = tensorqtl
        seconds = tensorqtl["seconds of all genes"]
        result["times as fast as tensorQTL, one core"] = seconds / own[1]["permute, fastqtl"]["seconds"]
    return result


# ----------------------------------------------------------------------------------------------------------- kgp


def run_apart(lake: Path, cores: int, options: argparse.Namespace) -> dict[str, Any]:
    """The jobs in a process that is pinned to some cores."""
    command = [sys.executable, __file__, str(options.data), "--job", str(lake), str(cores)]
    command += ["--permutations", str(options.permutations), "--runs", str(options.runs)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, preexec_fn=pin(cores))
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def pin(cores: int) -> Callable[[], None]:
    """What pins a process to so many of this one's cores."""
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    return lambda: os.sched_setaffinity(0, chosen)


def run_jobs(lake: str, cores: int, n_permutations: int, runs: int) -> dict[str, Any]:
    """Seconds of each job, in a session that is warm: the least interesting one goes first and is not counted."""
    from kgp.config import Config, load_config
    from kgp.job import Progress, Report, run_job
    from kgp.jobs import map_run
    from kgp.jobs.map_eqtl import MAP_EQTL
    from kgp.params import EqtlMap

    made = load_config(environ={"KGP_SESSION_MASTER": f"local[{cores}]", "KGP_SESSION_DRIVER_MEMORY": "2g"})
    config = Config({**made.values, "": {**made.values[""], "lake": lake}})
    progress = Progress(quiet=True)
    map_run.SMALL_SECONDS = 0.0

    def run(**options: Any) -> Report:
        params = config.params(EqtlMap, {"name": "made", "replace": True, **options})
        return run_job(MAP_EQTL, params, config, progress=progress)

    permute = {"mode": "permute", "permutations": n_permutations}
    jobs: dict[str, dict[str, Any]] = {
        "nominal": {"mode": "nominal", "model": "qtltools"},
        "permute": {**permute, "model": "qtltools"},
        "permute, fastqtl": {**permute, "model": "fastqtl"},
    }
    run(mode="permute", permutations=10)
    result: dict[str, Any] = {"peak": measure_peak()}
    for name, options in jobs.items():
        reports = [run(**options) for _ in range(runs)]
        seconds = sorted(report.seconds for report in reports)
        result[name] = {
            "seconds": seconds[len(seconds) // 2],
            "all": seconds,
            "map_id": reports[0].details["map_id"],
            "figures": reports[0].details["figures"],
        }
    return result


def measure_peak(side: int = 2048) -> float:
    """GFLOP/s of a square product in single precision on one core, the best of a few."""
    from threadpoolctl import threadpool_limits

    values = np.random.default_rng(1).standard_normal((side, side)).astype(np.float32)
    seconds = []
    with threadpool_limits(1):
        for _ in range(5):
            began = time.process_time()
            values @ values
            seconds.append(time.process_time() - began)
    return 2.0 * side**3 / min(seconds) / 1e9


def count_gflop(made: Any, n_permutations: int) -> float:
    """What the permutation pass multiplies and adds: each distinct genotype vector of a window once."""
    from kgp.eqtl.design import make_design
    from kgp.eqtl.distinct import find_distinct

    vectors = find_distinct(made.genotypes, make_design(made.covariates, "qtltools")).vector_of
    first = np.searchsorted(made.positions, made.tss - made.window, "left")
    last = np.searchsorted(made.positions, made.tss + made.window, "right")
    n_vectors = sum(np.unique(vectors[a:b]).size for a, b in zip(first, last, strict=True))
    return 2.0 * n_vectors * n_permutations * made.n_samples / 1e9


def read_own(lake: Path, told: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The pairs and the best pairs of the model `qtltools`."""
    from kgp import tables as t
    from map_sets import read_rows

    found = []
    for mode, table in (("nominal", t.EQTL_NOMINAL), ("permute", t.EQTL_TOP)):
        rows = read_rows(lake, table, f"map_id = '{told[mode]['map_id']}'").to_pandas()
        found.append(rows.set_index(["phenotype_id", "vcf_id"] if mode == "nominal" else "phenotype_id"))
    return found[0], found[1]


def best_of_fastqtl(lake: Path) -> pd.DataFrame:
    """The best pairs of the model `fastqtl`."""
    from kgp import tables as t
    from map_sets import read_rows

    rows = read_rows(lake, t.EQTL_TOP, "model = 'fastqtl' AND n_permutations > 10").to_pandas()
    return rows.set_index("phenotype_id")


# --------------------------------------------------------------------------------------------------------- peers


def measure_qtltools(
    place: Path,
    vcf: Path,
    bed: Path,
    options: argparse.Namespace,
    work: Path,
    pairs: pd.DataFrame,
    best: pd.DataFrame,
) -> dict[str, Any]:
    """Seconds of QTLtools; its answers are those of kgp, or the program stops."""
    command = ["QTLtools", "cis", "--vcf", str(vcf), "--bed", str(bed), "--cov", str(place / COVARIATES)]

    def run(out: Path, *more: str) -> tuple[float, float]:
        before, began = os.times(), time.perf_counter()
        subprocess.run([*command, "--out", str(out), *more], check=True, capture_output=True)
        return time.perf_counter() - began, os.times().children_user - before.children_user

    nominal = sorted(run(work / "nominal.txt", "--nominal", "1")[0] for _ in range(options.runs))
    began = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda k: run(work / f"part{k}.txt", "--nominal", "1", "--chunk", k, "2"), "12"))
    in_two = time.perf_counter() - began
    told = pd.read_csv(work / "nominal.txt", sep=" ", header=None, usecols=[0, 7, 11, 13])
    told.columns = ["phenotype_id", "vcf_id", "p", "slope"]
    both = pairs.join(told.set_index(["phenotype_id", "vcf_id"]), rsuffix="_told")
    worst = float((both["neg_log10_p"] + np.log10(both["p"])).abs().max())
    _demand(len(told) == len(pairs) and worst < 1e-4, f"nominal p's differ by {worst} or {len(told):,} pairs")
    _demand(bool((np.sign(both["slope"]) == np.sign(both["slope_told"])).all()), "signs of slopes differ")

    chunk = ("--seed", "1", "--chunk", str(options.chunks // 2), str(options.chunks))
    few = run(work / "few.txt", *chunk, "--permute", "10")[1]
    many = run(work / "permute.txt", *chunk, "--permute", str(options.permutations))[1]
    rows = pd.read_csv(work / "permute.txt", sep=" ", header=None).set_index(0)
    answers = rows.rename(columns={7: "variant", 15: "p", 19: "p_beta"})[["variant", "p", "p_beta"]]
    found = compare(best, answers, "vcf_id", options.permutations)
    seconds = (many - few) * options.permutations / (options.permutations - 10)
    share = float(best.loc[rows.index, "n_variants"].sum() / best["n_variants"].sum())
    return {
        "nominal, seconds": nominal[len(nominal) // 2],
        "nominal, seconds in two parts": in_two,
        "nominal, greatest difference of log10 p": worst,
        "permute, seconds": seconds,
        "permute, seconds of all genes": seconds / share,
        **found,
    }


def measure_tensorqtl(
    python: Path, place: Path, options: argparse.Namespace, best: pd.DataFrame, n_pairs: int, work: Path
) -> dict[str, Any]:
    """Seconds of tensorQTL on one core; its answers are those of kgp, or the program stops."""
    command = [str(python), str(HERE / "peers" / "run_tensorqtl.py"), str(place), str(work / "tensorqtl.tsv")]
    command += ["--permutations", str(options.permutations), "--every", str(options.every)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, preexec_fn=pin(1))
    told = json.loads(done.stdout.splitlines()[-1])
    rows = pd.read_csv(work / "tensorqtl.tsv", sep="\t", index_col=0)
    names = "22_" + rows["variant_id"].astype(str) + "_A_C"
    answers = pd.DataFrame({"variant": names, "p": rows["pval_nominal"], "p_beta": rows["pval_beta"]})
    found = compare(best, answers, "variant_id", options.permutations)
    share = float(rows["num_var"].sum() / n_pairs)
    return {"seconds": told["seconds"], "seconds of all genes": told["seconds"] / share, **found}


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
