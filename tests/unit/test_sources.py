"""The archives as data: doors, sources, what a person means of a listing, and the archives' own lists of checksums."""

from __future__ import annotations

import csv
import dataclasses
import fnmatch
import hashlib
import itertools
import json
import re
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgp.errors import FormatError, InputError, UsageError
from kgp.genome import BUILDS, get_build
from kgp.io.azure_urls import parse_blob
from kgp.sourcedocs import describe, describe_as_dict, overview, overview_as_dict
from kgp.sources import (
    DOORS,
    PUBLIC_ACCOUNTS,
    SOURCES,
    Door,
    Entry,
    Source,
    check_path,
    choose,
    doors_of,
    expected,
    find_source,
    may_hold,
    missing,
    open_url_door,
    part_of,
    prefixes_for,
)
from kgp.sources import patterns as shell
from kgp.sources.checksums import parse_index, parse_manifest, parse_md5sums, parse_tree
from kgp.sources.paths import show_path
from kgp.sources.times import utc_from_london

PHASE3 = find_source("phase3")
MD5 = "0123456789abcdef0123456789abcdef"
OTHER_MD5 = "f" * 32


def phase3_listing() -> list[Entry]:
    """A listing of release/20130502/ with what IGSR has there, one file of each kind that matters."""
    names = [
        *(
            f"ALL.chr{c}.phase3_shapeit2_mvncall_integrated_v5b.20130502.genotypes.vcf.gz"
            for c in range(1, 23)
        ),
        "ALL.chrX.phase3_shapeit2_mvncall_integrated_v1c.20130502.genotypes.vcf.gz",
        "ALL.chrY.phase3_integrated_v2b.20130502.genotypes.vcf.gz",
        "ALL.chrMT.phase3_callmom-v0_4.20130502.genotypes.vcf.gz",
    ]
    others = [
        "ALL.wgs.phase3_shapeit2_mvncall_integrated_v5c.20130502.sites.vcf.gz",
        "integrated_call_samples_v3.20130502.ALL.panel",
        "README_phase3_callset_20150220",
        "supporting/functional_annotation/filtered/"
        "ALL.chr22.phase3_shapeit2_mvncall_integrated_v5.20130502.sites.annotation.vcf.gz",
        "supporting/GRCh38_positions/ALL.chr22_GRCh38.genotypes.20170504.vcf.gz",
        "supporting/psmc/readme.txt",
    ]
    paths = [*names, *(f"{name}.tbi" for name in names), *others]
    return [Entry(f"release/20130502/{path}", 1000 + n) for n, path in enumerate(paths)]


def names_of(entries: list[Entry]) -> list[str]:
    return [entry.path.rpartition("/")[2] for entry in entries]


# ------------------------------------------------------------------------------------------------ doors and sources


def test_names_are_unique_and_every_archive_has_doors() -> None:
    names = [door.name for door in DOORS]
    assert len(set(names)) == len(names)
    called = [name.lower() for s in SOURCES for name in (s.name, *s.aliases)]
    assert len(set(called)) == len(called)
    assert {s.archive for s in SOURCES} == {door.archive for door in DOORS}
    for source in SOURCES:
        assert len({part.name for part in source.parts}) == len(source.parts), source.name
        assert {find_source(name).archive for name in source.elsewhere} <= {d.archive for d in DOORS}


def test_the_doors_that_the_issue_names_are_there_in_order() -> None:
    assert [door.name for door in doors_of("1000genomes")] == [
        "azure",
        "azure-secondary",
        "igsr-https",
        "igsr-ftp",
        "ncbi-https",
        "ncbi-ftp",
        "aws",
        "aspera",
        "globus",
    ]
    assert {door.kind for door in DOORS} == {"azure", "https", "ftp", "s3", "aspera", "globus"}
    assert {d.name for d in DOORS} >= {
        "curated",
        "biostudies-https",
        "biostudies-ftp",
        "geo-https",
        "geo-ftp",
    }
    assert {"dataset1000genomes", "dataset1000genomes-secondary", "curated1000genomes"} == PUBLIC_ACCOUNTS
    for door in DOORS:
        assert not door.root.endswith("/"), door.name
        if door.kind == "azure":
            blob = parse_blob(door.root)
            assert blob is not None
            assert (blob.account in PUBLIC_ACCOUNTS, blob.container) == (True, "dataset")


def test_the_sources_that_the_issue_names_are_there() -> None:
    wanted = (
        "phase3 phase1 pilot grch38-recall high_coverage sv-map dragen-3.5.7b dragen-3.6.3 dragen-3.7.6 dragen-4.4.7 "
        "curated geuvadis people E-GEUV-1 E-GEUV-2 E-MTAB-197 E-MTAB-198 E-MTAB-264 E-GEOD-19480"
    )
    assert set(wanted.split()) <= {source.name for source in SOURCES}
    for source in SOURCES:
        assert source.build is None or source.build in BUILDS
        assert source.title
        assert source.sample_set
        assert re.search(r"doi:10\.\d{4,}/\S+$", source.citation), source.name
        assert re.search(r"https://\S+$", source.terms), source.name


def test_builds_of_parts() -> None:
    parts = {part.name: PHASE3.build_of(part) for part in PHASE3.parts}
    assert (parts["genotypes"], parts["annotation"], parts["grch38"]) == ("GRCh37", "GRCh37", "GRCh38")
    cohort = next(p for p in find_source("dragen-3.7.6").parts if p.name == "cohort-hg19")
    assert find_source("dragen-3.7.6").build_of(cohort) == "GRCh37"
    assert find_source("pilot").build == "NCBI36"


def test_the_number_of_people_is_that_of_the_files(shared_data: Path) -> None:
    metadata = shared_data / "metadata"
    panel = (metadata / "integrated_call_samples_v3.20130502.ALL.panel").read_text().splitlines()
    assert PHASE3.n_samples == len(panel) - 1
    pedigree = (metadata / "20130606_g1k.ped").read_text().splitlines()
    assert find_source("people").n_samples == len(pedigree) - 1
    high_coverage = (
        (metadata / "reconstructed_20130606_g1k_3202_samples_ped_population.txt").read_text().splitlines()
    )
    assert find_source("30x").n_samples == len(high_coverage) - 1
    for accession in ("E-GEUV-1", "E-MTAB-264"):
        with (metadata / f"{accession}.sdrf.txt").open(encoding="utf-8") as file:
            people = {row["Source Name"] for row in csv.DictReader(file, delimiter="\t")}
        assert find_source(accession).n_samples == len(people)
    index = (metadata / "geuvadis.sequence.index").read_text().splitlines()
    people = {line.split("\t")[9] for line in index if not line.startswith("#")}
    assert find_source("geuvadis").n_samples == len(people)


def test_patterns_and_prefixes_fit_together() -> None:
    for source in SOURCES:
        for prefix in source.prefixes:
            check_path(prefix.removesuffix("/"))
            assert prefix.endswith("/")
        assert not any(a != b and a.startswith(b) for a in source.prefixes for b in source.prefixes), (
            source.name
        )
        for part in source.parts:
            assert part.patterns
            for pattern in part.patterns:
                assert any(shell.directory_of(pattern).startswith(p) for p in source.prefixes), pattern
                assert (shell.CONTIG in pattern) == bool(part.contigs), pattern
            build = source.build_of(part)
            if part.contigs:
                assert build is not None
                assert all(get_build(build).canonical(contig) for contig in part.contigs), part.name
            assert set(part.unsure_contigs) <= set(part.contigs)


