"""Whole lines of a VCF file → Arrow batches in the shape of `variants`, and the lines that can't be loaded.

Most lines of the 1000 Genomes releases have FORMAT ``GT`` and three bytes a genotype: all of a chunk's
become one numpy matrix. Every other line goes through Python, and so does a line of that matrix that turns
out to be malformed, to say why. No line is dropped and none raises: it becomes rows, or a `Reject` with its
reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import pyarrow as pa

from kgp.io.splits import Chunk
from kgp.io.vcf.rows import Formats, Genotypes, Layout, Record, VariantRows
from kgp.transforms.alleles import find_end, parse_info, parse_whole_number
from kgp.transforms.calls import explain_genotypes

REJECTS_SCHEMA = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("line", pa.binary(), nullable=False),
    ]
)

_NUMBER = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?:inf(?:inity)?|nan)", re.I
)


@dataclass(frozen=True)
class Reject:
    """A line that can't be loaded: record offset, reason, and the line without its line end."""

    offset: int
    reason: str
    line: bytes


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


def parse_chunk(chunk: Chunk, layout: Layout) -> tuple[pa.RecordBatch, list[Reject]]:
    """Parse the lines of a chunk that are in the selection; header lines are passed over.

    Returns:
        Rows in the shape of `variants`, in file order, and the rejected lines, in file order.
    """
    starts, ends = chunk.lines()
    offsets = chunk.offsets(starts)
    is_body = offsets > layout.offset
    has_odd_bytes = not chunk.data.isascii() or b"\0" in chunk.data
    rejects: list[Reject] = []
    drafts: list[_Draft] = []
    for begin, end, offset in zip(
        starts[is_body].tolist(), ends[is_body].tolist(), offsets[is_body].tolist(), strict=True
    ):
        line = chunk.data[begin:end]
        try:
            draft = _read_line(line, offset, (begin, end), layout, has_odd_bytes=has_odd_bytes)
        except _BadLineError as problem:
            rejects.append(Reject(offset, str(problem), line))
        else:
            if draft is not None:
                drafts.append(draft)

    plain = _read_plain([draft for draft in drafts if _is_plain(draft, layout)], layout.n_samples)
    rows = VariantRows(layout)
    for draft in drafts:
        try:
            genotypes, formats = plain.get(draft.offset) or _read_samples(draft, layout)
            rows.add(draft.record, genotypes, formats)
        except _BadLineError as problem:
            rejects.append(Reject(draft.offset, str(problem), chunk.data[slice(*draft.line)]))
    return rows.to_batch(), sorted(rejects, key=lambda one: one.offset)


def _read_line(
    line: bytes, offset: int, place: tuple[int, int], layout: Layout, *, has_odd_bytes: bool
) -> _Draft | None:
    """The site columns of a line, or None where it is not in the selection."""
    fields = line.split(b"\t", 9)
    site = [field.decode("utf-8", errors="replace") for field in fields[:8]]
    if not layout.selection.is_everything and not takes_site(site, layout):
        return None
    if not line.strip():
        raise _BadLineError("The line is blank")
    if has_odd_bytes:
        if b"\0" in line:
            raise _BadLineError(f"The line has a NUL byte at byte {line.index(0)}")
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


def _is_plain(draft: _Draft, layout: Layout) -> bool:
    return draft.keys == "GT" and len(draft.samples) == 4 * layout.n_samples - 1


def _read_plain(drafts: list[_Draft], n_samples: int) -> dict[int, tuple[Genotypes, None]]:
    """Genotypes by offset of the lines that are plain indeed."""
    n_alts = np.array([len(draft.record.alts) for draft in drafts], dtype=np.int64)
    found = Genotypes.of_plain([draft.samples for draft in drafts], n_samples, n_alts)
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
    if texts is None:
        return None, fields or None
    n_alts = len(draft.record.alts)
    gts = ["." if text is None else text for text in texts]
    problem = explain_genotypes(gts, n_alts)
    if problem is not None:
        raise _BadLineError(problem)
    return Genotypes.of_texts(gts, n_alts), fields or None


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


def rejects_to_batch(rejects: Sequence[Reject]) -> pa.RecordBatch:
    """Rejected lines as Arrow: offset, reason, line."""
    return pa.RecordBatch.from_pylist(
        [{"offset": one.offset, "reason": one.reason, "line": one.line} for one in rejects],
        schema=REJECTS_SCHEMA,
    )
