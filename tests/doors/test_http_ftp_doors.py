"""Web servers, FTP servers and directories as doors: what they give, and what they say when they can't."""

from __future__ import annotations

import os
import random
import socket
import struct
import subprocess
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgp.errors import UsageError
from kgp.io.doors import DoorFault, OpenDoor
from kgp.io.doors.files import FileDoor
from kgp.io.doors.ftp import FtpDoor
from kgp.io.doors.http import HttpDoor
from kgp.io.doors.index_page import read_index_page
from kgp.io.doors.walk import check_path, check_prefix
from kgp.io.storage import open_binary
from kgp.sources import Door, Entry
from servers.ftp import serve_ftp
from servers.http import serve_http

KINDS = ("apache", "nginx", "weak etags", "no etags", "mlsd", "list", "file")
SIZES = {
    "plain.bin": 70_001,
    "a b.bin": 1_000,
    "a+b.bin": 1,
    "a#b.bin": 17,
    "%41.bin": 300,
    "semi;what?.bin": 2_048,
    "quote\"'&amp;<x>.bin": 99,
    " lead and trail ": 5,
    "colon:name": 6,
    "~tilde": 7,
    "[a]*": 8,
    "-la": 9,
    "ünïcode/naïve – 中.bin": 400_000,
    "deep/er/est/file.bin": 1_500_000,
    "deep/er/est/" + "long" * 30: 3,
    "deep/er/second": 4,
    "deep/.hidden": 12,
    "deeper/not below deep": 13,
    "with blank/in name": 14,
    "empty.bin": 0,
}


def make_tree(directory: Path, sizes: dict[str, int] = SIZES) -> Path:
    """Files of random bytes, each with a time of its own."""
    source = random.Random(5)
    for at, (name, size) in enumerate(sizes.items()):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.randbytes(size))
        os.utime(path, (1_367_503_205 + 86_400 * at, 1_367_503_205.75 + 86_400 * at))
    (directory / "nothing" / "in here").mkdir(parents=True, exist_ok=True)
    return directory


