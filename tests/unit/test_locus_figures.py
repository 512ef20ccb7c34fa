"""A gene's page: people by their genotype, men of X, expected copies, missing ones, and loci of very many variants."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kgp import tables as t
from kgp.config import load_config
from kgp.job import Progress, Report, run_job
from kgp.jobs.show_eqtl import SHOW_EQTL
from kgp.params import EqtlShow
from kgp.report.figures_locus import MOST_POINTS, choose_points
from kgp.report.figures_mapping import find_band
from kgp.report.mapping_words import tell_p
from kgp.report.quantiles import PCounts
from map_sets import MadeSet, map_set

N = 120
BEST = 20


def make_locus(genotypes: np.ndarray, effect: float = 1.5, **given: Any) -> MadeSet:
    """One phenotype on X (or elsewhere), of which one variant changes the values."""
    rng = np.random.default_rng(4)
    n_variants = len(genotypes)
    positions = np.arange(n_variants) * 500 + 60_000_000
    known = np.where(genotypes[BEST] < 0, 0, np.nan_to_num(genotypes[BEST]))
    fields: dict[str, Any] = {
        "contigs": ["X"] * n_variants,
        "phenotype_contigs": ["X"],
        "phenotypes": rng.normal(size=(1, N)) + effect * known,
        "tss": [int(positions[BEST])],
        "covariates": np.empty((N, 0)),
        "phenotype_ids": ["gene"],
    }
    return MadeSet(genotypes, positions, **{**fields, **given})


def show(made: MadeSet, place: Path, sexes: list[str | None] | None = None) -> tuple[Report, str]:
    """The gene's report and its page."""
    lake = made.write(place / "lake")
    if sexes is not None:
        people = [
            {"sample_id": f"P{i}", "load_ids": ["p"], "callsets": ["c"], "sex": sex}
            for i, sex in enumerate(sexes)
        ]
        lake.put(t.SAMPLES, people, None)
    map_set(place / "lake", mode="nominal")
    config = load_config(lake=str(place / "lake"), environ={})
    options = {"name": "made", "gene": made.phenotype_ids[0], "out": str(place / "a.html")}
    report = run_job(SHOW_EQTL, config.params(EqtlShow, options), config, progress=Progress(quiet=True))
    assert report.details["locus"]["variant_id"] == made.variant_ids[BEST]
    return report, (place / "a.html").read_text(encoding="utf-8")


def texts_of(page: str, figure: str) -> list[str]:
    """Words that are drawn in a figure."""
    (svg,) = [one for one in re.findall(r"<svg.*?</svg>", page, re.DOTALL) if f'"{figure}-title"' in one]
    return [text.strip() for text in re.findall(r"<text[^>]*>([^<]*)", svg)]


