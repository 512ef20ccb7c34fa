"""`kgp sync` from end to end: what is staged and known, what a second run does, what an accident leaves."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

import pytest
from deltalake import DeltaTable, QueryBuilder

import kgp
from kgp.config import load_config
from kgp.errors import InputError, KgpError
from kgp.job import Progress, Report, run_job
from kgp.jobs.meter import Meter
from kgp.jobs.sync_files import SYNC_FILES
from kgp.jobs.transfer import Transfer, move_by_driver, wants_spark
from kgp.params import Sync
from kgp.sources import Door, Entry
from servers.archive import PHASE3, README, Archive, genotypes, md5_of
from servers.azurite import Azurite, key, serve_azurite
from servers.ftp import serve_ftp
from servers.http import MostAtOnce, WebServer, serve_http
from servers.proxy import Fault, FaultyProxy

CHR21, CHR22 = genotypes("21"), genotypes("22")
FEW = ("20", "21", "22")
DRAGEN = "data/dragen-3.6.3/hg38_altaware_nohla-cnv-anchored"


@dataclass
class Site:
    """An archive, a lake and a place to stage to.

    Args:
        archive: what servers serve.
        lake: directory of the tables.
        mirror: directory that files are staged to.
        doors: options that name the doors.
    """

    archive: Archive
    lake: Path
    mirror: Path
    doors: tuple[str, ...]
    said: io.StringIO = field(default_factory=io.StringIO)

    def sync(self, source: str = "phase3", **given: Any) -> Report:
        """Run it in this process."""
        config = load_config(lake=str(self.lake), environ={})
        options = {
            "source": source,
            "door": self.doors,
            "to": str(self.mirror),
            "attempts": 1,
            "timeout": 20.0,
        }
        params = config.params(Sync, options | given)
        self.said = io.StringIO()
        return run_job(SYNC_FILES, params, config, progress=Progress(self.said))

    def rows(self, source: str = "phase3") -> dict[str, dict[str, Any]]:
        """Rows of `files` by path."""
        if not (self.lake / "files").exists():
            return {}
        table = QueryBuilder().register("files", DeltaTable(str(self.lake / "files")))
        found = table.execute(f"SELECT * FROM files WHERE source = '{source}'").read_all().to_struct_array()
        return {row["archive_path"]: row for row in found.to_pylist()}

    def states(self) -> dict[str, str]:
        return {path: row["state"] for path, row in self.rows().items()}

    def version(self) -> int:
        """Newest Delta version of `files`."""
        return DeltaTable(str(self.lake / "files")).version()

    def staged(self) -> dict[str, bytes]:
        """What lies at the target."""
        return read_all(self.mirror)

    @property
    def meant(self) -> dict[str, bytes]:
        """What of the archive is staged by default."""
        files = self.archive.files.items()
        return {path: data for path, data in files if path.startswith(PHASE3) and "/supporting/" not in path}


def read_all(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    archive = Archive(tmp_path / "archive")
    archive.add_phase3(FEW)
    archive.write_tree()
    return archive


@pytest.fixture
def web(archive: Archive) -> Iterator[WebServer]:
    with serve_http(archive.root) as server:
        yield server


@pytest.fixture
def site(archive: Archive, web: WebServer, tmp_path: Path) -> Site:
    return Site(archive, tmp_path / "lake", tmp_path / "mirror", (f"igsr-https={web.url}",))


def reads(web: WebServer) -> list[str]:
    """Paths of the files that were read since the last call, a path for each range."""
    found = [request.path for request in web.requests if request.method == "GET" and request.range]
    web.requests.clear()
    return found


# ------------------------------------------------------------------------------------------------ what it does


def test_a_release_is_staged_and_known_and_nothing_is_done_twice(site: Site, web: WebServer) -> None:
    began = datetime.now(UTC)
    report = site.sync(contig=FEW)
    assert site.staged() == site.meant
    rows = site.rows()
    assert rows.keys() == site.meant.keys()
    for path, row in rows.items():
        data = site.meant[path]
        assert row["state"] == "staged"
        assert (row["size"], row["md5"], row["md5_from"]) == (len(data), md5_of(data), "current.tree")
        assert (row["endpoint"], row["url"]) == ("igsr-https", f"{web.url}/{path}")
        assert row["staged_path"] == str(site.mirror / path)
        assert (row["staged_from"], row["is_verified"], row["gone_at"]) == ("igsr-https", True, None)
        assert began <= row["listed_at"] <= row["staged_at"] <= datetime.now(UTC)
    n_bytes = sum(map(len, site.meant.values()))
    assert report.changed
    assert report.details == {
        "new": 8, "changed": 0, "gone": 0, "same": 0, "door": "igsr-https", "staged": 8, "staged_bytes": n_bytes,
        "read_bytes": n_bytes, "staged_from": {"igsr-https": 8}, "adopted": 0,
    }  # fmt: skip
    assert "next: kgp load samples --panel" in report.notes[0]
    assert f"--callset phase3 --build GRCh37 {site.mirror / genotypes('20')}" in report.notes[1]

    version = site.version()
    web.requests.clear()
    report = site.sync(contig=FEW)
    assert (report.changed, site.version()) == (False, version)
    assert report.summary == "phase3 at igsr-https: nothing has changed (8 files); all is staged"
    assert report.notes == []
    # One listing: the directory's page, and what this server does not say in it.
    assert {(r.method, r.range) for r in web.requests} == {("GET", None), ("HEAD", None)}
    assert [r.path for r in web.requests if r.method == "GET"] == [f"{PHASE3}/"]


def test_what_changed_in_the_archive_is_told_and_followed(site: Site, web: WebServer) -> None:
    site.sync(contig=FEW)
    old = site.archive.files[CHR21]
    new = site.archive.put(CHR21, len(old))  # of the same size
    gone = site.archive.remove(README)
    added = site.archive.put(f"{PHASE3}/README_known_issues_20200731", b"We know.\n")
    site.archive.write_tree()
    reads(web)
    report = site.sync(contig=FEW)
    assert {name: report.details[name] for name in ("new", "changed", "gone", "same")} == {
        "new": 1, "changed": 1, "gone": 1, "same": 6,
    }  # fmt: skip
    assert set(reads(web)) == {CHR21, f"{PHASE3}/README_known_issues_20200731", "current.tree"}
    assert site.staged() == site.meant | {README: gone}  # what was staged of it is kept
    rows = site.rows()
    assert (rows[CHR21]["state"], rows[CHR21]["md5"]) == ("staged", md5_of(new))
    assert (rows[README]["state"], rows[README]["staged_path"]) == ("gone", str(site.mirror / README))
    assert rows[README]["gone_at"] is not None
    assert any(README in note and "gone" in note for note in report.notes)
    assert added == site.staged()[f"{PHASE3}/README_known_issues_20200731"]

    # It comes back as it was: its copy is still there, and nothing is moved.
    site.archive.put(README, gone)
    reads(web)
    report = site.sync(contig=FEW)
    assert (report.details["new"], report.details["staged"], report.details["adopted"]) == (1, 0, 0)
    assert reads(web) == []
    assert (site.rows()[README]["state"], site.rows()[README]["gone_at"]) == ("staged", None)
    version = site.version()
    assert not site.sync(contig=FEW).changed
    assert site.version() == version
    # It goes again, and comes back with another time of change: the MD5 of the copy tells that it is the same.
    site.archive.remove(README)
    assert site.sync(contig=FEW).details["gone"] == 1
    site.archive.put(README, b"something else")
    site.archive.put(README, gone)
    report = site.sync(contig=FEW, connections=1)
    assert (report.details["new"], report.details["staged"]) == (1, 1)  # current.tree is longer than the file
    assert site.staged() == site.meant


def test_a_part_of_a_source_leaves_the_others_alone(site: Site) -> None:
    site.sync(contig=FEW)
    site.archive.remove(CHR21)
    report = site.sync(contig=("22",))
    assert (report.changed, report.details["same"], report.details["gone"]) == (False, 4, 0)
    assert set(site.states().values()) == {"staged"}
    report = site.sync(pattern=("*.panel",))
    assert (report.changed, report.details["same"]) == (False, 1)
    site.archive.put(f"{PHASE3}/README_new", b"new\n")
    assert site.sync(part=("readme",)).details["new"] == 1
    assert len(site.rows()) == 9
    assert site.sync(contig=("21", "22")).details["gone"] == 1
    gone = {path for path, state in site.states().items() if state == "gone"}
    assert gone == {CHR21}  # not its index, which is still there


def test_a_copy_that_is_lost_or_cut_is_staged_again(site: Site, web: WebServer) -> None:
    site.sync(contig=FEW)
    (site.mirror / CHR21).unlink()
    (site.mirror / CHR22).write_bytes(site.archive.files[CHR22][:-1])
    reads(web)
    report = site.sync(contig=FEW)
    assert {path for path in reads(web) if path != "current.tree"} == {CHR21, CHR22}
    assert site.staged() == site.meant
    assert (report.details["same"], report.details["staged"]) == (8, 2)
    assert any(
        note.startswith("2 copies had gone from the target, or were not whole") for note in report.notes
    )
    assert set(site.states().values()) == {"staged"}


def test_what_lies_there_with_the_right_md5_is_adopted(site: Site, web: WebServer, tmp_path: Path) -> None:
    site.sync(contig=FEW)
    (site.mirror / CHR21).write_bytes(bytes(len(site.archive.files[CHR21])))  # of the right size, and wrong
    site.lake = tmp_path / "another-lake"
    reads(web)
    report = site.sync(contig=FEW)
    assert (report.details["adopted"], report.details["staged"]) == (7, 1)
    assert {path for path in reads(web) if path != "current.tree"} == {CHR21}
    assert site.staged() == site.meant
    rows = site.rows()
    assert {row["state"] for row in rows.values()} == {"staged"}
    assert (rows[CHR22]["staged_from"], rows[CHR22]["is_verified"]) == (None, True)
    assert (rows[CHR21]["staged_from"], rows[CHR21]["is_verified"]) == ("igsr-https", True)
    assert "checking 8 files" in site.said.getvalue()


def test_a_dry_run_writes_nothing_at_all(site: Site, web: WebServer, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    report = site.sync(contig=FEW, dry_run=True)
    assert sorted(tmp_path.rglob("*")) == before
    assert not report.changed
    assert report.details["would_stage_bytes"] == sum(map(len, site.meant.values()))
    assert set(report.details["would_stage"]) == set(site.meant)
    assert f"{web.url}/{CHR22}" in report.text
    assert "would stage 8 files" in report.summary
    assert not [request for request in web.requests if request.range]

    site.sync(contig=FEW)
    site.archive.put(CHR21, 4000)
    version, staged = site.version(), site.staged()
    report = site.sync(contig=FEW, dry_run=True)
    assert report.details["would_stage"] == [CHR21]
    assert (report.details["changed"], report.details["same"]) == (1, 7)
    assert (site.version(), site.staged()) == (version, staged)


def test_read_in_place_stages_nothing(site: Site, web: WebServer) -> None:
    report = site.sync(contig=FEW, read_in_place=True)
    assert not site.mirror.exists()
    assert set(site.states().values()) == {"listed"}
    assert {row["url"] for row in site.rows().values()} == {f"{web.url}/{path}" for path in site.meant}
    assert "read in place" in report.summary
    assert any(
        f"kgp load variants --callset phase3 --build GRCh37 {web.url}/{PHASE3}" in n for n in report.notes
    )
    assert not site.sync(contig=FEW, read_in_place=True).changed
    # What is staged later is new to nobody.
    report = site.sync(contig=FEW)
    assert (report.details["same"], report.details["staged"]) == (8, 8)


def test_where_nobody_states_an_md5_that_is_said(site: Site) -> None:
    site.archive.remove("current.tree")
    report = site.sync(contig=FEW)
    assert any(
        note.startswith("nobody states the MD5 of 8 files, only the size was checked")
        for note in report.notes
    )
    rows = site.rows()
    for path, data in site.meant.items():
        assert (rows[path]["md5"], rows[path]["md5_from"]) == (md5_of(data), "kgp")
        assert rows[path]["is_verified"] is False
    assert not site.sync(contig=FEW).changed
    # A copy that was lost comes again, though nobody states what it should be.
    (site.mirror / CHR21).unlink()
    assert site.sync(contig=FEW).details["staged"] == 1
    # The archive's file may be another one in the same second and of the same size: its ETag tells.
    data = site.archive.put(CHR22, len(site.archive.files[CHR22]))
    assert site.sync(contig=FEW).details["changed"] == 1
    assert site.rows()[CHR22]["md5"] == md5_of(data)


def test_two_sources_in_one_lake_do_not_disturb_each_other(site: Site, web: WebServer) -> None:
    site.sync(contig=FEW)
    ped = "technical/working/20130606_sample_info/20130606_g1k.ped"
    site.archive.put(ped, b"Family ID\n")
    before = site.rows()
    report = site.sync("people", part=("pedigree",))
    assert (report.details["new"], report.details["staged"]) == (1, 1)
    assert site.rows() == before
    assert site.rows("people").keys() == {ped}
    version = site.version()
    assert not site.sync(contig=FEW).changed
    assert not site.sync("people", part=("pedigree",)).changed
    assert site.version() == version


@pytest.mark.parametrize(
    ("source", "door", "part", "path"),
    [
        ("E-GEUV-1", "biostudies-https", "sdrf", "E-GEUV-/001/E-GEUV-1/Files/E-GEUV-1.sdrf.txt"),
        ("E-MTAB-264", "biostudies-https", "sdrf", "E-MTAB-/264/E-MTAB-264/Files/E-MTAB-264.sdrf.txt"),
        ("curated", "curated", "variants", "original/chr22/part-0.parquet"),
        ("dragen-3.6.3", "aws-dragen", "cnv", f"{DRAGEN}/HG00096/HG00096.cnv.vcf.gz"),
    ],
)  # fmt: skip
def test_other_archives(site: Site, web: WebServer, source: str, door: str, part: str, path: str) -> None:
    data = site.archive.put(path, 1234)
    site.doors = (f"{door}={web.url}",)
    report = site.sync(source, part=(part,))
    assert site.staged() == {path: data}
    assert (report.details["new"], report.details["staged"]) == (1, 1)
    assert site.rows(source)[path]["state"] == "staged"
    assert not site.sync(source, part=(part,)).changed


def test_runs_at_the_same_time_keep_what_each_has_written(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for chromosome 21 lists; then one for 22 runs to its end; then the first goes on."""
    other = Site(site.archive, site.lake, site.mirror, site.doors)
    real, n_calls = kgp.jobs.sync_files.take_listing, 0

    def late(*arguments: Any, **options: Any) -> Any:
        nonlocal n_calls
        n_calls += 1
        listing = real(*arguments, **options)
        if n_calls == 1:
            other.sync(contig=("22",))
        return listing

    monkeypatch.setattr("kgp.jobs.sync_files.take_listing", late)
    site.sync(contig=("21",))
    assert n_calls == 2
    assert site.states().keys() == {path for path in site.meant if "chr20" not in path}
    assert set(site.states().values()) == {"staged"}


