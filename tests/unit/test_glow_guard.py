"""The guard of the glow engine: what Glow was recorded to misread is found in the raw lines, and plain lines pass."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgp.errors import FormatError
from kgp.genome import GRCH37
from kgp.io.splits import plan_splits, read_pieces
from kgp.io.vcf import Selection, glow, reader
from kgp.io.vcf.glow import find_misread_shapes, map_batches
from kgp.io.vcf.glow_guard import LineGuard
from kgp.io.vcf.glow_header import find_odd_header
from kgp.io.vcf.header import VcfHeader, parse_header, read_header
from kgp.io.vcf.parser import parse_chunk
from kgp.io.vcf.rows import Layout

HEADER = (
    "##fileformat=VCFv4.2",
    "##contig=<ID=1,length=249250621>",
    '##INFO=<ID=AC,Number=A,Type=Integer,Description="">',
    '##INFO=<ID=AF,Number=A,Type=Float,Description="">',
    '##INFO=<ID=DP,Number=1,Type=Integer,Description="">',
    '##INFO=<ID=DB,Number=0,Type=Flag,Description="">',
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="">',
    '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="">',
    '##FORMAT=<ID=PL,Number=G,Type=Integer,Description="">',
)
COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", "S1", "S2")

# Names in malformed_lines.json, and what the guard says of each.
MALFORMED = {
    "good": None,
    "info_int_bad": "INFO AC: a value that Glow reads otherwise",
    "info_scalar_bad_then_good": "INFO DP: a value that Glow reads otherwise",
    "info_unknown_key": "undeclared INFO key",
    "info_flag_with_value": "INFO DB with a value",
    "info_key_no_value_nonflag": "INFO DP: a value that Glow reads otherwise",
    "info_float_in_int": "INFO DP: a value that Glow reads otherwise",
    "info_int_overflow": "INFO DP: a value that Glow reads otherwise",
    "info_end_bad": "undeclared INFO key",
    "info_end_good": "undeclared INFO key",
    "info_dup_key": "repeated INFO key",
    "format_dp_bad": "FORMAT DP: a value that Glow reads otherwise",
    "format_gt_bad": "malformed genotype",
    "format_unknown_field": "undeclared FORMAT key",
    "format_dot": "FORMAT '.'",
    "format_gt_not_first": "GT is not the first FORMAT key",
    "gt_missing_dot": None,
    "gt_half_missing": None,
    "gt_haploid": None,
    "gt_triploid_mixed_phase": "genotype that Glow reads otherwise",
    "gt_allele_out_of_range": "malformed genotype",
    "trailing_fields_dropped": None,
    "pl_missing_list": "FORMAT PL: a value that Glow reads otherwise",
    "pl_partial_missing": None,
    "too_few_sample_columns": "wrong number of columns",
    "too_many_sample_columns": "wrong number of columns",
    "extra_format_values": "more values than FORMAT has keys",
    "no_format_cols": "wrong number of columns",
    "truncated_7_cols": "wrong number of columns",
    "truncated_3_cols": "wrong number of columns",
    "blank_line": "empty line",
    "whitespace_line": "wrong number of columns",
    "pos_bad": "POS that Glow reads otherwise",
    "pos_dot": "POS that Glow reads otherwise",
    "pos_zero": None,
    "pos_negative": "POS that Glow reads otherwise",
    "qual_bad": "QUAL that Glow reads otherwise",
    "qual_nan_inf": None,
    "ref_dot": "REF that Glow reads otherwise",
    "ref_lower_iupac": None,
    "alt_dot": None,
    "alt_star_sym_bnd": None,
    "multi_names_filters": None,
    "names_comma": None,
    "space_separated": "wrong number of columns",
    "crlf": None,
    "no_final_newline": None,
    "header_midfile": "wrong number of columns",
    "empty_contig": "CHROM that Glow reads otherwise",
    "utf8": None,
}
# Named although Glow's default reader has it right: it is against the specification, and its other reader refuses it.
CAUTIOUS = ("format_gt_not_first",)

SITE_TYPES = {
    "contigName": pa.string(),
    "start": pa.int64(),
    "end": pa.int64(),
    "names": pa.list_(pa.string()),
    "referenceAllele": pa.string(),
    "alternateAlleles": pa.list_(pa.string()),
    "qual": pa.float64(),
    "filters": pa.list_(pa.string()),
    "INFO_AF": pa.list_(pa.float64()),
    "INFO_DP": pa.int32(),
    "INFO_AC": pa.list_(pa.int32()),
    "INFO_DB": pa.bool_(),
}
GENOTYPE_TYPES = {
    "phredLikelihoods": pa.list_(pa.int32()),
    "phased": pa.bool_(),
    "calls": pa.list_(pa.int32()),
    "depth": pa.int32(),
}


@pytest.fixture(scope="module")
def malformed(shared_data) -> dict[str, dict[str, Any]]:
    """malformed_lines.json."""
    return json.loads((shared_data / "glow-golden" / "malformed_lines.json").read_text())


def write(path: Path, body: str, header: Sequence[str] = HEADER, columns: Sequence[str] = COLUMNS) -> str:
    path.write_bytes("\n".join([*header, "\t".join(columns), body]).encode())
    return str(path)


def shapes_of(path: str) -> Counter[str]:
    header = read_header(path)
    return find_odd_header(path, header) + LineGuard.of(header)(plan_splits(path, n=1)[0])


def shapes_in(line: str, header: Sequence[str] = HEADER, columns: Sequence[str] = COLUMNS) -> set[str]:
    """What the guard finds in one line, written with blanks for tabs."""
    guard = LineGuard.of(parse_header([*header, "\t".join(columns)], where="test"))
    line = line if "\t" in line else line.replace(" ", "\t")
    return set(guard.look(line.encode() + b"\n"))


def comparable(row: dict[str, Any]) -> str:
    """A row as text: maps in the order of their keys, FORMAT fields without any value left out."""
    row = {name: value for name, value in row.items() if name != "record_id"}
    row["info"] = sorted(row["info"])
    row["formats"] = sorted(one for one in row["formats"] or [] if any(one[1]))
    return repr(row)


def glow_rows(recorded: list[dict[str, Any]], layout: Layout) -> list[str]:
    """What Glow returned, as rows of `variants`."""
    columns = {name: pa.array([row[name] for row in recorded], kind) for name, kind in SITE_TYPES.items()}
    columns["record_id"] = pa.array(range(len(recorded)), pa.int64())
    for name, kind in GENOTYPE_TYPES.items():
        values = [row["genotypes"] and [one[name] for one in row["genotypes"]] for row in recorded]
        columns[f"genotypes.{name}"] = pa.array(values, pa.list_(kind))
    batches = map_batches(layout, [pa.RecordBatch.from_pydict(columns)])
    return [comparable(row) for batch in batches for row in batch.to_pylist()]


def builtin_rows(path: str, layout: Layout) -> tuple[list[str], int]:
    """Rows by the builtin engine but those of the good line, and how many lines it rejects."""
    rows, n_rejects = [], 0
    for piece in read_pieces(plan_splits(path, n=1)[0]):
        parsed = parse_chunk(piece, layout)
        n_rejects += len(parsed.rejects)
        rows += [row for batch in parsed.batches for row in batch.to_pylist() if row["start"] != 99]
    return [comparable(row) for row in rows], n_rejects


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("stringency", ["strict", "lenient", "silent"])
def test_a_line_that_glow_answers_otherwise_is_found_and_no_other(tmp_path, malformed, name, stringency):
    """By Glow's default reader, which is the one that kgp uses."""
    path = write(tmp_path / "a.vcf", malformed["good"]["body"] + malformed[name]["body"])
    layout = Layout.make(read_header(path), GRCH37, Selection(), "c", "l")
    ours, n_rejects = builtin_rows(path, layout)
    answer = malformed[name][f"fast=true,{stringency}"]
    try:
        is_same = "rows" in answer and not n_rejects and glow_rows(answer["rows"], layout) == ours
    except FormatError:  # the mapping itself refuses an allele that the record does not have
        is_same = False
    shapes = shapes_of(path)
    assert set(shapes) == ({MALFORMED[name]} if MALFORMED[name] else set())
    assert bool(shapes) == (not is_same or name in CAUTIOUS)


