"""A matrix set is found by its name, and what is said where there is none."""

from __future__ import annotations

from typing import Any, cast

import pytest

from kgp.errors import InputError
from kgp.job import Context
from kgp.jobs.matrix_lookup import find_set
from kgp.table import Table


class Sets:
    """A lake with matrix sets of some names and nothing else."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def fetch(self, table: Table) -> list[dict[str, Any]]:
        assert table.name == "eqtl_matrices"
        return [{"name": name, "matrix_id": f"id of {name}"} for name in self.names]


def find(name: str, *names: str, **given: str) -> str:
    return str(find_set(cast(Context, Sets(*names)), name, **given)["matrix_id"])


def test_a_set_is_found_by_its_whole_name() -> None:
    assert find("eur", "eur2", "eur", "afr") == "id of eur"


@pytest.mark.parametrize(
    ("names", "mend"),
    [
        (("afr", "eur", "euro2"), "Did you mean eur?"),
        (("b", "a"), "There are: a, b."),
        ((), "Build it first: kgp eqtl build."),
    ],
    ids=["near", "far", "none"],
)
def test_a_name_that_no_set_has_is_refused(names: tuple[str, ...], mend: str) -> None:
    with pytest.raises(InputError) as caught:
        find("eru", *names)
    assert str(caught.value) == f"--name: There is no matrix set eru in this lake. {mend}"
    with pytest.raises(InputError, match=r"^NAME: There is no matrix set eru"):
        find("eru", *names, where="NAME")
