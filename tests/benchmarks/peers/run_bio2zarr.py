"""bio2zarr: `vcf2zarr explode` and `vcf2zarr encode`, the two commands as a person types them."""

from __future__ import annotations

import sys
import time
from importlib.metadata import version
from pathlib import Path

import zarr
from timing import arguments, call, measure, size, tell


def main() -> None:
    """Print the seconds as one line of JSON."""
    parser = arguments("bio2zarr: vcf2zarr explode + encode")
    parser.add_argument("--cores", type=int, default=2)
    given = parser.parse_args()
    vcf2zarr = Path(sys.executable).with_name("vcf2zarr")
    steps: dict[str, list[float]] = {"explode": [], "encode": []}

    def run(work: Path) -> None:
        def step(name: str, *paths: Path) -> None:
            began = time.perf_counter()
            call(vcf2zarr, name, "-p", given.cores, "--no-progress", "--force", *paths)
            steps[name].append(round(time.perf_counter() - began, 3))

        step("explode", given.vcf, work / "out.icf")
        step("encode", work / "out.icf", work / "out.vcz")

    seconds = measure(run, given.work, given.runs)
    out = given.work / "out.vcz"
    tell(
        **seconds,
        steps=steps,
        rows=int(zarr.open(str(out), mode="r")["variant_position"].shape[0]),
        bytes=size(out),
        versions={name: version(name) for name in ("bio2zarr", "cyvcf2", "zarr")},
    )


if __name__ == "__main__":
    main()
