"""Principal components of the genotypes of a set's people, from the autosomes of their whole callset.

A task takes a contig: it reads the contig's variants in order, part by part, prunes them as `plink2 --indep-pairwise`
does, and sums the products of the standardised genotypes of every two people. What it holds are the variants of a row
group or two, of a window, and of a batch; what it gives back is half a matrix of samples × samples. The driver adds
these up in karyotype order and takes the eigenvectors: variants × samples are nowhere in one piece.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kgp.amounts import count
from kgp.eqtl.common_variants import CommonRule
from kgp.eqtl.covariates import Covariates
from kgp.eqtl.genotype_components import RelationshipMatrix
from kgp.eqtl.ld_pruning import MIN_CONTIGS, MIN_VARIANTS, LdPruner, PruningRule, check_components_basis
from kgp.eqtl.sample_quality import list_autosomes
from kgp.errors import InputError
from kgp.genome import ReferenceBuild
from kgp.io.parts import TablePart
from kgp.io.tasks import run_tasks
from kgp.job import Context
from kgp.jobs.genotype_blocks import Dosages, Selection, in_batches, stream_contig
from kgp.jobs.genotype_tasks import is_small, plan_contigs
from kgp.jobs.one_core import on_one_core

Source = Literal["all", "other-contigs"]

# Variants that are multiplied at a time: always so many, so that sums do not depend on how the files are cut.
BATCH = 512

# Bytes of matrices that tasks give back to the driver at a time.
MAX_RESULT_BYTES = 256 << 20

PRUNED = "in linkage disequilibrium with another variant"

# Digits of scores; the last bits of a double depend on the instructions that a machine multiplies with.
_DECIMALS = 10


@dataclass(frozen=True)
class ComponentsRequest:
    """Which components are wanted.

    Args:
        callset: where the genotypes are from.
        sample_indices: places of the people in the callset's arrays, in the set's order.
        n_callset: samples of the callset.
        build: reference build of its places.
        n_components: how many.
        min_maf: least minor allele frequency among these people, inclusive.
        max_missing: greatest fraction of these people without a genotype, inclusive.
        rule: of LD pruning.
        source: components of all contigs; or, for each contig that is mapped, of the other ones.
        contigs_mapped: contigs of the phenotypes, canonical.
        few_contigs: what to do where fewer than 5 contigs or 1,000 pruned variants are there.
    """

    callset: str
    sample_indices: tuple[int, ...]
    n_callset: int
    build: ReferenceBuild
    n_components: int
    min_maf: float
    max_missing: float
    rule: PruningRule
    source: Source
    contigs_mapped: tuple[str, ...]
    few_contigs: Literal["refuse", "allow"]


@dataclass(frozen=True, eq=False)
class ComponentsFound:
    """Genotype components.

    Args:
        covariates: (None, components of all contigs); or, leaving one contig out, (contig, components without it) for
            each contig that is mapped.
        n_pruned: contig → variants that entered, in karyotype order.
        notes: what a person should know of them.
        dropped: variants of autosomes that were left out before pruning, and by it, by reason.
    """

    covariates: tuple[tuple[str | None, Covariates], ...]
    n_pruned: Mapping[str, int]
    notes: tuple[str, ...]
    dropped: Mapping[str, int]


@dataclass(frozen=True)
class ContigTask:
    """What a task has to know of a request."""

    selection: Selection
    rule: PruningRule


@dataclass(eq=False)
class ContigSums:
    """What a task makes of a contig: products of the people, and how many variants did not enter, by reason."""

    contig: str
    matrix: RelationshipMatrix
    dropped: Counter[str] = field(default_factory=Counter)


def compute_components(context: Context, request: ComponentsRequest) -> ComponentsFound:
    """Compute the components.

    Args:
        context: of a job that reads `variants`.
        request: what is wanted.

    Returns:
        Components in the order of the request's people, each of length 1, its greatest score by size positive.

    Raises:
        InputError: the callset has no autosome, what there is is too little of the genome, or there are as many
            components as people.
    """
    check_n_components(request.n_components, len(request.sample_indices))
    contigs = plan_contigs(context, request.callset, request.build, target_rows=1)
    parts = {name: contigs[name] for name in list_autosomes(contigs, request.build)}
    if not parts:
        raise InputError(
            f"It has no variants on autosomes, but on {', '.join(contigs)}.",
            where=f"callset {request.callset}",
            mend="Load autosomes, or do without genotype components.",
        )
    whole, kept, n_pruned, dropped = _sum_contigs(context, request, parts)
    covariates = tuple(
        (contig, _to_covariates(request, matrix, contig))
        for contig, matrix in _choose(request, whole, kept, n_pruned)
    )
    return ComponentsFound(covariates, n_pruned, _notes(request, covariates, n_pruned), dropped)


def sum_contig(item: tuple[str, Sequence[TablePart]], task: ContigTask) -> ContigSums:
    """Prune a contig and sum up what is left, in a task."""
    contig, parts = item
    sums = ContigSums(contig, RelationshipMatrix(task.selection.n_samples))
    with on_one_core():
        for batch in in_batches(_prune(parts, task, sums.dropped), BATCH):
            sums.matrix.add(batch)
    return sums


def _prune(parts: Sequence[TablePart], task: ContigTask, dropped: Counter[str]) -> Iterator[Dosages]:
    """Dosages of the variants that are kept, in their order."""
    kept: list[Dosages] = []
    pruner = LdPruner(task.selection.n_samples, task.rule, kept.append)
    for block in stream_contig(parts, task.selection, dropped):
        pruner.add(block.dosages, block.starts)
        yield from kept
        kept.clear()
    dropped[PRUNED] += int((~pruner.finish()).sum())
    yield from kept


def _sum_contigs(
    context: Context, request: ComponentsRequest, parts: Mapping[str, Sequence[TablePart]]
) -> tuple[RelationshipMatrix, dict[str, RelationshipMatrix], dict[str, int], Counter[str]]:
    """The sum over all contigs, those of contigs to be left out, and the variants that entered and that did not."""
    selection = Selection(
        request.n_callset, CommonRule(request.min_maf, request.max_missing), request.sample_indices
    )
    function = partial(sum_contig, task=ContigTask(selection, request.rule))
    whole = RelationshipMatrix(selection.n_samples)
    kept: dict[str, RelationshipMatrix] = {}
    n_pruned: dict[str, int] = {}
    dropped: Counter[str] = Counter()
    n_rows = sum(part.n_rows for of_contig in parts.values() for part in of_contig)
    said = f"pruning {n_rows:,} alleles of {count(len(parts), 'contig')} for {selection.n_samples:,} people"
    with context.progress.step(said):
        for sums in _map_contigs(context, request, parts, function):
            whole.merge(sums.matrix)
            n_pruned[sums.contig] = sums.matrix.n_variants
            dropped.update(sums.dropped)
            if request.source == "other-contigs" and sums.contig in request.contigs_mapped:
                kept[sums.contig] = sums.matrix
    return whole, kept, n_pruned, dropped


def _map_contigs(
    context: Context,
    request: ComponentsRequest,
    parts: Mapping[str, Sequence[TablePart]],
    function: partial[ContigSums],
) -> Iterator[ContigSums]:
    """What the function makes of each contig, in their order; some contigs at a time where the matrices are large."""
    items = list(parts.items())
    if is_small([part for of_contig in parts.values() for part in of_contig], request.n_callset):
        yield from map(function, items)
        return
    n_samples = len(request.sample_indices)
    at_once = max(1, MAX_RESULT_BYTES // (4 * n_samples * (n_samples + 1)))
    for first in range(0, len(items), at_once):
        yield from run_tasks(context.spark, items[first : first + at_once], function)


def _choose(
    request: ComponentsRequest,
    whole: RelationshipMatrix,
    kept: Mapping[str, RelationshipMatrix],
    n_pruned: Mapping[str, int],
) -> Iterator[tuple[str | None, RelationshipMatrix]]:
    """The sums that components are taken of: of all contigs, or of all but each that is mapped.

    Raises:
        InputError: they are of too little of the genome, or of nothing.
    """
    is_allowed = request.few_contigs == "allow"
    there = {contig for contig, n in n_pruned.items() if n}
    if request.source == "all":
        check_components_basis(len(there), whole.n_variants, is_allowed=is_allowed)
        yield None, whole
        return
    for contig in request.contigs_mapped:
        if not there - {contig}:
            raise InputError(
                f"Without {contig} no contig is left that components could be taken from.",
                where=f"callset {request.callset}",
                mend="Load more contigs of the callset, or take components of all of them.",
            )
        left = whole.without(kept[contig]) if contig in kept else whole
        check_components_basis(len(there - {contig}), left.n_variants, is_allowed=is_allowed)
        yield contig, left


def _to_covariates(request: ComponentsRequest, matrix: RelationshipMatrix, contig: str | None) -> Covariates:
    """Components as covariates."""
    scores: NDArray[np.float64] = matrix.components(request.n_components).scores.round(_DECIMALS)
    ending = "" if contig is None else f"_without_{contig}"
    names = tuple(f"genotype_pc_{i + 1}{ending}" for i in range(scores.shape[1]))
    return Covariates(names, scores, {})


def _notes(
    request: ComponentsRequest,
    covariates: Sequence[tuple[str | None, Covariates]],
    n_pruned: Mapping[str, int],
) -> tuple[str, ...]:
    n_variants, n_contigs = sum(n_pruned.values()), sum(n > 0 for n in n_pruned.values())
    basis = f"{count(n_variants, 'LD-pruned variant')} of {count(n_contigs, 'contig')}"
    how = "" if request.source == "all" else ", for phenotypes of each contig without that contig's"
    notes = [f"genotype components: of {basis} of callset {request.callset}{how}"]
    fewest = min((len(one.names) for _, one in covariates), default=request.n_components)
    if fewest < request.n_components:
        notes.append(
            f"only {count(fewest, 'component')} of the {request.n_components} asked for: there are no more variants"
        )
    if n_contigs < MIN_CONTIGS or n_variants < MIN_VARIANTS:
        notes.append(
            "components of so few variants are local haplotypes: they can absorb the signals under test"
        )
    return tuple(notes)


def check_n_components(n_components: int, n_people: int) -> None:
    """Refuse as many components as people.

    Raises:
        InputError: there are.
    """
    if n_components >= n_people:
        raise InputError(
            f"{n_components} components of {count(n_people, 'person', 'people')} leave nothing to differ in.",
            where="--n-components",
            mend="Choose fewer components.",
        )
