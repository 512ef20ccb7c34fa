"""What a person sees of a job while it runs."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from kgp.errors import scrub

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Progress:
    """Says what is going on: lines in a log, a live count of Spark tasks on a terminal.

    Args:
        stream: where to write; standard error by default.
        quiet: write nothing.
        every: seconds between two signs of life of one step in a log.
    """

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False, every: float = 10.0) -> None:
        self.stream = stream or sys.stderr
        self.quiet = quiet
        self.every = every
        self.began = time.monotonic()
        self.spark: SparkSession | None = None
        self._live = not quiet and self.stream.isatty()

    def say(self, text: str) -> None:
        """Write one line with the time since the start."""
        if not self.quiet:
            self.stream.write(f"{self._clear()}[{time.monotonic() - self.began:6.1f} s] {scrub(text)}\n")
            self.stream.flush()

    @contextmanager
    def step(self, text: str, status: Callable[[], str] | None = None) -> Iterator[None]:
        """Announce a piece of work and show that it lives until it is done.

        Args:
            text: what is done.
            status: how far it is; the count of Spark's tasks where it is left away.
        """
        self.say(text)
        stop = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(text, stop, status), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()

    def _watch(self, text: str, stop: threading.Event, status: Callable[[], str] | None) -> None:
        began = time.monotonic()
        while not stop.wait(0.5 if self._live else self.every):
            seconds = time.monotonic() - began
            far = self._tasks() if status is None else f", {status()}"
            line = f"  … {scrub(text)}: {seconds:.0f} s{far}"
            if self._live:
                self.stream.write(self._clear() + line)
                self.stream.flush()
            else:
                self.say(line.strip())
        if self._live:
            self.stream.write(self._clear())

    def _tasks(self) -> str:
        if self.spark is None:
            return ""
        try:
            tracker = self.spark.sparkContext.statusTracker()
            stages = [tracker.getStageInfo(i) for i in tracker.getActiveStageIds()]
        except Exception:  # the session may be going down; a sign of life is not worth a failure
            return ""
        total = sum(s.numTasks for s in stages if s is not None)
        done = sum(s.numCompletedTasks for s in stages if s is not None)
        return f", {done}/{total} tasks" if total else ""

    def _clear(self) -> str:
        return "\r\033[K" if self._live else ""
