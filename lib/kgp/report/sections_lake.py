"""Sections on the lake as a whole: its tables, its loads, and what could not be loaded."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from kgp.amounts import count
from kgp.report.facts import Facts
from kgp.report.figures_steps import MOST_REASONS, draw_quarantine
from kgp.report.markup import Section, figure, missing, side_by_side, source, table
from kgp.report.style import to_svg


def versions_of(facts: Facts, *names: str) -> list[tuple[str, int]]:
    """Those of the tables that are there, with their versions."""
    return [(one.name, one.version) for one in facts.tables if one.name in names]


def command(facts: Facts, text: str) -> str:
    """A command of kgp for this lake, as a shell reads it."""
    return f"kgp {text} --lake {shlex.quote(facts.lake)}"


def describe_lake(facts: Facts) -> Section:
    """Which tables there are, how large they are, and what they speak of."""
    size = sum(one.n_bytes for one in facts.tables)
    callsets = [one.callset for one in facts.genotypes]
    datasets = sorted({one.dataset for one in facts.runs} | {one.dataset for one in facts.quantifications})
    n_people = sum(one.n_people for one in facts.populations)
    parts = [
        count(n_people, "person", "people"),
        _named(callsets, "callset"),
        _named(datasets, "expression dataset"),
        _named([one.name for one in facts.matrices], "matrix set"),
    ]
    summary = (
        f"The lake holds {', '.join(parts[:-1])} and {parts[-1]}, in {count(len(facts.tables), 'table')} of "
        f"{_bytes(size)}, from {count(len(facts.loads), 'load')}."
    )
    rows = [(one.name, one.n_rows, one.grain, one.version, _bytes(one.n_bytes)) for one in facts.tables]
    headers = ("table", "rows", "one row per", "version", "size")
    told = '<p class="note">The same at any time: <code>kgp tables</code>; every column: <code>kgp describe</code>.</p>'
    listed = table("Tables", headers, rows, is_folded=False)
    return Section("lake", "The lake", summary, (listed, told))


def describe_loads(facts: Facts) -> Section:
    """Which files were loaded, and that no record is unaccounted for."""
    if not facts.loads:
        return Section(
            "loads",
            "Loads",
            "Nothing has been loaded yet.",
            (missing("No file has been loaded.", command(facts, "load samples --panel FILE")),),
        )
    rows_in, rows_out, bad = (
        sum(getattr(one, name) for one in facts.loads) for name in ("rows_in", "rows_out", "rows_quarantined")
    )
    summary = (
        f"{count(len(facts.loads), 'file')} with {count(rows_in, 'record')}: {rows_out:,} loaded, {bad:,} in "
        "quarantine. The two add up for every file."
    )
    rows = [
        (
            one.path, one.target, one.subject, one.build, one.reader, one.rows_in, one.rows_out, one.rows_quarantined,
            one.alleles_out, one.seconds, one.loaded_at, one.load_id,
        )
        for one in facts.loads
    ]  # fmt: skip
    headers = (
        "file", "into", "of", "build", "reader", "records", "loaded", "in quarantine", "rows written", "seconds",
        "at (UTC)", "load",
    )  # fmt: skip
    odd = [(one.path, what, n) for one in facts.loads for what, n in sorted(one.warnings.items())]
    blocks = [table("Loads, the earliest first", headers, rows)]
    if odd:
        blocks.append(table("What was odd but loaded", ("file", "what", "times"), odd))
    told = source(versions_of(facts, "loads"), (), ["SELECT * FROM loads ORDER BY loaded_at"])
    return Section("loads", "Loads", summary, tuple(blocks), told)


def describe_quarantine(facts: Facts) -> Section:
    """Which records could not be loaded, and why."""
    told = source(
        versions_of(facts, "quarantine"),
        sorted({one.load_id for one in facts.quarantine}),
        ["SELECT path, reason, count(*) AS n FROM quarantine GROUP BY ALL ORDER BY n DESC"],
    )
    if not facts.quarantine:
        said = "No record is in quarantine: every record of every loaded file became rows."
        return Section("quarantine", "Quarantine", said if facts.loads else "Nothing has been loaded yet.")
    n = sum(one.n for one in facts.quarantine)
    reasons, files = {one.reason for one in facts.quarantine}, {one.path for one in facts.quarantine}
    summary = (
        f"{count(n, 'record')} of {count(len(files), 'file')} could not be loaded, for "
        f"{count(len(reasons), 'reason')}. Their lines are kept, byte for byte."
    )
    svg = to_svg(
        draw_quarantine(facts.quarantine), "quarantine-figure", "Records in quarantine by reason", summary
    )
    caption = "Records in quarantine by reason, over all files."
    if len(reasons) > MOST_REASONS:
        caption += f" The {MOST_REASONS} most frequent of {len(reasons):,} reasons; the table has all."
    rows = [(one.path, one.reason, one.n) for one in facts.quarantine]
    listed = table("Reasons by file", ("file", "reason", "records"), rows)
    blocks = (side_by_side([figure(svg, caption), listed]),)
    return Section("quarantine", "Quarantine", summary, blocks, told)


def _named(names: Iterable[str], noun: str) -> str:
    """``2 callsets (a, b)``.

    >>> _named(["phase3"], "callset"), _named([], "callset")
    ('1 callset (phase3)', 'no callset')
    """
    listed = list(names)
    if not listed:
        return f"no {noun}"
    return f"{count(len(listed), noun)} ({', '.join(listed)})"


def _bytes(n: int) -> str:
    """Bytes for people.

    >>> _bytes(999), _bytes(20_480_000)
    ('999 bytes', '20.5 MB')
    """
    amount = float(n)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:,.0f} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"
