"""`load_runs`: run lists into the identity graph; in any order, again, cut off, replaced; without Spark."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kgp.jobs.reconcile_runs as module
from kgp.config import load_config
from kgp.errors import FormatError, InputError
from kgp.io.delta import Lake
from kgp.job import Progress, Report, run_job
from kgp.jobs.load_runs import LOAD_RUNS
from kgp.params import LoadRuns
from kgp.tables import LOADS, RUN_ALIASES, RUN_RECORDS, RUNS, SAMPLES

Load = Callable[..., Report]
TABLES = (LOADS, RUN_RECORDS, RUNS, RUN_ALIASES)

SDRF = "Source Name\tPerformer\tAssay Name\tComment[ENA_RUN]\n"
INFO = "name\tena_id\tassay_name\tlab\n"


def no_spark() -> Any:
    raise AssertionError("runs are few: no JVM is needed")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(no_spark, str(tmp_path / "lake"))


def load_into(lake: Lake, *files: Path, dataset: str = "E-GEUV-1") -> Report:
    config = load_config(lake=lake.uri, environ={})
    params = LoadRuns(dataset=dataset, file=tuple(str(file) for file in files))
    return run_job(LOAD_RUNS, params, config, progress=Progress(quiet=True))


@pytest.fixture
def load(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Runs the job on files; Spark must not be started."""
    monkeypatch.setattr("kgp.job.get_session", lambda *_, **__: no_spark())
    return lambda *files, **options: load_into(lake, *files, **options)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def know(lake: Lake, *sample_ids: str) -> None:
    lake.put(SAMPLES, [{"sample_id": s, "load_ids": ["x"], "callsets": []} for s in sample_ids], None)


def owners(lake: Lake, dataset: str = "E-GEUV-1") -> dict[str, str | None]:
    return {r["run_id"]: r["sample_id"] for r in lake.fetch(RUNS).to_pylist() if r["dataset"] == dataset}


def contents(lake: Lake) -> list[list[dict[str, Any]]]:
    """Rows of the tables that people read, without the load ids."""
    rows = [lake.fetch(table).to_pylist(maps_as_pydicts="strict") for table in (RUNS, RUN_ALIASES)]
    return [[{k: v for k, v in row.items() if k != "load_ids"} for row in table] for table in rows]


def versions(lake: Lake) -> dict[str, int | None]:
    return {table.name: lake.version(table) for table in TABLES}


def test_a_list_becomes_runs_and_their_names(tmp_path: Path, lake: Lake, load: Load) -> None:
    know(lake, "HG00096")
    text = (
        SDRF
        + "HG00096\tUU\tHG00096.6.M_120202_1\tE1\nHG00096\tUU\tHG00096.6.M_120202_1\tE1\nNA21300\tUU\tA2\tE2\n"
    )
    report = load(write(tmp_path / "a.sdrf.txt", text))
    assert (report.changed, report.summary) == (True, "2 runs of 2 people of E-GEUV-1")
    assert report.rows == {"run_records": 2, "runs": 2, "run_aliases": 4}
    assert report.notes == ["1 people of runs are not among the known people: NA21300"]
    assert report.details["not_among_known_people"] == ["NA21300"]
    first, second = lake.fetch(RUNS).to_pylist()
    (ledger,) = lake.fetch(LOADS).to_pylist()
    assert first == {
        "dataset": "E-GEUV-1", "run_id": "E1", "evidence": "SDRF Source Name", "load_ids": [ledger["load_id"]],
        "sample_id": "HG00096", "person_text": "HG00096", "problem": None, "lab": "UU", "batch": "120202",
        "replicate": None, "combines": None,
    }  # fmt: skip
    assert second["sample_id"] == "NA21300"
    aliases = lake.fetch(RUN_ALIASES).to_pylist()
    assert [(r["alias"], r["alias_kind"], r["run_id"], r["sample_id"]) for r in aliases] == [
        ("A2", "Assay Name", "E2", "NA21300"),
        ("HG00096", "Source Name", "E1", "HG00096"),
        ("HG00096.6.M_120202_1", "Assay Name", "E1", "HG00096"),
        ("NA21300", "Source Name", "E2", "NA21300"),
    ]  # fmt: skip
    assert (ledger["target"], ledger["subject"], ledger["reader"]) == ("run_records", "E-GEUV-1", "sdrf")
    assert (ledger["rows_in"], ledger["rows_out"], ledger["alleles_out"]) == (3, 3, 2)


