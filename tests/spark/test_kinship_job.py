"""`kgp samples kinship` against plink2 on several contigs, its report against the pedigree, and what is asked of it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from genotype_lake import (
    CALLSET,
    Contig,
    MadeCallset,
    append,
    fill_lake,
    load_row,
    make_callset,
    no_spark,
    read_table,
    run_plink2,
    write_bed,
)
from kgp import tables as t
from kgp.errors import InputError
from kgp.io.delta import Lake
from kgp.job import Context, Job, Progress, Report
from kgp.jobs import compute_kinship, genotype_tasks
from kgp.jobs.compute_kinship import COMPUTE_KINSHIP, fetch_relatives
from kgp.transforms.unrelated import find_largest_unrelated

CONTIGS = ("1", "2", "3", "10", "21", "22", "X", "Y", "MT")
AUTOSOMES = CONTIGS[:6]
READER: Job[Any] = Job("test", "", object, (t.KINSHIP, t.KINSHIP_RUNS), (), lambda *_: None)  # type: ignore[arg-type,return-value]

Run = Callable[..., Report]


@pytest.fixture(scope="module")
def run(make_run: Callable[..., Run]) -> Run:
    """``run(lake, min_maf=0.05)``: the job with the defaults but these."""
    return make_run(COMPUTE_KINSHIP, callset=CALLSET)


@pytest.fixture(scope="module")
def callset() -> MadeCallset:
    made = make_callset(8, CONTIGS, 1_500, 60, missing=0.01)
    parents = {"CHILD1": ("S000", "S001"), "CHILD2": ("S000", "S001")}
    people = {
        name: {**known, **dict(zip(("father_id", "mother_id"), parents.get(name, (None, None)), strict=True))}
        for name, known in made.people.items()
    }
    people["S007"]["siblings"] = ["S010"]  # which their genotypes don't say
    return MadeCallset(made.samples, made.contigs, people)


@pytest.fixture(scope="module")
def place(callset: MadeCallset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kinship") / "lake"
    fill_lake(path, callset, loads=("v1", "v2"), row_group=400)
    return path


@pytest.fixture(scope="module")
def report(place: Path, run: Run) -> Report:
    return run(place)


@pytest.fixture(scope="module")
def by_plink2(
    callset: MadeCallset, require_tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], dict[str, str]]:
    """Both people, by name → row of plink2's table."""
    place = tmp_path_factory.mktemp("plink2")
    write_bed(place / "all", callset)
    options = ("--snps-only", "--autosome", "--maf", 0.01, "--geno", 0.05, "--make-king-table")
    run_plink2(require_tool("plink2"), place / "all", place / "king", *options)
    rows = read_table(place / "king.kin0")
    return {(min(row["IID1"], row["IID2"]), max(row["IID1"], row["IID2"])): row for row in rows}


def rows_of(place: Path, table: Any = t.KINSHIP) -> list[dict[str, Any]]:
    return Lake(no_spark, str(place)).fetch(table).to_pylist(maps_as_pydicts="strict")


def check_rows(
    rows: list[dict[str, Any]], theirs: dict[tuple[str, str], dict[str, str]], least: float
) -> None:
    found = {(row["sample_id_1"], row["sample_id_2"]): row for row in rows}
    assert found.keys() == {pair for pair, row in theirs.items() if float(row["KINSHIP"]) >= least}
    for pair, row in found.items():
        assert row["n_variants"] == int(theirs[pair]["NSNP"])
        for name, column in (("het_het", "HETHET"), ("ibs0", "IBS0"), ("kinship", "KINSHIP")):
            assert row[name] == pytest.approx(float(theirs[pair][column]), rel=5.1e-6), (pair, name)


def test_plink2_prints_the_same_pairs(
    report: Report, place: Path, by_plink2: dict[tuple[str, str], dict[str, str]]
) -> None:
    rows = rows_of(place)
    assert len(rows) == report.rows["kinship"] >= 8
    check_rows(rows, by_plink2, 0.0442)
    degrees = {(row["sample_id_1"], row["sample_id_2"]): row["degree"] for row in rows}
    assert degrees["COPY", "S002"] == "duplicate"
    assert {degrees[pair] for pair in (("CHILD1", "S000"), ("CHILD1", "S001"), ("CHILD1", "CHILD2"))} == {
        "first"
    }
    assert degrees["CHILD1", "GRANDCHILD"] == "first"


