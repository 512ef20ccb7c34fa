"""Text files cut into splits that tasks read on their own: BGZF, gzip or plain text, told apart by content.

A BGZF file is cut at block boundaries that are found by looking at the bytes; no index is needed. Plain
text is cut anywhere, plain gzip not at all. A split owns the lines that begin after its first byte and up
to the first byte of the next split, and the first split owns line one besides: every line is read exactly
once, however the cuts fall.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from kgp.errors import FormatError
from kgp.io.storage import display_url, file_size, open_binary

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

Form = Literal["bgzf", "gzip", "text"]

TARGET_BYTES = 32 << 20
CHUNK_BYTES = 4 << 20
_LEAST_BYTES = 256 << 10
_CORES_UNKNOWN = 8

_READ_SIZE = 1 << 20
_MAGIC = b"\x1f\x8b\x08\x04"
_MAX_BLOCK = 1 << 16
_SHORTEST_HEADER = 18
_END_MARKER = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


@dataclass(frozen=True)
class Split:
    """Part of a text file.

    Args:
        url: the file.
        form: how it is compressed.
        start: byte of the file, as it is stored, where the split begins: in BGZF the first byte of a block.
        end: byte where the next split begins; None in the last one.
    """

    url: str
    form: Form
    start: int
    end: int | None


@dataclass(frozen=True)
class Chunk:
    """Whole lines of a file.

    Args:
        data: the lines with their line ends; only the last line of a file may lack one.
        places: ascending positions in `data` where a stretch of the file begins.
        place_offsets: record offset of each of those places.
    """

    data: bytes
    places: npt.NDArray[np.int64]
    place_offsets: npt.NDArray[np.int64]

    def offsets(self, positions: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Record offsets of positions in `data`: BGZF virtual offsets, else byte offsets of the text."""
        at = np.asarray(positions, dtype=np.int64)
        place = np.searchsorted(self.places, at, side="right") - 1
        offsets: npt.NDArray[np.int64] = self.place_offsets[place] + (at - self.places[place])
        return offsets

    def lines(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """First position and end (exclusive) of every line in `data`, without its line end (LF or CRLF)."""
        text = np.frombuffer(self.data, dtype=np.uint8)
        ends = np.flatnonzero(text == 10)
        if len(text) and text[-1] != 10:
            ends = np.append(ends, len(text))
        starts = np.zeros_like(ends)
        starts[1:] = ends[:-1] + 1
        has_return = (ends > starts) & (text[ends - 1] == 13)
        return starts, ends - has_return


def detect_form(url: str) -> Form:
    """How the file is compressed, by its first bytes.

    Raises:
        InputError: there is no such file, or it may not be read.
    """
    with open_binary(url, block_size=_MAX_BLOCK) as file:
        first = file.read(_MAX_BLOCK)
    if not first.startswith(b"\x1f\x8b"):
        return "text"
    return "gzip" if _block_size(first, 0) is None else "bgzf"


def read_start(url: str, n_bytes: int) -> bytes:
    """The first bytes of the text, `n_bytes` of them or all that there are.

    Raises:
        FormatError: the file is broken or cut off right there.
        InputError: there is no such file, or it may not be read.
    """
    start = b""
    for text, _, _ in _read_pieces(Split(url, detect_form(url), 0, None)):
        start += text[: n_bytes - len(start)]
        if len(start) == n_bytes:
            break
    return start


def has_end_marker(url: str) -> bool:
    """Whether a BGZF file has the empty last block; without it, it may have been cut off."""
    size = file_size(url)
    with open_binary(url, block_size=_MAX_BLOCK) as file:
        file.seek(max(0, size - len(_END_MARKER)))
        return file.read() == _END_MARKER


def plan_splits(url: str, *, target_bytes: int = TARGET_BYTES, n: int | None = None) -> list[Split]:
    """Cut a file into splits of about equal size, in file order; together they cover it.

    Args:
        url: the file.
        target_bytes: wanted size of a split in bytes as stored; not looked at where `n` is given.
        n: wanted number of splits. Fewer come back where the file does not allow so many.

    Raises:
        InputError: there is no such file, or it may not be read.
    """
    form = detect_form(url)
    size = file_size(url)
    wanted = n if n is not None else math.ceil(size / target_bytes)
    if form == "gzip" or wanted <= 1:
        return [Split(url, form, 0, None)]
    cuts = sorted({size * i // wanted for i in range(1, wanted)} - {0})
    if form == "bgzf":
        with ThreadPoolExecutor(min(8, len(cuts))) as pool:
            found = pool.map(lambda cut: _find_block(url, cut), cuts)
            cuts = sorted({cut for cut in found if cut is not None})
    return [Split(url, form, *ends) for ends in zip([0, *cuts], [*cuts, None], strict=True)]


def read_chunks(split: Split, *, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """Read the lines that a split owns, in file order, in chunks of about `chunk_bytes` of text.

    Raises:
        FormatError: a BGZF block or the gzip stream is broken or cut off; says the file and the byte.
        InputError: there is no such file, or it may not be read.
    """
    parts: list[bytes] = []
    offsets: list[int] = []
    size = 0
    is_skipping = split.start > 0
    for text, offset, is_own in _read_pieces(split):
        if is_skipping:
            if not is_own:
                return
            cut = text.find(b"\n") + 1
            if cut == 0:
                continue
            is_skipping = False
            text, offset = text[cut:], offset + cut
        elif not is_own and (cut := text.find(b"\n") + 1):
            yield _make_chunk([*parts, text[:cut]], [*offsets, offset])
            return
        if not text:
            continue
        parts.append(text)
        offsets.append(offset)
        size += len(text)
        if size >= chunk_bytes and (cut := text.rfind(b"\n") + 1):
            parts[-1] = text[:cut]
            yield _make_chunk(parts, offsets)
            rest = text[cut:]
            parts, offsets, size = ([rest], [offset + cut], len(rest)) if rest else ([], [], 0)
    if parts:
        yield _make_chunk(parts, offsets)


def _make_chunk(parts: list[bytes], offsets: list[int]) -> Chunk:
    places = np.zeros(len(parts), dtype=np.int64)
    np.cumsum([len(part) for part in parts[:-1]], out=places[1:])
    return Chunk(b"".join(parts), places, np.array(offsets, dtype=np.int64))


def _read_pieces(split: Split) -> Iterator[tuple[bytes, int, bool]]:
    """(text, record offset, whether the split owns it) from the split's first byte to the end of the file."""
    end = math.inf if split.end is None else split.end
    with open_binary(split.url) as file:
        if split.form == "bgzf":
            for at, text in _read_blocks(file, split.url, split.start):
                if text:
                    yield text, at << 16, at < end
        elif split.form == "gzip":
            at = 0
            for text in _read_gzip(file, split.url):
                yield text, at, True
                at += len(text)
        else:
            at = split.start
            file.seek(at)
            while text := file.read(int(min(_READ_SIZE, end - at)) if at < end else _MAX_BLOCK):
                yield text, at, at < end
                at += len(text)


def _read_gzip(file: BinaryIO, url: str) -> Iterator[bytes]:
    """The text of all members of a gzip file."""
    at = 0
    member: zlib._Decompress | None = None
    while raw := file.read(_READ_SIZE):
        at += len(raw)
        while raw:
            if member is None:
                raw = raw.lstrip(b"\0")  # padding after a member
                if not raw:
                    break
                member = zlib.decompressobj(31)
            try:
                text = member.decompress(raw, CHUNK_BYTES)
            except zlib.error:
                raise _broken(url, at - len(raw), "The gzip stream is broken") from None
            raw = member.unconsumed_tail
            if member.eof:
                raw, member = member.unused_data, None
            if text:
                yield text
    if member is not None:
        raise _broken(url, at, "The gzip stream is cut off")


def _read_blocks(file: BinaryIO, url: str, start: int) -> Iterator[tuple[int, bytes]]:
    """Offset and text of every BGZF block from `start` on."""
    file.seek(start)
    buffer = b""
    base, at, is_end = start, 0, False
    while True:
        while len(buffer) - at < _MAX_BLOCK and not is_end:
            more = file.read(_READ_SIZE)
            is_end = not more
            buffer = buffer[at:] + more
            base, at = base + at, 0
        if at == len(buffer):
            return
        size = _block_size(buffer, at)
        if size is None and len(buffer) - at >= _SHORTEST_HEADER:
            raise _broken(url, base + at, "No BGZF block begins here")
        if size is None or at + size > len(buffer):
            raise _broken(url, base + at, "The BGZF block is cut off")
        text = _inflate(buffer, at, size)
        if text is None:
            raise _broken(url, base + at, "The BGZF block is broken")
        yield base + at, text
        at += size


def _find_block(url: str, at: int) -> int | None:
    """Offset of the first BGZF block at or after `at`, or None where none is within reach.

    The four magic bytes also occur inside compressed data, and a whole block can lie inside a stored one.
    So a candidate counts only if intact blocks follow each other from it for longer than one block can be,
    or to the end of the file.
    """
    with open_binary(url, block_size=4 * _MAX_BLOCK) as file:
        file.seek(at)
        buffer = file.read(3 * _MAX_BLOCK + 1)
    is_end = len(buffer) <= 3 * _MAX_BLOCK
    candidate = buffer.find(_MAGIC)
    refuted: set[int] = set()
    while 0 <= candidate < _MAX_BLOCK:
        if _blocks_follow(buffer, candidate, refuted, is_end=is_end):
            return at + candidate
        candidate = buffer.find(_MAGIC, candidate + 1)
    return None


def _blocks_follow(buffer: bytes, first: int, refuted: set[int], *, is_end: bool) -> bool:
    """Whether blocks follow each other from `first`; places from which they do not are added to `refuted`."""
    at = first
    passed = []
    while at - first <= _MAX_BLOCK:
        if at == len(buffer) and is_end:
            return True
        passed.append(at)
        size = None if at in refuted else _block_size(buffer, at)
        if size is None or at + size > len(buffer) or _inflate(buffer, at, size) is None:
            refuted.update(passed)
            return False
        at += size
    return True


def _block_size(buffer: bytes, at: int) -> int | None:
    """Bytes of the BGZF block whose header stands at `at`, or None where none stands there."""
    if len(buffer) - at < _SHORTEST_HEADER or buffer[at : at + 4] != _MAGIC:
        return None
    extra_end = _extra_end(buffer, at)
    field = at + 12
    while field + 4 <= min(extra_end, len(buffer) - 2):
        length = int.from_bytes(buffer[field + 2 : field + 4], "little")
        if buffer[field : field + 2] == b"BC" and length == 2:
            size = int.from_bytes(buffer[field + 4 : field + 6], "little") + 1
            return size if size > extra_end - at + 8 else None
        field += 4 + length
    return None


def _extra_end(buffer: bytes, at: int) -> int:
    return at + 12 + int.from_bytes(buffer[at + 10 : at + 12], "little")


def _inflate(buffer: bytes, at: int, size: int) -> bytes | None:
    """Text of the BGZF block of `size` bytes at `at`, or None where its length or checksum is wrong."""
    trailer = at + size - 8
    block = zlib.decompressobj(-15)
    try:
        text = block.decompress(memoryview(buffer)[_extra_end(buffer, at) : trailer], _MAX_BLOCK + 1)
    except zlib.error:
        return None
    is_whole = block.eof and not block.unused_data and len(text) <= _MAX_BLOCK
    checksum = int.from_bytes(buffer[trailer : trailer + 4], "little")
    length = int.from_bytes(buffer[trailer + 4 : trailer + 8], "little")
    return text if is_whole and len(text) == length and zlib.crc32(text) == checksum else None


def _broken(url: str, at: int, what: str) -> FormatError:
    where = f"{display_url(url)}, byte {at:,}"
    return FormatError(f"{what}.", where=where, mend="Fetch the file again.")


def plan_tasks(spark: SparkSession, url: str) -> list[Split]:
    """Cut a file for this session: splits of about 32 MiB as stored, or less, so that every core has two."""
    size = file_size(url)
    try:
        n_cores = spark.sparkContext.defaultParallelism
    except Exception:  # a Spark Connect session has no context to ask
        n_cores = _CORES_UNKNOWN
    return plan_splits(url, target_bytes=max(_LEAST_BYTES, min(TARGET_BYTES, size // (2 * n_cores) + 1)))


@dataclass(frozen=True)
class SplitRows:
    """Rows that a function makes of each split of a file: a table's columns as Arrow batches, a task a split.

    Args:
        splits: at least one, in file order.
        function: called in a task; picklable, and no Spark object in it.
    """

    splits: Sequence[Split]
    function: Callable[[Split], Iterator[pa.RecordBatch]]


def map_splits(
    spark: SparkSession,
    splits: Sequence[Split],
    function: Callable[[Split], Iterator[pa.RecordBatch]],
    schema: StructType | str,
) -> DataFrame:
    """A DataFrame of what a function makes of each split: one Spark partition a split, in file order.

    Args:
        spark: the session.
        splits: at least one.
        function: called in a task; picklable, and no Spark object in it.
        schema: of the batches that it yields.
    """

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for index in batch.column(0).to_pylist():
                yield from function(splits[index])

    return spark.range(0, len(splits), 1, len(splits)).mapInArrow(run, schema)
