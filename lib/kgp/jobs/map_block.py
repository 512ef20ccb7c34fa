"""A block of a mapping: consecutive phenotypes and the variants near them; and what a mode of mapping is.

A task reads a block once, with what cannot be tested left out and counted, and hands it to the mode, which makes rows
of it. Modes know neither Spark nor the lake. What a mode finds for a phenotype depends on the block's numbers alone.

Arrays are `phenotypes × samples`, `variants × samples` and `samples × covariates`, all in the set's sample order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa

from kgp.eqtl.association import AlleleStatistics, Pairs, count_alleles
from kgp.eqtl.design import Design, Flags, Floats, Ints
from kgp.io.matrix_sets import Dosages, PhenotypeRows
from kgp.table import Table

Scope = Literal["cis", "trans"]

_PLACES = ["contig", "variant_id", "start", "ref", "alt", "af", "vcf_id"]
# Rows of a run that is worth copying as one, on average.
_LONG_RUN = 20

# Why phenotypes and pairs are not tested: keys of `eqtl_maps.dropped`.
MISSING_VALUES = "phenotype with missing values"
CONSTANT = "constant phenotype"
CONSTANT_BESIDE = "phenotype constant beside the covariates"
NO_VARIANT = "phenotype without a variant in its window"
ONLY_CONSTANT = "phenotype with constant genotypes only"
CONSTANT_GENOTYPE = "pair with a constant genotype"


@dataclass(frozen=True, eq=False)
class MapBlock:
    """Phenotypes that can be tested, in a cis block of one contig, and the variants of all their windows.

    Args:
        map_id: of the mapping.
        matrix_id: of the set.
        phenotypes: phenotypes × samples, complete, none constant, also beside the covariates, none without a variant
            in its window; in the order of their groups, within one by TSS and id. There may be none.
        groups: rows of `phenotypes` that are searched as one, at least one each, by the order of the groups; without
            --grouped each phenotype is a group of its own.
        group_ids: name of each group; None without --grouped.
        variants: columns `kgp.io.matrix_sets.PLACES` of the variants, by start and id, of one contig.
        dosages: variants × samples, complete: missing ones are filled in with the variant's mean.
        windows: phenotypes × 2: rows of `variants`, first and one past the last. In a trans block all of them.
        design: covariates, model and degrees of freedom.
        covariate_names: of the design, those left out not among them.
        covariates: samples × covariates.
    """

    map_id: str
    matrix_id: str
    phenotypes: PhenotypeRows
    groups: Sequence[Sequence[int]]
    group_ids: Sequence[str] | None
    variants: pa.RecordBatch
    dosages: Dosages
    windows: Ints
    design: Design
    covariate_names: Sequence[str]
    covariates: Floats

    @cached_property
    def tss(self) -> Ints:
        """Transcription start a phenotype, 1-based."""
        return np.asarray(self.phenotypes.rows.column("tss").to_numpy())

    @cached_property
    def pos(self) -> Ints:
        """Position a variant, 1-based."""
        return np.asarray(self.variants.column("start").to_numpy() + 1)

    @cached_property
    def distances(self) -> list[Ints]:
        """Of each phenotype, POS − TSS of each variant of its window."""
        return [
            self.pos[first:last] - tss
            for (first, last), tss in zip(self.windows.tolist(), self.tss.tolist(), strict=True)
        ]

    @cached_property
    def alleles(self) -> AlleleStatistics:
        """Minor alleles of each variant."""
        return count_alleles(self.dosages)


@dataclass(eq=False)
class Tally:
    """What a block came to: counts that are summed over the blocks.

    Args:
        n_phenotypes: phenotypes that were tested with at least one variant; in a trans mapping they are counted when
            the block is read, in a cis mapping by `count_tested`.
        n_pairs: pairs that were tested.
        dropped: reason → phenotypes or pairs that were not.
    """

    n_phenotypes: int = 0
    n_pairs: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def drop(self, reason: str, n: int) -> None:
        """Count phenotypes or pairs that are not tested."""
        if n:
            self.dropped[reason] += n

    def add(self, other: Tally) -> None:
        """Add the counts of another block."""
        self.n_phenotypes += other.n_phenotypes
        self.n_pairs += other.n_pairs
        self.dropped.update(other.dropped)


@dataclass(frozen=True, eq=False)
class Finished:
    """All rows of a mapping, as they are stored, and what it found as a whole.

    Args:
        rows: with all columns of the mode's table.
        figures: name → number, for `eqtl_maps.figures`.
        notes: what a person should know of it.
        df: degrees of freedom of each test, where they are others than the design's.
    """

    rows: pa.Table
    figures: Mapping[str, float]
    notes: Sequence[str] = ()
    df: int | None = None


class MapMode(Protocol):
    """One way of mapping, with all that it needs besides the blocks: made on the driver, pickled into the tasks.

    `kgp.jobs.map_eqtl` makes it by the mode's `prepare_<mode>(context, matrix_set, params)`.
    """

    @property
    def table(self) -> Table:
        """Where its rows go."""

    @property
    def scope(self) -> Scope:
        """``cis``: blocks of neighbouring phenotypes; ``trans``: all phenotypes with each stretch of variants."""

    @property
    def writes_files(self) -> bool:
        """Whether tasks write the rows, with all columns of the table, into its files: where there are many.

        Otherwise the rows of all blocks come together on the driver, for `finish`.
        """

    @property
    def options(self) -> Mapping[str, str]:
        """Options and inputs of its own that the rows depend on: hashed into `map_id` and recorded."""

    @property
    def wanted(self) -> frozenset[str] | None:
        """Phenotypes that are mapped, by id; None for all of the set."""

    def estimate_seconds(self, n_variants: Ints, n_samples: int) -> Floats:
        """About how long each phenotype takes on one core.

        Args:
            n_variants: variants in the window of each phenotype.
            n_samples: people.
        """

    def map_block(self, block: MapBlock, tally: Tally) -> Iterator[pa.RecordBatch]:
        """Rows of a block, by phenotype in the block's order.

        Args:
            block: what to map.
            tally: is told what was tested and what was not (`n_phenotypes`, `n_pairs`, `dropped`) until the last batch
                has been given. What is missing from the block is counted already.
        """

    def finish(self, rows: pa.Table, tally: Tally) -> Finished:
        """What is told from all blocks' rows together: q-values, counts.

        Args:
            rows: of all blocks in their order; no rows where tasks write them into files.
            tally: sums of the blocks' tallies.
        """


def describe_pairs(block: MapBlock, pairs: Pairs) -> dict[str, pa.Array]:
    """The columns that every table of pairs has (those of `eqtl_nominal`), of some pairs of a block.

    Args:
        block: where they come from.
        pairs: phenotype is a row of the block's phenotypes, variant one of its variants.
    """
    n = pairs.phenotype.size
    phenotype = pa.array(pairs.phenotype)
    places = _take(block.variants.select(_PLACES), pairs.variant)
    columns = {
        "map_id": pa.repeat(pa.scalar(block.map_id), n),
        "matrix_id": pa.repeat(pa.scalar(block.matrix_id), n),
        "model": pa.repeat(pa.scalar(block.design.model), n),
        "contig": places.column("contig"),
        "phenotype_id": block.phenotypes.rows.column("phenotype_id").take(phenotype),
        **{name: places.column(name) for name in _PLACES if name != "contig"},
        "ma_samples": pa.array(block.alleles.ma_samples[pairs.variant], pa.int32()),
        "ma_count": pa.array(block.alleles.ma_count[pairs.variant], pa.float64()),
        "tss_distance": pa.array(block.pos[pairs.variant] - block.tss[pairs.phenotype]),
        "slope": pa.array(pairs.slope),
        "slope_se": pa.array(pairs.slope_se),
        "t_statistic": pa.array(pairs.t),
        "p_value": pa.array(pairs.p),
        "neg_log10_p": pa.array(pairs.neg_log10_p),
    }
    return columns


def _take(rows: pa.RecordBatch, chosen: Ints) -> pa.RecordBatch:
    """Some rows by number; those of windows are runs, which are copied several times as fast as row by row."""
    begins = np.flatnonzero(np.diff(chosen, prepend=chosen[:1] - 2) != 1)
    if begins.size * _LONG_RUN > chosen.size:
        return rows.take(pa.array(chosen))
    lengths = np.diff(begins, append=chosen.size)
    runs = [rows.slice(first, n) for first, n in zip(chosen[begins].tolist(), lengths.tolist(), strict=True)]
    (found,) = pa.Table.from_batches(runs).combine_chunks().to_batches()
    return found


def count_tested(block: MapBlock, is_constant: Flags, tally: Tally) -> Ints:
    """Variants of each window that can be tested; tells the tally what is tested and what is not.

    Args:
        block: a cis block.
        is_constant: a flag a variant: constant, or constant beside the covariates.
        tally: is told of the phenotypes and pairs that are tested, and of those that are not.
    """
    before = np.concatenate([[0], np.cumsum(is_constant)])
    n_constant = before[block.windows[:, 1]] - before[block.windows[:, 0]]
    n_tested = np.asarray(block.windows[:, 1] - block.windows[:, 0] - n_constant)
    tally.n_phenotypes += int((n_tested > 0).sum())
    tally.n_pairs += int(n_tested.sum())
    tally.drop(CONSTANT_GENOTYPE, int(n_constant.sum()))
    tally.drop(ONLY_CONSTANT, int((n_tested == 0).sum()))
    return n_tested