def test_the_run_is_recorded_after_its_pairs(report: Report, place: Path, callset: MadeCallset) -> None:
    (made,) = rows_of(place, t.KINSHIP_RUNS)
    assert made["callset"] == CALLSET
    assert made["load_ids"] == ["v1", "v2"]
    assert made["n_samples"] == len(callset.samples)
    assert made["n_pairs"] == len(rows_of(place))
    assert made["n_variants"] == report.details["n_variants"]
    assert made["parameters"]["min_kinship"] == "0.0442"
    left_out = report.details["variants_left_out"]
    n_autosomal = sum(len(callset.contigs[name].starts) for name in AUTOSOMES)
    assert made["n_variants"] + sum(left_out.values()) == n_autosomal
    assert left_out["minor allele too rare"] >= 6 * 1_500 // 29


def test_the_report_names_duplicates_and_what_the_pedigree_does_not_know(report: Report) -> None:
    notes = "\n".join(report.notes)
    assert re.search(
        r"^DUPLICATES: 1 pair with the same genotypes.*: COPY and S002 \(0\.\d{4}\)", notes, re.MULTILINE
    )
    unknown = {name.partition(" (")[0] for name in report.details["not_in_pedigree"]}
    assert {"COPY and S002", "CHILD1 and GRANDCHILD", "GRANDCHILD and S005"} <= unknown
    assert not {"CHILD1 and S000", "CHILD1 and S001", "CHILD1 and CHILD2", "CHILD2 and S000"} & unknown
    (denied,) = report.details["only_in_pedigree"]
    assert re.fullmatch(r"S007 sibling of S010 \(kinship -?\d\.\d{4}\)", denied)
    assert "1 pair of first degree by the pedigree, but not by their genotypes: S007" in notes
    assert re.search(r"only [78],\d{3} variants were compared: with fewer than 10,000", notes)
    lines = report.text.splitlines()
    assert lines[0].split() == ["sample_id_1", "sample_id_2", "n_variants", "kinship", "degree", "pedigree"]
    assert lines[2].split()[:2] == ["COPY", "S002"]
    assert any(line.split()[-3:] == ["child", "of", "S000"] or line.endswith("child") for line in lines)


def test_the_largest_unrelated_set_is_that_of_plink2s_pairs(
    report: Report, by_plink2: dict[tuple[str, str], dict[str, str]], callset: MadeCallset
) -> None:
    near: dict[str, set[str]] = {name: set() for name in callset.samples}
    for (one, other), row in by_plink2.items():
        if float(row["KINSHIP"]) >= 0.0884:
            near[one].add(other)
            near[other].add(one)
    largest = find_largest_unrelated({one: frozenset(others) for one, others in near.items()})
    assert report.details["n_unrelated"] == len(largest) < len(callset.samples)
    assert f"of 64 people {len(largest)} are not related to each other" in report.summary


def test_the_same_again_does_nothing_and_other_parameters_or_loads_do(
    callset: MadeCallset, run: Run, tmp_path: Path
) -> None:
    small = MadeCallset(callset.samples, {"22": callset.contigs["22"]}, callset.people)
    lake = fill_lake(tmp_path / "lake", small)
    first = run(tmp_path / "lake")
    assert first.changed
    few = [
        note
        for note in first.notes
        if "of 1 contig alone (22): kinship of fewer than 5 contigs misses" in note
    ]
    assert len(few) == 1
    before = rows_of(tmp_path / "lake")
    again = run(tmp_path / "lake")
    assert not again.changed
    assert again.rows == {}
    assert few[0] in again.notes
    assert again.summary.endswith("up to date, nothing to do")
    assert "only_in_pedigree" not in again.details
    assert rows_of(tmp_path / "lake") == before
    other = run(tmp_path / "lake", min_kinship=0.2)
    assert other.changed
    assert {row["kinship"] >= 0.2 for row in rows_of(tmp_path / "lake")} == {True}
    append(lake, t.LOADS, pa.Table.from_pylist([load_row("v9")], schema=t.LOADS.arrow_schema))
    assert run(tmp_path / "lake", min_kinship=0.2).changed
    assert rows_of(tmp_path / "lake", t.KINSHIP_RUNS)[0]["load_ids"] == ["v1", "v9"]


def test_a_run_that_is_cut_off_leaves_no_pairs_that_are_believed(
    callset: MadeCallset, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = MadeCallset(callset.samples, {"22": callset.contigs["22"]}, callset.people)
    fill_lake(tmp_path / "lake", small)
    run(tmp_path / "lake")
    put = Context.put

    def put_or_end(self: Context, table: Any, rows: Any, where: str | None) -> int:
        if table is t.KINSHIP_RUNS and rows:
            raise KeyboardInterrupt
        return put(self, table, rows, where)

    monkeypatch.setattr(Context, "put", put_or_end)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "lake", min_kinship=0.3)
    monkeypatch.undo()
    with pytest.raises(InputError, match="Its kinship is not known"):
        fetch(tmp_path / "lake", callset.samples, ["v1"])
    assert run(tmp_path / "lake").changed


