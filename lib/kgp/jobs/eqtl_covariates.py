"""Covariates that `kgp eqtl build` is given besides its profile's: lab and batch of runs, loaded tables, files."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from kgp.eqtl.covariates import Covariates, make_indicators
from kgp.errors import InputError, OverlapError, UsageError
from kgp.io.covariates import is_missing
from kgp.io.predicates import in_list
from kgp.job import Context
from kgp.jobs.eqtl_own import OwnCovariates, is_covariate_file, read_own_covariates
from kgp.jobs.reconcile_runs import fetch_people
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
    notes: ClassVar[tuple[str, ...]] = ()

    @property
    def parameter(self) -> str:
        """How the parameters of a set name it."""
        return self.name

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
    """A loaded table, or a file.

    Args:
        name: of the set, or of the file without its endings.
        numbers: covariate → sample_id → value, of covariates that hold numbers.
        words: covariate → sample_id → level, of covariates that hold words.
        covariate_ids: all of them, in file order.
        sample_ids: everybody in the file.
        own: where it is not loaded, the file.
    """

    name: str
    numbers: Mapping[str, Mapping[str, float]]
    words: Mapping[str, Mapping[str, str]]
    covariate_ids: tuple[str, ...]
    sample_ids: frozenset[str]
    own: OwnCovariates | None = None

    @property
    def parameter(self) -> str:
        """How the parameters of a set name it."""
        return self.name if self.own is None else self.own.parameter

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of it."""
        return () if self.own is None else self.own.notes

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


def check_covariate_names(params: EqtlBuild, loads: Iterable[Row]) -> None:
    """Refuse covariates that there are not.

    Args:
        params: lab, batch, covariate sets and files, as they are asked for.
        loads: rows of `loads`.

    Raises:
        UsageError: one is named twice, or lab or batch of runs are wanted where there are no runs.
        InputError: there is no set or file of that name; names the nearest.
    """
    names = params.covariates
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"'{twice[0]}' is named twice.", where=_FLAG, mend="Name each once.")
    if params.dataset is None and (of_runs := [name for name in names if name in OF_RUNS]):
        raise UsageError(
            f"'{of_runs[0]}' is told of the runs of a dataset; there is none.",
            where=_FLAG,
            mend="Give a file that has it.",
        )
    sets = _list_sets(loads)
    for name in names:
        if name in (*OF_RUNS, *sets) or is_covariate_file(name, sets):
            continue
        near = difflib.get_close_matches(name, [*OF_RUNS, *sets], n=1, cutoff=0.4)
        there = f"There are: {', '.join(sets)}" if sets else "Load one: kgp load covariates FILE"
        raise InputError(
            f"There is no covariate set '{name}' in this lake.",
            where=_FLAG,
            mend=(f"Did you mean {near[0]}? " if near else "")
            + f"{there}; or name lab or batch of the runs, or a file.",
        )


def fetch_covariates(context: Context, params: EqtlBuild, loads: Iterable[Row]) -> list[Given]:
    """All that was asked for, in that order.

    Raises:
        FormatError: a file is no table of covariates.
        InputError: a covariate of a set holds both numbers and words.
    """
    sets = _list_sets(loads)
    runs: list[dict[str, Any]] = []
    if params.dataset is not None and set(params.covariates) & set(OF_RUNS):
        runs = context.fetch(RUNS, ["run_id", *OF_RUNS], in_list("dataset", [params.dataset]))
    given: list[Given] = []
    for name in params.covariates:
        if name in OF_RUNS:
            levels = {row["run_id"]: row[name] for row in runs if (row[name] or "").strip()}
            given.append(RunFactor(name, levels))
        elif name in sets:
            given.append(gather_set(name, context.fetch(COVARIATES, where=in_list("covariate_set", [name]))))
        else:
            own = read_own_covariates(context, name, fetch_people(context))
            given.append(gather_set(own.name, own.rows(), own=own))
    return given


def _list_sets(loads: Iterable[Row]) -> list[str]:
    return sorted({row["subject"] for row in loads if row["target"] == COVARIATES.name})


def gather_set(name: str, rows: Iterable[Row], *, own: OwnCovariates | None = None) -> CovariateSet:
    """A table out of its rows; where it is a file, `own` says which.

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
                where=f"covariate set {name}"
                if own is None
                else f"{own.path}, {own.table.locate(covariate_id, sample_id)}",
                mend="Write NA where a number is missing, or words for all people, and load the file again.",
            )
    ordered = tuple(sorted(places, key=places.__getitem__))
    return CovariateSet(name, numbers, words, ordered, frozenset(sample_ids), own)


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


def note_strangers(given: Iterable[Given], joined: SampleJoin) -> tuple[str, ...]:
    """How many people the files have who are not in the set, a note a file."""
    notes = []
    for one in given:
        if isinstance(one, CovariateSet) and one.own is not None:
            n = len(one.sample_ids - set(joined.sample_ids))
            name = one.own.path.rpartition("/")[2]
            notes += [
                f"{name} has {n:,} {'person who is' if n == 1 else 'people who are'} not in the set"
            ] * (n > 0)
    return tuple(notes)


def _mend(one: Given) -> str:
    if isinstance(one, RunFactor):
        return f"Load a run list that tells it (kgp load runs), or leave {one.name} out."
    people = ", ".join(sorted(one.sample_ids)[:3])
    what = "set" if one.own is None else "file"
    return f"The {what} has {len(one.sample_ids):,} people: {people}, …; take that of this cohort, or leave it out."


def name_apart(given: Iterable[Given], joined: SampleJoin, taken: Iterable[str]) -> list[Covariates]:
    """The covariates that were given, with names that no other has.

    A covariate keeps its id; where an earlier one has it, that of the set is put before it, as ``pcs:PC1``.

    Args:
        given: each is known of all the people.
        joined: the people.
        taken: names of the others.
    """
    parts = []
    known = set(taken)
    for one in given:
        for part in one.make(joined):
            names = tuple(f"{one.name}:{name}" if name in known else name for name in part.names)
            known.update(names)
            parts.append(Covariates(names, part.values, part.dropped, part.notes))
    return parts


def _name(covariate_id: str) -> str:
    """A covariate as files of covariates can name it, which are split at blanks."""
    return "_".join(covariate_id.split())
