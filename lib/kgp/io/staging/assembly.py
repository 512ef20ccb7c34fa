"""The ranges of one version of a file as they come together; doors may take turns at it."""

from __future__ import annotations

import threading

from kgp.io.staging.digest import FileDigest
from kgp.io.staging.ending import Ending
from kgp.io.staging.fetch import Fetch
from kgp.io.staging.model import Range, Version, gaps
from kgp.io.staging.targets import Part

_COMPRESSED = (".gz", ".bgz")

# Memory of one file, whatever the door's ranges are: for what the sum has still to take in, and where nothing can be
# read back, for all ranges together.
_MOST_WAITING = 64 << 20
_MOST_TOGETHER = 256 << 20


class Assembly:
    """A half-done file, which of its ranges are there, and the MD5 of its beginning.

    What an earlier run left is checked when this is made.

    Args:
        path: of the file.
        part: that takes its bytes.
        most_bytes: memory for ranges, those under way included.
    """

    def __init__(self, path: str, part: Part, *, most_bytes: int) -> None:
        self.part = part
        self._is_compressed = path.endswith(_COMPRESSED)
        self._most_waiting = (
            min(most_bytes // 2, _MOST_WAITING) if part.can_read else min(most_bytes, _MOST_TOGETHER)
        )
        self._lock = threading.Lock()
        self._begin()
        for start, data in part.kept():
            self._done.append((start, start + len(data)))
            self._digest.add(start, data)

    @property
    def is_empty(self) -> bool:
        """Whether no range is there."""
        return not self._done

    def restart(self, version: Version) -> None:
        """Throw everything away; what follows is of this version."""
        self._digest.close()
        self.part.restart(version)
        self._begin()

    def fetch(self, fetch: Fetch, *, step: int, connections: int) -> None:
        """Have the missing ranges read.

        Args:
            fetch: reads them, and puts them here.
            step: bytes of a range.
            connections: reads at a time.

        Raises:
            DoorFault: the door did not give a range; what came is kept.
        """
        if self.part.most_ranges is not None:
            step = max(step, -(-self.part.version.size // self.part.most_ranges))
        ranges = list(gaps(self._done, self.part.version.size, step))
        if len(ranges) > 1:
            self._digest.start()
        fetch.run(ranges, connections=connections)

    def put(self, start: int, data: bytes) -> None:
        """Take a range."""
        self.part.write(start, data)
        with self._lock:
            self._done.append((start, start + len(data)))
        self._digest.add(start, data)

    def wait_for_room(self, start: int, end: int) -> None:
        """Wait until memory may be taken for a range."""
        self._digest.wait_for_room(start, end)

    def finish(self) -> tuple[str, str | None]:
        """MD5 of the whole, and what is wrong with its end, in a clause; all ranges must be there.

        The end is looked at only in a compressed file whose MD5 nobody states.
        """
        return self._digest.result(), None if self._ending is None else self._ending.problem()

    def close(self) -> None:
        """Let it lie."""
        self._digest.close()
        self.part.close()

    def _begin(self) -> None:
        version = self.part.version
        self._done: list[Range] = []
        self._ending = Ending() if self._is_compressed and version.md5 is None else None
        self._digest = FileDigest(
            version.size,
            read=self.part.read if self.part.can_read else None,
            most_bytes=self._most_waiting,
            ending=self._ending,
        )
