"""How kgp, bcftools and Glow fare on the conformance files, and docs/CONFORMANCE.md, which says so.

``python tests/conformance_table.py ../shared/data`` writes the page anew.
"""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from kgp.errors import FormatError
from kgp.genome import GRCH37
from kgp.io.splits import Split, detect_form, read_chunks
from kgp.io.vcf.builtin import SplitTask
from kgp.io.vcf.conformance import LineChecker, Oddity
from kgp.io.vcf.findings import NO_SEX, UNKNOWN_CONTIG, put_together
from kgp.io.vcf.header import read_header
from kgp.io.vcf.rows import Layout
from kgp.io.vcf.selection import Selection

PAGE = Path(__file__).parents[1] / "docs" / "CONFORMANCE.md"
STRINGENCIES = ("strict", "lenient", "silent")
VERSIONS = ("4.1", "4.2", "4.3", "4.4")

# file name → records, from 0, that break a rule, where a file has several and not all of them do
WRONG_RECORDS = {
    "failed_body_contiguous_000.vcf": {5},
    "failed_body_duplicated_002.vcf": {1},
    "failed_body_format_007.vcf": {4},
    "failed_body_invalid_SV_3.vcf": {1, 2},
    "failed_body_invalid_SV_4.vcf": {2},
    "failed_body_invalid_SV_5.vcf": {0, 1, 2},
    "failed_body_invalid_sample_PSQ.vcf": {3, 4, 5},
    "failed_body_unsorted_000.vcf": {4},
}
EXCEPTIONS: dict[str, str] = {}
"""Path in EXPECTED.tsv → why kgp does not say what is expected of it."""


@dataclass
class Notice:
    """What kgp says of a file.

    Args:
        n_lines: lines of the file; those of the header are the first `n_header`.
        refusal: why the file is not read at all.
        rejects: line, from 0 → why it goes to `quarantine`.
        warnings: (line, kind), of each kind the first twenty.
        counts: kind → all that there are.
        n_loaded: records that are loaded.
    """

    n_lines: int = 0
    n_header: int = 0
    refusal: str | None = None
    rejects: dict[int, str] = field(default_factory=dict)
    warnings: list[tuple[int, Oddity]] = field(default_factory=list)
    counts: Counter[Oddity] = field(default_factory=Counter)
    n_loaded: int = 0

    @property
    def lines(self) -> set[int]:
        """Lines that something is said of."""
        return {*self.rejects, *(line for line, _ in self.warnings)}

    @property
    def is_silent(self) -> bool:
        """Whether nothing is said."""
        return self.refusal is None and not self.lines and not self.counts


def read_notice(path: Path) -> Notice:
    """Load a file as a task of the job does, and note what is said of it.

    Left out is what is said of the load and not of the file: contigs that the build does not know, unknown sexes.
    """
    url = str(path)
    try:
        header = read_header(url)
    except FormatError as problem:
        return Notice(refusal=problem.what)
    layout = Layout.make(header, GRCH37, Selection(), "callset", "load")
    split = Split(url, detect_form(url), 0, None)
    with tempfile.TemporaryDirectory() as quarantine:
        result = SplitTask(layout, LineChecker.of(header), url, (None, quarantine))(split)
        files = [f"{quarantine}/{action.path}" for action in result.written[1]]
        rejects = {row["offset"]: row["reason"] for file in files for row in pq.read_table(file).to_pylist()}
    survey = put_together([result.findings], header, GRCH37, is_everything=True, has_end_marker=True)
    offsets = [offset for chunk in read_chunks(split) for offset in chunk.offsets(chunk.lines()[0]).tolist()]
    line = {offset: number for number, offset in enumerate(offsets)}
    kinds = {what: n for what, n in survey.warnings.items() if what not in (UNKNOWN_CONTIG, NO_SEX)}
    assert survey.n_records == sum(survey.contigs.values()) + len(rejects), path
    return Notice(
        n_lines=len(offsets),
        n_header=len(header.lines),
        rejects={line[offset]: reason for offset, reason in rejects.items()},
        warnings=[
            (line[offset], Oddity(what)) for what in kinds for offset in survey.warned_at.get(what, ())
        ],
        counts=Counter({Oddity(what): n for what, n in kinds.items()}),
        n_loaded=sum(survey.contigs.values()),
    )


