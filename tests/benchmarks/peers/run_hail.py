"""Hail: `import_vcf` and write a MatrixTable, in one warm session."""

from __future__ import annotations

from pathlib import Path

import hail as hl
from timing import arguments, measure, size, tell


def main() -> None:
    """Print the seconds as one line of JSON."""
    parser = arguments("Hail: import_vcf + write")
    parser.add_argument("--cores", type=int, default=2)
    given = parser.parse_args()
    hl.init(
        master=f"local[{given.cores}]",
        quiet=True,
        log=str(given.work.with_name("hail.log")),
        tmp_dir=str(given.work.with_name("hail-tmp")),
        spark_conf={"spark.driver.memory": "4g", "spark.ui.enabled": "false"},
    )

    def run(work: Path) -> None:
        # force_bgz: the file is bgzipped but is called .gz
        table = hl.import_vcf(
            str(given.vcf), min_partitions=given.cores, force_bgz=True, reference_genome="GRCh37"
        )
        table.write(str(work / "out.mt"))

    seconds = measure(run, given.work, given.runs)
    rows = hl.read_matrix_table(str(given.work / "out.mt")).count_rows()
    tell(**seconds, rows=rows, bytes=size(given.work / "out.mt"), versions={"hail": hl.__version__})


if __name__ == "__main__":
    main()
