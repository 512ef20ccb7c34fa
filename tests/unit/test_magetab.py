"""MAGE-TAB: SDRF, IDF and ADF in the shapes that the real files have, and the real files where they are."""

from __future__ import annotations

import csv
import gzip
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgp.errors import FormatError
from kgp.io.magetab import Step, read_adf, read_idf, read_sdrf
from kgp.io.magetab.sdrf import NODES, parse_header


@pytest.fixture(scope="session")
def magetab(root: Path) -> Path:
    return root / "tests" / "data" / "expression" / "magetab"


def write(tmp_path: Path, text: str | bytes, name: str = "a.sdrf.txt") -> str:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def as_text(step: Step) -> tuple[str, str, list[str]]:
    return step.column.label, step.name, [f"{column.label}={value}" for column, value in step.attributes]


# --------------------------------------------------------------------------------------------------------- SDRF


def test_attributes_keep_their_node_and_repeated_columns_stay_apart(magetab: Path) -> None:
    sdrf = read_sdrf(str(magetab / "E-GEUV-1.sdrf.txt"))
    assert (len(sdrf.rows), sdrf.warnings) == (6, {})
    assert [column.index for column in sdrf.find("protocol  ref")] == [8, 9, 18, 24, 29]
    path = [as_text(step) for step in sdrf.path(sdrf.rows[0])]
    assert [(label, name) for label, name, _ in path] == [
        ("Source Name", "HG00096"),
        ("Protocol REF", "P-GEUV-1"),
        ("Protocol REF", "P-GEUV-2"),
        ("Extract Name", "HG00096.1.M_111124_6 extract"),
        ("Protocol REF", "P-GEUV-5"),
        ("Assay Name", "HG00096.1.M_111124_6"),
        ("Protocol REF", "P-GEUV-6"),
        ("Scan Name", "HG00096.1.M_111124_6_1.fastq.gz"),
        ("Protocol REF", "P-GEUV-7"),
        ("Derived Array Data File", "HG00096.1.M_111124_6.bam"),
    ]
    attributes = {(label, name): told for label, name, told in path}
    assert attributes["Protocol REF", "P-GEUV-5"] == ["Performer=UNIGE"]
    assert attributes["Protocol REF", "P-GEUV-2"] == []
    assert "Comment[ENA_SAMPLE]=ERS900001" in attributes["Source Name", "HG00096"]
    assert "Technology Type=high_throughput_sequencing" in attributes["Assay Name", "HG00096.1.M_111124_6"]
    # Term Source REF stands behind Characteristics[Organism] and belongs to it.
    organism, source, accession = (sdrf.columns[index] for index in (2, 3, 4))
    assert (organism.of, source.of, accession.of) == (0, 2, 2)
    assert sdrf.columns[-1].kind == "factor"


def test_a_repeated_attribute_belongs_to_the_node_that_it_stands_behind(magetab: Path) -> None:
    sdrf = read_sdrf(str(magetab / "E-MTAB-264.sdrf.txt"))
    told = {label: attributes for label, _, attributes in map(as_text, sdrf.path(sdrf.rows[0]))}
    assert "Material Type=cell" in told["Source Name"]
    assert told["Extract Name"] == ["Material Type=total_RNA"]
    assert told["Hybridization Name"] == ["Array Design REF=A-MEXP-930"]
    assert told["Labeled Extract Name"] == ["Label=biotin"]


def test_headers_in_any_case_and_spacing() -> None:
    header = [
        "source name", "CHARACTERISTICS [Sex]", "Characteristics[Age]", "Unit[TimeUnit]", "ProtocolREF",
        "Parameter  Value[dose]", "DATE", "Labelled Extract Name", "hybridisation name", "FactorValue [CELL LINE]",
        "Term Source REF", "Array_Data_File",
    ]  # fmt: skip
    assert [(c.label, c.kind, c.of) for c in parse_header(header)] == [
        ("Source Name", "node", None),
        ("Characteristics[Sex]", "attribute", 0),
        ("Characteristics[Age]", "attribute", 0),
        ("Unit[TimeUnit]", "attribute", 2),
        ("Protocol REF", "protocol", None),
        ("Parameter Value[dose]", "attribute", 4),
        ("Date", "attribute", 4),
        ("Labeled Extract Name", "node", None),
        ("Hybridization Name", "node", None),
        ("Factor Value[CELL LINE]", "factor", None),
        ("Term Source REF", "attribute", 9),
        ("Array Data File", "node", None),
    ]


