"""Every kind of door behind a proxy that spoils what it says: the right bytes come, or a clear error does."""

from __future__ import annotations

import hashlib
import os
import random
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from azure.storage.blob import BlobClient

from kgp.errors import InputError
from kgp.io.azure import locate
from kgp.io.doors import DoorFault, OpenDoor
from kgp.io.doors.opening import open_door
from kgp.io.doors.patience import DoorOrder, Patience, ask
from kgp.io.staging import Staged, TargetFile, open_target, stage
from kgp.io.staging.azure_target import AzureTarget
from kgp.sources import Door, DoorKind, Entry
from servers.azurite import Azurite, key, serve_azurite
from servers.ftp import serve_ftp
from servers.http import serve_http
from servers.proxy import Fault, FaultyFtpProxy, FaultyProxy
from servers.s3 import serve_s3

FILES = {f"release/chr{n}.vcf.gz": random.Random(n).randbytes(100_000 + n) for n in range(1, 8)}
PATH = "release/chr1.vcf.gz"
DATA = FILES[PATH]
SHA256 = hashlib.sha256(DATA).hexdigest()
WANTED = Entry(PATH, len(DATA), md5=hashlib.md5(DATA, usedforsecurity=False).hexdigest())
RANGE = 8 << 10
OWN = "own"
KINDS = ("https", "ftp", "azure", "s3")


@dataclass
class Site:
    """The same files behind two doors of a kind: one straight, one with a proxy before it."""

    kind: DoorKind
    proxy: FaultyProxy | FaultyFtpProxy
    straight: str
    crooked: str

    doors: dict[tuple[str, float], OpenDoor] = field(default_factory=dict)

    def door(self, name: str, *, timeout: float = 20.0) -> OpenDoor:
        """The door ``healthy``, or ``faulty``; it stays open, as it does where many files are staged."""
        if (name, timeout) not in self.doors:
            self.doors[name, timeout] = self._open(name, timeout)
        return self.doors[name, timeout]

    def _open(self, name: str, timeout: float) -> OpenDoor:
        root = self.straight if name == "healthy" else self.crooked
        if self.kind != "s3":
            door = open_door(Door(name, self.kind, root, "1000genomes", ""), timeout=timeout)
        else:
            os.environ["AWS_ENDPOINT_URL"] = root
            door = open_door(Door(name, self.kind, "s3://dataset", "1000genomes", ""))
            assert door.stat("nothing") is None  # boto needs its time to get ready, and to take the address
            vars(door)["_timeout"] = timeout
        door.range_bytes = RANGE
        return door

    def close(self) -> None:
        for door in self.doors.values():
            door.close()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("archive")
    for path, data in FILES.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(data)
    return root


@pytest.fixture(scope="module")
def azurite(tree: Path) -> Iterator[Azurite]:
    """The account ``public`` has the archive in ``dataset``; the account ``own`` has the empty container ``mine``."""
    with serve_azurite(accounts={"public": key(), OWN: key()}) as azurite:
        azurite.make_container("public", "dataset", public=True)
        azurite.upload("public", "dataset", tree)
        azurite.make_container(OWN, "mine")
        yield azurite


@pytest.fixture(scope="module")
def sites(tree: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Site]]:
    """Sites by kind, each made when it is first asked for."""
    made: dict[str, Site] = {}
    with ExitStack() as stack:

        def make(kind: str) -> Site:
            if kind == "https":
                server = stack.enter_context(serve_http(tree))
                proxy = stack.enter_context(FaultyProxy("127.0.0.1", urlsplit(server.url).port))
                return Site("https", proxy, server.url, f"http://127.0.0.1:{proxy.port}")
            if kind == "ftp":
                files = stack.enter_context(serve_ftp(tree))
                ftp_proxy = stack.enter_context(FaultyFtpProxy("127.0.0.1", urlsplit(files.url).port))
                return Site("ftp", ftp_proxy, files.url, f"ftp://127.0.0.1:{ftp_proxy.port}")
            if kind == "s3":
                s3 = stack.enter_context(serve_s3())
                s3.make_bucket("dataset", FILES)
                proxy = stack.enter_context(FaultyProxy("127.0.0.1", urlsplit(s3.endpoint).port))
                return Site("s3", proxy, s3.endpoint, f"http://127.0.0.1:{proxy.port}")
            azurite: Azurite = request.getfixturevalue("azurite")
            proxy = stack.enter_context(FaultyProxy("127.0.0.1", azurite.port))
            return Site("azure", proxy, "az://dataset@straight", "az://dataset@crooked")

        yield lambda kind: made[kind] if kind in made else made.setdefault(kind, make(kind))
        for site in made.values():
            site.close()


