"""Lets Aspera or Globus bring the files of a source; where they can't be used here, says what would do it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from kgp.amounts import count, format_bytes
from kgp.errors import UsageError
from kgp.io.staging import Staged
from kgp.io.transfers import (
    Progress,
    collect_aspera,
    has_globus_credentials,
    plan_aspera,
    plan_globus,
    run_aspera,
    run_globus,
)
from kgp.io.urls import is_local, place_of
from kgp.job import Context
from kgp.jobs.transfer import Outcome
from kgp.sources import Door, Entry
from kgp.sources.compare import Row

Result = TypeVar("Result")


def check_carried(door: Door, to: str) -> None:
    """Refuse a target that a door of kind aspera or globus can't bring files to.

    Raises:
        UsageError: it is none for this door.
    """
    if door.kind == "aspera" and not is_local(to):
        raise UsageError(
            "Aspera brings files to a disk only.", where="--to", mend="Name a directory of this machine."
        )
    if door.kind == "globus" and not to.startswith("globus://"):
        raise UsageError(
            "Globus brings files to a collection only.",
            where="--to",
            mend="Write globus://ID/path/, with the id that https://app.globus.org/collections shows.",
        )


def is_carried(row: Row, to: str) -> bool:
    """Whether a row of `files` says that the file lies at a target of Globus, which can't be looked into."""
    return row["state"] == "staged" and bool(row["staged_path"] == _place_at(to, row["archive_path"]))


def carry(
    context: Context, door: Door, files: Sequence[Entry], to: str, source: str, *, dry_run: bool
) -> tuple[list[Outcome], str]:
    """Bring files by the program or the service of a door.

    Args:
        context: of the job.
        door: of kind aspera or globus.
        files: what is wanted; at least one.
        to: a directory for Aspera, ``globus://ID/PATH`` for Globus.
        source: what the files belong to, for the service's own list of transfers.
        dry_run: only say what would be done.

    Returns:
        what was brought; and a text for a person where it has to be done by hand, else nothing.

    Raises:
        InputError: files did not arrive; those that did are recognised by the next run.
    """
    if door.kind == "aspera":
        return _by_aspera(context, door, files, to, dry_run)
    return _by_globus(context, door, files, to, source, dry_run)


def _by_aspera(
    context: Context, door: Door, files: Sequence[Entry], to: str, dry_run: bool
) -> tuple[list[Outcome], str]:
    plan = plan_aspera(door, files, place_of(to))
    if dry_run:
        return [], plan.text()
    if plan.missing:
        # A person may have run the command that was printed last time.
        arrived = collect_aspera(plan).arrived
        rest = [entry for entry in files if entry not in set(arrived)]
        text = plan_aspera(door, rest, place_of(to)).text() if rest else ""
    else:
        arrived, text = _watched(context, files, lambda tell: run_aspera(plan, on_progress=tell)).arrived, ""
    return [_outcome(entry, f"{place_of(to)}/{entry.path}", door) for entry in arrived], text


def _by_globus(
    context: Context, door: Door, files: Sequence[Entry], to: str, source: str, dry_run: bool
) -> tuple[list[Outcome], str]:
    plan = plan_globus(door, files, to, source=source)
    if dry_run or not has_globus_credentials():
        return [], plan.text()
    result = _watched(
        context, files, lambda tell: run_globus(plan, on_line=context.progress.say, on_progress=tell)
    )
    skipped = {one.path: one.reason for one in result.skipped}
    return [
        Outcome(entry, problem=f"{entry.path}: the source does not give it ({skipped[entry.path]}).")
        if entry.path in skipped
        else _outcome(entry, _place_at(to, entry.path), door)
        for entry in files
    ], ""


def _watched(
    context: Context, files: Sequence[Entry], run: Callable[[Callable[[Progress], object]], Result]
) -> Result:
    """Run it, and show how far it is."""
    latest = [Progress(0, 0)]
    n_bytes = sum(entry.size or 0 for entry in files)

    def tell(progress: Progress) -> None:
        latest[0] = progress

    def status() -> str:
        now = latest[0]
        amount = f"{format_bytes(now.n_bytes, n_bytes)}/{format_bytes(n_bytes)}"
        done = f"{now.n_files:,}/{len(files):,} files, {amount}"
        return f"{done}, {now.state}" if now.state else done

    text = f"transferring {count(len(files), 'file')}, {format_bytes(n_bytes)}"
    with context.progress.step(text, status):
        return run(tell)


def _place_at(to: str, path: str) -> str:
    return f"{to.rstrip('/')}/{path}"


def _outcome(entry: Entry, url: str, door: Door) -> Outcome:
    staged = Staged(
        path=entry.path,
        url=url,
        size=entry.size or 0,
        md5=entry.md5 or "",
        is_verified=entry.md5 is not None,
        door=door.name,
        source=entry,
        n_bytes_read=entry.size or 0,
        n_bytes_resumed=0,
        n_restarts=0,
        faults=(),
        seconds=0.0,
    )
    return Outcome(entry, staged)
