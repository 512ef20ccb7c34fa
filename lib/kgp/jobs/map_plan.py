"""What a mapping is: the set, and the options that its rows depend on; its id is their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from kgp.errors import UsageError
from kgp.genome import ReferenceBuild
from kgp.params import EqtlMap

# Raised where the same set and options give other rows: an earlier mapping is then another one.
RECIPE = "2"


def resolve_window(asked: int | None, set_parameters: Mapping[str, str]) -> int:
    """The cis window of a mapping in base pairs: what is asked for, or the set's.

    Raises:
        UsageError: it is wider than the set's, which lacks the variants that lie further away.

    >>> resolve_window(None, {"cis_window": "1000000"}), resolve_window(500, {"cis_window": "1000000"})
    (1000000, 500)
    """
    of_set = int(set_parameters["cis_window"])
    if asked is not None and asked > of_set:
        raise UsageError(
            f"{asked:,} bases are more than the {of_set:,} that the set was built with.",
            where="--cis-window",
            mend="Give less, or build a set with a wider window.",
        )
    return of_set if asked is None else asked


def resolve_contigs(asked: Sequence[str], build: ReferenceBuild, there: Sequence[str]) -> list[str]:
    """The contigs of a set to map, in karyotype order: those asked for, in any spelling, or all.

    Raises:
        UsageError: the set has no phenotype on one of them.
    """
    ordered = sorted(there, key=lambda contig: (build.sort_index(contig), contig))
    if not asked:
        return ordered
    chosen = {build.canonical(contig) or contig: contig for contig in asked}
    if strangers := [spelling for contig, spelling in chosen.items() if contig not in there]:
        raise UsageError(
            f"The set has no phenotype on contig {strangers[0]}.",
            where="--contig",
            mend=f"It has: {', '.join(ordered)}.",
        )
    return [contig for contig in ordered if contig in chosen]


def describe_map(
    params: EqtlMap, contigs: Sequence[str] | None, window: int | None, options: Mapping[str, str]
) -> dict[str, str]:
    """What a mapping's rows depend on besides the set, as it is recorded.

    Args:
        params: of the job.
        contigs: that were asked for; None where all of the set's are mapped.
        window: cis window in base pairs; None where there is none.
        options: those of the mode alone.
    """
    common = {
        "recipe": RECIPE,
        "mode": params.mode,
        "model": params.model,
        "phenotype_df": str(params.phenotype_df),
    }
    if contigs is not None:
        common["contig"] = ",".join(contigs)
    if window is not None:
        common["cis_window"] = str(window)
    return {**common, **options}


def name_map(matrix_id: str, parameters: Mapping[str, str]) -> str:
    """The id of a mapping: hash of the set and of `describe_map`.

    >>> name_map("m1", {"mode": "trans", "max_p": "0"}) == name_map("m1", {"max_p": "0", "mode": "trans"})
    True
    """
    content = json.dumps({"matrix_id": matrix_id, "parameters": dict(parameters)}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:32]
