"""Threads that work side by side, and share what there is of connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TypeVar

from kgp.io.doors import OpenDoor
from kgp.sources import Entry

Work = TypeVar("Work")
Result = TypeVar("Result")


class CappedDoor:
    """A door that is asked no more questions at the same time than it bears, whatever the number of files.

    Args:
        door: is asked.
        share: of its connections, for one file.
    """

    def __init__(self, door: OpenDoor, *, share: int) -> None:
        self.door, self.range_bytes, self.most_connections = door.door, door.range_bytes, share
        self.list, self.url, self.close = door.list, door.url, door.close
        self._opened = door
        self._slots = threading.BoundedSemaphore(door.most_connections)

    def stat(self, path: str) -> Entry | None:
        with self._slots:
            return self._opened.stat(path)

    def read_range(self, path: str, start: int, end: int, *, version: Entry | None = None) -> bytes:
        with self._slots:
            return self._opened.read_range(path, start, end, version=version)


class Slots:
    """A number of connections, of which threads take several at a time."""

    def __init__(self, n: int) -> None:
        self._n_free = n
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, n: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._n_free >= n)
            self._n_free -= n
        try:
            yield
        finally:
            with self._changed:
                self._n_free += n
                self._changed.notify_all()


def work_through(
    works: Sequence[Work], do: Callable[[Work], list[Result]], *, n_threads: int
) -> Iterator[Result]:
    """Do all works in threads, in their order; gives what comes as it comes.

    The threads do not keep the process: an interrupted one ends at once. What was not begun is not begun any more.
    """
    waiting = iter(works)
    done: SimpleQueue[list[Result] | BaseException] = SimpleQueue()
    lock = threading.Lock()
    is_stopped = threading.Event()

    def work() -> None:
        while not is_stopped.is_set():
            with lock:
                one = next(waiting, None)
            if one is None:
                return
            try:
                done.put(do(one))
            except BaseException as problem:  # a defect: it is raised where somebody sees it
                done.put(problem)

    for i in range(min(n_threads, len(works))):
        threading.Thread(target=work, name=f"kgp-file-{i}", daemon=True).start()
    try:
        for _ in works:
            found = done.get()
            if isinstance(found, BaseException):
                raise found
            yield from found
    finally:
        is_stopped.set()
