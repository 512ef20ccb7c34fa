"""The report and the pages of mappings as a browser shows them: nothing is fetched, overlaps or is cut off."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable, QueryBuilder
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from kgp.config import Config
from kgp.io.predicates import in_list
from kgp.job import Progress, run_job
from kgp.jobs.show_eqtl import SHOW_EQTL
from kgp.jobs.write_report import WRITE_REPORT
from kgp.params import EqtlShow, WriteReport
from kgp.tables import EQTL_MATRICES
from lacking import lacking
from mapped_lake import MATRIX, NAME, NOMINAL, PERMUTE, Simulated, make_mapped_lake
from report_lake import make_lake

SECTIONS = (
    "lake", "people", "overlap", "genotypes", "frequencies", "expression", "components", "quality", "eqtl", "mapping",
    "loads", "quarantine", "conflicts",
)  # fmt: skip

# Page → its sections, and how many figures it has at least.
PAGES = {"report": (SECTIONS, 15), "set": (("mapping",), 3), "gene": (("locus",), 2)}
GENE = "AAA"

_TEXTS = """
return [...document.querySelectorAll('figure svg')].map(svg => ({
  name: svg.querySelector('title').textContent,
  box: svg.getBoundingClientRect().toJSON(),
  texts: [...svg.querySelectorAll('text')].filter(t => t.textContent.trim()).map(t => ({
    text: t.textContent, box: t.getBoundingClientRect().toJSON(), size: parseFloat(getComputedStyle(t).fontSize),
    turned: (t.getAttribute('transform') || '').match(/rotate\\((-?[1-9][^ )]*)/) !== null,
    scale: svg.getScreenCTM().a, fill: getComputedStyle(t).fill, opacity: getComputedStyle(t).opacity}))}));
"""
_WIDTHS = "return [document.documentElement.scrollWidth, window.innerWidth]"
_COLOURS = "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window and without a network."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        lacking("Chromium is not installed: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--host-resolver-rules=MAP * ~NOTFOUND",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    session = webdriver.Chrome(options=options, service=Service(driver))
    yield session
    session.quit()


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with something in every section."""
    place = tmp_path_factory.mktemp("browser") / "lake"
    others = make_lake(place, n_variants=2_000, n_each=20).fetch(EQTL_MATRICES)
    mapped = make_mapped_lake(place, Simulated())
    rows = others.to_pylist(maps_as_pydicts="strict")
    mapped.put(EQTL_MATRICES, rows, f"NOT ({in_list('matrix_id', [MATRIX])})")
    return place


@pytest.fixture(scope="module")
def pages(lake: Path, config: Config) -> dict[str, Path]:
    """Its report, and what `kgp eqtl show` draws of its mapped set and of a gene."""
    made = Config({**config.values, "": {**config.values[""], "lake": str(lake)}})
    out = {name: lake.parent / f"{name}.html" for name in PAGES}
    quiet = Progress(quiet=True)
    run_job(WRITE_REPORT, made.params(WriteReport, {"out": str(out["report"])}), made, progress=quiet)
    for name, gene in (("set", None), ("gene", GENE)):
        options = {"name": NAME, "gene": gene, "out": str(out[name])}
        run_job(SHOW_EQTL, made.params(EqtlShow, options), made, progress=quiet)
    return out


@pytest.fixture
def show(browser: Any, pages: dict[str, Path]) -> Callable[..., Any]:
    """``show(page, width, scheme)``: a page in a window of that width."""

    def at(page: str = "report", width: int = 1280, scheme: str = "light") -> Any:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme_is = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme_is})
        browser.get(pages[page].as_uri())
        return browser

    return at


def query(lake: Path, table: str, sql: str) -> list[dict[str, Any]]:
    """Rows by delta-rs."""
    import pyarrow as pa

    opened = QueryBuilder().register("t", DeltaTable(str(lake / table)))
    return pa.table(opened.execute(sql)).to_pylist()


def read_table(browser: Any, section: str, n_table: int = 0) -> list[list[str]]:
    """The cells of a table of the page that is open."""
    browser.execute_script("document.querySelectorAll('details').forEach(one => one.open = true)")
    script = (
        f"const t = document.querySelectorAll('#{section} table')[{n_table}]; "
        "return [...t.querySelectorAll('tbody tr')].map(r => [...r.cells].map(c => c.innerText))"
    )
    rows: list[list[str]] = browser.execute_script(script)
    return rows


