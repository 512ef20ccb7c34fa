"""Genotype rows of matrix sets: rules, counts and X against plain Python, plink2 and bcftools."""

from __future__ import annotations

import pickle
import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgp.errors import CheckError
from kgp.tables import EQTL_GENOTYPES, VARIANTS
from kgp.transforms import genotype_filters as rules
from kgp.transforms import genotypes as g
from kgp.transforms.calls import encode_texts
from kgp.transforms.hardy_weinberg import exact_p
from kgp.transforms.ploidy import read_ploidies

# Beyond the first and before the second pseudoautosomal region of GRCh37.
ON_X = 3_000_000


def which_of(n: int, **given: Any) -> g.GenotypeFilter:
    """Everybody, and no threshold, but what is given."""
    made = {
        "sample_indices": tuple(range(n)), "n_callset": n, "sexes": ("female",) * n, "build": "GRCh37",
        "tss_by_contig": {"22": [1000], "X": [ON_X, 100_000]}, "cis_window": 1000, "source": "calls", "min_maf": 0.0,
        "min_mac": 0, "max_missing": 1.0, "min_hwe_p": 0.0, "multiallelic": "drop", "missing_genotypes": "mean",
        "x_model": "0_2",
    }  # fmt: skip
    if "sample_indices" in given:
        made["sexes"] = ("female",) * len(given["sample_indices"])
    return g.GenotypeFilter(**{**made, **given})


def variant(texts: Sequence[str] | None, pos: int = 1000, **given: Any) -> dict[str, Any]:
    """A row of `variants` from the GT texts of a record."""
    row: dict[str, Any] = {
        "contig": "22", "start": pos - 1, "end": pos, "ref": "A", "alt": "C", "alt_index": 1, "n_alts": 1,
        "variant_id": f"v{pos}", "vcf_id": f"id{pos}", **given,
    }  # fmt: skip
    if texts is not None:
        row.setdefault("dosages", [copies_of(text, row["alt_index"]) for text in texts])
        row.setdefault("calls", encode_texts(list(texts), row["n_alts"]))
    return row


def copies_of(text: str, alt_index: int) -> int | None:
    alleles = re.split(r"[|/]", text)
    return None if "." in alleles else sum(allele == str(alt_index) for allele in alleles)


def batch_of(rows: Sequence[dict[str, Any]], which: g.GenotypeFilter) -> pa.RecordBatch:
    schema = pa.schema([VARIANTS.arrow_schema.field(name) for name in which.columns])
    return pa.RecordBatch.from_pylist(
        [{name: row.get(name) for name in which.columns} for row in rows], schema
    )


def keep(
    rows: Sequence[dict[str, Any]], which: g.GenotypeFilter
) -> tuple[list[dict[str, Any]], Counter[str], int]:
    kept, dropped, n_missing = g.filter_genotypes(batch_of(rows, which), which)
    return kept.to_pylist(), dropped, n_missing


def only(row: dict[str, Any], which: g.GenotypeFilter) -> dict[str, Any]:
    """The row of a set that one variant becomes."""
    (kept,), dropped, _ = keep([row], which)
    assert not dropped
    return kept


def reason_of(row: dict[str, Any], which: g.GenotypeFilter) -> str | None:
    kept, dropped, n_missing = keep([row], which)
    assert len(kept) + dropped.total() == 1
    assert n_missing == sum(one["n_missing"] for one in kept)
    return next(iter(dropped), None)


# ------------------------------------------------------------------------------------------------------- reasons

FOUR = ["0/1", "0/0", "1/1", "0/1"]


