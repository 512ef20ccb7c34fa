"""Tables that several write at once: commits that give way, versions that belong together; predicates."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

from genotype_lake import load_row, no_spark
from kgp import tables as t
from kgp.errors import ContractError, LakeError
from kgp.io import commits
from kgp.io.commits import commit_again, hold_commits
from kgp.io.delta import Lake
from kgp.io.direct import write_files
from kgp.io.predicates import in_list
from kgp.table import Table


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(no_spark, str(tmp_path / "lake"))


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that are waited for, which take no time here."""
    seconds: list[float] = []
    # Only here: threads that other tests have left behind sleep by `time.sleep`.
    monkeypatch.setattr(commits, "sleep", seconds.append)
    return seconds


def add_load(lake: Lake, load_id: str) -> None:
    """As another process does it, which asks nobody."""
    rows = pa.Table.from_pylist([load_row(load_id)], schema=t.LOADS.arrow_schema)
    write_deltalake(lake.path(t.LOADS), rows, mode="append")


def files_of(lake: Lake, load_id: str, starts: range) -> list[Any]:
    rows = [
        {
            "callset": "made", "contig": "22", "load_id": load_id, "start": start, "end": start + 1,
            "record_id": start, "alt_index": 1, "n_alts": 1, "ref": "A", "alt": "C",
            "variant_id": f"22_{start + 1}_A_C", "source_contig": "22",
        }
        for start in starts
    ]  # fmt: skip
    batch = pa.RecordBatch.from_pylist(rows, schema=t.VARIANTS.arrow_schema)
    return list(write_files(iter([batch]), t.VARIANTS, lake.path(t.VARIANTS)))


def starts_of(lake: Lake) -> list[int]:
    return sorted(DeltaTable(lake.path(t.VARIANTS)).to_pyarrow_table()["start"].to_pylist())


# ------------------------------------------------------------------------------------------------- commits


def test_whoever_comes_second_reads_again_and_replaces_what_is_there_then(
    lake: Lake, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process replaces the very files between the look at the log and the commit."""
    lake.commit(t.VARIANTS, files_of(lake, "v1", range(3)), ["v1"])
    mine, theirs = files_of(lake, "v1", range(10, 12)), files_of(lake, "v1", range(20, 25))
    look: Callable[..., DeltaTable] = Lake.open
    n_looks = 0

    def look_and_be_overtaken(self: Lake, table: Table) -> DeltaTable:
        nonlocal n_looks
        found = look(self, table)
        n_looks += 1
        if n_looks == 1:
            other = DeltaTable(self.path(table))
            other.delete("load_id = 'v1'")
            other = DeltaTable(self.path(table))
            other.create_write_transaction(
                theirs, "append", table.arrow_schema, partition_by=list(table.partition_by)
            )
        return found

    monkeypatch.setattr(Lake, "open", look_and_be_overtaken)
    monkeypatch.setattr(Lake, "create", lambda self, table: None)
    assert lake.commit(t.VARIANTS, mine, iter(["v1"])) == 2
    assert starts_of(lake) == [10, 11]
    assert n_looks == 2
    assert len(waits) == 1


def test_a_commit_gives_up_when_others_come_first_again_and_again(lake: Lake, waits: list[float]) -> None:
    n_tries = 0

    def lose() -> None:
        nonlocal n_tries
        n_tries += 1
        raise CommitFailedError("somebody was faster")

    with pytest.raises(
        LakeError, match=r"Others wrote to it at the same time, 6 times in a row\. Run it again"
    ):
        commit_again(lake.place, lose)
    assert n_tries == len(waits) == 6
    assert min(waits[4:]) > waits[0]  # they get longer


def test_another_problem_is_not_tried_again(lake: Lake, waits: list[float]) -> None:
    def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        commit_again(lake.place, fail)
    assert waits == []


def test_on_a_local_disk_commits_wait_for_each_other(lake: Lake) -> None:
    order: list[str] = []
    is_held = threading.Event()

    def hold() -> None:
        with hold_commits(lake.place):
            is_held.set()
            time.sleep(0.2)
            order.append("first")

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_held.wait(10)
    commit_again(lake.place, lambda: order.append("second"))
    thread.join()
    assert order == ["first", "second"]


# ------------------------------------------------------------------------------------------------ versions


def test_versions_are_asked_for_again_where_a_ledger_changes_meanwhile(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.put(t.LOADS, [load_row("v1")], None)
    lake.commit(t.VARIANTS, files_of(lake, "v1", range(3)), ["v1"])
    ask: Callable[..., int | None] = Lake.version
    n_asked = 0

    def ask_and_be_late(self: Lake, table: Table) -> int | None:
        nonlocal n_asked
        found = ask(self, table)
        if table is t.VARIANTS:
            n_asked += 1
            if n_asked == 1:  # a load is finished: its rows, then its name
                self.commit(t.VARIANTS, files_of(self, "v2", range(5, 7)), ["v2"])
                add_load(self, "v2")
        return found

    monkeypatch.setattr(Lake, "version", ask_and_be_late)
    found = lake.take_versions([t.VARIANTS, t.EQTL_GENOTYPES])
    assert n_asked == 2
    newest = DeltaTable(lake.path(t.VARIANTS)).version()
    assert found == {"variants": newest, "eqtl_genotypes": None}


@pytest.mark.parametrize("ask", ["take_versions", "parts"])
def test_a_ledger_that_never_rests_is_not_waited_for(
    ask: str, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.put(t.LOADS, [load_row("v0")], None)
    lake.commit(t.VARIANTS, files_of(lake, "v0", range(3)), ["v0"])
    real: Callable[..., DeltaTable] = Lake.open
    n_opened = 0

    def add_one(self: Lake, table: Table) -> DeltaTable:
        nonlocal n_opened
        if table is t.VARIANTS:
            n_opened += 1
            add_load(self, f"v{n_opened}")
        return real(self, table)

    monkeypatch.setattr(Lake, "open", add_one)
    with pytest.raises(
        LakeError, match=r"ledgers changed again and again while it was read\. Wait until the"
    ):
        lake.take_versions([t.VARIANTS]) if ask == "take_versions" else lake.parts(t.VARIANTS)


# ---------------------------------------------------------------------------------------------- predicates


@pytest.mark.parametrize("text", ["it's", "a\\b"])
def test_what_two_dialects_escape_differently_is_refused(text: str) -> None:
    with pytest.raises(ContractError, match=r"load_id: .* can't stand in a predicate"):
        in_list("load_id", ["good", text])
