"""Trans pairs against `glow.gwas.linear_regression`, another engine for the same regressions."""

from __future__ import annotations

import glow.gwas
import numpy as np
import pandas as pd
import pytest

from kgp.eqtl.design import make_design, standardise_genotypes, standardise_phenotypes
from kgp.eqtl.trans import map_trans


@pytest.mark.slow
def test_glow_finds_the_same_pairs(spark):
    """Every variant with every phenotype beside the covariates: the same pairs, slopes and p-values."""
    generator = np.random.default_rng(11)
    n_samples, n_variants, n_phenotypes = 120, 300, 40
    covariates = generator.normal(size=(n_samples, 6))
    genotypes = generator.binomial(2, 0.3, size=(n_variants, n_samples)).astype(np.int8)
    phenotypes = generator.normal(size=(n_phenotypes, n_samples)) + 0.4 * genotypes[:n_phenotypes]
    names = [f"gene{k}" for k in range(n_phenotypes)]
    rows = [(k, values) for k, values in enumerate(genotypes.astype(float).tolist())]
    told = (
        glow.gwas.linear_regression(
            spark.createDataFrame(rows, "variant long, values array<double>"),
            pd.DataFrame(phenotypes.T, columns=names),
            pd.DataFrame(covariates),
        )
        .where("pvalue <= 0.01")
        .toPandas()
        .sort_values(
            ["phenotype", "variant"],
            key=lambda one: one.str[4:].astype(int) if one.name == "phenotype" else one,
        )
    )
    design = make_design(covariates)
    (found,) = map_trans(
        standardise_phenotypes(phenotypes, design),
        standardise_genotypes(genotypes, design),
        np.zeros((n_phenotypes, 2), np.int64),
        design,
        0.01,
    )
    assert len(told) > 50
    assert [names[k] for k in found.phenotype] == told["phenotype"].tolist()
    assert found.variant.tolist() == told["variant"].tolist()
    np.testing.assert_allclose(found.slope, told["effect"], rtol=1e-9)
    np.testing.assert_allclose(found.slope_se, told["stderror"], rtol=1e-9)
    np.testing.assert_allclose(found.p, told["pvalue"], rtol=1e-8)
