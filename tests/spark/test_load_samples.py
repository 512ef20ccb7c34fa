"""`load_samples`: claims of files, reconciled; the order does not matter, and what was cut off is done later."""

from __future__ import annotations

import csv
import datetime
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import kgp.jobs.load_samples as load_module
import kgp.jobs.reconcile_people as people_module
from kgp import cli
from kgp.config import Config, load_config
from kgp.errors import FormatError, InputError, KgpError
from kgp.io.catalog import Catalog
from kgp.io.delta import Lake
from kgp.io.query import run_query
from kgp.job import Context, Job, Progress, Report, run_job
from kgp.jobs.list_cohort import LIST_COHORT
from kgp.jobs.list_trios import LIST_TRIOS
from kgp.jobs.load_samples import LOAD_SAMPLES
from kgp.jobs.load_variants import LOAD_VARIANTS
from kgp.jobs.reconcile_people import reconcile_people
from kgp.params import LoadSamples, LoadVariants
from kgp.tables import (
    CALLSET_SAMPLES,
    LOADS,
    POPULATION_RECORDS,
    POPULATIONS,
    SAMPLE_CONFLICTS,
    SAMPLE_RECORDS,
    SAMPLES,
)

PANEL = "sample\tpop\tsuper_pop\tgender\n"
PED = (
    "Family ID\tIndividual ID\tPaternal ID\tMaternal ID\tGender\tPhenotype\tPopulation\tRelationship\tSiblings\t"
    "Second Order\tThird Order\tOther Comments\n"
)
TABLES = (SAMPLE_RECORDS, POPULATION_RECORDS, SAMPLES, SAMPLE_CONFLICTS, POPULATIONS, LOADS)
Run = Callable[..., Report]


def no_spark() -> Any:
    raise AssertionError("people are few: no JVM is needed")


@pytest.fixture
def people(tmp_path: Path) -> Lake:
    return Lake(no_spark, str(tmp_path / "lake"))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a job in a lake; Spark must not be started."""
    monkeypatch.setattr("kgp.job.get_session", lambda *_, **__: no_spark())

    def run(job: Job[Any], lake: Lake, **options: Any) -> Report:
        config: Config = load_config(lake=lake.uri, environ={})
        return run_job(job, config.params(job.params, options), config, progress=Progress(quiet=True))

    return run


@pytest.fixture
def load(people: Lake, run: Run) -> Run:
    """``load(panel=PATH, pedigree=[PATH, …])``."""

    def load(**files: Any) -> Report:
        as_text = {k: [str(v) for v in (f if isinstance(f, list) else [f])] for k, f in files.items()}
        return run(LOAD_SAMPLES, people, **as_text)

    return load


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def rows(lake: Lake) -> dict[str, dict[str, Any]]:
    return {r["sample_id"]: r for r in lake.fetch(SAMPLES).to_pylist()}


def conflicts(lake: Lake) -> list[tuple[Any, ...]]:
    return [
        (
            r["sample_id"],
            r["field"],
            r["kept"],
            Path(r["kept_from"] or "").name,
            r["other"],
            Path(r["other_from"]).name,
        )
        for r in lake.fetch(SAMPLE_CONFLICTS).to_pylist()
    ]


def versions(lake: Lake) -> list[int | None]:
    return [lake.version(table) for table in TABLES]


def everything(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """All that the people's tables hold, without what the ledger alone depends on."""
    return {
        table.name: sorted(lake.fetch(table).to_pylist(), key=lambda row: [row[name] for name in table.key])
        for table in TABLES
        if table is not LOADS
    }


def add_callset(lake: Lake, callset: str, *sample_ids: str) -> None:
    """A callset as load_variants leaves it."""
    load_id = f"v-{callset}"
    row = {
        "load_id": load_id, "target": "variants", "subject": callset, "path": f"{load_id}.vcf", "content_id": load_id,
        "build": "GRCh37", "selection": {}, "reader": "test", "reader_reason": "test", "versions": {}, "rows_in": 0,
        "rows_out": 0, "rows_quarantined": 0, "alleles_out": 0, "warnings": {}, "warned_at": {}, "seconds": 0.0,
        "loaded_at": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    }  # fmt: skip
    lake.put(LOADS, [row], f"load_id = '{load_id}'")
    members = [
        {"callset": callset, "sample_index": i, "sample_id": sample_id, "load_id": load_id}
        for i, sample_id in enumerate(sample_ids)
    ]
    lake.put(CALLSET_SAMPLES, members, f"load_id = '{load_id}'")


