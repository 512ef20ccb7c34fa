"""Finds sample mix-ups of a matrix set: runs whose expression is that of another person's genotypes.

All of it is done by the driver, without Spark: the set's genotypes near phenotypes are read once, and of the callset a
few row groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgp.amounts import count, name_first
from kgp.eqtl.matching import MIN_LOCI, MIN_RUNS, Judgement, match_people
from kgp.eqtl.matching_loci import MAX_DISTANCE, Expression, LeadSearch, Loci, prepare_expression
from kgp.eqtl.matching_scores import Scores, make_folds
from kgp.io.matrix_sets import PhenotypeRows
from kgp.job import Context
from kgp.jobs.callset_loci import read_loci
from kgp.jobs.set_genotypes import SetGenotypes, cut_genotypes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# How many runs a sentence names.
N_SWAPS = 10
# Phenotypes that are tried; the loci of so many are more than are used.
MAX_PHENOTYPES = 3_000
# Variants of a set that are searched at a time: always so many, so that sums do not depend on where they come from.
_SEARCHED_ROWS = 4_096


@dataclass(frozen=True, eq=False)
class MatchRequest:
    """A set before it is named.

    Args:
        matrix_id: the set.
        genotypes: of the set.
        callset: where its genotypes come from.
        column: of `variants` that they are: dosages or expected_dosages.
        callset_samples: everyone of the callset, in the order of its arrays.
        sample_ids: people of the set in its order.
        run_ids: the run of each.
        phenotypes: as the set has them.
        cis_window: bases to each side of a TSS within which the set has variants.
    """

    matrix_id: str
    genotypes: SetGenotypes
    callset: str
    column: str
    callset_samples: tuple[str, ...]
    sample_ids: tuple[str, ...]
    run_ids: tuple[str, ...]
    phenotypes: PhenotypeRows
    cis_window: int


@dataclass(frozen=True, eq=False)
class Matches:
    """Whose runs they are.

    Args:
        rows: of `eqtl_matches`, one a run in the set's order.
        swaps: (run, person that it is said to be of, person that it fits best).
        n_loci: phenotypes that runs and people were compared at.
        notes: what a person should know, one sentence each.
    """

    rows: list[dict[str, Any]]
    swaps: tuple[tuple[str, str, str], ...]
    n_loci: int
    notes: tuple[str, ...]

    def describe_swaps(self) -> str | None:
        """The runs that look like another person's with their scores, in a sentence; None where none does."""
        if not self.swaps:
            return None
        rows = {row["run_id"]: row for row in self.rows}
        said = "; ".join(
            f"{run_id} is said to be of {said_of} (score {rows[run_id]['match_score']:.2f}) and fits {best} "
            f"({rows[run_id]['best_score']:.2f})"
            for run_id, said_of, best in self.swaps[:N_SWAPS]
        )
        more = f"; and {len(self.swaps) - N_SWAPS:,} more" if len(self.swaps) > N_SWAPS else ""
        looks = count(len(self.swaps), "run looks", "runs look")
        return f"{looks} like another person's, at {self.n_loci:,} cis eQTLs: {said}{more}."


def match_runs(context: Context, request: MatchRequest) -> Matches:
    """Compare each run of a set with each person of its callset.

    Args:
        context: of a job that reads `variants`.
        request: the set.

    Raises:
        CheckError: the callset's genotypes of the set's people are not those of the set, or not there.
    """
    with context.progress.step(
        f"matching {len(request.run_ids):,} runs with {len(request.callset_samples):,} people"
    ):
        return _match(context, request)


def _match(context: Context, request: MatchRequest) -> Matches:
    phenotypes, notes = _choose_phenotypes(request.phenotypes)
    if len(request.run_ids) < MIN_RUNS:
        return _say_nothing(request, 0, f"{count(len(request.run_ids), 'run')}, {MIN_RUNS} are needed", notes)
    expression = prepare_expression(phenotypes.values)
    loci = _find_loci(request, phenotypes.take(expression.chosen), expression)
    if len(loci) < MIN_LOCI:
        return _say_nothing(request, len(loci), _too_few(len(loci)), notes)
    numbers = {sample_id: i for i, sample_id in enumerate(request.callset_samples)}
    stated = np.array([numbers[sample_id] for sample_id in request.sample_ids], dtype=np.int64)
    dosages = read_loci(context, request.callset, request.column, len(numbers), loci, stated)
    folds = make_folds(request.run_ids, expression.residuals)
    if np.bincount(folds).max() > len(request.run_ids) // 2:
        return _say_nothing(request, len(loci), "most runs are copies of one another", notes)
    values = expression.values[loci.phenotypes]
    scores, judged = match_people(values, expression.components, expression.scales, stated, dosages, folds)
    return _report(request, scores, judged, len(loci), notes)


