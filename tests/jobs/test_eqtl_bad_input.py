"""Bad input of `kgp eqtl build` and `kgp eqtl map`, by the command line: one message, a status, nothing left behind."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from genotype_lake import CALLSET, Contig, MadeCallset, fill_lake, no_spark, put_people
from kgp.cli import main
from kgp.io.delta import Lake
from kgp.jobs import build_eqtl_matrices, map_run

N_PEOPLE = 24
N_VARIANTS = 60
FIRST = 20_000_000
PEOPLE = [f"HG{10_000 + i}" for i in range(N_PEOPLE)]
HEADER = ["#chr", "start", "end", "pid", "gid", "strand", *PEOPLE]

Cells = list[list[str]]


def make_bed(seed: int = 3) -> Cells:
    """Header and six phenotypes of contig 22, as QTLtools has them."""
    values = np.random.default_rng(seed).normal(size=(6, N_PEOPLE))
    rows = []
    for i, of_one in enumerate(values):
        tss = FIRST + 40_000 * (i + 1)
        place = ["22", str(tss - 1), str(tss), f"GENE{i}", f"GENE{i}", "+-"[i % 2]]
        rows.append([*place, *(f"{value:.6f}" for value in of_one)])
    return [HEADER, *rows]


def make_covariates(seed: int = 4, n: int = 2) -> Cells:
    """Header and covariates, a row each."""
    values = np.random.default_rng(seed).normal(size=(n, N_PEOPLE))
    return [["id", *PEOPLE], *([f"C{i}", *(f"{v:.6f}" for v in row)] for i, row in enumerate(values))]


def join_cells(cells: Cells, end: str = "\n") -> bytes:
    return "".join("\t".join(row) + end for row in cells).encode()


@pytest.fixture(scope="module")
def callset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with genotypes of 24 people at 60 variants of contig 22, GRCh37; of nobody anything is known."""
    dosages = np.random.default_rng(5).binomial(2, 0.4, (N_VARIANTS, N_PEOPLE)).astype(np.int8)
    dosages[:, :3] = [0, 1, 2]  # no variant is constant in a part of the people that has these three
    starts = np.arange(N_VARIANTS) * 5_000 + FIRST
    variants = Contig(starts, ["A"] * N_VARIANTS, ["C"] * N_VARIANTS, dosages)
    lake = tmp_path_factory.mktemp("callset") / "lake"
    fill_lake(lake, MadeCallset(PEOPLE, {"22": variants}))
    return lake