@pytest.mark.parametrize("page", PAGES)
def test_it_opens_without_network_and_without_a_word_of_complaint(
    show: Callable[..., Any], pages: dict[str, Path], browser: Any, page: str
) -> None:
    browser.get_log("performance")  # what earlier pages asked for
    uri = pages[page].as_uri()
    show(page)
    asked = [
        message["params"]["request"]["url"]
        for entry in browser.get_log("performance")
        if (message := json.loads(entry["message"])["message"])["method"] == "Network.requestWillBeSent"
    ]
    assert uri in asked
    assert [url for url in asked if url != uri and not url.startswith("data:")] == []
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("width", [1280, 400])
def test_every_section_is_there_and_nothing_scrolls_sideways(
    show: Callable[..., Any], page: str, width: int
) -> None:
    browser = show(page, width)
    there = browser.execute_script("return [...document.querySelectorAll('main > section')].map(s => s.id)")
    assert tuple(there) == PAGES[page][0]
    page_width, window_width = browser.execute_script(_WIDTHS)
    assert page_width <= window_width == width
    browser.execute_script("document.querySelectorAll('details').forEach(one => one.open = true)")
    page_width, window_width = browser.execute_script(_WIDTHS)
    assert page_width <= window_width


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("width", [1280, 400])
def test_figures_have_a_size_and_their_words_can_be_read(
    show: Callable[..., Any], page: str, width: int
) -> None:
    figures = show(page, width).execute_script(_TEXTS)
    assert len(figures) >= PAGES[page][1]
    for figure in figures:
        box, texts = figure["box"], figure["texts"]
        assert box["width"] > 100, figure["name"]
        assert box["height"] > 100, figure["name"]
        assert box["right"] <= width
        assert len(texts) > 3
        for one in texts:
            assert one["box"]["width"] > 0, (figure["name"], one["text"])
            assert one["box"]["left"] >= box["left"] - 1, (figure["name"], one["text"])
            assert one["box"]["right"] <= box["right"] + 1, (figure["name"], one["text"])
            assert one["box"]["top"] >= box["top"] - 1, (figure["name"], one["text"])
            assert one["box"]["bottom"] <= box["bottom"] + 1, (figure["name"], one["text"])
            assert one["size"] * one["scale"] >= 7.5, (
                figure["name"],
                one["text"],
                one["size"] * one["scale"],
            )
            assert one["opacity"] == "1"


@pytest.mark.parametrize("page", PAGES)
def test_no_word_lies_on_another(show: Callable[..., Any], page: str) -> None:
    for figure in show(page).execute_script(_TEXTS):
        level = [
            one for one in figure["texts"] if not one["turned"]
        ]  # the box of a turned word is larger than it
        for i, a in enumerate(level):
            for b in level[i + 1 :]:
                across = min(a["box"]["right"], b["box"]["right"]) - max(a["box"]["left"], b["box"]["left"])
                down = min(a["box"]["bottom"], b["box"]["bottom"]) - max(a["box"]["top"], b["box"]["top"])
                overlaps = across > 2 and down > 0.4 * min(a["box"]["height"], b["box"]["height"])
                assert not overlaps, (figure["name"], a["text"], b["text"])


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_the_paper(show: Callable[..., Any], page: str, scheme: str) -> None:
    browser = show(page, scheme=scheme)
    ink, paper = map(_luminance, browser.execute_script(_COLOURS))
    assert (paper < 0.1) == (scheme == "dark")
    assert _contrast(ink, paper) > 7
    for figure in browser.execute_script(_TEXTS):
        for one in figure["texts"]:
            assert _contrast(_luminance(one["fill"]), paper) > 7, (figure["name"], one["text"])
    selectors = ["a", "figcaption", "summary", "code"]
    selectors += [] if page == "gene" else ["caption"]  # a gene's page has no table
    for selector in selectors:
        script = f"return getComputedStyle(document.querySelector('{selector}')).color"
        assert _contrast(_luminance(browser.execute_script(script)), paper) > 4.5, selector


