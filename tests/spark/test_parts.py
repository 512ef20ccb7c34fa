"""Parts give what Spark reads through the ledger, whatever lies in the table's files, and nothing else."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, WriterProperties

from kgp.config import Config, load_config
from kgp.errors import ContractError
from kgp.io.delta import Lake
from kgp.io.parts import TablePart, read_part
from kgp.io.tasks import map_splits
from kgp.job import Context, Progress, run_job
from kgp.jobs.load_variants import LOAD_VARIANTS
from kgp.params import LoadVariants
from kgp.table import Table
from kgp.tables import CALLSET_SAMPLES, EQTL_GENOTYPES, EQTL_MATRICES, LOADS, VARIANTS

HEADER = '##fileformat=VCFv4.2\n##INFO=<ID=AC,Number=A,Type=Integer,Description="">\n'
COLUMNS = "\t".join(
    ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", "HG1", "HG2", "HG3")
)
# Three row groups, and places to tell them apart: row i lies at 22:1000 + 10 i.
N_ROWS = 25_000


def write_vcf(path: Path, contig: str, n_rows: int, step: int = 10) -> str:
    """A VCF with records at 1000, 1000 + step, …; every seventh has two ALTs and DP, every eleventh a half call."""
    lines = []
    for i in range(n_rows):
        alt, info = ("C,G", "AC=1,2") if i % 7 == 0 else ("C", "AC=1")
        form, extra = ("GT:DP", ":7") if i % 7 == 0 else ("GT", "")
        calls = ("./1" if i % 11 == 0 else "0|1", "1|0" if i % 2 else "0|0", "2|2" if i % 7 == 0 else "1|1")
        fields = [contig, str(1000 + step * i), f"rs{i}", "A", alt, "30", "PASS", info, form]
        lines.append("\t".join([*fields, *(call + extra for call in calls)]))
    path.write_text(HEADER + COLUMNS + "\n" + "\n".join(lines) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def template(spark: Any, config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with three loads of one callset, one of which is superseded and one cut off; copy it."""
    place = tmp_path_factory.mktemp("parts")
    uri = str(place / "lake")
    here = load_config(lake=uri, environ={})

    def load(callset: str, *vcf: str, **options: Any) -> None:
        params = config.params(
            LoadVariants, {"callset": callset, "build": "GRCh37", **options, "vcf": vcf, "reader": "builtin"}
        )
        run_job(LOAD_VARIANTS, params, here, progress=Progress(quiet=True))

    large = write_vcf(place / "large.vcf", "22", N_ROWS)
    hla = write_vcf(place / "hla.vcf", "HLA-A*01:01", 50)
    load("c", large, region=("22:1000-2000",))
    load("c", large)  # takes the place of the narrower one
    load("c", hla)
    load("other", hla)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kgp.jobs.load_variants.finish_load", _cut_off)
        with pytest.raises(KeyboardInterrupt):
            load("c", write_vcf(place / "cut.vcf", "22", 300, step=7))
    return place / "lake"


def _cut_off(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def lake(spark: Any, template: Path, tmp_path: Path) -> Lake:
    """A copy of the template."""
    shutil.copytree(template, tmp_path / "lake")
    return Lake(spark, str(tmp_path / "lake"))


def sort_key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in VARIANTS.key)


def by_spark(lake: Lake, where: str = "true") -> list[dict[str, Any]]:
    """Valid rows as Spark reads them through the ledger."""
    rows = lake.read(VARIANTS).where(where).collect()
    return sorted((row.asDict(recursive=True) for row in rows), key=sort_key)


def by_parts(parts: list[TablePart], columns: tuple[str, ...] = VARIANTS.columns) -> list[dict[str, Any]]:
    """Rows of the parts, each part pickled on its way as Spark would."""
    found = []
    for part in parts:
        for batch in read_part(pickle.loads(pickle.dumps(part)), VARIANTS, columns):
            batch.validate(full=True)
            found += pa.Table.from_batches([batch]).to_pylist(maps_as_pydicts="strict")
    return found


def n_load_ids(lake: Lake) -> int:
    """Load ids that occur in the table, debris included."""
    return lake.read_all(VARIANTS).select("load_id").distinct().count()


