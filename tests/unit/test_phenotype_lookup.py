"""A gene or phenotype of a matrix set is found by whatever people call it, and never guessed."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import pytest

from kgp import tables as t
from kgp.errors import InputError, LakeError
from kgp.job import Context, Progress
from kgp.jobs.list_top import LIST_TOP
from kgp.jobs.phenotype_lookup import find_named, need_single, read_phenotype
from report_lake import load_row, open_lake

MATRIX = {"matrix_id": "m1", "name": "eur", "sample_ids": ["A", "B"]}
_DAY = datetime.datetime(2026, 5, 6, tzinfo=datetime.UTC)

# phenotype_id, contig, tss, gene_id, gene_name, group_id
PHENOTYPES = (
    ("ENSG00000000001.4", "1", 100, "ENSG00000000001.4", "BRCA1", None),
    ("ENSG00000000002", "1", 200, "ENSG00000000002", "C1orf7", None),
    ("ENST00000000031.1", "2", 500, "ENSG00000000003.2", "TWO", None),
    ("ENST00000000030.2", "2", 300, "ENSG00000000003.2", "TWO", None),
    ("j1:2-3", "2", 900, None, None, "cluster 9"),
    ("j1:4-5", "2", 800, None, None, "cluster 9"),
    ("ENSG00000000004.1", "2", 1000, "ENSG00000000004.1", "SAME", None),
    ("ENSG00000000005.1", "2", 1100, "ENSG00000000005.1", "SAME", None),
    ("ENSG00000000006.7", "X", 1200, "ENSG00000000006.7", None, None),
    ("brca1", "X", 1300, None, None, None),
    ("ENSG00000000007.1", "X", 1400, None, None, None),
    ("o'brien", "X", 1500, None, None, None),
)  # fmt: skip


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """Of a lake with one set, and with a quantification that knows more names than the set."""
    lake = open_lake(tmp_path_factory.mktemp("named") / "lake")
    lake.put(t.EQTL_MATRICES, [_matrix_row()], None)
    names = ("phenotype_id", "contig", "tss", "gene_id", "gene_name", "group_id")
    rows = [dict(zip(names, one, strict=True)) for one in PHENOTYPES]
    more = [
        {"matrix_id": "m1", "start": row["tss"] - 1, "end": row["tss"], "values": [float(i), -1.0]}
        for i, row in enumerate(rows)
    ]
    lake.put(t.EQTL_PHENOTYPES, [{**row, **one} for row, one in zip(rows, more, strict=True)], None)
    lake.put(t.LOADS, [load_row("l1", "expression", "d1")], None)
    known = {"ENSG00000000006.2": "LATER", "ENSG00000000007": "LAST", "ENSG00000000099.1": "GONE"}
    common = {"dataset": "d1", "quantification": "q", "kind": "gene", "unit": "tpm", "build": "GRCh37"}
    loaded = [
        {**common, "phenotype_id": gene, "gene_id": gene, "gene_name": name, "load_id": "l1"}
        for gene, name in known.items()
    ]
    lake.put(t.PHENOTYPES, loaded, None)
    return Context(lake, Progress(quiet=True), LIST_TOP)


def _matrix_row() -> dict[str, Any]:
    return {
        "matrix_id": "m1", "name": "eur", "callset": "c", "build": "GRCh37", "parameters": {}, "load_ids": [],
        "table_versions": {}, "sample_ids": ["A", "B"], "run_ids": ["A", "B"], "n_samples": 2, "n_variants": 1,
        "n_phenotypes": len(PHENOTYPES), "n_covariates": 0, "dropped": {}, "dropped_samples": {}, "notes": [],
        "seconds": 1.0, "built_at": _DAY,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "ids", "is_gene"),
    [
        ("ENSG00000000001.4", ["ENSG00000000001.4"], False),
        ("ENSG00000000001", ["ENSG00000000001.4"], False),
        ("ensg00000000001", ["ENSG00000000001.4"], False),
        ("ENSG00000000002.9", ["ENSG00000000002"], False),  # the set has no versions to differ from
        ("BRCA1", ["ENSG00000000001.4"], True),
        ("brca1", ["brca1"], False),  # as it is written comes first
        ("c1ORF7", ["ENSG00000000002"], True),
        ("ENST00000000030", ["ENST00000000030.2"], False),
        ("ENSG00000000003", ["ENST00000000030.2", "ENST00000000031.1"], True),
        ("TWO", ["ENST00000000030.2", "ENST00000000031.1"], True),
        ("cluster 9", ["j1:4-5", "j1:2-3"], True),
        ("j1:4-5", ["j1:4-5"], False),
        ("LATER", ["ENSG00000000006.7"], True),  # of a loaded quantification, whatever its version
        ("last", ["ENSG00000000007.1"], True),
        ("o'brien", ["o'brien"], False),
    ],
)
def test_it_is_found(context: Context, wanted: str, ids: Sequence[str], is_gene: bool) -> None:
    found = find_named(context, MATRIX, wanted)
    assert (found.ids, found.is_gene) == (ids, is_gene)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            "SAME",
            "--gene: 2 phenotypes of set eur are called SAME: ENSG00000000004.1, ENSG00000000005.1. Give the id of "
            "one.",
        ),
        ("GONE", "--gene: Set eur has no phenotype or gene GONE. See eqtl_phenotypes; eqtl_matrices says what was "
         "dropped."),
        ("it's", "--gene: Set eur has no phenotype or gene it's. See eqtl_phenotypes; eqtl_matrices says what was "
         "dropped."),
        ("BRCA2", "--gene: Set eur has no phenotype or gene BRCA2. Did you mean BRCA1?"),
    ],
)  # fmt: skip
def test_what_is_not_found_or_not_one_is_said(context: Context, wanted: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        find_named(context, MATRIX, wanted)
    assert str(caught.value) == message


def test_another_version_is_suggested_not_taken(context: Context) -> None:
    with pytest.raises(
        InputError, match=r"no phenotype or gene ENSG00000000001\.5\. Did you mean ENSG00000000001\.4"
    ):
        find_named(context, MATRIX, "ENSG00000000001.5")


def test_several_phenotypes_of_a_gene_are_no_single_one(context: Context) -> None:
    with pytest.raises(InputError, match=r"2 phenotypes of set eur are called TWO: ENST00000000030\.2, ENST"):
        need_single(MATRIX, find_named(context, MATRIX, "TWO"))


def test_values_are_those_of_the_phenotype(context: Context) -> None:
    row = need_single(MATRIX, find_named(context, MATRIX, "j1:4-5"))
    found = read_phenotype(context, MATRIX, row)
    place = [one[0] for one in PHENOTYPES].index("j1:4-5")
    assert found.values.tolist() == [[float(place), -1.0]]


def test_a_phenotype_that_has_gone_meanwhile_is_told(context: Context) -> None:
    with pytest.raises(
        LakeError, match=r"set eur: It was built again while it was read\. Run the command again"
    ):
        read_phenotype(context, MATRIX, {"phenotype_id": "gone", "contig": "X"})
