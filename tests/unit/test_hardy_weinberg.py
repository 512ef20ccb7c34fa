"""The exact test against whole-number arithmetic, bcftools and plink2."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kgp.transforms import hardy_weinberg
from kgp.transforms.hardy_weinberg import exact_p

CLOSE = Fraction(1, 10**9)


@cache
def weights(n: int, m: int) -> dict[int, int]:
    """How many ways there are to have each number of heterozygotes, by whole-number arithmetic."""
    ways = {}
    for h in range(m % 2, min(m, 2 * n - m) + 1, 2):
        homozygous = (m - h) // 2
        ways[h] = math.comb(n, h) * math.comb(n - h, homozygous) * 2**h
    assert sum(ways.values()) == math.comb(2 * n, m)
    return ways


def rational_p(hom_ref: int, het: int, hom_alt: int) -> Fraction:
    """p without any rounding."""
    n, m = hom_ref + het + hom_alt, 2 * hom_alt + het
    ways = weights(n, m)
    return Fraction(sum(w for w in ways.values() if w <= ways[het]), math.comb(2 * n, m))


def assert_close(found: float, exact: Fraction, what: object) -> None:
    assert abs(Fraction(float(found)) - exact) <= CLOSE * exact, (what, found, float(exact))


def test_every_small_table_of_genotypes():
    tables = [(a, h, n - a - h) for n in range(1, 31) for a in range(n + 1) for h in range(n + 1 - a)]
    found = exact_p(*np.array(tables).T)
    for table, p in zip(tables, found, strict=True):
        assert_close(p, rational_p(*table), table)


@given(st.tuples(*[st.integers(0, 400)] * 3).filter(any))
@example((0, 1, 0))
@example((400, 0, 400))
@example((0, 400, 0))
def test_any_table_is_within_a_billionth_and_symmetric(table):
    hom_ref, het, hom_alt = table
    p, mirrored = exact_p([hom_ref, hom_alt], [het, het], [hom_alt, hom_ref])
    assert p == mirrored
    assert_close(p, rational_p(*table), table)


@pytest.mark.parametrize("n", [2504, 3202])
@pytest.mark.parametrize("m", [1, 2, 3, 77, 500, 1251, 2000, 2503, 2504])
def test_every_heterozygote_count_of_a_release(n, m):
    ways = weights(n, m)
    total = math.comb(2 * n, m)
    ascending = sorted(ways.values())
    below, running = {}, 0
    for w in ascending:  # equal ones overwrite, so that ties count for both
        running += w
        below[w] = running
    het = np.array(list(ways))
    found = exact_p(n - (m + het) // 2, het, (m - het) // 2)
    smallest = 1.0
    for h, p in zip(het.tolist(), found, strict=True):
        exact = Fraction(below[ways[h]], total)
        if exact >= Fraction(1, 10**300):
            assert_close(p, exact, (n, m, h))
            smallest = min(smallest, p)
        else:
            assert p <= 1.1e-300
    assert m < 500 or smallest < 1e-200


def test_ties_count_on_both_sides():
    ties = [
        (n, m, h, g)
        for n in range(2, 60)
        for m in range(2, n + 1)
        for h, w in weights(n, m).items()
        for g, v in weights(n, m).items()
        if h < g and w == v
    ]
    assert len(ties) > 20
    for n, m, h, g in ties:
        one, other = exact_p([n - (m + h) // 2, n - (m + g) // 2], [h, g], [(m - h) // 2, (m - g) // 2])
        assert_close(one, rational_p(n - (m + h) // 2, h, (m - h) // 2), (n, m, h))
        assert one == pytest.approx(other, rel=1e-12)


def test_nothing_called_is_nan_and_one_allele_is_one():
    found = exact_p([0, 7, 0, 1], [0, 0, 0, 0], [0, 0, 9, 0])
    assert np.isnan(found[0])
    assert found[1:].tolist() == [1.0, 1.0, 1.0]
    assert exact_p([], [], []).size == 0


def test_the_shape_is_kept():
    assert exact_p(5, 0, 5).shape == ()
    matrix = exact_p([[5, 0], [1469, 1]], [[0, 0], [138, 0]], [[5, 0], [5, 0]])
    assert_close(matrix[0, 0], rational_p(5, 0, 5), "first")
    assert_close(matrix[1, 0], rational_p(1469, 138, 5), "second")
    assert np.isnan(matrix[0, 1])
    assert matrix[1, 1] == 1


def spectrum(n_rows: int, n: int, seed: int) -> np.ndarray:
    """Genotype counts of variants with frequencies ∝ 1/x; 3 × variants."""
    rng = np.random.default_rng(seed)
    copies = np.arange(1, 2 * n)
    f = rng.choice(copies, p=(1 / copies) / (1 / copies).sum(), size=n_rows) / (2 * n)
    return rng.multinomial(n, np.column_stack([(1 - f) ** 2, 2 * f * (1 - f), f * f])).T


def test_what_is_kept_from_call_to_call_changes_nothing(monkeypatch):
    counts = spectrum(600, 300, seed=3)
    counts[0] -= np.random.default_rng(4).integers(0, 40, 600).clip(max=counts[0])
    whole = exact_p(*counts)
    for capacity in (1, 500, 5_000):  # nothing, something, nearly all fits
        monkeypatch.setattr(hardy_weinberg, "_CAPACITY", capacity)
        monkeypatch.setattr(hardy_weinberg, "_KEPT", hardy_weinberg._Distributions())
        parts = [exact_p(*counts[:, first : first + 57]) for first in range(0, 600, 57)]
        assert np.array_equal(np.concatenate(parts), whole, equal_nan=True)
        assert np.array_equal(exact_p(*counts), whole, equal_nan=True)


def test_fifty_thousand_variants_of_a_release_in_one_go(monkeypatch):
    counts = spectrum(50_000, 2504, seed=1)
    seconds = []
    for _ in range(5):
        monkeypatch.setattr(hardy_weinberg, "_KEPT", hardy_weinberg._Distributions())
        began = time.process_time()
        found = exact_p(*counts)
        seconds.append(time.process_time() - began)
    # 0.04 s on an idle core; the margin is for machines that do other work beside.
    assert min(seconds) < 0.15
    for row in range(0, 50_000, 2500):
        assert_close(found[row], rational_p(*counts[:, row].tolist()), counts[:, row])


def test_as_bcftools_and_plink2_print_it(bundled: Path, require_tool: Callable[[str], Path], tmp_path: Path):
    vcf, split = bundled / "genotypes.chr22.vcf.gz", tmp_path / "split.vcf.gz"
    bcftools, plink2 = require_tool("bcftools"), require_tool("plink2")
    command = (
        f"'{bcftools}' norm -m- '{vcf}' 2> '{tmp_path}/log'"
        f" | '{bcftools}' +fill-tags -- -t HWE,AC,AN,AC_Het,AC_Hom | '{bcftools}' view -Oz -o '{split}'"
    )
    subprocess.run(command, shell=True, check=True)
    query = [bcftools, "query", "-f", r"%INFO/AN\t%INFO/AC_Het\t%INFO/AC_Hom\t%INFO/HWE\n", split]
    printed = subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.split("\t") for line in printed]
    an, n_het, ac_hom = np.array([[int(x) for x in row[:3]] for row in rows]).T
    found = exact_p(an // 2 - n_het - ac_hom // 2, n_het, ac_hom // 2)
    assert len(rows) > 50_000

    # bcftools keeps INFO as 32-bit floats: six digits, and nothing below 1.4e-45.
    by_bcftools = np.array([float(row[3]) for row in rows])
    np.testing.assert_allclose(found, by_bcftools, rtol=6e-6, atol=1.4e-45)

    without_midp = ["--hardy", "cols=chrom,pos,ref,alt,gcounts,p"]
    run = [
        plink2,
        "--vcf",
        split,
        *without_midp,
        "--threads",
        "1",
        "--memory",
        "640",
        "--out",
        tmp_path / "plink",
    ]
    subprocess.run(run, check=True, capture_output=True)
    by_plink2 = np.loadtxt(tmp_path / "plink.hardy", usecols=-1)
    assert found.min() < 1e-100
    np.testing.assert_allclose(found, by_plink2, rtol=6e-6)
