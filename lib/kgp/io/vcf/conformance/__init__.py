"""Whether a VCF file keeps the rules of its version: what is odd about it and can be loaded all the same.

::

    for finding in check_header(header.lines, header.version): ...
    lines, order = LineChecker.of(header), OrderChecker()
    lines.find_contig(name)                     # kinds of what is odd about a contig, once for all its records
    lines.find(fields)                          # kinds of what is odd about a record; () where nothing is
    order.find(contig, start, ref, alts)        # the same of its place among the records before it

`LineChecker.find` looks at everything and is slow. Where regular expressions say that there is nothing to be
found, it need not be asked: `LineChecker.boring_site_for(examples)` for the columns up to FORMAT,
`LineChecker.boring_samples_for(format_text, n_alts)` for the samples. Both are for RE2 and for whole texts.

What can't be loaded is not looked for here: the parser rejects it, with its reason.
"""

from __future__ import annotations

from kgp.io.vcf.conformance.header import Finding, check_header
from kgp.io.vcf.conformance.line import LineChecker
from kgp.io.vcf.conformance.oddities import Oddity
from kgp.io.vcf.conformance.order import OrderChecker, count_at_seams, needs_line_end

__all__ = [
    "Finding",
    "LineChecker",
    "Oddity",
    "OrderChecker",
    "check_header",
    "count_at_seams",
    "needs_line_end",
]
