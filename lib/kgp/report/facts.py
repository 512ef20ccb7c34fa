"""What the report shows, and nothing of how it looks or where it was read."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kgp.report.overlap import Overlap

if TYPE_CHECKING:
    from kgp.report.facts_mapping import MappingFact

Counts = tuple[int, ...]
Floats = NDArray[np.float64]
Fact = TypeVar("Fact")


@dataclass(frozen=True)
class TableFact:
    """A table of the lake.

    Args:
        name: its name.
        n_rows: valid rows.
        version: Delta version.
        n_bytes: size of its files.
        grain: what one row is.
    """

    name: str
    n_rows: int
    version: int
    n_bytes: int
    grain: str


@dataclass(frozen=True)
class LoadFact:
    """A load of one file.

    Args:
        load_id: its id.
        target: table that it fills.
        subject: callset or dataset.
        path: the file, without any credential.
        build: reference build; None where it has none.
        reader: engine that read it.
        rows_in: records of the file.
        rows_out: records that became rows.
        rows_quarantined: records that could not be loaded.
        alleles_out: rows written.
        warnings: what was odd → how often.
        seconds: how long it took.
        loaded_at: when it was committed.
    """

    load_id: str
    target: str
    subject: str
    path: str
    build: str | None
    reader: str
    rows_in: int
    rows_out: int
    rows_quarantined: int
    alleles_out: int
    warnings: Mapping[str, int]
    seconds: float
    loaded_at: datetime.datetime


@dataclass(frozen=True)
class PopulationFact:
    """People of one population in `samples`.

    Args:
        population: its code; None for people of whom none is known.
        name: its name; None where not known.
        superpopulation: AFR, AMR, EAS, EUR, SAS or None.
        n_female, n_male, n_unknown: people by sex.
    """

    population: str | None
    name: str | None
    superpopulation: str | None
    n_female: int
    n_male: int
    n_unknown: int

    @property
    def n_people(self) -> int:
        """All of them."""
        return self.n_female + self.n_male + self.n_unknown


@dataclass(frozen=True)
class ConflictFact:
    """A field of a person that two sources differ in: a row of `sample_conflicts`."""

    sample_id: str
    field: str
    kept: str | None
    kept_from: str | None
    other: str | None
    other_from: str


@dataclass(frozen=True)
class GroupSpectrum:
    """Alleles of a callset by minor allele frequency in a group of people.

    Args:
        group: its name, as `allele_statistics` has it; all for the whole callset.
        n_samples: people of the group.
        counts: alleles in each of `kgp.report.spectrum.BINS`.
        is_stale: whether the people or the loads have changed since it was counted.
    """

    group: str
    n_samples: int
    counts: Counts
    is_stale: bool = False


@dataclass(frozen=True)
class SpectrumFact:
    """Allele frequency spectrum of a callset.

    Args:
        callset: its name.
        n_samples: its people.
        by_class: class of variant → alleles in each bin.
        n_uncounted: alleles without a called genotype, which have no frequency.
        by_group: of superpopulations, where they were computed.
        load_ids: loads of the callset.
    """

    callset: str
    n_samples: int
    by_class: Mapping[str, Counts]
    n_uncounted: int
    by_group: tuple[GroupSpectrum, ...]
    load_ids: tuple[str, ...]

    @property
    def n_alleles(self) -> int:
        """All alleles that have a frequency."""
        return sum(sum(counts) for counts in self.by_class.values())


@dataclass(frozen=True, eq=False)
class PeoplePoints:
    """People, or runs of people, as points of a figure: all arrays are parallel.

    Args:
        names: what a point is called: the person, else the run.
        populations, superpopulations: None where not known.
        scores: points × components.
        variance_explained: part of the variance that each component explains, 0 to 1.
    """

    names: tuple[str, ...]
    populations: tuple[str | None, ...]
    superpopulations: tuple[str | None, ...]
    scores: Floats
    variance_explained: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class GenotypeFact:
    """Genotype components of a callset, or why there are none.

    Args:
        callset: its name.
        points: the people; None where nothing could be computed.
        why_not: why there are no points; None where there are.
        n_variants: variants used.
        n_eligible: common biallelic SNVs of autosomes in the callset.
        n_other_length: chosen variants left out because their genotypes are of another number of people.
        n_stretches, n_stretches_all: stretches of the table that were read, and that hold eligible variants.
        contigs: that the used variants lie on.
        spacing: median distance of neighbours in bp; None where no contig has two.
        load_ids: loads of the callset.
    """

    callset: str
    points: PeoplePoints | None
    why_not: str | None
    n_variants: int
    n_eligible: int
    n_other_length: int
    n_stretches: int
    n_stretches_all: int
    contigs: tuple[str, ...]
    spacing: int | None
    load_ids: tuple[str, ...]


@dataclass(frozen=True)
class QuantificationFact:
    """A released table of values: a row of `quantifications`."""

    dataset: str
    quantification: str
    kind: str
    unit: str
    processing: str
    build: str
    annotation: str
    n_phenotypes: int
    n_runs: int
    load_id: str


@dataclass(frozen=True)
class RunsFact:
    """Runs of a dataset.

    Args:
        dataset: its accession.
        n_runs: runs and arrays.
        n_people: people whom they belong to.
        problems: why nobody is named → runs.
        labs: laboratory → runs.
    """

    dataset: str
    n_runs: int
    n_people: int
    problems: Mapping[str, int]
    labs: Mapping[str, int]


@dataclass(frozen=True)
class NobodyFact:
    """A run that belongs to nobody."""

    dataset: str
    run_id: str
    person_text: str | None
    problem: str


@dataclass(frozen=True, eq=False)
class QualityFact:
    """How the runs of a quantification compare: rows of `expression_quality`, all arrays parallel to `points`.

    Args:
        dataset, quantification: what it is of.
        n_phenotypes: that it was computed from.
        points: the runs on their components.
        run_ids: the runs.
        labs: None where not known.
        d_statistics: median correlation of each run with the others.
        d_scores: its distance from the median of all, in scaled MADs.
        n_expressed: phenotypes above 0.
        flags: what is amiss, by run.
        scale: what values were compared as, as ``log2(rpkm + 1)``; empty where the released table is gone.
        xist, y_expression: in that scale; NaN where not measured.
        sex_stated, sex_inferred: male, female or None.
        load_ids: loads that it was computed from.
    """

    dataset: str
    quantification: str
    n_phenotypes: int
    scale: str
    points: PeoplePoints
    run_ids: tuple[str, ...]
    labs: tuple[str | None, ...]
    d_statistics: Floats
    d_scores: Floats
    n_expressed: tuple[int, ...]
    flags: tuple[tuple[str, ...], ...]
    xist: Floats
    y_expression: Floats
    sex_stated: tuple[str | None, ...]
    sex_inferred: tuple[str | None, ...]
    load_ids: tuple[str, ...]


@dataclass(frozen=True)
class MatrixFact:
    """A matrix set: a row of `eqtl_matrices`.

    Args:
        name, matrix_id, callset, dataset, build: as the table has them.
        kept: people, phenotypes and variants of the set.
        dropped: people, phenotypes and variants → why → how many.
        dropped_people: who was left out → why.
        n_covariates: rows of its covariates.
        dropped_covariates: why covariates were left out → how many.
        load_ids: loads that it was built from.
        built_at: when.
    """

    name: str
    matrix_id: str
    callset: str
    dataset: str | None
    build: str
    kept: Mapping[str, int]
    dropped: Mapping[str, Mapping[str, int]]
    dropped_people: Mapping[str, str]
    n_covariates: int
    dropped_covariates: Mapping[str, int]
    load_ids: tuple[str, ...]
    built_at: datetime.datetime


@dataclass(frozen=True)
class QuarantineFact:
    """Records of a file that could not be loaded for one reason."""

    path: str
    load_id: str
    reason: str
    n: int


@dataclass(frozen=True)
class Facts:
    """All that the report shows."""

    lake: str
    version: str
    tables: tuple[TableFact, ...]
    loads: tuple[LoadFact, ...]
    populations: tuple[PopulationFact, ...]
    conflicts: tuple[ConflictFact, ...]
    overlap: Overlap
    genotypes: tuple[GenotypeFact, ...]
    spectra: tuple[SpectrumFact, ...]
    quantifications: tuple[QuantificationFact, ...]
    runs: tuple[RunsFact, ...]
    nobody: tuple[NobodyFact, ...]
    quality: tuple[QualityFact, ...]
    matrices: tuple[MatrixFact, ...]
    mappings: tuple[MappingFact, ...]
    quarantine: tuple[QuarantineFact, ...]


def pick(kind: type[Fact], row: Mapping[str, Any]) -> Fact:
    """A fact of what a row has under the names of its fields."""
    return kind(**{field.name: row[field.name] for field in fields(kind)})  # type: ignore[arg-type]
