"""Builds of matrix sets at the same time in one lake: other sets, the same set, one name for two sets."""

from __future__ import annotations

import datetime
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from kgp import tables as t
from kgp.config import load_config
from kgp.errors import LakeError
from kgp.io import delta
from kgp.io.delta import Lake
from kgp.job import Context, Progress, Report, run_job
from kgp.jobs import build_eqtl_matrices, eqtl_write
from kgp.jobs.build_eqtl_matrices import BUILD_EQTL_MATRICES
from kgp.params import EqtlBuild
from matrix_world import CALLSET, DATASET, VALUES, no_spark

ROWS = ("eqtl_phenotypes", "eqtl_genotypes", "eqtl_covariates", "eqtl_matches")
OF_A = {"name": "a"}
OF_B = {"name": "b", "min_maf": 0.2, "contig": ["1", "2"]}
# Commits of a build: phenotypes, covariates, matches, genotypes, the ledger.
N_COMMITS = 5
RUN = "import sys; from kgp.cli import main; sys.exit(main())"


@pytest.fixture(autouse=True)
def takes_all_for_debris(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worst that other jobs can do: what they see unnamed is removed, however new it is."""
    monkeypatch.setattr(delta, "UNFINISHED", datetime.timedelta(0))


@pytest.fixture
def lake(world_copy: Path) -> Lake:
    return Lake(no_spark, str(world_copy))


@pytest.fixture(scope="module")
def alone(world_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Both sets, one built after the other."""
    place = tmp_path_factory.mktemp("alone") / "lake"
    shutil.copytree(world_lake, place)
    lake = Lake(no_spark, str(place))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kgp.job.get_session", no_spark)
        build(lake, **OF_A)
        build(lake, **OF_B)
    return content(lake)


def build(lake: Lake, **options: Any) -> Report:
    given = {
        "callset": CALLSET,
        "dataset": DATASET,
        "quantification": [VALUES],
        "cis_window": 20_000,
        **options,
    }
    config = load_config(lake=lake.uri, environ={})
    params = config.params(EqtlBuild, {"profile": "basic", **given})
    return run_job(BUILD_EQTL_MATRICES, params, config, progress=Progress(quiet=True))


def read(lake: Lake, name: str) -> list[dict[str, Any]]:
    """By delta-rs, without kgp; nothing where there is no such table."""
    if not DeltaTable.is_deltatable(f"{lake.uri}/{name}"):
        return []
    rows = DeltaTable(f"{lake.uri}/{name}").to_pyarrow_table().to_pylist(maps_as_pydicts="strict")
    return list(rows)


def content(lake: Lake) -> dict[str, Any]:
    """Name → table → rows of each set, by delta-rs; and no rows of any other."""
    found: dict[str, Any] = {}
    tables = {name: read(lake, name) for name in ROWS}
    for row in read(lake, "eqtl_matrices"):
        matrix_id = row["matrix_id"]
        found[row["name"]] = {
            "eqtl_matrices": {k: v for k, v in row.items() if k not in ("seconds", "built_at", "table_versions")},
            **{name: [r for r in rows if r["matrix_id"] == matrix_id] for name, rows in tables.items()},
        }  # fmt: skip
    n_named = sum(len(rows) for of in found.values() for name, rows in of.items() if name in ROWS)
    assert n_named == sum(map(len, tables.values())), "nothing is left of anybody else"
    for of in found.values():
        for name in ROWS:
            of[name].sort(
                key=lambda row: [
                    str(row.get(k)) for k in ("variant_id", "phenotype_id", "row_index", "run_id")
                ]
            )
    return found


def do_at_commit(patch: pytest.MonkeyPatch, number: int, act: Callable[[], object]) -> list[str]:
    """Let something happen before a commit of the build that runs, by number; gives the tables of its commits."""
    seen: list[str] = []
    inside = False

    def watched(original: Callable[..., Any]) -> Callable[..., Any]:
        def commit(self: Lake, table: Any, *arguments: Any, **named: Any) -> Any:
            nonlocal inside
            if not inside:
                if len(seen) == number:
                    inside = True
                    act()
                    inside = False
                seen.append(table.name)
            return original(self, table, *arguments, **named)

        return commit

    patch.setattr(Lake, "commit", watched(Lake.commit))
    patch.setattr(Lake, "put", watched(Lake.put))
    return seen


@pytest.mark.parametrize("number", range(N_COMMITS))
def test_two_sets_are_built_whenever_the_other_comes(
    number: int, lake: Lake, alone: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole build, which removes at its begin and its end what no ledger names, before each commit of another."""
    reports: list[Report] = []
    with monkeypatch.context() as patch:
        seen = do_at_commit(patch, number, lambda: reports.append(build(lake, **OF_B)))
        reports.append(build(lake, **OF_A))
    assert len(seen) >= N_COMMITS
    assert seen.count("eqtl_matrices") == 1
    assert [report.changed for report in reports] == [True, True]
    assert content(lake) == alone


@pytest.mark.parametrize("number", range(N_COMMITS))
def test_the_same_set_twice_is_there_once(
    number: int, lake: Lake, alone: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever names it first has built it; the other says that it is there."""
    reports: list[Report] = []
    with monkeypatch.context() as patch:
        do_at_commit(patch, number, lambda: reports.append(build(lake, **OF_A)))
        reports.append(build(lake, **OF_A))
    first, second = reports
    assert first.changed
    assert content(lake) == {"a": alone["a"]}
    if number < N_COMMITS - 1:
        assert not second.changed
        assert second.summary == "set a was built by another run meanwhile, nothing to do"


def test_a_set_that_another_run_has_built_meanwhile_is_found_before_anything_is_written(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = build_eqtl_matrices.make_covariates
    files: list[Path] = []

    def meanwhile(*arguments: Any) -> Any:
        monkeypatch.setattr(build_eqtl_matrices, "make_covariates", make)
        build(lake, **OF_A)
        found = make(*arguments)
        files.extend(Path(lake.uri).rglob("*.parquet"))
        return found

    monkeypatch.setattr(build_eqtl_matrices, "make_covariates", meanwhile)
    report = build(lake, **OF_A)
    assert (report.changed, report.summary) == (
        False, "set a was built by another run meanwhile, nothing to do"
    )  # fmt: skip
    named = {path for table in ROWS for path in DeltaTable(f"{lake.uri}/{table}").file_uris()}
    there = {str(path) for table in ROWS for path in (Path(lake.uri) / table).rglob("*.parquet")}
    assert there == named, "its files are gone"
    assert len(there) < len(files)


@pytest.mark.parametrize("number", [0, N_COMMITS - 2])
def test_one_name_for_two_sets_is_given_to_the_first(
    number: int, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        do_at_commit(patch, number, lambda: build(lake, **{**OF_B, "name": "a"}))
        with pytest.raises(LakeError, match=r"The name a is in use .* min_maf 0.2 \(now 0.01\).*--replace"):
            build(lake, **OF_A)
    assert content(lake)["a"]["eqtl_matrices"]["parameters"]["min_maf"] == "0.2"
    # Told to replace it, it does.
    build(lake, **OF_A, replace=True)
    assert content(lake)["a"]["eqtl_matrices"]["parameters"]["min_maf"] == "0.01"


def test_rows_that_are_removed_again_and_again_are_given_up(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Lake.commit

    def spoiled(self: Lake, table: Any, *arguments: Any, **named: Any) -> Any:
        n = commit(self, table, *arguments, **named)
        self.remove_debris((t.EQTL_GENOTYPES,))
        return n

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "commit", spoiled)
        with pytest.raises(
            LakeError,
            match=r"table eqtl_genotypes: The rows .* other jobs on matrix sets run at the same time\. Build it again",
        ):
            build(lake, **OF_A)
    assert content(lake) == {}
    assert build(lake, **OF_A).changed


def test_a_set_whose_rows_are_lost_after_it_was_named_is_none(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = eqtl_write._count_rows

    def lost(context: Context, plan: Any, table: Any) -> int:
        return 0 if read(lake, "eqtl_matrices") else count(context, plan, table)

    rewrite = eqtl_write.commit_genotypes
    with monkeypatch.context() as patch:
        patch.setattr(eqtl_write, "_count_rows", lost)
        patch.setattr(
            eqtl_write, "commit_genotypes", lambda *given: read(lake, "eqtl_genotypes") or rewrite(*given)
        )
        with pytest.raises(LakeError, match="other jobs on matrix sets run at the same time"):
            build(lake, **OF_A)
    assert content(lake) == {}
    assert build(lake, **OF_A).changed


@pytest.mark.slow
@pytest.mark.parametrize("others", [OF_B, OF_A], ids=["two sets", "one set"])
def test_two_processes(others: dict[str, Any], lake: Lake, alone: dict[str, Any]) -> None:
    def start(name: str, **options: Any) -> subprocess.Popen[str]:
        given = {"callset": CALLSET, "dataset": DATASET, "quantification": VALUES, "cis-window": 20_000,
                 "profile": "basic", **options}  # fmt: skip
        flags = [
            text
            for flag, value in given.items()
            for one in (value if isinstance(value, list) else [value])
            for text in (f"--{flag.replace('_', '-')}", str(one))
        ]
        command = [sys.executable, "-c", RUN, "eqtl", "build", "--lake", lake.uri, "--name", name, *flags]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    running = [start(**OF_A), start(**others)]
    told = [process.communicate(timeout=100) for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    assert content(lake) == {name: alone[name] for name in {"a", others["name"]}}
