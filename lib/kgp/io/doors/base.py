"""What every kind of door can do, and how it says that it could not.

A door lists prefixes, states what it knows of one path, and gives ranges of bytes. It tries everything once: whoever
asks decides whether to wait, to try again, or to go to the next door (`kgp.io.doors.patience`). All methods block and
may be called from several threads at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal, Protocol

from kgp.sources import Door, Entry

FaultKind = Literal[
    "absent",  # there is no such path
    "denied",  # it may not be read
    "throttled",  # 429 or 503: come again later
    "timeout",  # nothing came for too long
    "broken",  # the connection was cut, or the server failed
    "short",  # fewer or more bytes than were promised
    "changed",  # another version of the file than the one that was begun
    "checksum",  # the bytes are not those that were promised
    "confused",  # the answer can't be understood
]

# Faults that the same door may not show again a moment later.
PASSING: frozenset[FaultKind] = frozenset({"throttled", "timeout", "broken", "short", "checksum", "changed"})


class DoorFault(Exception):
    """A door did not give what was asked for. Never leaves `kgp.io`: what a person reads is made from it.

    Args:
        kind: what went wrong.
        text: one clause without a full stop, and without any credential or query string.
        retry_after: seconds that the server asks to wait.
    """

    def __init__(self, kind: FaultKind, text: str, *, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        # An exception is pickled by its arguments alone, and a task's may have to be.
        return partial(DoorFault, retry_after=self.retry_after), (self.kind, self.text)


class OpenDoor(Protocol):
    """A door that can be asked.

    Attributes:
        door: what it is.
        range_bytes: size of range that suits it best.
        most_connections: connections that it bears from one client.
    """

    door: Door
    range_bytes: int
    most_connections: int

    def list(self, prefix: str, *, enter: Callable[[str], bool] | None = None) -> Iterator[Entry]:
        """All files below a directory of the archive, at any depth; in no particular order.

        Args:
            prefix: path of the directory with a slash at its end; empty for the whole archive.
            enter: whether to go into a directory (its path with a slash at its end) below the prefix; a door that
                lists directory by directory leaves the others out, one that lists all at once need not ask.

        Raises:
            DoorFault: the listing failed, at whatever page. ``absent``: there is no such directory, or nothing in it.
        """
        ...

    def stat(self, path: str) -> Entry | None:
        """What the door says of one file; None where it has none there (a directory is none).

        Raises:
            DoorFault: it did not answer.
        """
        ...

    def read_range(self, path: str, start: int, end: int, *, version: Entry | None = None) -> bytes:
        """Bytes of a file, exactly ``end - start`` of them.

        Args:
            path: the file.
            start: first byte.
            end: byte after the last.
            version: what `stat` or `list` of this door said; where it names an ETag (or, for want of one, size and
                time of change) the bytes are of that version.

        Raises:
            DoorFault: ``changed`` where the file is another one by now, ``short`` where too few bytes came.
        """
        ...

    def url(self, path: str) -> str:
        """Address of a file, as `kgp load variants` takes it; no credential in it."""
        ...

    def close(self) -> None:
        """Let connections go."""
        ...
