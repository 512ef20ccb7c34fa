"""Sets that are built again: the same bytes, from the tables as they were; dry runs; one's own matrices; mix-ups.

No JVM is needed: where one is started the test fails.
"""

from __future__ import annotations

import datetime
import gzip
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from cis_data import Cis, read_cis
from kgp import tables as t
from kgp.config import load_config
from kgp.errors import FormatError, InputError, LakeError, OverlapError, UsageError
from kgp.io import delta
from kgp.io.delta import Lake
from kgp.io.predicates import in_list
from kgp.job import Progress, Report, run_job
from kgp.jobs.build_eqtl_matrices import BUILD_EQTL_MATRICES
from kgp.jobs.compute_kinship import COMPUTE_KINSHIP
from kgp.jobs.load_covariates import LOAD_COVARIATES
from kgp.jobs.map_eqtl import MAP_EQTL
from kgp.jobs.vacuum_lake import VACUUM_LAKE
from kgp.params import EqtlBuild, EqtlMap, LoadCovariates, SamplesKinship, Vacuum
from matrix_world import (
    CALLSET,
    COUNTS,
    DATASET,
    VALUES,
    World,
    columns_of,
    load_row,
    no_spark,
    people_of,
    put,
    variant_rows,
)

WINDOW = 20_000
MATRICES = ("eqtl_matrices", "eqtl_phenotypes", "eqtl_genotypes", "eqtl_covariates", "eqtl_matches")
SOURCES = (
    "loads",
    "samples",
    "callset_samples",
    "variants",
    "runs",
    "quantifications",
    "phenotypes",
    "expression",
)


@pytest.fixture
def lake(world_copy: Path) -> Lake:
    return Lake(no_spark, str(world_copy))


@pytest.fixture
def run(lake: Lake) -> Callable[..., Report]:
    """``run(job, kind, option=…)``: run a job on the lake; gives its report."""

    def start(job: Any, kind: Any, **options: Any) -> Report:
        config = load_config(lake=lake.uri, environ={})
        return run_job(job, config.params(kind, options), config, progress=Progress(quiet=True))

    return start


@pytest.fixture
def build(run: Callable[..., Report]) -> Callable[..., Report]:
    """``build(profile="gtex", …)``: build a set of the made-up dataset."""

    def start(**options: Any) -> Report:
        given = {"name": "a", "callset": CALLSET, "cis_window": WINDOW, **options}
        if "phenotypes" not in given:
            given = {"dataset": DATASET, "quantification": [VALUES], **given}
        return run(BUILD_EQTL_MATRICES, EqtlBuild, **given)

    return start


def read(lake: Lake, name: str) -> list[dict[str, Any]]:
    """By delta-rs, without kgp."""
    rows = DeltaTable(f"{lake.uri}/{name}").to_pyarrow_table().to_pylist(maps_as_pydicts="strict")
    return list(rows)


def content(lake: Lake, name: str = "a", *, with_ledger: bool = True) -> dict[str, Any]:
    """A set as its tables have it, in its order, without what tells of the run that built it."""
    (row,) = (row for row in read(lake, "eqtl_matrices") if row["name"] == name)
    told = {k: v for k, v in row.items() if k not in ("seconds", "built_at", "table_versions")}
    found: dict[str, Any] = {"eqtl_matrices": told} if with_ledger else {}
    for table in MATRICES[1:]:
        rows = [r for r in read(lake, table) if r["matrix_id"] == row["matrix_id"]]
        found[table] = [json.dumps(r) for r in rows]
    return found


def row_groups(lake: Lake, name: str) -> list[tuple[str, bytes]]:
    """The bytes of a table's columns as Arrow reads them, file by file: partition and row groups, in order."""
    root = Path(lake.uri) / name
    files = []
    for path in DeltaTable(str(root)).file_uris():
        table = pq.read_table(path, partitioning=None)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table.combine_chunks())
        files.append((str(Path(path).parent.relative_to(root)), sink.getvalue().to_pybytes()))
    return sorted(files)


def versions(lake: Lake) -> dict[str, int | None]:
    return {table.name: lake.version(table) for table in t.ALL_TABLES}


# ------------------------------------------------------------------------------------------------ the same again


def test_building_again_gives_the_same_bytes(lake: Lake, build: Callable[..., Report]) -> None:
    options = {"profile": "gtex", "kinship": "none", "n_factors": 3, "prune_max_r2": 0.98}
    build(**options)
    first = {name: row_groups(lake, name) for name in MATRICES[1:]}
    told = content(lake)
    for name in MATRICES:
        shutil.rmtree(Path(lake.uri) / name)
    build(**options)
    assert {name: row_groups(lake, name) for name in MATRICES[1:]} == first
    assert content(lake) == told


