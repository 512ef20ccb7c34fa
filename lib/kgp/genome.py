"""Reference builds: contig names and lengths, aliases, coordinates, pseudo-autosomal regions.

A `ReferenceBuild` answers three questions about a file's coordinates: what a contig is called here, whether
the file can belong to this build at all, and whether a place lies in the pseudo-autosomal part of X.
Names are reconciled by a table of aliases, never by cutting text off.

Lengths are those of the assembly reports: NCBI36 (hg18), GRCh37 (as in hs37d5 of the 1000 Genomes Project)
and GRCh38. Coordinates inside kgp are 0-based and half-open; `pos` is VCF's 1-based POS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Literal

from kgp.errors import BuildError, UsageError

Inheritance = Literal["autosomal", "x", "haploid"]

_CHROMOSOMES = (*(str(n) for n in range(1, 23)), "X", "Y")

# fmt: off
_LENGTHS = {
    "NCBI36": (
        247249719, 242951149, 199501827, 191273063, 180857866, 170899992, 158821424, 146274826, 140273252,
        135374737, 134452384, 132349534, 114142980, 106368585, 100338915, 88827254, 78774742, 76117153,
        63811651, 62435964, 46944323, 49691432, 154913754, 57772954, 16571,
    ),
    "GRCh37": (
        249250621, 243199373, 198022430, 191154276, 180915260, 171115067, 159138663, 146364022, 141213431,
        135534747, 135006516, 133851895, 115169878, 107349540, 102531392, 90354753, 81195210, 78077248,
        59128983, 63025520, 48129895, 51304566, 155270560, 59373566, 16569,
    ),
    "GRCh38": (
        248956422, 242193529, 198295559, 190214555, 181538259, 170805979, 159345973, 145138636, 138394717,
        133797422, 135086622, 133275309, 114364328, 107043718, 101991189, 90338345, 83257441, 80373285,
        58617616, 64444167, 46709983, 50818468, 156040895, 57227415, 16569,
    ),
}
# fmt: on

# Spellings of the assembly in ##contig=<assembly=…> and ##reference lines of the archives' files.
_ASSEMBLY_NAMES = {
    "NCBI36": ("ncbi36", "b36", "hg18", "human_b36", "human_b36_both"),
    "GRCh37": ("grch37", "ncbi37", "b37", "hg19", "hs37d5", "g1k_v37", "human_g1k_v37", "hs37"),
    "GRCh38": ("grch38", "b38", "hg38", "hs38dh", "hs38d1", "grch38_full_analysis_set_plus_decoy_hla"),
}


@dataclass(frozen=True)
class ReferenceBuild:
    """One reference assembly.

    Args:
        name: NCBI36, GRCh37 or GRCh38.
        contigs: canonical contig name → length in bases, in karyotype order.
        aliases: any other spelling → canonical contig name.
        par: pseudo-autosomal regions of X as (start, end), 0-based half-open.
        assembly_names: lower-case spellings of the assembly in file headers.
    """

    name: str
    contigs: Mapping[str, int]
    aliases: Mapping[str, str]
    par: tuple[tuple[int, int], ...]
    assembly_names: tuple[str, ...]

    def canonical(self, source_contig: str) -> str | None:
        """The canonical name of a contig, or None where this build does not know it.

        >>> GRCH37.canonical("chr22"), GRCH38.canonical("22"), GRCH37.canonical("HLA-A*01:01") is None
        ('22', 'chr22', True)
        """
        if source_contig in self.contigs:
            return source_contig
        return self.aliases.get(source_contig)

    def length(self, contig: str) -> int | None:
        """Length in bases of a contig in any spelling, or None where this build does not know it."""
        name = self.canonical(contig)
        return None if name is None else self.contigs[name]

    def is_par(self, contig: str, start: int) -> bool:
        """Whether the base at `start` (0-based) lies in the pseudo-autosomal part of X.

        >>> GRCH37.is_par("X", 60_000), GRCH37.is_par("chrX", 2_699_520), GRCH37.is_par("22", 60_000)
        (True, False, False)
        """
        if self.canonical(contig) != self._x:
            return False
        return any(begin <= start < end for begin, end in self.par)

    def inheritance(self, contig: str, start: int) -> Inheritance:
        """How many copies of the base at `start` (0-based) people have: two, on X two or one, on Y and MT one.

        >>> GRCH37.inheritance("X", 60_000), GRCH37.inheritance("X", 3_000_000), GRCH37.inheritance("MT", 0)
        ('autosomal', 'x', 'haploid')
        """
        canonical = self.canonical(contig)
        if canonical == self._x:
            return "autosomal" if self.is_par(contig, start) else "x"
        is_y = canonical is not None and canonical.removeprefix("chr") == "Y"
        return "haploid" if is_y or self.is_mitochondrial(contig) else "autosomal"

    def is_mitochondrial(self, contig: str) -> bool:
        """Whether a contig is the mitochondrial genome.

        >>> GRCH37.is_mitochondrial("chrM"), GRCH37.is_mitochondrial("22")
        (True, False)
        """
        return self.canonical(contig) == self.canonical("MT")

    @cached_property
    def _x(self) -> str | None:
        return self.canonical("X")

    def sort_index(self, contig: str) -> int:
        """Place of a contig in karyotype order; unknown contigs come last.

        >>> GRCH37.sort_index("2") < GRCH37.sort_index("10") < GRCH37.sort_index("X")
        True
        """
        name = self.canonical(contig)
        return len(self.contigs) if name is None else list(self.contigs).index(name)


def _make_build(name: str, prefix: str, par: tuple[tuple[int, int], ...]) -> ReferenceBuild:
    mitochondrion = "chrM" if prefix else "MT"
    names = (*(prefix + chromosome for chromosome in _CHROMOSOMES), mitochondrion)
    contigs = dict(zip(names, _LENGTHS[name], strict=True))
    aliases: dict[str, str] = {}
    for index, chromosome in enumerate(_CHROMOSOMES):
        for spelling in (chromosome, f"chr{chromosome}", f"Chr{chromosome}", f"CHR{chromosome}"):
            aliases[spelling] = names[index]
    for spelling in ("MT", "M", "chrM", "chrMT", "ChrM", "CHRM"):
        aliases[spelling] = mitochondrion
    aliases["23"] = aliases["chr23"] = prefix + "X"
    aliases["24"] = aliases["chr24"] = prefix + "Y"
    for contig in contigs:
        aliases.pop(contig, None)
    return ReferenceBuild(
        name, MappingProxyType(contigs), MappingProxyType(aliases), par, _ASSEMBLY_NAMES[name]
    )


# PAR1 and PAR2 of X: UCSC's hg18, hg19 and hg38 par tables.
NCBI36 = _make_build("NCBI36", "", ((0, 2_709_520), (154_584_237, 154_913_754)))
GRCH37 = _make_build("GRCh37", "", ((60_000, 2_699_520), (154_931_043, 155_260_560)))
GRCH38 = _make_build("GRCh38", "chr", ((10_000, 2_781_479), (155_701_382, 156_030_895)))

BUILDS: Mapping[str, ReferenceBuild] = MappingProxyType({b.name: b for b in (NCBI36, GRCH37, GRCH38)})


def get_build(name: str) -> ReferenceBuild:
    """The build of that name; every spelling that files use is understood.

    >>> get_build("hg38").name
    'GRCh38'
    """
    for build in BUILDS.values():
        if name == build.name or name.lower() in build.assembly_names:
            return build
    raise UsageError(
        f"There is no reference build '{name}'.", where="--build", mend=f"Use one of {', '.join(BUILDS)}."
    )


def pos_from_start(start: int) -> int:
    """VCF's 1-based POS of a 0-based start. VCF allows POS 0 for the telomere, whose start is -1."""
    return start + 1


