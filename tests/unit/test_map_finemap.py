"""`kgp eqtl map --mode finemap` on made sets, and on the bundled slice beside tensorQTL; without Spark."""

from __future__ import annotations

import csv
import gzip
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from kgp import tables as t
from kgp.eqtl.design import make_design, standardise_genotypes, standardise_phenotypes
from kgp.eqtl.susie import SusieOptions
from kgp.errors import InputError
from kgp.jobs import map_finemap, map_run
from map_sets import MadeSet, make_set, map_set, read_real_set, read_rows

FDR = 0.2
ORACLES = Path(__file__).parents[1] / "data" / "oracles" / "mapping"


def with_two_signals(**given) -> MadeSet:
    """Each second phenotype with two variants of its window."""
    made = make_set(n_samples=150, **given)
    for k in range(0, len(made.tss), 2):
        here = window_of(made, k)
        made.phenotypes[k] += 2.0 * made.genotypes[here[0]] - 1.8 * made.genotypes[here[-1]]
    return made


def window_of(made: MadeSet, k: int) -> np.ndarray:
    """Variants near a phenotype, counted over all of the set."""
    is_here = np.asarray(made.contigs) == made.phenotype_contigs[k]
    return np.flatnonzero((np.abs(made.positions - made.tss[k]) <= made.window) & is_here)


def map_both(place: Path, coverage: float | None = None, min_purity: float | None = None, **options):
    """The permutation pass and the fine-mapping, which alone has credible sets; the report of the second."""
    map_set(place, mode="permute", fdr=FDR, **options)
    options |= {"coverage": coverage, "min_purity": min_purity}
    return map_set(place, mode="finemap", fdr=FDR, **options)


def fit_plainly(y: np.ndarray, x: np.ndarray, n_effects: int = 10, tolerance: float = 1e-3):
    """Posterior probabilities and effects as the paper writes them; y and variants × samples x with variance 1."""
    n, d = y.size, (x**2).sum(axis=1)[0]
    alpha, mu, mu2 = np.full((n_effects, len(x)), 1 / len(x)), *np.zeros((2, n_effects, len(x)))
    prior, left, kl, bound = np.full(n_effects, 0.2), 1.0, np.zeros(n_effects), -np.inf

    def weigh(r, v):
        b, s = x @ r / d, left / d
        return 0.5 * np.log(s / (v + s)) + 0.5 * b**2 * v / (s * (v + s))

    for _ in range(200):
        for effect in range(n_effects):
            r = y - (alpha * mu).sum(axis=0) @ x + (alpha * mu)[effect] @ x
            log_bfs = weigh(r, prior[effect])
            log_bf = np.log(np.mean(np.exp(log_bfs - log_bfs.max()))) + log_bfs.max()
            variance = 0.0 if not prior[effect] else 1 / (1 / prior[effect] + d / left)
            alpha[effect], mu[effect] = softmax(log_bfs), variance / left * (x @ r)
            mu2[effect] = variance + mu[effect] ** 2
            second = (alpha * mu2)[effect].sum()
            kl[effect] = ((alpha * mu)[effect] @ x @ r - d * second / 2) / left - log_bf
            estimate = weigh(r, second)
            prior[effect] = second if np.log(np.mean(np.exp(estimate))) > 0 else 0.0
        fitted = (alpha * mu) @ x
        squares = ((y - fitted.sum(axis=0)) ** 2).sum() - (fitted**2).sum() + d * (alpha * mu2).sum()
        before, bound = bound, -0.5 * (n * np.log(2 * np.pi * left) + squares / left) - kl.sum()
        if bound - before < tolerance:
            break
        left = squares / n
    kept = prior > 1e-9
    return alpha[kept], mu[kept], mu2[kept]


