"""Lines of an annotation with their numbers, and the message for one that is wrong."""

from __future__ import annotations

from collections.abc import Iterator

from kgp.errors import FormatError
from kgp.io.splits import plan_splits, read_chunks
from kgp.io.urls import place_of


def bad_line(url: str, line: int, column: str | None, what: str, mend: str) -> FormatError:
    """The error for a line, 1-based, of an annotation."""
    where = f"{place_of(url)}, line {line:,}"
    return FormatError(what, where=where if column is None else f"{where}, column {column}", mend=mend)


def decode(text: bytes) -> str:
    """Text of a file, UTF-8 or else Latin-1."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def read_lines(url: str) -> Iterator[tuple[int, str]]:
    """Number, 1-based, and text of each line that is not blank, without its line end; compressed or not.

    Raises:
        FormatError: the gzip stream is broken or cut off.
        InputError: there is no such file, or it may not be read.
    """
    number = 0
    for split in plan_splits(url, n=1):
        for chunk in read_chunks(split):
            starts, ends = chunk.lines()
            if chunk.is_torn_end:
                starts, ends = starts[:-1], ends[:-1]
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
                number += 1
                line = chunk.data[start:end]
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if line.strip():
                    yield number, decode(line)
