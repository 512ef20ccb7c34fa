"""Builds: names, lengths, evidence against another build. The lengths are compared with the archives' own headers."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from kgp.errors import BuildError, UsageError
from kgp.genome import (
    BUILDS,
    GRCH37,
    GRCH38,
    NCBI36,
    ReferenceBuild,
    check_build,
    get_build,
    pos_from_start,
)

builds = pytest.mark.parametrize("build", BUILDS.values(), ids=list(BUILDS))


@builds
def test_a_build_has_the_nuclear_contigs_and_the_mitochondrion(build: ReferenceBuild) -> None:
    assert len(build.contigs) == 25
    assert all(length > 0 for length in build.contigs.values())
    assert list(build.contigs)[-1] in ("MT", "chrM")


@builds
def test_an_alias_leads_to_a_contig_and_is_none_itself(build: ReferenceBuild) -> None:
    for alias, contig in build.aliases.items():
        assert contig in build.contigs
        assert alias not in build.contigs
        assert build.length(alias) == build.contigs[contig]


@pytest.mark.parametrize("contig", [*(str(n) for n in range(1, 23)), "X", "Y"])
def test_both_spellings_are_one_contig(contig: str) -> None:
    assert GRCH37.canonical(contig) == GRCH37.canonical(f"chr{contig}") == contig
    assert GRCH38.canonical(contig) == GRCH38.canonical(f"chr{contig}") == f"chr{contig}"


@pytest.mark.parametrize(
    "contig", ["HLA-A*01:01", "chrUn_KI270302v1", "GL000207.1", "hs37d5", "", "22 ", "chr", "chr0"]
)
@builds
def test_a_strange_contig_is_unknown_and_sorts_last(build: ReferenceBuild, contig: str) -> None:
    assert build.canonical(contig) is None
    assert build.length(contig) is None
    assert build.sort_index(contig) == 25
    assert not build.is_par(contig, 60_000)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "build"),
    [
        ("phase3-grch37/10k.chr22.phase3_shapeit2_mvncall_integrated_v5.20130502.genotypes.vcf.gz", GRCH37),
        ("highcov30x-grch38/chr22.vcf.gz", GRCH38),
        ("highcov30x-grch38/nygc_3202_raw_GT_with_annot.chr21.vcf.gz", GRCH38),
    ],
)
def test_lengths_are_those_of_the_archives_headers(
    shared_data: Path, file: str, build: ReferenceBuild
) -> None:
    declared: dict[str, int] = {}
    with gzip.open(shared_data / file, "rt") as lines:
        for line in lines:
            if not line.startswith("##"):
                break
            name, length = re.search(r"ID=([^,>]+)", line), re.search(r"length=(\d+)", line)
            if line.startswith("##contig") and name and length:
                declared[name[1]] = int(length[1])
    known = {contig: length for contig, length in declared.items() if build.canonical(contig) is not None}
    assert len(known) >= 24
    assert known == {contig: build.length(contig) for contig in known}
    check_build(build, where=file, declared_lengths=declared)
    for other in BUILDS.values():
        if other is not build:
            with pytest.raises(BuildError):
                check_build(other, where=file, declared_lengths=declared)


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("hg18", NCBI36),
        ("b37", GRCH37),
        ("HG19", GRCH37),
        ("hs37d5", GRCH37),
        ("grch38", GRCH38),
        ("hs38DH", GRCH38),
    ],
)
def test_a_build_has_many_names(name: str, build: ReferenceBuild) -> None:
    assert get_build(name) is build


def test_an_unknown_build_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="NCBI36, GRCh37, GRCh38"):
        get_build("T2T")


def test_a_declared_length_of_another_build_is_refused_with_both_lengths() -> None:
    with pytest.raises(BuildError) as caught:
        check_build(GRCH38, where="a.vcf", declared_lengths={"22": 51_304_566})
    assert str(caught.value) == (
        "a.vcf: Contig 22 is declared with 51,304,566 bases; in GRCh38 it has 50,818,468 (51,304,566 is its length in "
        "GRCh37). Give the file's own build with --build."
    )


def test_a_declared_assembly_of_another_build_is_refused() -> None:
    with pytest.raises(BuildError, match="which is GRCh37, not GRCh38"):
        check_build(GRCH38, where="a.vcf", assemblies={"chr22": "b37"})
    check_build(GRCH37, where="a.vcf", assemblies={"22": "GRCh37", "hs37d5": "b38", "21": "made-up"})


@builds
def test_a_row_may_reach_the_end_of_its_contig_but_not_beyond(build: ReferenceBuild) -> None:
    for contig, length in build.contigs.items():
        check_build(build, where="a.vcf", last_ends={contig: length, "HLA-A*01:01": 10**9})
        with pytest.raises(BuildError, match="beyond"):
            check_build(build, where="a.vcf", last_ends={contig: length + 1})


@builds
def test_par_borders_are_half_open(build: ReferenceBuild) -> None:
    for begin, end in build.par:
        assert build.is_par("X", begin)
        assert build.is_par("chrX", end - 1)
        assert not build.is_par("X", end)
        assert begin == 0 or not build.is_par("X", begin - 1)
        assert not build.is_par("Y", begin)
        assert end <= (build.length("X") or 0)


def test_pos_is_one_more_than_start_and_the_telomere_has_pos_0() -> None:
    assert [pos_from_start(start) for start in (-1, 0, 248_956_421)] == [0, 1, 248_956_422]
