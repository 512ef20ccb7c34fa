"""Tasks: every line of a split is loaded once or quarantined, whatever the file has been through, in little memory."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kgp.errors import ContractError, FormatError
from kgp.genome import GRCH37
from kgp.io import direct
from kgp.io.direct import TableWriter
from kgp.io.splits import plan_splits, read_chunks
from kgp.io.vcf.builtin import SplitResult, SplitTask
from kgp.io.vcf.conformance import LineChecker, Oddity
from kgp.io.vcf.findings import Survey, put_together
from kgp.io.vcf.header import VcfHeader, read_header
from kgp.io.vcf.parser import parse_chunk
from kgp.io.vcf.rows import Layout
from kgp.io.vcf.selection import Selection
from kgp.io.vcf.watch import LineWatch
from kgp.tables import VARIANTS

END_MARKER = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
SAMPLES = ["A", "B", "C"]
HEADER = (
    "##fileformat=VCFv4.2\n"
    '##INFO=<ID=AC,Number=A,Type=Integer,Description="">\n'
    '##INFO=<ID=DB,Number=0,Type=Flag,Description="">\n'
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t" + "\t".join(SAMPLES) + "\n"
).encode()
TORN = "A part of the line is lost in damaged text beside it"


# ------------------------------------------------------------------------------------------------ files, by hand


@dataclass(frozen=True)
class Bgzf:
    """A BGZF file made by hand.

    Args:
        blocks: as they are stored, without the end marker.
        texts: what they hold.
    """

    blocks: list[bytes]
    texts: list[bytes]

    @classmethod
    def of(cls, texts: Sequence[bytes]) -> Bgzf:
        return cls([bgzf_block(text) for text in texts], list(texts))

    @property
    def stored(self) -> bytes:
        return b"".join(self.blocks) + END_MARKER

    def text_begins(self) -> list[int]:
        """Where each block's text begins, and the end."""
        return [0, *np.cumsum([len(text) for text in self.texts]).tolist()]

    def begins(self) -> list[int]:
        """Where each block begins, and the end marker."""
        return [0, *np.cumsum([len(block) for block in self.blocks]).tolist()]


def bgzf_block(text: bytes) -> bytes:
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    body = deflate.compress(text) + deflate.flush()
    head = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0" + (len(body) + 25).to_bytes(2, "little")
    return head + body + zlib.crc32(text).to_bytes(4, "little") + len(text).to_bytes(4, "little")


def cut_text(text: bytes, sizes: Sequence[int]) -> list[bytes]:
    """The header in a block of its own, then blocks of these sizes in turn."""
    texts, at = [text[: len(HEADER)]], len(HEADER)
    while at < len(text):
        size = sizes[len(texts) % len(sizes)]
        texts.append(text[at : at + size])
        at += size
    return texts


# ------------------------------------------------------------------------------------------------ a load


@dataclass(frozen=True)
class Load:
    """What the tasks of a file say and have written.

    Args:
        survey: of all splits.
        rows: of `variants`, in file order: record_id, start, vcf_id.
        quarantine: rows of that table, in file order.
        results: a split each.
    """

    survey: Survey
    rows: list[dict[str, Any]]
    quarantine: list[dict[str, Any]]
    results: list[SplitResult]

    @property
    def n_loaded(self) -> int:
        return len({row["record_id"] for row in self.rows})

    def assert_nothing_lost(self) -> None:
        """In = out + quarantined, by the lines of the text and by those that were selected."""
        assert self.survey.n_records == self.n_loaded + len(self.quarantine)
        assert self.survey.n_records == sum(result.findings.n_selected for result in self.results)
        assert self.survey.n_rejected == len(self.quarantine)
        assert sum(self.survey.contigs.values()) == self.n_loaded


