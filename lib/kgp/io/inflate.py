"""Inflates BGZF and gzip, block by block, and finds where a BGZF block begins by looking at the bytes.

What can't be inflated is handed on as `Damage`, with the bytes as they are stored: whoever reads decides whether to
stop there or to go on behind it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import deflate

from kgp.errors import FormatError
from kgp.io.storage import READ_AHEAD, RangeReader
from kgp.io.urls import display_url

MAX_BLOCK = 1 << 16
END_MARKER = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")

_PIECE = 4 << 20
_MAGIC = b"\x1f\x8b\x08\x04"
_SHORTEST_HEADER = 18
_ONLY_FIELD = b"\x06\x00BC\x02\x00"  # length of the extra fields, then BGZF's own one, as every writer has it
_MOST_KEPT = 16 << 20


@dataclass(frozen=True)
class Damage:
    """Stored bytes that can't be inflated.

    Args:
        byte: place in the file, as it is stored, where they begin.
        reason: what is wrong with them.
        raw: the bytes; of a broken gzip stream, whose rest is lost, the first 64 KiB.
        offset: record offset of that place.
        casts_doubt: whether text that came before may be wrong, too: the checksum of a gzip member is behind all of it.
    """

    byte: int
    reason: str
    raw: bytes
    offset: int = 0
    casts_doubt: bool = False

    def as_error(self, url: str) -> FormatError:
        """The error of a reader that can't go on."""
        return FormatError(
            f"{self.reason}.",
            where=f"{display_url(url)}, byte {self.byte:,}",
            mend="Fetch the file again.",
        )


def read_gzip(file: RangeReader) -> Iterator[bytes | Damage]:
    """The text of all members of a gzip file; after a `Damage` nothing comes."""
    at = 0
    member: zlib._Decompress | None = None
    has_text = False
    while raw := file.read(READ_AHEAD):
        at += len(raw)
        while raw:
            if member is None:
                raw = raw.lstrip(b"\0")  # padding after a member
                if not raw:
                    break
                member, has_text = zlib.decompressobj(31), False
            try:
                text = member.decompress(raw, _PIECE)
            except zlib.error:
                reason = "The gzip stream is broken"
                yield Damage(at - len(raw), reason, raw[:MAX_BLOCK], casts_doubt=has_text)
                return
            raw = member.unconsumed_tail
            if member.eof:
                raw, member = member.unused_data, None
            if text:
                has_text = True
                yield text
    if member is not None:
        yield Damage(at, "The gzip stream is cut off", b"")


def read_blocks(file: RangeReader, start: int) -> Iterator[tuple[int, bytes | Damage]]:
    """Offset and text of every BGZF block from `start` on; behind a `Damage` it goes on with the next block.

    It reads on only where the next block is not whole in what was read.
    """
    file.seek(start)
    buffer = b""
    base, at, is_end = start, 0, False
    while True:
        size_of_block = block_size(buffer, at)
        text = None
        if size_of_block is not None and at + size_of_block <= len(buffer):
            text = _inflate(buffer, at, size_of_block)
        if text is not None and size_of_block is not None:
            yield base + at, text
            at += size_of_block
            continue
        if len(buffer) - at < MAX_BLOCK and not is_end:
            more = file.read(READ_AHEAD)
            is_end = not more
            buffer = buffer[at:] + more
            base, at = base + at, 0
            continue
        if at == len(buffer):
            return
        end, reason = _explain_damage(buffer, at, size_of_block, is_end=is_end)
        if end is None:  # look for the next block in what follows
            more = file.read_fully(2 * _MOST_KEPT)
            is_end = is_end or not more
            buffer = buffer[at:] + more
            base, at = base + at, 0
            end = _next_block(buffer, 1, is_end=is_end) or min(len(buffer), _MOST_KEPT)
        yield base + at, Damage(base + at, reason, buffer[at:end])
        at = end


def _explain_damage(buffer: bytes, at: int, size: int | None, *, is_end: bool) -> tuple[int | None, str]:
    """Where the damaged stretch ends, None where the next block must be searched for, and what is wrong."""
    if size is None:
        if is_end and len(buffer) - at < _SHORTEST_HEADER:
            return len(buffer), "The BGZF block is cut off"
        return None, "No BGZF block begins here"
    if at + size > len(buffer):
        return (len(buffer) if _next_block(buffer, at + 1, is_end=is_end) is None else None), (
            "The BGZF block is cut off"
        )
    is_followed = at + size == len(buffer) or block_size(buffer, at + size) is not None
    return (at + size if is_followed else None), "The BGZF block is broken"


def _next_block(buffer: bytes, at: int, *, is_end: bool) -> int | None:
    """Where in the buffer intact blocks follow each other again."""
    refuted: set[int] = set()
    candidate = buffer.find(_MAGIC, at)
    while candidate >= 0:
        if _blocks_follow(buffer, candidate, refuted, is_end=is_end):
            return candidate
        candidate = buffer.find(_MAGIC, candidate + 1)
    return None


def find_block(url: str, at: int) -> int | None:
    """Offset of the first BGZF block at or after `at`, or None where none is within reach.

    The four magic bytes also occur inside compressed data, and a whole block can lie inside a stored one.
    So a candidate counts only if intact blocks follow each other from it for longer than one block can be,
    or to the end of the file.
    """
    with RangeReader(url) as file:
        file.seek(at)
        buffer = file.read_fully(3 * MAX_BLOCK + 1)
    is_end = len(buffer) <= 3 * MAX_BLOCK
    candidate = buffer.find(_MAGIC)
    refuted: set[int] = set()
    while 0 <= candidate < MAX_BLOCK:
        if _blocks_follow(buffer, candidate, refuted, is_end=is_end):
            return at + candidate
        candidate = buffer.find(_MAGIC, candidate + 1)
    return None


def _blocks_follow(buffer: bytes, first: int, refuted: set[int], *, is_end: bool) -> bool:
    """Whether blocks follow each other from `first`; places from which they do not are added to `refuted`."""
    at = first
    passed = []
    while at - first <= MAX_BLOCK:
        if at == len(buffer) and is_end:
            return True
        passed.append(at)
        size = None if at in refuted else block_size(buffer, at)
        if size is None or at + size > len(buffer) or _inflate(buffer, at, size) is None:
            refuted.update(passed)
            return False
        at += size
    return True


def block_size(buffer: bytes, at: int) -> int | None:
    """Bytes of the BGZF block whose header stands at `at`, or None where none stands there."""
    if len(buffer) - at < _SHORTEST_HEADER or buffer[at : at + 4] != _MAGIC:
        return None
    if buffer[at + 10 : at + 16] == _ONLY_FIELD:
        size = int.from_bytes(buffer[at + 16 : at + 18], "little") + 1
        return size if size > _SHORTEST_HEADER + 8 else None
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
    length = int.from_bytes(buffer[trailer + 4 : trailer + 8], "little")
    if length > MAX_BLOCK:
        return None
    body = memoryview(buffer)[_extra_end(buffer, at) : trailer]
    try:
        text = deflate.deflate_decompress(body, length) if length else zlib.decompress(body, -15)
    except (deflate.DeflateError, zlib.error):
        return None
    checksum = int.from_bytes(buffer[trailer : trailer + 4], "little")
    is_whole = len(text) == length and deflate.crc32(text) == checksum
    return (
        cast(bytes, text) if is_whole else None
    )  # a bytearray: to copy it takes half as long as to inflate it
