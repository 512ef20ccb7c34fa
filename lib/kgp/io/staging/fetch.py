"""Ranges of one version of a file, read from one door by several threads and written where they belong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from kgp.io.doors import PASSING, DoorFault, OpenDoor
from kgp.io.doors.patience import OnFault, Patience, insist
from kgp.io.staging.model import Range
from kgp.sources import Entry

# To ask again for a range of a version that is gone would not bring it back.
_PASSING_FOR_RANGES = PASSING - {"changed"}


class _StoppedError(Exception):
    """Nobody waits for this range any more."""


class Fetch:
    """One pass over missing ranges.

    Args:
        door: is read.
        version: what the door says of the file; all bytes are of it.
        wait_for_room: is called before a range is read, and waits until memory may be taken for it.
        put: takes first byte and bytes of a range; is called by several threads.
        patience: with each range.
        on_fault: is told every fault, by any thread.
        on_bytes: is told the bytes of each range that the door gave; not by two threads at a time.
    """

    def __init__(
        self,
        door: OpenDoor,
        version: Entry,
        *,
        wait_for_room: Callable[[int, int], None],
        put: Callable[[int, bytes], None],
        patience: Patience,
        on_fault: OnFault,
        on_bytes: Callable[[int], object],
    ) -> None:
        self._door, self._version = door, version
        self._wait_for_room, self._put = wait_for_room, put
        self._patience, self._on_fault, self._on_bytes = patience, on_fault, on_bytes
        self._changed = threading.Condition()
        self._ranges: Iterator[Range] = iter(())
        self._n_working = self._n_putting = 0
        self._is_stopped = False
        self._problem: BaseException | None = None

    def run(self, ranges: list[Range], *, connections: int) -> None:
        """Read and put them all.

        However it ends, nothing is put any more once it has returned. Reads that are still under way then are left to
        end by themselves.

        Args:
            ranges: in file order.
            connections: reads at a time.

        Raises:
            DoorFault: the door did not give a range.
            InputError: the target did not take one.
        """
        self._ranges = iter(ranges)
        n_threads = min(connections, len(ranges))
        if n_threads <= 1:
            self._work_through()
            return
        self._n_working = n_threads
        try:
            for i in range(n_threads):
                threading.Thread(target=self._work, name=f"kgp-range-{i}", daemon=True).start()
            with self._changed:
                self._changed.wait_for(lambda: self._n_working == 0 or self._problem is not None)
        finally:
            with self._changed:
                self._is_stopped = True
                self._changed.wait_for(lambda: self._n_putting == 0)
        if self._problem is not None:
            raise self._problem

    def _work(self) -> None:
        problem: BaseException | None = None
        try:
            self._work_through()
        except _StoppedError:
            pass
        except BaseException as caught:
            problem = caught
        with self._changed:
            self._n_working -= 1
            self._problem = self._problem or problem
            self._changed.notify_all()

    def _work_through(self) -> None:
        while (wanted := self._next()) is not None:
            self._wait_for_room(*wanted)
            self._fetch(*wanted)

    def _next(self) -> Range | None:
        with self._changed:
            return None if self._is_stopped or self._problem is not None else next(self._ranges, None)

    def _fetch(self, start: int, end: int) -> None:
        data = insist(
            self._door,
            lambda door: self._read(door, start, end),
            patience=self._patience,
            on_fault=self._tell,
            passing=_PASSING_FOR_RANGES,
        )
        with self._changed:
            self._go_on()
            self._on_bytes(len(data))
            self._n_putting += 1
        try:
            self._put(start, data)
        finally:
            with self._changed:
                self._n_putting -= 1
                self._changed.notify_all()

    def _read(self, door: OpenDoor, start: int, end: int) -> bytes:
        self._go_on()
        data = door.read_range(self._version.path, start, end, version=self._version)
        if len(data) != end - start:
            raise DoorFault("short", f"gave {len(data):,} bytes where {end - start:,} were asked for")
        return data

    def _tell(self, door: OpenDoor, fault: DoorFault) -> None:
        with self._changed:
            if not self._is_stopped:
                self._on_fault(door, fault)

    def _go_on(self) -> None:
        if self._is_stopped:
            raise _StoppedError
