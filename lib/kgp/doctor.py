"""`kgp doctor`: what this machine has of what kgp needs, and what to do about the rest. Starts neither Java nor Spark.

A finding is ``ok``, a ``note`` (worth knowing, nothing is missing) or a ``problem`` (the main job can't run).
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from kgp import jars
from kgp.config import Config
from kgp.errors import KgpError, NoLakeError, scrub
from kgp.io.urls import is_local
from kgp.params import SessionParams

_GB = 1024**3
_PYTHONS = ((3, 11), (3, 12))
# import name → distribution; without these the main job can't run
_PACKAGES = {
    "deltalake": "deltalake",
    "duckdb": "duckdb",
    "numpy": "numpy",
    "pandas": "pandas",
    "pyarrow": "pyarrow",
    "yaml": "pyyaml",
}
_LEAST_DISK = 2 * _GB
# Memory that Python's workers and the system need beside Spark's JVM.
_BESIDE_JVM = 1.5 * _GB

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """One line of the examination.

    Args:
        name: what was looked at.
        state: ok, note or problem.
        text: what was found.
        mend: what to do about it.
    """

    name: str
    state: State
    text: str
    mend: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)


def examine(config: Config, *, fix: bool = False) -> list[Finding]:
    """Look at everything that kgp needs.

    Args:
        config: for the session's memory and the lake.
        fix: fetch the JARs that are missing from the cache.
    """
    checks: tuple[Callable[[], Finding], ...] = (
        check_python,
        check_packages,
        check_java,
        check_spark,
        lambda: check_jars(fix=fix),
        check_glow,
        check_storage,
        lambda: check_memory(config),
        lambda: check_disk(config.lake),
        lambda: check_lake(config.lake),
    )
    return [check() for check in checks]


def render(findings: Iterable[Finding]) -> str:
    """The findings for a terminal, a line each, and what to do below a line that needs it."""
    findings = list(findings)
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.state:<7}  {finding.name:<{width}}  {finding.text}")
        if finding.mend:
            lines.append(f"{'':<7}  {'':<{width}}  → {finding.mend}")
    problems = [finding.name for finding in findings if finding.state == "problem"]
    end = f"To mend first: {', '.join(problems)}." if problems else "Everything that kgp needs is there."
    return "\n".join([*lines, "", end]) + "\n"


def check_python() -> Finding:
    """The interpreter that runs kgp."""
    text = f"{'.'.join(map(str, sys.version_info[:3]))} ({sys.executable})"
    if sys.version_info[:2] not in _PYTHONS:
        return Finding("Python", "problem", f"{text}; Spark 3.5 and kgp need 3.11 or 3.12", "make setup")
    workers = os.environ.get("PYSPARK_PYTHON")
    if workers is not None and shutil.which(workers) != sys.executable:
        advice = "unset PYSPARK_PYTHON, unless that interpreter has the same packages"
        return Finding("Python", "note", f"{text}; Spark's workers run another: {workers}", advice)
    return Finding("Python", "ok", text)


def check_packages() -> Finding:
    """The Python packages without which no command works."""
    missing = [dist for module, dist in _PACKAGES.items() if find_spec(module) is None]
    if missing:
        return Finding("packages", "problem", f"missing: {', '.join(missing)}", "make setup")
    found = (f"{dist} {_version(dist)}" for dist in ("deltalake", "duckdb", "pyarrow", "numpy"))
    return Finding("packages", "ok", ", ".join(found))


def check_java() -> Finding:
    """The Java that Spark will start."""
    home = os.environ.get("JAVA_HOME")
    found = jars.java_version()
    where = f"JAVA_HOME={home}" if home else f"{shutil.which('java')}; JAVA_HOME is not set"
    if found in jars.JAVA_VERSIONS:
        return Finding("Java", "ok", f"{found} ({where})")
    install = f"install Java 17: {jars.INSTALL_JAVA}"
    if found is not None:
        text = f"{found} ({where}); Spark 3.5 runs on Java 17 to 21 here"
        return Finding("Java", "problem", text, f"{install}, and let JAVA_HOME name it")
    if home and shutil.which("java"):
        return Finding(
            "Java", "problem", f"there is none in JAVA_HOME={home}", "unset JAVA_HOME, or correct it"
        )
    return Finding("Java", "problem", "there is none", install)


def check_spark() -> Finding:
    """pyspark, and whether SPARK_HOME names another Spark."""
    found = _version("pyspark")
    if found is None:
        return Finding("Spark", "problem", "pyspark is not installed", "make setup")
    try:
        jars.pinned_jars()
    except KgpError as problem:
        return Finding("Spark", "problem", problem.what, "make setup")
    home = os.environ.get("SPARK_HOME")
    if home:
        advice = "unset SPARK_HOME, unless that Spark is meant; it must be of the same line"
        return Finding("Spark", "note", f"pyspark {found}, but the Spark of SPARK_HOME={home} is run", advice)
    return Finding("Spark", "ok", f"pyspark {found}")


def check_jars(*, fix: bool) -> Finding:
    """Delta's JARs, and Hadoop's for Azure, in the cache."""
    try:
        if fix:
            jars.fetch_jars()
        n = len(jars.find_jars())
    except KgpError as problem:
        return Finding("JARs", "problem", problem.what, problem.mend)
    delta = jars.pinned_jars()[0].coordinate.rpartition(":")[2]
    return Finding("JARs", "ok", f"Delta {delta}: {n} JARs in {jars.jar_cache()}")


def check_glow() -> Finding:
    """Glow's Python package and its JAR; kgp reads VCF without either."""
    package = _version("glow.py")
    has = f"glow.py {package}" if package else "no glow.py"
    place = _find_glow_jar()
    if package and place:
        return Finding("Glow", "ok", f"{has}; its JAR is configured ({place})")
    text = f"{has}; its JAR is not configured: the builtin reader reads VCF, with the same result"
    return Finding("Glow", "ok" if package else "note", text)