def test_spark_counts_the_same(
    lake: Lake,
    run: Run,
    report: Report,
    place: Path,
    callset: MadeCallset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill_lake(tmp_path / "other", callset, loads=("v1", "v2"), row_group=400)
    monkeypatch.setattr(genotype_tasks, "DRIVER_GENOTYPES", 0)
    by_spark = run(tmp_path / "other")
    assert by_spark.summary == report.summary
    assert by_spark.details == report.details

    def without_time(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "computed_at": None} for row in rows]

    assert without_time(rows_of(tmp_path / "other")) == without_time(rows_of(place))


# -------------------------------------------------------------------------------------- what `eqtl build` asks


def fetch(place: Path, sample_ids: list[str], load_ids: list[str]) -> dict[str, frozenset[str]]:
    context = Context(Lake(no_spark, str(place)), Progress(quiet=True), READER)
    return fetch_relatives(context, CALLSET, sample_ids, load_ids)


def test_relatives_of_second_degree_and_closer_are_given_both_ways(
    report: Report, place: Path, callset: MadeCallset, by_plink2: dict[tuple[str, str], dict[str, str]]
) -> None:
    chosen = [name for name in reversed(callset.samples) if name != "S001"]
    graph = fetch(place, chosen, ["v2", "v1"])
    assert list(graph) == chosen
    expected: dict[str, set[str]] = {name: set() for name in chosen}
    for (one, other), row in by_plink2.items():
        if float(row["KINSHIP"]) >= 0.0884 and "S001" not in (one, other):
            expected[one].add(other)
            expected[other].add(one)
    assert graph == expected
    assert graph["COPY"] >= {"S002"}


def test_kinship_that_was_never_computed_or_is_stale_or_too_narrow_is_refused(
    callset: MadeCallset, run: Run, tmp_path: Path
) -> None:
    small = MadeCallset(callset.samples, {"22": callset.contigs["22"]}, callset.people)
    fill_lake(tmp_path / "lake", small)
    with pytest.raises(
        InputError,
        match=r"callset made: Its kinship is not known\. Compute it: kgp samples kinship --callset made$",
    ):
        fetch(tmp_path / "lake", callset.samples, ["v1"])
    run(tmp_path / "lake", min_kinship=0.2)
    with pytest.raises(
        InputError, match=r"Its kinship is stale: the callset's loads have changed\. Compute it"
    ):
        fetch(tmp_path / "lake", callset.samples, ["v1", "v2"])
    with pytest.raises(
        InputError, match=r"kept of pairs of at least 0\.2: .* --callset made --min-kinship 0\.0884"
    ):
        fetch(tmp_path / "lake", callset.samples, ["v1"])


