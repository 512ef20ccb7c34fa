"""What a load is identified by, what it covers, what it replaces; compared with brute force over small genomes."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgp.errors import LakeError
from kgp.params import Region
from kgp.transforms.loads import (
    Decision,
    EarlierLoad,
    LoadIdentity,
    covers,
    decide_load,
    describe_selection,
)

CONTIGS = ("21", "22", "HLA-A*01:01")
# Every record of a small genome: contig, start, end.
RECORDS = [(c, s, e) for c in CONTIGS for s, e in itertools.combinations(range(0, 9, 2), 2)]

regions = st.builds(
    lambda contig, start, length: Region(contig=contig, start=start, end=start + length),
    st.sampled_from(CONTIGS),
    st.integers(0, 7),
    st.integers(1, 8),
)
selections = st.builds(
    lambda contigs, regions, strict: describe_selection(contigs, regions, strict=strict),
    st.lists(st.sampled_from(CONTIGS), max_size=2),
    st.lists(regions, max_size=2),
    st.booleans(),
)

LOAD = LoadIdentity("variants", "phase3", "md5:00", "GRCh37", {}, "1")


def selected(selection: Mapping[str, str]) -> set[tuple[str, int, int]]:
    """Records that a selection takes: all of a contig, or what overlaps a region; everything where neither is given."""
    contigs = selection.get("contig", "").split()
    stretches = [Region.parse(text) for text in selection.get("region", "").split()]
    if not contigs and not stretches:
        return set(RECORDS)
    return {
        (contig, start, end)
        for contig, start, end in RECORDS
        if contig in contigs or any(contig == r.contig and start < r.end and r.start < end for r in stretches)
    }


def earlier(identity: LoadIdentity, path: str) -> EarlierLoad:
    return EarlierLoad(identity.load_id, path, identity.content_id, identity.build, identity.selection)


def load(selection: Mapping[str, str]) -> LoadIdentity:
    return dataclasses.replace(LOAD, selection=selection)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("target", "expression"),
        ("subject", "phase1"),
        ("content_id", "md5:01"),
        ("build", "GRCh38"),
        ("selection", {"contig": "22"}),
        ("parser", "2"),
    ],
)
def test_every_part_tells_loads_apart(field: str, value: object) -> None:
    assert dataclasses.replace(LOAD, **{field: value}).load_id != LOAD.load_id  # type: ignore[arg-type]


def test_an_id_is_32_hexadecimal_digits_and_does_not_depend_on_order() -> None:
    one, other = load({"contig": "22", "strict": "true"}), load({"strict": "true", "contig": "22"})
    assert one.load_id == other.load_id
    assert len(one.load_id) == 32
    assert int(one.load_id, 16) >= 0


@given(st.lists(st.sampled_from(CONTIGS), max_size=4), st.lists(regions, max_size=3))
def test_order_and_repetition_do_not_change_a_selection(contigs: list[str], stretches: list[Region]) -> None:
    once = describe_selection(contigs, stretches, strict=False)
    assert once == describe_selection([*reversed(contigs), *contigs], [*stretches, *stretches], strict=False)


@given(selections)
def test_a_selection_covers_itself_and_everything_covers_it(selection: dict[str, str]) -> None:
    assert covers(selection, selection)
    assert covers({"strict": "true"}, selection)


@given(selections, selections)
def test_what_is_covered_is_there(wide: dict[str, str], narrow: dict[str, str]) -> None:
    if covers(wide, narrow):
        assert selected(narrow) <= selected(wide)
        assert not narrow.get("strict") or wide.get("strict")


@given(selections, selections, selections)
def test_covering_is_transitive(a: dict[str, str], b: dict[str, str], c: dict[str, str]) -> None:
    if covers(a, b) and covers(b, c):
        assert covers(a, c)


@given(selections, selections)
def test_no_record_of_a_file_is_ever_there_twice(old: dict[str, str], new: dict[str, str]) -> None:
    before = earlier(load(old), "a.vcf")
    try:
        decision = decide_load(load(new), "b.vcf", [before])
    except LakeError:
        assert selected(old) & selected(new) or {r[0] for r in selected(old)} & {r[0] for r in selected(new)}
        return
    if decision.covered_by is not None:
        assert selected(new) <= selected(old)
    elif not decision.supersedes:
        assert not selected(old) & selected(new)
    else:
        assert selected(old) <= selected(new), "rows would be lost"


def test_the_same_load_again_is_nothing_to_do() -> None:
    assert decide_load(LOAD, "moved.vcf", [earlier(LOAD, "a.vcf")]) == Decision(covered_by=LOAD.load_id)


def test_a_changed_file_replaces_what_was_loaded_from_its_place() -> None:
    old = dataclasses.replace(LOAD, content_id="md5:old")
    assert decide_load(LOAD, "a.vcf", [earlier(old, "a.vcf")]).supersedes == (old.load_id,)
    assert decide_load(LOAD, "b.vcf", [earlier(old, "a.vcf")]) == Decision(None)


def test_another_build_or_parser_replaces() -> None:
    for old in (dataclasses.replace(LOAD, build="GRCh38"), dataclasses.replace(LOAD, parser="0")):
        assert decide_load(LOAD, "a.vcf", [earlier(old, "b.vcf")]) == Decision(None, (old.load_id,))


def test_a_wider_load_replaces_all_narrower_ones() -> None:
    narrow = [load({"contig": "22"}), load({"region": "21:5-9"})]
    decision = decide_load(LOAD, "a.vcf", [earlier(n, "a.vcf") for n in narrow])
    assert decision == Decision(None, tuple(sorted(n.load_id for n in narrow)))


def test_an_overlap_is_refused_with_what_to_do() -> None:
    with pytest.raises(LakeError, match="Ask for a selection that holds both"):
        decide_load(load({"region": "22:5-20"}), "a.vcf", [earlier(load({"region": "22:1-9"}), "a.vcf")])
