"""Tells the reference build of genes' places by a few genes that lie elsewhere in each build.

Each of these genes is at least 90,000 bases away from where the other build has it. One that is found within 20,000
bases of its place in another build is enough to tell: an id and a place go together in one build only.
"""

from __future__ import annotations

from collections.abc import Callable

from kgp.errors import BuildError
from kgp.genome import ReferenceBuild
from kgp.io.places.model import Place
from kgp.io.urls import place_of

_NEAR = 20_000

# Gene → contig and TSS, 1-based, in GRCh37 and in GRCh38: from RefSeq's exons of hg19 and hg38, as Subread has them.
_TSS = {
    "ENSG00000213281": ("NRAS", "1", 115_259_515, 114_716_894),
    "ENSG00000138413": ("IDH1", "2", 209_119_806, 208_255_143),
    "ENSG00000095002": ("MSH2", "2", 47_630_263, 47_403_067),
    "ENSG00000181449": ("SOX2", "3", 181_429_722, 181_711_924),
    "ENSG00000134853": ("PDGFRA", "4", 55_095_264, 54_229_097),
    "ENSG00000134982": ("APC", "5", 112_043_218, 112_707_505),
    "ENSG00000118513": ("MYB", "6", 135_502_453, 135_181_315),
    "ENSG00000136997": ("MYC", "8", 128_748_315, 127_736_069),
    "ENSG00000097007": ("ABL1", "9", 133_589_268, 130_713_881),
    "ENSG00000171862": ("PTEN", "10", 89_623_195, 87_863_438),
    "ENSG00000165731": ("RET", "10", 43_572_517, 43_077_027),
    "ENSG00000111640": ("GAPDH", "12", 6_643_657, 6_534_405),
    "ENSG00000133703": ("KRAS", "12", 25_403_854, 25_250_931),
    "ENSG00000139618": ("BRCA2", "13", 32_889_617, 32_314_862),
    "ENSG00000142208": ("AKT1", "14", 105_262_080, 104_795_743),
    "ENSG00000182054": ("IDH2", "15", 90_645_708, 90_102_554),
    "ENSG00000141510": ("TP53", "17", 7_590_863, 7_687_550),
    "ENSG00000012048": ("BRCA1", "17", 41_277_500, 43_125_483),
    "ENSG00000171791": ("BCL2", "18", 60_986_613, 63_319_778),
    "ENSG00000130164": ("LDLR", "19", 11_200_057, 11_089_362),
    "ENSG00000130203": ("APOE", "19", 45_409_039, 44_905_749),
    "ENSG00000197122": ("SRC", "20", 35_973_088, 37_344_685),
    "ENSG00000198900": ("TOP1", "20", 39_657_462, 41_028_822),
    "ENSG00000142168": ("SOD1", "21", 33_031_935, 31_659_622),
    "ENSG00000142192": ("APP", "21", 27_543_138, 26_171_128),
    "ENSG00000183765": ("CHEK2", "22", 29_137_822, 28_741_905),
    "ENSG00000102081": ("FMR1", "X", 146_993_469, 147_911_951),
    "ENSG00000229807": ("XIST", "X", 73_072_588, 73_852_753),
    "ENSG00000184895": ("SRY", "Y", 2_655_792, 2_787_741),
    "ENSG00000067048": ("DDX3Y", "Y", 15_016_019, 12_904_108),
}
_BUILDS = ("GRCh37", "GRCh38")
# UCSC's hg18 has PTEN 10,020 bases before hg19's: it does not tell these two apart.
_NEAR_IN_BOTH = {("ENSG00000171862", "NCBI36", "GRCh37")}


def is_landmark(gene_id: str) -> bool:
    """Whether a gene, without its version, tells builds apart."""
    return gene_id in _TSS


def check_landmarks(url: str, find: Callable[[str], Place | None], build: ReferenceBuild) -> bool:
    """Refuse places of genes that are another build's.

    Args:
        url: the file, for the message.
        find: gives the place of a gene.
        build: the build that is asked for.

    Returns:
        whether a gene shows that the places are on that build; False where none of those genes is there.

    Raises:
        BuildError: a gene lies where another build has it.
    """
    is_shown = False
    for id, (name, contig, *positions) in _TSS.items():
        place = find(id)
        if place is None or build.canonical(place.source_contig) != build.canonical(contig):
            continue
        for other, tss in zip(_BUILDS, positions, strict=True):
            if abs(place.tss - tss) > _NEAR or (id, build.name, other) in _NEAR_IN_BOTH:
                continue
            if other != build.name:
                raise BuildError(
                    f"Gene {id} ({name}) begins at {place.source_contig}:{place.tss:,}, which is its place in {other}, "
                    f"not in {build.name}.",
                    where=place_of(url),
                    mend=f"Use --build {other}, or give an annotation on {build.name}.",
                )
            is_shown = True
    return is_shown