def test_the_same_again_writes_nothing(tmp_path: Path, lake: Lake, load: Load) -> None:
    files = [
        write(tmp_path / "a.sdrf.txt", SDRF + "HG00096\tUU\tA1\tE1\n"),
        write(tmp_path / "b.tsv", INFO + "HG00096\tE1\tA1\tUU\n"),
    ]
    load(*files)
    before = versions(lake)
    report = load(*files)
    assert (report.changed, report.summary) == (False, "E-GEUV-1 is already loaded, nothing to do")
    assert versions(lake) == before
    assert report.details["already_loaded"] == [str(file) for file in files]


def test_the_order_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    monkeypatch.setattr("kgp.job.get_session", lambda *_, **__: no_spark())
    data = root / "tests" / "data" / "expression"
    files = [
        data / "magetab" / "E-GEUV-1.sdrf.txt",
        data / "runs" / "geuvadis.sequence.index",
        write(tmp_path / "b.tsv", INFO + "HG00096\tERR900001\tother\tLUMC\nHG00096\tERR900003\tx\tLUMC\n"),
    ]
    found = []
    for number, order in enumerate(itertools.permutations(files)):
        lake = Lake(no_spark, str(tmp_path / f"lake{number}"))
        for file in order[: number % 3]:
            load_into(lake, file)
        report = load_into(lake, *order)
        found.append((contents(lake), report.details["runs_disputed"], report.details["differences"]))
    assert all(other == found[0] for other in found)
    tables, disputed, differences = found[0]
    assert {r["run_id"]: r["sample_id"] for r in tables[0]} == {
        "ERR900001": "HG00096", "ERR900002": "HG00101", "ERR900003": None, "ERR900009": "NA12878",
    }  # fmt: skip
    assert list(disputed) == ["ERR900003"]
    assert "HG00096 by b.tsv, table name" in disputed["ERR900003"]
    assert differences[0] == {
        "run": "ERR900001",
        "field": "lab",
        "E-GEUV-1.sdrf.txt": "UNIGE",
        "b.tsv": "LUMC",
    }


def test_people_who_come_later_are_found_by_the_next_run(tmp_path: Path, lake: Lake, load: Load) -> None:
    path = write(tmp_path / "a.sdrf.txt", SDRF + "GM12878\tUU\tA1\tE1\n")
    report = load(path)
    assert report.summary == "1 runs of 0 people of E-GEUV-1, 1 of nobody"
    assert report.notes[-1] == "no people are known yet: kgp load samples brings who they are"
    (row,) = lake.fetch(RUNS).to_pylist()
    assert row["sample_id"] is None
    assert row["problem"].startswith("nobody is known as 'GM12878'")
    know(lake, "NA12878")
    report = load(path)
    assert (report.changed, report.rows) == (True, {"run_records": 0, "runs": 1, "run_aliases": 2})
    (row,) = lake.fetch(RUNS).to_pylist()
    assert (row["sample_id"], row["problem"]) == ("NA12878", None)
    assert row["evidence"] == "SDRF Source Name (cell line GM12878 is NA12878)"
    assert not load(path).changed


def test_a_file_that_changed_in_its_place_leaves_nothing(tmp_path: Path, lake: Lake, load: Load) -> None:
    path = write(tmp_path / "a.sdrf.txt", SDRF + "HG00096\tUU\tA1\tE1\nHG00097\tUU\tA2\tE2\n")
    load(path)
    write(path, SDRF + "HG00101\tUU\tA1\tE1\n")
    report = load(path)
    assert owners(lake) == {"E1": "HG00101"}
    assert {r["alias"] for r in lake.fetch(RUN_ALIASES).to_pylist()} == {"A1", "HG00101"}
    assert len(lake.fetch_all(RUN_RECORDS)) == len(lake.fetch(LOADS)) == 1
    assert report.rows["runs"] == 1


def test_datasets_do_not_touch_each_other(root: Path, lake: Lake, load: Load) -> None:
    index = root / "tests" / "data" / "expression" / "runs" / "geuvadis.sequence.index"
    load(index)
    load(index, dataset="E-GEUV-2")
    assert set(owners(lake)) == {"ERR900001", "ERR900002", "ERR900003", "ERR900009"}
    assert set(owners(lake, "E-GEUV-2")) == {"ERR900020"}
    assert len(lake.fetch(LOADS)) == 2


