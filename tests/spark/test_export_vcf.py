"""What `kgp export vcf` writes is what was loaded: by bcftools, and line by line for what bcftools does not read.

Real files go through the real load job. The second oracle cuts the raw lines of both files at their tabs: INFO and
FORMAT come back too, but for what the table does not hold (see `kgp.io.vcf.writer`).
"""

from __future__ import annotations

import gzip
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from kgp.cli import main
from kgp.config import Config, load_config
from kgp.errors import BuildError, InputError, KgpError, LakeError
from kgp.io.delta import Lake
from kgp.job import Progress, Report, run_job
from kgp.jobs.export_vcf import EXPORT_VCF
from kgp.jobs.load_variants import LOAD_VARIANTS
from kgp.params import ExportVcf, LoadVariants
from kgp.tables import LOADS, QUARANTINE, VARIANTS

pytestmark = pytest.mark.spark

SHARED = Path(os.environ.get("KGP_SHARED_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
SITE = "%CHROM\t%POS\t%ID\t%REF\t%ALT\t%QUAL\t%FILTER"

# Read with every `make test`; the others with `make test-slow`.
FIRST = (
    "dragen/germline_cnv.dragen-3.5.7b.vcf",
    "gvcf-grch38-chr22/HG00187.hg38.g.vcf.gz",
    "highcov30x-grch38/1kg_2020_chrM.vcf.gz",
    "highcov30x-grch38/imputed_3202.chr21.vcf.gz",
    "highcov30x-grch38/nygc_3202_raw_GT_with_annot.chr21.vcf.gz",
    "phase1-and-others/chr22.vcf.gz",
    "phase1-and-others/structural.vcf",
    "phase3-grch37/10k.chr22.phase3_shapeit2_mvncall_integrated_v5.20130502.genotypes.vcf.gz",
    "phase3-grch37/kidd.aisnp.1kg.vcf",
    "vcf-odd/bio2zarr/empty.vcf.gz",
    "vcf-odd/bio2zarr/field_type_combos.vcf.gz",
    "vcf-odd/bio2zarr/mixed_ploidy.vcf.gz",
    "vcf-odd/bio2zarr/sample_missing_contig.vcf.gz",
    "vcf-odd/bio2zarr/sample_no_genotypes.vcf.gz",
    "vcf-odd/glow/test_withNanQual.vcf",
    "vcf-odd/hail/33alleles.vcf",
    "vcf-odd/hail/small-ds.vcf",
    "vcf-odd/hail/x-chromosome.vcf",
    "vcf-odd/opencga/variant-test-bnd.vcf",
    "vcf-odd/opencga/variant-test-unusual-contigs.vcf",
    "vcf-odd/scikit-allel/unsorted.vcf",
)
FOLDERS = (
    "beacon", "dragen", "geuvadis-eqtl-qtltools", "glow-test-data", "gvcf-grch38-chr22", "highcov30x-grch38",
    "phase1-and-others", "phase3-grch37", "phase3-grch38", "vcf-odd",
)  # fmt: skip


def files() -> list[Any]:
    return [*FIRST, *others()]


def others() -> Iterator[Any]:
    for folder in FOLDERS:
        for path in sorted((SHARED / folder).rglob("*")):
            name = str(path.relative_to(SHARED))
            if name not in FIRST and name.endswith((".vcf", ".vcf.gz", ".vcf.bgz")):
                yield pytest.param(name, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def lake(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """One lake for this module: each file is a callset of its own."""
    return Lake(spark, str(tmp_path_factory.mktemp("export") / "lake"))


@pytest.fixture(scope="module")
def load(lake: Lake, config: Config) -> Callable[..., Report]:
    """``load("c", path)``: run the load job."""
    here = load_config(lake=lake.uri, environ={})

    def run(callset: str, *vcf: str | Path, **options: Any) -> Report:
        given = {"build": "GRCh37", "reader": "builtin", **options}
        given |= {"callset": callset, "vcf": tuple(map(str, vcf))}
        return run_job(LOAD_VARIANTS, config.params(LoadVariants, given), here, progress=Progress(quiet=True))

    return run


@pytest.fixture(scope="module")
def export(lake: Lake, config: Config) -> Callable[..., Report]:
    """``export("c", path)``: run the export job."""
    here = load_config(lake=lake.uri, environ={})

    def run(callset: str, out: Path, **options: Any) -> Report:
        given = {**options, "callset": callset, "out": str(out)}
        return run_job(EXPORT_VCF, config.params(ExportVcf, given), here, progress=Progress(quiet=True))

    return run


@pytest.fixture(scope="module")
def bcftools(require_tool: Callable[[str], Path]) -> Callable[..., str]:
    program = require_tool("bcftools")

    def run(*arguments: str | Path) -> str:
        command = [str(program), *map(str, arguments)]
        return subprocess.run(command, check=True, capture_output=True, text=True, errors="replace").stdout

    return run


@pytest.fixture(scope="module")
def query(bcftools: Callable[..., str]) -> Callable[..., list[str]]:
    """Lines of `bcftools query`, of all that the round trip promises."""
    return lambda path, *options: bcftools("query", "-f", SITE + "[\t%GT]\n", *options, path).splitlines()


# -- lines, cut at their tabs


@lru_cache(maxsize=2)
def read_lines(path: Path) -> list[str]:
    raw = path.read_bytes()
    text = gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw
    return text.decode("utf-8", errors="replace").replace("\r\n", "\n").rstrip("\n").split("\n")


def read_records(path: Path) -> list[str]:
    return [line for line in read_lines(path) if not line.startswith("#")]


def numbers_of(path: Path) -> dict[str, str]:
    """INFO key → Number."""
    found: dict[str, str] = {}
    for line in read_lines(path):
        if line.startswith("##INFO=<ID="):
            number = line.partition("Number=")[2].partition(",")[0]
            found.setdefault(line.removeprefix("##INFO=<ID=").partition(",")[0], number)
    return found


def normal(line: str, numbers: dict[str, str], n_samples: int) -> tuple[Any, ...]:
    """A line as its meaning: which spellings of the same are not told apart is said here."""
    chrom, pos, vcf_id, ref, alt, qual, filters, info_text, *rest = line.split("\t", 9)
    n_alts = 0 if alt == "." else len(alt.split(","))
    info: dict[str, str] = {}
    for entry in info_text.split(";") if info_text != "." else []:
        key, _, value = entry.partition("=")
        entries = value.split(",")
        if n_alts > 1 and numbers.get(key) == "G":
            continue  # pairs of two ALTs are not in the table
        if n_alts > 1 and numbers.get(key) in ("A", "R") and set(entries) == {"."}:
            value = "."
        elif n_alts > 1 and numbers.get(key) == "A" and len(entries) == 1:
            value = ",".join(entries * n_alts)  # one entry for all is read as one that each has
        if key:
            info.setdefault(key, value)
    samples: dict[str, tuple[str, ...]] = {}
    keys = rest[0].split(":") if rest else []
    if keys == ["GT"]:
        samples, keys = {"GT": tuple(rest[1:])}, []
    values = [sample.split(":") for sample in rest[1].split("\t")] if keys and n_samples else []
    for place, key in enumerate(keys):
        if key not in (".", *samples):
            samples[key] = tuple(one[place] or "." if place < len(one) else "." for one in values)
    number = None if qual == "." else repr(float(qual))
    site = (chrom, int(pos), vcf_id or ".", ref, alt, number, filters or ".")
    return (*site, tuple(info.items()), tuple(sorted(samples.items())) if n_samples else ())


def in_order(places: list[tuple[str, int]]) -> list[tuple[str, int]]:
    contigs = list(dict.fromkeys(chrom for chrom, _ in places))
    return sorted(places, key=lambda place: (contigs.index(place[0]), place[1]))


def n_header_samples(path: Path) -> int:
    (names,) = [line for line in read_lines(path) if line.startswith("#CHROM")]
    return max(0, len(names.split("\t")) - 9)


def load_any(load: Callable[..., Report], path: Path, tmp_path: Path, callset: str) -> Path:
    """Load the file, or where its contigs are of no build a copy that does not declare them; what was loaded."""
    for build in ("GRCh37", "GRCh38", "NCBI36"):
        try:
            load(callset, path, build=build)
        except BuildError:
            continue
        return path
    copy = tmp_path / "without-contigs.vcf"
    copy.write_text("".join(f"{line}\n" for line in read_lines(path) if not line.startswith("##contig")))
    load(callset, copy)
    return copy


def is_readable(path: Path, *arguments: str) -> bool:
    """Whether bcftools reads all of the file."""
    done = subprocess.run(["bcftools", *arguments, str(path)], capture_output=True)
    return done.returncode == 0 and b"[E::" not in done.stderr


@pytest.mark.parametrize("name", files())
def test_round_trip(
    shared_data: Path,
    lake: Lake,
    load: Callable[..., Report],
    export: Callable[..., Report],
    bcftools: Callable[..., str],
    tmp_path: Path,
    name: str,
) -> None:
    callset = name.replace("/", "_")
    try:
        loaded = load_any(load, shared_data / name, tmp_path, callset)
    except KgpError:
        assert name not in FIRST
        with pytest.raises(InputError, match="There is no callset"):
            export(callset, tmp_path / "out.vcf.gz")
        return
    out = tmp_path / "out.vcf.gz"
    report = export(callset, out)

    (load_row,) = (row for row in lake.fetch(LOADS).to_pylist() if row["subject"] == callset)
    quarantine = lake.fetch(QUARANTINE, ["load_id", "line"]).to_pylist()
    kept_out = [
        row["line"].decode(errors="replace") for row in quarantine if row["load_id"] == load_row["load_id"]
    ]
    assert name not in FIRST or not kept_out
    numbers, n_samples = numbers_of(loaded), n_header_samples(loaded)
    raw = Counter(read_records(loaded)) - Counter(kept_out)
    expected = [normal(line, numbers, n_samples) for line in raw.elements()]
    found = [normal(line, numbers, n_samples) for line in read_records(out)]
    assert Counter(found) == Counter(expected)
    assert report.rows == {"out.vcf.gz": len(expected)}
    places = [(record[0], record[1]) for record in found]
    assert places == in_order(places)
    assert int(bcftools("index", "-n", out)) == len(expected)

    if not kept_out and is_readable(loaded, "view", "-Ou"):
        has_gt = any(line.startswith("##FORMAT=<ID=GT,") for line in read_lines(loaded))
        wanted = SITE + ("[\t%GT]\n" if has_gt and n_samples else "\n")
        before = bcftools("query", "-f", wanted, loaded).splitlines()
        after = bcftools("query", "-f", wanted, out).splitlines()
        original = [(line.split("\t")[0], int(line.split("\t")[1])) for line in before]
        if original == in_order(original) and list(dict(original)) == list(dict(places)):
            assert after == before
        else:
            assert sorted(after) == sorted(before)


# -- parts of a callset


@pytest.fixture(scope="module")
def slice_vcf(bundled: Path) -> Path:
    return bundled / "genotypes.chr22.vcf.gz"


@pytest.fixture(scope="module")
def slice_callset(load: Callable[..., Report], slice_vcf: Path) -> str:
    load("slice", slice_vcf)
    return "slice"


@pytest.fixture(scope="module")
def some_samples(slice_vcf: Path, bcftools: Callable[..., str]) -> list[str]:
    """Every seventh sample, backwards."""
    return bcftools("query", "-l", slice_vcf).split()[::-7]


def test_samples_as_bcftools_view(
    slice_vcf: Path, slice_callset: str, some_samples: list[str], export: Callable[..., Report],
    bcftools: Callable[..., str], tmp_path: Path,
) -> None:  # fmt: skip
    listed = tmp_path / "samples.txt"
    listed.write_text("\n".join(some_samples) + "\n")
    report = export(slice_callset, tmp_path / "out.vcf.gz", samples=str(listed))
    assert report.details["samples"] == len(some_samples)
    cut = tmp_path / "cut.bcf"
    bcftools("view", "-S", listed, "-Ob", "-o", cut, slice_vcf)
    wanted = SITE + "\t%INFO/AC\t%INFO/AN[\t%SAMPLE=%GT]\n"
    assert bcftools("query", "-f", wanted, tmp_path / "out.vcf.gz") == bcftools("query", "-f", wanted, cut)


@pytest.mark.parametrize("samples", ["all", "some"])
def test_tasks_write_the_bytes_that_the_driver_writes(
    slice_callset: str, some_samples: list[str], export: Callable[..., Report], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, samples: str,
) -> None:  # fmt: skip
    chosen = {"samples": ",".join(some_samples)} if samples == "some" else {}
    export(slice_callset, tmp_path / "driver.vcf.gz", **chosen)
    monkeypatch.setattr("kgp.jobs.export_vcf.DRIVER_TEXT", 0)
    export(slice_callset, tmp_path / "tasks.vcf.gz", **chosen)
    assert (tmp_path / "tasks.vcf.gz").read_bytes() == (tmp_path / "driver.vcf.gz").read_bytes()


def test_samples_of_multiallelic_and_haploid_records(
    load: Callable[..., Report], export: Callable[..., Report], bcftools: Callable[..., str], tmp_path: Path
) -> None:
    header = (
        "##fileformat=VCFv4.2\n##contig=<ID=22>\n"
        '##INFO=<ID=AC,Number=A,Type=Integer,Description="">\n'
        '##INFO=<ID=AF,Number=A,Type=Float,Description="">\n'
        '##INFO=<ID=DB,Number=0,Type=Flag,Description="">\n'
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="">\n'
        '##FORMAT=<ID=AD,Number=R,Type=Integer,Description="">\n'
    )
    rows = (
        "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT a b c d",
        "22 10 . A C,G . . AC=3,1;AF=0.3,0.1 GT:AD 0|1:1,2,3 2|1:. .|. 1:4,5,6",
        "22 11 . A C . . AC=3 GT 0|1 1|1 .|. 0|0",
        "22 12 . A . . . . GT 0/0 ./. 0 0/0",
        "22 13 . A C . . DB GT 0/1 ./. ./1 1/1",
        "22 14 . A C . . DB AD 1,2 . 3,4 .",
    )
    path = tmp_path / "a.vcf"
    path.write_text(header + "\n".join(row.replace(" ", "\t") for row in rows) + "\n")
    load("four", path)
    out = tmp_path / "out.vcf.gz"
    export("four", out, samples="d,b")
    cut = tmp_path / "cut.bcf"
    bcftools("view", "-s", "d,b", "-Ob", "-o", cut, path)
    wanted = SITE + "\t%INFO/AC\t%INFO/AN\t%INFO/AF[\t%SAMPLE=%GT=%AD]\n"
    ours, theirs = (bcftools("query", "-f", wanted, one).splitlines() for one in (out, cut))
    # Where a record has no genotypes, bcftools counts nobody; kgp leaves INFO as it is.
    assert (ours[:4], ours[4].split("\t")[7:9]) == (theirs[:4], [".", "."])


@pytest.mark.parametrize(
    "regions", [["22:32500000-33000000"], ["22:32001037-32001037", "22:40000000-42000000"]]
)
def test_regions_as_bcftools_view(
    slice_vcf: Path, slice_callset: str, export: Callable[..., Report], query: Callable[..., list[str]],
    tmp_path: Path, regions: list[str],
) -> None:  # fmt: skip
    out = tmp_path / "out.vcf.gz"
    export(slice_callset, out, region=regions)
    (spelled,) = {line.split("\t")[0] for line in query(slice_vcf)}
    theirs = query(slice_vcf, "-r", ",".join(spelled + one.removeprefix("22") for one in regions))
    assert query(out) == theirs
    assert theirs


def test_a_region_takes_what_reaches_into_it(
    shared_data: Path, load: Callable[..., Report], export: Callable[..., Report], query: Callable[..., list[str]],
    tmp_path: Path,
) -> None:  # fmt: skip
    path = shared_data / "phase1-and-others" / "chr22.vcf.gz"
    load("phase1", path)
    long = next(fields for line in read_records(path) if "END=" in (fields := line.split("\t"))[7])
    end = int(long[7].partition("END=")[2].partition(";")[0])
    assert end > int(long[1]) + 100
    out = tmp_path / "out.vcf.gz"
    export("phase1", out, region=[f"22:{end}-{end}"])
    assert query(out) == query(path, "-r", f"22:{end}-{end}")
    assert any(line.split("\t")[1] == long[1] for line in query(out))


def test_loads_of_a_callset_are_put_together(
    shared_data: Path, load: Callable[..., Report], export: Callable[..., Report], query: Callable[..., list[str]],
    lake: Lake, bcftools: Callable[..., str], tmp_path: Path,
) -> None:  # fmt: skip
    whole = (
        shared_data
        / "phase3-grch37/10k.chr22.phase3_shapeit2_mvncall_integrated_v5.20130502.genotypes.vcf.gz"
    )
    lines = read_lines(whole)
    header = [line for line in lines if line.startswith("#")]
    records = [line for line in lines if not line.startswith("#")][:600]
    for number in range(3):  # every third record, so that the files overlap everywhere
        path = tmp_path / f"{number}.vcf"
        path.write_text(
            "".join(f"{line}\n" for line in [*header, f"##only={number}", *records[number::3]][0:0])
        )
        own = [*header[:-1], f"##only={number}", header[-1], *records[number::3]]
        path.write_text("".join(f"{line}\n" for line in own))
        load("thirds", path)
    one = tmp_path / "one.vcf"
    one.write_text("".join(f"{line}\n" for line in [*header, *records]))
    out = tmp_path / "out.vcf.gz"
    export("thirds", out)
    assert sorted(query(out)) == sorted(query(one))
    positions = [int(line.split("\t")[1]) for line in query(out)]
    assert positions == sorted(positions)
    written = [line for line in read_lines(out) if line.startswith("##")]
    assert [line for line in written if line.startswith("##only")] == ["##only=0", "##only=1", "##only=2"]
    assert written[: len(header) - 1] == header[:-1]

    DeltaTable(lake.path(VARIANTS)).optimize.compact()  # other files, the loads mixed
    again = tmp_path / "again.vcf.gz"
    export("thirds", again)
    assert read_lines(again) == read_lines(out)
    assert bcftools("index", "-n", again).strip() == "600"


def test_two_spellings_of_a_contig_do_not_mix(
    load: Callable[..., Report],
    export: Callable[..., Report],
    query: Callable[..., list[str]],
    tmp_path: Path,
) -> None:
    names = "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT a"
    rows = (
        "chr22 5 . A C . . . GT 0|1",
        "22 3 . A C . . . GT 1|1",
        "chr22 1 . A G . . . GT 0|0",
        "21 9 . A G . . . GT .",
    )
    path = tmp_path / "a.vcf"
    path.write_text("##fileformat=VCFv4.2\n" + "\n".join(r.replace(" ", "\t") for r in (names, *rows)) + "\n")
    load("spelled", path)
    report = export("spelled", tmp_path / "out.vcf.gz")
    found = [tuple(line.split("\t")[:2]) for line in query(tmp_path / "out.vcf.gz")]
    assert found == [("21", "9"), ("22", "3"), ("chr22", "1"), ("chr22", "5")]
    assert any("spell contig 22 22 and chr22" in note for note in report.notes)


# -- manners


def test_the_same_again_changes_nothing(
    slice_callset: str, export: Callable[..., Report], tmp_path: Path
) -> None:
    out = tmp_path / "out.vcf.gz"
    region = ["22:32001037-32100000"]
    assert export(slice_callset, out, region=region).changed
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert not export(slice_callset, out, region=region).changed
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    with pytest.raises(LakeError, match="another file"):
        export(slice_callset, out)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert export(slice_callset, out, region=["22:32001037-32200000"], replace=True).changed
    assert (
        sorted(before) == sorted(path.name for path in tmp_path.iterdir()) == ["out.vcf.gz", "out.vcf.gz.tbi"]
    )


def test_a_run_that_is_cut_off_leaves_nothing(
    slice_callset: str, export: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kgp.io.vcf.vcf_file.Pieces.add", stop)
    with pytest.raises(KeyboardInterrupt):
        export(slice_callset, tmp_path / "out.vcf.gz")
    assert list(tmp_path.iterdir()) == []


def test_records_that_went_missing_are_noticed(
    slice_callset: str, export: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Lake.parts
    monkeypatch.setattr(Lake, "parts", lambda *args, **named: real(*args, **named)[1:])
    with pytest.raises(KgpError, match="records were written instead of"):
        export(slice_callset, tmp_path / "out.vcf.gz")
    assert list(tmp_path.iterdir()) == []


def test_unknown_names_are_told(slice_callset: str, export: Callable[..., Report], tmp_path: Path) -> None:
    out = tmp_path / "out.vcf.gz"
    with pytest.raises(InputError, match=r"no callset nobody.*There are:.*slice"):
        export("nobody", out)
    with pytest.raises(InputError, match=r"nothing on contig 21\. It has: 22\."):
        export(slice_callset, out, contig=["chr21"])
    with pytest.raises(InputError, match=r"has no sample HG00096x \(perhaps HG00096"):
        export(slice_callset, out, samples="HG00096x")
    assert list(tmp_path.iterdir()) == []


def test_command_line(
    slice_callset: str, lake: Lake, slice_vcf: Path, query: Callable[..., list[str]], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "out.vcf.gz"
    command = [
        "export",
        "vcf",
        "--lake",
        lake.uri,
        "--callset",
        slice_callset,
        "--quiet",
        "--samples",
        "HG00097",
    ]
    assert main([*command, "--contig", "chr22", "--out", str(out)]) == 0
    assert "records of 1 samples to" in capsys.readouterr().out
    assert query(out) == query(slice_vcf, "-s", "HG00097")
    assert main([*command, "--out", str(tmp_path / "out.vcf")]) == 2
    assert "does not end in .vcf.gz" in capsys.readouterr().err
    assert isinstance(lake.fetch(LOADS), pa.Table)
