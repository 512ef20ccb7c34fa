"""Azurite, which plays storage accounts of Azure on loopback.

with serve_azurite(tmp_path, accounts={"own": key()}) as azurite:
    azurite.make_container("own", "release", public=True)
    azurite.upload("own", "release", {"20130502/a.vcf.gz": b"..."})
    monkeypatch.setenv("KGP_AZURE_ENDPOINTS", azurite.endpoints())
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, cast

from azure.storage.blob import (
    BlobServiceClient,
    ContainerSasPermissions,
    ContentSettings,
    PublicAccess,
    generate_container_sas,
)

from lacking import lacking

_PROGRAM = Path(__file__).parents[2] / "build" / "azurite" / "azurite-blob"
_START_SECONDS = 30

# The account that every emulator has, and that Hadoop's driver asks for; its key is published.
EMULATOR = "devstoreaccount1"
EMULATOR_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

# Azurite ends with the test run whatever ends that: the pipe to its input closes then. Its group is its own.
_UNTIL_EOF = """
exec 3<&0
"$@" </dev/null 3<&- &
{ read -r _; kill -9 0; } <&3 >/dev/null 2>&1 &
wait %1
"""


def key() -> str:
    """A new key of an account."""
    return base64.b64encode(secrets.token_bytes(64)).decode()


@dataclass
class Azurite:
    """A running Azurite.

    Args:
        port: of its blob service on 127.0.0.1.
        accounts: account → key.
        process: its process, which leads a group.
    """

    port: int
    accounts: Mapping[str, str]
    process: subprocess.Popen[bytes] = field(repr=False)

    def endpoints(self, aliases: Mapping[str, str] | None = None) -> str:
        """All accounts as ``KGP_AZURE_ENDPOINTS`` takes them.

        Args:
            aliases: other names of accounts → account here. Azurite takes a name that ends in ``-secondary`` for the
                read-only copy of the account without it, so an account of its own needs another name here.
        """
        served = {account: account for account in self.accounts} | dict(aliases or {})
        return ",".join(f"{name}={self.endpoint(account)}" for name, account in served.items())

    def endpoint(self, account: str) -> str:
        """URL of an account's blob service."""
        return f"http://127.0.0.1:{self.port}/{account}"

    def connection_string(self, account: str) -> str:
        """Connection string with the account's key."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={self.accounts[account]};"
            f"BlobEndpoint={self.endpoint(account)};"
        )

    def client(self, account: str) -> BlobServiceClient:
        """The SDK's client with the account's key."""
        return BlobServiceClient(self.endpoint(account), credential=self.accounts[account])

    def make_container(self, account: str, container: str, *, public: bool = False) -> None:
        """Make an empty container; of a public one everybody may list and read the blobs."""
        with self.client(account) as client:
            client.create_container(container, public_access=PublicAccess.CONTAINER if public else None)

    def upload(
        self,
        account: str,
        container: str,
        files: Mapping[str, bytes] | Path,
        *,
        with_md5: bool = True,
        **settings: Any,
    ) -> None:
        """Upload files, or a directory's files under their paths below it.

        Args:
            account: of the container.
            container: that exists.
            files: name of the blob → its bytes; or a directory.
            with_md5: whether the blobs state their MD5.
            settings: of `azure.storage.blob.ContentSettings`.
        """
        if isinstance(files, Path):
            paths = {path.relative_to(files).as_posix(): path for path in files.rglob("*") if path.is_file()}
        else:
            paths = {}

        def put(name: str) -> None:
            data = paths[name].read_bytes() if name in paths else cast(Mapping[str, bytes], files)[name]
            md5 = bytearray(hashlib.md5(data, usedforsecurity=False).digest()) if with_md5 else None
            client.upload_blob(
                name, data, overwrite=True, content_settings=ContentSettings(content_md5=md5, **settings)
            )

        with (
            self.client(account).get_container_client(container) as client,
            ThreadPoolExecutor(8) as pool,
        ):
            for _ in pool.map(put, paths or cast(Mapping[str, bytes], files)):
                pass

    def sas(self, account: str, container: str, *, permission: str = "rl", seconds: float = 3600) -> str:
        """A shared access signature for a container.

        Args:
            account: of the container.
            container: that it is for.
            permission: letters as Azure has them: r reads, l lists, a, c, w and d change.
            seconds: after which it is expired; negative for one that is expired already.
        """
        now = datetime.now(UTC)
        return generate_container_sas(
            account,
            container,
            account_key=self.accounts[account],
            permission=ContainerSasPermissions.from_string(permission),
            start=now - timedelta(days=1),
            expiry=now + timedelta(seconds=seconds),
        )

    def kill(self) -> None:
        """End it at once, connections and all; ending it twice does no harm."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()


@contextmanager
def serve_azurite(
    directory: Path | None = None,
    *,
    port: int = 0,
    accounts: Mapping[str, str] | None = None,
    debug: Path | None = None,
) -> Iterator[Azurite]:
    """Azurite as long as the context lasts.

    Args:
        directory: where it keeps the blobs; None: in its memory.
        port: of its blob service; 0: a free one. Hadoop's driver knows only 10000.
        accounts: account → key, in base64; None: the emulator's usual one.
        debug: file into which it writes each request that it gets, with its headers.

    Raises:
        RuntimeError: it did not start.
    """
    if not _PROGRAM.exists():
        lacking("Azurite is not installed: deploy/setup/azurite.sh")
    accounts = accounts or {EMULATOR: EMULATOR_KEY}
    port = _free(port)
    command = [str(_PROGRAM), "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    command += ["--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    command += ["--inMemoryPersistence"] if directory is None else ["--location", str(directory)]
    command += ["--debug", str(debug)] if debug else []
    with TemporaryFile() as said:
        process = subprocess.Popen(
            ["bash", "-c", _UNTIL_EOF, "azurite", *command],
            env=os.environ | {"AZURITE_ACCOUNTS": ";".join(":".join(pair) for pair in accounts.items())},
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        azurite = Azurite(port, dict(accounts), process)
        try:
            if not _answers(azurite):
                said.seek(0)
                raise RuntimeError(f"Azurite did not start: {said.read().decode(errors='replace')}")
            yield azurite
        finally:
            azurite.kill()


def _free(port: int) -> int:
    """The port, or any free one for 0; whoever else is there already would answer in Azurite's place."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as problem:
            raise RuntimeError(f"Azurite can't have port {port}: {problem.strerror}") from None
        return int(probe.getsockname()[1])


def _answers(azurite: Azurite) -> bool:
    give_up = time.monotonic() + _START_SECONDS
    while time.monotonic() < give_up and azurite.process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", azurite.port, timeout=5)
        try:
            connection.request("GET", "/")
            if (connection.getresponse().getheader("Server") or "").startswith("Azurite"):
                return azurite.process.poll() is None
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.02)
    return False
