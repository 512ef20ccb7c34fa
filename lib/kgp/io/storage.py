"""Files wherever they lie: local paths and every URL that fsspec knows (az, abfss, wasbs, https, ftp, s3).

Azure's blobs are read as `kgp.io.azure` says; for other storage, credentials come from the environment as fsspec
documents them (``FSSPEC_<PROTOCOL>_<OPTION>``). They never appear in a message. Files are streamed: nothing is copied
whole to disk or held whole in memory.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, BinaryIO, cast

import fsspec
from fsspec.core import url_to_fs

from kgp.errors import EnvironmentProblem, InputError, KgpError
from kgp.io.azure import locate
from kgp.io.urls import display_url, is_local
from kgp.sources import PUBLIC_BUCKETS

READ_AHEAD = 8 << 20

_READ_SIZE = 1 << 20
_BEHIND_BYTES = 64 << 10
_ROOM = "There is no room left for it."
# errno → what is wrong with a disk, and what to do.
_DISK = {
    errno.ENOSPC: (_ROOM, "Make room on the disk, then run it again: what is finished is kept."),
    errno.EDQUOT: (_ROOM, "Ask for a larger quota, then run it again: what is finished is kept."),
    errno.EROFS: ("Its disk is read-only.", "Use a lake that may be written to."),
    errno.EIO: ("Its disk does not read or write it.", "Check the disk."),
}


def open_binary(url: str, *, read_ahead: int = READ_AHEAD) -> BinaryIO:
    """Open a file for reading bytes, with seek; of a remote one, megabytes are read ahead.

    Args:
        url: local path or fsspec URL.
        read_ahead: bytes that are fetched beyond those that are asked for.

    Raises:
        InputError: there is no such file, or it may not be read.
        EnvironmentProblem: the package for this kind of URL is not installed.
    """
    return _open(url) if is_local(url) else _open(url, block_size=read_ahead)


def open_parquet(url: str, columns: Sequence[str], row_groups: Sequence[int]) -> BinaryIO:
    """Open a Parquet file of which some columns of some row groups will be read.

    Of a remote file, those and the footer are fetched at once, in few requests, and nothing else is.

    Args:
        url: local path or fsspec URL.
        columns: names; those that the file lacks are passed over.
        row_groups: numbers of row groups.

    Raises:
        InputError: there is no such file, or it may not be read.
    """
    if is_local(url):
        return _open(url)
    from fsspec.parquet import open_parquet_file

    with explained(url):
        fs, path = _resolve(url)
        return cast(
            BinaryIO,
            open_parquet_file(
                path, fs=fs, columns=list(columns), row_groups=list(row_groups), engine="pyarrow"
            ),
        )


class RangeReader:
    """A file read forwards from any byte on, in requests of bounded size and hardly further than is needed.

    Args:
        url: local path or fsspec URL.
        end: byte before which all will be wanted: from there on, little is fetched at a time. None: the file's end.
        step: most bytes of a request to remote storage.
        on_read: is told the bytes of each request.

    Raises:
        InputError: there is no such file, or it may not be read.
        EnvironmentProblem: the package for this kind of URL is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        end: int | None = None,
        step: int = READ_AHEAD,
        on_read: Callable[[int], object] | None = None,
    ) -> None:
        # FTP knows no cache_type, it reads ahead by its block size.
        self._file = _open(url) if is_local(url) else _open(url, cache_type="none", block_size=_BEHIND_BYTES)
        self._url, self._end, self._on_read = url, end, on_read
        self._step = min(step, _READ_SIZE) if is_local(url) else step
        self._behind = min(step, _BEHIND_BYTES)
        self._at = self._file_at = 0

    def seek(self, at: int) -> None:
        """Go to a byte of the file."""
        self._at = at

    def read(self, n: int) -> bytes:
        """The next bytes: `n` at most, and none only at the end of the file."""
        n = min(n, self._step)
        if self._end is not None and self._at < self._end:
            n = min(n, self._end + self._behind - self._at)
        elif self._end is not None:
            n = min(n, self._behind)
            self._behind *= 2
        with explained(self._url):
            data = self._fetch(n)
        self._at = self._file_at = self._at + len(data)
        if self._on_read is not None:
            self._on_read(len(data))
        return data

    def read_fully(self, n: int) -> bytes:
        """The next `n` bytes; fewer only at the end of the file."""
        parts = []
        while n > 0 and (part := self.read(n)):
            parts.append(part)
            n -= len(part)
        return b"".join(parts)

    def _fetch(self, n: int) -> bytes:
        try:
            if self._at != self._file_at:
                self._file.seek(self._at)
            return self._file.read(n)
        except ValueError:
            if not self._url.startswith(("http://", "https://")):
                raise
        # What fsspec says of an HTTP server that gives no parts of a file: then it has to be read from its start.
        self._file.close()
        self._file = _open(self._url, block_size=0)
        n_before = self._at
        while n_before and (skipped := self._file.read(min(n_before, _READ_SIZE))):
            n_before -= len(skipped)
            if self._on_read is not None:
                self._on_read(len(skipped))
        return self._file.read(n)

    def __enter__(self) -> RangeReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def create_file(url: str) -> BinaryIO:
    """Open a file for writing, in the place of one that is there; on remote storage it appears when it is closed.

    Directories above it are made where they are missing.

    Raises:
        InputError: it may not be written.
    """
    with explained(url):
        fs, path = _resolve(url)
        if is_local(url):
            fs.makedirs(os.path.dirname(path), exist_ok=True)
        return cast(BinaryIO, fs.open(path, "wb"))


