"""A directory of exported files: written aside, moved into place, and described by a manifest.

Files of the same content are left alone, so a second export of the same set changes nothing; what was cut off leaves
the directory as it was.
"""

from __future__ import annotations

import filecmp
import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kgp.errors import LakeError, UsageError

MANIFEST = "manifest.json"
_ASIDE = ".kgp-export-"


@dataclass(frozen=True)
class ExportedFile:
    """One file of an export.

    Args:
        name: file name in the directory.
        rows: variants, phenotypes, covariates or people in it; 0 for an index.
        size: bytes.
        sha256: of its content.
    """

    name: str
    rows: int
    size: int
    sha256: str


class ExportDirectory:
    """The directory that a set is exported to; it holds one set, in one format or several.

    Args:
        path: a local directory; it is made when the first file is put there.
        set_name: name of the set.
        matrix_id: its id.

    Raises:
        UsageError: the directory is not local, or is none.
        LakeError: another set was exported there.
    """

    def __init__(self, path: str, set_name: str, matrix_id: str) -> None:
        if "://" in path and not path.startswith("file://"):
            raise UsageError(
                f"{path} is no local directory.",
                where="--out",
                mend="Export to a local directory and copy it from there.",
            )
        self.path = Path(path.removeprefix("file://"))
        self._set_name = set_name
        self._matrix_id = matrix_id
        self._manifest = self._read_manifest()
        if self._manifest and self._manifest["name"] != set_name:
            raise LakeError(
                f"Set {self._manifest['name']} was exported there.",
                where=str(self.path),
                mend="Give another --out.",
            )

    @property
    def outdated(self) -> list[str]:
        """Formats that lie there from an earlier build of the set; the next manifest forgets them."""
        if self._manifest is None or self._manifest["matrix_id"] == self._matrix_id:
            return []
        return sorted(self._manifest["formats"])

    def finished(self, export_format: str, version: str) -> list[ExportedFile] | None:
        """The files of a finished export of this very set, each as it was written; None where there is work to do."""
        if self._manifest is None or self._manifest["matrix_id"] != self._matrix_id:
            return None
        entry = self._manifest["formats"].get(export_format)
        if entry is None or entry["version"] != version:
            return None
        files = [ExportedFile(**file) for file in entry["files"]]
        return files if all(self._is_as_written(file) for file in files) else None

    def commands(self, export_format: str) -> list[str]:
        """The command lines that the manifest keeps with a format."""
        return [] if self._manifest is None else list(self._manifest["formats"][export_format]["commands"])

    @contextmanager
    def aside(self) -> Iterator[Path]:
        """A directory in which files are written under their own names before they are put in place.

        Raises:
            UsageError: there can be none.
        """
        with aside_for_out(self.path, _ASIDE) as directory:
            yield directory

    def put_in_place(
        self, aside: Path, rows: dict[str, int], export_format: str, version: str, commands: list[str]
    ) -> list[ExportedFile]:
        """Move what was written aside into place, and write the manifest last.

        Args:
            aside: where they were written.
            rows: file name → rows, in the order in which the files are listed; indices follow their files.
            export_format: the format.
            version: version of the code that writes it.
            commands: how the tools are run on the files.
        """
        names = [n for name in rows for n in (name, f"{name}.tbi") if (aside / n).exists()]
        files = [_describe(aside / name, rows.get(name, 0)) for name in names]
        for name in names:
            if not (self.path / name).exists() or not filecmp.cmp(
                aside / name, self.path / name, shallow=False
            ):
                (aside / name).replace(self.path / name)
            if name.endswith(".tbi"):
                os.utime(self.path / name)  # an index that is older than its file is warned about
        earlier = {} if self._manifest is None else self._manifest["formats"].get(export_format, {})
        for gone in {file["name"] for file in earlier.get("files", ())} - set(names):
            (self.path / gone).unlink(missing_ok=True)
        formats = {} if self._manifest is None or self.outdated else dict(self._manifest["formats"])
        formats[export_format] = {
            "version": version,
            "files": [asdict(file) for file in files],
            "commands": commands,
        }
        manifest: dict[str, Any] = {"name": self._set_name, "matrix_id": self._matrix_id, "formats": formats}
        part = self.path / f"{MANIFEST}.part"
        part.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        part.replace(self.path / MANIFEST)
        self._manifest = manifest
        return files

    def _is_as_written(self, file: ExportedFile) -> bool:
        path = self.path / file.name
        return path.is_file() and path.stat().st_size == file.size and _describe(path, file.rows) == file

    def _read_manifest(self) -> dict[str, Any] | None:
        try:
            manifest: dict[str, Any] = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (NotADirectoryError, PermissionError) as problem:
            raise _no_directory(self.path) from problem
        except ValueError as problem:
            raise LakeError(
                "It is no manifest of kgp.", where=str(self.path / MANIFEST), mend="Give another --out."
            ) from problem
        return manifest


@contextmanager
def aside_for_out(directory: Path, prefix: str) -> Iterator[Path]:
    """As `aside_in`, in a directory that a person has named.

    Raises:
        UsageError: there can be none.
    """
    with ExitStack() as stack:
        try:
            aside = stack.enter_context(aside_in(directory, prefix))
        except OSError as problem:
            raise _no_directory(directory) from problem
        yield aside


@contextmanager
def aside_in(directory: Path, prefix: str) -> Iterator[Path]:
    """A directory for what is not finished, beside where it will lie; what a run that was cut off left there goes.

    Args:
        directory: where the finished files will lie; it is made where missing.
        prefix: beginning of the names of such directories; nobody else's begins so.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for left in directory.glob(f"{glob.escape(prefix)}*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=directory) as aside:
        yield Path(aside)


def _no_directory(path: Path) -> UsageError:
    return UsageError(
        f"{path} can't be a directory.", where="--out", mend="Give a directory that can be written to."
    )


def total_size(files: Iterable[ExportedFile]) -> int:
    """Bytes of all files together."""
    return sum(file.size for file in files)


def _describe(path: Path, rows: int) -> ExportedFile:
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return ExportedFile(path.name, rows, path.stat().st_size, digest)
