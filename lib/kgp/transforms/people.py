"""Who is who: joining panel and pedigree into one row a person, and naming cohorts. Pure functions."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from kgp.errors import InputError, UsageError

Person = Mapping[str, str | None]

# Population → superpopulation: https://www.internationalgenome.org/category/population, 26 of phase 3.
SUPERPOPULATIONS: dict[str, tuple[str, ...]] = {
    "AFR": ("ACB", "ASW", "ESN", "GWD", "LWK", "MSL", "YRI"),
    "AMR": ("CLM", "MXL", "PEL", "PUR"),
    "EAS": ("CDX", "CHB", "CHS", "JPT", "KHV"),
    "EUR": ("CEU", "FIN", "GBR", "IBS", "TSI"),
    "SAS": ("BEB", "GIH", "ITU", "PJL", "STU"),
}
SUPERPOPULATION_OF = {p: s for s, populations in SUPERPOPULATIONS.items() for p in populations}


def merge_people(sources: Sequence[tuple[str, Iterable[Person]]]) -> list[dict[str, str | None]]:
    """One row a person from several sources, earlier ones first in authority.

    Args:
        sources: (load id, rows); a row's nulls are filled from later sources.

    Returns:
        rows with all their columns and the `load_id` of the first source that has the person, by sample id.

    Raises:
        InputError: two sources give a person different sexes or populations.
    """
    merged: dict[str, dict[str, str | None]] = {}
    for load_id, people in sources:
        for person in people:
            sample_id = person["sample_id"]
            assert sample_id is not None
            row = merged.setdefault(sample_id, {"load_id": load_id})
            for name, value in person.items():
                if name == "load_id" or value is None:
                    continue
                if row.get(name) is None:
                    row[name] = value
                elif name in ("sex", "population", "superpopulation") and row[name] != value:
                    raise InputError(
                        f"{sample_id} has {name} {row[name]} in one source and {value} in another.",
                        where="people",
                        mend="Load the source that is right, or mend the other.",
                    )
    for row in merged.values():
        if row.get("superpopulation") is None and row.get("population") is not None:
            row["superpopulation"] = SUPERPOPULATION_OF.get(str(row["population"]))
    return [merged[sample_id] for sample_id in sorted(merged)]


def select_cohort(expression: str, people: Iterable[Person]) -> set[str]:
    """People that a cohort expression names.

    ``ALL`` is everybody; populations and superpopulations are joined with ``+`` and taken away with ``,-``:
    ``EUR``, ``CEU+TSI``, ``EUR,-FIN``.

    Args:
        expression: the cohort expression.
        people: rows with sample_id, population and superpopulation.

    Returns:
        sample ids.

    Raises:
        UsageError: a name that nobody has, with the nearest that somebody has.

    >>> rows = [{"sample_id": "a", "population": "CEU", "superpopulation": "EUR"},
    ...         {"sample_id": "b", "population": "FIN", "superpopulation": "EUR"}]
    >>> sorted(select_cohort("EUR", rows)), sorted(select_cohort("EUR,-FIN", rows))
    (['a', 'b'], ['a'])
    """
    groups: dict[str, set[str]] = {"ALL": set()}
    for person in people:
        sample_id = str(person["sample_id"])
        groups["ALL"].add(sample_id)
        for name in (person.get("population"), person.get("superpopulation")):
            if name is not None:
                groups.setdefault(name, set()).add(sample_id)
    terms = [t for t in re.split(r"[+,]", expression.replace(",-", "+-").replace(" ", "")) if t]
    if not terms:
        raise UsageError("No cohort is named.", where="--cohort", mend="Write ALL, EUR, CEU+TSI or EUR,-FIN.")
    if all(t.startswith("-") for t in terms):
        terms.insert(0, "ALL")
    chosen: set[str] = set()
    for term in terms:
        name = term.removeprefix("-")
        if name not in groups:
            near = difflib.get_close_matches(name.upper(), groups, n=1, cutoff=0.4)
            advice = f"Did you mean {near[0]}? " if near else ""
            raise UsageError(
                f"Nobody belongs to '{name}'.",
                where="--cohort",
                mend=f"{advice}There are: {', '.join(sorted(groups))}.",
            )
        chosen = chosen - groups[name] if term.startswith("-") else chosen | groups[name]
    return chosen
