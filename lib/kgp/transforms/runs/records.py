"""What one source says of one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Kinds of files that say whose a run is, those of higher authority first; a matrix says what it was made from.
AUTHORITY = ("sdrf", "sequence_index", "geo_series_matrix", "geo_soft", "table", "matrix")
MATRIX = AUTHORITY[-1]

# Between the people that one source names for one run, where it names several.
SEVERAL = " | "


@dataclass(frozen=True)
class RunRecord:
    """What one source says of one run or array.

    Args:
        run_id: its accession or name.
        person_text: whose it is, as the source writes it; several people joined by `SEVERAL`; None where it names
            nobody.
        evidence: kind of the source and its column (``SDRF Source Name``).
        lab, batch, replicate: as the source names them.
        aliases: further names of the run, by where they come from (a column's name).
        combines: runs that the values were made from; empty for a single run.
        kind: one of `AUTHORITY`.
        source: the file, as messages name it.
        load_id: the load that the record belongs to; '' where it is not loaded.
        n_rows: rows of the file that speak of the run.
    """

    run_id: str
    person_text: str | None
    evidence: str
    lab: str | None = None
    batch: str | None = None
    replicate: str | None = None
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    combines: tuple[str, ...] = ()
    kind: str = "table"
    source: str = ""
    load_id: str = ""
    n_rows: int = 1

    @property
    def person_texts(self) -> tuple[str, ...]:
        """The people that the source names, each as it writes them."""
        return () if self.person_text is None else tuple(self.person_text.split(SEVERAL))
