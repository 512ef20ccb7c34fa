"""A web server for tests: ranges, ETags, conditions and directory pages as Apache and nginx make them."""

from __future__ import annotations

import html
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import gmtime, strftime
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

Pages = Literal["apache", "nginx"]

_UNESCAPED = "/+,=@!$'()*~&"  # what Apache leaves in links as it is


@dataclass(frozen=True)
class Request:
    """A request that came in: the path is unescaped and below the server's root."""

    method: str
    path: str
    range: str | None


class WebServer(ThreadingHTTPServer):
    """Serves a directory; see `serve_http`.

    Attributes:
        url: address of the directory, without a slash at the end.
        requests: what came in so far.
        n_connections: connections that were taken so far.
        answer: may answer a request in place of the server, and says whether it did.
        closing: is set when the server stops; answers that wait should wait for this.
    """

    daemon_threads = False  # those are the ones that are waited for
    request_queue_size = 64

    def __init__(self, directory: Path, **behaviour: object) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.directory = directory
        self.pages: Pages = "apache"
        self.has_ranges = True
        self.head_status: int | None = None
        self.etags: Literal["strong", "weak"] | None = "strong"
        self.headers: Mapping[str, Mapping[str, str]] = {}
        self.answer: Callable[[BaseHTTPRequestHandler], bool] | None = None
        vars(self).update(behaviour)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.requests: list[Request] = []
        self.n_connections = 0
        self.closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self._thread.start()

    def get_request(self):
        connection, address = super().get_request()
        self.n_connections += 1
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request):
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        """Clients that go away are no news."""

    def stop(self) -> None:
        """Stop as if the machine had been switched off: open connections are cut."""
        if self.closing.is_set():
            return
        self.closing.set()
        self.shutdown()
        self._thread.join()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