def test_latin1_windows_line_ends_comments_quotes_stray_tabs(tmp_path: Path) -> None:
    text = (
        b"\xef\xbb\xbf# made by hand\r\n"
        b"Source Name\tComment [ENA_RUN]\tAssay Name\t\t\r\n"
        b"\r\n"
        b'"HG00001"\tERR1\t"A ""1"""\t\t\t\r\n'
        b"# between\r\n"
        b"HG00002\tERR2\tA\xe9\t\t\r\n"
        b'HG00003\tERR3\t5" end'
    )
    sdrf = read_sdrf(write(tmp_path, text))
    assert sdrf.rows == (
        ("HG00001", "ERR1", 'A "1"'),
        ("HG00002", "ERR2", "A\xe9"),
        ("HG00003", "ERR3", '5" end'),
    )
    assert sdrf.line_numbers == (4, 6, 7)
    assert sdrf.warnings == {
        "stray tabs at the end of the header": 1,
        "stray tabs at the end of a row": 2,
        "line that is Latin-1, not UTF-8": 1,
        "quote that is not closed": 1,
    }


def test_line_ends_of_old_macs_gzip_and_a_file_of_several_sections(tmp_path: Path) -> None:
    rows = (("HG00001", "A1"), ("HG00002", "A2"))
    old = read_sdrf(write(tmp_path, "Source Name\tAssay Name\rHG00001\tA1\rHG00002\tA2\r"))
    assert (old.rows, old.line_numbers) == (rows, (2, 3))
    packed = gzip.compress(b"Source Name\tAssay Name\nHG00001\tA1\nHG00002\tA2\n")
    assert read_sdrf(write(tmp_path, packed)).rows == rows
    both = "[IDF]\nInvestigation Title\tT\n[SDRF]\nSource Name\tAssay Name\nHG00001\tA1\nHG00002\tA2\n"
    assert read_sdrf(write(tmp_path, both)).rows == rows
    assert read_idf(write(tmp_path, both)).rows == (("Investigation Title", ("T",)),)


def test_a_strange_column_is_kept_and_counted(tmp_path: Path) -> None:
    sdrf = read_sdrf(write(tmp_path, "Source Name\tShoe Size\tAssay Name\nHG00001\t44\tA1\n"))
    assert sdrf.columns[1].label == "Shoe Size"
    assert sdrf.rows == (("HG00001", "44", "A1"),)
    assert sdrf.warnings == {"column 'Shoe Size' that MAGE-TAB does not have": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", r"a\.sdrf\.txt, line 1: It has no column 'Source Name'\. Give a MAGE-TAB SDRF\."),
        (b"Sample\tRun\na\tb\n", r"line 1: It has no column 'Source Name'"),
        (b"Source Name\tAssay Name\n\nHG1\n", r"a\.sdrf\.txt, line 3: It has 1 values where the header has 2"),
        (b"Source Name\tAssay Name\nHG1\tA\tB\n", r"line 2: It has 3 values where the header has 2"),
        ("Source Name".encode("utf-16"), r"It is UTF-16\. Save it as UTF-8\."),
        (b"Source Name\tAssay Name\nHG1\tA\0B\n", r"line 2: It is no text: it has zero bytes\."),
        (gzip.compress(b"Source Name\tAssay Name\n" * 99)[:-9], r"byte 0.*Fetch the file again|Fetch the file again"),
    ],
    ids=["empty", "no-source", "short-row", "long-row", "utf-16", "zero-bytes", "cut-off-gzip"],
)  # fmt: skip
def test_bad_sdrf(text: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message):
        read_sdrf(write(tmp_path, text))