@contextmanager
def file_of(stored: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "a.vcf.gz"
        path.write_bytes(stored)
        yield path


def task_for(header: VcfHeader, path: Path, root: Path, **options: Any) -> SplitTask:
    return SplitTask(
        layout=Layout.make(header, GRCH37, Selection(), "c", "l"),
        checker=LineChecker.of(header),
        path=str(path),
        roots=(str(root / "variants"), str(root / "quarantine")),
        **options,
    )


def load(path: Path, n_splits: int, header: VcfHeader | None = None) -> Load:
    """Load a file split by split, as tasks do."""
    header = read_header(str(path)) if header is None else header
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        task = task_for(header, path, root)
        results = [task(split) for split in plan_splits(str(path), n=n_splits)]
        rows = [
            row
            for result in results
            for action in result.written[0]
            for row in pq.ParquetFile(root / "variants" / action.path)
            .read(columns=["record_id", "start", "vcf_id"])
            .to_pylist()
        ]
        quarantine = [
            row
            for result in results
            for action in result.written[1]
            for row in pq.ParquetFile(root / "quarantine" / action.path).read().to_pylist()
        ]
    survey = put_together(
        [result.findings for result in results], header, GRCH37, is_everything=True, has_end_marker=True
    )
    # A file a contig: file order is that of the record ids.
    rows.sort(key=lambda row: row["record_id"])
    return Load(survey, rows, quarantine, results)


# ------------------------------------------------------------------------------------------------ lines

GTS = ["0|0\t0|1\t1|1", "0/1\t0/0\t1/1", "0|1\t.|.\t1|0", "0\t1\t0|1"]


def good_line(number: int, kind: int = 0, pos: int | None = None) -> bytes:
    """A line that can be loaded; its ID is its own."""
    alt = "C,G" if kind % 7 == 6 else "C"
    info = ["AC=1", "AC=1;DB", ".", "XX=1;AC=2", "AC=x"][kind % 5]
    pos = 1000 + 3 * number if pos is None else pos
    return f"22\t{pos}\tline{number}\tA\t{alt}\t100\tPASS\t{info}\tGT\t{GTS[kind % 4]}".encode()


def bad_line(number: int, kind: int = 0) -> bytes:
    """A line that can't be, and that no other line is like."""
    end = b"GT\t0|0\t0|1\t1|1"
    return [
        b"22\t%dx\tbad\tA\tC\t.\t.\t.\t" % number + end,
        b"22\t%d\tbad\tA\tC\t.\t.\t.\tGT\t0|0\t0|1" % number,
        b"22\t%d\tbad\tA\tC\t.\t.\t.\tGT\t0|0\t0|1\t0|2" % number,
        b"22\t%d\tb\0d\tA\tC\t.\t.\t.\t" % number + end,
        b"22\t%d\tb\xffd\tA\tC\t.\t.\t.\t" % number + end,
        b"   %d" % number,
        b"#comment %d" % number,
        b"%d" % number + b"x" * 3000,
    ][kind % 8]


BODIES = st.lists(
    st.tuples(st.sampled_from(["good", "good", "good", "good", "bad", "blank"]), st.integers(0, 419)),
    max_size=40,
)
SIZES = st.lists(st.integers(1, 300) | st.just(60_000), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(
    body=BODIES,
    end=st.sampled_from([b"\n", b"\n", b"\r\n"]),
    has_last_end=st.booleans(),
    form=st.sampled_from(["bgzf", "gzip", "text"]),
    sizes=SIZES,
    n_splits=st.tuples(st.integers(1, 12), st.integers(1, 12)),
)
def test_lines_are_loaded_or_quarantined_however_the_file_is_cut(
    body: list[tuple[str, int]],
    end: bytes,
    has_last_end: bool,
    form: str,
    sizes: list[int],
    n_splits: tuple[int, int],
) -> None:
    lines = [
        {"good": good_line, "bad": bad_line}[what](number, kind) if what != "blank" else b""
        for number, (what, kind) in enumerate(body)
    ]
    text = HEADER + end.join(lines) + (end if has_last_end and lines else b"")
    bgzf = Bgzf.of(cut_text(text, sizes))
    stored = {"bgzf": bgzf.stored, "gzip": gzip.compress(text, mtime=0), "text": text}[form]

    expected = [(number, *one) for number, one in enumerate(body) if one[0] != "blank"]
    places = np.cumsum([len(HEADER), *(len(line) + len(end) for line in lines)])[:-1]
    if form == "bgzf":
        block = np.searchsorted(bgzf.text_begins(), places, side="right") - 1
        places = (np.array(bgzf.begins())[block] << 16) + places - np.array(bgzf.text_begins())[block]
    with file_of(stored) as path:
        first, second = (load(path, n) for n in n_splits)
    for one in (first, second):
        one.assert_nothing_lost()
        assert one.survey.n_records == len(expected)
        good = [(number, kind) for number, what, kind in expected if what == "good"]
        assert [(row["vcf_id"], row["record_id"]) for row in one.rows] == [
            (f"line{number}", places[number]) for number, kind in good for _ in range(1 + (kind % 7 == 6))
        ]
        assert [(row["line"], row["offset"]) for row in one.quarantine] == [
            (lines[number], places[number]) for number, what, _ in expected if what == "bad"
        ]
        assert one.survey.is_sorted
    assert first.survey.warnings == second.survey.warnings
    last = max((number for number, _, _ in expected), default=-1)
    warnings = {
        Oddity.UNDECLARED_INFO: sum(kind % 5 == 3 for _, kind in good),
        Oddity.INFO_TYPE: sum(kind % 5 == 4 for _, kind in good),
        Oddity.INFO_NUMBER: sum(kind % 5 != 2 and kind % 7 == 6 for _, kind in good),
        Oddity.BLANK_LINE: sum(what == "blank" for what, _ in body[: last + 1]),
    }
    assert first.survey.warnings == {kind.value: n for kind, n in warnings.items() if n}


# ------------------------------------------------------------------------------------------------ damage


def make_file(n_lines: int, sizes: Sequence[int], seed: int) -> tuple[Bgzf, list[bytes]]:
    """A file of good lines, some of them long."""
    chance = np.random.default_rng(seed)
    lines = []
    for number in range(n_lines):
        line = good_line(number, int(chance.integers(420)))
        if chance.random() < 0.05:
            line = line.replace(b"\tPASS\t", b"\t%s\t" % (b"F" * int(chance.integers(500, 3000))))
        lines.append(line)
    return Bgzf.of(cut_text(HEADER + b"\n".join(lines) + b"\n", sizes)), lines


@dataclass(frozen=True)
class Harm:
    """A file that was damaged.

    Args:
        stored: what is left of it.
        gone: blocks that were touched, or are not there.
        seams: numbers of blocks before which something was put that does not belong there.
    """

    stored: bytes
    gone: set[int]
    seams: set[int]


def harm(draw: st.DrawFn, bgzf: Bgzf) -> Harm:
    """Do one thing to the file, behind its header."""
    begins = [*bgzf.begins(), len(bgzf.stored)]
    stored = bgzf.stored
    at = draw(st.integers(begins[1], len(stored) - 1))
    block = int(np.searchsorted(begins, at, side="right")) - 1
    kind = draw(
        st.sampled_from(["flip", "flip in a header", "cut off", "insert", "insert within", "zeros", "lose"])
    )
    if kind in ("flip", "flip in a header"):
        if kind != "flip":
            at = begins[block] + draw(st.integers(0, 17))
        new = bytes([stored[at] ^ draw(st.integers(1, 255))])
        return Harm(stored[:at] + new + stored[at + 1 :], {block}, set())
    if kind == "cut off":
        return Harm(stored[:at], set(range(block, len(begins))), set())
    garbage = draw(
        st.binary(min_size=1, max_size=300)
        | st.sampled_from(
            [b"\0" * 70_000, stored[begins[1] : begins[1] + 20], b"\x1f\x8b\x08\x04" * 9, HEADER]
        )
    )
    if kind == "insert":
        at = begins[block]
        return Harm(stored[:at] + garbage + stored[at:], set(), {block})
    if kind == "insert within":
        return Harm(stored[:at] + garbage + stored[at:], {block}, set())
    end = min(len(stored), at + draw(st.integers(1, 400)))
    touched = {i for i in range(len(begins) - 1) if begins[i] < end and at < begins[i + 1]}
    if kind == "zeros":
        return Harm(stored[:at] + b"\0" * (end - at) + stored[end:], touched, set())
    return Harm(stored[:at] + stored[end:], touched, set())


def lines_that_must_survive(bgzf: Bgzf, lines: Sequence[bytes], done: Harm) -> set[int]:
    """Lines that lie in intact blocks with nothing between them, and whose first byte is known to be one."""
    begins = bgzf.text_begins()
    survivors = set()
    at = len(HEADER)
    for number, line in enumerate(lines):
        end = at + len(line) + 1
        blocks = {i for i in range(len(begins) - 1) if begins[i] < end and at < begins[i + 1]}
        # Where damage ends, what follows may be the rest of a line.
        before = {i - 1 for i in blocks if begins[i] == at}
        seams = {i for i in done.seams if i < len(begins) and at <= begins[i] < end}
        if not (blocks | before) & done.gone and not seams:
            survivors.add(number)
        at = end
    return survivors


@st.composite
def damaged_files(draw: st.DrawFn) -> tuple[Bgzf, list[bytes], Harm]:
    sizes = draw(st.lists(st.integers(20, 900), min_size=1, max_size=4))
    bgzf, lines = make_file(draw(st.integers(1, 60)), sizes, draw(st.integers(0, 99)))
    return bgzf, lines, harm(draw, bgzf)


@settings(max_examples=100, deadline=None)
@given(case=damaged_files(), n_splits=st.integers(1, 12))
def test_damage_takes_only_the_lines_that_it_hits(
    case: tuple[Bgzf, list[bytes], Harm], n_splits: int
) -> None:
    bgzf, lines, done = case
    with file_of(bgzf.stored) as whole:
        header = read_header(str(whole))
    with file_of(done.stored) as path:
        found = load(path, n_splits, header)
    found.assert_nothing_lost()
    loaded = list(dict.fromkeys((row["record_id"], row["vcf_id"]) for row in found.rows))
    numbers = [int(name.removeprefix("line")) for _, name in loaded]
    assert all(name is not None for _, name in loaded)
    assert len(set(numbers)) == len(numbers)
    assert set(numbers) <= set(range(len(lines)))
    assert_rows_are_of_lines(found, lines)
    assert set(numbers) >= lines_that_must_survive(bgzf, lines, done)
    # What is quarantined beside the damage are pieces of the file's lines.
    for row in found.quarantine:
        if row["reason"] == TORN:
            assert any(row["line"] in line for line in lines)


def assert_rows_are_of_lines(found: Load, lines: Sequence[bytes]) -> None:
    """Each row is that of a line of the undamaged file, at its place in full."""
    starts = {line.split(b"\t")[2].decode(): int(line.split(b"\t")[1]) - 1 for line in lines}
    n_alts = {line.split(b"\t")[2].decode(): 1 + line.split(b"\t")[4].count(b",") for line in lines}
    assert all(row["start"] == starts[row["vcf_id"]] for row in found.rows)
    assert Counter(row["vcf_id"] for row in found.rows) == {
        row["vcf_id"]: n_alts[row["vcf_id"]] for row in found.rows
    }


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 99),
    sizes=st.lists(st.integers(20, 900), min_size=1, max_size=3),
    flips=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=2, max_size=12
    ),
    n_splits=st.integers(1, 12),
)
def test_a_file_damaged_in_many_places(
    seed: int, sizes: list[int], flips: list[tuple[float, int]], n_splits: int
) -> None:
    bgzf, lines = make_file(40, sizes, seed)
    stored = bytearray(bgzf.stored)
    first = bgzf.begins()[1]
    for share, change in flips:
        stored[first + int(share * (len(stored) - first))] ^= change
    with file_of(bgzf.stored) as whole:
        header = read_header(str(whole))
    with file_of(bytes(stored)) as path:
        found = load(path, n_splits, header)
    found.assert_nothing_lost()
    assert_rows_are_of_lines(found, lines)


