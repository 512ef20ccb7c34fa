"""Genotypes, expression and covariates as tests of the mapping read and write them: without kgp's readers."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pysam


@dataclass(frozen=True)
class Cis:
    """A region's genotypes and phenotypes, the people in the order of the VCF.

    Args:
        samples: ids.
        ids: of the variants.
        positions: of the variants, 1-based.
        genotypes: variants × samples, number of ALT alleles.
        genes: ids.
        tss: of the genes, 1-based.
        expression: genes × samples.
        windows: genes × 2: variants within a million bases of the TSS.
    """

    samples: list[str]
    ids: list[str]
    positions: np.ndarray
    genotypes: np.ndarray
    genes: list[str]
    tss: np.ndarray
    expression: np.ndarray

    @property
    def windows(self) -> np.ndarray:
        first = np.searchsorted(self.positions, self.tss - 1_000_000, side="left")
        return np.column_stack([first, np.searchsorted(self.positions, self.tss + 1_000_000, side="right")])

    @property
    def distances(self) -> list[np.ndarray]:
        return [self.positions[a:b] - tss for (a, b), tss in zip(self.windows, self.tss, strict=True)]


def read_cis(vcf: Path, bed: Path, start: int = 0, end: int = 1 << 29) -> Cis:
    """Genes with their TSS in a region of chr22 (1-based, inclusive), and the variants within a million bases of it."""
    with pysam.TabixFile(str(vcf)) as file:
        samples = file.header[-1].split("\t")[9:]
        rows = [
            (position, name, calls)
            for fields in (line.split("\t", 9) for line in file.fetch("chr22", max(0, start - 1_000_001)))
            for position, name, calls in [(int(fields[1]), fields[2], fields[9])]
            if position <= end + 1_000_000
        ]
    genotypes = np.empty((len(rows), len(samples)), np.int8)
    for i, (_, _, calls) in enumerate(rows):
        text = np.frombuffer("".join(call[:3] for call in calls.split("\t")).encode(), np.uint8)
        genotypes[i] = text[0::3] + text[2::3] - 2 * ord("0")
    assert set(np.unique(genotypes)) <= {0, 1, 2}
    with gzip.open(bed, "rt") as lines:
        header = next(lines).split()
        order = [header.index(sample) for sample in samples]
        chosen = [fields for fields in (line.split() for line in lines) if start <= int(fields[2]) <= end]
    return Cis(
        samples,
        [name for _, name, _ in rows],
        np.array([position for position, _, _ in rows]),
        genotypes,
        [fields[3] for fields in chosen],
        np.array([int(fields[2]) for fields in chosen]),
        np.array([[float(fields[j]) for j in order] for fields in chosen]),
    )


def read_covariates(path: Path, samples: list[str]) -> np.ndarray:
    """Samples × covariates of a file with a row a covariate."""
    with gzip.open(path, "rt") as lines:
        header = next(lines).split()
        order = [header.index(sample) for sample in samples]
        return np.array([[float(fields[j]) for j in order] for fields in map(str.split, lines) if fields]).T


def write_bed(path: Path, cis: Cis) -> Path:
    """The expression as FastQTL reads it, compressed and with its index; the path of that."""
    lines = ["\t".join(["#chr", "start", "end", "id", *cis.samples]) + "\n"]
    for gene, tss, values in zip(cis.genes, cis.tss, cis.expression, strict=True):
        lines.append("\t".join(["chr22", str(tss - 1), str(tss), gene, *map(repr, values.tolist())]) + "\n")
    path.write_text("".join(lines))
    return Path(pysam.tabix_index(str(path), preset="bed", force=True))


def write_covariates(path: Path, samples: list[str], covariates: np.ndarray, separator: str) -> None:
    """A row a covariate: blanks between the values for QTLtools, tabs for FastQTL."""
    rows = [["id", *samples], *([f"c{k}", *column] for k, column in enumerate(covariates.T))]
    path.write_text("".join(separator.join(map(str, row)) + "\n" for row in rows))