def test_no_alignment_is_staged_unless_asked_for() -> None:
    bulky = ("a.bam", "a.cram", "HG00096.x.bam", "HG00096.bam", "NA12878.final.cram", "HG00096.x.cram.crai")
    for source in SOURCES:
        for part in (p for p in source.parts if p.is_staged):
            for pattern in part.patterns:
                name = pattern.rpartition("/")[2]
                assert "**" not in pattern, (source.name, part.name)
                assert not any(shell.matches(name, bulk) for bulk in bulky) or pattern.endswith("suppl/*")
                assert not shell.may_meet(name, "[HN][AG][0-9]*.bam") or pattern.endswith("suppl/*"), pattern


def test_every_known_path_belongs_to_exactly_one_part(shared_data: Path) -> None:
    found: dict[str, tuple[str, str]] = {}
    with (shared_data / "ftp-tree/known_paths.tsv").open(encoding="utf-8") as file:
        rows = [row["path_or_pattern"] for row in csv.DictReader(file, delimiter="\t")]
    assert len(rows) == 32
    for text in rows:
        archive, paths = as_paths(text)
        for path in paths:
            homes = [
                (s.name, p.name)
                for s in SOURCES
                if s.archive == archive
                for p in s.parts
                if matches_part(s, p.name, path)
            ]
            assert len(homes) == 1, (path, homes)
            found[path] = homes[0]
            assert part_of(find_source(homes[0][0]), path).name == homes[0][1]
            assert part_of(find_source(homes[0][0]), f"{path}.tbi").name == homes[0][1]
    release = "release/20130502"
    assert len(found) > 80
    assert found[f"{release}/ALL.chr7.phase3_shapeit2_mvncall_integrated_v5a.20130502.genotypes.vcf.gz"] == (
        "phase3",
        "genotypes",
    )
    assert found[f"{release}/README_known_issues_20200731"] == ("phase3", "readme")
    assert found[f"{release}/supporting/GRCh38_positions/ALL.chrX_GRCh38.genotypes.20170504.vcf.gz"] == (
        "phase3",
        "grch38",
    )
    assert found["technical/working/20130606_sample_info/20130606_g1k.ped"] == ("people", "pedigree")
    by_name = {path.rpartition("/")[2]: home for path, home in found.items()}
    assert by_name["ALL.wgs.mergedSV.v8.20130502.svs.genotypes.vcf.gz"] == ("sv-map", "genotypes")
    assert by_name["20130606_g1k_3202_samples_ped_population.txt"] == ("people", "pedigree-30x")
    assert by_name["HG00096.cnv.vcf.gz"] == ("dragen-3.5.7b", "cnv")
    assert by_name["3202_samples_cohort_gg_chr22.vcf.gz"] == ("dragen-3.7.6", "cohort-hg19")
    assert by_name["affy_samples.20141118.panel"] == ("phase3", "chip")


def matches_part(source: Source, name: str, path: str) -> bool:
    """Whether a part alone takes a path, by Python's own shell patterns, component by component."""
    part = next(p for p in source.parts if p.name == name)
    for pattern in part.patterns:
        for contig in part.contigs or ("",):
            a, b = pattern.replace("{contig}", contig).split("/"), path.split("/")
            if a[-1] == "**":
                a, b = a[:-1], b[: len(a) - 1]
            if len(a) == len(b) and all(map(fnmatch.fnmatchcase, b, a)):
                return True
    return False


def as_paths(text: str) -> tuple[str, list[str]]:
    """Archive and paths of a line of known_paths.tsv; a line that names a directory or a root is checked here."""
    text = text.replace("<SAMPLE>", "HG00096").replace(",...}", "}")
    for door in sorted(DOORS, key=lambda door: -len(door.root)):
        blob = parse_blob(door.root) if door.kind == "azure" else None
        roots = [door.root]
        if blob is not None:
            host = f"{blob.account}.blob.core.windows.net"
            roots = [f"https://{host}/{blob.container}", f"wasbs://{blob.container}@{host}"]
        for root in roots:
            if text == root:
                return door.archive, []
            if text.startswith(f"{root}/"):
                path = text.removeprefix(f"{root}/")
                if not path.endswith(("gz", "}")):
                    assert any(f"{path}/" in s.prefixes for s in SOURCES if s.archive == door.archive), path
                    return door.archive, []
                return door.archive, expand_braces(
                    path.replace("chr*.vcf.gz", "chr{1..22}.phase3_x.20130502.genotypes.vcf.gz")
                )
    return "1000genomes", expand_braces(text.removeprefix("dataset/"))


