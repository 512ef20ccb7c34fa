"""The benchmark's file is what it says, and its report says what was measured. No seconds are tested here."""

from __future__ import annotations

import gzip
import importlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from pyarrow.dataset import dataset

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "tests" / "benchmarks"
SVG = "{http://www.w3.org/2000/svg}"
N_SAMPLES, N_ROWS = 300, 3000


def load(name: str) -> ModuleType:
    """A module of the benchmark, found as its scripts find each other."""
    for place in (PLACE, PLACE / "peers"):
        if str(place) not in sys.path:
            sys.path.append(str(place))
    return importlib.import_module(name)


# ---------------------------------------------------------------------------------------------------- the file


@pytest.fixture(scope="module")
def vcf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "small.vcf.gz"
    load("make_vcf").write_vcf(path, rows=N_ROWS, samples=N_SAMPLES, seed=3)
    return path


@pytest.fixture(scope="module")
def genotypes(vcf: Path) -> np.ndarray:
    """rows × chromosomes allele indices, from the text."""
    with gzip.open(vcf, "rt") as lines:
        calls = [line.rstrip("\n").split("\t")[9:] for line in lines if not line.startswith("#")]
    return np.array([[int(a) for call in row for a in call.split("|")] for row in calls])


@pytest.fixture
def bcftools(require_tool: Callable[[str], Path]) -> Callable[..., list[list[str]]]:
    """``bcftools(args…)``: what it prints, as fields; a warning fails the test."""
    program = require_tool("bcftools")

    def run(*args: object) -> list[list[str]]:
        done = subprocess.run([program, *map(str, args)], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return [line.split("\t") for line in done.stdout.splitlines()]

    return run


def test_the_same_seed_gives_the_same_file_and_more_rows_only_append(vcf: Path, tmp_path: Path) -> None:
    write = load("make_vcf").write_vcf
    for name, rows, seed in (("same", N_ROWS, 3), ("short", 700, 3), ("other", 700, 4)):
        write(tmp_path / name, rows=rows, samples=N_SAMPLES, seed=seed)
    assert (tmp_path / "same").read_bytes() == vcf.read_bytes()
    assert Path(f"{tmp_path / 'same'}.tbi").read_bytes() == Path(f"{vcf}.tbi").read_bytes()
    long, short, other = (
        gzip.decompress(p.read_bytes()) for p in (vcf, tmp_path / "short", tmp_path / "other")
    )
    assert long.startswith(short)
    assert short.count(b"\n22\t") == 700
    assert not long.startswith(other)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        name + suffix for name in ("same", "short", "other") for suffix in ("", ".tbi")
    )


def test_bcftools_and_tabix_read_it_without_a_warning(
    vcf: Path, bcftools: Callable[..., list[list[str]]], require_tool: Callable[[str], Path]
) -> None:
    rows = bcftools("query", "-f", "%CHROM\t%POS\t%REF\t%ALT\t%FILTER\t%INFO/VT\n", vcf)
    positions = [int(row[1]) for row in rows]
    assert len(rows) == N_ROWS
    assert positions == sorted(set(positions))
    assert {row[0] for row in rows} == {"22"}
    assert {row[4] for row in rows} == {"PASS"}
    assert 0.9 < sum(row[5] == "SNP" for row in rows) / N_ROWS < 0.99
    assert 0 < sum("," in row[3] for row in rows) < 0.02 * N_ROWS
    for _, _, ref, alts, _, kind in rows:
        assert ref not in alts.split(",")
        assert kind == {1: "SNP"}.get(
            max(map(len, (ref, *alts.split(",")))), "SV" if "<" in alts else "INDEL"
        )
    region = f"22:{positions[40]}-{positions[90]}"
    found = subprocess.run([require_tool("tabix"), vcf, region], capture_output=True, text=True, check=True)
    # An allele before the region may reach into it.
    begins = [int(line.split("\t")[1]) for line in found.stdout.splitlines()]
    assert [p for p in begins if p >= positions[40]] == positions[40:91]


