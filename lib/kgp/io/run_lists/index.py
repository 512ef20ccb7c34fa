"""Runs of a sequence.index of the 1000 Genomes Project."""

from __future__ import annotations

from collections.abc import Mapping

from kgp.errors import FormatError
from kgp.io.magetab.text import Text
from kgp.io.run_lists.collector import Collector, RunList
from kgp.sources.datasets import Dataset

INDEX_COLUMNS = {"RUN_ID", "SAMPLE_NAME", "STUDY_ID"}
_ALIASES = ("SAMPLE_NAME", "SAMPLE_ID", "EXPERIMENT_ID", "LIBRARY_NAME", "RUN_NAME")


def read_index_runs(url: str, dataset: Dataset) -> RunList:
    """Runs of a sequence.index; rows of other studies are counted."""
    text = Text(url)
    collector = Collector("sequence_index", "sequence.index", url, dataset)
    header: list[str] | None = None
    n_rows = 0
    for line in text.lines():
        if header is None:
            cells = line.text.lstrip("#").split("\t")
            header = cells if set(cells) >= INDEX_COLUMNS else None
            continue
        if not line.text.strip() or line.text.startswith("#"):
            continue
        row = dict(zip(header, text.fit(line.number, line.text.split("\t"), len(header)), strict=True))
        if (why := _why_not_ours(row, dataset)) is not None:
            collector.warnings[why] += 1
            continue
        if not row["RUN_ID"]:
            raise FormatError(
                "It names no run: RUN_ID is empty.",
                where=f"{text.where}, line {line.number}",
                mend="Mend the line, or fetch the file again.",
            )
        n_rows += 1
        aliases = [(column, row.get(column, "")) for column in _ALIASES]
        # RUN_NAME is the assay's name behind the accession of its collection (E-GEUV-1:HG00096.1.M_111124_6).
        aliases.append(("RUN_NAME", row.get("RUN_NAME", "").removeprefix(f"{dataset.accession}:")))
        collector.add(row["RUN_ID"], [("SAMPLE_NAME", row["SAMPLE_NAME"])], aliases, {})
    return collector.finish(n_rows, text.warnings)


def _why_not_ours(row: Mapping[str, str], dataset: Dataset) -> str | None:
    """Why a row of an index is none of the dataset, or None where it is one."""
    if row.get("WITHDRAWN", "0") not in ("0", ""):
        return "row of a run that was withdrawn"
    if dataset.studies:
        return None if row["STUDY_ID"] in dataset.studies else f"row of another study ({row['STUDY_ID']})"
    prefix, colon, _ = row.get("RUN_NAME", "").partition(":")
    if dataset.accession and colon and prefix != dataset.accession:
        return f"row of another collection ({prefix})"
    return None