def test_compaction_leaves_a_set_what_it_is(lake: Lake, build: Callable[..., Report]) -> None:
    build(profile="basic")
    before = content(lake)
    for name in SOURCES:
        DeltaTable(f"{lake.uri}/{name}").optimize.compact()
    assert not build(profile="basic").changed
    build(profile="basic", name="b")
    after = content(lake, "b", with_ledger=False)
    for name in ("eqtl_phenotypes", "eqtl_genotypes", "eqtl_covariates"):
        first = [{**json.loads(r), "matrix_id": ""} for r in before[name]]
        assert [{**json.loads(r), "matrix_id": ""} for r in after[name]] == first


def test_a_set_says_from_which_versions_it_was_built(lake: Lake, build: Callable[..., Report]) -> None:
    there = {name: version for name, version in versions(lake).items() if version is not None}
    build(profile="basic")
    (row,) = read(lake, "eqtl_matrices")
    assert row["table_versions"] == there
    assert row["parameters"]["min_hwe_p"] == "0.0"
    assert row["parameters"]["profile"] == "basic"
    assert json.loads(row["parameters"]["quantification"]) == [VALUES]
    assert not {"replace", "dry_run", "as_of"} & set(row["parameters"])


# ------------------------------------------------------------------------------------------------ as it was


def change_sources(lake: Lake, world: World) -> None:
    """Another callset load on contig 2, other values, other people: all that a set is made of."""
    rows = variant_rows(world, np.flatnonzero(world.contigs == "2")[::2], "v2b")
    put(lake, t.LOADS, [load_row("v2b", "variants", CALLSET, "GRCh37")])
    put(lake, t.VARIANTS, rows)
    lake.put(t.LOADS, [load_row("v2b", "variants", CALLSET, "GRCh37")], in_list("load_id", ["v2", "v2b"]))
    lake.remove_debris((t.VARIANTS,), ["v2"])
    values = lake.fetch(t.EXPRESSION, where=in_list("load_id", ["e1"])).to_pylist()
    changed = [{**row, "value": row["value"] + 1, "load_id": "e1b"} for row in values]
    people = [{**r, "sex": "female"} for r in lake.fetch(t.SAMPLES).to_pylist(maps_as_pydicts="strict")]
    quantification = lake.fetch(t.QUANTIFICATIONS, where=in_list("load_id", ["e1"])).to_pylist()
    places = lake.fetch(t.PHENOTYPES, where=in_list("load_id", ["e1"])).to_pylist()
    both = in_list("load_id", ["e1", "e1b"])
    lake.put(t.EXPRESSION, changed, both)
    lake.put(t.PHENOTYPES, [{**row, "load_id": "e1b"} for row in places], both)
    lake.put(t.QUANTIFICATIONS, [{**row, "load_id": "e1b"} for row in quantification], both)
    lake.put(t.LOADS, [load_row("e1b", "expression", DATASET, "GRCh37")], both)
    lake.put(t.SAMPLES, people, None)


def test_an_old_set_is_rebuilt_by_its_id_after_its_sources_changed(
    lake: Lake, world: World, build: Callable[..., Report], run: Callable[..., Report]
) -> None:
    options = {"profile": "gtex", "kinship": "none", "n_factors": 3, "prune_max_r2": 0.98}
    report = build(**options)
    old_id = report.details["matrix_id"]
    before = content(lake)
    (row,) = read(lake, "eqtl_matrices")
    old_versions = row["table_versions"]
    change_sources(lake, world)
    with pytest.raises(LakeError, match="other loads of the same callset"):
        build(**options)
    assert not build(**options, as_of=old_id).changed, "it is there as it was"
    new_id = build(**options, replace=True).details["matrix_id"]
    assert new_id != old_id
    assert content(lake) != before

    # A vacuum now would leave what the new set names, but files of the last week stay.
    run(VACUUM_LAKE, Vacuum)
    again = build(**options, as_of=old_id, replace=True)
    assert again.details["matrix_id"] == old_id
    assert content(lake) == before
    (row,) = read(lake, "eqtl_matrices")
    assert row["table_versions"] == old_versions


def test_a_time_names_the_versions_of_that_moment(
    lake: Lake, world: World, build: Callable[..., Report]
) -> None:
    build(profile="basic", name="before")
    moment = datetime.datetime.now(datetime.UTC).isoformat()
    change_sources(lake, world)
    build(profile="basic", name="then", as_of=moment)
    build(profile="basic", name="now")
    of = {row["name"]: row for row in read(lake, "eqtl_matrices")}
    assert of["then"]["load_ids"] == of["before"]["load_ids"] != of["now"]["load_ids"]
    assert of["then"]["table_versions"] == of["before"]["table_versions"]
    assert f"built from the tables as of {moment}" in of["then"]["notes"]
    rows = read(lake, "eqtl_phenotypes")
    values = {
        name: {r["phenotype_id"]: r["values"] for r in rows if r["matrix_id"] == row["matrix_id"]}
        for name, row in of.items()
    }
    assert values["then"] == values["before"] != values["now"]


