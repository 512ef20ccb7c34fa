"""A region of an indexed file on a server: the rows are bcftools' rows, the bytes fetched those of the region."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import random
import shutil
import subprocess
import tempfile
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from kgp.config import Config, load_config
from kgp.io.delta import Lake
from kgp.io.inflate import END_MARKER
from kgp.io.splits import Split, plan_splits, read_chunks
from kgp.io.storage import READ_AHEAD
from kgp.io.vcf.header import read_header
from kgp.io.vcf.region_reads import plan_selected
from kgp.io.vcf.selection import Selection
from kgp.job import Progress, Report, run_job
from kgp.jobs.load_variants import LOAD_VARIANTS
from kgp.params import LoadVariants, Region
from kgp.tables import LOADS, VARIANTS

KIB = 1 << 10
# What is fetched of a file beside the blocks of a region: its beginning, five times 64 KiB at most, to see what it is
# and to read its header; at both ends of the region 16 KiB to check the index; 64 KiB behind the region, where the last
# line might end; and the end marker.
AROUND = (5 * 64 + 2 * 16 + 64 + 1) * KIB


@dataclass
class Server:
    """A directory on a web server that counts.

    Args:
        url: of the directory.
        fetched: (file, bytes sent) of each GET.
    """

    url: str
    fetched: list[tuple[str, int]] = field(default_factory=list)

    def n_bytes(self, name: str) -> int:
        """Bytes sent of a file."""
        return sum(n for file, n in self.fetched if file == name)


def serve(directory: Path, *, gives_parts: bool) -> Iterator[Server]:
    """Serve a directory, with Range and ETag as storage has them."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def answer(self) -> None:
            path = directory / self.path.split("?")[0].lstrip("/")
            if not path.is_file():
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            size = path.stat().st_size
            asked = self.headers.get("Range") if gives_parts else None
            first, last = (
                int(one) for one in (asked or f"bytes=0-{size - 1}").removeprefix("bytes=").split("-")
            )
            last = min(last, size - 1)
            self.send_response(HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK)
            self.send_header("Content-Length", str(last - first + 1))
            self.send_header("ETag", f'"{path.name}-{size}"')
            if asked:
                self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            self.end_headers()
            if self.command == "GET":
                server.fetched.append((path.name, last - first + 1))
                self.send(path, first, last)

        def send(self, path: Path, first: int, last: int) -> None:
            with open(path, "rb") as file, contextlib.suppress(ConnectionError):
                file.seek(first)
                while first <= last:
                    first += self.wfile.write(file.read(min(256 * KIB, last + 1 - first)))

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Who has read enough hangs up."""

    with Quiet(("127.0.0.1", 0), Handler) as one:
        server = Server(f"http://127.0.0.1:{one.server_port}/")
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield server
        one.shutdown()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """What lies on the server."""
    path = tmp_path / "server"
    path.mkdir()
    return path


@pytest.fixture
def server(directory: Path) -> Iterator[Server]:
    yield from serve(directory, gives_parts=True)


@pytest.fixture
def plain_server(directory: Path) -> Iterator[Server]:
    """A server that sends files only whole."""
    yield from serve(directory, gives_parts=False)


def lines_of(splits: list[Split], **options: Any) -> list[bytes]:
    return [
        line for split in splits for one in read_chunks(split, **options) for line in one.data.splitlines()
    ]


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def run_tool(*command: str | Path) -> bytes:
    return subprocess.run(command, check=True, capture_output=True).stdout


def stored_size(path: Path, region: str, scratch: Path) -> int:
    """Bytes that the records of a region take when they are compressed."""
    scratch.write_bytes(run_tool("tabix", path, region))
    return len(run_tool("bgzip", "-l", "9", "-c", scratch))


def test_of_a_region_little_more_than_its_blocks_is_fetched(
    server: Server, directory: Path, bundled: Path, tmp_path: Path, require_tool: Callable[[str], Path]
) -> None:
    require_tool("tabix")
    require_tool("bgzip")
    path = bundled / "genotypes.chr22.vcf.gz"
    for name in (path.name, f"{path.name}.tbi"):
        shutil.copy(bundled / name, directory)
    url = f"{server.url}{path.name}?sig=abc"
    for region in ("chr22:40000000-40010000", "chr22:32561375-32561375", "chr22:34000000-36500000"):
        server.fetched.clear()
        read_header(url)
        selection = Selection(regions=(Region.parse(region),))
        plan = plan_selected(url, selection, {}, n_cores=1)
        assert plan.splits
        expected = run_tool("tabix", path, region).splitlines()
        assert expected
        assert set(expected) <= set(lines_of(plan.splits))
        assert server.n_bytes(f"{path.name}.tbi") == (bundled / f"{path.name}.tbi").stat().st_size
        # The first and the last block may hold other records, too.
        needed = stored_size(path, region, tmp_path / "records") + 2 * 64 * KIB
        assert server.n_bytes(path.name) < 1.05 * needed + AROUND


def test_a_remote_file_streams(
    server: Server, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests of bounded size, each byte about once, nothing on disk, and in memory only what is being read."""
    one = "".join(
        f"22\t{n}\t.\tA\tC\t.\t.\tX={random.Random(n).randbytes(3_000).hex()}\n" for n in range(200)
    )
    block = run_tool("bgzip", "-c", write(tmp_path / "one", one.encode())).removesuffix(END_MARKER)
    n_times = 40
    (directory / "a.vcf.gz").write_bytes(block * n_times + END_MARKER)
    size = (directory / "a.vcf.gz").stat().st_size
    assert size > 20 << 20
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    url = server.url + "a.vcf.gz"
    splits = plan_splits(url, n=2)
    server.fetched.clear()
    tracemalloc.start()
    n_lines = sum(
        len(chunk.lines()[0]) for split in splits for chunk in read_chunks(split, chunk_bytes=1 << 20)
    )
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n_lines == 200 * n_times
    assert most < 10 << 20
    assert max(n for _, n in server.fetched) <= 1 << 20
    assert size <= server.n_bytes("a.vcf.gz") < size + 2 * 64 * KIB
    assert not list(scratch.iterdir())

    server.fetched.clear()
    assert sum(len(chunk.lines()[0]) for split in splits for chunk in read_chunks(split)) == n_lines
    assert max(n for _, n in server.fetched) <= READ_AHEAD
    assert len(server.fetched) <= size // READ_AHEAD + 2 * len(splits)


