"""Tables of covariates: every layout, both ways round, and one clear message for each bad input."""

from __future__ import annotations

import gzip
import math
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import kgp.io.covariates as module
from kgp.errors import FormatError, InputError
from kgp.io.covariates import CovariateFile, read_covariates
from kgp.jobs.eqtl_covariates import CovariateSet, find_unknown, gather_set
from kgp.jobs.eqtl_own import OwnCovariates
from kgp.transforms.join import SampleJoin

COLUMNS, ROWS = "people in columns", "people in rows"
SHARED = (
    ("geuvadis-eqtl-qtltools/genes.covariates.pc50.txt.gz", " ", 53, 358),
    ("expression/tensorqtl/GEUVADIS.445_samples.covariates.txt", "\t", 26, 445),
)


@pytest.fixture(scope="session")
def layouts(root: Path) -> Path:
    return root / "tests" / "data" / "expression" / "covariates"


def write(path: Path, text: str | bytes) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


# ------------------------------------------------------------------------------------------------ real files


@pytest.mark.parametrize(("name", "mark", "n_covariates", "n_people"), SHARED)
def test_the_real_files_are_whole(
    shared_data: Path, name: str, mark: str, n_covariates: int, n_people: int
) -> None:
    expected = pd.read_csv(shared_data / name, sep=mark, index_col=0, float_precision="round_trip")
    found = read_covariates(str(shared_data / name))
    assert found.orientation == COLUMNS
    assert found.covariate_ids == tuple(expected.index)
    assert found.sample_ids == tuple(expected.columns)
    assert (found.n_lines, len(found.sample_ids)) == expected.shape == (n_covariates, n_people)
    values = np.array(found.values, dtype=float)
    assert np.isfinite(values).all()
    assert values.size == {53: 18_974, 26: 11_570}[n_covariates]
    assert (values == expected.to_numpy(dtype=float)).all()
    assert found.warnings == {}


@pytest.mark.parametrize(("name", "mark", "n_covariates", "n_people"), SHARED)
def test_the_real_files_turned_round_are_the_same(
    shared_data: Path, tmp_path: Path, name: str, mark: str, n_covariates: int, n_people: int
) -> None:
    frame = pd.read_csv(shared_data / name, sep=mark, index_col=0, dtype=str).T
    frame.rename_axis("IID").to_csv(tmp_path / "turned.csv")
    found, turned = read_covariates(str(shared_data / name)), read_covariates(str(tmp_path / "turned.csv"))
    assert turned.orientation == ROWS
    assert turned.n_lines == n_people
    assert len(turned.covariate_ids) == n_covariates
    for what in ("covariate_ids", "sample_ids", "texts", "values"):
        assert getattr(turned, what) == getattr(found, what)


# --------------------------------------------------------------------------------------------------- layouts


def test_tensorqtl_with_missing_values(layouts: Path) -> None:
    found = read_covariates(str(layouts / "tensorqtl.txt"))
    assert found == CovariateFile(
        ("PC1", "PC2", "InferredCov1", "sex"),
        ("HG00096", "HG00097", "HG00099", "NA12878"),
        (
            ("-0.024", "-0.0243", "-0.0249", "NA"),
            ("1e-3", ".", "-0.0162", "0.5"),
            ("0.0127246007323265", "0.022105984389782", "nan", "-4.5E-02"),
            ("1", "2", "2", "2"),
        ),
        COLUMNS,
        (2, 3, 4, 5),
        4,
        {},
    )
    assert found.values == (
        (-0.024, -0.0243, -0.0249, None),
        (0.001, None, -0.0162, 0.5),
        (0.0127246007323265, 0.022105984389782, None, -0.045),
        (1.0, 2.0, 2.0, 2.0),
    )


def test_matrix_eqtl_with_windows_line_ends_and_no_last_one(layouts: Path) -> None:
    found = read_covariates(str(layouts / "matrixeqtl.txt"))
    assert (found.covariate_ids, found.n_lines) == (("gender", "age"), 2)
    assert found.values == ((0.0, 1.0, 1.0), (36.0, 40.0, 46.0))