def test_every_recorded_malformed_line_is_known(malformed):
    assert malformed.keys() == MALFORMED.keys()


def test_what_glow_fails_on_or_counts_otherwise_is_found(shared_data):
    recorded = json.loads((shared_data / "glow-golden" / "conformance_stringency.json").read_text())
    missed, n_same = [], 0
    for one in recorded:
        path, answer = str(shared_data / one["file"]), one["strict"]
        try:
            header = read_header(path)
        except FormatError:
            continue
        layout = Layout.make(header, GRCH37, Selection(), "c", "l")
        n_loaded = n_rejected = 0
        for piece in read_pieces(plan_splits(path, n=1)[0]):
            parsed = parse_chunk(piece, layout)
            n_rejected += len(parsed.rejects)
            n_loaded += len(parsed.lines.offsets) - len(parsed.rejects)
        if n_rejected or answer.get("rows") != n_loaded:
            missed += [] if shapes_of(path) else [one["file"]]
        else:
            n_same += 1
    assert missed == []
    assert n_same > 300


@pytest.mark.parametrize(
    ("line", "shape"),
    [
        ("1 7 . A C . . . GT 0|1 0|1", None),
        ("1 7 . A C . . . GT 0/1 ./.", None),
        ("1 7 rs1;rs2 A C,<DEL> 3.5 q1;q2 DB;DP=5;AC=1,. GT:DP 0|2:7 .", None),
        ("#1 7 . A C . . . GT 0|1 0|1", "CHROM that Glow reads otherwise"),
        ("1 7 a,,b A C . . . GT 0|1 0|1", "ID that Glow reads otherwise"),
        ("1 7 . A C . q1,. . GT 0|1 0|1", "FILTER that Glow reads otherwise"),
        ("1 7 . A C,. . . . GT 0|1 0|1", "ALT that Glow reads otherwise"),
        ("1 7 . A C 1e5d . . GT 0|1 0|1", "QUAL that Glow reads otherwise"),
        ("1 7 . A C . . DB; GT 0|1 0|1", "undeclared INFO key"),
        ("1 7 . A C . .  GT 0|1 0|1", "undeclared INFO key"),
        ("1 7 . A C . . DP=. GT 0|1 0|1", "INFO DP: a value that Glow reads otherwise"),
        ("1 7 . A C . . DP=2147483648 GT 0|1 0|1", "INFO DP: a value that Glow reads otherwise"),
        ("1 7 . A C . . AC=.,. GT 0|1 0|1", "INFO AC: a value that Glow reads otherwise"),
        ("1 7 . A C . . . GT 0|1 0|1 0|1", "wrong number of columns"),
        ("1 7 . A C . . . GT 0|1", "wrong number of columns"),
        ("1 7 . A C . . . GT 0|1 ", "malformed genotype"),
        ("1 7 . A C . . . DP 7 ", "FORMAT DP: a value that Glow reads otherwise"),
        ("1 7 . A C . . . GT 0|1 |1", "genotype that Glow reads otherwise"),
        ("1 7 . A C . . . GT 0|1 00|1", "genotype that Glow reads otherwise"),
        ("1 7 . A . . . . GT 0|1 0|0", "malformed genotype"),
        ("1 7 . A C . . . GT:DP:DP 0|1:7:8 0|1", "repeated FORMAT key"),
        ("1 7 . A C . . . GT:DP 0|1:7:8 0|1", "more values than FORMAT has keys"),
        ("1 7 . A C . . . DP:GT 7:0|1 0|1", "GT is not the first FORMAT key"),
        ("1 7 . A C\r . . . GT 0|1 0|1", "NUL or carriage return in a line"),
        ("1 7 \0 A C . . . GT 0|1 0|1", "NUL or carriage return in a line"),
    ],
)
def test_each_shape(line, shape):
    assert shapes_in(line) == ({shape} if shape else set())


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("C|a|1/2|x&y", None),
        ("C|a|1/2|x&y,G||1|", None),
        ("C|a|1/2", "INFO CSQ: a value that Glow reads otherwise"),
        ("C|a|1/2/3|", "INFO CSQ: a value that Glow reads otherwise"),
        ("C|.|1/2|", "INFO CSQ: a value that Glow reads otherwise"),
        ("C|a|1/|", "INFO CSQ: a value that Glow reads otherwise"),
    ],
)
def test_annotations_that_can_be_put_together_again(value, shape):
    header = [*HEADER, '##INFO=<ID=CSQ,Number=.,Type=String,Description="Format: A|B|C|D">']
    assert shapes_in(f"1 7 . A C . . CSQ={value} GT 0|1 0|1", header) == ({shape} if shape else set())


