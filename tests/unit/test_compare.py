"""A listing beside what is known: what counts as new, changed, gone and same, and what is written of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgp.sources import Entry
from kgp.sources import compare as changes
from kgp.sources.compare import COLUMNS, Comparison, compare, entry_of
from kgp.tables import FILES

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
LATER = datetime(2024, 5, 7, 7, 8, 9, tzinfo=UTC)
MORNING, EVENING = "2013-05-02T08:00:00Z", "2013-05-02T20:00:00Z"
A, B = "a" * 32, "b" * 32
DOORS = ("azure", "igsr-https", "igsr-ftp")


def row(path: str = "x", **given: Any) -> dict[str, Any]:
    """A row of `files` of a file that azure has listed and that was staged."""
    known = {
        "source": "phase3", "archive_path": path, "state": "staged", "endpoint": "azure", "size": 5, "md5": None,
        "md5_from": None, "etag": "e1", "modified": None, "staged_path": f"/mirror/{path}",
    }  # fmt: skip
    known |= given
    if known["md5"] is not None and known["md5_from"] is None:
        known["md5_from"] = "listing"
    return known


def fields(found: Comparison) -> dict[str, list[str]]:
    """Paths by field."""

    def path(item: Any) -> str:
        if isinstance(item, str):
            return item
        return item.path if isinstance(item, Entry) else item["archive_path"]

    names = ("new", "back", "changed", "gone", "same", "moved", "unheard")
    return {name: paths for name in names if (paths := [path(item) for item in getattr(found, name)])}


@pytest.mark.parametrize(
    ("known", "listed", "door", "expected"),
    [
        # the same door: its own marks say which version it is
        ({}, {"etag": "e1"}, "azure", "same"),
        ({}, {"etag": "e2"}, "azure", "changed"),
        ({}, {"etag": "e1", "size": 6}, "azure", "changed"),
        ({"size": None}, {"etag": "e1"}, "azure", "same"),
        ({}, {"etag": "e1", "size": None}, "azure", "same"),
        ({"modified": datetime(2013, 5, 2, 8, tzinfo=UTC)}, {"etag": "e1", "modified": EVENING}, "azure", "same"),
        (
            {"etag": None, "modified": datetime(2013, 5, 2, 8, tzinfo=UTC)},
            {"modified": EVENING},
            "azure",
            "changed",
        ),
        ({"etag": None, "modified": datetime(2013, 5, 2, 8, tzinfo=UTC)}, {"modified": MORNING}, "azure", "same"),
        ({"etag": None}, {"etag": "e2", "modified": EVENING}, "azure", "same"),
        # an MD5 says more than an ETag: a file that was uploaded again with the same bytes is the same
        ({"md5": A}, {"md5": A, "etag": "e2"}, "azure", "same"),
        ({"md5": A}, {"md5": B, "etag": "e1"}, "azure", "changed"),
        ({"md5": A, "md5_from": "kgp"}, {"md5": B, "etag": "e1"}, "azure", "changed"),
        ({"md5": A}, {"etag": "e2"}, "azure", "changed"),
        # another door: its marks say nothing
        ({}, {"etag": "other"}, "igsr-https", "same"),
        ({"etag": None, "modified": NOW}, {"modified": EVENING}, "igsr-ftp", "same"),
        ({}, {"etag": "e1", "size": 6}, "igsr-https", "changed"),
        ({"md5": A}, {"md5": B}, "igsr-https", "changed"),
        # what had gone is there again: the same only where something shows it
        ({"state": "gone"}, {"etag": "e1"}, "azure", "back"),
        ({"state": "gone"}, {"etag": "e2"}, "azure", "new"),
        ({"state": "gone"}, {"etag": "e1"}, "igsr-https", "new"),
        ({"state": "gone", "md5": A}, {"md5": A}, "igsr-https", "back"),
        ({"state": "gone", "etag": None}, {}, "azure", "new"),
    ],
)  # fmt: skip
def test_what_tells_versions_apart(
    known: dict[str, Any], listed: dict[str, Any], door: str, expected: str
) -> None:
    entry = Entry("x", **({"size": 5} | listed))
    assert fields(compare([row(**known)], [entry], door, DOORS)) == {expected: ["x"]}


def test_a_file_is_gone_when_its_own_door_does_not_list_it_any_more() -> None:
    known = [
        row("here"),
        row("lost"),
        row("elsewhere", endpoint="igsr-https"),
        row("long-gone", state="gone"),
    ]
    found = compare(known, [Entry("here", 5, etag="e1"), Entry("first", 1)], "azure", DOORS)
    assert fields(found) == {"new": ["first"], "gone": ["lost"], "same": ["here"], "unheard": ["elsewhere"]}
    assert found.counts == {"new": 1, "changed": 0, "gone": 1, "same": 1}


def test_another_doors_listing_makes_nothing_gone() -> None:
    found = compare([row("a"), row("b")], [Entry("a", 5, etag="other")], "igsr-https", DOORS)
    assert fields(found) == {"same": ["a"], "unheard": ["b"]}
    assert not found.has_news


def test_a_file_moves_to_this_door_when_its_own_is_not_asked_any_more() -> None:
    entry = Entry("a", 5, etag="new")
    found = compare([row("a")], [entry], "igsr-https", ("igsr-https", "igsr-ftp"))
    assert fields(found) == {"same": ["a"], "moved": ["a"]}
    assert not found.has_news
    after = row("a") | changes.moved(entry, endpoint="igsr-https", url="https://x/a", now=NOW)
    # From now on the ETag counts.
    again = compare([after], [Entry("a", 5, etag="newer")], "igsr-https", ("igsr-https", "igsr-ftp"))
    assert fields(again) == {"changed": ["a"]}


def test_a_preferred_door_takes_files_over_and_another_one_does_not() -> None:
    known = [row("a", endpoint="igsr-https", etag="x"), row("b")]
    listing = [Entry("a", 5, etag="y"), Entry("b", 5, etag="e1")]
    assert fields(compare(known, listing, "azure", DOORS)) == {"same": ["a", "b"], "moved": ["a"]}
    assert fields(compare(known, listing, "igsr-ftp", DOORS)) == {"same": ["a", "b"]}


def test_what_is_written_of_a_file() -> None:
    entry = Entry("a/b", 7, A, "e", MORNING)
    listed = changes.listed("phase3", entry, endpoint="azure", url="az://a/b", now=NOW)
    assert listed == {
        "source": "phase3", "archive_path": "a/b", "state": "listed", "endpoint": "azure", "url": "az://a/b",
        "size": 7, "md5": A, "md5_from": "listing", "etag": "e", "modified": datetime(2013, 5, 2, 8, tzinfo=UTC),
        "listed_at": NOW, "gone_at": None, "staged_path": None, "staged_from": None, "staged_at": None,
        "is_verified": None,
    }  # fmt: skip
    assert set(listed) == set(FILES.columns)
    there = listed | changes.staged("/m/a/b", NOW, door="azure", is_verified=True)
    assert (there["state"], there["staged_path"], there["staged_from"]) == ("staged", "/m/a/b", "azure")
    gone = there | changes.gone(LATER)
    assert (gone["state"], gone["gone_at"], gone["staged_path"]) == ("gone", LATER, "/m/a/b")
    assert gone | changes.back(gone) == there
    assert (listed | changes.gone(NOW)) | changes.back(listed) == listed
    assert there | changes.lost() == listed
    assert entry_of(there) == entry


def test_an_md5_that_nobody_states_is_not_asked_of_any_door() -> None:
    assert entry_of(row(md5=A, md5_from="kgp")).md5 is None
    assert entry_of(row(md5=A, md5_from="current.tree")).md5 == A


# ------------------------------------------------------------------------------------------------- what always holds

times = st.sampled_from([None, MORNING, EVENING])
marks = {
    "size": st.sampled_from([None, 1, 2]),
    "md5": st.sampled_from([None, A, B]),
    "etag": st.sampled_from([None, "e1", "e2"]),
    "modified": times,
}
listings = st.dictionaries(st.sampled_from("abcdef"), st.fixed_dictionaries(marks), max_size=6).map(
    lambda files: [Entry(path, **facts) for path, facts in files.items()]
)


@st.composite
def many_rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    rows = []
    for path in draw(st.sets(st.sampled_from("abcdef"))):
        facts = draw(st.fixed_dictionaries(marks))
        facts["modified"] = None if facts["modified"] is None else datetime.fromisoformat(facts["modified"])
        state = draw(st.sampled_from(["listed", "staged", "gone"]))
        staged = draw(st.booleans()) if state == "gone" else state == "staged"
        endpoint = draw(st.sampled_from([*DOORS, "retired"]))
        path_there = f"/mirror/{path}" if staged else None
        rows.append(row(path, **facts, state=state, endpoint=endpoint, staged_path=path_there))
    return rows


def taken_in(rows: list[dict[str, Any]], found: Comparison, endpoint: str) -> list[dict[str, Any]]:
    """The rows once everything that was found is written."""
    after = {one["archive_path"]: one for one in rows}
    for entry in (*found.new, *found.changed):
        after[entry.path] = changes.listed("phase3", entry, endpoint=endpoint, url="u", now=NOW)
    for entry in found.moved:
        after[entry.path] |= changes.moved(entry, endpoint=endpoint, url="u", now=NOW)
    for one in found.back:
        after[one["archive_path"]] |= changes.back(one)
    for one in found.gone:
        after[one["archive_path"]] = one | changes.gone(NOW)
    return [{name: one[name] for name in COLUMNS} for one in after.values()]


@given(rows=many_rows(), listing=listings, endpoint=st.sampled_from(DOORS))
def test_every_file_is_counted_once_and_the_same_listing_again_brings_no_news(
    rows: list[dict[str, Any]], listing: list[Entry], endpoint: str
) -> None:
    found = compare([dict(one) for one in rows], listing, endpoint, DOORS)
    by_field = fields(found)
    moved = by_field.pop("moved", [])
    assert set(moved) <= {*by_field.get("same", []), *by_field.get("back", [])}
    counted = sorted(path for paths in by_field.values() for path in paths)
    there = {one["archive_path"] for one in rows if one["state"] != "gone"}
    assert counted == sorted({entry.path for entry in listing} | there)
    assert sum(found.counts.values()) == len(counted) - len(by_field.get("unheard", []))

    known = taken_in(rows, found, endpoint)
    again = compare(known, listing, endpoint, DOORS)
    assert not again.has_news
    assert sorted(again.same) == sorted(entry.path for entry in listing)
    assert again.moved == ()
    assert fields(again).get("unheard") == by_field.get("unheard")


@given(rows=many_rows(), listing=listings, endpoint=st.sampled_from(DOORS))
def test_other_doors_marks_never_change_anything(
    rows: list[dict[str, Any]], listing: list[Entry], endpoint: str
) -> None:
    others = [one for one in rows if one["endpoint"] != endpoint and one["state"] != "gone"]
    sizes = {one["archive_path"]: one["size"] for one in others}
    plain = [
        Entry(entry.path, sizes[entry.path], None, entry.etag, entry.modified)
        for entry in listing
        if entry.path in sizes
    ]
    found = compare(others, plain, endpoint, DOORS)
    assert not found.has_news
    assert sorted(found.same) == sorted(entry.path for entry in plain)
