"""How a table of a lake comes into being: readable for everyone, its versions kept, its promises held by Delta."""

from __future__ import annotations

from typing import Any

from deltalake import DeltaTable, Schema

from kgp.errors import LakeError
from kgp.io.commits import hold_commits
from kgp.io.place import LakePlace
from kgp.table import Table

# Everyone can read: reader protocol 1, classic checkpoints. Writer 3 is what CHECK constraints need.
_PROPERTIES = {
    "delta.minReaderVersion": "1",
    "delta.minWriterVersion": "3",
    "delta.enableDeletionVectors": "false",
    "delta.checkpointPolicy": "classic",
}

# A matrix set names the versions that it was built from. Writers drop the log of versions older than 30 days, and any
# vacuum but kgp's the files of those older than 7, unless a table says otherwise.
_RETENTION = {
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}


def create_table(place: LakePlace, table: Table) -> None:
    """Create a table with its comments, NOT NULL columns and CHECK constraints, where it is missing.

    Args:
        place: of the lake.
        table: its declaration.

    Raises:
        LakeError: a table of that name is there, with other columns.
    """
    if place.exists(table.name):
        there = place.open(table.name)
        _check_same_shape(place, table, there)
        _keep_versions(place, table, there)
        return
    if (root := place.local_root) is not None:
        root.mkdir(parents=True, exist_ok=True)
    uri, options = place.delta(table.name)
    checks = {f"delta.constraints.{name}": predicate for name, predicate in table.checks.items()}
    with hold_commits(place):
        DeltaTable.create(
            uri,
            table.arrow_schema,
            mode="ignore",
            partition_by=list(table.partition_by),
            description=f"One row per {table.grain}.",
            configuration={**_PROPERTIES, **_RETENTION, **checks},
            raise_if_key_not_exists=False,  # CHECK constraints carry names of their own
            storage_options=options,
        )


def _check_same_shape(place: LakePlace, table: Table, there: DeltaTable) -> None:
    found = _name_types(there.schema())
    declared = _name_types(Schema.from_arrow(table.arrow_schema))
    if differences := sorted(name for name, _ in found ^ declared):
        raise LakeError(
            f"Table {table.name} has other columns than this version of kgp writes: "
            f"{', '.join(dict.fromkeys(differences))}.",
            where=place.table(table.name),
            mend="Use another --lake, or load its files again into a new one.",
        )


def _name_types(schema: Schema) -> set[tuple[str, str]]:
    fields: list[Any] = schema.fields
    return {(field.name, str(field.type)) for field in fields}


def _keep_versions(place: LakePlace, table: Table, there: DeltaTable) -> None:
    """Have the versions of a table that an earlier version of kgp made kept as those of a new one are."""
    if not set(_RETENTION) <= set(there.metadata().configuration):
        with hold_commits(place):
            place.open(table.name).alter.set_table_properties(_RETENTION)
