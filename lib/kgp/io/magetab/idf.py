"""Reads a MAGE-TAB investigation description file (IDF): a row a tag and its values.

Source: MAGE-TAB specification 1.1, section 2.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kgp.errors import FormatError
from kgp.io.magetab.text import Text, last_filled


def _digest(tag: str) -> str:
    return re.sub(r"[\s_]+", "", tag).lower()


@dataclass(frozen=True)
class Idf:
    """What an experiment was.

    Args:
        rows: (tag as the file spells it, values), in order; a tag may repeat. Values stand in the order of their
            columns, so that those of one protocol or person have the same place in each row.
        where: the file as messages name it.
        warnings: what was odd but read, and how often.
    """

    rows: tuple[tuple[str, tuple[str, ...]], ...]
    where: str
    warnings: Mapping[str, int] = field(default_factory=dict)

    def find(self, tag: str) -> tuple[tuple[str, ...], ...]:
        """The values of each row of that tag, however it is spaced and capitalised."""
        return tuple(values for name, values in self.rows if _digest(name) == _digest(tag))

    def first(self, tag: str) -> str | None:
        """The first value of a tag that is not empty, or None."""
        return next((value for values in self.find(tag) for value in values if value), None)

    @property
    def sdrf_files(self) -> tuple[str, ...]:
        """Names of the SDRF files that belong to it."""
        return tuple(value for values in self.find("SDRF File") for value in values if value)


def read_idf(url: str) -> Idf:
    """Read an IDF, or the [IDF] section of a file with several.

    Raises:
        FormatError: it has none of the tags that every IDF has.
        InputError: there is no such file, or it may not be read.
    """
    text = Text(url)
    rows = []
    is_inside = True
    for _, cells in text.rows():
        if re.fullmatch(r"\[\w+\]", cells[0]):
            is_inside = cells[0].upper() == "[IDF]"
        elif is_inside and cells[0]:
            rows.append((cells[0], tuple(cells[1 : max(last_filled(cells), 1)])))
    if not any(is_idf_tag(tag) for tag, _ in rows):
        raise FormatError(
            "It has no line 'Investigation Title'.", where=text.where, mend="Give a MAGE-TAB IDF."
        )
    return Idf(tuple(rows), text.where, dict(text.warnings))


def is_idf_tag(tag: str) -> bool:
    """Whether a file whose line begins so is an IDF.

    >>> is_idf_tag("Investigation  title"), is_idf_tag("Source Name")
    (True, False)
    """
    return _digest(tag) in ("magetabversion", "investigationtitle", "investigationaccession")
