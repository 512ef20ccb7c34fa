"""Relatives, quality of samples and principal components of 2,504 people: seconds and memory of a core, beside plink2.

    python components.py --rows 50000

The callset is made up, of five contigs, and read from a lake as tasks read it; each measurement has a process of its
own, whose greatest memory is shown. plink2 reads its own binary files and is given the same variants; what both find
is compared.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is imported: a task has one core

import argparse
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kgp import tables as t
from kgp.eqtl.common_variants import CommonRule
from kgp.eqtl.genotype_components import RelationshipMatrix
from kgp.eqtl.kinship import relatives
from kgp.eqtl.ld_pruning import PruningRule
from kgp.io.delta import Lake
from kgp.io.parts import TablePart
from kgp.jobs import check_samples, compute_kinship
from kgp.jobs.check_samples import Counting
from kgp.jobs.genotype_blocks import Selection
from kgp.jobs.genotype_components import ContigTask, sum_contig

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from genotype_lake import (
    CALLSET,
    Contig,
    MadeCallset,
    append,
    load_row,
    no_spark,
    read_table,
    run_plink2,
    write_bed,
)

CONTIGS = ("1", "2", "3", "21", "22")
RULE = PruningRule(200, 100, 0.1)


def make_dosages(rng: np.random.Generator, n_variants: int, n_samples: int) -> np.ndarray:
    """Variants × samples; neighbours resemble each other, three groups differ; the last person is the first again."""
    base, groups = (
        rng.beta(0.4, 2.0, (n_variants // 20 + 1, 1)),
        rng.normal(0, 0.05, (n_variants // 20 + 1, 3)),
    )
    frequency = np.clip(np.repeat(base + groups, 20, axis=0)[:n_variants], 0.001, 0.999)
    of_group = np.arange(n_samples) % 3
    dosages = np.empty((n_variants, n_samples), np.int8)
    previous = np.zeros(n_samples, np.int8)
    for i in range(n_variants):
        drawn = rng.binomial(2, frequency[i][of_group]).astype(np.int8)
        is_copied = (rng.random(n_samples) < 0.85) & (i % 20 != 0)
        previous = dosages[i] = np.where(is_copied, previous, drawn)
    dosages[:, -1] = dosages[:, 0]
    return dosages


def make_lake(place: Path, n_variants: int, n_samples: int) -> MadeCallset:
    """A lake with the callset; gives the callset."""
    rng = np.random.default_rng(1)
    lake = Lake(no_spark, str(place))
    append(lake, t.LOADS, pa.Table.from_pylist([load_row("v1")], schema=t.LOADS.arrow_schema))
    contigs = {}
    for contig in CONTIGS:
        n = n_variants // len(CONTIGS)
        dosages = make_dosages(rng, n, n_samples)
        starts = np.arange(n, dtype=np.int64) * 100
        contigs[contig] = Contig(starts, ["A"] * n, ["C"] * n, dosages)
        offsets = pa.array(np.arange(n + 1, dtype=np.int32) * n_samples)
        given: dict[str, Any] = {
            "callset": CALLSET, "contig": contig, "load_id": "v1", "start": starts, "end": starts + 1,
            "record_id": starts, "alt_index": 1, "n_alts": 1, "source_contig": contig, "ref": "A", "alt": "C",
            "variant_id": [f"{contig}_{start + 1}_A_C" for start in starts.tolist()],
            "n_het": (dosages == 1).sum(axis=1), "n_hom_alt": (dosages == 2).sum(axis=1),
            "dosages": pa.ListArray.from_arrays(offsets, pa.array(dosages.reshape(-1))),
        }  # fmt: skip
        columns = []
        for field in t.VARIANTS.arrow_schema:
            value = given.get(field.name)
            is_whole = isinstance(value, list | np.ndarray | pa.Array)
            columns.append(pa.array(value if is_whole else [value] * n, field.type))
        append(lake, t.VARIANTS, pa.Table.from_arrays(columns, schema=t.VARIANTS.arrow_schema))
    return MadeCallset([f"S{i:04}" for i in range(n_samples)], contigs)


def measure(name: str, work: Callable[[], Any]) -> Any:
    """Run in a new process; print its seconds and its greatest memory."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        seconds, memory, found = pool.apply(_time, (work,))
    print(f"{name:<44} {seconds:7.1f} s {memory / 2**20:8.2f} GiB")
    return found


