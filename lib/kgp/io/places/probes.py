"""Probes of an array: ArrayExpress' array design (ADF), Illumina's manifest, GEO's platform table.

They begin with lines of their own, then comes the table. A place is given either by one column,
``Reporter Database Entry[chromosome_coordinate:GRCh38]`` with ``chr1:1234-5678``, or by three, ``Chromosome``,
``Probe_Coordinates`` with ``1234-5678`` and ``Probe_Chr_Orientation``: 1-based, both ends included. A probe that spans
an intron has several stretches, ``100-120:500-530``: its place goes from the first base to the last.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kgp.errors import FormatError
from kgp.genome import ReferenceBuild
from kgp.io.places.loci import Loci
from kgp.io.places.model import Place, split_version
from kgp.io.places.text import bad_line
from kgp.io.urls import place_of

WITHOUT_PLACE = "probes without a place"

_IDS = ("probe_id", "reporter name", "ilmn_id", "composite element name", "id")
_TAGGED = re.compile(r"(?:reporter|composite element) database entry ?\[([^\]]*)\]", re.IGNORECASE)
_COORDINATE_TAG = re.compile(r"chromosome_coordinate(?::(.*))?", re.IGNORECASE)
_SPAN = re.compile(
    r"(?:(?P<contig>[^:-]+):)?(?P<stretches>\d+(?:-|\.\.)\d+(?:[:,]\d+-\d+)*)(?::(?P<strand>[+-]))?"
)
_NOTHING = ("", ".", "NA", "---")
_STRANDS = {"+": "+", "-": "-", "1": "+", "-1": "-"}

_MEANINGS = {
    "chromosome": "contig", "probe_coordinates": "span", "probe_chr_orientation": "strand", "symbol": "symbol",
    "hugo": "symbol", "hgnc": "symbol", "ensembl": "gene",
}  # fmt: skip


@dataclass(frozen=True)
class Design:
    """Columns of the table of probes.

    Args:
        line: number, 1-based, of the line that names them.
        names: their names.
        index: meaning → index: id, contig, span, strand, symbol, gene.
        stated: reference build that the name of a column states.
    """

    line: int
    names: Sequence[str]
    index: dict[str, int]
    stated: str | None


def find_design(line: int, text: str) -> Design | None:
    """The columns, where the line names those of a table of probes with places or genes; else None."""
    names = [re.sub(r"\s+\[", "[", cell.strip()) for cell in text.split("\t")]
    lower = [name.lower() for name in names]
    index: dict[str, int] = {}
    stated = None
    for number, name in enumerate(names):
        tag = _TAGGED.fullmatch(name)
        entry = (tag[1] if tag else name).strip()
        if (coordinate := _COORDINATE_TAG.fullmatch(entry)) is not None:
            index.setdefault("span", number)
            stated = stated or (coordinate[1] or "").strip() or None
        elif entry.lower() in _MEANINGS:
            index.setdefault(_MEANINGS[entry.lower()], number)
    found = next((lower.index(id) for id in _IDS if id in lower), None)
    if found is None or not {"span", "gene", "symbol"} & index.keys():
        return None
    return Design(line, names, {**index, "id": found}, stated)


def read_probes(
    url: str, lines: Iterator[tuple[int, str]], design: Design, build: ReferenceBuild
) -> tuple[Loci, Counter[str]]:
    """Read the places of the probes, and count what has none.

    Args:
        url: the file, for messages.
        lines: the lines behind the header.
        design: the columns.
        build: reference build.

    Raises:
        FormatError: a place is no span, or no probe has a place.
    """
    if "span" not in design.index:
        raise FormatError(
            "It names probes and genes, but no places.",
            where=f"{place_of(url)}, line {design.line:,}",
            mend="Give it with --design, and a GTF of the genes with --annotation; or a design with "
            "chromosome_coordinate or Probe_Coordinates, or a table with probe_id, chrom, start, end, strand.",
        )
    loci, warnings = Loci(build), Counter[str]()
    for number, line in lines:
        cells = [cell.strip().strip('"') for cell in line.split("\t")]
        if line.startswith(("[", "!")):  # the next section of a manifest, the end of a platform's table
            break
        id, places = _parse(url, number, cells, design)
        warnings[WITHOUT_PLACE] += not places
        for place in places:
            loci.add(id, place)
    if not loci.n_ids:
        raise FormatError(
            "No probe of it has a place.", where=place_of(url), mend="Give a design with places."
        )
    return loci, warnings


def _parse(url: str, line: int, cells: Sequence[str], design: Design) -> tuple[str, list[Place]]:
    """Name of a probe and its places: none, one, or several where the design says so."""

    def text(meaning: str) -> str | None:
        number = design.index.get(meaning, len(cells))
        cell = cells[number] if number < len(cells) else ""
        return None if cell in _NOTHING else cell

    id, gene = text("id"), text("gene")
    if id is None:
        name = design.names[design.index["id"]]
        raise bad_line(url, line, name, "The probe has no name.", "Mend the line.")
    gene_id, version = (None, None) if gene is None else split_version(gene)
    places = []
    for span in filter(None, re.split(r"[;|/ ]+", text("span") or "")):
        found = _read_span(span, text("contig"))
        if found is None:
            raise bad_line(
                url,
                line,
                design.names[design.index["span"]],
                f"'{span[:60]}' is no place.",
                "Write chr1:1234-5678, or 1234-5678 beside a column Chromosome.",
            )
        contig, start, end, stated = found
        if contig is not None:
            strand = _STRANDS.get(text("strand") or stated or "")
            tss = end if strand == "-" else start + 1
            places.append(Place(contig, start, end, tss, strand, gene_id, version, text("symbol"), gene))
    return id, places


def _read_span(span: str, contig: str | None) -> tuple[str | None, int, int, str | None] | None:
    """Contig, first base (0-based), end (exclusive) and strand; None where the text is no span.

    >>> _read_span("chr1:1234-5678", None), _read_span("100-120:500-530", "7")
    (('chr1', 1233, 5678, None), ('7', 99, 530, None))
    """
    match = _SPAN.fullmatch(span)
    if match is None:
        return None
    numbers = [int(number) for number in re.findall(r"\d+", match["stretches"])]
    if min(numbers) < 1 or any(last < first for first, last in zip(numbers[::2], numbers[1::2], strict=True)):
        return None
    return match["contig"] or contig, min(numbers) - 1, max(numbers), match["strand"]
