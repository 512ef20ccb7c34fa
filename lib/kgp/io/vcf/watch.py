"""Oddities in the lines of a split that were loaded, found at the speed of the lines that have none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kgp.io.vcf.conformance import LineChecker, Oddity
from kgp.io.vcf.parser import Lines

# Records that the expression of boring ones is learned from, and how often it may be learned anew.
_N_EXAMPLES = 64
_MOST_LESSONS = 8


@dataclass
class LineWatch:
    """Looks for oddities in the lines of a split that were loaded.

    Most lines resemble the ones before. An expression is learned from the first ones; a line that fits it has
    nothing odd, any other one is looked at closely.
    """

    checker: LineChecker
    _pattern: str | None = None
    _n_lessons: int = 0
    _samples_patterns: dict[tuple[str, int], str | None] = field(default_factory=dict)

    def find_in_plain(
        self, sites: Sequence[bytes], offsets: npt.NDArray[np.int64]
    ) -> Iterator[tuple[str, int]]:
        """(kind, record offset) of what is odd in plain lines, by their first eight columns."""
        closely = self._not_boring(sites)
        if len(closely) > len(sites) // 4 and self._n_lessons < _MOST_LESSONS:
            self._learn([sites[i] for i in closely[:: max(1, len(closely) // _N_EXAMPLES)]])
            closely = closely[self._not_boring([sites[i] for i in closely])]
        for line in closely.tolist():
            for kind in self.checker.find(_fields(sites[line])):
                yield kind.value, int(offsets[line])

    def find_in_others(
        self, data: bytes, lines: Lines, which: npt.NDArray[np.intp]
    ) -> Iterator[tuple[str, int]]:
        """The same of lines of any other form."""
        for line in which.tolist():
            text = data[lines.starts[line] : lines.ends[line]].decode()
            for kind in self._find(text):
                yield kind.value, int(lines.offsets[line])

    def _not_boring(self, sites: Sequence[bytes]) -> npt.NDArray[np.intp]:
        if self._pattern is None:
            return np.arange(len(sites))
        texts = pc.binary_join_element_wise(pa.array(sites, pa.binary()), b"\tGT", b"")
        is_boring = pc.match_substring_regex(texts, f"^(?:{self._pattern})$")
        return np.flatnonzero(~np.array(is_boring))

    def _learn(self, sites: Sequence[bytes]) -> None:
        self._n_lessons += 1
        examples = [fields for fields in map(_fields, sites) if not self.checker.find(fields)]
        self._pattern = self.checker.boring_site_for(examples) or self._pattern

    def _find(self, text: str) -> Sequence[Oddity]:
        fields = text.split("\t", 9)
        if len(fields) < 10:
            return self.checker.find(fields)
        if fields[8] == "GT":  # the genotypes were parsed; nothing else is in the samples
            return self.checker.find([*fields[:9], "0"])
        key = (fields[8], 0 if fields[4] == "." else fields[4].count(",") + 1)
        if key not in self._samples_patterns:
            self._samples_patterns[key] = self.checker.boring_samples_for(*key)
        pattern = self._samples_patterns[key]
        if pattern is not None:
            samples = pa.array([fields[9]], pa.string())
            if pc.match_substring_regex(samples, f"^(?:{pattern})$")[0].as_py():
                return self.checker.find(fields[:9])
        return self.checker.find(text.split("\t"))


def _fields(site: bytes) -> list[str]:
    """Columns of a plain line; its genotypes were parsed and do not matter."""
    return [*site.decode().split("\t"), "GT", "0|0"]
