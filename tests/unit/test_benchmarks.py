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