def test_what_has_come_is_written_from_time_to_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kgp.jobs.file_rows._LEAST_SECONDS", 0.0)
    monkeypatch.setattr("kgp.jobs.file_rows._MOST_OF_TIME", 1e9)
    real = kgp.jobs.sync_files.move_by_driver
    seen = []

    def watched(*arguments: Any) -> Iterator[Any]:
        for n, outcome in enumerate(real(*arguments)):
            seen.append(sum(state == "staged" for state in site.states().values()))
            yield outcome
            if n == 4:
                raise RuntimeError("a defect")

    monkeypatch.setattr("kgp.jobs.sync_files.move_by_driver", watched)
    with pytest.raises(RuntimeError):
        site.sync(contig=FEW)
    assert seen == [0, 1, 2, 3, 4]
    assert sum(state == "staged" for state in site.states().values()) == 5


def test_a_lake_on_azure(site: Site, azure: Azurite) -> None:
    config = load_config(lake="az://stage@own/lake", environ={})
    options = {"source": "phase3", "contig": FEW, "door": ("azure",), "to": str(site.mirror)}
    params = config.params(Sync, options)
    assert run_job(SYNC_FILES, params, config, progress=Progress(quiet=True)).details["staged"] == 8
    assert site.staged() == site.meant
    before = blobs(azure).keys()
    assert not run_job(SYNC_FILES, params, config, progress=Progress(quiet=True)).changed
    assert blobs(azure).keys() == before
    assert {name.split("/")[1] for name in before} == {"files"}


