"""The first look at files that are to be merged: which lines can be loaded, where they lie, and who is haploid.

Lines are judged by the same parser that loads files on their own; those that can't be loaded go into quarantine here,
with the file and the byte where they stand.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kgp.genome import ReferenceBuild
from kgp.io.inflate import Damage
from kgp.io.splits import Chunk, Split, read_pieces
from kgp.io.vcf.builtin import SplitResult, SplitTask
from kgp.io.vcf.parser import Parsed, chunk_lines
from kgp.io.vcf.rows import Layout
from kgp.params import Absent
from kgp.transforms.merge import OPEN_ALTS, SiteLine

# Places that a chunk of lines names for the cutting of ranges.
_N_PLACES = 64
_BATCH_BYTES = 4 << 20

KEYED_LINES = "range int, start long, file int, offset long, line binary"

Part = tuple[str, str]
"""Contig and inheritance: where people may be haploid."""


@dataclass
class InputResult(SplitResult):
    """What became of a split of one of the files.

    Args:
        layout: of the file.
        spellings: canonical contig → as the file spells it.
        places: canonical contig → (starts of some lines, lines that each stands for).
        rejected: record offsets of the lines that can't be loaded.
        haploid, diploid: part → which samples have such genotypes in it.
    """

    layout: Layout | None = None
    spellings: dict[str, str] = field(default_factory=dict)
    places: dict[str, list[tuple[npt.NDArray[np.int64], float]]] = field(default_factory=dict)
    rejected: list[int] = field(default_factory=list)
    haploid: dict[Part, npt.NDArray[np.bool_]] = field(default_factory=dict)
    diploid: dict[Part, npt.NDArray[np.bool_]] = field(default_factory=dict)

    def see(self, chunk: Chunk, parsed: Parsed) -> None:
        """Take what the merging must know of a chunk."""
        assert self.layout is not None
        self.rejected += [one.offset for one in parsed.rejects]
        if not parsed.batches:
            return
        rows = pa.Table.from_batches(parsed.batches).select(["contig", "source_contig", "start", "alt_index"])
        rows = rows.filter(pc.less_equal(rows["alt_index"], 1))
        for contig in pc.unique(rows["contig"]).to_pylist():
            mine = rows.filter(pc.equal(rows["contig"], contig))
            self.spellings.setdefault(contig, mine["source_contig"][0].as_py())
            starts = np.sort(np.array(mine["start"]))
            some = starts[:: max(1, len(starts) // _N_PLACES)]
            self.places.setdefault(contig, []).append((some, len(starts) / len(some)))
            if is_sexed(self.layout.reference, contig):
                self._look_at_ploidy(chunk, parsed, self.layout)

    def _look_at_ploidy(self, chunk: Chunk, parsed: Parsed, layout: Layout) -> None:
        lines = parsed.lines
        for line in np.concatenate([parsed.plain, parsed.others]).tolist():
            text = chunk.data[lines.starts[line] : lines.ends[line]]
            contig, pos, *_, keys, samples = text.split(b"\t", 9)
            name = contig.decode()
            name = layout.names.get(name, name)
            if not is_sexed(layout.reference, name) or keys.split(b":", 1)[0] != b"GT":
                continue
            part = (name, layout.reference.inheritance(name, int(pos) - 1))
            none = np.zeros(layout.n_samples, dtype=bool)
            haploid, diploid = self.haploid.setdefault(part, none), self.diploid.setdefault(part, none.copy())
            for place, sample in enumerate(samples.split(b"\t")):
                gt = sample.partition(b":")[0]
                if b"/" in gt or b"|" in gt:
                    diploid[place] = True
                elif gt != b".":
                    haploid[place] = True


def is_sexed(build: ReferenceBuild, contig: str) -> bool:
    """Whether people may be haploid somewhere on the contig: X, Y and the mitochondrial genome."""
    return build.inheritance(contig, build.par[0][1]) != "autosomal"


@dataclass(frozen=True)
class InputTask:
    """Looks at a split of one of the files; a task calls it.

    Args:
        tasks: of each file; they write `quarantine` only.
    """

    tasks: Sequence[SplitTask]

    def __call__(self, item: tuple[int, Split]) -> InputResult:
        """Parse, put aside, notice."""
        file, split = item
        result = InputResult(layout=self.tasks[file].layout)
        self.tasks[file].take(read_pieces(split, count=result.findings.lines), result)
        result.layout = None
        return result


@dataclass(frozen=True)
class AbsentRule:
    """What genotype a person has whose file has nothing at a place.

    Two alleles, but one where all that the person's own file says in the same part of the sex chromosomes or of the
    mitochondrial genome is haploid; where it says nothing there, one on Y and on the mitochondrial genome.

    Args:
        rule: ref or missing, as the release means it.
        build: the reference build.
        n_samples: of all files.
        haploid: part → which samples are haploid there.
    """

    rule: Absent
    build: ReferenceBuild
    n_samples: int
    haploid: Mapping[Part, Sequence[bool]]

    def texts(self, contig: str, start: int) -> list[str]:
        """GT text of each sample.

        Args:
            contig: canonical name.
            start: 0-based.
        """
        one, two = ("0", "0/0") if self.rule == "ref" else (".", "./.")
        if not is_sexed(self.build, contig):
            return [two] * self.n_samples
        inheritance = self.build.inheritance(contig, start)
        haploid = self.haploid.get((contig, inheritance), [inheritance == "haploid"] * self.n_samples)
        return [one if is_haploid else two for is_haploid in haploid]


def find_haploid(
    results: Sequence[InputResult], files: Sequence[int], n_samples: Sequence[int]
) -> dict[Part, list[bool]]:
    """Part → whether each sample of all files is haploid there.

    Args:
        results: of all splits.
        files: the file of each result.
        n_samples: of each file.
    """
    begins = np.concatenate([[0], np.cumsum(n_samples)])
    seen: dict[Part, npt.NDArray[np.bool_]] = {}
    for result, file in zip(results, files, strict=True):
        for part in result.haploid:
            both = seen.setdefault(part, np.zeros((2, begins[-1]), dtype=bool))
            mine = slice(begins[file], begins[file + 1])
            both[0, mine] |= result.haploid[part]
            both[1, mine] |= result.diploid[part]
    return {
        part: (~diploid & (haploid if part[1] != "haploid" else True)).tolist()
        for part, (haploid, diploid) in seen.items()
    }


@dataclass(frozen=True)
class Ranges:
    """Stretches of contigs, with about the same number of lines each, that begin where lines start.

    Args:
        begins: canonical contig, in the order of the ranges → ascending first places of its ranges; the first is before
            all lines.
        firsts: canonical contig → number of its first range.
    """

    begins: Mapping[str, tuple[int, ...]]
    firsts: Mapping[str, int]

    @classmethod
    def cut(cls, results: Iterable[InputResult], build: ReferenceBuild, n: int) -> Ranges:
        """About `n` ranges; contigs in the order of the build, unknown ones by name."""
        places: dict[str, list[tuple[npt.NDArray[np.int64], float]]] = {}
        for result in results:
            for contig, found in result.places.items():
                places.setdefault(contig, []).extend(found)
        n_lines = sum(len(starts) * weight for found in places.values() for starts, weight in found)
        begins: dict[str, tuple[int, ...]] = {}
        firsts: dict[str, int] = {}
        first = 0
        for contig in sorted(places, key=lambda name: (build.sort_index(name), name)):
            starts = np.concatenate([starts for starts, _ in places[contig]])
            weights = np.concatenate([np.full(len(starts), weight) for starts, weight in places[contig]])
            order = np.argsort(starts, kind="stable")
            share = np.cumsum(weights[order]) / max(n_lines / n, 1)
            at = np.searchsorted(share, np.arange(1, max(1, round(float(share[-1])))))
            cuts = sorted(set(starts[order][at].tolist()) - {int(starts.min())})
            begins[contig] = (-1, *cuts)
            firsts[contig] = first
            first += len(begins[contig])
        return cls(begins, firsts)

    def __len__(self) -> int:
        return sum(map(len, self.begins.values()))

    def find(self, contig: str, start: int, end: int) -> range:
        """Numbers of the ranges that a stretch of a contig lies in; the first is the one that it starts in."""
        first = self.firsts[contig] - 1
        begins = self.begins[contig]
        return range(
            first + bisect_right(begins, start), first + bisect_right(begins, max(start, end - 1)) + 1
        )

    def place(self, number: int) -> tuple[str, int, int | None]:
        """Contig, begin and end of a range; no end where the contig's last one."""
        for contig, begins in self.begins.items():
            at = number - self.firsts[contig]
            if 0 <= at < len(begins):
                return contig, begins[at], begins[at + 1] if at + 1 < len(begins) else None
        raise IndexError(number)


