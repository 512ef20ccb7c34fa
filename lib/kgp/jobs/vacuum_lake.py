"""`kgp vacuum`: remove old files that no table and no matrix set needs."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Mapping

from kgp.amounts import name_first
from kgp.io.catalog import Catalog
from kgp.io.output import align
from kgp.io.vacuum import STAGING, Vacuumed
from kgp.job import Context, Job, Report
from kgp.params import Vacuum
from kgp.tables import ALL_TABLES, EQTL_MATRICES


def run(context: Context, params: Vacuum) -> Report:
    """Remove what no version of the last hours needs and no version that a matrix set was built from.

    Raises:
        NoLakeError: there is no lake.
    """
    Catalog(context.uri).names()
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=params.hours)
    named = _find_named_versions(context)
    found: dict[str, Vacuumed] = {}
    with context.progress.step("looking for files that nobody needs"):
        for table in ALL_TABLES:
            if context.version(table) is not None:
                keep = named.get(table.name, {})
                found[table.name] = context.vacuum(table, keep, before, dry_run=params.dry_run)
        found[STAGING] = context.vacuum_staging(before, dry_run=params.dry_run)
    return _report(params, found, named)


def _find_named_versions(context: Context) -> Mapping[str, Mapping[int, list[str]]]:
    """Table → version → names of the matrix sets that were built from it."""
    named: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in context.fetch(EQTL_MATRICES, ["name", "table_versions"]):
        for table, version in row["table_versions"].items():
            named[table][version].append(row["name"])
    return named


def _report(
    params: Vacuum, found: Mapping[str, Vacuumed], named: Mapping[str, Mapping[int, list[str]]]
) -> Report:
    n_files = sum(len(one.files) for one in found.values())
    n_bytes = sum(sum(one.files.values()) for one in found.values())
    verb = "would be removed" if params.dry_run else "removed"
    rows = [
        (name, len(one.files), sum(one.files.values()), len(one.kept), sum(one.kept.values()))
        for name, one in found.items()
        if one.files or one.kept
    ]
    notes = [
        f"version {version} of {name} can't be read any more: {name_first(named[name][version])} can't be built "
        "again from it"
        for name, one in found.items()
        for version in one.lost
    ]
    text = ""
    if rows:
        header = ("table", "files", "bytes", "kept for sets", "bytes kept")
        text = align(header, rows, max_width=200) + "".join(f"note: {note}\n" for note in notes)
        text += f"{verb}: {n_files:,} files, {n_bytes:,} bytes\n"
    return Report(
        "vacuum_lake",
        bool(n_files) and not params.dry_run,
        f"{n_files:,} files of {n_bytes:,} bytes {verb}" if n_files else "there is nothing to remove",
        details={
            "files": {name: list(one.files) for name, one in found.items() if one.files},
            "bytes": {name: sum(one.files.values()) for name, one in found.items() if one.files},
            "kept_for_sets": {name: len(one.kept) for name, one in found.items() if one.kept},
        },
        notes=notes,
        text=text,
    )


VACUUM_LAKE = Job(
    name="vacuum_lake",
    summary="Remove old files that no table and no matrix set needs.",
    params=Vacuum,
    reads=ALL_TABLES,
    writes=(),
    run=run,
)
