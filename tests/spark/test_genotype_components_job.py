"""Genotype components of a callset of several contigs against plink2, here and by Spark; and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genotype_lake import (
    CALLSET,
    Contig,
    MadeCallset,
    fill_lake,
    make_callset,
    no_spark,
    read_table,
    run_plink2,
    write_bed,
)
from kgp import tables as t
from kgp.eqtl.ld_pruning import PruningRule
from kgp.errors import InputError
from kgp.genome import GRCH37
from kgp.io.delta import Lake
from kgp.job import Context, Job, Progress
from kgp.jobs import genotype_tasks
from kgp.jobs.genotype_components import (
    PRUNED,
    ComponentsFound,
    ComponentsRequest,
    compute_components,
)

CONTIGS = ("1", "2", "3", "10", "21", "22", "X")
AUTOSOMES = CONTIGS[:-1]
RULE = PruningRule(200, 100, 0.1)
JOB: Job[Any] = Job("test", "", object, (t.VARIANTS,), (), lambda *_: None)  # type: ignore[arg-type,return-value]


def context_of(lake: Lake) -> Context:
    return Context(lake, Progress(quiet=True), JOB)


@pytest.fixture(scope="module")
def callset() -> MadeCallset:
    return make_callset(5, CONTIGS, 2_000, 116, missing=0.004)


@pytest.fixture(scope="module")
def place(callset: MadeCallset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake whose files interleave: three loads, row groups of 300."""
    path = tmp_path_factory.mktemp("components") / "lake"
    fill_lake(path, callset, loads=("v1", "v2", "v3"), row_group=300)
    return path


@pytest.fixture(scope="module")
def request_all(callset: MadeCallset) -> ComponentsRequest:
    """Components of a cohort of 100 of the 120, in the callset's order."""
    return ComponentsRequest(
        CALLSET, tuple(range(3, 103)), len(callset.samples), GRCH37, 5, 0.05, 0.01, RULE, "all", (), "refuse"
    )


@pytest.fixture(scope="module")
def found(place: Path, request_all: ComponentsRequest) -> ComponentsFound:
    return compute_components(context_of(Lake(no_spark, str(place))), request_all)


@pytest.fixture(scope="module")
def by_plink2(
    callset: MadeCallset, require_tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[dict[str, int], np.ndarray]]:
    """Variants kept of each contig and the first 5 components, by plink2."""
    place, plink2 = tmp_path_factory.mktemp("plink2"), require_tool("plink2")
    write_bed(place / "all", callset)
    (place / "keep.txt").write_text("".join(f"0\t{name}\n" for name in callset.samples[3:103]))

    def run(*options: str) -> tuple[dict[str, int], np.ndarray]:
        chosen = [
            "--keep",
            place / "keep.txt",
            "--snps-only",
            "--maf",
            0.05,
            "--geno",
            0.01,
            "--autosome",
            *options,
        ]
        run_plink2(plink2, place / "all", place / "out", *chosen, "--indep-pairwise", 200, 100, 0.1)
        kept = (place / "out.prune.in").read_text().split()
        of_kept = ["--keep", place / "keep.txt", "--extract", place / "out.prune.in"]
        run_plink2(plink2, place / "all", place / "pca", *of_kept, "--pca", 5)
        rows = read_table(place / "pca.eigenvec")
        assert [row["IID"] for row in rows] == callset.samples[3:103]
        scores = np.array([[float(row[f"PC{k + 1}"]) for k in range(5)] for row in rows])
        contigs = [name.partition("_")[0] for name in kept]
        return {contig: contigs.count(contig) for contig in AUTOSOMES}, scores

    return run


