"""Independent signals against stepwise regressions written out, tensorQTL's recorded ones and QTLtools."""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from cis_data import Cis, read_cis, read_covariates, write_covariates
from kgp.eqtl.beta_approximation import fit_beta
from kgp.eqtl.conditional import Signal, map_independent
from kgp.eqtl.design import make_design
from kgp.eqtl.distinct import find_distinct
from kgp.eqtl.permutation import draw_permutations, map_permutations, prepare_permuted
from kgp.eqtl.qvalues import estimate_q_values, find_p_threshold, nominal_thresholds
from kgp.errors import InputError

N_PERMUTATIONS = 100


def search(
    phenotypes,
    genotypes,
    windows,
    distances,
    covariates,
    thresholds,
    model="fastqtl",
    groups=None,
    n=N_PERMUTATIONS,
) -> list[Signal]:
    design = make_design(covariates, model)
    return list(
        map_independent(
            phenotypes,
            find_distinct(genotypes, design),
            np.asarray(windows),
            distances,
            draw_permutations(design.n_samples, n, 1),
            covariates,
            design,
            np.asarray(thresholds, dtype=float),
            groups,
        )
    )


def make_data(seed=1, n_samples=120, n_variants=30, n_covariates=2):
    """Three phenotypes: of three variants, of one, of two variants in linkage disequilibrium."""
    generator = np.random.default_rng(seed)
    covariates = generator.normal(size=(n_samples, n_covariates))
    genotypes = generator.binomial(2, 0.35, size=(n_variants, n_samples)).astype(np.int8)
    swapped = generator.uniform(size=n_samples) < 0.25
    genotypes[20] = np.where(swapped, genotypes[20], genotypes[5])
    noise = generator.normal(size=(3, n_samples)) + generator.normal(size=(3, n_covariates)) @ covariates.T
    effects = np.zeros((3, n_variants))
    effects[0, [3, 11, 25]] = 1.2, -1.0, 0.9
    effects[1, 7] = 1.0
    effects[2, [5, 20]] = 1.0, -1.1
    return effects @ genotypes + noise, genotypes, covariates


WHOLE = [[0, 30]] * 3
FAR = [np.arange(30)] * 3


def residuals(rows, covariates):
    X = np.column_stack([np.ones(len(covariates)), covariates])
    return rows - (X @ np.linalg.lstsq(X, rows.T, rcond=None)[0]).T


def unit(rows):
    centred = rows - rows.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).sum(axis=1, keepdims=True))


Scan = Callable[[list[int]], tuple[int, float, float]]


def scan_as_tensorqtl(phenotype, genotypes, covariates, permutations) -> Scan:
    """Best variant, its r² and p_beta, with some variants among the covariates."""

    def scan(leads):
        given = np.column_stack([covariates, genotypes[leads].T])
        left = [i for i in range(len(genotypes)) if i not in leads]
        x = unit(residuals(genotypes[left].astype(float), given))
        r = x @ unit(residuals(phenotype[None], given))[0]
        permuted = ((unit(residuals(phenotype[permutations], given)) @ x.T) ** 2).max(axis=1)
        fit = fit_beta(permuted, len(phenotype) - 2 - given.shape[1])
        best = int((r**2).argmax())
        return left[best], r[best] ** 2, fit.p_value(r[best] ** 2)

    return scan


def scan_as_qtltools(phenotype, genotypes, covariates) -> Scan:
    """Best variant, its r² and nominal p; each lead is regressed out, and what is left made normal."""

    def scan(leads):
        value = residuals(phenotype[None], covariates)[0]
        for lead in leads:
            value = residuals(value[None], genotypes[lead][:, None])[0]
            value = stats.norm.ppf((stats.rankdata(value) - 0.5) / value.size)
        told = [stats.linregress(x, value) for x in genotypes]
        best = int(np.argmin([one.pvalue for one in told]))
        return best, told[best].rvalue ** 2, told[best].pvalue

    return scan


