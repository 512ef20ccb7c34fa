"""A first look at the raw lines of a VCF file: how many records, where they lie, what is odd about them.

The count is independent of both engines, so that a record that an engine loses can't stay unnoticed. The
survey is also where a broken block or stream is found, before anything is written.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from kgp.errors import FormatError
from kgp.genome import ReferenceBuild
from kgp.io.splits import Split, has_end_marker, map_splits, plan_tasks, read_chunks
from kgp.io.vcf.header import VcfHeader
from kgp.io.vcf.selection import Selection
from kgp.transforms.alleles import find_end, make_variant_id, parse_whole_number

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

UNKNOWN_CONTIG = "contig unknown to the build"
UNDECLARED_CONTIG = "contig not declared in the header"
OUT_OF_ORDER = "row out of order"
UNDECLARED_INFO = "undeclared INFO key"
REPEATED_INFO = "INFO key repeated in a record"
NO_END_MARKER = "BGZF end marker missing"

_Place = tuple[str, int]


@dataclass(frozen=True)
class Survey:
    """What the raw lines say.

    Args:
        n_records: lines after the header that are in the selection, blank and malformed ones included.
        contigs: contig as spelled → records; those whose place can't be read are left out.
        last_ends: contig as spelled → greatest POS - 1 + length of REF (0-based, exclusive).
        n_irregular: records whose number of columns is not the header's.
        repeated_variant_ids: names of rows that occur more than once, sorted.
        warnings: what is odd but can be loaded → records with it.
    """

    n_records: int
    contigs: Mapping[str, int]
    last_ends: Mapping[str, int]
    n_irregular: int
    repeated_variant_ids: tuple[str, ...]
    warnings: Mapping[str, int]


def survey_records(
    spark: SparkSession, url: str, header: VcfHeader, build: ReferenceBuild, selection: Selection
) -> Survey:
    """Look at every line of the file once, in Spark tasks.

    Raises:
        FormatError: a BGZF block or the gzip stream is broken or cut off; says the file and the byte.
        InputError: the file can't be read.
    """
    splits = plan_tasks(spark, url)
    task = _Task(header, dict(build.aliases), selection.in_build(build))
    rows = map_splits(spark, splits, partial(_survey_split, task), "part binary").collect()
    parts: list[_Part] = [pickle.loads(row.part) for row in rows]
    for part in parts:
        if part.problem is not None:
            raise FormatError(part.problem[0], where=part.problem[1], mend=part.problem[2])

    contigs = sum((part.contigs for part in parts), Counter[str]())
    warnings = sum((part.warnings for part in parts), Counter[str]())
    warnings[OUT_OF_ORDER] += _count_seams(parts)
    warnings[UNKNOWN_CONTIG] = sum(n for name, n in contigs.items() if build.canonical(name) is None)
    warnings[UNDECLARED_CONTIG] = sum(n for name, n in contigs.items() if name not in header.contigs)
    if splits[0].form == "bgzf" and not has_end_marker(url):
        warnings[NO_END_MARKER] = 1
    last_ends: dict[str, int] = {}
    for part in parts:
        for name, end in part.last_ends.items():
            last_ends[name] = max(end, last_ends.get(name, end))
    is_one_name_a_contig = len({task.names.get(name, name) for name in contigs}) == len(contigs)
    if warnings[OUT_OF_ORDER] or not is_one_name_a_contig:
        repeated = _find_repeated_anywhere(spark, splits, task)
    else:
        at_seams = Counter(name for part in parts for name in part.edge_ids)
        repeated = {name for name, n in at_seams.items() if n > 1}.union(*(part.repeated for part in parts))
    return Survey(
        n_records=sum(part.n_records for part in parts),
        contigs=dict(contigs),
        last_ends=last_ends,
        n_irregular=sum(part.n_irregular for part in parts),
        repeated_variant_ids=tuple(sorted(repeated)),
        warnings={name: n for name, n in sorted(warnings.items()) if n},
    )


@dataclass(frozen=True)
class _Task:
    header: VcfHeader
    names: Mapping[str, str]
    selection: Selection


@dataclass
class _Part:
    """What one split says.

    Where rows are in order, those of one place stand together, and ids repeat only there.
    """

    n_records: int = 0
    contigs: Counter[str] = field(default_factory=Counter)
    last_ends: dict[str, int] = field(default_factory=dict)
    n_irregular: int = 0
    warnings: Counter[str] = field(default_factory=Counter)
    runs: list[str] = field(default_factory=list)
    """Contigs in the order in which they come, each run once."""
    first: _Place | None = None
    last: _Place | None = None
    repeated: set[str] = field(default_factory=set)
    edge_ids: list[str] = field(default_factory=list)
    """Ids of the rows at the first and at the last place, which may go on in the neighbouring splits."""
    problem: tuple[str, str | None, str | None] | None = None


def _survey_split(task: _Task, split: Split) -> Iterator[pa.RecordBatch]:
    part = _Part()
    try:
        _survey_lines(task, part, split)
    except FormatError as problem:
        part.problem = (problem.what, problem.where, problem.mend)
    yield pa.RecordBatch.from_pydict({"part": pa.array([pickle.dumps(part)], pa.binary())})


def _survey_lines(task: _Task, part: _Part, split: Split) -> None:
    n_tabs = task.header.n_columns - 1
    declared = task.header.infos.keys()
    here: list[str] = []
    for site, line in _read_selected(task, split):
        part.n_records += 1
        part.n_irregular += line.count(b"\t") != n_tabs
        if len(site) < 8 or (pos := parse_whole_number(site[1])) is None:
            continue
        contig, start, ref, info = site[0], pos - 1, site[3], site[7]
        part.contigs[contig] += 1
        end = start + len(ref)
        if end > part.last_ends.get(contig, -1):
            part.last_ends[contig] = end
        keys = [entry.partition("=")[0] for entry in info.split(";")] if info != "." else []
        part.warnings[UNDECLARED_INFO] += not declared >= set(keys)
        part.warnings[REPEATED_INFO] += len(set(keys)) != len(keys)

        place = (contig, start)
        if place != part.last:
            _close_place(part, here)
            here = []
            if part.first is None:
                part.first = place
            if not part.runs or contig != part.runs[-1]:
                part.runs.append(contig)
            elif part.last is not None and start < part.last[1]:
                part.warnings[OUT_OF_ORDER] += 1
            part.last = place
        here += _ids(task, site, start)
    part.edge_ids += here
    _close_place(part, here, is_edge=True)


def _close_place(part: _Part, ids: list[str], *, is_edge: bool = False) -> None:
    """All rows of a place are known: keep the ids that repeat, and those of the split's first place."""
    if len(ids) > 1:
        part.repeated.update(name for name, n in Counter(ids).items() if n > 1)
    if not is_edge and part.last is not None and part.last == part.first:
        part.edge_ids += ids


