"""Principal components against numpy's SVD, R's prcomp and PCAForQTL; the choice of how many."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import rankdata

from kgp.config import load_config
from kgp.eqtl import components
from kgp.eqtl.components import (
    choose_by_be,
    choose_by_elbow,
    from_gram,
    gram_matrix,
    principal_components,
)
from kgp.eqtl.recipe import ExpressionRecipe, Prepared, prepare_expression
from kgp.errors import InputError, UsageError
from kgp.params import EqtlBuild


@pytest.fixture(scope="module")
def rpkm(bundled: Path) -> np.ndarray:
    with gzip.open(bundled / "genes.50percent.chr22.bed.gz", "rt") as lines:
        next(lines)
        return np.array([line.rstrip("\n").split("\t")[6:] for line in lines], dtype=float)


@pytest.fixture(scope="module")
def recorded(root: Path) -> Path:
    return root / "tests" / "data" / "oracles" / "factors"


def to_normal(values: np.ndarray) -> np.ndarray:
    return ndtri(rankdata(values, axis=1) / (values.shape[1] + 1.0))


def by_svd(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores and shares of the variance of all components, as prcomp computes them: a thin SVD."""
    table = values.T - values.mean(axis=1)
    table = table / np.sqrt((table**2).sum(axis=0) / (table.shape[0] - 1))
    left, lengths, _ = np.linalg.svd(table, full_matrices=False)
    return left * lengths, lengths**2 / (lengths**2).sum()


def simulate(n_factors: int, n_phenotypes: int = 400, n_samples: int = 80, seed: int = 1) -> np.ndarray:
    generator = np.random.default_rng(seed)
    weights = generator.normal(size=(n_phenotypes, n_factors)) * 0.6
    noise = generator.normal(size=(n_phenotypes, n_samples))
    return weights @ generator.normal(size=(n_factors, n_samples)) + noise


def be_by_the_letter(values: np.ndarray, seed: int, n_permutations: int, alpha: float) -> tuple[int, list]:
    """Buja and Eyuboglu phenotype by phenotype, with numpy's SVD."""
    generator = np.random.default_rng(seed)
    observed = by_svd(values)[1].round(5)
    counts = [0] * observed.size
    for _ in range(n_permutations):
        shuffled = np.array([generator.permuted(phenotype) for phenotype in values])
        permuted = by_svd(shuffled)[1].round(5)
        for j in range(observed.size):
            counts[j] += bool(permuted[j] >= observed[j])
    p_values = [(count + 1) / (n_permutations + 1) for count in counts]
    for j in range(1, len(p_values)):
        p_values[j] = max(p_values[j], p_values[j - 1])
    return sum(p <= alpha for p in p_values), p_values


