"""What the values of an INFO or FORMAT key may look like, as regular expressions that `re` and RE2 both know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import comb

from kgp.io.vcf.conformance.reserved import DECLARED_TYPE, Shape
from kgp.io.vcf.header import Declaration

_ENTRIES = {
    "Integer": r"[+-]?[0-9]+",
    "Count": r"\+?[0-9]+",
    "Float": r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|(?i:inf(?:inity)?|nan))",
    "Float|Integer": r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|(?i:inf(?:inity)?|nan))",
    "Cigar": r"(?:[0-9]+[MIDNSHPX=])+",
    "Character": r"[^,]",
}


@dataclass(frozen=True)
class Rule:
    """What a key allows.

    Args:
        number: as a declaration writes it; what is no Number allows any.
        type: as a declaration writes it, or Count (an Integer that is not negative) or Cigar.
    """

    number: str
    type: str

    def n_entries(self, n_alts: int, ploidy: int | None) -> int | None:
        """Entries of a value, None where any number of them is right.

        Args:
            n_alts: ALT alleles of the record; of none, a value for each ALT may still have an entry.
            ploidy: of the sample; None in INFO, where G and P mean nothing.
        """
        if self.number.isdecimal():
            return int(self.number)
        if self.number == "A":
            return n_alts or None
        if self.number == "R":
            return n_alts + 1
        if ploidy is not None and self.number == "G":
            return count_genotypes(n_alts + 1, ploidy)
        return ploidy if self.number == "P" else None

    def entry(self) -> str | None:
        """Expression of one entry that is not missing; None where it may be any text."""
        return _ENTRIES.get(self.type)

    def is_entry(self, text: str) -> bool:
        """Whether the text may be an entry; '.' always may."""
        pattern = self.entry()
        return text == "." or pattern is None or compile_once(pattern).fullmatch(text) is not None

    def value(self, n: int | None, any_text: str) -> str:
        """Expression of a value, '.' among them.

        Args:
            n: its entries; any number where None.
            any_text: class of the characters that an entry of any text is made of; no comma among them.
        """
        entry = any_text if self.type == "Character" else self.entry() or f"{any_text}+"
        if n is None and self.entry() is None:
            return f"(?:{any_text}|,)+"
        entry = rf"(?:{entry}|\.)"
        if n is None:
            return f"{entry}(?:,{entry})*"
        return entry if n == 1 else rf"(?:{entry}{f',{entry}' * (n - 1)}|\.)"


def make_rules(declared: Mapping[str, Declaration], reserved: Mapping[str, Shape]) -> dict[str, Rule]:
    """Rules by key: what a key's declaration says, or else what is reserved for it.

    >>> found = make_rules({"AC": Declaration(".", "Integer")}, {"AC": ("A", "Count"), "DP": ("1", "Count")})
    >>> found["AC"], found["DP"]
    (Rule(number='.', type='Count'), Rule(number='1', type='Count'))
    """
    rules = {key: Rule(*shape) for key, shape in reserved.items()}
    for key, one in declared.items():
        narrow = reserved[key][1] if key in reserved else one.type
        is_narrower = DECLARED_TYPE.get(narrow) == one.type
        rules[key] = Rule(one.number, narrow if is_narrower else one.type)
    return rules


@cache
def count_genotypes(n_alleles: int, ploidy: int) -> int:
    """Genotypes of that ploidy without order, the entries of a Number=G value.

    >>> count_genotypes(2, 2), count_genotypes(3, 2), count_genotypes(3, 3), count_genotypes(2, 1)
    (3, 6, 10, 2)
    """
    return comb(n_alleles + ploidy - 1, ploidy)


@cache
def compile_once(pattern: str) -> re.Pattern[str]:
    """A compiled expression, kept."""
    return re.compile(pattern)
