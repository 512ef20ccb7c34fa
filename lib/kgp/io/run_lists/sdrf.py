"""Runs of a MAGE-TAB SDRF."""

from __future__ import annotations

from collections.abc import Iterable

from kgp.errors import FormatError
from kgp.io.magetab import Sdrf, read_sdrf
from kgp.io.magetab.sdrf import NODES
from kgp.io.run_lists.collector import Collector, RunList
from kgp.sources.datasets import Dataset

# Comments of an SDRF that name a run, its sample or its experiment.
_ALIAS_COMMENTS = (
    "Comment[ENA_RUN]", "Comment[ENA_EXPERIMENT]", "Comment[ENA_SAMPLE]", "Comment[BioSD_SAMPLE]",
    "Comment[BIOSAMPLE]", "Comment[Sample_title]",
)  # fmt: skip
_ALIAS_NODES = tuple(name for name in NODES if "Matrix" not in name and name != "Image File")


def read_sdrf_runs(url: str, dataset: Dataset) -> RunList:
    """Runs of an SDRF: the columns that the descriptor names, and every node as a name."""
    sdrf = read_sdrf(url)
    collector = Collector("sdrf", "SDRF", url, dataset)
    runs = [c.index for label in dataset.run_columns for c in sdrf.find(label)]
    if not runs:
        raise FormatError(
            f"It has none of the columns that name a run: {', '.join(dataset.run_columns)}.",
            where=sdrf.where,
            mend=f"Give the SDRF of {dataset.accession or 'the dataset'}.",
        )
    people = _places(sdrf, dataset.person_columns)
    aliases = _places(sdrf, (*_ALIAS_NODES, *_ALIAS_COMMENTS))
    told = {
        "lab": _places(sdrf, dataset.lab_columns),
        "batch": _places(sdrf, dataset.batch_columns),
        "replicate": _places(sdrf, dataset.replicate_columns),
    }
    for number, row in zip(sdrf.line_numbers, sdrf.rows, strict=True):
        run_id = next((row[index] for index in runs if row[index]), None)
        if run_id is None:
            raise FormatError(
                f"It names no run: {', '.join(dataset.run_columns)} are empty.",
                where=f"{sdrf.where}, line {number}",
                mend="Mend the line, or fetch the file again.",
            )
        collector.add(
            run_id,
            [(label, row[index]) for label, index in people],
            [(label, row[index]) for label, index in aliases],
            {name: next((row[i] for _, i in places if row[i]), "") for name, places in told.items()},
        )
    return collector.finish(len(sdrf.rows), sdrf.warnings)


def _places(sdrf: Sdrf, labels: Iterable[str]) -> list[tuple[str, int]]:
    """(label, place) of all columns of those names."""
    return [(column.label, column.index) for label in labels for column in sdrf.find(label)]
