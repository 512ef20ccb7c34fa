"""Which bytes of an indexed VCF file must be read for a selection, as splits; and whether its index can be believed.

An index that was made for another state of the file would send the reader past records without a sound. So before it
is used, it is held against the file: behind its last record nothing may follow but the end of the file, each stretch
has to begin with a line of the right contig, and no record of the selection may stand right behind one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from kgp.errors import FormatError
from kgp.io.inflate import MAX_BLOCK, Damage, find_block, read_blocks
from kgp.io.splits import Split
from kgp.io.storage import RangeReader, file_size
from kgp.io.tasks import task_bytes
from kgp.io.vcf.index import SUFFIXES, Index, index_url, merge_ranges, read_index
from kgp.io.vcf.selection import Selection
from kgp.transforms.alleles import parse_whole_number

# Bytes between two stretches that are read rather than asked for apart. No less than a block: of a stretch's last block
# only the beginning is known, and the line behind that block, which is read with it, must not be another stretch's.
_GAP_BYTES = MAX_BLOCK
# To cut a stretch in two costs four blocks that are fetched twice.
_LEAST_BYTES = 1 << 20
_N_AT_ONCE = 8
# A block of genotypes is far smaller; of a larger one the rest is read, too.
_PROBE_BYTES = 16 << 10


@dataclass(frozen=True)
class SelectedSplits:
    """What an index gives.

    Args:
        splits: at least one, in file order; None where the whole file has to be scanned.
        is_stale: whether there is an index, but none that belongs to the file.
        n_read: bytes read to find out.
    """

    splits: list[Split] | None
    is_stale: bool = False
    n_read: int = 0


def plan_selected(
    url: str, selection: Selection, names: Mapping[str, str], *, n_cores: int
) -> SelectedSplits:
    """Splits that cover the records of a selection in a BGZF file with an index beside it.

    Lines of other places stand in them, too; no line stands in two of them.

    Args:
        url: the file.
        selection: what is asked for, with canonical names.
        names: contig as spelled → canonical name; what is not in it stays as it is.
        n_cores: cores that the splits are for.

    Raises:
        InputError: the file can't be read.
    """
    if selection.is_everything:
        return SelectedSplits(None)
    is_stale, n_read = False, 0
    for suffix in SUFFIXES:
        try:
            index = read_index(index_url(url, suffix))
        except FormatError:
            is_stale = True
            continue
        if index is None:
            continue
        check = _Checked(url, selection, names, index)
        splits = check.make_splits(n_cores)
        n_read += index.n_bytes + sum(check.reads)
        if splits is not None:
            return SelectedSplits(splits, n_read=n_read)
        is_stale = True
    return SelectedSplits(None, is_stale, n_read)


@dataclass
class _Checked:
    """An index, held against the file that it lies beside.

    Args:
        url, selection, names: as in `plan_selected`.
        index: the index.
        reads: bytes of each request.
    """

    url: str
    selection: Selection
    names: Mapping[str, str]
    index: Index
    reads: list[int] = field(default_factory=list)

    def make_splits(self, n_cores: int) -> list[Split] | None:
        """The splits; None where the index does not belong to the file."""
        end = self.index.end
        if not self._is_end(end):
            return None
        found = {contig: self._find_ranges(contig) for contig in self.index.contigs}
        contigs = {begin: contig for contig, ranges in found.items() for begin, _ in ranges}
        ranges = merge_ranges(one for ranges in found.values() for one in ranges)
        if not ranges:  # none of it is in the file: a split without a line
            return [Split(self.url, "bgzf", end >> 16, None, first_line=end & 0xFFFF)]
        with ThreadPoolExecutor(_N_AT_ONCE) as pool:
            are_right = list(pool.map(lambda one: self._is_right(contigs[one[0]], *one), ranges))
            if not all(are_right):
                return None
            stretches = _join_near(ranges)
            n_bytes = sum(stop - (begin >> 16) for begin, stop in stretches)
            size = max(_LEAST_BYTES, task_bytes(n_bytes, n_cores))
            cut = pool.map(lambda one: _cut(self.url, one, size), stretches)
            return [split for splits in cut for split in splits]

    def _find_ranges(self, contig: str) -> list[tuple[int, int]]:
        name = self.names.get(contig, contig)
        if name in self.selection.contigs:
            return self.index.find_ranges(contig, 0, self.index.longest)
        regions = [region for region in self.selection.regions if region.contig == name]
        found = [self.index.find_ranges(contig, region.start, region.end) for region in regions]
        return merge_ranges(one for ranges in found for one in ranges)

    def _is_end(self, offset: int) -> bool:
        """Whether the file has no lines, but empty ones, behind a virtual offset."""
        byte, position = offset >> 16, offset & 0xFFFF
        size = file_size(self.url)
        if size == byte:
            return position == 0
        if not byte < size <= byte + 2 * MAX_BLOCK:
            return False
        text = b""
        for piece in self._texts(byte):
            if isinstance(piece, Damage):
                return False
            text += piece
        return len(text) >= position and not text[position:].strip(b"\r\n")

    def _is_right(self, contig: str, begin: int, end: int) -> bool:
        """Whether a stretch begins with a line of its contig, and no line of the selection stands behind it."""
        first, behind = self._place_at(begin), self._place_at(end)
        if first is None or behind is None or first[0] != contig:
            return False
        spelled, start = behind
        is_selected = start is not None and self.selection.takes(
            self.names.get(spelled, spelled), start, start + 1
        )
        return not is_selected

    def _place_at(self, offset: int) -> tuple[str, int | None] | None:
        """CHROM and POS - 1 of the line at a virtual offset; None where no line begins there."""
        byte, position = offset >> 16, offset & 0xFFFF
        text = b""
        for piece in self._texts(byte):
            if isinstance(piece, Damage) or (not text and len(piece) < position):
                return None
            text += piece
            if text.count(b"\t", position) >= 2 or len(text) > position + MAX_BLOCK:
                break
        if position and text[position - 1 : position] != b"\n":
            return None
        contig, _, rest = text[position:].partition(b"\t")
        pos = parse_whole_number(rest.partition(b"\t")[0].decode("latin-1"))
        return contig.decode("utf-8", errors="replace"), None if pos is None else pos - 1

    def _texts(self, byte: int) -> Iterator[bytes | Damage]:
        with RangeReader(self.url, step=_PROBE_BYTES, on_read=self.reads.append) as file:
            for _, text in read_blocks(file, byte):
                yield text


def _join_near(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """(virtual offset of the first line, a byte in the last block or right behind it) of what is read in one go."""
    joined: list[tuple[int, int]] = []
    for begin, end in ranges:
        stop = (end >> 16) + (end & 0xFFFF > 0)
        if joined and begin >> 16 <= joined[-1][1] + _GAP_BYTES:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((begin, stop))
    return joined


def _cut(url: str, stretch: tuple[int, int], most: int) -> list[Split]:
    """Splits of at most about so many bytes."""
    begin, stop = stretch
    first = begin >> 16
    n = max(1, math.ceil((stop - first) / most))
    found = {find_block(url, first + (stop - first) * i // n) for i in range(1, n)}
    starts = [first, *sorted(at for at in found if at is not None and first < at < stop)]
    splits = [Split(url, "bgzf", *ends) for ends in zip(starts, [*starts[1:], stop], strict=True)]
    return [replace(splits[0], first_line=begin & 0xFFFF), *splits[1:]]
