"""Azure Blob Storage and ADLS Gen2: what a URL names, who may read it, and the form that each library wants.

One blob has many names. ``az://container/path`` (the account from the environment), ``az://container@account/path``,
``abfss://container@account.dfs.core.windows.net/path``, ``wasbs://container@account.blob.core.windows.net/path`` and
``https://account.blob.core.windows.net/container/path`` are all read as a `Blob`, which gives the forms back.

Credentials come from the environment, from Spark's configuration or from Azure's default chain, in this order:

1. ``AZURE_STORAGE_CONNECTION_STRING``, for the account that it names;
2. ``AZURE_STORAGE_ACCOUNT_KEY`` or ``AZURE_STORAGE_SAS_TOKEN``, for ``AZURE_STORAGE_ACCOUNT_NAME``;
3. Spark's ``fs.azure.account.key.…`` and ``fs.azure.sas.…`` of the account (`learn_from_spark`);
4. none for the archives' public accounts, nor for any account where ``AZURE_STORAGE_ANON`` is true;
5. what `azure.identity.DefaultAzureCredential` finds: a service principal, a managed identity, the command-line tool.

What the driver has found goes along with Spark's tasks (`kgp.io.tasks`), so that it need not be set on every node.
Credentials are held in fields that no `repr` shows. ``KGP_AZURE_ENDPOINTS`` (``account=URL``, joined by commas) says
where accounts are served in other clouds or by an emulator.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from kgp.errors import UsageError
from kgp.sources import PUBLIC_ACCOUNTS

_CLOUD = "core.windows.net"
_EMULATOR_PORT = 10000  # the only one that Hadoop's driver knows
_STORAGE_SCOPE = "https://storage.azure.com/.default"
_WITH_ACCOUNT = re.compile(
    r"(?P<scheme>az|abfss?|wasbs?)://(?P<container>[^@/?#]+)@(?P<account>[a-z0-9-]+)"
    r"(?:\.(?:blob|dfs)\.(?P<cloud>[a-z0-9.-]+))?(?:/(?P<path>[^?]*))?"
)
_WITHOUT_ACCOUNT = re.compile(r"(?P<scheme>az|abfss?)://(?P<container>[^@/?#]+)(?:/(?P<path>[^?]*))?")
_HTTPS = re.compile(
    r"https://(?P<account>[a-z0-9-]+)\.(?:blob|dfs)\.(?P<cloud>core\.[a-z.]+)/(?P<container>[^/?#]+)(?:/(?P<path>[^?#]*))?"
)
# What every emulator has; the key is published.
_EMULATED = {
    "AccountName": "devstoreaccount1",
    "AccountKey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "BlobEndpoint": f"http://127.0.0.1:{_EMULATOR_PORT}/devstoreaccount1",
}
_SCHEMES = ("az", "abfs", "abfss", "wasb", "wasbs")

# Account → what Spark's configuration says of it.
_from_spark: dict[str, Account] = {}
# Account → what was found for it: on the driver by itself, in a task by the driver.
_found: dict[str, Account] = {}
_from_driver: dict[str, Account] = {}


@dataclass(frozen=True)
class Account:
    """A storage account, where it is served, and at most one credential; with none, `is_anonymous` or the chain.

    Args:
        name: the account.
        endpoint: URL of its blob service, without a slash at the end.
        key: shared key.
        sas: shared access signature, without a question mark.
        is_anonymous: read without any credential.
    """

    name: str
    endpoint: str
    key: str | None = field(default=None, repr=False)
    sas: str | None = field(default=None, repr=False)
    is_anonymous: bool = False

    @property
    def is_emulated(self) -> bool:
        """Whether the account's name stands in the path of its endpoint, as emulators have it."""
        return urlsplit(self.endpoint).path.strip("/") == self.name

    @property
    def by_token(self) -> bool:
        """Whether Azure's default chain gives the credential."""
        return self.key is None and self.sas is None and not self.is_anonymous

    def delta_options(self) -> dict[str, str]:
        """Storage options of `deltalake` (delta-rs)."""
        options = {"account_name": self.name}
        if self.endpoint != _endpoint_of(self.name):
            options["endpoint"] = self.endpoint
            if self.endpoint.startswith("http://"):
                options["allow_http"] = "true"
        if self.key is not None:
            options["account_key"] = self.key
        elif self.sas is not None:
            options["sas_token"] = self.sas
        elif self.is_anonymous:
            options["skip_signature"] = "true"
        else:
            options["bearer_token"] = _default_chain().get_token(_STORAGE_SCOPE).token
        return options

    def hadoop_settings(self, container: str) -> dict[str, str]:
        """Settings of Hadoop's file system for this account, without the prefix ``spark.hadoop.``.

        Args:
            container: that a shared access signature is for.
        """
        if self.is_emulated:
            return {"fs.azure.storage.emulator.account.name": "storageemulator"}
        host = urlsplit(self.endpoint).hostname or ""
        dfs = host.replace(".blob.", ".dfs.")
        if self.key is not None:
            return {f"fs.azure.account.key.{host}": self.key, f"fs.azure.account.key.{dfs}": self.key}
        if self.sas is not None:
            return {f"fs.azure.sas.{container}.{host}": self.sas}
        if self.is_anonymous:
            return {}
        oauth = "org.apache.hadoop.fs.azurebfs.oauth2"
        settings = {f"fs.azure.account.auth.type.{dfs}": "OAuth"}
        tenant, client, secret = (
            os.environ.get(f"AZURE_{name}") for name in ("TENANT_ID", "CLIENT_ID", "CLIENT_SECRET")
        )
        if tenant and client and secret:
            settings |= {
                f"fs.azure.account.oauth.provider.type.{dfs}": f"{oauth}.ClientCredsTokenProvider",
                f"fs.azure.account.oauth2.client.endpoint.{dfs}": (
                    f"https://login.microsoftonline.com/{tenant}/oauth2/token"
                ),
                f"fs.azure.account.oauth2.client.id.{dfs}": client,
                f"fs.azure.account.oauth2.client.secret.{dfs}": secret,
            }
        else:
            settings[f"fs.azure.account.oauth.provider.type.{dfs}"] = f"{oauth}.MsiTokenProvider"
            if client:
                settings[f"fs.azure.account.oauth2.client.id.{dfs}"] = client
        return settings

    def file_system(self) -> Any:
        """The account as adlfs' file system, with this credential and no other."""
        return _file_system(self)


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
            if urlsplit(account.endpoint).port != _EMULATOR_PORT:
                raise UsageError(
                    f"Spark reads an emulated account on port {_EMULATOR_PORT} only.",
                    where=account.endpoint,
                    mend=f"Start the emulator with --blobPort {_EMULATOR_PORT}.",
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
    account = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME") or _connection().get("AccountName")
    if account is None:
        raise UsageError(
            "It names no storage account.",
            where=url,
            mend="Set AZURE_STORAGE_ACCOUNT_NAME, or write az://CONTAINER@ACCOUNT/PATH.",
        )
    return Blob(account, found["container"], (found["path"] or "").strip("/"), found["scheme"])


def find_account(name: str) -> Account:
    """The account with the credential that the environment, Spark or nobody has for it; see the module."""
    account = _from_driver.get(name) or _look_up(name)
    _found[name] = account
    return account


def _look_up(name: str) -> Account:
    account = Account(name, _endpoints().get(name) or _endpoint_of(name))
    connection = _connection()
    if connection and name == connection.get("AccountName"):
        endpoint = connection.get("BlobEndpoint", account.endpoint).rstrip("/")
        sas = connection.get("SharedAccessSignature")
        known = replace(account, endpoint=endpoint, key=connection.get("AccountKey"), sas=_bare(sas))
        return replace(known, is_anonymous=known.by_token)
    named = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")
    if named == name or (named is None and name not in PUBLIC_ACCOUNTS):
        if key := os.environ.get("AZURE_STORAGE_ACCOUNT_KEY"):
            return replace(account, key=key)
        if sas := os.environ.get("AZURE_STORAGE_SAS_TOKEN"):
            return replace(account, sas=_bare(sas))
    if name in _from_spark:
        return replace(_from_spark[name], endpoint=account.endpoint)
    if name in PUBLIC_ACCOUNTS or os.environ.get("AZURE_STORAGE_ANON", "").lower() in (
        "1",
        "t",
        "true",
        "yes",
    ):
        return replace(account, is_anonymous=True)
    return account


def locate(url: str) -> tuple[Account, Blob] | None:
    """Account and blob of an Azure URL; None for a URL of another kind.

    Raises:
        UsageError: as `parse_blob`.
    """
    blob = parse_blob(url)
    return None if blob is None else (find_account(blob.account), blob)


def learn_from_spark(settings: Iterable[tuple[str, str]]) -> None:
    """Take the accounts' credentials out of Spark's or Hadoop's configuration: pairs of setting and value."""
    for setting, value in settings:
        name = setting.removeprefix("spark.hadoop.")
        if found := re.fullmatch(r"fs\.azure\.account\.key\.([a-z0-9-]+)\.(?:blob|dfs)\..+", name):
            _from_spark[found[1]] = Account(found[1], _endpoint_of(found[1]), key=value)
        elif found := re.fullmatch(
            r"fs\.azure\.sas\.(?:fixed\.token|[a-z0-9$-]+)\.([a-z0-9-]+)\.(?:blob|dfs)\..+", name
        ):
            _from_spark.setdefault(found[1], Account(found[1], _endpoint_of(found[1]), sas=_bare(value)))


def known_accounts() -> Mapping[str, Account]:
    """The accounts that have been asked for in this process, for its tasks; see `accept_from_driver`."""
    return dict(_found)


def accept_from_driver(accounts: Mapping[str, Account]) -> None:
    """In a task: take what the driver has found, in the place of what this node's environment says."""
    _from_driver.update(accounts)


def _check_cloud(found: re.Match[str]) -> None:
    """Refuse another cloud than Azure's public one where it is not known: a key must not be sent to the wrong one."""
    account, cloud = found["account"], found["cloud"]
    if (
        cloud not in (None, _CLOUD)
        and account not in _endpoints()
        and account != _connection().get("AccountName")
    ):
        raise UsageError(
            f"Its account is in another cloud ({cloud}).",
            where=found[0].partition("?")[0],
            mend=f"Set KGP_AZURE_ENDPOINTS={account}=https://{account}.blob.{cloud}",
        )


def _endpoint_of(account: str) -> str:
    return f"https://{account}.blob.{_CLOUD}"


def _endpoints() -> dict[str, str]:
    """``KGP_AZURE_ENDPOINTS`` as account → endpoint."""
    text = os.environ.get("KGP_AZURE_ENDPOINTS", "")
    pairs = (item.partition("=") for item in text.split(",") if item.strip())
    return {name.strip(): endpoint.strip().rstrip("/") for name, _, endpoint in pairs}


def _connection() -> dict[str, str]:
    """``AZURE_STORAGE_CONNECTION_STRING`` as name → value; the account of a SAS string is that of its endpoint."""
    text = os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
    values = dict(item.strip().split("=", 1) for item in text.split(";") if "=" in item)
    if values.get("UseDevelopmentStorage", "").lower() == "true":
        return _EMULATED
    if "AccountName" not in values and (endpoint := values.get("BlobEndpoint")):
        parts = urlsplit(endpoint)
        host = parts.hostname or ""
        values["AccountName"] = host.split(".")[0] if ".blob." in host else parts.path.strip("/")
    return values


def _bare(sas: str | None) -> str | None:
    return sas.lstrip("?") if sas else None


@lru_cache(maxsize=1)
def _default_chain() -> Any:
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()


@lru_cache(maxsize=32)
def _file_system(account: Account) -> Any:
    from kgp.io.azure_files import BlobFileSystem

    return BlobFileSystem(account)


def blob_url(account: Account, container: str, path: str) -> str:
    """Address of a blob at its account's endpoint, without any credential."""
    return f"{account.endpoint}/{container}/{quote(path)}"