@pytest.mark.parametrize("n_splits", [1, 2, 5, 30])
@pytest.mark.parametrize("hit", [3, 5, 8])
def test_lines_longer_than_many_blocks_beside_damage(hit: int, n_splits: int) -> None:
    """A line over several blocks, and splits, is one line, whole or torn."""
    lines = [good_line(0), good_line(1).replace(b"PASS", b"F" * 4000), good_line(2), good_line(3)]
    bgzf = Bgzf.of(cut_text(HEADER + b"\n".join(lines) + b"\n", [400]))
    stored = bytearray(bgzf.stored)
    stored[bgzf.begins()[hit] + 30] ^= 255
    with file_of(bytes(stored)) as path:
        found = load(path, n_splits)
    found.assert_nothing_lost()
    assert [row["vcf_id"] for row in found.rows] == ["line0", "line2", "line3"]
    reasons = [row["reason"].split(" (")[0] for row in found.quarantine]
    assert reasons == [TORN, "The BGZF block is broken", TORN]
    head, raw, tail = (row["line"] for row in found.quarantine)
    assert raw == bytes(stored)[bgzf.begins()[hit] : bgzf.begins()[hit + 1]]
    assert lines[1] == head + bgzf.texts[hit] + tail


@pytest.mark.parametrize("n_splits", [4, 7, 40])
def test_a_line_that_goes_through_whole_splits_into_damage(n_splits: int) -> None:
    """Its beginning, its middle and its end lie in different splits; it is one torn line all the same."""
    text = bytes(np.random.default_rng(1).integers(48, 123, 600_000, dtype=np.uint8))
    lines = [good_line(0), good_line(1).replace(b"PASS", text), good_line(2), good_line(3)]
    bgzf = Bgzf.of(cut_text(HEADER + b"\n".join(lines) + b"\n", [20_000]))
    stored = bytearray(bgzf.stored)
    hit = 20  # whoever looks for blocks wants to see 64 KiB of intact ones
    stored[bgzf.begins()[hit] + 30] ^= 255
    with file_of(bytes(stored)) as path:
        splits = plan_splits(str(path), n=n_splits)
        assert sum(split.start < bgzf.begins()[hit] for split in splits) > 1
        found = load(path, n_splits)
    found.assert_nothing_lost()
    assert [row["vcf_id"] for row in found.rows] == ["line0", "line2", "line3"]
    head, _, tail = (row["line"] for row in found.quarantine)
    assert lines[1] == head + bgzf.texts[hit] + tail


