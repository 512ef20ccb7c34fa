"""What a web server's answer says: of a file, of a fault, and whether it is the answer to what was asked."""

from __future__ import annotations

import re
from collections.abc import Mapping

import requests

from kgp.io.doors.base import DoorFault, FaultKind
from kgp.io.doors.headers import md5_of, parse_date, retry_after
from kgp.sources import Entry

_CONTENT_RANGE = re.compile(r"bytes (?P<first>\d+)-(?P<last>\d+)/(?P<total>\d+|\*)")
_KINDS: Mapping[int, FaultKind] = {
    401: "denied",
    403: "denied",
    404: "absent",
    407: "denied",
    408: "timeout",
    410: "absent",
    412: "changed",
    416: "changed",
    429: "throttled",
    503: "throttled",
}


def fault_of(answer: requests.Response) -> DoorFault:
    """What the status of an answer means that is not the one that was hoped for."""
    status = answer.status_code
    kind = _KINDS.get(status, "broken" if status >= 500 else "confused")
    wait = retry_after(answer.headers) if kind == "throttled" else None
    return DoorFault(kind, f"the server answers with status {status}", retry_after=wait)


def entry_of(path: str, answer: requests.Response) -> Entry:
    """What the headers say of a file."""
    headers = answer.headers
    size = (
        headers.get("Content-Length")
        if answer.status_code == 200
        else headers.get("Content-Range", "").rpartition("/")[2]
    )
    return Entry(
        path,
        size=int(size) if size and size.isdecimal() else None,
        md5=_md5(headers) if answer.status_code == 200 else None,
        etag=_etag(headers),
        modified=_modified(headers),
    )


def _etag(headers: Mapping[str, str]) -> str | None:
    """The ETag without quotes; a weak one marks no bytes."""
    stated = headers.get("ETag", "").strip()
    return stated[1:-1] if len(stated) > 2 and stated[0] == stated[-1] == '"' else None


def _modified(headers: Mapping[str, str]) -> str | None:
    date = parse_date(headers.get("Last-Modified"))
    return None if date is None else date.strftime("%Y-%m-%dT%H:%M:%SZ")


def _md5(headers: Mapping[str, str]) -> str | None:
    """MD5 of the whole file from ``Content-MD5`` or Google's ``x-goog-hash``, in hexadecimal."""
    google = re.search(r"\bmd5=([\w+/]+=*)", headers.get("x-goog-hash", ""))
    return md5_of(headers.get("Content-MD5") or (google[1] if google else None))


def check_part(headers: Mapping[str, str], start: int, end: int, version: Entry | None) -> None:
    """See that a part of a file is the one that was asked for."""
    stated = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    if stated is None:
        raise DoorFault("confused", "the server does not say which bytes it sends")
    total = None if stated["total"] == "*" else int(stated["total"])
    if version is not None and version.size is not None and total != version.size:
        if total is None:
            raise DoorFault("confused", "the server does not say how long the file is")
        raise DoorFault("changed", f"the file has {total:,} bytes by now, not {version.size:,}")
    if total is not None and total < end:
        raise DoorFault("short", f"the file ends at byte {total:,}, before the range does")
    if (int(stated["first"]), int(stated["last"])) != (start, end - 1):
        raise DoorFault("confused", "the server sends other bytes than were asked for")


def check_whole(headers: Mapping[str, str], start: int, end: int, version: Entry | None) -> None:
    """See that a whole file, which a server without ranges sends, is just what was asked for."""
    length = headers.get("Content-Length", "")
    total = int(length) if length.isdecimal() else None
    if version is not None and version.size is not None:
        if total not in (None, version.size):
            raise DoorFault("changed", f"the file has {total:,} bytes by now, not {version.size:,}")
        total = version.size
    if start > 0 or total not in (None, end):
        raise DoorFault("confused", "the server gives no parts of a file, only the whole")


def check_version(headers: Mapping[str, str], version: Entry | None) -> None:
    """See that an answer is of the version that was begun: by its ETag, or else by its time of change."""
    if version is None:
        return
    pairs = ((version.etag, _etag(headers)), (version.modified, _modified(headers)))
    for known, stated in pairs:
        if known is not None and stated is not None:
            if known != stated:
                raise DoorFault("changed", "the file is another one by now")
            return
    if version.etag is not None or version.modified is not None:
        raise DoorFault("confused", "the server does not say of which version its bytes are")
