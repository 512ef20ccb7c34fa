"""What blob stores answer, in a door's words: pages of Azure's listing, and the headers that all stores share.

Of a listing the SDK makes objects with all that is stated, which takes ten times as long.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote
from xml.etree import ElementTree

from kgp.io.doors.base import DoorFault, FaultKind
from kgp.io.doors.headers import check_length, md5_of, retry_after
from kgp.sources import Entry

_KINDS: Mapping[int, FaultKind] = {
    401: "denied",
    403: "denied",
    404: "absent",
    408: "timeout",
    410: "absent",
    412: "changed",
    416: "short",  # the file ends before the range begins; a version that has gone answers with 412
    429: "throttled",
    503: "throttled",
}
# Codes of Azure, and of S3, that say more than the status they come with.
_KINDS_OF_CODES: Mapping[str, FaultKind] = {
    "AuthenticationFailed": "denied",
    "ContainerBeingDeleted": "absent",
    "InvalidAuthenticationInfo": "denied",
    "OperationTimedOut": "timeout",
    "PublicAccessNotPermitted": "denied",
    "RequestTimeout": "timeout",
    "SlowDown": "throttled",
}
_CODE = re.compile(r"[A-Za-z]{1,60}")
_CONTENT_RANGE = re.compile(r"bytes (?P<first>\d+)-(?P<last>\d+)/(?P<total>\d+)")
# Fri, 02 May 2013 14:00:05 GMT
_HTTP_DATE = re.compile(r"\w{3}, (?P<day>\d\d) (?P<month>\w{3}) (?P<year>\d{4}) (?P<time>\d\d:\d\d:\d\d) GMT")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def read_marker(xml: bytes) -> str | None:
    """What the next page is asked for with, found at the end of a page that is not read yet.

    Raises:
        DoorFault: ``short``: the page has no end.
    """
    at = xml.rfind(b"<NextMarker")
    end = xml.find(b"</EnumerationResults>", at)
    if at < 0 or end < 0:
        raise DoorFault("short", "the listing is cut off")
    return _parse(xml[at:end]) or None


def read_page(xml: bytes) -> list[Entry]:
    """The blobs of a page of Azure's flat listing, by their names in the container.

    Directories are left out: those of accounts with a hierarchical namespace, and the empty blobs by which Hadoop and
    others mark them.

    Raises:
        DoorFault: ``confused``: it is no such page.
    """
    blobs = _Blobs()
    _parse(xml, blobs)
    if not blobs.is_listing:
        raise DoorFault("confused", "the answer is not the listing of a container")
    return blobs.entries


class _Blobs:
    """Takes the blobs out of a page while it is parsed: a tree of the page would take twice as long.

    ``EnumerationResults/Blobs/Blob`` has a ``Name``, ``Properties`` and ``Metadata``, whose children may be called
    anything. So an element is known by its depth.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.is_listing = False
        self._depth = 0
        self._part = ""  # of a blob
        self._text = ""
        self._stated: dict[str, str] = {}
        self._is_folder: str | None = None

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        self._text = ""
        if self._depth == 4:
            self._part = tag
            if tag == "Name" and attributes:
                self._stated["Encoded"] = attributes.get("Encoded", "")
        elif self._depth == 3:
            self._stated, self._is_folder = {}, None

    def data(self, text: str) -> None:
        self._text += text

    def end(self, tag: str) -> None:
        if self._depth == 5:
            if self._part == "Properties":
                self._stated[tag] = self._text
            elif self._part == "Metadata" and tag.lower() == "hdi_isfolder":
                self._is_folder = self._text
        elif self._depth == 4:
            if tag == "Name":
                self._stated[tag] = self._text
        elif self._depth == 3:
            if tag == "Blob" and (entry := _entry(self._stated, self._is_folder)) is not None:
                self.entries.append(entry)
        elif tag == "Blobs":
            self.is_listing = True
        self._depth -= 1

    def close(self) -> None:
        pass


def _parse(xml: bytes, target: object = None) -> str | None:
    """Feed a target; without one, the text of the only element."""
    parser = ElementTree.XMLParser(target=target)
    try:
        parser.feed(xml)
        root = parser.close()
    except ElementTree.ParseError:
        raise DoorFault("confused", "the listing is not XML") from None
    return None if root is None else root.text


