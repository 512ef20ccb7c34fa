"""Maps the blocks of a plan, in this process or as Spark tasks; goes on where a run that was killed has ended."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from deltalake.transaction import AddAction

from kgp.amounts import count
from kgp.errors import FormatError, LakeError
from kgp.io.block_results import BlockResults, list_unfinished
from kgp.io.direct import discard_files, from_json, to_json, write_files
from kgp.io.storage import exists, file_size
from kgp.io.tasks import run_tasks
from kgp.job import Context
from kgp.jobs.map_block import MapMode, Tally
from kgp.jobs.map_cuts import PlannedBlock
from kgp.jobs.map_read import BlockSource
from kgp.jobs.one_core import on_one_core
from kgp.table import Table

# Less estimated work than this is done here and now: to start Spark and its workers would take longer.
SMALL_SECONDS = 8.0

_FILES_AT_ONCE = 16
# Seconds between two looks at what is finished.
_LOOK_EVERY = 2.0


@dataclass(frozen=True)
class BlockTask:
    """Maps a block and keeps its result; called in a Spark task or here.

    Args:
        source: reads the block.
        mode: makes its rows.
        results: where the result is kept.
        root: directory of the mode's table, where tasks write its files.
    """

    source: BlockSource
    mode: MapMode
    results: BlockResults
    root: str

    def __call__(self, planned: PlannedBlock) -> None:
        """Map the block."""
        with on_one_core():
            self._map(planned)

    def _map(self, planned: PlannedBlock) -> None:
        tally = Tally()
        block = self.source.read(planned, tally)
        batches = self.mode.map_block(block, tally) if len(block.phenotypes) else iter(())
        files: list[str] = []
        rows = pa.table({})
        if self.mode.writes_files:
            files = [to_json(action) for action in write_files(batches, self.mode.table, self.root)]
        elif given := list(batches):
            rows = pa.Table.from_batches(given)
        facts = {
            "n_phenotypes": tally.n_phenotypes,
            "n_pairs": tally.n_pairs,
            "dropped": dict(tally.dropped),
            "files": files,
        }
        self.results.write(planned.key, rows, facts)


@dataclass(frozen=True, eq=False)
class MappedBlocks:
    """What all blocks came to.

    Args:
        rows: of all blocks in their order; no columns where there are none, or where the tasks wrote them into files.
        files: those files.
        tally: sums of the blocks.
        n_kept: blocks that an earlier run had finished.
    """

    rows: pa.Table
    files: list[AddAction]
    tally: Tally
    n_kept: int


def run_blocks(
    context: Context, task: BlockTask, blocks: Sequence[PlannedBlock], what: str, replaces: str = ""
) -> MappedBlocks:
    """Map the blocks of a plan that no earlier run has finished, and gather all results.

    Args:
        context: of the job.
        task: maps one.
        blocks: of the whole plan.
        what: is mapped, in words.
        replaces: when the mapping was made that this one replaces.

    Raises:
        LakeError: results vanished meanwhile: another run maps the same.
    """
    finished = _keep_whole(task.results, task.root)
    missing = [block for block in blocks if block.key not in finished]
    kept = len(blocks) - len(missing)
    if kept:
        context.progress.say(f"{kept:,} of {count(len(blocks), 'block')} are finished from an earlier run")
    task.results.begin(task.source.matrix_id, replaces)
    with context.progress.step(
        f"mapping {what}: {count(len(missing), 'block')}", _watch(task.results, blocks)
    ):
        if sum(block.seconds for block in blocks) <= SMALL_SECONDS:
            for block in missing:
                task(block)
        elif missing:
            # The longest first, so that the last ones to run are short.
            run_tasks(context.spark, sorted(missing, key=lambda block: -block.seconds), task)
    return _gather(task.results, blocks, kept)


def remove_left(
    root: str, list_sets: Callable[[], Set[str]], finished: Set[str], directories: Sequence[str]
) -> int:
    """Remove the results of mappings of sets that no longer exist; returns how many mappings that were.

    Args:
        root: of all results; see `BlockResults`.
        list_sets: ids of the sets that exist; asked for where there are results.
        finished: mappings that the ledger names: a run that was killed at its very end has left results that name
            files of the table.
        directories: of the tables that tasks write files of.
    """
    if not (unfinished := list(list_unfinished(root))):
        return 0
    matrix_ids = list_sets()
    left = [results for results in unfinished if results.matrix_id not in matrix_ids]
    for results in left:
        for key in results.list_finished() if results.map_id not in finished else ():
            with contextlib.suppress(FormatError):  # what it names is found by a vacuum
                _, facts = results.read(key)
                for path in (from_json(text).path for text in facts["files"]):
                    for directory in directories:
                        discard_files([path] if exists(f"{directory}/{path}") else [], directory)
        results.remove()
    return len(left)


def _keep_whole(results: BlockResults, root: str) -> set[str]:
    """Blocks that are finished and whose files are still there and whole; the results of others are removed."""

    def is_whole(key: str) -> bool:
        try:
            _, facts = results.read(key)
        except FormatError:
            return False
        return all(_is_whole(root, from_json(text)) for text in facts["files"])

    keys = sorted(results.list_finished())
    with ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
        whole = dict(zip(keys, pool.map(is_whole, keys), strict=True))
    for key in keys:
        if not whole[key]:
            results.forget(key)
    return {key for key in keys if whole[key]}


def _is_whole(root: str, action: AddAction) -> bool:
    """Whether a file is there, with its bytes: one that was written before a machine went down may lack some."""
    url = f"{root}/{action.path}"
    return exists(url) and file_size(url) == action.size


def _gather(results: BlockResults, blocks: Sequence[PlannedBlock], n_kept: int) -> MappedBlocks:
    there = results.list_finished()
    if lost := [block.key for block in blocks if block.key not in there]:
        raise LakeError(
            f"The results of {count(len(lost), 'block')} are gone: another run maps the same, or has just ended.",
            where=results.url,
            mend="Run it again when the other one has ended.",
        )
    with ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
        found = list(pool.map(results.read, [block.key for block in blocks]))
    tally = Tally()
    for _, facts in found:
        part = Tally(facts["n_phenotypes"], facts["n_pairs"])
        part.dropped.update(facts["dropped"])
        tally.add(part)
    tables = [rows for rows, _ in found if rows.num_rows]
    files = [from_json(text) for _, facts in found for text in facts["files"]]
    return MappedBlocks(pa.concat_tables(tables) if tables else pa.table({}), files, tally, n_kept)


def _watch(results: BlockResults, blocks: Sequence[PlannedBlock]) -> Callable[[], str]:
    """Tells how many blocks and phenotypes are done, looking not too often."""
    n_phenotypes = {block.key: len(block.phenotype_ids) if block.is_first else 0 for block in blocks}
    seen: dict[str, Any] = {"at": 0.0, "said": "starting"}

    def status() -> str:
        if time.monotonic() - seen["at"] > _LOOK_EVERY:
            done = results.list_finished() & set(n_phenotypes)
            n_done = sum(n_phenotypes[key] for key in done)
            seen["said"] = (
                f"{len(done):,}/{len(blocks):,} blocks, {n_done:,}/{sum(n_phenotypes.values()):,} phenotypes"
            )
            seen["at"] = time.monotonic()
        return str(seen["said"])

    return status


def write_rows(rows: pa.Table, table: Table, root: str) -> list[AddAction]:
    """Write rows that have come together on the driver to files of their table, for a commit."""
    return write_files(rows.combine_chunks().to_batches(), table, root)
