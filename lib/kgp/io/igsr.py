"""Reads what the International Genome Sample Resource lists: its samples, and its populations in three layouts.

- Samples of the data portal (igsr_samples.tsv): nine columns, the data collections in quotes.
- Populations of the data portal (igsr_populations.tsv): code, name, description, superpopulation. HGDP and SGDP have no
  codes, they go by their ``Population elastic ID``.
- Populations of phase 3 (20131219.populations.tsv): description, code, superpopulation, and a last line of totals.
"""

from __future__ import annotations

from typing import Any

from kgp.errors import FormatError
from kgp.io.people_text import People, TextTable, find_columns, read_people, read_text_table
from kgp.transforms.people import SUPERPOPULATIONS

IGSR_SAMPLES, POPULATION_LIST = "igsr_samples", "populations"

_SAMPLES = {
    "sample name": "sample_id",
    "sample": "sample_id",
    "sex": "sex",
    "population code": "population",
    "superpopulation code": "superpopulation",
    "population elastic id": "elastic_id",
    "biosample id": "biosample_id",
    "population name": "population_name",
    "superpopulation name": "superpopulation_name",
    "data collections": "collections",
}
_POPULATIONS = {
    "population code": "population",
    "population elastic id": "elastic_id",
    "population description": "population_name",
    "super population": "superpopulation",
    "superpopulation code": "superpopulation",
    "superpopulation name": "superpopulation_name",
}
_KNOWN_UNREAD = {
    name: name
    for name in (
        "population name", "population latitude", "population longitude", "superpopulation display colour",
        "superpopulation display order", "number of samples", "data collections", "project", "dna from blood",
        "offspring available from trios", "pilot samples", "phase1 samples", "final phase samples", "total",
    )
}  # fmt: skip


def read_igsr_samples(path: str) -> People:
    """Read the sample list of the data portal.

    A person with several populations has none here, and a remark that names them: the panel knows. A population
    without a code has its elastic id (BedouinHGDP); superpopulations are those of the 1000 Genomes Project or None.

    Raises:
        FormatError: no such header, a line with too few or too many values, a person twice, an unknown sex.
        InputError: there is no such file, or it may not be read.
    """
    what = "sample list of the IGSR data portal (Sample name, Sex, Biosample ID, Population code, …)"
    table = read_text_table(path, _SAMPLES, required=("sample_id", "sex", "population"), what=what)
    rows = read_people(table, find_columns(table, _SAMPLES), {"superpopulation": lambda text, _: text})
    return People(
        tuple(_place_person(row, table) for row in rows), table.n_lines, IGSR_SAMPLES, dict(table.warnings)
    )


def _place_person(row: dict[str, Any], table: TextTable) -> dict[str, Any]:
    codes = row["population"] or row.get("elastic_id") or ""
    superpopulation = row.get("superpopulation") or None
    remarks = None
    if "," in codes or "," in (superpopulation or ""):
        table.warnings["person with several populations"] += 1
        names = row.get("superpopulation") or row.get("superpopulation_name")
        remarks = f"populations {codes}" + (f" of {names}" if names else "")
    is_plain = remarks is None
    return {
        "sample_id": row["sample_id"],
        "sex": row["sex"],
        "population": (codes or None) if is_plain else None,
        "superpopulation": superpopulation if is_plain and superpopulation in SUPERPOPULATIONS else None,
        "remarks": remarks,
    }


def read_populations(path: str) -> People:
    """Read a list of populations: rows of `populations` without their counts.

    Raises:
        FormatError: no such header, a line with too few or too many values, or a population twice.
        InputError: there is no such file, or it may not be read.
    """
    names = _KNOWN_UNREAD | _POPULATIONS
    table = read_text_table(
        path,
        names,
        required=("population", "population_name", "superpopulation"),
        what="population list (Population code, Population description, Superpopulation code, …)",
    )
    columns = find_columns(table, _POPULATIONS)
    rows: dict[str, dict[str, Any]] = {}
    n_lines = table.n_lines
    for number, cells in table.lines:
        row = {name: cells[i] or None for name, i in columns.items()}
        population = row["population"] or row.pop("elastic_id", None)
        if population is None:
            if "Total" not in cells and any(cells):
                raise FormatError(
                    "There is no population code.",
                    where=table.locate(number, columns["population"]),
                    mend="A population has one row with its code.",
                )
            n_lines -= 1
            continue
        if population in rows:
            raise FormatError(
                f"Population {population} is there a second time.",
                where=table.locate(number),
                mend="A population has one row: remove one of them.",
            )
        is_known = row["superpopulation"] in SUPERPOPULATIONS
        rows[population] = {
            "population": population,
            "population_name": row["population_name"],
            "superpopulation": row["superpopulation"] if is_known else None,
            "superpopulation_name": row.get("superpopulation_name"),
        }
    return People(tuple(rows.values()), n_lines, POPULATION_LIST, dict(table.warnings))