def test_a_server_that_sends_files_only_whole(plain_server: Server, directory: Path, bundled: Path) -> None:
    path = bundled / "genotypes.chr22.vcf.gz"
    shutil.copy(path, directory)
    splits = plan_splits(plain_server.url + path.name, n=2)
    assert len(splits) == 2
    found = lines_of(splits)
    assert found == gzip.decompress(path.read_bytes()).splitlines()


@pytest.fixture
def load(lake: Lake, config: Config) -> Callable[..., Report]:
    """Run the job on a file with options, into a callset."""

    def run(callset: str, url: str, **options: Any) -> Report:
        given = {"callset": callset, "build": "GRCh37", "reader": "builtin", **options, "vcf": (url,)}
        here = load_config(lake=lake.uri, environ={})
        return run_job(LOAD_VARIANTS, config.params(LoadVariants, given), here, progress=Progress(quiet=True))

    return run


def rows_of(lake: Lake, callset: str) -> list[tuple[Any, ...]]:
    """Contig as spelled, POS, REF, ALT and dosages of a callset's rows, in order."""
    columns = ["callset", "source_contig", "start", "ref", "alt", "dosages"]
    rows = [row for row in lake.fetch(VARIANTS, columns).to_pylist() if row["callset"] == callset]
    return sorted((r["source_contig"], r["start"] + 1, r["ref"], r["alt"], r["dosages"]) for r in rows)


def test_regions_loaded_from_a_server(
    server: Server,
    directory: Path,
    bundled: Path,
    tmp_path: Path,
    lake: Lake,
    load: Callable[..., Report],
    require_tool: Callable[[str], Path],
) -> None:
    """With the index, without it, and with that of another file."""
    for tool in ("bcftools", "tabix", "bgzip"):
        require_tool(tool)
    path = bundled / "genotypes.chr22.vcf.gz"
    index = f"{path.name}.tbi"
    shutil.copy(path, directory)
    shutil.copy(bundled / index, directory)
    regions = ("chr22:40000000-40020000", "chr22:50000000-50010000")
    copies = {"0|0": 0, "0|1": 1, "1|0": 1, "1|1": 2}
    query = run_tool(
        "bcftools", "query", "-r", ",".join(regions), "-f", "%CHROM\t%POS\t%REF\t%ALT[\t%GT]\n", path
    )
    expected = []
    for line in query.decode().splitlines():
        contig, pos, ref, alt, *gts = line.split("\t")
        expected.append((contig, int(pos), ref, alt, [copies[gt] for gt in gts]))
    assert len(expected) > 50

    server.fetched.clear()
    asked = tuple(one.removeprefix("chr") for one in regions)
    report = load("indexed", server.url + path.name, region=asked)
    fetched = server.n_bytes(path.name)
    size = path.stat().st_size
    needed = sum(stored_size(path, region, tmp_path / "records") + 2 * 64 * KIB for region in regions)
    assert rows_of(lake, "indexed") == sorted(expected)
    assert fetched < 1.05 * needed + AROUND + 3 * 64 * KIB < size / 4
    assert len(server.fetched) < 25
    # What is said of it: the index, its checks and the tasks' blocks; not the header.
    bytes_read = report.details["bytes_read"]
    assert fetched - 5 * 64 * KIB <= bytes_read - server.n_bytes(index) <= fetched
    assert f"{path.name}: read {bytes_read / 1e6:.1f} of {size / 1e6:.1f} MB by its index" in "\n".join(
        report.notes
    )

    (directory / index).unlink()
    server.fetched.clear()
    report = load("scanned", server.url + path.name, region=asked)
    assert rows_of(lake, "scanned") == sorted(expected)
    assert server.n_bytes(path.name) > size
    assert "bytes_read" not in report.details

    head = tmp_path / "head.vcf"
    head.write_bytes(
        b"".join(line + b"\n" for line in gzip.decompress(path.read_bytes()).splitlines()[:5_000])
    )
    (tmp_path / "head.vcf.gz").write_bytes(run_tool("bgzip", "-c", head))
    run_tool("tabix", tmp_path / "head.vcf.gz")
    shutil.copy(tmp_path / "head.vcf.gz.tbi", directory / index)
    report = load("stale", server.url + path.name, region=asked)
    assert rows_of(lake, "stale") == sorted(expected)
    assert "1 x index does not belong to the file" in "\n".join(report.notes)
    warnings = {row["subject"]: dict(row["warnings"]) for row in lake.fetch(LOADS).to_pylist()}
    assert [
        warnings[name].get("index does not belong to the file") for name in ("indexed", "scanned", "stale")
    ] == [
        None,
        None,
        1,
    ]
