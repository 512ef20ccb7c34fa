"""Writes a realistic genotype file of the 1000 Genomes Project's phase 3, as large as wanted, the same each time.

    python make_vcf.py --rows 50000 --out build/bench/phase3-50k.vcf.gz

What is realistic, because it decides how fast a reader is:

- the header, the samples and the INFO of a phase 3 release file; the people are the release's 2,504;
- allele counts k = 1 … 2N-1 are drawn ∝ 1/k, as in a population of constant size without selection (Watterson
  1975), and the counts in INFO are counted from the genotypes;
- the carriers of an allele are relatives: haplotypes stand on a circle of ancestry whose order holds within a block
  of linkage and drifts by recombination, and an allele is carried by an arc of it. So neighbouring rows repeat each
  other and populations differ, and the file shrinks under gzip about as much as a release file of that spectrum;
- mostly SNPs, some indels and structural variants, a few rows with several ALTs.

A file of n rows begins with all the rows of a file of m < n rows and the same seed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pysam

ROOT = Path(__file__).resolve().parents[2]
PANEL = ROOT / "tests" / "data" / "geuvadis-chr22" / "samples.panel"

CONTIG, CONTIG_LENGTH, FIRST_POS = "22", 51_304_566, 16_050_075
SUPERPOPULATIONS = ("EAS", "AMR", "AFR", "EUR", "SAS")  # in INFO's order
ANCESTRY = ("AFR", "AMR", "EUR", "SAS", "EAS")  # around the circle

BLOCK_ROWS = 500  # rows of one block of linkage, about 16 kb
RECOMBINE_ROWS = 10  # rows between two recombinations
RECOMBINE_SHARE = 0.02  # share of the haplotypes that one moves
SPREAD = 0.22  # standard deviation of a haplotype's place around its population's, in turns of the circle
MEAN_GAP = 32  # bases between rows, as in the release
MULTIALLELIC, INDELS, STRUCTURAL, NAMED, TARGETS = 0.004, 0.045, 0.0005, 0.6, 0.02

BASES = np.array(list("ACGT"))
# Transitions are twice as frequent as transversions.
OTHERS = {"A": "GGCT", "C": "TTAG", "G": "AACT", "T": "CCAG"}


@dataclass(frozen=True)
class People:
    """The samples of the file.

    Args:
        ids: sample ids in the file's order.
        groups: superpopulation × sample, 1 where the sample belongs to it.
        places: a sample's population on the circle of ancestry, in turns [0, 1).
    """

    ids: list[str]
    groups: np.ndarray
    places: np.ndarray


def read_people(n: int, panel: Path = PANEL) -> People:
    """`n` of the release's people, evenly spaced over its order.

    Raises:
        ValueError: the release has fewer.
    """
    rows = [line.split() for line in panel.read_text().splitlines()[1:]]
    if not 1 <= n <= len(rows):
        raise ValueError(f"{n} samples: the release has {len(rows)}")
    chosen = [rows[i * len(rows) // n] for i in range(n)]
    populations = sorted({(ANCESTRY.index(row[2]), row[1]) for row in rows})
    place = {population: i / len(populations) for i, (_, population) in enumerate(populations)}
    return People(
        ids=[row[0] for row in chosen],
        groups=np.array([[row[2] == g for row in chosen] for g in SUPERPOPULATIONS], np.int32),
        places=np.array([place[row[1]] for row in chosen]),
    )


def header(ids: list[str]) -> str:
    """The header of a phase 3 release file."""
    flag, one, per_alt = "Number=0,Type=Flag", "Number=1,Type=", "Number=A,Type="
    info = [
        ("CIEND", "Number=2,Type=Integer", "Confidence interval around END for imprecise variants"),
        ("CIPOS", "Number=2,Type=Integer", "Confidence interval around POS for imprecise variants"),
        ("CS", one + "String", "Source call set."),
        ("END", one + "Integer", "End coordinate of this variant"),
        ("IMPRECISE", flag, "Imprecise structural variation"),
        ("SVLEN", "Number=.,Type=Integer", "Difference in length between REF and ALT alleles"),
        ("SVTYPE", one + "String", "Type of structural variant"),
        ("AC", per_alt + "Integer", "Total number of alternate alleles in called genotypes"),
        ("AF", per_alt + "Float", "Estimated allele frequency in the range (0,1)"),
        ("NS", one + "Integer", "Number of samples with data"),
        ("AN", one + "Integer", "Total number of alleles in called genotypes"),
        *(
            (f"{g}_AF", per_alt + "Float", f"Allele frequency in the {g} populations, in the range (0,1)")
            for g in SUPERPOPULATIONS
        ),
        ("DP", one + "Integer", "Total read depth; only low coverage data were counted"),
        ("AA", one + "String", "Ancestral Allele. Format: AA|REF|ALT|IndelType"),
        ("VT", "Number=.,Type=String", "indicates what type of variant the line represents"),
        ("EX_TARGET", flag, "indicates whether a variant is within the exon pull down target boundaries"),
        ("MULTI_ALLELIC", flag, "indicates whether a site is multi-allelic"),
    ]
    return "\n".join(
        [
            "##fileformat=VCFv4.1",
            '##FILTER=<ID=PASS,Description="All filters passed">',
            "##fileDate=20150218",
            "##source=1000GenomesPhase3Pipeline",
            f"##contig=<ID={CONTIG},assembly=b37,length={CONTIG_LENGTH}>",
            '##ALT=<ID=DEL,Description="Deletion">',
            '##ALT=<ID=DUP,Description="Duplication">',
            *(f'##ALT=<ID=CN{n},Description="Copy number allele: {n} copies">' for n in range(125)),
            '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
            *(f'##INFO=<ID={i},{kind},Description="{text}">' for i, kind, text in info),
            "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *ids]) + "\n",
        ]
    )


def draw_counts(rng: np.random.Generator, size: int, chromosomes: int) -> np.ndarray:
    """Allele counts 1 … chromosomes-1 with probability ∝ 1/count."""
    weights = np.cumsum(1 / np.arange(1, chromosomes))
    return 1 + np.searchsorted(weights, rng.random(size) * weights[-1], side="right")


def _alleles(rng: np.random.Generator, rows: int, people: People) -> tuple[np.ndarray, np.ndarray]:
    """(rows × 2N allele indices, number of ALTs of each row) of one block of linkage."""
    chromosomes = 2 * len(people.ids)
    place = np.repeat(people.places, 2) + rng.normal(0, SPREAD, chromosomes)
    counts = draw_counts(rng, rows, chromosomes)
    first = rng.integers(0, chromosomes, rows)
    n_alts = np.ones(rows, np.int64)
    n_alts[rng.random(rows) < MULTIALLELIC] = 2
    alleles = np.empty((rows, chromosomes), np.int8)
    for begin in range(0, rows, RECOMBINE_ROWS):
        moved = np.flatnonzero(rng.random(chromosomes) < RECOMBINE_SHARE)
        place[moved] = np.repeat(people.places, 2)[moved] + rng.normal(0, SPREAD, moved.size)
        rank = np.empty(chromosomes, np.int32)
        rank[np.argsort(place % 1, kind="stable")] = np.arange(chromosomes, dtype=np.int32)
        part = slice(begin, begin + RECOMBINE_ROWS)
        alleles[part] = (rank[None, :] - first[part, None]) % chromosomes < counts[part, None]
    for row in np.flatnonzero(n_alts == 2):
        # The second ALT is a recurrent mutation; an arc of one haplotype has no room for it.
        carriers = rng.permutation(np.flatnonzero(alleles[row]))
        if carriers.size == 1:
            n_alts[row] = 1
        else:
            alleles[row, carriers[: max(1, carriers.size // 3)]] = 2
    return alleles, n_alts


def _frequencies(counts: np.ndarray, total: int) -> str:
    return ",".join(f"{round(n / total, 4) if total else 0:g}" for n in counts)


def _site(
    rng: np.random.Generator, pos: int, counts: np.ndarray, by_group: np.ndarray, sizes: np.ndarray, n: int
) -> str:
    """The first nine columns of a row with that many ALTs.

    Args:
        counts: copies of each ALT.
        by_group: copies of each ALT in each superpopulation.
        sizes: chromosomes in each superpopulation.
        n: samples.
    """
    ref = str(rng.choice(BASES))
    kind, extra = "SNP", ""
    draw = rng.random()
    if len(counts) > 1:
        alts = rng.permutation(sorted(set(OTHERS[ref])))[: len(counts)].tolist()
        ancestral = f"{ref}|||"
    elif draw < STRUCTURAL:
        length = int(rng.integers(200, 20_000))
        alts, kind, ancestral = ["<CN0>"], "SV", ""
        extra = f";CS=DEL_union;END={pos + length};SVLEN=-{length};SVTYPE=DEL"
    elif draw < STRUCTURAL + INDELS:
        longer = ref + "".join(rng.choice(BASES, int(rng.geometric(0.4))))
        alts, kind, ancestral = [longer], "INDEL", "|||unknown(NO_COVERAGE)"
        if rng.random() < 0.6:
            ref, alts = longer, [ref]
    else:
        alts = [OTHERS[ref][rng.integers(4)]]
        ancestral = rng.choice([ref, ref.lower(), ".", alts[0]], p=[0.6, 0.25, 0.1, 0.05]) + "|||"
    name = f"rs{rng.integers(10**5, 6 * 10**8)}" if rng.random() < NAMED else "."
    fields = [
        "AC=" + ",".join(map(str, counts)),
        "AF=" + ",".join(f"{k / (2 * n):g}" for k in counts),
        f"AN={2 * n}",
        f"NS={n}",
        f"DP={int(rng.normal(7.4 * n, 0.9 * n)) if n > 1 else 7}",
        *(f"{g}_AF={_frequencies(by_group[i], int(sizes[i]))}" for i, g in enumerate(SUPERPOPULATIONS)),
    ]
    info = ";".join(fields) + extra + (f";AA={ancestral}" if ancestral else "") + f";VT={kind}"
    info += ";EX_TARGET" if rng.random() < TARGETS else ""
    info += ";MULTI_ALLELIC" if len(counts) > 1 else ""
    return "\t".join([CONTIG, str(pos), name, ref, ",".join(alts), "100", "PASS", info, "GT", ""])


def lines(rows: int, people: People, seed: int) -> Iterator[bytes]:
    """The rows, a block of linkage at a time."""
    n = len(people.ids)
    sizes = 2 * people.groups.sum(axis=1)
    membership = np.repeat(people.groups, 2, axis=1).astype(np.float32).T
    pos = FIRST_POS
    for block, begin in enumerate(range(0, rows, BLOCK_ROWS)):
        rng = np.random.default_rng([seed, block])
        alleles, n_alts = _alleles(rng, BLOCK_ROWS, people)
        text = np.full((BLOCK_ROWS, n, 4), ord("\t"), np.uint8)
        text[:, :, 0] = alleles[:, 0::2] + ord("0")
        text[:, :, 1] = ord("|")
        text[:, :, 2] = alleles[:, 1::2] + ord("0")
        text[:, -1, 3] = ord("\n")
        by_alt = [((alleles == a).astype(np.float32) @ membership).astype(np.int64) for a in (1, 2)]
        gaps = rng.geometric(1 / MEAN_GAP, BLOCK_ROWS)
        whole = []
        for row in range(min(BLOCK_ROWS, rows - begin)):
            by_group = np.stack([by_alt[a][row] for a in range(n_alts[row])], axis=1)
            site = _site(rng, pos, by_group.sum(axis=0), by_group, sizes, n)
            whole += [site.encode(), text[row].tobytes()]
            pos += int(gaps[row])
        yield b"".join(whole)


def write_vcf(out: Path, *, rows: int, samples: int = 2504, seed: int = 1) -> None:
    """Write the file, bgzipped, and its tabix index beside it; either is whole or not there.

    Raises:
        ValueError: more samples than the release has, or more rows than the contig holds.
    """
    people = read_people(samples)
    if rows < 0 or FIRST_POS + rows * MEAN_GAP * 1.02 > CONTIG_LENGTH:
        raise ValueError(f"{rows} rows do not fit on contig {CONTIG}")
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f".{os.getpid()}.{out.name}")
    with pysam.BGZFile(str(part), "wb") as file:
        file.write(header(people.ids).encode())
        for text in lines(rows, people, seed):
            file.write(text)
    pysam.tabix_index(str(part), preset="vcf", force=True)
    os.replace(f"{part}.tbi", f"{out}.tbi")
    os.replace(part, out)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write a realistic phase 3 genotype file.")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--samples", type=int, default=2504)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench" / "phase3-50k.vcf.gz")
    given = parser.parse_args()
    try:
        write_vcf(given.out, rows=given.rows, samples=given.samples, seed=given.seed)
    except ValueError as problem:
        sys.exit(f"make_vcf.py: {problem}")
    print(f"{given.out}: {given.rows:,} rows x {given.samples:,} samples, {given.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