def test_parts_hold_the_valid_rows_and_no_others(lake: Lake) -> None:
    expected = by_spark(lake)
    assert n_load_ids(lake) == 4  # three valid ones and the debris
    assert len(expected) == N_ROWS + -(-N_ROWS // 7) + 2 * (50 + 8)
    found = sorted(by_parts(lake.parts(VARIANTS)), key=sort_key)
    assert found == expected


def test_files_that_mix_loads_are_filtered(lake: Lake) -> None:
    expected = by_spark(lake)
    DeltaTable(lake.path(VARIANTS)).optimize.compact()
    parts = lake.parts(VARIANTS)
    files = {part.path for part in parts}
    mixed = [part for part in parts if part.ids is not None]
    assert mixed
    assert any(len(set(pq.read_table(path, partitioning=None)["load_id"].to_pylist())) > 1 for path in files)
    assert sorted(by_parts(parts), key=sort_key) == expected
    one = expected[0]["load_id"]
    only = [row for row in expected if row["load_id"] == one]
    assert sorted(by_parts(lake.parts(VARIANTS, ids=[one])), key=sort_key) == only


def test_ids_and_partitions_choose(lake: Lake) -> None:
    callset_c = by_parts(lake.parts(VARIANTS, partitions={"callset": ["c"], "contig": ["HLA-A*01:01"]}))
    assert sorted(callset_c, key=sort_key) == by_spark(lake, "callset = 'c' AND contig = 'HLA-A*01:01'")
    assert lake.parts(VARIANTS, partitions={"contig": []}) == []
    for row in lake.fetch(LOADS).to_pylist():
        found = by_parts(lake.parts(VARIANTS, ids=[row["load_id"]]))
        assert len(found) == row["alleles_out"]
        assert {one["load_id"] for one in found} == {row["load_id"]}
    assert lake.parts(VARIANTS, ids=["no such load"]) == []


def test_debris_is_no_part_even_where_it_is_asked_for(lake: Lake) -> None:
    known = set(lake.fetch(LOADS)["load_id"].to_pylist())
    every = {row.load_id for row in lake.read_all(VARIANTS).select("load_id").distinct().collect()}
    (debris,) = every - known
    assert lake.parts(VARIANTS, ids=[debris]) == []


def test_a_span_leaves_row_groups_out(lake: Lake) -> None:
    def parts(*span: int) -> list[TablePart]:
        return lake.parts(VARIANTS, partitions={"callset": ["c"], "contig": ["22"]}, span=(span[0], span[1]))

    every = parts(0, 1 << 40)
    n_groups = sum(len(part.row_groups) for part in every)
    assert n_groups >= 3
    middle = 999 + 10 * (N_ROWS // 2)
    some = parts(middle, middle + 1)
    assert [len(part.row_groups) for part in some] == [1]
    assert {row["start"] for row in by_parts(some)} >= {middle}
    assert parts(0, 999) == []  # 0-based half-open: the first record starts at 999
    assert len(parts(0, 1000)) == 1
    last = 999 + 10 * (N_ROWS - 1)
    assert len(parts(last, last + 1)) == 1
    assert parts(last + 1, last + 2) == []


def test_parts_come_in_order(lake: Lake) -> None:
    parts = lake.parts(VARIANTS, target_rows=1)
    rows = [by_parts([part], ("callset", "contig", "start"))[0] for part in parts]
    places = [tuple(row.values()) for row in rows]
    assert places == sorted(places)
    assert len(places) >= 3
    assert parts == lake.parts(VARIANTS, target_rows=1)


def test_parts_are_cut_between_row_groups(lake: Lake) -> None:
    expected = by_spark(lake)
    groups = WriterProperties(max_row_group_size=2_000)
    DeltaTable(lake.path(VARIANTS)).optimize.compact(writer_properties=groups)
    whole = lake.parts(VARIANTS, target_rows=1 << 40)
    assert len(whole) == len({part.path for part in whole})
    assert max(len(part.row_groups) for part in whole) > 3
    small = lake.parts(VARIANTS, target_rows=1)
    assert [len(part.row_groups) for part in small] == [1] * sum(len(part.row_groups) for part in whole)
    parts = lake.parts(VARIANTS, target_rows=5_000)
    assert len(whole) < len(parts) < len(small)
    assert max(len(by_parts([part], ("start",))) for part in parts) <= 5_000
    assert sorted(by_parts(parts), key=sort_key) == expected


def test_only_the_asked_columns_are_read(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    real = pq.ParquetFile.iter_batches

    def spy(self: Any, *args: Any, columns: list[str], **named: Any) -> Any:
        asked.append(columns)
        return real(self, *args, columns=columns, **named)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", spy)
    (part, *_) = lake.parts(VARIANTS, partitions={"callset": ["c"], "contig": ["HLA-A*01:01"]})
    (batch,) = read_part(part, VARIANTS, ["contig", "alt", "start"])
    assert asked == [["alt", "start"]]
    assert batch.schema.equals(
        pa.schema([VARIANTS.arrow_schema.field(n) for n in ("contig", "alt", "start")])
    )
    assert set(batch["contig"].to_pylist()) == {"HLA-A*01:01"}
    filtered = TablePart(part.path, part.values, part.row_groups, frozenset({"nobody"}))
    assert list(read_part(filtered, VARIANTS, ["start"])) == []


def test_batches_can_be_small(lake: Lake) -> None:
    (part, *_) = lake.parts(VARIANTS, partitions={"callset": ["c"], "contig": ["22"]})
    whole = list(read_part(part, VARIANTS, ["start", "dosages"]))
    assert len(whole) == len(part.row_groups)
    small = list(read_part(part, VARIANTS, ["start", "dosages"], batch_rows=999))
    assert max(batch.num_rows for batch in small) <= 999
    assert pa.Table.from_batches(small).to_pylist() == pa.Table.from_batches(whole).to_pylist()


def test_tasks_read_parts(lake: Lake) -> None:
    parts = lake.parts(VARIANTS, target_rows=5_000)
    assert len(parts) > 3
    function = partial(read_part, table=VARIANTS, columns=["variant_id", "dosages"])
    rows = map_splits(lake.spark, parts, function, "variant_id string, dosages array<tinyint>")
    found = sorted((row.variant_id, row.dosages) for row in rows.collect())
    assert found == sorted((row["variant_id"], row["dosages"]) for row in by_spark(lake))


def test_a_ledger_that_changes_meanwhile_is_read_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = by_spark(lake, "callset = 'other'")
    (gone,) = {row["load_id"] for row in lake.fetch(LOADS).to_pylist() if row["subject"] == "other"}
    real: Callable[..., pa.Table] = Lake.fetch_all
    n_read = 0

    def fetch_all(self: Lake, table: Table) -> pa.Table:
        nonlocal n_read
        rows = real(self, table)
        n_read += 1
        if n_read == 1:  # right after the ledger was read, another process takes the load away
            DeltaTable(self.path(LOADS)).delete(f"load_id = '{gone}'")
        return rows

    monkeypatch.setattr(Lake, "fetch_all", fetch_all)
    assert expected
    assert lake.parts(VARIANTS, partitions={"callset": ["other"]}) == []
    assert n_read == 2


def test_what_makes_no_sense_is_refused(lake: Lake) -> None:
    with pytest.raises(ContractError, match="partition columns"):
        lake.parts(VARIANTS, partitions={"start": ["1"]})
    with pytest.raises(ContractError, match="no start and end"):
        lake.parts(CALLSET_SAMPLES, span=(0, 1))
    with pytest.raises(ContractError, match="no ledger"):
        lake.parts(LOADS, ids=["a"])
    with pytest.raises(ContractError, match="no columns"):
        next(read_part(lake.parts(VARIANTS)[0], VARIANTS, ["strange"]))
    assert lake.parts(EQTL_GENOTYPES) == []
    context = Context(lake, Progress(quiet=True), LOAD_VARIANTS)
    assert context.parts(VARIANTS) == lake.parts(VARIANTS)
    with pytest.raises(ContractError, match="does not declare"):
        context.parts(EQTL_MATRICES)


def test_a_part_knows_its_places(lake: Lake) -> None:
    for parts in (lake.parts(VARIANTS, target_rows=1), lake.parts(VARIANTS, target_rows=1 << 40)):
        for part in parts:
            rows = by_parts([part], ("start", "end"))
            starts = [row["start"] for row in rows]
            assert part.n_rows == len(rows)
            assert part.starts == (min(starts), max(starts))
            assert part.last_end == max(row["end"] for row in rows)
