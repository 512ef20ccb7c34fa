"""`kgp eqtl map --mode trans`: every phenotype with every variant far from it, into `eqtl_trans`.

A block is a stretch of variants with all phenotypes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from kgp.eqtl.association import Pairs
from kgp.eqtl.design import Floats, Ints, standardise_genotypes, standardise_phenotypes
from kgp.eqtl.trans import count_trans, map_trans
from kgp.job import Context
from kgp.jobs.map_block import CONSTANT_GENOTYPE, Finished, MapBlock, Scope, Tally, describe_pairs
from kgp.jobs.map_places import find_windows
from kgp.params import EqtlMap
from kgp.table import Table
from kgp.tables import EQTL_TRANS

# Why pairs are not tested: a key of `eqtl_maps.dropped`.
CIS = "pair nearer than the trans distance"

# What to do where nothing is tested for these reasons.
MENDS = {CIS: "give a smaller --trans-distance"}

# Seconds of a multiplication and addition in single precision, and of the rest of a pair.
_FLOP_SECONDS = 2.0 / 7e10
_PAIR_SECONDS = 1.5e-9


@dataclass(frozen=True)
class TransMode:
    """Pairs below a p-value; see `kgp.jobs.map_block.MapMode`.

    Args:
        max_p: greatest p of a kept pair.
        distance: pairs on one contig with |POS − TSS| up to this are cis, and left out.
    """

    max_p: float
    distance: int
    table: Table = EQTL_TRANS
    scope: Scope = "trans"
    writes_files: bool = True
    wanted: frozenset[str] | None = None

    @property
    def options(self) -> Mapping[str, str]:
        """The greatest p and the distance."""
        return {"max_p": repr(self.max_p), "trans_distance": str(self.distance)}

    def estimate_seconds(self, n_variants: Ints, n_samples: int) -> Floats:
        """By products."""
        return np.asarray(n_variants * (_PAIR_SECONDS + n_samples * _FLOP_SECONDS))

    def map_block(self, block: MapBlock, tally: Tally) -> Iterator[pa.RecordBatch]:
        """Rows of `eqtl_trans`."""
        phenotypes = standardise_phenotypes(block.phenotypes.values, block.design)
        genotypes = standardise_genotypes(block.dosages, block.design)
        cis = find_cis(block, self.distance)
        n_pairs, n_cis = count_trans(~phenotypes.is_constant, ~genotypes.is_constant, cis)
        tally.n_pairs += n_pairs
        tally.drop(CIS, n_cis)
        tally.drop(CONSTANT_GENOTYPE, int(genotypes.is_constant.sum()) * len(block.phenotypes))
        for pairs in map_trans(phenotypes, genotypes, cis, block.design, self.max_p):
            yield _describe(block, pairs)

    def finish(self, rows: pa.Table, tally: Tally) -> Finished:
        """How many of the kept pairs chance alone gives."""
        return Finished(rows, {"n_expected": tally.n_pairs * self.max_p})


def prepare_trans(context: Context, matrix_set: Mapping[str, Any], params: EqtlMap) -> TransMode:
    """The mode; it needs nothing of the lake."""
    return TransMode(params.max_p, params.trans_distance)


def find_cis(block: MapBlock, distance: int) -> Ints:
    """Phenotypes × 2: the variants of a block that are cis to each, first and one past the last.

    Args:
        block: variants of one contig, phenotypes of any.
        distance: base pairs to each side of the TSS, ends included.

    Source: tensorQTL 1.0.10, trans.filter_cis.
    """
    contig = block.variants.column("contig")[0].as_py()
    is_here = np.array([one == contig for one in block.phenotypes.rows.column("contig").to_pylist()])
    found = find_windows(block.pos - 1, block.tss, distance)
    return np.where(is_here[:, np.newaxis], found, 0)


def _describe(block: MapBlock, pairs: Pairs) -> pa.RecordBatch:
    columns = describe_pairs(block, pairs)
    phenotype = pa.array(pairs.phenotype)
    columns["phenotype_contig"] = block.phenotypes.rows.column("contig").take(phenotype)
    columns["tss"] = block.phenotypes.rows.column("tss").take(phenotype)
    return pa.RecordBatch.from_pydict({name: columns[name] for name in EQTL_TRANS.columns})
