"""Plain lines, all together, give the rows that every other line gives one by one: column by column the same."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgp.genome import GRCH37, GRCH38, NCBI36, ReferenceBuild
from kgp.io.splits import Chunk, plan_splits, read_chunks
from kgp.io.vcf import parser
from kgp.io.vcf.header import parse_header
from kgp.io.vcf.parser import LONGEST_LINE, Reject, parse_chunk
from kgp.io.vcf.rows import Layout
from kgp.io.vcf.selection import Selection
from kgp.io.vcf.sites import read_sites
from kgp.tables import VARIANTS

INFOS = (
    '##INFO=<ID=AC,Number=A,Type=Integer,Description="">\n##INFO=<ID=AD,Number=R,Type=Integer,Description="">\n'
    '##INFO=<ID=GL,Number=G,Type=Float,Description="">\n##INFO=<ID=DB,Number=0,Type=Flag,Description="">\n'
)
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"

Rows = list[dict[str, Any]]


def header_of(samples: Sequence[str]) -> str:
    return f"##fileformat=VCFv4.2\n{INFOS}{COLUMNS}\tFORMAT\t" + "\t".join(samples)


def make_layout(names: Sequence[str], build: ReferenceBuild = GRCH37, **options: Any) -> Layout:
    """A layout for text without a header."""
    header = replace(parse_header(header_of(names).split("\n"), where="a.vcf"), offset=-1)
    return Layout.make(header, build, Selection(), "c", "l", **options)


def chunks_of(text: bytes, n_bytes: int) -> Iterator[Chunk]:
    """Whole lines of at least `n_bytes` a chunk."""
    begin = 0
    while begin < len(text):
        end = text.find(b"\n", min(begin + n_bytes, len(text)) - 1) + 1 or len(text)
        yield Chunk(text[begin:end], np.zeros(1, np.int64), np.array([begin]))
        begin = end


def read(text: bytes, layout: Layout, n_bytes: int = 1 << 20) -> tuple[Rows, list[Reject], int]:
    """Rows, rejects, and how many lines went the fast way; both ways must not take the same line."""
    rows: Rows = []
    rejects: list[Reject] = []
    n_plain = 0
    for chunk in chunks_of(text, n_bytes):
        parsed = parse_chunk(chunk, layout)
        for batch in parsed.batches:
            assert batch.schema == VARIANTS.arrow_schema
            batch.validate(full=True)
            rows += batch.to_pylist()
        rejects += parsed.rejects
        n_plain += len(parsed.plain)
        assert len(parsed.plain) + len(parsed.others) + len(parsed.rejects) == len(parsed.lines.offsets)
        assert len(parsed.plain_sites) == len(parsed.plain)
    return rows, rejects, n_plain


def read_slowly(text: bytes, layout: Layout) -> tuple[Rows, list[Reject], int]:
    """The same with nothing taken many at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parser, "_has_pairs", lambda draft, layout: False)
        patch.setattr(
            parser, "read_plain_lines", lambda data, starts, *_: (None, np.zeros(len(starts), bool), [])
        )
        return read(text, layout)


def plainly(rows: Rows) -> list[dict[str, str]]:
    """Values as text, so that NaN equals itself and 1 is not 1.0."""
    return [{name: repr(value) for name, value in row.items()} for row in rows]


def assert_same(text: bytes, layout: Layout, n_bytes: int = 1 << 20) -> tuple[Rows, int]:
    rows, rejects, n_plain = read(text, layout, n_bytes)
    expected, expected_rejects, n_none = read_slowly(text, layout)
    assert n_none == 0
    for found, row in zip(plainly(rows), plainly(expected), strict=True):
        assert found == row
    assert rejects == expected_rejects
    return rows, n_plain


# --------------------------------------------------------------------------------------------- lines made here

