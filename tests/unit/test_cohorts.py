"""Cohorts: expressions, ids, files of ids; what nobody belongs to gives the nearest."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from kgp.errors import FormatError, InputError, UsageError
from kgp.io.sample_list import read_callset_list, read_cohort
from kgp.transforms.cohorts import Cohort, select_cohort
from kgp.transforms.groups import CallsetPeople
from kgp.transforms.people import Person

PEOPLE: list[Person] = [
    {"sample_id": "HG00096", "population": "GBR", "superpopulation": "EUR"},
    {"sample_id": "NA20502", "population": "TSI", "superpopulation": "EUR"},
    {"sample_id": "HG00171", "population": "FIN", "superpopulation": "EUR"},
    {"sample_id": "NA18486", "population": "YRI", "superpopulation": "AFR"},
    {"sample_id": "NA00000", "population": None, "superpopulation": None},
]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("ALL", {"HG00096", "NA20502", "HG00171", "NA18486", "NA00000"}),
        ("EUR", {"HG00096", "NA20502", "HG00171"}),
        ("GBR+TSI", {"HG00096", "NA20502"}),
        ("GBR , TSI", {"HG00096", "NA20502"}),
        ("EUR,-FIN", {"HG00096", "NA20502"}),
        ("EUR,-FIN,-GBR", {"NA20502"}),
        ("-EUR", {"NA18486", "NA00000"}),
        ("EUR,-FIN+YRI", {"HG00096", "NA20502", "NA18486"}),
        ("EUR+-FIN", {"HG00096", "NA20502"}),
        ("NA00000", {"NA00000"}),
        ("YRI+NA00000+HG00171", {"NA18486", "NA00000", "HG00171"}),
        ("EUR,-HG00096", {"NA20502", "HG00171"}),
        ("-NA00000,-EUR", {"NA18486"}),
        ("-EUR+HG00171,-YRI", {"HG00171", "NA00000"}),
    ],
)
def test_cohorts(expression: str, expected: set[str]) -> None:
    assert select_cohort(expression, PEOPLE) == expected
    assert read_cohort(expression) == Cohort(expression.replace(" ", ""))


@pytest.mark.parametrize("expression", ["", ",", "+"])
def test_an_empty_cohort_is_refused(expression: str) -> None:
    with pytest.raises(UsageError, match=r"No cohort is named\. Write ALL, EUR, CEU"):
        read_cohort(expression).select(PEOPLE)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (
            "EUR,-fin",
            r"'fin'.*Did you mean FIN\? There are: AFR, ALL, EUR, FIN, GBR, TSI, YRI\. A file of ids is",
        ),
        ("EUX", r"--cohort: Nobody belongs to 'EUX'\. Did you mean EUR\?"),
        ("HG0096", r"Nobody is called 'HG0096'\. Did you mean HG00096"),
        ("EUR,-XX99999999", r"Nobody is called 'XX99999999'\. Name a population or somebody's id"),
        ("samples", r"Nobody belongs to 'samples'.*A file of ids is named with a slash: \./FILE"),
    ],
)
def test_what_nobody_belongs_to_gives_the_nearest(expression: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_cohort(expression).select(PEOPLE)


def test_hundreds_of_populations_are_not_all_listed() -> None:
    many = [{"sample_id": f"X{i}", "population": f"Pop{i}SGDP", "superpopulation": None} for i in range(100)]
    with pytest.raises(UsageError, match=r"There are: AFR, ALL, EUR, FIN, GBR, TSI, YRI and 100 more\."):
        select_cohort("EUX", [*PEOPLE, *many])


def test_before_anybody_is_known_it_says_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"nobody is known yet\. Load who the people are: kgp load samples"):
        select_cohort("EUR", [])


# -- files of ids


@pytest.mark.parametrize(
    "data",
    [
        b"NA20502\nHG00096",
        b"\xef\xbb\xbfNA20502\r\n\r\n HG00096 \r\n",
        b"#FID IID\nNA20502 NA20502\nHG00096\tHG00096\n",
        gzip.compress(b"NA20502\nHG00096\n"),
    ],
    ids=["plain", "windows", "plink", "gzip"],
)
def test_a_file_of_ids(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "ids.txt"
    path.write_bytes(data)
    digest = hashlib.sha256(b"HG00096\nNA20502").hexdigest()[:12]
    cohort = read_cohort(str(path))
    assert cohort == Cohort(f"ids:2:{digest}", ("NA20502", "HG00096"))
    assert cohort.select(PEOPLE) == {"HG00096", "NA20502"}


def test_an_expression_is_none_of_a_file_that_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("EUR", "my_ids"):
        (tmp_path / name).write_text("HG00096\n")
    assert read_cohort("EUR").ids is None
    assert read_cohort("./EUR").ids == read_cohort("my_ids").ids == ("HG00096",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"ids\.txt: The file names nobody\. Give a file with one id a line"),
        ("HG1\nHG2 male\n", r"ids\.txt, line 2: 'HG2 male' is no id"),
        ("HG1,HG2\n", r"ids\.txt, line 1: 'HG1,HG2' is no id\. Give a file with one id a line"),
        ("HG1\n\nHG1\n", r"line 3: HG1 is there a second time, after line 1\. Name everybody once"),
        ("\x00\x01", r"line 1: It is no text"),
    ],
)
def test_what_is_no_file_of_ids(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "ids.txt"
    path.write_text(text)
    with pytest.raises(FormatError, match=message):
        read_cohort(str(path))
    with pytest.raises(FormatError, match=message):
        read_callset_list(str(path), "c")


def test_unknown_ids_of_a_file_give_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("HG00096\nHG00172\nNA2050\nx\ny\n")
    with pytest.raises(
        InputError,
        match=r"ids\.txt: Nobody is known as HG00172 \(perhaps HG00171.*\), "
        r"NA2050 \(perhaps NA20502.*\), x and 1 more\. There are 5",
    ):
        read_cohort(str(path)).select(PEOPLE)
    with pytest.raises(InputError, match="no such file"):
        read_cohort(str(tmp_path / "none.txt"))


# -- sample lists of callsets


def test_the_samples_of_a_vcf_and_of_a_list(tmp_path: Path) -> None:
    vcf = tmp_path / "a.vcf.gz"
    names = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
    vcf.write_bytes(gzip.compress(f"##fileformat=VCFv4.1\n{names}\tFORMAT\tHG2\tHG1\n22\t1\n".encode()))
    plain = tmp_path / "list"
    plain.write_text("#IID\nHG2\nHG1\n")
    for path in (vcf, plain):
        people = read_callset_list(str(path), "c")
        assert people.rows == (
            {"sample_id": "HG2", "callsets": ["c"]},
            {"sample_id": "HG1", "callsets": ["c"]},
        )
        assert (people.n_lines, people.source_kind, people.warnings) == (2, "sample_list", {})
    sites = tmp_path / "sites.vcf"
    sites.write_text(f"##fileformat=VCFv4.1\n{names}\n")
    with pytest.raises(FormatError, match=r"sites\.vcf: It has no samples\. Give one with genotypes"):
        read_callset_list(str(sites), "c")


@pytest.mark.shared
def test_the_real_lists_have_an_id_twice_in_a_line(shared_data: Path) -> None:
    for name, n in (("ceu92", 92), ("eur373", 373), ("fin95", 95), ("gbr96", 96), ("tsi93", 93)):
        path = shared_data / "metadata" / f"geuvadis.{name}.sampleids.txt"
        people = read_callset_list(str(path), "geuvadis")
        assert [r["sample_id"] for r in people.rows] == [
            line.split()[0] for line in path.read_text().splitlines()
        ]
        assert people.n_lines == len(people.rows) == n


# -- groups of statistics


def present(*samples: str, **sexes: str) -> CallsetPeople:
    people = {p["sample_id"]: {**p, "sex": sexes.get(p["sample_id"])} for p in PEOPLE}
    return CallsetPeople("c", list(enumerate(samples)), people)


def test_a_group_of_ids_is_found_again_without_its_file() -> None:
    cohort = Cohort.of_ids(["NA20502", "HG00096", "stranger"])
    callset = present("stranger", "HG00096", "HG00171")
    group = callset.find_cohort(cohort)
    assert group.name == f"cohort:{cohort.name}"
    assert (group.sample_ids, group.sample_indices) == (("stranger", "HG00096"), (0, 1))
    row = {"group": group.name, "sample_ids": list(group.sample_ids)}
    assert callset.get_computed(row) == group
    other = present("stranger", "HG00096", "HG00171", HG00096="male").get_computed(row)
    assert other is not None
    assert other.digest != group.digest, "a sex that becomes known makes the statistics stale"
    assert present("HG00171").get_computed(row) is None
    assert callset.find_cohort(Cohort("FIN")).sample_ids == ("HG00171",)
    assert callset.get_computed({"group": "cohort:FIN", "sample_ids": ["HG00096"]}) == callset.find_group(
        "cohort:FIN"
    )


def test_a_group_of_ids_that_nobody_has_or_nobody_of_the_callset() -> None:
    with pytest.raises(InputError, match=r"Nobody is known as HG00097 \(perhaps HG00096"):
        present("HG00096").find_cohort(Cohort.of_ids(["HG00097"]))
    with pytest.raises(UsageError, match=r"Nobody in callset c belongs to cohort:ids:1:[0-9a-f]{12}\."):
        present("HG00096").find_cohort(Cohort.of_ids(["NA20502"]))
