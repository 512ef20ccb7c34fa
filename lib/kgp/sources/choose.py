"""Which files of a source a person means, which directories have to be listed for them, and whether a listing is whole.

What narrows a choice: contigs in any spelling that the build knows, shell patterns, names of parts. Without any, the
parts that are staged by default are meant; patterns and parts reach the others too. Nothing here asks a door.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from kgp.errors import InputError, UsageError
from kgp.sources import patterns as shell
from kgp.sources.model import Entry, Part, Source
from kgp.sources.paths import check_path, show_path
from kgp.sources.wanted import Wanted, WantedPart, find_wanted

__all__ = ["check_path", "choose", "expected", "may_hold", "missing", "part_of", "prefixes_for"]

_INDEXES = (".tbi", ".csi", ".bai", ".crai")


def choose(
    source: Source,
    entries: Iterable[Entry],
    *,
    contigs: Sequence[str] = (),
    patterns: Sequence[str] = (),
    parts: Sequence[str] = (),
) -> list[Entry]:
    """The entries of a listing that are meant, part after part, contig after contig; an index with what it indexes.

    Args:
        source: what was listed.
        entries: the listing, in any order; what is not of the source may be among them.
        contigs: of a part that is divided by contig, these only; what is not divided comes whole, unless patterns ask.
        patterns: shell patterns; one without a slash is of the file's name, any other of its whole path.
        parts: names of parts.

    Raises:
        UsageError: there is no such part, or the source has no file for a contig.
        InputError: what is meant has a path that `check_path` refuses, or is listed twice as two different files.
    """
    wanted = find_wanted(source, contigs, patterns, parts)
    by_path: dict[str, Entry] = {}
    for entry in entries:
        if by_path.setdefault(entry.path, entry) != entry:
            raise InputError(
                "The listing names it twice, as two different files.",
                where=show_path(entry.path),
                mend="List it again.",
            )
    places = _Places(wanted)
    chosen: list[tuple[tuple[int, int, str], Entry]] = []
    for path, entry in by_path.items():
        indexed = path.rpartition(".")[0] if path.endswith(_INDEXES) else path
        if indexed not in by_path:
            indexed = path
        place = places.find(indexed)
        if place is None and (wanted.is_narrowed or not patterns):
            continue
        if patterns and not any(shell.matches(p, path) or shell.matches(p, indexed) for p in patterns):
            continue
        chosen.append(((*(place or (len(wanted.parts), 0)), path), entry))
    for _, entry in chosen:
        check_path(entry.path)
    return [entry for _, entry in sorted(chosen, key=lambda item: item[0])]


def expected(source: Source, contigs: Sequence[str] = (), parts: Sequence[str] = ()) -> list[str]:
    """Paths, or patterns of paths, of which a listing that is whole has at least one file each.

    Contigs whose files may be missing are expected only where they are asked for by name.

    Raises:
        UsageError: as `choose`.
    """
    known = []
    for wanted in find_wanted(source, contigs, (), parts).parts:
        unsure = () if contigs else wanted.part.unsure_contigs
        names = [contig for contig in wanted.contigs if contig not in unsure]
        if wanted.part.is_expected:
            known += [path for pattern in wanted.part.patterns for path in shell.expand(pattern, names)]
    return known


def missing(patterns: Iterable[str], entries: Iterable[Entry]) -> list[str]:
    """Those of the paths and patterns that no entry of a listing satisfies."""
    by_directory: dict[str, list[str]] = {}
    for entry in entries:
        by_directory.setdefault(entry.path.rpartition("/")[0] + "/", []).append(entry.path)
    everything = [path for paths in by_directory.values() for path in paths]

    def is_there(pattern: str) -> bool:
        directory = shell.directory_of(pattern)
        is_flat = "/" not in pattern[len(directory) :] and "**" not in pattern
        paths = by_directory.get(directory or "/", []) if is_flat else everything
        return any(map(shell.compile_pattern(pattern).fullmatch, paths))

    return [pattern for pattern in patterns if not is_there(pattern)]


def prefixes_for(
    source: Source,
    contigs: Sequence[str] = (),
    patterns: Sequence[str] = (),
    parts: Sequence[str] = (),
) -> tuple[str, ...]:
    """The directories to list, each with a slash at its end, none within another: all that is meant lies below them.

    What lies below them need not be meant: `may_hold` says into which of their directories to go. A pattern of a
    file's name is looked for among the files of the parts that can have such a name; only where none can, everywhere.

    Raises:
        UsageError: as `choose`; or a pattern lies outside the source.
    """
    directories = {shell.directory_of(p) for p in _targets(source, contigs, patterns, parts)}
    return tuple(sorted(d for d in directories if not any(d != o and d.startswith(o) for o in directories)))


def may_hold(
    source: Source,
    contigs: Sequence[str] = (),
    patterns: Sequence[str] = (),
    parts: Sequence[str] = (),
) -> Callable[[str], bool]:
    """Whether a directory (with a slash at its end) can hold, at whatever depth, a file that is meant.

    A listing that goes from directory to directory asks before it enters one: the genotypes of phase 3 lie in
    ``release/20130502/``, and ``release/20130502/supporting/`` is not looked into for them.

    Raises:
        UsageError: as `prefixes_for`.
    """
    targets = _targets(source, contigs, patterns, parts)
    return lambda directory: any(shell.may_hold(directory, target) for target in targets)


def part_of(source: Source, path: str) -> Part | None:
    """The part that a file (or what it is the index of) belongs to; None where it belongs to none."""
    everything = Wanted(tuple(WantedPart(part, part.contigs) for part in source.parts))
    place = _Places(everything).find(path)
    if place is None and path.endswith(_INDEXES):
        place = _Places(everything).find(path.rpartition(".")[0])
    return None if place is None else source.parts[place[0]]


@dataclass
class _Places:
    """Finds part and contig of a path; what can lie in a directory is worked out once for each."""

    wanted: Wanted
    _by_directory: dict[str, list[tuple[int, WantedPart, str]]] = field(default_factory=dict)

    def find(self, path: str) -> tuple[int, int] | None:
        """Number of the part and of the contig within it; None where the path belongs to none."""
        directory = path[: path.rfind("/") + 1]
        if directory not in self._by_directory:
            self._by_directory[directory] = [
                (number, wanted, pattern)
                for number, wanted in enumerate(self.wanted.parts)
                for pattern in wanted.part.patterns
                if directory.startswith(shell.directory_of(pattern))
            ]
        for number, wanted, pattern in self._by_directory[directory]:
            if (found := shell.compile_pattern(pattern, wanted.contigs).fullmatch(path)) is not None:
                contig = found.groupdict().get("contig")
                return number, wanted.contigs.index(contig) if contig is not None else 0
        return None


def _targets(
    source: Source, contigs: Sequence[str], patterns: Sequence[str], parts: Sequence[str]
) -> tuple[str, ...]:
    """Patterns of whole paths that cover all that is meant, and hardly more."""
    wanted = find_wanted(source, contigs, patterns, parts)
    own = [p for w in wanted.parts for pattern in w.part.patterns for p in shell.expand(pattern, w.contigs)]
    if not patterns:
        return tuple(own)
    targets: list[str] = []
    for pattern in patterns:
        if "/" in pattern and not wanted.is_narrowed:
            met = [
                _below(prefix, pattern)
                for prefix in source.prefixes
                if shell.may_meet(pattern, f"{prefix}**")
            ]
        else:
            met = [path for path in own if _may_mean(pattern, path)]
            if not met and not wanted.is_narrowed:
                met = [f"{prefix}**" for prefix in source.prefixes]
        if not met:
            raise UsageError(
                f"The pattern '{show_path(pattern)}' fits no file of {source.name} that may be meant.",
                where="--pattern",
                mend=f"Its files lie below {', '.join(source.prefixes)}.",
            )
        targets += met
    return tuple(dict.fromkeys(targets))


def _below(prefix: str, pattern: str) -> str:
    """A pattern for what a person's pattern of whole paths means below a prefix."""
    return pattern if shell.directory_of(pattern).startswith(prefix) else f"{prefix}**"


def _may_mean(pattern: str, path: str) -> bool:
    """Whether a person's pattern may mean a file, or an index of a file, that a part's pattern matches."""
    whole = pattern if "/" in pattern else f"**/{pattern}"
    return any(shell.may_meet(whole, path + suffix) for suffix in ("", *_INDEXES))
