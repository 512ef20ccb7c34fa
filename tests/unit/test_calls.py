"""Calls: what is encoded comes back as it stood in the file, and both ways of counting agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgp.transforms.calls import (
    PHASED,
    TEXT,
    UNPHASED,
    count_pairs,
    count_texts,
    decode_calls,
    encode_pairs,
    encode_texts,
    explain_genotypes,
    parse_genotype,
    read_pairs,
)

PHASED_TEXTS = ["0|0", "0|1", "1|0", "1|1", ".|."]
UNPHASED_TEXTS = ["0/0", "0/1", "1/1", "./."]
OTHER_TEXTS = ["1/0", "./1", "0|.", "2|1", "0/2", "1|9"]


@st.composite
def matrices(draw):
    """(n_alts, texts) of records with the same samples: three bytes a genotype."""
    n_samples = draw(st.integers(1, 20))
    rows = []
    for _ in range(draw(st.integers(0, 8))):
        n_alts = draw(st.sampled_from([0, 1, 1, 1, 2, 9]))
        texts = draw(
            st.sampled_from([PHASED_TEXTS, UNPHASED_TEXTS, PHASED_TEXTS + UNPHASED_TEXTS + OTHER_TEXTS])
        )
        allowed = [text for text in texts if all(c in "./|" or int(c) <= n_alts for c in text)]
        rows.append(
            (n_alts, draw(st.lists(st.sampled_from(allowed), min_size=n_samples, max_size=n_samples)))
        )
    return n_samples, rows


def dosage(text: str, alt_index: int) -> int:
    """Copies of one ALT, worked out from the text alone."""
    alleles = text.replace("|", "/").split("/")
    return -1 if "." in alleles else sum(allele == str(alt_index) for allele in alleles)


@settings(max_examples=300, deadline=None)
@given(matrices())
def test_both_ways_agree_with_the_text_and_calls_come_back(case):
    n_samples, rows = case
    joined = ["\t".join(texts).encode() for _, texts in rows]
    n_alts = [n for n, _ in rows]
    pairs, is_valid = read_pairs(joined, n_samples, n_alts)
    assert is_valid.all()
    calls = encode_pairs(pairs, n_alts, joined)
    for alt_index in (1, 2):
        counts = count_pairs(pairs, alt_index)
        for row, (_, texts) in enumerate(rows):
            one = count_texts(texts, alt_index)
            expected = [dosage(text, alt_index) for text in texts]
            alleles = [allele for text in texts for allele in text.replace("|", "/").split("/")]
            assert counts.dosages[row].tolist() == one.dosages[0].tolist() == expected
            assert counts.ac[row] == one.ac[0] == alleles.count(str(alt_index))
            assert counts.an[row] == one.an[0] == len(alleles) - alleles.count(".")
            assert counts.n_missing[row] == one.n_missing[0] == expected.count(-1)
    for row, (n, texts) in enumerate(rows):
        assert calls[row] == encode_texts(texts, n)
        dosages = [None if d < 0 else d for d in (dosage(text, 1) for text in texts)]
        assert decode_calls(calls[row], dosages) == texts
        if n == 1 and set(texts) <= set(PHASED_TEXTS):
            assert calls[row][0] == PHASED
        elif n == 1 and set(texts) <= set(UNPHASED_TEXTS):
            assert calls[row] == bytes([UNPHASED])
        else:
            assert calls[row][0] == TEXT


@given(st.lists(st.from_regex(r"(\.|[0-3])([|/](\.|[0-3])){0,3}", fullmatch=True), min_size=1, max_size=30))
def test_any_ploidy_comes_back(texts):
    dosages = [None if d < 0 else d for d in count_texts(texts, 1).dosages[0].tolist()]
    assert dosages == [None if dosage(text, 1) < 0 else dosage(text, 1) for text in texts]
    assert decode_calls(encode_texts(texts, 3), dosages) == texts
    assert decode_calls(encode_texts(texts, 1), dosages) == texts


@pytest.mark.parametrize(
    "sample_part",
    [
        b"0|1\t0|2",
        b"0|1\t0:1",
        b"0|1\tx|1",
        b"0|1\t1|-",
        b"0/1\t10|",
        b"10|1\t0|",
        b"0|1 0|1",
        b"0|1\t |1",
        b"\xff|1\t0|1",
    ],
)
def test_what_is_no_plain_genotype_is_not_valid(sample_part):
    assert len(sample_part) == 7
    _, is_valid = read_pairs([b"0|1\t1|1", sample_part], 2, [1, 1])
    assert is_valid.tolist() == [True, False]


def test_allele_numbers_are_held_against_the_record():
    assert read_pairs([b"0|1\t0|2", b"0|1\t0|2"], 2, [1, 2])[1].tolist() == [False, True]
    assert read_pairs([b"9|1\t0|2"], 2, [33])[1].tolist() == [True]
    assert explain_genotypes(["0/10"], 9) == "GT '0/10' names an allele that the record does not have"
    assert explain_genotypes(["0/10", "."], 10) is None


def test_genotype_texts():
    assert parse_genotype("/0/1") == (0, 1), "VCF 4.4 begins with the phase of the first allele"
    assert parse_genotype("0/1/2|3") == (0, 1, 2, 3)
    assert parse_genotype("123") == (123,)
    for text in ("", "|", "0|", "0||1", "-1", "0 1", "0\\1", "1.5", "..", "99999", "/".join("0" * 200)):
        assert parse_genotype(text) is None


def test_decoding_refuses_what_does_not_belong_together():
    with pytest.raises(ValueError, match="2 calls beside 1 dosages"):
        decode_calls(b"\x000|1\t0|1", [1])
    with pytest.raises(ValueError, match="7 is no layout"):
        decode_calls(b"\x07", [1])


def test_many_rows_pack_as_one_by_one():
    rng = np.random.default_rng(7)
    texts = rng.choice(PHASED_TEXTS, size=(200, 91))
    joined = ["\t".join(row).encode() for row in texts]
    pairs, _ = read_pairs(joined, 91, [1] * 200)
    assert encode_pairs(pairs, [1] * 200, joined) == [encode_texts(row.tolist(), 1) for row in texts]
