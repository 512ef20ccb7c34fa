"""VCF files, wherever they lie and whichever engine reads them, as rows of `variants`.

::

    header = read_header(url)
    layout = Layout.make(header, build, selection, callset="phase3", load_id=load_id)
    records = read_records(spark, url, header, layout, roots, reader="auto")
    records.survey      # how many there are, where they lie, what is odd about them
    records.written     # the files of `variants` that wait for their commit
"""

from __future__ import annotations

from kgp.io.vcf.findings import Survey
from kgp.io.vcf.header import Declaration, VcfHeader, read_header
from kgp.io.vcf.reader import Records, Roots, read_records
from kgp.io.vcf.rows import Layout
from kgp.io.vcf.selection import Selection

__all__ = [
    "Declaration",
    "Layout",
    "Records",
    "Roots",
    "Selection",
    "Survey",
    "VcfHeader",
    "read_header",
    "read_records",
]
