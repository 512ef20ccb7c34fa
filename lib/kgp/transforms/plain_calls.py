"""Plain genotypes, four bytes a sample: ``0|1`` and a separator, read as one 32-bit word each. Pure numpy.

Nearly every line of the 1000 Genomes releases has one ALT and diploid genotypes without a missing allele, all phased or
all unphased. With ``0|0`` (or ``0/0``) taken away from each word by exclusive or, such a genotype has bit 0 set for the
first allele and bit 16 for the second, and nothing else; so one pass over the words tells whether a whole line has that
form, and another one counts. Lines of any other form are left to `kgp.transforms.calls`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kgp.transforms.calls import PHASED, UNPHASED

Int64s = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]

_PHASED_ZERO = np.uint32(int.from_bytes(b"0|0\t", "little"))
_UNPHASED_ZERO = np.uint32(int.from_bytes(b"0/0\t", "little"))
_LAST_CELL = np.uint32((ord("\t") ^ ord("\n")) << 24)
_ALLELES = np.uint32(0x00010001)
_FIRST = np.uint32(0x00000001)
# Lines that are worked on at a time: their words stay in the processor's cache.
_BLOCK_BYTES = 1 << 19


@dataclass(frozen=True)
class PlainCalls:
    """Genotypes of records with one ALT; what stands in a row that is not plain means nothing.

    Args:
        is_plain: whether the line has the plain form.
        dosages: copies of the ALT, variants × samples.
        n_het, n_hom_alt: samples with one and with two copies.
        calls: the value of that column.
    """

    is_plain: npt.NDArray[np.bool_]
    dosages: npt.NDArray[np.int8]
    n_het: Int64s
    n_hom_alt: Int64s
    calls: list[bytes]

    def take(self, rows: npt.NDArray[np.intp]) -> PlainCalls:
        """Those records only."""
        calls = [self.calls[row] for row in rows]
        return PlainCalls(
            self.is_plain[rows], self.dosages[rows], self.n_het[rows], self.n_hom_alt[rows], calls
        )


def read_plain_calls(
    cells: Sequence[bytes | memoryview], n_samples: int, samples: Sequence[int] | None = None
) -> PlainCalls:
    """Read the sample columns of lines whose FORMAT is GT and that have three bytes a genotype.

    >>> calls = read_plain_calls([b"0|0\\t0|1\\t1|0\\t1|1\\n", b"0/0\\t0/1\\t./.\\t1/1\\n"], 4)
    >>> calls.is_plain.tolist(), calls.dosages[0].tolist(), calls.calls[0].hex()
    ([True, False], [0, 1, 1, 2], '0140')

    Args:
        cells: of each line, 4 x n_samples bytes, the last of them the line's end.
        n_samples: at least 1.
        samples: those whose genotypes are wanted, in this order; None for all. All are looked at: a line with an odd
            genotype is not plain, whoever has it.
    """
    n_lines = len(cells)
    wanted = None if samples is None else np.array(samples, dtype=np.intp)
    dosages = np.empty((n_lines, n_samples if wanted is None else len(wanted)), dtype=np.uint8)
    is_plain = np.empty(n_lines, dtype=bool)
    counts = np.empty((2, n_lines), dtype=np.int64)
    calls: list[bytes] = []
    step = max(1, _BLOCK_BYTES // (4 * n_samples))
    for begin in range(0, n_lines, step):
        rows = slice(begin, min(begin + step, n_lines))
        words = np.frombuffer(b"".join(cells[rows]), dtype="<u4").reshape(-1, n_samples)
        calls += _read_block(words, wanted, dosages[rows], is_plain[rows], counts[:, rows])
    return PlainCalls(is_plain, dosages.view(np.int8), counts[0], counts[1], calls)


def _read_block(
    words: Words,
    wanted: npt.NDArray[np.intp] | None,
    dosages: npt.NDArray[np.uint8],
    is_plain: npt.NDArray[np.bool_],
    counts: Int64s,
) -> list[bytes]:
    """Fill in what is known of some lines; gives their `calls`."""
    is_phased = (words[:, 0] & np.uint32(0xFF00)) == (_PHASED_ZERO & np.uint32(0xFF00))
    zero = np.where(is_phased, _PHASED_ZERO, _UNPHASED_ZERO)
    alleles = words ^ (zero[0] if (zero == zero[0]).all() else zero[:, None])
    alleles[:, -1] ^= _LAST_CELL
    is_plain[...] = (np.bitwise_or.reduce(alleles, axis=1) & ~_ALLELES) == 0
    if wanted is not None:
        alleles = alleles[:, wanted]

    dosages[...] = alleles + (alleles >> np.uint32(16))  # the low byte is the sum of both alleles
    hets = np.flatnonzero(dosages == 1)
    ends = np.searchsorted(hets, np.arange(1, len(words) + 1) * dosages.shape[1])
    counts[0] = np.diff(ends, prepend=0)
    counts[1] = [np.count_nonzero(row) for row in dosages == 2]

    is_first = alleles.ravel()[hets] & _FIRST
    # Unphased genotypes are written as they stand only where REF comes first: 0/1, not 1/0.
    n_first = np.concatenate(([0], np.cumsum(is_first, dtype=np.int64)))
    n_first_of_row = n_first[ends] - n_first[ends - counts[0]]
    is_plain &= is_phased | (n_first_of_row == 0)
    packed, begins = _pack_rows(is_first.astype(np.uint8), counts[0], ends)
    return [
        bytes([PHASED]) + packed[begin:end] if phased else bytes([UNPHASED])
        for begin, end, phased in zip(begins[:-1], begins[1:], is_phased.tolist(), strict=True)
    ]


def _pack_rows(bits: npt.NDArray[np.uint8], n_bits: Int64s, ends: Int64s) -> tuple[bytes, list[int]]:
    """Bits of many rows packed, most significant first, each row from a byte of its own; and where each begins."""
    begins = np.concatenate(([0], np.cumsum((n_bits + 7) // 8)))
    spread = np.zeros(8 * int(begins[-1]), dtype=np.uint8)
    spread[np.arange(len(bits)) + np.repeat(8 * begins[:-1] - (ends - n_bits), n_bits)] = bits
    return np.packbits(spread).tobytes(), begins.tolist()
