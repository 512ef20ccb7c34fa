"""`kgp eqtl show` and `kgp eqtl top` of groups, independent signals, interactions and trans pairs: by SQL and scipy."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder
from scipy import stats

from kgp.config import load_config
from kgp.errors import InputError
from kgp.job import Job, Progress, Report, run_job
from kgp.jobs.list_top import LIST_TOP
from kgp.jobs.show_eqtl import SHOW_EQTL
from kgp.params import EqtlShow, EqtlTop
from map_sets import MadeSet, map_set

N_GROUPS, N_EACH = 8, 3
# Groups with one signal, with two, and with an interaction.
ONE, TWO, INTERACTING = 2, 4, 6


def make_grouped() -> MadeSet:
    """Transcripts of genes: groups with a signal of their second transcript, some with two, one with an interaction."""
    rng = np.random.default_rng(11)
    n_samples, n_variants = 150, 160
    genotypes = rng.binomial(2, 0.35, (n_variants, n_samples)).astype(np.int8)
    covariates = rng.normal(size=(n_samples, 2))
    values = rng.normal(size=(N_GROUPS * N_EACH, n_samples))
    at = np.repeat(np.arange(N_GROUPS) * 20 + 5, N_EACH)
    values[ONE * N_EACH + 1] += (
        0.6 * genotypes[at[ONE * N_EACH] + 1]
    )  # the weakest eGene is the threshold of signals
    values[TWO * N_EACH + 1] += 1.1 * genotypes[at[TWO * N_EACH] + 1] + 1.1 * genotypes[at[TWO * N_EACH] + 3]
    values[INTERACTING * N_EACH] += 1.5 * genotypes[at[INTERACTING * N_EACH]] * covariates[:, 0]
    values[0] += 1.2 * genotypes[150]  # far from it: a trans pair
    positions = np.arange(n_variants) * 1_000 + 10_000
    return MadeSet(
        genotypes,
        positions,
        ["2"] * n_variants,
        values,
        positions[at] + 7,
        ["2"] * at.size,
        covariates,
        groups=[f"ENSG{i // N_EACH:011d}.5" for i in range(at.size)],
        phenotype_ids=[f"ENST{i:011d}.1" for i in range(at.size)],
        window=6_000,
    )


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set, mapped in all modes; twice in mode interaction and in mode trans."""
    place = tmp_path_factory.mktemp("modes") / "lake"
    make_grouped().write(place)
    for options in (
        {"mode": "nominal"},
        {"mode": "permute", "grouped": True},
        {"mode": "independent", "grouped": True},
        {"mode": "finemap", "grouped": True},
        {"mode": "interaction", "interaction": "c0"},
        {"mode": "interaction", "interaction": "c1"},
        {"mode": "trans", "max_p": 1e-3, "trans_distance": 6_000},
        {"mode": "trans", "max_p": 1e-2, "trans_distance": 6_000},
    ):
        map_set(place, **options)
    return place


def query(lake: Path, table: str, sql: str) -> list[dict[str, Any]]:
    opened = QueryBuilder().register("t", DeltaTable(str(lake / table)))
    return pa.table(opened.execute(sql)).to_pylist()


def run(job: Job, kind: type, lake: Path, **options: object) -> Report:
    config = load_config(lake=str(lake), environ={})
    return run_job(
        job, config.params(kind, {"name": "made", **options}), config, progress=Progress(quiet=True)
    )


def group(number: int) -> str:
    return f"ENSG{number:011d}.5"


def transcript(number: int) -> str:
    return f"ENST{number:011d}.1"