NUMBER = st.integers(1, 10**9).map(str) | st.sampled_from(
    ["0", "00012", "1", "999999999999999999", "1000000000000000000", "+5", "1_0", "1e3", "", "-1", "١"]
)
CONTIG = st.sampled_from(
    ["22", "chr22", "1", "X", "chrX", "Y", "MT", "M", "HLA-A*01:01", "GL000.1", "a b", "é", "GT", ""]
)
ID = st.sampled_from(
    [
        ".",
        "rs1",
        "rs12;rs3",
        "ss7;rs12",
        "esv1;esv2",
        "rs1x",
        "RS1",
        "rs",
        ";rs4",
        "rs5;",
        "GT",
        "",
        "rs1 ",
        "..",
        "é",
    ]
)
REF = st.sampled_from(
    ["A", "C", "acgt", "ANn", "ACGT", "R", "GT", "G", "N", ".", "", "A,C", "*", "<DEL>", "T" * 300]
)
ALT = st.sampled_from(
    [
        "C",
        "GT",
        "g",
        "acgtn",
        "*",
        "A*",
        ".",
        "<DEL>",
        "<CN0>",
        "C,G",
        "A[22:7[",
        ".A",
        "M",
        "",
        "C,",
        "N",
        "T" * 300,
        "é",
    ]
)
QUAL = st.sampled_from(
    [".", "100", "0", "29.5", "1e3", ".5", "5.", "-1", "inf", "NaN", "high", "", "1.7976931348623159e400", "9" * 400,
     "0.1", "100.00", "007", "3.0000000000000004"]
)  # fmt: skip
FILTER = st.sampled_from(["PASS", ".", "q10", "q10;s50", "PASS;", ";", "", "0", "a b", "PASS;PASS", "é", "."])
INFO = st.sampled_from(
    [".", "DB", "AC=1", "AC=1;AF=0.5", "DB;AC=3", "AC=1;AC=2", "DB;DB=3;DB", "NOTE=a=b", "NOTE==", "=x", ";AC=1",
     "AC=1;", "AC=1;;DB", "END=300", "AC=1;END=300", "CIEND=0,5", "END=1", "END=x", "END", "XEND=9", "AC=;DB",
     "NOTE=a b", "NOTE=é", "", ".;DB", ".;.", ".=1", "AC=1,2", "GT", "AA=a|b||;VT=SNP;EX_TARGET", "AD=1,2;GL=0,1,2",
     "A=END=9", "end=9", 'N="x,y"']
)  # fmt: skip
FORMAT = st.sampled_from(["GT"] * 6 + ["GT:DP", "DP", ".", "", "gt", "GT:GT", "PL:GT"])
ALLELE = st.sampled_from("0011.29")
GENOTYPE = st.tuples(ALLELE, st.sampled_from("|/"), ALLELE).map("".join) | st.sampled_from(
    ["0", ".", "0|0|1", "0|10", "1:3", "", "x|1", "/0|1", "0|", "0|1 "]
)
PHASED, UNPHASED = (
    st.sampled_from(["0|0", "0|1", "1|0", "1|1"]),
    st.sampled_from(["0/0", "0/1", "1/1", "1/0"]),
)
END = st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b"\t\n", b"\r\r\n", b" \n", b"\n\n"])


@st.composite
def lines(draw: st.DrawFn, n_samples: int) -> bytes:
    """A line that is plain but in one or two respects, or is plain."""
    site = {"contig": "22", "pos": draw(st.integers(1, 10**6).map(str)), "id": ".", "ref": "A", "alt": "C"}
    site |= {"qual": "100", "filter": "PASS", "info": "AC=1;DB", "format": "GT"}
    forms = {
        "contig": CONTIG,
        "pos": NUMBER,
        "id": ID,
        "ref": REF,
        "alt": ALT,
        "qual": QUAL,
        "filter": FILTER,
    }
    forms |= {"info": INFO, "format": FORMAT}
    for name in draw(st.lists(st.sampled_from(list(forms)), max_size=3)):
        site[name] = draw(forms[name])
    kind = draw(st.sampled_from([PHASED, PHASED, UNPHASED, PHASED | UNPHASED, GENOTYPE]))
    gts = draw(st.lists(kind, min_size=n_samples, max_size=n_samples))
    if draw(st.integers(0, 9)) == 0:
        gts[draw(st.integers(0, n_samples - 1))] = draw(GENOTYPE)
    if draw(st.integers(0, 19)) == 0:
        gts = gts[1:] if draw(st.booleans()) else [*gts, "0|0"]
    line = "\t".join([*site.values(), *gts]).encode()
    if draw(st.integers(0, 9)) == 0 and line:
        at = draw(st.integers(0, len(line) - 1))
        line = (
            line[:at]
            + draw(st.sampled_from([b"\t", b"\0", b"\xff", b"0", b"|", b";", b"GT", b"\tGT\t", b""]))
            + line[at + 1 :]
        )
    return line + draw(END)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), n_samples=st.integers(1, 6), n_bytes=st.sampled_from([1, 100, 1 << 20]))
