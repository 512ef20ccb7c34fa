"""What transfers by other programs share: which names may be asked for, progress, and how sizes and lists are told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kgp.errors import InputError
from kgp.sources import Entry, check_path


@dataclass(frozen=True)
class Progress:
    """How far a transfer is.

    Args:
        n_files: files that have come.
        n_bytes: bytes that have come, those of unfinished files among them.
        state: what the service says of it; empty where it says nothing.
    """

    n_files: int
    n_bytes: int
    state: str = ""


def check_entries(entries: Iterable[Entry], *, where: str) -> tuple[Entry, ...]:
    """The entries, if each can be asked for by its path and none would leave the target's directory.

    Args:
        entries: files of an archive.
        where: the door, as messages name it.

    Raises:
        InputError: there are none; `check_path` refuses a path; a path comes twice, or lies below another one.
    """
    checked = tuple(entries)
    paths: set[str] = set()
    for entry in checked:
        check_path(entry.path)
        if entry.path in paths:
            raise InputError(f"A path comes twice: {entry.path}.", where=where)
        paths.add(entry.path)
    for path in paths:
        parent = path
        while parent := parent.rpartition("/")[0]:
            if parent in paths:
                raise InputError(f"A path is a file and a directory: {parent}.", where=where)
    if not checked:
        raise InputError("There is nothing to transfer.", where=where)
    return checked


def count_files(entries: Sequence[Entry]) -> str:
    """How many files, and how many bytes.

    >>> count_files([Entry("a", 1 << 30), Entry("b", 1 << 29), Entry("c", None)])
    '3 files, 1.5 GiB, 1 of unknown size'
    """
    n_unknown = sum(entry.size is None for entry in entries)
    text = (
        f"{len(entries):,} file{'s' * (len(entries) != 1)}, {format_bytes(sum(e.size or 0 for e in entries))}"
    )
    return f"{text}, {n_unknown:,} of unknown size" if n_unknown else text


def format_bytes(n: int) -> str:
    """Bytes as people say them, in powers of 1,024.

    >>> format_bytes(999), format_bytes(1536), format_bytes(3 << 40)
    ('999 bytes', '1.5 KiB', '3.0 TiB')
    """
    if n < 1024:
        return f"{n} bytes"
    size, units = n / 1024, ["KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(units) > 1:
        size, units = size / 1024, units[1:]
    return f"{size:.1f} {units[0]}"


def list_some(texts: Sequence[str], *, most: int = 10) -> str:
    """The first few of many, in one line.

    >>> list_some(["a", "b", "c"], most=2)
    'a; b; and 1 more'
    """
    shown = "; ".join(texts[:most])
    return f"{shown}; and {len(texts) - most:,} more" if len(texts) > most else shown