def step(scan: Scan, threshold: float, is_judged: bool) -> list[tuple[int, int, float]]:
    """Rank, variant and r² of the signals."""
    first = scan([])
    if is_judged and first[2] > threshold:
        return []
    leads = [first[0]]
    while True:
        variant, _, p = scan(leads)
        if p > threshold:
            break
        leads.append(variant)
    if len(leads) == 1:
        return [(1, *first[:2])]
    told = {}
    for k in range(len(leads)):
        variant, r2, p = scan(leads[:k] + leads[k + 1 :])
        if p <= threshold:
            told.setdefault(variant, (k + 1, variant, r2))
    return list(told.values())


@pytest.mark.parametrize(
    ("model", "threshold"),
    [("fastqtl", 0.05), ("fastqtl", 0.3), ("qtltools", 1e-12), ("qtltools", 1e-3), ("qtltools", 0.05)],
)
def test_signals_are_those_of_regressions_written_out(model, threshold):
    phenotypes, genotypes, covariates = make_data()
    found = search(phenotypes, genotypes, WHOLE, FAR, covariates, [threshold] * 3, model)
    permutations = draw_permutations(120, N_PERMUTATIONS, 1)
    n_signals = 0
    for i, phenotype in enumerate(phenotypes):
        if model == "fastqtl":
            scan = scan_as_tensorqtl(phenotype, genotypes, covariates, permutations)
        else:
            scan = scan_as_qtltools(phenotype, genotypes, covariates)
        expected = step(scan, threshold, model == "qtltools")
        of_this = [signal for signal in found if signal.best.group == i]
        assert [(signal.rank, int(signal.best.pair.variant[0])) for signal in of_this] == [
            (rank, variant) for rank, variant, _ in expected
        ]
        for signal, (_, _, r2) in zip(of_this, expected, strict=True):
            assert signal.best.pair.r2[0] == pytest.approx(r2, rel=1e-9)
        n_signals += len(expected)
    assert n_signals >= (5 if threshold > 1e-9 else 1)


def test_the_effects_that_were_put_in_are_found():
    phenotypes, genotypes, covariates = make_data()
    found = search(phenotypes, genotypes, WHOLE, FAR, covariates, [0.01] * 3)
    told = {
        (signal.best.group, int(signal.best.pair.variant[0])): signal.best.pair.slope[0] for signal in found
    }
    assert set(told) == {(0, 3), (0, 11), (0, 25), (1, 7), (2, 5), (2, 20)}
    assert told[0, 11] < 0 < told[0, 3]
    assert told[2, 20] < 0 < told[2, 5]


def test_statistics_are_those_of_the_regression_with_all_signals():
    """tensorQTL's backward pass: slope, SE and p beside the covariates and the other signals."""
    phenotypes, genotypes, covariates = make_data()
    found = search(phenotypes[:1], genotypes, WHOLE[:1], FAR[:1], covariates, [0.01])
    variants = [int(signal.best.pair.variant[0]) for signal in found]
    X = np.column_stack([np.ones(120), covariates, genotypes[variants].T])
    inverse = np.linalg.inv(X.T @ X)
    beta = inverse @ X.T @ phenotypes[0]
    df = 120 - X.shape[1]
    se = np.sqrt(np.diag(inverse) * ((phenotypes[0] - X @ beta) ** 2).sum() / df)
    assert len(found) == 3
    for k, signal in enumerate(found, 3):
        assert signal.best.pair.slope[0] == pytest.approx(beta[k], rel=1e-9)
        assert signal.best.pair.slope_se[0] == pytest.approx(se[k], rel=1e-9)
        assert signal.best.pair.p[0] == pytest.approx(2 * stats.t.sf(abs(beta[k] / se[k]), df), rel=1e-8)


