"""GEO: SOFT and series matrix in their published layouts; GEOparse as the independent reader of SOFT."""

from __future__ import annotations

import gzip
from pathlib import Path

import GEOparse
import pytest

from kgp.errors import FormatError
from kgp.io.geo import GeoSeries, read_series_matrix, read_soft


@pytest.fixture(scope="session")
def geo(root: Path) -> Path:
    return root / "tests" / "data" / "expression" / "geo"


def write(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "a.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_soft_as_geoparse_reads_it(geo: Path) -> None:
    series = read_soft(str(geo / "GSE19480_family.soft"))
    expected = GEOparse.get_GEO(filepath=str(geo / "GSE19480_family.soft"), silent=True)
    assert series.accession == expected.name == "GSE19480"
    assert [sample.accession for sample in series.samples] == list(expected.gsms)
    for sample in series.samples:
        told = expected.gsms[sample.accession].metadata
        assert {name: list(values) for name, values in sample.attributes.items()} == told
    # Two values of the third sample and the header of its table.
    assert series.n_values == 1 + len(expected.gsms["GSM900003"].table)


def test_soft_and_series_matrix_say_the_same(geo: Path, tmp_path: Path) -> None:
    soft = read_soft(str(geo / "GSE19480_family.soft"))
    packed = write(tmp_path, gzip.compress((geo / "GSE19480_series_matrix.txt").read_bytes()))
    matrix = read_series_matrix(packed)

    def facts(series: GeoSeries) -> list[tuple[object, ...]]:
        return [
            (s.accession, s.title, s.characteristics["cell line"], s.archive_accessions)
            for s in series.samples
        ]

    assert facts(soft) == facts(matrix)
    assert facts(matrix)[0] == ("GSM900001", "NA18486_yale", ("NA18486",), ("SRX900001", "SAMN00900001"))
    assert (matrix.accession, matrix.kind, soft.kind) == ("GSE19480", "geo_series_matrix", "geo_soft")
    assert matrix.columns == ("GSM900001", "GSM900002", "GSM900003")
    assert (matrix.n_values, soft.columns) == (0, ())


def test_characteristics_of_an_empty_cell_are_none(geo: Path) -> None:
    third = read_series_matrix(str(geo / "GSE19480_series_matrix.txt")).samples[2]
    assert third.characteristics == {"cell line": ("NA18498",)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("!Series_title\t\"x\"\n", r"It has no line !Sample_geo_accession\. Give a GEO series matrix\."),
        ('!Sample_geo_accession\t"G1"\t"G1"\n', r"line 1: Sample G1 is there a second time"),
        ('!Sample_geo_accession\t"G1"\t"G2"\n!Sample_title\t"a"\n', r"line 2: It has 1 values where the header has 2"),
        (
            '!Sample_geo_accession\t"G1"\n!series_matrix_table_begin\n"ID_REF"\t"G9"\n!series_matrix_table_end\n',
            r"Its table has other samples than its head: G1, G9",
        ),
    ],
    ids=["no-samples", "twice", "short-line", "other-columns"],
)  # fmt: skip
def test_bad_series_matrix(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message):
        read_series_matrix(write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("^SERIES = GSE1\n", r"It has no line \^SAMPLE\. Give a SOFT family file\."),
        ("^SAMPLE = G1\n^SAMPLE = G1\n", r"line 2: Sample G1 is there a second time"),
    ],
    ids=["no-samples", "twice"],
)
def test_bad_soft(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message):
        read_soft(write(tmp_path, text))
