"""`kgp sync`: the files of a release, listed, compared with last time, and staged where they are new, into `files`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from kgp.amounts import count, format_bytes
from kgp.io.doors import OpenDoor
from kgp.io.doors.opening import choose_doors, open_door
from kgp.io.doors.patience import Patience
from kgp.io.listing import Listing, Selection, take_listing
from kgp.io.staging import Target, open_target
from kgp.io.sums import find_sums
from kgp.io.urls import place_of
from kgp.job import Context, Job, Report
from kgp.jobs import sync_report
from kgp.jobs.at_target import AtTarget
from kgp.jobs.carry import carry, check_carried, is_carried
from kgp.jobs.file_rows import FileRows
from kgp.jobs.meter import Meter
from kgp.jobs.sync_report import Story
from kgp.jobs.transfer import Outcome, Transfer, move_by_driver, move_by_spark, wants_spark
from kgp.params import Sync
from kgp.sources import Door, Entry, find_source
from kgp.sources import compare as changes
from kgp.sources.compare import OWN_MD5, Comparison, Row, compare
from kgp.tables import FILES


def run(context: Context, params: Sync) -> Report:
    """List, compare, find sums, adopt, stage.

    What is known of the files is written before any of them is moved, and then as they come: a run that is cut off
    is gone on with by the next one.
    """
    source = find_source(params.source)
    selection = Selection(source, params.contig, params.pattern, params.part)
    doors, carrier = choose_doors(source, params.door)
    target = _open_target(params, carrier)
    rows = FileRows(context, source.name)
    opened = [open_door(door, timeout=params.timeout, connections=params.connections) for door in doors]
    try:
        patience = Patience(attempts=params.attempts)
        with context.progress.step(f"listing {source.name}"):
            listing = take_listing(selection, opened, rows.known, patience=patience)
        names = [door.name for door in doors]
        news = compare(listing.known, listing.entries, listing.door.door.name, names)
        story = Story(selection, _place(params), listing, news, sync_report.notes_of_listing(listing, news))
        _take_in(rows, news, listing, source.name)
        at_target = None if target is None else AtTarget(target, selection)
        if at_target is not None:
            story.wanted = at_target.find_wanted(rows, listing.entries)
        elif not params.read_in_place:
            story.wanted = [
                e for e in listing.entries if e.size != 0 and not is_carried(rows[e.path], params.to)
            ]
        if params.dry_run:
            return _plan(context, rows, story, at_target, carrier, params)
        story.notes += _add_sums(rows, story.wanted, listing, opened, patience)
    finally:
        for door in opened:
            door.close()

    if at_target is not None:
        story.adopted = at_target.adopt(rows, story.wanted, context.progress)
        story.notes += at_target.give_up_lost(rows, story.wanted)
    adopted = set(story.adopted)
    story.wanted = [_as_stated(e, rows[e.path]) for e in story.wanted if e.path not in adopted]
    rows.write()
    if story.wanted:
        transfer = Transfer(
            doors, params.to, listing.door.door.name, params.connections, params.attempts, params.timeout
        )
        _stage(context, rows, story, transfer, carrier, params)
    story.seconds, story.was_written = context.seconds, rows.was_written
    return sync_report.report(story, listing.door.url if target is None else target.url)


def _open_target(params: Sync, carrier: Door | None) -> Target | None:
    """Where files are staged; None where they are not, or where only Globus can look."""
    if params.read_in_place:
        return None
    if carrier is not None:
        check_carried(carrier, params.to)
    return None if carrier is not None and carrier.kind == "globus" else open_target(params.to)


def _place(params: Sync) -> str | None:
    """Where files are staged, for people; None where they are not."""
    if params.read_in_place:
        return None
    return params.to if params.to.startswith("globus:") else place_of(params.to)


def _take_in(rows: FileRows, news: Comparison, listing: Listing, source: str) -> None:
    """Put what is new, changed or gone into the rows."""
    now = datetime.now(UTC)
    door, name = listing.door, listing.door.door.name
    for entry in (*news.new, *news.changed):
        url = door.url(entry.path)
        rows.change(entry.path, changes.listed(source, entry, endpoint=name, url=url, now=now))
    for entry in news.moved:
        rows.change(entry.path, changes.moved(entry, endpoint=name, url=door.url(entry.path), now=now))
    for row in news.back:
        rows.change(row["archive_path"], changes.back(row))
    for row in news.gone:
        rows.change(row["archive_path"], changes.gone(now))


def _plan(
    context: Context,
    rows: FileRows,
    story: Story,
    at_target: AtTarget | None,
    carrier: Door | None,
    params: Sync,
) -> Report:
    """The report of a dry run."""
    if at_target is not None and (n := at_target.n_likely(rows, story.wanted)):
        story.notes.append(f"{count(n, 'file')} of the right size at the target: kept where the MD5 is right")
    if carrier is not None and story.wanted:
        name = story.selection.source.name
        _, story.by_hand = carry(context, carrier, story.wanted, params.to, name, dry_run=True)
    return sync_report.plan(story)


def _add_sums(
    rows: FileRows, wanted: Sequence[Entry], listing: Listing, doors: Sequence[OpenDoor], patience: Patience
) -> list[str]:
    """Put the MD5s that the archive states outside its listing into the rows of the files that will be staged."""
    lacking = [entry for entry in wanted if _as_stated(entry, rows[entry.path]).md5 is None]
    if not lacking:
        return []
    preferred = [listing.door, *(door for door in doors if door is not listing.door)]
    sums = find_sums(lacking, (*listing.entries, *listing.others), preferred, patience=patience)
    for path, (md5, origin) in sums.md5s.items():
        rows.change(path, {"md5": md5, "md5_from": origin})
    return sums.notes


def _as_stated(entry: Entry, row: Row) -> Entry:
    """A file as it is listed, with the MD5 that somebody else states."""
    if entry.md5 is not None or row["md5_from"] == OWN_MD5:
        return entry
    return replace(entry, md5=row["md5"])


def _stage(
    context: Context,
    rows: FileRows,
    story: Story,
    transfer: Transfer,
    carrier: Door | None,
    params: Sync,
) -> None:
    """Move the files that are wanted; what has come is written from time to time, and however it ends."""
    files = story.wanted
    if carrier is not None:
        outcomes, story.by_hand = carry(
            context, carrier, files, params.to, story.selection.source.name, dry_run=False
        )
        story.outcomes += outcomes
        for outcome in outcomes:
            _take_outcome(rows, outcome)
        rows.write()
        return
    meter = Meter({entry.path: entry.size for entry in files})
    moves: Iterator[Outcome]
    if wants_spark(params.transfer, files, params.to):
        moves = move_by_spark(context.spark, files, transfer, meter)
    else:
        moves = move_by_driver(files, transfer, meter)
    said = set[str]()
    text = f"staging {count(len(files), 'file')}, {format_bytes(meter.n_bytes)}, to {story.target}"
    try:
        with context.progress.step(text, meter.text):
            for outcome in moves:
                story.outcomes.append(outcome)
                _take_outcome(rows, outcome)
                if outcome.problem is not None and outcome.problem not in said:
                    context.progress.say(f"not staged: {outcome.problem}")
                    said.add(outcome.problem)
                rows.write_when_due()
    finally:
        rows.write()


def _take_outcome(rows: FileRows, outcome: Outcome) -> None:
    staged = outcome.staged
    if staged is None:
        return
    row = rows[staged.path]
    change = changes.staged(staged.url, datetime.now(UTC), door=staged.door, is_verified=staged.is_verified)
    change["size"] = staged.size or row["size"]
    if staged.md5 and staged.md5 != row["md5"]:  # Aspera and Globus compute none
        change |= {"md5": staged.md5, "md5_from": staged.door if staged.is_verified else OWN_MD5}
    if staged.door == row["endpoint"] and staged.source.etag is not None:
        change["etag"] = staged.source.etag  # it may have changed since it was listed
    rows.change(staged.path, change)


SYNC_FILES = Job(
    name="sync_files",
    summary="The files of a release: list, compare with last time, stage what is new.",
    params=Sync,
    reads=(),
    writes=(FILES,),
    run=run,
)