def iso(path: Path) -> str:
    return datetime.fromtimestamp(int(path.stat().st_mtime), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def door_at(url: str, *, timeout: float = 10, moved: tuple[tuple[str, str], ...] = ()) -> OpenDoor:
    """The right door for an address."""
    scheme = urlsplit(url).scheme or "file"
    door = Door("test", {"http": "https"}.get(scheme, scheme), url, "test", "a test", moved=moved)
    if scheme == "file":
        return FileDoor(door)
    return HttpDoor(door, timeout=timeout) if scheme == "http" else FtpDoor(door, timeout=timeout)


@contextmanager
def opened(kind: str, directory: Path, **options):
    """A door of a kind onto a directory, and the server behind it."""
    with ExitStack() as stack:
        if kind in ("apache", "nginx"):
            server = stack.enter_context(serve_http(directory, pages=kind))
        elif kind in ("weak etags", "no etags"):
            etags = "weak" if kind == "weak etags" else None
            server = stack.enter_context(serve_http(directory, etags=etags))
        elif kind in ("mlsd", "list"):
            server = stack.enter_context(serve_ftp(directory, with_mlsd=kind == "mlsd"))
        else:
            server = None
        door = door_at(str(directory) if server is None else server.url, **options)
        yield stack.enter_context(closing(door)), server


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    return make_tree(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module", params=KINDS)
def door(request, tree):
    with opened(request.param, tree) as (door, _):
        yield door


@pytest.fixture(params=KINDS)
def own(request, tmp_path):
    """A door of each kind onto a directory of this test alone, the directory, and the server."""
    with opened(request.param, tmp_path) as (door, server):
        yield door, tmp_path, server


def outcome(call, *arguments, **options):
    """What a call gives; all of it, where it gives it bit by bit."""
    result = call(*arguments, **options)
    return list(result) if isinstance(result, Iterator) else result


def fault_of(call, *arguments, **options) -> DoorFault:
    with pytest.raises(DoorFault) as caught:
        outcome(call, *arguments, **options)
    assert not caught.value.text.endswith(".")
    return caught.value


# --------------------------------------------------------------------------------------- what all doors have in common


def files_below(directory: Path, prefix: str) -> dict[str, int]:
    found = {}
    for parent, _, names in os.walk(directory / prefix):
        for name in names:
            path = Path(parent, name)
            found[str(path.relative_to(directory))] = path.stat().st_size
    return found


@pytest.mark.parametrize("prefix", ["", "deep/", "deep/er/est/", "ünïcode/", "with blank/"])
def test_a_listing_has_all_files_below_a_prefix_and_no_others(door, tree, prefix):
    entries = list(door.list(prefix))
    assert sorted(entry.path for entry in entries) == sorted(files_below(tree, prefix))
    assert {entry.path: entry.size for entry in entries} == files_below(tree, prefix)


def test_directories_that_nobody_wants_are_not_entered(door, tree):
    asked = []

    def enter(directory: str) -> bool:
        asked.append(directory)
        return directory != "deep/er/"

    listed = [entry.path for entry in door.list("", enter=enter)]
    assert sorted(listed) == sorted(path for path in SIZES if not path.startswith("deep/er/"))
    assert sorted(asked) == sorted(
        ["deep/", "deep/er/", "deeper/", "nothing/", "nothing/in here/", "with blank/", "ünïcode/"]
    )
    # What is left out is there, so the prefix is not absent.
    assert list(door.list("deep/er/", enter=lambda directory: False)) == [door_entry(door, "deep/er/second")]
    assert list(door.list("nothing/", enter=lambda directory: False)) == []


def door_entry(door: OpenDoor, path: str) -> Entry:
    """The entry of one file, as the listing of its directory has it."""
    return next(entry for entry in door.list(path.rpartition("/")[0] + "/") if entry.path == path)


def test_an_entry_says_what_the_file_system_says(door, tree):
    for path in SIZES:
        entry = door.stat(path)
        assert (entry.path, entry.size) == (path, SIZES[path])
        assert entry.modified == iso(tree / path)


def test_listing_and_asking_agree(door):
    for entry in door.list(""):
        stated = door.stat(entry.path)
        assert entry in (stated, Entry(stated.path, stated.size))  # LIST knows no times


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_range_has_the_bytes_of_the_file(door, tree, data):
    path = data.draw(st.sampled_from(list(SIZES)))
    size = SIZES[path]
    ends = st.sampled_from([0, size // 2, size]) | st.integers(0, size)
    start, end = sorted((data.draw(ends), data.draw(ends)))
    version = door.stat(path) if data.draw(st.booleans()) else None
    assert door.read_range(path, start, end, version=version) == (tree / path).read_bytes()[start:end]


def test_the_first_and_the_last_bytes_and_all_of_them(door, tree):
    content = (tree / "plain.bin").read_bytes()
    version = door.stat("plain.bin")
    for start, end in ((0, 1), (70_000, 70_001), (0, 70_001), (69_000, 70_001), (5, 5)):
        assert door.read_range("plain.bin", start, end, version=version) == content[start:end]


def test_what_is_not_there_is_absent(door):
    for path in ("missing.bin", "deep/missing.bin", "plain.bin/below", "no/such/directory/file"):
        assert door.stat(path) is None
        assert fault_of(door.read_range, path, 0, 10).kind == "absent"
    for prefix in ("missing/", "deep/er/missing/", "plain.bin/", "nothing/"):
        assert fault_of(door.list, prefix).kind == "absent"


def test_a_directory_is_no_file(door):
    for path in ("deep", "deep/", "deep/er/est", ""):
        assert door.stat(path) is None
    for path in ("deep", "deep/er/est", "deep/"):
        assert fault_of(door.read_range, path, 0, 1).kind == "absent"


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "a/..", "/etc/passwd", "a//b", "./a", "a\nb", "a\0", "a\x7f", "\ud800"]
)
def test_paths_that_lead_elsewhere_are_refused(door, path):
    for call in (
        door.stat,
        door.url,
        lambda path: door.read_range(path, 0, 1),
        lambda path: door.list(path + "/"),
    ):
        with pytest.raises(ValueError, match="no path below the root"):
            call(path)


def test_ranges_and_prefixes_have_to_make_sense(door):
    for start, end in ((-1, 1), (3, 2)):
        with pytest.raises(ValueError, match="no range of bytes"):
            door.read_range("plain.bin", start, end)
    with pytest.raises(ValueError, match="a slash at its end"):
        door.list("deep")


def test_a_range_beyond_the_end_is_short(door):
    for version in (None, door.stat("plain.bin")):
        for start in (0, 70_000, 70_001, 80_000):
            assert fault_of(door.read_range, "plain.bin", start, 90_000, version=version).kind in (
                ("short",) if version is None else ("short", "changed")
            )
    assert fault_of(door.read_range, "empty.bin", 0, 1).kind == "short"


def test_many_threads_get_their_own_bytes(door, tree):
    content = (tree / "deep/er/est/file.bin").read_bytes()
    version = door.stat("deep/er/est/file.bin")
    cuts = list(range(0, len(content), 50_000))

    def read(start: int) -> bytes:
        return door.read_range(
            "deep/er/est/file.bin", start, min(start + 50_000, len(content)), version=version
        )

    with ThreadPoolExecutor(12) as pool:
        assert b"".join(pool.map(read, cuts)) == content


def replace_file(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(bytes(100 - byte % 2 for byte in path.read_bytes()))
    os.utime(other, (path.stat().st_atime, path.stat().st_mtime + 60))
    other.replace(path)


def append_to_file(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


@pytest.mark.parametrize(
    "change",
    [replace_file, append_to_file, lambda path: os.truncate(path, 30), lambda path: os.truncate(path, 0)],
)
def test_a_file_that_changes_between_two_ranges_is_noticed(own, change):
    door, directory, _ = own
    make_tree(directory, {"a.bin": 1000})
    version = door.stat("a.bin")
    door.read_range("a.bin", 0, 500, version=version)
    change(directory / "a.bin")
    assert fault_of(door.read_range, "a.bin", 500, 1000, version=version).kind == "changed"
    version = door.stat("a.bin")
    assert door.read_range("a.bin", 0, version.size, version=version) == (directory / "a.bin").read_bytes()


def test_a_file_that_goes_away_between_two_ranges_is_absent(own):
    door, directory, _ = own
    make_tree(directory, {"a.bin": 1000})
    version = door.stat("a.bin")
    (directory / "a.bin").unlink()
    assert fault_of(door.read_range, "a.bin", 500, 1000, version=version).kind == "absent"


def test_a_server_that_is_killed_is_broken(own):
    door, directory, server = own
    if server is None:
        directory = directory / "sub"
        make_tree(directory, {"a.bin": 1000})
        door = door_at(str(directory))
        (directory / "a.bin").rename(directory.parent / "a.bin")  # the disk is unplugged
        expected = "absent"
    else:
        make_tree(directory, {"a.bin": 1000})
        assert door.read_range("a.bin", 0, 500) == (directory / "a.bin").read_bytes()[:500]
        server.stop()
        expected = "broken"
    assert fault_of(door.read_range, "a.bin", 500, 1000).kind == expected
    if server is not None:
        assert fault_of(door.stat, "a.bin").kind == expected
        assert fault_of(door.list, "").kind == expected


def test_directories_that_a_door_keeps_elsewhere_are_found_there(tree):
    moved = (("collections/phase9/", "deep/"), ("collections/phase9/est/", "deep/er/est/"))
    for kind in KINDS:
        with opened(kind, tree, moved=moved) as (door, _):
            listed = {entry.path for entry in door.list("collections/phase9/")}
            assert listed == {
                "collections/phase9/.hidden",
                "collections/phase9/er/second",
                "collections/phase9/est/file.bin",
                "collections/phase9/est/" + "long" * 30,
            }
            assert door.stat("collections/phase9/er/second").path == "collections/phase9/er/second"
            expected = (tree / "deep/er/est/file.bin").read_bytes()[7:77]
            assert door.read_range("collections/phase9/est/file.bin", 7, 77) == expected
            assert "deep/er/est/file.bin" in {unquote(door.url("collections/phase9/est/file.bin"))[-20:]}


def test_an_address_is_what_kgp_opens(door, tree):
    for path in ("plain.bin", "deep/er/second") if isinstance(door, FtpDoor) else [*SIZES]:
        if path == "empty.bin":  # fsspec asks for its first byte
            continue
        with open_binary(door.url(path)) as file:
            assert file.read() == (tree / path).read_bytes()


def test_addresses_are_escaped():
    door = door_at("http://host/vol1")
    assert door.url("a b+c#d%41?/ü.gz") == "http://host/vol1/a%20b%2Bc%23d%2541%3F/%C3%BC.gz"
    door = door_at("ftp://host/vol1")
    assert door.url("a b+c#d%41?/ü.gz") == "ftp://host/vol1/a%20b%2Bc%23d%2541%3F/%C3%BC.gz"


@pytest.mark.parametrize("scheme", ["http", "ftp"])
@pytest.mark.parametrize("rest", ["me:hush@host/x", "hush@host/x", "host/x?sig=hush", ""])
def test_a_root_with_a_credential_is_refused_and_not_shown(scheme, rest):
    with pytest.raises(UsageError, match="not the address") as caught:
        door_at(f"{scheme}://{rest}")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("kind", ["apache", "mlsd"])
def test_connections_are_used_again(tree, kind):
    with opened(kind, tree) as (door, server):
        assert len(list(door.list(""))) == len(SIZES)
        assert server.n_connections <= door.most_connections
        version = door.stat("deep/er/est/file.bin")
        for start in range(0, 1_000_000, 100_000):
            door.read_range("deep/er/est/file.bin", start, start + 1000, version=version)
        assert server.n_connections <= door.most_connections


@pytest.mark.parametrize("kind", ["apache", "mlsd"])
def test_a_listing_that_nobody_reads_to_its_end_leaves_no_threads(tree, kind):
    def listing_threads() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name.startswith("kgp-listing")}

    with opened(kind, tree) as (door, _):
        entries = door.list("")
        next(entries)
        threads = listing_threads()
        entries.close()
        for thread in threads:
            thread.join(5)
        assert not listing_threads()


# --------------------------------------------------------------------------------------------------------------- HTTP


@contextmanager
def web(directory: Path, *, timeout: float = 10, **behaviour):
    with serve_http(directory, **behaviour) as server, closing(door_at(server.url, timeout=timeout)) as door:
        yield door, server


def replies(status: int, headers: dict[str, str] | None = None, body: bytes = b""):
    """An answer to every request."""

    def answer(handler) -> bool:
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            if value is not None:
                handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)
        handler.close_connection = (headers or {}).get("Connection") == "close"
        return True

    return answer


def test_a_listing_never_goes_above_its_prefix(tree):
    with web(tree) as (door, server):
        list(door.list("deep/er/"))
        assert {request.path for request in server.requests} == {
            "deep/er/",
            "deep/er/second",
            "deep/er/est/",
            "deep/er/est/file.bin",
            "deep/er/est/" + "long" * 30,
        }
        assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "confused"),
        (401, "denied"),
        (403, "denied"),
        (404, "absent"),
        (408, "timeout"),
        (410, "absent"),
        (418, "confused"),
        (429, "throttled"),
        (500, "broken"),
        (502, "broken"),
        (503, "throttled"),
        (504, "broken"),
        (204, "confused"),
        (304, "confused"),
    ],
)
def test_a_status_says_what_is_wrong(tmp_path, status, kind):
    with web(tmp_path, answer=replies(status)) as (door, _):
        fault = fault_of(door.read_range, "a.bin", 0, 5)
        assert (fault.kind, fault.retry_after) == (kind, None)
        assert fault_of(door.list, "deep/").kind == kind
        if kind == "absent":
            assert door.stat("a.bin") is None
        else:
            assert fault_of(door.stat, "a.bin").kind == kind


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0"}, 0),
        (
            {
                "Retry-After": formatdate(1_367_503_220, usegmt=True),
                "Date": formatdate(1_367_503_200, usegmt=True),
            },
            20,
        ),
        ({"Retry-After": formatdate(1_367_503_000, usegmt=True)}, 0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({}, None),
    ],
)
def test_a_throttled_door_says_how_long_to_wait(tmp_path, status, headers, seconds):
    def answer(handler) -> bool:
        if "Date" in headers:
            handler.date_time_string = lambda timestamp=None: headers["Date"]
        return replies(status, {k: v for k, v in headers.items() if k != "Date"})(handler)

    with web(tmp_path, answer=answer) as (door, _):
        fault = fault_of(door.read_range, "a.bin", 0, 5)
        assert (fault.kind, fault.retry_after) == ("throttled", seconds)


