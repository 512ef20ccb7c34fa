"""Reads the texts by which sources name people."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

_CORIELL = re.compile(r"(?:NA|HG|GM)[0-9]{5}")


@dataclass(frozen=True)
class Identity:
    """Who a text names.

    Args:
        sample_id: the person; None where nobody is known by it.
        rule: what was done to the text to read it; '' where it is the id itself.
    """

    sample_id: str | None
    rule: str = ""


def identify_person(text: str, people: Collection[str]) -> Identity:
    """Read the text that names a person.

    A known person's id is the person. An id of Coriell's form (NA or HG and five digits) is its person even where that
    one is not known. GM is the cell line whose DNA is NA: https://www.coriell.org; it is read so only where the NA id
    is known.

    >>> identify_person("GEUV:HG00096", ["HG00096"])
    Identity(sample_id='HG00096', rule='without GEUV:')
    >>> identify_person("GM 12878", ["NA12878"])
    Identity(sample_id='NA12878', rule='blanks and case mended, cell line GM12878 is NA12878')
    >>> identify_person("GM12878", []), identify_person("pool 3", [])
    (Identity(sample_id=None, rule=''), Identity(sample_id=None, rule=''))

    Args:
        text: as a source writes it.
        people: known people.
    """
    if text in people:
        return Identity(text)
    rules = []
    name = text.strip()
    if name.upper().startswith("GEUV:"):
        name = name[len("GEUV:") :].strip()
        rules.append("without GEUV:")
    if name in people:
        return Identity(name, ", ".join(rules))
    compact = re.sub(r"\s+", "", name).upper()
    if _CORIELL.fullmatch(compact) is None:
        return Identity(None)
    if compact != name:
        rules.append("blanks and case mended")
    if compact.startswith("GM"):
        sample_id = f"NA{compact[2:]}"
        if sample_id not in people:
            return Identity(None)
        rules.append(f"cell line {compact} is {sample_id}")
        compact = sample_id
    return Identity(compact, ", ".join(rules))


def is_cell_line(text: str) -> bool:
    """Whether the text is the id of a cell line at Coriell, whose DNA has another id.

    >>> is_cell_line("gm 12878"), is_cell_line("NA12878")
    (True, False)
    """
    compact = re.sub(r"\s+", "", text).upper()
    return compact.startswith("GM") and _CORIELL.fullmatch(compact) is not None
