"""The part of a file that is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kgp.genome import ReferenceBuild
from kgp.params import Region


@dataclass(frozen=True)
class Selection:
    """Contigs and regions, together; a record is in where it overlaps one of them, as in ``bcftools view
    -r``.

    Args:
        contigs: canonical names.
        regions: 0-based half-open, with canonical names.
    """

    contigs: tuple[str, ...] = ()
    regions: tuple[Region, ...] = ()

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out: neither contigs nor regions are named."""
        return not self.contigs and not self.regions

    def in_build(self, build: ReferenceBuild) -> Selection:
        """The same with the build's names for the contigs; a name that it does not know stays."""
        regions = [replace(one, contig=build.canonical(one.contig) or one.contig) for one in self.regions]
        return Selection(tuple(build.canonical(name) or name for name in self.contigs), tuple(regions))

    def takes(self, contig: str | None, start: int | None, end: int | None) -> bool:
        """Whether a record is in. What can't be placed is, so that a malformed line never gets lost.

        >>> chosen = Selection(regions=(Region(contig="22", start=100, end=200),))
        >>> chosen.takes("22", 199, 200), chosen.takes("22", 200, 201), chosen.takes("22", None, None)
        (True, False, True)

        Args:
            contig: canonical name; None where the line has none.
            start, end: 0-based half-open; None where the line does not say.
        """
        if contig is None or self.is_everything or contig in self.contigs:
            return True
        return any(
            region.contig == contig
            and (start is None or end is None or (start < region.end and end > region.start))
            for region in self.regions
        )
