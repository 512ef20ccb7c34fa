"""A bucket of S3 as a door.

The archives' buckets are always asked without a credential; others with what boto finds where the environment names a
credential, else without one too. ``AWS_ENDPOINT_URL`` says where another server than Amazon's is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fsspec.asyn import sync
from fsspec.exceptions import FSTimeoutError

from kgp.errors import UsageError
from kgp.io.doors.base import DoorFault
from kgp.io.doors.blob_list import check_part, etag_of, fault_of, is_directory
from kgp.io.doors.walk import check_path, check_prefix, check_range
from kgp.sources import PUBLIC_BUCKETS, Door, Entry

_ROOT = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]*)(?:/(?P<path>[^?#]*))?")
_MD5 = re.compile(r"[0-9a-f]{32}")
_CONNECT_SECONDS = 20
_SLOWEST = 64 << 10  # bytes a second
_PAGE = 1000  # keys, the most that there are
_PAGE_BYTES = 1 << 20
_CHUNK = 1 << 20
# Any of them tells that boto is meant to find a credential; without, it would ask the cloud's metadata service.
_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)


@dataclass(frozen=True)
class _Answer:
    """What a call gave: boto's names and values, and the bytes of the body where there is one."""

    values: Mapping[str, Any]
    body: bytes = b""

    @property
    def status(self) -> int:
        return int(self.values["ResponseMetadata"]["HTTPStatusCode"])

    @property
    def headers(self) -> Mapping[str, str]:
        """By names in small letters."""
        headers: Mapping[str, str] = self.values["ResponseMetadata"]["HTTPHeaders"]
        return headers


