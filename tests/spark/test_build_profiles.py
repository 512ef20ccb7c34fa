"""Each profile of `kgp eqtl build` end to end on a made-up lake, against what numpy says of the same numbers.

Several contigs and X, relatives, people without runs, missing genotypes, variants of several ALTs, phenotypes on Y, MT,
without a place and on a contig without genotypes. No JVM is needed: where one is started the test fails.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deltalake import DeltaTable

from kgp import tables as t
from kgp.config import load_config
from kgp.eqtl.peer import peer
from kgp.errors import InputError
from kgp.job import Progress, Report, run_job
from kgp.jobs.build_eqtl_matrices import BUILD_EQTL_MATRICES
from kgp.params import EqtlBuild
from matrix_world import (
    AUTOSOMES,
    CALLSET,
    COUNTS,
    DATASET,
    VALUES,
    World,
    columns_of,
    components,
    expect_genotypes,
    inverse_normal,
    people_of,
    tmm_cpm,
)

WINDOW = 20_000
SMALL = {"cis_window": WINDOW, "counts": COUNTS}


@pytest.fixture
def build(world_copy: Path) -> Callable[..., tuple[Report, Found]]:
    """``build(profile="gtex", …)``: run the job on a copy of the lake; gives its report and what the tables hold."""

    def run(**options: Any) -> tuple[Report, Found]:
        config = load_config(lake=str(world_copy), environ={})
        given = {"name": "a", "callset": CALLSET, "dataset": DATASET, "quantification": [VALUES], **options}
        params = config.params(EqtlBuild, given)
        return run_job(BUILD_EQTL_MATRICES, params, config, progress=Progress(quiet=True)), Found(world_copy)

    return run


class Found:
    """A set as its tables have it, read by delta-rs alone."""

    def __init__(self, lake: Path) -> None:
        def read(name: str) -> list[dict[str, Any]]:
            table = DeltaTable(str(lake / name)).to_pyarrow_table() if (lake / name).exists() else None
            return [] if table is None else table.to_pylist(maps_as_pydicts="strict")

        (self.set,) = read("eqtl_matrices")
        self.phenotypes = {row["phenotype_id"]: row for row in read("eqtl_phenotypes")}
        self.genotypes = {row["variant_id"]: row for row in read("eqtl_genotypes")}
        self.covariates = sorted(read("eqtl_covariates"), key=lambda row: row["row_index"])
        self.matches = read("eqtl_matches")

    @property
    def covariate_ids(self) -> list[str]:
        return [row["covariate_id"] for row in self.covariates]

    def covariate(self, name: str) -> np.ndarray:
        (row,) = (row for row in self.covariates if row["covariate_id"] == name)
        return np.array(row["values"])


def check_phenotypes(found: Found, expected: dict[str, np.ndarray]) -> None:
    assert set(found.phenotypes) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(
            found.phenotypes[name]["values"], values, rtol=1e-9, atol=1e-9, err_msg=name
        )


def check_genotypes(world: World, found: Found, **rules: Any) -> None:
    """Every variant of the set, and no other, with the right copies and counts."""
    tss: dict[str, list[int]] = {}
    for row in found.phenotypes.values():
        tss.setdefault(row["contig"], []).append(row["tss"])
    expected = expect_genotypes(world, found.set["sample_ids"], tss, cis_window=WINDOW, **rules)
    assert set(found.genotypes) == set(expected.copies)
    for variant_id, row in found.genotypes.items():
        assert [-1 if one is None else one for one in row["dosages"]] == expected.copies[variant_id]
        assert (row["ac"], row["an"]) == (expected.ac[variant_id], expected.an[variant_id])
        assert row["n_missing"] == expected.copies[variant_id].count(-1)
    contigs = {row["contig"] for row in found.phenotypes.values()}
    n_candidates = int(np.isin(world.contigs, list(contigs)).sum())
    left_out = sum(n for name, n in found.set["dropped"].items() if name.startswith("variants: "))
    assert len(found.genotypes) + left_out == n_candidates, "every variant is kept or counted"


def check_people(world: World, found: Found) -> list[str]:
    people = people_of(world)
    assert found.set["sample_ids"] == people
    run_of = {s: r for r, s in world.runs.items()}
    assert found.set["run_ids"] == [run_of[s] for s in people]
    assert found.set["dropped_samples"] == {
        "HG00003": "child of HG00001", "HG00009": "no expression in dataset E-MADE-1",
        "HG00061": "no genotypes in callset made",
    }  # fmt: skip
    return people


def is_female(world: World, people: list[str]) -> list[float]:
    return [float(world.people[s]["sex"] == "female") for s in people]


def on(world: World, *contigs: str) -> np.ndarray:
    return np.array([contig in contigs for _, contig, _ in world.genes])


def n_near(world: World, found_tss: int, contig: str) -> int:
    return int(((world.contigs == contig) & (np.abs(world.pos - found_tss) <= WINDOW)).sum())


# ------------------------------------------------------------------------------------------------- the profiles


def test_basic(world: World, build: Callable[..., tuple[Report, Found]]) -> None:
    report, found = build(profile="basic", cis_window=WINDOW)
    people = check_people(world, found)
    values = world.values[:, columns_of(world, people)]
    kept = ((values >= 0.1).sum(axis=1) >= np.ceil(0.2 * len(people))) & on(world, *AUTOSOMES)
    normal = inverse_normal(values)
    check_phenotypes(found, {world.genes[i][0]: normal[i] for i in np.flatnonzero(kept)})
    check_genotypes(world, found, min_maf=0.01, max_missing=0.05)
    assert found.covariate_ids == ["sex_female", "population_FIN", "population_YRI"]
    assert found.covariate("sex_female").tolist() == is_female(world, people)
    for code in ("FIN", "YRI"):
        expected = [float(world.people[s]["population"] == code) for s in people]
        assert found.covariate(f"population_{code}").tolist() == expected
    dropped = {k: n for k, n in found.set["dropped"].items() if k.startswith("phenotypes")}
    low = int((~kept & on(world, *AUTOSOMES)).sum())
    assert dropped == {
        "phenotypes: not on an autosome": 2 + 10, "phenotypes: no place": 1,
        "phenotypes: no genotypes on its contig": 1,
        **({"phenotypes: expression below threshold": low} if low else {}),
    }  # fmt: skip
    assert found.set["load_ids"] == ["e1", "p1", "v1", "v2", "v3", "v4", "v5"], "neither X nor the counts"
    assert len(found.matches) == len(people)
    assert report.rows["eqtl_matches"] == len(people)


def test_gtex(world: World, build: Callable[..., tuple[Report, Found]]) -> None:
    _, found = build(profile="gtex", kinship="none", n_factors=4, n_components=3, prune_max_r2=0.98, **SMALL)
    people = check_people(world, found)
    columns = columns_of(world, people)
    values, counts = world.values[:, columns], world.counts[:, columns]
    n_needed = np.ceil(0.2 * len(people))
    expressed = ((values >= 0.1).sum(axis=1) >= n_needed) & ((counts >= 6).sum(axis=1) >= n_needed)
    normal = inverse_normal(tmm_cpm(counts))
    # Hidden factors are of all that can ever be in a set: those of a contig without genotypes, too.
    for_factors = sorted(
        np.flatnonzero(expressed & on(world, *AUTOSOMES, "X", "21")), key=lambda i: world.genes[i][0]
    )
    kept = [i for i in for_factors if world.genes[i][1] != "21"]
    with_variants = {world.genes[i][0]: normal[i] for i in kept if world.genes[i][0] in found.phenotypes}
    check_phenotypes(found, with_variants)
    for i in kept:
        name, contig, tss = world.genes[i]
        assert n_near(world, tss, contig) == 0 or name in found.phenotypes or n_near(world, tss, contig) < 5
    assert any(row["contig"] == "X" for row in found.phenotypes.values())
    check_genotypes(world, found, min_maf=0.01, max_missing=0.05)

    factors = peer(normal[for_factors], 4).factors
    pcs = [f"genotype_pc_{i}" for i in (1, 2, 3)]
    assert found.covariate_ids == ["sex_female", *pcs, *(f"peer_{i}" for i in (1, 2, 3, 4))]
    for i in range(4):
        np.testing.assert_allclose(found.covariate(f"peer_{i + 1}"), factors[:, i], rtol=1e-6, atol=1e-8)
    check_components(world, found, people, 3)
    assert any("genotype components: of " in note for note in found.set["notes"])
    assert found.set["load_ids"] == ["e1", "e2", "p1", "v1", "v2", "v3", "v4", "v5", "vX"]


def check_components(world: World, found: Found, people: list[str], n: int) -> None:
    """Against the eigenvectors of all common, nearly complete biallelic variants of autosomes."""
    dosages = world.dosages[:, [world.samples.index(s) for s in people]]
    called = dosages >= 0
    p = np.where(called, dosages, 0).sum(axis=1) / np.maximum(2 * called.sum(axis=1), 1)
    common = (np.minimum(p, 1 - p) >= 0.05) & ((~called).mean(axis=1) <= 0.01)
    chosen = common & (world.contigs != "X") & (world.n_alts == 1)
    assert chosen.sum() > 400
    expected = components(dosages[chosen], n)
    for i in range(n):
        r = np.corrcoef(found.covariate(f"genotype_pc_{i + 1}"), expected[:, i])[0, 1]
        assert abs(r) > 1 - 1e-9


def test_geuvadis(world: World, build: Callable[..., tuple[Report, Found]]) -> None:
    _, found = build(profile="geuvadis", n_factors=3, cis_window=WINDOW)
    people = check_people(world, found)
    values = world.values[:, columns_of(world, people)]
    usable = ((values == 0).mean(axis=1) <= 0.5) & on(world, *AUTOSOMES, "21")
    order = sorted(np.flatnonzero(usable), key=lambda i: world.genes[i][0])
    some = values[order]
    standard = (some - some.mean(axis=1, keepdims=True)) / some.std(axis=1, ddof=1, keepdims=True)
    normal = inverse_normal(peer(standard, 3).residuals)
    expected = {world.genes[i][0]: normal[k] for k, i in enumerate(order) if world.genes[i][1] != "21"}
    check_phenotypes(found, {name: row for name, row in expected.items() if name in found.phenotypes})
    for name in set(expected) - set(found.phenotypes):
        (tss,) = (place for gene, _, place in world.genes if gene == name)
        assert n_near(world, tss, name[1]) <= 3
    check_genotypes(world, found, min_maf=0.05, max_missing=0.05)
    assert found.covariates == []
    assert any("residuals of 3 hidden factors; map with --phenotype-df 3" in n for n in found.set["notes"])


def test_eqtl_catalogue(world: World, build: Callable[..., tuple[Report, Found]]) -> None:
    _, found = build(
        profile="eqtl-catalogue", kinship="none", prune_max_r2=0.98, n_factors=4, n_components=2,
        cis_window=WINDOW,
    )  # fmt: skip
    people = check_people(world, found)
    values = world.values[:, columns_of(world, people)]
    varies = values.std(axis=1) > 0
    order = sorted(np.flatnonzero(varies & on(world, *AUTOSOMES, "X", "21")), key=lambda i: world.genes[i][0])
    scaled = values[order] - values[order].mean(axis=1, keepdims=True)
    scaled /= scaled.std(axis=1, keepdims=True)
    _, _, vectors = np.linalg.svd(scaled - scaled.mean(axis=0), full_matrices=False)
    at_sample_centre = np.linalg.svd(scaled, full_matrices=False)[2]
    for i in range(4):
        score = found.covariate(f"expression_pc_{i + 1}")
        assert max(abs(np.corrcoef(score, v[i])[0, 1]) for v in (vectors, at_sample_centre)) > 1 - 1e-9
    check_components(world, found, people, 2)
    # At least five variants near each phenotype, and none far from all of them.
    in_set = [world.variant_ids().index(one) for one in found.genotypes]
    for row in found.phenotypes.values():
        near = sum(
            world.contigs[i] == row["contig"] and abs(int(world.pos[i]) - row["tss"]) <= WINDOW
            for i in in_set
        )
        assert near >= 5
    n_few = found.set["dropped"]["phenotypes: fewer than 5 variants in the cis window"]
    assert len(found.phenotypes) == len([i for i in order if world.genes[i][1] != "21"]) - n_few
    check_phenotypes(
        found,
        {world.genes[i][0]: values[i] for i in order if world.genes[i][0] in found.phenotypes},
    )
    check_genotypes(world, found, min_maf=0.01, max_missing=0.05)
    # X is in the set, so sex is among the covariates, whatever the profile says.
    assert found.covariate_ids[0] == "sex_female"
    assert (
        "sex is among the covariates because phenotypes of chromosome X are in the set" in found.set["notes"]
    )


def test_none(world: World, build: Callable[..., tuple[Report, Found]]) -> None:
    _, found = build(profile="none", cis_window=WINDOW)
    people = check_people(world, found)
    values = world.values[:, columns_of(world, people)]
    kept = on(world, *AUTOSOMES, "X") & (values.std(axis=1) > 0)
    check_phenotypes(found, {world.genes[i][0]: values[i] for i in np.flatnonzero(kept)})
    check_genotypes(world, found, min_maf=0.0, max_missing=1.0, min_mac=1, keep_multiallelic=True)
    assert found.covariate_ids == ["sex_female"]


# -------------------------------------------------------------------------------------- components and degrees


def test_components_that_leave_one_contig_out_are_for_its_phenotypes(
    world: World, build: Callable[..., tuple[Report, Found]]
) -> None:
    _, found = build(
        profile="basic", cis_window=WINDOW, n_components=2, components_from="other-contigs", prune_max_r2=0.98,
        few_contigs="allow", contig=["1", "2"],
    )  # fmt: skip
    people = people_of(world)
    assert {row["contig"] for row in found.covariates} == {None, "1", "2"}
    of_contig = {
        c: [row["covariate_id"] for row in found.covariates if row["contig"] == c] for c in ("1", "2")
    }
    assert of_contig["1"] == ["genotype_pc_1_without_1", "genotype_pc_2_without_1"]
    dosages = world.dosages[:, [world.samples.index(s) for s in people]]
    called = dosages >= 0
    p = np.where(called, dosages, 0).sum(axis=1) / np.maximum(2 * called.sum(axis=1), 1)
    common = (np.minimum(p, 1 - p) >= 0.05) & ((~called).mean(axis=1) <= 0.01) & (world.n_alts == 1)
    for contig in ("1", "2"):
        expected = components(dosages[common & ~np.isin(world.contigs, [contig, "X"])], 2)
        for i in range(2):
            found_values = found.covariate(f"genotype_pc_{i + 1}_without_{contig}")
            assert abs(np.corrcoef(found_values, expected[:, i])[0, 1]) > 1 - 1e-9
    assert found.set["n_covariates"] == len(found.covariates) == 3 + 4


def test_what_can_not_be_is_refused_and_leaves_nothing(
    world: World, build: Callable[..., tuple[Report, Found]], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"5 contigs"):
        build(profile="gtex", kinship="none", n_factors=2, contig=["1"], prune_max_r2=0.02, **SMALL)
    with pytest.raises(InputError, match="callset made: Its kinship is not known"):
        build(profile="gtex", **SMALL)
    with pytest.raises(InputError, match="19 people are too few for 18 covariates"):
        build(profile="basic", cohort="CEU", n_components=17, few_contigs="allow", prune_max_r2=0.98)
    with pytest.raises(InputError, match=r"no quantification .read.\. Did you mean reads"):
        build(profile="gtex", counts="read")
    for table in (t.EQTL_MATRICES, t.EQTL_PHENOTYPES, t.EQTL_COVARIATES, t.EQTL_GENOTYPES):
        assert not [path for path in (tmp_path / "lake" / table.name).rglob("*") if path.is_file()]
