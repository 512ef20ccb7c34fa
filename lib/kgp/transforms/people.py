"""The people of the archives: what a person's row is, the 26 populations, and what there is to say of each. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Person = Row

# Names of the 26 populations of phase 3 and of their superpopulations:
# https://www.internationalgenome.org/category/population
SUPERPOPULATION_NAMES = {
    "AFR": "African", "AMR": "American", "EAS": "East Asian", "EUR": "European", "SAS": "South Asian",
}  # fmt: skip
POPULATION_NAMES: dict[str, dict[str, str]] = {
    "AFR": {
        "ACB": "African Caribbean in Barbados",
        "ASW": "African Ancestry in Southwest US",
        "ESN": "Esan in Nigeria",
        "GWD": "Gambian in Western Division, The Gambia - Mandinka",
        "LWK": "Luhya in Webuye, Kenya",
        "MSL": "Mende in Sierra Leone",
        "YRI": "Yoruba in Ibadan, Nigeria",
    },
    "AMR": {
        "CLM": "Colombian in Medellin, Colombia",
        "MXL": "Mexican Ancestry in Los Angeles, California",
        "PEL": "Peruvian in Lima, Peru",
        "PUR": "Puerto Rican in Puerto Rico",
    },
    "EAS": {
        "CDX": "Chinese Dai in Xishuangbanna, China",
        "CHB": "Han Chinese in Beijing, China",
        "CHS": "Han Chinese South",
        "JPT": "Japanese in Tokyo, Japan",
        "KHV": "Kinh in Ho Chi Minh City, Vietnam",
    },
    "EUR": {
        "CEU": "Utah residents (CEPH) with Northern and Western European ancestry",
        "FIN": "Finnish in Finland",
        "GBR": "British in England and Scotland",
        "IBS": "Iberian populations in Spain",
        "TSI": "Toscani in Italy",
    },
    "SAS": {
        "BEB": "Bengali in Bangladesh",
        "GIH": "Gujarati Indians in Houston, TX",
        "ITU": "Indian Telugu in the UK",
        "PJL": "Punjabi in Lahore, Pakistan",
        "STU": "Sri Lankan Tamil in the UK",
    },
}
SUPERPOPULATIONS = {s: tuple(populations) for s, populations in POPULATION_NAMES.items()}
SUPERPOPULATION_OF = {p: s for s, populations in SUPERPOPULATIONS.items() for p in populations}


def describe_populations(
    samples: Sequence[Row],
    claims: Mapping[str, Sequence[Row]],
    population_records: Iterable[Row],
    paths: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Rows of `populations`: the 26, and what else occurs among people or is listed; the 26 keep their known names.

    Args:
        samples: rows of `samples`.
        claims: sample_id → what each file says of the person.
        population_records: what population lists say, with their load ids.
        paths: load id → path of the file, which decides between lists.
    """
    n_people = Counter(row["population"] for row in samples if row["population"] is not None)
    load_ids: dict[str, set[str]] = defaultdict(set)
    of_people: dict[str, set[str]] = defaultdict(set)
    for claim in (claim for of_one in claims.values() for claim in of_one):
        load_ids[claim.get("population") or ""].add(claim["load_id"])
    for row in samples:
        of_people[row["population"] or ""].add(row["superpopulation"])
    listed: dict[str, Row] = {}
    for row in sorted(population_records, key=lambda one: (paths[one["load_id"]], one["load_id"])):
        listed.setdefault(row["population"], row)
        load_ids[row["population"]].add(row["load_id"])
    found = []
    for population in sorted({*SUPERPOPULATION_OF, *n_people, *listed}):
        said = listed.get(population, {})
        of_these = of_people[population]
        superpopulation = SUPERPOPULATION_OF.get(population) or said.get("superpopulation")
        if superpopulation is None and len(of_these) == 1:
            (superpopulation,) = of_these
        known = POPULATION_NAMES.get(superpopulation or "", {})
        found.append(
            {
                "population": population,
                "population_name": known.get(population) or said.get("population_name"),
                "superpopulation": superpopulation,
                "superpopulation_name": SUPERPOPULATION_NAMES.get(superpopulation or "")
                or said.get("superpopulation_name"),
                "n_people": n_people[population],
                "load_ids": sorted(load_ids[population]),
            }
        )
    return found
