"""Whole lines of a VCF file → Arrow batches in the shape of `variants`, and the lines that can't be loaded.

Most lines of the 1000 Genomes releases are plain: `kgp.io.vcf.plain` takes all of a chunk's at once. Every other line
comes through here, and so does one that turns out to be malformed, to say why. No line is dropped and none raises: it
becomes rows, or a `Reject` with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kgp.errors import InputError
from kgp.io.splits import Chunk
from kgp.io.vcf.plain import read_plain_lines
from kgp.io.vcf.rows import Formats, Genotypes, Layout, Record, VariantRows
from kgp.transforms.alleles import find_end, parse_info, parse_whole_number
from kgp.transforms.calls import explain_genotypes

TORN = "A part of the line is lost in damaged text beside it"
LONGEST_LINE = 64 << 20

_NUMBER = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?:inf(?:inity)?|nan)", re.I
)


@dataclass(frozen=True)
class Reject:
    """A line that can't be loaded: record offset, reason, and the line without its line end."""

    offset: int
    reason: str
    line: bytes

    def as_error(self, where: str) -> InputError:
        """The error of a load that is to be strict, of the file at that place."""
        return InputError(
            f"The record at offset {self.offset:,} can't be loaded: {self.reason}.",
            where=where,
            mend="Mend the file, or leave --strict away to put such records into quarantine.",
        )


class _BadLineError(Exception):
    """Why a line can't be loaded."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A line whose first eight columns are read; of its genotypes at most the text is known yet."""

    offset: int
    line: tuple[int, int]
    record: Record
    keys: str = ""
    samples: bytes = b""


@dataclass(frozen=True)
class Parsed:
    """What the lines of a chunk are.

    Args:
        batches: rows in the shape of `variants`, in file order.
        rejects: lines that can't be loaded, in file order.
        lines: the records of the chunk that are in the selection.
        plain, others: which of them were loaded as plain lines, and one by one.
        plain_sites: the first eight columns of the plain ones.
    """

    batches: list[pa.RecordBatch]
    rejects: list[Reject]
    lines: Lines
    plain: npt.NDArray[np.intp]
    others: npt.NDArray[np.intp]
    plain_sites: list[bytes]


def parse_chunk(chunk: Chunk, layout: Layout) -> Parsed:
    """Parse the lines of a chunk that are in the selection; header lines are passed over."""
    lines = chunk_lines(chunk, layout)
    whole = np.flatnonzero(~lines.is_torn & (lines.ends - lines.starts <= LONGEST_LINE))
    plain, is_plain_of_whole, sites = read_plain_lines(
        chunk.data, lines.starts[whole], lines.ends[whole], lines.offsets[whole], layout
    )
    is_plain = np.zeros(len(lines.starts), dtype=bool)
    is_plain[whole] = is_plain_of_whole
    others = np.flatnonzero(~is_plain & ~lines.is_torn)
    batch, rejects = _parse_lines(chunk, lines, others, layout)
    for line in np.flatnonzero(lines.is_torn).tolist():
        text = chunk.data[lines.starts[line] : lines.ends[line]]
        rejects.append(Reject(int(lines.offsets[line]), TORN, text))
    rejects.sort(key=lambda one: one.offset)
    loaded = ~np.isin(lines.offsets[others], [one.offset for one in rejects])
    return Parsed(
        batches=_in_file_order(plain, batch),
        rejects=rejects,
        lines=lines,
        plain=np.flatnonzero(is_plain),
        others=others[loaded],
        plain_sites=sites,
    )


@dataclass(frozen=True)
class Lines:
    """The lines of a chunk that are records and in the selection.

    Args:
        starts, ends: positions in the chunk, without line ends.
        offsets: record offsets.
        is_torn: whether damaged text took a part of the line away.
        blanks: record offsets of empty lines after the header, which are no records.
        n_last: how many of them come after the last line that is not empty.
    """

    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    is_torn: npt.NDArray[np.bool_]
    blanks: npt.NDArray[np.int64]
    n_last: int


