"""Several VCF files as one: their samples in the order given, their headers put together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kgp.errors import FormatError
from kgp.io.urls import place_of
from kgp.io.vcf.conformance.reserved import Shape, parse_minor, reserved_formats, reserved_infos
from kgp.io.vcf.header import Declaration, VcfHeader, parse_header, read_header
from kgp.transforms.merge import FileShape

OTHER_DECLARATION = "key declared otherwise in another file"

_FILE_FORMAT = re.compile(r"##fileformat=VCFv(4\.\d+)")
_DECLARES = re.compile(r"##(contig|INFO|FORMAT|FILTER|ALT)=<ID=([^,>]+)")
_PER_ALLELE = ("A", "R", "G")
# A dosage has an entry an ALT whatever its declaration says: the releases declare it with Number=1.
_DOSAGE = "DS"


@dataclass(frozen=True)
class MergedHeader:
    """The headers of files that are merged.

    Args:
        urls: the files.
        headers: of each.
        header: of all together.
        n_declared_otherwise: INFO and FORMAT keys that a file declares otherwise than one before it.
    """

    urls: tuple[str, ...]
    headers: tuple[VcfHeader, ...]
    header: VcfHeader
    n_declared_otherwise: int

    @property
    def shapes(self) -> tuple[FileShape, ...]:
        """What the merging must know of each file."""
        return tuple(map(_shape, self.headers))


def read_merged_header(urls: Sequence[str], *, where: str, sources: Iterable[str] = ()) -> MergedHeader:
    """Read the headers of files and put them together: each line once, of a key or contig the first declaration.

    Args:
        urls: at least one.
        where: what all files together are called in messages.
        sources: ## lines that say what the files are.

    Raises:
        FormatError: one of them is no VCF, has no samples, or has a sample that is in a file before it.
        InputError: one of them can't be read.
    """
    headers = tuple(read_header(url) for url in urls)
    owners: dict[str, str] = {}
    for url, one in zip(urls, headers, strict=True):
        if not one.samples:
            raise FormatError(
                "It has no samples.",
                where=place_of(url),
                mend="Only genotypes are merged: load a sites-only file on its own.",
            )
        for sample in one.samples:
            if sample in owners:
                raise FormatError(
                    f"Sample {sample} is also in {owners[sample]}.",
                    where=place_of(url),
                    mend="A person's genotypes are merged from one file: leave one of the two away.",
                )
            owners[sample] = place_of(url)

    versions = [match[1] for one in headers if (match := _FILE_FORMAT.match(one.lines[0]))]
    newest = max(versions, key=lambda version: int(version[2:]), default="4.2")
    body: dict[object, str] = {}
    for one in headers:
        for line in one.lines[1:-1]:
            if line.strip():
                declares = _DECLARES.match(line)
                body.setdefault(declares.groups() if declares else line, line)
    columns = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *owners)
    lines = [f"##fileformat=VCFv{newest}", *body.values(), *sources, "\t".join(columns)]
    return MergedHeader(
        urls=tuple(urls),
        headers=headers,
        header=parse_header(lines, where=where),
        n_declared_otherwise=_count_others([one.infos for one in headers])
        + _count_others([one.formats for one in headers]),
    )


def _count_others(declared: Sequence[Mapping[str, Declaration]]) -> int:
    first: dict[str, Declaration] = {}
    others = set()
    for one in declared:
        for key, declaration in one.items():
            if first.setdefault(key, declaration) != declaration:
                others.add(key)
    return len(others)


def _shape(header: VcfHeader) -> FileShape:
    """Where a declaration leaves Number open, or there is none, the specification's holds."""
    minor = parse_minor(header.version) or 0

    def per_allele(declared: Mapping[str, Declaration], reserved: Mapping[str, Shape]) -> dict[str, str]:
        numbers = {key: number for key, (number, _) in reserved.items() if number in _PER_ALLELE}
        for key, one in declared.items():
            if one.number in _PER_ALLELE:
                numbers[key] = one.number
            elif one.number != ".":
                numbers.pop(key, None)
        return numbers

    formats = per_allele(header.formats, reserved_formats(minor))
    formats.setdefault(_DOSAGE, "A")
    return FileShape(
        n_samples=len(header.samples),
        infos=per_allele(header.infos, reserved_infos(minor)),
        formats=formats,
    )
