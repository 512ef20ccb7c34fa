"""`kgp samples qc` against plink2 and recorded tables of plink 1.9; what it flags, and what it says it can't tell."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genotype_lake import (
    CALLSET,
    Contig,
    MadeCallset,
    fill_lake,
    make_callset,
    no_spark,
    put_people,
    read_table,
    run_plink2,
    write_bed,
)
from kgp import tables as t
from kgp.errors import CheckError, InputError
from kgp.io.delta import Lake
from kgp.job import Report
from kgp.jobs import genotype_tasks
from kgp.jobs.check_samples import CHECK_SAMPLES
from kgp.jobs.load_samples import LOAD_SAMPLES
from kgp.jobs.load_variants import LOAD_VARIANTS

CONTIGS = ("1", "2", "22", "X", "MT", "GL000192.1")

Run = Callable[..., Report]


@pytest.fixture(scope="module")
def run(make_run: Callable[..., Run]) -> Run:
    """``run(lake, min_maf=0.1)``: the job with the defaults but these."""
    return make_run(CHECK_SAMPLES, callset=CALLSET)


def rows_of(place: Path) -> dict[str, dict[str, Any]]:
    rows = Lake(no_spark, str(place)).fetch(t.SAMPLE_QUALITY).to_pylist(maps_as_pydicts="strict")
    return {row["sample_id"]: row for row in rows}


@pytest.fixture(scope="module")
def callset() -> MadeCallset:
    """70 people; S004 has a tenth of its genotypes missing, S010 is far too heterozygous."""
    made = make_callset(9, CONTIGS, 1_200, 66, missing=0.01)
    rng = np.random.default_rng(10)
    for contig in made.contigs.values():
        contig.dosages[rng.random(len(contig.starts)) < 0.1, 4] = -1
        is_wrong = (rng.random(len(contig.starts)) < 0.3) & (contig.dosages.max(axis=1) > 0)
        contig.dosages[is_wrong, 10] = 1
    return made


@pytest.fixture(scope="module")
def place(callset: MadeCallset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("quality") / "lake"
    fill_lake(path, callset, loads=("v1", "v2"), row_group=350)
    return path


@pytest.fixture(scope="module")
def report(place: Path, run: Run) -> Report:
    return run(place)


@pytest.fixture(scope="module")
def plink_files(callset: MadeCallset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    prefix = tmp_path_factory.mktemp("plink2") / "all"
    write_bed(prefix, callset)
    return prefix


def test_plink2_prints_the_same_heterozygosity(
    report: Report, place: Path, plink_files: Path, require_tool: Callable[[str], Path]
) -> None:
    chosen = ("--allow-extra-chr", "--chr", "1-22", "--snps-only", "--maf", 0.05, "--geno", 0.05, "--het")
    run_plink2(require_tool("plink2"), plink_files, plink_files.with_name("het"), *chosen)
    theirs = {row["IID"]: row for row in read_table(plink_files.with_name("het.het"))}
    found = rows_of(place)
    assert found.keys() == theirs.keys()
    for name, row in found.items():
        assert row["n_hom"] == int(theirs[name]["O(HOM)"])
        assert row["expected_hom"] == pytest.approx(float(theirs[name]["E(HOM)"]), rel=5.1e-6)
        assert row["inbreeding"] == pytest.approx(float(theirs[name]["F"]), rel=5.1e-6)


def test_plink2_counts_the_same_missing_genotypes(
    report: Report, place: Path, plink_files: Path, require_tool: Callable[[str], Path]
) -> None:
    options = ("--allow-extra-chr", "--missing", "sample-only")
    run_plink2(require_tool("plink2"), plink_files, plink_files.with_name("missing"), *options)
    found = rows_of(place)
    for row in read_table(plink_files.with_name("missing.smiss")):
        mine = found[row["IID"]]
        assert mine["n_missing"] == int(row["MISSING_CT"])
        assert mine["n_missing"] + mine["n_called"] == int(row["OBS_CT"]) == 6 * 1_200
        assert 1.0 - mine["call_rate"] == pytest.approx(float(row["F_MISS"]), rel=5.1e-6)


def test_who_stands_apart_is_flagged_and_shown(report: Report, place: Path) -> None:
    flags = {name: row["flags"] for name, row in rows_of(place).items() if row["flags"]}
    assert "low_call_rate" in flags["S004"]
    assert [name for name, one in flags.items() if "low_call_rate" in one] == ["S004"]
    assert "heterozygosity_outlier" in flags["S010"]
    shown = {row["sample_id"]: row for row in report.details["flagged"]}
    assert {name: row["flags"] for name, row in shown.items()} == flags
    assert report.details["flags"]["low_call_rate"] == 1
    lines = report.text.splitlines()
    assert lines[0].split() == [
        "sample_id", "flags", "call_rate", "inbreeding", "inbreeding_x", "sex_stated", "sex_inferred",
    ]  # fmt: skip
    assert any(line.startswith("S004") and "low_call_rate" in line and "0.8" in line for line in lines)
    left_out = report.details["variants_left_out"]
    assert left_out["no biallelic SNV"] == 4 * len(range(0, 1_200, 23))


def test_outliers_are_those_of_the_superpopulation(report: Report, place: Path) -> None:
    """The rule, written plainly: 3 · 1.4826 · MAD off the median of the people of the same superpopulation."""
    rows = list(rows_of(place).values())
    for i in range(3):
        members = [row for row in rows if place_in_callset(row["sample_id"]) % 3 == i]
        f = np.array([row["inbreeding"] for row in members])
        limit = 3 * 1.4826 * np.median(np.abs(f - np.median(f)))
        expected = [bool(one) for one in np.abs(f - np.median(f)) > limit]
        assert ["heterozygosity_outlier" in row["flags"] for row in members] == expected


def place_in_callset(name: str) -> int:
    late = {"CHILD1": 66, "CHILD2": 67, "COPY": 68, "GRANDCHILD": 69}
    return late[name] if name in late else int(name[1:])


def test_the_same_again_does_nothing_and_what_changes_the_answer_does(
    callset: MadeCallset, run: Run, tmp_path: Path
) -> None:
    small = MadeCallset(callset.samples, {"22": callset.contigs["22"]}, callset.people)
    lake = fill_lake(tmp_path / "lake", small)
    assert run(tmp_path / "lake").changed
    before = rows_of(tmp_path / "lake")
    again = run(tmp_path / "lake")
    assert (again.changed, again.rows) == (False, {})
    assert again.summary.endswith("up to date, nothing to do")
    assert rows_of(tmp_path / "lake") == before
    assert run(tmp_path / "lake", min_maf=0.2).changed
    assert run(tmp_path / "lake").changed
    put_people(lake, {**callset.people, "S001": {"sex": "male", "superpopulation": "EUR"}})
    assert run(tmp_path / "lake").changed
    assert not run(tmp_path / "lake").changed
    assert run(tmp_path / "lake", contig=("chr22",)).changed
    assert {row["parameters"]["contigs"] for row in rows_of(tmp_path / "lake").values()} == {"22"}


def test_spark_counts_the_same(
    lake: Lake,
    run: Run,
    report: Report,
    place: Path,
    callset: MadeCallset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill_lake(tmp_path / "other", callset, loads=("v1", "v2"), row_group=350)
    monkeypatch.setattr(genotype_tasks, "DRIVER_GENOTYPES", 0)
    by_spark = run(tmp_path / "other")
    assert (by_spark.summary, by_spark.details, by_spark.notes) == (
        report.summary,
        report.details,
        report.notes,
    )
    mine, theirs = rows_of(tmp_path / "other"), rows_of(place)
    assert {name: {**row, "computed_at": 0} for name, row in mine.items()} == {
        name: {**row, "computed_at": 0} for name, row in theirs.items()
    }


# ------------------------------------------------------------------------------------------------------- sex


@pytest.mark.parametrize("case", ["stated", "unstated"])
@pytest.mark.parametrize("coding", ["diploid", "haploid"])
def test_plink19_finds_the_same_f_and_sexes(
    case: str, coding: str, run: Run, root: Path, tmp_path: Path
) -> None:
    """Genotypes of people with one X as 0/0 and 1/1, and as 0 and 1, which dosages alone do not tell from 0/1."""
    place = root / "tests" / "data" / "oracles" / "genotypes"
    texts = (place / "x.genotypes.txt").read_text().split()
    dosages = np.array([[".012".index(letter) - 1 for letter in text] for text in texts], dtype=np.int8)
    sexes = [line.split()[1] for line in (place / "x.people.txt").read_text().splitlines()]
    rows = [line.split() for line in (place / f"x.{case}.sexcheck").read_text().splitlines()[1:]]
    names = [f"p{i:02}" for i in range(len(sexes))]
    has_one = np.arange(len(sexes)) % 2 == 0
    calls: list[bytes | None] | None = None
    if coding == "haploid":
        written = [
            ["." if d < 0 else "0/1" if d == 1 else str(d // 2) if one else f"{d // 2}/{d // 2}"
             for d, one in zip(row.tolist(), has_one, strict=True)]
            for row in dosages
        ]  # fmt: skip
        calls = [b"\0" + "\t".join(row).encode() for row in written]
        dosages = np.where(has_one & (dosages == 2), np.int8(1), dosages)
    starts = 3_000_000 + np.arange(len(dosages)) * 10
    contig = Contig(starts, ["A"] * len(dosages), ["C"] * len(dosages), dosages, calls)
    known = {"1": "male", "2": "female", "0": None}
    people = {
        name: {"sex": known[sex] if case == "stated" else None}
        for name, sex in zip(names, sexes, strict=True)
    }
    fill_lake(tmp_path / "lake", MadeCallset(names, {"X": contig}, people))
    report = run(tmp_path / "lake", min_maf=0.0, max_missing=1.0)
    found = rows_of(tmp_path / "lake")
    for name, row in zip(names, rows, strict=True):
        f = None if row[5] == "nan" else pytest.approx(float(row[5]), rel=5.1e-4)  # it prints four digits
        assert found[name]["inbreeding_x"] == f
        assert found[name]["sex_inferred"] == {"0": None, "1": "male", "2": "female"}[row[3]]
        is_other = case == "stated" and row[2] != "0" and row[3] != "0" and row[2] != row[3]
        assert ("sex_mismatch" in found[name]["flags"]) == is_other
    notes = "\n".join(report.notes)
    assert ("haploid genotypes of X" in notes) == (coding == "haploid")
    assert "heterozygosity can't be told: no common biallelic SNV of autosomes is loaded" in notes
    assert "with an F of X between 0.2 and 0.8 or none, sex can't be told: " in notes
    assert ("60 people of no stated sex" in notes) == (case == "unstated")


def test_pseudoautosomal_variants_and_too_few_of_x_tell_no_sex(
    callset: MadeCallset, run: Run, tmp_path: Path
) -> None:
    of = callset.contigs["X"]
    few = Contig(of.starts[:90], of.refs[:90], of.alts[:90], of.dosages[:90])
    par = Contig(of.starts - 2_900_000, of.refs, of.alts, of.dosages)
    for name, contig, said in (
        ("few", few, r"sex can't be told: \d\d variants of X are too few"),
        (
            "par",
            par,
            "sex can't be told: no common biallelic SNV of X outside the pseudoautosomal regions is loaded",
        ),
    ):
        contigs = {"22": callset.contigs["22"], "X": contig}
        fill_lake(tmp_path / name, MadeCallset(callset.samples, contigs, callset.people))
        report = run(tmp_path / name)
        assert {row["sex_inferred"] for row in rows_of(tmp_path / name).values()} == {None}
        (note,) = [note for note in report.notes if note.startswith("sex can't be told")]
        assert re.match(said, note)


# --------------------------------------------------------------------------------------------- what is refused


def test_bad_input_is_said(callset: MadeCallset, run: Run, tmp_path: Path) -> None:
    lake = fill_lake(tmp_path / "lake", MadeCallset(callset.samples, {"22": callset.contigs["22"]}))
    with pytest.raises(
        InputError, match=r"--callset: There is no callset other in this lake\. There are: made\."
    ):
        run(tmp_path / "lake", callset="other")
    with pytest.raises(
        InputError, match=r"--contig: Callset made has no variants on X\. It has some on 22\."
    ):
        run(tmp_path / "lake", contig=("X",))
    rows = lake.fetch_all(t.VARIANTS).to_pylist(maps_as_pydicts="strict")
    rows[7]["dosages"] = [0, 1]
    lake.put(t.VARIANTS, rows, None)
    with pytest.raises(CheckError, match=r"table variants: A row has 2 genotypes, its callset 70 samples\."):
        run(tmp_path / "lake")
    for row in rows:
        row["dosages"] = None
    lake.put(t.VARIANTS, rows, None)
    with pytest.raises(
        InputError, match=r"callset made: Its files have no genotypes\. Load files with FORMAT GT\."
    ):
        run(tmp_path / "lake")


def test_a_callset_of_one_sex_chromosome_says_what_it_can_tell(
    callset: MadeCallset, run: Run, tmp_path: Path
) -> None:
    x = callset.contigs["X"]
    fill_lake(tmp_path / "y", MadeCallset(callset.samples, {"Y": x}))
    with pytest.raises(
        InputError,
        match=r"callset made: Its variants are all on Y, which females have none of.*Load other contigs",
    ):
        run(tmp_path / "y")
    fill_lake(tmp_path / "both", MadeCallset(callset.samples, {"X": x, "Y": x}))
    with pytest.raises(InputError, match=r"Its variants are all on Y.*Leave --contig chrY away\."):
        run(tmp_path / "both", contig=("chrY",))
    fill_lake(tmp_path / "x", MadeCallset(callset.samples, {"X": x}))
    report = run(tmp_path / "x")
    rows = rows_of(tmp_path / "x")
    assert rows["S004"]["call_rate"] == pytest.approx((x.dosages[:, 4] >= 0).mean())
    assert any(row["sex_inferred"] == "female" for row in rows.values())
    assert report.notes[0] == "heterozygosity can't be told: no common biallelic SNV of autosomes is loaded"


# ------------------------------------------------------------------------------------------- files as they come


def test_a_loaded_file_with_haploid_males_and_multiallelic_records(
    lake: Lake,
    make_run: Callable[..., Run],
    run: Run,
    require_tool: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    """From VCF to flags: X and Y of males are haploid, some records have two ALTs, some calls are missing."""
    vcf, males, genotypes = write_vcf(tmp_path)
    panel = tmp_path / "panel"
    sexes = ["male" if is_male else "female" for is_male in males]
    sexes[4] = {"male": "female", "female": "male"}[sexes[4]]  # stated wrongly
    lines = [f"S{i:02}\tCEU\tEUR\t{sex}" for i, sex in enumerate(sexes)]
    panel.write_text("\n".join(["sample\tpop\tsuper_pop\tgender", *lines]) + "\n")
    load_variants, load_samples = make_run(LOAD_VARIANTS), make_run(LOAD_SAMPLES)
    load_variants(tmp_path / "lake", callset=CALLSET, build="GRCh37", vcf=(str(vcf),), reader="builtin")
    load_samples(tmp_path / "lake", panel=(str(panel),))
    report = run(tmp_path / "lake")
    found = rows_of(tmp_path / "lake")
    assert {name: row["flags"] for name, row in found.items() if "sex_mismatch" in row["flags"]}.keys() == {
        "S04"
    }
    for i, is_male in enumerate(males):
        row = found[f"S{i:02}"]
        assert row["sex_inferred"] == ("male" if is_male else "female")
        assert row["n_missing"] == sum(
            record[i].startswith(".") for contig, record in genotypes if contig != "Y"
        )
        assert row["n_missing"] + row["n_called"] == sum(contig != "Y" for contig, _ in genotypes)
        if is_male:
            assert row["inbreeding_x"] == 1.0
    assert f"{sum(males)} people of 60 have haploid genotypes of X" in "\n".join(report.notes)
    command = [
        require_tool("plink2"),
        "--vcf",
        vcf,
        "--chr",
        "1-22",
        "--snps-only",
        "--max-alleles",
        "2",
        "--maf",
        "0.05",
    ]
    command += ["--geno", "0.05", "--het", "--out", tmp_path / "het", "--threads", "1"]
    subprocess.run(command, check=True, capture_output=True)
    for theirs in read_table(tmp_path / "het.het"):
        assert found[theirs["IID"]]["inbreeding"] == pytest.approx(float(theirs["F"]), rel=5.1e-6)
        assert found[theirs["IID"]]["n_hom"] == int(theirs["O(HOM)"])


def write_vcf(place: Path) -> tuple[Path, list[bool], list[tuple[str, list[str]]]]:
    """A VCF of 60 people: file, who is male, and GT texts of each record with its contig."""
    rng = np.random.default_rng(12)
    males = [bool(one) for one in rng.random(60) < 0.5]
    genotypes, lines = [], []
    for contig, n_records in (("1", 300), ("22", 300), ("X", 400), ("Y", 50)):
        for i in range(n_records):
            alts = ["C", "C,G", "CT"][0 if i % 10 else i // 10 % 3]
            n_alleles = alts.count(",") + 2
            frequency = rng.dirichlet(np.ones(n_alleles))
            record = []
            for is_male in males:
                a, b = rng.choice(n_alleles, 2, p=frequency)
                text = f"{a}/{b}"
                if contig in "XY" and is_male:
                    text = str(a)
                if rng.random() < 0.01 or (contig == "Y" and not is_male):
                    text = "." if contig in "XY" and is_male else "./."
                record.append(text)
            genotypes.append((contig, record))
            lines.append(
                "\t".join([contig, str(3_000_001 + 10 * i), ".", "A", alts, ".", ".", ".", "GT", *record])
            )
    header = ["##fileformat=VCFv4.2", '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">']
    header += [f"##contig=<ID={contig}>" for contig in ("1", "22", "X", "Y")]
    columns = [
        "#CHROM",
        "POS",
        "ID",
        "REF",
        "ALT",
        "QUAL",
        "FILTER",
        "INFO",
        "FORMAT",
        *(f"S{i:02}" for i in range(60)),
    ]
    path = place / "people.vcf"
    path.write_text("\n".join([*header, "\t".join(columns), *lines]) + "\n")
    return path, males, genotypes
