"""`load_expression` on the bundled matrix and on small ones: every value, every run, every refusal."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kgp.config import Config, load_config
from kgp.errors import BuildError, InputError, OverlapError
from kgp.io.delta import Lake
from kgp.job import Progress, Report, run_job
from kgp.jobs.load_expression import LOAD_EXPRESSION
from kgp.jobs.load_samples import LOAD_SAMPLES
from kgp.params import LoadExpression, LoadSamples
from kgp.tables import ALL_TABLES, EXPRESSION, LOADS, PHENOTYPES, QUARANTINE, RUNS

HEADER = "#chr\tstart\tend\tid\tHG00096\tHG00097\n"


@pytest.fixture
def load(lake: Lake, config: Config, bundled: Path) -> Callable[..., Report]:
    """Load the panel, then a matrix with options."""
    here = load_config(lake=lake.uri, environ={})
    quiet = Progress(quiet=True)

    def run(matrix: Path, *, panel: bool = True, **options: Any) -> Report:
        if panel:
            people = config.params(LoadSamples, {"panel": str(bundled / "samples.panel")})
            run_job(LOAD_SAMPLES, people, here, progress=quiet)
        given = {"dataset": "D", "build": "GRCh37", **options, "matrix": str(matrix)}
        return run_job(LOAD_EXPRESSION, config.params(LoadExpression, given), here, progress=quiet)

    return run


def test_every_value_of_the_bundled_matrix(lake: Lake, load: Callable[..., Report], bundled: Path) -> None:
    path = bundled / "genes.50percent.chr22.bed.gz"
    report = load(path, unit="rpkm")
    with gzip.open(path, "rt") as file:
        header, *lines = [line.rstrip("\n").split("\t") for line in file]
    expected = {
        (cells[3], run): float(text)
        for cells in lines
        for run, text in zip(header[6:], cells[6:], strict=True)
    }
    rows = lake.fetch(EXPRESSION)
    keys = zip(rows["phenotype_id"].to_pylist(), rows["run_id"].to_pylist(), strict=True)
    assert dict(zip(keys, rows["value"].to_pylist(), strict=True)) == expected
    assert report.rows == {"runs": 358, "phenotypes": 301, "expression": 301 * 358}

    places = {row["phenotype_id"]: row for row in lake.fetch(PHENOTYPES).to_pylist()}
    for cells in lines:
        row = places[cells[3]]
        assert (row["contig"], row["source_contig"], row["strand"]) == ("22", "chr22", cells[5])
        assert (row["start"], row["end"], row["tss"]) == (int(cells[1]), int(cells[2]), int(cells[2]))
        assert row["gene_id"] == cells[3].split(".")[0]
    assert {row["sample_id"] for row in lake.fetch(RUNS).to_pylist()} == set(header[6:])
    (loaded,) = (row for row in lake.fetch(LOADS).to_pylist() if row["target"] == "expression")
    assert (loaded["rows_in"], loaded["rows_out"], loaded["alleles_out"]) == (301, 301, 301 * 358)

    before = {table.name: lake.version(table) for table in ALL_TABLES}
    assert not load(path, unit="rpkm").changed
    assert before == {table.name: lake.version(table) for table in ALL_TABLES}


def test_bad_lines_go_into_quarantine(lake: Lake, load: Callable[..., Report], tmp_path: Path) -> None:
    path = tmp_path / "a.bed"
    path.write_text(HEADER + "22\t9\t10\tA\t1\tNA\n22\t9\t10\tB\t1\n", encoding="utf-8")
    report = load(path)
    assert report.rows["phenotypes"] == 1
    assert report.details["quarantined"] == 1
    (bad,) = lake.fetch(QUARANTINE).to_pylist()
    assert bad["line"] == b"22\t9\t10\tB\t1"
    values = {row["run_id"]: row["value"] for row in lake.fetch(EXPRESSION).to_pylist()}
    assert values == {"HG00096": 1.0, "HG00097": None}


def test_another_unit_supersedes(lake: Lake, load: Callable[..., Report], tmp_path: Path) -> None:
    path = tmp_path / "a.bed"
    path.write_text(HEADER + "22\t9\t10\tA\t1\t2\n", encoding="utf-8")
    load(path)
    assert load(path, unit="tpm").changed
    assert lake.fetch_all(PHENOTYPES)["unit"].to_pylist() == ["tpm"]
    assert lake.fetch_all(EXPRESSION).num_rows == 2
    assert lake.fetch_all(RUNS).num_rows == 2


@pytest.mark.parametrize(
    ("lines", "error", "what"),
    [
        ("22\t51304566\t51304567\tA\t1\t2\n", BuildError, "beyond the 51,304,566 bases"),
        ("22\t9\t10\tA\t1\t2\n22\t19\t20\tA\t1\t2\n", InputError, "Phenotype A has 2 lines"),
        (
            "22\t9\t10\tA\t1\n",
            InputError,
            "No line of it can be loaded: 1 values where the header has 2 runs",
        ),
    ],
)
def test_refused_before_anything_is_written(
    lines: str, error: type[Exception], what: str, lake: Lake, load: Callable[..., Report], tmp_path: Path
) -> None:
    path = tmp_path / "a.bed"
    path.write_text(HEADER + lines, encoding="utf-8")
    with pytest.raises(error, match=what):
        load(path)
    assert lake.version(PHENOTYPES) is None
    assert lake.version(EXPRESSION) is None


def test_runs_of_nobody_are_refused(load: Callable[..., Report], tmp_path: Path) -> None:
    path = tmp_path / "a.bed"
    path.write_text(HEADER + "22\t9\t10\tA\t1\t2\n", encoding="utf-8")
    with pytest.raises(
        OverlapError, match="No run belongs to a person that is known; the first run is HG00096"
    ):
        load(path, panel=False)


def test_run_ids_become_people_by_the_sdrf(
    lake: Lake, load: Callable[..., Report], shared_data: Path
) -> None:
    report = load(
        shared_data / "expression/qtlmap/GEUVADIS_cqn.tsv",
        panel=False,
        build="GRCh38",
        sdrf=str(shared_data / "metadata/E-GEUV-1.sdrf.txt"),
        annotation=str(shared_data / "expression/qtlmap/GEUVADIS_phenotype_metadata.tsv"),
    )
    text = (shared_data / "expression/qtlmap/GEUVADIS_sample_metadata.tsv").read_text(encoding="utf-8")
    expected = dict(line.split("\t")[:2] for line in text.splitlines()[1:])
    assert {row["run_id"]: row["sample_id"] for row in lake.fetch(RUNS).to_pylist()} == expected
    assert report.rows["phenotypes"] == 80
    assert report.details["runs_of_nobody"] == []
