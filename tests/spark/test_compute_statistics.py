"""`kgp stats` against bcftools and plink2 on real files, and what becomes of statistics when their sources change."""

from __future__ import annotations

import csv
import datetime
import gzip
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from kgp import cli
from kgp.config import Config
from kgp.errors import InputError
from kgp.io.catalog import Catalog
from kgp.io.query import run_query
from kgp.job import Job, Progress, Report, run_job
from kgp.jobs.compute_statistics import COMPUTE_STATISTICS
from kgp.jobs.load_samples import LOAD_SAMPLES
from kgp.jobs.load_variants import LOAD_VARIANTS

# What bcftools and plink2 print has six digits; bcftools keeps 32-bit floats, which end at 1.4e-45.
SIX_DIGITS = {"rtol": 6e-6, "atol": 1.4e-45}
GROUPINGS = ("all", "sex", "population", "superpopulation")
COHORTS = ("EUR,-FIN", "CEU+YRI")


@pytest.fixture(scope="module")
def run(spark: Any, make_config: Callable[[Path | str], Config]) -> Callable[..., Report]:
    """``run(JOB, lake, option=…)``: run a job on a lake."""

    def run_one(job: Job[Any], lake: Path, **options: Any) -> Report:
        config = make_config(lake)
        return run_job(job, config.params(job.params, options), config, progress=Progress(quiet=True))

    return run_one


def load(run: Callable[..., Report], lake: Path, vcf: Path, callset: str = "c", **options: Any) -> None:
    run(LOAD_VARIANTS, lake, callset=callset, build="GRCh37", vcf=(str(vcf),), reader="builtin", **options)


def query(lake: Path, sql: str) -> list[dict[str, Any]]:
    answer = run_query(Catalog(str(lake)), sql)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows()]


def panel_of(path: Path) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["sample"]: row for row in csv.DictReader(file, delimiter="\t")}


def members_of(panel: Mapping[str, Mapping[str, str]], samples: Sequence[str]) -> dict[str, list[str]]:
    """Group → people in the file, found here and not by kgp."""
    groups: dict[str, list[str]] = {"all": list(samples)}
    for column, grouping in (("gender", "sex"), ("pop", "population"), ("super_pop", "superpopulation")):
        for sample in samples:
            groups.setdefault(f"{grouping}:{panel[sample][column]}", []).append(sample)
    groups["cohort:EUR,-FIN"] = [
        s for s in samples if panel[s]["super_pop"] == "EUR" and panel[s]["pop"] != "FIN"
    ]
    groups["cohort:CEU+YRI"] = [s for s in samples if panel[s]["pop"] in ("CEU", "YRI")]
    return {name: people for name, people in groups.items() if people}


# -- what other tools say


def split_alleles(bcftools: Path, vcf: Path, out: Path) -> Path:
    """The file with one ALT a record."""
    command = f"'{bcftools}' norm -m- -Ob -o '{out}' '{vcf}'"
    subprocess.run(command, shell=True, check=True, capture_output=True)
    return out


TAGS = ("AC", "AN", "AF", "AC_Het", "AC_Hom", "AC_Hemi", "HWE", "NS")
Key = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Tagged:
    """What +fill-tags says.

    Args:
        rows: (contig, pos, ref, alt) → row of `numbers`.
        groups: group → place of its tags.
        numbers: records × (groups · tags).
    """

    rows: dict[Key, int]
    groups: dict[str, int]
    numbers: np.ndarray

    def of(self, group: str, keys: Sequence[Key]) -> dict[str, np.ndarray]:
        """Tag → numbers of a group, in the order of the keys."""
        assert len(set(keys)) == len(keys) == len(self.rows)
        rows = [self.rows[key] for key in keys]
        begin = len(TAGS) * self.groups[group]
        return {tag: self.numbers[rows, begin + i] for i, tag in enumerate(TAGS)}


