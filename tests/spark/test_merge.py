"""`kgp load variants --merge`: files of single samples against what bcftools makes of them, nothing lost."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kgp.config import Config, load_config
from kgp.errors import FormatError, InputError, LakeError
from kgp.io.delta import Lake
from kgp.io.vcf.merge import BLOCKS, JOINED, LINES
from kgp.job import Progress, Report, run_job
from kgp.jobs.load_variants import LOAD_VARIANTS
from kgp.params import LoadVariants
from kgp.tables import CALLSET_SAMPLES, HEADERS, LOADS, QUARANTINE, VARIANTS
from kgp.transforms.calls import decode_calls

HEADER = (
    "##fileformat=VCFv4.2",
    "##contig=<ID=22,length=51304566,assembly=b37>",
    '##INFO=<ID=AC,Number=A,Type=Integer,Description="">',
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="">',
)
GENOTYPE = tuple[str, ...]
"""Alleles of a person as (position, REF, ALT) without common bases, sorted; empty where missing."""


def write_vcf(path: Path, sample: str, *rows: str) -> str:
    """A small VCF of one sample; rows are written with blanks for tabs."""
    columns = "\t".join(("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", sample))
    path.write_text("\n".join([*HEADER, columns, *(row.replace(" ", "\t") for row in rows)]) + "\n")
    return str(path)


@pytest.fixture
def load(lake: Lake, config: Config) -> Callable[..., Report]:
    """Run the job on files with options."""

    def run(*vcf: str, **options: Any) -> Report:
        given = {"callset": "c", "build": "GRCh37", "merge": True, "absent": "missing", **options, "vcf": vcf}
        here = load_config(lake=lake.uri, environ={})
        return run_job(LOAD_VARIANTS, config.params(LoadVariants, given), here, progress=Progress(quiet=True))

    return run


def bcftools_merge(paths: Sequence[Path], place: Path, *options: str) -> list[list[str]]:
    """Rows of `bcftools merge`: contig, pos, REF, ALT and a GT a sample."""
    copies = []
    for path in paths:
        copies.append(place / path.name.replace(".vcf.bgz", ".vcf.gz"))
        shutil.copy(path, copies[-1])
        copies[-1].chmod(0o644)
        subprocess.run(["bcftools", "index", "-f", str(copies[-1])], check=True, capture_output=True)
    whole = subprocess.run(
        ["bcftools", "merge", *options, *map(str, copies)], check=True, capture_output=True
    ).stdout
    text = subprocess.run(
        ["bcftools", "query", "-f", "%CHROM\t%POS\t%REF\t%ALT\t%END[\t%GT]\n"],
        input=whole, check=True, capture_output=True,
    ).stdout.decode()  # fmt: skip
    return [line.split("\t") for line in text.splitlines()]


def merged_rows(lake: Lake, callset: str = "c") -> Iterator[list[str]]:
    """The same of the loaded rows, from what `variants` says of each ALT."""
    by_record: dict[int, list[dict[str, Any]]] = defaultdict(list)
    columns = [
        "callset",
        "record_id",
        "alt_index",
        "contig",
        "start",
        "end",
        "ref",
        "alt",
        "calls",
        "dosages",
        "info",
    ]
    for row in lake.fetch(VARIANTS, columns).to_pylist(maps_as_pydicts="strict"):
        if row["callset"] == callset:
            by_record[row["record_id"]].append(row)
    for _, rows in sorted(by_record.items()):
        rows.sort(key=lambda row: row["alt_index"])
        first = rows[0]
        alts = ",".join(row["alt"] or "." for row in rows)
        gts = decode_calls(first["calls"], first["dosages"])
        yield [first["contig"], str(first["start"] + 1), first["ref"], alts, str(first["end"]), *gts]


def trim(pos: int, ref: str, alt: str) -> str:
    while len(ref) > 1 and len(alt) > 1 and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    return f"{pos}:{ref}>{alt}"


def genotypes(rows: Iterable[Sequence[str]]) -> dict[tuple[str, int], list[list[GENOTYPE]]]:
    """Place → a list a record: each person's alleles as texts that do not depend on the other files."""
    found: dict[tuple[str, int], list[list[GENOTYPE]]] = defaultdict(list)
    for contig, pos, ref, alts, _, *gts in rows:
        texts = ["ref", *(trim(int(pos), ref, alt) for alt in alts.split(","))]
        people = []
        for gt in gts:
            alleles = gt.replace("|", "/").split("/")
            people.append(tuple(sorted(texts[int(a)] if a != "." else "." for a in alleles)))
        found[contig, int(pos)].append(people)
    return found


def count_lines(path: Path) -> int:
    with gzip.open(path, "rt") as lines:
        return sum(not line.startswith("#") for line in lines)


