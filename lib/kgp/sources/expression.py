"""Expression that was measured in people of the 1000 Genomes Project: collections of ArrayExpress, GEO and IGSR.

BioStudies keeps ArrayExpress: a collection lies at ``<prefix>/<last three digits>/<accession>/Files``.
"""

from __future__ import annotations

from kgp.sources.doors import BIOSTUDIES, G1K, GEO
from kgp.sources.model import Part, Source

_AUTOSOMES = tuple(str(n) for n in range(1, 23))

_EBI_TERMS = "Open under EMBL-EBI's terms of use: https://www.ebi.ac.uk/about/terms-of-use"
_GEUVADIS_PAPER = (
    "Lappalainen T, et al. Transcriptome and genome sequencing uncovers functional variation in humans. "
    "Nature 501, 506-511 (2013). doi:10.1038/nature12531"
)
_MONTGOMERY = (
    "Montgomery SB, et al. Transcriptome genetics using second generation sequencing in a Caucasian population. "
    "Nature 464, 773-777 (2010). doi:10.1038/nature08903"
)
_STRANGER = (
    "Stranger BE, et al. Patterns of cis regulatory variation in diverse human populations. "
    "PLoS Genetics 8, e1002639 (2012). doi:10.1371/journal.pgen.1002639"
)
_PICKRELL = (
    "Pickrell JK, et al. Understanding mechanisms underlying human gene expression variation with RNA sequencing. "
    "Nature 464, 768-772 (2010). doi:10.1038/nature08872"
)


def files_of(accession: str) -> str:
    """Directory of a collection's files in BioStudies, with a slash at its end.

    >>> files_of("E-GEUV-1"), files_of("E-GEOD-19480")
    ('E-GEUV-/001/E-GEUV-1/Files/', 'E-GEOD-/480/E-GEOD-19480/Files/')
    """
    series, _, number = accession.rpartition("-")
    return f"{series}-/{number[-3:].zfill(3)}/{accession}/Files/"


def _sdrf(accession: str) -> tuple[Part, ...]:
    files = files_of(accession)
    return (
        Part("sdrf", (f"{files}{accession}.sdrf.txt",), "Which run belongs to whom."),
        Part("idf", (f"{files}{accession}.idf.txt",), "What the experiment was.", is_expected=False),
    )


def _array_parts(accession: str) -> tuple[Part, ...]:
    """Parts of a collection of arrays, whose zip files BioStudies may have unpacked."""
    files = files_of(accession)
    return (
        *_sdrf(accession),
        Part(
            "matrix",
            (f"{files}{accession}.processed.*.zip", f"{files}*_expression*.txt", f"{files}normalized_*.txt"),
            "Normalised values, probes by people.",
            is_expected=False,
        ),
        Part(
            "arrays",
            (f"{files}{accession}.raw.*.zip", f"{files}*.adf.txt"),
            "What the scanner measured, and the design of the array.",
            is_staged=False,
            is_expected=False,
        ),
    )


def _sequencing_parts(accession: str) -> tuple[Part, ...]:
    """Parts of a collection of reads: they lie in the ENA, what was made of them may lie here."""
    files = files_of(accession)
    return (
        *_sdrf(accession),
        Part(
            "matrix",
            (f"{files}{accession}.processed.*.zip", f"{files}*.txt.gz"),
            "Counts or values, where they were submitted.",
            is_expected=False,
        ),
    )


_GEUV1 = files_of("E-GEUV-1")
_GEUV2 = files_of("E-GEUV-2")
_GSE = "GSE19nnn/GSE19480"