@pytest.mark.parametrize("model", ["fastqtl", "qtltools"])
def test_rows_are_the_credible_sets_of_the_egenes(tmp_path, model):
    made = with_two_signals()
    made.write(tmp_path)
    report = map_both(tmp_path, model=model)
    top = {row["phenotype_id"]: row for row in read_rows(tmp_path, t.EQTL_TOP).to_pylist() if row["is_egene"]}
    rows = read_rows(tmp_path, t.EQTL_CREDIBLE_SETS).to_pylist()
    assert {row["phenotype_id"] for row in rows} <= top.keys()
    design = make_design(made.covariates, model)
    n_sets = 0
    for name in top:
        k = made.phenotype_ids.index(name)
        window = window_of(made, k)
        phenotype = standardise_phenotypes(made.phenotypes[k : k + 1], design)
        genotypes = standardise_genotypes(made.genotypes[window], design)
        alpha, mu, mu2 = fit_plainly(phenotype.values[0] * np.sqrt(149), genotypes.values * np.sqrt(149))
        pip = 1 - np.prod(1 - alpha, axis=0)
        scale = phenotype.lengths[0] / genotypes.lengths
        mean, sd = (alpha * mu).sum(axis=0), np.sqrt((alpha * mu2 - (alpha * mu) ** 2).sum(axis=0))
        expected = set()
        for one in alpha:
            order = np.argsort(-one)
            members = order[: int((np.cumsum(one[order]) < 0.95).sum()) + 1]
            if np.abs(np.atleast_2d(np.corrcoef(genotypes.values[members]))).min() >= 0.5:
                expected.add(frozenset(made.variant_ids[window[i]] for i in members))
        of_gene = [row for row in rows if row["phenotype_id"] == name]
        ids = sorted({row["cs_id"] for row in of_gene})
        assert ids == list(range(1, len(expected) + 1))
        assert {frozenset(row["variant_id"] for row in of_gene if row["cs_id"] == i) for i in ids} == expected
        n_sets += len(expected)
        for row in of_gene:
            j = window.tolist().index(made.variant_ids.index(row["variant_id"]))
            found = [row["pip"], row["posterior_mean"], row["posterior_sd"]]
            np.testing.assert_allclose(found, [pip[j], mean[j] * scale[j], sd[j] * scale[j]], rtol=1e-6)
            assert row["tss_distance"] == made.positions[window[j]] - made.tss[k]
            assert (row["model"], row["contig"], row["group_id"]) == (model, made.phenotype_contigs[k], None)
            assert row["cs_size"] == sum(one["cs_id"] == row["cs_id"] for one in of_gene)
    figures = report.details["figures"]
    assert n_sets > len(top)
    assert (figures["n_egenes"], figures["n_credible_sets"]) == (len(top), n_sets)
    assert report.details["n_phenotypes"] == len(top)


def test_effects_are_those_of_alt(tmp_path):
    """Of two variants that are each other's reverse, one raises the phenotype as the other lowers it."""
    made = make_set(n_samples=150, n_phenotypes=2)
    here = window_of(made, 0)
    made.genotypes[here[3]] = 2 - made.genotypes[here[2]]
    made.phenotypes[0] = 1.5 * made.genotypes[here[2]] + np.random.default_rng(1).normal(size=150)
    made.write(tmp_path)
    map_both(tmp_path)
    rows = read_rows(tmp_path, t.EQTL_CREDIBLE_SETS, "phenotype_id = 'gene0'").to_pylist()
    means = {row["variant_id"]: row["posterior_mean"] for row in rows}
    raises, lowers = (made.variant_ids[i] for i in here[2:4])
    assert means[raises] == -means[lowers] == pytest.approx(0.75, abs=0.15)
    assert {row["cs_purity"] for row in rows} == {1.0}


def test_phenotypes_of_a_group_are_fine_mapped_each(tmp_path):
    made = with_two_signals(n_phenotypes=6)
    made.groups = ["a", "a", None, "b", "b", "b"]
    made.write(tmp_path)
    report = map_both(tmp_path, grouped=True)
    groups = {row["group_id"] for row in read_rows(tmp_path, t.EQTL_TOP).to_pylist() if row["is_egene"]}
    members = {"a": {"gene0", "gene1"}, "gene2": {"gene2"}, "b": {"gene3", "gene4", "gene5"}}
    rows = read_rows(tmp_path, t.EQTL_CREDIBLE_SETS).to_pylist()
    assert rows
    for row in rows:
        assert row["group_id"] in groups
        assert row["phenotype_id"] in members[row["group_id"]]
    assert report.details["n_phenotypes"] == sum(len(members[name]) for name in groups)


