"""From the recorded runs of `bench.py` to words, a table and a picture. Pure: a dict in, text out.

The dict, as bench.py writes it:

- ``date``, ``machine`` (name → text), ``rows``, ``samples``, ``repeats``, ``load_average``;
- ``vcf_bytes``: case → bytes of the bgzipped file that it read;
- ``runs``: one dict a process: ``case``, ``repeat`` and what its runner told (see peers/timing.py);
- ``failed``: case → why it has no (or not all its) runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any
from xml.sax.saxutils import escape

Result = dict[str, Any]

# Glow's JAR is not to be had from a registry; without one this rate stands for it.
GLOW_GENOTYPES_PER_SECOND = 6.17e6
GLOW_RECORDED = (
    "Glow built from its source of 2026-01-19 (commit 0ec6197d), Spark 3.5.7, `local[2]`, `genotype_states` to "
    "Parquet, 19,500 × 2,504 genotypes, median of 3"
)

MIB = 2**20


@dataclass(frozen=True)
class Peer:
    """Something that kgp is compared with.

    Args:
        case: its name among the runs.
        label: its name for people.
        does: what is timed.
        at_least: how many times kgp's seconds it must take; None for a peer that is shown for orientation.
        wanted: the target in words.
    """

    case: str
    label: str
    does: str
    at_least: float | None = None
    wanted: str = ""


PEERS = (
    Peer("plink2", "plink2", "`--make-pgen` (C++; no table)", 0.5, "kgp within 2 ×"),
    Peer("bcftools", "bcftools", "`view -Ob` (C; no table)"),
    Peer("hail", "Hail", "`import_vcf(min_partitions=2)`, write a MatrixTable", 5, "kgp ≥ 5 × faster"),
    Peer("glow", "Glow", "read, `genotype_states` to Parquet", 10, "kgp ≥ 10 × faster"),
    Peer("bio2zarr", "bio2zarr", "`vcf2zarr explode -p 2`, `encode -p 2`", 15, "kgp ≥ 15 × faster"),
)
KGP = Peer("kgp", "kgp", "`load variants`: table, statistics, ledger")


@dataclass(frozen=True)
class Time:
    """Seconds of one case over its repeats.

    Args:
        median: of the last run of each process, which finds the session warm.
        least: the same, least.
        most: the same, greatest.
        cold: median from the start of the process to the end of its first run; None where nothing was run.
        bytes: what is on disk afterwards; None where nothing was run.
        recorded: not measured with the others, but taken from a record.
    """

    median: float
    least: float
    most: float
    cold: float | None = None
    bytes: int | None = None
    recorded: bool = False


@dataclass(frozen=True)
class Goal:
    """A target of kgp's own figures: what, the figure, the target, and whether it is met (None: not measured)."""

    what: str
    figure: str
    target: str
    met: bool | None


def time_of(result: Result, case: str) -> Time | None:
    """The seconds of a case; None where it has no run."""
    runs = [run for run in result["runs"] if run["case"] == case]
    if not runs:
        if case != "glow":
            return None
        seconds = result["rows"] * result["samples"] / GLOW_GENOTYPES_PER_SECOND
        return Time(seconds, seconds, seconds, recorded=True)
    last = [run["seconds"][-1] for run in runs]
    cold = median(run["cold_seconds"] for run in runs)
    return Time(median(last), min(last), max(last), cold, int(median(run["bytes"] for run in runs)))


def is_met(result: Result, peer: Peer) -> bool | None:
    """Whether kgp reaches its target against the peer; None where there is none, or nothing to compare."""
    ours, theirs = time_of(result, "kgp"), time_of(result, peer.case)
    if peer.at_least is None or ours is None or theirs is None:
        return None
    return theirs.median >= peer.at_least * ours.median