@pytest.mark.parametrize(
    ("declaration", "value", "is_read"),
    [
        ("Number=2,Type=Integer", "1,2", True),
        ("Number=2,Type=Integer", "1,2,3", False),
        ("Number=.,Type=Integer", "1,.,3", True),
        ("Number=.,Type=Float", "1e-5,-.5,NaN", True),
        ("Number=1,Type=String", "a,b c", True),
        ("Number=1,Type=String", "a=b", False),
        ("Number=.,Type=String", "a,,b", False),
        ("Number=A,Type=Flag", "1", False),
        ("Number=1,Type=Text", "a", False),
    ],
)
def test_values_of_each_kind(declaration, value, is_read):
    header = [*HEADER, f'##INFO=<ID=X,{declaration},Description="">']
    shapes = shapes_in(f"1\t7\t.\tA\tC\t.\t.\tX={value}\tGT\t0|1\t0|1", header)
    assert shapes == (set() if is_read else {"INFO X: a value that Glow reads otherwise"})


def test_genotypes_that_no_header_declares_are_found():
    """Glow drops them."""
    header = [line for line in HEADER if "ID=GT" not in line]
    assert shapes_in("1 7 . A C . . . GT 0|1 0|1", header) == {"undeclared FORMAT key"}


@pytest.mark.parametrize(("end", "is_idle"), [(7, True), (8, True), (9, False), (3, True)])
def test_end_that_says_no_more_than_ref(end, is_idle):
    header = [*HEADER, '##INFO=<ID=END,Number=1,Type=Integer,Description="">']
    shapes = shapes_in(f"1 7 . AT <DEL> . . END={end} GT 0|1 0|1", header)
    assert shapes == ({"INFO END no further than REF"} if is_idle else set())