def check_build(
    build: ReferenceBuild,
    *,
    where: str,
    declared_lengths: Mapping[str, int] | None = None,
    assemblies: Mapping[str, str] | None = None,
    last_ends: Mapping[str, int] | None = None,
) -> None:
    """Refuse a file whose own evidence says that it belongs to another build.

    Args:
        build: the build that the file is said to have.
        where: the file, for the message.
        declared_lengths: contig → length from the header.
        assemblies: contig → assembly name from the header.
        last_ends: contig → greatest end (0-based, exclusive) found among the rows.

    Raises:
        BuildError: a declared length or assembly differs, or a row lies beyond the end of its contig.
    """
    for contig, declared in (declared_lengths or {}).items():
        length = build.length(contig)
        if length is not None and declared != length:
            raise BuildError(
                f"Contig {contig} is declared with {declared:,} bases; in {build.name} it has {length:,}"
                f"{_belongs(contig, declared)}.",
                where=where,
                mend="Give the file's own build with --build.",
            )
    for contig, assembly in (assemblies or {}).items():
        named = assembly.lower()
        other = next((b for b in BUILDS.values() if named in b.assembly_names), None)
        if build.canonical(contig) is not None and other is not None and other.name != build.name:
            raise BuildError(
                f"Contig {contig} is declared with assembly {assembly}, which is {other.name}, not {build.name}.",
                where=where,
                mend=f"Use --build {other.name} if that is right.",
            )
    for contig, end in (last_ends or {}).items():
        length = build.length(contig)
        if length is not None and end > length:
            raise BuildError(
                f"A row ends at {contig}:{end:,}, beyond the {length:,} bases that the contig has in {build.name}.",
                where=where,
                mend="Give the file's own build with --build.",
            )


def _belongs(contig: str, length: int) -> str:
    owners = [b.name for b in BUILDS.values() if b.length(contig) == length]
    return f" ({length:,} is its length in {' and '.join(owners)})" if owners else ""
