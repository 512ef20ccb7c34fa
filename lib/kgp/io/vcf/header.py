"""The header of a VCF file: samples, contigs and the declarations of INFO and FORMAT keys."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kgp.errors import FormatError
from kgp.io.splits import Split, detect_form, read_chunks, read_start
from kgp.io.urls import display_url
from kgp.transforms.alleles import parse_whole_number

_FILE_FORMAT = re.compile(r"##fileformat=VCFv?(4(?:\.\d+)?)\s*")
_COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
_STRUCTURED = re.compile(r"##(\w+)=<(.*)>\s*")
_ATTRIBUTE = re.compile(r'\s*([^=,<>\s]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^,]*)(?:,|$)')
_HEADER_CHUNK = 1 << 16


@dataclass(frozen=True)
class Declaration:
    """What the header says of an INFO or FORMAT key: `number` (0, 1, …, A, R, G, .) and `type` as written."""

    number: str
    type: str


@dataclass(frozen=True)
class VcfHeader:
    """The header of one file.

    Args:
        text: the header lines as they stand, bytes that are no UTF-8 replaced.
        version: 4.0 to 4.5.
        samples: in file order.
        contigs: declared names in order.
        contig_lengths: contig → declared length in bases, where there is one.
        contig_assemblies: contig → declared assembly, where there is one.
        infos, formats: key → declaration.
        filters, alts: declared ids in order.
        n_columns: columns that each record has to have.
        offset: record offset of the line of column names; records have greater ones.
        line_offsets: record offset of each header line.
    """

    text: str
    version: str
    samples: tuple[str, ...]
    contigs: tuple[str, ...]
    contig_lengths: Mapping[str, int]
    contig_assemblies: Mapping[str, str]
    infos: Mapping[str, Declaration]
    formats: Mapping[str, Declaration]
    n_columns: int
    offset: int
    filters: tuple[str, ...] = ()
    alts: tuple[str, ...] = ()
    line_offsets: tuple[int, ...] = ()

    @property
    def lines(self) -> list[str]:
        """The header lines without their line ends, the line of column names last."""
        return self.text.split("\n")[:-1]


def read_header(url: str) -> VcfHeader:
    """Read the header of a VCF file: bgzip, gzip or plain text, wherever it lies.

    Raises:
        FormatError: it is no VCF 4 file, its line of column names is missing or malformed, or two samples
        have the
            same name.
        InputError: there is no such file, or it may not be read.
    """
    where = display_url(url)
    start = read_start(url, 64)
    if _FILE_FORMAT.match(start.decode("latin-1")) is None:
        first = start.split(b"\n")[0].rstrip(b"\r")[:40]
        raise FormatError(
            f"This is no VCF 4 file: it begins with {first!r}." if start else "The file is empty.",
            where=where,
            mend="A VCF file begins with ##fileformat=VCFv4.",
        )
    lines: list[str] = []
    offsets: list[int] = []
    for chunk in read_chunks(Split(url, detect_form(url), 0, None), chunk_bytes=_HEADER_CHUNK):
        starts, ends = chunk.lines()
        for begin, end in zip(starts.tolist(), ends.tolist(), strict=True):
            line = chunk.data[begin:end].decode("utf-8", errors="replace")
            lines.append(line)
            offsets.append(int(chunk.offsets([begin])[0]))
            if line.startswith("#") and not line.startswith("##"):
                return parse_header(lines, where=where, offsets=offsets)
            if line.strip() and not line.startswith("##"):
                raise _malformed(where, f"Line {len(lines)} is a record, but no #CHROM line came before it")
    raise _malformed(where, "The header has no #CHROM line")


def parse_header(lines: list[str], *, where: str, offsets: Sequence[int] | None = None) -> VcfHeader:
    """Make sense of header lines; the last one names the columns. A ## line that makes no sense is only
    kept as text.

    >>> names = "\\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", "NA1"])
    >>> parse_header(["##fileformat=VCFv4.2", names], where="a.vcf").samples
    ('NA1',)

    Raises:
        FormatError: the line of column names is malformed, or two samples have the same name.
    """
    columns = lines[-1].split("\t")
    if tuple(columns[:8]) != _COLUMNS:
        raise _malformed(where, f"The #CHROM line does not begin with {' '.join(_COLUMNS)}, tab-separated")
    if columns[8:9] not in ([], ["FORMAT"]):
        raise _malformed(where, f"The ninth column is called {columns[8]!r} instead of FORMAT")
    samples = tuple(columns[9:])
    if "" in samples:
        raise _malformed(where, f"Sample {samples.index('') + 1} has no name")
    if repeated := [name for name, n in Counter(samples).items() if n > 1]:
        raise _malformed(where, f"Sample {', '.join(repeated[:5])} occurs twice")

    version = _FILE_FORMAT.fullmatch(lines[0])
    found = [(match[1], _attributes(match[2])) for match in map(_STRUCTURED.fullmatch, lines) if match]
    contigs = [attributes for kind, attributes in found if kind == "contig" and attributes.get("ID")]
    lengths = {c["ID"]: parse_whole_number(c.get("length", "")) for c in contigs}
    return VcfHeader(
        text="".join(line + "\n" for line in lines),
        version=version[1] if version else "4",
        samples=samples,
        contigs=tuple(dict.fromkeys(c["ID"] for c in contigs)),
        contig_lengths={name: length for name, length in lengths.items() if length is not None},
        contig_assemblies={c["ID"]: c["assembly"] for c in contigs if c.get("assembly")},
        infos=_declarations(attributes for kind, attributes in found if kind == "INFO"),
        formats=_declarations(attributes for kind, attributes in found if kind == "FORMAT"),
        n_columns=len(columns),
        offset=offsets[-1] if offsets else 0,
        line_offsets=tuple(offsets or [0] * len(lines)),
        filters=_ids(attributes for kind, attributes in found if kind == "FILTER"),
        alts=_ids(attributes for kind, attributes in found if kind == "ALT"),
    )


def _attributes(text: str) -> dict[str, str]:
    """Attributes of a structured ## line; the first of a repeated name counts."""
    pairs: dict[str, str] = {}
    for name, value in _ATTRIBUTE.findall(text):
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] == '"':
            value = value[1:-1]
        pairs.setdefault(name, value)
    return pairs


def _ids(found: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(attributes["ID"] for attributes in found if attributes.get("ID")))


def _declarations(found: Iterable[Mapping[str, str]]) -> dict[str, Declaration]:
    declared: dict[str, Declaration] = {}
    for attributes in found:
        if attributes.get("ID"):
            one = Declaration(attributes.get("Number", "."), attributes.get("Type", "String"))
            declared.setdefault(attributes["ID"], one)
    return declared


def _malformed(where: str, what: str) -> FormatError:
    return FormatError(f"{what}.", where=where, mend="Repair the header (bcftools reheader) and load again.")
