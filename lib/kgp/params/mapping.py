"""Options of the jobs that map eQTLs and show what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from typing import Literal

from kgp.errors import UsageError
from kgp.params.declare import check_fraction, option

# Philox, which draws the permutations, takes keys of 128 bits.
_SEEDS = 1 << 128

Mode = Literal["nominal", "permute", "independent", "finemap", "interaction", "trans"]
MapModel = Literal["fastqtl", "qtltools"]

# The eGenes of the other two are those of the permutation pass with the same options.
_PERMUTED: tuple[Mode, ...] = ("permute", "independent", "finemap")

# Options that not every mode uses, and the modes that do. The cis window, whose modes are those with one, and the
# interacting covariate, which its mode must have, are looked at elsewhere.
_MODES_OF: dict[str, tuple[Mode, ...]] = {
    **dict.fromkeys(("permutations", "seed", "fdr", "q_lambda", "grouped"), _PERMUTED),
    **dict.fromkeys(("n_effects", "coverage", "min_purity"), ("finemap",)),
    "min_interaction_maf": ("interaction",),
    **dict.fromkeys(("max_p", "trans_distance"), ("trans",)),
}


@dataclass(frozen=True, kw_only=True)
class EqtlMap:
    """Options of `kgp eqtl map`."""

    section = "eqtl_map"

    name: str = option("name of the matrix set", metavar="NAME")
    mode: Mode = option(
        "nominal (all cis pairs), permute (best pair a phenotype, with q-values), independent (stepwise signals), "
        "finemap (credible sets of the eGenes), interaction, or trans",
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
    n_effects: int = option("effects of a fine-mapped phenotype at most", metavar="N")
    coverage: float = option("least probability that a credible set has its effect's variant", metavar="P")
    min_purity: float = option("least |r| of any two variants of a credible set", metavar="R")
    interaction: str | None = option(
        "covariate of the set, or of a table of covariates (SET:COVARIATE), that genotypes interact with",
        metavar="NAME",
    )
    min_interaction_maf: float = option(
        "least minor allele frequency in each half of the people in the order of the covariate, as in tensorQTL: the "
        "first n // 2 and the others; people with the same value stand in the set's order, so a covariate of two "
        "values has halves that mix them",
        metavar="F",
    )
    max_p: float = option("greatest p-value that trans pairs are kept with", metavar="P")
    trans_distance: int = option("bases from the TSS within which a pair is cis, not trans", metavar="BP")
    replace: bool = option("map again although it was mapped with these very options")
    # No option: names of those that the command line gave. The configuration may have options of all modes.
    asked: InitVar[frozenset[str]] = frozenset()

    def __post_init__(self, asked: frozenset[str]) -> None:
        self._check_modes(asked)
        for name in ("fdr", "max_p"):
            if not 0 < (number := getattr(self, name)) <= 1:
                raise UsageError(
                    f"{number} is out of range.", where=_flag(name), mend="Give a number above 0, at most 1."
                )
        check_fraction(self.min_purity, "--min-purity")
        check_fraction(self.min_interaction_maf, "--min-interaction-maf", most=0.5)
        if self.q_lambda is not None and not 0 <= self.q_lambda < 1:
            raise UsageError(
                f"{self.q_lambda} is out of range.", where="--q-lambda", mend="Give a number from 0, below 1."
            )
        if not 0 < self.coverage < 1:
            raise UsageError(
                f"{self.coverage} is out of range.",
                where="--coverage",
                mend="Give a number above 0, below 1.",
            )
        if self.n_effects < 1:
            raise UsageError(
                f"{self.n_effects} is out of range.", where="--n-effects", mend="Give 1 or more."
            )
        if self.permutations < 10:
            raise UsageError(
                f"{self.permutations} permutations are too few.",
                where="--permutations",
                mend="Give 10 or more.",
            )
        for name in ("seed", "phenotype_df", "trans_distance", "cis_window"):
            if (number := getattr(self, name)) is not None and number < 0:
                raise UsageError(f"{number} is out of range.", where=_flag(name), mend="Give 0 or more.")
        if self.seed >= _SEEDS:
            raise UsageError(f"{self.seed} is too large.", where="--seed", mend="Give a number below 2^128.")
        if (self.interaction is not None) != (self.mode == "interaction"):
            raise UsageError(
                "A covariate is what interactions are with.",
                where="--interaction",
                mend="Give it with --mode interaction, and only there.",
            )

    def _check_modes(self, asked: frozenset[str]) -> None:
        """Refuse options that the mode does not use: nobody is to believe that it did."""
        useless = [name for name in _MODES_OF if name in asked and self.mode not in _MODES_OF[name]]
        if not useless:
            return
        by_modes: dict[tuple[Mode, ...], list[str]] = {}
        for name in useless:
            by_modes.setdefault(_MODES_OF[name], []).append(_flag(name))
        places = [f"{_join(flags)} with --mode {_join(modes, 'or')}" for modes, flags in by_modes.items()]
        them = "it" if len(useless) == 1 else "them"
        raise UsageError(
            f"Mode {self.mode} does not use {them}.",
            where=", ".join(map(_flag, useless)),
            mend=f"Leave {them} away; give {'; '.join(places)}.",
        )


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _join(names: Sequence[str], word: str = "and") -> str:
    """Names as a sentence lists them.

    >>> _join(["a"]), _join(["a", "b", "c"], "or")
    ('a', 'a, b or c')
    """
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


@dataclass(frozen=True, kw_only=True)
class EqtlShow:
    """Options of `kgp eqtl show`."""

    section = "eqtl_show"

    name: str = option("name of the matrix set", metavar="NAME", positional=True)
    gene: str | None = option(
        "one gene, group or phenotype, by id or name: its locus, and its boxes by genotype", metavar="G"
    )
    model: MapModel = option("which model's mapping", metavar="MODEL")
    out: str | None = option("HTML page with the pictures", metavar="FILE")


@dataclass(frozen=True, kw_only=True)
class EqtlTop:
    """Options of `kgp eqtl top`."""

    section = "eqtl_top"

    name: str = option("name of the matrix set", metavar="NAME", positional=True)
    gene: str | None = option(
        "what each mode found for one gene, group or phenotype, by id or name", metavar="G"
    )
    model: MapModel = option("which model's mapping", metavar="MODEL")
    rows: int = option("most rows to show", metavar="N")

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise UsageError(f"{self.rows} is out of range.", where="--rows", mend="Give 1 or more.")
