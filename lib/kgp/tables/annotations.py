"""What the variants do to genes: `annotations`, from the sites files that a release annotates.

A row joins `variants` by callset and `variant_id`. Where an annotation's allele fits no ALT of its record, `alt` and
`variant_id` are null, so that it is kept but joins nothing; that is why they are not in the key.
"""

from __future__ import annotations

from kgp.table import Table

ANNOTATIONS = Table(
    name="annotations",
    grain="consequence of an ALT allele in a release's sites file",
    required=(
        "callset", "contig", "load_id", "start", "end", "record_id", "n", "annotation_key", "ref", "fields",
    ),
    optional=(
        "variant_id", "alt", "allele", "consequences", "impact", "gene_id", "gene_name", "feature_type", "feature_id",
        "biotype",
    ),
    key=("load_id", "record_id", "n"),
    partition_by=("callset", "contig"),
    checks={
        "place": "start >= -1 AND `end` >= start",
        "numbered_from_one": "n >= 1",
        "alt_where_named": "(alt IS NULL) = (variant_id IS NULL)",
    },
    sort_by=("start", "record_id", "n"),
)  # fmt: skip
