"""The index beside a VCF file, .tbi or .csi: where in the file the records of a region stand.

Both put each record into the smallest of a hierarchy of bins that holds it whole, eight to one, and list for each bin
the stretches of the file with its records. So a record that begins far before a region and reaches into it is found in
a large bin. Which of the stretches end before any record that overlaps the region's first base is told by a second
list: one offset a window of 16 kb in a .tbi, one a bin in a .csi. Offsets are BGZF's virtual ones: byte of the block
<< 16 | position in its text.

Formats: https://samtools.github.io/hts-specs/tabix.pdf and https://samtools.github.io/hts-specs/CSIv1.pdf.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import numpy as np
import numpy.typing as npt

from kgp.errors import FormatError, InputError
from kgp.io.storage import RangeReader
from kgp.io.urls import display_url

SUFFIXES = (".tbi", ".csi")

_TBI_SHIFT, _TBI_DEPTH = 14, 5
_VCF = 2  # the preset of tabix that says which columns hold contig, POS and end


@dataclass(frozen=True)
class Index:
    """What an index says.

    Args:
        contigs: name as the file spells it → what it says of that contig, in its order.
        min_shift: the smallest bins hold 2 ** min_shift bases.
        depth: levels of bins below the largest.
        n_bytes: size of the index as it is stored.
    """

    contigs: Mapping[str, _Contig]
    min_shift: int
    depth: int
    n_bytes: int

    @property
    def longest(self) -> int:
        """Bases that a contig may have; no record begins behind them."""
        return 1 << (self.min_shift + 3 * self.depth)

    @property
    def end(self) -> int:
        """Virtual offset of what follows the last record; 0 where there are no records."""
        return max(
            (int(one.chunk_ends.max()) for one in self.contigs.values() if len(one.chunk_ends)), default=0
        )

    def find_ranges(self, contig: str, start: int, end: int) -> list[tuple[int, int]]:
        """Stretches of the file that hold every record of a contig that overlaps a region, and others beside.

        Args:
            contig: as the file spells it.
            start, end: 0-based half-open.

        Returns:
            (first, end) virtual offsets of lines, ascending; they neither overlap nor touch.
        """
        found = self.contigs.get(contig)
        start, end = max(start, 0), min(end, self.longest)
        if found is None or start >= end:
            return []
        lowest = found.lowest_offset(start, self)
        hit = (found.bin_starts < end) & (found.bin_ends > start) & (found.chunk_ends > lowest)
        begins = np.maximum(found.chunk_begins[hit], lowest)
        return merge_ranges(zip(begins.tolist(), found.chunk_ends[hit].tolist(), strict=True))


def merge_ranges(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same stretches in order, those put together that overlap or touch.

    >>> merge_ranges([(7, 9), (1, 3), (3, 5), (2, 4)])
    [(1, 5), (7, 9)]
    """
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(ranges):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def index_url(url: str, suffix: str) -> str:
    """Where the index of a file lies; what a URL asks for behind its path stays behind it.

    >>> index_url("https://host/a.vcf.gz?sv=2024&sig=abc", ".tbi")
    'https://host/a.vcf.gz.tbi?sv=2024&sig=abc'
    """
    if not url.startswith(("http://", "https://")):
        return url + suffix
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path + suffix))


def read_index(url: str) -> Index | None:
    """Read the index at a URL, whole: it is small. None where there is none, or none that may be read.

    Raises:
        FormatError: it is no index of a VCF file.
    """
    stored = b""
    try:
        with RangeReader(url) as file:
            while more := file.read(1 << 20):
                stored += more
    except InputError:
        return None
    return parse_index(stored, where=display_url(url))


def parse_index(stored: bytes, *, where: str) -> Index:
    """Make sense of the bytes of a .tbi or .csi; which of them it is, is told by the content.

    Raises:
        FormatError: it is no index of a VCF file.
    """
    try:
        data = gzip.decompress(stored) if stored.startswith(b"\x1f\x8b") else stored
        if data.startswith(b"TBI\1"):
            contigs = _parse_tbi(data)
            return Index(contigs, _TBI_SHIFT, _TBI_DEPTH, len(stored))
        if data.startswith(b"CSI\1"):
            min_shift, depth = struct.unpack_from("<2i", data, 4)
            if min_shift + 3 * depth < 63:
                return Index(_parse_csi(data, min_shift, depth), min_shift, depth, len(stored))
    except (OSError, EOFError, zlib.error, struct.error, ValueError, UnicodeDecodeError):
        pass
    raise FormatError("This is no index of a VCF file.", where=where, mend="Make it again with tabix -f.")


