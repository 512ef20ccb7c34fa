"""`kgp eqtl map --mode finemap`: credible sets of the variants that act on each eGene, into `eqtl_credible_sets`.

Which phenotypes are eGenes is what the finished permutation pass of the same set and options says, as for
`--mode independent`. Of an eGene that is a group (--grouped) each phenotype is fine-mapped by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from kgp.amounts import count
from kgp.eqtl.association import Pairs
from kgp.eqtl.design import Floats, Ints, standardise_genotypes, standardise_phenotypes
from kgp.eqtl.distinct import find_distinct
from kgp.eqtl.susie import CredibleSet, SusieFit, SusieOptions, fit_susie
from kgp.job import Context
from kgp.jobs.map_block import Finished, MapBlock, Scope, Tally, count_tested, describe_pairs
from kgp.jobs.map_independent import prepare_independent, tell_without
from kgp.jobs.map_permute import PermuteMode
from kgp.params import EqtlMap
from kgp.table import Table
from kgp.tables import EQTL_CREDIBLE_SETS

# Why a phenotype has no rows though it was tested: a key of `eqtl_maps.dropped`.
NOT_CONVERGED = "phenotype whose fine-mapping did not converge"

# Seconds of a dosage of a window, about: a few rounds over the effects.
_DOSAGE_SECONDS = 2e-8


@dataclass(frozen=True, eq=False)
class FinemapMode:
    """The credible sets of eGenes; see `kgp.jobs.map_block.MapMode`.

    Args:
        permuted: how the permutation pass was made.
        permuted_by: its map_id.
        wanted: phenotypes of the eGenes.
        n_egenes: how many eGenes these are.
        n_without: eGenes of which the permutation pass has no nominal threshold, and which are left out.
        left_out: reason → phenotypes that are not wanted; see `kgp.jobs.map_independent.IndependentMode`.
        susie: how to fit and what to report.
    """

    permuted: PermuteMode
    permuted_by: str
    wanted: frozenset[str]
    n_egenes: int
    n_without: int
    left_out: Mapping[str, int]
    susie: SusieOptions
    table: Table = EQTL_CREDIBLE_SETS
    scope: Scope = "cis"
    writes_files: bool = False

    @property
    def options(self) -> Mapping[str, str]:
        """Those of the permutation pass, which it is, and those of the credible sets."""
        return {
            **self.permuted.options,
            "permuted_by": self.permuted_by,
            "n_effects": str(self.susie.n_effects),
            "coverage": repr(self.susie.coverage),
            "min_purity": repr(self.susie.min_purity),
        }

    def estimate_seconds(self, n_variants: Ints, n_samples: int) -> Floats:
        """By dosages."""
        return np.asarray(n_variants * n_samples * _DOSAGE_SECONDS)

    def map_block(self, block: MapBlock, tally: Tally) -> Iterator[pa.RecordBatch]:
        """Rows of `eqtl_credible_sets`."""
        region = _prepare(block)
        n_tested = count_tested(block, region.vector_of < 0, tally)
        for phenotype in np.flatnonzero(n_tested).tolist():
            variants, fit = region.fit(phenotype, self.susie)
            if not fit.converged:
                tally.drop(NOT_CONVERGED, 1)
                continue
            for cs_id, one in enumerate(fit.credible_sets, start=1):
                yield _describe(block, region, phenotype, variants, fit, cs_id, one)

    def finish(self, rows: pa.Table, tally: Tally) -> Finished:
        """Count credible sets, and the phenotypes without one."""
        for reason, n in self.left_out.items():
            tally.drop(reason, n)
        table = self.table.arrow_schema.empty_table()
        if rows.num_rows:
            keys = [(name, "ascending") for name in self.table.sort_by]
            table = rows.select(list(self.table.columns)).sort_by(keys)
        sets = table.group_by(["contig", "phenotype_id", "cs_id"]).aggregate([("cs_size", "min")])
        n_with = len(table.group_by(["contig", "phenotype_id"]).aggregate([]))
        n_not_converged = tally.dropped[NOT_CONVERGED]
        figures = {
            "n_egenes": float(self.n_egenes),
            "n_credible_sets": float(sets.num_rows),
            "n_several": float(sum(n == 2 for n in sets["cs_id"].to_pylist())),
            "n_single_variant": float(sum(n == 1 for n in sets["cs_size_min"].to_pylist())),
            "n_without_set": float(tally.n_phenotypes - n_with - n_not_converged),
            "n_not_converged": float(n_not_converged),
            "n_without_threshold": float(self.n_without),
        }
        return Finished(table, figures, _tell({name: int(n) for name, n in figures.items()}))


def prepare_finemap(context: Context, matrix_set: Mapping[str, Any], params: EqtlMap) -> FinemapMode:
    """The mode, with the eGenes that the permutation pass found.

    Raises:
        InputError: there is no permutation pass of the same set and options, or it found no eGene.
    """
    of_egenes = prepare_independent(context, matrix_set, params)
    return FinemapMode(
        of_egenes.permuted,
        of_egenes.permuted_by,
        of_egenes.wanted,
        len(of_egenes.thresholds),
        of_egenes.n_without,
        of_egenes.left_out,
        SusieOptions(params.n_effects, params.coverage, params.min_purity),
    )


@dataclass(frozen=True, eq=False)
class _Region:
    """A block made ready: what is the same to all tests is there once.

    Args:
        phenotypes: phenotypes × samples, with mean 0 and length 1.
        lengths: of the phenotypes before.
        vectors: distinct vectors × samples, with mean 0 and length 1.
        vector_of: each variant's row of `vectors`; −1 where it can't be tested.
        windows: phenotypes × 2.
    """

    phenotypes: Floats
    lengths: Floats
    vectors: Floats
    vector_of: Ints
    windows: Ints

    def fit(self, phenotype: int, options: SusieOptions) -> tuple[Ints, SusieFit]:
        """Fine-map a phenotype; the block's variants that the fit's variants are."""
        first, last = self.windows[phenotype].tolist()
        variants = first + np.flatnonzero(self.vector_of[first:last] >= 0)
        rows, vector_of = np.unique(self.vector_of[variants], return_inverse=True)
        return variants, fit_susie(self.phenotypes[phenotype], self.vectors[rows], vector_of, options)


def _prepare(block: MapBlock) -> _Region:
    vector_of = find_distinct(block.dosages, block.design).vector_of
    tested = np.flatnonzero(vector_of >= 0)
    _, first = np.unique(vector_of[tested], return_index=True)
    phenotypes = standardise_phenotypes(block.phenotypes.values, block.design)
    # In double precision, unlike those that permutations are counted with.
    vectors = standardise_genotypes(block.dosages[tested[first]], block.design).values
    return _Region(phenotypes.values, phenotypes.lengths, vectors, vector_of, block.windows)


def _describe(
    block: MapBlock,
    region: _Region,
    phenotype: int,
    variants: Ints,
    fit: SusieFit,
    cs_id: int,
    found: CredibleSet,
) -> pa.RecordBatch:
    """Rows of one credible set."""
    members = variants[found.variants]
    own = standardise_genotypes(block.dosages[members], block.design)
    signs = np.sign(np.einsum("ij,ij->i", own.values, region.vectors[region.vector_of[members]]))
    # From standard deviations of the phenotype and the variant to units of the phenotype for each copy of ALT.
    scale = region.lengths[phenotype] / own.lengths
    n = members.size
    none = np.zeros(n)
    pairs = Pairs(np.full(n, phenotype), members, none, none, none, none, none, none)
    columns = describe_pairs(block, pairs)
    columns |= {
        "group_id": pa.array([_name_group(block, phenotype)] * n, pa.string()),
        "cs_id": pa.array([cs_id] * n, pa.int32()),
        "cs_size": pa.array([n] * n, pa.int32()),
        "cs_purity": pa.array([found.purity] * n),
        "cs_log10_bf": pa.array([found.log10_bf] * n),
        "cs_coverage": pa.array([found.coverage] * n),
        "pip": pa.array(fit.pip[found.variants]),
        "posterior_mean": pa.array(fit.posterior_mean[found.variants] * signs * scale),
        "posterior_sd": pa.array(fit.posterior_sd[found.variants] * scale),
    }
    return pa.RecordBatch.from_pydict({name: columns[name] for name in EQTL_CREDIBLE_SETS.columns})


def _name_group(block: MapBlock, phenotype: int) -> str | None:
    if block.group_ids is None:
        return None
    return next(name for name, rows in zip(block.group_ids, block.groups, strict=True) if phenotype in rows)


def _tell(figures: Mapping[str, int]) -> list[str]:
    notes = [
        f"{count(figures['n_credible_sets'], 'credible set')}, {figures['n_single_variant']:,} of one variant; "
        f"{count(figures['n_several'], 'phenotype has', 'phenotypes have')} more than one"
    ]
    if n := figures["n_without_set"]:
        notes.append(f"{count(n, 'phenotype has', 'phenotypes have')} no credible set that is pure enough")
    if n := figures["n_not_converged"]:
        notes.append(
            f"{count(n, 'phenotype is', 'phenotypes are')} left out, because the fine-mapping did not converge"
        )
    if n := figures["n_without_threshold"]:
        notes.append(tell_without(n))
    return notes
