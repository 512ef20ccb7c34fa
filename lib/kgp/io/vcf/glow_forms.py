"""What Glow makes of INFO and FORMAT keys, and the forms of fields that it reads as they stand, as regular expressions.

The expressions are for `re` and RE2 alike. They were learned from Glow's recorded answers, and are narrower than the
specification: what does not fit one may be read well all the same, but nobody has seen it.
"""

from __future__ import annotations

from dataclasses import replace

from kgp.io.vcf.header import Declaration, VcfHeader

# FORMAT keys that Glow's genotype struct calls otherwise; all others keep their id.
FORMAT_KEYS = {
    "depth": "DP",
    "alleleDepths": "AD",
    "conditionalQuality": "GQ",
    "phredLikelihoods": "PL",
    "genotypeLikelihoods": "GL",
    "posteriorProbabilities": "GP",
    "filters": "FT",
    "haplotypeQualities": "HQ",
    "expectedAlleleCounts": "EC",
    "mappingQuality": "MQ",
}

# What htsjdk makes of keys that the specification reserves, whatever the header says of them.
_RESERVED_INFOS = {
    "AC": Declaration("A", "Integer"),
    "AF": Declaration("A", "Float"),
    "AN": Declaration("1", "Integer"),
    "DB": Declaration("0", "Flag"),
    "DP": Declaration("1", "Integer"),
    "END": Declaration("1", "Integer"),
    "MQ": Declaration("1", "Float"),
    "MQ0": Declaration("1", "Integer"),
    "SB": Declaration("1", "Float"),
    "SOMATIC": Declaration("0", "Flag"),
}
_RESERVED_FORMATS = {
    "AD": Declaration("R", "Integer"),
    "DP": Declaration("1", "Integer"),
    "FT": Declaration(".", "String"),
    "GQ": Declaration("1", "Integer"),
    "PL": Declaration("G", "Integer"),
    "PQ": Declaration("1", "Float"),
    "PS": Declaration("1", "Integer"),
}
_INTEGER = "-?(?:[0-9]{1,9}|1[0-9]{9}|20[0-9]{8}|21[0-3][0-9]{7})"  # all of them have 32 bits
_FLOAT = (
    r"(?:[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
    "|[+-]?(?:[nN][aA][nN]|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?))"
)
# A text between commas that is more than one dot; in a sample it ends at ':', in INFO it does not.
_TEXTS = {"INFO": r"[^,.;=][^,;=]*|\.[^,;=]+", "FORMAT": r"[^,.:\t][^,:\t]*|\.[^,:\t]+"}
_WHOLE_TEXTS = {"INFO": r"[^.;=][^;=]*|\.[^;=]+", "FORMAT": r"[^.:\t][^:\t]*|\.[^:\t]+"}
_NAMES = r"(?:\.|[^\t,]*[^\t,.][^\t,]*(?:,[^\t,]*[^\t,.][^\t,]*)*)"
COLUMNS = {
    "CHROM": r"[^\t#][^\t]*",
    "POS": "[0-9]{1,18}",
    "ID": _NAMES,
    "REF": r"[^\t]*[^\t.][^\t]*",
    "ALT": _NAMES,
    "QUAL": rf"(?:\.|{_FLOAT})",
    "FILTER": _NAMES,
}
SITE = "^" + r"\t".join(COLUMNS.values()) + "$"
MOST_DIGITS = 9
"""ALTs whose numbers have one digit."""
_ANNOTATIONS = ("ANN", "CSQ")
_MOST_ENTRIES = 50
_NOTHING = r"[^\s\S]"


def glow_kind(key: str, declared: Declaration, *, is_format: bool = False) -> Declaration:
    """What Glow takes an INFO or FORMAT key for; with a number other than 0 and 1 it is a list."""
    reserved = (_RESERVED_FORMATS if is_format else _RESERVED_INFOS).get(key, declared)
    return replace(reserved, type="String") if reserved.type == "Character" else reserved


def info_values(header: VcfHeader) -> dict[str, str]:
    """INFO key → expression of the values that come back as they stand."""
    return {
        key: _annotation(key, header) if key in _ANNOTATIONS else _values(glow_kind(key, one), "INFO")
        for key, one in header.infos.items()
    }


def flags(header: VcfHeader) -> frozenset[str]:
    """INFO keys without value."""
    return frozenset(
        key for key, one in header.infos.items() if glow_kind(key, one) == Declaration("0", "Flag")
    )


def format_values(header: VcfHeader) -> dict[str, str]:
    """FORMAT key → expression of one sample's values that come back as they stand."""
    return {
        key: rf"(?:\.|{_values(glow_kind(key, one, is_format=True), 'FORMAT')})"
        for key, one in header.formats.items()
    }


def genotype_values(n_alts: int) -> str:
    """Genotypes of any ploidy, phased or not; neither in part, nor with a separator first."""
    if n_alts <= MOST_DIGITS:
        allele = f"[.0-{n_alts}]"
    else:
        allele = "(?:" + "|".join([r"\.", *map(str, range(n_alts, -1, -1))]) + ")"
    return rf"(?:{allele}(?:(?:\|{allele})+|(?:/{allele})+)?)"


def _values(kind: Declaration, where: str) -> str:
    """Values of a kind that come back as they stand, by what they mean."""
    if kind.type not in ("Integer", "Float", "String"):  # of a flag's value, Glow makes true or false
        return _NOTHING
    is_list = kind.number not in ("0", "1")
    text = (_TEXTS if is_list else _WHOLE_TEXTS)[where]
    one = {"Integer": _INTEGER, "Float": _FLOAT}.get(kind.type, f"(?:{text})")
    if not is_list:
        return one
    if kind.number.isdigit():
        n = int(kind.number)
        return rf"{one}(?:,{one}){{{n - 1}}}" if n <= _MOST_ENTRIES else _NOTHING
    # Glow makes no value of a list that has nothing but dots.
    return rf"(?:\.,)*{one}(?:,(?:{one}|\.))*"


def _annotation(key: str, header: VcfHeader) -> str:
    """Annotations that Glow cuts into the parts that the header names, and these at `&` or at one `/`."""
    line = next((one for one in header.lines if one.startswith(f"##INFO=<ID={key},")), "")
    n_parts = line.count("|") + 1
    if n_parts < 2:
        return _NOTHING
    atom = r"(?:[^|,&/;.][^|,&/;]*|\.[^|,&/;]+)"
    part = rf"(?:{atom}(?:/{atom}|(?:&{atom})*))?"
    one = rf"{part}(?:\|{part}){{{n_parts - 1}}}"
    return f"{one}(?:,{one})*"
