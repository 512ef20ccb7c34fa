"""`load_covariates`: tables of covariates whole or not at all; again, cut off, replaced; without Spark."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kgp.config import load_config
from kgp.errors import CheckError, FormatError, LakeError, UsageError
from kgp.io.delta import Lake
from kgp.job import Progress, Report, run_job
from kgp.jobs.load_covariates import LOAD_COVARIATES
from kgp.params import LoadCovariates
from kgp.tables import COVARIATES, LOADS, SAMPLES

Load = Callable[..., Report]
TEXT = "id\tHG00096\tHG00097\nPC1\t0.5\tNA\nlab\tUU\tUNIGE\n"


def no_spark() -> Any:
    raise AssertionError("covariates are few: no JVM is needed")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(no_spark, str(tmp_path / "lake"))


@pytest.fixture
def load(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Runs the job on a file; Spark must not be started."""
    monkeypatch.setattr("kgp.job.get_session", lambda *_, **__: no_spark())

    def run(path: Path, covariate_set: str | None = None) -> Report:
        config = load_config(lake=lake.uri, environ={})
        params = config.params(LoadCovariates, {"file": str(path), "covariate_set": covariate_set})
        return run_job(LOAD_COVARIATES, params, config, progress=Progress(quiet=True))

    return run


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


def know(lake: Lake, *sample_ids: str) -> None:
    lake.put(SAMPLES, [{"sample_id": s, "load_ids": ["x"], "callsets": []} for s in sample_ids], None)


def rows(lake: Lake, *, debris: bool = False) -> list[tuple[Any, ...]]:
    found = (lake.fetch_all if debris else lake.fetch)(COVARIATES).to_pylist()
    names = ("covariate_set", "covariate_id", "row_index", "sample_id", "covariate_text", "covariate_value")
    return sorted(tuple(row[name] for name in names) for row in found)


def versions(lake: Lake) -> dict[str, int | None]:
    return {table.name: lake.version(table) for table in (COVARIATES, LOADS)}


def test_a_table_becomes_rows_and_a_load(tmp_path: Path, lake: Lake, load: Load) -> None:
    know(lake, "HG00096")
    path = write(tmp_path / "mine.txt", TEXT)
    report = load(path)
    assert rows(lake) == [
        ("mine", "PC1", 0, "HG00096", "0.5", 0.5),
        ("mine", "PC1", 0, "HG00097", "NA", None),
        ("mine", "lab", 1, "HG00096", "UU", None),
        ("mine", "lab", 1, "HG00097", "UNIGE", None),
    ]
    assert (report.changed, report.summary) == (True, "set mine: 2 covariates x 2 people")
    assert report.rows == {"covariates": 4}
    assert report.notes == [
        "1 people are not in samples: HG00097",
        "1 values are missing",
        "lab has 2 words",
    ]
    assert report.details == {
        "covariate_set": "mine", "n_covariates": 2, "n_people": 2, "orientation": "people in columns",
        "not_in_samples": ["HG00097"], "n_missing": 1, "words": {"lab": 2},
    }  # fmt: skip
    (ledger,) = lake.fetch(LOADS).to_pylist()
    assert (ledger["target"], ledger["subject"], ledger["path"]) == ("covariates", "mine", str(path))
    assert (ledger["rows_in"], ledger["rows_out"], ledger["alleles_out"]) == (2, 2, 4)
    assert ledger["reader_reason"] == "people in columns"


def test_people_in_rows_are_the_lines_that_are_counted(tmp_path: Path, lake: Lake, load: Load) -> None:
    report = load(write(tmp_path / "a.covar", "#IID\tage\nHG00096\t3\nHG00097\t4\nHG00099\t5\n"))
    assert report.summary == "set a.covar: 1 covariates x 3 people"
    assert report.notes == ["no people are known yet: kgp load samples"]
    (ledger,) = lake.fetch(LOADS).to_pylist()
    assert (ledger["rows_in"], ledger["rows_out"], ledger["alleles_out"]) == (3, 3, 3)


