"""A VCF file with its index, put together from BGZF pieces aside and moved into place when it is whole."""

from __future__ import annotations

import filecmp
import gzip
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pysam

from kgp.errors import InputError, LakeError, UsageError
from kgp.io.bgzf import compress_blocks
from kgp.io.exports import aside_for_out
from kgp.io.inflate import END_MARKER
from kgp.io.vcf.writer import EXPORT_KEY

if TYPE_CHECKING:
    from pyspark.sql import Row

# The greatest position that a .tbi can hold; a .csi holds greater ones.
_MOST_TBI = (1 << 29) - 1


class VcfFile:
    """The file that an export writes.

    Args:
        path: a local path.

    Raises:
        UsageError: the path is not local, or a directory.
    """

    def __init__(self, path: str) -> None:
        if "://" in path and not path.startswith("file://"):
            raise UsageError(
                f"{path} is no local file.",
                where="--out",
                mend="Export to a local file and copy it from there.",
            )
        self.path = Path(path.removeprefix("file://")).absolute()
        if self.path.is_dir():
            raise UsageError(f"{path} is a directory.", where="--out", mend="Name a file.")

    @property
    def indices(self) -> tuple[Path, Path]:
        """Where its index lies: one of the two."""
        tbi, csi = (self.path.with_name(f"{self.path.name}.{end}") for end in ("tbi", "csi"))
        return tbi, csi

    def holds(self, export: str) -> bool:
        """Whether a whole file of this very export lies there, with its index."""
        if not self.path.is_file() or not any(index.is_file() for index in self.indices):
            return False
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - len(END_MARKER)))
            if file.read() != END_MARKER:
                return False
        try:
            with gzip.open(self.path, "rt", encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    if line.startswith(EXPORT_KEY) or not line.startswith("##"):
                        return line.rstrip("\n") == EXPORT_KEY + export
        except (OSError, EOFError, zlib.error):
            pass
        return False

    def refuse_other(self) -> None:
        """Refuse to write over a file.

        Raises:
            LakeError: there is one.
        """
        if self.path.exists():
            raise LakeError(
                "There is another file, or one of other rows.",
                where=str(self.path),
                mend="Name another one with --out, or write over it with --replace.",
            )

    @contextmanager
    def aside(self) -> Iterator[Pieces]:
        """Where pieces are collected; gone at the end, finished or not.

        Raises:
            UsageError: there can be no directory for the file.
        """
        with aside_for_out(self.path.parent, f".{self.path.name}.kgp-") as directory:
            yield Pieces(directory)

    def put_in_place(self, header: bytes, pieces: Pieces, contigs: Iterable[str]) -> bool:
        """Put the file together, index it and move both into place.

        Args:
            header: text of the header.
            pieces: what was collected.
            contigs: the contigs in their order.

        Returns:
            whether another file, or none, was there before.

        Raises:
            InputError: htslib can't index it.
        """
        whole = pieces.directory / self.path.name
        with whole.open("wb") as out:
            out.write(compress_blocks(header))
            for contig in contigs:
                with pieces.path(contig).open("rb") as piece:
                    shutil.copyfileobj(piece, out, 1 << 20)
            out.write(END_MARKER)
        is_long = pieces.last_end > _MOST_TBI
        before = pysam.set_verbosity(0)  # htslib would say on standard error that an END lies before its POS
        try:
            pysam.tabix_index(str(whole), preset="vcf", csi=is_long, force=True)
        except OSError as problem:
            raise InputError(
                f"htslib can't index it: {problem}.",
                where=str(self.path),
                mend="This is a defect of kgp: please report it.",
            ) from problem
        finally:
            pysam.set_verbosity(before)
        index, other = reversed(self.indices) if is_long else self.indices
        is_new = not self.path.exists() or not filecmp.cmp(whole, self.path, shallow=False)
        if is_new:
            whole.replace(self.path)
        (pieces.directory / index.name).replace(index)
        os.utime(index)  # an index that is older than its file is warned about
        other.unlink(missing_ok=True)
        return is_new


@dataclass
class Pieces:
    """BGZF blocks of each contig, in files of their own until all are there.

    Args:
        directory: where the files lie.
        n_records: records of each contig.
        last_end: greatest end of a record, 0-based exclusive.
        has_genotypes: whether any record has a GT.
    """

    directory: Path
    n_records: dict[str, int] = field(default_factory=dict)
    last_end: int = 0
    has_genotypes: bool = False

    def path(self, contig: str) -> Path:
        """The file of a contig; its number is its name, as a contig's name can be any text."""
        return self.directory / f"piece-{list(self.n_records).index(contig)}"

    def add(self, rows: Iterable[Row]) -> None:
        """Add rows of `kgp.io.vcf.stretches.PIECES`, in the order of their places."""
        for row in rows:
            self.n_records[row.contig] = self.n_records.get(row.contig, 0) + row.n_records
            self.last_end = max(self.last_end, row.last_end)
            self.has_genotypes |= row.has_genotypes
            with self.path(row.contig).open("ab") as file:
                file.write(row.data)
