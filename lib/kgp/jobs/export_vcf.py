"""`kgp export vcf`: a callset, or a part of it, as the VCF file that it was loaded from."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql import Row

import kgp
from kgp.errors import CheckError, InputError
from kgp.genome import ReferenceBuild, get_build
from kgp.io.parts import TablePart
from kgp.io.sample_list import find_samples, read_sample_list
from kgp.io.tasks import count_cores, map_splits
from kgp.io.vcf.header import VcfHeader, parse_header
from kgp.io.vcf.sample_text import SampleColumns
from kgp.io.vcf.selection import Selection
from kgp.io.vcf.stretches import PIECES, Stretch, plan_stretches, stretch_writer
from kgp.io.vcf.vcf_file import Pieces, VcfFile
from kgp.io.vcf.writer import LineFormat, merge_headers, order_contigs
from kgp.job import Context, Job, Report
from kgp.params import ExportVcf
from kgp.tables import CALLSET_SAMPLES, HEADERS, LOADS, VARIANTS

# Raised where the same rows give another file.
VERSION = "1"

# Text up to which no session is started, which would take as long: about 200 million genotypes.
DRIVER_TEXT = 1 << 30
# What the tasks give to the driver at once: stretches a core, and bytes of text before it is compressed.
_WAVE_STRETCHES = 4
_WAVE_TEXT = 2 << 30


_Writer = Callable[[Stretch], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class _Plan:
    """What is to be written.

    Args:
        loads: rows of `loads`, in the order in which records of the same start are written.
        headers: (load, header) of those loads, in the order in which they are merged.
        build: of the callset.
        selection: which records.
        samples: ids of the callset's samples.
        chosen: places of those that are written; None for all.
    """

    loads: list[dict[str, Any]]
    headers: list[tuple[str, VcfHeader]]
    build: ReferenceBuild
    selection: Selection
    samples: list[str]
    chosen: tuple[int, ...] | None

    @property
    def written_samples(self) -> list[str]:
        return self.samples if self.chosen is None else [self.samples[place] for place in self.chosen]

    @property
    def line_format(self) -> LineFormat:
        numbers: dict[str, dict[str, str]] = {load["load_id"]: {} for load in self.loads}
        for load_id, header in self.headers:
            for key, one in header.infos.items():
                if one.number in ("A", "R", "G"):
                    numbers[load_id].setdefault(key, one.number)
        columns = SampleColumns(len(self.samples), self.chosen)
        return LineFormat(columns, numbers, counts_alleles=self.chosen is not None)

    def export(self, callset: str) -> str:
        """What names this very export in the file's header."""
        content = [
            VERSION, callset, [load["load_id"] for load in self.loads], list(self.selection.contigs),
            [str(region) for region in self.selection.regions], self.written_samples,
        ]  # fmt: skip
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]
        return f"<ID={digest},Callset={callset},Version={kgp.__version__}>"


def run(context: Context, params: ExportVcf) -> Report:
    """Write the file aside, in tasks, and move it into place when it is whole."""
    plan = _make_plan(context, params)
    file = VcfFile(params.out)
    export = plan.export(params.callset)
    if file.holds(export):
        return Report(
            "export_vcf", False, f"{params.out} holds callset {params.callset} already, nothing to do"
        )
    if not params.replace:
        file.refuse_other()
    parts = _find_parts(context, params, plan)
    stretches = plan_stretches(parts, len(plan.samples))
    loads = {load["load_id"]: index for index, load in enumerate(plan.loads)}
    write = stretch_writer(plan.line_format, plan.selection, loads)
    with file.aside() as pieces:
        with context.progress.step(f"writing callset {params.callset} to {params.out}"):
            for rows in _write(context, stretches, write):
                pieces.add(rows)
        _check(pieces, plan)
        declared = [name for _, header in plan.headers for name in header.contigs]
        contigs = order_contigs(list(pieces.n_records), list(dict.fromkeys(declared)), plan.build)
        header, different = merge_headers(
            [one.text for _, one in plan.headers], contigs=contigs, build=plan.build, samples=plan.written_samples,
            export=export, has_genotypes=pieces.has_genotypes, counts_alleles=plan.chosen is not None,
        )  # fmt: skip
        is_new = file.put_in_place(header, pieces, contigs)
    size = file.path.stat().st_size
    n_records = sum(pieces.n_records.values())
    return Report(
        "export_vcf",
        is_new,
        f"{n_records:,} records of {len(plan.written_samples):,} samples to {params.out}, {size:,} bytes",
        rows={file.path.name: n_records},
        details={"out": params.out, "samples": len(plan.written_samples), "bytes": size},
        notes=_notes(plan, contigs, different),
    )


