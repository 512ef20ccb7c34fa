"""Places from BED, tables and array designs: real ones against a plain parse, and every wrong line's message."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgp.errors import BuildError, FormatError
from kgp.genome import GRCH37, GRCH38, get_build
from kgp.io.places import Place, read_annotation, split_version
from kgp.io.places.landmarks import check_landmarks
from kgp.io.places.loci import NO_STRAND, SEVERAL_PLACES
from kgp.io.places.probes import WITHOUT_PLACE


def write(path: Path, text: str | bytes) -> str:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def read_plainly(path: Path) -> Iterator[list[str]]:
    raw = path.read_bytes()
    text = gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw
    return (line.split("\t") for line in text.decode().splitlines())


# -- ids


@pytest.mark.parametrize(
    ("id", "expected"),
    [
        ("ENSG00000100376.7", ("ENSG00000100376", 7)),
        ("ENSG00000100376", ("ENSG00000100376", None)),
        ("ENST00000408577.12", ("ENST00000408577", 12)),
        ("ENSE00002234944.1", ("ENSE00002234944", 1)),
        ("ENSG00000182378.14_PAR_Y", ("ENSG00000182378_PAR_Y", 14)),
        ("ENSGR0000182378.10", ("ENSGR0000182378", 10)),
        ("ENSG00000223972.5_2", ("ENSG00000223972", 5)),
        ("ENSG00000182378.14_8_PAR_Y", ("ENSG00000182378_PAR_Y", 14)),
        ("ENSG00000227232.4_14363_14829", ("ENSG00000227232.4_14363_14829", None)),
        ("AC000123.4", ("AC000123.4", None)),
        ("NM_001005484.2", ("NM_001005484.2", None)),
        ("ILMN_1762337", ("ILMN_1762337", None)),
        ("hsa-miR-22-3p", ("hsa-miR-22-3p", None)),
        ("", ("", None)),
    ],
)
def test_split_version(id: str, expected: tuple[str, int | None]) -> None:
    assert split_version(id) == expected


# -- BED


def test_real_bed_without_header_and_strand(shared_data: Path) -> None:
    path = shared_data / "expression" / "genes_chr19.bed"
    annotation = read_annotation(str(path), kind="gene", build=GRCH37)
    rows = list(read_plainly(path))
    assert len(rows) == 1426
    assert annotation.counts == {"genes": len(rows)}
    assert annotation.warnings == {NO_STRAND: len(rows)}
    assert annotation.build == "GRCh37"  # APOE and LDLR are among them
    for contig, start, end, id in rows:
        stem, version = id.split(".")
        assert annotation.find(id) == Place(
            contig, int(start), int(end), int(start) + 1, None, stem, int(version), None, None
        )
    with pytest.raises(BuildError, match="beyond the 58,617,616 bases"):
        read_annotation(str(path), kind="gene", build=GRCH38)


def test_real_transcripts_are_placed_by_their_genes(shared_data: Path) -> None:
    """4,776 of the 5,408 transcripts belong to a gene of the BED, whose ids have the same versions."""
    folder = shared_data / "expression"
    annotation = read_annotation(str(folder / "genes_chr19.bed"), kind="transcript", build=GRCH37)
    known = {row[3] for row in read_plainly(folder / "genes_chr19.bed")}
    rows = list(read_plainly(folder / "TrQuantCount_CEU_chr19.tsv"))[1:]
    assert len(rows) == 5408
    assert not any(annotation.find(row[0]) for row in rows)
    found = [row for row in rows if annotation.find(row[1]) is not None]
    assert found == [row for row in rows if row[1] in known]
    assert len(found) == 4776
    for row in found:
        place = annotation.find(row[1])
        assert (place.group_id, f"{place.gene_id}.{place.gene_version}") == (row[1], row[1])


def test_real_bed_with_header_and_strand(bundled: Path) -> None:
    path = bundled / "genes.50percent.chr22.bed.gz"
    annotation = read_annotation(str(path), kind="gene", build=GRCH37)
    header, *rows = read_plainly(path)
    columns = {name.lstrip("#"): index for index, name in enumerate(header[:6])}
    assert annotation.counts == {"genes": len(rows)}
    for row in rows:
        start, end, strand = int(row[columns["start"]]), int(row[columns["end"]]), row[columns["strand"]]
        tss = end if strand == "-" else start + 1
        place = annotation.find(row[columns["gene"]])
        assert (place.start, place.end, place.tss, place.strand) == (start, end, tss, strand)


BEDS = {
    "four columns": ("22\t99\t200\tG.1\n", (99, 200, 100, None)),
    "six columns": ("22\t99\t200\tG.1\t0\t-\n", (99, 200, 200, "-")),
    "QTLtools": ("#chr\tstart\tend\tpid\tgid\tstrand\n22\t99\t200\tG.1\tA\t-\n", (99, 200, 200, "-")),
    "strand in the fifth": ("22\t99\t200\tG.1\t+\n", (99, 200, 100, "+")),
    "TSS alone": ("22\t99\t100\tG.1\t0\t-\n", (99, 100, 100, "-")),
    "track line": ("track name=a\n22\t99\t200\tG.1\n\n", (99, 200, 100, None)),
    "comments": ("# made by hand\n22\t99\t200\tG.1\n# end\n", (99, 200, 100, None)),
    "Windows, byte order mark": ("\ufeff22\t99\t200\tG.1\t0\t+\r\n", (99, 200, 100, "+")),
    "no last line end": ("22\t99\t200\tG.1", (99, 200, 100, None)),
    "samples behind": ("#chr\tstart\tend\tid\tNA1\tNA2\n22\t99\t200\tG.1\t0.5\t1\n", (99, 200, 100, None)),
}  # fmt: skip


@pytest.mark.parametrize("name", BEDS)
@pytest.mark.parametrize("is_gzip", [False, True], ids=["plain", "gzip"])
def test_forms_of_bed(tmp_path: Path, name: str, is_gzip: bool) -> None:
    text, expected = BEDS[name]
    path = write(tmp_path / "a", gzip.compress(text.encode()) if is_gzip else text)
    place = read_annotation(path, kind="gene", build=GRCH37).find("G.1")
    assert (place.start, place.end, place.tss, place.strand) == expected
    assert (place.gene_id, place.gene_version) == ("G.1", None)


def test_a_bed_whose_ids_are_no_genes_has_no_genes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bed", "22\t99\t200\tENST00000408577.1\n22\t99\t200\tENSG00000100376.7\n")
    annotation = read_annotation(path, kind="transcript", build=GRCH37)
    assert annotation.find("ENST00000408577.1") == Place("22", 99, 200, 100)
    assert annotation.find("ENSG00000100376").group_id == "ENSG00000100376"


# -- tables


def test_the_eqtl_catalogues_table(shared_data: Path) -> None:
    path = shared_data / "expression" / "qtlmap" / "GEUVADIS_phenotype_metadata.tsv"
    annotation = read_annotation(str(path), kind="gene", build=GRCH38)
    header, *rows = read_plainly(path)
    assert len(rows) == 80
    assert annotation.counts == {"genes": 80}
    assert annotation.warnings == {}
    for row in (dict(zip(header, row, strict=True)) for row in rows):
        tss, strand = int(row["phenotype_pos"]), {"1": "+", "-1": "-"}[row["strand"]]
        expected = Place(
            row["chromosome"], tss - 1, tss, tss, strand, row["gene_id"], None, None, row["group_id"]
        )
        assert annotation.find(row["phenotype_id"]) == expected
        assert annotation.find(f"{row['phenotype_id']}.3").gene_version == 3


def test_a_table_with_starts_and_ends(tmp_path: Path) -> None:
    text = "phenotype_id\tcontig\tstart\tend\tstrand\tgene_name\nP\tchr22\t99\t200\t-\tSYN\xc9\nQ\t22\t5\t6\t.\tNA\n"
    annotation = read_annotation(
        write(tmp_path / "a.tsv", text.encode("latin-1")), kind="mirna", build=GRCH37
    )
    assert annotation.find("P") == Place("chr22", 99, 200, 200, "-", gene_name="SYN\xc9")
    assert annotation.find("Q") == Place("22", 5, 6, 6)
    assert annotation.warnings == {NO_STRAND: 1}


TABLE = "phenotype_id\tcontig\tstart\tend\tstrand\nP\t22\t99\t200\t+\n"
WRONG = [
    ("22\t99\t200\t+", "22\t99\t200", None, "has 4 columns separated by tabs, fewer than the 5"),
    ("99", "x", "start", "'x' is no position"),
    ("99", "-1", "start", "'-1' is no position"),
    ("200", "2e5", "end", "'2e5' is no position"),
    ("99", "200", "end", "from 200 to 200"),
    ("99", "300", "end", "from 300 to 200"),
    ("\t+", "\t?", "strand", "'?' is no strand"),
    ("P", "", "phenotype_id", "The cell is empty"),
    ("\t22\t", "\t\t", "contig", "The cell is empty"),
]


@pytest.mark.parametrize(("old", "new", "column", "what"), WRONG)
def test_a_wrong_line_of_a_table_is_named(
    tmp_path: Path, old: str, new: str, column: str | None, what: str
) -> None:
    bad = TABLE.splitlines()[1].replace(old, new, 1)
    path = write(tmp_path / "a.tsv", f"{TABLE}\n{bad}\n")
    with pytest.raises(FormatError) as caught:
        read_annotation(path, kind="gene", build=GRCH37)
    assert caught.value.where == f"{path}, line 4" + (f", column {column}" if column else "")
    assert what in caught.value.what
    assert caught.value.mend


@pytest.mark.parametrize("tss", ["0", "x"])
def test_a_tss_that_is_none(tmp_path: Path, tss: str) -> None:
    path = write(tmp_path / "a.tsv", f"phenotype_id\tchromosome\tphenotype_pos\nP\t22\t{tss}\n")
    with pytest.raises(FormatError, match="line 2, column phenotype_pos"):
        read_annotation(path, kind="gene", build=GRCH37)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no line but comments"),
        ("# nothing\n", "no line but comments"),
        ("phenotype_id\tcontig\tstart\tend\n", "no line with a place"),
        ("gene,chrom,start\nA,1,2\n", "Its columns are not separated by tabs"),
        ("22 99 200 G.1\n", "Its columns are not separated by tabs"),
        ("gene\tvalue\nA\t2\n", "none of the forms that tell places."),
    ],
)
def test_a_file_of_no_known_form(tmp_path: Path, text: str, what: str) -> None:
    path = write(tmp_path / "a.txt", text)
    with pytest.raises(FormatError) as caught:
        read_annotation(path, kind="gene", build=GRCH37)
    assert what in caught.value.what
    assert caught.value.where.startswith(path)
    assert caught.value.mend


def test_a_truncated_table_is_one_message(tmp_path: Path) -> None:
    lines = "".join(f"22\t{n}\t{n + 7 * n % 1000 + 1}\tG{n * 7919}\n" for n in range(5000))
    raw = gzip.compress(lines.encode())
    path = write(tmp_path / "a.bed.gz", raw[: len(raw) // 2])
    with pytest.raises(FormatError, match=r"The gzip stream is cut off\. Fetch the file again\."):
        read_annotation(path, kind="gene", build=GRCH37)


def test_a_credential_is_never_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "gene\tvalue\n")
    with pytest.raises(FormatError) as caught:
        read_annotation(f"file://{path}", kind="gene", build=GRCH37)
    assert caught.value.where == f"{path}, line 1"


# -- array designs


ADF = """Array Design Name\tIllumina Human-6 v2
Version\t1
Printing Protocol\tnone

