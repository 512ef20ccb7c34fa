"""Expression matrices: layouts by their header, lines to records, bad lines with a reason."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgp.errors import FormatError
from kgp.io.expression import LineParser, Place, read_annotation, read_layout
from kgp.io.splits import plan_splits, read_chunks
from kgp.transforms.expression import name_runs


def _parse(path: Path, places: dict[str, Place] | None = None) -> list[dict[str, object]]:
    parser = LineParser(read_layout(str(path)), places)
    (split,) = plan_splits(str(path), n=1)
    return [
        row
        for number, chunk in enumerate(read_chunks(split))
        for row in parser.parse(chunk, is_first=number == 0).to_pylist()
    ]


def _write(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def test_qtltools_bed(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "a.bed",
        "#chr\tstart\tend\tpid\tgid\tstrand\tHG1\tHG2",
        "chr22\t99\t100\tT1\tG1\t-\t1.5\tNA",
    )
    layout = read_layout(str(path))
    assert (layout.kind, layout.runs) == ("bed", ("HG1", "HG2"))
    (row,) = _parse(path)
    assert row["phenotype_id"] == "T1"
    assert row["group_id"] == "G1"
    assert (row["source_contig"], row["start"], row["end"], row["tss"], row["strand"]) == (
        "chr22",
        99,
        100,
        100,
        "-",
    )
    assert row["values"] == [1.5, None]


def test_tss_of_a_whole_gene_depends_on_its_strand(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "a.bed",
        "#chr\tstart\tend\tpid\tgid\tstrand\tHG1",
        "1\t100\t200\tA\t.\t+\t1",
        "1\t100\t200\tB\t.\t-\t1",
    )
    assert [row["tss"] for row in _parse(path)] == [101, 200]


def test_fastqtl_bed_has_four_leading_columns(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.bed", "#Chr\tstart\tend\tID\tHG1", "1\t9\t10\tA\t2")
    assert read_layout(str(path)).runs == ("HG1",)
    assert _parse(path)[0]["values"] == [2.0]


def test_geuvadis_matrix_states_the_tss(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "a.txt", "TargetID\tGene_Symbol\tChr\tCoord\tHG1", "ENSG01.1\tNAME\t22\t1000\t0.5"
    )
    assert read_layout(str(path)).kind == "geuvadis"
    (row,) = _parse(path)
    assert (row["start"], row["end"], row["tss"], row["gene_name"]) == (999, 1000, 1000, "NAME")


def test_bare_table_takes_places_from_the_annotation(tmp_path: Path) -> None:
    matrix = _write(tmp_path / "a.tsv", "phenotype_id\tERR1", "G1\t3", "G2\t4")
    notes = _write(
        tmp_path / "b.tsv",
        "phenotype_id\tgroup_id\tgene_id\tchromosome\tphenotype_pos\tstrand",
        "G1\tG1\tG1\t17\t500\t-1",
    )
    assert not read_layout(str(matrix)).has_places
    good, bad = _parse(matrix, read_annotation(str(notes)))
    assert (good["source_contig"], good["start"], good["tss"], good["strand"]) == ("17", 499, 500, "-")
    assert bad["reason"] == "G2 has no place in the annotation"
    assert bad["line"] == b"G2\t4"


def test_bad_lines_keep_their_place_and_reason(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "a.bed",
        "#chr\tstart\tend\tid\tHG1\tHG2",
        "1\t9\t10\tA\t1\t2",
        "1\t9\t10\tB\t1",
        "1\tx\t10\tC\t1\t2",
        "1\t9\t10\tD\tx\t2",
        "1\t10\t9\tE\t1\t2",
        "1\t9\t10\tF\tinf\t2",
        "",
    )
    rows = _parse(path)
    text = path.read_bytes()
    assert [bool(r["reason"]) for r in rows] == [False, True, True, True, True, True, True]
    for row in rows[1:]:
        line, offset = row["line"], row["offset"]
        assert isinstance(line, bytes)
        assert isinstance(offset, int)
        assert text[offset : offset + len(line)] == line
        assert row["values"] is None
    assert rows[1]["reason"] == "1 values where the header has 2 runs"


@given(
    values=st.lists(
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3),
        min_size=1,
        max_size=8,
    )
)
def test_values_come_back_exactly(
    values: list[list[float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("m") / "a.bed.gz"
    lines = ["#chr\tstart\tend\tid\ta\tb\tc"]
    lines += [f"1\t{i}\t{i + 1}\tG{i}\t" + "\t".join(map(repr, row)) for i, row in enumerate(values)]
    with gzip.open(path, "wt") as file:
        file.write("\n".join(lines))
    np.testing.assert_array_equal(np.array([r["values"] for r in _parse(path)], float), np.array(values))


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ("a\tb\tc", "no column names the phenotype"),
        ("#chr\tstart\tend\tid\tHG1\tHG1", "Run HG1 stands in two columns"),
        ("#chr\tstart\tend\tid", "There is a column without a run"),
    ],
)
def test_headers_that_are_refused(header: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=what):
        read_layout(str(_write(tmp_path / "a", header, "1\t2\t3")))


def test_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="empty"):
        read_layout(str(_write(tmp_path / "a")))


def test_runs_are_never_guessed() -> None:
    owners = {"ERR1": ("HG1", "SDRF Comment[ENA_RUN]")}
    assert name_runs(["ERR1", "HG2"], owners=owners, people=frozenset({"HG1", "HG2"})) == [
        {"run_id": "ERR1", "sample_id": "HG1", "evidence": "SDRF Comment[ENA_RUN]"},
        {"run_id": "HG2", "sample_id": None, "evidence": "the SDRF does not name it"},
    ]