def check_storage() -> Finding:
    """fsspec, and adlfs for Azure."""
    if find_spec("fsspec") is None:
        return Finding("storage", "problem", "fsspec is not installed", "make setup")
    text = f"fsspec {_version('fsspec')}"
    if find_spec("adlfs") is None:
        return Finding("storage", "note", f"{text}; no adlfs: az:// and abfss:// can't be read", "make setup")
    try:
        import adlfs
    except ImportError as problem:
        return Finding("storage", "note", f"{text}; adlfs does not work: {problem}", "make setup")
    return Finding("storage", "ok", f"{text}, adlfs {adlfs.__version__}")


def check_memory(config: Config) -> Finding:
    """The machine's memory against what Spark's JVM may take."""
    total = total_memory()
    wanted = config.params(SessionParams).driver_memory
    heap = None if wanted is None else parse_memory(wanted)
    if total is None or heap is None:
        return Finding("memory", "note", f"not compared: machine {total}, session.driver_memory {wanted}")
    text = f"{total / _GB:.1f} GB; Spark's JVM may take {wanted}"
    if total >= heap + _BESIDE_JVM:
        return Finding("memory", "ok", text)
    least = f"export KGP_SESSION_DRIVER_MEMORY={max(int((total - _BESIDE_JVM) / _GB), 1)}g"
    return Finding("memory", "note" if heap < total else "problem", f"{text}: that is tight", least)


def check_disk(lake: str) -> Finding:
    """Free space where the lake lies and where Spark keeps its shuffle files."""
    places = [Path(os.environ.get("SPARK_LOCAL_DIRS", "/tmp").split(",")[0])]
    if is_local(lake):
        places.append(_nearest(_local(lake)))
    free = {str(place): shutil.disk_usage(_nearest(place)).free for place in places}
    text = ", ".join(f"{n / _GB:.1f} GB free at {place}" for place, n in free.items())
    if min(free.values()) < _LEAST_DISK:
        advice = "make room, or name other places with --lake and SPARK_LOCAL_DIRS"
        return Finding("disk", "note", f"{text}: a chromosome takes more", advice)
    return Finding("disk", "ok", text)


def check_lake(lake: str) -> Finding:
    """The lake: is it there, how many tables has it, can it be written to."""
    from kgp.io.catalog import Catalog

    try:
        n: int | None = len(Catalog(lake).names())
    except NoLakeError:
        n = None
    except Exception as problem:  # whatever a storage says about a URI, a credential or a network
        return Finding(
            "lake", "problem", scrub(f"{lake} can't be read: {problem}"), "check URI and credentials"
        )
    has = "not there yet (kgp demo makes one)" if n is None else f"{n} table{'' if n == 1 else 's'}"
    if not is_local(lake):
        return Finding("lake", "ok", f"{lake}: {has}; whether it can be written to was not tried")
    place = _nearest(_local(lake))
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding(
            "lake", "problem", f"{lake}: {has}; {place} can't be written to", "name another --lake"
        )
    return Finding("lake", "ok", f"{lake}: {has}, can be written to")


def total_memory() -> int | None:
    """Bytes of memory of this machine or, where that is less, of its control group; None where nobody tells."""
    sizes = []
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemTotal:"):
                sizes.append(int(line.split()[1]) * 1024)
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        sizes += [int(limit)] if limit.isdigit() else []
    except OSError:
        pass
    return min(sizes, default=None)


def parse_memory(text: str) -> int | None:
    """Bytes of a size as the JVM takes it, or None where it is none.

    >>> parse_memory("4g") == 4 * 1024**3, parse_memory("512m") == 512 * 1024**2, parse_memory("lots")
    (True, True, None)
    """
    units = {"k": 1024, "m": 1024**2, "g": _GB, "t": 1024 * _GB}
    number, unit = text[:-1], text[-1:].lower()
    return int(number) * units[unit] if unit in units and number.isdigit() else None


def _find_glow_jar() -> str | None:
    """Where a Spark session of kgp would get Glow's JAR from."""
    if "glow-spark" in os.environ.get("PYSPARK_SUBMIT_ARGS", ""):
        return "PYSPARK_SUBMIT_ARGS"
    spec = find_spec("pyspark")
    home = os.environ.get("SPARK_HOME") or (str(Path(spec.origin).parent) if spec and spec.origin else None)
    if home is None:
        return None
    defaults = Path(os.environ.get("SPARK_CONF_DIR") or Path(home) / "conf") / "spark-defaults.conf"
    if defaults.is_file() and "glow-spark" in defaults.read_text(encoding="utf-8", errors="replace"):
        return str(defaults)
    return next((str(jar) for jar in (Path(home) / "jars").glob("glow-spark*.jar")), None)


def _local(lake: str) -> Path:
    return Path(lake.removeprefix("file://")).absolute()


def _nearest(path: Path) -> Path:
    """The path, or the nearest directory above it that exists."""
    return next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