def test_a_date_to_come_back_at_is_counted_from_now(tmp_path):
    def answer(handler) -> bool:
        return replies(503, {"Retry-After": formatdate(time.time() + 30, usegmt=True)})(handler)

    with web(tmp_path, answer=answer) as (door, _):
        assert fault_of(door.stat, "a.bin").retry_after == pytest.approx(30, abs=2)


def test_a_server_without_ranges_gives_whole_files_only(tree):
    with web(tree, has_ranges=False) as (door, _):
        content = (tree / "plain.bin").read_bytes()
        for version in (None, door.stat("plain.bin")):
            assert door.read_range("plain.bin", 0, len(content), version=version) == content
            for start, end in ((0, 5), (5, len(content)), (5, 6)):
                fault = fault_of(door.read_range, "plain.bin", start, end, version=version)
                assert fault.kind == "confused"
                assert "no parts" in fault.text


@pytest.mark.parametrize(
    ("stated", "kind"),
    [
        ("bytes 11-19/1000", "confused"),
        ("bytes 10-18/1000", "confused"),
        ("bytes 10-20/1000", "confused"),
        ("bytes 10-19/*", "confused"),
        ("bytes 10-19", "confused"),
        ("items 10-19/1000", "confused"),
        ("bytes 10-19/999", "changed"),
        ("bytes 10-19/1001", "changed"),
    ],
)
def test_a_part_has_to_be_the_one_that_was_asked_for(tmp_path, stated, kind):
    make_tree(tmp_path, {"a.bin": 1000})
    with web(tmp_path) as (door, server):
        version = door.stat("a.bin")
        server.headers = {"a.bin": {"Content-Range": stated}}
        assert fault_of(door.read_range, "a.bin", 10, 20, version=version).kind == kind


def test_a_server_that_heeds_no_conditions_is_found_out_by_its_etag(tmp_path):
    part = {"Content-Range": "bytes 0-4/1000", "ETag": '"second"'}
    with web(tmp_path, answer=replies(206, part, b"12345")) as (door, _):
        assert door.read_range("a.bin", 0, 5, version=Entry("a.bin", 1000, etag="second")) == b"12345"
        fault = fault_of(door.read_range, "a.bin", 0, 5, version=Entry("a.bin", 1000, etag="first"))
        assert fault.kind == "changed"
        version = Entry("a.bin", 1000, modified="2013-05-02T14:00:05Z")
        assert fault_of(door.read_range, "a.bin", 0, 5, version=version).kind == "confused"


