"""Reads pedigrees of the 1000 Genomes Project: the 12 columns of 2013, and the two files of the 3,202 samples.

Which one a file is, its header says:

- ``Family ID  Individual ID  Paternal ID … Other Comments``: 20130606_g1k.ped, by tabs, lists of relatives in quotes;
- ``FamilyID SampleID FatherID MotherID Sex Population Superpopulation``: 20130606_g1k_3202_samples_ped_population.txt;
- ``sampleID fatherID motherID sex``: 1kGP.3202_samples.pedigree_info.txt.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from kgp.io.people_text import People, TextTable, find_columns, read_people, read_text_table
from kgp.transforms.relationships import normalise_relationship

PEDIGREE, PEDIGREE_3202 = "pedigree", "pedigree_3202"

_OF_2013 = {
    "family id": "family_id",
    "individual id": "sample_id",
    "paternal id": "father_id",
    "maternal id": "mother_id",
    "gender": "sex",
    "phenotype": "phenotype",
    "population": "population",
    "relationship": "relationship_text",
    "siblings": "siblings",
    "second order": "second_order",
    "third order": "third_order",
    "other comments": "remarks",
}
_OF_3202 = {
    "familyid": "family_id",
    "sampleid": "sample_id",
    "fatherid": "father_id",
    "motherid": "mother_id",
    "sex": "sex",
    "superpopulation": "superpopulation",
}
_NAMES = _OF_2013 | _OF_3202
_LISTS = {"siblings": "Siblings", "second_order": "Second Order", "third_order": "Third Order"}
_ARCHIVE_ID = re.compile(r"(HG|NA|GM)[0-9]{5}")
_SECOND_ORDER = re.compile(r"2nd order to (\S+)")


def read_pedigree(path: str) -> People:
    """Read a pedigree; parents written 0 are None, relationships stay as worded, lists of relatives become ids.

    What stands in a list of relatives and is no id goes to the remarks, with the name of the list.

    Raises:
        FormatError: no such header, a line with too few or too many values, a person twice, an unknown sex or
            superpopulation.
        InputError: there is no such file, or it may not be read.
    """
    table = read_text_table(
        path,
        _NAMES,
        required=("sample_id", "father_id", "mother_id"),
        what="pedigree (Family ID, Individual ID, Paternal ID, Maternal ID, …)",
    )
    columns = find_columns(table, _NAMES)
    texts = [name for name in (*_LISTS, "remarks", "relationship_text", "phenotype") if name in columns]
    rows = read_people(table, columns, dict.fromkeys(texts, _keep_text))
    people = frozenset(row["sample_id"] for row in rows)
    for row in rows:
        _place_relatives(row, people, table)
        if row.get("relationship_text") and normalise_relationship(row["relationship_text"]) is None:
            table.warnings[f"relationship '{row['relationship_text']}' is not known"] += 1
    is_2013 = any(cell.lower() == "individual id" for cell in table.header)
    return People(rows, table.n_lines, PEDIGREE if is_2013 else PEDIGREE_3202, dict(table.warnings))


def _keep_text(text: str, _: str) -> str | None:
    """Words as they stand; 0 is how the file writes that there are none."""
    return None if text in ("", "0") else text


def _place_relatives(row: dict[str, Any], people: Collection[str], table: TextTable) -> None:
    """Make ids of the lists of relatives, and remarks of whatever else stands in them."""
    remarks = []
    lists: dict[str, list[str]] = {name: [] for name in _LISTS if name in row}
    for name in lists:
        for token in [part.strip() for part in (row[name] or "").split(",")]:
            # HG02302 has a relative of second order among its siblings, in words.
            in_words = _SECOND_ORDER.fullmatch(token)
            relative, target = (in_words[1], "second_order") if in_words else (token, name)
            if _is_id(relative, people) and target in lists:
                if relative in lists[target]:
                    table.warnings["relative named twice in a list"] += 1
                else:
                    lists[target].append(relative)
            if token and not _is_id(token, people):
                remarks.append(f"{_LISTS[name]}: {token}")
    row |= {name: ids or None for name, ids in lists.items()}
    if row.pop("phenotype", None):
        table.warnings["phenotype is not read"] += 1
    if row.get("remarks") is not None:
        remarks.append(row["remarks"])
    if "remarks" in row or remarks:
        row["remarks"] = "; ".join(remarks) or None


def _is_id(text: str, people: Collection[str]) -> bool:
    return text in people or _ARCHIVE_ID.fullmatch(text) is not None
