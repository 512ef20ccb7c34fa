"""Values of a quantification as blocks of whole phenotypes, and the sums that `kgp quality` makes of them in tasks.

A part of the table may begin or end within a phenotype. What a batch of rows has of a phenotype is put aside until a
later batch, or the driver from another task, has the rest of it: a phenotype counts once, whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgp.eqtl.quality import RunSums, sum_block
from kgp.eqtl.quality_scale import Scaling
from kgp.errors import CheckError
from kgp.io.parts import TablePart, read_part
from kgp.tables import EXPRESSION

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Rows that are held at a time: at least so many, and at least those of so many phenotypes.
_BATCH_ROWS = 65_536
_BATCH_PHENOTYPES = 256

_DEFECT = "This is a defect of kgp: please report it."


@dataclass(frozen=True)
class Wanted:
    """What is read of a quantification.

    Args:
        name: dataset and quantification, for messages.
        run_ids: its runs, in the order of the arrays.
        phenotypes: ids whose rows are given back.
    """

    name: str
    run_ids: tuple[str, ...]
    phenotypes: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Range:
    """What has to be known before values can be scaled.

    Args:
        least: least value; infinite where there is none.
        totals: sum of each run's values.
    """

    least: float
    totals: Floats


@dataclass(eq=False)
class Torn:
    """Phenotypes of which only some rows were seen.

    Args:
        rows: phenotype → (values a run, which runs were seen).
    """

    rows: dict[str, tuple[Floats, Flags]] = field(default_factory=dict)

    def complete(
        self, ids: Sequence[str], values: Floats, seen: Flags, wanted: Wanted
    ) -> Iterator[tuple[str, Floats]]:
        """Put rows to those that were seen before; gives the phenotypes that are whole now.

        Raises:
            CheckError: a run has two values.
        """
        for phenotype_id, its_values, its_seen in zip(ids, values, seen, strict=True):
            before = self.rows.pop(phenotype_id, None)
            if before is not None:
                if (before[1] & its_seen).any():
                    raise _twice(phenotype_id, wanted)
                its_values, its_seen = np.where(its_seen, its_values, before[0]), its_seen | before[1]
            if its_seen.all():
                yield phenotype_id, its_values
            else:
                # A copy: the block that it is a row of is let go.
                self.rows[phenotype_id] = (its_values.copy(), its_seen.copy())


@dataclass(eq=False)
class Found:
    """What some parts of a table tell.

    Args:
        sums: over the whole phenotypes.
        rows: wanted phenotype → its values by `Scaling.to_linear`.
        torn: phenotypes that began or end elsewhere.
    """

    sums: RunSums
    rows: dict[str, Floats]
    torn: Torn

    def take(self, ids: Sequence[str], values: Floats, scaling: Scaling, wanted: Wanted) -> None:
        """Count a block of whole phenotypes in."""
        if not ids:
            return
        self.sums = self.sums.add(sum_block(values, scaling))
        for place, phenotype_id in enumerate(ids):
            if phenotype_id in wanted.phenotypes:
                self.rows[phenotype_id] = scaling.to_linear(values[place]).copy()


def measure_range(parts: Sequence[TablePart], wanted: Wanted) -> Range:
    """Least value and the runs' totals in some parts of `expression`."""
    totals, least = np.zeros(len(wanted.run_ids)), np.inf
    for part in parts:
        for batch in read_part(part, EXPRESSION, ["run_id", "value"], batch_rows=_batch_rows(wanted)):
            values = batch["value"].to_numpy(zero_copy_only=False)
            there = ~np.isnan(values)
            if there.any():
                least = min(least, float(values[there].min()))
            totals += np.bincount(_places(batch["run_id"], wanted)[there], values[there], len(totals))
    return Range(least, totals)


