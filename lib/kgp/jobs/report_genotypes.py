"""What the report says of genotypes, read by the driver in bounded memory: frequency spectra and components.

One pass reads counts and alleles of a callset row group by row group; it finds the spectrum and which rows are common
biallelic SNVs of autosomes. Of those some are chosen, evenly, and only the row groups that hold them are opened again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kgp.eqtl.genotype_components import MISSING, RelationshipMatrix
from kgp.genome import get_build
from kgp.io.parts import TablePart, read_part
from kgp.job import Context
from kgp.report.facts import GenotypeFact, GroupSpectrum, PeoplePoints, SpectrumFact
from kgp.report.spectrum import BINS, CLASSES, bin_alleles, classify, count_spectrum
from kgp.report.thinning import choose_stretches, choose_variants
from kgp.tables import ALLELE_STATISTICS, VARIANTS

N_COMPONENTS = 4
MIN_MAF_PERCENT = 5
# Row groups whose genotypes are read; more only where these have too few common variants.
MIN_STRETCHES = 400

_COLUMNS = ("start", "ref", "alt", "n_alts", "alt_index", "ac", "an")
_READERS = 4
_BATCH_ROWS = 1_000

Ints = NDArray[np.int64]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Callset:
    """A callset that is loaded.

    Args:
        name: its name.
        build: its reference build.
        sample_ids: its people in the order of its arrays.
        load_ids: its loads.
    """

    name: str
    build: str
    sample_ids: tuple[str, ...]
    load_ids: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Stretch:
    """What one row group holds.

    Args:
        part: the row group.
        counts: alleles by class and bin.
        n_uncounted: alleles without a called genotype.
        rows: places in it of rows that the components may be computed from, ascending.
        starts: where these lie, 0-based.
    """

    part: TablePart
    counts: Ints
    n_uncounted: int
    rows: Ints
    starts: Ints


def scan_callset(context: Context, callset: Callset) -> list[Stretch]:
    """Look at the counts and alleles of all its rows."""
    parts = context.parts(VARIANTS, partitions={"callset": [callset.name]}, target_rows=1)
    autosomes = {name for name in get_build(callset.build).contigs if name.removeprefix("chr").isdigit()}
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(partial(_scan, autosomes=autosomes), parts))


def count_alleles(
    context: Context, callset: Callset, stretches: Sequence[Stretch], groups: Iterable[Row], stale: set[str]
) -> SpectrumFact:
    """The spectrum of a callset, and of its superpopulations where `allele_statistics` has them."""
    counts = sum((stretch.counts for stretch in stretches), np.zeros((len(CLASSES), len(BINS)), np.int64))
    wanted = [row for row in groups if row["group"].startswith("superpopulation:")]
    return SpectrumFact(
        callset.name,
        len(callset.sample_ids),
        {name: tuple(row.tolist()) for name, row in zip(CLASSES, counts, strict=True)},
        sum(stretch.n_uncounted for stretch in stretches),
        tuple(
            GroupSpectrum(
                row["group"],
                row["n_samples"],
                tuple(_count_group(context, callset.name, row).tolist()),
                row["statistics_id"] in stale,
            )
            for row in wanted
        ),
        callset.load_ids,
    )


def compute_components(
    context: Context,
    callset: Callset,
    stretches: Sequence[Stretch],
    people: Mapping[str, Row],
    n_variants: int,
) -> GenotypeFact:
    """Principal components of a callset from at most `n_variants` of its common variants."""
    n_eligible = [len(stretch.rows) for stretch in stretches]
    chosen = [stretches[place] for place in choose_stretches(n_eligible, n_variants, MIN_STRETCHES)]
    taken = choose_variants([len(stretch.rows) for stretch in chosen], n_variants)
    used = [(stretch, places) for stretch, places in zip(chosen, taken, strict=True) if len(places)]
    matrix = RelationshipMatrix(len(callset.sample_ids))
    n_read = n_other_length = 0
    status = f"components of callset {callset.name} from {sum(len(p) for _, p in used):,} variants"
    with context.progress.step(status, lambda: f"{n_read:,} variants read"):
        for dosages, n_strange in _read_dosages(used, len(callset.sample_ids)):
            matrix.add(dosages)
            n_read += len(dosages)
            n_other_length += n_strange
    points = why_not = None
    if matrix.n_variants and len(callset.sample_ids) > 2:
        found = matrix.components(N_COMPONENTS)
        points = PeoplePoints(
            callset.sample_ids,
            tuple(people.get(name, {}).get("population") for name in callset.sample_ids),
            tuple(people.get(name, {}).get("superpopulation") for name in callset.sample_ids),
            found.scores,
            tuple(found.variance_explained.tolist()),
        )
    elif len(callset.sample_ids) <= 2:
        why_not = f"it has {len(callset.sample_ids)} samples, and components need three or more"
    else:
        why_not = "it has no biallelic SNV of an autosome with a minor allele frequency of 5 % or more"
    return GenotypeFact(
        callset.name,
        points,
        why_not,
        n_read,
        sum(n_eligible),
        n_other_length,
        len(used),
        sum(n > 0 for n in n_eligible),
        tuple(dict.fromkeys(str(stretch.part.values["contig"]) for stretch, _ in used)),
        _median_spacing(used),
        callset.load_ids,
    )


def _scan(part: TablePart, *, autosomes: set[str]) -> Stretch:
    counts = np.zeros((len(CLASSES), len(BINS)), np.int64)
    rows, starts = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    n_uncounted = n_before = 0
    for batch in read_part(part, VARIANTS, _COLUMNS):
        bins, classes = bin_alleles(batch["ac"], batch["an"]), classify(batch["ref"], batch["alt"])
        is_allele = pc.greater(batch["alt_index"], 0).to_numpy(zero_copy_only=False)
        counts += count_spectrum(np.where(is_allele, bins, -1), classes)
        n_uncounted += int((is_allele & (bins < 0)).sum())
        if part.values["contig"] in autosomes:
            places = np.flatnonzero(is_allele & (classes == 0) & _is_common(batch))
            rows.append(places + n_before)
            starts.append(batch["start"].to_numpy()[places])
        n_before += batch.num_rows
    return Stretch(part, counts, n_uncounted, np.concatenate(rows), np.concatenate(starts))


def _is_common(batch: pa.RecordBatch) -> NDArray[np.bool_]:
    """Whether the record has one ALT, and its minor allele a frequency of 5 % or more."""
    ac, an, n_alts = (
        pc.fill_null(batch[name], 0).to_numpy(zero_copy_only=False).astype(np.int64)
        for name in ("ac", "an", "n_alts")
    )
    minor = np.minimum(ac, an - ac)
    return np.asarray((n_alts == 1) & (an > 0) & (minor * 100 >= an * MIN_MAF_PERCENT))


def _count_group(context: Context, callset: str, row: Row) -> Ints:
    counts = np.zeros(len(BINS), np.int64)
    parts = context.parts(
        ALLELE_STATISTICS,
        partitions={"callset": [callset], "group": [row["group"]]},
        ids=[row["statistics_id"]],
    )
    with ThreadPoolExecutor(_READERS) as pool:
        for found in pool.map(_count_part, parts):
            counts += found
    return counts


def _count_part(part: TablePart) -> Ints:
    counts = np.zeros(len(BINS), np.int64)
    for batch in read_part(part, ALLELE_STATISTICS, ("ac", "an")):
        bins = bin_alleles(batch["ac"], batch["an"])
        counts += np.bincount(bins[bins >= 0], minlength=len(BINS))
    return counts


def _read_dosages(
    used: Iterable[tuple[Stretch, Ints]], n_samples: int
) -> Iterator[tuple[NDArray[np.int8], int]]:
    """Dosages of the chosen rows, variants × samples, -1 where missing; and rows of another number of samples."""
    for stretch, places in used:
        wanted, n_before = stretch.rows[places], 0
        for batch in read_part(stretch.part, VARIANTS, ("dosages",), batch_rows=_BATCH_ROWS):
            here = wanted[(wanted >= n_before) & (wanted < n_before + batch.num_rows)] - n_before
            n_before += batch.num_rows
            if not len(here):
                continue
            lists = batch["dosages"].take(pa.array(here))
            fits = pc.fill_null(pc.equal(pc.list_value_length(lists), n_samples), False)
            lists = lists.filter(fits)
            values = pc.fill_null(lists.flatten(), MISSING).to_numpy().reshape(len(lists), n_samples)
            yield values, len(here) - len(lists)


def _median_spacing(used: Sequence[tuple[Stretch, Ints]]) -> int | None:
    """Median distance between chosen neighbours of a contig, bp."""
    by_contig: dict[str | None, list[Ints]] = {}
    for stretch, places in used:
        by_contig.setdefault(stretch.part.values["contig"], []).append(stretch.starts[places])
    gaps = [np.diff(np.sort(np.concatenate(starts))) for starts in by_contig.values()]
    found = np.concatenate([*gaps, np.empty(0, np.int64)])
    return int(np.median(found)) if len(found) else None
