"""Options of the jobs on matrix sets."""

from __future__ import annotations

import math
from dataclasses import InitVar, dataclass
from typing import ClassVar, Literal

from kgp.errors import UsageError
from kgp.params.declare import Related, check_fraction, check_name, option, recipe

Profile = Literal["basic", "gtex", "geuvadis", "eqtl-catalogue", "none"]
ExportFormat = Literal["tensorqtl", "fastqtl", "plink2", "matrixeqtl", "parquet"]
Normalisation = Literal["none", "tmm", "quantile"]
Transform = Literal["none", "log2", "inverse_normal"]
Factors = Literal["none", "peer", "pca"]
FactorsBy = Literal["elbow", "be"]
FactorsAs = Literal["covariates", "residuals"]
GenotypeSource = Literal["calls", "dosages"]
Multiallelic = Literal["drop", "keep"]
MissingGenotypes = Literal["mean", "drop"]
XModel = Literal["drop", "0_2", "0_1"]
ComponentsFrom = Literal["all", "other-contigs"]
FewContigs = Literal["refuse", "allow"]
Kinship = Literal["none", "king"]
Swaps = Literal["stop", "report", "skip"]

# Longer than any contig, in bases.
MAX_WINDOW = 1_000_000_000

INDICATORS = ("sex", "population", "superpopulation")


