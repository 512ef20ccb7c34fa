"""Runs kgp and its peers over one file, in turn, on the same 2 cores, and writes what it found.

    python bench.py                                  into build/bench/report
    python bench.py --out docs                       what `make bench` does
    python bench.py --only kgp,plink2 --repeats 1 --rows 2000

`make bench BENCH="…"` hands options on.

A peer that is not there or fails is named with its reason in the report; it stops nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from make_vcf import write_vcf
from report import PEERS, markdown, svg

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CORES, SAMPLES, SEED = 2, 2504, 1
PROCESS_LIMIT = 1800  # seconds after which a process is given up


@dataclass(frozen=True)
class Case:
    """One process of the round.

    Args:
        name: as the report knows it; what stands before a dash is the tool.
        command: interpreter and runner, and the runner's options.
        cores: how many the process may use.
        twice: whether it reads the file with twice the rows.
        runs: runs in the process; the last one counts.
    """

    name: str
    command: tuple[str, ...]
    cores: int = CORES
    twice: bool = False
    runs: int = 2

    @property
    def tool(self) -> str:
        """The program that it measures."""
        return self.name.partition("-")[0]


def list_cases(bench: Path) -> list[Case]:
    """All processes of one round, in their order; Glow where its JAR is configured."""

    def runner(python: str | Path, script: str, *options: str) -> tuple[str, ...]:
        return (str(python), str(HERE / "peers" / script), *options)

    own = sys.executable
    peers = bench / "peers"
    kgp = runner(own, "run_kgp.py")
    glow = [Case("glow", runner(own, "run_glow.py"))] if os.environ.get("KGP_GLOW_JAR") else []
    return [
        Case("kgp", kgp),
        Case("plink2", runner(own, "run_programs.py", "--program", "plink2")),
        Case("kgp-local1", (*kgp, "--cores", "1")),
        Case("hail", runner(peers / "hail" / "bin" / "python", "run_hail.py")),
        Case("kgp-twice", kgp, twice=True),
        Case("bcftools", runner(own, "run_programs.py", "--program", "bcftools")),
        Case("bio2zarr", runner(peers / "bio2zarr" / "bin" / "python", "run_bio2zarr.py"), runs=1),
        Case("kgp-pinned1", (*kgp, "--cores", "1"), cores=1),
        *glow,
    ]


def run_case(case: Case, vcf: Path, work: Path, cores: Sequence[int]) -> dict[str, Any]:
    """Run one process and give what its runner told.

    Raises:
        RuntimeError: it failed; with the last line that it said.
    """

    def bind() -> None:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, cores[: case.cores])

    command = [*case.command, str(vcf), "--work", str(work), "--runs", str(case.runs)]
    try:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=bind,
            cwd=work.parent,
            start_new_session=True,
        )
    except OSError as problem:
        raise RuntimeError(str(problem)) from problem
    try:
        printed, said = process.communicate(timeout=PROCESS_LIMIT)
    except subprocess.TimeoutExpired as problem:
        raise RuntimeError(f"it had not ended after {PROCESS_LIMIT} s") from problem
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # with its JVM and its workers
            process.wait()
        shutil.rmtree(work, ignore_errors=True)
    if process.returncode:
        lines = (said + printed).strip().splitlines() or ["no message"]
        raise RuntimeError(lines[-1][:300])
    told: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
    return told


def describe_machine(cores: Sequence[int], versions: dict[str, str]) -> dict[str, str]:
    """The machine for the report: name → text."""

    def find(path: str, key: str, separator: str) -> str:
        try:
            lines = Path(path).read_text().splitlines()
        except OSError:
            return "unknown"
        found = (line.partition(separator)[2] for line in lines if line.startswith(key))
        return next(found, "unknown").strip(' "\t')

    java = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr.splitlines()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cpuinfo = "/proc/cpuinfo"
    family = f"family {find(cpuinfo, 'cpu family', ':')}, model {find(cpuinfo, 'model	', ':')}"
    return {
        "processor": f"{find(cpuinfo, 'model name', ':')} ({family}, {find(cpuinfo, 'cpu MHz', ':')} MHz)",
        "cores": f"{len(cores)} used of {os.cpu_count()}",
        "memory": f"{memory:.1f} GiB",
        "system": f"{find('/etc/os-release', 'PRETTY_NAME', '=')}, Linux {platform.release()}, {platform.machine()}"
        if sys.platform == "linux"
        else platform.platform(),
        "Python": platform.python_version(),
        "Java": java[0] if java else "unknown",
        **versions,
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure kgp and its peers.")
    parser.add_argument("--only", help="tools, separated by commas: kgp,hail,bio2zarr,plink2,bcftools,glow")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--bench", type=Path, default=ROOT / "build" / "bench", help="files and environments")
    parser.add_argument("--out", type=Path, help="directory of BENCHMARKS.md; default: BENCH/report")
    given = parser.parse_args()
    bench = given.bench.absolute()
    cases = list_cases(bench)
    if given.only:
        wanted = set(given.only.split(","))
        if strangers := wanted - {"kgp", *(peer.case for peer in PEERS)}:
            parser.error(f"no such tool: {', '.join(sorted(strangers))}")
        cases = [case for case in cases if case.tool in wanted]
    if given.repeats < 1 or given.rows < 1:
        parser.error("--repeats and --rows are at least 1")

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    files = {n: bench / f"phase3-{n}.vcf.gz" for n in (given.rows, 2 * given.rows)}
    for n, path in files.items():
        if not path.is_file():
            say(f"writing {path.name}")
            write_vcf(path, rows=n, samples=SAMPLES, seed=SEED)
    if any(case.tool != "kgp" for case in cases):
        environment = {**os.environ, "KGP_BENCH": str(bench)}
        subprocess.run([str(HERE / "setup_peers.sh")], check=True, env=environment)

    failed = {
        case.tool: (bench / "peers" / f"{case.tool}.failed").read_text().strip()
        for case in cases
        if (bench / "peers" / f"{case.tool}.failed").is_file()
    }
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(CORES))
    cores = allowed[:CORES]
    if len(cores) < CORES:
        parser.error(f"it needs {CORES} cores")
    result: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "rows": given.rows,
        "samples": SAMPLES,
        "repeats": given.repeats,
        "load_average": os.getloadavg()[0],
        "vcf_bytes": {
            "kgp": files[given.rows].stat().st_size,
            "kgp-twice": files[2 * given.rows].stat().st_size,
        },
        "runs": [],
        "failed": failed,
    }
    versions: dict[str, str] = {}
    for path in files.values():
        path.read_bytes()  # into the page cache: no tool pays for being first
    for repeat in range(given.repeats):
        for case in cases:
            if case.name in failed or case.tool in failed:
                continue
            try:
                told = run_case(case, files[given.rows * (1 + case.twice)], bench / "work", cores)
                if told["rows"] != given.rows * (1 + case.twice):
                    raise RuntimeError(f"it wrote {told['rows']} rows")
            except RuntimeError as problem:
                failed[case.name] = str(problem)
                say(f"{repeat + 1}/{given.repeats} {case.name}: {problem}")
                continue
            versions |= told.pop("versions")
            result["runs"].append({"case": case.name, "repeat": repeat, **told})
            say(
                f"{repeat + 1}/{given.repeats} {case.name}: {told['seconds']} s, cold {told['cold_seconds']} s"
            )
            time.sleep(1)  # what a process has left to the system does not burden the next one
    result["machine"] = describe_machine(cores, versions)

    out = given.out or bench / "report"
    (out / "benchmarks").mkdir(parents=True, exist_ok=True)
    (out / "benchmarks" / "vcf-load.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (out / "benchmarks" / "vcf-load.svg").write_text(svg(result), encoding="utf-8")
    (out / "BENCHMARKS.md").write_text(markdown(result, "benchmarks/vcf-load.svg"), encoding="utf-8")
    say(f"{out / 'BENCHMARKS.md'} is written")
    if any(name.startswith("kgp") for name in failed):
        sys.exit("kgp itself did not run")


if __name__ == "__main__":
    main()
