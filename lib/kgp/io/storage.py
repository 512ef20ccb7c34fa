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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit, urlunsplit

import fsspec
from fsspec.core import url_to_fs

from kgp.errors import EnvironmentProblem, InputError

_READ_SIZE = 1 << 20
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


def open_binary(url: str, *, block_size: int | None = None) -> BinaryIO:
    """Open a file for reading bytes, with seek.

    Args:
        url: local path or fsspec URL.
        block_size: bytes that a remote file system fetches at a time; its own default where None.

    Raises:
        InputError: there is no such file, or it may not be read.
        EnvironmentProblem: the package for this kind of URL is not installed.
    """
    with _explained(url):
        fs, path = _resolve(url)
        options: dict[str, Any] = {} if block_size is None or is_local(url) else {"block_size": block_size}
        return cast(BinaryIO, fs.open(path, "rb", **options))


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

    ``md5:<hex>`` of a local file and of a remote one whose server states it; else ``etag:<etag>:<size>``;
    else the file is read once to compute the MD5.

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
