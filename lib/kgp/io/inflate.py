"""Inflates BGZF and gzip, block by block, and finds where a BGZF block begins by looking at the bytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

from kgp.errors import FormatError
from kgp.io.storage import display_url, open_binary

MAX_BLOCK = 1 << 16
END_MARKER = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")

_READ_SIZE = 1 << 20
_PIECE = 4 << 20
_MAGIC = b"\x1f\x8b\x08\x04"
_SHORTEST_HEADER = 18


def read_gzip(file: BinaryIO, url: str) -> Iterator[bytes]:
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
                text = member.decompress(raw, _PIECE)
            except zlib.error:
                raise _broken(url, at - len(raw), "The gzip stream is broken") from None
            raw = member.unconsumed_tail
            if member.eof:
                raw, member = member.unused_data, None
            if text:
                yield text
    if member is not None:
        raise _broken(url, at, "The gzip stream is cut off")


def read_blocks(file: BinaryIO, url: str, start: int) -> Iterator[tuple[int, bytes]]:
    """Offset and text of every BGZF block from `start` on."""
    file.seek(start)
    buffer = b""
    base, at, is_end = start, 0, False
    while True:
        while len(buffer) - at < MAX_BLOCK and not is_end:
            more = file.read(_READ_SIZE)
            is_end = not more
            buffer = buffer[at:] + more
            base, at = base + at, 0
        if at == len(buffer):
            return
        size = block_size(buffer, at)
        if size is None and len(buffer) - at >= _SHORTEST_HEADER:
            raise _broken(url, base + at, "No BGZF block begins here")
        if size is None or at + size > len(buffer):
            raise _broken(url, base + at, "The BGZF block is cut off")
        text = _inflate(buffer, at, size)
        if text is None:
            raise _broken(url, base + at, "The BGZF block is broken")
        yield base + at, text
        at += size


def find_block(url: str, at: int) -> int | None:
    """Offset of the first BGZF block at or after `at`, or None where none is within reach.

    The four magic bytes also occur inside compressed data, and a whole block can lie inside a stored one.
    So a candidate counts only if intact blocks follow each other from it for longer than one block can be,
    or to the end of the file.
    """
    with open_binary(url, block_size=4 * MAX_BLOCK) as file:
        file.seek(at)
        buffer = file.read(3 * MAX_BLOCK + 1)
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
        text = block.decompress(memoryview(buffer)[_extra_end(buffer, at) : trailer], MAX_BLOCK + 1)
    except zlib.error:
        return None
    is_whole = block.eof and not block.unused_data and len(text) <= MAX_BLOCK
    checksum = int.from_bytes(buffer[trailer : trailer + 4], "little")
    length = int.from_bytes(buffer[trailer + 4 : trailer + 8], "little")
    return text if is_whole and len(text) == length and zlib.crc32(text) == checksum else None


def _broken(url: str, at: int, what: str) -> FormatError:
    where = f"{display_url(url)}, byte {at:,}"
    return FormatError(f"{what}.", where=where, mend="Fetch the file again.")
