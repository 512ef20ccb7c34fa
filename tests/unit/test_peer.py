"""Hidden factors: the updates by the letter of the model, the bound, known factors, and the program `peer`."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import digamma, gammaln, ndtri
from scipy.stats import rankdata

from kgp.eqtl.components import principal_components
from kgp.eqtl.peer import PeerSettings, n_peer_factors, peer
from kgp.errors import InputError, UsageError

N_FACTORS = 10

# peertool takes its numbers as float: 0.001f is 0.0010000000475. The shape of α's prior and so on.
IN_SINGLE = PeerSettings(
    alpha_shape=float(np.float32(0.001)),
    alpha_rate=float(np.float32(0.01)),
    noise_shape=float(np.float32(0.1)),
    value_variance=0.01,
    bound_tolerance=float(np.float32(0.001)),
    variance_tolerance=float(np.float32(0.00000001)),
)


def read_bed(path: Path) -> tuple[list[str], np.ndarray]:
    """Samples, and phenotypes × samples by the inverse normal transform."""
    with gzip.open(path, "rt") as lines:
        header, *rows = (line.rstrip("\n").split("\t") for line in lines)
    return header[6:], to_normal(np.array([row[6:] for row in rows], dtype=float))


def to_normal(values: np.ndarray) -> np.ndarray:
    return ndtri(rankdata(values, axis=1) / (values.shape[1] + 1.0))


@pytest.fixture(scope="module")
def real(bundled: Path) -> np.ndarray:
    return read_bed(bundled / "genes.50percent.chr22.bed.gz")[1]


def canonical_correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of two sets of columns over the same samples, greatest first."""
    bases = [np.linalg.qr(columns - columns.mean(axis=0))[0] for columns in (first, second)]
    return np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)


