"""What the readers of lists share: errors that name a line, paths that may be taken, files that are listed twice."""

from __future__ import annotations

from kgp.errors import FormatError, InputError
from kgp.sources.model import Entry
from kgp.sources.paths import check_path, show_path


class StrangePathError(FormatError):
    """A list names a path that may not be followed."""


class Seen:
    """The entries of a list so far."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._entries: dict[str, tuple[Entry, int]] = {}

    def is_new(self, entry: Entry, number: int) -> bool:
        """Whether the list has not named the file before.

        Raises:
            FormatError: it has, and said something else of it.
        """
        known, line = self._entries.setdefault(entry.path, (entry, number))
        if known != entry:
            raise wrong_line(self._name, number, f"contradicts line {line:,} on {show_path(entry.path)}")
        return line == number and known is entry


def check_line(path: str, name: str, number: int) -> None:
    """Refuse the path of a line as `check_path` does.

    Raises:
        StrangePathError: with the name of the list and the number of the line.
    """
    try:
        check_path(path)
    except InputError as problem:
        what = f"names {problem.where or 'nothing'}: {problem.what[0].lower()}{problem.what[1:-1]}"
        error = wrong_line(name, number, what)
        raise StrangePathError(error.what, where=error.where, mend=error.mend) from None


def wrong_line(name: str, number: int, what: str) -> FormatError:
    """The error that says what is wrong with a line; `what` is a predicate without a full stop."""
    return FormatError(f"Line {number:,} {what}.", where=name, mend="Nothing of it was taken.")
