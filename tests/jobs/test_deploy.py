"""What is in deploy/ runs: the asset bundle's tasks are valid command lines, the spark-submit example does the job."""

from __future__ import annotations

import dataclasses
import gzip
import os
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml
from deltalake import DeltaTable

from kgp.cli import JOB_COMMANDS
from kgp.config import load_config

_JOBS = {command.job().name: command.job() for command in JOB_COMMANDS}


def _tasks(root: Path) -> list[dict[str, Any]]:
    bundle = yaml.safe_load((root / "deploy/resources/nightly.yml").read_text(encoding="utf-8"))
    return list(bundle["resources"]["jobs"]["kgp_nightly"]["tasks"])


def test_bundle_runs_every_job_in_an_order_that_works(root: Path) -> None:
    tasks = _tasks(root)
    keys = [task["task_key"] for task in tasks]
    assert keys == [name for name in _JOBS if name in keys]
    needs_not = {
        "export_vcf",
        "load_annotations",
        "list_trios",
        "list_cohort",
        "load_runs",
        "load_covariates",
        "check_samples",
        "compute_kinship",
        "show_eqtl",
        "list_top",
    }
    assert set(_JOBS) - set(keys) <= needs_not, "what a night needs not"
    seen: set[str] = set()
    for task in tasks:
        assert {d["task_key"] for d in task.get("depends_on", [])} <= seen
        seen.add(task["task_key"])
        script = root / "deploy/resources" / task["spark_python_task"]["python_file"]
        assert script.resolve() == root / "jobs" / f"{task['task_key']}.py"
        assert script.resolve().is_file()


def test_bundle_parameters_are_options_of_the_jobs(root: Path) -> None:
    variables = yaml.safe_load((root / "deploy/databricks.yml").read_text(encoding="utf-8"))["variables"]
    sample = {"build": "GRCh37", "unit": "rpkm"}
    used: set[str] = set()
    for task in _tasks(root):
        given: dict[str, Any] = {}
        params = _JOBS[task["task_key"]].params
        flag = None
        for text in task["spark_python_task"]["parameters"]:
            if text.startswith("--"):
                flag = text.removeprefix("--").replace("-", "_")
                continue
            value = text
            for name in re.findall(r"\$\{var\.(\w+)\}", text):
                used.add(name)
                assert flag is None or name == flag, "a variable carries its option's name"
                value = value.replace(f"${{var.{name}}}", sample.get(name, name))
            if flag is None:
                (field,) = (f for f in dataclasses.fields(params) if f.metadata.get("positional"))
                given[field.name] = value if field.type == "str" else (value,)
            elif flag not in ("lake", "conf"):
                given[flag] = value
            flag = None
        load_config("databricks", environ={}).params(params, given)
    assert used == set(variables) - {"node_type", "workers"}


@pytest.mark.slow
@pytest.mark.spark
def test_nightly_run_through_spark_submit(root: Path, bundled: Path, tmp_path: Path) -> None:
    """The example as it stands, on the first 3,000 variants."""
    from kgp.jars import find_jars

    small = tmp_path / "small.vcf.gz"
    with gzip.open(bundled / "genotypes.chr22.vcf.gz", "rb") as source, gzip.open(small, "wb", 1) as target:
        target.writelines(islice(source, 3300))
    bin_dir = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{bin_dir}:{os.environ['PATH']}",
        "PYTHON": sys.executable,
        "MASTER": "local[2]",
        "LAKE": str(tmp_path / "lake"),
        "OUT": str(tmp_path / "out"),
        "PANEL": str(bundled / "samples.panel"),
        "VCFS": str(small),
        "MATRIX": str(bundled / "genes.50percent.chr22.bed.gz"),
        "PERMUTATIONS": "100",
        "DELTA_ARGS": f"--jars {','.join(map(str, find_jars()))}",
        "SUBMIT_ARGS": "--conf spark.ui.enabled=false --driver-java-options -XX:TieredStopAtLevel=1",
    }
    command = [str(root / "deploy/spark-submit/nightly.sh")]
    first = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr[-3000:]
    lake = tmp_path / "lake"
    with gzip.open(small, "rt") as text:
        n_records = sum(not line.startswith("#") for line in text)
    assert DeltaTable(str(lake / "variants")).count() == n_records
    (mapped,) = DeltaTable(str(lake / "eqtl_maps")).to_pyarrow_table().to_pylist()
    assert (mapped["mode"], mapped["n_samples"]) == ("permute", 358)
    assert DeltaTable(str(lake / "eqtl_top")).count() == mapped["n_phenotypes"] > 0
    assert (tmp_path / "out/fastqtl/genotypes.vcf.gz.tbi").is_file()
    assert (tmp_path / "out/tensorqtl/covariates.txt").is_file()
