"""The join of people: nobody twice, nobody lost without a reason, one order; builds are never mixed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgp.errors import BuildError, CheckError, InputError, OverlapError
from kgp.transforms.join import SampleJoin, Sources, join_people, one_build

SOURCES = Sources("phase3", "E-GEUV-1", "EUR")


def known(*names, **unknown):
    """People of whom everything is known but what `unknown` says (name → attribute)."""
    return {n: {"sample_id": n, "sex": "male", "population": "CEU", unknown.get(n, "_"): None} for n in names}


def test_each_side_that_lacks_a_person_is_named():
    joined = join_people(
        SOURCES,
        callset_samples=[(0, "HG3"), (1, "HG1"), (2, "HG2"), (3, "HG5"), (4, "HG6")],
        runs=[
            ("ERR9", "HG1"),
            ("ERR1", "HG1"),
            ("ERR2", "HG3"),
            ("ERR3", "HG4"),
            ("ERR4", None),
            ("ERR5", "HG5"),
        ],
        cohort={"HG1", "HG2", "HG3", "HG4", "HG6"},
        people=known("HG1", "HG2", "HG3", "HG4", "HG5"),
        needs=("sex", "population"),
    )
    assert joined.sample_ids == ("HG3", "HG1")  # the callset's order, not the alphabet's
    assert joined.run_ids == ("ERR2", "ERR1")
    assert joined.sample_indices == (0, 1)
    assert joined.n_callset == 5
    assert joined.dropped == {
        "ERR9": "another run of HG1",
        "ERR4": "run belongs to nobody known",
        "HG2": "no expression in dataset E-GEUV-1",
        "HG4": "no genotypes in callset phase3",
        "HG5": "not in cohort EUR",
        "HG6": "not known: the panel that was loaded does not have this person",
    }
    assert joined.without_genotypes == ("HG4",)
    assert joined.without_expression == ("HG2", "HG6")


def test_who_is_missing_in_ones_own_file_is_told_so_though_no_panel_knows_anybody():
    own = Sources("phase3", None, "ALL", "x2.bed")
    joined = join_people(own, [(0, "a"), (1, "b")], [("a", "a")], {"a"}, known("a"))
    assert joined.dropped == {"b": "no expression in file x2.bed"}
    assert joined.sample_ids == ("a",)


def test_a_person_of_unknown_sex_is_dropped_by_name_where_the_recipe_needs_it():
    arguments = (
        SOURCES,
        [(0, "a"), (1, "b")],
        [("a", "a"), ("b", "b")],
        {"a", "b"},
        known("a", "b", b="sex"),
    )
    assert join_people(*arguments, needs=("sex",)).dropped == {"b": "sex not known"}
    assert join_people(*arguments).sample_ids == ("a", "b")


names = st.lists(st.sampled_from([f"HG{n}" for n in range(9)]), unique=True)


@given(
    st.permutations([f"HG{n}" for n in range(6)]),
    st.dictionaries(
        st.sampled_from([f"ERR{n}" for n in range(9)]), st.sampled_from([None, "HG1", "HG2", "HG7"])
    ),
    names,
)
def test_everybody_is_kept_or_has_a_reason(callset, runs, cohort):
    people = known(*(f"HG{n}" for n in range(8)))
    try:
        joined = join_people(SOURCES, enumerate(callset), runs.items(), set(cohort), people)
    except (OverlapError, InputError):
        assert not set(callset) & set(runs.values()) & set(cohort)
        return
    owners = {owner for owner in runs.values() if owner is not None}
    assert set(joined.sample_ids) == set(callset) & owners & set(cohort)
    assert [callset[i] for i in joined.sample_indices] == list(joined.sample_ids)
    assert [runs[r] for r in joined.run_ids] == list(joined.sample_ids)
    assert set(joined.run_ids).isdisjoint(joined.dropped)
    everybody = set(callset) | owners
    assert everybody == {*joined.sample_ids, *(n for n in joined.dropped if n.startswith("HG"))}
    taken_or_out = {*joined.run_ids, *(n for n in joined.dropped if n.startswith("ERR"))}
    owned_by_dropped = {r for r, owner in runs.items() if owner in joined.dropped}
    assert set(runs) == taken_or_out | owned_by_dropped


def test_no_overlap_names_examples_of_both_sides():
    with pytest.raises(OverlapError, match=r"phase3 \(2 people: HG1, HG2\).*E-GEUV-1 \(1 people: ERR1\)"):
        join_people(SOURCES, [(0, "HG1"), (1, "HG2")], [("ERR1", "ERR1")], {"HG1"}, known("HG1"))
    with pytest.raises(OverlapError, match="whose runs belong to nobody known"):
        join_people(SOURCES, [(0, "HG1")], [("ERR1", None)], {"HG1"}, known("HG1"))
    with pytest.raises(OverlapError, match=r"Nobody of cohort EUR \(1 people: NA9\) is among .*HG1"):
        join_people(SOURCES, [(0, "HG1")], [("HG1", "HG1")], {"NA9"}, known("HG1", "NA9"))
    with pytest.raises(OverlapError, match="HG1: sex not known"):
        join_people(SOURCES, [(0, "HG1")], [("HG1", "HG1")], {"HG1"}, known("HG1", HG1="sex"), needs=("sex",))


def test_people_of_ones_own_file_are_told_by_the_file():
    own = Sources("phase3", None, "ALL", "genes.bed.gz")
    joined = join_people(own, [(0, "HG1"), (1, "HG2")], [("HG1", "HG1")], {"HG1", "HG2"}, known("HG1", "HG2"))
    assert joined.dropped == {"HG2": "no expression in file genes.bed.gz"}
    with pytest.raises(
        OverlapError,
        match=r"file genes.bed.gz \(1 people: S1\)\. Name the columns of the file as the callset",
    ):
        join_people(own, [(0, "HG1")], [("S1", "S1")], {"HG1", "S1"}, known("HG1", "S1"))


def test_what_is_not_loaded_is_said_so():
    with pytest.raises(InputError, match="Callset phase3 has no samples in this lake"):
        join_people(SOURCES, [], [("HG1", "HG1")], {"HG1"}, known("HG1"))
    with pytest.raises(InputError, match="Dataset E-GEUV-1 has no runs in this lake"):
        join_people(SOURCES, [(0, "HG1")], [], {"HG1"}, known("HG1"))


def test_a_person_twice_in_a_callset_is_refused():
    with pytest.raises(CheckError, match="HG1 is in callset phase3 more than once"):
        join_people(SOURCES, [(0, "HG1"), (1, "HG1")], [("HG1", "HG1")], {"HG1"}, known("HG1"))
    with pytest.raises(CheckError, match="not numbered from 0 without a gap"):
        join_people(SOURCES, [(1, "HG1"), (2, "HG2")], [("HG1", "HG1")], {"HG1"}, known("HG1"))


def test_an_order_that_is_none_is_refused():
    with pytest.raises(CheckError, match="not in one order"):
        SampleJoin(("a", "b"), ("a", "b"), (1, 0), 2, (), (), {})
    with pytest.raises(CheckError, match="not in one order"):
        SampleJoin(("a", "b"), ("a",), (0, 1), 2, (), (), {})


def test_builds_agree_or_are_refused():
    assert one_build("phase3", ["GRCh37", "GRCh37"], "E-GEUV-1", ["GRCh37"]).name == "GRCh37"
    assert one_build("phase3", ["GRCh38", "GRCh38"]).name == "GRCh38"
    with pytest.raises(BuildError, match="callset high_coverage: GRCh38, the phenotypes of E-GEUV-1: GRCh37"):
        one_build("high_coverage", ["GRCh38"], "E-GEUV-1", ["GRCh37"])
    with pytest.raises(BuildError, match="Callset mixed lies in GRCh37 and GRCh38"):
        one_build("mixed", ["GRCh38", "GRCh37"], "E-GEUV-1", ["GRCh37"])
    with pytest.raises(BuildError, match="an unknown build"):
        one_build("phase3", [None, "GRCh37"], "E-GEUV-1", ["GRCh37"])
