"""Where the seconds of a load go: what one task does with a file, on one core and without Spark, a stage at a time.

    python parts.py build/bench/phase3-50000.vcf.gz

Each stage does all that the one before it does and something more; what it adds is the difference. The least of a few
rounds is shown: it is what the stage needs when nothing disturbs it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from kgp.genome import get_build
from kgp.io.splits import Split, plan_splits, read_pieces
from kgp.io.vcf import Layout, Selection, read_header
from kgp.io.vcf.builtin import SplitTask, read_rows
from kgp.io.vcf.conformance import LineChecker

Stage = tuple[str, Callable[[Split], object]]


def list_stages(vcf: Path, out: Path) -> list[Stage]:
    """Name and work of each stage; the last one writes below `out`."""
    header = read_header(str(vcf))
    layout = Layout.make(header, get_build("GRCh37"), Selection(), callset="bench", load_id="bench")
    checker = LineChecker.of(header)
    looking = SplitTask(layout=layout, checker=checker, path=str(vcf), roots=(None, None))
    writing = SplitTask(
        layout=layout, checker=checker, path=str(vcf), roots=(str(out / "variants"), str(out / "quarantine"))
    )
    return [
        ("read, inflate", lambda split: deque(read_pieces(split), maxlen=0)),
        ("parse, count", lambda split: deque(read_rows(layout, split), maxlen=0)),
        ("check", looking),
        ("write", writing),
    ]


def measure(vcf: Path, rounds: int) -> dict[str, float]:
    """Stage → seconds that it adds to the stage before it."""
    least: dict[str, float] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as out:
            for name, work in list_stages(vcf, Path(out)):
                began = time.perf_counter()
                for split in plan_splits(str(vcf)):
                    work(split)
                seconds = time.perf_counter() - began
                least[name] = min(seconds, least.get(name, seconds))
    before = [0.0, *least.values()]
    return {name: total - earlier for (name, total), earlier in zip(least.items(), before, strict=False)}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Seconds of each stage of a load, on one core.")
    parser.add_argument("vcf", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    parts = measure(given.vcf, given.rounds)
    for name, seconds in parts.items():
        print(f"{name:<14} {seconds:6.2f} s")
    print(f"{'all of it':<14} {sum(parts.values()):6.2f} s")


if __name__ == "__main__":
    main()