@pytest.mark.parametrize("n_splits", [1, 2, 7])
@pytest.mark.parametrize("n_gone", [1, 2, 3])
def test_a_file_cut_off_between_two_blocks_within_the_last_genotype(n_gone: int, n_splits: int) -> None:
    """`0|1` without its last two bytes is a genotype, too; only the end marker would say that the file ends here."""
    lines = [good_line(number) for number in range(5)]
    text = HEADER + b"\n".join(lines) + b"\n"
    kept = text[: -1 - n_gone]
    bgzf = Bgzf.of(cut_text(kept, [len(lines[0]) // 2]))
    with file_of(b"".join(bgzf.blocks)) as path:
        found = load(path, n_splits)
    found.assert_nothing_lost()
    assert [row["vcf_id"] for row in found.rows] == [f"line{number}" for number in range(4)]
    assert [row["line"] for row in found.quarantine] == [lines[4][:-n_gone], b""]
    with file_of(bgzf.stored) as path:  # with the end marker, the file is whole, and the line is what it says
        found = load(path, n_splits)
    found.assert_nothing_lost()
    assert len(found.rows) == 4 + (n_gone == 2)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 99), share=st.floats(0, 1, exclude_max=True), change=st.integers(0, 255))
@example(seed=0, share=0.962890625, change=178)  # 'line27' to 'line30' come twice
def test_gzip_cut_off_or_broken(seed: int, share: float, change: int) -> None:
    bgzf, lines = make_file(40, [500], seed)
    text = b"".join(bgzf.texts)
    stored = gzip.compress(HEADER, mtime=0) + gzip.compress(text[len(HEADER) :], mtime=0)
    first = len(gzip.compress(HEADER, mtime=0))
    at = first + int(share * (len(stored) - first))
    with file_of(stored) as whole:
        header = read_header(str(whole))
    if change:  # the length and the checksum stand at the end: nothing before is sure
        with file_of(stored[:at] + bytes([stored[at] ^ change]) + stored[at + 1 :]) as path:
            found = load(path, 3, header)
        found.assert_nothing_lost()
        # A broken byte may have repeated text that was there before: that the stream is broken is said.
        if not any("gzip stream" in row["reason"] for row in found.quarantine):
            assert not found.quarantine
            assert_rows_are_of_lines(found, lines)
            assert len({row["vcf_id"] for row in found.rows}) == len(lines)
        return
    with file_of(stored[:at]) as path:
        found = load(path, 3, header)
    found.assert_nothing_lost()
    inflated = zlib.decompressobj(31).decompress(stored[first:at])
    whole_lines, _, rest = inflated.rpartition(b"\n")
    expected = whole_lines.split(b"\n") if whole_lines else []
    assert list(dict.fromkeys(row["vcf_id"] for row in found.rows)) == [
        line.split(b"\t")[2].decode() for line in expected
    ]
    quarantined = [(row["reason"].split(" (")[0], row["line"]) for row in found.quarantine]
    cut_off = [("The gzip stream is cut off", b"")] if at > first else []
    assert quarantined == ([(TORN, rest)] if rest else []) + cut_off


def test_a_long_gzip_stream_with_a_wrong_checksum_is_refused() -> None:
    """The checksum is behind everything: rows of what was inflated before it may be wrong, and none is loaded."""
    text = HEADER + b"".join(good_line(n) + b"\n" for n in range(120_000))
    assert len(text) > 4 << 20
    stored = bytearray(gzip.compress(text, mtime=0))
    with file_of(bytes(stored)) as path:
        header = read_header(str(path))
        assert len(load(path, 1, header).rows) == 120_000
    stored[-8] ^= 1
    with (
        file_of(bytes(stored)) as path,
        pytest.raises(FormatError, match=r"byte [\d,]+: The gzip stream is broken"),
    ):
        load(path, 1, header)


def test_a_nul_byte_and_other_bytes_that_are_no_text() -> None:
    lines = [good_line(0), bad_line(1, 3), bad_line(2, 4), good_line(3)]
    with file_of(HEADER + b"\n".join(lines) + b"\n") as path:
        found = load(path, 2)
    found.assert_nothing_lost()
    assert [(row["line"], row["reason"]) for row in found.quarantine] == [
        (lines[1], "The line has a NUL byte at byte 6"),
        (lines[2], "The line is no UTF-8 at byte 6"),
    ]


# ------------------------------------------------------------------------------------------------ strict


@pytest.mark.parametrize("form", ["bgzf", "text", "damaged"])
def test_strict_stops_at_the_first(form: str, tmp_path: Path) -> None:
    lines = (
        [good_line(n) for n in range(5)] + [bad_line(5), bad_line(6)] + [good_line(n) for n in range(7, 9)]
    )
    long = [b"22\t%d\tx\tA\tC\t.\t.\t%s\tGT\t0|0\t0|0\t0|0" % (2000 + n, b"A" * 200_000) for n in range(100)]
    text = HEADER + b"\n".join([*lines, *long]) + b"\n"
    bgzf = Bgzf.of(cut_text(text, [50_000, 150]))
    stored = bytearray(text if form == "text" else bgzf.stored)
    if form == "damaged":
        stored[bgzf.begins()[2] + 30] ^= 255
    path = tmp_path / "a.vcf"
    path.write_bytes(bytes(stored))
    result = task_for(read_header(str(path)), path, tmp_path, is_strict=True)(plan_splits(str(path), n=1)[0])
    assert result.first_reject is not None
    assert result.first_reject.reason.startswith(TORN if form == "damaged" else "POS '5x' is no number")
    assert result.written == [[], []]
    assert not list(tmp_path.rglob("*.parquet"))
    assert result.findings.n_selected < 100  # what comes later was not read


# ------------------------------------------------------------------------------------------------ what is odd


def assert_watched(path: Path, chunk_bytes: int) -> Counter[str]:
    """What a watch finds in each line that was loaded, held to a look at every line; gives how often."""
    header = read_header(str(path))
    layout, checker = Layout.make(header, GRCH37, Selection(), "c", "l"), LineChecker.of(header)
    watch = LineWatch(checker)
    total: Counter[str] = Counter()
    for split in plan_splits(str(path), n=2):
        for chunk in read_chunks(split, chunk_bytes=chunk_bytes):
            parsed = parse_chunk(chunk, layout)
            lines = parsed.lines
            found = [*watch.find_in_plain(parsed.plain_sites, lines.offsets[parsed.plain])]
            found += watch.find_in_others(chunk.data, lines, parsed.others)
            rejected = {reject.offset for reject in parsed.rejects}
            expected = [
                (kind.value, offset)
                for begin, end, offset in zip(
                    lines.starts.tolist(), lines.ends.tolist(), lines.offsets.tolist(), strict=True
                )
                if offset not in rejected
                for kind in checker.find(chunk.data[begin:end].decode().split("\t"))
            ]
            assert sorted(found) == sorted(expected)
            total.update(kind for kind, _ in expected)
    return total


def test_a_watch_sees_what_a_look_at_every_line_sees(bundled: Path) -> None:
    assert_watched(bundled / "genotypes.chr22.vcf.gz", 1 << 20)


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [
        "phase3-grch37/10k.chr22.phase3_shapeit2_mvncall_integrated_v5.20130502.genotypes.vcf.gz",
        "phase1-and-others/chr22.vcf.gz",
        "phase1-and-others/structural.vcf",
        "highcov30x-grch38/1kg_2020_chrM.vcf.gz",
        "highcov30x-grch38/chr22.vcf.gz",
        "highcov30x-grch38/imputed_3202.chr21.vcf.gz",
        "highcov30x-grch38/nygc_3202_raw_GT_with_annot.chr21.vcf.gz",
    ],
)
def test_a_watch_sees_the_same_in_releases(name: str, shared_data: Path) -> None:
    assert_watched(shared_data / name, 1 << 20)


