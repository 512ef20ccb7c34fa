"""The first eight columns of many records at once, by Arrow's kernels: for records that are plain.

Plain is a record with one ALT of bases, a QUAL, FILTER and INFO without surprises and an end that REF tells: nearly
all of the 1000 Genomes releases. What a column of a plain record means is said once, in `kgp.transforms.alleles`
and `kgp.io.vcf.rows`, for records one by one; here the same comes out column by column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kgp.transforms.alleles import find_rsid

# CHROM POS ID REF ALT QUAL FILTER INFO. Nothing but printable ASCII; what doesn't fit is looked at line by line.
PLAIN_SITE = (
    r"^[!-~]+\t[1-9][0-9]{0,17}\t[!-~]+\t[ACGTNacgtn]+\t[ACGTNacgtn*]+\t"
    r"(?:\.|[0-9]+(?:\.[0-9]+)?)\t[!-~]+\t"
    r"(?:\.|[!-:<>-~]+(?:=[!-:<-~]*)?(?:;[!-:<>-~]+(?:=[!-:<-~]*)?)*)$"
)
_INFO_END = r"[\t;]END=[^\t]*$"
# Keys that records might have for each that they have; beyond that, they share too few to be counted together.
_MOST_CODES = 16


def find_plain(sites: Sequence[bytes]) -> npt.NDArray[np.bool_]:
    """Which records are plain, by their first eight columns joined by tabs."""
    texts = pa.array(sites, pa.binary())
    is_plain: npt.NDArray[np.bool_] = np.array(pc.match_substring_regex(texts, PLAIN_SITE))
    return is_plain & ~np.array(pc.match_substring_regex(texts, _INFO_END))


def read_sites(sites: Sequence[bytes], names: Mapping[str, str]) -> dict[str, pa.Array]:
    """Columns of `variants` for plain records: name → array, a row a record.

    Args:
        sites: their first eight columns joined by tabs.
        names: contig as spelled → canonical name; what is not in it stays as it is.
    """
    texts = pa.array(sites, pa.string())
    fields = pc.split_pattern(texts, "\t").values
    contig, pos, vcf_id, ref, alt, qual, filters, info = (
        fields.take(pa.array(np.arange(i, 8 * len(texts), 8))) for i in range(8)
    )
    source_contig = contig.dictionary_encode()
    canonical = pa.array(
        [names.get(name, name) for name in source_contig.dictionary.to_pylist()], pa.string()
    )
    contig = canonical.take(source_contig.indices)
    start = pc.subtract(pos.cast(pa.int64()), 1)
    known_id = _null_where_dot(vcf_id)
    return {
        "contig": contig,
        "source_contig": source_contig.cast(pa.string()),
        "start": start,
        "end": pc.add(start, pc.binary_length(ref).cast(pa.int64())),
        "variant_id": pc.binary_join_element_wise(contig, pos, ref, alt, "_"),
        "ref": ref,
        "alt": alt,
        "vcf_id": known_id,
        "rsid": _rsids(known_id),
        "qual": _by_distinct(qual, lambda text: None if text == "." else float(text), pa.float64()),
        "filters": _by_distinct(filters, _filters, pa.list_(pa.string())),
        "info": _read_info(info),
    }


def _null_where_dot(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(texts, "."), pa.scalar(None, pa.string()), texts)


def _filters(text: str) -> list[str] | None:
    return None if text == "." else text.split(";")


def _by_distinct(texts: pa.Array, function: Any, kind: pa.DataType) -> pa.Array:
    """What a function makes of each text, called once for each distinct one."""
    encoded = texts.dictionary_encode()
    return pa.array([function(text) for text in encoded.dictionary.to_pylist()], kind).take(encoded.indices)


def _rsids(vcf_ids: pa.Array) -> pa.Array:
    is_rs = pc.match_substring_regex(vcf_ids, "^rs[0-9]+$")
    rsids = pc.if_else(is_rs, vcf_ids, pa.scalar(None, pa.string()))
    several = pc.match_substring(vcf_ids, ";").fill_null(False)
    if pc.any(several).as_py():
        found = [find_rsid(text) for text in vcf_ids.filter(several).to_pylist()]
        rsids = pc.replace_with_mask(rsids, several, pa.array(found, pa.string()))
    return rsids


def _read_info(info: pa.Array) -> pa.Array:
    """INFO as a map, as `parse_info` has it: a flag's value is '', and of a repeated key the first value counts."""
    lists = pc.split_pattern(info, ";")
    parts = pc.split_pattern(lists.values, "=", max_splits=1)
    begins = np.array(parts.offsets, dtype=np.int64)
    is_flag = np.diff(begins) == 1
    keys = parts.values.take(pa.array(begins[:-1])).dictionary_encode()
    values = parts.values.take(pa.array(begins[:-1] + 1, mask=is_flag)).fill_null("")
    lengths = np.diff(np.array(lists.offsets, dtype=np.int64))
    rows = np.repeat(np.arange(len(info)), lengths)

    keep = np.repeat(~np.array(pc.equal(info, ".")), lengths)
    codes = rows * len(keys.dictionary) + np.array(keys.indices, dtype=np.int64)
    if _may_repeat(codes, len(info) * len(keys.dictionary)):
        first = np.zeros(len(codes), dtype=bool)
        first[np.unique(codes, return_index=True)[1]] = True
        keep &= first
    names = keys.cast(pa.string())
    if not keep.all():
        names, values, rows = names.filter(pa.array(keep)), values.filter(pa.array(keep)), rows[keep]
    ends = np.searchsorted(rows, np.arange(len(info) + 1)).astype(np.int32)
    return pa.MapArray.from_arrays(pa.array(ends), names, values)


def _may_repeat(codes: npt.NDArray[np.int64], n_codes: int) -> bool:
    """Whether a code may occur twice. To count them is faster than to sort them, but takes a number for each code that
    there might be."""
    return n_codes > _MOST_CODES * (len(codes) + 1) or bool(np.bincount(codes).max(initial=0) > 1)
