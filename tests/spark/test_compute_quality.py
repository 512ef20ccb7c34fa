"""`kgp quality` on lakes written here from numbers and from the bundled slice, against numpy on the whole matrix."""

from __future__ import annotations

import dataclasses
import datetime
import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable, WriterProperties, write_deltalake

from kgp import tables as t
from kgp.errors import CheckError, InputError
from kgp.io.delta import Lake
from kgp.job import Progress, run_job
from kgp.jobs import compute_quality, quality_rows
from kgp.jobs.compute_quality import COMPUTE_QUALITY
from kgp.params import Quality

DATASET = "E-GEUV-1"


def no_spark():
    raise AssertionError("Spark was started")


@dataclass
class Written:
    """A quantification as a lake holds it.

    Args:
        values: phenotypes × runs.
        runs: run → person; nobody where None.
        people: person → (sex, population).
        phenotypes: (phenotype_id, contig, start, gene_name) each; made up where none are given.
    """

    values: np.ndarray
    runs: dict[str, str | None]
    people: dict[str, tuple[str | None, str | None]]
    phenotypes: list[tuple[str, str, int, str | None]] = field(default_factory=list)
    name: str = "genes"
    kind: str = "gene"
    unit: str = "rpkm"
    processing: str = "none"
    load_id: str = "e1"
    people_load: str = "p1"
    rows_a_group: int = 10_000
    rows_a_file: int = 1_000_000
    drops_missing: bool = False

    def __post_init__(self):
        self.phenotypes = self.phenotypes or [
            (f"g{i:05d}.1", "22", 1000 * i, None) for i in range(len(self.values))
        ]

    def expression(self):
        ids = [p[0] for p in self.phenotypes]
        flat = self.values.ravel()
        rows = pa.table(
            {
                "dataset": pa.repeat(DATASET, flat.size),
                "quantification": pa.repeat(self.name, flat.size),
                "phenotype_id": pa.array(np.repeat(ids, len(self.runs))),
                "run_id": pa.array(np.tile(list(self.runs), len(ids))),
                "load_id": pa.repeat(self.load_id, flat.size),
                "value": pa.array(flat, mask=np.isnan(flat)),
            }
        )
        if self.drops_missing:
            rows = rows.filter(pa.array(~np.isnan(flat)))
        return rows.select(t.EXPRESSION.columns).cast(t.EXPRESSION.arrow_schema)

    def fill(self, lake):
        """Put it into a lake, beside what is there."""

        def put(table, rows, where):
            lake.put(table, [{**row} for row in rows], where)

        mine = f"dataset = '{DATASET}' AND quantification = '{self.name}'"
        loads = [(self.load_id, "expression", DATASET), (self.people_load, "samples", "panel")]
        for load_id, target, subject in loads:
            put(t.LOADS, [make_load(load_id, target, subject)], f"load_id = '{load_id}'")
        put(
            t.SAMPLES,
            [
                {"sample_id": s, "sex": x, "population": p, "callsets": [], "load_ids": [self.people_load]}
                for s, (x, p) in self.people.items()
            ],
            None,
        )
        put(
            t.RUNS,
            [
                {"dataset": DATASET, "run_id": r, "sample_id": s, "evidence": "test", "load_ids": ["r1"],
                 "lab": "UNIGE", "problem": None if s else "nobody"}
                for r, s in self.runs.items()
            ],
            None,
        )  # fmt: skip
        quantification = {
            "dataset": DATASET, "quantification": self.name, "kind": self.kind, "unit": self.unit,
            "processing": self.processing, "build": "GRCh37", "annotation": "matrix",
            "n_phenotypes": len(self.phenotypes), "run_ids": list(self.runs), "columns": list(self.runs),
            "load_id": self.load_id,
        }  # fmt: skip
        put(t.QUANTIFICATIONS, [quantification], mine)
        put(
            t.PHENOTYPES,
            [
                {"dataset": DATASET, "quantification": self.name, "phenotype_id": p, "kind": self.kind,
                 "unit": self.unit, "contig": c, "start": start, "end": start + 100, "tss": start + 1,
                 "build": "GRCh37", "source_contig": f"chr{c}", "load_id": self.load_id, "gene_name": symbol}
                for p, c, start, symbol in self.phenotypes
            ],
            mine,
        )  # fmt: skip
        lake.create(t.EXPRESSION)
        DeltaTable(lake.path(t.EXPRESSION)).delete(mine)
        rows = self.expression()
        for start in range(0, rows.num_rows, self.rows_a_file):
            write_deltalake(
                lake.path(t.EXPRESSION),
                rows.slice(start, self.rows_a_file),
                mode="append",
                writer_properties=WriterProperties(max_row_group_size=self.rows_a_group),
            )
        return self