[main]
Row\tReporter Name\tReporter Database Entry [chromosome_coordinate:GRCh37]\tReporter Database Entry[hugo]\tRole
1\tILMN_1\tchr22:1000-1049\tAAA\tExperimental
1\tILMN_2\tchr7:20147187-20147236;chr9:1-50\tBBB\tExperimental
1\tILMN_3\t\tCCC\tExperimental
1\tILMN_4\tchrX:100-120:500-530:-\tDDD\tExperimental
1\tILMN_1\tchr22:1000-1049\tAAA\tExperimental
"""


def test_an_array_design(tmp_path: Path) -> None:
    path = write(tmp_path / "A-MEXP-1.adf.txt", ADF.replace("\n", "\r\n"))
    annotation = read_annotation(path, kind="probe", build=GRCH37)
    assert annotation.build == "GRCh37"
    assert annotation.find("ILMN_1") == Place("chr22", 999, 1049, 1000, gene_name="AAA")
    assert annotation.find("ILMN_4") == Place("chrX", 99, 530, 530, "-", gene_name="DDD")
    assert annotation.find("ILMN_2") is annotation.find("ILMN_3") is None
    assert annotation.warnings == {WITHOUT_PLACE: 1, SEVERAL_PLACES: 1, NO_STRAND: 2}
    with pytest.raises(BuildError, match=r"is on GRCh37, not on GRCh38.*Use --build GRCh37"):
        read_annotation(path, kind="probe", build=GRCH38)


MANIFEST = """[Heading]
Date\t1/1/2010