@pytest.mark.parametrize("seed", range(3))
def test_a_watch_sees_the_same_in_mutated_lines(seed: int, bundled: Path, tmp_path: Path) -> None:
    """Lines of a release whose first columns are changed here and there: mostly loaded, and often odd."""
    with gzip.open(bundled / "genotypes.chr22.vcf.gz", "rb") as text:
        lines = text.read().split(b"\n")
    chance = np.random.default_rng(seed)
    head = [line for line in lines if line.startswith(b"#")]
    head[-1] = b"\t".join(head[-1].split(b"\t")[:13])
    changes: Sequence[Mapping[int, bytes]] = [
        {7: b"AC=x"}, {7: b"NOPE=1"}, {7: b"AC=1;AC=1"}, {7: b"AF=0.5,0.1"}, {7: b"AF"}, {7: b"9=1"}, {7: b"AC=1;"},
        {6: b"nope"}, {6: b"PASS;q10"}, {6: b"0"}, {5: b"-1"}, {2: b"a b"}, {2: b"a;"}, {3: b"R"}, {4: b"<NOPE>"},
        {4: b"C,G"}, {4: b"X"}, {4: b"A[22:7["}, {8: b"GT:XX"}, {8: b"DP:GT"}, {7: "AA=é".encode()}, {7: b"AA=a b"},
        {7: b"."}, {7: b"END=1"}, {0: b"<ctg>"},
    ]  # fmt: skip
    body = []
    for line in lines[len(head) : len(head) + 900]:
        fields = line.split(b"\t")[:13]
        if chance.random() < (0.1, 0.5, 0.9)[seed]:
            for column, value in changes[chance.integers(len(changes))].items():
                fields[column] = value
            if fields[8] == b"DP:GT":
                fields[9:] = [b"7:0|1"] * 4
        body.append(b"\t".join(fields))
    path = tmp_path / "a.vcf"
    path.write_bytes(b"\n".join([*head, *body]) + b"\n")
    found = assert_watched(path, 20_000)
    assert len(found) >= 10


