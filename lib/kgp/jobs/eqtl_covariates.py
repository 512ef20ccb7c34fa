"""Covariates that `kgp eqtl build` is given besides those of its profile: lab and batch of the runs, loaded tables."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kgp.eqtl.covariates import Covariates, join_covariates, make_indicators
from kgp.errors import InputError, OverlapError, UsageError
from kgp.io.covariates import is_missing
from kgp.io.delta import in_list
from kgp.job import Context
from kgp.params import EqtlBuild
from kgp.tables import COVARIATES, RUNS
from kgp.transforms.join import SampleJoin

Row = Mapping[str, Any]

# Covariates that are columns of `runs`.
OF_RUNS = ("lab", "batch")

_FLAG = "--covariates"


@dataclass(frozen=True)
class RunFactor:
    """A factor of the runs.

    Args:
        name: lab or batch.
        levels: run_id → level, of the runs whose level is known.
    """

    name: str
    levels: Mapping[str, str]

    def find_unknown(self, joined: SampleJoin) -> dict[str, str]:
        """Person whose run has no level → why that leaves the person out."""
        people = zip(joined.sample_ids, joined.run_ids, strict=True)
        return {s: f"{self.name} of the run not known" for s, run_id in people if run_id not in self.levels}

    def make(self, joined: SampleJoin) -> list[Covariates]:
        """An indicator of each level but the first."""
        levels = [self.levels.get(run_id) for run_id in joined.run_ids]
        return [make_indicators(self.name, levels, joined.sample_ids)]


@dataclass(frozen=True)
class CovariateSet:
    """A loaded table.

    Args:
        name: of the set.
        numbers: covariate → sample_id → value, of covariates that hold numbers.
        words: covariate → sample_id → level, of covariates that hold words.
        covariate_ids: all of them, in file order.
        sample_ids: everybody in the file.
    """

    name: str
    numbers: Mapping[str, Mapping[str, float]]
    words: Mapping[str, Mapping[str, str]]
    covariate_ids: tuple[str, ...]
    sample_ids: frozenset[str]

    def find_unknown(self, joined: SampleJoin) -> dict[str, str]:
        """Person who lacks a covariate → why that leaves the person out: the first that is lacking."""
        reasons = {}
        for sample_id in joined.sample_ids:
            lacking = (c for c in self.covariate_ids if sample_id not in self._values(c))
            if sample_id not in self.sample_ids:
                reasons[sample_id] = f"not in covariate set {self.name}"
            elif (covariate_id := next(lacking, None)) is not None:
                reasons[sample_id] = f"covariate {covariate_id} not known"
        return reasons

    def make(self, joined: SampleJoin) -> list[Covariates]:
        """Numbers as they are, indicators of words; one part a covariate, in file order."""
        parts = []
        for covariate_id in self.covariate_ids:
            values = self._values(covariate_id)
            if covariate_id in self.words:
                levels = [str(values[sample_id]) for sample_id in joined.sample_ids]
                parts.append(make_indicators(_name(covariate_id), levels, joined.sample_ids))
            else:
                column = np.array([float(values[s]) for s in joined.sample_ids], dtype=np.float64)
                parts.append(Covariates((_name(covariate_id),), column[:, None], {}))
        return parts

    def _values(self, covariate_id: str) -> Mapping[str, Any]:
        return self.words[covariate_id] if covariate_id in self.words else self.numbers[covariate_id]


Given = RunFactor | CovariateSet


def check_covariate_names(names: Sequence[str], loads: Iterable[Row]) -> None:
    """Refuse covariates that the lake does not have.

    Args:
        names: lab, batch, or covariate sets, as they are asked for.
        loads: rows of `loads`.

    Raises:
        UsageError: one is named twice.
        InputError: there is no set of that name; names the nearest.
    """
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"'{twice[0]}' is named twice.", where=_FLAG, mend="Name each once.")
    sets = sorted({row["subject"] for row in loads if row["target"] == COVARIATES.name})
    for name in names:
        if name not in (*OF_RUNS, *sets):
            near = difflib.get_close_matches(name, [*OF_RUNS, *sets], n=1, cutoff=0.4)
            there = f"There are: {', '.join(sets)}" if sets else "Load one: kgp load covariates FILE"
            raise InputError(
                f"There is no covariate set '{name}' in this lake.",
                where=_FLAG,
                mend=(f"Did you mean {near[0]}? " if near else "")
                + f"{there}; or name lab or batch of the runs.",
            )


def fetch_covariates(context: Context, params: EqtlBuild) -> list[Given]:
    """All that was asked for, in that order.

    Raises:
        InputError: a covariate of a set holds both numbers and words.
    """
    runs: list[dict[str, Any]] = []
    if set(params.covariates) & set(OF_RUNS):
        runs = context.fetch(RUNS, ["run_id", *OF_RUNS], in_list("dataset", [params.dataset]))
    given: list[Given] = []
    for name in params.covariates:
        if name in OF_RUNS:
            levels = {row["run_id"]: row[name] for row in runs if (row[name] or "").strip()}
            given.append(RunFactor(name, levels))
        else:
            given.append(gather_set(name, context.fetch(COVARIATES, where=in_list("covariate_set", [name]))))
    return given


def gather_set(name: str, rows: Iterable[Row]) -> CovariateSet:
    """A loaded table out of its rows.

    Raises:
        InputError: a covariate holds both numbers and words: which of them it is can't be told.
    """
    numbers: dict[str, dict[str, float]] = {}
    words: dict[str, dict[str, str]] = {}
    places: dict[str, int] = {}
    sample_ids = set()
    for row in rows:
        covariate_id, sample_id = row["covariate_id"], row["sample_id"]
        places[covariate_id] = row["row_index"]
        sample_ids.add(sample_id)
        of_numbers = numbers.setdefault(covariate_id, {})
        if row["covariate_value"] is not None:
            of_numbers[sample_id] = row["covariate_value"]
        elif not is_missing(row["covariate_text"]):
            words.setdefault(covariate_id, {})[sample_id] = row["covariate_text"]
    for covariate_id in sorted(words, key=places.__getitem__):
        if numbers[covariate_id]:
            sample_id = min(words[covariate_id])
            raise InputError(
                f"Covariate {covariate_id} holds {len(numbers[covariate_id]):,} numbers and "
                f"{len(words[covariate_id]):,} words, as '{words[covariate_id][sample_id]}' of {sample_id}.",
                where=f"covariate set {name}",
                mend="Write NA where a number is missing, or words for all people, and load the file again.",
            )
    ordered = tuple(sorted(places, key=places.__getitem__))
    return CovariateSet(name, numbers, words, ordered, frozenset(sample_ids))


def find_unknown(given: Iterable[Given], joined: SampleJoin) -> dict[str, str]:
    """Who has to be left out because a covariate of theirs is not known, and the first reason that holds.

    Args:
        given: covariates that were asked for.
        joined: people whose covariates are needed.

    Raises:
        OverlapError: everybody.
    """
    reasons: dict[str, str] = {}
    for one in given:
        found = one.find_unknown(joined)
        if len(found) == len(joined.sample_ids):
            sample_id, reason = next(iter(found.items()))
            raise OverlapError(
                f"{one.name} is known of nobody of the {len(found):,} people: {sample_id}: {reason}.",
                where=_FLAG,
                mend=_mend(one),
            )
        reasons = found | reasons
    if len(reasons) == len(joined.sample_ids):
        raise OverlapError(
            f"Nobody of the {len(reasons):,} people has all covariates that were asked for: "
            f"{joined.sample_ids[0]}: {reasons[joined.sample_ids[0]]}.",
            where=_FLAG,
            mend="Ask for fewer, or load tables of the same people.",
        )
    return {sample_id: reasons[sample_id] for sample_id in joined.sample_ids if sample_id in reasons}


def _mend(one: Given) -> str:
    if isinstance(one, RunFactor):
        return f"Load a run list that tells it (kgp load runs), or leave {one.name} out."
    people = ", ".join(sorted(one.sample_ids)[:3])
    return f"The set has {len(one.sample_ids):,} people: {people}, …; take the set of this cohort, or leave it out."


def add_covariates(basic: Covariates, given: Iterable[Given], joined: SampleJoin) -> Covariates:
    """The covariates of the profile and after them those that were given, without what says nothing beside the others.

    A covariate keeps its id; where an earlier one has it, that of the set is put before it, as ``pcs:PC1``.

    Args:
        basic: those of the profile.
        given: the others; each is known of all the people.
        joined: the people.
    """
    parts = [basic]
    taken = {*basic.names, *basic.dropped}
    for one in given:
        for part in one.make(joined):
            names = tuple(f"{one.name}:{name}" if name in taken else name for name in part.names)
            taken.update(names)
            parts.append(Covariates(names, part.values, part.dropped, part.notes))
    return join_covariates(*parts)


def _name(covariate_id: str) -> str:
    """A covariate as files of covariates can name it, which are split at blanks."""
    return "_".join(covariate_id.split())
