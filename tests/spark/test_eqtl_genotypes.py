"""The genotype rows of a set as they are written: counted to the last, in order however files lie, by Spark or not."""

from __future__ import annotations

import dataclasses
import datetime
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgp.errors import BuildError, CheckError, InputError
from kgp.genome import get_build
from kgp.io import direct
from kgp.io.delta import Lake
from kgp.io.matrix_sets import read_genotypes
from kgp.io.parts import TablePart
from kgp.io.splits import plan_splits
from kgp.io.vcf import Layout, Selection, read_header
from kgp.io.vcf.builtin import SplitTask
from kgp.io.vcf.conformance import LineChecker
from kgp.job import Context, Job, Progress, Report
from kgp.jobs import eqtl_genotypes, genotype_stretches
from kgp.jobs.eqtl_genotypes import GenotypesWritten, commit_genotypes, discard_genotypes, write_genotypes
from kgp.jobs.genotype_stretches import plan_stretches
from kgp.tables import EQTL_GENOTYPES, EQTL_MATRICES, LOADS, VARIANTS
from kgp.transforms import genotypes as g

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

READS, WRITES = (LOADS, VARIANTS, EQTL_MATRICES), (EQTL_GENOTYPES,)
JOB: Job[Any] = Job("test", "test", object, READS, WRITES, lambda *_: Report("test", False, ""))
PEOPLE = 6


class NoSpark:
    """In the place of a session: what is small must not start one."""

    def __call__(self) -> Any:
        raise AssertionError("Spark was started")


def make_context(path: Path, spark: Any = None) -> Context:
    return Context(Lake(spark or NoSpark(), str(path / "lake")), Progress(quiet=True), JOB)