def test_what_has_no_credible_set_or_does_not_converge_is_counted(tmp_path, monkeypatch):
    with_two_signals().write(tmp_path)
    report = map_both(tmp_path, min_purity=1.0, coverage=0.9999)
    figures = report.details["figures"]
    with_set = set(read_rows(tmp_path, t.EQTL_CREDIBLE_SETS)["phenotype_id"].to_pylist())
    assert figures["n_without_set"] == figures["n_egenes"] - len(with_set)
    monkeypatch.setattr(map_finemap, "SusieOptions", partial(SusieOptions, max_iterations=1))
    report = map_set(tmp_path, mode="finemap", fdr=FDR)
    figures = report.details["figures"]
    assert (
        figures["n_not_converged"]
        == figures["n_egenes"]
        == report.details["dropped"][map_finemap.NOT_CONVERGED]
    )
    assert figures["n_credible_sets"] == figures["n_without_set"] == 0
    assert report.rows == {"eqtl_credible_sets": 0}
    assert any("did not converge" in note for note in report.notes)


def test_it_needs_the_permutation_pass_and_what_it_is_asked_for_names_it(tmp_path):
    with_two_signals().write(tmp_path)
    with pytest.raises(InputError, match="has no permutation pass with these options") as caught:
        map_set(tmp_path, mode="finemap", fdr=FDR)
    assert "--mode permute" in str(caught.value.mend)
    first = map_both(tmp_path)
    assert not map_set(tmp_path, mode="finemap", fdr=FDR).changed
    other = map_set(tmp_path, mode="finemap", fdr=FDR, n_effects=1, contig=("chr2",))
    assert other.changed
    assert {row["cs_id"] for row in map_rows(tmp_path, other)} == {1}
    assert {row["contig"] for row in map_rows(tmp_path, other)} == {"2"}
    parameters = first.details["parameters"]
    assert [parameters[name] for name in ("n_effects", "coverage", "min_purity")] == ["10", "0.95", "0.5"]
    assert "more than one" in " ".join(first.notes)


def map_rows(place: Path, report) -> list[dict]:
    return read_rows(place, t.EQTL_CREDIBLE_SETS, f"map_id = '{report.details['map_id']}'").to_pylist()


def test_the_slice_gives_what_tensorqtl_gives(tmp_path, bundled, monkeypatch):
    """The whole way: a set, its permutation pass, its credible sets."""
    monkeypatch.setattr(map_run, "SMALL_SECONDS", 1e9)
    with gzip.open(ORACLES / "tensorqtl_susie_pips.tsv.gz", "rt") as lines:
        recorded = [row for row in csv.DictReader(lines, delimiter="\t") if row["effect"]]
    i = np.arange(358)
    covariates = np.column_stack([np.cos((k + 1) * i * i / 97.0) for k in range(5)])
    bed = bundled / "genes.50percent.chr22.bed.gz"
    made = read_real_set(bundled / "genotypes.chr22.vcf.gz", bed, covariates)
    kept = np.isin(made.phenotype_ids, sorted({row["phenotype_id"] for row in recorded})[::3])
    made.phenotypes, made.tss = made.phenotypes[kept], made.tss[kept]
    made.phenotype_contigs = ["22"] * int(kept.sum())
    made.phenotype_ids = np.asarray(made.phenotype_ids)[kept].tolist()
    made.write(tmp_path)
    map_both(tmp_path)
    egenes = read_rows(tmp_path, t.EQTL_TOP, "is_egene").column("phenotype_id").to_pylist()
    assert len(egenes) >= 15
    rows = read_rows(tmp_path, t.EQTL_CREDIBLE_SETS).to_pylist()
    found = {(row["phenotype_id"], row["variant_id"].split("_")[1]): row for row in rows}
    assert {gene for gene, _ in found} == set(egenes)
    n_compared = 0
    for row in recorded:
        if row["phenotype_id"] in egenes and (row["phenotype_id"], row["variant_id"]) in found:
            one = found[row["phenotype_id"], row["variant_id"]]
            assert one["pip"] == pytest.approx(float(row["pip"]), abs=1e-4)
            assert one["posterior_mean"] == pytest.approx(float(row["posterior_mean"]), rel=1e-3, abs=1e-4)
            assert one["posterior_sd"] == pytest.approx(float(row["posterior_sd"]), rel=1e-3, abs=1e-4)
            n_compared += 1
    assert n_compared == pytest.approx(len(rows), rel=0.01)  # ties at the end of a set are any program's own
