"""Headers as they occur: what makes no sense is passed over, what is no VCF is refused."""

from __future__ import annotations

import gzip

import pytest

from kgp.errors import FormatError
from kgp.io.vcf.header import Declaration, parse_header, read_header

COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"


def header(*lines: str, columns: str = COLUMNS):
    return parse_header(["##fileformat=VCFv4.2", *lines, columns], where="a.vcf")


def test_what_a_header_says():
    found = header(
        '##INFO=<ID=AC,Number=A,Type=Integer,Description="Total, of <all> alleles = \\"ALT\\"">',
        "##INFO=<ID=DB, Number=0, Type=Flag, Description=unquoted>",
        '##FORMAT=<Type=Float,Number=.,ID=DS,Description="other order">',
        "##contig=<ID=HLA-A*01:01:01:01,length=3503,assembly=hg38>",
        "##contig=<ID=22>",
        "##contig=<ID=odd,length=many>",
        columns=COLUMNS + "\tFORMAT\tNA1\tNA 2",
    )
    assert found.version == "4.2"
    assert found.samples == ("NA1", "NA 2")
    assert found.n_columns == 11
    assert found.infos == {"AC": Declaration("A", "Integer"), "DB": Declaration("0", "Flag")}
    assert found.formats == {"DS": Declaration(".", "Float")}
    assert found.contigs == ("HLA-A*01:01:01:01", "22", "odd")
    assert found.contig_lengths == {"HLA-A*01:01:01:01": 3503}
    assert found.contig_assemblies == {"HLA-A*01:01:01:01": "hg38"}


def test_lines_without_sense_are_only_kept_as_text():
    odd = [
        "##",
        "##INFO=<>",
        "##INFO=<ID=,Number=1>",
        "##INFO=ID=AC",
        "##contig=<length=7>",
        "",
        "##x=<a=<b>,c>",
    ]
    found = header(*odd)
    assert found.infos == {}
    assert found.contigs == ()
    assert found.text.splitlines() == ["##fileformat=VCFv4.2", *odd, COLUMNS]


def test_of_two_declarations_the_first_counts():
    assert (
        header("##INFO=<ID=X,Number=A,Type=Float>", "##INFO=<ID=X,Number=1,Type=Float>").infos["X"].number
        == "A"
    )


def test_sites_only_and_without_samples():
    assert header().n_columns == 8
    assert header(columns=COLUMNS + "\tFORMAT").samples == ()
    assert header(columns=COLUMNS + "\tFORMAT").n_columns == 9


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (COLUMNS.replace("\t", " "), "tab-separated"),
        (COLUMNS.replace("POS", "Position"), "does not begin with #CHROM POS"),
        (COLUMNS + "\tNA1", "ninth column is called 'NA1'"),
        (COLUMNS + "\tFORMAT\tNA1\tNA2\tNA1", "Sample NA1 occurs twice"),
        (COLUMNS + "\tFORMAT\tNA1\t", "Sample 2 has no name"),
    ],
)
def test_malformed_column_names(columns, message):
    with pytest.raises(FormatError, match=message):
        header(columns=columns)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The file is empty"),
        (b"PK\x03\x04 a zip file", "no VCF 4 file"),
        (b"##fileformat=VCFv3.3\n" + COLUMNS.encode(), "no VCF 4 file"),
        (b"BCF\x02\x02", "no VCF 4 file"),
        (gzip.compress(b"sample\tpop\n", mtime=0), "no VCF 4 file: it begins with b'sample"),
        (b"##fileformat=VCFv4.1\n##x\n", "has no #CHROM line"),
        (b"##fileformat=VCFv4.1\n1\t2\t.\tA\tC\t.\t.\t.\n", "Line 2 is a record"),
        (gzip.compress(b"##fileformat=VCFv4.1\n" + b"##x\n" * 100_000, mtime=0)[:-20], "cut off"),
    ],
)
def test_what_is_no_vcf_fails_at_once(tmp_path, content, message):
    path = tmp_path / "a.vcf.gz"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message) as caught:
        read_header(str(path))
    assert str(path) in str(caught.value)


def test_records_begin_after_the_offset(tmp_path):
    text = f"##fileformat=VCFv4.3\r\n##note=caf\xe9\r\n{COLUMNS}\r\n1\t1\t.\tA\tC\t.\t.\t.\r\n"
    path = tmp_path / "a.vcf"
    path.write_bytes(text.encode("latin-1"))
    found = read_header(str(path))
    assert found.offset == text.index("#CHROM")
    assert found.samples == ()
    assert "##note=caf�" in found.text


def test_every_real_header_is_read(shared_data):
    """Only the files that are known to be none are refused, each for its own reason."""
    refused = {}
    for folder in ("beacon", "dragen", "glow-test-data", "gvcf-grch38-chr22", "highcov30x-grch38", "phase1-and-others",
                   "phase3-grch37", "phase3-grch38", "vcf-odd", "geuvadis-eqtl-qtltools"):  # fmt: skip
        for path in sorted((shared_data / folder).rglob("*.vcf*")):
            if path.suffix not in (".tbi", ".csi", ".vcf-lines.txt") and "excerpts" not in path.name:
                try:
                    read_header(str(path))
                except FormatError as problem:
                    refused[path.name] = problem.what.split(":")[0]
    no_vcf, no_tabs = (
        "This is no VCF 4 file",
        "The #CHROM line does not begin with #CHROM POS ID REF ALT QUAL FILTER INFO",
    )
    assert {name: reason.split(", tab-")[0] for name, reason in refused.items()} == {
        "trioDup.vcf": no_vcf,  # VCF 3.3
        "test48a.vcf": no_vcf,  # its first line is "foo"
        "issue_49.vcf": no_tabs,
        "metadata-whitespace.vcf": no_tabs,  # cut off within the header
        "eff.vcf": no_tabs,
    }