def make_load(load_id, target, subject):
    """A row of `loads`."""
    return {
        "load_id": load_id, "target": target, "subject": subject, "path": f"{load_id}.txt", "content_id": load_id,
        "build": "GRCh37", "selection": {}, "reader": "test", "reader_reason": "test", "versions": {}, "rows_in": 0,
        "rows_out": 0, "rows_quarantined": 0, "alleles_out": 0, "warnings": {}, "warned_at": {}, "seconds": 0.0,
        "loaded_at": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    }  # fmt: skip


def make_genes(n_phenotypes=200, n_runs=30, seed=0, **given):
    """Numbers like those of genes of runs that differ in nothing."""
    rng = np.random.default_rng(seed)
    values = np.exp2(
        rng.normal(2.0, 3.0, size=(n_phenotypes, 1)) + rng.normal(0, 0.5, size=(n_phenotypes, n_runs))
    )
    people = {f"HG{i:05d}": ("male" if i % 2 else "female", "CEU") for i in range(n_runs)}
    runs = dict(zip((f"ERR{i}" for i in range(n_runs)), people, strict=True))
    return Written(values, runs, people, **given)


@pytest.fixture
def place(tmp_path):
    return Lake(no_spark, str(tmp_path / "lake"))


@pytest.fixture
def judge(make_config):
    """``judge(lake, **options)``: run the job; gives its report."""

    def run(lake, **options):
        config = make_config(lake.uri)
        params = config.params(Quality, {"dataset": DATASET, **options})
        return run_job(COMPUTE_QUALITY, params, config, progress=Progress(quiet=True))

    return run


def rows_of(lake, name="genes"):
    rows = lake.fetch(t.EXPRESSION_QUALITY, where=f"quantification = '{name}'").to_pylist()
    return {row["run_id"]: row for row in rows}


def flags_of(lake, name="genes"):
    return {run: row["flags"] for run, row in rows_of(lake, name).items() if row["flags"]}


def scores(values):
    away = values - np.median(values)
    return away / (1.4826 * np.median(np.abs(away)))


# -- the bundled slice


@pytest.fixture(scope="module")
def slice_of_22(bundled: Path):
    """RPKM of the bundled genes, and who the people are, from the files."""
    with gzip.open(bundled / "genes.50percent.chr22.bed.gz", "rt") as text:
        header, *body = (line.rstrip("\n").split("\t") for line in text)
    with open(bundled / "samples.panel") as text:
        panel = {f[0]: (f[3], f[1]) for f in (line.split() for line in text) if f[0] != "sample"}
    values = np.array([[float(x) for x in fields[6:]] for fields in body])
    genes = [(fields[3], "22", int(fields[1]), None) for fields in body]
    assert values.shape == (301, 358)
    return Written(values, {run: run for run in header[6:]}, panel, genes)


def numpy_of(values):
    """D-statistic, and the shares and scores of components, of RPKM by numpy on the whole matrix."""
    logs = np.log2(values[(values >= 0.1).sum(axis=1) >= values.shape[1] / 2] + 1)
    correlations = np.corrcoef(logs.T)
    d = np.array([np.median(np.delete(correlations[i], i)) for i in range(len(correlations))])
    scaled = (logs - logs.mean(axis=1, keepdims=True)) / logs.std(axis=1, ddof=1, keepdims=True)
    _, lengths, directions = np.linalg.svd(scaled, full_matrices=False)
    return len(logs), d, lengths**2 / (lengths**2).sum(), directions.T * lengths