class Kgp:
    """The command line, on a lake of its own.

    Args:
        place: directory of the lake and of the files that are given.
    """

    def __init__(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.place, self.capsys = place, capsys
        self.lake = place / "lake"

    def run(self, *words: str) -> tuple[int, str]:
        """Exit status and everything that was said; a file of the place is named with an @."""
        given = [str(self.place / word[1:]) if word.startswith("@") else word for word in words]
        status = main([*given, "--lake", str(self.lake)])
        said = self.capsys.readouterr()
        return status, said.out + said.err

    def build(self, *words: str, name: str = "s") -> tuple[int, str]:
        options = ["--callset", CALLSET, "--profile", "none", "--swaps", "skip", *words]
        return self.run("eqtl", "build", "--name", name, *options)

    def write(self, name: str, content: Cells | bytes) -> None:
        (self.place / name).write_bytes(content if isinstance(content, bytes) else join_cells(content))

    def read(self, table: str) -> pa.Table:
        path = self.lake / table
        return DeltaTable(str(path)).to_pyarrow_table() if path.exists() else pa.table({})

    def rows(self) -> dict[str, int]:
        """Rows of each table of eQTLs."""
        return {path.name: self.read(path.name).num_rows for path in sorted(self.lake.glob("eqtl_*"))}


def set_out(place: Path, lake: Path, capsys: pytest.CaptureFixture[str]) -> Kgp:
    """A copy of a lake in a place, with files of phenotypes and covariates beside it."""
    shutil.copytree(lake, place / "lake")
    cli = Kgp(place, capsys)
    cli.write("p.bed", make_bed())
    cli.write("c.txt", make_covariates())
    return cli


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process: Spark is not what is tested here."""
    monkeypatch.setattr(map_run, "SMALL_SECONDS", 1e9)


@pytest.fixture
def kgp(callset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Kgp:
    """The command line, and a lake with genotypes alone."""
    return set_out(tmp_path, callset, capsys)


@pytest.fixture(scope="module")
def with_set(callset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with the set s of the phenotypes and covariates."""
    place = tmp_path_factory.mktemp("with_set")
    shutil.copytree(callset, place / "lake")
    (place / "p.bed").write_bytes(join_cells(make_bed()))
    (place / "c.txt").write_bytes(join_cells(make_covariates()))
    files = ["--phenotypes", str(place / "p.bed"), "--covariates", str(place / "c.txt")]
    options = ["--callset", CALLSET, "--profile", "none", "--swaps", "skip", "--lake", str(place / "lake")]
    assert main(["eqtl", "build", "--name", "s", *files, *options]) == 0
    return place / "lake"


def refuse(kgp: Kgp, done: tuple[int, str], *expected: str) -> None:
    """It was refused in these words, as no defect, and no table has a row."""
    status, said = done
    assert status in (1, 2), said
    assert "defect" not in said, said
    assert "Traceback" not in said, said
    for words in expected:
        assert words in said
    assert not any(kgp.rows().values())


def set_cell(row: int, column: int, text: str) -> Callable[[Cells], Cells]:
    def change(cells: Cells) -> Cells:
        copy = [list(one) for one in cells]
        copy[row][column] = text
        return copy

    return change


# ------------------------------------------------------------------------------------------------- phenotypes

BAD_BEDS: dict[str, tuple[Callable[[Cells], Cells], tuple[str, ...]]] = {
    "infinite": (set_cell(1, 6, "inf"), ("p.bed, line 2", "Column 7 (HG10000): 'inf' is not finite")),
    "word": (set_cell(2, 7, "abc"), ("p.bed, line 3", "Column 8 (HG10001): 'abc' is no number")),
    "no number of bases": (set_cell(1, 1, "2e7"), ("p.bed, line 2", "its start '2e7' is no whole number")),
    "negative start": (set_cell(1, 1, "-5"), ("p.bed, line 2", "its start '-5'")),
    "1-based": (
        lambda cells: [cells[0], *([row[0], row[2], *row[2:]] for row in cells[1:])],
        ("p.bed, line 2", "20,040,000-20,040,000 is no interval"),
    ),
    "beyond the contig": (
        lambda cells: set_cell(1, 2, "60000001")(set_cell(1, 1, "60000000")(cells)),
        ("p.bed", "beyond the 51,304,566 bases that the contig has in GRCh37"),
    ),
    "phenotype twice": (set_cell(2, 3, "GENE0"), ("Phenotype GENE0 has two lines, 2 and 3",)),
    "phenotype without a name": (set_cell(2, 3, ""), ("p.bed, line 3", "names no phenotype")),
    "person twice": (
        set_cell(0, 8, "HG10001"),
        ("p.bed, line 1", "HG10001 stands in two columns, 8 and 9"),
    ),
    "a value short": (
        lambda cells: [*cells[:-1], cells[-1][:-1]],
        ("p.bed, line 7", "23 values where the header has 24"),
    ),
    "a value more": (
        lambda cells: [*cells[:-1], [*cells[-1], "1"]],
        ("p.bed, line 7", "25 values where the header has 24"),
    ),
    "no header": (
        lambda cells: cells[1:],
        ("p.bed, line 1", "It is no BED", "one header line: #chr start end"),
    ),
    "no line": (lambda cells: cells[:1], ("p.bed", "a header and no line below it")),
    "nobody": (
        lambda cells: [[*cells[0][:6], *(f"NA{20_000 + i}" for i in range(N_PEOPLE))], *cells[1:]],
        ("Nobody is in both callset made", "HG10000", "NA20000"),
    ),
    "all constant": (
        lambda cells: [cells[0], *([*row[:6], *["1"] * N_PEOPLE] for row in cells[1:])],
        ("No phenotype of p.bed is left", "6 constant"),
    ),
    "all far from variants": (
        lambda cells: [cells[0], *([row[0], "40000000", "40000001", *row[3:]] for row in cells[1:])],
        ("No variant of made is left", "60 outside the cis windows"),
    ),
    "contigs without genotypes": (
        lambda cells: [cells[0], *(["21", *row[1:]] for row in cells[1:])],
        ("No phenotype of p.bed is left", "6 no genotypes on its contig"),
    ),
}


@pytest.mark.parametrize("case", BAD_BEDS)
def test_a_bad_bed_is_refused_with_its_place(kgp, case):
    change, expected = BAD_BEDS[case]
    kgp.write("p.bed", change(make_bed()))
    refuse(kgp, kgp.build("--phenotypes", "@p.bed"), *expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "no header"),
        (bytes(range(256)) * 8, "no text"),
        (join_cells(make_bed()).decode().encode("utf-16"), "no text"),
        (join_cells(make_bed(), "\r"), "a carriage return alone"),
        (join_cells(make_bed())[:700], "values where the header has 24"),
        (gzip.compress(join_cells(make_bed()), mtime=0)[:-300], "cut off"),
        (gzip.compress(join_cells(make_bed()), mtime=0)[:-4], "cut off"),
    ],
    ids=["empty", "binary", "utf-16", "cr", "cut", "gzip cut", "gzip trailer cut"],
)
def test_a_damaged_bed_is_refused(kgp, content, expected):
    kgp.write("p.bed", content)
    refuse(kgp, kgp.build("--phenotypes", "@p.bed"), "p.bed", expected)


