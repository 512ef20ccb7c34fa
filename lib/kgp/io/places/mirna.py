"""MiRNAs of miRBase's GFF3."""

from __future__ import annotations

from collections.abc import Iterator

from kgp.errors import FormatError
from kgp.genome import ReferenceBuild
from kgp.io.places.features import Feature, read_features
from kgp.io.places.loci import Loci
from kgp.io.places.model import Place
from kgp.io.places.text import bad_line
from kgp.io.urls import place_of

_PRIMARY, _MATURE = "miRNA_primary_transcript", "miRNA"


def read_mirbase(url: str, build: ReferenceBuild) -> Loci:
    """Read miRBase's GFF3: a mature miRNA by its name and accession, grouped by its primary transcript, and those too.

    A mature miRNA that several primary transcripts give has several places, so that its name finds none.

    Raises:
        FormatError: a line is wrong, or there is no miRNA.
        InputError: there is no such file, or it may not be read.
    """
    loci = Loci(build)
    names: dict[str, str] = {}
    matures: list[Feature] = []
    for feature in read_features(url, frozenset({_PRIMARY, _MATURE})):
        if feature.kind == _MATURE:
            matures.append(feature)
            continue
        id, name = _text(url, feature, "ID"), _text(url, feature, "Name")
        names[id] = name
        for key in (name, id):
            loci.add(key, _place(feature, id, name))
    for feature in matures:
        origin = _text(url, feature, "Derives_from")
        for key in _keys(url, feature):
            loci.add(key, _place(feature, origin, names.get(origin)))
    if not loci.n_ids:
        raise FormatError(
            "It has no miRNA.", where=place_of(url), mend="Give hsa.gff3 of miRBase, or a GTF of genes."
        )
    return loci


def _keys(url: str, feature: Feature) -> Iterator[str]:
    yield _text(url, feature, "Name")
    # The ID of a second copy has a number behind it; the alias is the accession in all of them.
    yield feature.find("Alias") or _text(url, feature, "ID")


def _place(feature: Feature, origin: str, name: str | None) -> Place:
    return Place(
        feature.contig, feature.start, feature.end, feature.tss, feature.strand, origin, None, name, origin
    )


def _text(url: str, feature: Feature, key: str) -> str:
    found = feature.find(key)
    if found is None:
        raise bad_line(
            url,
            feature.line,
            "attribute",
            f"The {feature.kind} has no {key}.",
            "Mend the line, or fetch the file again.",
        )
    return found
