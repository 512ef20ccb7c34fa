"""The table dictionary, written from the declarations: `kgp describe TABLE` and docs/TABLES.md.

``python -m kgp.tabledocs docs/TABLES.md`` writes the page; with ``--check`` before the path it only says whether the
page is what would be written.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from kgp.errors import UsageError
from kgp.io.output import align
from kgp.table import Table
from kgp.tables import ALL_TABLES, TABLES
from kgp.terms import Term

_HEAD = """\
# Tables

Every Delta table of a lake, at `<lake>/<table>`. Written by `make docs` from `lib/kgp/tables` and
`lib/kgp/terms.py`: change those, not this page. `kgp describe TABLE` prints the same on a terminal.

Coordinates are 0-based and half-open, as in BED; VCF's POS is `start + 1`. `end`, `offset` and `group` are words of
SQL: write them in double quotes (DuckDB) or backticks (Spark).

Rows count only where their ledger names them: a row with a `load_id` that is not in `loads`, a `statistics_id` that
is not in `statistics`, or a `matrix_id` that is not in `eqtl_matrices`, is what a run that was cut off left behind.
`kgp query` does not show such rows, and the next run removes them. `kgp query` adds `is_stale` to `statistics` and
`allele_statistics`: whether the people or the loads have changed since.

| table | one row per | key | partitioned by |
| --- | --- | --- | --- |
"""


def sql_type(kind: pa.DataType) -> str:
    """How Spark and Delta spell an Arrow type.

    >>> sql_type(pa.list_(pa.int8())), sql_type(pa.map_(pa.string(), pa.int64()))
    ('array<tinyint>', 'map<string,bigint>')
    """
    if pa.types.is_list(kind):
        return f"array<{sql_type(kind.value_type)}>"
    if pa.types.is_map(kind):
        return f"map<{sql_type(kind.key_type)},{sql_type(kind.item_type)}>"
    names = {
        pa.bool_(): "boolean",
        pa.int8(): "tinyint",
        pa.int32(): "int",
        pa.int64(): "bigint",
        pa.float32(): "float",
        pa.float64(): "double",
        pa.string(): "string",
        pa.binary(): "binary",
        pa.timestamp("us", tz="UTC"): "timestamp",
    }
    return names[kind]


def find_table(name: str) -> Table:
    """The declared table of that name.

    Raises:
        UsageError: there is none; names the nearest.
    """
    if name not in TABLES:
        near = difflib.get_close_matches(name.lower(), TABLES, n=1, cutoff=0.4)
        advice = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"There is no table '{name}'.", where="TABLE", mend=f"{advice}There are: {', '.join(TABLES)}."
        )
    return TABLES[name]


def describe_as_dict(table: Table) -> dict[str, Any]:
    """Everything that a table promises, as plain values."""
    return {
        "table": table.name,
        "one_row_per": table.grain,
        "key": list(table.key),
        "partition_by": list(table.partition_by),
        "sort_by": list(table.sort_by),
        "ledger": table.ledger,
        "checks": dict(table.checks),
        "columns": [
            {
                "name": term.name,
                "type": sql_type(term.type),
                "nullable": term.name not in table.required,
                "unit": term.unit,
                "base": term.base,
                "description": term.description,
                "source": term.source,
            }
            for term in table.terms
        ],
    }


def describe(table: Table) -> str:
    """The table for a terminal."""
    facts = [(label, text) for label, text in _facts(table, quote="") if text]
    lines = [f"{table.name}: one row per {table.grain}", ""]
    lines += [f"{label + ':':<16}{text}" for label, text in facts]
    lines += [f"{'check:':<16}{_one_line(predicate)}" for predicate in table.checks.values()]
    names = ("column", "type", "null", "unit")
    cells = [
        (t.name, sql_type(t.type), "" if t.name in table.required else "yes", _unit(t)) for t in table.terms
    ]
    head, rule, *rows = align(names, cells).splitlines()
    width = len(rule)
    meanings = [f"{row:<{width}}  {t.description}" for row, t in zip(rows, table.terms, strict=True)]
    return "\n".join([*lines, "", f"{head:<{width}}  meaning", f"{rule}  -------", *meanings]) + "\n"


def render() -> str:
    """The whole page."""
    index = "".join(
        f"| [`{t.name}`](#{t.name}) | {_cell(t.grain)} | {_names(t.key)} | {_names(t.partition_by)} |\n"
        for t in ALL_TABLES
    )
    return _HEAD + index + "".join(_section(table) for table in ALL_TABLES)


def _section(table: Table) -> str:
    lines = [f"\n## {table.name}\n", f"One row per {table.grain}.\n"]
    lines += [f"- {label}: {text}" for label, text in _facts(table, quote="`") if text]
    lines += [f"- check `{name}`: `{_one_line(predicate)}`" for name, predicate in table.checks.items()]
    lines += [
        "",
        "| column | type | null | unit | meaning | source |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for term in table.terms:
        null = "no" if term.name in table.required else "yes"
        cells = (
            f"`{term.name}`",
            f"`{sql_type(term.type)}`",
            null,
            _unit(term),
            term.description,
            term.source,
        )
        lines.append(f"| {' | '.join(_cell(cell or '') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _facts(table: Table, *, quote: str) -> tuple[tuple[str, str], ...]:
    ledger = f"{quote}{table.ledger}{quote} (by {quote}{table.ledger_column}{quote})" if table.ledger else ""
    return (
        ("key", _names(table.key, quote)),
        ("partitioned by", _names(table.partition_by, quote)),
        ("sorted by", _names(table.sort_by, quote)),
        ("ledger", ledger),
    )


def _unit(term: Term) -> str:
    return ", ".join(filter(None, (term.unit, term.base)))


def _names(names: Sequence[str], quote: str = "`") -> str:
    return ", ".join(f"{quote}{name}{quote}" for name in names)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _one_line(text.replace("|", "\\|"))


def main(arguments: Sequence[str]) -> int:
    """Write the page, or check it; see the module's docstring."""
    paths = [Path(a) for a in arguments if a != "--check"]
    if len(paths) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    (path,) = paths
    page = render()
    if "--check" not in arguments:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    elif not path.is_file() or path.read_text(encoding="utf-8") != page:
        print(f"{path} is not what the declarations say; run: make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
