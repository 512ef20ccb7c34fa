"""A person's place in the family: the pedigree's free text in one vocabulary. Pure functions."""

from __future__ import annotations

import re

# Every spelling of 20130606_g1k.ped in lower case → word of the vocabulary. "paternal father" and "paternal brother"
# are the father and the brother of the father of family SL50: HG03466, HG03468 and HG03451.
_WORDS = {
    "unrel": "unrelated",
    "unrels": "unrelated",
    "unrelated": "unrelated",
    "father": "father",
    "mother": "mother",
    "not father": "not_father",
    "child": "child",
    "child2": "child",
    "daughter": "child",
    "son": "child",
    "wife of child": "spouse_of_child",
    "husband of child": "spouse_of_child",
    "paternal father": "paternal_grandfather",
    "paternal brother": "paternal_uncle",
} | {
    f"{side} grand{parent}": f"{full}_grand{parent}"
    for parent in ("father", "mother")
    for side, full in (
        ("pat", "paternal"),
        ("paternal", "paternal"),
        ("mat", "maternal"),
        ("maternal", "maternal"),
    )
}
# "child of 19752&3": Coriell's numbers of the parents, who are named in columns of their own.
_CHILD_OF = re.compile(r"child of [0-9]+(&[0-9]+)?")


def normalise_relationship(text: str) -> str | None:
    """The place in the family in one spelling; None where the text is not known, which is not guessed at.

    Several roles stay in their order, joined with ``; ``.

    Args:
        text: as the pedigree words it.

    >>> normalise_relationship("unrels"), normalise_relationship("child of 19752&3")
    ('unrelated', 'child')
    >>> normalise_relationship("pat grandmother; mother"), normalise_relationship("godmother")
    ('paternal_grandmother; mother', None)
    """
    roles = [_normalise_role(" ".join(role.split()).lower()) for role in text.split(";")]
    known = [role for role in roles if role is not None]
    return "; ".join(dict.fromkeys(known)) if len(known) == len(roles) else None


def _normalise_role(text: str) -> str | None:
    return "child" if _CHILD_OF.fullmatch(text) else _WORDS.get(text)
