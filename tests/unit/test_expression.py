"""Expression matrices: layouts by their header, every number exactly, every bad line with its place and its reason."""

from __future__ import annotations

import gzip
import math
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow.parquet as pq
import pysam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgp.errors import BuildError, FormatError, InputError, KgpError, OverlapError, UsageError
from kgp.genome import get_build
from kgp.io.expression import MatrixRecords, MatrixTask, Roots, Subject, read_layout, read_matrix, reader
from kgp.io.expression.numbers import MISSING
from kgp.io.places import Annotation, read_annotation
from kgp.io.splits import plan_splits
from kgp.transforms.expression import Facts, check_columns, guess_kind, name_quantification
from kgp.transforms.runs import ColumnRun, RunRecord

BED = "#chr\tstart\tend\tid\tHG1\tHG2"


@pytest.fixture(scope="module")
def matrices(root: Path) -> Path:
    """Small matrices in exactly the published layouts."""
    return root / "tests" / "data" / "expression" / "matrices"


def no_spark() -> NoReturn:
    raise AssertionError("a small matrix is read without Spark")


def write(path: Path, *lines: str, end: str = "\n") -> Path:
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


def make_task(path: Path, **given: Any) -> MatrixTask:
    layout = read_layout(str(path))
    out = path.parent / "out"
    subject = Subject(
        "D", "Q", given.pop("kind", "gene"), given.pop("unit", "rpkm"), given.pop("build", "GRCh37"), "l1"
    )
    return MatrixTask(
        layout=layout,
        subject=subject,
        run_ids=tuple(f"R{name}" for name in layout.runs),
        roots=Roots(str(out / "phenotypes"), str(out / "expression"), str(out / "quarantine")),
        **given,
    )


def load(path: Path, **given: Any) -> tuple[MatrixRecords, dict[str, dict[str, float | None]]]:
    """Read a matrix as the job does; gives the values by phenotype and run."""
    records = read_matrix(no_spark, make_task(path, **given))
    rows = read_rows(records.roots.expression, records.expression)
    values: dict[str, dict[str, float | None]] = {}
    for row in rows:
        values.setdefault(row["phenotype_id"], {})[row["run_id"].removeprefix("R")] = row["value"]
    assert len(rows) == sum(map(len, values.values()))
    return records, values


def read_rows(root: str, actions: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        row
        for action in actions
        for row in pq.read_table(f"{root}/{action.path}", partitioning=None).to_pylist()
    ]


def phenotypes(records: MatrixRecords) -> dict[str, dict[str, Any]]:
    return {row["phenotype_id"]: row for row in read_rows(records.roots.phenotypes, records.phenotypes)}


def files_below(path: Path) -> list[Path]:
    return [file for file in (path.parent / "out").rglob("*") if file.is_file()]


def annotation(matrices: Path, kind: str = "gene") -> Annotation:
    return read_annotation(str(matrices / "places.tsv"), kind=kind, build=get_build("GRCh37"))


# -------------------------------------------------------------------------------------- the published layouts


@pytest.mark.parametrize(
    ("name", "form", "runs", "has_places"),
    [
        ("GD462.GeneQuantRPKM.50FN.samplename.resk10.txt", "geuvadis", "HG00096 HG00101 NA12878", True),
        ("GD660.TrQuantCount.txt", "table", "HG00096 HG00101 NA12878", False),
        ("GD462.ExonQuantCount.45N.50FN.samplename.resk10.txt", "geuvadis", "HG00096 HG00101 NA12878", True),
        (
            "GD452.MirnaQuantCount.1.2N.50FN.samplename.resk10.txt",
            "geuvadis",
            "HG00096 HG00101 NA12878",
            True,
        ),
        ("CHB_p3_expression.txt", "mage-tab", "NA18524 NA18526", False),
        ("GSE19480_series_matrix.txt", "series matrix", "GSM900001 GSM900003", False),
        ("expression.counts.csv", "table", "NA12878 NA12546 HG00183", False),
        ("genes.bed", "bed", "HG00096 HG00101 NA12878", True),
        ("write_table.txt", "table", "HG00096 HG00101 NA12878", False),
    ],
)
def test_layouts_by_their_header(name: str, form: str, runs: str, has_places: bool, matrices: Path) -> None:
    layout = read_layout(str(matrices / name))
    assert (layout.form, layout.runs, layout.has_places) == (form, tuple(runs.split()), has_places)
    text = (matrices / name).read_text(encoding="utf-8").split("\n")
    assert layout.header.split("\n") == text[: layout.n_header_lines]