def _entry(stated: Mapping[str, str], is_folder: str | None) -> Entry | None:
    path = stated.get("Name")
    if not path:
        raise DoorFault("confused", "the listing has a blob without a name")
    if stated.get("Encoded") == "true":
        path = unquote(path)
    size = stated.get("Content-Length", "")
    if not size.isdecimal():
        raise DoorFault("confused", f"the listing has no size of {path!a}")
    if is_directory(path, int(size), stated.get("ResourceType"), is_folder):
        return None
    return Entry(
        path,
        int(size),
        md5_of(stated.get("Content-MD5")),
        etag_of(stated.get("Etag")),
        date_of(stated.get("Last-Modified")),
    )


def is_directory(
    path: str, size: int, resource_type: str | None = None, is_folder: str | None = None
) -> bool:
    """Whether a blob only marks a directory.

    Args:
        path: its name.
        size: bytes.
        resource_type: ``directory`` in accounts with a hierarchical namespace.
        is_folder: the metadata ``hdi_isfolder``, which Hadoop sets.
    """
    if resource_type == "directory" or (is_folder or "").lower() == "true":
        return True
    return size == 0 and path.endswith(("/", "_$folder$"))


def etag_of(stated: str | None) -> str | None:
    """An ETag without its quotes."""
    return (stated or "").strip().strip('"') or None


def date_of(http_date: str | None) -> str | None:
    """A header's date as `Entry` has it; None where it can't be read.

    >>> date_of("Thu, 02 May 2013 14:00:05 GMT")
    '2013-05-02T14:00:05Z'
    """
    if (found := _HTTP_DATE.fullmatch(http_date or "")) is None or found["month"] not in _MONTHS:
        return None
    return f"{found['year']}-{_MONTHS.index(found['month']) + 1:02}-{found['day']}T{found['time']}Z"


def fault_of(status: int, code: str | None, headers: Mapping[str, str]) -> DoorFault:
    """What an answer that is no success says.

    Args:
        status: of HTTP.
        code: the store's own word for it.
        headers: of the answer, by names in small letters or in any.
    """
    code = code if code and _CODE.fullmatch(code) else None
    kind = _KINDS_OF_CODES.get(code or "") or _KINDS.get(status, "broken" if status >= 500 else "confused")
    said = f"{status} ({code})" if code else f"{status}"
    wait = retry_after(headers) if kind == "throttled" else None
    return DoorFault(kind, f"the server answers with status {said}", retry_after=wait)


def check_part(headers: Mapping[str, str], body: bytes, start: int, end: int, version: Entry | None) -> None:
    """See that an answer is the part of the version that was asked for.

    Args:
        headers: of an answer that is a success, by names in small letters or in any.
        body: bytes that came.
        start: first byte.
        end: byte after the last.
        version: that was begun; by its ETag, or for want of one by its time of change, and by its size.

    Raises:
        DoorFault: ``changed``, ``short`` or ``confused``.
    """
    part = _CONTENT_RANGE.fullmatch(headers.get("content-range") or "")
    if part is None:
        if not body:  # what Azurite says of an empty blob
            raise DoorFault("short", "no bytes came")
        raise DoorFault(
            "confused", "the server does not say which part of the file it sends, or sends the whole"
        )
    if version is not None:
        etag, modified = etag_of(headers.get("etag")), date_of(headers.get("last-modified"))
        if version.size is not None and int(part["total"]) != version.size:
            raise DoorFault(
                "changed", f"the file has {int(part['total']):,} bytes by now, not {version.size:,}"
            )
        if version.etag is not None and etag != version.etag:
            raise DoorFault("changed", "the file is another version by now")
        if version.etag is None and version.modified is not None and modified != version.modified:
            raise DoorFault("changed", "the file was changed since")
    if int(part["total"]) < end:
        raise DoorFault("short", f"the file ends at byte {int(part['total']):,}, before the range does")
    if (int(part["first"]), int(part["last"])) != (start, end - 1):
        raise DoorFault("confused", "the server sends other bytes than were asked for")
    check_length(body, end - start)
