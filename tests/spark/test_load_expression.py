"""`load_expression` on real matrices and on small ones: every value, every run, every refusal, nothing half-loaded.

What a matrix holds is read here from its raw text. Small matrices are loaded without Spark: only the tests that ask for
`spark` start it.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pysam
import pytest
from pyspark.sql import SparkSession

from kgp.config import Config
from kgp.errors import BuildError, FormatError, InputError, KgpError, LakeError, OverlapError, UsageError
from kgp.io.delta import Lake
from kgp.io.expression import reader
from kgp.job import Progress, Report, run_job
from kgp.jobs import load_expression
from kgp.jobs.load_expression import LOAD_EXPRESSION
from kgp.jobs.load_runs import LOAD_RUNS
from kgp.params import LoadExpression, LoadRuns
from kgp.tables import (
    ALL_TABLES,
    EXPRESSION,
    HEADERS,
    LOADS,
    PHENOTYPES,
    QUANTIFICATIONS,
    QUARANTINE,
    RUN_ALIASES,
    RUNS,
    SAMPLES,
)

HEADER = "#chr\tstart\tend\tid\tHG00096\tHG00097\n"
LINE = "22\t9\t10\tA\t1\t2\n"


def no_spark() -> NoReturn:
    raise AssertionError("a small matrix is loaded without Spark")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake that no session belongs to."""
    return Lake(no_spark, str(tmp_path / "lake"))


@pytest.fixture
def load(
    lake: Lake, config: Config, make_config: Callable[[str], Config], bundled: Path
) -> Callable[..., Report]:
    """``load(matrix, …)``: the people of the panel, then a matrix with options."""
    here = make_config(lake.uri)
    panel = (bundled / "samples.panel").read_text(encoding="utf-8").splitlines()[1:]
    known = [line.split("\t")[0] for line in panel]

    def run(
        *matrices: Path, people: Iterable[str] = known, with_spark: bool = False, **options: Any
    ) -> Report:
        rows = [{"sample_id": name, "load_ids": ["p1"], "callsets": []} for name in people]
        if lake.version(SAMPLES) is None:
            lake.put(SAMPLES, rows, None)
        given = {"dataset": "D", "build": "GRCh37", **options, "matrix": tuple(map(str, matrices))}
        given = {name: value for name, value in given.items() if value is not None}
        params = config.params(LoadExpression, given)
        progress = Progress(quiet=True)
        report = run_job(LOAD_EXPRESSION, params, here, progress=progress)
        assert with_spark == (progress.spark is not None)
        return report

    return run


def stored(lake: Lake, quantification: str, columns: list[str]) -> pd.DataFrame:
    """phenotypes × columns of a quantification, by the file's headings."""
    (row,) = (r for r in lake.fetch(QUANTIFICATIONS).to_pylist() if r["quantification"] == quantification)
    assert row["columns"] == columns
    values = lake.fetch(EXPRESSION, where=f"quantification = '{quantification}'").to_pandas()
    assert not values.duplicated(["phenotype_id", "run_id"]).any()
    wide = values.pivot(index="phenotype_id", columns="run_id", values="value")
    shown: pd.DataFrame = wide[row["run_ids"]].set_axis(columns, axis=1)
    return shown


def check_values(lake: Lake, quantification: str, expected: pd.DataFrame) -> None:
    found = stored(lake, quantification, list(expected.columns))
    assert sorted(found.index) == sorted(expected.index)
    np.testing.assert_array_equal(found.loc[expected.index].to_numpy(), expected.to_numpy(float))


def read_table(path: Path, **how: Any) -> pd.DataFrame:
    table: pd.DataFrame = pd.read_csv(path, sep="\t", float_precision="round_trip", **how)
    return table


def versions(lake: Lake) -> dict[str, int | None]:
    return {table.name: lake.version(table) for table in ALL_TABLES}


# ------------------------------------------------------------------------------------------------ real matrices


