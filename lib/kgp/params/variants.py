"""Options of the jobs on variants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kgp.errors import UsageError
from kgp.genome import get_build
from kgp.params.declare import check_name, option
from kgp.params.region import Region

Reader = Literal["auto", "builtin", "glow"]
Writer = Literal["auto", "direct", "spark"]
Absent = Literal["ref", "missing"]


class _WithRegions:
    """Options that have --region."""

    region: tuple[str, ...]

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions, parsed."""
        return tuple(Region.parse(text) for text in self.region)

    def check_regions(self) -> None:
        """Refuse what is no region."""
        for text in self.region:
            Region.parse(text)


def _check_load(params: LoadVariants | LoadAnnotations) -> None:
    """What holds for all files that have variants of a callset."""
    check_name(params.callset, "--callset")
    get_build(params.build)
    params.check_regions()
    if len(set(params.vcf)) != len(params.vcf):
        raise UsageError("A VCF file is given twice.", mend="Name each file once.")


@dataclass(frozen=True, kw_only=True)
class LoadVariants(_WithRegions):
    """Options of `kgp load variants`."""

    section = "load_variants"

    callset: str = option("name of the callset that the files belong to", metavar="NAME")
    build: str = option("reference build of the coordinates: NCBI36, GRCh37 or GRCh38", metavar="BUILD")
    contig: tuple[str, ...] = option("load only this contig; repeat for more", metavar="C")
    region: tuple[str, ...] = option(
        "load only records that overlap C:BEG-END (1-based); repeat for more", metavar="C:BEG-END"
    )
    samples: str | None = option(
        "load only these samples, in this order: a file with one a line, or ids joined by commas",
        metavar="FILE|IDS",
    )
    reader: Reader = option("engine that reads the VCF: auto, builtin or glow", metavar="ENGINE")
    writer: Writer = option(
        "who writes the rows: direct (tasks write Parquet, the driver commits), spark (its Delta writer), or auto",
        metavar="WRITER",
    )
    strict: bool = option(
        "fail at the first record that can't be loaded instead of putting it into quarantine"
    )
    merge: bool = option("load all files as one: each has other samples of the callset; asks for --absent")
    absent: Absent | None = option(
        "with --merge: what it means, by the release, that a person's file has no row where another has one: ref "
        "(homozygous for the reference) or missing (not called)",
        metavar="MEANING",
    )
    vcf: tuple[str, ...] = option(
        "VCF files: bgzip, gzip or plain text, local or on any storage", metavar="VCF", positional=True
    )

    def __post_init__(self) -> None:
        _check_load(self)
        if not self.vcf:
            raise UsageError("No VCF file is given.", mend="Name at least one file or URL after the options.")
        self._check_merge()

    def _check_merge(self) -> None:
        if not self.merge:
            if self.absent is not None:
                raise UsageError(
                    "It means something for merged files only.", where="--absent", mend="Give --merge, too."
                )
            return
        if self.absent is None:
            raise UsageError(
                "It is not said what a missing row means.",
                where="--merge",
                mend="Say what the release says: --absent ref (homozygous for the reference) or --absent missing.",
            )
        if self.region:
            raise UsageError(
                "Files are merged by whole contigs.", where="--region", mend="Use --contig, or leave it away."
            )
        if self.reader == "glow":
            raise UsageError("Glow does not merge files.", where="--reader", mend="Use builtin or auto.")


@dataclass(frozen=True, kw_only=True)
class LoadAnnotations(_WithRegions):
    """Options of `kgp load annotations`."""

    section = "load_annotations"

    callset: str = option("callset whose variants the files annotate", metavar="NAME")
    build: str = option("reference build of the coordinates: NCBI36, GRCh37 or GRCh38", metavar="BUILD")
    contig: tuple[str, ...] = option("load only this contig; repeat for more", metavar="C")
    region: tuple[str, ...] = option(
        "load only records that overlap C:BEG-END (1-based); repeat for more", metavar="C:BEG-END"
    )
    strict: bool = option(
        "fail at the first record that can't be loaded instead of putting it into quarantine"
    )
    vcf: tuple[str, ...] = option(
        "VCF files with CSQ (VEP) or ANN, EFF (snpEff) in INFO, with or without genotypes",
        metavar="VCF",
        positional=True,
    )

    def __post_init__(self) -> None:
        _check_load(self)


@dataclass(frozen=True, kw_only=True)
class Stats:
    """Options of `kgp stats`."""

    section = "stats"

    callset: str = option("callset whose alleles are counted", metavar="NAME")
    by: tuple[str, ...] = option(
        "groups of people: all, sex, population or superpopulation; repeat for more (with neither --by nor --cohort: "
        "the groups that are there, or else superpopulation)",
        metavar="GROUPING",
    )
    cohort: tuple[str, ...] = option(
        "people: ALL, CEU+TSI, EUR,-FIN, or a file of ids; repeat for more", metavar="COHORT"
    )
    check: bool = option("compute nothing, only say which groups are stale or missing")

    def __post_init__(self) -> None:
        check_name(self.callset, "--callset")
        known = ("all", "sex", "population", "superpopulation")
        if strangers := [word for word in self.by if word not in known]:
            raise UsageError(
                f"There is no grouping '{strangers[0]}'.",
                where="--by",
                mend=f"Use one of {', '.join(known)}.",
            )


@dataclass(frozen=True, kw_only=True)
class ExportVcf(_WithRegions):
    """Options of `kgp export vcf`."""

    section = "export_vcf"

    callset: str = option("callset to write", metavar="NAME")
    contig: tuple[str, ...] = option("write only this contig; repeat for more", metavar="C")
    region: tuple[str, ...] = option(
        "write only records that overlap C:BEG-END (1-based); repeat for more", metavar="C:BEG-END"
    )
    samples: str | None = option(
        "write only these samples, in this order: a file with one a line, or ids joined by commas",
        metavar="FILE|IDS",
    )
    out: str = option("file to write; its index comes beside it", metavar="FILE.vcf.gz")
    replace: bool = option("replace the file if there is another one of that name")

    def __post_init__(self) -> None:
        check_name(self.callset, "--callset")
        self.check_regions()
        if not self.out.endswith((".vcf.gz", ".vcf.bgz")):
            raise UsageError(
                f"'{self.out}' does not end in .vcf.gz.",
                where="--out",
                mend="The file is written as bgzip: name it FILE.vcf.gz.",
            )
