"""`build_eqtl_matrices`: the real slice against numpy, and small lakes for everything that can happen to a set.

None of it needs a JVM: where one is started the test fails.
"""

from __future__ import annotations

import datetime
import shutil
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from scipy import stats

from kgp import tables as t
from kgp.errors import BuildError, CheckError, InputError, LakeError, OverlapError, UsageError
from kgp.io.delta import Lake
from kgp.job import Progress, run_job
from kgp.jobs import eqtl_write
from kgp.jobs.load_covariates import LOAD_COVARIATES
from kgp.params import LoadCovariates

MATRICES = (t.EQTL_PHENOTYPES, t.EQTL_GENOTYPES, t.EQTL_COVARIATES, t.EQTL_MATRICES)
LOOSE = {"min_expression": 0.0, "min_maf": 0.0, "max_missing": 1.0}


def read(lake, table):
    """Rows of a table by delta-rs, without kgp."""
    return DeltaTable(f"{lake}/{table.name}").to_pyarrow_table().to_pylist(maps_as_pydicts="strict")


def versions(lake):
    return {table.name: DeltaTable(f"{lake}/{table.name}").version() for table in MATRICES}


def no_spark(*_, **__):
    raise AssertionError("a set of this size needs no Spark")


@pytest.fixture(scope="session")
def spark():
    """What the lakes of this module start a JVM with."""
    return no_spark


@pytest.fixture(autouse=True)
def without_jvm(monkeypatch):
    monkeypatch.setattr("kgp.job.get_session", no_spark)


@pytest.fixture
def lake(tmp_path):
    return Lake(no_spark, str(tmp_path / "lake"))


@pytest.fixture
def fill(lake):
    """Write a toy's tables; gives the lake's path."""

    def write(toy):
        toy.fill(lake)
        return lake.uri

    return write


# ------------------------------------------------------------------------------------------------ the real slice


def test_the_slice_against_numpy(slice_lake, raw):
    (built,) = read(slice_lake, t.EQTL_MATRICES)
    assert built["sample_ids"] == raw.samples  # all 358 are European and in both files
    assert built["run_ids"] == raw.samples
    assert built["dropped_samples"] == {}
    assert built["build"] == "GRCh37"
    assert built["load_ids"] == ["e1", "p1", "v1"]
    assert built["parameters"]["min_maf"] == "0.01"
    assert "replace" not in built["parameters"]
    assert set(built["table_versions"]) == {
        "loads", "samples", "callset_samples", "variants", "runs", "quantifications", "phenotypes", "expression"
    }  # fmt: skip

    # Phenotypes: at least 0.1 in at least 20 % of 358, which is 71.6, so 72 people.
    columns = [raw.gene_samples.index(s) for s in raw.samples]
    expected = {}
    for (start, end, gene, strand), row in zip(raw.genes, raw.expression[:, columns], strict=True):
        if (row >= 0.1).sum() >= 72:
            expected[gene] = (start, end, strand, stats.norm.ppf(stats.rankdata(row) / 359))
    phenotypes = {r["phenotype_id"]: r for r in read(slice_lake, t.EQTL_PHENOTYPES)}
    assert set(phenotypes) == set(expected)
    for gene, (start, end, strand, values) in expected.items():
        row = phenotypes[gene]
        assert (row["contig"], row["start"], row["end"], row["tss"], row["strand"]) == (
            "22",
            start,
            end,
            end,
            strand,
        )
        np.testing.assert_allclose(row["values"], values, rtol=1e-12, atol=1e-15)
    assert built["n_phenotypes"] == len(expected)
    assert built["dropped"]["phenotypes: expression below threshold"] == len(raw.genes) - len(expected)

    # Genotypes: within 1 Mb of a kept gene's TSS; all have MAF >= 5 % and none is missing.
    pos = np.array([site[0] for site in raw.sites])
    tss = np.array([end for _, end, _, _ in expected.values()])
    near = (np.abs(pos[:, None] - tss[None, :]) <= 1_000_000).any(axis=1)
    table = (
        DeltaTable(f"{slice_lake}/eqtl_genotypes")
        .to_pyarrow_table()
        .sort_by([("start", "ascending"), ("variant_id", "ascending")])
    )
    order = sorted(
        np.flatnonzero(near), key=lambda i: (pos[i], "22_{}_{}_{}".format(pos[i], *raw.sites[i][2:]))
    )
    assert table["start"].to_pylist() == (pos[order] - 1).tolist()
    assert table["vcf_id"].to_pylist() == [raw.sites[i][1] for i in order]
    assert [*zip(table["ref"].to_pylist(), table["alt"].to_pylist(), strict=True)] == [
        raw.sites[i][2:] for i in order
    ]
    values = table["dosages"].combine_chunks().flatten().to_numpy().reshape(len(order), 358)
    assert np.array_equal(values, raw.dosages[order])
    assert table["ac"].to_pylist() == raw.dosages[order].sum(axis=1).tolist()
    assert set(table["an"].to_pylist()) == {716}
    assert built["n_variants"] == len(order)
    assert built["dropped"]["variants: outside the cis windows"] == (~near).sum()

    # Covariates: sex and the populations but the first, CEU.
    covariates = {r["covariate_id"]: r for r in read(slice_lake, t.EQTL_COVARIATES)}
    assert sorted(covariates, key=lambda name: covariates[name]["row_index"]) == [
        "sex_female", "population_FIN", "population_GBR", "population_TSI"
    ]  # fmt: skip
    assert covariates["sex_female"]["values"] == [float(raw.panel[s][2] == "female") for s in raw.samples]
    for code in ("FIN", "GBR", "TSI"):
        found = covariates[f"population_{code}"]["values"]
        assert found == [float(raw.panel[s][0] == code) for s in raw.samples]


