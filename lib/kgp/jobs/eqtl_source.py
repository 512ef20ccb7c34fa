"""Where the phenotypes of a matrix set come from: quantifications of a dataset of the lake, or one's own file."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kgp.errors import InputError
from kgp.io.predicates import in_list
from kgp.job import Context
from kgp.jobs.eqtl_expression import Measured, fetch_expression
from kgp.params import EqtlBuild
from kgp.tables import PHENOTYPES, QUANTIFICATIONS, RUNS
from kgp.transforms.people import Person
from kgp.transforms.quantifications import choose_quantifications

Row = Mapping[str, Any]


class PhenotypeSource(Protocol):
    """What a build asks of it."""

    @property
    def name(self) -> str:
        """For messages: an accession or a file."""

    @property
    def dataset(self) -> str | None:
        """The dataset; None where the phenotypes are somebody's own."""

    @property
    def load_ids(self) -> frozenset[str]:
        """Loads that the phenotypes come from."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What the set depends on besides its loads."""

    @property
    def contigs(self) -> frozenset[str]:
        """Contigs with phenotypes."""

    @property
    def builds(self) -> frozenset[str]:
        """Reference builds of the phenotypes' places."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of it."""

    def fetch_runs(self, context: Context) -> list[tuple[str, str | None]]:
        """(run_id, sample_id), None where nobody is known to own the run."""

    def add_people(self, people: dict[str, Person]) -> dict[str, Person]:
        """Everybody who may be in the set: those whom the lake knows, and whom the source brings besides."""

    def measure(self, context: Context, run_ids: Sequence[str]) -> Measured:
        """Places and values of some runs."""


@dataclass(frozen=True)
class DatasetSource:
    """Quantifications of a dataset that are taken together as one.

    Args:
        dataset: accession.
        quantifications: their rows, by name.
        counts: row of the quantification with the read counts; None where none was named.
        contigs: contigs with phenotypes.
        builds: reference builds of their places.
    """

    dataset: str
    quantifications: tuple[Row, ...]
    counts: Row | None
    contigs: frozenset[str]
    builds: frozenset[str]

    @property
    def name(self) -> str:
        """The accession."""
        return self.dataset

    @property
    def load_ids(self) -> frozenset[str]:
        """Loads of the quantifications, and of the counts."""
        of_counts = () if self.counts is None else (self.counts,)
        return frozenset(row["load_id"] for row in (*self.quantifications, *of_counts))

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Names of the quantifications."""
        return {
            "dataset": self.dataset,
            "quantification": [row["quantification"] for row in self.quantifications],
            "counts": None if self.counts is None else self.counts["quantification"],
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing: what there is to say, the measured values say."""
        return ()

    def fetch_runs(self, context: Context) -> list[tuple[str, str | None]]:
        """Those of the quantifications."""
        rows = context.fetch(RUNS, ["run_id", "sample_id"], in_list("dataset", [self.dataset]))
        measured = {run for row in self.quantifications for run in row["run_ids"]}
        return [(row["run_id"], row["sample_id"]) for row in rows if row["run_id"] in measured]

    def add_people(self, people: dict[str, Person]) -> dict[str, Person]:
        """Nobody besides."""
        return people

    def measure(self, context: Context, run_ids: Sequence[str]) -> Measured:
        """Out of the tables."""
        return fetch_expression(context, self.dataset, self.quantifications, self.counts, run_ids)


def find_dataset(context: Context, params: EqtlBuild, dataset: str) -> DatasetSource | None:
    """The quantifications that are asked for; None where the lake has none of the dataset.

    Raises:
        InputError: it is not clear which quantifications are meant, or there is none of that name.
    """
    there = context.fetch(QUANTIFICATIONS, where=in_list("dataset", [dataset]))
    if not there:
        return None
    counts = None if params.counts is None else _find_counts(params.counts, dataset, there)
    candidates = there
    if not params.quantification and counts is not None:
        candidates = [row for row in there if row is not counts] or there
    chosen = choose_quantifications(dataset, candidates, params.quantification)
    names = [row["quantification"] for row in chosen]
    of_chosen = f"{in_list('dataset', [dataset])} AND {in_list('quantification', names)}"
    places = context.fetch(PHENOTYPES, ["contig", "build"], of_chosen)
    contigs = frozenset(row["contig"] for row in places if row["contig"] is not None)
    builds = frozenset(row["build"] for row in places)
    return DatasetSource(dataset, tuple(chosen), counts, contigs, builds)


def _find_counts(name: str, dataset: str, there: Sequence[Row]) -> Row:
    rows = {row["quantification"]: row for row in there}
    if name not in rows:
        near = difflib.get_close_matches(name, rows, n=1, cutoff=0.3)
        raise InputError(
            f"Dataset {dataset} has no quantification '{name}'.",
            where="--counts",
            mend=(f"Did you mean {near[0]}? " if near else "") + f"There are: {', '.join(sorted(rows))}.",
        )
    return rows[name]
