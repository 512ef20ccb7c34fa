"""The identity graph: whose a run is, which run a column is; on invented sources and on the real lists."""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgp.io.run_lists import read_run_list
from kgp.sources.datasets import find_dataset
from kgp.transforms.runs import RunRecord, identify_person, reconcile_runs, resolve_columns

KNOWN = frozenset({"HG00096", "NA12878", "NA18486", "sample 1"})


def record(run_id: str, person: str | None, kind: str = "sdrf", **more: object) -> RunRecord:
    values = {"evidence": f"{kind} person", "kind": kind, "source": f"a.{kind}", **more}
    return RunRecord(run_id, person, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "sample_id", "rule"),
    [
        ("HG00096", "HG00096", ""),
        ("sample 1", "sample 1", ""),
        ("GEUV:HG00096", "HG00096", "without GEUV:"),
        ("geuv: hg00096", "HG00096", "without GEUV:, blanks and case mended"),
        (" NA 12878 ", "NA12878", "blanks and case mended"),
        ("GM12878", "NA12878", "cell line GM12878 is NA12878"),
        ("gm 12878", "NA12878", "blanks and case mended, cell line GM12878 is NA12878"),
        ("NA21300", "NA21300", ""),  # HapMap's: well-formed, not known, and the person all the same
        ("GM21300", None, ""),
        ("HG0096", None, ""),
        ("NA128780", None, ""),
        ("NA12878_2", None, ""),
        ("SAMPLE 1", None, ""),
        ("", None, ""),
    ],
)
def test_identify_person(text: str, sample_id: str | None, rule: str) -> None:
    identity = identify_person(text, KNOWN)
    assert (identity.sample_id, identity.rule) == (sample_id, rule)


def test_sources_that_agree_make_one_run() -> None:
    runs, differences = reconcile_runs(
        [
            record(
                "R1", "GEUV:HG00096", "sequence_index", aliases={"RUN_NAME": ("x",)}, batch="2", load_id="b"
            ),
            record("R1", "HG00096", aliases={"Assay Name": ("x", "R1")}, lab="UU", load_id="a"),
            record("R1", None, "table", lab="LUMC", batch="1"),
        ],
        KNOWN,
    )
    (run,) = runs
    assert (run.sample_id, run.problem, run.is_disputed) == ("HG00096", None, False)
    assert (run.person_text, run.lab, run.batch) == ("HG00096", "UU", "2")
    assert run.evidence == "sdrf person; sequence_index person (without GEUV:)"
    assert run.aliases == {"Assay Name": ("x",), "RUN_NAME": ("x",)}
    assert run.load_ids == ("a", "b")
    assert [(d.field, d.kept, d.kept_from, d.other, d.other_from) for d in differences] == [
        ("lab", "UU", "a.sdrf", "LUMC", "a.table"),
        ("batch", "2", "a.sequence_index", "1", "a.table"),
    ]


def test_a_run_of_two_people_is_nobodys_and_the_problem_names_both() -> None:
    (run,), _ = reconcile_runs([record("R1", "HG00096"), record("R1", "NA12878", "table")], KNOWN)
    assert (run.sample_id, run.is_disputed) == (None, True)
    assert run.problem == "sources differ: HG00096 by a.sdrf, sdrf person, NA12878 by a.table, table person"


def test_two_people_in_one_source_are_no_better() -> None:
    (run,), _ = reconcile_runs([record("R1", "HG00096 | NA12878")], KNOWN)
    assert (run.sample_id, run.is_disputed) == (None, True)
    assert run.problem == "sources differ: HG00096 by a.sdrf, sdrf person, NA12878 by a.sdrf, sdrf person"


def test_a_cell_line_and_its_dna_are_one_person_even_if_not_known() -> None:
    (run,), _ = reconcile_runs([record("R1", "GM21300 | NA21300")], KNOWN)
    assert (run.sample_id, run.problem) == ("NA21300", None)


def test_a_text_that_nobody_knows_beside_one_that_is_known_is_a_dispute() -> None:
    (run,), _ = reconcile_runs([record("R1", "HG00096"), record("R1", "pool", "table")], KNOWN)
    assert run.sample_id is None
    assert run.problem is not None
    assert "'pool' (nobody known) by a.table" in run.problem


@pytest.mark.parametrize(
    ("person", "problem"),
    [
        (None, "no source says whose it is"),
        ("pool", "nobody is known as 'pool'"),
        (
            "GM21300",
            "nobody is known as 'GM21300'; the DNA of a GM cell line is NA…, which is not among the known people",
        ),
    ],
)
def test_a_run_of_nobody_says_why(person: str | None, problem: str) -> None:
    (run,), _ = reconcile_runs([record("R1", person)], KNOWN)
    assert (run.sample_id, run.problem, run.is_disputed) == (None, problem, False)


