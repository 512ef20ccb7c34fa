"""Checksums that an archive states outside its listing: in lists beside the files, and in ``current.tree``."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from kgp.amounts import format_bytes, some
from kgp.errors import FormatError, InputError
from kgp.io.doors.base import DoorFault, OpenDoor
from kgp.io.doors.patience import Patience, ask
from kgp.sources import Entry
from kgp.sources.checksums import parse_index, parse_manifest, parse_md5sums, parse_tree
from kgp.sources.lines import StrangePathError

Parser = Callable[[Iterable[str]], Iterator[Entry]]

_MANIFEST = re.compile(r"[^/]*manifest[^/]*\.(?:tsv|txt)", re.IGNORECASE)
_MD5SUMS = re.compile(r"md5sums?[^/]*|checksums?\.md5|[^/]+\.md5(?:sums?)?", re.IGNORECASE)
_INDEX = re.compile(r"[^/]+\.index", re.IGNORECASE)
_OF_ONE = re.compile(r"\.md5(?:sums?)?$", re.IGNORECASE)

_MOST_LIST_BYTES = 64 << 20
_MOST_PREFIXES = 64
_LISTS_AT_ONCE = 8


@dataclass
class Sums:
    """What was found.

    Args:
        md5s: path → MD5, and the path of the list that states it.
        notes: what a person should know, a sentence each.
    """

    md5s: dict[str, tuple[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def find_sums(
    wanted: Sequence[Entry], listed: Iterable[Entry], doors: Sequence[OpenDoor], *, patience: Patience
) -> Sums:
    """MD5s of files whose listing states none.

    Lists in the files' directories or above them are read first: manifests, lists of `md5sum`, index files. Then
    ``current.tree``, where it is not larger than the files that it would be read for. An MD5 does not count where its
    list states another size than the listing, or where two lists state different ones.

    Args:
        wanted: the files, none of them with an MD5.
        listed: all that was listed.
        doors: of the archive, the one that gave the listing first.
        patience: with each door.

    Raises:
        StrangePathError: ``current.tree`` names, beside the files, a path that may not be followed.
    """
    search = _Search(wanted, doors, patience)
    search.read_lists(listed)
    search.read_tree()
    return search.result()


class _Search:
    """Files that want an MD5, and what was stated of them so far; arguments as of `find_sums`."""

    def __init__(self, wanted: Sequence[Entry], doors: Sequence[OpenDoor], patience: Patience) -> None:
        self._wanted = {entry.path: entry for entry in wanted}
        self._doors, self._patience = doors, patience
        self._found = Sums()
        self._other_size: list[str] = []
        self._disputed: dict[str, None] = {}
        self._unread: list[str] = []

    def read_lists(self, listed: Iterable[Entry]) -> None:
        """Read the lists among the files that were listed."""
        there = {entry.path: entry for entry in listed}
        above = {parent for path in self._wanted for parent in _parents(path)}
        lists = [(path, parse) for path in there if (parse := self._parser(path, there, above)) is not None]
        if not lists:
            return
        with ThreadPoolExecutor(min(_LISTS_AT_ONCE, self._doors[0].most_connections)) as pool:
            for (path, _), outcome in zip(lists, pool.map(self._read, lists), strict=True):
                if isinstance(outcome, str):
                    self._unread.append(f"{path}: {outcome}")
                else:
                    self._take(outcome, path)

    def read_tree(self) -> None:
        """Look up what is still without an MD5 in ``current.tree``."""
        left = [e for path, e in self._wanted.items() if path not in self._found.md5s | self._disputed]
        doors = [door for door in self._doors if door.door.tree is not None]
        if not left or not doors:
            return
        tree = doors[0].door.tree or ""
        n_bytes = sum(entry.size or 0 for entry in left)
        prefixes = _common({entry.path.rpartition("/")[0] + "/" for entry in left})
        faults: list[DoorFault] = []

        def search(door: OpenDoor) -> list[Entry]:
            version = door.stat(tree)
            if version is None or not version.size:
                raise DoorFault("absent", "does not have it")
            if version.size > n_bytes:
                self._found.notes.append(
                    f"{tree} ({format_bytes(version.size)}) is longer than the files without an MD5 "
                    f"({format_bytes(n_bytes)}), and was not read"
                )
                return []
            return list(parse_tree(_lines(door, version), tree, prefix=prefixes))

        try:
            stated, _ = ask(
                doors,
                tree,
                search,
                patience=self._patience,
                on_fault=lambda door, fault: faults.append(fault),
            )
        except StrangePathError:
            raise
        except (InputError, FormatError) as problem:
            if any(fault.kind != "absent" for fault in faults) or isinstance(problem, FormatError):
                self._unread.append(f"{tree}: {problem.what}")
        else:
            self._take(stated, tree)

    def result(self) -> Sums:
        """MD5s that nothing speaks against."""
        found = self._found
        for path in self._disputed:
            found.md5s.pop(path, None)
        for texts, what in (
            (self._other_size, "lists of MD5s state other sizes than the listing, and were not believed"),
            (list(self._disputed), "lists state different MD5s, and were not believed"),
            (self._unread, "lists of MD5s could not be read"),
        ):
            if texts:
                found.notes.append(f"{what}: {some(texts, 2)}")
        return found

    def _parser(self, path: str, there: Mapping[str, Entry], above: set[str]) -> Parser | None:
        """What reads a file as a list; None where it is none, or nothing that it states can be wanted."""
        directory, _, name = path.rpartition("/")
        directory += "/" if directory else ""
        if directory not in above or not 0 < (there[path].size or 0) <= _MOST_LIST_BYTES:
            return None
        if _INDEX.fullmatch(name):
            return partial(parse_index, name=path)
        if _MANIFEST.fullmatch(name):
            return partial(parse_manifest, name=path, directory=directory)
        if not _MD5SUMS.fullmatch(name):
            return None
        of_one = _OF_ONE.sub("", path)
        if of_one != path and of_one in there and of_one not in self._wanted:
            return None
        return partial(parse_md5sums, name=path, directory=directory)

    def _read(self, of: tuple[str, Parser]) -> list[Entry] | str:
        """What a list states; or why it can't be read."""
        path, parse = of

        def read(door: OpenDoor) -> list[Entry]:
            version = door.stat(path)
            if version is None:
                raise DoorFault("absent", "does not have it")
            return [entry for entry in parse(_lines(door, version)) if entry.path in self._wanted]

        try:
            return ask(self._doors, path, read, patience=self._patience)[0]
        except (InputError, FormatError) as problem:
            return problem.what

    def _take(self, stated: Iterable[Entry], origin: str) -> None:
        for entry in stated:
            here = self._wanted.get(entry.path)
            if here is None or entry.md5 is None:
                continue
            if None not in (entry.size, here.size) and entry.size != here.size:
                self._other_size.append(f"{entry.path} in {origin}")
                continue
            known, _ = self._found.md5s.setdefault(entry.path, (entry.md5, origin))
            if known != entry.md5:
                self._disputed[entry.path] = None


