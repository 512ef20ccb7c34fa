"""Results of the blocks of a mapping that are finished, kept until all are: a run that was killed goes on from there.

Each block's result is a file in ``<lake>/_maps/<map_id>/``: the SHA-256 of what follows, then an Arrow IPC file of its
rows and what else is known of it, as JSON in the schema's metadata. A file appears whole or not at all, as long as the
machine runs; the checksum tells what a machine that went down has left. Nothing here is part of a table.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from fsspec.core import url_to_fs
from pyarrow import ipc

from kgp.errors import FormatError
from kgp.io.azure import locate
from kgp.io.storage import create_file, explained, open_binary
from kgp.io.urls import display_url, is_local

_FACTS = b"kgp"
_ENDING = ".arrow"
_SET = "set.json"
_CHECKSUM_BYTES = 32


@dataclass(frozen=True)
class BlockResults:
    """Where the results of a mapping's blocks are kept.

    Args:
        root: of all mappings of the lake: ``<lake>/_maps``.
        map_id: of the mapping.
    """

    root: str
    map_id: str

    @property
    def url(self) -> str:
        """The directory of this mapping."""
        return f"{self.root}/{self.map_id}"

    def begin(self, matrix_id: str, replaces: str = "") -> None:
        """Say which set the results are of, and when the mapping was made that they will replace."""
        _write(f"{self.url}/{_SET}", json.dumps({"matrix_id": matrix_id, "replaces": replaces}).encode())

    def list_finished(self) -> set[str]:
        """Keys of the blocks that are finished."""
        return {name.removesuffix(_ENDING) for name in _list(self.url) if name.endswith(_ENDING)}

    def write(self, key: str, rows: pa.Table, facts: Mapping[str, Any]) -> None:
        """Keep a block's result; one of that key is replaced.

        Args:
            key: of the block.
            rows: what the driver will need.
            facts: what else is known of it: plain values.
        """
        schema = rows.schema.with_metadata({_FACTS: json.dumps(dict(facts)).encode()})
        sink = pa.BufferOutputStream()
        with ipc.new_file(sink, schema) as file:
            file.write_table(rows.replace_schema_metadata(schema.metadata))
        content = sink.getvalue().to_pybytes()
        _write(f"{self.url}/{key}{_ENDING}", hashlib.sha256(content).digest() + content)

    def read(self, key: str) -> tuple[pa.Table, dict[str, Any]]:
        """Rows and facts of a finished block.

        Raises:
            InputError: there is none of that key.
            FormatError: it is damaged, as a machine may leave it that went down.
        """
        url = f"{self.url}/{key}{_ENDING}"
        with open_binary(url) as file:
            data = file.read()
        checksum, content = data[:_CHECKSUM_BYTES], data[_CHECKSUM_BYTES:]
        if hashlib.sha256(content).digest() != checksum:
            raise FormatError("It is damaged.", where=display_url(url), mend="Remove it.")
        table = ipc.open_file(pa.py_buffer(content)).read_all()
        return table.replace_schema_metadata(None), json.loads(table.schema.metadata[_FACTS])

    def forget(self, key: str) -> None:
        """Remove a block's result."""
        _remove(f"{self.url}/{key}{_ENDING}")

    def remove(self) -> None:
        """Remove all results of the mapping; of the last one on a disk the directory of all, too."""
        _remove(self.url)
        if is_local(self.root):
            with contextlib.suppress(OSError):  # others are there, or it is gone already
                os.rmdir(_files(self.root)[1])

    @property
    def matrix_id(self) -> str | None:
        """The set that they are of; None where that was not said, or is damaged."""
        return self._said("matrix_id")

    @property
    def replaces(self) -> str | None:
        """When the mapping was made that they will replace, empty where there was none; None as `matrix_id`."""
        return self._said("replaces")

    def _said(self, what: str) -> str | None:
        if _SET not in _list(self.url):
            return None
        with open_binary(f"{self.url}/{_SET}") as file, contextlib.suppress(ValueError):
            said: dict[str, str] = json.loads(file.read())
            return said.get(what)
        return None


def list_unfinished(root: str) -> Iterator[BlockResults]:
    """The mappings of a lake that have results of blocks."""
    for map_id in sorted(_list(root)):
        yield BlockResults(root, map_id)


def _write(url: str, data: bytes) -> None:
    """Write a file that appears whole or not at all; remote storage does that by itself."""
    aside = f"{url}.{uuid.uuid4().hex}" if is_local(url) else url
    with explained(url), create_file(aside) as file:
        file.write(data)
    if aside != url:
        with explained(url):
            os.replace(_files(aside)[1], _files(url)[1])


def _list(url: str) -> list[str]:
    """Names in a directory; none where it does not exist."""
    with explained(url):
        files, path = _files(url)
        files.invalidate_cache()
        try:
            found = files.ls(path, detail=False)
        except FileNotFoundError:
            return []
        parents = ((name.rstrip("/").rpartition("/")) for name in found)
        # adlfs lists a blob that is asked for as what is in it, and object stores know no empty directory.
        return [name for parent, _, name in parents if parent.strip("/") == path.strip("/")]


def _remove(url: str) -> None:
    """Remove a file or a directory with all that is in it, where it exists."""
    with explained(url), contextlib.suppress(FileNotFoundError):
        files, path = _files(url)
        files.rm(path, recursive=True)


def _files(url: str) -> tuple[Any, str]:
    """File system and path of a URL in a lake: local, or on Azure."""
    if (place := locate(url)) is not None:
        account, blob = place
        return account.file_system(), blob.for_fsspec
    files, path = url_to_fs(url)
    return files, str(path)
