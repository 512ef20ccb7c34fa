"""Shell patterns of paths: what they match, where the files that they match lie, whether two can match one path.

``*`` and ``?`` stand for any characters of one name, ``[…]`` for one of some, ``**`` for any characters, slashes
included, and ``{contig}`` for the name of a contig.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

CONTIG = "{contig}"

_TOKEN = re.compile(
    r"(?P<contig>\{contig\})|(?P<deep>\*\*)|(?P<star>\*)|(?P<any>\?)|\[(?P<set>!?[^\]]+)\]|(?P<char>.)", re.S
)
_HERE = "\0"  # where the contig is, in a regular expression that is being made
_WILD = re.compile(r"[*?\[]|\{contig\}")


@dataclass(frozen=True)
class _Token:
    """A piece of a pattern.

    Args:
        regex: of what it matches.
        chars: characters that it matches; None: any but a slash.
        repeats: whether it matches any number of them.
        crosses: whether a slash is among them.
    """

    regex: str
    chars: frozenset[str] | None = None
    repeats: bool = False
    crosses: bool = False


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str, contigs: tuple[str, ...] = ()) -> re.Pattern[str]:
    """The pattern as a regular expression for `fullmatch`, whose group ``contig`` is the contig's name.

    >>> compile_pattern("release/ALL.chr{contig}.*.gz", ("1", "22")).fullmatch("release/ALL.chr22.v5.gz")["contig"]
    '22'
    >>> compile_pattern("release/*.gz").fullmatch("release/supporting/a.gz") is None
    True
    """
    names = "|".join(map(re.escape, contigs)) or "[^/]+"
    first, *others = "".join(token.regex for token in _tokens(pattern)).split(_HERE)
    named = f"(?P<contig>{names})".join([first, *others[:1]])
    return re.compile("(?P=contig)".join([named, *others[1:]]), re.S)


def matches(pattern: str, path: str) -> bool:
    """Whether a person's pattern means a path: one without a slash the name of the file, any other the whole path.

    >>> matches("*.tbi", "release/a.vcf.gz.tbi"), matches("release/*", "release/supporting/a")
    (True, False)
    """
    return compile_pattern(pattern).fullmatch(path if "/" in pattern else path.rpartition("/")[2]) is not None


def expand(pattern: str, contigs: Sequence[str]) -> list[str]:
    """The pattern for each of the contigs; itself where it names none.

    >>> expand("chr{contig}.gz", ["1", "X"]), expand("README*", ["1", "X"])
    (['chr1.gz', 'chrX.gz'], ['README*'])
    """
    return [pattern.replace(CONTIG, contig) for contig in contigs] if CONTIG in pattern else [pattern]


@lru_cache(maxsize=4096)
def directory_of(pattern: str) -> str:
    """The deepest directory that holds all that the pattern matches, with a slash at its end; empty for the root.

    >>> directory_of("phase3/data/*/alignment/*.bam"), directory_of("README*")
    ('phase3/data/', '')
    """
    found = _WILD.search(pattern)
    return pattern[: pattern.rfind("/", 0, found.start() if found else None) + 1]


def may_hold(directory: str, pattern: str) -> bool:
    """Whether a directory (with a slash at its end) can hold, at whatever depth, something that the pattern matches.

    >>> may_hold("release/supporting/", "release/*.gz"), may_hold("release/", "release/*/a.gz")
    (False, True)
    """
    known = directory_of(pattern)
    if not directory.startswith(known):
        return known.startswith(directory)
    return may_meet(f"{_literal(directory)}**", pattern)


def may_meet(one: str, other: str) -> bool:
    """Whether some path can match both patterns; rather True than wrongly False.

    >>> may_meet("ALL.chr22*", "ALL.chr{contig}.*.vcf.gz"), may_meet("ALL.*", "[HN][AG]*.bam")
    (True, False)
    """
    a, b = _tokens(one), _tokens(other)
    reached, ends = {(0, 0)}, (len(a), len(b))
    todo = [(0, 0)]
    while todo:
        i, j = todo.pop()
        if (i, j) == ends:
            return True
        steps = []
        if i < ends[0] and a[i].repeats:
            steps.append((i + 1, j))
        if j < ends[1] and b[j].repeats:
            steps.append((i, j + 1))
        if i < ends[0] and j < ends[1] and _share(a[i], b[j]):
            steps.append((i if a[i].repeats else i + 1, j if b[j].repeats else j + 1))
        new = [step for step in steps if step not in reached]
        reached.update(new)
        todo += new
    return False


@lru_cache(maxsize=4096)
def _tokens(pattern: str) -> tuple[_Token, ...]:
    return tuple(map(_token, _TOKEN.finditer(pattern)))


def _token(found: re.Match[str]) -> _Token:
    if found["contig"]:
        return _Token(_HERE, repeats=True)
    if found["deep"]:
        return _Token(".*", repeats=True, crosses=True)
    if found["star"]:
        return _Token("[^/]*", repeats=True)
    if found["any"]:
        return _Token("[^/]")
    if (chars := found["set"]) is not None:
        inner = re.sub(r"[\\\]\[^&~|]", lambda char: "\\" + char[0], chars.removeprefix("!"))
        if chars.startswith("!"):
            return _Token(f"[^/{inner}]")
        some = re.compile(f"(?!/)[{inner}]")
        return _Token(some.pattern, frozenset(filter(some.fullmatch, map(chr, range(256)))))
    return _Token(re.escape(found["char"]), frozenset(found["char"]))


def _share(a: _Token, b: _Token) -> bool:
    """Whether one character can be matched by both."""
    if a.chars is not None and b.chars is not None:
        return not a.chars.isdisjoint(b.chars)
    if a.chars is None and b.chars is None:
        return True
    chars, other = (a.chars, b) if a.chars is not None else (b.chars, a)
    return other.crosses or chars != frozenset("/")


def _literal(text: str) -> str:
    """A pattern that matches this text alone."""
    return re.sub(r"[*?\[{]", lambda char: f"[{char[0]}]", text)
