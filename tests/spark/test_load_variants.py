"""`load_variants`: counted, atomic, repeatable; refused on evidence; killed in the middle and finished later."""

from __future__ import annotations

import http.server
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from kgp.config import Config, load_config
from kgp.errors import BuildError, InputError, LakeError
from kgp.io.delta import Lake
from kgp.job import Context, Progress, Report, run_job
from kgp.jobs.load_samples import LOAD_SAMPLES
from kgp.jobs.load_variants import LOAD_VARIANTS
from kgp.params import LoadSamples, LoadVariants
from kgp.tables import ALL_TABLES, CALLSET_SAMPLES, HEADERS, LOADS, QUARANTINE, VARIANTS

HEADER = (
    "##fileformat=VCFv4.2",
    "##contig=<ID=22,length=51304566,assembly=b37>",
    '##INFO=<ID=AC,Number=A,Type=Integer,Description="">',
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="">',
)


def write_vcf(
    path: Path, *rows: str, samples: Sequence[str] = ("HG1", "HG2"), header: Sequence[str] = HEADER
) -> str:
    """A small VCF; rows are written with blanks for tabs."""
    columns = "\t".join(("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples))
    body = [row.replace(" ", "\t") for row in rows]
    path.write_text("\n".join([*header, columns, *body]) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def load(lake: Lake, config: Config) -> Callable[..., Report]:
    """Run the job on files with options."""

    def run(*vcf: str, **options: Any) -> Report:
        given = {"callset": "c", "build": "GRCh37", **options, "vcf": vcf}
        here = load_config(lake=lake.uri, environ={})
        return run_job(LOAD_VARIANTS, config.params(LoadVariants, given), here, progress=Progress(quiet=True))

    return run


def versions(lake: Lake) -> dict[str, int | None]:
    return {table.name: lake.version(table) for table in ALL_TABLES}


def content(lake: Lake) -> dict[str, list[Any]]:
    """Valid rows of every table, without what differs from run to run."""
    found = {}
    for table in (LOADS, HEADERS, QUARANTINE, CALLSET_SAMPLES, VARIANTS):
        rows = lake.fetch(table).to_pylist()
        for row in rows:
            for name in ("seconds", "loaded_at"):
                row.pop(name, None)
        found[table.name] = sorted(rows, key=str)
    return found


def test_small_file_end_to_end(lake: Lake, load: Callable[..., Report], tmp_path: Path) -> None:
    path = write_vcf(
        tmp_path / "a.vcf",
        "chr22 100 rs1;x A C,G 9.5 PASS AC=1,2 GT 0|1 2|2",
        "22 200 . AT A . q1;q2 . GT ./. 0/1",
    )
    report = load(path)
    assert report.changed
    assert report.rows == {"variants": 3, "quarantine": 0}
    first, second, third = (
        lake.fetch(VARIANTS).sort_by([("start", "ascending"), ("alt_index", "ascending")]).to_pylist()
    )
    assert [first["contig"], first["source_contig"], third["source_contig"]] == ["22", "chr22", "22"]
    assert [r["variant_id"] for r in (first, second, third)] == ["22_100_A_C", "22_100_A_G", "22_200_AT_A"]
    assert [first["dosages"], second["dosages"], third["dosages"]] == [[1, 0], [0, 2], [None, 1]]
    assert [(r["ac"], r["an"]) for r in (first, second, third)] == [(1, 4), (2, 4), (1, 2)]
    assert [dict(r["info"]) for r in (first, second)] == [{"AC": "1"}, {"AC": "2"}]
    assert (first["rsid"], first["qual"], third["qual"], third["filters"]) == ("rs1", 9.5, None, ["q1", "q2"])
    (loaded,) = lake.fetch(LOADS).to_pylist()
    assert (loaded["rows_in"], loaded["rows_out"], loaded["alleles_out"]) == (2, 2, 3)
    assert dict(loaded["warnings"]) == {"contig not declared in the header": 1}
    assert lake.fetch(HEADERS)["header"][0].as_py().startswith("##fileformat=VCFv4.2\n")
    assert lake.fetch(CALLSET_SAMPLES)["sample_id"].to_pylist() == ["HG1", "HG2"]


def test_same_load_again_changes_nothing(lake: Lake, load: Callable[..., Report], tmp_path: Path) -> None:
    path = write_vcf(tmp_path / "a.vcf", "22 100 . A C . . . GT 0|1 1|1")
    load(path)
    before = versions(lake)
    assert not load(path).changed
    # The path is lineage, not identity: the same content from another place is the same load.
    copy = tmp_path / "copy.vcf"
    copy.write_bytes(Path(path).read_bytes())
    assert not load(str(copy)).changed
    assert versions(lake) == before


def test_bad_records_are_counted_and_kept_whole(
    lake: Lake, load: Callable[..., Report], tmp_path: Path
) -> None:
    bad = ("22 x . A C . . . GT 0|1 1|1", "22 300 . A C . . . GT 0|1", "22 400 . A C . . . GT 0|1 0|7")
    path = write_vcf(tmp_path / "a.vcf", "22 100 . A C . . . GT 0|1 1|1", *bad)
    report = load(path)
    assert report.details == {"rows_in": 4, "rows_out": 1, "rows_quarantined": 3}
    rows = lake.fetch(QUARANTINE).sort_by("offset").to_pylist()
    assert [r["line"] for r in rows] == [row.replace(" ", "\t").encode() for row in bad]
    text = Path(path).read_bytes()
    assert all(text[r["offset"] :].startswith(r["line"]) for r in rows)
    assert all(r["reason"] for r in rows)


def test_strict_fails_at_the_first_bad_record_and_writes_nothing(
    lake: Lake, load: Callable[..., Report], tmp_path: Path
) -> None:
    path = write_vcf(tmp_path / "a.vcf", "22 100 . A C . . . GT 0|1 1|1", "22 x . A C . . . GT 0|1 1|1")
    with pytest.raises(InputError, match="POS 'x' is no number"):
        load(path, strict=True)
    assert set(versions(lake).values()) == {None}


def test_a_wider_load_supersedes_a_narrower_one(
    lake: Lake, load: Callable[..., Report], tmp_path: Path
) -> None:
    path = write_vcf(tmp_path / "a.vcf", "22 100 . A C . . . GT 0|1 1|1", "22 5000 . A C . . . GT 0|1 1|1")
    load(path, region=("chr22:1-200",))
    assert lake.fetch(VARIANTS)["start"].to_pylist() == [99]
    with pytest.raises(LakeError, match="overlaps"):
        load(path, region=("22:150-6000",))
    load(path)
    assert sorted(lake.fetch(VARIANTS)["start"].to_pylist()) == [99, 4999]
    assert len(lake.fetch(LOADS)) == 1
    assert lake.fetch_all(VARIANTS).num_rows == 2, "the narrower load's rows are gone from the table itself"
    assert not load(path, region=("22:1-200",)).changed


def test_a_file_that_changed_in_its_place_supersedes(
    lake: Lake, load: Callable[..., Report], tmp_path: Path
) -> None:
    path = write_vcf(tmp_path / "a.vcf", "22 100 . A C . . . GT 0|1 1|1")
    load(path)
    write_vcf(tmp_path / "a.vcf", "22 100 . A C . . . GT 0|1 0|0")
    assert load(path).changed
    assert lake.fetch(VARIANTS)["dosages"].to_pylist() == [[1, 0]]
    assert lake.fetch_all(CALLSET_SAMPLES).num_rows == 2


def test_a_second_file_must_have_the_same_samples(
    lake: Lake, load: Callable[..., Report], tmp_path: Path
) -> None:
    load(write_vcf(tmp_path / "a.vcf", "22 100 . A C . . . GT 0|1 1|1"))
    load(write_vcf(tmp_path / "b.vcf", "21 100 . A C . . . GT 0|1 1|1"))
    assert sorted(lake.fetch(VARIANTS)["contig"].to_pylist()) == ["21", "22"]
    other = write_vcf(tmp_path / "c.vcf", "20 100 . A C . . . GT 0|1 1|1", samples=("HG2", "HG1"))
    before = versions(lake)
    with pytest.raises(LakeError, match="their order differs"):
        load(other)
    assert versions(lake) == before


@pytest.mark.parametrize(
    ("header", "row", "what"),
    [
        (
            ("##fileformat=VCFv4.2", "##contig=<ID=22,length=50818468>"),
            "22 100",
            "50,818,468 is its length in GRCh38",
        ),
        (("##fileformat=VCFv4.2", "##contig=<ID=22,assembly=hg38>"), "22 100", "which is GRCh38, not GRCh37"),
        (("##fileformat=VCFv4.2",), "22 51304567", "beyond the 51,304,566 bases"),
    ],
)
def test_another_build_is_refused_on_evidence(
    header: Sequence[str], row: str, what: str, lake: Lake, load: Callable[..., Report], tmp_path: Path
) -> None:
    path = write_vcf(tmp_path / "a.vcf", f"{row} . A C . . . GT 0|1 1|1", header=header)
    with pytest.raises(BuildError, match=what):
        load(path)
    assert set(versions(lake).values()) == {None}


def test_the_mitochondrion_of_hg19_counts_only_where_rows_lie_on_it(
    lake: Lake, load: Callable[..., Report], tmp_path: Path
) -> None:
    header = (
        "##fileformat=VCFv4.2",
        "##contig=<ID=chrM,length=16571>",
        "##contig=<ID=chr22,length=51304566>",
    )
    assert load(write_vcf(tmp_path / "a.vcf", "chr22 100 . A C . . . GT 0|1 1|1", header=header)).changed
    with pytest.raises(BuildError, match="chrM is declared with 16,571 bases"):
        load(write_vcf(tmp_path / "b.vcf", "chrM 100 . A C . . . GT 0|1 1|1", header=header))


def test_a_callset_has_one_build(lake: Lake, load: Callable[..., Report], tmp_path: Path) -> None:
    load(write_vcf(tmp_path / "a.vcf", "22 100 . A C . . . GT 0|1 1|1"))
    path = write_vcf(tmp_path / "b.vcf", "21 100 . A C . . . GT 0|1 1|1", header=HEADER[:1])
    with pytest.raises(BuildError, match="Callset c is in GRCh37, not GRCh38"):
        load(path, build="GRCh38")


@pytest.mark.parametrize("stop_at", ["callset_samples", "headers", "variants", "quarantine", "loads"])
def test_killed_at_any_commit_and_run_again(
    stop_at: str,
    lake: Lake,
    load: Callable[..., Report],
    tmp_path: Path,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever commit was the last: nothing of it is valid, and the next run ends where a clean one ends."""
    path = write_vcf(tmp_path / "a.vcf", "22 100 . A C . . . GT 0|1 1|1", "22 x . A C . . . GT 0|1 1|1")
    clean = Lake(lake.spark, str(tmp_path / "clean"))
    given = config.params(LoadVariants, {"callset": "c", "build": "GRCh37", "vcf": (path,)})
    run_job(LOAD_VARIANTS, given, load_config(lake=clean.uri, environ={}), progress=Progress(quiet=True))

    class Killed(BaseException):
        pass

    for verb in ("put", "commit"):
        original = getattr(Context, verb)

        def stop(self: Context, table: Any, rows: Any, where: Any, original: Any = original) -> Any:
            if table.name == stop_at and stop_at == "loads":
                raise Killed
            result = original(self, table, rows, where)
            if table.name == stop_at:
                raise Killed
            return result

        monkeypatch.setattr(Context, verb, stop)
    with pytest.raises(Killed):
        load(path)
    monkeypatch.undo()
    assert all(not rows for rows in content(lake).values()), "nothing is valid before the ledger says so"
    load(path)
    assert content(lake) == content(clean)
    assert lake.fetch_all(VARIANTS).num_rows == 1


def test_whole_real_file_equals_bcftools_cell_by_cell(
    lake: Lake, load: Callable[..., Report], bundled: Path, require_tool: Callable[[str], Path]
) -> None:
    path = str(bundled / "genotypes.chr22.vcf.gz")
    load(path)
    table = lake.fetch(VARIANTS).sort_by([("start", "ascending"), ("record_id", "ascending")])
    assert table.num_rows == 50062
    query = "%POS\\t%ID\\t%REF\\t%ALT\\t%QUAL\\t%FILTER\\t%INFO/AC\\t%INFO/AN[\\t%GT]\\n"
    text = subprocess.run(
        [require_tool("bcftools"), "query", "-f", query, path], capture_output=True, text=True, check=True
    ).stdout
    n_wrong = 0
    copies = {"0|0": 0, "0|1": 1, "1|0": 1, "1|1": 2}
    columns = [
        table[name].to_pylist()
        for name in ("start", "vcf_id", "ref", "alt", "qual", "filters", "ac", "an", "dosages")
    ]
    for line, row in zip(text.splitlines(), zip(*columns, strict=True), strict=True):
        pos, vcf_id, ref, alt, qual, filters, ac, an, *gts = line.split("\t")
        expected = (
            int(pos) - 1,
            vcf_id,
            ref,
            alt,
            float(qual),
            [filters],
            int(ac),
            int(an),
            [copies[g] for g in gts],
        )
        n_wrong += row != expected
    assert n_wrong == 0
    assert pc.all(pc.equal(table["source_contig"], "chr22")).as_py()
    assert set(table["contig"].to_pylist()) == {"22"}


def test_a_token_in_the_url_is_neither_kept_nor_shown(
    lake: Lake, config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A canary in the query: read with it, but in no table, no line of progress and no message."""
    path = write_vcf(tmp_path / "a.vcf", "22 100 . A C . . . GT 0|1 1|1", "22 x . A C . . . GT 0|1 1|1")
    canary = "sig=CANARY0123"

    class Handler(http.server.SimpleHTTPRequestHandler):
        asked: ClassVar[list[str]] = []

        def translate_path(self, asked: str) -> str:
            self.asked.append(asked)
            return path

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/a.vcf?{canary}"
        here = load_config(lake=lake.uri, environ={})
        given = config.params(LoadVariants, {"callset": "c", "build": "GRCh37", "vcf": (url,)})
        report = run_job(LOAD_VARIANTS, given, here, progress=Progress())
        given = replace(given, callset="d", strict=True)
        with pytest.raises(InputError) as strict:
            run_job(LOAD_VARIANTS, given, here, progress=Progress())
    finally:
        server.shutdown()
    assert any(canary in asked for asked in Handler.asked), "the server was asked with it"
    seen = capsys.readouterr()
    for text in (seen.out, seen.err, str(strict.value), repr(report.as_dict()), repr(content(lake))):
        assert "CANARY" not in text
    assert lake.fetch(LOADS)["path"].to_pylist() == [f"http://127.0.0.1:{server.server_port}/a.vcf"]


def test_a_part_of_the_samples(lake: Lake, load: Callable[..., Report], tmp_path: Path) -> None:
    """Their order is the callset's, the counts are theirs; whoever is unknown is named with the nearest."""
    rows = ("22 100 . A C . . AC=3 GT 0|1 1|1 0|0", "22 200 . A C,G . . . GT:DP 0|1:3 ./2:4 .:5")
    path = write_vcf(tmp_path / "a.vcf", *rows, samples=("HG00096", "HG00097", "HG00099"))
    with pytest.raises(InputError, match=r"has no sample HG00098 \(perhaps HG0009\d or HG0009\d\)"):
        load(path, samples="HG00098")
    assert load(path, samples="HG00099,HG00097").changed
    assert lake.fetch(CALLSET_SAMPLES)["sample_id"].to_pylist() == ["HG00099", "HG00097"]
    table = lake.fetch(VARIANTS).sort_by([("start", "ascending"), ("alt_index", "ascending")])
    assert table["dosages"].to_pylist() == [[0, 2], [None, None], [None, None]]
    assert table["ac"].to_pylist() == [2, 0, 1]
    assert table["an"].to_pylist() == [4, 1, 1]
    assert dict(table["info"][0].as_py()) == {"AC": "3"}, "INFO stays what the file says"
    assert dict(table["formats"][1].as_py()) == {"DP": ["5", "4"]}
    assert not load(path, samples="HG00099,HG00097").changed
    with pytest.raises(LakeError):
        load(path)


def test_sparks_own_writer_writes_the_same(lake: Lake, load: Callable[..., Report], tmp_path: Path) -> None:
    rows = (
        "22 300 rs1 A C 9 PASS AC=3 GT 0|1 1|1",
        "22 100 . A C,G . . . GT:DP 0/1:3 ./2:4",
        "22 x . A C . . . GT . .",
    )
    path = write_vcf(tmp_path / "a.vcf", *rows)
    load(path, writer="direct")
    direct = content(lake)
    load(path, writer="spark", callset="d")
    both = content(lake)
    for name in ("variants", "quarantine"):
        own = {"load_id": None, "callset": None}
        by_spark = [row | own for row in both[name] if row not in direct[name]]
        assert by_spark == [row | own for row in direct[name]]
    assert len(both["variants"]) == 6
    delta = DeltaTable(lake.path(VARIANTS))
    assert delta.history(1)[0]["operation"] == "WRITE"
    assert "numOutputRows" in delta.history(1)[0]["operationMetrics"], "Spark counts its rows in the log"
    assert delta.protocol().min_reader_version == 1


def test_hardy_weinberg_on_x_is_that_of_women(
    lake: Lake, load: Callable[..., Report], config: Config, tmp_path: Path
) -> None:
    """Men are coded 0|1 by mistake here: they must not count. Without a panel nothing is guessed, and it is said."""
    people = [f"HG{n}" for n in range(1, 9)]
    row = "X 5000000 . A C . . . GT 0|1 0|1 0|1 0|1 0|0 1|1 0|0 1|1"
    path = write_vcf(
        tmp_path / "a.vcf", row, "X 70000 . A C . . . GT 0|1 0|1 0|1 0|1 0|0 1|1 0|0 1|1", samples=people
    )
    report = load(path)
    assert any("1 x Hardy-Weinberg on X left out: sexes unknown" in note for note in report.notes)
    assert sorted(lake.fetch(VARIANTS)["hwe_p"].to_pylist(), key=str) == [pytest.approx(1.0), None]
    panel = tmp_path / "people.panel"
    lines = [f"{name}\tCEU\tEUR\t{'male' if n < 4 else 'female'}" for n, name in enumerate(people)]
    panel.write_text("sample\tpop\tsuper_pop\tgender\n" + "\n".join(lines) + "\n")
    given = config.params(LoadSamples, {"panel": str(panel)})
    run_job(LOAD_SAMPLES, given, load_config(lake=lake.uri, environ={}), progress=Progress(quiet=True))
    report = load(path, callset="d")
    assert not any("left out" in note for note in report.notes)
    table = lake.fetch(VARIANTS)
    rows = [one for one in table.to_pylist() if one["callset"] == "d" and one["start"] == 4_999_999]
    # Of the 8!/(4! 4!) = 70 ways to give four women four copies each of A and C, 6 make no heterozygote: p = 6/70.
    assert rows[0]["hwe_p"] == pytest.approx(3 / 35)
