"""Whether the lines of a VCF header keep the rules of its version."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kgp.io.vcf.conformance.oddities import Oddity
from kgp.io.vcf.conformance.reserved import (
    DECLARED_TYPE,
    NEWEST,
    parse_minor,
    reserved_formats,
    reserved_infos,
)

_KINDS = ("INFO", "FORMAT", "FILTER", "ALT", "contig", "SAMPLE", "PEDIGREE", "META")
_TWICE = {
    "INFO": Oddity.INFO_TWICE,
    "FORMAT": Oddity.FORMAT_TWICE,
    "FILTER": Oddity.FILTER_TWICE,
    "ALT": Oddity.ALT_TWICE,
    "SAMPLE": Oddity.SAMPLE_TWICE,
}
_TYPES = ("Integer", "Float", "Flag", "Character", "String")
_URL = re.compile(r"\w+://(?P<host>[^/:]*)(?::\d+)?(?:/.*)?")
_HOST = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}|(?=.*[A-Za-z])[\w.-]+|")
CONTIG_NAME = re.compile(r"HLA-\w+\*[0-9:]+\w?|[0-9A-Za-z!#$%&+./:;?@^_|~-][0-9A-Za-z!#$%&+./:;=?@^_|~-]*")
"""A contig of VCF 4.3 and newer. An asterisk, which the text of VCF 4.3 first forbade and later allowed, only
where it is at home: in the names of HLA alleles."""
KEY_4_3 = re.compile(r"[A-Za-z_][0-9A-Za-z_.]*|1000G")
"""An INFO or FORMAT key of VCF 4.3 and newer."""


@dataclass(frozen=True)
class Finding:
    """Something odd about a header.

    Args:
        what: its kind.
        line: 0-based index of the header line.
    """

    what: Oddity
    line: int


@dataclass(frozen=True)
class _Attribute:
    """One name=value of a declaration; the value without its quotes."""

    name: str
    value: str
    is_quoted: bool = False


def check_header(lines: Sequence[str], version: str) -> list[Finding]:
    """What is odd about the lines of a header, in their order; each kind once a line.

    Args:
        lines: without line ends, ##fileformat first; the line of column names, which `parse_header` looks at,
            may be among them.
        version: 4.0 to 4.5; another one is held to the rules of the newest.
    """
    minor = parse_minor(version)
    findings = [Finding(Oddity.UNKNOWN_VERSION, 0)] if minor is None else []
    checker = _HeaderChecker(NEWEST if minor is None else minor)
    for number, line in enumerate(lines):
        if number and not line.startswith("#CHROM"):
            findings += [Finding(what, number) for what in dict.fromkeys(checker.find(line))]
    return findings


class _HeaderChecker:
    """Is told of the lines one after the other and remembers what was declared."""

    def __init__(self, minor: int) -> None:
        self.minor = minor
        self.lengths: dict[tuple[str, str], str | None] = {}
        """(kind, ID) of what was declared → length, where it is a contig that has one."""

    def find(self, line: str) -> Iterator[Oddity]:
        key, _, value = line.removeprefix("##").partition("=")
        value = value.strip()
        if not line.startswith("##") or not key or not value:
            yield Oddity.NO_PAIR
        elif key == "assembly":
            found = _URL.fullmatch(value)
            if found is not None and _HOST.fullmatch(found["host"]) is None:
                yield Oddity.BAD_ASSEMBLY
        elif key in _KINDS and not (value.startswith("<") and value.endswith(">")):
            yield Oddity.BROKEN_DECLARATION
        elif key in _KINDS:
            attributes = _read_attributes(value[1:-1])
            if isinstance(attributes, Oddity):
                yield attributes
            else:
                yield from self._check(key, {one.name: one for one in reversed(attributes)})

    def _check(self, kind: str, by_name: Mapping[str, _Attribute]) -> Iterator[Oddity]:
        name = by_name["ID"].value if "ID" in by_name else ""
        if name:
            if not _is_id(kind, name, self.minor):
                yield Oddity.BAD_ID
            yield from self._find_twice(kind, name, by_name)
        elif kind != "PEDIGREE" or self.minor >= 3:
            yield Oddity.NO_ID
        if "Description" in by_name and not by_name["Description"].is_quoted:
            yield Oddity.UNQUOTED_DESCRIPTION
        if kind in ("INFO", "FORMAT"):
            yield from _check_key(kind, name, by_name, self.minor)
        elif kind in ("FILTER", "ALT") and "Description" not in by_name and self.minor < 4:
            yield Oddity.INCOMPLETE_DECLARATION
        if kind == "ALT" and ("Number" in by_name or "Type" in by_name):
            yield Oddity.ALT_NUMBER
        if kind == "ALT" and self.minor >= 4 and name.split(":")[0] == "BND":
            yield Oddity.BREAKEND_SYMBOL
        if kind == "META":
            yield from _check_meta(by_name)
        is_quoted = any(one.is_quoted for one in by_name.values() if one.name != "Description")
        if kind == "SAMPLE" and self.minor < 3 and is_quoted:
            yield Oddity.QUOTED_VALUE

    def _find_twice(self, kind: str, name: str, by_name: Mapping[str, _Attribute]) -> Iterator[Oddity]:
        """A contig may be named again to say more of it."""
        length = by_name["length"].value if "length" in by_name else None
        is_known = (kind, name) in self.lengths
        before = self.lengths.setdefault((kind, name), length)
        if is_known and kind in _TWICE:
            yield _TWICE[kind]
        elif kind == "contig" and None not in (before, length) and before != length:
            yield Oddity.CONTIG_TWICE


def _check_key(kind: str, name: str, by_name: Mapping[str, _Attribute], minor: int) -> Iterator[Oddity]:
    """A declaration of INFO or FORMAT."""
    if not by_name.keys() >= {"Number", "Type", "Description"}:
        yield Oddity.INCOMPLETE_DECLARATION
    number = by_name["Number"].value if "Number" in by_name else None
    kind_of_value = by_name["Type"].value if "Type" in by_name else None
    if number is not None and not _is_number(number, minor):
        yield Oddity.BAD_NUMBER
    if kind_of_value is not None and (
        kind_of_value not in _TYPES or (kind == "FORMAT" and kind_of_value == "Flag")
    ):
        yield Oddity.BAD_TYPE
    reserved = (reserved_infos if kind == "INFO" else reserved_formats)(minor).get(name)
    if reserved is not None:
        # "." says nothing about the number, and so nothing wrong
        if number is not None and reserved[0] != "." and number not in (reserved[0], "."):
            yield Oddity.RESERVED_NUMBER
        if kind_of_value is not None:
            types = DECLARED_TYPE.get(reserved[1], reserved[1]).split("|")
            if kind_of_value not in types:
                yield Oddity.RESERVED_TYPE


def _check_meta(by_name: Mapping[str, _Attribute]) -> Iterator[Oddity]:
    values = by_name.get("Values")
    if values is not None and (values.is_quoted or not re.fullmatch(r"\[.*\]", values.value)):
        yield Oddity.BAD_META
    if "Number" in by_name and not _is_number(by_name["Number"].value, NEWEST):
        yield Oddity.BAD_NUMBER


def _is_number(text: str, minor: int) -> bool:
    letters = {
        "A",
        "R",
        "G",
        ".",
        *(("P",) if minor >= 4 else ()),
        *(("LA", "LR", "LG", "M") if minor >= 5 else ()),
    }
    return text in letters or text.isdecimal() or (minor == 0 and text == "-1")


def _is_id(kind: str, name: str, minor: int) -> bool:
    """Whether something of that kind may be called so."""
    if re.search(r"[\s<>]", name):
        return False
    if kind == "contig":
        return minor < 3 or CONTIG_NAME.fullmatch(name) is not None
    if kind in ("INFO", "FORMAT"):
        return minor < 3 or KEY_4_3.fullmatch(name) is not None
    if kind == "FILTER":
        return ";" not in name and name != "0"
    return kind != "SAMPLE" or "*" not in name


def _read_attributes(text: str) -> list[_Attribute] | Oddity:
    """The attributes of a declaration, or what is wrong with how they are written.

    >>> [one.value for one in _read_attributes('ID=DP,Description="a, b"')], str(_read_attributes('ID=a,"b"'))
    (['DP', 'a, b'], 'declaration malformed')
    """
    attributes: list[_Attribute] = []
    at = 0
    while at < len(text):
        match = _ATTRIBUTE.match(text, at)
        if match is None:
            is_open = _OPEN_QUOTE.match(text, at) is not None
            return Oddity.BROKEN_QUOTES if is_open else Oddity.BROKEN_DECLARATION
        name, quoted, plain = match["name"], match["quoted"], (match["plain"] or "").strip()
        if name not in ("ID", "Description") and not plain.startswith("[") and re.search(r"\s", plain):
            return Oddity.BROKEN_DECLARATION
        attributes.append(_Attribute(name, plain if quoted is None else quoted, quoted is not None))
        at = match.end()
    return attributes


_ATTRIBUTE = re.compile(
    r"""\s*(?P<name>[^=,\s"]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"\s*|(?P<plain>\[[^\]]*\]|(?!\s*")[^,]*))(?:,|$)"""
)
_OPEN_QUOTE = re.compile(r'\s*[^=,\s"]+\s*=\s*"')
