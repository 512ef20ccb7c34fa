"""Genotype calls: from GT texts to dosages and the `calls` column, and back. Pure numpy.

Arrays are variants × samples. An allele is the number that GT gives it, and -1 where it is missing; a dosage
counts the copies of one ALT, and is -1 where any allele of the genotype is missing. The layout of `calls` is
described in `kgp.terms`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Int8s = npt.NDArray[np.int8]
Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

TEXT, PHASED, UNPHASED = 0, 1, 2

# VCF 4.4 lets a genotype begin with a separator that says how its first allele is phased.
_GENOTYPE = re.compile(r"[|/]?(?:\.|[0-9]+)(?:[|/](?:\.|[0-9]+))*")
_MOST_DIGITS = 4
_PHASED_TEXTS = ("0|0", "1|1", "0|1", "1|0", ".|.")
_UNPHASED_TEXTS = ("0/0", "1/1", "0/1", "./.")


@dataclass(frozen=True)
class Pairs:
    """Diploid genotypes of many records.

    Args:
        first, second: alleles, variants × samples, -1 where missing.
        is_phased: variants × samples.
    """

    first: Int8s
    second: Int8s
    is_phased: Bools

    def take(self, rows: npt.NDArray[np.intp]) -> Pairs:
        """Those records only."""
        if len(rows) == len(self.first):
            return self
        return Pairs(self.first[rows], self.second[rows], self.is_phased[rows])


@dataclass(frozen=True)
class Counts:
    """One ALT's copies.

    Args:
        dosages: copies, variants × samples, -1 where missing.
        ac: copies among the called alleles, a variant.
        an: called alleles, a variant.
        n_missing: samples without a dosage, a variant.
        n_het, n_hom_alt, n_hom_rest: diploid genotypes with one, two and no copies, a variant.
    """

    dosages: Int8s
    ac: Int64s
    an: Int64s
    n_missing: Int64s
    n_het: Int64s
    n_hom_alt: Int64s
    n_hom_rest: Int64s

    def split(self) -> list[Counts]:
        """One by one: each with arrays of one row."""
        arrays = [getattr(self, one.name) for one in fields(self)]
        return [Counts(*(array[row : row + 1] for array in arrays)) for row in range(len(self.ac))]


def read_pairs(texts: Sequence[bytes], n_samples: int, n_alts: npt.ArrayLike) -> tuple[Pairs, Bools]:
    """Read the sample parts of lines whose FORMAT is GT and whose genotypes have three bytes each.

    Args:
        texts: one per record: `n_samples` genotypes joined by tabs, 4 × n_samples - 1 bytes.
        n_samples: at least 1.
        n_alts: ALT alleles of each record; greater allele numbers are not valid.

    Returns:
        The genotypes, and which records are valid: each genotype is a digit or ``.``, then ``|`` or ``/``,
        then a digit or ``.``. What stands in a row that is not valid means nothing.
    """
    width = 4 * n_samples
    cells = np.frombuffer(b"\t".join(texts) + b"\t" if texts else b"", dtype=np.uint8).reshape(-1, width)
    most = np.minimum(np.asarray(n_alts, dtype=np.int64), 9).astype(np.int8)[:, None]
    alleles = []
    is_valid = (cells[:, 3::4] == ord("\t")).all(axis=1)
    for column in (0, 2):
        text = np.ascontiguousarray(cells[:, column::4])
        number = (text - np.uint8(ord("0"))).view(np.int8)
        is_missing = text == ord(".")
        is_valid &= (is_missing | ((number >= 0) & (number <= most))).all(axis=1)
        number[is_missing] = -1
        alleles.append(number)
    separator = np.ascontiguousarray(cells[:, 1::4])
    is_phased = separator == ord("|")
    is_valid &= (is_phased | (separator == ord("/"))).all(axis=1)
    return Pairs(alleles[0], alleles[1], is_phased), is_valid


def count_pairs(pairs: Pairs, alt_index: int) -> Counts:
    """Count one ALT in diploid genotypes."""
    is_first, is_second = pairs.first == alt_index, pairs.second == alt_index
    no_first, no_second = pairs.first < 0, pairs.second < 0
    is_missing = no_first | no_second
    dosages = is_first.view(np.int8) + is_second.view(np.int8)
    dosages[is_missing] = -1
    n_samples = pairs.first.shape[1]
    n_missing, n_het, n_hom_alt = _count(is_missing), _count(dosages == 1), _count(dosages == 2)
    return Counts(
        dosages,
        _count(is_first) + _count(is_second),
        2 * n_samples - _count(no_first) - _count(no_second),
        n_missing,
        n_het,
        n_hom_alt,
        n_samples - n_missing - n_het - n_hom_alt,
    )


def _count(mask: Bools) -> Int64s:
    # Row by row: over an axis, numpy would first make eight bytes of each truth value.
    return np.fromiter((np.count_nonzero(row) for row in mask), dtype=np.int64, count=len(mask))


def encode_pairs(pairs: Pairs, n_alts: npt.ArrayLike, texts: Sequence[bytes]) -> list[bytes]:
    """The `calls` value of each record.

    Args:
        pairs: the genotypes.
        n_alts: ALT alleles of each record.
        texts: the GT texts of each record joined by tabs, for what the short layouts can't say.
    """
    first, second, is_phased = pairs.first, pairs.second, pairs.is_phased
    is_plain = (np.asarray(n_alts) == 1) & ((first < 0) == (second < 0)).all(axis=1)
    is_phased_row = is_plain & is_phased.all(axis=1)
    is_unphased_row = is_plain & ~is_phased_row & (~is_phased & (first <= second)).all(axis=1)

    # Bits of all phased rows at once: each row's begin at a byte of their own.
    rows = np.flatnonzero(is_phased_row)
    is_het = (first[rows] >= 0) & (first[rows] != second[rows])
    n_bits = _count(is_het)
    n_bytes = (n_bits + 7) // 8
    begins = np.concatenate(([0], np.cumsum(n_bytes)))
    rank = np.arange(n_bits.sum()) - np.repeat(np.cumsum(n_bits) - n_bits, n_bits)
    bits = np.zeros(8 * begins[-1], dtype=np.uint8)
    bits[8 * np.repeat(begins[:-1], n_bits) + rank] = first[rows][is_het]
    packed = np.packbits(bits).tobytes()

    calls = [
        b"\x02" if is_short else b"\x00" + text for is_short, text in zip(is_unphased_row, texts, strict=True)
    ]
    for row, begin, end in zip(rows.tolist(), begins[:-1].tolist(), begins[1:].tolist(), strict=True):
        calls[row] = b"\x01" + packed[begin:end]
    return calls


@lru_cache(maxsize=1 << 16)
def parse_genotype(text: str) -> tuple[int, ...] | None:
    """The alleles of one GT text, -1 where missing, or None where it is malformed.

    >>> parse_genotype("0|1"), parse_genotype("./1"), parse_genotype("1"), parse_genotype("x/1")
    ((0, 1), (-1, 1), (1,), None)
    """
    if _GENOTYPE.fullmatch(text) is None:
        return None
    alleles = text.lstrip("|/").replace("|", "/").split("/")
    if len(alleles) > 127 or any(len(allele) > _MOST_DIGITS for allele in alleles):
        return None
    return tuple(-1 if allele == "." else int(allele) for allele in alleles)


def explain_genotypes(texts: Sequence[str], n_alts: int) -> str | None:
    """What is wrong with the genotypes of a record, or None.

    >>> explain_genotypes(["0|1", "0|2"], 1)
    "GT '0|2' names an allele that the record does not have"
    """
    for text in dict.fromkeys(texts):
        alleles = parse_genotype(text)
        if alleles is None:
            return f"GT '{text[:40]}' is malformed"
        if max(alleles) > n_alts:
            return f"GT '{text[:40]}' names an allele that the record does not have"
    return None


def count_texts(texts: Sequence[str], alt_index: int) -> Counts:
    """Count one ALT in the genotypes of one record, of any ploidy; all arrays have one row."""
    kinds = {text: code for code, text in enumerate(dict.fromkeys(texts))}
    codes = np.fromiter((kinds[text] for text in texts), dtype=np.int64, count=len(texts))
    frequency = np.bincount(codes, minlength=len(kinds))
    parsed = [parse_genotype(text) or () for text in kinds]
    copies = np.array([alleles.count(alt_index) for alleles in parsed], dtype=np.int64)
    called = np.array([len(alleles) - alleles.count(-1) for alleles in parsed], dtype=np.int64)
    is_missing = np.array([-1 in alleles for alleles in parsed], dtype=bool)
    is_diploid = np.array([len(alleles) == 2 for alleles in parsed], dtype=bool) & ~is_missing
    dosages = np.where(is_missing, -1, copies).astype(np.int8)[codes] if kinds else np.zeros(0, dtype=np.int8)
    of_kind = (
        copies,
        called,
        is_missing,
        is_diploid & (copies == 1),
        is_diploid & (copies == 2),
        is_diploid & (copies == 0),
    )
    totals = [np.array([(frequency * one).sum()], dtype=np.int64) for one in of_kind]
    return Counts(dosages[None, :], *totals)


def encode_texts(texts: Sequence[str], n_alts: int) -> bytes:
    """The `calls` value of one record from its GT texts.

    >>> encode_texts(["0|1", "1|0", "1|1"], 1).hex(), encode_texts(["0/1", "./."], 1).hex()
    ('0140', '02')
    >>> encode_texts(["0", "1"], 1)
    b'\\x000\\t1'
    """
    kinds = set(texts)
    if n_alts == 1 and texts:
        if kinds.issubset(_PHASED_TEXTS):
            bits = [text == "1|0" for text in texts if text in ("0|1", "1|0")]
            return bytes([PHASED]) + np.packbits(np.array(bits, dtype=bool)).tobytes()
        if kinds.issubset(_UNPHASED_TEXTS):
            return bytes([UNPHASED])
    return bytes([TEXT]) + "\t".join(texts).encode()


def decode_calls(calls: bytes, dosages: Sequence[int | None]) -> list[str]:
    """The GT texts of a record's samples, as they stood in the file.

    >>> decode_calls(bytes.fromhex("0140"), [1, 1, 2, 0, None])
    ['0|1', '1|0', '1|1', '0|0', '.|.']

    Args:
        calls: value of the column.
        dosages: value of the column `dosages` of the same row.

    Raises:
        ValueError: the first byte is no layout code, or the two do not belong together.
    """
    layout, rest = calls[0], calls[1:]
    if layout == TEXT:
        texts = rest.decode().split("\t")
        if len(texts) != len(dosages):
            raise ValueError(f"{len(texts)} calls beside {len(dosages)} dosages")
        return texts
    if layout == UNPHASED:
        by_dosage = {0: "0/0", 1: "0/1", 2: "1/1", None: "./."}
        return [by_dosage[dosage] for dosage in dosages]
    if layout == PHASED:
        n_het = sum(dosage == 1 for dosage in dosages)
        is_alt_first = iter(np.unpackbits(np.frombuffer(rest, dtype=np.uint8), count=n_het).tolist())
        by_dosage = {0: "0|0", 2: "1|1", None: ".|."}
        return [("1|0" if next(is_alt_first) else "0|1") if d == 1 else by_dosage[d] for d in dosages]
    raise ValueError(f"{layout} is no layout of calls")