def test_the_same_again_writes_nothing(tmp_path: Path, lake: Lake, load: Load) -> None:
    path = write(tmp_path / "mine.txt", TEXT)
    load(path)
    before = versions(lake)
    report = load(path)
    assert not report.changed
    assert report.summary == "set mine is already loaded (2 covariates x 2 people), nothing to do"
    assert not load(write(tmp_path / "copy.txt", TEXT), "mine").changed
    assert versions(lake) == before


def test_one_file_may_be_two_sets(tmp_path: Path, lake: Lake, load: Load) -> None:
    path = write(tmp_path / "mine.txt", TEXT)
    load(path)
    assert load(path, "other").changed
    assert {row[0] for row in rows(lake)} == {"mine", "other"}
    assert len(rows(lake)) == 8


def test_a_file_that_changed_in_its_place_replaces_what_was_loaded(
    tmp_path: Path, lake: Lake, load: Load
) -> None:
    path = write(tmp_path / "mine.txt", TEXT)
    load(path)
    write(path, "id\tHG00096\nPC1\t7\n")
    assert load(path).changed
    assert rows(lake, debris=True) == [("mine", "PC1", 0, "HG00096", "7", 7.0)]
    assert len(lake.fetch(LOADS)) == 1


def test_another_file_of_that_name_is_refused(tmp_path: Path, lake: Lake, load: Load) -> None:
    first = write(tmp_path / "mine.txt", TEXT)
    load(first)
    before = versions(lake)
    second = write(tmp_path / "mine.tsv", "id\tHG00096\nPC1\t7\n")
    with pytest.raises(
        LakeError,
        match=r"mine\.tsv: There is a covariate set mine already, loaded from .*mine\.txt\. Give this one a name",
    ):
        load(second)
    assert versions(lake) == before
    assert load(second, "mine2").changed


def test_people_who_come_later_are_found_by_the_next_run(tmp_path: Path, lake: Lake, load: Load) -> None:
    path = write(tmp_path / "mine.txt", "id\tGM12878\tHG00097\nPC1\t1\t2\n")
    load(path)
    assert {row[3] for row in rows(lake)} == {"GM12878", "HG00097"}
    know(lake, "NA12878")
    report = load(path)
    assert report.changed
    assert {row[3] for row in rows(lake, debris=True)} == {"NA12878", "HG00097"}
    assert report.notes[0].startswith("1 x id of a person in another spelling")
    assert not load(path).changed


@pytest.mark.parametrize("killed_at", range(2))
def test_a_run_that_is_cut_off_is_done_later(
    killed_at: int, tmp_path: Path, lake: Lake, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "mine.txt", TEXT)
    load(path)
    old = rows(lake)
    write(path, "id\tHG00096\nPC1\t7\n")
    write_small, n_writes = Lake.put, itertools.count()

    def put(self: Lake, *args: Any, **options: Any) -> int:
        if next(n_writes) == killed_at:
            raise KeyboardInterrupt
        return write_small(self, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "put", put)
        with pytest.raises(KeyboardInterrupt):
            load(path)
    assert rows(lake) == old  # what was valid is so still
    assert load(path).changed
    assert rows(lake, debris=True) == [("mine", "PC1", 0, "HG00096", "7", 7.0)]
    assert not load(path).changed


def test_a_value_that_was_not_written_is_noticed(
    tmp_path: Path, lake: Lake, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "mine.txt", TEXT)
    write_small = Lake.put

    def put(self: Lake, table: Any, given: Any, where: Any, **options: Any) -> int:
        return write_small(self, table, list(given)[1:], where, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "put", put)
        with pytest.raises(CheckError, match="3 values were written of 4"):
            load(path)
    assert rows(lake) == []
    assert load(path).changed


