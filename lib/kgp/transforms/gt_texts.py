"""GT texts of any form, as `calls` of layout 0 keep them: what is counted of each sample. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kgp.errors import CheckError
from kgp.transforms.calls import parse_genotype

Bools = npt.NDArray[np.bool_]
Int8s = npt.NDArray[np.int8]

# Allele of a sample that has only one: neither called nor missing.
_ABSENT = -2
_TAB, _PIPE, _SLASH, _DOT, _ZERO = (ord(c) for c in "\t|/.0")


@dataclass(frozen=True, eq=False)
class SampleCalls:
    """What is counted of each sample, variants × samples.

    Args:
        copies: copies of the ALT among the called alleles.
        called: called alleles.
        is_missing: whether an allele is missing.
        is_diploid: whether there are two alleles, both called.
    """

    copies: Int8s
    called: Int8s
    is_missing: Bools
    is_diploid: Bools


def read_gt_texts(texts: Sequence[bytes], alt_indices: Sequence[int], n_samples: int) -> SampleCalls:
    """What is counted of each sample in GT texts.

    >>> calls = read_gt_texts([b"0|1\\t1\\t./1\\t0/1/1"], [1], 4)
    >>> calls.copies.tolist(), calls.called.tolist(), calls.is_diploid.tolist()
    ([[1, 1, 1, 2]], [[2, 1, 1, 3]], [[True, False, False, False]])

    Args:
        texts: of each row, the GT texts of all samples joined by tabs.
        alt_indices: number of each row's ALT.
        n_samples: of every row.

    Raises:
        CheckError: a row has another number of genotypes.
    """
    shape = (len(texts), n_samples)
    calls = SampleCalls(
        np.zeros(shape, np.int8), np.zeros(shape, np.int8), np.zeros(shape, bool), np.zeros(shape, bool)
    )
    for row, (text, alt_index) in enumerate(zip(texts, alt_indices, strict=True)):
        one = _read_short(text, alt_index, n_samples) or _read_any(text, alt_index, n_samples)
        for matrix, values in zip(vars(calls).values(), one, strict=True):
            matrix[row] = values
    return calls


def other_length(found: int, n_samples: int) -> CheckError:
    """The error where a row does not have the callset's number of genotypes."""
    return CheckError(
        f"A row has {found} genotypes, its callset {n_samples} samples.",
        where="table variants",
        mend="Load the callset's files again.",
    )


def _read_short(text: bytes, alt_index: int, n_samples: int) -> tuple[Int8s, Int8s, Bools, Bools] | None:
    """Of one row whose genotypes are all haploid or diploid with alleles below 10; None of any other."""
    cells = np.frombuffer(text, dtype=np.uint8)
    ends = np.append(np.flatnonzero(cells == _TAB), cells.size)
    begins = np.append(0, ends[:-1] + 1)
    lengths = ends - begins
    is_pair = lengths == 3
    if ends.size != n_samples or not (is_pair | (lengths == 1)).all():
        return None
    separators = cells[begins[is_pair] + 1]
    if not ((separators == _PIPE) | (separators == _SLASH)).all():
        return None
    first = _alleles(cells[begins])
    second = np.full(n_samples, _ABSENT, dtype=np.int8)
    second[is_pair] = _alleles(cells[begins[is_pair] + 2])
    is_missing = (first == -1) | (second == -1)
    copies = (first == alt_index).view(np.int8) + (second == alt_index).view(np.int8)
    called = (first >= 0).view(np.int8) + (second >= 0).view(np.int8)
    return copies, called, is_missing, is_pair & ~is_missing


def _alleles(cells: npt.NDArray[np.uint8]) -> Int8s:
    """Numbers of one-digit alleles, -1 for a dot."""
    return np.where(cells == _DOT, -1, cells.astype(np.int8) - _ZERO).astype(np.int8)


def _read_any(text: bytes, alt_index: int, n_samples: int) -> tuple[Int8s, Int8s, Bools, Bools]:
    """Of one row, whatever its genotypes are."""
    texts = text.decode().split("\t")
    if len(texts) != n_samples:
        raise other_length(len(texts), n_samples)
    kinds = {kind: code for code, kind in enumerate(dict.fromkeys(texts))}
    codes = np.fromiter((kinds[one] for one in texts), dtype=np.int64, count=n_samples)
    parsed = [parse_genotype(kind) or () for kind in kinds]
    copies = np.array([alleles.count(alt_index) for alleles in parsed], dtype=np.int8)
    called = np.array([len(alleles) - alleles.count(-1) for alleles in parsed], dtype=np.int8)
    is_missing = np.array([-1 in alleles for alleles in parsed], dtype=bool)
    is_diploid = np.array([len(alleles) == 2 for alleles in parsed], dtype=bool) & ~is_missing
    return copies[codes], called[codes], is_missing[codes], is_diploid[codes]
