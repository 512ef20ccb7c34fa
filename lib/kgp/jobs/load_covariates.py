"""`kgp load covariates`: a table of covariates that somebody else computed or measured, into `covariates`."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from kgp.amounts import name_first
from kgp.errors import CheckError, LakeError, UsageError
from kgp.io.covariates import CovariateFile, is_missing, read_covariates
from kgp.io.urls import place_of
from kgp.job import Context, Job, Report
from kgp.jobs.eqtl_covariates import OF_RUNS
from kgp.jobs.ledger import FileLoad, LoadCounts, finish_load, plan_load
from kgp.jobs.reconcile_runs import fetch_people
from kgp.params import LoadCovariates
from kgp.params.declare import check_name
from kgp.tables import CALLSET_SAMPLES, COVARIATES, LOADS, SAMPLES

_FLAG = "--covariate-set"


def run(context: Context, params: LoadCovariates) -> Report:
    """Read the file whole, then write it whole; a file that is no table of covariates leaves the lake as it was."""
    name = name_covariate_set(params)
    with context.progress.step(f"reading {place_of(params.file)}"):
        found = read_covariates(params.file, fetch_people(context))
    load = plan_load(context, params.file, target=COVARIATES.name, subject=name, recipe=_recipe(found))
    known = {row["sample_id"] for row in context.fetch(SAMPLES, ["sample_id"])}
    if load.is_done:
        return _report(name, found, known, changed=False)
    _check_free(context, load)
    with context.progress.step(f"writing covariate set {name}"):
        context.put(COVARIATES, _rows(found, name, load.load_id), load.slice)
        counts = _count_written(context, load, found)
        reader = "plain text"
        finish_load(context, load, counts, reader=reader, reason=found.orientation, seconds=context.seconds)
    return _report(name, found, known, changed=True)


def name_covariate_set(params: LoadCovariates) -> str:
    """What the table is called: as it was said, or else the file's name without its endings.

    Raises:
        UsageError: that can't be a name, or means the lab or batch of the runs.
    """
    name = params.covariate_set
    if name is None:
        name = place_of(params.file).rpartition("/")[2]
        for endings in ((".gz", ".bgz"), (".txt", ".tsv", ".tab", ".csv")):
            ending = next((e for e in endings if name.lower().endswith(e) and len(name) > len(e)), "")
            name = name[: len(name) - len(ending)]
        check_name(name, _FLAG)
    if name in OF_RUNS:
        raise UsageError(
            f"'{name}' means the {name} of the runs.", where=_FLAG, mend="Give the table another name."
        )
    return name


def _recipe(found: CovariateFile) -> str:
    """Digest of how the file was read: who its people are may depend on whom the lake knows."""
    read = [found.orientation, found.sample_ids]
    return hashlib.sha256(json.dumps(read).encode()).hexdigest()[:16]


def _check_free(context: Context, load: FileLoad) -> None:
    """Refuse a name under which another file was loaded.

    Raises:
        LakeError: there is one, which this file does not replace.
    """
    replaced = (load.load_id, *load.decision.supersedes)
    for row in context.fetch(LOADS):
        is_same_set = row["target"] == COVARIATES.name and row["subject"] == load.identity.subject
        if is_same_set and row["load_id"] not in replaced:
            raise LakeError(
                f"There is a covariate set {row['subject']} already, loaded from {row['path']}.",
                where=load.path,
                mend=f"Give this one a name of its own with {_FLAG}; a file is replaced by loading it from its place.",
            )


def _rows(found: CovariateFile, name: str, load_id: str) -> Iterator[dict[str, Any]]:
    for row_index, covariate_id in enumerate(found.covariate_ids):
        cells = zip(found.sample_ids, found.texts[row_index], found.values[row_index], strict=True)
        for sample_id, text, value in cells:
            yield {
                "covariate_set": name,
                "covariate_id": covariate_id,
                "sample_id": sample_id,
                "row_index": row_index,
                "covariate_text": text,
                "load_id": load_id,
                "covariate_value": value,
            }


def _count_written(context: Context, load: FileLoad, found: CovariateFile) -> LoadCounts:
    """What the table holds of the file: lines are covariates, or people where the file has those in rows.

    Raises:
        CheckError: it has another number of values than covariates × people.
    """
    context.check_key(COVARIATES, load.slice)
    line = "covariate_id" if found.orientation == "people in columns" else "sample_id"
    written = context.measure(COVARIATES, load.slice, n="count(*)", n_lines=f"count(DISTINCT {line})")
    expected = len(found.covariate_ids) * len(found.sample_ids)
    if written["n"] != expected:
        raise CheckError(
            f"{written['n']:,} values were written of {expected:,}.",
            where=load.path,
            mend="This is a defect of kgp: please report it with the file.",
        )
    return LoadCounts(found.n_lines, written["n_lines"], 0, written["n"], found.warnings)


def _report(name: str, found: CovariateFile, known: Collection[str], *, changed: bool) -> Report:
    strangers = [sample_id for sample_id in found.sample_ids if sample_id not in known]
    words, n_missing = _count_kinds(found)
    n_covariates, n_people = len(found.covariate_ids), len(found.sample_ids)
    size = f"{n_covariates:,} covariates x {n_people:,} people"
    summary = f"set {name}: {size}" if changed else f"set {name} is already loaded ({size}), nothing to do"
    notes = [f"{n:,} x {what}" for what, n in found.warnings.items()]
    if not known:
        notes.append("no people are known yet: kgp load samples")
    elif strangers:
        notes.append(f"{len(strangers):,} people are not in samples: {name_first(strangers)}")
    if n_missing:
        notes.append(f"{n_missing:,} values are missing")
    for covariate_id, (n_words, n_numbers) in words.items():
        mixed = f" beside {n_numbers:,} numbers: eqtl build refuses such a mixture" if n_numbers else ""
        notes.append(f"{covariate_id} has {n_words:,} words{mixed}")
    return Report(
        "load_covariates",
        changed,
        summary,
        rows={COVARIATES.name: n_covariates * n_people} if changed else {},
        notes=notes,
        details={
            "covariate_set": name,
            "n_covariates": n_covariates,
            "n_people": n_people,
            "orientation": found.orientation,
            "not_in_samples": strangers,
            "n_missing": n_missing,
            "words": {covariate_id: n for covariate_id, (n, _) in words.items()},
        },
    )


def _count_kinds(found: CovariateFile) -> tuple[Mapping[str, tuple[int, int]], int]:
    """covariate with words → (words, numbers); how many values are missing."""
    words = {}
    n_missing = 0
    for covariate_id, texts, values in zip(found.covariate_ids, found.texts, found.values, strict=True):
        kinds = Counter(
            "number" if value is not None else "missing" if is_missing(text) else "word"
            for text, value in zip(texts, values, strict=True)
        )
        n_missing += kinds["missing"]
        if kinds["word"]:
            words[covariate_id] = (kinds["word"], kinds["number"])
    return words, n_missing


LOAD_COVARIATES = Job(
    name="load_covariates",
    summary="Load covariates of people that somebody else computed or measured.",
    params=LoadCovariates,
    reads=(SAMPLES, CALLSET_SAMPLES),
    writes=(COVARIATES, LOADS),
    run=run,
)
