"""BEDs of one's own phenotypes: the layouts of all tools, every spelling, and a message for each bad file."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pysam
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgp.errors import BuildError, FormatError, InputError
from kgp.genome import GRCH37, GRCH38
from kgp.io.expression.measure import MAX_VALUE, MIN_RANGE
from kgp.io.matrix_sets import PHENOTYPE_PLACES
from kgp.io.phenotype_bed import OwnPhenotypes, read_phenotype_bed
from kgp.tables import EQTL_PHENOTYPES

FASTQTL = """\
#Chr start end ID HG1 HG2 HG3
22 999 1000 g1 0.5 -1.25 NA
2 1999 2000 g2 1 2 3
"""
QTLTOOLS = """\
#chr start end pid gid strand HG1 HG2 HG3
22 999 1000 g1 grp - 0.5 -1.25 NA
2 1999 2000 g2 . + 1 2 3
"""
EQTL_CATALOGUE = """\
#chr start end phenotype_id group_id strand HG1 HG2 HG3
22 999 1000 g1 grp -1 0.5 -1.25 NA
2 1999 2000 g2 NA 1 1 2 3
"""


@pytest.fixture
def bed(tmp_path: Path) -> Callable[..., Path]:
    """``bed(text)``: a file with tabs in the place of blanks."""

    def write(text: str, name: str = "p.bed", *, end: str = "\n") -> Path:
        path = tmp_path / name
        data = text.replace(" ", "\t").replace("\n", end).encode()
        if name.endswith(".bgz"):
            with pysam.BGZFile(str(path), "wb") as file:
                file.write(data)
        else:
            path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


def places(found: OwnPhenotypes) -> list[tuple[object, ...]]:
    names = ("contig", "start", "end", "tss", "phenotype_id", "strand", "group_id")
    return list(zip(*(found.rows.column(name).to_pylist() for name in names), strict=True))


@pytest.mark.parametrize(
    "text", [FASTQTL, QTLTOOLS, EQTL_CATALOGUE], ids=["fastqtl", "qtltools", "eqtl-catalogue"]
)
@pytest.mark.parametrize("name", ["p.bed", "p.bed.gz", "p.bed.bgz"])
def test_the_layouts_of_all_tools(bed: Callable[..., Path], text: str, name: str) -> None:
    found = read_phenotype_bed(str(bed(text, name)), GRCH37)
    has_groups = "strand" in text
    assert places(found) == [
        ("2", 1999, 2000, 2000, "g2", "+" if has_groups else None, None),
        ("22", 999, 1000, 1000, "g1", "-" if has_groups else None, "grp" if has_groups else None),
    ]
    np.testing.assert_array_equal(found.values, [[1, 2, 3], [0.5, -1.25, np.nan]])
    assert found.sample_ids == ("HG1", "HG2", "HG3")
    assert found.notes == ("1 missing values",)
    assert found.rows.schema.names == list(PHENOTYPE_PLACES)
    for name in PHENOTYPE_PLACES:
        assert found.rows.schema.field(name).type == EQTL_PHENOTYPES.arrow_schema.field(name).type


def test_a_last_line_without_an_end_may_be_cut_within_its_last_number(bed: Callable[..., Path]) -> None:
    said = "the last line has no line end: is the file whole?"
    for name in ("p.bed", "p.bed.gz", "p.bed.bgz"):
        cut = read_phenotype_bed(str(bed(FASTQTL.replace("2 3\n", "2 31.25\n")[:-3], name)), GRCH37)
        assert cut.values[0].tolist() == [1.0, 2.0, 31.0]
        assert cut.notes == (said, "1 missing values")
        assert said not in read_phenotype_bed(str(bed(FASTQTL, name)), GRCH37).notes


def test_differences_of_all_ordinary_sizes_are_read(bed: Callable[..., Path]) -> None:
    found = read_phenotype_bed(str(bed(FASTQTL.replace("1 2 3", "0 1.1e-60 1e-300"))), GRCH37)
    assert found.values[0].tolist() == [0.0, 1.1e-60, 1e-300]


def test_the_digest_is_of_the_content(bed: Callable[..., Path]) -> None:
    def digest(text: str, name: str = "p.bed", **how: str) -> str:
        return read_phenotype_bed(str(bed(text, name, **how)), GRCH37).digest

    header, first, second = FASTQTL.splitlines()
    same = {
        digest(FASTQTL),
        digest(FASTQTL, "p.bed.gz"),
        digest(FASTQTL, "p.bed.bgz"),
        digest(FASTQTL, end="\r\n"),
        digest("\n".join([header, second, first])),
        digest(FASTQTL.replace("22 ", "chr22 ").replace("0.5", "5e-1").replace("NA", "NaN")),
        digest(FASTQTL.replace("#Chr", "#chr").replace("ID", "phenotype_id")),
    }
    assert len(same) == 1
    others = [
        digest(FASTQTL.replace("0.5", "0.50001")), digest(FASTQTL.replace("HG2", "HG4")),
        digest(FASTQTL.replace("g1", "g3")), digest(FASTQTL.replace("999 1000", "998 999")), digest(QTLTOOLS),
        digest(FASTQTL.replace("NA", "0")),
    ]  # fmt: skip
    assert len({*same, *others}) == 7


@pytest.mark.parametrize("spelled", ["22", "chr22", "Chr22", "CHR22"])
@pytest.mark.parametrize("heading", ["#Chr", "#chr", "#CHROM", "chr", "Chromosome"])
def test_spellings_of_contigs_and_headings(bed: Callable[..., Path], spelled: str, heading: str) -> None:
    text = FASTQTL.replace("#Chr", heading).replace("22 ", f"{spelled} ")
    assert read_phenotype_bed(str(bed(text)), GRCH37).rows.column("contig").to_pylist() == ["2", "22"]
    assert read_phenotype_bed(str(bed(text)), GRCH38).rows.column("contig").to_pylist() == ["chr2", "chr22"]


def test_karyotype_order_and_x(bed: Callable[..., Path]) -> None:
    lines = [
        f"{contig} {pos - 1} {pos} {contig}:{pos} 1 2"
        for contig in ("X", "10", "2")
        for pos in (900, 50, 400)
    ]
    found = read_phenotype_bed(str(bed("\n".join(["#chr start end id A B", *lines]))), GRCH37)
    expected = [f"{contig}:{pos}" for contig in ("2", "10", "X") for pos in (50, 400, 900)]
    assert found.rows.column("phenotype_id").to_pylist() == expected


def test_the_tss_of_a_body_is_by_its_strand(bed: Callable[..., Path]) -> None:
    lines = ("1 100 500 a a + 1 2", "1 200 600 b b - 1 2", "1 300 700 c c . 1 2", "1 9 10 d d - 1 2")
    text = "\n".join(["#chr start end pid gid strand A B", *lines])
    found = read_phenotype_bed(str(bed(text)), GRCH37)
    assert {place[4]: place[3] for place in places(found)} == {"a": 101, "b": 600, "c": 301, "d": 10}
    assert any(note.startswith("3 phenotypes are longer than a base") for note in found.notes)


@pytest.mark.parametrize("spelled", ["NA", "NaN", "nan", "", ".", "N/A"])
def test_spellings_of_a_missing_value(bed: Callable[..., Path], spelled: str) -> None:
    found = read_phenotype_bed(str(bed(FASTQTL.replace("-1.25", spelled))), GRCH37)
    np.testing.assert_array_equal(np.isnan(found.values), [[False, False, False], [False, True, True]])


def test_ensembl_ids_give_their_genes(bed: Callable[..., Path]) -> None:
    found = read_phenotype_bed(str(bed(FASTQTL.replace("g2", "ENSG00000999999.7"))), GRCH37)
    assert found.rows.column("gene_id").to_pylist()[0] == "ENSG00000999999"
    assert found.rows.column("phenotype_id").to_pylist()[0] == "ENSG00000999999.7"


def test_unknown_contigs_are_kept_and_told(bed: Callable[..., Path]) -> None:
    found = read_phenotype_bed(str(bed(FASTQTL.replace("2 1999", "GL000191.1 1999"))), GRCH37)
    assert found.rows.column("contig").to_pylist() == ["22", "GL000191.1"]
    assert "1 phenotypes lie on contigs that GRCh37 does not have (GL000191.1)" in found.notes


BAD = {
    "no bed": ("gene HG1 HG2\ng1 1 2\n", r"line 1: It is no BED: its header begins with 'gene', 'HG1'.*Give a BED"),
    "no header": ("22 999 1000 g1 1 2\n22 9 10 g2 1 2\n", r"line 1: It is no BED: its header begins with '22', '999'"),
    "nobody": ("#chr start end id\n22 1 2 g1\n", r"line 1: Its header names no person\. Name a person"),
    "twice": (FASTQTL.replace("HG3", "HG1"), r"line 1: HG1 stands in two columns, 5 and 7\. A person has one column"),
    "unnamed": (FASTQTL.replace("HG2 ", " "), r"column 6: The column has no heading\. Name its person in the header"),
    "empty": ("#chr start end id HG1\n", r"It has a header and no line below it\. Give a BED with a line a phenotype"),
    "nothing": ("", r"It has no header\. Give a BED with one header line"),
    "1-based": (
        FASTQTL.replace("999 1000", "1000 1000"),
        r"line 2: g1: 1,000-1,000 is no interval\. Starts are 0-based, ends are not: a TSS has start = TSS - 1 and end",
    ),
    "tiny": (
        FASTQTL.replace("0.5 -1.25 NA", "1e-200 -3e-200 NA"),
        r"line 2: g1: its 3 values lie between -3e-200 and 1e-200: no expression differs by so little\. Mend the line",
    ),
    "barely": (FASTQTL.replace("1 2 3", "0 9e-61 0"), r"line 3: g2: its 3 values lie between 0 and 9e-61"),
    "two lines": (FASTQTL.replace("g2", "g1"), r"Phenotype g1 has two lines, 2 and 3\. A phenotype has one line"),
    "short": (FASTQTL.replace(" 3\n", "\n"), r"line 3: 2 values where the header has 3 people\."),
    "text": (FASTQTL.replace("-1.25", "high"), r"line 2: Column 6 \(HG2\): 'high' is no number\. Mend the line"),
    "infinite": (FASTQTL.replace("-1.25", "-inf"), r"line 2: Column 6 \(HG2\): '-inf' is not finite"),
    "too large": (
        FASTQTL.replace("g1", "ensg1").replace("-1.25", "1e308"),
        r"line 2: ensg1: column 6 \(HG2\): 1e\+308 is larger than any expression\. Mend the line",
    ),
    "two too large": (
        FASTQTL.replace("0.5 -1.25", "9e60 -2e61"),
        r"line 2: g1: column 5 \(HG1\): 9e\+60 is larger than any expression, and 1 more in the line\.",
    ),
    "no place": (FASTQTL.replace("999 ", "x "), r"line 2: g1: its start 'x' is no whole number of bases"),
    "reversed": (FASTQTL.replace("999 1000", "1000 999"), r"line 2: g1: 1,000-999 is no interval"),
    "no strand": (QTLTOOLS.replace(" - ", " up "), r"line 2: g1: 'up' is no strand"),
    "no id": (FASTQTL.replace("g1", ""), r"line 2: It names no phenotype"),
    "two of them": (
        FASTQTL.replace("-1.25", "high").replace(" 3\n", " low\n"),
        r"line 2: Column 6 \(HG2\): 'high' is no number\. 2 lines can't be read \(no number: 2\)\.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_with_a_file(bed: Callable[..., Path], case: str) -> None:
    text, message = BAD[case]
    with pytest.raises(FormatError, match=message) as told:
        read_phenotype_bed(str(bed(text)), GRCH37)
    assert "p.bed" in str(told.value)


def test_another_build_is_refused(bed: Callable[..., Path]) -> None:
    beyond = FASTQTL.replace("999 1000", "51304565 51304566")
    read_phenotype_bed(str(bed(beyond)), GRCH37)
    with pytest.raises(
        BuildError, match=r"ends at 22:51,304,566, beyond .*have the genotypes' build, GRCh38"
    ):
        read_phenotype_bed(str(bed(beyond)), GRCH38)
    # CHEK2, whose TSS is 29,137,822 in GRCh37 and 28,741,905 in GRCh38.
    known = FASTQTL.replace("999 1000 g1", "29137821 29137822 ENSG00000183765.15")
    read_phenotype_bed(str(bed(known)), GRCH37)
    with pytest.raises(BuildError, match=r"have the genotypes' build, GRCh38"):
        read_phenotype_bed(str(bed(known)), GRCH38)


def test_files_that_are_cut_off_or_not_there(bed: Callable[..., Path], tmp_path: Path) -> None:
    whole = bed(FASTQTL, "p.bed.bgz")
    data = whole.read_bytes()
    whole.write_bytes(data[:-28])
    with pytest.raises(
        FormatError, match=r"end marker of BGZF is missing: it is cut off\. Fetch the file again"
    ):
        read_phenotype_bed(str(whole), GRCH37)
    packed = bed(FASTQTL, "p.bed.gz")
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(FormatError, match="cut off"):
        read_phenotype_bed(str(packed), GRCH37)
    with pytest.raises(InputError, match="There is no such file"):
        read_phenotype_bed(str(tmp_path / "none.bed"), GRCH37)


def test_the_bundled_phenotypes(bundled: Path) -> None:
    path = bundled / "genes.50percent.chr22.bed.gz"
    found = read_phenotype_bed(str(path), GRCH37)
    with gzip.open(path, "rt") as lines:
        header, *rows = (line.rstrip("\n").split("\t") for line in lines)
    rows.sort(key=lambda row: (int(row[1]), row[3]))
    assert list(found.sample_ids) == header[6:]
    assert places(found) == [("22", int(r[1]), int(r[2]), int(r[2]), r[3], r[5], None) for r in rows]
    np.testing.assert_array_equal(found.values, np.array([[float(v) for v in r[6:]] for r in rows]))


_CELLS = st.one_of(
    st.floats(-MAX_VALUE, MAX_VALUE).map(repr),
    st.sampled_from(["NA", "nan", "0", "-0", "1e-300"]),
)


def is_measurable(row: list[str]) -> bool:
    """Whether all values are the same, or two of them differ by 1e-60 or more."""
    known = [float(cell) for cell in row if not re.match("NA|nan", cell)]
    return len(set(known)) < 2 or max(known) - min(known) >= MIN_RANGE


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_every_number_is_read_as_python_reads_it(tmp_path: Path, data: st.DataObject) -> None:
    n_people = data.draw(st.integers(1, 4))
    row_of_cells = st.lists(_CELLS, min_size=n_people, max_size=n_people).filter(is_measurable)
    rows = data.draw(st.lists(row_of_cells, min_size=1, max_size=6))
    text = "\t".join(["#chr", "start", "end", "id", *(f"P{i}" for i in range(n_people))]) + "\n"
    for i, row in enumerate(rows):
        text += "\t".join(["1", str(i), str(i + 1), f"g{i}", *row]) + "\n"
    path = tmp_path / "p.bed"
    path.write_text(text)
    found = read_phenotype_bed(str(path), GRCH37)
    expected = np.array(
        [[np.nan if re.match("NA|nan", cell) else float(cell) for cell in row] for row in rows]
    )
    np.testing.assert_array_equal(found.values, expected)
