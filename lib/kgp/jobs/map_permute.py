"""`kgp eqtl map --mode permute`: the best pair of each phenotype judged by permutations, into `eqtl_top`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgp.amounts import count
from kgp.eqtl.association import Pairs
from kgp.eqtl.design import Floats, Ints
from kgp.eqtl.distinct import find_distinct
from kgp.eqtl.permutation import BestPair, draw_permutations, map_permutations, prepare_permuted
from kgp.eqtl.qvalues import (
    LAMBDAS,
    QValues,
    adjust_benjamini_hochberg,
    estimate_q_values,
    find_p_threshold,
    nominal_thresholds,
)
from kgp.job import Context
from kgp.jobs.map_block import Finished, MapBlock, Scope, Tally, count_tested, describe_pairs
from kgp.params import EqtlMap, MapModel
from kgp.table import Table
from kgp.tables import EQTL_TOP

# A smoothed pi0 rests on the p's above 0.95: of fewer phenotypes those are fewer than five.
MIN_SMOOTHED = 100

# Nominal degrees of freedom of a row's test: a column that `finish` needs and that is not stored.
_DF = "df"
# A p that is computed again, by mode independent from residuals, is the same within this.
_ROUNDING = 1e-9

# Seconds of a variant of a phenotype, and of a multiplication and addition in single precision.
_VARIANT_SECONDS = 2e-6
_FLOP_SECONDS = 2.0 / 7e10
# Seconds of a phenotype's beta fit, a permutation.
_FIT_SECONDS = 1.5e-6


@dataclass(frozen=True)
class PermuteMode:
    """The best pair of each phenotype or group; see `kgp.jobs.map_block.MapMode`.

    Args:
        n_permutations: of each phenotype.
        seed: of the permutations.
        fdr: that thresholds are for.
        q_lambda: fixed λ of the q-values, or None.
        is_grouped: phenotypes of a group are searched as one.
        model: ``qtltools``: nominal thresholds are on the scale of p_value; ``fastqtl``: on that of effective_df.
    """

    n_permutations: int
    seed: int
    fdr: float
    q_lambda: float | None
    is_grouped: bool
    model: MapModel
    table: Table = EQTL_TOP
    scope: Scope = "cis"
    writes_files: bool = False
    wanted: frozenset[str] | None = None

    @property
    def options(self) -> Mapping[str, str]:
        """Those of the permutations and the q-values."""
        return {
            "permutations": str(self.n_permutations),
            "seed": str(self.seed),
            "fdr": repr(self.fdr),
            "q_lambda": "" if self.q_lambda is None else repr(self.q_lambda),
            "grouped": str(self.is_grouped).lower(),
        }

    def estimate_seconds(self, n_variants: Ints, n_samples: int) -> Floats:
        """By products, and by the beta fits."""
        of_variant = _VARIANT_SECONDS + self.n_permutations * n_samples * _FLOP_SECONDS
        return np.asarray(n_variants * of_variant + self.n_permutations * _FIT_SECONDS)

    def map_block(self, block: MapBlock, tally: Tally) -> Iterator[pa.RecordBatch]:
        """Rows of `eqtl_top` but for what `finish` adds."""
        genotypes = find_distinct(block.dosages, block.design)
        count_tested(block, genotypes.vector_of < 0, tally)
        found = list(
            map_permutations(
                prepare_permuted(block.phenotypes.values, block.design),
                genotypes,
                block.windows,
                block.distances,
                draw_once(block.design.n_samples, self.n_permutations, self.seed),
                block.design,
                block.groups,
            )
        )
        if found:
            pairs = join_pairs([one.pair for one in found])
            columns = {**describe_pairs(block, pairs), **describe_best(block, found)}
            n_phenotypes = [one.n_phenotypes if self.is_grouped else None for one in found]
            columns["n_phenotypes"] = pa.array(n_phenotypes, pa.int64())
            columns[_DF] = pa.repeat(float(block.design.df), len(found))
            yield pa.RecordBatch.from_pydict(columns)

    def finish(self, rows: pa.Table, tally: Tally) -> Finished:
        """Add q-values and thresholds."""
        if not rows.num_rows:
            return Finished(_shape(rows), {"n_tested": 0.0, "n_egenes": 0.0})
        p_beta = rows["p_beta"].to_numpy()
        q_values = judge(p_beta, self.q_lambda)
        threshold = find_p_threshold(p_beta, q_values.q, self.fdr)
        is_egene = q_values.q <= self.fdr
        added = {
            "q_value": pa.array(q_values.q),
            "q_value_bh": pa.array(adjust_benjamini_hochberg(p_beta)),
            "is_egene": pa.array(is_egene),
            "p_threshold": _nominal(threshold, rows, self.model),
        }
        for name, values in added.items():
            rows = rows.append_column(name, values)
        figures = {
            "n_tested": float(rows.num_rows),
            "n_egenes": float(is_egene.sum()),
            "n_without_beta": float(rows["beta_shape1"].null_count),
            "pi0": q_values.pi0,
        }
        if q_values.method != "one":
            figures["lambda"] = q_values.lambdas[-1]
        if threshold is not None:
            figures["p_beta_threshold"] = threshold
        return Finished(_shape(rows), figures, _tell(q_values, rows))


def prepare_permute(context: Context, matrix_set: Mapping[str, Any], params: EqtlMap) -> PermuteMode:
    """The mode; it needs nothing of the lake."""
    return PermuteMode(
        params.permutations, params.seed, params.fdr, params.q_lambda, params.grouped, params.model
    )


def judge(p_beta: Floats, q_lambda: float | None) -> QValues:
    """q-values of phenotypes; with pi0 = 1 where there are too few to smooth pi0 over.

    Args:
        p_beta: one a phenotype, at least one.
        q_lambda: fixed λ, or None.
    """
    if q_lambda is None and p_beta.size < MIN_SMOOTHED:
        note = (
            f"{count(p_beta.size, 'phenotype is', 'phenotypes are')} too few to estimate pi0 from: it is taken as 1, "
            "as Benjamini and Hochberg do (--q-lambda estimates it at one lambda)."
        )
        return QValues(adjust_benjamini_hochberg(p_beta), 1.0, "one", LAMBDAS, note)
    return estimate_q_values(p_beta, q_lambda)


def join_pairs(pairs: Sequence[Pairs]) -> Pairs:
    """Pairs after one another."""
    names = ("phenotype", "variant", "r", "slope", "slope_se", "t", "p", "neg_log10_p")
    return Pairs(**{name: np.concatenate([getattr(one, name) for one in pairs]) for name in names})


def describe_best(block: MapBlock, found: Sequence[BestPair]) -> dict[str, pa.Array]:
    """What the permutations say of the best pair of each phenotype or group, as columns.

    Args:
        block: that was searched.
        found: its best pairs.
    """
    has_beta = [one.beta.method != "none" for one in found]
    groups = [None if block.group_ids is None else block.group_ids[one.group] for one in found]
    return {
        "group_id": pa.array(groups, pa.string()),
        "n_variants": pa.array([one.n_variants for one in found], pa.int64()),
        "n_permutations": pa.array([one.n_permutations for one in found], pa.int32()),
        "p_perm": pa.array([one.p_perm for one in found]),
        "p_beta": pa.array([one.p_beta for one in found]),
        "neg_log10_p_beta": pa.array([one.neg_log10_p_beta for one in found]),
        "beta_shape1": _where(has_beta, [one.beta.shape1 for one in found]),
        "beta_shape2": _where(has_beta, [one.beta.shape2 for one in found]),
        "effective_df": _where(has_beta, [one.beta.df for one in found]),
    }


@lru_cache(maxsize=1)
def draw_once(n_samples: int, n_permutations: int, seed: int) -> Ints:
    """Permutations × samples of `draw_permutations`, drawn once by each process: its blocks share them."""
    return draw_permutations(n_samples, n_permutations, seed)


def _where(is_there: Sequence[bool], values: Sequence[float]) -> pa.Array:
    return pa.array(values, pa.float64(), mask=~np.array(is_there))


def _nominal(threshold: float | None, rows: pa.Table, model: MapModel) -> pa.Array:
    """The nominal p of each phenotype that corresponds to the threshold; null where there is none."""
    if threshold is None:
        return pa.nulls(rows.num_rows, pa.float64())
    names = ("beta_shape1", "beta_shape2", "effective_df")
    shape1, shape2, effective_df = (pc.fill_null(rows[name], np.nan).to_numpy() for name in names)
    if model == "fastqtl":
        found = nominal_thresholds(threshold, shape1, shape2)
    else:
        found = nominal_thresholds(threshold, shape1, shape2, effective_df, rows[_DF].to_numpy())
        # Where all are significant the threshold is the last one's p_beta, and its p_value the nominal threshold.
        is_last = (rows["p_beta"].to_numpy() == threshold) & ~np.isnan(found)
        found = np.where(is_last, np.minimum(rows["p_value"].to_numpy() * (1.0 + _ROUNDING), 1.0), found)
    return pa.array(found, mask=np.isnan(found))


def _shape(rows: pa.Table) -> pa.Table:
    """Rows in the table's columns and order; a table of no rows may lack columns."""
    if not rows.num_rows:
        return EQTL_TOP.arrow_schema.empty_table()
    return rows.select(list(EQTL_TOP.columns)).sort_by([(name, "ascending") for name in EQTL_TOP.sort_by])


def _tell(q_values: QValues, rows: pa.Table) -> list[str]:
    notes = [q_values.note] if q_values.note else []
    if n := rows["beta_shape1"].null_count:
        notes.append(
            f"{count(n, 'phenotype has', 'phenotypes have')} no beta distribution (all permutations alike): "
            "p_beta is p_perm there"
        )
    return notes