class TestComponents:
    @given(
        st.integers(0, 2**32 - 1),
        st.integers(3, 30),
        st.integers(2, 60),
    )
    def test_they_are_those_of_the_singular_value_decomposition(self, seed, n_samples, n_phenotypes):
        generator = np.random.default_rng(seed)
        # Apart enough that each component is one, whatever the noise.
        strengths = 3.0 ** -np.arange(min(n_samples, n_phenotypes, 4))
        left = np.linalg.qr(generator.normal(size=(n_phenotypes, strengths.size)))[0]
        right = np.linalg.qr(generator.normal(size=(n_samples, strengths.size)))[0]
        values = 10.0 * (left * strengths) @ right.T
        values = values + generator.normal(size=(n_phenotypes, n_samples)) * 1e-3 + 0.5
        scores, shares = by_svd(values)
        gaps = -np.diff(shares[:2]) if shares.size > 1 else np.ones(1)
        made = principal_components(values, 1)
        assert made.variance_explained == pytest.approx(shares, abs=1e-9)
        if gaps[0] > 1e-2:
            sign = np.sign(scores[:, 0] @ made.scores[:, 0])
            length = np.linalg.norm(scores[:, 0])
            assert made.scores[:, 0] / length == pytest.approx(sign * scores[:, 0] / length, abs=1e-9)

    @pytest.mark.parametrize("exponent", [-1000, -600, 600, 1000])
    def test_the_scale_of_a_phenotype_does_not_matter_however_large_or_small(self, exponent):
        """Squares of such numbers overflow or vanish: no phenotype may be lost, or drown the others, for that."""
        values = simulate(2, n_phenotypes=50, n_samples=20)
        moved = values.copy()
        moved[::3] *= 2.0**exponent
        made, of_plain = principal_components(moved, 5), principal_components(values, 5)
        assert np.array_equal(made.scores, of_plain.scores)
        assert choose_by_be(moved, seed=1).p_values.tolist() == choose_by_be(values, seed=1).p_values.tolist()

    def test_people_are_counted_before_anything_else(self):
        with pytest.raises(UsageError, match="1 principal components of 1 people and 4 phenotypes"):
            principal_components(np.ones((4, 1)), 1)
        with pytest.raises(UsageError, match="1 principal components of 0 people and 4 phenotypes"):
            principal_components(np.ones((4, 0)), 1)

    def test_on_real_data_fifty_are_those_of_the_decomposition(self, rpkm):
        made = principal_components(rpkm, 50)
        scores, shares = by_svd(rpkm)
        signs = np.sign((scores[:, :50] * made.scores).sum(axis=0))
        lengths = np.linalg.norm(scores[:, :50], axis=0)
        assert made.variance_explained == pytest.approx(shares, abs=1e-9)
        assert made.scores / lengths == pytest.approx(scores[:, :50] * signs / lengths, abs=1e-9)

    def test_they_are_those_of_prcomp(self, rpkm, recorded):
        with gzip.open(recorded / "scores.tsv.gz", "rt") as lines:
            scores = np.array([line.split("\t")[1:] for line in list(lines)[1:]], dtype=float)
        with gzip.open(recorded / "variance_explained.tsv.gz", "rt") as lines:
            shares = np.array(list(lines)[1:], dtype=float)
        made = principal_components(to_normal(rpkm), 5)
        signs = np.sign((scores * made.scores).sum(axis=0))
        assert made.scores == pytest.approx(scores * signs, abs=1e-9)
        assert made.variance_explained == pytest.approx(shares, abs=1e-11)

    def test_the_largest_score_of_each_is_positive_whatever_the_sign_of_the_values(self):
        values = simulate(3)
        made, turned = principal_components(values, 5), principal_components(-values, 5)
        assert made.scores == pytest.approx(turned.scores, abs=1e-9)
        assert made.scores.max(axis=0) == pytest.approx(np.abs(made.scores).max(axis=0))

    def test_of_scores_equal_in_size_the_first_is_positive(self):
        for values in ([[1.0, 2.0, 3.0]], [[3.0, 2.0, 1.0]], [[0.1, 0.2, 0.3]]):
            made = principal_components(np.array(values), 1)
            assert made.scores[:, 0] == pytest.approx([1.0, 0.0, -1.0], abs=1e-9)

    def test_blocks_do_not_change_them(self, monkeypatch):
        values = simulate(3, n_phenotypes=101)
        whole = principal_components(values, 4)
        chosen = choose_by_be(values, seed=7)
        monkeypatch.setattr(components, "BLOCK", 10)
        pieces = principal_components(values, 4)
        assert pieces.scores == pytest.approx(whole.scores, abs=1e-9)
        assert choose_by_be(values, seed=7).p_values.tolist() == chosen.p_values.tolist()

    def test_a_gram_matrix_may_be_accumulated_in_parts(self):
        values = simulate(3)
        gram = gram_matrix(values[:150]) + gram_matrix(values[150:])
        made = from_gram(gram, 4, n_phenotypes=400)
        assert made.scores == pytest.approx(principal_components(values, 4).scores, abs=1e-9)

    def test_of_a_gram_matrix_that_is_not_centred_there_is_one_more(self):
        values = simulate(3, n_samples=12) + 1.0
        left, lengths, _ = np.linalg.svd(values.T, full_matrices=False)
        made = from_gram(values.T @ values, 12, n_phenotypes=400, is_centred=False)
        assert np.abs(made.scores) == pytest.approx(np.abs(left * lengths), abs=1e-6)
        assert made.variance_explained == pytest.approx(lengths**2 / (lengths**2).sum(), abs=1e-12)
        with pytest.raises(UsageError, match="Ask for 1 to 11"):
            from_gram(values.T @ values, 12, n_phenotypes=400)

    def test_there_are_as_many_shares_as_components(self):
        few_phenotypes = principal_components(simulate(1, n_phenotypes=7), 2)
        few_samples = principal_components(simulate(1, n_samples=9), 2)
        assert few_phenotypes.variance_explained.size == 7
        assert few_samples.variance_explained.size == 9
        for made in (few_phenotypes, few_samples):
            assert made.variance_explained.sum() == pytest.approx(1.0, abs=1e-12)
            assert (np.diff(made.variance_explained) <= 0).all()

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_a_missing_value_is_refused_by_phenotype(self, bad):
        values = simulate(1)
        values[[17, 300], 3] = bad
        with pytest.raises(
            InputError, match=r"Phenotype 17 \(counted from 0\) has missing or infinite values; 2 of 400 do"
        ):
            principal_components(values, 2)

    def test_a_constant_phenotype_is_refused(self, monkeypatch):
        monkeypatch.setattr(components, "BLOCK", 10)
        values = simulate(1)
        values[23] = 0.1
        with pytest.raises(InputError, match=r"Phenotype 23 .* is constant and cannot be scaled"):
            principal_components(values, 2)

    @pytest.mark.parametrize(("n", "shape", "most"), [(0, (9, 5), 4), (5, (9, 5), 4), (4, (3, 9), 3)])
    def test_components_that_do_not_exist_are_refused(self, n, shape, most):
        values = np.random.default_rng(1).normal(size=shape)
        with pytest.raises(UsageError, match=f"{n} principal components of .* Ask for 1 to {most}"):
            principal_components(values, n)

    def test_without_any_variance_there_are_none(self):
        with pytest.raises(InputError, match="No phenotype varies"):
            from_gram(np.zeros((5, 5)), 1, n_phenotypes=4)

    def test_values_whose_squares_overflow_have_none(self):
        with pytest.raises(InputError, match="The values are too large: their squares overflow"):
            from_gram(np.full((5, 5), np.inf), 1, n_phenotypes=4)


