"""Regular expressions, for `re` and RE2 alike, of records about which there is nothing odd.

They are narrower than the rules: what does not match is looked at by `LineChecker.find`, and only that.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from kgp.io.vcf.conformance.rules import Rule

if TYPE_CHECKING:
    from kgp.io.vcf.conformance.line import LineChecker

_MOST_NAMES = 200
"""Names that an alternative lists; RE2's automaton stays small."""
_MOST_ENTRIES = 30
_MOST_DIGITS = 4
_BASES = "[ACGTNacgtn]+"
_SYMBOL = "<(?:DEL|INS|DUP|INV|CNV)(?::[0-9A-Za-z_]+)*>"
_QUAL = r"(?:\.|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
_SPACE = r" \t-\r"  # what \s means differs between re and RE2
_INFO_TEXT, _SAMPLE_TEXT = f'[^{_SPACE},;="]', f"[^{_SPACE},:]"
_ALLELE = rf"(?:\.|[0-9]{{1,{_MOST_DIGITS}}})"
_GENOTYPES = {1: _ALLELE, 2: rf"(?:{_ALLELE}[|/]{_ALLELE}|\.)", None: rf"[|/]?{_ALLELE}(?:[|/]{_ALLELE})*"}
_LINKED_INFO, _LINKED_FORMATS = {"CICN"}, {"CICN", "PSL", "PSQ"}
"""Keys of VCF 4.4 whose values hang together with others, which no expression says."""


def site_pattern(checker: LineChecker, examples: Sequence[Sequence[str]]) -> str | None:
    """See `LineChecker.boring_site_for`."""
    if not examples:
        return None
    formats = sorted({fields[8] for fields in examples if len(fields) > 8})
    columns = [
        r"[^\t]+",
        "[1-9][0-9]{0,17}",
        r"(?:\.|[0-9A-Za-z_.:-]+(?:;[0-9A-Za-z_.:-]+)*)",
        _BASES,
        _alts(checker),
        _QUAL,
        _filters(checker),
        _infos(checker, [fields[7] for fields in examples]),
        *([_any_of(formats)] if formats else []),
    ]
    return "^" + r"\t".join(columns) + "$"


@lru_cache(maxsize=256)
def _sample_pattern(keys: tuple[tuple[str, Rule | None], ...], n_alts: int) -> str | None:
    rules = [rule for _, rule in keys if rule is not None]
    has_gt = keys[0][0] == "GT"
    depends = any(rule.number in ("G", "P") for rule in rules)
    ploidies: tuple[int | None, ...] = (2, 1) if depends else (None,)
    forms = []
    for ploidy in ploidies:
        values = [_GENOTYPES[ploidy]] if has_gt else []
        for _, rule in keys[len(values) :]:
            n = rule.n_entries(n_alts, ploidy) if rule is not None else None
            if n is not None and not 0 < n <= _MOST_ENTRIES:
                return None
            values.append(rf"(?:{rule.value(n, _SAMPLE_TEXT)})?" if rule is not None else f"[^{_SPACE}:]*")
        form = values[-1]
        for value in reversed(values[:-1]):
            form = f"{value}(?::{form})?"
        forms.append(form)
    return "(?:" + "|".join(forms) + ")"


def samples_pattern(checker: LineChecker, format_text: str, n_alts: int) -> str | None:
    """See `LineChecker.boring_samples_for`; whether FORMAT itself is odd is not looked at."""
    names = format_text.split(":")
    if "GT" in names[1:] or (checker.minor >= 4 and not _LINKED_FORMATS.isdisjoint(names)):
        return None
    sample = _sample_pattern(tuple((name, checker.formats.get(name)) for name in names), n_alts)
    return None if sample is None else rf"^{sample}(?:\t{sample})*$"


def merge_orders(orders: Iterable[Sequence[str]]) -> list[str]:
    """One order of all keys that agrees with each of the orders; those that contradict the ones before are left
    out, and so are those that do not begin with the key that most begin with.

    >>> merge_orders([["AC", "AF", "VT"], ["AC", "DP", "VT", "EX"], ["AF", "AC"], ["AC", "VT", "AF"]])
    ['AC', 'AF', 'DP', 'VT', 'EX']
    """
    distinct = list(dict.fromkeys(tuple(order) for order in orders))
    if not distinct:
        return []
    first = Counter(order[0] for order in distinct).most_common(1)[0][0]
    merged: list[str] = []
    for order in distinct:
        places = [merged.index(key) for key in order if key in merged]
        if order[0] != first or places != sorted(places):
            continue
        at = 0
        for key in order:
            if key in merged:
                at = max(at, merged.index(key) + 1)
            else:
                # behind the keys of other orders that come before the next one that both have
                later = [merged.index(one) for one in order[order.index(key) :] if one in merged]
                at = later[0] if later else len(merged)
                merged.insert(at, key)
                at += 1
    return merged


def _alts(checker: LineChecker) -> str:
    forms = [_BASES, r"\*"]
    if checker.minor < 4:
        names = sorted(checker.alts, key=lambda name: (len(name), name))
        plain = [f"<{name}>" for name in names if re.fullmatch(r"[^\s,<>]+", name)]
        forms += [_SYMBOL, *map(re.escape, plain[:_MOST_NAMES])]
    return f"(?:{'|'.join(forms)})"


def _filters(checker: LineChecker) -> str:
    names = sorted(name for name in checker.filters - {"PASS", "0", "."} if re.fullmatch(r"[^\s;]+", name))
    one = _any_of(names[:_MOST_NAMES])
    return rf"(?:PASS|\.|{one}(?:;{one})*)" if names else r"(?:PASS|\.)"


def _infos(checker: LineChecker, texts: Sequence[str]) -> str:
    """INFO begins with one key and goes on with any of the others, in their order."""
    orders = [[entry.partition("=")[0] for entry in text.split(";")] for text in texts if text != "."]
    entries = [form for key in merge_orders(orders) if (form := _info(checker, key)) is not None]
    if not entries:
        return r"\."
    return rf"(?:\.|{entries[0]}{''.join(f'(?:;{entry})?' for entry in entries[1:])})"


def _info(checker: LineChecker, key: str) -> str | None:
    """Expression of one entry of INFO in a record with one ALT; None for a key that is better looked at."""
    rule = checker.infos.get(key)
    if key in _LINKED_INFO and checker.minor >= 4:
        return None
    if rule is None:
        return f"{re.escape(key)}(?:=[^{_SPACE};]+)?"
    n = rule.n_entries(1, None)
    if rule.type == "Flag" or n == 0:
        return re.escape(key) if rule.type == "Flag" else None
    if n is not None and n > _MOST_ENTRIES:
        return None
    return f"{re.escape(key)}={rule.value(n, _INFO_TEXT)}"


def _any_of(names: Sequence[str]) -> str:
    return f"(?:{'|'.join(map(re.escape, names))})"
