"""The curated edition in kgp's own terms: the view `curated_variants` over the table `curated`, in DuckDB's SQL.

It has a row an ALT, as `variants` has, and the columns of that name, so that the two join on `contig`, `start`, `ref`
and `alt`; they are computed as they are read.

| column | from |
| --- | --- |
| `contig` | `contigName`, in the build's spelling where the build knows it |
| `start` | `start`, which is 0-based in both |
| `end` | `end`, or `start` and the length of REF where that is null or not beyond `start` |
| `alt_index`, `alt` | place and value in `alternateAlleles`; 0 and null where that is empty |
| `n_alts` | length of `alternateAlleles` |
| `variant_id` | contig_pos_ref_alt, for symbolic alleles with _END; not numbered where it repeats |
| `source_contig`, `ref`, `qual` | `contigName`, `referenceAllele`, `qual` |
| `vcf_id` | `names`, joined by ';'; null where empty |
| `rsid` | the first rs number in `vcf_id` |
| `filters` | `filters`, joined and split at ';'; null where empty |
| `hash_id` | `hashId`, by which the record's other columns are found in `curated` |

Names and filters are joined since one of Glow's two readers splits them at ';' and the other does not.
"""

from __future__ import annotations

import pyarrow.dataset as ds

from kgp.genome import GRCH37, ReferenceBuild

# Columns that a conversion may lack.
_OPTIONAL = {"names": "VARCHAR[]", "qual": "DOUBLE", "filters": "VARCHAR[]", "hashId": "BIGINT"}


def curated_views(dataset: ds.Dataset, build: ReferenceBuild = GRCH37) -> dict[str, str]:
    """Views over the table `curated`; name → SELECT. None for the flattened layout, whose rows are not records.

    Args:
        dataset: the table, as `kgp.io.curated.open_curated` gives it.
        build: of its coordinates; Microsoft's edition has GRCh37.
    """
    if "genotypes_sampleId" in dataset.schema.names:
        return {}
    return {"curated_variants": _select_alleles(set(dataset.schema.names), build)}


def _select_alleles(there: set[str], build: ReferenceBuild) -> str:
    given = {name: f'"{name}"' if name in there else f"NULL::{kind}" for name, kind in _OPTIONAL.items()}
    spellings = ", ".join(f"'{spelling}': '{name}'" for spelling, name in build.aliases.items())
    records = f"""
        SELECT coalesce(MAP {{{spellings}}}[contigName], contigName) AS contig,
            start,
            CASE WHEN "end" > start THEN "end" ELSE start + length(referenceAllele) END AS "end",
            coalesce(len(alternateAlleles), 0)::INTEGER AS n_alts,
            contigName AS source_contig,
            referenceAllele AS ref,
            alternateAlleles AS alts,
            nullif(array_to_string({given["names"]}, ';'), '') AS vcf_id,
            {given["qual"]}::DOUBLE AS qual,
            string_split(nullif(array_to_string({given["filters"]}, ';'), ''), ';') AS filters,
            {given["hashId"]} AS hash_id
        FROM curated"""
    numbered = f"""
        SELECT *, unnest(CASE WHEN n_alts = 0 THEN [0] ELSE range(1, n_alts + 1) END)::INTEGER AS alt_index
        FROM ({records})"""
    return f"""
        SELECT contig, start, "end", alt_index, n_alts,
            contig || '_' || (start + 1) || '_' || ref || '_' || coalesce(alt, '.')
                || CASE WHEN alt LIKE '<%>' THEN '_' || "end" ELSE '' END AS variant_id,
            source_contig, ref, alt, vcf_id,
            list_filter(string_split(vcf_id, ';'), lambda one: regexp_full_match(one, 'rs[0-9]+'))[1] AS rsid,
            qual, filters, hash_id
        FROM (SELECT *, alts[alt_index] AS alt FROM ({numbered}))"""
