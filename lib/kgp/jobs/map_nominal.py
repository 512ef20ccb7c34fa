"""`kgp eqtl map --mode nominal`: every phenotype with every variant of its window, into `eqtl_nominal`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from kgp.eqtl.association import map_nominal
from kgp.eqtl.design import Floats, Ints, standardise_genotypes, standardise_phenotypes
from kgp.job import Context
from kgp.jobs.map_block import Finished, MapBlock, Scope, Tally, count_tested, describe_pairs
from kgp.params import EqtlMap
from kgp.table import Table
from kgp.tables import EQTL_NOMINAL

# Seconds of a pair: its p-value and its row; and of a multiplication and addition in double precision.
_PAIR_SECONDS = 0.8e-6
_FLOP_SECONDS = 2.0 / 2e10


@dataclass(frozen=True)
class NominalMode:
    """All cis pairs; see `kgp.jobs.map_block.MapMode`."""

    table: Table = EQTL_NOMINAL
    scope: Scope = "cis"
    writes_files: bool = True
    wanted: frozenset[str] | None = None

    @property
    def options(self) -> Mapping[str, str]:
        """None of its own."""
        return {}

    def estimate_seconds(self, n_variants: Ints, n_samples: int) -> Floats:
        """By pairs."""
        return np.asarray(n_variants * (_PAIR_SECONDS + n_samples * _FLOP_SECONDS))

    def map_block(self, block: MapBlock, tally: Tally) -> Iterator[pa.RecordBatch]:
        """Rows of `eqtl_nominal`."""
        phenotypes = standardise_phenotypes(block.phenotypes.values, block.design)
        genotypes = standardise_genotypes(block.dosages, block.design)
        count_tested(block, genotypes.is_constant, tally)
        for pairs in map_nominal(phenotypes, genotypes, block.windows, block.design):
            yield pa.RecordBatch.from_pydict(describe_pairs(block, pairs))

    def finish(self, rows: pa.Table, tally: Tally) -> Finished:
        """Nothing more to tell."""
        return Finished(rows, {})


def prepare_nominal(context: Context, matrix_set: Mapping[str, Any], params: EqtlMap) -> NominalMode:
    """The mode; it needs nothing of the lake."""
    return NominalMode()
