"""The permutation pass on one core and on two, beside QTLtools and beside what the machine multiplies at best.

    python permutation.py ../../../shared/data/geuvadis-eqtl-qtltools

Timed is everything but reading the files: residuals, distinct genotypes, permutations, beta fits. QTLtools does a
part of the genes in the same run (`--chunk`), and its best variants and p's are compared with kgp's. A matrix product
of single precision is timed before and after each measurement; the best of them is the peak.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is imported: a process is a core

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kgp.eqtl.design import make_design
from kgp.eqtl.distinct import find_distinct
from kgp.eqtl.permutation import (
    BestPair,
    draw_permutations,
    map_permutations,
    prepare_permuted,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cis_data import Cis, read_cis, read_covariates

SIDE = 2048


def measure_peak() -> float:
    """GFLOP/s of a square product in single precision by the processor's time, the best of a few."""
    values = np.random.default_rng(1).standard_normal((SIDE, SIDE)).astype(np.float32)
    seconds = []
    for _ in range(4):
        began = time.process_time()
        values @ values
        seconds.append(time.process_time() - began)
    return 2.0 * SIDE**3 / min(seconds) / 1e9


def search(cis: Cis, covariates: np.ndarray, n_permutations: int, genes: np.ndarray) -> list[BestPair]:
    """The permutation pass of some genes, with their own block of variants."""
    design = make_design(covariates, "qtltools")
    windows = cis.windows[genes]
    start, stop = int(windows[:, 0].min()), int(windows[:, 1].max())
    return list(
        map_permutations(
            prepare_permuted(cis.expression[genes], design),
            find_distinct(cis.genotypes[start:stop], design),
            windows - start,
            _distances(cis, genes),
            draw_permutations(design.n_samples, n_permutations, seed=1),
            design,
        )
    )


def _distances(cis: Cis, genes: np.ndarray) -> list[np.ndarray]:
    return [cis.positions[a:b] - tss for (a, b), tss in zip(cis.windows[genes], cis.tss[genes], strict=True)]


def split_genes(cis: Cis, n_parts: int) -> list[np.ndarray]:
    """Genes in the order of the contig, in parts with as many pairs."""
    pairs = np.cumsum(np.diff(cis.windows, axis=1)[:, 0])
    cuts = np.searchsorted(pairs, pairs[-1] * np.arange(1, n_parts) / n_parts)
    return np.split(np.arange(len(cis.genes)), cuts)


def count_gflop(found: list[BestPair], n_samples: int) -> float:
    """What was multiplied and added: distinct genotype vectors alone."""
    return sum(2.0 * one.n_vectors * one.n_permutations * n_samples for one in found) / 1e9


def run_qtltools(place: Path, n_permutations: int, n_chunks: int) -> tuple[float, dict[str, list[str]]]:
    """Seconds of the processor and rows of QTLtools for one of `n_chunks` parts; reading the files is not counted."""
    with tempfile.TemporaryDirectory() as work:
        out = Path(work) / "permute.txt"
        command = ["QTLtools", "cis", "--chunk", str(n_chunks // 2), str(n_chunks), "--out", str(out)]
        command += ["--vcf", str(place / "genotypes.chr22.vcf.gz"), "--seed", "1"]
        command += ["--bed", str(place / "genes.50percent.chr22.bed.gz")]
        command += ["--cov", str(place / "genes.covariates.pc50.txt.gz")]
        seconds = []
        for n in (10, n_permutations):
            before = os.times()
            subprocess.run([*command, "--permute", str(n)], check=True, capture_output=True)
            after = os.times()
            seconds.append(after.children_user - before.children_user)
        rows = [line.split() for line in out.read_text().splitlines()]
    return (seconds[1] - seconds[0]) * n_permutations / (n_permutations - 10), {row[0]: row for row in rows}


def compare(cis: Cis, found: list[BestPair], rows: dict[str, list[str]]) -> dict[str, float]:
    """The same best variants, or it stops; and how like the beta p's are."""
    both = [(one, rows[cis.genes[one.group]]) for one in found if cis.genes[one.group] in rows]
    for one, row in both:
        if cis.ids[int(one.pair.variant[0])] != row[7] and one.n_ties == 1:
            raise SystemExit(f"{row[0]}: QTLtools has {row[7]}, kgp {cis.ids[int(one.pair.variant[0])]}")
    logs = np.array([(one.neg_log10_p_beta, -np.log10(float(row[19]))) for one, row in both])
    return {"genes": len(both), "correlation of log p_beta": float(np.corrcoef(logs.T)[0, 1])}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "data", type=Path, help="directory with genotypes.chr22.vcf.gz and what belongs to it"
    )
    parser.add_argument("--permutations", type=int, default=1000)
    parser.add_argument("--chunks", type=int, default=20, help="QTLtools does one part of so many")
    options = parser.parse_args()
    cis = read_cis(options.data / "genotypes.chr22.vcf.gz", options.data / "genes.50percent.chr22.bed.gz")
    covariates = read_covariates(options.data / "genes.covariates.pc50.txt.gz", cis.samples)
    work = partial(search, cis, covariates, options.permutations)
    peaks = [measure_peak()]
    processor = time.process_time()
    began = time.perf_counter()
    found = work(np.arange(len(cis.genes)))
    one_core, processor = time.perf_counter() - began, time.process_time() - processor
    peaks.append(measure_peak())
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(abs, range(2)))  # the processes are there
        began = time.perf_counter()
        parts = list(pool.map(work, split_genes(cis, 2)))
        two_cores = time.perf_counter() - began
    same = [one.p_beta for part in parts for one in part] == [one.p_beta for one in found]
    gflop = count_gflop(found, len(cis.samples))
    result: dict[str, Any] = {
        "genes": len(found),
        "seconds on one core": one_core,
        "seconds of the processor": processor,
        "seconds on two cores": two_cores,
        "two cores to one": one_core / two_cores,
        "the same to the last bit on both": same,
        "GFLOP": gflop,
        "GFLOP/s of one core": gflop / one_core,
        "GFLOP/s by the processor's time": gflop / processor,
        "peak GFLOP/s": max(peaks),
        "fraction of the peak": gflop / processor / max(peaks),
    }
    if shutil.which("QTLtools"):
        seconds, rows = run_qtltools(options.data, options.permutations, options.chunks)
        own = [one for one in found if cis.genes[one.group] in rows]
        share = sum(one.n_variants for one in own) / sum(one.n_variants for one in found)
        result["QTLtools"] = compare(cis, found, rows)
        result["QTLtools"] |= {"seconds": seconds, "seconds of all genes": seconds / share}
        result["times as fast as QTLtools, a core"] = seconds / share / processor
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
