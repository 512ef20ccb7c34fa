"""KING-robust kinship against plink2: the bundled slice, planted relatives, and missing genotypes."""

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

from kgp.eqtl import kinship
from kgp.eqtl.kinship import KingCounts, KinshipTable, degree_of, relatives
from kgp.errors import InputError
from kgp.transforms.unrelated import find_largest_unrelated

DOSAGES = arrays(
    np.int8, st.tuples(st.integers(0, 30), st.integers(1, 9)), elements=st.sampled_from([-1, 0, 1, 2])
)

# Who is planted, of whom: people 0 to 5 of the slice are founders.
PLANTED = (
    "child of 0 and 1",
    "sibling of it",
    "copy of 2",
    "child of 3 and 4",
    "grandchild: child of that and 5",
)


@pytest.fixture(scope="module")
def haplotypes(bundled: Path) -> np.ndarray:
    """Alleles of the bundled slice: 2 × variants × 358."""
    rows = []
    with gzip.open(bundled / "genotypes.chr22.vcf.gz", "rb") as lines:
        for line in lines:
            if not line.startswith(b"#"):
                texts = np.frombuffer(line.rstrip().split(b"\t", 9)[9] + b"\t", np.uint8).reshape(-1, 4)
                rows.append(texts[:, [0, 2]] - 48)
    return np.array(rows, dtype=np.int8).transpose(2, 0, 1)


