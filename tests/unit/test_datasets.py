"""Descriptors: the table in the documentation says what they say, and a descriptor is all that a dataset needs."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from pathlib import Path

import pytest

from kgp.errors import FormatError
from kgp.genome import get_build
from kgp.io.run_lists import RunList, read_run_list
from kgp.params import KINDS, UNITS
from kgp.sources import SOURCES
from kgp.sources.datasets import DATASETS, Dataset, NamePattern, RunTable, find_dataset
from kgp.transforms.runs import RunRecord, reconcile_runs, resolve_columns

HEAD = "RUN_ID\tSTUDY_ID\tSAMPLE_NAME\n"
MAGE = "filtered.TSS.MAGE.v1.0.bed.gz"
RESK10 = "50FN.samplename.resk10.txt.gz"
PEOPLE = frozenset(
    {"HG00096", "HG00101", "HG00183", "NA12878", "NA12546", "NA18486", "NA18498", "NA18524", "NA18526"}
)


@pytest.fixture(scope="session")
def lists(root: Path) -> Path:
    return root / "tests" / "data" / "expression"


def owners(found: RunList) -> dict[str, str | None]:
    return {run.run_id: run.sample_id for run in reconcile_runs(found.records, PEOPLE)[0]}


def by_run(found: RunList) -> dict[str, RunRecord]:
    return {record.run_id: record for record in found.records}


def write(tmp_path: Path, text: str | bytes, name: str = "list.txt") -> str:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


# -------------------------------------------------------------------------------------------------- descriptors


def test_the_documentation_has_each_dataset(root: Path) -> None:
    text = (root / "docs" / "DATASETS.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    table = {cells[0]: cells for cells in rows if find_dataset(cells[0]) is not None}
    assert list(table) == [dataset.accession for dataset in DATASETS]
    for dataset in DATASETS:
        cells = table[dataset.accession]
        assert int(cells[2]) == dataset.n_people
        assert {q.build for q in dataset.quantifications} - {"GRCh38"} <= set(re.findall(r"\w+", cells[4]))
        named = set(re.findall(r"kgp sync ([\w-]+)", cells[5]))
        assert named <= {source.name for source in SOURCES}
        assert named or dataset.accession == "MAGE"


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.accession)
def test_a_descriptor_says_what_kgp_understands(dataset: Dataset) -> None:
    for quantification in dataset.quantifications:
        assert quantification.kind in KINDS
        assert quantification.unit in UNITS
        assert get_build(quantification.build).name == quantification.build
        assert re.fullmatch(r"[a-z0-9_]+", quantification.processing)
    for pattern in dataset.name_patterns:
        groups = set(re.compile(pattern.pattern).groupindex)
        assert groups
        assert groups <= {"person", "lab", "batch", "replicate"}
    assert dataset.run_columns or dataset.run_tables
    # What kgp sync says of the same accession.
    for source in SOURCES:
        if source.name == dataset.accession:
            assert source.n_samples == dataset.n_people
            assert source.build in {None, *(q.build for q in dataset.quantifications)}


@pytest.mark.parametrize(
    ("accession", "file", "expected"),
    [
        ("E-GEUV-1", f"GD462.GeneQuantRPKM.{RESK10}", ("gene", "rpkm", "peer10_residuals", "GRCh37")),
        ("E-GEUV-1", "GD660.GeneQuantRPKM.txt.gz", ("gene", "rpkm", "none", "GRCh37")),
        ("E-GEUV-1", "GD660.GeneQuantCount.txt.gz", ("gene", "count", "none", "GRCh37")),
        ("E-GEUV-1", "GD660.TrQuantCount.txt", ("transcript", "count", "none", "GRCh37")),
        ("E-GEUV-1", f"GD462.TrQuantRPKM.{RESK10}", ("transcript", "rpkm", "peer10_residuals", "GRCh37")),
        ("E-GEUV-1", f"GD462.ExonQuantCount.45N.{RESK10}", ("exon", "count", "peer10_residuals", "GRCh37")),
        ("E-GEUV-1", "GEUVADIS_cqn.tsv", ("gene", "log2_cqn", "cqn", "GRCh38")),
        ("E-GEUV-2", f"GD452.MirnaQuantCount.1.2N.{RESK10}", ("mirna", "count", "peer10_residuals", "GRCh37")),
        ("E-GEUV-2", "GD480.MirnaQuantCount.1.2N.txt.gz", ("mirna", "count", "none", "GRCh37")),
        ("E-MTAB-198", "normalized_array_data.109.txt", ("probe", "log2_intensity", "quantile", "NCBI36")),
        ("E-MTAB-264", "CHB_p3_expression.txt", ("probe", "log2_intensity", "quantile", "NCBI36")),
        ("MAGE", f"TMM.{MAGE}", ("gene", "cpm", "tmm", "GRCh38")),
        ("MAGE", f"inverse_normal_TMM.{MAGE}", ("gene", "unknown", "inverse_normal_tmm", "GRCh38")),
        ("MAGE", f"raw_pseudocounts.{MAGE}", ("gene", "count", "none", "GRCh38")),
        ("E-GEUV-1", "EUR373.gene.cis.FDR5.all.rs137.txt.gz", None),
    ],
)  # fmt: skip
def test_what_a_file_holds(accession: str, file: str, expected: tuple[str, ...] | None) -> None:
    dataset = find_dataset(accession)
    assert dataset is not None
    found = dataset.find_quantification(file)
    assert (None if found is None else (found.kind, found.unit, found.processing, found.build)) == expected


def test_an_unknown_accession_has_no_descriptor() -> None:
    assert find_dataset("E-MTAB-9") is None


# ------------------------------------------------------------------------------------------ lists of the datasets


def test_mage_needs_no_more_than_its_descriptor(lists: Path) -> None:
    found = read_run_list(str(lists / "runs" / "sample.metadata.MAGE.v1.0.txt"), find_dataset("MAGE"))
    assert (found.kind, found.n_rows, found.warnings) == ("table", 3, {})
    assert owners(found) == {"SRR9900001": "NA12878", "SRR9900002": "NA12546", "SRR9900003": "HG00183"}
    assert {r.run_id: (r.batch, r.replicate) for r in found.records} == {
        "SRR9900001": ("1", None), "SRR9900002": ("3", None), "SRR9900003": ("1", "2"),
    }  # fmt: skip
    # Columns of its BED files are people, those of its counts cell lines, those of its splicing libraries.
    columns = ["NA12878", "GM12546", "HG00183-1-2", "GM99999"]
    assert [(c.run_id, c.sample_id) for c in resolve_columns(columns, found.records, PEOPLE)] == [
        ("SRR9900001", "NA12878"), ("SRR9900002", "NA12546"), ("SRR9900003", "HG00183"), ("GM99999", None),
    ]  # fmt: skip


def test_an_eighth_dataset_is_a_descriptor(tmp_path: Path) -> None:
    eighth = Dataset(
        "E-NEW-8",
        2,
        (),
        run_columns=("Assay Name",),
        run_tables=(RunTable("run", "donor", aliases=("tube",), lab="centre", where={"assay": "rna"}),),
        name_patterns=(NamePattern("tube", r".*-(?P<replicate>\d)"),),
    )
    text = "run,donor,tube,centre,assay\nX1,GM12878,t-1,north,rna\nX2,HG00096,t-2,south,rna\nX3,HG00096,t-3,south,dna\n"
    found = read_run_list(write(tmp_path, text), eighth)
    assert owners(found) == {"X1": "NA12878", "X2": "HG00096"}
    assert {r.run_id: (r.lab, r.replicate) for r in found.records} == {
        "X1": ("north", "1"),
        "X2": ("south", "2"),
    }
    assert (found.n_rows, found.warnings) == (2, {"row of something else: assay is not rna": 1})


def test_geuvadis(lists: Path) -> None:
    dataset = find_dataset("E-GEUV-1")
    sdrf = read_run_list(str(lists / "magetab" / "E-GEUV-1.sdrf.txt"), dataset)
    assert (sdrf.kind, sdrf.n_rows, sdrf.warnings) == ("sdrf", 6, {})
    assert owners(sdrf) == {"ERR900001": "HG00096", "ERR900002": "HG00101", "ERR900003": "NA12878"}
    first = by_run(sdrf)["ERR900001"]
    assert (first.lab, first.batch, first.n_rows) == ("UNIGE", "111124", 2)
    assert first.aliases["Comment[ENA_SAMPLE]"] == ("ERS900001",)
    assert len(first.aliases["Scan Name"]) == 2
    index = read_run_list(str(lists / "runs" / "geuvadis.sequence.index"), dataset)
    assert (index.kind, index.n_rows, index.warnings) == (
        "sequence_index", 8, {"row of another study (ERP001941)": 1},
    )  # fmt: skip
    assert owners(index) == {**owners(sdrf), "ERR900009": "NA12878"}
    # The index has a run that the SDRF lacks: a column with the person's name is the run that the SDRF calls so.
    both = [*sdrf.records, *index.records]
    (column,) = resolve_columns(["NA12878"], both, PEOPLE)
    assert (column.run_id, column.is_new) == ("ERR900003", False)
    (column,) = resolve_columns(["NA12878"], index.records, PEOPLE)
    assert column.record is not None
    assert column.record.combines == ("ERR900003", "ERR900009")
    # Columns of GD660 are assays.
    (column,) = resolve_columns(["NA12878.1.M_111124_8"], index.records, PEOPLE)
    assert (column.run_id, column.sample_id) == ("ERR900009", "NA12878")


def test_small_rna_of_the_same_index(lists: Path) -> None:
    found = read_run_list(str(lists / "runs" / "geuvadis.sequence.index"), find_dataset("E-GEUV-2"))
    assert owners(found) == {"ERR900020": "NA12878"}
    assert (found.records[0].lab, found.records[0].batch) == ("UNIGE", "120104")
    assert found.warnings == {"row of another study (ERP001942)": 8}


def test_arrays(lists: Path) -> None:
    found = read_run_list(str(lists / "magetab" / "E-MTAB-264.sdrf.txt"), find_dataset("E-MTAB-264"))
    assert set(owners(found).values()) == {"NA18524", "NA18526", "NA21300"}
    assert len(found.records) == 6
    assert found.warnings == {"Array Data File of several people, no name of a run": 1}
    # MKK.raw_data.txt has one person's values here, and is a name of both hybridisations.
    assert by_run(found)["NA21300_1_1"].aliases["Array Data File"] == ("MKK.raw_data.txt",)
    assert "Array Data File" not in by_run(found)["NA18524_1_1"].aliases


def test_an_array_whose_columns_name_two_people_is_nobodys(lists: Path, tmp_path: Path) -> None:
    text = (lists / "magetab" / "E-MTAB-264.sdrf.txt").read_text(encoding="utf-8")
    lines = text.splitlines()
    cells = lines[1].split("\t")
    cells[6] = "NA18526"
    found = read_run_list(
        write(tmp_path, "\n".join([lines[0], "\t".join(cells)])), find_dataset("E-MTAB-264")
    )
    (run,), _ = reconcile_runs(found.records, PEOPLE)
    assert run.sample_id is None
    assert run.problem is not None
    assert run.problem.startswith(
        "sources differ: NA18524 by list.txt, SDRF Source Name and Characteristics[Individual]"
    )
    assert "NA18526 by" in run.problem


def test_yoruba_by_sdrf_series_matrix_and_soft(lists: Path, tmp_path: Path) -> None:
    dataset = find_dataset("E-GEOD-19480")
    sdrf = read_run_list(str(lists / "magetab" / "E-GEOD-19480.sdrf.txt"), dataset)
    packed = write(
        tmp_path, gzip.compress((lists / "geo" / "GSE19480_series_matrix.txt").read_bytes()), "m.txt.gz"
    )
    matrix = read_run_list(packed, dataset)
    soft = read_run_list(str(lists / "geo" / "GSE19480_family.soft"), dataset)
    expected = {"GSM900001": "NA18486", "GSM900002": "NA18486", "GSM900003": "NA18498"}
    assert owners(sdrf) == owners(matrix) == owners(soft) == expected
    for found in (sdrf, matrix, soft):
        assert {r.run_id: (r.lab, r.replicate) for r in found.records} == {
            "GSM900001": ("yale", None), "GSM900002": ("argonne", None), "GSM900003": ("argonne", "2"),
        }  # fmt: skip
    assert (sdrf.n_rows, matrix.n_rows, soft.n_rows) == (4, 3, 3)
    runs, differences = reconcile_runs([*sdrf.records, *matrix.records, *soft.records], PEOPLE)
    assert ({run.run_id: run.sample_id for run in runs}, differences) == (expected, ())
    columns = ["SRR900002", "NA18486_argonne", "SRX900003", "NA18486"]
    assert [(c.run_id, c.sample_id) for c in resolve_columns(columns, sdrf.records, PEOPLE)] == [
        ("GSM900001", "NA18486"), ("GSM900002", "NA18486"), ("GSM900003", "NA18498"), ("NA18486", "NA18486"),
    ]  # fmt: skip


def test_a_title_whose_person_is_not_the_characteristics(lists: Path, tmp_path: Path) -> None:
    text = (lists / "geo" / "GSE19480_family.soft").read_text(encoding="utf-8")
    found = read_run_list(
        write(tmp_path, text.replace("= NA18486_yale", "= NA18498_yale")), find_dataset("E-GEOD-19480")
    )
    assert owners(found)["GSM900001"] is None


def test_a_dataset_without_a_descriptor(lists: Path) -> None:
    assert set(owners(read_run_list(str(lists / "magetab" / "E-GEUV-1.sdrf.txt"), None)).values()) == {
        "HG00096", "HG00101", "NA12878",
    }  # fmt: skip
    found = read_run_list(str(lists / "runs" / "geuvadis.sequence.index"), None)
    assert (len(found.records), found.warnings) == (5, {})


def test_rows_of_one_run_that_differ_are_counted_and_withdrawn_ones_left_out(tmp_path: Path) -> None:
    text = "Source Name\tPerformer\tComment[ENA_RUN]\nHG00096\tA\tE1\nHG00096\tB\tE1\nNA12878\tA\tE2\nHG00096\tA\tE2\n"
    found = read_run_list(write(tmp_path, text), find_dataset("E-GEUV-1"))
    assert by_run(found)["E1"].lab == "A, B"
    assert found.warnings == {"run whose rows differ in lab": 1}
    assert by_run(found)["E2"].person_text == "NA12878 | HG00096"
    assert owners(found) == {"E1": "HG00096", "E2": None}
    text = "RUN_ID\tSTUDY_ID\tSAMPLE_NAME\tWITHDRAWN\nE1\tERP001942\tHG00096\t0\nE2\tERP001942\tHG00096\t1\n"
    found = read_run_list(write(tmp_path, text), find_dataset("E-GEUV-1"))
    assert (owners(found), found.warnings) == ({"E1": "HG00096"}, {"row of a run that was withdrawn": 1})


def test_an_index_without_studies_is_told_apart_by_its_run_names(lists: Path) -> None:
    dataset = replace(find_dataset("E-GEUV-2") or DATASETS[1], studies=())
    found = read_run_list(str(lists / "runs" / "geuvadis.sequence.index"), dataset)
    assert (list(owners(found)), found.warnings) == (
        ["ERR900020"],
        {"row of another collection (E-GEUV-1)": 8},
    )


@pytest.mark.parametrize(
    ("accession", "text", "message"),
    [
        ("E-GEUV-1", "", r"list\.txt: The file is empty\. Fetch it again\."),
        (
            "E-GEUV-1",
            "a\tb\n1\t2\n",
            r"line 1: It is no run list that is known; it begins with 'a\\tb'\. Give a MAGE-TAB SDRF, "
            r"a sequence\.index, a GEO series matrix or SOFT file, or a table with the columns ena_id and name; "
            r"sample_id and genotype_id\.",
        ),
        (
            "E-MTAB-264",
            "Investigation Title\tx\nSDRF File\tE-MTAB-264.sdrf.txt\n",
            r"It is an IDF, .* Give its SDRF: E-MTAB-264\.sdrf\.txt\.",
        ),
        ("E-MTAB-264", "Array Design Name\tx\n[main]\nReporter Name\n", r"It is an array design \(ADF\)"),
        ("E-MTAB-264", "Source Name\tAssay Name\nHG1\tA\n", r"none of the columns that name a run: Hybridization Name"),
        (
            "E-GEUV-1",
            "Source Name\tAssay Name\nHG1\tA\nHG2\t\n",
            r"list\.txt, line 3: It names no run: Comment\[ENA_RUN\], Assay Name are empty\.",
        ),
        ("E-GEUV-1", HEAD + "\tERP001942\tx\n", r"line 2: It names no run: RUN_ID is empty"),
        ("E-GEUV-1", HEAD + "E1\tERP001941\tx\n", r"It names no run of E-GEUV-1\. Give the run list"),
        ("E-GEUV-1", HEAD + "E1\tERP001942\n", r"line 2: It has 2 values where the header has 3"),
        ("E-GEUV-1", "ena_id\tname\n\tHG1\n", r"line 2: It names no run: ena_id is empty"),
        ("E-GEUV-1", "ena_id\tname\nE1\n", r"line 2: It has 1 values where the header has 2"),
    ],
    ids=[
        "empty", "strange", "idf", "adf", "no-run-column", "no-run", "index-no-run", "index-other", "index-short",
        "table-no-run", "table-short",
    ],
)  # fmt: skip
def test_bad_run_lists(accession: str, text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message):
        read_run_list(write(tmp_path, text), find_dataset(accession))