def test_the_etag_goes_before_the_time(tmp_path):
    part = {"Content-Range": "bytes 0-4/1000", "Last-Modified": "Thu, 02 May 2013 14:00:05 GMT"}
    with web(tmp_path, answer=replies(206, part, b"12345")) as (door, server):
        same = Entry("a.bin", 1000, etag="first", modified="2013-05-02T14:00:05Z")
        assert door.read_range("a.bin", 0, 5, version=same) == b"12345"
        other = Entry("a.bin", 1000, etag="first", modified="2013-05-02T14:00:06Z")
        assert fault_of(door.read_range, "a.bin", 0, 5, version=other).kind == "changed"
        server.answer = replies(206, part | {"ETag": '"first"'}, b"12345")
        assert door.read_range("a.bin", 0, 5, version=other) == b"12345"


def test_a_version_is_asked_for_by_its_etag(tmp_path):
    make_tree(tmp_path, {"a.bin": 1000})
    asked = []

    def answer(handler) -> bool:
        asked.append((handler.command, handler.headers["If-Match"], handler.headers["Range"]))
        return False

    with web(tmp_path, answer=answer) as (door, _):
        version = door.stat("a.bin")
        door.read_range("a.bin", 3, 9, version=version)
        door.read_range("a.bin", 3, 9)
    assert asked == [
        ("HEAD", None, None),
        ("GET", f'"{version.etag}"', "bytes=3-8"),
        ("GET", None, "bytes=3-8"),
    ]


@pytest.mark.parametrize("status", [403, 405, 501])
def test_a_server_that_refuses_head_is_asked_for_a_byte(tree, status):
    with web(tree, head_status=status) as (door, server):
        assert {e.path: (e.size, e.modified) for e in door.list("")} == {
            path: (size, iso(tree / path)) for path, size in SIZES.items()
        }
        asked = {(r.path, r.range) for r in server.requests if r.method == "GET" and r.path in SIZES}
        assert asked == {(path, "bytes=0-0") for path in SIZES} | {("empty.bin", None)}
        assert door.stat("missing") is None
        assert door.stat("deep") is None
        server.has_ranges = False
        assert door.stat("plain.bin").size == 70_001


def test_a_head_without_a_length_is_followed_by_a_request_for_a_byte(tree):
    def answer(handler) -> bool:
        return handler.command == "HEAD" and replies(200, {"Content-Length": None})(handler)

    with web(tree, answer=answer) as (door, _):
        assert door.stat("plain.bin").size == 70_001
        assert door.stat("empty.bin").size == 0


def test_what_may_not_be_read_is_still_listed(tmp_path):
    make_tree(tmp_path, {"open.bin": 10, "secret.bin": 20})

    def answer(handler) -> bool:
        return "secret" in handler.path and replies(403)(handler)

    with web(tmp_path, answer=answer) as (door, _):
        assert {entry.path: entry.size for entry in door.list("")} == {"open.bin": 10, "secret.bin": None}


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-MD5": "XUFAKrxLKna5cZ2REBfFkg=="},
        {"x-goog-hash": "crc32c=n03x6A==,md5=XUFAKrxLKna5cZ2REBfFkg=="},
        {"x-goog-hash": "md5=XUFAKrxLKna5cZ2REBfFkg==, crc32c=n03x6A=="},
    ],
)
def test_a_stated_md5_is_taken(tmp_path, headers):
    (tmp_path / "a.txt").write_text("hello")
    with web(tmp_path, headers={"a.txt": headers}) as (door, server):
        assert door.stat("a.txt").md5 == "5d41402abc4b2a76b9719d911017c592"  # md5sum's answer for "hello"
        server.headers = {"a.txt": {"Content-MD5": "nonsense"}}
        assert door.stat("a.txt").md5 is None


@pytest.mark.parametrize("encoding", ["x-gzip", "gzip", "br"])
def test_bytes_are_taken_as_they_are_stored(tree, encoding):
    """Many servers say of each .gz file that it is encoded; its bytes are the ones that are wanted."""
    with web(tree, headers={"plain.bin": {"Content-Encoding": encoding}}) as (door, server):
        content = (tree / "plain.bin").read_bytes()
        version = door.stat("plain.bin")
        assert version.size == len(content)
        assert door.read_range("plain.bin", 0, len(content), version=version) == content
        server.has_ranges = False
        assert door.read_range("plain.bin", 0, len(content), version=version) == content


def part_then(action, *, n_sent: int = 100):
    """Promises bytes 0 to 999 of 1,000, sends some, and then does something else."""

    def answer(handler) -> bool:
        handler.send_response(206)
        handler.send_header("Content-Range", "bytes 0-999/1000")
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(bytes(n_sent))
        action(handler)
        handler.close_connection = True
        return True

    return answer


