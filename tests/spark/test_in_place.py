"""A VCF is loaded from where an archive serves it, by each kind of door; with its index, a region of it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kgp.config import Config, load_config
from kgp.io.delta import Lake
from kgp.io.storage import RangeReader, content_id, file_size
from kgp.job import Progress, run_job
from kgp.jobs.load_variants import LOAD_VARIANTS
from kgp.tables import LOADS, VARIANTS
from servers.azurite import serve_azurite
from servers.ftp import serve_ftp
from servers.http import serve_http
from servers.s3 import serve_s3

NAME = "ALL.chr22.phase3.vcf.gz"
REGION = "22:32300000-32340000"
PUBLIC = "dataset1000genomes"


@pytest.fixture(scope="module")
def archive(bundled: Path, tmp_path_factory: pytest.TempPathFactory, require_tool) -> Path:
    """A directory with the bundled slice as a release's file, and its index."""
    directory = tmp_path_factory.mktemp("archive")
    (directory / NAME).write_bytes((bundled / "genotypes.chr22.vcf.gz").read_bytes())
    subprocess.run([require_tool("tabix"), "-p", "vcf", str(directory / NAME)], check=True)
    return directory


@pytest.fixture(scope="module")
def expected(archive: Path, require_tool: Callable[[str], Path]) -> list[str]:
    """IDs of the region's records, by bcftools."""
    command = [
        require_tool("bcftools"),
        "query",
        "-r",
        f"chr{REGION}",
        "-f",
        "%POS %REF %ALT\n",
        str(archive / NAME),
    ]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(lines) > 20
    return lines


@pytest.fixture(scope="module")
def urls(archive: Path) -> Iterator[dict[str, str]]:
    """The same file at each kind of door: kind → URL."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        web = stack.enter_context(serve_http(archive))
        files = stack.enter_context(serve_ftp(archive))
        azurite = stack.enter_context(serve_azurite(accounts={PUBLIC: "c2VjcmV0"}))
        azurite.make_container(PUBLIC, "dataset", public=True)
        azurite.upload(PUBLIC, "dataset", archive)
        patch.setenv("KGP_AZURE_ENDPOINTS", azurite.endpoints())
        # A key of one's own account, which the public one would not take.
        patch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "mine")
        patch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "bWluZQ==")
        yield {
            "https": f"{web.url}/{NAME}",
            "ftp": f"{files.url}/{NAME}",
            "az": f"az://dataset@{PUBLIC}/{NAME}",
            "wasbs": f"wasbs://dataset@{PUBLIC}.blob.core.windows.net/{NAME}",
        }


@pytest.mark.parametrize("kind", ["https", "ftp", "az", "wasbs"])
def test_a_region_comes_from_where_it_lies(
    kind: str, urls: dict[str, str], expected: list[str], lake: Lake, config: Config
) -> None:
    options = {"callset": "c", "build": "GRCh37", "region": (REGION,), "vcf": (urls[kind],)}
    here = load_config(lake=lake.uri, environ={})
    report = run_job(
        LOAD_VARIANTS, config.params(LOAD_VARIANTS.params, options), here, progress=Progress(quiet=True)
    )
    assert report.rows[VARIANTS.name] == len(expected)
    rows = lake.fetch(VARIANTS, ["start", "ref", "alt"]).to_pylist()
    assert sorted(f"{r['start'] + 1} {r['ref']} {r['alt']}" for r in rows) == sorted(expected)
    (load,) = lake.fetch(LOADS).to_pylist()
    assert load["path"].endswith(NAME)
    assert load["rows_quarantined"] == 0


def test_a_bucket_is_read_in_place(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archives' buckets without a credential, whatever the environment has."""
    data = (archive / NAME).read_bytes()
    with serve_s3() as s3:
        s3.make_bucket("1000genomes", {f"release/{NAME}": data})
        monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
        url = f"s3://1000genomes/release/{NAME}"
        assert file_size(url) == len(data)
        assert content_id(url).endswith(f":{len(data)}") or content_id(url).startswith("md5:")
        with RangeReader(url, end=200_000) as reader:
            reader.seek(100_000)
            assert reader.read_fully(50_000) == data[100_000:150_000]
