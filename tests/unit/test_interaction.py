"""Interactions against least squares of every pair written out, R's way of testing a term, and tensorQTL's results."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cis_data import read_cis
from kgp.eqtl.interaction import InteractionPairs, map_interactions
from kgp.eqtl.interaction_design import make_interaction, prepare_genotypes, prepare_phenotypes
from kgp.errors import InputError

TERMS = ("g", "i", "gi")


def map_all(phenotypes, genotypes, windows, values, covariates, min_maf=0.05, lost_df=0, **options):
    interaction = make_interaction(values, covariates, lost_df)
    return list(
        map_interactions(
            prepare_phenotypes(phenotypes, interaction),
            prepare_genotypes(genotypes, interaction, min_maf),
            np.asarray(windows),
            interaction,
            **options,
        )
    )


def join(batches: list[InteractionPairs], name: str) -> np.ndarray:
    """A column of all batches: ``phenotype`` or ``gi.slope_se``."""
    columns = []
    for batch in batches:
        value: object = batch
        for part in name.split("."):
            value = getattr(value, part)
        columns.append(value)
    return np.concatenate(columns)


def make_data(seed=1, n_samples=80, n_covariates=3, n_variants=25, n_phenotypes=4):
    generator = np.random.default_rng(seed)
    covariates = generator.normal(size=(n_samples, n_covariates))
    values = generator.normal(size=n_samples) + 0.5 * covariates[:, 0] + 4.0
    genotypes = generator.binomial(2, 0.35, size=(n_variants, n_samples)).astype(np.int8)
    phenotypes = generator.normal(size=(n_phenotypes, n_samples))
    phenotypes += generator.normal(size=n_covariates) @ covariates.T + 0.7 * values * genotypes[:n_phenotypes]
    return phenotypes, genotypes, values, covariates


def regress(y, g, i, covariates, lost_df=0):
    """Slope, SE and p of g, i and g × i in y ~ 1 + g + i + g × i + covariates, by numpy's lstsq."""
    X = np.column_stack([g, i, g * i, np.ones_like(y), covariates])
    beta = np.linalg.lstsq(X, y, rcond=None)[0]
    df = y.size - X.shape[1] - lost_df
    variance = ((y - X @ beta) ** 2).sum() / df
    se = np.sqrt(variance * np.diag(np.linalg.inv(X.T @ X)))
    return [(beta[k], se[k], 2 * stats.t.sf(abs(beta[k] / se[k]), df)) for k in range(3)]


@pytest.mark.parametrize("lost_df", [0, 7])
def test_every_pair_is_the_regression_written_out(lost_df):
    phenotypes, genotypes, values, covariates = make_data()
    batches = map_all(phenotypes, genotypes, [[0, 25]] * 4, values, covariates, 0.0, lost_df)
    expected = np.array(
        [[regress(y, g, values, covariates, lost_df) for g in genotypes.astype(float)] for y in phenotypes]
    )
    assert join(batches, "phenotype").tolist() == np.repeat(np.arange(4), 25).tolist()
    assert join(batches, "variant").tolist() == np.tile(np.arange(25), 4).tolist()
    for k, term in enumerate(TERMS):
        for m, field in enumerate(("slope", "slope_se", "p")):
            found = join(batches, f"{term}.{field}").reshape(4, 25)
            np.testing.assert_allclose(found, expected[:, :, k, m], rtol=1e-7, err_msg=f"{term}.{field}")
    np.testing.assert_allclose(join(batches, "neg_log10_p_gi"), -np.log10(join(batches, "gi.p")), rtol=1e-10)


