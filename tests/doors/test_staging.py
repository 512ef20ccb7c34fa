"""Staging to a directory: the file is there as the door has it, or not at all, whatever is done to it on the way."""

from __future__ import annotations

import _thread
import errno
import gzip
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgp.errors import InputError, UsageError
from kgp.io.bgzf import compress_blocks
from kgp.io.doors import DoorFault
from kgp.io.doors.patience import DoorOrder, Patience
from kgp.io.inflate import END_MARKER
from kgp.io.staging import Staged, open_target, stage
from kgp.io.staging.digest import FileDigest
from kgp.io.staging.ending import Ending
from kgp.io.staging.local_part import LocalPart
from kgp.io.staging.local_target import LocalTarget
from kgp.io.staging.model import Version
from kgp.sources import Door, Entry

PATH = "release/a.vcf"
RANGE = 64


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def noise(n: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(n)


class MemoryDoor:
    """A door whose files lie in memory.

    Args:
        files: path → bytes; an ETag is made of them.
        name: of the door.
        states_md5: whether it tells the MD5.
        has_etags: whether it tells an ETag; else it tells a time of change.
        range_bytes: of a range.
        on_read: is told path and range before a range is given, and may raise.
    """

    def __init__(
        self,
        files: dict[str, bytes],
        name: str = "azure",
        *,
        states_md5: bool = True,
        has_etags: bool = True,
        range_bytes: int = RANGE,
        on_read: Callable[[int, int], object] = lambda start, end: None,
    ) -> None:
        self.door = Door(name, "https", f"https://{name}.example", "1000genomes", "")
        self.range_bytes, self.most_connections = range_bytes, 8
        self.files, self.states_md5, self.has_etags, self.on_read = files, states_md5, has_etags, on_read
        self.read: list[tuple[int, int]] = []
        self.n_stats = self.n_at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    def stat(self, path: str) -> Entry | None:
        self.n_stats += 1
        data = self.files.get(path)
        if data is None:
            return None
        mark = hashlib.sha1(data).hexdigest()
        return Entry(
            path,
            len(data),
            md5=md5(data) if self.states_md5 else None,
            etag=mark if self.has_etags else None,
            modified=None if self.has_etags else mark,
        )

    def list(self, prefix: str) -> Iterator[Entry]:
        for path in self.files:
            entry = self.stat(path)
            assert entry is not None
            yield entry

    def read_range(self, path: str, start: int, end: int, *, version: Entry | None = None) -> bytes:
        with self.lock:
            self.n_at_once += 1
            self.most_at_once = max(self.most_at_once, self.n_at_once)
        try:
            now = self.stat(path)
            if version is not None and now is not None and self.has_etags and now.etag != version.etag:
                raise DoorFault("changed", "has another version by now")
            self.on_read(start, end)
            data = self.files[path][start:end]
            if len(data) < end - start:
                raise DoorFault("short", "gave too few bytes")
            with self.lock:
                self.read.append((start, end))
            return data
        finally:
            with self.lock:
                self.n_at_once -= 1

    def url(self, path: str) -> str:
        return f"{self.door.root}/{path}"

    def close(self) -> None: ...


def hasty() -> Patience:
    return Patience(sleep=lambda seconds: None)


def run(
    doors: MemoryDoor | list[MemoryDoor],
    root: Path,
    wanted: Entry | None = None,
    **options: Any,
) -> Staged:
    options = {"connections": 3, "patience": hasty(), "order": DoorOrder()} | options
    return stage(
        wanted or Entry(PATH, None),
        doors if isinstance(doors, list) else [doors],
        LocalTarget(str(root), most_wait=options.pop("most_wait", 30.0)),
        **options,
    )


def left(root: Path) -> list[str]:
    """All files below a directory."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def n_bytes(ranges: Iterable[tuple[int, int]]) -> int:
    return sum(end - start for start, end in ranges)


@contextmanager
def new_directory() -> Iterator[Path]:
    """As `tmp_path`, for each example of a property."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# ------------------------------------------------------------------------------------------------ the whole of it


@many
@given(
    size=st.one_of(
        st.sampled_from([1, RANGE - 1, RANGE, RANGE + 1, 2 * RANGE, 7 * RANGE + 3]), st.integers(1, 3000)
    ),
    connections=st.integers(1, 5),
    states_md5=st.booleans(),
)
def test_what_is_staged_is_what_the_door_has(size: int, connections: int, states_md5: bool) -> None:
    data = noise(size, size)
    door = MemoryDoor({PATH: data}, states_md5=states_md5)
    told: list[int] = []
    with new_directory() as root:
        staged = run(door, root, connections=connections, on_bytes=told.append)
        assert (root / PATH).read_bytes() == data
        assert left(root) == [PATH]
        assert staged.url == str(root / PATH)
    assert (staged.path, staged.size, staged.md5, staged.door) == (PATH, size, md5(data), "azure")
    assert staged.is_verified is states_md5
    assert staged.n_bytes_read == size == sum(told) == n_bytes(door.read)
    assert (staged.n_bytes_resumed, staged.n_restarts, staged.faults) == (0, 0, ())
    assert door.most_at_once <= connections
    assert all(end - start <= RANGE for start, end in door.read)


def test_an_archives_md5_is_what_counts_where_the_door_states_none(tmp_path: Path) -> None:
    data = noise(500)
    staged = run(MemoryDoor({PATH: data}, states_md5=False), tmp_path, Entry(PATH, len(data), md5=md5(data)))
    assert staged.is_verified
    assert (tmp_path / PATH).read_bytes() == data


def test_no_more_connections_than_the_door_bears(tmp_path: Path) -> None:
    door = MemoryDoor({PATH: noise(3000)}, on_read=lambda start, end: time.sleep(0.001))
    door.most_connections = 2
    run(door, tmp_path, connections=8)
    assert door.most_at_once == 2


def test_a_listing_of_the_same_door_saves_the_question(tmp_path: Path) -> None:
    door = MemoryDoor({PATH: noise(100)})
    (entry,) = door.list("")
    door.read_range = lambda path, start, end, version=None: door.files[path][start:end]  # type: ignore[method-assign]
    door.n_stats = 0
    run(door, tmp_path, entry, listed_by="azure")
    assert door.n_stats == 0
    run(door, tmp_path, entry, listed_by="igsr-https")
    assert door.n_stats == 1


def test_a_file_that_lies_there_is_replaced_at_the_end_only(tmp_path: Path) -> None:
    (tmp_path / "release").mkdir()
    (tmp_path / PATH).write_bytes(b"old")
    seen: list[bytes] = []
    door = MemoryDoor(
        {PATH: noise(1000)}, on_read=lambda start, end: seen.append((tmp_path / PATH).read_bytes())
    )
    run(door, tmp_path)
    assert set(seen) == {b"old"}
    assert (tmp_path / PATH).read_bytes() == noise(1000)


# --------------------------------------------------------------------------------------------------- resuming


def leave_part(root: Path, door: MemoryDoor, done: Iterable[int]) -> set[tuple[int, int]]:
    """As an earlier run that was killed leaves it: ranges of these numbers are complete."""
    entry = door.stat(PATH)
    assert entry is not None
    assert entry.size is not None
    part = LocalTarget(str(root)).open_part(PATH, Version(entry.size, entry.md5, door.door.name, entry.etag))
    ranges = {(n * RANGE, min(n * RANGE + RANGE, entry.size)) for n in done}
    for start, end in ranges:
        part.write(start, door.files[PATH][start:end])
    part.close()
    return ranges


n_ranges = 12
some_ranges = st.sets(st.integers(0, n_ranges - 1))
resumable = noise(n_ranges * RANGE - 10, 5)


@many
@given(done=some_ranges, states_md5=st.booleans(), step=st.sampled_from([RANGE, 17, 1000]))
def test_complete_ranges_are_not_read_again(done: set[int], states_md5: bool, step: int) -> None:
    door = MemoryDoor({PATH: resumable}, states_md5=states_md5)
    with new_directory() as root:
        there = leave_part(root, door, done)
        door.range_bytes = step
        staged = run(door, root)
        assert (root / PATH).read_bytes() == resumable
        assert left(root) == [PATH]
    assert staged.md5 == md5(resumable)
    assert staged.n_bytes_resumed == n_bytes(there)
    assert staged.n_bytes_read == len(resumable) - n_bytes(there)
    assert not {at for pair in door.read for at in range(*pair)} & {
        at for pair in there for at in range(*pair)
    }


@many
@given(done=some_ranges, places=st.sets(st.integers(0, len(resumable) - 1), min_size=1, max_size=4))
def test_a_damaged_range_is_read_again_and_no_other(done: set[int], places: set[int]) -> None:
    door = MemoryDoor({PATH: resumable})
    with new_directory() as root:
        there = leave_part(root, door, done)
        part = root / "release" / ".a.vcf.kgp-part"
        if there:
            raw = bytearray(part.read_bytes())
            for at in places:
                raw[at] ^= 0x40
            part.write_bytes(raw)
        staged = run(door, root)
        assert (root / PATH).read_bytes() == resumable
    intact = {pair for pair in there if not any(pair[0] <= at < pair[1] for at in places)}
    assert staged.n_bytes_resumed == n_bytes(intact)
    assert staged.n_bytes_read == len(resumable) - n_bytes(intact)


@many
@given(
    done=st.sets(st.integers(0, n_ranges - 1), min_size=1),
    change=st.sampled_from(["flip", "cut", "insert", "repeat"]),
    where=st.floats(0, 1, exclude_max=True),
    byte=st.integers(1, 255),
)
def test_a_damaged_journal_costs_only_what_it_no_longer_says(
    done: set[int], change: str, where: float, byte: int
) -> None:
    door = MemoryDoor({PATH: resumable})
    with new_directory() as root:
        leave_part(root, door, done)
        journal = root / "release" / ".a.vcf.kgp-journal"
        raw = journal.read_bytes()
        at = int(where * len(raw))
        journal.write_bytes(
            {
                "flip": raw[:at] + bytes([raw[at] ^ byte]) + raw[at + 1 :],
                "cut": raw[:at],
                "insert": raw[:at] + bytes([byte]) + raw[at:],
                "repeat": raw + raw[at:],
            }[change]
        )
        # What an untouched line says still counts.
        head, *lines = raw.splitlines(keepends=True)
        now = (
            set(journal.read_bytes().splitlines(keepends=True))
            if journal.read_bytes().startswith(head)
            else set()
        )
        intact = {(json.loads(line)["start"], json.loads(line)["end"]) for line in lines if line in now}
        staged = run(door, root)
        assert (root / PATH).read_bytes() == resumable
        assert left(root) == [PATH]
    assert staged.n_bytes_read <= len(resumable) - n_bytes(intact)
    assert staged.n_bytes_read + staged.n_bytes_resumed == len(resumable)


def test_long_ranges_are_checked_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kgp.io.staging.local_part.MOST_RANGE", 20)
    monkeypatch.setattr("kgp.io.staging.journal.MOST_RANGE", 20)
    door = MemoryDoor({PATH: resumable})
    leave_part(tmp_path, door, [0, 3])
    part = tmp_path / "release" / ".a.vcf.kgp-part"
    raw = bytearray(part.read_bytes())
    raw[3 * RANGE + 45] ^= 1
    part.write_bytes(raw)
    staged = run(door, tmp_path)
    assert (tmp_path / PATH).read_bytes() == resumable
    assert staged.n_bytes_resumed == 2 * RANGE - 20


@pytest.mark.parametrize("what", ["part", "journal"])
def test_half_of_the_pair_is_missing(tmp_path: Path, what: str) -> None:
    door = MemoryDoor({PATH: resumable})
    leave_part(tmp_path, door, [0, 3])
    (tmp_path / "release" / f".a.vcf.kgp-{what}").unlink()
    staged = run(door, tmp_path)
    assert (tmp_path / PATH).read_bytes() == resumable
    assert staged.n_bytes_read == len(resumable)
    assert left(tmp_path) == [PATH]


def test_what_follows_a_torn_line_of_the_journal_counts(tmp_path: Path) -> None:
    door = MemoryDoor({PATH: resumable})
    leave_part(tmp_path, door, [0])
    journal = tmp_path / "release" / ".a.vcf.kgp-journal"
    whole = journal.read_bytes()
    leave_part(tmp_path, door, [1])
    journal.write_bytes(journal.read_bytes()[:-5])
    assert journal.read_bytes().startswith(whole)
    leave_part(tmp_path, door, [5])
    staged = run(door, tmp_path)
    assert staged.n_bytes_resumed == 2 * RANGE
    assert (tmp_path / PATH).read_bytes() == resumable


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_part_of_another_length_is_mended(tmp_path: Path, size: int) -> None:
    door = MemoryDoor({PATH: resumable})
    leave_part(tmp_path, door, range(n_ranges))
    os.truncate(tmp_path / "release" / ".a.vcf.kgp-part", size)
    staged = run(door, tmp_path)
    assert (tmp_path / PATH).read_bytes() == resumable
    assert staged.n_bytes_resumed == {0: 0, 100: RANGE, 5000: len(resumable)}[size]


def test_a_part_of_another_version_is_thrown_away(tmp_path: Path) -> None:
    leave_part(tmp_path, MemoryDoor({PATH: noise(len(resumable), 99)}), range(n_ranges))
    staged = run(MemoryDoor({PATH: resumable}), tmp_path)
    assert (tmp_path / PATH).read_bytes() == resumable
    assert (staged.n_bytes_read, staged.n_bytes_resumed, staged.n_restarts) == (len(resumable), 0, 1)
    assert staged.faults == ()  # it was known before the sum was


@pytest.mark.parametrize(("states_md5", "resumed"), [(True, 3 * RANGE), (False, 0)])
def test_another_door_goes_on_only_with_the_same_md5(tmp_path: Path, states_md5: bool, resumed: int) -> None:
    leave_part(tmp_path, MemoryDoor({PATH: resumable}, "azure", states_md5=states_md5), [0, 1, 5])
    staged = run(MemoryDoor({PATH: resumable}, "igsr-https", states_md5=states_md5), tmp_path)
    assert (tmp_path / PATH).read_bytes() == resumable
    assert staged.n_bytes_resumed == resumed
    assert staged.n_restarts == (0 if states_md5 else 1)


def test_a_door_without_any_mark_of_the_version_never_resumes(tmp_path: Path) -> None:
    door = MemoryDoor({PATH: resumable}, states_md5=False)
    door.stat = lambda path: Entry(path, len(resumable))  # type: ignore[method-assign]
    door.has_etags = False
    leave_part(tmp_path, door, [0, 1])
    staged = run(door, tmp_path)
    assert (tmp_path / PATH).read_bytes() == resumable
    assert staged.n_bytes_resumed == 0


# --------------------------------------------------------------------------------------- faults and failing over


def times(n: int, fault: DoorFault) -> Callable[[int, int], None]:
    """A door's `on_read` that fails so many times."""
    counter = iter(range(n))
    lock = threading.Lock()

    def act(start: int, end: int) -> None:
        with lock:
            fails = next(counter, None) is not None
        if fails:
            raise fault

    return act


def test_ranges_are_tried_again(tmp_path: Path) -> None:
    door = MemoryDoor({PATH: noise(1000)}, on_read=times(2, DoorFault("broken", "cut the connection")))
    staged = run(door, tmp_path)
    assert (tmp_path / PATH).read_bytes() == noise(1000)
    assert staged.n_bytes_read == 1000
    assert staged.faults == ("azure: cut the connection (2 times)",)


def after(n: int, door_fault: DoorFault) -> Callable[[int, int], None]:
    """A door's `on_read` that fails for ever from byte `n` on."""

    def act(start: int, end: int) -> None:
        if end > n:
            raise door_fault

    return act


@pytest.mark.parametrize("states_md5", [True, False])
def test_the_next_door_goes_on_with_the_same_md5_and_starts_anew_without(
    tmp_path: Path, states_md5: bool
) -> None:
    data = noise(2000)
    first = MemoryDoor(
        {PATH: data}, "azure", states_md5=states_md5, on_read=after(1000, DoorFault("timeout", "timed out"))
    )
    second = MemoryDoor({PATH: data}, "igsr-https", states_md5=states_md5, range_bytes=50)
    staged = run([first, second], tmp_path, connections=1)
    assert (tmp_path / PATH).read_bytes() == data
    assert staged.door == "igsr-https"
    assert staged.faults == ("azure: timed out (3 times)",)
    of_first = 1000 // RANGE * RANGE
    assert n_bytes(first.read) == of_first
    assert n_bytes(second.read) == (2000 - of_first if states_md5 else 2000)
    assert staged.n_restarts == (0 if states_md5 else 1)


def test_when_all_doors_fail_what_came_is_kept_and_the_error_names_each(tmp_path: Path) -> None:
    data = noise(2000)
    doors = [
        MemoryDoor({PATH: data}, "azure", on_read=after(1000, DoorFault("timeout", "timed out"))),
        MemoryDoor({}, "igsr-https"),
        MemoryDoor({PATH: data[:-1]}, "ncbi-https"),
        MemoryDoor({PATH: noise(2000, 7)}, "aws"),
    ]
    wanted = Entry(PATH, 2000, md5=md5(data))
    with pytest.raises(InputError) as caught:
        run(doors, tmp_path, wanted, connections=1)
    for clause in (
        "azure: timed out (3 times)",
        "igsr-https: does not have it",
        "ncbi-https: has 1,999 bytes where 2,000 are wanted",
        f"aws: has MD5 {md5(noise(2000, 7))} where {md5(data)} is wanted",
    ):
        assert clause in str(caught.value)
    assert left(tmp_path) == ["release/.a.vcf.kgp-journal", "release/.a.vcf.kgp-part"]
    staged = run(MemoryDoor({PATH: data}), tmp_path, wanted)
    assert staged.n_bytes_resumed == 1000 // RANGE * RANGE


def test_nothing_is_left_where_nothing_came(tmp_path: Path) -> None:
    door = MemoryDoor({PATH: noise(2000)}, on_read=after(0, DoorFault("denied", "answered 403")))
    with pytest.raises(InputError, match="azure: answered 403"):
        run(door, tmp_path)
    assert left(tmp_path) == []


def test_drift_is_named_and_the_next_door_gives_it(tmp_path: Path) -> None:
    data = noise(300)
    doors = [MemoryDoor({PATH: noise(299)}, "azure"), MemoryDoor({PATH: data}, "igsr-https")]
    staged = run(doors, tmp_path, Entry(PATH, 300))
    assert staged.door == "igsr-https"
    assert staged.faults == ("azure: has 299 bytes where 300 are wanted",)
    assert doors[0].read == []


@pytest.mark.parametrize("states_md5", [True, False])
def test_a_file_that_changes_in_mid_transfer_is_begun_anew(tmp_path: Path, states_md5: bool) -> None:
    old, new = noise(2000, 1), noise(2000, 2)

    def replace_it(start: int, end: int) -> None:
        if end > 1000 and door.files[PATH] is old:
            door.files[PATH] = new
            raise DoorFault("changed", "has another version by now")

    door = MemoryDoor({PATH: old}, states_md5=states_md5, on_read=replace_it)
    staged = run(door, tmp_path)
    assert (tmp_path / PATH).read_bytes() == new
    assert staged.md5 == md5(new)
    assert staged.n_restarts == 1
    assert "another version" in staged.faults[0]


def test_an_archives_md5_does_not_make_two_versions_of_one_door_one(tmp_path: Path) -> None:
    old, new = noise(2000, 1), noise(2000, 2)

    def replace_it(start: int, end: int) -> None:
        if end > 1000 and door.files[PATH] is old:
            door.files[PATH] = new
            raise DoorFault("changed", "has another version by now")

    door = MemoryDoor({PATH: old}, states_md5=False, on_read=replace_it)
    staged = run(door, tmp_path, Entry(PATH, 2000, md5=md5(new)), connections=1)
    assert (tmp_path / PATH).read_bytes() == new
    assert staged.faults == ("azure: has another version by now",)
    assert staged.n_restarts == 1


def test_a_change_that_only_the_time_tells_is_noticed_at_the_end(tmp_path: Path) -> None:
    old, new = noise(2000, 1), noise(2000, 2)

    def replace_it(start: int, end: int) -> None:
        if start == 1024:
            door.files[PATH] = new

    door = MemoryDoor({PATH: old}, "igsr-ftp", states_md5=False, has_etags=False, on_read=replace_it)
    staged = run(door, tmp_path, connections=1)
    assert (tmp_path / PATH).read_bytes() == new
    assert staged.faults == ("igsr-ftp: changed the file while it was read",)


def test_a_file_that_never_stands_still_is_left(tmp_path: Path) -> None:
    counter = iter(range(10**6))

    def replace_it(start: int, end: int) -> None:
        if start == 512:
            door.files[PATH] = noise(1000, next(counter))
            raise DoorFault("changed", "has another version by now")

    door = MemoryDoor({PATH: noise(1000)}, on_read=replace_it)
    with pytest.raises(InputError, match=r"azure: has another version by now \(3 times\)"):
        run(door, tmp_path, connections=1)
    assert not (tmp_path / PATH).exists()


class LyingDoor(MemoryDoor):
    """Gives one byte wrong, so many times."""

    n_lies = 1
    at = 700

    def read_range(self, path: str, start: int, end: int, *, version: Entry | None = None) -> bytes:
        data = super().read_range(path, start, end, version=version)
        if start <= self.at < end and self.n_lies:
            self.n_lies -= 1
            raw = bytearray(data)
            raw[self.at - start] ^= 1
            return bytes(raw)
        return data


def test_wrong_bytes_are_all_read_once_more_one_range_at_a_time(tmp_path: Path) -> None:
    data = noise(1000)
    at_once: list[int] = []

    def watch(start: int, end: int) -> None:
        time.sleep(0.002)
        at_once.append(door.n_at_once)

    door = LyingDoor({PATH: data}, on_read=watch)
    staged = run(door, tmp_path, connections=4)
    assert max(at_once[:16]) > 1
    assert at_once[16:] == [1] * 16
    assert (tmp_path / PATH).read_bytes() == data
    assert (staged.n_bytes_read, staged.n_restarts, staged.is_verified) == (2000, 1, True)
    assert door.read[-16:] == [(at, min(at + RANGE, 1000)) for at in range(0, 1000, RANGE)]
    assert len(staged.faults) == 1
    assert f"where {md5(data)} is stated" in staged.faults[0]


def test_a_door_that_keeps_giving_wrong_bytes_is_left(tmp_path: Path) -> None:
    data = noise(1000)
    liar, honest = LyingDoor({PATH: data}, "azure"), MemoryDoor({PATH: data}, "igsr-https")
    liar.n_lies = 10**6
    staged = run([liar, honest], tmp_path)
    assert (tmp_path / PATH).read_bytes() == data
    assert staged.door == "igsr-https"
    assert n_bytes(liar.read) == 2000
    assert n_bytes(honest.read) == 1000  # nothing of the liar's is trusted
    liar.read.clear()
    (tmp_path / PATH).unlink()
    with pytest.raises(InputError, match="azure: gave bytes of MD5"):
        run([liar], tmp_path)
    assert left(tmp_path) == []


def test_doors_that_fail_file_after_file_are_asked_last(tmp_path: Path) -> None:
    files = {f"{n}.vcf": noise(100, n) for n in range(6)}
    dead = MemoryDoor(files, "azure", on_read=after(0, DoorFault("timeout", "timed out")))
    healthy = MemoryDoor(files, "igsr-https")
    order = DoorOrder(most_failures=3)
    faults = [run([dead, healthy], tmp_path, Entry(path, 100), order=order).faults for path in files]
    assert faults == [("azure: timed out (3 times)",)] * 3 + [()] * 3


# ------------------------------------------------------------------------------------------- what can't be staged


def test_an_empty_file_needs_the_listing_and_the_callers_word(tmp_path: Path) -> None:
    door = MemoryDoor({PATH: b""})
    for wanted, options in (
        (Entry(PATH, 0), {}),
        (Entry(PATH, None), {}),
        (Entry(PATH, None), {"allow_empty": True}),
        (Entry(PATH, 5), {"allow_empty": True}),
    ):
        with pytest.raises(InputError):
            run(door, tmp_path, wanted, **options)
        assert left(tmp_path) == []
    staged = run(door, tmp_path, Entry(PATH, 0), allow_empty=True)
    assert (tmp_path / PATH).read_bytes() == b""
    assert (staged.size, staged.md5) == (0, "d41d8cd98f00b204e9800998ecf8427e")


@pytest.mark.parametrize(
    "path", ["../a", "a/../../b", "/etc/a", "a//b", "./a", "a/.", "", "a\x00b", "a\nb", "a\x7f", "a\\b", "a/"]
)
def test_no_path_leads_out_of_the_target(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    with pytest.raises(InputError, match="would not lie below the target"):
        run(MemoryDoor({path: b"abc"}), root, Entry(path, 3))
    assert left(tmp_path) == []
    assert not root.exists()


@pytest.mark.parametrize("what", ["part", "journal"])
def test_no_link_in_place_of_a_part_is_followed(tmp_path: Path, what: str) -> None:
    (tmp_path / "root" / "release").mkdir(parents=True)
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "root" / "release" / f".a.vcf.kgp-{what}").symlink_to(tmp_path / "mine")
    with pytest.raises(InputError, match="can't be written"):
        run(MemoryDoor({PATH: b"abc"}), tmp_path / "root")
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_no_link_leads_out_of_the_target(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "release").symlink_to(outside)
    with pytest.raises(InputError, match="symbolic link"):
        run(MemoryDoor({PATH: b"abc"}), root)
    assert left(tmp_path) == []


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "disk")
    run(MemoryDoor({PATH: b"abc"}), tmp_path / "root")
    assert (tmp_path / "disk" / PATH).read_bytes() == b"abc"


