"""`kgp eqtl map` after kills and on parts of a set: what is kept is whole, and what is told is of what was mapped."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest

from kgp import tables as t
from kgp.eqtl.trans import find_least_r
from kgp.io.block_results import BlockResults
from kgp.job import Context, run_job
from kgp.jobs import map_cuts, map_run
from kgp.jobs.list_top import LIST_TOP
from kgp.jobs.map_cuts import plan_cis
from kgp.jobs.map_places import ContigRows, Place
from kgp.jobs.map_run import BlockTask
from kgp.jobs.show_eqtl import SHOW_EQTL
from kgp.params import EqtlShow, EqtlTop
from map_sets import _config, make_set, map_set, read_rows


def show(uri: Path, job=SHOW_EQTL, params=EqtlShow, **options):
    config = _config(str(uri))
    return run_job(job, config.params(params, {"name": "made", **options}), config)


def map_some(uri: Path, monkeypatch: pytest.MonkeyPatch, n_blocks: int) -> None:
    """A nominal mapping that is killed after some blocks."""
    monkeypatch.setitem(map_cuts.plan_cis.__kwdefaults__, "block_seconds", 1e-4)
    real, left = BlockTask.__call__, iter(range(n_blocks))

    def call(task: BlockTask, block: map_cuts.PlannedBlock) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        real(task, block)

    with monkeypatch.context() as patch:
        patch.setattr(map_run.BlockTask, "__call__", call)
        with pytest.raises(KeyboardInterrupt):
            map_set(uri)


def test_a_block_whose_file_is_cut_off_is_mapped_again(tmp_path, monkeypatch):
    make_set(n_phenotypes=12).write(tmp_path)
    map_some(tmp_path, monkeypatch, 3)
    file = sorted((tmp_path / "eqtl_nominal").rglob("*.parquet"))[0]
    file.write_bytes(file.read_bytes()[:200])
    report = map_set(tmp_path)
    assert report.details["blocks_kept"] == 2
    assert read_rows(tmp_path, t.EQTL_NOMINAL).num_rows == report.details["n_pairs"]


def test_what_a_finished_mapping_left_takes_no_file_of_the_table_along(tmp_path, monkeypatch):
    """Killed at the very end, when the ledger has its row; then the set is replaced."""
    made = make_set(n_phenotypes=12)
    lake = made.write(tmp_path)

    def die(results: BlockResults) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(BlockResults, "remove", die)
        with pytest.raises(KeyboardInterrupt):
            map_set(tmp_path)
    first = read_rows(tmp_path, t.EQTL_NOMINAL)
    assert first.num_rows
    lake.put(t.EQTL_MATRICES, [], "matrix_id = 'm1'")
    made.matrix_id = "m2"
    made.write(tmp_path)
    map_set(tmp_path)
    assert read_rows(tmp_path, t.EQTL_NOMINAL, "matrix_id = 'm1'").equals(first)
    assert not (tmp_path / "_maps").exists()


@pytest.mark.parametrize(("mode", "table"), [("nominal", t.EQTL_NOMINAL), ("permute", t.EQTL_TOP)])
def test_rows_that_another_job_took_for_debris_are_there_again(tmp_path, monkeypatch, mode, table):
    """A mapping that begins when the rows of this one are written and its ledger does not name them yet."""
    make_set().write(tmp_path)
    real, others = Context.put, iter([900])

    def put(context: Context, to, rows, where) -> None:
        if to is t.EQTL_MAPS and (window := next(others, None)) is not None:
            map_set(tmp_path, mode=mode, cis_window=window)
        real(context, to, rows, where)

    monkeypatch.setattr(Context, "put", put)
    report = map_set(tmp_path, mode=mode)
    assert read_rows(tmp_path, t.EQTL_MAPS).num_rows == 2
    rows = read_rows(tmp_path, table, f"map_id = '{report.details['map_id']}'")
    assert rows.num_rows == report.rows[table.name] > 0


def test_independent_signals_of_one_contig_are_counted_against_its_egenes(tmp_path):
    make_set(n_phenotypes=10).write(tmp_path)
    map_set(tmp_path, mode="permute")
    top = read_rows(tmp_path, t.EQTL_TOP).to_pylist()
    n_here = sum(row["is_egene"] and row["contig"] == "2" for row in top)
    assert 0 < n_here < sum(row["is_egene"] for row in top)
    report = map_set(tmp_path, mode="independent", contig=["chr2"])
    figures = report.details["figures"]
    found = {row["phenotype_id"] for row in read_rows(tmp_path, t.EQTL_INDEPENDENT).to_pylist()}
    assert (figures["n_egenes"], figures["n_lost"]) == (n_here, n_here - len(found))


def test_the_degrees_of_freedom_of_interactions_are_those_of_each_test(tmp_path):
    """Also where each contig has covariates of its own."""
    made = make_set(covariate_contigs=[None, "2", "10"])
    made.write(tmp_path)
    report = map_set(tmp_path, mode="interaction", interaction="c0")
    # People without the mean, one other covariate, the genotype, the interacting covariate and their product.
    assert report.details["df"] == report.details["figures"]["df_interaction"] == 60 - 1 - 1 - 3


def test_many_phenotypes_with_few_variants_are_planned_at_once(tmp_path):
    places = [Place("1", 1_000 * i + 5, f"g{i}", f"g{i}") for i in range(20_000)]
    rows = ContigRows(np.arange(0, 20_000_000, 20_000), (), ())
    begin = time.perf_counter()
    blocks, n_without = plan_cis(places, {"1": rows}, 1_000_000, 450, lambda n, _: n * 1e-7, block_seconds=10)
    assert (len(blocks), n_without) == (1, 0)
    assert time.perf_counter() - begin < 5


@pytest.mark.parametrize("max_p", [5e-324, 1e-320, 1e-305])
def test_trans_pairs_below_the_least_double_are_kept(tmp_path, max_p):
    """Their stored p is 0, which is not above the limit, whatever that is."""
    generator = np.random.default_rng(1)
    made = make_set(n_samples=2000)
    for phenotype, variant in ((0, 5), (1, 50)):
        made.phenotypes[phenotype] = made.genotypes[variant] + generator.normal(size=2000) * 0.2
    made.write(tmp_path)
    map_set(tmp_path, mode="trans", max_p=max_p, trans_distance=0)
    rows = read_rows(tmp_path, t.EQTL_TRANS).to_pylist()
    assert [(row["phenotype_id"], row["p_value"]) for row in rows] == [("gene0", 0.0), ("gene1", 0.0)]
    assert min(row["neg_log10_p"] for row in rows) > 330


def test_the_least_r_of_no_p_is_below_one():
    assert find_least_r(0.5, 300) < find_least_r(1e-300, 300) < find_least_r(0.0, 300) < 1.0


def test_a_mapping_of_one_contig_stands_back_and_is_named(tmp_path):
    made = make_set(n_phenotypes=8)
    made.write(tmp_path)
    parts = [map_set(tmp_path, mode="permute", contig=["2"])]
    for told in (show(tmp_path), show(tmp_path, LIST_TOP, EqtlTop)):
        assert parts[0].details["map_id"] in told.notes[0]
        assert "contig 2 alone" in told.notes[0]
    whole = map_set(tmp_path, mode="permute")
    parts.append(map_set(tmp_path, mode="permute", contig=["10"]))
    told = show(tmp_path)
    assert [one["map_id"] for one in told.details["maps"]] == [whole.details["map_id"]]
    assert "of 8 phenotypes with a significant variant" in told.summary
    shown, others = told.notes
    assert whole.details["map_id"] in shown
    assert others.startswith(
        "2 others of mode permute, with other options or of some contigs, not shown: map_id "
    )
    assert {part.details["map_id"] for part in parts} == set(re.findall("[0-9a-f]{32}", others))


def test_groups_are_counted_as_groups(tmp_path):
    make_set(n_phenotypes=8, groups=["a", "a", "b", "b", "c", "c", "d", "d"]).write(tmp_path)
    map_set(tmp_path, mode="permute", grouped=True)
    assert "of 4 groups with a significant variant" in show(tmp_path).summary


def test_mappings_of_an_earlier_build_are_told_of(tmp_path):
    made = make_set()
    lake = made.write(tmp_path)
    map_set(tmp_path)
    map_set(tmp_path, mode="permute")
    lake.put(t.EQTL_MATRICES, [], "matrix_id = 'm1'")
    made.matrix_id = "m2"
    made.write(tmp_path)
    told = show(tmp_path)
    assert told.summary == "set made is not mapped by model fastqtl"
    assert "2 mappings of earlier builds of the set, not shown: eqtl_maps has them" in told.notes
