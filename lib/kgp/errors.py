"""The exceptions that kgp raises on purpose.

::

    KgpError                what, where, what to do; the CLI prints it without a stack trace (exit code 1)
    ├── InputError          something is wrong with what was given
    │   ├── FormatError     a file is not what its name or its header says
    │   ├── BuildError      coordinates belong to another reference build
    │   └── OverlapError    two inputs have nothing, or too little, in common
    ├── UsageError          options that contradict each other or are out of range (exit code 2)
    ├── ContractError       rows do not have the shape that a table declares
    │   └── CheckError      written rows break a promise: a key repeats, counts do not add up
    ├── LakeError           a table or a name in the lake stands in the way, or its storage does
    │   └── NoLakeError     there is no lake at its place
    └── EnvironmentProblem  Java, a JAR, a credential or a service is missing

Catch `KgpError` for everything that a person can mend; anything else is a defect of kgp.
"""

from __future__ import annotations

import re

__all__ = [
    "BuildError",
    "CheckError",
    "ContractError",
    "EnvironmentProblem",
    "FormatError",
    "InputError",
    "KgpError",
    "LakeError",
    "NoLakeError",
    "OverlapError",
    "UsageError",
]

_SECRETS = re.compile(
    r"(?P<scheme>\b[a-z0-9]+://)(?P<user>[^@/\s'\"]*:[^@/\s'\"]*@)?(?P<rest>[^?\s'\"]*)"
    r"(?P<query>\?[^\s'\"]*?(?=[.,:;)]*(?:[\s'\"]|$)))?"
)


def scrub(text: str) -> str:
    """The text with the passwords and queries of its URLs taken out: a SAS token must never be shown.

    >>> scrub("reading https://me:secret@host/a.vcf?sv=2024&sig=abc (3 samples)")
    'reading https://host/a.vcf (3 samples)'
    >>> scrub("abfss://container@account.dfs.core.windows.net/lake")
    'abfss://container@account.dfs.core.windows.net/lake'
    """
    return _SECRETS.sub(r"\g<scheme>\g<rest>", text)


class KgpError(Exception):
    """A problem that a person can mend.

    Args:
        what: what is wrong, one sentence.
        where: file, table, line or option that it was found in.
        mend: what to do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, mend: str | None = None) -> None:
        super().__init__(what, where, mend)
        self.what = what
        self.where = where
        self.mend = mend

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f" {self.mend}" if self.mend else ""
        return scrub(f"{place}{self.what}{advice}")


class InputError(KgpError):
    """Something is wrong with what was given."""


class FormatError(InputError):
    """A file is not what its name or its header says."""


class BuildError(InputError):
    """Coordinates belong to another reference build."""


class OverlapError(InputError):
    """Two inputs have nothing, or too little, in common."""


class UsageError(KgpError):
    """Options that contradict each other or are out of range."""

    exit_code = 2


class ContractError(KgpError):
    """Rows do not have the shape that a table declares."""


class CheckError(ContractError):
    """Written rows break a promise: a key repeats, counts do not add up."""


class LakeError(KgpError):
    """A table or a name in the lake stands in the way, or its storage does."""


class NoLakeError(LakeError):
    """There is no lake at its place."""


class EnvironmentProblem(KgpError):
    """Java, a JAR, a credential or a service is missing."""
