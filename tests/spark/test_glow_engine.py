"""`load variants --reader glow` end to end, with recorded rows in the place of Glow's reader."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kgp.config import Config, load_config
from kgp.errors import FormatError
from kgp.genome import GRCH37
from kgp.io.delta import Lake
from kgp.io.vcf import Layout, Selection, glow, read_header
from kgp.job import Progress, run_job
from kgp.jobs.load_variants import LOAD_VARIANTS
from kgp.params import LoadVariants
from kgp.tables import LOADS, QUARANTINE, VARIANTS

KIDD = "phase3-grch37__kidd.aisnp.1kg.vcf", "phase3-grch37/kidd.aisnp.1kg.vcf"
BROAD = (
    "phase3-grch37__1000G.phase3.broad.withGenotypes.chr20.10100000.vcf.gz",
    "phase3-grch37/1000G.phase3.broad.withGenotypes.chr20.10100000.vcf.gz",
)


@pytest.fixture
def load(spark, config: Config, monkeypatch, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Load a file into a lake of its own, with Glow's recorded answer to it; gives rows of its tables."""

    def run(vcf: Path, recorded: pa.Table, reader: str) -> dict[str, Any]:
        answer = tmp_path / "answer.parquet"
        pq.write_table(recorded, answer)
        monkeypatch.setattr(glow, "is_available", lambda spark: True)
        monkeypatch.setattr(
            glow,
            "read_glow",
            lambda spark, url, layout: glow.variants_from_glow(spark.read.parquet(str(answer)), layout),
        )
        lake = Lake(spark, str(tmp_path / reader))
        given = {"callset": "c", "build": "GRCh37", "vcf": [str(vcf)], "reader": reader}
        here = load_config(lake=lake.uri, environ={})
        run_job(LOAD_VARIANTS, config.params(LoadVariants, given), here, progress=Progress(quiet=True))
        return {table.name: lake.fetch(table).to_pylist() for table in (LOADS, QUARANTINE, VARIANTS)}

    return run


def comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows in file order, without what never is the same: record ids, order of keys, spelling of numbers."""
    found = []
    for row in sorted(rows, key=lambda row: (row["record_id"], row["alt_index"])):
        row = {name: value for name, value in row.items() if name not in ("record_id", "load_id")}
        row["info"] = {key: number(value) for key, value in row["info"]}
        row["formats"] = {
            key: [number(value) for value in values] for key, values in row["formats"] or [] if any(values)
        }
        found.append(row)
    return found


def number(text: str | None) -> Any:
    return None if text is None else [float(x) if x.lstrip("-")[:1].isdigit() else x for x in text.split(",")]


@pytest.mark.shared
def test_repeated_ids_are_numbered_alike(shared_data: Path, tmp_path: Path, load) -> None:
    recorded = pq.read_table(shared_data / "glow-golden" / KIDD[0] / "part.parquet")
    lines = (shared_data / KIDD[1]).read_bytes().splitlines(keepends=True)
    n_header = sum(line.startswith(b"#") for line in lines)
    order = [0, 1, 1, 1, *range(2, len(recorded)), len(recorded) - 1]
    vcf = tmp_path / "kidd.vcf"
    vcf.write_bytes(b"".join([*lines[:n_header], *(lines[n_header + i] for i in order)]))

    theirs = load(vcf, recorded.take(order), "glow")
    ours = load(vcf, recorded.take(order), "builtin")
    assert comparable(theirs["variants"]) == comparable(ours["variants"])
    ids = [row["variant_id"] for row in comparable(theirs["variants"])]
    assert ids[2:4] == [ids[1] + "#2", ids[1] + "#3"]
    assert ids[-1] == ids[-2] + "#2"
    (loaded,) = theirs["loads"]
    assert (loaded["reader"], loaded["reader_reason"]) == ("glow", "asked for")
    assert (loaded["rows_in"], loaded["rows_out"], loaded["rows_quarantined"]) == (58, 58, 0)
    assert ours["loads"][0]["reader"] == "builtin"


@pytest.mark.shared
def test_auto_takes_glow_for_rows_of_many_format_fields(shared_data: Path, tmp_path: Path, load) -> None:
    recorded = pq.read_table(shared_data / "glow-golden" / BROAD[0] / "part.parquet")
    theirs = load(shared_data / BROAD[1], recorded, "auto")
    ours = load(shared_data / BROAD[1], recorded, "builtin")
    assert comparable(theirs["variants"]) == comparable(ours["variants"])
    (loaded,) = theirs["loads"]
    assert loaded["reader"] == "glow"
    assert (loaded["rows_in"], loaded["rows_out"], loaded["rows_quarantined"]) == (17, 17, 0)
    assert {key for row in comparable(theirs["variants"]) for key in row["formats"]} >= {
        "AD",
        "DP",
        "GQ",
        "PL",
    }


@pytest.mark.shared
def test_row_with_samples_missing_goes_to_quarantine_and_not_through_glow(
    shared_data: Path, tmp_path: Path, load
) -> None:
    recorded = pq.read_table(shared_data / "glow-golden" / BROAD[0] / "part.parquet")
    lines = gzip.decompress((shared_data / BROAD[1]).read_bytes()).splitlines(keepends=True)
    lines[-1] = b"\t".join(lines[-1].split(b"\t")[:10]) + b"\n"
    vcf = tmp_path / "short.vcf"
    vcf.write_bytes(b"".join(lines))

    with pytest.raises(FormatError, match="Glow would misread this file: wrong number of columns"):
        load(vcf, recorded, "glow")
    found = load(vcf, recorded, "auto")
    (loaded,) = found["loads"]
    assert loaded["reader"] == "builtin"
    assert "wrong number of columns (1)" in loaded["reader_reason"]
    assert (loaded["rows_in"], loaded["rows_out"], loaded["rows_quarantined"]) == (17, 16, 1)
    assert [row["line"] for row in found["quarantine"]] == [lines[-1].rstrip(b"\n")]


def test_info_keys_with_dots_and_files_without_samples(spark, tmp_path: Path) -> None:
    vcf, answer = tmp_path / "a.vcf", tmp_path / "answer.parquet"
    header = '##fileformat=VCFv4.2\n##INFO=<ID=A.B,Number=R,Type=Integer,Description="">\n'
    vcf.write_text(
        header + "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n1\t7\t.\tA\tC,G\t.\t.\tA.B=3,.,5\n"
    )
    row = {"contigName": "1", "start": 6, "end": 7, "names": None, "referenceAllele": "A",
           "alternateAlleles": ["C", "G"], "qual": None, "filters": None, "INFO_A.B": [3, None, 5]}  # fmt: skip
    strings = pa.list_(pa.string())
    schema = pa.schema(
        [("contigName", pa.string()), ("start", pa.int64()), ("end", pa.int64()), ("names", strings),
         ("referenceAllele", pa.string()), ("alternateAlleles", strings), ("qual", pa.float64()),
         ("filters", strings), ("INFO_A.B", pa.list_(pa.int32()))]
    )  # fmt: skip
    pq.write_table(pa.Table.from_pylist([row], schema), answer)
    layout = Layout.make(read_header(str(vcf)), GRCH37, Selection(), "c", "l")
    rows = glow.variants_from_glow(spark.read.parquet(str(answer)), layout).collect()
    assert [(one.alt, one.info, one.dosages) for one in rows] == [
        ("C", {"A.B": "3,."}, None),
        ("G", {"A.B": "3,5"}, None),
    ]
