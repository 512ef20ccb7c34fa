"""Which quantifications `kgp quality` compares, and what the rows of each depend on."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kgp.errors import InputError
from kgp.io.predicates import in_list
from kgp.job import Context
from kgp.params import Quality
from kgp.tables import QUANTIFICATIONS, RUNS, SAMPLES

Row = Mapping[str, Any]

# Raised where the same values give other rows.
RECIPE = 1

# Exons are as many as all else together, and say what their genes say: they are asked for by name.
_DEFAULT_KINDS = ("gene", "transcript", "mirna", "probe")


@dataclass(frozen=True)
class Plan:
    """One quantification and what its quality depends on.

    Args:
        row: of `quantifications`.
        people: run → sample_id, lab, population, sex_stated, as far as they are known.
        load_ids: loads that all of it comes from, ascending.
        quality_id: names the rows by all that they depend on.
    """

    row: Row
    people: Mapping[str, Row]
    load_ids: tuple[str, ...]
    quality_id: str

    @property
    def name(self) -> str:
        """The quantification."""
        return str(self.row["quantification"])

    @property
    def run_ids(self) -> tuple[str, ...]:
        """Its runs, in the order of the file's columns."""
        return tuple(self.row["run_ids"])

    @property
    def slice(self) -> str:
        """Predicate of its rows."""
        return f"{in_list('dataset', [self.row['dataset']])} AND {in_list('quantification', [self.name])}"


def choose_quantifications(context: Context, params: Quality, there: Sequence[Row]) -> list[Row]:
    """Rows of `quantifications` that are asked for: those that are named, or else all but exons.

    Args:
        context: of the job.
        params: its options.
        there: rows of the dataset.

    Raises:
        InputError: the dataset has none, or none of that name.
    """
    if not there:
        others = sorted({row["dataset"] for row in context.fetch(QUANTIFICATIONS)})
        raise InputError(
            f"There is no expression of dataset {params.dataset} in this lake.",
            where="--dataset",
            mend=f"There are: {', '.join(others)}." if others else "Load it first: kgp load expression.",
        )
    names = sorted(row["quantification"] for row in there)
    for name in params.quantification:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.3)
            raise InputError(
                f"Dataset {params.dataset} has no quantification '{name}'.",
                where="--quantification",
                mend=(f"Did you mean {near[0]}? " if near else "") + f"There are: {', '.join(names)}.",
            )
    chosen = [
        row
        for row in sorted(there, key=lambda row: str(row["quantification"]))
        if (
            row["quantification"] in params.quantification
            if params.quantification
            else row["kind"] in _DEFAULT_KINDS
        )
    ]
    if not chosen:
        raise InputError(
            f"Dataset {params.dataset} has quantifications of exons only, which are compared when they are named.",
            where="--quantification",
            mend=f"Name one: {', '.join(names)}.",
        )
    return chosen


def plan_quality(context: Context, params: Quality, chosen: Sequence[Row]) -> list[Plan]:
    """What each quantification's quality depends on, and so what it is named by."""
    runs = {row["run_id"]: row for row in context.fetch(RUNS, where=in_list("dataset", [params.dataset]))}
    samples = {row["sample_id"]: row for row in context.fetch(SAMPLES)}
    plans = []
    for row in chosen:
        known = [runs[run_id] for run_id in row["run_ids"] if run_id in runs]
        persons = [samples[one["sample_id"]] for one in known if one["sample_id"] in samples]
        people = {run_id: _facts(runs.get(run_id, {}), samples) for run_id in row["run_ids"]}
        # Lineage only: another load may say the same of the people, whose facts are in the hash.
        load_ids = sorted({row["load_id"]}.union(*(one["load_ids"] for one in [*known, *persons])))
        depends_on = [
            RECIPE, params.dataset, row["quantification"], row["kind"], row["unit"], row["processing"], row["build"],
            row["load_id"], params.n_components, params.max_mads,
            [[run_id, *people[run_id].values()] for run_id in row["run_ids"]],
        ]  # fmt: skip
        digest = hashlib.sha256(json.dumps(depends_on).encode()).hexdigest()[:32]
        plans.append(Plan(row, people, tuple(load_ids), digest))
    return plans


def _facts(run: Row, samples: Mapping[str, Row]) -> dict[str, Any]:
    person = samples.get(run.get("sample_id", ""), {})
    return {
        "sample_id": run.get("sample_id"),
        "lab": run.get("lab"),
        "population": person.get("population"),
        "sex_stated": person.get("sex"),
    }