def reset(handler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def test_a_body_that_ends_early_is_short(tmp_path):
    with web(tmp_path, answer=part_then(lambda handler: None)) as (door, _):
        assert fault_of(door.read_range, "a.bin", 0, 1000).kind == "short"


def test_a_body_of_another_length_than_the_part_is_short(tmp_path):
    part = {"Content-Range": "bytes 0-9/1000", "Content-Length": None, "Connection": "close"}
    for body in (bytes(9), bytes(11), bytes(100_000)):
        with web(tmp_path, answer=replies(206, part, body)) as (door, _):
            assert fault_of(door.read_range, "a.bin", 0, 10).kind == "short"


def test_a_reset_in_the_middle_is_broken(tmp_path):
    with web(tmp_path, answer=part_then(reset)) as (door, _):
        assert fault_of(door.read_range, "a.bin", 0, 1000).kind == "broken"


def test_a_damaged_chunk_is_broken(tmp_path):
    part = {"Content-Range": "bytes 0-9/1000", "Content-Length": None, "Transfer-Encoding": "chunked"}
    for body in (b"5\r\n12345\r\nnonsense\r\n", b"5\r\n123"):
        answer = replies(206, part | {"Connection": "close"}, body)
        with web(tmp_path, answer=answer) as (door, _):
            assert fault_of(door.read_range, "a.bin", 0, 10).kind == "broken"
    with web(tmp_path, answer=replies(206, part, b"5\r\n12345\r\n5\r\n67890\r\n0\r\n\r\n")) as (door, _):
        assert door.read_range("a.bin", 0, 10) == b"1234567890"


def test_an_answer_that_is_no_http_is_broken(tmp_path):
    def answer(handler) -> bool:
        handler.wfile.write(b"220 welcome to FTP\r\n")
        handler.close_connection = True
        return True

    with web(tmp_path, answer=answer) as (door, _):
        assert fault_of(door.read_range, "a.bin", 0, 10).kind == "broken"


def wait_for_the_end(handler) -> None:
    handler.server.closing.wait(20)


def drip(handler) -> None:
    while not handler.server.closing.wait(0.05):
        handler.wfile.write(b"x")


def hang(handler) -> bool:
    wait_for_the_end(handler)
    return True


@pytest.mark.parametrize("answer", [hang, part_then(wait_for_the_end), part_then(drip)])
def test_a_server_that_hangs_or_drips_is_left_in_time(tmp_path, answer):
    with web(tmp_path, timeout=0.5, answer=answer) as (door, _):
        began = time.monotonic()
        assert fault_of(door.read_range, "a.bin", 0, 1000).kind == "timeout"
        assert time.monotonic() - began < 1.3


def test_a_page_that_drips_is_left_in_time(tmp_path):
    def answer(handler) -> bool:
        replies(200, {"Content-Type": "text/html", "Content-Length": None, "Connection": "close"})(handler)
        drip(handler)
        return True

    with web(tmp_path, timeout=0.5, answer=answer) as (door, _):
        began = time.monotonic()
        assert fault_of(door.list, "").kind == "timeout"
        assert time.monotonic() - began < 1.3


def test_nobody_there_is_broken():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    for scheme in ("http", "ftp"):
        assert fault_of(door_at(f"{scheme}://127.0.0.1:{port}/x").stat, "a.bin").kind == "broken"


def test_redirects_are_followed_to_other_web_servers(tree):
    with serve_http(tree) as target:
        location = {"Location": f"{target.url}/plain.bin?token=1"}
        with web(tree, answer=replies(302, location)) as (door, _):
            version = door.stat("plain.bin")
            assert version.size == 70_001
            assert (
                door.read_range("plain.bin", 5, 9, version=version) == (tree / "plain.bin").read_bytes()[5:9]
            )


def test_a_listing_that_is_served_elsewhere_is_followed(tree):
    with serve_http(tree) as target:

        def answer(handler) -> bool:
            return replies(301, {"Location": target.url + handler.path})(handler)

        with web(tree, answer=answer) as (door, _):
            assert {entry.path: entry.size for entry in door.list("deep/")} == files_below(tree, "deep/")


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("ftp://127.0.0.1/a.bin", "another kind"),
        ("/a.bin", "more than 5 times"),
        ("http://[x/", "no address"),
    ],
)
def test_redirects_that_lead_nowhere_are_confusing(tmp_path, location, text):
    with web(tmp_path, answer=replies(302, {"Location": location})) as (door, server):
        fault = fault_of(door.read_range, "a.bin", 0, 5)
        assert fault.kind == "confused"
        assert text in fault.text
        assert len(server.requests) <= 6


@pytest.mark.parametrize("answer", [None, hang, reset, replies(500)])
def test_no_secret_is_told(tmp_path, answer):
    """Where a redirect leads to is nobody's business: its query may let people in."""
    with serve_http(tmp_path, answer=answer and (lambda handler: bool(answer(handler)) or True)) as target:
        secret = target.url.replace("http://", "http://me:hush@") + "/x?sig=hush"
        with web(tmp_path, timeout=0.3, answer=replies(302, {"Location": secret})) as (door, _):
            with pytest.raises(DoorFault) as caught:
                door.read_range("a.bin", 0, 5)
            shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caught.value.text
            assert "hush" not in shown


