"""Containers of Azure and buckets of S3 as doors: what they give, what they say when they can't, what they hide."""

from __future__ import annotations

import gzip
import hashlib
import logging
import os
import random
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote
from xml.etree import ElementTree

import pytest
from azure.storage.blob import ContentSettings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgp.errors import UsageError
from kgp.io.azure import find_account
from kgp.io.azure_files import BlobFileSystem
from kgp.io.doors import PASSING, DoorFault, OpenDoor, azure, s3
from kgp.io.doors.azure import AzureDoor
from kgp.io.doors.blob_list import date_of, fault_of, read_marker, read_page
from kgp.io.doors.s3 import S3Door
from kgp.sources import DOORS, Door, Entry
from servers.azurite import Azurite, key, serve_azurite
from servers.proxy import Fault, FaultyProxy
from servers.s3 import S3Server, serve_s3

KINDS = ("azure", "s3")
SIZES = {
    "release/plain.vcf.gz": 1_500_000,
    "release/a b.bin": 1_000,
    "release/a+b&c=d.bin": 1,
    "release/a#b.bin": 17,
    "release/%41%2F.bin": 300,
    "release/semi;what?.bin": 2_048,
    "release/quote\"'<x>@.bin": 99,
    "release/ünï–中/naïve 🧬.bin": 4_000,
    "release/empty.bin": 0,
    "release/deep/er/est.bin": 7,
    "releases/not below.bin": 6,
    "a+b #%/x.bin": 5,
    "top.bin": 4,
}
FILES = {name: random.Random(name).randbytes(size) for name, size in SIZES.items()}
BIG = "release/plain.vcf.gz"
ARCHIVE = "dataset1000genomes"  # is asked without a credential, whatever the environment holds
OWN = "myown"
OWN_KEY = key()


@dataclass(frozen=True)
class Site:
    """The servers of these tests, each behind a proxy that writes down what it is asked."""

    azurite: Azurite
    s3: S3Server
    azure_proxy: FaultyProxy
    s3_proxy: FaultyProxy

    def proxy(self, kind: str) -> FaultyProxy:
        return self.azure_proxy if kind == "azure" else self.s3_proxy

    def endpoints(self, port: int) -> str:
        """``KGP_AZURE_ENDPOINTS``; the archive's account goes by another name in Azurite."""
        return f"{OWN}=http://127.0.0.1:{port}/{OWN},{ARCHIVE}=http://127.0.0.1:{port}/mirror"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with ExitStack() as stack:
        azurite = stack.enter_context(serve_azurite(accounts={OWN: OWN_KEY, "mirror": key()}))
        azurite.make_container("mirror", "dataset", public=True)
        azurite.upload("mirror", "dataset", FILES)
        azurite.upload("mirror", "dataset", {"unsummed/a.bin": b"abc"}, with_md5=False)
        azurite.make_container("mirror", "closed")
        azurite.upload("mirror", "closed", {"a/secret.bin": b"secret"})
        azurite.make_container(OWN, "lake")
        azurite.upload(OWN, "lake", {f"below/{name}": data for name, data in FILES.items()})
        server = stack.enter_context(serve_s3())
        server.make_bucket("open", FILES)
        server.make_bucket("1000genomes", {"release/a.bin": b"abc"})
        azure_proxy = stack.enter_context(FaultyProxy("127.0.0.1", azurite.port))
        s3_proxy = stack.enter_context(FaultyProxy("127.0.0.1", int(server.endpoint.rpartition(":")[2])))
        yield Site(azurite, server, azure_proxy, s3_proxy)