def test_p_of_the_product_is_that_of_comparing_two_models():
    """As R's anova does: the residual sums of squares with and without the product."""
    phenotypes, genotypes, values, covariates = make_data(2)
    batches = map_all(phenotypes[:1], genotypes, [[0, 25]], values, covariates, 0.0)
    for g, p in zip(genotypes.astype(float), join(batches, "gi.p"), strict=True):
        small = np.column_stack([np.ones(80), covariates, g, values])
        large = np.column_stack([small, g * values])
        rss = [np.linalg.lstsq(X, phenotypes[0], rcond=None)[1][0] for X in (small, large)]
        f = (rss[0] - rss[1]) / (rss[1] / (80 - large.shape[1]))
        assert p == pytest.approx(stats.f.sf(f, 1, 80 - large.shape[1]), rel=1e-7)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 10**6),
    st.floats(-1e4, 1e4),
    st.floats(1e-3, 1e3),
    st.integers(1, 60),
)
def test_units_and_blocks_change_nothing(seed, shift, scale, n_at_once):
    """The covariate's unit changes slopes as it must, and no p of the product."""
    phenotypes, genotypes, values, covariates = make_data(seed)
    windows = [[0, 25], [3, 9], [5, 5], [20, 25]]
    plain = map_all(phenotypes, genotypes, windows, values, covariates)
    other = map_all(phenotypes, genotypes, windows, shift + scale * values, covariates, n_at_once=n_at_once)
    for name in ("phenotype", "variant"):
        np.testing.assert_array_equal(join(plain, name), join(other, name))
    np.testing.assert_allclose(join(other, "gi.slope") * scale, join(plain, "gi.slope"), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(join(other, "gi.p"), join(plain, "gi.p"), rtol=1e-6)
    expected = join(plain, "g.slope") - shift * join(other, "gi.slope")
    np.testing.assert_allclose(
        join(other, "g.slope"), expected, rtol=1e-6, atol=1e-9 * (1 + abs(shift) / scale)
    )


def test_halves_are_those_of_the_order_and_rare_variants_are_left_out():
    """Among the lower half a variant is missing: only its product with the covariate could have told."""
    phenotypes, genotypes, values, covariates = make_data(3)
    order = np.argsort(values)
    genotypes[4, order[:40]] = 0
    genotypes[5, order[40:]] = 2
    genotypes[6] = 0
    genotypes[6, order[[0, 1, 2, 3, 40, 41, 42, 43]]] = 1  # 4 alleles of 80 in each half: 0.05 exactly
    genotypes[7] = 0
    genotypes[7, order[[0, 1, 2, 40, 41, 42, 43, 44]]] = 1
    interaction = make_interaction(values, covariates)
    assert set(np.flatnonzero(interaction.is_upper)) == set(order[40:])
    prepared = prepare_genotypes(genotypes, interaction, 0.05)
    assert np.flatnonzero(prepared.is_rare).tolist() == [4, 5, 7]
    found = map_all(phenotypes, genotypes, [[0, 25]] * 4, values, covariates)
    assert not {4, 5, 7} & set(join(found, "variant").tolist())
    assert join(found, "variant").size == 4 * 22


def test_equal_values_are_halved_as_they_come():
    values = np.array([0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    assert make_interaction(values, np.empty((7, 0))).is_upper.tolist() == [
        False, True, False, False, True, True, True,
    ]  # fmt: skip


def test_what_cannot_be_told_apart_is_left_out():
    """Carriers in one group of a two-valued covariate alone: the product is the dosage itself."""
    phenotypes, genotypes, _, covariates = make_data(4)
    sex = (np.arange(80) % 2).astype(float)
    genotypes[0] = genotypes[0] * sex
    genotypes[1] = 1
    genotypes[2] = 2 * sex
    interaction = make_interaction(sex, covariates)
    prepared = prepare_genotypes(genotypes, interaction, 0.0)
    assert np.flatnonzero(prepared.is_collinear).tolist() == [0, 1, 2]
    assert not prepared.is_rare.any()
    phenotypes[1] = 3.0
    phenotypes[2] = covariates[:, 1]
    found = map_all(phenotypes, genotypes, [[0, 25]] * 4, sex, covariates, 0.0)
    assert set(join(found, "phenotype").tolist()) == {0, 3}
    assert join(found, "variant").min() == 3
    assert all(
        np.isfinite(join(found, f"{term}.{field}")).all() for term in TERMS for field in ("slope", "p")
    )


def test_a_perfect_fit_has_finite_numbers():
    _, genotypes, values, covariates = make_data(5)
    phenotype = 2.0 + genotypes[3] - 0.5 * values + 0.25 * genotypes[3] * values
    (found,) = map_all(phenotype[None], genotypes[3:4], [[0, 1]], values, covariates, 0.0)
    assert found.gi.slope[0] == pytest.approx(0.25)
    assert found.g.slope[0] == pytest.approx(1.0)
    assert found.i.slope[0] == pytest.approx(-0.5)
    assert np.isfinite([found.gi.slope_se[0], found.neg_log10_p_gi[0]]).all()
    assert found.gi.p[0] < 1e-200
    assert found.neg_log10_p_gi[0] > 200


def test_the_null_is_uniform():
    """Phenotypes of i and g without their product, each with a variant of its own."""
    _, genotypes, values, covariates = make_data(6, n_samples=60)
    phenotypes = np.random.default_rng(7).normal(size=(2000, 60)) + 0.8 * values + 0.5 * genotypes[0]
    windows = [[k % 25, k % 25 + 1] for k in range(2000)]
    found = map_all(phenotypes, genotypes, windows, values, covariates)
    assert stats.kstest(join(found, "gi.p"), "uniform").pvalue > 0.01
    assert (join(found, "gi.p") <= 0.05).mean() == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v, c: (np.where(np.arange(80) < 2, np.nan, v), c), "is missing for 2 of 80 people"),
        (lambda v, c: (np.ones(80), c), "is constant"),
        (lambda v, c: (3.0 - 2.0 * c[:, 1] + c[:, 0], c), "is a combination of the other covariates"),
        (lambda v, c: (v[:7], c[:7]), "7 people are too few for 5 covariates"),
        (
            lambda v, c: (v, np.column_stack([c, c[:, 0]])),
            r"Covariate 3 .* is a combination of those before it",
        ),
    ],
    ids=["missing", "constant", "collinear", "few people", "collinear covariates"],
)
def test_a_covariate_that_cannot_interact_is_refused(change, message):
    _, _, values, covariates = make_data()
    with pytest.raises(InputError, match=message):
        make_interaction(*change(values, covariates))


