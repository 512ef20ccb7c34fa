"""A subset of a callset's samples: kgp from its tables, bcftools and PLINK 2 from the file. Equal records are asserted.

    python subset.py                       280 of 2,504 samples, 50,000 records; prints the page of eQTL benchmarks
    python subset.py --rows 2000 --runs 1
    python subset.py --out docs            what `make bench-eqtl` does

All use the same cores: bcftools compresses in as many threads besides its own. Both write BGZF at level 5. The callset
is loaded before the clock runs, and Spark stopped; an export of this size starts none. kgp reads its list of samples,
plans, writes, puts the file together and indexes it; bcftools writes without an index.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pgenlib
import pysam
from eqtl_part import begin_part, tell_part
from make_vcf import ROOT, write_vcf

from kgp.config import Config, load_config
from kgp.io.delta import Lake
from kgp.io.parts import read_part
from kgp.io.pgen import write_pgen
from kgp.job import Progress, run_job
from kgp.jobs.export_vcf import EXPORT_VCF
from kgp.jobs.load_variants import LOAD_VARIANTS
from kgp.params import ExportVcf, LoadVariants, SessionParams
from kgp.session import get_session
from kgp.tables import VARIANTS

CALLSET, LEVEL = "bench", 5


def run(*command: object) -> bytes:
    """Run a program; what it prints.

    Raises:
        RuntimeError: it failed.
    """
    done = subprocess.run([str(part) for part in command], capture_output=True)
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace")[-500:])
    return done.stdout


def prepare(vcf: Path, lake: Path, cores: int) -> Config:
    """Load the file, once, in a session with that many cores."""
    here = load_config(lake=str(lake), environ={"KGP_SESSION_MASTER": f"local[{cores}]"})
    params = here.params(LoadVariants, {"callset": CALLSET, "vcf": (str(vcf),), "build": "GRCh37"})
    run_job(LOAD_VARIANTS, params, here, progress=Progress(quiet=True))
    get_session(here.params(SessionParams), app_name="kgp bench").stop()
    return here


def export(here: Config, out: Path, listed: Path) -> None:
    """`kgp export vcf --samples`."""
    given = {"callset": CALLSET, "out": str(out), "samples": str(listed)}
    run_job(EXPORT_VCF, here.params(ExportVcf, given), here, progress=Progress(quiet=True))


def write_genotypes(here: Config, out: Path, places: list[int]) -> None:
    """The same people's copies of each ALT as a .pgen, by one process."""

    def refuse() -> object:
        raise RuntimeError("No session is needed.")

    parts = Lake(refuse, here.lake).parts(VARIANTS, partitions={"callset": [CALLSET]})  # type: ignore[arg-type]

    def blocks() -> object:
        for part in parts:
            for batch in read_part(part, VARIANTS, ["dosages"], batch_rows=2_000):
                flat = batch["dosages"].flatten().fill_null(-1).to_numpy(zero_copy_only=False)
                yield flat.reshape(batch.num_rows, -1).take(places, axis=1)

    write_pgen(out, sum(part.n_rows for part in parts), len(places), blocks())  # type: ignore[arg-type]


def check_equal(one: Path, other: Path) -> int:
    """Assert that two files have the same records, whole lines of them; how many."""
    first, second = (run("bcftools", "view", "-H", path) for path in (one, other))
    if first != second:
        pairs = zip(first.splitlines(), second.splitlines(), strict=False)
        different = next((a[:300], b[:300]) for a, b in pairs if a != b)
        raise AssertionError(f"{one.name} and {other.name} differ: {different}")
    return first.count(b"\n")


def check_counts(pgen: Path, vcf: Path, n_samples: int) -> None:
    """Assert that the copies of ALT add up to what bcftools counts."""
    text = run("bcftools", "query", "-f", "%INFO/AC\n", vcf).decode().replace("\n", ",")
    counts = np.array([int(one) for one in text.split(",") if one])
    with pgenlib.PgenReader(bytes(pgen), raw_sample_ct=n_samples) as reader:
        found = np.zeros((reader.get_variant_ct(), n_samples), np.int8)
        reader.read_range(0, len(found), found)
    assert np.array_equal(np.where(found < 0, 0, found).sum(axis=1), counts)


def time_all(works: dict[str, Callable[[], object]], n_runs: int) -> dict[str, list[float]]:
    """Seconds of each work, in turn; each ran once before."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for round_number in range(n_runs + 1):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            if round_number:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def measure(part: dict[str, Any], given: argparse.Namespace) -> None:
    """All runs, in turn, into the part."""
    bench: Path = given.bench.absolute()
    vcf, work = bench / f"phase3-{given.rows}.vcf.gz", bench / "subset"
    if not vcf.is_file():
        write_vcf(vcf, rows=given.rows)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    with pysam.VariantFile(str(vcf)) as file:
        ids = list(file.header.samples)
    places = [i * len(ids) // given.samples for i in range(given.samples)]
    listed = work / "samples.txt"
    listed.write_text("".join(f"{ids[place]}\n" for place in places))
    here = prepare(vcf, work / "lake", given.cores)
    ours, theirs, pgen = work / "kgp.vcf.gz", work / "bcftools.vcf.gz", work / "kgp.pgen"

    def own() -> None:
        ours.unlink(missing_ok=True)
        export(here, ours, listed)

    view = ("bcftools", "view", "-S", listed, f"-Oz{LEVEL}", "--threads", given.cores, "-o", theirs, vcf)
    make = ("plink2", "--vcf", vcf, "--keep", listed, "--make-pgen", "--threads", given.cores)
    works: dict[str, Callable[[], object]] = {
        "kgp": own,
        "bcftools": lambda: run(*view),
        "kgp pgen": lambda: write_genotypes(here, pgen, places),
    }
    if shutil.which("plink2"):
        works["plink2 pgen"] = lambda: run(*make, "--out", work / "plink2")
    seconds = time_all(works, given.runs)
    n_records = check_equal(ours, theirs)
    check_counts(pgen, theirs, given.samples)
    shutil.rmtree(work)
    part |= {
        "rows": n_records, "samples": given.samples, "of": len(ids), "cores": given.cores, "seconds": seconds,
    }  # fmt: skip


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Seconds to extract a subset of samples.")
    parser.add_argument("--out", type=Path, help="directory of benchmarks/eqtl.md; default: it is printed")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--samples", type=int, default=280)
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each; the median counts")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--bench", type=Path, default=ROOT / "build" / "bench", help="where the VCF is kept")
    given = parser.parse_args()
    part = begin_part(given.runs, "bcftools")
    if shutil.which("bcftools"):
        measure(part, given)
    else:
        part["failed"]["subset"] = "bcftools is not installed: sudo apt-get install bcftools"
    tell_part(given.out, "subset", part)


if __name__ == "__main__":
    main()
