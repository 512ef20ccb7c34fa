"""The whole page: one HTML file that needs nothing else, neither network nor script."""

from __future__ import annotations

from collections.abc import Sequence

from kgp.report.facts import Facts
from kgp.report.markup import Section, escape
from kgp.report.sections_expression import describe_components, describe_quality, describe_runs
from kgp.report.sections_genotypes import describe_frequencies, describe_genotypes
from kgp.report.sections_lake import describe_lake, describe_loads, describe_quarantine
from kgp.report.sections_mapping import describe_mappings
from kgp.report.sections_matrices import describe_matrices
from kgp.report.sections_people import describe_conflicts, describe_overlap, describe_people

# What tells a file of this kind from any other.
MARK = '<meta name="generator" content="kgp report">'

_STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1b1f24; --soft: #57606a; --faint: #e3e6ea;
  --tint: #f5f6f8; --blue: #0072b2; --indigo: #332288; --wine: #882255; --link: #0b5cad; --alarm: #a84300; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e4e7eb; --soft: #a3abb5; --faint: #333a42;
  --tint: #1d2126; --blue: #4aa8e8; --indigo: #9a8cf0; --wine: #e795c3; --link: #7ab8f5; --alarm: #ff9a57; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main, header, footer { max-width: 1180px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 28px; }
h1 { font-size: 1.75rem; margin: 0 0 .2rem; line-height: 1.2; }
h2 { font-size: 1.3rem; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .3rem; overflow-wrap: anywhere; }
p { margin: .4rem 0 .8rem; max-width: 46rem; overflow-wrap: anywhere; }
a { color: var(--link); }
code { font: .88em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
section { padding: 1.6rem 0 1.2rem; border-top: 1px solid var(--faint); scroll-margin-top: 8px; }
nav ol { list-style: none; padding: 0; margin: 1rem 0 1.6rem; display: flex; flex-wrap: wrap; gap: .35rem .6rem; }
nav a { display: block; overflow-wrap: anywhere; padding: .2rem .7rem; border: 1px solid var(--faint);
  border-radius: 1rem; text-decoration: none; font-size: .92rem; }
nav a:hover, nav a:focus { background: var(--tint); }
.summary { font-size: 1.05rem; }
.missing { border-left: 4px solid var(--alarm); background: var(--tint); padding: .6rem .9rem; }
.note, figcaption { color: var(--soft); font-size: .88rem; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem 2.2rem; align-items: flex-start; }
.figures > * { flex: 1 1 420px; min-width: 0; max-width: 576px; }
.figures > .table { margin-top: 1.2rem; }
.figures > .table table { font-size: .84rem; }
.figures td, .figures th { padding-right: .6rem; }
figure { margin: .8rem 0 1rem; max-width: 634px; }
figure svg { display: block; width: 100%; height: auto; overflow: visible; }
figure text { paint-order: stroke; stroke: var(--paper); stroke-width: 2px; stroke-linejoin: round; }
figcaption { margin-top: .3rem; max-width: 40rem; overflow-wrap: anywhere; }
.table { overflow-x: auto; margin: .6rem 0 1rem; }
details .table { max-height: 34rem; }
.table:focus-visible { outline: 2px solid var(--link); }
table { border-collapse: collapse; font-size: .88rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--faint); vertical-align: top;
  max-width: 34rem; overflow-wrap: break-word; }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
td.n, td.t { white-space: nowrap; }
details { margin: .6rem 0; }
summary { cursor: pointer; color: var(--link); font-size: .92rem; }
details.source > p { font-size: .88rem; }
pre { background: var(--tint); padding: .6rem .8rem; margin: .4rem 0; overflow-x: auto; white-space: pre-wrap;
  border-radius: 4px; }
footer { color: var(--soft); font-size: .88rem; padding-bottom: 40px; border-top: 1px solid var(--faint); }
@media (max-width: 520px) { main, header, footer { padding-left: 14px; padding-right: 14px; }
  .figures > * { flex-basis: 100%; } h1 { font-size: 1.4rem; } }
@media print { figure text { stroke: none; }
  :root { color-scheme: light; --paper: #ffffff; --ink: #000000; --soft: #444444; --faint: #d5d8dc;
  --tint: #f5f6f8; --blue: #0072b2; --indigo: #332288; --wine: #882255; --link: #000000; }
  nav { display: none; } .table, details .table { max-height: none; overflow: visible; }
  figure, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; } body { font-size: 11pt; } }
"""


def make_page(facts: Facts) -> str:
    """The report as HTML; the same facts give the same text.

    Args:
        facts: what it shows.
    """
    sections = [
        describe_lake(facts),
        describe_people(facts),
        describe_overlap(facts),
        describe_genotypes(facts),
        describe_frequencies(facts),
        describe_runs(facts),
        describe_components(facts),
        describe_quality(facts),
        describe_matrices(facts),
        describe_mappings(facts),
        describe_loads(facts),
        describe_quarantine(facts),
        describe_conflicts(facts),
    ]
    return make_html("What is in the lake", facts.lake, facts.version, "kgp report", sections)


def make_html(heading: str, lake: str, version: str, command: str, sections: Sequence[Section]) -> str:
    """Sections as a page that needs nothing else.

    Args:
        heading: of the page, plain text.
        lake: what it speaks of.
        version: of kgp.
        command: that writes such pages.
        sections: in order.
    """
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{MARK}\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(f"kgp: {lake}")}</title>\n<style>{_STYLE}</style>\n</head>\n'
        f"<body>\n<header><h1>{escape(heading)}</h1><p><code>{escape(lake)}</code></p>{_contents(sections)}</header>\n"
        f"<main>\n{''.join(map(_section, sections))}</main>\n"
        f"<footer><p>Written by kgp {escape(version)} (<code>{escape(command)}</code>) from the tables as they were at "
        "the versions named above. The page is complete in itself: it loads nothing.</p></footer>\n</body>\n</html>\n"
    )


def _contents(sections: Sequence[Section]) -> str:
    entries = "".join(f'<li><a href="#{one.name}">{escape(one.title)}</a></li>' for one in sections)
    return f'<nav aria-label="Contents"><ol>{entries}</ol></nav>'


def _section(section: Section) -> str:
    blocks = "\n".join(section.blocks)
    return (
        f'<section id="{section.name}" aria-labelledby="{section.name}-heading">\n'
        f'<h2 id="{section.name}-heading">{escape(section.title)}</h2>\n'
        f'<p class="summary">{escape(section.summary)}</p>\n{blocks}\n{section.source}\n</section>\n'
    )
