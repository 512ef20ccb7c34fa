"""Runs of a written set are matched with everyone of its callset, from the tables, without a JVM."""

from __future__ import annotations

import dataclasses
import datetime
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pytest
from deltalake import WriterProperties, write_deltalake

from kgp.errors import CheckError
from kgp.io.delta import Lake
from kgp.io.matrix_sets import PHENOTYPE_PLACES, PhenotypeRows
from kgp.job import Context, Job, Progress
from kgp.jobs import eqtl_matching
from kgp.jobs.eqtl_matching import Matches, MatchRequest, match_runs
from kgp.jobs.set_genotypes import WrittenGenotypes
from kgp.params import EqtlBuild
from kgp.table import Table
from kgp.tables import EQTL_GENOTYPES, EQTL_MATCHES, EQTL_MATRICES, EQTL_PHENOTYPES, LOADS, VARIANTS

N, N_CALLSET, N_GENES = 120, 140, 130
CONTIGS = ("1", "2")
NOW = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
JOB: Job[Any] = Job(
    name="build_eqtl_matrices",
    summary="",
    params=EqtlBuild,
    reads=(VARIANTS,),
    writes=(EQTL_GENOTYPES, EQTL_MATCHES, EQTL_MATRICES),
    run=lambda context, params: pytest.fail("not run"),
)


def no_spark() -> NoReturn:
    raise AssertionError("a JVM was asked for")


@dataclass
class Made:
    """A callset of people, and a set of every person but the first 20, in another order.

    Args:
        dosages: variants × people of the callset, NaN where missing; three variants a gene, one of effect.
        expression: genes × people of the callset.
        owners: whose expression each run of the set has; person by number in the callset.
    """

    dosages: np.ndarray
    expression: np.ndarray
    owners: np.ndarray
    people: np.ndarray
    contigs: list[str] = field(default_factory=lambda: [CONTIGS[g % 2] for g in range(N_GENES)])
    column: str = "dosages"


@pytest.fixture
def made() -> Made:
    rng = np.random.default_rng(1)
    dosages = rng.binomial(2, rng.uniform(0.2, 0.8, (3 * N_GENES, 1)), (3 * N_GENES, N_CALLSET)).astype(float)
    expression = 1.1 * dosages[::3] + rng.standard_normal((N_GENES, N_CALLSET))
    people = rng.permutation(np.arange(20, N_CALLSET))
    return Made(dosages, expression, people.copy(), people)