def test_lines_of_all_kinds(data: st.DataObject, n_samples: int, n_bytes: int) -> None:
    text = b"".join(data.draw(st.lists(lines(n_samples), min_size=1, max_size=14)))
    if data.draw(st.booleans()):
        text = text.rstrip(b"\n")
    samples = [f"S{i}" for i in range(n_samples)]
    some = data.draw(st.none() | st.permutations(samples).map(lambda all_: all_[: 1 + len(all_) // 2]))
    build = data.draw(st.sampled_from([GRCH37, GRCH38, NCBI36]))
    females = data.draw(st.none() | st.sets(st.sampled_from(samples)))
    assert_same(text, make_layout(samples, build, samples=some, females=females), n_bytes)


def line(**columns: str) -> bytes:
    """A plain line of two samples, with changes."""
    plain = {"contig": "22", "pos": "100", "id": ".", "ref": "A", "alt": "C", "qual": "100", "filter": "PASS"}
    plain |= {"info": "AC=1", "format": "GT", "samples": "0|1\t1|1"}
    return "\t".join({**plain, **columns}.values()).encode()


@pytest.mark.parametrize(
    ("changes", "is_plain"),
    [
        ({}, True),
        ({"alt": "GT"}, True),
        ({"ref": "GT", "alt": "G"}, True),
        ({"id": "GT"}, True),
        ({"alt": "*"}, True),
        ({"info": "."}, True),
        ({"info": "DB;AC=1;NOTE=a=b;DB=2"}, True),
        ({"filter": "q10;s50"}, True),
        ({"samples": "0/1\t1/1"}, True),
        ({"samples": "1/0\t1/1"}, False),
        ({"samples": "0/1\t1|1"}, False),
        ({"samples": ".|1\t1|1"}, False),
        ({"samples": "0|2\t1|1"}, False),
        ({"pos": "0"}, False),
        ({"pos": "0100"}, False),
        ({"info": "END=300"}, False),
        ({"info": "AC=1;END=300"}, False),
        ({"info": "NOTE=é"}, False),
        ({"info": ""}, False),
        ({"alt": "C,G"}, False),
        ({"alt": "<DEL>"}, False),
        ({"ref": "R"}, False),
        ({"qual": "1e3"}, False),
    ],
)
def test_which_lines_are_plain(changes: dict[str, str], is_plain: bool) -> None:
    text = line() + b"\n" + line(**changes) + b"\n" + line(pos="200") + b"\n"
    _, n_plain = assert_same(text, make_layout(["A", "B"]))
    assert n_plain == 2 + is_plain


def test_line_ends_that_are_not_plain() -> None:
    for text in (line() + b"\r\n", line()):
        rows, n_plain = assert_same(text, make_layout(["A", "B"]))
        assert (len(rows), n_plain) == (1, 0)


# ------------------------------------------------------------------------------------------- lines of a release


def release_lines(bundled: Path, n: int) -> tuple[list[str], list[list[str]]]:
    """The samples and some lines of the bundled slice, evenly spaced, as columns."""
    with gzip.open(bundled / "genotypes.chr22.vcf.gz", "rt") as text:
        whole = [one.rstrip("\n") for one in text]
    (columns,) = (one for one in whole if one.startswith("#CHROM"))
    body = [one.split("\t") for one in whole if not one.startswith("#")]
    return columns.split("\t")[9:], body[:: max(1, len(body) // n)]


def test_lines_of_a_release(bundled: Path) -> None:
    samples, body = release_lines(bundled, 250)
    text = "".join("\t".join(fields) + "\n" for fields in body).encode()
    assert_same(text, make_layout(samples), 100_000)
    _, n_plain = assert_same(text, make_layout(samples, samples=samples[::-3]))
    assert n_plain > 0.9 * len(body)


def test_mutated_lines_of_a_release(bundled: Path) -> None:
    """Bytes are changed, lost, doubled, swapped with tabs; whole columns are exchanged between lines."""
    all_samples, body = release_lines(bundled, 120)
    n_samples = 20
    chance = random.Random(5)
    texts = []
    for fields in body * 6:
        made = fields[: 9 + n_samples]
        for _ in range(chance.choice([0, 1, 1, 2])):
            column = chance.choice([*range(9), *range(9, 9 + n_samples)])
            made[column] = chance.choice([*body[chance.randrange(len(body))][: 9 + n_samples]])
        whole = "\t".join(made).encode()
        for _ in range(chance.choice([0, 0, 1, 2])):
            at = chance.randrange(len(whole)) if chance.random() < 0.5 else chance.randrange(80)
            new = chance.choice(
                [
                    b"",
                    b"\t",
                    b";",
                    b"=",
                    b"|",
                    b"/",
                    b".",
                    b"1",
                    b"x",
                    b"\xc3\xa9",
                    b"\r",
                    whole[at : at + 1] * 2,
                ]
            )
            whole = whole[:at] + new + whole[at + 1 :]
        texts.append(whole)
    text = b"\n".join(texts) + b"\n"
    layout = make_layout(all_samples[:n_samples], samples=None, females=set(all_samples[:7]))
    rows, n_plain = assert_same(text, layout, 5_000)
    assert len(texts) // 4 < n_plain < len(rows) < len(texts) + 200


@pytest.mark.parametrize(("n_splits", "chunk_bytes"), [(1, 8 << 20), (7, 1 << 20)])
def test_cuts_make_no_difference(bundled: Path, n_splits: int, chunk_bytes: int) -> None:
    url = str(bundled / "genotypes.chr22.vcf.gz")
    with gzip.open(url, "rb") as text:
        whole = text.read()
    head = whole[: whole.index(b"\n", whole.index(b"#CHROM")) + 1]
    samples = head.decode().rstrip("\n").rsplit("\n", 1)[1].split("\t")[9:]
    layout = replace(make_layout(samples), offset=-1, selection=Selection(contigs=("22",)))
    batches = [
        batch
        for split in plan_splits(url, n=n_splits)
        for chunk in read_chunks(split, chunk_bytes=chunk_bytes)
        for batch in parse_chunk(chunk, layout).batches
    ]
    found = pa.Table.from_batches(batches)
    body = [one.split(b"\t", 10) for one in whole[len(head) :].splitlines()]
    assert found["start"].to_pylist() == [int(fields[1]) - 1 for fields in body]
    assert found["ref"].to_pylist() == [fields[3].decode() for fields in body]
    assert found["info"].to_pylist()[::50] == [
        [(entry.partition("=")[0], entry.partition("=")[2]) for entry in fields[7].decode().split(";")]
        for fields in body[::50]
    ]


# ------------------------------------------------------------------------------------------- Hardy-Weinberg on X


def exact_p(n_rest: int, n_het: int, n_alt: int) -> Fraction:
    """Of all ways to pair the alleles, the share that is no more probable than the one observed (Wigginton 2005)."""
    n, n_rare = n_rest + n_het + n_alt, min(2 * n_rest + n_het, 2 * n_alt + n_het)

    def weight(hets: int) -> Fraction:
        rare = (n_rare - hets) // 2
        return Fraction(2**hets, factorial(rare) * factorial(hets) * factorial(n - rare - hets))

    weights = {hets: weight(hets) for hets in range(n_rare % 2, min(n_rare, 2 * n - n_rare) + 1, 2)}
    return sum((w for w in weights.values() if w <= weights[n_het]), Fraction(0)) / sum(weights.values())


# POS on X, and whether people are told apart there: the outer bases of the pseudo-autosomal regions (UCSC) and others.
X_PLACES = {
    "NCBI36": [(1, False), (60_001, False), (2_709_520, False), (2_709_521, True), (100_000_000, True),
               (154_584_237, True), (154_584_238, False), (154_913_754, False)],
    "GRCh37": [(1, True), (60_000, True), (60_001, False), (2_699_520, False), (2_699_521, True), (100_000_000, True),
               (154_931_043, True), (154_931_044, False), (155_260_560, False), (155_260_561, True)],
    "GRCh38": [(1, True), (10_000, True), (10_001, False), (2_781_479, False), (2_781_480, True), (100_000_000, True),
               (155_701_382, True), (155_701_383, False), (156_030_895, False), (156_030_896, True)],
}  # fmt: skip


@pytest.mark.parametrize("build", [NCBI36, GRCH37, GRCH38], ids=lambda build: build.name)
@pytest.mark.parametrize("knows_sexes", [True, False])
@pytest.mark.parametrize("chosen", [None, [7, 2, 3, 11, 0]])
def test_hardy_weinberg_by_contig(build: ReferenceBuild, knows_sexes: bool, chosen: list[int] | None) -> None:
    samples = [f"S{i}" for i in range(12)]
    females = {f"S{i}" for i in (0, 2, 3, 5, 8, 11)} if knows_sexes else None
    loaded = list(range(12)) if chosen is None else chosen
    random = np.random.default_rng(3)
    places = [(contig, pos, is_x) for contig in ("X", "chrX", "23") for pos, is_x in X_PLACES[build.name]]
    places += [(contig, 100_000, None) for contig in ("Y", "chrY", "MT", "M", "chrM")]
    places += [(contig, 60_001, False) for contig in ("22", "chr1", "odd")]
    text, expected = b"", []
    for contig, pos, is_told_apart in places:
        alleles = random.integers(0, 2, (12, 2))
        gts = "\t".join(f"{a}|{b}" for a, b in alleles)
        text += line(contig=contig, pos=str(pos), samples=gts) + b"\n"
        counted = [
            i for i in loaded if is_told_apart is False or (is_told_apart and f"S{i}" in (females or ()))
        ]
        dosages = alleles.sum(axis=1)[counted].tolist()
        expected.append(float(exact_p(*(dosages.count(n) for n in range(3)))) if counted else None)
    options = {"females": females, "samples": None if chosen is None else [samples[i] for i in chosen]}
    layout = make_layout(samples, build, **options)
    rows, n_plain = assert_same(text, layout)
    assert n_plain == len(places)
    assert read(text, layout, n_bytes=1)[0] == rows
    assert [row["hwe_p"] for row in rows] == [
        None if p is None else pytest.approx(p, rel=1e-12) for p in expected
    ]


# --------------------------------------------------------------------------------------------- odd in other ways


def test_a_torn_line_that_looks_plain_is_not_loaded() -> None:
    """Of `22 100 …` only `2 100 …` may be left behind damaged text."""
    data = line()[1:] + b"\n" + line(pos="200") + b"\n"
    chunk = Chunk(data, np.zeros(1, np.int64), np.array([7]), is_torn_start=True)
    parsed = parse_chunk(chunk, make_layout(["A", "B"]))
    assert [row["start"] for batch in parsed.batches for row in batch.to_pylist()] == [199]
    assert [(reject.offset, reject.line) for reject in parsed.rejects] == [(7, line()[1:])]
    assert (parsed.plain.tolist(), parsed.others.tolist(), len(parsed.lines.offsets)) == ([1], [], 2)


@pytest.mark.parametrize("column", ["ref", "info", "id"])
def test_a_line_that_is_too_long_is_rejected_however_plain(
    column: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LONGEST_LINE == 64 << 20
    monkeypatch.setattr(parser, "LONGEST_LINE", 1000)
    text = line() + b"\n" + line(**{column: "A" * 1000}) + b"\n"
    rows, rejects, n_plain = read(text, make_layout(["A", "B"]))
    assert (len(rows), n_plain) == (1, 1)
    assert [reject.reason for reject in rejects] == ["The line is longer than 1,000 bytes"]


def test_a_key_of_its_own_in_every_line_costs_no_more() -> None:
    """Counting every key in every line would take n² numbers: 29 GB of them here."""
    n = 60_000
    infos = [f"key{i};AC=1;AC=2" if i % 2 else f"key{i}" for i in range(n)]
    found = read_sites([f"22\t{i + 1}\t.\tA\tC\t.\t.\t{info}".encode() for i, info in enumerate(infos)], {})
    expected = [[(f"key{i}", ""), ("AC", "1")] if i % 2 else [(f"key{i}", "")] for i in range(n)]
    assert found["info"].to_pylist() == expected


def test_records_alternate_between_both_ways() -> None:
    """More turns than slices are made of: the rows are copied into order, and keep every column."""
    texts = [line(pos=str(i), **({"alt": "C,G"} if i % 2 else {})) for i in range(1, 200)]
    rows, n_plain = assert_same(b"\n".join(texts) + b"\n", make_layout(["A", "B"]))
    assert n_plain == 99
    assert [row["start"] for row in rows] == sorted([*range(0, 199), *range(0, 199, 2)])