@pytest.mark.parametrize(
    ("row", "given", "reason"),
    [
        (variant(FOUR, 2001), {}, g.OUTSIDE_WINDOWS),
        (variant(FOUR, 2000), {}, None),
        (variant(FOUR, 0), {}, g.OUTSIDE_WINDOWS),
        (variant(FOUR, 1), {}, None),
        (variant(FOUR, 1000, contig="21"), {}, g.OUTSIDE_WINDOWS),
        (variant(FOUR, 100_000, contig="X"), {"x_model": "drop"}, g.ON_X),
        (variant(FOUR, ON_X, contig="X"), {"x_model": "drop"}, g.ON_X),
        (variant(FOUR, ON_X, contig="X"), {"x_model": "0_1"}, None),
        (variant(None, alt=None, alt_index=0, n_alts=0), {}, g.NO_ALT),
        (variant(FOUR, n_alts=2), {}, g.MULTIALLELIC),
        (variant(FOUR, n_alts=2), {"multiallelic": "keep"}, None),
        (variant(None), {}, g.NO_DOSAGES),
        (variant(FOUR), {"source": "dosages"}, g.NO_EXPECTED),
        (variant(FOUR[:3]), {}, g.OTHER_LENGTH),
        (variant(None, ON_X, contig="X", dosages=[0, 1, 2, 1]), {}, g.UNKNOWN_PLOIDY),
        (variant(None, 100_000, contig="X", dosages=[0, 1, 2, 1]), {}, None),
        (variant(["0/1", "0/0", "./.", "0/1"]), {"max_missing": 0.24}, g.MISSING),
        (variant(["0/1", "0/0", "./.", "0/1"]), {"max_missing": 0.25}, None),
        (variant(["./."] * 4), {}, g.MISSING),
        (variant(["0/1", "0/0", "./.", "0/1"]), {"missing_genotypes": "drop"}, g.INCOMPLETE),
        (variant(["0/0", "0/0", "./.", "0/0"]), {}, g.MONOMORPHIC),
        (variant(["1/1", "1/1", "./.", "1/1"]), {}, g.MONOMORPHIC),
        (variant(["0/1", "0/1", "./.", "1|0"]), {}, g.CONSTANT),
        (variant(["0/1", "0/0", "0/0", "0/0"]), {"min_maf": 0.126}, g.RARE),
        (variant(["0/1", "0/0", "0/0", "0/0"]), {"min_maf": 0.125}, None),
        (variant(["1/1", "1/1", "0/1", "1/1"]), {"min_maf": 0.126}, g.RARE),
        (variant(["0/1", "0/0", "0/0", "0/0"]), {"min_mac": 2}, g.FEW_MINOR),
        (variant(["0/1", "0/0", "0/1", "0/0"]), {"min_mac": 2}, None),
        (variant(["1/1", "1/1", "0/1", "1/1"]), {"min_mac": 2}, g.FEW_MINOR),
        # p of 2, 0, 2 is 3 / 35: of 70 ways to place four alleles on four people three have no heterozygote … ×2.
        (variant(["1/1", "1/1", "0/0", "0/0"]), {"min_hwe_p": 0.0858}, g.OUT_OF_EQUILIBRIUM),
        (variant(["1/1", "1/1", "0/0", "0/0"]), {"min_hwe_p": 0.0857}, None),
    ],
)  # fmt: skip
def test_each_reason_and_its_bound(row: dict[str, Any], given: dict[str, Any], reason: str | None) -> None:
    assert reason_of(row, which_of(4, **given)) == reason


def test_of_several_reasons_the_first_is_counted_and_nothing_is_lost() -> None:
    which = which_of(
        4, source="calls", min_maf=0.4, min_mac=4, max_missing=0.2, min_hwe_p=0.99, missing_genotypes="drop"
    )
    rows = [
        variant(["0/0", "./.", "./.", "0/0"], 9999, n_alts=2),
        variant(["0/0", "./.", "./.", "0/0"], n_alts=2),
        variant(["0/0", "./.", "./.", "0/0"]),
        variant(["0/0", "0/0", "0/0", "0/0"]),
        variant(["0/0", "0/0", "0/0", "0/1"]),
        variant(FOUR),
    ]
    kept, dropped, n_missing = keep(rows, which)
    assert dropped == {g.OUTSIDE_WINDOWS: 1, g.MULTIALLELIC: 1, g.MISSING: 1, g.MONOMORPHIC: 1, g.RARE: 1}
    assert [row["ac"] for row in kept] == [4]
    assert n_missing == 0
    assert list(dropped) == sorted(dropped, key=g.REASONS.index)


