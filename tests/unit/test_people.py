"""Panels, IGSR's lists and what they say together; the real files where they are."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kgp.errors import FormatError, InputError
from kgp.io.igsr import read_igsr_samples, read_populations
from kgp.io.panel import read_panel
from kgp.io.pedigree import read_pedigree
from kgp.tables import POPULATIONS, SAMPLE_CONFLICTS, SAMPLES
from kgp.transforms.people import POPULATION_NAMES, SUPERPOPULATION_OF, SUPERPOPULATIONS
from kgp.transforms.reconcile import THE_26, Reconciled, reconcile

PANEL = "sample\tpop\tsuper_pop\tgender\n"
IGSR = (
    "Sample name\tSex\tBiosample ID\tPopulation code\tPopulation name\tSuperpopulation code\tSuperpopulation name\t"
    "Population elastic ID\tData collections\n"
)


def write(tmp_path: Path, text: str | bytes, name: str = "a.panel") -> str:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


# -- panel


def test_the_bundled_panel_is_read_whole(bundled: Path) -> None:
    path = bundled / "samples.panel"
    people = read_panel(str(path))
    with path.open(encoding="utf-8", newline="") as file:
        expected = list(csv.DictReader(file, delimiter="\t"))
    assert people.n_lines == len(people.rows) == len(expected) == 2504
    assert [r["sample_id"] for r in people.rows] == [r["sample"] for r in expected]
    assert [r["population"] for r in people.rows] == [r["pop"] for r in expected]
    assert [r["superpopulation"] for r in people.rows] == [r["super_pop"] for r in expected]
    assert [r["sex"] for r in people.rows] == [r["gender"] for r in expected]
    assert people.warnings == {}


def test_the_26_populations_are_those_of_the_bundled_panel(bundled: Path) -> None:
    people = read_panel(str(bundled / "samples.panel")).rows
    assert {r["population"]: r["superpopulation"] for r in people} == SUPERPOPULATION_OF
    assert len(SUPERPOPULATION_OF) == 26
    assert list(SUPERPOPULATIONS) == ["AFR", "AMR", "EAS", "EUR", "SAS"]


@pytest.mark.shared
def test_the_archives_panels_with_stray_tabs(shared_data: Path) -> None:
    metadata = shared_data / "metadata"
    found = {}
    for name in ("", ".plus31related"):
        path = metadata / f"integrated_call_samples_v3.20130502.ALL.panel{name}"
        raw = [line.split() for line in path.read_text().splitlines()[1:]]
        people = read_panel(str(path))
        found[name] = {r["sample_id"] for r in people.rows}
        assert [tuple(r.values()) for r in people.rows] == [tuple(cells) for cells in raw]
        assert people.n_lines == len(raw)
        assert people.warnings["stray tab in the header"] == 2
    assert found[""] < found[".plus31related"]
    assert len(found[".plus31related"] - found[""]) == 31


def test_a_strange_order_and_other_names_of_columns(tmp_path: Path) -> None:
    people = read_panel(
        write(tmp_path, "\ufeffsex\tSample\tPopulation\tnote\r\n2\tHG1\tCEU\tx\r\n0\tHG2\t\t\r\n")
    )
    assert people.rows == (
        {"sample_id": "HG1", "population": "CEU", "sex": "female"},
        {"sample_id": "HG2", "population": None, "sex": None},
    )
    assert people.warnings == {"column note is not read": 1}


@pytest.mark.parametrize(
    "data",
    [
        b"sample\tpop\tgender\nHG1\tCEU\tmale\nHG2\tCEU\tfemale",
        b"sample\tpop\tgender\r\nHG1\tCEU\tmale\r\n\r\nHG2\tCEU\tfemale\r\n",
        b"sample\tpop\tgender\rHG1\tCEU\tmale\rHG2\tCEU\tfemale\r",
        b"\xef\xbb\xbf##made by hand\n#sample pop gender\nHG1 CEU M\n\nHG2  CEU\tF\n",
        gzip.compress(b"sample\tpop\tgender\nHG1\tCEU\t1\nHG2\tCEU\t2\n"),
    ],
    ids=["no last line end", "windows", "old mac", "by blanks", "gzip"],
)
def test_line_ends_blanks_and_compression_change_nothing(tmp_path: Path, data: bytes) -> None:
    people = read_panel(write(tmp_path, data))
    assert [tuple(r.values()) for r in people.rows] == [("HG1", "CEU", "male"), ("HG2", "CEU", "female")]
    assert people.n_lines == 2


def test_latin_1_is_read_and_counted(tmp_path: Path) -> None:
    people = read_panel(write(tmp_path, b"sample\tpop\tnote\nHG1\tCEU\tS\xe3o Paulo\n"))
    assert (people.rows[0]["sample_id"], people.n_lines) == ("HG1", 1)
    assert people.warnings["line is no UTF-8, read as Latin-1"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"a\.panel: The file is empty; a panel \(sample, pop, super_pop, gender\) is expected"),
        (PANEL + "HG1\tCEU\tEUR\n", r"line 2: It has 3 values where the header has 4\. Mend the line"),
        (PANEL + "HG1\tCEU\tEUR\tmale\tmore\n", r"5 values where the header has 4"),
        (
            PANEL + "HG1\tCEU\tEUR\tmale\n\nHG1\tCEU\tEUR\tmale\n",
            r"line 4: HG1 is there a second time, after line 2",
        ),
        (PANEL + "\tCEU\tEUR\tmale\n", r"line 2, column sample: There is no sample id"),
        (PANEL + "HG1\tCEU\tEUR\tmail\n", r"line 2, column gender: 'mail' is no sex. Use male or female"),
        (
            PANEL + "HG1\tCEU\tMARS\tmale\n",
            r"line 2, column super_pop: 'MARS' is no superpopulation. Use one of AFR,",
        ),
        (PANEL + 'HG1\t"CEU\tEUR\tmale\n', r"line 2: A quote is opened and not closed"),
        (
            "name\tpop\nHG1\tCEU\n",
            r"line 1: Its header 'name\\tpop' has no column for sample_id\. Give a panel",
        ),
        ("sample\tpop\tsex\tgender\nHG1\tCEU\t1\t1\n", r"more than one column for sex"),
        ("##fileformat=VCFv4.1\n", "empty"),
        (PANEL, r"a\.panel: It has a header and no line below it\. Fetch the file again"),
        (b"PAR1\x00\x01\n", r"line 1: It is no text\. Give the text file itself"),
        (gzip.compress(PANEL.encode() * 9, mtime=0)[:-12], r"cut off|broken|ends"),
    ],
)
def test_what_is_no_panel_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_panel(write(tmp_path, text))


@pytest.mark.parametrize("keep", [0.3, 0.7, 0.95])
def test_a_panel_that_is_cut_off_is_no_panel_with_a_short_line(keep: float, tmp_path: Path) -> None:
    lines = "".join(f"HG{number:05}\tCEU\tEUR\tmale\n" for number in range(9999))
    data = gzip.compress((PANEL + lines).encode())
    with pytest.raises(FormatError, match=r"The gzip stream is cut off\. Fetch the file again"):
        read_panel(write(tmp_path, data[: int(len(data) * keep)]))


def test_a_panel_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_panel(str(tmp_path / "nowhere.panel"))


# -- IGSR


def test_samples_of_the_data_portal(tmp_path: Path) -> None:
    """The layout of igsr_samples.tsv: quoted collections, people with several populations and with none of a code."""
    rows = (
        'HG00271\tmale\tSAME123417\tFIN\tFinnish\tEUR\tEuropean Ancestry\tFIN\t"1000 Genomes on GRCh38,Geuvadis"\r\n'
        "HG01783\tmale\tSAME124427\tIBS,MSL\tIberian,Mende\tEUR,AFR\tEuropean Ancestry,African Ancestry\tIBS,MSL\t\r\n"
        "HGDP00773\tfemale\tSAMEA3302906\t\tJapanese\t\tEast Asia (SGDP)\tJapaneseSGDP\tSimons Genome\r\n"
        "NA21391\tfemale\tSAME1\tMKK\tMaasai\t\t\tMKK\t\r\n"
        "HGDP00542\tmale\tS\t\tPapuan,Papuan\t\tOceania (SGDP),Oceania (HGDP)\tPapuanSGDP,PapuanHGDP\t\r\n"
        "SC_GMJOL1\t\tS\tGWJ\tGambian Jola\tAFR\tAfrican Ancestry\tGWJ\t\r\n"
    )
    people = read_igsr_samples(write(tmp_path, IGSR.replace("\n", "\r\n") + rows))
    found = {
        r["sample_id"]: (r["sex"], r["population"], r["superpopulation"], r["remarks"]) for r in people.rows
    }
    assert found == {
        "HG00271": ("male", "FIN", "EUR", None),
        "HG01783": ("male", None, None, "populations IBS,MSL of EUR,AFR"),
        "HGDP00773": ("female", "JapaneseSGDP", None, None),
        "NA21391": ("female", "MKK", None, None),
        "HGDP00542": (
            "male",
            None,
            None,
            "populations PapuanSGDP,PapuanHGDP of Oceania (SGDP),Oceania (HGDP)",
        ),
        "SC_GMJOL1": (None, "GWJ", "AFR", None),
    }
    assert (people.n_lines, people.source_kind) == (6, "igsr_samples")
    assert people.warnings == {"person with several populations": 2}


def test_populations_of_the_data_portal(tmp_path: Path) -> None:
    text = (
        "Population code\tPopulation elastic ID\tPopulation name\tPopulation description\tPopulation latitude\t"
        "Population longitude\tSuperpopulation code\tSuperpopulation name\tSuperpopulation display colour\t"
        "Superpopulation display order\tNumber of samples\tData collections\n"
        "FIN\tFIN\tFinnish\tFinnish in Finland\t60.17\t24.93\tEUR\tEuropean Ancestry\t#018ead\t4\t105\tx\n"
        "\tSanHGDP\tSan\tSan in Namibia (HGDP)\t-21\t20\t\tAfrica (HGDP)\t#f2c2ff\t6\t4\tx\n"
    )
    found = read_populations(write(tmp_path, text))
    assert found.rows == (
        {"population": "FIN", "population_name": "Finnish in Finland", "superpopulation": "EUR",
         "superpopulation_name": "European Ancestry"},
        {"population": "SanHGDP", "population_name": "San in Namibia (HGDP)", "superpopulation": None,
         "superpopulation_name": "Africa (HGDP)"},
    )  # fmt: skip
    assert (found.n_lines, found.warnings) == (2, {})


def test_populations_of_phase_3_with_their_line_of_totals(tmp_path: Path) -> None:
    text = (
        "Population Description\tPopulation Code\tSuper Population\tDNA from Blood\tOffspring available from trios\t"
        "Pilot Samples\tPhase1 Samples\tFinal Phase Samples\tTotal\n"
        "Chinese Dai in Xishuangbanna, China\tCDX\tEAS\tno\tyes\t0\t0\t99\t99\n"
        "\t\t\t\t\t\t\t\t\nTotal\t\t\t\t\t553\t1092\t2535\t2577\n"
    )
    found = read_populations(write(tmp_path, text))
    assert [(r["population"], r["superpopulation"]) for r in found.rows] == [("CDX", "EAS")]
    assert (found.n_lines, found.warnings) == (1, {})
    with pytest.raises(FormatError, match=r"line 3: Population CDX is there a second time"):
        read_populations(
            write(tmp_path, text.replace("Total\t\t", "Dai\tCDX\t").replace("\t\t\t\t\t\t\t\t\n", ""))
        )
    with pytest.raises(FormatError, match=r"line 2, column Population Code: There is no population code"):
        read_populations(write(tmp_path, text.replace("\tCDX", "\t")))
    with pytest.raises(FormatError, match="Give a population list"):
        read_populations(write(tmp_path, PANEL))


# -- reconciling


def says(load_id: str, kind: str, sample_id: str, **values: Any) -> dict[str, Any]:
    """A row of `sample_records`."""
    return {"load_id": load_id, "source_kind": kind, "sample_id": sample_id, **values}


def put_together(*records: Mapping[str, Any], **given: Any) -> Reconciled:
    """Reconcile; the file of load `a` lies at /a."""
    members, lists = given.get("members", []), given.get("lists", [])
    paths = {r["load_id"]: f"/{r['load_id']}" for r in (*records, *members, *lists)}
    return reconcile(records, members, lists, paths)


def conflicts(found: Reconciled) -> set[tuple[Any, ...]]:
    return {tuple(row[name] for name in ("sample_id", "field", "kept", "kept_from", "other", "other_from"))
            for row in found.conflicts}  # fmt: skip


def test_higher_authority_is_kept_nulls_are_filled_and_differences_are_rows() -> None:
    found = put_together(
        says("list", "sample_list", "HG1", callsets=["c"]),
        says("igsr", "igsr_samples", "HG1", sex="male", population="GBR", superpopulation="EUR"),
        says("ped", "pedigree", "HG1", sex="female", population="CEU", family_id="F", father_id="HG2"),
        says("panel", "panel", "HG1", sex="male", population="CEU", superpopulation=None),
        says("new", "pedigree_3202", "HG1", sex="male", father_id="HG3", mother_id="HG4"),
        says("ped", "pedigree", "HG0", population="YRI"),
    )
    other, one = found.samples
    assert (other["sample_id"], other["superpopulation"], other["callsets"]) == ("HG0", "AFR", [])
    assert one["load_ids"] == ["igsr", "list", "new", "panel", "ped"]
    assert {name: one[name] for name in ("sex", "population", "superpopulation", "family_id", "callsets")} == {
        "sex": "male", "population": "CEU", "superpopulation": "EUR", "family_id": "F", "callsets": ["c"],
    }  # fmt: skip
    assert (one["father_id"], one["mother_id"]) == ("HG3", "HG4")
    assert conflicts(found) == {
        ("HG1", "sex", "male", "/panel", "female", "/ped"),
        ("HG1", "population", "CEU", "/panel", "GBR", "/igsr"),
        ("HG1", "father_id", "HG3", "/new", "HG2", "/ped"),
    }


def test_the_order_of_what_is_given_changes_nothing() -> None:
    records = [
        says("a", "panel", "HG1", sex="male", population="CEU"),
        says("b", "panel", "HG1", sex="female", population="CEU"),
        says("c", "pedigree", "HG1", sex="female", siblings=["HG2", "HG3"]),
        says("d", "pedigree", "HG1", siblings=["HG3", "HG2"], remarks="odd"),
        says("e", "igsr_samples", "HG1", remarks="very odd"),
    ]
    forwards, backwards = put_together(*records), put_together(*records[::-1])
    assert forwards == backwards
    assert forwards.samples[0]["sex"] == "male", "of two panels the first by its path"
    assert forwards.samples[0]["remarks"] == "odd; very odd"
    assert [row["field"] for row in forwards.conflicts] == ["sex", "sex"]


def test_what_only_looks_like_a_difference_is_none() -> None:
    found = put_together(
        says("a", "pedigree_3202", "HG1", family_id="HG1"),
        says("b", "pedigree", "HG1", family_id="BB08", relationship_text="unrel", siblings=["HG2", "HG3"]),
        says("c", "pedigree", "HG1", family_id="HG1", relationship_text="unrels", siblings=["HG3", "HG2"]),
        says("a", "pedigree_3202", "HG2", family_id="HG2"),
    )
    assert found.conflicts == []
    assert [row["family_id"] for row in found.samples] == ["BB08", "HG2"]
    assert (found.samples[0]["relationship"], found.samples[0]["relationship_text"]) == ("unrelated", "unrel")


def test_two_names_of_a_family_and_two_lists_differ() -> None:
    found = put_together(
        says("a", "pedigree_3202", "HG1", family_id="X"),
        says("b", "pedigree", "HG1", family_id="Y", siblings=["HG2"], relationship_text="father"),
        says("c", "pedigree", "HG1", siblings=["HG3", "HG2"], relationship_text="uncle"),
    )
    assert conflicts(found) == {
        ("HG1", "family_id", "X", "/a", "Y", "/b"),
        ("HG1", "siblings", "HG2", "/b", "HG2,HG3", "/c"),
        ("HG1", "relationship_text", "father", "/b", "uncle", "/c"),
    }


def test_what_cannot_be_is_a_conflict() -> None:
    found = put_together(
        says("a", "panel", "HG1", sex="female", population="CEU", superpopulation="AFR"),
        says("a", "panel", "HG2", sex="male"),
        says("b", "pedigree", "HG3", father_id="HG1", mother_id="HG2"),
        says("b", "pedigree", "HG4", father_id="HG5"),
        says("b", "pedigree", "HG5", father_id="HG6"),
        says("b", "pedigree", "HG6", mother_id="HG4"),
        says("b", "pedigree", "HG7", father_id="HG7"),
    )
    assert conflicts(found) == {
        ("HG1", "superpopulation", "AFR", "/a", "EUR", THE_26),
        ("HG3", "father_id", "HG1", "/b", "HG1 is female", "/a"),
        ("HG3", "mother_id", "HG2", "/b", "HG2 is male", "/a"),
        ("HG4", "father_id", "HG5", "/b", "HG5 descends from HG4", "/b"),
        ("HG5", "father_id", "HG6", "/b", "HG6 descends from HG5", "/b"),
        ("HG6", "mother_id", "HG4", "/b", "HG4 descends from HG6", "/b"),
        ("HG7", "father_id", "HG7", "/b", "HG7 descends from HG7", "/b"),
    }


def test_nobody_of_unknown_sex_is_a_father_and_a_mother() -> None:
    found = put_together(
        says("a", "pedigree", "HG1", father_id="HG9", mother_id="HG9"),
        says("a", "pedigree", "HG2", father_id="HG8"),
        says("a", "pedigree", "HG3", mother_id="HG8"),
        says("a", "pedigree", "HG8"),
    )
    assert conflicts(found) == {
        ("HG1", "mother_id", "HG9", "/a", "HG9 is the father of HG1", "/a"),
        ("HG3", "mother_id", "HG8", "/a", "HG8 is the father of HG2", "/a"),
    }


def test_callsets_are_joined_and_strangers_are_told() -> None:
    members = [
        {"callset": "c", "sample_id": "HG1", "load_id": "v"},
        {"callset": "c", "sample_id": "HG9", "load_id": "v"},
        {"callset": "d", "sample_id": "HG9", "load_id": "v"},
    ]
    found = put_together(
        says("a", "panel", "HG1"), says("l", "sample_list", "HG1", callsets=["b", "c"]), members=members
    )
    assert [row["callsets"] for row in found.samples] == [["b", "c"]]
    assert found.strangers == ["HG9"]
    assert conflicts(found) == {("HG9", "sample_id", None, None, "in callset c; in callset d", "/v")}


def test_the_26_populations_and_others() -> None:
    lists = [
        {"load_id": "l", "population": "FIN", "population_name": "Finns", "superpopulation": "AFR"},
        {"load_id": "l", "population": "San", "population_name": "San in Namibia", "superpopulation": None,
         "superpopulation_name": "Africa (HGDP)"},
        {"load_id": "m", "population": "San", "population_name": "another", "superpopulation": "AFR"},
    ]  # fmt: skip
    found = put_together(
        says("a", "panel", "HG1", population="FIN"),
        says("a", "panel", "HG2", population="MKK", superpopulation="AFR"),
        says("a", "panel", "HG3", population="XYZ", superpopulation="AFR"),
        says("a", "panel", "HG4", population="XYZ", superpopulation="EUR"),
        lists=lists,
    )
    rows = {row["population"]: row for row in found.populations}
    assert set(rows) == {*SUPERPOPULATION_OF, "MKK", "San", "XYZ"}
    assert {p: rows[p]["population_name"] for p in SUPERPOPULATION_OF} == {
        p: name for names in POPULATION_NAMES.values() for p, name in names.items()
    }
    assert {p: rows[p]["superpopulation"] for p in SUPERPOPULATION_OF} == SUPERPOPULATION_OF
    assert tuple(rows["FIN"].values()) == ("FIN", "Finnish in Finland", "EUR", "European", 1, ["a", "l"])
    assert tuple(rows["MKK"].values()) == ("MKK", None, "AFR", "African", 1, ["a"])
    assert tuple(rows["San"].values()) == ("San", "San in Namibia", None, "Africa (HGDP)", 0, ["l", "m"])
    assert (rows["XYZ"]["superpopulation"], rows["XYZ"]["n_people"]) == (None, 2)
    assert rows["CEU"]["n_people"] == 0


def test_rows_have_the_columns_of_their_tables() -> None:
    found = put_together(says("a", "panel", "HG1", sex="male"), says("b", "panel", "HG1", sex="female"))
    for rows, table in (
        (found.samples, SAMPLES), (found.conflicts, SAMPLE_CONFLICTS), (found.populations, POPULATIONS)
    ):  # fmt: skip
        assert all(set(row) == set(table.columns) for row in rows)


@pytest.mark.shared
def test_the_archives_files_agree_and_complete_each_other(shared_data: Path) -> None:
    metadata = shared_data / "metadata"
    files = {
        "panel": read_panel(str(metadata / "integrated_call_samples_v3.20130502.ALL.panel.plus31related")),
        "ped": read_pedigree(str(metadata / "20130606_g1k.ped")),
        "new": read_pedigree(str(metadata / "reconstructed_20130606_g1k_3202_samples_ped_population.txt")),
    }
    records = [row | says(k, f.source_kind, row["sample_id"]) for k, f in files.items() for row in f.rows]
    found = put_together(*records)
    with (metadata / "20130606_g1k.ped").open(encoding="utf-8", newline="") as file:
        raw = {row["Individual ID"]: row for row in csv.DictReader(file, delimiter="\t")}
    assert {row["sample_id"] for row in found.samples} == set(raw)
    assert found.conflicts == []
    for row in found.samples:
        line = raw[row["sample_id"]]
        assert row["father_id"] == (None if line["Paternal ID"] == "0" else line["Paternal ID"])
        assert row["mother_id"] == (None if line["Maternal ID"] == "0" else line["Maternal ID"])
        assert row["sex"] == {"1": "male", "2": "female"}[line["Gender"]]
        assert (row["population"], row["family_id"]) == (line["Population"], line["#Family ID"])
        assert row["superpopulation"] == SUPERPOPULATION_OF[line["Population"]]
    counts = Counter(line["Population"] for line in raw.values())
    assert {row["population"]: row["n_people"] for row in found.populations} == counts