def _make_plan(context: Context, params: ExportVcf) -> _Plan:
    every = [row for row in context.fetch(LOADS) if row["target"] == VARIANTS.name]
    loads = sorted(
        (row for row in every if row["subject"] == params.callset),
        key=lambda row: (row["path"], row["load_id"]),
    )
    if not loads:
        names = sorted({row["subject"] for row in every})
        raise InputError(
            f"There is no callset {params.callset} in this lake.",
            where="--callset",
            mend=f"There are: {', '.join(names)}." if names else "Load it first: kgp load variants.",
        )
    place = {row["load_id"]: index for index, row in enumerate(loads)}
    rows = [row for row in context.fetch(HEADERS) if row["load_id"] in place]
    headers = [
        (row["load_id"], parse_header(row["header"].split("\n")[:-1], where=row["path"]))
        for row in sorted(rows, key=lambda row: (place[row["load_id"]], row["path"]))
    ]
    samples = [
        sample_id
        for _, sample_id in sorted(
            (row["sample_index"], row["sample_id"])
            for row in context.fetch(CALLSET_SAMPLES)
            if row["callset"] == params.callset
        )
    ]
    chosen = None
    if params.samples is not None:
        chosen = find_samples(read_sample_list(params.samples), samples, f"callset {params.callset}")
    build = get_build(loads[0]["build"])
    selection = Selection(contigs=params.contig, regions=params.regions).in_build(build)
    return _Plan(loads, headers, build, selection, samples, chosen)


def _find_parts(context: Context, params: ExportVcf, plan: _Plan) -> list[TablePart]:
    """Row groups that may have a row in the selection.

    Raises:
        InputError: the callset has nothing on a contig that is named.
    """
    selection = plan.selection
    ids = [load["load_id"] for load in plan.loads]
    if selection.is_everything:
        return context.parts(VARIANTS, partitions={"callset": [params.callset]}, ids=ids, target_rows=1)
    named = list(dict.fromkeys([*selection.contigs, *(region.contig for region in selection.regions)]))
    found = context.parts(
        VARIANTS, partitions={"callset": [params.callset], "contig": named}, ids=ids, target_rows=1
    )
    if missing := sorted(set(named) - {part.values["contig"] for part in found}):
        every = context.parts(VARIANTS, partitions={"callset": [params.callset]}, ids=ids)
        there = sorted({part.values["contig"] or "" for part in every}, key=plan.build.sort_index)
        raise InputError(
            f"Callset {params.callset} has nothing on contig {missing[0]}.",
            where="--contig" if missing[0] in selection.contigs else "--region",
            mend=f"It has: {', '.join(there)}." if there else "It has no records.",
        )
    return [
        part
        for part in found
        if part.values["contig"] in selection.contigs
        or any(
            region.contig == part.values["contig"] and part.may_overlap(region.start, region.end)
            for region in selection.regions
        )
    ]


def _write(context: Context, stretches: Sequence[Stretch], write: _Writer) -> Iterator[list[Row]]:
    """What is made of the stretches, in order: by threads of the driver where it is little, else by Spark's tasks.

    Nearly all of the work is done by Arrow, numpy and libdeflate, which let other threads run.
    """
    if sum(stretch.text for stretch in stretches) > DRIVER_TEXT:
        for wave in _waves(context, stretches):
            yield map_splits(context.spark, wave, write, PIECES).collect()
        return

    def make(stretch: Stretch) -> list[Row]:
        return [Row(**row) for batch in write(stretch) for row in batch.to_pylist()]

    with ThreadPoolExecutor(_n_threads()) as pool:
        yield from pool.map(make, stretches)


def _n_threads() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _waves(context: Context, stretches: Sequence[Stretch]) -> Iterator[list[Stretch]]:
    """Stretches in order, as many at a time as keep all cores busy and the driver's memory small."""
    if not stretches:
        return
    most = _WAVE_STRETCHES * count_cores(context.spark)
    wave: list[Stretch] = []
    for stretch in stretches:
        if wave and (len(wave) == most or sum(one.text for one in wave) + stretch.text > _WAVE_TEXT):
            yield wave
            wave = []
        wave.append(stretch)
    yield wave


def _check(pieces: Pieces, plan: _Plan) -> None:
    """Refuse a file of a whole callset that has other records than its loads counted."""
    expected = sum(load["rows_out"] for load in plan.loads)
    n_records = sum(pieces.n_records.values())
    if plan.selection.is_everything and n_records != expected:
        raise CheckError(
            f"{n_records:,} records were written instead of {expected:,}.",
            where="--out",
            mend="This is a defect of kgp: please report it.",
        )


def _notes(plan: _Plan, contigs: Sequence[str], different: Sequence[str]) -> list[str]:
    notes = []
    if n := sum(load["rows_quarantined"] for load in plan.loads):
        notes.append(f"{n:,} records of the loaded files are not in it: they are in quarantine")
    spelled = Counter(plan.build.canonical(name) or name for name in contigs)
    for contig in (name for name, n in spelled.items() if n > 1):
        names = [name for name in contigs if (plan.build.canonical(name) or name) == contig]
        notes.append(f"the loaded files spell contig {contig} {' and '.join(names)}, and so does this one")
    if different:
        listed = ", ".join(different[:5]) + (
            f" and {len(different) - 5:,} more" if len(different) > 5 else ""
        )
        notes.append(f"the loaded files declare differently: {listed}; the first declaration was kept")
    return notes


EXPORT_VCF = Job(
    name="export_vcf",
    summary="Export a callset, or a part of it, as a VCF file with its index.",
    params=ExportVcf,
    reads=(LOADS, HEADERS, CALLSET_SAMPLES, VARIANTS),
    writes=(),
    run=run,
)
