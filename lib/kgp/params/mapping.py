"""Options of the jobs that map eQTLs and show what was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kgp.errors import UsageError
from kgp.params.declare import check_fraction, option

# Philox, which draws the permutations, takes keys of 128 bits.
_SEEDS = 1 << 128

Mode = Literal["nominal", "permute", "independent", "interaction", "trans"]
MapModel = Literal["fastqtl", "qtltools"]


@dataclass(frozen=True, kw_only=True)
class EqtlMap:
    """Options of `kgp eqtl map`."""

    section = "eqtl_map"

    name: str = option("name of the matrix set", metavar="NAME")
    mode: Mode = option(
        "nominal (all cis pairs), permute (best pair a phenotype, with q-values), independent (stepwise signals), "
        "interaction, or trans",
        metavar="MODE",
    )
    model: MapModel = option(
        "fastqtl (phenotype and genotype are residuals of the covariates) or qtltools (the phenotype alone is)",
        metavar="MODEL",
    )
    contig: tuple[str, ...] = option("only phenotypes of this contig; repeat for more", metavar="C")
    cis_window: int | None = option(
        "bases to each side of the TSS (where not given: the set's window)", metavar="BP"
    )
    permutations: int = option("permutations of each phenotype", metavar="N")
    seed: int = option("seed of the permutations", metavar="N")
    fdr: float = option("false discovery rate that thresholds are for", metavar="F")
    q_lambda: float | None = option(
        "fixed lambda of the q-values (where not given: 0.05 to 0.95 smoothed)", metavar="F"
    )
    phenotype_df: int = option(
        "degrees of freedom that the phenotypes lost before, as residuals of so many factors", metavar="N"
    )
    grouped: bool = option("search the phenotypes of a group (transcripts of a gene) as one")
    interaction: str | None = option(
        "covariate of the set, or of a table of covariates (SET:COVARIATE), that genotypes interact with",
        metavar="NAME",
    )
    min_interaction_maf: float = option(
        "least minor allele frequency among the people above and among those below the covariate's median",
        metavar="F",
    )
    max_p: float = option("greatest p-value that trans pairs are kept with", metavar="P")
    trans_distance: int = option("bases from the TSS within which a pair is cis, not trans", metavar="BP")
    replace: bool = option("map again although it was mapped with these very options")

    def __post_init__(self) -> None:
        for name in ("fdr", "max_p"):
            check_fraction(getattr(self, name), "--" + name.replace("_", "-"))
        check_fraction(self.min_interaction_maf, "--min-interaction-maf", most=0.5)
        if self.q_lambda is not None and not 0 <= self.q_lambda < 1:
            raise UsageError(
                f"{self.q_lambda} is out of range.", where="--q-lambda", mend="Give a number from 0, below 1."
            )
        if self.permutations < 10:
            raise UsageError(
                f"{self.permutations} permutations are too few.",
                where="--permutations",
                mend="Give 10 or more.",
            )
        for name in ("seed", "phenotype_df", "trans_distance", "cis_window"):
            if (number := getattr(self, name)) is not None and number < 0:
                raise UsageError(
                    f"{number} is out of range.", where="--" + name.replace("_", "-"), mend="Give 0 or more."
                )
        if self.seed >= _SEEDS:
            raise UsageError(f"{self.seed} is too large.", where="--seed", mend="Give a number below 2^128.")
        if (self.interaction is not None) != (self.mode == "interaction"):
            raise UsageError(
                "A covariate is what interactions are with.",
                where="--interaction",
                mend="Give it with --mode interaction, and only there.",
            )


@dataclass(frozen=True, kw_only=True)
class EqtlShow:
    """Options of `kgp eqtl show`."""

    section = "eqtl_show"

    name: str = option("name of the matrix set", metavar="NAME", positional=True)
    gene: str | None = option("one gene or phenotype: its locus, and its boxes by genotype", metavar="G")
    model: MapModel = option("which model's mapping", metavar="MODEL")
    out: str | None = option("HTML page with the pictures", metavar="FILE")


@dataclass(frozen=True, kw_only=True)
class EqtlTop:
    """Options of `kgp eqtl top`."""

    section = "eqtl_top"

    name: str = option("name of the matrix set", metavar="NAME", positional=True)
    gene: str | None = option("the pairs of one gene or phenotype instead of the best of each", metavar="G")
    model: MapModel = option("which model's mapping", metavar="MODEL")
    rows: int = option("most rows to show", metavar="N")

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise UsageError(f"{self.rows} is out of range.", where="--rows", mend="Give 1 or more.")
