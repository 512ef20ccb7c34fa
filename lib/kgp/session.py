"""The only place that builds a SparkSession, and the JARs it needs.

Three cases, told apart by what is there: a notebook or workflow that has a session already (Databricks), a
script under spark-submit (its settings count; Delta must be on its class path), and a plain Python process (the
pinned JARs are taken from the cache that `kgp doctor --fix` fills once; nothing is downloaded afterwards).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from kgp.errors import EnvironmentProblem
from kgp.params import SessionParams

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

JAVA_VERSIONS = range(17, 22)
INSTALL_JAVA = "sudo apt-get install openjdk-17-jre-headless"

DELTA_EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"
DELTA_CATALOG = "org.apache.spark.sql.delta.catalog.DeltaCatalog"


@dataclass(frozen=True)
class Jar:
    """One pinned JVM package: Maven coordinate and SHA-256 of the JAR."""

    coordinate: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name under which Spark's Ivy client stores it."""
        group, artifact, number = self.coordinate.split(":")
        return f"{group}_{artifact}-{number}.jar"


# What each Spark line takes: the Delta that is made for it, and what that needs. Spark 3.5 is pinned and tested first.
_LINES = {
    "3.5": (
        Jar(
            "io.delta:delta-spark_2.12:3.3.2",
            "4e92085d5d794cf949c50bb665b91384857cad58680c2d0bfc9c7ad353e98e85",
        ),
        Jar(
            "io.delta:delta-storage:3.3.2", "c096975a2ca97ccc9b4005aa5cce16c9ac3903139d340da6665b66ace67d7c36"
        ),
        Jar(
            "org.antlr:antlr4-runtime:4.9.3",
            "131a6594969bc4f321d652ea2a33bc0e378ca312685ef87791b2c60b29d01ea5",
        ),
    ),
    "4.0": (
        Jar(
            "io.delta:delta-spark_2.13:4.0.0",
            "538511702aae0ef6973a6a70af3d4543c9009f8edbed786a00737e2d3cd7f04e",
        ),
        Jar(
            "io.delta:delta-storage:4.0.0", "9bdb9fb450f1e119eba53feb427f331b0d09072d26485b8273883ad72c9a2e1d"
        ),
        Jar(
            "org.antlr:antlr4-runtime:4.13.1",
            "54665d2838cc66458343468efc539e454fc95b46a8a04b13c6ac43fc9be63505",
        ),
    ),
}


def pinned_jars() -> tuple[Jar, ...]:
    """The JARs of the installed Spark's line, Delta first.

    Raises:
        EnvironmentProblem: kgp does not know that line.
    """
    installed = version("pyspark")
    line = ".".join(installed.split(".")[:2])
    if line not in _LINES:
        raise EnvironmentProblem(
            f"pyspark {installed} is of a line that kgp does not know.",
            mend=f"Use Spark {' or '.join(_LINES)}.",
        )
    return _LINES[line]


def jar_cache() -> Path:
    """Where the pinned JARs lie: ``$KGP_JARS``, else ``kgp/jars`` in the user's cache directory."""
    if "KGP_JARS" in os.environ:
        return Path(os.environ["KGP_JARS"])
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "kgp" / "jars"


def find_jars() -> list[Path]:
    """The pinned JARs in the cache, each with the right checksum.

    Raises:
        EnvironmentProblem: one is missing or is another file than the pinned one.
    """
    jars = pinned_jars()
    paths = [jar_cache() / jar.file_name for jar in jars]
    for jar, path in zip(jars, paths, strict=True):
        if not path.is_file():
            raise EnvironmentProblem(
                f"The JAR {jar.coordinate} is not in the cache.",
                where=str(jar_cache()),
                mend="Run: kgp doctor --fix",
            )
        if hashlib.sha256(path.read_bytes()).hexdigest() != jar.sha256:
            raise EnvironmentProblem(
                f"The JAR {jar.coordinate} is not the pinned file.",
                where=str(path),
                mend="Run: kgp doctor --fix",
            )
    return paths


def fetch_jars() -> list[Path]:
    """Fill the cache through Spark's own Ivy client and check every JAR. Does nothing where all are there."""
    try:
        return find_jars()
    except EnvironmentProblem:
        pass
    check_java()
    jars = pinned_jars()
    target = jar_cache()
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        # spark-submit resolves --packages before it starts the application, which has nothing to do.
        script = Path(scratch) / "nothing.py"
        script.write_text("", encoding="utf-8")
        command = [
            *_spark_submit(), "--master", "local[1]", "--packages", jars[0].coordinate,
            "--conf", f"spark.jars.ivy={scratch}/ivy", "--conf", "spark.ui.enabled=false", str(script),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = Path(scratch) / "ivy" / "jars"
        missing = [jar.coordinate for jar in jars if not (found / jar.file_name).is_file()]
        if missing:
            reason = next((line.strip() for line in done.stderr.splitlines() if "UNRESOLVED" in line), "")
            raise EnvironmentProblem(
                f"Maven did not give {', '.join(missing)}. {reason}".strip(),
                mend="Check the network or the proxy settings (spark.jars.ivySettings), then run: kgp doctor --fix",
            )
        for jar in jars:
            shutil.copyfile(found / jar.file_name, target / (jar.file_name + ".part"))
            (target / (jar.file_name + ".part")).replace(target / jar.file_name)
    return find_jars()


def _spark_submit() -> list[str]:
    import pyspark

    home = Path(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent)
    return [str(home / "bin" / "spark-submit")]


def java_version() -> int | None:
    """Major version of the Java that Spark will start, or None where there is none."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None:
        return None
    try:
        text = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(found[1]) if found else None


def check_java() -> None:
    """Refuse to go on without a Java that Spark runs on."""
    found = java_version()
    if found not in JAVA_VERSIONS:
        have = "Java is missing" if version is None else f"Java {version} is not one that Spark runs on here"
        raise EnvironmentProblem(f"{have}; kgp needs Java 17.", mend=f"Install it with: {INSTALL_JAVA}")


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