def expand_braces(text: str) -> list[str]:
    """As a shell does: {a,b} and {1..22}, also within one pair of braces."""
    found = re.search(r"\{([^}]*)\}", text)
    if found is None:
        return [text]
    items: list[str] = []
    for item in found[1].split(","):
        begin, _, end = item.partition("..")
        items += [str(n) for n in range(int(begin), int(end) + 1)] if end else [item]
    return [t for item in items for t in expand_braces(text[: found.start()] + item + text[found.end() :])]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("PHASE3", "phase3"),
        ("e-geuv-1", "E-GEUV-1"),
        ("gse19480", "GSE19480"),
        ("30x", "high_coverage"),
        ("Geuvadis", "geuvadis"),
    ],
)
def test_a_source_is_found_in_whatever_case(name: str, source: str) -> None:
    assert find_source(name).name == source


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("phse3", "phase3"),
        ("E-GEUV-3", "E-GEUV-1"),
        ("dragen", "dragen-3"),
        ("highcoverage", "high_coverage"),
    ],
)
def test_an_unknown_source_gets_the_nearest_names(name: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_source(name)
    assert f"no source '{name}'" in str(caught.value)
    assert near in str(caught.value)
    assert "kgp sources" in str(caught.value)


def test_a_name_like_no_other_gets_no_bad_advice() -> None:
    with pytest.raises(UsageError) as caught:
        find_source("zzzzzz")
    assert "Did you mean" not in str(caught.value)


# ------------------------------------------------------------------------------------------------------ doors by URL


@pytest.mark.parametrize(
    ("text", "kind", "root"),
    [
        ("mine=az://lake@account/mirror/", "azure", "az://lake@account/mirror"),
        ("mine=abfss://c@a.dfs.core.windows.net/x", "azure", "abfss://c@a.dfs.core.windows.net/x"),
        ("mine=wasbs://c@a.blob.core.windows.net", "azure", "wasbs://c@a.blob.core.windows.net"),
        ("mine=https://a.blob.core.windows.net/c", "azure", "https://a.blob.core.windows.net/c"),
        ("mine=https://host/a=b/", "https", "https://host/a=b"),
        ("mine=http://127.0.0.1:8080", "https", "http://127.0.0.1:8080"),
        ("mine=ftp://host:2121/pub", "ftp", "ftp://host:2121/pub"),
        ("mine=s3://bucket", "s3", "s3://bucket"),
        ("mine=file:///data/mirror/", "file", "file:///data/mirror"),
        ("mine=/data/mirror/", "file", "/data/mirror"),
        ("mine=/", "file", "/"),
        ("mine=mirror", "file", "mirror"),
        ("mine=me@host.org:vol1/ftp/", "aspera", "me@host.org:vol1/ftp"),
        ("mine=globus://ebi#1000genomes/x", "globus", "globus://ebi#1000genomes/x"),
    ],
)
def test_a_door_of_ones_own(text: str, kind: str, root: str) -> None:
    door = open_url_door(text)
    assert (door.name, door.kind, door.root, door.archive) == ("mine", kind, root, "1000genomes")
    assert door.tree == "current.tree"
    assert open_url_door(text, archive="geo").archive == "geo"
    assert open_url_door(text, archive="geo").tree is None


def test_a_known_door_and_one_at_another_address() -> None:
    assert open_url_door("azure") is DOORS[0]
    moved = open_url_door("AWS=http://127.0.0.1:5000/1000genomes")
    aws = next(door for door in DOORS if door.name == "aws")
    assert (moved.name, moved.kind, moved.archive, moved.moved) == ("aws", "https", aws.archive, aws.moved)
    assert dataclasses.replace(moved, kind="s3", root=aws.root, title=aws.title) == aws


@pytest.mark.parametrize(
    ("text", "near"), [("azur", "azure"), ("igsr", "igsr-ftp"), ("aws-dragon", "aws-dragen")]
)
def test_an_unknown_door_gets_the_nearest_names(text: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"no door '{text}'") as caught:
        open_url_door(text)
    assert near in str(caught.value)


@pytest.mark.parametrize("scheme", ["gs", "hdfs", "sftp"])
def test_an_unknown_scheme_gets_the_known_ones(scheme: str) -> None:
    with pytest.raises(UsageError, match=f"scheme '{scheme}'") as caught:
        open_url_door(f"mine={scheme}://bucket/x")
    for known in (
        "az://",
        "abfss://",
        "wasbs://",
        "https://",
        "ftp://",
        "s3://",
        "file://",
        "user@host:path",
    ):
        assert known in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "mine=https://me:CANARY@host/x",
        "mine=https://CANARY@host/x",
        "mine=https://host/x?sv=2024&sig=CANARY",
        "mine=https://a.blob.core.windows.net/c?sig=CANARY",
        "mine=az://c:CANARY@account/x",
        "mine=az://c@account/x?CANARY",
        "mine=s3://key:CANARY@bucket/x",
        "mine=ftp://me:CANARY@host/x",
        "mine=https://host/x#CANARY",
        "mine=me:CANARY@host:path",
        "mine=globus://id/x?CANARY",
        "https://me:CANARY@host/x",
        "https://host/x?sig=CANARY",
        "https://host/x?sig=CANARY&x=y=z",
        "=https://host/CANARY",
        "mine=https://host/CANARY\n",
    ],
)
def test_a_credential_is_refused_and_never_repeated(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_url_door(text)
    assert "CANARY" not in str(caught.value)
    assert "CANARY" not in repr(caught.value)
    if text.startswith("mine=") and not text.endswith("\n"):
        assert "Credentials come from the environment only" in str(caught.value)


@pytest.mark.parametrize("text", ["mine=", "mine= ", "mine=https://", "mine=s3:///x", "mine=://x", ""])
def test_an_address_that_is_none(text: str) -> None:
    with pytest.raises(UsageError):
        open_url_door(text)


# ---------------------------------------------------------------------------------------------- what lies elsewhere


@pytest.mark.parametrize(
    ("door", "path", "place"),
    [
        ("aws", "release/20130502/README", "release/20130502/README"),
        (
            "aws",
            "data_collections/1000G_2504_high_coverage/working/a.vcf.gz",
            "1000G_2504_high_coverage/working/a.vcf.gz",
        ),
        (
            "azure",
            "data_collections/1000G_2504_high_coverage/a",
            "data_collections/1000G_2504_high_coverage/a",
        ),
        (
            "arrayexpress-ftp",
            "E-GEUV-/001/E-GEUV-1/Files/E-GEUV-1.sdrf.txt",
            "GEUV/E-GEUV-1/E-GEUV-1.sdrf.txt",
        ),
        (
            "arrayexpress-https",
            "E-GEUV-/001/E-GEUV-1/Files/E-GEUV-1/analysis_results/GD660.GeneQuantRPKM.txt.gz",
            "GEUV/E-GEUV-1/analysis_results/GD660.GeneQuantRPKM.txt.gz",
        ),
        ("arrayexpress-https", "E-MTAB-/264/E-MTAB-264/Files/", "MTAB/E-MTAB-264/"),
        ("arrayexpress-https", "E-GEOD-/480/E-GEOD-19480/Files/x", "GEOD/E-GEOD-19480/x"),
    ],
)
def test_a_door_that_keeps_directories_elsewhere(door: str, path: str, place: str) -> None:
    there = open_url_door(door)
    assert there.at_door(path) == place
    assert there.in_archive(place) == path


def test_what_a_source_lists_can_be_listed_at_every_door_of_its_archive() -> None:
    for source in SOURCES:
        for door, prefix in itertools.product(doors_of(source.archive), source.prefixes):
            place = door.at_door(prefix)
            assert door.in_archive(place) == prefix
            # A directory that is moved out from below a prefix would be missed by whoever lists the prefix.
            assert all(there.startswith(place) for here, there in door.moved if here.startswith(prefix))


# ------------------------------------------------------------------------------------------------------------ choice


def test_by_default_the_parts_that_are_staged() -> None:
    chosen = choose(PHASE3, reversed(phase3_listing()))
    names = names_of(chosen)
    assert len(names) == 25 * 2 + 2
    assert names[:3] == [
        "ALL.chr1.phase3_shapeit2_mvncall_integrated_v5b.20130502.genotypes.vcf.gz",
        "ALL.chr1.phase3_shapeit2_mvncall_integrated_v5b.20130502.genotypes.vcf.gz.tbi",
        "ALL.chr2.phase3_shapeit2_mvncall_integrated_v5b.20130502.genotypes.vcf.gz",
    ]
    assert names[48:50] == [
        f"ALL.chrMT.phase3_callmom-v0_4.20130502.genotypes.vcf.gz{end}" for end in ("", ".tbi")
    ]
    assert names[50:] == ["integrated_call_samples_v3.20130502.ALL.panel", "README_phase3_callset_20150220"]


@pytest.mark.parametrize("contig", ["22", "chr22", "Chr22", "CHR22"])
def test_a_contig_in_any_spelling(contig: str) -> None:
    genotypes = "ALL.chr22.phase3_shapeit2_mvncall_integrated_v5b.20130502.genotypes.vcf.gz"
    names = names_of(choose(PHASE3, phase3_listing(), contigs=[contig]))
    assert names == [
        genotypes,
        f"{genotypes}.tbi",
        "integrated_call_samples_v3.20130502.ALL.panel",
        "README_phase3_callset_20150220",
    ]
    names = names_of(choose(PHASE3, phase3_listing(), contigs=[contig], parts=["grch38"]))
    assert names == ["ALL.chr22_GRCh38.genotypes.20170504.vcf.gz"]


@pytest.mark.parametrize(
    ("spelling", "own"), [("23", "X"), ("chrX", "X"), ("M", "MT"), ("chrM", "MT"), ("24", "Y")]
)
def test_sex_chromosomes_and_the_mitochondrion(spelling: str, own: str) -> None:
    names = names_of(choose(PHASE3, phase3_listing(), contigs=[spelling], parts=["genotypes"]))
    assert [name.split(".")[1] for name in names] == [f"chr{own}"] * 2


def test_several_contigs_come_in_the_order_of_the_source() -> None:
    names = names_of(choose(PHASE3, phase3_listing(), contigs=["X", "chr10", "2"], parts=["genotypes"]))
    assert [name.split(".")[1] for name in names[::2]] == ["chr2", "chr10", "chrX"]


@pytest.mark.parametrize(
    ("source", "contig", "parts", "message"),
    [
        ("phase3", "chr23x", (), "no file for contig 'chr23x'"),
        ("phase3", "MT", ("annotation",), "no file for contig 'MT'"),
        ("grch38-recall", "Y", (), "no file for contig 'Y'"),
        ("sv-map", "22", (), "not divided by contig"),
        ("people", "22", (), "not divided by contig"),
    ],
)
def test_a_contig_that_the_source_has_no_file_for(
    source: str, contig: str, parts: tuple[str, ...], message: str
) -> None:
    for ask in (
        lambda: choose(find_source(source), [], contigs=[contig], parts=parts),
        lambda: expected(find_source(source), [contig], parts),
        lambda: prefixes_for(find_source(source), [contig], (), parts),
    ):
        with pytest.raises(UsageError, match=message) as caught:
            ask()
        if source == "grch38-recall":
            assert "1, 2, 3" in str(caught.value)
            assert "22, X." in str(caught.value)


def test_an_unknown_part_gets_the_nearest_names() -> None:
    with pytest.raises(UsageError, match="no part 'genotype'") as caught:
        choose(PHASE3, [], parts=["genotype"])
    assert "Did you mean genotypes" in str(caught.value)


def test_patterns_of_names_and_of_paths() -> None:
    listing = phase3_listing()
    assert names_of(choose(PHASE3, listing, patterns=["*.panel"])) == [
        "integrated_call_samples_v3.20130502.ALL.panel"
    ]
    assert len(choose(PHASE3, listing, patterns=["*.tbi"])) == 25
    # An index comes with what it indexes, and what belongs to no part can be asked for.
    assert len(choose(PHASE3, listing, patterns=["*chr21*.vcf.gz"])) == 2
    assert names_of(choose(PHASE3, listing, patterns=["release/*/supporting/**"])) == [
        "ALL.chr22.phase3_shapeit2_mvncall_integrated_v5.20130502.sites.annotation.vcf.gz",
        "ALL.chr22_GRCh38.genotypes.20170504.vcf.gz",
        "readme.txt",
    ]
    assert names_of(choose(PHASE3, listing, patterns=["release/*/supporting/*"])) == []
    narrowed = choose(PHASE3, listing, patterns=["*.vcf.gz"], contigs=["22"])
    assert len(narrowed) == 4
    assert all("chr22" in entry.path for entry in narrowed)
    assert choose(PHASE3, listing, patterns=["readme.txt"], parts=["readme"]) == []


def test_an_index_without_its_file_is_not_taken() -> None:
    index = [e for e in phase3_listing() if "chr22" in e.path and e.path.endswith(".tbi")]
    assert len(index) == 1
    assert choose(PHASE3, index) == []


def test_a_listing_that_repeats_itself() -> None:
    listing = phase3_listing()
    assert choose(PHASE3, listing * 2) == choose(PHASE3, listing)
    with pytest.raises(InputError, match="twice"):
        choose(PHASE3, [*listing, dataclasses.replace(listing[0], size=1)])


def test_what_is_meant_must_be_safe() -> None:
    bad = "release/20130502/README\u202egpj"
    assert choose(PHASE3, [Entry("elsewhere/../x", 1)]) == []
    with pytest.raises(InputError) as caught:
        choose(PHASE3, [Entry(bad, 1)])
    assert "README\\u202egpj" in str(caught.value)


def test_a_dragen_bucket_is_not_taken_twice() -> None:
    source = find_source("dragen-4.4.7")
    below = source.prefixes[0]
    run = "HG00096_dragen-germline-v4-4-7-0b2c"
    entries = [
        Entry(f"{below}HG00096/HG00096.{end}", 1)
        for end in ("cnv.vcf.gz", "cnv.vcf.gz.tbi", "sv.vcf.gz", "bam")
    ]
    again = [Entry(f"{below}{run}/HG00096.cnv.vcf.gz", 1), Entry(f"{below}HG00096/{run}.cnv.vcf.gz", 1)]
    assert choose(source, [*entries, *again]) == entries[:3]
    assert choose(source, [*entries, *again], parts=["alignments"]) == entries[3:]


def test_what_a_whole_listing_has() -> None:
    listing = phase3_listing()
    known = expected(PHASE3)
    assert len(known) == 25 + 1 + 1
    assert missing(known, listing) == []
    lost = [entry for entry in listing if "chr17." not in entry.path]
    assert missing(known, lost) == ["release/20130502/ALL.chr17.phase3_*.20130502.genotypes.vcf.gz"]
    assert missing(expected(PHASE3, ["22"]), lost) == []
    assert missing(expected(PHASE3, ["chr17"], ["genotypes"]), lost) == known[16:17]
    # Nobody has vouched for X and Y of the annotation: they are missed only by whoever asks for them.
    annotation = expected(PHASE3, (), ["annotation"])
    assert len(annotation) == 22
    assert len(missing(annotation, listing)) == 21
    assert len(expected(PHASE3, ["X"], ["annotation"])) == 1
    assert missing(known, []) == known


def test_the_directories_that_are_listed() -> None:
    release = "release/20130502/"
    assert prefixes_for(PHASE3) == (release,)
    assert prefixes_for(PHASE3, parts=["chip"]) == (f"{release}supporting/hd_genotype_chip/",)
    assert prefixes_for(PHASE3, parts=["chip", "genotypes"]) == (release,)
    assert prefixes_for(PHASE3, parts=["alignments"]) == ("phase3/data/",)
    assert prefixes_for(PHASE3, patterns=["*.bed", "*.panel"]) == (release,)
    assert prefixes_for(PHASE3, patterns=["ALL.chr22.*genotypes.vcf.gz"]) == (release,)
    assert prefixes_for(PHASE3, patterns=["*_GRCh38.genotypes.*.tbi"], contigs=["22"], parts=["grch38"]) == (
        f"{release}supporting/GRCh38_positions/",
    )
    assert prefixes_for(PHASE3, patterns=["release/20130502/supporting/psmc/*"]) == (
        f"{release}supporting/psmc/",
    )
    assert prefixes_for(PHASE3, patterns=["release/*/README*"]) == (release,)
    assert prefixes_for(find_source("curated"), ["chr22"]) == ("nested/chr22/", "original/chr22/")
    assert prefixes_for(find_source("grch38-recall"), parts=["snv"]) == (
        "data_collections/1000_genomes_project/release/20181203_biallelic_SNV/",
    )
    with pytest.raises(UsageError, match="technical/") as caught:
        prefixes_for(PHASE3, patterns=["technical/**"])
    assert release in str(caught.value)
    with pytest.raises(UsageError, match="fits no file"):
        prefixes_for(PHASE3, parts=["panel"], patterns=["*.bam"])


def test_directories_that_a_listing_need_not_enter() -> None:
    release = "release/20130502/"
    enters = may_hold(PHASE3)
    assert enters(release)
    assert not enters(f"{release}supporting/")
    assert not enters("phase3/")
    enters = may_hold(PHASE3, parts=["grch38"])
    assert enters("release/")
    assert enters(f"{release}supporting/")
    assert enters(f"{release}supporting/GRCh38_positions/")
    assert not enters(f"{release}supporting/hd_genotype_chip/")
    enters = may_hold(PHASE3, parts=["alignments"])
    assert enters("phase3/data/HG00096/alignment/")
    assert not enters("phase3/data/HG00096/sequence_read/")
    assert not enters("phase3/integrated_sv_map/")
    assert may_hold(PHASE3, parts=["masks"])(
        f"{release}supporting/accessible_genome_masks/StrictMask/deeper/"
    )


@settings(deadline=None)
@given(data=st.data())
def test_whatever_is_chosen_lies_in_directories_that_are_listed_and_entered(data: st.DataObject) -> None:
    source = data.draw(st.sampled_from(SOURCES))
    part = data.draw(st.sampled_from(source.parts))
    contig = data.draw(st.sampled_from(part.contigs or ("",)))
    pattern = data.draw(st.sampled_from(part.patterns)).replace("{contig}", contig)
    path = a_match(pattern)
    contigs = (contig,) if contig and data.draw(st.booleans()) else ()
    patterns = (data.draw(st.sampled_from(["*", "**/*", path])),) if data.draw(st.booleans()) else ()
    entry = Entry(path, 1)
    narrow: dict[str, tuple[str, ...]] = {"contigs": contigs, "patterns": patterns, "parts": (part.name,)}
    assert choose(source, [entry], **narrow) == [entry]
    assert any(path.startswith(prefix) for prefix in prefixes_for(source, **narrow))
    directories = [path[: place + 1] for place, char in enumerate(path) if char == "/"]
    assert all(map(may_hold(source, **narrow), directories))


def a_match(pattern: str) -> str:
    """A path that the pattern matches."""
    text = pattern.replace("[HN]", "N").replace("[AG]", "A").replace("[0-9]", "7").replace("**", "deep/x")
    return text.replace("*", "v1")


def test_a_hundred_thousand_names_take_no_time() -> None:
    listing = [
        Entry(
            f"phase3/data/HG{n:05}/alignment/HG{n:05}.chrom{m}.ILLUMINA.bwa.GBR.low_coverage.20120522.bam", n
        )
        for n in range(4_000)
        for m in range(25)
    ]
    start = time.perf_counter()
    assert choose(PHASE3, [*listing, *phase3_listing()]) == choose(PHASE3, phase3_listing())
    assert len(choose(PHASE3, listing, patterns=["*.chrom7.*"])) == 4_000
    assert missing(expected(PHASE3), listing) == expected(PHASE3)
    assert time.perf_counter() - start < 10  # about 1 s alone


# ---------------------------------------------------------------------------------------------------- shell patterns

_LETTERS = st.text("ab*?[]!-c", max_size=6)


@settings(deadline=None)
@given(pattern=_LETTERS, name=st.text("abc!-", max_size=5))
def test_patterns_of_names_are_those_of_the_shell(pattern: str, name: str) -> None:
    if "**" in pattern or re.search(r"\[[^\]]*-", pattern) or "[]" in pattern or "[!]" in pattern:
        return  # where ranges and brackets within brackets begin, shells differ
    assert (shell.compile_pattern(pattern).fullmatch(name) is not None) == fnmatch.fnmatchcase(name, pattern)


@settings(deadline=None)
@given(one=st.text("ab*?/", max_size=5), other=st.text("ab*?/", max_size=5))
def test_two_patterns_meet_where_a_path_matches_both(one: str, other: str) -> None:
    paths = map("".join, itertools.chain.from_iterable(itertools.product("ab/c", repeat=n) for n in range(6)))
    a, b = shell.compile_pattern(one), shell.compile_pattern(other)
    if any(a.fullmatch(path) and b.fullmatch(path) for path in paths):
        assert shell.may_meet(one, other)


@pytest.mark.parametrize(
    ("one", "other", "do_meet"),
    [
        ("a*", "b*", False),
        ("a/*", "a/b/c", False),
        ("a/**", "a/b/c", True),
        ("*.tbi", "*.vcf.gz", False),
        ("chr[12].gz", "chr3.gz", False),
        ("chr[12].gz", "chr?.gz", True),
        ("x{contig}.gz", "x22.gz", True),
    ],
)
def test_patterns_that_meet_and_that_do_not(one: str, other: str, do_meet: bool) -> None:
    assert shell.may_meet(one, other) == shell.may_meet(other, one) == do_meet


def test_a_contig_that_a_pattern_names_twice_is_one() -> None:
    pattern = shell.compile_pattern("chr{contig}/a.chr{contig}.gz", ("1", "2", "X"))
    assert pattern.fullmatch("chr2/a.chr2.gz")["contig"] == "2"
    assert pattern.fullmatch("chr2/a.chrX.gz") is None


# ------------------------------------------------------------------------------------------------------------- paths


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("", "empty"),
        ("/etc/passwd", "absolute"),
        ("release/../../x", "component '..'"),
        ("..", "component '..'"),
        ("./x", "component '.'"),
        ("release//x", "component ''"),
        ("release/x/", "component ''"),
        ("release\\x", "backslash"),
        ("C:/x", "letter of a drive"),
        ("c:x", "letter of a drive"),
        ("release/a\x00b", "control character"),
        ("release/a\nb", "control character"),
        ("release/a\x7fb", "control character"),
        ("release/a\x85b", "control character"),
        ("release/a\u2028b", "control character"),
        ("release/a\u2029b", "control character"),
        ("release/a\udc80b", "control character"),
        ("release/a\u202eb", "control character"),
        ("release/ x", "blank"),
        ("release/x ", "blank"),
        ("release\u00a0/x", "blank"),
        ("release/" + "x" * 256, "255 bytes"),
        ("release/" + "\u00e9" * 128, "255 bytes"),
    ],
)
def test_paths_that_are_refused(path: str, what: str) -> None:
    with pytest.raises(InputError) as caught:
        check_path(path)
    assert what in str(caught.value)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202e]", str(caught.value))
    str(caught.value).encode()


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "a/b.vcf.gz",
        "a b/c d",
        "a/...",
        "a/.hidden",
        "x" * 255,
        "\u00e9" * 127,
        "a/HLA-A*01:01",
        "a/~b",
        "ab:c/d",
    ],
)
def test_paths_that_are_taken(path: str) -> None:
    check_path(path)


