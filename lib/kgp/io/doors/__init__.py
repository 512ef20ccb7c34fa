"""The doors of the archives, opened: one way to list, to ask and to read, whatever the protocol."""

from kgp.io.doors.base import PASSING, DoorFault, FaultKind, OpenDoor

__all__ = ["PASSING", "DoorFault", "FaultKind", "OpenDoor"]
