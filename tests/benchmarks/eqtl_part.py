"""A part of the page of eQTL benchmarks: when, where and with what it was measured; put beside the other parts."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import describe_machine
from eqtl_goals import PARTS, Record
from eqtl_page import markdown, svg

PACKAGES = ("kgp", "numpy", "pyarrow", "pyspark", "deltalake")


def begin_part(n_runs: int, *programs: str) -> dict[str, Any]:
    """What each part says of when and where; called before anything runs.

    Args:
        n_runs: runs of each work.
        programs: whose versions matter, those that are installed.
    """
    versions = {name: version(name) for name in PACKAGES}
    versions |= {name: read_version(name) for name in programs if shutil.which(name)}
    return {
        "measured_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "load": os.getloadavg()[0],
        "machine": describe_machine(sorted(os.sched_getaffinity(0)), {}),
        "versions": versions,
        "runs": n_runs,
        "failed": {},
    }


def read_version(program: str) -> str:
    """A program's own word for it: where it says Version, else its first line."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True)
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines()] or ["unknown"]
    named = (line.partition(":")[2].strip() for line in lines if "Version" in line)
    return next(named, lines[0].removeprefix(program).strip())


def write_part(docs: Path, name: str, part: dict[str, Any]) -> None:
    """Put a part into docs/benchmarks/eqtl.json, and write page and picture anew."""
    place = docs / "benchmarks"
    place.mkdir(parents=True, exist_ok=True)
    recorded = place / "eqtl.json"
    record: Record = json.loads(recorded.read_text(encoding="utf-8")) if recorded.is_file() else {}
    record = {one: {**record, name: part}[one] for one in PARTS if one == name or one in record}
    recorded.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (place / "eqtl.svg").write_text(svg(record), encoding="utf-8")
    (place / "eqtl.md").write_text(markdown(record, "eqtl.svg"), encoding="utf-8")


def tell_part(out: Path | None, name: str, part: dict[str, Any]) -> None:
    """Write the part, or without a directory print its page."""
    if out is None:
        print(markdown({name: part}, "eqtl.svg"))
    else:
        write_part(out, name, part)
