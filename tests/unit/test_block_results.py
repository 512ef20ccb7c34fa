"""Results of blocks: whole or not there, and kept until they are removed."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from kgp.errors import FormatError, InputError
from kgp.io import block_results
from kgp.io.block_results import BlockResults, list_unfinished


def test_rows_and_facts_come_back_as_they_were(tmp_path):
    results = BlockResults(str(tmp_path / "_maps"), "m")
    assert results.list_finished() == set()
    assert results.matrix_id is None
    rows = pa.table({"x": pa.array([1.5, None]), "name": ["a", "b"]})
    results.begin("set")
    results.write("000001-a", rows, {"n_pairs": 3, "dropped": {"why": 2}})
    results.write("000000-b", pa.table({}), {"files": ["one"]})
    assert results.list_finished() == {"000001-a", "000000-b"}
    assert results.matrix_id == "set"
    found, facts = results.read("000001-a")
    assert found.equals(rows)
    assert facts == {"n_pairs": 3, "dropped": {"why": 2}}
    found, facts = results.read("000000-b")
    assert found.num_rows == 0
    assert facts == {"files": ["one"]}
    results.write("000001-a", rows.slice(1), {})
    assert results.read("000001-a")[0].num_rows == 1
    assert [one.map_id for one in list_unfinished(results.root)] == ["m"]
    results.forget("000001-a")
    results.forget("000001-a")
    assert results.list_finished() == {"000000-b"}
    with pytest.raises(InputError, match=r"000001-a\.arrow: There is no such file"):
        results.read("000001-a")
    results.remove()
    results.remove()
    assert not (tmp_path / "_maps").exists()  # it was the last one
    assert list(list_unfinished(results.root)) == []


def test_a_result_that_is_cut_off_while_it_is_written_is_none(tmp_path, monkeypatch):
    """The file gets its name when it is whole."""
    results = BlockResults(str(tmp_path), "m")

    def die(*names: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(block_results.os, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            results.write("000000-a", pa.table({"x": [1]}), {})
    assert [path.name[:9] for path in Path(results.url).iterdir()] == ["000000-a."]
    assert results.list_finished() == set()
    results.write("000000-a", pa.table({"x": [2]}), {})
    assert results.read("000000-a")[0]["x"].to_pylist() == [2]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:20],
        lambda data: data[:-1],
        lambda data: bytes(len(data)),
        lambda data: data[:100] + bytes(60) + data[160:],
        lambda data: data[:-60] + bytes(60),
    ],
    ids=["empty", "begun", "cut off", "blank", "hole", "blank end"],
)
def test_a_damaged_result_is_told(tmp_path, damage):
    """As a machine that goes down may leave it: with its name and its length, without its content."""
    results = BlockResults(str(tmp_path), "m")
    results.write("000000-a", pa.table({"x": [1.0, 2.0]}), {"n_pairs": 3})
    file = Path(results.url) / "000000-a.arrow"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(FormatError, match=r"000000-a\.arrow: It is damaged\. Remove it\."):
        results.read("000000-a")


def test_a_set_that_is_not_said_any_more_is_none(tmp_path):
    results = BlockResults(str(tmp_path), "m")
    results.begin("set")
    (Path(results.url) / "set.json").write_bytes(b"")
    assert results.matrix_id is None