def chunk_lines(chunk: Chunk, layout: Layout) -> Lines:
    """The lines of a chunk after the header that are in the selection; a line that can't be placed is."""
    starts, ends = chunk.lines()
    offsets = chunk.offsets(starts)
    is_torn = np.zeros(len(starts), dtype=bool)
    is_torn[:1] |= chunk.is_torn_start
    is_torn[-1:] |= chunk.is_torn_end
    is_body = (offsets > layout.offset) | is_torn
    is_empty = is_body & (starts == ends)
    last = int(np.flatnonzero(~is_empty).max(initial=-1))
    keep = is_body & ~is_empty
    if not layout.selection.is_everything:
        for line in np.flatnonzero(keep & ~is_torn).tolist():
            fields = chunk.data[starts[line] : ends[line]].split(b"\t", 8)[:8]
            keep[line] = takes_site([field.decode("utf-8", errors="replace") for field in fields], layout)
    return Lines(
        starts=starts[keep],
        ends=ends[keep],
        offsets=offsets[keep],
        is_torn=is_torn[keep],
        blanks=offsets[is_empty],
        n_last=len(starts) - 1 - last,
    )


def _parse_lines(
    chunk: Chunk, lines: Lines, which: npt.NDArray[np.intp], layout: Layout
) -> tuple[pa.RecordBatch | None, list[Reject]]:
    """Parse some lines of a chunk one by one."""
    if not len(which):
        return None, []
    rejects: list[Reject] = []
    drafts: list[_Draft] = []
    for begin, end, offset in zip(
        lines.starts[which].tolist(), lines.ends[which].tolist(), lines.offsets[which].tolist(), strict=True
    ):
        if end - begin > LONGEST_LINE:
            reason = f"The line is longer than {LONGEST_LINE:,} bytes"
            rejects.append(Reject(offset, reason, chunk.data[begin:end]))
            continue
        line = chunk.data[begin:end]
        try:
            drafts.append(_read_line(line, offset, (begin, end), layout))
        except _BadLineError as problem:
            rejects.append(Reject(offset, str(problem), line))

    pairs = _read_pairs([draft for draft in drafts if _has_pairs(draft, layout)], layout)
    rows = VariantRows(layout)
    for draft in drafts:
        try:
            genotypes, formats = pairs.get(draft.offset) or _read_samples(draft, layout)
            rows.add(draft.record, genotypes, formats)
        except _BadLineError as problem:
            rejects.append(Reject(draft.offset, str(problem), chunk.data[slice(*draft.line)]))
    return (rows.to_batch() if len(rows) else None), rejects


def _in_file_order(plain: pa.RecordBatch | None, others: pa.RecordBatch | None) -> list[pa.RecordBatch]:
    """The rows of both, each in file order already."""
    if plain is None or others is None:
        return [batch for batch in (plain, others) if batch is not None]
    order = np.argsort(
        np.concatenate([np.array(plain["record_id"]), np.array(others["record_id"])]), kind="stable"
    )
    is_plain = order < len(plain)
    cuts = np.flatnonzero((np.diff(order) != 1) | np.diff(is_plain)) + 1
    slices = []
    for begin, end in zip([0, *cuts], [*cuts, len(order)], strict=True):
        first = int(order[begin])
        batch, first = (plain, first) if first < len(plain) else (others, first - len(plain))
        slices.append(batch.slice(first, int(end - begin)))
    # Whole stretches are copied; to take row by row would cost more than to parse them.
    batches: list[pa.RecordBatch] = pa.Table.from_batches(slices).combine_chunks().to_batches()
    return batches


def _read_line(line: bytes, offset: int, place: tuple[int, int], layout: Layout) -> _Draft:
    """The site columns of a line."""
    fields = line.split(b"\t", 9)
    site = [field.decode("utf-8", errors="replace") for field in fields[:8]]
    if not line.strip():
        raise _BadLineError("The line is blank, but not empty")
    if b"\0" in line:
        raise _BadLineError(f"The line has a NUL byte at byte {line.index(0)}")
    if not line.isascii():
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as problem:
            raise _BadLineError(f"The line is no UTF-8 at byte {problem.start}") from None
    if len(fields) != min(layout.n_columns, 10):
        raise _wrong_columns(line.count(b"\t") + 1, layout)
    record = _read_site(site, offset, layout)
    if layout.n_samples == 0:
        return _Draft(offset, place, record)
    if not fields[8]:
        raise _BadLineError("FORMAT is empty")
    return _Draft(offset, place, record, fields[8].decode(), fields[9])


