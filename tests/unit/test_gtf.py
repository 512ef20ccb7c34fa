"""GTF: genes, transcripts, exons and miRNAs of real excerpts against a plain parse, and every wrong line's message."""

from __future__ import annotations

import gzip
import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgp.errors import BuildError, FormatError, InputError
from kgp.genome import GRCH37, GRCH38, NCBI36
from kgp.io.places import Annotation, Place, read_annotation
from kgp.io.places.loci import COPY_ON_Y, NO_STRAND, SEVERAL_PLACES, UNKNOWN_CONTIG
from kgp.io.places.model import AMBIGUOUS, EXACT, OTHER_VERSION, OUTSIDE_OF_GENE, UNKNOWN

GENE_LINE = '22\thavana\tgene\t100\t300\t.\t+\t.\tgene_id "ENSG00000000001.2"; gene_name "A";\n'


@pytest.fixture
def excerpts(root: Path) -> Path:
    return root / "tests" / "data" / "expression" / "annotation"


def write(path: Path, text: str | bytes) -> str:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def parse_plainly(path: Path, feature: str) -> list[dict[str, str]]:
    """Every line of a feature: its columns and attributes, by splitting alone."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = []
    for line in text.decode().splitlines():
        cells = line.split("\t")
        if line.startswith("#") or cells[2] != feature:
            continue
        row = {"contig": cells[0], "start": cells[3], "end": cells[4], "strand": cells[6]}
        for attribute in filter(None, (part.strip() for part in cells[8].split(";"))):
            key, _, value = attribute.replace("=", " ", 1).partition(" ")
            row.setdefault(key, value.strip('"'))
        rows.append(row)
    return rows


def place_of_row(row: dict[str, str]) -> tuple[str, int, int, int, str]:
    start, end = int(row["start"]), int(row["end"])
    return row["contig"], start - 1, end, start if row["strand"] == "+" else end, row["strand"]


def extent(place: Place | None) -> tuple[object, ...]:
    assert place is not None
    return place.source_contig, place.start, place.end, place.tss, place.strand


@pytest.mark.parametrize(
    ("file", "name", "n", "build"),
    [
        ("gencode_human.gtf.gz", "GENCODE 29, GRCh38", 119, GRCH38),
        ("gencode_human.gff3", "GENCODE 28, GRCh38", None, GRCH38),
        ("gencode-v19.gtf", "GENCODE 19, GRCh37", 1, GRCH37),
        ("ensembl_human.gtf.gz", "ensembl_human.gtf.gz", 84, GRCH38),
    ],
)
def test_genes_of_real_excerpts(excerpts: Path, file: str, name: str, n: int | None, build) -> None:
    annotation = read_annotation(str(excerpts / file), kind="gene", build=build)
    rows = parse_plainly(excerpts / file, "gene")
    assert annotation.name == name
    assert annotation.counts == {"genes": len(rows)}
    assert n is None or len(rows) == n
    assert annotation.warnings == {}
    for row in rows:
        place = annotation.find(row["gene_id"])
        assert extent(place) == place_of_row(row)
        stem, _, version = row["gene_id"].partition(".")
        assert (place.gene_id, place.gene_version) == (stem, int(version or row["gene_version"]))
        assert (place.gene_name, place.group_id) == (row["gene_name"], None)
        assert annotation.find(stem) is not None


@pytest.mark.parametrize("file", ["gencode_human.gtf.gz", "gencode_human.gff3", "ensembl_human.gtf.gz"])
def test_transcripts_have_their_own_extent_and_their_gene_as_group(excerpts: Path, file: str) -> None:
    annotation = read_annotation(str(excerpts / file), kind="transcript", build=GRCH38)
    rows = parse_plainly(excerpts / file, "transcript")
    assert annotation.counts["transcripts"] == len(rows)
    for row in rows:
        place = annotation.find(row["transcript_id"])
        assert extent(place) == place_of_row(row)
        assert place.group_id == row["gene_id"]


def test_exons_have_their_own_extent_and_the_tss_of_their_gene(excerpts: Path) -> None:
    path = excerpts / "gencode_human.gtf.gz"
    annotation = read_annotation(str(path), kind="exon", build=GRCH38)
    genes = {row["gene_id"]: row for row in parse_plainly(path, "gene")}
    rows = parse_plainly(path, "exon")
    assert annotation.counts["exons"] == len({row["exon_id"] for row in rows})
    for row in rows:
        contig, start, end, _, strand = place_of_row(row)
        tss = place_of_row(genes[row["gene_id"]])[3]
        assert extent(annotation.find(row["exon_id"])) == (contig, start, end, tss, strand)
        assert annotation.find(row["exon_id"]).group_id == row["gene_id"]


def test_exons_of_geuvadis_are_placed_by_their_own_coordinates(excerpts: Path) -> None:
    annotation = read_annotation(str(excerpts / "gencode_human.gtf.gz"), kind="exon", build=GRCH38)
    assert annotation.find("ENSG00000227232.4_34363_34829") is None  # outside of the gene in this build
    assert annotation.explain("ENSG00000227232.4_34363_34829") == OUTSIDE_OF_GENE
    assert annotation.find("ENSG00000227232.4_14404_14501") == Place(
        "chr1", 14403, 14501, 29570, "-", "ENSG00000227232", 4, "WASH7P", "ENSG00000227232.4"
    )
    assert annotation.explain("ENSG00000099999.4_14404_14501") == UNKNOWN
    assert annotation.find("ENSG00000227232.4_14501_14404") is None


def test_a_transcript_that_is_unknown_is_placed_by_its_gene(excerpts: Path) -> None:
    annotation = read_annotation(str(excerpts / "gencode_human.gtf.gz"), kind="transcript", build=GRCH38)
    assert annotation.find("ENST00000999999.1") is None
    place = annotation.find("ENSG00000223972.4")
    assert (place.tss, place.gene_version, place.group_id) == (11869, 4, "ENSG00000223972.4")


def test_a_version_finds_another_and_keeps_its_own(excerpts: Path) -> None:
    annotation = read_annotation(str(excerpts / "gencode_human.gtf.gz"), kind="gene", build=GRCH38)
    assert annotation.explain("ENSG00000223972.5") == EXACT
    for id, version in (("ENSG00000223972.4", 4), ("ENSG00000223972", 5), ("ENSG00000223972.5_2", 5)):
        assert annotation.explain(id) == OTHER_VERSION
        assert annotation.find(id).gene_version == version


def test_the_annotation_travels_to_tasks(excerpts: Path) -> None:
    annotation = read_annotation(str(excerpts / "gencode_human.gtf.gz"), kind="exon", build=GRCH38)
    copy: Annotation = pickle.loads(pickle.dumps(annotation))
    assert copy.find("ENSE00002234944.1") == annotation.find("ENSE00002234944.1") is not None


HEADERS = [
    (
        "##description: evidence-based annotation of the human genome (GRCh37), version 12 (Ensembl 67)",
        "GENCODE 12, GRCh37",
        GRCH37,
    ),
    ("##description: evidence-based annotation of the human genome, version 3c (Ensembl 56)", "GENCODE 3c", GRCH37),
    (
        "##description: evidence-based annotation of the human genome (GRCh38), version 49 (Ensembl 115), mapped to "
        "GRCh37 with gencode-backmap",
        "GENCODE 49 mapped, GRCh37",
        GRCH37,
    ),
    ("#!genome-build GRCh38.p13\n#!genome-version GRCh38\n#!genome-date 2013-12", "a.gtf, GRCh38", GRCH38),
    ("#!genome-build NCBI36\n", "a.gtf, NCBI36", NCBI36),
    ("##gff-version 2.2\n#!genome-build GRCh38.p14\n#!annotation-source NCBI RefSeq GCF_000001405.40-RS_2023_10",
     "NCBI GCF_000001405.40-RS_2023_10, GRCh38", GRCH38),
]  # fmt: skip


@pytest.mark.parametrize(("header", "name", "build"), HEADERS)
def test_headers_name_the_release_and_the_build(tmp_path: Path, header: str, name: str, build) -> None:
    path = write(tmp_path / "a.gtf", f"{header}\n{GENE_LINE}")
    annotation = read_annotation(path, kind="gene", build=build)
    assert annotation.name == name
    assert annotation.build == (build.name if build.name in name else None)


def test_ensembls_file_name_tells_the_release(tmp_path: Path) -> None:
    text = f"#!genome-build GRCh37.p13\n{GENE_LINE}"
    path = write(tmp_path / "Homo_sapiens.GRCh37.75.gtf", text)
    assert read_annotation(path, kind="gene", build=GRCH37).name == "Ensembl 75, GRCh37"


@pytest.mark.parametrize(
    ("header", "build", "what", "mend"),
    [
        (HEADERS[0][0], GRCH38, "is on GRCh37, not on GRCh38", "Use --build GRCh37"),
        (HEADERS[2][0], GRCH38, "is on GRCh37, not on GRCh38", "Use --build GRCh37"),
        ("#!genome-build GRCh38.p13", GRCH37, "is on GRCh38.p13, not on GRCh37", "Use --build GRCh38"),
        ("#!genome-build GRCm39", GRCH38, "is on GRCm39, not on GRCh38", "the human genome on GRCh38"),
    ],
)
def test_a_header_of_another_build_is_refused(
    tmp_path: Path, header: str, build, what: str, mend: str
) -> None:
    path = write(tmp_path / "a.gtf", f"{header}\n{GENE_LINE}")
    with pytest.raises(BuildError) as caught:
        read_annotation(path, kind="gene", build=build)
    assert caught.value.where == path
    assert what in caught.value.what
    assert mend in caught.value.mend


def test_a_gene_beyond_its_contigs_end_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gtf", GENE_LINE.replace("100\t300", "51000000\t51200000"))
    assert read_annotation(path, kind="gene", build=GRCH37).find("ENSG00000000001") is not None
    with pytest.raises(BuildError, match="beyond the 50,818,468 bases"):
        read_annotation(path, kind="gene", build=GRCH38)


def test_a_build_that_the_lengths_do_not_tell_is_told_by_a_gene(tmp_path: Path) -> None:
    """TP53 of Ensembl 75, GRCh37; the lengths of both builds hold it."""
    line = 'chr17\tensembl\tgene\t7565097\t7590856\t.\t-\t.\tgene_id "ENSG00000141510"; gene_name "TP53";\n'
    path = write(tmp_path / "a.gtf", line)
    assert read_annotation(path, kind="gene", build=GRCH37).build == "GRCh37"
    with pytest.raises(BuildError) as caught:
        read_annotation(path, kind="transcript", build=GRCH38)
    assert (
        "ENSG00000141510 (TP53) begins at chr17:7,590,856, which is its place in GRCh37" in caught.value.what
    )
    assert "--build GRCh37" in caught.value.mend


def test_contigs_that_no_build_has(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.gtf", GENE_LINE + GENE_LINE.replace("22\t", "GL000191.1\t").replace("001.2", "002.1")
    )
    assert read_annotation(path, kind="gene", build=GRCH37).warnings == {UNKNOWN_CONTIG: 1}
    path = write(tmp_path / "b.gtf", GENE_LINE.replace("22\t", "NC_000022.11\t"))
    with pytest.raises(BuildError, match=re.escape("None of its contigs (NC_000022.11, …) is one of GRCh38")):
        read_annotation(path, kind="gene", build=GRCH38)


WRONG = [
    ("\tgene_id", " gene_id", None, "has 8 columns"),
    ('gene_id "ENSG00000000001.2"; ', "", "attribute", "has no gene_id"),
    ("100\t300", "300\t299", "start", "from 300 to 299"),
    ("100\t300", "0\t300", "start", "from 0 to 300"),
    ("100\t300", "1e2\t300", "start", "'1e2' is no position"),
    ("100\t300", "100\t", "end", "'' is no position"),
    ("100\t300", "100\t-300", "end", "'-300' is no position"),
    ("100\t300", "100\t30000000000000", "end", "'30000000000000' is no position"),
    ("\t+\t", "\t?\t", "strand", "'?' is no strand"),
]


@pytest.mark.parametrize(("old", "new", "column", "what"), WRONG)
def test_a_wrong_line_is_named(tmp_path: Path, old: str, new: str, column: str | None, what: str) -> None:
    assert old in GENE_LINE
    text = f"#!genome-build GRCh37\n\n{GENE_LINE}{GENE_LINE.replace(old, new, 1)}"
    path = write(tmp_path / "a.gtf", text)
    with pytest.raises(FormatError) as caught:
        read_annotation(path, kind="gene", build=GRCH37)
    assert caught.value.where == f"{path}, line 4" + (f", column {column}" if column else "")
    assert what in caught.value.what
    assert caught.value.mend


def test_a_wrong_line_of_a_feature_that_is_not_wanted_is_named_too(tmp_path: Path) -> None:
    bad = GENE_LINE.replace("gene\t100\t300", "CDS\t100\tx")
    path = write(tmp_path / "a.gtf", GENE_LINE * 2 + bad)
    with pytest.raises(FormatError, match="line 3, column end: 'x' is no position"):
        read_annotation(path, kind="gene", build=GRCH37)


def test_a_transcript_needs_an_id(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gtf", GENE_LINE + GENE_LINE.replace("\tgene\t", "\ttranscript\t"))
    with pytest.raises(FormatError, match="line 2, column attribute: The transcript has no transcript_id"):
        read_annotation(path, kind="transcript", build=GRCH37)


@pytest.mark.parametrize("keep", [0.3, 0.95])
def test_a_truncated_gzip_is_one_message(excerpts: Path, tmp_path: Path, keep: float) -> None:
    raw = (excerpts / "gencode_human.gtf.gz").read_bytes()
    path = write(tmp_path / "a.gtf.gz", raw[: int(len(raw) * keep)])
    with pytest.raises(FormatError) as caught:
        read_annotation(path, kind="gene", build=GRCH38)
    assert "cut off" in caught.value.what
    assert caught.value.where.startswith(path)
    assert caught.value.mend == "Fetch the file again."


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.rstrip(b"\n"),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: gzip.compress(text),
        lambda text: text.replace(b'gene_name "WASH7P"', b'gene_name "WASH7P"; note "caf\xe9; gene_id of"'),
    ],
    ids=["windows", "no last line end", "byte order mark", "gzip", "latin-1"],
)
def test_other_forms_of_the_same_text(excerpts: Path, tmp_path: Path, change) -> None:
    text = gzip.decompress((excerpts / "gencode_human.gtf.gz").read_bytes())
    path = write(tmp_path / "no_ending", change(text))
    annotation = read_annotation(path, kind="gene", build=GRCH38)
    rows = parse_plainly(excerpts / "gencode_human.gtf.gz", "gene")
    assert [extent(annotation.find(row["gene_id"])) for row in rows] == [place_of_row(row) for row in rows]


@pytest.mark.parametrize("kind", ["gene", "transcript"])
def test_without_lines_of_genes_the_exons_tell(excerpts: Path, tmp_path: Path, kind: str) -> None:
    """Ensembl's releases up to 74 have exons, but no genes and transcripts."""
    full = excerpts / "gencode_human.gtf.gz"
    text = gzip.decompress(full.read_bytes()).decode()
    kept = [
        line
        for line in text.splitlines(keepends=True)
        if "\tgene\t" not in line and "\ttranscript\t" not in line
    ]
    annotation = read_annotation(write(tmp_path / "a.gtf", "".join(kept)), kind=kind, build=GRCH38)
    rows = parse_plainly(full, kind)
    cut = rows.pop()  # the excerpt ends within it
    assert annotation.find(cut[f"{kind}_id"]) is not None
    assert [extent(annotation.find(row[f"{kind}_id"])) for row in rows] == [place_of_row(row) for row in rows]
    assert annotation.warnings[f"{kind}s without a line of their own, made from their exons"] == len(rows) + 1


