"""Pedigrees: the three layouts, relatives in lists and in words, relationships in one vocabulary; the real files."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgp.errors import FormatError
from kgp.io.pedigree import read_pedigree
from kgp.transforms.relationships import normalise_relationship

HEADER = (
    "Family ID", "Individual ID", "Paternal ID", "Maternal ID", "Gender", "Phenotype", "Population", "Relationship",
    "Siblings", "Second Order", "Third Order", "Other Comments",
)  # fmt: skip
LINE = "\t".join(HEADER) + "\n"


def write(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "a.ped"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


# -- the real files


@pytest.fixture
def raw(shared_data: Path) -> dict[str, dict[str, str]]:
    """20130606_g1k.ped by Individual ID, parsed here."""
    with (shared_data / "metadata" / "20130606_g1k.ped").open(encoding="utf-8", newline="") as file:
        return {row["Individual ID"]: row for row in csv.DictReader(file, delimiter="\t")}


@pytest.mark.shared
def test_the_real_pedigree(shared_data: Path, raw: dict[str, dict[str, str]]) -> None:
    people = read_pedigree(str(shared_data / "metadata" / "20130606_g1k.ped"))
    assert people.n_lines == len(people.rows) == len(raw) == 3501
    assert people.source_kind == "pedigree"
    for row in people.rows:
        line = raw[row["sample_id"]]
        assert row["family_id"] == line["#Family ID"]
        assert row["father_id"] == (None if line["Paternal ID"] == "0" else line["Paternal ID"])
        assert row["mother_id"] == (None if line["Maternal ID"] == "0" else line["Maternal ID"])
        assert row["sex"] == {"1": "male", "2": "female"}[line["Gender"]]
        assert row["relationship_text"] == line["Relationship"].strip()
    n_parents = Counter((r["father_id"] is not None) + (r["mother_id"] is not None) for r in people.rows)
    assert (n_parents[2], n_parents[1]) == (641, 121)


@pytest.mark.shared
def test_nothing_of_the_real_lists_of_relatives_is_lost(
    shared_data: Path, raw: dict[str, dict[str, str]]
) -> None:
    people = read_pedigree(str(shared_data / "metadata" / "20130606_g1k.ped"))
    lists = {"siblings": "Siblings", "second_order": "Second Order", "third_order": "Third Order"}
    n_repeated = 0
    for row in people.rows:
        line, remarks = raw[row["sample_id"]], row["remarks"] or ""
        for name, column in lists.items():
            tokens = [t.strip() for t in line[column].split(",") if t.strip() not in ("", "0")]
            ids = [t for t in tokens if re.fullmatch("(HG|NA)[0-9]{5}", t)]
            n_repeated += len(ids) - len(set(ids))
            assert set(ids) <= set(row[name] or ())
            assert all(f"{column}: {token}" in remarks for token in tokens if token not in ids)
        if line["Other Comments"] != "0":
            assert line["Other Comments"].strip() in remarks
    assert people.warnings == {"relative named twice in a list": n_repeated}
    found = {row["sample_id"]: row for row in people.rows}
    assert found["NA06993"]["third_order"] == ["NA07022", "NA07056"]
    assert found["NA06993"]["remarks"] == "Third Order: first cous once removed; relationships are uncertain"
    assert found["HG00501"]["siblings"] == ["HG00512", "HG00524"]
    assert (found["HG02302"]["siblings"], found["HG02302"]["second_order"]) == (["HG02298"], ["HG02300"])


@pytest.mark.shared
def test_every_spelling_of_the_real_pedigree_is_known(raw: dict[str, dict[str, str]]) -> None:
    spellings = {row["Relationship"] for row in raw.values()}
    assert len(spellings) == 29
    found = {text: normalise_relationship(text) for text in spellings}
    assert None not in found.values()
    for text, words in found.items():
        assert words is not None
        assert ";" not in text or words.count(";") == text.count(";")
        # Whoever is some grandparent, parent or child in the text is the same in the vocabulary.
        for word in ("grandmother", "grandfather"):
            assert (word in text) == (word in words) or text == "paternal father"
    for row in raw.values():
        words = str(found[row["Relationship"]])
        sexes = {"1": ("mother", "daughter", "aunt"), "2": ("father", "son", "uncle")}[row["Gender"]]
        assert not any(words.endswith(word) for word in sexes) or words == "not_father", row
        if number := re.search("child of ([0-9]+)", row["Relationship"]):
            assert f"NA{number[1]}" in (row["Paternal ID"], row["Maternal ID"])


@pytest.mark.shared
def test_the_pedigree_of_the_3202(shared_data: Path) -> None:
    path = shared_data / "metadata" / "reconstructed_20130606_g1k_3202_samples_ped_population.txt"
    expected = [line.split() for line in path.read_text().splitlines()[1:]]
    people = read_pedigree(str(path))
    assert people.source_kind == "pedigree_3202"
    assert people.n_lines == len(people.rows) == len(expected) == 3202
    sexes = {"male": "1", "female": "2"}
    found = [
        [r["family_id"], r["sample_id"], r["father_id"] or "0", r["mother_id"] or "0", sexes[r["sex"]],
         r["population"], r["superpopulation"]]
        for r in people.rows
    ]  # fmt: skip
    assert found == expected
    assert people.warnings == {}


# -- layouts


def test_the_short_pedigree_of_the_3202(tmp_path: Path) -> None:
    people = read_pedigree(write(tmp_path, "sampleID fatherID motherID sex\nHG1 0 0 1\nHG2 HG1 0 2\n"))
    assert people.rows == (
        {"sample_id": "HG1", "father_id": None, "mother_id": None, "sex": "male"},
        {"sample_id": "HG2", "father_id": "HG1", "mother_id": None, "sex": "female"},
    )
    assert people.source_kind == "pedigree_3202"


@pytest.mark.parametrize("mark", ["", "#"])
def test_the_header_with_and_without_its_mark(tmp_path: Path, mark: str) -> None:
    row = 'F\tHG1\tHG2\t0\t1\t2\tCEU\tgodson\t"HG00512, cousin, HG00512"\tHG3\t0\tnone of these\r\nF\tHG3\t0\t0\t2'
    text = (mark + LINE + row + "\t0\tCEU\tmother\t0\t0\t0\t0").replace("\r\n", "\n")
    people = read_pedigree(write(tmp_path, text.replace("\n", "\r\n")))
    assert people.rows[0] == {
        "family_id": "F", "sample_id": "HG1", "father_id": "HG2", "mother_id": None, "sex": "male",
        "population": "CEU", "relationship_text": "godson", "siblings": ["HG00512"], "second_order": ["HG3"],
        "third_order": None, "remarks": "Siblings: cousin; none of these",
    }  # fmt: skip
    assert people.warnings == {
        "relationship 'godson' is not known": 1, "relative named twice in a list": 1, "phenotype is not read": 1,
    }  # fmt: skip
    assert (people.source_kind, people.n_lines) == ("pedigree", 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "F HG1 0 0 1 -9\n",
            r"line 1: Its header 'F HG1 0 0 1 -9' has no column for sample_id, father_id, mother_id",
        ),
        (LINE + "F\tHG1\t0\t0\t1\n", r"line 2: It has 5 values where the header has 12"),
        (LINE + "F\tHG1\t0\t0\t3\t0\tCEU\t\t0\t0\t0\t0\n", r"line 2, column Gender: '3' is no sex"),
        (
            "sampleID fatherID motherID sex\nHG1 0 0 1\nHG1 0 0 1\n",
            r"line 3: HG1 is there a second time, after line 2",
        ),
        ("sampleID fatherID motherID sex\n0 0 0 1\n", r"line 2, column sampleID: There is no sample id"),
    ],
)
def test_what_is_no_pedigree_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_pedigree(write(tmp_path, text))


# -- whatever is written is read


ids = st.from_regex(r"(HG|NA)[0-9]{5}", fullmatch=True)
words = st.text(
    st.characters(codec="utf-8", categories=["L", "Nd", "P"], exclude_characters=",;#"), min_size=1
)
remarks = words.filter(
    lambda text: text not in ("0", "00") and re.fullmatch("(HG|NA|GM)[0-9]{5}", text) is None
)
person = st.fixed_dictionaries(
    {
        "family_id": words.filter(lambda text: text not in ("0", "NA", "unknown", "other")),
        "father_id": st.none() | ids,
        "mother_id": st.none() | ids,
        "sex": st.sampled_from(["male", "female"]),
        "population": st.sampled_from(["CEU", "YRI", "CHS"]),
        "relationship_text": st.none() | st.sampled_from(["unrel", "mother", "pat grandmother; mother"]),
        "siblings": st.lists(ids, unique=True, max_size=3),
        "second_order": st.lists(ids, unique=True, max_size=3),
        "third_order": st.lists(ids, unique=True, max_size=3),
        "remarks": st.none() | remarks,
    }
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(people=st.dictionaries(ids, person, min_size=1, max_size=6), end=st.sampled_from(["\n", "\r\n"]))
def test_a_pedigree_that_is_written_is_read_again(
    tmp_path: Path, people: dict[str, dict[str, Any]], end: str
) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter="\t", lineterminator=end)
    writer.writerow(HEADER)
    for sample_id, one in people.items():
        lists = [", ".join(one[name]) or "0" for name in ("siblings", "second_order", "third_order")]
        writer.writerow(
            [one["family_id"], sample_id, one["father_id"] or "0", one["mother_id"] or "0",
             {"male": "1", "female": "2"}[one["sex"]], "0", one["population"], one["relationship_text"] or "0",
             *lists, one["remarks"] or "0"]
        )  # fmt: skip
    found = read_pedigree(write(tmp_path, buffer.getvalue()))
    assert {row["sample_id"]: {k: v for k, v in row.items() if k != "sample_id"} for row in found.rows} == {
        sample_id: {name: value or None for name, value in one.items()} for sample_id, one in people.items()
    }
    assert (found.n_lines, found.warnings) == (len(people), {})


# -- relationships


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unrel", "unrelated"),
        (" Unrels ", "unrelated"),
        ("Child2", "child"),
        ("daughter", "child"),
        ("child of 19752&3", "child"),
        ("child of 19672", "child"),
        ("pat grandmother; mother", "paternal_grandmother; mother"),
        ("maternal  grandmother", "maternal_grandmother"),
        ("paternal father", "paternal_grandfather"),
        ("paternal brother", "paternal_uncle"),
        ("not father", "not_father"),
        ("wife of child", "spouse_of_child"),
        ("husband of Child", "spouse_of_child"),
        ("child of somebody", None),
        ("father; godmother", None),
        ("", None),
    ],
)
def test_relationships(text: str, expected: str | None) -> None:
    assert normalise_relationship(text) == expected
