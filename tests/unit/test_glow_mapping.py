"""What Glow's reader really returned, mapped to `variants`, equals what the builtin engine reads; no Spark needed.

All columns but `record_id` are compared with those of the recordings made with the reader's default options: INFO and
FORMAT by parsed value, everything else exactly. What differs is listed in docs/ENGINES.md, and in each of these files
the guard finds what makes it differ, so that Glow is never given one. The recordings with ``flattenInfoFields=false``
are of another reader, which kgp does not use: nothing is mapped from them.
"""

from __future__ import annotations

import gzip
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kgp.errors import FormatError
from kgp.genome import GRCH37
from kgp.io.splits import plan_splits, read_chunks
from kgp.io.vcf import Selection, VcfHeader, read_header
from kgp.io.vcf.glow import map_batches
from kgp.io.vcf.glow_forms import glow_kind
from kgp.io.vcf.glow_guard import LineGuard
from kgp.io.vcf.glow_header import find_odd_header
from kgp.io.vcf.parser import parse_chunk
from kgp.io.vcf.rows import Layout
from kgp.params import Region
from kgp.tables import VARIANTS
from kgp.transforms.calls import decode_calls

FOLDERS = (
    "beacon__",
    "dragen__",
    "glow-test-data__",
    "gvcf-grch38-chr22__",
    "highcov30x-grch38__",
    "phase1-and-others__",
    "phase3-grch37__",
    "phase3-grch38__",
    "vcf-odd__bio2zarr__",
    "vcf-odd__glow__",
    "vcf-odd__hail__",
    "vcf-odd__opencga__",
    "vcf-odd__pyvcf3__",
    "vcf-odd__scikit-allel__",
    "vcf-odd__variantannotation__",
)

# Records that Glow gave rows for although they are malformed: recording → their numbers in the file, from 0.
MALFORMED = {
    "beacon__legacy_pathogenic__test_pathogenic.vcf.gz": [14],
    "vcf-odd__variantannotation__no_GENO_row.vcf": [1],
}

# The guard names it although its rows are equal: its empty sample columns might have got what stood there in the row
# before, as in no_GENO_row, but every row has the same ones.
EQUAL_BY_CHANCE = ("vcf-odd__pyvcf3__strelka.vcf",)

# What Glow could not read: records, and how many of them the builtin engine can't load; None where it refuses the file.
ERRORS = {
    "vcf-odd__bio2zarr__field_type_combos.vcf.gz": (208, 0),
    "vcf-odd__bio2zarr__issue_251.vcf.gz": (1, 0),
    "vcf-odd__glow__1row.vcf.bgz": (1, 0),
    "vcf-odd__glow__1row_bgz.vcf.gz": (1, 0),
    "vcf-odd__glow__1row_not_bgz.vcf.gz": (1, 0),
    "vcf-odd__hail__test_set_field_missing.vcf": (1, 0),
    "vcf-odd__hail__trioDup.vcf": None,
    "vcf-odd__opencga__variant-test-file-corrupted.vcf": (4, 2),
    "vcf-odd__opencga__variant-test-me.vcf": (16, 0),
    "vcf-odd__pyvcf3__issue_49.vcf": None,
    "vcf-odd__pyvcf3__metadata-whitespace.vcf": None,
    "vcf-odd__scikit-allel__eff.vcf": None,
    "vcf-odd__scikit-allel__test48a.vcf": None,
    "vcf-odd__variantannotation__VarScan_header.vcf": (2, 2),
    "vcf-odd__variantannotation__negative_FORMAT_Number.vcf": (5, 0),
}


@dataclass(frozen=True)
class Recording:
    """One directory of glow-golden, and the file that it was made from."""

    folder: Path
    source: Path
    meta: dict[str, Any]

    def rows(self) -> pa.Table:
        """What Glow returned."""
        return pq.read_table(self.folder / "part.parquet")

    def path(self, tmp_path: Path) -> str:
        """The file, cut after as many records as were recorded."""
        n = self.meta["limit_first_n"]
        if n is None:
            return str(self.source)
        cut = tmp_path / "cut.vcf"
        with open(cut, "wb") as file:
            for line in lines_of(self.source):
                n -= not line.startswith(b"#")
                if n < 0:
                    break
                file.write(line)
        return str(cut)