def takes_site(site: Sequence[str], layout: Layout) -> bool:
    """Whether the line whose first columns these are is in the selection; a line that can't be placed is."""
    if len(site) < 2:
        return True
    pos = parse_whole_number(site[1])
    start = end = None
    if pos is not None and len(site) == 8:
        start = pos - 1
        end = find_end(site[7], start, site[3])
    return layout.selection.takes(layout.names.get(site[0], site[0]), start, end)


def _read_site(site: list[str], record_id: int, layout: Layout) -> Record:
    contig, pos_text, vcf_id, ref, alt, qual_text, filters, info = site
    pos = parse_whole_number(pos_text)
    if pos is None:
        raise _BadLineError(f"POS '{pos_text[:40]}' is no number")
    for name, value in (("CHROM", contig), ("REF", ref), ("ALT", alt)):
        if not value:
            raise _BadLineError(f"{name} is empty")
    alts = () if alt == "." else tuple(alt.split(","))
    if "" in alts:
        raise _BadLineError("An ALT allele is empty")
    qual = None
    if qual_text != ".":
        if _NUMBER.fullmatch(qual_text) is None:
            raise _BadLineError(f"QUAL '{qual_text[:40]}' is no number")
        qual = float(qual_text)
    return Record(
        record_id=record_id,
        source_contig=contig,
        contig=layout.names.get(contig, contig),
        start=pos - 1,
        end=find_end(info, pos - 1, ref),
        vcf_id=None if vcf_id in (".", "") else vcf_id,
        ref=ref,
        alts=alts,
        qual=qual,
        filters=None if filters in (".", "") else filters.split(";"),
        info=parse_info(info),
    )


def _has_pairs(draft: _Draft, layout: Layout) -> bool:
    return draft.keys == "GT" and len(draft.samples) == 4 * layout.n_samples - 1 and layout.samples is None


def _read_pairs(drafts: list[_Draft], layout: Layout) -> dict[int, tuple[Genotypes, None]]:
    """Genotypes by offset of the lines that have three bytes a genotype indeed."""
    n_alts = np.array([len(draft.record.alts) for draft in drafts], dtype=np.int64)
    found = Genotypes.of_pairs([draft.samples for draft in drafts], layout.n_samples, n_alts)
    return {draft.offset: (one, None) for draft, one in zip(drafts, found, strict=True) if one is not None}


def _read_samples(draft: _Draft, layout: Layout) -> tuple[Genotypes | None, Formats | None]:
    """Genotypes and other FORMAT fields of a line of any form."""
    if layout.n_samples == 0:
        return None, None
    samples = draft.samples.decode().split("\t")
    if len(samples) != layout.n_samples:
        raise _wrong_columns(9 + len(samples), layout)
    fields = _read_formats(draft.keys, samples)
    texts = fields.pop("GT", None)
    chosen = {key: list(layout.chosen(values)) for key, values in fields.items()} or None
    if texts is None:
        return None, chosen
    n_alts = len(draft.record.alts)
    gts = ["." if text is None else text for text in texts]
    problem = explain_genotypes(gts, n_alts)
    if problem is not None:
        raise _BadLineError(problem)
    return Genotypes.of_texts(layout.chosen(gts), n_alts), chosen


def _read_formats(format_text: str, samples: Sequence[str]) -> Formats:
    """FORMAT fields by key, a value a sample, None for '.' and for what is left out at a sample's end."""
    if format_text == ".":
        return {}
    keys = format_text.split(":")
    values = [sample.split(":") for sample in samples]
    longest = max(len(one) for one in values)
    if longest > len(keys):
        raise _BadLineError(f"A sample has {longest} values for the {len(keys)} keys of FORMAT")
    columns = list(zip_longest(*values))
    columns += [(None,) * len(samples)] * (len(keys) - len(columns))
    fields: Formats = {}
    for key, column in zip(keys, columns, strict=True):
        if key == "GT" and key not in fields:
            fields[key] = list(column)
        elif key and key not in fields:
            fields[key] = [None if value in (".", "") else value for value in column]
    return fields


def _wrong_columns(n_columns: int, layout: Layout) -> _BadLineError:
    amount = "few" if n_columns < layout.n_columns else "many"
    return _BadLineError(f"Too {amount} columns: {n_columns} instead of {layout.n_columns}")
