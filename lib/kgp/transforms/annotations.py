"""Functional annotations of INFO → one consequence each, with the ALT that it is about. Pure functions.

Three forms: CSQ of Ensembl's VEP, ANN of snpEff (VEP can write ANN, too), EFF of older snpEff. Which fields a
consequence has is said in the header's Description of the key; names there differ between tools and their versions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

KEYS = ("CSQ", "ANN", "EFF")

OTHER_LENGTH = "annotation with another number of fields than its header declares"

_DESCRIPTION = re.compile(r'##INFO=<ID=(\w+),.*Description="(.*)".*>')
_IS_NO_BASES = re.compile(r"[<*\[\].]")
_EFFECT = re.compile(r"([^(]+)\((.*)\)")
# Our name of a field → names that tools give it, in lower case.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "allele": ("allele",),
    "consequences": ("consequence", "annotation", "effect"),
    "impact": ("impact", "annotation_impact", "effect_impact"),
    "gene_id": ("gene", "gene_id"),
    "gene_name": ("symbol", "hgnc", "gene_name"),
    "feature_type": ("feature_type",),
    "feature_id": ("feature", "feature_id", "transcript_id", "transcript"),
    "biotype": ("biotype", "transcript_biotype", "gene_biotype"),
}
_ALLELE_NUMBERS = ("allele_num", "genotypenum", "genotype_number")
# What VEP calls symbolic alleles.
_STRUCTURES = {
    "DEL": "deletion",
    "DUP": "duplication",
    "INS": "insertion",
    "INV": "inversion",
    "CNV": "copy_number_variation",
    "DUP:TANDEM": "tandem_duplication",
}


@dataclass(frozen=True)
class AnnotationFormat:
    """What the header says of an annotation key.

    Args:
        key: CSQ, ANN or EFF.
        names: of the fields, in order, as the header spells them.
    """

    key: str
    names: tuple[str, ...]

    def place(self, names: Sequence[str]) -> int | None:
        """Where the first field stands that has one of these names, whatever the case."""
        lower = [name.lower() for name in self.names]
        return next((lower.index(name) for name in names if name in lower), None)


@dataclass(frozen=True)
class Consequence:
    """One entry of an annotation.

    Args:
        key: CSQ, ANN or EFF.
        alt_index: the ALT that it is about, from 1; None where its allele fits none.
        values: our names → value, '' where empty.
        fields: the header's names → value, of the fields that are not empty.
        is_odd: whether it has another number of fields than the header declares.
    """

    key: str
    alt_index: int | None
    values: Mapping[str, str]
    fields: Mapping[str, str]
    is_odd: bool


def parse_formats(header_lines: Sequence[str]) -> list[AnnotationFormat]:
    """The annotation keys that a header declares with the names of their fields.

    >>> parse_formats(['##INFO=<ID=CSQ,Number=.,Type=String,Description="VEP. Format: Allele|Gene|STRAND">'])
    [AnnotationFormat(key='CSQ', names=('Allele', 'Gene', 'STRAND'))]
    """
    formats = {}
    for line in header_lines:
        match = _DESCRIPTION.fullmatch(line)
        if match and match[1] in KEYS and match[1] not in formats and "|" in match[2]:
            text = re.split(r"format:\s*", match[2], flags=re.I)[-1] if "ormat:" in match[2] else match[2]
            if "'" in text:
                text = text.partition("'")[2].rpartition("'")[0] or text.strip("' ")
            names = tuple(name for one in re.split(r"[|()\[\]]", text) if (name := one.strip().strip('"')))
            formats[match[1]] = AnnotationFormat(match[1], names)
    return [formats[key] for key in KEYS if key in formats]


def read_consequences(
    value: str, form: AnnotationFormat, ref: str, alts: Sequence[str]
) -> Iterator[Consequence]:
    """The entries of an INFO value, in order.

    Args:
        value: of the key.
        form: what the header says of it.
        ref, alts: of the record.
    """
    places = {name: form.place(names) for name, names in _NAMES.items()}
    number_place = form.place(_ALLELE_NUMBERS)
    for entry in value.split(","):
        if entry in ("", "."):
            continue
        texts = _split(entry, form)

        def at(place: int | None, texts: list[str] = texts) -> str:
            return texts[place] if place is not None and place < len(texts) else ""

        values = {name: at(place) for name, place in places.items()}
        names = (*form.names, *(f"field_{n + 1}" for n in range(len(form.names), len(texts))))
        yield Consequence(
            key=form.key,
            alt_index=_find_alt(values["allele"], at(number_place), form, ref, tuple(alts)),
            values=values,
            fields={name: text for name, text in zip(names, texts, strict=False) if text},
            is_odd=form.key != "EFF" and len(texts) != len(form.names),
        )


def _split(entry: str, form: AnnotationFormat) -> list[str]:
    if form.key == "EFF" and (match := _EFFECT.fullmatch(entry)):
        return [match[1], *match[2].split("|")]
    return entry.split("|")


def _find_alt(
    allele: str, number: str, form: AnnotationFormat, ref: str, alts: tuple[str, ...]
) -> int | None:
    """Number of the ALT that an entry is about: the one it gives, else the only one of that name."""
    if number.isdecimal():
        return int(number) if 1 <= int(number) <= len(alts) else None
    if form.place(_NAMES["allele"]) is None:
        return 1 if len(alts) == 1 else None
    is_vep = form.place(("consequence",)) is not None
    levels = name_alleles(ref, alts)
    for names in levels if is_vep else (levels[1],):
        # snpEff writes ALT-REF for a change against another ALT and ALT-variant for one beside another variant.
        wanted = allele if is_vep else allele.partition("-")[0]
        if names.count(wanted) == 1:
            return names.index(wanted) + 1
        if wanted in names:
            return None
    return None


@lru_cache(maxsize=1 << 10)
def name_alleles(ref: str, alts: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """What VEP may call each ALT, the usual names first: its own, the ALT as it stands, and the ALT cut to its change.

    VEP's own is the ALT without its first base, '-' where nothing remains, where the record has alleles of different
    lengths that all begin with the same base; else the ALT as it stands. Symbolic ALTs go by the name of their
    class.

    >>> name_alleles("CT", ("C", "CTT", "CA"))[0], name_alleles("A", ("AT", "G"))[0], name_alleles("AC", ("AG",))[0]
    (('-', 'TT', 'A'), ('AT', 'G'), ('AG',))
    >>> name_alleles("A", ("<DEL>", "<CN2>"))[0]
    ('deletion', 'copy_number_variation')
    """
    bases = [alt for alt in alts if not _IS_NO_BASES.search(alt)]
    is_indel = any(len(alt) != len(ref) for alt in bases)
    is_cut = is_indel and {alt[:1] for alt in bases} == {ref[:1]}
    own = []
    for alt in alts:
        if alt.startswith("<"):
            symbol = "CNV" if alt.startswith("<CN") else alt.strip("<>")
            own.append(_STRUCTURES.get(symbol) or _STRUCTURES.get(symbol.partition(":")[0], alt))
        else:
            own.append((alt[1:] or "-") if is_cut and alt in bases else alt)
    return tuple(own), alts, tuple(_cut(ref, alt) for alt in alts)


def _cut(ref: str, alt: str) -> str:
    """The ALT without what it has in common with REF, first from its start, then from its end."""
    if _IS_NO_BASES.search(alt):
        return alt
    while ref and alt and ref[0] == alt[0]:
        ref, alt = ref[1:], alt[1:]
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    return alt or "-"