@pytest.fixture
def site(
    request: pytest.FixtureRequest, sites: Callable[[str], Site], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    site = sites(request.param)
    if site.kind == "azure":
        public = request.getfixturevalue("azurite").endpoint("public")
        crooked = f"http://127.0.0.1:{site.proxy.port}/public"
        monkeypatch.setenv("KGP_AZURE_ENDPOINTS", f"straight={public},crooked={crooked}")
        monkeypatch.setenv("AZURE_STORAGE_ANON", "true")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "")
    site.proxy.script()
    site.proxy.n_faults = 0
    yield site
    site.proxy.script()


def run(doors: list[OpenDoor], root: Path, *, attempts: int = 3, **options: object) -> Staged:
    patience = Patience(attempts=attempts, sleep=lambda seconds: None)
    options = {"connections": 3, "patience": patience, "order": DoorOrder()} | options
    return stage(WANTED, doors, open_target(str(root)), **options)


def sha256(root: Path) -> str:
    return hashlib.sha256((root / PATH).read_bytes()).hexdigest()


def left(root: Path) -> set[str]:
    return {path.name for path in root.rglob("*") if path.is_file()}


READ = r"^GET .*chr1|^RETR"
HTTP_ONLY = ("https", "azure", "s3")
FAULTS = {
    "reset": (Fault("reset", after=3000, match=READ), KINDS),
    "reset at once": (Fault("reset", match=READ), KINDS),
    "503": (Fault("status", status=503, retry_after="1", match=READ), KINDS),
    "429": (Fault("status", status=429, retry_after="2", match=READ), HTTP_ONLY),
    "500": (Fault("status", status=500, match=READ), HTTP_ONLY),
    "truncated": (Fault("truncated", after=5000, match=READ), KINDS),
    "shorter": (Fault("shorter", after=5000, match=READ), KINDS),
    "empty": (Fault("shorter", after=0, match=READ), KINDS),
    "longer": (Fault("edit", edit=lambda body: body + b"more", match=READ), HTTP_ONLY),
    "flip": (Fault("flip", after=100, match=READ), KINDS),
    "etag": (Fault("etag", skip=1, match=READ), HTTP_ONLY),
    "hang": (Fault("hang", match=READ), KINDS),
    "stall": (Fault("stall", after=3000, match=READ), KINDS),
    "hang at first": (Fault("hang", match=r"^HEAD .*chr1|^SIZE"), KINDS),
}
CASES = [(name, kind) for name, (_, kinds) in FAULTS.items() for kind in kinds]
of_each_door = pytest.mark.parametrize(("fault", "site"), CASES, indirect=["site"])


def script(site: Site, fault: str, times: int | None) -> float:
    """Have the fault happen; the seconds that a door should wait then."""
    site.proxy.script(replace(FAULTS[fault][0], times=times))
    if not fault.startswith(("hang", "stall")):
        return 20.0
    return 0.25 if times is None else 0.5  # what comes at last has to come within that time


@of_each_door
def test_the_right_bytes_come_in_spite_of_faults_that_pass(site: Site, fault: str, tmp_path: Path) -> None:
    times = 1 if fault.startswith(("hang", "stall")) else 2  # each costs the whole timeout
    timeout = script(site, fault, times)
    staged = run([site.door("faulty", timeout=timeout)], tmp_path)
    assert site.proxy.n_faults == times
    assert sha256(tmp_path) == SHA256
    assert staged.is_verified
    assert left(tmp_path) == {"chr1.vcf.gz"}
    assert len(staged.faults) == 1
    assert staged.faults[0].startswith("faulty: ")


@of_each_door
def test_faults_without_end_are_a_clear_error_and_nothing_half_written_is_taken_for_whole(
    site: Site, fault: str, tmp_path: Path
) -> None:
    timeout = script(site, fault, None)
    with pytest.raises(InputError, match=r"No door gave the whole of release/chr1\.vcf\.gz \(faulty: "):
        run([site.door("faulty", timeout=timeout)], tmp_path, attempts=2)
    assert left(tmp_path) <= {".chr1.vcf.gz.kgp-part", ".chr1.vcf.gz.kgp-journal"}


