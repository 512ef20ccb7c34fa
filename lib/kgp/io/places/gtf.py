"""Genes, transcripts, exons and miRNA genes of a GTF (GENCODE, Ensembl, RefSeq) and of GENCODE's GFF3."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kgp.errors import FormatError
from kgp.genome import ReferenceBuild
from kgp.io.places.features import Feature, read_features
from kgp.io.places.loci import Loci
from kgp.io.places.mirna_names import family_symbol
from kgp.io.places.model import Place, split_version
from kgp.io.places.text import bad_line
from kgp.io.urls import place_of

FROM_EXONS = "{}s without a line of their own, made from their exons"

# What a line of each kind of feature is called by.
_ID_KEYS = {"gene": "gene_id", "transcript": "transcript_id", "exon": "exon_id"}


@dataclass(frozen=True)
class GtfPlaces:
    """Places of a GTF.

    Args:
        loci: of the phenotypes.
        genes: of all genes.
        n_from_exons: genes and transcripts that have no line of their own.
    """

    loci: Loci
    genes: Loci
    n_from_exons: dict[str, int]


def read_gtf(url: str, kind: str, build: ReferenceBuild) -> GtfPlaces:
    """Read the places of genes and of phenotypes of another kind from a GTF.

    Where genes or transcripts have no lines of their own, as in Ensembl's releases up to 74, their exons tell.

    Args:
        url: the file.
        kind: gene, transcript, exon or mirna.
        build: reference build.

    Raises:
        FormatError: a line is wrong, an attribute is missing, or there is no gene.
        InputError: there is no such file, or it may not be read.
    """
    loci, genes, lines = Loci(build), Loci(build), _Lines(url)
    wanted = {"gene"} | ({kind} & {"transcript", "exon"})
    for feature in read_features(url, frozenset(wanted)):
        if feature.kind == "gene":
            genes.add(*lines.place(feature, "gene"))
        if feature.kind == kind != "gene" and (kind != "exon" or feature.find("exon_id")):
            loci.add(*lines.place(feature, kind))
        if kind == "mirna" and _is_mirna(feature):
            _add_mirna(*lines.place(feature, "gene"), loci)
    lacking = {
        k: found for k, found in (("gene", genes), ("transcript", loci)) if k in wanted and not found.n_ids
    }
    n_from_exons = _add_from_exons(lines, lacking) if lacking else {}
    if not genes.n_ids:
        raise FormatError(
            "It has no line of a gene or an exon.", where=place_of(url), mend="Give the annotation of genes."
        )
    return GtfPlaces(genes if kind == "gene" else loci, genes, n_from_exons)


class _Lines:
    """Turns lines into ids and places; what a gene is called is looked up once a gene."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.genes: dict[str, tuple[str, int | None, str | None]] = {}

    def place(self, feature: Feature, kind: str) -> tuple[str, Place]:
        """Id and place of a line; `kind` says what its id is."""
        gene = self._needed(feature, "gene_id")
        if gene not in self.genes:
            self.genes[gene] = _describe_gene(gene, feature)
        place = Place(
            feature.contig,
            feature.start,
            feature.end,
            feature.tss,
            feature.strand,
            *self.genes[gene],
            None if kind == "gene" else gene,
        )
        return (gene if kind == "gene" else self._needed(feature, _ID_KEYS[kind])), place

    def _needed(self, feature: Feature, key: str) -> str:
        found = feature.find(key)
        if found is None:
            raise bad_line(
                self.url,
                feature.line,
                "attribute",
                f"The {feature.kind} has no {key}.",
                "Mend the line, or fetch the file again.",
            )
        return found


def _describe_gene(gene: str, feature: Feature) -> tuple[str, int | None, str | None]:
    """A gene's id without version, its version, which Ensembl writes apart, and its name."""
    id, version = split_version(gene)
    stated = feature.find("gene_version")
    if version is None and stated is not None and stated.isdecimal():
        version = int(stated)
    return id, version, feature.find("gene_name") or feature.find("gene")


def _is_mirna(feature: Feature) -> bool:
    return (feature.find("gene_type") or feature.find("gene_biotype")) == "miRNA"


def _add_mirna(id: str, gene: Place, loci: Loci) -> None:
    """Give a miRNA's symbol its place, and that of its family, which has several where there are several copies."""
    if gene.gene_name is not None:
        loci.add(gene.gene_name, replace(gene, group_id=id))
        if (family := family_symbol(gene.gene_name)) is not None:
            loci.add(family, replace(gene, group_id=id))


def _add_from_exons(lines: _Lines, lacking: dict[str, Loci]) -> dict[str, int]:
    """Give genes or transcripts the extent of their exons; on two contigs or strands they have two places."""
    extents: dict[tuple[str, str, str, str | None], Place] = {}
    for exon in read_features(lines.url, frozenset({"exon"})):
        for kind in lacking:
            id, place = lines.place(exon, kind)
            key = (kind, id, exon.contig, exon.strand)
            known = extents.get(key, place)
            extents[key] = replace(known, start=min(known.start, place.start), end=max(known.end, place.end))
    n = dict.fromkeys(lacking, 0)
    for (kind, id, _, strand), place in extents.items():
        tss = place.end if strand == "-" else place.start + 1
        lacking[kind].add(id, replace(place, tss=tss))
        n[kind] += 1
    return n
