"""Phenotypes as arrays: whose places, whose values in which order, and why one is left out. Without Spark."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import WriterProperties, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from kgp import tables as t
from kgp.eqtl.recipe import NO_VALUES, ExpressionRecipe, prepare_expression
from kgp.errors import CheckError, ContractError, InputError
from kgp.genome import BUILDS
from kgp.io.delta import Lake
from kgp.io.matrix_sets import PHENOTYPE_PLACES
from kgp.job import Context, Job, Progress
from kgp.jobs import eqtl_expression
from kgp.jobs.eqtl_expression import ONLY_COUNTS, Measured, fetch_expression, judge_ever, judge_places
from kgp.transforms import matrices as m

DATASET = "E-GEUV-1"
DEFECT = "This is a defect of kgp: please report it."


def no_spark():
    raise AssertionError("Spark was started")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake, without Spark."""
    return Lake(no_spark, str(tmp_path / "lake"))


@pytest.fixture
def context(lake: Lake) -> Context:
    job: Job[Any] = Job("test", "", object, (t.EXPRESSION, t.PHENOTYPES), (), lambda *_: None)
    return Context(lake, Progress(quiet=True), job)


def place(name, contig="22", tss=100, *, quantification="genes", **given) -> dict[str, Any]:
    row = {
        "dataset": DATASET, "quantification": quantification, "phenotype_id": name, "kind": "gene", "contig": contig,
        "start": tss - 1, "end": tss + 50, "tss": tss, "build": "GRCh37", "unit": "rpkm", "source_contig": contig,
        "load_id": "e1",
    }  # fmt: skip
    return {**row, **given}


UNPLACED: dict[str, Any] = {"contig": None, "start": None, "end": None, "tss": None, "source_contig": None}


def cell(name, run, value, *, quantification="genes", load_id="e1") -> dict[str, Any]:
    return {
        "dataset": DATASET, "quantification": quantification, "phenotype_id": name, "run_id": run, "load_id": load_id,
        "value": value,
    }  # fmt: skip


def quantification(name, runs, *, unit="rpkm", processing="none") -> dict[str, Any]:
    return {"quantification": name, "unit": unit, "processing": processing, "run_ids": list(runs)}


def fill(lake: Lake, places: Iterable[dict], cells: Iterable[dict], *, group_rows=7, file_rows=25) -> None:
    """Write rows as they come, in small files and row groups, so that phenotypes are torn."""
    loaded = datetime.datetime(2024, 5, 6, tzinfo=datetime.UTC)
    load = {
        "load_id": "e1", "target": "expression", "subject": DATASET, "path": "/a", "content_id": "c", "build": "GRCh37",
        "selection": {}, "reader": "builtin", "reader_reason": "test", "versions": {}, "rows_in": 0, "rows_out": 0,
        "rows_quarantined": 0, "alleles_out": 0, "warnings": {}, "warned_at": {}, "seconds": 1.0, "loaded_at": loaded,
    }  # fmt: skip
    lake.put(t.LOADS, [load], None)
    for table, rows in ((t.PHENOTYPES, list(places)), (t.EXPRESSION, list(cells))):
        lake.create(table)
        for start in range(0, len(rows), file_rows):
            arrow = pa.Table.from_pylist(rows[start : start + file_rows], schema=table.arrow_schema)
            properties = WriterProperties(max_row_group_size=group_rows)
            write_deltalake(lake.path(table), arrow, mode="append", writer_properties=properties)


def matrix_cells(names, runs, values, **given) -> list[dict]:
    return [
        cell(name, run, None if np.isnan(value) else float(value), **given)
        for name, row in zip(names, values, strict=True)
        for run, value in zip(runs, row, strict=True)
    ]


def ids(measured: Measured) -> list[str]:
    return measured.rows["phenotype_id"].to_pylist()


# -------------------------------------------------------------------------------------------------------- reading


