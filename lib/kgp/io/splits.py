"""Text files cut into splits that tasks read on their own: BGZF, gzip or plain text, told apart by content.

A BGZF file is cut at block boundaries that are found by looking at the bytes; no index is needed. Plain
text is cut anywhere, plain gzip not at all. A split owns the lines that begin after its first byte and up
to the first byte of the next split, and the first split owns line one besides: every line is read exactly
once, however the cuts fall.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from kgp.io.inflate import END_MARKER, MAX_BLOCK, Damage, block_size, find_block, read_blocks, read_gzip
from kgp.io.storage import READ_AHEAD, RangeReader, file_size

Form = Literal["bgzf", "gzip", "text"]

TARGET_BYTES = 32 << 20
CHUNK_BYTES = 16 << 20

_SHORT_LINE = 500


@dataclass(frozen=True)
class Split:
    """Part of a text file.

    Args:
        url: the file.
        form: how it is compressed.
        start: byte of the file, as it is stored, where the split begins: in BGZF the first byte of a block.
        end: byte where the next split begins; None in the last one.
        first_line: position in the split's text where its first line is known to begin, as an index tells; None
            where it is the line after the first line end.
    """

    url: str
    form: Form
    start: int
    end: int | None
    first_line: int | None = None


@dataclass
class LineCount:
    """Counts the lines of the stretch of text that a split covers: line ends in what is inflated, nothing else.

    It knows nothing of which split owns a line that crosses a seam, nor of what a line means; so the sum over all
    splits of a file is a count that whoever reads the lines can be held to.

    Args:
        n: line ends, and pieces of damaged text: each stretch that can't be inflated, and the line before it where its
            end is lost.
        is_open: whether the last byte of the stretch is within a line.
        n_stored: bytes fetched from storage for it.
    """

    n: int = 0
    is_open: bool = False
    n_stored: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether the stretch has neither text nor damage."""
        return self.n == 0 and not self.is_open

    def add(self, text: bytes) -> None:
        """Text of the stretch."""
        # A comparison of all bytes at once takes a third of the time of bytes.count.
        self.n += int(np.count_nonzero(np.frombuffer(text, dtype=np.uint8) == 10))
        self.is_open = not text.endswith(b"\n")

    def add_stored(self, n_bytes: int) -> None:
        """Bytes fetched from storage."""
        self.n_stored += n_bytes

    def add_damage(self, *, is_own: bool) -> None:
        """Bytes that can't be inflated, in the stretch or right behind it."""
        self.n += self.is_open + is_own
        self.is_open = False