class TestElbow:
    def test_it_is_where_the_curve_is_farthest_from_the_line(self):
        # By hand: the line falls from 0.4 to 0.05 in 4 steps; below it by 0, 0.0875, 0.175, 0.1125, 0.
        shares = np.array([0.4, 0.225, 0.05, 0.025, 0.05])
        line = np.linspace(0.4, 0.05, 5)
        assert choose_by_elbow(shares) == int(np.argmax(line - shares)) + 1 == 3

    def test_of_equals_it_is_the_first(self):
        assert choose_by_elbow(np.array([0.5, 0.2, 0.0, 0.0])) == 2 + 1
        assert choose_by_elbow(np.array([0.25, 0.25, 0.25, 0.25])) == 1

    def test_proportions_are_rounded_as_r_shows_them(self):
        # Below the line by 0, 0.25, 0.250004, 0.125, 0; rounded the second and the third are equal.
        shares = np.array([0.625, 0.25, 0.124996, 0.125, 0.125])
        assert np.argmax(np.linspace(0.625, 0.125, 5) - shares) == 3 - 1
        assert choose_by_elbow(shares) == 2

    def test_one_component_has_no_elbow(self):
        with pytest.raises(UsageError, match="An elbow needs 2 components or more, not 1"):
            choose_by_elbow(np.array([1.0]))

    @given(st.integers(0, 2**32 - 1), st.integers(2, 100))
    def test_it_is_the_greatest_distance_from_the_line(self, seed, n):
        """Euclidean distance from a line through two points, one component at a time."""
        shares = np.sort(np.random.default_rng(seed).exponential(size=n))[::-1]
        shares = (shares / shares.sum()).round(5)
        first, last = np.array([1.0, shares[0]]), np.array([float(n), shares[-1]])
        along = (last - first) / np.linalg.norm(last - first)
        distances = []
        for j in range(n):
            away = np.array([j + 1.0, shares[j]]) - first
            distances.append(float(np.linalg.norm(away - (away @ along) * along)))
        assert distances[choose_by_elbow(shares) - 1] == pytest.approx(max(distances), abs=1e-9)