def test_no_credential_is_sent(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hush\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    make_tree(tmp_path, {"a.bin": 1000})
    sent = []

    def answer(handler) -> bool:
        sent.append({name.lower() for name in handler.headers})
        return False

    with serve_http(tmp_path, answer=answer) as target:

        def redirect(handler) -> bool:
            answer(handler)
            url = target.url.replace("http://", "http://me:hush@") + handler.path
            return replies(302, {"Location": url, "Set-Cookie": "id=hush"})(handler)

        with web(tmp_path, answer=redirect) as (door, _):
            door.stat("a.bin")
            door.read_range("a.bin", 0, 5)
    assert len(sent) == 4
    assert not set.union(*sent) & {"authorization", "cookie", "proxy-authorization"}


# ----------------------------------------------------------------------------------------------------- directory pages


def html_page(body: str, **headers: str):
    return replies(200, {"Content-Type": "text/html"} | headers, body.encode())


INDEX = "<html><title>Index of /</title>{}</html>"


@pytest.mark.parametrize(
    "answer",
    [
        html_page("<html><title>Welcome</title><h1>Our data</h1><a href='a.bin'>a</a></html>"),
        html_page(""),
        replies(200, {"Content-Type": "text/plain"}, INDEX.format("<a href='a.bin'>").encode()),
        replies(200, {"Content-Type": "application/json"}, b"[]"),
        replies(200, {}, b"x" * 1000),
    ],
)
def test_a_page_that_lists_no_directory_is_confusing(tmp_path, answer):
    with web(tmp_path, answer=answer) as (door, _):
        assert fault_of(door.list, "").kind == "confused"


def test_a_page_that_is_sent_instead_of_a_missing_one_is_confusing(tree):
    def answer(handler) -> bool:
        return handler.path == "/deep/er/" and replies(302, {"Location": "/"})(handler)

    with web(tree, answer=answer) as (door, _):
        assert fault_of(door.list, "deep/er/").kind == "confused"
        assert fault_of(door.list, "deep/").kind == "confused"


def test_a_directory_that_is_listed_but_not_there_fails_the_listing(tree):
    def answer(handler) -> bool:
        return handler.path == "/deep/er/est/" and replies(404)(handler)

    with web(tree, answer=answer) as (door, _):
        assert fault_of(door.list, "deep/").kind == "changed"  # and not absent: much of it is there
        assert fault_of(door.list, "deep/er/est/").kind == "absent"


@pytest.mark.parametrize("headers", [{"Content-Length": "5000"}, {"Content-Length": None}])
def test_a_page_that_is_cut_off_is_short(tmp_path, headers):
    body = b"<html><title>Index of /</title><a href='a.bin'>a</a>"
    cut = {"Content-Type": "text/html", "Connection": "close"} | headers
    with web(tmp_path, answer=replies(200, cut, body)) as (door, _):
        assert fault_of(door.list, "").kind == "short"


def test_directories_without_end_are_confusing(tmp_path):
    with web(tmp_path, answer=html_page(INDEX.format("<a href='again/'>again</a>"))) as (door, _):
        assert fault_of(door.list, "").kind == "confused"


@pytest.mark.parametrize(
    ("link", "files", "directories"),
    [
        ("a.bin", ["a.bin"], []),
        ("./a.bin", ["a.bin"], []),
        ("/x%20y/z/a.bin", ["a.bin"], []),
        ("/x y/z/a.bin", ["a.bin"], []),
        ("http://host:8080/x%20y/z/a.bin", ["a.bin"], []),
        ("https://host:8080/x%20y/z/a/", [], ["a"]),
        ("//host:8080/x%20y/z/a/", [], ["a"]),
        ("a%2Bb", ["a+b"], []),
        ("a+b", ["a+b"], []),
        ("%2541", ["%41"], []),
        ("&#97;&amp;b", ["a&b"], []),
        ("%C3%BC", ["ü"], []),
        ("ü", ["ü"], []),
        ("..", [], []),
        ("../", [], []),
        ("../a.bin", [], []),
        ("/", [], []),
        ("", [], []),
        (".", [], []),
        ("#top", [], []),
        ("?C=N;O=D", [], []),
        ("?C=M&amp;O=A", [], []),
        ("/x%20y/z/?C=N", [], []),
        ("a.bin?download=1", [], []),
        ("a/b.bin", [], []),
        ("a/b/", [], []),
        ("/x%20y/z", [], []),
        ("/x%20y/zz/a.bin", [], []),
        ("http://host/x%20y/z/a.bin", [], []),
        ("http://other:8080/x%20y/z/a.bin", [], []),
        ("http://host:99999999/x%20y/z/a.bin", [], []),
        ("http://[host/x%20y/z/a.bin", [], []),
        ("ftp://host:8080/x%20y/z/a.bin", [], []),
        ("mailto:help@host", [], []),
        ("javascript:void(0)", [], []),
    ],
)
def test_links_of_a_page(link, files, directories):
    page = f'<h1>Index of /x y/z</h1><a name="top"><a class=x HREF="{link}">shown</a>'
    found = read_index_page(page, "http://host:8080/x%20y/z/")
    assert (list(found[0]), list(found[1])) == (files, directories)


@pytest.mark.parametrize("link", ["%2e%2e%2fpasswd", "a%2fb", "%2e%2e", "a%0ab", "a%00", "%ff", "a%C2%85"])
def test_names_that_no_file_may_have_fail_the_listing(tmp_path, link):
    with web(tmp_path, answer=html_page(INDEX.format(f"<a href='{link}'>x</a>"))) as (door, _):
        fault = fault_of(door.list, "")
        assert fault.kind == "confused"
        assert fault.text.isprintable()


@pytest.mark.parametrize(
    "page",
    [
        "<TITLE>Index of /pub</TITLE><A HREF=one.txt>one<a href=two/>two",
        "<html><head><title>Index of /pub\n<body><h1>Index of /pub<pre><a href='one.txt'>one</a> <a href=\"two/\">",
        "<title>FTP</title><h1>Directory listing for /pub/</h1><ul><li><a href='one.txt'>one<li><a href=two/>two/</ul>",
        "<h1>Index of /pub</h1><!-- <a href=three> --><table><tr><td><a href='one.txt'><td><a href='two/'>",
    ],
)
def test_pages_of_any_form_are_read(page):
    assert read_index_page(page, "https://host/pub/") == (("one.txt",), ("two",))


names = st.text(min_size=1, max_size=20).filter(
    lambda name: (
        "/" not in name and name not in (".", "..") and name.encode("utf-8", "ignore").decode() == name
    )
)


@settings(max_examples=100, deadline=None)
@given(files=st.sets(names), directories=st.sets(names))
def test_every_name_survives_a_page(files, directories):
    links = [quote(name, safe="") for name in files] + [quote(name, safe="") + "/" for name in directories]
    page = "<h1>Index of /</h1>" + "\n".join(f"<a href='{link}'>…</a>" for link in links)
    found = read_index_page(page, "http://host/pub/")
    assert (set(found[0]), set(found[1])) == (files, directories)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="<>/a='\"?&;#%:.[]!- \nhref\0ü") | st.text())
def test_no_page_is_too_odd(text):
    page = "<h1>Index of /</h1>" + text + "<a href='" + text
    with suppress(DoorFault):
        files, directories = read_index_page(page, "http://host/pub/")
        assert all(isinstance(name, str) and name for name in files + directories)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="a./\n~\\ ü", max_size=12))
def test_no_path_that_passes_leads_out_of_its_root(path):
    try:
        check_path(path)
    except ValueError:
        return
    assert os.path.commonpath(["/root", os.path.normpath("/root/" + path)]) == "/root"
    assert not path.startswith("/")
    if path.endswith("/"):
        check_prefix(path)


# ---------------------------------------------------------------------------------------------------------------- FTP


@contextmanager
def ftp(directory: Path, *, timeout: float = 10, **behaviour):
    with serve_ftp(directory, **behaviour) as server, closing(door_at(server.url, timeout=timeout)) as door:
        yield door, server


def test_a_server_that_is_full_asks_to_come_again(tree):
    with ftp(tree, max_connections=1) as (door, server):
        assert door.stat("plain.bin").size == 70_001  # and its connection stays open
        other = door_at(server.url)
        assert fault_of(other.stat, "plain.bin").kind == "throttled"
        assert fault_of(other.list, "").kind == "throttled"
        assert fault_of(other.read_range, "plain.bin", 0, 5).kind == "throttled"
        door.close()
        until = time.monotonic() + 5
        while True:
            try:
                assert other.stat("plain.bin").size == 70_001
                break
            except DoorFault:
                assert time.monotonic() < until
        other.close()


def test_a_door_never_opens_more_connections_than_it_says(tree):
    with ftp(tree, max_connections=FtpDoor.most_connections) as (door, _):
        content = (tree / "deep/er/est/file.bin").read_bytes()
        with ThreadPoolExecutor(16) as pool:
            parts = pool.map(
                lambda at: door.read_range("deep/er/est/file.bin", at, at + 10_000), range(0, 640_000, 10_000)
            )
            assert b"".join(parts) == content[:640_000]


def test_a_connection_that_the_server_has_closed_is_not_used_again(tree):
    with ftp(tree, idle_timeout=0.2) as (door, server):
        assert door.stat("plain.bin").size == 70_001
        time.sleep(0.6)
        assert door.stat("plain.bin").size == 70_001
        assert server.n_connections == 2


def test_a_range_in_the_middle_leaves_the_connection_in_order(tree):
    with ftp(tree) as (door, server):
        content = (tree / "deep/er/est/file.bin").read_bytes()
        for start in (0, 700_000, 3, 1_400_000, 0):
            assert (
                door.read_range("deep/er/est/file.bin", start, start + 1000) == content[start : start + 1000]
            )
            assert door.stat("plain.bin").size == 70_001
        assert server.n_connections == 1