@contextmanager
def killed_at(patch: pytest.MonkeyPatch, owner: Any, name: str, nth: int) -> Iterator[None]:
    """The run dies as `owner.name` is called for the nth time."""
    calls = itertools.count(1)
    real = getattr(owner, name)

    def call(*given: Any, **named: Any) -> Any:
        if next(calls) == nth:
            raise KeyboardInterrupt
        return real(*given, **named)

    with patch.context() as inner:
        inner.setattr(owner, name, call)
        with pytest.raises(KeyboardInterrupt):
            yield


# -- files into people


def test_the_bundled_panel_becomes_people(bundled: Path, people: Lake, load: Run) -> None:
    report = load(panel=bundled / "samples.panel")
    assert report.changed
    assert report.rows == {"sample_records": 2504, "samples": 2504, "sample_conflicts": 0, "populations": 26}
    assert report.summary == "2,504 people from 1 files, 0 differences"
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
    assert all(r["load_ids"] == [ledger["load_id"]] and r["callsets"] == [] for r in rows(people).values())


def test_the_same_again_changes_no_version_and_says_so(
    bundled: Path, tmp_path: Path, people: Lake, load: Run
) -> None:
    load(panel=bundled / "samples.panel")
    before = versions(people)
    again = load(panel=bundled / "samples.panel")
    assert (again.changed, again.summary) == (False, "already loaded, nothing to do")
    moved = write(tmp_path / "moved.panel", (bundled / "samples.panel").read_text(encoding="utf-8"))
    assert not load(panel=moved).changed, "the path is lineage, not identity"
    assert not load(panel=[moved, bundled / "samples.panel"]).changed
    assert versions(people) == before


@pytest.mark.shared
def test_the_archives_files_in_any_order(shared_data: Path, tmp_path: Path, run: Run) -> None:
    metadata = shared_data / "metadata"
    given = [
        ("panel", metadata / "integrated_call_samples_v3.20130502.ALL.panel"),
        ("panel", metadata / "integrated_call_samples_v3.20130502.ALL.panel.plus31related"),
        ("pedigree", metadata / "20130606_g1k.ped"),
        ("pedigree", metadata / "reconstructed_20130606_g1k_3202_samples_ped_population.txt"),
        ("sample_list", f"geuvadis={metadata / 'geuvadis.eur373.sampleids.txt'}"),
    ]
    one, two = Lake(no_spark, str(tmp_path / "one")), Lake(no_spark, str(tmp_path / "two"))
    options: dict[str, list[str]] = {}
    for kind, path in given:
        options.setdefault(kind, []).append(str(path))
    report = run(LOAD_SAMPLES, one, **options)
    for kind, path in reversed(given):
        run(LOAD_SAMPLES, two, **{kind: [str(path)]})
    assert everything(one) == everything(two)
    assert len(rows(one)) == 3501
    assert report.details["by_source"] == {
        str(metadata / name): n
        for name, n in {
            "20130606_g1k.ped": 3501,
            "geuvadis.eur373.sampleids.txt": 373,
            "integrated_call_samples_v3.20130502.ALL.panel": 2504,
            "integrated_call_samples_v3.20130502.ALL.panel.plus31related": 2535,
            "reconstructed_20130606_g1k_3202_samples_ped_population.txt": 3202,
        }.items()
    }
    assert any("stray tab in the header" in note for note in report.notes)
    child = rows(one)["NA12878"]
    assert (child["father_id"], child["mother_id"], child["relationship"]) == (
        "NA12891",
        "NA12892",
        "mother; child",
    )
    ids = {line.split()[0] for line in (metadata / "geuvadis.eur373.sampleids.txt").read_text().splitlines()}
    assert {k for k, r in rows(one).items() if r["callsets"] == ["geuvadis"]} == ids
    counts = {(r["subject"], r["rows_in"]) for r in one.fetch(LOADS).to_pylist()}
    assert counts == {
        ("panel", 2504), ("panel", 2535), ("pedigree", 3501), ("pedigree", 3202), ("sample_list:geuvadis", 373),
    }  # fmt: skip
    assert not run(LOAD_SAMPLES, one, **options).changed
    trios = run(LIST_TRIOS, one)
    assert trios.details["counts"] == {"complete": 641, "partial": 121, "outside": 0}


