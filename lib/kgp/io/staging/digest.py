"""The MD5 of a file whose ranges come in any order, computed while they come."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

from kgp.io.staging.ending import Ending

_READ_SIZE = 4 << 20


class FileDigest:
    """Follows the completed beginning of a file, in a thread of its own once `start` was called.

    Ranges that are not due yet stay in memory as long as there is room; others are read back when they are due, and
    where that can't be done, whoever fetches them has to wait for room (`wait_for_room`).

    Args:
        size: bytes of the file.
        read: gives back bytes that were written; None where it can't be done.
        most_bytes: room for ranges that are not due yet.
        ending: is shown all bytes, too.
    """

    def __init__(
        self,
        size: int,
        *,
        read: Callable[[int, int], bytes] | None,
        most_bytes: int,
        ending: Ending | None = None,
    ) -> None:
        self._size, self._read, self._most_bytes, self._ending = size, read, most_bytes, ending
        self._digest = hashlib.md5(usedforsecurity=False)
        self._at = 0
        self._ends: dict[int, int] = {}  # of complete ranges from `_at` on: first byte → byte after the last
        self._waiting: dict[int, bytes] = {}
        self._n_waiting = self._n_behind = 0  # bytes in memory; bytes that were written
        self._is_taking = False
        self._problem: BaseException | None = None
        self._is_closed = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Follow in a thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, name="kgp-md5", daemon=True)
            self._thread.start()

    def add(self, start: int, data: bytes) -> None:
        """A range was written; ranges never overlap."""
        with self._changed:
            self._ends[start] = start + len(data)
            self._n_behind += len(data)
            is_due_or_fits = start == self._at or self._n_waiting + len(data) <= self._most_bytes
            if self._read is None or is_due_or_fits:
                self._waiting[start] = data
                self._n_waiting += len(data)
            self._changed.notify_all()
        if self._thread is None:
            self._catch_up()

    def wait_for_room(self, start: int, end: int) -> None:
        """Wait until a range may be fetched, because it is due or there is memory for it.

        Where bytes can be read back there always is; but while the sum is behind, to fetch on would only take the
        processor away from it, and in the end all would wait for it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._may_come(start, end))

    def _may_come(self, start: int, end: int) -> bool:
        if self._is_closed or self._problem is not None or self._thread is None or start <= self._at:
            return True
        if self._read is None:
            return end <= self._at + self._most_bytes
        is_busy = self._is_taking or self._at in self._ends
        return not is_busy or self._n_behind <= self._most_bytes

    def result(self) -> str:
        """MD5 of the whole, 32 hexadecimal digits; waits for it. All ranges must have been added."""
        with self._changed:
            self._changed.wait_for(lambda: self._at == self._size or self._problem is not None)
            if self._problem is not None:
                raise self._problem
        return self._digest.hexdigest()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _follow(self) -> None:
        try:
            while self._at < self._size:
                with self._changed:
                    self._changed.wait_for(lambda: self._at in self._ends or self._is_closed)
                    if self._is_closed:
                        return
                self._catch_up()
        except BaseException as problem:
            with self._changed:
                self._problem = problem
                self._changed.notify_all()

    def _catch_up(self) -> None:
        """Take in what continues the beginning."""
        while not self._is_closed:
            with self._changed:
                end = self._ends.pop(self._at, None)
                data = self._waiting.pop(self._at, None)
                self._is_taking = end is not None
            if end is None:
                return
            if data is not None:
                self._take(data)
            elif self._read is not None:
                for at in range(self._at, end, _READ_SIZE):
                    self._take(self._read(at, min(end, at + _READ_SIZE)))
            with self._changed:
                self._n_behind -= end - self._at
                self._n_waiting -= 0 if data is None else len(data)
                self._at = end
                self._changed.notify_all()

    def _take(self, data: bytes) -> None:
        self._digest.update(data)
        if self._ending is not None:
            self._ending.take(data)
