"""Commits to the tables of a lake: one at a time on a local disk, and again where another writer came first."""

from __future__ import annotations

import fcntl
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import sleep

from deltalake.exceptions import CommitFailedError

from kgp.errors import LakeError
from kgp.io.place import LakePlace

# Commits that are tried before others' are given the way.
_COMMITS = 6


def commit_again(place: LakePlace, write: Callable[[], object]) -> None:
    """Let `write` commit; where another writer came first it reads again, decides again and commits again.

    Args:
        place: of the lake.
        write: one commit, from what is there when it is called; called once at least.

    Raises:
        LakeError: others came first again and again.
    """
    for attempt in range(_COMMITS):
        try:
            with hold_commits(place):
                write()
            return
        except CommitFailedError:
            sleep(random.uniform(0.1, 0.5) * 2**attempt)
    raise LakeError(
        f"Others wrote to it at the same time, {_COMMITS} times in a row.",
        where=place.uri,
        mend="Run it again when the other jobs have ended.",
    )


@contextmanager
def hold_commits(place: LakePlace) -> Iterator[None]:
    """On a local disk one commit at a time: Spark's local log store is safe only inside one JVM."""
    root = place.local_root
    if root is None:
        yield
        return
    root.mkdir(parents=True, exist_ok=True)
    handle = os.open(root / ".kgp.lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