def test_what_a_vacuum_took_can_not_be_rebuilt_and_that_is_said(
    lake: Lake, world: World, build: Callable[..., Report]
) -> None:
    old_id = build(profile="basic").details["matrix_id"]
    change_sources(lake, world)
    build(profile="basic", replace=True)
    newest = {Path(path).name for path in DeltaTable(lake.path(t.EXPRESSION)).file_uris()}
    for path in Path(lake.path(t.EXPRESSION)).rglob("*.parquet"):
        if path.name not in newest and "_delta_log" not in path.parts:
            path.unlink()
    with pytest.raises(
        LakeError, match=r"table expression: Version \d+ of it is gone: 1 of its 2 files were removed"
    ):
        build(profile="basic", replace=True, as_of=old_id)
    (row,) = read(lake, "eqtl_matrices")
    assert row["matrix_id"] != old_id, "the set that is there stays"


def test_an_id_or_a_time_that_is_none(lake: Lake, build: Callable[..., Report]) -> None:
    with pytest.raises(
        InputError, match=f"--as-of: No set of this lake has, or is known to have had, the id {'0' * 32}"
    ):
        build(profile="basic", as_of="0" * 32)
    with pytest.raises(UsageError, match="'last week' is neither the matrix_id of a set nor a time"):
        build(profile="basic", as_of="last week")
    with pytest.raises(InputError, match="There is no callset made in this lake"):
        build(profile="basic", as_of="2001-01-01")


# ------------------------------------------------------------------------------------------------- dry runs


def test_a_dry_run_says_what_each_step_keeps_and_writes_nothing(
    lake: Lake, world: World, build: Callable[..., Report]
) -> None:
    options = {"profile": "eqtl-catalogue", "kinship": "none", "n_factors": 2, "prune_max_r2": 0.98}
    before = everything(lake)
    dry = build(**options, dry_run=True)
    assert not dry.changed
    assert everything(lake) == before
    real = build(**options)
    for name in (
        "matrix_id",
        "n_samples",
        "n_variants",
        "n_phenotypes",
        "n_covariates",
        "dropped",
        "dropped_samples",
    ):
        assert dry.details[name] == real.details[name], name
    steps = {(row["what"], row["step"]): (row["kept"], row["dropped"]) for row in dry.details["steps"]}
    assert steps["people", "in the set"] == (58, 3)
    assert steps["people", "relatives of people in the set"] == (0, 1)
    assert steps["phenotypes", "place"] == (len(world.genes) - 3, 3)
    assert steps["phenotypes", "  no place"] == (0, 1)
    assert steps["phenotypes", "contigs of the set"][1] == 1
    assert steps["phenotypes", "in the set"][0] == real.details["n_phenotypes"]
    assert steps["variants", "in the set"][0] == real.details["n_variants"]
    assert steps["covariates", "genotype components"] == (6, 0)
    assert steps["covariates", "hidden factors"] == (2, 0)
    assert "what" in dry.text.splitlines()[0]
    assert f"set a would have 58 people, {real.details['n_phenotypes']} phenotypes" in dry.text
    # Where the set is there, or its name is in use, a dry run still says what would be.
    assert "note: set a is already built so" in build(**options, dry_run=True).text
    other = build(**{**options, "min_maf": 0.1}, dry_run=True)
    assert "a real run would stop: The name a is in use" in other.text
    assert other.details["n_variants"] < real.details["n_variants"]


def everything(lake: Lake) -> dict[str, tuple[int, int]]:
    """Each file of the lake, logs included → its bytes and when it was last changed."""
    files = (path for path in Path(lake.uri).rglob("*") if path.is_file())
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def test_a_dry_run_leaves_a_lake_with_sets_and_debris_as_it_is(
    lake: Lake, build: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delta, "UNFINISHED", datetime.timedelta(0))
    build(profile="basic", name="kept")
    debris = build(profile="basic").details["matrix_id"]
    lake.put(t.EQTL_MATRICES, [], in_list("name", ["a"]))
    before, there = everything(lake), versions(lake)
    report = build(profile="basic", dry_run=True)
    assert report.details["matrix_id"] == debris
    assert everything(lake) == before
    assert versions(lake) == there


# ---------------------------------------------------------------------------------------------- one's own


