"""Pieces of HTML: everything that comes from a lake goes through `escape`."""

from __future__ import annotations

import datetime
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kgp.amounts import count

Cell = str | int | float | datetime.datetime | None

# Rows of a table that stay in sight; longer ones are folded.
MOST_OPEN = 12
# Rows that a table shows at all; how many are left out is said.
MOST_ROWS = 2_000


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Args:
        name: its anchor.
        title: its heading, and the entry in the table of contents.
        summary: one or two sentences, plain text.
        blocks: HTML of figures, tables and notes, in order.
        source: HTML that says where the numbers come from.
    """

    name: str
    title: str
    summary: str
    blocks: tuple[str, ...] = ()
    source: str = ""


def escape(text: object) -> str:
    """Text as HTML shows it.

    >>> escape('<b>"a" & b</b>')
    '&lt;b&gt;&quot;a&quot; &amp; b&lt;/b&gt;'
    """
    return html.escape(str(text))


def show(value: Cell) -> str:
    """A cell's value as text.

    >>> show(12345), show(0.01234), show(None), show(datetime.datetime(2024, 1, 2, 3, 4, 5))
    ('12,345', '0.0123', '–', '2024-01-02 03:04')
    """
    if value is None or value == "":
        return "–"
    if isinstance(value, float):
        text = f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3g}"
        return "–" if value != value else text.replace("-", "−", 1) if value < 0 else text
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return str(value)


def table(
    caption: str, headers: Sequence[str], rows: Iterable[Sequence[Cell]], *, is_folded: bool | None = None
) -> str:
    """A table, folded where it is long; numbers stand to the right.

    Args:
        caption: what it holds, plain text.
        headers: of its columns.
        rows: their cells.
        is_folded: whether it is folded; None decides by its length.
    """
    listed = list(rows)
    is_number = [
        any(isinstance(row[i], int | float) for row in listed)
        and all(row[i] is None or isinstance(row[i], int | float) for row in listed)
        for i in range(len(headers))
    ]
    is_time = [any(isinstance(row[i], datetime.datetime) for row in listed) for i in range(len(headers))]
    marks = [
        ' class="n"' if number else ' class="t"' if time else ""
        for number, time in zip(is_number, is_time, strict=True)
    ]
    head = "".join(
        f'<th scope="col"{mark}>{escape(name)}</th>' for name, mark in zip(headers, marks, strict=True)
    )
    body = "\n".join(
        "<tr>"
        + "".join(f"<td{mark}>{escape(show(cell))}</td>" for cell, mark in zip(row, marks, strict=True))
        + "</tr>"
        for row in listed[:MOST_ROWS]
    )
    more = len(listed) - MOST_ROWS
    note = f'<p class="note">{more:,} more rows are not shown: see the query below.</p>' if more > 0 else ""
    whole = (
        f'<div class="table" role="region" aria-label="{escape(caption)}" tabindex="0"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
        f"{note}"
    )
    if is_folded is False or (is_folded is None and len(listed) <= MOST_OPEN):
        return whole
    return f"<details><summary>{escape(caption)}: {count(len(listed), 'row')}</summary>{whole}</details>"


def figure(svg: str, caption: str) -> str:
    """A figure with its caption, plain text."""
    return f"<figure>{svg}<figcaption>{escape(_unbroken(caption))}</figcaption></figure>"


def side_by_side(figures: Sequence[str]) -> str:
    """Figures, or a figure and its table, in a row where the page is wide enough."""
    return f'<div class="figures">{"".join(figures)}</div>'


def note(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(_unbroken(text))}</p>"


def heading(text: str) -> str:
    """A heading within a section, plain text."""
    return f"<h3>{escape(text)}</h3>"


def missing(text: str, command: str) -> str:
    """What is not there, and the command that brings it."""
    return f'<p class="missing">{escape(_unbroken(text))} Run: <code>{escape(command)}</code></p>'


def source(tables: Iterable[tuple[str, int]], load_ids: Sequence[str], queries: Sequence[str]) -> str:
    """Where numbers come from, folded.

    Args:
        tables: (name, Delta version).
        load_ids: loads that the rows come from; none where they come from all.
        queries: SQL that gives the numbers again.
    """
    named = ", ".join(f"<code>{escape(name)}</code> version {version}" for name, version in tables)
    loads = ", ".join(f"<code>{escape(load_id)}</code>" for load_id in load_ids)
    parts = [f"<p>Tables: {named}.</p>" if named else "", f"<p>Loads: {loads}.</p>" if loads else ""]
    parts += [f'<pre class="sql"><code>{escape(query)}</code></pre>' for query in queries]
    told = "<p>With <code>kgp query</code>:</p>" if queries else ""
    body = "".join(parts[:2]) + told + "".join(parts[2:])
    return f'<details class="source"><summary>Where this comes from</summary>{body}</details>'


def _unbroken(text: str) -> str:
    """A number and its percent sign stay on one line."""
    return text.replace(" %", "\u00a0%")
