"""The only place that builds a SparkSession, and the JARs it needs.

Three cases, told apart by what is there: a notebook or workflow that has a session already (Databricks), a
script under spark-submit (its settings count; Delta must be on its class path), and a plain Python process (the
pinned JARs are taken from the cache that `kgp doctor --fix` fills once; nothing is downloaded afterwards).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kgp.errors import EnvironmentProblem
from kgp.jars import check_java, find_jars, jar_cache, pinned_jars
from kgp.params import SessionParams

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DELTA_EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"
DELTA_CATALOG = "org.apache.spark.sql.delta.catalog.DeltaCatalog"


def get_session(params: SessionParams, *, app_name: str = "kgp") -> SparkSession:
    """The session that is there, or a new one made as `params` say.

    Raises:
        EnvironmentProblem: Java, the JARs, or Delta on a spark-submit class path are missing.
    """
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    if "DATABRICKS_RUNTIME_VERSION" in os.environ:
        return SparkSession.builder.getOrCreate()
    # Python workers must run the driver's interpreter: another one has other packages.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    if not submitted:
        check_java()
    builder = SparkSession.builder.appName(app_name)
    for key, value in _settings(params, submitted=submitted).items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel(params.log_level)
    _check_delta(spark)
    return spark


def _settings(params: SessionParams, *, submitted: bool) -> dict[str, str]:
    from pyspark import SparkConf

    given = dict(SparkConf().getAll()) if submitted else {}
    settings = {
        "spark.sql.extensions": DELTA_EXTENSION,
        "spark.sql.catalog.spark_catalog": DELTA_CATALOG,
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        # A lake has many small tables: one snapshot partition each instead of fifty.
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
    }
    if params.shuffle_partitions is not None:
        settings["spark.sql.shuffle.partitions"] = str(params.shuffle_partitions)
    if not submitted:
        settings["spark.jars"] = ",".join(path.as_uri() for path in find_jars())
        settings["spark.ui.enabled"] = "false"
        settings["spark.driver.host"] = settings["spark.driver.bindAddress"] = "127.0.0.1"
        settings["spark.ui.showConsoleProgress"] = "false"
        options = [_quiet_log4j(), params.java_options or ""]
        settings["spark.driver.extraJavaOptions"] = " ".join(filter(None, options))
        if params.master is not None:
            settings["spark.master"] = params.master
        if params.driver_memory is not None:
            settings["spark.driver.memory"] = params.driver_memory
    return {key: value for key, value in settings.items() if key not in given}


def _quiet_log4j() -> str:
    """JVM option for a log4j file that keeps Spark's start-up chatter off the terminal."""
    path = jar_cache() / "log4j2-quiet.properties"
    text = (
        "rootLogger.level = error\nrootLogger.appenderRef.stderr.ref = stderr\n"
        "appender.stderr.type = Console\nappender.stderr.name = stderr\nappender.stderr.target = SYSTEM_ERR\n"
        "appender.stderr.layout.type = PatternLayout\n"
        # Equal to the root level, so that Spark has no level change to announce.
        "logger.gateway.name = org.apache.spark.api.python.PythonGatewayServer\nlogger.gateway.level = error\n"
        "appender.stderr.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n%throwable{3}\n"
    )
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return f'-Dlog4j2.configurationFile="{path.as_uri()}"'


def _check_delta(spark: SparkSession) -> None:
    try:
        spark._jvm.java.lang.Class.forName(  # type: ignore[union-attr]
            DELTA_EXTENSION,
            False,
            spark._jvm.java.lang.Thread.currentThread().getContextClassLoader(),  # type: ignore[union-attr]
        )
    except Exception as problem:
        raise EnvironmentProblem(
            "Delta is not on the class path.",
            where="spark-submit",
            mend=f"Add: --packages {pinned_jars()[0].coordinate}",
        ) from problem