def write_bed(path: Path, world: World, people: Sequence[str], values: np.ndarray) -> str:
    """A BED as FastQTL reads it, of the genes that have a place, sorted by it."""
    order = sorted(
        (i for i, gene in enumerate(world.genes) if gene[1] is not None),
        key=lambda i: (str(world.genes[i][1]), world.genes[i][2]),
    )
    with gzip.open(path, "wt", encoding="utf-8") as file:
        print("#chr", "start", "end", "phenotype_id", *people, sep="\t", file=file)
        for i in order:
            gene, contig, tss = world.genes[i]
            print(contig, tss - 1, tss, gene, *map(repr, values[i].tolist()), sep="\t", file=file)
    return str(path)


@pytest.fixture
def own(world: World, tmp_path: Path) -> str:
    """The values of the people of a set, in another order, and of somebody without genotypes."""
    people = [*reversed(people_of(world)), "HG00061"]
    return write_bed(tmp_path / "own.bed.gz", world, people, world.values[:, columns_of(world, people)])


@pytest.fixture
def table(world: World, tmp_path: Path) -> str:
    """Covariates of everybody but one, numbers and words."""
    people = people_of(world)[1:]
    rng = np.random.default_rng(3)
    path = tmp_path / "measured.txt"
    with open(path, "w", encoding="utf-8") as file:
        print("id", *people, sep="\t", file=file)
        for name in ("age", "weight"):
            print(name, *map(repr, rng.normal(size=len(people)).tolist()), sep="\t", file=file)
        print("centre", *(("Geneva", "Uppsala")[i % 2] for i in range(len(people))), sep="\t", file=file)
    return str(path)


@pytest.mark.parametrize("profile", ["none", "geuvadis"])
def test_own_matrices_are_those_of_loaded_datasets(
    lake: Lake, world: World, build: Callable[..., Report], run: Callable[..., Report], own: str, table: str,
    profile: str,
) -> None:  # fmt: skip
    n_factors = {} if profile == "none" else {"n_factors": 3}
    run(LOAD_COVARIATES, LoadCovariates, file=table, covariate_set="loaded")
    build(profile=profile, name="loaded", covariates=["loaded"], **n_factors)
    report = build(profile=profile, name="own", phenotypes=own, covariates=[table], **n_factors)
    of = {row["name"]: row for row in read(lake, "eqtl_matrices")}
    assert of["own"]["sample_ids"] == of["own"]["run_ids"] == of["loaded"]["sample_ids"]
    assert of["own"]["dataset"] is None
    assert of["own"]["sample_ids"] == people_of(world)[1:]
    assert of["own"]["dropped_samples"][people_of(world)[0]] == "not in covariate set measured"
    assert of["own"]["dropped_samples"]["HG00009"] == "no expression in file own.bed.gz"
    for name in ("eqtl_genotypes", "eqtl_phenotypes", "eqtl_covariates"):
        rows = read(lake, name)
        ours, theirs = (
            [
                {k: v for k, v in r.items() if k not in ("matrix_id", "strand")}
                for r in rows
                if r["matrix_id"] == of[one]["matrix_id"]
            ]
            for one in ("own", "loaded")
        )
        assert ours == theirs, name
    assert report.details["n_covariates"] == 3 + (profile == "none")
    assert of["own"]["load_ids"] == [
        "p1",
        "v1",
        "v2",
        "v3",
        "v4",
        "v5",
        *(["vX"] if profile == "none" else []),
    ]
    parameters = of["own"]["parameters"]
    assert parameters["phenotypes"].startswith("sha256:")
    assert json.loads(parameters["covariates"])[0].startswith("measured (sha256:")
    assert any("own.bed.gz" in note for note in of["own"]["notes"])


def test_own_files_count_by_what_they_hold(
    lake: Lake, world: World, build: Callable[..., Report], own: str, table: str, tmp_path: Path
) -> None:
    build(profile="none", phenotypes=own, covariates=[table])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = shutil.copy(table, elsewhere / "measured.txt")
    with gzip.open(own, "rb") as file:
        (elsewhere / "same.bed").write_bytes(file.read())
    again = build(profile="none", phenotypes=str(elsewhere / "same.bed"), covariates=[str(moved)])
    assert not again.changed
    changed = Path(table).read_text(encoding="utf-8").replace("Geneva", "Basel")
    Path(moved).write_text(changed, encoding="utf-8")
    with pytest.raises(LakeError, match=r"The name a is in use .* covariates \[\"measured \(sha256:"):
        build(profile="none", phenotypes=own, covariates=[str(moved)])


