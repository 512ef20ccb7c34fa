"""Writes docs/TABLES.md from the declarations in `kgp.tables` and `kgp.terms` (`make docs`).

python table_dictionary.py docs/TABLES.md            write it
python table_dictionary.py --check docs/TABLES.md    exit 1 where it is not what would be written
"""

from __future__ import annotations

import sys
from pathlib import Path

from kgp.table import Table
from kgp.tables import ALL_TABLES
from kgp.terms import Term


def render() -> str:
    """The whole page."""
    head = (
        "# Tables\n\n"
        "Every Delta table of a lake, at `<lake>/<table>`. Written by `make docs` from `lib/kgp/tables` and\n"
        "`lib/kgp/terms.py`: change those, not this page.\n\n"
        "| table | one row per | key | partitions |\n| --- | --- | --- | --- |\n"
    )
    index = "".join(
        f"| [`{t.name}`](#{t.name}) | {_cell(t.grain)} | {_names(t.key)} | {_names(t.partition_by)} |\n"
        for t in ALL_TABLES
    )
    return head + index + "".join(_section(t) for t in ALL_TABLES)


def _section(table: Table) -> str:
    lines = [
        f"\n## {table.name}\n",
        f"One row per {table.grain}.\n",
        "| column | type | null | meaning |",
        "| --- | --- | --- | --- |",
        *(_row(term, term.name in table.required) for term in table.terms),
    ]
    if table.sort_by:
        lines.append(f"\nRows are sorted by {_names(table.sort_by)} within a file.")
    if table.checks:
        lines.append("\nHolds for every row (CHECK):\n")
        lines += [f"- `{name}`: `{' '.join(predicate.split())}`" for name, predicate in table.checks.items()]
    return "\n".join(lines) + "\n"


def _row(term: Term, required: bool) -> str:
    return f"| `{term.name}` | `{term.type}` | {'no' if required else 'yes'} | {_cell(term.comment)} |"


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def main(arguments: list[str]) -> int:
    check = "--check" in arguments
    paths = [Path(a) for a in arguments if a != "--check"]
    if len(paths) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    (path,) = paths
    page = render()
    if not check:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    elif not path.is_file() or path.read_text(encoding="utf-8") != page:
        print(f"{path} is not what the declarations say; run: make docs", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