def test_every_value_of_the_bundled_matrix(lake: Lake, load: Callable[..., Report], bundled: Path) -> None:
    path = bundled / "genes.50percent.chr22.bed.gz"
    report = load(path, unit="rpkm", processing="none")
    raw = read_table(path, index_col="gene")
    people = list(raw.columns[5:])
    check_values(lake, "genes.50percent.chr22", raw[people])
    assert report.rows == {
        "phenotypes": len(raw), "expression": len(raw) * len(people), "quarantine": 0, "runs": len(people),
    }  # fmt: skip

    places = {row["phenotype_id"]: row for row in lake.fetch(PHENOTYPES).to_pylist()}
    for gene, line in raw.iterrows():
        row = places[gene]
        assert (row["contig"], row["source_contig"], row["strand"]) == ("22", "chr22", line["strand"])
        assert (row["start"], row["end"], row["tss"]) == (line["start"], line["end"], line["end"])
        assert f"{row['gene_id']}.{row['gene_version']}" == gene
        assert (row["kind"], row["unit"], row["build"]) == ("gene", "rpkm", "GRCh37")
    assert {row["sample_id"] for row in lake.fetch(RUNS).to_pylist()} == set(people)
    (loaded,) = lake.fetch(LOADS).to_pylist()
    assert (loaded["target"], loaded["subject"], loaded["reader"]) == ("expression", "D", "bed")
    assert (loaded["rows_in"], loaded["rows_out"], loaded["alleles_out"]) == (
        len(raw),
        len(raw),
        raw[people].size,
    )
    with gzip.open(path, "rt") as file:
        assert lake.fetch(HEADERS)["header"].to_pylist() == [file.readline().rstrip("\n")]

    before = versions(lake)
    assert not load(path, unit="rpkm", processing="none").changed
    assert versions(lake) == before


def test_the_whole_chromosome_22_of_geuvadis(
    lake: Lake, load: Callable[..., Report], shared_data: Path
) -> None:
    path = shared_data / "geuvadis-eqtl-qtltools/genes.50percent.chr22.bed.gz"
    raw = read_table(path, index_col="gene")
    load(path, unit="rpkm")
    check_values(lake, "genes.50percent.chr22", raw[raw.columns[5:]])


def test_transcripts_of_91_people_by_the_genes_in_their_lines(
    lake: Lake, load: Callable[..., Report], shared_data: Path
) -> None:
    path = shared_data / "expression/TrQuantCount_CEU_chr19.tsv"
    bed = shared_data / "expression/genes_chr19.bed"
    raw = read_table(path, index_col="TargetID")
    genes = read_table(bed, header=None).set_index(3)
    is_placed = raw["Gene_Symbol"].isin(genes.index)
    given = {
        "dataset": "E-GEUV-1", "kind": "transcript", "unit": "count", "processing": "none", "annotation": str(bed),
        "sdrf": (str(shared_data / "metadata/E-GEUV-1.sdrf.txt"),),
    }  # fmt: skip
    unplaced = list(raw.index[~is_placed])
    refused = f"{len(unplaced):,} phenotypes have no place in the annotation: {', '.join(unplaced[:5])} … "
    for bad_lines in ("refuse", "quarantine"):
        with pytest.raises(FormatError, match=re.escape(refused)):
            load(path, unplaced="refuse", bad_lines=bad_lines, **given)
        assert lake.version(EXPRESSION) is None
    report = load(path, **given)
    people = list(raw.columns[1:])
    check_values(lake, "TrQuantCount_CEU_chr19", raw[people])
    assert (report.rows["phenotypes"], report.rows["quarantine"]) == (len(raw), 0)
    assert report.details["without_place"] == len(unplaced)
    assert (
        f"{path}: {len(unplaced):,} phenotypes are loaded without a place (not in the annotation: {len(unplaced):,}): "
        f"{', '.join(unplaced[:5])} …"
    ) in report.notes
    (loaded,) = (row for row in lake.fetch(LOADS).to_pylist() if row["target"] == "expression")
    assert dict(loaded["warnings"])["no place in the annotation"] == len(unplaced)
    found = {row["phenotype_id"]: row for row in lake.fetch(PHENOTYPES).to_pylist()}
    assert found.keys() == set(raw.index)
    for name, row in found.items():
        gene = raw.loc[name, "Gene_Symbol"]
        assert (row["group_id"], f"{row['gene_id']}.{row['gene_version']}") == (gene, gene)
        place = [row[column] for column in ("contig", "start", "end", "tss", "source_contig", "strand")]
        if gene in genes.index:
            assert place[1:3] == list(genes.loc[gene, [1, 2]])
            assert place[0] == "19"
        else:
            assert place == [None] * 6

    assert load(path, **given).changed is False
    with pytest.raises(FormatError, match=f"{len(unplaced):,} phenotypes have no .*loaded already with them"):
        load(path, unplaced="refuse", **given)
    owners = {row["run_id"]: row["sample_id"] for row in lake.fetch(RUNS).to_pylist()}
    (quantification,) = lake.fetch(QUANTIFICATIONS).to_pylist()
    assert [owners[run] for run in quantification["run_ids"]] == people


