"""Blocks of genotypes without a lake: batches, order, what pruning gives away early, and what tasks send home."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kgp.eqtl.common_variants import CommonRule
from kgp.eqtl.genotype_components import RelationshipMatrix
from kgp.eqtl.kinship import KingCounts
from kgp.eqtl.ld_pruning import LdPruner, PruningRule
from kgp.io.parts import TablePart
from kgp.jobs.genotype_blocks import (
    NO_GENOTYPES,
    NOT_SNV,
    RARE,
    Selection,
    in_batches,
    stream_contig,
)
from kgp.jobs.genotype_rows import read_genotypes
from kgp.tables import VARIANTS

DOSAGES = arrays(
    np.int8, st.tuples(st.integers(1, 60), st.integers(2, 9)), elements=st.sampled_from([-1, 0, 1, 2])
)
CUTS = st.lists(st.integers(0, 60), max_size=6)


def cut(dosages: np.ndarray, cuts: list[int]) -> list[np.ndarray]:
    return np.split(dosages, sorted(min(at, len(dosages)) for at in cuts))


@given(DOSAGES, CUTS, st.integers(1, 20))
@settings(deadline=None)
def test_batches_do_not_depend_on_blocks(dosages: np.ndarray, cuts: list[int], n_rows: int) -> None:
    batches = list(in_batches(cut(dosages, cuts), n_rows))
    assert [len(batch) for batch in batches[:-1]] == [n_rows] * (len(batches) - 1)
    assert 1 <= len(batches[-1]) <= n_rows
    np.testing.assert_array_equal(np.concatenate(batches), dosages)


@given(
    DOSAGES,
    CUTS,
    st.sampled_from(
        [
            PruningRule(10, 3, 0.1),
            PruningRule(60, 60, 0.2),
            PruningRule(2, 1, 0.0),
            PruningRule(40, 1, 0.1, "bp"),
        ]
    ),
    st.integers(1, 30),
)
@settings(deadline=None)
def test_pruning_gives_away_what_it_keeps_in_order(
    dosages: np.ndarray, cuts: list[int], rule: PruningRule, gap: int
) -> None:
    starts = np.arange(len(dosages), dtype=np.int64) * gap
    given_away: list[np.ndarray] = []
    pruner = LdPruner(dosages.shape[1], rule, given_away.append)
    plain = LdPruner(dosages.shape[1], rule)
    first = 0
    for block in cut(dosages, cuts):
        for one in (pruner, plain):
            one.add(block, starts[first : first + len(block)])
        first += len(block)
    is_kept = pruner.finish()
    np.testing.assert_array_equal(is_kept, plain.finish())
    found = np.concatenate(given_away) if given_away else dosages[:0]
    np.testing.assert_array_equal(found, dosages[is_kept])


def test_pruning_gives_away_before_the_contig_ends() -> None:
    dosages = np.random.default_rng(1).integers(0, 3, (5_000, 60)).astype(np.int8)
    given_away: list[np.ndarray] = []
    pruner = LdPruner(60, PruningRule(200, 100, 0.1), given_away.append)
    pruner.add(dosages, np.arange(5_000))
    n_before = sum(map(len, given_away))
    is_kept = pruner.finish()
    assert is_kept[:4_800].sum() - 100 <= n_before <= is_kept[:4_900].sum()
    assert sum(map(len, given_away)) == is_kept.sum()


@given(DOSAGES)
@settings(deadline=None)
def test_what_tasks_send_home_is_the_same_and_about_half(dosages: np.ndarray) -> None:
    n = dosages.shape[1]
    king, matrix = KingCounts(n), RelationshipMatrix(n)
    king.add(dosages)
    matrix.add(dosages)
    sent_king, sent_matrix = pickle.loads(pickle.dumps((king, matrix)))
    np.testing.assert_array_equal(sent_king.counts, king.counts)
    assert (sent_king.n_variants, sent_matrix.n_variants) == (king.n_variants, matrix.n_variants)
    if matrix.n_variants:
        np.testing.assert_array_equal(sent_matrix.components(2).scores, matrix.components(2).scores)
    sent_king.add(dosages)
    king.add(dosages)
    np.testing.assert_array_equal(sent_king.counts, king.counts)


def test_what_tasks_send_home_is_small() -> None:
    assert len(pickle.dumps(RelationshipMatrix(300))) < 0.51 * 300 * 300 * 8
    assert len(pickle.dumps(KingCounts(300))) < 0.63 * 4 * 300 * 300 * 4


# ------------------------------------------------------------------------------------------------- parts of files


def write_part(path: Path, rows: Sequence[tuple[int, str, str, list[Any] | None]]) -> TablePart:
    """A data file of `variants` with a row group, as the table has it, and the part of it."""
    filled = [
        {
            "start": start,
            "ref": ref,
            "alt": alt,
            "alt_index": int(alt != "."),
            "n_alts": 1,
            "dosages": dosages,
        }
        for start, ref, alt, dosages in rows
    ]
    schema = pa.schema([VARIANTS.arrow_schema.field(name) for name in filled[0]])
    pq.write_table(pa.Table.from_pylist(filled, schema), path)
    starts = [row[0] for row in rows]
    return TablePart(
        str(path), {"callset": "c", "contig": "22"}, (0,), None, len(rows), 0, (min(starts), max(starts))
    )


SELECTION = Selection(3, CommonRule(0.1, 0.4))


def test_a_part_gives_rows_with_genotypes_and_counts_those_without(tmp_path: Path) -> None:
    part = write_part(
        tmp_path / "a.parquet",
        [
            (1, "A", "C", [0, 1, None]),
            (2, "A", "C", None),
            (3, "a", "g", [2, 2, 1]),
            (4, "AT", "A", [0, 0, 1]),
        ],
    )
    (found,) = read_genotypes(part, 3)
    assert found.contig == "22"
    assert found.n_without == 1
    assert found.starts.tolist() == [1, 3, 4]
    assert found.dosages.tolist() == [[0, 1, -1], [2, 2, 1], [0, 0, 1]]
    assert found.is_snv.tolist() == [True, True, False]
    dropped: Counter[str] = Counter()
    assert SELECTION.choose(found, dropped).starts.tolist() == [1, 3]
    assert +dropped == {NO_GENOTYPES: 1, NOT_SNV: 1}


def test_parts_that_overlap_are_put_in_order(tmp_path: Path) -> None:
    """Ties by REF and ALT, whichever file has them, and rows in no order within a file."""
    rows = {
        "b": [(9, "G", "T", [0, 1, 1]), (5, "C", "T", [1, 1, 0]), (5, "A", "T", [2, 1, 0])],
        "a": [(5, "A", "C", [0, 0, 1]), (20, "A", "G", [1, 0, 1])],
        "c": [(30, "A", "C", [0, 0, 0]), (40, "A", ".", [0, 0, 0]), (31, "a", "c", [0, 2, 0])],
    }
    parts = [write_part(tmp_path / f"{name}.parquet", of) for name, of in rows.items()]
    for given_parts in (parts, parts[::-1]):
        dropped: Counter[str] = Counter()
        blocks = list(stream_contig(given_parts, SELECTION, dropped))
        assert [start for block in blocks for start in block.starts.tolist()] == [5, 5, 5, 9, 20, 31]
        joined = [(ref, alt) for block in blocks for ref, alt in zip(block.refs, block.alts, strict=True)]
        assert joined[:3] == [(b"A", b"C"), (b"A", b"T"), (b"C", b"T")]
        assert joined[-1] == (b"A", b"C")
        assert +dropped == {NOT_SNV: 1, RARE: 1}
        assert len(blocks) == 2  # the last file begins beyond all others: those were given before it was read


def test_chosen_people_are_in_the_order_that_was_asked_for(tmp_path: Path) -> None:
    part = write_part(tmp_path / "a.parquet", [(1, "A", "C", [0, 1, 2])])
    selection = Selection(3, CommonRule(0.0, 1.0), (2, 0))
    (block,) = stream_contig([part], selection, Counter())
    assert block.dosages.tolist() == [[2, 0]]


@pytest.mark.parametrize("n_parts", [0, 1])
def test_nothing_chosen_gives_no_block(n_parts: int, tmp_path: Path) -> None:
    parts = [write_part(tmp_path / "a.parquet", [(1, "A", "CT", [0, 1, 2])])][:n_parts]
    assert list(stream_contig(parts, SELECTION, Counter())) == []
