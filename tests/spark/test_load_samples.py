"""`load_samples`: people, merged and counted; the same again changes nothing; what was cut off is done later."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kgp.jobs.load_samples as module
from kgp import cli
from kgp.config import Config, load_config
from kgp.errors import FormatError, InputError
from kgp.io.catalog import Catalog
from kgp.io.delta import Lake
from kgp.io.query import run_query
from kgp.job import Progress, Report, run_job
from kgp.jobs.load_samples import LOAD_SAMPLES
from kgp.params import LoadSamples
from kgp.tables import LOADS, SAMPLES

PANEL = "sample\tpop\tsuper_pop\tgender\n"
PED = (
    "Family ID\tIndividual ID\tPaternal ID\tMaternal ID\tGender\tPhenotype\tPopulation\tRelationship\tSiblings\t"
    "Second Order\tThird Order\tOther Comments\n"
)
Load = Callable[..., Report]


def no_spark() -> Any:
    raise AssertionError("people are few: no JVM is needed")


@pytest.fixture
def people(tmp_path: Path) -> Lake:
    return Lake(no_spark, str(tmp_path / "lake"))


@pytest.fixture
def load(people: Lake, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Runs the job on files; Spark must not be started."""
    monkeypatch.setattr("kgp.job.get_session", lambda *_, **__: no_spark())
    config: Config = load_config(lake=people.uri, environ={})

    def run(panel: Path, pedigree: Path | None = None) -> Report:
        params = LoadSamples(panel=str(panel), pedigree=None if pedigree is None else str(pedigree))
        return run_job(LOAD_SAMPLES, params, config, progress=Progress(quiet=True))

    return run


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def rows(lake: Lake) -> dict[str, dict[str, Any]]:
    return {r["sample_id"]: r for r in lake.fetch(SAMPLES).to_pylist()}


def versions(lake: Lake) -> list[int | None]:
    return [lake.version(SAMPLES), lake.version(LOADS)]


def test_the_bundled_panel_becomes_people(bundled: Path, people: Lake, load: Load) -> None:
    report = load(bundled / "samples.panel")
    assert (report.changed, report.rows) == (True, {"samples": 2504})
    with (bundled / "samples.panel").open(encoding="utf-8", newline="") as file:
        expected = {
            r["sample"]: (r["pop"], r["super_pop"], r["gender"]) for r in csv.DictReader(file, delimiter="\t")
        }
    found = {k: (r["population"], r["superpopulation"], r["sex"]) for k, r in rows(people).items()}
    assert found == expected
    assert list(rows(people)) == sorted(expected)
    (ledger,) = people.fetch(LOADS).to_pylist()
    assert (ledger["rows_in"], ledger["rows_out"], ledger["rows_quarantined"]) == (2504, 2504, 0)
    assert (ledger["target"], ledger["subject"], ledger["reader"]) == ("samples", "panel", "panel")
    assert ledger["content_id"].startswith("md5:")
    assert ledger["size"] == (bundled / "samples.panel").stat().st_size
    assert {r["load_id"] for r in rows(people).values()} == {ledger["load_id"]}


def test_the_same_again_changes_no_version_and_says_so(
    bundled: Path, tmp_path: Path, people: Lake, load: Load
) -> None:
    load(bundled / "samples.panel")
    before = versions(people)
    again = load(bundled / "samples.panel")
    assert (again.changed, again.summary) == (False, "already loaded, nothing to do")
    moved = write(tmp_path / "moved.panel", (bundled / "samples.panel").read_text(encoding="utf-8"))
    assert not load(moved).changed, "the path is lineage, not identity"
    assert versions(people) == before


@pytest.mark.shared
def test_the_archives_panel_and_pedigree(shared_data: Path, people: Lake, load: Load) -> None:
    metadata = shared_data / "metadata"
    panel = metadata / "integrated_call_samples_v3.20130502.ALL.panel.plus31related"
    report = load(panel, metadata / "20130606_g1k.ped")
    found = rows(people)
    assert report.rows == {"samples": len(found)}
    assert len(found) >= 3501
    child = found["NA12878"]
    assert (child["father_id"], child["mother_id"]) == ("NA12891", "NA12892")
    assert (child["population"], child["superpopulation"], child["sex"]) == ("CEU", "EUR", "female")
    assert any("stray tab in the header" in note for note in report.notes)
    counts = {r["subject"]: (r["rows_in"], r["rows_out"]) for r in people.fetch(LOADS).to_pylist()}
    assert counts == {"panel": (2535, 2535), "pedigree": (3501, 3501)}
    assert not load(panel, metadata / "20130606_g1k.ped").changed


