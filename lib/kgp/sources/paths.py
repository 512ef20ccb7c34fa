"""Paths that a listing names: none may lead out of the directory it is staged into, or deceive who reads it."""

from __future__ import annotations

import re
import unicodedata

from kgp.errors import InputError

_MOST_BYTES = 255  # of a name, in every file system that matters

# Nearly all paths: nothing in them needs a closer look, but for length and dots.
_PLAIN = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.=,+@-]*/)*[A-Za-z0-9_][A-Za-z0-9_.=,+@-]*")
_DRIVE = re.compile(r"[A-Za-z]:")

# Control characters, halves of surrogate pairs, and the separators that some programs take for the end of a line.
_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def check_path(path: str) -> None:
    """Refuse a path that is not plainly below the root of its archive.

    Refused are absolute paths, ``.``, ``..`` and empty components, backslashes, drive letters, control characters (C1,
    line separators and marks that turn the direction of writing among them), blanks at the ends of a component, and
    components of more than 255 bytes.

    Raises:
        InputError: with the path as `show_path` writes it.
    """
    if len(path) <= _MOST_BYTES and _PLAIN.fullmatch(path):
        return
    if (wrong := _what_is_wrong(path)) is not None:
        raise InputError(
            f"A path in the listing {wrong}.", where=show_path(path), mend="Nothing of it was taken."
        )


def show_path(path: str) -> str:
    r"""The path for a message, with everything escaped that is not seen, or not seen as what it is.

    >>> print(show_path("release/a\nb\u202egpj"))
    release/a\nb\u202egpj
    """
    return "".join(char if char.isprintable() and not _is_hidden(char) else _escaped(char) for char in path)


def has_hidden(text: str) -> bool:
    """Whether there is a control character, or another that is not seen, in the text."""
    return any(map(_is_hidden, text))


def _what_is_wrong(path: str) -> str | None:
    if not path:
        return "is empty"
    if has_hidden(path):
        return "holds a control character"
    if path.startswith("/"):
        return "is absolute"
    if "\\" in path:
        return "holds a backslash"
    if _DRIVE.match(path):
        return "begins with the letter of a drive"
    for name in path.split("/"):
        if name in ("", ".", ".."):
            return f"has the component '{name}'"
        if name != name.strip():
            return "has a component that begins or ends with a blank"
        if len(name.encode("utf-8", "surrogatepass")) > _MOST_BYTES:
            return f"has a component of more than {_MOST_BYTES} bytes"
    return None


def _is_hidden(char: str) -> bool:
    return not " " <= char <= "~" and (unicodedata.category(char) in _CATEGORIES or char in _DIRECTIONS)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
