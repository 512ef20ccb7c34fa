"""`kgp eqtl build --n-factors-by` end to end on a made-up lake without a JVM: number, scores, notes and ids of sets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deltalake import DeltaTable

from kgp.config import load_config
from kgp.errors import LakeError, UsageError
from kgp.job import Progress, Report, run_job
from kgp.jobs.build_eqtl_matrices import BUILD_EQTL_MATRICES
from kgp.jobs.eqtl_plan import RECIPE
from kgp.params import EqtlBuild
from matrix_world import (
    AUTOSOMES,
    CALLSET,
    DATASET,
    VALUES,
    World,
    columns_of,
    inverse_normal,
    people_of,
)

HOW = "more of its variance than chance does (Buja and Eyuboglu: 20 permutations, p at most 0.05, seed 1)"


Build = Callable[..., Report]


@pytest.fixture
def lake(world_copy: Path) -> Path:
    return world_copy


@pytest.fixture
def build(lake: Path) -> Build:
    def run(**options: Any) -> Report:
        config = load_config(lake=str(lake), environ={})
        given = {
            "name": "a", "callset": CALLSET, "dataset": DATASET, "quantification": [VALUES], "profile": "basic",
            "cis_window": 20_000, "swaps": "skip", "factors": "pca", **options,
        }  # fmt: skip
        params = config.params(EqtlBuild, given)
        return run_job(BUILD_EQTL_MATRICES, params, config, progress=Progress(quiet=True))

    return run


def read(lake: Path, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (
        DeltaTable(str(lake / table)).to_pyarrow_table().to_pylist(maps_as_pydicts="strict")
    )
    return rows


def components_of(lake: Path, matrix_id: str) -> dict[str, list[float]]:
    rows = [row for row in read(lake, "eqtl_covariates") if row["matrix_id"] == matrix_id]
    rows.sort(key=lambda row: row["row_index"])
    return {r["covariate_id"]: r["values"] for r in rows if r["covariate_id"].startswith("expression_pc")}


def choose(world: World) -> tuple[int, np.ndarray]:
    """How many components Buja and Eyuboglu's permutations choose, and their scores: numpy's SVD throughout."""
    people = people_of(world)
    values = world.values[:, columns_of(world, people)]
    can_be_in_a_set = np.isin([str(contig) for _, contig, _ in world.genes], [*AUTOSOMES, "21"])
    kept = ((values >= 0.1).sum(axis=1) >= np.ceil(0.2 * len(people))) & can_be_in_a_set
    order = sorted(np.flatnonzero(kept), key=lambda i: world.genes[i][0])
    normal = inverse_normal(values)[order]
    standard = (normal - normal.mean(axis=1, keepdims=True)) / normal.std(axis=1, ddof=1, keepdims=True)

    def shares(table: np.ndarray) -> np.ndarray:
        squares = np.linalg.svd(table, compute_uv=False) ** 2
        return (squares / squares.sum()).round(5)

    generator = np.random.default_rng(1)
    observed, n_as_great = shares(standard), np.zeros(min(standard.shape), dtype=int)
    for _ in range(20):
        n_as_great += shares(np.array([generator.permuted(row) for row in standard])) >= observed
    p_values = np.maximum.accumulate((n_as_great + 1) / 21)
    n = int((p_values <= 0.05).sum())
    left, lengths, _ = np.linalg.svd(standard.T, full_matrices=False)
    return n, (left * lengths)[:, :n]


def test_a_set_has_the_components_that_permutations_choose(world: World, build: Build, lake: Path) -> None:
    n, scores = choose(world)
    assert n > 0
    report = build(n_factors_by="be")
    (row,) = read(lake, "eqtl_matrices")
    found = components_of(lake, row["matrix_id"])
    assert list(found) == [f"expression_pc_{i}" for i in range(1, n + 1)]
    for i, values in enumerate(found.values()):
        assert abs(np.corrcoef(values, scores[:, i])[0, 1]) > 1 - 1e-9
        np.testing.assert_allclose(np.abs(values), np.abs(scores[:, i]), rtol=1e-6, atol=1e-8)
    note = f"{n} principal components of expression, each of which explains {HOW}."
    assert note in row["notes"]
    assert note in report.notes


def test_the_id_of_a_set_tells_permutations_and_nothing_else(build: Build, lake: Path) -> None:
    """By the elbow a set has the id that it had before there was a choice: no word of it is in its parameters."""
    build(name="a")
    build(name="b", n_factors_by="elbow")
    build(name="c", n_factors_by="be")
    build(name="d", factors="none")
    build(name="e", n_factors=2)
    sets = {row["name"]: row for row in read(lake, "eqtl_matrices")}
    for name, row in sets.items():
        assert row["parameters"].get("n_factors_by") == ("be" if name == "c" else None)
        parts = [RECIPE, sorted(row["parameters"].items()), sorted(row["load_ids"])]
        parts[1] = [list(pair) for pair in parts[1]]
        assert row["matrix_id"] == hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
    a, b, c = (dict(sets[name]["parameters"]) for name in "abc")
    assert a == {**b, "name": "a"}
    assert c == {**a, "name": "c", "n_factors_by": "be"}
    assert any("by the elbow of their variance" in note for note in sets["a"]["notes"])


def test_it_is_built_once_and_comes_again_the_same(build: Build, lake: Path) -> None:
    first = build(n_factors_by="be")
    before = components_of(lake, first.details["matrix_id"])
    assert not build(n_factors_by="be").changed
    with pytest.raises(
        LakeError, match=r"in use for a set that was built with n_factors_by be \(now elbow\)"
    ):
        build()
    other = build(replace=True)
    assert len(components_of(lake, other.details["matrix_id"])) != len(before)
    again = build(n_factors_by="be", replace=True)
    assert again.details["matrix_id"] == first.details["matrix_id"]
    assert components_of(lake, again.details["matrix_id"]) == before


def test_a_dry_run_says_the_number_and_how(world: World, build: Build, lake: Path) -> None:
    n, _ = choose(world)
    report = build(n_factors_by="be", dry_run=True)
    told = json.dumps([report.summary, report.notes, report.details], default=str)
    assert f"{n} principal components of expression, each of which explains {HOW}." in told
    assert f"{n} principal components, " in told
    assert not (lake / "eqtl_matrices").exists()


def test_permutations_that_would_choose_nothing_are_refused(build: Build) -> None:
    with pytest.raises(
        UsageError, match=r"--n-factors-by be: Permutations choose .* factors are none\. Give"
    ):
        build(factors="none", n_factors_by="be")
    with pytest.raises(
        UsageError, match=r"--n-factors-by be: The number of expression PCs is given: 2\. Leave"
    ):
        build(n_factors=2, n_factors_by="be")