@pytest.fixture(autouse=True)
def environment(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credential in the environment, and the servers themselves in place of Azure and Amazon."""
    for name in list(os.environ):
        if name.startswith(("AZURE_", "AWS_", "FSSPEC_", "KGP_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KGP_AZURE_ENDPOINTS", site.endpoints(site.azurite.port))
    monkeypatch.setenv("AWS_ENDPOINT_URL", site.s3.endpoint)
    for proxy in (site.azure_proxy, site.s3_proxy):
        proxy.script()
        proxy.requests.clear()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def proxied(site: Site, kind: str, monkeypatch: pytest.MonkeyPatch) -> FaultyProxy:
    """From now on the kind's requests go through its proxy."""
    proxy = site.proxy(kind)
    monkeypatch.setenv("KGP_AZURE_ENDPOINTS", site.endpoints(site.azure_proxy.port))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{site.s3_proxy.port}")
    return proxy


def open_door(kind: str, *, root: str | None = None, timeout: float = 20.0, **more: object) -> OpenDoor:
    """The door with `FILES`, or another of the kind."""
    if kind == "azure":
        door = Door("azure", "azure", root or f"az://dataset@{ARCHIVE}", "any", "Azurite", **more)  # type: ignore[arg-type]
        return AzureDoor(door, timeout=timeout)
    return S3Door(Door("s3", "s3", root or "s3://open", "any", "moto", **more), timeout=timeout)  # type: ignore[arg-type]


def fault_in(question: Callable[..., object], *values: object, **options: object) -> DoorFault:
    """The fault that a question ends with."""
    with pytest.raises(DoorFault) as caught:
        question(*values, **options)
    return caught.value


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class TestFiles:
    """What is there is given, whatever it is called."""

    def test_a_listing_is_what_was_uploaded(self, kind: str) -> None:
        with closing(open_door(kind)) as door:
            listed = {entry.path: entry for entry in door.list("release/")}
        expected = {name: data for name, data in FILES.items() if name.startswith("release/")}
        assert listed.keys() == expected.keys()
        now = datetime.now(UTC)
        for name, data in expected.items():
            entry = listed[name]
            assert (entry.size, entry.md5) == (len(data), md5(data)), name
            assert entry.etag
            assert '"' not in entry.etag
            modified = datetime.strptime(entry.modified or "", "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            assert now - timedelta(minutes=5) < modified <= now + timedelta(seconds=2)

    def test_a_prefix_may_have_any_letters(self, kind: str) -> None:
        with closing(open_door(kind)) as door:
            assert [entry.path for entry in door.list("a+b #%/")] == ["a+b #%/x.bin"]
            assert [entry.path for entry in door.list("release/ünï–中/")] == ["release/ünï–中/naïve 🧬.bin"]

    def test_the_whole_archive_is_the_empty_prefix(self, kind: str) -> None:
        with closing(open_door(kind)) as door:
            assert {entry.path for entry in door.list("")} >= FILES.keys()

    def test_pages_follow_one_another(
        self, kind: str, proxied: FaultyProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(azure if kind == "azure" else s3, "_PAGE", 3)
        with closing(open_door(kind)) as door:
            names = [entry.path for entry in door.list("release/")]
        assert sorted(names) == sorted(name for name in FILES if name.startswith("release/"))
        assert len(proxied.requests) == 4  # 10 files by 3
        sizes = [parse_qs(request.path.partition("?")[2]) for request in proxied.requests]
        assert all(options.get("maxresults", options.get("max-keys")) == ["3"] for options in sizes)

    def test_a_listing_that_is_left_early_leaves_no_trouble(
        self, kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(azure if kind == "azure" else s3, "_PAGE", 2)
        with closing(open_door(kind)) as door:
            listing = door.list("release/")
            next(listing)
            listing.close()  # type: ignore[attr-defined]
            assert door.stat("top.bin") is not None
        assert not caplog.records

    def test_stat_says_what_the_listing_says(self, kind: str) -> None:
        with closing(open_door(kind)) as door:
            for entry in door.list(""):
                assert door.stat(entry.path) == entry

    def test_directories_and_what_is_not_there_are_no_files(self, kind: str) -> None:
        with closing(open_door(kind)) as door:
            for path in ("release", "release/", "", "release/nothing", "RELEASE/plain.vcf.gz"):
                assert door.stat(path) is None
            assert fault_in(lambda: list(door.list("nothing/"))).kind == "absent"
            assert fault_in(door.read_range, "nothing", 0, 1).kind == "absent"

    def test_a_container_that_is_not_there_is_absent(
        self, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", OWN)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", OWN_KEY)
        root = f"az://nosuch@{OWN}" if kind == "azure" else "s3://nosuch"
        with closing(open_door(kind, root=root)) as door:
            assert fault_in(lambda: list(door.list("release/"))).kind == "absent"
            assert door.stat(BIG) is None

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_ranges_are_the_files_bytes(self, kind: str, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(FILES)))
        size = SIZES[name]
        start = data.draw(st.integers(0, size))
        end = data.draw(st.integers(start, size))
        door = shared_door(kind)
        assert door.read_range(name, start, end) == FILES[name][start:end]

    def test_a_range_beyond_the_end_is_short(self, kind: str) -> None:
        with closing(open_door(kind)) as door:
            for start, end in ((0, 8), (6, 8), (7, 8), (7_000, 8_000)):
                fault = fault_in(door.read_range, "release/deep/er/est.bin", start, end)
                assert fault.kind == "short"
            assert fault_in(door.read_range, "release/empty.bin", 0, 1).kind == "short"
            assert door.read_range("release/empty.bin", 0, 0) == b""

    def test_a_range_is_one_request(self, kind: str, proxied: FaultyProxy) -> None:
        with closing(open_door(kind)) as door:
            assert door.read_range(BIG, 5, 1_400_000) == FILES[BIG][5:1_400_000]
        (request,) = proxied.requests
        assert request.headers.get("range", request.headers.get("x-ms-range")) == "bytes=5-1399999"

    def test_what_is_no_path_or_range_is_refused(self, kind: str) -> None:
        with closing(open_door(kind)) as door:
            for path in ("/release", "release/../top.bin", "release//plain.vcf.gz", "a\nb"):
                for question in (door.stat, door.url, lambda path: door.read_range(path, 0, 1)):
                    with pytest.raises(ValueError, match="no path"):
                        question(path)
            with pytest.raises(ValueError, match="slash at its end"):
                list(door.list("release"))
            with pytest.raises(ValueError, match="no range"):
                door.read_range(BIG, 2, 1)

    def test_many_threads_share_a_door(self, kind: str) -> None:
        ranges = [(start, min(start + 50_000, SIZES[BIG])) for start in range(0, SIZES[BIG], 50_000)]
        with closing(open_door(kind)) as door, ThreadPoolExecutor(12) as pool:
            listings = [pool.submit(lambda: len(list(door.list("release/")))) for _ in range(4)]
            parts = list(pool.map(lambda bounds: door.read_range(BIG, *bounds), ranges))
            assert b"".join(parts) == FILES[BIG]
            assert {listing.result() for listing in listings} == {10}

    def test_a_root_may_be_a_directory(self, kind: str) -> None:
        root = f"az://dataset@{ARCHIVE}/release/deep" if kind == "azure" else "s3://open/release/deep"
        with closing(open_door(kind, root=root)) as door:
            (entry,) = door.list("")
            assert entry.path == "er/est.bin"
            assert door.stat("er/est.bin") == entry
            assert door.read_range("er/est.bin", 0, 7) == FILES["release/deep/er/est.bin"]
            assert door.url("er/est.bin") == f"{root}/er/est.bin"

    def test_directories_that_are_kept_elsewhere(self, kind: str) -> None:
        with closing(open_door(kind, moved=(("collections/new/", "release/deep/"),))) as door:
            (entry,) = door.list("collections/new/")
            assert entry.path == "collections/new/er/est.bin"
            assert door.stat(entry.path) == entry
            assert door.read_range(entry.path, 1, 5) == FILES["release/deep/er/est.bin"][1:5]
            assert door.url(entry.path).endswith("/release/deep/er/est.bin")

    def test_marks_of_directories_are_no_files(self, site: Site, kind: str) -> None:
        if kind == "azure":
            site.azurite.make_container("mirror", "marked", public=True)
            with site.azurite.client("mirror").get_container_client("marked") as client:
                client.upload_blob("d/hadoop", b"", metadata={"hdi_isfolder": "true"})
                client.upload_blob("d/abfs", b"", metadata={"Hdi_isfolder": "True"})
                client.upload_blob("d/", b"")
                client.upload_blob(
                    "d/real", b"1", metadata={"note": "hdi_isfolder", "Name": "x", "Etag": "y"}
                )
            door = open_door(kind, root=f"az://marked@{ARCHIVE}")
            marks = ("d/hadoop", "d/abfs")
        else:
            site.s3.make_bucket("marked", {"d/": b"", "d/sub_$folder$": b"", "d/real": b"1"})
            door = open_door(kind, root="s3://marked")
            marks = ("d/sub_$folder$",)
        with closing(door):
            assert [(entry.path, entry.size) for entry in door.list("d/")] == [("d/real", 1)]
            assert door.stat("d/real") is not None
            for mark in marks:
                assert door.stat(mark) is None

    def test_no_md5_where_none_is_stated(self, site: Site) -> None:
        with closing(open_door("azure")) as door:
            (entry,) = door.list("unsummed/")
        # Azure itself computes the MD5 of a blob that comes in one piece; Azurite does too.
        assert entry.md5 in (None, md5(b"abc"))

    def test_an_etag_of_parts_is_no_md5(self, site: Site) -> None:
        client = site.s3.client()
        client.create_bucket(Bucket="parts", ACL="public-read")
        upload = client.create_multipart_upload(Bucket="parts", Key="a/b", ACL="public-read")["UploadId"]
        where = {"Bucket": "parts", "Key": "a/b", "UploadId": upload}
        made = client.upload_part(**where, PartNumber=1, Body=b"x" * 1000)
        client.complete_multipart_upload(
            **where, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": made["ETag"]}]}
        )
        with closing(open_door("s3", root="s3://parts")) as door:
            (entry,) = door.list("a/")
        assert entry.md5 is None
        assert entry.etag is not None
        assert entry.etag.endswith("-1")

    def test_an_etag_is_no_md5_to_those_with_a_credential(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Objects that they can read may be encrypted by KMS, and then it is another sum."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        with closing(open_door("s3")) as door:
            assert [entry.md5 for entry in door.list("a+b #%/")] == [None]

    def test_bytes_come_as_they_are_stored(self, site: Site) -> None:
        """A blob that calls itself compressed, or JSON, is not unpacked or read on the way."""
        data = gzip.compress(b"[1, 2" * 1000)
        with site.azurite.client("mirror").get_container_client("dataset") as client:
            for name, more in (("z/gzip", {"content_encoding": "gzip"}), ("z/json", {})):
                described = ContentSettings(content_type="application/json", **more)
                client.upload_blob(name, data, content_settings=described, overwrite=True)
        with closing(open_door("azure")) as door:
            for name in ("z/gzip", "z/json"):
                assert door.read_range(name, 0, len(data)) == data
                assert (door.stat(name) or Entry("", None)).size == len(data)


_shared: dict[tuple[str, str], OpenDoor] = {}


def shared_door(kind: str) -> OpenDoor:
    """One door for all examples of a property."""
    server = os.environ["KGP_AZURE_ENDPOINTS"] + os.environ["AWS_ENDPOINT_URL"]
    if (kind, server) not in _shared:
        _shared[kind, server] = open_door(kind)
    return _shared[kind, server]


class TestVersions:
    """A file is never read from two versions."""

    def test_a_file_that_changes_between_two_ranges(self, site: Site, kind: str) -> None:
        path, old, new = "v/changes.bin", b"a" * 100, b"b" * 100
        self.put(site, kind, path, old)
        with closing(open_door(kind)) as door:
            (version,) = door.list("v/")
            assert door.read_range(path, 0, 50, version=version) == old[:50]
            time.sleep(0.01)
            self.put(site, kind, path, new)
            assert fault_in(door.read_range, path, 50, 100, version=version).kind == "changed"
            now = door.stat(path)
            assert now is not None
            assert door.read_range(path, 50, 100, version=now) == new[50:]

    def test_a_version_without_an_etag_is_known_by_its_size_and_time(self, kind: str) -> None:
        with closing(open_door(kind)) as door:
            version = door.stat(BIG)
            assert version is not None
            bare = replace(version, etag=None)
            assert door.read_range(BIG, 0, 9, version=bare) == FILES[BIG][:9]
            assert door.read_range(BIG, 0, 9, version=Entry(BIG, None)) == FILES[BIG][:9]
            other_size = replace(bare, size=SIZES[BIG] + 1)
            other_time = replace(bare, modified="2013-05-02T14:00:05Z")
            for other in (other_size, other_time):
                assert fault_in(door.read_range, BIG, 0, 9, version=other).kind == "changed"

    def test_another_etag_in_the_answer_is_another_version(self, kind: str, proxied: FaultyProxy) -> None:
        with closing(open_door(kind)) as door:
            version = door.stat(BIG)
            proxied.script(Fault("etag"))
            assert fault_in(door.read_range, BIG, 0, 9, version=version).kind == "changed"

    @staticmethod
    def put(site: Site, kind: str, path: str, data: bytes) -> None:
        if kind == "azure":
            site.azurite.upload("mirror", "dataset", {path: data})
        else:
            site.s3.client().put_object(Bucket="open", Key=path, Body=data)


class TestFaults:
    """Whatever goes wrong is said once, and soon."""

    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            (401, "denied"),
            (403, "denied"),
            (404, "absent"),
            (412, "changed"),
            (429, "throttled"),
            (500, "broken"),
            (502, "broken"),
            (503, "throttled"),
            (418, "confused"),
        ],
    )
    def test_a_status_is_a_fault_and_nothing_is_tried_twice(
        self, kind: str, proxied: FaultyProxy, status: int, expected: str
    ) -> None:
        with closing(open_door(kind)) as door:
            proxied.script(Fault("status", times=None, status=status, retry_after="7"))
            for question in (lambda: door.read_range(BIG, 0, 9), lambda: list(door.list("release/"))):
                proxied.requests.clear()
                began = time.monotonic()
                fault = fault_in(question)
                assert fault.kind == expected
                assert fault.retry_after == (7 if expected == "throttled" else None)
                assert str(status) in fault.text
                assert len(proxied.requests) == 1
                assert time.monotonic() - began < 2

    def test_a_date_to_come_back(self, kind: str, proxied: FaultyProxy) -> None:
        until = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
        proxied.script(Fault("status", status=503, retry_after=until))
        with closing(open_door(kind)) as door:
            wait = fault_in(door.read_range, BIG, 0, 9).retry_after
        assert wait is not None
        assert 80 < wait <= 90

    @pytest.mark.parametrize(
        ("spoils", "after", "expected"),
        [
            ("reset", 5_000, {"broken", "short"}),
            ("reset", 0, {"broken", "short"}),
            ("truncated", 5_000, {"short"}),
            ("shorter", 5_000, {"short"}),
        ],
    )
    def test_a_body_that_breaks_off(
        self, kind: str, proxied: FaultyProxy, spoils: str, after: int, expected: set[str]
    ) -> None:
        proxied.script(Fault(spoils, after=after, times=None))  # type: ignore[arg-type]
        with closing(open_door(kind)) as door:
            assert fault_in(door.read_range, BIG, 0, 20_000).kind in expected
            assert len(proxied.requests) == 1
            proxied.script()
            assert door.read_range(BIG, 0, 20_000) == FILES[BIG][:20_000]

    @pytest.mark.parametrize("spoils", ["hang", "stall"])
    def test_silence_is_not_borne_for_long(self, kind: str, proxied: FaultyProxy, spoils: str) -> None:
        proxied.script(Fault(spoils, after=100, times=None))  # type: ignore[arg-type]
        with closing(open_door(kind, timeout=0.6)) as door:
            questions = [lambda: door.read_range(BIG, 0, 20_000), lambda: list(door.list("release/"))]
            for question in questions:
                began = time.monotonic()
                assert fault_in(question).kind == "timeout"
                assert time.monotonic() - began < 3
            proxied.script()
        with closing(open_door(kind)) as door:  # a patient one: what is shown is that the silence has ended
            assert door.read_range(BIG, 0, 9) == FILES[BIG][:9]

    def test_bytes_that_come_one_by_one_are_not_borne_either(
        self, kind: str, proxied: FaultyProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(azure if kind == "azure" else s3, "_SLOWEST", 1 << 20)
        proxied.script(Fault("drip", after=100, pause=0.05, times=None))
        with closing(open_door(kind, timeout=0.6)) as door:
            began = time.monotonic()
            assert fault_in(door.read_range, BIG, 0, 20_000).kind == "timeout"
            assert time.monotonic() - began < 3

    def test_a_listing_that_is_cut_or_garbled(self, proxied: FaultyProxy, kind: str) -> None:
        def cut(body: bytes) -> bytes:
            return body[: len(body) // 2]

        def garble(body: bytes) -> bytes:
            return body.replace(b"<", b"<<", 5)

        with closing(open_door(kind)) as door:
            for edit in (cut, garble, lambda body: b"", lambda body: b"<html></html>"):
                proxied.script(Fault("edit", edit=edit))
                assert fault_in(lambda: list(door.list("release/"))).kind in ("short", "confused", "broken")
            proxied.script(Fault("edit", edit=lambda body: body.replace(b"release/plain", b"another/plain")))
            assert fault_in(lambda: list(door.list("release/"))).kind == "confused"

    def test_a_listing_that_does_not_go_on(
        self, kind: str, proxied: FaultyProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(azure if kind == "azure" else s3, "_PAGE", 2)
        first: list[bytes] = []

        def repeat(body: bytes) -> bytes:
            first.append(body)
            return first[0]

        proxied.script(Fault("edit", edit=repeat, times=None))
        with closing(open_door(kind)) as door:
            assert fault_in(lambda: list(door.list("release/"))).kind == "confused"

    def test_a_listing_that_fails_on_its_third_page(
        self, kind: str, proxied: FaultyProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(azure if kind == "azure" else s3, "_PAGE", 2)
        proxied.script(Fault("status", skip=2, status=500))
        taken: list[Entry] = []
        with closing(open_door(kind)) as door:
            assert fault_in(lambda: taken.extend(door.list("release/"))).kind == "broken"

    def test_a_server_that_gives_no_ranges(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        class Whole(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(SIZES[BIG]))
                self.end_headers()
                with suppress(OSError):
                    self.wfile.write(FILES[BIG])

            def log_message(self, *values: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Whole) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            address = f"http://127.0.0.1:{server.server_port}"
            monkeypatch.setenv("KGP_AZURE_ENDPOINTS", f"{ARCHIVE}={address}/mirror")
            monkeypatch.setenv("AWS_ENDPOINT_URL", address)
            with closing(open_door(kind)) as door:
                for end in (9, SIZES[BIG]):
                    assert fault_in(door.read_range, BIG, 0, end).kind == "confused"
            server.shutdown()

    def test_a_server_that_is_gone(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with FaultyProxy("127.0.0.1", 1) as gone:
            port = gone.port
        monkeypatch.setenv("KGP_AZURE_ENDPOINTS", f"{ARCHIVE}=http://127.0.0.1:{port}/mirror")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        with closing(open_door(kind)) as door:
            for question in (
                lambda: door.read_range(BIG, 0, 9),
                lambda: door.stat(BIG),
                lambda: list(door.list("release/")),
            ):
                began = time.monotonic()
                assert fault_in(question).kind == "broken"
                assert time.monotonic() - began < 2

    def test_azurite_is_killed_while_it_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with serve_azurite(accounts={"mirror": key()}) as azurite:
            azurite.make_container("mirror", "dataset", public=True)
            azurite.upload("mirror", "dataset", {"a.bin": bytes(8 << 20)})
            monkeypatch.setenv("KGP_AZURE_ENDPOINTS", azurite.endpoints({ARCHIVE: "mirror"}))
            faults: list[DoorFault] = []

            def read_on() -> None:
                with suppress(DoorFault):
                    while not faults:
                        try:
                            assert door.read_range("a.bin", 0, 8 << 20) == bytes(8 << 20)
                        except DoorFault as fault:
                            faults.append(fault)

            with closing(open_door("azure")) as door:
                readers = [threading.Thread(target=read_on) for _ in range(3)]
                for reader in readers:
                    reader.start()
                time.sleep(0.3)
                azurite.kill()
                for reader in readers:
                    reader.join(timeout=5)
                    assert not reader.is_alive()
        assert {fault.kind for fault in faults} <= {"broken", "short"}
        assert {fault.kind for fault in faults} <= PASSING
        assert faults

    def test_what_is_no_address_of_the_kind(self, kind: str) -> None:
        for root in ("https://example.org/files", "ftp://host/dir", "/data", "gs://bucket"):
            with pytest.raises(UsageError):
                open_door(kind, root=root)


class TestCredentials:
    """Who asks, and what nobody gets to see."""

    OF_ONES_OWN = (
        {"AZURE_STORAGE_ACCOUNT_NAME": OWN, "AZURE_STORAGE_ACCOUNT_KEY": OWN_KEY},
        {"AZURE_STORAGE_ACCOUNT_KEY": OWN_KEY},
        {"AZURE_STORAGE_CONNECTION_STRING": f"AccountName={OWN};AccountKey={OWN_KEY}"},
        {"AZURE_STORAGE_SAS_TOKEN": "sv=2024-11-04&sig=Y2FuYXJ5"},
        {"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client", "AZURE_CLIENT_SECRET": "canary"},
    )

    @pytest.mark.parametrize("environ", OF_ONES_OWN, ids=lambda environ: "+".join(environ)[:40])
    def test_the_archive_is_asked_without_any_credential(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str]
    ) -> None:
        monkeypatch.setenv("KGP_AZURE_ENDPOINTS", site.endpoints(site.azure_proxy.port))
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        with closing(open_door("azure")) as door:
            list(door.list("release/"))
            door.stat(BIG)
            door.read_range(BIG, 0, 9)
        assert len(site.azure_proxy.requests) == 3
        for request in site.azure_proxy.requests:
            assert "authorization" not in request.headers
            assert "sig=" not in request.path

    def test_ones_own_account_is_asked_with_its_key(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KGP_AZURE_ENDPOINTS", site.endpoints(site.azure_proxy.port))
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", OWN)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", OWN_KEY)
        with closing(open_door("azure", root=f"az://lake@{OWN}/below")) as door:
            assert {entry.path: entry.md5 for entry in door.list("")} == {
                name: md5(data) for name, data in FILES.items()
            }
            for name, data in FILES.items():
                assert door.stat(name) is not None
                assert door.read_range(name, 0, len(data)) == data
        assert all(
            request.headers["authorization"].startswith(f"SharedKey {OWN}:")
            for request in site.azure_proxy.requests
        )

    def test_the_archives_buckets_are_asked_without_any_credential(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{site.s3_proxy.port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "canary")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
        for root, is_signed in (("s3://1000genomes", False), ("s3://open", True)):
            site.s3_proxy.requests.clear()
            with closing(open_door("s3", root=root)) as door:
                list(door.list("release/"))
                door.stat("release/a.bin")
            assert len(site.s3_proxy.requests) == 2
            for request in site.s3_proxy.requests:
                assert ("authorization" in request.headers) is is_signed

    def test_what_is_not_public_is_denied(self) -> None:
        with closing(open_door("azure", root=f"az://closed@{ARCHIVE}")) as door:
            assert fault_in(lambda: list(door.list("a/"))).kind == "denied"
            assert fault_in(door.read_range, "a/secret.bin", 0, 6).kind in ("denied", "absent")

    @pytest.mark.parametrize("wrong", [key(), "bm90IGl0", "no key at all"], ids=["another", "short", "none"])
    def test_a_wrong_key_is_denied_and_unseen(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, wrong: str
    ) -> None:
        caplog.set_level(logging.DEBUG)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", OWN)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", wrong)
        with closing(open_door("azure", root=f"az://lake@{OWN}")) as door:
            faults = self.faults_of(door)
            assert {fault.kind for fault in faults} == {"denied"}
            self.assert_unseen(wrong, door, faults, caplog)

    def test_a_signature_that_only_lists(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self.set_signature(monkeypatch, site.azurite.sas(OWN, "lake", permission="l"))
        with closing(open_door("azure", root=f"az://lake@{OWN}/below")) as door:
            assert {entry.path for entry in door.list("")} == FILES.keys()
            assert fault_in(door.read_range, BIG, 0, 9).kind == "denied"
            assert fault_in(door.stat, BIG).kind == "denied"

    def test_a_signature_reads_whatever_the_name(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self.set_signature(monkeypatch, "?" + site.azurite.sas(OWN, "lake"))
        with closing(open_door("azure", root=f"az://lake@{OWN}/below")) as door:
            for name, data in FILES.items():
                assert door.read_range(name, 0, len(data)) == data
            assert [entry.path for entry in door.list("a+b #%/")] == ["a+b #%/x.bin"]

    def test_an_expired_signature_is_denied_and_unseen(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        sas = site.azurite.sas(OWN, "lake", seconds=-60)
        self.set_signature(monkeypatch, sas)
        with closing(open_door("azure", root=f"az://lake@{OWN}")) as door:
            faults = self.faults_of(door)
            assert {fault.kind for fault in faults} == {"denied"}
            self.assert_unseen(parse_qs(sas)["sig"][0], door, faults, caplog)

    @pytest.mark.parametrize("spoils", ["hang", "reset", "truncated", "status"])
    def test_a_signature_is_unseen_whatever_goes_wrong(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, spoils: str
    ) -> None:
        caplog.set_level(logging.DEBUG)
        sas = site.azurite.sas(OWN, "lake")
        monkeypatch.setenv("KGP_AZURE_ENDPOINTS", site.endpoints(site.azure_proxy.port))
        self.set_signature(monkeypatch, sas)
        site.azure_proxy.script(Fault(spoils, match="", times=None))  # type: ignore[arg-type]
        with closing(open_door("azure", root=f"az://lake@{OWN}", timeout=0.5)) as door:
            faults = [
                fault_in(door.read_range, BIG, 0, 9),
                fault_in(lambda: list(door.list("below/"))),
            ]
            self.assert_unseen(parse_qs(sas)["sig"][0], door, faults, caplog)

    def test_no_credential_for_an_account_without_https(self) -> None:
        with pytest.raises(UsageError, match="credential"):
            open_door("azure", root=f"az://lake@{OWN}")

    @staticmethod
    def set_signature(monkeypatch: pytest.MonkeyPatch, sas: str) -> None:
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", OWN)
        monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", sas)

    @staticmethod
    def faults_of(door: OpenDoor) -> list[DoorFault]:
        questions = (
            lambda: door.read_range("below/top.bin", 0, 4),
            lambda: list(door.list("below/")),
            lambda: door.stat("below/top.bin"),
        )
        return [fault_in(question) for question in questions]

    @staticmethod
    def assert_unseen(
        secret: str, door: OpenDoor, faults: list[DoorFault], caplog: pytest.LogCaptureFixture
    ) -> None:
        account = find_account(OWN)
        assert secret in (account.key, unquote(parse_qs(account.sas or "").get("sig", [""])[0]))
        texts = [caplog.text, repr(door), str(door), repr(vars(door)), repr(account), str(account)]
        texts += [repr(record.__dict__) for record in caplog.records]
        for fault in faults:
            assert fault.__cause__ is None
            texts += [str(fault), repr(fault), fault.text, repr(fault.__context__)]
            texts += traceback.format_exception(fault, chain=True)
        for form in {secret, quote(secret, safe=""), quote(secret)}:
            for text in texts:
                assert form not in text


class TestAddresses:
    """One blob has many names."""

    FORMS = (
        f"az://lake@{OWN}/below",
        f"abfss://lake@{OWN}.dfs.core.windows.net/below",
        f"wasbs://lake@{OWN}.blob.core.windows.net/below/",
        f"https://{OWN}.blob.core.windows.net/lake/below",
        "az://lake/below",
    )

    @pytest.mark.parametrize("root", FORMS)
    def test_every_form_of_an_address_opens_the_same_door(
        self, monkeypatch: pytest.MonkeyPatch, root: str
    ) -> None:
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", OWN)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", OWN_KEY)
        with closing(open_door("azure", root=root)) as door:
            name = "release/a b.bin"
            assert door.read_range(name, 0, 1_000) == FILES[name]
            assert door.url(name) == f"az://lake@{OWN}/below/release/a b.bin"
            assert [entry.path for entry in door.list("release/deep/")] == ["release/deep/er/est.bin"]

    @pytest.mark.parametrize("credential", ["key", "signature", "none"])
    def test_files_of_an_account(self, site: Site, monkeypatch: pytest.MonkeyPatch, credential: str) -> None:
        """adlfs' file system, with the credential that was found."""
        name, container = (ARCHIVE, "dataset") if credential == "none" else (OWN, "lake")
        base = f"{container}/below" if name == OWN else container
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", OWN)
        if credential == "key":
            monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", OWN_KEY)
        elif credential == "signature":
            monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", site.azurite.sas(OWN, "lake", permission="racwdl"))
        files = BlobFileSystem(find_account(name), skip_instance_cache=True)
        plain = [name for name in FILES if not set(name) & set("#?%")]
        for path in plain:
            with files.open(f"{base}/{path}", "rb") as file:
                assert file.read() == FILES[path]
        assert f"{base}/release/deep" in files.ls(f"{base}/release", detail=False)
        assert files.info(f"{base}/{BIG}")["size"] == SIZES[BIG]
        if name == ARCHIVE:
            with pytest.raises(Exception, match=r"(?s).*"), files.open(f"{base}/new", "wb") as file:
                file.write(b"x")
            return
        with files.open(f"{base}/made/new file.bin", "wb") as file:
            file.write(b"x" * 1_000_000)
        assert files.info(f"{base}/made/new file.bin")["size"] == 1_000_000
        files.rm(f"{base}/made/new file.bin")
        assert not files.exists(f"{base}/made/new file.bin")


# Letters that XML can hold, as they are or as references.
_NAMES = st.text(
    st.characters(min_codepoint=0x20, exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"),
    min_size=1,
)
_ENTRIES = st.builds(
    Entry,
    path=_NAMES.filter(lambda name: not name.endswith(("/", "_$folder$"))),
    size=st.integers(0, 2**63),
    md5=st.none() | st.binary(min_size=16, max_size=16).map(bytes.hex),
    etag=st.none() | st.from_regex(r"0x[0-9A-F]{8,16}", fullmatch=True),
    modified=st.none()
    | st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(lambda time: f"{time:%Y-%m-%dT%H:%M:%SZ}"),
)
_ELEMENTS = ("Name", "Blob", "Blobs", "Etag", "Metadata", "Properties", "Content-Length", "x")
_METADATA = st.dictionaries(st.sampled_from(_ELEMENTS), _NAMES, max_size=3)


class TestPages:
    """Azure's pages are read as an ordinary reader of XML would read them."""

    @settings(max_examples=150, deadline=None)
    @given(
        blobs=st.lists(st.tuples(_ENTRIES, _METADATA), max_size=6),
        marker=st.none() | _NAMES.filter(str.strip),
        prefix=_NAMES,
    )
    def test_every_blob_of_a_page_is_read(
        self, blobs: list[tuple[Entry, dict[str, str]]], marker: str | None, prefix: str
    ) -> None:
        xml = self.page(blobs, marker, prefix)
        assert read_page(xml) == [entry for entry, _ in blobs]
        assert read_marker(xml) == marker

    @staticmethod
    def page(blobs: list[tuple[Entry, dict[str, str]]], marker: str | None, prefix: str) -> bytes:
        """A page as Azure writes it."""
        root = ElementTree.Element("EnumerationResults", ServiceEndpoint="https://a/", ContainerName="c")
        ElementTree.SubElement(root, "Prefix").text = prefix
        ElementTree.SubElement(root, "MaxResults").text = "5000"
        listed = ElementTree.SubElement(root, "Blobs")
        for entry, metadata in blobs:
            blob = ElementTree.SubElement(listed, "Blob")
            ElementTree.SubElement(blob, "Name").text = entry.path
            properties = ElementTree.SubElement(blob, "Properties")
            stated = {"Content-Length": str(entry.size), "Etag": entry.etag, "BlobType": "BlockBlob"}
            if entry.md5:
                import base64

                stated["Content-MD5"] = base64.b64encode(bytes.fromhex(entry.md5)).decode()
            if entry.modified:
                time = datetime.strptime(entry.modified, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
                stated["Last-Modified"] = format_datetime(time, usegmt=True)
            for name, text in stated.items():
                ElementTree.SubElement(properties, name).text = text
            described = ElementTree.SubElement(blob, "Metadata")
            for name, text in metadata.items():
                ElementTree.SubElement(described, name).text = text
        ElementTree.SubElement(root, "NextMarker").text = marker
        return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)

    def test_names_that_xml_can_not_hold(self) -> None:
        """U+FFFE comes percent-encoded, and says so."""
        xml = (
            b'<EnumerationResults><Blobs><Blob><Name Encoded="true">a%25%EF%BF%BEb</Name><Properties>'
            b"<Content-Length>1</Content-Length></Properties></Blob><Blob><Name>a%25</Name><Properties>"
            b"<Content-Length>2</Content-Length></Properties></Blob></Blobs><NextMarker/></EnumerationResults>"
        )
        assert read_page(xml) == [Entry("a%\ufffeb", 1), Entry("a%25", 2)]
        assert read_marker(xml) is None

    def test_directories_of_an_account_that_has_them(self) -> None:
        xml = (
            b"<EnumerationResults><Blobs><Blob><Name>d</Name><Properties><ResourceType>directory</ResourceType>"
            b"<Content-Length>0</Content-Length></Properties></Blob><Blob><Name>d/f</Name><Properties>"
            b"<ResourceType>file</ResourceType><Content-Length>0</Content-Length></Properties></Blob></Blobs>"
            b"<NextMarker></NextMarker></EnumerationResults>"
        )
        assert [entry.path for entry in read_page(xml)] == ["d/f"]

    @pytest.mark.parametrize(
        "xml",
        [
            b"",
            b"no XML",
            b"<html></html>",
            b"<EnumerationResults></EnumerationResults>",
            b"<EnumerationResults><Blobs><Blob></Blob></Blobs></EnumerationResults>",
            b"<EnumerationResults><Blobs><Blob><Name>a</Name></Blob></Blobs></EnumerationResults>",
            b"<EnumerationResults><Blobs><Blob><Name>a</Name><Properties><Content-Length>x</Content-Length>"
            b"</Properties></Blob></Blobs></EnumerationResults>",
        ],
    )
    def test_what_is_no_page(self, xml: bytes) -> None:
        assert fault_in(lambda: read_page(xml)).kind == "confused"

    @given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))
    def test_dates(self, time: datetime) -> None:
        assert date_of(format_datetime(time, usegmt=True)) == f"{time:%Y-%m-%dT%H:%M:%SZ}"

    @pytest.mark.parametrize("text", [None, "", "yesterday", "Fri, 02 Mai 2013 14:00:05 GMT", "2013-05-02"])
    def test_what_is_no_date(self, text: str | None) -> None:
        assert date_of(text) is None

    @given(status=st.integers(300, 599), code=st.text(max_size=40))
    def test_a_code_is_only_quoted_where_it_is_a_word(self, status: int, code: str) -> None:
        text = fault_of(status, code, {}).text
        is_word = code.isascii() and code.isalpha()
        assert text == f"the server answers with status {status}" + (f" ({code})" if is_word else "")


@pytest.mark.network
@pytest.mark.parametrize("name", ["azure", "azure-secondary", "aws"])
def test_the_real_doors(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The panel of phase 3 has been the same for years."""
    monkeypatch.delenv("KGP_AZURE_ENDPOINTS")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    path = "release/20130502/integrated_call_samples_v3.20130502.ALL.panel"
    door = next(door for door in DOORS if door.name == name)
    with closing(S3Door(door) if door.kind == "s3" else AzureDoor(door)) as opened:
        entry = opened.stat(path)
        assert entry is not None
        assert entry.size == 55_156
        assert entry in list(opened.list("release/20130502/"))
        data = opened.read_range(path, 0, entry.size, version=entry)
        assert data.startswith(b"sample\tpop\tsuper_pop\tgender")
        assert entry.md5 in (None, md5(data))
