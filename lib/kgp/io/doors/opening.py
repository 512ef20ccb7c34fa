"""Doors are opened by what they are: the one place that knows which class talks to which kind."""

from __future__ import annotations

from kgp.errors import UsageError
from kgp.io.doors.base import OpenDoor
from kgp.sources import Door

# Kinds that bring files by programs of their own, and can't be listed or read in ranges.
CARRIERS = ("aspera", "globus")


def open_door(door: Door, *, timeout: float = 60.0) -> OpenDoor:
    """Open a door. Nothing is asked of it yet.

    Args:
        door: what it is.
        timeout: seconds without an answer after which it has failed.

    Raises:
        UsageError: it is of a kind that brings files by a program of its own.
    """
    opened: OpenDoor
    if door.kind == "azure":
        from kgp.io.doors.azure import AzureDoor

        opened = AzureDoor(door, timeout=timeout)
    elif door.kind == "https":
        from kgp.io.doors.http import HttpDoor

        opened = HttpDoor(door, timeout=timeout)
    elif door.kind == "ftp":
        from kgp.io.doors.ftp import FtpDoor

        opened = FtpDoor(door, timeout=timeout)
    elif door.kind == "s3":
        from kgp.io.doors.s3 import S3Door

        opened = S3Door(door, timeout=timeout)
    elif door.kind == "file":
        from kgp.io.doors.files import FileDoor

        opened = FileDoor(door)
    else:
        raise UsageError(
            f"It can't be listed or read: {door.kind} brings whole files.",
            where=f"--door {door.name}",
            mend="Name a door of another kind beside it.",
        )
    return opened