def test_a_pedigree_later_completes_the_people(tmp_path: Path, people: Lake, load: Load) -> None:
    panel = write(tmp_path / "a.panel", PANEL + "HG1\tCEU\tEUR\tmale\nHG2\tYRI\tAFR\tfemale\n")
    pedigree = write(tmp_path / "a.ped", PED + "F1\tHG1\t0\tHG3\t1\t0\tCEU\tchild\t0\t0\t0\t0\n")
    load(panel)
    report = load(panel, pedigree)
    assert report.changed
    found = rows(people)
    assert (found["HG1"]["family_id"], found["HG1"]["mother_id"], found["HG1"]["father_id"]) == (
        "F1",
        "HG3",
        None,
    )
    assert found["HG1"]["relationship"] == "child"
    assert found["HG2"]["family_id"] is None
    assert len(people.fetch(LOADS)) == 2
    assert not load(panel, pedigree).changed


def test_another_panel_adds_its_people(tmp_path: Path, people: Lake, load: Load) -> None:
    load(write(tmp_path / "a.panel", PANEL + "HG1\tCEU\tEUR\tmale\n"))
    load(write(tmp_path / "b.panel", PANEL + "HG2\tYRI\tAFR\tfemale\n"))
    assert list(rows(people)) == ["HG1", "HG2"]
    assert len(people.fetch(LOADS)) == 2


def test_a_panel_that_changed_in_its_place_replaces_what_it_gave(
    tmp_path: Path, people: Lake, load: Load
) -> None:
    panel = write(tmp_path / "a.panel", PANEL + "HG1\tCEU\tEUR\tmale\nHG9\tCEU\tEUR\tmale\n")
    load(panel)
    write(panel, PANEL + "HG1\tTSI\tEUR\tmale\n")
    load(panel)
    assert {k: r["population"] for k, r in rows(people).items()} == {"HG1": "TSI"}
    (ledger,) = people.fetch(LOADS).to_pylist()
    assert ledger["rows_in"] == 1


def test_a_file_that_is_none_leaves_the_lake_as_it_was(tmp_path: Path, people: Lake, load: Load) -> None:
    load(write(tmp_path / "a.panel", PANEL + "HG1\tCEU\tEUR\tmale\n"))
    before = versions(people)
    with pytest.raises(FormatError):
        load(write(tmp_path / "b.panel", PANEL + "HG2\tYRI\n"))
    with pytest.raises(InputError, match="HG1 has population"):
        load(write(tmp_path / "c.panel", PANEL + "HG1\tYRI\tAFR\tmale\n"))
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "nowhere.panel")
    assert versions(people) == before


def test_a_value_that_the_table_refuses_names_the_constraint(
    tmp_path: Path, people: Lake, load: Load
) -> None:
    with pytest.raises(Exception, match="superpopulation_known"):
        load(write(tmp_path / "a.panel", PANEL + "HG1\tCEU\tMARS\tmale\n"))
    assert not people.exists(LOADS) or len(people.fetch(LOADS)) == 0


def test_a_run_that_is_cut_off_is_done_later(
    tmp_path: Path, people: Lake, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = write(tmp_path / "a.panel", PANEL + "HG1\tCEU\tEUR\tmale\n")

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "finish_load", killed)
        with pytest.raises(KeyboardInterrupt):
            load(panel)
    assert len(people.fetch(LOADS)) == 0
    assert load(panel).changed
    assert list(rows(people)) == ["HG1"]
    assert len(people.fetch(LOADS)) == 1
    assert not load(panel).changed


def test_the_command_loads_and_the_query_reads(
    tmp_path: Path, bundled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = str(tmp_path / "lake")
    assert (
        cli.main(["load", "samples", "--panel", str(bundled / "samples.panel"), "--lake", lake, "--quiet"])
        == 0
    )
    assert "2,504 people" in capsys.readouterr().out
    sql = "SELECT superpopulation, count(*) AS n FROM samples GROUP BY ALL ORDER BY ALL"
    found = list(run_query(Catalog(lake), sql).rows())
    assert found == [["AFR", 661], ["AMR", 347], ["EAS", 504], ["EUR", 503], ["SAS", 489]]
