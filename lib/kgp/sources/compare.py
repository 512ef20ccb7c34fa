"""What has changed in an archive since last time: a listing beside what `files` knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kgp.sources.model import Entry

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Comparison:
    """A listing beside the rows of `files` of the same part of a source.

    Args:
        new: files that were not known, or had gone.
        changed: files of which another version lies there now.
        gone: rows of files that the listing lacks; those that had gone before are in no field.
        same: paths of files that are as they were.
    """

    new: tuple[Entry, ...]
    changed: tuple[Entry, ...]
    gone: tuple[Row, ...]
    same: tuple[str, ...]

    @property
    def has_news(self) -> bool:
        """Whether anything is otherwise than last time."""
        return bool(self.new or self.changed or self.gone)


def compare(known: Iterable[Row], entries: Iterable[Entry], endpoint: str) -> Comparison:
    """Compare a listing with what is known.

    Versions are told apart by size, then by MD5 where both sides have one, then, where the same door lists them, by
    ETag, else by time of change. Another door's ETag and time say nothing: each has its own.

    Args:
        known: rows of `files`, each path once.
        entries: the listing, each path once.
        endpoint: the door that gave it.
    """
    rows = {row["archive_path"]: row for row in known}
    new: list[Entry] = []
    changed: list[Entry] = []
    same: list[str] = []
    for entry in entries:
        row = rows.pop(entry.path, None)
        if row is None or row["state"] == "gone":
            new.append(entry)
        elif _is_same(row, entry, endpoint):
            same.append(entry.path)
        else:
            changed.append(entry)
    gone = tuple(row for row in rows.values() if row["state"] != "gone")
    return Comparison(tuple(new), tuple(changed), gone, tuple(same))


def _is_same(row: Row, entry: Entry, endpoint: str) -> bool:
    if row["size"] is not None and entry.size is not None and row["size"] != entry.size:
        return False
    # An MD5 that kgp or a list beside the file states is of the version that was there then.
    if row["md5"] is not None and entry.md5 is not None:
        return bool(row["md5"] == entry.md5)
    if row["endpoint"] != endpoint:
        return True
    if row["etag"] is not None and entry.etag is not None:
        return bool(row["etag"] == entry.etag)
    if row["modified"] is not None and entry.modified is not None:
        return bool(row["modified"] == parse_time(entry.modified))
    return True


def listed_row(
    source: str, entry: Entry, *, endpoint: str, url: str, now: datetime, md5_from: str | None = None
) -> dict[str, Any]:
    """The row of `files` of a file that has been listed and not staged.

    Args:
        source: the source's name.
        entry: what is known of it.
        endpoint: the door that listed it.
        url: its address there.
        now: when it was listed.
        md5_from: who states its MD5, where that is not the listing.
    """
    return {
        "source": source,
        "archive_path": entry.path,
        "state": "listed",
        "endpoint": endpoint,
        "url": url,
        "size": entry.size,
        "md5": entry.md5,
        "md5_from": None if entry.md5 is None else md5_from or "listing",
        "etag": entry.etag,
        "modified": None if entry.modified is None else parse_time(entry.modified),
        "listed_at": now,
    }


def gone_row(row: Row, now: datetime) -> dict[str, Any]:
    """The row of a file that the listing lacks; what was staged of it is still there."""
    return {**row, "state": "gone", "gone_at": now}


def entry_of(row: Row) -> Entry:
    """What a row of `files` says, as a listing says it."""
    modified = row["modified"]
    return Entry(
        row["archive_path"],
        row["size"],
        row["md5"],
        row["etag"],
        None if modified is None else modified.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def parse_time(text: str) -> datetime:
    """The moment that an `Entry` names.

    >>> parse_time("2013-05-02T14:00:05Z")
    datetime.datetime(2013, 5, 2, 14, 0, 5, tzinfo=datetime.timezone.utc)
    """
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
