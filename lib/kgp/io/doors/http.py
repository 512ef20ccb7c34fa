"""A web server as a door: listings from its pages, bytes by range requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import quote, unquote, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ReadTimeoutError

from kgp import __version__
from kgp.errors import UsageError
from kgp.io.doors.base import DoorFault
from kgp.io.doors.headers import check_length
from kgp.io.doors.http_answers import check_part, check_version, check_whole, entry_of, fault_of
from kgp.io.doors.index_page import read_index_page
from kgp.io.doors.walk import Listed, check_path, check_prefix, check_range, join_name, walk
from kgp.sources import Door, Entry

_CHUNK = 256 << 10
_SLOWEST = 64 << 10  # bytes a second
_MOST_REDIRECTS = 5
_NO_HEAD = (403, 405, 501)
_REDIRECTS = (301, 302, 303, 307, 308)


class HttpDoor:
    """A server that is asked by HTTP or HTTPS, without credentials.

    Args:
        door: what it is; its root begins with ``http://`` or ``https://``.
        timeout: seconds for a connection, for the beginning of an answer, and for each silence within it. A whole
            answer takes no longer than this and a second for each 64 KiB.

    Raises:
        UsageError: the root is not such an address, or has a user or a query in it.
    """

    range_bytes = 8 << 20
    most_connections = 8

    def __init__(self, door: Door, *, timeout: float = 60.0) -> None:
        root = urlsplit(door.root)
        if root.scheme not in ("http", "https") or not root.hostname or "@" in root.netloc or root.query:
            raise UsageError(
                "This is not the address of a public web server.",
                where=f"door {door.name}",
                mend="Write https://host/path, without a user and without a question mark.",
            )
        self.door = door
        self._timeout = timeout
        self._session = _AnonymousSession()

    def list(self, prefix: str, *, enter: Callable[[str], bool] | None = None) -> Iterator[Entry]:
        """See `OpenDoor.list`. A request for each directory and for each file."""
        check_prefix(prefix)
        return walk(prefix, self._look_into, self.stat, enter=enter, n_threads=self.most_connections)

    def stat(self, path: str) -> Entry | None:
        """See `OpenDoor.stat`."""
        check_path(path)
        if not path or path.endswith("/"):
            return None
        try:
            with self._ask("HEAD", path) as answer:
                if answer.status_code == 200 and "Content-Length" in answer.headers:
                    return entry_of(path, answer)
                if answer.status_code != 200 and answer.status_code not in _NO_HEAD:
                    raise fault_of(answer)
            for headers in ({"Range": "bytes=0-0"}, {}):  # an empty file has no first byte
                with self._ask("GET", path, headers) as answer:
                    if answer.status_code in (200, 206):
                        return entry_of(path, answer)
                    if answer.status_code != 416:
                        break
            raise fault_of(answer)
        except DoorFault as fault:
            if fault.kind == "absent":
                return None
            raise

    def read_range(self, path: str, start: int, end: int, *, version: Entry | None = None) -> bytes:
        """See `OpenDoor.read_range`."""
        check_range(path, start, end)
        if start == end:
            return b""
        if path.endswith("/"):
            raise DoorFault("absent", "it is a directory")
        headers = {"Range": f"bytes={start}-{end - 1}"}
        if version is not None and version.etag is not None:
            headers["If-Match"] = f'"{version.etag}"'
        with self._ask("GET", path, headers) as answer:
            if answer.status_code == 206:
                check_part(answer.headers, start, end, version)
            elif answer.status_code == 200:
                check_whole(answer.headers, start, end, version)
            elif answer.status_code == 416 and version is None:
                raise DoorFault("short", "the file ends before the range begins")
            else:
                raise fault_of(answer)
            check_version(answer.headers, version)
            data = self._body(answer, most=end - start)
        check_length(data, end - start)
        return data

    def url(self, path: str) -> str:
        """See `OpenDoor.url`."""
        check_path(path)
        return f"{self.door.root}/{quote(self.door.at_door(path))}"

    def close(self) -> None:
        """See `OpenDoor.close`."""
        self._session.close()

    def _look_into(self, directory: str) -> Listed:
        place = self.door.at_door(directory)
        with self._ask("GET", directory) as answer:
            if answer.status_code != 200:
                raise fault_of(answer)
            if not unquote(urlsplit(answer.url).path).endswith("/" + place):
                raise DoorFault("confused", "the server answers with another directory")
            if not answer.headers.get("Content-Type", "").startswith(("text/html", "application/xhtml")):
                raise DoorFault("confused", "the server's answer is not the listing of a directory")
            page = self._body(answer)
            if (length := answer.headers.get("Content-Length")) is not None:
                is_whole = length == str(len(page))
            else:
                is_whole = "Transfer-Encoding" in answer.headers or b"</html>" in page.lower()
        if not is_whole:
            raise DoorFault("short", "the listing of a directory is cut off")
        files, directories = read_index_page(page.decode(errors="surrogateescape"), answer.url)
        listed = Listed(
            directories=tuple(join_name(place, name) + "/" for name in directories),
            unsure=tuple(join_name(place, name) for name in files),
        )
        return listed.in_archive(self.door)

    def _ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> requests.Response:
        """The answer to a request, redirects followed; its body is yet to be read.

        Raises:
            DoorFault: ``absent``: the path is a directory.
        """
        url = self.url(path)
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._send(method, url, headers)
            if answer.status_code not in _REDIRECTS or "Location" not in answer.headers:
                return answer
            answer.close()
            try:
                target = urljoin(url, answer.headers["Location"].encode("latin-1").decode())
                here, there = urlsplit(url), urlsplit(target)
            except ValueError:
                raise DoorFault("confused", "the server sends us on to what is no address") from None
            if unquote(there.path) == unquote(here.path) + "/":
                raise DoorFault("absent", "it is a directory")
            if there.scheme not in ("http", "https"):
                raise DoorFault("confused", "the server sends us on to another kind of server")
            url = target
        raise DoorFault("confused", f"the server sends us on more than {_MOST_REDIRECTS} times")

    def _send(self, method: str, url: str, headers: Mapping[str, str] | None) -> requests.Response:
        try:
            # Without stream, the connection of a HEAD is kept for the next request.
            return self._session.request(
                method,
                url,
                headers=headers,
                timeout=self._timeout,
                stream=method != "HEAD",
            )
        except requests.Timeout:
            raise DoorFault("timeout", f"no answer within {self._timeout:g} seconds") from None
        except requests.exceptions.SSLError as problem:
            if "CERTIFICATE_VERIFY_FAILED" in str(problem):
                raise DoorFault("confused", "the server's certificate is not valid") from None
            raise DoorFault("broken", "the encrypted connection failed") from None
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            raise DoorFault("broken", "the connection failed or was cut") from None
        except (requests.RequestException, HTTPError, ValueError) as problem:
            raise DoorFault("confused", f"the request can't be made ({type(problem).__name__})") from None

    def _body(self, answer: requests.Response, *, most: int | None = None) -> bytes:
        """The body as it is sent; of one that is longer than it should be, little more than `most` bytes."""
        began = time.monotonic()
        answer.raw.enforce_content_length = False  # whoever asks compares lengths
        parts = []
        n = 0
        try:
            while most is None or n <= most:
                n_wanted = _CHUNK if most is None else min(_CHUNK, most + 1 - n)
                # What has come by now: `read` would wait for all of it, however slowly it drips.
                part = answer.raw.read1(n_wanted, decode_content=False)
                if not part:
                    break
                parts.append(part)
                n += len(part)
                if time.monotonic() - began > self._timeout + n / _SLOWEST:
                    raise DoorFault("timeout", "the bytes come too slowly")
        except ReadTimeoutError:
            raise DoorFault("timeout", f"nothing came for {self._timeout:g} seconds") from None
        except (HTTPError, OSError):
            raise DoorFault("broken", "the connection was cut") from None
        return b"".join(parts)


class _AnonymousSession(requests.Session):
    """A session without memory, which threads can share; proxies and certificates are those of the environment."""

    def __init__(self) -> None:
        super().__init__()
        for scheme in ("http://", "https://"):
            self.mount(scheme, HTTPAdapter(pool_maxsize=4 * HttpDoor.most_connections))
        self.headers.update({"Accept-Encoding": "identity", "User-Agent": f"kgp/{__version__}"})
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        self.auth = lambda request: request  # else requests sends what ~/.netrc has for the host

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: the door follows redirects itself, without ~/.netrc and without reading their bodies to the end."""
