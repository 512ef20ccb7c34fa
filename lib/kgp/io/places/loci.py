"""Places by id in columns: a million exons take a tenth of what as many objects would."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from kgp.genome import BUILDS, ReferenceBuild
from kgp.io.places.model import AMBIGUOUS, EXACT, OTHER_VERSION, UNKNOWN, Place, base_of

SEVERAL_PLACES = "ids with several places, which find none"
COPY_ON_Y = "ids on X and on Y, of which X is taken"
NO_STRAND = "places without a strand, whose TSS is the first base"
UNKNOWN_CONTIG = "places on contigs that the build does not have"

_AMBIGUOUS = -1


@dataclass
class Names:
    """Texts that repeat, each held once and known by its number."""

    texts: list[str | None] = field(default_factory=list)
    numbers: dict[str | None, int] = field(default_factory=dict)

    def number(self, text: str | None) -> int:
        """The number of a text."""
        found = self.numbers.setdefault(text, len(self.texts))
        if found == len(self.texts):
            self.texts.append(text)
        return found


def _is_par(build: ReferenceBuild, place: Place) -> bool:
    return any(build.is_par(place.source_contig, at) for at in (place.start, place.end - 1))


class Loci:
    """Places by id.

    An id has one place. The same id at the same place again is passed over; at another place it is ambiguous and
    finds none, for nothing says which is meant. Only of a pseudo-autosomal pair, X and Y, the one on X is taken.

    Args:
        build: reference build, which knows X from Y by any spelling.
    """

    def __init__(self, build: ReferenceBuild) -> None:
        self.warnings: Counter[str] = Counter()
        self.last_ends: dict[str, int] = {}
        self._canonical: dict[str, str | None] = {}
        self._build = build.name
        self._rows: dict[str, int] = {}
        self._names = Names()
        self._starts, self._ends, self._tss = array("q"), array("q"), array("q")
        # contig, strand, gene id, gene name and group by their numbers; the gene's version, -1 for none
        self._texts = tuple(array("i") for _ in range(5))
        self._versions = array("i")

    @property
    def n_ids(self) -> int:
        """Ids that have a place, or several."""
        return len(self._rows)

    @property
    def first_id(self) -> str:
        """The id that came first."""
        return next(iter(self._rows))

    def add(self, id: str, place: Place) -> None:
        """Give an id its place."""
        contig = place.source_contig
        if contig not in self._canonical:
            self._canonical[contig] = BUILDS[self._build].canonical(contig)
        row = self._rows.get(id)
        if row is None:
            self.warnings[UNKNOWN_CONTIG] += self._canonical[contig] is None
            self.warnings[NO_STRAND] += place.strand is None
            self._rows[id] = self._append(place)
        elif row != _AMBIGUOUS and (known := self.place(row)) != place:
            self._rows[id] = self._resolve(row, known, place)

    def _resolve(self, row: int, known: Place, other: Place) -> int:
        build = BUILDS[self._build]
        x, y = build.canonical("X"), build.canonical("Y")
        contigs = (self._canonical[known.source_contig], self._canonical[other.source_contig])
        for on_x, on_y, chosen in ((0, 1, known), (1, 0, other)):
            if (contigs[on_x], contigs[on_y]) == (x, y) and _is_par(build, chosen):
                self.warnings[COPY_ON_Y] += 1
                return row if chosen is known else self._append(other)
        if (known.source_contig, known.start, known.end, known.tss) == (
            other.source_contig,
            other.start,
            other.end,
            other.tss,
        ):
            return row
        self.warnings[SEVERAL_PLACES] += 1
        return _AMBIGUOUS

    def _append(self, place: Place) -> int:
        contig = place.source_contig
        self.last_ends[contig] = max(self.last_ends.get(contig, 0), place.end)
        self._starts.append(place.start)
        self._ends.append(place.end)
        self._tss.append(place.tss)
        texts = (contig, place.strand, place.gene_id, place.gene_name, place.group_id)
        for column, text in zip(self._texts, texts, strict=True):
            column.append(self._names.number(text))
        self._versions.append(-1 if place.gene_version is None else place.gene_version)
        return len(self._starts) - 1

    def place(self, row: int) -> Place:
        """The place with a number."""
        contig, strand, gene_id, gene_name, group_id = (
            self._names.texts[column[row]] for column in self._texts
        )
        version = self._versions[row]
        return Place(
            str(contig),
            self._starts[row],
            self._ends[row],
            self._tss[row],
            strand,
            gene_id,
            None if version < 0 else version,
            gene_name,
            group_id,
        )

    def items(self) -> Iterator[tuple[str, Place]]:
        """Ids and their places, in the order in which they came; those with several places are passed over."""
        for id, row in self._rows.items():
            if row != _AMBIGUOUS:
                yield id, self.place(row)

    def find(self, id: str) -> tuple[Place | None, str]:
        """The place of an id, as it is written or else by its base, and how it was found or why not."""
        row, how = self._rows.get(id), EXACT
        if row is None:
            row, how = self._by_base.get(base_of(id)), OTHER_VERSION
        if row is None:
            return None, UNKNOWN
        return (None, AMBIGUOUS) if row == _AMBIGUOUS else (self.place(row), how)

    @cached_property
    def _by_base(self) -> dict[str, int]:
        """Rows by id without version; ambiguous where two ids with versions share it."""
        by_base: dict[str, int] = {}
        for id, row in self._rows.items():
            base = base_of(id)
            by_base[base] = row if by_base.get(base, row) == row else _AMBIGUOUS
        return by_base
