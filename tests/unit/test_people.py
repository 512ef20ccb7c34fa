"""Panels, pedigrees, merging and cohorts; the real files where they are."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from kgp.errors import FormatError, InputError, UsageError
from kgp.io.panel import read_panel, read_pedigree
from kgp.transforms.people import SUPERPOPULATION_OF, SUPERPOPULATIONS, Person, merge_people, select_cohort

PANEL = "sample\tpop\tsuper_pop\tgender\n"
PEOPLE: list[Person] = [
    {"sample_id": "HG00096", "population": "GBR", "superpopulation": "EUR"},
    {"sample_id": "NA20502", "population": "TSI", "superpopulation": "EUR"},
    {"sample_id": "HG00171", "population": "FIN", "superpopulation": "EUR"},
    {"sample_id": "NA18486", "population": "YRI", "superpopulation": "AFR"},
    {"sample_id": "NA00000", "population": None, "superpopulation": None},
]


def write(tmp_path: Path, text: str | bytes, name: str = "a.panel") -> str:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


# -- panel


def test_the_bundled_panel_is_read_whole(bundled: Path) -> None:
    path = bundled / "samples.panel"
    people = read_panel(str(path))
    with path.open(encoding="utf-8", newline="") as file:
        expected = list(csv.DictReader(file, delimiter="\t"))
    assert people.n_lines == len(people.rows) == len(expected) == 2504
    assert [r["sample_id"] for r in people.rows] == [r["sample"] for r in expected]
    assert [r["population"] for r in people.rows] == [r["pop"] for r in expected]
    assert [r["superpopulation"] for r in people.rows] == [r["super_pop"] for r in expected]
    assert [r["sex"] for r in people.rows] == [r["gender"] for r in expected]
    assert people.warnings == {}


def test_the_26_populations_are_those_of_the_bundled_panel(bundled: Path) -> None:
    people = read_panel(str(bundled / "samples.panel")).rows
    assert {r["population"]: r["superpopulation"] for r in people} == SUPERPOPULATION_OF
    assert len(SUPERPOPULATION_OF) == 26
    assert list(SUPERPOPULATIONS) == ["AFR", "AMR", "EAS", "EUR", "SAS"]


@pytest.mark.shared
def test_the_archives_panels_with_stray_tabs(shared_data: Path) -> None:
    metadata = shared_data / "metadata"
    plain = read_panel(str(metadata / "integrated_call_samples_v3.20130502.ALL.panel"))
    more = read_panel(str(metadata / "integrated_call_samples_v3.20130502.ALL.panel.plus31related"))
    assert (len(plain.rows), len(more.rows)) == (2504, 2535)
    assert {r["sample_id"] for r in plain.rows} < {r["sample_id"] for r in more.rows}
    for people in (plain, more):
        assert people.warnings["stray tab in the header"] == 2
        assert Counter(r["superpopulation"] for r in people.rows).keys() == set(SUPERPOPULATIONS)
        assert all(r["sex"] in ("male", "female") for r in people.rows)


def test_a_strange_order_and_other_names_of_columns(tmp_path: Path) -> None:
    people = read_panel(
        write(tmp_path, "\ufeffsex\tSample\tPopulation\tnote\r\n2\tHG1\tCEU\tx\r\n0\tHG2\t\t\r\n")
    )
    assert people.rows == (
        {"sample_id": "HG1", "population": "CEU", "sex": "female"},
        {"sample_id": "HG2", "population": None, "sex": None},
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (PANEL + "HG1\tCEU\tEUR\n", r"line 2.*3 values where the header has 4"),
        (PANEL + "HG1\tCEU\tEUR\tmale\tmore\n", r"5 values where the header has 4"),
        (PANEL + "HG1\tCEU\tEUR\tmale\nHG1\tCEU\tEUR\tmale\n", r"line 3.*HG1 is there a second time"),
        (PANEL + "\tCEU\tEUR\tmale\n", "no sample id"),
        (PANEL + "HG1\tCEU\tEUR\tmail\n", "'mail' is no sex"),
        ("name\tpop\nHG1\tCEU\n", "no column for sample_id"),
        ("##fileformat=VCFv4.1\n", "empty"),
        (b"\x1f\x8b\x08\x00\xff\xfe", "no UTF-8"),
    ],
)
def test_what_is_no_panel_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_panel(write(tmp_path, text))


def test_a_panel_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_panel(str(tmp_path / "nowhere.panel"))


# -- pedigree


@pytest.mark.shared
def test_the_real_pedigree(shared_data: Path) -> None:
    path = shared_data / "metadata" / "20130606_g1k.ped"
    people = read_pedigree(str(path))
    with path.open(encoding="utf-8", newline="") as file:
        expected = {row["Individual ID"]: row for row in csv.DictReader(file, delimiter="\t")}
    assert people.n_lines == len(people.rows) == len(expected) == 3501
    for row in people.rows:
        line = expected[str(row["sample_id"])]
        assert row["family_id"] == line["#Family ID"]
        assert row["father_id"] == (None if line["Paternal ID"] == "0" else line["Paternal ID"])
        assert row["mother_id"] == (None if line["Maternal ID"] == "0" else line["Maternal ID"])
        assert row["sex"] == {"1": "male", "2": "female"}[line["Gender"]]
        assert row["relationship"] == line["Relationship"]


@pytest.mark.shared
def test_panel_and_pedigree_agree_and_complete_each_other(shared_data: Path) -> None:
    metadata = shared_data / "metadata"
    panel = read_panel(str(metadata / "integrated_call_samples_v3.20130502.ALL.panel.plus31related"))
    pedigree = read_pedigree(str(metadata / "20130606_g1k.ped"))
    people = {r["sample_id"]: r for r in merge_people([("panel", panel.rows), ("ped", pedigree.rows)])}
    assert len(people) == len({r["sample_id"] for r in (*panel.rows, *pedigree.rows)})
    assert sum(r["load_id"] == "panel" for r in people.values()) == 2535
    assert all(r["superpopulation"] == SUPERPOPULATION_OF[str(r["population"])] for r in people.values())
    child = people["NA12878"]
    assert (child["father_id"], child["mother_id"], child["sex"]) == ("NA12891", "NA12892", "female")


# -- merging


def test_later_sources_fill_nulls_and_the_first_one_gives_the_load() -> None:
    merged = merge_people(
        [
            ("b", [{"sample_id": "HG2", "sex": None, "population": "CEU"}]),
            (
                "a",
                [
                    {"sample_id": "HG2", "sex": "male", "family_id": "F"},
                    {"sample_id": "HG1", "population": "YRI"},
                ],
            ),
        ]
    )
    assert merged == [
        {"load_id": "a", "sample_id": "HG1", "population": "YRI", "superpopulation": "AFR"},
        {
            "load_id": "b",
            "sample_id": "HG2",
            "population": "CEU",
            "sex": "male",
            "family_id": "F",
            "superpopulation": "EUR",
        },
    ]


@pytest.mark.parametrize("column", ["sex", "population", "superpopulation"])
def test_sources_that_contradict_each_other_are_refused(column: str) -> None:
    with pytest.raises(InputError, match=f"HG1 has {column} a in one source and b in another"):
        merge_people([("x", [{"sample_id": "HG1", column: "a"}]), ("y", [{"sample_id": "HG1", column: "b"}])])


# -- cohorts


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
    ],
)
def test_cohorts(expression: str, expected: set[str]) -> None:
    assert select_cohort(expression, PEOPLE) == expected


@pytest.mark.parametrize("expression", ["", ",", "+"])
def test_an_empty_cohort_is_refused(expression: str) -> None:
    with pytest.raises(UsageError, match="No cohort"):
        select_cohort(expression, PEOPLE)


def test_an_unknown_group_gives_the_nearest_and_all() -> None:
    with pytest.raises(
        UsageError, match=r"'fin'.*Did you mean FIN\?.*There are: AFR, ALL, EUR, FIN, GBR, TSI, YRI"
    ):
        select_cohort("EUR,-fin", PEOPLE)
