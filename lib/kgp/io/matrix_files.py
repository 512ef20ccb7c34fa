"""A matrix set as it is exported, and what all formats share: text files, BEDs, covariates, one section or many.

Nothing is held but a stretch of the genotypes and the phenotypes of one contig; see `kgp.io.matrix_stretches`. Where
covariates are of one contig each (components without that contig), phenotypes and covariates are written a contig in
files of their own, so that no tool can take the covariates of another.
"""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa
import pysam

from kgp.genome import ReferenceBuild
from kgp.io import matrix_text as text
from kgp.io.bgzf import BLOCK_TEXT, compress_blocks
from kgp.io.inflate import END_MARKER
from kgp.io.matrix_sets import Floats, PhenotypeRows, arrange_covariates, read_phenotypes
from kgp.io.matrix_stretches import Make, Stretch, has_expected_dosages, make_pieces, plan_stretches
from kgp.io.parts import TablePart

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Values of phenotypes that are made text at once.
BLOCK_VALUES = 1_000_000


@dataclass(frozen=True)
class Section:
    """Phenotypes that are mapped with the same covariates.

    Args:
        contig: of the phenotypes; None where one section has all.
    """

    contig: str | None = None

    def name(self, stem: str, ending: str) -> str:
        """A file's name in this section.

        >>> Section("22").name("covariates", ".txt"), Section().name("covariates", ".txt")
        ('covariates.22.txt', 'covariates.txt')
        """
        return f"{stem}{ending}" if self.contig is None else f"{stem}.{self.contig}{ending}"


@dataclass(frozen=True)
class MatrixSet:
    """A set as it is exported.

    Args:
        row: its row of `eqtl_matrices`.
        build: its reference build.
        genotypes: row groups of its rows of `eqtl_genotypes`, each a part.
        phenotypes: parts of its rows of `eqtl_phenotypes`.
        covariates: its rows of `eqtl_covariates`.
        sexes: person → male, female or None.
        start_spark: gives the session, which large sets need.
    """

    row: Mapping[str, Any]
    build: ReferenceBuild
    genotypes: Sequence[TablePart]
    phenotypes: Sequence[TablePart]
    covariates: Sequence[Mapping[str, Any]]
    sexes: Mapping[str, str | None]
    start_spark: Callable[[], SparkSession]

    @cached_property
    def sample_ids(self) -> list[str]:
        """People in the set's order."""
        return list(self.row["sample_ids"])

    @property
    def n_samples(self) -> int:
        """How many people."""
        return len(self.sample_ids)

    @cached_property
    def stretches(self) -> list[Stretch]:
        """Its genotypes in order."""
        return plan_stretches(self.genotypes, self.build, self.n_samples)

    @cached_property
    def is_expected(self) -> bool:
        """Whether its dosages are expected ones."""
        return has_expected_dosages(self.stretches)

    @property
    def window(self) -> str:
        """Bases around a TSS, as a tool's option takes it."""
        return str(self.row["parameters"]["cis_window"])

    @cached_property
    def variant_contigs(self) -> list[str]:
        """Contigs of the variants in karyotype order."""
        return list(dict.fromkeys(stretch.contig for stretch in self.stretches))

    @cached_property
    def contigs(self) -> list[str]:
        """Contigs of the phenotypes in karyotype order."""
        found = {part.values["contig"] or "" for part in self.phenotypes}
        return sorted(found, key=lambda contig: (self.build.sort_index(contig), contig))

    @property
    def has_x(self) -> bool:
        """Whether there are variants on X."""
        return any(contig.removeprefix("chr") == "X" for contig in self.variant_contigs)

    @property
    def x_model(self) -> str | None:
        """How hemizygous men are counted: 0_2 or 0_1; None where there are no variants on X."""
        return str(self.row["parameters"].get("x_model", "0_2")) if self.has_x else None

    @cached_property
    def sections(self) -> list[Section]:
        """One with all phenotypes, or one a contig where a covariate is of one contig."""
        if all(row.get("contig") is None for row in self.covariates):
            return [Section()]
        return [Section(contig) for contig in self.contigs]

    def read_contig(self, contig: str) -> PhenotypeRows:
        """The phenotypes of a contig by TSS and id."""
        parts = [part for part in self.phenotypes if part.values["contig"] == contig]
        found = read_phenotypes(parts, self.n_samples)
        ids = found.rows.column("phenotype_id").to_numpy(zero_copy_only=False)
        return found.take(np.lexsort((ids, found.rows.column("tss").to_numpy())))

    def read_section(self, section: Section) -> Iterator[PhenotypeRows]:
        """The phenotypes of a section, a contig at a time."""
        for contig in self.contigs if section.contig is None else [section.contig]:
            yield self.read_contig(contig)

    def read_covariates(self, section: Section) -> tuple[list[str], Floats]:
        """Names, without blanks, and samples × covariates of a section."""
        names, values = arrange_covariates(self.covariates, self.n_samples, section.contig)
        return [re.sub(r"\s+", "_", name) for name in names], values

    def make_pieces(self, make: Make) -> Iterator[tuple[bytes, ...]]:
        """What a function makes of the genotypes, a window at a time, in order."""
        return make_pieces(self.stretches, make, int(self.row["n_variants"]), self.start_spark)


