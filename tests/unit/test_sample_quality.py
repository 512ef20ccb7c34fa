"""Quality of people's genotypes against plink2 on the bundled slice, and against recorded tables of plink 1.9."""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kgp.eqtl.sample_quality import (
    CallCounts,
    HeterozygosityCounts,
    code_hemizygous,
    infer_sexes,
    role_of,
)
from kgp.errors import InputError, UsageError
from kgp.genome import GRCH37, GRCH38, NCBI36

DOSAGES = arrays(
    np.int8, st.tuples(st.integers(1, 30), st.integers(1, 9)), elements=st.sampled_from([-1, 0, 1, 2])
)


@pytest.fixture(scope="module")
def holed_vcf(bundled: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """8,000 variants of the slice with missing genotypes and variants that do not vary, as VCF and as dosages."""
    rng = np.random.default_rng(3)
    path = tmp_path_factory.mktemp("holed") / "holed.vcf"
    rows = []
    with gzip.open(bundled / "genotypes.chr22.vcf.gz", "rt") as lines, path.open("w") as written:
        for line in lines:
            if line.startswith("#"):
                written.write(line)
                continue
            fields = line.rstrip("\n").split("\t")
            calls = np.array([int(call[0]) + int(call[2]) for call in fields[9:]], dtype=np.int8)
            calls[rng.random(len(calls)) < 0.02] = -1
            if len(rows) % 40 == 0:
                calls = np.where(calls < 0, np.int8(-1), np.int8(len(rows) % 3))
            rows.append(calls)
            texts = [("0/0", "0/1", "1/1", "./.")[copies] for copies in calls]
            written.write("\t".join([*fields[:2], f"v{len(rows)}", *fields[3:9], *texts]) + "\n")
            if len(rows) == 8_000:
                break
    return path, np.array(rows)


def run_plink2(plink2: Path, vcf: Path, prefix: Path, *options: str) -> None:
    subprocess.run(
        [plink2, "--vcf", vcf, *options, "--out", prefix, "--threads", "1"], check=True, capture_output=True
    )


def test_plink2_prints_the_same_heterozygosity(
    holed_vcf: tuple[Path, np.ndarray], require_tool: Callable[[str], Path], tmp_path: Path
) -> None:
    vcf, dosages = holed_vcf
    run_plink2(require_tool("plink2"), vcf, tmp_path / "out", "--het")
    theirs = np.loadtxt(tmp_path / "out.het", usecols=(1, 2, 3, 4))
    ours = HeterozygosityCounts.of(dosages.shape[1])
    ours.add(dosages)
    np.testing.assert_array_equal(ours.observed_hom, theirs[:, 0])
    np.testing.assert_allclose(ours.expected_hom, theirs[:, 1], rtol=5.1e-6)
    np.testing.assert_array_equal(ours.n_called, theirs[:, 2])
    np.testing.assert_allclose(ours.f, theirs[:, 3], rtol=5.1e-6)
    # Every 40th variant is made 0, 1 and 2 copies in everybody, in turn; one copy in everybody is two alleles.
    n_flat = sum(at % 3 != 1 for at in range(0, 8_000, 40))
    assert (ours.n_variants, ours.n_monomorphic) == (8_000 - n_flat, n_flat)


def test_plink2_counts_the_same_missing_genotypes(
    holed_vcf: tuple[Path, np.ndarray], require_tool: Callable[[str], Path], tmp_path: Path
) -> None:
    vcf, dosages = holed_vcf
    run_plink2(require_tool("plink2"), vcf, tmp_path / "out", "--missing", "sample-only")
    lines = (tmp_path / "out.smiss").read_text().splitlines()
    header = lines[0].removeprefix("#").split()
    theirs = {name: [float(line.split()[at]) for line in lines[1:]] for at, name in enumerate(header) if at}
    ours = CallCounts.of(dosages.shape[1])
    ours.add(dosages)
    assert theirs["OBS_CT"] == [ours.n_variants] * len(ours.n_called)
    np.testing.assert_array_equal(ours.n_variants - ours.n_called, theirs["MISSING_CT"])
    np.testing.assert_allclose(1.0 - ours.call_rate, theirs["F_MISS"], rtol=5.1e-6)


@pytest.mark.parametrize("case", ["stated", "unstated"])
def test_plink19_finds_the_same_f_and_sexes_on_x(case: str, root: Path) -> None:
    place = root / "tests" / "data" / "oracles" / "genotypes"
    texts = (place / "x.genotypes.txt").read_text().split()
    dosages = np.array([[".012".index(letter) - 1 for letter in text] for text in texts], dtype=np.int8)
    sexes = [line.split()[1] for line in (place / "x.people.txt").read_text().splitlines()]
    rows = [line.split() for line in (place / f"x.{case}.sexcheck").read_text().splitlines()[1:]]
    counts = HeterozygosityCounts.of(len(sexes))
    counts.add(dosages, np.array([sex == "1" for sex in sexes]) if case == "stated" else None)
    assert counts.n_variants == {"stated": 146, "unstated": 147}[case]
    np.testing.assert_allclose(
        counts.f, [float(row[5]) for row in rows], rtol=5.1e-4
    )  # it prints four digits
    found = infer_sexes(counts.f)
    assert found == [{"0": None, "1": "male", "2": "female"}[row[3]] for row in rows]
    assert {None, "male", "female"} == set(found)
    assert np.isnan(counts.f[7])
    assert found[7] is None


def test_haploid_genotypes_count_as_two_equal_copies() -> None:
    dosages = np.array([[1, 1, -1, 0], [0, 2, 1, 1]], dtype=np.int8)
    assert code_hemizygous(dosages, np.array([True, False, True, False])).tolist() == [
        [2, 1, -1, 0],
        [0, 2, 2, 1],
    ]
    one_by_one = np.array([[True, True, False, False], [False, False, False, True]])
    assert code_hemizygous(dosages, one_by_one).tolist() == [[2, 2, -1, 0], [0, 2, 1, 2]]


def test_what_a_variant_tells_of_depends_on_its_place() -> None:
    assert [role_of("X", start, GRCH37) for start in (59_999, 60_000, 2_699_519, 2_699_520)] == [
        "x", None, None, "x",
    ]  # fmt: skip
    assert [role_of("chrX", start, GRCH38) for start in (10_000, 2_781_479, 155_701_382)] == [None, "x", None]
    assert [role_of(contig, 5_000_000, NCBI36) for contig in ("1", "23", "Y", "MT", "HLA-A")] == [
        "autosome", "x", None, None, None,
    ]  # fmt: skip


@given(DOSAGES, st.lists(st.integers(0, 30), max_size=4), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_parts_in_any_order_are_the_whole(dosages: np.ndarray, cuts: list[int], random: object) -> None:
    n = dosages.shape[1]
    has_one = np.arange(n) % 3 == 0
    whole, whole_calls = HeterozygosityCounts.of(n), CallCounts.of(n)
    whole.add(dosages, has_one)
    whole_calls.add(dosages)
    parts = np.split(dosages, sorted(min(cut, len(dosages)) for cut in cuts))
    random.shuffle(parts)  # type: ignore[attr-defined]
    merged, merged_calls = HeterozygosityCounts.of(n), CallCounts.of(n)
    for part in parts:
        counts, calls = HeterozygosityCounts.of(n), CallCounts.of(n)
        counts.add(part, has_one)
        calls.add(part)
        merged.merge(counts)
        merged_calls.merge(calls)
    for name in ("n_het", "n_called", "expected_units", "n_variants", "n_monomorphic"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))
    np.testing.assert_array_equal(merged_calls.n_called, whole_calls.n_called)
    np.testing.assert_array_equal(merged_calls.call_rate, whole_calls.call_rate)


@given(DOSAGES, st.booleans(), st.integers(0, 99))
@settings(deadline=None)
def test_the_formula_and_the_order_of_people(dosages: np.ndarray, is_x: bool, seed: int) -> None:
    n = dosages.shape[1]
    has_one = np.arange(n) % 2 == 1 if is_x else np.zeros(n, dtype=bool)
    expected, n_het, n_called = np.zeros(n), np.zeros(n), np.zeros(n)
    for row in dosages.tolist():
        alleles: list[int] = []
        for copies, one in zip(row, has_one, strict=True):
            if copies >= 0 and not (one and copies == 1):
                alleles += [copies // 2] if one else [copies > 0, copies > 1]
        if 0 < sum(alleles) < len(alleles):
            p = sum(alleles) / len(alleles)
            for i, copies in enumerate(row):
                if copies >= 0:
                    expected[i] += 2 * p * (1 - p)
                    n_called[i] += 1
                    n_het[i] += copies == 1
    order = np.random.default_rng(seed).permutation(n)
    found = HeterozygosityCounts.of(n)
    found.add(dosages[:, order], has_one[order] if is_x else None)
    np.testing.assert_allclose(found.expected_het, expected[order], atol=1e-9)
    np.testing.assert_array_equal(found.observed_hom, (n_called - n_het)[order])
    is_known = expected[order] > 0
    f = (1 - n_het / np.where(expected > 0, expected, np.nan))[order]
    np.testing.assert_allclose(found.f[is_known], f[is_known], rtol=1e-9, atol=1e-9)
    assert np.isnan(found.f[~is_known]).all()


def test_nothing_counted_has_no_rate() -> None:
    assert np.isnan(CallCounts.of(2).call_rate).all()
    assert np.isnan(HeterozygosityCounts.of(2).f).all()


def test_another_number_of_people_is_refused() -> None:
    message = r"sample quality: Genotypes of 2 people cannot be added to those of 3\."
    for kind in (CallCounts, HeterozygosityCounts):
        with pytest.raises(InputError, match=message):
            kind.of(3).add(np.zeros((1, 2), dtype=np.int8))
    with pytest.raises(InputError, match=message):
        CallCounts.of(3).merge(CallCounts.of(2))
    with pytest.raises(InputError, match=message):
        HeterozygosityCounts.of(3).merge(HeterozygosityCounts.of(2))


def test_polyploid_genotypes_are_refused() -> None:
    with pytest.raises(InputError, match=r"A genotype has 4 copies of the ALT: heterozygosity needs diploid"):
        HeterozygosityCounts.of(1).add(np.array([[4]], dtype=np.int8))


def test_thresholds_that_overlap_are_refused() -> None:
    with pytest.raises(
        UsageError, match=r"an F of X between 0\.5 and 0\.7 would be both male and female\. Take 0\.2"
    ):
        infer_sexes(np.array([0.6]), max_female_f=0.7, min_male_f=0.5)