# ----------------------------------------------------------------------------------------------- what goes wrong


def test_a_file_of_no_bytes_is_counted_and_not_staged(site: Site) -> None:
    site.archive.put(CHR21, b"")
    report = site.sync(contig=FEW)
    assert any(note.startswith(f"1 file of 0 bytes, not staged: {CHR21}") for note in report.notes)
    assert CHR21 not in site.staged()
    assert site.rows()[CHR21]["state"] == "listed"
    assert not site.sync(contig=FEW).changed


def test_one_file_that_fails_does_not_stop_the_others(site: Site, web: WebServer) -> None:
    (site.mirror / CHR21).mkdir(parents=True)
    with pytest.raises(InputError) as caught:
        site.sync(contig=FEW)
    text = str(caught.value)
    assert text.startswith("phase3: 1 of 8 files could not be staged:\n")
    assert f"{site.mirror / CHR21}: It is a directory, where a file is to be staged." in text
    assert "Staged and recorded: 7 files." in text
    assert caught.value.exit_code == 1
    assert f"not staged: {site.mirror / CHR21}" in site.said.getvalue()
    expected = {path: data for path, data in site.meant.items() if path != CHR21}
    assert site.staged() == expected
    assert {p for p, state in site.states().items() if state != "staged"} == {CHR21}
    # Once it is mended, only that one is left to do.
    (site.mirror / CHR21).rmdir()
    reads(web)
    assert site.sync(contig=FEW).details["staged"] == 1
    assert {path for path in reads(web) if path != "current.tree"} == {CHR21}
    assert site.staged() == site.meant


