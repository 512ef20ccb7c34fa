"""Where staged files go: a directory, or a container of blobs.

A `Target` says what lies there and opens a `Part`: the half-done file, which nobody sees under the file's own name
until it is whole and its checksum is known to be right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from kgp.errors import InputError
from kgp.io.azure import locate
from kgp.io.staging.model import TargetFile, Version
from kgp.io.urls import display_url, is_local, place_of

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_OTHER_SCHEME = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]*:/")


class Part(Protocol):
    """A half-done file. Its methods may be called from several threads, save `kept`, `restart` and `commit`.

    Attributes:
        version: that its bytes are of.
        can_read: whether `read` gives back what was written.
        most_ranges: in how many ranges the file may be written; None: in any number.
        n_bytes_resumed: bytes of an earlier run that did not have to be written again.
        was_other: whether an earlier run had left bytes of another version, which were thrown away.
        has_waited: whether another run was at work on the same file first, and has ended.
    """

    version: Version
    can_read: bool
    most_ranges: int | None
    n_bytes_resumed: int
    was_other: bool
    has_waited: bool

    def kept(self) -> Iterator[tuple[int, bytes]]:
        """First byte and bytes of each range that an earlier run completed and that is not damaged, in file order."""
        ...

    def write(self, start: int, data: bytes) -> None:
        """Put a range where it belongs.

        Raises:
            InputError: the storage does not take it.
        """
        ...

    def read(self, start: int, end: int) -> bytes:
        """What was written there."""
        ...

    def restart(self, version: Version) -> None:
        """Throw everything away; what follows is of this version."""
        ...

    def commit(self, md5: str, *, door: str, etag: str | None) -> None:
        """Put the whole file in place, at once.

        Args:
            md5: of all bytes, which is kept with the file where the storage can.
            door: that it came from.
            etag: the door's mark of the version.
        """
        ...

    def close(self) -> None:
        """Let it lie, to be resumed; it is thrown away where no range is complete. Does nothing after `commit`."""
        ...


class Target(Protocol):
    """A directory or a container that files are staged to."""

    def check(self, path: str) -> None:
        """Whether a file may be put there.

        Raises:
            InputError: the path leads out of the target; a directory has its name, or a file that of a directory.
        """
        ...

    def find(self, path: str) -> TargetFile | None:
        """The file that lies there; None where none does."""
        ...

    def list(self, prefix: str) -> dict[str, TargetFile]:
        """Path → file of everything below a directory of the target, half-done files left out.

        Args:
            prefix: path with a slash at its end; empty for the whole target.
        """
        ...

    def md5_of(self, path: str) -> str:
        """MD5 of the file that lies there, from its bytes where the storage does not keep it."""
        ...

    def open_part(self, path: str, version: Version) -> Part:
        """Begin a file, or resume it where an earlier run left ranges of this version; `check` has been called.

        Raises:
            InputError: there is not enough space, or another run is at work on it and does not end.
        """
        ...

    def url(self, path: str) -> str:
        """Where the file lies when it is staged; no credential in it."""
        ...


def open_target(url: str) -> Target:
    """The target that a URL names: a path, ``file://``, or an Azure container in any form that `kgp.io.azure` knows.

    Raises:
        InputError: nothing can be staged to such a URL.
        UsageError: an Azure URL names no account.
    """
    if is_local(url) and not _OTHER_SCHEME.match(url):
        from kgp.io.staging.local_target import LocalTarget

        return LocalTarget(place_of(url))
    found = locate(url)
    if found is None:
        raise InputError(
            "Nothing can be staged to this kind of URL.",
            where=display_url(url),
            mend="Give a directory, or a container as az://CONTAINER@ACCOUNT/PATH, abfss:// or wasbs://.",
        )
    from kgp.io.staging.azure_target import AzureTarget

    return AzureTarget(*found)


def check_relative(path: str, where: str) -> None:
    """Refuse a path that could lead anywhere but below the target's root.

    Raises:
        InputError: it is absolute, has empty parts, ``.`` or ``..``, or characters that no name should have.
    """
    is_plain = not _CONTROL.search(path) and "\\" not in path
    if not is_plain or any(part in ("", ".", "..") for part in path.split("/")):
        raise InputError(
            f"The path {path!r} would not lie below the target.",
            where=where,
            mend="Such a path is never staged; check the listing that it comes from.",
        )