def test_files_that_are_none_are_refused(kgp):
    (kgp.place / "dir").mkdir()
    refuse(kgp, kgp.build("--phenotypes", "@nothing.bed"), "nothing.bed: There is no such file")
    refuse(kgp, kgp.build("--phenotypes", "@dir"), "dir: It is a directory")
    refuse(kgp, kgp.build("--phenotypes", "@p.bed", "--covariates", "@nothing.txt"), "There is no such file")
    refuse(kgp, kgp.build("--phenotypes", "@p.bed", "--covariates", "@dir"), "dir: It is a directory")


@pytest.mark.parametrize(
    "content",
    [
        join_cells(make_bed(), "\r\n"),
        join_cells(make_bed())[:-1],
        gzip.compress(join_cells(make_bed()), mtime=0),
        join_cells([HEADER, *make_bed()[:0:-1]]),
        join_cells([HEADER, *(["chr22", *row[1:]] for row in make_bed()[1:])]),
        b"\xef\xbb\xbf" + join_cells(make_bed()),
    ],
    ids=["crlf", "no last line end", "gzip", "unsorted", "chr22", "byte order mark"],
)
def test_the_same_phenotypes_in_another_spelling_are_the_same_set(kgp, content):
    assert kgp.build("--phenotypes", "@p.bed")[0] == 0
    before = kgp.rows()
    kgp.write("p.bed", content)
    status, said = kgp.build("--phenotypes", "@p.bed")
    assert status == 0
    assert "nothing to do" in said
    assert kgp.rows() == before


# ------------------------------------------------------------------------------------------------- covariates

BAD_COVARIATES: dict[str, tuple[Callable[[Cells], Cells], tuple[str, ...]]] = {
    "infinite": (set_cell(2, 4, "-inf"), ("c.txt, line 3, column HG10003: '-inf' is no finite number",)),
    "word among numbers": (set_cell(2, 4, "abc"), ("C1 holds 23 numbers and 1 words, as 'abc' of HG10003",)),
    "covariate twice": (set_cell(2, 0, "C0"), ("c.txt, line 3", "Covariate C0 is there a second time")),
    "person twice": (set_cell(0, 3, "HG10001"), ("column 4 of the header", "HG10001 is there a second time")),
    "no name": (set_cell(2, 0, ""), ("c.txt, line 3", "Covariate 2 has no name")),
    "a value short": (
        lambda cells: [*cells[:-1], cells[-1][:-1]],
        (
            "c.txt, line 3",
            "24 values where the header has 25",
        ),
    ),
    "no header": (lambda cells: cells[1:], ("c.txt", "header")),
    "header alone": (lambda cells: cells[:1], ("no line below its header",)),
    "strangers": (
        lambda cells: [["id", *(f"S{i}" for i in range(N_PEOPLE))], *cells[1:]],
        ("Nobody is known, neither in its header (S0, S1, S2, …)",),
    ),
    "too many": (lambda _: make_covariates(n=22), ("24 people are too few for 22 covariates", "at least 25")),
}


