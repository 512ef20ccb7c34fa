"""What servers of every kind say in the same headers, in a door's words."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from kgp.io.doors.base import DoorFault


def md5_of(base64_digest: str | None) -> str | None:
    """MD5 in hexadecimal of the header ``Content-MD5``; None where it has none.

    >>> md5_of("1B2M2Y8AsgTpgAmY7PhCfg==")
    'd41d8cd98f00b204e9800998ecf8427e'
    """
    try:
        digest = base64.b64decode(base64_digest or "", validate=True)
    except ValueError:
        return None
    return digest.hex() if len(digest) == 16 else None


def parse_date(text: str | None) -> datetime | None:
    """The moment that a header names, in UTC; None where it names none."""
    try:
        date = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, of either form of ``Retry-After``; a date is compared with the server's own clock.

    Args:
        headers: of an answer; their names in any letters, or in small ones.
    """
    stated = (headers.get("retry-after") or "").strip()
    if stated.isdecimal():
        return float(stated)
    until = parse_date(stated)
    if until is None:
        return None
    now = parse_date(headers.get("date")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def check_length(data: bytes, n_wanted: int) -> None:
    """See that so many bytes came.

    Raises:
        DoorFault: ``short``: fewer did, or more.
    """
    if len(data) != n_wanted:
        amount = "fewer" if len(data) < n_wanted else "more"
        raise DoorFault("short", f"{amount} bytes came than the {n_wanted:,} that were asked for")
