"""The glow engine: what Glow's VCF reader returns, mapped to rows of `variants`. Nobody else knows its names.

Glow's default reader has defects that make no sound. Two are repaired here: ID and FILTER, which it splits
at ',', are put together again, and INFO END, which it always leaves null, is taken from `end`. Against the
others (`find_misread_shapes`) the raw lines are looked at before a file is given to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgp.errors import EnvironmentProblem, FormatError
from kgp.io.splits import Split, map_splits, plan_tasks, read_chunks
from kgp.io.vcf.header import VcfHeader
from kgp.io.vcf.rows import Formats, Genotypes, Layout, Record, VariantRows
from kgp.tables.variants import VARIANTS
from kgp.transforms.alleles import parse_info
from kgp.transforms.calls import explain_genotypes

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import DataType

# FORMAT keys that Glow's genotype struct calls otherwise; all others keep their id.
_FORMAT_KEYS = {
    "depth": "DP",
    "alleleDepths": "AD",
    "conditionalQuality": "GQ",
    "phredLikelihoods": "PL",
    "genotypeLikelihoods": "GL",
    "posteriorProbabilities": "GP",
    "filters": "FT",
    "haplotypeQualities": "HQ",
    "expectedAlleleCounts": "EC",
    "mappingQuality": "MQ",
}
_NOT_FORMATS = ("sampleId", "calls", "phased")
_NEWEST_VERSION = (4, 3)
# FORMAT keys that Glow reads as integers whatever the header says.
_INTEGERS = ("AD", "DP", "EC", "GQ", "HQ", "MQ", "PL", "PS")
_HADOOP_SCHEMES = ("file", "hdfs", "abfs", "abfss", "wasb", "wasbs", "s3", "s3a", "gs", "dbfs")


def is_available(spark: SparkSession) -> bool:
    """Whether Glow's data source answers in this session."""
    try:
        spark.read.format("vcf").load("/kgp-asks-whether-glow-is-there")
    except Exception as problem:  # Spark's own class where the source is there, another one where it is not
        return "DATA_SOURCE_NOT_FOUND" not in str(problem) and "Failed to find" not in str(problem)
    return True


def require(spark: SparkSession) -> None:
    """Refuse to go on without Glow.

    Raises:
        EnvironmentProblem: its JAR does not answer in this session.
    """
    if not is_available(spark):
        raise EnvironmentProblem(
            "Glow is not on the class path.",
            where="--reader glow",
            mend="Add to spark-submit: --packages io.projectglow:glow-spark3_2.12:<version>; or use --reader auto.",
        )


def find_misread_shapes(spark: SparkSession, url: str, header: VcfHeader) -> dict[str, int]:
    """What in the file Glow would refuse or silently misread, and in how many records.

    Raises:
        FormatError: a BGZF block or the gzip stream is broken.
    """
    found: Counter[str] = Counter()
    if "://" in url and url.partition("://")[0] not in _HADOOP_SCHEMES:
        found[f"URL of a kind that Hadoop does not know ({url.partition('://')[0]}://)"] = 1
    if tuple(int(part) for part in header.version.split(".")) > _NEWEST_VERSION:
        found[f"VCF {header.version}"] = 1
    for key in _INTEGERS:
        if key in header.formats and header.formats[key].type != "Integer":
            found[f"FORMAT {key} declared as {header.formats[key].type}"] = 1
    shapes = map_splits(spark, plan_tasks(spark, url), partial(_shapes, header), "shape string, n bigint")
    for row in shapes.collect():
        found[row.shape] += row.n
    return dict(found)


def _shapes(header: VcfHeader, split: Split) -> Iterator[pa.RecordBatch]:
    found: Counter[str] = Counter()
    for chunk in read_chunks(split):
        starts, ends = chunk.lines()
        is_body = chunk.offsets(starts) > header.offset
        for begin, end in zip(starts[is_body].tolist(), ends[is_body].tolist(), strict=True):
            shape = _misread_shape(chunk.data[begin:end], header)
            if shape is not None:
                found[shape] += 1
    yield pa.RecordBatch.from_pydict(
        {"shape": pa.array(list(found), pa.string()), "n": pa.array(list(found.values()), pa.int64())}
    )