@of_each_door
def test_a_second_door_gives_what_the_first_does_not(site: Site, fault: str, tmp_path: Path) -> None:
    timeout = script(site, fault, None)
    staged = run([site.door("faulty", timeout=timeout), site.door("healthy")], tmp_path, attempts=2)
    assert sha256(tmp_path) == SHA256
    assert staged.door == "healthy"
    assert staged.faults[0].startswith("faulty: ")
    assert left(tmp_path) == {"chr1.vcf.gz"}


@pytest.mark.parametrize("site", KINDS, indirect=True)
def test_a_slow_drip_is_waited_for(site: Site, tmp_path: Path) -> None:
    site.proxy.script(Fault("drip", times=2, after=2000, pause=0.05, match=READ))
    staged = run([site.door("faulty")], tmp_path)
    assert sha256(tmp_path) == SHA256
    assert staged.faults == ()


@pytest.mark.parametrize("site", KINDS, indirect=True)
def test_a_door_that_dies_in_the_middle_is_followed_by_another(site: Site, tmp_path: Path) -> None:
    site.proxy.script(Fault("reset", times=None, skip=5, match=READ))
    faulty, healthy = site.door("faulty"), site.door("healthy")
    staged = run([faulty, healthy], tmp_path, connections=1)
    assert sha256(tmp_path) == SHA256
    assert staged.door == "healthy"
    assert staged.n_bytes_read == len(DATA)  # the MD5 is known: no range is read twice
    assert staged.n_restarts == 0


# ------------------------------------------------------------------------------------------------- listings


def lacks(entries: object) -> str | None:
    found = {entry.path for entry in entries}  # type: ignore[attr-defined]
    missing = sorted(FILES.keys() - found)
    return f"no {missing[0]}" if missing else None


def without_marker(body: bytes) -> bytes:
    return re.sub(rb"<NextMarker>.*?</NextMarker>|<NextMarker ?/>", b"", body)


def with_last_marker(body: bytes) -> bytes:
    body = re.sub(rb"<NextContinuationToken>.*?</NextContinuationToken>", b"", body)
    body = body.replace(b"<IsTruncated>true<", b"<IsTruncated>false<")
    return re.sub(rb"<NextMarker>.*?</NextMarker>", b"<NextMarker />", body)


def half_of_the_rows(body: bytes) -> bytes:
    rows = re.findall(rb"(?m)^.*<a href=\"chr\d.*\n", body)
    return body.replace(b"".join(rows[3:]), b"") if rows else body


def first_lines(body: bytes) -> bytes:
    return b"".join(body.splitlines(keepends=True)[:3])


LIST = r"comp=list|list-type|^GET [^ ]*/$|^MLSD|^LIST"
LISTINGS = {
    "reset": (Fault("reset", after=300, skip=1, match=LIST), ("azure", "s3")),
    "reset in a page": (Fault("reset", after=300, match=LIST), KINDS),
    "503": (Fault("status", retry_after="1", match=LIST), KINDS),
    "truncated": (Fault("truncated", after=500, match=LIST), HTTP_ONLY),
    "shorter": (Fault("shorter", after=500, match=LIST), ("azure",)),
    "hang": (Fault("hang", match=LIST), ("https", "ftp", "azure")),
    "page without a marker": (Fault("edit", edit=without_marker, match=LIST), ("azure",)),
    "page said to be the last": (Fault("edit", edit=with_last_marker, match=LIST), ("azure", "s3")),
    "rows missing": (Fault("edit", edit=half_of_the_rows, match=LIST), ("https",)),
    "lines missing": (Fault("edit", edit=first_lines, match=LIST), ("ftp",)),
}
of_each_listing = pytest.mark.parametrize(
    ("fault", "site"),
    [(name, kind) for name, (_, kinds) in LISTINGS.items() for kind in kinds],
    indirect=["site"],
)


