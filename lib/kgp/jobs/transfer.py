"""Moves files of a source to where they are staged: from threads of the driver, or from tasks on all nodes.

Either way a door never has more connections from this run than it was said: files that are moved at the same time
share them.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kgp.errors import KgpError
from kgp.io.doors import OpenDoor, open_door
from kgp.io.doors.patience import Patience
from kgp.io.staging import Staged, Target, open_target, stage
from kgp.io.tasks import count_cores, run_tasks
from kgp.sources import Door, Entry

if TYPE_CHECKING:
    from pyspark.accumulators import Accumulator
    from pyspark.sql import SparkSession

Sums = tuple[int, int, int]

# Files at the same time: one alone leaves a door idle while its sum is finished, many only share its connections.
_FILES_AT_ONCE = 4
# Below it, a session would take longer to start than the files to come.
_BIG = 1 << 30
# Directories that all nodes of a cluster see.
_SHARED = ("/Volumes/", "/dbfs/")


@dataclass(frozen=True)
class Transfer:
    """How files are moved.

    Args:
        doors: in order of preference.
        target: URL of the directory or container that they go to.
        listed_by: name of the door that listed them.
        connections: most at the same time to a door.
        attempts: how often a door is tried.
        timeout: seconds without an answer.
    """

    doors: tuple[Door, ...]
    target: str
    listed_by: str
    connections: int
    attempts: int
    timeout: float

    @property
    def patience(self) -> Patience:
        """With each door."""
        return Patience(attempts=self.attempts)


@dataclass(frozen=True)
class Outcome:
    """What became of a file: it was staged, or there is a problem.

    Args:
        entry: what was wanted.
        staged: how it was put in place.
        problem: why it was not, for a person.
    """

    entry: Entry
    staged: Staged | None = None
    problem: str | None = None


class Meter:
    """Counts files and bytes on their way, and says how it goes.

    Args:
        n_files: that are to come.
        n_bytes: that are to come.
        clock: seconds that only grow.
    """

    def __init__(self, n_files: int, n_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.n_files, self.n_bytes, self._clock = n_files, n_bytes, clock
        self.files_done = self.bytes_read = self.bytes_settled = 0
        self._began = clock()
        self._lock = threading.Lock()
        self._sums: Callable[[], Sums] | None = None

    def read(self, n: int) -> None:
        """So many bytes have come."""
        with self._lock:
            self.bytes_read += n

    def settle(self, outcome: Outcome) -> None:
        """A file is done with, whatever became of it."""
        with self._lock:
            self.files_done += 1
            self.bytes_settled += outcome.entry.size or 0

    def follow(self, sums: Callable[[], Sums]) -> None:
        """Take the counts from elsewhere: files, bytes that were read, bytes of the files."""
        self._sums = sums

    def text(self) -> str:
        """Files, bytes, rate and time left.

        >>> meter = Meter(2, 4_000_000, clock=iter([0.0, 2.0]).__next__)
        >>> meter.read(1_000_000)
        >>> meter.text()
        '0/2 files, 1.0/4.0 MB, 0.5 MB/s, 6 s left'
        """
        if self._sums is not None:
            files, read, settled = self._sums()
        else:
            with self._lock:
                files, read, settled = self.files_done, self.bytes_read, self.bytes_settled
        seconds = max(self._clock() - self._began, 1e-9)
        # Some was there from an earlier run, some is read twice: the greater of the two is nearer to the truth.
        done = min(max(read, settled), self.n_bytes)
        rate = read / seconds
        left = f", {format_seconds((self.n_bytes - done) / rate)} left" if rate > 0 else ""
        return (
            f"{files:,}/{self.n_files:,} files, {format_bytes(done, self.n_bytes)}/"
            f"{format_bytes(self.n_bytes)}, {format_bytes(rate)}/s{left}"
        )


def move_by_driver(files: Sequence[Entry], transfer: Transfer, meter: Meter) -> list[Outcome]:
    """Move files from this process; gives an outcome for each, in their order."""
    n_at_once = min(_FILES_AT_ONCE, len(files), transfer.connections)
    share = max(1, transfer.connections // n_at_once)
    opened = [open_door(door, timeout=transfer.timeout) for door in transfer.doors]
    target = open_target(transfer.target)

    def move(entry: Entry) -> Outcome:
        outcome = _stage(entry, opened, target, transfer, share, meter.read)
        meter.settle(outcome)
        return outcome

    try:
        with ThreadPoolExecutor(n_at_once) as pool:
            return _in_order(files, lambda ordered: list(pool.map(move, ordered)))
    finally:
        for door in opened:
            door.close()


def move_by_spark(
    spark: SparkSession, files: Sequence[Entry], transfer: Transfer, meter: Meter
) -> list[Outcome]:
    """Move files in Spark tasks, one a file; gives an outcome for each, in their order."""
    n_at_once = min(count_cores(spark), len(files))
    share = transfer.connections // n_at_once
    if share == 0:  # more cores than connections: as many tasks as connections, each with several files
        n_at_once, share = transfer.connections, 1
    counter = _accumulate(spark)
    meter.follow(lambda: counter.value)

    def move_all(batch: Sequence[Entry]) -> list[Outcome]:
        opened = [open_door(door, timeout=transfer.timeout) for door in transfer.doors]
        target = open_target(transfer.target)
        outcomes = []
        try:
            for entry in batch:
                read: list[int] = []
                outcomes.append(_stage(entry, opened, target, transfer, share, read.append))
                counter.add((1, sum(read), entry.size or 0))
        finally:
            for door in opened:
                door.close()
        return outcomes

    def move(ordered: Sequence[Entry]) -> list[Outcome]:
        n_tasks = len(ordered) if share > 1 else n_at_once
        batches = [ordered[i::n_tasks] for i in range(n_tasks)]
        found = {o.entry.path: o for outcomes in run_tasks(spark, batches, move_all) for o in outcomes}
        return [found[entry.path] for entry in ordered]

    return _in_order(files, move)


def wants_spark(who: str, files: Sequence[Entry], target: str) -> bool:
    """Whether tasks on all nodes should move the files.

    Args:
        who: ``auto``, ``driver`` or ``spark``.
        files: that are to be moved.
        target: URL that they go to.
    """
    if who != "auto":
        return who == "spark"
    is_cluster = "PYSPARK_GATEWAY_PORT" in os.environ or "DATABRICKS_RUNTIME_VERSION" in os.environ
    is_shared = "://" in target.removeprefix("file://") or target.removeprefix("file://").startswith(_SHARED)
    return is_cluster and is_shared and sum(entry.size or 0 for entry in files) >= _BIG


def format_bytes(n: float, like: float | None = None) -> str:
    """Bytes in a unit that suits them, or another number; the unit is left out where it is the other's.

    >>> format_bytes(1_234_567), format_bytes(1_234_567, 9_000_000_000), format_bytes(12)
    ('1.2 MB', '0.0', '12 B')
    """
    power = next((p for p in (12, 9, 6, 3) if (n if like is None else like) >= 10**p), 0)
    unit = {12: "TB", 9: "GB", 6: "MB", 3: "kB", 0: "B"}[power]
    number = f"{n / 10**power:.1f}" if power else f"{n:.0f}"
    return number if like is not None else f"{number} {unit}"


def format_seconds(seconds: float) -> str:
    """A stretch of time, roughly.

    >>> format_seconds(42), format_seconds(150), format_seconds(9000)
    ('42 s', '2 min 30 s', '2 h 30 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _stage(
    entry: Entry,
    doors: Sequence[OpenDoor],
    target: Target,
    transfer: Transfer,
    connections: int,
    on_bytes: Callable[[int], object],
) -> Outcome:
    try:
        staged = stage(
            entry,
            doors,
            target,
            connections=connections,
            patience=transfer.patience,
            on_bytes=on_bytes,
            listed_by=transfer.listed_by,
        )
    except KgpError as problem:
        return Outcome(entry, problem=str(problem))
    return Outcome(entry, staged)


def _in_order(files: Sequence[Entry], move: Callable[[Sequence[Entry]], list[Outcome]]) -> list[Outcome]:
    """Move the greatest first, so that none of them is alone at the end; give back in the order of the files."""
    ordered = sorted(files, key=lambda entry: -(entry.size or 0))
    found = {outcome.entry.path: outcome for outcome in move(ordered)}
    return [found[entry.path] for entry in files]


def _accumulate(spark: SparkSession) -> Accumulator[Sums]:
    """Sums of all tasks, as each of them ends: files, bytes that were read, bytes of the files."""
    from pyspark.accumulators import AccumulatorParam

    class Added(AccumulatorParam[Sums]):
        def zero(self, value: Sums) -> Sums:
            return (0, 0, 0)

        def addInPlace(self, value1: Sums, value2: Sums) -> Sums:  # noqa: N802
            return (value1[0] + value2[0], value1[1] + value2[1], value1[2] + value2[2])

    return spark.sparkContext.accumulator((0, 0, 0), Added())
