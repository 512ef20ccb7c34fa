"""What is odd about a VCF file: each rule with a right and a wrong example, the expressions that say where nothing is,
and the score on the conformance files."""

from __future__ import annotations

import gzip
import importlib.util
import pickle
import random
import re
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgp.io.vcf.conformance import (
    LineChecker,
    Oddity,
    OrderChecker,
    check_header,
    count_at_seams,
    needs_line_end,
)
from kgp.io.vcf.conformance.boring import merge_orders
from kgp.io.vcf.header import VcfHeader, parse_header, read_header

COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
TEXT = 'Description="a, \\"b\\" <c>"'
SITE = ["1", "100", "rs1", "A", "C", "100", "PASS", "."]


@pytest.fixture(scope="session")
def table(root: Path) -> ModuleType:
    """tests/conformance_table.py, which is no module of a package."""
    spec = importlib.util.spec_from_file_location(
        "conformance_table", root / "tests" / "conformance_table.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


# ------------------------------------------------------------------------------------------------ the header

HEADER_RULES = [
    # version, right lines, wrong line, its kind
    ("4.2", ["##source=x", "##x=<a=b>"], "##some words", Oddity.NO_PAIR),
    ("4.2", ["##assembly=b37.fa"], "##assembly=", Oddity.NO_PAIR),
    ("4.2", [], "words", Oddity.NO_PAIR),
    (
        "4.3",
        [
            "##assembly=ftp://www.ebi.ac.uk:8080/a.fa",
            "##assembly=http://123.0.1.2/a",
            "##assembly=file:///a.fa",
        ],
        "##assembly=ftp://8080:8080/a.fa",
        Oddity.BAD_ASSEMBLY,
    ),
    ("4.2", [f"##ALT=<ID=DUP,{TEXT}>"], '##ALT=<ID=DUP,Description="a>', Oddity.BROKEN_QUOTES),
    ("4.2", [], f"##ALT=<ID=DEL:A,B,{TEXT}>", Oddity.BROKEN_DECLARATION),
    ("4.2", [], f"##INFO=ID=DEL,{TEXT}", Oddity.BROKEN_DECLARATION),
    (
        "4.3",
        ['##contig=<ID=1, species="Homo sapiens">'],
        "##contig=<ID=1,species=Homo sapiens>",
        Oddity.BROKEN_DECLARATION,
    ),
    ("4.2", [], "##FILTER=<ID=q,Description=low quality>", Oddity.UNQUOTED_DESCRIPTION),
    ("4.2", ["##PEDIGREE=<Child=A,Father=B>"], f"##FILTER=<{TEXT}>", Oddity.NO_ID),
    ("4.3", ["##PEDIGREE=<ID=A,Father=B>"], "##PEDIGREE=<Child=A,Father=B>", Oddity.NO_ID),
    ("4.2", ["##contig=<ID=1.*>"], f"##ALT=<ID=DEL A,{TEXT}>", Oddity.BAD_ID),
    ("4.3", ["##contig=<ID=HLA-A*01:01:01:01>", "##contig=<ID=ABcd:1>"], "##contig=<ID=1.*>", Oddity.BAD_ID),
    (
        "4.3",
        [f"##INFO=<ID=1000G,Number=0,Type=Flag,{TEXT}>", f"##INFO=<ID=_a.b,Number=1,Type=String,{TEXT}>"],
        f"##INFO=<ID=a-b,Number=1,Type=String,{TEXT}>",
        Oddity.BAD_ID,
    ),
    ("4.2", [f"##FILTER=<ID=s50,{TEXT}>"], f"##FILTER=<ID=0,{TEXT}>", Oddity.BAD_ID),
    ("4.4", ["##FILTER=<ID=q>", "##ALT=<ID=INS>"], "##INFO=<ID=X,Number=1>", Oddity.INCOMPLETE_DECLARATION),
    ("4.2", [], "##FILTER=<ID=q>", Oddity.INCOMPLETE_DECLARATION),
    (
        "4.2",
        [f"##INFO=<ID=X{n},Number={n},Type=Float,{TEXT}>" for n in ("0", "7", "A", "R", "G", ".")],
        f"##INFO=<ID=X,Number=N,Type=Float,{TEXT}>",
        Oddity.BAD_NUMBER,
    ),
    (
        "4.4",
        [f"##FORMAT=<ID=X,Number=P,Type=Float,{TEXT}>"],
        f"##FORMAT=<ID=Y,Number=LA,Type=Float,{TEXT}>",
        Oddity.BAD_NUMBER,
    ),
    ("4.5", [f"##FORMAT=<ID=X,Number=LA,Type=Float,{TEXT}>"], "##META=<ID=A,Number=N>", Oddity.BAD_NUMBER),
    ("4.0", [f"##INFO=<ID=X,Number=-1,Type=Float,{TEXT}>"], "##META=<ID=A,Number=N>", Oddity.BAD_NUMBER),
    (
        "4.2",
        [f"##INFO=<ID=X,Number=A,Type=Flag,{TEXT}>"],
        f"##FORMAT=<ID=X,Number=0,Type=Flag,{TEXT}>",
        Oddity.BAD_TYPE,
    ),
    ("4.2", [], f"##INFO=<ID=X,Number=0,Type=Text,{TEXT}>", Oddity.BAD_TYPE),
    (
        "4.1",
        [f"##INFO=<ID=AC,Number=.,Type=Integer,{TEXT}>", f"##INFO=<ID=AD,Number=1,Type=Integer,{TEXT}>"],
        f"##INFO=<ID=AF,Number=1,Type=Float,{TEXT}>",
        Oddity.RESERVED_NUMBER,
    ),
    (
        "4.3",
        [f"##INFO=<ID=AD,Number=R,Type=Integer,{TEXT}>"],
        f"##INFO=<ID=ADF,Number=1,Type=Integer,{TEXT}>",
        Oddity.RESERVED_NUMBER,
    ),
    (
        "4.0",
        [f"##FORMAT=<ID=GL,Number=3,Type=Float,{TEXT}>"],
        f"##FORMAT=<ID=GQ,Number=2,Type=Integer,{TEXT}>",
        Oddity.RESERVED_NUMBER,
    ),
    (
        "4.2",
        [f"##INFO=<ID=MQ,Number=1,Type=Float,{TEXT}>", f"##FORMAT=<ID=GLE,Number=1,Type=String,{TEXT}>"],
        f"##INFO=<ID=DB,Number=0,Type=String,{TEXT}>",
        Oddity.RESERVED_TYPE,
    ),
    (
        "4.4",
        [f"##FORMAT=<ID=CN,Number=1,Type=Float,{TEXT}>"],
        f"##FORMAT=<ID=PSQ,Number=P,Type=Float,{TEXT}>",
        Oddity.RESERVED_TYPE,
    ),
    (
        "4.2",
        [f"##INFO=<ID=X,Number=1,Type=Float,{TEXT}>", f"##FORMAT=<ID=X,Number=1,Type=Float,{TEXT}>"],
        f"##INFO=<ID=X,Number=2,Type=Float,{TEXT}>",
        Oddity.INFO_TWICE,
    ),
    ("4.2", [f"##FILTER=<ID=q,{TEXT}>"], f"##FILTER=<ID=q,{TEXT}>", Oddity.FILTER_TWICE),
    (
        "4.2",
        [
            "##contig=<ID=1>",
            "##contig=<ID=1,length=7>",
            "##contig=<ID=1,length=7>",
            "##contig=<ID=2,length=8>",
        ],
        "##contig=<ID=2,length=9>",
        Oddity.CONTIG_TWICE,
    ),
    ("4.2", [f"##ALT=<ID=CN0,{TEXT}>"], f"##ALT=<ID=DEL1,Number=1,Type=String,{TEXT}>", Oddity.ALT_NUMBER),
    ("4.3", [f"##ALT=<ID=BND,{TEXT}>"], "##META=<ID=A,Number=1,Type=String,Values=a>", Oddity.BAD_META),
    (
        "4.3",
        ["##META=<ID=A,Number=1,Type=String,Values=[a, b]>"],
        '##META=<ID=B,Values="a">',
        Oddity.BAD_META,
    ),
    ("4.4", [], f"##ALT=<ID=BND:x,{TEXT}>", Oddity.BREAKEND_SYMBOL),
    (
        "4.2",
        [f"##SAMPLE=<ID=A,Mixture=N1;N2,{TEXT}>"],
        '##SAMPLE=<ID=B,Mixture="N1;N2">',
        Oddity.QUOTED_VALUE,
    ),
    ("4.3", ['##SAMPLE=<ID=A,Mixture="N1;N2">'], "##SAMPLE=<ID=1.*>", Oddity.BAD_ID),
]


@pytest.mark.parametrize(("version", "right", "wrong", "kind"), HEADER_RULES)
def test_header_rules(version, right, wrong, kind):
    start = [f"##fileformat=VCFv{version}", *right]
    assert check_header([*start, COLUMNS], version) == []
    found = check_header([*start, wrong, COLUMNS], version)
    assert [(one.what, one.line) for one in found] == [(kind, len(start))]


def test_an_unknown_version_is_held_to_the_newest():
    found = check_header(["##fileformat=VCFv4.9", f"##ALT=<ID=BND:x,{TEXT}>"], "4.9")
    assert [(one.what, one.line) for one in found] == [
        (Oddity.UNKNOWN_VERSION, 0),
        (Oddity.BREAKEND_SYMBOL, 1),
    ]


@given(st.text(alphabet='#=<>",[]\\ abID', max_size=40), st.sampled_from(["INFO", "ALT", "META", "contig"]))
def test_no_header_line_is_too_odd(text, kind):
    lines = [
        "##fileformat=VCFv4.3",
        text,
        f"##{kind}={text}",
        f"##{kind}=<{text}>",
        f"##{kind}=<ID=A,{text}>",
    ]
    assert all(1 <= one.line <= 4 for one in check_header(lines, "4.3"))


# ------------------------------------------------------------------------------------------------ records

DECLARATIONS = """
##INFO=<ID=ONE,Number=1,Type=Integer,Description="">
##INFO=<ID=AC,Number=A,Type=Integer,Description="">
##INFO=<ID=EACH,Number=R,Type=Float,Description="">
##INFO=<ID=TWO,Number=2,Type=String,Description="">
##INFO=<ID=ANY,Number=.,Type=String,Description="">
##INFO=<ID=LETTER,Number=1,Type=Character,Description="">
##INFO=<ID=DB,Number=0,Type=Flag,Description="">
##FORMAT=<ID=GT,Number=1,Type=String,Description="">
##FORMAT=<ID=DS,Number=A,Type=Float,Description="">
##FORMAT=<ID=GL,Number=G,Type=Float,Description="">
##FORMAT=<ID=A_B,Number=1,Type=String,Description="">
##FORMAT=<ID=N,Number=1,Type=Integer,Description="">
##FILTER=<ID=q10,Description="">
##FILTER=<ID=s50,Description="">
##ALT=<ID=CN0,Description="">
##contig=<ID=1>
""".strip().splitlines()


def make_header(
    version: str = "4.2", declarations: list[str] | None = None, samples: str = "A B"
) -> VcfHeader:
    columns = COLUMNS + ("\tFORMAT\t" + "\t".join(samples.split()) if samples else "")
    lines = [
        f"##fileformat=VCFv{version}",
        *(DECLARATIONS if declarations is None else declarations),
        columns,
    ]
    return parse_header(lines, where="a.vcf")


def make_fields(rest: str = "", **columns: str) -> list[str]:
    names = ["contig", "pos", "id", "ref", "alt", "qual", "filter", "info"]
    fields = [columns.get(name, value) for name, value in zip(names, SITE, strict=True)]
    return fields + rest.split()


LINE_RULES = [
    # version, column, right values, wrong values, kind
    ("4.2", "id", [".", "rs1;rs2"], ["rs1;", "rs 1", ""], Oddity.BAD_VCF_ID),
    ("4.2", "ref", ["A", "nACGT"], ["R", "<DEL>", "."], Oddity.BAD_REF),
    (
        "4.2",
        "alt",
        [".", "C", "*", "<*>", ".A", "A.", "G[1:7[", "]<c>:7]G", "C,<CN0>"],
        ["A T", "<A", "R", "G[1"],
        Oddity.BAD_ALT,
    ),
    ("4.2", "alt", ["<DEL>", "<INS:ME:ALU>", "<NON_REF>", "<CN0>"], ["<CN1>"], Oddity.UNDECLARED_ALT),
    (
        "4.2",
        "qual",
        [".", "0", "-0.0", "1e-5", "Inf", "NaN", "-nan"],
        ["-1", "-1e-5", "-Inf"],
        Oddity.NEGATIVE_QUAL,
    ),
    (
        "4.2",
        "filter",
        [".", "PASS", "q10;s50"],
        ["PASS;", "q10;.", "PASS;q10", "0", "q 10"],
        Oddity.BAD_FILTER,
    ),
    ("4.2", "filter", [], ["q11", "q10;q11"], Oddity.UNDECLARED_FILTER),
    ("4.2", "info", [".", "ONE=1", "ONE=."], ["ONE=1;", "", "ONE=", "ANY=a b"], Oddity.BAD_INFO),
    ("4.3", "info", ["ANY=a b"], ["a-b=1"], Oddity.BAD_INFO),
    ("4.2", "info", [], ["END=7", "FOO"], Oddity.UNDECLARED_INFO),
    ("4.2", "info", [], ["DB;DB", "ONE=1;ONE=2"], Oddity.REPEATED_INFO),
    (
        "4.2",
        "info",
        ["AC=1", "AC=.", "EACH=1,.", "TWO=a,b", 'TWO="a,b",c', "ANY=a,b"],
        ["ONE=1,2", "ONE", "AC=1,2", "EACH=1", "TWO=a"],
        Oddity.INFO_NUMBER,
    ),
    (
        "4.2",
        "info",
        ["ONE=-1", "DB", "DB=0", "DB=1", "EACH=1e-9,-Inf", "LETTER=%"],
        ["ONE=1.0", "ONE=x", "DB=2", "EACH=1,x", "LETTER=ab", "AC=-1"],
        Oddity.INFO_TYPE,
    ),
]


@pytest.mark.parametrize(("version", "column", "right", "wrong", "kind"), LINE_RULES)
def test_site_rules(version, column, right, wrong, kind):
    checker = LineChecker.of(make_header(version))
    for value in right:
        assert checker.find(make_fields("GT 0|1 1|1", **{column: value})) == (), value
    for value in wrong:
        # an odd key is undeclared besides
        found = set(checker.find(make_fields("GT 0|1 1|1", **{column: value})))
        assert kind in found, value
        assert found <= {kind, Oddity.UNDECLARED_INFO}, value


SAMPLE_RULES = [
    (
        "4.2",
        ["GT 0|1 1|1", "GT:A_B 0|1:x .", "DS 0.5 1", ". . ."],
        ["GT::DS 0|1::1 1|1", "GT:C_D 0|1:x 1|1"],
        Oddity.BAD_FORMAT,
    ),
    ("4.3", [], ["GT:1A 0|1:x 1|1", "GT:A*B 0|1:x 1|1"], Oddity.BAD_FORMAT),
    ("4.2", [], ["GT:XY 0|1:x 1|1"], Oddity.UNDECLARED_FORMAT),
    ("4.2", [], ["GT:DS:DS 0|1:1:1 1|1"], Oddity.REPEATED_FORMAT),
    ("4.2", [], ["DS:GT 1:0|1 1:1|1"], Oddity.GT_NOT_FIRST),
    (
        "4.2",
        [
            "GT:DS 0|1:. .",
            "GT:GL 0|1:1,2,3 1:1,2",
            "GT:GL .:1,2,3 .:1,2",
            "GL 1,2,3 1,2",
            "GT:GL 0/0/1:1,2,3,4 .",
        ],
        ["GT:DS 0|1:1,2 1|1:1", "GT:GL 0|1:1,2 1|1", "GT:GL 1:1,2,3 1|1", "GT:N 0|1:1 1|1:1,2"],
        Oddity.FORMAT_NUMBER,
    ),
    (
        "4.2",
        ["GT:N 0|1:7 1|1:-7"],
        ["GT:N 0|1:7 1|1:x", "GT:N 0|1:7 1|1:7.0", "GT:DS 0|1:x 1|1"],
        Oddity.FORMAT_TYPE,
    ),
]


@pytest.mark.parametrize(("version", "right", "wrong", "kind"), SAMPLE_RULES)
def test_sample_rules(version, right, wrong, kind):
    checker = LineChecker.of(make_header(version))
    for value in right:
        assert checker.find(make_fields(value)) == (), value
    for value in wrong:
        found = set(checker.find(make_fields(value)))
        assert kind in found, value
        assert found <= {kind, Oddity.UNDECLARED_FORMAT}, value


def test_counts_go_by_the_alleles_of_the_record():
    checker = LineChecker.of(make_header())
    two = {"alt": "C,G"}
    assert checker.find(make_fields("GT:GL 0|2:1,2,3,4,5,6 1:1,2,3", info="AC=1,2;EACH=1,2,3", **two)) == ()
    assert checker.find(make_fields("GT:DS 0|2:1 .", **two)) == (Oddity.FORMAT_NUMBER,)
    assert checker.find(make_fields("GT:GL 0|2:1,2,3 .", info="AC=1", **two)) == (
        Oddity.INFO_NUMBER,
        Oddity.FORMAT_NUMBER,
    )
    # of a record without ALT, a value for each ALT may have an entry
    assert checker.find(make_fields("GT:GL 0|0:1 .", alt=".", info="AC=0;EACH=7")) == ()


@pytest.mark.parametrize(
    ("version", "name", "found"),
    [
        ("4.2", "1", ()),
        ("4.2", "<1*>", ()),
        ("4.2", "2", (Oddity.UNDECLARED_CONTIG,)),
        ("4.2", "<1", (Oddity.CONTIG_NAME,)),
        ("4.2", "chr 1", (Oddity.CONTIG_NAME,)),
        ("4.3", "<2>", ()),
        ("4.3", "chr*1", (Oddity.CONTIG_NAME,)),
        ("4.3", "chr,1", (Oddity.CONTIG_NAME,)),
        ("4.3", "HLA-A*01:01:01:02N", (Oddity.UNDECLARED_CONTIG,)),
    ],
)
def test_contigs(version, name, found):
    assert LineChecker.of(make_header(version)).find_contig(name) == found


def test_what_a_header_leaves_out_as_a_whole_is_not_missed():
    fields = make_fields("GT:XY 0|1:a .", alt="<X>", filter="q", info="FOO=1;AC=1")
    assert LineChecker.of(make_header(declarations=[])).find(fields) == ()
    assert LineChecker.of(make_header(declarations=DECLARATIONS[:7])).find(fields) == ()  # INFO only
    assert LineChecker.of(make_header(declarations=[])).find_contig("2") == ()
    assert LineChecker.of(make_header(declarations=DECLARATIONS[:7], samples="")).find(fields[:8]) == (
        Oddity.UNDECLARED_INFO,
    )


def test_reserved_keys_mean_the_same_undeclared():
    checker = LineChecker.of(make_header(declarations=[]))
    right = ["AA=A", "AC=7", "AF=0.5", "CIGAR=1M30I", "DB=1", "END=1", "MQ=7.5", "MQ0=0", "1000G"]
    wrong = ["AC=x", "AF=x", "AN=-1", "CIGAR=1Y", "CIGAR=0.05", "H2=2", "END=1.5", "MQ0=-1", "1000G=2"]
    assert [checker.find(make_fields(info=info)) for info in right] == [()] * len(right)
    assert [checker.find(make_fields(info=info)) for info in wrong] == [(Oddity.INFO_TYPE,)] * len(wrong)
    assert checker.find(make_fields(info="AA=A,C")) == (Oddity.INFO_NUMBER,)
    assert checker.find(make_fields("GT:PL 0|1:1,2 .")) == (Oddity.FORMAT_NUMBER,)
    assert checker.find(make_fields("GT:AD 0|1:1 .")) == ()  # reserved since VCF 4.3
    assert LineChecker.of(make_header("4.3", [])).find(make_fields("GT:AD 0|1:1 .")) == (
        Oddity.FORMAT_NUMBER,
    )


STRUCTURAL_RULES = [
    ("<DEL>", "SVCLAIM=D", "", None),
    ("<DEL>,T,<DUP:TANDEM>", "SVCLAIM=J,.,DJ", "", None),
    ("<DEL>", "SVLEN=7", "", Oddity.NO_SVCLAIM),
    ("<DEL>,T,<DUP>", "SVCLAIM=J,.,.", "", Oddity.NO_SVCLAIM),
    ("<BND:x>", ".", "", Oddity.BREAKEND_SYMBOL),
    ("<CNV:TR>", "RUS=CAG;RN=1;RUC=20;RB=60;CIRB=-2,2", "", None),
    ("<CNV:TR>,<CNV:TR>", "RN=2,1;RUL=1,2,3;RUC=3,.,3.4;RB=3,.,10;CIRUC=-1,0,.,.,0,2", "", None),
    ("<CNV:TR>", "RN=1", "", Oddity.BAD_REPEAT),
    ("<CNV:TR>", "RUS=TT;RUL=3", "", Oddity.BAD_REPEAT),
    ("<CNV:TR>", "RUS=TT;RUC=3;RB=7", "", Oddity.BAD_REPEAT),
    ("<CNV:TR>", "RUS=TT;RUC=2,2", "", Oddity.BAD_REPEAT),
    ("<CNV:TR>", "RUS=TT;RB=60;CIRB=-2", "", Oddity.BAD_INTERVAL),
    ("<CNV:TR>", "RUS=TT;RB=60;CIRB=1,2", "", Oddity.BAD_INTERVAL),
    ("<CNV:TR>", "RUS=TT;CIRB=-1,2", "", Oddity.BAD_INTERVAL),
    ("<CNV>", "CN=1.2;CICN=-1,4", "", None),
    ("<CNV>", "CN=1.2;CICN=-1.5,4", "", Oddity.BAD_INTERVAL),
    ("<CNV>", "CN=1.2;CICN=-1", "", Oddity.BAD_INTERVAL),
    ("<CNV>", ".", "GT:CN:CICN 0|1:1.2:-1,1 .|.:.:.", None),
    ("<CNV>", ".", "GT:CN:CICN 0|1:1.2:1,1 .", Oddity.BAD_INTERVAL),
    ("<CNV>", ".", "GT:PSL:PSQ 0|1:a,.:7,. .", None),
    ("<CNV>", ".", "GT:PSL:PSQ 0|1:a,.:7,8 .", Oddity.PHASE_QUALITY),
    ("<CNV>", ".", "GT:PSL 0|1:a .", Oddity.FORMAT_NUMBER),
]


@pytest.mark.parametrize(("alt", "info", "rest", "kind"), STRUCTURAL_RULES)
def test_structural_rules_of_4_4(alt, info, rest, kind):
    fields = make_fields(rest, alt=alt, info=info)
    assert LineChecker.of(make_header("4.4", [])).find(fields) == ((kind,) if kind else ())
    if not rest:
        assert LineChecker.of(make_header("4.3", [])).find(fields) == ()


def test_a_checker_travels():
    checker = LineChecker.of(make_header())
    assert pickle.loads(pickle.dumps(checker)) == checker
    assert len(pickle.dumps(checker)) < 10_000


@given(st.lists(st.text(alphabet="ACGT<>[]:;,=.*0|/-PASS \t", max_size=9), min_size=8, max_size=12))
def test_no_line_is_too_odd(fields):
    for version in ("4.1", "4.5"):
        assert set(LineChecker.of(make_header(version)).find(fields)) <= set(Oddity)


# ------------------------------------------------------------------------------------------------ boring records


def matches(pattern: str | None, texts: list[str]) -> list[bool]:
    """By RE2, as the parser does it."""
    assert pattern is not None
    found: list[bool] = pc.match_substring_regex(pa.array(texts), pattern).to_pylist()
    return found


EXAMPLES = [
    make_fields("GT", info="ONE=1;AC=3;EACH=0.5,1;DB;LETTER=x"),
    make_fields("GT", info="ONE=1;TWO=a,b;ANY=a,b,c;LETTER=x", id="."),
    make_fields("GT:DS", info="ONE=1", filter="q10"),
]


def mutate(rng: random.Random, fields: list[str]) -> list[str]:
    """The record with something changed that may or may not matter."""
    pieces = [
        "1",
        ".",
        ",",
        ";",
        "=",
        "AC=",
        "x",
        "<CN0>",
        "DB;",
        "-",
        "q10",
        "0",
        "\u00a0",
        " ",
        '"',
        "PASS",
        "",
        "é",
    ]
    mutant = list(fields)
    for _ in range(rng.randint(0, 2)):
        column = rng.randrange(1, len(mutant))
        at = rng.randint(0, len(mutant[column]))
        mutant[column] = mutant[column][:at] + rng.choice(pieces) + mutant[column][at + rng.randint(0, 1) :]
    if rng.random() < 0.3:
        entries = mutant[7].split(";")
        rng.shuffle(entries)
        mutant[7] = ";".join(
            [*entries[: rng.randint(1, len(entries))], *rng.choices(entries, k=rng.randint(0, 1))]
        )
    return mutant


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.integers(0, 1 << 32), st.sampled_from(["4.1", "4.2", "4.3", "4.4"]))
def test_nothing_is_odd_about_a_boring_site(seed, version):
    rng = random.Random(seed)
    checker = LineChecker.of(make_header(version))
    pattern = checker.boring_site_for(EXAMPLES)
    mutants = [mutate(rng, rng.choice(EXAMPLES)) for _ in range(40)]
    is_boring = matches(pattern, ["\t".join(one) for one in mutants])
    assert [one for one, boring in zip(mutants, is_boring, strict=True) if boring and checker.find(one)] == []
    assert all(matches(pattern, ["\t".join(one) for one in EXAMPLES]))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), st.sampled_from(["GT:DS:GL", "GT:N:A_B", "DS:N", "GT"]), st.integers(0, 3))