def test_cqn_of_89_runs_by_their_run_list(lake: Lake, load: Callable[..., Report], shared_data: Path) -> None:
    place = shared_data / "expression/qtlmap"
    report = load(
        place / "GEUVADIS_cqn.tsv",
        dataset="E-GEUV-1",
        build=None,  # the descriptor knows it
        people=[],
        sdrf=(str(place / "GEUVADIS_sample_metadata.tsv"),),
        annotation=str(place / "GEUVADIS_phenotype_metadata.tsv"),
    )
    raw = read_table(place / "GEUVADIS_cqn.tsv", index_col=0)
    check_values(lake, "GEUVADIS_cqn", raw)
    (row,) = lake.fetch(QUANTIFICATIONS).to_pylist()
    assert (row["kind"], row["unit"], row["processing"], row["build"]) == (
        "gene",
        "log2_cqn",
        "cqn",
        "GRCh38",
    )
    metadata = read_table(place / "GEUVADIS_sample_metadata.tsv", index_col="sample_id")
    owners = {row["run_id"]: row["sample_id"] for row in lake.fetch(RUNS).to_pylist()}
    assert owners == metadata["genotype_id"].to_dict()
    places = read_table(place / "GEUVADIS_phenotype_metadata.tsv", index_col="phenotype_id")
    for row in lake.fetch(PHENOTYPES).to_pylist():
        line = places.loc[row["phenotype_id"]]
        assert (row["contig"], row["tss"]) == (f"chr{line['chromosome']}", line["phenotype_pos"])
    assert report.details["runs_of_nobody"] == []

    with pytest.raises(UsageError, match="is below 0: that is no count"):
        load(place / "GEUVADIS_cqn.tsv", dataset="E-GEUV-1", unit="count", processing="none", build="GRCh38",
             annotation=str(place / "GEUVADIS_phenotype_metadata.tsv"))  # fmt: skip
    assert lake.fetch(QUANTIFICATIONS)["unit"].to_pylist() == ["log2_cqn"]


# ------------------------------------------------------------------------------------------- by Spark's tasks


