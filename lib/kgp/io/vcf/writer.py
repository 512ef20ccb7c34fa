"""Rows of `variants` back to the lines of a VCF file. Pure functions.

The rows of a record, one an ALT, become one line: what `kgp.transforms.alleles.cut_info` cut to the alleles is put
together again. The table does not hold everything that a line may say: of a repeated INFO key it has the first value,
of Number=G in INFO nothing for two different ALTs (written as missing), and GT comes first among the FORMAT keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kgp.errors import CheckError
from kgp.genome import ReferenceBuild, pos_from_start
from kgp.io.vcf.sample_text import (
    GenotypeTexts,
    SampleColumns,
    count_alleles,
    write_genotypes,
    write_samples,
)
from kgp.transforms.alleles import entry_count, entry_places

# What `write_lines` needs of `variants`.
LINE_COLUMNS = (
    "load_id", "source_contig", "start", "record_id", "alt_index", "n_alts", "ref", "alt", "vcf_id", "qual", "filters",
    "info", "calls", "dosages", "formats",
)  # fmt: skip

EXPORT_KEY = "##kgp_export="

_FILE_FORMAT = re.compile(r"##fileformat=VCFv?(\d+)(?:\.(\d+))?")
_DECLARED = re.compile(r"##(INFO|FORMAT|FILTER|ALT|contig)=<ID=([^,>]*)")
_GT = '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">'
_AC = '##INFO=<ID=AC,Number=A,Type=Integer,Description="Allele count in genotypes">'
_AN = '##INFO=<ID=AN,Number=1,Type=Integer,Description="Total number of alleles in called genotypes">'


@dataclass(frozen=True)
class LineFormat:
    """What a task must know to write lines; small, and free of Spark.

    Args:
        columns: which samples.
        numbers: load → INFO key → A, R or G, for the keys that its header declares so.
        counts_alleles: whether AC and AN in INFO are computed from the written samples, as ``bcftools view -s`` does.
    """

    columns: SampleColumns
    numbers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    counts_alleles: bool = False


def write_lines(rows: pa.RecordBatch, form: LineFormat) -> list[bytes]:
    """One line a record, with its line end.

    Args:
        rows: whole records, with `LINE_COLUMNS`; the rows of a record stand together, by alt_index.
        form: how they are written.

    Raises:
        CheckError: a record lacks one of its rows, or has other samples than the callset.
    """
    firsts, sizes = find_records(rows)
    columns = {name: rows[name] for name in LINE_COLUMNS}
    if len(firsts) < rows.num_rows:
        chosen = pa.array(firsts)
        columns |= {
            name: one.take(chosen) for name, one in columns.items() if name not in ("calls", "dosages")
        }
    samples: list[bytes] = [b""] * len(firsts)
    genotypes = GenotypeTexts([None] * len(firsts), np.full((len(firsts), 2), -1, dtype=np.int64))
    if form.columns.n_samples:
        genotypes = write_genotypes(rows["calls"], rows["dosages"], form.columns, firsts)
        samples = [b"\t" + one for one in write_samples(genotypes.texts, columns["formats"], form.columns)]
    counts = genotypes.counts if form.counts_alleles else None
    infos = _info_texts(columns["info"], counts)
    alts = pc.fill_null(columns["alt"], ".").to_pylist()
    # The few records whose INFO is put together of several rows, or counted in another way.
    is_other = sizes > 1
    if counts is not None:
        is_other |= (counts[:, 0] < 0) | (columns["alt"].is_null().to_numpy(zero_copy_only=False))
    for index in np.flatnonzero(is_other).tolist():
        first, size = int(firsts[index]), int(sizes[index])
        maps = rows["info"].slice(first, size).to_pylist(maps_as_pydicts="strict")
        load_id = columns["load_id"][index].as_py()
        pairs = join_info([one or {} for one in maps], form.numbers.get(load_id, {}))
        n_alts = 0 if rows["alt"][first].as_py() is None else size
        if form.counts_alleles:
            pairs = _count(pairs, genotypes.texts[index], n_alts)
        infos[index] = format_info(pairs)
        if size > 1:
            alts[index] = ",".join(rows["alt"].slice(first, size).to_pylist())
    sites = _join_sites(columns, alts, infos)
    return [b"%b%b\n" % pair for pair in zip(sites, samples, strict=True)]


def _join_sites(columns: Mapping[str, pa.Array], alts: Sequence[str], infos: Sequence[str]) -> list[bytes]:
    """The first eight columns of each line."""
    qualities = columns["qual"].dictionary_encode()
    texts = pa.array([format_number(one) for one in qualities.dictionary.to_pylist()], pa.string())
    filters = pc.binary_join(columns["filters"], ";")
    cells = (
        columns["source_contig"],
        pc.add(columns["start"], pos_from_start(0)).cast(pa.string()),
        _or_dot(columns["vcf_id"]),
        columns["ref"],
        pa.array(alts, pa.string()),
        pc.fill_null(texts.take(qualities.indices), "."),
        _or_dot(filters),
        pa.array(infos, pa.string()),
    )
    joined: list[bytes] = pc.binary_join_element_wise(*cells, "\t").cast(pa.binary()).to_pylist()
    return joined


def _or_dot(texts: pa.Array) -> pa.Array:
    """A dot where there is no text, or an empty one."""
    return pc.if_else(pc.fill_null(pc.equal(texts, ""), True), ".", texts)


def find_records(rows: pa.RecordBatch) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First row and number of rows of each record.

    Raises:
        CheckError: a record lacks one of its rows, or they are not in order.
    """
    alt_index = rows["alt_index"].to_numpy(zero_copy_only=False).astype(np.int64)
    n_alts = rows["n_alts"].to_numpy(zero_copy_only=False).astype(np.int64)
    firsts = np.flatnonzero(alt_index <= 1)
    sizes = np.diff(np.append(firsts, len(alt_index)))
    record = np.repeat(np.arange(len(firsts)), sizes)
    is_whole = (
        len(record) == len(alt_index)
        and (sizes == np.maximum(n_alts[firsts], 1)).all()
        and (alt_index - alt_index[firsts][record] == np.arange(len(alt_index)) - firsts[record]).all()
    )
    if not is_whole:
        raise CheckError(
            "A record has not one row for each of its ALTs.",
            where="table variants",
            mend="This is a defect of kgp: please report it.",
        )
    return firsts, sizes