def test_a_target_that_is_a_file(site: Site) -> None:
    site.mirror.write_text("I was here first")
    with pytest.raises(
        InputError, match=r"8 of 8 files could not be staged:\n.*a directory is needed.*\(8 files\)\n"
    ):
        site.sync(contig=FEW)
    assert set(site.states().values()) == {"listed"}
    assert site.mirror.read_text() == "I was here first"


def test_a_changed_file_that_does_not_come_whole_leaves_the_old_copy(site: Site, web: WebServer) -> None:
    site.sync(contig=FEW)
    old = site.staged()[CHR21]
    site.archive.put(CHR21, 5000)
    site.archive.write_tree()
    with FaultyProxy("127.0.0.1", web.server_port) as proxy:
        proxy.script(Fault("flip", times=None, match=r"^GET .*chr21\.[^ ]*gz$", after=5))
        site.doors = (f"igsr-https=http://127.0.0.1:{proxy.port}",)
        with pytest.raises(
            InputError, match=f"gave bytes of MD5 [0-9a-f]+ where {md5_of(site.archive.files[CHR21])}"
        ):
            site.sync(contig=FEW)
        assert site.staged()[CHR21] == old
        row = site.rows()[CHR21]
        assert (row["state"], row["size"], row["staged_path"]) == (
            "listed",
            len(site.archive.files[CHR21]),
            None,
        )
        proxy.script()
        assert site.sync(contig=FEW).details["staged"] == 1
    assert site.staged() == site.meant


