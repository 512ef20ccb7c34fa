"""What is known of the archives: doors that serve them, sources that are released in them, files in their listings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DoorKind = Literal["azure", "https", "ftp", "s3", "file", "aspera", "globus"]


@dataclass(frozen=True)
class Door:
    """A place that serves a body of files.

    Args:
        name: as `kgp sources` and ``--door`` call it.
        kind: how it is talked to.
        root: URL below which the paths of the archive lie, without a slash at the end. Aspera: ``user@host:path``.
            Globus: ``globus://COLLECTION/PATH``, the collection by name or by its UUID.
        archive: the body of files that it serves; doors of one archive serve the same paths.
        title: who runs it, and where.
        tree: path of the listing with checksums (``current.tree``), where the archive has one.
        moved: directories of the archive that this door keeps elsewhere, as (in the archive, at the door), each with
            a slash at its end; `at_door` and `in_archive` go by them.
    """

    name: str
    kind: DoorKind
    root: str
    archive: str
    title: str
    tree: str | None = None
    moved: tuple[tuple[str, str], ...] = ()

    def at_door(self, path: str) -> str:
        """Where below the root a file or a directory (with a slash at its end) of the archive lies.

        >>> door = Door("a", "s3", "s3://b", "x", "", moved=(("collections/30x/", "30x/"),))
        >>> door.at_door("collections/30x/a.vcf.gz"), door.at_door("release/a.vcf.gz")
        ('30x/a.vcf.gz', 'release/a.vcf.gz')
        """
        return _replaced(path, self.moved)

    def in_archive(self, place: str) -> str:
        """The path in the archive of what lies at a place below the root; undoes `at_door`."""
        return _replaced(place, tuple((there, here) for here, there in self.moved))


@dataclass(frozen=True)
class Part:
    """A part of a source: files of one purpose. Their indexes (``.tbi``, ``.csi``, ``.bai``, ``.crai``) come with them.

    Args:
        name: as ``--part`` would call it: genotypes, panel, annotation.
        patterns: shell patterns of whole paths below the archive's root; ``{contig}`` stands for a contig's name.
            ``*``, ``?`` and ``[…]`` stay within a directory, ``**`` does not.
        contigs: contigs that ``{contig}`` takes; empty where no pattern has it.
        title: what the files are, one sentence.
        is_staged: whether `kgp sync` takes it when nothing narrower is asked for.
        build: reference build of its coordinates; None where it is the source's.
        is_expected: whether every pattern, for every contig, is known to match: a listing without one is not whole.
        unsure_contigs: contigs whose files may be missing all the same.
    """

    name: str
    patterns: tuple[str, ...]
    title: str
    contigs: tuple[str, ...] = ()
    is_staged: bool = True
    build: str | None = None
    is_expected: bool = True
    unsure_contigs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A release or collection of an archive.

    Args:
        name: as `kgp sync` calls it (``phase3``).
        archive: the body of files that it lies in, which says what doors it has.
        title: one line.
        build: reference build of its coordinates; None where it has none.
        prefixes: directories that hold all its files; they are listed, their parents never are.
        parts: what it consists of.
        n_samples: people in it.
        sample_set: which people they are, one sentence.
        citation: how to cite it.
        terms: terms of use, one sentence with the address of the full text.
        aliases: other names, such as accessions, that `find_source` understands.
        elsewhere: names of other sources with data of the same experiment.
    """

    name: str
    archive: str
    title: str
    build: str | None
    prefixes: tuple[str, ...]
    parts: tuple[Part, ...]
    n_samples: int | None
    sample_set: str
    citation: str
    terms: str
    aliases: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()

    def build_of(self, part: Part) -> str | None:
        """Reference build of a part's coordinates; None where it has none."""
        return part.build or self.build


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a listing.

    Args:
        path: below the archive's root, without a slash in front.
        size: bytes; None where the listing does not say.
        md5: 32 hexadecimal digits, lower case; None where nobody states it.
        etag: the server's mark of this version, without quotes; None where it has none.
        modified: ISO 8601 in UTC, to the second (``2013-05-02T14:00:05Z``); None where it is unknown.
    """

    path: str
    size: int | None
    md5: str | None = None
    etag: str | None = None
    modified: str | None = None


def _replaced(path: str, directories: tuple[tuple[str, str], ...]) -> str:
    """The path with the longest of the directories that it lies in replaced."""
    for old, new in sorted(directories, key=lambda pair: -len(pair[0])):
        if path.startswith(old):
            return new + path[len(old) :]
    return path
