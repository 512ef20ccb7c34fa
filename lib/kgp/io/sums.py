"""Checksums that an archive states outside its listing: in manifests beside the files, and in ``current.tree``."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from kgp.errors import FormatError
from kgp.io.doors.base import DoorFault, OpenDoor
from kgp.io.doors.patience import Patience, insist
from kgp.sources import Entry
from kgp.sources.checksums import parse_manifest, parse_md5sums, parse_tree

_MANIFEST = re.compile(r"(?:^|/)[^/]*manifest[^/]*\.(?:tsv|txt)$", re.IGNORECASE)
_MD5SUMS = re.compile(r"(?:^|/)(?:md5sums?[^/]*|checksums?\.md5|[^/]+\.md5(?:sums?)?)$", re.IGNORECASE)
_MOST_LIST_BYTES = 64 << 20


def find_sums(
    entries: Sequence[Entry], others: Sequence[Entry], doors: Sequence[OpenDoor], *, patience: Patience
) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """MD5s of files whose listing states none.

    Lists beside the files are read first, then ``current.tree`` of the first door that gives it, where it is not larger
    than the files that it would be read for. An MD5 counts only where its list states no other size than the listing.

    Args:
        entries: the files, none of them with an MD5.
        others: what else the listing has.
        doors: of the archive, in order of preference.
        patience: with each door.

    Returns:
        path → MD5 and who states it; and notes, a sentence each.
    """
    wanted = {entry.path: entry for entry in entries}
    found: dict[str, tuple[str, str]] = {}
    notes: list[str] = []

    def take(stated: Iterable[Entry], origin: str) -> None:
        for entry in stated:
            here = wanted.get(entry.path)
            if here is None or entry.md5 is None:
                continue
            if entry.size is not None and here.size is not None and entry.size != here.size:
                sizes = f"{entry.size:,} bytes, the listing {here.size:,}"
                notes.append(f"{entry.path}: {origin} states {sizes}; its MD5 is not used")
                continue
            found.setdefault(entry.path, (entry.md5, origin))

    directories = {path.rpartition("/")[0] for path in wanted}
    for beside in others:
        directory = beside.path.rpartition("/")[0]
        if directory not in directories or (beside.size or 0) > _MOST_LIST_BYTES:
            continue
        if not (_MANIFEST.search(beside.path) or _MD5SUMS.search(beside.path)):
            continue
        parse = parse_manifest if _MANIFEST.search(beside.path) else parse_md5sums
        try:
            lines = list(_lines(doors[0], beside.path, patience))
            take(parse(lines, beside.path, directory=f"{directory}/" if directory else ""), beside.path)
        except (DoorFault, FormatError) as problem:
            notes.append(f"{beside.path} was not used for checksums: {problem}")
    left = [entry for path, entry in wanted.items() if path not in found]
    if left:
        _search_tree(left, doors, take, notes, patience)
    return found, notes


def _search_tree(
    wanted: Sequence[Entry],
    doors: Sequence[OpenDoor],
    take: Callable[[Iterable[Entry], str], None],
    notes: list[str],
    patience: Patience,
) -> None:
    """Look the files up in ``current.tree``."""
    n_bytes = sum(entry.size or 0 for entry in wanted)
    prefixes = tuple({f"{entry.path.rpartition('/')[0]}/" for entry in wanted})
    for door in doors:
        tree = door.door.tree
        if tree is None:
            continue
        try:
            listed = _stat(door, tree, patience)
            if listed is None or not listed.size:
                continue
            if listed.size > n_bytes:
                notes.append(
                    f"{tree} ({listed.size:,} bytes) was not read for the checksums of so few ({n_bytes:,} bytes)"
                )
                return
            take(parse_tree(_lines(door, tree, patience), tree, prefix=prefixes), tree)
        except (DoorFault, FormatError) as problem:
            notes.append(f"{tree} of {door.door.name} was not used for checksums: {problem}")
        else:
            return


def _stat(door: OpenDoor, path: str, patience: Patience) -> Entry | None:
    return insist(door, lambda door: door.stat(path), patience=patience)


def _lines(door: OpenDoor, path: str, patience: Patience) -> Iterator[str]:
    """Lines of a text, read range by range; all of one version.

    Raises:
        DoorFault: the door does not give it.
    """
    version = _stat(door, path, patience)
    if version is None or version.size is None:
        raise DoorFault("absent", "it is not there")
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    rest = ""
    for start in range(0, version.size, door.range_bytes):
        end = min(start + door.range_bytes, version.size)

        def read(door: OpenDoor, start: int = start, end: int = end) -> bytes:
            return door.read_range(path, start, end, version=version)

        *lines, rest = (rest + decode(insist(door, read, patience=patience))).split("\n")
        yield from lines
    if rest:
        yield rest
