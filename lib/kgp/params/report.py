"""Options of `kgp report`."""

from __future__ import annotations

from dataclasses import dataclass

from kgp.errors import UsageError
from kgp.params.declare import option


@dataclass(frozen=True, kw_only=True)
class WriteReport:
    """Options of `kgp report`."""

    section = "report"

    out: str = option("HTML file to write", metavar="FILE.html")
    max_variants: int = option(
        "most variants that the genotype principal components are computed from", metavar="N"
    )

    def __post_init__(self) -> None:
        if not self.out.endswith((".html", ".htm")):
            raise UsageError(f"'{self.out}' does not end in .html.", where="--out", mend="Name it FILE.html.")
        if self.max_variants < 1:
            raise UsageError(
                f"{self.max_variants} is out of range.", where="--max-variants", mend="Give 1 or more."
            )