GENOTYPES = st.sampled_from(
    ["0|0", "0|1", "1|0", "1|1", "0/0", "0/1", "./.", ".|1", "2|1", "3|0", "10|1", "0", ".", "0|1/1", "x|1", "", "0|",
     "0|0|1", "/1", "01|1", "0:1"]
)  # fmt: skip


@given(rows=st.lists(st.tuples(st.lists(GENOTYPES, min_size=1, max_size=5), st.integers(0, 12)), max_size=8))
def test_genotypes_that_pass_are_those_that_have_one_form_only(rows):
    """Against a rule that looks at one genotype after the other."""
    columns = (*COLUMNS[:9], "S1", "S2", "S3")
    header = parse_header([*HEADER, "\t".join(columns)], where="test")
    body, expected = "", 0
    for genotypes, n_alts in rows:
        alt = ",".join("C" * (i + 1) for i in range(n_alts)) or "."
        body += "\t".join(["1", "7", ".", "A", alt, ".", ".", ".", "GT", *genotypes]) + "\n"
        expected += len(genotypes) != 3 or not all(has_one_form(one, n_alts) for one in genotypes)
    assert LineGuard.of(header).look(body.encode()).total() == expected


def has_one_form(genotype: str, n_alts: int) -> bool:
    alleles = re.split(r"[|/]", genotype)
    is_whole = len(set(re.findall(r"[|/]", genotype))) < 2
    return is_whole and all(allele in (".", *map(str, range(n_alts + 1))) for allele in alleles)


def header_of(version: str = "4.2", *lines: str) -> VcfHeader:
    return parse_header([f"##fileformat=VCFv{version}", *lines, "\t".join(COLUMNS)], where="test")


@pytest.mark.parametrize("version", ["4", "4.0", "4.1", "4.2", "4.3"])
def test_versions_that_glow_reads(tmp_path, version):
    assert find_odd_header(write(tmp_path / "a.vcf", ""), header_of(version)) == {}


@pytest.mark.parametrize(
    ("line", "is_refused"),
    [
        ('##INFO=<ID=X,Number=1,Type=Integer,Description="a, \\"b\\"",Source="c">', False),
        ('##INFO=<ID=X,Type=Integer,Number=1,Description="a">', True),
        ('##INFO=<ID=X,Number=0,Type=String,Description="a">', True),
        ('##INFO=<ID=X,Number=-1,Type=String,Description="a">', True),
        ('##FORMAT=<ID=X,Number=G,Type=Flag,Description="a">', True),
        ('##ALT=<ID=DEL,Description="a>', True),
        ('##ALT=<ID=DEL,Number=1,Type=String,Description="a">', True),
        ("##source=any<thing", False),
    ],
)
def test_header_lines_that_glow_refuses(tmp_path, line, is_refused):
    found = find_odd_header(write(tmp_path / "a.vcf", ""), header_of("4.2", line))
    assert found == ({"header line that Glow refuses": 1} if is_refused else {})


