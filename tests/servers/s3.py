"""Moto's server, which plays S3 on loopback.

with serve_s3() as s3:
    s3.make_bucket("release", {"20130502/a.vcf.gz": b"..."})
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from moto.server import ThreadedMotoServer


@dataclass(frozen=True)
class S3Server:
    """A running server.

    Args:
        endpoint: its URL, as ``AWS_ENDPOINT_URL`` takes it.
    """

    endpoint: str

    def client(self) -> Any:
        """Boto's client with a credential; the server takes any."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id="any",
            aws_secret_access_key="any",
            region_name="us-east-1",
        )

    def make_bucket(self, bucket: str, objects: Mapping[str, bytes]) -> None:
        """Make a bucket that everybody may list and read, and put objects into it."""
        client = self.client()
        client.create_bucket(Bucket=bucket, ACL="public-read")
        for key, data in objects.items():
            client.put_object(Bucket=bucket, Key=key, Body=data, ACL="public-read")


@contextmanager
def serve_s3() -> Iterator[S3Server]:
    """The server, on a port that is free, as long as the context lasts; it forgets all buckets at its end."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield S3Server(f"http://{host}:{port}")
    finally:
        server.stop()