@settings(deadline=None)
@given(path=st.text(st.characters(codec=None), max_size=30) | st.text("ab./\\ :C\n", max_size=12))
def test_a_path_that_is_taken_stays_below_whatever_it_is_joined_to(path: str) -> None:
    try:
        check_path(path)
    except InputError:
        assert show_path(path).isprintable()
        return
    root = Path("/mirror/of/files")
    joined = Path(f"{root}/{path}")
    assert root in joined.parents
    assert str(joined) == f"{root}/{path}"  # nothing in it that a file system takes for something else
    assert path.encode().decode() == path
    assert len(path.splitlines()) == 1
    assert show_path(path) == path or not path.isprintable()


# ------------------------------------------------------------------------------------------------------ current.tree


def test_the_real_tree(shared_data: Path) -> None:
    path = shared_data / "ftp-tree/ctree/current.prod.tree"
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    with path.open(encoding="utf-8") as file:
        entries = list(parse_tree(file, "current.tree"))
    assert len(entries) == len(rows) == 10
    for entry, row in zip(entries, rows, strict=True):
        assert f"ftp/{entry.path}" == row[0]
        assert (str(entry.size), entry.md5, entry.etag) == (row[2], row[4], None)
        local = datetime.strptime(row[3], "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZoneInfo("Europe/London"))
        assert entry.modified == local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with path.open(encoding="utf-8") as file:
        pilot = list(parse_tree(file, prefix="pilot_data/"))
    assert pilot == [entry for entry in entries if entry.path.startswith("pilot_data/")]
    assert len(pilot) == 3
    with path.open(encoding="utf-8") as file:
        assert len(list(parse_tree(file, prefix=("pilot_data/", "release/2009_02/")))) == 5


def test_the_archives_own_readmes_have_the_sums_that_its_tree_states(shared_data: Path) -> None:
    with (shared_data / "ftp-tree/ctree/current.prod.tree").open(encoding="utf-8") as file:
        by_path = {entry.path: entry for entry in parse_tree(file)}
    entry = by_path["historical_data/former_toplevel/README.ftp_structure"]
    data = (
        shared_data / "ftp-tree/readmes/historical_data__former_toplevel__README.ftp_structure"
    ).read_bytes()
    assert (len(data), hashlib.md5(data).hexdigest()) == (entry.size, entry.md5)


TREE = [
    "ftp\tdirectory\t4096\t2020-01-01 00:00:00\t\t\n",
    "ftp/release\tdirectory\t4096\t2020-01-01 00:00:00\t\t\n",
    f"ftp/release/a b.vcf.gz\tfile\t10\t2020-01-01 00:00:00\t{MD5.upper()}\t\r\n",
    f"ftp/release/c\tfile\t0\t2020-07-01 00:30:00\t{OTHER_MD5}\n",
    "\n",
    "ftp/current.tree\tfile\t7\t2020-01-01 00:00:00\t\t",
]


def test_directories_sums_and_ends_of_lines_of_a_tree() -> None:
    assert list(parse_tree(TREE)) == [
        Entry("release/a b.vcf.gz", 10, MD5, None, "2020-01-01T00:00:00Z"),
        Entry("release/c", 0, OTHER_MD5, None, "2020-06-30T23:30:00Z"),
        Entry("current.tree", 7, None, None, "2020-01-01T00:00:00Z"),
    ]


def test_only_the_trees_own_ftp_is_taken_off() -> None:
    lines = [line.replace("ftp/release", "ftp/ftp/x") for line in TREE[2:4]]
    assert [entry.path for entry in parse_tree(lines)] == ["ftp/x/a b.vcf.gz", "ftp/x/c"]


def test_lines_of_a_tree_that_repeat_and_that_contradict() -> None:
    assert list(parse_tree([*TREE, TREE[3]])) == list(parse_tree(TREE))
    with pytest.raises(FormatError, match=r"Line 7 contradicts line 4 on release/c"):
        list(parse_tree([*TREE, TREE[3].replace("\t0\t", "\t1\t")]))


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (f"ftp/a\tfile\t\u0661\t2020-01-01 00:00:00\t{MD5}\t", "no size"),
        ("name\ttype\tsize\tupdated", "4 values"),
        (f"ftp/a\tfile\t10\t2020-01-01 00:00:00\t{MD5}\tmore", "6 values"),
        (f"ftp/a\tlink\t10\t2020-01-01 00:00:00\t{MD5}\t", "type 'link'"),
        (f"ftp/a\tfile\t-1\t2020-01-01 00:00:00\t{MD5}\t", "no size"),
        (f"ftp/a\tfile\t\t2020-01-01 00:00:00\t{MD5}\t", "no size"),
        (f"ftp/a\tfile\t1\t2020-01-01 00:00\t{MD5}\t", "no time"),
        ("ftp/a\tfile\t1\t2020-01", "4 values"),
        ("ftp/a\tfile\t10\t2020-01-01 00:00:00\tabc\t", "MD5"),
        (f"ftp/a\tfile\t10\t2020-01-01 24:00:00\t{MD5}\t", "no time"),
        (f"ftp/a\tfile\t10\t2020-02-30 00:00:00\t{MD5}\t", "no day 2020-02-30"),
        (
            f"ftp/a\x1b[31m\tfile\t10\t2020-01-01 00:00:00\t{MD5}\t",
            r"a\\x1b\[31m: a path .* control character",
        ),
        (f"ftp/a\u2028b\tfile\t10\t2020-01-01 00:00:00\t{MD5}\t", r"a\\u2028b: "),
        (f"ftp/../a\tfile\t10\t2020-01-01 00:00:00\t{MD5}\t", r"component '\.\.'"),
        (f"/nfs/ftp/a\tfile\t10\t2020-01-01 00:00:00\t{MD5}\t", "absolute"),
        (f"\tfile\t10\t2020-01-01 00:00:00\t{MD5}\t", "empty"),
    ],
)
def test_a_line_of_a_tree_that_is_refused(line: str, what: str) -> None:
    with pytest.raises(FormatError, match=f"current.tree: Line 2 .*{what}") as caught:
        list(parse_tree([TREE[2], line]))
    assert str(caught.value).isprintable()