def test_no_run_of_the_slice_looks_like_another_persons(slice_lake, raw):
    matches = {row["run_id"]: row for row in read(slice_lake, t.EQTL_MATCHES)}
    assert set(matches) == set(raw.samples)
    assert {row["verdict"] for row in matches.values()} <= {"match", "unclear"}
    assert sum(row["verdict"] == "match" for row in matches.values()) > 250
    assert all(row["n_loci"] >= 25 for row in matches.values())


def test_a_cohort_of_the_slice_has_its_own_counts(slice_template, raw, build_set, tmp_path):
    lake = tmp_path / "lake"
    shutil.copytree(slice_template, lake)
    report = build_set(
        lake, name="fin", cohort="FIN+GBR,-GBR", min_maf=0.2, cis_window=50_000, contig=["chr22"]
    )
    (built,) = read(lake, t.EQTL_MATRICES)
    chosen = [i for i, s in enumerate(raw.samples) if raw.panel[s][0] == "FIN"]
    assert built["sample_ids"] == [raw.samples[i] for i in chosen]
    assert set(built["dropped_samples"]) == {s for s in raw.samples if raw.panel[s][0] != "FIN"}
    assert (
        built["dropped"]["people: not in cohort FIN+GBR,-GBR"]
        == 358 - len(chosen)
        == report.details["dropped"]["people: not in cohort FIN+GBR,-GBR"]
    )

    columns = [raw.gene_samples.index(raw.samples[i]) for i in chosen]
    kept_tss = [
        g[1]
        for g, row in zip(raw.genes, raw.expression[:, columns], strict=True)
        if (row >= 0.1).mean() >= 0.2
    ]
    dosages, pos = raw.dosages[:, chosen], np.array([site[0] for site in raw.sites])
    frequency = dosages.mean(axis=1) / 2
    near = (np.abs(pos[:, None] - np.array(kept_tss)[None, :]) <= 50_000).any(axis=1)
    common = np.minimum(frequency, 1 - frequency) >= 0.2
    rows = read(lake, t.EQTL_GENOTYPES)
    assert {(r["start"] + 1, r["ref"], r["alt"]): r["ac"] for r in rows} == {
        (raw.sites[i][0], *raw.sites[i][2:]): dosages[i].sum() for i in np.flatnonzero(near & common)
    }
    fixed = (frequency == 0) | (frequency == 1)
    assert {k: n for k, n in built["dropped"].items() if k.startswith("variants")} == {
        "variants: outside the cis windows": (~near).sum(),
        "variants: minor allele too rare in the cohort": (near & ~common & ~fixed).sum(),
        **({"variants: monomorphic in the cohort": n} if (n := (near & fixed).sum()) else {}),
    }  # fmt: skip
    # CEU is not there: FIN is the only population, so sex alone is left.
    assert [r["covariate_id"] for r in read(lake, t.EQTL_COVARIATES)] == ["sex_female"]


# -------------------------------------------------------------------------------------------------- small lakes


