"""The archives as data: doors, sources, what their listings say. No network here: `kgp.io.doors` talks to them."""

from kgp.sources.doors import DOORS, PUBLIC_ACCOUNTS
from kgp.sources.model import Door, DoorKind, Entry, Part, Source

__all__ = ["DOORS", "PUBLIC_ACCOUNTS", "Door", "DoorKind", "Entry", "Part", "Source"]
