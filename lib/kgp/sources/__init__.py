"""The archives as data: doors, sources, what their listings say. No network here: `kgp.io.doors` talks to them."""

from kgp.sources.choose import choose, expected, may_hold, missing, part_of, prefixes_for
from kgp.sources.doors import DOORS, PUBLIC_ACCOUNTS, PUBLIC_BUCKETS, doors_of, open_url_door
from kgp.sources.model import Door, DoorKind, Entry, Part, Source
from kgp.sources.paths import check_path
from kgp.sources.releases import SOURCES, find_source

__all__ = [
    "DOORS",
    "PUBLIC_ACCOUNTS",
    "PUBLIC_BUCKETS",
    "SOURCES",
    "Door",
    "DoorKind",
    "Entry",
    "Part",
    "Source",
    "check_path",
    "choose",
    "doors_of",
    "expected",
    "find_source",
    "may_hold",
    "missing",
    "open_url_door",
    "part_of",
    "prefixes_for",
]