def test_people_of_own_matrices_need_no_panel(
    lake: Lake, world: World, build: Callable[..., Report], own: str
) -> None:
    known = lake.fetch(t.SAMPLES).to_pylist(maps_as_pydicts="strict")
    lake.put(t.SAMPLES, [row for row in known if row["sample_id"] < "HG00010"], None)
    # X needs the sex of everybody, what is known of nobody leaves people out by name.
    build(profile="none", name="with_x", phenotypes=own)
    build(profile="none", name="autosomes", phenotypes=own, x_model="drop")
    build(profile="none", name="asked", phenotypes=own, x_model="drop", cohort="EUR")
    of = {row["name"]: row for row in read(lake, "eqtl_matrices")}
    assert of["autosomes"]["sample_ids"] == people_of(world)
    assert of["with_x"]["sample_ids"] == [s for s in people_of(world) if s < "HG00010"]
    assert of["with_x"]["dropped_samples"]["HG00050"] == "sex not known"
    assert set(of["asked"]["sample_ids"]) == {
        s for s in people_of(world) if s < "HG00010" and world.people[s]["superpopulation"] == "EUR"
    }
    with pytest.raises(OverlapError, match="sex not known"):
        build(profile="none", name="b", phenotypes=own, cohort="HG00050+HG00051+HG00052")


def test_clear_messages_for_own_files(
    lake: Lake, world: World, build: Callable[..., Report], own: str, tmp_path: Path
) -> None:
    strangers = [f"S{i}" for i in range(5)]
    bed = write_bed(tmp_path / "strangers.bed.gz", world, strangers, world.values[:, :5])
    with pytest.raises(
        OverlapError, match=r"Nobody is in both callset made .* and file strangers.bed.gz \(5 people: S0"
    ):
        build(profile="none", phenotypes=bed)
    with pytest.raises(
        UsageError, match="--covariates: 'lab' is told of the runs of a dataset; there is none"
    ):
        build(profile="none", phenotypes=own, covariates=["lab"])
    with pytest.raises(InputError, match="There is no such file"):
        build(profile="none", phenotypes=own, covariates=[str(tmp_path / "nowhere.txt")])
    with pytest.raises(InputError, match="There is no covariate set 'pcs' in this lake"):
        build(profile="none", phenotypes=own, covariates=["pcs"])
    other = tmp_path / "no.bed"
    other.write_text("a b c\n1 2 3\n", encoding="utf-8")
    with pytest.raises(FormatError, match="It is no BED"):
        build(profile="none", phenotypes=str(other))
    assert not (Path(lake.uri) / "eqtl_matrices").exists()


def test_tmm_that_a_person_asked_for_needs_counts_and_that_of_a_profile_does_not(
    lake: Lake, build: Callable[..., Report], tmp_path: Path
) -> None:
    own = {"kinship": "none", "n_factors": 3, "prune_max_r2": 0.98, "dry_run": True}
    first = "There are no read counts: phenotypes are chosen by the expression threshold alone"
    note = f"{first}, and not normalised by TMM."
    assert note in build(profile="gtex", **own).notes
    # What the profile says anyhow is no less asked for.
    for profile in ("gtex", "basic"):
        with pytest.raises(
            UsageError,
            match=r"--counts: The recipe has normalisation tmm.*, but there are no read counts: the values are rpkm\.",
        ):
            build(profile=profile, normalisation="tmm", **own)
    assert any(
        "by the expression threshold alone." in n
        for n in build(profile="gtex", normalisation="none", **own).notes
    )
    assert note not in build(profile="gtex", counts=COUNTS, normalisation="tmm", **own).notes


# ------------------------------------------------------------------------------------- relatives by genotypes


