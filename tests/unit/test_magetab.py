"""SDRF: which run is whose, on the shapes that the real files have."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from kgp.errors import FormatError
from kgp.io.magetab import RunOwner, read_sdrf


def test_repeated_columns_and_both_spellings(tmp_path: Path) -> None:
    path = tmp_path / "a.sdrf.txt"
    path.write_bytes(
        b"Source Name\tProtocol REF\tComment [ENA_RUN]\tProtocol REF\tAssay Name\r\n"
        b"HG1\tP1\tERR1\tP2\tA1\r\n"
        b"HG1\tP1\tERR1\tP2\tA1\r\n"
        b"HG2\tP1\tERR2\tP2\tA\xe9"  # Latin-1, and no newline at the end
    )
    sdrf = read_sdrf(str(path))
    assert sdrf.owners["ERR1"] == RunOwner("HG1", "Comment[ENA_RUN]")
    assert sdrf.owners["A\u00e9"] == RunOwner("HG2", "Assay Name")
    assert sdrf.owners["HG2"] == RunOwner("HG2", "Source Name")
    assert not sdrf.ambiguous


def test_an_alias_of_two_people_belongs_to_nobody(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Source Name\tAssay Name\nHG1\tpool\nHG2\tpool\n", encoding="utf-8")
    sdrf = read_sdrf(str(path))
    assert sdrf.ambiguous == {"pool"}
    assert "pool" not in sdrf.owners


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no column 'Source Name'"),
        ("Source Name\tAssay Name\nHG1\n", "Row 2 has 1 values where the header has 2"),
    ],
)
def test_refused(text: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=what):
        read_sdrf(str(path))


def test_runs_of_geuvadis_belong_to_whom_the_eqtl_catalogue_says(shared_data: Path) -> None:
    sdrf = read_sdrf(str(shared_data / "metadata/E-GEUV-1.sdrf.txt"))
    assert len({owner.sample_id for owner in sdrf.owners.values()}) == 462
    with (shared_data / "expression/qtlmap/GEUVADIS_sample_metadata.tsv").open(encoding="utf-8") as file:
        expected = {row["sample_id"]: row["genotype_id"] for row in csv.DictReader(file, delimiter="\t")}
    assert len(expected) == 89
    assert {run: sdrf.owners[run].sample_id for run in expected} == expected


def test_a_hybridisation_of_hapmap3_is_named(shared_data: Path) -> None:
    sdrf = read_sdrf(str(shared_data / "metadata/E-MTAB-264.sdrf.txt"))
    assert len({owner.sample_id for owner in sdrf.owners.values()}) == 618