def join_info(rows: Sequence[Mapping[str, str]], numbers: Mapping[str, str]) -> dict[str, str]:
    """INFO of a record from its rows: the other way round than `kgp.transforms.alleles.cut_info`.

    A value that was kept whole, because it has not as many entries as it should, is the same in every row. One entry
    that is the same in every row may also be a Number=A value of equal entries: that is what it is taken for, unless
    it is missing.

    >>> numbers = {"AC": "A", "AD": "R", "PL": "G"}
    >>> rows = [{"AC": "3", "AD": "9,3", "PL": "0,1,2"}, {"AC": "5", "AD": "9,5", "PL": "0,3,5"}]
    >>> join_info(rows, numbers)
    {'AC': '3,5', 'AD': '9,3,5', 'PL': '0,1,2,3,.,5'}
    >>> join_info([{"AC": "1,2,3"}, {"AC": "1,2,3"}], numbers), join_info([{"AC": "."}, {"AC": "."}], numbers)
    ({'AC': '1,2,3'}, {'AC': '.'})

    Args:
        rows: of one record, by alt_index.
        numbers: key → A, R or G, for the keys that are declared so.
    """
    joined = dict(rows[0])
    n_alts = len(rows)
    if n_alts < 2:
        return joined
    for key, number in numbers.items():
        if key not in joined or all(row.get(key) == "." for row in rows):
            continue
        entries: list[str] = ["."] * entry_count(number, n_alts)
        for alt_index, row in enumerate(rows, 1):
            own = row.get(key, "").split(",")
            places = entry_places(number, alt_index)
            if len(own) != len(places):
                break  # kept whole
            for place, entry in zip(places, own, strict=True):
                entries[place] = entry
        else:
            joined[key] = ",".join(entries)
    return joined


def format_info(pairs: Mapping[str, str]) -> str:
    """INFO as it stands in a line.

    >>> format_info({"AC": "1,2", "DB": ""}), format_info({})
    ('AC=1,2;DB', '.')
    """
    return ";".join(f"{key}={value}" if value else key for key, value in pairs.items()) or "."


def format_number(value: float | None) -> str:
    """The shortest text that reads back as the same number; '.' for none.

    >>> format_number(100.0), format_number(0.1), format_number(1e30), format_number(None)
    ('100', '0.1', '1e+30', '.')
    """
    if value is None:
        return "."
    text = repr(value)
    return text.removesuffix(".0")


