"""What tests share: one Spark session, an empty lake, the bundled slice, the shared data, foreign tools.

A test that asks for `spark` (or `lake`) is marked ``spark``, one that asks for `shared_data` is marked
``shared``. What a machine may lack skips the test with a reason; where ``CI=true`` it fails instead, so that
nothing is left out unseen.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from lacking import lacking

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from kgp.config import Config
    from kgp.io.delta import Lake

ROOT = Path(__file__).parents[1]

# Timings are no tests: a busy machine is no reason to fail.
settings.register_profile("kgp", deadline=None)
settings.load_profile("kgp")

# executable → Debian package
TOOLS = {
    "bcftools": "bcftools",
    "bgzip": "tabix",
    "fastQTL": "fastqtl",
    "chromedriver": "chromium-driver",
    "java": "openjdk-17-jre-headless",
    "QTLtools": "qtltools",
    "Rscript": "r-base-core",
    "tabix": "tabix",
}


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark tests by what they ask for."""
    for fixture, marker in (("spark", "spark"), ("shared_data", "shared")):
        if fixture in getattr(item, "fixturenames", ()):
            item.add_marker(marker)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def bundled() -> Path:
    """The real slice of chromosome 22 that is bundled: VCF, BED of expression, panel."""
    return ROOT / "tests" / "data" / "geuvadis-chr22"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Data that is not part of the repository: ``$KGP_SHARED_DATA``, else ../shared/data."""
    path = Path(os.environ.get("KGP_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not path.is_dir():
        lacking(f"the shared data are not at {path}: set KGP_SHARED_DATA to their directory")
    return path


@pytest.fixture(scope="session")
def require_tool() -> Callable[[str], Path]:
    """``require_tool("QTLtools")``: the path of an executable; skips where it is not installed."""

    def find(name: str) -> Path:
        found = shutil.which(name)
        if found is None:
            lacking(f"{name} is not installed: apt-get install {TOOLS.get(name, name.lower())}")
        return Path(found)

    return find


@pytest.fixture(scope="session")
def config() -> Config:
    """The configuration of conf/base.yml with a session that is small enough for tests."""
    from kgp.config import load_config

    environ = {
        "KGP_SESSION_MASTER": "local[2]",
        "KGP_SESSION_DRIVER_MEMORY": "2g",
        "KGP_SESSION_SHUFFLE_PARTITIONS": "2",
    }
    return load_config(environ=environ)


@pytest.fixture(scope="session")
def spark(config: Config) -> Iterator[SparkSession]:
    """One session for the whole run, made as kgp makes its own."""
    from kgp.params import SessionParams
    from kgp.session import get_session

    session = get_session(config.params(SessionParams), app_name="kgp tests")
    yield session
    session.stop()


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    """An empty lake of this test alone."""
    from kgp.io.delta import Lake

    return Lake(spark, str(tmp_path / "lake"))