@pytest.mark.parametrize(
    ("lines", "shape"),
    [
        (('##INFO=<ID=X,Number=1,Type=Integer,Description="a">',) * 2, "key that is declared twice"),
        (
            [f'##INFO=<ID={key},Number=1,Type=Integer,Description="a">' for key in ("Dp", "DP")],
            "key whose column Spark can't tell from another one",
        ),
        (
            ['##FORMAT=<ID=calls,Number=1,Type=Integer,Description="a">'],
            "key whose column Spark can't tell from another one",
        ),
    ],
)
def test_declarations_that_make_no_columns(tmp_path, lines, shape):
    found = find_odd_header(write(tmp_path / "a.vcf", ""), header_of("4.2", *lines))
    assert shape in found


@pytest.mark.parametrize(
    ("name", "content", "shape"),
    [
        ("a.vcf.gz", gzip.compress(b"", mtime=0), None),
        ("a.vcf.bgz", gzip.compress(b"", mtime=0), "suffix that does not say how the file is compressed"),
        ("a.vcf", gzip.compress(b"", mtime=0), "suffix that does not say how the file is compressed"),
        ("a.vcf.gz", b"", "suffix that does not say how the file is compressed"),
        ("_a.vcf", b"", "file name that Spark passes over"),
        (".a.vcf", b"", "file name that Spark passes over"),
        ("a[1].vcf", b"", "path that Hadoop takes for a pattern"),
    ],
    ids=["gzip", "gzip as bgz", "gzip as text", "text as gzip", "underscore", "dot", "brackets"],
)
def test_file_names_that_glow_takes_for_something_else(tmp_path, name, content, shape):
    (tmp_path / name).write_bytes(content)
    assert find_odd_header(str(tmp_path / name), header_of()) == ({shape: 1} if shape else {})


def test_damaged_file_is_for_builtin_which_knows_quarantine(tmp_path, bundled):
    content = bytearray((bundled / "genotypes.chr22.vcf.gz").read_bytes())
    content[len(content) // 2] ^= 0xFF
    path = tmp_path / "a.vcf.gz"
    path.write_bytes(content)
    assert shapes_of(str(path))["damaged bytes"] >= 1


@pytest.fixture
def glow_answers(monkeypatch) -> None:
    """Glow's JAR is there; tasks run in this process."""
    monkeypatch.setattr(glow, "is_available", lambda spark: True)
    monkeypatch.setattr(glow, "run_tasks", lambda spark, items, function: [function(one) for one in items])


@pytest.mark.parametrize(
    ("version", "engine"), [("4.1", "glow"), ("4.2", "glow"), ("4.3", "glow"), ("4.4", "builtin"), ("4.5", "builtin")]
)  # fmt: skip
def test_versions_that_glow_refuses_go_to_builtin(tmp_path, glow_answers, version, engine):
    header = (f"##fileformat=VCFv{version}", *HEADER[1:])
    path = write(tmp_path / "a.vcf", "1\t7\t.\tA\tC\t.\t.\t.\tGT\t0|1\t1|1\n", header)
    chosen, reason = reader._choose(None, path, read_header(path), "auto")
    assert chosen == engine
    assert (f"VCF {version}" in reason) == (engine == "builtin")


def test_glow_that_would_misread_a_file_is_refused_where_it_is_asked_for(tmp_path, glow_answers):
    path = write(tmp_path / "a.vcf", "1\t7\t.\tA\tC\t.\t.\t.\tGT\t0|1\n")
    header = read_header(path)
    assert find_misread_shapes(None, path, header) == {"wrong number of columns": 1}
    with pytest.raises(
        FormatError, match=re.escape("Glow would misread this file: wrong number of columns (1)")
    ):
        reader._choose(None, path, header, "glow")
    assert reader._choose(None, path, header, "auto")[0] == "builtin"
    assert reader._choose(None, path, header, "builtin") == ("builtin", "asked for")