def test_the_real_slice_is_what_numpy_says(place, judge, slice_of_22):
    slice_of_22.fill(place)
    report = judge(place)
    rows = rows_of(place)
    n_compared, d, shares, components = numpy_of(slice_of_22.values)
    runs = list(slice_of_22.runs)
    assert list(rows) == sorted(runs)
    assert {row["n_phenotypes"] for row in rows.values()} == {n_compared}
    assert [rows[r]["d_statistic"] for r in runs] == pytest.approx(d.tolist(), abs=1e-12)
    assert [rows[r]["d_score"] for r in runs] == pytest.approx(scores(d).tolist(), abs=1e-9)
    assert [rows[r]["n_expressed"] for r in runs] == (slice_of_22.values > 0).sum(axis=0).tolist()
    found = np.array([rows[r]["components"] for r in runs])
    assert rows[runs[0]]["variance_explained"] == pytest.approx(shares[:10].tolist(), abs=1e-12)
    assert np.abs(found) == pytest.approx(np.abs(components[:, :10]), abs=1e-7)
    assert {rows[r]["population"] for r in runs} == {slice_of_22.people[r][1] for r in runs}
    assert all(rows[r]["sex_stated"] == slice_of_22.people[r][0] for r in runs)
    low = {runs[i] for i in np.flatnonzero(scores(d) < -5)}
    assert low == {"HG00102", "NA11930", "NA12717"}
    assert flags_of(place) == {run: ["low_correlation"] for run in low}
    assert report.details["quantifications"][0]["n_flagged"] == 3
    assert report.details["quantifications"][0]["not_checked"] == [
        "sex: the quantification does not have XIST nor an expressed gene of Y"
    ]


def test_planted_mistakes_are_found_and_no_others(place, judge, slice_of_22):
    rng = np.random.default_rng(0)
    values = slice_of_22.values.copy()
    runs = list(slice_of_22.runs)
    noise, faint = runs.index("HG00171"), runs.index("NA20520")
    values[:, noise] = rng.permutation(values[:, noise])
    values[rng.random(len(values)) < 0.7, faint] = 0.0
    dataclasses.replace(slice_of_22, values=values).fill(place)
    report = judge(place)
    flags = flags_of(place)
    assert set(flags) == {"HG00102", "NA11930", "NA12717", "HG00171", "NA20520"}
    assert "low_correlation" in flags["HG00171"]
    assert "low_expression" not in flags["HG00171"]
    assert {"low_correlation", "low_expression"} <= set(flags["NA20520"])
    assert [run for run, its in flags.items() if "low_expression" in its] == ["NA20520"]
    shown = report.text.split("\n")
    assert "genes (gene, rpkm; computed): 358 runs, 5 flagged" in shown
    assert any("HG00171" in line and "median correlation" in line for line in shown)
    assert any("NA20520" in line and "phenotypes above 0" in line for line in shown)


# -- components and groups


def test_one_run_of_another_kind_is_a_pca_outlier_and_a_laboratory_is_a_group(place, judge):
    written = make_genes(400, 100)
    rng = np.random.default_rng(3)
    written.values[:, 17] *= np.exp2(rng.normal(0, 2.0, size=400))
    written.values[:, 40:65] *= np.exp2(rng.normal(0, 0.9, size=(400, 1)))
    written.fill(place)
    report = judge(place)
    assert "pca_outlier" in flags_of(place)["ERR17"]
    assert [run for run, its in flags_of(place).items() if "pca_outlier" in its] == ["ERR17"]
    notes = report.details["quantifications"][0]["notes"]
    assert any("25 runs lie apart on component 1: a group" in note for note in notes)
    assert any(
        "component" in line and "scaled MADs" in line and "ERR17" in line for line in report.text.split("\n")
    )


# -- sex

X_AND_Y = [
    ("ENSG00000229807.4", "X", 73_040_485, "XIST"),
    ("ENSG00000129824.11", "Y", 2_709_526, "RPS4Y1"),
    ("ENSG00000067048.12", "Y", 15_016_018, "DDX3Y"),
    ("ENSG00000182378.8", "Y", 148_060, "PLCXD1"),  # pseudoautosomal: as in X
    ("ENSG00000172288.3", "Y", 27_768_263, "CDY1"),  # silent
]


def with_sexes(n_runs=60, **given):
    """Genes of which some tell of sex; runs of even number are of females."""
    written = make_genes(100, n_runs, **given)
    rng = np.random.default_rng(9)
    is_male = np.arange(n_runs) % 2 == 1
    on = np.exp2(rng.normal(4.5, 0.4, size=(3, n_runs)))
    written.values[-5:] = [
        np.where(is_male, 0.01, on[0]),
        np.where(is_male, on[1], 0.02),
        np.where(is_male, on[2], 0.0),
        np.full(n_runs, 8.0),
        np.zeros(n_runs),
    ]
    written.phenotypes[-5:] = X_AND_Y
    return written