def lines_of(path: Path) -> list[bytes]:
    """The lines of a file, read without kgp."""
    content = path.read_bytes()
    return (gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content).splitlines(True)


def recordings(shared_data: Path, prefix: str = "") -> Iterator[Recording]:
    for path in sorted((shared_data / "glow-golden").glob(f"{prefix}*/meta.json")):
        meta = json.loads(path.read_text())
        yield Recording(path.parent, shared_data / meta["source"], meta)


def listed_differences(root: Path) -> dict[str, dict[str, str]]:
    """Recording → column → reason, as docs/ENGINES.md lists them."""
    text = (root / "docs" / "ENGINES.md").read_text()
    found: dict[str, dict[str, str]] = {}
    for name, columns, reason in re.findall(r"^\| `(\S+__\S+)` \| (.+) \| (\w+) \|$", text, re.M):
        for column in re.findall("`([^`]+)`", columns):
            assert column not in found.setdefault(name, {})
            found[name][column] = reason
    return found


def layout_of(header: VcfHeader, selection: Selection | None = None, **given: Any) -> Layout:
    return Layout.make(header, GRCH37, selection or Selection(), "c", "l", **given)


def builtin(path: str, layout: Layout) -> tuple[pa.Table, int, list[int]]:
    """Rows by the builtin engine, how many records there are, and the numbers of those that it rejects."""
    batches, offsets, rejects = [], [], []
    for split in plan_splits(path, n=1):
        for chunk in read_chunks(split):
            parsed = parse_chunk(chunk, layout)
            batches += parsed.batches
            offsets += parsed.lines.offsets.tolist()
            rejects += [one.offset for one in parsed.rejects]
    rows = pa.Table.from_batches(batches, VARIANTS.arrow_schema)
    return rows, len(offsets), [offsets.index(offset) for offset in rejects]


def as_glow_batch(rows: pa.Table) -> pa.RecordBatch:
    """Recorded rows with `genotypes` taken apart, as the engine lets Spark do it."""
    columns = {"record_id": pa.array(np.arange(len(rows)))}
    for name in rows.column_names:
        column = rows[name].combine_chunks()
        if name != "genotypes":
            columns[name] = column
        elif pa.types.is_list(column.type):
            mask = column.is_null() if column.null_count else None
            for field in column.type.value_type:
                if field.name != "sampleId":
                    values = column.values.field(field.name)
                    columns[f"genotypes.{field.name}"] = pa.ListArray.from_arrays(
                        column.offsets, values, mask=mask
                    )
    return pa.RecordBatch.from_pydict(columns)


def mapped(rows: pa.Table, layout: Layout) -> pa.Table:
    """Recorded rows as rows of `variants`."""
    batches = map_batches(layout, [as_glow_batch(rows)] if len(rows) else [])
    return pa.Table.from_batches(batches, VARIANTS.arrow_schema)


def misread_shapes(path: str, header: VcfHeader) -> Counter[str]:
    """What the guard finds."""
    return find_odd_header(path, header) + LineGuard.of(header)(plan_splits(path, n=1)[0])


def differing(ours: pa.Table, theirs: pa.Table, header: VcfHeader) -> set[str]:
    """Columns, and INFO and FORMAT keys, in which rows differ; what is not declared under one name."""
    found: set[str] = set()
    for name in VARIANTS.columns:
        if name == "record_id" or ours[name].combine_chunks().equals(theirs[name].combine_chunks()):
            continue
        pairs = zip(ours[name].to_pylist(), theirs[name].to_pylist(), strict=True)
        if name == "info":
            keys = {key for pair in pairs for key in differing_keys(*pair)}
            found |= {f"INFO {key}" if key in header.infos else "undeclared INFO" for key in keys}
        elif name == "formats":
            keys = {key for pair in pairs for key in differing_keys(*pair)}
            found |= {f"FORMAT {key}" if key in header.formats else "undeclared FORMAT" for key in keys}
        elif any(repr(one) != repr(other) for one, other in pairs):  # repr: NaN equals NaN, 1 is not 1.0
            found.add(name)
    return found