def _time(work: Callable[[], Any]) -> tuple[float, int, Any]:
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, found


def sum_contigs(parts: list[TablePart], task: ContigTask) -> RelationshipMatrix:
    """What the tasks and the driver do for components."""
    whole = RelationshipMatrix(task.selection.n_samples)
    for contig in CONTIGS:
        of_contig = [part for part in parts if part.values["contig"] == contig]
        whole.merge(sum_contig((contig, of_contig), task).matrix)
    return whole


def take_components(matrix: RelationshipMatrix) -> np.ndarray:
    """The first five."""
    return matrix.components(5).scores


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Seconds and memory of kinship, sample quality and components."
    )
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--samples", type=int, default=2_504)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        callset = make_lake(place / "lake", given.rows, given.samples)
        parts = Lake(no_spark, str(place / "lake")).parts(t.VARIANTS, target_rows=1)
        print(f"{given.rows:,} variants × {given.samples:,} people, one core")
        common = Selection(given.samples, CommonRule(0.01, 0.05))
        kinship = measure("kinship: count", partial(compute_kinship.count_parts, parts, common))
        counting = Counting(
            Selection(given.samples, CommonRule(0.05, 0.05)), "GRCh37", (False,) * given.samples
        )
        measure("sample quality: count", partial(check_samples.count_parts, parts, counting))
        task = ContigTask(Selection(given.samples, CommonRule(0.05, 0.01)), RULE)
        matrix = measure("components: read, prune, multiply", partial(sum_contigs, parts, task))
        scores = measure("components: eigenvectors", partial(take_components, matrix))
        cohort = Selection(given.samples, CommonRule(0.05, 0.01), tuple(range(0, given.samples, 6)))
        measure("components of every sixth of them", partial(sum_contigs, parts, ContigTask(cohort, RULE)))
        compare(place, callset, kinship, scores)


def compare(
    place: Path, callset: MadeCallset, kinship: compute_kinship.KinshipSums, scores: np.ndarray
) -> None:
    """Time plink2 and compare what it finds."""
    found = shutil.which("plink2")
    if found is None:
        print("plink2 is not installed: nothing to compare with")
        return
    plink2, prefix = Path(found), place / "all"
    write_bed(prefix, callset)
    filters = ("--maf", 0.01, "--geno", 0.05, "--make-king-table", "--king-table-filter", 0.0884)
    _time_plink2("plink2 --make-king-table", plink2, prefix, place / "king", *filters)
    pairs = relatives(kinship.king.table())
    assert len(pairs) == len(read_table(place / "king.kin0"))
    prune = ("--maf", 0.05, "--geno", 0.01, "--indep-pairwise", 200, 100, 0.1)
    _time_plink2("plink2 --indep-pairwise", plink2, prefix, place / "prune", *prune)
    _time_plink2(
        "plink2 --pca 5", plink2, prefix, place / "pca", "--extract", place / "prune.prune.in", "--pca", 5
    )
    theirs = np.array(
        [[float(row[f"PC{k}"]) for k in range(1, 6)] for row in read_table(place / "pca.eigenvec")]
    )
    least = min(abs(np.corrcoef(scores[:, k], theirs[:, k])[0, 1]) for k in range(5))
    print(f"{len(pairs):,} related pairs of both; least |r| of five components {least:.6f}")


def _time_plink2(name: str, plink2: Path, prefix: Path, out: Path, *options: object) -> None:
    began = time.perf_counter()
    run_plink2(plink2, prefix, out, *options, memory=4_000)
    print(f"{name:<44} {time.perf_counter() - began:7.1f} s")


if __name__ == "__main__":
    main()
