"""Who is in a matrix set: genotypes, expression and cohort joined person by person. Pure functions.

A person is in where the callset has genotypes, the dataset has a run, the cohort names the person, and
what the recipe needs to know of people is known. Everybody else is named with the first reason that
holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from kgp.amounts import upper_first
from kgp.errors import BuildError, CheckError, InputError, OverlapError
from kgp.genome import ReferenceBuild, get_build
from kgp.transforms.people import Person

# How many names a message gives.
N_EXAMPLES = 3

NOT_KNOWN = "not known: the panel that was loaded does not have this person"


@dataclass(frozen=True)
class Sources:
    """What is joined, as a person asked for it.

    Args:
        callset: by name.
        dataset: by accession; None where the phenotypes are somebody's own.
        cohort: by name.
        file: of one's own phenotypes.
    """

    callset: str
    dataset: str | None
    cohort: str
    file: str | None = None

    @property
    def measured(self) -> str:
        """Where the phenotypes come from, for reasons and messages.

        >>> Sources("phase3", "E-GEUV-1", "EUR").measured, Sources("phase3", None, "EUR", "genes.bed").measured
        ('dataset E-GEUV-1', 'file genes.bed')
        """
        return f"file {self.file}" if self.dataset is None else f"dataset {self.dataset}"


@dataclass(frozen=True)
class SampleJoin:
    """The people of a matrix set in their one order, which is the callset's.

    Args:
        sample_ids: the people.
        run_ids: the run taken for each.
        sample_indices: place of each in the callset's arrays, ascending.
        n_callset: length of those arrays.
        without_genotypes: people with a run who are not in the callset.
        without_expression: people of the callset without a run.
        dropped: every person (or run) that is left out → why.
    """

    sample_ids: tuple[str, ...]
    run_ids: tuple[str, ...]
    sample_indices: tuple[int, ...]
    n_callset: int
    without_genotypes: tuple[str, ...]
    without_expression: tuple[str, ...]
    dropped: Mapping[str, str]

    def __post_init__(self) -> None:
        lengths = {len(self.sample_ids), len(self.run_ids), len(self.sample_indices)}
        ascending = all(a < b for a, b in zip(self.sample_indices, self.sample_indices[1:], strict=False))
        if len(lengths) != 1 or not ascending or len(set(self.sample_ids)) != len(self.sample_ids):
            raise CheckError("Its people are not in one order, each once.", where="sample join")


def join_people(
    sources: Sources,
    callset_samples: Iterable[tuple[int, str]],
    runs: Iterable[tuple[str, str | None]],
    cohort: set[str],
    people: Mapping[str, Person],
    *,
    needs: Sequence[str] = (),
    drop: Callable[[Sequence[str]], Mapping[str, str]] | None = None,
) -> SampleJoin:
    """Samples of the callset ∩ runs of the dataset ∩ cohort, each person once.

    Of several runs of a person the first by run id is taken.

    Args:
        sources: names, for reasons and messages.
        callset_samples: (sample_index, sample_id).
        runs: (run_id, sample_id), None where nobody is known to own the run.
        cohort: people that the cohort names.
        people: sample_id → what is known of the person.
        needs: what must be known of a person, for example sex.
        drop: of the people who are left, those to leave out besides, for example relatives, and why.

    Raises:
        InputError: the callset or the dataset has nobody.
        OverlapError: nobody is left.
        CheckError: a person is in the callset twice.
    """
    index_of = _index_people(sources, callset_samples)
    run_of, dropped = _choose_runs(runs)
    if not run_of and not dropped:
        raise InputError(
            f"Dataset {sources.dataset} has no runs in this lake.",
            where="--dataset",
            mend="Load it first: kgp load expression.",
        )
    without_genotypes, without_expression = set(run_of) - set(index_of), set(index_of) - set(run_of)
    kept = []
    for sample_id in sorted(set(index_of) | set(run_of), key=lambda s: (index_of.get(s, -1), s)):
        reason = None
        if sample_id not in people:
            # Whoever is in somebody's own file need not be known otherwise.
            reason = NOT_KNOWN if sources.dataset is not None else f"no expression in {sources.measured}"
        elif sample_id not in cohort:
            reason = f"not in cohort {sources.cohort}"
        elif sample_id in without_genotypes:
            reason = f"no genotypes in callset {sources.callset}"
        elif sample_id in without_expression:
            reason = f"no expression in {sources.measured}"
        elif unknown := [name for name in needs if people[sample_id].get(name) is None]:
            reason = f"{unknown[0]} not known"
        if reason is None:
            kept.append(sample_id)
        else:
            dropped[sample_id] = reason
    if drop is not None:
        dropped |= drop(kept)
        kept = [sample_id for sample_id in kept if sample_id not in dropped]
    if not kept:
        raise _nobody(sources, index_of, run_of, cohort, dropped)
    return SampleJoin(
        sample_ids=tuple(kept),
        run_ids=tuple(run_of[s] for s in kept),
        sample_indices=tuple(index_of[s] for s in kept),
        n_callset=len(index_of),
        without_genotypes=tuple(sorted(without_genotypes)),
        without_expression=tuple(sorted(without_expression)),
        dropped=dropped,
    )


def one_build(
    callset: str,
    callset_builds: Iterable[str | None],
    dataset: str | None = None,
    dataset_builds: Iterable[str | None] = (),
) -> ReferenceBuild:
    """The reference build that genotypes and phenotypes share, by what their loads recorded.

    Args:
        callset: its name.
        callset_builds: of its loads.
        dataset: its accession; None where the phenotypes are no dataset's.
        dataset_builds: of its loads.

    Raises:
        BuildError: they have different builds, or one of them has several.
    """
    found = {}
    asked = [(f"callset {callset}", callset_builds)]
    if dataset is not None:
        asked.append((f"the phenotypes of {dataset}", dataset_builds))
    for what, builds in asked:
        names = sorted({build or "an unknown build" for build in builds})
        if len(names) != 1:
            raise BuildError(
                f"{upper_first(what)} lies in {' and '.join(names) or 'no build'}.",
                where="eqtl build",
                mend="Load it again with one --build.",
            )
        found[what] = names[0]
    if len(set(found.values())) != 1:
        said = ", ".join(f"{what}: {name}" for what, name in found.items())
        raise BuildError(
            f"Genotypes and phenotypes lie in different reference builds ({said}).",
            where="eqtl build",
            mend="Take a callset of the phenotypes' build, or load the expression with places in its build.",
        )
    return get_build(next(iter(found.values())))


def _index_people(sources: Sources, callset_samples: Iterable[tuple[int, str]]) -> dict[str, int]:
    listed = sorted(callset_samples)
    if not listed:
        raise InputError(
            f"Callset {sources.callset} has no samples in this lake.",
            where="--callset",
            mend="Load it first: kgp load variants.",
        )
    repeated = [name for name, n in Counter(sample_id for _, sample_id in listed).items() if n > 1]
    if repeated:
        raise CheckError(
            f"{repeated[0]} is in callset {sources.callset} more than once.",
            where="table callset_samples",
            mend="Load the callset again under another name.",
        )
    if [index for index, _ in listed] != list(range(len(listed))):
        raise CheckError(
            f"The samples of callset {sources.callset} are not numbered from 0 without a gap.",
            where="table callset_samples",
            mend="Load the callset again under another name.",
        )
    return {sample_id: index for index, sample_id in listed}


def _choose_runs(runs: Iterable[tuple[str, str | None]]) -> tuple[dict[str, str], dict[str, str]]:
    """person → run taken; run that is not taken → why."""
    run_of: dict[str, str] = {}
    dropped: dict[str, str] = {}
    for run_id, sample_id in sorted(runs, key=lambda run: run[0]):
        if sample_id is None:
            dropped[run_id] = "run belongs to nobody known"
        elif sample_id in run_of:
            dropped[run_id] = f"another run of {sample_id}"
        else:
            run_of[sample_id] = run_id
    return run_of, dropped


def _nobody(
    sources: Sources,
    index_of: Mapping[str, int],
    run_of: Mapping[str, str],
    cohort: set[str],
    dropped: Mapping[str, str],
) -> OverlapError:
    both = sorted(set(index_of) & set(run_of))
    if not both:
        return OverlapError(
            f"Nobody is in both callset {sources.callset} ({_examples(index_of)}) and {sources.measured} "
            f"({_examples(run_of) if run_of else 'whose runs belong to nobody known'}).",
            where="eqtl build",
            mend="Give kgp load expression the dataset's --sdrf, so that its runs are named by their people."
            if sources.dataset is not None
            else "Name the columns of the file as the callset names its people.",
        )
    if not set(both) & cohort:
        return OverlapError(
            f"Nobody of cohort {sources.cohort} ({_examples(cohort)}) is among the people with genotypes and "
            f"expression ({_examples(both)}).",
            where="--cohort",
            mend="Name another cohort, or load the panel that has these people.",
        )
    left = sorted(set(both) & cohort)
    return OverlapError(
        f"Nobody of the {len(left)} people with genotypes and expression in cohort {sources.cohort} can be "
        f"used: {left[0]}: {dropped[left[0]]}.",
        where="eqtl build",
        mend="Load a panel that says it (kgp load samples).",
    )


def _examples(names: Iterable[str]) -> str:
    listed = sorted(names)
    return f"{len(listed)} people: {', '.join(listed[:N_EXAMPLES])}{', …' * (len(listed) > N_EXAMPLES)}"
