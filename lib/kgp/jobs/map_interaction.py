"""`kgp eqtl map --mode interaction`: cis pairs with genotype × covariate beside both, into `eqtl_interaction`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from kgp.amounts import count, name_first
from kgp.eqtl.association import Pairs
from kgp.eqtl.covariates import drop_useless
from kgp.eqtl.design import Flags, Floats, Ints, check_people
from kgp.eqtl.interaction import InteractionPairs, map_interactions
from kgp.eqtl.interaction_design import (
    InteractingGenotypes,
    make_interaction,
    prepare_genotypes,
    prepare_phenotypes,
)
from kgp.errors import InputError, UsageError
from kgp.io.matrix_sets import arrange_covariates
from kgp.io.predicates import in_list
from kgp.job import Context
from kgp.jobs.map_block import Finished, MapBlock, Scope, Tally, describe_pairs
from kgp.params import EqtlMap
from kgp.table import Table
from kgp.tables import COVARIATES, EQTL_COVARIATES, EQTL_INTERACTION

Row = Mapping[str, Any]

_FLAG = "--interaction"

# Why pairs and phenotypes are not tested: keys of `eqtl_maps.dropped`.
RARE_IN_HALF = "pair with too few minor alleles in a half of the interacting covariate"
COLLINEAR_PRODUCT = "pair with a constant genotype, or without an interaction of its own"
NONE_LEFT = "phenotype without a variant that can be tested for interaction"

# What to do where nothing is tested for these reasons.
MENDS = {
    RARE_IN_HALF: "give a smaller --min-interaction-maf",
    COLLINEAR_PRODUCT: "name another covariate with --interaction",
}

# Seconds of a pair: its p-values and its row; and of a multiplication and addition in double precision.
_PAIR_SECONDS = 4e-6
_FLOP_SECONDS = 4.0 / 2e10


@dataclass(frozen=True, eq=False)
class InteractionMode:
    """All cis pairs with a covariate's interaction; see `kgp.jobs.map_block.MapMode`.

    Args:
        name: of the covariate, as it was asked for.
        values: a value a person of the set.
        own: covariate of the set that it is, which is then none of the others; None where it is of another table.
        min_maf: least minor allele frequency among the people of the upper and of the lower half.
        df: degrees of freedom; the most where they differ by contig.
    """

    name: str
    values: Floats
    own: str | None
    min_maf: float
    df: int
    table: Table = EQTL_INTERACTION
    scope: Scope = "cis"
    writes_files: bool = True
    wanted: frozenset[str] | None = None

    @property
    def options(self) -> Mapping[str, str]:
        """The covariate, by its values, too, and the least frequency."""
        content = hashlib.sha256(np.asarray(self.values, dtype="<f8").tobytes()).hexdigest()
        return {
            "interaction": self.name,
            "interaction_sha256": content,
            "min_interaction_maf": repr(self.min_maf),
        }

    def estimate_seconds(self, n_variants: Ints, n_samples: int) -> Floats:
        """By pairs."""
        return np.asarray(n_variants * (_PAIR_SECONDS + n_samples * _FLOP_SECONDS))

    def map_block(self, block: MapBlock, tally: Tally) -> Iterator[pa.RecordBatch]:
        """Rows of `eqtl_interaction`."""
        others = _without(block.covariate_names, block.covariates, self.own)
        interaction = make_interaction(self.values, others, block.design.lost_df)
        phenotypes = prepare_phenotypes(block.phenotypes.values, interaction)
        genotypes = prepare_genotypes(block.dosages, interaction, self.min_maf)
        _count(block, genotypes, tally)
        for pairs in map_interactions(phenotypes, genotypes, block.windows, interaction):
            yield _describe(block, pairs)

    def finish(self, rows: pa.Table, tally: Tally) -> Finished:
        """Tell the degrees of freedom: a test has two terms more than the design."""
        return Finished(rows, {"df_interaction": float(self.df)}, df=self.df)


def prepare_interaction(context: Context, matrix_set: Row, params: EqtlMap) -> InteractionMode:
    """The mode, with the covariate's values.

    Raises:
        UsageError: the model is that of QTLtools, which has no interactions.
        InputError: there is no such covariate, it is no number of every person, or it cannot be told apart from the
        other covariates.
    """
    if params.model != "fastqtl":
        raise UsageError(
            "QTLtools has no model with interactions: in it genotypes are no residuals of the covariates.",
            where="--model",
            mend="Map interactions with --model fastqtl.",
        )
    name = str(params.interaction)
    sample_ids = matrix_set["sample_ids"]
    rows = context.fetch(EQTL_COVARIATES, where=in_list("matrix_id", [matrix_set["matrix_id"]]))
    own = [row for row in rows if row["covariate_id"] == name]
    values = _take_own(own[0]) if own else _fetch_loaded(context, name, sample_ids, rows)
    df = 0
    # Where covariates are of one contig, each contig of phenotypes has its own.
    for contig in {row["contig"] for row in rows} - {None} or {None}:
        names, others = arrange_covariates(rows, len(sample_ids), contig)
        kept = drop_useless(names, others)
        left = _without(kept.names, kept.values, name if own else None)
        df = max(df, _check(name, values, left, params.phenotype_df, sample_ids))
    return InteractionMode(name, values, name if own else None, params.min_interaction_maf, df)


def _take_own(row: Row) -> Floats:
    """Values of a covariate of the set."""
    if row["contig"] is not None:
        raise InputError(
            f"Covariate {row['covariate_id']} is one of the phenotypes of contig {row['contig']} alone.",
            where=_FLAG,
            mend="Name a covariate that is the same for all phenotypes.",
        )
    return np.array(row["values"], dtype=np.float64)


def _fetch_loaded(context: Context, name: str, sample_ids: Sequence[str], of_set: Sequence[Row]) -> Floats:
    """Values of a covariate of a loaded table, named SET:COVARIATE; NaN where a person has none."""
    table, _, covariate = name.partition(":")
    rows = context.fetch(COVARIATES, where=in_list("covariate_set", [table])) if covariate else []
    values = {row["sample_id"]: row["covariate_value"] for row in rows if row["covariate_id"] == covariate}
    if not values:
        there = name_first(sorted(row["covariate_id"] for row in of_set)) or "none"
        raise InputError(
            f"There is no covariate '{name}'.",
            where=_FLAG,
            mend=f"The set's covariates: {there}; or name one of a loaded table: SET:COVARIATE.",
        )
    return np.array([np.nan if values.get(s) is None else values[s] for s in sample_ids], dtype=np.float64)


def _check(name: str, values: Floats, others: Floats, lost_df: int, sample_ids: Sequence[str]) -> int:
    """Refuse a covariate that cannot interact, by its name; returns the degrees of freedom."""
    missing = [sample_ids[i] for i in np.flatnonzero(~np.isfinite(values)).tolist()]
    if missing:
        raise InputError(
            f"Covariate {name} is no number for {count(len(missing), 'person', 'people')} of the set: "
            f"{name_first(missing)}.",
            where=_FLAG,
            mend="Give a number for everybody, or build a set without these people.",
        )
    check_people(values.size, others.shape[1] + 1, lost_df, n_products=1)
    try:
        return make_interaction(values, others, lost_df).df
    except InputError as error:
        raise InputError(error.what, where=f"{_FLAG} {name}", mend=error.mend) from error


def _without(names: Sequence[str], covariates: Floats, left_out: str | None) -> Floats:
    """Samples × covariates but for the one that interacts."""
    return covariates[:, [j for j, name in enumerate(names) if name != left_out]]


def _count(block: MapBlock, genotypes: InteractingGenotypes, tally: Tally) -> None:
    n_rare, n_collinear, n_tested = (
        _count_in_windows(block.windows, flags)
        for flags in (genotypes.is_rare, genotypes.is_collinear, genotypes.is_tested)
    )
    tally.n_phenotypes += int((n_tested > 0).sum())
    tally.n_pairs += int(n_tested.sum())
    tally.drop(RARE_IN_HALF, int(n_rare.sum()))
    tally.drop(COLLINEAR_PRODUCT, int(n_collinear.sum()))
    tally.drop(NONE_LEFT, int((n_tested == 0).sum()))


def _count_in_windows(windows: Ints, flags: Flags) -> Ints:
    before = np.concatenate([[0], np.cumsum(flags)])
    return np.asarray(before[windows[:, 1]] - before[windows[:, 0]])


def _describe(block: MapBlock, found: InteractionPairs) -> pa.RecordBatch:
    t = found.g.slope / found.g.slope_se
    none = np.zeros_like(t)
    pairs = Pairs(found.phenotype, found.variant, none, found.g.slope, found.g.slope_se, t, found.g.p, none)
    columns = describe_pairs(block, pairs)
    for ending, effect in (("_i", found.i), ("_gi", found.gi)):
        columns["slope" + ending] = pa.array(effect.slope)
        columns[f"slope{ending}_se"] = pa.array(effect.slope_se)
        columns["p_value" + ending] = pa.array(effect.p)
    columns["neg_log10_p_gi"] = pa.array(found.neg_log10_p_gi)
    return pa.RecordBatch.from_pydict({name: columns[name] for name in EQTL_INTERACTION.columns})
