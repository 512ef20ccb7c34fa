"""The glow engine: what Glow's VCF reader returns, mapped to rows of `variants`.

Glow's default reader has defects that make no sound. Some are repaired here: ID and FILTER, which it splits at ',', are
put together again, so are the parts of annotations, and INFO END, which it always leaves null, is taken from `end`.
Against the others the file is looked at before it is given to Glow: `glow_header` its name and header, `glow_guard`
its lines, by `glow_forms`. No other module knows how Glow calls things.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgp.errors import EnvironmentProblem, FormatError
from kgp.io.tasks import plan_tasks, run_tasks
from kgp.io.urls import display_url
from kgp.io.vcf.glow_forms import FORMAT_KEYS
from kgp.io.vcf.glow_guard import LineGuard
from kgp.io.vcf.glow_header import find_odd_header
from kgp.io.vcf.header import VcfHeader
from kgp.io.vcf.rows import Formats, Genotypes, Layout, Record, VariantRows
from kgp.tables.variants import VARIANTS
from kgp.transforms.calls import explain_genotypes

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

_SITE_COLUMNS = (
    "contigName",
    "start",
    "end",
    "names",
    "referenceAllele",
    "alternateAlleles",
    "qual",
    "filters",
)
_INFO, _GENOTYPE = "INFO_", "genotypes."
_CALLS, _PHASED = _GENOTYPE + "calls", _GENOTYPE + "phased"
_BATCH_ROWS = 500


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
    """What in the file Glow would refuse or read otherwise than it stands, and in how many lines (see `glow_guard`).

    Raises:
        InputError: the file can't be read.
    """
    found = find_odd_header(url, header)
    for shapes in run_tasks(spark, plan_tasks(spark, url), LineGuard.of(header)):
        found += shapes
    return dict(found)


def read_glow(spark: SparkSession, url: str, layout: Layout) -> DataFrame:
    """Rows of `variants` by Glow's reader, with strict validation.

    Raises:
        FormatError: Glow refuses the header.
    """
    try:
        rows = spark.read.format("vcf").option("validationStringency", "strict").load(url)
    except Exception as problem:  # Spark's, or one of Java's
        reason = str(problem).strip().split("\n")[0]
        raise FormatError(
            f"Glow refuses the header: {reason}.", where=display_url(url), mend="Use --reader builtin."
        ) from problem
    return variants_from_glow(rows, layout)


def variants_from_glow(rows: DataFrame, layout: Layout) -> DataFrame:
    """Map what Glow's reader returns with its default options to rows of `variants`.

    `record_id` is Spark's monotonically increasing id: it ascends in file order as the rows do.
    """
    from pyspark.sql import functions as F

    columns: list[Column | str] = [
        F.monotonically_increasing_id().alias("record_id"),
        *_SITE_COLUMNS,
        *(F.col(f"`{name}`") for name in rows.columns if name.startswith(_INFO)),
        *(F.col(f"genotypes.`{name}`").alias(_GENOTYPE + name) for name in _genotype_fields(rows)),
    ]
    # As one struct, since mapInArrow can't find a column that has a dot in its name, as an INFO key may have.
    return rows.select(F.struct(*columns).alias("row")).mapInArrow(
        partial(_map_rows, layout), VARIANTS.spark_schema
    )


def _map_rows(layout: Layout, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    return map_batches(layout, (pa.RecordBatch.from_struct_array(batch.column(0)) for batch in batches))


def _genotype_fields(rows: DataFrame) -> list[str]:
    """Fields of the genotype struct but the sample's name; none where there are no samples."""
    from pyspark.sql.types import ArrayType, StructType

    kind = rows.schema["genotypes"].dataType if "genotypes" in rows.columns else None
    if not isinstance(kind, ArrayType) or not isinstance(kind.elementType, StructType):
        return []
    return [one.name for one in kind.elementType.fields if one.name != "sampleId"]


