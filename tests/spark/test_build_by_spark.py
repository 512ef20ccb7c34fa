"""A set that Spark builds is the set that is built without it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable

from kgp.config import Config
from kgp.io.delta import Lake
from kgp.job import Progress, run_job
from kgp.jobs.build_eqtl_matrices import BUILD_EQTL_MATRICES
from kgp.params import EqtlBuild
from matrix_world import CALLSET, COUNTS, DATASET, VALUES, fill, make_world, no_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROWS = ("eqtl_phenotypes", "eqtl_genotypes", "eqtl_covariates", "eqtl_matches")


def content(lake: Path) -> dict[str, Any]:
    """All rows by delta-rs, without what tells of the run."""
    (row,) = DeltaTable(str(lake / "eqtl_matrices")).to_pyarrow_table().to_pylist(maps_as_pydicts="strict")
    found: dict[str, Any] = {k: v for k, v in row.items() if k not in ("seconds", "built_at")}
    for name in ROWS:
        rows = DeltaTable(str(lake / name)).to_pyarrow_table().to_pylist()
        found[name] = sorted(json.dumps(one) for one in rows)
    return found


def test_with_and_without_spark(
    spark: SparkSession, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From pinned versions, with genotype components: whatever is done by tasks or by the driver."""
    fill(make_world(), Lake(no_spark, str(tmp_path / "alone")))
    shutil.copytree(tmp_path / "alone", tmp_path / "by_spark")

    def build(name: str) -> dict[str, Any]:
        made = Config({**config.values, "": {**config.values[""], "lake": str(tmp_path / name)}})
        given = {"name": "a", "callset": CALLSET, "dataset": DATASET, "quantification": [VALUES], "counts": COUNTS,
                 "profile": "gtex", "kinship": "none", "n_factors": 3, "prune_max_r2": 0.98,
                 "components_from": "other-contigs", "few_contigs": "allow", "cis_window": 20_000}  # fmt: skip
        run_job(BUILD_EQTL_MATRICES, made.params(EqtlBuild, given), made, progress=Progress(quiet=True))
        return content(tmp_path / name)

    with monkeypatch.context() as patch:
        patch.setattr("kgp.job.get_session", no_spark)
        alone = build("alone")
    monkeypatch.setattr("kgp.jobs.eqtl_genotypes._WITHOUT_SPARK", 0)
    monkeypatch.setattr("kgp.jobs.genotype_tasks.DRIVER_GENOTYPES", 0)
    started: list[object] = []
    monkeypatch.setattr("kgp.job.get_session", lambda *_, **__: started.append(1) or spark)
    assert build("by_spark") == alone
    assert started, "Spark did it"
