"""A proxy on loopback that spoils what passes through it.

with FaultyProxy("127.0.0.1", server_port) as proxy:
    proxy.script(Fault("reset", after=1000), Fault("status", status=503, retry_after="1", times=2))
    ...  # talk to proxy.port instead
    assert proxy.n_faults == 3

Each request that a fault matches is given to the first fault that has something left to do; all others pass. HTTP
requests go to the server one connection each, and every answer closes the client's connection.
"""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal

FaultKind = Literal[
    "reset",  # the connection is reset after `after` bytes of the body
    "status",  # the server is not asked; `status` and `retry_after` are the answer
    "truncated",  # after `after` bytes of the body the connection is closed, whatever length was promised
    "shorter",  # only `after` bytes of the body, and that is the length that is promised
    "flip",  # a bit of byte `after` of the body is wrong
    "flip upload",  # the same in the body of the request
    "etag",  # another ETag than the server's
    "edit",  # the body as `edit` makes it
    "hang",  # no answer at all
    "stall",  # after `after` bytes of the body nothing comes any more
    "drip",  # the body comes `after` bytes at a time, with `pause` seconds in between
]

_CHUNK = 64 << 10
_UPSTREAM_SECONDS = 30
_HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length")


@dataclass
class Fault:
    """Something that goes wrong.

    Args:
        kind: what.
        times: with so many requests; None: for ever.
        skip: matching requests that pass before.
        match: regular expression that is searched for in ``METHOD /path?query``.
        after: bytes; see the kinds.
        status: of HTTP.
        retry_after: header of that name.
        pause: seconds.
        edit: body → body.
    """

    kind: FaultKind
    times: int | None = 1
    skip: int = 0
    match: str = "^GET"
    after: int = 0
    status: int = 503
    retry_after: str | None = None
    pause: float = 0.05
    edit: Callable[[bytes], bytes] = field(default=lambda body: body, repr=False)

    def takes(self, request: str) -> bool:
        """Whether this request is its to spoil; counts it."""
        if self.times == 0 or not re.search(self.match, request):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass(frozen=True)
class Request:
    """A request that came in."""

    method: str
    path: str
    headers: dict[str, str]  # by names in lower case
    body: bytes = field(repr=False)


class _Loopback:
    """Takes connections on a free port of 127.0.0.1, each in a thread of its own."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self.n_faults = 0

    def script(self, *faults: Fault) -> None:
        """What goes wrong from now on, and nothing else."""
        with self._lock:
            self._faults = list(faults)

    def stop(self) -> None:
        """Cut everything."""
        self.closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _start(self) -> None:
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_one, args=(connection,), daemon=True).start()

    def _serve_one(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._serve(connection)
        except (OSError, http.client.HTTPException):
            pass  # one of the two went away
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _serve(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def _fault_for(self, request: str) -> Fault | None:
        with self._lock:
            fault = next((fault for fault in self._faults if fault.takes(request)), None)
            self.n_faults += fault is not None
            return fault

    def __enter__(self):
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class FaultyProxy(_Loopback):
    """In front of an HTTP server.

    Args:
        host: of the server.
        port: of the server.

    Attributes:
        port: of the proxy on 127.0.0.1.
        requests: what came in so far.
        n_faults: requests that were spoiled so far.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._upstream = host, port
        self.requests: list[Request] = []
        self._start()

    def _serve(self, connection: socket.socket) -> None:
        request = _read_request(connection)
        if request is None:
            return
        self.requests.append(request)
        fault = self._fault_for(f"{request.method} {request.path}")
        if fault is not None and fault.kind == "hang":
            self.closing.wait()
        elif fault is not None and fault.kind == "status":
            _send_status(connection, fault)
        else:
            self._pass_on(connection, request, fault)

    def _pass_on(self, connection: socket.socket, request: Request, fault: Fault | None) -> None:
        upstream = http.client.HTTPConnection(*self._upstream, timeout=_UPSTREAM_SECONDS)
        sent = request.body
        if fault is not None and fault.kind == "flip upload":
            sent = _flip(sent, fault.after)
        try:
            upstream.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name not in _HOP_BY_HOP and name != "expect":
                    upstream.putheader(name, value)
            upstream.putheader("Connection", "close")
            if sent or request.method in ("PUT", "POST"):
                upstream.putheader("Content-Length", str(len(sent)))
            upstream.endheaders(sent)
            answer = upstream.getresponse()
            body = answer.read()
            stated = answer.getheader("Content-Length") if request.method == "HEAD" else None
        finally:
            upstream.close()
        if fault is not None:
            body = _spoil(body, fault)
        length = stated if stated is not None else str(len(body))
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
        for name, value in answer.getheaders():
            if name.lower() == "etag" and fault is not None and fault.kind == "etag":
                value = '"another-version"'
            if name.lower() not in _HOP_BY_HOP:
                lines.append(f"{name}: {value}")
        if answer.status not in (204, 304):
            lines.append(f"Content-Length: {length}")
        lines.append("Connection: close")
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        if request.method != "HEAD":
            _send_body(connection, body, fault, self.closing)