def test_nothing_is_odd_about_boring_samples(seed, keys, n_alts):
    rng = random.Random(seed)
    checker = LineChecker.of(make_header())
    alts = ",".join("CGT"[:n_alts]) or "."
    pattern = checker.boring_samples_for(keys, n_alts)
    values = {
        "GT": ["0|1", "1", ".", "./.", "0/0/1", "0|"],
        "DS": ["1", ".", "0.5,1", "x", ""],
        "GL": [",".join(["-0.5"] * n) for n in range(1, 11)] + ["."],
        "N": ["7", "7,8", "-", "."],
        "A_B": ["a", "a,b", "."],
    }
    records = []
    for _ in range(60):
        samples = [
            ":".join(rng.choice(values[key]) for key in keys.split(":")[: rng.randint(1, 3)]) for _ in "AB"
        ]
        records.append(make_fields(" ".join([keys, *samples]), alt=alts))
    is_boring = matches(pattern, ["\t".join(one[9:]) for one in records])
    assert [one for one, boring in zip(records, is_boring, strict=True) if boring and checker.find(one)] == []


def test_odd_examples_and_odd_formats_make_no_expression():
    checker = LineChecker.of(make_header())
    assert checker.boring_site_for([]) is None
    assert checker.boring_site_for([make_fields("GT", info="FOO=1")]) is None
    assert checker.boring_samples_for("GT:XY", 1) is None
    assert checker.boring_samples_for("DS:GT", 1) is None