def wrong_lines(path: Path, notice: Notice) -> set[int]:
    """Lines, from 0, of a failed file that break a rule, as its name and its ##CauseOfFailure tell."""
    if path.name.startswith("failed_meta"):
        return {2}  # the one after ##CauseOfFailure
    if "_no_newline_" in path.name:
        return {notice.n_lines - 1}
    records = WRONG_RECORDS.get(path.name, range(notice.n_lines - notice.n_header))
    texts = path.read_bytes().split(b"\n")
    return {notice.n_header + n for n in records if texts[notice.n_header + n]}


def is_noticed(path: Path) -> bool:
    """Whether a failed file is refused, or each line of it that breaks a rule is quarantined or warned about."""
    notice = read_notice(path)
    return notice.refusal is not None or wrong_lines(path, notice) <= notice.lines


def is_passed(path: Path) -> bool:
    """Whether a passed file is loaded whole and in silence."""
    notice = read_notice(path)
    return notice.is_silent and notice.n_loaded == count_records(path)


def count_records(path: Path) -> int:
    """Lines of a plain file that are neither header nor empty."""
    return sum(bool(line) and not line.startswith(b"#") for line in path.read_bytes().splitlines())


@dataclass(frozen=True)
class File:
    """A row of EXPECTED.tsv: `path` below the shared data."""

    path: str
    version: str
    is_failed: bool
    rc: int
    n_rows: int
    message: str


def read_expected(shared: Path) -> list[File]:
    """The conformance files."""
    with (shared / "vcf-conformance" / "EXPECTED.tsv").open() as table:
        return [
            File(
                row["path"],
                row["vcf_version"],
                row["expected"] == "failed",
                int(row["bcftools_1.16_rc"]),
                int(row["rows_read_by_bcftools"]),
                row["bcftools_first_message"],
            )
            for row in csv.DictReader(table, delimiter="\t")
        ]


def score(shared: Path, files: Iterable[File]) -> set[str]:
    """Paths of the files that kgp is right about."""
    return {one.path for one in files if (is_noticed if one.is_failed else is_passed)(shared / one.path)}


def score_bcftools(files: Iterable[File]) -> set[str]:
    """Those of bcftools 1.16: a message at all notices a failed file, none at all passes a passed one."""
    return {one.path for one in files if (bool(one.message) or one.rc != 0) == one.is_failed}


def score_bcftools_strictly(shared: Path, files: Iterable[File]) -> set[str]:
    """The same where a message that something "is not defined in the header" counts for nothing, as bcftools has
    it for passed and failed files alike. EXPECTED.tsv has only the first message, so bcftools is run."""
    right = set()
    for one in files:
        run = subprocess.run(["bcftools", "view", str(shared / one.path)], capture_output=True, check=False)
        messages = [line for line in run.stderr.decode(errors="replace").splitlines() if line.strip()]
        telling = [line for line in messages if "not defined in the header" not in line]
        if (bool(telling) or run.returncode != 0) == one.is_failed:
            right.add(one.path)
    return right


def score_glow(shared: Path, files: Sequence[File], stringency: str) -> set[str]:
    """Those of Glow: an exception notices a failed file, all records as rows pass a passed one."""
    recorded = json.loads((shared / "glow-golden" / "conformance_stringency.json").read_text())
    by_path = {one["file"]: one[stringency] for one in recorded}
    right = set()
    for one in files:
        n_rows = by_path[one.path].get("rows")
        if n_rows is None if one.is_failed else n_rows == count_records(shared / one.path):
            right.add(one.path)
    return right


def make_page(shared: Path) -> str:
    """docs/CONFORMANCE.md."""
    files = read_expected(shared)
    ours = score(shared, files)
    rows = {
        "**kgp**": ours,
        "bcftools 1.16, any message": score_bcftools(files),
        "bcftools 1.16, telling messages": score_bcftools_strictly(shared, files),
        **{f"Glow, {one}": score_glow(shared, files, one) for one in STRINGENCIES},
    }
    n = Counter((one.version, one.is_failed) for one in files)
    columns = [(version, is_failed) for is_failed in (True, False) for version in VERSIONS]
    lines = [
        "| reader | failed files noticed | passed files right | "
        + " | ".join(f"{version} {'failed' if is_failed else 'passed'}" for version, is_failed in columns)
        + " |",
        "| --- |" + " ---: |" * (2 + len(columns)),
        _row("files", [_count(n, True), _count(n, False), *(str(n[one]) for one in columns)]),
    ]
    for name, right in rows.items():
        found = Counter((one.version, one.is_failed) for one in files if one.path in right)
        cells = [_count(found, True), _count(found, False), *(str(found[one]) for one in columns)]
        lines.append(_row(name, cells))
    missed = [one.path for one in files if one.path not in ours]
    exceptions = [f"- `{path}`: {EXCEPTIONS.get(path, 'not explained')}" for path in missed] or [
        "There are none."
    ]
    kinds = [f"- {one}" for one in Oddity]
    return _PAGE.format(
        table="\n".join(lines), exceptions="\n".join(exceptions), kinds="\n".join(kinds), n_files=len(files)
    )


