"""`kgp sync`: the files of a release, listed, compared with last time, and staged where they are new, into `files`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from kgp.errors import InputError, UsageError
from kgp.io.doors import CARRIERS, OpenDoor, open_door
from kgp.io.doors.patience import Patience
from kgp.io.listing import Listing, Selection, take_listing
from kgp.io.staging import Target, open_target
from kgp.io.sums import find_sums
from kgp.job import Context, Job, Report
from kgp.jobs.carry import carry
from kgp.jobs.transfer import (
    Meter,
    Outcome,
    Transfer,
    format_bytes,
    move_by_driver,
    move_by_spark,
    wants_spark,
)
from kgp.params import Sync
from kgp.sources import Door, Entry, doors_of, find_source, open_url_door
from kgp.sources.compare import Comparison, compare, entry_of, gone_row, listed_row
from kgp.tables import FILES

Row = dict[str, Any]
_SHOWN = 5


def run(context: Context, params: Sync) -> Report:
    """List, compare, find sums, stage, record; in this order, so that a run that is cut off is gone on with."""
    source = find_source(params.source)
    selection = Selection(source, params.contig, params.pattern, params.part)
    doors, carrier = _choose_doors(params, source.archive)
    by_globus = carrier is not None and carrier.kind == "globus"
    target = None if params.read_in_place or by_globus else open_target(params.to)
    every = {row["archive_path"]: row for row in context.fetch(FILES) if row["source"] == source.name}
    known = [every[entry.path] for entry in selection.choose([entry_of(row) for row in every.values()])]
    patience = Patience(attempts=params.attempts)
    opened = [open_door(door, timeout=params.timeout) for door in doors]
    try:
        with context.progress.step(f"listing {source.name}"):
            listing = take_listing(selection, opened, known, patience=patience)
        news = compare(known, listing.entries, listing.door.door.name)
        rows, notes = _merge(every, news, listing, source.name)
        wanted = [] if params.read_in_place else _find_wanted(rows, listing.entries, target, params.to)
        if params.dry_run and carrier is None:
            return _plan(params, listing, news, wanted, notes)
        notes += _add_sums(rows, wanted, listing, opened, patience)
    finally:
        for door in opened:
            door.close()

    adopted = set[str]() if target is None else _adopt(rows, wanted, target)
    left = [rows[path] for path in wanted if path not in adopted]
    if params.dry_run and carrier is not None:
        _, text = carry(
            context, carrier, [entry_of(row) for row in left], params.to, source.name, dry_run=True
        )
        return Report("sync_files", False, _counts(news), details=_figures(news), notes=notes, text=text)
    by_hand = ""
    if news.has_news or adopted or any(rows[path] is not every.get(path) for path in wanted):
        _record(context, rows, source.name)
    outcomes: list[Outcome] = []
    if left:
        files = [entry_of(row) for row in left]
        transfer = Transfer(
            doors, params.to, listing.door.door.name, params.connections, params.attempts, params.timeout
        )
        if carrier is not None:
            outcomes, by_hand = carry(context, carrier, files, params.to, source.name, dry_run=False)
        else:
            outcomes = _move(context, files, transfer, params)
        for outcome in outcomes:
            if outcome.staged is not None:
                rows[outcome.entry.path] = _staged_row(rows[outcome.entry.path], outcome)
        _record(context, rows, source.name)
    if by_hand:
        notes.append(f"{carrier.name if carrier else ''} can't be used here; what would do it:\n{by_hand}")
    return _report(params, listing, news, adopted, outcomes, notes)


def _choose_doors(params: Sync, archive: str) -> tuple[tuple[Door, ...], Door | None]:
    """The doors that are listed and read, and the one, if it is named, that brings files by a program of its own."""
    named = [open_url_door(text, archive=archive) for text in params.door]
    for door in named:
        if door.archive != archive:
            raise UsageError(
                f"The door {door.name} serves {door.archive}, not {archive}.",
                where="--door",
                mend=f"Doors of {params.source}: {', '.join(d.name for d in doors_of(archive))}.",
            )
    carriers = [door for door in named if door.kind in CARRIERS]
    doors = [door for door in named if door.kind not in CARRIERS] or [
        door for door in doors_of(archive) if door.kind not in CARRIERS
    ]
    if len(carriers) > 1:
        raise UsageError(
            "Only one program can bring the files.", where="--door", mend="Name aspera or globus."
        )
    if len({door.name for door in named}) != len(named):
        raise UsageError("A door is named twice.", where="--door", mend="Name each once.")
    return tuple(doors), carriers[0] if carriers else None


def _merge(
    every: dict[str, Row], news: Comparison, listing: Listing, source: str
) -> tuple[dict[str, Row], list[str]]:
    """The source's rows after this listing, and what a person should know of it."""
    now = datetime.now(UTC)
    rows = dict(every)
    door = listing.door
    for entry in (*news.new, *news.changed):
        rows[entry.path] = listed_row(
            source, entry, endpoint=door.door.name, url=door.url(entry.path), now=now
        )
    for row in news.gone:
        rows[row["archive_path"]] = gone_row(row, now)
    empty = [entry.path for entry in listing.entries if entry.size == 0]
    notes = list(listing.notes)
    if empty:
        notes.append(f"{len(empty)} files are empty and are not staged: {_some(empty)}")
    return rows, notes