def test_orders_are_merged():
    assert merge_orders([["a", "d"], ["a", "b", "d"], ["a", "c", "e"]]) == ["a", "b", "d", "c", "e"]
    assert merge_orders([]) == []


def read_records(path: Path) -> list[list[str]]:
    opener = gzip.open if path.read_bytes()[:2] == b"\x1f\x8b" else open
    with opener(path, "rt") as lines:
        return [line.rstrip("\n").split("\t") for line in lines if not line.startswith("#")]


PHASE3 = "phase3-grch37/10k.chr22.phase3_shapeit2_mvncall_integrated_v5.20130502.genotypes.vcf.gz"


@pytest.mark.parametrize(
    ("name", "least"),
    [
        (PHASE3, 0.995),
        ("phase3-grch37/vcf-merge/HG00096.vcf.bgz", 0.98),
        ("phase3-grch38/test_1000G_hg38.vcf.gz", 1.0),
        ("phase1-and-others/chr22.vcf.gz", 0.0),
    ],
)
def test_real_records_are_boring(shared_data, name, least):
    """Nearly all of the releases with fixed INFO, and nothing is odd about any that is."""
    checker = LineChecker.of(read_header(str(shared_data / name)))
    records = read_records(shared_data / name)
    sites = [fields[:9] for fields in records]
    is_boring = matches(checker.boring_site_for(sites[:50]), ["\t".join(site) for site in sites])
    assert sum(is_boring) >= least * len(sites)
    odd = [site for site, boring in zip(sites, is_boring, strict=True) if boring and checker.find(site)]
    assert odd == []


