"""Rows become the lines that they came from; the rows are made here, after docs/TABLES.md, not by kgp's reader."""

from __future__ import annotations

import gzip
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pysam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgp.errors import CheckError, InputError, LakeError, UsageError
from kgp.genome import GRCH37, GRCH38
from kgp.io.bgzf import BLOCK_TEXT, compress_blocks
from kgp.io.inflate import END_MARKER
from kgp.io.parts import TablePart
from kgp.io.sample_list import find_samples, read_sample_list
from kgp.io.vcf import stretches
from kgp.io.vcf.sample_text import SampleColumns
from kgp.io.vcf.selection import Selection
from kgp.io.vcf.vcf_file import Pieces, VcfFile
from kgp.io.vcf.writer import (
    LineFormat,
    format_number,
    join_info,
    merge_headers,
    order_contigs,
    write_lines,
)
from kgp.params import Region
from kgp.tables import VARIANTS

NUMBERS = {"AC": "A", "AF": "A", "AD": "R", "LK": "G"}
N_SAMPLES = 4
POSITIONS = st.integers(0, 1000) | st.integers(1, 5)
QUALS = (".", "0", "30", "29.5", "1e-05", "inf")


@dataclass(frozen=True)
class Model:
    """A record as its file says; `fields` is FORMAT key → a text a sample, GT first where there is one."""

    contig: str
    pos: int
    vcf_id: str
    ref: str
    alts: tuple[str, ...]
    qual: str
    filters: str
    info: dict[str, str]
    fields: dict[str, tuple[str, ...]]

    def line(self, samples: Sequence[int] | None = None, info: dict[str, str] | None = None) -> bytes:
        chosen = range(N_SAMPLES) if samples is None else samples
        pairs = self.info if info is None else info
        texts = [":".join(values[i] for values in self.fields.values()) or "." for i in chosen]
        return (
            "\t".join(
                [
                    self.contig, str(self.pos), self.vcf_id, self.ref, ",".join(self.alts) or ".", self.qual,
                    self.filters, ";".join(f"{k}={v}" if v else k for k, v in pairs.items()) or ".",
                    ":".join(self.fields) or ".", *texts,
                ]
            ) + "\n"
        ).encode()  # fmt: skip

    def rows(self, record_id: int, load_id: str = "l") -> list[dict[str, Any]]:
        """Its rows of `variants`."""
        n = len(self.alts)
        gts = self.fields.get("GT")
        formats = {k: [None if v == "." else v for v in vs] for k, vs in self.fields.items() if k != "GT"}
        found = []
        for i in range(1, max(n, 1) + 1):
            places = {"A": [i - 1], "R": [0, i], "G": [0, i * (i + 1) // 2, i * (i + 1) // 2 + i]}
            info = {}
            for key, value in self.info.items():
                entries = value.split(",")
                expected = {"A": n, "R": n + 1, "G": (n + 1) * (n + 2) // 2}.get(NUMBERS.get(key, ""))
                is_cut = n > 1 and len(entries) == expected
                info[key] = ",".join(entries[p] for p in places[NUMBERS[key]]) if is_cut else value
            found.append(
                {
                    "callset": "c", "contig": "22", "load_id": load_id, "start": self.pos - 1,
                    "end": self.pos - 1 + len(self.ref), "record_id": record_id, "alt_index": i if n else 0,
                    "n_alts": n, "variant_id": f"{record_id}_{i}", "source_contig": self.contig, "ref": self.ref,
                    "alt": self.alts[i - 1] if n else None, "vcf_id": None if self.vcf_id == "." else self.vcf_id,
                    "qual": None if self.qual == "." else float(self.qual),
                    "filters": None if self.filters == "." else self.filters.split(";"), "info": info,
                    "dosages": None if gts is None else [dosage(gt, i) for gt in gts],
                    "calls": None if gts is None else encode(gts, n), "formats": formats or None,
                }
            )  # fmt: skip
        return found


def alleles(gt: str) -> list[str]:
    return gt.replace("|", "/").split("/")


def dosage(gt: str, alt_index: int) -> int | None:
    return None if "." in alleles(gt) else alleles(gt).count(str(alt_index))


def encode(gts: Sequence[str], n_alts: int) -> bytes:
    """The layouts of `calls` as kgp.terms words them."""
    if n_alts == 1 and set(gts) <= {"0|0", "0|1", "1|0", "1|1", ".|."}:
        bits = "".join("1" if gt == "1|0" else "0" for gt in gts if gt in ("0|1", "1|0"))
        bits += "0" * (-len(bits) % 8)
        return b"\x01" + bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
    if n_alts == 1 and set(gts) <= {"0/0", "0/1", "1/1", "./."}:
        return b"\x02"
    return b"\x00" + "\t".join(gts).encode()


def batch(rows: Sequence[dict[str, Any]]) -> pa.RecordBatch:
    filled = [{name: row.get(name) for name in VARIANTS.columns} for row in rows]
    for row in filled:
        row["info"] = list((row["info"] or {}).items())
        row["formats"] = None if row["formats"] is None else list(row["formats"].items())
    return pa.RecordBatch.from_pylist(filled, schema=VARIANTS.arrow_schema)


texts = st.text("ACGTabc 019_-äé", min_size=1, max_size=6).map(str.strip).filter(bool)
numbers = st.integers(0, 99).map(str) | st.just(".")


@st.composite
def models(draw: st.DrawFn) -> Model:
    n = draw(st.sampled_from([0, 1, 1, 1, 2, 3]))
    alts = tuple(draw(st.sampled_from(["C", "<DEL>", "*", "G]17:198982]", "TT"])) for _ in range(n))
    info: dict[str, str] = {}
    for key in draw(st.lists(st.sampled_from(["AC", "AF", "AD", "DB", "NOTE", "END"]), unique=True)):
        n_entries = {"A": n, "R": n + 1}.get(NUMBERS.get(key, ""), 1)
        if key == "DB":
            info[key] = ""
        elif (
            draw(st.integers(0, 5)) == 0 and key in NUMBERS
        ):  # not as many entries as declared: more than any cut has
            info[key] = ",".join(map(str, range(n_entries + 7)))
        else:
            info[key] = ",".join(
                draw(st.lists(numbers, min_size=max(n_entries, 1), max_size=max(n_entries, 1)))
            )
        if n > 1 and NUMBERS.get(key) and set(info[key]) <= {".", ","}:
            info[key] = "."  # one dot for all says the same
    if draw(st.booleans()):
        kinds = [["0|0", "0|1", "1|0", "1|1", ".|."], ["0/0", "0/1", "1/1", "./."]]
        kinds += [["0", "1", ".", "0/1", "./1", "0|.", "1|1|1"]]
        if n != 1:
            kinds = [[f"{a}{s}{b}" for a in range(n + 1) for b in range(n + 1) for s in "|/"] + ["."]]
        if n == 0:
            kinds = [["0/0", "./.", "0|0", "."]]
        pool = draw(st.sampled_from(kinds))
        fields = {"GT": tuple(draw(st.sampled_from(pool)) for _ in range(N_SAMPLES))}
    else:
        fields = {}
    for key in draw(st.lists(st.sampled_from(["DP", "AD", "PL", "DS"]), unique=True)):
        fields[key] = tuple(draw(numbers | st.just("1,2,3")) for _ in range(N_SAMPLES))
    return Model(
        draw(st.sampled_from(["22", "chr22"])), draw(POSITIONS),
        draw(texts | st.just(".")),
        draw(st.sampled_from(["A", "ACGT", "N"])), alts, draw(st.sampled_from(QUALS)),
        draw(st.sampled_from([".", "PASS", "q10;s50"])), info, fields,
    )  # fmt: skip


def form(chosen: tuple[int, ...] | None = None) -> LineFormat:
    return LineFormat(SampleColumns(N_SAMPLES, chosen), {"l": NUMBERS}, counts_alleles=chosen is not None)


@settings(max_examples=300, deadline=None)
@given(st.lists(models(), min_size=1, max_size=12), st.integers(0, 3))
def test_rows_become_the_lines_that_they_came_from(records: list[Model], skip: int) -> None:
    rows = batch([row for i, one in enumerate(records) for row in one.rows(i)])
    assert write_lines(rows, form()) == [one.line() for one in records]
    begin = min(skip, len(records) - 1)  # a slice of a batch has offsets of its own
    n_rows = sum(max(1, len(one.alts)) for one in records[:begin])
    assert write_lines(rows.slice(n_rows), form()) == [one.line() for one in records[begin:]]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(models(), min_size=1, max_size=6), st.permutations(range(N_SAMPLES)), st.integers(1, N_SAMPLES)
)
def test_samples_are_chosen_and_counted(records: list[Model], order: list[int], n: int) -> None:
    chosen = tuple(order[:n])
    rows = batch([row for i, one in enumerate(records) for row in one.rows(i)])
    expected = []
    for one in records:
        info = dict(one.info)
        if "GT" in one.fields:
            called = [a for i in chosen for a in alleles(one.fields["GT"][i]) if a != "."]
            info["AC"] = ",".join(str(called.count(str(i + 1))) for i in range(len(one.alts)))
            info["AN"] = str(len(called))
            if not one.alts:
                del info["AC"]
        expected.append(one.line(chosen, info))
    assert write_lines(rows, form(chosen)) == expected


def test_many_samples_of_both_short_layouts() -> None:
    seed = random.Random(1)
    n = 1003
    pools = (("0|0", "0|1", "1|0", "1|1", ".|."), ("0/0", "0/1", "1/1", "./."), ("0", "1"), ("0|0", "0/1"))
    gts = [[seed.choice(pools[i % 4]) for _ in range(n)] for i in range(40)]
    base = Model("22", 1, ".", "A", ("C",), ".", ".", {}, {"GT": ("0|0",) * N_SAMPLES}).rows(0)[0]
    rows = [
        {**base, "record_id": i, "calls": encode(one, 1), "dosages": [dosage(gt, 1) for gt in one]}
        for i, one in enumerate(gts)
    ]
    lines = write_lines(batch(rows), LineFormat(SampleColumns(n)))
    assert [line.rstrip(b"\n").decode().split("\t")[9:] for line in lines] == gts


def test_sites_only() -> None:
    one = Model("22", 7, "rs1", "A", ("C", "G"), "3", "PASS", {"AC": "1,2"}, {})
    (line,) = write_lines(batch(one.rows(0)), LineFormat(SampleColumns(0), {"l": NUMBERS}))
    assert line == b"22\t7\trs1\tA\tC,G\t3\tPASS\tAC=1,2\n"


@pytest.mark.parametrize("drop", [0, 1, 2])
def test_a_torn_record_is_refused(drop: int) -> None:
    one = Model("22", 7, ".", "A", ("C", "G", "T"), ".", ".", {}, {"GT": ("0/1",) * N_SAMPLES})
    rows = one.rows(0)
    del rows[drop]
    with pytest.raises(CheckError, match="one row for each of its ALTs"):
        write_lines(batch([*rows, *one.rows(1)]), form())


@pytest.mark.parametrize("gt", ["0|1", "0/1", "1"])
def test_rows_of_other_samples_are_refused(gt: str) -> None:
    one = Model("22", 7, ".", "A", ("C",), ".", ".", {}, {"GT": (gt,) * N_SAMPLES})
    with pytest.raises(CheckError, match="has not the 5"):
        write_lines(batch(one.rows(0)), LineFormat(SampleColumns(5)))
    fields = {"GT": ("0|1",) * N_SAMPLES, "DP": ("1",) * N_SAMPLES}
    (row,) = Model("22", 7, ".", "A", ("C",), ".", ".", {}, fields).rows(0)
    row["formats"] = {"DP": ["1"] * 3}
    with pytest.raises(CheckError, match="formats"):
        write_lines(batch([row]), form())


def test_info_that_was_kept_whole_stays_whole() -> None:
    numbers = {"A1": "A", "R1": "R", "G1": "G"}
    whole = {"A1": "1,2,3", "R1": "1", "G1": "1,2", "X": "a,b", "F": ""}
    assert join_info([whole, whole], numbers) == whole
    assert join_info([{"G1": "0,1,2"}, {"G1": "0,3,5"}], numbers) == {"G1": "0,1,2,3,.,5"}


@given(st.floats(allow_nan=False))
def test_numbers_read_back_as_they_are(value: float) -> None:
    assert float(format_number(value)) == value


def test_no_number() -> None:
    assert (format_number(None), format_number(math.nan), format_number(-0.0)) == (".", "nan", "-0")


# -- headers


FIRST = """##fileformat=VCFv4.1
##source=a
##INFO=<ID=AC,Number=A,Type=Integer,Description="first">
##contig=<ID=22,length=51304566>
##GATKCommandLine=<ID=X,Version=1>
##GATKCommandLine=<ID=X,Version=2>
##kgp_export=<ID=old>
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tHG1
"""
SECOND = """##fileformat=VCFv4.2
##source=a
##source=b
##INFO=<ID=AC,Number=A,Type=Integer,Description="second">
##FORMAT=<ID=DS,Number=A,Type=Float,Description="">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tHG1
"""


def merged(*texts_: str, **given_: Any) -> tuple[list[str], list[str]]:
    options = {"contigs": ["22", "HLA-A*01:01", "1"], "build": GRCH37, "samples": ["HG1"], "export": "<ID=x>"}
    header, different = merge_headers(texts_, **{**options, **given_})
    assert header.endswith(b"\n")
    return header.decode().splitlines(), different


def test_headers_are_merged_in_order() -> None:
    lines, different = merged(FIRST, SECOND)
    assert lines == [
        "##fileformat=VCFv4.2",
        "##source=a",
        '##INFO=<ID=AC,Number=A,Type=Integer,Description="first">',
        "##contig=<ID=22,length=51304566>",
        "##GATKCommandLine=<ID=X,Version=1>",
        "##GATKCommandLine=<ID=X,Version=2>",
        "##source=b",
        '##FORMAT=<ID=DS,Number=A,Type=Float,Description="">',
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
        "##contig=<ID=HLA-A*01:01>",
        "##contig=<ID=1,length=249250621>",
        "##kgp_export=<ID=x>",
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tHG1",
    ]
    assert different == ["INFO AC"]


def test_what_is_not_there_is_not_declared() -> None:
    lines, _ = merged(SECOND, has_genotypes=False, contigs=[])
    assert not any("ID=GT" in line or "##contig" in line for line in lines)
    lines, _ = merged(SECOND, samples=[])
    assert lines[-1] == "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
    lines, _ = merged(SECOND, counts_alleles=True)
    assert [line.split(",")[0] for line in lines if "INFO=<ID=A" in line] == [
        "##INFO=<ID=AC",
        "##INFO=<ID=AN",
    ]


def test_order_of_contigs() -> None:
    names = ["X", "2", "10", "chrUn", "HLA", "1"]
    assert order_contigs(names, ["10", "2"], GRCH37) == ["10", "2", "1", "X", "HLA", "chrUn"]
    assert order_contigs(["chr10", "chr9", "chrM"], [], GRCH38) == ["chr9", "chr10", "chrM"]


# -- BGZF


@pytest.mark.parametrize("size", [0, 1, BLOCK_TEXT - 1, BLOCK_TEXT, BLOCK_TEXT + 1, 3 * BLOCK_TEXT + 5])
@pytest.mark.parametrize("kind", ["text", "noise"])
def test_blocks_are_bgzf(tmp_path: Path, size: int, kind: str) -> None:
    noise = random.Random(size).randbytes(size)
    text = noise if kind == "noise" else (b"0|0\t0|1\t" * (size // 8 + 1))[:size]
    path = tmp_path / "a.gz"
    path.write_bytes(compress_blocks(text[: size // 2]) + compress_blocks(text[size // 2 :]) + END_MARKER)
    assert gzip.decompress(path.read_bytes()) == text
    with pysam.BGZFile(str(path)) as file:
        assert file.read(size + 1) == text


def test_bgzip_takes_the_blocks(tmp_path: Path, require_tool: Callable[[str], Path]) -> None:
    import subprocess

    path = tmp_path / "a.gz"
    path.write_bytes(compress_blocks(b"0|1\t" * 100_000) + END_MARKER)
    subprocess.run([require_tool("bgzip"), "-t", str(path)], check=True)


# -- stretches


def write_parts(place: Path, files: Sequence[Sequence[Sequence[dict[str, Any]]]]) -> list[TablePart]:
    """Files of row groups of rows, as single row groups with the statistics that a log and a footer have."""
    parts = []
    columns = [f for f in VARIANTS.arrow_schema if f.name not in ("callset", "contig")]
    for number, groups in enumerate(files):
        path = place / f"{number}.parquet"
        with pq.ParquetWriter(path, pa.schema(columns)) as writer:
            for group in groups:
                writer.write_table(pa.Table.from_batches([batch(group)]).select([f.name for f in columns]))
        for index, group in enumerate(groups):
            starts = [row["start"] for row in group]
            parts.append(
                TablePart(
                    str(path), {"callset": "c", "contig": "22"}, (index,), None, len(group), 1000 * len(group),
                    (min(starts), max(starts)), max(row["end"] for row in group),
                )
            )  # fmt: skip
    return parts


def written(parts: list[TablePart], selection: Selection, loads: dict[str, int]) -> dict[str, list[bytes]]:
    """Lines by contig as spelled, of all stretches."""
    found: dict[str, bytes] = {}
    lines = LineFormat(SampleColumns(N_SAMPLES), dict.fromkeys(loads, NUMBERS))
    for stretch in stretches.plan_stretches(parts, N_SAMPLES):
        for piece in stretches.write_stretch(stretch, lines, selection, loads):
            (row,) = piece.to_pylist()
            found[row["contig"]] = found.get(row["contig"], b"") + gzip.decompress(row["data"] + END_MARKER)
    return {contig: text.splitlines(keepends=True) for contig, text in found.items()}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_stretches_hold_each_record_once_in_order(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    records = data.draw(st.lists(models(), min_size=1, max_size=30))
    loads = [data.draw(st.sampled_from(["k", "l"])) for _ in records]
    rows = [
        row for i, (one, load) in enumerate(zip(records, loads, strict=True)) for row in one.rows(i, load)
    ]
    if data.draw(st.booleans()):
        rows.sort(key=lambda row: (row["start"], row["record_id"], row["alt_index"]))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(rows)), max_size=6)) | {0, len(rows)})
    groups = [rows[a:b] for a, b in pairwise(cuts)]
    n_first = data.draw(st.integers(0, len(groups)))
    files = [some for some in (groups[:n_first], groups[n_first:]) if some]
    regions = [
        (s, s + data.draw(st.integers(1, 300))) for s in data.draw(st.lists(st.integers(0, 900), max_size=2))
    ]
    selection = Selection(regions=tuple(Region(contig="22", start=s, end=e) for s, e in regions))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stretches, "STRETCH_TEXT", data.draw(st.sampled_from([1, 3000, 20_000, 1 << 30])))
        patch.setattr(stretches, "BATCH_TEXT", data.draw(st.sampled_from([1, 5000, 1 << 30])))
        found = written(write_parts(tmp_path_factory.mktemp("parts"), files), selection, {"k": 0, "l": 1})

    expected: dict[str, list[bytes]] = {}
    for pos, _, _, one in sorted(
        ((one.pos, load, i, one) for i, (one, load) in enumerate(zip(records, loads, strict=True))),
        key=lambda item: item[:3],
    ):
        start, end = pos - 1, pos - 1 + len(one.ref)
        if not regions or any(start < e and end > s for s, e in regions):
            expected.setdefault(one.contig, []).append(one.line())
    assert found == expected


def test_records_of_one_place_stand_in_the_order_of_their_loads(tmp_path: Path) -> None:
    def one(name: str) -> Model:
        return Model("22", 5, name, "A", ("C", "G"), ".", ".", {}, {})

    rows = [*one("c").rows(1, "l"), *one("a").rows(2, "k"), *one("d").rows(3, "l"), *one("b").rows(4, "k")]
    parts = write_parts(tmp_path, [[rows[:3], rows[3:]]])  # the second record is torn
    found = written(parts, Selection(), {"k": 0, "l": 1})
    assert found == {"22": [one(name).line() for name in "abcd"]}


def test_sorted_files_are_cut_between_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Model("22", 10 * i, ".", "A", ("C",), ".", ".", {}, {}).rows(i)[0] for i in range(1, 101)]
    parts = write_parts(tmp_path, [[rows[a : a + 10] for a in range(0, 100, 10)]])
    monkeypatch.setattr(stretches, "STRETCH_TEXT", 2 * stretches._text_size(parts[0], N_SAMPLES))
    planned = stretches.plan_stretches(parts, N_SAMPLES)
    assert [len(one.parts) for one in planned] == [2] * 5
    assert [(a.end, b.begin) for a, b in pairwise(planned)] == [(x, x) for x in (209, 409, 609, 809)]


# -- the file


def put(path: Path, export: str = "<ID=1>", *, pos: int = 5, end: int = 6) -> bool:
    file = VcfFile(str(path))
    with file.aside() as pieces:
        line = f"22\t{pos}\t.\tA\tC\t.\t.\t.\n".encode()
        row = {"contig": "22", "data": compress_blocks(line), "n_records": 1, "last_end": end}
        pieces.add([_Row(**row, has_genotypes=False)])
        header, _ = merge_headers([], contigs=["22"], build=GRCH37, samples=[], export=export)
        return file.put_in_place(header, pieces, ["22"])


class _Row:
    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


def test_a_file_is_put_in_place_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.vcf.gz"
    assert put(path)
    assert sorted(p.name for p in path.parent.iterdir()) == ["a.vcf.gz", "a.vcf.gz.tbi"]
    with pysam.VariantFile(str(path)) as vcf:
        assert [(r.contig, r.pos) for r in vcf.fetch("22", 0, 10)] == [("22", 5)]
    file = VcfFile(str(path))
    assert file.holds("<ID=1>")
    assert not file.holds("<ID=2>")
    with pytest.raises(LakeError, match="another file"):
        file.refuse_other()
    inode = path.stat().st_ino
    assert not put(path)  # the same content: left alone
    assert path.stat().st_ino == inode
    assert put(path, pos=7)
    assert put(path, "<ID=2>")
    assert VcfFile(str(path)).holds("<ID=2>")


def test_half_a_file_does_not_hold_anything(tmp_path: Path) -> None:
    path = tmp_path / "a.vcf.gz"
    put(path)
    whole = path.read_bytes()
    for n in (len(whole) - 28, len(whole) - 1, 20, 0):
        path.write_bytes(whole[:n])
        assert not VcfFile(str(path)).holds("<ID=1>")
    path.write_bytes(b"no gzip at all" + END_MARKER)
    assert not VcfFile(str(path)).holds("<ID=1>")
    path.write_bytes(whole)
    (tmp_path / "a.vcf.gz.tbi").unlink()
    assert not VcfFile(str(path)).holds("<ID=1>")


def test_what_goes_wrong_leaves_nothing(tmp_path: Path) -> None:
    file = VcfFile(str(tmp_path / "a.vcf.gz"))
    with pytest.raises(KeyboardInterrupt), file.aside():
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    left = tmp_path / ".a.vcf.gz.kgp-killed"
    left.mkdir()
    (tmp_path / ".b.vcf.gz.kgp-running").mkdir()
    assert put(tmp_path / "a.vcf.gz")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".b.vcf.gz.kgp-running", "a.vcf.gz", "a.vcf.gz.tbi"]


def test_a_long_contig_has_another_index(tmp_path: Path) -> None:
    path = tmp_path / "a.vcf.gz"
    put(path)
    far = (1 << 29) + 10
    assert put(path, "<ID=3>", pos=far, end=far + 1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.vcf.gz", "a.vcf.gz.csi"]
    with pysam.VariantFile(str(path)) as vcf:
        assert [r.pos for r in vcf.fetch("22", far - 1, far)] == [far]


def test_telomere_and_no_records(tmp_path: Path) -> None:
    assert put(tmp_path / "a.vcf.gz", pos=0, end=0)
    file = VcfFile(str(tmp_path / "b.vcf.gz"))
    with file.aside() as pieces:
        assert isinstance(pieces, Pieces)
        header, _ = merge_headers([FIRST], contigs=[], build=GRCH37, samples=["HG1"], export="<ID=1>")
        assert file.put_in_place(header, pieces, [])
    with pysam.VariantFile(str(file.path)) as vcf:
        assert list(vcf) == []
        assert list(vcf.header.samples) == ["HG1"]


def test_a_place_that_is_no_local_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no local file"):
        VcfFile("abfss://c@a.dfs.core.windows.net/a.vcf.gz")
    (tmp_path / "a.vcf.gz").mkdir()
    with pytest.raises(UsageError, match="is a directory"):
        VcfFile(str(tmp_path / "a.vcf.gz"))


# -- samples


def test_a_file_that_has_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    file = VcfFile(str(tmp_path / "file" / "out.vcf.gz"))
    with (
        pytest.raises(UsageError, match=r"--out: .*file can't be a directory\. Give a directory"),
        file.aside(),
    ):
        pass


def test_sample_lists(tmp_path: Path) -> None:
    path = tmp_path / "some"
    path.write_text("HG3\n\nHG1\r\n  HG2  ")
    assert read_sample_list(str(path)) == ("HG3", "HG1", "HG2")
    assert read_sample_list("HG2, HG1,") == ("HG2", "HG1")
    for wrong, message in ((",", "No sample"), ("HG1,HG1", "HG1 is named twice")):
        with pytest.raises(UsageError, match=message):
            read_sample_list(wrong)
    with pytest.raises(InputError, match="no such file"):
        read_sample_list(str(tmp_path / "none.txt"))


def test_unknown_samples_are_told_with_the_nearest() -> None:
    known = ["HG00096", "HG00097", "NA12878"]
    with pytest.raises(InputError, match=r"Callset c has no sample NA12879 \(perhaps NA12878\), xyz\."):
        find_samples(["HG00096", "NA12879", "xyz"], known, "callset c")
    with pytest.raises(InputError, match="and 2 more"):
        find_samples(["a1", "a2", "a3", "a4", "a5"], known, "callset c")
    assert find_samples(["NA12878", "HG00096"], known, "callset c") == (2, 0)
    assert np.array_equal(find_samples([], known, "callset c"), [])