def map_batches(layout: Layout, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Glow's rows as Arrow, `genotypes` taken apart into a list column a field, to rows of `variants`."""
    for whole in batches:
        for at in range(0, len(whole), _BATCH_ROWS):
            batch = whole.slice(at, _BATCH_ROWS)
            rows = VariantRows(layout)
            records = list(_records(batch, layout))
            for record, genotypes, formats in zip(
                records, _genotypes(batch, records, layout), _formats(batch, layout), strict=True
            ):
                if layout.selection.takes(record.contig, record.start, record.end):
                    rows.add(record, genotypes, formats)
            yield rows.to_batch()


def _records(batch: pa.RecordBatch, layout: Layout) -> Iterator[Record]:
    infos = {
        name.removeprefix(_INFO): _texts(batch[name]).to_pylist()
        for name in batch.schema.names
        if name.startswith(_INFO)
    }
    for i, site in enumerate(batch.select(["record_id", *_SITE_COLUMNS]).to_pylist()):
        info = {key: values[i] for key, values in infos.items() if values[i] is not None}
        yield _record(site, info, layout, has_end="END" in infos)


def _texts(values: pa.Array) -> pa.Array:
    """Typed values as VCF text: '' for a flag that is set, null where there is no value."""
    kind = values.type
    if pa.types.is_boolean(kind):
        return pc.if_else(values.fill_null(False), pa.scalar(""), pa.scalar(None, pa.string()))
    if pa.types.is_list(kind):
        of_value = pa.types.is_struct(kind.value_type)
        parts = _annotations(values.flatten()) if of_value else _texts(values.flatten()).fill_null(".")
        return _join(values, parts, ",")
    return values.cast(pa.string())


def _join(lists: pa.ListArray, parts: pa.Array, separator: str) -> pa.Array:
    """Parts, that stand for the lists' values, joined; null for an empty list."""
    lengths = pc.list_value_length(lists).fill_null(0)
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))), pa.int32())
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, parts), separator)
    return pc.if_else(pc.greater(lengths, 0), joined, pa.scalar(None, pa.string()))


def _annotations(values: pa.StructArray) -> pa.Array:
    """Annotations of CSQ and ANN: parts between bars, in them lists between ampersands and fractions with a slash."""
    parts = []
    for part in values.flatten():
        if pa.types.is_list(part.type):
            part = _join(part, _texts(part.flatten()), "&")
        elif pa.types.is_struct(part.type):
            first, *others = map(_texts, part.flatten())
            part = first
            for other in others:
                with_slash = pc.binary_join_element_wise("/", other, "")
                part = pc.binary_join_element_wise(part, with_slash.fill_null(""), "")
        parts.append(_texts(part))
    return pc.binary_join_element_wise(*parts, "|", null_handling="replace", null_replacement="")


def _record(site: Mapping[str, Any], info: dict[str, str], layout: Layout, *, has_end: bool) -> Record:
    """One record; its names and filters, which Glow splits at ',' instead of ';', are put together again."""
    start, ref, end = site["start"], site["referenceAllele"], site["end"]
    plain_end = start + len(ref)
    if end is None or end <= start:
        end = plain_end
    if has_end and end != plain_end:
        info["END"] = str(end)
    names, filters = ",".join(site["names"] or ()), ",".join(site["filters"] or ())
    return Record(
        record_id=site["record_id"],
        source_contig=site["contigName"],
        contig=layout.names.get(site["contigName"], site["contigName"]),
        start=start,
        end=end,
        vcf_id=names or None,
        ref=ref,
        alts=tuple(site["alternateAlleles"] or ()),
        qual=site["qual"],
        filters=filters.split(";") if filters else None,
        info=info,
    )


def _genotypes(batch: pa.RecordBatch, records: Sequence[Record], layout: Layout) -> list[Genotypes | None]:
    """Genotypes of each row: where all are diploid with alleles of one digit, by way of one matrix."""
    found: list[Genotypes | None] = [None] * len(records)
    if _CALLS not in batch.schema.names:
        return found
    n_samples = layout.n_samples if layout.samples is None else len(layout.samples)
    plain: list[tuple[int, bytes]] = []
    for row, record in enumerate(records):
        calls, phased = (_of_samples(batch[name][row].values, layout) for name in (_CALLS, _PHASED))
        if calls is None or phased is None or calls.null_count == len(calls):
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
    pairs = Genotypes.of_pairs([text for _, text in plain], n_samples, n_alts)
    for (row, text), one in zip(plain, pairs, strict=True):
        if one is None:
            _check_genotypes(text.decode().split("\t"), records[row])
        found[row] = one
    return found


def _of_samples(values: pa.Array | None, layout: Layout) -> pa.Array | None:
    """Of a value a sample of the file, those of the samples that are loaded."""
    return values if values is None or layout.samples is None else values.take(pa.array(layout.samples))


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


def _formats(batch: pa.RecordBatch, layout: Layout) -> Iterator[Formats | None]:
    """Of each row the FORMAT fields that any sample has a value for."""
    columns: dict[str, list[list[str | None]]] = {}
    for name in batch.schema.names:
        field = name.removeprefix(_GENOTYPE)
        if name.startswith(_GENOTYPE) and name not in (_CALLS, _PHASED):
            texts = [text or None for text in _texts(batch[name].flatten()).to_pylist()]
            ends = np.cumsum(pc.list_value_length(batch[name]).fill_null(0)).tolist()
            columns[FORMAT_KEYS.get(field, field)] = [
                texts[begin:end] for begin, end in zip([0, *ends], ends, strict=False)
            ]
    for row in range(len(batch)):
        fields = {key: list(layout.chosen(values[row])) for key, values in columns.items() if values[row]}
        yield {key: one for key, one in fields.items() if any(text is not None for text in one)} or None
