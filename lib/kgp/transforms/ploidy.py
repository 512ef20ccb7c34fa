"""How many alleles genotypes have, and what those of X outside the pseudoautosomal regions count. Pure functions.

Files write the X of men in two ways: with one allele (``1``), as the phase 3 release does, or with two equal ones
(``1|1``). `dosages` are 1 for the first and 2 for the second; only `calls` tells them apart. Here both are one copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kgp.genome import ReferenceBuild
from kgp.transforms.calls import TEXT, parse_genotype
from kgp.transforms.gt_texts import other_length

Bools = npt.NDArray[np.bool_]
Int8s = npt.NDArray[np.int8]
Int64s = npt.NDArray[np.int64]
Copies = npt.NDArray[np.int8] | npt.NDArray[np.float32]

_TAB, _PIPE, _SLASH = (ord(c) for c in "\t|/")


def is_hemizygous(contigs: pa.Array, starts: Int64s, build: ReferenceBuild) -> Bools:
    """Whether men have one copy and women two: X outside the pseudoautosomal regions.

    Args:
        contigs: of each variant, in any spelling that the build knows.
        starts: places of the variants, 0-based.
        build: reference build of the places.

    >>> from kgp.genome import GRCH37
    >>> is_hemizygous(pa.array(["X", "X", "22"]), np.array([59_999, 60_000, 59_999]), GRCH37).tolist()
    [True, False, False]
    """
    on_x = is_on_x(contigs, build)
    for begin, end in build.par if on_x.any() else ():
        on_x &= (starts < begin) | (starts >= end)
    return on_x


def is_on_x(contigs: pa.Array, build: ReferenceBuild) -> Bools:
    """Whether each variant lies on chromosome X."""
    names = pa.array([name for name in pc.unique(contigs).to_pylist() if is_x(name, build)], pa.string())
    return np.array(pc.is_in(contigs, value_set=names).to_numpy(zero_copy_only=False))


def is_x(contig: str, build: ReferenceBuild) -> bool:
    """Whether a contig, in any spelling, is chromosome X.

    >>> from kgp.genome import GRCH38
    >>> is_x("X", GRCH38), is_x("chrX", GRCH38), is_x("chrY", GRCH38)
    (True, True, False)
    """
    canonical = build.canonical(contig)
    return canonical is not None and canonical == build.canonical("X")


def read_ploidies(calls: pa.Array, n_samples: int) -> dict[int, Int8s]:
    """Alleles of each sample, of those rows in which not everybody is known to have two.

    Args:
        calls: the column of `variants`.
        n_samples: of the callset.

    Returns:
        number of the row → alleles of each sample, missing ones included. What is not named is diploid.

    Raises:
        CheckError: a row has another number of genotypes.

    >>> {row: ploidies.tolist() for row, ploidies in read_ploidies(pa.array([b"\\x02", b"\\x001\\t0|1"]), 2).items()}
    {1: [1, 2]}
    """
    is_text = pc.fill_null(pc.equal(pc.binary_slice(calls, 0, 1), pa.scalar(bytes([TEXT]))), False)
    rows = np.flatnonzero(is_text.to_numpy(zero_copy_only=False))
    texts = calls.take(pa.array(rows)).to_pylist()
    found, form = {}, None
    for row, text in zip(rows.tolist(), texts, strict=True):
        cells = np.frombuffer(text, dtype=np.uint8)[1:]
        if form is None or not form.fits(cells):
            form = _Form.of(cells, n_samples)
        if form.ploidies is not None:
            found[row] = form.ploidies
    return found


def count_copies_on_x(dosages: Copies, ploidies: Int8s, is_male: Bools, is_female: Bools) -> Copies:
    """Copies of ALT among the X chromosomes that people have: 0 to 1 in men, 0 to 2 in women.

    Missing is what can't be: a man with two different alleles, a woman with one, three alleles; and whose sex is not
    known. Of expected dosages a man's in diploid form is half of what it says.

    Args:
        dosages: variants × samples: copies of ALT (-1 where missing), or expected copies (NaN where missing).
        ploidies: variants × samples.
        is_male: a sample each.
        is_female: a sample each.

    >>> dosages = np.array([[0, 1, 2, 1, 1, 2, 1]], dtype=np.int8)
    >>> ploidies = np.array([[1, 1, 2, 2, 1, 2, 2]], dtype=np.int8)
    >>> male = np.array([True, True, True, True, False, False, False])
    >>> count_copies_on_x(dosages, ploidies, male, ~male).tolist()
    [[0, 1, 1, -1, -1, 2, 1]]
    """
    missing = dosages.dtype.type(-1 if dosages.dtype == np.int8 else np.nan)
    of_women = np.where((ploidies == 2) & is_female, dosages, missing)
    of_men = np.where(ploidies == 1, dosages, np.where(ploidies == 2, _halve(dosages), missing))
    copies: Copies = np.where(is_male, of_men, of_women)
    return copies


def _halve(dosages: Copies) -> Copies:
    """Half of each dosage; of copies -1 where one is missing or alone."""
    if dosages.dtype == np.int8:
        return np.where(dosages == 1, np.int8(-1), np.right_shift(dosages.view(np.int8), 1))
    return np.divide(dosages, np.float32(2), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _Form:
    """Where the genotypes of a row stand; as a rule the next row has them at the same places.

    Args:
        size: bytes of the row.
        tabs: places of the tabs.
        separators: places of the separators of alleles; None where another row can't be told to have the same form.
        ploidies: alleles of each sample; None where everybody has two.
    """

    size: int
    tabs: npt.NDArray[np.intp]
    separators: npt.NDArray[np.intp] | None
    ploidies: Int8s | None

    @classmethod
    def of(cls, cells: npt.NDArray[np.uint8], n_samples: int) -> _Form:
        """The form of GT texts joined by tabs."""
        tabs = np.flatnonzero(cells == _TAB)
        ends = np.append(tabs, cells.size)
        if ends.size != n_samples:
            raise other_length(ends.size, n_samples)
        begins = np.append(0, tabs + 1)
        lengths = ends - begins
        is_pair = lengths == 3
        separators = begins[is_pair] + 1
        if (is_pair | (lengths == 1)).all() and _are_separators(cells[separators]):
            ploidies = np.where(is_pair, np.int8(2), np.int8(1))
            return cls(cells.size, tabs, separators, None if is_pair.all() else ploidies)
        texts = cells.tobytes().decode().split("\t")
        ploidy_of = {text: len(parse_genotype(text) or ()) for text in set(texts)}
        ploidies = np.fromiter((ploidy_of[text] for text in texts), dtype=np.int8, count=n_samples)
        return cls(cells.size, tabs, None, None if (ploidies == 2).all() else ploidies)

    def fits(self, cells: npt.NDArray[np.uint8]) -> bool:
        """Whether a row certainly has this form."""
        return (
            self.separators is not None
            and cells.size == self.size
            and np.count_nonzero(cells == _TAB) == self.tabs.size
            and bool((cells[self.tabs] == _TAB).all())
            and _are_separators(cells[self.separators])
        )


def _are_separators(cells: npt.NDArray[np.uint8]) -> bool:
    return bool(((cells == _PIPE) | (cells == _SLASH)).all())
