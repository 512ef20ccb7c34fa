"""What the environment says of Azure's accounts as such: where they are served, and its connection string."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

CLOUD = "core.windows.net"
EMULATOR_PORT = 10000  # the only one that Hadoop's driver knows
# What every emulator has; the key is published.
_EMULATED = {
    "AccountName": "devstoreaccount1",
    "AccountKey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "BlobEndpoint": f"http://127.0.0.1:{EMULATOR_PORT}/devstoreaccount1",
}


def endpoint_of(account: str) -> str:
    """Where Azure's public cloud serves an account."""
    return f"https://{account}.blob.{CLOUD}"


def find_endpoints() -> dict[str, str]:
    """``KGP_AZURE_ENDPOINTS`` as account → endpoint."""
    text = os.environ.get("KGP_AZURE_ENDPOINTS", "")
    pairs = (item.partition("=") for item in text.split(",") if item.strip())
    return {name.strip(): endpoint.strip().rstrip("/") for name, _, endpoint in pairs}


def read_connection() -> dict[str, str]:
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