class FaultyFtpProxy(_Loopback):
    """In front of an FTP server: commands pass, and what data connections carry is spoiled.

    A fault matches a data connection by the command that it is for, ``RETR /a.vcf.gz``; ``hang`` and ``status`` by any
    command: the reply never comes, or is 421. Only kinds that need no header are known here.

    Args:
        host: of the server.
        port: of the server.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._upstream = host, port
        self._start()

    def _serve(self, connection: socket.socket) -> None:
        with (
            socket.create_connection(self._upstream, timeout=_UPSTREAM_SECONDS) as upstream,
            connection.makefile("rb") as commands,
            upstream.makefile("rb") as replies,
        ):
            relay: _DataRelay | None = None
            connection.sendall(_read_reply(replies))
            while line := commands.readline():
                command = line.decode("utf-8", "replace").strip()
                fault = self._fault_for(command)
                if fault is not None and fault.kind == "hang":
                    self.closing.wait()
                    return
                if fault is not None and fault.kind == "status":
                    connection.sendall(b"421 Too many connections, try again later.\r\n")
                    return
                if relay is not None and not command.upper().startswith("REST"):
                    relay.fault.append(fault)
                    relay.may_start.set()
                    relay = None
                upstream.sendall(line)
                reply = _read_reply(replies)
                if (opened := _DataRelay.of(reply, self.closing)) is not None:
                    relay, reply = opened, opened.reply()
                connection.sendall(reply)
                if reply.startswith(b"1"):  # the transfer has begun; its end is another reply
                    connection.sendall(_read_reply(replies))


class _DataRelay:
    """One data connection: a listener in place of the server's own."""

    def __init__(self, upstream: tuple[str, int], closing: threading.Event, *, is_extended: bool) -> None:
        self._upstream, self._closing, self._is_extended = upstream, closing, is_extended
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_UPSTREAM_SECONDS)
        self.fault: list[Fault | None] = []
        self.may_start = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    @classmethod
    def of(cls, reply: bytes, closing: threading.Event) -> _DataRelay | None:
        if found := re.match(rb"227 .*?(\d+),(\d+),(\d+),(\d+),(\d+),(\d+)", reply):
            numbers = [int(number) for number in found.groups()]
            host = ".".join(map(str, numbers[:4]))
            return cls((host, numbers[4] * 256 + numbers[5]), closing, is_extended=False)
        if found := re.match(rb"229 .*\(\|\|\|(\d+)\|\)", reply):
            return cls(("127.0.0.1", int(found[1])), closing, is_extended=True)
        return None

    def reply(self) -> bytes:
        """The server's reply to PASV or EPSV, with our own port in it."""
        port = self._listener.getsockname()[1]
        if self._is_extended:
            return b"229 Entering extended passive mode (|||%d|).\r\n" % port
        return b"227 Entering passive mode (127,0,0,1,%d,%d).\r\n" % divmod(port, 256)

    def _run(self) -> None:
        with suppress(OSError), self._listener:
            client, _ = self._listener.accept()
            with client, socket.create_connection(self._upstream, timeout=_UPSTREAM_SECONDS) as upstream:
                self.may_start.wait(_UPSTREAM_SECONDS)
                body = b""
                while block := upstream.recv(_CHUNK):
                    body += block
                fault = self.fault[0] if self.fault else None
                _send_body(client, body if fault is None else _spoil(body, fault), fault, self._closing)


def _spoil(body: bytes, fault: Fault) -> bytes:
    if fault.kind == "flip":
        return _flip(body, fault.after)
    if fault.kind == "shorter":
        return body[: fault.after]
    if fault.kind == "edit":
        return fault.edit(body)
    return body


def _flip(body: bytes, at: int) -> bytes:
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :] if at < len(body) else body


def _send_body(connection: socket.socket, body: bytes, fault: Fault | None, closing: threading.Event) -> None:
    kind = None if fault is None else fault.kind
    after = 0 if fault is None else fault.after
    if fault is not None and kind == "drip":
        for at in range(0, len(body), max(after, 1)):
            connection.sendall(body[at : at + max(after, 1)])
            if closing.wait(fault.pause):
                return
    elif kind in ("reset", "truncated", "stall"):
        connection.sendall(body[:after])
        if kind == "stall":
            closing.wait()
        elif kind == "reset":
            time.sleep(0.02)  # what was sent is lost with a reset if it has not arrived
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    else:
        connection.sendall(body)


def _send_status(connection: socket.socket, fault: Fault) -> None:
    lines = [f"HTTP/1.1 {fault.status} Fault"]
    if fault.retry_after is not None:
        lines.append(f"Retry-After: {fault.retry_after}")
    connection.sendall("\r\n".join([*lines, "Content-Length: 0", "Connection: close", "", ""]).encode())


def _read_request(connection: socket.socket) -> Request | None:
    """The request, with its whole body; None where the client went away."""
    with connection.makefile("rb") as stream:
        line = stream.readline().decode("latin-1")
        if not line.strip():
            return None
        method, path, _ = line.split(" ", 2)
        headers: dict[str, str] = {}
        while (header := stream.readline().decode("latin-1").strip()) != "":
            name, _, value = header.partition(":")
            headers[name.strip().lower()] = value.strip()
        if headers.get("expect", "").lower() == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return Request(method, path, headers, _read_chunks(stream))
        return Request(method, path, headers, stream.read(int(headers.get("content-length", "0"))))


def _read_chunks(stream) -> bytes:
    body = b""
    while size := int(stream.readline().split(b";")[0], 16):
        body += stream.read(size)
        stream.readline()
    while stream.readline().strip():
        pass
    return body


def _read_reply(stream) -> bytes:
    """A reply of an FTP server, which may have several lines."""
    first = stream.readline()
    reply = first
    while first[3:4] == b"-" and not (reply.splitlines()[-1].startswith(first[:3] + b" ")):
        line = stream.readline()
        if not line:
            break
        reply += line
    return reply