# ------------------------------------------------------------------------------------------------ memory

MEASURE = """
import sys
from pathlib import Path
from kgp.genome import GRCH37
from kgp.io.splits import plan_splits
from kgp.io.vcf.builtin import SplitTask
from kgp.io.vcf.conformance import LineChecker, Oddity
from kgp.io.vcf.header import read_header
from kgp.io.vcf.rows import Layout
from kgp.io.vcf.selection import Selection
path, root, n = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
header = read_header(path)
task = SplitTask(
    layout=Layout.make(header, GRCH37, Selection(), "c", "l"), checker=LineChecker.of(header), path=path,
    roots=(str(root / "variants"), str(root / "quarantine")),
)
results = [task(split) for split in plan_splits(path, n=n)]
print(sum(r.findings.n_selected for r in results), sum(r.findings.n_rejected for r in results))
# ru_maxrss would begin with what the process took that started this one.
(peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(int(peak) >> 10)
"""


def measure(path: Path, root: Path, n_splits: int) -> tuple[int, int, int]:
    """Lines, rejected lines, and the most MiB that a process took which loaded the file's splits one by one."""
    call = [sys.executable, "-c", MEASURE, str(path), str(root), str(n_splits)]
    lines, rejected, peak = subprocess.run(call, capture_output=True, text=True, check=True).stdout.split()
    return int(lines), int(rejected), int(peak)


