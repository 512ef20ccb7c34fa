"""Records become Arrow batches in the shape of `variants`: one row an ALT. Both engines end here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kgp.genome import ReferenceBuild, get_build
from kgp.io.vcf.header import VcfHeader
from kgp.io.vcf.selection import Selection
from kgp.tables.variants import VARIANTS
from kgp.transforms.alleles import cut_info, find_rsid, make_variant_id, read_expected_dosages
from kgp.transforms.calls import (
    Counts,
    count_pairs,
    count_texts,
    decode_calls,
    encode_pairs,
    encode_texts,
    read_pairs,
)
from kgp.transforms.hardy_weinberg import exact_p

T = TypeVar("T")
Formats = dict[str, list[str | None]]


@dataclass(frozen=True)
class Layout:
    """What a task must know of the file and of the load; small, and free of Spark.

    Args:
        callset, load_id: values of these columns.
        build: name of the reference build.
        samples: places among the header's samples of those that are loaded, in the callset's order; None for all.
        n_samples: samples of the header.
        n_columns: columns that a record has to have.
        numbers: INFO key → A, R or G, for the keys that are declared so.
        selection: the records that are asked for.
        offset: record offset of the header's last line.
        females: places among the loaded samples of the women, for Hardy-Weinberg on X; None where no sex is known.
    """

    callset: str
    load_id: str
    build: str
    samples: tuple[int, ...] | None
    n_samples: int
    n_columns: int
    numbers: Mapping[str, str]
    selection: Selection
    offset: int
    females: tuple[int, ...] | None = None

    @classmethod
    def make(
        cls,
        header: VcfHeader,
        build: ReferenceBuild,
        selection: Selection,
        callset: str,
        load_id: str,
        *,
        samples: Sequence[str] | None = None,
        females: Collection[str] | None = None,
    ) -> Layout:
        """The layout of a load of the file with that header.

        Args:
            header: of the file.
            build: of its coordinates.
            selection: what is asked for.
            callset, load_id: values of these columns.
            samples: the samples to load, in this order; None for all of them.
            females: samples that are known to be women; None where no sex is known.
        """
        loaded = header.samples if samples is None else tuple(samples)
        place = {name: index for index, name in enumerate(header.samples)}
        return cls(
            callset=callset,
            load_id=load_id,
            build=build.name,
            samples=None if samples is None else tuple(place[name] for name in loaded),
            n_samples=len(header.samples),
            n_columns=header.n_columns,
            numbers={key: one.number for key, one in header.infos.items() if one.number in ("A", "R", "G")},
            selection=selection.in_build(build),
            offset=header.offset,
            females=None if females is None else tuple(i for i, name in enumerate(loaded) if name in females),
        )

    @property
    def reference(self) -> ReferenceBuild:
        """The reference build."""
        return get_build(self.build)

    @property
    def names(self) -> Mapping[str, str]:
        """Contig as spelled → canonical name; what is not in it stays as it is."""
        return self.reference.aliases

    def chosen(self, values: Sequence[T]) -> Sequence[T]:
        """Of a value a sample of the header, those of the samples that are loaded."""
        return values if self.samples is None else [values[place] for place in self.samples]


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
    def of_pairs(
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

    def diploid(self, alt_index: int, samples: Sequence[int]) -> tuple[int, int, int]:
        """Of some samples: diploid genotypes without, with one and with two copies of one ALT."""
        dosages = self.counts[alt_index - 1].dosages[0]
        texts = decode_calls(self.calls, [None if d < 0 else d for d in dosages.tolist()])
        one = count_texts([texts[i] for i in samples], alt_index)
        return int(one.n_hom_rest[0]), int(one.n_het[0]), int(one.n_hom_alt[0])


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
    _diploid: list[tuple[int, int, int]] = field(default_factory=list)
    """Genotypes that Hardy-Weinberg looks at: without, with one and with two copies; a row."""

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
            self._add_genotypes(record, genotypes, place)

    def _add_genotypes(self, record: Record, genotypes: Genotypes | None, place: int) -> None:
        row = self._columns
        if genotypes is None:
            for name in ("dosages", "calls", "ac", "an", "af", "n_missing", "n_het", "n_hom_alt"):
                row[name].append(None)
            self._diploid.append((0, 0, 0))
            return
        counts = genotypes.counts[place]
        ac, an = int(counts.ac[0]), int(counts.an[0])
        row["dosages"].append(counts.dosages[0])
        row["calls"].append(genotypes.calls)
        row["ac"].append(ac)
        row["an"].append(an)
        row["af"].append(ac / an if an else None)
        row["n_missing"].append(int(counts.n_missing[0]))
        row["n_het"].append(int(counts.n_het[0]))
        row["n_hom_alt"].append(int(counts.n_hom_alt[0]))
        inheritance = self.layout.reference.inheritance(record.contig, record.start)
        if inheritance == "autosomal":
            self._diploid.append((int(counts.n_hom_rest[0]), int(counts.n_het[0]), int(counts.n_hom_alt[0])))
        elif inheritance == "x" and self.layout.females is not None:
            self._diploid.append(genotypes.diploid(place + 1, self.layout.females))
        else:
            self._diploid.append((0, 0, 0))

    def to_batch(self) -> pa.RecordBatch:
        """The rows in the shape of `variants`, in the order in which their records were added."""
        n_rows = len(self)
        columns: dict[str, list[Any]] = {**self._columns}
        columns["callset"] = [self.layout.callset] * n_rows
        columns["load_id"] = [self.layout.load_id] * n_rows
        n_rest, n_het, n_hom_alt = np.array(self._diploid, dtype=np.int64).reshape(-1, 3).T
        p_values = exact_p(n_rest, n_het, n_hom_alt)
        columns["hwe_p"] = [None if np.isnan(p) else p for p in p_values.tolist()]
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