class TestBujaEyuboglu:
    @given(st.integers(0, 2**32 - 1), st.integers(4, 14), st.integers(4, 20))
    def test_it_is_the_algorithm_by_the_letter(self, seed, n_samples, n_phenotypes):
        values = simulate(2, n_phenotypes, n_samples, seed)
        chosen = choose_by_be(values, seed=seed, n_permutations=9, alpha=0.2)
        assert (chosen.n_components, chosen.p_values.tolist()) == be_by_the_letter(values, seed, 9, 0.2)

    def test_with_its_defaults_it_is_the_algorithm_by_the_letter(self):
        for seed in range(5):
            values = simulate(3, 60, 25, seed)
            chosen = choose_by_be(values, seed=seed)
            assert (chosen.n_components, chosen.p_values.tolist()) == be_by_the_letter(values, seed, 20, 0.05)

    @pytest.mark.parametrize("n_factors", [1, 4, 9])
    def test_it_finds_the_factors_that_there_are(self, n_factors):
        assert choose_by_be(simulate(n_factors), seed=1).n_components == n_factors

    def test_in_noise_it_finds_none(self):
        values = np.random.default_rng(5).normal(size=(300, 60))
        assert choose_by_be(values, seed=1).n_components == 0

    @pytest.mark.parametrize("n_factors", [2, 4, 9])
    def test_the_elbow_is_the_first_component_after_the_factors(self, n_factors):
        """The corner of the curve is the first point of its flat part, one more than the factors."""
        made = principal_components(simulate(n_factors), 1)
        assert choose_by_elbow(made.variance_explained) == n_factors + 1

    def test_a_seed_gives_the_same_choice_again(self):
        values = np.random.default_rng(2).normal(size=(50, 20))
        first, again, other = (choose_by_be(values, seed=seed).p_values.tolist() for seed in (1, 1, 2))
        assert first == again
        assert first != other

    @pytest.mark.parametrize("alpha", [0.0, -0.1, 1.1])
    def test_alpha_is_a_level(self, alpha):
        with pytest.raises(UsageError, match="is not above 0 and at most 1"):
            choose_by_be(simulate(1), seed=1, alpha=alpha)

    def test_too_few_permutations_can_choose_nothing_and_are_refused(self):
        with pytest.raises(UsageError, match=r"With 18 permutations no p-value .* Take 19 permutations"):
            choose_by_be(simulate(1), seed=1, n_permutations=18)
        assert choose_by_be(simulate(1), seed=1, n_permutations=19).n_components == 1

    def test_a_constant_phenotype_is_refused(self):
        values = simulate(1)
        values[3] = 2.0
        with pytest.raises(InputError, match=r"Phenotype 3 .* is constant"):
            choose_by_be(values, seed=1)


def test_both_choose_on_real_data_what_pcaforqtl_chooses(rpkm, recorded):
    """Five seeds there and five here: BE's choices are the same set but for chance of one component."""
    cuts = {
        "normal": to_normal(rpkm),
        "few_samples": rpkm[:, :60],
        "few_genes": rpkm[:40],
        "corner": rpkm[:100, :200],
        "log2_half": np.log2(rpkm[150:] + 1.0),
    }
    with (recorded / "choices.tsv").open() as lines:
        choices = list(csv.DictReader(lines, delimiter="\t"))
    assert {row["values"] for row in choices} == set(cuts)
    for name, values in cuts.items():
        rows = [row for row in choices if row["values"] == name]
        shares = principal_components(values, 1).variance_explained
        assert {choose_by_elbow(shares)} == {int(row["elbow"]) for row in rows}
        theirs = {int(row["be"]) for row in rows}
        ours = {choose_by_be(values, seed=seed).n_components for seed in range(5)}
        assert ours & theirs
        assert max(ours | theirs) - min(ours | theirs) <= 1


def make_recipe(**options: object) -> ExpressionRecipe:
    """The recipe of `kgp eqtl build` with components as hidden factors, and what else is given."""
    given = {"name": "a", "callset": "c", "dataset": "d", "profile": "none", "factors": "pca", **options}
    return ExpressionRecipe.of(load_config(environ={}).params(EqtlBuild, given))


def prepare(values: np.ndarray, **options: object) -> Prepared:
    return prepare_expression(values, None, make_recipe(**options), unit="unknown", processing="unknown")


