"""Places from tables: BED, with a header or without, and tables with named columns, as the eQTL Catalogue's.

Starts are 0-based and ends exclusive, as in BED and in kgp's own tables; a single position is the TSS, 1-based.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kgp.errors import FormatError
from kgp.genome import ReferenceBuild
from kgp.io.places.loci import Loci
from kgp.io.places.model import Place, is_gene_id, split_version
from kgp.io.places.text import bad_line
from kgp.io.urls import place_of

# Spellings of the columns, lower case without '#', and what they mean.
_MEANINGS = {
    "chr": "contig", "chrom": "contig", "chromosome": "contig", "contig": "contig", "seqname": "contig",
    "start": "start", "left": "start", "chromstart": "start", "end": "end", "right": "end", "chromend": "end",
    "phenotype_pos": "tss", "tss": "tss", "coord": "tss",
    "phenotype_id": "id", "id": "id", "pid": "id", "name": "id", "targetid": "id", "trid": "id", "probe_id": "id",
    "probe": "id", "gene": "id", "geneid": "id", "gene_id": "gene", "group_id": "group", "gid": "group",
    "gene_name": "symbol", "gene_symbol": "symbol", "symbol": "symbol", "strand": "strand",
}  # fmt: skip
_STRANDS = {"+": "+", "1": "+", "+1": "+", "-": "-", "-1": "-", ".": None, "": None, "NA": None}
_FEWEST_COLUMNS = 4


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are.

    Args:
        index: meaning → index of the column: contig, start, end, tss, id, strand, gene, group, symbol.
        names: the columns' names, or numbers where the table has no header.
        has_names: whether the first line is a header.
    """

    index: Mapping[str, int]
    names: Sequence[str]
    has_names: bool


def find_columns(first: str) -> Columns | None:
    """What the columns are, by the first line of a table: by its names, or by a BED's order; None where by neither."""
    cells = [cell.strip() for cell in first.split("\t")]
    index: dict[str, int] = {}
    for number, cell in enumerate(cells):
        if (meaning := _MEANINGS.get(cell.lstrip("#").lower())) is not None:
            index.setdefault(meaning, number)
    if "id" not in index and "gene" in index:
        index["id"] = index["gene"]
    if {"contig", "id"} <= index.keys() and ("tss" in index or {"start", "end"} <= index.keys()):
        return Columns(index, cells, has_names=True)
    return _bed_columns(cells)


def _bed_columns(cells: Sequence[str]) -> Columns | None:
    if len(cells) < _FEWEST_COLUMNS or not (cells[1].isdecimal() and cells[2].isdecimal()):
        return None
    index = {"contig": 0, "start": 1, "end": 2, "id": 3}
    strand = next((n for n in (5, 4) if len(cells) > n and cells[n] in ("+", "-", ".")), None)
    if strand is not None:
        index["strand"] = strand
    return Columns(index, [str(n) for n in range(1, len(cells) + 1)], has_names=False)


def read_table(
    url: str, lines: Iterable[tuple[int, str]], columns: Columns, kind: str, build: ReferenceBuild
) -> Loci:
    """Read the places of a table or a BED.

    Args:
        url: the file, for messages.
        lines: its lines and their numbers, the header left out.
        columns: what its columns are.
        kind: gene, transcript, exon, mirna or probe: the genes of ids that are no Ensembl genes are known by it.
        build: reference build.

    Raises:
        FormatError: a line is too short, a position is no number, an end lies before its start, a strand is none.
    """
    loci = Loci(build)
    reader = _Rows(url, columns, kind)
    for number, line in lines:
        loci.add(*reader.parse(number, line.split("\t")))
    if not loci.n_ids:
        raise FormatError(
            "It has no line with a place.", where=place_of(url), mend="Give places of phenotypes."
        )
    return loci


class _Rows:
    """Turns rows into places."""

    def __init__(self, url: str, columns: Columns, kind: str) -> None:
        self.url, self.kind = url, kind
        self.index, self.names = columns.index, columns.names
        self.n_needed = 1 + max(columns.index.values())

    def parse(self, line: int, cells: Sequence[str]) -> tuple[str, Place]:
        """Id and place of a row."""
        if len(cells) < self.n_needed:
            raise bad_line(
                self.url,
                line,
                None,
                f"The line has {len(cells)} columns separated by tabs, fewer than the {self.n_needed} that are needed.",
                "Mend the line, or fetch the file again.",
            )
        id, contig = (self._needed(line, cells, meaning) for meaning in ("id", "contig"))
        strand = self._strand(line, cells)
        start, end, tss = self._span(line, cells, strand)
        gene = self._text(cells, "gene") or (id if self.kind == "gene" or is_gene_id(id) else None)
        gene_id, version = (None, None) if gene is None else split_version(gene)
        group = self._text(cells, "group") or (gene if self.kind != "gene" else None)
        return id, Place(
            contig, start, end, tss, strand, gene_id, version, self._text(cells, "symbol"), group
        )

    def _span(self, line: int, cells: Sequence[str], strand: str | None) -> tuple[int, int, int]:
        if "start" in self.index and "end" in self.index:
            start, end = self._number(line, cells, "start"), self._number(line, cells, "end")
            if end <= start:
                raise self._bad(
                    line,
                    "end",
                    f"The place goes from {start:,} to {end:,}; the start is 0-based, the end behind the last base.",
                    "Mend the line; where starts are 1-based, make each less by one.",
                )
            if "tss" in self.index:
                return start, end, self._position(line, cells)
            return start, end, end if strand == "-" else start + 1
        tss = self._position(line, cells)
        return tss - 1, tss, tss

    def _position(self, line: int, cells: Sequence[str]) -> int:
        tss = self._number(line, cells, "tss")
        if tss < 1:
            raise self._bad(line, "tss", f"The TSS is {tss}; it is 1-based.", "Mend the line.")
        return tss

    def _strand(self, line: int, cells: Sequence[str]) -> str | None:
        text = cells[self.index["strand"]].strip() if "strand" in self.index else ""
        if text not in _STRANDS:
            raise self._bad(
                line,
                "strand",
                f"'{text}' is no strand.",
                "Write + or -, 1 or -1, or . where it is not known.",
            )
        return _STRANDS[text]

    def _number(self, line: int, cells: Sequence[str], meaning: str) -> int:
        text = cells[self.index[meaning]].strip()
        if not (text.isascii() and text.isdecimal()):
            raise self._bad(
                line, meaning, f"'{text[:40]}' is no position.", "Write a whole number, 0 or greater."
            )
        return int(text)

    def _needed(self, line: int, cells: Sequence[str], meaning: str) -> str:
        text = self._text(cells, meaning)
        if text is None:
            raise self._bad(
                line, meaning, "The cell is empty.", "Give every phenotype its id and its contig."
            )
        return text

    def _text(self, cells: Sequence[str], meaning: str) -> str | None:
        text = cells[self.index[meaning]].strip() if meaning in self.index else ""
        return None if text in ("", ".", "NA") else text

    def _bad(self, line: int, meaning: str, what: str, mend: str) -> FormatError:
        return bad_line(self.url, line, self.names[self.index[meaning]], what, mend)
