"""Where phenotypes lie: genes, transcripts, exons, miRNAs and probes from any annotation.

GTF, GFF3, BED, a table, an array design: what a file is, is told by its content; compression likewise.
"""

from __future__ import annotations

from kgp.io.places.model import Annotation, Place, split_version
from kgp.io.places.read import read_annotation

__all__ = ["Annotation", "Place", "read_annotation", "split_version"]
