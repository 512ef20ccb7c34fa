"""A container of Azure Blob Storage as a door.

Requests go through the pipeline of adlfs' client, which signs them, and no further into the SDK: its downloads begin a
range again by themselves when it breaks off, and its listings are slow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from kgp.errors import UsageError
from kgp.io.azure import locate
from kgp.io.azure_urls import blob_url
from kgp.io.doors.base import DoorFault
from kgp.io.doors.blob_list import (
    check_part,
    date_of,
    etag_of,
    fault_of,
    is_directory,
    read_marker,
    read_page,
)
from kgp.io.doors.headers import md5_of
from kgp.io.doors.walk import check_path, check_prefix, check_range
from kgp.sources import Door, Entry

_PAGE = 5000  # names, the most that there are
_PAGE_BYTES = 32 << 20  # of such a page; it seldom has more than a tenth of that
_SLOWEST = 64 << 10  # bytes a second
_GRACE = 5.0  # seconds that the event loop may need to give up


@dataclass(frozen=True)
class _Answer:
    """What came back, whatever its status; of a body that is longer than was allowed, a little more than that."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class _Question:
    """A request under way on the event loop, and how many seconds it may take."""

    answer: Future[_Answer | DoorFault]
    seconds: float


class AzureDoor:
    """A container, or a path in one, that is asked with its account's credential or with none.

    Args:
        door: what it is; its root is a URL that `kgp.io.azure_urls.parse_blob` knows.
        timeout: seconds for a connection and for each silence after that. A whole answer takes no longer than this
            and a second for each 64 KiB.

    Raises:
        UsageError: the root is no such URL, or there is no credential that its address could be asked with.
    """

    range_bytes = 8 << 20
    most_connections = 16

    def __init__(self, door: Door, *, timeout: float = 60.0) -> None:
        from kgp.io.azure_files import BlobFileSystem

        place = locate(door.root)
        if place is None:
            raise UsageError(
                "This is not the address of a container of Azure Blob Storage.",
                where=f"door {door.name}",
                mend="Write az://CONTAINER@ACCOUNT/PATH.",
            )
        self.door = door
        self._timeout = timeout
        self._account, self._root = place
        self._base = f"{self._root.path}/" if self._root.path else ""
        try:
            self._files = BlobFileSystem(self._account, retry_total=0, read_timeout=timeout)
        except ValueError as problem:
            kind = type(problem).__name__
            raise UsageError(
                f"There is no credential that the account can be asked with ({kind}).",
                where=self._root.for_people,
                mend="Set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or AZURE_STORAGE_ANON=true.",
            ) from None

    def list(self, prefix: str, *, enter: Callable[[str], bool] | None = None) -> Iterator[Entry]:
        """See `OpenDoor.list`; a request for each 5,000 files, whatever directories they lie in."""
        check_prefix(prefix)
        place = self._base + self.door.at_door(prefix)
        n = 0
        for page in self._pages(place):
            for entry in page:
                if not entry.path.startswith(place):
                    raise DoorFault("confused", "the server lists files of another directory")
                n += 1
                path = self.door.in_archive(entry.path[len(self._base) :])
                yield entry if path == entry.path else replace(entry, path=path)
        if not n:
            raise DoorFault("absent", "the directory holds no file")

    def stat(self, path: str) -> Entry | None:
        """See `OpenDoor.stat`."""
        check_path(path)
        if not path or path.endswith("/"):
            return None
        answer = self._end(self._begin("HEAD", self._blob_url(path)))
        headers = answer.headers
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise _fault(answer)
        size = headers.get("Content-Length", "")
        if not size.isdecimal():
            raise DoorFault("confused", "the server does not say how long the file is")
        marks = headers.get("x-ms-resource-type"), headers.get("x-ms-meta-hdi_isfolder")
        if is_directory(path, int(size), *marks):
            return None
        return Entry(
            path,
            int(size),
            md5_of(headers.get("Content-MD5")),
            etag_of(headers.get("ETag")),
            date_of(headers.get("Last-Modified")),
        )

    def read_range(self, path: str, start: int, end: int, *, version: Entry | None = None) -> bytes:
        """See `OpenDoor.read_range`."""
        check_range(path, start, end)
        if start == end:
            return b""
        headers = {"x-ms-range": f"bytes={start}-{end - 1}"}  # the pipeline signs no other
        if version is not None and version.etag is not None:
            headers["If-Match"] = f'"{version.etag}"'
        answer = self._end(self._begin("GET", self._blob_url(path), headers, n_bytes=end - start))
        if answer.status not in (200, 206):
            raise _fault(answer)
        check_part(answer.headers, answer.body, start, end, version)
        return answer.body

    def url(self, path: str) -> str:
        """See `OpenDoor.url`."""
        check_path(path)
        return self._root.child(self.door.at_door(path)).for_people

    def close(self) -> None:
        """See `OpenDoor.close`."""
        closing = asyncio.run_coroutine_threadsafe(self._files.service_client.close(), self._files.loop)
        with suppress(TimeoutError):
            closing.result(_GRACE)

    def _pages(self, prefix: str) -> Iterator[Sequence[Entry]]:
        """The pages of a listing; while one is read, the next one is on its way."""
        question: _Question | None = self._begin_page(prefix, None)
        last_marker = None
        try:
            while question is not None:
                answer, question = self._end(question), None
                if answer.status != 200:
                    raise _fault(answer, is_listing=True)
                if (marker := read_marker(answer.body)) is not None:
                    if marker == last_marker:
                        raise DoorFault("confused", "the listing does not go on")
                    last_marker = marker
                    question = self._begin_page(prefix, marker)
                yield read_page(answer.body)
        finally:
            if question is not None:
                question.answer.cancel()

    def _begin_page(self, prefix: str, marker: str | None) -> _Question:
        options = {"restype": "container", "comp": "list", "include": "metadata", "maxresults": str(_PAGE)}
        options |= {"prefix": prefix} if prefix else {}
        options |= {"marker": marker} if marker else {}
        url = f"{self._account.endpoint}/{self._root.container}?{urlencode(options, quote_via=quote)}"
        return self._begin("GET", url, n_bytes=_PAGE_BYTES)

    def _blob_url(self, path: str) -> str:
        return blob_url(self._account, self._root.container, self._base + self.door.at_door(path))

    def _begin(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, *, n_bytes: int = 0
    ) -> _Question:
        """Send a request.

        Args:
            method: of HTTP.
            url: without the signature.
            headers: beside those that the pipeline adds.
            n_bytes: most bytes that the body of a good answer has.
        """
        if self._account.sas is not None:
            url += f"{'&' if '?' in url else '?'}{self._account.sas}"
        seconds = self._timeout + n_bytes / _SLOWEST
        asking = self._ask(method, url, headers or {}, n_bytes, seconds)
        return _Question(asyncio.run_coroutine_threadsafe(asking, self._files.loop), seconds)

    def _end(self, question: _Question) -> _Answer:
        """Wait for the answer.

        Raises:
            DoorFault: there was none.
        """
        try:
            outcome = question.answer.result(question.seconds + _GRACE)
        except TimeoutError:
            outcome = DoorFault("timeout", f"no answer within {question.seconds:.0f} seconds")
        finally:
            question.answer.cancel()
        if isinstance(outcome, DoorFault):
            raise outcome
        return outcome

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], n_bytes: int, seconds: float
    ) -> _Answer | DoorFault:
        """A fault is returned: raised, it would carry the SDK's exception, and with it the URL's signature."""
        try:
            async with asyncio.timeout(seconds):
                return await self._send(method, url, headers, n_bytes)
        except Exception as problem:
            return self._explain(problem)

    async def _send(self, method: str, url: str, headers: Mapping[str, str], n_bytes: int) -> _Answer:
        from azure.core.rest import HttpRequest

        client: Any = self._files.service_client
        request = HttpRequest(method, url, headers={"x-ms-version": client.api_version, **headers})
        # The SDK reads a body that is not streamed, and JSON and XML in it.
        response = (await client._pipeline.run(request, stream=True)).http_response
        try:
            parts = []
            n = 0
            async for part in response.iter_raw():
                parts.append(part)
                n += len(part)
                if n > n_bytes:
                    break
        finally:
            await response.close()
        return _Answer(response.status_code, response.headers, b"".join(parts))

    def _explain(self, problem: Exception) -> DoorFault:
        """What the SDK's exceptions mean. They are not quoted: their texts may hold URLs."""
        from azure.core import exceptions as azure

        if isinstance(
            problem, TimeoutError | azure.ServiceRequestTimeoutError | azure.ServiceResponseTimeoutError
        ):
            return DoorFault("timeout", f"nothing came for {self._timeout:g} seconds")
        if isinstance(problem, azure.ClientAuthenticationError):
            return DoorFault("denied", "there is no credential for it that can be used")
        if isinstance(problem, azure.IncompleteReadError):
            return DoorFault("short", "the connection ended before all bytes had come")
        if isinstance(problem, azure.ServiceRequestError | azure.ServiceResponseError | OSError):
            return DoorFault("broken", "the connection failed or was cut")
        return DoorFault("confused", f"the request can't be made ({type(problem).__name__})")


def _fault(answer: _Answer, *, is_listing: bool = False) -> DoorFault:
    code = answer.headers.get("x-ms-error-code")
    if is_listing and code == "ResourceNotFound":
        # What is said to those without a credential, also where there is such a container.
        return DoorFault("denied", "there is no such container, or it is not public")
    return fault_of(answer.status, code, answer.headers)