@dataclass
class Written:
    """What was written.

    Args:
        rows: file name → rows.
        counts: variants and phenotypes, each counted once.
        n_filled: missing values of phenotypes that were filled in, as the tool takes none.
        notes: what a person should know.
    """

    rows: dict[str, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    n_filled: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ExportFiles:
    """A format: how its files are written, and how its tools are run on them.

    Args:
        write: writes the files of a set into a directory.
        list_commands: command lines, of a set and of what gives the quoted path of a file.
        files: what the files are, for the README.
    """

    write: Callable[[MatrixSet, Path], Written]
    list_commands: Callable[[MatrixSet, Callable[[str], str]], list[str]]
    files: str


class TextFile:
    """A text file: BGZF where its name ends in .gz, else plain.

    Args:
        path: where it is written.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb")
        self._is_bgzf = path.suffix == ".gz"
        self._waiting: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Write text."""
        if not self._is_bgzf:
            self._file.write(data)
            return
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= 16 * BLOCK_TEXT:
            whole = b"".join(self._waiting)
            cut = len(whole) // BLOCK_TEXT * BLOCK_TEXT
            self._file.write(compress_blocks(memoryview(whole)[:cut]))
            self._waiting, self._size = [whole[cut:]], len(whole) - cut

    def write_blocks(self, blocks: bytes) -> None:
        """Write BGZF blocks that were made elsewhere."""
        self._flush()
        self._file.write(blocks)

    def _flush(self) -> None:
        self._file.write(compress_blocks(b"".join(self._waiting)))
        self._waiting, self._size = [], 0

    def __enter__(self) -> TextFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_bgzf and kind is None:
            self._flush()
            self._file.write(END_MARKER)
        self._file.close()


def write_bed(
    matrices: MatrixSet,
    section: Section,
    path: Path,
    columns: Sequence[str],
    written: Written,
    *,
    fills_missing: bool = False,
) -> None:
    """Write the phenotypes of a section as a BED with its index.

    Args:
        matrices: the set.
        section: which phenotypes.
        path: the file.
        columns: leading columns.
        written: what is added to.
        fills_missing: whether a missing value is written as the mean of its phenotype.
    """
    n = 0
    with TextFile(path) as out:
        out.write(text.bed_header(columns, matrices.sample_ids))
        for found in matrices.read_section(section):
            for block in blocks_of(found):
                values, n_filled = text.fill_with_means(block.values) if fills_missing else (block.values, 0)
                out.write(text.bed_lines(PhenotypeRows(block.rows, values), columns))
                written.n_filled += n_filled
            n += len(found)
    pysam.tabix_index(str(path), preset="bed", force=True)
    written.rows[path.name] = n


def write_covariates(matrices: MatrixSet, section: Section, path: Path, written: Written) -> None:
    """Write covariates × samples, ``id`` first, gzipped where the name ends in .gz; no file where there are none."""
    names, values = matrices.read_covariates(section)
    if not names:
        return
    data = text.bed_header(["id"], matrices.sample_ids) + text.value_lines(names, values.T)
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    written.rows[path.name] = len(names)


def blocks_of(found: PhenotypeRows) -> Iterator[PhenotypeRows]:
    """Phenotypes, a block at a time."""
    n = max(1, BLOCK_VALUES // max(1, found.values.shape[1]))
    for begin in range(0, len(found), n):
        yield PhenotypeRows(found.rows.slice(begin, n), found.values[begin : begin + n])


def constant_lines(rows: pa.RecordBatch, names: Sequence[str]) -> bytes:
    """Some columns of rows as lines with tabs between the cells."""
    columns = [rows.column(name).to_pylist() for name in names]
    return "".join("\t".join(map(str, cells)) + "\n" for cells in zip(*columns, strict=True)).encode()
