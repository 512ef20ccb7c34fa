"""How far a transfer is: files, bytes, rate, time left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from kgp.amounts import format_bytes, format_seconds


class Meter:
    """Counts files and bytes on their way. May be shared by threads.

    Args:
        sizes: path → bytes of each file that is to come, as far as they are known.
        clock: seconds that only grow.
    """

    def __init__(self, sizes: dict[str, int | None], clock: Callable[[], float] = time.monotonic) -> None:
        self._sizes, self._clock = sizes, clock
        self.n_bytes = sum(size or 0 for size in sizes.values())
        self._files_done = self._files_failed = 0
        self._bytes_read = self._bytes_settled = 0
        self._on_their_way: dict[str, int] = {}
        self._began = clock()
        self._lock = threading.Lock()

    def read(self, path: str, n: int) -> None:
        """So many bytes of a file have come."""
        with self._lock:
            self._bytes_read += n
            self._on_their_way[path] = self._on_their_way.get(path, 0) + n

    def settle(self, path: str, *, is_there: bool) -> None:
        """A file is done with: it is there, or it was given up."""
        with self._lock:
            self._files_done += is_there
            self._files_failed += not is_there
            self._on_their_way.pop(path, None)
            self._bytes_settled += self._sizes[path] or 0

    def text(self) -> str:
        """Files, bytes, rate and time left; bytes of an earlier run count when their file is there.

        >>> meter = Meter({"a": 3_000_000, "b": 1_000_000}, clock=iter([0.0, 2.0]).__next__)
        >>> meter.read("a", 1_000_000)
        >>> meter.text()
        '0/2 files, 1.0/4.0 MB, 500.0 kB/s, 6 s left'
        """
        with self._lock:
            files, failed, read = self._files_done, self._files_failed, self._bytes_read
            # What had to be read again is no progress.
            coming = sum(min(n, self._sizes[path] or 0) for path, n in self._on_their_way.items())
            done = self._bytes_settled + coming
        rate = read / max(self._clock() - self._began, 1e-9)
        texts = [
            f"{files:,}/{len(self._sizes):,} files" + (f" ({failed:,} failed)" if failed else ""),
            f"{format_bytes(done, self.n_bytes)}/{format_bytes(self.n_bytes)}",
        ]
        if rate > 0:
            left = (self.n_bytes - done) / rate
            texts += [f"{format_bytes(rate)}/s", f"{format_seconds(left)} left"]
        return ", ".join(texts)
