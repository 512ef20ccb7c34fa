"""One file, from whichever door gives it whole, to its place.

A door says which version it has. Ranges of that version are read side by side and written where they belong, while a
thread computes the MD5 of the completed beginning. What an earlier run left is checked, and kept if it is of the same
version. Only a file of the right size and MD5 is put in place.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from kgp.errors import InputError
from kgp.io.doors import DoorFault, OpenDoor
from kgp.io.doors.patience import ORDER, DoorOrder, FaultLog, Patience, insist
from kgp.io.staging.assembly import Assembly
from kgp.io.staging.fetch import Fetch
from kgp.io.staging.model import Staged, Version
from kgp.io.staging.targets import Target
from kgp.sources import Entry

# A file of the wrong sum is fetched once more from the same door, one range at a time.
_MOST_WRONG = 2


def stage(
    file: Entry,
    doors: Sequence[OpenDoor],
    target: Target,
    *,
    connections: int = 4,
    patience: Patience | None = None,
    on_bytes: Callable[[int], object] | None = None,
    listed_by: str | None = None,
    allow_empty: bool = False,
    order: DoorOrder = ORDER,
) -> Staged:
    """Put one file in place, whole and verified, or leave what is there untouched.

    Where it is interrupted, even by a kill, the ranges that are complete are kept for the next time. Memory is bounded
    by about ``2 × connections × range_bytes`` of the door.

    Of a file whose name ends in ``.gz`` and whose MD5 nobody states, the end is checked (`kgp.io.staging.ending`).

    Args:
        file: what is wanted: its path; size and MD5 where they are known, from which no door may differ.
        doors: serve the same paths, in order of preference.
        target: where it goes.
        connections: reads at a time, as far as the door bears them.
        patience: with each range of each door.
        on_bytes: is told the bytes that doors gave, range by range; not by two threads at a time. An exception that it
            raises ends the staging; what is there is kept.
        listed_by: name of the door whose listing `file` comes from: it is not asked again which version it has.
        allow_empty: whether a file that the listing says is empty may be staged.
        order: knows the doors that have failed of late.

    Raises:
        InputError: no door gave it whole; it is empty; or the target can't take it.
    """
    return _Staging(file, doors, target, connections, patience or Patience(), on_bytes, listed_by, order).run(
        allow_empty=allow_empty
    )


class _WrongSumError(DoorFault):
    """All ranges came, and the whole is not what it should be."""


class _Staging:
    """One file on its way; arguments as of `stage`."""

    def __init__(
        self,
        file: Entry,
        doors: Sequence[OpenDoor],
        target: Target,
        connections: int,
        patience: Patience,
        on_bytes: Callable[[int], object] | None,
        listed_by: str | None,
        order: DoorOrder,
    ) -> None:
        self._file, self._doors, self._target, self._connections = file, doors, target, connections
        self._patience, self._on_bytes, self._listed_by, self._order = patience, on_bytes, listed_by, order
        self._log = FaultLog()
        self._assembly: Assembly | None = None
        self._n_read = self._n_restarts = 0
        self._began = time.monotonic()

    def run(self, *, allow_empty: bool) -> Staged:
        where = self._target.url(self._file.path)
        if self._file.size == 0 and not allow_empty:
            raise InputError("The file is empty.", where=self._file.path, mend="Take it from another door.")
        self._target.check(self._file.path)
        try:
            for door in self._order.arrange(self._doors):
                staged = self._stage_from(door)
                if staged is not None:
                    self._order.succeeded(door)
                    return staged
        finally:
            if self._assembly is not None:
                self._assembly.close()
        raise self._log.error(f"the whole of {self._file.path}", where=where)

    def _stage_from(self, door: OpenDoor) -> Staged | None:
        """The file as this door gives it; None where it has to be left for the next one."""
        n_wrong = n_changed = 0
        while True:
            try:
                source = self._ask_version(door, anew=n_wrong + n_changed > 0)
                if source is None:
                    return None
                return self._open(door, source) or self._fetch(door, source, one_by_one=n_wrong > 0)
            except _WrongSumError as fault:
                n_wrong += 1
                self._start_anew()
                if n_wrong == _MOST_WRONG:
                    self._order.failed(door, fault)
                    return None
            except DoorFault as fault:
                n_changed += fault.kind == "changed"
                wait = self._patience.wait_after(n_changed) if fault.kind == "changed" else None
                if wait is None:
                    self._order.failed(door, fault)
                    return None
                self._patience.sleep(wait)

    def _ask_version(self, door: OpenDoor, *, anew: bool) -> Entry | None:
        """What the door has; None where that is not what is wanted."""
        wanted, name = self._file, door.door.name
        # A listing without ETags may round times; the door itself knows them better.
        if name == self._listed_by and wanted.etag is not None and wanted.size is not None and not anew:
            return wanted
        source = insist(
            door, lambda door: door.stat(wanted.path), patience=self._patience, on_fault=self._log.note
        )
        if source is None:
            self._log.say(name, "does not have it")
        elif source.size is None:
            self._log.say(name, "does not tell its size")
        elif wanted.size is not None and source.size != wanted.size:
            self._log.say(name, f"has {source.size:,} bytes where {wanted.size:,} are wanted")
        elif None not in (wanted.md5, source.md5) and source.md5 != wanted.md5:
            self._log.say(name, f"has MD5 {source.md5} where {wanted.md5} is wanted")
        elif source.size == 0 and wanted.size is None:
            self._log.say(name, "has an empty file")
        else:
            return source
        return None

    def _open(self, door: OpenDoor, source: Entry) -> Staged | None:
        """See to it that there is a part for this version; what another run put in place meanwhile is returned."""
        path, md5 = self._file.path, source.md5 or self._file.md5
        version = Version(source.size or 0, md5, door.door.name, source.etag or source.modified)
        if self._assembly is not None:
            if not self._assembly.part.version.is_same_as(version):
                self._start_anew(version)
            return None
        part = self._target.open_part(path, version)
        self._n_restarts += part.was_other
        if part.has_waited and md5 is not None:
            there = self._target.find(path)
            if there is not None and there.size == version.size and self._target.md5_of(path) == md5:
                part.close()
                self._log.say("another run", "put it in place meanwhile")
                return self._staged(door, source, md5, is_verified=True)
        try:
            self._assembly = Assembly(
                path, part, most_bytes=2 * self._connections_to(door) * door.range_bytes
            )
        except BaseException:
            part.close()
            raise
        return None

    def _fetch(self, door: OpenDoor, source: Entry, *, one_by_one: bool) -> Staged:
        """Fetch what is missing, check the whole, and put it in place."""
        assembly = self._assembly
        assert assembly is not None
        fetch = Fetch(
            door,
            source,
            wait_for_room=assembly.wait_for_room,
            put=assembly.put,
            patience=self._patience,
            on_fault=self._log.note,
            on_bytes=self._count,
        )
        connections = 1 if one_by_one else self._connections_to(door)
        try:
            assembly.fetch(fetch, step=door.range_bytes, connections=connections)
            md5, problem = assembly.finish()
            self._check_whole(door, source, md5, problem)
        except DoorFault as fault:
            # The archive's own MD5 may still be that of the version which is gone.
            if fault.kind == "changed" and source.md5 is None:
                self._start_anew()
            raise
        assembly.part.commit(md5, door=door.door.name, etag=source.etag)
        return self._staged(door, source, md5, is_verified=(source.md5 or self._file.md5) is not None)

    def _check_whole(self, door: OpenDoor, source: Entry, md5: str, problem: str | None) -> None:
        """Raise `DoorFault` where all ranges came, and yet the whole is not to be had from this door."""
        stated = source.md5 or self._file.md5
        if stated is not None and md5 != stated:
            problem = f"gave bytes of MD5 {md5} where {stated} is stated"
        if problem is not None:
            fault = _WrongSumError("checksum", problem)
            self._log.note(door, fault)
            raise fault
        if stated is None and source.etag is None:
            # Nothing ties its ranges together but the time of change, to the second at best.
            now = insist(
                door, lambda door: door.stat(source.path), patience=self._patience, on_fault=self._log.note
            )
            if now is None or (now.size, now.modified) != (source.size, source.modified):
                changed = DoorFault("changed", "changed the file while it was read")
                self._log.note(door, changed)
                raise changed

    def _start_anew(self, version: Version | None = None) -> None:
        assembly = self._assembly
        if assembly is not None:
            self._n_restarts += not assembly.is_empty
            assembly.restart(version or assembly.part.version)

    def _connections_to(self, door: OpenDoor) -> int:
        return max(1, min(self._connections, door.most_connections))

    def _count(self, n: int) -> None:
        self._n_read += n
        if self._on_bytes is not None:
            self._on_bytes(n)

    def _staged(self, door: OpenDoor, source: Entry, md5: str, *, is_verified: bool) -> Staged:
        return Staged(
            path=self._file.path,
            url=self._target.url(self._file.path),
            size=source.size or 0,
            md5=md5,
            is_verified=is_verified,
            door=door.door.name,
            source=source,
            n_bytes_read=self._n_read,
            n_bytes_resumed=0 if self._assembly is None else self._assembly.part.n_bytes_resumed,
            n_restarts=self._n_restarts,
            faults=self._log.texts(),
            seconds=time.monotonic() - self._began,
        )
