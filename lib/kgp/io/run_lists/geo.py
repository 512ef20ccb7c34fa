"""Samples of GEO as runs."""

from __future__ import annotations

from kgp.io.geo import GeoSeries
from kgp.io.run_lists.collector import Collector, RunList
from kgp.sources.datasets import Dataset


def read_geo_runs(url: str, series: GeoSeries, dataset: Dataset) -> RunList:
    """Samples of GEO as runs."""
    label = "GEO series matrix" if series.kind == "geo_series_matrix" else "GEO SOFT"
    collector = Collector(series.kind, label, url, dataset)
    tags = [
        column[len("Characteristics[") : -1].lower()
        for column in dataset.person_columns
        if column.lower().startswith("characteristics[")
    ]
    for sample in series.samples:
        told = sample.characteristics
        people = [(f"characteristic {tag!r}", text) for tag in tags for text in told.get(tag, ())]
        aliases = [
            ("title", sample.title or ""),
            *(("accession", name) for name in sample.archive_accessions),
        ]
        collector.add(sample.accession, people, aliases, {})
    return collector.finish(len(series.samples), series.warnings)