def merge_headers(
    texts: Sequence[str],
    *,
    contigs: Sequence[str],
    build: ReferenceBuild,
    samples: Sequence[str],
    export: str,
    has_genotypes: bool = True,
    counts_alleles: bool = False,
) -> tuple[bytes, list[str]]:
    """The header of an export: the lines of the loads' headers in order, each once, and the line of column names.

    Of a declaration (INFO, FORMAT, FILTER, contig …) that differs from load to load, the first is kept; the version is
    the greatest. Contigs that occur, and GT where there are genotypes, are declared where no header does: bcftools
    refuses ``%GT`` without, and makes no BCF of a contig that it does not know.

    Args:
        texts: header texts of the loads.
        contigs: names of the contigs that occur, as they are written, in order.
        build: for the lengths of contigs that no header declares.
        samples: names of the written samples.
        export: what stands in the `EXPORT_KEY` line.
        has_genotypes: whether any record has a GT.
        counts_alleles: whether AC and AN are written, declared or not.

    Returns:
        the header, and the declarations that differ, as ``INFO AF``.
    """
    lines: dict[str, str] = {}
    formats: dict[tuple[int, int], str] = {}
    different: dict[str, None] = {}
    for text in texts:
        for line in (one.rstrip("\r") for one in text.split("\n")):
            if version := _FILE_FORMAT.match(line):
                formats.setdefault((int(version[1]), int(version[2] or 0)), line)
            elif line.startswith("##") and not line.startswith(EXPORT_KEY):
                declared = _DECLARED.match(line)
                key = f"{declared[1]} {declared[2]}" if declared else line
                if lines.setdefault(key, line) != line:
                    different[key] = None
    if has_genotypes and samples:
        lines.setdefault("FORMAT GT", _GT)
    if counts_alleles:
        lines.setdefault("INFO AC", _AC)
        lines.setdefault("INFO AN", _AN)
    for contig in contigs:
        length = build.length(contig)
        lines.setdefault(
            f"contig {contig}",
            f"##contig=<ID={contig}>" if length is None else f"##contig=<ID={contig},length={length}>",
        )
    version_line = formats[max(formats)] if formats else "##fileformat=VCFv4.2"
    names = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]
    if samples:
        names += ["FORMAT", *samples]
    header = [version_line, *lines.values(), EXPORT_KEY + export, "\t".join(names)]
    return "".join(line + "\n" for line in header).encode(), list(different)


def order_contigs(names: Sequence[str], declared: Sequence[str], build: ReferenceBuild) -> list[str]:
    """Contigs in the order of the headers' declarations; those that are not declared by build, then by name."""
    place = {name: index for index, name in enumerate(declared)}
    return sorted(names, key=lambda name: (place.get(name, len(place)), build.sort_index(name), name))


def _info_texts(infos: pa.MapArray, counts: npt.NDArray[np.int64] | None = None) -> list[str]:
    """INFO of each row as it stands in a line, column-wise.

    Args:
        infos: of the rows.
        counts: rows × (copies of ALT, called alleles), written as AC and AN where a row has them or not; None for as
            it is.
    """
    offsets = infos.offsets.to_numpy()
    begin, n = int(offsets[0]), int(offsets[-1] - offsets[0])
    keys, values = infos.keys.slice(begin, n), infos.items.slice(begin, n)
    added = []
    if counts is not None:
        owners = np.repeat(np.arange(len(infos)), np.diff(offsets))
        for column, key in enumerate(("AC", "AN")):
            texts = pa.array(counts[:, column]).cast(pa.string())
            is_key = pc.equal(keys, key)
            values = pc.if_else(is_key, texts.take(pa.array(owners)), values)
            has_key = np.zeros(len(infos), dtype=np.bool_)
            has_key[owners[is_key.to_numpy(zero_copy_only=False)]] = True
            added.append(pc.if_else(pa.array(has_key), None, pc.binary_join_element_wise(key, texts, "=")))
    is_flag = pc.fill_null(pc.equal(values, ""), True)
    entries = pc.if_else(is_flag, keys, pc.binary_join_element_wise(keys, pc.fill_null(values, ""), "="))
    lists = pa.ListArray.from_arrays(pa.array(offsets - begin, pa.int32()), entries)
    joined = pc.binary_join(lists, ";")
    if added:
        kept = pc.if_else(pc.equal(joined, ""), None, joined)
        joined = pc.binary_join_element_wise(kept, *added, ";", null_handling="skip")
    found: list[str] = joined.to_pylist()
    return [text or "." for text in found]


def _count(pairs: dict[str, str], genotypes: bytes | None, n_alts: int) -> dict[str, str]:
    """INFO with the AC and AN of the written samples; as it is where the record has no genotypes."""
    if genotypes is None:
        return pairs
    ac, an = count_alleles(genotypes, n_alts)
    counted = {**pairs, "AC": ",".join(map(str, ac)), "AN": str(an)}
    if not n_alts:
        del counted["AC"]
    return counted
