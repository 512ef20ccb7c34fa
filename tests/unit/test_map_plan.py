"""What a mapping is named by, and the blocks that it is cut into."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgp.errors import UsageError
from kgp.genome import get_build
from kgp.io.parts import TablePart
from kgp.jobs.map_cuts import plan_cis, plan_trans
from kgp.jobs.map_places import ContigRows, Place, find_windows, order_places
from kgp.jobs.map_plan import describe_map, name_map, resolve_contigs, resolve_window
from map_sets import make_params

GRCH37 = get_build("GRCh37")


def by_variants(n_variants, n_samples):
    return np.asarray(n_variants, dtype=np.float64)


def make_rows(starts, contig="2") -> ContigRows:
    """Variants of a contig in parts of three, as row groups are."""
    starts = np.sort(np.asarray(starts, dtype=np.int64))
    parts = [
        TablePart(contig, {}, (i,), starts=(int(starts[i]), int(starts[min(i + 3, len(starts)) - 1])))
        for i in range(0, len(starts), 3)
    ]
    return ContigRows(starts, tuple(parts), (TablePart("phenotypes", {}, (0,)),))


starts = st.lists(st.integers(0, 400), min_size=1, max_size=60)
genes = st.lists(
    st.tuples(st.sampled_from(["2", "10"]), st.integers(1, 400), st.integers(0, 6)), min_size=1, max_size=25
)


@settings(max_examples=60, deadline=None)
@given(starts, st.lists(st.integers(1, 400), max_size=20), st.integers(0, 100))
def test_windows_are_the_variants_within_so_many_bases(starts, tss, window):
    starts = np.sort(np.array(starts))
    found = find_windows(starts, np.array(tss, dtype=np.int64), window)
    for (first, last), at in zip(found.tolist(), tss, strict=True):
        expected = [i for i, start in enumerate(starts) if abs(start + 1 - at) <= window]
        assert list(range(first, last)) == expected


@settings(max_examples=100, deadline=None)
@given(starts, starts, genes, st.integers(0, 80), st.integers(1, 50), st.integers(1, 40), st.booleans())
def test_blocks_hold_every_phenotype_with_a_variant_once(
    first, second, genes, window, work, values, is_grouped
):
    """In order, groups whole, with all variants of their windows, and half a group more work than asked for at most."""
    contigs = {"2": make_rows(first), "10": make_rows(second, "10")}
    rows = [
        {"contig": contig, "tss": tss, "phenotype_id": f"p{i}", "gene_id": None, "group_id": f"g{group}"}
        for i, (contig, tss, group) in enumerate(genes)
    ]
    places = order_places(rows, GRCH37, is_grouped=is_grouped)
    blocks, n_without = plan_cis(
        places, contigs, window, 1, by_variants, block_seconds=work, max_values=values
    )
    near = {
        row["phenotype_id"]: [s for s in contigs[row["contig"]].starts if abs(s + 1 - row["tss"]) <= window]
        for row in rows
    }
    assert n_without == sum(not variants for variants in near.values())
    planned = [name for block in blocks for name in block.phenotype_ids]
    assert planned == [place.phenotype_id for place in places if near[place.phenotype_id]]
    of_contig = {row["phenotype_id"]: row["contig"] for row in rows}
    for number, block in enumerate(blocks):
        assert block.number == number
        assert block.is_first
        assert {of_contig[name] for name in block.phenotype_ids} == {block.covariates_of}
        needed = [s for name in block.phenotype_ids for s in near[name]]
        assert block.span == (min(needed), max(needed) + 1)
        assert block.seconds == sum(len(near[name]) for name in block.phenotype_ids)
        here = contigs[block.covariates_of]
        inside = [s for s in here.starts if block.span[0] <= s < block.span[1]]
        if len(set(block.group_ids)) > 1:
            of_group = dict.fromkeys(block.group_ids, 0)
            for name, group in zip(block.phenotype_ids, block.group_ids, strict=True):
                of_group[group] += len(near[name])
            at_ends = of_group[block.group_ids[0]] + of_group[block.group_ids[-1]]
            assert block.seconds <= work + at_ends / 2 + 1e-9
            assert len(inside) <= values
        held = {i for part in block.genotype_parts for i in part.row_groups}
        assert {i - i % 3 for i, s in enumerate(here.starts) if s in inside} <= held
    whole = [
        (of_contig[block.phenotype_ids[0]], group)
        for block in blocks
        for group in dict.fromkeys(block.group_ids)
    ]
    assert len(whole) == len(set(whole))


@settings(max_examples=60, deadline=None)
@given(starts, starts, genes, st.integers(1, 300), st.booleans())
def test_trans_blocks_hold_every_phenotype_with_every_variant_once(first, second, genes, work, differ):
    contigs = {"2": make_rows(first), "10": make_rows(second, "10")}
    places = order_places(
        [
            {"contig": contig, "tss": tss, "phenotype_id": f"p{i}", "gene_id": None, "group_id": None}
            for i, (contig, tss, _) in enumerate(genes)
        ],
        GRCH37,
        is_grouped=False,
    )
    blocks = plan_trans(places, contigs, differ, 1, by_variants, block_seconds=work)
    seen = {name: [] for name in (place.phenotype_id for place in places)}
    counted = [name for block in blocks if block.is_first for name in block.phenotype_ids]
    assert sorted(counted) == sorted(seen)
    for block in blocks:
        (contig,) = {part.path for part in block.genotype_parts}
        rows = contigs[contig]
        n_variants = int(((rows.starts >= block.span[0]) & (rows.starts < block.span[1])).sum())
        for name in block.phenotype_ids:
            seen[name].append(n_variants)
        if differ:
            contigs_of = {place.contig for place in places if place.phenotype_id in block.phenotype_ids}
            assert contigs_of == {block.covariates_of}
    assert all(sum(numbers) == len(first) + len(second) for numbers in seen.values())


def test_blocks_of_a_contig_are_of_equal_work():
    """None is left over that all cores but one would wait for."""
    contigs = {"2": make_rows(list(range(0, 3000, 10)))}
    rows = [
        {"contig": "2", "tss": tss, "phenotype_id": f"p{tss}", "gene_id": None, "group_id": None}
        for tss in range(500, 2500, 20)
    ]
    places = order_places(rows, GRCH37, is_grouped=False)
    work = sum(by_variants(np.array([20] * 100), 1))
    blocks, _ = plan_cis(places, contigs, 100, 1, by_variants, block_seconds=work / 7.5)
    assert len(blocks) == 8
    seconds = [block.seconds for block in blocks]
    assert max(seconds) - min(seconds) <= 2 * 21


def test_contigs_come_in_karyotype_order_and_groups_by_their_first_tss():
    rows = [
        {"contig": contig, "tss": tss, "phenotype_id": name, "gene_id": gene, "group_id": group}
        for contig, tss, name, gene, group in [
            ("10", 5, "a", None, None),
            ("2", 50, "b", "G1", None),
            ("2", 10, "c", "G2", "T"),
            ("2", 90, "d", "G3", "T"),
            ("2", 40, "e", "G1", None),
            ("2", 40, "f", None, None),
        ]
    ]
    alone = order_places(rows, GRCH37, is_grouped=False)
    assert [place.phenotype_id for place in alone] == ["c", "e", "f", "b", "d", "a"]
    grouped = order_places(rows, GRCH37, is_grouped=True)
    assert [(place.phenotype_id, place.group_id) for place in grouped] == [
        ("c", "T"), ("d", "T"), ("e", "G1"), ("b", "G1"), ("f", "f"), ("a", "a"),
    ]  # fmt: skip


def test_a_block_is_named_by_what_it_holds():
    contigs = {"2": make_rows(range(0, 100, 10))}
    places = [Place("2", tss, f"p{tss}", f"p{tss}") for tss in (5, 15, 85)]
    (one,), _ = plan_cis(places, contigs, 20, 1, by_variants, block_seconds=100)
    (again,), _ = plan_cis(places, contigs, 20, 1, by_variants, block_seconds=200)
    assert one.key == again.key == replace(one, seconds=7.0, genotype_parts=()).key
    assert (
        len(
            {
                one.key,
                replace(one, span=(0, 5)).key,
                replace(one, number=1).key,
                replace(one, phenotype_ids=("p5",)).key,
            }
        )
        == 4
    )


def test_the_id_of_a_mapping_tells_all_that_its_rows_depend_on():
    params = make_params(mode="permute")
    one = name_map("m", describe_map(params, None, 1000, {"seed": "1"}))
    others = [
        name_map("n", describe_map(params, None, 1000, {"seed": "1"})),
        name_map("m", describe_map(params, ["22"], 1000, {"seed": "1"})),
        name_map("m", describe_map(params, None, 999, {"seed": "1"})),
        name_map("m", describe_map(params, None, 1000, {"seed": "2"})),
        name_map("m", describe_map(replace(params, model="qtltools"), None, 1000, {"seed": "1"})),
        name_map("m", describe_map(replace(params, phenotype_df=10), None, 1000, {"seed": "1"})),
        name_map("m", describe_map(replace(params, mode="nominal"), None, 1000, {"seed": "1"})),
    ]
    assert len({one, *others}) == 8
    assert one == name_map("m", describe_map(replace(params, replace=True), None, 1000, {"seed": "1"}))


def test_what_the_set_does_not_have_is_refused():
    with pytest.raises(
        UsageError, match=r"--cis-window: 2,000 bases are more than the 1,000 .* Give less, or build"
    ):
        resolve_window(2000, {"cis_window": "1000"})
    assert resolve_contigs(["chr10"], GRCH37, ["10", "2"]) == ["10"]
    assert resolve_contigs([], GRCH37, ["10", "2", "X"]) == ["2", "10", "X"]
    with pytest.raises(
        UsageError, match=r"--contig: The set has no phenotype on contig chr3. It has: 2, 10."
    ):
        resolve_contigs(["2", "chr3"], GRCH37, ["10", "2"])


@pytest.mark.parametrize(("of_each", "n_blocks"), [(0.01, 1), (0.1, 4), (1.0, 10), (4.0, 16), (100.0, 16)])
def test_blocks_are_a_tenth_of_the_work_within_bounds(of_each: float, n_blocks: int) -> None:
    """Sixteen phenotypes of the same work: none of a block is longer than four seconds, none shorter than 0.4."""
    starts = np.arange(16, dtype=np.int64) * 1000
    contigs = {"1": ContigRows(starts, (), ())}
    places = [Place("1", int(start) + 1, f"g{i}", f"g{i}") for i, start in enumerate(starts)]
    blocks, _ = plan_cis(places, contigs, 10, 1, lambda n, _: np.full(len(n), of_each))
    assert len(blocks) == n_blocks
    (_, *more), _ = plan_cis(places, contigs, 10, 1, lambda n, _: np.full(len(n), of_each), small_seconds=2.0)
    assert len(more) == (0 if 16 * of_each <= 2 else n_blocks - 1), "one process does all"