@of_each_listing
def test_a_listing_is_whole_or_it_is_an_error(
    site: Site, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kgp.io.doors.azure._PAGE", 3)
    monkeypatch.setattr("kgp.io.doors.s3._PAGE", 3)
    is_hang = fault == "hang"

    def whole(*doors: OpenDoor) -> tuple[dict[str, int | None], OpenDoor]:
        patience = Patience(attempts=2, sleep=lambda seconds: None)

        def take(door: OpenDoor) -> list[Entry]:
            entries = list(door.list("release/"))
            if (missing := lacks(entries)) is not None:
                raise DoorFault("short", f"lists {missing}")
            return entries

        what = "the listing of release/"
        entries, door = ask(doors, what, take, patience=patience, order=DoorOrder())
        assert len(entries) == len({entry.path for entry in entries})
        return {entry.path: entry.size for entry in entries}, door

    sizes = {path: len(data) for path, data in FILES.items()}
    patient = site.door("faulty", timeout=0.5 if is_hang else 20.0)
    hasty = site.door("faulty", timeout=0.25 if is_hang else 20.0)
    healthy = site.door("healthy")
    site.proxy.script(replace(LISTINGS[fault][0], times=1))
    assert whole(patient) == (sizes, patient)
    assert site.proxy.n_faults == 1
    site.proxy.script(replace(LISTINGS[fault][0], times=None))
    with pytest.raises(InputError, match="No door gave the listing of release/"):
        whole(hasty)
    assert whole(hasty, healthy) == (sizes, healthy)


# --------------------------------------------------------------------------------- to a container, and from one


@pytest.fixture
def own(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """The container ``mine`` of one's own account behind a proxy; the archive is ``az://dataset@straight``."""
    with FaultyProxy("127.0.0.1", azurite.port) as proxy:
        public, mine = azurite.endpoint("public"), f"http://127.0.0.1:{proxy.port}/{OWN}"
        monkeypatch.setenv("KGP_AZURE_ENDPOINTS", f"straight={public},{OWN}={mine}")
        monkeypatch.setenv("AZURE_STORAGE_ANON", "true")
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", OWN)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", azurite.accounts[OWN])
        yield proxy
    with azurite.client(OWN).get_container_client("mine") as container:
        for blob in container.list_blobs(include=["uncommittedblobs"]):
            if blob.size:
                container.delete_blob(blob.name)


def archive(name: str = "azure") -> OpenDoor:
    door = open_door(Door(name, "azure", "az://dataset@straight", "1000genomes", ""))
    door.range_bytes = RANGE
    return door


class Dying:
    """A door that gives some ranges and then no more.

    Args:
        door: that gives them.
        n: how many.
        data: in place of what the door has.
    """

    def __init__(self, door: OpenDoor, n: int, data: bytes | None = None) -> None:
        self._door, self._left, self._data = door, n, data
        self.door, self.range_bytes, self.most_connections = door.door, door.range_bytes, 1

    def __getattr__(self, name: str) -> object:
        return getattr(self._door, name)

    def stat(self, path: str) -> Entry | None:
        entry = self._door.stat(path)
        if self._data is None or entry is None:
            return entry
        return replace(entry, md5=hashlib.md5(self._data).hexdigest(), etag="older")

    def read_range(self, path: str, start: int, end: int, *, version: Entry | None = None) -> bytes:
        if self._left == 0:
            raise DoorFault("denied", "gives no more")
        self._left -= 1
        if self._data is not None:
            return self._data[start:end]
        return self._door.read_range(path, start, end, version=version)


def put(doors: list[OpenDoor], url: str = f"az://mine@{OWN}/lake", wanted: Entry = WANTED) -> Staged:
    patience = Patience(attempts=3, sleep=lambda seconds: None)
    located = locate(url)
    assert located is not None
    target = AzureTarget(*located, patience=patience)
    return stage(wanted, doors, target, connections=3, patience=patience, order=DoorOrder())


def blob(azurite: Azurite, name: str = f"lake/{PATH}") -> BlobClient:
    return azurite.client(OWN).get_blob_client("mine", name)


def blocks_sent(proxy: FaultyProxy) -> int:
    return sum(request.method == "PUT" and "comp=block&" in request.path + "&" for request in proxy.requests)


N_BLOCKS = -(-len(DATA) // RANGE)


def test_a_container_gets_the_file_with_its_md5_and_where_it_came_from(
    azurite: Azurite, own: FaultyProxy
) -> None:
    staged = put([archive()])
    there = blob(azurite)
    assert hashlib.sha256(there.download_blob().readall()).hexdigest() == SHA256
    properties = there.get_blob_properties()
    assert bytes(properties.content_settings.content_md5).hex() == WANTED.md5 == staged.md5
    source = archive().stat(PATH)
    assert source is not None
    assert properties.metadata == {"kgp_door": "azure", "kgp_etag": source.etag}
    assert staged.url == f"az://mine@{OWN}/lake/{PATH}"
    assert (staged.n_bytes_read, staged.n_bytes_resumed, staged.is_verified) == (len(DATA), 0, True)
    assert blocks_sent(own) == N_BLOCKS
    target = open_target(f"az://mine@{OWN}/lake")
    assert target.list("release/") == {PATH: TargetFile(len(DATA), WANTED.md5)}
    assert target.find(PATH) == TargetFile(len(DATA), WANTED.md5)
    assert target.md5_of(PATH) == WANTED.md5
    assert target.list("nothing/") == {}
    assert target.find("nothing") is None


def test_nobody_sees_a_half_done_blob_and_its_blocks_are_not_sent_twice(
    azurite: Azurite, own: FaultyProxy
) -> None:
    with pytest.raises(InputError, match="gives no more"):
        put([Dying(archive(), 5)])  # type: ignore[list-item]
    assert not blob(azurite).exists()
    assert blocks_sent(own) == 5
    staged = put([archive()])
    assert hashlib.sha256(blob(azurite).download_blob().readall()).hexdigest() == SHA256
    assert blocks_sent(own) == N_BLOCKS
    assert staged.n_bytes_resumed == 5 * RANGE
    assert staged.n_bytes_read == len(DATA)  # to know the MD5 of the whole
    assert staged.n_restarts == 0


def test_an_old_blob_stays_as_it_is_until_the_new_one_is_whole(azurite: Azurite, own: FaultyProxy) -> None:
    blob(azurite).upload_blob(b"old")
    with pytest.raises(InputError):
        put([Dying(archive(), 5)])  # type: ignore[list-item]
    assert blob(azurite).download_blob().readall() == b"old"
    put([archive()])
    assert hashlib.sha256(blob(azurite).download_blob().readall()).hexdigest() == SHA256


def test_blocks_of_another_version_never_get_into_a_blob(azurite: Azurite, own: FaultyProxy) -> None:
    older = random.Random(99).randbytes(len(DATA))
    with pytest.raises(InputError):
        put([Dying(archive(), 7, older)], wanted=Entry(PATH, len(DATA)))  # type: ignore[list-item]
    staged = put([archive()])
    assert hashlib.sha256(blob(azurite).download_blob().readall()).hexdigest() == SHA256
    assert (staged.n_bytes_resumed, staged.n_restarts) == (0, 1)


def test_a_second_door_goes_on_with_a_blob(azurite: Azurite, own: FaultyProxy) -> None:
    staged = put([Dying(archive("first"), 5), archive("second")])  # type: ignore[list-item]
    assert hashlib.sha256(blob(azurite).download_blob().readall()).hexdigest() == SHA256
    assert (staged.door, staged.faults) == ("second", ("first: gives no more",))
    assert staged.n_bytes_read == len(DATA)
    assert blocks_sent(own) == N_BLOCKS


def test_runs_at_the_same_time_all_end_well(azurite: Azurite, own: FaultyProxy) -> None:
    with ThreadPoolExecutor(3) as pool:
        doors = [archive() for _ in range(3)]
        doors[1].range_bytes = 3000  # its blocks are others
        for staged in pool.map(lambda door: put([door]), doors):
            assert staged.md5 == WANTED.md5
    assert hashlib.sha256(blob(azurite).download_blob().readall()).hexdigest() == SHA256


@pytest.mark.parametrize(
    "fault",
    [
        Fault("reset", match="^PUT .*comp=block", times=3),
        Fault("status", match="^PUT", times=2),
        Fault("status", match="^PUT .*comp=blocklist", status=500, times=2),
        Fault("reset", match="^PUT .*comp=blocklist", times=1),  # it was committed, and nobody heard of it
        Fault("flip upload", match="^PUT .*comp=block&", after=100, times=2),
        Fault("status", match="^(GET|HEAD)", times=2),
    ],
)
def test_a_storage_account_that_stumbles_is_asked_again(
    azurite: Azurite, own: FaultyProxy, fault: Fault
) -> None:
    own.script(replace(fault))
    put([archive()])
    assert own.n_faults == fault.times
    assert hashlib.sha256(blob(azurite).download_blob().readall()).hexdigest() == SHA256


@pytest.mark.parametrize("status", [503, 403])
def test_a_storage_account_that_never_takes_it_is_a_clear_error(
    azurite: Azurite, own: FaultyProxy, status: int
) -> None:
    own.script(Fault("status", match="^PUT .*comp=block", status=status, times=None))
    with pytest.raises(InputError, match=str(status)):
        put([archive()])
    assert not blob(azurite).exists()


def test_what_stands_in_the_way_in_a_container(azurite: Azurite, own: FaultyProxy) -> None:
    blob(azurite, f"lake/{PATH}/part-0").upload_blob(b"x")
    with pytest.raises(InputError, match="It is a directory"):
        put([archive()])
    blob(azurite, "pond/release").upload_blob(b"x")
    with pytest.raises(InputError, match="where a directory is needed"):
        put([archive()], f"az://mine@{OWN}/pond")
    blob(azurite, "swamp").upload_blob(b"x")
    with pytest.raises(InputError, match=r"az://mine@own/swamp: It is a file"):
        put([archive()], f"az://mine@{OWN}/swamp")
    with pytest.raises(InputError, match=r"az://none@own.*There is no such container"):
        put([archive()], f"az://none@{OWN}/lake")
    with pytest.raises(InputError, match="would not lie below"):
        put([archive()], wanted=Entry("../other", 3))
    assert blocks_sent(own) == 0


def test_what_a_listing_told_is_not_asked_again(azurite: Azurite, own: FaultyProxy) -> None:
    blob(azurite, "lake/release/a/b").upload_blob(b"x")
    blob(azurite, "lake/release/file").upload_blob(b"x")
    target = open_target(f"az://mine@{OWN}/lake")
    target.list("release/")
    target.check("release/new.vcf.gz")
    own.requests.clear()
    for n in range(5):
        target.check(f"release/new{n}.vcf.gz")
        target.check(f"release/a/new{n}.vcf.gz")
    with pytest.raises(InputError, match="It is a directory"):
        target.check("release/a")
    with pytest.raises(InputError, match="It is a file"):
        target.check("release/file/below")
    assert own.requests == []


def test_credentials_are_never_shown(
    azurite: Azurite, own: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = key()
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", canary)
    with pytest.raises(InputError, match="may not be written") as caught:
        put([archive()])
    assert canary not in f"{caught.value!r}{caught.value.__cause__!r}{caught.value.__context__!r}"
    signature = azurite.sas(OWN, "mine", permission="rl")
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", signature)
    with pytest.raises(InputError, match="may not be written") as caught:
        put([archive()])
    shown = f"{caught.value!r}{caught.value.__cause__!r}{caught.value.__context__!r}"
    assert signature not in shown
    assert "sig=" not in shown


def test_a_signature_is_enough_to_write(
    azurite: Azurite, own: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", azurite.sas(OWN, "mine", permission="rlcw"))
    put([archive()])
    assert hashlib.sha256(blob(azurite).download_blob().readall()).hexdigest() == SHA256


def test_an_empty_file_can_be_a_blob(azurite: Azurite, own: FaultyProxy) -> None:
    azurite.upload("public", "dataset", {"release/empty": b""})
    staged = stage(Entry("release/empty", 0), [archive()], open_target(f"az://mine@{OWN}"), allow_empty=True)
    assert staged.size == 0
    assert blob(azurite, "release/empty").get_blob_properties().size == 0


@pytest.mark.parametrize("site", KINDS, indirect=True)
def test_what_a_dying_door_left_on_disk_is_resumed(site: Site, tmp_path: Path) -> None:
    door = site.door("healthy")
    with pytest.raises(InputError, match="gives no more"):
        run([Dying(door, 5)], tmp_path)  # type: ignore[list-item]
    staged = run([site.door("healthy")], tmp_path)
    assert sha256(tmp_path) == SHA256
    assert staged.n_bytes_resumed == 5 * RANGE
    assert staged.n_bytes_read == len(DATA) - 5 * RANGE