def check_scores(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    for k in range(ours.shape[1]):
        assert abs(np.corrcoef(ours[:, k], theirs[:, k])[0, 1]) > 0.9999, f"component {k + 1}"


def test_plink2_keeps_as_many_variants_and_finds_the_same_components(
    found: ComponentsFound, by_plink2: Callable[..., Any], callset: MadeCallset
) -> None:
    n_kept, theirs = by_plink2()
    assert dict(found.n_pruned) == n_kept
    assert list(found.n_pruned) == list(AUTOSOMES)
    assert sum(n_kept.values()) > 1_000
    ((contig, covariates),) = found.covariates
    assert contig is None
    assert covariates.names == tuple(f"genotype_pc_{k}" for k in range(1, 6))
    check_scores(covariates.values, theirs)
    n_variants = sum(len(callset.contigs[name].starts) for name in AUTOSOMES)
    assert sum(found.dropped.values()) + sum(n_kept.values()) == n_variants
    assert found.dropped["no biallelic SNV"] == sum(
        alt == "CT" for name in AUTOSOMES for alt in callset.contigs[name].alts
    )
    assert found.dropped[PRUNED] > 0
    assert found.notes == (
        f"genotype components: of {sum(n_kept.values()):,} LD-pruned variants of 6 contigs of callset made",
    )


def test_a_contig_is_left_out_for_its_own_phenotypes(
    place: Path, request_all: ComponentsRequest, by_plink2: Callable[..., Any]
) -> None:
    wanted = replace(request_all, source="other-contigs", contigs_mapped=("2", "22", "X"))
    found = compute_components(context_of(Lake(no_spark, str(place))), wanted)
    assert [contig for contig, _ in found.covariates] == ["2", "22", "X"]
    for contig, covariates in found.covariates:
        assert covariates.names == tuple(f"genotype_pc_{k}_without_{contig}" for k in range(1, 6))
        _, theirs = by_plink2("--not-chr", contig)
        check_scores(covariates.values, theirs)
    assert "for phenotypes of each contig without that contig's" in found.notes[0]


def test_other_files_and_row_groups_give_the_same_bytes(
    callset: MadeCallset, request_all: ComponentsRequest, found: ComponentsFound, tmp_path: Path
) -> None:
    fill_lake(tmp_path / "lake", callset, row_group=1_111)
    other = compute_components(context_of(Lake(no_spark, str(tmp_path / "lake"))), request_all)
    assert other.covariates[0][1].values.tobytes() == found.covariates[0][1].values.tobytes()
    assert other.n_pruned == found.n_pruned
    assert other.dropped == found.dropped


def test_rows_out_of_order_within_a_file_are_put_in_order(
    callset: MadeCallset, request_all: ComponentsRequest, found: ComponentsFound, tmp_path: Path
) -> None:
    lake = fill_lake(tmp_path / "lake", callset, row_group=700, is_shuffled=True)
    other = compute_components(context_of(lake), request_all)
    assert other.covariates[0][1].values.tobytes() == found.covariates[0][1].values.tobytes()


def test_spark_finds_the_same(
    lake: Lake,
    place: Path,
    request_all: ComponentsRequest,
    found: ComponentsFound,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(genotype_tasks, "DRIVER_GENOTYPES", 0)
    monkeypatch.setattr("kgp.jobs.genotype_components.MAX_RESULT_BYTES", 150_000)  # three contigs at a time
    by_spark = compute_components(context_of(Lake(lake.spark, str(place))), request_all)
    assert by_spark.covariates[0][1].values.tobytes() == found.covariates[0][1].values.tobytes()
    assert (by_spark.n_pruned, by_spark.dropped) == (found.n_pruned, found.dropped)


# ------------------------------------------------------------------------------------------ what is refused


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "lake"
    fill_lake(path, make_callset(6, ("1", "22"), 150, 40))
    return path


def small_request(**given: Any) -> ComponentsRequest:
    wanted = ComponentsRequest(
        CALLSET, tuple(range(44)), 44, GRCH37, 3, 0.05, 0.01, RULE, "all", ("1", "22"), "refuse"
    )
    return replace(wanted, **given)


def test_components_of_few_contigs_are_refused_unless_asked_for(small: Path) -> None:
    context = context_of(Lake(no_spark, str(small)))
    with pytest.raises(
        InputError, match=r"LD-pruned variants on 2 contigs would be local haplotypes.*5 contigs are the"
    ):
        compute_components(context, small_request())
    with pytest.raises(InputError, match=r"LD-pruned variants on 1 contig would be local haplotypes"):
        compute_components(context, small_request(source="other-contigs"))
    found = compute_components(context, small_request(few_contigs="allow"))
    assert found.covariates[0][1].values.shape == (44, 3)
    assert found.notes[1].startswith("components of so few variants are local haplotypes")


def test_leaving_the_only_contig_out_leaves_nothing(tmp_path: Path) -> None:
    fill_lake(tmp_path / "lake", make_callset(6, ("22",), 60, 40))
    context = context_of(Lake(no_spark, str(tmp_path / "lake")))
    wanted = small_request(source="other-contigs", contigs_mapped=("22",), few_contigs="allow")
    with pytest.raises(InputError, match=r"callset made: Without 22 no contig is left .* Load more contigs"):
        compute_components(context, wanted)


def test_a_callset_without_autosomes_has_no_components(tmp_path: Path) -> None:
    fill_lake(tmp_path / "lake", make_callset(6, ("X",), 60, 40))
    context = context_of(Lake(no_spark, str(tmp_path / "lake")))
    with pytest.raises(
        InputError, match=r"callset made: It has no variants on autosomes, but on X\. Load autosomes"
    ):
        compute_components(context, small_request())
    with pytest.raises(InputError, match=r"callset other: It has no variants"):
        compute_components(context, small_request(callset="other"))


def test_as_many_components_as_people_are_refused(small: Path) -> None:
    context = context_of(Lake(no_spark, str(small)))
    with pytest.raises(InputError, match=r"--n-components: 3 components of 3 people leave nothing"):
        compute_components(context, small_request(sample_indices=(0, 1, 2)))


def test_variants_that_do_not_vary_are_no_components(tmp_path: Path) -> None:
    flat = Contig(np.arange(5) * 10, ["A"] * 5, ["C"] * 5, np.zeros((5, 44), np.int8))
    fill_lake(tmp_path / "lake", MadeCallset([f"S{i}" for i in range(44)], {"22": flat}))
    context = context_of(Lake(no_spark, str(tmp_path / "lake")))
    with pytest.raises(InputError, match="No variant varies among these people"):
        compute_components(context, small_request(few_contigs="allow"))


def test_fewer_variants_than_components_are_said(tmp_path: Path) -> None:
    dosages = np.random.default_rng(2).integers(0, 3, (2, 44)).astype(np.int8)
    fill_lake(
        tmp_path / "lake",
        MadeCallset(
            [f"S{i}" for i in range(44)], {"22": Contig(np.array([5, 9]), ["A"] * 2, ["C"] * 2, dosages)}
        ),
    )
    context = context_of(Lake(no_spark, str(tmp_path / "lake")))
    found = compute_components(context, small_request(few_contigs="allow"))
    assert found.covariates[0][1].names == ("genotype_pc_1", "genotype_pc_2")
    assert "only 2 components of the 3 asked for: there are no more variants" in found.notes


@pytest.mark.slow
def test_components_of_real_people_of_21_contigs(
    shared_data: Path, require_tool: Callable[[str], Path], tmp_path: Path
) -> None:
    """55 ancestry-informative SNVs of phase 3, 2,504 people: by name only, for they are few."""
    real = read_phase3(shared_data / "phase3-grch37" / "kidd.aisnp.1kg.vcf")
    fill_lake(tmp_path / "lake", real)
    n = len(real.samples)
    wanted = ComponentsRequest(CALLSET, tuple(range(n)), n, GRCH37, 5, 0.05, 0.01, RULE, "all", (), "allow")
    context = context_of(Lake(no_spark, str(tmp_path / "lake")))
    found = compute_components(context, wanted)
    write_bed(tmp_path / "all", real)
    plink2 = require_tool("plink2")
    run_plink2(
        plink2, tmp_path / "all", tmp_path / "out",
        "--snps-only", "--maf", 0.05, "--geno", 0.01, "--indep-pairwise", 200, 100, 0.1,
    )  # fmt: skip
    run_plink2(plink2, tmp_path / "all", tmp_path / "pca", "--extract", tmp_path / "out.prune.in", "--pca", 5)
    assert sum(found.n_pruned.values()) == len((tmp_path / "out.prune.in").read_text().split())
    assert len(found.n_pruned) == 21
    theirs = np.array(
        [[float(row[f"PC{k}"]) for k in range(1, 6)] for row in read_table(tmp_path / "pca.eigenvec")]
    )
    check_scores(found.covariates[0][1].values, theirs)
    with pytest.raises(InputError, match=r"on 2[01] contigs would be local haplotypes"):
        compute_components(context, replace(wanted, few_contigs="refuse"))


def read_phase3(path: Path) -> MadeCallset:
    """A VCF of diploid biallelic SNVs."""
    rows: dict[str, list[tuple[int, str, str, list[int]]]] = {}
    with path.open() as lines:
        for line in lines:
            fields = line.rstrip("\n").split("\t")
            if line.startswith("#CHROM"):
                samples = fields[9:]
            elif not line.startswith("#"):
                calls = [-1 if "." in call[:3] else int(call[0]) + int(call[2]) for call in fields[9:]]
                rows.setdefault(fields[0], []).append((int(fields[1]) - 1, fields[3], fields[4], calls))
    contigs = {}
    for contig, found in rows.items():
        found.sort(key=lambda row: row[0])
        starts, refs, alts, calls = zip(*found, strict=True)
        contigs[contig] = Contig(np.array(starts), list(refs), list(alts), np.array(calls, dtype=np.int8))
    return MadeCallset(samples, contigs)
