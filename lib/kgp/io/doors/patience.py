"""What is asked of doors with patience: the same door again where that may help, then the next one.

A passing fault (`PASSING`) is followed by a wait that doubles each time and is drawn at random from its upper half, so
that many readers do not come back at once; a server that says how long to wait is heard, up to a bound. Doors that
fail file after file are asked last for a while.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import random as _random
from typing import TypeVar

from kgp.errors import InputError
from kgp.io.doors.base import PASSING, DoorFault, FaultKind, OpenDoor
from kgp.sources import Door

T = TypeVar("T")
OnFault = Callable[[OpenDoor, DoorFault], object]

# Faults that say something of a file, and nothing of the door's health.
_OF_THE_FILE: frozenset[FaultKind] = frozenset({"absent", "changed"})


@dataclass(frozen=True)
class Patience:
    """How often a door is asked, and how long it is waited for.

    Args:
        attempts: questions to one door, the first one included.
        first_wait: seconds before the second one; they double from then on.
        most_wait: seconds that no wait of our own exceeds.
        most_retry_after: seconds that a server may ask for; whoever asks for more is left.
        sleep: waits so many seconds.
        random: a number from 0 to 1.
    """

    attempts: int = 3
    first_wait: float = 0.5
    most_wait: float = 30.0
    most_retry_after: float = 120.0
    sleep: Callable[[float], object] = time.sleep
    random: Callable[[], float] = _random

    def wait_after(self, n_faults: int, retry_after: float | None = None) -> float | None:
        """Seconds to wait after so many faults in a row; None: it is time to leave the door."""
        asked = retry_after or 0.0
        if n_faults >= self.attempts or asked > self.most_retry_after:
            return None
        own = min(self.most_wait, self.first_wait * 2.0 ** min(n_faults - 1, 64))
        return max(asked, own * (1 + self.random()) / 2)


class DoorOrder:
    """Doors in order of preference, save those that have failed several times in a row: they come last for a while.

    After its rest a door has its place again; one more failure, and it rests again. May be shared by threads.

    Args:
        most_failures: failures in a row that send a door to the end.
        rest: seconds that it stays there.
        clock: seconds that only grow.
    """

    def __init__(
        self, *, most_failures: int = 3, rest: float = 300.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most_failures, self._rest, self._clock = most_failures, rest, clock
        self._n_failures: dict[Door, int] = {}
        self._rests_until: dict[Door, float] = {}
        self._lock = threading.Lock()

    def arrange(self, doors: Iterable[OpenDoor]) -> list[OpenDoor]:
        """The doors as they should be asked."""
        with self._lock:
            now = self._clock()
            return sorted(doors, key=lambda door: self._rests_until.get(door.door, now) > now)

    def failed(self, door: OpenDoor, fault: DoorFault) -> None:
        """A door was left for the next one; that it lacks a file, or has another version, does not count."""
        if fault.kind in _OF_THE_FILE:
            return
        with self._lock:
            n = self._n_failures[door.door] = self._n_failures.get(door.door, 0) + 1
            if n >= self._most_failures:
                self._rests_until[door.door] = self._clock() + self._rest

    def succeeded(self, door: OpenDoor) -> None:
        """A door gave what was asked for."""
        with self._lock:
            self._n_failures.pop(door.door, None)
            self._rests_until.pop(door.door, None)


class FaultLog:
    """What each door did, in words. May be shared by threads."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, int]] = {}
        self._lock = threading.Lock()

    def note(self, door: OpenDoor, fault: DoorFault) -> None:
        """A door failed once."""
        text = fault.text
        if fault.retry_after is not None:
            text += f", asked to wait {fault.retry_after:.0f} s"
        self.say(door.door.name, text)

    def say(self, door: str, text: str) -> None:
        """Something about a door, in a clause."""
        with self._lock:
            counts = self._counts.setdefault(door, {})
            counts[text] = counts.get(text, 0) + 1

    def texts(self) -> tuple[str, ...]:
        """A clause a door: ``azure: timed out 3 times, then answered 404``."""
        with self._lock:
            return tuple(
                f"{door}: "
                + ", then ".join(text if n == 1 else f"{text} ({n} times)" for text, n in counts.items())
                for door, counts in self._counts.items()
            )

    def error(self, what: str, *, where: str | None = None) -> InputError:
        """That no door gave it, and why."""
        return InputError(
            f"No door gave {what} ({'; '.join(self.texts()) or 'there is none to ask'}).",
            where=where,
            mend="Check the path and the network, try again later, or name another door.",
        )


# Shared by all threads of the process.
ORDER = DoorOrder()


def insist(
    door: OpenDoor,
    question: Callable[[OpenDoor], T],
    *,
    patience: Patience,
    on_fault: OnFault | None = None,
    passing: frozenset[FaultKind] = PASSING,
) -> T:
    """Ask one door, again and again where the fault may pass.

    Args:
        door: is asked.
        question: what is asked of it; may be called several times.
        patience: how often, and how long to wait.
        on_fault: is told every fault.
        passing: faults after which it is asked again.

    Raises:
        DoorFault: the last one.
    """
    n_faults = 0
    while True:
        try:
            return question(door)
        except DoorFault as fault:
            n_faults += 1
            if on_fault is not None:
                on_fault(door, fault)
            wait = patience.wait_after(n_faults, fault.retry_after) if fault.kind in passing else None
            if wait is None:
                raise
        patience.sleep(wait)


def ask(
    doors: Sequence[OpenDoor],
    what: str,
    question: Callable[[OpenDoor], T],
    *,
    patience: Patience | None = None,
    on_fault: OnFault | None = None,
    order: DoorOrder = ORDER,
) -> tuple[T, OpenDoor]:
    """Ask the doors in order of preference until one answers.

    Args:
        doors: serve the same paths.
        what: is asked for, as the error calls it: ``the listing of release/20130502/``.
        question: what is asked; `DoorFault` says that a door can't answer.
        patience: with each door.
        on_fault: is told every fault.
        order: knows the doors that have failed of late.

    Returns:
        The answer, and the door that gave it.

    Raises:
        InputError: none answered; its text says what each did.
    """
    patience = patience or Patience()
    log = FaultLog()

    def tell(door: OpenDoor, fault: DoorFault) -> None:
        log.note(door, fault)
        if on_fault is not None:
            on_fault(door, fault)

    for door in order.arrange(doors):
        try:
            answer = insist(door, question, patience=patience, on_fault=tell)
        except DoorFault as fault:
            order.failed(door, fault)
        else:
            order.succeeded(door)
            return answer, door
    raise log.error(what)
