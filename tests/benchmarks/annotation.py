"""Writes a GTF of GENCODE's size and measures how fast, and in how much memory, places are read from it.

``python tests/benchmarks/annotation.py DIRECTORY`` writes DIRECTORY/annotation.gtf.gz once (60,000 genes, 3.2 million
lines) and prints seconds and the peak of resident memory for each kind of phenotype, each in a process of its own.
"""

from __future__ import annotations

import gzip
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from kgp.genome import GRCH38
from kgp.io.places import read_annotation

N_GENES = 60_000
N_TRANSCRIPTS = 4
N_EXONS = 6


def main(directory: Path) -> None:
    """Write the file where it is missing, and measure."""
    path = directory / "annotation.gtf.gz"
    if not path.exists():
        with gzip.open(path, "wb", compresslevel=6) as file:
            for line in write_lines():
                file.write(line.encode())
    with gzip.open(path, "rb") as file:
        n_bytes = sum(len(block) for block in iter(lambda: file.read(1 << 20), b""))
    print(f"{path}: {path.stat().st_size:,} bytes, {n_bytes:,} inflated")
    for kind in ("gene", "transcript", "exon", "mirna"):
        subprocess.run([sys.executable, __file__, "--kind", kind, str(path)], check=True)


def measure(kind: str, path: str) -> None:
    """Read the places of one kind and print what it took."""
    begin = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    annotation = read_annotation(path, kind=kind, build=GRCH38)
    seconds, busy = time.perf_counter() - begin, time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took = f"{seconds:.1f} s ({busy:.1f} s of CPU), {peak / 1024:.0f} MiB ({before / 1024:.0f} before)"
    print(f"{kind}: {took}, {dict(annotation.counts)}")


def write_lines() -> Iterator[str]:
    """Lines of a GTF as GENCODE writes it: genes, transcripts, exons and a CDS for each exon."""
    yield "##description: evidence-based annotation of the human genome (GRCh38), version 0 (Ensembl 0)\n"
    yield "##provider: GENCODE\n##format: gtf\n"
    for gene in range(N_GENES):
        contig = f"chr{gene % 22 + 1}"
        start = 1000 + gene // 22 * 10_000
        head = (
            f'gene_id "ENSG{gene:011d}.{gene % 20 + 1}"; gene_type "protein_coding"; gene_name "GENE{gene}"; level 2; '
            f'hgnc_id "HGNC:{gene}"; havana_gene "OTTHUMG{gene:011d}.5";'
        )
        strand = "+-"[gene % 2]
        yield f"{contig}\tHAVANA\tgene\t{start}\t{start + 9000}\t.\t{strand}\t.\t{head}\n"
        for number in range(N_TRANSCRIPTS):
            transcript = gene * N_TRANSCRIPTS + number
            more = (
                f'{head} transcript_id "ENST{transcript:011d}.1"; transcript_type "protein_coding"; transcript_name '
                f'"GENE{gene}-20{number}"; transcript_support_level "1"; tag "basic"; tag "Ensembl_canonical"; '
            )
            yield f"{contig}\tHAVANA\ttranscript\t{start}\t{start + 9000}\t.\t{strand}\t.\t{more}\n"
            for exon in range(N_EXONS):
                first = start + exon * 1500
                exon_id = (gene * N_TRANSCRIPTS + number // 2) * N_EXONS + exon  # two transcripts share it
                tail = f'{more}exon_number {exon + 1}; exon_id "ENSE{exon_id:011d}.1";'
                for feature in ("exon", "CDS"):
                    yield f"{contig}\tHAVANA\t{feature}\t{first}\t{first + 200}\t.\t{strand}\t0\t{tail}\n"


if __name__ == "__main__":
    if sys.argv[1] == "--kind":
        measure(sys.argv[2], sys.argv[3])
    else:
        main(Path(sys.argv[1]))
