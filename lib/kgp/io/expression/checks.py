"""What refuses an expression matrix that was read.

Damage, bad lines, another annotation, another build, two lines of a phenotype.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from kgp.amounts import upper_first
from kgp.errors import FormatError, InputError, OverlapError, UsageError
from kgp.genome import check_build, get_build
from kgp.io.expression.blocks import BadLine
from kgp.io.expression.lines import MISSING_VALUE
from kgp.io.expression.place import BAD_PLACE
from kgp.io.expression.task import MatrixTask, SplitPart, Unplaced
from kgp.io.places import Annotation
from kgp.io.places.landmarks import check_landmarks

_FEW = 5


def check_parts(parts: Sequence[SplitPart], task: MatrixTask) -> None:
    """Refuse a matrix that can't be loaded.

    Args:
        parts: of all splits, in file order.
        task: what was done with them.

    Raises:
        FormatError, OverlapError, BuildError, InputError, UsageError: as `kgp.io.expression.read_matrix` says.
    """
    path = task.layout.path
    for part in parts:
        if part.problem is not None:
            kind, what, where, mend = part.problem
            raise kind(what, where=where, mend=mend)
    firsts = first_lines(parts)
    _check_negative(parts, firsts, task)
    bad = list_bad(parts, firsts)
    if task.refuses_bad and bad:
        raise _explain_bad(bad, add_up(part.n_bad for part in parts), path)
    if task.layout.footer is not None and not sum(part.n_footer for part in parts):
        raise FormatError(
            f"The line {task.layout.footer.decode()} is missing: it is cut off.",
            where=path,
            mend="Fetch the file again.",
        )
    if not any(len(part.ids) for part in parts):
        why = f" The first, line {bad[0].index:,}: {bad[0].reason}." if bad else ""
        raise InputError(f"No line of it can be loaded.{why}", where=path, mend="Look at its first lines.")
    _check_unplaced(parts, firsts, task)
    ends: dict[str, int] = {}
    for part in parts:
        for contig, end in part.last_ends.items():
            ends[contig] = max(end, ends.get(contig, 0))
    build = get_build(task.subject.build)
    check_build(build, where=path, last_ends=ends)
    landmarks = {id: place for part in parts for id, place in part.landmarks.items()}
    check_landmarks(task.layout.url, landmarks.get, build)
    _check_repeated(parts, firsts, path)


def first_lines(parts: Sequence[SplitPart]) -> list[int]:
    """Number in the file (1-based) of the first line of each split."""
    numbers = [1]
    for part in parts:
        numbers.append(numbers[-1] + part.n_lines)
    return numbers[:-1]


def list_bad(parts: Sequence[SplitPart], firsts: Sequence[int]) -> list[BadLine]:
    """The first lines of each split that can't be loaded, with their numbers in the file in the place of indexes."""
    return [
        replace(one, index=one.index + first)
        for part, first in zip(parts, firsts, strict=True)
        for one in part.first_bad
    ]


def list_unplaced(parts: Sequence[SplitPart], firsts: Sequence[int]) -> list[Unplaced]:
    """The first phenotypes of each split without a place, with line numbers in the file in the place of indexes."""
    return [
        replace(one, index=one.index + first)
        for part, first in zip(parts, firsts, strict=True)
        for one in part.first_unplaced
    ]


def _check_unplaced(parts: Sequence[SplitPart], firsts: Sequence[int], task: MatrixTask) -> None:
    """Refuse a matrix of another annotation, and phenotypes without a place where none may be."""
    n_unplaced = sum(part.n_unplaced.total() for part in parts)
    if task.annotation is None or not n_unplaced:
        return
    listed = list_unplaced(parts, firsts)
    first = listed[0]
    mend = "Give the annotation that the values were made with"
    if n_unplaced == sum(len(part.ids) for part in parts):
        raise OverlapError(
            f"None of its {n_unplaced:,} phenotypes has a place in the annotation {task.annotation.name}: the first "
            f"is {_name(first)}, the first place of the annotation is that of {_name_first(task.annotation)}.",
            where=f"{task.layout.path}, line {first.index:,}",
            mend=f"{mend}; they are taken for {task.subject.kind}s, --kind says what else they are.",
        )
    if task.refuses_unplaced:
        ids = ", ".join(one.id for one in listed[:_FEW]) + (" …" if n_unplaced > _FEW else "")
        raise FormatError(
            f"{n_unplaced:,} phenotypes have no place in the annotation: {ids} ({_name(first)}: {first.why}).",
            where=f"{task.layout.path}, line {first.index:,}",
            mend=f"{mend}, or use --unplaced keep to load their values without a place.",
        )