@contextmanager
def serve_http(
    directory: Path,
    *,
    pages: Pages = "apache",
    has_ranges: bool = True,
    head_status: int | None = None,
    etags: Literal["strong", "weak"] | None = "strong",
    headers: Mapping[str, Mapping[str, str]] | None = None,
    answer: Callable[[BaseHTTPRequestHandler], bool] | None = None,
) -> Iterator[WebServer]:
    """A web server on this machine.

    Args:
        directory: what it serves.
        pages: whose directory pages it makes.
        has_ranges: whether it gives parts of files; else always the whole.
        head_status: status with which it refuses HEAD.
        etags: the kind of its ETags.
        headers: path below the directory → further headers, in place of its own of the same name.
        answer: may answer a request itself, and says whether it did.
    """
    server = WebServer(
        directory,
        pages=pages,
        has_ranges=has_ranges,
        head_status=head_status,
        etags=etags,
        headers=headers or {},
        answer=answer,
    )
    try:
        yield server
    finally:
        server.stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: WebServer

    def log_message(self, format, *arguments):
        """Nobody reads it."""

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path).removeprefix("/")
        self.server.requests.append(Request(self.command, path, self.headers["Range"]))
        if self.server.answer is not None and self.server.answer(self):
            return
        if self.command == "HEAD" and self.server.head_status is not None:
            self._send(self.server.head_status)
            return
        place = self.server.directory / path
        if ".." in path.split("/") or not place.exists() or (path.endswith("/") and not place.is_dir()):
            self._send(404)
        elif not os.access(place, os.R_OK):
            self._send(403)
        elif place.is_file():
            self._send_file(place, path)
        elif path and not path.endswith("/"):
            self._send(301, {"Location": f"/{quote(path)}/"})
        else:
            page = _apache_page if self.server.pages == "apache" else _nginx_page
            self._send(200, {"Content-Type": "text/html;charset=UTF-8"}, page(place, path).encode())

    def do_HEAD(self) -> None:
        self.do_GET()

    def _send_file(self, place: Path, path: str) -> None:
        with place.open("rb") as file:
            status = os.fstat(file.fileno())
            size = status.st_size
            etag = f'"{size:x}-{status.st_mtime_ns:x}"'
            headers = {
                "Content-Type": "application/octet-stream",
                "Last-Modified": formatdate(status.st_mtime, usegmt=True),
            }
            if self.server.etags is not None:
                headers["ETag"] = etag if self.server.etags == "strong" else f"W/{etag}"
            if self.server.has_ranges:
                headers["Accept-Ranges"] = "bytes"
            headers |= self.server.headers.get(path, {})
            wanted = self.headers["If-Match"]
            if wanted not in (None, "*", headers.get("ETag")):
                self._send(412)
                return
            stated = self.headers["Range"]
            if stated is None or not self.server.has_ranges:
                self._send(200, headers, file.read())
                return
            first, _, last = stated.removeprefix("bytes=").partition("-")
            start = int(first) if first else size - int(last)
            end = min(int(last) + 1, size) if first and last else size
            if start >= size or end <= start:
                self._send(416, {"Content-Range": f"bytes */{size}"})
                return
            file.seek(start)
            own = {"Content-Range": f"bytes {start}-{end - 1}/{size}"}
            self._send(206, own | headers, file.read(end - start))

    def _send(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | dict(headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _apache_page(place: Path, path: str) -> str:
    title = html.escape(f"Index of /{path}".rstrip("/"))
    rows = []
    if path:
        parent = "/" + quote(path.rstrip("/").rpartition("/")[0])
        rows.append(
            f'<img src="/icons/back.gif" alt="[PARENTDIR]"> <a href="{parent}">Parent Directory</a>   -   \n'
        )
    for child in _children(place):
        name = child.name + "/" * child.is_dir()
        shown = name if len(name) <= 23 else name[:21] + "..>"
        size = "-" if child.is_dir() else _rounded(child.stat().st_size)
        time = strftime("%Y-%m-%d %H:%M", gmtime(child.stat().st_mtime))
        rows.append(
            f'<img src="/icons/unknown.gif" alt="[   ]"> <a href="{html.escape(quote(name, safe=_UNESCAPED))}">'
            f"{html.escape(shown)}</a>{' ' * (24 - len(shown))}{time}  {size:>4}  \n"
        )
    sorting = " ".join(
        f'<a href="?C={column};O={order}">{text}</a>'
        for column, order, text in (
            ("N", "D", "Name"),
            ("M", "A", "Last modified"),
            ("S", "A", "Size"),
            ("D", "A", "Description"),
        )
    )
    return (
        '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">\n<html>\n <head>\n'
        f"  <title>{title}</title>\n </head>\n <body>\n<h1>{title}</h1>\n"
        f'<pre><img src="/icons/blank.gif" alt="Icon "> {sorting}<hr>{"".join(rows)}<hr></pre>\n'
        '<address><a href="https://httpd.example/">Apache</a> Server</address>\n</body></html>\n'
    )


def _nginx_page(place: Path, path: str) -> str:
    title = html.escape(f"Index of /{path}")
    rows = ['<a href="../">../</a>\r\n']
    for child in _children(place):
        name = child.name + "/" * child.is_dir()
        shown = name if len(name) <= 50 else name[:47] + "..>"
        size = "-" if child.is_dir() else str(child.stat().st_size)
        time = strftime("%d-%b-%Y %H:%M", gmtime(child.stat().st_mtime))
        rows.append(
            f'<a href="{quote(name, safe="/")}">{html.escape(shown)}</a>{" " * (51 - len(shown))}{time}{size:>20}\r\n'
        )
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<h1>{title}</h1><hr><pre>"
        f"{''.join(rows)}</pre><hr></body>\r\n</html>\r\n"
    )


def _children(place: Path) -> list[os.DirEntry[str]]:
    with os.scandir(place) as found:
        return sorted((child for child in found if os.path.exists(child)), key=lambda child: child.name)


def _rounded(size: int) -> str:
    """A size as Apache shows it, to two digits."""
    if size < 1000:
        return str(size)
    amount, unit = next((size / 1024**n, "KMGT"[n - 1]) for n in (1, 2, 3, 4) if size / 1024**n < 973)
    return f"{amount:.1f}{unit}" if amount < 9.95 else f"{amount:.0f}{unit}"


class MostAtOnce:
    """Counts requests that are under way at the same time, as the `answer` of a server; it answers none itself.

    Args:
        seconds: that it holds each of them, so that others can come meanwhile.

    Attributes:
        most: that there were at a time.
    """

    def __init__(self, seconds: float) -> None:
        self.most = self._n = 0
        self._seconds = seconds
        self._lock = threading.Lock()

    def __call__(self, handler: BaseHTTPRequestHandler) -> bool:
        with self._lock:
            self._n += 1
            self.most = max(self.most, self._n)
        time.sleep(self._seconds)
        with self._lock:
            self._n -= 1
        return False