def by_bcftools(bcftools: Path, split: Path, groups: Mapping[str, Sequence[str]], place: Path) -> Tagged:
    """Count with +fill-tags, all groups at once."""
    of_sample: dict[str, list[str]] = {}
    for i, people in enumerate(groups.values()):
        for sample in people:
            of_sample.setdefault(sample, []).append(f"g{i}")
    (place / "groups.txt").write_text("".join(f"{s}\t{','.join(g)}\n" for s, g in of_sample.items()))
    columns = [f"%INFO/{tag}_g{i}" for i in range(len(groups)) for tag in TAGS]
    form = r"%CHROM\t%POS\t%REF\t%ALT\t" + r"\t".join(columns) + r"\n"
    command = (
        f"'{bcftools}' +fill-tags '{split}' -Ou -- -S '{place}/groups.txt' -t {','.join(TAGS)}"
        f" | '{bcftools}' query -f '{form}'"
    )
    done = subprocess.run(command, shell=True, check=True, capture_output=True, text=True)
    cells = [line.split("\t") for line in done.stdout.splitlines()]
    rows = {tuple(one[:4]): i for i, one in enumerate(cells)}
    assert len(rows) == len(cells)
    values = [["nan" if value == "." else value for value in one[4:]] for one in cells]
    return Tagged(rows, {name: i for i, name in enumerate(groups)}, np.array(values, dtype=float))


def by_plink2(plink2: Path, split: Path, people: Sequence[str], place: Path) -> dict[str, np.ndarray]:
    """Column → numbers in file order, by --geno-counts, --freq and --hardy."""
    (place / "keep.txt").write_text("".join(f"{sample}\n" for sample in people))
    command: list[Any] = [
        plink2,
        "--bcf",
        split,
        "--keep",
        place / "keep.txt",
        "--threads",
        "1",
        "--memory",
        "640",
    ]
    command += ["--geno-counts", "--freq", "--hardy", "--out", place / "plink"]
    subprocess.run(command, check=True, capture_output=True)
    columns: dict[str, np.ndarray] = {}
    for suffix in ("gcount", "afreq", "hardy"):
        with open(place / f"plink.{suffix}") as lines:
            header, *body = (line.lstrip("#").split() for line in lines)
        for name, values in zip(header, zip(*body, strict=True), strict=True):
            columns[f"{suffix}.{name}"] = np.array(values)
    return columns


def by_kgp(lake: Path, callset: str, group: str) -> dict[str, np.ndarray]:
    """Column → numbers in file order; null is NaN."""
    sql = f"""SELECT v.source_contig, v.start + 1 AS pos, v.ref, v.alt, s.* EXCLUDE (callset, contig, "group", start)
        FROM allele_statistics s JOIN variants v USING (callset, variant_id)
        WHERE s.callset = '{callset}' AND s."group" = '{group}' ORDER BY record_id, alt_index"""
    answer = run_query(Catalog(str(lake)), sql)
    rows = pa.table(answer.relation.to_arrow_table())
    assert rows["is_stale"].to_pylist() == [False] * rows.num_rows
    return {name: rows[name].to_pandas().to_numpy() for name in rows.column_names}


def keys_of(found: Mapping[str, np.ndarray]) -> list[Key]:
    columns = (found[name].tolist() for name in ("source_contig", "pos", "ref", "alt"))
    return [(contig, str(pos), ref, alt) for contig, pos, ref, alt in zip(*columns, strict=True)]


def assert_as_bcftools(found: Mapping[str, np.ndarray], tagged: Tagged, group: str, n_people: int) -> None:
    expected = tagged.of(group, keys_of(found))
    n_het, n_hom_alt = found["n_het"], found["n_hom_alt"]
    assert set(found["n_samples"].tolist()) == {n_people}
    np.testing.assert_array_equal(found["ac"], expected["AC"])
    np.testing.assert_array_equal(found["an"], expected["AN"])
    np.testing.assert_array_equal(n_het, expected["AC_Het"])
    np.testing.assert_array_equal(2 * n_hom_alt, expected["AC_Hom"])
    np.testing.assert_array_equal(found["ac"] - n_het - 2 * n_hom_alt, expected["AC_Hemi"])
    np.testing.assert_array_equal(n_people - found["n_missing"], expected["NS"])
    np.testing.assert_allclose(found["af"], expected["AF"], **SIX_DIGITS)
    np.testing.assert_allclose(found["hwe_p"], expected["HWE"], **SIX_DIGITS)


