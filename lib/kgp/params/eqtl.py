"""Options of the jobs on matrix sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kgp.errors import UsageError
from kgp.params.declare import Related, check_fraction, check_name, option

Profile = Literal["basic"]
ExportFormat = Literal["tensorqtl", "fastqtl"]


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
    covariates: tuple[str, ...] = option(
        "covariates besides those of the profile: lab or batch of the run, or a table that kgp load covariates loaded; "
        "repeat for more",
        metavar="NAME",
    )
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
        check_name(self.name, "--name")
        check_fraction(self.min_expression_fraction, "--min-expression-fraction")
        check_fraction(self.min_maf, "--min-maf", most=0.5)
        check_fraction(self.max_missing, "--max-missing")
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