def test_tasks_load_what_the_driver_loads(
    spark: SparkSession,
    load: Callable[..., Report],
    lake: Lake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reader, "DRIVER_BYTES", 100_000)
    random = np.random.default_rng(3)
    values = pd.DataFrame(random.normal(size=(20_000, 2)).round(7), columns=["HG00096", "HG00097"])
    values.index = pd.Index([f"G{index}" for index in values.index], name="TargetID")
    text = values.assign(Chr="1", Coord=range(1, len(values) + 1))[["Chr", "Coord", *values.columns]]
    path = tmp_path / "a.txt.gz"
    with pysam.BGZFile(str(path), "wb", None) as file:
        file.write(text.to_csv(sep="\t").encode())
    load(path, with_spark=True)
    check_values(lake, "a", values)
    (loaded,) = lake.fetch(LOADS).to_pylist()
    assert (loaded["rows_in"], loaded["reader_reason"]) == (len(values), "by its header, read by the tasks")
    assert len(lake.open(EXPRESSION).file_uris()) > 1

    before = versions(lake)
    n_files = len(list(Path(lake.path(EXPRESSION)).rglob("*.parquet")))
    bad = tmp_path / "b.txt"
    text.loc["G19990", "HG00097"] = np.inf
    text.to_csv(bad, sep="\t")
    with pytest.raises(FormatError, match=r"line 19,992: Column 5 \(HG00097\): 'inf' is not finite"):
        load(bad)
    assert versions(lake) == before
    assert len(list(Path(lake.path(EXPRESSION)).rglob("*.parquet"))) == n_files


# ---------------------------------------------------------------------------------------------- what supersedes


def test_another_unit_supersedes(lake: Lake, load: Callable[..., Report], tmp_path: Path) -> None:
    path = tmp_path / "a.bed"
    path.write_text(HEADER + LINE, encoding="utf-8")
    load(path)
    assert load(path, unit="tpm").changed
    assert lake.fetch_all(PHENOTYPES)["unit"].to_pylist() == ["tpm"]
    assert lake.fetch_all(QUANTIFICATIONS)["unit"].to_pylist() == ["tpm"]
    assert (lake.fetch_all(EXPRESSION).num_rows, lake.fetch_all(RUNS).num_rows) == (2, 2)


def test_a_file_that_changed_in_its_place_supersedes(
    lake: Lake, load: Callable[..., Report], tmp_path: Path
) -> None:
    path = tmp_path / "a.bed"
    for value in (1, 7):
        path.write_text(f"{HEADER}22\t9\t10\tA\t{value}\t2\n", encoding="utf-8")
        load(path)
    assert lake.fetch_all(EXPRESSION)["value"].to_pylist() == [7.0, 2.0]


def test_a_run_list_that_comes_later_leads_to_another_load(
    lake: Lake, load: Callable[..., Report], tmp_path: Path
) -> None:
    path, runs = tmp_path / "a.bed", tmp_path / "E.sdrf.txt"
    path.write_text(HEADER + LINE, encoding="utf-8")
    runs.write_text(
        "Source Name\tAssay Name\tComment[ENA_RUN]\nHG00096\tx1\tERR1\nHG00097\tx2\tERR2\n", encoding="utf-8"
    )
    load(path, dataset="E-GEUV-1")
    assert sorted(lake.fetch(RUNS)["run_id"].to_pylist()) == ["HG00096", "HG00097"]
    load(path, dataset="E-GEUV-1", sdrf=(str(runs),))
    assert lake.fetch_all(QUANTIFICATIONS)["run_ids"].to_pylist() == [["ERR1", "ERR2"]]
    assert sorted(lake.fetch_all(EXPRESSION)["run_id"].to_pylist()) == ["ERR1", "ERR2"]
    owners = {row["run_id"]: row["sample_id"] for row in lake.fetch(RUNS).to_pylist()}
    assert owners == {"ERR1": "HG00096", "ERR2": "HG00097"}