def test_what_r_writes_has_quotes_and_a_header_one_cell_shorter(layouts: Path) -> None:
    found = read_covariates(str(layouts / "write_table.txt"))
    assert found.covariate_ids == ("age at death", "centre")
    assert found.sample_ids == ("HG00096", "HG00097", "HG00099")
    assert found.texts[1] == ("Geneva, UNIGE", "Uppsala", "Uppsala")
    assert found.values == ((71.0, 64.5, None), (None, None, None))


def test_plink_covariates_are_those_behind_the_ids(layouts: Path) -> None:
    found = read_covariates(str(layouts / "plink2.covar"))
    assert found.orientation == ROWS
    assert found.covariate_ids == ("SEX", "age", "batch")
    assert found.sample_ids == ("HG00096", "HG00097", "HG00099")
    assert found.texts == (("1", "2", "2"), ("71", "64.5", "NA"), ("A", "B", "NA"))
    assert found.warnings == {f"column {name} is not read": 1 for name in ("SID", "PAT", "MAT")}


def test_plink_eigenvectors(layouts: Path, tmp_path: Path) -> None:
    found = read_covariates(str(layouts / "plink2.eigenvec"))
    assert (found.orientation, found.covariate_ids, found.n_lines) == (ROWS, ("PC1", "PC2"), 3)
    assert found.values == ((-0.0158, -0.0153, -0.0156), (0.0243, -0.000017, 0.0239))
    # With families, and as PLINK 1.9 writes it with a header: no #, blanks.
    lines = (layouts / "plink2.eigenvec").read_text().replace("\t", " ").splitlines()
    families = ["FID IID PC1 PC2", *(f"{line.split()[0]} {line}" for line in lines[1:])]
    again = read_covariates(write(tmp_path / "b.eigenvec", "\n".join(families) + "\n"))
    assert (again.covariate_ids, again.sample_ids, again.values) == (
        found.covariate_ids,
        found.sample_ids,
        found.values,
    )


@pytest.mark.parametrize("first", ["id", "SampleID", "", "IID", "#id"])
def test_the_first_cell_is_what_it_likes(tmp_path: Path, first: str) -> None:
    found = read_covariates(write(tmp_path / "a.txt", f"{first}\tHG00096\tHG00097\nPC1\t1\t2\n"))
    assert (found.covariate_ids, found.sample_ids) == (("PC1",), ("HG00096", "HG00097"))


def test_people_are_those_whom_the_lake_knows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "id\tp1\tp2\tp3\nage\t1\t2\t3\n")
    with pytest.raises(FormatError, match="Nobody is known"):
        read_covariates(path)
    found = read_covariates(path, ["p2", "age2"])
    assert (found.orientation, found.sample_ids) == (COLUMNS, ("p1", "p2", "p3"))


def test_another_spelling_of_a_person_is_mended_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "id\tGM12878\tGEUV:HG00096\tHG00097\nage\t1\t2\t3\n")
    found = read_covariates(path, ["NA12878"])
    assert found.sample_ids == ("NA12878", "HG00096", "HG00097")
    assert list(found.warnings.values()) == [2]
    # Nobody is known as NA12878: the cell line is not taken for somebody.
    assert read_covariates(path).sample_ids == ("GM12878", "HG00096", "HG00097")


def test_stray_separators_latin_1_and_remarks_are_borne(tmp_path: Path) -> None:
    text = "## made by hand\n\nid\tHG00096\tHG00097\t\nâge\t1\t2\t\n\n".encode("latin-1")
    found = read_covariates(write(tmp_path / "a.txt", text))
    assert (found.covariate_ids, found.values, found.n_lines) == (("âge",), ((1.0, 2.0),), 1)
    assert found.warnings == {
        "stray separator in the header": 1,
        "stray separator at the end of a line": 1,
        "line is no UTF-8, read as Latin-1": 1,
    }