def test_the_numbers_that_are_shown_are_those_of_the_lake(show: Callable[..., Any], lake: Path) -> None:
    browser = show()

    def cells(section: str) -> list[list[str]]:
        return read_table(browser, section)

    for name, n_rows, *_ in cells("lake"):
        n_stored = query(lake, name, "SELECT count(*) AS n FROM t")[0]["n"]
        n_debris = 1 if name == "quarantine" else 0
        assert n_rows == f"{n_stored - n_debris:,}", name
    people = query(lake, "samples", "SELECT population, count(*) AS n FROM t GROUP BY population")
    assert {row[1]: row[3] for row in cells("people")} == {
        (r["population"] or "–"): f"{r['n']:,}" for r in people
    }
    by_dataset = query(
        lake, "runs", "SELECT dataset, count(*) AS n, count(DISTINCT sample_id) AS p FROM t GROUP BY dataset"
    )
    assert {tuple(row[:3]) for row in cells("expression")} == {
        (r["dataset"], f"{r['n']:,}", f"{r['p']:,}") for r in by_dataset
    }
    in_phase3 = query(lake, "callset_samples", "SELECT count(*) AS n FROM t WHERE callset = 'phase3'")[0]["n"]
    assert ["phase3", "callset", f"{in_phase3:,}"] in cells("overlap")
    reasons = query(
        lake, "quarantine", "SELECT reason, count(*) AS n FROM t WHERE load_id != 'gone' GROUP BY reason"
    )
    assert {(row[1], row[2]) for row in cells("quarantine")} == {
        (r["reason"], f"{r['n']:,}") for r in reasons
    }
    flagged = query(lake, "expression_quality", "SELECT run_id FROM t WHERE cardinality(flags) > 0")
    assert {row[1] for row in cells("quality")} == {r["run_id"] for r in flagged}


@pytest.mark.parametrize("page", ["report", "set"])
def test_what_is_shown_of_mappings_is_what_the_tables_hold(
    show: Callable[..., Any], lake: Path, page: str
) -> None:
    browser = show(page)
    top = query(
        lake, "eqtl_top", f"SELECT * FROM t WHERE map_id = '{PERMUTE}' ORDER BY neg_log10_p_beta DESC"
    )
    shown = read_table(browser, "mapping")
    clear = [row for row in top if row["p_beta"] < 1]  # the others may stand in any order
    assert [row[:2] for row in shown[: len(clear)]] == [[r["phenotype_id"], r["variant_id"]] for r in clear]
    assert {row[0] for row in shown} == {row["phenotype_id"] for row in top}
    for cells, row in zip(shown, clear, strict=False):
        assert float(cells[4].replace("−", "-")) == pytest.approx(row["p_beta"], rel=0.01)
    maps = query(lake, "eqtl_maps", "SELECT * FROM t")
    assert sorted(read_table(browser, "mapping", 1)) == sorted(
        [row["mode"], reason, f"{n:,}"] for row in maps for reason, n in dict(row["dropped"]).items()
    )
    text = browser.execute_script("return document.querySelector('#mapping').innerText")
    n_pairs = query(lake, "eqtl_nominal", f"SELECT count(*) AS n FROM t WHERE map_id = '{NOMINAL}'")[0]["n"]
    assert f"{n_pairs:,} pairs tested" in text
    n_egenes = sum(row["is_egene"] for row in top)
    assert n_egenes > 0
    assert f"{n_egenes} of {len(top)} phenotypes with a significant variant" in text


def test_the_locus_has_a_point_for_each_pair_and_names_the_best(show: Callable[..., Any], lake: Path) -> None:
    browser = show("gene")
    (gene,) = query(lake, "eqtl_phenotypes", f"SELECT phenotype_id FROM t WHERE gene_name = '{GENE}'")
    where = f"WHERE map_id = '{NOMINAL}' AND phenotype_id = '{gene['phenotype_id']}'"
    pairs = query(lake, "eqtl_nominal", f"SELECT variant_id, neg_log10_p FROM t {where}")
    best = max(pairs, key=lambda row: row["neg_log10_p"])
    text = browser.execute_script("return document.querySelector('#locus').innerText")
    assert f"{len(pairs)} variants" in text
    assert f"Best variant {best['variant_id']}" in text
    script = "return document.querySelector('#locus svg').querySelectorAll('use').length"
    assert browser.execute_script(script) >= len(pairs)


def _luminance(colour: str) -> float:
    """Relative luminance of ``rgb(…)``. Source: WCAG 2.1."""
    channels = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(a: float, b: float) -> float:
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)