def test_values_belong_to_a_run_though_the_list_lets_go_of_it(
    lake: Lake, load: Callable[..., Report], make_config: Callable[[str], Config], tmp_path: Path
) -> None:
    path, runs = tmp_path / "a.bed", tmp_path / "E.sdrf.txt"
    path.write_text(HEADER + LINE, encoding="utf-8")
    head, first = "Source Name\tAssay Name\tComment[ENA_RUN]\n", "HG00096\tx1\tERR1\n"
    runs.write_text(head + first + "HG00097\tx2\tERR2\n", encoding="utf-8")
    load(path, dataset="E-GEUV-1", sdrf=(str(runs),))
    listed = {row["run_id"]: row for row in lake.fetch(RUNS).to_pylist()}
    assert {run: (row["sample_id"], row["problem"], row["evidence"]) for run, row in listed.items()} == {
        "ERR1": ("HG00096", None, "SDRF Source Name"), "ERR2": ("HG00097", None, "SDRF Source Name"),
    }  # fmt: skip
    aliases = {(r["alias"], r["alias_kind"], r["run_id"]) for r in lake.fetch(RUN_ALIASES).to_pylist()}
    assert {("HG00096", "Source Name", "ERR1"), ("HG00096", "matrix column", "ERR1")} <= aliases

    runs.write_text(head + first, encoding="utf-8")
    params = LoadRuns(dataset="E-GEUV-1", file=(str(runs),))
    run_job(LOAD_RUNS, params, make_config(lake.uri), progress=Progress(quiet=True))
    left = {row["run_id"]: row for row in lake.fetch(RUNS).to_pylist()}
    assert left["ERR1"] == listed["ERR1"] | {"load_ids": left["ERR1"]["load_ids"]}
    (loaded,) = (row for row in lake.fetch(LOADS).to_pylist() if row["target"] == "expression")
    assert left["ERR2"]["load_ids"] == [loaded["load_id"]]
    assert (left["ERR2"]["sample_id"], left["ERR2"]["problem"], left["ERR2"]["evidence"]) == (
        None, "no source says whose it is", "matrix column",
    )  # fmt: skip
    assert set(lake.fetch_all(EXPRESSION)["run_id"].to_pylist()) == set(left)
    # The column is nobody's by now: what the matrix itself said of it before names no run.
    with pytest.raises(FormatError, match=r"do not know 1 of its 2 columns: 6 \(HG00097\)"):
        load(path, dataset="E-GEUV-1")