def _count(found: Counter[tuple[str, bool]], is_failed: bool) -> str:
    return str(sum(n for (_, failed), n in found.items() if failed == is_failed))


def _row(name: str, cells: Iterable[str]) -> str:
    return f"| {name} | " + " | ".join(cells) + " |"


_PAGE = """# Conformance

What kgp says of the {n_files} conformance files of the VCF specification (samtools/hts-specs `test/vcf`) and of the
EBI's vcf-validator, beside what bcftools and Glow say of them. `python tests/conformance_table.py ../shared/data`
generates this page; `tests/unit/test_vcf_conformance.py` holds the figures.

{table}

## How it is counted

A *failed* file breaks a rule of its version of VCF.

The rules were written with these files at hand, so the figures of kgp say that it knows them, not how it would do on
files that it has not seen; bcftools and Glow were not made to check conformance.

- kgp has noticed it where the file is refused, or each line that breaks the rule goes to `quarantine` or is warned
  about. A word about another line does not count. Which lines those are is known from the file's name and its
  `##CauseOfFailure`.
- bcftools has noticed it where `bcftools view` fails or writes any message (first row), or one that is not "… is not
  defined in the header" (second row): bcftools writes that of nearly all files, passed and failed alike, and it is
  hardly ever what is wrong.
- Glow has noticed it where reading raises an exception. It refuses VCF 4.4 as a whole, and so "notices" all of those.

A *passed* file is right.

- kgp is right where every record is loaded, none is quarantined, and nothing is warned about.
- bcftools is right where it succeeds without a message (of either kind).
- Glow is right where it returns as many rows as the file has records; it has no warnings.

## Exceptions

{exceptions}

## What kgp warns about

A load counts in `loads.warnings` how many header lines or records are odd in one of these ways. They are loaded all the
same; what can't be loaded goes to `quarantine`.

{kinds}

Some rules are kept with a grain of salt, so that a warning means something:

- What a header leaves out as a whole is not missed in the records. An undeclared INFO or FORMAT key is odd only where
  the header declares INFO keys and, if there are samples, FORMAT keys; an undeclared contig, FILTER or symbolic ALT
  only where it declares any. (DEL, INS, DUP, INV, CNV, BND, `<*>` and `<NON_REF>` never need a declaration.)
- A reserved key that is declared with Number `.` is not held to the reserved Number, and a declared key is held to its
  declaration. An undeclared reserved key is held to the specification.
- ALT may be declared under any id: phase 3 declares CN0 to CN124, which VCF 4.1 and 4.2 do not know. (The files
  `failed_meta_alt_000.vcf` are noticed for the Number that their `DEL1` has besides, and `failed_meta_meta_003.vcf` not
  for the order of its attributes but for Values without brackets.)
- A comma between double quotes parts no entries of an INFO value.
- A flag may say `=0` or `=1`. END may lie before POS. A contig may be declared again to add to what was said.
- VCF 4.1 and 4.2 want the keys of FORMAT to be letters and digits; a key that is declared may have an underscore.
- The text of VCF 4.3 first forbade the asterisk in contig names and later allowed it: names of HLA alleles may have it.
- Number=G goes by the ploidy of each sample; a sample whose genotype is `.` may have the entries of one or of two.
- Variants are taken for the same after the bases that REF and ALT share are cut off at both ends; symbolic alleles are
  never taken for the same. Where a file is read in parts, variants of two parts are not compared.
"""


if __name__ == "__main__":
    PAGE.write_text(make_page(Path(sys.argv[1])))
    print(re.search(r"\| \*\*kgp.*", PAGE.read_text()))