def test_both_sides_that_lack_a_person_are_named_and_the_same_set_is_built_once(toy, fill, build_set):
    lake = fill(toy)
    report = build_set(lake, name="a", **LOOSE)
    (built,) = read(lake, t.EQTL_MATRICES)
    assert built["sample_ids"] == ["HG3", "HG1", "HG2", "HG4", "HG6", "HG5"]
    assert built["run_ids"] == ["ERR3", "ERR1", "ERR2", "ERR4", "ERR6", "ERR5"]
    assert built["dropped_samples"] == {
        "HG7": "no expression in dataset E-GEUV-1", "HG8": "no genotypes in callset slice"
    }  # fmt: skip
    assert report.details["without_expression"] == ["HG7"]
    assert report.details["without_genotypes"] == ["HG8"]
    assert any("no genotypes in callset slice: 1 (HG8)" in note for note in report.notes)
    values = {r["start"] + 1: r["dosages"] for r in read(lake, t.EQTL_GENOTYPES)}
    assert values == {1000: [0, 1, 2, 1, 0, 1], 1001: [2, 1, 0, None, 0, 0]}
    (phenotype,) = read(lake, t.EQTL_PHENOTYPES)
    assert phenotype["values"] == pytest.approx(stats.norm.ppf(np.array([3, 1, 2, 4, 6, 5]) / 7))
    assert {r["covariate_id"]: r["values"] for r in read(lake, t.EQTL_COVARIATES)} == {
        "sex_female": [0, 0, 1, 1, 1, 0], "population_FIN": [0, 0, 0, 0, 1, 1]
    }  # fmt: skip
    assert Counter(built["dropped"]) == Counter(
        {"people: no expression in dataset E-GEUV-1": 1, "people: no genotypes in callset slice": 1}
    )

    # The same set again is nothing to do.
    before = versions(lake)
    for options in (LOOSE, {**LOOSE, "replace": True}, {**LOOSE, "min_maf": 0}):
        again = build_set(lake, name="a", **options)
        assert not again.changed
        assert "already built" in again.summary
    assert versions(lake) == before


def test_a_name_in_use_is_refused_and_replaced_when_told(toy, fill, build_set):
    lake = fill(toy)
    build_set(lake, name="other", **LOOSE)
    build_set(lake, name="a", **LOOSE)
    before = versions(lake)
    with pytest.raises(LakeError, match=r"The name a is in use .* min_maf 0.0 \(now 0.3\)"):
        build_set(lake, name="a", **{**LOOSE, "min_maf": 0.3})
    assert versions(lake) == before
    report = build_set(lake, name="a", replace=True, **{**LOOSE, "min_maf": 0.3})
    sets = {r["name"]: r for r in read(lake, t.EQTL_MATRICES)}
    assert set(sets) == {"a", "other"}
    assert sets["a"]["parameters"]["min_maf"] == "0.3"
    assert sets["a"]["matrix_id"] == report.details["matrix_id"] != sets["other"]["matrix_id"]
    # The rows of the set that was replaced are gone, those of the other one are not.
    ids = {s["matrix_id"] for s in sets.values()}
    for table in MATRICES:
        assert {r["matrix_id"] for r in read(lake, table)} == ids


def test_an_unrelated_load_changes_nothing_and_a_related_one_makes_another_set(toy, fill, build_set, lake):
    path = fill(toy)
    build_set(path, name="a", **LOOSE)

    def add(load_id, target, subject, pos, contig):
        toy_row = next(r for r in toy.loads if r["load_id"] == "v1")
        lake.put(
            t.LOADS,
            [{**toy_row, "load_id": load_id, "target": target, "subject": subject}],
            f"load_id = '{load_id}'",
        )
        row = {**toy.variants[0], "load_id": load_id, "contig": contig, "start": pos - 1, "end": pos,
               "variant_id": f"{contig}_{pos}_A_C", "callset": subject}  # fmt: skip
        lake.put(t.VARIANTS, [row], f"load_id = '{load_id}'")

    add("v2", "variants", "another", 1000, "22")
    add("v3", "variants", "slice", 1000, "21")
    assert not build_set(path, name="a", **LOOSE).changed
    add("v4", "variants", "slice", 1002, "22")
    with pytest.raises(LakeError, match="other loads of the same callset"):
        build_set(path, name="a", **LOOSE)
    assert build_set(path, name="a", replace=True, **LOOSE).changed
    (built,) = read(path, t.EQTL_MATRICES)
    assert built["load_ids"] == ["e1", "p1", "v1", "v4"]
    assert built["n_variants"] == 3