@pytest.mark.parametrize("keep", [0.3, 0.7, 0.95])
def test_an_sdrf_that_is_cut_off_is_none_with_a_short_row(keep: float, tmp_path: Path) -> None:
    rows = "".join(f"HG{number:05}\tA{number}\tx\n" for number in range(9999))
    data = gzip.compress(f"Source Name\tAssay Name\tLabel\n{rows}".encode())
    with pytest.raises(FormatError, match=r"The gzip stream is cut off\. Fetch the file again"):
        read_sdrf(write(tmp_path, data[: int(len(data) * keep)]))


CELLS = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters='"#'),
    min_size=1,
    max_size=8,
)
LABELS = st.one_of(
    st.sampled_from(NODES),
    st.sampled_from(("Protocol REF", "Performer", "Material Type", "Technology Type")),
    st.sampled_from(("Comment", "Characteristics", "Parameter Value", "Factor Value")).flatmap(
        lambda name: st.from_regex(r"[A-Za-z]{1,6}", fullmatch=True).map(lambda detail: f"{name}[{detail}]")
    ),
)


def spell(label: str, style: int) -> str:
    """A label as another author would write it."""
    name, bracket, detail = label.partition("[")
    return (label, f"{name} {bracket}{detail}".rstrip(), f"{name.upper()}{bracket}{detail}")[style]


