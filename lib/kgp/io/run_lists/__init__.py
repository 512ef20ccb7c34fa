"""Reads which run belongs to whom from any list that a dataset comes with; what a list is, its content tells.

A list is a MAGE-TAB SDRF, a sequence.index of the 1000 Genomes Project, a series matrix or SOFT family file of GEO,
or a table whose columns the dataset's descriptor names. Several rows of a run (two FASTQ files, two rows a sample) make
one record. Every row is counted: it is part of a record, or is passed over for a reason that the warnings count.
"""

from kgp.io.run_lists.collector import RunList
from kgp.io.run_lists.detect import read_run_list

__all__ = ["RunList", "read_run_list"]
