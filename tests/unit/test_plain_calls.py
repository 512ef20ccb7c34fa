"""Plain genotypes by 32-bit words: each line and each count as a definition says that looks at cell by cell."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgp.transforms import plain_calls
from kgp.transforms.calls import decode_calls
from kgp.transforms.plain_calls import PlainCalls, read_plain_calls

# A line all phased, or all unphased with REF first wherever one allele is REF.
PHASED, UNPHASED = re.compile(r"[01]\|[01]"), re.compile(r"0/[01]|1/1")


def is_plain(line: Sequence[str], samples: Sequence[int]) -> bool:
    """Whether a line's cells, tabs included, have the plain form; of 1/0 only chosen samples matter."""
    *inner, last = line
    if not last.endswith("\n") or not all(cell.endswith("\t") for cell in inner):
        return False
    texts = [cell[:3] for cell in line]
    if all(PHASED.fullmatch(text) for text in texts):
        return True
    if not all(re.fullmatch("[01]/[01]", text) for text in texts):
        return False
    return all(UNPHASED.fullmatch(texts[i]) for i in samples)


def assert_right(lines: Sequence[Sequence[str]], found: PlainCalls, samples: Sequence[int]) -> None:
    """Compare with what is counted here."""
    expected = [is_plain(line, samples) for line in lines]
    assert found.is_plain.tolist() == expected
    for row in np.flatnonzero(expected).tolist():
        gts = [lines[row][i][:3] for i in samples]
        dosages = [int(gt[0]) + int(gt[2]) for gt in gts]
        assert found.dosages[row].tolist() == dosages
        assert (found.n_het[row], found.n_hom_alt[row]) == (dosages.count(1), dosages.count(2))
        assert decode_calls(found.calls[row], dosages) == gts


def texts_of(lines: Sequence[Sequence[str]]) -> list[bytes]:
    return ["".join(line).encode("latin-1") for line in lines]


SEPARATOR = st.sampled_from("|/")
ODD_ALLELE = st.sampled_from("0123456789.\t\n/|12\0@ p\xb0\xb1")
ODD_CELL = st.tuples(ODD_ALLELE, ODD_ALLELE | SEPARATOR, ODD_ALLELE, ODD_ALLELE | st.just("\t")).map("".join)


@st.composite
def matrices(draw: st.DrawFn) -> tuple[list[list[str]], list[int] | None]:
    """Lines of cells of four characters each, mostly plain, and the samples that are wanted."""
    n_samples = draw(st.integers(1, 12) | st.integers(1, 300))
    lines = []
    for _ in range(draw(st.integers(1, 6))):
        random = np.random.default_rng(draw(st.integers(0, 2**32)))
        separators = draw(st.sampled_from(["|", "/", "|/"]))
        forms = draw(st.sampled_from(["01", "00000001", "0", "1", "012", "01."]))
        first, second = (random.choice(list(forms), n_samples).tolist() for _ in range(2))
        line = [f"{a}{random.choice(list(separators))}{b}\t" for a, b in zip(first, second, strict=True)]
        if separators == "/" and draw(st.booleans()):
            line = [cell.replace("1/0", "0/1") for cell in line]
        line[-1] = line[-1][:3] + "\n"
        for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
            line[draw(st.integers(0, n_samples - 1))] = draw(ODD_CELL)
        lines.append(line)
    some = st.lists(st.integers(0, n_samples - 1), min_size=1, max_size=n_samples)
    return lines, draw(st.none() | some)


@settings(max_examples=150, deadline=None)
@given(case=matrices(), block_bytes=st.sampled_from([1, 60, 1 << 19]))
def test_each_line_is_judged_and_counted_on_its_own(
    case: tuple[list[list[str]], list[int] | None], block_bytes: int
) -> None:
    lines, samples = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_calls, "_BLOCK_BYTES", block_bytes)
        found = read_plain_calls(texts_of(lines), len(lines[0]), samples)
    assert_right(lines, found, range(len(lines[0])) if samples is None else samples)
    rows = np.flatnonzero(found.is_plain)
    taken = found.take(rows)
    assert_right([lines[row] for row in rows], taken, range(len(lines[0])) if samples is None else samples)


@pytest.mark.parametrize("place", [0, 1, 2, 3])
@pytest.mark.parametrize("sample", [0, 3, 6])
def test_one_wrong_byte_is_enough(sample: int, place: int) -> None:
    """All 256 bytes in one place of one genotype of an otherwise plain line."""
    lines = []
    for byte in range(256):
        line = ["0|1\t", "1|1\t", "0|0\t", "1|0\t", "0|1\t", "0|0\t", "1|0\n"]
        line[sample] = line[sample][:place] + chr(byte) + line[sample][place + 1 :]
        lines.append(line)
    found = read_plain_calls(texts_of(lines), 7)
    assert_right(lines, found, range(7))
    assert found.is_plain.sum() == (2 if place in (0, 2) else 1)


def test_more_lines_than_a_block_holds() -> None:
    n_samples = 2504
    random = np.random.default_rng(7)
    cells = np.full((130, n_samples, 4), ord("\t"), np.uint8)
    cells[:, :, [0, 2]] = (random.random((130, n_samples, 2)) < 0.1) + ord("0")
    cells[:, :, 1] = ord("|")
    cells[:, -1, 3] = ord("\n")
    cells[::7, 1000, 0] = ord(".")
    assert cells.nbytes > 2 * plain_calls._BLOCK_BYTES
    texts = [row.tobytes() for row in cells]
    lines = [[cell.decode() for cell in np.frombuffer(row.tobytes(), "S4").tolist()] for row in cells]
    order = random.permutation(n_samples)[:900].tolist()
    assert_right(lines, read_plain_calls(texts, n_samples, order), order)
    whole = read_plain_calls(texts, n_samples)
    assert whole.is_plain.tolist() == [row % 7 != 0 for row in range(130)]
    assert_right(lines[:20], read_plain_calls(texts[:20], n_samples), range(n_samples))
    # The calls of every row by what numpy says of the raw bytes, without a decoder.
    first, second = cells[:, :, 0] - ord("0"), cells[:, :, 2] - ord("0")
    for row in np.flatnonzero(whole.is_plain).tolist():
        bits = first[row][first[row] != second[row]]
        assert whole.calls[row] == b"\x01" + np.packbits(bits).tobytes()


def test_no_lines() -> None:
    found = read_plain_calls([], 3)
    assert found.dosages.shape == (0, 3)
    assert found.calls == []