def test_a_row_of_the_set_has_the_cohorts_own_counts_in_the_sets_order() -> None:
    which = which_of(6, sample_indices=(5, 1, 2, 3))
    row = variant(["1/1", "0/0", "0/1", "1|1", "1/1", "./."], 1500, end=9999, alt="<CN0>", rsid="rs1")
    kept, dropped, n_missing = g.filter_genotypes(batch_of([row], which), which)
    assert kept.to_pylist() == [
        {
            "contig": "22", "variant_id": "v1500", "start": 1499, "end": 9999, "ref": "A", "alt": "<CN0>", "ac": 3,
            "an": 6, "af": 0.5, "n_missing": 1, "dosages": [None, 0, 1, 2], "expected_dosages": None,
            "vcf_id": "id1500", "rsid": "rs1",
        }
    ]  # fmt: skip
    assert kept.schema.names == [name for name in EQTL_GENOTYPES.columns if name != "matrix_id"]
    assert (dropped, n_missing) == (Counter(), 1)


def test_each_alt_of_a_record_is_a_variant_of_its_own() -> None:
    texts = ["0/1", "1/2", "2/2", "0/0", "./2", "1/1"]
    which = which_of(6, multiallelic="keep")
    rows = [variant(texts, alt_index=1, n_alts=2), variant(texts, alt_index=2, n_alts=2, alt="G")]
    kept, dropped, _ = keep(rows, which)
    assert [row["dosages"] for row in kept] == [[1, 1, 0, 0, None, 2], [0, 1, 2, 0, None, 0]]
    assert [(row["ac"], row["an"]) for row in kept] == [(4, 10), (3, 10)]
    assert not dropped


def test_no_rows_and_rows_of_which_none_is_kept() -> None:
    which = which_of(4)
    for rows in ([], [variant(FOUR, 9999)]):
        kept, dropped, n_missing = g.filter_genotypes(batch_of(rows, which), which)
        assert (kept.num_rows, dropped.total(), n_missing) == (0, len(rows), 0)
        assert kept.schema.equals(g.SCHEMA)


def test_a_filter_without_people_or_places_is_refused() -> None:
    with pytest.raises(CheckError, match="There are 0 sexes of 0 people"):
        which_of(3, sample_indices=(), sexes=())
    with pytest.raises(CheckError, match="There are 2 sexes of 3 people"):
        which_of(3, sexes=("male", "female"))
    for tss_by_contig in ({}, {"22": []}):
        with pytest.raises(CheckError, match="There is a contig without a TSS"):
            which_of(3, tss_by_contig=tss_by_contig)


def test_a_filter_goes_to_tasks() -> None:
    which = which_of(4)
    g.filter_genotypes(batch_of([variant(FOUR)], which), which)
    assert pickle.loads(pickle.dumps(which)) == which


# -------------------------------------------------------------------------------------------------------- bounds


@given(st.integers(1, 60), st.integers(0, 60), st.data())
def test_a_minor_allele_frequency_is_the_fraction_itself(n: int, n_missing: int, data: st.DataObject) -> None:
    dosages = data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    ac, an = sum(dosages), 2 * n
    counts = rules.count_diploid(np.array([dosages + [-1] * n_missing], dtype=np.int8), with_hwe=False)
    minor = min(ac, an - ac)
    bound = float(Fraction(minor, an))
    assert not rules.drop_rare(counts, bound)[0]
    assert rules.drop_rare(counts, np.nextafter(bound, 1))[0]
    assert not rules.drop_few_minor_alleles(counts, minor)[0]
    assert rules.drop_few_minor_alleles(counts, minor + 1)[0]
    assert rules.drop_monomorphic(counts)[0] == (minor == 0)
    share = float(Fraction(n_missing, n + n_missing))
    assert not rules.drop_missing(counts, share)[0]
    assert rules.drop_missing(counts, np.nextafter(share, -1))[0]
    assert rules.drop_incomplete(counts)[0] == (n_missing > 0)


