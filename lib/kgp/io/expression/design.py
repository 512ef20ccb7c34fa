"""Places of an array's probes by its design (ADF), which names their genes, and an annotation of those genes.

ArrayExpress' designs of expression arrays have a row a reporter and name its gene in ``Reporter Database Entry[hugo]``
or ``[ensembl]`` (or ``Composite Element Database Entry[…]``); few have places of their own. A probe lies where the
design says it, in a column ``chromosome_coordinate`` of the build that is wanted, else where its gene lies.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kgp.errors import FormatError
from kgp.genome import ReferenceBuild
from kgp.io.magetab import Adf, read_adf
from kgp.io.places import Annotation, Place, read_annotation
from kgp.io.places.header import find_build
from kgp.io.places.loci import Loci
from kgp.io.places.model import AMBIGUOUS, base_of

WITHOUT_NAME = "rows of the design without a reporter"
WITHOUT_GENE = "probes for which the design names no gene"
GENE_UNKNOWN = "probes whose gene the annotation does not have"
SEVERAL_GENES = "probes of several genes, or of one in several places, which find no place"
OUTSIDE = "probes that the design places outside of their gene"
OTHER_BUILD = "places of the design, on another build: those of the genes are taken"

_IDS = ("Reporter Name", "Composite Element Name")
_TAG = re.compile(r"(?:reporter|composite element) database entry\[(.+)\]", re.IGNORECASE)
_COORDINATE = re.compile(r"chromosome_coordinate(?::(.*))?", re.IGNORECASE)
_GENE_TAGS, _SYMBOL_TAGS = ("ensembl",), ("hugo", "hgnc")
_BETWEEN = re.compile(r"[\s;,|/]+")
_NOTHING = ("", ".", "-", "NA", "---")


@dataclass(frozen=True)
class _Genes:
    """Genes of a probe, by id without version and by symbol."""

    ids: frozenset[str] = frozenset()
    symbols: frozenset[str] = frozenset()

    def __or__(self, other: _Genes) -> _Genes:
        return _Genes(self.ids | other.ids, self.symbols | other.symbols)


def read_array(url: str, genes: Annotation, build: ReferenceBuild) -> Annotation:
    """Read where the probes of an array lie.

    A probe of several genes finds no place, for nothing says which is meant; an Ensembl id counts more than a symbol.
    A probe with a place of its own has the TSS of its gene, as an exon has, unless it lies outside of that.

    Args:
        url: the array design (ADF).
        genes: where genes lie.
        build: reference build of the places.

    Raises:
        BuildError: a place of the design lies beyond the end of its contig.
        FormatError: it is no array design, names no genes, or none of its probes finds a place.
        InputError: there is no such file, or it may not be read.
    """
    adf = read_adf(url)
    probes, warnings = _read_genes(adf)
    by_name = _index(genes, probes.values(), build)
    own, of_own = _read_own_places(url, adf, build)
    warnings.update(of_own)
    loci = Loci(build)
    for probe, named in probes.items():
        gene = _find_gene(named, by_name, warnings)
        place = None if own is None else own.find(probe)
        if place is not None:
            place = place if gene is None else _join(place, gene, build, warnings)
        if (found := place or gene) is not None:
            loci.add(probe, found)
    if not loci.n_ids:
        raise FormatError(
            f"None of its {len(probes):,} probes has a gene that {genes.name} has: {_tell(warnings)}.",
            where=adf.where,
            mend="Give the design of a human array, and --annotation with the symbols of the genes.",
        )
    warnings.update(genes.warnings)
    warnings.update(loci.warnings)
    name = f"{adf.accession or adf.name or adf.where.rpartition('/')[2]}, {genes.name}"
    counts = {"genes": genes.loci.n_ids, "probes": loci.n_ids}
    return Annotation(name, genes.build, "probe", counts, dict(+warnings), loci, genes.loci)


def _read_genes(adf: Adf) -> tuple[dict[str, _Genes], Counter[str]]:
    """Reporter or composite element → its genes, and what was odd."""
    ids = [index for index in map(adf.find, _IDS) if index is not None]
    by_id, by_symbol = _find_tagged(adf.columns, _GENE_TAGS), _find_tagged(adf.columns, _SYMBOL_TAGS)
    if not (by_id or by_symbol):
        raise FormatError(
            f"Its table names no genes: it has the columns {', '.join(adf.columns)}.",
            where=adf.where,
            mend="Give a design with Reporter Database Entry[hugo] or [ensembl], or a table of places as --annotation.",
        )
    probes: dict[str, _Genes] = {}
    warnings: Counter[str] = Counter()
    for _, cells in adf.rows():
        found = _Genes(
            frozenset(base_of(name) for name in _split(cells, by_id)), frozenset(_split(cells, by_symbol))
        )
        names = {cells[index] for index in ids} - {""}
        warnings[WITHOUT_NAME] += not names
        for name in names:
            probes[name] = probes.get(name, _Genes()) | found
    warnings.update(adf.warnings)
    return probes, warnings


def _find_tagged(columns: Sequence[str], tags: Sequence[str]) -> list[int]:
    matches = ((index, _TAG.fullmatch(name)) for index, name in enumerate(columns))
    return [index for index, tag in matches if tag is not None and tag[1].strip().lower() in tags]


def _split(cells: Sequence[str], columns: Iterable[int]) -> list[str]:
    return [name for index in columns for name in _BETWEEN.split(cells[index]) if name not in _NOTHING]


def _index(genes: Annotation, wanted: Iterable[_Genes], build: ReferenceBuild) -> Loci:
    """Places of genes by id without version and by symbol, of those that are wanted."""
    names = {name for one in wanted for name in (*one.ids, *one.symbols)}
    loci = Loci(build)
    for id, place in genes.loci.items():
        for name in (place.gene_name, base_of(id)):
            if name in names and name is not None:
                loci.add(name, replace(place, group_id=id))
    return loci


def _find_gene(named: _Genes, by_name: Loci, warnings: Counter[str]) -> Place | None:
    """The one gene of a probe; where there is none, or several, that is counted."""
    if not (named.ids or named.symbols):
        warnings[WITHOUT_GENE] += 1
        return None
    for names in (named.ids, named.symbols):
        looked_up = [by_name.find(name) for name in sorted(names)]
        found = {place.gene_id: place for place, _ in looked_up if place is not None}
        if len(found) == 1:
            return next(iter(found.values()))
        if found or any(how == AMBIGUOUS for _, how in looked_up):
            warnings[SEVERAL_GENES] += 1
            return None
    warnings[GENE_UNKNOWN] += 1
    return None


def _read_own_places(
    url: str, adf: Adf, build: ReferenceBuild
) -> tuple[Annotation | None, Mapping[str, int]]:
    """The places that the design has itself, where they are on the build that is wanted."""
    tags = (tag[1].strip() for tag in map(_TAG.fullmatch, adf.columns) if tag is not None)
    stated = [match[1] for match in map(_COORDINATE.fullmatch, tags) if match is not None]
    if not stated:
        return None, {}
    if all(text is None or find_build(text) != build for text in stated):
        return None, {OTHER_BUILD: 1}
    own = read_annotation(url, kind="probe", build=build)
    return own, own.warnings


def _join(place: Place, gene: Place, build: ReferenceBuild, warnings: Counter[str]) -> Place:
    """The place of a probe, with its gene."""
    is_there = build.canonical(place.source_contig) == build.canonical(gene.source_contig)
    is_inside = is_there and gene.start < place.end and place.start < gene.end
    warnings[OUTSIDE] += not is_inside
    return replace(
        place,
        tss=gene.tss if is_inside else place.tss,
        strand=place.strand or (gene.strand if is_inside else None),
        gene_id=gene.gene_id,
        gene_version=gene.gene_version,
        gene_name=gene.gene_name,
        group_id=gene.group_id,
    )


def _tell(warnings: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {what}" for what, n in warnings.items() if n)