def test_an_attribute_is_not_looked_for_in_the_value_of_another(tmp_path: Path) -> None:
    note = 'note "see gene_id "; tag "gene_name=Z"; gene_id'
    path = write(
        tmp_path / "a.gtf", GENE_LINE.replace("gene_id", note).replace('gene_name "A"', "gene_name A")
    )
    assert read_annotation(path, kind="gene", build=GRCH37).find("ENSG00000000001.2").gene_name == "A"


def test_a_strand_that_is_not_known_is_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gtf", GENE_LINE.replace("\t+\t", "\t.\t"))
    annotation = read_annotation(path, kind="gene", build=GRCH37)
    place = annotation.find("ENSG00000000001")
    assert (place.strand, place.tss) == (None, 100)
    assert annotation.warnings == {NO_STRAND: 1}


def gene(id: str, contig: str, first: int, last: int, name: str = "A", biotype: str = "x") -> str:
    text = f'gene_id "{id}"; gene_name "{name}"; gene_type "{biotype}";'
    return f"{contig}\tx\tgene\t{first}\t{last}\t.\t+\t.\t{text}\n"


def test_copies_on_y_are_genes_of_their_own(tmp_path: Path) -> None:
    """AKAP17A: ENSG00000197976.11_PAR_Y in new releases, ENSGR0000197976.6 in old ones; X and Y coordinates."""
    new = gene("ENSG00000197976.11", "chrX", 1591604, 1602520) + gene(
        "ENSG00000197976.11_PAR_Y", "chrY", 1591604, 1602520
    )
    annotation = read_annotation(write(tmp_path / "new.gtf", new), kind="gene", build=GRCH38)
    for id, contig in (
        ("ENSG00000197976", "chrX"), ("ENSG00000197976.6", "chrX"), ("ENSG00000197976.11_PAR_Y", "chrY"),
        ("ENSG00000197976.6_PAR_Y", "chrY"), ("ENSGR0000197976.6", "chrY"),
    ):  # fmt: skip
        assert annotation.find(id).source_contig == contig
    assert annotation.find("ENSG00000197976.11_PAR_Y").gene_id == "ENSG00000197976_PAR_Y"
    old = gene("ENSG00000197976.6", "chrX", 1710486, 1721407) + gene(
        "ENSGR0000197976.6", "chrY", 1660486, 1671407
    )
    annotation = read_annotation(write(tmp_path / "old.gtf", old), kind="gene", build=GRCH37)
    for id, contig in (
        ("ENSG00000197976.11", "chrX"), ("ENSGR0000197976", "chrY"), ("ENSG00000197976.11_PAR_Y", "chrY"),
    ):  # fmt: skip
        assert annotation.find(id).source_contig == contig