@pytest.mark.parametrize("n_splits", [1, 3])
def test_a_line_of_100_megabytes(n_splits: int, tmp_path: Path) -> None:
    # Nothing that compression could make small.
    text = np.random.default_rng(1).integers(48, 123, 100_000_000, dtype=np.uint8).tobytes()
    long = good_line(1).replace(b"PASS", text)
    path = tmp_path / "a.vcf"
    with path.open("wb") as file:
        file.writelines([HEADER, good_line(0), b"\n", long, b"\n", good_line(2), b"\n"])
    n_lines, n_rejected, peak = measure(path, tmp_path, n_splits)
    assert (n_lines, n_rejected) == (3, 1)
    assert peak < 1024
    (kept,) = (tmp_path / "quarantine").rglob("*.parquet")
    (row,) = pq.ParquetFile(kept).read().to_pylist()
    assert row["line"] == long
    assert (row["reason"], row["offset"]) == (
        "The line is longer than 67,108,864 bytes",
        len(HEADER) + len(good_line(0)) + 1,
    )


def test_a_split_of_a_release(root: Path, tmp_path: Path) -> None:
    """2,504 samples: a chunk of 8 MiB and a row group of 10,000 rows are in memory, however many lines there are."""
    path = tmp_path / "a.vcf.gz"
    script = root / "tests" / "benchmarks" / "make_vcf.py"
    subprocess.run([sys.executable, script, "--rows", "5000", "--out", path], check=True, capture_output=True)
    n_lines, n_rejected, peak = measure(path, tmp_path, 1)
    assert (n_lines, n_rejected) == (5000, 0)
    assert peak < 640