@dataclass(frozen=True)
class LineKeyer:
    """Reads lines of a split again, those that can be loaded, with the range that each belongs to; a task calls it.

    A reference block that reaches into further ranges is given to each of them.

    Args:
        layouts: of each file.
        ranges: of all files.
    """

    layouts: Sequence[Layout]
    ranges: Ranges

    def __call__(self, item: tuple[int, Split, npt.NDArray[np.int64]]) -> Iterator[pa.RecordBatch]:
        """Batches in the shape of `KEYED_LINES`."""
        file, split, rejected = item
        rows: list[tuple[int, int, int, int, bytes]] = []
        size = 0
        for piece in read_pieces(split):
            if isinstance(piece, Damage):
                continue
            lines = chunk_lines(piece, self.layouts[file])
            wanted = np.flatnonzero(~lines.is_torn & ~np.isin(lines.offsets, rejected))
            for begin, end, offset in zip(
                lines.starts[wanted].tolist(),
                lines.ends[wanted].tolist(),
                lines.offsets[wanted].tolist(),
                strict=True,
            ):
                line = piece.data[begin:end]
                for number, start in self._find_ranges(file, line):
                    rows.append((number, start, file, offset, line))
                    size += len(line)
                if size > _BATCH_BYTES:
                    yield _to_batch(rows)
                    rows, size = [], 0
        if rows:
            yield _to_batch(rows)

    def _find_ranges(self, file: int, line: bytes) -> Iterator[tuple[int, int]]:
        contig, pos, _, _, alt, _ = line.split(b"\t", 5)
        name = contig.decode()
        start = end = int(pos) - 1
        if alt.decode().split(",", 1)[0] in (".", *OPEN_ALTS):
            site = SiteLine.parse(file, line)
            end = site.end if site.is_block else start
        for number in self.ranges.find(self.layouts[file].names.get(name, name), start, end):
            yield number, start


def _to_batch(rows: Sequence[tuple[int, int, int, int, bytes]]) -> pa.RecordBatch:
    types = {
        "range": pa.int32(),
        "start": pa.int64(),
        "file": pa.int32(),
        "offset": pa.int64(),
        "line": pa.binary(),
    }
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types.values(), strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=list(types))


def find_spellings(results: Iterable[InputResult]) -> dict[str, str]:
    """Canonical contig → as the first file spells it that has a line there."""
    spellings: dict[str, str] = {}
    for result in results:
        spellings = result.spellings | spellings
    return spellings
