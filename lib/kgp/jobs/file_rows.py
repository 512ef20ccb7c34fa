"""A source's rows of `files`, and what a run changes in them.

Rows are few to change and many to write, for a source's rows are replaced as a whole in one commit. So changes are
gathered, and put over the rows that are there when they are written: a run of another part of the source, at the same
time, keeps what it wrote.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from kgp.job import Context
from kgp.sources.compare import COLUMNS, Change, Row
from kgp.tables import FILES

# While files are on their way: at most so much of the time goes into writing rows, and no more often than that.
_MOST_OF_TIME = 0.05
_LEAST_SECONDS = 30.0


class FileRows:
    """What is known of a source's files.

    Args:
        context: of the job.
        source: the source's name.
        clock: seconds that only grow.

    Attributes:
        was_written: whether anything was.
    """

    def __init__(self, context: Context, source: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._context, self._clock = context, clock
        self._slice = f"source = '{source}'"
        self._rows: dict[str, dict[str, Any]] = {
            row["archive_path"]: row for row in context.fetch(FILES, COLUMNS, self._slice)
        }
        self._changes: dict[str, Change] = {}
        self._write_again_at = 0.0
        self.was_written = False

    def __getitem__(self, path: str) -> Row:
        """The columns of `COLUMNS` of a file, the changes of this run among them."""
        return self._rows[path]

    @property
    def known(self) -> Mapping[str, Row]:
        """Path → columns of `COLUMNS`, of all files that are known, those that have gone among them."""
        return self._rows

    def change(self, path: str, change: Change) -> None:
        """Change columns of a file's row, or make one."""
        self._changes[path] = self._changes.get(path, {}) | change
        self._rows[path] = self._rows.get(path, {}) | {
            name: value for name, value in change.items() if name in COLUMNS
        }

    def write_when_due(self) -> None:
        """Write the changes, unless that was done a moment ago."""
        if self._clock() >= self._write_again_at:
            self.write()

    def write(self) -> None:
        """Write the changes, in one commit; none where there are none."""
        if not self._changes:
            return
        began = self._clock()
        # Others may have written since; and the columns that this run does not need are read only now.
        rows = {row["archive_path"]: row for row in self._context.fetch(FILES, where=self._slice)}
        for path, change in self._changes.items():
            rows[path] = rows.get(path, {}) | change
        self._context.put(FILES, rows.values(), self._slice)
        self._changes.clear()
        self.was_written = True
        now = self._clock()
        self._write_again_at = now + max(_LEAST_SECONDS, (now - began) / _MOST_OF_TIME)