def wide_rows(n: int, contigs: Sequence[str], first: int = 0) -> pa.RecordBatch:
    """Rows of `variants` with 64 KiB of INFO each, the contigs in turn."""
    rows = []
    for i in range(first, first + n):
        row = dict.fromkeys(VARIANTS.columns)
        row |= {
            "callset": "c", "load_id": "l", "contig": contigs[i % len(contigs)], "source_contig": "x", "start": i,
            "end": i + 1, "record_id": i, "alt_index": 1, "n_alts": 1, "variant_id": f"v{i}", "ref": "A", "alt": "C",
            "dosages": [0, 1], "info": [("X", chr(97 + i % 26) * (64 << 10))],
        }  # fmt: skip
        rows.append(row)
    return pa.RecordBatch.from_pylist(rows, schema=VARIANTS.arrow_schema)


@pytest.mark.parametrize("contigs", [["22"], ["1", "2", "X"]])
def test_wide_rows_do_not_pile_up(
    contigs: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Row groups end before 10,000 rows where these would take gigabytes; of all files together."""
    monkeypatch.setattr(direct, "PENDING_BYTES", 2 << 20)
    writer = TableWriter(VARIANTS, str(tmp_path))
    before = pa.total_allocated_bytes()
    for first in range(0, 400, 10):
        writer.add(wide_rows(10, contigs, first))
        assert pa.total_allocated_bytes() - before < 8 << 20
    actions = writer.close()
    assert len(actions) == len(contigs)
    assert {
        action.partition_values["contig"]: json.loads(action.stats)["numRecords"] for action in actions
    } == Counter(contigs[i % len(contigs)] for i in range(400))
    whole = pa.concat_tables([pq.ParquetFile(tmp_path / action.path).read() for action in actions])
    assert sorted(whole["record_id"].to_pylist()) == list(range(400))
    assert all(pq.ParquetFile(tmp_path / action.path).num_row_groups > 4 for action in actions)


def test_more_contigs_than_files_may_be_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(direct, "MOST_OPEN", 3)
    writer = TableWriter(VARIANTS, str(tmp_path))
    contigs = [f"HLA-{i}" for i in range(7)]
    most = 0
    for first in range(0, 70, 10):
        writer.add(wide_rows(10, contigs, first))
        writer.add(wide_rows(5, ["22"], 1000 + first))
        most = max(
            most,
            len([one for one in Path("/proc/self/fd").iterdir() if str(tmp_path) in os.path.realpath(one)]),
        )
    assert most <= 3
    actions = writer.close()
    assert len({action.path for action in actions}) == len(actions) > 8
    rows = [
        (action.partition_values["contig"], record_id)
        for action in actions
        for record_id in pq.ParquetFile(tmp_path / action.path).read()["record_id"].to_pylist()
    ]
    expected = [(contigs[i % 7], i) for i in range(70)]
    expected += [("22", 1000 + first + i) for first in range(0, 70, 10) for i in range(5)]
    assert sorted(rows) == sorted(expected)


def test_what_was_written_is_removed_when_a_later_row_breaks_a_rule(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Files that are finished already, and files that are open."""
    monkeypatch.setattr(direct, "MOST_OPEN", 2)
    writer = TableWriter(VARIANTS, str(tmp_path))
    writer.add(wide_rows(6, ["1", "2", "3", "4"]))
    bad = wide_rows(1, ["5"]).to_pylist()[0] | {"end": -5}
    writer.add(pa.RecordBatch.from_pylist([bad], schema=VARIANTS.arrow_schema))
    with pytest.raises(ContractError, match="place"):
        writer.close()
    assert list(tmp_path.rglob("*.parquet")) == []
