"""What a place is, what an annotation is, and how an id finds its place in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kgp.io.places.mirna_names import gene_symbol

if TYPE_CHECKING:
    from kgp.io.places.loci import Loci

# An Ensembl id, its version, the number of its lift to another build, the mark of the copy on Y. The copy on Y of
# GENCODE 24 and before has an R in the place of the first digit.
_VERSIONED = re.compile(r"(ENS[A-Z]+\d{10,11})\.(\d+)(?:_\d+)?(_PAR_Y)?")
_COPY_ON_Y = re.compile(r"(ENS[A-Z]*[EGT])R(\d{10})")
_GENE = re.compile(r"ENSG(?:R\d{10}|\d{11})(?:\.\d+(?:_\d+)?)?(?:_PAR_Y)?")
_EXON_OF_GENE = re.compile(r"(?P<gene>.+)_(?P<first>[1-9]\d*)_(?P<last>[1-9]\d*)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a phenotype lies.

    Args:
        source_contig: contig as the annotation spells it.
        start: first base, 0-based.
        end: one past the last base, 0-based.
        tss: transcription start, 1-based: of the phenotype's own extent, of an exon its gene's.
        strand: ``+``, ``-`` or None where the annotation does not say it.
        gene_id: the gene without its version.
        gene_version: version of the gene.
        gene_name: symbol of the gene; of a miRNA its own name.
        group_id: phenotypes that are tested together: the gene with its version, as the annotation has it.
    """

    source_contig: str
    start: int
    end: int
    tss: int
    strand: str | None = None
    gene_id: str | None = None
    gene_version: int | None = None
    gene_name: str | None = None
    group_id: str | None = None


def split_version(id: str) -> tuple[str, int | None]:
    """An id and its version. The copy on Y of a pseudo-autosomal gene keeps its mark: it is another gene.

    The number of a lift to another build (``_2``) is dropped. Ids that are not Ensembl's keep their dots.

    >>> split_version("ENSG00000100376.7"), split_version("ENSG00000100376")
    (('ENSG00000100376', 7), ('ENSG00000100376', None))
    >>> split_version("ENSG00000182378.14_PAR_Y"), split_version("ENSG00000223972.5_2")
    (('ENSG00000182378_PAR_Y', 14), ('ENSG00000223972', 5))
    >>> split_version("AC000123.4"), split_version("ILMN_1762337")
    (('AC000123.4', None), ('ILMN_1762337', None))
    """
    match = _VERSIONED.fullmatch(id)
    if match is None:
        return id, None
    return match[1] + (match[3] or ""), int(match[2])


def base_of(id: str) -> str:
    """An id without its version, the copy on Y marked in one way: what ids of two releases are compared by.

    >>> base_of("ENSGR0000182378.10"), base_of("ENSG00000182378.14_PAR_Y"), base_of("ENSG00000182378")
    ('ENSG00000182378_PAR_Y', 'ENSG00000182378_PAR_Y', 'ENSG00000182378')
    """
    base = split_version(id)[0]
    old = _COPY_ON_Y.fullmatch(base)
    return base if old is None else f"{old[1]}0{old[2]}_PAR_Y"


def is_gene_id(id: str) -> bool:
    """Whether an id is that of an Ensembl gene, with or without its version.

    >>> is_gene_id("ENSG00000100376.7"), is_gene_id("ENST00000408577.1"), is_gene_id("ENSG00000227232.4_14363_14829")
    (True, False, False)
    """
    return _GENE.fullmatch(id) is not None


@dataclass(frozen=True)
class Annotation:
    """Places of phenotypes of one kind, and of the genes that they belong to.

    Args:
        name: what it is called: ``GENCODE 12, GRCh37``; the file's name where the file does not say more.
        build: reference build that the file states, or that its genes show; None where neither tells it.
        kind: gene, transcript, exon, mirna or probe.
        counts: places by what they are (``genes``, ``transcripts``, …).
        warnings: what was odd in the file, and how often.
        loci: places of the phenotypes by id.
        genes: places of the genes by id, where the file has them besides.
    """

    name: str
    build: str | None
    kind: str
    counts: Mapping[str, int]
    warnings: Mapping[str, int]
    loci: Loci = field(repr=False)
    genes: Loci | None = field(default=None, repr=False)

    def find(self, phenotype_id: str) -> Place | None:
        """The place of a phenotype, or None where the annotation has none, or several, for it.

        An id is looked for as it is written, then without its version. A gene's id also finds its place where the
        phenotypes are transcripts, exons, miRNAs or probes: then the place is the gene's and its group is the gene.
        An exon of Geuvadis, ``ENSG00000227232.4_14363_14829`` (gene, first and last base, 1-based), has its own place
        and its gene's strand, TSS and name; none where it lies outside of that gene. A gene's version is that of the
        id that was asked for, where that has one.
        """
        return self._search(phenotype_id)[0]

    def explain(self, phenotype_id: str) -> str:
        """How a phenotype found its place, or why it has none: a short text to count by."""
        return self._search(phenotype_id)[1]

    def _search(self, id: str) -> tuple[Place | None, str]:
        place, how = self.loci.find(id)
        if place is not None or how == AMBIGUOUS:
            return place and _with_gene(self._from_its_gene(place), id, is_own_kind=self.kind == "gene"), how
        if self.genes is not None:
            gene, how_gene = self.genes.find(id)
            if gene is not None:
                return _with_gene(gene, id, is_own_kind=False), how_gene
        if self.kind == "exon" and (match := _EXON_OF_GENE.fullmatch(id)):
            return self._place_exon(match)
        if self.kind == "mirna" and (symbol := gene_symbol(id)) is not None:
            return self.loci.find(symbol)
        return None, how

    def _from_its_gene(self, place: Place) -> Place:
        """An exon with the TSS of its gene; other places as they are."""
        if self.kind != "exon" or self.genes is None or place.group_id is None:
            return place
        gene = self.genes.find(place.group_id)[0]
        return place if gene is None else replace(place, tss=gene.tss)

    def _place_exon(self, match: re.Match[str]) -> tuple[Place | None, str]:
        gene, how = (self.genes or self.loci).find(match["gene"])
        if gene is None:
            return None, how
        start, end = int(match["first"]) - 1, int(match["last"])
        if not (gene.start < end and start < gene.end and start < end):
            return None, OUTSIDE_OF_GENE
        base, version = split_version(match["gene"])
        version = gene.gene_version if version is None else version
        place = Place(
            gene.source_contig,
            start,
            end,
            gene.tss,
            gene.strand,
            base,
            version,
            gene.gene_name,
            match["gene"],
        )
        return place, how


EXACT = "same id"
OTHER_VERSION = "same id but for its version"
UNKNOWN = "not in the annotation"
AMBIGUOUS = "several places in the annotation"
OUTSIDE_OF_GENE = "exon outside of its gene"


def _with_gene(place: Place, id: str, *, is_own_kind: bool) -> Place:
    """The place of a gene as that of the id which was asked for; other places as they are."""
    if not is_gene_id(id):
        return place
    base, version = split_version(id)
    return replace(
        place,
        gene_id=base,
        gene_version=place.gene_version if version is None else version,
        group_id=place.group_id if is_own_kind else id,
    )
