"""Cohorts: people named by an expression of populations and ids, or by a list of ids. Pure functions."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from kgp.errors import InputError, UsageError
from kgp.transforms.people import SUPERPOPULATION_OF, SUPERPOPULATIONS, Person

FLAG = "--cohort"

_IDS = "ids:"
_MOST_NAMES = 40
_LIKE_AN_ID = re.compile(r"[A-Za-z]+[0-9]{2,}[A-Za-z0-9]*")


@dataclass(frozen=True)
class Cohort:
    """People that were asked for.

    Args:
        name: the expression without its blanks; of a list of ids ``ids:<n>:<hex>``, with the first 12 hexadecimal
            digits of the SHA-256 of the sorted ids.
        ids: of a list, the ids in the order given; None where the name is an expression.
        where: of a list, the file, for messages.
    """

    name: str
    ids: tuple[str, ...] | None = None
    where: str = field(default=FLAG, compare=False)

    @classmethod
    def of_ids(cls, ids: Sequence[str], *, where: str = FLAG) -> Cohort:
        """A list of ids under the name that it has wherever it lies.

        >>> Cohort.of_ids(["HG2", "HG1"]).name
        'ids:2:30ba72f7369b'
        """
        digest = hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:12]
        return cls(f"{_IDS}{len(ids)}:{digest}", tuple(ids), where)

    def select(self, people: Iterable[Person]) -> set[str]:
        """Ids of the people whom it names.

        Args:
            people: rows with sample_id, population and superpopulation.

        Raises:
            UsageError: a name that nobody has, with the nearest.
            InputError: a list has an id that nobody has, with the nearest.
        """
        if self.ids is None:
            return select_cohort(self.name, people)
        check_ids(self.ids, [str(person["sample_id"]) for person in people], where=self.where)
        return set(self.ids)


def count_listed(name: str) -> int | None:
    """People whom a list of ids names, by the cohort's name; None where it is an expression.

    >>> count_listed("ids:2:30ba72f7369b"), count_listed("EUR,-FIN")
    (2, None)
    """
    return int(name.split(":")[1]) if name.startswith(_IDS) else None


def check_ids(ids: Iterable[str], known: Iterable[str], *, where: str = FLAG) -> None:
    """Refuse ids of people who are not known.

    Args:
        ids: in question.
        known: of everybody.
        where: where the ids are from, for the message.

    Raises:
        InputError: names the first of them with the nearest that are known.
    """
    everybody = sorted(set(known))
    if unknown := sorted(set(ids) - set(everybody)):
        raise InputError(
            f"Nobody is known as {hint(unknown, everybody)}.",
            where=where,
            mend=f"There are {len(everybody):,} people: kgp samples cohort ALL --related keep",
        )


def hint(unknown: Sequence[str], known: Sequence[str]) -> str:
    """The first of some unknown names, each with the nearest that are known, and how many more there are.

    >>> hint(["NA12879", "xyz"], ["HG00096", "NA12878"])
    'NA12879 (perhaps NA12878), xyz'
    """
    hints = []
    for name in unknown[:3]:
        near = difflib.get_close_matches(name, known, n=2, cutoff=0.6)
        hints.append(f"{name} (perhaps {' or '.join(near)})" if near else name)
    more = f" and {len(unknown) - 3:,} more" if len(unknown) > 3 else ""
    return f"{', '.join(hints)}{more}"


def select_cohort(expression: str, people: Iterable[Person]) -> set[str]:
    """People that a cohort expression names.

    ``ALL`` is everybody; populations, superpopulations and ids are joined with ``+`` (or ``,``) and taken away with
    ``,-``: ``EUR``, ``CEU+TSI``, ``EUR,-FIN``, ``YRI,-NA18498``. Terms count from left to right; what begins with ``-``
    takes away from everybody.

    Args:
        expression: the cohort expression.
        people: rows with sample_id, population and superpopulation.

    Returns:
        sample ids.

    Raises:
        UsageError: a name that nobody has, with the nearest that somebody has.

    >>> rows = [{"sample_id": "a", "population": "CEU", "superpopulation": "EUR"},
    ...         {"sample_id": "b", "population": "FIN", "superpopulation": "EUR"}]
    >>> sorted(select_cohort("EUR", rows)), sorted(select_cohort("EUR,-FIN", rows)), select_cohort("b", rows)
    (['a', 'b'], ['a'], {'b'})
    """
    groups: dict[str, set[str]] = {"ALL": set()}
    for person in people:
        sample_id = str(person["sample_id"])
        groups["ALL"].add(sample_id)
        for name in (person.get("population"), person.get("superpopulation")):
            if name is not None:
                groups.setdefault(str(name), set()).add(sample_id)
    terms = [t for t in re.split(r"[+,]", expression.replace(",-", "+-").replace(" ", "")) if t]
    if not terms:
        raise UsageError("No cohort is named.", where=FLAG, mend="Write ALL, EUR, CEU+TSI or EUR,-FIN.")
    if terms[0].startswith("-"):
        terms.insert(0, "ALL")
    chosen: set[str] = set()
    for term in terms:
        name = term.removeprefix("-")
        members = groups.get(name) or ({name} & groups["ALL"])
        if not members:
            raise _unknown(name, groups)
        chosen = chosen - members if term.startswith("-") else chosen | members
    return chosen


def _unknown(name: str, groups: dict[str, set[str]]) -> UsageError:
    if not groups["ALL"]:
        return UsageError(
            f"Nobody belongs to '{name}': nobody is known yet.",
            where=FLAG,
            mend="Load who the people are: kgp load samples --panel URL",
        )
    if _LIKE_AN_ID.fullmatch(name):
        near = _nearest(name, groups["ALL"], n=2, cutoff=0.6)
        return UsageError(
            f"Nobody is called '{name}'.",
            where=FLAG,
            mend=f"Did you mean {' or '.join(near)}?" if near else "Name a population or somebody's id.",
        )
    near = _nearest(name.upper(), groups, n=1, cutoff=0.4)
    advice = f"Did you mean {near[0]}? " if near else ""
    return UsageError(
        f"Nobody belongs to '{name}'.",
        where=FLAG,
        mend=f"{advice}There are: {_list_names(groups)}. A file of ids is named with a slash: ./FILE",
    )


def _list_names(groups: Collection[str]) -> str:
    """All names, or where IGSR's hundreds are among them, the project's own and how many more there are."""
    names = sorted(groups)
    if len(names) > _MOST_NAMES:
        names = [
            name for name in names if name in SUPERPOPULATION_OF or name in SUPERPOPULATIONS or name == "ALL"
        ]
    more = f" and {len(groups) - len(names):,} more" if len(names) < len(groups) else ""
    return f"{', '.join(names)}{more}"


def _nearest(name: str, known: Collection[str], *, n: int, cutoff: float) -> list[str]:
    return difflib.get_close_matches(name, sorted(known), n=n, cutoff=cutoff)