def _find_wanted(rows: dict[str, Row], entries: Sequence[Entry], target: Target | None, to: str) -> list[str]:
    """Paths of the files that are not at the target in the version that is listed.

    Args:
        rows: the source's rows by path.
        entries: the listing.
        target: None where it can't be looked into: a collection of Globus.
        to: its URL.
    """
    if target is None:
        return [
            entry.path
            for entry in entries
            if entry.size != 0 and rows[entry.path].get("staged_path") != f"{to.rstrip('/')}/{entry.path}"
        ]
    prefixes = sorted({entry.path.rpartition("/")[0] + "/" for entry in entries if "/" in entry.path})
    outermost = [p for p in prefixes if not any(p != other and p.startswith(other) for other in prefixes)]
    there = {path: file for prefix in outermost or [""] for path, file in target.list(prefix).items()}
    wanted = []
    for entry in entries:
        row = rows[entry.path]
        file = there.get(entry.path)
        is_here = (
            row["state"] == "staged"
            and row.get("staged_path") == target.url(entry.path)
            and file is not None
            and (entry.size is None or file.size == entry.size)
        )
        if not is_here and entry.size != 0:
            target.check(entry.path)
            wanted.append(entry.path)
    return wanted


def _add_sums(
    rows: dict[str, Row],
    wanted: Sequence[str],
    listing: Listing,
    doors: Sequence[OpenDoor],
    patience: Patience,
) -> list[str]:
    """Put the MD5s that the archive states outside its listing into the rows of the files that will be staged."""
    lacking = [entry_of(rows[path]) for path in wanted if rows[path]["md5"] is None]
    if not lacking:
        return []
    preferred = [listing.door, *(door for door in doors if door is not listing.door)]
    found, notes = find_sums(lacking, listing.others, preferred, patience=patience)
    for path, (md5, origin) in found.items():
        rows[path] = {**rows[path], "md5": md5, "md5_from": origin}
    return notes


def _adopt(rows: dict[str, Row], wanted: Sequence[str], target: Target) -> set[str]:
    """Take for staged what lies at the target with the right MD5, though `files` does not know of it."""
    adopted = set()
    for path in wanted:
        row = rows[path]
        file = target.find(path)
        if file is None or row["md5"] is None or file.size != row["size"]:
            continue
        if target.md5_of(path) == row["md5"]:
            rows[path] = {
                **row,
                "state": "staged",
                "staged_path": target.url(path),
                "staged_at": datetime.now(UTC),
                "is_verified": True,
            }
            adopted.add(path)
    return adopted


def _move(context: Context, files: list[Entry], transfer: Transfer, params: Sync) -> list[Outcome]:
    n_bytes = sum(entry.size or 0 for entry in files)
    meter = Meter(len(files), n_bytes)
    by_spark = wants_spark(params.transfer, files, params.to)
    spark = context.spark if by_spark else None
    text = f"staging {len(files):,} files, {format_bytes(n_bytes)}, to {open_target(params.to).url('')}"
    with context.progress.step(text, meter.text):
        if spark is not None:
            return move_by_spark(spark, files, transfer, meter)
        return move_by_driver(files, transfer, meter)


