"""Text of a table as Arrow columns, and a cell as a number."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.csv as csv

from kgp.io.expression.layout import MatrixLayout

MISSING = ("", "NA", "N/A", "#N/A", "NaN", "nan", "NAN", "null", "NULL", "Null", ".")

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def read_columns(
    text: pa.Buffer, layout: MatrixLayout, of_values: pa.DataType, *, is_quoted: bool
) -> pa.Table:
    """The cells of lines that all have the layout's number of them: leading columns as bytes, values as asked for.

    Args:
        text: the lines.
        layout: of the matrix.
        of_values: type of the values; missing ones are null where it is a number.
        is_quoted: whether there are quotes in the text.

    Raises:
        pyarrow.ArrowInvalid: a value is not of that type.
    """
    names = [str(index) for index in range(layout.n_cells)]
    return csv.read_csv(
        pa.BufferReader(text),
        read_options=csv.ReadOptions(column_names=names, block_size=text.size + 1, use_threads=False),
        parse_options=csv.ParseOptions(
            delimiter=layout.delimiter.decode(),
            quote_char='"' if is_quoted else False,
            ignore_empty_lines=False,
        ),
        convert_options=csv.ConvertOptions(
            column_types={
                name: pa.binary() if index < layout.n_leading else of_values
                for index, name in enumerate(names)
            },
            null_values=list(MISSING),
        ),
    )


def to_number(text: str) -> float:
    """The number that a cell holds; infinity and NaN in the spellings that numbers have.

    Raises:
        ValueError: it is none. Python's own reading takes more: ``1_000``.
    """
    if _NUMBER.fullmatch(text) or text.lower().lstrip("+-") in ("inf", "infinity", "nan"):
        return float(text)
    raise ValueError(text)
