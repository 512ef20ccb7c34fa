"""What `kgp eqtl build` says of a set: counts, who and what was left out, and step by step for a dry run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kgp.amounts import count, name_first
from kgp.io.output import align
from kgp.job import Report
from kgp.jobs.eqtl_design import SetCovariates
from kgp.jobs.eqtl_genotypes import GenotypesWritten
from kgp.jobs.eqtl_matching import Matches
from kgp.jobs.eqtl_people import SetPeople
from kgp.jobs.eqtl_phenotypes import SetPhenotypes
from kgp.params import EqtlBuild
from kgp.tables import EQTL_COVARIATES, EQTL_GENOTYPES, EQTL_MATCHES, EQTL_MATRICES, EQTL_PHENOTYPES

# How many names a note gives; the details have all.
N_NAMES = 5

# Whose reasons name a person each: they are told together.
RELATIVES = "relatives of people in the set"

_JOB = "build_eqtl_matrices"


@dataclass(frozen=True, eq=False)
class BuiltSet:
    """All that a build has made, written or not.

    Args:
        matrix_id: of the set.
        people: who is in it.
        phenotypes: those that are kept.
        genotypes: what became of the callset's variants.
        covariates: all.
        matches: whose runs they are; None where that was not asked.
        lineage: notes on what it was built from.
    """

    matrix_id: str
    people: SetPeople
    phenotypes: SetPhenotypes
    genotypes: GenotypesWritten
    covariates: SetCovariates
    matches: Matches | None
    lineage: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Sizes of the matrices."""
        return {
            "n_samples": len(self.people.joined.sample_ids),
            "n_variants": self.genotypes.n_variants,
            "n_phenotypes": len(self.phenotypes.rows),
            "n_covariates": len(self.covariates),
        }

    @property
    def dropped(self) -> dict[str, int]:
        """What was left out: kind and reason → how many."""
        relatives, others = _split_relatives(self.people)
        of_people = Counter(others.values())
        if relatives:
            of_people[RELATIVES] = len(relatives)
        kinds: tuple[tuple[str, Mapping[str, int]], ...] = (
            ("people", of_people),
            ("phenotypes", self.phenotypes.dropped),
            ("variants", self.genotypes.dropped),
            ("covariates", Counter(self.covariates.dropped.values())),
        )
        return {f"{kind}: {reason}": n for kind, of in kinds for reason, n in sorted(of.items())}

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the set: what was chosen, and why."""
        filled: tuple[str, ...] = ()
        if n := self.genotypes.n_missing:
            filled = (f"mapping fills {count(n, 'missing genotype')} in with the mean of the variant",)
        found = () if self.matches is None else self.matches.notes
        return (
            *self.lineage,
            *self.people.notes,
            *self.phenotypes.notes,
            *filled,
            *self.covariates.notes,
            *found,
        )


def report_built(params: EqtlBuild, built: BuiltSet) -> Report:
    """The report of a set that was written."""
    counts = built.counts
    rows = {
        EQTL_PHENOTYPES.name: counts["n_phenotypes"],
        EQTL_GENOTYPES.name: counts["n_variants"],
        EQTL_COVARIATES.name: counts["n_covariates"],
        **({} if built.matches is None else {EQTL_MATCHES.name: len(built.matches.rows)}),
        EQTL_MATRICES.name: 1,
    }
    return Report(
        _JOB,
        True,
        f"set {params.name}: {_say(counts)}",
        rows=rows,
        notes=_left_out(built) + list(built.notes),
        details=_details(built),
    )


def report_known(matrix_id: str, summary: str) -> Report:
    """The report of a set that was there before."""
    return Report(_JOB, False, summary, details={"matrix_id": matrix_id})


def report_dry(params: EqtlBuild, built: BuiltSet, remarks: Sequence[str]) -> Report:
    """The report of a dry run: what each step would keep and drop.

    Args:
        params: options.
        built: what would be written.
        remarks: what a real run would meet besides.
    """
    notes = [*remarks, *built.notes]
    summary = f"set {params.name} would have {_say(built.counts)}"
    lines = [align(("what", "step", "kept", "dropped"), _steps(built), max_width=200).rstrip("\n"), summary]
    details = _details(built)
    details["steps"] = [
        dict(zip(("what", "step", "kept", "dropped"), row, strict=True)) for row in _steps(built)
    ]
    return Report(
        _JOB,
        False,
        summary,
        notes=_left_out(built) + notes,
        details=details,
        text="\n".join([*lines, *(f"note: {note}" for note in notes)]) + "\n",
    )


def name_dropped(kind: str, dropped: Mapping[str, str]) -> list[str]:
    """A note a reason, with how many there are and the first of their names."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in sorted(dropped.items()):
        by_reason.setdefault(reason, []).append(name)
    return [
        f"left out, {kind}{reason}: {len(names):,} "
        f"({', '.join(names[:N_NAMES])}{', …' * (len(names) > N_NAMES)})"
        for reason, names in sorted(by_reason.items())
    ]