def make_child(father: np.ndarray, mother: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Alleles of a child, 2 × variants: every variant from a parent's haplotype that is drawn on its own."""
    at = np.arange(father.shape[1])
    return np.array([parent[rng.integers(0, 2, len(at)), at] for parent in (father, mother)])


def plant(haplotypes: np.ndarray) -> np.ndarray:
    """Dosages of the slice's people and after them of the planted ones."""
    rng = np.random.default_rng(11)
    founder = [haplotypes[:, :, i] for i in range(6)]
    child, sibling, other = (make_child(founder[a], founder[b], rng) for a, b in ((0, 1), (0, 1), (3, 4)))
    planted = [child, sibling, founder[2], other, make_child(other, founder[5], rng)]
    return np.column_stack([haplotypes.sum(axis=0), *(alleles.sum(axis=0) for alleles in planted)]).astype(
        np.int8
    )


def king_by_plink2(plink2: Path, prefix: Path, dosages: np.ndarray) -> np.ndarray:
    """Columns of plink2's table: both people, NSNP, HETHET, IBS0, KINSHIP."""
    n = dosages.shape[1]
    codes = np.array([3, 2, 0, 1], dtype=np.uint8)[np.where(dosages < 0, 3, dosages)]
    codes = np.pad(codes, ((0, 0), (0, -n % 4))).reshape(len(dosages), -1, 4)
    packed = codes[:, :, 0] | codes[:, :, 1] << 2 | codes[:, :, 2] << 4 | codes[:, :, 3] << 6
    prefix.with_suffix(".bed").write_bytes(bytes([0x6C, 0x1B, 0x01]) + packed.astype(np.uint8).tobytes())
    rows = (f"22\tv{i}\t0\t{i + 1}\tC\tA\n" for i in range(len(dosages)))
    prefix.with_suffix(".bim").write_text("".join(rows))
    prefix.with_suffix(".fam").write_text("".join(f"0\t{i + 1}\t0\t0\t0\t-9\n" for i in range(n)))
    subprocess.run(
        [plink2, "--bfile", prefix, "--make-king-table", "--out", prefix, "--threads", "1"],
        check=True,
        capture_output=True,
    )
    path = prefix.with_suffix(".kin0")
    header = path.read_text().partition("\n")[0].removeprefix("#").split()
    wanted = [header.index(name) for name in ("IID1", "IID2", "NSNP", "HETHET", "IBS0", "KINSHIP")]
    table = np.loadtxt(path, usecols=wanted)
    table[:, :2] -= 1  # plink2 takes no person named 0
    return table


def check_plink2(plink2: Path, prefix: Path, dosages: np.ndarray) -> KinshipTable:
    counts = KingCounts(dosages.shape[1])
    for block in np.array_split(dosages, 3):
        counts.add(block)
    ours, theirs = counts.table(), king_by_plink2(plink2, prefix, dosages)
    np.testing.assert_array_equal(ours.first, theirs[:, 0])
    np.testing.assert_array_equal(ours.second, theirs[:, 1])
    np.testing.assert_array_equal(ours.n_variants, theirs[:, 2])
    for found, expected in zip((ours.het_het, ours.ibs0, ours.kinship), theirs[:, 3:].T, strict=True):
        np.testing.assert_allclose(found, expected, rtol=5.1e-6)  # it prints six digits
    return ours


def test_plink2_prints_the_same_kinship_and_finds_the_planted_relatives(
    haplotypes: np.ndarray, require_tool: Callable[[str], Path], tmp_path: Path
) -> None:
    dosages = plant(haplotypes)
    table = check_plink2(require_tool("plink2"), tmp_path / "king", dosages)
    assert len(table) == 363 * 362 // 2
    kinship_of = {
        (a, b): k
        for a, b, k in zip(table.first.tolist(), table.second.tolist(), table.kinship.tolist(), strict=True)
    }
    degrees = {
        (358, 0): "first", (358, 1): "first", (359, 0): "first", (359, 358): "first",
        (360, 2): "duplicate", (361, 3): "first", (361, 4): "first", (362, 361): "first", (362, 5): "first",
        (362, 3): "second", (362, 4): "second",
    }  # fmt: skip
    assert {pair: degree_of(kinship_of[pair]) for pair in degrees} == degrees
    found = relatives(table)
    assert {(a, b) for a, b in zip(found.first.tolist(), found.second.tolist(), strict=True)} >= set(degrees)
    assert (np.diff(found.kinship) <= 0).all()
    assert found.kinship[0] == 0.5
    is_parent = (table.first == 358) & (table.second < 2)
    assert (table.ibs0[is_parent] == 0).all()


def test_plink2_prints_the_same_kinship_with_missing_genotypes(
    haplotypes: np.ndarray, require_tool: Callable[[str], Path], tmp_path: Path
) -> None:
    dosages = plant(haplotypes)[::5, -90:].copy()
    rng = np.random.default_rng(12)
    dosages[(rng.random(dosages.shape) < 0.1) & (rng.random((len(dosages), 1)) < 0.7)] = -1
    dosages[3], dosages[4], dosages[5], dosages[6] = 0, 1, 2, -1
    check_plink2(require_tool("plink2"), tmp_path / "king", dosages)


def test_the_largest_unrelated_set_leaves_the_fewest_people_out(haplotypes: np.ndarray) -> None:
    dosages = plant(haplotypes)[:, [*range(6), *range(358, 363)]]
    names = [f"founder {i}" for i in range(6)] + list(PLANTED)
    counts = KingCounts(len(names))
    counts.add(dosages)
    related = relatives(counts.table(), min_kinship=0.0884)
    graph: dict[str, frozenset[str]] = dict.fromkeys(names, frozenset())
    for pair in zip(related.first.tolist(), related.second.tolist(), strict=True):
        for one, other in (pair, pair[::-1]):
            graph[names[one]] |= {names[other]}
    assert graph["copy of 2"] == {"founder 2"}
    assert graph["sibling of it"] == {"founder 0", "founder 1", "child of 0 and 1"}
    left_out = set(names) - find_largest_unrelated(graph)
    assert left_out - {"founder 2", "copy of 2"} == set(PLANTED) - {"copy of 2"}
    assert len(left_out) == 5


def count_plainly(dosages: np.ndarray) -> list[tuple[int, int, int, float, float, float]]:
    rows = []
    with np.errstate(all="ignore"):
        for a in range(dosages.shape[1]):
            for b in range(a):
                x, y = dosages[:, a], dosages[:, b]
                both = (x >= 0) & (y >= 0)
                x, y, n = x[both], y[both], np.float64(both.sum())
                het_x, het_y = (x == 1).sum(), (y == 1).sum()
                het_het, ibs0 = ((x == 1) & (y == 1)).sum(), (np.abs(x - y) == 2).sum()
                unlike = np.float64(4 * ibs0 + het_x + het_y - 2 * het_het)
                rows.append((a, b, int(n), het_het / n, ibs0 / n, 0.5 - unlike / (4 * min(het_x, het_y))))
    return rows


@given(
    DOSAGES, st.lists(st.integers(0, 30), max_size=4), st.randoms(use_true_random=False), st.integers(0, 99)
)
@settings(deadline=None)
def test_parts_merged_in_any_order_with_people_in_any_order_are_counted_as_one_by_one(
    dosages: np.ndarray, cuts: list[int], random: object, seed: int
) -> None:
    n = dosages.shape[1]
    order = np.random.default_rng(seed).permutation(n)
    parts = np.split(dosages[:, order], sorted(min(cut, len(dosages)) for cut in cuts))
    random.shuffle(parts)  # type: ignore[attr-defined]
    merged = KingCounts(n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kinship, "BLOCK_VALUES", 4 * n)
        for part in parts:
            counts = KingCounts(n)
            counts.add(part)
            merged.merge(KingCounts(n, counts.counts, counts.n_variants))
    assert merged.n_variants == len(dosages)
    table, expected = merged.table(), count_plainly(dosages[:, order])
    columns = (table.first, table.second, table.n_variants, table.het_het, table.ibs0, table.kinship)
    np.testing.assert_array_equal(np.array(columns).T, np.array(expected).reshape(-1, 6))
    whole = KingCounts(n)
    whole.add(dosages)
    np.testing.assert_array_equal(merged.counts, whole.counts[:, order][:, :, order])


def test_a_kinship_that_cannot_be_told_is_counted_and_no_relative() -> None:
    counts = KingCounts(3)
    counts.add(np.array([[0, 0, 1], [2, 0, 1], [2, 2, 1]], dtype=np.int8))
    table = counts.table()
    assert table.kinship[0] == -np.inf
    assert np.isneginf(table.kinship).sum() == 3
    assert table.n_undetermined == 3
    assert len(relatives(table)) == 0
    nothing = KingCounts(2).table()
    assert np.isnan(nothing.kinship).all()
    assert nothing.n_undetermined == 1
    assert len(relatives(nothing)) == 0
    assert len(KingCounts(2).table(min_kinship=0.1)) == 1


def test_pairs_of_less_kinship_are_left_out_of_the_table(haplotypes: np.ndarray) -> None:
    counts = KingCounts(11)
    counts.add(plant(haplotypes)[::10, -11:])
    whole, part = counts.table(), counts.table(min_kinship=0.1)
    assert 0 < len(part) < len(whole)
    np.testing.assert_array_equal(part.kinship, whole.kinship[whole.kinship >= 0.1])


def test_the_limits_of_degrees_are_powers_of_two() -> None:
    limits = {2**-1.5: "duplicate", 2**-2.5: "first", 2**-3.5: "second", 2**-4.5: "third"}
    names = [*limits.values(), "unrelated"]
    for i, limit in enumerate(limits):
        assert degree_of(limit * 1.0001) == names[i]
        assert degree_of(limit) == names[i + 1]
    assert degree_of(float("nan")) == "unrelated"


def test_what_does_not_fit_is_refused() -> None:
    counts = KingCounts(3)
    with pytest.raises(InputError, match=r"kinship: Genotypes of 2 people cannot be added to those of 3\."):
        counts.add(np.zeros((1, 2), dtype=np.int8))
    with pytest.raises(InputError, match=r"kinship: Counts of 2 people cannot be added to those of 3\."):
        counts.merge(KingCounts(2))
    with pytest.raises(InputError, match=r"kinship: Counts of shape \(4, 2, 2\) are not of 3 people\."):
        KingCounts(3, np.zeros((4, 2, 2), dtype=np.int32))
    with pytest.raises(
        InputError, match=r"A genotype has 3 copies of the ALT: .* Add variants of autosomes only\."
    ):
        counts.add(np.array([[0, 1, 3]], dtype=np.int8))