def test_a_directory_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / PATH).mkdir(parents=True)
    with pytest.raises(InputError, match="It is a directory"):
        run(MemoryDoor({PATH: b"abc"}), tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize("file", ["root", "root/release"])
def test_a_file_in_place_of_a_directory(tmp_path: Path, file: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(b"mine")
    with pytest.raises(InputError, match="where a directory is needed"):
        run(MemoryDoor({PATH: b"abc"}), tmp_path / "root")
    assert left(tmp_path) == [file]


def test_too_little_space_is_said_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=999))
    door = MemoryDoor({PATH: noise(1000)})
    with pytest.raises(InputError, match=r"1,000 bytes are needed, 999 are free"):
        run(door, tmp_path)
    assert door.read == []
    assert left(tmp_path) == []


def test_a_disk_that_fills_up_leaves_a_part_to_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = noise(1000)
    real = os.pwrite

    def full(fd: int, block: bytes, at: int) -> int:
        if len(block) == RANGE and at >= 512:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, block, at)

    door = MemoryDoor({PATH: data})
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(InputError, match=r"The disk is full"):
            run(door, tmp_path)
    assert left(tmp_path) == ["release/.a.vcf.kgp-journal", "release/.a.vcf.kgp-part"]
    staged = run(door, tmp_path)
    assert (tmp_path / PATH).read_bytes() == data
    assert staged.n_bytes_resumed >= 512 - 3 * RANGE