@pytest.mark.parametrize("killed_at", range(4))
def test_a_run_that_is_cut_off_is_done_later(
    killed_at: int, tmp_path: Path, lake: Lake, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.sdrf.txt", SDRF + "HG00096\tUU\tA1\tE1\n")
    write_small, n_writes = Lake.put, itertools.count()

    def put(self: Lake, *args: Any, **options: Any) -> int:
        if next(n_writes) == killed_at:
            raise KeyboardInterrupt
        return write_small(self, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "put", put)
        with pytest.raises(KeyboardInterrupt):
            load(path)
    assert load(path).changed
    assert owners(lake) == {"E1": "HG00096"}
    assert len(lake.fetch(RUN_ALIASES)) == 2
    assert len(lake.fetch_all(RUN_RECORDS)) == 1
    assert not load(path).changed


def test_a_bad_list_among_good_ones_leaves_the_lake_as_it_was(tmp_path: Path, lake: Lake, load: Load) -> None:
    good = write(tmp_path / "a.sdrf.txt", SDRF + "HG00096\tUU\tA1\tE1\n")
    bad = write(tmp_path / "b.sdrf.txt", SDRF + "HG00097\tUU\n")
    with pytest.raises(FormatError, match=r"b\.sdrf\.txt, line 2: It has 2 values where the header has 4"):
        load(good, bad)
    assert not any(lake.exists(table) for table in TABLES)
    copy = write(tmp_path / "c.sdrf.txt", good.read_text(encoding="utf-8"))
    with pytest.raises(
        InputError, match=r"c\.sdrf\.txt: It has the same content as .*a\.sdrf\.txt\. Give each list once"
    ):
        load(good, copy)
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "nowhere")
    assert not any(lake.exists(table) for table in TABLES)


def test_another_descriptor_reads_the_same_file_anew(
    tmp_path: Path, lake: Lake, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.sdrf.txt", SDRF + "HG00096\tUU\tA1\tE1\n")
    load(path)
    monkeypatch.setattr(module, "find_dataset", lambda _: None)
    assert load(path).changed
    assert [r["lab"] for r in lake.fetch(RUNS).to_pylist()] == [None]
    assert len(lake.fetch(LOADS)) == 1


def test_the_report_counts_and_lists(tmp_path: Path, lake: Lake, load: Load) -> None:
    know(lake, "HG00096", "HG00097")
    rows = [
        "HG00096\tUU\tA1\tE1",
        "HG00096\tUU\tA2\tE2",
        "pool\tUU\tA3\tE3",
        "HG00096\tUU\tA4\tE4",
        "HG00097\tUU\tA5\tE4",
    ]
    report = load(write(tmp_path / "a.sdrf.txt", SDRF + "\n".join(rows)))
    assert report.summary == "4 runs of 1 people of E-GEUV-1, 2 of nobody"
    assert report.notes == [
        "1 runs that sources give to different people: E4: sources differ: HG00096 by a.sdrf.txt, SDRF Source Name, "
        "HG00097 by a.sdrf.txt, SDRF Source Name",
        "1 runs of nobody: E3",
        "1 people have several runs: HG00096",
    ]
    assert report.details["runs_of_nobody"] == {"E3": "nobody is known as 'pool'"}
    assert report.details["people_with_several_runs"] == {"HG00096": 2}
    assert (report.details["runs"], report.details["people"]) == (4, 1)
    assert report.details["differences"] == []
    # A terminal shows how many there are, not all of them.
    lines = [" ".join(line.split()) for line in report.text.splitlines()]
    assert lines[:3] == [f"load_runs: {report.summary}", "runs 4", "people 1"]
    assert {"runs of nobody 1", "runs that sources give to different people 1"} <= set(lines)
    assert all(f"  note: {note}" in report.text for note in report.notes)


def test_geuvadis_whole(shared_data: Path, lake: Lake, load: Load) -> None:
    metadata = shared_data / "metadata"
    panel = metadata / "integrated_call_samples_v3.20130502.ALL.panel"
    people = {line.split("\t")[0] for line in panel.read_text().splitlines()[1:]}
    know(lake, *people)
    report = load(
        metadata / "E-GEUV-1.sdrf.txt", metadata / "geuvadis.sequence.index", metadata / "geuvadis_info.tsv"
    )
    with (metadata / "geuvadis.sequence.index").open(encoding="utf-8") as file:
        lines = [line.lstrip("#") for line in file if not line.startswith("##")]
    ours = [row for row in csv.DictReader(lines, delimiter="\t") if row["STUDY_ID"] == "ERP001942"]
    expected = {row["RUN_ID"]: row["SAMPLE_NAME"].removeprefix("GEUV:") for row in ours}
    assert owners(lake) == expected
    assert report.details["runs_of_nobody"] == report.details["runs_disputed"] == {}
    assert report.details["not_among_known_people"] == sorted(set(expected.values()) - people)
    ledger = {Path(r["path"]).name: r for r in lake.fetch(LOADS).to_pylist()}
    assert ledger["geuvadis.sequence.index"]["rows_in"] == len(ours)
    assert dict(ledger["geuvadis.sequence.index"]["warnings"]) == {
        "row of another study (ERP001941)": len(lines) - 1 - len(ours)
    }
