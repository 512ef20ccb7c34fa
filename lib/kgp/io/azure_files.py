"""adlfs' file system over one storage account, with the credential that `kgp.io.azure` found and no other.

adlfs itself takes what it finds in the environment for every account, so that the key of one's own account would be
sent to the public archive, and it leaves the SDK's retries as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adlfs import AzureBlobFileSystem
from azure.storage.blob.aio import BlobServiceClient, ExponentialRetry

if TYPE_CHECKING:
    from kgp.io.azure import Account

_CONNECT_SECONDS = 20
_READ_SECONDS = 60


class BlobFileSystem(AzureBlobFileSystem):  # type: ignore[misc]
    """adlfs' file system of one account.

    Args:
        account: the account with its credential.
        retry_total: how often the SDK tries a request again by itself.
        read_timeout: seconds without a byte after which a request has failed.
    """

    cachable = False  # fsspec would tell instances apart by the account's repr, which shows no credential

    def __init__(
        self, account: Account, *, retry_total: int = 3, read_timeout: float = _READ_SECONDS, **_: Any
    ) -> None:
        # What else is given is fsspec's own configuration, which is for adlfs.
        self._account = account
        self._client_options: dict[str, Any] = {
            # The SDK's own would wait for a minute before it says that there is no such host.
            "retry_policy": ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=retry_total),
            "connection_timeout": min(_CONNECT_SECONDS, read_timeout),
            "read_timeout": read_timeout,
        }
        super().__init__(
            account_name=account.name,
            anon=True,
            assume_container_exists=True,
            use_listings_cache=False,  # a blob that is asked for again may be another one by now
            credential="",  # not None: else adlfs makes one of AZURE_STORAGE_CLIENT_ID, or fails to
        )

    def do_connect(self) -> None:
        """Connect with the account's own credential; what adlfs took from the environment is forgotten."""
        self.account_key = self.sas_token = self.connection_string = self.client_secret = self.credential = (
            None
        )
        account = self._account
        credential: Any = account.key or account.sas
        if account.by_token:
            from azure.identity.aio import DefaultAzureCredential

            credential = self.credential = DefaultAzureCredential()
        self.account_url = account.endpoint
        self.service_client = BlobServiceClient(
            account.endpoint, credential=credential, **self._client_options
        )

    def __repr__(self) -> str:
        return f"BlobFileSystem({self._account!r})"