def test_bad_input_is_refused():
    phenotypes, genotypes, values, covariates = make_data()
    with pytest.raises(InputError, match=r"Phenotype 2 .* missing or infinite"):
        map_all(
            np.where(np.arange(4)[:, None] == 2, np.nan, phenotypes),
            genotypes,
            [[0, 25]] * 4,
            values,
            covariates,
        )
    missing = np.where(np.arange(25)[:, None] == 3, np.nan, genotypes)
    with pytest.raises(InputError, match=r"Variant 3 .* missing or infinite"):
        map_all(phenotypes, missing, [[0, 25]] * 4, values, covariates)
    with pytest.raises(InputError, match="window 0 to 26 of phenotype 0"):
        map_all(phenotypes, genotypes, [[0, 26]] * 4, values, covariates)


# ------------------------------------------------------------------------------------------------- tensorQTL


def read_recorded(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt") as lines:
        names = next(lines).split()
        return [dict(zip(names, line.split(), strict=True)) for line in lines]


def test_pairs_are_those_of_tensorqtl(root, bundled):
    """Recorded in single precision: every 53rd pair of eight genes, and how many each gene has."""
    place = root / "tests" / "data" / "oracles" / "tensorqtl"
    rows = read_recorded(place / "interaction.tsv.gz")
    told = dict(line.split() for line in (place / "interaction_counts.tsv").read_text().splitlines())
    cis = read_cis(
        bundled / "genotypes.chr22.vcf.gz", bundled / "genes.50percent.chr22.bed.gz", 44_300_000, 46_700_000
    )
    i = np.arange(358)
    covariates = np.column_stack([np.cos((k + 1) * i * i / 97.0) for k in range(5)])
    found = map_all(
        cis.expression[:8], cis.genotypes, cis.windows[:8], 3.0 + np.sin(i * i / 31.0), covariates
    )
    genes = [cis.genes[k] for k in join(found, "phenotype")]
    assert {gene: genes.count(gene) for gene in cis.genes[:8]} == {gene: int(n) for gene, n in told.items()}
    assert len(rows) > 600
    columns = {"b_g": "g.slope", "b_g_se": "g.slope_se", "b_i": "i.slope", "b_i_se": "i.slope_se"}
    columns |= {
        "b_gi": "gi.slope",
        "b_gi_se": "gi.slope_se",
        "pval_gi": "gi.p",
        "pval_g": "g.p",
        "pval_i": "i.p",
    }
    chosen = np.arange(0, len(genes), 53)
    assert [genes[k] for k in chosen] == [row["phenotype_id"] for row in rows]
    assert [cis.ids[k] for k in join(found, "variant")[chosen]] == [
        row["variant_id"].split(":")[0] for row in rows
    ]
    for theirs, ours in columns.items():
        expected = np.array([float(row[theirs]) for row in rows])
        # A slope near 0 has an error that goes by its standard error.
        atol = 1e-4 * np.abs(join(found, ours)[chosen]).mean()
        np.testing.assert_allclose(join(found, ours)[chosen], expected, rtol=2e-4, atol=atol, err_msg=theirs)
