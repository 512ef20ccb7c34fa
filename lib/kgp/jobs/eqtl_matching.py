"""Finds sample mix-ups of a matrix set: runs whose expression is that of another person's genotypes.

All of it is done by the driver, without Spark: the set's genotypes are read once, and of the callset a few row
groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgp.amounts import count, name_first
from kgp.eqtl.matching import MIN_LOCI, MIN_RUNS, Judgement, match_people
from kgp.eqtl.matching_loci import MAX_DISTANCE, Expression, LeadSearch, Loci, prepare_expression
from kgp.eqtl.matching_scores import Scores, make_folds
from kgp.errors import CheckError
from kgp.io.matrix_sets import PhenotypeRows, read_genotypes
from kgp.io.parts import TablePart, read_part
from kgp.job import Context
from kgp.tables import EQTL_GENOTYPES, VARIANTS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Phenotypes that are tried; the loci of so many are more than are used.
MAX_PHENOTYPES = 3_000
# Rows of `variants` held at a time, of which one or none is wanted.
_BATCH_ROWS = 2_000
_DEFECT = "This is a defect of kgp: please report it."


@dataclass(frozen=True, eq=False)
class MatchRequest:
    """A set whose rows are written.

    Args:
        matrix_id: the set.
        callset: where its genotypes come from.
        callset_samples: everyone of the callset, in the order of its arrays.
        sample_ids: people of the set in its order.
        run_ids: the run of each.
        phenotypes: as the set has them.
        cis_window: bases to each side of a TSS within which the set has variants.
    """

    matrix_id: str
    callset: str
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


def match_runs(context: Context, request: MatchRequest) -> Matches:
    """Compare each run of a set with each person of its callset.

    Args:
        context: of a job that writes `eqtl_genotypes` and reads `variants`.
        request: the set; its genotypes are written, its ledger row need not be.

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
    loci, kinds = _find_loci(context, request, phenotypes.take(expression.chosen), expression)
    if len(loci) < MIN_LOCI:
        return _say_nothing(request, len(loci), _too_few(len(loci)), notes)
    numbers = {sample_id: i for i, sample_id in enumerate(request.callset_samples)}
    stated = np.array([numbers[sample_id] for sample_id in request.sample_ids], dtype=np.int64)
    dosages = _read_callset(context, request, loci, stated, kinds)
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


def _find_loci(
    context: Context, request: MatchRequest, phenotypes: PhenotypeRows, expression: Expression
) -> tuple[Loci, dict[str, str]]:
    """The set's strong cis eQTLs, and contig → column of the copies that they were found with."""
    contigs = phenotypes.rows.column("contig").to_pylist()
    tss = phenotypes.rows.column("tss").to_numpy()
    search = LeadSearch(expression, contigs, tss, min(MAX_DISTANCE, request.cis_window))
    kinds: dict[str, str] = {}
    for contig, span in search.spans().items():
        parts = context.parts(
            EQTL_GENOTYPES,
            partitions={"matrix_id": [request.matrix_id], "contig": [contig]},
            span=span,
            ids=[request.matrix_id],
            with_unfinished=True,
        )
        for rows in (rows for part in parts for rows in read_genotypes(part, len(request.sample_ids))):
            kinds[contig] = "dosages" if rows.dosages.dtype == np.int8 else "expected_dosages"
            search.add(contig, rows.rows.column("variant_id").to_pylist(), rows.pos, rows.complete())
    return search.choose_loci(), kinds


def _read_callset(
    context: Context, request: MatchRequest, loci: Loci, stated: Ints, kinds: Mapping[str, str]
) -> Floats:
    """Loci × people of the callset, the set's mean where missing.

    Raises:
        CheckError: they are not the set's.
    """
    numbers = {variant: i for i, variant in enumerate(loci.variants)}
    dosages = np.zeros((len(loci), len(request.callset_samples)))
    is_there = np.zeros(len(loci), dtype=bool)
    where = f"table variants, callset {request.callset}"
    for contig in sorted(set(loci.contigs)):
        starts = np.sort(loci.starts[[one == contig for one in loci.contigs]])
        parts = context.parts(
            VARIANTS,
            partitions={"callset": [request.callset], "contig": [contig]},
            span=(int(starts[0]), int(starts[-1]) + 1),
            target_rows=1,
        )
        for part in (part for part in parts if _may_hold(part, starts)):
            for variant, row in _read_variants(part, loci.variants, kinds[contig]):
                i = numbers[variant]
                is_known = ~np.isnan(row[stated])
                if not np.array_equal(row[stated][is_known], loci.dosages[i][is_known]):
                    raise CheckError(
                        f"Genotypes of {variant} are others than the set's.", where=where, mend=_DEFECT
                    )
                dosages[i] = np.where(np.isnan(row), loci.dosages[i].mean(), row)
                is_there[i] = True
    if not is_there.all():
        gone = loci.variants[int(is_there.argmin())]
        raise CheckError(f"Variant {gone} of the set is not there.", where=where, mend=_DEFECT)
    return dosages


def _may_hold(part: TablePart, starts: Ints) -> bool:
    """Whether one of the starts may lie in a part, by its statistics."""
    if part.starts is None:
        return True
    least, greatest = part.starts
    return bool(np.searchsorted(starts, least, "left") < np.searchsorted(starts, greatest, "right"))


def _read_variants(part: TablePart, variants: Sequence[str], column: str) -> Iterator[tuple[str, Floats]]:
    """Wanted variants of a part with everyone's copies of ALT, NaN where missing."""
    wanted = pa.array(variants)
    for batch in read_part(part, VARIANTS, ["variant_id", column], batch_rows=_BATCH_ROWS):
        for row in batch.filter(pc.is_in(batch.column("variant_id"), value_set=wanted)).to_pylist():
            yield row["variant_id"], np.array(row[column], dtype=np.float64)
