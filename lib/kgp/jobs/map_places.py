"""Where the phenotypes and variants of a mapping lie: their order, and the variants of each window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgp.genome import ReferenceBuild
from kgp.io.matrix_sets import group_of
from kgp.io.parts import TablePart

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Place:
    """Where a phenotype of a set lies.

    Args:
        contig: of the phenotype.
        tss: 1-based.
        phenotype_id: its id.
        group_id: of the group that it is searched with.
    """

    contig: str
    tss: int
    phenotype_id: str
    group_id: str


@dataclass(frozen=True, eq=False)
class ContigRows:
    """What a set has of a contig.

    Args:
        starts: of its variants, 0-based, ascending.
        genotypes: parts of `eqtl_genotypes`, in file order.
        phenotypes: parts of `eqtl_phenotypes`.
    """

    starts: Ints
    genotypes: tuple[TablePart, ...]
    phenotypes: tuple[TablePart, ...]


def order_places(
    rows: Sequence[Mapping[str, Any]], build: ReferenceBuild, *, is_grouped: bool
) -> list[Place]:
    """Phenotypes in the order in which they are mapped: groups by contig and first TSS, within one by TSS and id.

    Args:
        rows: columns contig, tss, phenotype_id, gene_id and group_id of `eqtl_phenotypes`.
        build: for the order of the contigs.
        is_grouped: search the phenotypes of a `group_id`, else of a `gene_id`, as one; otherwise each is its own group.
    """
    places = [
        Place(
            row["contig"],
            row["tss"],
            row["phenotype_id"],
            group_of(row) if is_grouped else row["phenotype_id"],
        )
        for row in rows
    ]
    first_tss: dict[tuple[str, str], int] = {}
    for place in places:
        key = (place.contig, place.group_id)
        first_tss[key] = min(first_tss.get(key, place.tss), place.tss)
    return sorted(
        places,
        key=lambda p: (
            build.sort_index(p.contig), p.contig, first_tss[p.contig, p.group_id], p.group_id, p.tss, p.phenotype_id,
        ),
    )  # fmt: skip


def find_windows(starts: Ints, tss: Ints, window: int) -> Ints:
    """Phenotypes × 2: the variants (0-based half-open) within `window` bases of each TSS, ends included.

    Args:
        starts: of the variants, 0-based, ascending.
        tss: of the phenotypes, 1-based.
        window: base pairs to each side.

    >>> find_windows(np.array([8, 9, 19, 30]), np.array([15, 100]), 5).tolist()
    [[1, 3], [4, 4]]
    """
    pos = starts + 1
    return np.column_stack(
        [np.searchsorted(pos, tss - window, "left"), np.searchsorted(pos, tss + window, "right")]
    )
