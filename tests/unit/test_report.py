"""The report: what it counts, against counts made here; that it is the same twice; that nothing of a lake is markup."""

from __future__ import annotations

import html
import re
import shlex
import xml.etree.ElementTree as ET
from collections import Counter
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgp import tables as t
from kgp.config import Config
from kgp.errors import LakeError, NoLakeError, UsageError
from kgp.io.catalog import Catalog
from kgp.io.query import run_query
from kgp.io.report_page import PageFile
from kgp.job import Progress, Report, run_job
from kgp.jobs import report_genotypes
from kgp.jobs.write_report import WRITE_REPORT
from kgp.params import WriteReport
from kgp.report.facts import PeoplePoints
from kgp.report.figures_genotypes import draw_components
from kgp.report.markup import escape, table
from kgp.report.overlap import find_overlap
from kgp.report.page import MARK
from kgp.report.points import name_points
from kgp.report.spectrum import BINS, CLASSES, bin_alleles, classify
from kgp.report.style import MOST_VECTORS, new_figure, to_svg
from kgp.report.thinning import choose_stretches, choose_variants, spread
from report_lake import CALLSET, HOSTILE, load_row, make_lake, make_people, open_lake, put_callset, put_people

SECTIONS = (
    "lake", "people", "overlap", "genotypes", "frequencies", "expression", "components", "quality", "eqtl", "mapping",
    "loads",
    "quarantine", "conflicts",
)  # fmt: skip


