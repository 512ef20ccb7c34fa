"""Swapped runs are found by their expression: in made-up sets whose truth is known, and in real ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cis_data import Cis, read_cis
from kgp.eqtl.matching import (
    MAX_FALSE_SWAPS,
    MIN_LOCI,
    MIN_MARGIN,
    MIN_POWER,
    Judgement,
    find_margin,
    judge_runs,
    match_people,
)
from kgp.eqtl.matching_loci import (
    MAX_BY_CHANCE,
    MAX_R2,
    MIN_MAF,
    Expression,
    LeadSearch,
    Loci,
    prepare_expression,
)
from kgp.eqtl.matching_scores import Scores, make_folds, score_people


@dataclass
class Made:
    """A made-up set: a gene with one variant of effect each, and common factors.

    Args:
        dosages: variants × people of the callset.
        expression: genes × runs, run i being of person i.
    """

    dosages: np.ndarray
    expression: np.ndarray


def make_set(
    rng: np.random.Generator, n: int = 120, n_people: int = 150, n_genes: int = 120, effect: float = 1.1
) -> Made:
    """Runs of the first `n` of the people."""
    af = rng.uniform(0.2, 0.8, n_genes)
    dosages = rng.binomial(2, af[:, None], (n_genes, n_people)).astype(float)
    factors = rng.standard_normal((n_genes, 3)) @ rng.standard_normal((3, n))
    noise = rng.standard_normal((n_genes, n))
    return Made(dosages, effect * dosages[:, :n] + factors + noise)


def judge(
    made: Made, owners: np.ndarray | None = None, stated: np.ndarray | None = None
) -> tuple[Scores, Judgement]:
    """Verdicts where run i is said to be of stated[i] (of i), and its expression is of owners[i] (of stated[i])."""
    n = made.expression.shape[1]
    stated = np.arange(n) if stated is None else stated
    owners = stated if owners is None else owners
    prepared = prepare_expression(made.expression[:, owners])
    folds = make_folds([f"r{i:04d}" for i in stated], prepared.residuals)
    return match_people(prepared.values, prepared.components, prepared.scales, stated, made.dosages, folds)


def found(judged: Judgement) -> list[int]:
    return [i for i, verdict in enumerate(judged.verdicts) if verdict == "swap"]


# ------------------------------------------------------------------------------------------------ verdicts


@pytest.mark.parametrize("seed", range(5))
def test_nobody_is_swapped(seed: int) -> None:
    _, judged = judge(make_set(np.random.default_rng(seed)))
    assert found(judged) == []
    assert judged.verdicts.count("match") >= 119
    assert judged.best.tolist() == list(range(120))
    assert judged.power > 0.99


@pytest.mark.parametrize(
    ("into", "what"),
    [
        ({3: 7, 7: 3, 20: 21, 21: 20, 90: 40, 40: 90}, "three pairs"),
        ({3: 7, 7: 50, 50: 3}, "a circle"),
        ({3: 7}, "one run given twice"),
    ],
)
def test_exactly_the_runs_of_others_are_found(into: dict[int, int], what: str) -> None:
    owners = np.arange(120)
    owners[list(into)] = list(into.values())
    _, judged = judge(make_set(np.random.default_rng(1)), owners)
    assert found(judged) == sorted(into), what
    assert {i: judged.best[i] for i in into} == into
    assert judged.is_certain.all()


def test_a_run_of_somebody_outside_the_set_is_named() -> None:
    made = make_set(np.random.default_rng(2), n=121)
    stated = np.arange(120)
    owners = stated.copy()
    owners[5] = 120
    _, judged = judge(made, owners, stated)
    assert found(judged) == [5]
    assert judged.best[5] == 120


def test_a_run_of_nobody_is_a_swap_without_a_certain_person() -> None:
    made = make_set(np.random.default_rng(3), n=121)
    stated, owners = np.arange(120), np.arange(120)
    owners[5] = 120
    made.dosages = np.delete(made.dosages, 120, axis=1)
    _, judged = judge(made, owners, stated)
    assert found(judged) == [5]
    assert judged.best[5] != 5
    assert np.flatnonzero(~judged.is_certain).tolist() == [5]


def test_a_third_of_the_runs_swapped_is_found_in_rounds() -> None:
    rng = np.random.default_rng(4)
    made = make_set(rng, n=150, n_genes=200)
    owners = np.arange(150)
    for a, b in rng.choice(150, (25, 2), replace=False):
        owners[[a, b]] = owners[[b, a]]
    _, judged = judge(made, owners)
    assert found(judged) == np.flatnonzero(owners != np.arange(150)).tolist()
    assert judged.best.tolist() == owners.tolist()


def test_an_odd_run_is_not_a_swap() -> None:
    rng = np.random.default_rng(5)
    for _ in range(10):
        made = make_set(rng)
        made.expression[:, 8] += 5.0 * rng.standard_normal(120)
        made.expression[:, 9] *= 4.0
        assert found(judge(made)[1]) == []


def test_a_run_that_lost_its_variance_to_a_factor_is_not_a_swap() -> None:
    rng = np.random.default_rng(22)
    for _ in range(5):
        made = make_set(rng)
        values = prepare_expression(made.expression).values
        factors = 0.05 * rng.standard_normal((120, 3))
        factors[[8, 20, 31], [0, 1, 2]] = 1.0  # a factor is nearly one run's own
        basis, _ = np.linalg.qr(factors - factors.mean(axis=0))
        made.expression = values - (values @ basis) @ basis.T
        scales = prepare_expression(made.expression).scales
        assert np.flatnonzero(scales < 0.9).tolist() == [8, 20, 31]
        left = 1.0 - np.square(basis[[8, 20, 31]]).sum(axis=1)
        assert scales[[8, 20, 31]] == pytest.approx(2.0 * left, rel=1.0)
        assert found(judge(made)[1]) == []


def test_few_loci_do_not_make_a_verdict() -> None:
    scores, judged = judge(
        make_set(np.random.default_rng(6), n_genes=12, effect=0.6), np.roll(np.arange(120), 1)
    )
    assert judged.power < MIN_POWER
    assert not judged.can_tell
    assert set(judged.verdicts) == {"unclear"}
    assert np.isfinite(scores.values).all()


def test_all_runs_in_disorder_are_not_told() -> None:
    rng = np.random.default_rng(7)
    made = make_set(rng)
    _, judged = judge(made, rng.permutation(120))
    assert not judged.can_tell
    assert set(judged.verdicts) == {"unclear"}


def test_a_child_of_the_right_person_is_told_apart_and_a_twin_is_not() -> None:
    rng = np.random.default_rng(8)
    made = make_set(rng, n_people=122)
    child = np.where(rng.random(120) < 0.5, made.dosages[:, 0] > 0, made.dosages[:, 0] > 1).astype(float)
    made.dosages[:, 120] = child + rng.binomial(1, 0.5, 120)
    made.dosages[:, 121] = made.dosages[:, 1]
    _, judged = judge(made)
    assert found(judged) == []
    assert judged.verdicts[:3] == ("match", "unclear", "match")
    assert judged.best[1] == 1  # of equals the stated one


def test_populations_that_differ_are_no_swaps() -> None:
    rng = np.random.default_rng(9)
    af = np.clip(rng.uniform(0.2, 0.8, (150, 1)) + rng.normal(0.0, 0.2, (150, 2)), 0.05, 0.95)
    population = np.repeat([0, 1], 70)
    dosages = rng.binomial(2, af[:, population]).astype(float)
    shift = rng.normal(0.0, 1.0, 150)[:, None] * population
    made = Made(dosages, 0.7 * dosages + shift + rng.standard_normal((150, 140)))
    assert found(judge(made)[1]) == []
    owners = np.arange(140)
    owners[[4, 9, 3, 100]] = [9, 4, 100, 3]  # within a population and between the two
    assert found(judge(made, owners)[1]) == [3, 4, 9, 100]


def test_phenotypes_that_repeat_each_other_do_not_make_false_swaps() -> None:
    rng = np.random.default_rng(10)
    for _ in range(5):
        made = make_set(rng, n_genes=40, effect=0.5)
        copies = np.repeat(made.expression, 4, axis=0) + 0.3 * rng.standard_normal((160, 120))
        assert found(judge(Made(np.repeat(made.dosages, 4, axis=0), copies))[1]) == []


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_runs_and_people_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    made = make_set(rng, n=60, n_people=70, n_genes=60)
    owners = np.arange(60)
    owners[[1, 2]] = [2, 1]
    scores, judged = judge(made, owners)
    runs, people = rng.permutation(60), rng.permutation(70)
    place = np.argsort(people)
    prepared = prepare_expression(made.expression[:, owners][:, runs])
    folds = make_folds([f"r{i:04d}" for i in runs], prepared.residuals)
    other, again = match_people(
        prepared.values, prepared.components, prepared.scales, place[runs], made.dosages[:, people], folds
    )
    np.testing.assert_allclose(other.values, scores.values[runs][:, people], rtol=1e-6, atol=1e-6)
    assert again.verdicts == tuple(judged.verdicts[i] for i in runs)
    assert people[again.best].tolist() == judged.best[runs].tolist()


# -------------------------------------------------------------------------------------------------- scores


def test_scores_are_likelihood_ratios_of_a_normal_model() -> None:
    """Against least squares by numpy and densities by scipy, a run and a person at a time."""
    rng = np.random.default_rng(11)
    made = make_set(rng, n=80, n_people=90, n_genes=20)
    prepared = prepare_expression(made.expression)
    y, c = prepared.values, prepared.components
    folds = np.arange(80) % 10
    scores = score_people(y, c, prepared.scales, np.arange(80), made.dosages, folds, np.ones(80, dtype=bool))
    factors = []
    for run in (0, 17, 44):
        train = np.flatnonzero(folds != folds[run])
        x = np.column_stack([np.ones(train.size), c[train]])
        coefficients, residuals = [], []
        for gene in range(20):
            design = np.column_stack([x, made.dosages[gene, train]])
            beta, *_ = np.linalg.lstsq(design, y[gene, train], rcond=None)
            coefficients.append(beta)
            residuals.append(y[gene, train] - design @ beta)
        df = train.size - x.shape[1] - 1
        covariance = np.array(residuals) @ np.array(residuals).T / df
        sd = np.sqrt(np.diag(covariance))
        r = covariance / np.outer(sd, sd)
        off = ~np.eye(20, dtype=bool)
        shrinkage = min(1.0, ((1 - r[off] ** 2) ** 2 / df).sum() / (r[off] ** 2).sum())
        covariance[off] *= 1.0 - shrinkage
        here = np.concatenate([[1.0], c[run]])
        covariance *= 1.0 + here @ np.linalg.inv(x.T @ x) @ here
        beta = np.array(coefficients)
        density = np.array(
            [
                stats.multivariate_normal.logpdf(y[:, run], beta[:, :-1] @ here + beta[:, -1] * g, covariance)
                for g in made.dosages.T
            ]
        )
        difference = (density - density[run]) / np.log(10.0)
        computed = scores.values[run] - scores.values[run, run]
        factor = computed @ difference / (difference @ difference)
        np.testing.assert_allclose(computed, factor * difference, atol=1e-8)
        factors.append(factor)
    # What is divided by is the noise's variance, 1 at least.
    assert max(factors) <= 1.0 + 1e-9
    assert min(factors) > 0.4


def test_differences_of_scores_are_distributed_as_expected() -> None:
    rng = np.random.default_rng(12)
    z = []
    for _ in range(10):
        made = make_set(rng, n=150, n_people=150, n_genes=100)
        scores, _ = judge(made)
        others = np.roll(np.arange(150), 1)  # one person a run
        distances = np.log(10.0) * scores.distances[np.arange(150), others]
        differences = np.log(10.0) * (scores.values[np.arange(150), others] - scores.own)
        z.append((differences + distances) / np.sqrt(2.0 * distances))
    joined = np.concatenate(z)
    assert abs(joined.mean()) < 0.15
    assert 0.8 < joined.std() < 1.05  # never more than said: that would be false swaps
    assert (joined > 3.0).mean() < 0.004


def test_power_is_what_is_found() -> None:
    rng = np.random.default_rng(13)
    powers, hits = [], []
    for _ in range(12):
        made = make_set(rng, n=120, n_people=120, n_genes=80, effect=0.8)
        owners = np.arange(120)
        swapped = rng.choice(120, 12, replace=False)
        owners[swapped] = np.roll(swapped, 1)
        _, judged = judge(made, owners)
        powers.append(judged.power)
        hits.append(judged.is_other[swapped].mean())
        assert not judged.is_other[np.setdiff1d(np.arange(120), swapped)].any()
    assert abs(np.mean(powers) - np.mean(hits)) < 0.1
    assert 0.3 < np.mean(powers) < 0.97  # where a difference would show


def test_a_runs_own_values_do_not_shape_its_scores() -> None:
    """Noise fits nobody: with genotypes that do nothing the stated person is no better than others."""
    rng = np.random.default_rng(14)
    expression = rng.standard_normal((60, 100))
    dosages = rng.binomial(2, 0.5, (60, 100)).astype(float)
    scores, _ = judge(Made(dosages, expression))
    others = scores.values[scores.is_other].reshape(100, 99)
    rank = (scores.own[:, None] > others).mean(axis=1)
    assert stats.kstest(rank, "uniform").pvalue > 0.01


def test_a_variant_whose_carriers_are_all_left_out_teaches_nothing() -> None:
    made = make_set(np.random.default_rng(15), n=40, n_people=40, n_genes=40)
    made.dosages[0] = 0.0
    made.dosages[0, [0, 10, 20, 30]] = 1.0  # one fold of ten
    prepared = prepare_expression(made.expression)
    scores = score_people(
        prepared.values,
        prepared.components,
        prepared.scales,
        np.arange(40),
        made.dosages,
        np.arange(40) % 10,
        np.ones(40, bool),
    )
    assert np.isfinite(scores.values).all()


def test_a_perfect_fit_gives_finite_scores() -> None:
    rng = np.random.default_rng(16)
    dosages = rng.binomial(2, 0.5, (40, 60)).astype(float)
    scores, judged = judge(Made(dosages, dosages))
    assert np.isfinite(scores.values).all()
    assert found(judged) == []


def test_folds_keep_copies_together_whatever_the_order() -> None:
    rng = np.random.default_rng(17)
    values = rng.standard_normal((50, 30))
    values[:, 29] = values[:, 3] + 0.1 * rng.standard_normal(50)
    names = [f"r{i:02d}" for i in range(30)]
    folds = make_folds(names, values)
    assert folds[29] == folds[3]
    assert folds.tolist() == [*(i % 10 for i in range(29)), 3]
    order = rng.permutation(30)
    assert make_folds([names[i] for i in order], values[:, order]).tolist() == folds[order].tolist()


# -------------------------------------------------------------------------------------------------- margin


def made_scores(distances: np.ndarray) -> Scores:
    n = distances.shape[0]
    return Scores(np.zeros_like(distances), distances, np.arange(n))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.sampled_from([2.0, 8.0, 20.0]))
def test_margin_lets_one_false_swap_pass_in_a_thousand_sets(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    distances = rng.gamma(4.0, size / 4.0, (40, 60))
    scores = made_scores(distances)
    margin = find_margin(scores)
    d = np.log(10.0) * distances[scores.is_other]
    expected = stats.norm.sf((np.log(10.0) * margin + d) / np.sqrt(2.0 * d)).sum()
    assert expected == pytest.approx(MAX_FALSE_SWAPS, rel=0.01) or (
        expected < MAX_FALSE_SWAPS and margin < 0.001
    )


def test_margin_grows_with_people_and_ignores_twins() -> None:
    few, many = np.full((30, 40), 5.0), np.full((30, 400), 5.0)
    assert find_margin(made_scores(few)) < find_margin(made_scores(many)) < 10.0
    twins = few.copy()
    twins[:, 35] = 0.0
    assert find_margin(made_scores(twins)) <= find_margin(made_scores(few))


def test_judges_by_the_margin() -> None:
    distances = np.full((3, 6), 60.0)
    values = np.full((3, 6), -60.0)
    values[0, 0], values[1, 4], values[2, 2], values[2, 3] = 20.0, 20.0, 20.0, 19.0
    judged = judge_runs(Scores(values, distances, np.arange(3)))
    assert judged.margin == MIN_MARGIN
    assert judged.verdicts == ("match", "swap", "unclear")
    assert judged.best.tolist() == [0, 4, 2]
    assert judged.is_certain.tolist() == [True, True, False]
    values[1, 1] = 20.0 - MIN_MARGIN + 0.01
    assert judge_runs(Scores(values, distances, np.arange(3))).verdicts[1] == "unclear"


# ---------------------------------------------------------------------------------------------------- loci


def test_expression_is_prepared() -> None:
    rng = np.random.default_rng(18)
    values = np.exp(rng.standard_normal((100, 45)))
    values[3] = 2.0
    values[5, :5] = np.nan  # more than a tenth
    values[7, :4] = np.nan
    prepared = prepare_expression(values)
    assert sorted(set(range(100)) - set(prepared.chosen.tolist())) == [3, 5]
    assert np.isfinite(prepared.values).all()
    row = prepared.values[prepared.chosen.tolist().index(7)]
    assert np.ptp(row[:4]) == 0.0
    np.testing.assert_allclose(
        row[4:] - row[4:].mean(), stats.norm.ppf(stats.rankdata(values[7, 4:]) / 42), atol=1e-9
    )
    np.testing.assert_allclose(prepared.values.mean(axis=1), 0.0, atol=1e-12)
    # 45 / 15 components, those of numpy's singular value decomposition.
    _, _, right = np.linalg.svd(prepared.values, full_matrices=False)
    assert prepared.components.shape == (45, 3)
    np.testing.assert_allclose(np.abs((prepared.components * right[:3].T).sum(axis=0)), 1.0, atol=1e-9)
    assert prepared.df == 45 - 2 - 3
    np.testing.assert_allclose(prepared.residuals @ prepared.components, 0.0, atol=1e-9)
    assert prepare_expression(values[:30]).components.shape == (45, 1)


def by_brute_force(
    expression: Expression, tss: np.ndarray, pos: np.ndarray, dosages: np.ndarray, reach: int
) -> tuple[list[tuple[float, int]], int]:
    """Best |partial r| and its variant of each phenotype, and the number of pairs."""
    x = np.column_stack([np.ones(dosages.shape[1]), expression.components])
    hat = x @ np.linalg.pinv(x)
    y = expression.values - expression.values @ hat
    g = dosages - dosages @ hat
    best, n_pairs = [], 0
    for i, place in enumerate(tss):
        found_here = [(0.0, -1)]
        for j in range(pos.size):
            af = dosages[j].mean() / 2
            if abs(pos[j] - place) <= reach and min(af, 1 - af) >= MIN_MAF:
                n_pairs += 1
                found_here.append((abs(float(np.corrcoef(y[i], g[j])[0, 1])), j))
        best.append(max(found_here))
    return best, n_pairs


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_blocks=st.integers(1, 4))
def test_leads_are_those_of_brute_force(seed: int, n_blocks: int) -> None:
    rng = np.random.default_rng(seed)
    n = 60
    pos = np.sort(rng.choice(5_000, 80, replace=False)) + 1
    dosages = rng.binomial(2, rng.uniform(0.0, 0.5, (80, 1)), (80, n)).astype(np.int8)
    tss = rng.integers(1, 6_000, 45)
    prepared = prepare_expression(rng.standard_normal((45, n)) + rng.standard_normal(n))
    search = LeadSearch(prepared, ["22"] * 45, tss, 300)
    ids = [f"v{j}" for j in range(80)]
    for some in np.array_split(np.arange(80), n_blocks):
        search.add("22", [ids[j] for j in some], pos[some], dosages[some])
    search.add("21", ids, pos, dosages)  # no phenotype is there
    best, n_pairs = by_brute_force(prepared, tss, pos, dosages, 300)
    assert search.n_pairs == n_pairs
    loci = search.choose_loci(max_r2=1.01)  # those of one variant are the same up to rounding
    threshold = MAX_BY_CHANCE / max(n_pairs, 1)
    t = [r * np.sqrt(prepared.df / (1 - r**2)) for r, _ in best]
    strong = [i for i in range(45) if 2 * stats.t.sf(t[i], prepared.df) <= threshold and best[i][1] >= 0]
    strong.sort(key=lambda i: -best[i][0])
    assert loci.phenotypes.tolist() == strong
    assert loci.variants == tuple(ids[best[i][1]] for i in strong)
    assert loci.starts.tolist() == [pos[best[i][1]] - 1 for i in strong]
    np.testing.assert_array_equal(loci.dosages, dosages[[best[i][1] for i in strong]].reshape(-1, n))


def test_the_distance_of_a_lead_is_inclusive() -> None:
    prepared = prepare_expression(np.random.default_rng(1).standard_normal((1, 40)))
    dosages = np.tile(np.array([0, 1, 2, 1], dtype=np.int8), (4, 10))
    search = LeadSearch(prepared, ["chr1"], np.array([1_000]), 100)
    search.add("chr1", list("abcd"), np.array([899, 900, 1_100, 1_101]), dosages)
    assert search.n_pairs == 2
    assert search.spans() == {"chr1": (899, 1_100)}


def test_loci_that_repeat_a_stronger_one_are_left_out() -> None:
    rng = np.random.default_rng(19)
    dosages = rng.binomial(2, 0.5, (3, 200)).astype(np.int8)
    dosages[1] = dosages[0]
    dosages[1, :2] = 2 - dosages[1, :2]
    noise = rng.standard_normal((3, 200))
    prepared = prepare_expression(dosages + 0.5 * noise)
    tss = np.array([1_000, 500_000, 900_000])
    search = LeadSearch(prepared, ["1"] * 3, tss)
    search.add("1", ["a", "b", "c"], tss, dosages)
    assert np.corrcoef(dosages[0], dosages[1])[0, 1] ** 2 > MAX_R2
    assert len(search.choose_loci()) == 2
    assert "c" in search.choose_loci().variants
    assert len(search.choose_loci(max_r2=1.01)) == 3
    assert len(search.choose_loci(max_loci=1)) == 1


def test_permuted_expression_has_too_few_loci() -> None:
    rng = np.random.default_rng(20)
    n_loci = []
    for _ in range(5):
        dosages = rng.binomial(2, 0.4, (3_000, 100)).astype(np.int8)
        prepared = prepare_expression(rng.standard_normal((300, 100)))
        search = LeadSearch(prepared, ["1"] * 300, np.arange(300) * 10_000 + 1)
        search.add("1", [str(j) for j in range(3_000)], np.arange(3_000) * 1_000 + 1, dosages)
        n_loci.append(len(search.choose_loci()))
    assert max(n_loci) < MIN_LOCI
    # Unlinked variants have as many leads by chance as were allowed for.
    assert np.mean(n_loci) == pytest.approx(MAX_BY_CHANCE, abs=5.0)


# ----------------------------------------------------------------------------------------------- real data


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Cis:
    data = shared_data / "geuvadis-eqtl-qtltools"
    return read_cis(data / "genotypes.chr22.vcf.gz", data / "genes.50percent.chr22.bed.gz")


def judge_real(
    cis: Cis, owners: np.ndarray, chosen: np.ndarray | None = None
) -> tuple[Loci, Judgement | None]:
    genes = np.arange(len(cis.genes)) if chosen is None else chosen
    prepared = prepare_expression(cis.expression[genes][:, owners])
    search = LeadSearch(prepared, ["22"] * prepared.chosen.size, cis.tss[genes][prepared.chosen])
    search.add("22", cis.ids, cis.positions, cis.genotypes)
    loci = search.choose_loci()
    if len(loci) < MIN_LOCI:
        return loci, None
    _, judged = match_people(
        prepared.values[loci.phenotypes],
        prepared.components,
        prepared.scales,
        np.arange(len(cis.samples)),
        loci.dosages.astype(float),
        make_folds(cis.samples, prepared.residuals),
    )
    return loci, judged


def test_none_of_the_real_runs_is_a_swap(real: Cis) -> None:
    loci, judged = judge_real(real, np.arange(358))
    assert len(loci) > 200
    assert judged is not None
    assert judged.verdicts.count("match") >= 354
    assert found(judged) == []


@pytest.mark.parametrize("seed", range(3))
def test_three_real_pairs_are_found_and_no_others(real: Cis, seed: int) -> None:
    owners = np.arange(358)
    for a, b in np.random.default_rng(seed).choice(358, (3, 2), replace=False):
        owners[[a, b]] = owners[[b, a]]
    _, judged = judge_real(real, owners)
    assert judged is not None
    assert found(judged) == np.flatnonzero(owners != np.arange(358)).tolist()
    assert judged.best.tolist() == [
        owner if verdict == "swap" else best
        for owner, verdict, best in zip(owners, judged.verdicts, judged.best, strict=True)
    ]


def test_real_expression_in_disorder_has_no_loci_and_few_genes_no_verdict(real: Cis) -> None:
    rng = np.random.default_rng(21)
    loci, judged = judge_real(real, rng.permutation(358))
    assert len(loci) < MIN_LOCI
    assert judged is None
    _, judged = judge_real(real, np.arange(358), np.sort(rng.choice(608, 100, replace=False)))
    assert judged is None or not judged.can_tell


@pytest.mark.slow
def test_swaps_of_real_runs_are_found_hardly_ever_wrongly(real: Cis) -> None:
    n_found = n_exact = 0
    for repeat in range(50):
        owners = np.arange(358)
        for a, b in np.random.default_rng([1, repeat]).choice(358, (3, 2), replace=False):
            owners[[a, b]] = owners[[b, a]]
        _, judged = judge_real(real, owners)
        assert judged is not None
        swapped = np.flatnonzero(owners != np.arange(358)).tolist()
        assert set(found(judged)) <= set(swapped)
        n_found += len(found(judged))
        n_exact += found(judged) == swapped
    assert n_found >= 0.985 * 300
    assert n_exact >= 46
