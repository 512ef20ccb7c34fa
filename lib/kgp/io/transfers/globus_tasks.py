"""Globus, run: a plan's files are submitted as tasks of the service, and waited for.

Files that are there already with the same checksum are not sent again (``sync_level``), and each is compared at both
ends after it was sent (``verify_checksum``); where the listing states an MD5, it must be that one, or the task fails
(``external_checksum``). Files that the source lacks, or keeps to itself, are skipped and reported.

The service works on three tasks of a user at a time, so three are kept with it. They are its own: when kgp is stopped,
they go on.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kgp.errors import InputError, KgpError
from kgp.io.transfers.common import Progress, list_some
from kgp.io.transfers.globus import BATCH, GlobusPlan, is_collection_id
from kgp.io.transfers.globus_client import (
    connect,
    explained,
    find_collection,
    is_application,
    redact,
    required_scopes,
)

_AT_A_TIME = 3
_MOST_MISSES = 10  # looks in a row that may fail; globus-sdk has tried each several times
_LABEL = re.compile(
    r"[^A-Za-z0-9 ,_-]"
)  # what the service does not take in a label, which has 128 characters at most


@dataclass(frozen=True)
class Skipped:
    """A file that was not transferred because the source does not give it.

    Args:
        path: the archive's path.
        reason: the service's word: FILE_NOT_FOUND, PERMISSION_DENIED.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class GlobusResult:
    """A transfer that succeeded.

    Args:
        tasks: ids of its tasks.
        n_files: files that are there now.
        n_bytes: bytes that were sent.
        skipped: files that the source did not give.
    """

    tasks: tuple[str, ...]
    n_files: int
    n_bytes: int
    skipped: tuple[Skipped, ...]


def run_globus(
    plan: GlobusPlan,
    *,
    on_line: Callable[[str], object] | None = None,
    on_progress: Callable[[Progress], object] | None = None,
    poll_seconds: float = 10.0,
    batch: int = BATCH,
) -> GlobusResult:
    """Submit a plan and wait for its end.

    Args:
        plan: what to transfer.
        on_line: is told of each task that is submitted, and of those that go on when kgp is stopped.
        on_progress: is told how far it is.
        poll_seconds: time between two looks.
        batch: most files of a task.

    Raises:
        InputError: there is no such collection, or a task failed or was suspended.
        EnvironmentProblem: there is no credential, it does not suffice, or the service does not answer.
        KeyboardInterrupt: kgp was stopped; its text says which tasks go on.
    """
    client = connect()
    source = plan.source if is_collection_id(plan.source) else find_collection(client, plan.source)
    return _Run(plan, client, source, on_line, on_progress, batch).to_its_end(poll_seconds)


