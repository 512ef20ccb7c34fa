"""What other jobs do while one runs, a kill at the last moment, a full disk, and names with dollar signs."""

from __future__ import annotations

import errno
import io
from pathlib import Path
from typing import Any, NoReturn

import pytest

from kgp import tables as t
from kgp.config import load_config
from kgp.errors import KgpError, LakeError
from kgp.io import block_results
from kgp.io.block_results import BlockResults
from kgp.io.delta import Lake
from kgp.io.storage import explained
from kgp.job import Context, Progress, Report, run_job
from kgp.jobs import load_covariates
from kgp.jobs.build_eqtl_matrices import BUILD_EQTL_MATRICES
from kgp.jobs.eqtl_write import _forget_mappings
from kgp.jobs.load_covariates import LOAD_COVARIATES
from kgp.jobs.show_eqtl import SHOW_EQTL
from kgp.params import EqtlShow, LoadCovariates
from map_sets import _config, make_set, map_set, read_rows


def _no_spark() -> NoReturn:
    raise AssertionError("nothing here needs Spark")


def _load(uri: Path, name: str) -> Report:
    """Load two covariates of one person."""
    config = load_config(lake=str(uri), environ={})
    file = uri.parent / f"{name}.txt"
    file.write_text("id\tHG00096\nPC1\t1\nPC2\t2\n", encoding="utf-8")
    params = config.params(LoadCovariates, {"file": str(file)})
    return run_job(LOAD_COVARIATES, params, config, progress=Progress(quiet=True))


def test_a_load_that_begins_during_another_does_not_take_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first has written its rows and is about to name them; the second runs from its beginning to its end."""
    uri = tmp_path / "lake"
    real = load_covariates.finish_load

    def finish(*arguments: Any, **options: Any) -> None:
        monkeypatch.setattr(load_covariates, "finish_load", real)
        _load(uri, "second")
        real(*arguments, **options)

    monkeypatch.setattr(load_covariates, "finish_load", finish)
    _load(uri, "first")
    rows = Lake(_no_spark, str(uri)).fetch(t.COVARIATES).to_pylist()
    assert sorted((row["covariate_set"], row["covariate_id"]) for row in rows) == [
        ("first", "PC1"), ("first", "PC2"), ("second", "PC1"), ("second", "PC2"),
    ]  # fmt: skip


def _replace_set(uri: Path) -> None:
    """What `kgp eqtl build --replace` does when the rows of the new set are there."""
    made = make_set(seed=2, matrix_id="m2")
    made.write(uri)

    def finish(context: Context, params: object) -> Report:
        context.put(t.EQTL_MATRICES, [made._set_row()], "name = 'made'")
        _forget_mappings(context)
        context.remove_debris()
        return Report("build", True, "replaced")

    job = BUILD_EQTL_MATRICES.__class__("build", "", dict, (), BUILD_EQTL_MATRICES.writes, finish)
    run_job(job, {}, _config(str(uri)), progress=Progress(quiet=True))


def _map_while_replaced(uri: Path, monkeypatch: pytest.MonkeyPatch, *, maps_the_new_one: bool) -> None:
    """A nominal mapping; before it names its rows the set is replaced, and the new one mapped if that is asked for."""
    make_set(matrix_id="m1").write(uri)
    real, first = Context.put, iter([True])

    def put(context: Context, table: Any, rows: Any, where: str | None) -> int:
        if table is t.EQTL_MAPS and rows and next(first, False):
            _replace_set(uri)
            if maps_the_new_one:
                map_set(uri, mode="permute")
        return real(context, table, rows, where)

    monkeypatch.setattr(Context, "put", put)
    with pytest.raises(LakeError, match=r"set made: It was replaced while it was mapped\. Map it again"):
        map_set(uri)


def test_a_set_that_is_replaced_while_it_is_mapped_has_no_mapping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _map_while_replaced(tmp_path, monkeypatch, maps_the_new_one=False)
    assert [row["matrix_id"] for row in read_rows(tmp_path, t.EQTL_MATRICES).to_pylist()] == ["m2"]
    assert read_rows(tmp_path, t.EQTL_MAPS).num_rows == 0
    assert not (tmp_path / "_maps").exists()


def test_no_log_names_files_that_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mapping of the new set removes the files of the old one's, which is not named yet."""
    _map_while_replaced(tmp_path, monkeypatch, maps_the_new_one=True)
    lake = Lake(_no_spark, str(tmp_path))
    assert all(Path(file.removeprefix("file://")).exists() for file in lake.open(t.EQTL_NOMINAL).file_uris())
    n_pairs = map_set(tmp_path).details["n_pairs"]
    assert lake.fetch_all(t.EQTL_NOMINAL).num_rows == n_pairs


def _map_and_leave_results(uri: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """A mapping that is killed when all is written and named; its number of pairs."""
    make_set().write(uri)
    with monkeypatch.context() as patch:
        patch.setattr(BlockResults, "remove", lambda results: None)
        n_pairs = map_set(uri).details["n_pairs"]
    assert (uri / "_maps").exists()
    return int(n_pairs)


@pytest.mark.parametrize("replaces", [False, True])
def test_after_a_kill_at_the_very_end_the_same_command_goes_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaces: bool
) -> None:
    n_pairs = _map_and_leave_results(tmp_path, monkeypatch)
    report = map_set(tmp_path, replace=replaces)
    assert (report.changed, report.details.get("blocks_kept", 0)) == (replaces, 0)
    assert read_rows(tmp_path, t.EQTL_NOMINAL).num_rows == n_pairs
    assert not (tmp_path / "_maps").exists()


def test_two_runs_of_one_mapping_may_commit_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second takes the first one's blocks for its own and ends before it."""
    make_set().write(tmp_path)
    real, first = Context.commit, iter([True])

    def commit(context: Context, table: Any, written: Any, ids: Any) -> int:
        if next(first, False):
            map_set(tmp_path)
        return real(context, table, written, ids)

    monkeypatch.setattr(Context, "commit", commit)
    report = map_set(tmp_path)
    assert read_rows(tmp_path, t.EQTL_NOMINAL).num_rows == report.details["n_pairs"] > 0
    assert read_rows(tmp_path, t.EQTL_MAPS).num_rows == 1


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "There is no room left for it. Make room on the disk"),
        (errno.EROFS, "Its disk is read-only. Use a lake that may be written to"),
    ],
)
def test_what_is_wrong_with_a_disk_is_said(number: int, said: str) -> None:
    with pytest.raises(KgpError, match=said), explained("/lake/file"):
        raise OSError(number, "a text of the system's")


def test_a_result_that_finds_no_room_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_set().write(tmp_path)

    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(block_results, "create_file", lambda url: Full())
    with pytest.raises(KgpError, match="There is no room left for it"):
        map_set(tmp_path)


def test_a_name_with_dollar_signs_is_no_formula(tmp_path: Path) -> None:
    names = [r"a$\bad{$b", *(f"gene{i}" for i in range(1, 6))]
    make_set(phenotype_ids=names).write(tmp_path)
    map_set(tmp_path)
    config = _config(str(tmp_path))
    page = tmp_path / "page.html"
    params = config.params(EqtlShow, {"name": "made", "gene": names[0], "out": str(page)})
    run_job(SHOW_EQTL, params, config, progress=Progress(quiet=True))
    assert r"a$\bad{$b" in page.read_text(encoding="utf-8")
