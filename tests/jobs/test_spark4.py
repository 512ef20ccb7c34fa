"""The same code on the second Spark line: the demo on Spark 4.0 with Delta 4.0 exports and maps the same bytes."""

from __future__ import annotations

import gzip
import os
import site
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kgp.io.delta import Lake
from kgp.tables import TABLES


def _content(directory: Path) -> dict[str, bytes]:
    """What the exported files hold: text without the lines that name the set's build and without the place
    that their README names in its command lines; .pgen as it is."""
    found = {}
    for path in sorted(directory.rglob("*")):
        if path.suffix in (".gz", ".txt", ".pgen", ".pvar", ".psam"):
            raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            lines = raw.splitlines(keepends=True) if path.suffix != ".pgen" else [raw]
            content = b"".join(x for x in lines if not x.startswith(b"##"))
            found[str(path.relative_to(directory))] = content.replace(str(directory).encode(), b"DIRECTORY")
    return found


def _no_spark() -> Any:
    raise AssertionError("no Spark is needed to look at the lake")


def _mapped(lake: Path, name: str, *key: str) -> pa.Table:
    """Rows of a table of mapped pairs, in order, without what names the set's build."""
    rows = Lake(_no_spark, str(lake)).fetch(TABLES[name]).drop_columns(["map_id", "matrix_id"])
    return rows.sort_by([(column, "ascending") for column in key])


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.timeout(1200)
def test_the_demo_on_spark_4(root: Path, tmp_path: Path) -> None:
    """Only pyspark and delta-spark are other packages: a small environment over this one holds them."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    packages = next(home.glob("lib/python*/site-packages"))
    # addsitedir, and not a bare path: the packages below have .pth files of their own (kgp's editable install).
    below = "".join(f"import site; site.addsitedir({path!r})\n" for path in site.getsitepackages())
    (packages / "under.pth").write_text(below, encoding="utf-8")
    python = home / "bin" / "python"
    environment = {
        name: text for name, text in os.environ.items() if not name.startswith(("PYSPARK", "SPARK"))
    }
    lock = root / "tests/jobs/requirements-spark4.lock"
    install = [
        python,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--require-hashes",
        "-r",
        lock,
    ]
    subprocess.run(install, check=True, env=environment)

    def run(interpreter: Path, name: str, *command: str) -> str:
        code = "import sys; from kgp.cli import main; sys.exit(main())"
        done = subprocess.run(
            [interpreter, "-c", code, *command], capture_output=True, text=True, check=False, env=environment
        )
        assert done.returncode == 0, f"{name}: {done.stderr[-3000:]}"
        return done.stdout

    assert "pyspark 4.0" in run(python, "doctor", "doctor", "--fix", "--lake", str(tmp_path / "lake"))
    for name, interpreter in (("four", python), ("three", Path(sys.executable))):
        place = tmp_path / name
        run(interpreter, name, "demo", "--lake", str(place / "lake"), "--out", str(place / "out"))
    four, three = _content(tmp_path / "four/out"), _content(tmp_path / "three/out")
    assert set(four) >= {"tensorqtl/genotypes.pgen", "fastqtl/genotypes.vcf.gz", "fastqtl/covariates.txt.gz"}
    # Named one by one: pytest takes minutes to show how two dicts of whole files differ.
    assert set(four) == set(three)
    assert [name for name in four if four[name] != three[name]] == []
    for table, *key in (("eqtl_nominal", "phenotype_id", "variant_id"), ("eqtl_top", "phenotype_id")):
        by_four, by_three = (_mapped(tmp_path / name / "lake", table, *key) for name in ("four", "three"))
        assert by_four.num_rows > 250
        assert by_four.equals(by_three), table
