"""How an option is declared, and what several of them check."""

from __future__ import annotations

import re
from dataclasses import field
from typing import Any, Literal

from kgp.errors import UsageError

Related = Literal["drop", "keep"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def option(text: str, *, metavar: str | None = None, positional: bool = False) -> Any:
    """A field that is an option: its help text, what its value is called, whether it stands without a flag."""
    return field(metadata={"help": text, "metavar": metavar, "positional": positional})


def recipe(text: str, metavar: str) -> Any:
    """A field that is an option whose default another option, the preset, decides."""
    return field(metadata={"help": text, "metavar": metavar, "positional": False, "preset": True})


def check_name(value: str, flag: str) -> None:
    """Refuse what can't be a name of something in the lake."""
    if not _NAME.fullmatch(value):
        raise UsageError(
            f"'{value}' can't be a name.", where=flag, mend="Use letters, digits, dot, dash and underscore."
        )


def check_fraction(value: float, flag: str, *, most: float = 1.0) -> None:
    """Refuse what is no number from 0 to `most`."""
    if not 0 <= value <= most:
        raise UsageError(f"{value} is out of range.", where=flag, mend=f"Give a number from 0 to {most:g}.")
