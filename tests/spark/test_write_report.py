"""`kgp report` of a lake that kgp's own jobs filled: the bundled slice, a matrix set, statistics of groups."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from kgp.job import Progress, run_job
from kgp.jobs.compute_statistics import COMPUTE_STATISTICS
from kgp.jobs.load_variants import LOAD_VARIANTS
from kgp.jobs.write_report import WRITE_REPORT
from kgp.params import LoadVariants, Stats, WriteReport
from kgp.report.spectrum import BINS
from kgp.tables import EQTL_MATRICES
from report_lake import open_lake

if TYPE_CHECKING:
    from kgp.config import Config

CALLSET = "phase3"

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def lake(
    slice_lake: Path,
    bundled: Path,
    make_config: Callable[[Path], Config],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The slice with the set `eur`; its file again as another callset, with statistics of superpopulations."""
    place = tmp_path_factory.mktemp("report") / "lake"
    shutil.copytree(slice_lake, place)
    made = make_config(place)
    options = {"callset": CALLSET, "build": "GRCh37", "vcf": (str(bundled / "genotypes.chr22.vcf.gz"),)}
    run_job(LOAD_VARIANTS, made.params(LoadVariants, options), made, progress=Progress(quiet=True))
    params = made.params(Stats, {"callset": CALLSET, "by": ("superpopulation",)})
    run_job(COMPUTE_STATISTICS, params, made, progress=Progress(quiet=True))
    return place


@pytest.fixture(scope="module")
def page(lake: Path, make_config: Callable[[Path], Config]) -> str:
    """Its report."""
    made, out = make_config(lake), lake.parent / "report.html"
    run_job(WRITE_REPORT, made.params(WriteReport, {"out": str(out)}), made, progress=Progress(quiet=True))
    return out.read_text(encoding="utf-8")


def test_frequencies_of_superpopulations_are_those_of_the_raw_genotypes(page: str, raw: Any) -> None:
    superpopulations = np.array([raw.panel[sample][1] for sample in raw.samples])
    for group in np.unique(superpopulations):
        dosages = raw.dosages[:, superpopulations == group]
        copies, n_called = dosages.sum(1), 2 * dosages.shape[1]
        minor = np.minimum(copies, n_called - copies)
        above = sum((minor / n_called > bound).astype(int) for bound in (0.001, 0.005, 0.01, 0.05, 0.1))
        bins = np.where(minor < 3, minor, 3 + above)
        section = page[page.index('<section id="frequencies"') :]
        section = section[section.index(f"<h3>Callset {CALLSET}</h3>") :]
        row = re.search(rf"<tr><td>{group}</td>(.*?)</tr>", section)
        assert row is not None
        numbers = [int(n.replace(",", "")) for n in re.findall(r'<td class="n">([\d,]+)</td>', row[1])]
        assert numbers == [dosages.shape[1], *np.bincount(bins, minlength=len(BINS)).tolist()]
        assert "stale" not in row[1]


def test_what_the_set_dropped_is_shown(page: str, lake: Path) -> None:
    (row,) = open_lake(lake).fetch(EQTL_MATRICES).to_pylist(maps_as_pydicts="strict")
    section = page[page.index('<section id="eqtl"') : page.index('<section id="loads"')]
    assert row["dropped"]
    for what, n in row["dropped"].items():
        kind, _, reason = what.partition(": ")
        assert f'<tr><td>{kind}</td><td>{reason}</td><td class="n">{n:,}</td></tr>' in section
    assert f'<td>variants</td><td>in the set</td><td class="n">{row["n_variants"]:,}</td>' in section


def test_a_second_report_is_the_same_file(
    page: str, lake: Path, make_config: Callable[[Path], Config]
) -> None:
    made, out = make_config(lake), lake.parent / "report.html"
    report = run_job(
        WRITE_REPORT, made.params(WriteReport, {"out": str(out)}), made, progress=Progress(quiet=True)
    )
    assert not report.changed
    assert out.read_text(encoding="utf-8") == page
