"""Text files cut into splits that tasks read on their own: BGZF, gzip or plain text, told apart by content.

A BGZF file is cut at block boundaries that are found by looking at the bytes; no index is needed. Plain
text is cut anywhere, plain gzip not at all. A split owns the lines that begin after its first byte and up
to the first byte of the next split, and the first split owns line one besides: every line is read exactly
once, however the cuts fall.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from kgp.io.inflate import END_MARKER, MAX_BLOCK, block_size, find_block, read_blocks, read_gzip
from kgp.io.storage import file_size, open_binary

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
    with open_binary(url, block_size=MAX_BLOCK) as file:
        first = file.read(MAX_BLOCK)
    if not first.startswith(b"\x1f\x8b"):
        return "text"
    return "gzip" if block_size(first, 0) is None else "bgzf"


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
    with open_binary(url, block_size=MAX_BLOCK) as file:
        file.seek(max(0, size - len(END_MARKER)))
        return file.read() == END_MARKER


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
            found = pool.map(lambda cut: find_block(url, cut), cuts)
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
            for at, text in read_blocks(file, split.url, split.start):
                if text:
                    yield text, at << 16, at < end
        elif split.form == "gzip":
            at = 0
            for text in read_gzip(file, split.url):
                yield text, at, True
                at += len(text)
        else:
            at = split.start
            file.seek(at)
            while text := file.read(int(min(_READ_SIZE, end - at)) if at < end else MAX_BLOCK):
                yield text, at, at < end
                at += len(text)


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
