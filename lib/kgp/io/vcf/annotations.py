"""Annotated VCF files → rows of `annotations`: the lines are read, judged and counted as for `variants`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from kgp.errors import FormatError
from kgp.io.direct import discard_files
from kgp.io.splits import Split
from kgp.io.tasks import map_splits, run_tasks
from kgp.io.urls import display_url, place_of
from kgp.io.vcf.builtin import SplitTask, read_rows
from kgp.io.vcf.conformance import LineChecker
from kgp.io.vcf.findings import Findings
from kgp.io.vcf.header import VcfHeader
from kgp.io.vcf.reader import Records, Roots, read_splits
from kgp.io.vcf.rows import Layout
from kgp.tables.annotations import ANNOTATIONS
from kgp.transforms.annotations import (
    KEYS,
    OTHER_LENGTH,
    AnnotationFormat,
    Consequence,
    parse_formats,
    read_consequences,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NO_ANNOTATION = "record without annotation"
OTHER_ALLELE = "annotation whose allele fits no ALT"

_TAKEN = ["contig", "start", "end", "record_id", "alt_index", "variant_id", "ref", "alt"]


@dataclass(frozen=True)
class Annotate:
    """Rows of `variants` → rows of `annotations`; tasks call it.

    Args:
        layout: of the load.
        formats: of the header.
        names: (record_id, alt_index) → `variant_id`, where it can't be told from the rows around.
    """

    layout: Layout
    formats: tuple[AnnotationFormat, ...]
    names: Mapping[tuple[int, int], str] = field(default_factory=dict)

    def __call__(self, batch: pa.RecordBatch, found: Findings) -> pa.RecordBatch:
        """The rows of records that are whole in the batch; what is odd is counted in `found`."""
        columns: dict[str, list[Any]] = {name: [] for name in ANNOTATIONS.columns}
        texts = {
            form.key: pc.map_lookup(batch["info"], pa.scalar(form.key), "first").to_pylist()
            for form in self.formats
        }
        rows = enumerate(batch.select(_TAKEN).to_pylist())
        for record_id, group in groupby(rows, key=lambda one: one[1]["record_id"]):
            alleles = list(group)
            first = alleles[0][0]
            record = [row for _, row in alleles]
            n = 0
            for form in self.formats:
                if (value := texts[form.key][first]) is not None:
                    alts = [row["alt"] for row in record if row["alt"] is not None]
                    for one in read_consequences(value, form, record[0]["ref"], alts):
                        n += 1
                        self._add(columns, record, one, n, found)
            if not n:
                found.warn(NO_ANNOTATION, record_id)
        n_rows = len(columns["n"])
        columns["callset"] = [self.layout.callset] * n_rows
        columns["load_id"] = [self.layout.load_id] * n_rows
        arrays = [pa.array(columns[one.name], one.type) for one in ANNOTATIONS.arrow_schema]
        return pa.RecordBatch.from_arrays(arrays, schema=ANNOTATIONS.arrow_schema)

    def _add(
        self,
        columns: dict[str, list[Any]],
        record: list[dict[str, Any]],
        one: Consequence,
        n: int,
        found: Findings,
    ) -> None:
        row = record[0] if one.alt_index is None else record[one.alt_index - 1]
        key = (row["record_id"], row["alt_index"])
        is_named = one.alt_index is not None
        if not is_named:
            found.warn(OTHER_ALLELE, row["record_id"])
        if one.is_odd:
            found.warn(OTHER_LENGTH, row["record_id"])
        for name in ("contig", "start", "end", "record_id", "ref"):
            columns[name].append(row[name])
        columns["n"].append(n)
        columns["annotation_key"].append(one.key)
        columns["fields"].append(list(one.fields.items()))
        columns["variant_id"].append(self.names.get(key, row["variant_id"]) if is_named else None)
        columns["alt"].append(row["alt"] if is_named else None)
        for name, value in one.values.items():
            if name == "consequences":
                columns[name].append(value.split("&") if value else None)
            else:
                columns[name].append(value or None)


def find_formats(header: VcfHeader, url: str) -> tuple[AnnotationFormat, ...]:
    """The annotation keys that a file's header declares.

    Raises:
        FormatError: there are none, so the file is not annotated.
    """
    formats = tuple(parse_formats(header.lines))
    if not formats:
        raise FormatError(
            f"Its header declares no annotation: none of {', '.join(KEYS)} with the names of its fields.",
            where=display_url(url),
            mend="Load the sites file that the release annotates, or annotate the file with VEP or snpEff.",
        )
    return formats


def read_annotations(
    spark: SparkSession, url: str, header: VcfHeader, layout: Layout, roots: Roots, *, strict: bool = False
) -> Records:
    """The annotations of a VCF file's records, written as rows of `annotations`.

    Args:
        spark: the session.
        url: the file.
        header: its header.
        layout: of the load.
        roots: where tasks write `annotations` (in the place of `variants`) and `quarantine`.
        strict: stop at the first line that can't be loaded; then nothing but it and the survey means anything.

    Raises:
        FormatError: the header declares no annotation.
        InputError: the file can't be read.
    """
    formats = find_formats(header, url)
    keys = {form.key for form in formats}
    # An annotation is of its record, whatever Number it is declared with.
    layout = replace(layout, numbers={key: n for key, n in layout.numbers.items() if key not in keys})
    task = SplitTask(
        layout=layout,
        checker=LineChecker.of(header),
        path=place_of(url),
        roots=(roots.variants, roots.quarantine),
        is_strict=strict,
        table=ANNOTATIONS,
        convert=Annotate(layout, formats),
    )
    splits, _, records = read_splits(
        spark, url, header, task, roots, reader="builtin", reason="annotations are read by it"
    )
    if not records.survey.needs_another_look or (strict and records.first_reject is not None):
        return records
    discard_files([action.path for action in records.written], roots.variants)
    names = _find_names(spark, splits, layout)
    again = replace(
        task, roots=(roots.variants, None), convert=Annotate(layout, formats, names), is_strict=False
    )
    results = run_tasks(spark, splits, again)
    return replace(records, written=[action for one in results for action in one.written[0]])


def _find_names(spark: SparkSession, splits: list[Split], layout: Layout) -> dict[tuple[int, int], str]:
    """(record_id, alt_index) → `variant_id`, of the rows whose name occurs more than once in the file."""
    ids = map_splits(spark, splits, partial(_ids, layout), "record_id long, alt_index int, variant_id string")
    repeated = ids.groupBy("variant_id").count().where("count > 1").select("variant_id")
    seen: dict[str, int] = defaultdict(int)
    names = {}
    rows = ids.join(repeated, "variant_id", "left_semi").collect()
    for row in sorted(rows, key=lambda one: (one.record_id, one.alt_index)):
        seen[row.variant_id] += 1
        n = seen[row.variant_id]
        names[row.record_id, row.alt_index] = row.variant_id if n == 1 else f"{row.variant_id}#{n}"
    return names


def _ids(layout: Layout, split: Split) -> Iterator[pa.RecordBatch]:
    for batch in read_rows(layout, split):
        yield batch.select(["record_id", "alt_index", "variant_id"])