def test_a_callset_without_relatives_is_told_from_one_never_looked_at(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    dosages = rng.binomial(2, 0.4, (3_000, 12)).astype(np.int8)
    contig = Contig(np.arange(3_000) * 10, ["A"] * 3_000, ["C"] * 3_000, dosages)
    samples = [f"S{i:03}" for i in range(12)]
    fill_lake(tmp_path / "lake", MadeCallset(samples, {"1": contig}))
    report = run(tmp_path / "lake", min_kinship=0.0884)
    assert report.details["degrees"] == {"duplicate": 0, "first": 0, "second": 0, "third": 0}
    assert (
        report.summary
        == "0 related pairs in callset made (none); of 12 people 12 are not related to each other"
    )
    assert rows_of(tmp_path / "lake") == []
    assert fetch(tmp_path / "lake", samples, ["v1"]) == {name: frozenset() for name in samples}


# --------------------------------------------------------------------------------------------- what is refused


def test_bad_input_is_said(
    run: Run, callset: MadeCallset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sexual = {name: callset.contigs[name] for name in ("X", "Y", "MT")}
    fill_lake(tmp_path / "sexual", MadeCallset(callset.samples, sexual))
    with pytest.raises(InputError, match=r"callset made: It has no variants on autosomes, but on X, Y, MT\."):
        run(tmp_path / "sexual")
    with pytest.raises(
        InputError, match=r"--callset: There is no callset other in this lake\. There are: made\."
    ):
        run(tmp_path / "sexual", callset="other")
    fill_lake(tmp_path / "lake", MadeCallset(callset.samples, {"22": callset.contigs["22"]}))
    with pytest.raises(
        InputError, match=r"--contig: Callset made has no variants on 3\. It has some on 22\."
    ):
        run(tmp_path / "lake", contig=("chr22", "3"))
    flat = Contig(np.arange(9) * 10, ["A"] * 9, ["C"] * 9, np.zeros((9, len(callset.samples)), np.int8))
    fill_lake(tmp_path / "flat", MadeCallset(callset.samples, {"22": flat}))
    with pytest.raises(
        InputError,
        match=r"None of its variants on autosomes tells of kinship: 9 minor allele too rare\. Choose a",
    ):
        run(tmp_path / "flat")
    monkeypatch.setattr(compute_kinship, "MAX_PAIRS", 3)
    with pytest.raises(
        InputError, match=r"pairs would be related: too few variants were compared, or the bound is"
    ):
        run(tmp_path / "lake")


def test_people_without_heterozygous_genotypes_are_counted(run: Run, tmp_path: Path) -> None:
    dosages = np.random.default_rng(3).integers(0, 3, (200, 6)).astype(np.int8)
    dosages[:, 0] = np.where(dosages[:, 0] == 1, 2, dosages[:, 0])
    contig = Contig(np.arange(200) * 10, ["A"] * 200, ["C"] * 200, dosages)
    fill_lake(tmp_path / "lake", MadeCallset([f"S{i}" for i in range(6)], {"1": contig}))
    report = run(tmp_path / "lake", min_kinship=0.4)
    assert "the kinship of 5 pairs can't be told: somebody has no heterozygous genotype" in report.notes
    assert any(note.startswith("only pairs of at least 0.4 were kept") for note in report.notes)


def test_haploid_genotypes_on_an_autosome_are_left_out(run: Run, tmp_path: Path) -> None:
    """By the counts that the load wrote beside the dosages: a haploid 1 is no heterozygous genotype."""
    dosages = np.random.default_rng(3).integers(0, 3, (300, 8)).astype(np.int8)
    contig = Contig(np.arange(300) * 10, ["A"] * 300, ["C"] * 300, dosages)
    lake = fill_lake(tmp_path / "lake", MadeCallset([f"S{i}" for i in range(8)], {"1": contig}))
    rows = lake.fetch_all(t.VARIANTS).to_pylist(maps_as_pydicts="strict")
    for i, row in enumerate(rows):
        n_het = int((np.array(row["dosages"]) == 1).sum())
        row["n_het"] = n_het - 1 if i % 10 == 0 and n_het else n_het
        row["n_hom_alt"] = int((np.array(row["dosages"]) == 2).sum())
    n_wrong = sum(row["n_het"] != row["dosages"].count(1) for row in rows)
    lake.put(t.VARIANTS, rows, None)
    report = run(tmp_path / "lake", min_maf=0.0)
    assert n_wrong > 20
    assert report.details["variants_left_out"]["genotypes that are not diploid"] == n_wrong
    assert report.details["n_variants"] == 300 - n_wrong


def test_phase_3s_people_on_21_contigs(
    run: Run, shared_data: Path, require_tool: Callable[[str], Path], tmp_path: Path
) -> None:
    """55 ancestry-informative SNVs of 2,504 people: far too few to tell relatives, and the same numbers as plink2's."""
    vcf = shared_data / "phase3-grch37" / "kidd.aisnp.1kg.vcf"
    with vcf.open() as lines:
        rows = [line.rstrip("\n").split("\t") for line in lines if not line.startswith("##")]
    contigs: dict[str, Contig] = {}
    for name in dict.fromkeys(row[0] for row in rows[1:]):
        here = sorted((row for row in rows[1:] if row[0] == name), key=lambda row: int(row[1]))
        dosages = [[call[:3].count("1") for call in row[9:]] for row in here]
        contigs[name] = Contig(
            np.array([int(row[1]) - 1 for row in here]), [row[3] for row in here], [row[4] for row in here],
            np.array(dosages, dtype=np.int8),
        )  # fmt: skip
    real = MadeCallset(rows[0][9:], contigs)
    fill_lake(tmp_path / "lake", real)
    report = run(tmp_path / "lake", min_kinship=0.45)
    plink2 = require_tool("plink2")
    command = [plink2, "--vcf", vcf, "--snps-only", "--maf", "0.01", "--geno", "0.05", "--make-king-table"]
    command += ["--king-table-filter", "0.45", "--out", tmp_path / "king", "--threads", "1"]
    subprocess.run(command, check=True, capture_output=True)
    theirs = {
        (min(row["IID1"], row["IID2"]), max(row["IID1"], row["IID2"])): row
        for row in read_table(tmp_path / "king.kin0")
    }
    assert report.details["n_variants"] > 50
    check_rows(rows_of(tmp_path / "lake"), theirs, 0.45)
