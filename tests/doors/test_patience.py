"""Asking doors with patience: how long it waits, whom it asks next, what it says when nobody answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from kgp.errors import InputError
from kgp.io.doors import PASSING, DoorFault
from kgp.io.doors.base import FaultKind
from kgp.io.doors.patience import DoorOrder, Patience, ask
from kgp.sources import Door, Entry

ENTRIES = [Entry(f"release/{i}.vcf.gz", i) for i in range(5)]


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.naps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


@dataclass
class ScriptedDoor:
    """A door that does what its script says, once each, and answers from then on.

    Args:
        name: of the door.
        script: faults in the order in which they come; ``None`` in between is a good answer.
        listing: what it lists.
        breaks_after: entries of a listing that come before the fault of that listing.
    """

    name: str
    script: list[DoorFault | None] = field(default_factory=list)
    listing: list[Entry] = field(default_factory=lambda: ENTRIES)
    breaks_after: int = 0
    range_bytes: int = 4
    most_connections: int = 2
    n_asked: int = 0

    @property
    def door(self) -> Door:
        return Door(self.name, "https", f"https://{self.name}.example", "1000genomes", "")

    def stat(self, path: str) -> Entry | None:
        self._act()
        return Entry(path, 1)

    def list(self, prefix: str) -> Iterator[Entry]:
        fault = self._next()
        if fault is not None:
            yield from self.listing[: self.breaks_after]
            raise fault
        yield from self.listing

    def read_range(self, path: str, start: int, end: int, *, version: Entry | None = None) -> bytes:
        self._act()
        return bytes(end - start)

    def url(self, path: str) -> str:
        return f"{self.door.root}/{path}"

    def close(self) -> None: ...

    def _next(self) -> DoorFault | None:
        self.n_asked += 1
        return self.script.pop(0) if self.script else None

    def _act(self) -> None:
        if (fault := self._next()) is not None:
            raise fault


def fault(kind: FaultKind, text: str = "timed out", retry_after: float | None = None) -> DoorFault:
    return DoorFault(kind, text, retry_after=retry_after)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def patience(clock: Clock) -> Patience:
    """Waits are as long as they can be."""
    return Patience(sleep=clock.sleep, random=lambda: 1.0)


def stat(door: ScriptedDoor) -> Entry | None:
    return door.stat("a")


def test_passing_faults_are_waited_out_with_doubling_waits(clock: Clock) -> None:
    patience = Patience(attempts=6, first_wait=0.5, most_wait=3.0, sleep=clock.sleep, random=lambda: 1.0)
    kinds: list[FaultKind] = ["timeout", "broken", "short", "checksum", "changed"]
    assert set(kinds) <= PASSING
    door = ScriptedDoor("azure", [fault(kind) for kind in kinds])
    answer, by = ask([door], "it", stat, patience=patience, order=DoorOrder())
    assert answer == Entry("a", 1)
    assert by is door
    assert clock.naps == [0.5, 1.0, 2.0, 3.0, 3.0]


@pytest.mark.parametrize(("drawn", "waits"), [(0.0, [0.25, 0.5]), (0.5, [0.375, 0.75]), (1.0, [0.5, 1.0])])
def test_jitter_takes_off_up_to_half(clock: Clock, drawn: float, waits: list[float]) -> None:
    patience = Patience(sleep=clock.sleep, random=lambda: drawn)
    ask([ScriptedDoor("azure", [fault("broken")] * 2)], "it", stat, patience=patience, order=DoorOrder())
    assert clock.naps == waits


def test_a_server_that_says_how_long_to_wait_is_heard(clock: Clock, patience: Patience) -> None:
    script = [fault("throttled", retry_after=7.0), fault("throttled", retry_after=0.1)]
    ask([ScriptedDoor("azure", list(script))], "it", stat, patience=patience, order=DoorOrder())
    assert clock.naps == [7.0, 1.0]  # no less than our own wait


@pytest.mark.parametrize(("asked", "is_left"), [(120.0, False), (120.5, True)])
def test_who_asks_for_too_long_a_wait_is_left(
    clock: Clock, patience: Patience, asked: float, is_left: bool
) -> None:
    first = ScriptedDoor("azure", [fault("throttled", "answered 503", retry_after=asked)])
    second = ScriptedDoor("igsr-https")
    _, by = ask([first, second], "it", stat, patience=patience, order=DoorOrder())
    assert by is (second if is_left else first)
    assert clock.naps == ([] if is_left else [asked])


@pytest.mark.parametrize("kind", ["absent", "denied", "confused"])
def test_lasting_faults_go_to_the_next_door_at_once(
    clock: Clock, patience: Patience, kind: FaultKind
) -> None:
    first, second = ScriptedDoor("azure", [fault(kind)]), ScriptedDoor("igsr-https")
    told: list[tuple[str, str]] = []
    _, by = ask(
        [first, second],
        "it",
        stat,
        patience=patience,
        on_fault=lambda door, fault: told.append((door.door.name, fault.kind)),
        order=DoorOrder(),
    )
    assert by is second
    assert first.n_asked == 1
    assert clock.naps == []
    assert told == [("azure", kind)]


def test_when_all_fail_each_door_has_its_clause(clock: Clock, patience: Patience) -> None:
    doors = [
        ScriptedDoor("azure", [fault("timeout")] * 3),
        ScriptedDoor("igsr-https", [fault("throttled", "answered 503", retry_after=600.0)]),
        ScriptedDoor(
            "igsr-ftp", [fault("broken", "closed the connection"), fault("absent", "does not have it")]
        ),
    ]
    with pytest.raises(InputError) as caught:
        ask(doors, "the listing of release/", stat, patience=patience, order=DoorOrder())
    assert str(caught.value).startswith(
        "No door gave the listing of release/ (azure: timed out (3 times); igsr-https: answered 503, "
        "asked to wait 600 s; igsr-ftp: closed the connection, then does not have it)."
    )
    assert caught.value.mend
    assert [door.n_asked for door in doors] == [3, 1, 2]
    assert clock.naps == [0.5, 1.0, 0.5]


def test_without_doors_that_is_said() -> None:
    with pytest.raises(InputError, match="there is none to ask"):
        ask([], "it", stat, order=DoorOrder())


def test_other_exceptions_are_not_swallowed(patience: Patience) -> None:
    def defect(door: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask([ScriptedDoor("azure"), ScriptedDoor("igsr-https")], "it", defect, patience=patience)


def test_a_door_that_fails_three_times_in_a_row_rests_at_the_end(clock: Clock, patience: Patience) -> None:
    order = DoorOrder(most_failures=3, rest=300.0, clock=clock)
    dead, healthy = ScriptedDoor("azure", [fault("timeout")] * 100), ScriptedDoor("igsr-https")
    for _ in range(3):
        assert ask([dead, healthy], "it", stat, patience=patience, order=order)[1] is healthy
    assert dead.n_asked == 9
    for _ in range(5):
        ask([dead, healthy], "it", stat, patience=patience, order=order)
    assert dead.n_asked == 9  # it is not asked while it rests
    clock.now += 301
    ask([dead, healthy], "it", stat, patience=patience, order=order)
    assert dead.n_asked == 12  # it has one chance
    ask([dead, healthy], "it", stat, patience=patience, order=order)
    assert dead.n_asked == 12
    clock.now += 301
    dead.script.clear()
    assert ask([dead, healthy], "it", stat, patience=patience, order=order)[1] is dead


def test_a_resting_door_is_still_the_last_resort(clock: Clock, patience: Patience) -> None:
    order = DoorOrder(most_failures=1, clock=clock)
    first, second = ScriptedDoor("azure", [fault("denied")]), ScriptedDoor("igsr-https")
    assert ask([first, second], "it", stat, patience=patience, order=order)[1] is second
    second.script = [fault("absent")]
    assert ask([first, second], "it", stat, patience=patience, order=order)[1] is first
    assert (
        ask([first, second], "it", stat, patience=patience, order=order)[1] is first
    )  # a success ends the rest


def test_lacking_a_file_is_no_failure_of_the_door(clock: Clock) -> None:
    order = DoorOrder(most_failures=2, clock=clock)
    door, other = ScriptedDoor("azure"), ScriptedDoor("igsr-https")
    for _ in range(5):
        order.failed(door, fault("absent"))
    assert order.arrange([door, other]) == [door, other]


def test_a_success_in_between_starts_the_count_again(clock: Clock) -> None:
    order = DoorOrder(most_failures=2, clock=clock)
    door, other = ScriptedDoor("azure"), ScriptedDoor("igsr-https")
    for _ in range(3):
        order.failed(door, fault("broken"))
        order.succeeded(door)
    assert order.arrange([door, other]) == [door, other]
    order.failed(door, fault("broken"))
    order.failed(door, fault("broken"))
    assert order.arrange([door, other]) == [other, door]