EXPRESSION: tuple[Source, ...] = (
    Source(
        "E-GEUV-1",
        BIOSTUDIES,
        "Geuvadis: mRNA sequencing of lymphoblastoid cell lines",
        "GRCh37",
        (_GEUV1,),
        (
            *_sdrf("E-GEUV-1"),
            Part(
                "matrix",
                (
                    f"{_GEUV1}E-GEUV-1/analysis_results/GD462.GeneQuantRPKM.*.txt.gz",
                    f"{_GEUV1}E-GEUV-1/analysis_results/GD660.*Quant*.txt.gz",
                ),
                "RPKM and counts of genes, exons and transcripts, by people (GD462) and by runs (GD660).",
            ),
            Part(
                "eqtl",
                (
                    f"{_GEUV1}E-GEUV-1/analysis_results/EUR373.*",
                    f"{_GEUV1}E-GEUV-1/analysis_results/YRI89.*",
                ),
                "The eQTLs that the authors found.",
                is_staged=False,
            ),
            Part(
                "genotypes",
                (f"{_GEUV1}E-GEUV-1/genotypes/GEUVADIS.chr{{contig}}.*.genotypes.vcf.gz",),
                "Genotypes that the authors used: phase 1, the missing people imputed.",
                contigs=_AUTOSOMES,
                is_staged=False,
            ),
            Part(
                "alignments",
                (f"{_GEUV1}E-GEUV-1/processed/*.bam",),
                "Alignments of the reads.",
                is_staged=False,
                is_expected=False,
            ),
        ),
        462,
        "FIN 95, GBR 94, TSI 93, CEU 91, YRI 89; 445 of them are in phase 3",
        _GEUVADIS_PAPER,
        _EBI_TERMS,
        elsewhere=("geuvadis",),
    ),
    Source(
        "E-GEUV-2",
        BIOSTUDIES,
        "Geuvadis: small RNA sequencing of lymphoblastoid cell lines",
        "GRCh37",
        (_GEUV2,),
        (
            *_sdrf("E-GEUV-2"),
            # Seen in ArrayExpress' tree without .gz; that BioStudies has it at the same place is by E-GEUV-1's example.
            Part(
                "matrix",
                (f"{_GEUV2}E-GEUV-2/analysis_results/GD452.MirnaQuantCount.*",),
                "Counts of miRNAs by people.",
                is_expected=False,
            ),
            Part(
                "alignments",
                (f"{_GEUV2}E-GEUV-2/processed/*.bam",),
                "Alignments of the reads.",
                is_staged=False,
                is_expected=False,
            ),
        ),
        452,
        "CEU, FIN, GBR, TSI, YRI",
        _GEUVADIS_PAPER,
        _EBI_TERMS,
        elsewhere=("geuvadis",),
    ),
    Source(
        "geuvadis",
        G1K,
        "Geuvadis as IGSR keeps it: lists of the reads, alignments",
        "GRCh38",
        ("data_collections/geuvadis/",),
        (
            Part(
                "readme", ("data_collections/geuvadis/README*",), "What the collection is, and how to use it."
            ),
            Part(
                "indexes",
                ("data_collections/geuvadis/*.sequence.index",),
                "List of the reads, which lie in the ENA, with their MD5.",
            ),
            Part(
                "alignments",
                ("data_collections/geuvadis/working/**",),
                "Alignments to GRCh38 and what else is being worked on.",
                is_staged=False,
                is_expected=False,
            ),
        ),
        465,
        "CEU, FIN, GBR, TSI, YRI",
        _GEUVADIS_PAPER,
        "As the collection's statement on reuse says: "
        "https://ftp.1000genomes.ebi.ac.uk/vol1/ftp/data_collections/geuvadis/README_geuvadis_datareuse_statement.md",
        elsewhere=("E-GEUV-1", "E-GEUV-2"),
    ),
    Source(
        "E-MTAB-197",
        BIOSTUDIES,
        "mRNA sequencing of lymphoblastoid cell lines of CEU",
        None,
        (files_of("E-MTAB-197"),),
        _sequencing_parts("E-MTAB-197"),
        60,
        "CEU",
        _MONTGOMERY,
        _EBI_TERMS,
    ),
    Source(
        "E-MTAB-198",
        BIOSTUDIES,
        "Expression arrays of HapMap 3: CEU",
        None,
        (files_of("E-MTAB-198"),),
        _array_parts("E-MTAB-198"),
        109,
        "CEU",
        f"{_STRANGER} {_MONTGOMERY}",
        _EBI_TERMS,
        elsewhere=("E-MTAB-264",),
    ),
    Source(
        "E-MTAB-264",
        BIOSTUDIES,
        "Expression arrays of HapMap 3: CHB, GIH, JPT, LWK, MEX, MKK, YRI",
        None,
        (files_of("E-MTAB-264"),),
        _array_parts("E-MTAB-264"),
        618,
        "seven populations of HapMap 3, two arrays a person; 434 people are in phase 3",
        _STRANGER,
        _EBI_TERMS,
        elsewhere=("E-MTAB-198",),
    ),
    Source(
        "E-GEOD-19480",
        BIOSTUDIES,
        "mRNA sequencing of lymphoblastoid cell lines of YRI",
        None,
        (files_of("E-GEOD-19480"),),
        _sequencing_parts("E-GEOD-19480"),
        69,
        "YRI",
        _PICKRELL,
        _EBI_TERMS,
        elsewhere=("GSE19480",),
    ),
    # Laid out as GEO lays out every series; nobody here has seen which of the files this one has.
    Source(
        "GSE19480",
        GEO,
        "E-GEOD-19480 where it was submitted first",
        None,
        (f"{_GSE}/",),
        (
            Part(
                "matrix",
                (f"{_GSE}/matrix/GSE19480*_series_matrix.txt.gz",),
                "What the samples are.",
                is_expected=False,
            ),
            Part(
                "supplementary",
                (f"{_GSE}/suppl/*",),
                "What the authors submitted beside it.",
                is_expected=False,
            ),
            Part(
                "family",
                (f"{_GSE}/soft/GSE19480_family.soft.gz", f"{_GSE}/miniml/GSE19480_family.xml.tgz"),
                "The whole series as SOFT and as MINiML.",
                is_staged=False,
                is_expected=False,
            ),
        ),
        69,
        "YRI",
        _PICKRELL,
        "Open as GEO's disclaimer says: https://www.ncbi.nlm.nih.gov/geo/info/disclaimer.html",
        elsewhere=("E-GEOD-19480",),
    ),
)
