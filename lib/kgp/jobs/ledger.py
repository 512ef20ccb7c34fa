"""What every load job does around its own work: is there anything to do, and what was done."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyspark

import kgp
from kgp.errors import CheckError
from kgp.io.predicates import in_list
from kgp.io.storage import content_id, file_size
from kgp.io.urls import place_of
from kgp.job import Context
from kgp.tables import LOADS
from kgp.transforms.loads import Decision, EarlierLoad, LoadIdentity, decide_load

# Raised where a parser's rows change for the same file: the next load then replaces them.
PARSER_VERSION = "2"


@dataclass(frozen=True)
class FileLoad:
    """A file that is to be loaded, compared with what the ledger knows.

    Args:
        url: where the file is read from, as it was given; it may hold a credential and is never shown.
        path: its place as tables and messages name it.
        size: bytes.
        identity: what the load is identified by.
        decision: whether there is work to do, and what it replaces.
    """

    url: str
    path: str
    size: int
    identity: LoadIdentity
    decision: Decision

    @property
    def load_id(self) -> str:
        """Key of the load."""
        return self.identity.load_id

    @property
    def is_done(self) -> bool:
        """Whether an earlier load holds all of it."""
        return self.decision.covered_by is not None

    def header_row(self, header: str) -> dict[str, str]:
        """The row of `headers` for this load."""
        return {"load_id": self.load_id, "path": self.path, "header": header}

    @property
    def slice(self) -> str:
        """Predicate of the rows that this load writes."""
        return in_list("load_id", [self.load_id])


@dataclass(frozen=True)
class LoadCounts:
    """What became of the records of a file; `rows_in` is counted from the raw text."""

    rows_in: int
    rows_out: int
    rows_quarantined: int
    alleles_out: int
    warnings: Mapping[str, int]
    warned_at: Mapping[str, Sequence[int]] = field(default_factory=dict)


def plan_load(
    context: Context,
    url: str,
    *,
    target: str,
    subject: str,
    build: str = "",
    selection: Mapping[str, str] | None = None,
    recipe: str = "",
) -> FileLoad:
    """Identify a file's content and look it up among the earlier loads of the same target and subject.

    Args:
        context: of the job.
        url: the file.
        target: table that it fills.
        subject: callset or dataset that the rows belong to.
        build: reference build of the coordinates.
        selection: what is asked of the file.
        recipe: anything else that the rows depend on; another recipe supersedes.
    """
    return identify_load(
        context,
        url=url,
        path=place_of(url),
        size=file_size(url),
        content=content_id(url),
        target=target,
        subject=subject,
        build=build,
        selection=selection,
        recipe=recipe,
    )


def identify_load(
    context: Context,
    *,
    url: str,
    path: str,
    size: int,
    content: str,
    target: str,
    subject: str,
    build: str = "",
    selection: Mapping[str, str] | None = None,
    recipe: str = "",
) -> FileLoad:
    """Look a content up among the earlier loads of the same target and subject.

    Args:
        context: of the job.
        url, path, size: as in `FileLoad`.
        content: what identifies it.
        target, subject, build, selection, recipe: as in `plan_load`.
    """
    parser = f"{PARSER_VERSION}:{recipe}" if recipe else PARSER_VERSION
    identity = LoadIdentity(target, subject, content, build, dict(selection or {}), parser)
    earlier = [
        EarlierLoad(r["load_id"], r["path"], r["content_id"], r["build"] or "", r["selection"])
        for r in context.fetch(LOADS)
        if r["target"] == target and r["subject"] == subject
    ]
    return FileLoad(url, path, size, identity, decide_load(identity, path, earlier))


def finish_load(
    context: Context, load: FileLoad, counts: LoadCounts, *, reader: str, reason: str, seconds: float
) -> None:
    """Put the load's row into `loads`, which makes its rows valid, in the place of the loads that it supersedes.

    Old rows are valid until this commit and new ones from it on; what is no longer valid is removed after it, and a
    run that is cut off leaves only debris that the next one removes.

    Raises:
        CheckError: records went missing between the text and the table; nothing becomes valid then.
    """
    if counts.rows_in != counts.rows_out + counts.rows_quarantined:
        raise CheckError(
            f"{counts.rows_in} records came in, {counts.rows_out} went out and {counts.rows_quarantined} went into "
            "quarantine.",
            where=load.path,
            mend="This is a defect of kgp: please report it with the file.",
        )
    row = {
        "load_id": load.load_id,
        "target": load.identity.target,
        "subject": load.identity.subject,
        "path": load.path,
        "content_id": load.identity.content_id,
        "size": load.size,
        "build": load.identity.build or None,
        "selection": dict(load.identity.selection),
        "reader": reader,
        "reader_reason": reason,
        "versions": {"kgp": kgp.__version__, "parser": PARSER_VERSION, "spark": pyspark.__version__},
        "rows_in": counts.rows_in,
        "rows_out": counts.rows_out,
        "rows_quarantined": counts.rows_quarantined,
        "alleles_out": counts.alleles_out,
        "warnings": dict(counts.warnings),
        "warned_at": dict(counts.warned_at),
        "seconds": seconds,
        "loaded_at": datetime.datetime.now(datetime.UTC),
    }
    superseded = load.decision.supersedes
    slice_of_ledger = in_list("load_id", (load.load_id, *superseded))
    context.put(LOADS, [row], slice_of_ledger)
    if superseded:
        context.remove_debris(superseded)