@given(data=st.data())
def test_what_is_written_is_read(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    labels = ["Source Name", *data.draw(st.lists(LABELS, max_size=12))]
    rows = data.draw(st.lists(st.lists(CELLS, min_size=len(labels), max_size=len(labels)), max_size=5))
    end = data.draw(st.sampled_from(("\n", "\r\n")))
    header = [spell(label, data.draw(st.integers(0, 2))) for label in labels]
    quoted = [[f'"{cell}"' if len(cell) % 2 else cell for cell in row] for row in rows]
    text = end.join("\t".join(cells) for cells in (header, *quoted)) + data.draw(st.sampled_from(("", end)))
    path = tmp_path_factory.mktemp("sdrf") / "a.txt"
    path.write_bytes(text.encode())
    sdrf = read_sdrf(str(path))
    assert [column.label for column in sdrf.columns] == labels
    assert [list(row) for row in sdrf.rows] == rows
    for row in rows:
        expected: list[tuple[str, str, list[str]]] = []
        for label, cell in zip(labels, row, strict=True):
            if label in NODES or label == "Protocol REF":
                expected.append((label, cell, []))
            elif not label.startswith("Factor Value"):
                expected[-1][2].append(f"{label}={cell}")
        assert [as_text(step) for step in sdrf.path(row)] == expected


def test_the_sdrf_of_geuvadis(shared_data: Path) -> None:
    path = shared_data / "metadata/E-GEUV-1.sdrf.txt"
    with path.open(encoding="utf-8", newline="") as file:
        header, *raw = csv.reader(file, delimiter="\t")
    sdrf = read_sdrf(str(path))
    assert [list(row) for row in sdrf.rows] == raw
    assert [re.sub(r" \[", "[", cell) for cell in header] == [column.label for column in sdrf.columns]
    assert len(sdrf.find("Protocol REF")) == header.count("Protocol REF") == 5
    assert sdrf.warnings == {}
    performers = {
        value
        for row in sdrf.rows
        for step in sdrf.path(row)
        if step.name == "P-GEUV-5"
        for _, value in step.attributes
    }
    assert performers == {row[header.index("Performer")] for row in raw}


def test_the_sdrf_of_hapmap3(shared_data: Path) -> None:
    path = shared_data / "metadata/E-MTAB-264.sdrf.txt"
    with path.open(encoding="utf-8", newline="") as file:
        header, *raw = csv.reader(file, delimiter="\t")
    sdrf = read_sdrf(str(path))
    assert [list(row) for row in sdrf.rows] == raw
    first, second = sdrf.find("Material Type")
    assert ({row[first.index] for row in sdrf.rows}, {row[second.index] for row in sdrf.rows}) == (
        {"cell"},
        {"total_RNA"},
    )
    assert (sdrf.columns[first.of or 0].name, sdrf.columns[second.of or 0].name) == (
        "Source Name",
        "Extract Name",
    )
    assert header.count("Material Type") == 2


# ---------------------------------------------------------------------------------------------------------- IDF


def test_idf(magetab: Path) -> None:
    idf = read_idf(str(magetab / "E-MTAB-264.idf.txt"))
    assert idf.first("investigation title") == "Expression arrays of HapMap 3"
    assert idf.sdrf_files == ("E-MTAB-264.sdrf.txt",)
    assert idf.find("Person First Name") == (("Zo\xeb", "Ann"),)
    assert idf.find("Comment[SecondaryAccession]") == (("A",), ("B",))
    assert idf.find("Protocol Description") == (('Cells were "grown" as usual.', "Total RNA was taken."),)
    assert idf.first("Shoe Size") is None
    assert idf.warnings == {"line that is Latin-1, not UTF-8": 1}


def test_what_is_no_idf(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"a: It has no line 'Investigation Title'\. Give a MAGE-TAB IDF\."):
        read_idf(write(tmp_path, "Source Name\nHG1\n", "a"))


# ---------------------------------------------------------------------------------------------------------- ADF


def test_adf(magetab: Path) -> None:
    adf = read_adf(str(magetab / "A-MEXP-930.adf.txt"))
    assert (adf.name, adf.accession) == ("Illumina Human-6 v2 Expression BeadChip", "A-MEXP-930")
    assert adf.header["Term Source Name"] == ("mo", "embl", "hugo")
    assert adf.header["Comment[Note]"] == ("a", "b")
    assert adf.columns[4] == "Reporter Database Entry[embl]"
    symbol = adf.find("composite element database entry [HUGO]")
    assert symbol is not None
    assert {cells[0]: cells[symbol] for _, cells in adf.rows()} == {
        "ILMN_1343291": "EEF1A1", "ILMN_1343295": "GAPDH", "ILMN_9999999": "",
    }  # fmt: skip
    assert [number for number, _ in adf.rows()] == [16, 17, 18]
    assert adf.find("Shoe Size") is None


def test_adf_with_a_header_section_and_a_mapping(tmp_path: Path) -> None:
    text = (
        "[header]\t\n# a comment\t\nArray Design Name\tmine\t\n\t\n[main]\t\n# another\t\n"
        "Block Column\tReporter Name\tComposite Element Name\n1\tR1\tC1\n2\tR2\tC1\t\t\n\n"
        "[mapping]\t\nMap2Reporters\tComposite Element Name\nR1;R2\tC1\n"
    )
    adf = read_adf(write(tmp_path, text))
    assert adf.header == {"Array Design Name": ("mine",)}
    assert [cells for _, cells in adf.rows()] == [("1", "R1", "C1"), ("2", "R2", "C1")]
    assert adf.warnings == {"stray tabs at the end of a row": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Array Design Name\tx\n", r"It has no table below a line \[main\]"),
        ("Array Design Name\tx\n[main]\nA\tB\n", r"line 3: Its table has no column 'Reporter Name' or"),
    ],
    ids=["no-table", "no-reporters"],
)
def test_bad_adf(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message):
        read_adf(write(tmp_path, text))


def test_a_short_row_of_an_adf_says_its_line(tmp_path: Path) -> None:
    adf = read_adf(write(tmp_path, "[main]\nReporter Name\tReporter Sequence\nR1\n"))
    with pytest.raises(FormatError, match=r"line 3: It has 1 values where the header has 2"):
        list(adf.rows())


def test_a_large_adf_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.adf.txt"
    row = "\t".join(["ILMN_{}", "A" * 50, "x" * 300])
    with path.open("w", encoding="utf-8") as file:
        file.write("Array Design Name\tlarge\n[main]\nReporter Name\tReporter Sequence\tComment[note]\n")
        for number in range(60_000):
            file.write(row.format(number) + "\n")
    assert path.stat().st_size > 20_000_000
    adf = read_adf(str(path))
    tracemalloc.start()
    try:
        n = sum(1 for _ in adf.rows())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert n == 60_000
    assert peak < 12_000_000
