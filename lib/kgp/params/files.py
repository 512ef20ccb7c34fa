"""Options of `kgp sync`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kgp.errors import UsageError
from kgp.params.declare import option

Transfer = Literal["auto", "driver", "spark"]


@dataclass(frozen=True, kw_only=True)
class Sync:
    """Options of `kgp sync`."""

    section = "sync"

    source: str = option(
        "release or collection, as kgp sources lists them", metavar="SOURCE", positional=True
    )
    contig: tuple[str, ...] = option("only files of this contig; repeat for more", metavar="C")
    part: tuple[str, ...] = option(
        "only this part of the source, as kgp sources SOURCE lists them; repeat for more", metavar="PART"
    )
    pattern: tuple[str, ...] = option(
        "only files whose name or path fits this shell pattern; repeat for more", metavar="GLOB"
    )
    to: str = option("directory or container that files are staged to", metavar="URI")
    dry_run: bool = option("list and compare, say what would be done, write nothing")
    read_in_place: bool = option("list and compare, stage nothing: the files are read where they lie")
    door: tuple[str, ...] = option(
        "where to read from, in order of preference: a door of kgp sources, or NAME=URL for one's own mirror; repeat "
        "for more",
        metavar="DOOR",
    )
    connections: int = option("most connections to a door at the same time", metavar="N")
    attempts: int = option("how often a door is tried before the next one is", metavar="N")
    timeout: float = option("seconds without an answer after which a door has failed", metavar="S")
    transfer: Transfer = option(
        "who moves the files: driver, spark (tasks on all nodes), or auto (spark on a cluster, for gigabytes)",
        metavar="WHO",
    )

    def __post_init__(self) -> None:
        if self.dry_run and self.read_in_place:
            raise UsageError(
                "Nothing is staged in either case.",
                where="--dry-run, --read-in-place",
                mend="Give one of them.",
            )
        for flag, value in (("--connections", self.connections), ("--attempts", self.attempts)):
            if value < 1:
                raise UsageError(f"{value} is out of range.", where=flag, mend="Give 1 or more.")
        if not 0 < self.timeout < float("inf"):
            raise UsageError(
                f"{self.timeout} is out of range.", where="--timeout", mend="Give a number of seconds."
            )
