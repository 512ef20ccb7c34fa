"""Genotypes and FORMAT fields of `variants` rows back to the text of VCF's sample columns. Pure functions.

The short layouts of `calls` (see `kgp.terms`) become text as one numpy matrix of four-byte cells, variants × samples;
FORMAT fields are joined by Arrow, column-wise. Nothing loops over samples but what has to be picked out of long texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kgp.errors import CheckError
from kgp.transforms.calls import PHASED, TEXT, UNPHASED, decode_calls, parse_genotype

# A genotype and its tab as one 32-bit word, by 1 + dosage (0 where missing) + 4 where phased; 8 is 1|0.
_WORDS = np.frombuffer(b"./.\t0/0\t0/1\t1/1\t.|.\t0|0\t0|1\t1|1\t1|0\t", dtype=np.uint32)
_PHASED_CODE = 4
# In the place of dosage 1, until it is a code: the ALT stands first.
_ALT_FIRST = np.uint8(3)
# By code: copies of ALT, and called alleles.
_COPIES = np.array([0, 0, 1, 2, 0, 0, 1, 2, 1], dtype=np.uint8)
_CALLED = np.array([0, 2, 2, 2, 0, 2, 2, 2, 2], dtype=np.uint8)


@dataclass(frozen=True)
class SampleColumns:
    """Which sample columns are written.

    Args:
        n_samples: of the callset.
        chosen: places of the written samples in the callset's order, in the order in which they are written; None for
            all of them as they are.
    """

    n_samples: int
    chosen: tuple[int, ...] | None = None

    @property
    def n_written(self) -> int:
        """How many are written."""
        return self.n_samples if self.chosen is None else len(self.chosen)


@dataclass(frozen=True)
class GenotypeTexts:
    """GT of some records.

    Args:
        texts: of each record, joined by tabs; None where it has no genotypes.
        counts: copies of ALT and called alleles among the written samples, where they were counted with the texts:
            -1 in the other records.
    """

    texts: list[bytes | None]
    counts: npt.NDArray[np.int64]


def write_genotypes(
    calls: pa.Array, dosages: pa.Array, columns: SampleColumns, records: npt.NDArray[np.int64] | None = None
) -> GenotypeTexts:
    """The GT texts of each record.

    Args:
        calls: values of that column.
        dosages: values of that column in the same rows.
        columns: which samples.
        records: numbers of the rows that are records; None for all. Rows are never copied for it.

    Raises:
        CheckError: a row has another number of samples than the callset.
    """
    places = np.arange(len(calls)) if records is None else records
    values: list[bytes | None] = (calls if records is None else calls.take(pa.array(records))).to_pylist()
    texts: list[bytes | None] = [None] * len(values)
    counts = np.full((len(values), 2), -1, dtype=np.int64)
    layouts = np.array([-1 if one is None else one[0] for one in values], dtype=np.int64)
    short = np.flatnonzero((layouts == PHASED) | (layouts == UNPHASED))
    if len(short):
        codes = _read_dosages(dosages, places[short], columns.n_samples)
        is_phased = layouts[short] == PHASED
        _mark_alt_first(codes, is_phased, [values[row] or b"" for row in short])
        if columns.chosen is not None:
            codes = codes.take(columns.chosen, axis=1)
        codes += np.where(is_phased, 1 + _PHASED_CODE, 1).astype(np.uint8)[:, None]
        counts[short, 0] = _COPIES[codes].sum(axis=1, dtype=np.int64)
        counts[short, 1] = _CALLED[codes].sum(axis=1, dtype=np.int64)
        words = _WORDS.take(codes)
        for row, cells in zip(short.tolist(), words, strict=True):
            texts[row] = cells.tobytes()[:-1]
    for row in np.flatnonzero((layouts != -1) & (layouts != PHASED) & (layouts != UNPHASED)).tolist():
        texts[row] = _choose(values[row] or b"", dosages[int(places[row])], columns)
    return GenotypeTexts(texts, counts)


def write_samples(
    genotypes: Sequence[bytes | None], formats: pa.Array, columns: SampleColumns
) -> list[bytes]:
    """FORMAT and the sample columns of each record, tabs between them.

    Args:
        genotypes: of `write_genotypes`.
        formats: values of that column in the same rows.
        columns: which samples.

    Raises:
        CheckError: a field has another number of values than the callset has samples.
    """
    empty = b"\t".join([b"."] * (1 + columns.n_written))
    texts = [empty if one is None else b"GT\t" + one for one in genotypes]
    by_keys: dict[tuple[tuple[str, ...], bool], list[int]] = {}
    if formats.null_count < len(formats):
        for row, keys in enumerate(_keys(formats)):
            if keys:
                by_keys.setdefault((keys, genotypes[row] is not None), []).append(row)
    for (keys, has_genotypes), rows in by_keys.items():
        name = ":".join([*(["GT"] if has_genotypes else []), *keys]).encode()
        called = [genotypes[row] for row in rows] if has_genotypes else None
        joined = _join_fields(called, formats.take(pa.array(rows, pa.int64())), len(keys), columns)
        for row, text in zip(rows, joined, strict=True):
            texts[row] = name + b"\t" + text
    return texts


def count_alleles(genotypes: bytes, n_alts: int) -> tuple[list[int], int]:
    r"""Copies of each ALT among the called alleles of a record, and how many alleles are called.

    >>> count_alleles(b"0|1\t.|2\t1", 2)
    ([2, 1], 4)

    Args:
        genotypes: GT texts joined by tabs.
        n_alts: ALT alleles of the record.
    """
    copies = [0] * (n_alts + 1)
    for text, n in Counter(genotypes.split(b"\t")).items():
        for allele in parse_genotype(text.decode()) or ():
            if 0 <= allele <= n_alts:
                copies[allele] += n
    return copies[1:], sum(copies)


def _read_dosages(
    dosages: pa.ListArray, rows: npt.NDArray[np.int64], n_samples: int
) -> npt.NDArray[np.uint8]:
    """Dosages of some rows as variants × samples; 255, which is -1, where missing."""
    lengths = pc.fill_null(dosages.value_lengths(), 0).to_numpy()
    if (lengths[rows] != n_samples).any():
        raise _wrong_length("dosages", n_samples)
    flat = pc.fill_null(dosages.flatten(), -1).to_numpy(zero_copy_only=False).view(np.uint8)
    if (lengths == n_samples).all():
        matrix: npt.NDArray[np.uint8] = flat.reshape(len(dosages), n_samples)
        return matrix.copy() if len(rows) == len(dosages) else matrix[rows]
    begins = np.cumsum(lengths) - lengths
    return np.stack([flat[begin : begin + n_samples] for begin in begins[rows].tolist()])


def _mark_alt_first(
    codes: npt.NDArray[np.uint8], is_phased: npt.NDArray[np.bool_], calls: Sequence[bytes]
) -> None:
    """Put `_ALT_FIRST` where the bits of the phased rows say so; each row's begin at a byte of their own."""
    is_het = codes == 1
    if not is_phased.all():
        is_het &= is_phased[:, None]
    packed = [one[1:] if phased else b"" for one, phased in zip(calls, is_phased.tolist(), strict=True)]
    bits = np.unpackbits(np.frombuffer(b"".join(packed), dtype=np.uint8)).view(np.bool_)
    n_bits = np.count_nonzero(is_het, axis=1)
    n_bytes = np.array([len(one) for one in packed], dtype=np.int64)
    if (n_bytes != (n_bits + 7) // 8).any():
        raise CheckError("Calls and dosages do not belong together.", where="table variants")
    hets = np.flatnonzero(is_het.reshape(-1))
    shifts = 8 * (np.cumsum(n_bytes) - n_bytes) - (np.cumsum(n_bits) - n_bits)
    is_alt_first = bits[np.arange(len(hets)) + np.repeat(shifts, n_bits)]
    codes.reshape(-1)[hets[is_alt_first]] = _ALT_FIRST


def _choose(calls: bytes, dosages: pa.Scalar, columns: SampleColumns) -> bytes:
    """GT texts of one record whose calls are no short layout."""
    if calls[0] == TEXT and columns.chosen is None:
        if calls.count(b"\t") + 1 != columns.n_samples:
            raise _wrong_length("calls", columns.n_samples)
        return calls[1:]
    if calls[0] == TEXT:
        texts = calls[1:].split(b"\t")
    else:
        texts = [text.encode() for text in decode_calls(calls, dosages.as_py())]
    if len(texts) != columns.n_samples:
        raise _wrong_length("calls", columns.n_samples)
    return b"\t".join(texts if columns.chosen is None else [texts[place] for place in columns.chosen])


def _keys(formats: pa.MapArray) -> list[tuple[str, ...]]:
    """FORMAT keys of each row, in order."""
    offsets = formats.offsets.to_pylist()
    keys = formats.keys.slice(offsets[0], offsets[-1] - offsets[0]).to_pylist()
    spans = zip(offsets[:-1], offsets[1:], formats.is_valid().to_pylist(), strict=True)
    return [
        tuple(keys[begin - offsets[0] : end - offsets[0]]) if there else () for begin, end, there in spans
    ]


def _join_fields(
    genotypes: list[bytes | None] | None, formats: pa.MapArray, n_keys: int, columns: SampleColumns
) -> list[bytes]:
    """Sample columns of records that have the same FORMAT keys."""
    n_rows, n = len(formats), columns.n_samples
    items = formats.items
    if pc.any(pc.not_equal(items.value_lengths(), n)).as_py() or items.null_count:
        raise _wrong_length("formats", n)
    cells = pc.fill_null(items.flatten(), ".")
    places = np.arange(n_rows)[:, None] * (n_keys * n) + np.asarray(
        range(n) if columns.chosen is None else columns.chosen, dtype=np.int64
    )
    fields = [cells.take(pa.array((places + key * n).reshape(-1))) for key in range(n_keys)]
    if genotypes is not None:
        lists = pc.split_pattern(pa.array([(one or b"").decode() for one in genotypes], pa.string()), "\t")
        fields.insert(0, lists.flatten())
    joined = fields[0] if len(fields) == 1 else pc.binary_join_element_wise(*fields, ":")
    offsets = np.arange(n_rows + 1, dtype=np.int32) * columns.n_written
    lines = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), joined), "\t")
    return [text.encode() for text in lines.to_pylist()]


def _wrong_length(column: str, n_samples: int) -> CheckError:
    return CheckError(
        f"A row has not the {n_samples:,} {column} that its callset has samples.",
        where="table variants",
        mend="This is a defect of kgp: please report it.",
    )
