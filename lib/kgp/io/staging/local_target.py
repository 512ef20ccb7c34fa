"""A directory as target."""

from __future__ import annotations

import hashlib
import os

from kgp.errors import InputError
from kgp.io.staging.local_part import JOURNAL_ENDING, PART_ENDING, LocalPart, explained
from kgp.io.staging.model import TargetFile, Version
from kgp.io.staging.targets import check_relative

_READ_SIZE = 1 << 20


class LocalTarget:
    """A directory of this machine; it is made when the first file is staged. See `kgp.io.staging.targets.Target`.

    Args:
        root: absolute path.
        most_wait: seconds to wait for another run that is at work on the same file.
    """

    def __init__(self, root: str, *, most_wait: float = 3600.0) -> None:
        self.root = root
        self._most_wait = most_wait

    def check(self, path: str) -> None:
        check_relative(path, self.root)
        parts = path.split("/")
        for depth in range(len(parts)):
            above = os.path.join(self.root, *parts[:depth])
            if os.path.lexists(above) and not os.path.isdir(above):
                raise InputError(
                    "It is a file, where a directory is needed.", where=above, mend="Move it away."
                )
        here = self.url(path)
        if os.path.isdir(here):
            raise InputError(
                "It is a directory, where a file is to be staged.", where=here, mend="Move it away."
            )
        root = os.path.realpath(self.root)
        if os.path.commonpath((root, os.path.realpath(here))) != root:
            raise InputError("A symbolic link leads out of the target.", where=here, mend="Remove the link.")

    def find(self, path: str) -> TargetFile | None:
        here = self.url(path)
        with explained(here):
            return TargetFile(os.stat(here).st_size) if os.path.isfile(here) else None

    def list(self, prefix: str) -> dict[str, TargetFile]:
        if prefix:
            check_relative(prefix.removesuffix("/"), self.root)
        found: dict[str, TargetFile] = {}
        waiting = [prefix]
        with explained(self.root):
            while waiting:
                below = waiting.pop()
                if not os.path.isdir(os.path.join(self.root, below)):
                    continue
                with os.scandir(os.path.join(self.root, below)) as entries:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(f"{below}{entry.name}/")
                        elif entry.is_file() and not entry.name.endswith((PART_ENDING, JOURNAL_ENDING)):
                            found[below + entry.name] = TargetFile(entry.stat().st_size)
        return found

    def md5_of(self, path: str) -> str:
        digest = hashlib.md5(usedforsecurity=False)
        with explained(self.url(path)), open(self.url(path), "rb", buffering=0) as file:
            while block := file.read(_READ_SIZE):
                digest.update(block)
        return digest.hexdigest()

    def open_part(self, path: str, version: Version) -> LocalPart:
        self.check(path)
        here = self.url(path)
        with explained(here):
            os.makedirs(os.path.dirname(here), exist_ok=True)
            return LocalPart(here, version, most_wait=self._most_wait)

    def url(self, path: str) -> str:
        return os.path.join(self.root, path)
