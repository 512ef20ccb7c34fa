"""The plain lines of a chunk, all together: one ALT of bases, FORMAT ``GT``, diploid genotypes, none missing.

A line that is not plain in every respect is left to the parser, which takes lines one by one and knows why a bad one is
bad. So nothing is decided here that could lose a line.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kgp.io.vcf.rows import Layout
from kgp.io.vcf.sites import find_plain, read_sites
from kgp.tables.variants import VARIANTS
from kgp.transforms.hardy_weinberg import exact_p
from kgp.transforms.plain_calls import PlainCalls, read_plain_calls

_FORMAT = b"\tGT\t"

Bools = npt.NDArray[np.bool_]
Int64s = npt.NDArray[np.int64]


def read_plain_lines(
    data: bytes, starts: Int64s, ends: Int64s, offsets: Int64s, layout: Layout
) -> tuple[pa.RecordBatch | None, Bools, list[bytes]]:
    """Rows of `variants` of the plain lines, in file order, which lines those are, and their first eight columns.

    Args:
        data: text of a chunk.
        starts, ends: positions of lines in it, without their line ends.
        offsets: their record offsets.
        layout: of the load.
    """
    taken = np.zeros(len(starts), dtype=bool)
    if layout.n_samples == 0:
        return None, taken, []
    lines, sites, cells = _cut(data, starts, ends, layout.n_samples)
    if not lines:
        return None, taken, []
    is_plain = find_plain(sites)
    if not is_plain.all():
        chosen = np.flatnonzero(is_plain).tolist()
        lines, sites, cells = ([every[i] for i in chosen] for every in (lines, sites, cells))
    calls = read_plain_calls(cells, layout.n_samples, layout.samples)
    if not calls.is_plain.all():
        rows = np.flatnonzero(calls.is_plain)
        lines, sites = [lines[i] for i in rows], [sites[i] for i in rows]
        calls = calls.take(rows)
    taken[lines] = True
    return (_to_batch(sites, offsets[lines], calls, layout) if lines else None), taken, sites


def _cut(
    data: bytes, starts: Int64s, ends: Int64s, n_samples: int
) -> tuple[list[int], list[bytes], list[memoryview]]:
    """Lines that may be plain by where FORMAT stands: number, columns before it, sample columns with the line end."""
    width = 4 * n_samples
    begins = ends - width + 1
    site_ends = begins - len(_FORMAT)
    text = np.frombuffer(data, dtype=np.uint8)
    # A line without line end, or with two bytes of it, is none: all lines have the same width.
    fits = (site_ends > starts) & (ends < len(text))
    fits[fits] = text[ends[fits]] == ord("\n")
    for place, byte in enumerate(_FORMAT):
        fits[fits] = text[site_ends[fits] + place] == byte
    lines = np.flatnonzero(fits)
    view = memoryview(data)
    spans = zip(starts[lines].tolist(), site_ends[lines].tolist(), begins[lines].tolist(), strict=True)
    sites, cells = [], []
    for start, site_end, begin in spans:
        sites.append(data[start:site_end])
        cells.append(view[begin : begin + width])
    return lines.tolist(), sites, cells


def _to_batch(sites: Sequence[bytes], offsets: Int64s, calls: PlainCalls, layout: Layout) -> pa.RecordBatch:
    n_rows, n_samples = calls.dosages.shape
    one = np.ones(n_rows, dtype=np.int32)
    an = 2 * n_samples
    ac = calls.n_het + 2 * calls.n_hom_alt
    columns = read_sites(sites, layout.names)
    columns |= {
        "callset": pa.array([layout.callset], pa.string()).take(pa.array(one - 1)),
        "load_id": pa.array([layout.load_id], pa.string()).take(pa.array(one - 1)),
        "record_id": pa.array(offsets),
        "alt_index": pa.array(one),
        "n_alts": pa.array(one),
        "ac": pa.array(ac.astype(np.int32)),
        "an": pa.array(an * one),
        "af": pa.array(ac / an) if an else pa.nulls(n_rows, pa.float64()),
        "n_missing": pa.array(0 * one),
        "n_het": pa.array(calls.n_het.astype(np.int32)),
        "n_hom_alt": pa.array(calls.n_hom_alt.astype(np.int32)),
        "hwe_p": _hwe_p(columns["contig"], columns["start"], calls, layout),
        "dosages": _lists(calls.dosages),
        "calls": pa.array(calls.calls, pa.binary()),
    }
    schema = VARIANTS.arrow_schema
    arrays = [columns.get(field.name, pa.nulls(0, field.type)) for field in schema]
    arrays = [pa.nulls(n_rows, a.type) if len(a) != n_rows else a for a in arrays]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _lists(dosages: npt.NDArray[np.int8]) -> pa.ListArray:
    n_rows, n_samples = dosages.shape
    offsets = np.arange(n_rows + 1, dtype=np.int32) * n_samples
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(dosages.ravel()))


def _hwe_p(contig: pa.Array, start: pa.Array, calls: PlainCalls, layout: Layout) -> pa.Array:
    """Hardy-Weinberg exact p: of the women on X, none on Y and MT."""
    n_het, n_hom_alt = calls.n_het, calls.n_hom_alt
    n_diploid = np.full(len(n_het), calls.dosages.shape[1], dtype=np.int64)
    contigs = np.array(contig.dictionary_encode().indices)
    names = pc.unique(contig).to_pylist()
    # The middle of X is pseudo-autosomal in no build; its first base is, in NCBI36.
    middles = [(layout.reference.length(name) or 0) // 2 for name in names]
    if any(layout.reference.inheritance(*place) != "autosomal" for place in zip(names, middles, strict=True)):
        n_het, n_hom_alt = n_het.copy(), n_hom_alt.copy()
        for row, (code, at) in enumerate(zip(contigs.tolist(), start.to_pylist(), strict=True)):
            inheritance = layout.reference.inheritance(names[code], at)
            if inheritance == "autosomal":
                continue
            of = calls.dosages[row, list(layout.females or ()) if inheritance == "x" else []]
            n_diploid[row], n_het[row], n_hom_alt[row] = len(of), (of == 1).sum(), (of == 2).sum()
    p_values = exact_p(n_diploid - n_het - n_hom_alt, n_het, n_hom_alt)
    return pa.array(p_values, mask=np.isnan(p_values))