def _read_selected(task: _Task, split: Split) -> Iterator[tuple[list[str], bytes]]:
    """(first eight columns, line) of the records of a split that are in the selection."""
    for chunk in read_chunks(split):
        starts, ends = chunk.lines()
        is_body = chunk.offsets(starts) > task.header.offset
        for begin, end in zip(starts[is_body].tolist(), ends[is_body].tolist(), strict=True):
            line = chunk.data[begin:end]
            site = [column.decode("utf-8", errors="replace") for column in line.split(b"\t", 8)[:8]]
            if task.selection.is_everything or _takes(task, site):
                yield site, line


def _takes(task: _Task, site: Sequence[str]) -> bool:
    if len(site) < 2:
        return True
    pos = parse_whole_number(site[1])
    contig = task.names.get(site[0], site[0])
    if pos is None or len(site) < 8:
        return task.selection.takes(contig, None, None)
    return task.selection.takes(contig, pos - 1, find_end(site[7], pos - 1, site[3]))


def _ids(task: _Task, site: Sequence[str], start: int) -> list[str]:
    """Names of the record's rows."""
    contig, ref, info = task.names.get(site[0], site[0]), site[3], site[7]
    end = find_end(info, start, ref) if "<" in site[4] else start + len(ref)
    alts = [None] if site[4] == "." else site[4].split(",")
    return [make_variant_id(contig, start, ref, alt, end) for alt in alts]


def _count_seams(parts: Sequence[_Part]) -> int:
    """Rows out of order at the seams of the splits, and contigs that come back after another one."""
    last: _Place | None = None
    seen: set[str] = set()
    n = 0
    for part in parts:
        if part.first is None:
            continue
        runs = part.runs
        if last is not None and part.first[0] == last[0]:
            n += part.first[1] < last[1]
            runs = runs[1:]
        for contig in runs:
            n += contig in seen
            seen.add(contig)
        last = part.last
    return n


def _find_repeated_anywhere(spark: SparkSession, splits: Sequence[Split], task: _Task) -> set[str]:
    """Repeated ids of a file whose rows are not in order."""
    ids = map_splits(spark, splits, partial(_ids_of_split, task), "variant_id string")
    return {row.variant_id for row in ids.groupBy("variant_id").count().where("count > 1").collect()}


def _ids_of_split(task: _Task, split: Split) -> Iterator[pa.RecordBatch]:
    ids: list[str] = []
    for site, _ in _read_selected(task, split):
        if len(site) == 8 and (pos := parse_whole_number(site[1])) is not None:
            ids += _ids(task, site, pos - 1)
    yield pa.RecordBatch.from_pydict({"variant_id": pa.array(ids, pa.string())})