_NAMES = st.text("abcXYZ019._+- \u00e9", min_size=1, max_size=12).filter(
    lambda name: name == name.strip() and name.strip(".")
)
_PATHS = st.lists(_NAMES, min_size=1, max_size=4).map("/".join)
_SUMS = st.text("0123456789abcdef", min_size=32, max_size=32)
_ENTRIES = st.lists(
    st.builds(Entry, path=_PATHS, size=st.integers(0, 2**50), md5=_SUMS),
    unique_by=lambda entry: entry.path,
    max_size=8,
)


@settings(deadline=None)
@given(
    entries=_ENTRIES,
    times=st.lists(st.datetimes(datetime(1999, 1, 1), datetime(2040, 1, 1)), min_size=8, max_size=8),
)
def test_a_tree_that_is_written_is_read_back(entries: list[Entry], times: list[datetime]) -> None:
    moments = [moment.replace(microsecond=0, tzinfo=UTC) for moment in times]
    london = [moment.astimezone(ZoneInfo("Europe/London")) for moment in moments]
    written = [
        dataclasses.replace(e, modified=f"{m:%Y-%m-%dT%H:%M:%SZ}")
        for e, m in zip(entries, moments, strict=False)
    ]
    lines = [
        f"ftp/{e.path}\tfile\t{e.size}\t{m:%Y-%m-%d %H:%M:%S}\t{e.md5}\t\n"
        for e, m in zip(written, london, strict=False)
    ]
    read = list(parse_tree(lines))
    assert [dataclasses.replace(e, modified=None) for e in read] == entries
    # The hour that the clock shows twice can't be told apart.
    assert all(a.modified == b.modified or m.fold for a, b, m in zip(read, written, london, strict=False))


