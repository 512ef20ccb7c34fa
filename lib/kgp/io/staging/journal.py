"""The journal of a half-done file: which version it is of, and which of its ranges are complete.

JSON lines: the version first, then a line for each range with its CRC-32. A line that can't be understood counts as
not written, and what the others claim is believed only where the bytes have that checksum: so it does not matter which
of the two files reached the disk first.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kgp.io.staging.model import Version

# Whoever checks a range holds it in memory.
MOST_RANGE = 16 << 20

_FORMAT = 1


@dataclass(frozen=True, order=True, slots=True)
class Claim:
    """That a range is complete.

    Args:
        start: first byte.
        end: byte after the last, at most `MOST_RANGE` further on.
        crc: CRC-32 of the bytes.
    """

    start: int
    end: int
    crc: int


class Journal:
    """The journal in an open file; claims may be added by several threads.

    Args:
        fd: open for reading and writing; stays the caller's.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._end = os.fstat(fd).st_size
        self._lock = threading.Lock()

    def load(self) -> tuple[Version | None, list[Claim]]:
        """The version, None where none can be read, and the claims in file order; they may overlap."""
        raw = os.pread(self._fd, self._end, 0)
        head, *lines = raw.split(b"\n")
        version = _version(_values(head))
        if version is None:
            return None, []
        if lines and lines[-1]:
            self._append(b"\n")  # the next line is not to be taken for the rest of this one
        claims = {_claim(_values(line), version.size) for line in lines}
        return version, sorted(claim for claim in claims if claim is not None)

    def begin(self, version: Version) -> None:
        """Forget all claims; those that follow are of this version."""
        os.ftruncate(self._fd, 0)
        self._end = 0
        self._append(
            _line(format=_FORMAT, size=version.size, md5=version.md5, door=version.door, mark=version.mark)
        )

    def add(self, claim: Claim) -> None:
        """A range is complete."""
        self._append(_line(start=claim.start, end=claim.end, crc32=claim.crc))

    def sync(self) -> None:
        """See to it that what was added outlives a power cut."""
        os.fsync(self._fd)

    def _append(self, line: bytes) -> None:
        with self._lock:
            self._end += os.pwrite(self._fd, line, self._end)


def _line(**values: object) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def _values(line: bytes) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _version(values: Mapping[str, Any]) -> Version | None:
    size, md5, door, mark = (values.get(name) for name in ("size", "md5", "door", "mark"))
    if values.get("format") != _FORMAT or type(size) is not int or not isinstance(door, str):
        return None
    if not isinstance(md5, str | None) or not isinstance(mark, str | None):
        return None
    return Version(size, md5, door, mark)


def _claim(values: Mapping[str, Any], size: int) -> Claim | None:
    start, end, crc = (values.get(name) for name in ("start", "end", "crc32"))
    if type(start) is not int or type(end) is not int or type(crc) is not int:
        return None
    is_within = 0 <= start < end <= size and end - start <= MOST_RANGE
    return Claim(start, end, crc) if is_within else None
