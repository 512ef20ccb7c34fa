"""What `kgp sync` says at its end: what changed, what was staged, what a person should know, what to run next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kgp.amounts import count, format_bytes, format_seconds, some
from kgp.errors import InputError
from kgp.io.listing import Listing, Selection
from kgp.io.urls import is_local
from kgp.job import Report
from kgp.jobs.transfer import Outcome
from kgp.sources import Entry, Part, Source, choose
from kgp.sources.compare import Comparison

_JOB = "sync_files"
_INDEXES = (".tbi", ".csi", ".bai", ".crai")
# So many files are named: of those that a command takes, of those that would be staged, of those that were not.
_NAMED = 4
_LISTED = 60
_FAILED = 8
_TROUBLED = 2


@dataclass
class Story:
    """What a run did.

    Args:
        selection: what was meant.
        target: where files are staged, without a credential; None where they are read in place.
        listing: that was believed.
        news: what is otherwise than last time.
        notes: what a person should know, a clause each.
        wanted: files that were not at the target as they are listed.
        adopted: paths of those that lay there all the same.
        outcomes: what became of the others.
        seconds: that the run took.
        was_written: whether rows of `files` were.
        by_hand: what a person can run where a program or a credential is missing.
    """

    selection: Selection
    target: str | None
    listing: Listing
    news: Comparison
    notes: list[str] = field(default_factory=list)
    wanted: Sequence[Entry] = ()
    adopted: Sequence[str] = ()
    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0
    was_written: bool = False
    by_hand: str = ""

    @property
    def details(self) -> dict[str, Any]:
        """Figures for schedulers."""
        done = [outcome.staged for outcome in self.outcomes if outcome.staged is not None]
        return {
            **self.news.counts,
            "door": self.listing.door.door.name,
            "staged": len(done),
            "staged_bytes": sum(staged.size for staged in done),
            "read_bytes": sum(staged.n_bytes_read for staged in done),
            "staged_from": dict(Counter(staged.door for staged in done)),
            "adopted": len(self.adopted),
        }


def plan(story: Story) -> Report:
    """The report of a dry run."""
    n_bytes = sum(entry.size or 0 for entry in story.wanted)
    files = count(len(story.wanted), "file")
    summary = f"{_news(story)}; would stage {files}, {format_bytes(n_bytes)}, to {story.target}; nothing was written"
    lines = [f"{summary}."]
    url = story.listing.door.url
    lines += [f"  {format_bytes(entry.size or 0):>9}  {url(entry.path)}" for entry in story.wanted[:_LISTED]]
    if len(story.wanted) > _LISTED:
        lines.append(f"  … and {len(story.wanted) - _LISTED:,} more: --json names them all")
    lines += [f"  note: {note}" for note in story.notes]
    if story.by_hand:
        lines += ["", story.by_hand.rstrip("\n")]
    details = story.details | {
        "would_stage": [entry.path for entry in story.wanted],
        "would_stage_bytes": n_bytes,
    }
    return Report(_JOB, False, summary, details=details, notes=story.notes, text="\n".join(lines))


def report(story: Story, url: Callable[[str], str]) -> Report:
    """The report of a run.

    Args:
        story: what it did.
        url: where a file is read from now on.

    Raises:
        InputError: files could not be staged; says which and why.
    """
    notes = story.notes + _notes_of(story)
    if failed := [outcome.problem for outcome in story.outcomes if outcome.problem is not None]:
        raise _failure(story, failed, notes)
    done = [outcome.staged for outcome in story.outcomes if outcome.staged is not None]
    n_bytes = sum(staged.size for staged in done)
    parts = [_news(story)]
    if story.adopted:
        parts.append(f"{count(len(story.adopted), 'file')} lay there already")
    if done:
        text = f"staged {count(len(done), 'file')}, {format_bytes(n_bytes)}, to {story.target}"
        parts.append(f"{text} in {format_seconds(story.seconds)}")
    elif story.target is None:
        parts.append("read in place")
    elif not story.wanted:
        parts.append("all is staged")
    elif story.by_hand:
        parts.append(f"{count(len(story.wanted), 'file')} to be brought by hand")
    summary = "; ".join(parts)
    hints = _next(story, url) if story.news.has_news or done or story.adopted else []
    lines = [f"{summary}."]
    lines += [f"  note: {note}" for note in notes]
    lines += ["", "Next:", *(f"  {hint}" for hint in hints)] if hints else []
    lines += ["", story.by_hand.rstrip("\n")] if story.by_hand else []
    notes += [f"next: {hint}" for hint in hints]
    notes += [f"by hand:\n{story.by_hand}"] if story.by_hand else []
    return Report(_JOB, story.was_written, summary, details=story.details, notes=notes, text="\n".join(lines))


def notes_of_listing(listing: Listing, news: Comparison) -> list[str]:
    """What a person should know of a listing."""
    name = listing.door.door.name
    notes = [f"{door}: {text}" for door, text in listing.faults.items()]
    if notes:
        notes.append(f"the listing is that of {name}")
    if listing.lacking:
        who = "no door" if listing.faults else name
        lists = "lists" if who == "no door" else "does not list"
        notes.append(f"{who} {lists} {some(listing.lacking)}, which the release should have")
    if empty := [entry.path for entry in listing.entries if entry.size == 0]:
        notes.append(f"{count(len(empty), 'file')} of 0 bytes, not staged: {some(empty)}")
    if news.gone:
        paths = [row["archive_path"] for row in news.gone]
        notes.append(f"gone from the archive, what was staged of it is kept: {some(paths)}")
    if news.unheard:
        paths = [row["archive_path"] for row in news.unheard]
        doors = ", ".join(sorted({row["endpoint"] for row in news.unheard}))
        notes.append(
            f"{name} does not list {count(len(paths), 'file')} that {doors} had listed, "
            f"which does not make them gone: {some(paths)}"
        )
    return notes


def _notes_of(story: Story) -> list[str]:
    """What a person should know of the files that were staged."""
    done = [outcome.staged for outcome in story.outcomes if outcome.staged is not None]
    notes = []
    if troubled := [staged for staged in done if staged.faults]:
        shown = "; ".join(f"{s.path} from {s.door} ({', '.join(s.faults)})" for s in troubled[:_TROUBLED])
        more = f"; and {len(troubled) - _TROUBLED:,} more" if len(troubled) > _TROUBLED else ""
        notes.append(f"{count(len(troubled), 'file')} came after faults: {shown}{more}")
    if unproven := [staged.path for staged in done if not staged.is_verified]:
        notes.append(
            f"nobody states the MD5 of {count(len(unproven), 'file')}, only the size was checked: {some(unproven)}"
        )
    return notes


def _failure(story: Story, problems: Sequence[str], notes: Sequence[str]) -> InputError:
    lines = [f"{len(problems):,} of {count(len(story.outcomes), 'file')} could not be staged:"]
    counts = Counter(problems)
    for problem, n in list(counts.items())[:_FAILED]:
        lines.append(f"  {problem}" + (f" ({count(n, 'file')})" if n > 1 else ""))
    if len(counts) > _FAILED:
        lines.append(f"  and {len(counts) - _FAILED:,} more")
    lines += [f"  note: {note}" for note in notes]
    if n_done := len(story.outcomes) - len(problems):
        lines.append(f"Staged and recorded: {count(n_done, 'file')}.")
    lines.append("Run it again for what is missing.")
    return InputError("\n".join(lines), where=story.selection.source.name)


def _news(story: Story) -> str:
    counts = ", ".join(f"{n:,} {name}" for name, n in story.news.counts.items() if n or name == "same")
    if not story.news.has_news:
        counts = f"nothing has changed ({count(story.news.counts['same'], 'file')})"
    return f"{story.selection.source.name} at {story.listing.door.door.name}: {counts}"


def _next(story: Story, url: Callable[[str], str]) -> list[str]:
    """Commands that load what is there now."""
    source = story.selection.source
    hints = []
    for part in source.parts:
        command = _command(source, part)
        files = choose(source, story.listing.entries, parts=(part.name,)) if command else []
        paths = [entry.path for entry in files if entry.size != 0 and not entry.path.endswith(_INDEXES)]
        if paths:
            hints.append(f"{command} {_argument(story, part, paths, url)}")
    return sorted(hints, key=lambda hint: "samples" not in hint)


def _argument(story: Story, part: Part, paths: Sequence[str], url: Callable[[str], str]) -> str:
    """Files, as a shell takes them: all by name, or on a disk by a pattern; of many URLs only the first few."""
    if len(paths) <= _NAMED:
        return " ".join(map(url, paths))
    is_all = not story.selection.contigs and not story.selection.patterns
    if is_all and len(part.patterns) == 1 and is_local(url(paths[0])):
        return url(part.patterns[0].replace("{contig}", "*"))
    return " ".join(map(url, paths[:2])) + f" … ({count(len(paths), 'file')})"


def _command(source: Source, part: Part) -> str | None:
    """What loads the files of a part; None where there is no such command, or a person has to choose."""
    build = source.build_of(part)
    if part.name == "panel":
        return "kgp load samples --panel"
    if build is None:
        return None
    if part.name == "annotation":
        return f"kgp load annotations --callset {source.name} --build {build}"
    if part.name in ("genotypes", "genotypes-y-mt", "grch38"):
        callset = source.name if build == source.build else f"{source.name}-{build}"
        return f"kgp load variants --callset {callset} --build {build}"
    return None