def _say_nothing(request: MatchRequest, n_loci: int, why: str, notes: tuple[str, ...]) -> Matches:
    """Every run is unclear, with scores of 0: nothing for or against anybody."""
    rows = [
        {
            "matrix_id": request.matrix_id,
            "run_id": run_id,
            "sample_id": sample_id,
            "match_score": 0.0,
            "best_sample_id": sample_id,
            "best_score": 0.0,
            "n_loci": n_loci,
            "verdict": "unclear",
        }
        for run_id, sample_id in zip(request.run_ids, request.sample_ids, strict=True)
    ]
    return Matches(rows, (), n_loci, (f"whether runs are their people's cannot be told: {why}", *notes))


def _too_few(n_loci: int) -> str:
    return f"{count(n_loci, 'strong cis eQTL')}, {MIN_LOCI} are needed"


def _report(
    request: MatchRequest, scores: Scores, judged: Judgement, n_loci: int, notes: tuple[str, ...]
) -> Matches:
    people = request.callset_samples
    rows = [
        {
            "matrix_id": request.matrix_id,
            "run_id": run_id,
            "sample_id": sample_id,
            "match_score": float(scores.own[i]),
            "best_sample_id": people[judged.best[i]],
            "best_score": float(scores.values[i, judged.best[i]]),
            "n_loci": n_loci,
            "verdict": judged.verdicts[i],
        }
        for i, (run_id, sample_id) in enumerate(zip(request.run_ids, request.sample_ids, strict=True))
    ]
    swaps = [i for i, verdict in enumerate(judged.verdicts) if verdict == "swap"]
    nobodys = [request.run_ids[i] for i in swaps if not judged.is_certain[i]]
    if nobodys:
        said = f"{count(len(nobodys), 'of these runs fits', 'of these runs fit')} no person of the callset clearly"
        notes = (f"{said}: {name_first(nobodys)}", *notes)
    return Matches(
        rows,
        tuple((request.run_ids[i], request.sample_ids[i], people[judged.best[i]]) for i in swaps),
        n_loci,
        (_summarise(judged, n_loci, len(swaps)), *notes),
    )


def _summarise(judged: Judgement, n_loci: int, n_swaps: int) -> str:
    """One sentence."""
    at = f"at {n_loci:,} cis eQTLs"
    chance = f"{judged.power:.3f}" if judged.power < 0.9995 else "> 0.999"
    found = f"a swap of two people would be found with probability {chance}"
    if not judged.can_tell:
        return f"whether runs are their people's cannot be told {at}: {found}"
    return (
        f"compared {at}, {count(n_swaps, 'run looks', 'runs look')} like another person's and "
        f"{judged.verdicts.count('unclear'):,} of {len(judged.verdicts):,} cannot be told; {found}"
    )


def _choose_phenotypes(phenotypes: PhenotypeRows) -> tuple[PhenotypeRows, tuple[str, ...]]:
    """Phenotypes of numbered contigs, evenly spaced where they are many.

    Copies of X and Y are counted in other ways by sex and by set, which says nothing of who somebody is.
    """
    contigs = phenotypes.rows.column("contig").to_pylist()
    usable = np.array(
        [i for i, name in enumerate(contigs) if name.removeprefix("chr").isdigit()], dtype=np.int64
    )
    if usable.size <= MAX_PHENOTYPES:
        return phenotypes.take(usable), ()
    spaced = usable[np.linspace(0, usable.size - 1, MAX_PHENOTYPES).astype(np.int64)]
    note = f"cis eQTLs were searched among {MAX_PHENOTYPES:,} of {usable.size:,} phenotypes, evenly spaced"
    return phenotypes.take(spaced), (note,)


def _find_loci(request: MatchRequest, phenotypes: PhenotypeRows, expression: Expression) -> Loci:
    """The set's strong cis eQTLs."""
    contigs = phenotypes.rows.column("contig").to_pylist()
    tss = phenotypes.rows.column("tss").to_numpy()
    search = LeadSearch(expression, contigs, tss, min(MAX_DISTANCE, request.cis_window))
    for contig, span in search.spans().items():
        for ids, pos, dosages in cut_genotypes(request.genotypes.read(contig, span), span, _SEARCHED_ROWS):
            search.add(contig, ids, pos, dosages)
    return search.choose_loci()
