"""kgp: `load variants` as the command does it, each time into a fresh lake, in one warm session."""

from __future__ import annotations

import argparse
import os
from importlib.metadata import version
from pathlib import Path

import pyspark
from deltalake import DeltaTable
from timing import arguments, measure, tell

from kgp.config import Config, load_config
from kgp.io.delta import Lake
from kgp.job import Progress, Report, run_job
from kgp.jobs.load_variants import LOAD_VARIANTS
from kgp.params import LoadVariants, SessionParams
from kgp.session import get_session
from kgp.tables import VARIANTS


def peak_memory() -> dict[str, int]:
    """Highest resident bytes so far of: this process, its JVM, and the greatest of Spark's Python workers.

    The kernel keeps the peak of a process as long as it lives, and Spark keeps its workers: nothing is sampled.
    Empty where the system has no /proc.
    """
    if not Path("/proc/self/status").is_file():
        return {}
    parent, peak, words = {}, {}, {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            status = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
            words[int(place.name)] = (place / "cmdline").read_bytes().decode(errors="replace")
        except OSError:  # it has ended
            continue
        parent[int(place.name)] = int(status["PPid"])
        peak[int(place.name)] = int(status.get("VmHWM", "0 kB").split()[0]) * 1024

    def is_ours(pid: int) -> bool:
        while pid > 1 and pid != os.getpid():
            pid = parent.get(pid, 0)
        return pid == os.getpid()

    ours = [pid for pid in peak if pid in words and is_ours(pid)]
    workers = [peak[p] for p in ours if "pyspark.daemon" in words[p] or "pyspark.worker" in words[p]]
    jvms = [peak[p] for p in ours if "org.apache.spark.deploy" in words[p]]
    return {"driver": peak[os.getpid()], "jvm": max(jvms, default=0), "task": max(workers, default=0)}


def main() -> None:
    """Print the seconds as one line of JSON."""
    parser: argparse.ArgumentParser = arguments("kgp: load variants")
    parser.add_argument("--cores", type=int, default=2)
    given = parser.parse_args()
    config = load_config(environ={**os.environ, "KGP_SESSION_MASTER": f"local[{given.cores}]"})
    progress = Progress(quiet=True)
    progress.spark = get_session(config.params(SessionParams), app_name="kgp bench")
    params = config.params(LoadVariants, {"callset": "bench", "build": "GRCh37", "vcf": (str(given.vcf),)})
    reports: list[Report] = []

    def run(work: Path) -> None:
        to_lake = Config({**config.values, "": {**config.values[""], "lake": str(work / "lake")}})
        reports.append(run_job(LOAD_VARIANTS, params, to_lake, progress=progress))

    seconds = measure(run, given.work, given.runs)
    table = DeltaTable(Lake(progress.spark, str(given.work / "lake")).path(VARIANTS))
    tell(
        **seconds,
        rows=reports[-1].details["rows_out"],
        rows_in=reports[-1].details["rows_in"],
        rows_quarantined=reports[-1].details["rows_quarantined"],
        alleles=reports[-1].rows[VARIANTS.name],
        bytes=sum(Path(uri.removeprefix("file://")).stat().st_size for uri in table.file_uris()),
        files=len(table.file_uris()),
        commits=table.version() + 1,
        peak_memory=peak_memory(),
        versions={"kgp": version("kgp"), "pyspark": pyspark.__version__, "deltalake": version("deltalake")},
    )
    progress.spark.stop()


if __name__ == "__main__":
    main()