def test_a_door_that_is_down_is_left_for_the_next(site: Site, web: WebServer) -> None:
    with serve_ftp(site.archive.root) as files:
        site.doors = (f"igsr-https={web.url}", f"igsr-ftp={files.url}")
        site.sync(contig=FEW)
        assert {row["endpoint"] for row in site.rows().values()} == {"igsr-https"}
        version = site.version()
        web.stop()
        report = site.sync(contig=FEW)
        # It lists no ETags: that makes nothing new, changed or gone, and no row is written.
        assert (report.changed, site.version()) == (False, version)
        assert report.details["door"] == "igsr-ftp"
        assert report.notes == [
            "igsr-https: the connection failed or was cut",
            "the listing is that of igsr-ftp",
        ]
        data = site.archive.put(CHR21, 5000)
        site.archive.write_tree()
        report = site.sync(contig=FEW)
        assert (report.details["changed"], report.details["staged_from"]) == (1, {"igsr-ftp": 1})
        assert site.staged()[CHR21] == data
        assert site.rows()[CHR21]["endpoint"] == "igsr-ftp"
        # A file that the door lacks, and that only the other one has listed, is not called gone.
        site.archive.remove(README)
        report = site.sync(contig=FEW)
        assert report.details["gone"] == 0
        assert any(
            note.startswith("igsr-ftp does not list 1 file that igsr-https had listed")
            for note in report.notes
        )
        assert site.rows()[README]["state"] == "staged"
        # A door that is not asked any more gives its files away.
        site.doors = (f"igsr-ftp={files.url}",)
        assert not site.sync(contig=FEW).details["changed"]
        endpoints = {path: row["endpoint"] for path, row in site.rows().items()}
        assert endpoints == dict.fromkeys(site.meant, "igsr-ftp") | {README: "igsr-https"}
        version = site.version()
        site.sync(contig=FEW)
        assert site.version() == version


def test_a_file_is_taken_from_the_next_door_where_one_spoils_it(site: Site, web: WebServer) -> None:
    with FaultyProxy("127.0.0.1", web.server_port) as proxy:
        proxy.script(Fault("truncated", times=None, match=r"^GET .*chr22\.[^ ]*gz$", after=100))
        site.doors = (f"azure=http://127.0.0.1:{proxy.port}", f"igsr-https={web.url}")
        report = site.sync(contig=FEW)
    assert site.staged() == site.meant
    assert report.details["staged_from"] == {"azure": 7, "igsr-https": 1}
    assert any(
        note.startswith(f"1 file came after faults: {CHR22} from igsr-https (azure: ")
        for note in report.notes
    )


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"source": "phase33"}, "Did you mean phase3"),
        ({"contig": ("99",)}, "has no file for contig '99'"),
        ({"part": ("genotype",)}, "Did you mean genotypes"),
        ({"door": ("azur",)}, "Did you mean azure"),
        ({"door": ("geo-https",)}, "serves geo"),
        ({"door": ("x=gopher://host/",)}, "Nobody knows URLs of the scheme 'gopher'"),
        ({"door": ("aspera",), "to": "az://c@account"}, "Aspera brings files to a disk only"),
        ({"door": ("globus",)}, "Globus brings files to a collection only"),
        ({"to": "gopher://host/x"}, "Nothing can be staged to this kind of URL"),
        ({"to": "https://me:hunter2@host/x"}, "Nothing can be staged to this kind of URL"),
    ],
)  # fmt: skip
def test_what_can_not_be_done_is_said_before_anything_is_asked(
    site: Site, web: WebServer, given: dict[str, Any], text: str
) -> None:
    with pytest.raises(KgpError) as caught:
        site.sync(**given)
    assert text in str(caught.value)
    assert "hunter2" not in repr(caught.value)
    assert web.requests == []
    assert not site.lake.exists()
    assert not site.mirror.exists()


# ------------------------------------------------------------------------------------------------ Azure, Aspera, Globus


@pytest.fixture(scope="module")
def azurite() -> Iterator[Azurite]:
    with serve_azurite(accounts={"dataset1000genomes": key(), "mirror": key(), "own": key()}) as azurite:
        yield azurite


@pytest.fixture
def azure(azurite: Azurite, site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Azurite]:
    """Both public accounts have the archive; ``own`` has the empty container ``stage``, and its key is known."""
    for account in ("dataset1000genomes", "mirror"):
        azurite.make_container(account, "dataset", public=True)
        azurite.upload(account, "dataset", site.archive.root)
    azurite.make_container("own", "stage")
    secondary = {"dataset1000genomes-secondary": "mirror"}
    monkeypatch.setenv("KGP_AZURE_ENDPOINTS", azurite.endpoints(secondary))
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "own")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", azurite.accounts["own"])
    yield azurite
    for account, container in (("dataset1000genomes", "dataset"), ("mirror", "dataset"), ("own", "stage")):
        with azurite.client(account) as client:
            client.delete_container(container)


def blobs(azurite: Azurite) -> dict[str, bytes]:
    with azurite.client("own").get_container_client("stage") as client:
        return {blob.name: client.download_blob(blob.name).readall() for blob in client.list_blobs()}


