"""What of a source lies at the target already: by its own listing, and by sums where `files` is unsure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from kgp.amounts import count, format_bytes, some
from kgp.io.listing import Selection
from kgp.io.staging import Target, TargetFile
from kgp.job import Progress
from kgp.jobs.file_rows import FileRows
from kgp.sources import Entry
from kgp.sources import compare as changes
from kgp.sources.compare import OWN_MD5, Row

_CHECKED_AT_ONCE = 4
_NOTHING = "nothing-of-this-name"


class AtTarget:
    """A target, and what was found there.

    Args:
        target: that files are staged to.
        selection: what is meant; only its directories are listed.

    Raises:
        InputError: it can't be looked into.
    """

    def __init__(self, target: Target, selection: Selection) -> None:
        self._target = target
        self._there: dict[str, TargetFile] = {}
        for prefix in selection.prefixes:
            self._there |= target.list(prefix)
        if not self._there:
            target.find(_NOTHING)  # of a container that is not there, the listing says that it is empty

    def find_wanted(self, rows: FileRows, entries: Iterable[Entry]) -> list[Entry]:
        """The files that are not there as they are listed; those of 0 bytes are not wanted."""
        return [entry for entry in entries if entry.size != 0 and not self._is_here(rows[entry.path])]

    def n_likely(self, rows: FileRows, wanted: Iterable[Entry]) -> int:
        """Of how many of them something of their size lies there."""
        return sum(self._looks_like(rows[entry.path]) for entry in wanted)

    def adopt(self, rows: FileRows, wanted: Sequence[Entry], progress: Progress) -> list[str]:
        """Take for staged what lies there with the right MD5, though `files` does not say so; gives its paths."""
        likely = [rows[e.path] for e in wanted if rows[e.path]["md5"] and self._looks_like(rows[e.path])]
        if not likely:
            return []
        n_bytes = sum(self._there[row["archive_path"]].size for row in likely)
        text = f"checking {count(len(likely), 'file')}, {format_bytes(n_bytes)}, that lie at the target"
        with progress.step(text), ThreadPoolExecutor(_CHECKED_AT_ONCE) as pool:
            md5s = list(pool.map(self._md5_of, likely))
        right = [row for row, md5 in zip(likely, md5s, strict=True) if row["md5"] == md5]
        now = datetime.now(UTC)
        for row in right:
            path = row["archive_path"]
            is_verified = row["md5_from"] != OWN_MD5
            rows.change(path, changes.staged(self._target.url(path), now, is_verified=is_verified))
        return [row["archive_path"] for row in right]

    def give_up_lost(self, rows: FileRows, wanted: Iterable[Entry]) -> list[str]:
        """Say in the rows that copies which should be there, and are not or not whole, are not staged; gives a note."""
        lost = [entry.path for entry in wanted if self._should_be_here(rows[entry.path])]
        lost = [path for path in lost if not self._is_here(rows[path])]
        for path in lost:
            rows.change(path, changes.lost())
        if not lost:
            return []
        return [
            f"{count(len(lost), 'copy', 'copies')} had gone from the target, or were not whole: {some(lost)}"
        ]

    def _should_be_here(self, row: Row) -> bool:
        is_staged = row["state"] == "staged"
        return is_staged and bool(row["staged_path"] == self._target.url(row["archive_path"]))

    def _is_here(self, row: Row) -> bool:
        return self._should_be_here(row) and self._looks_like(row)

    def _looks_like(self, row: Row) -> bool:
        """Whether what lies there has the size of a row, and as far as the storage tells it, the MD5."""
        file = self._there.get(row["archive_path"])
        if file is None or file.size != row["size"]:
            return False
        return None in (file.md5, row["md5"]) or file.md5 == row["md5"]

    def _md5_of(self, row: Row) -> str:
        path: str = row["archive_path"]
        return self._there[path].md5 or self._target.md5_of(path)
