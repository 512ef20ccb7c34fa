"""A half-done blob of Azure Blob Storage.

A file under way is a set of uncommitted blocks under its own name, which nobody sees: the blob as it was before, or
none at all, until one request commits them. A block's name says which version it is of, where it belongs, and the MD5
that the service checked it against. So blocks of an earlier run, or of another run at the same time, are known to be
right when their names are; they need no journal and no lock, and two runs share what they send.

Uncommitted blocks can't be read, and the MD5 of a whole can't be had from those of its blocks. A resumed file is
therefore read again from its door, and what was sent already is not sent again: the whole is verified before anybody
sees it. `Staged.n_bytes_read` counts the bytes that were read, `Staged.n_bytes_resumed` those that were not sent.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from io import UnsupportedOperation
from typing import Any

from kgp.io.azure_urls import Blob
from kgp.io.staging.azure_service import BlobService, code_of
from kgp.io.staging.model import Version

_MOST_BLOCKS = 50_000
_NAME_LENGTH = 48  # all blocks of a blob must have names of one length


class AzurePart:
    """Uncommitted blocks of one blob; see `kgp.io.staging.targets.Part`.

    Args:
        service: of the account.
        blob: that they are to become.
        version: that is to be staged.
    """

    can_read = False
    most_ranges: int | None = _MOST_BLOCKS
    has_waited = False

    def __init__(self, service: BlobService, blob: Blob, version: Version) -> None:
        self._service, self._blob = service, blob
        self.version = version
        self.n_bytes_resumed = 0
        self._names: dict[int, str] = {}  # first byte → block, of what belongs to the file
        self._lock = threading.Lock()
        self._earlier: set[str] = self._ask(self._uncommitted)
        self._sent = set(self._earlier)
        key = _key(version)
        self.was_other = any(len(name) == _NAME_LENGTH and not name.startswith(key) for name in self._earlier)

    def kept(self) -> Iterator[tuple[int, bytes]]:
        return iter(())

    def write(self, start: int, data: bytes) -> None:
        name = _block_name(self.version, start, data)
        if name not in self._sent:
            self._ask(lambda service: self._client(service).stage_block(name, data, validate_content=True))
        with self._lock:
            self._names[start] = name
            self._sent.add(name)
            self.n_bytes_resumed += len(data) if name in self._earlier else 0

    def read(self, start: int, end: int) -> bytes:
        raise UnsupportedOperation("uncommitted blocks can't be read")

    def restart(self, version: Version) -> None:
        self.version = version
        self._names.clear()
        self.n_bytes_resumed = 0

    def commit(self, md5: str, *, door: str, etag: str | None) -> None:
        from azure.core.exceptions import HttpResponseError
        from azure.storage.blob import BlobBlock, ContentSettings

        blocks = [BlobBlock(block_id=name) for _, name in sorted(self._names.items())]
        sum_of_all = bytearray.fromhex(md5)
        settings = ContentSettings(content_type="application/octet-stream", content_md5=sum_of_all)
        metadata = {"kgp_door": door} | ({"kgp_etag": etag} if etag is not None else {})

        async def commit_blocks(service: Any) -> None:
            client = self._client(service)
            try:
                await client.commit_block_list(blocks, content_settings=settings, metadata=metadata)
            except HttpResponseError as problem:
                if code_of(problem) != "InvalidBlockList":
                    raise
                # A commit by another run has swept away the blocks that were not in its own list.
                there = await client.get_blob_properties()
                if (there.size, there.content_settings.content_md5) != (self.version.size, sum_of_all):
                    raise

        self._ask(commit_blocks)

    def close(self) -> None:
        pass  # the service forgets uncommitted blocks after a week

    def _ask(self, question: Any) -> Any:
        return self._service.ask(question, self._blob.for_people)

    def _client(self, service: Any) -> Any:
        return service.get_blob_client(self._blob.container, self._blob.path)

    async def _uncommitted(self, service: Any) -> set[str]:
        """Names of the blocks that an earlier run, or another one, has sent."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            _, blocks = await self._client(service).get_block_list("uncommitted")
        except ResourceNotFoundError as problem:
            if code_of(problem) == "ContainerNotFound":
                raise
            return set()
        return {block.id for block in blocks}


def _key(version: Version) -> str:
    """The beginning of the names of a version's blocks, 12 characters."""
    return base64.urlsafe_b64encode(bytes.fromhex(version.key)[:9]).decode()


def _block_name(version: Version, start: int, data: bytes) -> str:
    """Version, place, length and MD5, in `_NAME_LENGTH` characters."""
    md5 = hashlib.md5(data, usedforsecurity=False).digest()
    place = start.to_bytes(6, "big") + len(data).to_bytes(5, "big")
    return _key(version) + base64.urlsafe_b64encode(place + md5).decode()