@pytest.mark.parametrize("case", BAD_COVARIATES)
def test_bad_covariates_are_refused(kgp, case):
    change, expected = BAD_COVARIATES[case]
    kgp.write("c.txt", change(make_covariates()))
    refuse(kgp, kgp.build("--phenotypes", "@p.bed", "--covariates", "@c.txt"), *expected)


def test_useless_covariates_are_named_and_dropped(kgp):
    cells = make_covariates()
    twice = ["twice", *(f"{2 * float(text) + 1:.6f}" for text in cells[1][1:])]
    kgp.write("c.txt", [*cells, twice, ["flat", *["1"] * N_PEOPLE]])
    status, said = kgp.build("--phenotypes", "@p.bed", "--covariates", "@c.txt")
    assert status == 0
    assert "collinear with those before it: 1 (twice)" in said
    assert "constant: 1 (flat)" in said
    assert kgp.read("eqtl_covariates")["covariate_id"].to_pylist() == ["C0", "C1"]


@pytest.mark.parametrize("text", ["NaN", ""])
def test_a_person_without_a_covariate_is_left_out_by_name(kgp, text):
    kgp.write("c.txt", set_cell(2, 4, text)(make_covariates()))
    status, said = kgp.build("--phenotypes", "@p.bed", "--covariates", "@c.txt")
    assert status == 0
    assert "covariate C1 not known: 1 (HG10003)" in said
    (one,) = kgp.read("eqtl_matrices").to_pylist()
    assert one["n_samples"] == N_PEOPLE - 1
    assert dict(one["dropped_samples"]) == {"HG10003": "covariate C1 not known"}


def test_covariates_in_rows_and_in_another_order_are_the_same_values(kgp):
    turned = [list(row) for row in zip(*make_covariates(), strict=True)]
    kgp.write("t.txt", [turned[0], *turned[:0:-1]])
    assert kgp.build("--phenotypes", "@p.bed", "--covariates", "@c.txt", name="a")[0] == 0
    assert kgp.build("--phenotypes", "@p.bed", "--covariates", "@t.txt", name="b")[0] == 0
    sets = {row["matrix_id"]: row["name"] for row in kgp.read("eqtl_matrices").to_pylist()}
    values: dict[str, list[list[float]]] = {"a": [], "b": []}
    for row in kgp.read("eqtl_covariates").sort_by("row_index").to_pylist():
        values[sets[row["matrix_id"]]].append(row["values"])
    assert values["a"] == values["b"]
    written = [[float(text) for text in row[1:]] for row in make_covariates()[1:]]
    assert np.array_equal(values["a"], written)


# ------------------------------------------------------------------------------------------------------ people


def test_people_who_are_missing_in_a_file_are_told_so(kgp):
    kgp.write("x2.bed", [row[:-2] for row in make_bed()])
    covariates = make_covariates()
    kgp.write("c.txt", [[*row, *new] for row, new in zip(covariates, (["S0"], ["1"], ["2"]), strict=True)])
    status, said = kgp.build("--phenotypes", "@x2.bed", "--covariates", "@c.txt")
    assert status == 0
    (one,) = kgp.read("eqtl_matrices").to_pylist()
    assert dict(one["dropped_samples"]) == dict.fromkeys(PEOPLE[-2:], "no expression in file x2.bed")
    assert "c.txt has 3 people who are not in the set" in one["notes"]
    assert "c.txt has 3 people who are not in the set" in said


