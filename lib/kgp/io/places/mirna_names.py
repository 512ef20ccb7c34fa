"""How the names of miRNAs and the symbols of their genes relate, by HGNC's rule."""

from __future__ import annotations

import re

_NAME = re.compile(r"(?:hsa-)?(?P<kind>let|mi[rR])-(?P<rest>\w+(?:-\d+)?)(?:-[35]p|\*)?")
_COPY = re.compile(r"(?P<family>MIR(?:LET)?\d+(?:[A-Z]+(?=\d)|[A-Z]*(?=-)))-?\d+")


def gene_symbol(name: str) -> str | None:
    """Symbol of the gene of a miRNA, by HGNC's rule, or None where the name is not one of miRBase's for humans.

    >>> [gene_symbol(name) for name in ("hsa-miR-22-3p", "hsa-mir-125b-1", "hsa-let-7a-1", "hsa-mir-1-2")]
    ['MIR22', 'MIR125B1', 'MIRLET7A1', 'MIR1-2']
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    number, _, copy = match["rest"].upper().partition("-")
    hyphen = "-" if copy and number[-1].isdigit() else ""
    return f"MIR{'LET' if match['kind'] == 'let' else ''}{number}{hyphen}{copy}"


def family_symbol(symbol: str) -> str | None:
    """The symbol without the number of the copy, or None where it has none.

    >>> family_symbol("MIRLET7A1"), family_symbol("MIR1-2"), family_symbol("MIR22")
    ('MIRLET7A', 'MIR1', None)
    """
    match = _COPY.fullmatch(symbol)
    return match["family"] if match else None
