"""Java, and the pinned JARs that Spark needs beside its own: Delta's, and Hadoop's drivers for Azure.

They are fetched once into a cache, by Spark's own Ivy client, and each is checked against its SHA-256; nothing is
downloaded afterwards.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from kgp.errors import EnvironmentProblem

JAVA_VERSIONS = range(17, 22)
INSTALL_JAVA = "sudo apt-get install openjdk-17-jre-headless"


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


@dataclass(frozen=True)
class _Line:
    """What a line of Spark takes, each with what it needs: the Delta made for it, and Hadoop's drivers for Azure."""

    delta: tuple[Jar, ...]
    azure: tuple[Jar, ...]


# fmt: off
_AZURE_STORAGE = Jar("com.microsoft.azure:azure-storage:7.0.1",
                     "32249cf9b550e247e257c0a508f93526d35e072509aa637fd33b3d54e267b1e2")
# Spark 3.5 is pinned and tested first.
_LINES = {
    "3.5": _Line(
        delta=(
            Jar("io.delta:delta-spark_2.12:3.3.2",
                "4e92085d5d794cf949c50bb665b91384857cad58680c2d0bfc9c7ad353e98e85"),
            Jar("io.delta:delta-storage:3.3.2",
                "c096975a2ca97ccc9b4005aa5cce16c9ac3903139d340da6665b66ace67d7c36"),
            Jar("org.antlr:antlr4-runtime:4.9.3",
                "131a6594969bc4f321d652ea2a33bc0e378ca312685ef87791b2c60b29d01ea5"),
        ),
        azure=(
            Jar("org.apache.hadoop:hadoop-azure:3.3.4",
                "37adcc23d4db068834acf2b21b6931b609a43cf0a9b4926c440f472af7abad01"),
            _AZURE_STORAGE,
            Jar("org.eclipse.jetty:jetty-util:9.4.43.v20210629",
                "62786c3f838354a35fa7b66c8e9e7be968185ade18ed6b81c17f0e2e1ea225a0"),
            Jar("org.eclipse.jetty:jetty-util-ajax:9.4.43.v20210629",
                "40db3ae087aeea91aa85d2b3d8fdbf40174d44d4c1cef25d2890e096b51d24f8"),
            Jar("org.wildfly.openssl:wildfly-openssl:1.0.7.Final",
                "9f7058778978ec2ad90c7224401a4b0013d93e0dd3fa0f72b25244ffa3507ca8"),
        ),
    ),
    "4.0": _Line(
        delta=(
            Jar("io.delta:delta-spark_2.13:4.0.0",
                "538511702aae0ef6973a6a70af3d4543c9009f8edbed786a00737e2d3cd7f04e"),
            Jar("io.delta:delta-storage:4.0.0",
                "9bdb9fb450f1e119eba53feb427f331b0d09072d26485b8273883ad72c9a2e1d"),
            Jar("org.antlr:antlr4-runtime:4.13.1",
                "54665d2838cc66458343468efc539e454fc95b46a8a04b13c6ac43fc9be63505"),
        ),
        azure=(
            Jar("org.apache.hadoop:hadoop-azure:3.4.1",
                "d1ccb21546072acb55da9cf29bbf353749d8864ae96e9d9d2b6a06533b979c94"),
            _AZURE_STORAGE,
            Jar("org.eclipse.jetty:jetty-util:9.4.53.v20231009",
                "7e5370022ecd1f682653641169a33e62e26730dd1e786433bed506cb0dcb1abc"),
            Jar("org.eclipse.jetty:jetty-util-ajax:9.4.53.v20231009",
                "c32c1e170615e366d90d92c1172588babc72ba31fdca85d84fa9172db26b73f4"),
            Jar("org.wildfly.openssl:wildfly-openssl:1.1.3.Final",
                "4e7d50a877822ba7561fa6a0109691b30b23a784eba3f3f8fbbf5ea866500786"),
        ),
    ),
}
# fmt: on


def pinned_jars() -> tuple[Jar, ...]:
    """The JARs of the installed Spark's line, Delta first.

    Raises:
        EnvironmentProblem: kgp does not know that line.
    """
    installed = version("pyspark")
    line = _LINES.get(".".join(installed.split(".")[:2]))
    if line is None:
        raise EnvironmentProblem(
            f"pyspark {installed} is of a line that kgp does not know.",
            mend=f"Use Spark {' or '.join(_LINES)}.",
        )
    return line.delta + line.azure


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
    # Delta and hadoop-azure bring what they need; what Spark has already is not copied.
    roots = ",".join(
        jar.coordinate for jar in jars if "delta-spark" in jar.coordinate or "hadoop-azure" in jar.coordinate
    )
    target = jar_cache()
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        # spark-submit resolves --packages before it starts the application, which has nothing to do.
        script = Path(scratch) / "nothing.py"
        script.write_text("", encoding="utf-8")
        command = [
            *_spark_submit(), "--master", "local[1]", "--packages", roots,
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
        have = "Java is missing" if found is None else f"Java {found} is not one that Spark runs on here"
        raise EnvironmentProblem(f"{have}; kgp needs Java 17.", mend=f"Install it with: {INSTALL_JAVA}")
