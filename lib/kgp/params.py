"""The options of every job, as frozen dataclasses that check themselves: the only shape of options.

A field's name is the option's name everywhere: ``min_maf`` here, ``--min-maf`` on the command line and for
spark-submit, ``min_maf`` in `conf/*.yml`, ``KGP_EQTL_BUILD_MIN_MAF`` in the environment. There are no defaults here:
`conf/base.yml` is their only home.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from kgp.errors import UsageError
from kgp.genome import get_build

Reader = Literal["auto", "builtin", "glow"]
Writer = Literal["auto", "direct", "spark"]
Absent = Literal["ref", "missing"]
Transfer = Literal["auto", "driver", "spark"]
Related = Literal["drop", "keep"]
UnknownRuns = Literal["refuse", "keep"]
BadLines = Literal["refuse", "quarantine"]
MissingValues = Literal["refuse", "allow"]
Unplaced = Literal["keep", "refuse"]
Profile = Literal["basic"]
ExportFormat = Literal["tensorqtl", "fastqtl"]

KINDS = ("gene", "transcript", "exon", "mirna", "probe")
UNITS = ("count", "rpkm", "tpm", "cpm", "log2_intensity", "log2_cqn", "unknown")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def option(text: str, *, metavar: str | None = None, positional: bool = False) -> Any:
    """A field that is an option: its help text, what its value is called, whether it stands without a flag."""
    return field(metadata={"help": text, "metavar": metavar, "positional": positional})


def _check_name(value: str, flag: str) -> None:
    if not _NAME.fullmatch(value):
        raise UsageError(
            f"'{value}' can't be a name.", where=flag, mend="Use letters, digits, dot, dash and underscore."
        )


def _check_fraction(value: float, flag: str, *, most: float = 1.0) -> None:
    if not 0 <= value <= most:
        raise UsageError(f"{value} is out of range.", where=flag, mend=f"Give a number from 0 to {most:g}.")


@dataclass(frozen=True, kw_only=True)
class LoadSamples:
    """Options of `kgp load samples`."""

    section = "load_samples"

    panel: tuple[str, ...] = option(
        "population panel (sample, pop, super_pop, gender); repeat for more", metavar="URL"
    )
    pedigree: tuple[str, ...] = option(
        "pedigree: 20130606_g1k.ped, or that of the 3,202 samples of the 30x set; repeat for more",
        metavar="URL",
    )
    igsr_samples: tuple[str, ...] = option("list of samples from IGSR's data portal", metavar="URL")
    populations: tuple[str, ...] = option("list of populations from IGSR", metavar="URL")
    sample_list: tuple[str, ...] = option(
        "samples of a callset, an id a line; repeat for more", metavar="CALLSET=URL"
    )

    def __post_init__(self) -> None:
        given = (self.panel, self.pedigree, self.igsr_samples, self.populations, self.sample_list)
        if not any(given):
            raise UsageError(
                "No file is given.",
                mend="Name at least one: --panel, --pedigree, --igsr-samples, --populations, --sample-list.",
            )
        for text in self.sample_list:
            callset, _, url = text.partition("=")
            if not url:
                raise UsageError(
                    f"'{text}' names no callset.", where="--sample-list", mend="Write CALLSET=FILE."
                )
            _check_name(callset, "--sample-list")

    @property
    def sample_lists(self) -> tuple[tuple[str, str], ...]:
        """(callset, file) of each sample list."""
        return tuple((text.partition("=")[0], text.partition("=")[2]) for text in self.sample_list)


@dataclass(frozen=True, kw_only=True)
class SamplesTrios:
    """Options of `kgp samples trios`."""

    section = "samples_trios"

    callset: str | None = option("only people of this callset count as there", metavar="NAME")
    cohort: str = option("children: ALL, EUR, CEU+TSI, EUR,-FIN, or a file of ids", metavar="COHORT")


@dataclass(frozen=True, kw_only=True)
class SamplesCohort:
    """Options of `kgp samples cohort`."""

    section = "samples_cohort"

    cohort: str = option(
        "people: ALL, EUR, CEU+TSI, EUR,-FIN, or a file of ids", metavar="COHORT", positional=True
    )
    callset: str | None = option("only people of this callset", metavar="NAME")
    related: Related = option(
        "what to do with relatives: drop (keep the largest set of people who are not related) or keep",
        metavar="WHAT",
    )


@dataclass(frozen=True, kw_only=True)
class Sync:
    """Options of `kgp sync`."""

    section = "sync"

    source: str = option(
        "release or collection, as kgp sources lists them", metavar="SOURCE", positional=True
    )
    contig: tuple[str, ...] = option("only files of this contig; repeat for more", metavar="C")
    part: tuple[str, ...] = option(
        "only this part of the source, as kgp sources SOURCE lists them; repeat for more", metavar="PART"
    )
    pattern: tuple[str, ...] = option(
        "only files whose name or path fits this shell pattern; repeat for more", metavar="GLOB"
    )
    to: str = option("directory or container that files are staged to", metavar="URI")
    dry_run: bool = option("list and compare, say what would be done, write nothing")
    read_in_place: bool = option("list and compare, stage nothing: the files are read where they lie")
    door: tuple[str, ...] = option(
        "where to read from, in order of preference: a door of kgp sources, or NAME=URL for one's own mirror; repeat "
        "for more",
        metavar="DOOR",
    )
    connections: int = option("most connections to a door at the same time", metavar="N")
    attempts: int = option("how often a door is tried before the next one is", metavar="N")
    timeout: float = option("seconds without an answer after which a door has failed", metavar="S")
    transfer: Transfer = option(
        "who moves the files: driver, spark (tasks on all nodes), or auto (spark on a cluster, for gigabytes)",
        metavar="WHO",
    )

    def __post_init__(self) -> None:
        if self.dry_run and self.read_in_place:
            raise UsageError(
                "Nothing is staged in either case.",
                where="--dry-run, --read-in-place",
                mend="Give one of them.",
            )
        for flag, value in (("--connections", self.connections), ("--attempts", self.attempts)):
            if value < 1:
                raise UsageError(f"{value} is out of range.", where=flag, mend="Give 1 or more.")
        if not 0 < self.timeout < float("inf"):
            raise UsageError(
                f"{self.timeout} is out of range.", where="--timeout", mend="Give a number of seconds."
            )


@dataclass(frozen=True, kw_only=True)
class Region:
    """A stretch of a contig, 0-based half-open; written ``C:BEG-END`` with 1-based inclusive ends at the edges.

    >>> Region.parse("22:16050001-16100000")
    Region(contig='22', start=16050000, end=16100000)
    >>> str(Region.parse("HLA-A*01:01:5-9"))
    'HLA-A*01:01:5-9'
    """

    contig: str
    start: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Region:
        """Read ``C:BEG-END``, 1-based inclusive; the contig may itself hold colons."""
        match = re.fullmatch(r"(.+):([\d,]+)-([\d,]+)", text)
        if match is None:
            raise UsageError(
                f"'{text}' is no region.", where="--region", mend="Write C:BEG-END, as 22:16050000-16100000."
            )
        first, last = (int(match[n].replace(",", "")) for n in (2, 3))
        if not 1 <= first <= last:
            raise UsageError(
                f"'{text}' ends before it begins.", where="--region", mend="Write C:BEG-END with BEG <= END."
            )
        return cls(contig=match[1], start=first - 1, end=last)

    def __str__(self) -> str:
        return f"{self.contig}:{self.start + 1}-{self.end}"


@dataclass(frozen=True, kw_only=True)
class LoadVariants:
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
        _check_name(self.callset, "--callset")
        get_build(self.build)
        for text in self.region:
            Region.parse(text)
        if not self.vcf:
            raise UsageError("No VCF file is given.", mend="Name at least one file or URL after the options.")
        if len(set(self.vcf)) != len(self.vcf):
            raise UsageError("A VCF file is given twice.", mend="Name each file once.")
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

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions, parsed."""
        return tuple(Region.parse(text) for text in self.region)


