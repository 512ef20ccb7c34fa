"""Lines of a chunk as they stand in the file, as numbers, and as what can't be loaded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kgp.io.splits import Chunk

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BadLine:
    """A line that can't be loaded.

    Args:
        index: of the line, counted from the first line of the split.
        offset: its record offset.
        kind: one of a few words, to count by.
        reason: what is wrong with it.
        line: as it stands in the file.
    """

    index: int
    offset: int
    kind: str
    reason: str
    line: bytes


@dataclass(frozen=True)
class ChunkLines:
    """The lines of a chunk as they stand in the file.

    Args:
        chunk: the chunk.
        starts, ends: positions of the lines in it.
        first_index: index of its first line, counted from the first line of the split.
    """

    chunk: Chunk
    starts: Ints
    ends: Ints
    first_index: int

    def text(self, row: int) -> bytes:
        """A line of the chunk."""
        return self.chunk.data[self.starts[row] : self.ends[row]]

    def reject(self, row: int, kind: str, reason: str) -> BadLine:
        """A line of the chunk as one that can't be loaded."""
        offset = int(self.chunk.offsets([self.starts[row]])[0])
        return BadLine(row + self.first_index, offset, kind, reason, self.text(row))


@dataclass(frozen=True)
class Block:
    """Lines of a chunk.

    Args:
        lines: as they stand in the file.
        texts: the leading columns of the lines that can be loaded, a list a column.
        values: phenotypes × runs, NaN where missing.
        rows: of those lines, counted from the first line of the chunk.
        bad: the others, ascending.
        n_blank: empty lines below the header.
        n_footer: lines that end the table.
    """

    lines: ChunkLines
    texts: list[list[str]]
    values: Floats
    rows: Ints
    bad: list[BadLine]
    n_blank: int
    n_footer: int