@settings(deadline=None)
@given(moment=st.datetimes(datetime(1996, 1, 1), datetime(2090, 1, 1)))
def test_londons_time_is_pythons(moment: datetime) -> None:
    zone = moment.replace(microsecond=0, fold=0, tzinfo=ZoneInfo("Europe/London"))
    assert (
        utc_from_london(f"{moment:%Y-%m-%d}", f"{moment:%H:%M:%S}")
        == f"{zone.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    )


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2021-03-28 00:59:59", "2021-03-28T00:59:59Z"),
        ("2021-03-28 01:30:00", "2021-03-28T01:30:00Z"),
        ("2021-03-28 02:00:00", "2021-03-28T01:00:00Z"),
        ("2021-10-31 00:30:00", "2021-10-30T23:30:00Z"),
        ("2021-10-31 01:30:00", "2021-10-31T00:30:00Z"),
        ("2021-10-31 02:00:00", "2021-10-31T02:00:00Z"),
    ],
)
def test_the_days_on_which_the_clock_changes(local: str, utc: str) -> None:
    assert utc_from_london(*local.split(" ")) == utc


def test_a_tree_of_a_hundred_thousand_lines() -> None:
    def lines() -> Iterator[str]:
        for n in range(100_000):
            yield f"ftp/data/HG{n:06}/a.cram\tfile\t{n}\t20{n % 20 + 10}-05-{n % 28 + 1:02} 12:00:00\t{n:032x}\t\n"

    text = list(lines())
    start = time.perf_counter()
    entries = list(parse_tree(text))
    seconds = time.perf_counter() - start
    assert len(entries) == 100_000
    assert entries[77_777] == Entry(
        "data/HG077777/a.cram",
        77_777,
        f"{77_777:032x}",
        None,
        f"20{77_777 % 20 + 10}-05-{77_777 % 28 + 1:02}T11:00:00Z",
    )
    assert seconds < 5  # 0.4 s on a machine that does nothing else


