"""Whether a compressed file is whole, where nobody states its MD5."""

from __future__ import annotations

import zlib

from kgp.io.inflate import END_MARKER, MAX_BLOCK, block_size

_PIECE = 4 << 20
_MAGIC = b"\x1f\x8b"


class Ending:
    """Is shown a gzip or BGZF file from beginning to end, and says whether it ends as such a file must.

    A BGZF file has to end with the empty block that marks its end, or, as old writers left it, with a whole block whose
    length and checksum are right: what was cut off at the seam of two blocks passes then. Any other gzip file is
    inflated: each of its members has to end with the right length and checksum, and only zeros may follow.
    """

    def __init__(self) -> None:
        self._head: bytes | None = b""  # until it is long enough to say what the file is
        self._is_bgzf = False
        self._tail = b""
        self._member: zlib._Decompress | None = None
        self._problem: str | None = None

    def take(self, data: bytes) -> None:
        """The next bytes."""
        if self._head is not None:
            self._head += data
            if len(self._head) < MAX_BLOCK:
                return
            data = self._begin(self._head)
        if self._problem is None:
            if self._is_bgzf:
                self._tail = data[-MAX_BLOCK:] if len(data) >= MAX_BLOCK else (self._tail + data)[-MAX_BLOCK:]
            else:
                self._inflate(data)

    def problem(self) -> str | None:
        """What is wrong, in a clause; None where nothing is. All bytes must have been shown."""
        if self._head is not None:
            data = self._begin(self._head)
            self.take(data)
        if self._problem is None and self._is_bgzf and not self._ends_with_block():
            return "gave a BGZF file that breaks off within a block"
        if self._problem is None and self._member is not None:
            return "gave a gzip file that breaks off"
        return self._problem

    def _begin(self, head: bytes) -> bytes:
        self._head = None
        self._is_bgzf = block_size(head, 0) is not None
        if not head.startswith(_MAGIC):
            self._problem = "gave a file that is not compressed, though its name says so"
        return head

    def _ends_with_block(self) -> bool:
        if self._tail.endswith(END_MARKER):
            return True
        at = self._tail.rfind(_MAGIC)
        while at >= 0:
            if block_size(self._tail, at) == len(self._tail) - at:
                try:
                    zlib.decompress(self._tail[at:], 31)
                except zlib.error:
                    pass
                else:
                    return True
            at = self._tail.rfind(_MAGIC, 0, at + 1)
        return False

    def _inflate(self, data: bytes) -> None:
        while data:
            if self._member is None:
                data = data.lstrip(b"\0")  # padding after a member
                if not data:
                    return
                self._member = zlib.decompressobj(31)
            try:
                self._member.decompress(data, _PIECE)
            except zlib.error:
                self._problem = "gave a gzip file that is broken"
                return
            data = self._member.unconsumed_tail
            if self._member.eof:
                data, self._member = self._member.unused_data, None
