"""What an Azure URL names, and the form of it that each library wants.

One blob has many names. ``az://container/path`` (the account from the environment), ``az://container@account/path``,
``abfss://container@account.dfs.core.windows.net/path``, ``wasbs://container@account.blob.core.windows.net/path`` and
``https://account.blob.core.windows.net/container/path`` are all read as a `Blob`, which gives the forms back.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from kgp.errors import UsageError
from kgp.io.azure_settings import CLOUD, EMULATOR_PORT, find_endpoints, read_connection

if TYPE_CHECKING:
    from kgp.io.azure import Account

_WITH_ACCOUNT = re.compile(
    r"(?P<scheme>az|abfss?|wasbs?)://(?P<container>[^@/?#]+)@(?P<account>[a-z0-9-]+)"
    r"(?:\.(?:blob|dfs)\.(?P<cloud>[a-z0-9.-]+))?(?:/(?P<path>[^?]*))?"
)
_WITHOUT_ACCOUNT = re.compile(r"(?P<scheme>az|abfss?)://(?P<container>[^@/?#]+)(?:/(?P<path>[^?]*))?")
_HTTPS = re.compile(
    r"https://(?P<account>[a-z0-9-]+)\.(?:blob|dfs)\.(?P<cloud>core\.[a-z.]+)/(?P<container>[^/?#]+)(?:/(?P<path>[^?#]*))?"
)
_SCHEMES = ("az", "abfs", "abfss", "wasb", "wasbs")


@dataclass(frozen=True)
class Blob:
    """What an Azure URL names: a blob, or a prefix of blobs.

    Args:
        account: name of the storage account.
        container: the container.
        path: within the container, without slashes at its ends.
        scheme: of the URL that it was read from; ``https`` URLs count as ``az``.
    """

    account: str
    container: str
    path: str
    scheme: str = "az"

    @property
    def for_fsspec(self) -> str:
        """Container and path, as adlfs' file system takes them."""
        return f"{self.container}/{self.path}".rstrip("/")

    @property
    def for_delta(self) -> str:
        """As `deltalake` takes it, with `Account.delta_options`."""
        return f"az://{self.for_fsspec}"

    @property
    def for_people(self) -> str:
        """As messages and tables name it: the account is in it, no credential is."""
        return f"az://{self.container}@{self.account}/{self.path}".rstrip("/")

    def for_hadoop(self, account: Account) -> str:
        """As Spark takes it, with `Account.hadoop_settings`: it knows no ``az://``.

        Raises:
            UsageError: the account is emulated where Hadoop's driver does not look for it.
        """
        if account.is_emulated:
            if urlsplit(account.endpoint).port != EMULATOR_PORT:
                raise UsageError(
                    f"Spark reads an emulated account on port {EMULATOR_PORT} only.",
                    where=account.endpoint,
                    mend=f"Start the emulator with --blobPort {EMULATOR_PORT}.",
                )
            return f"wasb://{self.container}@storageemulator/{self.path}".rstrip("/")
        host = urlsplit(account.endpoint).hostname or ""
        # Hadoop 3.3's abfs takes a signature only from a class of one's own; wasb takes it from the configuration.
        if self.scheme.startswith("wasb") or account.sas is not None:
            return f"wasbs://{self.container}@{host}/{self.path}".rstrip("/")
        return f"abfss://{self.container}@{host.replace('.blob.', '.dfs.')}/{self.path}".rstrip("/")

    def child(self, path: str) -> Blob:
        """The blob of that path below this one."""
        return replace(self, path=f"{self.path}/{path}".strip("/"))


def parse_blob(url: str) -> Blob | None:
    """What an Azure URL names; None for a URL of another kind, and for an https URL that carries its own signature.

    >>> parse_blob("wasbs://dataset@dataset1000genomes.blob.core.windows.net/release/20130502/a.vcf.gz")
    Blob(account='dataset1000genomes', container='dataset', path='release/20130502/a.vcf.gz', scheme='wasbs')
    >>> parse_blob("https://dataset1000genomes.blob.core.windows.net/dataset/README").for_people
    'az://dataset@dataset1000genomes/README'

    Raises:
        UsageError: it names no account, nor does the environment; it is no Azure URL though its scheme is; or it is in
            another cloud, and the environment does not say where its account is.
    """
    if (found := _HTTPS.fullmatch(url)) is not None:
        _check_cloud(found)
        return Blob(found["account"], found["container"], unquote(found["path"] or "").strip("/"))
    if url.partition("://")[0] not in _SCHEMES:
        return None
    if (found := _WITH_ACCOUNT.fullmatch(url)) is not None:
        _check_cloud(found)
        return Blob(found["account"], found["container"], (found["path"] or "").strip("/"), found["scheme"])
    if (found := _WITHOUT_ACCOUNT.fullmatch(url)) is None:
        raise UsageError(
            "It is no Azure URL.",
            where=url.partition("?")[0],
            mend="Write az://CONTAINER@ACCOUNT/PATH or abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH.",
        )
    account = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME") or read_connection().get("AccountName")
    if account is None:
        raise UsageError(
            "It names no storage account.",
            where=url,
            mend="Set AZURE_STORAGE_ACCOUNT_NAME, or write az://CONTAINER@ACCOUNT/PATH.",
        )
    return Blob(account, found["container"], (found["path"] or "").strip("/"), found["scheme"])


def blob_url(account: Account, container: str, path: str) -> str:
    """Address of a blob at its account's endpoint, without any credential."""
    return f"{account.endpoint}/{container}/{quote(path)}"


def _check_cloud(found: re.Match[str]) -> None:
    """Refuse another cloud than Azure's public one where it is not known: a key must not be sent to the wrong one."""
    account, cloud = found["account"], found["cloud"]
    if (
        cloud not in (None, CLOUD)
        and account not in find_endpoints()
        and account != read_connection().get("AccountName")
    ):
        raise UsageError(
            f"Its account is in another cloud ({cloud}).",
            where=found[0].partition("?")[0],
            mend=f"Set KGP_AZURE_ENDPOINTS={account}=https://{account}.blob.{cloud}",
        )