def test_mutants_of_real_records(shared_data):
    """The same for records of phase 3 with something changed."""
    rng = random.Random(3)
    checker = LineChecker.of(read_header(str(shared_data / PHASE3)))
    sites = [fields[:9] for fields in read_records(shared_data / PHASE3)]
    pattern = checker.boring_site_for(sites[:50])
    mutants = [mutate(rng, rng.choice(sites)) for _ in range(10_000)]
    is_boring = matches(pattern, ["\t".join(one) for one in mutants])
    odd = [one for one, boring in zip(mutants, is_boring, strict=True) if boring and checker.find(one)]
    assert odd == []
    assert 2_000 < sum(is_boring) < 8_000


def test_the_bundled_slice_is_boring(bundled):
    path = bundled / "genotypes.chr22.vcf.gz"
    header = read_header(str(path))
    assert check_header(header.lines, header.version) == []
    checker = LineChecker.of(header)
    sites = [fields[:9] for fields in read_records(path)]
    assert all(matches(checker.boring_site_for(sites[:50]), ["\t".join(site) for site in sites]))


# ------------------------------------------------------------------------------------------------ order

ORDER_RULES = [
    # (contig, start, ref, alt) …, places of what is odd
    (["1 5 A C", "1 5 A G", "1 7 A C", "2 1 A C"], {}),
    (["1 5 A C", "1 4 A C", "1 6 A C"], {1: Oddity.OUT_OF_ORDER}),
    (["1 5 A C", "2 5 A C", "1 6 A C", "1 7 A C"], {2: Oddity.OUT_OF_ORDER}),
    (["1 5 A C", "1 5 A C"], {1: Oddity.VARIANT_TWICE}),
    (["1 5 A C", "1 5 A G", "1 5 A T,C"], {2: Oddity.VARIANT_TWICE}),
    (["1 5 A C,C"], {0: Oddity.VARIANT_TWICE}),
    (["1 5 A <DEL>,<DEL>", "1 5 A <DEL>", "1 5 A .", "1 5 A ."], {}),
    (["1 5 AT AAT,AA", "1 6 T A"], {1: Oddity.VARIANT_TWICE}),
    (["1 5 AT AAT,AA", "1 6 T G", "1 6 T A"], {2: Oddity.VARIANT_TWICE}),
    (["1 5 CAT CT", "1 5 CA C"], {1: Oddity.VARIANT_TWICE}),
    (["1 5 A C", "2 5 A C", "3 5 A C"], {}),
]


