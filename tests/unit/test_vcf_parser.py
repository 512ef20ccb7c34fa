"""Lines of a VCF file: what becomes rows, what is rejected and why; both paths through the parser agree."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgp.genome import GRCH37
from kgp.io.splits import plan_splits, read_chunks
from kgp.io.vcf import parser
from kgp.io.vcf.header import read_header
from kgp.io.vcf.parser import Reject, parse_chunk
from kgp.io.vcf.rows import Layout
from kgp.io.vcf.selection import Selection
from kgp.params import Region
from kgp.tables import VARIANTS
from kgp.transforms.calls import decode_calls

HEADER = """##fileformat=VCFv4.3
##INFO=<ID=AC,Number=A,Type=Integer,Description="">
##INFO=<ID=AD,Number=R,Type=Integer,Description="">
##INFO=<ID=GL,Number=G,Type=Float,Description="">
##INFO=<ID=DB,Number=0,Type=Flag,Description="">
"""
SITE_COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"


def parse(
    path: Path, selection: Selection | None = None, n_splits: int = 1
) -> tuple[list[dict[str, Any]], list[Reject]]:
    """All rows and rejects of a file."""
    layout = Layout.make(read_header(str(path)), GRCH37, selection or Selection(), "phase3", "load")
    rows: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    for split in plan_splits(str(path), n=n_splits):
        for chunk in read_chunks(split, chunk_bytes=300):
            parsed = parse_chunk(chunk, layout)
            for batch in parsed.batches:
                assert batch.schema == VARIANTS.arrow_schema
                batch.validate(full=True)
                rows += batch.to_pylist()
            rejects += parsed.rejects
    for row in rows:
        row["info"] = dict(row["info"])
        row["formats"] = None if row["formats"] is None else dict(row["formats"])
    return rows, rejects


@pytest.fixture
def vcf(tmp_path):
    """Write records (without line ends) under a header with `samples`, parse, give back rows and rejects."""

    def write(*records: str | bytes, samples: str = "A B C", end: bytes = b"\n", **options: Any):
        columns = SITE_COLUMNS + ("\tFORMAT\t" + "\t".join(samples.split()) if samples else "")
        lines = [*(HEADER + columns).encode().split(b"\n")]
        lines += [record.encode() if isinstance(record, str) else record for record in records]
        path = tmp_path / "a.vcf"
        path.write_bytes(end.join(lines) + end)
        return parse(path, **options)

    return write


def line(
    pos="100",
    id=".",
    ref="A",
    alt="C",
    qual=".",
    filter=".",
    info=".",
    rest="GT\t0|1\t1|1\t.|.",
    contig="chr22",
):
    return f"{contig}\t{pos}\t{id}\t{ref}\t{alt}\t{qual}\t{filter}\t{info}" + ("\t" + rest if rest else "")


def test_a_plain_record(vcf):
    (row,), rejects = vcf(line(id="ss7;rs12", qual="29.5", filter="q10;s50", info="AC=3;DB;NOTE=a b"))
    assert rejects == []
    assert row == {
        "callset": "phase3", "contig": "22", "load_id": "load", "start": 99, "end": 100,
        "record_id": len(HEADER) + len(SITE_COLUMNS) + len("\tFORMAT\tA\tB\tC\n"),
        "alt_index": 1, "n_alts": 1, "variant_id": "22_100_A_C", "source_contig": "chr22", "ref": "A", "alt": "C",
        "vcf_id": "ss7;rs12", "rsid": "rs12", "qual": 29.5, "ac": 3, "an": 4, "af": 0.75, "n_missing": 1,
        "n_het": 1, "n_hom_alt": 1, "hwe_p": 1.0,
        "filters": ["q10", "s50"], "info": {"AC": "3", "DB": "", "NOTE": "a b"},
        "dosages": [1, 2, None], "expected_dosages": None, "calls": b"\x01\x00", "formats": None,
    }  # fmt: skip


def test_what_is_missing_is_null(vcf):
    (row,), _ = vcf(line(alt=".", rest="GT\t0/0\t./.\t0/0"))
    assert (row["alt"], row["alt_index"], row["n_alts"]) == (None, 0, 0)
    assert [row[name] for name in ("vcf_id", "rsid", "qual", "filters")] == [None] * 4
    assert row["info"] == {}
    assert row["variant_id"] == "22_100_A_."
    assert (row["dosages"], row["ac"], row["an"], row["af"], row["n_missing"]) == ([0, None, 0], 0, 4, 0.0, 1)
    assert decode_calls(row["calls"], row["dosages"]) == ["0/0", "./.", "0/0"]


def test_a_row_an_alt(vcf):
    rows, _ = vcf(
        line(alt="C,<DEL>,G", info="AC=1,2,3;AD=9,8,7,6;END=160;DB", rest="GT\t1|2\t2/3\t./2"),
        line(pos="101", alt="C,G"),
    )
    assert [(r["alt_index"], r["alt"], r["n_alts"]) for r in rows] == [
        (1, "C", 3), (2, "<DEL>", 3), (3, "G", 3), (1, "C", 2), (2, "G", 2)]  # fmt: skip
    assert [r["variant_id"] for r in rows[:3]] == ["22_100_A_C", "22_100_A_<DEL>_160", "22_100_A_G"]
    assert rows[1]["info"] == {"AC": "2", "AD": "9,7", "END": "160", "DB": ""}
    assert [r["dosages"] for r in rows[:3]] == [[1, 0, None], [1, 1, None], [0, 1, None]]
    assert [(r["ac"], r["an"], r["n_missing"]) for r in rows[:3]] == [(1, 5, 1), (3, 5, 1), (1, 5, 1)]
    assert {r["end"] for r in rows[:3]} == {160}
    assert rows[0]["record_id"] == rows[2]["record_id"] < rows[3]["record_id"]
    assert all(decode_calls(r["calls"], r["dosages"]) == ["1|2", "2/3", "./2"] for r in rows[:3])
    assert [r["dosages"] for r in rows[3:]] == [[1, 2, None], [0, 0, None]]


def test_ploidy(vcf):
    rows, rejects = vcf(
        line(rest="GT\t0\t1\t."), line(rest="GT\t0/1/1\t1\t0|1"), line(rest="GT\t10\t0\t0|1|2")
    )
    assert [r["dosages"] for r in rows] == [[0, 1, None], [2, 1, 1]]
    assert [(r["ac"], r["an"], r["af"]) for r in rows] == [(1, 2, 0.5), (4, 6, 4 / 6)]
    assert decode_calls(rows[1]["calls"], rows[1]["dosages"]) == ["0/1/1", "1", "0|1"]
    assert [r.reason for r in rejects] == ["GT '10' names an allele that the record does not have"]


def test_other_format_fields(vcf):
    (first, _, second), rejects = vcf(
        line(alt="C,G", rest="DP:GT:DS\t7:0/1:0.5,.\t.:1/2\t3"),
        line(rest="DS:GP\t0.5:0,1,0\t.\t1.25"),
    )
    assert rejects == []
    assert first["formats"] == {"DP": ["7", None, "3"], "DS": ["0.5,.", None, None]}
    assert first["dosages"] == [1, 1, None]
    assert first["expected_dosages"] is None
    assert second["formats"] == {"DS": ["0.5", None, "1.25"], "GP": ["0,1,0", None, None]}
    assert second["expected_dosages"] == [0.5, None, 1.25]
    assert [second[n] for n in ("dosages", "calls", "ac", "an", "af", "n_missing")] == [None] * 6


def test_records_without_genotypes(vcf):
    (row,), _ = vcf(line(rest=""), samples="")
    assert [row[n] for n in ("dosages", "calls", "ac", "an", "af", "n_missing", "formats")] == [None] * 7
    (row,), _ = vcf(line(rest=".\t.\t.\t."))
    assert row["dosages"] is None
    assert row["formats"] is None
    (row,), _ = vcf(line(rest="GT\t.\t./.\t.|."))
    assert (row["dosages"], row["an"], row["af"], row["n_missing"]) == ([None] * 3, 0, None, 3)


def test_places(vcf):
    rows, _ = vcf(
        line(pos="0"),
        line(contig="HLA-A*01:01"),
        line(contig="M"),
        line(info="END=50"),
        line(ref="ACG", info="END=150"),
    )
    assert [(r["contig"], r["start"], r["end"]) for r in rows] == [
        ("22", -1, 0), ("HLA-A*01:01", 99, 100), ("MT", 99, 100), ("22", 99, 100), ("22", 99, 150)]  # fmt: skip


def test_numbers_as_they_are_written(vcf):
    rows, rejects = vcf(*(line(qual=q) for q in ("1e3", ".5", "-1", "inf", "NaN", "5.")))
    assert [r["qual"] for r in rows[:4]] == [1000, 0.5, -1, math.inf]
    assert math.isnan(rows[4]["qual"])
    assert rejects == []


REJECTED = {
    "too few columns": (line(rest="GT\t0|1\t1|1"), "Too few columns: 11 instead of 12"),
    "too many columns": (line(rest="GT\t0|1\t1|1\t0|0\t0|0"), "Too many columns: 13 instead of 12"),
    "sites only": (line(rest=""), "Too few columns: 8 instead of 12"),
    "whitespace": ("  \t ", "The line is blank, but not empty"),
    "comment": ("#chr22\t100", "Too few columns: 2 instead of 12"),
    "spaces": (line().replace("\t", " "), "Too few columns: 1 instead of 12"),
    "POS": (line(pos="1e2"), "POS '1e2' is no number"),
    "negative POS": (line(pos="-1"), "POS '-1' is no number"),
    "empty POS": (line(pos=""), "POS '' is no number"),
    "CHROM": (line(contig=""), "CHROM is empty"),
    "REF": (line(ref=""), "REF is empty"),
    "ALT": (line(alt=""), "ALT is empty"),
    "ALT list": (line(alt="C,,G"), "An ALT allele is empty"),
    "QUAL": (line(qual="high"), "QUAL 'high' is no number"),
    "QUAL digits": (line(qual="1_0"), "QUAL '1_0' is no number"),
    "allele": (line(rest="GT\t0|1\t0|2\t0|0"), "GT '0|2' names an allele that the record does not have"),
    "allele without ALT": (line(alt=".", rest="GT\t0|1\t0|0\t0|0"), "GT '0|1' names an allele"),
    "GT letter": (line(rest="GT\t0|1\tx|1\t0|0"), "GT 'x|1' is malformed"),
    "GT negative": (line(rest="GT\t0|1\t-1\t0|0"), "GT '-1' is malformed"),
    "GT end": (line(rest="GT\t0|1\t0|\t0|0"), "GT '0|' is malformed"),
    "GT empty": (line(rest="GT\t0|1\t\t0|0"), "GT '' is malformed"),
    "GT with values": (line(rest="GT:DP\t0|1:3\t:4\t0|0:5"), "GT '' is malformed"),
    "values": (line(rest="GT:DP\t0|1:3\t0|0:4:5\t0|0"), "A sample has 3 values for the 2 keys of FORMAT"),
    "FORMAT": (line(rest="\t0|1\t0|0\t0|0"), "FORMAT is empty"),
    "NUL": (line(info="A=\0"), "The line has a NUL byte at byte 22"),
    "no UTF-8": (line(info="A=?").encode().replace(b"?", b"\xe9"), "The line is no UTF-8 at byte 22"),
}


@pytest.mark.parametrize(("bad", "reason"), REJECTED.values(), ids=list(REJECTED))
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_rejected_lines_are_kept_whole_with_their_reason(vcf, bad, reason, end):
    rows, rejects = vcf(line(), bad, line(pos="200"), end=end)
    assert [row["start"] for row in rows] == [99, 199]
    (reject,) = rejects
    assert reject.reason.startswith(reason)
    assert reject.line == (bad.encode() if isinstance(bad, str) else bad)
    assert rows[0]["record_id"] < reject.offset < rows[1]["record_id"]


def test_utf8_and_long_numbers_of_alleles_are_fine(vcf):
    alts = ",".join("ACGT"[i % 4] * (i // 4 + 2) for i in range(12))
    rows, rejects = vcf(line(info="NOTE=café", alt=alts, rest="GT\t0|12\t10/11\t1|1"))
    assert rejects == []
    assert rows[11]["dosages"] == [1, 0, 0]
    assert rows[0]["info"] == {"NOTE": "café"}


def test_selection(vcf):
    lines = [
        line(pos="100"),
        line(pos="90", info="END=120"),
        line(pos="300"),
        line(contig="X"),
        " ",
        line(pos="x"),
    ]
    one = Selection(regions=(Region(contig="22", start=109, end=200),))
    rows, rejects = vcf(*lines, selection=one)
    assert [row["start"] for row in rows] == [89]
    assert [reject.reason for reject in rejects] == [
        "The line is blank, but not empty",
        "POS 'x' is no number",
    ]
    rows, rejects = vcf(*lines, selection=Selection(contigs=("X",)))
    assert [row["contig"] for row in rows] == ["X"]
    assert [reject.reason for reject in rejects] == ["The line is blank, but not empty"]
    rows, _ = vcf(
        *lines, selection=Selection(contigs=("chrX",), regions=(Region(contig="chr22", start=299, end=300),))
    )
    assert [(row["contig"], row["start"]) for row in rows] == [("22", 299), ("X", 99)]


def test_an_empty_line_is_no_record(vcf):
    rows, rejects = vcf(line(), "", line(pos="200"), "", "")
    assert [row["start"] for row in rows] == [99, 199]
    assert rejects == []


ALLELE = st.text(alphabet="ACGTN", min_size=1, max_size=4)


@st.composite
def records(draw, n_samples: int):
    """A record's columns, and the GT of each sample where it has any."""
    alts = draw(st.lists(st.one_of(ALLELE, st.sampled_from(["<DEL>", "*", "A[22:7["])), max_size=3))
    number = st.integers(0, len(alts)).map(str) | st.just(".")
    plain = st.tuples(number, st.sampled_from("|/"), number).map("".join)
    phased = st.sampled_from(["0|0", ".|."] + (["0|1", "1|0", "1|1"] if alts else []))
    any_gt = st.lists(number, min_size=1, max_size=3).map("/".join)
    gts = draw(
        st.lists(
            draw(st.sampled_from([plain, phased, phased, any_gt])), min_size=n_samples, max_size=n_samples
        )
    )
    depths = draw(st.lists(st.sampled_from([None, "1", "7,8"]), min_size=n_samples, max_size=n_samples))
    form = draw(st.sampled_from(["GT", "GT", "GT:DP", "DP:GT", "DP"]))
    pieces = {"GT": gts, "DP": [depth or "." for depth in depths]}
    samples = [":".join(cell) for cell in zip(*(pieces[key] for key in form.split(":")), strict=True)]
    pos = draw(st.integers(0, 10**9))
    ref = draw(ALLELE)
    text = line(pos=str(pos), ref=ref, alt=",".join(alts) or ".", rest="\t".join([form, *samples]))
    return text, {"start": pos - 1, "ref": ref, "alts": alts, "gts": gts if "GT" in form else None,
                  "depths": depths if "DP" in form else None}  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_what_is_written_comes_back(vcf, monkeypatch, data):
    cases = data.draw(st.lists(records(3), max_size=12))
    lines = [text for text, _ in cases]
    rows, rejects = vcf(*lines, n_splits=data.draw(st.integers(1, 6)))
    assert rejects == []
    left = iter(rows)
    for _, truth in cases:
        for alt_index in range(1, len(truth["alts"]) + 1) if truth["alts"] else [0]:
            row = next(left)
            assert (row["start"], row["ref"], row["alt_index"]) == (truth["start"], truth["ref"], alt_index)
            assert row["alt"] == (truth["alts"][alt_index - 1] if alt_index else None)
            if truth["gts"] is None:
                assert row["calls"] is None
            else:
                assert decode_calls(row["calls"], row["dosages"]) == truth["gts"]
                assert row["dosages"] == [dosage(gt, alt_index) for gt in truth["gts"]]
            has_depths = truth["depths"] is not None
            assert row["formats"] == ({"DP": truth["depths"]} if has_depths else None)
    assert next(left, None) is None

    with monkeypatch.context() as patch:
        # The same without either of the ways that take many lines at once.
        patch.setattr(parser, "_has_pairs", lambda draft, layout: False)
        patch.setattr(
            parser, "read_plain_lines", lambda data, starts, *_: (None, np.zeros(len(starts), bool), [])
        )
        assert vcf(*lines) == (rows, [])


def dosage(gt: str, alt_index: int) -> int | None:
    alleles = gt.replace("|", "/").split("/")
    return None if "." in alleles else sum(allele == str(alt_index) for allele in alleles if alt_index)