@pytest.mark.parametrize("order", ["XY", "YX"])
def test_one_id_on_x_and_y_means_x(tmp_path: Path, order: str) -> None:
    text = "".join(gene("AKAP17A", f"chr{contig}", 1591604, 1602520) for contig in order)
    annotation = read_annotation(write(tmp_path / "a.gtf", text), kind="gene", build=GRCH38)
    assert annotation.find("AKAP17A").source_contig == "chrX"
    assert annotation.warnings == {COPY_ON_Y: 1}


def test_an_id_at_two_places_finds_none(tmp_path: Path) -> None:
    text = gene("A.1", "1", 100, 200) + gene("A.1", "1", 500, 600) + gene("B", "X", 5_000_000, 5_000_100)
    text += gene("B", "Y", 5_000_000, 5_000_100) + gene("C", "1", 7, 9) * 2
    annotation = read_annotation(write(tmp_path / "a.gtf", text), kind="gene", build=GRCH37)
    assert annotation.find("A.1") is None
    assert annotation.explain("A.1") == AMBIGUOUS
    assert annotation.find("B") is None  # not in the pseudo-autosomal part
    assert annotation.find("C").tss == 7
    assert annotation.warnings == {SEVERAL_PLACES: 2}


def test_two_versions_of_a_gene_are_found_as_they_are_written_only(tmp_path: Path) -> None:
    text = gene("ENSG00000000001.1", "1", 100, 200) + gene("ENSG00000000001.2", "1", 500, 600)
    annotation = read_annotation(write(tmp_path / "a.gtf", text), kind="gene", build=GRCH37)
    assert [annotation.find(f"ENSG00000000001.{v}").tss for v in (1, 2)] == [100, 500]
    assert annotation.explain("ENSG00000000001.3") == annotation.explain("ENSG00000000001") == AMBIGUOUS