def test_differences_are_rows_and_notes_and_no_error(tmp_path: Path, people: Lake, load: Run) -> None:
    panel = write(tmp_path / "a.panel", PANEL + "HG1\tCEU\tEUR\tmale\nHG2\tYRI\tAFR\tfemale\n")
    pedigree = write(tmp_path / "a.ped", PED + "F1\tHG1\t0\tHG3\t2\t0\tTSI\tChild2\t0\t0\t0\t0\n")
    load(pedigree=pedigree)
    report = load(panel=panel)
    found = rows(people)["HG1"]
    assert (found["sex"], found["population"], found["family_id"], found["mother_id"]) == (
        "male",
        "CEU",
        "F1",
        "HG3",
    )
    assert (found["relationship"], found["relationship_text"], found["father_id"]) == (
        "child",
        "Child2",
        None,
    )
    assert len(found["load_ids"]) == 2
    assert conflicts(people) == [
        ("HG1", "population", "CEU", "a.panel", "TSI", "a.ped"),
        ("HG1", "sex", "male", "a.panel", "female", "a.ped"),
    ]
    assert report.details["conflicts"] == {"population": 1, "sex": 1}
    assert "1 differences in sex (HG1): SELECT * FROM sample_conflicts" in report.notes
    assert report.summary == "2 people from 2 files, 2 differences"


def test_a_file_that_changed_in_its_place_leaves_nothing_behind(
    tmp_path: Path, people: Lake, load: Run
) -> None:
    panel = write(tmp_path / "a.panel", PANEL + "HG1\tCEU\tEUR\tmale\nHG9\tCEU\tEUR\tmale\n")
    other = write(tmp_path / "b.panel", PANEL + "HG1\tCEU\tEUR\tfemale\n")
    load(panel=[panel, other])
    assert len(conflicts(people)) == 1
    write(panel, PANEL + "HG1\tTSI\tEUR\t\n")
    load(panel=panel)
    assert {k: (r["population"], r["sex"]) for k, r in rows(people).items()} == {"HG1": ("TSI", "female")}
    assert conflicts(people) == [("HG1", "population", "TSI", "a.panel", "CEU", "b.panel")]
    assert {r["rows_in"] for r in people.fetch(LOADS).to_pylist()} == {1}
    assert people.fetch_all(SAMPLE_RECORDS).num_rows == 2
    fresh = Lake(no_spark, str(tmp_path / "fresh"))
    config = load_config(lake=fresh.uri, environ={})
    given = config.params(LoadSamples, {"panel": [str(other), str(panel)]})
    run_job(LOAD_SAMPLES, given, config, progress=Progress(quiet=True))
    assert everything(fresh) == everything(people)


def test_population_lists_fill_names_of_others(tmp_path: Path, people: Lake, load: Run) -> None:
    header = "Population code\tPopulation description\tSuperpopulation code\tSuperpopulation name\n"
    text = f"{header}MKK\tMasai\tAFR\tAfrican\n"
    populations = write(tmp_path / "p.tsv", text)
    report = load(populations=populations)
    assert report.summary == "no file of people is loaded yet"
    assert people.version(SAMPLES) is None
    load(panel=write(tmp_path / "a.panel", PANEL + "HG1\tMKK\t\tmale\n"))
    found = {r["population"]: r for r in people.fetch(POPULATIONS).to_pylist()}
    assert len(found) == 27
    assert (found["MKK"]["population_name"], found["MKK"]["n_people"]) == ("Masai", 1)
    write(populations, text.replace("Masai", "Maasai"))
    before = people.version(SAMPLES)
    assert load(populations=populations).rows == {"population_records": 1, "populations": 27}
    found = {r["population"]: r for r in people.fetch(POPULATIONS).to_pylist()}
    assert found["MKK"]["population_name"] == "Maasai"
    assert people.version(SAMPLES) == before


