"""How fast the permutation pass computes, beside what the machine multiplies at best; one process, one thread.

    python permutation.py LAKE --permutations 1000 --runs 3

mapping.py starts it, pinned to a core, with a set in a lake. It runs the job in its own process, without Spark, and
times in it the pass over the permutations (`kgp.eqtl.permutation`: permuted phenotypes, products, extremes), whose
products it counts: what is executed. A square product is timed before and after each run. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
from map_jobs import list_jobs, run_map
from threadpoolctl import threadpool_limits

from kgp.eqtl import permutation
from kgp.jobs import map_run

SIDE = 2048


class Stopwatch:
    """The pass over a phenotype's permutations, timed and counted.

    Args:
        work: the pass.
    """

    def __init__(self, work: Any) -> None:
        self._work = work
        self.seconds, self.flop = 0.0, 0

    def __call__(self, phenotypes: Any, i: int, vectors: np.ndarray, orders: np.ndarray) -> Any:
        """Do it."""
        began = time.process_time()
        found = self._work(phenotypes, i, vectors, orders)
        self.seconds += time.process_time() - began
        self.flop += 2 * vectors.shape[0] * orders.size
        return found


def measure_peak() -> float:
    """GFLOP/s of a square product in single precision by the processor's time, the best of a few."""
    values = np.random.default_rng(1).standard_normal((SIDE, SIDE)).astype(np.float32)
    seconds = []
    with threadpool_limits(1):
        for _ in range(4):
            began = time.process_time()
            values @ values
            seconds.append(time.process_time() - began)
    return 2.0 * SIDE**3 / min(seconds) / 1e9


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lake")
    parser.add_argument("--permutations", type=int, required=True)
    parser.add_argument("--runs", type=int, required=True)
    given = parser.parse_args()
    map_run.SMALL_SECONDS = float("inf")  # in this process
    work = permutation._find_best_permuted
    result: dict[str, Any] = {"peak": [measure_peak()], "pass": [], "job": []}
    for _ in range(given.runs):
        watch = permutation._find_best_permuted = Stopwatch(work)
        told = run_map(given.lake, 1, **list_jobs(given.permutations)["permute"])
        result["pass"].append(watch.seconds)
        result["job"].append(told["processor"])
        result["peak"].append(measure_peak())
        result |= {"gflop": watch.flop / 1e9, "map_id": told["map_id"]}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