def remove_file(url: str) -> None:
    """Remove a file.

    Raises:
        InputError: there is none, or it may not be removed.
    """
    with explained(url):
        fs, path = _resolve(url)
        fs.rm_file(path)


def exists(url: str) -> bool:
    """Whether there is a file (or a directory) at the URL."""
    with explained(url):
        fs, path = _resolve(url)
        return bool(fs.exists(path))


def file_size(url: str) -> int:
    """Size of the file in bytes.

    Raises:
        InputError: there is no such file, or its server does not tell its size.
    """
    with explained(url):
        fs, path = _resolve(url)
        info = fs.info(path)
        if info.get("type") == "directory":
            raise IsADirectoryError(path)
    if info.get("size") is None:
        raise InputError(
            "The server does not tell its size.",
            where=display_url(url),
            mend="Copy it to a disk or to blob storage.",
        )
    return int(info["size"])


def content_id(url: str) -> str:
    """Identity of the file's content, the same wherever the file lies if the MD5 is known.

    ``md5:<hex>`` of a local file and of a remote one whose server states it; else ``etag:<etag>:<size>``; else
    ``modified:<time>:<size>``, for a part of a file must not cost reading all of it; else the file is read once to
    compute the MD5.

    Raises:
        InputError: there is no such file, or it may not be read.
    """
    if not is_local(url):
        with explained(url):
            fs, path = _resolve(url)
            info = fs.info(path)
        if md5 := _stated_md5(info):
            return f"md5:{md5}"
        etag = info.get("etag") or info.get("ETag")
        if etag and info.get("size") is not None:
            return f"etag:{str(etag).strip(chr(34))}:{info['size']}"
        modified = info.get("Last-Modified") or info.get("modify")  # HTTP, FTP
        if modified and info.get("size") is not None:
            return f"modified:{modified}:{info['size']}"
    digest = hashlib.md5(usedforsecurity=False)
    with open_binary(url) as file:
        while block := file.read(_READ_SIZE):
            digest.update(block)
    return f"md5:{digest.hexdigest()}"


def _stated_md5(info: dict[str, Any]) -> str | None:
    """MD5 in hex that the server states (adlfs: content_settings; http: Content-MD5), or None."""
    settings = info.get("content_settings")
    stated = None if settings is None else settings["content_md5"]  # Azure's settings are no Mapping
    stated = stated or info.get("Content-MD5")
    if not stated:
        return None
    raw = base64.b64decode(stated) if isinstance(stated, str) else bytes(stated)
    return raw.hex() if len(raw) == 16 else None


def _open(url: str, **options: object) -> BinaryIO:
    with explained(url):
        fs, path = _resolve(url)
        return cast(BinaryIO, fs.open(path, "rb", **options))


def _resolve(url: str) -> tuple[Any, str]:
    """File system and path of a URL."""
    if (place := locate(url)) is not None:
        account, blob = place
        return account.file_system(), blob.for_fsspec
    if url.startswith("s3://"):
        return _open_bucket(url), url.removeprefix("s3://")
    fs, path = url_to_fs(url)
    return cast(fsspec.AbstractFileSystem, fs), str(path)


def _open_bucket(url: str) -> Any:
    """S3: the archives' buckets without a credential, others with what boto finds in the environment."""
    bucket = url.removeprefix("s3://").partition("/")[0]
    return fsspec.filesystem("s3", anon=bucket in PUBLIC_BUCKETS)


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn what any file system raises into one clear message.

    The cause is left out of the chain: it may quote a credential.
    """
    where = display_url(url)
    try:
        yield
    except KgpError:
        raise
    except FileNotFoundError:
        raise InputError("There is no such file.", where=where, mend="Check the path or URL.") from None
    except PermissionError:
        raise InputError(
            "It may not be read.", where=where, mend="Check permissions and credentials."
        ) from None
    except IsADirectoryError:
        raise InputError("It is a directory, not a file.", where=where) from None
    except ImportError as problem:
        raise EnvironmentProblem(
            f"The package {problem.name or 'for this kind of URL'} is not installed.", where=where
        ) from None
    except Exception as problem:
        if (said := _DISK.get(getattr(problem, "errno", None) or 0)) is not None:
            raise InputError(said[0], where=where, mend=said[1]) from None
        if "Protocol not known" in str(problem):
            raise InputError(
                "Nobody knows this kind of URL.", where=where, mend="Use az://, https:// or a path."
            ) from None
        raise InputError(
            f"It can't be reached ({_kinds(problem)}).",
            where=where,
            mend="Check URL, network and credentials.",
        ) from None


def _kinds(problem: BaseException) -> str:
    """The kinds of a problem and of what caused it, with HTTP's status; their texts may quote a credential.

    >>> _kinds(RuntimeError("the key is …"))
    'RuntimeError'
    """
    found: list[str] = []
    cause: BaseException | None = problem
    while cause is not None and len(found) < 5:
        status = getattr(cause, "status_code", None) or getattr(cause, "status", None)
        found.append(f"{type(cause).__name__} {status}" if isinstance(status, int) else type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    return ", by ".join(dict.fromkeys(found))
