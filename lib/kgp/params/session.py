"""Options of a Spark session."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SessionParams:
    """How a SparkSession is made where none is there yet; null leaves a setting to Spark or spark-submit."""

    section = "session"

    master: str | None
    driver_memory: str | None
    java_options: str | None
    shuffle_partitions: int | None
    log_level: str