def differing_keys(ours: list[Any] | None, theirs: list[Any] | None) -> Iterator[str]:
    """Keys whose values do not mean the same; a FORMAT field that no sample has a value for means nothing."""
    one, other = dict(ours or []), dict(theirs or [])
    for key in sorted(one.keys() | other.keys()):
        if parsed(one.get(key)) != parsed(other.get(key)):
            yield key


def parsed(value: str | list[str | None] | None) -> Any:
    """A value as numbers where it is made of them."""
    if value is None:
        return None
    if isinstance(value, list):
        values = [parsed(one) for one in value]
        return values if any(one is not None for one in values) else None
    return [number(part) for part in value.split(",")]


def number(text: str) -> float | str:
    try:
        value = float(text)
    except ValueError:
        return text
    return "nan" if math.isnan(value) else value


@pytest.mark.parametrize("folder", FOLDERS)
def test_mapped_rows_equal_the_builtin_engines_or_the_guard_names_the_file(
    root, shared_data, tmp_path, folder
):
    listed = listed_differences(root)
    n_compared = 0
    for recording in recordings(shared_data, folder):
        name = recording.folder.name
        if "error" in recording.meta["default"]:
            assert name in ERRORS
            continue
        path = recording.path(tmp_path)
        header = read_header(path)
        layout = layout_of(header)
        ours, n_records, rejected = builtin(path, layout)
        rows = recording.rows()
        assert len(rows) == recording.meta["default"]["rows"] == n_records, name
        assert rejected == MALFORMED.get(name, []), name
        if rejected:
            rows = rows.take([i for i in range(n_records) if i not in rejected])
        theirs = mapped(rows, layout)
        assert len(ours) == len(theirs), name
        found = differing(ours, theirs, header)
        assert found == listed.get(name, {}).keys(), name
        # Never given to Glow where it would make a difference; and given to it where it makes none.
        shapes = misread_shapes(path, header)
        assert bool(shapes) == bool(found or rejected or name in EQUAL_BY_CHANCE), (name, shapes)
        n_compared += 1
    assert n_compared


def test_no_recording_is_left_out(root, shared_data):
    names = {recording.folder.name for recording in recordings(shared_data)}
    assert {name for name in names if name.startswith(FOLDERS)} == names
    readable = {one.folder.name for one in recordings(shared_data) if "error" not in one.meta["default"]}
    assert len(readable) == 98
    assert readable == {path.parent.name for path in (shared_data / "glow-golden").glob("*/part.parquet")}
    assert names - readable == ERRORS.keys()
    assert listed_differences(root).keys() <= readable


def test_every_reason_of_the_list_is_explained(root):
    text = (root / "docs" / "ENGINES.md").read_text()
    reasons = {reason for columns in listed_differences(root).values() for reason in columns.values()}
    assert set(re.findall(r"^- \*\*(\w+)\*\*: ", text, re.M)) == reasons


def test_a_row_that_got_the_genotypes_of_the_row_before_is_never_taken(shared_data, tmp_path):
    (recording,) = recordings(shared_data, "beacon__legacy_pathogenic")
    header = read_header(recording.path(tmp_path))
    last = lines_of(recording.source)[-1]
    assert (last.count(b"\t") + 1, header.n_columns) == (10, 2513)
    before, wrong = mapped(recording.rows(), layout_of(header))["dosages"].to_pylist()[-2:]
    assert wrong[1:] == before[1:]
    assert misread_shapes(str(recording.source), header)["wrong number of columns"] == 1


@pytest.mark.parametrize("name", ERRORS)
def test_what_glow_can_not_read_is_loaded_counted_or_refused(shared_data, tmp_path, name):
    (recording,) = recordings(shared_data, name)
    assert recording.meta["default"]["error"]
    path, expected = str(recording.source), ERRORS[name]
    if expected is None:
        with pytest.raises(FormatError):
            read_header(path)
        return
    header = read_header(path)
    assert misread_shapes(path, header)
    ours, n_records, rejected = builtin(path, layout_of(header))
    body = [line for line in lines_of(recording.source)[len(header.lines) :] if line.strip(b"\r\n")]
    assert (n_records, len(rejected)) == expected
    assert n_records == len(body)
    assert len(set(ours["record_id"].to_pylist())) == n_records - len(rejected)


