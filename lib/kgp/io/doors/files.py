"""A directory of this machine as a door."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kgp.io.doors.base import DoorFault
from kgp.io.doors.walk import check_path, check_prefix, check_range, join_name
from kgp.sources import Door, Entry


class FileDoor:
    """A local directory; regular files only.

    A link to a file is that file, a link that leads out of the directory is ``denied``, and one to a directory is not
    followed by `list`, which meets all directories in their own places.

    Args:
        door: what it is; its root is a path, or a ``file://`` URL as `kgp.io.storage` reads it, without escapes.
    """

    range_bytes = 32 << 20
    most_connections = 8

    def __init__(self, door: Door) -> None:
        self.door = door
        self._root = os.path.abspath(door.root.removeprefix("file://"))

    def list(self, prefix: str, *, enter: Callable[[str], bool] | None = None) -> Iterator[Entry]:
        """See `OpenDoor.list`."""
        check_prefix(prefix)
        return self._walk(prefix, enter)

    def stat(self, path: str) -> Entry | None:
        """See `OpenDoor.stat`."""
        check_path(path)
        try:
            with _explained():
                status = os.stat(self._real_path(path))
        except DoorFault as fault:
            if fault.kind == "absent":
                return None
            raise
        return _entry(path, status) if stat.S_ISREG(status.st_mode) and not path.endswith("/") else None

    def read_range(self, path: str, start: int, end: int, *, version: Entry | None = None) -> bytes:
        """See `OpenDoor.read_range`; a version is told by size and time of change, to the second."""
        check_range(path, start, end)
        if start == end:
            return b""
        if self.stat(path) is None:  # to open a pipe might take for ever
            raise DoorFault("absent", "there is no such file")
        with _explained(), open(self._real_path(path), "rb", buffering=0) as file:
            file.seek(start)
            parts = []
            n_missing = end - start
            while n_missing and (part := file.read(n_missing)):
                parts.append(part)
                n_missing -= len(part)
            _check_version(_entry(path, os.fstat(file.fileno())), version)
        if n_missing:
            raise DoorFault("short", f"the file ends {n_missing:,} bytes before the range does")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def url(self, path: str) -> str:
        """The absolute path: `kgp.io.storage` reads no escapes in local names."""
        check_path(path)
        return os.path.join(self._root, self.door.at_door(path))

    def close(self) -> None:
        """See `OpenDoor.close`; nothing is held."""

    def _walk(self, prefix: str, enter: Callable[[str], bool] | None) -> Iterator[Entry]:
        waiting = [prefix]
        n_found = 0
        while waiting:
            directory = waiting.pop()
            try:
                with _explained(), os.scandir(self._real_path(directory)) as found:
                    children = [*found]
            except DoorFault as fault:
                if fault.kind != "absent" or directory == prefix:
                    raise
                raise DoorFault(
                    "changed", f"a directory went away while it was listed: {directory}"
                ) from None
            for child in children:
                place = join_name(self.door.at_door(directory), child.name)
                if child.is_dir(follow_symlinks=False):
                    below = self.door.in_archive(place + "/")
                    if enter is None or enter(below):
                        waiting.append(below)
                    else:
                        n_found += 1
                elif entry := self._listed(child, self.door.in_archive(place)):
                    n_found += 1
                    yield entry
        if not n_found:
            raise DoorFault("absent", "the directory holds no file")

    def _listed(self, child: os.DirEntry[str], path: str) -> Entry | None:
        """What is said of a name that is no directory; None where it is no file, or is gone by now."""
        try:
            if child.is_symlink():
                return None if child.is_dir() else self.stat(path)
            with _explained():
                return _entry(path, child.stat()) if child.is_file() else None
        except DoorFault as fault:
            if fault.kind == "denied":
                return Entry(path, size=None)  # for it is there
            if fault.kind == "absent":
                return None
            raise

    def _real_path(self, path: str) -> str:
        """Where a path leads once links are followed: below the root, or nowhere."""
        root = os.path.realpath(self._root)
        real = os.path.realpath(os.path.join(root, self.door.at_door(path)))
        if real != root and not real.startswith(root.rstrip("/") + "/"):
            raise DoorFault("denied", "a link leads out of the directory")
        return real


def _entry(path: str, status: os.stat_result) -> Entry:
    modified = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(status.st_mtime_ns // 10**9))
    return Entry(path, status.st_size, modified=modified)


def _check_version(entry: Entry, version: Entry | None) -> None:
    if version is None:
        return
    for known, found in ((version.size, entry.size), (version.modified, entry.modified)):
        if known is not None and known != found:
            raise DoorFault("changed", "the file is another one by now")


@contextmanager
def _explained() -> Iterator[None]:
    """Say in the words of doors what the operating system says."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise DoorFault("absent", "there is no such file or directory") from None
    except PermissionError:
        raise DoorFault("denied", "it may not be read") from None
    except OSError as problem:
        if problem.errno in (errno.ENAMETOOLONG, errno.ELOOP):  # no file can be there
            raise DoorFault("absent", "there is no such file or directory") from None
        raise DoorFault("broken", f"the disk can't be read: {problem.strerror}") from None
