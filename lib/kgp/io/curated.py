"""The curated edition of phase 3: the Parquet files that Microsoft made of release 20130502 with Glow's VCF reader.

It lies in a public container, below a folder a layout and in that a folder a contig (``original/chr22/``). Anybody's
own conversion that is laid out alike is read in the same way, from Azure or from a directory.

- ``original``: a row a record, with Glow's columns: `contigName`, `start` (0-based), `end`, `names`,
  `referenceAllele`, `alternateAlleles`, `qual`, `filters`, `splitFromMultiAllelic`, an `INFO_…` a key, `genotypes`
  (a list of structs), and `hashId`, a hash of all columns but the genotypes. Its folder is called ``original`` or
  ``nested``.
- ``flattened``: a row a record and sample; the fields of the genotype are columns (`genotypes_sampleId`, …).

Duplicate records were dropped and their order was not kept. Each contig was converted by itself, so that contigs differ
in their columns and in the fields of a genotype: what one lacks is null here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs as arrow_fs

from kgp.errors import FormatError, InputError
from kgp.genome import GRCH37
from kgp.io.azure import locate
from kgp.io.streamed import StreamedDataset
from kgp.io.urls import is_local, place_of
from kgp.sources import DOORS

CURATED_ROOT = next(door.root for door in DOORS if door.name == "curated")

# Layout → names of its folder.
LAYOUTS: Mapping[str, tuple[str, ...]] = {"original": ("original", "nested"), "flattened": ("flattened",)}

_COLUMNS = frozenset({"contigName", "start", "end", "referenceAllele", "alternateAlleles"})
# The files of one job of Spark have its id in their names.
_JOB_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FORMAT = ds.ParquetFileFormat()


def open_curated(root: str, layout: str, contigs: Iterable[str] = ()) -> StreamedDataset:
    """The edition's rows as an Arrow dataset that is streamed; only the folders that are wanted are listed.

    Of the files that one job wrote, one is opened to learn their columns.

    Args:
        root: of the edition: `CURATED_ROOT`, another Azure URL, or a directory.
        layout: original or flattened.
        contigs: that are wanted, in any spelling; none means all.

    Raises:
        InputError: there is no such layout or contig, or it can't be read.
        FormatError: a file is not Parquet, or has not the columns of Glow's reader.
    """
    if layout not in LAYOUTS:
        raise InputError(
            f"There is no layout '{layout}'.", where=place_of(root), mend=f"Use {' or '.join(LAYOUTS)}."
        )
    place = _Place.find(root)
    folders = _contig_folders(place, layout)
    if not folders:
        raise InputError(
            f"There is no edition in the layout '{layout}': no folder of it holds a folder a contig.",
            where=place.url,
            mend=_there_are(place.folders("")),
        )
    files = [file for folder in _wanted(folders, contigs, place) for file in _parquet_files(place, folder)]
    schema = _common_schema(_one_a_job(files), place)
    return StreamedDataset({file.url: file.fragment for file in files}, schema)


@dataclass(frozen=True)
class _Place:
    """The root of an edition.

    Args:
        url: as messages name it, and `kgp.io.storage` opens it.
        path: as the file system names it.
        reads: the file system as Arrow has it.
        lists: gives name, whether it is a folder, and size of all that a folder holds.
    """

    url: str
    path: str
    reads: Any
    lists: Callable[[str], Iterable[tuple[str, bool, int]]]

    @classmethod
    def find(cls, root: str) -> _Place:
        if is_local(root):
            path = place_of(root)
            return cls(path, path, arrow_fs.LocalFileSystem(), _list_folder)
        if (found := locate(root)) is None:
            raise InputError(
                "The curated edition is read from Azure or from a directory.",
                where=place_of(root),
                mend="Copy it to one of them.",
            )
        account, blob = found
        files = account.file_system()
        reads = arrow_fs.PyFileSystem(arrow_fs.FSSpecHandler(files))
        return cls(blob.for_people, blob.for_fsspec, reads, partial(_list_blobs, files))

    def folders(self, path: str) -> list[str]:
        """Names of the folders in a folder."""
        return sorted({name for name, is_folder, _ in self._names(path) if is_folder})

    def files(self, path: str) -> dict[str, int]:
        """Name → bytes of the files in a folder."""
        return {name: size for name, is_folder, size in sorted(self._names(path)) if not is_folder}

    def _names(self, path: str) -> list[tuple[str, bool, int]]:
        """What is in a folder but Spark's marks of finished jobs and the like; nothing where there is none."""
        try:
            found = list(self.lists(f"{self.path}/{path}".rstrip("/")))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except Exception as problem:  # adlfs has many, and some quote what is secret
            raise InputError(
                f"It can't be listed ({type(problem).__name__}).",
                where=f"{self.url}/{path}".rstrip("/"),
                mend="Check URL, network and credentials.",
            ) from None
        return [one for one in found if not one[0].startswith(("_", "."))]