class Page(HTMLParser):
    """A page's sections, ids and commands; every element must be closed."""

    VOID = ("meta", "link", "br", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.sections: dict[str, str] = {}
        self.queries: list[str] = []
        self.tags: Counter[str] = Counter()
        self._in_query = False
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        given = dict(attributes)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if tag == "section":
            self.sections[str(given["id"])] = ""
        if tag == "pre":
            self.queries.append("")
            self._in_query = True
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.ids += [str(value) for name, value in attributes if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self._in_query = self._in_query and tag != "pre"

    def handle_data(self, data: str) -> None:
        if self.sections and "section" in self.open:
            self.sections[list(self.sections)[-1]] += data
        if self._in_query:
            self.queries[-1] += data


def write(config: Config, lake: Path, out: Path, **options: Any) -> Report:
    """Run the job."""
    made = Config({**config.values, "": {**config.values[""], "lake": str(lake)}})
    params = made.params(WriteReport, {"out": str(out), **options})
    return run_job(WRITE_REPORT, params, made, progress=Progress(quiet=True))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with something in every section."""
    path = tmp_path_factory.mktemp("report") / "lake"
    make_lake(path, n_variants=2_000, n_each=12)
    return path


@pytest.fixture(scope="module")
def page(place: Path, config: Config) -> str:
    """Its report."""
    out = place.parent / "new" / "report.html"
    assert write(config, place, out).changed
    return out.read_text(encoding="utf-8")


# ------------------------------------------------------------------------------------------------ what is counted


@given(st.lists(st.tuples(st.integers(0, 6_000), st.integers(0, 6_000)), min_size=1))
def test_alleles_fall_into_the_bin_of_their_frequency(pairs: list[tuple[int, int]]) -> None:
    pairs = [(min(ac, an), an) for ac, an in pairs]
    found = bin_alleles(*(pa.array(column, pa.int32()) for column in zip(*pairs, strict=True)))
    bounds = [Fraction(1, 1000), Fraction(5, 1000), Fraction(1, 100), Fraction(5, 100), Fraction(1, 10)]
    for (ac, an), place in zip(pairs, found.tolist(), strict=True):
        minor = min(ac, an - ac)
        if an == 0:
            assert place == -1
        elif minor < 3:
            assert BINS[place] == ("monomorphic", "singleton", "doubleton")[minor]
        else:
            assert place == 3 + sum(Fraction(minor, an) > bound for bound in bounds)


def test_unknown_counts_have_no_bin() -> None:
    assert bin_alleles(pa.array([None, 1], pa.int32()), pa.array([None, 4], pa.int32())).tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("ref", "alt", "kind"),
    [("A", "C", "SNV"), ("a", "t", "SNV"), ("N", "T", "SNV"), ("AT", "A", "indel"), ("A", "ATTT", "indel"),
     ("AT", "GC", "other"), ("A", "*", "other"), ("A", "<DEL>", "other"), ("A", "A[2:321682[", "other"),
     ("A", None, "other")],
)  # fmt: skip
def test_classes_of_alleles(ref: str, alt: str | None, kind: str) -> None:
    assert CLASSES[classify(pa.array([ref]), pa.array([alt], pa.string()))[0]] == kind


@given(
    st.dictionaries(st.sampled_from("abcd"), st.sets(st.integers(0, 9)), max_size=4),
    st.sets(st.integers(0, 9)),
)
def test_every_person_is_in_exactly_one_combination(sets: dict[str, set[int]], known: set[int]) -> None:
    members = {(name, "callset"): {str(i) for i in people} for name, people in sets.items()}
    found = find_overlap(members, {str(i) for i in known})
    names = [name for name, _ in found.sets]
    assert set(names) == {name for name, people in sets.items() if people}
    assert list(found.sizes) == sorted(found.sizes, reverse=True)
    for flags, n in found.intersections:
        wanted = {name for name, flag in zip(names, flags, strict=True) if flag}
        assert n == sum({s for s in sets if i in sets[s]} == wanted for i in range(10))
    anybody = set().union(*sets.values())
    assert sum(n for _, n in found.intersections) == len(anybody)
    assert found.n_outside == len(known - anybody)


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 400), st.integers(1, 40))
def test_thinning_takes_as_many_as_are_wanted_and_there(
    n_eligible: list[int], n: int, n_stretches: int
) -> None:
    chosen = choose_stretches(n_eligible, n, n_stretches)
    there = sum(k > 0 for k in n_eligible)
    assert chosen == sorted(set(chosen))
    assert len(chosen) >= min(n_stretches, there)
    taken = choose_variants([n_eligible[i] for i in chosen], n)
    assert sum(map(len, taken)) == min(n, sum(n_eligible))
    for i, places in zip(chosen, taken, strict=True):
        assert len(set(places.tolist())) == len(places)
        assert all(0 <= place < n_eligible[i] for place in places)


@given(st.integers(0, 5_000), st.integers(1, 500))
def test_spread_is_even(n: int, wanted: int) -> None:
    places = spread(n, wanted)
    assert len(places) == min(n, wanted)
    if len(places) > 1:
        gaps = np.diff(places)
        assert gaps.max() - gaps.min() <= 1


# ---------------------------------------------------------------------------------------------------- the page


def test_it_is_sound_html_and_every_section_is_there(page: str) -> None:
    found = Page(page)
    assert tuple(found.sections) == SECTIONS
    assert max(Counter(found.ids).values()) == 1, "ids are unique"
    assert set(re.findall(r'<a href="#([^"]+)"', page)) == set(SECTIONS)
    for reference in re.findall(r'(?:xlink:href="#|url\(#)([^")]+)', page):
        assert reference in found.ids
    assert found.tags["script"] == 0
    assert found.tags["svg"] == page.count('role="img"') == page.count("<desc ") >= 12


def test_nothing_is_fetched(page: str) -> None:
    for address in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert address.startswith(("#", "data:")), address
    assert "@import" not in page
    assert set(re.findall(r"url\((.)", page)) <= {"#"}


def test_every_svg_is_sound_xml_with_text_as_text(page: str) -> None:
    svgs = re.findall(r"<svg .*?</svg>", page, re.DOTALL)
    for svg in svgs:
        root = ET.fromstring(svg)
        texts = ["".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")]
        assert len(texts) > 3
    assert "HG" in page
    assert "DejaVu" not in page
    assert "#0102" not in page, "no placeholder is left"


def test_text_of_a_lake_is_no_markup_and_holds_no_credential(page: str) -> None:
    assert "<script" not in page
    assert "secret" not in page
    assert page.count(escape(HOSTILE)) >= 3  # a file, a reason in the table, and in the figure's description
    assert escape("https://host/" + HOSTILE) in page


def test_debris_is_not_shown(page: str) -> None:
    assert "cut off" not in page
    assert "7 records of 2 files could not be loaded, for 4 reasons" in Page(page).sections["quarantine"]


def test_what_is_said_is_what_is_in_the_lake(page: str) -> None:
    said = Page(page).sections
    assert (
        "61 people of 5 populations and 2 superpopulations: 30 female, 30 male, 1 of unknown sex."
        in said["people"]
    )
    assert "1 of the known people are in none" in said["overlap"]
    assert "3 of them belong to nobody" in said["expression"]
    assert "GM12345" in said["expression"]
    assert "low correlation: HG00008" in said["quality"]
    assert "sex mismatch: HG01005, HG01010" in said["quality"]
    assert "sex inferred of 52 runs, undecided of 0" in said["quality"]
    assert "phenotypes above 0" in said["quality"]
    assert "relatives among them included" in said["genotypes"]
    assert "polymorphic alleles in brackets" in said["frequencies"]
    assert "Sources differ 2 times in what they say of 2 people" in said["conflicts"]
    assert "minor allele too rare in the cohort" in said["eqtl"]
    assert "6,000" in said["eqtl"]  # considered: 4,321 + 1,500 + 80 + 99
    assert "4 files with 2,868 records: 2,861 loaded, 7 in quarantine" in said["loads"]


def test_the_queries_run_and_give_the_same_numbers(page: str, place: Path) -> None:
    queries = [query for query in Page(page).queries if not query.startswith("kgp ")]
    assert len(queries) >= 12
    answers = {
        query: [list(row) for row in run_query(Catalog(str(place)), query).rows()] for query in queries
    }
    by_words = {
        word: rows for query, rows in answers.items() for word in ("of_nobody", "quarantine") if word in query
    }
    assert sorted(row[-1] for row in by_words["of_nobody"]) == [1, 2]
    assert sum(row[-1] for row in by_words["quarantine"]) == 7


def test_frequencies_are_those_of_the_genotypes(page: str, place: Path) -> None:
    rows = open_lake(place).fetch(t.VARIANTS).to_pylist()
    expected: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if row["callset"] == CALLSET:
            called = [copies for copies in row["dosages"] if copies is not None]
            minor = min(sum(called), 2 * len(called) - sum(called))
            frequency = minor / (2 * len(called))
            name = (
                BINS[minor]
                if minor < 3
                else BINS[3 + sum(frequency > b for b in (0.001, 0.005, 0.01, 0.05, 0.1))]
            )
            kind = {("A", "G"): "SNV", ("AC", "A"): "indel"}.get((row["ref"], row["alt"]), "other")
            expected[kind, name] += 1
    section = page[page.index("<h3>Callset phase3</h3>", page.index('<section id="frequencies"')) :]
    for kind in CLASSES:
        cells = re.search(rf"<tr><td>all: {kind}</td>(.*?)</tr>", section)
        assert cells is not None
        numbers = [int(n.replace(",", "")) for n in re.findall(r'<td class="n">([\d,]+)</td>', cells[1])]
        assert numbers[-len(BINS) :] == [expected[kind, name] for name in BINS]


def test_frequencies_of_superpopulations_are_there_and_stale_ones_are_named(page: str, place: Path) -> None:
    minor: dict[str, list[int]] = {}
    for row in open_lake(place).fetch(t.ALLELE_STATISTICS).to_pylist():
        group = row["group"].removeprefix("superpopulation:")
        minor.setdefault(group, []).append(min(row["ac"], row["an"] - row["ac"]))
    assert sorted(minor) == ["AFR", "EUR"]
    for group, copies in minor.items():
        cells = re.search(rf"<tr><td>{group}</td>(.*?)</tr>", page[page.index('<section id="frequencies"') :])
        assert cells is not None
        assert ("stale" in cells[1]) == (group == "AFR")
        numbers = [int(n.replace(",", "")) for n in re.findall(r'<td class="n">([\d,]+)</td>', cells[1])]
        assert sum(numbers[1:]) == len(copies) == 2_000
        assert numbers[1:4] == [copies.count(n) for n in range(3)]
    assert "the people or the loads have changed since: AFR" in Page(page).sections["frequencies"]


def test_the_same_lake_gives_the_same_page_byte_for_byte(page: str, place: Path, config: Config) -> None:
    again = place.parent / "again.html"
    write(config, place, again)
    assert again.read_text(encoding="utf-8") == page
    report = write(config, place, again)
    assert not report.changed
    assert "nothing has changed" in report.summary
    assert [path.name for path in again.parent.iterdir() if path.name.startswith(".")] == []


# ------------------------------------------------------------------------------------------- lakes with less in them


def test_a_lake_with_people_only_says_what_is_missing(tmp_path: Path, config: Config) -> None:
    lake = open_lake(tmp_path / "lake")
    put_people(lake, make_people(("CEU", "YRI"), 3))
    lake.put(t.LOADS, [load_row("p1", "sample_records", "panel", build=None)], None)
    write(config, tmp_path / "lake", tmp_path / "r.html")
    said = Page((tmp_path / "r.html").read_text()).sections
    assert tuple(said) == SECTIONS
    assert "kgp load variants" in said["genotypes"]
    assert "kgp load variants" in said["frequencies"]
    assert "kgp load expression" in said["quality"]
    assert "kgp eqtl build" in said["eqtl"]
    assert "phase3" in said["overlap"]


def test_an_empty_lake_is_no_error(tmp_path: Path, config: Config) -> None:
    open_lake(tmp_path / "lake").create(t.LOADS)
    write(config, tmp_path / "lake", tmp_path / "r.html")
    said = Page((tmp_path / "r.html").read_text()).sections
    assert tuple(said) == SECTIONS
    assert "kgp load samples" in said["people"]
    assert "Nothing has been loaded yet" in said["loads"]


def test_runs_without_quality_name_the_command(tmp_path: Path, config: Config) -> None:
    lake = open_lake(tmp_path / "lake")
    row = {"dataset": "E-GEUV-2", "run_id": "r", "evidence": "SDRF", "load_ids": ["e"], "sample_id": "HG1"}
    lake.put(t.RUNS, [row], None)
    write(config, tmp_path / "lake", tmp_path / "r.html")
    assert "kgp quality --dataset E-GEUV-2" in Page((tmp_path / "r.html").read_text()).sections["quality"]


@pytest.mark.parametrize(
    ("contigs", "n_people", "told"),
    [
        (("X",), 12, "no biallelic SNV of an autosome"),
        (("22",), 2, "it has 2 samples, and components need three"),
    ],
    ids=["only X", "two people"],
)
def test_a_callset_without_components_says_why(
    contigs: tuple[str, ...], n_people: int, told: str, tmp_path: Path, config: Config
) -> None:
    lake, rng = open_lake(tmp_path / "lake"), np.random.default_rng(3)
    people = make_people(("CEU",), n_people)[:-1]
    dosages = rng.integers(0, 3, (200, n_people), dtype=np.int8)
    put_callset(lake, "small", people, dosages, "v1", rng, contigs=contigs)
    lake.put(t.LOADS, [load_row("v1", "variants", "small")], None)
    write(config, tmp_path / "lake", tmp_path / "r.html")
    assert told in Page((tmp_path / "r.html").read_text()).sections["genotypes"]


def test_no_lake_is_said(tmp_path: Path, config: Config) -> None:
    with pytest.raises(NoLakeError, match="There is no lake here"):
        write(config, tmp_path / "nothing", tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_variants_are_thinned_and_only_some_stretches_read(
    place: Path, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_genotypes, "MIN_STRETCHES", 1)
    write(config, place, tmp_path / "r.html", max_variants=50)
    said = Page((tmp_path / "r.html").read_text()).sections["genotypes"].replace("\u00a0", " ")
    rows = open_lake(place).fetch(t.VARIANTS).to_pylist()
    n_eligible = sum(
        row["callset"] == CALLSET and row["contig"] != "X" and row["ref"] == "A" and row["alt"] == "G"
        and 0.05 <= row["af"] <= 0.95
        for row in rows
    )  # fmt: skip
    assert (
        f"50 of {n_eligible:,} biallelic SNVs of autosomes with a minor allele frequency of 5 % or more"
        in said
    )
    assert re.search(r"read from 1 of the [2-9] stretches", said)


# ---------------------------------------------------------------------------------------------------- the file


def test_another_file_is_not_written_over(place: Path, config: Config, tmp_path: Path) -> None:
    mine = tmp_path / "mine.html"
    mine.write_text("<html>my thesis</html>")
    with pytest.raises(
        LakeError, match=r"mine\.html: There is another file, which kgp report did not write\."
    ):
        write(config, place, mine)
    assert mine.read_text() == "<html>my thesis</html>"


@pytest.mark.parametrize(
    ("out", "told"),
    [("az://container/r.html", "is no local file"), ("{tmp}", "is a directory")],
    ids=["remote", "directory"],
)
def test_a_place_that_is_no_file_is_refused(out: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=told):
        PageFile(out.format(tmp=tmp_path), MARK)


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LakeError, match=r"r\.html: It can't be written: "):
        PageFile(str(tmp_path / "file" / "r.html"), MARK).put("text")


def test_the_end_of_the_name_is_checked() -> None:
    with pytest.raises(UsageError, match=r"does not end in \.html"):
        WriteReport(out="report.pdf", max_variants=1)


# ------------------------------------------------------------------------------------------------------- pieces


def test_very_many_points_are_drawn_as_pixels() -> None:
    def svg_of(n: int) -> str:
        places = np.random.default_rng(0).normal(size=(n, 2))
        points = PeoplePoints(("x",) * n, ("CEU",) * n, ("EUR",) * n, places, (0.5, 0.25))
        return to_svg(draw_components(points, 0, 1), "many", "Many", "Many points.")

    few, many = svg_of(2_000), svg_of(MOST_VECTORS + 1)
    assert "<image" not in few
    assert few.count("<use ") > 2_000
    assert "data:image/png;base64," in many
    assert many.count("<use ") < 100
    assert len(many) < 500_000


def test_ids_of_a_figure_are_its_own_and_numbered() -> None:
    """matplotlib's ids are hashes of floating-point numbers, whose last bit depends on the machine."""
    places = np.random.default_rng(0).normal(size=(40, 2))
    points = PeoplePoints(("x",) * 40, ("CEU",) * 40, ("EUR",) * 40, places, (0.5, 0.25))
    svg = to_svg(draw_components(points, 0, 1), "one", "One", "One figure.")
    ids = [one for one in re.findall(r' id="([^"]+)"', svg) if one not in ("one-title", "one-desc")]
    assert ids
    assert sorted(ids) == sorted(f"one-{number}" for number in range(1, len(ids) + 1))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg)) == set(ids)