@pytest.mark.parametrize("copies", [1, 2])
def test_men_of_x_stand_apart_whatever_their_one_copy_counts(copies: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    is_man = np.arange(N) % 2 == 1
    genotypes = rng.binomial(2, 0.4, (40, N)).astype(np.int8)
    genotypes[:, is_man] = copies * rng.binomial(1, 0.4, (40, is_man.sum()))
    _, page = show(make_locus(genotypes), tmp_path, ["male" if man else "female" for man in is_man])
    best = genotypes[BEST]
    for n in range(3):
        for man, name in ((False, "female"), (True, "male")):
            n_people = int(((best == n) & (is_man == man)).sum())
            told = f"{n} copies of ALT: {n_people} {name} people."
            assert (told in page) == (n_people > 0)
    texts = texts_of(page, "gene-boxes")
    assert {"women", "men"} <= set(texts)
    assert {"A/A or A", "A/C or C" if copies == 1 else "C/C or C"} <= set(texts)
    counts = [int(((best == 0) & (is_man == man)).sum()) for man in (False, True)]
    assert f"n = {counts[0]} + {counts[1]}" in texts
    assert "men have one copy of this contig" in page


def test_in_the_pseudoautosomal_part_men_are_as_women(tmp_path: Path) -> None:
    genotypes = np.random.default_rng(2).binomial(2, 0.4, (40, N)).astype(np.int8)
    made = make_locus(genotypes, tss=[200_000 + BEST * 500])
    made.positions = np.arange(40) * 500 + 200_000  # GRCh37: PAR1 is 60,001 to 2,699,520
    made.variant_ids = [f"X_{pos}_A_C" for pos in made.positions]
    _, page = show(made, tmp_path, ["male"] * N)
    assert {"A/A", "A/C", "C/C"} <= set(texts_of(page, "gene-boxes"))
    assert "men" not in texts_of(page, "gene-boxes")


def test_expected_copies_are_points_with_a_line(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    dosages = np.clip(rng.binomial(2, 0.4, (40, N)) + rng.normal(0, 0.1, (40, N)), 0, 2).astype(np.float32)
    dosages[BEST, :3] = np.nan
    made = make_locus(dosages, contigs=["5"] * 40, phenotype_contigs=["5"])
    _, page = show(made, tmp_path)
    texts = texts_of(page, "gene-boxes")
    assert {"0", "1", "2", "least squares, covariates not taken out"} <= set(texts)
    assert not any("A/C" in text for text in texts)
    assert f"expected copies of C, {made.variant_ids[BEST]}" in texts
    assert "3 people have no genotype or no value, and no point" in page
    n_people = int((np.rint(dosages[BEST][3:]) == 1).sum())
    assert f"1 copies of ALT: {n_people} people." in page


def test_people_without_a_genotype_are_counted(tmp_path: Path) -> None:
    genotypes = np.random.default_rng(5).binomial(2, 0.4, (40, N)).astype(np.int8)
    genotypes[BEST, :7] = -1
    made = make_locus(genotypes, contigs=["5"] * 40, phenotype_contigs=["5"])
    _, page = show(made, tmp_path)
    assert "7 people have no genotype or no value" in page
    assert f"n = {int((genotypes[BEST] == 0).sum())}" in texts_of(page, "gene-boxes")


def test_a_p_value_below_any_double_and_long_names_are_told(tmp_path: Path) -> None:
    genotypes = np.random.default_rng(6).binomial(2, 0.4, (40, N)).astype(np.int8)
    long = f"5_{60_000_000 + BEST * 500}_{'ACGT' * 15}_C"
    made = make_locus(genotypes, 1e5, contigs=["5"] * 40, phenotype_contigs=["5"])
    made.variant_ids = [long if i == BEST else one for i, one in enumerate(made.variant_ids)]
    made.phenotype_ids = ["gene" + "_of_many_letters" * 6]
    report, page = show(made, tmp_path)
    strength = report.details["locus"]["neg_log10_p"]
    assert strength > 308
    assert report.summary.endswith(f"p 10^-{strength:.1f}")
    assert f"p 10^-{strength:.1f}." in page
    for figure in ("gene-locus", "gene-boxes"):
        assert max(map(len, texts_of(page, figure))) <= 50
    assert long in page
    assert made.phenotype_ids[0] in page
    assert "overflow-wrap: anywhere" in re.search(r"\bh2 \{[^}]*\}", page)[0], (
        "a narrow screen breaks it anywhere"
    )


@pytest.mark.slow
def test_a_locus_of_very_many_variants_is_a_small_page(tmp_path: Path) -> None:
    n_variants = 30_000
    genotypes = np.random.default_rng(7).binomial(2, 0.3, (n_variants, N)).astype(np.int8)
    made = make_locus(genotypes, contigs=["5"] * n_variants, phenotype_contigs=["5"], window=20_000_000)
    report, page = show(made, tmp_path)
    assert report.details["locus"]["n_variants"] == n_variants
    assert f"{n_variants:,} variants" in page
    assert len(page) < 2_000_000


@given(seed=st.integers(0, 1000), n=st.sampled_from([1, MOST_POINTS, MOST_POINTS + 1, 20_000]))
@settings(max_examples=12, deadline=None)
def test_a_point_is_left_out_only_below_another(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.random(n), rng.exponential(size=n)
    is_drawn = choose_points(x, y)
    assert is_drawn[np.argmax(y)]
    if n <= MOST_POINTS:
        assert is_drawn.all()
        return
    # within a 240th of the width and a 150th of the height
    for i in np.flatnonzero(~is_drawn)[::97]:
        near = is_drawn & (abs(x - x[i]) <= np.ptp(x) / 240) & (y >= y[i]) & (y - y[i] <= np.ptp(y) / 150)
        assert near.any()


@pytest.mark.parametrize("n", [1, 7, 500])
def test_the_band_holds_95_percent_of_uniform_p_values_at_each_rank(n: int) -> None:
    """The k-th smallest of n is at most x where k or more of n are: a binomial probability."""
    expected, least, greatest = find_band(n)
    ranks = np.rint(10.0**-expected * (n + 1))
    assert (ranks[0], ranks[-1]) in ((1, n), (n, 1))
    for edge, share in ((10.0**-least, 0.975), (10.0**-greatest, 0.025)):
        assert stats.binom.sf(ranks - 1, n, edge) == pytest.approx(np.full(ranks.size, share), abs=1e-6)


@pytest.mark.parametrize(("strength", "told"), [(0.0, "1"), (299.9, "1.26e-300"), (300.0, "10^-300.0")])
def test_p_is_told_with_its_digits(strength: float, told: str) -> None:
    assert tell_p(strength) == told


@pytest.mark.slow
def test_the_p_values_of_a_genome_are_counted_in_bounded_memory() -> None:
    """50 million pairs by the batch: the counts are those of one batch, the memory too."""
    batch = np.random.default_rng(0).exponential(size=100_000) / np.log(10)
    counts = PCounts()
    counts.add(batch)
    once = counts.quantiles()
    tracemalloc.start()
    for _ in range(499):
        counts.add(batch)
    fact = counts.quantiles()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30_000_000
    assert fact.n == 50_000_000
    assert fact.inflation == pytest.approx(once.inflation, rel=1e-9)
    assert fact.observed.size < 2_000
