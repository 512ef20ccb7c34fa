"""A set has the same bytes whatever number of threads BLAS is given: where it were left alone, it would not have."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from deltalake import DeltaTable
from threadpoolctl import threadpool_info, threadpool_limits

from kgp import tables as t
from kgp.config import load_config
from kgp.eqtl.common_variants import CommonRule
from kgp.eqtl.ld_pruning import PruningRule
from kgp.io.delta import Lake
from kgp.job import Progress, run_job
from kgp.jobs import build_eqtl_matrices, genotype_components
from kgp.jobs.build_eqtl_matrices import BUILD_EQTL_MATRICES
from kgp.jobs.genotype_blocks import Selection
from kgp.jobs.one_core import on_one_core
from kgp.params import EqtlBuild
from matrix_world import (
    AUTOSOMES,
    CALLSET,
    FIRST_POS,
    N_VARIANTS,
    STEP,
    fill,
    make_world,
    no_spark,
    people_of,
)

N_PHENOTYPES = 900


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up lake, and many phenotypes of its people beside it: products large enough for two threads."""
    place = tmp_path_factory.mktemp("world")
    world = make_world()
    fill(world, Lake(no_spark, str(place / "lake")))
    rng = np.random.default_rng(5)
    people = people_of(world)
    values = rng.normal(size=(N_PHENOTYPES, 6)) @ rng.normal(size=(6, len(people)))
    values += rng.normal(size=values.shape) + 20
    with open(place / "own.bed", "w", encoding="utf-8") as file:
        print("#chr", "start", "end", "phenotype_id", *people, sep="\t", file=file)
        for i, row in enumerate(values.tolist()):
            start = FIRST_POS + STEP * (i % N_VARIANTS)
            print(AUTOSOMES[i % 5], start, start + 1, f"g{i}", *map(repr, row), sep="\t", file=file)
    return place


@pytest.fixture
def build(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int, str], dict[str, bytes]]:
    """``build(threads, factors_as)``: the numbers of a set that was built in a lake of its own, table by table."""
    monkeypatch.setattr("kgp.job.get_session", no_spark)

    def start(n_threads: int, factors_as: str) -> dict[str, bytes]:
        place = tmp_path / f"lake{n_threads}{factors_as}"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(template / "lake", place)
        config = load_config(lake=str(place), environ={})
        given = {
            "name": "a", "callset": CALLSET, "phenotypes": str(template / "own.bed"), "profile": "geuvadis",
            "factors": "peer", "n_factors": 8, "prune_max_r2": 0.98, "cis_window": 20_000, "swaps": "report",
            "kinship": "none", "few_contigs": "allow", "n_components": 3, "components_max_missing": 0.2,
            "factors_as": factors_as, "transform": "none",
        }  # fmt: skip
        with threadpool_limits(n_threads):
            run_job(
                BUILD_EQTL_MATRICES, config.params(EqtlBuild, given), config, progress=Progress(quiet=True)
            )
        return {name: numbers_of(place / name) for name in ("eqtl_phenotypes", "eqtl_covariates")}

    return start


def numbers_of(place: Path) -> bytes:
    """Bytes of the values of a table's rows, by id."""
    rows = DeltaTable(str(place)).to_pyarrow_table().to_pylist()
    rows.sort(key=lambda row: str(row.get("phenotype_id", row.get("covariate_id"))))
    assert rows
    return np.array([row["values"] for row in rows], dtype=np.float64).tobytes()


@contextlib.contextmanager
def left_alone() -> Iterator[None]:
    yield


@pytest.mark.parametrize(
    ("factors_as", "table"), [("residuals", "eqtl_phenotypes"), ("covariates", "eqtl_covariates")]
)
def test_a_set_is_the_same_with_any_number_of_threads(
    factors_as: str,
    table: str,
    build: Callable[[int, str], dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = build(1, factors_as)
    assert build(2, factors_as) == first
    # Without the guard BLAS rounds otherwise, so that the test would not pass.
    for module in (build_eqtl_matrices, genotype_components):
        monkeypatch.setattr(module, "on_one_core", left_alone)
    assert build(1, factors_as) == first
    assert build(2, factors_as)[table] != first[table]


def test_only_what_is_inside_has_one_thread() -> None:
    def threads() -> set[int]:
        return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}

    with threadpool_limits(2, user_api="blas"):
        with on_one_core():
            assert threads() == {1}
            with on_one_core():
                assert threads() == {1}
            assert threads() == {1}
        assert threads() == {2}


def test_a_task_of_genotype_components_has_one_thread(
    template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Spark calls limits itself: the limit of the driver does not reach a worker."""
    seen: set[int] = set()

    class Watched(genotype_components.RelationshipMatrix):
        def add(self, dosages: np.ndarray) -> None:
            seen.update(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas")
            super().add(dosages)

    monkeypatch.setattr(genotype_components, "RelationshipMatrix", Watched)
    lake = Lake(no_spark, str(template / "lake"))
    parts = lake.parts(t.VARIANTS, partitions={"callset": [CALLSET], "contig": ["1"]}, target_rows=1)
    task = genotype_components.ContigTask(Selection(60, CommonRule(0.05, 0.1)), PruningRule(50, 5, 0.98))
    with threadpool_limits(2, user_api="blas"):
        sums = genotype_components.sum_contig(("1", parts), task)
    assert sums.matrix.n_variants
    assert seen == {1}
