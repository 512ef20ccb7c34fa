"""Fine-mapping against exact evidences written out, tensorQTL's recorded fits, and what simulations must give."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax
from scipy.stats import multivariate_normal

from cis_data import read_cis
from kgp.eqtl.design import make_design, standardise_genotypes, standardise_phenotypes
from kgp.eqtl.susie import SusieFit, SusieOptions, fit_susie
from kgp.errors import InputError

ORACLES = Path(__file__).parents[1] / "data" / "oracles" / "mapping"
ONCE = {"max_iterations": 1}


def unit(rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).sum(axis=-1, keepdims=True))


def fit(phenotype: np.ndarray, genotypes: np.ndarray, **options) -> SusieFit:
    """Each variant as a vector of its own."""
    return fit_susie(unit(phenotype), unit(genotypes), np.arange(len(genotypes)), SusieOptions(**options))


def draw_genotypes(generator: np.random.Generator, n_samples=200, n_variants=60, stays=0.9) -> np.ndarray:
    """Variants × samples of two haplotypes each, whose neighbours are alike."""
    haplotypes = np.empty((n_variants, 2 * n_samples))
    haplotypes[0] = generator.uniform(size=2 * n_samples) < 0.4
    for i in range(1, n_variants):
        drawn = generator.uniform(size=2 * n_samples) < generator.uniform(0.2, 0.5)
        haplotypes[i] = np.where(generator.uniform(size=2 * n_samples) < stays, haplotypes[i - 1], drawn)
    return haplotypes.reshape(n_variants, n_samples, 2).sum(axis=2)


def make_data(seed=2, **given):
    """A phenotype of variants 10 and 45."""
    generator = np.random.default_rng(seed)
    genotypes = draw_genotypes(generator, **given)
    phenotype = 0.9 * genotypes[10] - 0.8 * genotypes[45] + generator.normal(size=genotypes.shape[1])
    return phenotype, genotypes


# ------------------------------------------------------------------------------------------------ exact evidences


@pytest.mark.parametrize("null_weight", [0.0, 0.3])
def test_one_effect_has_the_exact_evidence_and_posterior(null_weight):
    """One effect, prior variance 0.2 and residual variance 1: y ~ N(0, I + 0.2 xx') for each variant x."""
    phenotype, genotypes = make_data(n_samples=60, n_variants=50)
    found = fit(phenotype, genotypes, n_effects=1, null_weight=null_weight, **ONCE)
    y, x = unit(phenotype) * np.sqrt(59), unit(genotypes) * np.sqrt(59)
    log_likelihoods = [multivariate_normal.logpdf(y, cov=np.eye(60) + 0.2 * np.outer(row, row)) for row in x]
    of_none = multivariate_normal.logpdf(y, cov=np.eye(60))
    log_prior = np.log((1 - null_weight) / 50)
    joint = np.array([*(log_likelihoods + log_prior), of_none + np.log(max(null_weight, 1e-300))])
    np.testing.assert_allclose(found.alpha[0], softmax(joint)[:50], rtol=1e-8)
    np.testing.assert_allclose(found.pip, found.alpha[0], rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(found.elbo, [logsumexp(joint)], rtol=1e-10)
    np.testing.assert_allclose(found.log_bf, [logsumexp(joint) - of_none], rtol=1e-8)
    variance = 1 / (1 / 0.2 + (x**2).sum(axis=1))
    np.testing.assert_allclose(found.mu[0], variance * (x @ y), rtol=1e-9)
    np.testing.assert_allclose(found.mu2[0], variance + found.mu[0] ** 2, rtol=1e-9)
    of_null = 0.2 * softmax(joint)[50]
    np.testing.assert_allclose(
        found.prior_variances, [(found.alpha[0] * found.mu2[0]).sum() + of_null], rtol=1e-9
    )
    np.testing.assert_allclose(found.posterior_mean, found.alpha[0] * found.mu[0], rtol=1e-12)
    drawn = found.alpha[0] * found.mu2[0] - (found.alpha[0] * found.mu[0]) ** 2
    np.testing.assert_allclose(found.posterior_sd, np.sqrt(drawn), rtol=1e-9)


def test_the_bound_grows_with_each_round_and_ends_below_the_tolerance():
    found = fit(*make_data(), tolerance=1e-6)
    growth = np.diff(found.elbo)
    assert found.converged
    assert (growth > -1e-8).all()
    assert growth[-1] < 1e-6 <= growth[:-1].min()
    assert not fit(*make_data(), **ONCE).converged


def test_a_set_that_may_be_no_variant_is_none():
    generator = np.random.default_rng(5)
    genotypes = draw_genotypes(generator)
    phenotype = genotypes[10] * 0.35 + generator.normal(size=200)
    assert len(fit(phenotype, genotypes, min_purity=0.0).credible_sets) == 1
    assert fit(phenotype, genotypes, min_purity=0.0, null_weight=0.99999).credible_sets == ()


# -------------------------------------------------------------------------------------------------- credible sets


def test_sets_are_the_fewest_variants_with_their_purity():
    phenotype, genotypes = make_data()
    found = fit(phenotype, genotypes)
    assert [{10, 45} & set(one.variants.tolist()) for one in found.credible_sets] in (
        [{10}, {45}],
        [{45}, {10}],
    )
    bayes_factors = [one.log10_bf for one in found.credible_sets]
    assert bayes_factors == sorted(bayes_factors, reverse=True)
    for one in found.credible_sets:
        alpha = found.alpha[one.effect]
        assert one.log10_bf == pytest.approx(found.log_bf[one.effect] / np.log(10))
        assert one.coverage >= 0.95
        assert one.coverage == pytest.approx(alpha[one.variants].sum())
        assert alpha[one.variants[:-1]].sum() < 0.95
        assert (np.diff(alpha[one.variants]) <= 0).all()
        assert alpha[one.variants].min() >= np.delete(alpha, one.variants).max()
        correlations = np.abs(np.atleast_2d(np.corrcoef(genotypes[one.variants])))
        assert one.purity == pytest.approx(correlations.min())
    wide = fit(phenotype, genotypes, coverage=0.999)
    assert sum(len(one.variants) for one in wide.credible_sets) > sum(
        len(one.variants) for one in found.credible_sets
    )
    purest = max(one.purity for one in found.credible_sets)
    assert all(one.purity >= purest for one in fit(phenotype, genotypes, min_purity=purest).credible_sets)


def test_a_set_of_many_vectors_has_the_purity_of_all_of_them():
    """More members than are looked at together."""
    generator = np.random.default_rng(2)
    base = generator.normal(size=300)
    genotypes = base + 0.1 * generator.normal(size=(1200, 300))
    found = fit(base + 1.5 * generator.normal(size=300), genotypes, n_effects=1)
    (one,) = found.credible_sets
    assert len(one.variants) > 600
    assert one.purity == pytest.approx(np.abs(np.corrcoef(genotypes[one.variants])).min())


def test_effects_with_the_same_set_count_once():
    """Two effects of one variant alone, which share what it explains."""
    phenotype, genotypes = make_data()
    found = fit(phenotype, genotypes[10:11], n_effects=5)
    assert [one.variants.tolist() for one in found.credible_sets] == [[0]]
    assert found.alpha.shape == (1, 1)


def test_a_phenotype_that_is_a_variant():
    _, genotypes = make_data()
    found = fit(genotypes[7] * 3.0, genotypes[[3, 7, 20]])
    assert [one.variants.tolist() for one in found.credible_sets] == [[1]]
    assert np.isfinite(found.elbo).all()
    assert found.pip[1] == 1.0


@pytest.mark.parametrize("n_variants", [0, 4])
def test_what_is_no_window_is_refused(n_variants):
    with pytest.raises(InputError, match="are no window of a phenotype of 11"):
        fit_susie(np.zeros(11), np.zeros((n_variants, 12)), np.arange(n_variants))
    with pytest.raises(InputError, match="0 variants of 11 people"):
        fit_susie(np.zeros(11), np.zeros((3, 11)), np.arange(0))


# ---------------------------------------------------------------------------------------------------- properties


@given(seed=st.integers(0, 2**20), order=st.permutations(range(30)), flipped=st.sets(st.integers(0, 29)))
def test_order_and_sign_of_variants_change_nothing(seed, order, flipped):
    generator = np.random.default_rng(seed)
    genotypes = draw_genotypes(generator, n_samples=80, n_variants=30)
    genotypes += 1e-3 * generator.normal(size=genotypes.shape)  # none as probable as another
    phenotype = generator.normal(size=80) + generator.normal() * genotypes[4]
    signs = np.array([-1.0 if i in flipped else 1.0 for i in range(30)])
    plain = fit(phenotype, genotypes)
    turned = fit(phenotype, (signs[:, np.newaxis] * genotypes)[order])
    assert ((plain.pip >= 0) & (plain.pip <= 1)).all()
    np.testing.assert_allclose(turned.pip, plain.pip[order], atol=1e-7)
    np.testing.assert_allclose(turned.posterior_mean, (signs * plain.posterior_mean)[order], atol=1e-7)
    assert [[order[i] for i in one.variants] for one in turned.credible_sets] == [
        one.variants.tolist() for one in plain.credible_sets
    ]


@given(seed=st.integers(0, 2**20))
def test_copies_of_a_variant_are_as_probable_as_it_is(seed):
    """Distinct vectors with their copies against all variants one by one."""
    generator = np.random.default_rng(seed)
    genotypes = draw_genotypes(generator, n_samples=80, n_variants=20)
    vector_of = generator.integers(0, 20, size=50)
    phenotype = generator.normal(size=80) + 0.8 * genotypes[vector_of[3]]
    together = fit_susie(unit(phenotype), unit(genotypes), vector_of)
    apart = fit(phenotype, genotypes[vector_of])
    np.testing.assert_allclose(together.alpha, apart.alpha, atol=1e-9)
    np.testing.assert_allclose(together.elbo, apart.elbo, rtol=1e-10)
    assert [one.variants.size for one in together.credible_sets] == [
        one.variants.size for one in apart.credible_sets
    ]
    for i in range(20):
        assert np.unique(together.pip[vector_of == i]).size <= 1


# --------------------------------------------------------------------------------------------------- simulations


def test_a_null_phenotype_has_hardly_ever_a_credible_set():
    generator = np.random.default_rng(11)
    genotypes = draw_genotypes(generator, n_variants=150)
    found = [fit(generator.normal(size=200), genotypes) for _ in range(300)]
    assert np.mean([bool(one.credible_sets) for one in found]) <= 0.05
    assert np.mean([one.prior_variances.any() for one in found]) <= 0.25


def test_credible_sets_have_a_true_variant_as_often_as_they_say():
    """Two variants that act, in linkage disequilibrium with their neighbours."""
    generator = np.random.default_rng(12)
    n_sets = n_true = n_found = 0
    for _ in range(600):
        genotypes = draw_genotypes(generator, n_variants=100, stays=0.85)
        true = generator.choice(100, 2, replace=False)
        effects = generator.choice([-1, 1], 2) * generator.uniform(0.4, 0.9, size=2)
        sets = fit(effects @ genotypes[true] + generator.normal(size=200), genotypes).credible_sets
        held = [set(true.tolist()) & set(one.variants.tolist()) for one in sets]
        n_sets += len(held)
        n_true += sum(map(bool, held))
        n_found += len(set().union(*held))
    assert n_sets > 700
    assert n_true / n_sets > 0.95 - 3 * np.sqrt(0.95 * 0.05 / n_sets)
    assert n_found > 0.6 * 1200


# ------------------------------------------------------------------------------------------------------ tensorQTL


def read_oracle(name: str) -> list[dict[str, str]]:
    with gzip.open(ORACLES / f"tensorqtl_susie_{name}.tsv.gz", "rt") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


@pytest.fixture(scope="module")
def mapped(bundled: Path) -> dict[str, tuple[SusieFit, float, np.ndarray, np.ndarray]]:
    """Gene → fit, length of the phenotype, lengths of its variants, and their places in the VCF."""
    cis = read_cis(bundled / "genotypes.chr22.vcf.gz", bundled / "genes.50percent.chr22.bed.gz")
    i = np.arange(358)
    design = make_design(np.column_stack([np.cos((k + 1) * i * i / 97.0) for k in range(5)]))
    phenotypes = standardise_phenotypes(cis.expression, design)
    found = {}
    for row in read_oracle("fits"):
        k = cis.genes.index(row["phenotype_id"])
        first, last = cis.windows[k]
        genotypes = standardise_genotypes(cis.genotypes[first:last], design)
        tested = np.flatnonzero(~genotypes.is_constant)
        one = fit_susie(phenotypes.values[k], genotypes.values[tested], np.arange(tested.size))
        found[row["phenotype_id"]] = one, phenotypes.lengths[k], genotypes.lengths[tested], first + tested
    return found


def test_fits_are_tensorqtls(mapped):
    for row in read_oracle("fits"):
        one, length, _, places = mapped[row["phenotype_id"]]
        variance = length**2 / 357
        assert int(row["n_variants"]) == places.size
        assert (int(row["n_iterations"]), row["converged"]) == (one.elbo.size, str(one.converged))
        assert one.elbo[-1] - 179 * np.log(variance) == pytest.approx(float(row["elbo"]), rel=1e-6)
        assert one.residual_variance * variance == pytest.approx(float(row["sigma2"]), rel=1e-5)
        expected = [np.array(row[name].split(","), dtype=float) for name in ("V", "lbf")]
        np.testing.assert_allclose(one.prior_variances * variance, expected[0], rtol=1e-4, atol=1e-9)
        np.testing.assert_allclose(one.log_bf, expected[1], rtol=1e-4, atol=1e-6)


def test_inclusion_probabilities_and_effects_are_tensorqtls(mapped):
    recorded: dict[str, list[dict[str, str]]] = {gene: [] for gene in mapped}
    for row in read_oracle("pips"):
        recorded[row["phenotype_id"]].append(row)
    for gene, rows in recorded.items():
        one, length, lengths, places = mapped[gene]
        at = np.searchsorted(places, [int(row["variant_id"]) for row in rows])
        pips, means, sds = (
            np.array([float(row[name]) for row in rows]) for name in ("pip", "posterior_mean", "posterior_sd")
        )
        np.testing.assert_allclose(one.pip[at], pips, atol=1e-4)
        np.testing.assert_allclose(one.posterior_mean[at] * length / lengths[at], means, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(one.posterior_sd[at] * length / lengths[at], sds, rtol=1e-3, atol=1e-4)
        assert np.delete(one.pip, at).max() < 1.001e-3


def test_credible_sets_are_tensorqtls(mapped):
    expected = {(row["phenotype_id"], int(row["effect"])): row for row in read_oracle("sets")}
    found = {(gene, s.effect): s for gene, (one, *_) in mapped.items() for s in one.credible_sets}
    assert found.keys() == expected.keys()
    assert len(expected) > 40
    members = {(row["phenotype_id"], row["effect"], row["variant_id"]) for row in read_oracle("pips")}
    for (gene, effect), one in found.items():
        row = expected[gene, effect]
        assert one.variants.size == int(row["size"])
        assert one.coverage == pytest.approx(float(row["coverage"]), abs=1e-4)
        # tensorQTL looks at a hundred of the members at most.
        is_exact = one.variants.size <= 100
        assert one.purity <= float(row["purity"]) + 1e-6
        assert not is_exact or one.purity == pytest.approx(float(row["purity"]), abs=1e-6)
        fit, _, _, places = mapped[gene]
        last = fit.alpha[effect, one.variants[-1]]
        # Which of equally probable variants is the last is any program's own; rare ones are not recorded.
        for i in one.variants[fit.pip[one.variants] > 1.001e-3].tolist():
            is_tied = np.isclose(fit.alpha[effect, i], last, rtol=1e-6)
            assert is_tied or (gene, str(effect), str(places[i])) in members
