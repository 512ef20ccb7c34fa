"""What Glow's reader would read otherwise than it stands: a file's lines, looked at before the file is given to it.

Glow's default reader gives no sign where it misreads: a row with too few samples gets the genotypes of the row before,
a value too many moves into the next sample, a fraction declared Integer loses what is behind its point. So a file is
given to it only where every line has a form that it is known to read as it stands; the forms were learned from its
recorded answers. What is not known to be read well counts as misread: then the builtin engine reads the file.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kgp.io.inflate import Damage
from kgp.io.splits import Split, read_pieces
from kgp.io.vcf.glow_forms import (
    COLUMNS,
    MOST_DIGITS,
    SITE,
    flags,
    format_values,
    genotype_values,
    info_values,
)
from kgp.io.vcf.header import VcfHeader
from kgp.io.vcf.parser import LONGEST_LINE
from kgp.transforms.calls import explain_genotypes, read_pairs

_PHASED_ZERO = np.uint32(int.from_bytes(b"0|0\t", "little"))
_UNPHASED_ZERO = np.uint32(int.from_bytes(b"0/0\t", "little"))
_NOT_ALLELES = np.uint32(0xFFFEFFFE)


@dataclass(frozen=True)
class LineGuard:
    """Counts the misread lines of a split; a task calls it.

    Args:
        offset: record offset of the header's last line.
        n_columns: columns that a record has to have.
        n_samples: samples of the header.
        infos: INFO key → expression of the values that Glow reads as they stand.
        flags: INFO keys without value.
        formats: FORMAT key → the same expression for one sample's value.
    """

    offset: int
    n_columns: int
    n_samples: int
    infos: Mapping[str, str]
    flags: frozenset[str]
    formats: Mapping[str, str]

    @classmethod
    def of(cls, header: VcfHeader) -> LineGuard:
        """For the records below that header."""
        return cls(
            offset=header.offset,
            n_columns=header.n_columns,
            n_samples=len(header.samples),
            infos=info_values(header),
            flags=flags(header),
            formats=format_values(header),
        )

    def __call__(self, split: Split) -> Counter[str]:
        """Shape → lines."""
        found: Counter[str] = Counter()
        for piece in read_pieces(split):
            if isinstance(piece, Damage):
                found["damaged bytes"] += 1
                continue
            starts, ends = piece.lines()
            is_body = piece.offsets(starts) > self.offset
            places = zip(starts[is_body].tolist(), ends[is_body].tolist(), strict=True)
            found += self._look(piece.data, places)
        return found

    def look(self, lines: bytes) -> Counter[str]:
        """The same for records, each with its line end."""
        ends = [at for at, byte in enumerate(lines) if byte == ord("\n")]
        return self._look(lines, zip([0, *(end + 1 for end in ends)], ends, strict=False))

    def _look(self, data: bytes, places: Iterable[tuple[int, int]]) -> Counter[str]:
        """The records at some places of a text, without their line ends."""
        found: Counter[str] = Counter()
        has_odd_bytes = not data.isascii() or b"\0" in data or b"\r" in data
        sites: list[list[bytes]] = []
        samples: defaultdict[tuple[bytes, int], list[bytes]] = defaultdict(list)
        for begin, end in places:
            line = data[begin:end]
            fields = line.split(b"\t", 9)
            shape = self._odd_line(line, fields, has_odd_bytes=has_odd_bytes)
            if shape is not None:
                found[shape] += 1
                continue
            sites.append(fields[:8])
            if self.n_samples:
                samples[fields[8], _count_alts(fields[4])].append(fields[9])
        if sites:
            found += _odd_sites(sites)
            found += self._odd_infos(sites)
        for (keys, n_alts), texts in samples.items():
            found += self._odd_samples(keys.decode(), n_alts, texts)
        return found

    def _odd_line(self, line: bytes, fields: Sequence[bytes], *, has_odd_bytes: bool) -> str | None:
        if not line:
            return "empty line"
        if has_odd_bytes:
            if b"\0" in line or b"\r" in line:
                return "NUL or carriage return in a line"
            if not _is_utf8(line):
                return "no UTF-8"
        if len(line) > LONGEST_LINE:
            return "line that is too long"
        if len(fields) != min(self.n_columns, 10):
            return "wrong number of columns"
        return None

    def _odd_infos(self, sites: Sequence[Sequence[bytes]]) -> Counter[str]:
        """INFO of many records, key by key."""
        found: Counter[str] = Counter()
        with_info = [fields for fields in sites if fields[7] != b"."]
        if not with_info:
            return found
        lists = pc.split_pattern(pa.array([fields[7] for fields in with_info], pa.string()), ";")
        parts = pc.split_pattern(lists.values, "=", max_splits=1)
        begins = np.array(parts.offsets, dtype=np.int64)
        keys = parts.values.take(pa.array(begins[:-1])).dictionary_encode()
        values = parts.values.take(pa.array(begins[:-1] + 1, mask=np.diff(begins) == 1))
        codes = np.array(keys.indices, dtype=np.int64)
        rows = np.repeat(np.arange(len(with_info)), np.diff(np.array(lists.offsets, dtype=np.int64)))

        odd: defaultdict[str, list[npt.NDArray[np.intp]]] = defaultdict(list)
        _, firsts = np.unique(rows * len(keys.dictionary) + codes, return_index=True)
        odd["repeated INFO key"].append(np.delete(rows, firsts))
        order = np.argsort(codes, kind="stable")
        ends = np.searchsorted(codes[order], np.arange(len(keys.dictionary) + 1))
        for code, key in enumerate(keys.dictionary.to_pylist()):
            mine = order[ends[code] : ends[code + 1]]
            of_key, of_rows = values.take(pa.array(mine)), rows[mine]
            shape, is_odd = self._odd_values(key, of_key)
            odd[shape].append(of_rows[is_odd])
            if key == "END" and not is_odd.any():
                texts = of_key.to_pylist()
                is_idle = [_is_idle_end(with_info[i], int(t)) for i, t in zip(of_rows, texts, strict=True)]
                odd["INFO END no further than REF"].append(of_rows[np.array(is_idle, dtype=bool)])
        for shape, of_shape in odd.items():
            found[shape] += len(np.unique(np.concatenate(of_shape)))
        return +found

    def _odd_values(self, key: str, values: pa.Array) -> tuple[str, npt.NDArray[np.bool_]]:
        """What is wrong with values of an INFO key, and with which of them."""
        if key not in self.infos:
            return "undeclared INFO key", np.ones(len(values), dtype=bool)
        if key in self.flags:
            return f"INFO {key} with a value", np.array(pc.is_valid(values))
        is_read = pc.match_substring_regex(values, f"^(?:{self.infos[key]})$").fill_null(False)
        return f"INFO {key}: a value that Glow reads otherwise", ~np.array(is_read)

    def _odd_samples(self, keys: str, n_alts: int, texts: list[bytes]) -> Counter[str]:
        """FORMAT and samples of records that have the same FORMAT and as many ALTs."""
        found: Counter[str] = Counter()
        if keys == "GT" and "GT" in self.formats and n_alts <= MOST_DIGITS:
            texts = _not_plain(texts, self.n_samples, n_alts)
        is_whole = [text.count(b"\t") + 1 == self.n_samples for text in texts]
        found["wrong number of columns"] += is_whole.count(False)
        texts = [text for text, ok in zip(texts, is_whole, strict=True) if ok]
        names = keys.split(":")
        shape = self._odd_format(names)
        if shape is not None or not texts:
            found[shape or ""] += len(texts)
            return +found
        patterns = [genotype_values(n_alts) if name == "GT" else self.formats[name] for name in names]
        cell = patterns[-1]
        for pattern in reversed(patterns[:-1]):
            cell = f"{pattern}(?::{cell})?"
        whole = pc.match_substring_regex(pa.array(texts, pa.string()), rf"^{cell}(?:\t{cell})*$")
        for row in np.flatnonzero(~np.array(whole, dtype=bool)).tolist():
            found[_explain_samples(texts[row].decode(), names, patterns, n_alts)] += 1
        return +found

    def _odd_format(self, names: Sequence[str]) -> str | None:
        if names == ["."]:
            return "FORMAT '.'"
        if not self.formats.keys() >= set(names):
            return "undeclared FORMAT key"
        if len(set(names)) < len(names):
            return "repeated FORMAT key"
        if "GT" in names[1:]:
            return "GT is not the first FORMAT key"
        return None


def _count_alts(alt: bytes) -> int:
    return 0 if alt == b"." else alt.count(b",") + 1


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _odd_sites(sites: Sequence[Sequence[bytes]]) -> Counter[str]:
    """The first seven columns."""
    found: Counter[str] = Counter()
    texts = pa.array([b"\t".join(fields[:7]) for fields in sites], pa.string())
    for row in np.flatnonzero(~np.array(pc.match_substring_regex(texts, SITE))).tolist():
        for (name, pattern), field in zip(COLUMNS.items(), sites[row], strict=False):
            if re.fullmatch(pattern, field.decode()) is None:
                found[f"{name} that Glow reads otherwise"] += 1
                break
    return found


def _is_idle_end(fields: Sequence[bytes], end: int) -> bool:
    """Whether INFO END says no more than REF does; then Glow's answer does not tell whether it was there."""
    return fields[1].isdigit() and end <= int(fields[1]) - 1 + len(fields[3].decode())


