"""`kgp eqtl map` with the modes independent, interaction and trans, on sets written from arrays; without Spark."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kgp import tables as t
from kgp.eqtl.conditional import map_independent
from kgp.eqtl.design import make_design
from kgp.eqtl.distinct import find_distinct
from kgp.eqtl.permutation import draw_permutations
from kgp.errors import InputError, UsageError
from map_sets import MadeSet, make_set, map_set, read_rows
from report_lake import load_row

FDR = 0.2
NO_EGENE = "phenotype that is no eGene of the permutation pass"


def with_two_signals(**given) -> MadeSet:
    """Each second phenotype with two variants of its window."""
    made = make_set(n_samples=150, **given)
    for k in range(0, len(made.tss), 2):
        here = np.flatnonzero(
            (np.abs(made.positions - made.tss[k]) <= 1500)
            & (np.asarray(made.contigs) == made.phenotype_contigs[k])
        )
        made.phenotypes[k] += 2.0 * made.genotypes[here[0]] - 1.8 * made.genotypes[here[-1]]
    return made


def window_of(made: MadeSet, k: int, width: int = 1500) -> np.ndarray:
    """Variants near a phenotype, counted over all of the set."""
    is_here = np.asarray(made.contigs) == made.phenotype_contigs[k]
    return np.flatnonzero((np.abs(made.positions - made.tss[k]) <= width) & is_here)


# -------------------------------------------------------------------------------------------------- independent


@pytest.mark.parametrize("model", ["fastqtl", "qtltools"])
def test_independent_rows_are_the_signals_of_the_egenes(tmp_path, model):
    made = with_two_signals()
    made.write(tmp_path)
    map_set(tmp_path, mode="permute", model=model, fdr=FDR)
    report = map_set(tmp_path, mode="independent", model=model, fdr=FDR)
    top = {row["phenotype_id"]: row for row in read_rows(tmp_path, t.EQTL_TOP).to_pylist() if row["is_egene"]}
    rows = read_rows(tmp_path, t.EQTL_INDEPENDENT).to_pylist()
    assert {row["phenotype_id"] for row in rows} <= top.keys()
    assert max(row["rank"] for row in rows) > 1
    design = make_design(made.covariates, model)
    expected = []
    for name, row in top.items():
        k = made.phenotype_ids.index(name)
        window = window_of(made, k)
        threshold = max(one["p_beta"] for one in top.values()) if model == "fastqtl" else row["p_threshold"]
        expected += [
            (
                name,
                signal.rank,
                made.variant_ids[window[int(signal.best.pair.variant[0])]],
                signal.best.p_beta,
            )
            for signal in map_independent(
                made.phenotypes[k : k + 1],
                find_distinct(made.genotypes[window], design),
                np.array([[0, window.size]]),
                [made.positions[window] - made.tss[k]],
                draw_permutations(150, 100, 1),
                made.covariates,
                design,
                np.array([threshold]),
            )
        ]
    expected.sort()
    assert [(row["phenotype_id"], row["rank"], row["variant_id"]) for row in rows] == [
        one[:3] for one in expected
    ]
    np.testing.assert_allclose([row["p_beta"] for row in rows], [one[3] for one in expected], rtol=1e-9)
    genes = [row["phenotype_id"] for row in rows]
    several = sum(genes.count(gene) > 1 for gene in set(genes))
    figures = report.details["figures"]
    assert (figures["n_egenes"], figures["n_signals"]) == (len(top), len(rows))
    assert figures["n_several"] == several
    assert report.details["n_phenotypes"] == len(top)
    n_others = len(made.phenotype_ids) - len(top)
    assert n_others > 0
    assert report.details["dropped"][NO_EGENE] == n_others
    assert any("more than one" in note for note in report.notes)


def test_the_last_of_all_significant_phenotypes_keeps_its_signal(tmp_path):
    """Its p_value is the threshold: rounding of the second search may not lose it."""
    for seed in (3, 4):
        lake = tmp_path / str(seed)
        made = make_set(seed, n_phenotypes=12)
        made.write(lake)
        map_set(lake, mode="permute", model="qtltools", fdr=1.0)
        report = map_set(lake, mode="independent", model="qtltools", fdr=1.0)
        found = set(read_rows(lake, t.EQTL_INDEPENDENT)["phenotype_id"].to_pylist())
        assert found == set(made.phenotype_ids)
        assert report.details["figures"]["n_lost"] == 0
        assert report.details["dropped"] == {}


def test_signals_of_groups_are_searched_as_one(tmp_path):
    made = with_two_signals(n_phenotypes=6)
    made.groups = ["a", "a", None, "b", "b", "b"]
    made.write(tmp_path)
    map_set(tmp_path, mode="permute", fdr=FDR, grouped=True)
    report = map_set(tmp_path, mode="independent", fdr=FDR, grouped=True)
    top = {row["group_id"]: row for row in read_rows(tmp_path, t.EQTL_TOP).to_pylist()}
    rows = read_rows(tmp_path, t.EQTL_INDEPENDENT).to_pylist()
    assert set(top) == {"a", "b", "gene2"}
    assert {row["group_id"] for row in rows} == {name for name, row in top.items() if row["is_egene"]}
    for row in rows:
        members = {"a": {"gene0", "gene1"}, "gene2": {"gene2"}, "b": {"gene3", "gene4", "gene5"}}
        assert row["phenotype_id"] in members[row["group_id"]]
    n_in_egenes = sum(len(members[name]) for name, row in top.items() if row["is_egene"])
    assert report.details["dropped"].get(NO_EGENE, 0) == 6 - n_in_egenes
    assert report.details["n_phenotypes"] == n_in_egenes


def test_independent_needs_the_permutation_pass(tmp_path):
    make_set(n_samples=100).write(tmp_path)
    with pytest.raises(InputError, match="has no permutation pass with these options") as caught:
        map_set(tmp_path, mode="independent", fdr=FDR)
    assert "--mode permute" in str(caught.value.mend)
    map_set(tmp_path, mode="permute", fdr=FDR, seed=5)
    with pytest.raises(InputError, match="there is one with seed 5"):
        map_set(tmp_path, mode="independent", fdr=FDR)
    map_set(tmp_path, mode="permute", fdr=FDR, contig=("2",))
    with pytest.raises(InputError, match="with other contigs"):
        map_set(tmp_path, mode="independent", fdr=FDR)
    assert map_set(tmp_path, mode="independent", fdr=FDR, contig=("chr2",)).changed


def test_a_contig_alone_may_rest_on_the_permutation_pass_of_all(tmp_path):
    with_two_signals().write(tmp_path)
    map_set(tmp_path, mode="permute", fdr=FDR)
    map_set(tmp_path, mode="independent", fdr=FDR)
    whole = [row for row in read_rows(tmp_path, t.EQTL_INDEPENDENT).to_pylist() if row["contig"] == "10"]
    report = map_set(tmp_path, mode="independent", fdr=FDR, contig=("10",))
    where = f"map_id = '{report.details['map_id']}'"
    alone = read_rows(tmp_path, t.EQTL_INDEPENDENT, where).to_pylist()
    assert whole
    keys = ("phenotype_id", "rank", "variant_id", "p_beta", "slope")
    assert [[row[key] for key in keys] for row in alone] == [[row[key] for key in keys] for row in whole]


def test_no_egene_is_said(tmp_path):
    generator = np.random.default_rng(3)
    made = make_set(phenotypes=generator.normal(size=(6, 60)))
    made.write(tmp_path)
    map_set(tmp_path, mode="permute", fdr=0.0001)
    with pytest.raises(InputError, match=r"found no eGene at FDR 0\.0001"):
        map_set(tmp_path, mode="independent", fdr=0.0001)


# -------------------------------------------------------------------------------------------------- interaction


def regress(y, g, i, covariates):
    """Slope, SE and p of g, i and g × i beside the covariates."""
    X = np.column_stack([g, i, g * i, np.ones_like(y), covariates])
    beta = np.linalg.lstsq(X, y, rcond=None)[0]
    df = y.size - X.shape[1]
    se = np.sqrt(((y - X @ beta) ** 2).sum() / df * np.diag(np.linalg.inv(X.T @ X)))
    return np.column_stack([beta, se, 2 * stats.t.sf(np.abs(beta / se), df)])[:3]


def check_interaction(uri, made: MadeSet, values, others) -> None:
    rows = read_rows(uri, t.EQTL_INTERACTION).to_pylist()
    place = {name: j for j, name in enumerate(made.variant_ids)}
    upper = np.ones(made.n_samples, bool)
    upper[np.argsort(values, kind="stable")[: made.n_samples // 2]] = False
    expected = set()
    for k, gene in enumerate(made.phenotype_ids):
        for j in window_of(made, k):
            af = [made.genotypes[j][half].mean() / 2 for half in (upper, ~upper)]
            if min(min(a, 1 - a) for a in af) >= 0.05:
                expected.add((gene, made.variant_ids[j]))
    assert {(row["phenotype_id"], row["variant_id"]) for row in rows} == expected
    assert len(rows) == len(expected) > 50
    for row in rows[::7]:
        y = made.phenotypes[made.phenotype_ids.index(row["phenotype_id"])]
        told = regress(y, made.genotypes[place[row["variant_id"]]].astype(float), values, others)
        for ending, (slope, se, p) in zip(("", "_i", "_gi"), told, strict=True):
            assert row["slope" + ending] == pytest.approx(slope, rel=1e-7)
            assert row[f"slope{ending}_se"] == pytest.approx(se, rel=1e-7)
            assert row["p_value" + ending] == pytest.approx(p, rel=1e-6)
        assert row["neg_log10_p_gi"] == pytest.approx(-np.log10(told[2][2]), rel=1e-6)


def test_a_covariate_of_the_set_interacts(tmp_path):
    """It is a term of its own then, and none of the other covariates."""
    made = make_set()
    made.write(tmp_path)
    report = map_set(tmp_path, mode="interaction", interaction="c1")
    check_interaction(tmp_path, made, made.covariates[:, 1], made.covariates[:, [0, 2]])
    assert report.details["figures"]["df_interaction"] == 60 - 4 - 2
    assert report.details["parameters"]["interaction"] == "c1"


def test_a_covariate_of_a_loaded_table_interacts(tmp_path):
    made = make_set()
    lake = made.write(tmp_path)
    values = np.random.default_rng(8).normal(size=60) + 10
    load_covariate(lake, values)
    report = map_set(tmp_path, mode="interaction", interaction="blood:cells")
    check_interaction(tmp_path, made, values, made.covariates)
    assert report.details["figures"]["df_interaction"] == 60 - 4 - 3


def load_covariate(lake, values) -> None:
    rows = [
        {
            "covariate_set": "blood", "covariate_id": "cells", "sample_id": f"P{i}", "row_index": 0,
            "covariate_text": repr(float(value)), "covariate_value": None if np.isnan(value) else float(value),
            "load_id": "l1",
        }
        for i, value in enumerate(values)
    ]  # fmt: skip
    lake.put(t.LOADS, [load_row("l1", "covariates", "blood", build=None)], None)
    lake.put(t.COVARIATES, rows, "covariate_set = 'blood'")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interaction": "age"}, "There is no covariate 'age'"),
        ({"interaction": "blood:age"}, "There is no covariate 'blood:age'"),
        ({"interaction": "flat"}, "The interacting covariate is constant"),
        ({"interaction": "sum"}, "is a combination of the other covariates"),
        ({"interaction": "of2"}, "is one of the phenotypes of contig 2 alone"),
    ],
)
def test_a_covariate_that_cannot_interact_is_refused(tmp_path, options, message):
    made = make_set()
    c = made.covariates
    made.covariates = np.column_stack([c, np.ones(60), c[:, 0] + c[:, 1], np.arange(60) % 7])
    made.covariate_names = ["c0", "c1", "c2", "flat", "sum", "of2"]
    made.covariate_contigs = [None, None, None, None, None, "2"]
    made.write(tmp_path)
    with pytest.raises(InputError, match=message):
        map_set(tmp_path, mode="interaction", **options)


def test_everybody_needs_a_number(tmp_path):
    made = make_set()
    lake = made.write(tmp_path)
    load_covariate(lake, np.where(np.arange(60) == 4, np.nan, np.arange(60.0)))
    with pytest.raises(InputError, match="is no number for 1 person of the set: P4"):
        map_set(tmp_path, mode="interaction", interaction="blood:cells")


def test_the_model_of_qtltools_has_no_interactions(tmp_path):
    make_set().write(tmp_path)
    with pytest.raises(UsageError, match="QTLtools has no model with interactions"):
        map_set(tmp_path, mode="interaction", interaction="c1", model="qtltools")


# -------------------------------------------------------------------------------------------------------- trans


@pytest.mark.parametrize("model", ["fastqtl", "qtltools"])
def test_trans_rows_are_all_regressions_but_cis(tmp_path, model):
    made = make_set()
    made.genotypes[7] = 1
    made.write(tmp_path)
    report = map_set(tmp_path, mode="trans", model=model, max_p=0.02, trans_distance=800)
    rows = read_rows(tmp_path, t.EQTL_TRANS).to_pylist()
    X = np.column_stack([np.ones(60), made.covariates])
    project = np.eye(60) - X @ np.linalg.pinv(X)
    df = 58 - (3 if model == "fastqtl" else 0)
    expected, n_pairs, n_cis = {}, 0, 0
    for k, gene in enumerate(made.phenotype_ids):
        near = set(window_of(made, k, 800).tolist())
        for j in range(80):
            n_cis += j in near and j != 7
            if j in near or j == 7:
                continue
            n_pairs += 1
            g = made.genotypes[j].astype(float)
            r = np.corrcoef(project @ made.phenotypes[k], project @ g if model == "fastqtl" else g)[0, 1]
            p = 2 * stats.t.sf(abs(r) * np.sqrt(df / (1 - r**2)), df)
            if p <= 0.02:
                expected[gene, made.variant_ids[j]] = p
    assert {(row["phenotype_id"], row["variant_id"]) for row in rows} == expected.keys()
    assert len(rows) > 5
    for row in rows:
        k = made.phenotype_ids.index(row["phenotype_id"])
        assert row["p_value"] == pytest.approx(expected[row["phenotype_id"], row["variant_id"]], rel=1e-8)
        assert (row["phenotype_contig"], row["tss"]) == (made.phenotype_contigs[k], made.tss[k])
        assert row["contig"] == row["variant_id"].split("_")[0]
    assert report.details["n_pairs"] == n_pairs
    assert report.details["dropped"]["pair nearer than the trans distance"] == n_cis
    assert report.details["dropped"]["pair with a constant genotype"] == 6
    assert report.details["figures"]["n_expected"] == pytest.approx(n_pairs * 0.02)
