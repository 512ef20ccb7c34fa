"""How fast the genotypes of a matrix set come from the tables, beside bcftools, plink2 and a script in Python.

    python tests/benchmarks/matrices.py [--out docs] [--rows 50000] [--people 450,2504] [--runs 3]

The variants are those of `make_vcf.py`: a contig of the 2,504 people of the phase 3 release. kgp has them in its table
`variants` and writes those with a minor allele frequency of 1 % among the wanted people to `eqtl_genotypes`; the others
begin with the VCF: `bcftools view -S` takes the people, `plink2 --make-pgen` filters, and a script puts the genotypes
into a matrix. Each result is compared with kgp's: the same variants, counts and genotypes. Not timed are the start of
Spark, whose session has done the same once before, and of Python.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from eqtl_part import begin_part, tell_part
from make_vcf import write_vcf

from kgp.config import load_config
from kgp.genome import get_build
from kgp.io.delta import Lake
from kgp.io.matrix_sets import read_genotypes
from kgp.io.splits import plan_splits
from kgp.io.vcf import Layout, Selection, read_header
from kgp.io.vcf.builtin import SplitTask
from kgp.io.vcf.conformance import LineChecker
from kgp.job import Context, Job, Progress, Report
from kgp.jobs import eqtl_genotypes
from kgp.jobs.eqtl_genotypes import commit_genotypes, write_genotypes
from kgp.params import SessionParams
from kgp.session import get_session
from kgp.tables import EQTL_GENOTYPES, EQTL_MATRICES, LOADS, VARIANTS
from kgp.transforms.genotypes import GenotypeFilter

ROOT = Path(__file__).resolve().parents[2]
SAMPLES, SEED, MIN_MAF, MAX_MISSING = 2504, 1, 0.01, 0.05
PROGRAMS = ("bcftools", "plink2")
JOB: Job[Any] = Job(
    "bench",
    "bench",
    object,
    (LOADS, VARIANTS, EQTL_MATRICES),
    (EQTL_GENOTYPES,),
    lambda *_: Report("bench", False, ""),
)


@dataclass(frozen=True, eq=False)
class Matrix:
    """What each of them makes, ordered by position and alleles.

    Args:
        keys: position, REF and ALT of each variant.
        dosages: variants × people, -1 where missing.
        af: frequency of ALT.
    """

    keys: list[tuple[int, str, str]]
    dosages: np.ndarray
    af: np.ndarray

    @classmethod
    def of(
        cls, pos: Sequence[int], ref: Sequence[str], alt: Sequence[str], dosages: np.ndarray, af: np.ndarray
    ) -> Matrix:
        """Put in order."""
        keys = list(zip(pos, ref, alt, strict=True))
        order = sorted(range(len(keys)), key=keys.__getitem__)
        return cls([keys[i] for i in order], dosages[order], af[order])

    def check(self, other: Matrix) -> None:
        """Refuse another answer."""
        assert self.keys == other.keys
        np.testing.assert_array_equal(self.dosages, other.dosages)
        np.testing.assert_array_equal(self.af, other.af)


class Tables:
    """kgp: a lake with the callset.

    Args:
        vcf: of the callset.
        directory: where the lake is made.
    """

    def __init__(self, vcf: Path, directory: Path) -> None:
        config = load_config(environ=dict(os.environ))
        self.lake = Lake(
            lambda: get_session(config.params(SessionParams), app_name="bench"), str(directory / "lake")
        )
        self.context = Context(self.lake, Progress(quiet=True), JOB)
        header = read_header(str(vcf))
        layout = Layout.make(header, get_build("GRCh37"), Selection(), callset="bench", load_id="v1")
        roots = (self.lake.path(VARIANTS), None)
        task = SplitTask(layout=layout, checker=LineChecker.of(header), path=vcf.name, roots=roots)
        self.lake.create(VARIANTS)
        files = [action for split in plan_splits(str(vcf)) for action in task(split).written[0]]
        self.n_rows = self.lake.commit(VARIANTS, files, ["v1"])
        self.lake.put(LOADS, [_load_row(self.n_rows)], None)

    def write(self, chosen: Sequence[int], *, by_spark: bool) -> None:
        """Write the set m."""
        eqtl_genotypes._WITHOUT_SPARK = 0 if by_spark else 1 << 62
        which = GenotypeFilter(
            sample_indices=tuple(chosen), n_callset=SAMPLES, sexes=(None,) * len(chosen), build="GRCh37",
            tss_by_contig={"22": [25_000_000]}, cis_window=100_000_000, source="calls", min_maf=MIN_MAF, min_mac=0,
            max_missing=MAX_MISSING, min_hwe_p=0.0, multiallelic="drop", missing_genotypes="mean", x_model="drop",
        )  # fmt: skip
        made = write_genotypes(self.context, "m", "bench", which, {"22": self.n_rows})
        commit_genotypes(self.context, "m", made)
        assert made.n_variants + sum(made.dropped.values()) == self.n_rows

    def read(self, n_people: int) -> Matrix:
        """What was written."""
        # No ledger names the set.
        table = dataclasses.replace(EQTL_GENOTYPES, ledger=None)
        parts = self.lake.parts(table, partitions={"matrix_id": ["m"]})
        blocks = [block for part in parts for block in read_genotypes(part, n_people)]
        rows = pa.Table.from_batches([block.rows for block in blocks])
        return Matrix.of(
            (rows["start"].to_numpy() + 1).tolist(), rows["ref"].to_pylist(), rows["alt"].to_pylist(),
            np.concatenate([block.dosages for block in blocks]), rows["af"].to_numpy(),
        )  # fmt: skip


def run_programs(
    vcf: Path, samples: Sequence[str], directory: Path, n_cores: int
) -> tuple[dict[str, float], Matrix]:
    """Seconds of bcftools, plink2 and the script, and what they make."""
    people, some, prefix = directory / "people.txt", directory / "some.bcf", directory / "some"
    people.write_text("".join(f"{name}\n" for name in samples))
    seconds = {}
    commands = {
        "bcftools": ["bcftools", "view", "-S", people, "-m2", "-M2", "-c", "1:minor", "-Ob1", "-o", some, vcf],
        "plink2": [
            "plink2", "--bcf", some, "--maf", str(MIN_MAF), "--geno", str(MAX_MISSING), "--make-pgen", "format=2",
            "pvar-cols=", "--out", prefix,
        ],
    }  # fmt: skip
    for name, command in commands.items():
        began = time.perf_counter()
        subprocess.run([*map(str, command), "--threads", str(n_cores)], check=True, capture_output=True)
        seconds[name] = time.perf_counter() - began
    began = time.perf_counter()
    sites, dosages, af = prepare_matrix(prefix, len(samples), directory)
    seconds["script"] = time.perf_counter() - began
    columns = (sites[name].to_pylist() for name in ("POS", "REF", "ALT"))
    return seconds, Matrix.of(*columns, dosages, af)


def prepare_matrix(prefix: Path, n_samples: int, directory: Path) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """What a script does between plink2 and a mapping tool: read the genotypes, count, write matrix and sites."""
    raw = np.fromfile(prefix.with_suffix(".pgen"), dtype=np.uint8)
    assert raw[:3].tolist() == [0x6C, 0x1B, 0x02]
    packed = raw[12:].reshape(-1, -(-n_samples // 4))
    # Two bits a genotype, the first lowest; 3 is a missing one.
    of_byte = np.array([[b >> s & 3 for s in (0, 2, 4, 6)] for b in range(256)], dtype=np.int8)
    of_byte[of_byte == 3] = -1
    dosages = of_byte[packed].reshape(len(packed), -1)[:, :n_samples]
    form = pa_csv.ParseOptions(delimiter="\t")
    sites = pa_csv.read_csv(prefix.with_suffix(".pvar"), parse_options=form)
    is_called = dosages >= 0
    af = np.where(is_called, dosages, 0).sum(axis=1) / (2 * is_called.sum(axis=1))
    np.save(directory / "matrix.npy", dosages)
    pq.write_table(sites.append_column("af", pa.array(af)), directory / "sites.parquet")
    return sites, dosages, af


def measure(part: dict[str, Any], vcf: Path, n_people: Sequence[int], n_runs: int) -> None:
    """All runs, in turn, into the part."""
    samples = read_header(str(vcf)).samples
    n_cores = len(os.sched_getaffinity(0))
    with TemporaryDirectory() as text:
        directory = Path(text)
        tables = Tables(vcf, directory)
        part |= {"cores": n_cores, "samples": len(samples), "rows": tables.n_rows, "people": {}}
        for n in n_people:
            chosen = sorted(np.random.default_rng(1).choice(SAMPLES, n, replace=False).tolist())
            kinds: dict[str, Callable[[], None]] = {
                "kgp, without Spark": lambda chosen=chosen: tables.write(chosen, by_spark=False),
                "kgp, Spark tasks": lambda chosen=chosen: tables.write(chosen, by_spark=True),
            }
            for write in kinds.values():
                write()
            runs: dict[str, list[float]] = {}
            for _ in range(n_runs):
                seconds, expected = run_programs(vcf, [samples[i] for i in chosen], directory, n_cores)
                for name, write in kinds.items():
                    began = time.perf_counter()
                    write()
                    seconds[name] = time.perf_counter() - began
                    tables.read(n).check(expected)
                for name, one in seconds.items():
                    runs.setdefault(name, []).append(one)
            part["people"][str(n)] = {"variants": len(expected.keys), "seconds": runs}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print or write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="directory of benchmarks/eqtl.md; default: it is printed")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--people", default="450,2504")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--bench", type=Path, default=ROOT / "build" / "bench", help="where the VCF is kept")
    options = parser.parse_args(arguments)
    part = begin_part(options.runs, *PROGRAMS)
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        part["failed"]["matrices"] = f"{missing[0]} is not installed: sudo apt-get install {missing[0]}"
    else:
        vcf = options.bench / f"phase3-{options.rows}.vcf.gz"
        if not vcf.is_file():
            write_vcf(vcf, rows=options.rows, samples=SAMPLES, seed=SEED)
        measure(part, vcf, [int(n) for n in options.people.split(",")], options.runs)
    tell_part(options.out, "matrices", part)


def _load_row(n_rows: int) -> dict[str, Any]:
    return {
        "load_id": "v1", "target": VARIANTS.name, "subject": "bench", "path": "bench", "content_id": "bench",
        "build": "GRCh37", "selection": {}, "reader": "builtin", "reader_reason": "bench", "versions": {},
        "rows_in": n_rows, "rows_out": n_rows, "rows_quarantined": 0, "alleles_out": n_rows, "warnings": {},
        "warned_at": {}, "seconds": 0.0, "loaded_at": datetime.datetime.now(datetime.UTC),
    }  # fmt: skip


if __name__ == "__main__":
    main()
