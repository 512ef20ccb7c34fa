"""Factors by the program peertool for the genes of ../../geuvadis-chr22.

::

    python record_peer.py peertool          # run in this directory; needs numpy, scipy and peer 1.0's peertool
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

SLICE = Path("../../geuvadis-chr22")
PRIORS = ["--a_pa", "0.001", "--a_pb", "0.01", "--e_pa", "0.1", "--e_pb", "10"]
TOLERANCES = ["--bound_tol", "0.001", "--var_tol", "0.00000001"]
N_FACTORS = 10


def read_values() -> tuple[list[str], np.ndarray]:
    """Samples, and phenotypes × samples by the inverse normal transform."""
    with gzip.open(SLICE / "genes.50percent.chr22.bed.gz", "rt") as lines:
        header, *rows = (line.rstrip("\n").split("\t") for line in lines)
    values = np.array([row[6:] for row in rows], dtype=float)
    return header[6:], ndtri(rankdata(values, axis=1) / (values.shape[1] + 1.0))


def read_covariates(samples: list[str]) -> np.ndarray:
    """Samples × (female, FIN, GBR, TSI)."""
    with (SLICE / "samples.panel").open() as lines:
        people = {line.split("\t")[0]: line.rstrip("\n").split("\t") for line in lines}
    columns = [[people[s][3] == "female" for s in samples]]
    columns += [[people[s][1] == population for s in samples] for population in ("FIN", "GBR", "TSI")]
    return np.array(columns, dtype=float).T


def record(tool: str, name: str, n_iterations: int, covariates: np.ndarray | None = None) -> None:
    """Run the program and write a row a factor: precision, then a value a sample."""
    samples, values = read_values()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        np.savetxt(place / "values.csv", values.T, delimiter=",", fmt="%.17g")
        command = [tool, "-f", str(place / "values.csv"), "-o", str(place / "out"), *PRIORS, *TOLERANCES]
        command += ["-n", str(N_FACTORS), "-i", str(n_iterations)]
        if covariates is not None:
            np.savetxt(place / "covariates.csv", covariates, delimiter=",", fmt="%g")
            command += ["-c", str(place / "covariates.csv")]
        ran = subprocess.run(command, check=True, capture_output=True, text=True)
        print(name, (ran.stdout + ran.stderr).strip().splitlines()[-1])
        factors = np.loadtxt(place / "out" / "X.csv", delimiter=",")
        precisions = np.loadtxt(place / "out" / "Alpha.csv", delimiter=",")
    text = "\t".join(["precision", *samples]) + "\n"
    for precision, row in zip(precisions, factors, strict=True):
        text += "\t".join(f"{value:.10g}" for value in (precision, *row)) + "\n"
    Path(f"{name}.tsv.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def main() -> None:
    """Three runs, or with ``--double`` the one of a program in double precision."""
    tool = sys.argv[1]
    if "--double" in sys.argv:
        record(tool, "peer_double", 1000)
        return
    record(tool, "peer_50_iterations", 50)
    record(tool, "peer", 1000)
    record(tool, "peer_covariates", 1000, read_covariates(read_values()[0]))


if __name__ == "__main__":
    main()