def check_nothing_lost(lake: Lake, paths: Sequence[Path]) -> dict[str, Any]:
    """The counts of the only load, held against the text of the files."""
    (row,) = lake.fetch(LOADS).to_pylist(maps_as_pydicts="strict")
    assert row["rows_in"] == row["rows_out"] + row["rows_quarantined"]
    assert row["warnings"][LINES] == sum(map(count_lines, paths))
    records = {one["record_id"] for one in lake.fetch(VARIANTS, ["record_id"]).to_pylist()}
    assert len(records) == row["rows_out"]
    return row


@pytest.mark.shared
@pytest.mark.parametrize("absent", ["ref", "missing"])
def test_two_people_of_phase3_as_bcftools_merges_them(
    lake: Lake, load: Callable[..., Report], shared_data: Path, require_tool: Callable[[str], Path],
    tmp_path: Path, absent: str,
) -> None:  # fmt: skip
    """The second file lacks every third row, so that the absent rule has something to say."""
    require_tool("bcftools")
    first, whole = (shared_data / "phase3-grch37" / "vcf-merge" / f"HG0009{n}.vcf.bgz" for n in (6, 7))
    with gzip.open(whole, "rb") as text:
        lines = text.readlines()
    kept = [line for n, line in enumerate(lines) if line.startswith(b"#") or n % 3]
    second = tmp_path / "HG00097.vcf.gz"
    subprocess.run(["bgzip", "-c"], input=b"".join(kept), stdout=second.open("wb"), check=True)
    load(str(first), str(second), absent=absent)

    place = tmp_path / "bcftools"
    place.mkdir()
    expected = bcftools_merge([first, second], place, *(["-0"] if absent == "ref" else []))
    row = check_nothing_lost(lake, [first, second])
    assert genotypes(merged_rows(lake)) == genotypes(expected)
    assert row["rows_out"] == len(expected)
    n_kept = sum(not line.startswith(b"#") for line in kept)
    assert row["warnings"][JOINED] == n_kept
    alone = [one for one in merged_rows(lake) if one[6] == ("./." if absent == "missing" else "0/0")]
    assert len(alone) == row["rows_out"] - n_kept
    samples = sorted(lake.fetch(CALLSET_SAMPLES).to_pylist(), key=lambda one: one["sample_index"])
    assert [one["sample_id"] for one in samples] == ["HG00096", "HG00097"]
    (header,) = lake.fetch(HEADERS).to_pylist()
    assert f'File="{first}",Absent={absent}' in header["header"]


