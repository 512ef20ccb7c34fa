"""MAGE-TAB, in which ArrayExpress describes an experiment: SDRF (samples), IDF (experiment), ADF (array design)."""

from kgp.io.magetab.adf import Adf, read_adf
from kgp.io.magetab.idf import Idf, read_idf
from kgp.io.magetab.sdrf import Column, Sdrf, Step, read_sdrf

__all__ = ["Adf", "Column", "Idf", "Sdrf", "Step", "read_adf", "read_idf", "read_sdrf"]