def read_factors(root: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Precisions, and samples × factors, of a recorded run."""
    with gzip.open(root / "tests" / "data" / "oracles" / "factors" / f"{name}.tsv.gz", "rt") as lines:
        rows = np.array([line.split("\t") for line in list(lines)[1:]], dtype=float)
    return rows[:, 0], rows[:, 1:].T


def simulate(
    n_phenotypes: int, n_samples: int, n_factors: int, *, seed: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Values, and the true samples × factors; noise differs between phenotypes, as in real expression."""
    generator = np.random.default_rng(seed)
    factors = generator.normal(size=(n_samples, n_factors))
    weights = generator.normal(size=(n_phenotypes, n_factors)) * np.linspace(1.0, 0.4, n_factors)
    noise = generator.normal(size=(n_phenotypes, n_samples)) * generator.gamma(
        4.0, 0.25, size=(n_phenotypes, 1)
    )
    return weights @ factors.T + noise, factors


class ByTheLetter:
    """The model of Stegle et al. 2010 with one loop a plate: slow, and written from the formulas alone."""

    def __init__(self, values: np.ndarray, n_factors: int, covariates: np.ndarray) -> None:
        self.y = values.T
        self.n, self.p = self.y.shape
        self.c, self.k = covariates.shape[1], covariates.shape[1] + n_factors
        slopes = np.linalg.lstsq(covariates, self.y, rcond=None)[0]
        left, lengths, right = np.linalg.svd(self.y - covariates @ slopes, full_matrices=False)
        self.x = np.hstack([covariates, left[:, :n_factors]])
        self.x_cov = np.zeros((self.k, self.k))
        w = np.hstack([slopes.T, right[:n_factors].T * lengths[:n_factors]])
        self.w_second = [np.outer(row, row) for row in w]
        self.eps = np.full(self.p, 0.1 / 10.0)
        self.update_alpha()

    def sweep(self) -> None:
        self.update_w()
        self.update_alpha()
        self.update_x()
        self.update_eps()

    def x_second(self, n: int) -> np.ndarray:
        return np.outer(self.x[n], self.x[n]) + self.x_cov

    def update_w(self) -> None:
        self.w, self.w_cov, self.w_second = [], [], []
        for p in range(self.p):
            precision = np.diag(self.alpha)
            pull = np.zeros(self.k)
            for n in range(self.n):
                precision = precision + self.eps[p] * self.x_second(n)
                pull += self.eps[p] * self.y[n, p] * self.x[n]
            self.w_cov.append(np.linalg.inv(precision))
            self.w.append(self.w_cov[p] @ pull)
            self.w_second.append(self.w_cov[p] + np.outer(self.w[p], self.w[p]))

    def update_alpha(self) -> None:
        self.alpha_shape = 0.001 + self.p / 2
        self.alpha_rate = np.array(
            [0.01 + 0.5 * sum(self.w_second[p][k, k] for p in range(self.p)) for k in range(self.k)]
        )
        self.alpha = self.alpha_shape / self.alpha_rate

    def update_x(self) -> None:
        known, hidden = slice(0, self.c), slice(self.c, self.k)
        precision = np.eye(self.k - self.c)
        for p in range(self.p):
            precision = precision + self.eps[p] * self.w_second[p][hidden, hidden]
        self.x_cov = np.zeros((self.k, self.k))
        self.x_cov[hidden, hidden] = np.linalg.inv(precision)
        for n in range(self.n):
            pull = np.zeros(self.k - self.c)
            for p in range(self.p):
                explained = self.w_second[p][hidden, known] @ self.x[n, known]
                pull += self.eps[p] * (self.y[n, p] * self.w[p][hidden] - explained)
            self.x[n, hidden] = self.x_cov[hidden, hidden] @ pull

    def update_eps(self) -> None:
        self.eps_shape = 0.1 + self.n / 2
        self.eps_rate = np.zeros(self.p)
        for p in range(self.p):
            error = 0.0
            for n in range(self.n):
                error += self.y[n, p] ** 2 + 0.01 - 2.0 * self.y[n, p] * (self.x[n] @ self.w[p])
                error += np.trace(self.x_second(n) @ self.w_second[p])
            self.eps_rate[p] = 10.0 + 0.5 * error
        self.eps = self.eps_shape / self.eps_rate

    def bound(self) -> float:
        """Expected log of the joint density plus the entropy of q, term by term."""
        log_2pi = np.log(2.0 * np.pi)
        log_eps = digamma(self.eps_shape) - np.log(self.eps_rate)
        log_alpha = digamma(self.alpha_shape) - np.log(self.alpha_rate)
        total = 0.0
        for p in range(self.p):
            total += 0.5 * self.n * (log_eps[p] - log_2pi) - self.eps[p] * (self.eps_rate[p] - 10.0)
            total += 0.5 * (log_alpha - log_2pi - self.alpha * np.diag(self.w_second[p])).sum()
            total += stats.multivariate_normal.entropy(np.zeros(self.k), self.w_cov[p])
            total += 0.1 * np.log(10.0) - gammaln(0.1) + (0.1 - 1.0) * log_eps[p] - 10.0 * self.eps[p]
            total += stats.gamma.entropy(self.eps_shape, scale=1.0 / self.eps_rate[p])
        hidden = slice(self.c, self.k)
        for n in range(self.n):
            total -= 0.5 * (log_2pi + np.diag(self.x_second(n))[hidden]).sum()
            total += stats.multivariate_normal.entropy(None, self.x_cov[hidden, hidden])
        for k in range(self.k):
            total += 0.001 * np.log(0.01) - gammaln(0.001) + (0.001 - 1.0) * log_alpha[k]
            total += stats.gamma.entropy(self.alpha_shape, scale=1.0 / self.alpha_rate[k])
            total -= 0.01 * self.alpha[k]
        return float(total)


class TestByTheLetter:
    @pytest.mark.parametrize("n_covariates", [0, 1, 3])
    @pytest.mark.parametrize("n_sweeps", [1, 2, 7])
    def test_sweeps_are_those_of_the_formulas(self, n_covariates, n_sweeps):
        values, _ = simulate(17, 13, 3)
        covariates = np.random.default_rng(9).normal(size=(13, n_covariates)) + 0.5
        made = peer(values, 4, covariates=covariates, settings=PeerSettings(max_iterations=n_sweeps))
        slow = ByTheLetter(values, 4, covariates)
        for _ in range(n_sweeps):
            slow.sweep()
        # The sign of a factor is arbitrary: that of the first principal component's largest score here.
        signs = np.sign((made.factors * slow.x[:, n_covariates:]).sum(axis=0))
        weights = np.array(slow.w) * np.concatenate([np.ones(n_covariates), signs])
        assert made.factors == pytest.approx(slow.x[:, n_covariates:] * signs, abs=1e-9)
        assert made.weights == pytest.approx(weights, abs=1e-9)
        assert made.precisions == pytest.approx(slow.alpha, rel=1e-9)
        assert made.noise_precisions == pytest.approx(slow.eps, rel=1e-9)
        residuals = slow.y.T - np.array(slow.w) @ slow.x.T
        assert made.residuals == pytest.approx(residuals, abs=1e-9)
        assert made.residual_variances[-1] == pytest.approx((residuals**2).mean(), rel=1e-9)
        assert made.bounds[-1] == pytest.approx(slow.bound(), rel=1e-9)
        assert made.n_iterations == n_sweeps
        assert not made.has_converged


class TestBound:
    @settings(max_examples=60)
    @given(
        seed=st.integers(0, 2**32 - 1),
        n_phenotypes=st.integers(6, 60),
        n_samples=st.integers(6, 40),
        n_factors=st.integers(1, 3),
        n_covariates=st.integers(0, 2),
        exponent=st.integers(-2, 2),
    )
    def test_it_never_falls(self, seed, n_phenotypes, n_samples, n_factors, n_covariates, exponent):
        generator = np.random.default_rng(seed)
        values = 10.0**exponent * simulate(n_phenotypes, n_samples, 2, seed=seed)[0]
        covariates = generator.normal(size=(n_samples, n_covariates))
        made = peer(values, n_factors, covariates=covariates, settings=PeerSettings(max_iterations=60))
        assert np.diff(made.bounds).min(initial=0.0) >= -1e-10 * np.abs(made.bounds).max()

    def test_it_never_falls_on_real_data(self, real):
        bounds = peer(real, 20, settings=PeerSettings(max_iterations=150)).bounds
        assert bounds.size == 150
        assert np.diff(bounds).min() > 0.0

    def test_either_tolerance_stops(self):
        values, _ = simulate(60, 40, 2)
        by_bound = peer(values, 3, settings=PeerSettings(bound_tolerance=1.0, variance_tolerance=0.0))
        assert by_bound.has_converged
        changes = np.abs(np.diff(by_bound.bounds))
        assert changes[-1] < 1.0 <= changes[:-1].min()
        by_variance = peer(values, 3, settings=PeerSettings(bound_tolerance=0.0, variance_tolerance=1e-4))
        assert by_variance.has_converged
        changes = np.abs(np.diff(by_variance.residual_variances))
        assert changes[-1] < 1e-4 <= changes[:-1].min()


class TestKnownFactors:
    def test_they_are_found_and_superfluous_ones_are_switched_off(self):
        values, factors = simulate(800, 120, 5)
        made = peer(values, 8)
        assert canonical_correlations(made.factors[:, :5], factors).min() > 0.99
        # Weights of variance 1 to 0.16 have precisions of 1 to 6; nothing is left of the other three.
        assert (made.precisions[:5] < 20.0).all()
        assert (made.precisions[5:] > 1000.0).all()
        assert (np.abs(made.weights[:, 5:]).max(axis=0) < 1e-2).all()

    def test_their_noise_is_found(self):
        generator = np.random.default_rng(4)
        deviations = np.repeat([0.5, 1.0, 2.0], 200)
        weights, factors = generator.normal(size=(600, 3)), generator.normal(size=(3, 300))
        values = weights @ factors + deviations[:, None] * generator.normal(size=(600, 300))
        made = peer(values, 3)
        # The prior, Gamma(0.1, 10), counts as 20 squared units, and each value as measured with variance 0.01.
        expected = (300 * (deviations**2 + 0.01) + 20.0) / 300.2
        found = 1.0 / made.noise_precisions
        for deviation in (0.5, 1.0, 2.0):
            group = deviations == deviation
            assert np.median(found[group] / expected[group]) == pytest.approx(1.0, abs=0.02)

    def test_what_covariates_tell_is_not_found_again(self):
        values, factors = simulate(600, 100, 5, seed=2)
        made = peer(values, 3, covariates=factors[:, :2])
        assert canonical_correlations(made.factors, factors[:, 2:]).min() > 0.98
        without = peer(values, 5)
        assert (made.residuals**2).mean() == pytest.approx((without.residuals**2).mean(), rel=0.02)

    def test_a_column_of_ones_takes_the_mean_out(self):
        values, factors = simulate(500, 90, 3, seed=3)
        means = np.random.default_rng(8).normal(size=(500, 1)) * 3.0
        made = peer(values + means, 3, covariates=np.ones((90, 1)))
        assert canonical_correlations(made.factors, factors).min() > 0.99
        assert np.corrcoef(made.weights[:, 0], means[:, 0])[0, 1] > 0.99

    def test_the_same_values_give_the_same_factors_and_turned_ones_turned(self):
        values, _ = simulate(80, 40, 3)
        made, again, turned = peer(values, 3), peer(values.copy(), 3), peer(-values, 3)
        assert made.factors.tolist() == again.factors.tolist()
        assert made.factors == pytest.approx(turned.factors, abs=1e-8)


class TestRealData:
    def test_factors_span_the_leading_principal_components(self, real):
        """They weigh genes by their noise, which components do not: the last of ten turn a little."""
        made = peer(real, N_FACTORS)
        scores = principal_components(real, N_FACTORS).scores
        correlations = canonical_correlations(made.factors, scores)
        assert (correlations[:6] > 0.99).all()
        assert correlations.min() > 0.9

    def test_each_iteration_is_that_of_peer(self, root, real):
        """`peer` as released: single precision, six digits."""
        precisions, factors = read_factors(root, "peer_50_iterations")
        made = peer(real, N_FACTORS, settings=PeerSettings(max_iterations=50))
        signs = np.sign((made.factors * factors).sum(axis=0))
        assert made.factors == pytest.approx(factors * signs, abs=5e-4)
        assert made.precisions == pytest.approx(precisions, rel=5e-4)

    def test_in_double_precision_it_is_peer_to_the_iteration(self, root, real):
        precisions, factors = read_factors(root, "peer_double")
        made = peer(real, N_FACTORS, settings=IN_SINGLE)
        signs = np.sign((made.factors * factors).sum(axis=0))
        assert made.n_iterations == 431  # peer does not count the one in which it stops
        assert made.has_converged
        assert made.factors == pytest.approx(factors * signs, abs=1e-8)
        assert made.precisions == pytest.approx(precisions, rel=1e-8)

    def test_where_peer_stops_its_factors_span_the_same_space(self, root, real):
        """It stops after 141 of 431 iterations; factors still turn within the space, which is the same."""
        factors = read_factors(root, "peer")[1]
        made = peer(real, N_FACTORS)
        assert canonical_correlations(made.factors, factors).min() > 1.0 - 1e-6

    def test_with_covariates_they_span_the_same_space_as_those_of_peer(self, root, bundled, real):
        """The named deviation, covariates that are known exactly, is smaller than a correlation of 0.9999."""
        factors = read_factors(root, "peer_covariates")[1]
        made = peer(real, N_FACTORS, covariates=factors[:, :4])
        correlations = canonical_correlations(made.factors, factors[:, 4:])
        assert correlations.min() > 0.9999
        assert set(np.unique(factors[:, :4])) == {0.0, 1.0}


def test_factors_of_one_contig_are_those_that_others_found_in_the_whole_genome(shared_data):
    """20 PEER factors of 445 people, from the whole genome and another quantification, are published.

    Ours come from the 608 genes of chromosome 22 and 358 of the people. Chance is measured: with the
    people shuffled, 200 times, no canonical correlation comes near. Seen: 0.997 (the greatest), 18 of 20 above
    0.69; those of as many principal components of the same genes are smaller.
    """
    people, values = read_bed(shared_data / "geuvadis-eqtl-qtltools" / "genes.50percent.chr22.bed.gz")
    path = shared_data / "expression" / "tensorqtl" / "GEUVADIS.445_samples.covariates.txt"
    with path.open() as lines:
        header, *rows = (line.rstrip("\n").split("\t") for line in lines)
    columns = [header.index(person) for person in people]
    inferred = [row for row in rows if row[0].startswith("InferredCov")]
    published = np.array([[float(row[j]) for j in columns] for row in inferred]).T
    assert published.shape == (358, 20)
    made = peer(values, 20)
    correlations = canonical_correlations(made.factors, published)
    generator = np.random.default_rng(1)
    by_chance = np.max(
        [canonical_correlations(generator.permutation(made.factors), published) for _ in range(200)],
        axis=0,
    )
    assert (correlations[:10] > 0.95).all()
    assert (correlations[:17] > 0.7).all()
    assert (correlations[:17] > 2.0 * by_chance[:17]).all()
    scores = principal_components(values, 20).scores
    assert correlations.sum() > canonical_correlations(scores, published).sum()


def test_the_number_of_factors_is_gtexs():
    expected = {1: 15, 149: 15, 150: 30, 249: 30, 250: 45, 349: 45, 350: 60, 10_000: 60}
    assert {n: n_peer_factors(n) for n in expected} == expected


class TestBadInput:
    def test_a_missing_value_is_refused_by_phenotype(self):
        values, _ = simulate(30, 20, 2)
        values[4, 7] = np.nan
        with pytest.raises(InputError, match=r"Phenotype 4 \(counted from 0\) has missing"):
            peer(values, 2)

    @pytest.mark.parametrize("n_factors", [0, -3])
    def test_no_factors_are_refused(self, n_factors):
        with pytest.raises(UsageError, match=f"{n_factors} hidden factors cannot be inferred"):
            peer(simulate(30, 20, 2)[0], n_factors)

    def test_more_factors_than_people_are_refused(self):
        values, _ = simulate(30, 20, 2)
        with pytest.raises(
            InputError, match=r"18 hidden factors and 2 covariates .* 20 people .* at most 19"
        ):
            peer(values, 18, covariates=np.random.default_rng(1).normal(size=(20, 2)))
        assert peer(values, 19, settings=PeerSettings(max_iterations=2)).factors.shape == (20, 19)

    def test_covariates_of_other_people_are_refused(self):
        with pytest.raises(InputError, match="The covariates are of 19 people, the phenotypes of 20"):
            peer(simulate(30, 20, 2)[0], 2, covariates=np.ones((19, 1)))

    def test_collinear_covariates_are_refused(self):
        column = np.random.default_rng(1).normal(size=(20, 1))
        with pytest.raises(InputError, match=r"Covariate 1 \(counted from 0\) is a combination"):
            peer(simulate(30, 20, 2)[0], 2, covariates=np.hstack([column, 3.0 * column]))

    @pytest.mark.filterwarnings("ignore::RuntimeWarning")
    def test_values_whose_squares_overflow_are_refused(self):
        with pytest.raises(InputError, match=r"too large: their squares overflow.*inverse normal transform"):
            peer(simulate(30, 20, 2)[0] * 1e300, 2)

    def test_a_missing_covariate_is_refused(self):
        with pytest.raises(InputError, match=r"Covariate 0 \(counted from 0\) has missing values"):
            peer(simulate(30, 20, 2)[0], 2, covariates=np.full((20, 1), np.nan))


def test_priors_matter():
    """The prior of the noise is a variance of 100: with few people it is felt, and can be set."""
    values, _ = simulate(40, 10, 1)
    strict = peer(values, 1, settings=PeerSettings(max_iterations=50))
    loose = peer(values, 1, settings=replace(PeerSettings(max_iterations=50), noise_rate=0.1))
    assert (loose.noise_precisions > strict.noise_precisions).all()
