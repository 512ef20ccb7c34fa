"""Credentials that a running session's configuration holds are known to kgp."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from kgp.io import azure
from kgp.io.azure import find_account
from kgp.io.place import learn_credentials

SETTING = "fs.azure.account.key.ofnotebook.dfs.core.windows.net"
KEY = "bm90IGEgcmVhbCBrZXk="


@pytest.fixture
def set_in_notebook(spark: SparkSession) -> Iterator[None]:
    spark.conf.set(SETTING, KEY)
    yield
    spark.conf.unset(SETTING)
    azure._found.clear()
    azure._from_spark.clear()


def test_what_a_notebook_sets_is_known(set_in_notebook: None) -> None:
    learn_credentials()
    assert find_account("ofnotebook").key == KEY


def test_a_sessions_settings_hold_those_of_its_context(spark: SparkSession) -> None:
    """Only the session's are asked for: those that Spark was started with are among them."""
    of_context = {name for name, _ in spark.sparkContext.getConf().getAll()}
    names = spark._jsparkSession.conf().getAll().keys().mkString("\n").split("\n")
    assert "spark.master" in of_context
    assert of_context <= set(names)
