"""One window of LD pruning: its variants, and which of them go.

The rules are plink2's, to the order of comparisons; `kgp.eqtl.ld_pruning` tells of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Dosages = NDArray[np.int8]
Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Singles = NDArray[np.float32]

# plink's tolerance in comparisons of r² with the threshold and of frequencies: 2^-44.
EPSILON = 2.0**-44

# Variants whose correlations are computed in one product: 1,024 × 2,504 people are 10 MB in 32 bits.
TILE = 1024

# Of a window's genotypes kept as 32-bit numbers from one comparison to the next.
MAX_CODED_BYTES = 256 << 20


@dataclass(frozen=True, eq=False)
class Members:
    """Variants of a window, in their order.

    Args:
        indices: of each variant within its contig.
        dosages: variants × samples, negative where missing.
        varies: whether neither all called genotypes are equal.
        major: frequency of the more frequent allele.
        is_complete: whether none is missing.
    """

    indices: Ints
    dosages: Dosages
    varies: Flags
    major: Floats
    is_complete: Flags

    @classmethod
    def of(cls, dosages: Dosages, first: int) -> Members:
        n_ref, n_het, n_alt = ((dosages == copies).sum(axis=1) for copies in (0, 1, 2))
        n_called = n_ref + n_het + n_alt
        frequency = (n_het + 2 * n_alt) / np.maximum(2 * n_called, 1)
        return cls(
            np.arange(first, first + len(dosages)),
            dosages,
            np.maximum(np.maximum(n_ref, n_het), n_alt) < n_called,
            np.maximum(frequency, 1.0 - frequency),
            n_called == dosages.shape[1],
        )

    def take(self, chosen: Flags | Ints) -> Members:
        return Members(
            self.indices[chosen],
            self.dosages[chosen],
            self.varies[chosen],
            self.major[chosen],
            self.is_complete[chosen],
        )

    def join(self, other: Members) -> Members:
        return Members(
            np.concatenate([self.indices, other.indices]),
            np.concatenate([self.dosages, other.dosages]),
            np.concatenate([self.varies, other.varies]),
            np.concatenate([self.major, other.major]),
            np.concatenate([self.is_complete, other.is_complete]),
        )


def prune_window(members: Members, n_old: int, max_r2: float) -> Flags:
    """Which variants of a window are left; the first n_old of them have been compared with each other before."""
    n_tiles = -(-(len(members.indices) - n_old) // TILE)
    kept = bytearray(members.varies.tobytes())
    comparison = _Comparison(members, n_old, max_r2, kept)
    # Bits of the variants of each tile that are left; of each variant its tile, and its hits there.
    left = [_to_bits(members.varies[n_old + at * TILE : n_old + (at + 1) * TILE]) for at in range(n_tiles)]
    tiles = comparison.tiles
    hits: list[int | None] = [None] * len(kept)
    major, limit = members.major.tolist(), (members.major * (1.0 + EPSILON)).tolist()
    active = [i for i, is_kept in enumerate(kept) if is_kept]
    while active:
        again = []
        for i in active:
            if not kept[i]:
                continue
            found = _next_hits(i, comparison, left, hits)
            if not found:
                continue
            place = (found & -found).bit_length() - 1
            other = n_old + tiles[i] * TILE + place
            removed = i if major[i] > limit[other] else other
            kept[removed] = 0
            if removed >= n_old:
                at, place = divmod(removed - n_old, TILE)
                left[at] ^= 1 << place
            if removed != i:
                again.append(i)
        active = again
    return np.frombuffer(kept, dtype=np.bool_)


def _next_hits(i: int, comparison: _Comparison, left: list[int], hits: list[int | None]) -> int:
    """Bits of the variants left that i is too correlated with, in the first tile that has any; 0 where none has."""
    tiles = comparison.tiles
    while tiles[i] < len(left):
        known = hits[i]
        if known is None:
            known = comparison.find_hits(i)
        hits[i] = found = known & left[tiles[i]]
        if found:
            return found
        tiles[i], hits[i] = tiles[i] + 1, None
    return 0


class _Comparison:
    """Compares variants of a window when they are asked for: most are removed before they are needed.

    Args:
        members: of the window.
        n_old: so many of them, the first, need no comparison with each other.
        max_r2: threshold.
        kept: which of them are left, kept up to date by the caller.
    """

    def __init__(self, members: Members, n_old: int, max_r2: float, kept: bytearray) -> None:
        self._members, self._n_old, self._max_r2 = members, n_old, max_r2
        self._is_kept = np.frombuffer(kept, dtype=np.bool_)
        self._known: dict[int, int] = {}
        self._coded: dict[int, tuple[Ints, _Coded]] = {}
        # Of each variant the tile of new variants that it is to be compared with next.
        self.tiles = [0] * n_old + [place // TILE for place in range(len(kept) - n_old)]

    def find_hits(self, i: int) -> int:
        """Bits of the variants in the tile of i, later than i, that were left and are too correlated with it."""
        if i not in self._known:
            at, n_old = self.tiles[i], self._n_old
            is_first = at == (0 if i < n_old else (i - n_old) // TILE)
            self._compare(self._neighbours(i) if is_first else np.array([i]), at)
        return self._known.pop(i)

    def _neighbours(self, i: int) -> Ints:
        """Variants left that will all ask for the same first tile; few of them ever ask for a further one."""
        is_old = i < self._n_old
        first = i - i % TILE if is_old else i - (i - self._n_old) % TILE
        end = min(first + TILE, self._n_old if is_old else len(self._is_kept))
        return i + np.flatnonzero(self._is_kept[i:end])

    def _compare(self, rows: Ints, at: int) -> None:
        """Compare rows with what is left of a tile."""
        columns, coded = self._columns(at)
        first = self._n_old + at * TILE
        is_hit = np.zeros((len(rows), TILE), dtype=np.bool_)
        is_hit[:, columns - first] = _exceeds(_Coded.of(self._members.take(rows)), coded, self._max_r2)
        is_hit &= np.arange(first, first + TILE) > rows[:, None]
        self._known.update(zip(rows.tolist(), map(_to_bits, is_hit), strict=True))

    def _columns(self, at: int) -> tuple[Ints, _Coded]:
        """The variants of a tile that are left, and perhaps some that are not, as numbers to multiply."""
        first = self._n_old + at * TILE
        columns = first + np.flatnonzero(self._is_kept[first : first + TILE])
        known = self._coded.pop(at, None)
        if known is None or 2 * len(columns) < len(known[0]):
            known = columns, _Coded.of(self._members.take(columns))
        if known[1].n_bytes + sum(other.n_bytes for _, other in self._coded.values()) <= MAX_CODED_BYTES:
            self._coded[at] = known
        return known


@dataclass(frozen=True, eq=False)
class _Coded:
    """Genotypes as numbers to multiply, variants × samples; sums of whole numbers are exact in 32 bits up to 2^24.

    Args:
        values: -1, 0 and 1 copies more than one, 0 where missing.
        squares: of the values, where any is missing.
        called: 1 where called, where any is missing.
    """

    values: Singles
    squares: Singles | None
    called: Singles | None

    @classmethod
    def of(cls, members: Members) -> _Coded:
        if members.is_complete.all():
            return cls(members.dosages.astype(np.float32) - np.float32(1.0), None, None)
        called = (members.dosages >= 0).astype(np.float32)
        values = (members.dosages.astype(np.float32) - np.float32(1.0)) * called
        return cls(values, np.abs(values), called)

    @property
    def n_bytes(self) -> int:
        return self.values.nbytes * (1 if self.called is None else 3)

    def with_called(self) -> tuple[Singles, Singles, Singles]:
        """Values, squares, called."""
        if self.squares is None or self.called is None:
            return self.values, np.abs(self.values), np.ones_like(self.values)
        return self.values, self.squares, self.called


def _exceeds(rows: _Coded, columns: _Coded, max_r2: float) -> Flags:
    """Whether the r² of each two variants is above the threshold, over the people called at both; rows × columns.

    The last line is plink2's, operation by operation.
    """
    n: Floats | int = rows.values.shape[1]
    if rows.called is None and columns.called is None:
        a, b = rows.values, columns.values
        sum_a, sum_b = (x.sum(axis=1, dtype=np.float64) for x in (a, b))
        square_a, square_b = (np.abs(x).sum(axis=1, dtype=np.float64) for x in (a, b))
        sum_a, square_a = sum_a[:, None], square_a[:, None]
    else:
        (a, squares_a, called_a), (b, squares_b, called_b) = rows.with_called(), columns.with_called()
        n = _multiply(called_a, called_b)
        sum_a, square_a = _multiply(a, called_b), _multiply(squares_a, called_b)
        sum_b, square_b = _multiply(called_a, b), _multiply(called_a, squares_b)
    covariance = _multiply(a, b) * n - sum_a * sum_b
    variance_a = square_a * n - sum_a * sum_a
    variance_b = square_b * n - sum_b * sum_b
    return np.asarray(covariance * covariance > max_r2 * (1.0 + EPSILON) * variance_a * variance_b)


def _multiply(a: Singles, b: Singles) -> Floats:
    return np.asarray((a @ b.T).astype(np.float64))


def _to_bits(flags: Flags) -> int:
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")