def test_geuvadis_genes_state_their_tss(matrices: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "g", (matrices / "GD462.GeneQuantRPKM.50FN.samplename.resk10.txt").read_text())
    records, values = load(path)
    assert values["ENSG00000183696.9"] == {
        "HG00096": 8.183805231,
        "HG00101": 5.686911011,
        "NA12878": -0.03482109,
    }
    row = phenotypes(records)["ENSG00000152931.7"]
    assert (row["contig"], row["start"], row["end"], row["tss"]) == ("5", 59783539, 59783540, 59783540)
    assert (row["gene_id"], row["gene_version"], row["gene_name"], row["group_id"]) == (
        "ENSG00000152931",
        7,
        None,
        None,
    )
    assert records.warnings == {"blank line": 1, "value below 0": 1}
    assert records.n_records == 3


def test_exons_have_the_place_in_their_id_and_the_tss_of_their_gene(matrices: Path, tmp_path: Path) -> None:
    name = "GD462.ExonQuantCount.45N.50FN.samplename.resk10.txt"
    path = write(tmp_path / "e", *(matrices / name).read_text().splitlines())
    row = phenotypes(load(path, kind="exon")[0])["ENSG00000227232.4_14970_15038"]
    assert (row["start"], row["end"], row["tss"]) == (14969, 15038, 29570)
    assert (row["gene_id"], row["gene_version"], row["group_id"]) == (
        "ENSG00000227232",
        4,
        "ENSG00000227232.4",
    )


def test_transcripts_are_placed_by_the_gene_in_their_line(matrices: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "t", *(matrices / "GD660.TrQuantCount.txt").read_text().splitlines())
    records, values = load(path, kind="transcript", annotation=annotation(matrices, "transcript"))
    assert values["ENST00000448235.2"] == {"HG00096": 101.0, "HG00101": 99.25, "NA12878": 0.0}
    row = phenotypes(records)["ENST00000448235.2"]
    assert (row["contig"], row["start"], row["tss"], row["strand"]) == ("19", 76222, 76223, "+")
    assert (row["gene_id"], row["gene_version"], row["group_id"]) == (
        "ENSG00000233630",
        2,
        "ENSG00000233630.2",
    )


def test_mirnas_keep_their_own_names(matrices: Path, tmp_path: Path) -> None:
    name = "GD452.MirnaQuantCount.1.2N.50FN.samplename.resk10.txt"
    path = write(tmp_path / "m", *(matrices / name).read_text().splitlines())
    row = phenotypes(load(path, kind="mirna")[0])["hsa-let-7a-5p"]
    assert (row["contig"], row["tss"], row["gene_name"], row["gene_id"]) == (
        "9",
        96938239,
        "hsa-let-7a-5p",
        None,
    )


def test_arrays_have_two_header_lines(matrices: Path, tmp_path: Path) -> None:
    lines = (matrices / "CHB_p3_expression.txt").read_text().splitlines()
    path = write(tmp_path / "a", *lines, end="\r\n")
    records, values = load(path, kind="probe", annotation=annotation(matrices, "probe"))
    assert values["ILMN_1762337"] == {"NA18524": 6.215487, "NA18526": 6.180251}
    assert records.n_records == len(lines) - 2


def test_series_matrix_is_a_table_between_two_lines(matrices: Path, tmp_path: Path) -> None:
    lines = (matrices / "GSE19480_series_matrix.txt").read_text().splitlines()
    path = write(tmp_path / "s", *lines)
    records, values = load(path, annotation=annotation(matrices), allows_missing=True)
    assert values == {
        "ENSG00000000003": {"GSM900001": 0.25, "GSM900003": 1.5},
        "ENSG00000000419": {"GSM900001": None, "GSM900003": 44.125},
    }
    assert (records.n_records, records.warnings) == (2, {"missing value": 1})
    cut = write(tmp_path / "cut", *lines[:-1])
    with pytest.raises(FormatError, match="series_matrix_table_end is missing: it is cut off"):
        load(cut, annotation=annotation(matrices), allows_missing=True)
    assert files_below(cut) == files_below(path)
    without = write(tmp_path / "none", *lines[:5])
    with pytest.raises(FormatError, match="series matrix without a table"):
        read_layout(str(without))


