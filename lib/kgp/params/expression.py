"""Options of the jobs on expression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kgp.errors import UsageError
from kgp.genome import get_build
from kgp.params.declare import check_name, option

UnknownRuns = Literal["refuse", "keep"]
BadLines = Literal["refuse", "quarantine"]
MissingValues = Literal["refuse", "allow"]
Unplaced = Literal["keep", "refuse"]

KINDS = ("gene", "transcript", "exon", "mirna", "probe")
UNITS = ("count", "rpkm", "tpm", "cpm", "log2_intensity", "log2_cqn", "unknown")


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
        check_name(self.dataset, "--dataset")
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
    design: str | None = option(
        "of an array: its design (ADF), which says whose gene a probe is; the genes lie where --annotation says it",
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
        check_name(self.dataset, "--dataset")
        if self.build is not None:
            get_build(self.build)
        if not self.matrix or len(set(self.matrix)) != len(self.matrix):
            raise UsageError("Name each matrix once, and at least one.", where="--matrix")
        if self.quantification is not None:
            check_name(self.quantification, "--quantification")
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
            check_name(self.processing, "--processing")
        if self.design is not None and self.annotation is None:
            raise UsageError(
                "A design names the genes of probes; nothing says where those lie.",
                where="--design",
                mend="Give --annotation, too: a GTF. A design that has places itself can be given as --annotation.",
            )


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
        check_name(self.dataset, "--dataset")
        if self.n_components < 1:
            raise UsageError(
                f"{self.n_components} is out of range.", where="--n-components", mend="Give 1 or more."
            )
        if not 0 < self.max_mads < float("inf"):
            raise UsageError(
                f"{self.max_mads} is out of range.", where="--max-mads", mend="Give a number above 0."
            )
