"""LD pruning against plink2, and against its rules written plainly; components of what is left against plink2."""

from __future__ import annotations

import gzip
import itertools
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgp.eqtl import ld_window
from kgp.eqtl.genotype_components import RelationshipMatrix
from kgp.eqtl.ld_pruning import LdPruner, PruningRule, check_components_basis
from kgp.errors import InputError, UsageError

GTEX = PruningRule(200, 100, 0.1)


def prune_contig(dosages: np.ndarray, places: np.ndarray, rule: PruningRule) -> np.ndarray:
    """A flag a variant, all of them given at once."""
    pruner = LdPruner(dosages.shape[1], rule)
    pruner.add(dosages, places)
    return pruner.finish()


@pytest.fixture(scope="module")
def genotypes(bundled: Path) -> tuple[np.ndarray, np.ndarray]:
    """Dosages of the bundled slice, variants × 358, and places."""
    rows, places = [], []
    with gzip.open(bundled / "genotypes.chr22.vcf.gz", "rb") as lines:
        for line in lines:
            if not line.startswith(b"#"):
                fields = line.rstrip().split(b"\t", 9)
                texts = np.frombuffer(fields[9] + b"\t", np.uint8).reshape(-1, 4)  # "0|1" and a tab
                rows.append((texts[:, 0] - 48) + (texts[:, 2] - 48))
                places.append(int(fields[1]))
    return np.array(rows, dtype=np.int8), np.array(places)


