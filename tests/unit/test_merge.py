"""Merging of lines: against a plain merge by allele text, and against values worked out by hand."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgp.errors import FormatError, UsageError
from kgp.genome import GRCH37
from kgp.io.vcf.merge_header import read_merged_header
from kgp.io.vcf.merge_input import AbsentRule, InputResult, Ranges
from kgp.params import LoadVariants
from kgp.transforms.merge import (
    DROPPED_FORMAT,
    DROPPED_INFO,
    FileShape,
    LineMerger,
    Site,
    SiteLine,
    join_alts,
)
from kgp.transforms.merge_sweep import sweep

SHAPE = FileShape(1, {"AF": "A", "AD": "R"}, {"AD": "R", "PL": "G", "DS": "A"})


def make(file: int, text: str) -> SiteLine:
    """A line written with blanks for tabs."""
    return SiteLine.parse(file, text.replace(" ", "\t").encode())


def merge(*texts: str, files: int | None = None, absent: str = "./.") -> tuple[list[str], list[str]]:
    """Columns of the record that lines of one place make, a file each, and what was left out."""
    lines = [make(file, text) for file, text in enumerate(texts) if text]
    n = files or len(texts)
    site = Site(lines[0].start, None, lines[0].ref, lines)
    text, warnings = LineMerger([SHAPE] * n).merge("22", site, [absent] * n)
    return text.split("\t"), warnings


def test_alleles_are_numbered_anew_in_order_of_first_appearance() -> None:
    columns, warnings = merge(
        "22 9 a A G . . . GT 0|1", "22 9 b A C,G . . . GT 1|2", "", "22 9 a A T . . . GT 1"
    )
    assert columns == ["22", "9", "a;b", "A", "G,C,T", ".", ".", ".", "GT", "0|1", "2|1", "./.", "3"]
    assert not warnings


def test_values_of_alleles_go_where_their_alleles_go() -> None:
    columns, warnings = merge(
        "22 9 . A G . . AF=0.5;AD=9,1 GT:AD:PL:DS:FT 0/1:5,3:0,6,90:1.1:x",
        "22 9 . A C . . AF=0.25;AD=9,4 GT:PL:AD 1/1:1,2,3:7,8",
        "22 9 . A C,G . . AF=0.25,0.5;AD=9,4,1 GT:PL 0/2:0,1,2,3,4,5",
    )
    assert columns[4] == "G,C"
    assert columns[7] == "AF=0.5,0.25;AD=9,1,4"
    assert columns[8] == "GT:AD:PL:DS:FT"
    assert columns[9:] == [
        "0/1:5,3,.:0,6,90,.,.,.:1.1,.:x",
        "2/2:7,.,8:1,.,.,2,.,3:.:.",
        "0/1:.:0,3,5,1,4,2:.:.",  # (0,0) (0,G) (G,G) (0,C) (C,G) (C,C), which were 0 3 5 1 4 2 of the file
    ]
    assert not warnings


def test_haploid_likelihoods_are_laid_out_by_allele() -> None:
    columns, _ = merge("22 9 . A G . . . GT:PL 1:9,0", "22 9 . A C . . . GT:PL 0:0,7")
    assert columns[9:] == ["1:9,0,.", "0:0,.,7"]


def test_what_files_disagree_about_is_left_out_and_said() -> None:
    columns, warnings = merge(
        "22 9 . A G 10 PASS DP=5;NS=3;DB;X=1;AC=1;AN=2 GT 0/1",
        "22 9 . A G 9.5 q10;s50 DP=5;NS=4;DB;AC=1;AN=2 GT 1/1",
        "22 9 . A G . PASS DP=5;NS=3;DB;X=1;AC=0;AN=2 GT 0/0",
    )
    assert columns[5:8] == ["10", "q10;s50", "DP=5;DB;AC=3;AN=6"]
    assert warnings == [DROPPED_INFO]


def test_frequencies_that_contradict_each_other_are_left_out() -> None:
    columns, warnings = merge("22 9 . A G . . AF=0.5 GT 0/1", "22 9 . A C,G . . AF=0.1,0.4 GT 1/1")
    assert columns[7] == "."
    assert warnings == [DROPPED_INFO]


def test_a_value_with_a_wrong_number_of_entries_is_left_out_and_said() -> None:
    columns, warnings = merge("22 9 . A G . . . GT:AD 0/1:5,3", "22 9 . A C . . . GT:AD 1/1:7")
    assert columns[9:] == ["0/1:5,3,.", "2/2:."]
    assert warnings == [DROPPED_FORMAT]


def test_one_file_alone_keeps_its_site_but_for_counts() -> None:
    columns, warnings = merge("22 9 i A G 3 q AC=7;AN=9;X=a,b GT 0/1", "", absent="0/0")
    assert columns[2:] == ["i", "A", "G", "3", "q", "AC=1;AN=4;X=a,b", "GT", "0/1", "0/0"]
    assert not warnings


def test_open_alleles_come_last() -> None:
    lines = [make(0, "22 9 . A <NON_REF> . . . GT 0/0"), make(1, "22 9 . A G,<NON_REF> . . . GT 0/1")]
    assert join_alts(lines) == ["G", "<NON_REF>"]


def test_deletions_of_different_lengths_stay_apart() -> None:
    lines = [make(file, f"22 9 . A <DEL> . . END={end} GT 0/1") for file, end in enumerate((20, 30, 20))]
    sites = list(sweep(lines, 0, None))
    assert [[line.file for line in site.lines] for site in sites] == [[0, 2], [1]]


def test_split_records_meet_by_their_alleles() -> None:
    texts = ("22 9 . A G . . . GT 1/0", "22 9 . A C . . . GT 0/1"), ("22 9 . A C . . . GT 1/1",)
    lines = [make(file, text) for file, found in enumerate(texts) for text in found]
    sites = list(sweep(lines, 0, None))
    assert [[(line.file, line.alts) for line in site.lines] for site in sites] == [
        [(0, ("G",))],
        [(0, ("C",)), (1, ("C",))],
    ]


def test_a_block_answers_for_its_person_and_is_cut_around_the_site() -> None:
    merger = LineMerger([SHAPE, SHAPE])
    lines = [
        make(0, "22 10 . G <NON_REF> . . END=19 GT:DP:PL 0/0:7:0,6,90"),
        make(1, "22 12 . C T,<NON_REF> 5 . DP=9 GT:AD:DP:PL 0/1:4,5,0:9:1,0,2,3,4,5"),
        make(1, "22 15 . A <NON_REF> . . END=17 GT:DP 0/0:8"),
    ]
    found = [merger.merge("22", site, ["./."] * 2)[0].split("\t") for site in sweep(lines, 0, None)]
    assert [(c[1], c[3], c[4], c[7], *c[9:]) for c in found] == [
        ("10", "G", "<NON_REF>", "END=11", "0/0:7:0,6,90", "./.:.:."),
        ("12", "C", "T,<NON_REF>", "DP=9", "0/0:7:0,.,.,6,.,90:.", "0/1:9:1,0,2,3,4,5:4,5,0"),
        ("13", "N", "<NON_REF>", "END=14", "0/0:7:0,6,90", "./.:.:."),
        ("15", "A", "<NON_REF>", "END=17", "0/0:7:0,6,90", "0/0:8:."),
        ("18", "N", "<NON_REF>", "END=19", "0/0:7:0,6,90", "./.:.:."),
    ]


# A person's file: at places of a few bases, a record with some ALTs and the person's alleles, as texts.
ALTS = ("C", "G", "T", "CT", "*")
RECORD = st.lists(st.sampled_from(ALTS), max_size=3, unique=True).flatmap(
    lambda alts: st.tuples(
        st.just(tuple(alts)),
        st.lists(st.sampled_from((*range(len(alts) + 1), ".")), min_size=1, max_size=2),
        st.sampled_from("/|"),
    )
)
PEOPLE = st.lists(
    st.dictionaries(st.tuples(st.integers(1, 6), st.sampled_from(("A", "AC"))), RECORD, max_size=6),
    min_size=1,
    max_size=4,
)


def write(person: dict[tuple[int, str], tuple[tuple[str, ...], list[int | str], str]]) -> Iterator[str]:
    for (pos, ref), (alts, gt, mark) in sorted(person.items()):
        yield f"22 {pos} . {ref} {','.join(alts) or '.'} . . . GT {mark.join(map(str, gt))}"


def read_alleles(ref: str, alts: Sequence[str], gt: str) -> list[str]:
    return sorted("." if a == "." else (ref, *alts)[int(a)] for a in gt.replace("|", "/").split("/"))


@given(people=PEOPLE, absent=st.sampled_from(("./.", "0/0")))
def test_everyone_keeps_their_alleles(people: list[dict[tuple[int, str], tuple]], absent: str) -> None:
    lines = sorted(
        (make(file, text) for file, person in enumerate(people) for text in write(person)),
        key=lambda line: (line.start, line.file),
    )
    merger = LineMerger([FileShape(1)] * len(people))
    found: dict[tuple[int, str], list[list[str]]] = defaultdict(list)
    for site in sweep(lines, 0, None):
        _, pos, _, ref, alt, *_, keys, samples = merger.merge("22", site, [absent] * len(people))[0].split(
            "\t", 9
        )
        alts = alt.split(",") if alt != "." else []
        assert len(set(alts)) == len(alts)
        assert keys == "GT"
        found[int(pos), ref].append([read_alleles(ref, alts, gt) for gt in samples.split("\t")])

    assert set(found) == {place for person in people for place in person}
    for (pos, ref), records in found.items():
        (record,) = records
        for file, person in enumerate(people):
            if (pos, ref) in person:
                alts, gt, mark = person[pos, ref]
                expected = read_alleles(ref, alts, mark.join(map(str, gt)))
            elif same := [r for (p, r), (alts, *_) in person.items() if p == pos and not alts]:
                _, gt, mark = person[
                    pos, same[0]
                ]  # a record without ALT says it of the place, whatever its REF
                expected = read_alleles(ref, [], mark.join(map(str, gt)))
            else:
                expected = read_alleles(ref, [], absent)
            assert record[file] == expected


BLOCKS = st.lists(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3), st.booleans()), max_size=6),
    min_size=1,
    max_size=4,
)


@given(people=BLOCKS, cuts=st.sets(st.integers(0, 40)))
def test_every_base_is_told_by_the_block_over_it(people: list, cuts: set[int]) -> None:
    """Blocks and sites end to end with gaps, against a merge base by base; cut into ranges, the same comes out."""
    lines: list[SiteLine] = []
    truth: list[dict[int, str]] = []  # of each person: base → GT of what covers it
    for file, stretches in enumerate(people):
        at, by_base = 1, {}
        for n, (length, gap, is_site) in enumerate(stretches):
            gt = f"0/{n + 2}" if is_site else f"0/0:{n}"
            if is_site:
                lines.append(make(file, f"22 {at} . A C,<NON_REF> . . . GT:DP 0/1:{n}"))
                by_base[at] = f"0/1:{n}"
                at += 1 + gap
            else:
                lines.append(make(file, f"22 {at} . A <NON_REF> . . END={at + length - 1} GT:DP {gt}"))
                by_base |= dict.fromkeys(range(at, at + length), gt)
                at += length + gap
        truth.append(by_base)
    lines.sort(key=lambda line: (line.start, line.file))
    merger = LineMerger([FileShape(1)] * len(people))

    def run(part: Sequence[SiteLine], begin: int, end: int | None) -> list[str]:
        return [merger.merge("22", site, ["./."] * len(people))[0] for site in sweep(part, begin, end)]

    records = run(lines, -1, None)
    told: Counter[int] = Counter()
    for text in records:
        columns = text.split("\t")
        pos = int(columns[1])
        end = int(columns[7].removeprefix("END=")) if columns[7] != "." else pos
        for base in range(pos, end + 1):
            told[base] += 1
            assert columns[9:] == [by_base.get(base, "./.:.") for by_base in truth]
    assert told == Counter({base for by_base in truth for base in by_base})

    begins = [
        -1,
        *sorted(
            {line.start for line in lines if line.start in cuts} - {min((x.start for x in lines), default=0)}
        ),
    ]
    parts = []
    for begin, end in zip(begins, [*begins[1:], None], strict=True):
        inside = [
            line
            for line in lines
            if (line.start >= begin or (line.is_block and line.end > begin))
            and (end is None or line.start < end)
        ]
        parts += run(inside, begin, end)
    assert parts == records


def test_the_absent_are_haploid_where_their_own_calls_are() -> None:
    x, y = ("X", "x"), ("Y", "haploid")
    rule = AbsentRule("ref", GRCH37, 3, {x: (True, False, False), y: (True, True, False)})
    assert rule.texts("22", 5) == ["0/0"] * 3
    assert rule.texts("X", 5_000_000) == ["0", "0/0", "0/0"]
    assert rule.texts("X", 100_000) == ["0/0"] * 3  # pseudo-autosomal
    assert rule.texts("Y", 5_000_000) == ["0", "0", "0/0"]
    assert AbsentRule("missing", GRCH37, 1, {}).texts("MT", 5) == ["."]


def test_ranges_begin_where_lines_start_and_cover_everything() -> None:
    import numpy as np

    result = InputResult()
    result.places = {"22": [(np.arange(10, 1010), 1.0)], "2": [(np.array([7]), 1.0)]}
    ranges = Ranges.cut([result], GRCH37, 4)
    assert list(ranges.begins) == ["2", "22"]
    assert ranges.begins["2"] == (-1,)
    assert len(ranges.begins["22"]) == 4
    assert ranges.place(0) == ("2", -1, None)
    for number in range(1, 5):
        contig, begin, end = ranges.place(number)
        assert contig == "22"
        assert list(ranges.find("22", max(begin, 10), max(begin, 10))) == [number]
        assert end is None or list(ranges.find("22", end - 1, end + 1)) == [number, number + 1]


def test_a_sample_in_two_files_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    for name, sample in (("a", "HG1"), ("b", "HG1"), ("c", "")):
        columns = "#CHROM POS ID REF ALT QUAL FILTER INFO" + (f" FORMAT {sample}" if sample else "")
        (tmp_path / name).write_text("##fileformat=VCFv4.2\n" + columns.replace(" ", "\t") + "\n")
    a, b, c = (str(tmp_path / name) for name in "abc")
    with pytest.raises(FormatError, match=r"b: Sample HG1 is also in .*/a"):
        read_merged_header([a, b], where="both")
    with pytest.raises(FormatError, match="It has no samples"):
        read_merged_header([a, c], where="both")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"merge": True}, "what a missing row means"),
        ({"absent": "ref"}, "Give --merge"),
        ({"merge": True, "absent": "ref", "region": ("22:1-5",)}, "whole contigs"),
        ({"merge": True, "absent": "ref", "reader": "glow"}, "Glow does not merge"),
    ],
    ids=["no-rule", "no-merge", "region", "glow"],
)
def test_options_that_do_not_go_together(options: dict[str, object], says: str) -> None:
    given = {
        "callset": "c", "build": "GRCh37", "contig": (), "region": (), "samples": None, "reader": "auto",
        "writer": "auto", "strict": False, "merge": False, "absent": None, "vcf": ("a.vcf",),
    }  # fmt: skip
    with pytest.raises(UsageError, match=says):
        LoadVariants(**{**given, **options})  # type: ignore[arg-type]
