"""What an FTP server says of a directory: the facts of MLSD, or the lines of LIST."""

from __future__ import annotations

import re

from kgp.io.doors.base import DoorFault
from kgp.io.doors.walk import Listed, join_name
from kgp.sources import Entry

_UNIX_LINE = re.compile(
    r"(?P<type>[-dl])[-rwxsStTlL]{9}[.+@]?\s+\d+\s+\S+\s+(?:\S+\s+)??(?P<size>\d+)\s+"
    r"(?:\w{3,4}\.?\s+\d{1,2}\s+(?:\d{4}|\d{1,2}:\d{2})|\d{4}-\d{2}-\d{2}\s+\d{2}:\d{2}) (?P<name>.+)"
)
_NOT_LISTED = re.compile(r"total \d+|[bcps][-rwxsStTlL]{9}.*|\s*")  # devices, pipes and sockets are no files
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.\d+)?")


def read_facts(directory: str, lines: list[str]) -> Listed:
    """What MLSD lists: ``type=file;size=5;modify=20130502140005; name``."""
    files, directories, unsure = [], [], []
    for line in filter(None, lines):
        facts_text, separator, name = line.partition(" ")
        if not separator:
            raise DoorFault("confused", "the listing of a directory can't be understood")
        facts = dict(fact.lower().partition("=")[::2] for fact in facts_text.split(";"))
        kind = facts.get("type", "")
        if kind in ("cdir", "pdir"):
            continue
        path = join_name(directory, name)
        if kind == "dir":
            directories.append(path + "/")
        elif kind == "file" and facts.get("size", "").isdecimal():
            files.append(Entry(path, int(facts["size"]), modified=read_time(facts.get("modify", ""))))
        else:  # a link, most likely
            unsure.append(path)
    return Listed(tuple(files), tuple(directories), tuple(unsure))


def read_unix(directory: str, lines: list[str]) -> Listed:
    """What LIST prints: the lines of ``ls -l``, whose times lack the seconds and the zone."""
    files, directories, unsure = [], [], []
    for line in lines:
        if _NOT_LISTED.fullmatch(line):
            continue
        parts = _UNIX_LINE.fullmatch(line)
        if parts is None:
            raise DoorFault("confused", "the listing of a directory can't be understood")
        name = parts["name"].partition(" -> ")[0] if parts["type"] == "l" else parts["name"]
        if name in (".", ".."):
            continue
        path = join_name(directory, name)
        if parts["type"] == "d":
            directories.append(path + "/")
        elif parts["type"] == "l":
            unsure.append(path)
        else:
            files.append(Entry(path, int(parts["size"])))
    return Listed(tuple(files), tuple(directories), tuple(unsure))


def read_time(stated: str) -> str | None:
    """A time as MDTM and MLSD have it, ``20130502140005``, in ISO 8601."""
    parts = _TIME.fullmatch(stated.strip())
    return None if parts is None else "{}-{}-{}T{}:{}:{}Z".format(*parts.groups())
