"""A small archive with the names of the real one, in a directory that servers serve and tests change.

archive = Archive(tmp_path / "archive")
archive.add_phase3()
archive.write_tree()
"""

from __future__ import annotations

import gzip
import hashlib
import os
import random
from pathlib import Path

PHASE3 = "release/20130502"
PANEL = f"{PHASE3}/integrated_call_samples_v3.20130502.ALL.panel"
README = f"{PHASE3}/README_phase3_callset_20150220"
CONTIGS = (*(str(n) for n in range(1, 23)), "X", "Y", "MT")


def md5_of(data: bytes) -> str:
    """MD5 in hexadecimal."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def genotypes(contig: str) -> str:
    """Path of a contig's genotypes of phase 3."""
    versions = {
        "X": "shapeit2_mvncall_integrated_v1c",
        "Y": "integrated_v2b",
        "MT": "callmom-v0_4",
    }
    version = versions.get(contig, "shapeit2_mvncall_integrated_v5b")
    return f"{PHASE3}/ALL.chr{contig}.phase3_{version}.20130502.genotypes.vcf.gz"


class Archive:
    """Files below a directory, in the directory and as the tests know them.

    Args:
        root: that servers serve.

    Attributes:
        files: path → bytes.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, bytes] = {}
        root.mkdir(parents=True, exist_ok=True)

    def put(self, path: str, data: bytes | int) -> bytes:
        """Write a file, or another version of it; of a number, so many random bytes, as gzip where the name says so.

        Its time of change is a day later than that of the version before: servers tell it to the second.
        """
        if isinstance(data, int):
            data = random.Random(f"{path} {md5_of(self.files.get(path, b''))}").randbytes(data)
            data = gzip.compress(data, 0, mtime=0) if path.endswith(".gz") else data
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        before = place.stat().st_mtime if place.exists() else 1_600_000_000
        place.write_bytes(data)
        os.utime(place, (before + 86_400, before + 86_400))
        self.files[path] = data
        return data

    def remove(self, path: str) -> bytes:
        """Remove a file; gives what it was."""
        (self.root / path).unlink()
        return self.files.pop(path)

    def add_phase3(self, contigs: tuple[str, ...] = CONTIGS, size: int = 3000) -> None:
        """Add what `kgp sync phase3` stages: genotypes and indexes, the panel, a README; and a file that it does not.

        Args:
            contigs: that there are genotypes of.
            size: bytes of a contig's genotypes, before they are compressed.
        """
        for contig in contigs:
            self.put(genotypes(contig), size + len(contig))
            self.put(f"{genotypes(contig)}.tbi", 100)
        self.put(PANEL, b"sample\tpop\tsuper_pop\tgender\nHG00096\tGBR\tEUR\tmale\n")
        self.put(README, b"How the calls were made.\n")
        self.put(f"{PHASE3}/supporting/notes/NOTES.txt", b"nobody asks for this\n")

    def write_tree(self) -> None:
        """Write ``current.tree``, which states the MD5 of every file."""
        lines = [
            f"ftp/{path}\tfile\t{len(data)}\t2015-02-20 12:00:00\t{md5_of(data)}\n"
            for path, data in sorted(self.files.items())
            if path != "current.tree"
        ]
        self.put("current.tree", "".join(lines).encode())
