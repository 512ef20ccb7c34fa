"""An FTP server for tests: pyftpdlib in a thread, for the anonymous user."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.filesystems import AbstractedFS
from pyftpdlib.handlers import FTPHandler, ThrottledDTPHandler
from pyftpdlib.ioloop import IOLoop
from pyftpdlib.servers import FTPServer

logging.getLogger("pyftpdlib").addHandler(logging.NullHandler())  # else it sets up logging of its own
logging.getLogger("pyftpdlib").propagate = False


class FileServer:
    """Serves a directory; see `serve_ftp`.

    Attributes:
        url: address of the directory, without a slash at the end.
        commands: what came in so far, without arguments.
        n_connections: connections that were taken so far, those that were turned away included.
    """

    def __init__(
        self,
        directory: Path,
        *,
        with_mlsd: bool,
        max_connections: int,
        bytes_per_second: int,
        idle_timeout: float,
        cut_at: int | None,
        replies: Mapping[str, str],
        listing: Callable[[Path], bytes] | None,
        on_command: Callable[[str], object] | None,
    ) -> None:
        self.commands: list[str] = []
        self.n_connections = 0
        authorizer = DummyAuthorizer()
        authorizer.add_anonymous(str(directory))
        handler = type(
            "Handler",
            (_Handler,),
            {
                "authorizer": authorizer,
                "timeout": idle_timeout,
                "dtp_handler": type("Data", (ThrottledDTPHandler,), {"write_limit": bytes_per_second}),
                "abstracted_fs": type(
                    "Files",
                    (_Files,),
                    {"cut_at": cut_at, "listing": staticmethod(listing) if listing else None},
                ),
                "use_sendfile": False,
                "file_server": self,
                "replies": replies,
                "on_command": staticmethod(on_command) if on_command else None,
            },
        )
        if not with_mlsd:
            handler.proto_cmds = {
                name: command
                for name, command in FTPHandler.proto_cmds.items()
                if name not in ("MLSD", "MLST")
            }
        self._loop = IOLoop()
        self._server = FTPServer(("127.0.0.1", 0), handler, ioloop=self._loop)
        self._server.max_cons_per_ip = max_connections
        self._stops = threading.Event()
        self.url = f"ftp://127.0.0.1:{self._server.address[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def stop(self) -> None:
        """Stop as if the machine had been switched off: open connections are cut."""
        self._stops.set()
        self._thread.join()

    def _serve(self) -> None:
        while not self._stops.is_set():
            self._loop.loop(0.02, blocking=False)
        self._server.close_all()


@contextmanager
def serve_ftp(
    directory: Path,
    *,
    with_mlsd: bool = True,
    max_connections: int = 0,
    bytes_per_second: int = 0,
    idle_timeout: float = 300,
    cut_at: int | None = None,
    replies: Mapping[str, str] | None = None,
    listing: Callable[[Path], bytes] | None = None,
    on_command: Callable[[str], object] | None = None,
) -> Iterator[FileServer]:
    """An FTP server on this machine.

    Args:
        directory: what it serves.
        with_mlsd: whether it knows MLSD and MLST.
        max_connections: connections beyond which it turns clients away; 0 for no limit.
        bytes_per_second: rate of each transfer; 0 for no limit.
        idle_timeout: seconds of silence after which it closes a connection.
        cut_at: byte at which transfers of files end too early.
        replies: command → reply that is given in place of the server's own; may be changed while it serves.
        listing: what LIST and MLSD send of a directory in place of the server's own lines.
        on_command: is told each command before it is carried out.
    """
    server = FileServer(
        directory,
        with_mlsd=with_mlsd,
        max_connections=max_connections,
        bytes_per_second=bytes_per_second,
        idle_timeout=idle_timeout,
        cut_at=cut_at,
        replies={} if replies is None else replies,
        listing=listing,
        on_command=on_command,
    )
    try:
        yield server
    finally:
        server.stop()


class _Handler(FTPHandler):
    file_server: FileServer
    replies: Mapping[str, str]
    on_command: Callable[[str], object] | None

    def on_connect(self) -> None:
        self.file_server.n_connections += 1

    def pre_process_command(self, line, cmd, arg):
        self.file_server.commands.append(cmd)
        if self.on_command is not None:
            self.on_command(cmd)
        if cmd in self.replies:
            self.respond(self.replies[cmd])
        else:
            super().pre_process_command(line, cmd, arg)


class _Files(AbstractedFS):
    cut_at: int | None
    listing: Callable[[Path], bytes] | None

    def format_list(self, basedir, listing, ignore_err=True):
        if self.listing is None:
            return super().format_list(basedir, listing, ignore_err)
        return iter([self.listing(Path(basedir))])

    def format_mlsx(self, basedir, listing, perms, facts, ignore_err=True):
        if self.listing is None:
            return super().format_mlsx(basedir, listing, perms, facts, ignore_err)
        return iter([self.listing(Path(basedir))])

    def open(self, filename, mode):
        file = super().open(filename, mode)
        if self.cut_at is None:
            return file
        with file:
            cut = io.BytesIO(file.read(self.cut_at))
        cut.name = filename  # type: ignore[attr-defined]
        return cut
