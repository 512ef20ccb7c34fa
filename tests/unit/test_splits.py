"""Splits: every line exactly once, at the right offset, however the file is cut; broken files say where."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgp.errors import FormatError, InputError
from kgp.io.splits import TARGET_BYTES, Split, detect_form, has_end_marker, plan_splits, read_chunks
from kgp.io.tasks import task_bytes

END_MARKER = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


def bgzf_block(text: bytes, level: int = 6, extra: bytes = b"") -> bytes:
    """One BGZF block, made by hand; `extra` is another gzip extra field before BGZF's own."""
    deflate = zlib.compressobj(level, zlib.DEFLATED, -15)
    body = deflate.compress(text) + deflate.flush()
    fields = extra + b"BC\x02\x00"
    size = 12 + len(fields) + 2 + len(body) + 8
    header = b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff" + (len(fields) + 2).to_bytes(2, "little")
    trailer = zlib.crc32(text).to_bytes(4, "little") + len(text).to_bytes(4, "little")
    return header + fields + (size - 1).to_bytes(2, "little") + body + trailer


def bgzf(text: bytes, sizes: list[int], level: int = 6) -> tuple[bytes, list[tuple[int, int]]]:
    """A BGZF file whose blocks hold `sizes` bytes in turn, and (text position, file offset) of each block."""
    blocks: list[bytes] = []
    places: list[tuple[int, int]] = []
    at = offset = turn = 0
    while at < len(text):
        piece = text[at : at + sizes[turn % len(sizes)]]
        block = bgzf_block(piece, level)
        places.append((at, offset))
        blocks.append(block)
        at, offset, turn = at + len(piece), offset + len(block), turn + 1
    return b"".join(blocks) + END_MARKER, places


def read_all(path: Path, n: int, chunk_bytes: int) -> tuple[list[bytes], list[int]]:
    """Lines (without line ends) and their offsets, of all splits in order."""
    lines: list[bytes] = []
    offsets: list[int] = []
    for split in plan_splits(str(path), n=n):
        for chunk in read_chunks(split, chunk_bytes=chunk_bytes):
            starts, ends = chunk.lines()
            lines += [chunk.data[a:b] for a, b in zip(starts, ends, strict=True)]
            offsets += chunk.offsets(starts).tolist()
    return lines, offsets


def _split_lf(text: bytes) -> list[bytes]:
    parts = text.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def without_line_ends(line: bytes) -> bytes:
    return line.replace(b"\n", b"").replace(b"\r", b"")


LINES = st.lists(
    st.one_of(
        st.binary(max_size=30),
        st.sampled_from([b"", b"a" * 700, END_MARKER, b"\x1f\x8b\x08\x04", bgzf_block(b"x\ty"), b"1\t2\t3"]),
    ).map(without_line_ends),
    max_size=60,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=LINES,
    line_end=st.sampled_from([b"\n", b"\r\n"]),
    is_final=st.booleans(),
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=4),
    level=st.sampled_from([0, 6]),
    n=st.integers(1, 40),
    chunk_bytes=st.sampled_from([1, 64, 100_000]),
    form=st.sampled_from(["bgzf", "gzip", "text"]),
)
def test_every_line_is_read_once(tmp_path, lines, line_end, is_final, sizes, level, n, chunk_bytes, form):
    text = line_end.join(lines) + (line_end if is_final and lines else b"")
    if form == "text" and text.startswith(b"\x1f\x8b"):
        text = b"#" + text
    expected = _split_lf(text)
    starts = np.cumsum([0, *(len(line) for line in expected)])[:-1]
    places: list[tuple[int, int]] = []
    if form == "bgzf":
        stored, places = bgzf(text, sizes, level)
    else:
        stored = gzip.compress(text) if form == "gzip" else text
    path = tmp_path / "file"
    path.write_bytes(stored)

    found, offsets = read_all(path, n, chunk_bytes)

    assert found == [line.removesuffix(b"\n").removesuffix(b"\r") for line in expected]
    if form == "bgzf":
        begins = np.array([place for place, _ in places], dtype=np.int64)
        block = np.searchsorted(begins, starts, side="right") - 1
        files = np.array([offset for _, offset in places], dtype=np.int64)
        starts = (files[block] << 16) + (starts - begins[block]) if len(starts) else starts
    assert offsets == starts.tolist()


