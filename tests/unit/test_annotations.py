"""Annotation text → consequences: forms of three tools, and which ALT an allele means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgp.transforms.annotations import AnnotationFormat, name_alleles, parse_formats, read_consequences

VEP = AnnotationFormat("CSQ", ("Allele", "Consequence", "SYMBOL", "Gene"))
SNPEFF = AnnotationFormat("ANN", ("Allele", "Annotation", "Gene_Name"))
EFF_LINE = (
    "##INFO=<ID=EFF,Number=.,Type=String,Description=\"Predicted effects for this variant.Format: 'Effect ( "
    "Effect_Impact | Functional_Class | Codon_Change | Amino_Acid_change| Amino_Acid_length | Gene_Name | "
    "Transcript_BioType | Gene_Coding | Transcript_ID | Exon  | GenotypeNum [ | ERRORS | WARNINGS ] )' \">"
)


def find(form: AnnotationFormat, allele: str, ref: str, *alts: str) -> int | None:
    (one,) = read_consequences(f"{allele}|x", form, ref, alts)
    return one.alt_index


# Expected by VEP's own rule in its VCF parser: where the alleles have different lengths and share their first base,
# that base is cut off all of them.
@pytest.mark.parametrize(
    ("ref", "alts", "allele", "alt_index"),
    [
        ("C", ("T",), "T", 1),
        ("C", ("T", "G"), "G", 2),
        ("CT", ("C",), "-", 1),
        ("C", ("CTT",), "TT", 1),
        ("CT", ("C", "CTT", "CA"), "TT", 2),
        ("CT", ("C", "CTT", "CA"), "A", 3),
        ("AAA", ("A", "AA"), "A", 2),
        ("A", ("AT", "G"), "AT", 1),  # first bases differ: nothing is cut off
        ("AC", ("AG",), "AG", 1),  # one length: nothing is cut off
        ("AC", ("A", "*"), "-", 1),
        ("AC", ("A", "*"), "*", 2),
        ("A", ("<DEL>",), "deletion", 1),
        ("A", ("<CN0>", "<INS:ME:ALU>"), "copy_number_variation", 1),
        ("A", ("<CN0>", "<INS:ME:ALU>"), "insertion", 2),
        ("AC", ("A", "A]2:7]"), "-", 1),
        ("A", ("<CN0>", "<CN2>"), "copy_number_variation", None),  # which of the two is not said
        ("A", ("<CN0>", "<CN2>"), "<CN2>", 2),
        ("CTAG", ("CTG",), "-", 1),  # --minimal: cut on both sides
        ("C", ("T",), "G", None),
    ],
)
def test_which_alt_vep_means(ref: str, alts: tuple[str, ...], allele: str, alt_index: int | None) -> None:
    assert find(VEP, allele, ref, *alts) == alt_index


@pytest.mark.parametrize(
    ("allele", "alt_index"), [("CTT", 2), ("C", 1), ("C-CTT", 1), ("TT", None), ("-", None)]
)
def test_snpeff_means_the_alt_itself(allele: str, alt_index: int | None) -> None:
    assert find(SNPEFF, allele, "CT", "C", "CTT") == alt_index


def test_a_number_says_more_than_a_name() -> None:
    form = AnnotationFormat("CSQ", ("Allele", "Consequence", "ALLELE_NUM"))
    entries = read_consequences("A|x|2,A|x|9,A|x|", form, "G", ("A", "T"))
    assert [one.alt_index for one in entries] == [2, None, 1]


def test_eff_of_old_snpeff() -> None:
    (form,) = parse_formats([EFF_LINE])
    assert form.names[:3] == ("Effect", "Effect_Impact", "Functional_Class")
    assert form.names[-3:] == ("GenotypeNum", "ERRORS", "WARNINGS")
    text = "STOP_GAINED(HIGH|NONSENSE|Cag/Tag|Q236*|749|NOC2L||CODING|NM_015658|),UTR(LOW||||1|X||||4|2)"
    first, second = read_consequences(text, form, "G", ("A", "C"))
    assert (first.alt_index, second.alt_index) == (None, 2)
    assert [one.alt_index for one in read_consequences(text, form, "G", ("A",))] == [1, None]
    assert first.values | {"allele": ""} == {
        "allele": "", "consequences": "STOP_GAINED", "impact": "HIGH", "gene_id": "", "gene_name": "NOC2L",
        "feature_type": "", "feature_id": "NM_015658", "biotype": "",
    }  # fmt: skip
    assert first.fields["Codon_Change"] == "Cag/Tag"
    assert "Exon" not in first.fields


def test_headers_of_vep_and_snpeff() -> None:
    vep = '##INFO=<ID=CSQ,Number=.,Type=String,Description="Consequences from Ensembl VEP. Format: Allele|HGVSc">'
    ann = (
        "##INFO=<ID=ANN,Number=.,Type=String,Description=\"Functional annotations: 'Allele | cDNA.pos / cDNA.length | "
        "ERRORS / WARNINGS / INFO' \">"
    )
    other = '##INFO=<ID=AN,Number=1,Type=Integer,Description="Alleles | Format: a|b">'
    assert parse_formats([ann, other, vep, vep.replace("HGVSc", "x")]) == [
        AnnotationFormat("CSQ", ("Allele", "HGVSc")),
        AnnotationFormat("ANN", ("Allele", "cDNA.pos / cDNA.length", "ERRORS / WARNINGS / INFO")),
    ]


def test_another_number_of_fields_is_noticed_and_nothing_is_lost() -> None:
    short, right, long = read_consequences("A|x,A|x|S|G,A|x|S|G|more", VEP, "C", ("A",))
    assert [one.is_odd for one in (short, right, long)] == [True, False, True]
    assert long.fields == {"Allele": "A", "Consequence": "x", "SYMBOL": "S", "Gene": "G", "field_5": "more"}
    assert short.values["gene_id"] == ""


BASES = st.text("ACGT", min_size=1, max_size=4)
TEXT = st.text("abcXYZ019_&:%/.-", max_size=6)


@given(ref=BASES, alts=st.lists(BASES, min_size=1, max_size=4, unique=True))
def test_usual_names_are_told_apart(ref: str, alts: list[str]) -> None:
    """VEP's own names of the ALTs of one record differ, so each is found again, whatever the other names are."""
    for index, name in enumerate(name_alleles(ref, tuple(alts))[0], start=1):
        assert find(VEP, name, ref, *alts) == index


@given(rows=st.lists(st.lists(TEXT, min_size=3, max_size=3), min_size=1, max_size=5))
def test_every_field_comes_back(rows: list[list[str]]) -> None:
    text = ",".join("|".join(["T", *row]) for row in rows)
    found = list(read_consequences(text, VEP, "C", ("T",)))
    assert [[one.fields.get(name, "") for name in VEP.names] for one in found] == [
        ["T", *row] for row in rows
    ]
