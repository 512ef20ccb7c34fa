"""What `ascp` has written aside: checked, and moved into place when size and MD5 are right."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from kgp.io.transfers.aspera import PARTIAL, AsperaPlan
from kgp.sources import Entry

_CHECKPOINT = ".aspx"  # beside an unfinished file; says how far it is


@dataclass(frozen=True)
class Collected:
    """What was found aside.

    Args:
        arrived: whole files, moved into place.
        faults: path → why it is not among them, one clause.
    """

    arrived: tuple[Entry, ...]
    faults: Mapping[str, str]


def collect_aspera(plan: AsperaPlan, *, has_ended_well: bool = False) -> Collected:
    """Check what lies aside and move whole files into place; it does not need `ascp`.

    A file that has its own name but is not what the listing states is removed, so that the next run begins it anew.

    Args:
        plan: the files.
        has_ended_well: whether `ascp` has just ended with 0, which vouches for files of which no MD5 is known.

    Raises:
        OSError: the disk.
    """
    arrived, faults = [], {}
    for entry in plan.entries:
        aside, target = os.path.join(plan.tree, entry.path), os.path.join(plan.directory, entry.path)
        if (fault := _absence(aside)) is None and (fault := _fault(aside, entry)) is not None:
            _discard(aside)
        if fault is None and entry.md5 is None and not has_ended_well:
            fault = "nobody states its MD5, and ascp did not end well"
        if fault is None:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.replace(aside, target)
            with suppress(FileNotFoundError):
                os.remove(aside + _CHECKPOINT)
            arrived.append(entry)
        else:
            faults[entry.path] = fault
    return Collected(tuple(arrived), faults)


def _absence(aside: str) -> str | None:
    if os.path.lexists(aside):
        return None
    if os.path.exists(aside + PARTIAL):
        return "came half way"
    return "did not come"


def _fault(aside: str, entry: Entry) -> str | None:
    if not os.path.isfile(aside):
        return "is no file"
    size = os.path.getsize(aside)
    if size == 0:
        return "came empty"
    if entry.size is not None and size != entry.size:
        return f"came with {size:,} bytes instead of {entry.size:,}"
    if entry.md5 is not None:
        with open(aside, "rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if digest != entry.md5.lower():
            return f"came with the MD5 {digest} instead of {entry.md5.lower()}"
    return None


def _discard(aside: str) -> None:
    if os.path.isdir(aside) and not os.path.islink(aside):
        shutil.rmtree(aside)
    else:
        os.remove(aside)
    with suppress(FileNotFoundError):
        os.remove(aside + _CHECKPOINT)
