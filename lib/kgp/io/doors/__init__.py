"""The doors of the archives, opened: one way to list, to ask and to read, whatever the protocol."""

from kgp.io.doors.base import PASSING, DoorFault, FaultKind, OpenDoor
from kgp.io.doors.opening import CARRIERS, open_door

__all__ = ["CARRIERS", "PASSING", "DoorFault", "FaultKind", "OpenDoor", "open_door"]