@pytest.mark.parametrize(("records", "odd"), ORDER_RULES)
def test_order(records, odd):
    checker = OrderChecker()
    for n, record in enumerate(records):
        contig, start, ref, alt = record.split()
        found = checker.find(contig, int(start), ref, [] if alt == "." else alt.split(","))
        assert found == ((odd[n],) if n in odd else ()), n


@given(
    st.lists(st.tuples(st.sampled_from("123"), st.integers(0, 4)), max_size=20),
    st.lists(st.integers(0, 20), max_size=3),
)
def test_order_in_parts(places, cuts):
    """Rows out of order are the same however a file is cut."""

    def read(part):
        checker = OrderChecker()
        found = Counter(what for contig, start in part for what in checker.find(contig, start, "A", ["<X>"]))
        return pickle.loads(pickle.dumps(checker)), found

    _, whole = read(places)
    bounds = [0, *sorted(cuts), len(places)]
    parts = [read(places[begin:end]) for begin, end in pairwise(bounds)]
    found = sum((one for _, one in parts), Counter()) + count_at_seams(checker for checker, _ in parts)
    assert found == whole


def test_line_ends():
    assert [needs_line_end(version) for version in ("4.0", "4.2", "4.3", "4.9")] == [False, False, True, True]


# ------------------------------------------------------------------------------------------------ the score


