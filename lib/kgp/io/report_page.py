"""The HTML file of a report: written aside and moved into place, over an older report but over no other file."""

from __future__ import annotations

from pathlib import Path

from kgp.errors import LakeError, UsageError
from kgp.io.exports import aside_in

_HEAD_BYTES = 2_000


class PageFile:
    """The file that a report is written to.

    Args:
        path: a local path.
        mark: what tells a report from other files, near its beginning.

    Raises:
        UsageError: the path is not local, or a directory.
        LakeError: another file lies there.
    """

    def __init__(self, path: str, mark: str) -> None:
        if "://" in path and not path.startswith("file://"):
            raise UsageError(
                f"{path} is no local file.", where="--out", mend="Write a local file and copy it from there."
            )
        self.path = Path(path.removeprefix("file://")).absolute()
        if self.path.is_dir():
            raise UsageError(f"{path} is a directory.", where="--out", mend="Name a file.")
        if self.path.exists() and mark.encode() not in self._head():
            raise LakeError(
                "There is another file, which kgp report did not write.",
                where=str(self.path),
                mend="Name another one with --out.",
            )

    def put(self, page: str) -> bool:
        """Write the page; directories above it are made where they are missing.

        Returns:
            whether another one, or none, was there before.

        Raises:
            LakeError: it can't be written there.
        """
        content = page.encode()
        if self.path.exists() and self.path.read_bytes() == content:
            return False
        try:
            with aside_in(self.path.parent, f".{self.path.name}.kgp-") as directory:
                whole = directory / self.path.name
                whole.write_bytes(content)
                whole.replace(self.path)
        except OSError as problem:
            raise LakeError(
                f"It can't be written: {problem.strerror}.", where=str(self.path), mend="Name another --out."
            ) from problem
        return True

    def _head(self) -> bytes:
        with self.path.open("rb") as file:
            return file.read(_HEAD_BYTES)