def test_a_swapped_sex_is_flagged_and_a_lost_chromosome_is_not(place, judge):
    written = with_sexes()
    person = written.runs["ERR7"]
    written.people[person] = ("female", "CEU")
    written.values[-5, 4] = 0.0  # XIST lost
    written.values[-4:-2, 9] = 0.0  # Y lost
    written.fill(place)
    report = judge(place)
    rows = rows_of(place)
    assert flags_of(place) == {"ERR7": ["sex_mismatch"]}
    assert (rows["ERR7"]["sex_stated"], rows["ERR7"]["sex_inferred"]) == ("female", "male")
    assert rows["ERR4"]["sex_inferred"] is rows["ERR9"]["sex_inferred"] is None
    told = [run for run, row in rows.items() if row["sex_inferred"] is not None]
    assert len(told) == 58
    genes = written.values[-5:]
    assert [rows[r]["xist"] for r in written.runs] == pytest.approx(np.log2(genes[0] + 1).tolist())
    expected = np.log2(genes[1:3] + 1).mean(axis=0)
    assert [rows[r]["y_expression"] for r in written.runs] == pytest.approx(expected.tolist())
    facts = report.details["quantifications"][0]
    assert facts["not_checked"] == [
        "sex: undecided for 2 runs that express XIST and genes of Y both, neither, or little"
    ]
    assert "y_expression is the mean of 2 phenotypes of Y" in facts["notes"]
    (only,) = facts["flagged"]
    assert only["reasons"][0].startswith("stated female, expresses as male (XIST 0.01, Y ")
    assert f"{person}  sex_mismatch" in report.text


def test_a_run_of_nobody_has_no_stated_sex(place, judge):
    written = with_sexes()
    written.runs["ERR7"] = None
    written.fill(place)
    report = judge(place)
    row = rows_of(place)["ERR7"]
    assert (row["sample_id"], row["sex_stated"], row["sex_inferred"], row["flags"]) == (
        None,
        None,
        "male",
        [],
    )
    nobody = "1 runs of nobody who is known: nothing to compare their sex with"
    assert report.details["quantifications"][0]["not_checked"] == [nobody]


def test_females_alone_are_not_split(place, judge):
    written = with_sexes()
    females = [i for i in range(60) if i % 2 == 0]
    runs = dict(list(written.runs.items())[::2])
    dataclasses.replace(written, values=written.values[:, females], runs=runs).fill(place)
    report = judge(place)
    assert {row["sex_inferred"] for row in rows_of(place).values()} == {None}
    assert report.details["quantifications"][0]["not_checked"] == [
        "sex: the quantification does not have an expressed gene of Y"
    ]


# -- parts of the table


@pytest.mark.parametrize(("rows_a_group", "rows_a_file"), [(7, 100_000), (64, 1_800), (10_000, 30 * 11)])
def test_phenotypes_torn_by_parts_count_once_whole(place, judge, rows_a_group, rows_a_file, monkeypatch):
    written = make_genes(80, 30, rows_a_group=rows_a_group, rows_a_file=rows_a_file)
    written.values[3, 4] = np.nan
    written.fill(place)
    monkeypatch.setattr(quality_rows, "_BATCH_ROWS", 50)
    monkeypatch.setattr(quality_rows, "_BATCH_PHENOTYPES", 1)
    monkeypatch.setattr(compute_quality, "_PART_ROWS", 1)
    judge(place)
    rows = rows_of(place)
    logs = np.log2(written.values[(written.values >= 0.1).sum(axis=1) >= 15] + 1)
    assert np.isnan(logs).sum() == 1
    correlations = pd.DataFrame(logs).corr().to_numpy()  # pair by pair
    d = [np.median(np.delete(one, i)) for i, one in enumerate(correlations)]
    assert [rows[run]["d_statistic"] for run in written.runs] == pytest.approx(d, abs=1e-12)
    whole = Lake(no_spark, place.uri + "2")
    dataclasses.replace(written, rows_a_group=1_000_000, rows_a_file=1_000_000).fill(whole)
    monkeypatch.undo()
    judge(whole)
    assert_same(rows, rows_of(whole))


def assert_same(a, b):
    assert list(a) == list(b)
    for run in a:
        for name in ("d_statistic", "d_score", "xist", "y_expression", "components", "variance_explained"):
            assert a[run][name] == pytest.approx(b[run][name], abs=1e-8), (run, name)
        exact = set(a[run]) - {
            "d_statistic",
            "d_score",
            "xist",
            "y_expression",
            "components",
            "variance_explained",
        }
        assert {name: a[run][name] for name in exact} == {name: b[run][name] for name in exact}


