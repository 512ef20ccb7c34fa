"""Paths below the root of an archive, and the walk over a listing that comes directory by directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue

from kgp.io.doors.base import DoorFault
from kgp.sources import Door, Entry
from kgp.sources.paths import has_hidden

# No archive is nested as deeply; a link to a directory above itself is.
_MOST_LEVELS = 32


@dataclass(frozen=True)
class Listed:
    """What a directory holds, by paths below the root.

    Args:
        files: files that the listing says enough of.
        directories: with a slash at the end.
        unsure: files that have to be asked for, and what may be none.
    """

    files: tuple[Entry, ...] = ()
    directories: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()

    def in_archive(self, door: Door) -> Listed:
        """By paths of the archive what is listed by places at the door."""
        if not door.moved:
            return self
        return Listed(
            tuple(replace(entry, path=door.in_archive(entry.path)) for entry in self.files),
            tuple(map(door.in_archive, self.directories)),
            tuple(map(door.in_archive, self.unsure)),
        )


def walk(
    prefix: str,
    look_into: Callable[[str], Listed],
    stat: Callable[[str], Entry | None],
    *,
    enter: Callable[[str], bool] | None,
    n_threads: int,
) -> Iterator[Entry]:
    """All files below a directory, at any depth; in no particular order.

    A file that is listed but may not be asked for has no size, for it is there; one that is gone by then is left out.

    Args:
        prefix: path of the directory with a slash at its end; empty for the whole archive.
        look_into: what a directory holds.
        stat: what is said of one path; None where that is no file.
        enter: whether to go into a directory below the prefix; None: into all.
        n_threads: directories and files that are asked for at the same time.

    Raises:
        DoorFault: as `look_into` and `stat`; ``absent``: nothing is there, not even a directory that was left out.
    """
    answers: SimpleQueue[Future[Listed]] = SimpleQueue()
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="kgp-listing")
    n_awaited = n_found = 0

    def ask(job: Callable[[str], Listed], path: str) -> None:
        pool.submit(job, path).add_done_callback(answers.put)

    below = partial(_look_below, prefix=prefix, look_into=look_into)
    about = partial(_ask_about, stat=stat)
    try:
        ask(look_into, prefix)
        n_awaited = 1
        while n_awaited:
            listed = answers.get().result()
            entered = [directory for directory in listed.directories if enter is None or enter(directory)]
            for directory in entered:
                ask(below, directory)
            for path in listed.unsure:
                ask(about, path)
            n_awaited += len(entered) + len(listed.unsure) - 1
            n_found += len(listed.files) + len(listed.directories) - len(entered)
            yield from listed.files
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    if not n_found:
        raise DoorFault("absent", "the directory holds no file")


def _look_below(directory: str, *, prefix: str, look_into: Callable[[str], Listed]) -> Listed:
    if directory.count("/") - prefix.count("/") > _MOST_LEVELS:
        raise DoorFault("confused", "the directories are nested without end")
    try:
        return look_into(directory)
    except DoorFault as fault:
        if fault.kind != "absent":
            raise
    # Not "absent", which would say that the prefix has nothing.
    raise DoorFault("changed", f"a directory went away while it was listed: {directory}")


def _ask_about(path: str, *, stat: Callable[[str], Entry | None]) -> Listed:
    try:
        entry = stat(path)
    except DoorFault as fault:
        if fault.kind != "denied":
            raise
        entry = Entry(path, size=None)
    return Listed() if entry is None else Listed(files=(entry,))


def check_path(path: str) -> None:
    """Refuse what is no path below a root.

    >>> check_path("release/20130502/a b.vcf.gz")
    >>> check_path("release/../../etc/passwd")
    Traceback (most recent call last):
        ...
    ValueError: no path below the root of an archive: 'release/../../etc/passwd'

    Raises:
        ValueError: it begins with a slash, has letters that are not seen, or ``.``, ``..`` or nothing between
            two slashes.
    """
    names = path.split("/")
    if names[-1] == "":
        names.pop()  # a directory
    if any(name in ("", ".", "..") for name in names) or has_hidden(path):
        raise ValueError(f"no path below the root of an archive: {path!a}")


def check_prefix(prefix: str) -> None:
    """Refuse what is no directory below a root.

    Raises:
        ValueError: as `check_path`, or it is neither empty nor has a slash at its end.
    """
    check_path(prefix)
    if prefix and not prefix.endswith("/"):
        raise ValueError(f"a prefix has a slash at its end: {prefix!a}")


def check_range(path: str, start: int, end: int) -> None:
    """Refuse what is no range of bytes of a file.

    Raises:
        ValueError: as `check_path`, or the range begins before the file or after its own end.
    """
    check_path(path)
    if not 0 <= start <= end:
        raise ValueError(f"no range of bytes: {start} to {end}")


def join_name(directory: str, name: str) -> str:
    """Path of what a listing names.

    Raises:
        DoorFault: ``confused``: the name leads elsewhere, or no file should have it.
    """
    path = directory + name
    try:
        if "/" in name or not name:
            raise ValueError
        check_path(path)
    except ValueError:
        raise DoorFault("confused", f"the listing has a name that no file may have: {name!a}") from None
    return path
