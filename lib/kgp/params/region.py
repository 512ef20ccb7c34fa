"""`Region`: a stretch of a contig, as options name it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kgp.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Region:
    """A stretch of a contig, 0-based half-open; written ``C:BEG-END`` with 1-based inclusive ends at the edges.

    >>> Region.parse("22:16050001-16100000")
    Region(contig='22', start=16050000, end=16100000)
    >>> str(Region.parse("HLA-A*01:01:5-9"))
    'HLA-A*01:01:5-9'
    """

    contig: str
    start: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Region:
        """Read ``C:BEG-END``, 1-based inclusive; the contig may itself hold colons."""
        match = re.fullmatch(r"(.+):([\d,]+)-([\d,]+)", text)
        if match is None:
            raise UsageError(
                f"'{text}' is no region.", where="--region", mend="Write C:BEG-END, as 22:16050000-16100000."
            )
        first, last = (int(match[n].replace(",", "")) for n in (2, 3))
        if not 1 <= first <= last:
            raise UsageError(
                f"'{text}' ends before it begins.", where="--region", mend="Write C:BEG-END with BEG <= END."
            )
        return cls(contig=match[1], start=first - 1, end=last)

    def __str__(self) -> str:
        return f"{self.contig}:{self.start + 1}-{self.end}"