def test_a_refused_transfer_does_not_shift_the_next_one(tmp_path):
    make_tree(tmp_path, {"a.bin": 1000})
    refusing = {"RETR": "550 Permission denied."}  # the server keeps in mind where to begin
    with ftp(tmp_path, replies=refusing) as (door, _):
        assert fault_of(door.read_range, "a.bin", 500, 600).kind == "denied"
        refusing.clear()
        assert door.read_range("a.bin", 0, 100) == (tmp_path / "a.bin").read_bytes()[:100]


def test_a_file_that_changes_during_a_transfer_is_noticed(tmp_path):
    make_tree(tmp_path, {"a.bin": 1000})
    with ftp(tmp_path, on_command=lambda name: name == "RETR" and replace_file(tmp_path / "a.bin")) as (
        door,
        _,
    ):
        version = door.stat("a.bin")
        assert fault_of(door.read_range, "a.bin", 0, 1000, version=version).kind == "changed"


def test_a_file_that_has_changed_is_not_transferred_first(tmp_path):
    make_tree(tmp_path, {"a.bin": 1000})
    with ftp(tmp_path) as (door, server):
        version = door.stat("a.bin")
        replace_file(tmp_path / "a.bin")
        assert fault_of(door.read_range, "a.bin", 0, 1000, version=version).kind == "changed"
        assert "RETR" not in server.commands


def test_a_transfer_that_ends_early_is_short(tmp_path):
    make_tree(tmp_path, {"a.bin": 1000})
    with ftp(tmp_path, cut_at=400) as (door, _):
        version = door.stat("a.bin")
        assert version.size == 1000
        assert fault_of(door.read_range, "a.bin", 0, 1000, version=version).kind == "short"
        assert door.read_range("a.bin", 0, 400, version=version) == (tmp_path / "a.bin").read_bytes()[:400]


def test_a_transfer_that_drips_is_left_in_time(tmp_path):
    make_tree(tmp_path, {"a.bin": 3_000_000})
    with ftp(tmp_path, timeout=0.5, bytes_per_second=20_000) as (door, _):
        began = time.monotonic()
        assert fault_of(door.read_range, "a.bin", 0, 3_000_000).kind == "timeout"
        assert time.monotonic() - began < 3


def test_a_server_that_never_greets_is_left_in_time():
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        for scheme in ("ftp", "http"):
            door = door_at(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/x", timeout=0.3)
            began = time.monotonic()
            assert fault_of(door.stat, "a.bin").kind == "timeout"
            assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("command", "reply", "kind"),
    [
        ("SIZE", "550 Could not get file size.", None),
        ("SIZE", "550 /a.bin: No such file or directory", None),
        ("SIZE", "550 /not allowed/denied.bin: not a regular file", None),
        ("SIZE", "550 Permission denied.", "denied"),
        ("SIZE", "550 a.bin: Access is denied.", "denied"),
        ("SIZE", "421 Timeout.", "throttled"),
        ("SIZE", "450 Server busy, try again later", "throttled"),
        ("SIZE", "451 Local error in processing", "broken"),
        ("SIZE", "500 Unknown command.", "confused"),
        ("SIZE", "502 Command not implemented.", "confused"),
        ("SIZE", "213 many", "confused"),
        ("SIZE", "nonsense", "confused"),
        ("USER", "530 Sorry, the maximum number of clients (50) are already connected", "throttled"),
        ("USER", "421 There are too many connected users, please try later.", "throttled"),
        ("USER", "530 This FTP server does not allow anonymous logins.", "denied"),
        ("PASS", "530 Login incorrect.", "denied"),
        ("TYPE", "504 Not implemented for that parameter.", "confused"),
    ],
)
def test_the_wording_of_a_reply_counts(tmp_path, command, reply, kind):
    make_tree(tmp_path, {"a.bin": 1000})
    with ftp(tmp_path, replies={command: reply}) as (door, _):
        if kind is None:
            assert door.stat("a.bin") is None
        else:
            assert fault_of(door.stat, "a.bin").kind == kind


@pytest.mark.parametrize(
    ("command", "reply", "kind"),
    [
        ("RETR", "550 Failed to open file.", "absent"),
        ("RETR", "550 Permission denied.", "denied"),
        ("RETR", "425 Can't open data connection.", "broken"),
        ("REST", "502 Command not implemented.", "confused"),
        ("PASV", "227 Nowhere.", "confused"),
        ("PASV", "421 Too many connections.", "throttled"),
    ],
)
def test_a_refused_transfer_leaves_no_trace(tmp_path, command, reply, kind):
    make_tree(tmp_path, {"a.bin": 1000})
    with ftp(tmp_path, replies={command: reply}) as (door, _):
        for _ in range(3):
            assert fault_of(door.read_range, "a.bin", 5, 10).kind == kind
            assert door.stat("a.bin").size == 1000


def test_a_server_without_features_or_times_is_asked_for_lists_and_sizes(tree):
    never = {"FEAT": "500 Unknown command.", "MDTM": "500 Unknown command."}
    with ftp(tree, replies=never) as (door, server):
        assert {entry.path: entry.size for entry in door.list("")} == SIZES
        version = door.stat("plain.bin")
        assert version == Entry("plain.bin", 70_001)
        assert door.read_range("plain.bin", 7, 77, version=version) == (tree / "plain.bin").read_bytes()[7:77]
        assert "LIST" in server.commands
        assert "MLSD" not in server.commands


@pytest.mark.parametrize(
    "options", [["-l"], ["-la"], ["-lag"], ["-l", "--time-style=long-iso"], ["-lN", "--time-style=locale"]]
)
def test_what_ls_prints_is_read(tree, options):
    """`ls` itself plays the server that has no MLSD."""

    def listing(directory: Path) -> bytes:
        return subprocess.run(
            ["ls", *options], cwd=directory, env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE, check=True,
        ).stdout.replace(b"\n", b"\r\n")  # fmt: skip

    with ftp(tree, with_mlsd=False, listing=listing) as (door, _):
        found = {entry.path: entry.size for entry in door.list("")}
    hidden = {path: size for path, size in SIZES.items() if "-la" in options[0] or "/." not in path}
    assert found == hidden


def links_and_more(directory: Path) -> None:
    make_tree(directory, {"a.bin": 10, "deep/b.bin": 20})
    (directory / "link.bin").symlink_to("a.bin")
    (directory / "deep" / "up").symlink_to("..")
    (directory / "dangling").symlink_to("nowhere")
    os.mkfifo(directory / "pipe")


