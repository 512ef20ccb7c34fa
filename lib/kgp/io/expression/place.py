"""Where the phenotype of a line lies, by the annotation or by the line itself, and of which gene it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kgp.io.expression.layout import MatrixLayout
from kgp.io.places import Annotation, Place, split_version
from kgp.io.places.model import OUTSIDE_OF_GENE, UNKNOWN, is_gene_id

NO_PLACE, BAD_PLACE = "no place in the annotation", "place is no interval"

_EXON = re.compile(r"(?P<gene>.+)_(?P<first>[1-9]\d*)_(?P<last>[1-9]\d*)")
_STRANDS = {"+": "+", "1": "+", "+1": "+", "-": "-", "-1": "-"}
_NOTHING = ("", ".", "NA", "*", "?", "0")


class PlaceProblem(ValueError):
    """The place in a line is damaged; the text says how."""


@dataclass(frozen=True, slots=True)
class Phenotype:
    """The phenotype of a line: where it lies, and of which gene it is.

    Args:
        id: as the matrix spells it.
        place: where it lies; None where the annotation has no place for it.
        why_unplaced: why not, a short text to count by; None exactly where there is a place.
        gene: its gene as the line spells it, where it names one.
        gene_id, gene_version, gene_name, group_id: as in `phenotypes`.
    """

    id: str
    place: Place | None
    why_unplaced: str | None
    gene: str | None
    gene_id: str | None
    gene_version: int | None
    gene_name: str | None
    group_id: str | None


@dataclass(frozen=True)
class PlaceFinder:
    """Finds the places of a matrix's phenotypes.

    Args:
        layout: of the matrix.
        kind: gene, transcript, exon, mirna or probe.
        annotation: places that count in the place of the matrix's own.
    """

    layout: MatrixLayout
    kind: str
    annotation: Annotation | None = None

    def find(self, cells: Sequence[str]) -> Phenotype:
        """The phenotype of a line with its place, its gene and its group.

        Args:
            cells: the leading columns of the line.

        Raises:
            PlaceProblem: the place in the line, which no annotation replaces, is damaged.
        """
        id = cells[self.layout.columns["phenotype_id"]]
        gene = self._gene(id, cells)
        place, why = (
            self._in_matrix(id, cells) if self.annotation is None else _search(self.annotation, id, gene)
        )
        gene_id, gene_version = (None, None) if place is None else (place.gene_id, place.gene_version)
        if gene_id is None and gene is not None:
            gene_id, gene_version = split_version(gene)
        name, group = self._text("gene_name", cells), self._text("group_id", cells)
        if name is None or is_gene_id(name):
            name = None if place is None else place.gene_name
        if group is None and self.kind != "gene":
            group = gene
        if group is None and place is not None:
            group = place.group_id
        return Phenotype(id, place, why, gene, gene_id, gene_version, name, group)

    def _gene(self, id: str, cells: Sequence[str]) -> str | None:
        """The gene that the line names, as it spells it: the phenotype, its group, its symbol, an exon's beginning."""
        if self.kind == "gene":
            return id if is_gene_id(id) else None
        found = (self._text(name, cells) for name in ("gene_id", "group_id", "gene_name"))
        exon = _EXON.fullmatch(id)
        named = [text for text in found if text is not None] + ([exon["gene"]] if exon else [])
        return next((text for text in named if is_gene_id(text)), None)

    def _in_matrix(self, id: str, cells: Sequence[str]) -> tuple[Place, None]:
        contig = self._text("contig", cells)
        if contig is None:
            raise PlaceProblem(f"{id}: no contig")
        strand = self._strand(id, cells)
        start, end, tss = self._span(id, strand, cells)
        if end <= start or start < 0 or tss < 1:
            raise PlaceProblem(f"{id}: {start:,}-{end:,} is no interval")
        return Place(contig, start, end, tss, strand), None

    def _span(self, id: str, strand: str | None, cells: Sequence[str]) -> tuple[int, int, int]:
        """Start (0-based), end (exclusive) and TSS (1-based)."""
        if self.layout.is_bed:
            start, end = self._number("start", id, cells), self._number("end", id, cells)
            # A base long: the TSS itself, as mapping tools write it. Longer: the phenotype's body, by its strand.
            return start, end, end if strand == "-" or end - start == 1 else start + 1
        tss = self._number("tss", id, cells)
        exon = _EXON.fullmatch(id) if self.kind == "exon" else None
        if exon is not None:  # gene, first and last base, 1-based
            return int(exon["first"]) - 1, int(exon["last"]), tss
        return tss - 1, tss, tss

    def _strand(self, id: str, cells: Sequence[str]) -> str | None:
        text = self._text("strand", cells)
        if text is not None and text not in _STRANDS:
            raise PlaceProblem(f"{id}: '{text}' is no strand")
        return None if text is None else _STRANDS[text]

    def _number(self, name: str, id: str, cells: Sequence[str]) -> int:
        text = cells[self.layout.columns[name]]
        if not (text.isascii() and text.isdecimal()) or len(text) > 12:
            raise PlaceProblem(f"{id}: its {name} '{text[:40]}' is no whole number of bases")
        return int(text)

    def _text(self, name: str, cells: Sequence[str]) -> str | None:
        text = cells[self.layout.columns[name]] if name in self.layout.columns else ""
        return None if text in _NOTHING else text


def _search(annotation: Annotation, id: str, gene: str | None) -> tuple[Place | None, str | None]:
    """The place of a phenotype, or else that of its gene; or why there is neither.

    An exon outside of its gene has none: its coordinates and the gene's are of different releases.
    """
    place = annotation.find(id)
    if place is not None:
        return place, None
    why = annotation.explain(id)
    if gene is None or why == OUTSIDE_OF_GENE:
        return None, why
    place = annotation.find(gene)
    if place is not None:
        return place, None
    return None, annotation.explain(gene) if why == UNKNOWN else why
