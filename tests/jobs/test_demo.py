"""The demo as a person runs it: once, again, and killed in the middle."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from kgp.io.delta import Lake
from kgp.io.predicates import in_list
from kgp.tables import ALL_TABLES, TABLES

_KGP = Path(sys.executable).parent / "kgp"


def _no_spark() -> Any:
    raise AssertionError("no Spark is needed to look at the lake")


def _content(path: Path) -> dict[str, list[str]]:
    """Valid rows of every table, sorted, without what differs from run to run."""
    lake = Lake(_no_spark, str(path))
    found = {}
    for table in ALL_TABLES:
        rows = lake.fetch(table)
        differing = ("seconds", "loaded_at", "built_at", "mapped_at", "table_versions")
        rows = rows.drop_columns([n for n in differing if n in rows.column_names])
        found[table.name] = sorted(map(repr, rows.to_pylist()))
    return found


def _versions(path: Path) -> dict[str, int | None]:
    lake = Lake(_no_spark, str(path))
    return {table.name: lake.version(table) for table in ALL_TABLES}


def _demo(place: Path, *options: str) -> list[str]:
    return [str(_KGP), "demo", "--lake", str(place / "lake"), "--out", str(place / "out"), *options]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """One whole run of `kgp demo`."""
    place = tmp_path_factory.mktemp("demo")
    done = subprocess.run(_demo(place), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return place, done


@pytest.mark.spark
def test_it_ends_with_what_was_built(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    place, done = demo
    for table, rows in {
        "samples": 2504,
        "variants": 50062,
        "phenotypes": 301,
        "expression": 301 * 358,
        "expression_quality": 358,
        "eqtl_maps": 2,
    }.items():
        assert any(line.split()[:2] == [table, f"{rows:,}"] for line in done.stdout.splitlines()), table
    assert re.search(rf"^  (\S*/)?kgp tables --lake {place / 'lake'}$", done.stdout, re.MULTILINE)
    assert str(place / "out/fastqtl/genotypes.vcf.gz") in done.stdout
    for page in ("report", "eqtl", "gene"):
        assert f"  {place / 'out'}/{page}.html  " in done.stdout
        assert "<svg" in (place / f"out/{page}.html").read_text(encoding="utf-8"), page
    assert re.search(r"loading \S+genotypes.chr22.vcf.gz \(358 samples\)", done.stderr), "progress is visible"
    assert "ERROR" not in done.stderr


@pytest.mark.spark
def test_again_changes_no_version_and_says_so(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    place, _ = demo
    before = _versions(place / "lake")
    files = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in (place / "out").rglob("*") if p.is_file()}
    done = subprocess.run(_demo(place, "--json"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert report["changed"] is False
    assert report["summary"] == "everything was there already: no table was changed"
    assert _versions(place / "lake") == before
    assert files == {
        p: (p.stat().st_mtime_ns, p.stat().st_size) for p in (place / "out").rglob("*") if p.is_file()
    }
    assert "starting Spark" not in done.stderr, "nothing to do needs no Spark"


@pytest.mark.spark
def test_it_ends_with_the_strongest_genes(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    place, done = demo
    top = Lake(_no_spark, str(place / "lake")).fetch(TABLES["eqtl_top"]).to_pylist()
    n_egenes = sum(row["is_egene"] for row in top)
    assert n_egenes > 50
    assert f": {n_egenes} of {len(top)} phenotypes with a significant variant at FDR 0.05" in done.stdout
    strongest, second = sorted(top, key=lambda row: row["p_beta"])[:2]
    lines = done.stdout.splitlines()
    header = next(i for i, line in enumerate(lines) if line.split()[:2] == ["phenotype_id", "variant_id"])
    for line, row in zip(lines[header + 2 :], (strongest, second), strict=False):
        assert line.split()[:2] == [row["phenotype_id"], row["variant_id"]]
    assert strongest["phenotype_id"] in (place / "out/gene.html").read_text(encoding="utf-8")
    assert not [p for p in (place / "lake/_maps").rglob("*") if p.is_file()], "what tasks wrote aside is gone"


@pytest.mark.spark
def test_the_commands_that_it_names_work(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    place, _ = demo
    at = ["--lake", str(place / "lake")]
    tables = subprocess.run([_KGP, "tables", *at, "--json"], capture_output=True, text=True, check=True)
    rows = {row["table"]: row["rows"] for row in json.loads(tables.stdout)}
    assert rows["variants"] == 50062
    assert rows["eqtl_matrices"] == 1
    sql = "SELECT contig, count(*) FROM variants GROUP BY contig"
    query = subprocess.run([_KGP, "query", *at, sql], capture_output=True, text=True, check=True)
    assert query.stdout.splitlines()[-1].split() == ["22", "50062"]
    best = subprocess.run(
        [_KGP, "eqtl", "top", "demo", *at, "--json"], capture_output=True, text=True, check=True
    )
    second = json.loads(best.stdout)["details"]["rows"][1]
    gene = second["phenotype_id"].partition(".")[0]
    show = ["eqtl", "show", "demo", *at, "--gene", gene, "--out", str(place / "gene.html")]
    assert f"{shlex.join(show[:5])} --gene {gene} --out {gene}.html" in demo[1].stdout
    shown = subprocess.run([_KGP, *show, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(shown.stdout)["details"]["locus"]["variant_id"] == second["variant_id"]


@pytest.mark.spark
def test_the_mapping_that_it_names_works(
    demo: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    words = ["--name", "demo", "--mode", "independent", "--permutations", "1000"]
    assert shlex.join(["eqtl", "map", "--lake", str(demo[0] / "lake"), *words]) in demo[1].stdout
    lake = tmp_path / "lake"  # a copy: other tests look at the lake as the demo left it
    shutil.copytree(demo[0] / "lake", lake)
    mapping = [_KGP, "eqtl", "map", "--lake", lake, *words, "--json"]
    done = subprocess.run(mapping, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    top, independent = (Lake(_no_spark, str(lake)).fetch(TABLES[n]) for n in ("eqtl_top", "eqtl_independent"))
    genes = {row["phenotype_id"] for row in top.to_pylist() if row["is_egene"]}
    assert {row["phenotype_id"] for row in independent.to_pylist()} <= genes
    assert json.loads(done.stdout)["rows"] == {"eqtl_independent": independent.num_rows}
    assert independent.num_rows > 50


@pytest.mark.spark
def test_the_exports_run_in_qtltools_and_fastqtl(
    demo: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path, require_tool: Callable[[str], Path]
) -> None:
    out = demo[0] / "out" / "fastqtl"
    nominal = tmp_path / "qtltools.txt"
    common = ["--vcf", out / "genotypes.vcf.gz", "--cov", out / "covariates.txt.gz", "--chunk", "1", "10"]
    subprocess.run(
        [require_tool("QTLtools"), "cis", *common, "--bed", out / "phenotypes.qtltools.bed.gz",
         "--nominal", "1", "--out", nominal],
        check=True, capture_output=True,
    )  # fmt: skip
    assert len(nominal.read_text().splitlines()) > 10_000
    fast = tmp_path / "fastqtl.txt.gz"
    subprocess.run(
        [require_tool("fastQTL"), *common, "--bed", out / "phenotypes.fastqtl.bed.gz", "--out", fast],
        check=True, capture_output=True,
    )  # fmt: skip
    with gzip.open(fast, "rt") as file:
        theirs = {(f[0], f[1]): (float(f[6]), float(f[7])) for f in map(str.split, file)}
    assert len(theirs) > 10_000
    columns = ["phenotype_id", "variant_id", "p_value", "slope"]
    of_genes = in_list("phenotype_id", sorted({gene for gene, _ in theirs}))
    lake = Lake(_no_spark, str(demo[0] / "lake"))
    rows = lake.fetch(TABLES["eqtl_nominal"], columns, of_genes).to_pylist()
    ours = {(row["phenotype_id"], row["variant_id"]): (row["p_value"], row["slope"]) for row in rows}
    assert set(theirs) <= set(ours)
    for pair, (p_value, slope) in theirs.items():
        assert ours[pair] == (pytest.approx(p_value, rel=1e-3), pytest.approx(slope, rel=1e-3, abs=1e-5)), (
            pair
        )


@pytest.mark.slow
@pytest.mark.spark
def test_killed_in_the_middle_and_run_again(bundled: Path, tmp_path: Path) -> None:
    """Killed after each of its commits in turn, the demo ends where a clean run ends."""
    data = tmp_path / "data"
    data.mkdir()
    for name, lines in {"genotypes.chr22.vcf.gz": 3300, "genes.50percent.chr22.bed.gz": 40}.items():
        with gzip.open(bundled / name, "rb") as source, gzip.open(data / name, "wb", 1) as target:
            target.writelines(islice(source, lines))
    (data / "samples.panel").write_bytes((bundled / "samples.panel").read_bytes())
    clean = tmp_path / "clean"
    subprocess.run(_demo(clean, "--data", str(data)), check=True, capture_output=True)
    expected = _content(clean / "lake")
    assert len(expected["variants"]) > 3000

    killed = tmp_path / "killed"
    n_kills = 0
    for watched in (
        "samples",
        "callset_samples",
        "variants",
        "expression",
        "eqtl_phenotypes",
        "eqtl_genotypes",
        "eqtl_nominal",
        "eqtl_top",
    ):
        log = killed / "lake" / watched / "_delta_log" / f"{1:020}.json"
        running = subprocess.Popen(
            _demo(killed, "--data", str(data)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        while running.poll() is None and not log.exists():
            time.sleep(0.02)
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            n_kills += 1
    assert n_kills >= 7
    done = subprocess.run(_demo(killed, "--data", str(data)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert _content(killed / "lake") == expected
    lake = Lake(_no_spark, str(killed / "lake"))
    for table in TABLES.values():
        assert lake.fetch_all(table).num_rows == lake.fetch(table).num_rows, f"debris in {table.name}"