def test_links_to_files_are_files_and_links_to_directories_are_not_followed(tmp_path):
    links_and_more(tmp_path)
    expected = {"a.bin": 10, "link.bin": 10, "deep/b.bin": 20}
    with opened("list", tmp_path) as (door, _):
        assert {entry.path: entry.size for entry in door.list("")} == expected
    with opened("file", tmp_path) as (door, _):
        assert {entry.path: entry.size for entry in door.list("")} == expected

    def listing(directory: Path) -> bytes:
        """As ProFTPD and others list links; the facts' names in any case, as RFC 3659 has it."""
        kinds = {True: "dir", False: "file"}
        lines = ["Type=cdir;Modify=20130502140005; .", "Type=pdir; .."]
        for child in sorted(directory.iterdir()):
            if child.is_symlink():
                lines.append(f"Type=OS.unix=slink:{os.readlink(child)};UNIX.mode=0777; {child.name}")
            elif not child.is_fifo():
                facts = f"Type={kinds[child.is_dir()]};Size={child.stat().st_size};Modify=20130502140005.123;"
                lines.append(f"{facts} {child.name}")
        return "".join(line + "\r\n" for line in lines).encode()

    with ftp(tmp_path, listing=listing) as (door, _):
        entries = list(door.list(""))
        assert {entry.path: entry.size for entry in entries} == expected
        assert {e.modified for e in entries if e.path != "link.bin"} == {"2013-05-02T14:00:05Z"}


@pytest.mark.parametrize("with_mlsd", [True, False])
@pytest.mark.parametrize("name", [b"../up", b"a/b", b"a\tb", b"a\x7f", b"\xff", b"a\xc2\x85"])
def test_names_that_no_file_may_have_fail_a_listing_by_ftp(tmp_path, with_mlsd, name):
    facts = b"type=file;size=5; " if with_mlsd else b"-rw-r--r-- 1 ftp ftp 5 May  2  2013 "
    with ftp(tmp_path, with_mlsd=with_mlsd, listing=lambda directory: facts + name + b"\r\n") as (door, _):
        fault = fault_of(door.list, "")
        assert fault.kind == "confused"
        assert fault.text.isprintable()


@pytest.mark.parametrize("with_mlsd", [True, False])
def test_a_listing_by_ftp_that_makes_no_sense_is_confusing(tmp_path, with_mlsd):
    with ftp(tmp_path, with_mlsd=with_mlsd, listing=lambda directory: b"<html>\r\n") as (door, _):
        assert fault_of(door.list, "").kind == "confused"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.binary(max_size=60), max_size=4))
def test_no_listing_by_ftp_is_too_odd(odd_ftp, lines):
    door, given_lines = odd_ftp
    given_lines[:] = [b"\r\n".join(lines)]
    with suppress(DoorFault):
        for entry in door.list(""):
            check_path(entry.path)


@pytest.fixture(scope="module")
def odd_ftp(tmp_path_factory):
    lines = [b""]
    with ftp(tmp_path_factory.mktemp("odd"), with_mlsd=False, listing=lambda directory: lines[0]) as (
        door,
        _,
    ):
        yield door, lines


# ------------------------------------------------------------------------------------------------------ a directory


def test_a_link_that_leads_out_of_the_directory_is_denied(tmp_path):
    (tmp_path / "secret").write_text("hush")
    (tmp_path / "root-2").mkdir()
    (tmp_path / "root-2" / "x").write_text("hush")
    root = make_tree(tmp_path / "root", {"a.bin": 10})
    (root / "out").symlink_to("../secret")
    (root / "next").symlink_to(tmp_path / "root-2")
    door = door_at(root.as_uri())
    for path in ("out", "next/x"):
        assert fault_of(door.stat, path).kind == "denied"
        assert fault_of(door.read_range, path, 0, 1).kind == "denied"
    assert fault_of(door.list, "next/").kind == "denied"
    # It is there, so it is listed; and a directory is not looked into.
    assert {entry.path: entry.size for entry in door.list("")} == {"a.bin": 10, "out": None}


def test_a_root_may_be_a_link_itself(tmp_path):
    make_tree(tmp_path / "real", {"a.bin": 10})
    (tmp_path / "link").symlink_to("real")
    door = door_at(str(tmp_path / "link"))
    assert {entry.path for entry in door.list("")} == {"a.bin"}
    assert door.url("a.bin") == str(tmp_path / "link" / "a.bin")


def test_a_pipe_is_no_file_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    door = door_at(str(tmp_path))
    assert door.stat("pipe") is None
    assert fault_of(door.read_range, "pipe", 0, 1).kind == "absent"
    assert fault_of(door.list, "").kind == "absent"


@pytest.mark.parametrize("name", [b"a\nb", b"a\xff"])
def test_a_directory_with_an_impossible_name_is_confusing(tmp_path, name):
    Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_text("x")
    fault = fault_of(door_at(str(tmp_path)).list, "")
    assert fault.kind == "confused"
    assert fault.text.isprintable()


# -------------------------------------------------------------------------------------------------- the real archive

PANEL = "release/20130502/integrated_call_samples_v3.20130502.ALL.panel"


@pytest.mark.network
@pytest.mark.parametrize(
    "root",
    [
        "https://ftp.1000genomes.ebi.ac.uk/vol1/ftp",
        "ftp://ftp.1000genomes.ebi.ac.uk/vol1/ftp",
        "https://ftp.ncbi.nlm.nih.gov/1000genomes/ftp",
        "ftp://ftp.ncbi.nlm.nih.gov/1000genomes/ftp",
    ],
)
def test_the_real_doors(root):
    kind = HttpDoor if root.startswith("https") else FtpDoor
    with closing(kind(Door("real", "https", root, "1000genomes", "the archive"))) as door:
        entry = door.stat(PANEL)
        assert entry.size == 55_156  # 2,504 people
        assert door.read_range(PANEL, 0, 6, version=entry) == b"sample"
        masks = "release/20130502/supporting/accessible_genome_masks/"
        assert masks + "20141020.strict_mask.whole_genome.bed" in {found.path for found in door.list(masks)}
        assert door.stat("release/20130502") is None


def test_the_real_door_of_files(shared_data):
    root = shared_data / "ftp-tree"
    with closing(door_at(str(root))) as door:
        entries = {entry.path: entry.size for entry in door.list("")}
    assert entries == files_below(root, "")