def test_values_come_by_phenotype_in_the_order_of_the_runs(lake, context):
    places = [
        place("full", strand="-", gene_id="G", gene_name="N", group_id="H"), place("gap"), place("alone", contig="21"),
        place("nowhere") | UNPLACED,
    ]  # fmt: skip
    cells = [
        cell("full", "r3", 3.0), cell("full", "r1", 1.0), cell("full", "r2", 2.0), cell("full", "unused", 9.0),
        cell("gap", "r1", None), cell("gap", "r3", 0.5), cell("alone", "unused", 1.0), cell("nowhere", "r1", 4.0),
        cell("full", "r1", 99.0, load_id="cut off"),
    ]  # fmt: skip
    fill(lake, places, cells)
    found = fetch_expression(
        context, DATASET, [quantification("genes", ["r1", "r2", "r3", "unused"])], None, ["r2", "r3", "r1"]
    )
    assert ids(found) == ["alone", "full", "gap", "nowhere"]
    nan = np.nan
    expected = [[nan] * 3, [2.0, 3.0, 1.0], [nan, 0.5, nan], [nan, nan, 4.0]]
    assert np.array_equal(found.values, expected, equal_nan=True)
    assert tuple(found.rows.schema.names) == PHENOTYPE_PLACES
    assert found.rows.slice(1, 1).to_pylist() == [
        {"contig": "22", "phenotype_id": "full", "start": 99, "end": 150, "tss": 100, "strand": "-", "gene_id": "G",
         "gene_name": "N", "group_id": "H"},
    ]  # fmt: skip
    assert (found.unit, found.processing, found.counts) == ("rpkm", "none", None)
    assert (found.notes, found.apart) == ((), [None] * 4)
    assert judge_places(found, asked=[], allowed=["21", "22"], with_genotypes=["22"]) == [
        m.NO_GENOTYPES_THERE, None, None, m.NO_PLACE,
    ]  # fmt: skip


@pytest.mark.parametrize(("group_rows", "file_rows"), [(7, 100), (64, 1000)])
@pytest.mark.parametrize("batch_rows", [3, 1 << 18])
def test_random_expression_against_numpy(lake, context, monkeypatch, group_rows, file_rows, batch_rows):
    monkeypatch.setattr(eqtl_expression, "_BATCH_ROWS", batch_rows)
    rng = np.random.default_rng(5)
    values = rng.normal(size=(30, 11))
    values[rng.random(values.shape) < 0.2] = np.nan
    names = [f"g{i}" for i in rng.permutation(30)]
    runs = [f"r{j:02}" for j in rng.permutation(11)]
    cells = matrix_cells(names, runs, values)
    rng.shuffle(cells)
    fill(lake, [place(name) for name in names], cells, group_rows=group_rows, file_rows=file_rows)
    wanted = [runs[j] for j in (8, 2, 5, 0)]
    found = fetch_expression(context, DATASET, [quantification("genes", runs)], None, wanted)
    expected = pd.DataFrame(values, names, runs).loc[sorted(names), wanted]
    assert ids(found) == expected.index.tolist()
    assert np.array_equal(found.values, expected.to_numpy(), equal_nan=True)


def test_several_quantifications_are_one_where_they_agree(lake, context):
    both = ["same", "moved", "turned"]
    places = [
        *(place(name, quantification="A", strand="+") for name in [*both, "only_a"]),
        place("same", quantification="B", strand="+", gene_name="other"),
        place("moved", tss=200, quantification="B", strand="+"),
        place("turned", quantification="B", strand=None),
        place("only_b", quantification="B"),
        place("same", quantification="C", contig="1"),
    ]
    cells = [cell(name, "a1", 1.0, quantification="A") for name in [*both, "only_a"]]
    cells += [cell(name, "b1", 2.0, quantification="B") for name in [*both, "only_b"]]
    cells += [cell("same", "a1", 7.0, quantification="C")]
    fill(lake, places, cells)
    two = [quantification("A", ["a1"]), quantification("B", ["b1"])]
    found = fetch_expression(context, DATASET, two, None, ["b1", "a1"])
    assert dict(zip(ids(found), found.apart, strict=True)) == {
        "same": None, "moved": m.OTHER_PLACE, "turned": m.OTHER_PLACE, "only_a": m.NOT_IN_ALL, "only_b": m.NOT_IN_ALL,
    }  # fmt: skip
    assert found.values[ids(found).index("same")].tolist() == [2.0, 1.0]
    assert found.rows["gene_name"].null_count == 5
    reasons = judge_places(found, asked=["21"], allowed=["22"], with_genotypes=["22"])
    assert reasons[ids(found).index("moved")] == m.OTHER_PLACE
    assert reasons[ids(found).index("same")] == m.CONTIG_NOT_ASKED