def test_several_matrices_are_several_loads(lake: Lake, load: Callable[..., Report], tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.bed", "b.bed", "c.bed")]
    for number, path in enumerate(paths):
        path.write_text(f"{HEADER}22\t9\t10\tA\t{number}\t2\n", encoding="utf-8")
    paths[2].write_text(HEADER + "22\t9\t10\tA\tx\t2\n", encoding="utf-8")
    with pytest.raises(FormatError, match=r"c\.bed, line 2: Column 5 \(HG00096\): 'x' is no number"):
        load(*paths)
    assert sorted(lake.fetch(QUANTIFICATIONS)["quantification"].to_pylist()) == ["a", "b"]
    assert load(*paths[:2]).changed is False


def test_names_and_contents_that_stand_in_the_way(
    lake: Lake, load: Callable[..., Report], tmp_path: Path
) -> None:
    first, same_name = tmp_path / "a.bed", tmp_path / "other" / "a.tsv"
    same_name.parent.mkdir()
    first.write_text(HEADER + LINE, encoding="utf-8")
    same_name.write_text(HEADER + LINE + "22\t19\t20\tB\t3\t4\n", encoding="utf-8")
    with pytest.raises(UsageError, match="would both be called a"):
        load(first, same_name)
    load(first)
    with pytest.raises(
        LakeError, match=r"has a quantification a already, loaded from .*a\.bed\..*--quantification"
    ):
        load(same_name)
    load(same_name, quantification="b")
    assert sorted(lake.fetch(QUANTIFICATIONS)["quantification"].to_pylist()) == ["a", "b"]
    copy = tmp_path / "copy.bed"
    copy.write_bytes(first.read_bytes())
    with pytest.raises(InputError, match=r"same content as .*a\.bed"):
        load(first, copy)
    report = load(copy)
    assert "it takes the place of quantification a" in report.notes[-1]
    assert sorted(lake.fetch_all(QUANTIFICATIONS)["quantification"].to_pylist()) == ["b", "copy"]


def test_another_matrix_that_takes_the_name_meanwhile_is_not_overlaid(
    lake: Lake, load: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two loads at the same time, of two files under one name: the later one is refused when it is to be valid."""
    first, second = tmp_path / "a.bed", tmp_path / "b.bed"
    first.write_text(HEADER + LINE, encoding="utf-8")
    second.write_text(HEADER + LINE.replace("\t1\t", "\t7\t"), encoding="utf-8")
    commit = load_expression._commit

    def commit_while_another_loads(*given: Any) -> Any:
        monkeypatch.setattr(load_expression, "_commit", commit)
        load(first, quantification="same")
        return commit(*given)

    monkeypatch.setattr(load_expression, "_commit", commit_while_another_loads)
    with pytest.raises(LakeError, match=r"has a quantification same already, loaded from .*a\.bed"):
        load(second, quantification="same")
    (row,) = lake.fetch(QUANTIFICATIONS).to_pylist()
    assert [r["load_id"] for r in lake.fetch(EXPRESSION).to_pylist()] == [row["load_id"]] * len(
        row["run_ids"]
    )


# ------------------------------------------------------------------------------------------------ what is refused


def test_bad_lines_go_into_quarantine_with_their_count(
    lake: Lake, load: Callable[..., Report], tmp_path: Path
) -> None:
    path = tmp_path / "a.bed"
    path.write_text(HEADER + "22\t9\t10\tA\t1\tNA\n22\t9\t10\tB\t1\n", encoding="utf-8")
    report = load(path, bad_lines="quarantine", missing="allow")
    assert (report.rows["phenotypes"], report.details["quarantined"]) == (1, 1)
    assert report.notes[:2] == [
        f"{path}: 1 x missing value",
        f"{path}: 1 lines went into quarantine (another number of values: 1): line 3: 1 values where the header has "
        "2 runs",
    ]
    (bad,) = lake.fetch(QUARANTINE).to_pylist()
    assert (bad["line"], bad["offset"]) == (b"22\t9\t10\tB\t1", len(HEADER) + len("22\t9\t10\tA\t1\tNA\n"))
    values = {row["run_id"]: row["value"] for row in lake.fetch(EXPRESSION).to_pylist()}
    assert values == {"HG00096": 1.0, "HG00097": None}
    (loaded,) = lake.fetch(LOADS).to_pylist()
    assert (loaded["rows_in"], loaded["rows_out"], loaded["rows_quarantined"]) == (2, 1, 1)
    assert dict(loaded["warnings"]) == {"missing value": 1}


@pytest.mark.parametrize(
    ("lines", "error", "what"),
    [
        ("22\t51304566\t51304567\tA\t1\t2\n", BuildError, "beyond the 51,304,566 bases"),
        (LINE + "22\t19\t20\tA\t1\t2\n", FormatError, "Phenotype A has 2 lines, 2 and 3"),
        ("22\t9\t10\tA\t1\n", FormatError, "line 2: 1 values where the header has 2 runs"),
        (
            "22\t9\t10\tA\t1\tNA\n",
            FormatError,
            r"Column 6 \(HG00097\): 'NA' is no value\. Use --missing allow",
        ),
    ],
)
def test_refused_before_anything_is_written(
    lines: str, error: type[KgpError], what: str, lake: Lake, load: Callable[..., Report], tmp_path: Path
) -> None:
    path = tmp_path / "a.bed"
    path.write_text(HEADER + lines, encoding="utf-8")
    with pytest.raises(error, match=what):
        load(path)
    assert {name for name, version in versions(lake).items() if version is not None} == {"samples"}
    assert not list(Path(lake.uri).rglob("*.zstd.parquet"))


def test_a_truncated_gzip_leaves_the_lake_as_it_was(
    lake: Lake, load: Callable[..., Report], bundled: Path, tmp_path: Path
) -> None:
    text = gzip.decompress((bundled / "genes.50percent.chr22.bed.gz").read_bytes())
    path = tmp_path / "a.bed.gz"
    path.write_bytes(gzip.compress(text)[:-1000])
    with pytest.raises(
        FormatError, match=r"a\.bed\.gz, byte .*The gzip stream is cut off\. Fetch the file again"
    ):
        load(path)
    assert {name for name, version in versions(lake).items() if version is not None} == {"samples"}
    assert not list(Path(lake.uri).rglob("*.zstd.parquet"))


def test_columns_that_the_run_lists_do_not_know(
    lake: Lake, load: Callable[..., Report], tmp_path: Path
) -> None:
    path, runs = tmp_path / "a.bed", tmp_path / "E.sdrf.txt"
    path.write_text(HEADER + LINE, encoding="utf-8")
    runs.write_text("Source Name\tAssay Name\tComment[ENA_RUN]\nHG00096\tx1\tERR1\n", encoding="utf-8")
    given = {"dataset": "E-GEUV-1", "sdrf": (str(runs),)}
    with pytest.raises(
        FormatError, match=r"do not know 1 of its 2 columns: 6 \(HG00097\)\..*--unknown-runs keep"
    ):
        load(path, **given)
    assert lake.version(EXPRESSION) is None
    report = load(path, unknown_runs="keep", **given)
    assert report.details["runs_of_nobody"] == ["HG00097"]
    owners = {row["run_id"]: row["sample_id"] for row in lake.fetch(RUNS).to_pylist()}
    assert owners == {"ERR1": "HG00096", "HG00097": None}


def test_phenotypes_without_a_place_are_loaded_or_refused(
    lake: Lake, load: Callable[..., Report], tmp_path: Path
) -> None:
    path, places = tmp_path / "a.tsv", tmp_path / "places.bed"
    path.write_text("gene_id\tHG00096\nA\t1\nB\t2\n", encoding="utf-8")
    places.write_text("22\t9\t20\tX\n", encoding="utf-8")
    for unplaced in ("keep", "refuse"):
        with pytest.raises(
            OverlapError, match=r"None of its 2 phenotypes has .* is A, the first place .* of X\."
        ):
            load(path, annotation=str(places), unplaced=unplaced)
    places.write_text("22\t9\t20\tB\n", encoding="utf-8")
    with pytest.raises(FormatError, match=r"line 2: 1 phenotypes have no place .*: A \(A: .*--unplaced keep"):
        load(path, annotation=str(places), unplaced="refuse")
    assert lake.version(EXPRESSION) is None
    report = load(path, annotation=str(places))
    assert f"{path}: 1 phenotypes are loaded without a place (not in the annotation: 1): A" in report.notes
    found = {row["phenotype_id"]: (row["contig"], row["tss"]) for row in lake.fetch(PHENOTYPES).to_pylist()}
    assert found == {"A": (None, None), "B": ("22", 10)}
    assert lake.fetch(QUANTIFICATIONS)["n_phenotypes"].to_pylist() == [2]
    with pytest.raises(FormatError, match=r"1 phenotypes have no place .* is loaded already with them\."):
        load(path, annotation=str(places), unplaced="refuse")
    assert not load(path, annotation=str(places)).changed

    places.write_text("22\t9\t20\tB\n22\t29\t40\tA\n", encoding="utf-8")
    assert load(path, annotation=str(places), unplaced="refuse").details["without_place"] == 0
    assert lake.fetch_all(PHENOTYPES)["contig"].to_pylist() == ["22", "22"]
    assert load(path, annotation=str(places)).changed is False


def test_runs_of_nobody_are_refused(load: Callable[..., Report], tmp_path: Path) -> None:
    path = tmp_path / "a.bed"
    path.write_text(HEADER + LINE, encoding="utf-8")
    with pytest.raises(
        OverlapError, match="No column belongs to a person: the first, HG00096: there is no run list"
    ):
        load(path, people=[])


def test_what_must_be_said_of_an_unknown_dataset(load: Callable[..., Report], tmp_path: Path) -> None:
    path = tmp_path / "a.bed"
    path.write_text(HEADER + LINE, encoding="utf-8")
    with pytest.raises(
        UsageError, match=r"Nothing says which build the places of a\.bed of D are on\. Give --build"
    ):
        load(path, build=None)
    bare = tmp_path / "b.tsv"
    bare.write_text("gene_id\tHG00096\nA\t1\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"does not say where its phenotypes lie\. Give --annotation"):
        load(bare)


# ------------------------------------------------------------------- all datasets of the collection, as published


@pytest.mark.parametrize(
    ("dataset", "matrix", "runs", "given", "expected"),
    [
        (
            "E-GEUV-1", "GD462.GeneQuantRPKM.50FN.samplename.resk10.txt", "magetab/E-GEUV-1.sdrf.txt", {},
            ("gene", "rpkm", "peer10_residuals", "GRCh37"),
        ),
        (
            "E-GEUV-1", "GD660.TrQuantCount.txt", "magetab/E-GEUV-1.sdrf.txt", {"annotation": "places.tsv"},
            ("transcript", "count", "none", "GRCh37"),
        ),
        (
            "E-GEUV-1", "GD462.ExonQuantCount.45N.50FN.samplename.resk10.txt", "magetab/E-GEUV-1.sdrf.txt", {},
            ("exon", "count", "peer10_residuals", "GRCh37"),
        ),
        (
            "E-GEUV-2", "GD452.MirnaQuantCount.1.2N.50FN.samplename.resk10.txt", None, {},
            ("mirna", "count", "peer10_residuals", "GRCh37"),
        ),
        (
            "E-MTAB-264", "CHB_p3_expression.txt", "magetab/E-MTAB-264.sdrf.txt", {"annotation": "places.tsv"},
            ("probe", "log2_intensity", "quantile", "NCBI36"),
        ),
        (
            "E-MTAB-198", "CHB_p3_expression.txt", None,
            {"annotation": "places.tsv", "build": "NCBI36", "unit": "log2_intensity"},
            ("probe", "log2_intensity", "unknown", "NCBI36"),
        ),
        (
            "E-GEOD-19480", "GSE19480_series_matrix.txt", "magetab/E-GEOD-19480.sdrf.txt",
            {"annotation": "places.tsv", "build": "GRCh37", "missing": "allow", "unit": "rpkm"},
            ("gene", "rpkm", "unknown", "GRCh37"),
        ),
        (
            "MAGE", "expression.counts.csv", "runs/sample.metadata.MAGE.v1.0.txt", {"annotation": "places.tsv"},
            ("gene", "count", "none", "GRCh38"),
        ),
    ],
)  # fmt: skip
def test_the_published_layouts_load_by_their_descriptors(
    dataset: str,
    matrix: str,
    runs: str | None,
    given: dict[str, str],
    expected: tuple[str, ...],
    root: Path,
    lake: Lake,
    load: Callable[..., Report],
) -> None:
    place = root / "tests" / "data" / "expression"
    options = {"build": None, **given, "sdrf": () if runs is None else (str(place / runs),)}
    if "annotation" in options:
        options["annotation"] = str(place / "matrices" / "places.tsv")
    people = [
        "HG00096",
        "HG00101",
        "HG00183",
        "NA12546",
        "NA12878",
        "NA18486",
        "NA18498",
        "NA18524",
        "NA18526",
    ]
    report = load(place / "matrices" / matrix, dataset=dataset, people=people, **options)
    (row,) = lake.fetch(QUANTIFICATIONS).to_pylist()
    assert (row["kind"], row["unit"], row["processing"], row["build"]) == expected
    assert report.details["runs_of_nobody"] == []
    owners = {row["run_id"]: row["sample_id"] for row in lake.fetch(RUNS).to_pylist()}
    named = dict(zip(row["columns"], row["run_ids"], strict=True))
    of_geo = {"GSM900001": "NA18486", "GSM900003": "NA18498"}
    assert {name: owners[run] for name, run in named.items()} == {
        name: of_geo.get(name, name) for name in row["columns"]
    }
    assert lake.fetch(EXPRESSION).num_rows == 2 * len(named) + (matrix.startswith("GD462.Gene")) * len(named)