def _not_plain(texts: list[bytes], n_samples: int, n_alts: int) -> list[bytes]:
    """Of the sample columns under GT those that do not have three bytes a genotype, well-formed."""
    width = 4 * n_samples - 1
    others = [text for text in texts if len(text) != width]
    texts = [text for text in texts if len(text) == width]
    if texts and n_alts:
        words = np.frombuffer(b"\t".join(texts) + b"\t", dtype="<u4").reshape(-1, n_samples)
        zero = np.where((words[:, :1] ^ _PHASED_ZERO) & _NOT_ALLELES, _UNPHASED_ZERO, _PHASED_ZERO)
        is_odd = (np.bitwise_or.reduce(words ^ zero, axis=1) & _NOT_ALLELES) != 0
        texts = [texts[row] for row in np.flatnonzero(is_odd).tolist()]
    if texts:
        _, is_valid = read_pairs(texts, n_samples, np.full(len(texts), n_alts))
        others += [texts[row] for row in np.flatnonzero(~is_valid).tolist()]
    return others


def _explain_samples(samples: str, names: Sequence[str], patterns: Sequence[str], n_alts: int) -> str:
    for cell in samples.split("\t"):
        values = cell.split(":")
        if len(values) > len(names):
            return "more values than FORMAT has keys"
        for name, pattern, value in zip(names, patterns, values, strict=False):
            if re.fullmatch(pattern, value) is None:
                if name == "GT" and explain_genotypes([value], n_alts) is not None:
                    return "malformed genotype"
                if name == "GT":
                    return "genotype that Glow reads otherwise"
                return f"FORMAT {name}: a value that Glow reads otherwise"
    return "samples that Glow may read otherwise"
