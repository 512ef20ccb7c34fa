"""A half-done file on a disk.

While ``dir/name`` is under way its bytes lie in ``dir/.name.kgp-part`` at their final places, and
``dir/.name.kgp-journal`` says which of them are complete. The journal is locked as long as somebody is at work.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import deflate

from kgp.errors import InputError
from kgp.io.staging.journal import MOST_RANGE, Claim, Journal
from kgp.io.staging.model import Version

PART_ENDING = ".kgp-part"
JOURNAL_ENDING = ".kgp-journal"

# What a power cut may cost, in bytes that have to be fetched again; and what is left to write at the end.
_SYNC_BYTES = 128 << 20
_POLL_SECONDS = 0.2
_OPEN_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_sync_data = getattr(os, "fdatasync", os.fsync)  # macOS has none


class LocalPart:
    """The half-done file beside the place where it will lie; see `kgp.io.staging.targets.Part`.

    Args:
        final: path of the file.
        version: that is to be staged.
        most_wait: seconds to wait for another run that is at work on it.
    """

    can_read = True
    most_ranges: int | None = None

    def __init__(self, final: str, version: Version, *, most_wait: float) -> None:
        directory, name = os.path.split(final)
        self._final = final
        self._path = os.path.join(directory, f".{name}{PART_ENDING}")
        self._journal_path = os.path.join(directory, f".{name}{JOURNAL_ENDING}")
        self._lock = threading.Lock()
        self._n_unsynced = 0
        self._journal_fd, self.has_waited = _lock_file(self._journal_path, final, most_wait)
        self._is_open = True
        self._fd = -1
        self.version = version
        self.n_bytes_resumed = 0
        self._journal = Journal(self._journal_fd)
        there, self._claims = self._journal.load()
        self._is_empty = not self._claims
        self.was_other = there is not None and not there.is_same_as(version)
        try:
            self._fd = os.open(self._path, _OPEN_FLAGS, 0o666)
            if there is None or self.was_other:
                self.restart(version)
            self._require_space()
            os.ftruncate(self._fd, version.size)
        except BaseException:
            self.close()
            raise

    def kept(self) -> Iterator[tuple[int, bytes]]:
        at = 0
        for claim in self._claims:
            # Where claims overlap, a range was damaged and fetched again in other cuts: the bytes say which is true.
            if claim.start < at:
                continue
            data = self.read(claim.start, claim.end)
            if len(data) == claim.end - claim.start and deflate.crc32(data) == claim.crc:
                at = claim.end
                self.n_bytes_resumed += len(data)
                yield claim.start, data
        self._claims = []
        self._is_empty = at == 0

    def write(self, start: int, data: bytes) -> None:
        with explained(self._final):
            view = memoryview(data)
            while view:
                n = os.pwrite(self._fd, view[:MOST_RANGE], start)
                self._journal.add(Claim(start, start + n, deflate.crc32(view[:n])))
                start, view = start + n, view[n:]
            self._is_empty = False
            with self._lock:
                self._n_unsynced += len(data)
                is_due = self._n_unsynced >= _SYNC_BYTES
                if is_due:
                    self._n_unsynced = 0
            if is_due:
                _sync_data(self._fd)
                self._journal.sync()

    def read(self, start: int, end: int) -> bytes:
        with explained(self._path):
            return os.pread(self._fd, end - start, start)

    def restart(self, version: Version) -> None:
        self.version = version
        self._claims = []
        self._is_empty = True
        self.n_bytes_resumed = 0
        with explained(self._final):
            os.ftruncate(self._fd, 0)
            os.ftruncate(self._fd, version.size)
            self._journal.begin(version)

    def commit(self, md5: str, *, door: str, etag: str | None) -> None:
        with explained(self._final):
            os.fsync(self._fd)
            os.replace(self._path, self._final)
            directory = os.open(os.path.dirname(self._final), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
            os.unlink(self._journal_path)
            self._let_go()

    def close(self) -> None:
        if not self._is_open:
            return
        if self._is_empty:
            for path in (self._path, self._journal_path):
                with suppress(FileNotFoundError):
                    os.unlink(path)
        elif self._fd >= 0:
            with explained(self._final):
                _sync_data(self._fd)
                self._journal.sync()
        self._let_go()

    def _let_go(self) -> None:
        self._is_open = False
        if self._fd >= 0:
            os.close(self._fd)
        os.close(self._journal_fd)

    def _require_space(self) -> None:
        directory = os.path.dirname(self._final)
        needed = self.version.size - os.fstat(self._fd).st_blocks * 512
        free = shutil.disk_usage(directory).free
        if needed > free:
            raise InputError(
                f"The disk has no space for it: {needed:,} bytes are needed, {free:,} are free.",
                where=self._final,
                mend="Make room, or stage to another place.",
            )


def _lock_file(path: str, final: str, most_wait: float) -> tuple[int, bool]:
    """Open and lock a file; whether another run held it first."""
    until = time.monotonic() + most_wait
    has_waited = False
    while True:
        fd = os.open(path, _OPEN_FLAGS, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it may have removed it, and then somebody else may have made another one.
            if os.path.samestat(os.fstat(fd), os.stat(path)):
                return fd, has_waited
        except (BlockingIOError, FileNotFoundError):
            pass
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        if time.monotonic() > until:
            raise InputError(
                "Another run is staging this file.", where=final, mend="Wait for it to end, or end it."
            )
        if has_waited:
            time.sleep(_POLL_SECONDS)
        has_waited = True


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn what the file system raises into one clear message."""
    try:
        yield
    except OSError as problem:
        what, mend = _REASONS.get(problem.errno or 0, (f"It can't be written ({problem.strerror}).", None))
        raise InputError(what, where=where, mend=mend) from problem


_FULL = ("The disk is full.", "Make room and run it again: what is there is kept.")
_NOT_ALLOWED = ("It may not be written.", "Check permissions.")
_IN_ORDER_ONLY = (
    "This file system does not take bytes in any order.",
    "Stage to a disk, or to a container as az://CONTAINER@ACCOUNT/PATH.",
)
_REASONS: dict[int, tuple[str, str | None]] = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EACCES: _NOT_ALLOWED,
    errno.EPERM: _NOT_ALLOWED,
    errno.EROFS: _NOT_ALLOWED,
    errno.ENOTSUP: _IN_ORDER_ONLY,
    errno.ESPIPE: _IN_ORDER_ONLY,
}