class S3Door:
    """A bucket, or a path in one.

    An ETag of 32 digits is taken for the MD5 where no credential is used: Amazon makes another of an object only if it
    came in parts (then the ETag has a dash) or is encrypted with keys that only those with a credential can use.

    Args:
        door: what it is; its root is ``s3://bucket`` or ``s3://bucket/path``.
        timeout: seconds for a connection and for each silence after that. A whole answer takes no longer than this
            and a second for each 64 KiB.

    Raises:
        UsageError: the root is no such URL.
    """

    range_bytes = 8 << 20
    most_connections = 16

    def __init__(self, door: Door, *, timeout: float = 60.0) -> None:
        from s3fs import S3FileSystem

        root = _ROOT.fullmatch(door.root)
        if root is None:
            raise UsageError(
                "This is not the address of a bucket of S3.",
                where=f"door {door.name}",
                mend="Write s3://BUCKET/PATH.",
            )
        self.door = door
        self._timeout = timeout
        self._bucket = root["bucket"]
        path = (root["path"] or "").strip("/")
        self._base = f"{path}/" if path else ""
        self._is_anonymous = self._bucket in PUBLIC_BUCKETS or not any(map(os.environ.get, _CREDENTIALS))
        self._files = S3FileSystem(
            anon=self._is_anonymous,
            skip_instance_cache=True,
            config_kwargs={
                "connect_timeout": min(_CONNECT_SECONDS, timeout),
                "read_timeout": timeout,
                "retries": {"total_max_attempts": 1, "mode": "standard"},
                "max_pool_connections": 4 * self.most_connections,
                "response_checksum_validation": "when_required",
            },
        )

    def list(self, prefix: str, *, enter: Callable[[str], bool] | None = None) -> Iterator[Entry]:
        """See `OpenDoor.list`; a request for each 1,000 files, whatever directories they lie in."""
        check_prefix(prefix)
        place = self._base + self.door.at_door(prefix)
        n = 0
        for key in self._keys(place):
            if not key["Key"].startswith(place):
                raise DoorFault("confused", "the server lists files of another directory")
            if is_directory(key["Key"], key["Size"]):
                continue
            n += 1
            yield self._entry(self.door.in_archive(key["Key"][len(self._base) :]), key["Size"], key)
        if not n:
            raise DoorFault("absent", "the directory holds no file")

    def stat(self, path: str) -> Entry | None:
        """See `OpenDoor.stat`."""
        check_path(path)
        if not path or path.endswith("/"):
            return None
        try:
            values = self._ask(lambda client: client.head_object(**self._object(path))).values
        except DoorFault as fault:
            if fault.kind == "absent":
                return None
            raise
        size = values["ContentLength"]
        return None if is_directory(path, size) else self._entry(path, size, values)

    def read_range(self, path: str, start: int, end: int, *, version: Entry | None = None) -> bytes:
        """See `OpenDoor.read_range`."""
        check_range(path, start, end)
        if start == end:
            return b""
        options = self._object(path) | {"Range": f"bytes={start}-{end - 1}"}
        if version is not None and version.etag is not None:
            options["IfMatch"] = f'"{version.etag}"'
        answer = self._ask(lambda client: client.get_object(**options), n_bytes=end - start)
        check_part(answer.headers, answer.body, start, end, version)
        return answer.body

    def url(self, path: str) -> str:
        """See `OpenDoor.url`."""
        check_path(path)
        return f"s3://{self._bucket}/{self._base}{self.door.at_door(path)}"

    def close(self) -> None:
        """See `OpenDoor.close`."""
        if self._files._s3 is not None:
            self._files.close_session(self._files.loop, self._files._s3creator)

    def _keys(self, prefix: str) -> Iterator[Mapping[str, Any]]:
        """What the bucket has below a prefix, page by page."""
        options: dict[str, Any] = {"Bucket": self._bucket, "Prefix": prefix, "MaxKeys": _PAGE}
        while True:
            page = self._ask(lambda client: client.list_objects_v2(**options), n_bytes=_PAGE_BYTES).values
            if "IsTruncated" not in page:
                raise DoorFault("confused", "the answer is not the listing of a bucket")
            yield from page.get("Contents", ())
            if not page["IsTruncated"]:
                return
            token = page.get("NextContinuationToken")
            if token is None or token == options.get("ContinuationToken"):
                raise DoorFault("confused", "the listing does not go on")
            options["ContinuationToken"] = token

    def _object(self, path: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._base + self.door.at_door(path)}

    def _entry(self, path: str, size: int, stated: Mapping[str, Any]) -> Entry:
        """What a listing and an answer call by the same names."""
        etag = etag_of(stated.get("ETag"))
        modified: datetime | None = stated.get("LastModified")
        return Entry(
            path,
            size,
            md5=etag if etag and self._is_anonymous and _MD5.fullmatch(etag) else None,
            etag=etag,
            modified=modified.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if modified else None,
        )

    def _ask(self, call: Callable[[Any], Awaitable[Mapping[str, Any]]], *, n_bytes: int = 0) -> _Answer:
        """Make one call of boto's client.

        Args:
            call: makes it.
            n_bytes: most bytes that the body of a good answer has.

        Raises:
            DoorFault: it failed.
        """
        seconds = self._timeout + n_bytes / _SLOWEST
        try:
            outcome = sync(self._files.loop, self._answer, call, n_bytes, timeout=seconds)
        except FSTimeoutError:
            outcome = DoorFault("timeout", f"no whole answer within {seconds:.0f} seconds")
        if isinstance(outcome, DoorFault):
            raise outcome
        assert isinstance(outcome, _Answer)
        return outcome

    async def _answer(
        self, call: Callable[[Any], Awaitable[Mapping[str, Any]]], n_bytes: int
    ) -> _Answer | DoorFault:
        """A fault is returned: raised, it would carry boto's exception, and with it what was sent."""
        try:
            values = await call(await self._files.set_session())
            if "Body" not in values:
                return _Answer(values)
            parts = []
            n = 0
            async with values["Body"] as body:
                while n <= n_bytes and (part := await body.read(_CHUNK)):
                    parts.append(part)
                    n += len(part)
            return _Answer(values, b"".join(parts))
        except Exception as problem:
            return _explain(problem, self._timeout)


def _explain(problem: Exception, timeout: float) -> DoorFault:
    """What the exceptions of boto and of its HTTP client mean. They are not quoted: their texts may hold URLs."""
    import aiohttp
    from botocore import exceptions as boto

    if isinstance(problem, boto.ClientError):
        meta = problem.response.get("ResponseMetadata", {})
        code = problem.response.get("Error", {}).get("Code")
        return fault_of(meta.get("HTTPStatusCode", 0), code, meta.get("HTTPHeaders", {}))
    if isinstance(
        problem, boto.NoCredentialsError | boto.PartialCredentialsError | boto.CredentialRetrievalError
    ):
        return DoorFault("denied", "there is no credential for it that can be used")
    if isinstance(problem, TimeoutError | boto.ReadTimeoutError | boto.ConnectTimeoutError):
        return DoorFault("timeout", f"nothing came for {timeout:g} seconds")
    if isinstance(problem, aiohttp.ClientPayloadError | boto.IncompleteReadError):
        return DoorFault("short", "the connection ended before all bytes had come")
    if isinstance(problem, aiohttp.ClientError | boto.HTTPClientError | boto.ConnectionError | OSError):
        return DoorFault("broken", "the connection failed or was cut")
    return DoorFault("confused", f"the request can't be made ({type(problem).__name__})")