def _misread_shape(line: bytes, header: VcfHeader) -> str | None:
    """What Glow would misread in the line, or None."""
    fields = line.split(b"\t", 9)
    if line.count(b"\t") + 1 != header.n_columns:
        return "wrong number of columns"
    info = parse_info(fields[7].decode("utf-8", errors="replace"))
    if not header.infos.keys() >= info.keys():
        return "undeclared INFO key"
    if len(fields) < 10:
        return None
    keys, samples = fields[8].split(b":"), fields[9]
    if fields[8] == b".":
        return "FORMAT '.'"
    if not header.formats.keys() >= {key.decode("utf-8", errors="replace") for key in keys}:
        return "undeclared FORMAT key"
    if keys == [b"GT"]:
        gts = samples
    else:
        cells = samples.split(b"\t")
        if max(cell.count(b":") for cell in cells) >= len(keys):
            return "more values than FORMAT has keys"
        if b"GT" not in keys:
            return None
        if keys[0] != b"GT":
            return "GT is not the first FORMAT key"
        gts = b"\t".join(cell.split(b":", 1)[0] for cell in cells)
    texts = dict.fromkeys(gts.split(b"\t"))
    n_alts = 0 if fields[4] == b"." else fields[4].count(b",") + 1
    if explain_genotypes([text.decode("latin-1") for text in texts], n_alts) is not None:
        return "malformed genotype"
    if any((b"|" in text and b"/" in text) or text[:1] in (b"|", b"/") for text in texts):
        return "genotype phased in part"
    return None


def read_glow(spark: SparkSession, url: str, layout: Layout) -> DataFrame:
    """Rows of `variants` by Glow's reader, with strict validation."""
    rows = spark.read.format("vcf").option("validationStringency", "strict").load(url)
    return variants_from_glow(rows, layout)


def variants_from_glow(rows: DataFrame, layout: Layout) -> DataFrame:
    """Map what Glow's reader returns with its default options to rows of `variants`.

    `record_id` is Spark's monotonically increasing id: it ascends in file order as the rows do.
    """
    from pyspark.sql import functions as F

    info = {name.removeprefix("INFO_"): name for name in rows.columns if name.startswith("INFO_")}
    fields = _genotype_fields(rows)
    formats = {_FORMAT_KEYS.get(name, name): name for name in fields if name not in _NOT_FORMATS}

    def of_samples(name: str) -> Column:
        """One field of the genotypes as an array, a value a sample; null where no header declares it."""
        kind = {"calls": "array<array<int>>", "phased": "array<boolean>"}.get(name, "array<string>")
        if name not in fields:
            return F.lit(None).cast(kind)
        values = F.col(f"genotypes.`{name}`")
        if name in ("calls", "phased"):
            return values
        return F.transform(values, lambda value: _text(value, fields[name]))

    flat = rows.select(
        F.monotonically_increasing_id().alias("record_id"),
        "contigName",
        "start",
        "end",
        F.array_join("names", ",").alias("vcf_id"),
        F.col("referenceAllele").alias("ref"),
        F.col("alternateAlleles").alias("alts"),
        "qual",
        F.array_join("filters", ",").alias("filters"),
        F.array(*[_text(F.col(f"`{n}`"), rows.schema[n].dataType) for n in info.values()])
        .cast("array<string>")
        .alias("info"),
        F.array(*[of_samples(name) for name in formats.values()])
        .cast("array<array<string>>")
        .alias("formats"),
        of_samples("calls").alias("calls"),
        of_samples("phased").alias("phased"),
    )
    to_variants = partial(_to_variants, layout, tuple(info), tuple(formats))
    return flat.mapInArrow(to_variants, VARIANTS.spark_schema)


def _genotype_fields(rows: DataFrame) -> dict[str, DataType]:
    """Field → type of the genotype struct; empty where there are no samples."""
    from pyspark.sql.types import ArrayType, StructType

    if "genotypes" not in rows.columns:
        return {}
    genotypes = rows.schema["genotypes"].dataType
    if not isinstance(genotypes, ArrayType) or not isinstance(genotypes.elementType, StructType):
        return {}
    return {one.name: one.dataType for one in genotypes.elementType.fields}


def _text(value: Column, of: DataType) -> Column:
    """A typed value as VCF text: '' for a flag that is set, null where there is no value."""
    from pyspark.sql import functions as F
    from pyspark.sql.types import ArrayType, BooleanType, StructType

    if isinstance(of, BooleanType):
        return F.when(value, F.lit(""))
    if isinstance(of, ArrayType):
        inner = of.elementType
        texts = F.transform(value, lambda one: F.coalesce(_text(one, inner), F.lit(".")))
        return F.when(F.size(value) > 0, F.array_join(texts, ","))
    if isinstance(of, StructType):  # an annotation, whose parts the header's description names
        parts = [F.coalesce(_text(value[part.name], part.dataType), F.lit("")) for part in of.fields]
        return F.concat_ws("|", *parts)
    return value.cast("string")