@pytest.mark.parametrize("wanted", [group(ONE), group(ONE).partition(".")[0], transcript(ONE * N_EACH + 2)])
def test_a_group_and_each_of_its_phenotypes_find_the_groups_row(lake: Path, wanted: str) -> None:
    (row,) = query(lake, "eqtl_top", f"SELECT * FROM t WHERE group_id = '{group(ONE)}'")
    assert (row["phenotype_id"], row["n_phenotypes"]) == (transcript(ONE * N_EACH + 1), N_EACH)
    locus = run(SHOW_EQTL, EqtlShow, lake, gene=wanted).details["locus"]
    assert (locus["group_id"], locus["n_phenotypes"]) == (group(ONE), N_EACH)
    assert locus["p_threshold"] == row["p_threshold"]
    assert (locus["q_value"], locus["neg_log10_p_beta"]) == (row["q_value"], row["neg_log10_p_beta"])
    # A group is drawn by its best phenotype, a phenotype by itself.
    assert locus["phenotype_id"] == (wanted if wanted.startswith("ENST") else row["phenotype_id"])
    report = run(LIST_TOP, EqtlTop, lake, gene=wanted)
    (judged,) = [one for one in report.details["others"] if one["mode"] == "permute"]
    assert [(one["group_id"], one["n_phenotypes"], one["p_beta"]) for one in judged["rows"]] == [
        (group(ONE), N_EACH, row["p_beta"])
    ]
    assert group(ONE) in report.text


def test_the_table_of_groups_names_them(lake: Path) -> None:
    rows = query(lake, "eqtl_top", "SELECT * FROM t ORDER BY neg_log10_p_beta DESC")
    report = run(LIST_TOP, EqtlTop, lake)
    assert [
        (row["group_id"], row["n_phenotypes"], row["phenotype_id"]) for row in report.details["rows"]
    ] == [(row["group_id"], N_EACH, row["phenotype_id"]) for row in rows]
    n_egenes = sum(row["is_egene"] for row in rows)
    assert report.summary == f"{N_GROUPS} groups of set made, {n_egenes} significant"
    shown = run(SHOW_EQTL, EqtlShow, lake)
    assert shown.summary.startswith(
        f"set made (fastqtl): {n_egenes} of {N_GROUPS} groups with a significant variant"
    )
    assert re.search(
        rf"group +phenotypes in it +best phenotype.*\n.*\n{re.escape(rows[0]['group_id'])} +3 ", shown.text
    )


def test_the_pairs_of_a_group_are_those_of_all_its_phenotypes(lake: Path) -> None:
    names = ", ".join(f"'{transcript(ONE * N_EACH + i)}'" for i in range(N_EACH))
    rows = query(
        lake, "eqtl_nominal", f"SELECT * FROM t WHERE phenotype_id IN ({names}) ORDER BY p_value LIMIT 5"
    )
    (n,) = query(lake, "eqtl_nominal", f"SELECT count(*) AS n FROM t WHERE phenotype_id IN ({names})")
    details = run(LIST_TOP, EqtlTop, lake, gene=group(ONE), rows=5).details
    assert (details["mode"], details["n_rows"]) == ("nominal", n["n"])
    assert [(row["phenotype_id"], row["variant_id"], row["p_value"]) for row in details["rows"]] == [
        (row["phenotype_id"], row["variant_id"], row["p_value"]) for row in rows
    ]


def test_the_threshold_line_is_the_groups(lake: Path, tmp_path: Path) -> None:
    run(SHOW_EQTL, EqtlShow, lake, gene=transcript(ONE * N_EACH), out=str(tmp_path / "a.html"))
    (row,) = query(lake, "eqtl_top", f"SELECT p_threshold FROM t WHERE group_id = '{group(ONE)}'")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert f"threshold of the group: p {row['p_threshold']:.2g}" in page
    assert (
        f"group {group(ONE)} of {N_EACH} phenotypes (best: {transcript(ONE * N_EACH + 1)}) is significant"
        in page
    )


