"""Blocks of a mapping read from the tables of their set, without what cannot be tested.

Arrays are `phenotypes × samples`, `variants × samples` and `samples × covariates`, all in the set's sample order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgp.eqtl.covariates import drop_useless
from kgp.eqtl.design import Design, Floats, Ints, Model, make_design, standardise_phenotypes
from kgp.io.matrix_sets import (
    GenotypeRows,
    PhenotypeRows,
    arrange_covariates,
    fill_missing,
    read_genotypes,
    read_phenotypes,
)
from kgp.jobs.map_block import CONSTANT, CONSTANT_BESIDE, MISSING_VALUES, MapBlock, Tally
from kgp.jobs.map_cuts import PlannedBlock
from kgp.jobs.map_places import find_windows


@dataclass(frozen=True, eq=False)
class SetDesign:
    """What is regressed out of the phenotypes of a contig.

    Args:
        design: basis of the covariates, model and degrees of freedom.
        names: of the covariates that are used.
        values: samples × those covariates.
        dropped: covariate that is not used → why.
    """

    design: Design
    names: tuple[str, ...]
    values: Floats
    dropped: Mapping[str, str]


def make_designs(
    rows: Sequence[Mapping[str, Any]], contigs: Sequence[str], n_samples: int, model: Model, lost_df: int
) -> dict[str, SetDesign]:
    """The design of each contig; contigs without covariates of their own share one.

    Args:
        rows: of the set, from `eqtl_covariates`.
        contigs: of the phenotypes.
        n_samples: people.
        model: see `Design`.
        lost_df: see `Design`.

    Raises:
        InputError: a covariate has missing values, or there are too few people for the covariates.
    """
    shared: dict[bool, SetDesign] = {}
    own = {row["contig"] for row in rows}
    designs = {}
    for contig in contigs:
        has_own = contig in own
        if has_own or has_own not in shared:
            names, values = arrange_covariates(rows, n_samples, contig)
            kept = drop_useless(names, values)
            design = make_design(kept.values, model, lost_df)
            shared[has_own] = SetDesign(design, kept.names, kept.values, kept.dropped)
        designs[contig] = shared[has_own]
    return designs


@dataclass(frozen=True, eq=False)
class BlockSource:
    """What blocks are read with, the same for all of a mapping.

    Args:
        map_id: of the mapping.
        matrix_id: of the set.
        n_samples: people of the set.
        window: cis window in base pairs; None where every variant is in every window (trans).
        is_grouped: phenotypes of a group are searched as one.
        designs: contig → its design.
    """

    map_id: str
    matrix_id: str
    n_samples: int
    window: int | None
    is_grouped: bool
    designs: Mapping[str, SetDesign]

    def read(self, planned: PlannedBlock, tally: Tally) -> MapBlock:
        """Read a block; what of it cannot be tested is left out, and counted where the block is the first with it."""
        used = self.designs[planned.covariates_of]
        of_block = _choose(read_phenotypes(planned.phenotype_parts, self.n_samples), planned.phenotype_ids)
        kept = _find_testable(of_block, used.design, tally if planned.is_first else Tally())
        phenotypes = of_block.take(kept)
        genotypes = _read_stretch(planned, self.n_samples)
        starts = genotypes.rows.column("start").to_numpy()
        group_of = [planned.group_ids[i] for i in kept.tolist()]
        if self.window is None:
            windows = np.tile(np.array([0, starts.size], dtype=np.int64), (len(phenotypes), 1))
            tally.n_phenotypes += len(phenotypes) if planned.is_first else 0
        else:
            windows = find_windows(starts, phenotypes.rows.column("tss").to_numpy(), self.window)
        members: dict[str, list[int]] = {}
        for i, name in enumerate(group_of):
            members.setdefault(name, []).append(i)
        return MapBlock(
            map_id=self.map_id,
            matrix_id=self.matrix_id,
            phenotypes=phenotypes,
            groups=list(members.values()),
            group_ids=list(members) if self.is_grouped else None,
            variants=genotypes.rows,
            dosages=fill_missing(genotypes.dosages),
            windows=windows,
            design=used.design,
            covariate_names=used.names,
            covariates=used.values,
        )


def _choose(phenotypes: PhenotypeRows, ids: Sequence[str]) -> PhenotypeRows:
    """Phenotypes of these ids, in their order."""
    place_of = {name: i for i, name in enumerate(phenotypes.rows.column("phenotype_id").to_pylist())}
    return phenotypes.take([place_of[name] for name in ids])


def _find_testable(phenotypes: PhenotypeRows, design: Design, tally: Tally) -> Ints:
    """Rows of phenotypes with a value of every person, that vary, beside the covariates, too."""
    is_complete = np.isfinite(phenotypes.values).all(axis=1)
    complete = np.flatnonzero(is_complete)
    values = phenotypes.values[complete]
    is_constant = values.max(axis=1, initial=-np.inf) == values.min(axis=1, initial=np.inf)
    varying = complete[~is_constant]
    is_explained = standardise_phenotypes(phenotypes.values[varying], design).is_constant
    tally.drop(MISSING_VALUES, int((~is_complete).sum()))
    tally.drop(CONSTANT, int(is_constant.sum()))
    tally.drop(CONSTANT_BESIDE, int(is_explained.sum()))
    return np.asarray(varying[~is_explained])


def _read_stretch(planned: PlannedBlock, n_samples: int) -> GenotypeRows:
    """The variants that start in the block's span, by start and id."""
    begin, end = planned.span
    rows: list[pa.RecordBatch] = []
    dosages: list[NDArray[Any]] = []
    for part in planned.genotype_parts:
        for batch in read_genotypes(part, n_samples):
            starts = batch.rows.column("start").to_numpy()
            chosen = np.flatnonzero((starts >= begin) & (starts < end))
            if chosen.size:
                rows.append(batch.rows.take(pa.array(chosen)))
                dosages.append(batch.dosages[chosen])
    (places,) = pa.Table.from_batches(rows).combine_chunks().to_batches()
    order = pc.sort_indices(places, [("start", "ascending"), ("variant_id", "ascending")])
    stretch = np.concatenate(dosages)
    if np.array_equal(order.to_numpy(), np.arange(places.num_rows)):
        return GenotypeRows(places, stretch)
    return GenotypeRows(places.take(order), stretch[order.to_numpy()])
