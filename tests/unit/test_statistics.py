"""Counts of groups against a plain count in Python, and who is in a group and when its statistics are stale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgp.errors import CheckError, InputError, UsageError
from kgp.genome import GRCH37, GRCH38, ReferenceBuild
from kgp.tables import ALLELE_STATISTICS, VARIANTS
from kgp.transforms import statistics
from kgp.transforms.calls import count_texts, encode_texts
from kgp.transforms.groups import CallsetPeople, Group, find_stale, name_statistics
from kgp.transforms.hardy_weinberg import exact_p
from kgp.transforms.statistics import SOURCE_COLUMNS, Membership, compute_statistics

SCHEMA = pa.schema([VARIANTS.arrow_schema.field(name) for name in SOURCE_COLUMNS])
Texts = Sequence[str]


def variant(texts: Texts | None, alt_index: int = 1, n_alts: int = 1, **given: Any) -> dict[str, Any]:
    """A row of `variants` with these genotypes, encoded as the readers encode them."""
    row = {"callset": "c", "contig": "22", "start": 999, "alt_index": alt_index, "variant_id": "v", **given}
    if texts is None:
        return {**row, "dosages": None, "calls": None}
    dosages = count_texts(texts, alt_index).dosages[0].tolist()
    return {**row, "dosages": [None if d < 0 else d for d in dosages], "calls": encode_texts(texts, n_alts)}


def compute(
    rows: Sequence[dict[str, Any]], groups: Sequence[Group], n_callset: int, build: ReferenceBuild = GRCH37
) -> list[dict[str, Any]]:
    membership = Membership(tuple(groups), tuple(f"id {g.name}" for g in groups), n_callset)
    batch = pa.RecordBatch.from_pylist(list(rows), schema=SCHEMA)
    batches = list(compute_statistics(batch, membership, build))
    assert all(one.schema.equals(ALLELE_STATISTICS.arrow_schema) for one in batches)
    return [row for one in batches for row in one.to_pylist()]


def group(indices: Sequence[int], sexes: Sequence[str | None] | None = None, name: str = "all") -> Group:
    return Group(
        name, tuple(indices), tuple(f"HG{i}" for i in indices), tuple(sexes or [None] * len(indices))
    )


def count_plainly(texts: Texts, alt_index: int, members: Sequence[int]) -> dict[str, int]:
    """One genotype after the other, as the issue words it."""
    counts = dict.fromkeys(("ac", "an", "n_missing", "n_het", "n_hom_alt", "n_hom_rest"), 0)
    for index in members:
        alleles = texts[index].replace("|", "/").split("/")
        counts["an"] += sum(one != "." for one in alleles)
        copies = sum(one == str(alt_index) for one in alleles)
        counts["ac"] += copies
        if "." in alleles:
            counts["n_missing"] += 1
        elif len(alleles) == 2:
            counts[("n_hom_rest", "n_het", "n_hom_alt")[copies]] += 1
    return counts


def assert_counts(row: dict[str, Any], texts: Texts, alt_index: int, members: Sequence[int]) -> None:
    expected = count_plainly(texts, alt_index, members)
    rest = expected.pop("n_hom_rest")
    assert {name: row[name] for name in expected} == expected
    assert row["af"] == (expected["ac"] / expected["an"] if expected["an"] else None)
    p = exact_p(rest, expected["n_het"], expected["n_hom_alt"])
    assert row["hwe_p"] == (None if np.isnan(p) else p)


PLAIN = [*(["0|0"] * 4), "0|1", "1|0", "1|1"]
SOURCES = (
    PLAIN,
    [*PLAIN, ".|."],
    ["0/0", "0/1", "1/1", "./."],
    ["0/0", "1/0", "0|1"],
    ["0|0", "0|2", "2|1", "3|3", ".|1", "./2", "."],
    ["0", "1", ".", "0|1", "1|1"],
    ["0/1", "10/11", "2/10", "0/0/1", "1/1/1/1", "./1/1", "1"],
)


@st.composite
def callsets(draw: st.DrawFn) -> tuple[list[list[str]], list[list[int]]]:
    """Genotypes of some records, each of one style; and groups of people."""
    n_samples = draw(st.integers(1, 9))
    records = [
        draw(
            st.lists(st.sampled_from(draw(st.sampled_from(SOURCES))), min_size=n_samples, max_size=n_samples)
        )
        for _ in range(draw(st.integers(1, 6)))
    ]
    people = st.lists(st.integers(0, n_samples - 1), min_size=1, unique=True).map(sorted)
    return records, draw(st.lists(people, min_size=1, max_size=4))


@given(callsets(), st.sampled_from([20, 2_000_000]))
@settings(max_examples=150, deadline=None)
def test_counts_are_those_of_a_plain_count(
    drawn: tuple[list[list[str]], list[list[int]]], block: int
) -> None:
    records, members = drawn
    rows, sources = [], []
    for start, texts in enumerate(records):
        named = {int(a) for text in texts for a in text.replace("|", "/").split("/") if a != "."}
        n_alts = max(named | {1})
        for alt_index in range(1, n_alts + 1):
            rows.append(variant(texts, alt_index, n_alts, start=start, variant_id=f"{start}_{alt_index}"))
            sources.append((texts, alt_index))
    groups = [group(some, name=f"g{i}") for i, some in enumerate(members)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "_BLOCK_VALUES", block)
        found = {(row["variant_id"], row["group"]): row for row in compute(rows, groups, len(records[0]))}
    assert len(found) == len(rows) * len(groups)
    for row, (texts, alt_index) in zip(rows, sources, strict=True):
        for one, some in zip(groups, members, strict=True):
            mine = found[row["variant_id"], one.name]
            assert_counts(mine, texts, alt_index, some)
            assert (mine["n_samples"], mine["statistics_id"]) == (len(some), f"id {one.name}")
            assert (mine["start"], mine["callset"], mine["contig"]) == (row["start"], "c", "22")


def test_a_half_call_counts_its_allele_and_is_missing() -> None:
    (row,) = compute([variant(["./1", "0/1", "1/1"])], [group([0, 1, 2])], 3)
    assert {name: row[name] for name in ("ac", "an", "n_missing", "n_het", "n_hom_alt")} == {
        "ac": 4, "an": 5, "n_missing": 1, "n_het": 1, "n_hom_alt": 1,
    }  # fmt: skip


def test_other_alleles_count_as_the_rest() -> None:
    texts = ["0|2", "1|2", "2|2", "1|1", "0|0"]
    one, two = compute([variant(texts, i, 2, variant_id=str(i)) for i in (1, 2)], [group(range(5))], 5)
    assert (one["n_het"], one["n_hom_alt"], one["ac"], one["an"]) == (1, 1, 3, 10)
    assert (two["n_het"], two["n_hom_alt"], two["ac"], two["an"]) == (2, 1, 4, 10)
    assert one["hwe_p"] == exact_p(3, 1, 1)
    assert two["hwe_p"] == exact_p(2, 2, 1)


WOMEN = ["0|1", "1|1", "0|0", "0|0", "1|1", "1|1"]
SEXES = ["female"] * 6 + ["male"] * 3


@pytest.mark.parametrize("men", [["0", "1", "1"], ["0|0", "1|1", "1|1"]], ids=["haploid", "as diploid"])
@pytest.mark.parametrize(("build", "contig"), [(GRCH37, "X"), (GRCH38, "chrX")], ids=["GRCh37", "GRCh38"])
def test_on_x_women_are_tested(men: list[str], build: ReferenceBuild, contig: str) -> None:
    texts = WOMEN + men
    places = {"par1": build.par[0][0], "x": build.par[0][1], "last of par1": build.par[0][1] - 1}
    rows = [variant(texts, contig=contig, start=start, variant_id=name) for name, start in places.items()]
    everyone = group(range(9), SEXES)
    found = {row["variant_id"]: row for row in compute(rows, [everyone], 9, build)}
    women = float(exact_p(2, 1, 3))
    is_haploid = men[0] == "0"
    both = women if is_haploid else float(exact_p(3, 1, 5))
    assert women != float(exact_p(3, 1, 5))
    assert found["x"]["hwe_p"] == women
    assert found["par1"]["hwe_p"] == found["last of par1"]["hwe_p"] == both
    # The counts are of everybody, wherever the place is.
    for row in found.values():
        expected = count_plainly(texts, 1, range(9))
        assert (row["ac"], row["an"], row["n_het"], row["n_hom_alt"]) == tuple(
            expected[name] for name in ("ac", "an", "n_het", "n_hom_alt")
        )


def test_on_x_nobody_is_tested_where_no_woman_is_known() -> None:
    row = variant([*WOMEN, "0", "1", "1"], contig="X", start=5_000_000)
    groups = [
        group(range(9), name="sex unknown"),
        group([6, 7, 8], ["male"] * 3, name="men"),
        group(range(6), ["female"] * 6, name="women"),
        group([0, 1, 2], ["female", None, None], name="one woman"),
    ]
    p = {one["group"]: one["hwe_p"] for one in compute([row], groups, 9)}
    assert p == {
        "sex unknown": None, "men": None, "women": float(exact_p(2, 1, 3)), "one woman": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize("contig", ["Y", "MT"])
def test_y_and_mitochondria_are_not_tested(contig: str) -> None:
    for texts in (["0|0", "1|1", "1|1"], ["0", "1", "."]):
        (row,) = compute([variant(texts, contig=contig)], [group(range(3), ["male"] * 3)], 3)
        assert row["hwe_p"] is None
        assert row["ac"] == count_plainly(texts, 1, range(3))["ac"]


def test_rows_without_calls_are_null_and_records_without_alt_are_left_out() -> None:
    rows = [
        variant(None, variant_id="dosages only"),
        variant(["0|1", "1|1"], variant_id="called"),
        variant(["0/0", "0/0"], alt_index=0, n_alts=0, variant_id="no alt"),
    ]
    null, called = compute(rows, [group([0, 1])], 2)
    assert null["variant_id"] == "dosages only"
    assert {null[name] for name in ALLELE_STATISTICS.optional} == {None}
    assert (called["ac"], called["an"], called["hwe_p"]) == (3, 4, 1.0)


def test_nothing_called_has_no_frequency() -> None:
    (row,) = compute([variant(["./.", "./."])], [group([0, 1])], 2)
    assert (row["ac"], row["an"], row["af"], row["n_missing"], row["hwe_p"]) == (0, 0, None, 2, None)


@pytest.mark.parametrize("texts", [["0|1"] * 3, ["0|1"] * 3 + ["2|1"] * 2, ["0"] * 3, ["0/0/1"] * 3])
def test_genotypes_of_another_number_of_samples_are_refused(texts: list[str]) -> None:
    with pytest.raises(CheckError, match=f"{len(texts)} genotypes, its callset 4 samples"):
        compute([variant(texts, 1, 2)], [group(range(4))], 4)


def test_many_samples_are_counted_exactly() -> None:
    rng = np.random.default_rng(7)
    n = 140_000  # beyond what 32-bit sums of 127 alleles could hold
    texts = [("0|0", "0|1", "1|1", ".|.")[i] for i in rng.integers(0, 4, n)]
    (row,) = compute([variant(texts)], [group(range(n))], n)
    assert_counts(row, texts, 1, range(n))


# -- groups


def callset(**people: str) -> CallsetPeople:
    """People as population:superpopulation:sex; those of the callset `c` are a, b, c, d in the order d, a, c, b."""
    rows = []
    for sample_id, text in people.items():
        population, superpopulation, sex = (part or None for part in text.split(":"))
        rows.append(
            {"sample_id": sample_id, "population": population, "superpopulation": superpopulation, "sex": sex}
        )
    places = [{"callset": "c", "sample_index": i, "sample_id": s} for i, s in enumerate("dacb")]
    other = [{"callset": "other", "sample_index": 0, "sample_id": "e"}]
    return CallsetPeople.of_rows("c", [*places, *other], rows)


PEOPLE = {
    "a": "CEU:EUR:female", "b": "FIN:EUR:male", "c": "YRI:AFR:", "e": "JPT:EAS:male",  # d is in no panel
}  # fmt: skip


def test_groups_are_of_the_callsets_people_alone() -> None:
    present = callset(**PEOPLE)
    every = present.name_groups(["all", "sex", "population", "superpopulation"], ["EUR, -FIN", "EUR,-FIN"])
    assert every == [
        "all", "sex:female", "sex:male", "population:CEU", "population:FIN", "population:YRI",
        "superpopulation:AFR", "superpopulation:EUR", "cohort:EUR,-FIN",
    ]  # fmt: skip
    found = {name: present.find_group(name) for name in every}
    assert {name: "".join(one.sample_ids) for name, one in found.items()} == {
        "all": "dacb", "sex:female": "a", "sex:male": "b", "population:CEU": "a", "population:FIN": "b",
        "population:YRI": "c", "superpopulation:AFR": "c", "superpopulation:EUR": "ab", "cohort:EUR,-FIN": "a",
    }  # fmt: skip
    assert found["superpopulation:EUR"].sample_indices == (1, 3)
    assert found["all"].sexes == (None, "female", None, "male")


def test_a_group_of_nobody_is_refused() -> None:
    present = callset(**PEOPLE)
    with pytest.raises(UsageError, match="Nobody in callset c belongs to cohort:EAS"):
        present.find_group("cohort:EAS")
    with pytest.raises(UsageError, match=r"Nobody belongs to 'CEI'.*Did you mean CEU"):
        present.find_group("cohort:CEI")
    with pytest.raises(InputError, match=r"No population is known of anybody in callset c.*kgp load samples"):
        callset().name_groups(["population"], [])
    assert present.get_group("population:GBR") is None


def ledger_row(present: CallsetPeople, name: str, load_ids: list[str]) -> dict[str, Any]:
    one = present.find_group(name)
    return {
        "statistics_id": name_statistics("c", one, load_ids), "callset": "c", "group": name, "load_ids": load_ids,
        "people_digest": one.digest,
    }  # fmt: skip


def stale_groups(people: dict[str, str], load_ids: list[str], order: str = "dacb") -> dict[str, str]:
    """Group → reason, of statistics that were computed from `PEOPLE` and the loads v1, v2."""
    before = callset(**PEOPLE)
    computed = [ledger_row(before, name, ["v1", "v2"]) for name in ("all", "sex:male", "superpopulation:EUR")]
    now = callset(**people)
    loads = [{"load_id": one, "target": "variants", "subject": "c"} for one in load_ids]
    loads += [
        {"load_id": "x", "target": "variants", "subject": "other"},
        {"load_id": "p", "target": "samples", "subject": "panel"},
    ]
    places = [{"callset": "c", "sample_index": i, "sample_id": s} for i, s in enumerate(order)]
    names = {row["statistics_id"]: row["group"] for row in computed}
    found = find_stale(computed, loads, places, list(now.people.values()))
    return {names[one]: reason for one, reason in found.items()}


def test_nothing_is_stale_where_nothing_changed() -> None:
    assert stale_groups(PEOPLE, ["v2", "v1"]) == {}
    assert stale_groups({**PEOPLE, "f": "TSI:EUR:male"}, ["v1", "v2"]) == {}  # not in the callset


@pytest.mark.parametrize("load_ids", [["v1"], ["v1", "v2", "v3"], ["v1", "v4"], []])
def test_other_loads_make_everything_stale(load_ids: list[str]) -> None:
    found = stale_groups(PEOPLE, load_ids)
    assert found == dict.fromkeys(
        ("all", "sex:male", "superpopulation:EUR"), "the callset's loads have changed"
    )


def test_a_changed_panel_makes_the_groups_stale_that_it_touches() -> None:
    changed = "its people, or what is known of their sexes, have changed"
    moved = stale_groups({**PEOPLE, "c": "CEU:EUR:"}, ["v1", "v2"])
    assert moved == {"superpopulation:EUR": changed}
    # A sex matters to whoever has that person: on X only women are tested.
    assert stale_groups({**PEOPLE, "c": "YRI:AFR:female"}, ["v1", "v2"]) == {"all": changed}
    assert stale_groups({**PEOPLE, "b": "FIN:EUR:female"}, ["v1", "v2"]) == {
        "all": changed, "superpopulation:EUR": changed, "sex:male": "nobody belongs to it any more",
    }  # fmt: skip
    assert set(stale_groups(PEOPLE, ["v1", "v2"], order="adcb")) == {"all", "superpopulation:EUR"}


def test_another_way_to_compute_makes_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    present = callset(**PEOPLE)
    row = ledger_row(present, "all", ["v1"])
    loads = [{"load_id": "v1", "target": "variants", "subject": "c"}]
    places = [{"callset": "c", "sample_index": i, "sample_id": s} for i, s in present.samples]
    people = list(present.people.values())
    assert find_stale([row], loads, places, people) == {}
    monkeypatch.setattr("kgp.transforms.groups.RECIPE", "2")
    found = find_stale([row], loads, places, people)
    assert found == {row["statistics_id"]: "this version of kgp computes it in another way"}