def test_commas_quotes_and_blanks(matrices: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "c", *(matrices / "expression.counts.csv").read_text().splitlines())
    assert load(path, annotation=annotation(matrices))[1]["ENSG00000241860.7"]["HG00183"] == 2750.0
    text = (matrices / "write_table.txt").read_text()
    path = write(tmp_path / "r", *text.splitlines())
    records, values = load(path, annotation=annotation(matrices))
    assert values["ENSG00000130538.4"] == {"HG00096": 12.0, "HG00101": 13.0, "NA12878": 1e-05}
    assert records.warnings == {"header one cell shorter than the lines": 1}
    ragged = tmp_path / "b"
    ragged.write_text(text + "  ")
    assert load(ragged, annotation=annotation(matrices), refuses_bad=False)[0].n_bad == {
        "another number of values": 1
    }
    wide = write(tmp_path / "w", *(line.replace(" ", "   ") + "  " for line in text.splitlines()))
    assert load(wide, annotation=annotation(matrices))[1] == values


def test_tss_of_a_body_depends_on_its_strand(matrices: Path, tmp_path: Path) -> None:
    path = write(
        tmp_path / "b", *(matrices / "genes.bed").read_text().splitlines(), "22\t9\t19\tA\t.\t+\t1\t2\t3"
    )
    rows = phenotypes(load(path)[0])
    assert [rows[id]["tss"] for id in ("ENSG00000215270.3", "ENSG00000130538.4", "A")] == [
        16122720,
        17095000,
        10,
    ]
    assert [rows[id]["gene_id"] for id in ("ENSG00000130538.4", "A")] == ["ENSG00000130538", None]


def test_an_annotation_counts_before_the_matrix(matrices: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "b", BED, "1\t9\t10\tENSG00000130538\t1\t2")
    row = phenotypes(load(path, annotation=annotation(matrices))[0])["ENSG00000130538"]
    assert (row["contig"], row["tss"], row["strand"]) == ("22", 17095000, "-")


