"""Glow's reader: site columns and `genotype_states` to Parquet, in one warm session; needs its JAR in KGP_GLOW_JAR."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import glow
from pyspark.sql import SparkSession
from timing import arguments, measure, size, tell

SITE = ("contigName", "start", "end", "names", "referenceAllele", "alternateAlleles", "qual", "filters")


def main() -> None:
    """Print the seconds as one line of JSON."""
    parser = arguments("Glow: read a VCF, genotype_states to Parquet")
    parser.add_argument("--cores", type=int, default=2)
    given = parser.parse_args()
    session = (
        SparkSession.builder.master(f"local[{given.cores}]")
        .config("spark.jars", os.environ["KGP_GLOW_JAR"])
        .config("spark.driver.memory", "4g")
        .config("spark.ui.enabled", "false")
        .config("spark.hadoop.io.compression.codecs", "io.projectglow.sql.util.BGZFCodec")
        .config("spark.sql.parquet.compression.codec", "zstd")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    spark = glow.register(session)

    def run(work: Path) -> None:
        rows = spark.read.format("vcf").load(str(given.vcf))
        info = [name for name in rows.columns if name.startswith("INFO_")]
        chosen = rows.selectExpr(*SITE, *(f"`{i}`" for i in info), "genotype_states(genotypes) AS states")
        chosen.write.parquet(str(work / "out"))

    seconds = measure(run, given.work, given.runs)
    rows = spark.read.parquet(str(given.work / "out")).count()
    tell(**seconds, rows=rows, bytes=size(given.work / "out"), versions={"glow.py": version("glow.py")})


if __name__ == "__main__":
    main()
