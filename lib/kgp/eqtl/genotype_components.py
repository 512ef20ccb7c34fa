"""Principal components of genotypes, by the matrix of people × people.

Variants come block by block and are never held together: each block is standardised and adds to the Gram matrix, whose
eigenvectors are the components. Arrays are `variants × samples`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from kgp.eqtl.components import choose_signs
from kgp.errors import InputError

Floats = NDArray[np.float64]
Dosages = NDArray[np.int8]

MISSING = -1


@dataclass(frozen=True, eq=False)
class GenotypeComponents:
    """The first principal components.

    Args:
        scores: samples × components: each component has length 1, and its greatest score by size is positive.
        eigenvalues: variance along each component, descending, in the scale of the relationship matrix.
        variance_explained: part of all variance that each explains, 0 to 1.
        n_variants: polymorphic variants that they were computed from.
    """

    scores: Floats
    eigenvalues: Floats
    variance_explained: Floats
    n_variants: int


def standardise(dosages: Dosages) -> Floats:
    """Dosages as (g - 2p) / sqrt(2p (1 - p)), p the ALT frequency among the called genotypes; missing ones become 0.

    A missing genotype is thereby taken as the variant's mean. A variant that does not vary becomes 0 everywhere.

    Args:
        dosages: variants × samples of diploid genotypes, copies of ALT, negative where missing.

    Returns:
        variants × samples, in standard deviations under Hardy-Weinberg equilibrium.

    Source: Patterson, Price, Reich 2006, with the factor 2 of the relationship matrix (Yang et al. 2011).

    >>> standardise(np.array([[0, 1, 2, -1], [2, 2, 2, 2]], dtype=np.int8)).round(4).tolist()
    [[-1.4142, 0.0, 1.4142, 0.0], [0.0, 0.0, 0.0, 0.0]]
    """
    is_called = dosages >= 0
    n_called = is_called.sum(axis=1)
    copies = np.where(is_called, dosages, 0).sum(axis=1, dtype=np.int64)
    frequency = copies / np.maximum(2 * n_called, 1)
    deviation = np.sqrt(2.0 * frequency * (1.0 - frequency))
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    centred = dosages - 2.0 * frequency[:, None]
    return np.asarray(np.where(is_called, centred, 0.0) * scale[:, None])


class RelationshipMatrix:
    """Sums the products of the standardised genotypes of every two people.

    Args:
        n_samples: people.
    """

    def __init__(self, n_samples: int) -> None:
        self._sum = np.zeros((n_samples, n_samples))
        self.n_variants = 0

    def __getstate__(self) -> dict[str, object]:
        """Half of it, for it is symmetric: what a task gives back is small."""
        n_samples = len(self._sum)
        lower = self._sum[np.tril_indices(n_samples)]
        return {"n_samples": n_samples, "lower": lower, "n_variants": self.n_variants}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._sum = np.zeros((state["n_samples"], state["n_samples"]))
        self._sum[np.tril_indices(state["n_samples"])] = state["lower"]
        self._sum += np.tril(self._sum, -1).T
        self.n_variants = state["n_variants"]

    def add(self, dosages: Dosages) -> None:
        """Add variants.

        Args:
            dosages: variants × samples, as `standardise` takes them.
        """
        values = standardise(dosages)
        self._sum += values.T @ values
        self.n_variants += int(values.any(axis=1).sum())

    def merge(self, other: RelationshipMatrix) -> None:
        """Add what another has summed over other variants of the same people."""
        self._check_people(other)
        self._sum += other._sum
        self.n_variants += other.n_variants

    def without(self, part: RelationshipMatrix) -> RelationshipMatrix:
        """What is left when a part of what was added is taken out, a contig for instance."""
        self._check_people(part)
        if part.n_variants > self.n_variants:
            raise InputError(
                f"{part.n_variants:,} variants cannot be taken out of {self.n_variants:,}.",
                where="genotype components",
            )
        left = RelationshipMatrix(len(self._sum))
        left._sum, left.n_variants = self._sum - part._sum, self.n_variants - part.n_variants
        return left

    def _check_people(self, other: RelationshipMatrix) -> None:
        if len(other._sum) != len(self._sum):
            raise InputError(
                f"Sums of {len(other._sum)} people do not go with sums of {len(self._sum)}.",
                where="genotype components",
            )

    def components(self, n_components: int) -> GenotypeComponents:
        """The first principal components of what was added.

        Args:
            n_components: how many; fewer come where there are fewer people or variants.

        Raises:
            InputError: nobody differs from anybody in what was added.
        """
        if not self.n_variants:
            raise InputError("No variant varies among these people.", where="genotype components")
        n_samples = len(self._sum)
        n = min(n_components, n_samples, self.n_variants)
        matrix = self._sum / self.n_variants
        values, vectors = eigh(matrix, subset_by_index=(n_samples - n, n_samples - 1))
        values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
        scores = vectors * choose_signs(vectors)
        return GenotypeComponents(scores, values, values / np.trace(matrix), self.n_variants)