class _Run:
    """The tasks of a plan: batches that wait to be submitted, tasks that run, tasks that have ended."""

    def __init__(
        self,
        plan: GlobusPlan,
        client: Any,
        source: str,
        on_line: Callable[[str], object] | None,
        on_progress: Callable[[Progress], object] | None,
        batch: int,
    ) -> None:
        self._plan, self._client, self._source = plan, client, source
        self._on_line, self._on_progress = on_line, on_progress
        self._waiting = deque(plan.batches(batch))
        self._n_batches = len(self._waiting)
        self._running: dict[str, Mapping[str, Any]] = {}
        self._ended: dict[str, Mapping[str, Any]] = {}
        self._failures: list[str] = []
        self._is_submitting = False
        self._n_misses = 0

    def to_its_end(self, poll_seconds: float) -> GlobusResult:
        """Submit, look, wait, until nothing is left to be done."""
        with self._told_what_goes_on():
            while self._running or (self._waiting and not self._failures):
                while self._waiting and len(self._running) < _AT_A_TIME and not self._failures:
                    self._submit()
                self._look()
                if self._running:
                    time.sleep(poll_seconds)
            if self._failures:
                raise self._failure()
            return GlobusResult(
                tasks=tuple(self._ended),
                n_files=sum(map(_n_files, self._ended.values())),
                n_bytes=sum(map(_n_bytes, self._ended.values())),
                skipped=tuple(one for task in self._ended for one in self._skipped(task)),
            )

    def _submit(self) -> None:
        """Submit the batch that waits longest."""
        from globus_sdk import GlobusAPIError, TransferData

        entries = self._waiting[0]
        n_submitted = len(self._running) + len(self._ended) + 1
        label = self._plan.label + (f", {n_submitted} of {self._n_batches}" if self._n_batches > 1 else "")
        data = TransferData(
            source_endpoint=self._source,
            destination_endpoint=self._plan.target,
            label=_LABEL.sub("-", label)[:128],
            sync_level="checksum",
            verify_checksum=True,
            preserve_timestamp=True,
            encrypt_data=False,
            fail_on_quota_errors=True,
            skip_source_errors=True,
        )
        for entry in entries:
            expected: dict[str, Any] = (
                {"external_checksum": entry.md5, "checksum_algorithm": "MD5"} if entry.md5 else {}
            )
            data.add_item(*self._plan.ends(entry), **expected)
        self._is_submitting = True
        with explained(f"{self._plan.source} to {self._plan.target}"):
            try:
                answer = self._client.submit_transfer(data)
            except GlobusAPIError as problem:
                if not (scopes := required_scopes(problem)) or not is_application():
                    self._is_submitting = problem.http_status >= 500
                    raise
                # An application consents to what it needs by asking for it.
                self._client = connect(scopes)
                answer = self._client.submit_transfer(data)
        self._waiting.popleft()
        self._running[str(answer["task_id"])] = {}
        self._is_submitting = False
        if self._on_line is not None:
            self._on_line(f"Globus has taken task {answer['task_id']}: {len(entries):,} files.")

    def _look(self) -> None:
        for task in list(self._running):
            if (state := self._state(task)) is None:
                continue
            self._running[task] = state
            if state["status"] == "SUCCEEDED":
                self._ended[task] = self._running.pop(task)
            elif state["status"] == "FAILED":
                self._ended[task] = self._running.pop(task)
                self._failures.append(f"task {task}: {self._why(task, state)}")
            elif state["status"] == "INACTIVE":
                raise InputError(
                    f"Globus has suspended a task: {_nice_state(state)}.",
                    where=f"task {task}",
                    mend="Mend it there, and the task goes on by itself.",
                )
        if self._on_progress is not None:
            states = [*self._ended.values(), *self._running.values()]
            words = dict.fromkeys(_nice_state(state) for state in self._running.values() if state)
            self._on_progress(
                Progress(sum(map(_n_files, states)), sum(map(_n_bytes, states)), ", ".join(words))
            )

    def _state(self, task: str) -> Mapping[str, Any] | None:
        """What the service says of a task; None where it does not answer for once."""
        from globus_sdk import GlobusAPIError, NetworkError

        with explained(f"task {task}"):
            try:
                state: Mapping[str, Any] = self._client.get_task(task).data
            except (GlobusAPIError, NetworkError) as problem:
                self._n_misses += 1
                if self._n_misses > _MOST_MISSES or getattr(problem, "http_status", 500) < 429:
                    raise
                return None
        self._n_misses = 0
        return state

    def _why(self, task: str, state: Mapping[str, Any]) -> str:
        """The service's own words for what ended a task, and the last error that it met before."""
        fatal = state.get("fatal_error") or {}
        reason = f"{fatal.get('description') or _nice_state(state)} ({fatal.get('code') or state['status']})"
        with explained(f"task {task}"):
            # The newest come first.
            for event in self._client.task_event_list(task, limit=10, query_params={"filter": "is_error:1"}):
                if event.get("is_error"):
                    met = [str(event[field]) for field in ("description", "details") if event.get(field)]
                    return redact(f"{reason}; before that: {': '.join(met)}")
        return redact(reason)

    def _skipped(self, task: str) -> Iterator[Skipped]:
        with explained(f"task {task}"):
            for one in self._client.paginated.task_skipped_errors(task).items():
                yield Skipped(self._plan.archive_path(str(one["source_path"])), str(one["error_code"]))

    def _failure(self) -> InputError:
        n_left = sum(map(len, self._waiting))
        left = f" {n_left:,} files were not submitted." if n_left else ""
        return InputError(
            f"Globus could not transfer the files: {list_some(self._failures)}.{left}",
            where=f"{self._plan.source} to {self._plan.target}",
            mend="What was transferred stays there: run it again when it is mended.",
        )

    @contextmanager
    def _told_what_goes_on(self) -> Iterator[None]:
        """Whatever ends the waiting says which tasks it leaves behind."""
        try:
            yield
        except KeyboardInterrupt:
            text = self._what_goes_on()
            if self._on_line is not None and text:
                self._on_line(text)
            raise KeyboardInterrupt(text) from None
        except KgpError as problem:
            mend = " ".join(filter(None, [problem.mend, self._what_goes_on()]))
            raise type(problem)(problem.what, where=problem.where, mend=mend or None) from None

    def _what_goes_on(self) -> str:
        lines = [
            f"Task {task} goes on: look at it at https://app.globus.org/activity/{task}, "
            f"or stop it with: globus task cancel {task}."
            for task in self._running
        ]
        if self._is_submitting:
            lines.append("Another one may have been taken: https://app.globus.org/activity shows it.")
        if lines and (n_left := sum(map(len, self._waiting))):
            lines.append(f"{n_left:,} files were not submitted.")
        return " ".join(lines)


def _n_files(state: Mapping[str, Any]) -> int:
    return int(state.get("files_transferred") or 0) + int(state.get("files_skipped") or 0)


def _n_bytes(state: Mapping[str, Any]) -> int:
    return int(state.get("bytes_transferred") or 0)


def _nice_state(state: Mapping[str, Any]) -> str:
    return str(state.get("nice_status_short_description") or state.get("nice_status") or state["status"])