def test_independent_signals_are_counted_by_egene(lake: Path, tmp_path: Path) -> None:
    rows = query(lake, "eqtl_independent", "SELECT group_id, rank, variant_id FROM t")
    of_group: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for row in rows:
        of_group[row["group_id"]].append((row["rank"], row["variant_id"]))
    (n_egenes,) = query(lake, "eqtl_top", "SELECT count(*) AS n FROM t WHERE is_egene")
    expected = Counter(map(len, of_group.values())) + Counter({0: n_egenes["n"] - len(of_group)})
    report = run(SHOW_EQTL, EqtlShow, lake, out=str(tmp_path / "set.html"))
    assert report.details["n_signals"] == {str(n): k for n, k in sorted(expected.items())}
    assert expected[2] >= 1
    assert f"{len(rows)} independent signals" in report.summary
    both = ", ".join(variant for _, variant in sorted(of_group[group(TWO)]))
    assert re.search(rf"{re.escape(group(TWO))} +2 +{re.escape(both)}", report.text)
    assert both in (tmp_path / "set.html").read_text(encoding="utf-8")
    listed = run(LIST_TOP, EqtlTop, lake, gene=group(TWO)).details["others"]
    (signals,) = [one for one in listed if one["mode"] == "independent"]
    assert [(row["rank"], row["variant_id"]) for row in signals["rows"]] == sorted(of_group[group(TWO)])


def test_credible_sets_are_told_by_their_likeliest_variant(lake: Path) -> None:
    rows = query(lake, "eqtl_credible_sets", "SELECT * FROM t ORDER BY pip")
    likeliest = {(row["phenotype_id"], row["cs_id"]): row for row in rows}  # the last one of each stays
    assert len(likeliest) >= 3
    found = run(SHOW_EQTL, EqtlShow, lake).details["credible_sets"]
    assert found["n_sets"] == len(likeliest)
    assert found["n_phenotypes"] == len({phenotype for phenotype, _ in likeliest})
    sizes = Counter((row["phenotype_id"], row["cs_id"]) for row in rows)
    assert found["n_single"] == sum(n == 1 for n in sizes.values())
    assert found["median_size"] == np.median(list(sizes.values()))
    strongest = sorted(likeliest.values(), key=lambda row: -row["cs_log10_bf"])
    assert [
        (row["phenotype_id"], row["cs_id"], row["pip"], row["cs_size"]) for row in found["strongest"]
    ] == [(row["phenotype_id"], row["cs_id"], row["pip"], row["cs_size"]) for row in strongest[:20]]
    listed = run(LIST_TOP, EqtlTop, lake, gene=transcript(TWO * N_EACH + 1)).details["others"]
    (of_gene,) = [one for one in listed if one["mode"] == "finemap"]
    expected = [row for row in rows if row["phenotype_id"] == transcript(TWO * N_EACH + 1)]
    assert of_gene["n_rows"] == len(expected)
    assert [(row["cs_id"], row["variant_id"]) for row in of_gene["rows"]] == [
        (row["cs_id"], row["variant_id"])
        for row in sorted(expected, key=lambda row: (row["cs_id"], -row["pip"]))
    ]


def test_interactions_are_judged_a_phenotype_each(lake: Path) -> None:
    report = run(SHOW_EQTL, EqtlShow, lake)
    maps = query(lake, "eqtl_maps", "SELECT map_id, parameters FROM t WHERE mode = 'interaction'")
    ids = {dict(row["parameters"])["interaction"]: row["map_id"] for row in maps}
    assert [one["covariate"] for one in report.details["interactions"]] == ["c0", "c1"]
    for found in report.details["interactions"]:
        rows = query(
            lake,
            "eqtl_interaction",
            "SELECT phenotype_id, min(p_value_gi) AS p, count(*) AS n FROM t "
            f"WHERE map_id = '{ids[found['covariate']]}' GROUP BY phenotype_id",
        )
        p = np.array([min(1.0, row["p"] * row["n"]) for row in rows])
        q = dict(zip([row["phenotype_id"] for row in rows], stats.false_discovery_control(p), strict=True))
        assert found["n_phenotypes"] == len(rows)
        assert found["n_significant"] == sum(value <= 0.05 for value in q.values())
        for row in found["best"]:
            (of_sql,) = [one for one in rows if one["phenotype_id"] == row["phenotype_id"]]
            assert row["n_variants"] == of_sql["n"]
            assert row["p_value_gi"] == of_sql["p"]
            assert row["p_bonferroni"] == pytest.approx(min(1.0, of_sql["p"] * of_sql["n"]))
            assert row["q"] == pytest.approx(q[row["phenotype_id"]])
        all_p = query(
            lake,
            "eqtl_interaction",
            f"SELECT p_value_gi AS p FROM t WHERE map_id = '{ids[found['covariate']]}'",
        )
        chi2 = np.median(stats.chi2.isf([row["p"] for row in all_p], 1)) / stats.chi2.ppf(0.5, 1)
        assert found["inflation"] == pytest.approx(chi2, rel=0.02)
    first = report.details["interactions"][0]
    assert first["n_significant"] >= 1
    assert first["best"][0]["phenotype_id"] == transcript(INTERACTING * N_EACH)
    assert f"{first['n_significant']} phenotype" in report.summary


