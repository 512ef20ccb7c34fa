"""Options of the jobs on people."""

from __future__ import annotations

from dataclasses import dataclass

from kgp.errors import UsageError
from kgp.params.declare import Related, check_fraction, check_name, option


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
            check_name(callset, "--sample-list")

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
class LoadCovariates:
    """Options of `kgp load covariates`."""

    section = "load_covariates"

    file: str = option(
        "table of covariates, with a row a covariate and a column a person, or the other way round",
        metavar="URL",
        positional=True,
    )
    covariate_set: str | None = option(
        "what to call the table (the file's name without its endings)", metavar="NAME"
    )

    def __post_init__(self) -> None:
        if self.covariate_set is not None:
            check_name(self.covariate_set, "--covariate-set")


@dataclass(frozen=True, kw_only=True)
class SamplesQc:
    """Options of `kgp samples qc`."""

    section = "samples_qc"

    callset: str = option("callset to look at", metavar="NAME")
    contig: tuple[str, ...] = option("only this contig; repeat for more (where not given: all)", metavar="C")
    min_maf: float = option(
        "least minor allele frequency of variants for heterozygosity and sex", metavar="F"
    )
    max_missing: float = option(
        "greatest missing fraction of variants for heterozygosity and sex", metavar="F"
    )

    def __post_init__(self) -> None:
        check_fraction(self.min_maf, "--min-maf", most=0.5)
        check_fraction(self.max_missing, "--max-missing")


@dataclass(frozen=True, kw_only=True)
class SamplesKinship:
    """Options of `kgp samples kinship`."""

    section = "samples_kinship"

    callset: str = option("callset to look at", metavar="NAME")
    contig: tuple[str, ...] = option("only this contig; repeat for more (where not given: all)", metavar="C")
    min_maf: float = option("least minor allele frequency of the variants", metavar="F")
    max_missing: float = option("greatest missing fraction of the variants", metavar="F")
    min_kinship: float = option("keep pairs of people with at least this coefficient", metavar="F")

    def __post_init__(self) -> None:
        check_fraction(self.min_maf, "--min-maf", most=0.5)
        check_fraction(self.max_missing, "--max-missing")
        check_fraction(self.min_kinship, "--min-kinship", most=0.5)