def _to_variants(
    layout: Layout,
    info_keys: tuple[str, ...],
    format_keys: tuple[str, ...],
    batches: Iterable[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        sites = batch.drop_columns(["calls", "phased"]).to_pylist()
        records = [_record(row, info_keys, layout) for row in sites]
        genotypes = _genotypes(batch, records, layout.n_samples)
        rows = VariantRows(layout)
        for row, record, one in zip(sites, records, genotypes, strict=True):
            if layout.selection.takes(record.contig, record.start, record.end):
                rows.add(record, one, _formats(row, format_keys))
        yield rows.to_batch()


def _record(row: Mapping[str, Any], info_keys: tuple[str, ...], layout: Layout) -> Record:
    start, ref = row["start"], row["ref"]
    plain_end = start + len(ref)
    end = row["end"] if row["end"] > start else plain_end
    info = {key: text for key, text in zip(info_keys, row["info"], strict=True) if text is not None}
    if "END" in info_keys and end != plain_end:
        info["END"] = str(end)
    return Record(
        record_id=row["record_id"],
        source_contig=row["contigName"],
        contig=layout.names.get(row["contigName"], row["contigName"]),
        start=start,
        end=end,
        vcf_id=row["vcf_id"] or None,
        ref=ref,
        alts=tuple(row["alts"] or ()),
        qual=row["qual"],
        filters=row["filters"].split(";") if row["filters"] else None,
        info=info,
    )


def _genotypes(batch: pa.RecordBatch, records: Sequence[Record], n_samples: int) -> list[Genotypes | None]:
    """Genotypes of each row: where all are diploid with alleles of one digit, by way of one matrix."""
    found: list[Genotypes | None] = []
    plain: list[tuple[int, bytes]] = []
    for row, record in enumerate(records):
        calls, phased = batch["calls"][row].values, batch["phased"][row].values
        found.append(None)
        if calls is None or calls.null_count == len(calls):
            continue
        text = _plain_text(calls, phased)
        if text is not None and len(text) == 4 * n_samples - 1:
            plain.append((row, text))
        else:
            texts = [
                _genotype_text(tuple(one or (-1,)), bool(is_phased))
                for one, is_phased in zip(calls.to_pylist(), phased.to_pylist(), strict=True)
            ]
            _check_genotypes(texts, record)
            found[row] = Genotypes.of_texts(texts, len(record.alts))
    n_alts = np.array([len(records[row].alts) for row, _ in plain], dtype=np.int64)
    for (row, text), one in zip(
        plain, Genotypes.of_plain([text for _, text in plain], n_samples, n_alts), strict=True
    ):
        if one is None:
            _check_genotypes(text.decode().split("\t"), records[row])
        found[row] = one
    return found


def _plain_text(calls: pa.ListArray, phased: pa.BooleanArray) -> bytes | None:
    """The sample part of a line, or None where it would have other than three bytes a genotype."""
    alleles = calls.flatten().to_numpy(zero_copy_only=False)
    if calls.null_count or len(alleles) != 2 * len(calls) or alleles.max(initial=0) > 9:
        return None
    if (pc.list_value_length(calls).to_numpy(zero_copy_only=False) != 2).any():
        return None
    cells = np.full((len(calls), 4), ord("\t"), dtype=np.uint8)
    cells[:, 0:3:2] = np.where(alleles < 0, ord("."), alleles + ord("0")).reshape(-1, 2)
    cells[:, 1] = np.where(phased.fill_null(False).to_numpy(zero_copy_only=False), ord("|"), ord("/"))
    return cells.tobytes()[:-1]


def _check_genotypes(texts: Sequence[str], record: Record) -> None:
    problem = explain_genotypes(texts, len(record.alts))
    if problem is not None:
        where = f"{record.source_contig}:{record.start + 1}"
        raise FormatError(f"{problem}.", where=where, mend="Use --reader builtin.")


@lru_cache(maxsize=1 << 16)
def _genotype_text(alleles: tuple[int, ...], is_phased: bool) -> str:
    return ("|" if is_phased else "/").join("." if allele < 0 else str(allele) for allele in alleles)


def _formats(row: Mapping[str, Any], format_keys: tuple[str, ...]) -> Formats | None:
    """FORMAT fields that any sample of the row has a value for."""
    fields: Formats = {
        key: values
        for key, values in zip(format_keys, row["formats"] or [], strict=False)
        if values is not None and any(value is not None for value in values)
    }
    return fields or None
