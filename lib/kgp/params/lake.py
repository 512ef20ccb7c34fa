"""Options of the jobs that look after the lake itself."""

from __future__ import annotations

from dataclasses import dataclass

from kgp.errors import UsageError
from kgp.params.declare import option

_WEEK_HOURS = 168


@dataclass(frozen=True, kw_only=True)
class Vacuum:
    """Options of `kgp vacuum`."""

    section = "vacuum"

    hours: int = option("remove files that no version of the last hours needs", metavar="N")
    dry_run: bool = option("say what would be removed, and remove nothing")

    def __post_init__(self) -> None:
        if self.hours < _WEEK_HOURS:
            raise UsageError(
                f"{self.hours} hours are too few: a long job may still read what it began with.",
                where="--hours",
                mend=f"Give {_WEEK_HOURS} or more.",
            )
