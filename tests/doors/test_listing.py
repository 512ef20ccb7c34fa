"""Listings that are believed, and those that are not; checksums that stand outside them; doors that are chosen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from kgp.errors import FormatError, InputError, UsageError
from kgp.io.doors import DoorFault, open_door
from kgp.io.doors.opening import choose_doors
from kgp.io.doors.patience import DoorOrder, Patience
from kgp.io.listing import Listing, Selection, list_everything, take_listing
from kgp.io.sums import Sums, find_sums
from kgp.sources import SOURCES, Door, Entry, Source, find_source
from servers.archive import CONTIGS, PANEL, PHASE3, README, Archive, genotypes, md5_of
from servers.azurite import key, serve_azurite
from servers.ftp import serve_ftp
from servers.http import serve_http
from servers.proxy import Fault, FaultyProxy

SOURCE = find_source("phase3")
EVERYTHING = Selection(SOURCE)


class MemoryDoor:
    """A door whose files lie in memory; what it lists may be spoilt.

    Args:
        files: path → bytes.
        name: of the door.
        hidden: paths that it leaves out of so many listings.
        fault: that it answers every listing with.
    """

    range_bytes = 64

    def __init__(
        self,
        files: Mapping[str, bytes],
        name: str = "azure",
        *,
        hidden: Mapping[str, int] | None = None,
        fault: DoorFault | None = None,
    ) -> None:
        self.door = Door(name, "https", f"https://{name}.example", "1000genomes", "", tree="current.tree")
        self.most_connections = 4
        self.files, self.hidden, self.fault = dict(files), dict(hidden or {}), fault
        self.prefixes: list[str] = []
        self.asked: list[str] = []
        self.read: set[str] = set()

    def stat(self, path: str) -> Entry | None:
        self.asked.append(path)
        return self._entry(path) if path in self.files else None

    def list(self, prefix: str, *, enter: Callable[[str], bool] | None = None) -> Iterator[Entry]:
        self.prefixes.append(prefix)
        if self.fault is not None:
            raise self.fault
        found = [path for path in self.files if path.startswith(prefix)]
        if not found:
            raise DoorFault("absent", "the directory holds no file")
        for path in found:
            if self.hidden.get(path, 0) > 0:
                self.hidden[path] -= 1
            else:
                yield self._entry(path)

    def read_range(self, path: str, start: int, end: int, *, version: Entry | None = None) -> bytes:
        self.read.add(path)
        return self.files[path][start:end]

    def url(self, path: str) -> str:
        return f"{self.door.root}/{path}"

    def close(self) -> None: ...

    def _entry(self, path: str) -> Entry:
        data = self.files[path]
        return Entry(path, len(data), None, f"{self.door.name}-{md5_of(data)}")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    archive = Archive(tmp_path / "archive")
    archive.add_phase3()
    return archive


def take(*doors: MemoryDoor, known: dict[str, dict[str, Any]] | None = None, **options: Any) -> Listing:
    selection = options.pop("selection", EVERYTHING)
    patience = Patience(sleep=lambda seconds: None)
    return take_listing(selection, doors, known or {}, patience=patience, order=DoorOrder(), **options)


def rows_of(listing: Listing, **given: Any) -> dict[str, dict[str, Any]]:
    """Rows of `files` once a listing has been written, by path."""
    return {
        entry.path: {
            "archive_path": entry.path, "state": "listed", "endpoint": listing.door.door.name, "size": entry.size,
            "md5": entry.md5, "md5_from": None, "etag": entry.etag, "modified": None, "staged_path": None, **given,
        }
        for entry in listing.entries
    }  # fmt: skip


def meant(archive: Archive) -> set[str]:
    """What is staged of phase 3 when nothing narrower is asked for."""
    return {path for path in archive.files if "/supporting/" not in path and path.startswith(PHASE3)}


# -------------------------------------------------------------------------------------------------- a whole listing


def test_what_is_meant_is_listed_and_no_directory_above_it(archive: Archive) -> None:
    door = MemoryDoor(archive.files)
    listing = take(door)
    assert {entry.path for entry in listing.entries} == meant(archive)
    assert {entry.path for entry in listing.others} == {f"{PHASE3}/supporting/notes/NOTES.txt"}
    assert (listing.lacking, dict(listing.faults)) == ((), {})
    assert door.prefixes == [f"{PHASE3}/"]
    assert door.asked == []


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_source_has_directories_to_list(source: Source) -> None:
    assert Selection(source).prefixes
    for part in source.parts:
        assert Selection(source, parts=(part.name,)).prefixes


def test_real_servers_are_asked_for_the_sources_own_directories_only(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    archive.put("release/20110521/older.vcf.gz", 10)
    with (
        serve_http(archive.root) as web,
        serve_ftp(archive.root) as files,
        serve_azurite(accounts={"dataset1000genomes": key()}) as azurite,
    ):
        azurite.make_container("dataset1000genomes", "dataset", public=True)
        azurite.upload("dataset1000genomes", "dataset", archive.root)
        with FaultyProxy("127.0.0.1", azurite.port) as proxy:
            endpoint = f"http://127.0.0.1:{proxy.port}/dataset1000genomes"
            monkeypatch.setenv("KGP_AZURE_ENDPOINTS", f"dataset1000genomes={endpoint}")
            found = {}
            for name, url in (
                ("own", str(archive.root)),
                ("igsr-https", web.url),
                ("igsr-ftp", files.url),
                ("azure", "az://dataset@dataset1000genomes"),
            ):
                (door,), _ = choose_doors(SOURCE, [f"{name}={url}"])
                opened = open_door(door, timeout=20, connections=2)
                try:
                    listing = take_listing(EVERYTHING, [opened], {}, patience=Patience())
                finally:
                    opened.close()
                found[name] = {entry.path: entry.size for entry in listing.entries}
            sizes = {path: len(archive.files[path]) for path in meant(archive)}
            assert found == dict.fromkeys(found, sizes)
            assert {r.path for r in web.requests if not r.path.startswith(f"{PHASE3}/")} == set()
            # A listing by pages leaves out directories in which nothing that is meant can lie.
            assert not any("supporting/" in request.path for request in web.requests)
            assert all("prefix=release/20130502/" in r.path.replace("%2F", "/") for r in proxy.requests)

            # A page that Azure leaves out: its files have been known, and the door has them.
            selection = Selection(SOURCE, contigs=("21", "22"))
            (azure,), _ = choose_doors(SOURCE, ["azure"])
            opened = open_door(azure, timeout=20)
            try:
                known = rows_of(take_listing(selection, [opened], {}, patience=Patience()))
                lost = re.compile(rb"<Blob><Name>[^<]*chr22[^<]*</Name>.*?</Blob>", re.DOTALL)
                proxy.script(Fault("edit", match="comp=list", edit=lambda body: lost.sub(b"", body)))
                listing = take_listing(
                    selection, [opened], known, patience=Patience(sleep=lambda seconds: None)
                )
                assert proxy.n_faults == 1
                assert {entry.path for entry in listing.entries} == set(known)
                proxy.script(
                    Fault("edit", times=None, match="comp=list", edit=lambda body: lost.sub(b"", body))
                )
                with pytest.raises(InputError, match=r"its listing lacks release/20130502/ALL\.chr22\."):
                    take_listing(selection, [opened], known, patience=Patience(sleep=lambda seconds: None))
            finally:
                opened.close()


def test_a_listing_without_a_page_is_taken_once_more(archive: Archive) -> None:
    door = MemoryDoor(archive.files, hidden={genotypes("7"): 1})
    listing = take(door)
    assert {entry.path for entry in listing.entries} == meant(archive)
    assert len(door.prefixes) == 2
    assert listing.lacking == ()


def test_what_one_door_lacks_is_looked_for_at_the_next(archive: Archive) -> None:
    poor = MemoryDoor(archive.files, hidden={genotypes("7"): 99, f"{genotypes('7')}.tbi": 99})
    rich = MemoryDoor(archive.files, "igsr-https")
    listing = take(poor, rich)
    assert listing.door is rich
    assert {entry.path for entry in listing.entries} == meant(archive)
    pattern = f"{PHASE3}/ALL.chr7.phase3_*.20130502.genotypes.vcf.gz"
    assert dict(listing.faults) == {"azure": f"lists no file for {pattern}"}
    assert len(poor.prefixes) == 2  # it is not asked for ever


def test_what_all_doors_lack_is_said_and_the_rest_is_taken(archive: Archive) -> None:
    archive.remove(genotypes("MT"))
    archive.remove(f"{genotypes('MT')}.tbi")
    doors = [MemoryDoor(archive.files), MemoryDoor(archive.files, "igsr-https")]
    listing = take(*doors)
    assert listing.door is doors[0]
    assert listing.lacking == (f"{PHASE3}/ALL.chrMT.phase3_*.20130502.genotypes.vcf.gz",)
    assert {entry.path for entry in listing.entries} == meant(archive)
    # From then on, a run costs one listing again.
    doors = [MemoryDoor(archive.files), MemoryDoor(archive.files, "igsr-https")]
    again = take(*doors, known=rows_of(listing))
    assert again.entries == listing.entries
    assert (len(doors[0].prefixes), doors[1].prefixes, doors[0].asked) == (1, [], [])
    assert again.lacking == listing.lacking
    # But what is lacking in addition is looked for.
    doors[0].files.pop(genotypes("9"))
    assert take(*doors, known={}).door is doors[1]
    assert take(*doors, known=rows_of(listing, endpoint="elsewhere")).door is doors[1]


def test_a_run_for_one_contig_does_not_hide_what_the_others_lack(archive: Archive) -> None:
    one = take(MemoryDoor(archive.files), selection=Selection(SOURCE, contigs=("22",)))
    poor = MemoryDoor(archive.files, hidden={genotypes("7"): 99})
    rich = MemoryDoor(archive.files, "igsr-https")
    assert take(poor, rich, known=rows_of(one)).door is rich


def test_files_that_are_suddenly_not_listed_are_asked_for(archive: Archive) -> None:
    known = rows_of(take(MemoryDoor(archive.files)))
    indexes = {f"{genotypes(contig)}.tbi": 1 for contig in CONTIGS}  # the release promises none
    door = MemoryDoor(archive.files, hidden=indexes)
    listing = take(door, known=known)
    assert {entry.path for entry in listing.entries} == meant(archive)
    assert len(door.prefixes) == 2
    # Those that are gone indeed are asked for, some of them, and the listing is believed.
    for path in indexes:
        del door.files[path]
    door.asked.clear()
    listing = take(door, known=known)
    assert {entry.path for entry in listing.entries} == meant(archive) - set(indexes)
    assert 0 < len(door.asked) <= 20
    # What another door has listed is not this one's to lose.
    door.asked.clear()
    assert take(door, known=rows_of(listing, endpoint="igsr-https")).door is door
    assert door.asked == []


def test_a_listing_that_breaks_off_is_not_taken_in_part(archive: Archive) -> None:
    class Broken(MemoryDoor):
        def list(self, prefix: str, *, enter: Callable[[str], bool] | None = None) -> Iterator[Entry]:
            for n, entry in enumerate(super().list(prefix)):
                if n == 40:
                    raise DoorFault("broken", "the connection was cut")
                yield entry

    good = MemoryDoor(archive.files, "igsr-https")
    listing = take(Broken(archive.files), good)
    assert listing.door is good
    assert dict(listing.faults) == {"azure": "the connection was cut"}
    with pytest.raises(InputError, match=r"azure: the connection was cut \(3 times\)"):
        take(Broken(archive.files))


def test_a_listing_that_names_a_file_twice_is_not_believed(archive: Archive) -> None:
    class Twice(MemoryDoor):
        def list(self, prefix: str, *, enter: Callable[[str], bool] | None = None) -> Iterator[Entry]:
            yield from super().list(prefix)
            yield Entry(PANEL, 1)

    good = MemoryDoor(archive.files, "igsr-https")
    assert take(Twice(archive.files), good).door is good
    with pytest.raises(DoorFault, match="twice"):
        list_everything(EVERYTHING, Twice(archive.files))


def test_a_door_that_lists_another_directory_is_left(archive: Archive) -> None:
    class Confused(MemoryDoor):
        def list(self, prefix: str, *, enter: Callable[[str], bool] | None = None) -> Iterator[Entry]:
            yield Entry("release/20110521/a.vcf.gz", 5)

    good = MemoryDoor(archive.files, "igsr-https")
    assert take(Confused(archive.files), good).door is good


@pytest.mark.parametrize("name", ["../../../etc/README_x", "README_a\nb", "README_a\\b", "README_\u202egpj"])
def test_a_name_that_leads_elsewhere_ends_the_run(archive: Archive, name: str) -> None:
    bad = {**archive.files, f"{PHASE3}/{name}": b"x"}
    with pytest.raises(InputError) as caught:
        take(MemoryDoor(bad), selection=Selection(SOURCE, patterns=("*README*",)))
    assert "\n" not in str(caught.value)
    assert "\u202e" not in str(caught.value)


def test_nothing_that_is_meant(archive: Archive) -> None:
    with pytest.raises(InputError, match="--pattern"):
        take(MemoryDoor(archive.files), selection=Selection(SOURCE, patterns=("README_of_nothing*",)))
    with pytest.raises(InputError, match="holds no file"):
        take(MemoryDoor({"release/other/x": b"x"}))


@pytest.mark.parametrize(
    ("selection", "advice"),
    [
        (Selection(SOURCE, contigs=("99",)), "It has: 1, 2"),
        (Selection(SOURCE, parts=("genotype",)), "Did you mean genotypes"),
        (Selection(SOURCE, patterns=("technical/*",)), "lie below release/20130502/"),
    ],
)
def test_what_the_source_does_not_have(archive: Archive, selection: Selection, advice: str) -> None:
    with pytest.raises(UsageError, match=re.escape(advice)):
        take(MemoryDoor(archive.files), selection=selection)


# ------------------------------------------------------------------------------------------------------- checksums


def sums(archive: Archive, *doors: MemoryDoor, wanted: str = "") -> Sums:
    listed = [Entry(path, len(data)) for path, data in archive.files.items()]
    files = [entry for entry in listed if wanted in entry.path]
    return find_sums(
        files, listed, doors or [MemoryDoor(archive.files)], patience=Patience(sleep=lambda seconds: None)
    )


def md5s(archive: Archive, *paths: str, origin: str) -> dict[str, tuple[str, str]]:
    return {path: (md5_of(archive.files[path]), origin) for path in paths}


def test_current_tree_states_the_md5_of_every_file(archive: Archive) -> None:
    archive.write_tree()
    found = sums(archive, wanted=".vcf.gz")
    paths = [path for path in archive.files if ".vcf.gz" in path]
    assert found.md5s == md5s(archive, *paths, origin="current.tree")
    assert found.notes == []


def test_current_tree_is_not_read_for_fewer_bytes_than_its_own(archive: Archive) -> None:
    archive.write_tree()
    door = MemoryDoor(archive.files)
    found = sums(archive, door, wanted="README")
    assert found.md5s == {}
    assert "current.tree" not in door.read
    assert "and was not read" in found.notes[0]


def test_lists_beside_the_files_are_read_first(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    one, two, three = (f"a/b/{n}.vcf.gz" for n in (1, 2, 3))
    for path in (one, two, three, "c/4.vcf.gz"):
        archive.put(path, 200)
    archive.put(
        "a/b/20220804_manifest.txt",
        f"1.vcf.gz\t{len(archive.files[one])}\t{md5_of(archive.files[one])}\n".encode(),
    )
    archive.put("a/MD5SUMS", f"{md5_of(archive.files[two])}  b/2.vcf.gz\n".encode())
    archive.put("a/b/3.vcf.gz.md5", f"{md5_of(archive.files[three])}  3.vcf.gz\n".encode())
    archive.put("d/MD5SUMS", b"this is not read: nothing that is wanted lies here\n")
    door = MemoryDoor(archive.files)
    found = sums(archive, door, wanted=".vcf.gz")
    assert found.md5s == {
        **md5s(archive, one, origin="a/b/20220804_manifest.txt"),
        **md5s(archive, two, origin="a/MD5SUMS"),
        **md5s(archive, three, origin="a/b/3.vcf.gz.md5"),
    }
    assert "d/MD5SUMS" not in door.read
    # A sum of a file that is not wanted is not read either.
    door = MemoryDoor(archive.files)
    sums(archive, door, wanted="2.vcf.gz")
    assert door.read == {"a/b/20220804_manifest.txt", "a/MD5SUMS"}


def test_an_index_states_the_md5_of_the_alignments_below_it(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    bam, bai = "phase3/data/HG00096/alignment/a.bam", "phase3/data/HG00096/alignment/a.bam.bai"
    for path in (bam, bai):
        archive.put(path, 300)
    archive.put(
        "phase3/20130502.alignment.index",
        (
            "## a comment\n#BAM FILE\tBAM MD5\tBAI FILE\tBAI MD5\n"
            f"{bam}\t{md5_of(archive.files[bam])}\t{bai}\t{md5_of(archive.files[bai])}\n"
        ).encode(),
    )
    found = sums(archive, wanted="a.bam")
    assert found.md5s == md5s(archive, bam, bai, origin="phase3/20130502.alignment.index")


def test_lists_that_contradict_are_not_believed(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    for n in (1, 2, 3):
        archive.put(f"{n}.vcf.gz", 500)
    right, size = md5_of(archive.files["1.vcf.gz"]), len(archive.files["1.vcf.gz"])
    archive.put("md5sums.txt", f"{right}  1.vcf.gz\n{'a' * 32}  2.vcf.gz\n".encode())
    archive.put(
        "manifest.tsv",
        f"1.vcf.gz\t{size}\t{right}\n2.vcf.gz\t{size}\t{'b' * 32}\n3.vcf.gz\t7\t{'c' * 32}\n".encode(),
    )
    archive.put("old.md5", b"\x00 no list at all\n")
    found = sums(archive, wanted=".vcf.gz")
    assert {path: md5 for path, (md5, _) in found.md5s.items()} == {"1.vcf.gz": right}
    notes = "\n".join(found.notes)
    assert "state other sizes than the listing, and were not believed: 3.vcf.gz in manifest.tsv" in notes
    assert "state different MD5s, and were not believed: 2.vcf.gz" in notes
    assert "could not be read: old.md5: Line 1" in notes


def test_a_list_that_one_door_does_not_give_comes_from_the_next(archive: Archive) -> None:
    class Silent(MemoryDoor):
        def read_range(self, path: str, start: int, end: int, *, version: Entry | None = None) -> bytes:
            raise DoorFault("timeout", "nothing came for 60 seconds")

    archive.write_tree()
    found = sums(archive, Silent(archive.files), MemoryDoor(archive.files, "igsr-https"), wanted="chr2")
    assert found.md5s.keys() == {path for path in archive.files if "chr2" in path}
    found = sums(archive, Silent(archive.files), wanted="chr2")
    assert found.md5s == {}
    assert "current.tree" in found.notes[0]
    assert "nothing came for 60 seconds" in found.notes[0]


@pytest.mark.parametrize(
    "line",
    [
        b"<html>Not found</html>",
        b"ftp/release/20130502/ALL.chr2.x\tfile\tone\t2015-02-20 12:00:00\t" + b"a" * 32,
    ],
)
def test_a_tree_with_a_line_that_may_not_be_is_not_believed_at_all(archive: Archive, line: bytes) -> None:
    archive.write_tree()
    n = archive.files["current.tree"].count(b"\n")
    archive.put("current.tree", archive.files["current.tree"] + line + b"\n")
    found = sums(archive, wanted="chr2")
    assert found.md5s == {}
    assert f"could not be read: current.tree: Line {n + 1} " in found.notes[0]
    assert found.notes[0].isprintable()


@pytest.mark.parametrize("name", [b"a\x07b", b"..", b"caf\xe9.txt", b"a/../../../../etc/passwd"])
def test_a_strange_name_beside_the_files_is_an_error(archive: Archive, name: bytes) -> None:
    archive.write_tree()
    line = b"ftp/release/20130502/" + name + b"\tfile\t1\t2015-02-20 12:00:00\t" + b"a" * 32
    archive.put("current.tree", archive.files["current.tree"] + line + b"\n")
    with pytest.raises(FormatError, match=r"current.tree: Line \d+ names ") as caught:
        sums(archive, wanted="chr2")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "path", [b"ftp/../../etc/passwd", b"ftp/release/a\x07b", b"ftp/technical/caf\xe9.txt", b"ftp//a"]
)
def test_a_strange_name_elsewhere_in_the_tree_does_no_harm(archive: Archive, path: bytes) -> None:
    archive.write_tree()
    paths = [path for path in archive.files if "chr2" in path]
    line = path + b"\tfile\t1\t2015-02-20 12:00:00\t" + b"a" * 32
    archive.put("current.tree", archive.files["current.tree"] + line + b"\n")
    found = sums(archive, wanted="chr2")
    assert (found.md5s, found.notes) == (md5s(archive, *paths, origin="current.tree"), [])


# -------------------------------------------------------------------------------------------------- doors are chosen


def names(*named: str, source: str = "phase3") -> tuple[list[str], str | None]:
    doors, carrier = choose_doors(find_source(source), named)
    return [door.name for door in doors], None if carrier is None else carrier.name


def test_doors_in_order_of_preference() -> None:
    found, carrier = names()
    assert found[:3] == ["azure", "azure-secondary", "igsr-https"]
    assert carrier is None
    assert not {"aspera", "globus"} & set(found)
    assert names("igsr-ftp", "azure") == (["igsr-ftp", "azure"], None)
    assert names("mine=/data/mirror", "aws")[0] == ["mine", "aws"]
    assert names("aspera") == (found, "aspera")
    assert names("globus", "azure") == (["azure"], "globus")
    assert names(source="E-GEUV-1")[0][0] == "biostudies-https"
    assert names("biostudies-https=http://127.0.0.1:1/x", source="E-GEUV-1")[0] == ["biostudies-https"]
    assert names(source="curated")[0] == ["curated"]


@pytest.mark.parametrize(
    ("named", "text"),
    [
        (["geo-https"], "Doors of phase3 are azure, azure-secondary"),
        (["curated=http://127.0.0.1:1/x"], "serves curated, and phase3 lies in 1000genomes"),
        (["azur"], "Did you mean azure"),
        (["azure", "azure=/data"], "named twice"),
        (["aspera", "globus"], "Only one program"),
        (["x=gopher://host/"], "scheme 'gopher'"),
        (["x=https://me:secret@host/"], "has a user, a password, or a query"),
        (["x=https://host/?sig=secret"], "has a user, a password, or a query"),
    ],
)
def test_doors_that_are_refused(named: list[str], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        names(*named)
    assert text in str(caught.value)
    assert "secret" not in repr(caught.value)


def test_a_door_opens_no_more_connections_than_it_may() -> None:
    for url, most in (("https://127.0.0.1:1/x", 8), ("ftp://127.0.0.1:1/x", 4), ("/tmp", 8)):
        (door,), _ = choose_doors(SOURCE, [f"own={url}"])
        for asked, expected in ((None, most), (2, 2), (99, most)):
            opened = open_door(door, connections=asked)
            assert opened.most_connections == expected
            opened.close()
    (door,), _ = choose_doors(SOURCE, ["own=/tmp"])
    assert urlsplit(open_door(door).url(README)).path == f"/tmp/{README}"
    _, carrier = choose_doors(SOURCE, ["aspera"])
    assert carrier is not None
    with pytest.raises(UsageError, match="brings whole files"):
        open_door(carrier)