def sum_parts(parts: Sequence[TablePart], wanted: Wanted, scaling: Scaling) -> Found:
    """Read some parts of `expression`, a bounded number of rows at a time."""
    found = Found(RunSums.empty(len(wanted.run_ids)), {}, Torn())
    columns = ["phenotype_id", "run_id", "value"]
    for part in parts:
        for batch in read_part(part, EXPRESSION, columns, batch_rows=_batch_rows(wanted)):
            ids, values, seen = _to_matrix(batch, wanted)
            is_whole = seen.all(axis=1)
            cut = ~is_whole
            mended = list(found.torn.complete(_pick(ids, cut), values[cut], seen[cut], wanted))
            block = np.vstack([values[is_whole], *(row for _, row in mended)])
            found.take([*_pick(ids, is_whole), *(name for name, _ in mended)], block, scaling, wanted)
    return found


def join_found(results: Sequence[Found], wanted: Wanted, scaling: Scaling) -> Found:
    """What all parts of a table tell; a run that has no row of a phenotype at all has a missing value there."""
    whole = Found(RunSums.empty(len(wanted.run_ids)), {}, Torn())
    mended: list[tuple[str, Floats]] = []
    for one in results:
        whole.sums = whole.sums.add(one.sums)
        whole.rows |= one.rows
        for phenotype_id, (values, seen) in one.torn.rows.items():
            mended += whole.torn.complete([phenotype_id], values[None], seen[None], wanted)
    mended += ((phenotype_id, values) for phenotype_id, (values, _) in whole.torn.rows.items())
    whole.torn = Torn()
    for start in range(0, len(mended), _BATCH_PHENOTYPES):
        block = mended[start : start + _BATCH_PHENOTYPES]
        whole.take([name for name, _ in block], np.array([row for _, row in block]), scaling, wanted)
    return whole


def _batch_rows(wanted: Wanted) -> int:
    return max(_BATCH_ROWS, _BATCH_PHENOTYPES * len(wanted.run_ids))


def _to_matrix(batch: pa.RecordBatch, wanted: Wanted) -> tuple[list[str], Floats, Flags]:
    """Neighbouring rows of one phenotype as a row: ids, values, which runs have a row; phenotypes × runs.

    Raises:
        CheckError: a run is none of the quantification's, or has two values of a phenotype.
    """
    encoded = pc.run_end_encode(batch["phenotype_id"])
    ids: list[str] = encoded.values.to_pylist()
    ends = encoded.run_ends.to_numpy()
    n_runs = len(wanted.run_ids)
    row = np.repeat(np.arange(len(ids)), np.diff(ends, prepend=0))
    place = row * n_runs + _places(batch["run_id"], wanted)
    values, seen = np.full(len(ids) * n_runs, np.nan), np.zeros(len(ids) * n_runs, dtype=bool)
    values[place] = batch["value"].to_numpy(zero_copy_only=False)
    seen[place] = True
    if int(seen.sum()) != len(place):
        order = np.sort(place)
        raise _twice(ids[int(order[:-1][order[1:] == order[:-1]][0]) // n_runs], wanted)
    return ids, values.reshape(-1, n_runs), seen.reshape(-1, n_runs)


def _places(run_ids: pa.Array, wanted: Wanted) -> NDArray[np.int64]:
    """Place of each run in the arrays."""
    places = pc.index_in(run_ids, value_set=pa.array(wanted.run_ids, pa.string()))
    if places.null_count:
        stranger = run_ids.filter(places.is_null())[0].as_py()
        raise CheckError(
            f"Run {stranger} has values, but is none of the quantification's runs.",
            where=wanted.name,
            mend=_DEFECT,
        )
    return np.asarray(places.to_numpy(), dtype=np.int64)


def _pick(ids: Sequence[str], chosen: Flags) -> list[str]:
    return [phenotype_id for phenotype_id, is_chosen in zip(ids, chosen, strict=True) if is_chosen]


def _twice(phenotype_id: str, wanted: Wanted) -> CheckError:
    return CheckError(f"{phenotype_id} has two values in one run.", where=wanted.name, mend=_DEFECT)