def test_from_azure_to_a_container_of_ones_own(site: Site, azure: Azurite) -> None:
    report = site.sync(contig=FEW, door=("azure", "azure-secondary"), to="az://stage@own/1000g")
    assert blobs(azure) == {f"1000g/{path}": data for path, data in site.meant.items()}
    rows = site.rows()
    for path, data in site.meant.items():
        assert rows[path]["staged_path"] == f"az://stage@own/1000g/{path}"
        assert (rows[path]["md5"], rows[path]["md5_from"]) == (md5_of(data), "listing")
        assert rows[path]["url"] == f"az://dataset@dataset1000genomes/{path}"
    assert report.details["staged_from"] == {"azure": 8}
    assert not site.sync(contig=FEW, door=("azure", "azure-secondary"), to="az://stage@own/1000g").changed
    # Somebody removes one of them, and replaces another: its MD5 stands in the container's listing.
    with azure.client("own").get_container_client("stage") as client:
        client.delete_blob(f"1000g/{CHR21}")
        size = len(site.archive.files[CHR22])
        md5 = bytearray(hashlib.md5(bytes(size), usedforsecurity=False).digest())
        from azure.storage.blob import ContentSettings

        settings = ContentSettings(content_md5=md5)
        client.upload_blob(f"1000g/{CHR22}", bytes(size), overwrite=True, content_settings=settings)
    report = site.sync(contig=FEW, door=("azure", "azure-secondary"), to="az://stage@own/1000g")
    assert report.details["staged"] == 2
    assert blobs(azure) == {f"1000g/{path}": data for path, data in site.meant.items()}
    # Of what lies there, another lake takes everything for staged without reading a byte of it.
    other = Site(site.archive, site.lake.with_name("other"), site.mirror, ("azure-secondary",))
    report = other.sync(contig=FEW, to="az://stage@own/1000g")
    assert (report.details["adopted"], report.details["staged"]) == (8, 0)


