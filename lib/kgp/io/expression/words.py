"""Spellings of what stands in the header of an expression matrix, as published files have them."""

from __future__ import annotations

ID, GENE, ROW_NAME = "phenotype_id", "gene_id", "row name"

# What a bare table may be told to call its first column.
BARE_NAMES = ("phenotype_id", "gene_id", "transcript_id", "exon_id", "mirna", "probe_id")

# Spelling, folded → what the column is; '' for columns that are passed over.
LEADING = {
    "chr": "contig", "chrom": "contig", "chromosome": "contig",
    "start": "start", "left": "start", "end": "end", "right": "end",
    "coord": "tss", "phenotype_pos": "tss", "tss": "tss",
    "phenotype_id": ID, "id": ID, "pid": ID, "targetid": ID, "target_id": ID, "trid": ID, "name": ID, "feature": ID,
    "feature_id": ID, "gene": ID, "geneid": ID, "ensembl_id": ID, "ensembl_gene_id": ID,
    "transcript": ID, "transcriptid": ID, "transcript_id": ID, "exon": ID, "exonid": ID, "exon_id": ID,
    "mirna": ID, "mirna_id": ID, "mirnaid": ID,
    "probe": ID, "probeid": ID, "probe_id": ID, "probeset": ID, "probe_set_id": ID, "id_ref": ID, "reporter ref": ID,
    "composite element ref": ID, "compositeelement ref": ID, "illumina_id": ID,
    "gene_id": GENE,
    "gid": "group_id", "group_id": "group_id", "group": "group_id",
    "gene_symbol": "gene_name", "gene_name": "gene_name", "symbol": "gene_name", "genename": "gene_name",
    "hgnc_symbol": "gene_name", "external_gene_name": "gene_name",
    "strand": "strand",
    "length": "", "info": "", "quant_id": "", "phenotype_gc_content": "", "phenotype_length": "", "gene_type": "",
    "gene_biotype": "", "description": "",
}  # fmt: skip

# First cells of the two header lines of a MAGE-TAB data matrix.
RUN_REFS = {
    "assay ref", "hybridization ref", "normalization ref", "scan ref", "labeled extract ref", "extract ref",
    "sample ref", "source ref", "derived array data file ref",
}  # fmt: skip
ELEMENT_REFS = {
    "reporter ref",
    "composite element ref",
    "compositeelement ref",
    "reporter identifier",
    "composite element identifier",
}


def fold(cell: str) -> str:
    """A heading as it is looked up.

    >>> fold("#Chr"), fold(" Normalization  REF"), fold("Normalization.REF")
    ('chr', 'normalization ref', 'normalization ref')
    """
    text = cell.strip().lstrip("#").lower()
    if text.endswith((" ref", ".ref")):
        text = text.replace(".", " ")
    return " ".join(text.split())
