"""Files wherever they lie: local paths and every URL that fsspec knows (az, abfss, wasbs, https, ftp, s3).

Credentials come from the environment, as fsspec and adlfs document them (``AZURE_STORAGE_ACCOUNT_NAME``,
``AZURE_STORAGE_CONNECTION_STRING``, ``FSSPEC_<PROTOCOL>_<OPTION>``); they never appear in a message. Files
are streamed: nothing is copied whole to disk or held whole in memory.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit, urlunsplit

import fsspec
from fsspec.core import url_to_fs

from kgp.errors import EnvironmentProblem, InputError

READ_AHEAD = 8 << 20

_READ_SIZE = 1 << 20
_BEHIND_BYTES = 64 << 10
_WASB = re.compile(
    r"wasbs?://(?P<container>[^@/]+)@(?P<account>[^./]+)\.blob\.core\.windows\.net/(?P<path>.*)"
)


def display_url(url: str) -> str:
    """The URL without user, password and query, as messages show it; a local path stays as it is.

    >>> display_url("https://me:secret@host/file.vcf.gz?sv=2024&sig=abc")
    'https://host/file.vcf.gz'
    >>> display_url("abfss://container@account.dfs.core.windows.net/file.vcf.gz")
    'abfss://container@account.dfs.core.windows.net/file.vcf.gz'
    """
    if "://" not in url:
        return url
    parts = urlsplit(url)
    host = parts.netloc
    if parts.scheme not in ("abfs", "abfss", "wasb", "wasbs"):  # there the user is the container
        host = host.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def place_of(url: str) -> str:
    """How tables and messages name the place of a file: an absolute path, or a URL without user and query.

    >>> place_of("file:///data/a.vcf"), place_of("/data/../data/a.vcf")
    ('/data/a.vcf', '/data/a.vcf')
    >>> place_of("https://host/a.vcf?sv=2024&sig=secret")
    'https://host/a.vcf'
    """
    if not is_local(url):
        return display_url(url)
    return os.path.abspath(url.removeprefix("file://").removeprefix("local://"))


def is_local(url: str) -> bool:
    """Whether the file lies on a disk of this machine.

    >>> is_local("/data/a.vcf"), is_local("file:///data/a.vcf"), is_local("az://release/a.vcf")
    (True, True, False)
    """
    return "://" not in url or url.startswith(("file://", "local://"))


def open_binary(url: str) -> BinaryIO:
    """Open a file for reading bytes, with seek; of a remote one, megabytes are read ahead.

    Args:
        url: local path or fsspec URL.

    Raises:
        InputError: there is no such file, or it may not be read.
        EnvironmentProblem: the package for this kind of URL is not installed.
    """
    return _open(url)


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
        with _explained(self._url):
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


def exists(url: str) -> bool:
    """Whether there is a file (or a directory) at the URL."""
    with _explained(url):
        fs, path = _resolve(url)
        return bool(fs.exists(path))


def file_size(url: str) -> int:
    """Size of the file in bytes.

    Raises:
        InputError: there is no such file, or its server does not tell its size.
    """
    with _explained(url):
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
        with _explained(url):
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
    stated = settings.get("content_md5") if isinstance(settings, Mapping) else None
    stated = stated or info.get("Content-MD5")
    if not stated:
        return None
    raw = base64.b64decode(stated) if isinstance(stated, str) else bytes(stated)
    return raw.hex() if len(raw) == 16 else None


def _open(url: str, **options: object) -> BinaryIO:
    with _explained(url):
        fs, path = _resolve(url)
        return cast(BinaryIO, fs.open(path, "rb", **options))


def _resolve(url: str) -> tuple[Any, str]:
    """File system and path of a URL; wasb(s), Hadoop's name for the same blobs, is read as abfs(s)."""
    if (blob := _WASB.fullmatch(url)) is not None:
        url = f"abfss://{blob['container']}@{blob['account']}.dfs.core.windows.net/{blob['path']}"
    fs, path = url_to_fs(url)
    return cast(fsspec.AbstractFileSystem, fs), str(path)


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turn what any file system raises into one clear message.

    The cause is left out of the chain: it may quote a credential.
    """
    where = display_url(url)
    try:
        yield
    except InputError:
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
        if "Protocol not known" in str(problem):
            raise InputError(
                "Nobody knows this kind of URL.", where=where, mend="Use az://, https:// or a path."
            ) from None
        raise InputError(
            f"It can't be opened ({type(problem).__name__}).",
            where=where,
            mend="Check URL, network and credentials.",
        ) from None
