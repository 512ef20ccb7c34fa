"""The phenotypes of a matrix set: measured, prepared by the recipe, judged by their places, written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgp.amounts import count
from kgp.eqtl.covariates import Covariates
from kgp.eqtl.recipe import ExpressionRecipe, Step, prepare_expression
from kgp.eqtl.recipe.settle import WithoutCounts
from kgp.errors import InputError
from kgp.genome import check_build
from kgp.io.direct import write_files
from kgp.io.matrix_sets import PhenotypeRows
from kgp.job import Context
from kgp.jobs.eqtl_expression import judge_ever, judge_places
from kgp.jobs.eqtl_plan import MatrixPlan
from kgp.params import EqtlBuild
from kgp.tables import EQTL_PHENOTYPES
from kgp.transforms.matrices import as_lists

# Rows that are written at a time.
_AT_ONCE = 1_000


@dataclass(frozen=True, eq=False)
class SetPhenotypes:
    """Phenotypes of a set before they are written.

    Args:
        rows: by contig, start and id.
        dropped: reason → how many.
        factors: hidden factors as covariates; None where there are none.
        notes: what a person should know.
        steps: what was done, in order.
    """

    rows: PhenotypeRows
    dropped: Mapping[str, int]
    factors: Covariates | None
    notes: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def contigs(self) -> tuple[str, ...]:
        """Contigs with phenotypes, ascending."""
        return tuple(sorted(set(self.rows.rows.column("contig").to_pylist())))

    @property
    def tss_by_contig(self) -> dict[str, list[int]]:
        """Contig → TSS, 1-based."""
        found: dict[str, list[int]] = {}
        places = self.rows.rows
        for contig, tss in zip(
            places.column("contig").to_pylist(), places.column("tss").to_pylist(), strict=True
        ):
            found.setdefault(contig, []).append(tss)
        return found


def prepare_phenotypes(
    context: Context, params: EqtlBuild, plan: MatrixPlan, run_ids: Sequence[str]
) -> SetPhenotypes:
    """Measure the runs and follow the recipe with all phenotypes; then keep those whose places can be mapped.

    Raises:
        InputError: no phenotype is left, or the values are not what their unit says.
        BuildError: a phenotype lies beyond the end of its contig.
    """
    with context.progress.step(f"phenotypes of {len(run_ids):,} people"):
        measured = plan.source.measure(context, run_ids)
        prepared = prepare_expression(
            measured.values,
            measured.counts,
            ExpressionRecipe.of(params),
            unit=measured.unit,
            processing=measured.processing,
            places=judge_ever(measured, plan.allowed),
            without_counts=_without_counts(params),
        )
    places = judge_places(
        measured, asked=plan.asked, allowed=plan.allowed, with_genotypes=sorted(plan.rows_on)
    )
    reasons = [place or own for place, own in zip(places, prepared.reasons, strict=True)]
    dropped = Counter(reason for reason in reasons if reason is not None)
    kept = _sort(measured.rows, [i for i, reason in enumerate(reasons) if reason is None])
    steps = [*prepared.steps, *_place_step(prepared.reasons, reasons)]
    if not len(kept):
        raise nothing_left(plan, dropped)
    found = PhenotypeRows(measured.rows.take(pa.array(kept)), prepared.values[kept])
    notes = (*plan.source.notes, *measured.notes, *prepared.notes)
    made = SetPhenotypes(found, dropped, prepared.factors, notes, tuple(steps))
    last = {contig: max(tss) for contig, tss in made.tss_by_contig.items()}
    check_build(plan.build, where=f"the phenotypes of {plan.source.name}", last_ends=last)
    return made


def _without_counts(params: EqtlBuild) -> WithoutCounts:
    """A profile has TMM for where there are counts; a person who asks for it must have them."""
    is_asked_for = params.normalisation == "tmm" and params.is_asked_for("normalisation")
    return "refuse" if is_asked_for else "note"


def drop_few_variants(
    phenotypes: SetPhenotypes,
    starts: Mapping[str, NDArray[np.int64]],
    *,
    cis_window: int,
    min_cis_variants: int,
) -> SetPhenotypes:
    """Leave out phenotypes with too few variants in their windows.

    Args:
        phenotypes: of the set.
        starts: contig → 0-based starts of the set's variants, ascending.
        cis_window: bases to each side of a TSS, inclusive.
        min_cis_variants: least number of variants.
    """
    n_variants = count_cis_variants(phenotypes.rows.rows, starts, cis_window)
    kept = np.flatnonzero(n_variants >= min_cis_variants)
    n, n_dropped = len(kept), len(n_variants) - len(kept)
    if not n_dropped:
        return phenotypes
    dropped = {f"fewer than {count(min_cis_variants, 'variant')} in the cis window": n_dropped}
    return replace(
        phenotypes,
        rows=phenotypes.rows.take(kept),
        dropped={**phenotypes.dropped, **dropped},
        steps=(*phenotypes.steps, Step("variants in the cis window", len(n_variants), n, dropped)),
    )


def count_cis_variants(
    places: pa.RecordBatch, starts: Mapping[str, NDArray[np.int64]], cis_window: int
) -> NDArray[np.int64]:
    """Variants within the window of each phenotype: |pos − tss| <= cis_window.

    Args:
        places: columns contig and tss (1-based).
        starts: contig → 0-based starts, ascending.
        cis_window: bases to each side.
    """
    contigs = np.array(places.column("contig").to_pylist(), dtype=object)
    tss = places.column("tss").to_numpy()
    found = np.zeros(len(tss), dtype=np.int64)
    for contig, of_contig in starts.items():
        here = contigs == contig
        first = np.searchsorted(of_contig, tss[here] - 1 - cis_window)
        found[here] = np.searchsorted(of_contig, tss[here] - 1 + cis_window, side="right") - first
    return found


def nothing_left(plan: MatrixPlan, dropped: Mapping[str, int]) -> InputError:
    """The error of a set without phenotypes."""
    said = ", ".join(f"{n:,} {reason}" for reason, n in sorted(dropped.items())) or "none is loaded"
    return InputError(
        f"No phenotype of {plan.source.name} is left: {said}.",
        where="eqtl build",
        mend="The reason with the most of them tells what to change: --contig, --min-expression, --min-count, "
        "--min-cis-variants and --cis-window, or which genotypes are loaded.",
    )


def write_phenotypes(context: Context, matrix_id: str, phenotypes: PhenotypeRows) -> None:
    """Write the rows of a set in one commit."""
    written = write_files(
        (
            _to_batch(matrix_id, phenotypes.take(np.arange(begin, min(begin + _AT_ONCE, len(phenotypes)))))
            for begin in range(0, len(phenotypes), _AT_ONCE)
        ),
        EQTL_PHENOTYPES,
        context.path(EQTL_PHENOTYPES),
    )
    context.commit(EQTL_PHENOTYPES, written, [matrix_id])


def _to_batch(matrix_id: str, phenotypes: PhenotypeRows) -> pa.RecordBatch:
    columns = {name: phenotypes.rows.column(name) for name in phenotypes.rows.schema.names}
    columns["matrix_id"] = pa.repeat(pa.scalar(matrix_id), len(phenotypes))
    columns["values"] = as_lists(phenotypes.values, np.isnan(phenotypes.values))
    return pa.RecordBatch.from_pydict(columns)


def _sort(places: pa.RecordBatch, chosen: Sequence[int]) -> NDArray[np.int64]:
    """Numbers of the chosen rows by contig, start and id."""
    numbered = pa.Table.from_batches([places]).select(["contig", "start", "phenotype_id"])
    numbered = numbered.append_column("number", pa.array(range(places.num_rows), pa.int64()))
    some = numbered.take(pa.array(chosen, pa.int64()))
    keys = [(name, "ascending") for name in ("contig", "start", "phenotype_id")]
    return np.asarray(some.take(pc.sort_indices(some, sort_keys=keys))["number"].to_numpy())


def _place_step(before: Sequence[str | None], after: Sequence[str | None]) -> list[Step]:
    """What the contigs that were asked for and have genotypes leave of the prepared phenotypes."""
    lost = Counter(now for was, now in zip(before, after, strict=True) if was is None and now is not None)
    if not lost:
        return []
    n_before = sum(reason is None for reason in before)
    return [Step("contigs of the set", n_before, n_before - lost.total(), dict(lost))]