def assert_as_plink2(found: Mapping[str, np.ndarray], printed: Mapping[str, np.ndarray]) -> None:
    alleles = [f"{ref} {alt}" for ref, alt in zip(found["ref"], found["alt"], strict=True)]
    plinks = zip(printed["gcount.REF"], printed["gcount.ALT"], strict=True)
    assert alleles == [f"{ref} {alt}" for ref, alt in plinks]
    for ours, theirs in (
        ("n_het", "gcount.HET_REF_ALT_CTS"),
        ("n_hom_alt", "gcount.TWO_ALT_GENO_CTS"),
        ("n_missing", "gcount.MISSING_CT"),
        ("an", "afreq.OBS_CT"),
    ):
        np.testing.assert_array_equal(found[ours].astype(int), printed[theirs].astype(int))
    np.testing.assert_allclose(found["af"], printed["afreq.ALT_FREQS"].astype(float), **SIX_DIGITS)
    np.testing.assert_allclose(found["hwe_p"], printed["hardy.P"].astype(float), **SIX_DIGITS)


# -- real files


def samples_of(vcf: Path) -> list[str]:
    with gzip.open(vcf, "rt") as lines:
        return next(line for line in lines if line.startswith("#CHROM")).rstrip("\n").split("\t")[9:]


def assert_every_group(
    run: Callable[..., Report],
    require_tool: Callable[[str], Path],
    place: Path,
    vcf: Path,
    panel: Path,
    in_plink2: Sequence[str],
) -> None:
    lake = place / "lake"
    run(LOAD_SAMPLES, lake, panel=str(panel))
    load(run, lake, vcf)
    report = run(COMPUTE_STATISTICS, lake, callset="c", by=GROUPINGS, cohort=COHORTS)
    groups = members_of(panel_of(panel), samples_of(vcf))
    assert sorted(report.details["computed"]) == sorted(groups)
    split = split_alleles(require_tool("bcftools"), vcf, place / "split.bcf")
    tagged = by_bcftools(require_tool("bcftools"), split, groups, place)
    assert report.rows["allele_statistics"] == len(tagged.rows) * len(groups)
    for name, people in groups.items():
        found = by_kgp(lake, "c", name)
        assert_as_bcftools(found, tagged, name, len(people))
        if name in in_plink2:
            assert_as_plink2(found, by_plink2(require_tool("plink2"), split, people, place))


@pytest.mark.slow
def test_the_bundled_slice_is_counted_as_bcftools_and_plink2_count(
    run: Callable[..., Report], bundled: Path, require_tool: Callable[[str], Path], tmp_path: Path
) -> None:
    in_plink2 = ("all", "sex:female", "population:TSI", "cohort:EUR,-FIN")
    vcf = bundled / "genotypes.chr22.vcf.gz"
    assert_every_group(run, require_tool, tmp_path, vcf, bundled / "samples.panel", in_plink2)


