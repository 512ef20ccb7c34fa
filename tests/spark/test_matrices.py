"""Rows of matrices: whose values, in which order, and why a row is left out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgp.tables import EXPRESSION, PHENOTYPES, VARIANTS
from kgp.transforms import genotypes as g
from kgp.transforms import matrices as m


def keep_all(values):
    return values, [None] * len(values)


@pytest.fixture
def small_batches(spark):
    """Arrow batches of a few rows, so that blocks end in the middle of everything."""
    name = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = spark.conf.get(name)
    spark.conf.set(name, "7")
    yield
    spark.conf.set(name, before)


def table_rows(spark, table, rows):
    data = [tuple(row.get(name) for name in table.columns) for row in rows]
    return spark.createDataFrame(data, table.spark_schema)


def variant(i, pos, dosages, contig="22", **given):
    row = {
        "callset": "c", "contig": contig, "load_id": "l", "start": pos - 1, "end": pos, "record_id": i,
        "alt_index": 1, "n_alts": 1, "variant_id": f"v{i}", "source_contig": contig, "ref": "A", "alt": "C",
        "vcf_id": f"id{i}", "dosages": dosages,
    }  # fmt: skip
    return {**row, **given}


def by_id(rows):
    return {row["variant_id"]: row for row in rows.collect()}


# ----------------------------------------------------------------------------------------------------- genotypes


def test_every_reason_against_a_variant(spark):
    which = g.GenotypeFilter((1, 2, 3, 5), 6, {"22": [1000, 5000], "X": [7]}, 100, 0.25, 0.25)
    rows = [
        variant(0, 1000, [2, 0, 1, 2, 2, 1]),
        variant(1, 1000, [0, 0, 1, 0, 0, 0]),
        variant(2, 1000, [0, 0, 1, 1, 2, None]),
        variant(3, 1000, [0, 0, None, 1, 2, None]),
        variant(4, 1000, [1, 0, 0, 0, 1, 0]),
        variant(5, 1000, [1, 2, 2, 2, 1, 2]),
        variant(6, 1000, [0, 1, 1, 1, 0, 1], n_alts=2),
        variant(7, 1000, None),
        variant(8, 1000, [1, 1], n_alts=1),
        variant(9, 1000, None, alt=None, alt_index=0, n_alts=0),
        variant(10, 1101, [0, 1, 1, 1, 0, 1]),
        variant(11, 1100, [0, 1, 1, 1, 0, 1]),
        variant(12, 900, [0, 1, 1, 1, 0, 1], alt="<CN0>", end=9999),
        variant(13, 899, [0, 1, 1, 1, 0, 1]),
        variant(14, 5100, [0, 1, 1, 1, 0, 1]),
        variant(15, 5101, [0, 1, 1, 1, 0, 1]),
        variant(16, 1000, [0, 1, 1, 1, 0, 1], contig="21"),
        variant(17, 1000, [None] * 6),
    ]  # fmt: skip
    gathered = g.gather_genotypes(table_rows(spark, VARIANTS, rows), which)
    found = by_id(gathered)
    reasons = {name: row["reason"] for name, row in found.items() if row["reason"]}
    assert reasons == {
        "v1": g.RARE, "v3": g.MISSING, "v4": g.MONOMORPHIC, "v5": g.MONOMORPHIC, "v6": g.MULTIALLELIC,
        "v7": g.NO_DOSAGES, "v8": g.OTHER_LENGTH, "v9": g.NO_ALT, "v10": g.OUTSIDE_WINDOWS, "v17": g.MISSING,
    }  # fmt: skip
    # 13, 15 and 16 are beyond every window: they are not even read.
    assert set(found) - set(reasons) == {"v0", "v2", "v11", "v12", "v14"}
    assert found["v0"]["values"] == [0.0, 1.0, 2.0, 1.0]
    assert (found["v0"]["ac"], found["v0"]["an"], found["v0"]["af"], found["v0"]["n_missing"]) == (
        4,
        8,
        0.5,
        0,
    )
    assert found["v2"]["values"] == [0.0, 1.0, 1.0, None]
    assert (found["v2"]["ac"], found["v2"]["an"], found["v2"]["n_missing"]) == (2, 6, 1)
    assert (found["v12"]["alt"], found["v12"]["end"], found["v12"]["start"]) == ("<CN0>", 9999, 899)
    assert found["v0"]["vcf_id"] == "id0"
    assert found["v3"]["values"] is None

    kept, observation = g.keep_and_count(gathered)
    assert {row["variant_id"] for row in kept.collect()} == {"v0", "v2", "v11", "v12", "v14"}
    counts = observation.get
    assert counts["kept"] == 5
    assert counts["shortest"] == counts["longest"] == 4
    assert {r: counts[r] for r in g.REASONS} == {r: list(reasons.values()).count(r) for r in g.REASONS}


@pytest.mark.usefixtures("small_batches")
def test_random_genotypes_against_numpy(spark):
    generator = np.random.default_rng(11)
    n, n_callset = 200, 40
    dosages = generator.integers(0, 3, size=(n, n_callset)).astype(float)
    dosages[generator.random((n, n_callset)) < 0.1] = np.nan
    dosages[generator.random(n) < 0.3] *= 0
    pos = generator.integers(1, 60_000, size=n)
    contig = generator.choice(["21", "22"], size=n)
    tss = {"21": [40_000, 1_000], "22": [30_000]}
    chosen = np.sort(generator.choice(n_callset, size=17, replace=False))
    rows = [
        variant(i, int(pos[i]), [None if np.isnan(x) else int(x) for x in dosages[i]], contig=str(contig[i]))
        for i in range(n)
    ]
    which = g.GenotypeFilter(tuple(chosen.tolist()), n_callset, tss, 9_000, 0.1, 0.12)
    found = by_id(
        g.gather_genotypes(table_rows(spark, VARIANTS, rows).repartition(3), which).where("reason IS NULL")
    )

    expected = set()
    for i in range(n):
        values = dosages[i, chosen]
        called = values[~np.isnan(values)]
        frequency = called.mean() / 2
        is_near = min(abs(pos[i] - t) for t in tss[contig[i]]) <= 9_000
        if is_near and np.isnan(values).mean() <= 0.12 and 0.1 <= frequency <= 0.9:
            expected.add(f"v{i}")
            row = found[f"v{i}"]
            assert [np.nan if v is None else v for v in row["values"]] == pytest.approx(values, nan_ok=True)
            assert (row["ac"], row["an"]) == (called.sum(), 2 * called.size)
            assert row["n_missing"] == np.isnan(values).sum()
            assert row["af"] == pytest.approx(frequency)
    assert set(found) == expected
    assert 10 < len(expected) < n


@pytest.mark.parametrize(
    ("ac", "n", "min_maf"), [(2, 100, 0.01), (6, 10, 0.3), (14, 10, 0.3), (7, 50, 0.07), (1, 5, 0.1)]
)
def test_a_minor_allele_exactly_at_the_bound_is_kept(ac, n, min_maf):
    row = np.array([[2] * (ac // 2) + [1] * (ac % 2) + [0] * (n - ac // 2 - ac % 2)], dtype=np.int8)
    counts = g.count_alleles(row)
    assert not g.judge_counts(counts, min_maf, 0.0)[g.RARE][0]
    assert g.judge_counts(counts, np.nextafter(min_maf, 1), 0.0)[g.RARE][0]


def test_missing_exactly_at_the_bound_is_kept():
    row = np.array([[-1] * 3 + [1] * 27], dtype=np.int8)
    counts = g.count_alleles(row)
    assert not g.judge_counts(counts, 0.0, 0.1)[g.MISSING][0]
    assert g.judge_counts(counts, 0.0, 0.0999)[g.MISSING][0]


@given(
    st.lists(st.integers(1, 300), max_size=20), st.lists(st.integers(1, 300), max_size=8), st.integers(0, 50)
)
def test_a_window_is_a_distance_to_any_tss(pos, tss, cis_window):
    found = g.is_in_window(
        np.array(pos, dtype=np.int64), np.unique(np.array(tss, dtype=np.int64)), cis_window
    )
    assert found.tolist() == [any(abs(p - t) <= cis_window for t in tss) for p in pos]


# ---------------------------------------------------------------------------------------------------- phenotypes


def place(name, contig="22", tss=100, **given):
    row = {
        "dataset": "d", "quantification": "q", "phenotype_id": name, "kind": "gene", "contig": contig,
        "start": tss - 1, "end": tss, "tss": tss, "build": "GRCh37", "unit": "rpkm", "source_contig": contig,
        "load_id": "l",
    }  # fmt: skip
    return {**row, **given}


def cells(values):
    return [
        {
            "dataset": "d",
            "quantification": "q",
            "phenotype_id": name,
            "run_id": run,
            "load_id": "l",
            "value": value,
        }
        for name, runs in values.items()
        for run, value in runs
    ]


@pytest.mark.usefixtures("small_batches")
def test_phenotypes_come_in_the_order_of_the_runs_and_say_why_they_do_not(spark):
    places = [place("full", strand="-", gene_id="G"), place("gap"), place("no_cells"), place("other", contig="21"),
              place("sexual", contig="X"), place("far", contig="20"), place("twice"), place("refused"),
              place("unplaced", contig=None, start=None, end=None, tss=0) | {"tss": None}]  # fmt: skip
    values = {
        "full": [("r3", 3.0), ("r1", 1.0), ("r2", 2.0), ("unused", 9.0)],
        "gap": [("r1", None), ("r3", 0.5)],
        "no_cells": [("unused", 1.0)],
        "other": [("r1", 1.0)],
        "sexual": [("r1", 1.0)],
        "nowhere": [("r1", 1.0)],
        "unplaced": [("r1", 1.0)],
        "twice": [("r1", 1.0), ("r1", 2.0)],
        "refused": [("r1", -1.0)],
    }  # fmt: skip

    def normalise(measured):
        return measured * 10, ["negative" if (row < 0).any() else None for row in measured]

    placed = m.place_phenotypes(
        table_rows(spark, PHENOTYPES, places),
        asked=["22", "X", "20"], autosomes=[str(n) for n in range(1, 23)], with_genotypes=["22", "21"],
    )  # fmt: skip
    rows = m.gather_phenotypes(
        table_rows(spark, EXPRESSION, cells(values)), placed, ["r2", "r3", "r1"], normalise
    )
    found = {row["phenotype_id"]: row for row in rows.collect() if row["phenotype_id"] is not None}
    assert found["full"]["values"] == [20.0, 30.0, 10.0]
    assert (found["full"]["strand"], found["full"]["gene_id"], found["full"]["tss"]) == ("-", "G", 100)
    assert found["gap"]["values"] == [None, 5.0, None]
    assert {row["phenotype_id"]: row["reason"] for row in rows.collect() if row["reason"]} == {
        "no_cells": m.NO_VALUES, "other": m.CONTIG_NOT_ASKED, "sexual": m.NOT_AUTOSOMAL,
        "far": m.NO_GENOTYPES_THERE, "nowhere": m.NO_PLACE, "unplaced": m.NO_PLACE, "twice": m.REPEATED_VALUE,
        "refused": "negative",
    }  # fmt: skip


@pytest.mark.usefixtures("small_batches")
def test_random_expression_against_numpy(spark):
    generator = np.random.default_rng(5)
    measured = generator.normal(size=(30, 11))
    runs = [f"r{j:02}" for j in generator.permutation(11)]
    names = [f"g{i}" for i in range(30)]
    flat = cells({name: list(zip(runs, measured[i].tolist(), strict=True)) for i, name in enumerate(names)})
    generator.shuffle(flat)
    placed = m.place_phenotypes(
        table_rows(spark, PHENOTYPES, [place(n) for n in names]),
        asked=[],
        autosomes=["22"],
        with_genotypes=["22"],
    )
    rows = m.gather_phenotypes(
        table_rows(spark, EXPRESSION, flat).repartition(4), placed, runs, keep_all
    ).collect()
    assert len(rows) == 30
    for row in rows:
        assert row["reason"] is None
        assert row["values"] == measured[names.index(row["phenotype_id"])].tolist()


def test_a_set_is_named_by_what_it_depends_on():
    name = m.name_matrix("1", {"name": "a", "min_maf": 0.01}, ["x", "y"])
    assert len(name) == 32
    assert int(name, 16) >= 0
    assert name == m.name_matrix("1", {"min_maf": 0.01, "name": "a"}, ["y", "x"])
    others = {
        m.name_matrix("2", {"name": "a", "min_maf": 0.01}, ["x", "y"]),
        m.name_matrix("1", {"name": "b", "min_maf": 0.01}, ["x", "y"]),
        m.name_matrix("1", {"name": "a", "min_maf": 0.02}, ["x", "y"]),
        m.name_matrix("1", {"name": "a", "min_maf": 0.01}, ["x"]),
        name,
    }
    assert len(others) == 5