# ------------------------------------------------------------------------------------------------------- index files


@pytest.mark.parametrize("coverage", ["high", "low"])
def test_the_real_alignment_indexes(coverage: str, shared_data: Path) -> None:
    path = shared_data / f"ftp-tree/1000genomes.{coverage}_coverage.GRCh38DH.alignment.index"
    with path.open(encoding="utf-8") as file:
        entries = list(parse_index(file, path.name))
    # Told by grep: addresses with the sum that follows them, each file once.
    told = subprocess.run(
        ["grep", "-oE", r"ftp:/ftp[^[:space:]]+[[:space:]][0-9a-f]{32}", str(path)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    pairs = {tuple(line.split("\t")) for line in told}
    assert len(entries) == len(pairs)
    assert {(f"ftp:/ftp.1000genomes.ebi.ac.uk/vol1/ftp/{e.path}", e.md5) for e in entries} == pairs
    assert len(entries) == {"high": 24 * 3, "low": 2691 * 3}[coverage]
    assert all(e.path.startswith("data_collections/1000_genomes_project/data/") for e in entries)
    assert {Path(e.path).suffix for e in entries} == {".cram", ".crai", ".bas"}


def test_the_real_sequence_index(shared_data: Path) -> None:
    path = shared_data / "metadata/geuvadis.sequence.index"
    text = path.read_text(encoding="utf-8").splitlines()
    assert list(parse_index(text, path.name)) == []  # all of it lies in the ENA
    entries = list(parse_index(text, path.name, roots=["ftp.sra.ebi.ac.uk/"]))
    told = {tuple(line.split("\t")[:2]) for line in text if line.startswith("ftp:")}
    assert {(f"ftp://ftp.sra.ebi.ac.uk/{entry.path}", entry.md5) for entry in entries} == told
    assert len(entries) == len(told) > 1000


INDEX = ["##Date=2015\n", "##CRAM_MD%=x\n", "#CRAM_FILE\tCRAM_MD5\tSAMPLE\tBAS FILE\tBAS MD5\n"]
G1K_URL = "ftp.1000genomes.ebi.ac.uk/vol1/ftp"


def test_shapes_of_index_files() -> None:
    rows = [
        f"ftp:/{G1K_URL}/a.cram\t{MD5}\tHG1\tftp://{G1K_URL}/a.bas\t{OTHER_MD5}\n",
        f"https://{G1K_URL}/b.cram\t{MD5.upper()}\tHG2\t\t\n",
        f"ftp://ftp-trace.ncbi.nih.gov/1000genomes/ftp/c.cram\t-\tHG3\tdata/c.bas\t{MD5}\n",
        f"ftp://ftp.sra.ebi.ac.uk/vol1/d.cram\t{MD5}\tHG4\t-\t-\n",
    ]
    assert list(parse_index([*INDEX, *rows], "x.index")) == [
        Entry("a.cram", None, MD5),
        Entry("a.bas", None, OTHER_MD5),
        Entry("b.cram", None, MD5),
        Entry("c.cram", None),
        Entry("data/c.bas", None, MD5),
    ]
    fastq = [
        "FASTQ_FILE\tMD5\tRUN_ID\n",
        f"data/a.fastq.gz\t{MD5}\tSRR1\n",
        f"data/a.fastq.gz\t{MD5}\tSRR2\n",
    ]
    assert list(parse_index(fastq, "sequence.index")) == [Entry("data/a.fastq.gz", None, MD5)]


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ([], "no header"),
        (["##Date=2015"], "no header"),
        (["#SAMPLE\tPOPULATION"], "Line 1 names no column of files"),
        (["#A\tA_MD5\tA_MD5"], "Line 1 names a column twice"),
        ([*INDEX, "a\tb"], "Line 4 has 2 values, the header 5"),
        ([*INDEX, f"a\tabc\tHG1\tb\t{MD5}"], "Line 4 has no MD5 in column CRAM_MD5"),
        ([*INDEX, f"ftp:/{G1K_URL}/../a\t{MD5}\tHG1\t\t"], r"Line 4 .*component '\.\.'"),
        ([*INDEX, f"/a\t{MD5}\tHG1\t\t"], "Line 4 .*absolute"),
        ([*INDEX, f"a\x1b\t{MD5}\tHG1\t\t"], r"Line 4 names a\\x1b"),
        ([*INDEX, f"a\t{MD5}\tHG1\t\t", f"a\t{OTHER_MD5}\tHG1\t\t"], "Line 5 contradicts line 4 on a"),
    ],
)
def test_an_index_that_is_refused(lines: list[str], what: str) -> None:
    with pytest.raises(FormatError, match=f"x.index: .*{what}"):
        list(parse_index(lines, "x.index"))


# ---------------------------------------------------------------------------------------------- sums and manifests