def _list_folder(path: str) -> Iterator[tuple[str, bool, int]]:
    for info in arrow_fs.LocalFileSystem().get_file_info(arrow_fs.FileSelector(path)):
        yield info.base_name, info.type == arrow_fs.FileType.Directory, info.size or 0


def _list_blobs(files: Any, path: str) -> Iterator[tuple[str, bool, int]]:
    for info in files.ls(path, detail=True, invalidate_cache=True):
        folder, _, name = info["name"].rstrip("/").rpartition("/")
        if folder == path:  # adlfs lists a blob as what is in it
            yield name, info["type"] == "directory", info["size"] or 0


@dataclass(frozen=True)
class _File:
    """A file of the edition: where it lies, its folder, the job that wrote it (or its own name), and Arrow's view."""

    url: str
    folder: str
    job: str
    fragment: ds.ParquetFileFragment


def _contig_folders(place: _Place, layout: str) -> list[str]:
    """Paths below the root of the folders of contigs, in karyotype order."""
    for name in LAYOUTS[layout]:
        if folders := place.folders(name):
            folders.sort(key=lambda folder: (GRCH37.sort_index(folder), folder))
            return [f"{name}/{folder}" for folder in folders]
    return []


def _wanted(folders: Sequence[str], contigs: Iterable[str], place: _Place) -> list[str]:
    """The folders of these contigs, or all of them; the edition's folders have other names than its contigs."""
    known: dict[str, list[str]] = {}
    for folder in folders:
        known.setdefault(_contig_of(folder), []).append(folder)
    asked = {_contig_of(contig): contig for contig in contigs}
    for contig, spelled in asked.items():
        if contig not in known:
            raise InputError(
                f"There is no folder of contig '{spelled}'.", where=place.url, mend=_there_are(known)
            )
    return [folder for contig in known if contig in asked or not asked for folder in known[contig]]


def _contig_of(folder: str) -> str:
    """Canonical name of the contig that a folder is called after, or the folder's name."""
    name = folder.rpartition("/")[2]
    return GRCH37.canonical(name) or name


def _parquet_files(place: _Place, folder: str) -> Iterator[_File]:
    sizes = {name: size for name, size in place.files(folder).items() if name.endswith(".parquet")}
    if not sizes:
        raise InputError("There is no Parquet file in the folder.", where=f"{place.url}/{folder}")
    if empty := [name for name, size in sizes.items() if not size]:
        raise FormatError("It is empty.", where=f"{place.url}/{folder}/{empty[0]}")
    for name, size in sizes.items():
        fragment = _FORMAT.make_fragment(f"{place.path}/{folder}/{name}", place.reads, file_size=size)
        job = _JOB_ID.search(name)
        yield _File(f"{place.url}/{folder}/{name}", folder, name if job is None else job[0], fragment)


def _one_a_job(files: Iterable[_File]) -> list[_File]:
    """One file of each job and folder."""
    return list({(file.folder, file.job): file for file in files}.values())


def _common_schema(files: Iterable[_File], place: _Place) -> pa.Schema:
    """The columns of all the files, each in the widest of its types."""
    schemas = []
    for file in files:
        try:
            schema = file.fragment.physical_schema.remove_metadata()
        except pa.ArrowInvalid:
            raise FormatError("It is no Parquet file.", where=file.url) from None
        except Exception as problem:  # as in a listing
            raise InputError(
                f"It can't be read ({type(problem).__name__}).",
                where=file.url,
                mend="Check URL, network and credentials.",
            ) from None
        if missing := _COLUMNS - set(schema.names):
            raise FormatError(
                f"It has no column {min(missing)}: it was not written from what Glow's reader returns.",
                where=file.url,
            )
        schemas.append(schema)
    try:
        return pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as problem:
        raise FormatError(f"Its files don't fit together: {problem}.", where=place.url) from None


def _there_are(names: Iterable[str]) -> str:
    return f"There are: {', '.join(names) or 'none'}."