def variant_rows(made: Made, people: np.ndarray) -> dict[str, Any]:
    """Columns that both tables of genotypes have; the copies are of some people."""
    gene = np.arange(3 * N_GENES) // 3
    starts = (gene // 2 + 1) * 1_000_000 + np.arange(3 * N_GENES) % 3 * 10_000
    contigs = [made.contigs[g] for g in gene]
    copies = [[None if np.isnan(x) else x for x in row] for row in made.dosages[:, people].tolist()]
    if made.column == "dosages":
        copies = [[None if x is None else int(x) for x in row] for row in copies]
    return {
        "contig": contigs,
        "variant_id": [f"{c}_{s + 1}_A_C" for c, s in zip(contigs, starts, strict=True)],
        "start": starts.tolist(),
        "end": (starts + 1).tolist(),
        "ref": ["A"] * starts.size,
        "alt": ["C"] * starts.size,
        made.column: copies,
    }


def append(lake: Lake, table: Table, columns: dict[str, Any]) -> None:
    """Add rows, columns that are absent being null; in row groups of 60 rows."""
    n = len(next(iter(columns.values())))
    schema = table.arrow_schema
    arrays = [pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(n, f.type) for f in schema]
    lake.create(table)
    rows = pa.Table.from_arrays(arrays, schema=schema).sort_by(
        [("contig", "ascending"), ("start", "ascending")]
    )
    groups = WriterProperties(max_row_group_size=60)
    write_deltalake(lake.path(table), rows, mode="append", writer_properties=groups)


def write(lake: Lake, made: Made, matrix_id: str = "m1") -> None:
    """The load and its genotypes, and the rows of the set without its row in the ledger."""
    load = {
        "load_id": "v1", "target": "variants", "subject": "c", "path": "v1.vcf", "content_id": "v1", "build": "GRCh37",
        "selection": {}, "reader": "test", "reader_reason": "test", "versions": {}, "rows_in": 1, "rows_out": 1,
        "rows_quarantined": 0, "alleles_out": 1, "warnings": {}, "warned_at": {}, "seconds": 0.0, "loaded_at": NOW,
    }  # fmt: skip
    lake.put(LOADS, [load], None)
    everyone = variant_rows(made, np.arange(N_CALLSET))
    n = len(everyone["start"])
    of_callset = {
        "callset": ["c"] * n, "load_id": ["v1"] * n, "record_id": list(range(n)), "alt_index": [1] * n,
        "n_alts": [1] * n, "source_contig": everyone["contig"],
    }  # fmt: skip
    append(lake, VARIANTS, {**everyone, **of_callset})
    chosen = made.dosages[:, made.people]
    ac, an = np.nansum(chosen, axis=1), 2 * (~np.isnan(chosen)).sum(axis=1)
    of_set = {
        "matrix_id": [matrix_id] * n, "ac": ac.astype(int).tolist(), "an": an.tolist(), "af": (ac / an).tolist(),
        "n_missing": np.isnan(chosen).sum(axis=1).tolist(),
    }  # fmt: skip
    append(lake, EQTL_GENOTYPES, {**variant_rows(made, made.people), **of_set})


def phenotypes(made: Made) -> PhenotypeRows:
    tss = (np.arange(N_GENES) // 2 + 1) * 1_000_000 + 500
    columns = {
        "contig": made.contigs, "phenotype_id": [f"g{i}" for i in range(N_GENES)], "start": (tss - 1).tolist(),
        "end": tss.tolist(), "tss": tss.tolist(),
    }  # fmt: skip
    fields = [EQTL_PHENOTYPES.arrow_schema.field(name) for name in PHENOTYPE_PLACES]
    arrays = [
        pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(N_GENES, f.type) for f in fields
    ]
    return PhenotypeRows(
        pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields)), made.expression[:, made.owners]
    )


def request(made: Made, **given: Any) -> MatchRequest:
    samples = tuple(f"HG{i:05d}" for i in range(N_CALLSET))
    values: dict[str, Any] = {
        "matrix_id": "m1",
        "genotypes": WrittenGenotypes((), len(made.people)),
        "callset": "c",
        "column": made.column,
        "callset_samples": samples,
        "sample_ids": tuple(samples[i] for i in made.people),
        "run_ids": tuple(f"ERR{i:03d}" for i in made.people),
        "phenotypes": phenotypes(made),
        "cis_window": 1_000_000,
    }
    return MatchRequest(**(values | given))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(no_spark, str(tmp_path / "lake"))


def match(lake: Lake, made: Made, **given: Any) -> Matches:
    context = Context(lake, Progress(quiet=True), JOB)
    # No ledger names the set.
    parts = lake.parts(dataclasses.replace(EQTL_GENOTYPES, ledger=None), partitions={"matrix_id": ["m1"]})
    genotypes = WrittenGenotypes(tuple(parts), len(made.people))
    return match_runs(context, request(made, **{"genotypes": genotypes, **given}))


def swap(made: Made, a: int, b: int) -> None:
    """Give two runs of the set, by number, each other's expression."""
    made.owners[[a, b]] = made.owners[[b, a]]