def test_all_of_the_release_s_people_are_there(tmp_path: Path, bundled: Path) -> None:
    make_vcf = load("make_vcf")
    panel = [line.split("\t")[0] for line in (bundled / "samples.panel").read_text().splitlines()[1:]]
    make_vcf.write_vcf(tmp_path / "all.vcf.gz", rows=2, seed=1)
    with gzip.open(tmp_path / "all.vcf.gz", "rt") as lines:
        names = next(line for line in lines if line.startswith("#CHROM")).rstrip("\n").split("\t")[9:]
    assert names == panel
    assert len(set(names)) == 2504
    with pytest.raises(ValueError, match="the release has 2504"):
        make_vcf.write_vcf(tmp_path / "more.vcf.gz", rows=2, samples=2505)
    with pytest.raises(ValueError, match="do not fit"):
        make_vcf.write_vcf(tmp_path / "more.vcf.gz", rows=2_000_000)
    assert not (tmp_path / "more.vcf.gz").exists()


def test_counts_in_info_are_those_of_the_genotypes(
    vcf: Path, tmp_path: Path, bundled: Path, bcftools: Callable[..., list[list[str]]]
) -> None:
    groups = ("EAS", "AMR", "AFR", "EUR", "SAS")
    ids = {row[0] for row in bcftools("query", "-l", vcf)}
    panel = [line.split("\t") for line in (bundled / "samples.panel").read_text().splitlines()[1:]]
    people = [row for row in panel if row[0] in ids]
    (tmp_path / "groups").write_text("".join(f"{row[0]}\t{row[2]}\n" for row in people))
    stated = bcftools("query", "-f", "\t".join(f"%{name}" for name in ("AC", "AN", "AF", "NS")) + "\n", vcf)
    filled = tmp_path / "filled.bcf"
    bcftools("+fill-tags", vcf, "-Ob", "-o", filled, "--", "-t", "AC,AN,AF,NS", "-S", tmp_path / "groups")
    counted = bcftools(
        "query", "-f", "\t".join(f"%{name}" for name in ("AC", "AN", "AF", "NS")) + "\n", filled
    )
    assert stated == counted
    assert {row[1] for row in stated} == {str(2 * N_SAMPLES)}
    by_group = bcftools("query", "-f", "\t".join(f"%{g}_AF\t%AF_{g}" for g in groups) + "\n", filled)
    for row in by_group:
        for said, exact in zip(row[0::2], row[1::2], strict=True):
            for a, b in zip(said.split(","), exact.split(","), strict=True):
                assert abs(float(a) - float(b)) <= 0.5e-4 + 1e-6


def test_allele_counts_follow_one_over_x(vcf: Path, genotypes: np.ndarray) -> None:
    chromosomes = 2 * N_SAMPLES
    harmonic = sum(1 / k for k in range(1, chromosomes))
    edges = [1, 2, 3, 5, 10, 30, 100, 300, chromosomes]
    expected = np.array([sum(1 / k for k in range(a, b)) / harmonic for a, b in pairwise(edges)])
    counts = (genotypes > 0).sum(axis=1)
    assert counts.min() >= 1
    assert counts.max() < chromosomes
    seen = np.histogram(counts, edges)[0]
    # χ² with 7 degrees of freedom: above 24.3 once in a thousand seeds, and the seed is fixed.
    assert ((seen - N_ROWS * expected) ** 2 / (N_ROWS * expected)).sum() < 24.3