@pytest.mark.slow
def test_a_release_file_is_counted_as_bcftools_and_plink2_count(
    run: Callable[..., Report],
    bundled: Path,
    shared_data: Path,
    require_tool: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    (vcf,) = (shared_data / "phase3-grch37").glob("10k.chr22*.vcf.gz")
    in_plink2 = ("all", "sex:male", "superpopulation:AFR", "population:GIH", "cohort:CEU+YRI")
    assert_every_group(run, require_tool, tmp_path, vcf, bundled / "samples.panel", in_plink2)


PAR1 = (60_000, 2_699_520)


def write_x(bundled: Path, path: Path, n_rows: int) -> list[str]:
    """Real genotypes as if they were of X: every other site in PAR1, elsewhere men haploid; some are missing.

    Every ninth record has ``.`` or ``./.`` for every seventh person, every tenth a half call for every fifth
    person who is diploid.
    """
    panel = panel_of(bundled / "samples.panel")
    out, n_seen, samples = [], 0, []
    with gzip.open(bundled / "genotypes.chr22.vcf.gz", "rt") as lines:
        for line in lines:
            if line.startswith("##contig"):
                out.append("##contig=<ID=X,length=155270560>\n")
            elif line.startswith("#"):
                out.append(line)
                samples = line.rstrip("\n").split("\t")[9:]
            elif n_seen < n_rows:
                fields = line.rstrip("\n").split("\t")
                is_par = n_seen < n_rows // 2
                fields[0], fields[1] = "X", str((PAR1[0] if is_par else PAR1[1]) + 1 + n_seen)
                for i, sample in enumerate(samples):
                    if not is_par and panel[sample]["gender"] == "male":
                        fields[9 + i] = "." if not n_seen % 9 and not i % 7 else fields[9 + i][0]
                    elif not n_seen % 9 and not i % 7:
                        fields[9 + i] = "./."
                    elif not n_seen % 10 and not i % 5:
                        fields[9 + i] = f"./{fields[9 + i][2]}"
                out.append("\t".join(fields) + "\n")
                n_seen += 1
    path.write_text("".join(out))
    return samples


def test_x_is_counted_as_bcftools_counts_with_women_tested(
    run: Callable[..., Report], bundled: Path, require_tool: Callable[[str], Path], tmp_path: Path
) -> None:
    lake, vcf, panel_path = tmp_path / "lake", tmp_path / "x.vcf", bundled / "samples.panel"
    n_rows = 3_000
    samples = write_x(bundled, vcf, n_rows)
    run(LOAD_SAMPLES, lake, panel=str(panel_path))
    load(run, lake, vcf)
    run(COMPUTE_STATISTICS, lake, callset="c", by=("all", "sex", "population"))
    panel = panel_of(panel_path)
    groups = members_of(panel, samples)
    women = {
        f"women {name}": [s for s in people if panel[s]["gender"] == "female"]
        for name, people in groups.items()
    }
    tagged = by_bcftools(
        require_tool("bcftools"), vcf, {**groups, **{n: p for n, p in women.items() if p}}, tmp_path
    )
    is_par = np.arange(n_rows) < n_rows // 2
    has_half_calls = np.arange(n_rows) % 10 == 0
    for name in ("all", "sex:female", "sex:male", "population:FIN"):
        found = by_kgp(lake, "c", name)
        keys = keys_of(found)
        assert [int(key[1]) - 1 < PAR1[1] for key in keys] == is_par.tolist()
        tags = tagged.of(name, keys)
        np.testing.assert_array_equal(found["ac"], tags["AC"])
        np.testing.assert_array_equal(found["an"], tags["AN"])
        np.testing.assert_allclose(found["af"], tags["AF"], **SIX_DIGITS)
        # Of half calls bcftools has another opinion in its other tags: there the called allele is hemizygous.
        whole = ~has_half_calls
        np.testing.assert_array_equal(found["n_het"][whole], tags["AC_Het"][whole])
        np.testing.assert_array_equal(2 * found["n_hom_alt"][whole], tags["AC_Hom"][whole])
        np.testing.assert_array_equal((found["n_samples"] - found["n_missing"])[whole], tags["NS"][whole])
        assert tags["AC_Hemi"][whole].any() == (name != "sex:female")
        p = found["hwe_p"]
        np.testing.assert_allclose(p[is_par & whole], tags["HWE"][is_par & whole], **SIX_DIGITS)
        on_x = ~is_par & whole
        if name == "sex:male":
            assert np.isnan(p[on_x]).all()
        else:
            of_women = tagged.of(f"women {name}", keys)["HWE"]
            np.testing.assert_allclose(p[on_x], of_women[on_x], **SIX_DIGITS)


# -- what becomes of them

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tHG1\tHG2\tHG3\tHG4\n"
PANEL = {"HG1": "CEU EUR female", "HG2": "FIN EUR male", "HG3": "YRI AFR female", "HG4": "YRI AFR male"}


def write_panel(path: Path, **changed: str) -> str:
    people = {**PANEL, **changed}
    path.write_text(
        "sample\tpop\tsuper_pop\tgender\n"
        + "".join(f"{sample}\t{text.replace(' ', chr(9))}\n" for sample, text in people.items())
    )
    return str(path)


def write_vcf(path: Path, *lines: str) -> Path:
    path.write_text(HEADER + "".join("\t".join(line.split()) + "\n" for line in lines))
    return path


ONE = (
    "22 1000 . A C . PASS . GT 0|1 1|1 0|0 .|.",
    "22 1010 . A C,G . PASS . GT 0|1 1|2 2|2 0|0",
    "22 1020 . A . . PASS . GT 0|0 0|0 0|0 0|0",
)
TWO = ("21 500 . T C . PASS . GT 0|1 1|1 0|0 1|1",)


@pytest.fixture(scope="module")
def template(run: Callable[..., Report], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four people, a file of three records, and statistics of the superpopulations; copy it."""
    place = tmp_path_factory.mktemp("statistics")
    lake = place / "lake"
    run(LOAD_SAMPLES, lake, panel=write_panel(place / "people.panel"))
    load(run, lake, write_vcf(place / "one.vcf", *ONE))
    report = run(COMPUTE_STATISTICS, lake, callset="c")
    assert report.changed
    assert report.details["computed"] == ["superpopulation:AFR", "superpopulation:EUR"]
    assert report.rows == {"allele_statistics": 6, "statistics": 2}
    return place


@pytest.fixture
def place(template: Path, tmp_path: Path) -> Path:
    """A directory with a copy of the template's lake."""
    shutil.copytree(template / "lake", tmp_path / "lake")
    return tmp_path


def states(lake: Path) -> dict[str, bool]:
    """Group → is_stale, which must agree in both tables."""
    of_groups = {
        row["group"]: row["is_stale"] for row in query(lake, 'SELECT "group", is_stale FROM statistics')
    }
    of_rows = query(lake, 'SELECT DISTINCT "group", is_stale FROM allele_statistics')
    assert {row["group"]: row["is_stale"] for row in of_rows} == of_groups
    assert len(of_rows) == len(of_groups)
    return of_groups


def counts(lake: Path, group: str) -> list[tuple[Any, ...]]:
    columns = "variant_id, ac, an, n_missing, n_het, n_hom_alt"
    rows = query(lake, f"SELECT {columns} FROM allele_statistics WHERE \"group\" = '{group}' ORDER BY 1")
    return [tuple(row.values()) for row in rows]


EUR_ONE = [("22_1000_A_C", 3, 4, 0, 1, 1), ("22_1010_A_C", 2, 4, 0, 2, 0), ("22_1010_A_G", 1, 4, 0, 1, 0)]
AFR_ONE = [("22_1000_A_C", 0, 2, 1, 0, 0), ("22_1010_A_C", 0, 4, 0, 0, 0), ("22_1010_A_G", 2, 4, 0, 0, 1)]


def change_panel(run: Callable[..., Report], template: Path, lake: Path, **changed: str) -> None:
    """Load the panel as if it had changed in its place."""
    try:
        run(LOAD_SAMPLES, lake, panel=write_panel(template / "people.panel", **changed))
    finally:
        write_panel(template / "people.panel")


def test_statistics_are_there_and_fresh(place: Path) -> None:
    lake = place / "lake"
    assert states(lake) == {"superpopulation:AFR": False, "superpopulation:EUR": False}
    assert counts(lake, "superpopulation:EUR") == EUR_ONE
    assert counts(lake, "superpopulation:AFR") == AFR_ONE
    (row,) = query(lake, "SELECT * FROM statistics WHERE \"group\" = 'superpopulation:AFR'")
    (load_row,) = query(lake, "SELECT load_id FROM loads WHERE target = 'variants'")
    assert row["load_ids"] == [load_row["load_id"]]
    assert row["sample_ids"] == ["HG3", "HG4"]
    assert (row["n_samples"], row["n_variants"]) == (2, 3)


def versions(lake: Path) -> dict[str, int]:
    return {name: DeltaTable(str(lake / name)).version() for name in ("statistics", "allele_statistics")}


def test_the_same_again_does_nothing_and_another_group_only_adds(
    run: Callable[..., Report], place: Path
) -> None:
    lake = place / "lake"
    before = versions(lake)
    ids = {row["statistics_id"] for row in query(lake, "SELECT statistics_id FROM statistics")}
    for options in ({}, {"by": ("superpopulation",)}, {"by": ("superpopulation",), "check": True}):
        report = run(COMPUTE_STATISTICS, lake, callset="c", **options)
        assert not report.changed
    assert versions(lake) == before
    report = run(COMPUTE_STATISTICS, lake, callset="c", by=("superpopulation", "sex"), cohort=("EUR, -FIN",))
    assert report.details["computed"] == ["sex:female", "sex:male", "cohort:EUR,-FIN"]
    assert report.rows == {"allele_statistics": 9, "statistics": 3}
    assert ids < {row["statistics_id"] for row in query(lake, "SELECT statistics_id FROM statistics")}
    assert counts(lake, "superpopulation:EUR") == EUR_ONE
    assert counts(lake, "cohort:EUR,-FIN")[0] == ("22_1000_A_C", 1, 2, 0, 1, 0)
    assert counts(lake, "sex:male")[0] == ("22_1000_A_C", 2, 2, 1, 0, 1)


def test_a_file_of_ids_is_a_cohort_that_is_judged_and_renewed_without_it(
    run: Callable[..., Report], template: Path, place: Path
) -> None:
    lake, ids = place / "lake", place / "ids.txt"
    ids.write_text("HG4\nHG5\nHG1\n", encoding="utf-8")
    digest = hashlib.sha256(b"HG1\nHG4\nHG5").hexdigest()
    name = f"cohort:ids:3:{digest[:12]}"
    change_panel(run, template, lake, HG5="TSI EUR male")
    report = run(COMPUTE_STATISTICS, lake, callset="c", cohort=(str(ids),))
    assert report.details["computed"] == [name]
    assert f"{name}: 2 of its 3 people are in the callset" in report.notes
    (row,) = query(lake, f"SELECT sample_ids FROM statistics WHERE \"group\" = '{name}'")
    assert row["sample_ids"] == ["HG1", "HG4"]
    assert counts(lake, name)[0] == ("22_1000_A_C", 1, 2, 1, 1, 0)
    moved = place / "moved.txt"
    moved.write_text("HG1 HG1\nHG4 HG4\nHG5 HG5\n", encoding="utf-8")
    assert not run(COMPUTE_STATISTICS, lake, callset="c", cohort=(str(moved),)).changed
    ids.unlink()
    assert states(lake)[name] is False
    change_panel(run, template, lake, HG4="YRI AFR female", HG5="TSI EUR male")
    assert states(lake)[name] is True
    assert name in run(COMPUTE_STATISTICS, lake, callset="c").details["computed"]
    assert states(lake)[name] is False
    ids.write_text("HG1\nHG44\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"Nobody is known as HG44 \(perhaps HG4"):
        run(COMPUTE_STATISTICS, lake, callset="c", cohort=(str(ids),))


def test_a_changed_panel_marks_the_groups_it_touches(
    run: Callable[..., Report], template: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = place / "lake"
    run(COMPUTE_STATISTICS, lake, callset="c", by=("population",))
    change_panel(run, template, lake, HG5="TSI EUR male")
    assert set(states(lake).values()) == {False}  # another panel, the same people in the callset
    change_panel(run, template, lake, HG4="CEU EUR male")
    stale = {group for group, is_stale in states(lake).items() if is_stale}
    assert stale == {
        "population:CEU", "population:YRI", "superpopulation:AFR", "superpopulation:EUR",
    }  # fmt: skip
    assert cli.main(["stats", "--lake", str(lake), "--callset", "c", "--check", "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "population:FIN" in shown
    assert shown.count("stale: its people, or what is known of their sexes, have changed") == 4
    assert cli.main(["stats", "--lake", str(lake), "--callset", "c", "--check", "--json", "--quiet"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["details"]["stale"]) == stale
    assert not told["changed"]

    report = run(COMPUTE_STATISTICS, lake, callset="c", by=("superpopulation",))
    assert report.details["computed"] == ["superpopulation:AFR", "superpopulation:EUR"]
    assert set(report.details["stale"]) == {"population:CEU", "population:YRI"}
    assert [note for note in report.notes if "population:CEU" in note]
    assert counts(lake, "superpopulation:AFR")[0] == ("22_1000_A_C", 0, 2, 0, 0, 0)
    assert counts(lake, "superpopulation:EUR")[0] == ("22_1000_A_C", 3, 4, 1, 1, 1)
    run(COMPUTE_STATISTICS, lake, callset="c")  # renews what is there
    assert set(states(lake).values()) == {False}
    assert_no_debris(lake)


def test_another_load_marks_everything_of_its_callset(run: Callable[..., Report], place: Path) -> None:
    lake = place / "lake"
    load(run, lake, write_vcf(place / "other.vcf", *TWO), callset="other")
    assert set(states(lake).values()) == {False}
    load(run, lake, write_vcf(place / "two.vcf", *TWO))
    assert set(states(lake).values()) == {True}
    assert query(lake, "SELECT count(*) AS n FROM allele_statistics WHERE NOT is_stale") == [{"n": 0}]
    report = run(COMPUTE_STATISTICS, lake, callset="c")
    assert report.rows == {"allele_statistics": 8, "statistics": 2}
    assert set(states(lake).values()) == {False}
    assert counts(lake, "superpopulation:EUR") == [("21_500_T_C", 3, 4, 0, 1, 1), *EUR_ONE]
    assert_no_debris(lake)


def assert_no_debris(lake: Path) -> None:
    delta = DeltaTable(str(lake / "allele_statistics"))
    ids = set(delta.to_pyarrow_table()["statistics_id"].to_pylist())
    assert ids == set(DeltaTable(str(lake / "statistics")).to_pyarrow_table()["statistics_id"].to_pylist())


def test_a_run_that_is_cut_off_leaves_nothing_that_counts(
    run: Callable[..., Report], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = place / "lake"

    def cut_off(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    load(run, lake, write_vcf(place / "two.vcf", *TWO))
    with monkeypatch.context() as patch:
        patch.setattr("kgp.jobs.compute_statistics._finish", cut_off)
        with pytest.raises(KeyboardInterrupt):
            run(COMPUTE_STATISTICS, lake, callset="c", by=("superpopulation", "sex"))
    assert DeltaTable(str(lake / "allele_statistics")).to_pyarrow_table().num_rows == 6 + 4 * 4
    assert states(lake) == {"superpopulation:AFR": True, "superpopulation:EUR": True}
    assert counts(lake, "superpopulation:EUR") == EUR_ONE
    monkeypatch.setattr("kgp.io.delta.UNFINISHED", datetime.timedelta(0))  # a day later
    run(COMPUTE_STATISTICS, lake, callset="c")
    assert set(states(lake).values()) == {False}
    assert_no_debris(lake)


def test_a_group_without_people_stays_stale_and_is_not_renewed(
    run: Callable[..., Report], template: Path, place: Path
) -> None:
    lake = place / "lake"
    change_panel(run, template, lake, HG3="CEU EUR female", HG4="CEU EUR male")
    report = run(COMPUTE_STATISTICS, lake, callset="c")
    assert report.details["computed"] == ["superpopulation:EUR"]
    assert report.details["stale"] == {"superpopulation:AFR": "nobody belongs to it any more"}
    assert states(lake) == {"superpopulation:AFR": True, "superpopulation:EUR": False}


def test_a_callset_that_is_not_there_is_refused(run: Callable[..., Report], place: Path) -> None:
    with pytest.raises(InputError, match=r"no callset phase9.*There are: c\."):
        run(COMPUTE_STATISTICS, place / "lake", callset="phase9")


def test_without_a_panel_everybody_can_be_counted(run: Callable[..., Report], tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    load(run, lake, write_vcf(tmp_path / "one.vcf", *ONE))
    with pytest.raises(InputError, match="No superpopulation is known"):
        run(COMPUTE_STATISTICS, lake, callset="c")
    run(COMPUTE_STATISTICS, lake, callset="c", by=("all",))
    assert counts(lake, "all") == [
        ("22_1000_A_C", 3, 6, 1, 1, 1), ("22_1010_A_C", 2, 8, 0, 2, 0), ("22_1010_A_G", 3, 8, 0, 1, 1),
    ]  # fmt: skip


def test_the_table_reads_alike_past_the_ledger(run: Callable[..., Report], spark: Any, place: Path) -> None:
    lake = place / "lake"
    run(COMPUTE_STATISTICS, lake, callset="c", cohort=("EUR,-FIN",))
    path = str(lake / "allele_statistics")
    by_spark = spark.read.format("delta").load(path).orderBy("group", "variant_id").collect()
    by_arrow = (
        DeltaTable(path).to_pyarrow_table().sort_by([("group", "ascending"), ("variant_id", "ascending")])
    )
    assert [row.asDict() for row in by_spark] == by_arrow.select(by_spark[0].asDict()).to_pylist()
    assert {row["group"] for row in by_spark} == {
        "superpopulation:AFR",
        "superpopulation:EUR",
        "cohort:EUR,-FIN",
    }
    assert pa.types.is_int32(by_arrow.schema.field("n_het").type)
