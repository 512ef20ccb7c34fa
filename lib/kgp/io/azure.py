"""The storage accounts of Azure Blob Storage and ADLS Gen2: who may read which, and what each library must be told.

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
from urllib.parse import urlsplit

from kgp.io.azure_settings import endpoint_of, find_endpoints, read_connection
from kgp.io.azure_urls import Blob, parse_blob
from kgp.sources import PUBLIC_ACCOUNTS

_STORAGE_SCOPE = "https://storage.azure.com/.default"

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
        if self.endpoint != endpoint_of(self.name):
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


def find_account(name: str) -> Account:
    """The account with the credential that the environment, Spark or nobody has for it; see the module."""
    account = _from_driver.get(name) or _look_up(name)
    _found[name] = account
    return account


def _look_up(name: str) -> Account:
    account = Account(name, find_endpoints().get(name) or endpoint_of(name))
    connection = read_connection()
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
            _from_spark[found[1]] = Account(found[1], endpoint_of(found[1]), key=value)
        elif found := re.fullmatch(
            r"fs\.azure\.sas\.(?:fixed\.token|[a-z0-9$-]+)\.([a-z0-9-]+)\.(?:blob|dfs)\..+", name
        ):
            _from_spark.setdefault(found[1], Account(found[1], endpoint_of(found[1]), sas=_bare(value)))


def known_accounts() -> Mapping[str, Account]:
    """The accounts that have been asked for in this process, for its tasks; see `accept_from_driver`."""
    return dict(_found)


def accept_from_driver(accounts: Mapping[str, Account]) -> None:
    """In a task: take what the driver has found, in the place of what this node's environment says."""
    _from_driver.update(accounts)


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
