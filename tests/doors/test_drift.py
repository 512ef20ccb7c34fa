"""`kgp sources --check`: how doors answer, and where what they serve differs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgp import cli, sourcedocs
from kgp.errors import InputError, UsageError
from kgp.io.drift import Check, DoorState, Drift, find_drift
from kgp.sources import Entry
from servers.archive import PANEL, PHASE3, README, Archive, genotypes, md5_of
from servers.azurite import Azurite, key, serve_azurite
from servers.ftp import serve_ftp
from servers.http import serve_http
from servers.proxy import Fault, FaultyProxy

CHR21, CHR22 = genotypes("21"), genotypes("22")
FEW = ("20", "21", "22")


@pytest.fixture(scope="module")
def azurite() -> Iterator[Azurite]:
    with serve_azurite(accounts={"dataset1000genomes": key(), "mirror": key()}) as azurite:
        yield azurite


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    archive = Archive(tmp_path / "archive")
    archive.add_phase3(FEW)
    archive.write_tree()
    return archive


@pytest.fixture
def web(archive: Archive) -> Iterator[str]:
    with serve_http(archive.root) as server:
        yield server.url


@pytest.fixture
def azure(azurite: Azurite, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> Iterator[Azurite]:
    """Both public accounts have the archive as it is now."""
    for account in azurite.accounts:
        azurite.make_container(account, "dataset", public=True)
        azurite.upload(account, "dataset", archive.root)
    monkeypatch.setenv("KGP_AZURE_ENDPOINTS", azurite.endpoints({"dataset1000genomes-secondary": "mirror"}))
    yield azurite
    for account in azurite.accounts:
        with azurite.client(account) as client:
            client.delete_container("dataset")


def check(*doors: str, **given: object) -> Check:
    return sourcedocs.check("phase3", doors=doors, contigs=FEW, timeout=10, **given)  # type: ignore[arg-type]


def test_doors_that_serve_the_same(archive: Archive, azure: Azurite, web: str) -> None:
    with serve_ftp(archive.root) as files:
        found = check("azure", "azure-secondary", f"igsr-https={web}", f"igsr-ftp={files.url}")
    assert [state.door for state in found.states] == ["azure", "azure-secondary", "igsr-https", "igsr-ftp"]
    n_bytes = sum(
        len(d) for p, d in archive.files.items() if p.startswith(PHASE3) and "/supporting/" not in p
    )
    for state in found.states:
        assert (state.n_files, state.n_bytes, state.n_unstated, state.problem) == (8, n_bytes, 0, None)
        assert 0 <= (state.seconds or -1) < 10
        assert 0 <= (state.listed_in or -1) < 10
        assert state.notes == ()
    assert (found.drift, found.n_same, found.n_unproven) == ((), 8, 0)
    text = sourcedocs.render_check(found)
    assert "All 8 files are the same at azure, azure-secondary, igsr-https and igsr-ftp." in text
    assert "note:" not in text


def test_where_they_differ(archive: Archive, azure: Azurite, web: str) -> None:
    size = len(archive.files[CHR21])
    with azure.client("mirror").get_container_client("dataset") as mirror:
        mirror.delete_blob(README)
    azure.upload("mirror", "dataset", {CHR22: b"cut"})
    other = bytes(size)
    azure.upload("mirror", "dataset", {CHR21: other})
    azure.upload("dataset1000genomes", "dataset", {f"{PHASE3}/README_new": b"only here\n"})
    found = check("azure", "azure-secondary", f"igsr-https={web}")
    doors = ("azure", "azure-secondary", "igsr-https")

    def drift(path: str, kind: str, *values: object) -> Drift:
        return Drift(path, kind, dict(zip(doors, map(str, values), strict=True)))

    right, n_right = md5_of(archive.files[CHR21]), len(archive.files[CHR22])
    assert found.drift == (
        drift(CHR21, "md5", right, md5_of(other), right),
        drift(CHR22, "size", n_right, 3, n_right),
        drift(f"{PHASE3}/README_new", "missing", 10, "missing", "missing"),
        drift(README, "missing", len(archive.files[README]), "missing", len(archive.files[README])),
    )
    assert found.n_same == 5
    text = sourcedocs.render_check(found)
    assert "4 files differ among azure, azure-secondary and igsr-https, 5 are the same." in text
    row = next(line for line in text.splitlines() if line.startswith(README))
    assert row.split() == [README, "missing", "25", "missing", "25"]


def test_where_nobody_states_an_md5_only_sizes_are_compared(
    archive: Archive, azure: Azurite, web: str
) -> None:
    archive.remove("current.tree")
    found = check("azure", f"igsr-https={web}")
    assert [state.n_unstated for state in found.states] == [0, 8]
    assert (found.n_same, found.n_unproven) == (8, 8)
    assert "note: of 8 of the files that are the same only the size was compared" in sourcedocs.render_check(
        found
    )


def test_doors_that_do_not_answer(archive: Archive, web: str) -> None:
    with FaultyProxy("127.0.0.1", urlsplit(web).port or 0) as proxy:
        proxy.script(Fault("status", times=None, match="", status=503, retry_after="3600"))
        slow = f"ncbi-https=http://127.0.0.1:{proxy.port}"
        found = check(
            f"igsr-https={web}", slow, "aws=http://127.0.0.1:9/x", f"mine={archive.root / 'nothing'}"
        )
        assert proxy.n_faults == 1  # it was asked once, and not waited for
    problems = {state.door: state.problem for state in found.states}
    assert problems == {
        "igsr-https": None,
        "ncbi-https": "the server answers with status 503",
        "aws": "the connection failed or was cut",
        "mine": "there is no such file or directory",
    }
    assert found.drift == ()
    text = sourcedocs.render_check(found)
    assert "Only igsr-https answered: there is nothing to compare its 8 files with." in text
    with pytest.raises(InputError, match="No door answered"):
        check("aws=http://127.0.0.1:9/x")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["phase33"], "Did you mean phase3"),
        (["phase3", "--door", "geo-https"], "serves geo"),
        (["phase3", "--door", "aspera"], "aspera only brings files"),
        (["phase3", "--contig", "99"], "has no file for contig '99'"),
        (["phase3", "--part", "genotype"], "Did you mean genotypes"),
        (["phase3", "--timeout", "0"], "--timeout: 0.0 is out of range"),
    ],
)
def test_what_can_not_be_checked(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sources", *arguments, "--check"]) == 2
    assert text in capsys.readouterr().err


def test_the_command_as_a_table_and_as_json(
    archive: Archive, web: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mirror = Archive(tmp_path / "mirror")
    mirror.add_phase3(FEW)
    mirror.put(PANEL, b"short\n")
    options = [
        "--contig",
        "20",
        "--contig",
        "21",
        "--door",
        f"igsr-https={web}",
        "--door",
        f"own={mirror.root}",
    ]
    assert cli.main(["sources", "phase3", "--check", *options]) == 0
    printed = capsys.readouterr().out
    assert "1 files differ" not in printed
    assert "1 file differs among igsr-https and own, 5 are the same." in printed
    assert cli.main(["sources", "phase3", "--check", "--json", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    values = {"igsr-https": str(len(archive.files[PANEL])), "own": "6"}
    assert found["drift"] == [{"path": PANEL, "kind": "size", "values": values}]
    assert [state["door"] for state in found["states"]] == ["igsr-https", "own"]
    assert found["n_same"] == 5
    with pytest.raises(UsageError):
        sourcedocs.check("phase3", timeout=float("nan"))


# ------------------------------------------------------------------------------------------------------ what differs

entries = st.builds(
    Entry,
    st.just("x"),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([None, "a" * 32, "b" * 32]),
)


@given(st.lists(st.one_of(st.none(), entries), min_size=1, max_size=4))
def test_one_file_at_many_doors(found: list[Entry | None]) -> None:
    if all(entry is None for entry in found):
        return
    listings = {f"door{n}": [] if entry is None else [entry] for n, entry in enumerate(found)}
    drift, n_same, n_unproven = find_drift(listings)
    there = [entry for entry in found if entry is not None]
    pairs = [(a, b) for a in there for b in there]
    sizes_differ = any(a.size and b.size and a.size != b.size for a, b in pairs)
    md5s_differ = any(a.md5 and b.md5 and a.md5 != b.md5 for a, b in pairs)
    expected = "missing" if None in found else "size" if sizes_differ else "md5" if md5s_differ else None
    assert [one.kind for one in drift] == ([] if expected is None else [expected])
    assert n_same == (expected is None)
    assert n_unproven == (expected is None and sum(entry.md5 is not None for entry in there) < 2)


def test_a_long_table_is_cut_and_json_is_not() -> None:
    drift = tuple(Drift(f"file{n:03}", "missing", {"a": "5", "b": "missing"}) for n in range(100))
    found = Check("phase3", (DoorState("a"), DoorState("b")), drift, 0, 0, datetime.now(UTC))
    text = sourcedocs.render_check(found)
    assert "file039" in text
    assert "file040" not in text
    assert "… and 60 more: --json tells of all." in text
    assert len(sourcedocs.check_as_dict(found)["drift"]) == 100
