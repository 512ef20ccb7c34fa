"""One interface, two engines: `read_records` chooses, says why, and gives the same rows either way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kgp.errors import FormatError
from kgp.genome import ReferenceBuild
from kgp.io.splits import SplitRows, map_splits
from kgp.io.storage import display_url
from kgp.io.vcf import glow
from kgp.io.vcf.builtin import REJECTS, read_builtin
from kgp.io.vcf.header import VcfHeader
from kgp.io.vcf.rows import Layout
from kgp.io.vcf.selection import Selection
from kgp.io.vcf.survey import Survey
from kgp.params import Reader
from kgp.table import conform
from kgp.tables.variants import VARIANTS
from kgp.transforms.alleles import number_repeated_ids

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Records:
    """The records of one file.

    Args:
        variants: rows of `variants`, one an ALT. parts: the same rows split by split, for tasks that write
        files themselves; None where only Spark has them. rejects: lines that could not be loaded: offset
        bigint, reason string, line binary. It is the builtin
            engine that finds them; evaluate it where fewer records were written than the survey counted.
        reader: builtin or glow.
        reason: why that engine.
    """

    variants: DataFrame
    parts: SplitRows | None
    rejects: DataFrame
    reader: str
    reason: str


def read_records(
    spark: SparkSession,
    url: str,
    header: VcfHeader,
    *,
    survey: Survey,
    build: ReferenceBuild,
    selection: Selection,
    callset: str,
    load_id: str,
    reader: Reader = "auto",
) -> Records:
    """The records of a VCF file that are in the selection, as rows of `variants`.

    Args:
        spark: the session.
        url: the file.
        header: its header.
        survey: of the same file and selection.
        build: reference build of its coordinates.
        selection: what is asked for.
        callset, load_id: values of these columns.
        reader: the engine; auto takes glow where it is there and can't misread the file.

    Raises:
        EnvironmentProblem: glow is asked for, and its JAR does not answer in this session.
        FormatError: glow is asked for, and it would misread the file.
    """
    layout = Layout.make(header, build, selection, callset, load_id)
    engine, reason = _choose(spark, url, header, reader)
    parts: SplitRows | None = None
    if engine == "glow":
        variants = glow.read_glow(spark, url, layout)
        rejects = spark.createDataFrame([], REJECTS)
    else:
        parts, rejects = read_builtin(spark, url, layout)
        variants = map_splits(spark, parts.splits, parts.function, VARIANTS.spark_schema)
    numbered = number_repeated_ids(variants, survey.repeated_variant_ids)
    if survey.repeated_variant_ids:
        parts = None
    return Records(conform(numbered, VARIANTS), parts, rejects, engine, reason)


def _choose(spark: SparkSession, url: str, header: VcfHeader, reader: Reader) -> tuple[str, str]:
    """The engine and why."""
    if reader == "builtin":
        return "builtin", "asked for"
    if reader == "glow":
        glow.require(spark)
    elif not glow.is_available(spark):
        return "builtin", "Glow's JAR is not on the class path"
    shapes = glow.find_misread_shapes(spark, url, header)
    listed = ", ".join(f"{shape} ({n:,})" for shape, n in sorted(shapes.items()))
    if reader == "glow":
        if shapes:
            raise FormatError(
                f"Glow would misread this file: {listed}.",
                where=display_url(url),
                mend="Use --reader builtin.",
            )
        return "glow", "asked for"
    if shapes:
        return "builtin", f"Glow would misread the file: {listed}"
    return "glow", "Glow's JAR is on the class path and nothing in the file is known to be misread by it"