def test_score(shared_data, table):
    """Each failed file is noticed on the line that is wrong, each passed one is loaded in silence."""
    files = table.read_expected(shared_data)
    right = table.score(shared_data, files)
    assert {one.path for one in files} - right == set(table.EXCEPTIONS)
    assert Counter(one.is_failed for one in files if one.path in right) == {True: 411, False: 72}


def test_page(shared_data, table, require_tool):
    """docs/CONFORMANCE.md says what is so, kgp is the best in each column; bcftools runs for it."""
    require_tool("bcftools")
    assert table.PAGE.read_text() == table.make_page(shared_data)
    rows = [
        row.split(" | ")
        for row in table.PAGE.read_text().splitlines()
        if re.match(r"\| (\*\*kgp|bcf|Glow)", row)
    ]
    counts = [[int(cell.strip(" |")) for cell in row[1:]] for row in rows]
    assert len(counts) == 6
    assert counts[0] == [max(column) for column in zip(*counts, strict=True)]


def test_odd_files_lose_nothing(shared_data, table):
    """No crash, and each line is loaded, rejected or blank at the end; what is refused has no header of VCF 4."""
    refused = set()
    for path in sorted((shared_data / "vcf-odd").rglob("*.vcf*")):
        notice = table.read_notice(path)
        if notice.refusal is not None:
            refused.add(path.name)
            continue
        opener = gzip.open if path.read_bytes()[:2] == b"\x1f\x8b" else open
        with opener(path, "rb") as file:
            body = [line for line in file.read().splitlines() if line and not line.startswith(b"#")]
        assert notice.n_loaded + len(notice.rejects) == len(body), path.name
    assert refused == {"trioDup.vcf", "issue_49.vcf", "metadata-whitespace.vcf", "eff.vcf", "test48a.vcf"}


@pytest.mark.slow
def test_releases_are_quiet(shared_data, table):
    """What is said of files of the 1000 Genomes archives is true of them."""
    said = {}
    for folder in ("phase3-grch37", "highcov30x-grch38", "phase1-and-others", "phase3-grch38"):
        for path in sorted((shared_data / folder).rglob("*.vcf*")):
            if path.suffix not in (".tbi", ".csi"):
                found = table.read_notice(path).counts
                said.update({path.name: dict(found)} if found else {})
    assert said == {
        # DS, declared Number=A, has one entry in its two records with two ALTs
        "imputed_3202.chr21.vcf.gz": {Oddity.FORMAT_NUMBER: 2},
        # AF is declared Number=1
        "chr22.vcf.gz": {Oddity.RESERVED_NUMBER: 1},
        # GC=75.25, declared Integer
        "hapmap_exome_chr22.vcf.gz": {Oddity.INFO_TYPE: 1011},
        # GQ is declared Float
        "structural.vcf": {Oddity.RESERVED_TYPE: 1},
        "kidd.aisnp.1kg.vcf": {Oddity.OUT_OF_ORDER: 2},
    }
