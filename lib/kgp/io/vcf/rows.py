"""Records become Arrow batches in the shape of `variants`: one row an ALT. Both engines end here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kgp.genome import ReferenceBuild
from kgp.io.vcf.header import VcfHeader
from kgp.io.vcf.selection import Selection
from kgp.tables.variants import VARIANTS
from kgp.transforms.alleles import cut_info, find_rsid, make_variant_id, read_expected_dosages
from kgp.transforms.calls import Counts, count_pairs, count_texts, encode_pairs, encode_texts, read_pairs

Formats = dict[str, list[str | None]]


@dataclass(frozen=True)
class Layout:
    """What a task must know of the file and of the load; small, and free of Spark.

    Args:
        callset, load_id: values of these columns.
        n_samples: samples of the header.
        n_columns: columns that a record has to have.
        numbers: INFO key → A, R or G, for the keys that are declared so.
        names: contig as spelled → canonical name; what is not in it stays as it is.
        selection: the records that are asked for.
        offset: record offset of the header's last line.
    """

    callset: str
    load_id: str
    n_samples: int
    n_columns: int
    numbers: Mapping[str, str]
    names: Mapping[str, str]
    selection: Selection
    offset: int

    @classmethod
    def make(
        cls, header: VcfHeader, build: ReferenceBuild, selection: Selection, callset: str, load_id: str
    ) -> Layout:
        """The layout of a load of the file with that header."""
        return cls(
            callset=callset,
            load_id=load_id,
            n_samples=len(header.samples),
            n_columns=header.n_columns,
            numbers={key: one.number for key, one in header.infos.items() if one.number in ("A", "R", "G")},
            names=dict(build.aliases),
            selection=selection.in_build(build),
            offset=header.offset,
        )


@dataclass(frozen=True)
class Genotypes:
    """Genotypes of one record, for each ALT.

    Args:
        counts: of each ALT in order (one entry, of no allele, where the record has no ALT), in arrays of one row.
        calls: the value of that column.
    """

    counts: Sequence[Counts]
    calls: bytes

    @classmethod
    def of_texts(cls, texts: Sequence[str], n_alts: int) -> Genotypes:
        """From GT texts that are well-formed."""
        return cls([count_texts(texts, i + 1) for i in range(max(n_alts, 1))], encode_texts(texts, n_alts))

    @classmethod
    def of_plain(
        cls, texts: Sequence[bytes], n_samples: int, n_alts: npt.NDArray[np.int64]
    ) -> list[Genotypes | None]:
        """From the sample parts of many records that have three bytes a genotype, all in one matrix.

        Args:
            texts: genotypes joined by tabs, 4 x n_samples - 1 bytes a record.
            n_samples: at least 1.
            n_alts: ALT alleles of each record.

        Returns:
            One for each record; None where it has a malformed genotype.
        """
        if not texts:
            return []
        pairs, is_valid = read_pairs(texts, n_samples, n_alts)
        calls = encode_pairs(pairs, n_alts, texts)
        counts: list[list[Counts]] = [[] for _ in texts]
        for alt_index in range(1, max(1, int(n_alts.max())) + 1):
            rows = np.flatnonzero(is_valid & (np.maximum(n_alts, 1) >= alt_index))
            for row, one in zip(rows.tolist(), count_pairs(pairs.take(rows), alt_index).split(), strict=True):
                counts[row].append(one)
        return [cls(counts[row], calls[row]) if ok else None for row, ok in enumerate(is_valid.tolist())]


@dataclass(frozen=True, slots=True)
class Record:
    """The site columns of one record.

    Args:
        record_id: number of the record, ascending in file order.
        source_contig: CHROM as spelled; `contig` is canonical.
        start, end: 0-based half-open.
        info: INFO text by key, not yet cut to an allele.
    """

    record_id: int
    source_contig: str
    contig: str
    start: int
    end: int
    vcf_id: str | None
    ref: str
    alts: tuple[str, ...]
    qual: float | None
    filters: list[str] | None
    info: dict[str, str]


@dataclass
class VariantRows:
    """Collects the rows of records and gives them back as one Arrow batch."""

    layout: Layout
    _columns: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in VARIANTS.columns})

    def __len__(self) -> int:
        return len(self._columns["start"])

    def add(self, record: Record, genotypes: Genotypes | None, formats: Formats | None) -> None:
        """Add one row an ALT, or one row for a record without ALT.

        Args:
            record: the site columns.
            genotypes: None where the record has no GT.
            formats: FORMAT fields besides GT, a value a sample; None where there are none.
        """
        n_alts = len(record.alts)
        rsid = find_rsid(record.vcf_id)
        for place in range(max(n_alts, 1)):
            alt = record.alts[place] if n_alts else None
            alt_index = place + 1 if n_alts else 0
            row = self._columns
            row["contig"].append(record.contig)
            row["start"].append(record.start)
            row["end"].append(record.end)
            row["record_id"].append(record.record_id)
            row["alt_index"].append(alt_index)
            row["n_alts"].append(n_alts)
            row["variant_id"].append(
                make_variant_id(record.contig, record.start, record.ref, alt, record.end)
            )
            row["source_contig"].append(record.source_contig)
            row["ref"].append(record.ref)
            row["alt"].append(alt)
            row["vcf_id"].append(record.vcf_id)
            row["rsid"].append(rsid)
            row["qual"].append(record.qual)
            row["filters"].append(record.filters)
            row["info"].append(
                record.info if n_alts < 2 else cut_info(record.info, self.layout.numbers, alt_index, n_alts)
            )
            row["formats"].append(formats)
            expected = (
                read_expected_dosages(formats.get("DS"), formats.get("GP"), alt_index, n_alts)
                if formats is not None
                else None
            )
            row["expected_dosages"].append(expected)
            self._add_genotypes(genotypes, place)

    def _add_genotypes(self, genotypes: Genotypes | None, place: int) -> None:
        row = self._columns
        if genotypes is None:
            for name in ("dosages", "calls", "ac", "an", "af", "n_missing"):
                row[name].append(None)
            return
        counts = genotypes.counts[place]
        ac, an = int(counts.ac[0]), int(counts.an[0])
        row["dosages"].append(counts.dosages[0])
        row["calls"].append(genotypes.calls)
        row["ac"].append(ac)
        row["an"].append(an)
        row["af"].append(ac / an if an else None)
        row["n_missing"].append(int(counts.n_missing[0]))

    def to_batch(self) -> pa.RecordBatch:
        """The rows in the shape of `variants`, in the order in which their records were added."""
        n_rows = len(self)
        columns: dict[str, list[Any]] = {**self._columns}
        columns["callset"] = [self.layout.callset] * n_rows
        columns["load_id"] = [self.layout.load_id] * n_rows
        arrays = [
            _MAKERS[one.name](columns[one.name])
            if one.name in _MAKERS
            else pa.array(columns[one.name], one.type)
            for one in VARIANTS.arrow_schema
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=VARIANTS.arrow_schema)


def _text_maps(maps: Sequence[Mapping[str, str]]) -> pa.Array:
    offsets = pa.array([0, *accumulate(map(len, maps))], pa.int32())
    keys = pa.array([key for one in maps for key in one], pa.string())
    values = pa.array([value for one in maps for value in one.values()], pa.string())
    return pa.MapArray.from_arrays(offsets, keys, values)


def _dosages(rows: Sequence[npt.NDArray[np.int8] | None]) -> pa.Array:
    values = np.concatenate([row for row in rows if row is not None] or [np.zeros(0, dtype=np.int8)])
    return _lists(rows, pa.array(values, pa.int8(), mask=values < 0))


def _expected_dosages(rows: Sequence[npt.NDArray[np.float32] | None]) -> pa.Array:
    values = np.concatenate([row for row in rows if row is not None] or [np.zeros(0, dtype=np.float32)])
    return _lists(rows, pa.array(values, pa.float32(), mask=np.isnan(values)))


def _lists(rows: Sequence[npt.NDArray[Any] | None], values: pa.Array) -> pa.Array:
    offsets = np.cumsum([0, *(0 if row is None else len(row) for row in rows)], dtype=np.int32)
    mask = pa.array([row is None for row in rows], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, mask=mask)


def _formats(maps: Sequence[Formats | None]) -> pa.Array:
    items = [None if one is None else list(one.items()) for one in maps]
    return pa.array(items, VARIANTS.arrow_schema.field("formats").type)


_MAKERS: Mapping[str, Callable[[list[Any]], pa.Array]] = {
    "info": _text_maps,
    "dosages": _dosages,
    "expected_dosages": _expected_dosages,
    "formats": _formats,
}