def test_neighbours_share_their_carriers_and_strangers_do_not(genotypes: np.ndarray) -> None:
    carriers = (genotypes > 0).astype(float)
    share = carriers.mean(axis=1)
    common = carriers[(share > 0.05) & (share < 0.95)]
    r2 = np.corrcoef(common) ** 2
    beside = np.diagonal(r2, 1).mean()
    far = r2[: len(r2) // 4, -len(r2) // 4 :].mean()
    assert beside > 3 * far
    assert far < 0.05


def test_the_stages_of_a_task_load_the_whole_file(
    vcf: Path, tmp_path: Path, bcftools: Callable[..., list[list[str]]]
) -> None:
    parts = load("parts")
    stages = parts.list_stages(vcf, tmp_path)
    for _, work in stages:
        for split in parts.plan_splits(str(vcf)):
            work(split)
    split_up = tmp_path / "split.vcf"
    subprocess.run(["bcftools", "norm", "-m-", vcf, "-o", split_up], capture_output=True, check=True)
    assert dataset(tmp_path / "variants").count_rows() == len(bcftools("query", "-f", "%POS\n", split_up))
    assert not (tmp_path / "quarantine").exists()
    assert list(parts.measure(vcf, 1)) == [name for name, _ in stages]


# -------------------------------------------------------------------------------------------------- the report


def run_of(case: str, warm: float, **more: Any) -> dict[str, Any]:
    return {
        "case": case,
        "repeat": 0,
        "seconds": [9.0, warm],
        "cold_seconds": 12.5,
        "bytes": 20_000_000,
        **more,
    }


@pytest.fixture
def result() -> dict[str, Any]:
    """A recorded round in which every target is just met, but those of memory and Glow; Hail is missing."""
    mib = 2**20
    small = {"driver": 300 * mib, "jvm": 900 * mib, "task": 1024 * mib}
    return {
        "date": "2026-01-02",
        "machine": {"processor": "A | B", "cores": "2 used of 8"},
        "rows": 50_000,
        "samples": 2504,
        "repeats": 3,
        "load_average": 0.25,
        "vcf_bytes": {"kgp": 20_000_000, "kgp-twice": 40_000_000},
        "runs": [
            run_of("kgp", 3.0, peak_memory=small),
            run_of("kgp", 2.0, peak_memory=small),
            run_of("kgp", 2.5, peak_memory=small),
            run_of("kgp-local1", 4.5),
            run_of("kgp-twice", 5.125, peak_memory={**small, "task": 1024 * mib + 1}),
            run_of("plink2", 1.25),
            run_of("bio2zarr", 37.5),
        ],
        "failed": {"hail": "no <wheel> | for this machine"},
    }


def cells(page: str) -> dict[str, list[str]]:
    """First cell → the others, of all tables of a page; all rows of a table are equally long."""
    tables = re.findall(r"(?:^\|.*\|$\n?)+", page, re.MULTILINE)
    rows = [[[c.strip() for c in line[1:-1].split(" | ")] for line in t.splitlines()] for t in tables]
    assert all(len({len(row) for row in table}) == 1 for table in rows)
    return {row[0]: row[1:] for table in rows for row in table}


def test_the_table_says_what_was_measured_and_what_not(result: dict[str, Any]) -> None:
    found = cells(load("report").markdown(result, "picture.svg"))
    assert found["kgp"][1:7] == ["2.50", "2.00–3.00", "12.5", "20.0", "", ""]
    assert found["plink2"][1:] == ["1.25", "1.25–1.25", "12.5", "20.0", "0.5 ×", "kgp within 2 ×", "yes"]
    assert found["bio2zarr"][1:] == [
        "37.50",
        "37.50–37.50",
        "12.5",
        "20.0",
        "15.0 ×",
        "kgp ≥ 15 × faster",
        "yes",
    ]
    # 50,000 × 2,504 genotypes at 6.17 million a second
    assert found["Glow"][1:] == [
        "20.29", "recorded, not measured", "", "", "8.1 ×", "kgp ≥ 10 × faster", "**no**",
    ]  # fmt: skip
    assert found["Hail"][1:] == [
        "not measured",
        "no <wheel> / for this machine",
        "",
        "",
        "",
        "kgp ≥ 5 × faster",
        "",
    ]
    assert found["bcftools"][1:3] == ["not measured", "it was left out of this run"]


def test_own_targets_are_judged_at_their_edges(result: dict[str, Any]) -> None:
    found = cells(load("report").markdown(result, "picture.svg"))
    assert found["size of `variants` on disk ÷ the bgzipped VCF"] == ["1.00 (20.0 MB)", "≤ 1.0", "yes"]
    assert found["peak memory of a task, 50,000 rows"] == ["1,024 MiB", "≤ 1,024 MiB", "yes"]
    assert found["peak memory of a task, 100,000 rows"] == ["1,024 MiB", "≤ 1,024 MiB", "**no**"]
    assert found["1 → 2 cores (`local[1]` → `local[2]`)"] == ["1.80 × (4.50 s → 2.50 s)", "≥ 1.8 ×", "yes"]
    assert found["twice the rows"] == ["2.05 × (5.12 s)", "≤ 2.05 × the time", "yes"]
    result["runs"] = [run for run in result["runs"] if run["case"] == "plink2"]
    found = cells(load("report").markdown(result, "picture.svg"))
    assert found["twice the rows"] == ["not measured", "≤ 2.05 × the time", ""]
    assert found["plink2"][-3:] == ["", "kgp within 2 ×", ""]


def test_the_picture_is_well_formed_and_its_bars_are_to_scale(result: dict[str, Any]) -> None:
    root = ElementTree.fromstring(load("report").svg(result))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    bars = [float(bar.attrib["width"]) for bar in root.iter(f"{SVG}rect")][1:]
    assert [t for t in texts if t in ("plink2", "kgp", "Glow", "bio2zarr", "Hail", "bcftools")] == [
        "plink2", "kgp", "Glow", "bio2zarr", "bcftools", "Hail",
    ]  # fmt: skip
    assert np.allclose(np.array(bars) / bars[0], np.array([1.25, 2.5, 20.292, 37.5]) / 1.25, rtol=0.01)
    assert texts.count("not measured") == 2
    assert "recorded, not measured" in texts
    right = float(root.attrib["viewBox"].split()[2])
    assert all(float(text.attrib["x"]) < right - 50 for text in root.iter(f"{SVG}text"))


# ------------------------------------------------------------------------------------------------- the running


def test_a_runner_is_called_as_it_expects_and_its_failure_has_a_reason(tmp_path: Path) -> None:
    bench = load("bench")
    runner = tmp_path / "runner.py"
    runner.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(PLACE / 'peers')!r})\n"
        "from timing import arguments, measure, size, tell\n"
        "given = arguments('a runner').parse_args()\n"
        "if given.vcf.name == 'bad': sys.exit('it is bad')\n"
        "seen = []\n"
        "def run(work):\n"
        "    seen.append(sorted(p.name for p in work.iterdir()))\n"
        "    (work / 'out').write_text('1234')\n"
        "print('noise')\n"
        "tell(**measure(run, given.work, given.runs), rows=1, bytes=size(given.work), seen=seen)\n"
    )
    case = bench.Case("kgp-twice", (sys.executable, str(runner)), runs=3)
    told = bench.run_case(case, Path("good"), tmp_path / "work", [0, 0])
    assert (told["rows"], told["bytes"], told["seen"]) == (1, 4, [[], [], []])
    assert len(told["seconds"]) == 3
    assert told["cold_seconds"] > told["seconds"][0]
    assert case.tool == "kgp"
    assert not (tmp_path / "work").exists()
    with pytest.raises(RuntimeError, match=r"^it is bad$"):
        bench.run_case(case, Path("bad"), tmp_path / "work", [0, 0])
    with pytest.raises(RuntimeError, match="no-such-python"):
        bench.run_case(bench.Case("hail", ("no-such-python",)), Path("good"), tmp_path / "work", [0, 0])