@pytest.fixture(scope="module")
def holed(genotypes: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The slice with missing genotypes in half of its variants, and variants that do not vary in four ways."""
    dosages, places = genotypes[0].copy(), genotypes[1]
    rng = np.random.default_rng(7)
    is_hole = (rng.random(dosages.shape) < 0.03) & (rng.random((len(dosages), 1)) < 0.5)
    dosages[is_hole] = -1
    dosages[::97], dosages[5::101], dosages[7::103], dosages[11::107] = 0, 1, -1, 2
    return dosages, places


def write_bed(
    prefix: Path, dosages: np.ndarray, places: np.ndarray, contigs: Sequence[str] | None = None
) -> None:
    """PLINK 1 files of variants v0, v1, … and people s0, s1, …"""
    n = dosages.shape[1]
    codes = np.array([3, 2, 0, 1], dtype=np.uint8)[np.where(dosages < 0, 3, dosages)]
    codes = np.pad(codes, ((0, 0), (0, -n % 4))).reshape(len(dosages), -1, 4)
    packed = codes[:, :, 0] | codes[:, :, 1] << 2 | codes[:, :, 2] << 4 | codes[:, :, 3] << 6
    prefix.with_suffix(".bed").write_bytes(bytes([0x6C, 0x1B, 0x01]) + packed.astype(np.uint8).tobytes())
    names = contigs or ["22"] * len(dosages)
    rows = (
        f"{name}\tv{i}\t0\t{place}\tC\tA\n" for i, (name, place) in enumerate(zip(names, places, strict=True))
    )
    prefix.with_suffix(".bim").write_text("".join(rows))
    prefix.with_suffix(".fam").write_text("".join(f"0\ts{i}\t0\t0\t0\t-9\n" for i in range(n)))


def prune_by_plink2(plink2: Path, prefix: Path, n_variants: int, *rule: str) -> np.ndarray:
    subprocess.run(
        [plink2, "--bfile", prefix, "--indep-pairwise", *rule, "--out", prefix, "--threads", "1"],
        check=True,
        capture_output=True,
    )
    kept = np.zeros(n_variants, dtype=bool)
    kept[[int(name[1:]) for name in prefix.with_suffix(".prune.in").read_text().split()]] = True
    return kept


def check_plink2(
    plink2: Path, place: Path, data: tuple[np.ndarray, np.ndarray], words: str, rule: PruningRule
) -> None:
    write_bed(place / "slice", *data)
    theirs = prune_by_plink2(plink2, place / "slice", len(data[0]), *words.split())
    ours = prune_contig(*data, rule)
    assert 0 < theirs.sum() < len(theirs)
    np.testing.assert_array_equal(ours, theirs)


# plink2's words, the same rule, and how many variants of the slice it is tried on.
RULES = {
    "GTEx": ("200 100 0.1", GTEX, 50_062),
    "eQTL Catalogue": ("50000 200 0.05", PruningRule(50_000, 200, 0.05), 6_000),
    "steps longer than a tile": ("4000 2500 0.05", PruningRule(4_000, 2_500, 0.05), 9_000),
    "small steps": ("50 5 0.5", PruningRule(50, 5, 0.5), 6_000),
    "pairs": ("2 2 0", PruningRule(2, 2, 0.0), 3_000),
    "20 kb": ("20kb 0.2", PruningRule(20_000, 1, 0.2, "bp"), 6_000),
    "1 kb": ("1 kb 1 0.2", PruningRule(1_000, 1, 0.2, "bp"), 6_000),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("which", ["genotypes", "holed"])
def test_plink2_keeps_the_very_same_variants(
    which: str, name: str, request: pytest.FixtureRequest, require_tool: Callable[[str], Path], tmp_path: Path
) -> None:
    dosages, places = request.getfixturevalue(which)
    words, rule, n = RULES[name]
    check_plink2(require_tool("plink2"), tmp_path, (dosages[:n], places[:n]), words, rule)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["genotypes", "holed"])
@pytest.mark.parametrize("name", ["eQTL Catalogue", "20 kb"])
def test_plink2_keeps_the_very_same_variants_of_the_whole_slice(
    which: str, name: str, request: pytest.FixtureRequest, require_tool: Callable[[str], Path], tmp_path: Path
) -> None:
    words, rule, _ = RULES[name]
    check_plink2(require_tool("plink2"), tmp_path, request.getfixturevalue(which), words, rule)


def test_contigs_are_pruned_each_on_its_own(
    holed: tuple[np.ndarray, np.ndarray], require_tool: Callable[[str], Path], tmp_path: Path
) -> None:
    dosages, places = holed[0][:3_000], holed[1][:3_000]
    # Of one variant only, and that does not vary: it has nothing to be compared with.
    ends = {"1": 1_300, "2": 1_455, "3": 1_456, "4": 3_000}
    assert (dosages[1_455] == 0).all()
    contigs, parts, first = [], [], 0
    for contig, end in ends.items():
        contigs += [contig] * (end - first)
        parts.append(prune_contig(dosages[first:end], places[first:end], GTEX))
        first = end
    write_bed(tmp_path / "slice", dosages, places, contigs)
    theirs = prune_by_plink2(require_tool("plink2"), tmp_path / "slice", 3_000, "200", "100", "0.1")
    np.testing.assert_array_equal(np.concatenate(parts), theirs)
    assert parts[2].tolist() == [True]


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("10 3 0.2", PruningRule(10, 3, 0.2)),
        ("2 1 0.25", PruningRule(2, 1, 0.25)),
        ("30 30 0", PruningRule(30, 30, 0.0)),
        ("20 7 0.5", PruningRule(20, 7, 0.5)),
        ("2kb 0.25", PruningRule(2_000, 1, 0.25, "bp")),
    ],
)
def test_plink2_keeps_the_same_of_many_small_contigs_full_of_ties(
    words: str, rule: PruningRule, require_tool: Callable[[str], Path], tmp_path: Path
) -> None:
    rng, n_people = np.random.default_rng(4), 60
    parts = []
    for _ in range(120):
        dosages = make_contig(rng, int(rng.integers(1, 25)), n_people, rng.choice([0.0, 0.1, 0.4]))
        dosages[rng.integers(0, len(dosages))] = rng.choice([-1, 0, 1, 2])
        parts.append((dosages, np.sort(rng.integers(1, 9_000, len(dosages)))))
    dosages, places = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    contigs = [f"c{at}" for at, part in enumerate(parts) for _ in part[1]]
    write_bed(tmp_path / "many", dosages, places, contigs)
    theirs = prune_by_plink2(
        require_tool("plink2"), tmp_path / "many", len(dosages), *words.split(), "--allow-extra-chr"
    )
    np.testing.assert_array_equal(np.concatenate([prune_contig(*part, rule) for part in parts]), theirs)


def make_contig(rng: np.random.Generator, n: int, n_samples: int, missing: float) -> np.ndarray:
    """Variants with correlation among them: each is a noisy copy of the one before, or not."""
    dosages = rng.integers(0, 3, (n, n_samples)).astype(np.int8)
    for i in range(1, n):
        if rng.random() < 0.6:
            dosages[i] = np.where(rng.random(n_samples) < 0.7, dosages[i - 1], dosages[i])
    dosages[rng.random(dosages.shape) < missing] = -1
    return dosages


def is_correlated(a: np.ndarray, b: np.ndarray, max_r2: float) -> bool:
    """r² above the threshold in whole numbers, over the people called at both."""
    both = (a >= 0) & (b >= 0)
    x, y, n = a[both].astype(int), b[both].astype(int), int(both.sum())
    covariance = n * int((x * y).sum()) - int(x.sum()) * int(y.sum())
    variances = [n * int((v * v).sum()) - int(v.sum()) ** 2 for v in (x, y)]
    return covariance**2 > max_r2 * (1 + 2.0**-44) * variances[0] * variances[1]


def major_frequency(row: np.ndarray) -> float:
    mean = row[row >= 0].mean() / 2
    return float(max(mean, 1 - mean))


def find_windows(places: Sequence[int], rule: PruningRule) -> list[list[int]]:
    """Variants of each window, as the manual of plink describes them."""
    n = len(places)
    if rule.unit == "variants":
        windows = [list(range(at, min(at + rule.window, n))) for at in range(0, n, rule.step)]
    else:
        windows = [[j for j in range(i, n) if places[j] <= places[i] + rule.window] for i in range(n)]
    return [window for window in windows if len(window) > 1 or (rule.unit == "variants" and n > 1)]


def prune_plainly(dosages: np.ndarray, places: Sequence[int], rule: PruningRule) -> list[bool]:
    """The rules without any haste: every pair of every window, again and again."""
    n = len(places)
    kept = [True] * n
    for window in find_windows(places, rule):
        for i in window:
            if len(set(dosages[i][dosages[i] >= 0].tolist())) < 2:
                kept[i] = False
        has_changed = True
        while has_changed:
            has_changed = False
            for i in window:
                for j in window:
                    if kept[i] and j > i and kept[j] and is_correlated(dosages[i], dosages[j], rule.max_r2):
                        is_rarer = major_frequency(dosages[i]) > major_frequency(dosages[j]) * (1 + 2.0**-44)
                        kept[i if is_rarer else j] = False
                        has_changed = True
                        break
    return kept


@st.composite
def contigs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Variants with correlation among them, missing genotypes, and gaps."""
    n, n_samples = draw(st.integers(0, 24)), draw(st.integers(1, 14))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dosages = make_contig(rng, n, n_samples, draw(st.sampled_from([0.0, 0.15, 0.5])))
    return dosages, np.sort(rng.integers(0, 60, n))


RULE = st.one_of(
    st.integers(2, 30).flatmap(
        lambda window: st.builds(
            PruningRule, st.just(window), st.integers(1, window), st.sampled_from([0.0, 0.1, 0.25, 0.5])
        )
    ),
    st.builds(
        PruningRule, st.integers(2, 30), st.just(1), st.sampled_from([0.0, 0.1, 0.25, 0.5]), st.just("bp")
    ),
)


@pytest.mark.parametrize("tile", [3, 1024])
@given(data=contigs(), rule=RULE)
@settings(deadline=None)
def test_the_rules_are_followed_to_the_letter(
    tile: int, data: tuple[np.ndarray, np.ndarray], rule: PruningRule
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ld_window, "TILE", tile)
        found = prune_contig(*data, rule)
    assert found.tolist() == prune_plainly(data[0], data[1].tolist(), rule)


@given(data=contigs(), rule=RULE, cuts=st.lists(st.integers(0, 24), max_size=5), seed=st.integers(0, 99))
@settings(deadline=None)
def test_blocks_and_the_order_of_people_change_nothing(
    data: tuple[np.ndarray, np.ndarray], rule: PruningRule, cuts: list[int], seed: int
) -> None:
    dosages, places = data
    shuffled = dosages[:, np.random.default_rng(seed).permutation(dosages.shape[1])]
    pruner = LdPruner(dosages.shape[1], rule)
    edges = [0, *sorted(min(cut, len(dosages)) for cut in cuts), len(dosages)]
    for first, end in itertools.pairwise(edges):
        pruner.add(shuffled[first:end], places[first:end])
    assert pruner.finish().tolist() == prune_contig(dosages, places, rule).tolist()


def test_of_two_equal_variants_the_later_goes_and_of_unequal_ones_the_rarer() -> None:
    common, rare = [0, 1, 2, 1, 0, 1, 2, 1], [0, 0, 2, 0, 0, 0, 2, 0]
    for rows, kept in (
        ([common, common], [True, False]),
        ([rare, common], [False, True]),
        ([common, rare], [True, False]),
        ([common, [2 - x for x in common]], [True, False]),
    ):
        assert prune_contig(np.array(rows, dtype=np.int8), np.array([5, 9]), GTEX).tolist() == kept


def test_kept_genotypes_are_few_enough_to_be_multiplied_whatever_the_memory(
    holed: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    rule, dosages, places = PruningRule(4_000, 200, 0.05), holed[0][:4_000], holed[1][:4_000]
    expected = prune_contig(dosages, places, rule)
    monkeypatch.setattr(ld_window, "MAX_CODED_BYTES", 0)
    np.testing.assert_array_equal(prune_contig(dosages, places, rule), expected)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ((1, 1, 0.1), r"A window of 1 variants holds no pair of variants\. Take 2 or more\."),
        ((200, 201, 0.1), r"A window cannot move on by 201 variants\. Take 1 to 200\."),
        ((200, 0, 0.1), r"A window cannot move on by 0 variants\. Take 1 to 200\."),
        ((200, 100, 0.1, "bp"), r"move on by 100 variants\. Take 1 for windows in base pairs\."),
        ((200, 100, 1.0), r"max_r2 1 is not within 0 to below 1\. Take 0\.1\."),
        ((200, 100, float("nan")), r"max_r2 nan is not within 0 to below 1"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(rule: tuple[object, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PruningRule(*rule)  # type: ignore[arg-type]


def test_variants_out_of_order_are_refused() -> None:
    pruner = LdPruner(2, GTEX)
    pruner.add(np.zeros((2, 2), dtype=np.int8), np.array([10, 2_000]))
    with pytest.raises(
        InputError, match=r"LD pruning: A variant at 1,999 follows one at 2,000\. Sort the variants"
    ):
        pruner.add(np.zeros((1, 2), dtype=np.int8), np.array([1_999]))


def test_polyploid_genotypes_are_refused() -> None:
    with pytest.raises(InputError, match=r"A genotype has 3 copies of the ALT: only diploid genotypes"):
        prune_contig(np.array([[0, 3]], dtype=np.int8), np.array([1]), GTEX)


def test_components_of_too_small_a_part_of_the_genome_are_refused_unless_asked_for() -> None:
    check_components_basis(5, 1_000, is_allowed=False)
    check_components_basis(1, 3, is_allowed=True)
    with pytest.raises(
        InputError,
        match=r"^genotype components: Components of 50,000 LD-pruned variants on 4 contigs would be local haplotypes,"
        r" which absorb the signals under test: 1,000 variants on 5 contigs are the least\. Load more contigs of the"
        r" callset, give --n-components 0, or ask for local ones by name: --few-contigs allow\.$",
    ):
        check_components_basis(4, 50_000, is_allowed=False)
    with pytest.raises(InputError, match="Components of 999 LD-pruned variants on 22 contigs would be"):
        check_components_basis(22, 999, is_allowed=False)
    with pytest.raises(InputError, match="Components of 1 LD-pruned variant on 1 contig would be"):
        check_components_basis(1, 1, is_allowed=False)


def test_plink2_finds_the_same_components_of_what_is_left(
    genotypes: tuple[np.ndarray, np.ndarray], require_tool: Callable[[str], Path], tmp_path: Path
) -> None:
    dosages, places = genotypes
    frequency = dosages.mean(axis=1) / 2
    is_common = np.minimum(frequency, 1 - frequency) >= 0.05
    dosages, places = dosages[is_common], places[is_common]
    is_kept = prune_contig(dosages, places, GTEX)
    assert is_kept.sum() > 1_000
    write_bed(tmp_path / "slice", dosages[is_kept], places[is_kept])
    subprocess.run(
        [require_tool("plink2"), "--bfile", tmp_path / "slice", "--pca", "5", "--out", tmp_path / "slice",
         "--threads", "1"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    theirs = np.loadtxt(tmp_path / "slice.eigenvec", usecols=range(-5, 0))
    matrix = RelationshipMatrix(dosages.shape[1])
    for block in np.array_split(dosages[is_kept], 3):
        matrix.add(block)
    ours = matrix.components(5).scores
    for k in range(5):
        assert abs(np.corrcoef(ours[:, k], theirs[:, k])[0, 1]) > 0.9999, f"component {k + 1}"