def test_relatives_by_genotypes_are_left_out_beside_those_of_the_pedigree(
    lake: Lake, world: World, build: Callable[..., Report], run: Callable[..., Report]
) -> None:
    """Somebody is made the copy of somebody else; the pedigree knows of another pair."""
    rows = lake.fetch(t.VARIANTS).to_pylist()
    one, twin = world.samples.index("HG00020"), world.samples.index("HG00040")
    for row in rows:
        row["dosages"][twin] = row["dosages"][one]
    autosomal = [row for row in rows if row["contig"] != "X"]
    lake.put(t.VARIANTS, autosomal, in_list("load_id", [f"v{c}" for c in range(1, 6)]))
    with pytest.raises(
        InputError, match=r"callset made: Its kinship is not known\. Compute it: kgp samples kinship"
    ):
        build(profile="basic", kinship="king")
    run(COMPUTE_KINSHIP, SamplesKinship, callset=CALLSET)
    related = {
        tuple(sorted((r["sample_id_1"], r["sample_id_2"])))
        for r in read(lake, "kinship")
        if r["kinship"] >= 0.0884
    }
    assert ("HG00020", "HG00040") in related
    build(profile="basic", kinship="king")
    build(profile="basic", kinship="king", name="all", related="keep")
    of = {row["name"]: row for row in read(lake, "eqtl_matrices")}
    assert of["a"]["dropped_samples"]["HG00040"] == "relative of HG00020 by genotypes"
    assert of["a"]["dropped_samples"]["HG00003"] == "child of HG00001"
    kept = set(of["a"]["sample_ids"])
    assert not any(one in kept and other in kept for one, other in related)
    assert {"HG00040", "HG00003"} <= set(of["all"]["sample_ids"])
    assert "vX" in of["a"]["load_ids"], "kinship is of the whole callset"
    assert "kinship_parameters" in of["a"]["parameters"]
    assert "kinship_parameters" not in of["all"]["parameters"]

    # The same with another bound of frequency is another set: who is related may differ.
    run(COMPUTE_KINSHIP, SamplesKinship, callset=CALLSET, min_maf=0.2)
    with pytest.raises(LakeError, match=r"The name a is in use .* kinship_parameters"):
        build(profile="basic", kinship="king")

    # Of one contig or two it is told that they are few; kinship of all five above was not worth a word.
    assert not any("relatives by genotypes" in note for row in of.values() for note in row["notes"])
    for contigs, said in ((["chr2"], "1 contig alone (2)"), (["2", "X", "1"], "2 contigs alone (1, 2)")):
        run(COMPUTE_KINSHIP, SamplesKinship, callset=CALLSET, contig=contigs)
        report = build(profile="basic", kinship="king", replace=True)
        (row,) = (row for row in read(lake, "eqtl_matrices") if row["name"] == "a")
        (note,) = (note for note in row["notes"] if "relatives by genotypes" in note)
        assert f" of {said}: kinship of fewer than 5 contigs misses relatives" in note
        assert note in report.notes
    assert not build(profile="basic", kinship="king", name="all", related="keep").changed


# ------------------------------------------------------------------------------------------------- mix-ups


SWAPPED = (("HG00097", "HG00096"), ("HG00099", "HG00100"), ("HG00101", "HG00102"))


