"""An FTP server as a door, anonymous: a few connections, each used by one thread at a time."""

from __future__ import annotations

import ftplib
import re
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import BoundedSemaphore
from urllib.parse import quote, unquote, urlsplit

from kgp.errors import UsageError
from kgp.io.doors.base import DoorFault
from kgp.io.doors.ftp_listing import read_facts, read_time, read_unix
from kgp.io.doors.walk import Listed, check_path, check_prefix, check_range, walk
from kgp.sources import Door, Entry

_CHUNK = 256 << 10
_SLOWEST = 64 << 10  # bytes a second
_MOST_IDLE = 60.0  # seconds; routers forget connections that are silent for longer
_LAST_WORD = 5.0  # seconds that a server has to comment on a transfer that was cut

_CROWDED = re.compile(r"too many|maximum|limit|try again|busy|overload")
_FORBIDDEN = re.compile(r"permission|denied|not allowed|forbidden|privilege|not authori[sz]ed")


class FtpDoor:
    """A server that is asked by FTP, without a password.

    A version is told by size and time of change, before and after each range, hence the long ranges. `list` takes a
    command for each directory; of a server that has no MLSD it knows sizes, but no times.

    Args:
        door: what it is; its root begins with ``ftp://``.
        timeout: seconds for a connection, for an answer, and for each silence of a transfer, which as a whole takes no
            longer than this and a second for each 64 KiB.

    Raises:
        UsageError: the root is not such an address, or has a user in it.
    """

    range_bytes = 64 << 20
    most_connections = 4

    def __init__(self, door: Door, *, timeout: float = 60.0) -> None:
        root = urlsplit(door.root)
        if root.scheme != "ftp" or not root.hostname or "@" in root.netloc or root.query:
            raise UsageError(
                "This is not the address of a public FTP server.",
                where=f"door {door.name}",
                mend="Write ftp://host/path, without a user.",
            )
        self.door = door
        self._address = root.hostname, root.port or ftplib.FTP_PORT
        self._directory = unquote(root.path)
        self._timeout = timeout
        self._slots = BoundedSemaphore(self.most_connections)
        self._idle: list[_Connection] = []
        self._is_closed = False

    def url(self, path: str) -> str:
        """See `OpenDoor.url`."""
        check_path(path)
        return f"{self.door.root}/{quote(self.door.at_door(path))}"

    def stat(self, path: str) -> Entry | None:
        """See `OpenDoor.stat`."""
        check_path(path)
        if not path or path.endswith("/"):
            return None
        with self._connection() as connection:
            return connection.stat(path, self._place(path))

    def read_range(self, path: str, start: int, end: int, *, version: Entry | None = None) -> bytes:
        """See `OpenDoor.read_range`."""
        check_range(path, start, end)
        if start == end:
            return b""
        if path.endswith("/"):
            raise DoorFault("absent", "it is a directory")
        self._check_version(path, version)
        try:
            with self._connection() as connection:
                data = connection.receive(f"RETR {self._place(path)}", start=start, n_wanted=end - start)
        except DoorFault as fault:
            if fault.kind in ("absent", "short"):  # because it has changed?
                self._check_version(path, version)
            raise
        self._check_version(path, version)
        return data

    def close(self) -> None:
        """See `OpenDoor.close`."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()

    def list(self, prefix: str, *, enter: Callable[[str], bool] | None = None) -> Iterator[Entry]:
        """See `OpenDoor.list`. Links to directories are not followed where the server tells them apart."""
        check_prefix(prefix)
        return walk(prefix, self._look_into, self.stat, enter=enter, n_threads=self.most_connections)

    def _look_into(self, directory: str) -> Listed:
        with self._connection() as connection:
            # Within the directory, for LIST takes some characters of a path for patterns or options.
            connection.ftp.cwd(self._place(directory))
            lines = connection.receive(connection.listing).decode().split("\n")
        read = read_facts if connection.listing == "MLSD" else read_unix
        listed = read(self.door.at_door(directory), [line.removesuffix("\r") for line in lines])
        return listed.in_archive(self.door)

    def _place(self, path: str) -> str:
        return f"{self._directory}/{self.door.at_door(path)}".rstrip("/") or "/"

    def _check_version(self, path: str, version: Entry | None) -> None:
        if version is None:
            return
        entry = self.stat(path)
        if entry is None:
            raise DoorFault("absent", "there is no such file")
        for known, stated in ((version.size, entry.size), (version.modified, entry.modified)):
            if known is not None and stated is not None and known != stated:
                raise DoorFault("changed", "the file is another one by now")

    @contextmanager
    def _connection(self) -> Iterator[_Connection]:
        """A connection for one thread. It is used again unless something went wrong that the server did not state."""
        with self._slots, _explained(self._timeout):
            connection = self._take() or _Connection(self._address, self._timeout)
            is_sound = False
            try:
                yield connection
                is_sound = True
            except ftplib.error_perm:
                is_sound = True
                raise
            finally:
                if is_sound and connection.is_open and not self._is_closed:
                    connection.last_used = time.monotonic()
                    self._idle.append(connection)
                else:
                    connection.close()

    def _take(self) -> _Connection | None:
        """An idle connection that is still alive."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.is_fresh():
                return connection
            connection.close()