def test_relatives_are_one_line_and_each_is_named_in_the_set(kgp):
    children = PEOPLE[12:20]
    people = {
        person: {"father_id": PEOPLE[i - 12]} if person in children else {} for i, person in enumerate(PEOPLE)
    }
    put_people(Lake(no_spark, str(kgp.lake)), people)
    words = ["--phenotypes", "@p.bed", "--related", "drop"]
    reasons = {child: f"child of {PEOPLE[i]}" for i, child in enumerate(children)}
    listed = ", ".join(f"{child}: {reason}" for child, reason in list(reasons.items())[:5])
    expected = f"left out, relatives of people in the set: 8 ({listed}, …)"
    status, said = kgp.build(*words, "--dry-run")
    assert status == 0
    assert [line.split() for line in said.splitlines() if line.startswith("people")] == [
        ["people", "relatives", "of", "people", "in", "the", "set", "0", "8"],
        ["people", "in", "the", "set", "16", "8"],
    ]
    status, said = kgp.build(*words)
    assert status == 0
    assert expected in said
    notes = [line for line in said.splitlines() if "note: left out" in line]
    assert len(notes) == 1
    (one,) = kgp.read("eqtl_matrices").to_pylist()
    assert dict(one["dropped_samples"]) == reasons
    assert dict(one["dropped"]) == {"people: relatives of people in the set": 8}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--n-components", "24"], "--n-components: 24 components of 24 people leave nothing to differ in"),
        (
            ["--n-components", "3"],
            "Components of 1 contig would be local haplotypes, which absorb the signals under test: 1,000 variants on "
            "5 contigs are the least. Load more contigs",
        ),
        (
            ["--n-components", "3", "--components-from", "other-contigs"],
            "Components of 1 contig would be local haplotypes",
        ),
    ],
)
def test_components_that_cannot_be_are_refused_before_genotypes_are_read(kgp, monkeypatch, words, expected):
    def choose(*_: object) -> None:
        raise AssertionError("the genotypes are read")

    monkeypatch.setattr(build_eqtl_matrices, "choose_variants", choose)
    refuse(kgp, kgp.build("--phenotypes", "@p.bed", *words), expected)
    assert not [path for path in kgp.lake.glob("eqtl_genotypes/**/*") if path.is_file()]


def test_counts_without_a_dataset_are_named(kgp):
    refuse(kgp, kgp.build("--phenotypes", "@p.bed", "--counts", "x"), "--counts: A quantification is one of")


# ---------------------------------------------------------------------------------------------------- mapping


def assert_all_finite(kgp: Kgp) -> None:
    for path in sorted(kgp.lake.glob("eqtl_*")):
        table = kgp.read(path.name)
        for field in table.schema:
            if pa.types.is_floating(field.type):
                assert np.isfinite(table[field.name].drop_null().to_numpy()).all(), (
                    f"{path.name}.{field.name}"
                )