@pytest.mark.parametrize("model", ["fastqtl", "qtltools"])
def test_a_single_signal_is_the_row_of_the_permutation_pass(model):
    phenotypes, genotypes, covariates = make_data()
    (signal,) = search(phenotypes[1:2], genotypes, WHOLE[:1], FAR[:1], covariates, [1e-4], model)
    design = make_design(covariates, model)
    (expected,) = map_permutations(
        prepare_permuted(phenotypes[1:2], design),
        find_distinct(genotypes, design),
        np.array(WHOLE[:1]),
        FAR[:1],
        draw_permutations(120, N_PERMUTATIONS, 1),
        design,
    )
    assert signal.rank == 1
    assert signal.n_conditions == 0
    assert signal.best.beta.shape2 == pytest.approx(expected.beta.shape2, rel=1e-9)
    assert signal.best.n_as_good == expected.n_as_good
    assert signal.best.pair.p[0] == pytest.approx(expected.pair.p[0], rel=1e-12)
    assert signal.best.pair.variant[0] == expected.pair.variant[0]


@pytest.mark.parametrize("model", ["fastqtl", "qtltools"])
def test_the_place_in_a_block_changes_nothing(model):
    phenotypes, genotypes, covariates = make_data()
    alone = search(phenotypes[2:], genotypes[2:28], [[0, 26]], [np.arange(26)], covariates, [0.05], model)
    windows = [[0, 30], [7, 7], [2, 28]]
    distances = [np.arange(30), np.arange(0), np.arange(26)]
    among = search(phenotypes, genotypes, windows, distances, covariates, [0.05] * 3, model)
    assert {signal.best.group for signal in among} == {0, 2}
    for one, other in zip(alone, [signal for signal in among if signal.best.group == 2], strict=True):
        assert (one.rank, one.n_conditions) == (other.rank, other.n_conditions)
        assert one.best.beta == other.best.beta
        assert one.best.pair.r[0] == other.best.pair.r[0]
        assert one.best.pair.variant[0] + 2 == other.best.pair.variant[0]
        assert other.best.pair.phenotype[0] == 2


def test_copies_of_a_signal_are_taken_out_with_it():
    """What is a combination of the signals and covariates can't be tested: its residuals would be rounding alone."""
    phenotypes, genotypes, covariates = make_data()
    copies = np.vstack([genotypes, 2 - genotypes[7], 2 * genotypes[7]])
    found = search(phenotypes[1:2], copies, [[0, 32]], [np.arange(32)], covariates, [1.0])
    told = [int(signal.best.pair.variant[0]) for signal in found]
    assert 7 in told
    assert not {30, 31} & set(told)
    assert len(set(told)) == len(told)


def test_a_group_is_searched_as_one():
    """The best of two phenotypes in each scan; the signals of one may lie in the other phenotype."""
    phenotypes, genotypes, covariates = make_data()
    found = search(phenotypes, genotypes, WHOLE, FAR, covariates, [0.01, 0.01], groups=[[0, 1], [2]])
    of_group = [signal for signal in found if signal.best.group == 0]
    assert {(int(s.best.pair.phenotype[0]), int(s.best.pair.variant[0])) for s in of_group} == {
        (0, 3), (0, 11), (0, 25), (1, 7),
    }  # fmt: skip
    assert all(signal.best.n_phenotypes == 2 for signal in of_group)
    permutations = draw_permutations(120, N_PERMUTATIONS, 1)
    for signal in of_group:
        leads = [3, 11, 25, 7]
        leads.remove(int(signal.best.pair.variant[0]))
        told = [
            scan_as_tensorqtl(phenotype, genotypes, covariates, permutations)(leads)
            for phenotype in phenotypes[:2]
        ]
        assert signal.best.pair.r2[0] == pytest.approx(max(r2 for _, r2, _ in told), rel=1e-9)


def test_the_search_ends_with_the_degrees_of_freedom():
    generator = np.random.default_rng(3)
    genotypes = generator.binomial(2, 0.4, size=(12, 9)).astype(np.int8)
    found = search(
        generator.normal(size=(1, 9)), genotypes, [[0, 12]], [np.arange(12)], np.empty((9, 0)), [1.0], n=20
    )
    assert 1 <= len(found) <= 7
    assert all(signal.best.beta.df > 0 for signal in found)