def test_spark_tasks_give_what_the_driver_gives(spark, place, judge, monkeypatch):
    written = with_sexes(rows_a_group=700, rows_a_file=2_500, unit="count").fill(place)
    with monkeypatch.context() as changed:
        changed.setattr(compute_quality, "_DRIVER_VALUES", 0)
        changed.setattr(compute_quality, "_PART_ROWS", 700)
        judge(place)
    by_tasks = rows_of(place)
    alone = Lake(no_spark, place.uri + "2")
    written.fill(alone)
    judge(alone)
    assert_same(by_tasks, rows_of(alone))
    assert sum(row["sex_inferred"] is not None for row in by_tasks.values()) == 60


def test_a_run_without_a_row_has_a_missing_value(place, judge):
    written = make_genes(120, 25)
    written.values[10:60, 3] = np.nan
    written.fill(place)
    report = judge(place)
    bare = Lake(no_spark, place.uri + "2")
    dataclasses.replace(written, drops_missing=True).fill(bare)
    judge(bare)
    assert_same(rows_of(place), rows_of(bare))
    notes = " ".join(report.details["quantifications"][0]["notes"])
    assert "have missing values: correlations are of those that both runs have" in notes


def test_counts_are_compared_as_counts_per_million(place, judge):
    written = make_genes(150, 20, unit="count")
    written.values = np.round(written.values * 100 * np.linspace(1, 3, 20))
    written.fill(place)
    report = judge(place)
    per_million = written.values / written.values.sum(axis=0) * 1e6
    _, d, _, _ = numpy_of(per_million)
    rows = rows_of(place)
    assert [rows[r]["d_statistic"] for r in written.runs] == pytest.approx(d.tolist(), abs=1e-12)
    assert "compared as log2(counts per million + 1)" in report.text


def test_residuals_are_taken_as_they_are_and_not_counted(place, judge):
    written = make_genes(150, 40, processing="peer10_residuals")
    written.values = np.log2(written.values)
    written.values[:140, 5] = -np.abs(written.values[:140, 5])
    written.fill(place)
    report = judge(place)
    correlations = np.corrcoef(written.values.T)
    d = [np.median(np.delete(one, i)) for i, one in enumerate(correlations)]
    rows = rows_of(place)
    assert [rows[r]["d_statistic"] for r in written.runs] == pytest.approx(d, abs=1e-12)
    assert "compared as residuals as they are, 150 of 150" in report.text
    assert all("low_expression" not in row["flags"] for row in rows.values())


# -- again, stale, gone


def test_again_changes_nothing_and_says_the_same(place, judge):
    written = with_sexes()
    written.people[written.runs["ERR7"]] = ("female", "CEU")
    written.fill(place)
    first = judge(place)
    version = place.version(t.EXPRESSION_QUALITY)
    second = judge(place)
    assert (first.changed, second.changed) == (True, False)
    assert first.rows == {"expression_quality": 60}
    assert place.version(t.EXPRESSION_QUALITY) == version
    assert second.summary == ("quantifications of E-GEUV-1: 1 up to date; runs flagged: 1, nothing to do")
    a, b = (report.details["quantifications"][0] for report in (first, second))
    assert a["flagged"] == b["flagged"]
    assert a["not_checked"] == b["not_checked"]
    json.dumps(first.as_dict(), allow_nan=False)


@pytest.mark.parametrize("change", ["sex", "load", "n_components", "max_mads"])
def test_what_it_depends_on_makes_it_stale(place, judge, change):
    written = make_genes().fill(place)
    judge(place)
    before = {row["quality_id"] for row in rows_of(place).values()}
    options = {}
    if change == "sex":
        written.people["HG00000"] = ("male", "CEU")
    elif change == "load":
        written.load_id = "e2"
    else:
        options = {change: 3}
    written.fill(place)
    report = judge(place, **options)
    after = {row["quality_id"] for row in rows_of(place).values()}
    assert report.changed
    assert len(before) == len(after) == 1
    assert before != after
    assert len(rows_of(place)) == 30
    if change == "load":
        assert all("e2" in row["load_ids"] for row in rows_of(place).values())
    assert not judge(place, **options).changed