def test_a_file_that_is_none_leaves_the_lake_as_it_was(tmp_path: Path, people: Lake, load: Run) -> None:
    good = write(tmp_path / "a.panel", PANEL + "HG1\tCEU\tEUR\tmale\n")
    load(panel=good)
    before = versions(people)
    another = write(tmp_path / "d.panel", PANEL + "HG2\tYRI\tAFR\tmale\n")
    for text, message in (("HG2\tYRI\n", "2 values"), ("HG2\tYRI\tMARS\tmale\n", "column super_pop: 'MARS'")):
        bad = write(tmp_path / "b.panel", PANEL + text)
        with pytest.raises(FormatError, match=message):
            load(panel=[another, bad])
    with pytest.raises(InputError, match="no such file"):
        load(panel=[another, tmp_path / "nowhere.panel"])
    assert versions(people) == before


# -- runs that are cut off


CUTS = [(Context, "put", n) for n in range(1, 8)] + [(load_module, "finish_load", n) for n in (1, 2)]


@pytest.mark.parametrize(("owner", "name", "nth"), CUTS, ids=[f"{name}{n}" for _, name, n in CUTS])
def test_a_run_that_is_cut_off_anywhere_is_done_later(
    tmp_path: Path,
    people: Lake,
    run: Run,
    load: Run,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    nth: int,
) -> None:
    """Seven writes: records and ledger of two files, and three tables."""
    given = {
        "panel": write(tmp_path / "a.panel", PANEL + "HG1\tCEU\tEUR\tmale\n"),
        "pedigree": write(tmp_path / "a.ped", PED + "F1\tHG1\t0\tHG3\t2\t0\tTSI\tchild\t0\t0\t0\t0\n"),
    }
    whole = Lake(no_spark, str(tmp_path / "whole"))
    run(LOAD_SAMPLES, whole, **{k: [str(v)] for k, v in given.items()})
    with killed_at(monkeypatch, owner, name, nth):
        load(**given)
    report = load(**given)
    assert report.changed
    assert everything(people) == everything(whole)
    assert len(people.fetch(LOADS)) == 2
    assert not load(**given).changed


# -- callsets


def test_callsets_are_members_and_strangers_are_told(tmp_path: Path, people: Lake, load: Run) -> None:
    panel = write(tmp_path / "a.panel", PANEL + "HG1\tCEU\tEUR\tmale\nHG2\tYRI\tAFR\tfemale\n")
    load(panel=panel)
    add_callset(people, "c", "HG2", "HG9", "HG8")
    report = load(panel=panel)
    assert (report.changed, report.rows) == (True, {"samples": 2, "sample_conflicts": 2})
    assert "2 people of callsets are in no file of people (HG8, HG9)" in report.notes
    assert {k: r["callsets"] for k, r in rows(people).items()} == {"HG1": [], "HG2": ["c"]}
    assert conflicts(people) == [
        (name, "sample_id", None, "", "in callset c", "v-c.vcf") for name in ("HG8", "HG9")
    ]
    names = write(tmp_path / "names", "HG1\nHG2\n")
    report = load(sample_list=f"c={names}")
    assert {k: r["callsets"] for k, r in rows(people).items()} == {"HG1": ["c"], "HG2": ["c"]}
    assert "callset c: 1 people of its sample list are not in what is loaded (HG1)" in report.notes
    assert "callset c: 2 people who are loaded are not in its sample list (HG8, HG9)" in report.notes
    report = load(sample_list=f"d={write(tmp_path / 'more', 'HG7')}")
    assert rows(people)["HG7"]["callsets"] == ["d"]
    assert "1 people are in sample lists only (HG7)" in report.notes
    assert not load(panel=panel).changed


