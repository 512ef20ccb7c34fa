"""Genotype components against numpy's singular value decomposition and against plink2."""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kgp.eqtl.genotype_components import GenotypeComponents, RelationshipMatrix, standardise
from kgp.errors import InputError


def compute(dosages: np.ndarray, n: int, block: int = 1_000) -> GenotypeComponents:
    matrix = RelationshipMatrix(dosages.shape[1])
    for first in range(0, len(dosages), block):
        matrix.add(dosages[first : first + block])
    return matrix.components(n)


def standardised(dosages: np.ndarray) -> np.ndarray:
    """The formula, a variant at a time, with masked arrays; variants that do not vary are left out."""
    rows = []
    for row in np.ma.masked_equal(dosages, -1).astype(float):
        if row.count() and row.max() > row.min():
            p = row.mean() / 2
            rows.append(((row - 2 * p) / np.sqrt(2 * p * (1 - p))).filled(0.0))
    return np.array(rows).reshape(len(rows), dosages.shape[1])


DOSAGES = arrays(
    np.int8, st.tuples(st.integers(1, 30), st.integers(2, 12)), elements=st.sampled_from([-1, 0, 1, 2])
)


@given(DOSAGES)
@settings(deadline=None)
def test_standardised_values_are_those_of_the_formula(dosages: np.ndarray) -> None:
    found = standardise(dosages)
    varies = found.any(axis=1)
    np.testing.assert_allclose(found[varies], standardised(dosages)[: varies.sum()], atol=1e-12)
    assert varies.sum() == len(standardised(dosages))


@given(DOSAGES, st.integers(1, 7))
@settings(deadline=None)
def test_components_are_singular_vectors_however_the_variants_are_cut_into_blocks(
    dosages: np.ndarray, block: int
) -> None:
    expected = standardised(dosages)
    if not len(expected):
        with pytest.raises(InputError, match="No variant varies among these people"):
            compute(dosages, 3, block)
        return
    found = compute(dosages, 3, block)
    _, values, vectors = np.linalg.svd(expected, full_matrices=False)
    n = len(found.eigenvalues)
    assert n == min(3, *expected.shape)
    np.testing.assert_allclose(found.eigenvalues, values[:n] ** 2 / len(expected), atol=1e-9)
    np.testing.assert_allclose(found.variance_explained, values[:n] ** 2 / (values**2).sum(), atol=1e-9)
    for k in range(n):
        apart = np.abs(values**2 - values[k] ** 2)
        apart[k] = np.inf
        if values[k] > 1e-6 and apart.min() > 1e-3:  # else the vector is not determined
            assert abs(found.scores[:, k] @ vectors[k]) == pytest.approx(1.0, abs=1e-6)
            assert (
                found.scores[:, k].max() >= -found.scores[:, k].min() - 1e-9
            )  # the sign: the greatest is positive


def test_many_people_with_structure_agree_with_the_decomposition_of_the_whole_matrix() -> None:
    rng = np.random.default_rng(5)
    frequency = rng.uniform(0.1, 0.9, (2_000, 1)) + rng.normal(0, 0.08, (2_000, 3))
    dosages = np.column_stack(
        [rng.binomial(2, np.clip(frequency[:, i % 3], 0.01, 0.99)) for i in range(150)]
    ).astype(np.int8)
    dosages[rng.random(dosages.shape) < 0.02] = -1
    found = compute(dosages, 2)
    _, _, vectors = np.linalg.svd(standardised(dosages), full_matrices=False)
    for k in range(2):
        assert abs(np.corrcoef(found.scores[:, k], vectors[k])[0, 1]) > 0.999999
    assert found.n_variants == 2_000


def test_nobody_differing_is_said() -> None:
    with pytest.raises(InputError, match="No variant varies among these people"):
        compute(np.full((5, 4), 1, dtype=np.int8) * np.array([[0], [2], [0], [2], [0]], dtype=np.int8), 2)


def test_plink2_finds_the_same_components_on_the_bundled_slice(
    bundled: Path, require_tool: Callable[[str], Path], tmp_path: Path
) -> None:
    vcf = bundled / "genotypes.chr22.vcf.gz"
    n_components, n_least = 4, 8_000
    rows, ids = [], []
    with (
        gzip.open(vcf, "rt") as lines,
        gzip.open(tmp_path / "common.vcf.gz", "wt", compresslevel=1) as chosen,
    ):
        for line in lines:
            if line.startswith("#"):
                chosen.write(line)
                samples = line.split()[9:]
                continue
            fields = line.rstrip("\n").split("\t")
            if len(fields[3]) != 1 or len(fields[4]) != 1:
                continue
            calls = np.array([call.count("1") for call in fields[9:]], dtype=np.int8)
            frequency = calls.mean() / 2
            if min(frequency, 1 - frequency) >= 0.05:
                rows.append(calls)
                ids.append(f"v{len(ids)}")
                chosen.write("\t".join([*fields[:2], ids[-1], *fields[3:]]) + "\n")
    assert len(rows) > n_least
    subprocess.run(
        [require_tool("plink2"), "--vcf", tmp_path / "common.vcf.gz", "--pca", str(n_components), "--out",
         tmp_path / "pca", "--threads", "1"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    lines = (tmp_path / "pca.eigenvec").read_text().splitlines()
    assert [line.split()[0] for line in lines[1:]] == samples
    theirs = np.array([[float(x) for x in line.split()[-n_components:]] for line in lines[1:]])
    values = np.array([float(x) for x in (tmp_path / "pca.eigenval").read_text().split()])
    ours = compute(np.array(rows), n_components)
    for k in range(n_components):
        assert abs(np.corrcoef(ours.scores[:, k], theirs[:, k])[0, 1]) > 0.9999, f"component {k + 1}"
    np.testing.assert_allclose(ours.eigenvalues, values, rtol=1e-4)


def test_a_contig_left_out_is_as_if_it_had_never_been_added() -> None:
    dosages = np.random.default_rng(3).integers(-1, 3, (500, 40)).astype(np.int8)
    contigs = np.array_split(dosages, 5)
    parts = []
    for contig in contigs:
        part = RelationshipMatrix(40)
        part.add(contig)
        parts.append(part)
    whole = RelationshipMatrix(40)
    for part in parts:
        whole.merge(part)
    np.testing.assert_allclose(whole.components(5).eigenvalues, compute(dosages, 5).eigenvalues, rtol=1e-12)
    for i, part in enumerate(parts):
        expected = compute(np.concatenate(contigs[:i] + contigs[i + 1 :]), 5)
        found = whole.without(part).components(5)
        assert found.n_variants == expected.n_variants
        np.testing.assert_allclose(found.eigenvalues, expected.eigenvalues, rtol=1e-10)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-8)


def test_sums_that_do_not_go_together_are_refused() -> None:
    few, others = RelationshipMatrix(3), RelationshipMatrix(4)
    few.add(np.array([[0, 1, 2]], np.int8))
    with pytest.raises(InputError, match="Sums of 4 people do not go with sums of 3"):
        few.merge(others)
    with pytest.raises(InputError, match="1 variants cannot be taken out of 0"):
        RelationshipMatrix(3).without(few)
