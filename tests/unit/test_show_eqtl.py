"""`kgp eqtl show`, `kgp eqtl top` and the report's section say what the tables hold."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kgp import tables as t
from kgp.config import load_config
from kgp.errors import InputError
from kgp.job import Job, Progress, Report, run_job
from kgp.jobs.list_top import LIST_TOP
from kgp.jobs.show_eqtl import SHOW_EQTL
from kgp.jobs.write_report import WRITE_REPORT
from kgp.params import EqtlShow, EqtlTop, WriteReport
from kgp.report.quantiles import PCounts
from mapped_lake import N_GENES, NAME, NOMINAL, PERMUTE, Simulated, make_mapped_lake
from report_lake import open_lake


@pytest.fixture(scope="module")
def found() -> Simulated:
    return Simulated()


@pytest.fixture(scope="module")
def lake(found: Simulated, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("mapped") / "lake"
    make_mapped_lake(place, found)
    return place


def run(job: Job, kind: type, lake: Path, **options: object) -> Report:
    config = load_config(lake=str(lake), environ={})
    return run_job(job, config.params(kind, options), config, progress=Progress(quiet=True))


def show(lake: Path, **options: object) -> Report:
    return run(SHOW_EQTL, EqtlShow, lake, name=options.pop("name", NAME), **options)


def top(lake: Path, **options: object) -> Report:
    return run(LIST_TOP, EqtlTop, lake, name=options.pop("name", NAME), **options)


def test_top_lists_the_best_of_each_phenotype_the_smallest_p_first(lake: Path, found: Simulated) -> None:
    report = top(lake)
    rows = report.details["rows"]
    expected = sorted((found.best(gene) for gene in range(N_GENES)), key=lambda pair: pair["p_value"])
    clear = [pair for pair in expected if 20 * pair["p_value"] < 1]  # the others have p_beta 1 alike
    assert len(clear) >= 2
    assert [row["phenotype_id"] for row in rows[: len(clear)]] == [pair["phenotype_id"] for pair in clear]
    assert {row["phenotype_id"] for row in rows} == set(found.gene_ids)
    assert [row["variant_id"] for row in rows[: len(clear)]] == [pair["variant_id"] for pair in clear]
    assert report.details["map_id"] == PERMUTE
    assert not report.changed
    n_significant = sum(80 * found.best(gene)["p_value"] <= 0.05 for gene in range(N_GENES))
    assert report.summary == f"{N_GENES} phenotypes of set eur, {n_significant} significant"


@pytest.mark.parametrize("by", ["id", "without version", "name"])
def test_top_of_a_gene_lists_its_pairs_however_it_is_named(by: str, lake: Path, found: Simulated) -> None:
    name = {"id": found.gene_ids[1], "without version": found.gene_ids[1].partition(".")[0], "name": "BBB"}[
        by
    ]
    report = top(lake, gene=name, rows=5)
    pairs = sorted(
        (pair for pair in found.pairs if pair["phenotype_id"] == found.gene_ids[1]),
        key=lambda pair: (pair["p_value"], abs(pair["tss_distance"])),
    )
    assert [row["variant_id"] for row in report.details["rows"]] == [pair["variant_id"] for pair in pairs[:5]]
    assert report.details["n_rows"] == len(pairs)
    assert report.details["map_id"] == NOMINAL
    assert "the first 5" in report.summary


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "eru"}, r"There is no matrix set eru in this lake\. Did you mean eur\?"),
        (
            {"gene": "CCC"},
            r"2 phenotypes of set eur are called CCC: ENSG00000000002\.3, ENSG00000000003\.4\. Give the id",
        ),
        ({"gene": "AAB"}, r"has no phenotype or gene AAB\. Did you mean AAA\?"),
        ({"gene": "nothing like it"}, r"has no phenotype or gene nothing like it\. See eqtl_phenotypes"),
        (
            {"model": "qtltools"},
            r"no mapping of mode permute by model qtltools\. Make it: kgp eqtl map --name eur",
        ),
    ],
)
def test_what_cannot_be_listed_is_said(options: dict[str, str], message: str, lake: Path) -> None:
    with pytest.raises(InputError, match=message):
        top(lake, **options)


def test_a_gene_needs_the_nominal_pass(tmp_path: Path, found: Simulated) -> None:
    make_mapped_lake(tmp_path / "lake", found, modes=("permute",))
    with pytest.raises(InputError, match="Make it: kgp eqtl map --name eur --mode nominal --model fastqtl"):
        show(tmp_path / "lake", gene="AAA")


def test_show_of_a_set_that_is_not_mapped_says_how(tmp_path: Path, found: Simulated) -> None:
    make_mapped_lake(tmp_path / "lake", found, modes=())
    report = show(tmp_path / "lake", out=str(tmp_path / "a.html"))
    assert report.summary == "set eur is not mapped by model fastqtl"
    assert report.notes[-1] == "map it: kgp eqtl map --name eur --mode permute --model fastqtl"


def test_show_says_what_was_found(lake: Path, found: Simulated) -> None:
    report = show(lake)
    n_egenes = sum(80 * found.best(gene)["p_value"] <= 0.05 for gene in range(N_GENES))
    assert report.summary == (
        f"set eur (fastqtl): {n_egenes} of {N_GENES} phenotypes with a significant variant at FDR 0.05, "
        f"{len(found.pairs):,} pairs tested"
    )
    chi2 = stats.chi2.isf([pair["p_value"] for pair in found.pairs], 1)
    assert report.details["inflation"] == pytest.approx(np.median(chi2) / stats.chi2.ppf(0.5, 1), rel=0.01)
    assert found.best(0)["variant_id"] in report.text


@pytest.fixture
def passes(found: Simulated, tmp_path: Path) -> Path:
    """Three permutation passes with other options each, of which the newest has rows."""
    lake = make_mapped_lake(tmp_path / "lake", found)
    (newest,) = lake.fetch(t.EQTL_MAPS, where=f"map_id = '{PERMUTE}'").to_pylist(maps_as_pydicts="strict")
    given = {"permutations": "1000", "seed": "7", "cis_window": "100000", "fdr": "0.05", "grouped": "false"}
    rows = [
        {**newest, "map_id": map_id, "parameters": given | other, "mapped_at": newest["mapped_at"] - age}
        for map_id, other, age in (
            (PERMUTE, {}, timedelta(0)),
            ("older", {"permutations": "10000"}, timedelta(days=1)),
            ("part", {"contig": "22"}, timedelta(days=-1)),
        )
    ]
    lake.put(t.EQTL_MAPS, rows, "mode = 'permute'")
    return tmp_path / "lake"


def test_which_permutation_pass_is_told_and_which_others_there_are(passes: Path, tmp_path: Path) -> None:
    options = "permutations 1,000, seed 7, window 100,000 bp, FDR 0.05, not grouped, all contigs"
    others = "2 others of mode permute, with other options or of some contigs, not shown: map_id older, part"
    for report in (top(passes), top(passes, gene="AAA"), show(passes), show(passes, gene="AAA")):
        told = [line for line in report.text.splitlines() if options in line]
        assert len(told) == 1
        assert PERMUTE in told[0]
        assert others in report.text.splitlines()
        assert report.details["other_maps"] == {"permute": ["older", "part"]}
        assert others in report.notes
    show(passes, out=str(tmp_path / "set.html"))
    assert options in (tmp_path / "set.html").read_text(encoding="utf-8")


def test_options_of_a_pass_of_groups_and_of_one_contig_are_told(passes: Path) -> None:
    lake = open_lake(passes)
    (row,) = lake.fetch(t.EQTL_MAPS, where="map_id = 'part'").to_pylist(maps_as_pydicts="strict")
    alone = {
        **row,
        "map_id": PERMUTE,
        "parameters": {**row["parameters"], "grouped": "true", "q_lambda": "0.5"},
    }
    lake.put(t.EQTL_MAPS, [alone], "mode = 'permute'")
    told = "FDR 0.05, q-values at lambda 0.5, phenotypes of a group as one, contig 22 alone"
    for report in (top(passes), show(passes)):
        assert any(note.endswith(told) for note in report.notes)
        assert report.details["other_maps"] == {}


@pytest.mark.parametrize(("gene", "verdict"), [("AAA", "an eGene"), ("DDD", "no eGene")])
def test_show_of_a_gene_says_whether_it_is_an_egene(
    lake: Path, found: Simulated, gene: str, verdict: str
) -> None:
    p_beta = min(1.0, 20 * found.best(found.gene_names.index(gene))["p_value"])
    q = min(1.0, 4 * p_beta)
    assert (q <= 0.05) == (verdict == "an eGene")
    report = show(lake, gene=gene)
    (told,) = [note for note in report.notes if note.startswith("by permutation: ")]
    assert f"p beta {p_beta:.3g}, q {q:.3g}" in told
    assert told.endswith(f": {verdict}")
    locus = report.details["locus"]
    assert (locus["q_value"], locus["is_egene"]) == (pytest.approx(q), q <= 0.05)
    assert locus["neg_log10_p_beta"] == pytest.approx(-np.log10(p_beta))


def test_show_of_a_gene_that_the_permutation_pass_lacks_says_so(tmp_path: Path, found: Simulated) -> None:
    lake = make_mapped_lake(tmp_path / "lake", found)
    lake.put(t.EQTL_TOP, [], f"phenotype_id = '{found.gene_ids[0]}'")
    report = show(tmp_path / "lake", gene="AAA")
    assert any(note.endswith("has no row in eqtl_top: it was not judged") for note in report.notes)
    assert report.details["locus"]["q_value"] is None


def test_show_of_a_gene_is_its_best_pair_with_the_correlations(
    lake: Path, found: Simulated, tmp_path: Path
) -> None:
    report = show(lake, gene="AAA", out=str(tmp_path / "gene.html"))
    best, locus = found.best(0), report.details["locus"]
    assert (locus["variant_id"], locus["n_variants"]) == (best["variant_id"], len(found.near(0)))
    assert (locus["slope"], locus["slope_se"]) == (best["slope"], best["slope_se"])
    assert locus["p_threshold"] == 1e-3
    # r2 of the second best, by numpy
    lines = [line.split() for line in report.text.splitlines()[2:22]]
    place = found.variant_ids.index(best["variant_id"])
    for variant_id, _, _, r2 in lines:
        other = found.variant_ids.index(variant_id)
        expected = np.corrcoef(found.filled(place), found.filled(other))[0, 1] ** 2
        assert float(r2) == pytest.approx(expected, abs=1e-5)
    page = (tmp_path / "gene.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    counts = [int((np.rint(found.filled(place)) == n).sum()) for n in range(3)]
    for n, people in enumerate(counts):
        if people:
            assert f"{n} copies of ALT: {people} people." in page
    assert best["variant_id"] in page
    assert show(lake, gene="AAA", out=str(tmp_path / "gene.html")).changed is False


def test_the_page_of_a_set_has_its_pictures(lake: Path, tmp_path: Path) -> None:
    show(lake, out=str(tmp_path / "set.html"))
    page = (tmp_path / "set.html").read_text(encoding="utf-8")
    assert {f"set-{name}" for name in ("qq", "p", "tss")} == set(
        re.findall(r'<title id="(set-\w+)-title"', page)
    )
    assert "constant phenotype" in page
    assert "http" not in re.sub(r'xmlns(:xlink)?="[^"]+"', "", page)


def test_the_report_has_a_section_on_mappings(lake: Path, tmp_path: Path) -> None:
    run(WRITE_REPORT, WriteReport, lake, out=str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<section id="mapping"' in page
    assert "Set eur, model fastqtl" in page
    assert "model qtltools" not in page


@given(
    seed=st.integers(0, 10_000),
    n=st.sampled_from([3, 40, 999, 1_000, 1_001, 5_000, 30_000]),
    cuts=st.integers(1, 4),
)
@settings(max_examples=40, deadline=None)
def test_quantiles_are_those_of_all_p_values(seed: int, n: int, cuts: int) -> None:
    p = np.random.default_rng(seed).random(n) ** 1.5
    counts = PCounts()
    for part in np.array_split(-np.log10(p), cuts):
        counts.add(part)
    fact = counts.quantiles()
    assert fact.n == n
    assert (np.diff(fact.expected) >= 0).all()
    ordered = np.sort(-np.log10(p))[::-1]
    ranks = 10.0**-fact.expected * (n + 1)
    nearest = np.clip(np.ceil(ranks - 1e-6).astype(int) - 1, 0, n - 1)
    below = np.clip(np.floor(ranks + 1e-6).astype(int) - 1, 0, n - 1)
    assert (fact.observed <= ordered[below] + 0.002).all()
    assert (fact.observed >= ordered[nearest] - 0.002).all()
    expected = np.median(stats.chi2.isf(p, 1)) / stats.chi2.ppf(0.5, 1)
    assert fact.inflation == pytest.approx(expected, rel=0.01, abs=0.01)


def test_p_values_below_any_double_stay_in_the_figure() -> None:
    counts = PCounts()
    counts.add(np.array([0.3, 812.5, 0.1]))
    assert counts.quantiles().observed.max() == 812.5
