"""One's own matrices: phenotypes and covariates out of files, whose people need not be among those of the panel."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from kgp.genome import ReferenceBuild
from kgp.io.covariates import CovariateFile, read_covariates
from kgp.io.phenotype_bed import OwnPhenotypes, read_phenotype_bed
from kgp.io.storage import exists
from kgp.io.urls import place_of
from kgp.job import Context
from kgp.jobs.eqtl_expression import Measured
from kgp.transforms.people import Person

_ENDINGS = re.compile(r"(\.(txt|tsv|tab|csv|covar|eigenvec))?(\.(gz|bgz))?$", re.IGNORECASE)


@dataclass(frozen=True)
class OwnSource:
    """A BED of phenotypes, a person a column.

    Args:
        path: the file, for messages.
        own: what it holds.
        build: its reference build, which is that of the genotypes.
    """

    path: str
    own: OwnPhenotypes
    build: ReferenceBuild

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.rpartition("/")[2]

    @property
    def dataset(self) -> str | None:
        """None: it is no dataset of the lake."""
        return None

    @property
    def load_ids(self) -> frozenset[str]:
        """None."""
        return frozenset()

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What the file holds, wherever it lies."""
        return {"phenotypes": f"sha256:{self.own.digest}"}

    @property
    def contigs(self) -> frozenset[str]:
        """Contigs with phenotypes."""
        return frozenset(self.own.rows.column("contig").to_pylist())

    @property
    def builds(self) -> frozenset[str]:
        """That of the genotypes: the reader has seen to it."""
        return frozenset({self.build.name})

    @property
    def notes(self) -> tuple[str, ...]:
        """Where the phenotypes are from, and what the reader says of them."""
        return (f"the phenotypes are those of {self.path}", *(f"{self.name}: {n}" for n in self.own.notes))

    def fetch_runs(self, context: Context) -> list[tuple[str, str | None]]:
        """People: a column is a run of its own."""
        return [(sample_id, sample_id) for sample_id in self.own.sample_ids]

    def add_people(self, people: dict[str, Person]) -> dict[str, Person]:
        """The people of the file, of whom nothing need be known."""
        return {sample_id: {"sample_id": sample_id} for sample_id in self.own.sample_ids} | people

    def measure(self, context: Context, run_ids: Sequence[str]) -> Measured:
        """Out of the file, by phenotype_id: in the order in which those of a dataset come."""
        columns = {sample_id: i for i, sample_id in enumerate(self.own.sample_ids)}
        order = pc.sort_indices(self.own.rows, sort_keys=[("phenotype_id", "ascending")])
        values = self.own.values[order.to_numpy()][:, [columns[run_id] for run_id in run_ids]]
        apart: list[str | None] = [None] * len(values)
        return Measured(self.own.rows.take(order), values, None, "unknown", "unknown", (), apart)


def read_own_phenotypes(context: Context, url: str, build: ReferenceBuild) -> OwnSource:
    """Read a BED of phenotypes.

    Raises:
        FormatError: it is none.
        BuildError: it lies in another build than the genotypes.
    """
    with context.progress.step(f"reading {place_of(url)}"):
        return OwnSource(place_of(url), read_phenotype_bed(url, build), build)


@dataclass(frozen=True)
class OwnCovariates:
    """A file of covariates.

    Args:
        name: the file's name without its endings.
        path: the file, for messages.
        table: what it holds.
    """

    name: str
    path: str
    table: CovariateFile

    @property
    def digest(self) -> str:
        """SHA-256 of what it holds, the same for any layout and compression."""
        found = [self.table.covariate_ids, self.table.sample_ids, self.table.texts]
        return hashlib.sha256(json.dumps(found).encode()).hexdigest()

    @property
    def parameter(self) -> str:
        """How the parameters of a set name it."""
        return f"{self.name} (sha256:{self.digest})"

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd, but read."""
        return tuple(f"{self.path}: {n:,} x {what}" for what, n in self.table.warnings.items())

    def rows(self) -> Iterator[dict[str, Any]]:
        """Its values, as `covariates` has those of loaded tables."""
        for row_index, covariate_id in enumerate(self.table.covariate_ids):
            texts, values = self.table.texts[row_index], self.table.values[row_index]
            for sample_id, text, value in zip(self.table.sample_ids, texts, values, strict=True):
                yield {
                    "covariate_id": covariate_id,
                    "sample_id": sample_id,
                    "row_index": row_index,
                    "covariate_text": text,
                    "covariate_value": value,
                }


def is_covariate_file(name: str, sets: Collection[str]) -> bool:
    """Whether a name of covariates means a file: no set has it, and it is a path or there is such a file."""
    return bool(name) and name not in sets and ("/" in name or exists(name))


def read_own_covariates(context: Context, url: str, people: Collection[str]) -> OwnCovariates:
    """Read a file of covariates.

    Args:
        context: for progress.
        url: the file.
        people: ids by which its people are told from its covariates.

    Raises:
        FormatError: it is no such table.
    """
    with context.progress.step(f"reading {place_of(url)}"):
        name = _ENDINGS.sub("", place_of(url).rpartition("/")[2])
        return OwnCovariates(name, place_of(url), read_covariates(url, people))
