"""Which of very many variants are read: some stretches of the table, evenly, and of them some variants, evenly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def spread(n: int, n_wanted: int) -> Ints:
    """Places of `n_wanted` things among `n`, evenly; all where there are no more.

    >>> spread(10, 3).tolist(), spread(2, 5).tolist()
    ([1, 5, 8], [0, 1])
    """
    wanted = min(n, n_wanted)
    return np.asarray((2 * np.arange(wanted) + 1) * n // max(2 * wanted, 1), dtype=np.int64)


def choose_stretches(n_eligible: Sequence[int], n_variants: int, min_stretches: int) -> list[int]:
    """Stretches to read: evenly spread, no fewer than asked for, and enough for the wanted variants.

    Args:
        n_eligible: eligible variants of each stretch, in the order of the table.
        n_variants: variants that are wanted.
        min_stretches: fewest stretches, where there are as many.

    Returns:
        places of stretches that have an eligible variant, ascending.

    >>> choose_stretches([5, 0, 5, 5, 5], n_variants=4, min_stretches=2)
    [2, 4]
    """
    there = [place for place, n in enumerate(n_eligible) if n]
    n_wanted = min(n_variants, sum(n_eligible))
    n_stretches = min_stretches
    while True:
        chosen = [there[i] for i in spread(len(there), n_stretches)]
        if len(chosen) == len(there) or sum(n_eligible[place] for place in chosen) >= n_wanted:
            return chosen
        n_stretches *= 2


def choose_variants(n_eligible: Sequence[int], n_variants: int) -> list[Ints]:
    """Of each stretch, which of its eligible variants are taken, evenly over all of them.

    >>> [places.tolist() for places in choose_variants([4, 4], 4)]
    [[1, 3], [1, 3]]
    """
    bounds = np.cumsum([0, *n_eligible])
    chosen = spread(int(bounds[-1]), n_variants)
    cuts = np.searchsorted(chosen, bounds)
    return [chosen[a:b] - first for a, b, first in zip(cuts[:-1], cuts[1:], bounds[:-1], strict=True)]