class _Connection:
    """A connection to a server that has let us in."""

    def __init__(self, address: tuple[str, int], timeout: float) -> None:
        self.ftp = ftplib.FTP(timeout=timeout)
        self.last_used = time.monotonic()
        self._timeout = timeout
        try:
            self.ftp.connect(*address)
            self.ftp.login()
            self.ftp.voidcmd("TYPE I")
            self.listing = "MLSD" if "MLST" in self._features() else "LIST"
        except BaseException:
            self.close()
            raise

    @property
    def is_open(self) -> bool:
        """Whether it can take another command."""
        return self.ftp.sock is not None

    def is_fresh(self) -> bool:
        """Whether the server has neither closed it nor said anything unasked."""
        if self.ftp.sock is None or time.monotonic() - self.last_used > _MOST_IDLE:
            return False
        readable, _, _ = select.select([self.ftp.sock], [], [], 0)
        return not readable

    def close(self) -> None:
        """Close it without a word."""
        with suppress(OSError):
            self.ftp.close()

    def stat(self, path: str, place: str) -> Entry | None:
        """Size and time of a file; None where there is none."""
        try:
            size = self.ftp.size(place)
        except ftplib.error_perm as problem:
            if _fault(problem).kind == "absent":
                return None
            raise
        try:
            modified = read_time(self.ftp.voidcmd(f"MDTM {place}")[4:])
        except ftplib.error_perm:
            modified = None
        return Entry(path, size, modified=modified)

    def receive(self, command: str, *, start: int = 0, n_wanted: int | None = None) -> bytes:
        """What the server sends on a command.

        Args:
            command: LIST, MLSD or RETR with its path.
            start: byte to begin with.
            n_wanted: bytes to take; None for all.

        Raises:
            DoorFault: ``short``: fewer bytes came.
        """
        try:
            data = self.ftp.transfercmd(command, rest=start or None)
        except ftplib.error_perm as problem:
            # As a fault, for it closes the connection: the server might remember where to begin.
            if start and str(problem).startswith("554"):
                raise DoorFault("short", "the file ends before the range begins") from None
            raise _fault(problem) from None
        began = time.monotonic()
        parts = []
        n = 0
        with data:
            while n_wanted is None or n < n_wanted:
                part = data.recv(_CHUNK if n_wanted is None else min(_CHUNK, n_wanted - n))
                if not part:
                    break
                parts.append(part)
                n += len(part)
                if time.monotonic() - began > self._timeout + n / _SLOWEST:
                    raise DoorFault("timeout", "the bytes come too slowly")
        if n_wanted is None:
            self.ftp.voidresp()
        elif n < n_wanted:
            raise DoorFault("short", f"{n:,} bytes came of the {n_wanted:,} that were asked for")
        else:
            self._end_transfer()
        return b"".join(parts)

    def _end_transfer(self) -> None:
        """Hear what the server says of a transfer from which nothing more is wanted: that it is done, or was cut."""
        assert self.ftp.sock is not None
        self.ftp.sock.settimeout(min(_LAST_WORD, self._timeout))
        try:
            self.ftp.getresp()
        except ftplib.error_temp as problem:
            if str(problem).startswith("421"):
                self.close()
        except (ftplib.Error, OSError, EOFError, ValueError):
            self.close()
        if self.ftp.sock is not None:
            self.ftp.sock.settimeout(self._timeout)

    def _features(self) -> str:
        try:
            return self.ftp.sendcmd("FEAT").upper()
        except ftplib.error_perm:
            return ""


def _fault(problem: Exception) -> DoorFault:
    """What a server's answer to a command means; the wording counts, for 550 says both absent and denied."""
    reply = str(problem)
    code = reply[:3]
    text = re.sub(r"\S*/\S*", "", reply[4:].lower())  # no words of a path
    said = f"the server answers with {code}"
    if code == "421" or (code in ("450", "530", "550") and _CROWDED.search(text)):
        return DoorFault("throttled", said)
    if code == "550" and not _FORBIDDEN.search(text):
        return DoorFault("absent", said)
    if code in ("530", "532", "550"):
        return DoorFault("denied", said)
    return DoorFault("broken" if code.startswith("4") else "confused", said)


@contextmanager
def _explained(timeout: float) -> Iterator[None]:
    """Say in the words of doors what ftplib says."""
    try:
        yield
    except (ftplib.error_temp, ftplib.error_perm) as problem:
        raise _fault(problem) from None
    except TimeoutError:
        raise DoorFault("timeout", f"nothing came for {timeout:g} seconds") from None
    except (OSError, EOFError):
        raise DoorFault("broken", "the connection failed or was cut") from None
    except (ftplib.Error, ValueError):
        raise DoorFault("confused", "the server's answer can't be understood") from None