def test_a_part_of_a_place_that_only_one_quantification_knows_is_another_place():
    schema = pa.schema([pa.field("quantification", pa.string())] + [
        t.PHENOTYPES.arrow_schema.field(name) for name in PHENOTYPE_PLACES
    ])  # fmt: skip
    rows = [place("a", quantification="A"), place("a", quantification="B") | UNPLACED]
    rows += [place("b", quantification=q) | UNPLACED for q in "AB"]
    picked = [{name: row.get(name) for name in schema.names} for row in rows]
    found, apart = m.place_phenotypes(pa.Table.from_pylist(picked, schema), n_quantifications=2)
    assert found["phenotype_id"].to_pylist() == ["a", "b"]
    assert apart == [m.OTHER_PLACE, None]


def test_an_empty_quantification_has_no_phenotypes(lake, context):
    fill(lake, [place("a", quantification="other")], [])
    found = fetch_expression(context, DATASET, [quantification("genes", ["r1"])], None, ["r1"])
    assert (found.rows.num_rows, found.values.shape, found.apart) == (0, (0, 1), [])
    assert tuple(found.rows.schema.names) == PHENOTYPE_PLACES


def test_real_values_of_the_slice_come_back(lake, context, bundled):
    frame = pd.read_csv(bundled / "genes.50percent.chr22.bed.gz", sep="\t")
    names, runs = frame["gene"].tolist(), frame.columns[6:].tolist()
    values = frame.iloc[:, 6:].to_numpy(np.float64)
    lake.create(t.EXPRESSION)
    fill(lake, [place(name) for name in names], [])
    table = pa.table(
        {
            "dataset": pa.repeat(DATASET, values.size), "quantification": pa.repeat("genes", values.size),
            "phenotype_id": np.repeat(names, len(runs)), "run_id": np.tile(runs, len(names)),
            "load_id": pa.repeat("e1", values.size), "value": values.ravel(),
        }
    ).select(t.EXPRESSION.columns)  # fmt: skip
    write_deltalake(lake.path(t.EXPRESSION), table.cast(t.EXPRESSION.arrow_schema), mode="append")
    found = fetch_expression(context, DATASET, [quantification("genes", runs)], None, runs[::-3])
    expected = frame.set_index("gene").loc[sorted(names), runs[::-3]]
    assert ids(found) == expected.index.tolist()
    assert np.array_equal(found.values, expected.to_numpy(np.float64))


# --------------------------------------------------------------------------------------------------------- counts