@pytest.mark.shared
def test_gvcfs_as_bcftools_merges_them(
    lake: Lake,
    load: Callable[..., Report],
    shared_data: Path,
    require_tool: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    """Every genotype of eight gVCFs, and every base of their reference blocks.

    bcftools passes over a block of one base where another file has a REF of several bases: two of its genotypes are
    missing for that, where the person's own file says 0/0.
    """
    require_tool("bcftools")
    paths = sorted((shared_data / "gvcf-grch38-chr22").glob("*.g.vcf.gz"))[:8]
    load(*map(str, paths), build="GRCh38")
    row = check_nothing_lost(lake, paths)
    assert row["warnings"][BLOCKS] > 1000

    ours, theirs = list(merged_rows(lake)), bcftools_merge(paths, tmp_path, "-g", "-")
    sites, others = ([one for one in rows if one[3] not in ("<NON_REF>", ".")] for rows in (ours, theirs))
    found, expected = genotypes(sites), genotypes(others)
    assert set(found) == set(expected)
    blocks = [read_blocks(path) for path in paths]
    n_passed_over = 0
    for place in expected:
        for person in range(len(paths)):
            mine = [record[person] for record in found[place]]
            yours = [record[person] for record in expected[place]]
            if sorted(set(mine)) != sorted(set(yours)):
                assert (mine, yours) == ([("ref", "ref")], [(".", ".")]), (place, person)
                assert blocks[person][place[1]] == "0/0"
                n_passed_over += 1
    assert n_passed_over <= 2

    for person in range(len(paths)):
        told: dict[int, str] = {}
        for one in ours:
            last = int(one[4]) if one[3] == "<NON_REF>" else int(one[1])
            for base in range(int(one[1]), last + 1):
                gt = one[5 + person].replace("|", "/")
                told[base] = gt if told.get(base, "./.") == "./." else told[base]
        for base, gt in blocks[person].items():
            assert told[base] == gt, (person, base)


def read_blocks(path: Path) -> dict[int, str]:
    """Base → GT of the reference block over it."""
    bases: dict[int, str] = {}
    with gzip.open(path, "rt") as lines:
        for line in lines:
            fields = line.rstrip("\n").split("\t")
            if not line.startswith("#") and fields[4] == "<NON_REF>":
                end = int(fields[7].removeprefix("END="))
                bases |= dict.fromkeys(range(int(fields[1]), end + 1), fields[9].split(":")[0])
    return bases


def test_bad_lines_haploid_people_and_a_second_time(
    lake: Lake, load: Callable[..., Report], tmp_path: Path
) -> None:
    a = write_vcf(
        tmp_path / "a.vcf", "HE",
        "22 100 . A C . PASS AC=1 GT 0|1",
        "22 x . A C . PASS . GT 0|1",
        "X 5000000 . A C . PASS . GT 1",
        "chrX 5000100 . A G . PASS . GT 0",
    )  # fmt: skip
    b = write_vcf(
        tmp_path / "b.vcf", "SHE",
        "X 5000200 . T G . PASS . GT 0|1",
        "22 nowhere . A C . PASS . GT 0|1",
        "22 100 . A G . PASS AC=1 GT 1|1",
        "22 50 . A G . PASS AC=1 GT 1|1 extra",
    )  # fmt: skip
    with pytest.raises(
        InputError, match=r"a\.vcf: The record at offset .* can't be loaded: POS 'x' is no number"
    ):
        load(a, b, absent="ref", strict=True)
    load(a, b, absent="ref")
    assert [[*row[:4], *row[5:]] for row in merged_rows(lake)] == [
        ["22", "100", "A", "C,G", "0|1", "2|2"],
        ["X", "5000000", "A", "C", "1", "0/0"],
        ["X", "5000100", "A", "G", "0", "0/0"],
        ["X", "5000200", "T", "G", "0", "0|1"],
    ]
    (row,) = lake.fetch(LOADS).to_pylist(maps_as_pydicts="strict")
    assert (row["rows_in"], row["rows_out"], row["rows_quarantined"]) == (7, 4, 3)
    assert row["warnings"][LINES] == 8
    assert row["path"].startswith(f"{a} + 1 merged (")
    rejected = {(one["path"], one["line"]) for one in lake.fetch(QUARANTINE).to_pylist()}
    assert {path for path, _ in rejected} == {a, b}
    assert (b, b"22\t50\t.\tA\tG\t.\tPASS\tAC=1\tGT\t1|1\textra") in rejected
    acs = {one["alt"]: one["info"].get("AC") for one in lake.fetch(VARIANTS).to_pylist(maps_as_pydicts="strict")
           if one["start"] == 99}  # fmt: skip
    assert acs == {"C": "1", "G": "2"}

    assert not load(a, b, absent="ref").changed
    with pytest.raises(LakeError, match="their order differs"):
        load(b, a, absent="ref")
    assert load(
        a, b, absent="missing"
    ).changed  # the same files with another meaning take the place of the first
    (row,) = lake.fetch(LOADS).to_pylist()
    assert [gts[5:] for gts in merged_rows(lake)][1:] == [["1", "./."], ["0", "./."], [".", "0|1"]]


@pytest.mark.slow
def test_the_rows_are_the_same_when_spark_writes_them_and_lines_are_cut_into_ranges(
    lake: Lake, load: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import kgp.io.vcf.merge

    blocks = "22 100 . A <NON_REF> . . END=900000 GT:DP 0/0:7"
    a = write_vcf(tmp_path / "a.vcf", "A", blocks)
    sites = [f"22 {pos} . A C . . . GT 0/1" for pos in range(200, 100_000, 500)]
    b = write_vcf(tmp_path / "b.vcf", "B", *sites)
    load(a, b)
    expected = list(merged_rows(lake))
    assert len(expected) == 2 * len(sites) + 1
    monkeypatch.setattr(kgp.io.vcf.merge, "task_bytes", lambda size, n_cores: size // 7)
    load(a, b, callset="ranges")
    load(a, b, callset="spark", writer="spark")
    for callset in ("ranges", "spark"):
        assert list(merged_rows(lake, callset)) == expected
    ids = [row["record_id"] for row in lake.fetch(VARIANTS).to_pylist() if row["callset"] == "ranges"]
    assert len({record_id >> 40 for record_id in ids}) == 7


def test_a_sample_in_two_files_is_refused(lake: Lake, load: Callable[..., Report], tmp_path: Path) -> None:
    paths = [write_vcf(tmp_path / name, "HG1", "22 100 . A C . . . GT 0|1") for name in ("a.vcf", "b.vcf")]
    with pytest.raises(FormatError, match=r"b\.vcf: Sample HG1 is also in .*a\.vcf"):
        load(*paths)
    assert lake.fetch(LOADS).num_rows == 0