def test_trans_pairs_are_counted_beside_what_chance_gives(lake: Path) -> None:
    report = run(SHOW_EQTL, EqtlShow, lake)
    newest = max(
        query(lake, "eqtl_maps", "SELECT * FROM t WHERE mode = 'trans'"), key=lambda row: row["mapped_at"]
    )
    found = report.details["trans"]
    rows = query(
        lake, "eqtl_trans", f"SELECT * FROM t WHERE map_id = '{newest['map_id']}' ORDER BY neg_log10_p DESC"
    )
    assert found["n_kept"] == len(rows) > 0
    assert found["n_expected"] == pytest.approx(newest["n_pairs"] * 1e-2)
    assert [row["p_value"] for row in found["strongest"]] == [row["p_value"] for row in rows[:20]]
    assert found["strongest"][0]["phenotype_id"] == transcript(0)
    n_phenotypes, n_variants = (len({row[name] for row in rows}) for name in ("phenotype_id", "variant_id"))
    (note,) = [one for one in report.notes if one.startswith("Trans:")]
    assert (
        f"{len(rows):,} pairs with p ≤ 0.01, of {n_phenotypes} phenotypes and {n_variants} variants" in note
    )
    assert any(note.startswith("1 other of mode trans, with other options") for note in report.notes)


def test_the_page_has_a_table_of_each_mode(lake: Path, tmp_path: Path) -> None:
    run(SHOW_EQTL, EqtlShow, lake, out=str(tmp_path / "set.html"))
    page = (tmp_path / "set.html").read_text(encoding="utf-8")
    for caption in (
        "strongest groups",
        "eGenes by their independent signals",
        "eGenes with several independent signals",
        "strongest credible sets",
        "strongest interactions with c0",
        "strongest interactions with c1",
        "strongest trans pairs",
    ):
        assert caption in page
    assert "http" not in re.sub(r'xmlns(:xlink)?="[^"]+"', "", page)


def test_what_only_some_modes_have_is_shown(tmp_path: Path) -> None:
    make_grouped().write(tmp_path / "lake")
    map_set(tmp_path / "lake", mode="permute", grouped=True)
    report = run(LIST_TOP, EqtlTop, tmp_path / "lake", gene=group(ONE))
    assert (report.details["mode"], report.details["n_rows"]) == ("permute", 1)
    assert report.summary == f"best pair of group {group(ONE)}, by permutation"
    with pytest.raises(
        InputError, match=r"no mapping of mode nominal by model fastqtl; there is permute\. Make it"
    ):
        run(SHOW_EQTL, EqtlShow, tmp_path / "lake", gene=group(ONE))


def test_without_groups_the_phenotypes_of_a_gene_are_listed_not_guessed(tmp_path: Path) -> None:
    make_grouped().write(tmp_path / "lake")
    for mode in ("nominal", "permute"):
        map_set(tmp_path / "lake", mode=mode)
    names = ", ".join(transcript(ONE * N_EACH + i) for i in range(N_EACH))
    for job, kind in ((SHOW_EQTL, EqtlShow), (LIST_TOP, EqtlTop)):
        with pytest.raises(InputError) as caught:
            run(job, kind, tmp_path / "lake", gene=group(ONE))
        assert str(caught.value) == (
            f"--gene: 3 phenotypes of set made are called {group(ONE)}: {names}. Give the id of one."
        )
    locus = run(SHOW_EQTL, EqtlShow, tmp_path / "lake", gene=transcript(ONE * N_EACH + 1)).details["locus"]
    assert locus["group_id"] is None