def test_a_mixture_of_numbers_and_words_is_kept_and_noted(tmp_path: Path, lake: Lake, load: Load) -> None:
    report = load(write(tmp_path / "a.txt", "id\tHG00096\tHG00097\tHG00099\nage\t71\tover 80\t\n"))
    assert report.notes[-1] == "age has 1 words beside 1 numbers: eqtl build refuses such a mixture"
    assert [row[4:] for row in rows(lake)] == [("71", 71.0), ("over 80", None), ("", None)]


@pytest.mark.parametrize(
    ("name", "covariate_set", "message"),
    [
        ("my file.txt", None, "--covariate-set: 'my file' can't be a name"),
        ("a.txt", "my set", "--covariate-set: 'my set' can't be a name"),
        ("lab.txt", None, "--covariate-set: 'lab' means the lab of the runs. Give the table another name"),
        ("a.txt", "batch", "--covariate-set: 'batch' means the batch of the runs"),
    ],
)
def test_names_that_can_not_be(
    tmp_path: Path, lake: Lake, load: Load, name: str, covariate_set: str | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        load(write(tmp_path / name, TEXT), covariate_set)
    assert not lake.exists(LOADS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("genes.covariates.pc50.txt.gz", "genes.covariates.pc50"),
        ("plink2.eigenvec", "plink2.eigenvec"),
        ("A.CSV", "A"),
    ],
)
def test_a_set_is_called_as_its_file(
    tmp_path: Path, lake: Lake, load: Load, name: str, expected: str
) -> None:
    load(write(tmp_path / name, "#IID\tage\nHG00096\t3\n"))
    assert {row[0] for row in rows(lake)} == {expected}


def test_a_bad_file_leaves_the_lake_as_it_was(tmp_path: Path, lake: Lake, load: Load) -> None:
    with pytest.raises(FormatError, match=r"a\.txt, line 3, column HG00097: '-inf' is no finite number"):
        load(write(tmp_path / "a.txt", "id\tHG00096\tHG00097\nPC1\t1\t2\nPC2\t1\t-inf\n"))
    assert not lake.exists(COVARIATES)
    assert not lake.exists(LOADS)


@pytest.mark.parametrize(
    ("name", "mark", "n_covariates", "n_people"),
    [
        ("geuvadis-eqtl-qtltools/genes.covariates.pc50.txt.gz", " ", 53, 358),
        ("expression/tensorqtl/GEUVADIS.445_samples.covariates.txt", "\t", 26, 445),
    ],
)
def test_the_real_files_whole(
    shared_data: Path, lake: Lake, load: Load, name: str, mark: str, n_covariates: int, n_people: int
) -> None:
    panel = shared_data / "metadata" / "integrated_call_samples_v3.20130502.ALL.panel"
    people = {line.split("\t")[0] for line in panel.read_text().splitlines()[1:]}
    know(lake, *people)
    report = load(shared_data / name)
    expected = pd.read_csv(shared_data / name, sep=mark, index_col=0, float_precision="round_trip")
    assert expected.shape == (n_covariates, n_people)
    assert report.rows == {"covariates": n_covariates * n_people}
    assert report.details["not_in_samples"] == [s for s in expected.columns if s not in people]
    assert (report.details["n_missing"], report.details["words"]) == (0, {})
    table = lake.fetch(COVARIATES).to_pandas()
    found = table.pivot(index="covariate_id", columns="sample_id", values="covariate_value")
    found = found.loc[expected.index, expected.columns]
    assert np.array_equal(found.to_numpy(), expected.to_numpy(dtype=float))
    order = table.drop_duplicates("covariate_id").sort_values("row_index")["covariate_id"]
    assert list(order) == list(expected.index)
    (ledger,) = lake.fetch(LOADS).to_pylist()
    assert (ledger["rows_in"], ledger["alleles_out"]) == (n_covariates, n_covariates * n_people)