def _parents(path: str) -> Iterator[str]:
    """The directories that a file lies in, each with a slash at its end; the root is empty."""
    while path:
        path = path.rpartition("/")[0]
        yield f"{path}/" if path else ""


def _common(directories: set[str]) -> tuple[str, ...]:
    """A few directories that hold all of these.

    >>> _common({"a/b/", "a/b/c/", "d/"})
    ('a/b/', 'd/')
    """
    while True:
        outermost: list[str] = []
        for directory in sorted(directories):
            if not outermost or not directory.startswith(outermost[-1]):
                outermost.append(directory)
        if len(outermost) <= _MOST_PREFIXES:
            return tuple("" if directory == "/" else directory for directory in outermost)
        directories = {f"{directory.rstrip('/').rpartition('/')[0]}/" for directory in outermost}


def _lines(door: OpenDoor, version: Entry) -> Iterator[str]:
    """Lines of a text, read range by range; all of one version.

    Raises:
        DoorFault: the door does not give it.
    """
    if version.size is None:
        raise DoorFault("confused", "does not say how long it is")
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    rest = ""
    for start in range(0, version.size, door.range_bytes):
        end = min(start + door.range_bytes, version.size)
        data = door.read_range(version.path, start, end, version=version)
        *lines, rest = (rest + decode(data, end == version.size)).split("\n")
        yield from lines
    if rest:
        yield rest