def test_a_command_for_an_odd_place_can_be_pasted_into_a_shell(tmp_path: Path, config: Config) -> None:
    place = tmp_path / "o'dd & old lake"
    put_people(open_lake(place), make_people(("CEU",), 3))
    write(config, place, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    commands = [html.unescape(one) for one in re.findall(r"Run: <code>(kgp [^<]*)</code>", text)]
    assert commands
    assert all(shlex.split(one)[-2:] == ["--lake", str(place)] for one in commands)


def test_no_group_lies_on_top_of_all_others() -> None:
    """Two groups at one place: were one drawn after the other, the last would hide the first."""
    n = 400
    places = np.random.default_rng(0).normal(size=(n, 2))
    groups = tuple(("CEU", "GIH")[i % 2] for i in range(n))
    superpopulations = tuple({"CEU": "EUR", "GIH": "SAS"}[group] for group in groups)
    figure = draw_components(PeoplePoints(groups, groups, superpopulations, places, (0.5, 0.25)), 0, 1)
    drawn = figure.axes[0].collections
    assert sum(len(one.get_offsets()) for one in drawn) == n
    colours = [tuple(one.get_facecolor()[0]) for one in drawn for _ in one.get_offsets()]
    for part in (colours[: n // 4], colours[-n // 4 :]):
        n_first, n_second = (part.count(colour) for colour in sorted(set(colours)))
        assert abs(n_first - n_second) <= n // 16


@pytest.mark.parametrize(
    "others", [[(6.4, 0.0)], [(6.4, 0.0), (8.0, 0.01)], [(4.8, 0.0), (6.4, 0.0), (9.9, 0.0)]]
)
def test_a_name_lies_on_no_other_point_that_has_one(others: list[tuple[float, float]]) -> None:
    figure, axes = new_figure(5.1, 5.0)
    places = np.array([(5.6, 0.0), *others])
    names = [f"HG{i:05d}" for i in range(len(places))]
    axes.set_xlim(-1, 11)
    axes.set_ylim(-1, 1)
    name_points(figure, axes, places[:, 0], places[:, 1], names)
    figure.canvas.draw()
    points = dict(zip(names, axes.transData.transform(places), strict=True))
    assert axes.texts
    for text in axes.texts:
        box = text.get_window_extent()
        for name, (x, y) in points.items():
            assert name == text.get_text() or not box.contains(x, y), (name, text.get_text())


@pytest.mark.parametrize(
    ("unit", "processing", "told"),
    [
        ("rpkm", "none", "XIST, log2(rpkm + 1)"),
        ("count", "none", "XIST, log2(counts per million + 1)"),
        ("log2_intensity", "none", "XIST, log2_intensity as it is"),
        ("rpkm", "peer10_residuals", "XIST, residuals as they are"),
    ],
)
def test_the_sex_figure_names_the_scale_of_its_values(
    unit: str, processing: str, told: str, tmp_path: Path, config: Config
) -> None:
    make_lake(tmp_path / "lake", n_variants=50, n_each=3)
    lake = open_lake(tmp_path / "lake")
    rows = lake.fetch(t.QUANTIFICATIONS).to_pylist()
    lake.put(t.QUANTIFICATIONS, [{**row, "unit": unit, "processing": processing} for row in rows], None)
    write(config, tmp_path / "lake", tmp_path / "report.html")
    assert f">{told}<" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_more_marks_than_there_are_populations_in_a_superpopulation() -> None:
    names = tuple(f"P{i:02d}" for i in range(12))
    points = PeoplePoints(names, names, (None,) * 12, np.eye(12)[:, :2], (0.5, 0.25))
    svg = to_svg(draw_components(points, 0, 1), "marks", "Marks", "Marks.")
    assert all(f">{name}<" in svg for name in names)


@given(st.text())
@settings(max_examples=50)
def test_any_text_may_stand_in_a_table(text: str) -> None:
    shown = table(text, ("a", text), [(text, 1), (None, 2)])
    assert Page(shown).tags["td"] == 4
    assert Page(shown).tags["script"] == 0


def test_rows_that_are_left_out_are_counted() -> None:
    shown = table("Many", ("a",), [(i,) for i in range(2_345)])
    assert "345 more rows are not shown" in shown
    assert shown.count("<tr>") == 2_001


def test_the_job_reads_only_tables_that_it_declares() -> None:
    assert WRITE_REPORT.writes == ()
    assert {table.name for table in WRITE_REPORT.reads} == set(t.TABLES)