def test_runs_of_other_people_stop_the_build(
    slice_template: Path,
    build_set: Callable[..., Report],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On the bundled real slice, half of the genes: pairs swapped on purpose are found and nobody else is."""
    monkeypatch.setattr("kgp.job.get_session", no_spark)
    shutil.copytree(slice_template, tmp_path / "lake")
    lake = Lake(no_spark, str(tmp_path / "lake"))
    runs = lake.fetch(t.RUNS).to_pylist()
    mixed = {a: b for pair in SWAPPED for a, b in (pair, pair[::-1])}
    lake.put(t.RUNS, [{**r, "sample_id": mixed.get(r["sample_id"], r["sample_id"])} for r in runs], None)
    before = everything(lake)
    with pytest.raises(InputError) as caught:
        build_set(lake.uri, name="wrong")
    assert everything(lake) == before, "nothing is left"
    dry = build_set(lake.uri, name="wrong", dry_run=True)
    told = build_set(lake.uri, name="wrong", dry_run=True, swaps="report")
    assert everything(lake) == before

    report = build_set(lake.uri, name="wrong", swaps="report")
    swaps = {swap[0]: swap[1:] for swap in report.details["swaps"]}
    assert len(swaps) >= 4
    assert swaps.items() <= {run_id: [said_of, run_id] for run_id, said_of in mixed.items()}.items()
    assert f"{len(swaps)} runs look like another person's" in str(caught.value)
    assert "give --swaps report" in str(caught.value)
    for run_id in swaps:
        assert f"{run_id} is said to be of {mixed[run_id]} (score " in str(caught.value)
        assert f"and fits {run_id} (" in str(caught.value)
    (wrong,) = read(lake, "eqtl_matrices")
    assert {r["run_id"] for r in read(lake, "eqtl_matches") if r["verdict"] == "swap"} == set(swaps)
    assert any("like another person's" in note for note in wrong["notes"])
    # A dry run has looked at the same genotypes, without files of them, and has said all that a real one says.
    assert told.details == {**report.details, "steps": told.details["steps"]}
    assert dry.details["swaps"] == told.details["swaps"]
    assert f"note: a real run would stop: {caught.value.what} {caught.value.mend}" in dry.text
    assert caught.value.what in told.notes
    assert not any("would stop" in note for note in told.notes)
    assert set(wrong["notes"]) <= set(told.notes)


# ------------------------------------------------------------------------------------------ the whole real set


@pytest.fixture(scope="module")
def cis(shared_data: Path) -> Cis:
    """608 genes and 85,485 variants of 358 people."""
    place = shared_data / "geuvadis-eqtl-qtltools"
    return read_cis(place / "genotypes.chr22.vcf.gz", place / "genes.50percent.chr22.bed.gz")


@pytest.fixture
def real_lake(cis: Cis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake with the real callset, and nobody in the panel."""
    monkeypatch.setattr("kgp.job.get_session", no_spark)
    lake = Lake(no_spark, str(tmp_path / "real"))
    put(lake, t.LOADS, [load_row("v22", "variants", CALLSET, "GRCh37")])
    put(
        lake,
        t.CALLSET_SAMPLES,
        [{"callset": CALLSET, "sample_index": i, "sample_id": s, "load_id": "v22"} for i, s in enumerate(cis.samples)],
    )  # fmt: skip
    n, n_people = cis.genotypes.shape
    columns: dict[str, Any] = {
        "callset": CALLSET, "contig": "22", "load_id": "v22", "start": cis.positions - 1, "end": cis.positions,
        "record_id": np.arange(n), "alt_index": 1, "n_alts": 1, "ref": "A", "alt": "G", "source_contig": "chr22",
        "variant_id": [f"22_{position}_{i}" for i, position in enumerate(cis.positions)], "vcf_id": cis.ids,
        "dosages": pa.ListArray.from_arrays(
            np.arange(n + 1, dtype=np.int32) * n_people, pa.array(cis.genotypes.reshape(-1))
        ),
    }  # fmt: skip
    lake.create(t.VARIANTS)
    arrays = []
    for field in t.VARIANTS.arrow_schema:
        value = columns.get(field.name)
        is_column = isinstance(value, list | np.ndarray | pa.Array)
        one = value if is_column else pa.repeat(pa.scalar(value, field.type), n)
        arrays.append(one if isinstance(one, pa.Array) else pa.array(one, field.type))
    rows = pa.Table.from_arrays(arrays, schema=t.VARIANTS.arrow_schema)
    write_deltalake(lake.path(t.VARIANTS), rows, mode="append")
    return lake


@pytest.mark.slow
def test_own_matrices_of_the_real_set(cis: Cis, real_lake: Lake, shared_data: Path, tmp_path: Path) -> None:
    """The published phenotypes and 50 components as they are: the pairs that QTLtools tests, and no mix-up but ours."""
    place = shared_data / "geuvadis-eqtl-qtltools"
    config = load_config(lake=real_lake.uri, environ={})

    def build(name: str, bed: Path, **options: Any) -> Report:
        given = {"name": name, "callset": CALLSET, "profile": "none", "phenotypes": str(bed),
                 "covariates": [str(place / "genes.covariates.pc50.txt.gz")], **options}  # fmt: skip
        params = config.params(EqtlBuild, given)
        return run_job(BUILD_EQTL_MATRICES, params, config, progress=Progress(quiet=True))

    bed = place / "genes.50percent.chr22.bed.gz"
    report = build("real", bed)
    (row,) = read(real_lake, "eqtl_matrices")
    assert row["sample_ids"] == cis.samples
    assert (row["n_phenotypes"], row["n_covariates"]) == (608, 53)
    near = np.zeros(len(cis.positions), dtype=bool)
    for first, last in cis.windows:
        near[first:last] = True
    genotypes = DeltaTable(real_lake.path(t.EQTL_GENOTYPES)).to_pyarrow_table().sort_by("start")
    assert genotypes["vcf_id"].to_pylist() == [cis.ids[i] for i in np.flatnonzero(near)]
    flat = genotypes["dosages"].combine_chunks().flatten().to_numpy()
    assert np.array_equal(flat.reshape(-1, len(cis.samples)), cis.genotypes[near])
    phenotypes = {r["phenotype_id"]: r for r in read(real_lake, "eqtl_phenotypes")}
    assert set(phenotypes) == set(cis.genes)
    starts = genotypes["start"].to_numpy()
    n_pairs = 0
    for gene, tss, values in zip(cis.genes, cis.tss, cis.expression, strict=True):
        assert phenotypes[gene]["values"] == values.tolist()
        n_pairs += int((np.abs(starts + 1 - tss) <= 1_000_000).sum())
    assert n_pairs == 2_742_112, "the pairs that QTLtools cis --nominal 1 tests"
    assert report.details["swaps"] == []
    assert {r["verdict"] for r in read(real_lake, "eqtl_matches")} <= {"match", "unclear"}

    mixed = {a: b for pair in SWAPPED for a, b in (pair, pair[::-1])}
    with gzip.open(bed, "rt") as source, gzip.open(tmp_path / "mixed.bed.gz", "wt", 1) as target:
        header, *lines = source
        target.write("\t".join(mixed.get(one, one) for one in header.rstrip("\n").split("\t")) + "\n")
        target.writelines(lines)
    with pytest.raises(InputError, match="6 runs look like another person's"):
        build("mixed", tmp_path / "mixed.bed.gz")
    found = build("mixed", tmp_path / "mixed.bed.gz", swaps="report").details["swaps"]
    assert sorted(found) == sorted([said_of, said_of, best] for said_of, best in mixed.items())


def test_debris_is_what_is_none_at_the_moment_of_its_removal(
    lake: Lake, build: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set that gets its name after it was taken for debris, and before that is removed, stays."""
    build(profile="basic")
    before = content(lake)
    matrices = lake.fetch(t.EQTL_MATRICES).to_pylist(maps_as_pydicts="strict")
    DeltaTable(lake.path(t.EQTL_MATRICES)).delete()
    monkeypatch.setattr(delta, "UNFINISHED", datetime.timedelta(0))
    find = Lake._find_debris

    def name_it_then(self: Lake, table: Any, *given: Any) -> list[str]:
        found = find(self, table, *given)
        if found and not lake.fetch(t.EQTL_MATRICES).num_rows:
            write_deltalake(
                lake.path(t.EQTL_MATRICES),
                pa.Table.from_pylist(matrices, schema=t.EQTL_MATRICES.arrow_schema),
                mode="append",
            )
        return found

    monkeypatch.setattr(Lake, "_find_debris", name_it_then)
    assert lake.remove_debris((t.EQTL_GENOTYPES,)) == {}
    assert content(lake) == before


def test_what_has_one_reason_says_that_one(
    lake: Lake, world: World, build: Callable[..., Report], tmp_path: Path
) -> None:
    one = write_bed(tmp_path / "one.bed.gz", world, people_of(world)[:1], world.values[:, :1])
    with pytest.raises(InputError, match="1 person is too few for 0 covariates"):
        build(profile="none", phenotypes=one)
    with pytest.raises(InputError, match=r"no dosages\. Give --genotypes calls"):
        build(profile="basic", genotypes="dosages")
    with pytest.raises(InputError, match=r"fewer than 999 variants in the cis window.*--min-cis-variants"):
        build(profile="basic", min_cis_variants=999)
    with pytest.raises(InputError, match=r"There is no dataset E'x in this lake\. There are: E-MADE-1"):
        build(profile="basic", dataset="E'x", quantification=[])
    with pytest.raises(InputError, match="There is no covariate set '' in this lake"):
        build(profile="basic", covariates=[""])
    with pytest.raises(InputError, match="There is no callset made in this lake"):
        build(profile="basic", as_of="0001-01-01T00:00+14:00")


def test_a_search_that_was_not_asked_for_leaves_no_rows(lake: Lake, build: Callable[..., Report]) -> None:
    build(profile="basic", swaps="skip")
    assert not lake.exists(t.EQTL_MATCHES)


def test_values_are_in_the_sets_order(lake: Lake, world: World, build: Callable[..., Report]) -> None:
    """A phenotype's values are the people's own, person by person, whatever order the runs are in."""
    build(profile="none", contig=["1"])
    (row,) = read(lake, "eqtl_matrices")
    cells = lake.fetch(t.EXPRESSION, where=in_list("quantification", [VALUES]))
    for phenotype in read(lake, "eqtl_phenotypes"):
        of_gene = cells.filter(pc.equal(cells["phenotype_id"], phenotype["phenotype_id"])).to_pylist()
        by_run = {cell["run_id"]: cell["value"] for cell in of_gene}
        assert phenotype["values"] == [by_run[run_id] for run_id in row["run_ids"]]
        assert [world.runs[run_id] for run_id in row["run_ids"]] == row["sample_ids"]


def test_mappings_of_a_set_that_was_replaced_go_with_it(
    lake: Lake, run: Callable[..., Report], build: Callable[..., Report]
) -> None:
    build(name="a", cis_window=WINDOW)
    build(name="b", cis_window=WINDOW)
    for name in ("a", "b"):
        run(MAP_EQTL, EqtlMap, name=name, mode="nominal")
        run(MAP_EQTL, EqtlMap, name=name, mode="permute", permutations=20)
    before = {row["name"]: row["matrix_id"] for row in lake.fetch(t.EQTL_MAPS).to_pylist()}
    assert set(before) == {"a", "b"}
    build(name="a", cis_window=WINDOW, min_maf=0.2, replace=True)
    for table in (t.EQTL_MAPS, t.EQTL_NOMINAL, t.EQTL_TOP):
        everything = lake.fetch_all(table)["matrix_id"].to_pylist()
        assert set(everything) == {before["b"]}, table.name