# -------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"a\.txt: The file is empty; a table of covariates is expected\. Give another"),
        ("id\tHG00096\n", r"a\.txt, line 1: It has no line below its header\. Give a table with a row"),
        ("id\nPC1\n", r"a\.txt, line 1: It has one column only"),
        ("id\tHG00096\nPC1\0\t1\n", r"a\.txt, line 2: It is no text"),
        ('id\tHG00096\n"PC1\t1\n', r"a\.txt, line 2: A quote is opened and not closed\. Mend the line"),
        (
            "id\tHG00096\tHG00097\nPC1\t1\t2\nPC2\t1\n",
            r"a\.txt, line 3 \(PC2\): It has 2 values where the header has 3: none is left for column HG00097\. Mend",
        ),
        (
            "id\tHG00096\nPC1\t1\t2\n",
            r"line 2 \(PC1\): It has 3 values where the header has 2: '2' is one too many",
        ),
        (
            "\tHG00096\nPC1\t1\t2\n",
            r"line 2 \(PC1\): It has 3 values where the header has 2: '2' is one too many",
        ),
        (
            "IID\tPC1\tPC2\nHG00096\t1\t2\nHG00097\t1\n",
            r"line 3 \(HG00097\): It has 2 values where the header has 3: none is left for column PC2",
        ),
        (
            "id\tHG00096\tHG00097\nPC1\t1\t2\nPC2\t1\tinf\n",
            r"a\.txt, line 3, column HG00097: 'inf' is no finite number: PC2 of HG00097\. Write NA where a value is",
        ),
        (
            "IID\tPC1\tPC2\nHG00096\t1\t-1e999\n",
            r"line 2, column PC2: '-1e999' is no finite number: PC2 of HG00096",
        ),
        (
            "FID IID PC1\n0 HG00096 Infinity\n",
            r"line 2, column PC1: 'Infinity' is no finite number: PC1 of HG00096",
        ),
        (
            "id\tHG00096\nPC1\t1\nPC2\t1\nPC1\t2\n",
            r"a\.txt, line 4: Covariate PC1 is there a second time, after line 2\. Leave one",
        ),
        (
            "id\tHG00096\tHG00097\tHG00096\nPC1\t1\t2\t3\n",
            r"a\.txt, line 1, column 4 of the header: Person HG00096 is there a second time, after column 2 of the",
        ),
        (
            "IID\tPC1\tPC1\nHG00096\t1\t2\n",
            r"a\.txt, line 1, column 3 of the header: Covariate PC1 is there a second time, after column 2",
        ),
        (
            "IID\tPC1\nHG00096\t1\nHG00096\t2\n",
            r"line 3: Person HG00096 is there a second time, after line 2",
        ),
        ("id\tHG00096\n\t1\n", r"line 2: Covariate 1 has no name\. Give it one"),
        ("IID\tPC1\nHG00096\t1\n\t2\n", r"a\.txt, line 3: Person 2 has no name\. Give it one"),
        (
            "IID\tPC1\t\tPC3\nHG00096\t1\t2\t3\n",
            r"a\.txt, line 1, column 3 of the header: Covariate 2 has no name",
        ),
        (
            "id\tHG00096\t\tHG00097\nPC1\t1\t2\t3\n",
            r"a\.txt, line 1, column 3 of the header: Person 2 has no name",
        ),
        (
            "#FID\tIID\tSID\n0\tHG00096\t0\n",
            r"a\.txt, line 1, column 4 of the header: It has no covariates\. Give a table",
        ),
        (
            "id\tA\tB\tC\tD\nPC1\t1\t2\t3\t4\n",
            r"a\.txt, line 1: Nobody is known, neither in its header \(A, B, C, …\) nor in its first column \(PC1\)\. "
            r"Load these people first \(kgp load samples\)",
        ),
        (
            "id\tHG00096\tHG00097\nHG00096\t1\t2\nHG00097\t1\t2\n",
            r"a\.txt, line 1: There are people on both sides: HG00096 in the header \(column 2\) and HG00096 in the "
            r"first column \(line 2\)\. Leave people on one side",
        ),
        (
            "id\tage\tHG00097\nsex\t1\t2\nHG00099\t1\t2\n",
            r"line 1: .* both sides: HG00097 in the header \(column 3\) and HG00099 in the first column \(line 3\)",
        ),
        (
            "PC1\t0.1\t-2e-3\tNA\t1\nPC2\t1\t2\t3\t4\n",
            r"a\.txt, line 1: It begins with values of PC1 \(0\.1, -2e-3, NA, …\): the header is missing\. Put a line "
            r"with names above it",
        ),
        (
            "## PLINK 1.9\nHG00096 HG00096 0.1 0.2\nHG00097 HG00097 0.3 0.4\n",
            r"a\.txt, line 2: It begins with HG00096, who is a person: the header is missing\. Put a line",
        ),
    ],
)
def test_bad_input_has_one_clear_message(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_covariates(write(tmp_path / "a.txt", text))


@pytest.mark.parametrize("orientation", [COLUMNS, ROWS])
def test_windows_ends_a_byte_order_mark_and_trailing_tabs_make_no_difference(
    tmp_path: Path, orientation: str
) -> None:
    people = "id\tHG00096\tHG00097\nPC1\t1\t\nPC2\tNaN\t-2.5\n"
    turned = "IID\tPC1\tPC2\nHG00096\t1\tNaN\nHG00097\t\t-2.5\n"
    text = people if orientation == COLUMNS else turned
    strange = "\ufeff" + text.replace("\n", "\t\t\r\n")
    plain = read_covariates(write(tmp_path / "a.txt", text))
    found = read_covariates(write(tmp_path / "b.txt", strange))
    assert (found.orientation, found.covariate_ids, found.sample_ids) == (
        orientation,
        ("PC1", "PC2"),
        ("HG00096", "HG00097"),
    )
    assert found.values == plain.values == ((1.0, None), (None, -2.5))
    assert (found.line_numbers, found.n_lines) == (plain.line_numbers, plain.n_lines) == ((2, 3), 2)
    assert set(found.warnings) == {"stray separator in the header", "stray separator at the end of a line"}


def gather(path: str) -> CovariateSet:
    own = OwnCovariates("a", Path(path).name, read_covariates(path))
    return gather_set(own.name, own.rows(), own=own)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("id\tHG00096\tHG00097\tHG00099\n\nPC1\t1\t2\t3\nage\t70\tover 80\t50\n", "line 4, column HG00097"),
        ("#FID\tIID\tage\n0\tHG00096\t70\n0\tHG00097\tover 80\n0\tHG00099\t5\n", "line 3, column age"),
    ],
    ids=["columns", "rows"],
)
def test_a_word_among_numbers_of_a_file_is_named_by_its_place(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(InputError) as refused:
        gather(write(tmp_path / "a.txt", text))
    assert str(refused.value) == (
        f"a.txt, {place}: Covariate age holds 2 numbers and 1 words, as 'over 80' of HG00097. "
        "Write NA where a number is missing, or words for all people, and load the file again."
    )


def test_missing_values_of_a_file_leave_their_people_out_by_name(tmp_path: Path) -> None:
    """NaN and an empty cell are no values: whoever has one is named with the covariate, and so is a stranger."""
    path = write(tmp_path / "a.txt", "id\tHG00096\tHG00097\tHG00099\nage\t70\tnan\t50\ncentre\tA\tB\t\n")
    joined = SampleJoin(
        sample_ids=("HG00096", "HG00097", "HG00099", "HG00100"),
        run_ids=("r1", "r2", "r3", "r4"),
        sample_indices=(0, 1, 2, 3),
        n_callset=4,
        without_genotypes=(),
        without_expression=(),
        dropped={},
    )
    assert find_unknown([gather(path)], joined) == {
        "HG00097": "covariate age not known",
        "HG00099": "covariate centre not known",
        "HG00100": "not in covariate set a",
    }


def test_a_file_that_is_cut_off_or_not_there(tmp_path: Path) -> None:
    whole = gzip.compress(b"id\tHG00096\nPC1\t1\n" * 50)
    with pytest.raises(FormatError, match=r"a\.txt\.gz"):
        read_covariates(write(tmp_path / "a.txt.gz", whole[:-12]))
    with pytest.raises(InputError, match="There is no such file"):
        read_covariates(str(tmp_path / "nowhere.txt"))


def test_a_matrix_of_expression_is_told_from_covariates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_CELLS", 5)
    path = write(tmp_path / "a.txt", "id\tHG00096\nPC1\t1\nPC2\t1\nPC3\t1\n")
    with pytest.raises(FormatError, match=r"line 4: It has more than 5 values.*kgp load expression"):
        read_covariates(path)


# ------------------------------------------------------------------------------------------------- properties

PEOPLE = st.lists(st.from_regex(r"(NA|HG)[0-9]{5}", fullmatch=True), min_size=1, max_size=6, unique=True)
IDS = st.lists(
    st.from_regex(r"c[A-Za-z0-9_./:;()=-]{0,12}", fullmatch=True), min_size=1, max_size=6, unique=True
)
CELLS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**18), 10**18).map(str),
    st.sampled_from(["NA", ".", "nan"]),
    st.from_regex(r"w[A-Za-z_-]{0,8}", fullmatch=True),
)


