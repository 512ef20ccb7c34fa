"""QTLtools and tensorQTL on the set that mapping.py maps: how long they take, and whether they answer as kgp does."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent


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


def measure_peer(part: dict[str, Any], name: str, work: Callable[[], dict[str, Any]]) -> None:
    """Measure a peer into the part; one that fails is named with its reason and stops nothing."""
    say(name)
    try:
        part[name] = work()
    except subprocess.CalledProcessError as problem:
        lines = str(problem.stderr or problem.stdout or "").strip().splitlines() or ["no message"]
        part["failed"][name] = f"it failed: {lines[-1][:300]}"
        say(f"{name}: {part['failed'][name]}")


class QtlTools:
    """Runs QTLtools on one core.

    Args:
        example: its input.
        work: directory of what it writes.
    """

    def __init__(self, example: Example, work: Path) -> None:
        self.work = work
        self.nominal: list[dict[str, float]] = []
        self._problem: subprocess.CalledProcessError | None = None
        self._command = ["QTLtools", "cis", "--vcf", str(example.vcf), "--bed", str(example.bed)]
        self._command += ["--cov", str(example.covariates)]

    def run(self, out: str, *more: object) -> dict[str, float]:
        """Seconds of a run with these options, by both clocks; its output goes to a file."""
        words = [*self._command, "--out", str(self.work / out), *map(str, more)]
        before, began = os.times(), time.perf_counter()
        subprocess.run(words, check=True, capture_output=True, text=True, preexec_fn=pin(1))
        after, wall = os.times(), time.perf_counter() - began
        used = (after.children_user - before.children_user) + (after.children_system - before.children_system)
        return {"wall": wall, "processor": used}

    def run_nominal(self) -> None:
        """A nominal pass, kept in `nominal`; one that fails is told by `check`."""
        try:
            self.nominal.append(self.run("nominal.txt", "--nominal", 1))
        except subprocess.CalledProcessError as problem:
            self._problem = problem

    def check(self) -> None:
        """Raise what a nominal pass failed by."""
        if self._problem:
            raise self._problem


def measure_qtltools(
    qtltools: QtlTools, options: argparse.Namespace, pairs: pd.DataFrame, best: pd.DataFrame
) -> dict[str, Any]:
    """Seconds of QTLtools; its answers are those of kgp, or the program stops."""
    qtltools.check()
    nominal, run, work = qtltools.nominal, qtltools.run, qtltools.work
    told = pd.read_csv(work / "nominal.txt", sep=" ", header=None, usecols=[0, 7, 11, 13])
    told.columns = ["phenotype_id", "vcf_id", "p", "slope"]
    key = ["phenotype_id", "vcf_id"]
    both = pairs.set_index(key).join(told.set_index(key), rsuffix="_told")
    worst = float((both["neg_log10_p"] + np.log10(both["p"])).abs().max())
    demand(len(told) == len(pairs) and worst < 1e-4, f"nominal p's differ by {worst} or {len(told):,} pairs")
    demand(bool((np.sign(both["slope"]) == np.sign(both["slope_told"])).all()), "signs of slopes differ")

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
    demand(bool((differs[~is_same] < 1e-3).all()), "another best variant that is not as good")
    demand(bool((differs < 1e-2).all()), "p of the best variant differs")
    alike = float(np.corrcoef(own["p_beta"], told["p_beta"])[0, 1])
    # Two runs of the same tool with 1,000 permutations are alike to 0.999 over all genes, with fewer to less.
    least = 0.95 if n_permutations < 1000 else 0.999 if len(told) > 100 else 0.995
    demand(alike > least, f"beta p's correlate with {alike} only")
    return {
        "genes compared": len(told),
        "correlation of p_beta": alike,
        "other best variants (ties)": int((~is_same).sum()),
    }


def pin(cores: int) -> Callable[[], None]:
    """What pins a process to so many of this one's cores."""
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    return lambda: os.sched_setaffinity(0, chosen)


def say(text: str) -> None:
    """Tell what is going on."""
    print(text, file=sys.stderr, flush=True)


def demand(is_so: bool, why: str) -> None:
    """End the program where answers differ."""
    if not is_so:
        raise SystemExit(f"The answers are not equal: {why}")