def test_a_run_made_from_others_follows_them() -> None:
    made = record("NA12878", "NA12878", "matrix", combines=("R1", "R2"))
    parts = [record("R1", "NA12878"), record("R2", "NA12878")]
    assert {run.run_id: run.sample_id for run in reconcile_runs([made, *parts], KNOWN)[0]}[
        "NA12878"
    ] == "NA12878"
    moved = [record("R1", "NA12878"), record("R2", "HG00096")]
    run = reconcile_runs([made, *moved], KNOWN)[0][0]
    assert (run.sample_id, run.problem) == (
        None,
        "it was made from runs of different people: R1 of NA12878, R2 of HG00096",
    )
    run = reconcile_runs([made, parts[0]], KNOWN)[0][0]
    assert (run.sample_id, run.problem) == (None, "R2, which it was made from, is in no run list")


def test_the_order_of_the_sources_does_not_matter() -> None:
    records = [
        record("R1", "HG00096", lab="a"),
        record("R1", "HG00096", "table", lab="b", batch="1"),
        record("R2", "NA12878", "geo_soft", aliases={"title": ("t",)}),
        record("R2", "HG00096", "sequence_index"),
    ]
    found = {repr(reconcile_runs(order, KNOWN)) for order in itertools.permutations(records)}
    assert len(found) == 1


# ------------------------------------------------------------------------------------------------------ columns

LISTED = [
    record(
        "R1",
        "HG00096",
        aliases={"Source Name": ("HG00096",), "File": ("both", "shared")},
        lab="UU",
        batch="1",
    ),
    record("R2", "NA12878", aliases={"Source Name": ("NA12878",), "File": ("shared",)}, lab="UU", batch="1"),
    record("R3", "NA12878", aliases={"Source Name": ("NA12878",), "File": ("both",)}, lab="UU", batch="2"),
    record("R4", None, aliases={"Assay Name": ("lost",)}),
    record("R5", "HG00097"),
    record("R5x", "HG00097"),
]


def test_columns() -> None:
    columns = ["R1", "HG00096", "NA12878", "GM12878", "both", "R4", "lost", "HG00097", "NA18486", "other"]
    found = resolve_columns(columns, LISTED, KNOWN)
    assert [run.column for run in found] == columns
    assert [(run.run_id, run.sample_id, run.is_new) for run in found] == [
        ("R1", "HG00096", False),
        ("R1", "HG00096", False),
        ("NA12878", "NA12878", True),
        ("GM12878", "NA12878", True),
        ("both", None, True),
        ("R4", None, False),
        ("R4", None, False),
        ("HG00097", "HG00097", True),
        ("NA18486", None, True),
        ("other", None, True),
    ]
    assert [run.problem for run in found if run.sample_id is None] == [
        "its name is that of 2 runs by File: R1 of HG00096, R3 of NA12878",
        "no source says whose it is",
        "no source says whose it is",
        "no run list knows a run of NA18486",
        "no run list knows a run of that name",
    ]
    made = found[2].record
    assert made is not None
    assert (made.combines, made.lab, made.batch, made.kind) == (("R2", "R3"), "UU", None, "matrix")
    assert made.evidence == "matrix column, made from runs of one person by Source Name"


@pytest.mark.parametrize("column", ["NA12878", "GM12878", "GM 12878", "na12878", "GEUV: NA12878"])
def test_every_spelling_of_a_person_is_the_run_that_has_the_id_as_a_name(column: str) -> None:
    """Geuvadis sequenced some people at all laboratories; the SDRF calls one of these runs by the person's id."""
    listed = [
        record("R1", "NA12878", aliases={"Source Name": ("NA12878",)}),
        record("R2", "GEUV:NA12878", "sequence_index", aliases={"SAMPLE_NAME": ("GEUV:NA12878",)}),
    ]
    (run,) = resolve_columns([column], listed, KNOWN)
    assert (run.run_id, run.sample_id, run.is_new) == ("R1", "NA12878", False)


def test_a_run_id_that_is_also_a_name_of_another_persons_run_is_ambiguous() -> None:
    listed = [record("R1", "HG00096"), record("R2", "NA12878", aliases={"Assay Name": ("R1",)})]
    (run,) = resolve_columns(["R1"], listed, KNOWN)
    assert run.sample_id is None
    assert run.problem == "its name is that of 2 runs by run id and Assay Name: R1 of HG00096, R2 of NA12878"