def test_counts_stand_beside_the_values_and_complete_the_libraries(lake, context):
    places = [place("a"), place("b"), place("c", contig="21")]
    places += [place(name, quantification="reads", unit="count") for name in ("b", "a", "d", "e")]
    cells = matrix_cells("abc", ["r1", "r2"], np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    reads = np.array([[30.0, 40.0], [10.0, 20.0], [100.0, 200.0], [7.0, 8.0]])
    cells += matrix_cells("bade", ["r1", "r2"], reads, quantification="reads")
    fill(lake, places, cells)
    counts = quantification("reads", ["r2", "r1", "r9"], unit="count")
    found = fetch_expression(context, DATASET, [quantification("genes", ["r1", "r2"])], counts, ["r2", "r1"])
    assert ids(found) == ["a", "b", "c", "d", "e"]
    nan = np.nan
    assert np.array_equal(found.values, [[2, 1], [4, 3], [6, 5], [nan, nan], [nan, nan]], equal_nan=True)
    assert np.array_equal(found.counts, [[20, 10], [40, 30], [nan, nan], [200, 100], [8, 7]], equal_nan=True)
    assert found.apart == [None, None, None, ONLY_COUNTS, ONLY_COUNTS]
    assert found.notes == ("2 phenotypes of reads have counts only: they are part of the libraries.",)
    recipe = ExpressionRecipe(0.0, 0.0, 0, 0.0, 1.0, "tmm", "none", "none", None, "elbow", "covariates")
    ever = judge_ever(found, ["21", "22"])
    made = prepare_expression(found.values, found.counts, recipe, unit="rpkm", processing="none", places=ever)
    assert made.reasons == [None, None, "counts missing", ONLY_COUNTS, ONLY_COUNTS]
    # The two libraries differ by their sizes 268 and 147 alone as far as two phenotypes can tell.
    assert made.values[0, 0] / made.values[1, 0] == pytest.approx(0.5)


def test_counts_of_the_same_quantification_are_read_once(lake, context):
    fill(lake, [place("a")], [cell("a", "r1", 1.0)])
    row = quantification("genes", ["r1"], unit="count")
    found = fetch_expression(context, DATASET, [row], row, ["r1"])
    assert found.counts is found.values
    assert (found.notes, found.apart) == ((), [None])


@pytest.mark.parametrize(
    ("unit", "processing"), [("rpkm", "none"), ("count", "peer10_residuals")], ids=["rpkm", "residuals"]
)
def test_what_is_no_count_is_refused(context, unit, processing):
    row = quantification("GD462", ["r1"], unit=unit, processing=processing)
    with pytest.raises(InputError) as problem:
        fetch_expression(context, DATASET, [quantification("genes", ["r1"])], row, ["r1"])
    assert str(problem.value) == (
        f"--counts: GD462 has no read counts: its unit is {unit}, its processing {processing}."
        " Name a quantification of unit count and processing none, or leave --counts away."
    )


def test_counts_of_other_runs_are_refused(context):
    row = quantification("reads", ["r1", "x"], unit="count")
    with pytest.raises(InputError) as problem:
        fetch_expression(
            context, DATASET, [quantification("genes", ["r1"])], row, ["r1", "r5", "r4", "r3", "r2"]
        )
    assert str(problem.value) == (
        "--counts: reads has no counts of 4 runs of 5: r2, r3, r4 and 1 more."
        " Name a quantification of the same runs, or leave --counts away."
    )


def test_counts_of_other_phenotypes_are_refused(lake, context):
    fill(lake, [place("ENSG1"), place("ENST1", quantification="reads")], [cell("ENSG1", "r1", 1.0)])
    row = quantification("reads", ["r1"], unit="count")
    with pytest.raises(InputError) as problem:
        fetch_expression(context, DATASET, [quantification("genes", ["r1"])], row, ["r1"])
    assert str(problem.value) == (
        "--counts: No phenotype of reads is one of those with values (ENST1, ENSG1)."
        " Name the quantification that counts the same phenotypes."
    )


# ------------------------------------------------------------------------------------------- tables that contradict


def test_several_values_of_one_run_are_refused(lake, context):
    cells = [cell("a", "r1", 1.0), cell("a", "r2", 1.0), cell("a", "r1", None), cell("b", "r1", 2.0)]
    fill(lake, [place("a"), place("b")], cells, group_rows=1, file_rows=2)
    row = quantification("genes", ["r1", "r2"])
    with pytest.raises(CheckError) as problem:
        fetch_expression(context, DATASET, [row], None, ["r1", "r2"])
    assert str(problem.value) == (
        "dataset E-GEUV-1, quantification genes: 1 values are second ones of a run and a phenotype. " + DEFECT
    )
    found = fetch_expression(context, DATASET, [row], None, ["r2"]).values
    assert np.array_equal(found, [[1.0], [np.nan]], equal_nan=True)


def test_values_of_a_phenotype_that_is_not_listed_are_refused(lake, context):
    fill(lake, [place("a")], [cell("a", "r1", 1.0), cell("stranger", "r1", 1.0)])
    with pytest.raises(CheckError) as problem:
        fetch_expression(context, DATASET, [quantification("genes", ["r1"])], None, ["r1"])
    assert str(problem.value) == (
        "table expression: stranger has values, but no row in table phenotypes. " + DEFECT
    )


def test_a_phenotype_that_is_listed_twice_is_refused(lake, context):
    fill(lake, [place("a"), place("b"), place("a", tss=5)], [])
    with pytest.raises(CheckError) as problem:
        fetch_expression(context, DATASET, [quantification("genes", ["r1"])], None, ["r1"])
    assert str(problem.value) == "table phenotypes: a is there twice (1 such rows). " + DEFECT


def test_a_run_that_is_asked_for_twice_is_refused(context):
    with pytest.raises(ContractError, match="A run is there twice"):
        fetch_expression(context, DATASET, [quantification("genes", ["r1"])], None, ["r1", "r1"])


# --------------------------------------------------------------------------------------------------------- places


CONTIGS = pa.array(["22", "X", "20", None, "21", "Y", "22"])


def test_places_are_judged_in_one_order():
    autosomes = [str(n) for n in range(1, 23)]
    judge = m.judge_contigs
    assert judge(CONTIGS, asked=["22", "X", "20"], allowed=autosomes, with_genotypes=["22", "21"]) == [
        None, m.NOT_AUTOSOMAL, m.NO_GENOTYPES_THERE, m.NO_PLACE, m.CONTIG_NOT_ASKED, m.CONTIG_NOT_ASKED, None,
    ]  # fmt: skip
    assert judge(CONTIGS, asked=[], allowed=[*autosomes, "X"], with_genotypes=["22", "21", "Y"]) == [
        None, m.NO_GENOTYPES_THERE, m.NO_GENOTYPES_THERE, m.NO_PLACE, None, m.NOT_AUTOSOMAL_OR_X, None,
    ]  # fmt: skip
    assert judge(pa.array(["chrX", "chrY"]), asked=[], allowed=["chr1", "chrX"], with_genotypes=["chrX"]) == [
        None,
        "not on an autosome or X",
    ]
    assert judge(pa.array([], pa.string()), asked=["1"], allowed=["1"], with_genotypes=[]) == []


@given(
    st.lists(st.sampled_from([*BUILDS["GRCh37"].contigs, None]), max_size=12),
    *[st.sets(st.sampled_from(["1", "22", "X", "Y", "MT"])) for _ in range(3)],
)
@settings(max_examples=60)
def test_places_are_judged_one_by_one_as_all_at_once(contigs, asked, allowed, there):
    expected = []
    for contig in contigs:
        if contig is None:
            expected.append("no place")
        elif asked and contig not in asked:
            expected.append("on a contig that was not asked for")
        elif contig not in allowed:
            expected.append("not on an autosome or X" if "X" in allowed else "not on an autosome")
        else:
            expected.append(None if contig in there else "no genotypes on its contig")
    found = m.judge_contigs(
        pa.array(contigs, pa.string()), asked=asked, allowed=allowed, with_genotypes=there
    )
    assert found == expected


def test_factors_of_a_contig_are_those_of_all(lake, context):
    fill(lake, [place("a"), place("b", contig="21"), place("c", contig="Y"), place("d") | UNPLACED], [])
    found = fetch_expression(context, DATASET, [quantification("genes", ["r1"])], None, ["r1"])
    assert judge_ever(found, ["21", "22"]) == [None, None, m.NOT_AUTOSOMAL, m.NO_PLACE]
    assert found.values.shape == (4, 1)
    recipe = ExpressionRecipe(0.0, 0.0, 0, 0.0, 1.0, "none", "none", "none", None, "elbow", "covariates")
    made = prepare_expression(found.values, None, recipe, unit="rpkm", processing="none")
    assert made.reasons == [NO_VALUES] * 4


# ---------------------------------------------------------------------------------------------------- names, lists


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


@given(st.lists(st.lists(st.sampled_from([0.5, -1.0, np.nan]), min_size=3, max_size=3), max_size=5))
def test_arrays_become_lists_with_nulls(rows):
    values = np.array(rows, dtype=np.float64).reshape(-1, 3)
    expected = [[None if np.isnan(v) else v for v in row] for row in rows]
    assert m.as_lists(values, np.isnan(values)).to_pylist() == expected
