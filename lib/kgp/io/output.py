"""What commands print: aligned tables, TSV, CSV, JSON; and the one place that writes to standard output."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

# An aligned table shows this many characters of a cell and this many elements of an array.
_CELL = 60
_ELEMENTS = 5
# A list among a report's details is shown up to so many characters.
_LIST = 100
# Whole numbers above this have more digits than a double tells apart.
_WHOLE = 2.0**53


def print_text(text: str | Iterable[str]) -> None:
    """Write to standard output; a reader that has gone away (``| head``) ends it in silence."""
    parts = iter((text,) if isinstance(text, str) else text)
    while (part := next(parts, None)) is not None:
        try:
            sys.stdout.write(part)
        except BrokenPipeError:
            break
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still in the buffer has to go somewhere when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(value: Any) -> None:
    """Write one JSON value to standard output."""
    print_text(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def align(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, max_width: int = _CELL) -> str:
    """An aligned table with numbers to the right; texts longer than `max_width` and long arrays are shortened.

    >>> print(align(["contig", "n"], [["22", 7], ["HLA-A*01:01", 1234]]), end="")
    contig          n
    -----------  ----
    22              7
    HLA-A*01:01  1234
    """
    values = [list(row) for row in rows]
    cells = [[short(value, max_width) for value in row] for row in values]
    places = range(len(columns))
    to_right = [bool(values) and all(_is_number(row[i]) or row[i] is None for row in values) for i in places]
    widths = [max(len(row[i]) for row in [list(columns), *cells]) for i in places]
    lines = [list(columns), ["-" * width for width in widths], *cells]
    text = []
    for line in lines:
        padded = [line[i].rjust(widths[i]) if to_right[i] else line[i].ljust(widths[i]) for i in places]
        text.append("  ".join(padded).rstrip() + "\n")
    return "".join(text)


def list_values(values: Mapping[str, Any], *, width: int = 0, indent: str = "  ") -> list[str]:
    """Lines with a name and a value each; what a mapping has stands below its name, what is empty nowhere.

    Args:
        values: name → value.
        width: of the names at least, in characters.
        indent: of each line.

    >>> print("\\n".join(list_values({"df": 55, "figures": {"n": 1800.0, "pi0": 0.25}, "dropped": {}}, indent="")))
    df       55
    figures
      n    1,800
      pi0  0.25
    """
    shown = {name: value for name, value in values.items() if not _is_empty(value)}
    width = max([width, *map(len, shown)])
    lines = []
    for name, value in shown.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{name}", *list_values(value, indent=indent + "  ")]
        else:
            lines.append(f"{indent}{name:<{width}}  {_say(value)}")
    return lines


def _say(value: Any) -> str:
    """A value for people: whole numbers as such; of records, and of a long list, their number alone."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, float) and not (value.is_integer() and abs(value) < _WHOLE):
        return f"{value:.6g}"
    if isinstance(value, int | float):
        return f"{int(value):,}"
    if isinstance(value, list | tuple):
        is_flat = not any(isinstance(item, Mapping | list | tuple) for item in value)
        text = ", ".join(map(_say, value)) if is_flat else ""
        return text if text and len(text) <= _LIST else f"{len(value):,} (--json has them)"
    return str(plain(value))


def _is_empty(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_empty(item) for item in value.values())
    return value == "" or (isinstance(value, list | tuple) and not value)


def delimited(columns: Sequence[str], rows: Iterable[Sequence[Any]], delimiter: str) -> Iterator[str]:
    r"""TSV or CSV lines with a header: null is empty, an array or a map is JSON.

    >>> list(delimited(["a", "b"], [[None, [1, None]], ["x", "y,z"]], ","))
    ['a,b\n', ',"[1, null]"\n', 'x,"y,z"\n']
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        writer.writerow([_cell(value) for value in row])
    yield buffer.getvalue()


def json_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """A JSON array with an object a row, a row a line.

    >>> print("".join(json_rows(["a"], [[1], [None]])), end="")
    [
    {"a": 1},
    {"a": null}
    ]
    """
    yield "["
    separator = "\n"
    for row in rows:
        record = {name: plain(value) for name, value in zip(columns, row, strict=True)}
        yield separator + json.dumps(record, ensure_ascii=False, allow_nan=False)
        separator = ",\n"
    yield "\n]\n"


def plain(value: Any) -> Any:
    r"""The value as JSON knows it: times as ISO 8601, bytes as text with ``\xNN``, no number as null.

    >>> plain({"n": decimal.Decimal(3), "x": [float("nan"), b"1|0\x80"]})
    {'n': 3, 'x': [None, '1|0\\x80']}
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return "".join(chr(b) if 32 <= b < 127 and b != 92 else f"\\x{b:02X}" for b in value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return [plain(item) for item in value]
    return str(value)


def short(value: Any, max_width: int = _CELL) -> str:
    """The value as a cell of an aligned table.

    >>> short([0, 1, None, 2, 0, 0, 1]), short({"AC": "2", "VT": "SNP"}), short(0.123456789), short(None)
    ('[0, 1, NULL, 2, 0, … (7)]', '{AC=2, VT=SNP}', '0.123457', 'NULL')
    """
    if value is None:
        return "NULL"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return f"[{_first(short(item) for item in value[:_ELEMENTS])}{_more(len(value))}]"
    if isinstance(value, Mapping):
        some = [f"{key}={short(item)}" for key, item in list(value.items())[:_ELEMENTS]]
        return f"{{{_first(some)}{_more(len(value))}}}"
    text = str(plain(value)).replace("\n", "\\n").replace("\t", "\\t")
    return text if len(text) <= max_width else text[: max_width - 1] + "…"


def _first(items: Iterable[str]) -> str:
    return ", ".join(items)


def _more(n: int) -> str:
    return f", … ({n})" if n > _ELEMENTS else ""


def _cell(value: Any) -> Any:
    value = plain(value)
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | decimal.Decimal) and not isinstance(value, bool)
