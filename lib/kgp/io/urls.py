"""What URLs and paths say of themselves: where they lie, and how a message or a table names them."""

from __future__ import annotations

import os
from urllib.parse import urlsplit, urlunsplit

from kgp.io.azure_urls import parse_blob


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
    if parts.scheme not in ("az", "abfs", "abfss", "wasb", "wasbs"):  # there the user is the container
        host = host.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def place_of(url: str) -> str:
    """How tables and messages name the place of a file: an absolute path, or a URL without user and query.

    >>> place_of("file:///data/a.vcf"), place_of("/data/../data/a.vcf")
    ('/data/a.vcf', '/data/a.vcf')
    >>> place_of("https://host/a.vcf?sv=2024&sig=secret")
    'https://host/a.vcf'
    >>> place_of("abfss://lake@mine.dfs.core.windows.net/a.vcf")
    'az://lake@mine/a.vcf'
    """
    if not is_local(url):
        blob = parse_blob(url)
        return display_url(url) if blob is None else blob.for_people
    return os.path.abspath(url.removeprefix("file://").removeprefix("local://"))


def is_local(url: str) -> bool:
    """Whether the file lies on a disk of this machine.

    >>> is_local("/data/a.vcf"), is_local("file:///data/a.vcf"), is_local("az://release/a.vcf")
    (True, True, False)
    """
    return "://" not in url or url.startswith(("file://", "local://"))