def test_runs_of_others_are_found_in_a_lake(lake: Lake, made: Made) -> None:
    swap(made, 3, 77)
    made.owners[50] = 5  # who is in the callset, not in the set
    write(lake, made)
    matches = match(lake, made)
    expected = {
        f"ERR{said:03d}": (f"HG{said:05d}", f"HG{owner:05d}")
        for said, owner in zip(made.people, made.owners, strict=True)
        if said != owner
    }
    assert {run: (said, best) for run, said, best in matches.swaps} == expected
    assert len(expected) == 3
    assert N_GENES * 0.8 < matches.n_loci <= N_GENES
    (said,) = matches.notes
    assert said.startswith(f"compared at {matches.n_loci} cis eQTLs, 3 runs look like another person's and ")
    assert said.endswith(
        "0 of 120 cannot be told; a swap of two people would be found with probability > 0.999"
    )


def test_rows_are_those_of_the_table(lake: Lake, made: Made) -> None:
    swap(made, 3, 77)
    write(lake, made)
    matches = match(lake, made)
    assert [(row["run_id"], row["sample_id"]) for row in matches.rows] == [
        (f"ERR{i:03d}", f"HG{i:05d}") for i in made.people
    ]
    for i, row in enumerate(matches.rows):
        assert (row["verdict"] == "swap") == (i in (3, 77))
        assert row["best_score"] >= row["match_score"]
        assert (row["best_score"] == row["match_score"]) == (row["best_sample_id"] == row["sample_id"])
        assert type(row["match_score"]) is float
    context = Context(lake, Progress(quiet=True), JOB)
    assert context.put(EQTL_MATCHES, matches.rows, "matrix_id = 'm1'") == N


def test_nobody_is_swapped(lake: Lake, made: Made) -> None:
    write(lake, made)
    matches = match(lake, made)
    assert matches.swaps == ()
    assert sum(row["verdict"] == "match" for row in matches.rows) >= N - 2
    assert "0 runs look like another person's" in matches.notes[0]


def test_a_run_of_nobody_of_the_callset_is_named_in_a_note(lake: Lake, made: Made) -> None:
    write(lake, made)
    rng = np.random.default_rng(2)
    stranger = rng.binomial(2, 0.5, N_GENES) * 1.1 + rng.standard_normal(N_GENES)
    made.expression[:, made.owners[9]] = stranger
    matches = match(lake, made)
    run = f"ERR{made.people[9]:03d}"
    assert [one for one, _, _ in matches.swaps] == [run]
    assert matches.notes[1] == f"1 of these runs fits no person of the callset clearly: {run}"


def test_missing_genotypes_count_as_the_mean(lake: Lake, made: Made) -> None:
    rng = np.random.default_rng(3)
    made.dosages[rng.random(made.dosages.shape) < 0.03] = np.nan
    swap(made, 3, 77)
    write(lake, made)
    assert len(match(lake, made).swaps) == 2


def test_expected_copies_are_compared_where_the_set_has_them(lake: Lake, made: Made) -> None:
    rng = np.random.default_rng(4)
    made.column = "expected_dosages"
    made.dosages = np.clip(made.dosages + rng.normal(0.0, 0.05, made.dosages.shape), 0.0, 2.0)
    made.dosages = made.dosages.astype(np.float32).astype(float)
    swap(made, 3, 77)
    write(lake, made)
    assert len(match(lake, made).swaps) == 2


def test_x_says_nothing(lake: Lake, made: Made) -> None:
    made.contigs = ["X" if contig == "2" else contig for contig in made.contigs]
    write(lake, made)
    assert match(lake, made).n_loci <= N_GENES // 2


def test_expression_in_disorder_is_no_reason_to_stop(lake: Lake, made: Made) -> None:
    made.owners = np.random.default_rng(5).permutation(made.owners)
    write(lake, made)
    matches = match(lake, made)
    assert matches.swaps == ()
    assert {row["verdict"] for row in matches.rows} == {"unclear"}
    assert {(row["match_score"], row["best_sample_id"] == row["sample_id"]) for row in matches.rows} == {
        (0.0, True)
    }
    n = matches.n_loci
    assert n < 25
    assert matches.notes == (
        f"whether runs are their people's cannot be told: {n} strong cis eQTL{'s' * (n != 1)}, 25 are needed",
    )