@dataclass(frozen=True, kw_only=True)
class LoadAnnotations:
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
        _check_name(self.callset, "--callset")
        get_build(self.build)
        for text in self.region:
            Region.parse(text)
        if len(set(self.vcf)) != len(self.vcf):
            raise UsageError("A VCF file is given twice.", mend="Name each file once.")

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions, parsed."""
        return tuple(Region.parse(text) for text in self.region)


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
        _check_name(self.callset, "--callset")
        known = ("all", "sex", "population", "superpopulation")
        if strangers := [word for word in self.by if word not in known]:
            raise UsageError(
                f"There is no grouping '{strangers[0]}'.",
                where="--by",
                mend=f"Use one of {', '.join(known)}.",
            )


@dataclass(frozen=True, kw_only=True)
class LoadRuns:
    """Options of `kgp load runs`."""

    section = "load_runs"

    dataset: str = option("accession of the expression dataset (E-GEUV-1)", metavar="ACC")
    file: tuple[str, ...] = option(
        "which run belongs to whom: MAGE-TAB SDRF, sequence.index, GEO series matrix or SOFT, or a table",
        metavar="URL",
        positional=True,
    )

    def __post_init__(self) -> None:
        _check_name(self.dataset, "--dataset")
        if len(set(self.file)) != len(self.file):
            raise UsageError("A file is given twice.", mend="Name each file once.")


@dataclass(frozen=True, kw_only=True)
class LoadExpression:
    """Options of `kgp load expression`."""

    section = "load_expression"

    dataset: str = option("accession of the expression dataset (E-GEUV-1)", metavar="ACC")
    matrix: tuple[str, ...] = option(
        "expression matrix: phenotypes x runs, as BED, with TargetID, Chr, Coord columns, or bare; repeat for more",
        metavar="URL",
    )
    quantification: str | None = option(
        "what to call the matrix (the file's name without its endings)", metavar="NAME"
    )
    sdrf: tuple[str, ...] = option(
        "which run belongs to whom, as for kgp load runs; repeat for more", metavar="URL"
    )
    annotation: str | None = option(
        "places of the phenotypes, where the matrix has none or others are wanted: GTF, BED, array design (ADF) or "
        "table",
        metavar="URL",
    )
    build: str | None = option(
        "reference build of the phenotypes' places (where kgp knows the dataset: its own)", metavar="BUILD"
    )
    kind: str | None = option("what is measured: gene, transcript, exon, mirna or probe", metavar="KIND")
    unit: str | None = option(
        "unit of the values: count, rpkm, tpm, cpm, log2_intensity, log2_cqn or unknown", metavar="UNIT"
    )
    processing: str | None = option(
        "what was done to the values: none, peer10_residuals, quantile, cqn, unknown", metavar="WHAT"
    )
    unknown_runs: UnknownRuns = option(
        "columns that the run lists do not know: refuse the matrix, or keep them as runs of nobody",
        metavar="WHAT",
    )
    bad_lines: BadLines = option(
        "lines that can't be loaded: refuse the matrix, or put them into quarantine", metavar="WHAT"
    )
    unplaced: Unplaced = option(
        "phenotypes that the annotation does not have: keep them without a place, or refuse the matrix",
        metavar="WHAT",
    )
    missing: MissingValues = option(
        "values that are missing (NA or empty): refuse the matrix, or allow them as null", metavar="WHAT"
    )

    def __post_init__(self) -> None:
        _check_name(self.dataset, "--dataset")
        if self.build is not None:
            get_build(self.build)
        if not self.matrix or len(set(self.matrix)) != len(self.matrix):
            raise UsageError("Name each matrix once, and at least one.", where="--matrix")
        if self.quantification is not None:
            _check_name(self.quantification, "--quantification")
            if len(self.matrix) > 1:
                raise UsageError(
                    "One name can't be that of several matrices.",
                    where="--quantification",
                    mend="Load them one by one, or leave it away.",
                )
        for flag, value, known in (("--kind", self.kind, KINDS), ("--unit", self.unit, UNITS)):
            if value is not None and value not in known:
                raise UsageError(
                    f"'{value}' is no {flag.removeprefix('--')}.", where=flag, mend=f"Use {', '.join(known)}."
                )
        if self.processing is not None:
            _check_name(self.processing, "--processing")


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Options of `kgp quality`."""

    section = "quality"

    dataset: str = option("accession of the expression dataset (E-GEUV-1)", metavar="ACC")
    quantification: tuple[str, ...] = option(
        "only this quantification; repeat for more (all of the dataset's genes, transcripts, miRNAs and probes)",
        metavar="NAME",
    )
    n_components: int = option("principal components to keep", metavar="N")
    max_mads: float = option(
        "a run is flagged where its D-statistic lies this many scaled MADs below the median, or a component that far "
        "from it",
        metavar="X",
    )

    def __post_init__(self) -> None:
        _check_name(self.dataset, "--dataset")
        if self.n_components < 1:
            raise UsageError(
                f"{self.n_components} is out of range.", where="--n-components", mend="Give 1 or more."
            )
        if not 0 < self.max_mads < float("inf"):
            raise UsageError(
                f"{self.max_mads} is out of range.", where="--max-mads", mend="Give a number above 0."
            )