def test_a_runner_that_hangs_is_ended_with_all_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = load("bench")
    runner = tmp_path / "runner.py"
    runner.write_text(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    monkeypatch.setattr(bench, "PROCESS_LIMIT", 2)
    with pytest.raises(RuntimeError, match="it had not ended after 2 s"):
        bench.run_case(bench.Case("hail", (sys.executable, str(runner))), Path("any"), tmp_path / "w", [0, 0])
    child = Path("/proc") / (tmp_path / "child").read_text() / "stat"

    def has_ended() -> bool:  # gone, or a zombie that nobody has waited for yet
        try:
            return child.read_text().rpartition(")")[2].split()[0] in "ZX"
        except OSError:
            return True

    for _ in range(100):
        if has_ended():
            break
        time.sleep(0.1)
    assert has_ended()


def test_each_peer_of_the_report_has_a_runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bench, report = load("bench"), load("report")
    monkeypatch.setenv("KGP_GLOW_JAR", "glow.jar")
    cases = bench.list_cases(tmp_path)
    assert {case.tool for case in cases} == {"kgp", *(peer.case for peer in report.PEERS)}
    assert all(Path(case.command[1]).is_file() for case in cases)
    monkeypatch.delenv("KGP_GLOW_JAR")
    assert "glow" not in {case.tool for case in bench.list_cases(tmp_path)}


def test_a_committed_report_is_that_of_its_recorded_runs() -> None:
    docs = ROOT / "docs"
    recorded = docs / "benchmarks" / "vcf-load.json"
    written = {"BENCHMARKS.md", "benchmarks/vcf-load.svg"}
    there = {name for name in written if (docs / name).is_file()}
    assert there == (written if recorded.is_file() else set())
    if there:
        report, result = load("report"), json.loads(recorded.read_text(encoding="utf-8"))
        page = (docs / "BENCHMARKS.md").read_text(encoding="utf-8")
        assert page == report.markdown(result, "benchmarks/vcf-load.svg")
        assert (docs / "benchmarks" / "vcf-load.svg").read_text(encoding="utf-8") == report.svg(result)


# --------------------------------------------------------------------------------------- the page of eQTL benchmarks


@pytest.fixture
def eqtl() -> dict[str, dict[str, Any]]:
    """Recorded parts in which every target is just met, but that of the nominal pass; the subset is a tie."""

    def part(**more: Any) -> dict[str, Any]:
        facts = {"measured_at": "2026-01-02T03:04+00:00", "load": 0.25, "runs": 3, "failed": {}}
        return {**facts, "machine": {"processor": "A | B"}, "versions": {"kgp": "0.1"}, **more}

    def seconds(*wall: float, processor: float) -> dict[str, list[float]]:
        return {"wall": list(wall), "processor": [processor]}

    answers = {"genes compared": 60, "correlation of p_beta": 0.99912, "other best variants (ties)": 2}
    people = {"kgp, without Spark": [1.0], "kgp, Spark tasks": [3.0], "bcftools": [1.5], "plink2": [1.0]}
    return {
        "mapping": part(
            samples=358, genes=608, variants=85_485, pairs=2_742_112, covariates=53, permutations=1000,
            **{"wide pairs": 13_549_605},
            failed={"tensorQTL": "it is not here"},
            kgp={
                "1": {
                    "permute": seconds(18.0, 99.0, 17.0, processor=19.0),
                    "permute, fastqtl": seconds(20.0, processor=20.0),
                    "nominal": seconds(3.0, processor=2.0),
                    "nominal, Spark tasks": seconds(3.0, processor=2.0),
                    "nominal, wide": seconds(30.0, processor=30.0),
                },
                "2": {
                    "permute": seconds(9.0, 55.0, 17.0, processor=20.0),
                    "nominal, Spark tasks": seconds(1.5, processor=2.0),
                    "nominal, wide": seconds(20.0, processor=40.0),
                },
            },
            QTLtools={
                "permute": {"wall": [200.0], "processor": [190.0]},
                "nominal": {"wall": [6.0], "processor": [3.9]},
                "share of pairs": 0.0984,
                "answers": {**answers, "pairs": 2_742_112, "greatest difference of log10 p": 1.02e-5},
            },
            rate={"gflop": 1200.0, "peak": [90.0, 100.0, 95.0], "pass": [16.0, 15.0, 17.0], "job": [20.0]},
        ),
        "matrices": part(
            cores=2, samples=2504, rows=50_000,
            people={
                "2504": {"variants": 4000, "seconds": {**people, "script": [0.6]}},
                "450": {"variants": 5000, "seconds": {**people, "script": [9.0]}},
            },
        ),
        "subset": part(
            rows=50_000, samples=280, of=2504, cores=2, versions={"kgp": "0.2"},
            seconds={"kgp": [1.0, 9.0, 2.0], "bcftools": [4.0, 2.0, 1.0]},
        ),
    }  # fmt: skip


def test_targets_of_eqtls_are_judged_at_their_edges_by_medians_and_the_worse_clock(
    eqtl: dict[str, Any],
) -> None:
    found = cells(load("eqtl_page").markdown(eqtl, "picture.svg"))
    judged = {what[:35]: row[:3] for what, row in found.items() if len(row) == 4}
    assert judged == {
        "permutations of all genes, beta fit": ["≥ 10 ×", "10.00 ×", "yes"],
        "the same against tensorQTL on the p": ["≥ 3 ×", "not measured", ""],
        "nominal pass against QTLtools, outp": ["≥ 2 ×", "1.95 ×", "**NO**"],
        "floating-point rate of the permutat": ["≥ 75%", "75.0%", "yes"],
        "genotypes of a contig for matrices,": ["> 1 ×", "1.03 ×", "yes"],
        "sample subset of a full callset, a ": ["> 1 ×", "1.00 ×", "**NO**"],
        "permutation pass on two cores again": ["≥ 1.8 ×", "1.80 ×", "yes"],
        "nominal pass of 5 Mb windows on two": ["≥ 1.8 ×", "1.50 ×", "**NO**"],
        "nominal pass of 1 Mb windows on two": ["≥ 1.8 ×", "2.00 ×", "yes"],
    }
    assert found["the same against tensorQTL on the processor, a core"][3] == "it is not here"
    figures = found["permutations of all genes, beta fits included, against QTLtools, a core"][3]
    assert figures == (
        "wall clock 18.0 s, QTLtools 200.0 s: 11.11 ×; processor time 19.0 s, QTLtools 190.0 s: 10.00 ×"
    )
    rate = found["floating-point rate of the permutation pass, of the machine's sgemm peak"][3]
    assert rate == ("pass 75.0 of 100.0 GFLOP/s, 75.0%; whole job 60.0 GFLOP/s, 60.0%; 1.20 TFLOP executed")
    assert found["kgp"] == ["0.1; 0.2"]


def test_the_page_of_eqtls_says_what_is_missing_and_what_was_equal(eqtl: dict[str, Any]) -> None:
    markdown = load("eqtl_page").markdown
    page = markdown(eqtl, "picture.svg")
    assert "5 of 9 targets are met, 8 were measured." in page
    assert "log10 p differs by 1.0e-05 at most." in page
    assert "(2 times another one, as good); beta p's correlate with 0.99912." in page
    assert "1,000 permutations." in page
    eqtl["mapping"]["permutations"] = 100
    assert "100 permutations: the targets are for 1,000." in markdown(eqtl, "picture.svg")
    facts = {key: eqtl["mapping"][key] for key in ("measured_at", "load", "runs", "machine", "versions")}
    alone = markdown({"mapping": {**facts, "failed": {"mapping": "no set | here"}}}, "picture.svg")
    reasons = [row[3] for row in cells(alone).values() if len(row) == 4 and row[1] == "not measured"]
    assert reasons.count("no set / here") == 7
    assert reasons.count("it was left out of this run") == 2
    assert "0 of 9 targets are met, 0 were measured." in alone


def test_the_picture_of_eqtls_has_bars_in_parts_of_their_targets(eqtl: dict[str, Any]) -> None:
    root = ElementTree.fromstring(load("eqtl_page").svg(eqtl))
    bars = [float(bar.attrib["width"]) for bar in root.iter(f"{SVG}rect")][1:]
    left = float(list(root.iter(f"{SVG}rect"))[1].attrib["x"])
    (line,) = root.iter(f"{SVG}line")
    expected = np.array([1.0, 0.975, 1.0, 3.1 / 3, 1.0, 1.0, 1.5 / 1.8, 2 / 1.8])
    assert np.allclose(np.array(bars) / (float(line.attrib["x1"]) - left), expected, rtol=0.002)
    assert [text.text for text in root.iter(f"{SVG}text")].count("not measured") == 1
    colours = [bar.attrib["fill"] for bar in root.iter(f"{SVG}rect")][1:]
    assert [i for i, colour in enumerate(colours) if colour != colours[0]] == [1, 4, 6]


def test_a_part_that_is_measured_anew_leaves_the_others(eqtl: dict[str, Any], tmp_path: Path) -> None:
    part = load("eqtl_part")
    for name in ("subset", "mapping", "matrices"):
        part.write_part(tmp_path, name, eqtl[name])
    place = tmp_path / "benchmarks"
    assert json.loads((place / "eqtl.json").read_text()) == eqtl
    assert list(json.loads((place / "eqtl.json").read_text())) == ["mapping", "matrices", "subset"]
    part.write_part(tmp_path, "subset", {**eqtl["subset"], "rows": 7})
    assert "the same 7 lines" in (place / "eqtl.md").read_text()
    assert "2,742,112 pairs" in (place / "eqtl.md").read_text()
    begun = part.begin_part(3, "python3", "no-such-program")
    assert set(begun) == {"measured_at", "load", "machine", "versions", "runs", "failed"}
    assert re.fullmatch(r"Python 3\.[0-9.]+", begun["versions"]["python3"])
    assert "no-such-program" not in begun["versions"]


def test_the_processor_s_seconds_are_those_of_children_too_ended_or_not() -> None:
    jobs = load("map_jobs")
    burn = "import time\nwhile time.process_time() < 0.5: pass\n"
    before = jobs.read_processor_seconds()
    subprocess.run([sys.executable, "-c", burn], check=True)
    ended = jobs.read_processor_seconds()
    assert 0.45 < ended - before < 2.0
    waits = [sys.executable, "-u", "-c", burn + "print(1)\ntime.sleep(60)"]
    with subprocess.Popen(waits, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert 0.45 < jobs.read_processor_seconds() - ended < 2.0
        child.kill()


def test_what_the_permutation_pass_multiplies_is_what_it_has_done() -> None:
    """The stopwatch's count, of a pass with equal genotypes and a constant one, against shapes of real products."""
    from kgp.eqtl import permutation
    from kgp.eqtl.design import make_design
    from kgp.eqtl.distinct import find_distinct

    rng = np.random.default_rng(3)
    genotypes = rng.integers(0, 3, (40, 30)).astype(np.int8)
    genotypes[7], genotypes[9], genotypes[11] = genotypes[3], 2 - genotypes[3], 1
    design = make_design(np.empty((30, 0)), "qtltools")
    phenotypes = permutation.prepare_permuted(rng.normal(size=(2, 30)), design)
    watch = load("permutation").Stopwatch(permutation._find_best_permuted)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(permutation, "_find_best_permuted", watch)
        found = list(
            permutation.map_permutations(
                phenotypes,
                find_distinct(genotypes, design),
                np.array([[0, 40], [0, 12]]),
                [np.arange(40), np.arange(12)],
                permutation.draw_permutations(30, 20, seed=1),
                design,
            )
        )
    distinct = [37, 9]  # two are the same as the fourth, one is constant
    assert [one.n_vectors for one in found] == distinct
    assert watch.flop == sum(2 * n * 20 * 30 for n in distinct)
    assert watch.seconds > 0


def test_a_committed_page_of_eqtls_is_that_of_its_recorded_runs() -> None:
    place = ROOT / "docs" / "benchmarks"
    there = {path.name for path in place.glob("eqtl.*")}
    assert there in (set(), {"eqtl.json", "eqtl.md", "eqtl.svg"})
    if there:
        page, record = load("eqtl_page"), json.loads((place / "eqtl.json").read_text(encoding="utf-8"))
        assert (place / "eqtl.md").read_text(encoding="utf-8") == page.markdown(record, "eqtl.svg")
        assert (place / "eqtl.svg").read_text(encoding="utf-8") == page.svg(record)