@pytest.mark.parametrize(
    ("header", "runs"),
    [
        ("#chr start end id HG1 HG2".replace(" ", "\t"), 2),
        ("\ufeff#Chr\tstart\tend\tTargetID\tHG1\tHG2", 2),
        ("# made by x\n\n#chr\tstart\tend\tgid\tpid\tstrand\tHG1", 1),
        ("#chr\tstart\tend\tgene\tlength\tstrand\tHG1\t\t", 1),
    ],
)
def test_headers_that_are_read(header: str, runs: int, tmp_path: Path) -> None:
    leading = ["1", "9", "10", "A"] if runs == 2 else ["1", "9", "10", "A", "B", "+"]
    layout = read_layout(str(write(tmp_path / "a", header, "\t".join([*leading, *["1"] * runs]))))
    assert (layout.form, len(layout.runs)) == ("bed", runs)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a\tb\tc\n1\t2\t3\n", "begins with 'a', 'b', 'c'; no column names the phenotype"),
        (f"{BED}\tHG1\n1\t9\t10\tA\t1\t2\t3\n", "Run HG1 stands in two columns, 5 and 7"),
        ("#chr\tstart\tend\tid\n1\t2\t3\tA\n", "No column of it is a run"),
        (f"{BED}\t\tHG3\n1\t9\t10\tA\t1\t2\t3\t4\n", r"column 7: The column has no heading"),
        (f"{BED}\n", "a header and no line below it"),
        ("", "It has no header"),
        ("# nothing\n", "It has no header"),
        ("<!DOCTYPE html>\n<html><head>\n<title>404 Not Found</title>\n", "is a web page"),
        ("\n  <HTML lang='en'>\n<p>503 Service Unavailable</p>\n", "is a web page"),
        ("<?xml version='1.0'?>\n<Error><Code>AccessDenied</Code></Error>\n", "is a web page"),
        ("id\tHG1\rA\t1\r", "end in a carriage return alone"),
        ("id\tHG\udcff\n", "It is no text"),
        ("Normalization REF\tHG1\nILMN_1\t2\n", "second header line of a MAGE-TAB data matrix begins with 'ILMN_1'"),
        ("Scan REF\tA\tA\nReporter REF\tsignal\tp\nx\t1\t2\n", "several values a run: p, signal"),
    ],
)  # fmt: skip
def test_headers_that_are_refused(text: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(FormatError, match=what) as caught:
        read_layout(str(path))
    assert str(path) in str(caught.value)
    assert caught.value.mend


def test_an_archive_is_no_matrix(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "processed.zip", "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(FormatError, match=r"ZIP archive\. Unpack it"):
        read_layout(str(tmp_path / "processed.zip"))


# ------------------------------------------------------------------------------------------------ the numbers

numbers = st.floats(allow_nan=False, allow_infinity=False)
forms = st.sampled_from([repr, "{:.10g}".format, "{:+.3e}".format, " {:g} ".format])


@settings(deadline=None)
@given(
    rows=st.lists(st.lists(st.tuples(numbers, forms), min_size=3, max_size=3), min_size=1, max_size=8),
    quote=st.booleans(),
    mark=st.sampled_from("\t,"),
)
def test_numbers_are_what_python_makes_of_their_text(
    rows: list[list[tuple[float, Callable[[float], str]]]],
    quote: bool,
    mark: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    texts = [[form(number) for number, form in row] for row in rows]
    path = tmp_path_factory.mktemp("m") / "a.txt"
    cells = [["TargetID", "Chr", "Coord", "a", "b", "c"]]
    cells += [[f"G{index}", "1", "5", *row] for index, row in enumerate(texts)]
    around = '"{}"' if quote else "{}"
    write(path, *(mark.join(around.format(cell) for cell in line) for line in cells))
    if any(math.isinf(float(text)) for row in texts for text in row):  # .3e rounds the greatest numbers up
        with pytest.raises(FormatError, match="is not finite"):
            load(path)
        return
    _, values = load(path)
    assert values == {
        f"G{index}": dict(zip("abc", map(float, row), strict=True)) for index, row in enumerate(texts)
    }


@pytest.mark.parametrize("text", [*MISSING, " NA ", "  "])
def test_missing_values_are_refused_or_null(text: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a", BED, "1\t9\t10\tA\t1\t2", f"1\t19\t20\tB\t{text}\t4")
    with pytest.raises(FormatError, match=r"line 3: Column 5 \(HG1\): .* is no value\. Use --missing allow"):
        load(path)
    assert not files_below(path)
    records, values = load(path, allows_missing=True)
    assert values["B"] == {"HG1": None, "HG2": 4.0}
    assert records.warnings == {"missing value": 1}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("1\t9\t10\tX\t1", "1 values where the header has 2 runs"),
        ("1\t9\t10\tX\t1\t2\t3", "3 values where the header has 2 runs"),
        ("1\t9", "2 cells and no value where the header has 2 runs"),
        ("1\t9\t10\tX\t1\tabc", r"Column 6 \(HG2\): 'abc' is no number"),
        ("1\t9\t10\tX\t1_0\t2", r"Column 5 \(HG1\): '1_0' is no number"),
        ("1\t9\t10\tX\t1,5\t2", r"Column 5 \(HG1\): '1,5' is no number"),
        ("1\t9\t10\tX\t0x10\t2", r"Column 5 \(HG1\): '0x10' is no number"),
        ("1\t9\t10\tX\tinf\t2", r"Column 5 \(HG1\): 'inf' is not finite"),
        ("1\t9\t10\tX\t-Inf\tInf", r"Column 5 \(HG1\): '-Inf' is not finite, and 1 more in the line"),
        ("1\t9\t10\tX\t1\t1e999", r"Column 6 \(HG2\): '1e999' is not finite"),
        ("1\t9\t10\t\t1\t2", "It names no phenotype"),
        ("1\tx\t10\tX\t1\t2", "X: its start 'x' is no whole number of bases"),
        ("1\t1e5\t10\tX\t1\t2", "X: its start '1e5' is no whole number of bases"),
        ("1\t10\t9\tX\t1\t2", "X: 10-9 is no interval"),
        ("1\t10\t9\tensg7.x\t1\t2", r"line 4: ensg7\.x: 10-9 is no interval"),
        ("\t9\t10\tX\t1\t2", "X: no contig"),
        ('1\t9\t10\t"X\t1\t2', "A quote is not closed"),
        ("1\t9\t10\tX\t1\r\t2", "A carriage return within the line"),
        ("1\t9\t10\tX\udce9\t1\t2", "'X\ufffd' is not UTF-8"),
    ],
)  # fmt: skip
def test_a_bad_line_is_refused_or_kept_apart(line: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "a.bed"
    raw = line.encode(errors="surrogateescape")
    path.write_bytes(
        b"\n".join([BED.encode(), b"1\t9\t10\tA\t1\t2", b"", raw, b"1\t9\t10\tB\t3\t4", b"1\t9"])
    )
    with pytest.raises(FormatError, match=what) as caught:
        load(path)
    assert caught.value.where == f"{path}, line 4"
    assert "2 lines can't be loaded" in caught.value.what
    assert "--bad-lines quarantine" in str(caught.value.mend)
    assert not files_below(path)

    records, values = load(path, refuses_bad=False)
    assert values == {"A": {"HG1": 1.0, "HG2": 2.0}, "B": {"HG1": 3.0, "HG2": 4.0}}
    assert (records.n_records, sum(records.n_bad.values())) == (4, 2)
    text = path.read_bytes()
    for row in read_rows(records.roots.quarantine, records.quarantined):
        assert text[row["offset"] : row["offset"] + len(row["line"])] == row["line"]
        assert row["path"] == str(path)
    assert [one.index for one in records.first_bad] == [4, 6]


PLACE_COLUMNS = ("contig", "start", "end", "tss", "source_contig", "strand")


def test_phenotypes_that_the_annotation_does_not_have_are_kept_without_a_place(
    matrices: Path, tmp_path: Path
) -> None:
    lines = ["gene_id\tHG1", "X1\t1", "ENSG00000130538.4\t2", "", "ENSG00000000001.9\t3"]
    path = write(tmp_path / "a.tsv", *lines)
    records, values = load(path, annotation=annotation(matrices))
    assert values == {
        "X1": {"HG1": 1.0},
        "ENSG00000130538.4": {"HG1": 2.0},
        "ENSG00000000001.9": {"HG1": 3.0},
    }
    assert (records.n_records, records.n_bad) == (3, {})
    assert records.warnings == {"blank line": 1, "no place in the annotation": 2}
    assert records.n_unplaced == {"not in the annotation": 2}
    assert records.first_unplaced == ["X1", "ENSG00000000001.9"]
    rows = phenotypes(records)
    assert list(rows) == ["ENSG00000130538.4", "ENSG00000000001.9", "X1"]
    for name in ("X1", "ENSG00000000001.9"):
        assert [rows[name][column] for column in PLACE_COLUMNS] == [None] * len(PLACE_COLUMNS)
    genes = {name: (row["gene_id"], row["gene_version"]) for name, row in rows.items()}
    assert genes == {
        "X1": (None, None), "ENSG00000130538.4": ("ENSG00000130538", 4), "ENSG00000000001.9": ("ENSG00000000001", 9),
    }  # fmt: skip
    assert (rows["ENSG00000130538.4"]["contig"], rows["ENSG00000130538.4"]["tss"]) == ("22", 17095000)


def test_phenotypes_without_a_place_are_refused_where_none_may_be(matrices: Path, tmp_path: Path) -> None:
    ids = ["ENSG00000130538.4", *(f"X{number}" for number in range(1, 8))]
    path = write(tmp_path / "a.tsv", "gene_id\tHG1", *(f"{id}\t1" for id in ids))
    for refuses_bad in (True, False):
        with pytest.raises(FormatError) as caught:
            load(path, annotation=annotation(matrices), refuses_unplaced=True, refuses_bad=refuses_bad)
        assert str(caught.value) == (
            f"{path}, line 3: 7 phenotypes have no place in the annotation: X1, X2, X3, X4, X5 … (X1: not in the "
            "annotation). Give the annotation that the values were made with, or use --unplaced keep to load their "
            "values without a place."
        )
    assert not files_below(path)
    placed = write(tmp_path / "b.tsv", "gene_id\tHG1", "ENSG00000130538.4\t1")
    assert load(placed, annotation=annotation(matrices), refuses_unplaced=True)[0].n_unplaced == {}


@pytest.mark.parametrize("refuses_unplaced", [True, False])
def test_an_annotation_of_other_phenotypes_is_refused(
    refuses_unplaced: bool, matrices: Path, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.tsv", "TargetID\tGene_Symbol\tHG1", "T1\tENSG00000000001.1\t1", "T2\tx\t2")
    with pytest.raises(OverlapError) as caught:
        load(
            path,
            kind="transcript",
            annotation=annotation(matrices, "transcript"),
            refuses_unplaced=refuses_unplaced,
        )
    assert str(caught.value) == (
        f"{path}, line 2: None of its 2 phenotypes has a place in the annotation places.tsv: the first is T1 of "
        "ENSG00000000001.1, the first place of the annotation is that of ENSG00000215270.3. Give the annotation that "
        "the values were made with; they are taken for transcripts, --kind says what else they are."
    )
    assert not files_below(path)


def test_why_a_phenotype_has_no_place(tmp_path: Path) -> None:
    """An exon of a gene with two places, one outside of its gene, and one that nobody knows."""
    bed = write(
        tmp_path / "genes.bed",
        "22\t99\t200\tENSG00000000001.1",
        "22\t99\t200\tENSG00000000002.1",
        "22\t500\t600\tENSG00000000002.1",
    )
    lines = ["ENSG00000000001.1_120_130", "ENSG00000000001.1_900_950", "ENSG00000000002.1_120_130", "X"]
    path = write(tmp_path / "a.tsv", "exon_id\tHG1", *(f"{id}\t1" for id in lines))
    genes = read_annotation(str(bed), kind="exon", build=get_build("GRCh37"))
    records, _ = load(path, kind="exon", annotation=genes)
    assert records.n_unplaced == {
        "exon outside of its gene": 1, "several places in the annotation": 1, "not in the annotation": 1,
    }  # fmt: skip
    rows = phenotypes(records)
    assert (rows[lines[0]]["start"], rows[lines[0]]["end"]) == (119, 130)
    for id in lines[1:3]:
        gene = id.split("_")[0]
        assert (rows[id]["gene_id"], rows[id]["gene_version"], rows[id]["group_id"]) == (gene[:-2], 1, gene)
        assert rows[id]["contig"] is None


def test_a_damaged_place_is_a_bad_line_even_where_places_may_be_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bed", BED, "1\t9\t10\tA\t1\t2", "1\tx\t10\tX\t1\t2")
    with pytest.raises(FormatError, match="X: its start 'x' is no whole number of bases"):
        load(path)
    records, values = load(path, refuses_bad=False)
    assert (list(values), records.n_bad, records.n_unplaced) == (["A"], {"place is no interval": 1}, {})


def test_values_below_0_are_no_counts(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bed", BED, "1\t9\t10\tA\t1\t2", "1\t9\t10\tB\t0\t-0.25")
    with pytest.raises(
        UsageError, match=r"line 3, column 6 \(HG2\): The value -0.25 is below 0: that is no count.*log2_cqn"
    ):
        load(path, unit="count", allows_negative=False)
    assert not files_below(path)
    assert load(path)[1]["B"]["HG2"] == -0.25
    assert not Facts("gene", "count", "none", "GRCh37", "matrix").allows_negative
    assert Facts("gene", "rpkm", "peer10_residuals", "GRCh37", "matrix").allows_negative
    assert Facts("gene", "log2_cqn", "unknown", "GRCh37", "matrix").allows_negative


def test_a_phenotype_has_one_line(tmp_path: Path) -> None:
    lines = ["1\t9\t10\tA\t1\t2", "1\t9\t10\tB\t1\t2", "", "1\t9\t10\tA\t3\t4", "1\t9\t10\tB\t1\t2"]
    path = write(tmp_path / "a.bed", BED, *lines)
    what = "Phenotype A has 2 lines, 2 and 5. 2 phenotypes have more than one line"
    with pytest.raises(FormatError, match=what):
        load(path)
    with pytest.raises(FormatError, match=what):
        load(path, refuses_bad=False)
    assert not files_below(path)


def test_another_build_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bed", BED, "22\t51304566\t51304567\tA\t1\t2")
    with pytest.raises(BuildError, match="beyond the 51,304,566 bases that the contig has in GRCh37"):
        load(path)
    assert not files_below(path)


GAPDH_OF_38 = "12\t6534404\t6534405\tENSG00000111640.14\t1\t2"


def test_places_of_a_matrix_show_their_build(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bed", BED, "1\t9\t10\tA\t1\t2", GAPDH_OF_38)
    with pytest.raises(
        BuildError, match=r"ENSG00000111640 \(GAPDH\) begins at 12:6,534,405.* in GRCh38, not in"
    ) as e:
        load(path)
    assert str(path) in str(e.value)
    assert not files_below(path)
    assert load(path, build="GRCh38")[0].n_records == 2


def test_a_cell_is_shown_with_what_is_not_seen(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bed", BED, "1\t9\t10\tA\t1\t2", "1\t9\t10\tB\t1\t2\0\u200b5")
    with pytest.raises(FormatError, match=r"line 3: Column 6 \(HG2\): '2\\x00\\u200b5' is no number"):
        load(path)


def test_nothing_that_can_be_loaded(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bed", BED, "22\t9\t10\tA\tx\t2")
    with pytest.raises(
        InputError, match=r"No line of it can be loaded. The first, line 2: column 5 \(HG1\): 'x' is no"
    ):
        load(path, refuses_bad=False)
    assert not files_below(path)


def test_a_contig_that_the_build_does_not_know_is_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bed", BED, "HSCHR6_MHC\t9\t10\tA\t1\t2", "chr22\t9\t10\tB\t1\t2")
    records, _ = load(path)
    assert {row["contig"] for row in phenotypes(records).values()} == {"HSCHR6_MHC", "22"}
    assert records.warnings == {"contig unknown to the build": 1}


DAMAGE = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.binary(max_size=3) | st.sampled_from([b"\t", b"\n", b'"', b"\r", b"\0", b"inf"]),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(["genes.bed", "write_table.txt", "expression.counts.csv"]), damage=DAMAGE)
def test_damage_loses_no_line(
    name: str, damage: list[tuple[int, bytes]], matrices: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = (matrices / name).read_bytes()
    for at, put in damage:
        data = data[: at % len(data)] + put + data[at % len(data) + 1 :]
    path = tmp_path_factory.mktemp("m") / name
    path.write_bytes(data)
    given = {} if name == "genes.bed" else {"annotation": annotation(matrices)}
    try:
        found: tuple[Any, Any] | str = load(path, refuses_bad=False, allows_missing=True, **given)
    except KgpError as problem:
        found = str(problem)
    if isinstance(found, str):
        assert str(path) in found
        assert not files_below(path)
        return
    records, values = found
    n_lines = sum(line not in (b"", b"\r") for line in data.split(b"\n")) - sum(
        line != "" for line in read_layout(str(path)).header.split("\n")
    )
    assert len(values) + sum(records.n_bad.values()) == records.n_records == n_lines


# --------------------------------------------------------------------------------- compressed, cut, in splits


def big_matrix(n: int, n_runs: int = 5) -> tuple[bytes, dict[str, list[float]]]:
    random = np.random.default_rng(1)
    values = {f"G{index}": random.normal(size=n_runs).round(6).tolist() for index in range(n)}
    header = "\t".join(["TargetID", "Chr", "Coord", *(f"r{run}" for run in range(n_runs))])
    lines = [
        f"{id}\t1\t{index + 1}\t" + "\t".join(map(repr, row))
        for index, (id, row) in enumerate(values.items())
    ]
    return "\n".join([header, *lines, ""]).encode(), values


@pytest.mark.parametrize("keep", [0.3, 0.999])
def test_a_truncated_gzip_leaves_nothing(keep: float, tmp_path: Path) -> None:
    data = gzip.compress(big_matrix(20_000)[0])
    path = tmp_path / "a.txt.gz"
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(FormatError, match=r"The gzip stream is cut off\. Fetch the file again") as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert not files_below(path)


def test_a_truncated_bgzf_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    with pysam.BGZFile(str(path), "wb", None) as file:
        file.write(big_matrix(20_000)[0])
    data = path.read_bytes()
    path.write_bytes(data[:-28])  # without the end marker
    with pytest.raises(FormatError, match="end marker of BGZF is missing: it is cut off"):
        load(path)
    path.write_bytes(data[: len(data) // 2] + data[-28:])
    with pytest.raises(FormatError, match="BGZF"):
        load(path)
    assert not files_below(path)


@pytest.mark.parametrize("n_splits", [1, 2, 7])
@pytest.mark.parametrize("form", ["text", "bgzf"])
def test_splits_give_every_line_once(
    n_splits: int, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, expected = big_matrix(20_000)
    bad = b"G7\t1\t8\tx\t0\t0\t0\t0\n"
    cut = text.index(b"G15000\t")
    text = text[:cut] + bad + text[cut:]
    path = tmp_path / "a.txt"
    if form == "text":
        path.write_bytes(text)
    else:
        with pysam.BGZFile(str(path), "wb", None) as file:
            file.write(text)
    splits = plan_splits(str(path), n=n_splits)
    assert len(splits) == n_splits
    monkeypatch.setattr(reader, "_run", lambda _, __, task: ([task(split) for split in splits], "tasks"))
    records, values = load(path, refuses_bad=False)
    assert {id: list(row.values()) for id, row in values.items()} == expected
    assert (records.n_records, records.n_bad) == (20_001, {"no number": 1})
    assert [one.index for one in records.first_bad] == [15_002]
    assert len(records.expression) == n_splits

    bed = write(tmp_path / "places.bed", *(f"1\t{n}\t{n + 1}\tG{n}" for n in range(20_000) if n != 15_000))
    given = {"annotation": read_annotation(str(bed), kind="gene", build=get_build("GRCh37"))}
    records, values = load(path, refuses_bad=False, **given)
    assert {id: list(row.values()) for id, row in values.items()} == expected
    assert (records.n_unplaced, records.first_unplaced) == ({"not in the annotation": 1}, ["G15000"])
    with pytest.raises(
        FormatError, match="line 15,003: 1 phenotypes have no place in the annotation: G15000"
    ):
        load(path, refuses_bad=False, refuses_unplaced=True, **given)


def test_files_of_a_chunk_are_in_the_tables_order(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.bed",
        "#chr\tstart\tend\tid\tb\ta",
        "2\t9\t10\tX\t1\t2",
        "1\t9\t10\tY\t3\t4",
        "1\t4\t5\tA\t5\t6",
    )
    records, _ = load(path)
    rows = read_rows(records.roots.expression, records.expression)
    assert [(row["phenotype_id"], row["run_id"], row["value"]) for row in rows] == [
        ("A", "Ra", 6.0), ("A", "Rb", 5.0), ("X", "Ra", 2.0), ("X", "Rb", 1.0), ("Y", "Ra", 4.0), ("Y", "Rb", 3.0),
    ]  # fmt: skip
    assert list(phenotypes(records)) == ["A", "Y", "X"]


# ---------------------------------------------------------------------------------------- names, kinds, columns


def test_kinds_by_their_ids() -> None:
    ids = [
        "ENSG00000100376.7",
        "ENST00000408577",
        "ENSE00001.1",
        "hsa-let-7a-5p",
        "ILMN_2055271",
        "200000_s_at",
        "TP53",
    ]
    assert [guess_kind(id) for id in ids] == ["gene", "transcript", "exon", "mirna", "probe", "probe", "gene"]


@pytest.mark.parametrize("name", ["my matrix.txt", ".txt", "a'b.tsv"])
def test_names_that_can_not_be_one(name: str) -> None:
    with pytest.raises(UsageError, match=r"can't be the name of a quantification\..*--quantification"):
        name_quantification(name)


def column(name: str, run: str | None = None, person: str | None = None) -> ColumnRun:
    if run is not None:
        return ColumnRun(name, run, person, None if person else "nobody")
    return ColumnRun(
        name, name, None, "no run list knows it", RunRecord(name, None, "matrix column", kind="matrix")
    )


@pytest.mark.parametrize(
    ("columns", "error", "what"),
    [
        (
            [column("HG1", "E1", "HG1"), column("E1", "E1", "HG1")],
            FormatError, r"Columns 5 \(HG1\) and 6 \(E1\) are one run, E1",
        ),
        ([column("E1", "E1")], OverlapError, "No column belongs to a person: the first, E1: nobody"),
        (
            [column("E1", "E1", "HG1"), column("X"), column("Y")],
            FormatError, r"do not know 2 of its 3 columns: 6 \(X\), 7 \(Y\).*--unknown-runs keep",
        ),
    ],
)  # fmt: skip
def test_columns_that_are_refused(columns: list[ColumnRun], error: type[KgpError], what: str) -> None:
    given = {"first_number": 5, "path": "a.bed", "dataset": "D"}
    with pytest.raises(error, match=what):
        check_columns(columns, has_lists=True, keeps_unknown=False, **given)  # type: ignore[arg-type]


def test_columns_that_are_kept() -> None:
    columns = [column("E1", "E1", "HG1"), column("X")]
    for has_lists, keeps_unknown in ((False, False), (True, True)):
        check_columns(
            columns, first_number=2, has_lists=has_lists, keeps_unknown=keeps_unknown, path="a", dataset="D"
        )


def test_a_bad_first_line_is_no_other_layout(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bed", BED, "1\t9\t10\tX\t1\t2\t3", "1\t9\t10\tA\t1\t2")
    assert read_layout(str(path)).has_places
    with pytest.raises(FormatError, match="line 2: 3 values where the header has 2 runs"):
        load(path)