class TestChoiceInARecipe:
    """`--n-factors-by`: what a set gets where no number of components is given."""

    def test_permutations_choose_what_the_algorithm_by_the_letter_does(self, rpkm):
        n, _ = be_by_the_letter(to_normal(rpkm), 1, 20, 0.05)
        made = prepare(rpkm, transform="inverse_normal", n_factors_by="be")
        assert made.factors is not None
        assert made.factors.names == tuple(f"expression_pc_{i}" for i in range(1, n + 1))
        assert made.notes == (
            f"{n} principal components of expression, each of which explains more of its variance than chance does "
            "(Buja and Eyuboglu: 20 permutations, p at most 0.05, seed 1).",
        )
        expected = by_svd(to_normal(rpkm))[0][:, :n]
        signs = np.sign((made.factors.values * expected).sum(axis=0))
        assert made.factors.values * signs == pytest.approx(expected, rel=1e-7, abs=1e-8)
        assert prepare(rpkm, transform="inverse_normal").factors.names != made.factors.names

    def test_its_number_is_one_of_those_of_pcaforqtl(self, rpkm, recorded):
        with (recorded / "choices.tsv").open() as lines:
            theirs = {int(r["be"]) for r in csv.DictReader(lines, delimiter="\t") if r["values"] == "normal"}
        made = prepare(rpkm, transform="inverse_normal", n_factors_by="be")
        assert min(theirs) - 1 <= len(made.factors.names) <= max(theirs) + 1

    @pytest.mark.parametrize("n_factors", [1, 4])
    def test_permutations_and_the_elbow_choose_differently(self, n_factors):
        values = simulate(n_factors)
        by_be, by_elbow = prepare(values, n_factors_by="be"), prepare(values)
        assert (len(by_be.factors.names), len(by_elbow.factors.names)) == (n_factors, n_factors + 1)
        assert by_be.factors.values.tolist() == by_elbow.factors.values[:, :n_factors].tolist()
        assert by_elbow.notes == (
            f"{n_factors + 1} principal components of expression, by the elbow of their variance.",
        )

    @pytest.mark.parametrize("factors_as", ["covariates", "residuals"])
    def test_the_same_set_comes_again(self, factors_as):
        values = simulate(2)
        first, again = (prepare(values, n_factors_by="be", factors_as=factors_as) for _ in range(2))
        assert first.values.tobytes() == again.values.tobytes()
        assert first.notes == again.notes
        if factors_as == "covariates":
            assert first.factors.values.tobytes() == again.factors.values.tobytes()
        else:
            assert first.notes[1:] == (
                "The phenotypes are residuals of 2 hidden factors; map with --phenotype-df 2.",
            )
            scores = by_svd(values)[0][:, :2]
            design = np.column_stack([np.ones(len(scores)), scores])
            expected = values - (design @ np.linalg.lstsq(design, values.T, rcond=None)[0]).T
            assert first.values == pytest.approx(expected, abs=1e-9)

    def test_in_noise_there_are_no_factors_and_it_is_said(self):
        values = np.random.default_rng(5).normal(size=(300, 60))
        note = (
            "No principal component of expression explains more of its variance than chance does (Buja and Eyuboglu: "
            "20 permutations, p at most 0.05, seed 1): there are no hidden factors."
        )
        made = prepare(values, n_factors_by="be")
        assert (made.factors.names, made.factors.values.shape, made.notes) == ((), (60, 0), (note,))
        assert (made.values == values).all()
        left = prepare(values, n_factors_by="be", factors_as="residuals")
        assert (left.factors, left.notes) == (None, (note,))
        assert left.values == pytest.approx(values - values.mean(axis=1, keepdims=True), abs=1e-12)
        assert left.steps[-1].name == "residuals of 0 principal components, 0.0% of the variance"

    def test_more_than_the_people_can_bear_are_refused(self):
        """Three factors of one strength in five people: an intercept, a variant and they leave no degree of freedom."""
        generator = np.random.default_rng(1)
        directions = np.linalg.qr(np.column_stack([np.ones(5), generator.normal(size=(5, 3))]))[0][:, 1:]
        values = generator.normal(size=(2000, 3)) @ directions.T
        assert be_by_the_letter(values, 1, 20, 0.05)[0] == 3
        with pytest.raises(UsageError) as refused:
            prepare(values, n_factors_by="be")
        assert str(refused.value) == (
            "--n-factors: 3 principal components (the number that the method says) are too many for 5 people and 2,000 "
            "phenotypes. Give --n-factors 2 or fewer, or --factors none, or take more people."
        )

    def test_where_permutations_would_choose_nothing_they_are_refused(self):
        with pytest.raises(UsageError) as refused:
            make_recipe(factors="peer", n_factors_by="be")
        assert str(refused.value) == (
            "--n-factors-by be: Permutations choose the number of expression PCs, and factors are peer. "
            "Give --factors pca, or leave it away."
        )
        with pytest.raises(UsageError) as refused:
            make_recipe(profile="eqtl-catalogue", n_factors_by="be")
        assert str(refused.value) == (
            "--n-factors-by be: The number of expression PCs is given: 6. Leave --n-factors away; where the profile "
            "gives the number, take it back with a --conf file that has eqtl_build: {n_factors: null}."
        )

    def test_the_number_of_a_profile_can_be_taken_back(self, tmp_path):
        (tmp_path / "mine.yml").write_text("eqtl_build: {n_factors: null}\n")
        given = {
            "name": "a",
            "callset": "c",
            "dataset": "d",
            "profile": "eqtl-catalogue",
            "n_factors_by": "be",
        }
        made = load_config(str(tmp_path / "mine.yml"), environ={}).params(EqtlBuild, given)
        assert (made.factors, made.n_factors, made.n_factors_by) == ("pca", None, "be")
