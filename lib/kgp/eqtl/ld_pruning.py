"""Linkage disequilibrium pruning: variants of a contig of which no two near each other are correlated.

The variants kept are those that ``plink2 --indep-pairwise`` keeps, one by one. Windows slide along the contig. Within a
window the variants are visited in their order, again and again until nothing changes: each removes the first later
variant that it is too correlated with, or is removed itself where its major allele is the more frequent (the rarer
variant goes; of two equally frequent ones the later). Two variants are compared once, in the first window that holds
both, over the people called at both.

What a window removes depends on what the windows before it left, so a contig cannot be cut into overlapping parts
exactly. It can be streamed: `LdPruner` takes blocks of any size and holds one window. Contigs do not depend on each
other, and under a window in base pairs neither do two sides of a gap wider than it.

plink 1.9 keeps the same variants under windows in variants. Under windows in base pairs it differs in one case: a
variant that does not vary and has no other within the window is kept by plink2, and here; plink 1.9 removes it unless
it is the contig's first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kgp.amounts import count
from kgp.eqtl.ld_window import Members, prune_window
from kgp.errors import InputError, UsageError

Dosages = NDArray[np.int8]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

MIN_CONTIGS = 5
MIN_VARIANTS = 1_000


@dataclass(frozen=True)
class PruningRule:
    """Which variants are compared, and how correlated they may be.

    plink2's ``--indep-pairwise 200 100 0.1`` (GTEx) is the rule (200, 100, 0.1), ``50000 200 0.05`` (eQTL Catalogue)
    is (50000, 200, 0.05), and ``500kb 0.2`` is (500000, 1, 0.2, "bp").

    Args:
        window: length of a window, 2 or more: in variants; or in base pairs from its first variant to its last.
        step: variants by which a window moves on, at most its length; 1 for windows in base pairs, which move on until
            they hold a further variant.
        max_r2: greatest squared correlation of two variants that are both kept, 0 to below 1.
        unit: of the window.

    Raises:
        UsageError: a number is out of range.
    """

    window: int
    step: int
    max_r2: float
    unit: Literal["variants", "bp"] = "variants"

    def __post_init__(self) -> None:
        if self.window < 2:
            raise UsageError(
                f"A window of {self.window} {self.unit} holds no pair of variants.", mend="Take 2 or more."
            )
        if not 1 <= self.step <= self.window or (self.unit == "bp" and self.step != 1):
            most = "1 for windows in base pairs" if self.unit == "bp" else f"1 to {self.window:,}"
            raise UsageError(f"A window cannot move on by {self.step:,} variants.", mend=f"Take {most}.")
        if not 0.0 <= self.max_r2 < 1.0:
            raise UsageError(f"max_r2 {self.max_r2:g} is not within 0 to below 1.", mend="Take 0.1.")


def check_components_basis(n_contigs: int, n_variants: int | None, *, is_allowed: bool) -> None:
    """Refuse genotype components of a small part of the genome, which are haplotypes of that part and not ancestry.

    As covariates they absorb the very signals that are tested for.

    Args:
        n_contigs: contigs that the variants lie on.
        n_variants: LD-pruned variants; None where they are not known yet.
        is_allowed: whether such components were asked for by name.

    Raises:
        InputError: there are fewer than 5 contigs or 1,000 variants.
    """
    if is_allowed or (n_contigs >= MIN_CONTIGS and (n_variants is None or n_variants >= MIN_VARIANTS)):
        return
    variants = "" if n_variants is None else f"{count(n_variants, 'LD-pruned variant')} on "
    basis = f"{variants}{count(n_contigs, 'contig')}"
    raise InputError(
        f"Components of {basis} would be local haplotypes, which absorb the signals under test:"
        f" {MIN_VARIANTS:,} variants on {MIN_CONTIGS} contigs are the least.",
        where="genotype components",
        mend="Load more contigs of the callset, give --n-components 0, or ask for local ones by name: "
        "--few-contigs allow.",
    )


class LdPruner:
    """Prunes one contig whose variants come block by block.

    Held are the variants that wait for their window to be complete, and those of the last window that are left.

    Args:
        n_samples: people.
        rule: windows and threshold.
        take: is given the dosages (variants × samples) of the variants that are kept, in their order, as soon as no
            later window can remove them.

    >>> pruner = LdPruner(4, PruningRule(200, 100, 0.1))
    >>> pruner.add(np.array([[0, 1, 2, 0], [0, 1, 2, 0], [1, 0, 1, 1]], dtype=np.int8), np.array([10, 20, 30]))
    >>> pruner.finish().tolist()
    [True, False, True]
    """

    def __init__(
        self, n_samples: int, rule: PruningRule, take: Callable[[Dosages], None] | None = None
    ) -> None:
        self._rule = rule
        self._give = take
        self._starts = np.empty(0, dtype=np.int64)
        self._waiting: list[Dosages] = []
        self._left = Members.of(np.empty((0, n_samples), dtype=np.int8), 0)
        self._removed: list[Ints] = []
        self._first = 0
        self._end = 0

    def add(self, dosages: Dosages, starts: Ints) -> None:
        """Add the next variants of the contig.

        Args:
            dosages: variants × samples, copies of ALT in diploid genotypes, negative where missing.
            starts: place of each variant, never falling.

        Raises:
            InputError: the variants are not in order of their places, or a dosage is above 2.
        """
        if dosages.size and dosages.max() > 2:
            raise InputError(
                f"A genotype has {dosages.max()} copies of the ALT: only diploid genotypes can be pruned.",
                where="LD pruning",
                mend="Leave out haploid and polyploid contigs.",
            )
        places = np.concatenate([self._starts, starts])
        falls = np.flatnonzero(np.diff(places[max(len(self._starts) - 1, 0) :]) < 0)
        if len(falls):
            before = max(len(self._starts) - 1, 0) + int(falls[0])
            raise InputError(
                f"A variant at {places[before + 1]:,} follows one at {places[before]:,}.",
                where="LD pruning",
                mend="Sort the variants of a contig by their place.",
            )
        self._starts = places
        self._waiting.append(dosages)
        self._advance(is_last=False)

    def finish(self) -> Flags:
        """Prune the windows that are left; a flag for each variant added, in their order: whether it is kept."""
        self._advance(is_last=True)
        self._settle(self._left)
        is_kept = np.ones(len(self._starts), dtype=np.bool_)
        is_kept[np.concatenate([np.empty(0, dtype=np.int64), *self._removed])] = False
        return is_kept

    def _advance(self, *, is_last: bool) -> None:
        while (window := self._next_window(is_last=is_last)) is not None:
            first, end = window
            new = Members.of(self._take(end - self._end), self._end)
            is_past = self._left.indices < first
            self._settle(self._left.take(is_past))
            members = self._left.take(~is_past).join(new)
            self._first, self._end = first, end
            if end - first == 1 and (self._rule.unit == "bp" or len(self._starts) == 1):
                self._left = members
                continue  # as plink2: it is compared with none, so it is not looked at
            is_kept = prune_window(members, len(members.indices) - len(new.indices), self._rule.max_r2)
            self._removed.append(members.indices[~is_kept])
            self._left = members.take(is_kept)

    def _settle(self, kept: Members) -> None:
        """Give away variants that no later window holds."""
        if self._give is not None and len(kept.indices):
            self._give(kept.dosages)

    def _next_window(self, *, is_last: bool) -> tuple[int, int] | None:
        """The next window as (first variant, end), or None where it is not known yet or there is none."""
        places, window = self._starts, self._rule.window
        n = len(places)
        if self._end == n:
            return None
        if self._rule.unit == "variants":
            first = self._first + self._rule.step if self._end else 0
            end = first + window
            return (first, min(end, n)) if end <= n or is_last else None
        first = int(np.searchsorted(places, places[self._end] - window, side="left")) if self._end else 0
        end = int(np.searchsorted(places, places[first] + window, side="right"))
        return (first, end) if end < n or is_last else None

    def _take(self, n: int) -> Dosages:
        """The next n of the variants that wait."""
        waiting = self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting)
        self._waiting = [waiting[n:]]
        return waiting[:n]