def test_what_md5sum_writes_is_read(tmp_path: Path) -> None:
    for name in ("a.vcf.gz", "with blank.txt", "star*.gz"):
        (tmp_path / name).write_bytes(name.encode())
    names = sorted(path.name for path in tmp_path.iterdir())
    expected_sums = {f"release/{name}": hashlib.md5(name.encode()).hexdigest() for name in names}
    for options in ([], ["--binary"], ["--tag"]):
        text = subprocess.run(
            ["md5sum", *options, "--", *names], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
        entries = list(parse_md5sums(text.splitlines(keepends=True), "MD5SUMS", directory="release/"))
        assert {entry.path: entry.md5 for entry in entries} == expected_sums
        assert all(entry.size is None for entry in entries)


def test_a_list_of_sums_has_comments_and_names_below_here() -> None:
    lines = ["# by hand\n", "\n", f"{MD5.upper()}  ./sub/a.gz\r\n", f"{MD5}  sub/a.gz\n"]
    assert list(parse_md5sums(lines, "MD5SUMS")) == [Entry("sub/a.gz", None, MD5)]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("abc  a.gz", "is not an MD5 and a name"),
        (f"{MD5} a.gz", "is not an MD5 and a name"),
        (f"{MD5}  ", "is not an MD5 and a name"),
        (f"\\{MD5}  a\\nb", "is not an MD5 and a name"),
        (f"{MD5}  ../a.gz", r"component '\.\.'"),
        (f"{MD5}  /a.gz", "component ''"),
        (f"{MD5}  a\x07", r"a\\x07"),
        (f"SHA256 (a.gz) = {MD5}", "is not an MD5 and a name"),
    ],
)
def test_a_line_of_sums_that_is_refused(line: str, what: str) -> None:
    with pytest.raises(FormatError, match=f"MD5SUMS: Line 2 .*{what}"):
        list(parse_md5sums([f"{MD5}  a", line], "MD5SUMS", directory="release/"))


@settings(deadline=None)
@given(entries=_ENTRIES, tag=st.booleans())
def test_sums_that_are_written_are_read_back(entries: list[Entry], tag: bool) -> None:
    lines = [f"MD5 ({e.path}) = {e.md5}\n" if tag else f"{e.md5}  {e.path}\n" for e in entries]
    assert list(parse_md5sums(lines, "x")) == [dataclasses.replace(e, size=None) for e in entries]


PANEL = "CCDG_14151_B01_GRM_WGS_2020-08-05_chr22.filtered.shapeit2-duohmm-phased.vcf.gz"


def test_manifests_as_the_30x_set_has_them() -> None:
    where = "working/20201028_3202_phased/"
    sized = [f"{PANEL}\t519930289\t{MD5}\n", f"{PANEL}.tbi\t36526\t{OTHER_MD5}\n"]
    assert list(parse_manifest(sized, "phased-manifest_July2021.tsv", directory=where)) == [
        Entry(where + PANEL, 519_930_289, MD5),
        Entry(f"{where}{PANEL}.tbi", 36_526, OTHER_MD5),
    ]
    assert list(parse_manifest([f"{PANEL} {MD5}\n"], "20220804_manifest.txt")) == [Entry(PANEL, None, MD5)]


@pytest.mark.parametrize(
    ("header", "cells", "entry"),
    [
        ("File\tByte\tChecksum", ("a.gz", "10", MD5), Entry("a.gz", 10, MD5)),
        ("#md5\tpath\tsize", (MD5, "./d/a.gz", "10"), Entry("d/a.gz", 10, MD5)),
        ("filename\tmd5sum\tpopulation", ("a b.gz", MD5, "CEU"), Entry("a b.gz", None, MD5)),
        ("Name\tSize\tmd5 checksum", ("a.gz", "10", ""), Entry("a.gz", 10)),
    ],
)
def test_manifests_with_a_header(header: str, cells: tuple[str, ...], entry: Entry) -> None:
    assert list(parse_manifest([header, "\t".join(cells)], "manifest.tsv")) == [entry]


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (["a.gz\t10"], "Line 1 is not a name"),
        (["a.gz\tb.gz\t" + MD5], "Line 1 is not a name"),
        ([f"a.gz\t1\t2\t{MD5}"], "Line 1 is not a name"),
        (["name\tsize\tmd5", f"a.gz\tten\t{MD5}"], "Line 2 is not a name"),
        (["name\tsize\tmd5", "a.gz\t10\tabc"], "Line 2 is not a name"),
        (["name\tsize\tmd5", "a.gz\t10"], "Line 2 has 2 values, the header 3"),
        ([f"../a.gz\t10\t{MD5}"], r"Line 1 .*component '\.\.'"),
        ([f"a.gz\t10\t{MD5}", f"a.gz\t11\t{MD5}"], "Line 2 contradicts line 1 on a.gz"),
    ],
)
def test_a_manifest_that_is_refused(lines: list[str], what: str) -> None:
    with pytest.raises(FormatError, match=f"manifest.tsv: {what}"):
        list(parse_manifest(lines, "manifest.tsv"))


@settings(deadline=None)
@given(entries=_ENTRIES, order=st.permutations(["path", "size", "md5"]))
def test_manifests_that_are_written_are_read_back(entries: list[Entry], order: list[str]) -> None:
    lines = ["\t".join(order), *("\t".join(str(getattr(e, column)) for column in order) for e in entries)]
    assert list(parse_manifest(lines, "x")) == entries


# ------------------------------------------------------------------------------------------------------------- pages


def test_the_overview_names_everything() -> None:
    text = overview()
    lines = text.splitlines()
    for source in SOURCES:
        assert any(line.startswith(source.name) and line.endswith(source.archive) for line in lines)
    for door in DOORS:
        assert any(line.startswith(door.name) and door.root in line and door.title in line for line in lines)
    assert "…" not in text
    plain = json.loads(json.dumps(overview_as_dict()))
    assert [s["name"] for s in plain["sources"]] == [s.name for s in SOURCES]
    assert [d["root"] for d in plain["doors"]] == [d.root for d in DOORS]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_page_tells_all_of_its_source(source: Source) -> None:
    text = describe(source.name.upper())
    assert "…" not in text
    for piece in (source.title, source.sample_set, source.citation, source.terms, *source.prefixes):
        assert piece in text
    assert all(pattern in text for part in source.parts for pattern in part.patterns)
    doors = [line.split()[0] for line in text.rsplit("are tried.", 1)[1].splitlines()[4:] if line]
    assert doors == [door.name for door in doors_of(source.archive)]
    staged = {line.split()[0] for line in text.splitlines() if re.match(r"\S+ +yes ", line)}
    assert staged == {part.name for part in source.parts if part.is_staged}
    plain = json.loads(json.dumps(describe_as_dict(source.name)))
    assert {part["name"]: part["build"] for part in plain["parts"]} == {
        p.name: source.build_of(p) for p in source.parts
    }


def test_a_page_says_how_contigs_run_and_which_build_is_another() -> None:
    line = next(line for line in describe("phase3").splitlines() if line.startswith("grch38 "))
    assert "1-22, X, Y" in line
    assert "GRCh38" in line
    with pytest.raises(UsageError, match="phase3"):
        describe("phas3")


def test_a_door_is_plain_data() -> None:
    door = Door("x", "https", "https://host", "1000genomes", "X")
    assert door == dataclasses.replace(door)
    assert door.at_door("a/b") == door.in_archive("a/b") == "a/b"
