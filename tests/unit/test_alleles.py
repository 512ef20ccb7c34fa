"""What a record's values mean for one ALT."""

from __future__ import annotations

import numpy as np
import pytest

from kgp.transforms.alleles import (
    cut_info,
    find_end,
    find_rsid,
    make_variant_id,
    parse_info,
    parse_whole_number,
    read_expected_dosages,
)

NUMBERS = {"AC": "A", "AD": "R", "GL": "G"}


def test_info_is_cut_to_each_alt():
    pairs = {"AC": "1,2,3", "AD": "9,8,7,6", "GL": "00,01,11,02,12,22,03,13,23,33", "CIPOS": "-5,5", "DB": ""}
    assert cut_info(pairs, NUMBERS, 1, 3) == {
        "AC": "1", "AD": "9,8", "GL": "00,01,11", "CIPOS": "-5,5", "DB": ""}  # fmt: skip
    assert cut_info(pairs, NUMBERS, 3, 3) == {
        "AC": "3", "AD": "9,6", "GL": "00,03,33", "CIPOS": "-5,5", "DB": ""}  # fmt: skip


@pytest.mark.parametrize("text", [".", "1", "1,2,3,4", ""])
def test_a_value_with_a_wrong_count_is_kept_whole(text):
    assert cut_info({"AC": text}, NUMBERS, 2, 3) == {"AC": text}


def test_one_alt_or_none_cuts_nothing():
    pairs = {"AC": "1", "AD": "1,2", "GL": "0,1,2"}
    assert cut_info(pairs, NUMBERS, 1, 1) == pairs
    assert cut_info(pairs, NUMBERS, 0, 0) == pairs


def test_info_texts():
    assert parse_info(".") == {}
    assert parse_info("") == {}
    assert parse_info("A=1;;B;C==x;A=2;D=") == {"A": "1", "B": "", "C": "=x", "D": ""}


@pytest.mark.parametrize(
    ("info", "end"),
    [
        ("END=100", 100),  # END = POS: one base
        ("SVTYPE=DEL;END=150", 150),
        ("END=99", 102),  # before POS: not valid
        ("END=.", 102),
        ("END=1e3", 102),
        ("END=150,160", 102),
        ("CIEND=7,9;XEND=150", 102),
        ("END=120;END=150", 120),
        (".", 102),
    ],
)
def test_end(info, end):
    assert find_end(info, 99, "ACG") == end


def test_variant_ids():
    assert make_variant_id("22", 99, "A", "C", 100) == "22_100_A_C"
    assert make_variant_id("chr22", -1, "A", None, 0) == "chr22_0_A_."
    assert make_variant_id("22", 99, "A", "<CN0>", 160) == "22_100_A_<CN0>_160"
    assert make_variant_id("22", 99, "A", "A[3:5[", 160) == "22_100_A_A[3:5["


def test_rsids():
    assert find_rsid("rs12x;xrs1;rs34;rs56") == "rs34"
    assert find_rsid("22_16051249") is None
    assert find_rsid("RS12") is None


def test_whole_numbers():
    assert parse_whole_number("0") == 0
    assert parse_whole_number("9" * 18) == 10**18 - 1
    for text in ("", "9" * 19, "+1", " 1", "1_0", "٣", "1.0"):
        assert parse_whole_number(text) is None


def test_expected_dosages_from_ds():
    ds = ["0.1,1.9", "2,0", None, "1", "x,y", ".,1"]
    np.testing.assert_array_equal(
        read_expected_dosages(ds, None, 2, 2), np.float32([1.9, 0, np.nan, np.nan, np.nan, np.nan])
    )
    assert read_expected_dosages([None, "."], None, 1, 1) is None
    assert read_expected_dosages(["0.1"], None, 0, 0) is None


def test_expected_dosages_from_gp():
    gp = ["0,1,0", "0.1,0.2,0.7", None, "0.5,0.5", "0,40,60"]
    expected = np.float32([1, 1.6, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(read_expected_dosages(None, gp, 1, 1), expected)
    assert read_expected_dosages(None, ["1,0,0,0,0,0"], 1, 2) is None
    assert read_expected_dosages(None, ["0.004,30.1,55.2"], 1, 1) is None, "phred-scaled, as VCF 4.2 has it"
    np.testing.assert_array_equal(read_expected_dosages(["0.5"], ["0,1,0"], 1, 1), np.float32([0.5]))