def test_nothing_to_test_gives_no_signal():
    phenotypes, genotypes, covariates = make_data()
    windows = [[4, 4], [0, 30], [0, 2]]
    genotypes[:2] = 1
    distances = [np.arange(b - a) for a, b in windows]
    found = search(phenotypes, genotypes, windows, distances, covariates, [0.05] * 3)
    assert {signal.best.group for signal in found} == {1}


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ([0.05], "1 thresholds were given for 3 groups"),
        ([0.05, np.nan, 0.05], "The threshold nan of group 1"),
        ([0.05, 0.05, 1.5], "The threshold 1.5 of group 2"),
    ],
    ids=["too few", "missing", "no p"],
)
def test_thresholds_that_are_none_are_refused(thresholds, message):
    phenotypes, genotypes, covariates = make_data()
    with pytest.raises(InputError, match=message):
        search(phenotypes, genotypes, WHOLE, FAR, covariates, thresholds)


# --------------------------------------------------------------------------------------------------- the tools


def read_recorded(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt") as lines:
        names = next(lines).split()
        return [dict(zip(names, line.split(), strict=True)) for line in lines]


@pytest.mark.parametrize("name", ["independent", "independent_groups"])
def test_signals_are_those_of_tensorqtl(root, bundled, name):
    """Other permutations: the same decisions, variants but for ties, and slopes; p_beta near."""
    rows = read_recorded(root / "tests" / "data" / "oracles" / "tensorqtl" / f"{name}.tsv.gz")
    cis = read_cis(
        bundled / "genotypes.chr22.vcf.gz", bundled / "genes.50percent.chr22.bed.gz", 44_300_000, 46_700_000
    )
    place = {gene: k for k, gene in enumerate(cis.genes)}
    windows, distances = cis.windows, cis.distances
    if "group_id" in rows[0]:
        wanted = sorted({int(row["group_id"].removeprefix("group")) for row in rows})
        groups = [[k for k in (2 * pair, 2 * pair + 1) if k < len(cis.genes)] for pair in wanted]
        first = [k - k % 2 for k in range(len(cis.genes))]  # a group has the window of its first gene
        windows, distances = windows[first], [distances[k] for k in first]
    else:
        groups = [[k] for k in sorted({place[row["phenotype_id"]] for row in rows})]
    i = np.arange(358)
    covariates = np.column_stack([np.cos((k + 1) * i * i / 97.0) for k in range(5)])
    thresholds = [float(rows[0]["threshold"]) * 1.2] * len(groups)  # the last one passes it by its own seed
    found = search(
        cis.expression, cis.genotypes, windows, distances, covariates, thresholds, groups=groups, n=1000
    )
    assert [(cis.genes[int(s.best.pair.phenotype[0])], s.rank) for s in found] == [
        (row["phenotype_id"], int(row["rank"])) for row in rows
    ]
    for signal, row in zip(found, rows, strict=True):
        ours = int(signal.best.pair.variant[0])
        theirs = cis.ids.index(row["variant_id"].split(":")[0])
        same = np.corrcoef(cis.genotypes[ours], cis.genotypes[theirs])[0, 1]
        assert abs(same) == pytest.approx(1.0, abs=1e-9)
        assert signal.best.pair.slope[0] == pytest.approx(np.sign(same) * float(row["slope"]), rel=1e-5)
        assert signal.best.pair.slope_se[0] == pytest.approx(float(row["slope_se"]), rel=1e-5)
        assert signal.best.pair.p[0] == pytest.approx(float(row["pval_nominal"]), rel=2e-3)
        assert signal.best.neg_log10_p_beta == pytest.approx(-np.log10(float(row["pval_beta"])), rel=0.2)


REGION = "50600000-50800000"


def read_bundled(place: Path) -> Cis:
    first, last = map(int, REGION.split("-"))
    return read_cis(place / "genotypes.chr22.vcf.gz", place / "genes.50percent.chr22.bed.gz", first, last)


def run_qtltools_mapping(
    program, place: Path, directory: Path, cis: Cis, thresholds, region: str, *options: object
) -> list[list[str]]:
    told = "".join(f"{gene} {threshold!r}\n" for gene, threshold in zip(cis.genes, thresholds, strict=True))
    (directory / "thresholds.txt").write_text(told)
    command = [program, "cis", "--mapping", directory / "thresholds.txt", "--region", f"chr22:{region}"]
    command += ["--vcf", place / "genotypes.chr22.vcf.gz", "--bed", place / "genes.50percent.chr22.bed.gz"]
    command += ["--out", directory / "mapping.txt", *options]
    subprocess.run(command, check=True, capture_output=True)
    return [line.split() for line in (directory / "mapping.txt").read_text().splitlines()]


def compare_with_qtltools(cis: Cis, found: list[Signal], rows: list[list[str]]) -> int:
    """Same signals of each gene: rank, variant but for ties, p and slope; the number of signals.

    Columns: gene, contig, start, end, strand, variants, distance, variant, its contig, start, end, rank from 0,
    forward p, r², slope, best, significant, and the same five backward.
    """
    best = [row for row in rows if row[20] == row[21] == "1"]
    told = {(row[0], int(row[11]) + 1): row for row in best}
    ours = {(cis.genes[signal.best.group], signal.rank): signal.best for signal in found}
    assert ours.keys() == told.keys()
    for key, one in ours.items():
        row = told[key]
        tied = {
            other[7] for other in rows if other[0] == row[0] and other[11] == row[11] and other[17] == row[17]
        }
        assert cis.ids[int(one.pair.variant[0])] in tied
        assert -np.log10(one.pair.p[0]) == pytest.approx(-np.log10(float(row[17])), rel=1e-4)
        assert abs(one.pair.slope[0]) == pytest.approx(abs(float(row[19])), rel=1e-4)
    return len(ours)


def test_qtltools_finds_the_same_signals(require_tool, bundled, tmp_path):
    """With a threshold that many pass: up to several signals a gene."""
    program = require_tool("QTLtools")
    cis = read_bundled(bundled)
    covariates = np.random.default_rng(5).normal(size=(358, 3)).round(4)
    write_covariates(tmp_path / "covariates.txt", cis.samples, covariates, " ")
    thresholds = np.full(len(cis.genes), 2e-4)
    rows = run_qtltools_mapping(
        program, bundled, tmp_path, cis, thresholds, REGION, "--cov", tmp_path / "covariates.txt"
    )
    found = search(
        cis.expression, cis.genotypes, cis.windows, cis.distances, covariates, thresholds, "qtltools", n=10
    )
    assert compare_with_qtltools(cis, found, rows) > 6
    assert max(signal.rank for signal in found) > 1


@pytest.mark.slow
def test_recorded_genes_have_the_signals_of_qtltools(require_tool, shared_data, tmp_path):
    """With 50 covariates and the thresholds of the recorded permutation pass, as the tool's manual makes them."""
    program = require_tool("QTLtools")
    place = shared_data / "geuvadis-eqtl-qtltools"
    cis = read_cis(
        place / "genotypes.chr22.vcf.gz", place / "genes.50percent.chr22.bed.gz", 36_000_000, 40_000_000
    )
    covariates = read_covariates(place / "genes.covariates.pc50.txt.gz", cis.samples)
    recorded = [line.split() for line in (place / "expected" / "permute1000.txt").read_text().splitlines()]
    p_beta, shape1, shape2 = (np.array([float(row[k]) for row in recorded]) for k in (19, 13, 14))
    limit = find_p_threshold(p_beta, estimate_q_values(p_beta).q, 0.05)
    assert limit is not None
    nominal = dict(
        zip((row[0] for row in recorded), nominal_thresholds(limit, shape1, shape2).tolist(), strict=True)
    )
    thresholds = [nominal[gene] for gene in cis.genes]
    rows = run_qtltools_mapping(
        program, place, tmp_path, cis, thresholds, "36000000-40000000",
        "--cov", place / "genes.covariates.pc50.txt.gz",
    )  # fmt: skip
    found = search(
        cis.expression, cis.genotypes, cis.windows, cis.distances, covariates, thresholds, "qtltools", n=10
    )
    assert compare_with_qtltools(cis, found, rows) > 40
    assert max(signal.rank for signal in found) > 1