def goals(result: Result) -> list[Goal]:
    """kgp's own figures: size, memory, cores, rows."""
    ours, twice = time_of(result, "kgp"), time_of(result, "kgp-twice")
    one, pinned = time_of(result, "kgp-local1"), time_of(result, "kgp-pinned1")
    found = []

    def add(what: str, target: str, value: float | None, shown: str, met: bool) -> None:
        found.append(
            Goal(what, shown if value is not None else "not measured", target, met if value else None)
        )

    size = ours.bytes / result["vcf_bytes"]["kgp"] if ours and ours.bytes else None
    add(
        "size of `variants` on disk ÷ the bgzipped VCF",
        "≤ 1.0",
        size,
        f"{size or 0:.2f} ({(ours.bytes or 0) / 1e6 if ours else 0:.1f} MB)",
        (size or 0) <= 1.0,
    )
    for case, rows in (("kgp", result["rows"]), ("kgp-twice", 2 * result["rows"])):
        peaks = [run.get("peak_memory", {}).get("task", 0) for run in result["runs"] if run["case"] == case]
        peak = max(peaks, default=0) or None
        shown = f"{(peak or 0) / MIB:,.0f} MiB"
        add(f"peak memory of a task, {rows:,} rows", "≤ 1,024 MiB", peak, shown, (peak or 0) <= 1024 * MIB)
    processes = [
        run["peak_memory"] for run in result["runs"] if run["case"] == "kgp" and run.get("peak_memory")
    ]
    if processes:
        python, jvm = (max(peak[name] for peak in processes) / MIB for name in ("driver", "jvm"))
        shown = f"{python:,.0f} MiB, {jvm:,.0f} MiB"
        found.append(Goal("peak memory of the driver's Python and JVM, for orientation", shown, "", None))
    gain = one.median / ours.median if one and ours else None
    text = f"{gain or 0:.2f} × ({one.median if one else 0:.2f} s → {ours.median if ours else 0:.2f} s)"
    add("1 → 2 cores (`local[1]` → `local[2]`)", "≥ 1.8 ×", gain, text, (gain or 0) >= 1.8)
    if pinned and ours:
        text = f"{pinned.median / ours.median:.2f} × ({pinned.median:.2f} s)"
        found.append(Goal("the same, `local[1]` bound to one core, for orientation", text, "", None))
    longer = twice.median / ours.median if twice and ours else None
    text = f"{longer or 0:.2f} × ({twice.median if twice else 0:.2f} s)"
    add("twice the rows", "≤ 2.05 × the time", longer, text, (longer or 0) <= 2.05)
    return found


def _yes(met: bool | None) -> str:
    return {True: "yes", False: "**no**", None: ""}[met]


def _table(head: list[str], rows: list[list[str]], right: set[int]) -> list[str]:
    rule = ["---:" if i in right else "---" for i in range(len(head))]
    return [
        "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |" for cells in (head, rule, *rows)
    ]


def _row(result: Result, peer: Peer, ours: Time | None) -> list[str]:
    time = time_of(result, peer.case)
    if time is None:
        reason = result["failed"].get(peer.case, "it was left out of this run")
        return [peer.label, peer.does, "not measured", reason, "", "", "", peer.wanted, ""]
    if time.recorded:
        between, cold, size = "recorded, not measured", "", ""
    else:
        between = f"{time.least:.2f}–{time.most:.2f}"
        cold, size = f"{time.cold or 0:.1f}", f"{(time.bytes or 0) / 1e6:.1f}"
    ratio = f"{time.median / ours.median:.1f} ×" if ours and peer is not KGP else ""
    met = _yes(is_met(result, peer))
    return [peer.label, peer.does, f"{time.median:.2f}", between, cold, size, ratio, peer.wanted, met]