MIRNAS = [
    gene("ENSG00000283824.1", "chr17", 1713903, 1713987, "MIR22", "miRNA"),
    gene("ENSG00000199165.1", "chr9", 94175957, 94176036, "MIRLET7A1", "miRNA"),
    gene("ENSG00000198975.1", "chr11", 122146522, 122146593, "MIRLET7A2", "miRNA"),
    gene("ENSG00000207863.1", "chr21", 16590237, 16590325, "MIR125B2", "miRNA"),
    gene("ENSG00000186594.1", "chr17", 1711447, 1717174, "MIR22HG", "lncRNA"),
]


def test_mirnas_are_found_by_the_symbols_of_their_genes(tmp_path: Path) -> None:
    annotation = read_annotation(write(tmp_path / "a.gtf", "".join(MIRNAS)), kind="mirna", build=GRCH38)
    place = annotation.find("hsa-miR-22-3p")
    assert place == Place(
        "chr17", 1713902, 1713987, 1713903, "+", "ENSG00000283824", 1, "MIR22", "ENSG00000283824.1"
    )
    assert annotation.find("hsa-mir-22") == annotation.find("MIR22") == place
    assert annotation.find("ENSG00000283824") is not None
    assert annotation.find("hsa-let-7a-1").gene_name == "MIRLET7A1"
    assert annotation.find("hsa-mir-125b-2").gene_name == "MIR125B2"
    assert annotation.explain("hsa-let-7a-5p") == AMBIGUOUS
    assert annotation.explain("hsa-miR-9999-5p") == annotation.explain("MIR22HG") == UNKNOWN


