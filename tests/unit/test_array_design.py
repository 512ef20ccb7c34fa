"""Array designs whose probes lie where their genes do: against the lines of a real GTF, and each message.

The designs are written here in the layout that ArrayExpress publishes: tags, ``[main]``, a row a reporter.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgp.config import load_config
from kgp.errors import BuildError, FormatError, UsageError
from kgp.genome import get_build
from kgp.io.expression import design, read_array
from kgp.io.places import Annotation, Place, read_annotation
from kgp.io.places.loci import NO_STRAND
from kgp.params import LoadExpression

GRCH37, GRCH38 = get_build("GRCh37"), get_build("GRCh38")
HEAD = (
    "Array Design Name\tIllumina Human-6 v2 Expression BeadChip\nVersion\t1.0\nProvider\tIllumina, Inc.\n"
    "Comment[ArrayExpressAccession]\tA-MEXP-930\nTerm Source Name\tembl\thugo\n\n[main]\n"
)
COLUMNS = (
    "Reporter Name", "Reporter Sequence", "Reporter Database Entry [hugo]", "Reporter Group[role]", "Control Type",
)  # fmt: skip


@pytest.fixture(scope="module")
def gtf(root: Path) -> Path:
    return root / "tests" / "data" / "expression" / "annotation" / "gencode_human.gtf.gz"


@pytest.fixture(scope="module")
def genes(gtf: Path) -> Annotation:
    return read_annotation(str(gtf), kind="gene", build=GRCH38)


@pytest.fixture(scope="module")
def by_hand(gtf: Path) -> dict[str, tuple[str, int, int, str, str]]:
    """Symbol → contig, first and last base (1-based), strand and id of its gene: lines of the GTF cut by hand."""
    found: dict[str, list[tuple[str, int, int, str, str]]] = {}
    with gzip.open(gtf, "rt") as lines:
        for line in lines:
            cells = line.split("\t")
            if not line.startswith("#") and cells[2] == "gene":
                id, name = (re.search(rf'{key} "([^"]+)"', line)[1] for key in ("gene_id", "gene_name"))
                found.setdefault(name, []).append((cells[0], int(cells[3]), int(cells[4]), cells[6], id))
    return {name: one for name, (one, *more) in found.items() if not more}


def write(
    path: Path, rows: Sequence[Sequence[str]], columns: Sequence[str] = COLUMNS, head: str = HEAD
) -> str:
    path.write_text(head + "".join("\t".join(row) + "\n" for row in (columns, *rows)), encoding="utf-8")
    return str(path)


def row(probe: str, symbol: str) -> list[str]:
    return [probe, "ACGT", symbol, "Experimental", ""]


def place_of(gene: tuple[str, int, int, str, str], symbol: str) -> Place:
    contig, first, last, strand, id = gene
    base, version = id.split(".")
    tss = first if strand == "+" else last
    return Place(contig, first - 1, last, tss, strand, base, int(version), symbol, id)


def test_every_gene_of_a_real_annotation_places_its_probes(
    tmp_path: Path, genes: Annotation, by_hand: Mapping[str, tuple[str, int, int, str, str]]
) -> None:
    symbols = sorted(by_hand)
    assert len(symbols) > 100
    path = write(tmp_path / "A-MEXP-930.adf.txt", [row(f"ILMN_{i}", name) for i, name in enumerate(symbols)])
    found = read_array(path, genes, GRCH38)
    assert (found.name, found.build, found.kind) == ("A-MEXP-930, GENCODE 29, GRCh38", "GRCh38", "probe")
    assert found.counts == {"genes": genes.counts["genes"], "probes": len(symbols)}
    for i, symbol in enumerate(symbols):
        assert found.find(f"ILMN_{i}") == place_of(by_hand[symbol], symbol)
    assert found.find("ILMN_999999") is None


def test_what_finds_no_place_is_counted_by_why(
    tmp_path: Path, genes: Annotation, by_hand: Mapping[str, tuple[str, int, int, str, str]]
) -> None:
    one, other = sorted(by_hand)[:2]
    rows = [
        row("ILMN_1", one),
        row("ILMN_1", one),
        row("ILMN_2", "NOSUCHGENE1"),
        row("ILMN_3", ""),
        row("ILMN_4", f"{one};{other}"),
        row("ILMN_5", f"{one}, NOSUCHGENE1"),
        ["ILMN_6", "", "", "Control", "negative"],
        row("ILMN_7", one),
        row("ILMN_7", other),
        row("", one),
    ]
    found = read_array(write(tmp_path / "a.adf.txt", rows), genes, GRCH38)
    placed = {f"ILMN_{i}" for i in range(1, 8) if found.find(f"ILMN_{i}") is not None}
    assert placed == {"ILMN_1", "ILMN_5"}
    assert {what: n for what, n in found.warnings.items() if what not in genes.warnings} == {
        design.GENE_UNKNOWN: 1, design.WITHOUT_GENE: 2, design.SEVERAL_GENES: 2, design.WITHOUT_NAME: 1,
    }  # fmt: skip


def test_an_ensembl_id_counts_more_than_a_symbol(
    tmp_path: Path, genes: Annotation, by_hand: Mapping[str, tuple[str, int, int, str, str]]
) -> None:
    one, other = sorted(by_hand)[:2]
    columns = (
        "Block Column", "Reporter Name", "Composite Element Name", "Composite Element Database Entry[ensembl]",
        "Composite Element Database Entry[hugo]",
    )  # fmt: skip
    base = by_hand[one][4].split(".")[0]
    rows = [
        ["1", "R1", "C1", f"{base}.1", other],
        ["1", "R2", "C2", "ENSG00000999999", other],
        ["1", "R3", "", "---", one],
    ]
    found = read_array(write(tmp_path / "a.adf.txt", rows, columns), genes, GRCH38)
    of = {name: found.find(name) for name in ("R1", "C1", "R2", "C2", "R3")}
    assert of["R1"] == of["C1"] == of["R3"] == place_of(by_hand[one], one)
    assert of["R2"] == of["C2"] == place_of(by_hand[other], other)
    assert found.find(by_hand[one][4]) == place_of(by_hand[one], one)


OWN = (*COLUMNS, "Reporter Database Entry[chromosome_coordinate:GRCh38]")


def test_a_place_of_the_design_counts_more_than_that_of_the_gene(
    tmp_path: Path, genes: Annotation, by_hand: Mapping[str, tuple[str, int, int, str, str]]
) -> None:
    symbol = next(name for name in sorted(by_hand) if by_hand[name][2] - by_hand[name][1] > 500)
    contig, first, _, strand, id = by_hand[symbol]
    rows = [
        [*row("ILMN_1", symbol), f"{contig}:{first + 100}-{first + 149}"],
        [*row("ILMN_2", symbol), ""],
        [*row("ILMN_3", symbol), "chr22:20000000-20000049:+"],
        [*row("ILMN_4", ""), f"{contig}:{first + 100}-{first + 149}:-"],
    ]
    found = read_array(write(tmp_path / "a.adf.txt", rows, OWN), genes, GRCH38)
    of_gene = place_of(by_hand[symbol], symbol)
    named = (of_gene.gene_id, of_gene.gene_version, symbol, id)
    inside = Place(contig, first + 99, first + 149, of_gene.tss, strand, *named)
    assert found.find("ILMN_1") == inside
    assert found.find("ILMN_2") == of_gene
    assert found.find("ILMN_3") == Place("chr22", 19_999_999, 20_000_049, 20_000_000, "+", *named)
    assert found.find("ILMN_4") == Place(contig, first + 99, first + 149, first + 149, "-")
    assert found.warnings[design.OUTSIDE] == 1
    assert found.warnings[design.WITHOUT_GENE] == 1
    assert found.warnings[NO_STRAND] >= 1


@pytest.mark.parametrize("build", ["ucsc_hg18", "ucsc_hg19", "somewhere"])
def test_places_of_another_build_are_left_where_they_are(
    tmp_path: Path, genes: Annotation, by_hand: Mapping[str, tuple[str, int, int, str, str]], build: str
) -> None:
    symbol = sorted(by_hand)[0]
    columns = (*COLUMNS, f"Reporter Database Entry[chromosome_coordinate:{build}]")
    path = write(tmp_path / "a.adf.txt", [[*row("ILMN_1", symbol), "chr22:20000000-20000049"]], columns)
    found = read_array(path, genes, GRCH38)
    assert found.find("ILMN_1") == place_of(by_hand[symbol], symbol)
    assert found.warnings[design.OTHER_BUILD] == 1


def test_bad_designs(tmp_path: Path, genes: Annotation, by_hand: Mapping[str, object]) -> None:
    path = write(tmp_path / "a.adf.txt", [row("ILMN_1", "NOSUCHGENE1"), row("ILMN_2", "")])
    with pytest.raises(FormatError) as refused:
        read_array(path, genes, GRCH38)
    assert str(refused.value) == (
        f"{path}: None of its 2 probes has a gene that GENCODE 29, GRCh38 has: 1 probes whose gene the annotation does "
        "not have, 1 probes for which the design names no gene. Give the design of a human array, and --annotation "
        "with the symbols of the genes."
    )
    path = write(tmp_path / "b.adf.txt", [["ILMN_1", "ACGT"]], ("Reporter Name", "Reporter Sequence"))
    with pytest.raises(FormatError) as refused:
        read_array(path, genes, GRCH38)
    assert str(refused.value) == (
        f"{path}: Its table names no genes: it has the columns Reporter Name, Reporter Sequence. Give a design with "
        "Reporter Database Entry[hugo] or [ensembl], or a table of places as --annotation."
    )
    (tmp_path / "c.adf.txt").write_text(HEAD + "\t".join(COLUMNS) + "\nILMN_1\tACGT\n")
    with pytest.raises(
        FormatError, match=r"c\.adf\.txt, line 9: It has 2 values where the header has 5\. Mend"
    ):
        read_array(str(tmp_path / "c.adf.txt"), genes, GRCH38)
    (tmp_path / "d.txt").write_text("ILMN_1\tDDX11L1\n")
    with pytest.raises(
        FormatError, match=r"d\.txt: It has no table below a line \[main\]\. Give a MAGE-TAB ADF"
    ):
        read_array(str(tmp_path / "d.txt"), genes, GRCH38)
    symbol = sorted(by_hand)[0]
    path = write(tmp_path / "e.adf.txt", [[*row("ILMN_1", symbol), "chr22:900000000-900000049"]], OWN)
    with pytest.raises(BuildError):
        read_array(path, genes, GRCH38)


def test_a_design_needs_an_annotation() -> None:
    given = {"dataset": "E-MTAB-264", "matrix": ("a.txt",), "design": "a.adf.txt"}
    with pytest.raises(UsageError) as refused:
        load_config(environ={}).params(LoadExpression, given)
    assert str(refused.value) == (
        "--design: A design names the genes of probes; nothing says where those lie. Give --annotation, too: a GTF. "
        "A design that has places itself can be given as --annotation."
    )


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_probe_lies_where_its_one_known_gene_does(
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
    genes: Annotation,
    by_hand: Mapping[str, tuple[str, int, int, str, str]],
) -> None:
    """Whatever the order and the repeats of rows, and however the symbols stand in a cell."""
    symbols = st.sampled_from([*sorted(by_hand)[:6], "NOSUCHGENE1", "NOSUCHGENE2"])
    marks = st.sampled_from([";", " ", " /// "])
    cells = st.lists(symbols, max_size=3).flatmap(lambda some: marks.map(lambda mark: mark.join(some)))
    rows = data.draw(st.lists(st.tuples(st.sampled_from(["P1", "P2", "P3"]), cells), min_size=1, max_size=8))
    rows.append(("always", sorted(by_hand)[0]))
    path = write(tmp_path_factory.mktemp("design") / "a.adf.txt", [row(*one) for one in rows])
    found = read_array(path, genes, GRCH38)
    for probe in {probe for probe, _ in rows}:
        named = {s for p, cell in rows if p == probe for s in re.split(r"[; /]+", cell)} & set(by_hand)
        expected = place_of(by_hand[next(iter(named))], next(iter(named))) if len(named) == 1 else None
        assert found.find(probe) == expected