def _say(counts: Mapping[str, int]) -> str:
    return (
        f"{counts['n_samples']:,} people, {counts['n_phenotypes']:,} phenotypes, {counts['n_variants']:,} variants, "
        f"{counts['n_covariates']:,} covariates"
    )


def _left_out(built: BuiltSet) -> list[str]:
    relatives, others = _split_relatives(built.people)
    notes = name_dropped("", others)
    if relatives:
        named = [f"{sample_id}: {reason}" for sample_id, reason in sorted(relatives.items())]
        notes.append(f"left out, {RELATIVES}: {len(named):,} ({name_first(named, N_NAMES)})")
    notes += [
        f"left out, {what}: {n:,}"
        for what, n in built.dropped.items()
        if not what.startswith(("people: ", "covariates: "))
    ]
    return notes + name_dropped("covariates: ", built.covariates.dropped)


def _split_relatives(people: SetPeople) -> tuple[dict[str, str], dict[str, str]]:
    """People who are left out as relatives, and the others; each with the reason."""
    dropped = people.joined.dropped
    relatives = {name: reason for name, reason in dropped.items() if name in people.relatives}
    return relatives, {name: reason for name, reason in dropped.items() if name not in relatives}


def _details(built: BuiltSet) -> dict[str, Any]:
    joined = built.people.joined
    return {
        "matrix_id": built.matrix_id,
        **built.counts,
        "dropped": built.dropped,
        "dropped_samples": dict(joined.dropped),
        "dropped_covariates": dict(built.covariates.dropped),
        "without_genotypes": list(joined.without_genotypes),
        "without_expression": list(joined.without_expression),
        "swaps": [] if built.matches is None else [list(swap) for swap in built.matches.swaps],
    }


def _steps(built: BuiltSet) -> list[tuple[str, str, int, int]]:
    """(what, step, kept, dropped), a row for what comes in and for each reason or step after it."""
    joined, genotypes, covariates = built.people.joined, built.genotypes, built.covariates
    relatives, others = _split_relatives(built.people)
    rows = [("people", reason, 0, n) for reason, n in sorted(Counter(others.values()).items())]
    rows += [("people", RELATIVES, 0, len(relatives))] if relatives else []
    rows.append(("people", "in the set", len(joined.sample_ids), len(joined.dropped)))
    for step in built.phenotypes.steps:
        rows += [("phenotypes", step.name, step.n_after, step.n_before - step.n_after)]
        rows += [("phenotypes", f"  {reason}", 0, n) for reason, n in sorted(step.dropped.items())]
    n_phenotypes = len(built.phenotypes.rows)
    rows.append(("phenotypes", "in the set", n_phenotypes, sum(built.phenotypes.dropped.values())))
    rows += [("variants", reason, 0, n) for reason, n in genotypes.dropped.items()]
    rows.append(("variants", "in the set", genotypes.n_variants, sum(genotypes.dropped.values())))
    rows += [("covariates", name, n, 0) for name, n in covariates.steps if n]
    rows += [("covariates", f"{name}: {reason}", 0, 1) for name, reason in sorted(covariates.dropped.items())]
    rows.append(("covariates", "in the set", len(covariates), len(covariates.dropped)))
    return rows