MIRBASE = """##gff-version 3
##date 2018-3-5
# Chromosomal coordinates of Homo sapiens microRNAs
# microRNAs:               miRBase v22
# genome-build-id:         GRCh38
# genome-build-accession:  NCBI_Assembly:GCA_000001405.15
#
chr17\t.\tmiRNA_primary_transcript\t1713903\t1713987\t.\t-\t.\tID=MI0000078;Alias=MI0000078;Name=hsa-mir-22
chr17\t.\tmiRNA\t1713914\t1713935\t.\t-\t.\tID=MIMAT0000077;Alias=MIMAT0000077;Name=hsa-miR-22-3p;Derives_from=MI0000078
chr9\t.\tmiRNA_primary_transcript\t94175957\t94176036\t.\t+\t.\tID=MI0000060;Alias=MI0000060;Name=hsa-let-7a-1
chr9\t.\tmiRNA\t94175962\t94175983\t.\t+\t.\tID=MIMAT0000062;Alias=MIMAT0000062;Name=hsa-let-7a-5p;Derives_from=MI0000060
chr11\t.\tmiRNA_primary_transcript\t122146522\t122146593\t.\t-\t.\tID=MI0000061;Alias=MI0000061;Name=hsa-let-7a-2
chr11\t.\tmiRNA\t122146568\t122146589\t.\t-\t.\tID=MIMAT0000062_1;Alias=MIMAT0000062;Name=hsa-let-7a-5p;Derives_from=MI0000061
"""


