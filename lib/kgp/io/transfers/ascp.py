"""Aspera, run: `ascp` writes aside, and a file is moved into place when its size and its MD5 are right.

`ascp` exits with 0 when all files came and with 1 for every error: IBM documents so of its sister ascp4, and people
report the same of it. What went wrong it prints (``Session Stop  (Error: …)``). So what arrived is decided by what lies
there, not by what the program says: a file counts if its MD5 is the one that the listing states. Where the listing
states none, it counts if its size is right and `ascp` has ended with 0. A file that came half way stays aside, to be
resumed.

None of this has been tried against a real server: the tests run a stand-in for `ascp`, whose messages are those that
people have reported of the real one.
"""

from __future__ import annotations

import os
import queue
import re
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from kgp.errors import EnvironmentProblem, InputError, scrub
from kgp.io.transfers.arrivals import collect_aspera
from kgp.io.transfers.aspera import PARTIAL, AsperaPlan
from kgp.io.transfers.common import Progress, list_some
from kgp.sources import Entry

_PATIENCE_SECONDS = 10.0  # between asking ascp to stop and making it
_REASONS = (
    re.compile(r"Session Stop\s+\(Error: (.*)\)"),
    re.compile(r"ascp(?:\.exe)?: (.*?)(?:, exiting)?\.?"),
)
_REMEDIES = (
    ("authenticat", "The server does not take the key: set ASPERA_KEY to another one."),
    ("private key", "The key file can't be used: set ASPERA_KEY to another one."),
    ("udp port", "UDP port 33001 is closed: open it in the firewall, or take another door."),
    ("tcp connection", "TCP port 33001 is closed: open it in the firewall, or take another door."),
    ("resolve target host", "The server's name is not known: check the network."),
    ("no such file", "The server has no such file: take the listing anew."),
    ("disk write", "Check the space on the disk and the permissions of the directory."),
    ("no space", "Make room on the disk."),
    ("encryption", "The server wants encryption, which kgp does not ask for: take another door."),
)
_AGAIN = "Run it again: what came is kept, and the rest goes on where it stopped."


@dataclass(frozen=True)
class AsperaResult:
    """A transfer that brought everything.

    Args:
        arrived: the files, in place.
        n_bytes: their size.
    """

    arrived: tuple[Entry, ...]
    n_bytes: int


def run_aspera(
    plan: AsperaPlan,
    *,
    on_line: Callable[[str], object] | None = None,
    on_progress: Callable[[Progress], object] | None = None,
    poll_seconds: float = 1.0,
) -> AsperaResult:
    """Bring the files of a plan.

    Args:
        plan: what to bring; files that are in place already are brought again.
        on_line: is told each line that `ascp` prints.
        on_progress: is told how far it is, by the growth of the files, until `ascp` ends.
        poll_seconds: time between two looks at the files.

    Raises:
        InputError: files did not arrive, or not as the listing states; the message lists them. Those that did arrive
            are in place.
        EnvironmentProblem: `ascp` or its key is not here, or it can't be started.
    """
    if plan.program is None or not plan.keys:
        raise EnvironmentProblem("Aspera can't be used here.", mend=" ".join(plan.missing))
    with _explained(plan.directory):
        for entry in plan.entries:
            if os.path.isdir(target := os.path.join(plan.directory, entry.path)):
                raise InputError("There is a directory in place of a file.", where=target)
        try:
            os.makedirs(plan.tree, exist_ok=True)
            before = collect_aspera(plan)
            rest = tuple(entry for entry in plan.entries if entry.path in before.faults)
            arrived, faults, ending = before.arrived, before.faults, _Ending(0, ())
            if rest:
                _write_list(plan, rest)
                ending = _run(
                    plan, _Watch(plan.tree, rest, before.arrived, on_progress, poll_seconds), on_line
                )
                after = collect_aspera(replace(plan, entries=rest), has_ended_well=ending.code == 0)
                arrived, faults = (*arrived, *after.arrived), after.faults
        finally:
            _tidy(plan)
    if faults:
        raise _failure(plan, faults, ending)
    n_bytes = sum(os.path.getsize(os.path.join(plan.directory, entry.path)) for entry in arrived)
    return AsperaResult(arrived, n_bytes)


@dataclass(frozen=True)
class _Ending:
    """How `ascp` ended: its exit code, negative where a signal ended it, and the last lines that it printed."""

    code: int
    lines: Sequence[str]

    @property
    def reason(self) -> str:
        """What it says was wrong; empty where it says nothing of the kind."""
        for pattern in _REASONS:
            for line in reversed(self.lines):
                if match := pattern.fullmatch(line):
                    return match[1].rstrip(".")
        return ""