def test_without_a_run_list_a_column_named_like_a_known_person_is_that_persons() -> None:
    made_before = record("NA12878", "NA12878", "matrix")
    found = resolve_columns(["NA12878", "GM12878", "NA21300", "other"], [made_before], KNOWN)
    assert [(run.run_id, run.sample_id, run.is_new) for run in found] == [
        ("NA12878", "NA12878", True),
        ("GM12878", "NA12878", True),
        ("NA21300", None, True),
        ("other", None, True),
    ]
    assert found[0].record is not None
    assert found[0].record.evidence == "matrix column, named like the person"
    assert found[3].problem == "there is no run list, and no known person is named like it"


def test_what_a_column_adds_reconciles_to_the_same_person() -> None:
    columns = ["HG00096", "NA12878", "both", "NA18486"]
    found = resolve_columns(columns, LISTED, KNOWN)
    added = [run.record for run in found if run.record is not None]
    runs = {run.run_id: run for run in reconcile_runs([*LISTED, *added], KNOWN)[0]}
    assert all(runs[run.run_id].sample_id == run.sample_id for run in found)
    assert all((runs[run.run_id].problem is None) == (run.problem is None) for run in found)


NAMES = st.sampled_from(
    [f"{prefix}{n:05}" for prefix in ("NA", "HG", "GM") for n in range(4)] + ["pool", "x"]
)
RECORDS = st.lists(
    st.builds(
        record,
        st.sampled_from(["R1", "R2", "R3", "NA00001", "x"]),
        st.one_of(st.none(), NAMES, st.tuples(NAMES, NAMES).map(" | ".join)),
        st.sampled_from(["sdrf", "sequence_index", "geo_soft", "table"]),
        aliases=st.dictionaries(st.sampled_from(["Source Name", "Assay Name"]), st.tuples(NAMES), max_size=2),
    ),
    max_size=6,
)


@given(RECORDS, st.lists(NAMES, max_size=6), st.frozensets(NAMES, max_size=4))
def test_nobody_is_named_whom_no_source_names(
    records: list[RunRecord], columns: list[str], people: frozenset[str]
) -> None:
    """A person of a column is one whom a source names for that very run, or, without any list, the column itself."""
    for run in resolve_columns(columns, records, people):
        assert (run.sample_id is None) == (run.problem is not None)
        if run.sample_id is None:
            continue
        digits = run.sample_id.removeprefix("NA")
        spellings = {run.sample_id, f"GM{digits}"}
        parts = {run.run_id, *(run.record.combines if run.record else ())}
        texts = {text for r in records if r.run_id in parts for text in r.person_texts}
        if records:
            # All sources of all its runs name this person and nobody else.
            assert texts
            assert texts <= spellings
        else:
            assert run.column in spellings
            assert run.sample_id in people


@given(RECORDS, st.frozensets(NAMES, max_size=4))
def test_a_run_has_a_person_exactly_where_it_has_no_problem(
    records: list[RunRecord], people: frozenset[str]
) -> None:
    runs, _ = reconcile_runs(records, people)
    assert [run.run_id for run in runs] == sorted({r.run_id for r in records})
    assert all((run.sample_id is None) == (run.problem is not None) for run in runs)


# -------------------------------------------------------------------------------------------------- real lists


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        lines = [line.lstrip("#") for line in file if not line.startswith("##")]
    return list(csv.DictReader(lines, delimiter="\t"))


@pytest.fixture(scope="session")
def panel(shared_data: Path) -> frozenset[str]:
    path = shared_data / "metadata/integrated_call_samples_v3.20130502.ALL.panel"
    return frozenset(line.split("\t")[0] for line in path.read_text().splitlines()[1:])