def test_glows_splitter_takes_alleles_away_and_is_not_used(shared_data):
    """1/2 becomes 1/. in the row of the first ALT; in kgp's rows nobody is missing, and `calls` stays whole."""
    split = pq.read_table(shared_data / "glow-golden" / "transforms" / "split__hail_split_test.vcf.parquet")
    first, second = (
        [one["calls"] for one in row["genotypes"]] for row in split.to_pylist() if row["start"] == 1182
    )
    path = str(shared_data / "vcf-odd" / "hail" / "split_test.vcf")
    layout = layout_of(read_header(path))
    ours = [row for row in builtin(path, layout)[0].to_pylist() if row["start"] == 1182]
    texts = [decode_calls(row["calls"], row["dosages"]) for row in ours]
    assert texts[0] == texts[1]
    place = texts[0].index("1/2")
    assert (first[place], second[place]) == ([1, -1], [-1, 1])
    assert [row["dosages"][place] for row in ours] == [1, 1]


def test_the_kind_of_every_recorded_column_is_known(shared_data):
    simple = {
        "boolean": "Flag",
        "integer": "Integer",
        "long": "Integer",
        "double": "Float",
        "string": "String",
    }
    renamed = {"AD": "alleleDepths", "DP": "depth", "FT": "filters", "GQ": "conditionalQuality",
               "GL": "genotypeLikelihoods", "GP": "posteriorProbabilities", "HQ": "haplotypeQualities",
               "MQ": "mappingQuality", "PL": "phredLikelihoods", "EC": "expectedAlleleCounts"}  # fmt: skip
    n_keys = 0
    for recording in recordings(shared_data):
        if not (recording.folder / "schema.json").exists():
            continue
        fields = {
            one["name"]: one["type"]
            for one in json.loads((recording.folder / "schema.json").read_text())["fields"]
        }
        header = read_header(str(recording.source))
        samples = {}
        if isinstance(fields.get("genotypes"), dict):
            samples = {one["name"]: one["type"] for one in fields["genotypes"]["elementType"]["fields"]}
        declared = [(f"INFO_{key}", one, False) for key, one in header.infos.items()]
        declared += [(key, one, True) for key, one in header.formats.items() if key != "GT" and samples]
        for name, declaration, is_format in declared:
            kind = samples[renamed.get(name, name)] if is_format else fields[name]
            is_list = isinstance(kind, dict)
            kind = kind["elementType"] if is_list else kind
            if isinstance(kind, dict):  # an annotation
                continue
            n_keys += 1
            expected = glow_kind(name.removeprefix("INFO_"), declaration, is_format=is_format)
            of_key = expected.type, expected.number not in ("0", "1")
            assert (simple[kind], is_list) == of_key, (recording.folder.name, name)
    assert n_keys > 1000


@pytest.mark.parametrize(
    "name", ["phase3-grch37__kidd.aisnp.1kg.vcf", "phase3-grch37__1000G.phase3.broad.withGenotypes.chr20"]
)
def test_samples_and_regions_are_chosen_alike(shared_data, tmp_path, name):
    (recording,) = recordings(shared_data, name)
    path = recording.path(tmp_path)
    header = read_header(path)
    everything = builtin(path, layout_of(header))[0]
    contig, start = (everything[column][len(everything) // 2].as_py() for column in ("contig", "start"))
    selection = Selection(regions=(Region(contig=contig, start=start, end=start + 200_000_000),))
    chosen = [header.samples[i] for i in (7, 3, 100)]
    layout = layout_of(header, selection, samples=chosen)
    ours, theirs = builtin(path, layout)[0], mapped(recording.rows(), layout)
    assert 0 < len(ours) < len(everything)
    assert len(ours["dosages"][0]) == 3
    assert differing(ours, theirs, header) == set()
