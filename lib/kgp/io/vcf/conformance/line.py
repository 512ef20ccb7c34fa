"""Whether a record keeps the rules of its file's header and of its version of VCF."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kgp.io.vcf.conformance import boring
from kgp.io.vcf.conformance.header import CONTIG_NAME, KEY_4_3
from kgp.io.vcf.conformance.oddities import Oddity
from kgp.io.vcf.conformance.reserved import NEWEST, parse_minor, reserved_formats, reserved_infos
from kgp.io.vcf.conformance.rules import Rule, compile_once, make_rules
from kgp.io.vcf.conformance.sv import check_intervals, check_structural
from kgp.io.vcf.header import VcfHeader
from kgp.transforms.calls import parse_genotype

_SPACE = re.compile(r"[ \t-\r]")
_OLD_CONTIG = re.compile(r"[^\s<>]+")
_REF = re.compile(r"[ACGTNacgtn]+")
_ALT = re.compile(
    r"[ACGTNacgtn]+|\*|<[^\s,<>]+>|\.[ACGTNacgtn]+|[ACGTNacgtn]+\."
    r"|[ACGTNacgtn.]*(?:\[[^\s,\[\]]+\[|\][^\s,\[\]]+\])[ACGTNacgtn.]*"
)
_QUOTED = re.compile(r'"[^"]*"')
_NEGATIVE = re.compile(r"-(?!nan|0*\.?0*(?:e.*)?$)", re.IGNORECASE)
_OLD_FORMAT_KEY = re.compile(r"[0-9A-Za-z]+")
_KNOWN_ALTS = {"DEL", "INS", "DUP", "INV", "CNV", "BND", "*", "NON_REF"}
"""First parts of the symbolic alleles that need no declaration."""


@dataclass(frozen=True)
class LineChecker:
    """Looks at the records of one file. What the header leaves out as a whole is not missed in the records: an
    undeclared key is odd where INFO and FORMAT (of samples) are declared, an undeclared contig, FILTER or
    symbolic ALT where at least one is.

    Args:
        minor: version of VCF after its point.
        contigs, filters, alts: declared; empty where none is.
        infos, formats: rules of the keys that are declared or reserved.
        declared: ("INFO" or "FORMAT", key) of what is declared.
        is_described: whether undeclared keys are odd.
    """

    minor: int
    contigs: frozenset[str]
    filters: frozenset[str]
    alts: frozenset[str]
    infos: Mapping[str, Rule]
    formats: Mapping[str, Rule]
    declared: frozenset[tuple[str, str]]
    is_described: bool

    @classmethod
    def of(cls, header: VcfHeader) -> LineChecker:
        """For the records under that header."""
        known = parse_minor(header.version)
        minor = NEWEST if known is None else known
        return cls(
            minor=minor,
            contigs=frozenset(header.contigs),
            filters=frozenset(header.filters),
            alts=frozenset(header.alts),
            infos=make_rules(header.infos, reserved_infos(minor)),
            formats=make_rules(header.formats, reserved_formats(minor)),
            declared=frozenset(
                [*(("INFO", key) for key in header.infos), *(("FORMAT", key) for key in header.formats)]
            ),
            is_described=bool(header.infos) and (bool(header.formats) or not header.samples),
        )

    def find_contig(self, name: str) -> tuple[Oddity, ...]:
        """What is odd about all records of a contig. One of the assembly file stands in angle brackets."""
        inner = name[1:-1] if name.startswith("<") and name.endswith(">") else name
        if (_OLD_CONTIG if self.minor < 3 else CONTIG_NAME).fullmatch(inner) is None:
            return (Oddity.CONTIG_NAME,)
        is_missed = self.contigs and name not in self.contigs and inner == name
        return (Oddity.UNDECLARED_CONTIG,) if is_missed else ()

    def find(self, fields: Sequence[str]) -> tuple[Oddity, ...]:
        """What is odd about a record besides its contig, each kind once; nothing where nothing is.

        Args:
            fields: all columns of a line that the parser can load.
        """
        if len(fields) < 8:
            return ()
        alts = [] if fields[4] == "." else fields[4].split(",")
        return tuple(dict.fromkeys([*self._check_site(fields, alts), *self._check_samples(fields, alts)]))

    def boring_site_for(self, examples: Sequence[Sequence[str]]) -> str | None:
        """Expression of records that resemble the examples and in whose first nine columns nothing is odd.

        It is for RE2 and a whole text: the first eight columns, and the ninth where the file has samples, joined
        by tabs. A record matches that has one ALT, a FORMAT of the examples, and INFO keys of the examples in an
        order that theirs allow. Take the first few dozen records of a file or a part of it.

        Args:
            examples: columns as in `find`, samples or not; those about which something is odd are passed over.

        Returns:
            None where there are no such examples.
        """
        return boring.site_pattern(self, [fields for fields in examples if not self.find(fields[:9])])

    def boring_samples_for(self, format_text: str, n_alts: int) -> str | None:
        """Expression of the samples, joined by tabs, of a record with that FORMAT, where nothing is odd about
        them. It is for RE2 and a whole text.

        Returns:
            None where there is none for that FORMAT, or FORMAT itself is odd.
        """
        if any(self._check_format(format_text.split(":"))):
            return None
        return boring.samples_pattern(self, format_text, n_alts)

    def _check_site(self, fields: Sequence[str], alts: Sequence[str]) -> Iterator[Oddity]:
        _, _, vcf_id, ref, _, qual, filters, info = fields[:8]
        if _SPACE.search(vcf_id) or "" in vcf_id.split(";"):
            yield Oddity.BAD_VCF_ID
        if _REF.fullmatch(ref) is None:
            yield Oddity.BAD_REF
        for alt in alts:
            if _ALT.fullmatch(alt) is None:
                yield Oddity.BAD_ALT
            elif not self._is_alt(alt):
                yield Oddity.UNDECLARED_ALT
        if _NEGATIVE.match(qual):
            yield Oddity.NEGATIVE_QUAL
        yield from self._check_filters(filters)
        yield from self._check_info(info, alts)

    def _is_alt(self, alt: str) -> bool:
        """Whether a symbolic ALT is declared or need not be."""
        name = alt[1:-1]
        return (
            not self.alts or not alt.startswith("<") or name in self.alts or name.split(":")[0] in _KNOWN_ALTS
        )

    def _check_filters(self, text: str) -> Iterator[Oddity]:
        names = text.split(";")
        lonely = {"", "0", "PASS", "."} if len(names) > 1 else {"", "0"}
        if _SPACE.search(text) or not lonely.isdisjoint(names):
            yield Oddity.BAD_FILTER
        elif self.filters and not self.filters.issuperset({*names} - {"PASS", "."}):
            yield Oddity.UNDECLARED_FILTER

    def _check_info(self, text: str, alts: Sequence[str]) -> Iterator[Oddity]:
        values: dict[str, str | None] = {}
        for entry in text.split(";") if text != "." else []:
            key, sign, value = entry.partition("=")
            if not self._is_key("INFO", key) or (sign and not value):
                yield Oddity.BAD_INFO
            if self.minor < 3 and _SPACE.search(entry):
                yield Oddity.BAD_INFO
            if key in values:
                yield Oddity.REPEATED_INFO
                continue
            values[key] = value if sign else None
            if self.is_described and key and ("INFO", key) not in self.declared:
                yield Oddity.UNDECLARED_INFO
            if key in self.infos and (value or not sign):
                yield from _check_value(self.infos[key], values[key], len(alts))
        if self.minor >= 4:
            yield from check_structural(alts, values)

    def _is_key(self, kind: str, key: str) -> bool:
        """Whether a key may be called so; if it is declared, it is for the header to be odd."""
        if (kind, key) in self.declared:
            return True
        if self.minor >= 3:
            return KEY_4_3.fullmatch(key) is not None
        return _OLD_FORMAT_KEY.fullmatch(key) is not None if kind == "FORMAT" else key != ""

    def _check_format(self, keys: Sequence[str]) -> Iterator[Oddity]:
        if keys == ["."]:
            return
        if not all(self._is_key("FORMAT", key) for key in keys):
            yield Oddity.BAD_FORMAT
        if len(set(keys)) < len(keys):
            yield Oddity.REPEATED_FORMAT
        if "GT" in keys[1:]:
            yield Oddity.GT_NOT_FIRST
        if self.is_described and not all(("FORMAT", key) in self.declared for key in keys if key):
            yield Oddity.UNDECLARED_FORMAT

    def _check_samples(self, fields: Sequence[str], alts: Sequence[str]) -> Iterator[Oddity]:
        if len(fields) < 9:
            return
        keys = fields[8].split(":")
        yield from self._check_format(keys)
        checked = [
            (place, self.formats[key])
            for place, key in enumerate(keys)
            if key in self.formats and key != "GT"
        ]
        if not checked or fields[8] == ".":
            return
        pattern = boring.samples_pattern(self, fields[8], len(alts))
        if pattern is not None and compile_once(pattern).fullmatch("\t".join(fields[9:])):
            return
        gt = keys.index("GT") if "GT" in keys else None
        for sample in fields[9:]:
            values = sample.split(":")
            ploidy = _read_ploidy(values[gt]) if gt is not None and gt < len(values) else None
            for place, rule in checked:
                if place < len(values):
                    yield from _check_sample_value(rule, values[place], len(alts), ploidy)
            if self.minor >= 4:
                yield from check_intervals(dict(zip(keys, values, strict=False)))


def _check_value(rule: Rule, value: str | None, n_alts: int) -> Iterator[Oddity]:
    """A value of INFO. A flag may say 1 or 0; commas between quotes part nothing."""
    if rule.type == "Flag":
        if value not in (None, "0", "1"):
            yield Oddity.INFO_TYPE
        return
    if value is None:
        if rule.number != "0":
            yield Oddity.INFO_NUMBER
        return
    if value == ".":
        return
    entries = (_QUOTED.sub("quoted", value) if '"' in value else value).split(",")
    n = rule.n_entries(n_alts, None)
    if n is not None and len(entries) != n:
        yield Oddity.INFO_NUMBER
    if not all(map(rule.is_entry, entries)):
        yield Oddity.INFO_TYPE


def _check_sample_value(rule: Rule, value: str, n_alts: int, ploidy: int | None) -> Iterator[Oddity]:
    """A value of a sample. Where its ploidy is not known, one for two or for one chromosome is right."""
    if value in (".", ""):
        return
    entries = value.split(",")
    allowed = {rule.n_entries(n_alts, one) for one in ((1, 2) if ploidy is None else (ploidy,))}
    if ploidy is None and rule.number == "P":
        allowed = {None}
    if not {None, len(entries)} & allowed:
        yield Oddity.FORMAT_NUMBER
    if not all(map(rule.is_entry, entries)):
        yield Oddity.FORMAT_TYPE


def _read_ploidy(gt: str) -> int | None:
    """Alleles of a genotype; unknown where it is nothing but missing."""
    alleles = parse_genotype(gt)
    return None if alleles is None or alleles == (-1,) else len(alleles)