@dataclass(frozen=True)
class _Contig:
    """Bins of a contig.

    Args:
        chunk_begins, chunk_ends: virtual offsets of the stretches of all bins.
        bin_starts, bin_ends: bases that the bin of each stretch holds, 0-based half-open.
        windows: .tbi: offset of the first record that overlaps each window.
        bin_offsets: .csi: bin → offset of the first record that overlaps its first window.
    """

    chunk_begins: npt.NDArray[np.int64]
    chunk_ends: npt.NDArray[np.int64]
    bin_starts: npt.NDArray[np.int64]
    bin_ends: npt.NDArray[np.int64]
    windows: npt.NDArray[np.int64]
    bin_offsets: Mapping[int, int]

    def lowest_offset(self, start: int, index: Index) -> int:
        """An offset before which no record stands that overlaps a base at or after `start`."""
        window = start >> index.min_shift
        if not self.bin_offsets:
            return int(self.windows[min(window, len(self.windows) - 1)]) if len(self.windows) else 0
        # Offsets of windows ascend, so where this one has no bin, that of any bin before it will do.
        number = _first_bin(index.depth) + window
        while number and number not in self.bin_offsets:
            parent = (number - 1) >> 3
            number = number - 1 if number > 8 * parent + 1 else parent
        return self.bin_offsets.get(number, 0)


def _parse_tbi(data: bytes) -> dict[str, _Contig]:
    (n_contigs,) = struct.unpack_from("<i", data, 4)
    names, at = _parse_names(data, 8)
    contigs = {}
    for number in range(n_contigs):
        bins, _, at = _parse_bins(data, at, has_offset=False)
        (n_windows,) = struct.unpack_from("<i", data, at)
        windows = np.frombuffer(data, "<i8", n_windows, at + 4)
        at += 4 + 8 * n_windows
        contigs[names[number]] = _make_contig(bins, _TBI_SHIFT, _TBI_DEPTH, windows, {})
    return contigs


def _parse_csi(data: bytes, min_shift: int, depth: int) -> dict[str, _Contig]:
    (n_aux,) = struct.unpack_from("<i", data, 12)
    names, _ = _parse_names(data, 16)
    (n_contigs,) = struct.unpack_from("<i", data, 16 + n_aux)
    at = 20 + n_aux
    contigs = {}
    for number in range(n_contigs):
        bins, offsets, at = _parse_bins(data, at, has_offset=True)
        contigs[names[number]] = _make_contig(bins, min_shift, depth, np.empty(0, np.int64), offsets)
    return contigs


def _parse_names(data: bytes, at: int) -> tuple[list[str], int]:
    """Names of the contigs from what tabix keeps of its settings, and where those end."""
    preset, *_, n_names = struct.unpack_from("<7i", data, at)
    if preset & 0xFFFF != _VCF:
        raise ValueError("not of a VCF file")
    at += 28
    names = data[at : at + n_names].split(b"\0")[:-1]
    return [name.decode() for name in names], at + n_names


def _parse_bins(
    data: bytes, at: int, *, has_offset: bool
) -> tuple[dict[int, npt.NDArray[np.int64]], dict[int, int], int]:
    """bin → its stretches (n × 2), bin → offset of its first record, and where the bins end."""
    (n_bins,) = struct.unpack_from("<i", data, at)
    at += 4
    bins: dict[int, npt.NDArray[np.int64]] = {}
    offsets: dict[int, int] = {}
    for _ in range(n_bins):
        (number,) = struct.unpack_from("<I", data, at)
        at += 4
        if has_offset:
            (offsets[number],) = struct.unpack_from("<q", data, at)
            at += 8
        (n_chunks,) = struct.unpack_from("<i", data, at)
        bins[number] = np.frombuffer(data, "<i8", 2 * n_chunks, at + 4).reshape(-1, 2)
        at += 4 + 16 * n_chunks
    return bins, offsets, at


def _make_contig(
    bins: Mapping[int, npt.NDArray[np.int64]],
    min_shift: int,
    depth: int,
    windows: npt.NDArray[np.int64],
    offsets: Mapping[int, int],
) -> _Contig:
    n_bins = _first_bin(depth + 1)
    kept = {number: chunks for number, chunks in bins.items() if number < n_bins}  # the next one holds counts
    chunks = np.concatenate([*kept.values(), np.empty((0, 2), np.int64)])
    if np.any(chunks[:, 0] > chunks[:, 1]) or np.any(chunks < 0):
        raise ValueError("a stretch ends before it begins")
    numbers = np.repeat(np.array(list(kept), np.int64), [len(one) for one in kept.values()])
    firsts = np.array([_first_bin(level) for level in range(depth + 1)], np.int64)
    levels = np.searchsorted(firsts, numbers, side="right") - 1
    shifts = min_shift + 3 * (depth - levels)
    starts = (numbers - firsts[levels]) << shifts
    return _Contig(
        chunk_begins=chunks[:, 0],
        chunk_ends=chunks[:, 1],
        bin_starts=starts,
        bin_ends=starts + (np.int64(1) << shifts),
        windows=windows,
        bin_offsets={number: offset for number, offset in offsets.items() if number < n_bins},
    )


def _first_bin(level: int) -> int:
    """Number of the first bin of a level; the largest bin is level 0."""
    return ((1 << 3 * level) - 1) // 7