@dataclass(frozen=True)
class Chunk:
    """Whole lines of a file.

    Args:
        data: the lines with their line ends; only the last line of a file may lack one.
        places: ascending positions in `data` where a stretch of the file begins.
        place_offsets: record offset of each of those places.
        is_torn_start, is_torn_end: whether the first line lacks its beginning, or the last one its end, because damaged
            text stands there.
    """

    data: bytes
    places: npt.NDArray[np.int64]
    place_offsets: npt.NDArray[np.int64]
    is_torn_start: bool = False
    is_torn_end: bool = False

    def offsets(self, positions: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Record offsets of positions in `data`: BGZF virtual offsets, else byte offsets of the text."""
        at = np.asarray(positions, dtype=np.int64)
        place = np.searchsorted(self.places, at, side="right") - 1
        offsets: npt.NDArray[np.int64] = self.place_offsets[place] + (at - self.places[place])
        return offsets

    def lines(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """First position and end (exclusive) of every line in `data`, without its line end (LF or CRLF)."""
        ends = _line_ends(self.data)
        starts = np.zeros_like(ends)
        starts[1:] = ends[:-1] + 1
        text = np.frombuffer(self.data, dtype=np.uint8)
        has_return = (ends > starts) & (text[ends - 1] == 13)
        return starts, ends - has_return


def _line_ends(text: bytes) -> npt.NDArray[np.int64]:
    """Positions of the line ends, and the end of the text where its last line lacks one."""
    # Long lines are found faster by jumping from one end to the next, short ones by looking at all bytes at once.
    first = text.find(b"\n")
    if first < _SHORT_LINE and text.find(b"\n", first + 1) - first < _SHORT_LINE:
        ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == 10)
    else:
        found = []
        while first >= 0:
            found.append(first)
            first = text.find(b"\n", first + 1)
        ends = np.array(found, dtype=np.int64)
    return ends if not text or text.endswith(b"\n") else np.append(ends, len(text))


def detect_form(url: str) -> Form:
    """How the file is compressed, by its first bytes.

    Raises:
        InputError: there is no such file, or it may not be read.
    """
    with RangeReader(url) as file:
        first = file.read_fully(MAX_BLOCK)
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
    for text, _, _ in _read_texts(Split(url, detect_form(url), 0, None), step=MAX_BLOCK):
        if isinstance(text, Damage):
            raise text.as_error(url)
        start += text[: n_bytes - len(start)]
        if len(start) == n_bytes:
            break
    return start


def has_end_marker(url: str) -> bool:
    """Whether a BGZF file has the empty last block; without it, it may have been cut off."""
    size = file_size(url)
    with RangeReader(url) as file:
        file.seek(max(0, size - len(END_MARKER)))
        return file.read_fully(len(END_MARKER)) == END_MARKER


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


def read_chunks(
    split: Split, *, chunk_bytes: int = CHUNK_BYTES, count: LineCount | None = None
) -> Iterator[Chunk]:
    """Read the lines that a split owns, in file order, in chunks of about `chunk_bytes` of text.

    Raises:
        FormatError: a BGZF block or the gzip stream is broken or cut off; says the file and the byte.
        InputError: there is no such file, or it may not be read.
    """
    for piece in read_pieces(split, chunk_bytes=chunk_bytes, count=count):
        if isinstance(piece, Damage):
            raise piece.as_error(split.url)
        yield piece


def read_pieces(
    split: Split, *, chunk_bytes: int = CHUNK_BYTES, count: LineCount | None = None
) -> Iterator[Chunk | Damage]:
    """As `read_chunks`, but what can't be inflated is given back in its place, and reading goes on behind it.

    A line that runs into it, and one that comes out of it, are
    marked as torn in their chunks.

    Raises:
        FormatError: a gzip stream is broken after text of it was given back, for which only its end could vouch.
        InputError: there is no such file, or it may not be read.
    """
    collector = _Collector()
    is_skipping = split.start > 0 and split.first_line is None
    n_to_skip = split.first_line or 0
    step = min(max(chunk_bytes, MAX_BLOCK), READ_AHEAD)
    is_behind = False
    for text, offset, is_own in _read_texts(split, step=step, count=count):
        if isinstance(text, Damage):
            if text.casts_doubt:
                raise text.as_error(split.url)
            if count is not None and not is_behind:
                count.add_damage(is_own=is_own)
            if not is_skipping:
                yield from collector.close(is_torn=True)
            if not is_own:
                return
            yield replace(text, offset=offset)
            is_skipping, n_to_skip, collector.is_torn_start = False, 0, True
            continue
        if count is not None and is_own:
            count.add(text)
        is_behind = not is_own  # from here on, the line is open in the stretch of another split
        cut = min(n_to_skip, len(text))
        n_to_skip -= cut
        if is_skipping:
            if not is_own:
                return
            cut = text.find(b"\n") + 1
            if cut == 0:
                continue
            is_skipping = False
        elif not is_own and (end := text.find(b"\n") + 1):
            collector.add(text[:end], offset)
            yield from collector.close()
            return
        if text := text[cut:]:
            collector.add(text, offset + cut)
        if collector.size >= chunk_bytes:
            yield from collector.take()
    yield from collector.close()


class _Collector:
    """Puts stretches of text together into chunks of whole lines."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.offsets: list[int] = []
        self.size = 0
        self.is_torn_start = False

    def add(self, text: bytes, offset: int) -> None:
        self.parts.append(text)
        self.offsets.append(offset)
        self.size += len(text)

    def take(self) -> Iterator[Chunk]:
        """All whole lines; the rest of the last stretch stays."""
        text, offset = self.parts[-1], self.offsets[-1]
        if cut := text.rfind(b"\n") + 1:
            self.parts[-1] = text[:cut]
            yield from self.close()
            if rest := text[cut:]:
                self.add(rest, offset + cut)

    def close(self, *, is_torn: bool = False) -> Iterator[Chunk]:
        """Everything, an unfinished line included; `is_torn` where its end is lost."""
        parts, offsets, is_torn_start = self.parts, self.offsets, self.is_torn_start
        self.parts, self.offsets, self.size = [], [], 0
        if not parts:
            return
        self.is_torn_start = False
        places = np.zeros(len(parts), dtype=np.int64)
        np.cumsum([len(part) for part in parts[:-1]], out=places[1:])
        is_torn_end = is_torn and not parts[-1].endswith(b"\n")
        data = b"".join(parts)
        del parts  # or a long line would be held twice
        yield Chunk(data, places, np.array(offsets, dtype=np.int64), is_torn_start, is_torn_end)


def _read_texts(
    split: Split, *, step: int, count: LineCount | None = None
) -> Iterator[tuple[bytes | Damage, int, bool]]:
    """(text, record offset, whether the split owns it) from the split's first byte to the end of the file.

    Remote storage is asked for at most `step` bytes at a time, and behind the split's end only for what is read.
    """
    end = math.inf if split.end is None else split.end
    on_read = None if count is None else count.add_stored
    with RangeReader(split.url, end=split.end, step=step, on_read=on_read) as file:
        if split.form == "bgzf":
            last: bytes | Damage = b""
            for at, last in read_blocks(file, split.start):
                if last:
                    yield last, at << 16, at < end
            if (
                last and not isinstance(last, Damage) and not last.endswith(b"\n")
            ):  # the end marker would be empty
                at = file_size(split.url)
                yield Damage(at, "The BGZF file is cut off", b""), at << 16, split.end is None
        elif split.form == "gzip":
            at = 0
            for piece in read_gzip(file):
                yield piece, at, True
                at += 0 if isinstance(piece, Damage) else len(piece)
        else:
            at = split.start
            file.seek(at)
            while plain := file.read(int(min(READ_AHEAD, end - at)) if at < end else MAX_BLOCK):
                yield plain, at, at < end
                at += len(plain)