def test_splits_cover_the_file_at_block_boundaries(tmp_path):
    text = b"".join(b"line %d of a file that is long enough\n" % i for i in range(20_000))
    stored, places = bgzf(text, [5_000, 300, 60_000])
    path = tmp_path / "file.gz"
    path.write_bytes(stored)
    splits = plan_splits(str(path), n=10)
    assert len(splits) == 10
    assert splits[0].start == 0
    assert splits[-1].end is None
    assert [a.end for a in splits[:-1]] == [b.start for b in splits[1:]]
    assert {split.start for split in splits} <= {offset for _, offset in places}
    assert len(plan_splits(str(path), target_bytes=len(stored) // 3 + 1)) == 3


def test_a_whole_file_stored_inside_a_block_is_no_block_boundary(tmp_path):
    """Stored (level 0) blocks hold intact BGZF files; none of their blocks is a boundary of this file."""
    inner, _ = bgzf(b"".join(b"inner %d\n" % i for i in range(3_000)), [500])
    inner = inner.replace(b"\n", b"")  # one line; still mostly intact blocks
    intact = bgzf_block(b"innocent") * 700 + END_MARKER
    text = b"".join(b"%d\t" % i + intact + inner + b"\n" for i in range(12))
    stored, places = bgzf(text, [65_000], level=0)
    path = tmp_path / "file.gz"
    path.write_bytes(stored)
    splits = plan_splits(str(path), n=200)
    assert len(splits) > 5
    assert {split.start for split in splits} <= {offset for _, offset in places} | {
        len(stored) - len(END_MARKER)
    }
    assert read_all(path, 200, 1_000)[0] == text.split(b"\n")[:-1]


def test_a_line_longer_than_every_block_and_split(tmp_path):
    text = b"#header" + b"h" * 300_000 + b"\n" + b"x" * 500_000 + b"\nlast"
    path = tmp_path / "file.gz"
    path.write_bytes(bgzf(text, [1_000])[0])
    assert read_all(path, 50, 1 << 20)[0] == text.split(b"\n")


def test_blocks_with_other_extra_fields(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(bgzf_block(b"a\nb\n", extra=b"XY\x03\x00abc") + END_MARKER)
    assert detect_form(str(path)) == "bgzf"
    assert read_all(path, 1, 100)[0] == [b"a", b"b"]


def test_form_is_told_by_content_not_by_suffix(tmp_path):
    for name, stored, form in (
        ("plain.vcf.gz", b"a\n", "text"),
        ("bgzf.vcf", bgzf(b"a\n", [10])[0], "bgzf"),
        ("gzip.bgz", gzip.compress(b"a\n", mtime=0), "gzip"),
        ("empty.gz", b"", "text"),
    ):
        path = tmp_path / name
        path.write_bytes(stored)
        assert detect_form(str(path)) == form
        assert read_all(path, 3, 100)[0] == ([] if name == "empty.gz" else [b"a"])


def test_gzip_of_several_members_with_padding(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(b"a\nb") + gzip.compress(b"c\n") + b"\0" * 100)
    assert read_all(path, 3, 100)[0] == [b"a", b"bc"]


def test_end_marker(tmp_path):
    path = tmp_path / "file.gz"
    stored, _ = bgzf(b"a\n", [10])
    path.write_bytes(stored)
    assert has_end_marker(str(path))
    path.write_bytes(stored.removesuffix(END_MARKER))
    assert not has_end_marker(str(path))


def broken_files() -> list[tuple[str, bytes, str]]:
    text = b"".join(b"%d\n" % i for i in range(5_000))
    stored, places = bgzf(text, [4_000])
    third = places[2][1]
    flipped = bytearray(stored)
    flipped[third + 40] ^= 0xFF
    wrong_sum = bytearray(stored)
    wrong_sum[places[3][1] - 6] ^= 0xFF
    packed = gzip.compress(np.random.default_rng(1).bytes(100_000))
    return [
        ("broken block", bytes(flipped), f"byte {third:,}: The BGZF block is broken"),
        ("wrong checksum", bytes(wrong_sum), f"byte {third:,}: The BGZF block is broken"),
        ("block cut off", stored[: third + 100], f"byte {third:,}: The BGZF block is cut off"),
        ("header cut off", stored[: third + 7], f"byte {third:,}: The BGZF block is cut off"),
        ("garbage", stored[:third] + b"garbage" * 10, f"byte {third:,}: No BGZF block begins here"),
        ("gzip cut off", packed[:50_000], "byte 50,000: The gzip stream is cut off"),
        ("gzip broken", packed[:20] + b"\xff" * 50_000, "The gzip stream is broken"),
        ("gzip then garbage", gzip.compress(b"a\n", mtime=0) + b"garbage", "The gzip stream is broken"),
    ]


@pytest.mark.parametrize(("stored", "message"), [pytest.param(*x[1:], id=x[0]) for x in broken_files()])
def test_a_broken_file_says_where(tmp_path, stored, message):
    path = tmp_path / "file.gz"
    path.write_bytes(stored)
    with pytest.raises(FormatError) as caught:
        read_all(path, 1, 1_000)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_a_broken_block_does_not_move_the_cuts_into_data(tmp_path):
    text = b"".join(b"%d\n" % i for i in range(50_000))
    stored, places = bgzf(text, [4_000])
    flipped = bytearray(stored)
    for _, offset in places[5:20]:
        flipped[offset + 40] ^= 0xFF
    path = tmp_path / "file.gz"
    path.write_bytes(bytes(flipped))
    assert {s.start for s in plan_splits(str(path), n=50)} <= {offset for _, offset in places} | {
        len(stored) - 28
    }


@settings(max_examples=200, deadline=None)
@given(size=st.integers(1, 1 << 40), n_cores=st.integers(1, 512))
def test_splits_come_in_whole_waves(size, n_cores):
    """No core waits for another one's last split, none is greater than 32 MiB, none too small to be worth it."""
    n_bytes = task_bytes(size, n_cores)
    n_splits = -(-size // n_bytes)
    assert n_bytes <= TARGET_BYTES
    n_waves = -(-n_splits // n_cores)
    assert n_waves == max(1, -(-size // (n_cores * TARGET_BYTES)))
    is_small = size < n_cores * (256 << 10)
    assert is_small or n_splits > n_waves * n_cores * (1 - n_cores / (256 << 10)) - 1


def test_a_missing_file():
    with pytest.raises(InputError, match="no such file"):
        plan_splits("/nowhere/at/all.vcf.gz")
    with pytest.raises(InputError, match="no such file"):
        list(read_chunks(Split("/nowhere/at/all.vcf.gz", "text", 0, None)))