def test_another_load_that_says_the_same_of_the_people_changes_nothing(place, judge):
    written = make_genes().fill(place)
    judge(place)
    before = rows_of(place)
    written.people_load = "p2"
    written.fill(place)
    assert not judge(place).changed
    assert rows_of(place) == before


def test_a_quantification_that_is_gone_takes_its_rows_with_it(place, judge):
    make_genes().fill(place)
    make_genes(name="old").fill(place)
    judge(place)
    assert len(rows_of(place, "old")) == 30
    place.put(t.QUANTIFICATIONS, [], "quantification = 'old'")
    report = judge(place)
    assert report.changed
    assert "removed, for E-GEUV-1 has it no more: old" in report.text
    assert (len(rows_of(place, "old")), len(rows_of(place))) == (0, 30)


def test_exons_are_compared_only_when_they_are_named(place, judge):
    make_genes().fill(place)
    make_genes(name="exons", kind="exon").fill(place)
    report = judge(place)
    assert report.notes == ["exons are compared when they are named: exons"]
    assert not rows_of(place, "exons")
    judge(place, quantification=("exons",))
    assert len(rows_of(place, "exons")) == 30


def test_few_runs_are_compared_but_not_flagged_and_two_are_not_compared(place, judge):
    few = make_genes(100, 6)
    few.values[:, 2] = np.random.default_rng(1).permutation(few.values[:, 2])
    few.fill(place)
    make_genes(100, 2, name="two").fill(place)
    report = judge(place)
    facts = {one["quantification"]: one for one in report.details["quantifications"]}
    assert rows_of(place)["ERR2"]["d_score"] < -5
    assert not flags_of(place)
    assert "outliers: fewer than 10 runs are too few to tell one" in facts["genes"]["not_checked"]
    assert facts["two"]["state"] == "skipped"
    assert facts["two"]["notes"] == ["2 runs are too few to compare: 3 are needed"]
    assert "2 runs are too few to compare: 3 are needed" in report.text
    assert not rows_of(place, "two")


# -- bad input


def test_a_dataset_that_is_not_there(place, judge):
    with pytest.raises(InputError, match=r"There is no expression of dataset E-GEUV-1 .* Load it first"):
        judge(place)
    make_genes().fill(place)
    with pytest.raises(InputError, match=r"--dataset: .* E-GEUV-2 .* There are: E-GEUV-1\."):
        judge(place, dataset="E-GEUV-2")


def test_a_quantification_that_is_not_there(place, judge):
    make_genes().fill(place)
    with pytest.raises(
        InputError, match=r"has no quantification 'gene'\. Did you mean genes\? There are: genes\."
    ):
        judge(place, quantification=("gene",))


def test_exons_alone_have_to_be_named(place, judge):
    make_genes(name="exons", kind="exon").fill(place)
    with pytest.raises(InputError, match=r"--quantification: .* of exons only, .* Name one: exons\."):
        judge(place)


def test_values_that_do_not_add_up_are_refused(place, judge):
    written = make_genes().fill(place)
    DeltaTable(place.path(t.EXPRESSION)).delete("phenotype_id = 'g00007.1'")
    with pytest.raises(CheckError, match=r"199 phenotypes have values instead of 200\."):
        judge(place)
    rows = written.expression()
    write_deltalake(place.path(t.EXPRESSION), rows.slice(30 * 7, 30), mode="append")
    judge(place, n_components=2)
    write_deltalake(place.path(t.EXPRESSION), rows.slice(30 * 7 + 4, 1), mode="append")
    with pytest.raises(CheckError, match=r"g00007\.1 has two values in one run|instead of"):
        judge(place)


def test_a_value_that_stands_twice_is_refused(place, judge):
    written = make_genes().fill(place)
    rows = written.expression()
    write_deltalake(
        place.path(t.EXPRESSION), pa.concat_tables([rows.slice(0, 3), rows.slice(0, 1)]), mode="append"
    )
    with pytest.raises(CheckError, match=r"genes: g00000\.1 has two values in one run"):
        judge(place, n_components=4)


def test_a_run_that_the_quantification_does_not_have_is_refused(place, judge):
    written = make_genes().fill(place)
    written.runs["ERR99"] = None
    stranger = dataclasses.replace(written, values=np.ones((200, 31))).expression().slice(30, 1)
    write_deltalake(place.path(t.EXPRESSION), stranger, mode="append")
    with pytest.raises(CheckError, match=r"Run ERR99 has values, but is none of the quantification's runs"):
        judge(place)