def test_another_job_brings_the_people_up_to_date(tmp_path: Path, people: Lake, load: Run) -> None:
    context = Context(people, Progress(quiet=True), LOAD_VARIANTS)
    add_callset(people, "c", "HG1")
    assert reconcile_people(context) is None
    assert people.version(SAMPLES) is people.version(POPULATIONS) is None, "no people, no tables"
    load(panel=write(tmp_path / "a.panel", PANEL + "HG1\tCEU\tEUR\tmale\n"))
    before = versions(people)
    found = reconcile_people(context)
    assert found is not None
    assert found.written == {}
    assert versions(people) == before
    add_callset(people, "d", "HG1")
    assert reconcile_people(context) is not None
    assert rows(people)["HG1"]["callsets"] == ["c", "d"]


def test_who_commits_looks_once_more(
    tmp_path: Path, people: Lake, load: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A callset that another job commits after this one has looked is not lost."""
    real = people_module._write
    calls = itertools.count()

    def write_late(context: Context, found: Any) -> dict[str, int]:
        if next(calls) == 0:
            add_callset(people, "late", "HG1")
        return real(context, found)

    monkeypatch.setattr(people_module, "_write", write_late)
    load(panel=write(tmp_path / "a.panel", PANEL + "HG1\tCEU\tEUR\tmale\n"))
    assert rows(people)["HG1"]["callsets"] == ["late"]


def test_it_is_cheap(bundled: Path, people: Lake, load: Run) -> None:
    load(panel=bundled / "samples.panel")
    context = Context(people, Progress(quiet=True), LOAD_VARIANTS)
    began = time.process_time()
    assert reconcile_people(context) is not None
    assert time.process_time() - began < 1


@pytest.mark.spark
def test_load_variants_puts_its_callset_into_samples(
    config: Config, spark: Any, tmp_path: Path, people: Lake
) -> None:
    given = load_config(lake=people.uri, environ={})
    panel = write(tmp_path / "a.panel", PANEL + "HG1\tCEU\tEUR\tmale\nHG2\tYRI\tAFR\tfemale\n")
    text = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tHG2\tHG3\n"
    vcf = write(tmp_path / "a.vcf", text + "22\t20000000\t.\tA\tC\t.\tPASS\t.\tGT\t0|1\t0|0\n")
    options = {"callset": "c", "build": "GRCh37", "vcf": [str(vcf)]}
    variants = config.params(LoadVariants, options)
    samples = config.params(LoadSamples, {"panel": [str(panel)]})
    run_job(LOAD_VARIANTS, variants, given, progress=Progress(quiet=True))
    assert people.version(SAMPLES) is None
    run_job(LOAD_SAMPLES, samples, given, progress=Progress(quiet=True))
    assert {k: r["callsets"] for k, r in rows(people).items()} == {"HG1": [], "HG2": ["c"]}
    again = config.params(LoadVariants, options | {"callset": "d"})
    report = run_job(LOAD_VARIANTS, again, given, progress=Progress(quiet=True))
    assert {k: r["callsets"] for k, r in rows(people).items()} == {"HG1": [], "HG2": ["c", "d"]}
    assert "1 people of callsets are in no file of people (HG3)" in report.notes
    before = versions(people)
    assert not run_job(LOAD_VARIANTS, again, given, progress=Progress(quiet=True)).changed
    assert versions(people) == before


# -- lists


@pytest.fixture
def family(tmp_path: Path, people: Lake, load: Run) -> Lake:
    """HG3 is the child of HG1 and HG2, HG4 of HG9, who is nowhere; the callset has HG1, HG3, HG4 and a stranger."""
    text = "FamilyID SampleID FatherID MotherID Sex Population Superpopulation\n"
    lines = ("HG1 0 0 1 CEU EUR", "HG2 0 0 2 CEU EUR", "HG3 HG1 HG2 1 CEU EUR", "HG4 HG9 0 2 YRI AFR")
    load(pedigree=write(tmp_path / "a.ped", text + "".join(f"F {line}\n" for line in lines)))
    add_callset(people, "c", "HG1", "HG3", "HG4", "HG8")
    load(pedigree=tmp_path / "a.ped")
    return people


def test_trios_are_listed_with_parents_outside(family: Lake, run: Run, tmp_path: Path) -> None:
    before = versions(family)
    report = run(LIST_TRIOS, family)
    assert not report.changed
    assert report.details["counts"] == {"complete": 1, "partial": 0, "outside": 1}
    assert report.text.splitlines() == [
        "child  father  mother  population  status    outside",
        "-----  ------  ------  ----------  --------  -------",
        "HG3    HG1     HG2     CEU         complete",
        "HG4    HG9     -       YRI         outside   HG9",
        "",
        "2 children with named parents in samples: 1 complete, 0 with one parent there, 1 with no parent there",
        "1 parents are not in samples: HG9",
    ]
    report = run(LIST_TRIOS, family, callset="c", cohort="EUR")
    assert report.details["trios"] == [
        {
            "child": "HG3",
            "father": "HG1",
            "mother": "HG2",
            "population": "CEU",
            "status": "partial",
            "outside": ["HG2"],
        }
    ]
    assert report.notes == [
        "1 parents are not in callset c: HG2", "1 people of callset c are in no file of people: HG8",
    ]  # fmt: skip
    assert versions(family) == before


def test_a_cohort_is_listed_without_relatives_and_with_them(family: Lake, run: Run, tmp_path: Path) -> None:
    before = versions(family)
    report = run(LIST_COHORT, family, cohort="CEU")
    assert report.text.splitlines() == [
        "sample_id  sex     population  superpopulation  callsets",
        "---------  ------  ----------  ---------------  --------",
        "HG1        male    CEU         EUR              c",
        "HG2        female  CEU         EUR",
        "",
        "left out  why",
        "--------  ------------",
        "HG3       child of HG1",
        "",
        "2 people in CEU, 1 relatives of theirs left out",
    ]
    assert report.details["dropped"] == {"HG3": "child of HG1"}
    kept = run(LIST_COHORT, family, cohort="CEU", related="keep")
    assert [row["sample_id"] for row in kept.details["people"]] == ["HG1", "HG2", "HG3"]
    ids = write(tmp_path / "ids.txt", "HG2\nHG3\n")
    listed = run(LIST_COHORT, family, cohort=str(ids), callset="c")
    assert [row["sample_id"] for row in listed.details["people"]] == ["HG3"]
    assert listed.details["absent"] == ["HG2"]
    assert listed.notes[0].startswith("1 people of ids:2:")
    assert versions(family) == before


def test_lists_of_what_is_not_there(family: Lake, run: Run, tmp_path: Path) -> None:
    empty = Lake(no_spark, str(tmp_path / "empty"))
    for job, options in ((LIST_TRIOS, {}), (LIST_COHORT, {"cohort": "ALL"})):
        with pytest.raises(InputError, match=r"Nobody is known in this lake\. Load who the people are"):
            run(job, empty, **options)
        with pytest.raises(
            InputError, match=r"--callset: There is no callset x in this lake. There are: c\."
        ):
            run(job, family, callset="x", **options)
        with pytest.raises(KgpError, match="Did you mean CEU"):
            run(job, family, **{**options, "cohort": "CEV"})


def test_the_commands_load_list_and_query(
    tmp_path: Path, bundled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = ["--lake", str(tmp_path / "lake"), "--quiet"]
    assert cli.main(["load", "samples", "--panel", str(bundled / "samples.panel"), *lake]) == 0
    assert "2,504 people" in capsys.readouterr().out
    sql = "SELECT superpopulation, count(*) AS n FROM samples GROUP BY ALL ORDER BY ALL"
    found = list(run_query(Catalog(str(tmp_path / "lake")), sql).rows())
    assert found == [["AFR", 661], ["AMR", 347], ["EAS", 504], ["EUR", 503], ["SAS", 489]]
    assert cli.main(["samples", "cohort", "EUR,-FIN", *lake]) == 0
    assert "404 people in EUR,-FIN" in capsys.readouterr().out
    assert cli.main(["samples", "trios", *lake]) == 0
    assert "0 children with named parents in samples" in capsys.readouterr().out
    assert cli.main(["samples", "cohort", "FIM", *lake]) == 2
    assert "Did you mean FIN?" in capsys.readouterr().err