[Probes]
Species\tSymbol\tProbe_Id\tChromosome\tProbe_Chr_Orientation\tProbe_Coordinates\tDefinition
Homo sapiens\tSTEAP1B\tILMN_1\t7\t-\t20147187-20147236\ta, b
Homo sapiens\tA1BG\tILMN_2\t19\t+\t100-120:500-530\t
Homo sapiens\tNONE\tILMN_3\t\t\t\t
[Controls]
Probe_Id\tx
ERCC\t1
"""


@pytest.mark.parametrize("name", ["manifest", "platform"])
def test_illuminas_manifest_and_geos_platform_table(tmp_path: Path, name: str) -> None:
    text = MANIFEST
    if name == "platform":
        text = MANIFEST[MANIFEST.index("Species") : MANIFEST.index("[Controls]")].replace("Probe_Id", "ID")
        text = f"^PLATFORM = GPL0\n!Platform_title = x\n#ID = id\n!platform_table_begin\n{text}!platform_table_end\n"
    annotation = read_annotation(write(tmp_path / "a.txt", text), kind="probe", build=GRCH37)
    assert annotation.counts == {"probes": 2}
    assert annotation.find("ILMN_1") == Place("7", 20147186, 20147236, 20147236, "-", gene_name="STEAP1B")
    assert annotation.find("ILMN_2") == Place("19", 99, 530, 100, "+", gene_name="A1BG")
    assert annotation.warnings == {WITHOUT_PLACE: 1}


def test_a_simple_table_of_probes(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.tsv", "probe_id\tchrom\tstart\tend\tstrand\tsymbol\nILMN_1\t22\t99\t149\t+\tAAA\n"
    )
    annotation = read_annotation(path, kind="probe", build=GRCH37)
    assert annotation.find("ILMN_1") == Place("22", 99, 149, 100, "+", gene_name="AAA")


@pytest.mark.parametrize("span", ["here", "chr22:1049-1000", "chr22:0-20"])
def test_a_probe_with_a_wrong_place(tmp_path: Path, span: str) -> None:
    path = write(tmp_path / "a.adf.txt", ADF.replace("chr22:1000-1049", span, 1))
    with pytest.raises(FormatError) as caught:
        read_annotation(path, kind="probe", build=GRCH37)
    column = "Reporter Database Entry[chromosome_coordinate:GRCh37]"
    assert caught.value.where == f"{path}, line 7, column {column}"
    assert f"'{span}' is no place" in caught.value.what
    assert "Write chr1:1234-5678" in caught.value.mend


def test_a_design_without_places(tmp_path: Path) -> None:
    text = ADF.replace("chromosome_coordinate:GRCh37", "refseq")
    with pytest.raises(FormatError, match="line 6: It names probes and genes, but no places"):
        read_annotation(write(tmp_path / "a.adf.txt", text), kind="probe", build=GRCH37)
    header = ADF[: ADF.index("1\tILMN_1")]
    with pytest.raises(FormatError, match="No probe of it has a place"):
        read_annotation(write(tmp_path / "b.adf.txt", header), kind="probe", build=GRCH37)


# -- the build


@pytest.mark.parametrize("kind", ["gene", "transcript"])
def test_a_table_of_another_build_is_told_by_a_gene(tmp_path: Path, kind: str) -> None:
    """APOE begins at 45,409,011 in GENCODE 12 on GRCh37 and at 44,905,791 in GENCODE 29 on GRCh38."""
    here = "phenotype_id\tchromosome\tphenotype_pos\tstrand\nENSG00000130203.5\t19\t45409011\t1\n"
    there = here.replace("45409011", "44905791")
    for text, right, wrong in ((here, GRCH37, GRCH38), (there, GRCH38, GRCH37)):
        path = write(tmp_path / "a.tsv", text)
        assert read_annotation(path, kind=kind, build=right).build == right.name
        with pytest.raises(BuildError) as caught:
            read_annotation(path, kind=kind, build=wrong)
        assert f"which is its place in {right.name}, not in {wrong.name}" in caught.value.what
        assert f"--build {right.name}" in caught.value.mend
        assert caught.value.where == path


def test_a_gene_elsewhere_says_nothing() -> None:
    far = Place("19", 20_000_000, 20_000_100, 20_000_001, "+")
    other_contig = Place("2", 45_409_010, 45_409_100, 45_409_011, "+")
    for place in (far, other_contig, None):
        assert check_landmarks("a.bed", lambda id, place=place: place, GRCH38) is False


def test_ncbi36_has_pten_near_its_place_in_grch37() -> None:
    """UCSC's hg18 has PTEN at chr10:89,613,175-89,718,512, 10,020 bases before hg19's."""
    pten = Place("10", 89_613_174, 89_718_512, 89_613_175, "+")
    places = {"ENSG00000171862": pten}
    assert check_landmarks("a.bed", places.get, get_build("NCBI36")) is False
    tp53 = Place("17", 7_571_719, 7_590_868, 7_590_863, "-")
    with pytest.raises(BuildError, match=r"TP53.* in GRCh37, not in NCBI36"):
        check_landmarks("a.bed", {"ENSG00000141510": tp53}.get, get_build("NCBI36"))


def test_the_landmarks_agree_with_real_genes(shared_data: Path) -> None:
    """GENCODE 12 on GRCh37: what the BED has of them confirms its build and none denies it."""
    path = shared_data / "expression" / "genes_chr19.bed"
    places = {row[3].split(".")[0]: int(row[1]) for row in read_plainly(path)}
    assert abs(places["ENSG00000130203"] - 45_409_039) < 20_000
    assert abs(places["ENSG00000130164"] - 11_200_057) < 20_000


# -- any places


@settings(deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 10**7), st.integers(1, 10**6), st.sampled_from("+-.")),
        min_size=1,
        max_size=30,
    )
)
def test_every_row_of_a_bed_is_found(tmp_path_factory: pytest.TempPathFactory, rows) -> None:
    text = "".join(f"chr7\t{s}\t{s + n}\tP{i}\t0\t{strand}\n" for i, (s, n, strand) in enumerate(rows))
    path = write(tmp_path_factory.getbasetemp() / "property.bed", text)
    annotation = read_annotation(path, kind="exon", build=GRCH38)
    assert annotation.counts == {"exons": len(rows)}
    assert annotation.warnings.get(NO_STRAND, 0) == sum(strand == "." for _, _, strand in rows)
    for i, (start, n, strand) in enumerate(rows):
        tss = start + n if strand == "-" else start + 1
        assert annotation.find(f"P{i}") == Place("chr7", start, start + n, tss, strand.strip(".") or None)
