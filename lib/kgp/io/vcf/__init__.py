"""VCF files, wherever they lie and whichever engine reads them, as rows of `variants`.

::

    header = read_header(url)
    survey = survey_records(spark, url, header, build, selection)
    records = read_records(spark, url, header, survey=survey, build=build, selection=selection,
                           callset="phase3", load_id=load_id, reader="auto")
    records.variants    # DataFrame, one row an ALT
"""

from __future__ import annotations

from kgp.io.vcf.header import Declaration, VcfHeader, read_header
from kgp.io.vcf.reader import Records, read_records
from kgp.io.vcf.selection import Selection
from kgp.io.vcf.survey import Survey, survey_records

__all__ = [
    "Declaration",
    "Records",
    "Selection",
    "Survey",
    "VcfHeader",
    "read_header",
    "read_records",
    "survey_records",
]