def _name(one: Unplaced) -> str:
    return one.id if one.gene in (None, one.id) else f"{one.id} of {one.gene}"


def _name_first(annotation: Annotation) -> str:
    """The first id of an annotation."""
    loci = annotation.loci if annotation.loci.n_ids or annotation.genes is None else annotation.genes
    return loci.first_id


def _check_negative(parts: Sequence[SplitPart], firsts: Sequence[int], task: MatrixTask) -> None:
    unit = task.subject.unit
    for part, first in zip(parts, firsts, strict=True):
        if part.first_negative is not None:
            found = part.first_negative
            raise UsageError(
                f"The value {found.value:g} is below 0: that is no {unit}.",
                where=f"{task.layout.path}, line {first + found.index:,}, {found.run}",
                mend="Say what the values are: --unit log2_cqn (conditional quantile normalisation), --unit "
                "log2_intensity (arrays), or --processing peer10_residuals (left after factors were taken out).",
            )


def _explain_bad(bad: Sequence[BadLine], n_bad: Mapping[str, int], path: str) -> FormatError:
    """The error of a matrix with lines that can't be loaded: the first of them, and how many there are of a kind."""
    first = bad[0]
    n = sum(n_bad.values())
    more = "" if n == 1 else f" {n:,} lines can't be loaded ({_describe_kinds(n_bad)})."
    if first.kind == MISSING_VALUE:
        mend = "Use --missing allow to load missing values as null, or --bad-lines quarantine to leave such lines out."
    else:
        mend = "Mend the line, or use --bad-lines quarantine to load the others."
    return FormatError(f"{_sentence(first)}{more}", where=f"{path}, line {first.index:,}", mend=mend)


def _sentence(bad: BadLine) -> str:
    # Of a damaged place the reason begins with the phenotype's id, which is as it is.
    return f"{bad.reason if bad.kind == BAD_PLACE else upper_first(bad.reason)}."


def _describe_kinds(n_bad: Mapping[str, int]) -> str:
    return ", ".join(
        f"{kind}: {n:,}" for kind, n in sorted(n_bad.items(), key=lambda item: (-item[1], item[0]))
    )


def _check_repeated(parts: Sequence[SplitPart], firsts: Sequence[int], path: str) -> None:
    """Refuse a phenotype that has two lines.

    With this, and with runs that are all different, the keys of `phenotypes` and `expression` are unique: a row is
    written for each line and run, and for nothing else. To group 11 million rows anew would take as long as the load.
    """
    ids = pa.chunked_array([chunk for part in parts for chunk in part.ids.chunks], pa.string())
    codes = ids.combine_chunks().dictionary_encode()
    if len(codes.dictionary) == len(ids):
        return
    numbers = np.concatenate(
        [rows + first for part, first in zip(parts, firsts, strict=True) for rows in part.indexes]
    )
    indices = codes.indices.to_numpy()
    n_times = np.bincount(indices)
    is_repeated = n_times[indices] > 1
    at = int(np.flatnonzero(is_repeated)[0])
    lines = numbers[np.flatnonzero(indices == indices[at])]
    n = int((n_times > 1).sum())
    more = f" {n:,} phenotypes have more than one line." if n > 1 else ""
    raise FormatError(
        f"Phenotype {ids[at].as_py()} has {len(lines):,} lines, {lines[0]:,} and {lines[1]:,}.{more}",
        where=path,
        mend="A phenotype has one line: leave one, or give each its own id.",
    )


def add_up(counters: Iterable[Counter[str]]) -> Counter[str]:
    """The sum of counters; what was counted stays in the order in which it was first met."""
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    return total
