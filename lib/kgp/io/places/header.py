"""What an annotation's comment lines say of it: who made it, which release, which reference build."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from kgp.errors import BuildError
from kgp.genome import BUILDS, ReferenceBuild
from kgp.io.urls import place_of

_DESCRIPTION = re.compile(
    r"#+ *description: evidence-based annotation of the (?P<species>\w+) genome(?: \((?P<build>[^)]*)\))?, "
    r"version (?P<version>\w+)(?P<rest>.*)"
)
_MAPPED = re.compile(r"mapped to (\w+)")
_ENSEMBL_BUILD = re.compile(r"#! *genome-(?:build|version)\s+(\S+)")
_REFSEQ = re.compile(r"#! *annotation-source\s+NCBI (?:RefSeq )?(.*)")
_MIRBASE_BUILD = re.compile(r"# *genome-build-id:\s+(\S+)")
_MIRBASE = re.compile(r"# *microRNAs:\s+miRBase v?(\S+)")
_ENSEMBL_FILE = re.compile(r"[A-Z][a-z]+_[a-z]+\.[A-Za-z]+\d+\.(\d+)\..*g[tf]f.*")


@dataclass(frozen=True)
class Origin:
    """Where an annotation comes from.

    Args:
        name: what it is called.
        stated: the reference build as the file words it; None where it does not say it.
    """

    name: str
    stated: str | None

    @property
    def build(self) -> ReferenceBuild | None:
        """The build that is stated, or None where none or an unknown one is."""
        return None if self.stated is None else find_build(self.stated)

    def check(self, url: str, build: ReferenceBuild) -> None:
        """Refuse a file that states another build.

        Raises:
            BuildError: it does.
        """
        if self.stated is None or self.build == build:
            return
        known = self.build
        mend = (
            f"Use --build {known.name} if the phenotypes are to lie there, or give an annotation on {build.name}."
            if known is not None
            else f"Give an annotation of the human genome on {build.name}."
        )
        raise BuildError(
            f"It says that it is on {self.stated}, not on {build.name}.", where=place_of(url), mend=mend
        )


def find_build(text: str) -> ReferenceBuild | None:
    """The build that a text names, patch and case aside.

    >>> find_build("GRCh38.p13").name, find_build("hg19").name, find_build("GRCm39")
    ('GRCh38', 'GRCh37', None)
    """
    name = re.sub(r"\.p\d+$", "", text.strip().lower()).removeprefix("ucsc_")
    return next((build for build in BUILDS.values() if name in build.assembly_names), None)


def read_origin(url: str, comments: list[str]) -> Origin:
    """What the comment lines at a file's beginning say; its name tells the rest."""
    file_name = PurePosixPath(place_of(url)).name
    maker, stated = None, None
    for line in comments:
        if match := _DESCRIPTION.match(line):
            maker, stated = _gencode(match)
        elif match := _MIRBASE.match(line):
            maker = f"miRBase {match[1]}"
        elif match := _REFSEQ.match(line):
            maker = f"NCBI {match[1]}".strip()
        elif match := (_ENSEMBL_BUILD.match(line) or _MIRBASE_BUILD.match(line)):
            stated = stated or match[1]
            if line.startswith("#!") and maker is None:
                release = _ENSEMBL_FILE.fullmatch(file_name)
                maker = f"Ensembl {release[1]}" if release else None
    build = None if stated is None else find_build(stated)
    place = stated if build is None else build.name
    return Origin(", ".join(filter(None, (maker or file_name, place))), stated)


def _gencode(match: re.Match[str]) -> tuple[str, str | None]:
    """Name and build; an annotation that was mapped from one build to another lies on the latter."""
    mapped = _MAPPED.search(match["rest"])
    if mapped is not None:
        return f"GENCODE {match['version']} mapped", mapped[1]
    return f"GENCODE {match['version']}", match["build"]
