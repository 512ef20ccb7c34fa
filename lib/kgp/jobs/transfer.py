"""Moves files of a source to where they are staged: from threads of the driver, or from Spark tasks on all nodes.

Files come side by side, the greatest first, and share the connections that a door may have from this run: one alone
would leave a door idle while its sum is finished, and small ones need no more than a connection each.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from kgp.errors import KgpError
from kgp.io.doors import OpenDoor, open_door
from kgp.io.doors.patience import Patience
from kgp.io.staging import Staged, Target, open_target, stage
from kgp.io.tasks import count_cores, run_tasks
from kgp.job import find_own_error
from kgp.jobs.crew import CappedDoor, Slots, work_through
from kgp.jobs.meter import Meter
from kgp.sources import Door, Entry

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Big files at the same time; they share the connections.
_BIG_AT_ONCE = 4
# Bytes of a file for which one more connection is worth while: a range, or two.
_BYTES_A_CONNECTION = 16 << 20
# What a Spark job brings, where files are small: to start one takes as long as a file of some megabytes.
_BATCH_BYTES = 256 << 20
_BATCH_FILES = 32
_BATCHES_A_PLACE = 4
# Below it, a session would take longer to start than the files to come.
_WORTH_A_SESSION = 1 << 30
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


class _StoppedError(Exception):
    """Nobody waits for the file any more."""


def move_by_driver(files: Sequence[Entry], transfer: Transfer, meter: Meter) -> Iterator[Outcome]:
    """Move files from this process; gives an outcome for each as it comes.

    Whoever stops asking for outcomes leaves the files that are under way half-done, to be resumed.
    """
    most = transfer.connections
    opened = [open_door(door, timeout=transfer.timeout, connections=most) for door in transfer.doors]
    n_big = min(_BIG_AT_ONCE, len(files))
    doors: list[OpenDoor] = [
        CappedDoor(door, share=max(1, door.most_connections // n_big)) for door in opened
    ]
    most = min(most, opened[0].most_connections)
    slots = Slots(most)
    target = open_target(transfer.target)
    is_stopped = threading.Event()

    def move(entry: Entry) -> list[Outcome]:
        def on_bytes(n: int) -> None:
            if is_stopped.is_set():
                raise _StoppedError
            meter.read(entry.path, n)

        share = max(1, most // n_big)
        if entry.size is not None:
            share = max(1, min(share, -(-entry.size // _BYTES_A_CONNECTION)))
        with slots.taken(share):
            return [_stage(entry, doors, target, transfer, share, on_bytes)]

    try:
        for outcome in work_through(_by_size(files), move, n_threads=most):
            meter.settle(outcome.entry.path, is_there=outcome.staged is not None)
            yield outcome
    finally:
        is_stopped.set()
        for door in opened:
            door.close()


def move_by_spark(
    spark: SparkSession, files: Sequence[Entry], transfer: Transfer, meter: Meter
) -> Iterator[Outcome]:
    """Move files in Spark tasks; gives an outcome for each as it comes.

    A file, or a batch of small ones, is a job of one task: so no more of them run at the same time than the door bears
    connections, however many cores there are, and what is there is known as soon as it is there.
    """
    # The tasks get the credentials that are found here.
    open_target(transfer.target)
    opened = [open_door(door, connections=transfer.connections) for door in transfer.doors]
    for door in opened:
        door.close()
    most = opened[0].most_connections
    n_at_once = min(count_cores(spark), len(files), most)
    batches = _batches(_by_size(files), n_at_once)
    share = max(1, most // n_at_once)

    def move(batch: Sequence[Entry]) -> list[Outcome]:
        try:
            return run_tasks(spark, [batch], partial(_stage_batch, transfer=transfer, share=share))[0]
        except Exception as problem:  # the task died, with a node perhaps
            own = find_own_error(problem)
            text = f"its Spark task failed ({type(problem).__name__}); the log of Spark says why."
            return [Outcome(entry, problem=f"{entry.path}: {own or text}") for entry in batch]

    for outcome in work_through(batches, move, n_threads=n_at_once):
        if outcome.staged is not None:
            meter.read(outcome.entry.path, outcome.staged.n_bytes_read)
        meter.settle(outcome.entry.path, is_there=outcome.staged is not None)
        yield outcome


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
    path = target.removeprefix("file://")
    is_shared = "://" in path or path.startswith(_SHARED)
    return is_cluster and is_shared and sum(entry.size or 0 for entry in files) >= _WORTH_A_SESSION


def _stage_batch(batch: Sequence[Entry], *, transfer: Transfer, share: int) -> list[Outcome]:
    """Stage files one after the other, in a task; no door gets more than `share` connections."""
    opened = [open_door(door, timeout=transfer.timeout, connections=share) for door in transfer.doors]
    target = open_target(transfer.target)
    try:
        return [_stage(entry, opened, target, transfer, share, None) for entry in batch]
    finally:
        for door in opened:
            door.close()


def _stage(
    entry: Entry,
    doors: Sequence[OpenDoor],
    target: Target,
    transfer: Transfer,
    connections: int,
    on_bytes: Callable[[int], object] | None,
) -> Outcome:
    try:
        staged = stage(
            entry,
            doors,
            target,
            connections=connections,
            patience=Patience(attempts=transfer.attempts),
            on_bytes=on_bytes,
            listed_by=transfer.listed_by,
        )
    except KgpError as problem:
        # What all doors did is said of the file; other problems, of what stands in its way.
        return Outcome(entry, problem=problem.what if entry.path in problem.what else str(problem))
    return Outcome(entry, staged)


def _by_size(files: Sequence[Entry]) -> list[Entry]:
    """The greatest first, so that none of them is alone at the end."""
    return sorted(files, key=lambda entry: -(entry.size or 0))


def _batches(files: Sequence[Entry], n_at_once: int) -> list[list[Entry]]:
    """Big files alone, small ones together; enough batches that none is waited for at the end."""
    n_wanted = sum(entry.size or 0 for entry in files) // (_BATCHES_A_PLACE * n_at_once)
    n_most = min(_BATCH_BYTES, n_wanted)
    batches: list[list[Entry]] = []
    n_bytes = n_most
    for entry in files:
        if n_bytes >= n_most or len(batches[-1]) == _BATCH_FILES:
            batches.append([])
            n_bytes = 0
        batches[-1].append(entry)
        n_bytes += _BATCH_BYTES if entry.size is None else entry.size
    return batches