def which_of(**given: Any) -> g.GenotypeFilter:
    made = {
        "sample_indices": tuple(range(PEOPLE)), "n_callset": PEOPLE, "sexes": ("male", "female") * (PEOPLE // 2),
        "build": "GRCh37", "tss_by_contig": {"22": [1000]}, "cis_window": 500, "source": "calls", "min_maf": 0.0,
        "min_mac": 0, "max_missing": 1.0, "min_hwe_p": 0.0, "multiallelic": "drop", "missing_genotypes": "mean",
        "x_model": "0_2",
    }  # fmt: skip
    if "sample_indices" in given:
        made["sexes"] = ("female",) * len(given["sample_indices"])
    return g.GenotypeFilter(**{**made, **given})


def variant(pos: int, dosages: Sequence[int | None] = (0, 1, 2, 1, 0, 0), **given: Any) -> dict[str, Any]:
    contig, alt = given.get("contig", "22"), given.get("alt", "C")
    row = {
        "callset": "c", "contig": contig, "load_id": "v1", "start": pos - 1, "end": pos, "record_id": pos,
        "alt_index": 1, "n_alts": 1, "ref": "A", "alt": alt, "variant_id": f"{contig}_{pos}_A_{alt}",
        "source_contig": contig, "dosages": list(dosages), "calls": b"\x02",
    }  # fmt: skip
    return {**row, **given}


def fill(context: Context, *loads: Sequence[dict[str, Any]], group_rows: int = 10_000) -> dict[str, int]:
    """Loads v1, v2 … with these variants; contig → rows."""
    lake, rows_on, ledger = context._lake, {}, []
    lake.create(VARIANTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(direct, "ROW_GROUP_ROWS", group_rows)
        for number, rows in enumerate(loads, 1):
            load_id = f"v{number}"
            named = sorted(
                ({**row, "load_id": load_id} for row in rows), key=lambda row: (row["contig"], row["start"])
            )
            batch = pa.RecordBatch.from_pylist(named, VARIANTS.arrow_schema)
            lake.commit(VARIANTS, direct.write_files([batch], VARIANTS, lake.path(VARIANTS)), [load_id])
            ledger.append(
                {
                    "load_id": load_id, "target": "variants", "subject": "c", "path": f"{load_id}.vcf",
                    "content_id": load_id, "build": "GRCh37", "selection": {}, "reader": "test",
                    "reader_reason": "test", "versions": {}, "rows_in": len(rows), "rows_out": len(rows),
                    "rows_quarantined": 0, "alleles_out": len(rows), "warnings": {}, "warned_at": {}, "seconds": 0.0,
                    "loaded_at": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
                }
            )  # fmt: skip
            for row in rows:
                rows_on[row["contig"]] = rows_on.get(row["contig"], 0) + 1
    lake.put(LOADS, ledger, None)
    return rows_on


def build(
    context: Context, which: g.GenotypeFilter, rows_on: dict[str, int], matrix_id: str = "m"
) -> GenotypesWritten:
    """Write the files of a set's genotypes and commit them."""
    made = write_genotypes(context, matrix_id, "c", which, rows_on)
    commit_genotypes(context, matrix_id, made)
    return made


def read_back(context: Context, n_samples: int) -> tuple[list[dict[str, Any]], np.ndarray]:
    """The rows of set m in file order, and their dosages."""
    # No ledger names the set.
    parts = context._lake.parts(
        dataclasses.replace(EQTL_GENOTYPES, ledger=None), partitions={"matrix_id": ["m"]}
    )
    blocks = [block for part in parts for block in read_genotypes(part, n_samples)]
    rows = [row for block in blocks for row in block.rows.to_pylist()]
    return rows, np.concatenate([block.dosages for block in blocks]) if blocks else np.empty((0, n_samples))


def files_of(context: Context) -> list[Path]:
    return sorted(Path(context.uri).rglob("eqtl_genotypes/**/*.parquet"))


def test_every_row_of_the_callset_is_kept_or_counted(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    rows = [
        variant(499), variant(500), variant(1500, [2, None, 1, 0, 0, 0]), variant(1501), variant(40_000_000),
        variant(700, [0] * 6), variant(800, n_alts=2), variant(900, [None] * 6), variant(1000, contig="21"),
        variant(1000, callset="other"),
    ]  # fmt: skip
    fill(context, rows)
    # 21 has no phenotype: what lies there is not counted; nor is another callset.
    made = build(context, which_of(), {"22": 8, "21": 1})
    assert made.n_variants == 2
    assert list(made.dropped.items()) == [
        (g.OUTSIDE_WINDOWS, 3), (g.MULTIALLELIC, 1), (g.MISSING, 1), (g.MONOMORPHIC, 1),
    ]  # fmt: skip
    assert {contig: starts.tolist() for contig, starts in made.starts.items()} == {"22": [499, 1499]}
    assert made.n_missing == 1
    found, dosages = read_back(context, PEOPLE)
    assert [row["variant_id"] for row in found] == ["22_500_A_C", "22_1500_A_C"]
    assert dosages.tolist() == [[0, 1, 2, 1, 0, 0], [2, -1, 1, 0, 0, 0]]
    assert [(row["ac"], row["an"], row["n_missing"]) for row in found] == [(4, 12, 0), (3, 10, 1)]


def test_a_dry_run_says_the_same_and_writes_nothing(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    rows_on = fill(context, [variant(pos) for pos in range(900, 1600)])
    dry = write_genotypes(context, "m", "c", which_of(), rows_on, dry_run=True)
    assert files_of(context) == []
    assert not context._lake.exists(EQTL_GENOTYPES)
    wet = build(context, which_of(), rows_on)
    assert (dry.n_variants, dry.dropped, dry.n_missing) == (wet.n_variants, wet.dropped, wet.n_missing) == (
        601, {g.OUTSIDE_WINDOWS: 99}, 0,
    )  # fmt: skip
    assert dry.starts["22"].tolist() == wet.starts["22"].tolist() == list(range(899, 1500))
    assert len(files_of(context)) == 1


def test_until_they_are_committed_genotypes_are_files_that_nobody_sees(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    rows_on = fill(context, [variant(pos) for pos in range(900, 1000)])
    build(context, which_of(), rows_on, "other")
    before, version = files_of(context), context.version(EQTL_GENOTYPES)
    made = write_genotypes(context, "m", "c", which_of(), rows_on)
    assert context.version(EQTL_GENOTYPES) == version
    assert len(files_of(context)) == len(before) + len(made.files) == 2
    assert context.remove_debris(["m", "other"]) == {"eqtl_genotypes": ["other"]}, (
        "what no log names is nobody's debris"
    )
    commit_genotypes(context, "m", made)
    assert len(read_back(context, PEOPLE)[0]) == 100
    again = write_genotypes(context, "m", "c", which_of(), rows_on)
    discard_genotypes(context, again)
    assert len(files_of(context)) == 2
    assert len(read_back(context, PEOPLE)[0]) == 100


def test_rows_that_were_removed_are_committed_again_from_their_files(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    rows_on = fill(context, [variant(pos) for pos in range(900, 1000)])
    made = build(context, which_of(), rows_on)
    before = read_back(context, PEOPLE)
    assert context.remove_debris(["m"]) == {"eqtl_genotypes": ["m"]}
    assert read_back(context, PEOPLE)[0] == []
    commit_genotypes(context, "m", made)
    after = read_back(context, PEOPLE)
    assert after[0] == before[0]
    assert np.array_equal(after[1], before[1])


def test_building_again_replaces_the_rows_of_the_set_and_leaves_others(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    rows_on = fill(context, [variant(pos) for pos in range(900, 1000)])
    for matrix_id in ("m", "other", "m"):
        build(context, which_of(), rows_on, matrix_id)
    assert len(read_back(context, PEOPLE)[0]) == 100
    rows = context._lake.measure(EQTL_GENOTYPES, "true", n="count(*)")["n"]
    assert rows == 200


def test_expected_dosages_are_written_in_their_own_column(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    rows = [variant(900, [0] * 6, expected_dosages=[0.5, None, 1.25, 0.0, 2.0, 0.25]), variant(901)]
    made = build(context, which_of(source="dosages"), fill(context, rows))
    assert made.dropped == {g.NO_EXPECTED: 1}
    found, dosages = read_back(context, PEOPLE)
    assert dosages.dtype == np.float32
    np.testing.assert_array_equal(dosages, np.array([[0.5, np.nan, 1.25, 0, 2, 0.25]], np.float32))
    assert found[0]["af"] == 4 / 10


# ------------------------------------------------------------------------------------------------- order and cuts


def interleaved(n: int = 400) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Two loads whose variants lie between each other's, with several at one place."""
    rng = np.random.default_rng(6)
    rows = [
        variant(600 + i // 3, rng.integers(0, 3, PEOPLE).tolist(), alt="CGT"[i % 3])
        for i in rng.permutation(n).tolist()
    ]
    return rows[: n // 2], rows[n // 2 :]


@pytest.mark.parametrize("target", [1, 7, 100, 10_000])
def test_rows_are_in_order_however_the_files_lie(
    target: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(genotype_stretches, "TARGET_ROWS", target)
    context = make_context(tmp_path)
    first, second = interleaved()
    rows_on = fill(context, first, second, group_rows=11)
    made = build(context, which_of(), rows_on)
    expected = sorted(
        (row["start"], row["variant_id"], [*row["dosages"]])
        for row in (*first, *second)
        if len(set(row["dosages"])) > 1
    )
    found, dosages = read_back(context, PEOPLE)
    assert [
        (r["start"], r["variant_id"], d) for r, d in zip(found, dosages.tolist(), strict=True)
    ] == expected
    assert made.starts["22"].tolist() == [start for start, *_ in expected]
    assert made.n_variants + sum(made.dropped.values()) == rows_on["22"]
    assert len(files_of(context)) > 3 or target > 100


def test_what_no_window_reaches_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = make_context(tmp_path)
    rows_on = fill(context, [variant(pos) for pos in range(1, 40_001, 20)], group_rows=50)
    read = []
    original = genotype_stretches.read_part

    def note(part: TablePart, *args: Any, **named: Any) -> Any:
        read.append(part.n_rows)
        return original(part, *args, **named)

    monkeypatch.setattr(genotype_stretches, "read_part", note)
    which = which_of(tss_by_contig={"22": [3000, 30_000]})
    made = build(context, which, rows_on)
    near = [pos for pos in range(1, 40_001, 20) if min(abs(pos - 3000), abs(pos - 30_000)) <= 500]
    assert (made.starts["22"] + 1).tolist() == near
    assert made.dropped == {g.OUTSIDE_WINDOWS: 2000 - len(near)}
    assert sum(read) <= 300


def part_of(number: int, starts: tuple[int, int] | None, n_rows: int = 10, path: str = "a") -> TablePart:
    return TablePart(path, {"callset": "c", "contig": "22"}, (number,), None, n_rows, 0, starts, None)


def test_a_part_without_statistics_belongs_to_every_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genotype_stretches, "TARGET_ROWS", 10)
    which = which_of(cis_window=10_000)
    stretches = plan_stretches([part_of(0, (0, 9)), part_of(1, (10, 19)), part_of(0, None, path="b")], which)
    assert len(stretches) > 1
    assert all("b" in [part.path for part in stretch.parts] for stretch in stretches)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20), st.integers(1, 9)), max_size=12),
    st.integers(1, 30),
)
@settings(deadline=None)
def test_stretches_hold_every_row_once(groups: list[tuple[int, int, int]], target: int) -> None:
    parts = [part_of(i, (a, a + length), n, path=str(i % 3)) for i, (a, length, n) in enumerate(groups)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(genotype_stretches, "TARGET_ROWS", target)
        stretches = plan_stretches(parts, which_of(cis_window=10_000))
    assert [s.begin for s in stretches[1:]] == [s.end for s in stretches[:-1]]
    for number, (a, length, _) in enumerate(groups):
        for start in (a, a + length):
            (stretch,) = [s for s in stretches if s.begin <= start < s.end]
            assert [p for p in stretch.parts if p.path == str(number % 3) and number in p.row_groups]


# ------------------------------------------------------------------------------------------------------ bad input


def refuse(context: Context, which: g.GenotypeFilter, rows_on: dict[str, int]) -> str:
    """What it says; nothing may be left behind."""
    with pytest.raises((InputError, CheckError)) as refused:
        write_genotypes(context, "m", "c", which, rows_on)
    assert files_of(context) == []
    return str(refused.value)


def test_genotypes_of_other_people_are_refused(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    rows_on = fill(context, [variant(900), variant(901, [0, 1])])
    assert refuse(context, which_of(), rows_on) == (
        "table variants: 1 variants have genotypes of another number of samples than the callset. Load callset c again."
    )


def test_a_variant_of_two_loads_is_refused(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    rows_on = fill(context, [variant(900), variant(901)], [variant(901), variant(902)])
    assert refuse(context, which_of(), rows_on) == (
        "callset c: Variant 22_901_A_C is there more than once. Loads of it overlap: keep one of v1, v2, in another "
        "lake or callset."
    )


def test_nothing_left_is_refused_with_the_counts(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    rows_on = fill(context, [variant(900, [0] * 6), variant(901, [0] * 6), variant(9000)])
    message = (
        "eqtl build: No variant of c is left: 1 outside the cis windows, 2 monomorphic in the cohort. "
        "Lower --min-maf or widen --cis-window."
    )
    assert refuse(context, which_of(), rows_on) == message
    with pytest.raises(InputError, match="2 monomorphic in the cohort"):
        write_genotypes(context, "m", "c", which_of(), rows_on, dry_run=True)


def test_x_of_people_of_unknown_sex_is_refused(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    rows = [variant(3_000_000, contig="X"), variant(1000)]
    rows_on = fill(context, rows)
    both = {"22": [1000], "X": [3_000_000]}
    sexes = ("male", None, "female", None, "female", "female")
    assert refuse(context, which_of(tss_by_contig=both, sexes=sexes), rows_on) == (
        "eqtl build: The sex of 2 of 6 people is not known: their X can't be counted. Load a panel that says it "
        "(kgp load samples), or give --x-model drop."
    )
    without_x = which_of(tss_by_contig=both, sexes=sexes, x_model="drop")
    assert write_genotypes(context, "m", "c", without_x, rows_on).dropped == {g.ON_X: 1}


def test_a_variant_beyond_its_contig_is_refused(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    rows_on = fill(context, [variant(1000), variant(1001, end=51_304_567)])
    with pytest.raises(
        BuildError, match="callset c: A row ends at 22:51,304,567, beyond the 51,304,566 bases"
    ):
        write_genotypes(context, "m", "c", which_of(), rows_on)
    assert files_of(context) == []


def test_a_callset_that_has_grown_is_refused(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    fill(context, [variant(1000), variant(1001)])
    assert refuse(context, which_of(), {"22": 1}) == (
        "callset c: It has more variants than the 1 that were counted before. Run it again when no load is running."
    )


# ---------------------------------------------------------------------------------------------- Spark, real data


def same(one: GenotypesWritten, other: GenotypesWritten) -> bool:
    starts = {contig: starts.tolist() for contig, starts in one.starts.items()}
    return (one.n_variants, one.dropped, one.n_missing, starts) == (
        other.n_variants, other.dropped, other.n_missing, {contig: s.tolist() for contig, s in other.starts.items()},
    )  # fmt: skip


def test_spark_writes_the_same_rows(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(genotype_stretches, "TARGET_ROWS", 60)
    first, second = interleaved()
    others = [variant(3_000_000 + i, [i % 2, 2, 0, 1, 0, 0], contig="X", calls=b"\x02") for i in range(90)]
    which = which_of(tss_by_contig={"22": [1000], "X": [3_000_000]}, min_maf=0.2, min_hwe_p=0.01)
    made, rows = [], []
    for name, limit in (("here", 10**9), ("spark", 0)):
        (tmp_path / name).mkdir()
        context = make_context(tmp_path / name, spark)
        rows_on = fill(context, first + others, second, group_rows=40)
        monkeypatch.setattr(eqtl_genotypes, "_WITHOUT_SPARK", limit)
        made.append(build(context, which, rows_on))
        found, dosages = read_back(context, PEOPLE)
        rows.append((found, dosages.tolist()))
    assert same(*made)
    assert rows[0] == rows[1]
    assert len(rows[0][0]) == made[0].n_variants > 100
    assert sum(made[0].dropped.values()) + made[0].n_variants == sum(rows_on.values()) == 490


def load(context: Context, vcf: Path) -> int:
    """Load a VCF as load v1 of callset c, without Spark; gives its rows."""
    lake, header = context._lake, read_header(str(vcf))
    layout = Layout.make(header, get_build("GRCh37"), Selection(), callset="c", load_id="v1")
    roots = (lake.path(VARIANTS), None)
    task = SplitTask(layout=layout, checker=LineChecker.of(header), path=vcf.name, roots=roots)
    fill(context, [])
    return lake.commit(VARIANTS, [a for s in plan_splits(str(vcf)) for a in task(s).written[0]], ["v1"])


@pytest.mark.slow
def test_a_real_contig_is_what_plink2_makes_of_it(
    shared_data: Path, require_tool: Callable[[str], Path], tmp_path: Path
) -> None:
    vcf = shared_data / "geuvadis-eqtl-qtltools" / "genotypes.chr22.vcf.gz"
    context = make_context(tmp_path)
    n_rows = load(context, vcf)
    assert n_rows == 85_485
    samples = read_header(str(vcf)).samples
    chosen = list(range(3, 358, 4))
    (tmp_path / "keep.txt").write_text("#IID\n" + "".join(f"{samples[i]}\n" for i in chosen))
    options = [
        "--maf",
        "0.05",
        "--geno",
        "0.02",
        "--hwe",
        "1e-3",
        "--export",
        "A-transpose",
        "--out",
        tmp_path / "p",
    ]
    command = [
        require_tool("plink2"),
        "--vcf",
        vcf,
        "--set-all-var-ids",
        "@_#_$r_$a",
        "--new-id-max-allele-len",
        "500",
    ]
    subprocess.run([*command, "--keep", tmp_path / "keep.txt", *options], check=True, capture_output=True)

    which = which_of(
        sample_indices=tuple(chosen), n_callset=358, tss_by_contig={"22": [25_000_000]}, cis_window=10**9, min_maf=0.05,
        max_missing=0.02, min_hwe_p=1e-3,
    )  # fmt: skip
    made = build(context, which, {"22": n_rows})
    found, dosages = read_back(context, len(chosen))
    assert made.n_variants + sum(made.dropped.values()) == n_rows
    there = {}
    with (tmp_path / "p.traw").open() as lines:
        next(lines)
        for line in lines:
            _, name, _, _, counted, other, *copies = line.split()
            values = np.array(copies, dtype=np.int8)
            there[name] = values if (counted, other) == tuple(name.split("_")[2:])[::-1] else 2 - values
    names = [row["variant_id"] for row in found]
    assert set(names) == set(there)
    assert len(names) > 50_000
    np.testing.assert_array_equal(dosages, np.array([there[name] for name in names]))
