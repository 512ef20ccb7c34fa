"""Reads a BED of one's own phenotypes, as FastQTL, QTLtools, tensorQTL and the eQTL Catalogue write it.

It is the BED layout of `kgp.io.expression`, read by the same parser, with a person a column in the place of a run.
The place of a phenotype is its TSS, 1-based. Of an interval a base long it is that base: all these tools write
``start = tss - 1``, ``end = tss``. A longer interval is a body, whose TSS is its first base, or its last where the
strand is ``-``. QTLtools itself takes no TSS of a body: it adds the window to both ends and uses the strand for the
sign of the distance alone (``cis_read_phenotypes.cpp``, ``cis_nominal_pass.cpp``); FastQTL takes the first base on
either strand. So bodies are counted and said.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kgp.amounts import upper_first
from kgp.errors import BuildError, FormatError
from kgp.genome import ReferenceBuild, check_build
from kgp.io.expression.blocks import BadLine, Block
from kgp.io.expression.cells import find_delimiter, split_cells
from kgp.io.expression.header import read_top
from kgp.io.expression.layout import MatrixLayout, read_layout
from kgp.io.expression.lines import NO_VALUES, LineParser
from kgp.io.expression.measure import IMMEASURABLE, explain_immeasurable, find_immeasurable
from kgp.io.expression.place import BAD_PLACE, Phenotype, PlaceFinder, PlaceProblem
from kgp.io.expression.words import LEADING, fold
from kgp.io.matrix_sets import PHENOTYPE_PLACES
from kgp.io.places import Place
from kgp.io.places.landmarks import check_landmarks
from kgp.io.splits import has_end_marker, plan_splits, read_chunks
from kgp.io.urls import place_of
from kgp.tables import EQTL_PHENOTYPES

# Text that is parsed at once.
CHUNK_BYTES = 4 << 20

_GIVE_BED = (
    "Give a BED with one header line: #chr start end phenotype_id and a column a person; QTLtools' has #chr start end "
    "pid gid strand."
)


_MEND_INTERVAL = "Starts are 0-based, ends are not: a TSS has start = TSS - 1 and end = TSS."

# What the reader of a dataset's matrix advises → what to do with a BED.
_MENDS = {
    "Give an expression matrix.": _GIVE_BED,
    "Give an expression matrix as text.": _GIVE_BED,
    "Give a matrix with values.": "Give a BED with a line a phenotype.",
    "Name its run in the header.": "Name its person in the header.",
}


@dataclass(frozen=True, eq=False)
class OwnPhenotypes:
    """The phenotypes of a file, by contig in karyotype order, by start and by id.

    Args:
        rows: columns `kgp.io.matrix_sets.PHENOTYPE_PLACES`; contigs as the build names them, starts 0-based.
        values: phenotypes × samples, NaN where missing.
        sample_ids: people in the order of the file's columns.
        digest: SHA-256 of people, places and values in hex: the same for any compression, line end and order of lines.
        notes: what a person should know of the file, with counts.
    """

    rows: pa.RecordBatch
    values: NDArray[np.float64]
    sample_ids: tuple[str, ...]
    digest: str
    notes: tuple[str, ...] = ()


def read_phenotype_bed(url: str, build: ReferenceBuild) -> OwnPhenotypes:
    """Read a BED of phenotypes whole: plain, gzip or BGZF, in any order of lines.

    Args:
        url: the file, wherever it lies.
        build: of the genotypes; the file must have the same.

    Raises:
        FormatError: it is no BED, it is damaged or cut off, a person has two columns, a phenotype two lines, a line
            another number of values, or a value is neither a number nor missing (NA, NaN, empty), or beyond 1e60,
            or those of a phenotype differ by less than 1e-60.
        BuildError: a phenotype lies beyond the end of its contig, or where another build has it.
        InputError: the file can't be read.
    """
    path = place_of(url)
    layout = _read_header(url, path)
    if not layout.is_bed:
        raise FormatError(
            f"It is no BED: its first columns are {', '.join(layout.columns)}.", where=path, mend=_GIVE_BED
        )
    lines = _read_lines(layout)
    places = [_place(phenotype) for phenotype in lines.phenotypes]
    _check_places(url, lines.phenotypes, places, build)
    _check_repeated(lines, path)
    return _arrange(layout, lines, places, build)


@dataclass
class _Lines:
    """The lines of a file: phenotypes, the numbers of their lines (1-based), their values; is the last line open?"""

    phenotypes: list[Phenotype] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    values: list[NDArray[np.float64]] = field(default_factory=list)
    n_blank: int = 0
    is_open: bool = False


def _read_header(url: str, path: str) -> MatrixLayout:
    """The columns, with advice for a BED where there are none."""
    try:
        _check_header(url, path)
        return read_layout(url)
    except FormatError as problem:
        mend = _MENDS.get(problem.mend or "", problem.mend)
        raise FormatError(problem.what, where=problem.where, mend=mend) from None


def _check_header(url: str, path: str) -> None:
    """Refuse what a matrix of runs may have in its header, in words for people."""
    top = read_top(url, path)
    heading = split_cells(top.header, find_delimiter(top.header))
    where = f"{path}, line {len(top.lines)}"
    words = [fold(cell) for cell in heading]
    if [LEADING.get(word) for word in words[:3]] != ["contig", "start", "end"]:
        raise FormatError(
            f"It is no BED: its header begins with {', '.join(map(repr, heading[:4]))}.",
            where=where,
            mend=_GIVE_BED,
        )
    if all(word in LEADING or not word for word in words):
        raise FormatError(
            "Its header names no person.", where=where, mend="Name a person above each column of values."
        )
    first: dict[str, int] = {}
    for number, cell in enumerate(heading, start=1):
        if cell in first:
            raise FormatError(
                f"{cell} stands in two columns, {first[cell]} and {number}.",
                where=where,
                mend="A person has one column: leave one, or combine them.",
            )
        if cell:
            first[cell] = number


def _read_lines(layout: MatrixLayout) -> _Lines:
    """All lines; none of them may be bad."""
    (split,) = plan_splits(layout.url, n=1)
    if split.form == "bgzf" and not has_end_marker(layout.url):
        raise FormatError(
            "The end marker of BGZF is missing: it is cut off.",
            where=layout.path,
            mend="Fetch the file again, or write it anew with bgzip.",
        )
    parser = LineParser(layout, allows_missing=True)
    finder = PlaceFinder(layout, "gene")
    lines, bad, n_lines = _Lines(), list[BadLine](), 0
    for chunk in read_chunks(split, chunk_bytes=CHUNK_BYTES):
        block = parser.parse(chunk, n_lines)
        bad += block.bad + _add(lines, block, finder, n_lines)
        lines.n_blank += block.n_blank
        n_lines += len(block.lines.starts)
        lines.is_open = not chunk.data.endswith(b"\n")
    if bad:
        raise _explain(bad, layout.path)
    return lines


def _add(lines: _Lines, block: Block, finder: PlaceFinder, n_before: int) -> list[BadLine]:
    """Add the lines of a block; gives those whose place is damaged, or a value beyond all measure."""
    bad = []
    measures = find_immeasurable(block.values)
    for at, cells in enumerate(zip(*block.texts, strict=True)):
        row = int(block.rows[at])
        try:
            lines.phenotypes.append(finder.find(cells))
            lines.numbers.append(n_before + row + 1)
        except PlaceProblem as problem:
            bad.append(block.lines.reject(row, BAD_PLACE, str(problem)))
            continue
        if (kind := measures.get(at)) is not None:
            said = explain_immeasurable(kind, finder.layout, lines.phenotypes[-1].id, block.values[at])
            bad.append(block.lines.reject(row, kind, said))
    lines.values.append(block.values)
    return bad


def _explain(bad: Sequence[BadLine], path: str) -> FormatError:
    """The error of a file with bad lines: the first of them, and how many there are of each kind."""
    first = min(bad, key=lambda one: one.index)
    kinds = Counter(one.kind for one in bad).most_common()
    more = f" {len(bad):,} lines can't be read ({', '.join(f'{kind}: {n:,}' for kind, n in kinds)})."
    # Some reasons begin with the phenotype's id, which is as it is.
    is_plain = first.kind not in (BAD_PLACE, *IMMEASURABLE)
    said = upper_first(first.reason) if is_plain else first.reason
    if first.kind == NO_VALUES:
        said = said.replace(" runs", " people")
    return FormatError(
        f"{said}.{more if len(bad) > 1 else ''}",
        where=f"{path}, line {first.index + 1:,}",
        mend=_MEND_INTERVAL if said.endswith("is no interval") else "Mend the line; a missing value is NA.",
    )


def _place(phenotype: Phenotype) -> Place:
    if phenotype.place is None:
        raise FormatError(f"Phenotype {phenotype.id} has no place.", mend=_GIVE_BED)
    return phenotype.place


def _check_places(
    url: str, phenotypes: Sequence[Phenotype], places: Sequence[Place], build: ReferenceBuild
) -> None:
    """Refuse places of another build."""
    ends: dict[str, int] = {}
    for place in places:
        ends[place.source_contig] = max(place.end, ends.get(place.source_contig, 0))
    by_gene = {one.gene_id: place for one, place in zip(phenotypes, places, strict=True) if one.gene_id}
    try:
        check_build(build, where=place_of(url), last_ends=ends)
        check_landmarks(url, by_gene.get, build)
    except BuildError as problem:
        raise BuildError(
            problem.what,
            where=problem.where,
            mend=f"Phenotypes must have the genotypes' build, {build.name}: give places of that build.",
        ) from None


def _check_repeated(lines: _Lines, path: str) -> None:
    first: dict[str, int] = {}
    for phenotype, number in zip(lines.phenotypes, lines.numbers, strict=True):
        if phenotype.id in first:
            raise FormatError(
                f"Phenotype {phenotype.id} has two lines, {first[phenotype.id]:,} and {number:,}.",
                where=path,
                mend="A phenotype has one line: leave one, or give each its own id.",
            )
        first[phenotype.id] = number


def _arrange(
    layout: MatrixLayout, lines: _Lines, places: Sequence[Place], build: ReferenceBuild
) -> OwnPhenotypes:
    contigs = [build.canonical(place.source_contig) or place.source_contig for place in places]
    ids = [phenotype.id for phenotype in lines.phenotypes]
    order = sorted(
        range(len(ids)), key=lambda i: (build.sort_index(contigs[i]), contigs[i], places[i].start, ids[i])
    )
    columns: dict[str, list[object]] = {
        "contig": [contigs[i] for i in order],
        "phenotype_id": [ids[i] for i in order],
        **{name: [getattr(places[i], name) for i in order] for name in ("start", "end", "tss", "strand")},
        **{
            name: [getattr(lines.phenotypes[i], name) for i in order]
            for name in ("gene_id", "gene_name", "group_id")
        },
    }
    schema = pa.schema([EQTL_PHENOTYPES.arrow_schema.field(name) for name in PHENOTYPE_PLACES])
    rows = pa.RecordBatch.from_pydict({name: columns[name] for name in PHENOTYPE_PLACES}, schema=schema)
    values = np.concatenate(lines.values)[order]
    return OwnPhenotypes(
        rows,
        values,
        layout.runs,
        _digest(layout.runs, rows, values),
        _notes(layout, lines, rows, values, build),
    )


def _digest(sample_ids: Sequence[str], rows: pa.RecordBatch, values: NDArray[np.float64]) -> str:
    digest = hashlib.sha256(json.dumps([list(sample_ids), rows.to_pylist()], sort_keys=True).encode())
    # One NaN, and one zero, for all that a file may spell.
    plain = np.where(np.isnan(values), np.nan, values + 0.0).astype("<f8")
    digest.update(np.ascontiguousarray(plain).tobytes())
    return digest.hexdigest()


def _notes(
    layout: MatrixLayout,
    lines: _Lines,
    rows: pa.RecordBatch,
    values: NDArray[np.float64],
    build: ReferenceBuild,
) -> tuple[str, ...]:
    notes = [f"{n:,} × {what}" for what, n in layout.warnings.items()]
    if lines.n_blank:
        notes.append(f"{lines.n_blank:,} blank lines")
    if lines.is_open:
        notes.append("the last line has no line end: is the file whole?")
    if n := int(np.isnan(values).sum()):
        notes.append(f"{n:,} missing values")
    n_bodies = int((rows["end"].to_numpy() - rows["start"].to_numpy() > 1).sum())
    if n_bodies:
        notes.append(
            f"{n_bodies:,} phenotypes are longer than a base: the window is put around the TSS, which is the first "
            "base, or the last on the strand -; QTLtools puts it around the whole interval"
        )
    unknown = [contig for contig in rows["contig"].to_pylist() if build.canonical(contig) is None]
    if unknown:
        notes.append(
            f"{len(unknown):,} phenotypes lie on contigs that {build.name} does not have ({unknown[0]})"
        )
    return tuple(notes)
