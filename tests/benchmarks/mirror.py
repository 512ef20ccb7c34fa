"""How fast files are listed, compared and staged, beside what the Azure SDK alone reads from the same server.

    python tests/benchmarks/mirror.py [--out docs] [--mib 512] [--names 100000] [--runs 5]

Azurite keeps the blobs on disk and answers on loopback, on the same cores. Ways take turns, so that what else the
machine does strikes both; a figure is the median. What is staged is compared with what was uploaded in every run.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import azure_reads
from azure_reads import ACCOUNT, BLOB, CONTAINER, DOOR, N_AT_ONCE, RANGE

from kgp.io.doors.azure import AzureDoor
from kgp.io.staging import open_target, stage
from servers.azurite import serve_azurite

# Their names are those of alignments, which nothing stages unless it is asked for.
SYNC = ("phase3", "--part", "alignments", "--read-in-place", "--door", f"azure=az://{CONTAINER}@{ACCOUNT}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write where it is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--names", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--sync", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.sync is not None:
        print(json.dumps(_sync(options.sync)))
        return
    result: dict[str, Any] = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": os.getloadavg()[0],
        "mib": options.mib,
        "names": options.names,
        "runs": options.runs,
    }
    with TemporaryDirectory() as directory:
        result["staging"] = measure_staging(Path(directory) / "big", options.mib << 20, options.runs)
        result["names_known"] = measure_names(Path(directory) / "names", options.names, options.runs)
    page = markdown(result)
    print(page)
    if options.out is not None:
        (options.out / "benchmarks" / "mirror.json").write_text(json.dumps(result, indent=1) + "\n")
        (options.out / "benchmarks" / "mirror.md").write_text(page)


def measure_staging(directory: Path, size: int, n_runs: int) -> dict[str, list[float]]:
    """Seconds of raw ranges by the SDK, and of a whole staging: ranges, MD5, file, in place."""
    data = os.urandom(1 << 20) * (size >> 20)
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    with serve_azurite(directory / "azurite", accounts={ACCOUNT: "c2VjcmV0"}) as azurite:
        azure_reads._prepare(azurite)
        azurite.upload(ACCOUNT, CONTAINER, {BLOB: data})
        del data
        ranges = [(start, min(start + RANGE, size)) for start in range(0, size, RANGE)]
        door = AzureDoor(DOOR)
        entry = door.stat(BLOB)
        assert entry is not None
        assert entry.md5 == digest
        number = iter(range(10**6))

        def by_sdk() -> None:
            parts = asyncio.run(azure_reads._read_by_sdk(azurite, ranges))
            assert sum(map(len, parts)) == size

        def by_kgp() -> None:
            place = directory / "staged" / str(next(number))
            staged = stage(entry, [door], open_target(str(place)), connections=N_AT_ONCE)
            assert (staged.md5, staged.is_verified) == (digest, True)
            (place / BLOB).unlink()

        ways: dict[str, Callable[[], None]] = {"sdk": by_sdk, "kgp": by_kgp}
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(n_runs + 1):
            for way, read in ways.items():
                began = time.perf_counter()
                read()
                seconds[way].append(time.perf_counter() - began)
        door.close()
    return {way: runs[1:] for way, runs in seconds.items()}  # the first opens connections and files


def measure_names(directory: Path, n_names: int, n_runs: int) -> list[dict[str, float]]:
    """List a container of so many names and compare it with a lake that knows them all, each in a fresh process."""
    with serve_azurite(directory / "azurite", accounts={ACCOUNT: "c2VjcmV0"}) as azurite:
        azure_reads._prepare(azurite)
        azurite.upload(ACCOUNT, CONTAINER, {"one": b"one"})
        time.sleep(6)  # Azurite writes its records every 5 seconds
        os.killpg(azurite.process.pid, signal.SIGTERM)
    azure_reads._multiply(directory / "azurite" / "__azurite_db_blob__.json", n_names)
    runs = []
    with serve_azurite(directory / "azurite", accounts={ACCOUNT: "c2VjcmV0"}) as azurite:
        environ = os.environ | azure_reads._environ(azurite)
        command = [sys.executable, __file__, "--sync", str(directory / "lake")]
        for number in range(n_runs + 1):
            made = subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE)
            run = json.loads(made.stdout.splitlines()[-1])
            assert (run["new"], run["same"]) == ((n_names, 0) if number == 0 else (0, n_names))
            runs.append(run)
    return runs


def _sync(lake: Path) -> dict[str, float]:
    """One `kgp sync` in this process, its listing timed apart."""
    from kgp.arguments import JOB_COMMANDS
    from kgp.config import load_config
    from kgp.job import Progress, run_job
    from kgp.jobs import sync_files

    taken = [0.0]
    take_listing = sync_files.take_listing

    def timed(*given: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return take_listing(*given, **named)
        finally:
            taken[0] = time.perf_counter() - began

    sync_files.take_listing = timed
    config = load_config(lake=str(lake), environ={})
    (command,) = (command for command in JOB_COMMANDS if command.words == ("sync",))
    source, _, part, _, _, door = SYNC
    params = config.params(
        command.params, {"source": source, "part": (part,), "read_in_place": True, "door": (door,)}
    )
    began = time.perf_counter()
    report = run_job(sync_files.SYNC_FILES, params, config, progress=Progress(quiet=True))
    whole = time.perf_counter() - began
    return {
        "new": report.details["new"],
        "same": report.details["same"],
        "listing": taken[0],
        "rest": whole - taken[0],
        "mb": azure_reads._peak_bytes() / 1e6,
    }


def markdown(result: dict[str, Any]) -> str:
    """The page."""
    size = result["mib"] << 20
    sdk, own = (median(result["staging"][way]) for way in ("sdk", "kgp"))
    first, *known = result["names_known"]
    listing, rest, mb = (median(run[name] for run in known) for name in ("listing", "rest", "mb"))
    share = sdk / own
    names = f"{result['names']:,}"

    def row(what: str, measured: str, target: str, met: bool) -> str:
        return f"| {what} | {measured} | {target} | {'yes' if met else '**no**'} |"

    spread = f"{min(result['staging']['kgp']):.2f}–{max(result['staging']['kgp']):.2f}"
    lines = [
        "# How fast the mirror is",
        "",
        "Written by `make bench` (tests/benchmarks/mirror.py); do not edit. The runs themselves are in "
        "[mirror.json](mirror.json).",
        "",
        f"Azurite keeps the blobs on disk and answers on loopback, on the same {result['cores']} cores. Medians of "
        f"{result['runs']} runs in turn, measured on {result['measured_at'][:10]}, load average "
        f"{result['load']:.2f} before the first.",
        "",
        "| what | measured | target | met |",
        "| --- | --- | --- | --- |",
        row(
            f"staging a blob of {result['mib']} MiB to a disk, MD5 included, beside raw ranges of the SDK into memory",
            f"{share:.0%}: {size / own / 1e6:.0f} MB/s ({own:.2f} s, {spread}) beside "
            f"{size / sdk / 1e6:.0f} MB/s ({sdk:.2f} s)",
            "≥ 80 %",
            share >= 0.8,
        ),
        row(f"listing {names} names", f"{listing:.1f} s", "< 10 s", listing < 10),
        row(f"most memory of a sync of {names} names", f"{mb:.0f} MB", "< 500 MB", mb < 500),
        row(f"a sync of {names} known files, nothing changed, after the listing", f"{rest:.1f} s", "< 5 s", rest < 5),
        "",
        f"The first sync of {names} new names took {first['listing'] + first['rest']:.1f} s in all, and "
        f"{first['mb']:.0f} MB. Both ways of reading have {N_AT_ONCE} ranges of {RANGE >> 20} MiB under way at once.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
