"""How fast a blob comes in ranges and names come in pages: through `AzureDoor`, and through the SDK alone.

    python tests/benchmarks/azure_reads.py [--mib 512] [--runs 5] [--names 100000]

Azurite keeps the blobs on disk and answers on loopback. The two ways to read take turns, so that what else the
machine does strikes both; figures are medians. Each range of 8 MiB is one request, and eight are under way at once.
Every listing runs in a process of its own, whose peak of memory is that of the listing.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "lib"), str(ROOT / "tests")]

from kgp.io.doors.azure import AzureDoor  # noqa: E402
from kgp.sources import Door  # noqa: E402
from servers.azurite import Azurite, serve_azurite  # noqa: E402

N_AT_ONCE = 8
RANGE = 8 << 20
ACCOUNT, CONTAINER, BLOB = "bench", "bench", "big"
DOOR = Door("bench", "azure", f"az://{CONTAINER}@{ACCOUNT}", "bench", "Azurite")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--names", type=int, default=100_000)
    parser.add_argument("--list", choices=("door", "sdk"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.list:
        print(json.dumps(_listed({"door": _list_by_door, "sdk": _list_by_sdk}[options.list])))
        return
    with TemporaryDirectory() as directory:
        if options.mib:
            measure_reads(Path(directory) / "reads", options.mib << 20, options.runs)
        if options.names:
            measure_listings(Path(directory) / "names", options.names, options.runs)


def measure_reads(directory: Path, size: int, n_runs: int) -> None:
    """Read a blob whole, in turns by the SDK and through a door."""
    data = os.urandom(1 << 20) * (size >> 20)
    with serve_azurite(directory, accounts={ACCOUNT: "c2VjcmV0"}) as azurite:
        _prepare(azurite)
        azurite.upload(ACCOUNT, CONTAINER, {BLOB: data})
        ranges = [(start, min(start + RANGE, size)) for start in range(0, size, RANGE)]
        door = AzureDoor(DOOR)
        ways: dict[str, Callable[[], list[bytes]]] = {
            "sdk": lambda: asyncio.run(_read_by_sdk(azurite, ranges)),
            "door": lambda: _read_by_door(door, ranges),
        }
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        seconds: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(n_runs):
            for way, read in ways.items():
                began, used = time.perf_counter(), time.process_time()
                parts = read()
                seconds[way].append((time.perf_counter() - began, time.process_time() - used))
                assert hashlib.md5(b"".join(parts), usedforsecurity=False).digest() == digest
        door.close()
    for way, runs in seconds.items():
        wall, cpu = (median(run[i] for run in runs) for i in (0, 1))
        print(f"read  {way:5}{size / wall / 1e6:8.0f} MB/s  {wall:6.2f} s, of it own CPU {cpu:.2f} s")


def measure_listings(directory: Path, n_names: int, n_runs: int) -> None:
    """List a container of many names, in turns by the SDK and through a door."""
    with serve_azurite(directory, accounts={ACCOUNT: "c2VjcmV0"}) as azurite:
        _prepare(azurite)
        azurite.upload(ACCOUNT, CONTAINER, {"one": b"one"})
        time.sleep(6)  # Azurite writes its records every 5 seconds
        os.killpg(azurite.process.pid, signal.SIGTERM)
    _multiply(directory / "__azurite_db_blob__.json", n_names)
    # A third of Azurite's time would go into collecting what a page leaves behind.
    os.environ.setdefault("NODE_OPTIONS", "--max-semi-space-size=256")
    with serve_azurite(directory, accounts={ACCOUNT: "c2VjcmV0"}) as azurite:
        environ = os.environ | _environ(azurite)
        results: dict[str, list[dict[str, float]]] = {"sdk": [], "door": []}
        for _ in range(n_runs):
            for way, runs in results.items():
                used = _cpu_of(azurite)
                made = subprocess.run(
                    [sys.executable, __file__, "--list", way], env=environ, check=True, stdout=subprocess.PIPE
                )
                runs.append(json.loads(made.stdout) | {"azurite": _cpu_of(azurite) - used})
                assert runs[-1]["n"] == n_names
    for way, runs in results.items():
        wall, cpu, azurite_cpu, mb = (
            median(run[i] for run in runs) for i in ("wall", "cpu", "azurite", "mb")
        )
        print(
            f"list  {way:5}{n_names / wall:8.0f} names/s  {wall:6.2f} s, CPU: own {cpu:.2f} s, "
            f"Azurite's {azurite_cpu:.2f} s; peak {mb:.0f} MB"
        )


def _environ(azurite: Azurite) -> dict[str, str]:
    return {"KGP_AZURE_ENDPOINTS": azurite.endpoints(), "AZURE_STORAGE_ANON": "true"}


def _prepare(azurite: Azurite) -> None:
    azurite.make_container(ACCOUNT, CONTAINER, public=True)
    os.environ.update(_environ(azurite))


async def _read_by_sdk(azurite: Azurite, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    from azure.storage.blob.aio import BlobServiceClient

    turns = asyncio.Semaphore(N_AT_ONCE)
    async with BlobServiceClient(azurite.endpoint(ACCOUNT)) as service:
        client = service.get_blob_client(CONTAINER, BLOB)

        async def read(start: int, end: int) -> bytes:
            async with turns:
                return await (await client.download_blob(start, end - start)).readall()

        return await asyncio.gather(*(read(*bounds) for bounds in ranges))


def _read_by_door(door: AzureDoor, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    with ThreadPoolExecutor(N_AT_ONCE) as pool:
        return list(pool.map(lambda bounds: door.read_range(BLOB, *bounds), ranges))


def _listed(list_names: Callable[[], int]) -> dict[str, float]:
    began, used = time.perf_counter(), time.process_time()
    n = list_names()
    return {
        "n": n,
        "wall": time.perf_counter() - began,
        "cpu": time.process_time() - used,
        "mb": _peak_bytes() / 1e6,
    }


def _peak_bytes() -> int:
    """Most memory that this process has had; the counter that every system has would know its parent's too."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _list_by_door() -> int:
    return len(list(AzureDoor(DOOR).list("")))


def _list_by_sdk() -> int:
    from azure.storage.blob.aio import BlobServiceClient

    async def names() -> int:
        endpoint = os.environ["KGP_AZURE_ENDPOINTS"].partition("=")[2]
        async with BlobServiceClient(endpoint) as service:
            blobs = service.get_container_client(CONTAINER).list_blobs(
                include=["metadata"], results_per_page=5000
            )
            return len([blob async for blob in blobs])

    return asyncio.run(names())


def _multiply(records: Path, n_names: int) -> None:
    """Give a container with one blob many names for it, in Azurite's own records: uploads would take minutes."""
    database = json.loads(records.read_text())
    blobs = next(part for part in database["collections"] if part["name"] == "$BLOBS_COLLECTION$")
    names = sorted(
        f"phase3/data/HG{i // 20:05}/alignment/HG{i // 20:05}.chrom{i % 20}.bam" for i in range(n_names)
    )
    blobs["data"] = [blobs["data"][0] | {"name": name, "$loki": i + 1} for i, name in enumerate(names)]
    blobs["maxId"] = n_names
    for index in blobs["binaryIndices"].values():
        index["values"] = list(range(n_names))
    records.write_text(json.dumps(database))


def _cpu_of(azurite: Azurite) -> float:
    """Seconds of processor time that Azurite has had; 0 where the system does not tell as Linux does."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == azurite.process.pid:  # the group
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
