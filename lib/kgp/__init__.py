"""kgp: the 1000 Genomes Project as Delta tables and eQTL-ready matrices."""

__version__ = "0.1.0"
