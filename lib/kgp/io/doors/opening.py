"""Doors are chosen and opened: the one place that knows which class talks to which kind."""

from __future__ import annotations

from collections.abc import Sequence

from kgp.errors import UsageError
from kgp.io.doors.base import OpenDoor
from kgp.sources import Door, Source, doors_of, open_url_door

# Kinds that bring files by programs of their own, and can't be listed or read in ranges.
CARRIERS = ("aspera", "globus")


def choose_doors(source: Source, named: Sequence[str]) -> tuple[tuple[Door, ...], Door | None]:
    """The doors of a source that are listed and read, in order of preference, and the one that carries its files.

    Args:
        source: whose archive they serve.
        named: as ``--door`` takes them; where none of them can be listed, all of the archive are.

    Returns:
        the doors; and that of a program which brings whole files, if one is named.

    Raises:
        UsageError: there is no such door, it serves another archive, it is named twice, or two programs are.
    """
    chosen = [open_url_door(text, archive=source.archive) for text in named]
    known = doors_of(source.archive)
    for door in chosen:
        if door.archive != source.archive:
            raise UsageError(
                f"The door {door.name} serves {door.archive}, and {source.name} lies in {source.archive}.",
                where="--door",
                mend=f"Doors of {source.name} are {', '.join(door.name for door in known)}; or NAME=URL.",
            )
    names = [door.name for door in chosen]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"The door {twice[0]} is named twice.", where="--door", mend="Name each once.")
    carriers = [door for door in chosen if door.kind in CARRIERS]
    if len(carriers) > 1:
        raise UsageError(
            "Only one program can bring the files.", where="--door", mend="Name aspera or globus."
        )
    read = [door for door in chosen if door.kind not in CARRIERS]
    read = read or [door for door in known if door.kind not in CARRIERS]
    return tuple(read), carriers[0] if carriers else None


def open_door(door: Door, *, timeout: float = 60.0, connections: int | None = None) -> OpenDoor:
    """Open a door. Nothing is asked of it yet.

    Args:
        door: what it is.
        timeout: seconds without an answer after which it has failed.
        connections: most at the same time, where that is less than it bears.

    Raises:
        UsageError: it is of a kind that brings files by a program of its own.
    """
    opened = _open(door, timeout)
    if connections is not None:
        opened.most_connections = min(opened.most_connections, connections)
    return opened


def _open(door: Door, timeout: float) -> OpenDoor:
    if door.kind == "azure":
        from kgp.io.doors.azure import AzureDoor

        return AzureDoor(door, timeout=timeout)
    if door.kind == "https":
        from kgp.io.doors.http import HttpDoor

        return HttpDoor(door, timeout=timeout)
    if door.kind == "ftp":
        from kgp.io.doors.ftp import FtpDoor

        return FtpDoor(door, timeout=timeout)
    if door.kind == "s3":
        from kgp.io.doors.s3 import S3Door

        return S3Door(door, timeout=timeout)
    if door.kind == "file":
        from kgp.io.doors.files import FileDoor

        return FileDoor(door)
    raise UsageError(
        f"It can't be listed or read: {door.kind} brings whole files.",
        where=f"--door {door.name}",
        mend="Name a door of another kind beside it.",
    )