def test_mirbase(tmp_path: Path) -> None:
    path = write(tmp_path / "hsa.gff3", MIRBASE)
    annotation = read_annotation(path, kind="mirna", build=GRCH38)
    assert (annotation.name, annotation.build) == ("miRBase 22, GRCh38", "GRCh38")
    assert annotation.find("hsa-miR-22-3p") == Place(
        "chr17", 1713913, 1713935, 1713935, "-", "MI0000078", None, "hsa-mir-22", "MI0000078"
    )
    assert annotation.find("MIMAT0000077") == annotation.find("hsa-miR-22-3p")
    assert annotation.find("hsa-mir-22").tss == 1713987
    assert annotation.find("hsa-let-7a-1").source_contig == "chr9"
    for id in ("hsa-let-7a-5p", "MIMAT0000062"):
        assert annotation.explain(id) == AMBIGUOUS
    assert annotation.warnings == {SEVERAL_PLACES: 2}
    with pytest.raises(BuildError, match="is on GRCh38, not on GRCh37"):
        read_annotation(path, kind="mirna", build=GRCH37)
    with pytest.raises(FormatError, match="It has miRNAs, no genes"):
        read_annotation(path, kind="gene", build=GRCH38)


def test_mirbase_with_a_line_that_lacks_a_name(tmp_path: Path) -> None:
    path = write(tmp_path / "hsa.gff3", MIRBASE.replace(";Name=hsa-mir-22", ""))
    with pytest.raises(
        FormatError, match="line 8, column attribute: The miRNA_primary_transcript has no Name"
    ):
        read_annotation(path, kind="mirna", build=GRCH38)