def test_too_few_runs_are_said(lake: Lake, made: Made) -> None:
    made.people, made.owners = made.people[:19], made.owners[:19]
    write(lake, made)
    matches = match(lake, made)
    assert matches.swaps == ()
    assert [row["verdict"] for row in matches.rows] == ["unclear"] * 19
    assert matches.notes == ("whether runs are their people's cannot be told: 19 runs, 20 are needed",)


def test_effects_that_tell_too_little_are_said(lake: Lake, made: Made) -> None:
    rng = np.random.default_rng(6)
    made.expression[45:] = rng.standard_normal((N_GENES - 45, N_CALLSET))
    made.expression[:45] += 0.5 * rng.standard_normal((45, N_CALLSET))
    write(lake, made)
    matches = match(lake, made)
    assert matches.n_loci >= 25
    assert {row["verdict"] for row in matches.rows} == {"unclear"}
    assert matches.swaps == ()
    told = (
        r"whether runs are their people's cannot be told at (\d+) cis eQTLs: a swap of two people would be "
    )
    found = re.fullmatch(told + r"found with probability (0\.\d{3})", matches.notes[0])
    assert found is not None
    assert int(found[1]) == matches.n_loci
    assert float(found[2]) < 0.8


def test_runs_that_are_copies_of_one_are_said(lake: Lake, made: Made) -> None:
    write(lake, made)
    rng = np.random.default_rng(7)
    made.expression = 1.1 * made.dosages[::3] + 0.01 * rng.standard_normal((N_GENES, N_CALLSET))
    made.owners[:65] = made.owners[0]
    matches = match(lake, made)
    assert matches.swaps == ()
    assert matches.n_loci >= 25
    assert matches.notes == (
        "whether runs are their people's cannot be told: most runs are copies of one another",
    )


def test_many_phenotypes_are_searched_in_part(
    lake: Lake, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eqtl_matching, "MAX_PHENOTYPES", 100)
    swap(made, 3, 77)
    write(lake, made)
    matches = match(lake, made)
    assert len(matches.swaps) == 2
    assert matches.n_loci <= 100
    assert matches.notes[1] == "cis eQTLs were searched among 100 of 130 phenotypes, evenly spaced"


def test_a_callset_in_another_order_is_a_defect(lake: Lake, made: Made) -> None:
    write(lake, made)
    samples = request(made).callset_samples
    with pytest.raises(CheckError, match=r"callset c: Genotypes of [12]_\d+_A_C are others than the set's\."):
        match(lake, made, callset_samples=samples[::-1])


def test_a_callset_without_a_variant_of_the_set_is_a_defect(lake: Lake, made: Made) -> None:
    write(lake, made)
    with pytest.raises(CheckError, match=r"callset d: Variant [12]_\d+_A_C of the set is not there\."):
        match(lake, made, callset="d")


def test_other_sets_are_not_read(lake: Lake, made: Made) -> None:
    write(lake, made)
    other = Made(2.0 - made.dosages, made.expression, made.owners, made.people)
    other.dosages = np.roll(other.dosages, 1, axis=1)
    before = match(lake, made)
    chosen = other.dosages[:, made.people]
    n = len(chosen)
    append(
        lake,
        EQTL_GENOTYPES,
        {
            **variant_rows(other, made.people),
            "matrix_id": ["m2"] * n,
            "ac": chosen.sum(axis=1).astype(int).tolist(),
            "an": [2 * N] * n,
            "af": (chosen.sum(axis=1) / (2 * N)).tolist(),
            "n_missing": [0] * n,
        },
    )
    assert match(lake, made).rows == before.rows


def test_a_set_of_x_alone_is_not_told(lake: Lake, made: Made) -> None:
    made.contigs = ["chrX"] * N_GENES
    write(lake, made)
    matches = match(lake, made)
    assert matches.n_loci == 0
    assert matches.notes == (
        "whether runs are their people's cannot be told: 0 strong cis eQTLs, 25 are needed",
    )
