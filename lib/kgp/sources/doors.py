"""The doors of the archives, in order of preference within each archive."""

from __future__ import annotations

from kgp.sources.model import Door

# The body of files that IGSR keeps, and that Microsoft, NCBI and AWS mirror.
G1K = "1000genomes"

DOORS: tuple[Door, ...] = (
    Door(
        "azure",
        "azure",
        "az://dataset@dataset1000genomes",
        G1K,
        "Azure Open Datasets, West US 2",
        tree="current.tree",
    ),
    Door(
        "azure-secondary",
        "azure",
        "az://dataset@dataset1000genomes-secondary",
        G1K,
        "Azure Open Datasets, West Central US",
        tree="current.tree",
    ),
)

PUBLIC_ACCOUNTS = frozenset(
    door.root.partition("@")[2].partition("/")[0] for door in DOORS if door.kind == "azure"
)