@pytest.mark.parametrize(
    ("ac", "n", "min_maf"), [(2, 100, 0.01), (6, 10, 0.3), (14, 10, 0.3), (7, 50, 0.07), (1, 5, 0.1)]
)
def test_a_decimal_bound_is_met(ac: int, n: int, min_maf: float) -> None:
    row = np.array([[2] * (ac // 2) + [1] * (ac % 2) + [0] * (n - ac // 2 - ac % 2)], dtype=np.int8)
    counts = rules.count_diploid(row, with_hwe=False)
    assert not rules.drop_rare(counts, min_maf)[0]
    assert rules.drop_rare(counts, np.nextafter(min_maf, 1))[0]


@given(st.lists(st.sampled_from([-1, 0, 1, 2]), min_size=1, max_size=30))
def test_equilibrium_is_tested_exactly_and_its_bound_is_met(dosages: list[int]) -> None:
    counts = rules.count_diploid(np.array([dosages], dtype=np.int8), with_hwe=True)
    p = float(exact_p(dosages.count(0), dosages.count(1), dosages.count(2)))
    if np.isnan(p):
        assert not rules.drop_out_of_equilibrium(counts, 1.0)[0]
    else:
        assert not rules.drop_out_of_equilibrium(counts, p)[0]
        assert rules.drop_out_of_equilibrium(counts, np.nextafter(p, 2))[0]


@given(
    st.lists(st.integers(1, 300), max_size=20), st.lists(st.integers(1, 300), max_size=8), st.integers(0, 50)
)
def test_a_window_is_a_distance_to_any_tss(pos: list[int], tss: list[int], cis_window: int) -> None:
    found = g.is_in_window(
        np.array(pos, dtype=np.int64), np.unique(np.array(tss, dtype=np.int64)), cis_window
    )
    assert found.tolist() == [any(abs(p - t) <= cis_window for t in tss) for p in pos]


# ------------------------------------------------------------------------------------------------ ploidy and X

MEN, WOMEN = ("male",), ("female",)


@pytest.mark.parametrize(
    ("texts", "ploidies"),
    [
        (["0|1", "1/1", "./."], None),
        (["0", "1|1", "."], [1, 2, 1]),
        (["0|1", "0/1/1", "1"], [2, 3, 1]),
        (["10|2", "0|1", "0|0"], None),
        (["|1", "/0|1", "12"], [1, 2, 1]),
        (["123", "0|1", "0|0"], [1, 2, 2]),
        (["0|1|1", "0", "1/0"], [3, 1, 2]),
    ],
)  # fmt: skip
def test_alleles_are_counted_in_any_text(texts: list[str], ploidies: list[int] | None) -> None:
    found = read_ploidies(pa.array([b"\x02", b"\x00" + "\t".join(texts).encode(), None], pa.binary()), 3)
    assert {row: one.tolist() for row, one in found.items()} == ({} if ploidies is None else {1: ploidies})


@given(
    st.lists(
        st.lists(
            st.sampled_from(["0/0", "1|0", "0", "1", ".", "./.", "0/1/1", "10", "|1", "10/2"]),
            min_size=4,
            max_size=4,
        ),
        max_size=12,
    )
)
def test_a_row_is_not_taken_for_the_one_before_it(records: list[list[str]]) -> None:
    calls = pa.array([b"\x00" + "\t".join(texts).encode() for texts in records], pa.binary())
    found = read_ploidies(calls, 4)
    for row, texts in enumerate(records):
        ploidies = [len(re.findall(r"[0-9]+|\.", text)) for text in texts]
        assert found[row].tolist() == ploidies if ploidies != [2] * 4 else row not in found


def test_calls_of_another_number_of_people_are_refused() -> None:
    with pytest.raises(CheckError, match="A row has 2 genotypes, its callset 3 samples"):
        read_ploidies(pa.array([b"\x000\t1"]), 3)


@pytest.mark.parametrize("contig_pos", [("22", 1000), ("X", 100_000)])
def test_where_everybody_has_two_alleles_other_genotypes_are_missing(contig_pos: tuple[str, int]) -> None:
    contig, pos = contig_pos
    which = which_of(6, sexes=MEN * 6, multiallelic="keep")
    kept = only(variant(["0/1", "1", "0/1/1", "1|1", "./1", "0"], pos, contig=contig), which)
    assert kept["dosages"] == [1, None, None, 2, None, None]
    assert (kept["ac"], kept["an"], kept["n_missing"]) == (3, 4, 4)


def test_more_copies_than_two_are_missing_without_calls_too() -> None:
    kept = only(variant(None, dosages=[0, 1, 3, 2, None]), which_of(5))
    assert kept["dosages"] == [0, 1, None, 2, None]
    assert kept["n_missing"] == 2


@pytest.mark.parametrize(("x_model", "values"), [("0_2", [0, 2, 0, 2]), ("0_1", [0, 1, 0, 1])])
def test_men_count_the_same_in_haploid_and_diploid_form(x_model: str, values: list[int]) -> None:
    which = which_of(7, sexes=MEN * 4 + WOMEN * 3, x_model=x_model)
    kept = only(variant(["0", "1", "0/0", "1|1", "0/0", "0/1", "1/1"], ON_X, contig="X"), which)
    assert kept["dosages"] == [*values, 0, 1, 2]
    assert (kept["ac"], kept["an"], kept["af"], kept["n_missing"]) == (5, 10, 0.5, 0)


def test_what_can_not_be_on_x_is_missing_and_counted() -> None:
    which = which_of(8, sexes=("male", "male", "male", "female", "female", "female", None, "male"))
    kept = only(variant(["0/1", "1/1/1", "1", "1", "0/1", "0/0/1", "0/1", "./."], ON_X, contig="X"), which)
    assert kept["dosages"] == [None, None, 2, None, 1, None, None, None]
    assert (kept["ac"], kept["an"], kept["n_missing"]) == (2, 3, 6)


def test_each_sex_must_have_enough_genotypes_on_x() -> None:
    sexes = MEN * 2 + WOMEN * 8
    men_lack = variant(["1", ".", *["0/1"] * 4, *["0/0"] * 4], ON_X, contig="X")
    women_lack = variant(["1", "0", "./.", *["0/1"] * 4, *["0/0"] * 3], ON_X, contig="X")
    for max_missing, of_men, of_women in (
        (0.5, None, None),
        (0.2, g.MISSING, None),
        (0.12, g.MISSING, g.MISSING),
    ):
        which = which_of(10, sexes=sexes, max_missing=max_missing)
        assert (reason_of(men_lack, which), reason_of(women_lack, which)) == (of_men, of_women)
    # In the pseudoautosomal regions everybody counts alike.
    in_par = variant(["0/1", "./.", *["0/1"] * 4, *["0/0"] * 4], 100_000, contig="X")
    assert reason_of(in_par, which_of(10, sexes=sexes, max_missing=0.1)) is None


def test_equilibrium_on_x_is_that_of_women() -> None:
    men = ["1"] * 30 + ["0"] * 30
    in_equilibrium = variant([*men, "0/1", "0/1", "0/0", "1/1"], ON_X, contig="X")
    split = variant([*men, "1/1", "1/1", "0/0", "0/0"], ON_X, contig="X")
    which = which_of(64, sexes=MEN * 60 + WOMEN * 4, min_hwe_p=0.0858)
    assert (reason_of(in_equilibrium, which), reason_of(split, which)) == (None, g.OUT_OF_EQUILIBRIUM)
    only_men = which_of(64, sample_indices=tuple(range(60)), sexes=MEN * 60, min_hwe_p=1.0)
    assert reason_of(split, only_men) is None


def test_a_constant_on_x_is_one_as_the_set_has_it() -> None:
    row = variant(["1", "1", "0/1", "0/1"], ON_X, contig="X")
    assert reason_of(row, which_of(4, sexes=MEN * 2 + WOMEN * 2, x_model="0_1")) == g.CONSTANT
    assert reason_of(row, which_of(4, sexes=MEN * 2 + WOMEN * 2, x_model="0_2")) is None


# ----------------------------------------------------------------------------------------------- expected dosages


def expected(values: Sequence[float | None], pos: int = 1000, **given: Any) -> dict[str, Any]:
    return variant(None, pos, expected_dosages=values, **given)


def test_expected_dosages_are_kept_with_their_mean() -> None:
    kept = only(expected([0.25, None, 1.5, 2.0, 0.75]), which_of(5, source="dosages"))
    assert kept["expected_dosages"] == [0.25, None, 1.5, 2.0, 0.75]
    assert kept["dosages"] is None
    # 4.5 copies are 4 to the even whole number.
    assert (kept["ac"], kept["an"], kept["af"], kept["n_missing"]) == (4, 8, 4.5 / 8, 1)


@pytest.mark.parametrize(
    ("values", "given", "reason"),
    [
        ([0.0, 0.0, None, 0.0], {}, g.MONOMORPHIC),
        ([2.0, 2.0, None, 2.0], {}, g.MONOMORPHIC),
        ([1.0, 1.0, None, 1.0], {}, g.CONSTANT),
        ([None] * 4, {}, g.MISSING),
        ([0.5, 0.0, 0.0, 0.0], {"min_maf": 0.0626}, g.RARE),
        ([0.5, 0.0, 0.0, 0.0], {"min_maf": 0.0625}, None),
        ([0.5, 0.25, 0.0, 0.0], {"min_mac": 1}, g.FEW_MINOR),
        ([0.5, 0.5, 0.0, 0.0], {"min_mac": 1}, None),
        ([0.5, None, 0.0, 0.0], {"missing_genotypes": "drop"}, g.INCOMPLETE),
        # Within 0.1 of a whole number they are that genotype, the others are not called: 2, 0, 2.
        ([1.9, 2.0, 0.1, 0.0, 0.5, 1.2], {"min_hwe_p": 0.0858}, g.OUT_OF_EQUILIBRIUM),
        ([1.9, 2.0, 0.1, 0.0, 0.5, 1.2], {"min_hwe_p": 0.0857}, None),
        ([1.89, 2.0, 0.1, 0.0, 0.5, 1.2], {"min_hwe_p": 0.0858}, None),
    ],
)  # fmt: skip
def test_reasons_against_expected_dosages(
    values: list[float | None], given: dict[str, Any], reason: str | None
) -> None:
    assert reason_of(expected(values), which_of(len(values), source="dosages", **given)) == reason


def test_expected_dosages_that_can_not_be_are_missing_and_rounding_is_not() -> None:
    values = [-0.01, 2.04, 2.2, float("nan"), float("inf"), 1.0, 0.0]
    kept = only(expected(values), which_of(7, source="dosages"))
    assert kept["expected_dosages"] == [None, 2.0, None, None, None, 1.0, 0.0]
    assert kept["n_missing"] == 4


@pytest.mark.parametrize(("x_model", "times"), [("0_2", 2.0), ("0_1", 1.0)])
def test_expected_dosages_of_men_go_by_the_form_of_their_genotypes(x_model: str, times: float) -> None:
    which = which_of(6, source="dosages", sexes=MEN * 3 + WOMEN * 3, x_model=x_model)
    texts = ["0", "0/0", ".", "0/1", "0", "./."]
    calls = encode_texts(texts, 1)
    row = expected([0.25, 0.5, 1.5, 1.25, 0.5, 0.5], ON_X, contig="X", calls=calls)
    kept = only(row, which)
    # A man's 0.5 of two is 0.25 of one; 1.5 of one can't be; a woman with one allele neither.
    assert kept["expected_dosages"] == [0.25 * times, 0.25 * times, None, 1.25, None, 0.5]
    assert (kept["an"], kept["af"], kept["n_missing"]) == (6, 2.25 / 6, 2)


# ------------------------------------------------------------------------------------------- against plain Python

GENOTYPES = st.sampled_from(["0/0", "0/1", "1|1", "1/0", "./.", "0", "1", ".", "./1", "0/2", "2", "0/0/1"])


def count_in_python(texts: Sequence[str], sexes: Sequence[str], *, on_x: bool, model: str) -> dict[str, Any]:
    """What one record of a set says, genotype by genotype."""
    values: list[int | None] = []
    ac = an = 0
    for text, sex in zip(texts, sexes, strict=True):
        alleles = re.split(r"[|/]", text)
        is_alt = [allele == "1" for allele in alleles]
        is_man = on_x and sex == "male"
        fits = len(alleles) == 2 or (is_man and len(alleles) == 1)
        if "." in alleles or not fits or (is_man and len(set(is_alt)) > 1):
            values.append(None)
        elif is_man:
            ac, an = ac + is_alt[0], an + 1
            values.append(is_alt[0] * (2 if model == "0_2" else 1))
        else:
            ac, an = ac + sum(is_alt), an + 2
            values.append(sum(is_alt))
    return {"values": values, "ac": ac, "an": an}


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(["0_2", "0_1"]), st.booleans(), st.integers(1, 9))
def test_any_genotypes_are_counted_as_in_plain_python(
    data: st.DataObject, model: str, is_on_x: bool, n: int
) -> None:
    sexes = data.draw(st.lists(st.sampled_from(["male", "female"]), min_size=n, max_size=n))
    records = data.draw(st.lists(st.lists(GENOTYPES, min_size=n, max_size=n), min_size=1, max_size=6))
    chosen = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True))
    bounds = data.draw(
        st.fixed_dictionaries(
            {
                "min_maf": st.sampled_from([0.0, 0.1, 0.25]),
                "min_mac": st.integers(0, 3),
                "max_missing": st.sampled_from([0.0, 0.25, 0.5, 1.0]),
                "missing_genotypes": st.sampled_from(["mean", "drop"]),
            }
        )
    )
    # Every second place of X lies in the pseudoautosomal region.
    places = (
        [(ON_X if i % 2 else 100_000) + i for i in range(len(records))]
        if is_on_x
        else range(1000, 1000 + len(records))
    )
    rows = [
        variant(texts, pos, contig="X" if is_on_x else "22", alt_index=1, n_alts=2)
        for texts, pos in zip(records, places, strict=True)
    ]
    sexes_of_chosen = tuple(sexes[i] for i in chosen)
    which = which_of(
        n, sample_indices=tuple(chosen), sexes=sexes_of_chosen, multiallelic="keep", x_model=model, **bounds
    )
    kept, dropped, n_missing = keep(rows, which)
    assert dropped.total() + len(kept) == len(rows)

    found = {row["variant_id"]: row for row in kept}
    for texts, row in zip(records, rows, strict=True):
        on_x = row["start"] + 1 >= ON_X
        told = count_in_python([texts[i] for i in chosen], sexes_of_chosen, on_x=on_x, model=model)
        values, ac, an = told["values"], told["ac"], told["an"]
        groups = [list(range(len(chosen)))]
        if on_x:
            groups = [
                [i for i, sex in enumerate(sexes_of_chosen) if sex == one] for one in ("male", "female")
            ]
        shares = [sum(values[i] is None for i in group) / len(group) for group in groups if group]
        minor = min(ac, an - ac)
        is_kept = (
            an > 0
            and max(shares) <= bounds["max_missing"]
            and not (bounds["missing_genotypes"] == "drop" and None in values)
            and minor >= max(1, bounds["min_mac"])
            and minor / an >= bounds["min_maf"]
            and len({value for value in values if value is not None}) > 1
        )
        assert (row["variant_id"] in found) == is_kept
        if is_kept:
            one = found[row["variant_id"]]
            assert one["dosages"] == values
            assert (one["ac"], one["an"], one["af"]) == (ac, an, ac / an)
            assert one["n_missing"] == values.count(None)
    assert n_missing == sum(row["n_missing"] for row in kept)


@given(
    st.lists(st.lists(st.sampled_from([-1, 0, 1, 2]), min_size=5, max_size=5), max_size=8), st.integers(0, 8)
)
def test_rows_in_two_batches_are_the_rows_of_one(dosages: list[list[int]], cut: int) -> None:
    rows = [
        variant(None, 1000 + i, dosages=[None if d < 0 else d for d in row]) for i, row in enumerate(dosages)
    ]
    which = which_of(5, min_mac=2, max_missing=0.4, min_hwe_p=0.1)
    whole, dropped, n_missing = keep(rows, which)
    first, second = keep(rows[:cut], which), keep(rows[cut:], which)
    assert first[0] + second[0] == whole
    assert first[1] + second[1] == dropped
    assert first[2] + second[2] == n_missing