def markdown(result: Result, picture: str) -> str:
    """docs/BENCHMARKS.md.

    Args:
        result: the recorded runs.
        picture: the picture's place, as the page names it.
    """
    ours = time_of(result, "kgp")
    vcf = result["vcf_bytes"]["kgp"]
    head = ["tool", "what is timed", "s", "min–max", "cold process, s", "MB", "÷ kgp", "target", "met"]
    peers = _table(head, [_row(result, peer, ours) for peer in (KGP, *PEERS)], {2, 3, 4, 5, 6})
    own = _table(
        ["kgp itself", "measured", "target", "met"],
        [[g.what, g.figure, g.target, _yes(g.met)] for g in goals(result)],
        set(),
    )
    machine = _table(["", ""], [[name, text] for name, text in result["machine"].items()], set())
    failed = [f"- {case}: {reason}" for case, reason in result["failed"].items()]
    lines = [
        "# How fast a VCF is loaded",
        "",
        "Written by `make bench` (tests/benchmarks); do not edit. The runs themselves are in",
        "[benchmarks/vcf-load.json](benchmarks/vcf-load.json).",
        "",
        f"The file: {result['rows']:,} rows × {result['samples']:,} samples, {vcf / 1e6:.1f} MB bgzipped, made by",
        "`tests/benchmarks/make_vcf.py`: allele counts ∝ 1/k, phased GT, the INFO of a phase 3 release file, carriers",
        "that are relatives. All tools run on the same 2 cores in turn,",
        f"{result['repeats']} times round; a figure is the median. Measured on {result['date']}, load average",
        f"{result['load_average']:.2f} before the first run.",
        "",
        f"![Seconds of each tool as bars]({picture})",
        "",
        *peers,
        "",
        "`s` begins with a ready Spark session, or with the start of the program where there is none, and ends with",
        "the last commit or the last byte written. Tools with a session are timed at their second load in it, kgp into",
        "a fresh lake, with table creation, all columns, statistics and ledger, with default options. `cold process`",
        "goes from the start of a process to the end of its first load. `MB` is what is on disk afterwards.",
        f"Glow's recorded rate: {GLOW_GENOTYPES_PER_SECOND / 1e6:.2f} million genotypes a second ({GLOW_RECORDED}).",
        "With its JAR in `KGP_GLOW_JAR` it is measured with the others.",
        "",
        *own,
        "",
        "The memory of a task is the highest resident size of any of Spark's Python workers.",
        "",
        *(["## What did not run", "", *failed, ""] if failed else []),
        "## The machine",
        "",
        *machine,
        "",
    ]
    return "\n".join(lines)


def svg(result: Result) -> str:
    """Horizontal bars of the medians with their least and greatest, on a linear scale from 0."""
    width, left, right, top, step, bar = 760, 110, 90, 52, 40, 22
    rows = sorted(
        ((peer, time_of(result, peer.case)) for peer in (KGP, *PEERS)),
        key=lambda row: row[1].median if row[1] else float("inf"),
    )
    longest = max((time.most for _, time in rows if time), default=1.0)
    scale = (width - left - right) / longest
    height = top + step * len(rows) + 16
    title = f"Seconds to load {result['rows']:,} variants × {result['samples']:,} samples on 2 cores"
    note = f"median of {result['repeats']}, second load in a warm session; shorter is better"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'font-family="system-ui, sans-serif" font-size="14" fill="#1f2933">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="22" font-size="16" font-weight="600">{escape(title)}</text>',
        f'<text x="12" y="40" font-size="12" fill="#52606d">{escape(note)}</text>',
    ]
    for i, (peer, time) in enumerate(rows):
        y = top + step * i
        middle = y + step / 2
        weight = ' font-weight="600"' if peer is KGP else ""
        parts.append(
            f'<text x="{left - 10}" y="{middle + 5}" text-anchor="end"{weight}>{escape(peer.label)}</text>'
        )
        if time is None:
            parts.append(f'<text x="{left}" y="{middle + 5}" fill="#52606d">not measured</text>')
            continue
        look = (
            'fill="#ffffff" stroke="#829ab1" stroke-dasharray="4 3"'
            if time.recorded
            else 'fill="#0b7285"'
            if peer is KGP
            else 'fill="#9fb3c8"'
        )
        length = max(1.0, time.median * scale)
        parts.append(f'<rect x="{left}" y="{middle - bar / 2}" width="{length:.1f}" height="{bar}" {look}/>')
        if time.most > time.least:
            ends = f'x1="{left + time.least * scale:.1f}" x2="{left + time.most * scale:.1f}"'
            parts.append(f'<line {ends} y1="{middle}" y2="{middle}" stroke="#1f2933" stroke-width="1.5"/>')
        text = f"{time.median:.2f} s" if time.median < 10 else f"{time.median:.1f} s"
        if time.recorded:
            parts.append(
                f'<text x="{left + 10}" y="{middle + 5}" fill="#52606d">recorded, not measured</text>'
            )
        x = left + max(length, time.most * scale) + 8
        parts.append(f'<text x="{x:.1f}" y="{middle + 5}"{weight}>{text}</text>')
    return "\n".join([*parts, "</svg>", ""])