def expect_value(text: str) -> float | None:
    """What a generated cell means, by its first letter."""
    return None if text in ("NA", ".", "nan") or text[0] == "w" else float(text)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_written_is_read_either_way_round(data: st.DataObject) -> None:
    people, ids = data.draw(PEOPLE), data.draw(IDS)
    texts = [[data.draw(CELLS) for _ in people] for _ in ids]
    is_turned, has_short_header = data.draw(st.booleans()), data.draw(st.booleans())
    mark, end = data.draw(st.sampled_from("\t ,")), data.draw(st.sampled_from(["\n", "\r\n"]))
    quote = data.draw(st.sampled_from(["", '"']))
    columns, names, body = (
        (ids, people, [*map(list, zip(*texts, strict=True))]) if is_turned else (people, ids, texts)
    )
    header = [f"{quote}{c}{quote}" for c in columns]
    lines = [mark.join(header if has_short_header else [data.draw(st.sampled_from(["id", "IID"])), *header])]
    lines += [mark.join([f"{quote}{n}{quote}", *cells]) for n, cells in zip(names, body, strict=True)]
    text = (end.join(lines) + end * data.draw(st.booleans())).encode()
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "table"
        path.write_bytes(gzip.compress(text) if data.draw(st.booleans()) else text)
        found = read_covariates(str(path))
    assert found.orientation == (ROWS if is_turned else COLUMNS)
    assert (found.covariate_ids, found.sample_ids) == (tuple(ids), tuple(people))
    assert found.texts == tuple(map(tuple, texts))
    assert found.values == tuple(tuple(map(expect_value, row)) for row in texts)
    assert found.n_lines == len(names)


@settings(max_examples=300, deadline=None)
@example("id\tHG00096\n\t\nx\t1")
@given(st.text(alphabet='\t\n\r ",#.HG0196NAeinfx-', max_size=60).map(lambda text: f"id HG00096\n{text}"))
def test_any_text_is_read_whole_or_refused_with_its_place(text: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "table.txt"
        path.write_text(text, newline="")
        refused, found = None, None
        try:
            found = read_covariates(str(path))
        except FormatError as problem:
            refused = problem
    if found is None:
        assert refused is not None
        assert "table.txt" in str(refused.where)
        assert refused.mend
    else:
        assert found.n_lines == len(found.covariate_ids)
        assert all(len(row) == len(found.sample_ids) for row in found.texts)
        assert all(v is None or math.isfinite(v) for row in found.values for v in row)