def test_phenotypes_that_cannot_be_tested_are_counted_and_the_others_are_as_numpy_has_them(kgp):
    bed, covariates = make_bed(), make_covariates()
    bed[1][6:] = ["5"] * N_PEOPLE  # constant
    bed[2][6:] = [
        f"{2 * float(text) + 1:.6f}" for text in covariates[1][1:]
    ]  # constant beside the covariates
    bed[3][8] = "NA"
    bed[4][1:3] = ["40000000", "40000001"]  # no variant near
    kgp.write("p.bed", bed)
    status, said = kgp.build("--phenotypes", "@p.bed", "--covariates", "@c.txt")
    assert status == 0
    assert "phenotypes: constant: 1" in said
    untested = {
        "phenotype constant beside the covariates": 1,
        "phenotype with missing values": 1,
        "phenotype without a variant in its window": 1,
    }
    for options in (["nominal"], ["permute", "--permutations", "10"], ["permute", "--model", "qtltools"]):
        words = [*options, *(["--permutations", "10"] if options[-1] == "qtltools" else [])]
        assert kgp.run("eqtl", "map", "--name", "s", "--mode", *words)[0] == 0
    assert [dict(row["dropped"]) for row in kgp.read("eqtl_maps").to_pylist()] == [untested] * 3
    assert_all_finite(kgp)

    dosages = {
        row["variant_id"]: np.array(row["dosages"], dtype=float)
        for row in kgp.read("eqtl_genotypes").to_pylist()
    }
    values = {row[3]: np.array(row[6:], dtype=float) for row in bed[5:]}
    known = np.array([row[1:] for row in covariates[1:]], dtype=float)
    pairs = kgp.read("eqtl_nominal").to_pylist()
    assert len(pairs) == 2 * N_VARIANTS
    for pair in pairs:
        y, g = values[pair["phenotype_id"]], dosages[pair["variant_id"]]
        design = np.column_stack([np.ones(N_PEOPLE), known.T, g])
        slopes, (rest,), _, _ = np.linalg.lstsq(design, y, rcond=None)
        variance = rest / (N_PEOPLE - design.shape[1]) * np.linalg.inv(design.T @ design)[-1, -1]
        assert pair["slope"] == pytest.approx(slopes[-1], rel=1e-8)
        assert pair["slope_se"] == pytest.approx(np.sqrt(variance), rel=1e-8)
        assert pair["af"] == pytest.approx(g.mean() / 2)
        assert pair["tss_distance"] == pair["start"] + 1 - int(bed[int(pair["phenotype_id"][-1]) + 1][2])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--contig", "99"], "no phenotype on contig 99. It has: 22"),
        (["--mode", "permute", "--permutations", "9"], "9 permutations are too few"),
        (["--mode", "permute", "--fdr", "1.5"], "--fdr: 1.5 is out of range"),
        (["--mode", "permute", "--fdr", "nan"], "--fdr: nan is out of range"),
        (["--mode", "trans", "--max-p", "2"], "--max-p: 2.0 is out of range"),
        (["--mode", "trans", "--cis-window", "1"], "--cis-window: A trans mapping has no cis window"),
        (["--mode", "trans"], "Nothing can be tested: pair nearer than the trans distance: 360"),
        (["--cis-window", "2000000"], "more than the 1,000,000 that the set was built with"),
        (["--cis-window", "-1"], "--cis-window: -1 is out of range"),
        (["--mode", "permute", "--seed", "-1"], "--seed: -1 is out of range"),
        (["--phenotype-df", "20"], "no degree of freedom is left"),
        (["--mode", "interaction"], "--interaction"),
        (["--interaction", "C0"], "Give it with --mode interaction, and only there"),
        (["--mode", "interaction", "--interaction", "nope"], "no covariate 'nope'"),
        (
            ["--mode", "interaction", "--interaction", "C0", "--model", "qtltools"],
            "no model with interactions",
        ),
        (["--mode", "independent", "--permutations", "10"], "no permutation pass"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mapping_that_cannot_be_is_refused_and_leaves_no_row(with_set, tmp_path, capsys, words, expected):
    kgp = set_out(tmp_path, with_set, capsys)
    before = kgp.rows()
    status, said = kgp.run("eqtl", "map", "--name", "s", *words)
    assert status in (1, 2)
    assert expected in said
    assert "defect" not in said
    after = kgp.rows()
    assert {name: n for name, n in after.items() if n} == {name: n for name, n in before.items() if n}


def test_a_name_in_use_is_kept_until_it_is_replaced_with_its_mappings(kgp):
    assert kgp.build("--phenotypes", "@p.bed")[0] == 0
    assert kgp.run("eqtl", "map", "--name", "s")[0] == 0
    before = kgp.rows()
    other = ["--phenotypes", "@p.bed", "--min-maf", "0.3"]
    status, said = kgp.build(*other)
    assert status == 1
    assert "The name s is in use" in said
    assert "min_maf 0.0 (now 0.3)" in said
    assert kgp.rows() == before
    kgp.write("c.txt", make_covariates(seed=5))
    kgp.write("p2.bed", make_bed(seed=5))
    status, said = kgp.build("--phenotypes", "@p2.bed", "--covariates", "@c.txt")
    assert status == 1
    assert re.search(r'covariates \[\] \(now \["c \(sha256:[0-9a-f]{12}…\)"\]\)', said)
    assert re.search(r"phenotypes sha256:[0-9a-f]{12}… \(now sha256:[0-9a-f]{12}…\)", said)
    assert kgp.rows() == before
    assert kgp.build(*other, "--replace")[0] == 0
    assert kgp.rows()["eqtl_maps"] == kgp.rows()["eqtl_nominal"] == 0
    assert 0 < kgp.rows()["eqtl_genotypes"] < N_VARIANTS


@pytest.mark.parametrize("is_file", [True, False], ids=["file", "below a file"])
def test_an_export_goes_to_a_directory(with_set, tmp_path, capsys, is_file):
    kgp = set_out(tmp_path, with_set, capsys)
    words = ["eqtl", "export", "--name", "s", "--format", "matrixeqtl", "--out"]
    out = "@p.bed" if is_file else "@p.bed/below"
    status, said = kgp.run(*words, out)
    assert status == 2
    place = f"{kgp.place}/{out[1:]}"
    assert f"--out: {place} can't be a directory. Give a directory that can be written to." in said
    status, said = kgp.run(*words, "/proc/kgp-export")
    assert status == 2
    assert "--out: /proc/kgp-export can't be a directory." in said


@pytest.mark.parametrize("name", ["my set", "a/b", "../x", "a'b", 'a"b', "é", ""])
def test_names_that_would_break_paths_or_queries_are_refused(kgp, name):
    refuse(kgp, kgp.build("--phenotypes", "@p.bed", name=name), "can't be a name")