def test_a_directory_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "makedirs", refuse)
    with pytest.raises(InputError, match="may not be written"):
        run(MemoryDoor({PATH: b"abc"}), tmp_path)


# ----------------------------------------------------------------------------------- compressed, without an MD5

TEXT = b"".join(b"22\t%d\trs%d\tA\tG\n" % (n, n * 7919 % 10007) for n in range(20_000))
BGZF = compress_blocks(TEXT) + END_MARKER
GZIP = gzip.compress(TEXT, mtime=0)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (BGZF, None),
        (BGZF[: -len(END_MARKER)], None),  # old writers put no end marker
        (BGZF[: -len(END_MARKER) - 1], "breaks off within a block"),
        (BGZF[:-1], "breaks off within a block"),
        (BGZF[: len(BGZF) // 2], "breaks off within a block"),
        (BGZF[:-100] + bytes([BGZF[-100] ^ 1]) + BGZF[-99 : -len(END_MARKER)], "breaks off within a block"),
        (GZIP, None),
        (GZIP + GZIP, None),
        (GZIP + bytes(512), None),
        (GZIP[:-1], "breaks off"),
        (GZIP[: len(GZIP) // 2], "breaks off"),
        (GZIP[:5000] + bytes([GZIP[5000] ^ 1]) + GZIP[5001:], "is broken"),
        (GZIP[:-6] + bytes([GZIP[-6] ^ 1]) + GZIP[-5:], "is broken"),
        (GZIP + b"trailing", "is broken"),
        (b"<html>come back later</html>", "not compressed"),
    ],
)
@pytest.mark.parametrize("range_bytes", [777, 30_000, 1 << 20])
def test_the_end_of_a_compressed_file_is_checked_where_nobody_states_an_md5(
    tmp_path: Path, data: bytes, problem: str | None, range_bytes: int
) -> None:
    path = "a.vcf.gz"
    door = MemoryDoor({path: data}, states_md5=False, range_bytes=range_bytes)
    if problem is None:
        staged = run(door, tmp_path, Entry(path, None))
        assert not staged.is_verified
        assert staged.md5 == md5(data)
    else:
        with pytest.raises(InputError, match=problem):
            run(door, tmp_path, Entry(path, None))
        assert left(tmp_path) == []
        door.states_md5 = True  # then that is what counts
        assert run(door, tmp_path, Entry(path, None)).is_verified


# -------------------------------------------------------------------------- interruptions, other runs, memory


def test_an_interruption_by_keyboard_leaves_a_part_to_resume(tmp_path: Path) -> None:
    data = noise(3000)

    def interrupt(start: int, end: int) -> None:
        time.sleep(0.002)
        if start == 20 * RANGE:
            _thread.interrupt_main()
            time.sleep(1)  # a busy machine must not finish the file first

    with pytest.raises(KeyboardInterrupt):
        run(MemoryDoor({PATH: data}, on_read=interrupt), tmp_path)
    assert left(tmp_path) == ["release/.a.vcf.kgp-journal", "release/.a.vcf.kgp-part"]
    staged = run(MemoryDoor({PATH: data}), tmp_path)
    assert (tmp_path / PATH).read_bytes() == data
    assert staged.n_bytes_resumed > 15 * RANGE


def test_nothing_is_written_any_more_when_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = LocalPart.write
    begun, ended = threading.Event(), threading.Event()

    def slow(part: LocalPart, start: int, data: bytes) -> None:
        begun.set()
        time.sleep(0.1)
        real(part, start, data)
        ended.set()

    def fail_second(start: int, end: int) -> None:
        if start:
            assert begun.wait(20)
            raise DoorFault("denied", "answered 403")

    monkeypatch.setattr(LocalPart, "write", slow)
    with pytest.raises(InputError, match="answered 403"):
        run(MemoryDoor({PATH: noise(2 * RANGE)}, on_read=fail_second), tmp_path, connections=2)
    assert ended.is_set()
    monkeypatch.undo()
    assert run(MemoryDoor({PATH: noise(2 * RANGE)}), tmp_path).n_bytes_resumed == RANGE


def test_whoever_counts_the_bytes_can_end_it(tmp_path: Path) -> None:
    class EnoughError(Exception):
        pass

    counted: list[int] = []

    def count(n: int) -> None:
        counted.append(n)
        if len(counted) == 10:
            raise EnoughError

    data = noise(3000)
    with pytest.raises(EnoughError):
        run(MemoryDoor({PATH: data}), tmp_path, on_bytes=count)
    staged = run(MemoryDoor({PATH: data}), tmp_path)
    assert (tmp_path / PATH).read_bytes() == data
    assert staged.n_bytes_resumed >= 6 * RANGE


SCRIPT = textwrap.dedent(
    """
    import sys, time
    sys.path[:0] = {paths!r}
    from test_staging import *
    nap = lambda start, end: time.sleep({nap})
    door = MemoryDoor({{PATH: noise({size}, 3)}}, range_bytes={range_bytes}, on_read=nap)
    staged = stage(Entry(PATH, None), [door], LocalTarget({root!r}), connections=4)
    print("read", staged.n_bytes_read, flush=True)
    """
)


def start_process(root: Path, *, size: int, range_bytes: int, nap: float) -> subprocess.Popen[str]:
    here = Path(__file__).parent
    paths = [str(here), str(here.parents[1] / "lib"), str(here.parent)]
    script = SCRIPT.format(paths=paths, size=size, range_bytes=range_bytes, nap=nap, root=str(root))
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def n_lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


def test_a_killed_process_leaves_a_part_to_resume(tmp_path: Path) -> None:
    size, step = 4 << 20, 64 << 10
    process = start_process(tmp_path, size=size, range_bytes=step, nap=0.05)
    try:
        wait_for(lambda: n_lines(tmp_path / "release" / ".a.vcf.kgp-journal") >= 16)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert left(tmp_path) == ["release/.a.vcf.kgp-journal", "release/.a.vcf.kgp-part"]
    data = noise(size, 3)
    door = MemoryDoor({PATH: data}, range_bytes=step)
    staged = run(door, tmp_path)
    assert (tmp_path / PATH).read_bytes() == data
    assert staged.n_bytes_read == n_bytes(door.read) == size - staged.n_bytes_resumed
    assert staged.n_bytes_resumed >= 15 * step


def test_a_second_run_waits_for_the_first_and_takes_what_it_staged(tmp_path: Path) -> None:
    size, step = 1 << 20, 32 << 10
    process = start_process(tmp_path, size=size, range_bytes=step, nap=0.05)
    try:
        wait_for(lambda: n_lines(tmp_path / "release" / ".a.vcf.kgp-journal") >= 4)
        with pytest.raises(InputError, match="Another run is staging this file"):
            run(MemoryDoor({PATH: noise(size, 3)}, range_bytes=step), tmp_path, most_wait=0.0)
        staged = run(MemoryDoor({PATH: noise(size, 3)}, range_bytes=step), tmp_path)
        said = process.communicate(timeout=30)[0]
    finally:
        process.kill()
    assert f"read {size}" in said
    assert staged.n_bytes_read == 0
    assert staged.faults == ("another run: put it in place meanwhile",)
    assert (tmp_path / PATH).read_bytes() == noise(size, 3)
    assert left(tmp_path) == [PATH]


def test_a_second_run_goes_on_where_the_first_was_killed(tmp_path: Path) -> None:
    size, step = 1 << 20, 16 << 10
    process = start_process(tmp_path, size=size, range_bytes=step, nap=0.1)
    wait_for(lambda: n_lines(tmp_path / "release" / ".a.vcf.kgp-journal") >= 8)
    killer = threading.Timer(0.3, process.kill)
    killer.start()
    staged = run(MemoryDoor({PATH: noise(size, 3)}, range_bytes=step), tmp_path)
    process.wait()
    assert staged.n_bytes_resumed >= 7 * step
    assert (tmp_path / PATH).read_bytes() == noise(size, 3)


def test_threads_that_stage_the_same_file_take_turns(tmp_path: Path) -> None:
    data = noise(2000)

    def wait_for_others(start: int, end: int) -> None:
        wait_for(lambda: all(door.n_stats for door in doors))
        time.sleep(0.04)

    doors = [MemoryDoor({PATH: data}, on_read=wait_for_others) for _ in range(4)]
    results: list[Staged] = []
    threads = [
        threading.Thread(target=lambda door=door: results.append(run(door, tmp_path))) for door in doors
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / PATH).read_bytes() == data
    assert left(tmp_path) == [PATH]
    assert len(results) == 4
    assert sum(n_bytes(door.read) for door in doors) == 2000


class Tracked(bytes):
    """Bytes that are counted as long as they live."""

    alive = most = 0
    lock = threading.Lock()

    def __new__(cls, data: bytes) -> Tracked:
        with cls.lock:
            cls.alive += len(data)
            cls.most = max(cls.most, cls.alive)
        return super().__new__(cls, data)

    def __del__(self) -> None:
        with Tracked.lock:
            Tracked.alive -= len(self)


class TrackedDoor(MemoryDoor):
    def read_range(self, path: str, start: int, end: int, *, version: Entry | None = None) -> bytes:
        return Tracked(super().read_range(path, start, end, version=version))


def test_memory_is_bounded_even_where_the_first_range_comes_last(tmp_path: Path) -> None:
    step, connections = 1000, 4
    data = noise(100 * step)
    is_rest_there = threading.Event()

    def hold_first(start: int, end: int) -> None:
        if start == 0:
            assert is_rest_there.wait(20)
        if end == len(data):
            is_rest_there.set()

    Tracked.most = Tracked.alive = 0
    staged = run(
        TrackedDoor({PATH: data}, range_bytes=step, on_read=hold_first), tmp_path, connections=connections
    )
    assert staged.md5 == md5(data)
    assert Tracked.most <= 2 * connections * step
    assert Tracked.alive == 0


class BlindTarget:
    """A target that does not give back what was written, and is slow to take it."""

    can_read, most_ranges, has_waited, was_other, n_bytes_resumed = False, None, False, False, 0

    def __init__(self) -> None:
        self.data = b""
        self.whole: bytes | None = None

    def check(self, path: str) -> None: ...

    def url(self, path: str) -> str:
        return path

    def open_part(self, path: str, version: Version) -> BlindTarget:
        self.restart(version)
        return self

    def kept(self) -> Iterator[tuple[int, bytes]]:
        return iter(())

    def restart(self, version: Version) -> None:
        self.version, self.data = version, bytes(version.size)

    def write(self, start: int, data: bytes) -> None:
        time.sleep(0.001)
        with Tracked.lock:
            self.data = self.data[:start] + data + self.data[start + len(data) :]

    def commit(self, md5: str, *, door: str, etag: str | None) -> None:
        self.whole = self.data

    def close(self) -> None: ...


@pytest.mark.parametrize("seed", range(4))
def test_memory_is_bounded_where_nothing_can_be_read_back(seed: int) -> None:
    step, connections = 1000, 4
    data = noise(60 * step + 1, seed)
    draw = random.Random(seed)

    def stumble(start: int, end: int) -> None:
        time.sleep(draw.random() * 0.01)
        if draw.random() < 0.2:
            raise DoorFault("broken", "cut the connection")

    Tracked.most = Tracked.alive = 0
    target = BlindTarget()
    staged = stage(
        Entry(PATH, None),
        [TrackedDoor({PATH: data}, range_bytes=step, on_read=stumble)],
        target,  # type: ignore[arg-type]
        connections=connections,
        patience=Patience(attempts=50, sleep=lambda seconds: None),
        order=DoorOrder(),
    )
    assert target.whole == data
    assert staged.md5 == md5(data)
    assert Tracked.most <= 2 * connections * step


class SlowEnding(Ending):
    """Takes its time, and counts."""

    n_taken = 0

    def take(self, data: bytes) -> None:
        time.sleep(0.005)
        self.n_taken += len(data)


def test_ranges_do_not_run_ahead_of_the_sum_unless_it_has_to_wait_itself() -> None:
    data = noise(20 * RANGE)
    slow = SlowEnding()
    digest = FileDigest(len(data), read=lambda start, end: data[start:end], most_bytes=2 * RANGE, ending=slow)
    digest.start()
    for n in range(1, 5):  # the first range is missing: nothing is waited for
        digest.wait_for_room(n * RANGE, n * RANGE + RANGE)
        digest.add(n * RANGE, data[n * RANGE : n * RANGE + RANGE])
    assert slow.n_taken == 0
    digest.add(0, data[:RANGE])
    for n in range(5, 20):
        digest.wait_for_room(n * RANGE, n * RANGE + RANGE)
        assert n * RANGE - slow.n_taken <= 2 * RANGE
        digest.add(n * RANGE, data[n * RANGE : n * RANGE + RANGE])
    assert digest.result() == md5(data)
    digest.close()


# -------------------------------------------------------------------------------------------------- targets


def test_what_a_directory_holds_is_listed_at_once(tmp_path: Path) -> None:
    leave_part(tmp_path, MemoryDoor({PATH: resumable}), [0])
    (tmp_path / "release" / "deep").mkdir()
    (tmp_path / "release" / "deep" / "b.txt").write_bytes(b"12345")
    (tmp_path / "c.txt").write_bytes(b"")
    target = open_target(str(tmp_path))
    assert {path: file.size for path, file in target.list("").items()} == {
        "release/deep/b.txt": 5,
        "c.txt": 0,
    }
    assert list(target.list("release/")) == ["release/deep/b.txt"]
    assert target.list("nothing/") == {}
    found = target.find("release/deep/b.txt")
    assert found is not None
    assert found.size == 5
    assert target.find("release/deep") is None
    assert target.find(PATH) is None
    assert target.md5_of("release/deep/b.txt") == "827ccb0eea8a706c4c34a16891f84e7b"


def test_a_directory_may_be_given_as_a_url(tmp_path: Path) -> None:
    assert open_target(f"file://{tmp_path}").url("a/b") == f"{tmp_path}/a/b"
    assert open_target(str(tmp_path)).url("a/b") == f"{tmp_path}/a/b"


@pytest.mark.parametrize(
    "url",
    [
        "s3://1000genomes/mine",
        "ftp://host/x",
        "https://host/x?sig=canary",
        "gs://b/x",
        "dbfs:/mnt/x",
        "s3:/x",
    ],
)
def test_nothing_is_staged_to_other_schemes(url: str) -> None:
    with pytest.raises(InputError, match="Nothing can be staged") as caught:
        open_target(url)
    assert "az://CONTAINER@ACCOUNT" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_an_azure_url_without_account_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_CONNECTION_STRING"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="names no storage account"):
        open_target("az://container/prefix")