def _staged_row(row: Row, outcome: Outcome) -> Row:
    staged = outcome.staged
    assert staged is not None
    return {
        **row,
        "state": "staged",
        "gone_at": None,
        "size": staged.size,
        "md5": staged.md5 or row["md5"],
        "md5_from": row["md5_from"] or (staged.door if staged.is_verified else "kgp"),
        "staged_path": staged.url,
        "staged_from": staged.door,
        "staged_at": datetime.now(UTC),
        "is_verified": staged.is_verified,
    }


def _record(context: Context, rows: dict[str, Row], source: str) -> None:
    context.put(FILES, rows.values(), f"source = '{source}'")


def _plan(
    params: Sync, listing: Listing, news: Comparison, wanted: Sequence[str], notes: list[str]
) -> Report:
    """The report of a dry run."""
    sizes = {entry.path: entry.size or 0 for entry in listing.entries}
    n_bytes = format_bytes(sum(sizes[path] for path in wanted))
    lines = [f"{params.source} at {listing.door.door.name}: {_counts(news)}"]
    lines += [f"  {listing.door.url(path)}  {sizes[path]:,} bytes" for path in wanted]
    lines += [f"would stage {len(wanted):,} files, {n_bytes}, to {params.to}; nothing was written"]
    lines += [f"note: {note}" for note in notes]
    details = {**_figures(news), "would_stage": list(wanted), "door": listing.door.door.name}
    return Report(
        "sync_files", False, lines[-1 - len(notes)], details=details, notes=notes, text="\n".join(lines)
    )


def _report(
    params: Sync,
    listing: Listing,
    news: Comparison,
    adopted: set[str],
    outcomes: Sequence[Outcome],
    notes: list[str],
) -> Report:
    done = [outcome.staged for outcome in outcomes if outcome.staged is not None]
    failed = [outcome for outcome in outcomes if outcome.problem is not None]
    notes += [
        f"{staged.path}: {'; '.join(staged.faults)}; staged from {staged.door} all the same"
        for staged in done
        if staged.faults
    ]
    if unverified := [staged.path for staged in done if not staged.is_verified]:
        notes.append(
            f"nobody states an MD5 of {len(unverified)} files, only their length is known: {_some(unverified)}"
        )
    if failed:
        raise InputError(
            f"{len(failed)} of {len(outcomes)} files could not be staged: {failed[0].problem}",
            where=params.source,
            mend="Those that were staged are recorded; run it again for the others.",
        )
    if news.gone:
        notes.append(f"gone from the archive: {_some([row['archive_path'] for row in news.gone])}")
    n_bytes = format_bytes(sum(staged.size for staged in done))
    what = f"{_counts(news)}; staged {len(done):,} files, {n_bytes}"
    if params.read_in_place:
        what = f"{_counts(news)}; read in place"
    changed = news.has_news or bool(done) or bool(adopted)
    details: dict[str, Any] = {**_figures(news), "staged": len(done), "adopted": len(adopted)}
    details["door"] = listing.door.door.name
    details["bytes_read"] = sum(staged.n_bytes_read for staged in done)
    details["staged_from"] = dict(Counter(staged.door for staged in done))
    return Report("sync_files", changed, what if changed else f"nothing has changed ({_counts(news)})",
                  details=details, notes=notes)  # fmt: skip


def _figures(news: Comparison) -> dict[str, int]:
    return {name: len(getattr(news, name)) for name in ("new", "changed", "gone", "same")}


def _counts(news: Comparison) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in _figures(news).items())


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _SHOWN:,} more" if len(paths) > _SHOWN else ""
    return ", ".join(paths[:_SHOWN]) + more


SYNC_FILES = Job(
    name="sync_files",
    summary="The files of a release: list, compare with last time, stage what is new.",
    params=Sync,
    reads=(),
    writes=(FILES,),
    run=run,
)
