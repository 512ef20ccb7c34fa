"""Reads population panels: integrated_call_samples_v3.20130502.ALL.panel and its like."""

from __future__ import annotations

from kgp.io.people_text import People, find_columns, read_people, read_text_table

PANEL = "panel"

_PANEL_COLUMNS = {
    "sample": "sample_id",
    "pop": "population",
    "population": "population",
    "super_pop": "superpopulation",
    "superpop": "superpopulation",
    "superpopulation": "superpopulation",
    "gender": "sex",
    "sex": "sex",
}


def read_panel(path: str) -> People:
    """Read ``sample pop super_pop gender``; the archive's stray tabs at line ends are tolerated and counted.

    Raises:
        FormatError: no such header, a line with too few or too many values, a person twice, an unknown sex or
            superpopulation.
        InputError: there is no such file, or it may not be read.
    """
    table = read_text_table(
        path,
        _PANEL_COLUMNS,
        required=("sample_id", "population"),
        what="panel (sample, pop, super_pop, gender)",
    )
    columns = find_columns(table, _PANEL_COLUMNS)
    rows = read_people(table, columns, {})
    return People(rows, table.n_lines, PANEL, dict(table.warnings))