def test_what_a_run_that_was_cut_off_left_is_gone_after_the_next(toy, fill, build_set, monkeypatch):
    lake = fill(toy)

    def cut(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(eqtl_write, "_make_row", cut)
        with pytest.raises(KeyboardInterrupt):
            build_set(lake, name="a", **LOOSE)
    assert read(lake, t.EQTL_GENOTYPES)
    monkeypatch.setattr("kgp.io.delta.UNFINISHED", datetime.timedelta(0))  # a day later
    build_set(lake, name="b", **LOOSE)
    (built,) = read(lake, t.EQTL_MATRICES)
    for table in MATRICES:
        assert {r["matrix_id"] for r in read(lake, table)} == {built["matrix_id"]}


@pytest.mark.slow
def test_two_loads_that_hold_one_variant_are_refused_by_name(toy, fill, build_set):
    load = next(r for r in toy.loads if r["load_id"] == "v1")
    toy.loads.append({**load, "load_id": "v2"})
    toy.variants.append({**toy.variants[0], "load_id": "v2"})
    with pytest.raises(
        CheckError, match=r"Variant 22_1000_A_C is there more than once\..*keep one of v1, v2"
    ):
        build_set(fill(toy), name="a", **LOOSE)


def test_another_build_is_refused(toy, fill, build_set):
    for load in toy.loads:
        if load["target"] == "variants":
            load["build"] = "GRCh38"
    with pytest.raises(BuildError, match="callset slice: GRCh38, the phenotypes of E-GEUV-1: GRCh37"):
        build_set(fill(toy), name="a", **LOOSE)


def test_places_of_another_build_are_refused_although_the_loads_agree(toy, fill, build_set):
    toy.build = "GRCh38"
    with pytest.raises(BuildError, match="lie in GRCh38, the genotypes in GRCh37"):
        build_set(fill(toy), name="a", **LOOSE)


def test_a_position_beyond_the_contig_is_evidence_of_another_build(toy, fill, build_set):
    toy.genes["g1"] = ("22", 51_304_567)
    with pytest.raises(BuildError, match="51,304,567, beyond the 51,304,566 bases"):
        build_set(fill(toy), name="a", **LOOSE)


def test_nobody_in_common(toy, fill, build_set):
    toy.runs = {run: f"NA{run}" for run in toy.runs}
    with pytest.raises(OverlapError, match=r"Nobody is in both callset slice \(7 people: HG1.*NAERR1"):
        build_set(fill(toy), name="a", **LOOSE)


def test_people_of_unknown_sex_or_population_are_left_out_by_name(toy, fill, build_set):
    toy.people = {name: ("CEU", "EUR", sex) for name, (_, _, sex) in toy.people.items()}
    toy.people["HG1"] = ("CEU", "EUR", None)
    toy.people["HG2"] = (None, "EUR", "male")
    lake = fill(toy)
    build_set(lake, name="a", **LOOSE)
    (built,) = read(lake, t.EQTL_MATRICES)
    assert built["sample_ids"] == ["HG3", "HG4", "HG6", "HG5"]
    assert built["dropped_samples"]["HG1"] == "sex not known"
    assert built["dropped_samples"]["HG2"] == "population not known"


def test_clear_messages_for_what_is_not_there(toy, fill, build_set):
    lake = fill(toy)
    with pytest.raises(InputError, match=r"There is no callset phase9 in this lake. There are: slice."):
        build_set(lake, name="a", callset="phase9")
    with pytest.raises(InputError, match="There is no dataset E-MTAB-1"):
        build_set(lake, name="a", dataset="E-MTAB-1")
    with pytest.raises(UsageError, match="Nobody belongs to 'EU'"):
        build_set(lake, name="a", cohort="EU")
    with pytest.raises(UsageError, match="GRCh37 has no contig '99'"):
        build_set(lake, name="a", contig=["99"])
    with pytest.raises(InputError, match="No phenotype of E-GEUV-1 is left: 1 expression below threshold"):
        build_set(lake, name="a", min_expression=1e9)
    with pytest.raises(
        InputError, match="No phenotype of E-GEUV-1 is left: 1 on a contig that was not asked for"
    ):
        build_set(lake, name="a", contig=["21"], **LOOSE)
    with pytest.raises(InputError, match="No variant of slice is left: 2 minor allele too rare"):
        build_set(lake, name="a", **{**LOOSE, "min_maf": 0.5})
    with pytest.raises(InputError, match="2 people are too few for 1 covariate:"):
        build_set(lake, name="a", cohort="FIN", **LOOSE)
    assert not (DeltaTable.is_deltatable(f"{lake}/eqtl_matrices"))


def test_several_values_of_one_run_are_refused(toy, fill, build_set, lake):
    path = fill(toy)
    rows = [
        {"dataset": "E-GEUV-1", "quantification": "genes", "phenotype_id": "g1", "run_id": "ERR1", "value": 7.0,
         "load_id": "e1"}
    ]  # fmt: skip
    more = pa.Table.from_pylist(rows, schema=t.EXPRESSION.arrow_schema)
    write_deltalake(lake.path(t.EXPRESSION), more, mode="append")
    with pytest.raises(CheckError, match="1 values are second ones of a run and a phenotype"):
        build_set(path, name="a", **LOOSE)


# ------------------------------------------------------------------------------- several quantifications of a dataset


def quantification(lake, name, *, places, values, unit="rpkm", load_id="e2"):
    """Another quantification of the toy's dataset: phenotype → (contig, tss), phenotype → run → value."""
    runs = list(next(iter(values.values())))
    of_it = {"dataset": "E-GEUV-1", "quantification": name, "load_id": load_id}
    load = next(r for r in lake.fetch(t.LOADS).to_pylist(maps_as_pydicts="strict") if r["load_id"] == "e1")
    put = (
        (t.QUANTIFICATIONS, [
            {**of_it, "kind": "gene", "unit": unit, "processing": "none", "build": "GRCh37",
             "annotation": "matrix", "n_phenotypes": len(places), "run_ids": runs, "columns": runs}
        ]),
        (t.PHENOTYPES, [
            {**of_it, "phenotype_id": g, "contig": contig, "start": tss - 1, "end": tss, "tss": tss, "strand": "+",
             "build": "GRCh37", "kind": "gene", "unit": unit, "source_contig": contig}
            for g, (contig, tss) in places.items()
        ]),
        (t.EXPRESSION, [
            {**of_it, "phenotype_id": g, "run_id": r, "value": v} for g, row in values.items() for r, v in row.items()
        ]),
        (t.LOADS, [{**load, "load_id": load_id, "path": f"{name}.txt", "content_id": load_id}]),
    )  # fmt: skip
    for table, rows in put:
        lake.put(table, rows, f"load_id = '{load_id}'")


def test_one_of_several_quantifications_must_be_named_and_the_others_do_not_count(toy, fill, build_set, lake):
    path = fill(toy)
    build_set(path, name="a", **LOOSE)
    counts = {run: float(100 - i) for i, run in enumerate(toy.runs)}
    quantification(lake, "counts", unit="count", places={"g1": ("22", 1001)}, values={"g1": counts})
    with pytest.raises(
        InputError, match=r"unit is count and rpkm.*counts \(gene, count\), genes \(gene, rpkm\)"
    ):
        build_set(path, name="b", **LOOSE)
    with pytest.raises(InputError, match=r"no quantification 'count'. Did you mean counts\?"):
        build_set(path, name="b", quantification=["count"], **LOOSE)
    build_set(path, name="b", quantification=["counts"], **LOOSE)
    sets = {r["name"]: r for r in read(path, t.EQTL_MATRICES)}
    assert sets["b"]["load_ids"] == ["e2", "p1", "v1"]
    assert sets["b"]["parameters"]["quantification"] == '["counts"]'
    rows = {r["matrix_id"]: r for r in read(path, t.EQTL_PHENOTYPES)}
    ranks = np.array([3, 1, 2, 4, 6, 5])
    assert rows[sets["a"]["matrix_id"]]["values"] == pytest.approx(stats.norm.ppf(ranks / 7))
    assert rows[sets["b"]["matrix_id"]]["values"] == pytest.approx(stats.norm.ppf((7 - ranks) / 7))
    assert rows[sets["b"]["matrix_id"]]["tss"] == 1001
    # The first set is what it was, by its quantification's name.
    assert not build_set(path, name="a", quantification=["genes"], **LOOSE).changed


@pytest.mark.slow
def test_quantifications_with_other_runs_are_one_and_what_not_all_have_is_dropped(toy, fill, build_set, lake):
    """As the populations of HapMap 3, each in a file of its own."""
    of_ceu, of_fin = (
        {r: toy.runs[r] for r in names} for names in (["ERR1", "ERR2", "ERR3", "ERR4"], ["ERR5", "ERR6"])
    )
    toy.expression = {
        "g1": {r: float(i) for i, r in enumerate(of_ceu)},
        "g2": {r: float(i) for i, r in enumerate(of_ceu)},
        "g3": {r: float(i) for i, r in enumerate(of_ceu)},
    }
    toy.genes = {"g1": ("22", 1000), "g2": ("22", 1000), "g3": ("22", 1000)}
    quantified = dict(toy.runs)
    toy.runs = of_ceu
    path = fill(toy)
    rest = [{"dataset": "E-GEUV-1", "run_id": r, "sample_id": quantified[r], "evidence": "test", "load_ids": ["e2"]}
            for r in of_fin]  # fmt: skip
    lake.put(t.RUNS, rest, "run_id IN ('ERR5', 'ERR6')")
    more = {r: 10.0 + i for i, r in enumerate(of_fin)}
    quantification(
        lake, "fin", places={"g1": ("22", 1000), "g3": ("22", 999)}, values={"g1": more, "g3": more}
    )
    build_set(path, name="a", **LOOSE)
    (built,) = read(path, t.EQTL_MATRICES)
    assert built["parameters"]["quantification"] == '["fin", "genes"]'
    assert built["sample_ids"] == ["HG3", "HG1", "HG2", "HG4", "HG6", "HG5"]
    assert built["load_ids"] == ["e1", "e2", "p1", "v1"]
    (row,) = read(path, t.EQTL_PHENOTYPES)
    assert row["phenotype_id"] == "g1"
    assert row["values"] == pytest.approx(stats.norm.ppf(np.array([3, 1, 2, 4, 6, 5]) / 7))
    assert {k: n for k, n in built["dropped"].items() if k.startswith("phenotypes")} == {
        "phenotypes: not in every quantification": 1,
        "phenotypes: in different places of the quantifications": 1,
    }


# ------------------------------------------------------------------------------------- relatives and lists of ids


def test_relatives_are_left_out_unless_told_otherwise(toy, fill, build_set, lake):
    path = fill(toy)
    people = lake.fetch(t.SAMPLES).to_pylist()
    for person in people:
        if person["sample_id"] == "HG5":
            person |= {"father_id": "HG1", "mother_id": "HG2"}
    lake.put(t.SAMPLES, people, None)
    report = build_set(path, name="a", **LOOSE)
    (built,) = read(path, t.EQTL_MATRICES)
    # The child is related to both parents, who are not related to each other.
    assert built["sample_ids"] == ["HG3", "HG1", "HG2", "HG4", "HG6"]
    assert built["parameters"]["related"] == "drop"
    assert "HG1" in built["dropped_samples"]["HG5"]
    assert any("HG5" in note for note in report.notes)
    build_set(path, name="b", related="keep", **LOOSE)
    kept = next(r for r in read(path, t.EQTL_MATRICES) if r["name"] == "b")
    assert kept["sample_ids"] == ["HG3", "HG1", "HG2", "HG4", "HG6", "HG5"]


def test_a_cohort_may_be_a_file_of_ids_and_is_recorded_by_its_ids(toy, fill, build_set, tmp_path):
    path = fill(toy)
    first, second, wrong = (tmp_path / name for name in ("first.txt", "second.txt", "wrong.txt"))
    first.write_text("HG1\nHG2\nHG3\nHG4\nHG8\n", encoding="utf-8")
    second.write_text("HG8\nHG4\nHG3\nHG2\nHG1", encoding="utf-8")
    wrong.write_text("HG1\nHG22\n", encoding="utf-8")
    build_set(path, name="a", cohort=str(first), **LOOSE)
    (built,) = read(path, t.EQTL_MATRICES)
    assert built["sample_ids"] == ["HG3", "HG1", "HG2", "HG4"]
    assert built["parameters"]["cohort"].startswith("ids:5:")
    assert built["dropped_samples"]["HG8"] == "no genotypes in callset slice"
    assert not build_set(path, name="a", cohort=str(second), **LOOSE).changed
    with pytest.raises(InputError, match="HG22"):
        build_set(path, name="c", cohort=str(wrong), **LOOSE)


# ------------------------------------------------------------------- covariates of the runs and of loaded tables


@pytest.fixture
def crowd(toy):
    """The toy with sixteen people, HG01 to HG16 in the callset's order, each with the run ERR of that number."""
    numbers = range(1, 17)
    toy.people = {
        f"HG{i:02}": ("CEU" if i < 9 else "FIN", "EUR", "male" if i % 3 else "female") for i in numbers
    }
    toy.callset = list(toy.people)
    toy.runs = {f"ERR{i:02}": f"HG{i:02}" for i in numbers}
    toy.variants = [{**toy.variants[0], "dosages": [i % 3 for i in numbers]}]
    toy.expression = {"g1": {f"ERR{i:02}": float(i) for i in numbers}}
    return toy


@pytest.fixture
def load_covariates(make_config, tmp_path):
    """Write a table with a column a person and load it into a lake."""

    def load(lake, name, columns, path=None):
        config = make_config(lake)
        if path is None:
            path = tmp_path / f"{name}.txt"
            pd.DataFrame(columns, dtype=object).to_csv(path, sep="\t", index_label="id", na_rep="NA")
        params = config.params(LoadCovariates, {"file": str(path), "covariate_set": name})
        return run_job(LOAD_COVARIATES, params, config, progress=Progress(quiet=True))

    return load


def of_runs(lake, **told):
    """Tell a lake lab or batch of its runs: name → run → level."""
    runs = lake.fetch(t.RUNS).to_pylist()
    for run in runs:
        run |= {name: levels.get(run["run_id"]) for name, levels in told.items()}
    lake.put(t.RUNS, runs, None)


def covariates(lake, name):
    """Covariate → its row, in order, of a set; and the set's row."""
    (built,) = (r for r in read(lake, t.EQTL_MATRICES) if r["name"] == name)
    rows = [r for r in read(lake, t.EQTL_COVARIATES) if r["matrix_id"] == built["matrix_id"]]
    assert built["n_covariates"] == len(rows)
    return {r["covariate_id"]: r["values"] for r in sorted(rows, key=lambda r: r["row_index"])}, built


@pytest.mark.slow
def test_lab_and_batch_are_those_of_the_runs(crowd, fill, build_set, lake):
    path = fill(crowd)
    labs = {f"ERR{i:02}": ("CNAG CRG", "LUMC", "UNIGE")[i // 2 % 3] for i in range(2, 17)}
    batches = {f"ERR{i:02}": "12"[i % 5 == 0] for i in range(1, 16)} | {"ERR16": " "}
    of_runs(lake, lab=labs, batch=batches)
    people = lake.fetch(t.SAMPLES).to_pylist()
    for person in people:  # a child of somebody whose lab is not known, who would be kept otherwise
        person |= {"father_id": "HG01"} if person["sample_id"] == "HG05" else {}
    lake.put(t.SAMPLES, people, None)
    report = build_set(path, name="a", covariates=["lab", "batch"], **LOOSE)
    found, built = covariates(path, "a")
    kept = [f"HG{i:02}" for i in range(2, 16)]
    assert built["sample_ids"] == kept
    assert built["dropped_samples"] == {
        "HG01": "lab of the run not known", "HG16": "batch of the run not known"
    }  # fmt: skip
    assert built["dropped"] == {
        "people: lab of the run not known": 1, "people: batch of the run not known": 1
    }  # fmt: skip
    assert "left out, lab of the run not known: 1 (HG01)" in report.notes
    assert "lab: the reference is CNAG CRG (4 people)." in report.notes
    lab = np.array([labs[f"ERR{s[2:]}"] for s in kept])
    batch = np.array([batches[f"ERR{s[2:]}"] for s in kept])
    assert list(found) == ["sex_female", "population_FIN", "lab_LUMC", "lab_UNIGE", "batch_2"]
    assert found["lab_LUMC"] == (lab == "LUMC").astype(float).tolist()
    assert found["lab_UNIGE"] == (lab == "UNIGE").astype(float).tolist()
    assert found["batch_2"] == (batch == "2").astype(float).tolist()
    assert built["parameters"]["covariates"] == '["lab", "batch"]'
    assert built["load_ids"] == ["e1", "p1", "v1"]
    with pytest.raises(LakeError, match=r"covariates \[\"lab\", \"batch\"\] \(now \[\]\)"):
        build_set(path, name="a", **LOOSE)
    build_set(path, name="a", replace=True, related="drop", **LOOSE)
    assert covariates(path, "a")[1]["dropped_samples"] == {"HG05": "child of HG01"}


def test_lab_that_is_the_population_again_is_named_as_left_out(crowd, fill, build_set, lake):
    path = fill(crowd)
    of_runs(
        lake,
        lab={f"ERR{i:02}": "A" if i < 9 else "B" for i in range(1, 17)},
        batch=dict.fromkeys(crowd.runs, "1"),
    )
    report = build_set(path, name="a", covariates=["lab", "batch"], **LOOSE)
    found, built = covariates(path, "a")
    assert list(found) == ["sex_female", "population_FIN"]
    assert built["dropped"] == {"covariates: collinear with those before it": 1}
    assert report.details["dropped_covariates"] == {"lab_B": "collinear with those before it"}
    assert "left out, covariates: collinear with those before it: 1 (lab_B)" in report.notes


@pytest.mark.slow
def test_loaded_tables_join_the_basic_covariates(crowd, fill, build_set, load_covariates):
    path = fill(crowd)
    numbers = np.random.default_rng(7).normal(size=(4, 15))
    people = [f"HG{i:02}" for i in range(15, 0, -1)]  # another order, and HG16 is not there
    table = pd.DataFrame(numbers, ["PC1", "PC2", "constant", "PC1 again"], people, dtype=object)
    table.loc["constant"] = 3
    table.loc["PC1 again"] = 2 - 4 * table.loc["PC1"]
    table.loc["centre"] = ["Geneva" if i % 2 else "Uppsala" for i in range(15)]
    table.loc["PC2", "HG04"] = None
    table.loc["centre", "HG09"] = None
    load = load_covariates(path, "pcs", table)
    load_covariates(
        path, "more", pd.DataFrame({s: [i**2, i % 4] for i, s in enumerate(people)}, ["PC1", "z"])
    )
    load_covariates(path, "unused", table)
    report = build_set(path, name="a", covariates=["more", "pcs"], **LOOSE)
    found, built = covariates(path, "a")
    kept = [s for s in reversed(people) if s not in ("HG04", "HG09")]
    assert built["sample_ids"] == kept
    assert built["dropped_samples"] == {
        "HG04": "covariate PC2 not known", "HG09": "covariate centre not known",
        "HG16": "not in covariate set more",
    }  # fmt: skip
    assert list(found) == ["sex_female", "population_FIN", "PC1", "z", "pcs:PC1", "PC2", "centre_Uppsala"]
    of_people = table[kept]
    assert found["pcs:PC1"] == of_people.loc["PC1"].tolist()
    assert found["PC2"] == of_people.loc["PC2"].tolist()
    assert found["centre_Uppsala"] == (of_people.loc["centre"] == "Uppsala").astype(float).tolist()
    assert found["PC1"] == [people.index(s) ** 2 for s in kept]
    assert found["z"] == [people.index(s) % 4 for s in kept]
    assert report.details["dropped_covariates"] == {
        "constant": "constant", "PC1_again": "collinear with those before it"
    }  # fmt: skip
    assert {k: n for k, n in built["dropped"].items() if k.startswith("covariates")} == {
        "covariates: constant": 1, "covariates: collinear with those before it": 1
    }  # fmt: skip
    loads = {r["subject"]: r["load_id"] for r in read(path, t.LOADS) if r["target"] == "covariates"}
    assert load.changed
    assert built["load_ids"] == sorted(["e1", "p1", "v1", loads["pcs"], loads["more"]])
    assert "covariates" in built["table_versions"]

    # The same again is nothing to do, whatever is loaded besides; other values make another set.
    load_covariates(path, "unused", table + table)
    assert not build_set(path, name="a", covariates=["more", "pcs"], **LOOSE).changed
    table.loc["PC1", "HG01"] = 0.0
    load_covariates(path, "pcs", table)
    with pytest.raises(LakeError, match="other loads of the same callset, dataset, panel or covariates"):
        build_set(path, name="a", covariates=["more", "pcs"], **LOOSE)
    build_set(path, name="a", covariates=["more", "pcs"], replace=True, **LOOSE)
    assert covariates(path, "a")[0]["pcs:PC1"][0] == 0.0


def test_clear_messages_for_covariates(crowd, fill, build_set, load_covariates, lake):
    path = fill(crowd)
    people = list(crowd.people)

    def build(*names):
        return build_set(path, name="a", covariates=list(names), **LOOSE)

    with pytest.raises(
        InputError, match=r"no covariate set 'pc' in this lake\. Load one: kgp load covariates"
    ):
        build("pc")
    load_covariates(path, "pcs", pd.DataFrame({s: [i] for i, s in enumerate(people)}, ["PC1"]))
    with pytest.raises(
        InputError, match=r"no covariate set 'pc' .* Did you mean pcs\? There are: pcs; or name lab"
    ):
        build("pc")
    with pytest.raises(InputError, match=r"'labs' in this lake\. Did you mean lab\?"):
        build("labs")
    with pytest.raises(UsageError, match=r"--covariates: 'pcs' is named twice\. Name each once"):
        build("pcs", "pcs")
    with pytest.raises(
        OverlapError, match=r"lab is known of nobody of the 16 people: HG01: lab of the run not"
    ):
        build("lab")
    mixed = {s: ["70" if i else "over 80"] for i, s in enumerate(people)}
    load_covariates(path, "mixed", pd.DataFrame(mixed, ["age"]))
    with pytest.raises(
        InputError,
        match=r"covariate set mixed: Covariate age holds 15 numbers and 1 words, as 'over 80' of HG01\.",
    ):
        build("mixed")
    load_covariates(path, "others", pd.DataFrame({"HG00096": [1], "HG00097": [2]}, ["PC1"]))
    with pytest.raises(
        OverlapError,
        match=r"others is known of nobody of the 16 people: HG01: not in covariate set others\. The set",
    ):
        build("others")
    for name, some in (("first", people[:8]), ("last", people[8:])):
        load_covariates(path, name, pd.DataFrame({s: [i] for i, s in enumerate(some)}, [name]))
    with pytest.raises(
        OverlapError, match="Nobody of the 16 people has all covariates that were asked for: HG01"
    ):
        build("first", "last")
    many = np.random.default_rng(1).normal(size=(12, 16))
    load_covariates(path, "many", pd.DataFrame(many, [f"PC{i}" for i in range(12)], people))
    with pytest.raises(InputError, match="16 people are too few for 14 covariates"):
        build("many")
    assert not DeltaTable.is_deltatable(f"{path}/eqtl_matrices")


def test_the_real_components_beside_the_slice(
    shared_data, slice_template, raw, build_set, load_covariates, tmp_path
):
    lake = tmp_path / "lake"
    shutil.copytree(slice_template, lake)
    path = shared_data / "geuvadis-eqtl-qtltools" / "genes.covariates.pc50.txt.gz"
    table = pd.read_csv(path, sep=" ", index_col=0, float_precision="round_trip")
    assert table.shape == (53, 358)
    load_covariates(lake, "pcs", None, path)
    build_set(lake, name="a", covariates=["pcs"], cis_window=1000)
    found, built = covariates(lake, "a")
    assert built["sample_ids"] == raw.samples
    assert built["dropped_samples"] == {}
    basic = {"sex_female": [float(raw.panel[s][2] == "female") for s in raw.samples]} | {
        f"population_{code}": [float(raw.panel[s][0] == code) for s in raw.samples]
        for code in ("FIN", "GBR", "TSI")
    }
    expected = basic | {name: table.loc[name, raw.samples].tolist() for name in table.index}
    assert list(found) == list(expected)
    assert found == expected
    # None is a combination of the others, by their rank.
    matrix = np.array(list(expected.values()))
    scaled = (matrix - matrix.mean(axis=1, keepdims=True)) / matrix.std(axis=1, keepdims=True)
    assert np.linalg.matrix_rank(scaled) == 57
