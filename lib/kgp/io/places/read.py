"""Reads an annotation of any form, told by its content."""

from __future__ import annotations

from collections import Counter
from itertools import chain

from kgp.errors import BuildError, FormatError
from kgp.genome import ReferenceBuild, check_build
from kgp.io.places.gtf import FROM_EXONS, read_gtf
from kgp.io.places.header import Origin, read_origin
from kgp.io.places.landmarks import check_landmarks
from kgp.io.places.loci import Loci
from kgp.io.places.mirna import read_mirbase
from kgp.io.places.model import Annotation
from kgp.io.places.probes import find_design, read_probes
from kgp.io.places.tables import find_columns, read_table
from kgp.io.places.text import read_lines
from kgp.io.urls import place_of

_MOST_PREAMBLE = 500
_FEATURE_COLUMNS = 8  # nine, and one that lacks a column is a GTF all the same
_IGNORED = ("#", "track ", "track\t", "browser ")
_FORMS = (
    "Give a GTF, miRBase's GFF3, a BED (contig, start, end, id, …), an array design, or a table with phenotype_id, "
    "contig, start, end, strand."
)


def read_annotation(url: str, *, kind: str, build: ReferenceBuild) -> Annotation:
    """Read where phenotypes lie: from a GTF, miRBase's GFF3, a BED, a table or an array design, compressed or not.

    Args:
        url: local path or fsspec URL.
        kind: gene, transcript, exon, mirna or probe.
        build: reference build that the places are to be on.

    Raises:
        BuildError: the file says, or its places show, that they are on another build.
        FormatError: it has none of these forms, a line of it is wrong, or it is cut off.
        InputError: there is no such file, or it may not be read.
    """
    comments, number, first = _read_start(url)
    origin = read_origin(url, comments)
    origin.check(url, build)
    if _is_features(first):
        return _read_features(url, kind, build, origin, is_mirbase=_is_mirbase(comments, first))
    if (
        kind == "probe"
        and find_columns(first) is None
        and (annotation := _read_design(url, build, origin)) is not None
    ):
        return annotation
    return _read_table(url, kind, build, origin, number, first)


def _read_start(url: str) -> tuple[list[str], int, str]:
    """The comment lines at the beginning, and the first line behind them with its number."""
    comments: list[str] = []
    for number, line in read_lines(url):
        if not line.startswith(_IGNORED) or find_columns(line) is not None:
            return comments, number, line
        comments.append(line)
    raise FormatError("It has no line but comments.", where=place_of(url), mend=_FORMS)


def _is_features(line: str) -> bool:
    cells = line.split("\t")
    return (
        len(cells) >= _FEATURE_COLUMNS
        and not cells[2].isdecimal()
        and find_columns(line) is None
        and (cells[6].strip() in ("+", "-", ".", "?") or cells[5].strip() in ("+", "-"))
    )


def _is_mirbase(comments: list[str], first: str) -> bool:
    return "\tmiRNA_primary_transcript\t" in first or any("miRBase" in line for line in comments)


def _read_features(
    url: str, kind: str, build: ReferenceBuild, origin: Origin, *, is_mirbase: bool
) -> Annotation:
    if kind == "probe" or (is_mirbase and kind != "mirna"):
        raise FormatError(
            f"It has {'miRNAs' if is_mirbase else 'genes'}, no {kind}s.",
            where=place_of(url),
            mend="Give the array design (ADF) with --design, too, or a table of probes."
            if kind == "probe"
            else "Give a GTF of genes.",
        )
    if is_mirbase:
        return _finish(url, kind, build, origin, read_mirbase(url, build))
    found = read_gtf(url, kind, build)
    more = {FROM_EXONS.format(what): n for what, n in found.n_from_exons.items()}
    return _finish(url, kind, build, origin, found.loci, found.genes, Counter(more))


def _read_design(url: str, build: ReferenceBuild, origin: Origin) -> Annotation | None:
    """The places of an array design, or None where the file is none."""
    lines = read_lines(url)
    for number, line in lines:
        design = find_design(number, line)
        if design is not None:
            stated = Origin(origin.name, design.stated or origin.stated)
            stated.check(url, build)
            loci, warnings = read_probes(url, lines, design, build)
            return _finish(url, "probe", build, stated, loci, warnings=warnings)
        if number > _MOST_PREAMBLE:
            break
    return None


def _read_table(
    url: str, kind: str, build: ReferenceBuild, origin: Origin, number: int, first: str
) -> Annotation:
    columns = find_columns(first)
    if columns is None:
        hint = "" if "\t" in first else " Its columns are not separated by tabs."
        raise FormatError(
            f"It has none of the forms that tell places.{hint}",
            where=f"{place_of(url)}, line {number:,}",
            mend=_FORMS,
        )
    rows = (
        (n, line)
        for n, line in read_lines(url)
        if n >= number + columns.has_names and not line.startswith(_IGNORED)
    )
    return _finish(url, kind, build, origin, read_table(url, rows, columns, kind, build))


def _finish(
    url: str,
    kind: str,
    build: ReferenceBuild,
    origin: Origin,
    loci: Loci,
    genes: Loci | None = None,
    warnings: Counter[str] | None = None,
) -> Annotation:
    """Check the build by the places themselves, and count."""
    parts = [loci] if genes is None or genes is loci else [genes, loci]
    for part in parts:
        check_build(build, where=place_of(url), last_ends=part.last_ends)
    if all(build.canonical(contig) is None for contig in chain(*(part.last_ends for part in parts))):
        some = ", ".join(list(parts[0].last_ends)[:3])
        raise BuildError(
            f"None of its contigs ({some}, …) is one of {build.name}.",
            where=place_of(url),
            mend="Give an annotation whose contigs are named 22 or chr22, as GENCODE's and Ensembl's are.",
        )
    is_shown = check_landmarks(url, lambda id: parts[0].find(id)[0], build)
    total = Counter(warnings or {})
    for part in parts:
        total.update(part.warnings)
    counts = (
        {f"{kind}s": loci.n_ids} if len(parts) == 1 else {"genes": parts[0].n_ids, f"{kind}s": loci.n_ids}
    )
    return Annotation(
        origin.name,
        build.name if is_shown or origin.stated is not None else None,
        kind,
        counts,
        dict(+total),
        loci,
        None if len(parts) == 1 else genes,
    )