class _Watch:
    """Looks from time to time how far the files have grown."""

    def __init__(
        self,
        tree: str,
        entries: Sequence[Entry],
        before: Iterable[Entry],
        on_progress: Callable[[Progress], object] | None,
        poll_seconds: float,
    ) -> None:
        self._paths = [os.path.join(tree, entry.path) for entry in entries]
        sizes = [entry.size or 0 for entry in before]
        self._before = Progress(len(sizes), sum(sizes))
        self._on_progress = on_progress
        self.poll_seconds = poll_seconds
        self._next = time.monotonic()

    def look(self, *, is_due: bool = False) -> None:
        """Tell how far it is, if it is time to."""
        now = time.monotonic()
        if self._on_progress is None or (now < self._next and not is_due):
            return
        n_files, n_bytes = self._before.n_files, self._before.n_bytes
        for path in self._paths:
            for name, n in ((path, 1), (path + PARTIAL, 0)):
                with suppress(OSError):
                    n_bytes += os.path.getsize(name)
                    n_files += n
        self._on_progress(Progress(n_files, n_bytes))
        # Of a hundred thousand files a look takes a second: it must not take more than a part of the time.
        self._next = time.monotonic() + max(self.poll_seconds, 10 * (time.monotonic() - now))


def _run(plan: AsperaPlan, watch: _Watch, on_line: Callable[[str], object] | None) -> _Ending:
    """Run the command to its end; whatever happens here, it does not outlive this call."""
    try:
        process = subprocess.Popen(
            plan.command(),
            # Without input and without a terminal it can't wait for a password.
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as problem:
        raise EnvironmentProblem(
            f"ascp can't be started: {problem.strerror}.", where=plan.program, mend="Set ASCP to another one."
        ) from None
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    reader = threading.Thread(target=_pump, args=(process, lines), daemon=True)
    reader.start()
    last: deque[str] = deque(maxlen=50)
    try:
        while True:
            try:
                line = lines.get(timeout=watch.poll_seconds)
            except queue.Empty:
                line = ""
            if line is None:
                break
            if line := scrub(line.strip()):
                last.append(line)
                if on_line is not None:
                    on_line(line)
            watch.look()
        code = process.wait()
        watch.look(is_due=True)
        return _Ending(code, tuple(last))
    finally:
        _stop(process)
        reader.join(_PATIENCE_SECONDS)


def _pump(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    """Pass on what it prints; its progress line ends with a carriage return, which is read as a line's end."""
    with suppress(ValueError, OSError):  # closed under its hands
        for line in process.stdout or ():
            lines.put(line)
    lines.put(None)


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _write_list(plan: AsperaPlan, entries: Iterable[Entry]) -> None:
    with open(plan.list_path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{there}\n{here}\n" for there, here in plan.pairs(entries))


def _tidy(plan: AsperaPlan) -> None:
    """Remove the list, and directories that have become empty; what is to be resumed stays."""
    with suppress(FileNotFoundError):
        os.remove(plan.list_path)
    for directory, _, _ in os.walk(os.path.dirname(plan.tree), topdown=False):
        with suppress(OSError):
            os.rmdir(directory)


def _failure(plan: AsperaPlan, faults: Mapping[str, str], ending: _Ending) -> InputError:
    listed = list_some([f"{path} {fault}" for path, fault in faults.items()])
    what = f"{len(faults):,} of {len(plan.entries):,} files did not arrive: {listed}."
    if ending.code < 0:
        what += f" ascp was ended by signal {-ending.code}."
    elif ending.code:
        said = ending.reason or (ending.lines[-1] if ending.lines else "it printed no reason")
        what += f" ascp ended with exit code {ending.code}: {said}."
    else:
        what += " ascp ended with exit code 0, as if all was well."
    words = ending.reason.lower()
    remedy = next((remedy for word, remedy in _REMEDIES if word in words), _AGAIN)
    if len(plan.keys) > 1 and "key" in remedy:
        remedy += f" Other keys that are here: {', '.join(plan.keys[1:])}."
    return InputError(what, where=plan.source, mend=remedy)


@contextmanager
def _explained(directory: str) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise InputError(
            f"It can't be written: {problem.strerror}.",
            where=problem.filename if isinstance(problem.filename, str) else directory,
            mend="Check the space on the disk and the permissions of the directory.",
        ) from None
