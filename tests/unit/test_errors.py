"""The exception tree is what its docstring draws, and a message says what, where and what to do."""

from __future__ import annotations

import re

import pytest

from kgp import errors
from kgp.errors import KgpError, UsageError

CLASSES = [getattr(errors, name) for name in errors.__all__]


def test_the_docstring_draws_the_tree() -> None:
    assert errors.__doc__ is not None
    drawn: dict[str, str] = {}
    path: list[str] = []
    for indent, name in re.findall(r"^ {4}([│├└─ ]*)([A-Z]\w+) {2,}\S", errors.__doc__, re.M):
        depth = len(indent) // 4
        drawn[name] = path[depth - 1] if depth else "Exception"
        path[depth:] = [name]
    assert drawn == {cls.__name__: cls.__bases__[0].__name__ for cls in CLASSES}


def test_every_exception_of_the_module_is_exported() -> None:
    found = {n for n, v in vars(errors).items() if isinstance(v, type) and issubclass(v, Exception)}
    assert found == set(errors.__all__)


@pytest.mark.parametrize("kind", CLASSES)
def test_exit_codes(kind: type[KgpError]) -> None:
    assert kind.exit_code == (2 if kind is UsageError else 1)
    assert kind.__doc__ is not None
    assert kind.__doc__.strip().partition("\n")[0].endswith(".")


def test_a_message_says_what_where_and_what_to_do() -> None:
    assert str(KgpError("It is broken.")) == "It is broken."
    assert str(KgpError("It is broken.", where="a.vcf")) == "a.vcf: It is broken."
    assert str(KgpError("It is broken.", where="a.vcf", mend="Mend it.")) == "a.vcf: It is broken. Mend it."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://h/a.vcf?sv=1&sig=x: It is gone.", "https://h/a.vcf: It is gone."),
        ("az://c/a.vcf and /data/what?.vcf", "az://c/a.vcf and /data/what?.vcf"),
        ("ftp://u:p@h/a", "ftp://h/a"),
        ("wasbs://c@a.blob.core.windows.net/x?sig=y", "wasbs://c@a.blob.core.windows.net/x"),
    ],
)
def test_no_message_shows_a_token(text: str, shown: str) -> None:
    from kgp.errors import KgpError, scrub

    assert scrub(text) == shown
    assert str(KgpError("It is gone.", where=text)) == f"{shown}: It is gone."
