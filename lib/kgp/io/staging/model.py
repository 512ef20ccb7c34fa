"""What staging speaks of: versions of a file, ranges of its bytes, what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256

from kgp.sources import Entry

# First byte, and the byte after the last.
Range = tuple[int, int]


@dataclass(frozen=True)
class Version:
    """One version of a file, as far as it can be told from another.

    Args:
        size: bytes.
        md5: of the whole, stated by the door or by the archive's own listing; None where nobody states it.
        door: name of the door.
        mark: what that door calls the version: its ETag, or for want of one the time of change.
    """

    size: int
    md5: str | None
    door: str
    mark: str | None

    def is_same_as(self, other: Version) -> bool:
        """Whether ranges of both may stand in one file.

        Of different doors they may only where both are known to have the same MD5.
        """
        if self.size != other.size:
            return False
        if self.md5 is not None and other.md5 is not None:
            return self.md5 == other.md5
        return self.mark is not None and (self.door, self.mark) == (other.door, other.mark)

    @property
    def key(self) -> str:
        """24 hexadecimal digits: what can only be compared whole, as `is_same_as` mostly would."""
        told = ("md5", self.md5) if self.md5 is not None else (self.door, self.mark)
        return sha256(repr((self.size, told)).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class TargetFile:
    """A file that lies at the target.

    Args:
        size: bytes.
        md5: 32 hexadecimal digits, where the storage keeps it.
    """

    size: int
    md5: str | None = None


@dataclass(frozen=True)
class Staged:
    """A file that was put in place.

    Args:
        path: below the archive's root and below the target.
        url: where it lies now, without any credential.
        size: bytes.
        md5: computed from all bytes, 32 hexadecimal digits.
        is_verified: whether that is the MD5 that the door or the archive states; False where neither states any.
        door: name of the door that finished it.
        source: what that door says of the version.
        n_bytes_read: bytes that doors gave, those that had to be thrown away included.
        n_bytes_resumed: bytes that an earlier run had put there and that did not have to be written again.
        n_restarts: how often ranges were thrown away because they were of another version, or damaged.
        faults: what doors did wrong, a clause each.
        seconds: that it took.
    """

    path: str
    url: str
    size: int
    md5: str
    is_verified: bool
    door: str
    source: Entry
    n_bytes_read: int
    n_bytes_resumed: int
    n_restarts: int
    faults: tuple[str, ...]
    seconds: float


def gaps(done: Iterable[Range], size: int, step: int) -> Iterator[Range]:
    """What `done` lacks of a file, in order, cut where a multiple of `step` is.

    >>> list(gaps([(5, 8)], 13, 4))
    [(0, 4), (4, 5), (8, 12), (12, 13)]
    """
    at = 0
    for start, end in sorted((*done, (size, size))):
        while at < start:
            cut = min(start, at - at % step + step)
            yield at, cut
            at = cut
        at = max(at, end)