@dataclass(frozen=True, kw_only=True)
class WriteReport:
    """Options of `kgp report`."""

    section = "report"

    out: str = option("HTML file to write", metavar="FILE.html")
    max_variants: int = option(
        "most variants that the genotype principal components are computed from", metavar="N"
    )

    def __post_init__(self) -> None:
        if not self.out.endswith((".html", ".htm")):
            raise UsageError(f"'{self.out}' does not end in .html.", where="--out", mend="Name it FILE.html.")
        if self.max_variants < 1:
            raise UsageError(
                f"{self.max_variants} is out of range.", where="--max-variants", mend="Give 1 or more."
            )


@dataclass(frozen=True, kw_only=True)
class EqtlBuild:
    """Options of `kgp eqtl build`."""

    section = "eqtl_build"

    name: str = option("name of the matrix set, unique in the lake", metavar="NAME")
    callset: str = option("callset to take the genotypes from", metavar="NAME")
    dataset: str = option("expression dataset to take the phenotypes from", metavar="ACC")
    quantification: tuple[str, ...] = option(
        "quantification of the dataset to take; repeat for several with other runs (where the dataset has one: that)",
        metavar="NAME",
    )
    cohort: str = option("people: ALL, EUR, CEU+TSI, EUR,-FIN, or a file of ids", metavar="COHORT")
    related: Related = option(
        "what to do with relatives: drop (keep the largest set of people who are not related) or keep",
        metavar="WHAT",
    )
    profile: Profile = option("recipe: basic", metavar="PROFILE")
    contig: tuple[str, ...] = option(
        "only phenotypes and variants of this contig; repeat for more", metavar="C"
    )
    min_expression: float = option(
        "a phenotype is kept where its value is at least this in enough people", metavar="X"
    )
    min_expression_fraction: float = option(
        "fraction of people that must reach --min-expression", metavar="F"
    )
    min_maf: float = option("least minor allele frequency in the cohort", metavar="F")
    max_missing: float = option("greatest fraction of people with a missing genotype", metavar="F")
    cis_window: int = option("keep variants within this many bases of a kept phenotype's TSS", metavar="BP")
    replace: bool = option("replace the set of that name if it was built from other parameters or data")

    def __post_init__(self) -> None:
        _check_name(self.name, "--name")
        _check_fraction(self.min_expression_fraction, "--min-expression-fraction")
        _check_fraction(self.min_maf, "--min-maf", most=0.5)
        _check_fraction(self.max_missing, "--max-missing")
        if self.cis_window < 0:
            raise UsageError(
                f"{self.cis_window} is out of range.", where="--cis-window", mend="Give a number of bases."
            )


@dataclass(frozen=True, kw_only=True)
class EqtlExport:
    """Options of `kgp eqtl export`."""

    section = "eqtl_export"

    name: str = option("name of the matrix set", metavar="NAME")
    format: ExportFormat = option("files for: tensorqtl, or fastqtl (FastQTL and QTLtools)", metavar="FORMAT")
    out: str = option("directory to write to", metavar="DIR")


@dataclass(frozen=True, kw_only=True)
class ExportVcf:
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
        _check_name(self.callset, "--callset")
        for text in self.region:
            Region.parse(text)
        if not self.out.endswith((".vcf.gz", ".vcf.bgz")):
            raise UsageError(
                f"'{self.out}' does not end in .vcf.gz.",
                where="--out",
                mend="The file is written as bgzip: name it FILE.vcf.gz.",
            )

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions, parsed."""
        return tuple(Region.parse(text) for text in self.region)


@dataclass(frozen=True, kw_only=True)
class SessionParams:
    """How a SparkSession is made where none is there yet; null leaves a setting to Spark or spark-submit."""

    section = "session"

    master: str | None
    driver_memory: str | None
    java_options: str | None
    shuffle_partitions: int | None
    log_level: str