def test_the_secondary_and_igsr_stand_in_for_the_primary(
    site: Site, azure: Azurite, web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    doors = ("azure", "azure-secondary", f"igsr-https={web.url}")
    site.sync(contig=FEW, door=doors, read_in_place=True)
    version = site.version()
    endpoints = os.environ["KGP_AZURE_ENDPOINTS"]
    primary = azure.endpoint("dataset1000genomes")
    monkeypatch.setenv("KGP_AZURE_ENDPOINTS", endpoints.replace(f"={primary}", "=http://127.0.0.1:9/x", 1))
    report = site.sync(contig=FEW, door=doors, read_in_place=True)
    assert (report.details["door"], report.details["same"], report.changed) == ("azure-secondary", 8, False)
    monkeypatch.setenv("KGP_AZURE_ENDPOINTS", re.sub(r"=http://[^,]+", "=http://127.0.0.1:9/x", endpoints))
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
    report = site.sync(contig=FEW, door=doors)
    assert (report.details["door"], report.details["same"], report.details["staged"]) == ("igsr-https", 8, 8)
    assert site.staged() == site.meant
    assert site.version() > version
    assert {row["endpoint"] for row in site.rows().values()} == {"azure"}


def test_a_container_that_is_not_there(site: Site, azure: Azurite) -> None:
    with pytest.raises(KgpError, match="az://nothing@own"):
        site.sync(contig=FEW, to="az://nothing@own/x")
    assert not site.lake.exists()


def test_aspera_without_ascp_says_what_to_run_and_takes_what_has_come(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("HOME", "/nonexistent")
    for name in ("ASCP", "ASPERA_KEY", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    doors = ("aspera=fasp-g1k@127.0.0.1:vol1/ftp", *site.doors)
    report = site.sync(contig=FEW, door=doors, dry_run=True)
    assert "--file-pair-list" in report.text
    assert not site.mirror.exists()
    report = site.sync(contig=FEW, door=doors)
    assert "--file-pair-list" in report.text
    assert set(site.states().values()) == {"listed"}
    # A person runs it, and two files come.
    for path in (CHR21, CHR22):
        aside = site.mirror / ".kgp-aspera" / "tree" / path
        aside.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(site.archive.files[path])
    report = site.sync(contig=FEW, door=doors)
    assert (report.details["staged"], report.details["staged_from"]) == (2, {"aspera": 2})
    assert {path for path, state in site.states().items() if state == "staged"} == {CHR21, CHR22}
    assert (site.mirror / CHR21).read_bytes() == site.archive.files[CHR21]
    site.sync(contig=FEW)
    report = site.sync(contig=FEW, door=doors, dry_run=True)
    assert report.details["would_stage"] == []
    assert not site.sync(contig=FEW, door=doors).changed


def test_globus_without_a_token_says_what_it_would_do(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if "GLOBUS" in name]:
        monkeypatch.delenv(name)
    to = "globus://ddb59aef-6d04-11e5-ba46-22000b92c6ec/stage/"
    doors = ("globus", *site.doors)
    for dry_run in (True, False):
        report = site.sync(contig=FEW, door=doors, to=to, dry_run=dry_run)
        assert "Globus would transfer:" in report.text
        assert "8 files" in report.text
    assert set(site.states().values()) == {"listed"}


# ------------------------------------------------------------------------------------------------ the command line


def kgp_process(*argv: str, environ: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    code = "import sys; from kgp.cli import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, *argv],
        env={**os.environ, "PYTHONPATH": str(Path(kgp.__file__).parents[1]), **(environ or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def arguments(site: Site, *more: str) -> list[str]:
    doors = [word for door in site.doors for word in ("--door", door)]
    return [
        "--lake",
        str(site.lake),
        "sync",
        "phase3",
        "--to",
        str(site.mirror),
        *doors,
        "--attempts",
        "1",
        *more,
    ]


SECRETS = {
    "AZURE_STORAGE_ACCOUNT_KEY": "Y2FuYXJ5LWtleS1jYW5hcnkta2V5LWNhbmFyeS1rZXk=",
    "AZURE_STORAGE_SAS_TOKEN": "?sv=2024-01-01&sig=canarysignature%3D",
    "AZURE_CLIENT_SECRET": "canary-client-secret",
    "AWS_SECRET_ACCESS_KEY": "canary-aws-secret",
    "AWS_SESSION_TOKEN": "canary-aws-session",
    "GLOBUS_ACCESS_TOKEN": "canary-globus-token",
    "KGP_GLOBUS_TOKEN": "canary-globus-token",
}


def check_canary(data: bytes) -> None:
    for name, secret in SECRETS.items():
        assert secret.encode() not in data, name
    assert b"canary" not in data


def test_the_command_says_what_it_did_and_no_secret(site: Site, azure: Azurite, web: WebServer) -> None:
    secret = azure.accounts["own"]
    sas = azure.sas("own", "stage", permission="racwdl")
    expired = azure.sas("own", "stage", permission="racwdl", seconds=-60)
    with_key = SECRETS | {"AZURE_STORAGE_ACCOUNT_KEY": secret}
    lakes = {name: site.lake.with_name(name) for name in ("key", "sas", "expired")}

    def to_azure(name: str, environ: dict[str, str]) -> subprocess.Popen[str]:
        words = ("--lake", str(lakes[name]), "sync", "phase3", "--contig", "22", "--debug", "--door", "azure")
        return kgp_process(*words, "--to", f"az://stage@own/{name}", environ=environ)

    def with_sas(value: str) -> dict[str, str]:
        return SECRETS | {"AZURE_STORAGE_ACCOUNT_KEY": "", "AZURE_STORAGE_SAS_TOKEN": value}

    fine = arguments(site, *(word for contig in FEW for word in ("--contig", contig)))
    refused = arguments(site, "--contig", "22", "--to", "az://stage@own/x")
    runs = {
        "fine": kgp_process(*fine, "--debug", "--json", environ=with_key),
        "refused": kgp_process(*refused, "--debug", environ=SECRETS),
        "usage": kgp_process("sync", "phase33", "--debug", environ=SECRETS),
        "key": to_azure("key", with_key),
        "sas": to_azure("sas", with_sas(sas)),
        "expired": to_azure("expired", with_sas(f"?{expired}")),
    }
    outputs = {name: run.communicate(timeout=60) for name, run in runs.items()}
    codes = {name: run.returncode for name, run in runs.items()}
    assert codes == {"fine": 0, "refused": 1, "usage": 2, "key": 0, "sas": 0, "expired": 1}, outputs
    tables = [
        data for lake in (site.lake, *lakes.values()) if lake.exists() for data in read_all(lake).values()
    ]
    assert len(tables) > 6
    signatures = [parse_qs(value)["sig"][0] for value in (sas, expired)]
    hidden = [secret, *signatures, *(quote(signature, safe="") for signature in signatures)]
    said = [text.encode() for texts in outputs.values() for text in texts]
    for data in (*said, *tables):
        check_canary(data)
        for text in hidden:
            assert text.encode() not in data
    details = json.loads(outputs["fine"][0])["details"]
    assert (details["new"], details["staged"]) == (8, 8)
    for name in ("refused", "expired"):
        assert "Traceback" in outputs[name][1]
        assert "az://stage@own" in outputs[name][1].splitlines()[-1]
    assert "Did you mean phase3" in outputs["usage"][1]
    assert site.staged() == site.meant
    chr22 = {p for p in site.meant if "chr2" not in p or "chr22" in p}
    assert blobs(azure).keys() == {f"{name}/{path}" for name in ("key", "sas") for path in chr22}


def slowly(seconds: float, path: str, parts: int = 1) -> Callable[[BaseHTTPRequestHandler], bool]:
    """Holds the answers to some ranges of a file back: all but the first few."""
    n_seen = 0

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        nonlocal n_seen
        if handler.command == "GET" and handler.headers["Range"] and path in handler.path:
            n_seen += 1
            if n_seen > parts:
                handler.server.closing.wait(seconds)  # type: ignore[attr-defined]
        return False

    return answer


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 30) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_a_run_that_is_killed_is_gone_on_with(site: Site, web: WebServer) -> None:
    step = 8 << 20
    size = len(site.archive.put(CHR22, 3 * step + 5))
    site.archive.write_tree()
    web.answer = slowly(60, "chr22", parts=3)  # two ranges and the index come
    small = {path for path in site.meant if "chr2" not in path or "chr22.phase3" in path} - {CHR22}
    journal = (site.mirror / CHR22).with_name(f".{Path(CHR22).name}.kgp-journal")
    with ended(kgp_process(*arguments(site, "--contig", "22"))) as process:
        wait_until(
            lambda: (
                set(site.staged()) >= small and journal.exists() and journal.read_text().count("crc32") >= 2
            ),
            process,
        )
        process.kill()
        process.wait()
    assert CHR22 not in site.staged()
    assert set(site.states().values()) == {"listed"}  # known, and not yet called staged
    web.answer = None
    reads(web)
    report = site.sync(contig=("22",))
    ranges = [request for request in web.requests if request.range and request.path == CHR22]
    assert len(ranges) == 2  # of four
    assert report.details["adopted"] == len(small)
    assert (report.details["staged"], report.details["staged_bytes"]) == (1, size)
    assert report.details["read_bytes"] == size - 2 * step
    assert site.staged() == {path: site.archive.files[path] for path in small | {CHR22}}
    assert set(site.states().values()) == {"staged"}


def test_a_run_that_is_stopped_records_what_has_come(site: Site, web: WebServer) -> None:
    web.answer = slowly(60, "chr22", parts=0)
    site.archive.remove("current.tree")
    others = {path for path in site.meant if "chr2" not in path}
    with ended(kgp_process(*arguments(site, "--contig", "22"))) as process:
        wait_until(lambda: set(site.staged()) >= others, process)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
    states = site.states()
    assert {path for path, state in states.items() if state == "staged"} == others
    web.answer = None
    reads(web)
    assert site.sync(contig=("22",)).details["staged"] == 2
    assert not set(reads(web)) & others


# ------------------------------------------------------------------------------------------------ how files are moved


def test_a_door_never_has_more_connections_than_it_may(site: Site, web: WebServer) -> None:
    site.archive.put(CHR20 := genotypes("20"), 40 << 20)
    web.answer = counted = MostAtOnce(0.01)
    files = [Entry(path, len(data)) for path, data in site.archive.files.items()]
    for connections in (1, 3):
        counted.most = 0
        target = site.mirror / str(connections)
        door = Door("own", "https", web.url, "1000genomes", "")
        transfer = Transfer((door,), str(target), "own", connections, 1, 20.0)
        meter = Meter({entry.path: entry.size for entry in files})
        outcomes = list(move_by_driver(files, transfer, meter))
        assert [o.problem for o in outcomes if o.problem is not None] == []
        assert read_all(target) == site.archive.files
        assert counted.most == connections
        assert meter.text().startswith(f"{len(files)}/{len(files)} files, ")
        assert meter.text().endswith("0 s left")
    assert CHR20 in site.archive.files


def test_whoever_stops_asking_leaves_the_rest_undone(site: Site, web: WebServer) -> None:
    files = [Entry(path, len(data)) for path, data in site.archive.files.items()]
    door = Door("own", "https", web.url, "1000genomes", "")
    transfer = Transfer((door,), str(site.mirror), "own", 1, 1, 20.0)
    moves = move_by_driver(files, transfer, Meter({entry.path: entry.size for entry in files}))
    assert next(moves).staged is not None
    moves.close()  # type: ignore[attr-defined]
    time.sleep(0.5)
    n_staged = len([path for path in site.staged() if not path.rpartition("/")[2].startswith(".")])
    assert n_staged < len(files)


def test_progress_counts_what_is_there_and_not_what_was_read_twice() -> None:
    now = [0.0]
    meter = Meter({"a": 6_000_000, "b": 3_000_000, "c": None}, clock=lambda: now[0])
    assert meter.text() == "0/3 files, 0.0/9.0 MB"
    now[0] = 2.0
    meter.read("a", 1_000_000)
    assert meter.text() == "0/3 files, 1.0/9.0 MB, 500.0 kB/s, 16 s left"
    meter.settle("a", is_there=True)  # the rest of it was there from an earlier run
    assert meter.text() == "1/3 files, 6.0/9.0 MB, 500.0 kB/s, 6 s left"
    meter.read("b", 3_000_000)
    meter.read("b", 3_000_000)  # of a wrong MD5, and read again
    now[0] = 7.0
    assert meter.text() == "1/3 files, 9.0/9.0 MB, 1.0 MB/s, 0 s left"
    meter.settle("b", is_there=False)
    meter.settle("c", is_there=True)
    assert meter.text().startswith("2/3 files (1 failed), 9.0/9.0 MB")


@pytest.mark.parametrize(
    ("environ", "who", "size", "target", "expected"),
    [
        ({}, "auto", 2 << 30, "az://c@a", False),
        ({}, "spark", 1, "/data", True),
        ({"DATABRICKS_RUNTIME_VERSION": "15"}, "auto", 2 << 30, "az://c@a", True),
        ({"DATABRICKS_RUNTIME_VERSION": "15"}, "auto", 2 << 30, "/Volumes/a/b", True),
        ({"DATABRICKS_RUNTIME_VERSION": "15"}, "auto", 2 << 30, "file:///dbfs/a", True),
        ({"DATABRICKS_RUNTIME_VERSION": "15"}, "auto", 2 << 30, "/local_disk0", False),
        ({"DATABRICKS_RUNTIME_VERSION": "15"}, "auto", 1 << 20, "az://c@a", False),
        ({"PYSPARK_GATEWAY_PORT": "1"}, "driver", 2 << 30, "az://c@a", False),
    ],
)
def test_who_moves_the_files(
    environ: dict[str, str], who: str, size: int, target: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABRICKS_RUNTIME_VERSION", "PYSPARK_GATEWAY_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert wants_spark(who, [Entry("a", size)], target) is expected