@dataclass(frozen=True, kw_only=True)
class EqtlBuild:
    """Options of `kgp eqtl build`.

    Those declared with `recipe` have their defaults in the section of the profile, ``eqtl_profile_<profile>``.
    """

    section = "eqtl_build"
    preset: ClassVar[str] = "profile"

    name: str = option("name of the matrix set, unique in the lake", metavar="NAME")
    callset: str = option("callset to take the genotypes from", metavar="NAME")
    dataset: str | None = option("expression dataset to take the phenotypes from", metavar="ACC")
    quantification: tuple[str, ...] = option(
        "quantification of the dataset to take; repeat for several with other runs (where the dataset has one: that)",
        metavar="NAME",
    )
    counts: str | None = option(
        "quantification of the same runs with read counts, for thresholds on counts and TMM", metavar="NAME"
    )
    phenotypes: str | None = option(
        "instead of --dataset: a BED of one's own phenotypes, one column a person", metavar="BED"
    )
    cohort: str = option("people: ALL, EUR, CEU+TSI, EUR,-FIN, or a file of ids", metavar="COHORT")
    related: Related = option(
        "what to do with relatives: drop (keep the largest set of people who are not related) or keep",
        metavar="WHAT",
    )
    profile: Profile = option("recipe: basic, gtex, geuvadis, eqtl-catalogue or none", metavar="PROFILE")
    covariates: tuple[str, ...] = option(
        "covariates besides those of the profile: lab or batch of the run, a table that kgp load covariates loaded, "
        "or a file; repeat for more",
        metavar="NAME",
    )
    contig: tuple[str, ...] = option(
        "only phenotypes and variants of this contig; repeat for more", metavar="C"
    )
    min_expression: float = recipe(
        "a phenotype is kept where its value is at least this in enough people", "X"
    )
    min_expression_fraction: float = recipe("fraction of people that must reach --min-expression", "F")
    min_count: float = recipe("a phenotype is kept where it has so many reads in enough people", "N")
    min_count_fraction: float = recipe("fraction of people that must reach --min-count", "F")
    max_zero_fraction: float = recipe("greatest fraction of people with a value of 0", "F")
    normalisation: Normalisation = recipe("between people: none, tmm (needs --counts) or quantile", "HOW")
    transform: Transform = recipe("of each phenotype: none, log2 or inverse_normal", "HOW")
    factors: Factors = recipe("hidden factors of expression: none, peer or pca", "HOW")
    n_factors: int | None = recipe(
        "number of hidden factors (where the profile has none: of PEER by the number of people, of a PCA by "
        "--n-factors-by)",
        "N",
    )
    n_factors_by: FactorsBy = recipe(
        "what chooses the number of expression PCs where none is given: elbow (of their variance), or be (Buja and "
        "Eyuboglu's permutations)",
        "HOW",
    )
    factors_as: FactorsAs = recipe(
        "factors become covariates, or phenotypes become residuals of them: covariates or residuals", "WHAT"
    )
    min_cis_variants: int = recipe("a phenotype is kept where so many variants lie in its window", "N")
    cis_window: int = recipe("keep variants within this many bases of a kept phenotype's TSS", "BP")
    genotypes: GenotypeSource = recipe("calls (GT), or dosages (DS or GP) where the callset has them", "WHAT")
    min_maf: float = recipe("least minor allele frequency in the cohort", "F")
    min_mac: int = recipe("least count of the minor allele in the cohort", "N")
    max_missing: float = recipe("greatest fraction of people with a missing genotype", "F")
    min_hwe_p: float = recipe("least Hardy-Weinberg exact p in the cohort; 0 for no limit", "P")
    multiallelic: Multiallelic = recipe("what to do with variants of several ALTs: drop or keep", "WHAT")
    missing_genotypes: MissingGenotypes = recipe(
        "mean (mapping takes the cohort's mean), or drop variants with any", "WHAT"
    )
    x_model: XModel = recipe(
        "chromosome X: drop it, or count hemizygous males 0 and 2 (0_2) or 0 and 1 (0_1)", "MODEL"
    )
    indicator: tuple[str, ...] = recipe(
        "covariates of the people: sex, population or superpopulation; repeat for more", "WHAT"
    )
    n_components: int = recipe("genotype principal components among the covariates", "N")
    components_min_maf: float = recipe("least minor allele frequency of variants for components", "F")
    components_max_missing: float = recipe("greatest missing fraction of variants for components", "F")
    prune_window: int = recipe("window of LD pruning, in variants", "N")
    prune_step: int = recipe("step of LD pruning, in variants", "N")
    prune_max_r2: float = recipe("greatest r2 that LD pruning leaves", "R2")
    components_from: ComponentsFrom = recipe(
        "all contigs of the callset, or other-contigs than the phenotype's (leave one contig out)", "WHICH"
    )
    few_contigs: FewContigs = recipe(
        "components of fewer than 5 contigs or 1,000 pruned variants: refuse or allow", "WHAT"
    )
    kinship: Kinship = recipe(
        "relatives by pedigree alone (none), or by king, too: kgp samples kinship before", "WHAT"
    )
    swaps: Swaps = recipe("when runs look like other people's: stop, report, or skip the search", "WHAT")
    as_of: str | None = option(
        "build from the tables as they were: the matrix_id of an earlier set, or a time (2026-11-01T12:00Z)",
        metavar="WHEN",
    )
    dry_run: bool = option("say what would be kept and dropped at each step, and write nothing")
    replace: bool = option("replace the set of that name if it was built from other parameters or data")
    # No option: names of those that a person gave; the profile decided the other ones that it can.
    asked: InitVar[frozenset[str]] = frozenset()

    def __post_init__(self, asked: frozenset[str]) -> None:
        object.__setattr__(self, "_asked", asked)
        check_name(self.name, "--name")
        for name, most in _FRACTIONS.items():
            check_fraction(getattr(self, name), _flag(name), most=most)
        for name in _NOT_NEGATIVE:
            if (number := getattr(self, name)) is not None and not 0 <= number < math.inf:
                raise UsageError(f"{number} is out of range.", where=_flag(name), mend="Give 0 or more.")
        if not math.isfinite(self.min_expression):
            raise UsageError(
                f"{self.min_expression} is no threshold.", where="--min-expression", mend="Give a number."
            )
        if self.cis_window > MAX_WINDOW:
            raise UsageError(
                f"{self.cis_window} is out of range.",
                where="--cis-window",
                mend=f"Give at most {MAX_WINDOW:,}: no contig is longer.",
            )
        if self.prune_max_r2 >= 1:
            raise UsageError(
                f"{self.prune_max_r2:g} is out of range.",
                where="--prune-max-r2",
                mend="Give a number from 0, below 1.",
            )
        if self.prune_window < 2 or not 1 <= self.prune_step <= self.prune_window:
            raise UsageError(
                f"A window of {self.prune_window} variants can't move by {self.prune_step}.",
                where="--prune-step",
                mend="Give a window of 2 or more, and a step from 1 to the window.",
            )
        if strangers := sorted(set(self.indicator) - set(INDICATORS)):
            raise UsageError(
                f"'{strangers[0]}' is no covariate of people.",
                where="--indicator",
                mend=f"Use {', '.join(INDICATORS)}; --covariates takes others.",
            )
        self._check_choice_of_factors()
        if (self.dataset is None) == (self.phenotypes is None):
            raise UsageError(
                "Phenotypes come from a dataset of the lake or from one's own file.",
                where="--dataset and --phenotypes",
                mend="Give one of the two.",
            )
        if self.phenotypes is not None and (self.quantification or self.counts):
            raise UsageError(
                "A quantification is one of a dataset.",
                where="--quantification" if self.quantification else "--counts",
                mend="Leave it, or --phenotypes, away.",
            )

    def _check_choice_of_factors(self) -> None:
        """Refuse permutations that would choose nothing: nobody is to believe that they did."""
        if self.n_factors_by == "elbow":
            return
        if self.factors != "pca":
            raise UsageError(
                f"Permutations choose the number of expression PCs, and factors are {self.factors}.",
                where="--n-factors-by be",
                mend="Give --factors pca, or leave it away.",
            )
        if self.n_factors is not None:
            raise UsageError(
                f"The number of expression PCs is given: {self.n_factors}.",
                where="--n-factors-by be",
                mend="Leave --n-factors away; where the profile gives the number, take it back with a --conf file that "
                "has eqtl_build: {n_factors: null}.",
            )

    def is_asked_for(self, name: str) -> bool:
        """Whether a person gave an option, and not the profile."""
        return name in vars(self)["_asked"]


_FRACTIONS = {
    "min_expression_fraction": 1.0,
    "min_count_fraction": 1.0,
    "max_zero_fraction": 1.0,
    "min_maf": 0.5,
    "max_missing": 1.0,
    "min_hwe_p": 1.0,
    "components_min_maf": 0.5,
    "components_max_missing": 1.0,
    "prune_max_r2": 1.0,
}
_NOT_NEGATIVE = ("cis_window", "min_mac", "min_cis_variants", "n_components", "n_factors", "min_count")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


@dataclass(frozen=True, kw_only=True)
class EqtlExport:
    """Options of `kgp eqtl export`."""

    section = "eqtl_export"

    name: str = option("name of the matrix set", metavar="NAME")
    format: ExportFormat = option(
        "files for: tensorqtl, fastqtl (FastQTL and QTLtools), plink2, matrixeqtl, or parquet (jaxQTL, LIMIX)",
        metavar="FORMAT",
    )
    out: str = option("directory to write to", metavar="DIR")