def test_the_lists_of_geuvadis_agree(shared_data: Path, panel: frozenset[str]) -> None:
    metadata = shared_data / "metadata"
    dataset = find_dataset("E-GEUV-1")
    sdrf = read_run_list(str(metadata / "E-GEUV-1.sdrf.txt"), dataset)
    raw = read_rows(metadata / "E-GEUV-1.sdrf.txt")
    owners = {row["Comment[ENA_RUN]"]: row["Source Name"] for row in raw}
    labs = {row["Factor Value[laboratory]"]: row["Performer"] for row in raw}
    assert dataset is not None
    assert labs == dataset.labs
    assert {r.run_id: r.person_text for r in sdrf.records} == owners
    assert (len(owners), len(set(owners.values())), sdrf.n_rows) == (462, 462, len(raw))
    assert len(panel & set(owners.values())) == 445

    index = read_run_list(str(metadata / "geuvadis.sequence.index"), dataset)
    index_rows = read_rows(metadata / "geuvadis.sequence.index")
    ours = [row for row in index_rows if row["STUDY_ID"] == "ERP001942"]
    assert {r.run_id: r.person_text for r in index.records} == {
        row["RUN_ID"]: row["SAMPLE_NAME"] for row in ours
    }
    assert index.n_rows == len(ours) == sum(r.n_rows for r in index.records)
    assert index.warnings == {"row of another study (ERP001941)": len(index_rows) - len(ours)}
    assert len({row["SAMPLE_NAME"] for row in index_rows}) == 465

    info = read_run_list(str(metadata / "geuvadis_info.tsv"), dataset)
    catalogue = read_run_list(str(shared_data / "expression/qtlmap/GEUVADIS_sample_metadata.tsv"), dataset)
    everything = [r for found in (sdrf, index, info, catalogue) for r in found.records]
    runs, differences = reconcile_runs(everything, panel)
    assert differences == ()
    assert [run.run_id for run in runs if run.sample_id is None] == []
    assert {run.run_id: run.sample_id for run in runs} == {
        row["RUN_ID"]: row["SAMPLE_NAME"].removeprefix("GEUV:") for row in ours
    }
    assert all(run.lab is not None and run.batch is not None for run in runs)


def test_small_rna_is_the_other_part_of_the_index(shared_data: Path, panel: frozenset[str]) -> None:
    path = shared_data / "metadata/geuvadis.sequence.index"
    ours = [row for row in read_rows(path) if row["RUN_NAME"].startswith("E-GEUV-2:")]
    found = read_run_list(str(path), find_dataset("E-GEUV-2"))
    runs, _ = reconcile_runs(found.records, panel)
    assert {run.run_id: run.sample_id for run in runs} == {
        row["RUN_ID"]: row["SAMPLE_NAME"].removeprefix("GEUV:") for row in ours
    }
    assert {run.lab for run in runs} == set(find_dataset("E-GEUV-2").labs.values())  # type: ignore[union-attr]


def test_two_hybridisations_a_person(shared_data: Path, panel: frozenset[str]) -> None:
    path = shared_data / "metadata/E-MTAB-264.sdrf.txt"
    raw = read_rows(path)
    found = read_run_list(str(path), find_dataset("E-MTAB-264"))
    runs, _ = reconcile_runs(found.records, panel)
    assert {run.run_id: run.sample_id for run in runs} == {
        r["Hybridization Name"]: r["Source Name"] for r in raw
    }
    assert (len(runs), len({run.sample_id for run in runs})) == (1236, 618)
    assert Counter(run.replicate for run in runs) == {"1_1": 618, "2_1": 618}
    people = sorted({r["Source Name"] for r in raw})
    columns = resolve_columns(people, found.records, panel)
    assert [(c.run_id, c.sample_id, c.is_new) for c in columns] == [(name, name, True) for name in people]
    assert all(
        c.record is not None and c.record.combines == (f"{c.column}_1_1", f"{c.column}_2_1") for c in columns
    )
    assert len(panel & set(people)) == 434
    # A file with the values of a whole population is no name of a run.
    assert found.warnings == {
        "Array Data File of several people, no name of a run": len({r["Array Data File"] for r in raw})
    }


def test_the_columns_of_the_eqtl_catalogues_matrix(shared_data: Path, panel: frozenset[str]) -> None:
    sdrf = read_run_list(str(shared_data / "metadata/E-GEUV-1.sdrf.txt"), find_dataset("E-GEUV-1"))
    with (shared_data / "expression/qtlmap/GEUVADIS_cqn.tsv").open(encoding="utf-8") as file:
        columns = file.readline().rstrip("\n").split("\t")[1:]
    expected = {
        r["sample_id"]: r["genotype_id"]
        for r in read_rows(shared_data / "expression/qtlmap/GEUVADIS_sample_metadata.tsv")
    }
    found = resolve_columns(columns, sdrf.records, panel)
    assert len(columns) == 89
    assert {c.column: c.sample_id for c in found} == expected
    assert not any(c.is_new for c in found)


def test_the_columns_of_the_transcript_counts(shared_data: Path, panel: frozenset[str]) -> None:
    sdrf = read_run_list(str(shared_data / "metadata/E-GEUV-1.sdrf.txt"), find_dataset("E-GEUV-1"))
    with (shared_data / "expression/TrQuantCount_CEU_chr19.tsv").open(encoding="utf-8") as file:
        columns = file.readline().rstrip("\n").split("\t")[2:]
    found = resolve_columns(columns, sdrf.records, panel)
    assert [c.sample_id for c in found] == columns
    assert all(c.run_id.startswith("ERR") for c in found)
