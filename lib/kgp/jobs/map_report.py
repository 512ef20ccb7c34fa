"""What a mapping is told as: its report, what was left out of it, and what to do where nothing can be tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kgp.amounts import count, format_seconds, upper_first
from kgp.job import Report
from kgp.jobs.map_block import MapMode, Scope
from kgp.jobs.map_interaction import MENDS as INTERACTION_MENDS
from kgp.jobs.map_read import SetDesign
from kgp.jobs.map_trans import MENDS as TRANS_MENDS

# Of the job that maps.
NAME = "map_eqtl"

_MENDS = {**TRANS_MENDS, **INTERACTION_MENDS}


def name_useless(designs: Mapping[str, SetDesign]) -> dict[str, str]:
    """Covariates that are not used, for the record."""
    dropped = dict.fromkeys(name for one in designs.values() for name in one.dropped)
    return {"covariates_left_out": ",".join(dropped)} if dropped else {}


def tell_useless(designs: Mapping[str, SetDesign]) -> list[str]:
    """The same with the reasons, for a person."""
    dropped = {name: reason for one in designs.values() for name, reason in one.dropped.items()}
    return [f"covariate {name} is left out: {reason}" for name, reason in dropped.items()]


def name_dropped(dropped: Mapping[str, int]) -> str:
    """Reasons and counts of what is not tested."""
    return ", ".join(f"{reason}: {n:,}" for reason, n in sorted(dropped.items()))


def name_mends(dropped: Mapping[str, int], scope: Scope) -> str:
    """What to do where nothing could be tested: first what the mode's own options can."""
    of_mode = [mend for reason, mend in _MENDS.items() if reason in dropped]
    window = " or a wider window" if scope == "cis" else ""
    mends = ", ".join([*of_mode, f"build a set with other phenotypes{window}", "or map other contigs"])
    return f"{upper_first(mends)}."


def report_mapping(
    row: Mapping[str, Any], mode: MapMode, n_rows: int, notes: Sequence[str], n_blocks: int, n_kept: int
) -> Report:
    """The report of a mapping that has been made.

    Args:
        row: of `eqtl_maps`.
        mode: that made it.
        n_rows: that were written.
        notes: of the mode, and of the covariates.
        n_blocks: it was cut into.
        n_kept: blocks that an earlier run had finished.
    """
    figures = row["figures"]
    found = f", {count(int(figures['n_egenes']), 'eGene')}" if "n_egenes" in figures else ""
    said = (
        f"set {row['name']}, {row['mode']} ({row['model']}): {count(row['n_phenotypes'], 'phenotype')}, "
        f"{count(row['n_pairs'], 'pair')}{found} in {format_seconds(row['seconds'])}"
    )
    details = {**_describe(row), "blocks": n_blocks, "blocks_kept": n_kept}
    dropped = [f"not tested: {name_dropped(row['dropped'])}"] if row["dropped"] else []
    return Report(NAME, True, said, rows={mode.table.name: n_rows}, details=details, notes=[*dropped, *notes])


def report_known(row: Mapping[str, Any]) -> Report:
    """The report of a mapping that was there already: a row of `eqtl_maps`."""
    said = f"set {row['name']} is mapped so already ({row['mode']}, {row['model']}), nothing to do"
    return Report(NAME, False, said, details=_describe(row))


def _describe(row: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping for a program."""
    details = {name: row[name] for name in ("map_id", "matrix_id", "df", "n_phenotypes", "n_pairs")}
    return details | {name: dict(row[name]) for name in ("dropped", "figures", "parameters")}
