"""plink2 `--make-pgen` and bcftools `view -Ob`: programs in C, one process a run."""

from __future__ import annotations

from pathlib import Path

from timing import arguments, call, first_line, measure, size, tell


def main() -> None:
    """Print the seconds as one line of JSON."""
    parser = arguments("plink2 or bcftools")
    parser.add_argument("--program", choices=("plink2", "bcftools"), required=True)
    parser.add_argument("--cores", type=int, default=2)
    given = parser.parse_args()

    def run_plink2(work: Path) -> None:
        out = ("--out", work / "out", "--threads", given.cores, "--memory", 4000)
        call("plink2", "--vcf", given.vcf, "--make-pgen", *out)

    def run_bcftools(work: Path) -> None:
        call("bcftools", "view", "-Ob", "--threads", given.cores, "-o", work / "out.bcf", given.vcf)

    run = run_plink2 if given.program == "plink2" else run_bcftools
    seconds = measure(run, given.work, given.runs)
    if given.program == "plink2":
        with open(given.work / "out.pvar", "rb") as lines:
            rows = sum(not line.startswith(b"#") for line in lines)
    else:
        call("bcftools", "index", given.work / "out.bcf")
        rows = int(first_line("bcftools", "index", "--nrecords", given.work / "out.bcf"))
    # plink2 also leaves its log.
    n = sum(size(p) for p in given.work.iterdir() if p.suffix not in (".log", ".csi"))
    tell(**seconds, rows=rows, bytes=n, versions={given.program: first_line(given.program, "--version")})


if __name__ == "__main__":
    main()
