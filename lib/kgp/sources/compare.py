"""What has changed in an archive since last time: a listing beside what `files` knows.

What a run writes are changes: path → the columns of `files` that are other now. They are put over the rows that are
there at that moment, so that two runs on different parts of a source do not undo each other's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kgp.sources.model import Entry

Row = Mapping[str, Any]
Change = dict[str, Any]

# Columns of `files` that a comparison needs. Times cost the most to read: the others are left where they are.
COLUMNS = (
    "source", "archive_path", "state", "endpoint", "size", "md5", "md5_from", "etag", "modified", "staged_path",
)  # fmt: skip

# Who states an MD5 that nobody states: computed from the bytes that came.
OWN_MD5 = "kgp"

_NOT_STAGED: Mapping[str, None] = {
    "staged_path": None, "staged_from": None, "staged_at": None, "is_verified": None,
}  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """A listing beside the rows of `files` of the same part of a source; each file is in one field, save `moved`.

    Args:
        new: files that were not known, or that had gone and are of another version now.
        back: rows of files that had gone and are there again as they were; they count as new, too.
        changed: files of which another version lies there now.
        gone: rows of files that their own door does not list any more.
        same: paths of files that are as they were, and had not gone.
        moved: those of `back` and `same` that this door knows from now on: theirs is not asked any more, or comes later
            in the order of preference.
        unheard: rows of files that the listing lacks, and that another door has listed: nobody says that they are gone.
    """

    new: tuple[Entry, ...]
    back: tuple[Row, ...]
    changed: tuple[Entry, ...]
    gone: tuple[Row, ...]
    same: tuple[str, ...]
    moved: tuple[Entry, ...]
    unheard: tuple[Row, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of files: new, changed, gone, same."""
        return {
            "new": len(self.new) + len(self.back),
            "changed": len(self.changed),
            "gone": len(self.gone),
            "same": len(self.same),
        }

    @property
    def has_news(self) -> bool:
        """Whether any file is new, changed or gone."""
        return bool(self.new or self.back or self.changed or self.gone)


def compare(
    known: Iterable[Row], entries: Iterable[Entry], endpoint: str, doors: Sequence[str]
) -> Comparison:
    """Compare a listing with what is known.

    Versions are told apart by size, then by MD5 where both sides have one that somebody states, then, where the same
    door lists them, by ETag, else by time of change. Another door's ETag and time say nothing: each has its own. And
    that one door lacks a file which another one has listed does not mean that the archive has lost it.

    Args:
        known: rows of `files` with `COLUMNS`, each path once.
        entries: the listing, each path once.
        endpoint: the door that gave it.
        doors: names of all doors that may be asked, in order of preference.
    """
    preferred = doors[: doors.index(endpoint) + 1]
    rows = {row["archive_path"]: row for row in known}
    new: list[Entry] = []
    back: list[Row] = []
    changed: list[Entry] = []
    same: list[str] = []
    moved: list[Entry] = []
    for entry in entries:
        row = rows.pop(entry.path, None)
        if row is None:
            new.append(entry)
            continue
        is_same = _is_same(row, entry, endpoint)
        if row["state"] == "gone" and not is_same:
            new.append(entry)
        elif is_same is False:
            changed.append(entry)
        else:
            if row["state"] == "gone":
                back.append(row)
            else:
                same.append(entry.path)
            if row["endpoint"] not in preferred:
                moved.append(entry)
    lacking = [row for row in rows.values() if row["state"] != "gone"]
    return Comparison(
        tuple(new),
        tuple(back),
        tuple(changed),
        tuple(row for row in lacking if row["endpoint"] == endpoint),
        tuple(same),
        tuple(moved),
        tuple(row for row in lacking if row["endpoint"] != endpoint),
    )


def listed(
    source: str, entry: Entry, *, endpoint: str, url: str, now: datetime, md5_from: str | None = None
) -> Change:
    """All columns of a file that has been listed and not staged in this version.

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
        **_at_door(entry, endpoint, url, now),
        "size": entry.size,
        "md5": entry.md5,
        "md5_from": None if entry.md5 is None else md5_from or "listing",
        "gone_at": None,
        **_NOT_STAGED,
    }


def moved(entry: Entry, *, endpoint: str, url: str, now: datetime) -> Change:
    """What changes where a file is known by another door from now on."""
    return _at_door(entry, endpoint, url, now)


def gone(now: datetime) -> Change:
    """What changes where the archive lacks a file; what was staged of it is still there."""
    return {"state": "gone", "gone_at": now}


def back(row: Row) -> Change:
    """What changes where a file that had gone is there again as it was."""
    return {"state": "listed" if row["staged_path"] is None else "staged", "gone_at": None}


def staged(url: str, now: datetime, *, door: str | None = None, is_verified: bool) -> Change:
    """What changes where a file lies at the target.

    Args:
        url: where.
        now: since when that is known.
        door: that it came from; None where it lay there already.
        is_verified: whether its MD5 is one that somebody states.
    """
    return {
        "state": "staged",
        "gone_at": None,
        "staged_path": url,
        "staged_from": door,
        "staged_at": now,
        "is_verified": is_verified,
    }


def lost() -> Change:
    """What changes where the copy that was staged is not there any more, or is not whole."""
    return {"state": "listed", **_NOT_STAGED}


def entry_of(row: Row) -> Entry:
    """What a row of `files` says, as a listing says it; an MD5 that nobody states is left out."""
    modified = row["modified"]
    return Entry(
        row["archive_path"],
        row["size"],
        None if row["md5_from"] == OWN_MD5 else row["md5"],
        row["etag"],
        None if modified is None else f"{modified.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
    )


def parse_time(text: str) -> datetime:
    """The moment that an `Entry` names.

    >>> parse_time("2013-05-02T14:00:05Z")
    datetime.datetime(2013, 5, 2, 14, 0, 5, tzinfo=datetime.timezone.utc)
    """
    return datetime.fromisoformat(text)


def _is_same(row: Row, entry: Entry, endpoint: str) -> bool | None:
    """Whether a file is of the row's version; None where nothing shows it."""
    if None not in (row["size"], entry.size) and row["size"] != entry.size:
        return False
    if None not in (row["md5"], entry.md5):
        return bool(row["md5"] == entry.md5)
    if row["endpoint"] != endpoint:
        return None
    if None not in (row["etag"], entry.etag):
        return bool(row["etag"] == entry.etag)
    if row["modified"] is not None and entry.modified is not None:
        return bool(row["modified"] == parse_time(entry.modified))
    return None


def _at_door(entry: Entry, endpoint: str, url: str, now: datetime) -> Change:
    return {
        "endpoint": endpoint,
        "url": url,
        "etag": entry.etag,
        "modified": None if entry.modified is None else parse_time(entry.modified),
        "listed_at": now,
    }