def test_a_gtf_has_no_probes(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"no probes\. Give the array design \(ADF\) with --design"):
        read_annotation(write(tmp_path / "a.gtf", GENE_LINE), kind="probe", build=GRCH37)


def test_a_gtf_without_genes_and_exons(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gtf", GENE_LINE.replace("\tgene\t", "\tCDS\t"))
    with pytest.raises(FormatError, match="no line of a gene or an exon"):
        read_annotation(path, kind="gene", build=GRCH37)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no such file"):
        read_annotation(str(tmp_path / "a.gtf"), kind="gene", build=GRCH37)


features = st.lists(
    st.tuples(
        st.sampled_from(["gene", "CDS", "exon", "genes", "gen"]), st.integers(1, 10**6), st.integers(0, 10**5),
        st.sampled_from("+-"),
    ),
    min_size=1,
    max_size=20,
)  # fmt: skip


@settings(deadline=None)
@given(rows=features, line_end=st.sampled_from(["\n", "\r\n"]), is_gzip=st.booleans())
def test_every_gene_is_found_where_it_was_written(
    tmp_path_factory, rows, line_end: str, is_gzip: bool
) -> None:
    rows = [("gene", 5, 5, "+"), *rows]
    lines = [
        f'7\tx\t{kind}\t{first}\t{first + more}\t.\t{strand}\t.\tgene_id "ENSG{n:011d}.{n + 1}"; gene_name "N{n}";'
        for n, (kind, first, more, strand) in enumerate(rows)
    ]
    text = line_end.join(lines).encode()
    path = write(tmp_path_factory.getbasetemp() / "property.gtf", gzip.compress(text) if is_gzip else text)
    annotation = read_annotation(path, kind="gene", build=GRCH37)
    genes = [n for n, row in enumerate(rows) if row[0] == "gene"]
    assert annotation.counts == {"genes": len(genes)}
    for n in genes:
        _, first, more, strand = rows[n]
        tss = first if strand == "+" else first + more
        expected = Place("7", first - 1, first + more, tss, strand, f"ENSG{n:011d}", n + 1, f"N{n}")
        assert annotation.find(f"ENSG{n:011d}.{n + 1}") == expected
